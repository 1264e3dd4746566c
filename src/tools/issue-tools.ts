import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { Refusal } from '../platform/errors.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { namedTools } from './named-tools.ts'
import { holdOpen } from './register-tools.ts'
import { oneself, personCalled, requireTechnician, type Person } from './technician.ts'
import { requirePersonToSign, writeToolDocument } from './tool-document.ts'
import type { IssueTools, ToolDocumentView } from './tools.schemas.ts'

/**
 * Draws up the issue of tools from the shelf to a technician (R-TOOL-1). The keeper gives and signs by drawing it up; it takes effect when the
 * technician signs, and holds the tools until then.
 * @throws Refusal those of `namedTools` and `requireTechnician`, 422 `GiverTakes`, 409 `WarehouseClosed`, 403 `DutyRequired`, `PersonMustSign`, 404
 */
export async function issueTools(
  ctx: Context,
  { warehouse: code, technician, note, ...named }: IssueTools & { warehouse: string }
): Promise<ToolDocumentView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, 'keeper', warehouse)
  requirePersonToSign(ctx)
  const taker = await personCalled(ctx, technician)
  refuseSame(oneself(ctx), taker, '/technician')
  return inTransaction(ctx, async (inner) => {
    await requireTechnician(inner, taker, warehouse, '/technician')
    await holdOpen(inner, [warehouse.id])
    const { lines, kit } = await namedTools(inner, warehouse, named, { place: 'shelf' })
    return writeToolDocument(inner, warehouse, {
      kind: 'issue',
      giver: oneself(inner),
      taker,
      kit,
      note,
      lines,
      isGiven: true
    })
  })
}

/** Giver and taker are two people. @throws Refusal 422 `GiverTakes` */
export function refuseSame(giver: Person, taker: Person, pointer: string): void {
  if (giver.id !== taker.id) return
  throw new Refusal(
    'GiverTakes',
    422,
    `${giver.username} cannot give tools to themselves; giver and taker are two people, so somebody else gives or takes`,
    { errors: [{ pointer, detail: 'is also who gives', sent: taker.username }] }
  )
}
