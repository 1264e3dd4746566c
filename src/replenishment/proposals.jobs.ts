import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { defineConsumer } from '../platform/outbox.ts'
import { defineJob } from '../platform/queue.ts'
import { isAnythingToPropose, proposeReorders, type Position } from './propose-reorders.ts'

// Looks at every position; after the levels of the night are computed, on demand, and once a night whatever was lost.
export const proposeReordersNightly = defineJob({
  name: 'replenishment.propose-reorders',
  lane: 'long',
  isTracked: true,
  schedule: { pattern: '15 4 * * *' },
  run: (ctx: Context, _payload, progress) => proposeReorders(ctx, { progress })
})

const POSITIONS = statement<Position>(`
select distinct l.warehouse_id as "warehouseId", l.part_id as "partId"
  from unnest($1::int[], $2::bigint[]) as posted (warehouse_id, slip_id)
  join slip_line l on l.warehouse_id = posted.warehouse_id and l.slip_id = posted.slip_id
 order by 1, 2`)

// Every posted slip may make something short, or cover what was: its positions are looked at within seconds. The transaction is the
// relay's, so what is proposed and the event that led to it go together.
export const proposeAfterPosting = defineConsumer({
  name: 'replenishment.propose-after-posting',
  events: ['document.posted', 'document.released-in-emergency', 'reorder-levels.computed'],
  handle: async (ctx: Context, events) => {
    const posted = events.filter(
      ({ event, warehouseId }) => event !== 'reorder-levels.computed' && warehouseId !== null
    )
    if (posted.length > 0) {
      const positions = await run(ctx, POSITIONS, [
        posted.map(({ warehouseId }) => warehouseId),
        posted.map(({ payload }) => String(payload['document']))
      ])
      if (positions.length > 0 && (await isAnythingToPropose(ctx, positions))) await proposeReorders(ctx, { positions })
    }
    return events.some(({ event }) => event === 'reorder-levels.computed') ? [{ job: proposeReordersNightly }] : []
  }
})
