import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { requireOpen, warehousesChanged } from './directory.ts'
import { WAREHOUSE_DUTIES } from './tree.ts'
import { warehouseView } from './warehouses.queries.ts'
import type { WarehouseView } from './warehouses.schemas.ts'

const LOCK = statement<{
  id: number
  code: string
  name: string
  nameZh: string | null
  version: number
  closedOn: string | null
}>(
  `select id, code, name, name_zh as "nameZh", version, closed_on::text as "closedOn" from warehouse where code = $1 for update`
)

const KEEP_OLD_NAME = statement<never>(`
insert into warehouse_name (warehouse_id, name, name_zh, from_at, to_at)
select id, name, name_zh, least(named_at, $2), $2 from warehouse where id = $1`)

const RENAME = statement<never>(
  `update warehouse set name = $2, name_zh = $3, named_at = $4, version = version + 1 where id = $1`
)

/**
 * Gives a warehouse another name and keeps the one it bore (R-ORG-1). Without `nameZh` it has no Chinese name afterwards.
 * @throws Refusal 404, 409 `WarehouseClosed`, 412 `VersionStale`, 422 `NameUnchanged`
 */
export async function renameWarehouse(
  ctx: Context,
  {
    warehouse: code,
    ifMatch,
    name,
    nameZh = null
  }: { warehouse: string; ifMatch?: string | undefined; name: string; nameZh?: string | null }
): Promise<WarehouseView> {
  requireDutyEverywhere(ctx, WAREHOUSE_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const [warehouse] = await run(ctx.em, LOCK, [code])
    if (warehouse === undefined) throw notFound('warehouse', code)
    requireMatch(ifMatch, warehouse.version)
    requireOpen(warehouse, ctx.clock.today())
    if (warehouse.name === name && warehouse.nameZh === nameZh)
      throw new Refusal('NameUnchanged', 422, `warehouse ${code} bears this name already; give another one`)
    const now = ctx.clock.now().toString()
    await run(ctx.em, KEEP_OLD_NAME, [warehouse.id, now])
    await run(ctx.em, RENAME, [warehouse.id, name, nameZh, now])
    warehousesChanged(ctx.em, [code])
    await recordAudit(ctx, 'warehouse.renamed', `warehouse:${code}`, { from: warehouse.name, to: name, nameZh })
    return warehouseView(ctx.em, code)
  })
}
