import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { afterDeadlock, Overtaken } from '../platform/after-deadlock.ts'
import { cancelLines } from './cancel-request.ts'
import { liveAllocations, openInLine, type LiveAllocation } from './let-go.ts'
import { lockRequest, warehousesById } from './locked-request.ts'
import { settleRequest } from './settle-request.ts'

// Goods expire if and only if they are promised, not on their way, the last day on which they are kept is before today, and no slip is
// written for them: whoever has papers under way keeps what they are about. What is given up is no longer wanted; the requester is told and
// may request anew. What the line waits for in the queue stays there.

const EXPIRED = statement<{ outletId: number; requestId: string }>(`
select distinct a.warehouse_id as "outletId", a.request_id::text as "requestId"
  from request_allocation a
 where a.state in ('reserved', 'ready') and a.expires_on < $1::date
 order by 1, 2`)

const KEPT = statement<{ line: number; no: number; expiresOn: string; isOver: boolean }>(`
select a.line_no as line, a.allocation_no as no, a.expires_on::text as "expiresOn",
       a.expires_on < $3::date and not exists (select 1 from slip_line l join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state not in ('posted', 'cancelled')
                                                where l.warehouse_id = r.centre_id and l.reservation_id = a.centre_reservation_id) as "isOver"
  from request_allocation a join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
 where a.warehouse_id = $1 and a.request_id = $2 and a.state in ('reserved', 'ready')`)

/** Gives up what was kept long enough, each request in a transaction of its own. Answers how many allocations expired. */
export async function expireRequests(ctx: Context): Promise<number> {
  let expired = 0
  const requests = await run(ctx, EXPIRED, [ctx.clock.today()])
  const outlets = await warehousesById(
    ctx,
    requests.map(({ outletId }) => outletId)
  )
  for (const { outletId, requestId } of requests) {
    const outlet = outlets.get(outletId)
    if (outlet === undefined) continue
    expired += await afterDeadlock(() => inTransaction(ctx, (inner) => expire(inner, outlet, requestId))).catch(
      laterIfBusy
    )
  }
  return expired
}

/** What somebody is at in this moment is looked at again by the next run. */
function laterIfBusy(error: unknown): number {
  if (error instanceof Overtaken) return 0
  throw error
}

async function expire(ctx: Context, outlet: Warehouse, requestId: string): Promise<number> {
  const outletId = outlet.id
  // What was fetched, and nobody was told of it yet, is not over.
  await settleRequest(ctx, { outlet, requestId })
  const request = await lockRequest(ctx, outletId, requestId)
  const live = await liveAllocations(ctx, outletId, requestId)
  const over = (await run(ctx, KEPT, [outletId, requestId, ctx.clock.today()])).filter(({ isOver }) => isOver)
  const dayOf = ({ line, no }: Pick<LiveAllocation, 'line' | 'no'>) =>
    over.find((one) => one.line === line && one.no === no)?.expiresOn
  const given = live.filter((one) => dayOf(one) !== undefined)
  const reasonOf = (one: LiveAllocation) =>
    `${one.state === 'ready' ? 'not fetched' : 'not confirmed'} by ${dayOf(one) ?? ''}`
  for (const [reason, some] of Map.groupBy(given, reasonOf)) {
    const wanted = [...Map.groupBy(some, ({ line }) => line)].map(([line, of]) => ({
      line,
      quantity: of.reduce((sum, allocation) => sum + openInLine(allocation), 0n)
    }))
    await cancelLines(ctx, request, wanted, reason, {
      event: 'expired',
      only: ({ line, no }) => some.some((one) => one.line === line && one.no === no)
    })
  }
  return given.length
}
