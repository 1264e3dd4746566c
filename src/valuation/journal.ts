// The journal lines of a month for the general ledger (R-AGE-4, R-FIN-2): what each kind of slip moved, and the depreciation. Every
// entry balances: what leaves is credited to the inventory at its original cost, its accumulated depreciation is debited, and the
// net book value goes to the account of the kind. Consigned goods have no value here and are in no entry (R-STK-6).
//
// What is in transit lies on an account of its own: the giver debits it, the receiver credits it, and over both what is left is what has
// not arrived. What is missing stays there while its claim is open, and leaves it in the books of the giver, who was not paid for it, on the
// day the claim is settled: to what the carrier owes, or to the loss of the giver who never sent it. If the slip that found it missing is
// reversed afterwards, that is taken back on the day of the posting: the month of the paper may be closed at the giver. A claim that is
// withdrawn books nothing, the goods are in transit again; damaged goods arrived, and are in the books of the receiver.
//
// What a technician compensates for a tool is claimed on the day it is decided, against the disposal of the tool or its repair; a tool that is
// found takes that back on the day it is found (R-TOOL-2). Tools themselves are no stock: their value is in no other entry.
import type { Context } from '../identity/actor.ts'
import { run, statement, type Statement } from '../platform/database.ts'
import { chargesOf, firstDay, stateOf, type BookedMonth, type BookedMonths } from './depreciation.ts'
import { accountsOf, type JournalRole } from './journal-accounts.ts'

/** A line of a journal entry; exactly one of debit and credit is not 0.00. */
export interface JournalLine {
  /** `depreciation`, `transfer-claim`, `tool-compensation`, or the kind of slip whose movements of the month are booked together. */
  entry: string
  role: JournalRole
  account: string
  name: string
  nameZh: string | null
  debit: string
  credit: string
}

// A return goes back to where the goods had gone, a reversal to where its slip had; a reversed return needs one step more.
const KIND = `case when s.kind = 'reversal' and source.kind = 'return' then 'return'
               when s.kind = 'reversal' then source.kind else s.kind end`
const LEFT_BY = `case when s.kind = 'return' then source.kind when s.kind = 'reversal' and source.kind = 'return' then origin.kind end`

// $1 the warehouses, $2 the month, $3 the depreciation of the month of each, $4 the business time zone. Ends in `entry_line`.
const ENTRIES = `
settled as (
  select c.warehouse_id, c.responsible, a.slip_warehouse_id, a.slip_id, a.cost - a.charge as value, c.decided_on
    from transfer_claim c
    join transfer_arrival a on a.warehouse_id = c.warehouse_id and a.transfer_id = c.transfer_id and a.claim_no = c.claim_no
   where c.warehouse_id = any ($1::int[]) and c.kind = 'missing' and c.state = 'settled' and c.decided_on < ($2::date + interval '1 month')::date
), missing as (
  select warehouse_id, responsible, value from settled where decided_on >= $2::date
  union all
  select c.warehouse_id, c.responsible, -c.value
    from settled c
    join slip r on r.warehouse_id = c.slip_warehouse_id and r.source_slip_id = c.slip_id and r.kind = 'reversal' and r.state = 'posted'
     and r.posted_at >= $2::date::timestamp at time zone $4 and r.posted_at < ($2::date + interval '1 month') at time zone $4
), booked as (
  select m.warehouse_id, ${KIND} as entry, ${LEFT_BY} as left_by, m.quantity > 0 as comes_in, sum(m.cost) as cost, sum(m.charge) as charge
    from movement m
    join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
    left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
    left join slip origin on origin.warehouse_id = source.warehouse_id and origin.id = source.source_slip_id
   where m.warehouse_id = any ($1::int[]) and m.ownership = 'own' and m.occurred_on >= $2::date and m.occurred_on < ($2::date + interval '1 month')::date
   group by 1, 2, 3, 4
), line as (
  select warehouse_id, entry, 1 as place, 'inventory' as role, cost as amount from booked
  union all
  select warehouse_id, entry, 2, 'accumulated-depreciation', -charge from booked
  union all
  select warehouse_id, entry, 3,
         case coalesce(left_by, entry)
           when 'issue' then 'material-cost'
           when 'sale' then 'cost-of-sales'
           when 'scrap' then 'scrap-loss'
           when 'opening' then 'opening-balance'
           when 'adjustment' then case when comes_in then 'count-gain' else 'count-loss' end
           when 'loan-out' then 'loaner-goods' when 'loan-in' then 'loaner-goods'
           when 'transfer-out' then 'goods-in-transit' when 'transfer-in' then 'goods-in-transit'
           when 'refurbishment' then 'refurbishment'
           else 'goods-received' end,
         charge - cost
    from booked
  union all
  select warehouse_id, 'transfer-claim', 1, case responsible when 'carrier' then 'carrier-claims' else 'count-loss' end, value from missing
  union all
  select warehouse_id, 'transfer-claim', 2, 'goods-in-transit', -value from missing
  union all
  select c.warehouse_id, 'tool-compensation', side.place, case side.place when 1 then 'employee-claims' else c.credited end, case side.place when 1 then c.amount else -c.amount end
    from tool_compensation c
   cross join (values (1), (2)) as side (place)
   where c.warehouse_id = any ($1::int[]) and c.booked_on >= $2::date and c.booked_on < ($2::date + interval '1 month')::date
  union all
  select warehouse_id, 'depreciation', place, role, case place when 1 then charge else -charge end
    from unnest($1::int[], $3::numeric[]) as charged (warehouse_id, charge)
   cross join (values (1, 'depreciation-expense'), (2, 'accumulated-depreciation')) as side (place, role)
), entry_line as (
  select warehouse_id, entry, place, role, greatest(sum(amount), 0)::numeric(18,2) as debit, greatest(-sum(amount), 0)::numeric(18,2) as credit
    from line
   group by warehouse_id, entry, place, role
  having sum(amount) <> 0
)`
const LINES = statement<{ entry: string; role: JournalRole; debit: string; credit: string }>(`
with ${ENTRIES}
select entry, role, debit::text as debit, credit::text as credit from entry_line order by entry = 'depreciation' desc, entry, place, role`)

/**
 * The journal lines of a warehouse and month, worked out from its movements.
 * @param charge the depreciation of the month
 */
export async function journalLines(
  ctx: Context,
  { warehouseId, period, charge }: { warehouseId: number; period: string; charge: string }
): Promise<JournalLine[]> {
  const accounts = (await accountsOf(ctx, [warehouseId])).get(warehouseId)
  const lines = await run(ctx, LINES, [[warehouseId], firstDay(period), [charge], ctx.config.BUSINESS_TIME_ZONE])
  return lines.map(({ entry, role, debit, credit }) => {
    const account = accounts?.[role]
    if (account === undefined) throw new Error(`the role ${role} has no account, not even the default one`)
    return { entry, role, ...account, debit, credit }
  })
}

/** A line with the department it belongs to and its place in the month, from 1. */
export interface JournalRow extends JournalLine {
  warehouse: string
  period: string
  state: 'closed' | 'preview'
  line: number
}

const STORED = statement<{ journal: JournalLine[] }>(
  `select content::json -> 'journal' as journal from period_statement where warehouse_id = $1 and period = $2::date`
)

/** Whether a line is of what is claimed from people, which is told to who decides and books it, and else to nobody (`readsClaims`). */
export const isOfClaim = ({ entry }: Pick<JournalLine, 'entry'>): boolean => entry === 'tool-compensation'

/**
 * The journal of a warehouse and month: of a closed one as it is in the statement, with the accounts of that time. A line has the same place
 * whoever reads it.
 */
export async function journalRows(
  ctx: Context,
  month: BookedMonth,
  { after = 0, limit }: { after?: number; limit?: number } = {}
): Promise<JournalRow[]> {
  const { warehouse, period } = month
  const lines = month.isClosed
    ? ((await run(ctx, STORED, [warehouse.id, firstDay(period)]))[0]?.journal ?? [])
    : await journalLines(ctx, {
        warehouseId: warehouse.id,
        period,
        charge: (await chargesOf(ctx, { warehouseIds: [warehouse.id], period })).get(warehouse.id) ?? '0.00'
      })
  return lines
    .map((line, index) => ({ warehouse: warehouse.code, period, state: stateOf(month), line: index + 1, ...line }))
    .filter((row) => row.line > after && !(month.hidesClaims === true && isOfClaim(row)))
    .slice(0, limit)
}

export interface JournalTotals {
  lines: number
  debit: string
  credit: string
}

const TOTALS: Statement<JournalTotals> = {
  text: `
with ${ENTRIES}, every as (
  select debit, credit from entry_line where entry <> 'tool-compensation' or warehouse_id <> all ($6::int[])
   union all
  select (line ->> 'debit')::numeric, (line ->> 'credit')::numeric
    from period_statement s cross join json_array_elements(s.content::json -> 'journal') as line
   where s.warehouse_id = any ($5::int[]) and s.period = $2::date and (line ->> 'entry' <> 'tool-compensation' or s.warehouse_id <> all ($6::int[]))
)
select count(*)::int as lines, coalesce(sum(debit), 0)::numeric(18,2)::text as debit, coalesce(sum(credit), 0)::numeric(18,2)::text as credit from every`
}

/** The sums of the journals of the warehouses; debit and credit are the same. */
export async function journalTotals(
  ctx: Context,
  { closedIds, openIds, period, hidingIds = [] }: BookedMonths
): Promise<JournalTotals> {
  const charges = await chargesOf(ctx, { warehouseIds: openIds, period })
  const [totals] = await run(ctx, TOTALS, [
    openIds,
    firstDay(period),
    openIds.map((id) => charges.get(id) ?? '0.00'),
    ctx.config.BUSINESS_TIME_ZONE,
    closedIds,
    hidingIds
  ])
  if (totals === undefined) throw new Error('a sum is always one row')
  return totals
}
