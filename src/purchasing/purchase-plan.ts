import { maySee, requireDutyToRead, type Context, type Duty } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { longContentHash } from '../signing/content-hash.ts'
import { dutiesAwaited, type Signature } from '../signing/sign.ts'
import { signaturesOf, signatureView } from '../signing/signatures.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import type { PlanState, PlanView } from './purchase-plans.schemas.ts'

/** Who gathers and writes purchase plans, everywhere. */
export const PLANNING_DUTIES: readonly Duty[] = ['purchaser', 'stock-controller']

/** Who reads what the network is to buy, in the head office: who plans, and who may have to sign. */
export const PLAN_READERS: readonly Duty[] = [
  'purchaser',
  'stock-controller',
  'hq-finance',
  'operations-supervisor',
  'finance-supervisor',
  'department-head'
]

/** A purchase plan without its lines. */
export interface Plan {
  id: string
  number: string
  /** First day of the month. */
  period: string
  state: PlanState
  version: number
  budget: string | null
  note: string | null
  overBudgetBecause: string | null
  duties: Duty[]
  preparers: number[]
  preparedBy: string
  preparedAt: string
  submittedAt: string | null
  contentHash: string | null
  refusal: { by: string; duty: string; reason: string; at: string } | null
  approvedAt: string | null
  cancelledAt: string | null
  cancelledBecause: string | null
  signatures: Signature[]
  suppliers: {
    supplier: string | null
    lines: number
    quantity: string
    amount: string
    budget: string | null
    isOver: boolean
  }[]
  lines: number
  amount: string
  isOver: boolean
  withoutSupplier: number
  withoutPrice: number
}

/** Totals `t` of the lines of a plan `p`, as SQL. A cancelled plan shows what it would have ordered. */
export const PLAN_TOTALS = `
  cross join lateral (
    select count(*)::int as lines, coalesce(sum(l.amount), 0)::numeric(18,2) as amount,
           count(*) filter (where l.supplier_id is null)::int as without_supplier, count(*) filter (where l.unit_price is null)::int as without_price
      from purchase_plan_line l where l.warehouse_id = p.warehouse_id and l.plan_id = p.id) t`
/** Whether a plan `p` with its totals `t` goes beyond its budget, as a whole or for a supplier, as SQL. */
export const IS_OVER = `
  (coalesce(t.amount > p.budget, false) or exists (
     select 1 from purchase_plan_budget b
      where b.warehouse_id = p.warehouse_id and b.plan_id = p.id
        and b.amount < (select coalesce(sum(l.amount), 0) from purchase_plan_line l where l.warehouse_id = p.warehouse_id and l.plan_id = p.id and l.supplier_id = b.supplier_id)))`

const PLAN = statement<Plan>(`
select p.id::text as id, p.number, p.period::text as period, p.state, p.version, p.budget::text as budget, p.note, p.over_budget_because as "overBudgetBecause",
       p.duties, p.preparers, preparer.username as "preparedBy", p.prepared_at as "preparedAt", p.submitted_at as "submittedAt", p.content_hash as "contentHash", p.refusal,
       p.approved_at as "approvedAt", p.cancelled_at as "cancelledAt", p.cancelled_because as "cancelledBecause",
       t.lines, t.amount::text as amount, t.without_supplier as "withoutSupplier", t.without_price as "withoutPrice", ${IS_OVER} as "isOver",
       ${signaturesOf('p.warehouse_id', 'p.id')} as signatures,
       coalesce((select json_agg(json_build_object(
                 'supplier', s.code, 'lines', s.lines, 'quantity', trim_scale(s.quantity)::text, 'amount', s.amount::text, 'budget', s.budget::text,
                 'isOver', coalesce(s.amount > s.budget, false)) order by s.code nulls last)
          from (select supplier.code, count(l.line_no) as lines, coalesce(sum(l.quantity), 0) as quantity, coalesce(sum(l.amount), 0)::numeric(18,2) as amount, max(b.amount) as budget
                  from (select * from purchase_plan_line where warehouse_id = p.warehouse_id and plan_id = p.id) l
                  full join (select * from purchase_plan_budget where warehouse_id = p.warehouse_id and plan_id = p.id) b on b.supplier_id = l.supplier_id
                  left join supplier on supplier.id = coalesce(l.supplier_id, b.supplier_id)
                 group by supplier.code) s), '[]') as suppliers
  from purchase_plan p
  join person preparer on preparer.id = p.preparers[cardinality(p.preparers)] ${PLAN_TOTALS}
 where p.warehouse_id = $1 and p.number = $2`)

const warehouseOf = (number: string): string => number.replace(/-PLN-\d{6}-\d+$/, '')

/**
 * A plan the actor may read, with the head office it belongs to.
 * @throws Refusal 404 for one that does not exist or lies where the actor sees nothing, 403 without a duty that has to do with plans there
 */
export async function loadPlan(ctx: Context, number: string): Promise<{ plan: Plan; warehouse: Warehouse }> {
  const warehouse = await warehouseByCode(ctx, warehouseOf(number)).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('purchase plan', number) : error
  })
  if (!maySee(ctx, warehouse)) throw notFound('purchase plan', number)
  requireDutyToRead(ctx, PLAN_READERS, warehouse)
  const [plan] = await run(ctx, PLAN, [warehouse.id, number])
  if (plan === undefined) throw notFound('purchase plan', number)
  return { plan, warehouse }
}

const LOCK = statement<never>(`select 1 from purchase_plan where warehouse_id = $1 and number = $2 for no key update`)

/**
 * Takes a plan for the rest of the transaction: whoever changes, submits or signs it waits here.
 * @throws Refusal those of `loadPlan`, 412 `VersionStale`
 */
export async function lockPlan(
  ctx: Context,
  number: string,
  ifMatch?: string
): Promise<{ plan: Plan; warehouse: Warehouse }> {
  const { warehouse } = await loadPlan(ctx, number)
  await run(ctx, LOCK, [warehouse.id, number])
  const { plan } = await loadPlan(ctx, number)
  requireMatch(ifMatch, plan.version)
  return { plan, warehouse }
}

/** @throws Refusal 409 `PlanNotDraft` */
export function requireDraft({ number, state }: Pick<Plan, 'number' | 'state'>): void {
  if (state === 'draft') return
  const instead = {
    'awaiting-signatures': 'a signer may refuse it, which opens it again, or it is cancelled',
    approved: 'what it ordered is ended line by line, and more is ordered by another plan',
    cancelled: 'write another plan'
  }[state]
  throw new Refusal('PlanNotDraft', 409, `plan ${number} is ${state}; this is possible while it is a draft: ${instead}`)
}

export const planView = (plan: Plan, warehouse: { code: string }): PlanView => ({
  number: plan.number,
  warehouse: warehouse.code,
  period: plan.period.slice(0, 7),
  state: plan.state,
  version: plan.version,
  budget: plan.budget,
  amount: plan.amount,
  isOverBudget: plan.isOver,
  lines: plan.lines,
  note: plan.note,
  overBudgetBecause: plan.overBudgetBecause,
  suppliers: plan.suppliers.map(({ isOver, ...supplier }) => ({ ...supplier, isOverBudget: isOver })),
  withoutSupplier: plan.withoutSupplier,
  withoutPrice: plan.withoutPrice,
  preparedBy: plan.preparedBy,
  preparedAt: instant(plan.preparedAt),
  submittedAt: instantOrNull(plan.submittedAt),
  contentHash: plan.contentHash,
  duties: plan.duties,
  signatures: plan.signatures.map(signatureView),
  awaiting: plan.state === 'awaiting-signatures' ? dutiesAwaited(plan) : [],
  refusal: plan.refusal === null ? null : { ...plan.refusal, at: instant(plan.refusal.at) },
  approvedAt: instantOrNull(plan.approvedAt),
  cancelledAt: instantOrNull(plan.cancelledAt),
  cancelledBecause: plan.cancelledBecause
})

/** One plan as it is now. */
export async function readPurchasePlan(ctx: Context, { number }: { number: string }): Promise<PlanView> {
  const { plan, warehouse } = await loadPlan(ctx, number)
  return planView(plan, warehouse)
}

const CONTENT = statement<{ content: Record<string, unknown> }>(`
select jsonb_build_object('line', l.line_no, 'warehouse', w.code, 'proposal', r.number, 'part', part.number, 'supplier', supplier.code,
                          'quantity', trim_scale(l.quantity)::text, 'unitPrice', l.unit_price::text, 'amount', l.amount::text, 'changedBecause', l.changed_because) as content
  from purchase_plan_line l
  join warehouse w on w.id = l.for_warehouse_id
  join reorder_proposal r on r.warehouse_id = l.for_warehouse_id and r.id = l.proposal_id
  join part on part.id = l.part_id
  left join supplier on supplier.id = l.supplier_id
 where l.warehouse_id = $1 and l.plan_id = $2
 order by l.line_no`)

/** What signatures bind to (R-SIG-2): budgets and every line, computed from the rows each time. */
export async function planHash(
  ctx: Context,
  plan: Pick<Plan, 'id' | 'number' | 'period' | 'budget' | 'note' | 'overBudgetBecause' | 'duties' | 'suppliers'>,
  warehouse: { id: number; code: string }
): Promise<string> {
  const lines = await run(ctx, CONTENT, [warehouse.id, plan.id])
  return longContentHash({
    number: plan.number,
    warehouse: warehouse.code,
    period: plan.period.slice(0, 7),
    budget: plan.budget,
    supplierBudgets: plan.suppliers.flatMap(({ supplier, budget }) => (budget === null ? [] : [{ supplier, budget }])),
    note: plan.note,
    overBudgetBecause: plan.overBudgetBecause,
    duties: plan.duties,
    lines: lines.map(({ content }) => content)
  } as { lines: readonly object[] })
}
