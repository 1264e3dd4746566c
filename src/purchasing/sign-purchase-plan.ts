import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { othersAwaited, requireSigner, requireSubmittedContent } from '../signing/sign.ts'
import { giveSignature } from '../signing/signatures.ts'
import { lockPlan, planHash, readPurchasePlan } from './purchase-plan.ts'
import { SOLE } from '../replenishment/propose-reorders.ts'
import type { PlanState, PlanView, SignPlan } from './purchase-plans.schemas.ts'

const SIGN = statement<never>(`
update purchase_plan
   set version = version + 1, state = $3::text,
       approved_at = case when $3::text = 'approved' then $4::timestamptz end,
       submitted_at = case when $5::text = 'refuse' then null else submitted_at end,
       content_hash = case when $5::text = 'refuse' then null else content_hash end,
       over_budget_because = case when $5::text = 'refuse' then null else over_budget_because end,
       refusal = case when $5::text = 'refuse' then jsonb_build_object('by', $6::text, 'duty', $7::text, 'reason', $8::text, 'at', $4::timestamptz) end
 where warehouse_id = $1 and id = $2`)

// Every line is on its way to its warehouse from now on, whatever their number: one statement. Expected by the lead time of its level,
// else of the part.
const EXPECT = statement<never>(`
with planned as materialized (
  select l.line_no, l.for_warehouse_id, l.proposal_id, l.part_id, l.supplier_id, l.quantity, nextval('expected_receipt_id_seq') as id,
         $4::date + coalesce(level.lead_time_days, part.lead_time_days) as expected_on
    from purchase_plan_line l
    join part on part.id = l.part_id
    left join reorder_level level on level.warehouse_id = l.for_warehouse_id and level.part_id = l.part_id
   where l.warehouse_id = $1 and l.plan_id = $2
   order by l.line_no
), expected as (
  insert into expected_receipt (warehouse_id, id, part_id, kind, document, line_no, quantity, expected_on, supplier_id, opened_at, opened_by)
  select for_warehouse_id, id, part_id, 'purchase', $3, line_no, quantity, expected_on, supplier_id, $5::timestamptz, $6::int from planned
), fulfilled as (
  update reorder_proposal p
     set expected_receipt_id = planned.id, version = version + 1,
         -- Who orders less than was proposed said no to the rest.
         quiet_until = case when planned.quantity < p.quantity then $5::timestamptz + make_interval(days => $7) end
    from planned where p.warehouse_id = planned.for_warehouse_id and p.id = planned.proposal_id
)
update purchase_plan_line l set expected_receipt_id = planned.id
  from planned where l.warehouse_id = $1 and l.plan_id = $2 and l.line_no = planned.line_no`)

/**
 * Signs a purchase plan: finance reviews it, operations confirms it, head office approves last (R-ORD-3); the last signature orders its
 * lines. A refusal with its reason sends it back. Nobody signs what they wrote on.
 * @throws Refusal `PlanNotAwaitingSignatures`, `HeadOfficeSignsLast`, `PreparerMaySign`, `PersonMustSign`, `AlreadySigned`, `DutyAlreadySigned`, `ContentChanged`,
 *   `SignatureOfOtherContent`, `ReasonMissing`, 403, 404, 412
 */
export function signPurchasePlan(
  ctx: Context,
  { number, duty, decision, comment, contentHash, ifMatch }: SignPlan & { number: string; ifMatch?: string | undefined }
): Promise<PlanView> {
  return inTransaction(ctx, async (inner) => {
    const { plan, warehouse } = await lockPlan(inner, number)
    const signer = requireSigner(inner, plan, { duty, warehouse })
    requireMatch(ifMatch, plan.version)
    if (plan.state !== 'awaiting-signatures') {
      throw new Refusal(
        'PlanNotAwaitingSignatures',
        409,
        `plan ${number} is ${plan.state}; ${plan.state === 'draft' ? 'it is signed when it has been submitted' : 'only submitted plans are signed'}`
      )
    }
    const given = { duty, decision, comment, contentHash }
    const others = othersAwaited(plan, given)
    const hash = await planHash(inner, plan, warehouse)
    requireSubmittedContent(plan, given, hash)
    const state: PlanState = decision === 'refuse' ? 'draft' : others.length === 0 ? 'approved' : 'awaiting-signatures'
    const at = inner.clock.now().toString()
    await run(inner, SIGN, [warehouse.id, plan.id, state, at, decision, inner.actor.username, duty, comment ?? null])
    const event = decision === 'refuse' ? 'refused' : state === 'approved' ? 'approved' : 'signed'
    await giveSignature(inner, { warehouseId: warehouse.id, id: plan.id, number }, { ...given, ...signer, hash, event })
    if (state === 'approved') {
      await run(inner, SOLE, [])
      await run(inner, EXPECT, [
        warehouse.id,
        plan.id,
        number,
        inner.clock.today(),
        at,
        inner.actor.personId,
        inner.config.REORDER_REPEAT_DAYS
      ])
    }
    return readPurchasePlan(inner, { number })
  })
}
