// The lines of a plan that is a draft. Whoever calls these holds the plan.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { normalQuantity, thousandths } from '../platform/decimal.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import { SOLE } from '../replenishment/propose-reorders.ts'
import type { AmendPlan } from './purchase-plans.schemas.ts'

interface PlanKey {
  warehouseId: number
  id: string
}

// A proposal is locked before it is taken: whoever rejects it meanwhile is waited for, and then it is not taken.
const GATHER = statement<{ proposal: string }>(`
with waiting as (
  select p.* from reorder_proposal p
   where p.kind = 'order' and p.state = 'accepted' and p.expected_receipt_id is null and ($3::text[] is null or p.number = any ($3))
     and not exists (select 1 from purchase_plan_line l where l.for_warehouse_id = p.warehouse_id and l.proposal_id = p.id and l.active)
   order by p.warehouse_id, p.id
     for update of p
), placed as (
  select waiting.*, part.standard_cost, row_number() over (order by supplier.code nulls last, part.number, w.code, waiting.id) as place
    from waiting
    join part on part.id = waiting.part_id
    join warehouse w on w.id = waiting.warehouse_id
    left join supplier on supplier.id = waiting.supplier_id
), counted as (
  update purchase_plan set last_line = last_line + (select count(*) from placed) where warehouse_id = $1 and id = $2
  returning last_line - (select count(*) from placed) as before
), added as (
  insert into purchase_plan_line (warehouse_id, plan_id, line_no, for_warehouse_id, proposal_id, part_id, supplier_id, quantity, unit_price)
  select $1, $2, counted.before + p.place, p.warehouse_id, p.id, p.part_id, p.supplier_id, p.decided_quantity, p.standard_cost
    from placed p cross join counted
)
select number as proposal from placed`)

/**
 * Adds accepted orders that are in no plan yet. Two who gather at once into two plans wait for each other; the second finds them taken.
 * @param proposals only these
 * @returns their numbers
 */
export async function gatherLines(ctx: Context, plan: PlanKey, proposals?: readonly string[]): Promise<string[]> {
  await run(ctx, SOLE, [])
  const added = await run(ctx, GATHER, [plan.warehouseId, plan.id, proposals ?? null])
  return added.map(({ proposal }) => proposal)
}

/** @throws Refusal 422 `ProposalNotWaiting` naming those that could not be added */
export async function addLines(ctx: Context, plan: PlanKey, proposals: readonly string[]): Promise<void> {
  const added = new Set(await gatherLines(ctx, plan, proposals))
  const left = [...new Set(proposals)].filter((number) => !added.has(number))
  if (left.length === 0) return
  throw new Refusal(
    'ProposalNotWaiting',
    422,
    `only accepted orders that are in no plan are added: ${some(left)} ${left.length === 1 ? 'is' : 'are'} none`,
    {
      errors: [{ pointer: '/add', detail: 'are no accepted orders that wait for a plan', sent: left.slice(0, 50) }]
    }
  )
}

const some = (all: readonly string[]): string =>
  `${all.slice(0, NAMED_OFFENDERS).join(', ')}${all.length > NAMED_OFFENDERS ? ` and ${all.length - NAMED_OFFENDERS} more` : ''}`

const REMOVE = statement<{ line: number }>(`
delete from purchase_plan_line where warehouse_id = $1 and plan_id = $2 and line_no = any ($3::int[]) returning line_no as line`)

/** @throws Refusal 422 `PlanLineUnknown` */
export async function removeLines(ctx: Context, plan: PlanKey, lines: readonly number[]): Promise<void> {
  const removed = new Set((await run(ctx, REMOVE, [plan.warehouseId, plan.id, lines])).map(({ line }) => line))
  const unknown = lines.filter((line) => !removed.has(line))
  if (unknown.length > 0) throw lineUnknown('/remove', unknown)
}

const lineUnknown = (pointer: string, lines: readonly number[]): Refusal =>
  new Refusal('PlanLineUnknown', 422, `the plan has no line ${some(lines.map(String))}`, {
    errors: [{ pointer, detail: 'is no line of the plan', sent: lines.slice(0, 50) }]
  })

interface KnownLine {
  line: number
  partId: number
  part: string
  isControlled: boolean
  accepted: string
  acceptedSupplierId: number | null
  quantity: string
  supplierId: number | null
  unitPrice: string | null
  changedBecause: string | null
}
const LINES = statement<KnownLine>(`
select l.line_no as line, l.part_id as "partId", part.number as part, part.controlled as "isControlled", trim_scale(p.decided_quantity)::text as accepted,
       p.supplier_id as "acceptedSupplierId", trim_scale(l.quantity)::text as quantity, l.supplier_id as "supplierId", l.unit_price::text as "unitPrice",
       l.changed_because as "changedBecause"
  from purchase_plan_line l
  join part on part.id = l.part_id
  join reorder_proposal p on p.warehouse_id = l.for_warehouse_id and p.id = l.proposal_id
 where l.warehouse_id = $1 and l.plan_id = $2 and l.line_no = any ($3::int[])`)

const SUPPLIERS = statement<{ code: string; id: number; parts: number[] }>(`
select supplier.code, supplier.id,
       coalesce((select array_agg(held.part_id) from supplier_authorisation held
                  where supplier.active and held.supplier_id = supplier.id and held.part_id = any ($2::int[]) and held.valid_from <= $3 and (held.valid_to is null or held.valid_to >= $3)), '{}') as parts
  from supplier where code = any ($1::text[])`)

const CHANGE = statement<never>(`
update purchase_plan_line l
   set quantity = c.quantity, supplier_id = c.supplier_id, unit_price = c.unit_price, changed_because = c.changed_because
  from unnest($3::int[], $4::numeric[], $5::int[], $6::numeric[], $7::text[]) as c (line_no, quantity, supplier_id, unit_price, changed_because)
 where l.warehouse_id = $1 and l.plan_id = $2 and l.line_no = c.line_no`)

/**
 * Changes quantity, supplier or price of lines. Who orders something else than was accepted says why; of a controlled part no more than
 * its approval allowed.
 * @throws Refusal 422 `PlanLineUnknown`, `LineTwice`, `ReasonMissing`, `ApprovalExceeded`, `SupplierUnknown`, `SupplierNotAuthorised`
 */
export async function changeLines(
  ctx: Context,
  plan: PlanKey,
  changes: NonNullable<AmendPlan['change']>
): Promise<void> {
  const numbers = changes.map(({ line }) => line)
  const known = new Map((await run(ctx, LINES, [plan.warehouseId, plan.id, numbers])).map((line) => [line.line, line]))
  const unknown = numbers.filter((line) => !known.has(line))
  if (unknown.length > 0) throw lineUnknown('/change', unknown)
  if (new Set(numbers).size < numbers.length)
    throw new Refusal('LineTwice', 422, 'a line is changed once per call; say all that changes of it together', {
      errors: [{ pointer: '/change', detail: 'has a line twice' }]
    })
  const codes = [...new Set(changes.flatMap(({ supplier }) => supplier ?? []))]
  const suppliers = new Map(
    (await run(ctx, SUPPLIERS, [codes, [...known.values()].map(({ partId }) => partId), ctx.clock.today()])).map(
      (supplier) => [supplier.code, supplier]
    )
  )
  const changed = changes.map((change, place): KnownLine => {
    const line = known.get(change.line)
    if (line === undefined) throw new Error(`line ${change.line} was found a moment ago`)
    const refuse = (code: string, member: keyof typeof change, detail: string, accepted?: unknown) =>
      new Refusal(code, 422, `line ${line.line} (${line.part}): ${detail}`, {
        errors: [{ pointer: `/change/${place}/${member}`, detail, sent: change[member], accepted }]
      })
    const supplierId = change.supplier === undefined ? line.supplierId : supplierOf(change.supplier)
    const quantity = change.quantity === undefined ? line.quantity : normalQuantity(change.quantity)
    if (line.isControlled && thousandths(quantity) > thousandths(line.accepted))
      throw refuse(
        'ApprovalExceeded',
        'quantity',
        `a controlled part (监控件) is ordered up to what its approval allowed; accept another proposal for more`,
        `at most ${line.accepted}`
      )
    const isOther =
      (change.quantity !== undefined && quantity !== line.quantity && quantity !== line.accepted) ||
      (supplierId !== line.supplierId && line.acceptedSupplierId !== null && supplierId !== line.acceptedSupplierId)
    if (isOther && change.reason === undefined)
      throw refuse('ReasonMissing', 'reason', 'it is not what was accepted; say why')
    return {
      ...line,
      quantity,
      supplierId,
      unitPrice: change.unitPrice ?? line.unitPrice,
      changedBecause: change.reason ?? line.changedBecause
    }

    function supplierOf(code: string): number {
      const supplier = suppliers.get(code)
      if (supplier === undefined) throw refuse('SupplierUnknown', 'supplier', `there is no supplier ${code}`)
      if (line?.partId !== undefined && supplier.parts.includes(line.partId)) return supplier.id
      throw refuse(
        'SupplierNotAuthorised',
        'supplier',
        `supplier ${code} is not authorised for it; parts come only from authorised suppliers`
      )
    }
  })
  await run(ctx, CHANGE, [
    plan.warehouseId,
    plan.id,
    changed.map(({ line }) => line),
    changed.map(({ quantity }) => quantity),
    changed.map(({ supplierId }) => supplierId),
    changed.map(({ unitPrice }) => unitPrice),
    changed.map(({ changedBecause }) => changedBecause)
  ])
}

const CLEAR_BUDGETS = statement<never>(`delete from purchase_plan_budget where warehouse_id = $1 and plan_id = $2`)
const SET_BUDGETS = statement<{ code: string }>(`
with given as (
  select supplier.id, supplier.code, b.amount from unnest($3::text[], $4::numeric[]) as b (code, amount) join supplier on supplier.code = b.code
), written as (
  insert into purchase_plan_budget (warehouse_id, plan_id, supplier_id, amount) select $1, $2, id, amount from given
)
select code from given`)

/** @throws Refusal 422 `SupplierUnknown`, `SupplierTwice` */
export async function setSupplierBudgets(
  ctx: Context,
  plan: PlanKey,
  budgets: readonly { supplier: string; amount: string }[]
): Promise<void> {
  const codes = budgets.map(({ supplier }) => supplier)
  const twice = codes.filter((code, place) => codes.indexOf(code) !== place)
  if (twice.length > 0)
    throw new Refusal('SupplierTwice', 422, `${some(twice)} has two budgets; one is enough`, {
      errors: [{ pointer: '/supplierBudgets', detail: 'has a supplier twice', sent: twice }]
    })
  await run(ctx, CLEAR_BUDGETS, [plan.warehouseId, plan.id])
  const set = new Set(
    (await run(ctx, SET_BUDGETS, [plan.warehouseId, plan.id, codes, budgets.map(({ amount }) => amount)])).map(
      ({ code }) => code
    )
  )
  const unknown = codes.filter((code) => !set.has(code))
  if (unknown.length > 0)
    throw new Refusal('SupplierUnknown', 422, `there is no supplier ${some(unknown)}; GET /v1/suppliers lists them`, {
      errors: [{ pointer: '/supplierBudgets', detail: 'is unknown', sent: unknown }]
    })
}
