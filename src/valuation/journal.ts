// The journal lines of a month for the general ledger (R-AGE-4, R-FIN-2): what each kind of slip moved, and the depreciation. Every
// entry balances: what leaves is credited to the inventory at its original cost, its accumulated depreciation is debited, and the
// net book value goes to the account of the kind. Consigned goods have no value here and are in no entry (R-STK-6).
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { firstDay } from './depreciation.ts'
import { accountsOf, type JournalRole } from './journal-accounts.ts'

/** A line of a journal entry; exactly one of debit and credit is not 0.00. */
export interface JournalLine {
  /** `depreciation`, or the kind of slip whose movements of the month are booked together. */
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

const LINES = statement<{ entry: string; role: JournalRole; debit: string; credit: string }>(`
with booked as (
  select ${KIND} as entry, ${LEFT_BY} as left_by, m.quantity > 0 as comes_in, sum(m.cost) as cost, sum(m.charge) as charge
    from movement m
    join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
    left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
    left join slip origin on origin.warehouse_id = source.warehouse_id and origin.id = source.source_slip_id
   where m.warehouse_id = $1 and m.ownership = 'own' and m.occurred_on >= $2::date and m.occurred_on < ($2::date + interval '1 month')::date
   group by 1, 2, 3
), line as (
  select entry, 1 as place, 'inventory' as role, cost as amount from booked
  union all
  select entry, 2, 'accumulated-depreciation', -charge from booked
  union all
  select entry, 3,
         case coalesce(left_by, entry)
           when 'issue' then 'material-cost'
           when 'sale' then 'cost-of-sales'
           when 'scrap' then 'scrap-loss'
           when 'opening' then 'opening-balance'
           when 'adjustment' then case when comes_in then 'count-gain' else 'count-loss' end
           when 'loan-out' then 'loaner-goods' when 'loan-in' then 'loaner-goods'
           when 'transfer-out' then 'goods-in-transit' when 'transfer-in' then 'goods-in-transit'
           else 'goods-received' end,
         charge - cost
    from booked
  union all
  select 'depreciation', place, role, amount
    from (values (1, 'depreciation-expense', $3::numeric), (2, 'accumulated-depreciation', -$3::numeric)) as charged (place, role, amount)
)
select entry, role, greatest(sum(amount), 0)::numeric(18,2)::text as debit, greatest(-sum(amount), 0)::numeric(18,2)::text as credit
  from line
 group by entry, place, role
having sum(amount) <> 0
 order by entry = 'depreciation' desc, entry, place, role`)

/**
 * The journal lines of a warehouse and month.
 * @param charge the depreciation of the month
 */
export async function journalLines(
  ctx: Context,
  { warehouseId, period, charge }: { warehouseId: number; period: string; charge: string }
): Promise<JournalLine[]> {
  const accounts = (await accountsOf(ctx, [warehouseId])).get(warehouseId)
  const lines = await run(ctx, LINES, [warehouseId, firstDay(period), charge])
  return lines.map(({ entry, role, debit, credit }) => {
    const account = accounts?.[role]
    if (account === undefined) throw new Error(`the role ${role} has no account, not even the default one`)
    return { entry, role, ...account, debit, credit }
  })
}
