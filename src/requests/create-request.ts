import { controlledApprovalFor } from '../catalogue/controlled-approvals.queries.ts'
import { drawOnControlledApproval } from '../catalogue/draw-on-controlled-approval.ts'
import { partsByNumber } from '../catalogue/parts.queries.ts'
import { successorsOfParts, type Successor } from '../catalogue/supersessions.queries.ts'
import { toStockUnits } from '../catalogue/units.ts'
import { holdDeposit } from '../deposits/hold-deposit.ts'
import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { normalQuantity } from '../platform/decimal.ts'
import { Refusal, type FieldProblem } from '../platform/errors.ts'
import { centreOf } from '../warehouses/centre.ts'
import { requireOpen, warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { noteOnRequest } from './locked-request.ts'
import { requireOrderable } from './order-restrictions.ts'
import { planLines } from './plan-lines.ts'
import { viewOfRequest } from './requests.queries.ts'
import type { NewRequest, RequestView } from './requests.schemas.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { documentNumber, nextNumber } from '../signing/document-number.ts'

/** Who requests for an outlet and answers what it is asked. */
export const REQUESTING_DUTIES: readonly Duty[] = ['outlet-clerk', 'keeper']

interface Line {
  line: number
  partId: number
  part: string
  quantity: string
  unit: string
  unitQuantity: string
  note: string | null
  isControlled: boolean
}

// The row of the counter is held until the commit: requests of one outlet are written one after the other.
const CREATE = statement<{ id: string; number: string; value: string }>(`
with numbered as (${nextNumber("'REQ'", '$2')}
), priced as (
  select l.*, coalesce(part.list_price, part.standard_cost, 0) as unit_price
    from unnest($14::int[], $15::int[], $16::numeric[], $17::text[], $18::numeric[], $19::text[], $20::boolean[], $21::int[])
           as l (line_no, part_id, quantity, unit, unit_quantity, note, awaiting_approval, approval_id)
    join part on part.id = l.part_id
), created as (
  insert into request (warehouse_id, number, centre_id, urgency, carriage, need_by, repair_order, contact, note, accepts_partial, accepts_substitutes,
                       value, requested_by, requested_at)
  select $1, ${documentNumber('$3', "'REQ'", '$2')}, $4, $5, $6, $7::date, $8, $9, $10, $11, $12,
         (select coalesce(sum(round(quantity * unit_price, 2)), 0) from priced), $13, $22::timestamptz
    from numbered
  returning id, number, value
), lines as (
  insert into request_line (warehouse_id, request_id, line_no, part_id, quantity, unit, unit_quantity, unit_price, note, awaiting_approval, approval_id)
  select $1, created.id, line_no, part_id, quantity, unit, unit_quantity, unit_price, note, awaiting_approval, approval_id from created, priced
)
select id::text as id, number, value::text as value from created`)

/**
 * Requests parts for an outlet (R-REQ-1). In one transaction the deposit is held, approvals of controlled parts are drawn, the network is
 * searched, goods are reserved, transfers opened and the rest registered as backorders; the answer says per line what happens next.
 * @throws Refusal 409 `WarehouseClosed`, 422 `CarriageMissing`, `NeedByPast`, `PartUnknown`, `LoanerModel`, `PartInactive`, `PartNotForOutlet`, `PartSuperseded`, `UnitNotOfPart`,
 *   `CentreMissing`, `DepositExceeded`, 403, 404
 */
export async function createRequest(ctx: Context, { warehouse: code, ...input }: NewRequest): Promise<RequestView> {
  const outlet = await warehouseByCode(ctx, code)
  requireDuty(ctx, REQUESTING_DUTIES, outlet)
  requireShape(ctx, input)
  requireOpen(outlet, ctx.clock.today())
  const centre = await requireCentre(ctx, outlet)
  const lines = await linesOf(ctx, outlet, input)
  return afterDeadlock(() =>
    inTransaction(ctx, async (inner) => {
      const approvals = await drawApprovals(inner, outlet, lines)
      const { id, number, value } = await insert(inner, { outlet, centre, input, lines, approvals })
      await noteOnRequest(inner, { outletId: outlet.id, requestId: id }, [
        { event: 'requested', details: { value, lines: lines.length, urgency: input.urgency } },
        ...lines
          .filter(({ line }) => approvals.get(line) === null)
          .map(({ line, part, quantity }) => ({ event: 'awaiting-approval', details: { line, part, quantity } }))
      ])
      await holdDeposit(inner, { outlet, reference: number, amount: value, repairOrder: input.repairOrder ?? null })
      await planLines(inner, { outlet, requestId: id })
      await refuseWhatIsReplaced(inner, { outlet, id, lines, takesSubstitutes: input.substitutes ?? false })
      return viewOfRequest(inner, outlet, id)
    })
  )
}

/** @throws Refusal `CarriageMissing`, `NeedByPast` */
function requireShape(ctx: Context, { urgency, carriage, needBy }: Omit<NewRequest, 'warehouse'>): void {
  if (urgency === 'emergency' && carriage === undefined)
    throw new Refusal('CarriageMissing', 422, 'an emergency names how the goods come: road, express or air (R-REQ-4)', {
      errors: [{ pointer: '/carriage', detail: 'is missing', accepted: ['road', 'express', 'air'] }]
    })
  requireNotPast(ctx, needBy)
}

/** @throws Refusal `NeedByPast` */
export function requireNotPast(ctx: Context, needBy: string): void {
  const today = ctx.clock.today()
  if (needBy >= today) return
  throw new Refusal('NeedByPast', 422, `needBy ${needBy} is past; today is ${today}`, {
    errors: [{ pointer: '/needBy', detail: 'is past', sent: needBy, accepted: `${today} or later` }]
  })
}

/** Who answers the outlet: the regional centre above it, else the head office. */
async function requireCentre(ctx: Context, outlet: Warehouse): Promise<Warehouse> {
  const centre = await centreOf(ctx, outlet)
  if (centre === null)
    throw new Refusal(
      'CentreMissing',
      422,
      `${outlet.code} hangs under no centre that it could request from; what the head office is short of is ordered`,
      { errors: [{ pointer: '/warehouse', detail: 'has no centre above it', sent: outlet.code }] }
    )
  requireOpen(centre, ctx.clock.today())
  return centre
}

/** The lines against the catalogue; every one that is wrong is named. */
async function linesOf(ctx: Context, outlet: Warehouse, input: Omit<NewRequest, 'warehouse'>): Promise<Line[]> {
  const parts = await partsByNumber(
    ctx,
    input.lines.map(({ part }) => part)
  )
  const unknown = input.lines.flatMap(({ part }, place) =>
    parts.has(part) ? [] : [problem(place, 'the catalogue has no such part', part)]
  )
  if (unknown.length > 0)
    throw new Refusal(
      'PartUnknown',
      422,
      `the catalogue has no part ${unknown.map(({ sent }) => String(sent)).join(', ')}; GET /v1/parts?q= finds numbers`,
      { errors: unknown }
    )
  const loaners = input.lines.flatMap(({ part }, place) =>
    parts.get(part)?.loanerFamily == null ? [] : [problem(place, 'is a loaner model', part)]
  )
  if (loaners.length > 0)
    throw new Refusal(
      'LoanerModel',
      422,
      `${loaners.map(({ sent }) => String(sent)).join(', ')}: a loaner model (备用机) is not requested; its units are sent one by one under their serial numbers: POST /v1/loaners/{serial}/transfer`,
      { errors: loaners }
    )
  const lines = input.lines.map(({ part: number, quantity, unit, note }, place): Line & { isActive: boolean } => {
    const part = parts.get(number)
    if (part === undefined) throw new Error(`part ${number} was there a moment ago`)
    return {
      line: place + 1,
      partId: part.id,
      part: number,
      quantity: normalQuantity(inStockUnits(place, () => toStockUnits(part, quantity, unit ?? part.unit))),
      unit: unit ?? part.unit,
      unitQuantity: quantity,
      note: note ?? null,
      isControlled: part.controlled,
      isActive: part.active
    }
  })
  const ended = lines.filter(({ isActive }) => !isActive)
  const successors = await successorsOfParts(
    ctx.em,
    ended.map(({ partId }) => partId),
    ctx.clock.today()
  )
  const inactive = ended.map(({ line, partId, part }) =>
    problem(line - 1, `is no longer sold${insteadOf(successors.get(partId) ?? [])}`, part)
  )
  if (inactive.length > 0)
    throw new Refusal('PartInactive', 422, inactive.map(({ sent, detail }) => `${String(sent)} ${detail}`).join('; '), {
      errors: inactive
    })
  await requireOrderable(ctx, outlet, lines)
  return lines.map(({ isActive: _isActive, ...line }) => line)
}

const problem = (place: number, detail: string, sent: string): FieldProblem => ({
  pointer: `/lines/${place}/part`,
  detail,
  sent
})

/** A refusal of the catalogue, with the line that it is about. */
function inStockUnits(place: number, convert: () => string): string {
  try {
    return convert()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new Refusal(error.code, error.status, `line ${place + 1}: ${error.message}`, {
      extra: error.extra,
      errors: [
        { pointer: `/lines/${place}/${error.code === 'UnitNotOfPart' ? 'unit' : 'quantity'}`, detail: error.message }
      ]
    })
  }
}

/** `; request B-2 instead`, or nothing. */
function insteadOf(successors: readonly Successor[]): string {
  const sold = successors.filter(({ active }) => active)
  return sold.length === 0 ? '' : `; request ${sold.map(({ part }) => part).join(' or ')} instead`
}

/** The approval that each line of a controlled part is drawn from; null where none covers it and the line waits (R-CAT-2). */
async function drawApprovals(
  ctx: Context,
  outlet: Warehouse,
  lines: readonly Line[]
): Promise<Map<number, number | null>> {
  const approvals = new Map<number, number | null>()
  // In the order of parts, as everybody draws.
  for (const { line, partId, quantity, isControlled } of lines.toSorted((a, b) => a.partId - b.partId)) {
    if (isControlled) approvals.set(line, await drawFor(ctx, { outletId: outlet.id, partId, quantity }))
  }
  return approvals
}

/** Draws on the first approval that covers the whole quantity; null if none does. */
export async function drawFor(
  ctx: Context,
  { outletId, partId, quantity }: { outletId: number; partId: number; quantity: string }
): Promise<number | null> {
  const today = ctx.clock.today()
  for (const { id } of await controlledApprovalFor(ctx.em, partId, outletId, today))
    if ((await drawOnControlledApproval(ctx.em, id, quantity, today)) !== undefined) return id
  return null
}

async function insert(
  ctx: Context,
  {
    outlet,
    centre,
    input,
    lines,
    approvals
  }: {
    outlet: Warehouse
    centre: Warehouse
    input: Omit<NewRequest, 'warehouse'>
    lines: readonly Line[]
    approvals: ReadonlyMap<number, number | null>
  }
): Promise<{ id: string; number: string; value: string }> {
  const [created] = await run(ctx, CREATE, [
    outlet.id,
    ctx.clock.today(),
    outlet.code,
    centre.id,
    input.urgency,
    input.carriage ?? null,
    input.needBy,
    input.repairOrder ?? null,
    input.contact ?? null,
    input.note ?? null,
    input.partial ?? true,
    input.substitutes ?? false,
    ctx.actor.personId,
    lines.map(({ line }) => line),
    lines.map(({ partId }) => partId),
    lines.map(({ quantity }) => quantity),
    lines.map(({ unit }) => unit),
    lines.map(({ unitQuantity }) => unitQuantity),
    lines.map(({ note }) => note),
    lines.map(({ line }) => approvals.get(line) === null),
    lines.map(({ line }) => approvals.get(line) ?? null),
    ctx.clock.now().toString()
  ])
  if (created === undefined) throw new Error('no request was written')
  return created
}

const FOUND_NOTHING = statement<{ line: number; partId: number; part: string; instead: string[] }>(`
select p.line_no as line, p.part_id as "partId", part.number as part,
       (select array_agg(successor.number order by successor.number) from supersession s join part successor on successor.id = s.successor_id
         where s.part_id = p.part_id and not s.both_ways and s.valid_from <= $3::date and (s.valid_to is null or s.valid_to >= $3::date)) as instead
  from request_line_position p join part on part.id = p.part_id
 where p.warehouse_id = $1 and p.request_id = $2 and p.allocated = 0 and not p.awaiting_approval
   and exists (select 1 from supersession s
                where s.part_id = p.part_id and not s.both_ways and s.valid_from <= $3::date and (s.valid_to is null or s.valid_to >= $3::date))
 order by p.line_no`)

/** A part that is replaced is never bought again: nobody waits for it. */
async function refuseWhatIsReplaced(
  ctx: Context,
  {
    outlet,
    id,
    lines,
    takesSubstitutes
  }: { outlet: Warehouse; id: string; lines: readonly Line[]; takesSubstitutes: boolean }
): Promise<void> {
  if (takesSubstitutes || lines.length === 0) return
  const replaced = await run(ctx, FOUND_NOTHING, [outlet.id, id, ctx.clock.today()])
  if (replaced.length === 0) return
  throw new Refusal(
    'PartSuperseded',
    422,
    `${replaced.map(({ part, instead }) => `${part} is replaced by ${instead.join(', ')}, and nobody has any left`).join('; ')}; request what replaces it, or say substitutes: true`,
    {
      errors: replaced.map(({ line, part, instead }) => ({
        pointer: `/lines/${line - 1}/part`,
        detail: 'is replaced, and there is none left',
        sent: part,
        accepted: instead
      }))
    }
  )
}
