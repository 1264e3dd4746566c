// What nobody has for a line of a request (缺货登记, R-REQ-1, R-REQ-3), as it is written by whoever plans the line. Everything here runs in
// the transaction of a verb that holds the request.
//
// `waiting` of a backorder is what its line still is short of; with it a backorder stands in the queue of its centre and part: emergency
// before normal, then by `queued_at`, then by request. One that waits for nothing more has goods that move, or is at its end.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { calendarOf } from '../platform/working-days.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { settleClocks, startClocks } from './clock.ts'
import { promiseOf, type Prospects, type PromiseBasis } from './promise.ts'
import { documentNumber } from '../signing/document-number.ts'

export const URGENCIES = ['normal', 'emergency'] as const
export type Urgency = (typeof URGENCIES)[number]

/** What a line is short of now: all of it. */
export interface Shortage {
  line: number
  partId: number
  quantity: string
}

export interface Registered {
  line: number
  id: string
  number: string
  quantity: string
  promisedOn: string | null
  basis: PromiseBasis
  document: string | null
}

// What waits in front is what the search would leave to it.
const PROSPECTS = statement<{ line: number } & Prospects>(`
select s.line_no as line,
       trim_scale(coalesce((select sum(q.waiting) from backorder q
                             where q.part_id = s.part_id and q.centre_id = $3 and q.waiting > 0
                               and (q.urgency = $4 and (q.queued_at, q.request_id) < ($5::timestamptz, $1::bigint) or q.urgency = 'emergency' and $4 = 'normal')), 0)
                + coalesce((select sum(o.quantity) from unnest($2::int[], $6::int[], $7::numeric[]) as o (line_no, part_id, quantity)
                             where o.part_id = s.part_id and o.line_no < s.line_no), 0))::text as ahead,
       coalesce((select json_agg(json_build_object('name', e.document || '/' || e.line_no, 'on', e.expected_on, 'quantity', trim_scale(e.quantity - arrived.quantity)::text)
                                 order by e.expected_on, e.id)
                   from expected_receipt e
                  cross join lateral (select coalesce(sum(l.quantity), 0) as quantity
                                        from slip_line l join slip on slip.warehouse_id = l.warehouse_id and slip.id = l.slip_id and slip.state = 'posted'
                                       where l.warehouse_id = e.warehouse_id and l.expected_receipt_id = e.id) arrived
                  where e.warehouse_id = $3 and e.part_id = s.part_id and e.ended_at is null and e.expected_on >= $8::date and e.quantity > arrived.quantity), '[]') as arrivals,
       (select p.lead_time_days from reorder_policy p
         where p.warehouse_id = $3 and p.part_id = s.part_id and (p.expires_on is null or p.expires_on >= $8::date)) as "policyLeadTimeDays",
       part.lead_time_days as "partLeadTimeDays"
  from unnest($2::int[], $6::int[], $7::numeric[]) as s (line_no, part_id, quantity)
  join part on part.id = s.part_id`)

// A line that waits already keeps its backorder, its number and its place; what it waits for is what it is told.
const REGISTER = statement<Registered & { isNew: boolean }>(`
with short as (
  select * from unnest($3::int[], $4::int[], $5::numeric[], $6::date[], $7::text[], $8::text[]) as s (line_no, part_id, quantity, promised_on, basis, document)
), known as (
  select b.id, b.line_no from backorder b join short s on s.line_no = b.line_no
   where b.warehouse_id = $1 and b.request_id = $2 and b.ended_at is null order by b.id for update of b
), grown as (
  update backorder b set waiting = s.quantity, quantity = greatest(b.quantity, s.quantity), version = version + 1,
         state = case when b.asked_at is null then 'waiting' else b.state end
    from known k join short s on s.line_no = k.line_no
   where b.warehouse_id = $1 and b.id = k.id and b.waiting <> s.quantity
  returning b.id
), numbered as (
  insert into document_number (warehouse_id, series, period, last)
  select $1, 'BKO', date_trunc('month', $14::date::timestamp)::date, count(*) from short s where not exists (select 1 from known k where k.line_no = s.line_no)
  having count(*) > 0
  on conflict (warehouse_id, series, period) do update set last = document_number.last + excluded.last
  returning last
), fresh as (
  select s.*, n.last - count(*) over () + row_number() over (order by s.line_no) as place
    from short s cross join numbered n where not exists (select 1 from known k where k.line_no = s.line_no)
), created as (
  insert into backorder (warehouse_id, number, request_id, line_no, centre_id, part_id, urgency, quantity, waiting, registered_at, queued_at,
                         promised_on, promise_basis, promise_document, answer_due_at)
  select $1, ${documentNumber('$9', "'BKO'", '$14', 'place')}, $2, line_no, $10, part_id, $11,
         quantity, quantity, $12, $13, promised_on, basis, document, $15
    from fresh order by line_no
  returning id, number, line_no, waiting, promised_on, promise_basis, promise_document
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, id, $12, $16, 'registered',
         jsonb_strip_nulls(jsonb_build_object('request', $17::text, 'line', line_no, 'quantity', trim_scale(waiting)::text, 'promisedOn', promised_on, 'basis', promise_basis, 'expectedReceipt', promise_document))
    from created order by id
), raised as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, b.id, $12, $16, 'requeued', jsonb_build_object('quantity', trim_scale(s.quantity)::text)
    from grown g join backorder b on b.warehouse_id = $1 and b.id = g.id join short s on s.line_no = b.line_no order by b.id
)
select id::text as id, number, line_no as line, trim_scale(waiting)::text as quantity, promised_on::text as "promisedOn", promise_basis as basis, promise_document as document,
       true as "isNew"
  from created
union all
select b.id::text, b.number, b.line_no, trim_scale(s.quantity)::text, b.promised_on::text, b.promise_basis, b.promise_document, false
  from known k join backorder b on b.warehouse_id = $1 and b.id = k.id join short s on s.line_no = b.line_no
 order by line`)

/**
 * Registers what lines are short of, each with the day on which it can be promised, and starts their clocks. A line that has a backorder
 * keeps it: it waits for the quantity that is given.
 * @param queuedAt its place in the queue, if not now: that of a request whose goods another took. Clocks of lines that have none start there.
 */
export async function registerBackorders(
  ctx: Context,
  {
    outlet,
    requestId,
    requestNumber,
    urgency,
    centre,
    queuedAt = ctx.clock.now().toString(),
    lines
  }: {
    outlet: Warehouse
    requestId: string
    requestNumber: string
    urgency: Urgency
    centre: Pick<Warehouse, 'id'>
    queuedAt?: string | undefined
    lines: readonly Shortage[]
  }
): Promise<Registered[]> {
  if (lines.length === 0) return []
  const [now, today, calendar] = [ctx.clock.now(), ctx.clock.today(), await calendarOf(ctx)]
  const [lineNos, partIds, quantities] = [
    lines.map(({ line }) => line),
    lines.map(({ partId }) => partId),
    lines.map(({ quantity }) => quantity)
  ]
  const prospects = await run(ctx, PROSPECTS, [
    requestId,
    lineNos,
    centre.id,
    urgency,
    queuedAt,
    partIds,
    quantities,
    today
  ])
  const byLine = new Map(prospects.map((each) => [each.line, each]))
  const defaultDays = ctx.config.REQUEST_DAYS_BACKORDERED
  const promises = lines.map(({ line, quantity }) => {
    const known = byLine.get(line)
    if (known === undefined) throw new Error(`line ${line} of request ${requestId} is of no part`)
    return promiseOf(quantity, known, { today, calendar, defaultDays })
  })
  const registered = await run(ctx, REGISTER, [
    outlet.id,
    requestId,
    lineNos,
    partIds,
    quantities,
    promises.map(({ on }) => on),
    promises.map(({ basis }) => basis),
    promises.map(({ document }) => document),
    outlet.code,
    centre.id,
    urgency,
    now.toString(),
    queuedAt,
    today,
    answerDueAt(ctx, now),
    ctx.actor.personId,
    requestNumber
  ])
  // A line that has a clock was accepted when that began.
  const started = new Map(
    (await run(ctx, STARTED, [outlet.id, requestId, lineNos])).map(({ line, startedAt }) => [line, startedAt])
  )
  for (const [at, some] of Map.groupBy(lineNos, (line) => started.get(line) ?? queuedAt))
    await startClocks(ctx, {
      outletId: outlet.id,
      requestId,
      at,
      pieces: some.map((line) => ({ line, piece: 'backordered' as const }))
    })
  return registered.map(({ isNew: _isNew, ...row }) => row)
}

const STARTED = statement<{ line: number; startedAt: string }>(`
select line_no as line, to_json(min(started_at)) #>> '{}' as "startedAt"
  from request_clock where warehouse_id = $1 and request_id = $2 and line_no = any ($3::int[]) group by line_no`)

/** So many days later at the same hour of the business time zone (R-REQ-3). */
const answerDueAt = ({ config }: Context, at: Temporal.Instant): string =>
  at.toZonedDateTimeISO(config.BUSINESS_TIME_ZONE).add({ days: config.BACKORDER_ANSWER_DAYS }).toInstant().toString()

// Arrival answers what nobody has answered (R-REQ-3).
const ALLOCATE = statement<{ id: string }>(`
with found as (
  update backorder b set waiting = waiting - $3::numeric, state = 'allocated', asked_at = coalesce(asked_at, $4), version = version + 1,
         answered_at = coalesce(answered_at, $4), answered_by = coalesce(answered_by, $5)
   where b.warehouse_id = $1 and b.id = $2 and b.ended_at is null and b.waiting >= $3::numeric
  returning b.id, b.number, b.request_id, b.line_no, b.waiting
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, document.id, $4, $5, 'arrived', document.details || jsonb_build_object('quantity', trim_scale($3::numeric)::text, 'from', $6::text)
    from found
   cross join lateral (values (1, found.id, jsonb_build_object('waiting', trim_scale(found.waiting)::text)),
                              (2, found.request_id, jsonb_build_object('line', found.line_no, 'backorder', found.number))) as document (place, id, details)
   order by document.place
)
select id::text as id from found`)

/**
 * Marks goods as found for a backorder, in the line's own part, and tells the requester, who confirms that they are still needed before
 * anything moves (R-REQ-3). The allocation names the backorder and needs confirmation; call `settleClocks` when its row is written.
 * @param from code of the warehouse where they lie
 */
export async function allocateToBackorder(
  ctx: Context,
  { outletId, backorderId, quantity, from }: { outletId: number; backorderId: string; quantity: string; from: string }
): Promise<void> {
  const found = await run(ctx, ALLOCATE, [
    outletId,
    backorderId,
    quantity,
    ctx.clock.now().toString(),
    ctx.actor.personId,
    from
  ])
  if (found.length === 0) throw new Error(`backorder ${backorderId} does not wait for ${quantity}`)
}

const REDUCE = statement<{ line: number; quantity: string }>(`
with held as (
  select b.id, b.line_no, least(b.waiting, coalesce(c.quantity, b.waiting)) as quantity
    from unnest($3::int[], $4::numeric[]) as c (line_no, quantity)
    join backorder b on b.warehouse_id = $1 and b.request_id = $2 and b.line_no = c.line_no and b.ended_at is null
   order by b.id for update of b
), reduced as (
  update backorder b set waiting = b.waiting - h.quantity, quantity = greatest(b.quantity - h.quantity, b.waiting - h.quantity), version = version + 1
    from held h
   where b.warehouse_id = $1 and b.id = h.id and h.quantity > 0
     -- What is cancelled whole ends as it was.
     and h.quantity < b.quantity
  returning b.id
), emptied as (
  update backorder b set waiting = 0, version = version + 1
    from held h
   where b.warehouse_id = $1 and b.id = h.id and h.quantity > 0 and h.quantity = b.quantity
  returning b.id
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, h.id, $5, $6, 'reduced', jsonb_build_object('by', trim_scale(h.quantity)::text, 'reason', $7::text)
    from held h where h.id in (select id from reduced) order by h.id
)
select line_no as line, trim_scale(quantity)::text as quantity from held order by line_no`)

/**
 * Takes off what lines of a request no longer wait for; a backorder that nothing is left of is cancelled.
 * @param lines `quantity` in the line's own part, null for all that waits; what is found already is the business of its allocations
 * @returns how much each line waited for and no longer does; lines without a backorder are left out
 */
export async function reduceBackorders(
  ctx: Context,
  {
    outletId,
    requestId,
    lines,
    because
  }: {
    outletId: number
    requestId: string
    lines: readonly { line: number; quantity: string | null }[]
    because: string
  }
): Promise<{ line: number; quantity: string }[]> {
  if (lines.length === 0) return []
  const reduced = await run(ctx, REDUCE, [
    outletId,
    requestId,
    lines.map(({ line }) => line),
    lines.map(({ quantity }) => quantity),
    ctx.clock.now().toString(),
    ctx.actor.personId,
    because
  ])
  await settleClocks(ctx, { outletId, requestId, lines: lines.map(({ line }) => line), because })
  return reduced
}
