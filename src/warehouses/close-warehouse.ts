import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, notFound, Refusal } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { requireOpen, warehousesChanged } from './directory.ts'
import { WAREHOUSE_DUTIES } from './tree.ts'
import { warehouseView } from './warehouses.queries.ts'
import type { WarehouseView } from './warehouses.schemas.ts'

// Whoever hangs a child under it holds a share lock on this row, and is waited for.
const LOCK = statement<{ id: number; code: string; version: number; closedOn: string | null }>(
  `select id, code, version, closed_on::text as "closedOn" from warehouse where code = $1 for update`
)

const OPEN_BELOW = statement<{ code: string }>(
  `select code from warehouse where parent_id = $1 and (closed_on is null or closed_on > $2) order by code`
)

const CLOSE = statement<never>(`update warehouse set closed_on = $2, version = version + 1 where id = $1`)

/**
 * Closes a warehouse from a day on, which may be ahead; a day ahead may still be changed. Its stock, slips and names stay
 * readable. What hangs below it must be closed or moved first.
 * @throws Refusal 404, 409 `WarehouseClosed`, `WarehouseHasChildren`, 412 `VersionStale`
 */
export async function closeWarehouse(
  ctx: Context,
  {
    warehouse: code,
    ifMatch,
    closedOn = ctx.clock.today()
  }: { warehouse: string; ifMatch?: string | undefined; closedOn?: string }
): Promise<WarehouseView> {
  requireDutyEverywhere(ctx, WAREHOUSE_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const [warehouse] = await run(ctx.em, LOCK, [code])
    if (warehouse === undefined) throw notFound('warehouse', code)
    requireMatch(ifMatch, warehouse.version)
    requireOpen(warehouse, ctx.clock.today())
    const children = (await run(ctx.em, OPEN_BELOW, [warehouse.id, closedOn])).map((child) => child.code)
    if (children.length > 0) {
      const more = children.length - NAMED_OFFENDERS
      throw new Refusal(
        'WarehouseHasChildren',
        409,
        `${children.slice(0, NAMED_OFFENDERS).join(', ')}${more > 0 ? ` and ${more} more` : ''} hang below warehouse ${code} and are open on ${closedOn}; close or move them first`,
        { extra: { children: children.slice(0, 50) } }
      )
    }
    await run(ctx.em, CLOSE, [warehouse.id, closedOn])
    warehousesChanged(ctx.em, [code])
    await recordAudit(ctx, 'warehouse.closed', `warehouse:${code}`, { closedOn })
    return warehouseView(ctx.em, code)
  })
}
