// The age of the goods on hand at the end of a month (库龄, R-AGE-1): lot by lot, and summed up by the classes of age that are set.
// Own goods of a closed month are its frozen rows, and its classes of age those in its statement. Consigned goods carry no cost here and are in no frozen row (R-STK-6); which lots
// were on hand is worked out from the movements, which never change.
import type { Context } from '../identity/actor.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement, type Statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { firstDay, frozenLots, stateOf, type BookedMonth, type BookedMonths } from './depreciation.ts'
import { lotBooks } from './lot-books.ts'
import {
  scopeState,
  type RowSource,
  type ScopedWarehouse,
  type ScopeState,
  type StatementScope
} from './statement-scope.ts'

/** A lot with its age; decimals are text. */
export interface AgingRow {
  warehouse: string
  period: string
  state: 'closed' | 'preview'
  part: string
  name: string
  nameZh: string | null
  lot: string
  ownership: Ownership
  condition: Condition
  receivedOn: string
  /** 1 in the month of receipt, 4 in the fourth month, which under the standard policy is that of the first charge. */
  ageMonths: number
  bucket: string | null
  bucketZh: string | null
  quantity: string
  unitCost: string
  cost: string
  accumulatedDepreciation: string
  netBookValue: string
}

export const AGING_COLUMNS: CsvColumns<AgingRow> = {
  period: 'period 会计期间',
  warehouse: 'warehouse 仓库',
  state: 'state 状态',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name (zh) 货名',
  lot: 'lot 批次',
  ownership: 'ownership 所有权',
  condition: 'condition 质量状态',
  receivedOn: 'received on 入库日期',
  ageMonths: 'age in months 库龄(月)',
  bucket: 'bucket 库龄段(英文)',
  bucketZh: 'bucket (zh) 库龄段',
  quantity: 'quantity 数量',
  unitCost: 'unit cost 单位成本',
  cost: 'cost 原值',
  accumulatedDepreciation: 'accumulated depreciation 累计折旧',
  netBookValue: 'net book value 净值'
}

/** The last month of the holding period: what is in it now enters its fourth month next month (R-AGE-1). */
const LAST_FREE_MONTH = 3

export interface AgingFilter {
  partId: number | null
  ownership: Ownership
  /** Only lots of this age, in months. */
  age: number | null
  /** Only the class of age of this name, in either language, or that begins with this month; each warehouse has its own classes. */
  bucket: string | null
}

/**
 * What is asked of the list.
 * @param entering only what enters its fourth month next month
 * @throws Refusal 422 `BucketUnknown` if none of the warehouses has such a class of age
 */
export async function agingFilter(
  ctx: Context,
  scope: StatementScope,
  {
    bucket,
    entering = false,
    ownership = 'own'
  }: {
    bucket?: string | undefined
    entering?: boolean | undefined
    ownership?: Ownership | undefined
  }
): Promise<AgingFilter> {
  if (bucket !== undefined) {
    const ids = scope.warehouses.map(({ id }) => id)
    const known = await run(ctx, KNOWN_CLASSES, [ids, firstDay(scope.period)])
    if (!known.some(({ names }) => names.includes(bucket))) {
      const accepted = known.map(({ name }) => name)
      throw new Refusal('BucketUnknown', 422, `there is no class of age ${bucket}; there are ${accepted.join(', ')}`, {
        errors: [{ pointer: '?bucket', detail: 'is no class of age', sent: bucket, accepted }]
      })
    }
  }
  return { partId: scope.part?.id ?? null, ownership, age: entering ? LAST_FREE_MONTH : null, bucket: bucket ?? null }
}

/** As `class`: of a closed month the classes that are in its statement, else those that are set; `$2` is the month. */
const classes = (ids: string): string => `
  class as materialized (
    select asked.warehouse_id, k."fromMonths" as from_months, k."toMonths" as to_months, k.bucket as name, k."bucketZh" as name_zh
      from unnest(${ids}) as asked (warehouse_id)
      join period_statement s on s.warehouse_id = asked.warehouse_id and s.period = $2::date
     cross join lateral json_to_recordset(s.content::json -> 'aging') as k ("fromMonths" int, "toMonths" int, bucket text, "bucketZh" text)
     union all
    select asked.warehouse_id, k.from_months, k.to_months, k.name, k.name_zh
      from unnest(${ids}) as asked (warehouse_id)
     cross join aging_bucket k
     where not exists (select 1 from period_statement s where s.warehouse_id = asked.warehouse_id and s.period = $2::date)
  )`
const IN_CLASS =
  'k.warehouse_id = a.warehouse_id and a.age >= k.from_months and (k.to_months is null or a.age <= k.to_months)'
const isAsked = (bucket: string): string =>
  `(${bucket}::text is null or ${bucket} in (k.name, k.name_zh, k.from_months::text))`

const KNOWN_CLASSES = statement<{ name: string; names: string[] }>(`
with ${classes('$1::int[]')}
select name, array[name, name_zh, from_months::text] as names from class group by name, name_zh, from_months order by from_months, name`)

const AGE = (receivedOn: string): string => `month_index($2::date) - month_index(${receivedOn}) + 1`

// $3 the id of a part or null, $4–$6 the row to go on after, $7 how many, $8 an age and $9 a class of age or null, $10 the ownership.
const classed = (lots: string): string => `
    select a.*, k.name as bucket, k.name_zh as bucket_zh
      from (${lots}) a
      left join class k on ${IN_CLASS}
     where ($8::int is null or a.age = $8) and ${isAsked('$9')}`
const NET = `a.lot_id::text as lot, a.ownership, a.condition, a.received_on as "receivedOn", a.age as "ageMonths",
       a.bucket, a.bucket_zh as "bucketZh", trim_scale(a.quantity)::text as quantity, a.unit_cost::text as "unitCost", a.cost::numeric(18,2)::text as cost,
       a.accumulated::numeric(18,2)::text as "accumulatedDepreciation", (a.cost - a.accumulated)::numeric(18,2)::text as "netBookValue"`

const FROZEN = `
with ${classes('$1::int[]')}
select r.part_number as part, r.name, r.name_zh as "nameZh", ${NET}
${frozenLots((lots) => classed(`select d.*, $10::text as ownership, ${AGE('d.received_on')} as age from (${lots}) d`), 'a')}`

// Of a closed month the names are those of the month.
const COMPUTED = `
with ${lotBooks('$3')}, ${classes('$1::int[]')}, aged as (${classed(`
    select b.warehouse_id, part.number as part_number, coalesce(r.name, part.name) as part_name, case when r.part_id is null then part.name_zh else r.name_zh end as part_name_zh,
           b.lot_id, b.ownership, b.condition, b.received_on, ${AGE('b.received_on')} as age, b.quantity, b.unit_cost, b.cost, b.accumulated
      from book b
      join part on part.id = b.part_id
      left join stock_report_line r on r.warehouse_id = b.warehouse_id and r.period = $2::date and r.part_number = part.number and r.ownership = b.ownership and r.condition = b.condition
     where b.ownership = $10`)}
)
select a.part_number as part, a.part_name as name, a.part_name_zh as "nameZh", ${NET}
  from aged a
 where (a.part_number, a.condition, a.lot_id) > ($4::text, $5::text, $6::bigint)
 order by a.part_number, a.condition, a.lot_id limit $7`
const FIRST = ['', '', '0']

/** The lots of a warehouse and month by part, condition and lot. */
export const agingSource = (filter: AgingFilter): RowSource<AgingRow> => {
  const { partId, ownership, age, bucket } = filter
  const textOf = ({ isClosed }: BookedMonth) => (isClosed && ownership === 'own' ? FROZEN : COMPUTED)
  const values = ({ warehouse, period }: BookedMonth, after: (string | number)[], limit: number | null) => [
    [warehouse.id],
    firstDay(period),
    partId,
    ...after,
    limit,
    age,
    bucket,
    ownership
  ]
  type Bare = Omit<AgingRow, 'warehouse' | 'period' | 'state'>
  const whole = (month: BookedMonth, row: Bare): AgingRow => ({
    warehouse: month.warehouse.code,
    period: month.period,
    state: stateOf(month),
    ...row
  })
  return {
    key: ['text', 'text', 'id'],
    keyOf: ({ part, condition, lot }) => [part, condition, lot],
    page: async (ctx, month, { after, limit }) =>
      (await run<Bare>(ctx, { text: textOf(month) }, values(month, after ?? FIRST, limit))).map((row) =>
        whole(month, row)
      ),
    stream: async function* (ctx, month) {
      for await (const row of rowsOf<Bare>(ctx, textOf(month), values(month, FIRST, null))) yield whole(month, row)
    }
  }
}

export interface AgingTotals {
  lots: number
  quantity: string
  cost: string
  accumulatedDepreciation: string
  netBookValue: string
}

// $1 the warehouses that are worked out, $2 the month, $3 those whose frozen rows are read, $4 the ownership.
const FROZEN_AGES = `
    select warehouse_id, part_id, ${AGE('received_on')} as age, quantity, cost, accumulated from depreciation_line
     where warehouse_id = any ($3::int[]) and period = $2::date and $4 = 'own'`
const lots = (part?: string): string => `${lotBooks(part)},
  aged as (
    select warehouse_id, part_id, ${AGE('received_on')} as age, quantity, cost, accumulated from book where ownership = $4
     union all ${FROZEN_AGES}
  )`
const BY_AGE = (where = 'true'): string => `
  by_age as (
    select warehouse_id, age, count(*) as lots, sum(quantity) as quantity, sum(cost) as cost, sum(accumulated) as accumulated from aged where ${where} group by 1, 2
  )`
const SUMS = `coalesce(sum(a.lots), 0)::int as lots, trim_scale(coalesce(sum(a.quantity), 0))::text as quantity, coalesce(sum(a.cost), 0)::numeric(18,2)::text as cost,
       coalesce(sum(a.accumulated), 0)::numeric(18,2)::text as "accumulatedDepreciation", coalesce(sum(a.cost - a.accumulated), 0)::numeric(18,2)::text as "netBookValue"`

const apart = ({ closedIds, openIds }: BookedMonths, ownership: Ownership) =>
  ownership === 'own' ? { computed: openIds, frozen: closedIds } : { computed: [...openIds, ...closedIds], frozen: [] }

// $5 the id of a part, $6 an age and $7 a class of age, or null.
const TOTALS: Statement<AgingTotals> = {
  text: `
with ${lots('$5')}, ${classes('($1::int[] || $3::int[])')}, ${BY_AGE('($5::int is null or part_id = $5) and ($6::int is null or age = $6)')}
select ${SUMS} from by_age a left join class k on ${IN_CLASS} where ${isAsked('$7')}`
}

/** The sums of the list. */
export async function agingTotals(
  ctx: Context,
  months: BookedMonths,
  { partId, ownership, age, bucket }: AgingFilter
): Promise<AgingTotals> {
  const { computed, frozen } = apart(months, ownership)
  const values = [computed, firstDay(months.period), frozen, ownership, partId, age, bucket]
  const [totals] = await run(ctx, TOTALS, values)
  if (totals === undefined) throw new Error('a sum is always one row')
  return totals
}

/** A class of age and what lies in it. */
export interface AgedBucket extends AgingTotals {
  bucket: string
  bucketZh: string
  fromMonths: number
  toMonths: number | null
}

// $5 the warehouses and $6 the group of each; every group has every class of age that one of its warehouses has.
const bucketsOf = (aged: string): string => `
with ${aged}, ${classes('$5::int[]')}, ${BY_AGE()}
select grouped.place, k.name as bucket, k.name_zh as "bucketZh", k.from_months as "fromMonths", k.to_months as "toMonths", ${SUMS}
  from unnest($5::int[], $6::int[]) as grouped (warehouse_id, place)
  join class k on k.warehouse_id = grouped.warehouse_id
  left join by_age a on ${IN_CLASS}
 group by grouped.place, k.from_months, k.to_months, k.name, k.name_zh
 order by grouped.place, k.from_months, k.to_months, k.name, k.name_zh`
const BUCKETS: Statement<AgedBucket & { place: number }> = { text: bucketsOf(lots()) }
// What every closing asks of its own month; the books need not be planned for it.
const FROZEN_BUCKETS = statement<AgedBucket & { place: number }>(
  bucketsOf(`aged as (select * from (${FROZEN_AGES}) frozen where cardinality($1::int[]) = 0)`)
)

/**
 * What lies in each class of age, by group of warehouses. A closed month has the classes that are in its statement; warehouses of a
 * group whose classes are not the same are summed up apart.
 * @param groups ids of warehouses; no id is in two groups
 * @returns the classes of each group, youngest first, in the order of the groups
 */
export async function agedBuckets(
  ctx: Context,
  months: BookedMonths,
  { groups, ownership }: { groups: readonly (readonly number[])[]; ownership: Ownership }
): Promise<AgedBucket[][]> {
  const { computed, frozen } = apart(months, ownership)
  const rows = await run(ctx, computed.length === 0 ? FROZEN_BUCKETS : BUCKETS, [
    computed,
    firstDay(months.period),
    frozen,
    ownership,
    groups.flat(),
    groups.flatMap((ids, place) => ids.map(() => place))
  ])
  const buckets = groups.map((): AgedBucket[] => [])
  for (const { place, ...bucket } of rows) buckets[place]?.push(bucket)
  return buckets
}

export const AGING_GROUPS = ['all', 'region', 'warehouse'] as const

/** The classes of age of a warehouse, of a region, or of all that was asked for. */
export interface AgingGroup {
  warehouse: string | null
  region: string | null
  state: ScopeState
  buckets: AgedBucket[]
}

/** A page of groups, by code. */
export async function agingGroups(
  ctx: Context,
  { period, warehouses }: StatementScope,
  {
    by,
    ownership,
    limit = 50,
    cursor
  }: { by: (typeof AGING_GROUPS)[number]; ownership: Ownership; limit?: number; cursor?: string | undefined }
): Promise<{ items: AgingGroup[]; nextCursor: string | null }> {
  const keyOf = { all: () => '', region: ({ region }: ScopedWarehouse) => region, warehouse: codeOf }[by]
  const [after] = readCursor(cursor, ['text']) ?? [null]
  const members = Map.groupBy(
    warehouses.filter((warehouse) => after === null || keyOf(warehouse) > String(after)),
    keyOf
  )
  const page = pageFrom([...members.keys()].sort().slice(0, limit + 1), limit, (key) => [key])
  const shown = page.items.map((key) => members.get(key) ?? [])
  const ids = (isClosed: boolean) =>
    shown.flat().flatMap(({ id, sha256 }) => ((sha256 !== null) === isClosed ? [id] : []))
  const buckets = await agedBuckets(
    ctx,
    { closedIds: ids(true), openIds: ids(false), period },
    { groups: shown.map((group) => group.map(({ id }) => id)), ownership }
  )
  return {
    items: shown.map((group, place) => ({
      warehouse: by === 'warehouse' ? (group[0]?.code ?? null) : null,
      region: by === 'all' ? null : (group[0]?.region ?? null),
      state: scopeState(group),
      buckets: buckets[place] ?? []
    })),
    nextCursor: page.nextCursor
  }
}

const codeOf = ({ code }: ScopedWarehouse): string => code
