// The depreciation of a month (R-AGE-2, R-AGE-3), one row per own lot on hand at its end: read from the frozen rows of a closed
// month, worked out by the same statement that will freeze them for an open one. Consigned goods are never in it (R-STK-6).
import type { Context } from '../identity/actor.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { run, statement, type Statement } from '../platform/database.ts'
import { LOT_BOOKS, lotBooks } from './lot-books.ts'

/** A lot in the statement; decimals are text. */
export interface DepreciationRow {
  warehouse: string
  period: string
  state: 'closed' | 'preview'
  part: string
  name: string
  nameZh: string | null
  lot: string
  condition: 'qualified' | 'nonconforming'
  receivedOn: string
  /** 1 in the month of receipt, 4 in the fourth month, which under the standard policy is that of the first charge. */
  ageMonths: number
  quantity: string
  unitCost: string
  cost: string
  monthsCharged: number
  charge: string
  accumulatedDepreciation: string
  netBookValue: string
}

/** The columns of the statement as a file. */
export const DEPRECIATION_COLUMNS: CsvColumns<DepreciationRow> = {
  period: 'period 会计期间',
  warehouse: 'warehouse 仓库',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name (zh) 货名',
  lot: 'lot 批次',
  condition: 'condition 质量状态',
  receivedOn: 'received on 入库日期',
  ageMonths: 'age in months 库龄(月)',
  quantity: 'quantity 数量',
  unitCost: 'unit cost 单位成本',
  cost: 'cost 原值',
  monthsCharged: 'months charged 已折旧月数',
  charge: 'charge of the month 本月折旧',
  accumulatedDepreciation: 'accumulated depreciation 累计折旧',
  netBookValue: 'net book value 净值'
}

export interface DepreciationTotals {
  lots: number
  cost: string
  charge: string
  accumulatedDepreciation: string
  netBookValue: string
}

/** A warehouse and a month, and whether the month is closed there. `period` is the month, `2026-10`. */
export interface BookedMonth {
  warehouse: { id: number; code: string }
  period: string
  isClosed: boolean
  /** Whether what is claimed from people is left away: the reader is not told it. */
  hidesClaims?: boolean | undefined
}

/**
 * Warehouses and a month, those in which it is closed apart from those in which it is not.
 * @param partId only this part
 * @param hidingIds those of them of which what is claimed from people is left away
 */
export interface BookedMonths {
  closedIds: readonly number[]
  openIds: readonly number[]
  hidingIds?: readonly number[] | undefined
  period: string
  partId?: number | null | undefined
}

/** A month of one warehouse as `BookedMonths`. */
export const bookedMonths = ({ warehouse, period, isClosed }: BookedMonth): BookedMonths => ({
  closedIds: isClosed ? [warehouse.id] : [],
  openIds: isClosed ? [] : [warehouse.id],
  period
})

/** Whether the rows of a month can still change. */
export const stateOf = ({ isClosed }: Pick<BookedMonth, 'isClosed'>): 'closed' | 'preview' =>
  isClosed ? 'closed' : 'preview'

export const firstDay = (period: string): string => `${period}-01`

/**
 * How the rows of one warehouse and month are read, a page at a time or all of them as a stream, in the same order.
 * @param frozen the statement of a closed month, @param computed of an open one; of both `$1` is the warehouse, `$2` the month, `$3` the id of a
 *   part or null, `$4` to `$6` the row to go on after, `$7` how many
 * @param first a key before all others
 */
export function monthRows<Row extends { warehouse: string }, Key extends readonly [string, string, string]>(
  frozen: string,
  computed: string,
  first: Key
) {
  type Bare = Omit<Row, 'warehouse' | 'period' | 'state'>
  // What is worked out is planned anew for each month; what is frozen is found by its key.
  const frozenPage = statement<Bare>(frozen)
  const computedPage: Statement<Bare> = { text: computed }
  const values = (
    { warehouse, period }: BookedMonth,
    partId: number | null | undefined,
    after: Key,
    limit?: number
  ) => [[warehouse.id], firstDay(period), partId ?? null, ...after, limit ?? null]
  const whole = (month: BookedMonth, row: Bare) =>
    ({ warehouse: month.warehouse.code, period: month.period, state: stateOf(month), ...row }) as unknown as Row
  return {
    /** @param after the row to go on after, @param limit how many; from the first, and all of them, if left away */
    rows: async (
      ctx: Context,
      month: BookedMonth,
      { partId, after, limit }: { partId?: number | null | undefined; after?: Key | undefined; limit?: number } = {}
    ): Promise<Row[]> =>
      (await run(ctx, month.isClosed ? frozenPage : computedPage, values(month, partId, after ?? first, limit))).map(
        (row) => whole(month, row)
      ),
    /** For files: memory stays flat however many rows there are. */
    stream: async function* (
      ctx: Context,
      month: BookedMonth,
      { partId }: { partId?: number | null | undefined } = {}
    ): AsyncGenerator<Row> {
      for await (const row of rowsOf<Bare>(ctx, month.isClosed ? frozen : computed, values(month, partId, first)))
        yield whole(month, row)
    }
  }
}

const LINE =
  'warehouse_id, period, part_id, lot_id, condition, received_on, quantity, unit_cost, cost, months_charged, charge, accumulated'

/** Writes the rows of a month into a table of the shape of `depreciation_line`; parameters as in `LOT_BOOKS`. */
export const runInto = (table: string): string => `
with ${LOT_BOOKS}
insert into ${table} (${LINE})
select warehouse_id, $2::date, part_id, lot_id, condition, received_on, quantity, unit_cost, cost, months_charged, charge, accumulated
  from book where ownership = 'own'
 order by part_id, lot_id`

// Prepared; closing says whether it is planned anew, because a plan for any warehouse is a bad one for one with a million lots. In the order of the key, because the index then
// only grows at its end: with a million lots that saves more than the sorting costs.
const RUN = statement<never>(runInto('depreciation_line'))

/**
 * Writes the depreciation of a month, inside the transaction that closes it: only its lock keeps the month from moving. A second
 * run finds the rows there and fails on their key.
 */
export async function runDepreciation(
  ctx: Context,
  { warehouseId, period }: { warehouseId: number; period: string }
): Promise<void> {
  await run(ctx, RUN, [[warehouseId], firstDay(period)])
}

const COLUMNS = (row: string, names: string): string => `
       ${names}.part_number as part, ${names}.name, ${names}.name_zh as "nameZh", ${row}.lot_id::text as lot, ${row}.condition, ${row}.received_on as "receivedOn",
       month_index($2::date) - month_index(${row}.received_on) + 1 as "ageMonths", trim_scale(${row}.quantity)::text as quantity, ${row}.unit_cost::text as "unitCost",
       ${row}.cost::numeric(18,2)::text as cost, ${row}.months_charged as "monthsCharged", ${row}.charge::numeric(18,2)::text as charge,
       ${row}.accumulated::numeric(18,2)::text as "accumulatedDepreciation", (${row}.cost - ${row}.accumulated)::numeric(18,2)::text as "netBookValue"`

export type DepreciationKey = [part: string, condition: string, lot: string]

// Said as one warehouse and not as a list, so that the index gives the rows in their order.
const ONLY_WAREHOUSE = '($1::int[])[1]'

/**
 * `from` to `limit` of the own lots of one closed month by part, condition and lot, each with its row `r` of the stock report. A page reads
 * its own rows and no others: both tables are read in the order of their keys, from the row to go on after.
 * `$1` one warehouse, `$2` the month, `$3` the id of a part or null, `$4`–`$6` the row to go on after, `$7` how many.
 * @param of what is asked of the lots of one balance
 * @param as the name of the lots
 */
export const frozenLots = (of: (lots: string) => string, as: string): string => `
  from stock_report_line r
 cross join lateral (
   select * from (${of(`
     select d.* from depreciation_line d
      where d.warehouse_id = ${ONLY_WAREHOUSE} and d.period = $2::date and d.part_id = r.part_id and d.condition = r.condition
        and d.lot_id > case when (r.part_number, r.condition) = ($4::text, $5::text) then $6::bigint else 0 end`)}
   ) lots order by lot_id limit $7) ${as}
 where r.warehouse_id = ${ONLY_WAREHOUSE} and r.period = $2::date and r.ownership = 'own' and ($3::int is null or r.part_id = $3)
   and (r.part_number, r.ownership, r.condition) >= ($4::text, 'own', $5::text)
 order by r.part_number, r.condition, ${as}.lot_id limit $7`

// $3 the id of a part or null, $4–$6 the row to go on after, $7 how many.
const FROZEN = `
select ${COLUMNS('d', 'r')}
${frozenLots((lots) => lots, 'd')}`

const COMPUTED = `
with ${lotBooks('$3')}
select ${COLUMNS('b', 'part')}
  from book b
  join (select id, number as part_number, name, name_zh from part) part on part.id = b.part_id
 where b.ownership = 'own' and (part.part_number, b.condition, b.lot_id) > ($4::text, $5::text, $6::bigint)
 order by part.part_number, b.condition, b.lot_id limit $7`

/** Lots of one warehouse and month by part, condition and lot. */
export const { rows: depreciationRows, stream: depreciationStream } = monthRows<DepreciationRow, DepreciationKey>(
  FROZEN,
  COMPUTED,
  ['', '', '0']
)

const FIGURES = `count(*)::int as lots, coalesce(sum(cost), 0)::numeric(18,2)::text as cost, coalesce(sum(charge), 0)::numeric(18,2)::text as charge,
       coalesce(sum(accumulated), 0)::numeric(18,2)::text as "accumulatedDepreciation", coalesce(sum(cost - accumulated), 0)::numeric(18,2)::text as "netBookValue"`
const frozenLines = (ids: string, part: string): string =>
  `select cost, charge, accumulated from depreciation_line where warehouse_id = any (${ids}::int[]) and period = $2::date and (${part}::int is null or part_id = ${part})`
// $1 the open warehouses, $2 the month, $3 the closed ones, $4 a part or null.
const TOTALS: Statement<DepreciationTotals> = {
  text: `
with ${lotBooks('$4')}, line as (
  select cost, charge, accumulated from book where ownership = 'own'
   union all
  ${frozenLines('$3', '$4')}
)
select ${FIGURES} from line`
}
// What every closing asks of its own month; the books need not be planned for it.
const FROZEN_TOTALS = statement<DepreciationTotals>(`select ${FIGURES} from (${frozenLines('$1', '$3')}) line`)

/** The sums of all lots of the warehouses. */
export async function depreciationTotals(
  ctx: Context,
  { closedIds, openIds, period, partId }: BookedMonths
): Promise<DepreciationTotals> {
  const [totals] =
    openIds.length === 0
      ? await run(ctx, FROZEN_TOTALS, [closedIds, firstDay(period), partId ?? null])
      : await run(ctx, TOTALS, [openIds, firstDay(period), closedIds, partId ?? null])
  if (totals === undefined) throw new Error('a sum is always one row')
  return totals
}

const CHARGES: Statement<{ warehouseId: number; charge: string }> = {
  text: `
with ${LOT_BOOKS}
select warehouse_id as "warehouseId", sum(charge)::numeric(18,2)::text as charge from book where ownership = 'own' group by 1`
}

/** The charge of an open month by warehouse id, as it would be now; warehouses that hold nothing are left out. */
export async function chargesOf(
  ctx: Context,
  { warehouseIds, period }: { warehouseIds: readonly number[]; period: string }
): Promise<Map<number, string>> {
  const rows = await run(ctx, CHARGES, [warehouseIds, firstDay(period)])
  return new Map(rows.map(({ warehouseId, charge }) => [warehouseId, charge]))
}
