import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { requireOpen, warehousesChanged } from './directory.ts'
import { requirePlace } from './place-warehouse.ts'
import { WAREHOUSE_DUTIES } from './tree.ts'
import type { WarehouseKind } from './warehouses.entities.ts'
import { warehouseView } from './warehouses.queries.ts'
import type { WarehouseView } from './warehouses.schemas.ts'

const LOCK = statement<{ id: number; code: string; kind: WarehouseKind; version: number; closedOn: string | null }>(
  `select id, code, kind, version, closed_on::text as "closedOn" from warehouse where code = $1 for update`
)

const IS_BELOW = statement<{ below: boolean }>(`
with recursive path (id, parent_id) as (
  select id, parent_id from warehouse where code = $2
  union
  select above.id, above.parent_id from path join warehouse above on above.id = path.parent_id
)
select exists (select from path where id = $1) as below`)

const MOVE = statement<never>(`update warehouse set parent_id = $2, version = version + 1 where id = $1`)

/**
 * Hangs a warehouse, with all that is below it, under another parent; only the head office has none.
 * @throws Refusal 404, 409 `WarehouseClosed` (it or the parent), 412 `VersionStale`, 422 `WarehouseTreeCircular`, `ParentUnknown`, `WarehouseMisplaced`
 */
export async function moveWarehouse(
  ctx: Context,
  { warehouse: code, ifMatch, parent }: { warehouse: string; ifMatch?: string | undefined; parent: string | null }
): Promise<WarehouseView> {
  requireDutyEverywhere(ctx, WAREHOUSE_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const [warehouse] = await run(ctx.em, LOCK, [code])
    if (warehouse === undefined) throw notFound('warehouse', code)
    requireMatch(ifMatch, warehouse.version)
    requireOpen(warehouse, ctx.clock.today())
    const [circle] = parent === null ? [] : await run(ctx.em, IS_BELOW, [warehouse.id, parent])
    if (circle?.below) {
      throw new Refusal(
        'WarehouseTreeCircular',
        422,
        `warehouse ${parent} is ${code} itself or hangs below it; choose a parent elsewhere in the tree`,
        { errors: [{ pointer: '/parent', detail: 'would close a circle', sent: parent }] }
      )
    }
    const parentId = await requirePlace(ctx.em, { code, kind: warehouse.kind, parent, today: ctx.clock.today() })
    await run(ctx.em, MOVE, [warehouse.id, parentId])
    warehousesChanged(ctx.em, [code])
    await recordAudit(ctx, 'warehouse.moved', `warehouse:${code}`, { parent })
    return warehouseView(ctx.em, code)
  })
}
