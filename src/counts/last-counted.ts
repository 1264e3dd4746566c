import { Type, type Static } from 'typebox'
import { readPart } from '../catalogue/parts.queries.ts'
import { requireSight, type Context } from '../identity/actor.ts'
import { Condition, Ownership } from '../ledger/ledger.schemas.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { rowsOf } from '../platform/csv.ts'
import { run, statement } from '../platform/database.ts'
import { Day, named, nullable, pageOf, PartNumber } from '../platform/schemas.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'

export const LastCounted = named(
  'LastCounted',
  Type.Object(
    {
      part: PartNumber,
      name: Type.String(),
      nameZh: nullable(Type.String()),
      unit: Type.String(),
      ownership: Ownership,
      condition: Condition,
      lastCountedOn: nullable(
        Type.String({ ...Day, description: 'Day on which it was last really counted; null if never' })
      ),
      count: nullable(Type.String({ description: 'Number of that count (盘点单号)' }))
    },
    { description: 'When a balance was last counted in a count that was approved (最近盘点日)' }
  )
)
export type LastCounted = Static<typeof LastCounted>
export const LastCountedPage = pageOf(LastCounted)

export interface LastCountedFilter {
  warehouse: string
  notSince?: string | undefined
  part?: string | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

// The newest settled line of a balance is found by its index; lines of counts that are not approved are skipped on the way.
const ROWS = `
select b.part_number as part, part.name, part.name_zh as "nameZh", part.unit, b.ownership, b.condition, last.day as "lastCountedOn", last.number as count
  from balance b
  join part on part.id = b.part_id
  left join lateral (
    select (l.counted_at at time zone $4)::date as day, c.number
      from count_line l join stock_count c on c.warehouse_id = l.warehouse_id and c.id = l.count_id and c.state = 'approved'
     where l.warehouse_id = b.warehouse_id and l.part_id = b.part_id and l.ownership = b.ownership and l.condition = b.condition and l.state = 'settled'
     order by l.counted_at desc limit 1
  ) last on true
 where b.warehouse_id = $1 and ($2::text is null or b.part_number = $2) and ($3::date is null or last.day is null or last.day < $3::date)
   and (b.part_number, b.ownership, b.condition) > ($5, $6, $7)
 order by b.part_number, b.ownership, b.condition`
const PAGE = statement<LastCounted>(`${ROWS} limit $8`)

const START = ['', '', '']

const valuesOf = (
  ctx: Context,
  { id }: Warehouse,
  { part, notSince }: LastCountedFilter,
  after: readonly unknown[]
) => [id, part ?? null, notSince ?? null, ctx.config.BUSINESS_TIME_ZONE, ...after]

async function visible(ctx: Context, code: string): Promise<Warehouse> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  return warehouse
}

/**
 * Every balance of a warehouse with the day it was last counted, by part number.
 * @param filter `notSince` leaves only those not counted on that day or later, and those never counted
 */
export async function listLastCounted(ctx: Context, { limit = 50, cursor, ...filter }: LastCountedFilter) {
  const warehouse = await visible(ctx, filter.warehouse)
  const after = readCursor(cursor, 3) ?? START
  const rows = await run(ctx, PAGE, [...valuesOf(ctx, warehouse, filter, after), limit + 1])
  if (rows.length === 0 && filter.part !== undefined) await readPart(ctx, { number: filter.part })
  return pageFrom(rows, limit, ({ part, ownership, condition }) => [part, ownership, condition])
}

/** The same as a stream of all. */
export async function lastCountedStream(ctx: Context, filter: LastCountedFilter): Promise<AsyncGenerator<LastCounted>> {
  const warehouse = await visible(ctx, filter.warehouse)
  if (filter.part !== undefined) await readPart(ctx, { number: filter.part })
  return rowsOf<LastCounted>(ctx, ROWS, valuesOf(ctx, warehouse, filter, START))
}

export const LAST_COUNTED_COLUMNS: Record<keyof LastCounted, string> = {
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  unit: 'unit 单位',
  ownership: 'ownership 所有权',
  condition: 'condition 质量状态',
  lastCountedOn: 'last counted on 最近盘点日',
  count: 'count 盘点单号'
}
