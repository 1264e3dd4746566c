import { requireDuty, type Context, type Duty, type WarehouseRef } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { requirePerson } from './count-lines.ts'
import { lockCount, viewOfCount, type LockedCount } from './count.ts'
import type { CountView } from './counts.schemas.ts'
import { OPENING_DUTIES } from './open-count.ts'

const CANCELLING_DUTIES: readonly Duty[] = ['finance-supervisor', 'stock-controller']

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

const COUNTERS = statement<{ id: number }>(`
select counted_by as id from count_entry where warehouse_id = $1 and count_id = $2
 union select counted_for from count_entry where warehouse_id = $1 and count_id = $2 and counted_for is not null`)

/**
 * Drops a count that is not approved. Its number stays taken and its entries stay readable; its balances may be counted by another one.
 * Until something is counted whoever opened it may; after that it is for finance or head office, and for nobody who counted in
 * it: what a settled line has shown must not be entered as if it were counted blind (R-CNT-2). What another count left over only
 * head office drops.
 * @throws Refusal `CountNotCancellable`, `PersonMustSign`, `CancellerNotIndependent`, 403, 404, 412
 */
export function cancelCount(
  ctx: Context,
  { number, reason, ifMatch }: { number: string; reason: string; ifMatch?: string | undefined }
): Promise<CountView> {
  return inTransaction(ctx, async (inner) => {
    const { count, warehouse } = await lockCount(inner, number, {
      mayWrite: (place, { openedById }) =>
        requireDuty(inner, openedById === inner.actor.personId ? OPENING_DUTIES : CANCELLING_DUTIES, place),
      ifMatch
    })
    requirePerson(inner, 'cancels a count')
    if (count.state === 'approved' || count.state === 'cancelled') {
      throw new Refusal(
        'CountNotCancellable',
        409,
        count.state === 'approved'
          ? `count ${number} is approved; what it adjusted is corrected by another count, or by reversing its adjustment slip`
          : `count ${number} is cancelled already`
      )
    }
    await requireCanceller(inner, count, warehouse)
    await run(inner, CANCEL, [warehouse.id, count.id, inner.clock.now().toString(), inner.actor.personId, reason])
    return viewOfCount(inner, number)
  })
}

async function requireCanceller(
  ctx: Context,
  { id, number, isFollowUp }: LockedCount,
  warehouse: WarehouseRef
): Promise<void> {
  const counters = new Set((await run(ctx, COUNTERS, [warehouse.id, id])).map((counter) => counter.id))
  if (counters.size === 0 && !isFollowUp) return
  const isFree = (person: number | null) => person === null || !counters.has(person)
  const duties = isFollowUp ? (['stock-controller'] as const) : CANCELLING_DUTIES
  const { onBehalfOf } = requireDuty(ctx, duties, warehouse, (grant) => isFree(grant.onBehalfOf))
  if (isFree(ctx.actor.personId) && isFree(onBehalfOf)) return
  throw new Refusal(
    'CancellerNotIndependent',
    422,
    `you, or whom you stand in for, counted in ${number}; somebody else with the duty ${duties.join(' or ')} cancels it`
  )
}
