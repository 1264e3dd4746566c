import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { Refusal } from '../platform/errors.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { namedTools } from './named-tools.ts'
import { holdOpen } from './register-tools.ts'
import { oneself } from './technician.ts'
import { requirePersonToSign, writeToolDocument } from './tool-document.ts'
import type { ToolDocumentView, TransferTools } from './tools.schemas.ts'

/**
 * Draws up the transfer of tools from the shelf into the register of another warehouse. The keeper who gives signs by drawing it up; the
 * owner changes when a keeper of the other warehouse signs, and the giver answers for the tools until then.
 * @throws Refusal those of `namedTools`, 422 `SameWarehouse`, `WarehouseUnknown`, 409 `WarehouseClosed`, 403 `DutyRequired`, `PersonMustSign`, 404
 */
export async function transferTools(
  ctx: Context,
  { warehouse: code, to: target, note, ...named }: TransferTools & { warehouse: string }
): Promise<ToolDocumentView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, 'keeper', warehouse)
  requirePersonToSign(ctx)
  const to = await warehouseByCode(ctx, target).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404
      ? new Refusal('WarehouseUnknown', 422, `there is no warehouse ${target}`, {
          errors: [{ pointer: '/to', detail: 'is not known', sent: target }]
        })
      : error
  })
  if (to.id === warehouse.id)
    throw new Refusal(
      'SameWarehouse',
      422,
      `the tools are in the register of ${code} already; name another warehouse`,
      {
        errors: [{ pointer: '/to', detail: 'is the same', sent: target }]
      }
    )
  return inTransaction(ctx, async (inner) => {
    await holdOpen(inner, [warehouse.id, to.id])
    const { lines, kit } = await namedTools(inner, warehouse, named, { place: 'shelf' })
    return writeToolDocument(inner, warehouse, {
      kind: 'transfer',
      giver: oneself(inner),
      to,
      kit,
      note,
      lines,
      isGiven: true
    })
  })
}
