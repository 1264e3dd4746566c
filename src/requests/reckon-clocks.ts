import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { CLOCK_COLUMNS, reckon, type KeptClock } from './clock.ts'

const PORTION = 1_000
const RUNNING = statement<KeptClock>(`
select ${CLOCK_COLUMNS}
  from request_clock c
 where c.ended_at is null and (c.warehouse_id, c.request_id, c.line_no, c.piece) > ($1, $2::bigint, $3, $4)
 order by c.warehouse_id, c.request_id, c.line_no, c.piece
 limit ${PORTION}`)

/** Works out anew when every running clock is due: a notice of days off may have been entered since. Answers how many are due on another day. */
export async function reckonClocks(ctx: Context): Promise<number> {
  let changed = 0
  for (let after: [number, string, number, string] = [0, '0', 0, '']; ;) {
    const clocks = await run(ctx, RUNNING, after)
    changed += await reckon(ctx, clocks)
    const last = clocks.at(-1)
    if (last === undefined || clocks.length < PORTION) return changed
    after = [last.outletId, last.requestId, last.line, last.piece]
  }
}
