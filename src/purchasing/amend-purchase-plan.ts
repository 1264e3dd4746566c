import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { addLines, changeLines, gatherLines, removeLines, setSupplierBudgets } from './plan-lines.ts'
import { lockPlan, PLANNING_DUTIES, readPurchasePlan, requireDraft } from './purchase-plan.ts'
import type { AmendPlan, PlanView } from './purchase-plans.schemas.ts'

// Whoever wrote on it last stands last, and never signs it.
const AMEND = statement<never>(`
with amended as (
  update purchase_plan
     set version = version + 1, preparers = array_remove(preparers, $3::int) || $3::int, prepared_at = $4::timestamptz,
         budget = case when $5 then $6::numeric else budget end, note = case when $7 then $8 else note end
   where warehouse_id = $1 and id = $2
  returning version
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select $1, $2, $4, $3, 'amended', $9::jsonb || jsonb_build_object('version', version) from amended`)

/**
 * Changes a plan while it is a draft: budget, remark, lines. All of it or nothing.
 * @throws Refusal 403, 404, 409 `PlanNotDraft`, 412, and those of `plan-lines.ts`
 */
export async function amendPurchasePlan(
  ctx: Context,
  { number, ifMatch, ...said }: AmendPlan & { number: string; ifMatch?: string | undefined }
): Promise<PlanView> {
  requireDutyEverywhere(ctx, PLANNING_DUTIES)
  return inTransaction(ctx, async (inner) => {
    const { plan, warehouse } = await lockPlan(inner, number, ifMatch)
    requireDraft(plan)
    const key = { warehouseId: warehouse.id, id: plan.id }
    const both = said.remove?.filter((line) => said.change?.some((change) => change.line === line)) ?? []
    if (both.length > 0)
      throw new Refusal('LineTwice', 422, `line ${both.join(', ')} is both changed and removed; say one of it`, {
        errors: [{ pointer: '/remove', detail: 'is changed as well', sent: both }]
      })
    if (said.remove !== undefined) await removeLines(inner, key, said.remove)
    if (said.change !== undefined) await changeLines(inner, key, said.change)
    if (said.add !== undefined) await addLines(inner, key, said.add)
    const gathered = said.gather === true ? await gatherLines(inner, key) : []
    if (said.supplierBudgets !== undefined) await setSupplierBudgets(inner, key, said.supplierBudgets)
    await run(inner, AMEND, [
      warehouse.id,
      plan.id,
      inner.actor.personId,
      inner.clock.now().toString(),
      said.budget !== undefined,
      said.budget ?? null,
      said.note !== undefined,
      said.note ?? null,
      JSON.stringify({ ...said, ...(said.gather === true && { gathered: gathered.length }) })
    ])
    return readPurchasePlan(inner, { number })
  })
}
