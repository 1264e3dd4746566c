import { LockMode } from '@mikro-orm/postgresql'
import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { throughLeavingGate } from '../identity/leaving-gate.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { inTransaction } from '../platform/context.ts'
import { notFound } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { publish } from '../platform/outbox.ts'
import { regionUnknown } from './create-warehouse.ts'
import { regionChanged, warehousesChanged } from './directory.ts'
import { WAREHOUSE_DUTIES } from './tree.ts'
import { Region, Warehouse } from './warehouses.entities.ts'
import { warehouseView } from './warehouses.queries.ts'
import type { UpdateWarehouse, WarehouseView } from './warehouses.schemas.ts'

/**
 * Changes region, address, contact or telephone. Duties held for a region cover the warehouse from then on by its new region.
 * @throws Refusal 404, 409 `HandoverMissing`, `KeeperMissing` (R-ORG-3), 412 `VersionStale`, 422 `RegionUnknown`
 */
export async function updateWarehouse(
  ctx: Context,
  { warehouse: code, ifMatch, change }: { warehouse: string; ifMatch?: string | undefined; change: UpdateWarehouse }
): Promise<WarehouseView> {
  requireDutyEverywhere(ctx, WAREHOUSE_DUTIES)
  // It holds the warehouse and then asks who is keeper of it, which the last signature of a handover does the other way round.
  return afterDeadlock(() =>
    inTransaction(ctx, async (ctx) => {
      const warehouse = await ctx.em.findOne(Warehouse, { code }, { lockMode: LockMode.PESSIMISTIC_WRITE })
      if (warehouse === null) throw notFound('warehouse', code)
      requireMatch(ifMatch, warehouse.version)
      const { region: regionCode, ...rest } = change
      const region = regionCode === undefined ? undefined : await ctx.em.findOne(Region, { code: regionCode })
      if (region === null) throw regionUnknown(regionCode ?? '')
      const isMoved = region !== undefined && region.id !== warehouse.region.id
      ctx.em.assign(warehouse, { ...rest, ...(region === undefined ? {} : { region }), version: warehouse.version + 1 })
      await throughLeavingGate(ctx, () => ctx.em.flush())
      warehousesChanged(ctx.em, [code])
      await recordAudit(ctx, 'warehouse.updated', `warehouse:${code}`, change)
      if (isMoved) await publish(ctx, [regionChanged(warehouse)])
      return warehouseView(ctx.em, code)
    })
  )
}
