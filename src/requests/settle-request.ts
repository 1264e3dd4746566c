// Makes what is kept of a request equal to what slips, transfers, reservations and recalls say.
//
// What it does, for one request that it holds: counts what posted slips issued and what reversals brought back; takes up what transfers
// brought, perhaps in parts, and gives up what they will never bring; gives up what a recall took; plans anew what nothing covers any more;
// and keeps deposit, clocks and state in step. Everything is read off the truth and never off the message that something happened: a lost
// message is mended by the next one, or by the sweep of the night. A second run changes nothing and tells nothing.
// - Issued of an allocation is what lines of posted slips at the centre take from its reservation, less slips that were reversed.
// - Arrived is what the posting of a transfer's arrival reserved for the allocation.
// What it does not do: decide anything that a person decides.
import { captureAgain } from '../deposits/capture-again.ts'
import { captureDeposit } from '../deposits/capture-deposit.ts'
import { changeHold } from '../deposits/change-hold.ts'
import { returnToDeposit } from '../deposits/return-to-deposit.ts'
import type { Context } from '../identity/actor.ts'
import { releaseReservations, shrinkReservation } from '../ledger/reserve.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { withdrawTransfer } from '../transfers/withdraw-transfer.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { settleClocks } from './clock.ts'
import { drawFor } from './create-request.ts'
import { dropSlips, endAllocations } from './let-go.ts'
import {
  lockRequest,
  noteOnRequest,
  openValue,
  settleState,
  type LockedRequest,
  type RequestEvent
} from './locked-request.ts'
import { expiriesFrom } from './move-allocations.ts'
import { planLines } from './plan-lines.ts'

/** What settling changed. */
export interface Settled {
  changed: boolean
  /** Parts that are free again because nobody of the request wants them: whoever waits for them is served next. */
  freedParts: number[]
}

/** Settles a request, in the transaction of the caller. */
export async function settleRequest(
  ctx: Context,
  { outlet, requestId }: { outlet: Warehouse; requestId: string }
): Promise<Settled> {
  const request = await lockRequest(ctx, outlet.id, requestId)
  const events: RequestEvent[] = []
  await settleIssues(ctx, request, events)
  const freedParts = await settleArrivals(ctx, request, events)
  await settleBroken(ctx, request, events)
  const approved = await settleApprovals(ctx, request, events)
  await noteOnRequest(ctx, { outletId: outlet.id, requestId }, events)
  const isCharged = await settleDeposit(ctx, request)
  if (events.length > 0 || isCharged) {
    await changeHold(ctx, {
      outletId: outlet.id,
      reference: request.number,
      amount: await openValue(ctx, outlet.id, requestId)
    })
    await settleState(ctx, request)
    await settleClocks(ctx, { outletId: outlet.id, requestId, endsWithPosting: true })
  }
  const lines = await shortLines(ctx, request)
  const others = lines.filter((line) => !approved.includes(line))
  if (others.length > 0) await planLines(ctx, { outlet, requestId, lines: others })
  // Their clocks begin now, and their place in the queue is behind who waits already.
  if (approved.length > 0)
    await planLines(ctx, { outlet, requestId, lines: approved, queuedAt: ctx.clock.now().toString() })
  return { changed: events.length > 0 || isCharged || lines.length > 0, freedParts }
}

interface IssueChange {
  line: number
  no: number
  part: string
  was: string
  now: string
  /** Of what it stood for, what was handed out and came back: nothing is reserved for that any more. */
  back: string
  /** The slips that issued it, those that were reversed among them. */
  slips: string[] | null
  reversals: string[] | null
}

// Reversals name no reservation of their own: they undo the whole slip. One that was issued and reversed between two looks was never counted;
// that it used up its reservation says that it came back.
const ISSUES = statement<IssueChange>(`
select a.line_no as line, a.allocation_no as no, part.number as part, trim_scale(a.issued)::text as was,
       trim_scale(coalesce(posted.quantity, 0))::text as now,
       trim_scale(greatest(0, a.issued - coalesce(posted.quantity, 0), case when a.state <> 'ended' then a.quantity - coalesce(posted.quantity, 0) - (v.quantity - v.consumed) end))::text as back,
       posted.slips, posted.reversals
  from request_allocation a
  join part on part.id = a.part_id
  left join lateral (select sum(-l.quantity) filter (where r.id is null) as quantity, array_agg(distinct s.number) filter (where r.id is null) as slips,
                            array_agg(distinct r.number) filter (where r.id is not null) as reversals
                       from slip_line l
                       join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state = 'posted' and s.kind <> 'reversal'
                       left join slip r on r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted'
                      where l.warehouse_id = $3 and l.reservation_id = a.centre_reservation_id) posted on true
  left join reservation v on v.warehouse_id = $3 and v.id = a.centre_reservation_id and v.released_at is null
 where a.warehouse_id = $1 and a.request_id = $2 and a.centre_reservation_id is not null
   and (a.issued <> coalesce(posted.quantity, 0) or a.state = 'ready' and a.quantity - a.issued > v.quantity - v.consumed)
 order by a.line_no, a.allocation_no
   for update of a`)

const SET_ISSUED = statement<never>(`
update request_allocation a
   set issued = i.issued, quantity = case when a.state = 'ended' and i.issued > 0 then i.issued else a.quantity end,
       state = case when i.issued = a.quantity or (a.state = 'ended' and i.issued > 0) then 'issued' when a.state = 'issued' then 'ready' else a.state end,
       ended_at = case when i.issued = 0 then a.ended_at end, ended_because = case when i.issued = 0 then a.ended_because end
  from unnest($3::int[], $4::int[], $5::numeric[]) as i (line_no, allocation_no, issued)
 where a.warehouse_id = $1 and a.request_id = $2 and a.line_no = i.line_no and a.allocation_no = i.allocation_no`)

/** What slips issued and reversals undid; what came back is not promised any more, and its line is short of it again. */
async function settleIssues(ctx: Context, request: LockedRequest, events: RequestEvent[]): Promise<void> {
  const { outletId, id, centreId } = request
  const changes = await run(ctx, ISSUES, [outletId, id, centreId])
  if (changes.length === 0) return
  await run(ctx, SET_ISSUED, [
    outletId,
    id,
    changes.map(({ line }) => line),
    changes.map(({ no }) => no),
    changes.map(({ now }) => now)
  ])
  const cameBack = changes.filter(({ back }) => thousandths(back) > 0n)
  await endAllocations(
    ctx,
    { outletId, requestId: id, because: 'the issue was reversed' },
    cameBack.map(({ line, no, back }) => ({ line, no, quantity: back }))
  )
  const issued = changes.filter(({ was, now }) => thousandths(now) > thousandths(was))
  if (issued.length > 0)
    events.push({
      event: 'issued',
      details: {
        slips: namesOf(issued, 'slips'),
        lines: issued.map(({ line, part, was, now }) => ({
          line,
          part,
          quantity: decimal(thousandths(now) - thousandths(was), 3)
        }))
      }
    })
  if (cameBack.length > 0)
    events.push({
      event: 'issue-reversed',
      details: {
        slips: namesOf(cameBack, 'reversals'),
        lines: cameBack.map(({ line, part, back }) => ({ line, part, quantity: back }))
      }
    })
}

const namesOf = (changes: readonly IssueChange[], which: 'slips' | 'reversals'): string[] =>
  [...new Set(changes.flatMap((change) => change[which] ?? []))].toSorted()

interface Arrival {
  line: number
  no: number
  part: string
  partId: number
  state: string
  quantity: string
  transfer: string
  /** What was reserved for it on arrival and nobody has taken up yet: `[{ id, quantity }]`. */
  arrived: { id: string; quantity: string }[] | null
  /** What its transfer may still bring. */
  pending: string
}

// What a transfer still can bring: all that is not accounted for, unless it is over or what was not sent never will be: the rest was closed, or a
// recall broke its promise after some of it had left.
const ARRIVALS = statement<Arrival>(`
select a.line_no as line, a.allocation_no as no, part.number as part, a.part_id as "partId", a.state, trim_scale(a.quantity - a.issued)::text as quantity, t.number as transfer,
       (select json_agg(json_build_object('id', v.id::text, 'quantity', trim_scale(v.quantity - v.consumed)::text) order by v.id)
          from reservation v
         where v.warehouse_id = $3 and v.reserved_for = $4::text || '/' || a.line_no || '.' || a.allocation_no and v.slip_id is not null and v.released_at is null
           and v.quantity > v.consumed
           and not exists (select 1 from request_allocation taken where taken.centre_reservation_id = v.id)) as arrived,
       trim_scale(coalesce((select sum(case when t.state in ('received', 'called-back', 'cancelled') then 0
                                            when t.rest_closed_at is not null or (left_already.is and exists (
                                                   select 1 from reservation v where v.warehouse_id = l.warehouse_id and v.id = l.reservation_id and v.broken_by is not null))
                                            then p.in_transit
                                            else p.quantity - p.received - p.damaged - p.missing - p.called_back end)
                              from transfer_line l
                              join transfer_line_position p on p.warehouse_id = l.warehouse_id and p.transfer_id = l.transfer_id and p.line_no = l.line_no
                             where l.warehouse_id = a.from_warehouse_id and l.transfer_id = a.transfer_id
                               and l.reserve_for = $4::text || '/' || a.line_no || '.' || a.allocation_no), 0))::text as pending
  from request_allocation a
  join part on part.id = a.part_id
  join transfer t on t.warehouse_id = a.from_warehouse_id and t.id = a.transfer_id
 cross join lateral (select exists (select 1 from transfer_line_position p where p.warehouse_id = t.warehouse_id and p.transfer_id = t.id and p.sent > 0) as is) left_already
 where a.warehouse_id = $1 and a.request_id = $2 and a.transfer_id is not null and a.split_from is null
 order by a.line_no, a.allocation_no
   for update of a`)

const TAKE_UP = statement<never>(`
with said as (
  select * from unnest($3::int[], $4::int[], $5::bigint[], $6::numeric[], $7::boolean[]) with ordinality as s (line_no, allocation_no, reservation_id, quantity, is_last, place)
), arrived as (
  update request_allocation a set state = 'ready', quantity = s.quantity, centre_reservation_id = s.reservation_id, expires_on = $8::date
    from said s
   where a.warehouse_id = $1 and a.request_id = $2 and a.line_no = s.line_no and a.allocation_no = s.allocation_no and s.is_last
), reduced as (
  update request_allocation a set quantity = a.quantity - s.quantity
    from (select line_no, allocation_no, sum(quantity) as quantity from said where not is_last group by 1, 2) s
   where a.warehouse_id = $1 and a.request_id = $2 and a.line_no = s.line_no and a.allocation_no = s.allocation_no
     and not exists (select 1 from said l where l.line_no = s.line_no and l.allocation_no = s.allocation_no and l.is_last)
)
insert into request_allocation (warehouse_id, request_id, line_no, allocation_no, part_id, factor, quantity, step, from_warehouse_id, ownership, reservation_id, transfer_id,
                                centre_reservation_id, split_from, backorder_id, needs_confirmation, confirmed_at, state, expires_on, allocated_at, evidence)
select a.warehouse_id, a.request_id, a.line_no,
       (select max(x.allocation_no) from request_allocation x where x.warehouse_id = $1 and x.request_id = $2 and x.line_no = a.line_no) + row_number() over (partition by a.line_no order by s.place),
       a.part_id, a.factor, s.quantity, a.step, a.from_warehouse_id, a.ownership, null, a.transfer_id, s.reservation_id, a.allocation_no, a.backorder_id, a.needs_confirmation,
       a.confirmed_at, 'ready', $8::date, a.allocated_at, a.evidence
  from said s join request_allocation a on a.warehouse_id = $1 and a.request_id = $2 and a.line_no = s.line_no and a.allocation_no = s.allocation_no
 where not s.is_last`)

/**
 * What transfers brought for the request is ready; what they will never bring is given up.
 * @returns parts of which more came than anybody of the request wants any more
 */
async function settleArrivals(ctx: Context, request: LockedRequest, events: RequestEvent[]): Promise<number[]> {
  const { outletId, id, centreId } = request
  const taken: { line: number; no: number; reservation: string; quantity: string; isLast: boolean }[] = []
  const ready: Record<string, unknown>[] = []
  const lost: { line: number; no: number; quantity: string; part: string; transfer: string }[] = []
  const freedParts: number[] = []
  for (const arrival of await run(ctx, ARRIVALS, [outletId, id, centreId, request.number])) {
    const { line, no, part, transfer } = arrival
    let wanted = arrival.state === 'on-its-way' ? thousandths(arrival.quantity) : 0n
    const pending = thousandths(arrival.pending)
    for (const { id: reservation, quantity } of arrival.arrived ?? []) {
      const came = thousandths(quantity)
      const used = came < wanted ? came : wanted
      wanted -= used
      if (used < came) {
        await giveUp(ctx, { warehouseId: centreId, id: reservation }, used === 0n ? null : decimal(came - used, 3))
        freedParts.push(arrival.partId)
      }
      if (used === 0n) continue
      taken.push({ line, no, reservation, quantity: decimal(used, 3), isLast: wanted === 0n })
      ready.push({ line, part, quantity: decimal(used, 3), transfer })
    }
    if (arrival.state === 'on-its-way' && wanted > pending)
      lost.push({ line, no, quantity: decimal(wanted - pending, 3), part, transfer })
  }
  if (taken.length > 0) {
    const { fetched } = await expiriesFrom(ctx, ctx.clock.today())
    await run(ctx, TAKE_UP, [
      outletId,
      id,
      taken.map(({ line }) => line),
      taken.map(({ no }) => no),
      taken.map(({ reservation }) => reservation),
      taken.map(({ quantity }) => quantity),
      taken.map(({ isLast }) => isLast),
      fetched
    ])
    events.push(...ready.map((details) => ({ event: 'ready', details })))
  }
  await endAllocations(ctx, { outletId, requestId: id, because: 'the transfer did not bring it' }, lost)
  events.push(
    ...lost.map(({ line, part, quantity, transfer }) => ({
      event: 'allocation-lost',
      details: { line, part, quantity, transfer, because: `transfer ${transfer} did not bring it` }
    }))
  )
  return freedParts
}

const giveUp = (ctx: Context, key: { warehouseId: number; id: string }, by: string | null): Promise<unknown> =>
  by === null ? releaseReservations(ctx, [key]) : shrinkReservation(ctx, { ...key, by })

interface Broken {
  line: number
  no: number
  part: string
  state: string
  quantity: string
  fromId: number
  transferId: string | null
  transfer: string | null
  hasLeft: boolean
  reservation: string
  recall: string | null
}

// Promises that somebody else took back: a recall, which blocked the goods.
const BROKEN = statement<Broken>(`
select a.line_no as line, a.allocation_no as no, part.number as part, a.state, trim_scale(a.quantity - a.issued)::text as quantity, a.from_warehouse_id as "fromId",
       a.transfer_id::text as "transferId", t.number as transfer,
       exists (select 1 from transfer_line_position p where p.warehouse_id = a.from_warehouse_id and p.transfer_id = a.transfer_id and p.sent > 0) as "hasLeft",
       v.id::text as reservation, (select c.number from recall c where c.id = v.broken_by limit 1) as recall
  from request_allocation a
  join part on part.id = a.part_id
  left join transfer t on t.warehouse_id = a.from_warehouse_id and t.id = a.transfer_id
  join reservation v on v.id = coalesce(a.centre_reservation_id, a.reservation_id)
   and v.warehouse_id = case when a.centre_reservation_id is not null then $3 else a.from_warehouse_id end
 where a.warehouse_id = $1 and a.request_id = $2 and a.state in ('reserved', 'ready', 'on-its-way') and v.released_at is not null
   and (v.broken_by is not null or a.state <> 'on-its-way')
 order by a.line_no, a.allocation_no
   for update of a`)

const ON_TRANSFER = statement<{ line: number; no: number; quantity: string }>(`
select line_no as line, allocation_no as no, trim_scale(quantity)::text as quantity
  from request_allocation
 where warehouse_id = $1 and request_id = $2 and state = 'on-its-way' and transfer_id = any ($3::bigint[])
   for update`)

/** What a recall took: slips that name it and are not posted can never be, and a transfer of which nothing left is ordered anew without it. */
async function settleBroken(ctx: Context, request: LockedRequest, events: RequestEvent[]): Promise<void> {
  const { outletId, id, centreId, number } = request
  // What is in transit already is judged when it arrives.
  const broken = (await run(ctx, BROKEN, [outletId, id, centreId])).filter(
    ({ state, hasLeft }) => state !== 'on-its-way' || !hasLeft
  )
  if (broken.length === 0) return
  const becauseOf = ({ recall }: Broken) => (recall === null ? 'the promise was taken back' : `recall ${recall}`)
  const slips = await dropSlips(ctx, {
    centreId,
    reservations: broken.filter(({ state }) => state !== 'on-its-way').map(({ reservation }) => reservation),
    because: `request ${number}: goods of it are blocked`
  })
  const transfers = new Map(
    broken.flatMap((one) =>
      one.state === 'on-its-way' && one.transferId !== null ? [[one.transferId, one] as const] : []
    )
  )
  for (const [transferId, { fromId }] of [...transfers].toSorted(([, a], [, b]) => a.fromId - b.fromId))
    await withdrawTransfer(ctx, {
      warehouseId: fromId,
      id: transferId,
      because: `request ${number}: goods of it are blocked`
    })
  const lost = broken.map((one) => ({ line: one.line, no: one.no, quantity: one.quantity, because: becauseOf(one) }))
  for (const [because, some] of Map.groupBy(lost, (one) => one.because))
    await endAllocations(ctx, { outletId, requestId: id, because }, some)
  const along = (await run(ctx, ON_TRANSFER, [outletId, id, [...transfers.keys()]])).filter(
    ({ line, no }) => !broken.some((one) => one.line === line && one.no === no)
  )
  await endAllocations(ctx, { outletId, requestId: id, because: 'its transfer is ordered anew' }, along)
  events.push(
    ...broken.map((one) => ({
      event: 'allocation-lost',
      details: {
        line: one.line,
        part: one.part,
        quantity: one.quantity,
        because: becauseOf(one),
        ...(slips.length > 0 && { slips }),
        ...(one.transfer !== null && one.state === 'on-its-way' && { transfer: one.transfer })
      }
    }))
  )
}

const AWAITING = statement<{ line: number; partId: number; part: string; quantity: string }>(`
select l.line_no as line, l.part_id as "partId", part.number as part, trim_scale(l.quantity - l.cancelled)::text as quantity
  from request_line l
  join part on part.id = l.part_id
 where l.warehouse_id = $1 and l.request_id = $2 and l.awaiting_approval and l.quantity > l.cancelled
 order by l.part_id, l.line_no`)

const APPROVE = statement<never>(`
update request_line set awaiting_approval = false, approval_id = $4 where warehouse_id = $1 and request_id = $2 and line_no = $3`)

/** Lines of controlled parts that an approval covers by now (R-CAT-2). */
async function settleApprovals(ctx: Context, request: LockedRequest, events: RequestEvent[]): Promise<number[]> {
  if (request.state !== 'open') return []
  const approved: number[] = []
  for (const { line, partId, part, quantity } of await run(ctx, AWAITING, [request.outletId, request.id])) {
    const approval = await drawFor(ctx, { outletId: request.outletId, partId, quantity })
    if (approval === null) continue
    await run(ctx, APPROVE, [request.outletId, request.id, line, approval])
    approved.push(line)
    events.push({ event: 'approved', details: { line, part, quantity, approval } })
  }
  return approved
}

interface Charge {
  slip: string
  kind: 'issued' | 'reversed' | 'returned' | 'return reversed'
  value: string
}

// What each slip took of the request's goods, or brought back: at the price of the line. A return that is reversed takes what it gave. A
// deposit that was opened later than the request has nothing to do with it.
const CHARGES = statement<Charge>(`
with taken as (
  select s.warehouse_id, s.id, s.number, l.line_no, l.quantity, round(-l.quantity / a.factor * line.unit_price, 2) as value, a.factor, line.unit_price
    from request_allocation a
    join request_line line on line.warehouse_id = a.warehouse_id and line.request_id = a.request_id and line.line_no = a.line_no
    join slip_line l on l.warehouse_id = $3 and l.reservation_id = a.centre_reservation_id
    join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state = 'posted' and s.kind <> 'reversal'
   where a.warehouse_id = $1 and a.request_id = $2 and a.centre_reservation_id is not null
     and exists (select 1 from deposit_account d join request q on q.warehouse_id = d.warehouse_id and q.id = $2
                  where d.warehouse_id = $1 and d.opened_at <= q.requested_at)
), charged as (
select number as slip, 'issued' as kind, sum(value) as value from taken group by number
union all
select r.number, 'reversed', sum(taken.value)
  from taken join slip r on r.warehouse_id = taken.warehouse_id and r.source_slip_id = taken.id and r.kind = 'reversal' and r.state = 'posted' group by r.number
union all
select b.number, 'returned', sum(round(l.quantity / taken.factor * taken.unit_price, 2))
  from taken
  join slip b on b.warehouse_id = taken.warehouse_id and b.source_slip_id = taken.id and b.kind = 'return' and b.state = 'posted'
  join slip_line l on l.warehouse_id = b.warehouse_id and l.slip_id = b.id and l.source_line = taken.line_no
 where not exists (select 1 from slip r where r.warehouse_id = b.warehouse_id and r.source_slip_id = b.id and r.kind = 'reversal' and r.state = 'posted')
 group by b.number
union all
select distinct r.number, 'return reversed', e.amount
  from taken
  join slip b on b.warehouse_id = taken.warehouse_id and b.source_slip_id = taken.id and b.kind = 'return' and b.state = 'posted'
  join slip r on r.warehouse_id = b.warehouse_id and r.source_slip_id = b.id and r.kind = 'reversal' and r.state = 'posted'
  join deposit_entry e on e.warehouse_id = $1 and e.reference = $4 and e.kind = 'return' and e.because = 'returned by ' || b.number
)
select slip, kind, value::text as value from charged
 where not exists (select 1 from deposit_entry e where e.warehouse_id = $1 and e.reference = $4 and e.because = charged.kind || ' by ' || charged.slip)
 order by 2, 1`)

const ENTER = {
  issued: captureDeposit,
  reversed: returnToDeposit,
  returned: returnToDeposit,
  'return reversed': captureAgain
}

/** What was issued is taken from the deposit, once per slip; what came back by a reversal or a return is given back to it (R-REQ-5). */
export async function settleDeposit(
  ctx: Context,
  { outletId, id, centreId, number }: Pick<LockedRequest, 'outletId' | 'id' | 'centreId' | 'number'>
): Promise<boolean> {
  let isCharged = false
  for (const { slip, kind, value } of await run(ctx, CHARGES, [outletId, id, centreId, number])) {
    const { amount } = await ENTER[kind](ctx, {
      outletId,
      reference: number,
      amount: value,
      because: `${kind} by ${slip}`
    })
    if (amount !== '0.00') isCharged = true
  }
  return isCharged
}

// What nothing covers and no backorder waits for.
const SHORT = statement<{ line: number }>(`
select p.line_no as line
  from request_line_position p
  join request r on r.warehouse_id = p.warehouse_id and r.id = p.request_id and r.state = 'open'
  left join backorder b on b.warehouse_id = p.warehouse_id and b.request_id = p.request_id and b.line_no = p.line_no and b.ended_at is null
 where p.warehouse_id = $1 and p.request_id = $2 and not p.awaiting_approval and p.uncovered <> coalesce(b.waiting, 0)
 order by p.line_no`)

const shortLines = async (ctx: Context, { outletId, id }: LockedRequest): Promise<number[]> =>
  (await run(ctx, SHORT, [outletId, id])).map(({ line }) => line)
