// What repairs consumed in a month (售后材料成本, R-FIN-2): own goods issued to repair orders, technicians and outlets, less what came
// back and what was reversed, by what they were issued to. It is what the journal books to the role `material-cost`: a return or a
// reversal counts in the month it is dated into, and under what the goods had been issued to. Movements never change, so nothing of
// it needs to be frozen.
import type { Context } from '../identity/actor.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { run, statement } from '../platform/database.ts'
import type { Purpose } from '../slips/slip-kinds.ts'
import { firstDay, stateOf, type BookedMonth, type BookedMonths } from './depreciation.ts'
import type { RowSource } from './statement-scope.ts'

/** What one repair order, technician or outlet took; decimals are text, negative where more came back than left. */
export interface MaterialCostRow {
  warehouse: string
  period: string
  state: 'closed' | 'preview'
  purpose: Purpose
  reference: string | null
  /** Slips, with those by which goods came back or were reversed. */
  slips: number
  /** Lines of these slips. */
  lines: number
  quantity: string
  cost: string
  accumulatedDepreciation: string
  /** Cost less accumulated depreciation: what the repair is charged. */
  netBookValue: string
}

export const MATERIAL_COST_COLUMNS: CsvColumns<MaterialCostRow> = {
  period: 'period 会计期间',
  warehouse: 'warehouse 仓库',
  state: 'state 状态',
  purpose: 'purpose 用途',
  reference: 'reference 维修单号/网点',
  slips: 'slips 单据数',
  lines: 'lines 行数',
  quantity: 'quantity 数量',
  cost: 'cost 原值',
  accumulatedDepreciation: 'accumulated depreciation relieved 转出累计折旧',
  netBookValue: 'net book value 净值'
}

export interface MaterialCostTotals {
  slips: number
  lines: number
  quantity: string
  cost: string
  accumulatedDepreciation: string
  netBookValue: string
}

// The issue itself, the one that goods came back of, or the one whose slip or return was reversed.
const CONSUMED = `
  from movement m
  join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
  left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
  left join slip origin on origin.warehouse_id = source.warehouse_id and origin.id = source.source_slip_id
 cross join lateral (select case when s.kind = 'issue' then s.purpose when source.kind = 'issue' then source.purpose else origin.purpose end as purpose,
                            case when s.kind = 'issue' then s.reference when source.kind = 'issue' then source.reference else origin.reference end as reference) issue
 where m.warehouse_id = any ($1::int[]) and m.ownership = 'own' and m.occurred_on >= $2::date and m.occurred_on < ($2::date + interval '1 month')::date
   and (s.kind = 'issue' or (s.kind in ('return', 'reversal') and source.kind = 'issue') or (s.kind = 'reversal' and source.kind = 'return' and origin.kind = 'issue'))`
const FIGURES = `count(distinct (m.warehouse_id, m.slip_id))::int as slips, count(distinct (m.warehouse_id, m.slip_id, m.line_no))::int as lines,
       trim_scale(coalesce(-sum(m.quantity), 0))::text as quantity, coalesce(-sum(m.cost), 0)::numeric(18,2)::text as cost,
       coalesce(-sum(m.charge), 0)::numeric(18,2)::text as "accumulatedDepreciation", coalesce(-sum(m.cost - m.charge), 0)::numeric(18,2)::text as "netBookValue"`
const PURPOSE = `coalesce(issue.purpose, 'repair-order')`

const REFERENCE = `nullif(issue.reference, '')`

const ROWS = `
select ${PURPOSE} as purpose, ${REFERENCE} as reference, ${FIGURES} ${CONSUMED}
   and (${PURPOSE}, coalesce(${REFERENCE}, '')) > ($3::text, $4::text)
 group by ${PURPOSE}, ${REFERENCE} order by ${PURPOSE}, coalesce(${REFERENCE}, '') limit $5`
type BareRow = Omit<MaterialCostRow, 'warehouse' | 'period' | 'state'>
const PAGE = statement<BareRow>(ROWS)
const TOTALS = statement<MaterialCostTotals>(`select ${FIGURES} ${CONSUMED}`)

const FIRST = ['', '']
const values = ({ warehouse, period }: BookedMonth, after: (string | number)[], limit: number | null) => [
  [warehouse.id],
  firstDay(period),
  ...after,
  limit
]
const whole = (month: BookedMonth, row: BareRow): MaterialCostRow => ({
  warehouse: month.warehouse.code,
  period: month.period,
  state: stateOf(month),
  ...row
})

/** What a warehouse issued in a month, by purpose and reference. */
export const materialCostSource: RowSource<MaterialCostRow> = {
  isOfWhatMoved: true,
  key: ['text', 'text'],
  keyOf: ({ purpose, reference }) => [purpose, reference ?? ''],
  page: async (ctx, month, { after, limit }) =>
    (await run(ctx, PAGE, values(month, after ?? FIRST, limit))).map((row) => whole(month, row)),
  stream: async function* (ctx, month) {
    for await (const row of rowsOf<BareRow>(ctx, ROWS, values(month, FIRST, null))) yield whole(month, row)
  }
}

/** The sums of all warehouses; the net book value is what their journals book to the role `material-cost`. */
export async function materialCostTotals(
  ctx: Context,
  { closedIds, openIds, period }: BookedMonths
): Promise<MaterialCostTotals> {
  const [totals] = await run(ctx, TOTALS, [[...closedIds, ...openIds], firstDay(period)])
  if (totals === undefined) throw new Error('a sum is always one row')
  return totals
}
