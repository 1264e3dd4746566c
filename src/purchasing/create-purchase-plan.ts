import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { dutiesFor } from '../slips/create-slip.ts'
import { requireHeadOffice } from '../warehouses/head-office.ts'
import { gatherLines, setSupplierBudgets } from './plan-lines.ts'
import { PLANNING_DUTIES, readPurchasePlan } from './purchase-plan.ts'
import type { CreatePlan, PlanView } from './purchase-plans.schemas.ts'
import { documentNumber, nextNumber } from '../signing/document-number.ts'

// The row of the counter is held until the commit, as for every document, so that numbers have no gap.
const CREATE = statement<{ id: string; number: string }>(`
with numbered as (${nextNumber("'PLN'", '$3')}
), created as (
  insert into purchase_plan (warehouse_id, number, period, state, budget, note, duties, preparers, prepared_at)
  select $1, ${documentNumber('$2', "'PLN'", '$3')},
         $4::date, 'draft', $5::numeric, $6, ${dutiesFor(`'purchase-plan'`)}, array[$7::int], $8::timestamptz
    from numbered
  returning id, number
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, id, $8, $7, 'drafted', jsonb_build_object('period', to_char($4::date, 'YYYY-MM')) from created
)
select id::text as id, number from created`)

/**
 * Writes the purchase plan of a month (R-ORD-3): all accepted orders that are in no plan yet, by supplier and part, each at its standard
 * cost.
 * @throws Refusal 403, 409 `HeadOfficeMissing`, `NothingToPlan`, 422 `PeriodInThePast`, `SupplierUnknown`, `SupplierTwice`
 */
export async function createPurchasePlan(
  ctx: Context,
  { period, budget, supplierBudgets, note }: CreatePlan
): Promise<PlanView> {
  requireDutyEverywhere(ctx, PLANNING_DUTIES)
  const today = ctx.clock.today()
  if (period < today.slice(0, 7))
    throw new Refusal('PeriodInThePast', 422, `a plan is of the present month or a later one, not of ${period}`, {
      errors: [{ pointer: '/period', detail: 'is over', sent: period, accepted: `${today.slice(0, 7)} or later` }]
    })
  return inTransaction(ctx, async (inner) => {
    const office = await requireHeadOffice(inner, 'purchase plans')
    const [created] = await run(inner, CREATE, [
      office.id,
      office.code,
      today,
      `${period}-01`,
      budget ?? null,
      note ?? null,
      inner.actor.personId,
      inner.clock.now().toString()
    ])
    if (created === undefined) throw new Error('no plan was written')
    const plan = { warehouseId: office.id, id: created.id }
    await setSupplierBudgets(inner, plan, supplierBudgets ?? [])
    if ((await gatherLines(inner, plan)).length === 0)
      throw new Refusal(
        'NothingToPlan',
        409,
        'no accepted order waits for a plan; accept proposals first (GET /v1/reorder/proposals?kind=order&state=open)'
      )
    return readPurchasePlan(inner, created)
  })
}
