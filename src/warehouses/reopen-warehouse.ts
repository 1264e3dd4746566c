import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { warehousesChanged } from './directory.ts'
import { requireOnlyHeadOffice, requirePlace } from './place-warehouse.ts'
import { WAREHOUSE_DUTIES } from './tree.ts'
import type { WarehouseKind } from './warehouses.entities.ts'
import { warehouseView } from './warehouses.queries.ts'
import type { WarehouseView } from './warehouses.schemas.ts'

const KIND = statement<{ kind: WarehouseKind }>(`select kind from warehouse where code = $1`)

const LOCK = statement<{
  id: number
  kind: WarehouseKind
  parent: string | null
  version: number
  closedOn: string | null
}>(`
select warehouse.id, warehouse.kind, parent.code as parent, warehouse.version, warehouse.closed_on::text as "closedOn"
  from warehouse
  left join warehouse parent on parent.id = warehouse.parent_id
 where warehouse.code = $1
   for update of warehouse`)

const REOPEN = statement<never>(`update warehouse set closed_on = null, version = version + 1 where id = $1`)

/**
 * Opens a closed warehouse again where it hangs, or calls off a closing that lies ahead. What it hangs under must be open.
 * @throws Refusal 404, 409 `WarehouseOpen`, `WarehouseClosed` (the parent), `HeadOfficeExists`, 412 `VersionStale`, 422 `WarehouseMisplaced`
 */
export async function reopenWarehouse(
  ctx: Context,
  { warehouse: code, ifMatch }: { warehouse: string; ifMatch?: string | undefined }
): Promise<WarehouseView> {
  requireDutyEverywhere(ctx, WAREHOUSE_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const today = ctx.clock.today()
    // Asked before the row is locked: the lock on the table comes first, and the kind of a warehouse never changes.
    const [found] = await run(ctx.em, KIND, [code])
    if (found?.kind === 'head-office') await requireOnlyHeadOffice(ctx.em, { code, today })
    const [warehouse] = await run(ctx.em, LOCK, [code])
    if (warehouse === undefined) throw notFound('warehouse', code)
    requireMatch(ifMatch, warehouse.version)
    const { id, kind, parent, closedOn } = warehouse
    if (closedOn === null) throw new Refusal('WarehouseOpen', 409, `warehouse ${code} is open and not to be closed`)
    await requirePlace(ctx.em, { code, kind, parent, today })
    await run(ctx.em, REOPEN, [id])
    warehousesChanged(ctx.em, [code])
    await recordAudit(ctx, 'warehouse.reopened', `warehouse:${code}`, { closedOn })
    return warehouseView(ctx.em, code)
  })
}
