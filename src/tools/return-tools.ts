import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { namedTools } from './named-tools.ts'
import { oneself, personCalled } from './technician.ts'
import { writeToolDocument } from './tool-document.ts'
import type { ReturnTools, ToolDocumentView } from './tools.schemas.ts'

/**
 * Draws up the return of tools to the shelf of the warehouse they belong to. A technician draws up their own and signs by it, the keeper
 * anybody's; it takes effect when a keeper signs who has the tools in hand. Somebody else's register is reached by a transfer.
 * @throws Refusal those of `namedTools`, 422 `PersonUnknown`, 403, 404
 */
export async function returnTools(
  ctx: Context,
  { warehouse: code, technician, note, ...named }: ReturnTools & { warehouse: string }
): Promise<ToolDocumentView> {
  const warehouse = await warehouseByCode(ctx, code)
  const isOwn = technician === undefined || technician === ctx.actor.username
  requireDuty(ctx, isOwn ? ['technician', 'keeper'] : 'keeper', warehouse)
  const giver = technician === undefined ? oneself(ctx) : await personCalled(ctx, technician)
  return inTransaction(ctx, async (inner) => {
    const from = { place: 'custody', personId: giver.id, username: giver.username } as const
    const { lines, kit } = await namedTools(inner, warehouse, named, from)
    const isGiven = isOwn && !inner.actor.isMachine
    return writeToolDocument(inner, warehouse, { kind: 'return', giver, kit, note, lines, isGiven })
  })
}
