// The stock report of a month (进销存月报, R-FIN-2): opening + in − out + adjustment = closing for every balance, in quantity, original
// cost and accumulated depreciation, to which the charge of the month comes. What it uses:
// - Closing is what the lots say at the end of the month, the movements say what came and went, and opening is the rest. So a
//   frozen month proves something: its opening must be the closing that was frozen before it (`close-period.ts` refuses otherwise).
// - In and out go by the kind of the slip; a reversal (红字) stands, negative, where the slip it reverses stood. Only counts adjust. A
//   refurbishment is both: old parts go out, what they became comes in.
import type { Context } from '../identity/actor.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { type CsvColumns } from '../platform/csv.ts'
import { run, statement, type Statement } from '../platform/database.ts'
import { SLIP_KIND_RULES, type SlipKind } from '../slips/slip-kinds.ts'
import { firstDay, monthRows, type BookedMonths } from './depreciation.ts'
import { FIRST_AFTER, lotBooks, onlyPart } from './lot-books.ts'

const FIGURES = ['opening', 'in', 'out', 'adjustment', 'closing'] as const
type Figure = (typeof FIGURES)[number]
type Figures = Record<
  `${Figure}Quantity` | `${Figure}Cost` | `${Figure}AccumulatedDepreciation` | `${Figure}NetBookValue`,
  string
>

/** A balance in the report; decimals are text. Outgoing figures are positive. */
export interface StockReportRow extends Figures {
  warehouse: string
  period: string
  state: 'closed' | 'preview'
  part: string
  name: string
  nameZh: string | null
  specification: string | null
  unit: string
  ownership: Ownership
  condition: Condition
  /** Depreciation of the month, which is in the closing accumulated depreciation. */
  charge: string
}

export type StockReportTotals = Omit<
  StockReportRow,
  'warehouse' | 'period' | 'state' | 'part' | 'name' | 'nameZh' | 'specification' | 'unit' | 'ownership' | 'condition'
> & { balances: number }

const FIGURE_NAMES: Record<Figure, string> = {
  opening: 'opening 期初',
  in: 'in 本期入库',
  out: 'out 本期出库',
  adjustment: 'adjustment 盘点调整',
  closing: 'closing 期末'
}
const figureHeadings = (figure: Figure): CsvColumns<StockReportRow> => ({
  [`${figure}Quantity`]: `${FIGURE_NAMES[figure]}: quantity 数量`,
  [`${figure}Cost`]: `${FIGURE_NAMES[figure]}: cost 原值`,
  [`${figure}AccumulatedDepreciation`]: `${FIGURE_NAMES[figure]}: accumulated depreciation 累计折旧`,
  [`${figure}NetBookValue`]: `${FIGURE_NAMES[figure]}: net book value 净值`
})

/** The columns of the report as a file. */
export const STOCK_REPORT_COLUMNS: CsvColumns<StockReportRow> = {
  period: 'period 会计期间',
  warehouse: 'warehouse 仓库',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name (zh) 货名',
  specification: 'specification 规格',
  unit: 'unit 单位',
  ownership: 'ownership 所有权',
  condition: 'condition 质量状态',
  ...figureHeadings('opening'),
  ...figureHeadings('in'),
  ...figureHeadings('out'),
  ...figureHeadings('adjustment'),
  charge: 'depreciation of the month 本月折旧',
  ...figureHeadings('closing')
}

const kindsOf = (direction: 'in' | 'out'): string =>
  (Object.keys(SLIP_KIND_RULES) as SlipKind[])
    .filter((kind) => SLIP_KIND_RULES[kind].direction === direction)
    .map((kind) => `'${kind}'`)
    .concat(`'refurbished-${direction}'`)
    .join(', ')

/** The kind a movement `m` is reported under, of a slip `s` whose source is `source`. */
const REPORTED_KIND = `case when coalesce(source.kind, s.kind) = 'refurbishment'
                                  then case when (m.quantity > 0) <> (s.kind = 'reversal') then 'refurbished-in' else 'refurbished-out' end
                                  when s.kind = 'reversal' then source.kind else s.kind end`

/** Movements of the month with the kind they are reported under, as `moved`; parameters as in `lotBooks`. */
const moves = (part?: string): string => `
  moved as (
    select m.warehouse_id, m.part_id, m.ownership, m.condition, ${REPORTED_KIND} as kind, sum(m.quantity) as quantity, sum(m.cost) as cost, sum(m.charge) as charge
      from movement m
      join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
      left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
     where m.warehouse_id = any ($1::int[]) and m.occurred_on >= $2::date and m.occurred_on < ($2::date + interval '1 month')::date${onlyPart('m', part)}
     group by 1, 2, 3, 4, 5
  )`

const sumIf = (column: string, kinds: string): string => `sum(${column}) filter (where kind in (${kinds}))`
const moved = (column: string): string => `
           coalesce(${sumIf(column, kindsOf('in'))}, 0) as in_${column}, coalesce(-${sumIf(column, kindsOf('out'))}, 0) as out_${column},
           coalesce(${sumIf(column, "'adjustment'")}, 0) as adjustment_${column}`

const closingOf = (part?: string): string => `${lotBooks(part)}, closing as (
    select warehouse_id, part_id, ownership, condition, sum(quantity) as quantity, sum(cost) as cost, sum(accumulated) as accumulated, sum(charge) as charge
      from book group by 1, 2, 3, 4
  )`
// When the month is being closed the lots of own goods are frozen already; consigned ones have a quantity and nothing else.
const FROZEN_CLOSING = `
  consigned as (
    select l.warehouse_id, l.part_id, l.condition, l.on_hand - coalesce(later.quantity, 0) as quantity
      from lot l
      left join (select warehouse_id, lot_id, sum(quantity) as quantity from movement
                  where warehouse_id = any ($1::int[]) and occurred_on >= ${FIRST_AFTER} and ownership = 'consigned' group by 1, 2) later
             on later.warehouse_id = l.warehouse_id and later.lot_id = l.id
     where l.warehouse_id = any ($1::int[]) and l.ownership = 'consigned' and l.opened_on < ${FIRST_AFTER} and (not l.exhausted or l.last_moved_on >= ${FIRST_AFTER})
  ), closing as (
    select warehouse_id, part_id, 'own' as ownership, condition, sum(quantity) as quantity, sum(cost) as cost, sum(accumulated) as accumulated, sum(charge) as charge
      from depreciation_line where warehouse_id = any ($1::int[]) and period = $2::date group by 1, 2, 4
     union all
    select warehouse_id, part_id, 'consigned', condition, sum(quantity), 0, 0, 0 from consigned where quantity > 0 group by 1, 2, 4
  )`

/** Ends in `report`, with the columns of `stock_report_line`. */
const reportOf = (closing: string, part: string, onlyOf?: string): string => `${closing}, ${moves(onlyOf)}, flow as (
    select warehouse_id, part_id, ownership, condition, ${moved('quantity')}, ${moved('cost')}, ${moved('charge')}
      from moved group by 1, 2, 3, 4
  ), report as (
    select warehouse_id, $2::date as period, part.number as part_number, ownership, condition, part_id, part.name, part.name_zh, part.specification, part.unit,
           quantity - in_quantity + out_quantity - adjustment_quantity as opening_quantity,
           cost - in_cost + out_cost - adjustment_cost as opening_cost,
           accumulated - charge - in_charge + out_charge - adjustment_charge as opening_accumulated,
           in_quantity, in_cost, in_charge as in_accumulated, out_quantity, out_cost, out_charge as out_accumulated,
           adjustment_quantity, adjustment_cost, adjustment_charge as adjustment_accumulated,
           charge, quantity as closing_quantity, cost as closing_cost, accumulated as closing_accumulated
      from (select warehouse_id, part_id, ownership, condition,
                   ${['quantity', 'cost', 'accumulated', 'charge'].map((column) => `coalesce(closing.${column}, 0) as ${column}`).join(', ')},
                   ${['in', 'out', 'adjustment'].flatMap((figure) => ['quantity', 'cost', 'charge'].map((column) => `coalesce(flow.${figure}_${column}, 0) as ${figure}_${column}`)).join(', ')}
              from closing full join flow using (warehouse_id, part_id, ownership, condition)) figures
      ${part}
  )`
/** @param onlyOf a parameter that is the id of the only part that is asked for, or null */
const report = (onlyOf?: string): string => reportOf(closingOf(onlyOf), 'join part on part.id = part_id', onlyOf)
// Nothing is known yet of rows that were just frozen: taken for two, they would be compared with every part of the catalogue.
const PART_BY_PART =
  'cross join lateral (select number, name, name_zh, specification, unit from part where id = part_id offset 0) part'

const LINE_COLUMNS = `warehouse_id, period, part_number, ownership, condition, part_id, name, name_zh, specification, unit,
  opening_quantity, opening_cost, opening_accumulated, in_quantity, in_cost, in_accumulated, out_quantity, out_cost, out_accumulated,
  adjustment_quantity, adjustment_cost, adjustment_accumulated, charge, closing_quantity, closing_cost, closing_accumulated`

const FREEZE = statement<never>(
  `with ${reportOf(FROZEN_CLOSING, PART_BY_PART)} insert into stock_report_line (${LINE_COLUMNS}) select ${LINE_COLUMNS} from report`
)

/** Writes the report of a month, inside the transaction that closes it, from the depreciation that was just frozen. A second run fails on the key of the rows that are there. */
export async function freezeStockReport(
  ctx: Context,
  { warehouseId, period }: { warehouseId: number; period: string }
): Promise<void> {
  await run(ctx, FREEZE, [[warehouseId], firstDay(period)])
}

const UNTIED = statement<{ part: string; ownership: string; condition: string; opening: string; closing: string }>(`
select part_number as part, ownership, condition,
       trim_scale(coalesce(now.opening_quantity, 0)) || ' at ' || coalesce(now.opening_cost, 0) || ' less ' || coalesce(now.opening_accumulated, 0) as opening,
       trim_scale(coalesce(before.closing_quantity, 0)) || ' at ' || coalesce(before.closing_cost, 0) || ' less ' || coalesce(before.closing_accumulated, 0) as closing
  from (select * from stock_report_line where warehouse_id = $1 and period = $2::date) now
  full join (select * from stock_report_line where warehouse_id = $1 and period = ($2::date - interval '1 month')::date) before
       using (part_number, ownership, condition)
 where (coalesce(now.opening_quantity, 0), coalesce(now.opening_cost, 0), coalesce(now.opening_accumulated, 0))
    <> (coalesce(before.closing_quantity, 0), coalesce(before.closing_cost, 0), coalesce(before.closing_accumulated, 0))
 order by 1, 2, 3 limit 20`)

/** The balances whose opening is not what the month before closed with. There are none unless the books were changed past the service. */
export const untiedOpenings = (
  ctx: Context,
  { warehouseId, period }: { warehouseId: number; period: string }
): Promise<{ part: string; ownership: string; condition: string; opening: string; closing: string }[]> =>
  run(ctx, UNTIED, [warehouseId, firstDay(period)])

const figureColumns = (of: (expression: string) => string, as: (expression: string) => string): string =>
  FIGURES.flatMap((figure) => [
    `${as(`trim_scale(${of(`${figure}_quantity`)})`)} as "${figure}Quantity"`,
    `${as(`${of(`${figure}_cost`)}::numeric(18,2)`)} as "${figure}Cost"`,
    `${as(`${of(`${figure}_accumulated`)}::numeric(18,2)`)} as "${figure}AccumulatedDepreciation"`,
    `${as(`(${of(`${figure}_cost`)} - ${of(`${figure}_accumulated`)})::numeric(18,2)`)} as "${figure}NetBookValue"`
  ]).join(',\n       ')

const text = (expression: string): string => `(${expression})::text`
const ROW = `part_number as part, name, name_zh as "nameZh", specification, unit, ownership, condition,
       ${figureColumns((column) => column, text)}, charge::numeric(18,2)::text as charge`
const PAGE = `($3::int is null or part_id = $3) and (part_number, ownership, condition) > ($4::text, $5::text, $6::text)
 order by part_number, ownership, condition limit $7`

// One warehouse, said as one, so that the index gives the rows in their order and a page reads no others.
const FROZEN = `select ${ROW} from stock_report_line where warehouse_id = ($1::int[])[1] and period = $2::date and ${PAGE}`
const COMPUTED = `with ${report('$3')} select ${ROW} from report where ${PAGE}`

export type StockReportKey = [part: string, ownership: string, condition: string]

/** Balances of one warehouse and month by part, ownership and condition: those on hand at its end, and those that moved. */
export const { rows: stockReportRows, stream: stockReportStream } = monthRows<StockReportRow, StockReportKey>(
  FROZEN,
  COMPUTED,
  ['', '', '']
)

const TOTAL_FIGURES = `count(*)::int as balances, ${figureColumns((column) => `coalesce(sum(${column}), 0)`, text)}, coalesce(sum(charge), 0)::numeric(18,2)::text as charge`
const frozenLines = (ids: string, part: string): string =>
  `select ${LINE_COLUMNS} from stock_report_line where warehouse_id = any (${ids}::int[]) and period = $2::date and (${part}::int is null or part_id = ${part})`
// $1 the open warehouses, $2 the month, $3 the closed ones, $4 a part or null.
const TOTALS: Statement<StockReportTotals> = {
  text: `
with ${report('$4')}, line as (
  select ${LINE_COLUMNS} from report
   union all
  ${frozenLines('$3', '$4')}
)
select ${TOTAL_FIGURES} from line`
}
// What every closing asks of its own month; the books need not be planned for it.
const FROZEN_TOTALS = statement<StockReportTotals>(`select ${TOTAL_FIGURES} from (${frozenLines('$1', '$3')}) line`)

/** The sums of all balances of the warehouses. Quantities of all parts together. */
export async function stockReportTotals(
  ctx: Context,
  { closedIds, openIds, period, partId }: BookedMonths
): Promise<StockReportTotals> {
  const [totals] =
    openIds.length === 0
      ? await run(ctx, FROZEN_TOTALS, [closedIds, firstDay(period), partId ?? null])
      : await run(ctx, TOTALS, [openIds, firstDay(period), closedIds, partId ?? null])
  if (totals === undefined) throw new Error('a sum is always one row')
  return totals
}
