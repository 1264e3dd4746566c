import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { lockPlan, PLANNING_DUTIES, readPurchasePlan } from './purchase-plan.ts'
import type { PlanView } from './purchase-plans.schemas.ts'

const CANCEL = statement<never>(`
with cancelled as (
  update purchase_plan set version = version + 1, state = 'cancelled', cancelled_at = $3::timestamptz, cancelled_because = $5
   where warehouse_id = $1 and id = $2
), freed as (
  update purchase_plan_line set active = false where warehouse_id = $1 and plan_id = $2
), voided as (
  update signature set voided_at = $3 where warehouse_id = $1 and document_id = $2 and voided_at is null
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $3, $4, 'cancelled', jsonb_build_object('reason', $5::text))`)

/**
 * Drops a plan that is not approved. Its number stays taken, and its proposals wait for another plan.
 * @throws Refusal 403, 404, 409 `PlanNotCancellable`, 412
 */
export async function cancelPurchasePlan(
  ctx: Context,
  { number, reason, ifMatch }: { number: string; reason: string; ifMatch?: string | undefined }
): Promise<PlanView> {
  requireDutyEverywhere(ctx, PLANNING_DUTIES)
  return inTransaction(ctx, async (inner) => {
    const { plan, warehouse } = await lockPlan(inner, number, ifMatch)
    if (plan.state === 'approved' || plan.state === 'cancelled')
      throw new Refusal(
        'PlanNotCancellable',
        409,
        plan.state === 'approved'
          ? `plan ${number} is approved and ordered; what will not come is ended line by line in its warehouse`
          : `plan ${number} is cancelled already`
      )
    await run(inner, CANCEL, [warehouse.id, plan.id, inner.clock.now().toString(), inner.actor.personId, reason])
    return readPurchasePlan(inner, { number })
  })
}
