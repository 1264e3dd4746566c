import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { noteEvent } from '../signing/document-history.ts'
import { handoverHash, loadHandover, lockHandover, requireOpenHandover, viewOfHandover } from './handover.ts'
import type { HandoverView } from './handovers.schemas.ts'
import { takeSnapshot } from './take-snapshot.ts'

const REFRESH = statement<never>(`
with voided as (
  update signature set voided_at = $4 where warehouse_id = $1 and document_id = $2 and voided_at is null
)
update handover set version = version + 1, content_hash = $3 where warehouse_id = $1 and id = $2`)

/**
 * Freezes anew what the ledger holds and what is open, so that a handover that was interrupted goes on with what is there now. Of one that
 * awaits signatures those that were given are void: they are of another content (R-SIG-2).
 * @throws Refusal 409 `HandoverNotOpen`, 403, 404, 412
 */
export function refreshHandover(
  ctx: Context,
  { number, ifMatch }: { number: string; ifMatch?: string | undefined }
): Promise<HandoverView> {
  return inTransaction(ctx, async (inner) => {
    const { handover, warehouse } = await lockHandover(inner, number, { ifMatch })
    requireOpenHandover(handover)
    await takeSnapshot(inner, warehouse, handover)
    const { handover: refreshed } = await loadHandover(inner, number)
    const hash = handover.state === 'draft' ? null : await handoverHash(inner, refreshed, warehouse)
    await run(inner, REFRESH, [warehouse.id, handover.id, hash, inner.clock.now().toString()])
    await noteEvent(inner, { warehouseId: warehouse.id, id: handover.id }, 'refreshed', {
      position: refreshed.snapshotPosition,
      ...(hash !== null && { contentHash: hash, voided: handover.signatures.map(({ duty }) => duty) })
    })
    return viewOfHandover(inner, number)
  })
}
