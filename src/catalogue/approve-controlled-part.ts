import type { Context, WarehouseRef } from '../identity/actor.ts'
import { requireDuty } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { publish } from '../platform/outbox.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import type { ControlledApprovalView } from './catalogue.schemas.ts'
import { controlledApprovalById } from './controlled-approvals.queries.ts'
import { partsByNumber } from './parts.queries.ts'

const WAREHOUSE = statement<WarehouseRef & { closedOn: string | null }>(
  `select id, code, region_id as "regionId", closed_on::text as "closedOn" from warehouse where code = $1`
)

const INSERT = statement<{ id: number }>(`
insert into controlled_approval (part_id, warehouse_id, quantity, reason, approved_by, approved_at, valid_from, valid_to)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning id`)

/**
 * Lets a warehouse order or request so many of a controlled part until a day (R-CAT-2). By the stock controller of that warehouse.
 * @throws Refusal 404, 409 `WarehouseClosed`, 422 `PartNotControlled` or `DaysReversed`
 */
export async function approveControlledPart(
  ctx: Context,
  {
    part: number,
    warehouse: code,
    quantity,
    reason,
    validTo
  }: { part: string; warehouse: string; quantity: string; reason: string; validTo: string }
): Promise<ControlledApprovalView> {
  const [warehouse] = await run(ctx.em, WAREHOUSE, [code])
  if (warehouse === undefined) throw notFound('warehouse', code)
  requireDuty(ctx, 'stock-controller', warehouse)
  const today = ctx.clock.today()
  if (validTo < today) throw new Refusal('DaysReversed', 422, `validTo ${validTo} is in the past; today is ${today}`)
  if (warehouse.closedOn !== null && warehouse.closedOn <= today)
    throw new Refusal('WarehouseClosed', 409, `warehouse ${code} was closed on ${warehouse.closedOn}`)
  return inTransaction(ctx, async (ctx) => {
    const part = (await partsByNumber(ctx.em, [number])).get(number)
    if (part === undefined) throw notFound('part', number)
    if (!part.controlled)
      throw new Refusal(
        'PartNotControlled',
        422,
        `part ${number} is not a controlled part (监控件) and needs no approval`
      )
    const [approval] = await run(ctx.em, INSERT, [
      part.id,
      warehouse.id,
      quantity,
      reason,
      ctx.actor.personId,
      ctx.clock.now().toString(),
      today,
      validTo
    ])
    await recordAudit(ctx, 'controlled-part.approved', `part:${number}`, { warehouse: code, quantity, reason, validTo })
    // Requests that wait for it are planned (R-CAT-2).
    await publish(ctx, [
      {
        subject: `part:${part.id}`,
        event: 'controlled-part.approved',
        warehouseId: warehouse.id,
        payload: { approval: approval.id, partId: part.id }
      }
    ])
    return controlledApprovalById(ctx.em, approval.id)
  })
}
