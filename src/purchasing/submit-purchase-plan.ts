import { requireDutyEverywhere, type Context, type Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import { dutiesFor } from '../slips/create-slip.ts'
import { lockPlan, planHash, PLANNING_DUTIES, readPurchasePlan, requireDraft, type Plan } from './purchase-plan.ts'
import type { PlanView } from './purchase-plans.schemas.ts'

interface Unready {
  line: number
  part: string
  warehouse: string
  lacks: 'supplier' | 'price' | 'authorisation' | 'open-warehouse' | 'active-part'
  total: number
}

// What stands in the way of each line, the first of it.
const UNREADY = statement<Unready>(`
select l.line_no as line, part.number as part, w.code as warehouse, lacking.lacks, count(*) over ()::int as total
  from purchase_plan_line l
  join part on part.id = l.part_id
  join warehouse w on w.id = l.for_warehouse_id
 cross join lateral (select case
     when w.closed_on <= $3::date then 'open-warehouse'
     when not part.active then 'active-part'
     when l.supplier_id is null then 'supplier'
     when l.unit_price is null then 'price'
     when not exists (select 1 from supplier_authorisation held join supplier on supplier.id = held.supplier_id and supplier.active
                       where held.supplier_id = l.supplier_id and held.part_id = l.part_id and held.valid_from <= $3 and (held.valid_to is null or held.valid_to >= $3)) then 'authorisation'
   end as lacks) lacking
 where l.warehouse_id = $1 and l.plan_id = $2 and lacking.lacks is not null
 order by l.line_no limit 50`)

const LACKING: Record<Unready['lacks'], string> = {
  supplier: 'needs a supplier',
  price: 'needs a price',
  authorisation: 'is of a supplier no longer authorised for it',
  'open-warehouse': 'is for a closed warehouse; remove it',
  'active-part': 'is of a part that is no longer bought; remove it'
}

const DUTIES = statement<{ duties: Duty[] }>(`select ${dutiesFor(`'purchase-plan'`)} as duties`)

const SUBMIT = statement<never>(`
with submitted as (
  update purchase_plan
     set version = version + 1, state = 'awaiting-signatures', submitted_at = $3::timestamptz, preparers = array_remove(preparers, $4::int) || $4::int,
         duties = $5, content_hash = $6, over_budget_because = $7, refusal = null
   where warehouse_id = $1 and id = $2
  returning version
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select $1, $2, $3, $4, 'submitted', jsonb_strip_nulls(jsonb_build_object('contentHash', $6::text, 'overBudgetBecause', $7::text)) from submitted`)

/**
 * Hands a plan in for its signatures: every line has an authorised supplier and a price, and who goes beyond the budget says why
 * (R-ORD-3). From here on its lines stand still.
 * @throws Refusal 403, 404, 409 `PlanNotDraft`, `PlanEmpty`, `PlanLinesNotReady`, 412, 422 `OverBudget`
 */
export async function submitPurchasePlan(
  ctx: Context,
  {
    number,
    overBudgetBecause,
    ifMatch
  }: { number: string; overBudgetBecause?: string | undefined; ifMatch?: string | undefined }
): Promise<PlanView> {
  requireDutyEverywhere(ctx, PLANNING_DUTIES)
  return inTransaction(ctx, async (inner) => {
    const { plan, warehouse } = await lockPlan(inner, number, ifMatch)
    requireDraft(plan)
    if (plan.lines === 0)
      throw new Refusal('PlanEmpty', 409, `plan ${number} orders nothing; add accepted proposals, or cancel it`)
    requireReady(number, await run(inner, UNREADY, [warehouse.id, plan.id, inner.clock.today()]))
    if (plan.isOver && overBudgetBecause === undefined) throw overBudget(plan)
    const [policy] = await run(inner, DUTIES, [])
    if (policy === undefined) throw new Error('there is no signing policy')
    const { duties } = policy
    const because = plan.isOver ? (overBudgetBecause ?? null) : null
    const hash = await planHash(inner, { ...plan, duties, overBudgetBecause: because }, warehouse)
    await run(inner, SUBMIT, [
      warehouse.id,
      plan.id,
      inner.clock.now().toString(),
      inner.actor.personId,
      duties,
      hash,
      because
    ])
    return readPurchasePlan(inner, { number })
  })
}

function requireReady(number: string, lines: readonly Unready[]): void {
  const [first] = lines
  if (first === undefined) return
  const named = lines
    .slice(0, NAMED_OFFENDERS)
    .map(({ line, part, warehouse, lacks }) => `line ${line} (${part} for ${warehouse}) ${LACKING[lacks]}`)
  const more = first.total - named.length
  throw new Refusal(
    'PlanLinesNotReady',
    409,
    `${number} cannot be submitted: ${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
    { extra: { total: first.total, lines: lines.map(({ total: _total, ...line }) => line) } }
  )
}

function overBudget({ number, budget, amount, suppliers }: Plan): Refusal {
  const over = suppliers.filter(({ isOver }) => isOver)
  const what = [
    ...(budget !== null && over.length === 0 ? [`${amount} of ${budget} in all`] : []),
    ...over.slice(0, NAMED_OFFENDERS).map((of) => `${of.supplier}: ${of.amount} of ${of.budget}`)
  ]
  return new Refusal(
    'OverBudget',
    422,
    `${number} goes beyond its budget${what.length > 0 ? ` (${what.join('; ')})` : ''}; order less, or say why it must`,
    {
      errors: [{ pointer: '/overBudgetBecause', detail: 'is missing' }],
      extra: {
        budget,
        amount,
        suppliers: over.map(({ supplier, amount: ordered, budget: allowed }) => ({
          supplier,
          amount: ordered,
          budget: allowed
        }))
      }
    }
  )
}
