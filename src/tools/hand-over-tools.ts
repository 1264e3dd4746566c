import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { refuseSame } from './issue-tools.ts'
import { namedTools } from './named-tools.ts'
import { holdOpen } from './register-tools.ts'
import { oneself, personCalled, requireTechnician } from './technician.ts'
import { writeToolDocument } from './tool-document.ts'
import type { HandOverTools, ToolDocumentView } from './tools.schemas.ts'

/**
 * Draws up a hand-over from one technician to another, without the shelf between. Both sign; who gives and draws it up has signed by that. It
 * takes effect with the second signature.
 * @throws Refusal those of `namedTools` and `requireTechnician`, 422 `GiverTakes`, `PersonUnknown`, 409 `WarehouseClosed`, 403, 404
 */
export async function handOverTools(
  ctx: Context,
  { warehouse: code, from, to, note, ...named }: HandOverTools & { warehouse: string }
): Promise<ToolDocumentView> {
  const warehouse = await warehouseByCode(ctx, code)
  const isOwn = from === undefined || from === ctx.actor.username
  requireDuty(ctx, isOwn ? ['technician', 'keeper'] : 'keeper', warehouse)
  const giver = from === undefined ? oneself(ctx) : await personCalled(ctx, from, '/from')
  const taker = await personCalled(ctx, to, '/to')
  refuseSame(giver, taker, '/to')
  return inTransaction(ctx, async (inner) => {
    await requireTechnician(inner, taker, warehouse, '/to')
    await holdOpen(inner, [warehouse.id])
    const place = { place: 'custody', personId: giver.id, username: giver.username } as const
    const { lines, kit } = await namedTools(inner, warehouse, named, place)
    const isGiven = isOwn && !inner.actor.isMachine
    return writeToolDocument(inner, warehouse, { kind: 'hand-over', giver, taker, kit, note, lines, isGiven })
  })
}
