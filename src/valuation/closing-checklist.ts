// What a month still lacks before it can be closed (R-FIN-1), for a dry run and for the close itself alike.
//
// - The month is over, and every month before it is closed in which anything was held or moved. Months before the first movement,
//   and months a warehouse stood empty, need no closing of their own: closing a later one closes them.
// - Its month-end count is approved. Only a warehouse that held nothing at its end and moved nothing in it has nothing to count.
// - No slip of it or an earlier month lacks a late signature, or is approved and not posted.
// - Nothing is in transit from or to the warehouse since before the month: a transfer of which a part that left before is not accounted for;
//   a transfer out that was written by hand, not reversed, of which a part has not come in by posted transfer-in slips that name it as
//   their reference.
//
// Goods that came after the count was opened, or that another count had, may have been counted by nobody. That is said, and keeps
// nothing open.
import type { Context } from '../identity/actor.ts'
import { FIRST_OPEN_MONTH, heldBefore } from '../ledger/open-months.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS } from '../platform/errors.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { firstDay } from './depreciation.ts'

export const MISSING_KINDS = [
  'period-not-over',
  'previous-period-open',
  'count-not-approved',
  'late-signature-open',
  'slip-approved-not-posted',
  'goods-in-transit'
] as const

/** One thing that keeps the month open, in words, with the documents it is about. */
export interface Missing {
  kind: (typeof MISSING_KINDS)[number]
  detail: string
  /** Numbers of documents, the first twenty. */
  documents: string[]
}

export interface Checklist {
  missing: Missing[]
  /** What does not keep the month open: slips that will have to be written anew once it is closed, goods that nobody counted, slips that the count does not know. */
  warnings: { detail: string; documents: string[] }[]
}

interface Found {
  /** The first month after the last closed one in which anything was held or moved; null if none was. */
  firstOpen: string | null
  hasHeld: boolean
  count: { number: string; state: string } | null
  late: string[]
  approved: string[]
  unfinished: string[]
  inTransit: string[]
}

const NEXT = `($2::date + interval '1 month')::date`
const slips = (condition: string): string => `coalesce((
         select json_agg(number order by number) from (
           select s.number from slip s where s.warehouse_id = $1 and s.occurred_on < ${NEXT} and ${condition} order by s.number limit 20) first), '[]')`

const FOUND = statement<Found>(`
select ${FIRST_OPEN_MONTH} as "firstOpen",
       ${heldBefore(NEXT)} or exists (select 1 from movement where warehouse_id = $1 and occurred_on >= $2::date and occurred_on < ${NEXT}) as "hasHeld",
       (select json_build_object('number', number, 'state', state) from stock_count
         where warehouse_id = $1 and kind = 'month-end' and period = $2::date and state <> 'cancelled') as count,
       ${slips('s.late_duty is not null and s.late_settled_at is null')} as late,
       ${slips("s.state = 'approved'")} as approved,
       ${slips("s.state in ('draft', 'awaiting-signatures', 'refused')")} as unfinished,
       coalesce((
         select json_agg(number order by number) from (
           select s.number
             from transfer t join slip s on s.transfer_warehouse_id = t.warehouse_id and s.transfer_id = t.id
            where t.state = 'in-transit' and $1 in (t.warehouse_id, t.to_warehouse_id) and s.kind = 'transfer-out' and s.state = 'posted' and s.occurred_on < $2::date
              and 0 < (select sum(f.quantity) from transfer_flow f where f.warehouse_id = t.warehouse_id and f.transfer_id = t.id and f.out_slip_id = s.id)
            union
           select s.number
             from slip s
            where s.kind = 'transfer-out' and s.state = 'posted' and s.occurred_on < $2::date and s.transfer_id is null and (s.warehouse_id = $1 or s.counterparty = $3)
              and not exists (select 1 from slip r where r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted')
              and exists (
                select 1 from slip_line l
                 where l.warehouse_id = s.warehouse_id and l.slip_id = s.id
                 group by l.part_id
                having -sum(l.quantity) > coalesce((
                  select sum(il.quantity)
                    from slip i join slip_line il on il.warehouse_id = i.warehouse_id and il.slip_id = i.id
                   where i.kind = 'transfer-in' and i.state = 'posted' and i.reference = s.number and il.part_id = l.part_id
                     and not exists (select 1 from slip r where r.warehouse_id = i.warehouse_id and r.source_slip_id = i.id and r.kind = 'reversal' and r.state = 'posted')), 0))
            order by number limit 20) first), '[]') as "inTransit"`)

/** That a month is not over in the business time zone, if it is not. Asks no table, and takes no lock. */
export function notOver(ctx: Pick<Context, 'clock'>, period: string): Missing | undefined {
  // Months are compared, not their text: the one after 9999-12 is +010000-01.
  const month = Temporal.PlainYearMonth.from(period)
  const current = Temporal.PlainDate.from(ctx.clock.today()).toPlainYearMonth()
  if (Temporal.PlainYearMonth.compare(month, current) < 0) return undefined
  const closableFrom = month.add({ months: 1 }).toPlainDate({ day: 1 }).toString()
  return {
    kind: 'period-not-over',
    detail: `${period} is not over; it can be closed from ${closableFrom} on`,
    documents: []
  }
}

// Balances with a lot at the end of the month that no settled line covers: of the month-end count, of those that count again what
// it left over, or of another one that was approved and counted them in the month.
const UNCOUNTED = statement<{ part: string; ownership: string; condition: string; total: number }>(`
with recursive of_month (id) as (
  select id from stock_count where warehouse_id = $1 and kind = 'month-end' and period = $2::date and state = 'approved'
   union
  select f.id from of_month join stock_count f on f.warehouse_id = $1 and f.follows_count_id = of_month.id where f.state = 'approved'
), held as (
  select part_id, ownership, condition from lot where warehouse_id = $1 and opened_on < ${NEXT} and (not exhausted or last_moved_on >= ${NEXT})
), counted as (
  select l.part_id, l.ownership, l.condition
    from count_line l join of_month on of_month.id = l.count_id
   where l.warehouse_id = $1 and l.state = 'settled'
   union all
  select l.part_id, l.ownership, l.condition
    from stock_count c join count_line l on l.warehouse_id = c.warehouse_id and l.count_id = c.id
   where c.warehouse_id = $1 and c.state = 'approved' and c.approved_at >= ($2::date)::timestamp at time zone $3
     and l.state = 'settled' and l.counted_at >= ($2::date)::timestamp at time zone $3 and l.counted_at < ${NEXT}::timestamp at time zone $3
), uncounted as (
  select part_id, ownership, condition from held except select part_id, ownership, condition from counted
)
select part.number as part, u.ownership, u.condition, count(*) over ()::int as total
  from uncounted u join part on part.id = u.part_id
 order by part.number, u.ownership, u.condition limit ${NAMED_OFFENDERS}`)

// Stock of the month that changed after its month-end count was handed in, other than by what that count found. A slip of a month
// that was closed by then cannot be among them: those months are not looked through.
const AFTER_COUNT = statement<{ number: string; total: number }>(`
select s.number, count(*) over ()::int as total
  from stock_count c
 cross join lateral (select coalesce(min(period) filter (where closed_at > c.submitted_at), (max(period) + interval '1 month')::date, '0001-01-01') as first_open
                       from stock_period where warehouse_id = $1 and state = 'closed') closed
  join slip s on s.warehouse_id = $1 and s.occurred_on >= closed.first_open and s.occurred_on < ${NEXT}
   and s.state = 'posted' and s.posted_at > c.submitted_at and s.id is distinct from c.adjustment_slip_id
 where c.warehouse_id = $1 and c.kind = 'month-end' and c.period = $2::date and c.state = 'approved'
 order by s.number limit ${NAMED_OFFENDERS}`)

/**
 * @param period the month, `2026-10`
 * @returns nothing missing if it may be closed now
 */
export async function closingChecklist(ctx: Context, warehouse: Warehouse, period: string): Promise<Checklist> {
  const [found] = await run(ctx, FOUND, [warehouse.id, firstDay(period), warehouse.code])
  if (found === undefined) throw new Error('an aggregate always answers one row')
  const missing: Missing[] = []
  const lack = (kind: Missing['kind'], detail: string, documents: string[] = []) =>
    missing.push({ kind, detail, documents })
  const some = (documents: string[]): string =>
    `${documents.slice(0, 5).join(', ')}${documents.length > 5 ? ' and more' : ''}`

  const early = notOver(ctx, period)
  if (early !== undefined) missing.push(early)
  if (found.firstOpen !== null && found.firstOpen < period)
    lack('previous-period-open', `months are closed in order, and ${found.firstOpen} is still open; close it first`)
  if (found.count === null ? found.hasHeld : found.count.state !== 'approved')
    lack(
      'count-not-approved',
      found.count === null
        ? `the month-end count of ${period} is not opened; open it with {"kind": "month-end", "period": "${period}"}`
        : `the month-end count ${found.count.number} is ${found.count.state}; it must be approved by head office`,
      found.count === null ? [] : [found.count.number]
    )
  if (found.late.length > 0)
    lack(
      'late-signature-open',
      `goods were released without a signature that is still due: ${some(found.late)}; have them signed`,
      found.late
    )
  if (found.approved.length > 0)
    lack(
      'slip-approved-not-posted',
      `signed by all and not posted: ${some(found.approved)}; post or cancel them`,
      found.approved
    )
  if (found.inTransit.length > 0)
    lack(
      'goods-in-transit',
      `under way since before ${period}: ${some(found.inTransit)}; receive them, call them back, or reverse them; what was not written by a transfer is received by a transfer-in with that number as its reference`,
      found.inTransit
    )
  const warnings: Checklist['warnings'] = []
  if (found.unfinished.length > 0)
    warnings.push({
      detail: `not signed by all and dated into ${period} or before: ${some(found.unfinished)}; once the month is closed they must be cancelled and written anew with a later day`,
      documents: found.unfinished
    })
  if (found.count?.state === 'approved') {
    const after = await run(ctx, AFTER_COUNT, [warehouse.id, firstDay(period)])
    const numbers = after.map(({ number }) => number)
    if (numbers.length > 0)
      warnings.push({
        detail: `dated into ${period} or before and posted after its count ${found.count.number} was submitted: ${some(numbers)}${after[0]?.total === 1 ? '' : ` (${after[0]?.total} slips)`}; what they moved was not counted as it is in the ledger: look at the shelf again, or open a cycle count`,
        documents: numbers
      })
    const uncounted = await run(ctx, UNCOUNTED, [warehouse.id, firstDay(period), ctx.config.BUSINESS_TIME_ZONE])
    const [{ total } = { total: 0 }] = uncounted
    if (total > 0)
      warnings.push({
        detail: `${total} ${total === 1 ? 'balance' : 'balances'} on hand at the end of ${period} that no approved count of the month has counted: ${uncounted
          .map(({ part, ownership, condition }) => `${part} ${ownership} ${condition}`)
          .join(', ')}${total > uncounted.length ? ' and more' : ''}; they may be counted by a cycle count`,
        documents: [found.count.number]
      })
  }
  return { missing, warnings }
}
