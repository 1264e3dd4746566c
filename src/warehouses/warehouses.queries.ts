import type { EntityManager } from '@mikro-orm/postgresql'
import { requireSight, sightOf, type Context } from '../identity/actor.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { warehouseByCode } from './directory.ts'
import type {
  RegionView,
  WarehouseInTreeView,
  WarehouseNameList,
  WarehouseQuery,
  WarehouseView
} from './warehouses.schemas.ts'

const VIEW = `
       warehouse.code, warehouse.name, warehouse.name_zh as "nameZh", warehouse.kind, region.code as region, parent.code as parent,
       warehouse.address, warehouse.contact, warehouse.phone, warehouse.closed_on::text as "closedOn", warehouse.version
  from warehouse
  join region on region.id = warehouse.region_id
  left join warehouse parent on parent.id = warehouse.parent_id`

const READ = statement<WarehouseView>(`select ${VIEW} where warehouse.code = $1`)

/** What verbs answer after they wrote; whoever may write may see. */
export async function warehouseView(em: EntityManager, code: string): Promise<WarehouseView> {
  const [warehouse] = await run(em, READ, [code])
  if (warehouse === undefined) throw notFound('warehouse', code)
  return warehouse
}

const READ_IN_TREE = statement<WarehouseInTreeView>(`
with recursive path (id, parent_id, height) as (
  select id, parent_id, 0 from warehouse where code = $1
  union all
  select above.id, above.parent_id, path.height + 1 from path join warehouse above on above.id = path.parent_id where path.height < 20
)
select coalesce((
         select json_agg(json_build_object('code', above.code, 'name', above.name, 'nameZh', above.name_zh, 'kind', above.kind) order by path.height desc)
           from path join warehouse above on above.id = path.id where path.height > 0), '[]') as path,
       coalesce((
         select json_agg(child)
           from (select below.code, below.name, below.name_zh as "nameZh", below.kind
                   from warehouse below
                  where below.parent_id = warehouse.id and (below.closed_on is null or below.closed_on > $2)
                    and ($3 or below.id = any ($4::int[]) or below.region_id = any ($5::int[]))
                  order by below.code
                  limit 200) child), '[]') as children,
${VIEW}
 where warehouse.code = $1`)

/**
 * A warehouse, what it hangs under and what hangs under it. The names of those above are shown to whoever sees the warehouse:
 * an outlet has to know its centre.
 * @throws Refusal 404, also for a warehouse the actor may not see
 */
export async function readWarehouse(
  ctx: Context,
  { warehouse: code }: { warehouse: string }
): Promise<WarehouseInTreeView> {
  requireSight(ctx, await warehouseByCode(ctx, code))
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const [warehouse] = await run(ctx.em, READ_IN_TREE, [code, ctx.clock.today(), everywhere, warehouseIds, regionIds])
  if (warehouse === undefined) throw notFound('warehouse', code)
  return warehouse
}

const LIST = statement<WarehouseView>(`
select ${VIEW}
 where ($1 or warehouse.id = any ($2::int[]) or warehouse.region_id = any ($3::int[]))
   and ($4::text is null or region.code = $4)
   and ($5::text is null or warehouse.kind = $5)
   and ($6::text is null or parent.code = $6)
   and ($7::text is null or strpos(lower(warehouse.code || chr(10) || warehouse.name || chr(10) || coalesce(warehouse.name_zh, '')), lower($7)) > 0)
   and ($8::boolean is null or $8 = (warehouse.closed_on is null or warehouse.closed_on > $9))
   and ($10::text is null or warehouse.code > $10)
 order by warehouse.code
 limit $11`)

/** The warehouses the actor may see, by code (R-ORG-1). */
export async function listWarehouses(
  ctx: Context,
  { region, kind, parent, open, q, limit = 50, cursor }: WarehouseQuery
) {
  const after = readCursor(cursor, 1)
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const rows = await run(ctx.em, LIST, [
    everywhere,
    warehouseIds,
    regionIds,
    region ?? null,
    kind ?? null,
    parent ?? null,
    q?.normalize('NFKC').trim() ?? null,
    open ?? null,
    ctx.clock.today(),
    after?.[0] ?? null,
    limit + 1
  ])
  return pageFrom(rows, limit, ({ code }) => [code])
}

const NAMES = statement<WarehouseNameList['items'][number]>(`
select name, name_zh as "nameZh", to_char(from_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "fromAt", to_char(to_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "toAt"
  from (select 0 as id, name, name_zh, named_at as from_at, null::timestamptz as to_at from warehouse where id = $1
         union all
        select id, name, name_zh, from_at, to_at from warehouse_name where warehouse_id = $1) borne
 order by to_at desc nulls first, id desc`)

/**
 * The names a warehouse has borne, the present one first (R-ORG-1).
 * @throws Refusal 404
 */
export async function listWarehouseNames(
  ctx: Context,
  { warehouse: code }: { warehouse: string }
): Promise<WarehouseNameList> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  return { items: await run(ctx.em, NAMES, [warehouse.id]) }
}

const REGIONS = statement<RegionView>(`
select code, name, name_zh as "nameZh" from region where $1::text is null or code > $1 order by code limit $2`)

/** Every region, by code. */
export async function listRegions(ctx: Context, { limit = 50, cursor }: { limit?: number; cursor?: string }) {
  const rows = await run(ctx.em, REGIONS, [readCursor(cursor, 1)?.[0] ?? null, limit + 1])
  return pageFrom(rows, limit, ({ code }) => [code])
}

const REGION_BY_CODE = statement<{ id: number; code: string }>(`select id, code from region where code = $1`)

export async function regionByCode(em: EntityManager, code: string): Promise<{ id: number; code: string } | undefined> {
  const [region] = await run(em, REGION_BY_CODE, [code])
  return region
}
