import { Type } from 'typebox'
import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { defineConsumer } from '../platform/outbox.ts'
import { defineJob } from '../platform/queue.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { expireRequests } from './expire-requests.ts'
import { warehousesById } from './locked-request.ts'
import { partsWaitedFor, serveBackorders } from './serve-backorders.ts'
import { settleRequest } from './settle-request.ts'
import { requestsOutOfStep } from './sweep-requests.ts'

export interface RequestKey {
  outletId: number
  id: string
}

/**
 * Settles requests, each in a transaction of its own; who was first is first. What came for one that no longer wants it is for the next in
 * the queue. One that fails keeps none behind it waiting: the others are settled, and then it is told.
 * @returns how many changed
 * @throws AggregateError of what failed
 */
export async function settleRequests(ctx: Context, requests: readonly RequestKey[]): Promise<{ changed: number }> {
  const outlets = await warehousesById(
    ctx,
    requests.map(({ outletId }) => outletId)
  )
  const freedParts = new Set<number>()
  const failed: unknown[] = []
  let changed = 0
  for (const { outletId, id } of requests) {
    const outlet = outlets.get(outletId)
    if (outlet === undefined) continue
    try {
      const settled = await afterDeadlock(() =>
        inTransaction(ctx, (inner) => settleRequest(inner, { outlet, requestId: id }))
      )
      if (settled.changed) changed++
      for (const part of settled.freedParts) freedParts.add(part)
    } catch (error) {
      failed.push(error)
    }
  }
  if (freedParts.size > 0) await serveBackorders(ctx, { parts: await partsWaitedFor(ctx, [...freedParts]) })
  if (failed.length > 0)
    throw new AggregateError(failed, `${failed.length} of ${requests.length} requests could not be settled`)
  return { changed }
}

// What a request has is read off slips, transfers and reservations: a second job changes nothing.
export const settleRequestsOf = defineJob({
  name: 'requests.settle',
  payload: Type.Object({ requests: Type.Array(Type.Object({ outletId: Type.Integer(), id: Type.String() })) }),
  run: (ctx: Context, { requests }) => settleRequests(ctx, requests)
})

// Everything that is out of step with the truth, whatever was or was not told: issued but not marked, arrived but not taken up, taken back by
// a recall, approved but not planned, short of something that no backorder waits for.
export const sweepRequests = defineJob({
  name: 'requests.sweep',
  lane: 'long',
  schedule: { pattern: '15,45 * * * *', atStart: true },
  run: async (ctx: Context) => settleRequests(ctx, await requestsOutOfStep(ctx))
})

// What is not fetched or not confirmed is given up on the day after its last one. A second run finds nothing that is over.
export const expireRequestsDaily = defineJob({
  name: 'requests.expire',
  schedule: { pattern: '10 0 * * *', atStart: true },
  run: async (ctx: Context) => ({ expired: await expireRequests(ctx) })
})

// Slips that name what is reserved, undo or return such a slip, or undo such a return; transfers that were to bring it; reservations that were broken.
// An approval may be entered while a request that waits for it is written, and what a cancelled line gives back of one is for the next.
const CONCERNED = statement<RequestKey>(`
with d as (select * from unnest($1::int[], $2::bigint[]) as d (warehouse_id, id)),
found as (
  select a.warehouse_id, a.request_id
    from d
    join slip s on s.warehouse_id = d.warehouse_id and s.id = d.id and s.state = 'posted'
    left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
    join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id in (s.id, s.source_slip_id, source.source_slip_id) and l.reservation_id is not null
    join request_allocation a on a.centre_reservation_id = l.reservation_id
  union
  select a.warehouse_id, a.request_id from d join request_allocation a on a.from_warehouse_id = d.warehouse_id and a.transfer_id = d.id
  union
  select r.warehouse_id, r.id from unnest($3::int[], $4::bigint[]) as x (warehouse_id, id) join request r on r.warehouse_id = x.warehouse_id and r.id = x.id
  union
  select a.warehouse_id, a.request_id
    from unnest($5::int[], $6::bigint[]) as v (warehouse_id, id) join request_allocation a on a.from_warehouse_id = v.warehouse_id and a.reservation_id = v.id
  union
  select a.warehouse_id, a.request_id from unnest($6::bigint[]) as v (id) join request_allocation a on a.centre_reservation_id = v.id
  union
  select l.warehouse_id, l.request_id
    from unnest($7::int[], $8::int[]) as p (warehouse_id, part_id)
    join request_line l on l.warehouse_id = p.warehouse_id and l.part_id = p.part_id and l.awaiting_approval
  union
  select l.warehouse_id, l.request_id
    from d
    join request_line given on given.warehouse_id = d.warehouse_id and given.request_id = d.id and given.approval_id is not null and given.cancelled > 0
    join request_line l on l.warehouse_id = given.warehouse_id and l.part_id = given.part_id and l.awaiting_approval
)
select r.warehouse_id as "outletId", r.id::text as id
  from found join request r on r.warehouse_id = found.warehouse_id and r.id = found.request_id
 order by r.urgency, r.requested_at, r.id`)

const OF_DOCUMENTS = [
  'document.posted',
  'document.released-in-emergency',
  'document.received',
  'document.receipt-reversed',
  'document.claimed',
  'document.claim-settled',
  'document.claim-withdrawn',
  'document.called-back',
  'document.rest-closed',
  'document.finished',
  'document.cancelled',
  'document.expired'
]
const OF_REQUESTS = ['document.displaced', 'document.awaiting-approval']

// Each request in a transaction of its own, so a job does the work: here is only looked whose it is.
export const followRequests = defineConsumer({
  name: 'requests.follow',
  events: [...OF_DOCUMENTS, ...OF_REQUESTS, 'reservation.broken', 'controlled-part.approved'],
  handle: async (ctx: Context, events) => {
    const of = (name: (event: string) => boolean, member: string) =>
      events.flatMap(({ event, warehouseId, payload }) =>
        name(event) && warehouseId !== null ? [{ warehouseId, id: String(payload[member]) }] : []
      )
    const documents = of((event) => OF_DOCUMENTS.includes(event), 'document')
    const own = of((event) => OF_REQUESTS.includes(event), 'document')
    const broken = of((event) => event === 'reservation.broken', 'reservation')
    const approved = of((event) => event === 'controlled-part.approved', 'partId')
    const requests = await run(
      ctx,
      CONCERNED,
      [documents, own, broken, approved].flatMap((some) => [
        some.map(({ warehouseId }) => warehouseId),
        some.map(({ id }) => id)
      ])
    )
    return requests.length === 0 ? [] : [{ job: settleRequestsOf, payload: { requests } }]
  }
})
