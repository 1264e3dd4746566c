import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { lockCount, viewOfCount } from './count.ts'
import type { CountView } from './counts.schemas.ts'
import { OPENING_DUTIES } from './open-count.ts'

const CANCEL = statement<never>(`
with cancelled as (
  update stock_count set version = version + 1, state = 'cancelled', cancelled_at = $3, cancelled_by = $4, cancelled_because = $5
   where warehouse_id = $1 and id = $2
), freed as (
  update count_line set active = false where warehouse_id = $1 and count_id = $2 and active
), voided as (
  update signature set voided_at = $3 where warehouse_id = $1 and document_id = $2 and voided_at is null
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $3, $4, 'cancelled', jsonb_build_object('reason', $5::text))`)

/**
 * Drops a count that is not approved. Its number stays taken and its entries stay readable; its balances may be counted by another one.
 * @throws Refusal `CountNotCancellable`, 403, 404, 412
 */
export function cancelCount(
  ctx: Context,
  { number, reason, ifMatch }: { number: string; reason: string; ifMatch?: string | undefined }
): Promise<CountView> {
  return inTransaction(ctx, async (inner) => {
    const { count, warehouse } = await lockCount(inner, number, {
      mayWrite: (place, { openedById }) =>
        requireDuty(
          inner,
          openedById === inner.actor.personId ? OPENING_DUTIES : ['finance-supervisor', 'stock-controller'],
          place
        ),
      ifMatch
    })
    if (count.state === 'approved' || count.state === 'cancelled') {
      throw new Refusal(
        'CountNotCancellable',
        409,
        count.state === 'approved'
          ? `count ${number} is approved; what it adjusted is corrected by another count, or by reversing its adjustment slip`
          : `count ${number} is cancelled already`
      )
    }
    await run(inner, CANCEL, [warehouse.id, count.id, inner.clock.now().toString(), inner.actor.personId, reason])
    return viewOfCount(inner, number)
  })
}
