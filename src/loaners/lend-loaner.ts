import { noteEvent } from '../signing/document-history.ts'
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { writeSlip } from '../slips/create-slip.ts'
import { loanerBySerial, lockLoaner, moveBy, noteOnUnit, requireLoanerState, unitLine } from './loaner.ts'
import { readLoan } from './loan.ts'
import type { LendLoaner, LoanView } from './loaners.schemas.ts'
import { endLapsedReservation } from './reserve-loaner.ts'
import { documentNumber, nextNumber } from '../signing/document-number.ts'

// The row of the counter is held until the commit, so that numbers have no gap.
const CREATE = statement<{ id: string; number: string }>(`
with numbered as (${nextNumber("'LON'", '$2')}
)
insert into loan (warehouse_id, number, unit_warehouse_id, unit_id, repair_order, receipt_number, customer_name, customer_contact, due_on,
                  out_slip_id, condition_out, grade_out, accessories_out, drawn_up_by, drawn_up_at)
select $1, ${documentNumber('$3', "'LON'", '$2')},
       $4, $5, $6, $7, $8, $9, $10::date, $11, $12, $13, $14, $15, $16
  from numbered
returning id::text as id, number`)

/** The last day a keeper may lend until by himself. */
export const keepersLimit = (ctx: Context, from: string): string =>
  Temporal.PlainDate.from(from).add({ days: ctx.config.LOAN_DAYS }).toString()

/**
 * Lends a unit against a repair order and a receipt of the customer (R-LOAN-1). The loan-out slip names the unit's own lot; the unit is
 * out once the slip is signed and posted. The slip names the receipt, never the customer: slips are kept for ever.
 * @throws Refusal `DueInPast`, `LoanTooLong`, `AccessoryUnknown`, 409 `LoanerNotAvailable`, `LoanerReserved`, those of `draftSlip`, 403, 404
 */
export async function lendLoaner(
  ctx: Context,
  {
    serial,
    repairOrder,
    receiptNumber,
    customerName,
    customerContact,
    dueOn,
    condition,
    accessories
  }: LendLoaner & {
    serial: string
  }
): Promise<LoanView> {
  const { unit: found, warehouse } = await loanerBySerial(ctx, serial)
  requireDuty(ctx, 'keeper', warehouse)
  requireDueDay(ctx, dueOn)
  const limit = keepersLimit(ctx, ctx.clock.today())
  if (dueOn > limit) {
    throw new Refusal(
      'LoanTooLong',
      422,
      `a unit is lent until ${limit} at most; if the repair takes longer, the department head extends the loan`,
      { errors: [{ pointer: '/dueOn', detail: 'is too far away', sent: dueOn, accepted: `at most ${limit}` }] }
    )
  }
  return inTransaction(ctx, async (inner) => {
    await endLapsedReservation(inner, found)
    const unit = await lockLoaner(inner, found)
    if (unit.state === 'reserved' && unit.reservation?.repairOrder !== repairOrder) {
      throw new Refusal(
        'LoanerReserved',
        409,
        `unit ${unit.serial} is kept for repair order ${unit.reservation?.repairOrder} until ${unit.reservation?.until}; lend another, or end the reservation`,
        { extra: { serial: unit.serial, reservation: unit.reservation?.repairOrder, until: unit.reservation?.until } }
      )
    }
    requireLoanerState(unit, ['available', 'reserved'])
    const along = accessories ?? unit.accessories
    requireAccessories(along, unit.accessories)
    const slip = await writeSlip(inner, warehouse, {
      kind: 'loan-out',
      reference: repairOrder,
      counterparty: receiptNumber,
      note: condition,
      lines: [
        {
          ...unitLine(unit),
          lot: unit.lot ?? undefined,
          ...(unit.reservation !== null && { reservation: unit.reservation.stockReservation })
        }
      ]
    })
    const [loan] = await run(inner, CREATE, [
      warehouse.id,
      inner.clock.today(),
      warehouse.code,
      unit.homeId,
      unit.id,
      repairOrder,
      receiptNumber,
      customerName ?? null,
      customerContact ?? null,
      dueOn,
      slip.id,
      condition,
      unit.grade,
      along,
      inner.actor.personId,
      inner.clock.now().toString()
    ])
    if (loan === undefined) throw new Error('no loan was written')
    await moveBy(inner, unit, { warehouseId: warehouse.id, slipId: slip.id, purpose: 'loan-out', loanId: loan.id })
    const details = { slip: slip.number, loan: loan.number, serial: unit.serial, repairOrder, dueOn }
    await noteEvent(inner, { warehouseId: warehouse.id, id: loan.id }, 'loan-drawn-up', details)
    await noteOnUnit(inner, unit, 'loan-drawn-up', details)
    return readLoan(inner, loan)
  })
}

/** @throws Refusal 422 `DueInPast` */
export function requireDueDay(ctx: Context, dueOn: string): void {
  const today = ctx.clock.today()
  if (dueOn >= today) return
  throw new Refusal('DueInPast', 422, `a unit is due back today (${today}) or later, not on ${dueOn}`, {
    errors: [{ pointer: '/dueOn', detail: 'is in the past', sent: dueOn, accepted: `at least ${today}` }]
  })
}

/** @throws Refusal 422 `AccessoryUnknown` */
export function requireAccessories(named: readonly string[], known: readonly string[]): void {
  const errors = named.flatMap((accessory, index) =>
    known.includes(accessory)
      ? []
      : [{ pointer: `/accessories/${index}`, detail: 'did not belong to it', sent: accessory, accepted: known }]
  )
  if (errors.length === 0) return
  throw new Refusal(
    'AccessoryUnknown',
    422,
    `${errors.map(({ sent }) => sent).join(', ')}: not among the accessories (${known.join(', ') || 'none'})`,
    { errors: errors.slice(0, 20) }
  )
}
