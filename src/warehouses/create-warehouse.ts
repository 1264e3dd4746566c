import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { warehousesChanged } from './directory.ts'
import { requireOnlyHeadOffice, requirePlace } from './place-warehouse.ts'
import { WAREHOUSE_DUTIES } from './tree.ts'
import { regionByCode, warehouseView } from './warehouses.queries.ts'
import type { CreateWarehouse, WarehouseView } from './warehouses.schemas.ts'

const INSERT = statement<{ id: number }>(`
insert into warehouse (code, name, name_zh, kind, region_id, parent_id, address, contact, phone, named_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (code) do nothing
returning id`)

/**
 * Hangs a new warehouse into the tree; a technician's van is one too (R-ORG-1).
 * @throws Refusal 409 `WarehouseCodeTaken`, `HeadOfficeExists`, `WarehouseClosed` (the parent), 422 `RegionUnknown`, `ParentUnknown`, `WarehouseMisplaced`
 */
export async function createWarehouse(ctx: Context, warehouse: CreateWarehouse): Promise<WarehouseView> {
  requireDutyEverywhere(ctx, WAREHOUSE_DUTIES)
  const { code, kind, parent = null } = warehouse
  return inTransaction(ctx, async (ctx) => {
    const today = ctx.clock.today()
    if (kind === 'head-office' && parent === null) await requireOnlyHeadOffice(ctx.em, { code, today })
    const region = await regionByCode(ctx.em, warehouse.region)
    if (region === undefined) throw regionUnknown(warehouse.region)
    const parentId = await requirePlace(ctx.em, { code, kind, parent, today })
    const [created] = await run(ctx.em, INSERT, [
      code,
      warehouse.name,
      warehouse.nameZh ?? null,
      kind,
      region.id,
      parentId,
      warehouse.address ?? null,
      warehouse.contact ?? null,
      warehouse.phone ?? null,
      ctx.clock.now().toString()
    ])
    if (created === undefined)
      throw new Refusal(
        'WarehouseCodeTaken',
        409,
        `warehouse ${code} exists already; codes are never used again, choose another one`
      )
    warehousesChanged(ctx.em, [code])
    await recordAudit(ctx, 'warehouse.created', `warehouse:${code}`, warehouse)
    return warehouseView(ctx.em, code)
  })
}

export const regionUnknown = (code: string): Refusal =>
  new Refusal('RegionUnknown', 422, `there is no region ${code}; GET /v1/regions lists them`, {
    errors: [{ pointer: '/region', detail: 'unknown region', sent: code }]
  })
