import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { lockHandover, requireOpenHandover, viewOfHandover } from './handover.ts'
import type { HandoverView } from './handovers.schemas.ts'

const CANCEL = statement<never>(`
with cancelled as (
  update handover set version = version + 1, state = 'cancelled', cancelled_at = $3, cancelled_by = $4, cancelled_because = $5
   where warehouse_id = $1 and id = $2
), voided as (
  update signature set voided_at = $3 where warehouse_id = $1 and document_id = $2 and voided_at is null
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $3, $4, 'cancelled', jsonb_build_object('reason', $5::text))`)

/**
 * Drops a handover that has not taken effect; the outgoing keeper stays keeper. Its number stays taken.
 * @throws Refusal 409 `HandoverNotOpen`, 403, 404, 412
 */
export function cancelHandover(
  ctx: Context,
  { number, reason, ifMatch }: { number: string; reason: string; ifMatch?: string | undefined }
): Promise<HandoverView> {
  return inTransaction(ctx, async (inner) => {
    const { handover, warehouse } = await lockHandover(inner, number, { ifMatch })
    requireOpenHandover(handover)
    await run(inner, CANCEL, [warehouse.id, handover.id, inner.clock.now().toString(), inner.actor.personId, reason])
    return viewOfHandover(inner, number)
  })
}
