import { noteEvent } from '../signing/document-history.ts'
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, Refusal } from '../platform/errors.ts'
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

// The key of `loan_receipt_of_one_loan`.
const WITH_RECEIPT = statement<{ number: string }>(`
select number from loan where warehouse_id = $1 and receipt_key(receipt_number) = receipt_key($2) and state <> 'cancelled' and not shares_receipt`)

/**
 * A receipt is of one loan: who holds two units has signed two. A loan that never took effect leaves its number free.
 * @throws Refusal 409 `ReceiptUsed`
 */
async function requireReceiptUnused(ctx: Context, warehouseId: number, receiptNumber: string): Promise<void> {
  const [loan] = await run(ctx, WITH_RECEIPT, [warehouseId, receiptNumber])
  if (loan !== undefined) throw receiptUsed(receiptNumber, loan.number)
}

const receiptUsed = (receiptNumber: string, loan: string | null): Refusal =>
  new Refusal(
    'ReceiptUsed',
    409,
    `receipt ${receiptNumber} is that of ${loan === null ? 'a loan that was drawn up at this moment' : `loan ${loan}`}; a receipt is of one loan, so have the customer sign another`,
    {
      errors: [{ pointer: '/receiptNumber', detail: 'is of another loan', sent: receiptNumber }],
      extra: { ...(loan !== null && { loan }) }
    }
  )

/** The last day a keeper may lend until by himself. */
export const keepersLimit = (ctx: Context, from: string): string =>
  Temporal.PlainDate.from(from).add({ days: ctx.config.LOAN_DAYS }).toString()

/**
 * Lends a unit against a repair order and a receipt of the customer (R-LOAN-1). The loan-out slip names the unit's own lot; the unit is
 * out once the slip is signed and posted. The slip names the receipt, never the customer: slips are kept for ever.
 * @throws Refusal `DueInPast`, `LoanTooLong`, `AccessoryUnknown`, 409 `LoanerNotAvailable`, `LoanerReserved`, `ReceiptUsed`, those of `draftSlip`, 403, 404
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
    // After the number of the slip was drawn: who lends here at the same moment has waited for that.
    await requireReceiptUnused(inner, warehouse.id, receiptNumber)
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
    ]).catch((error: unknown) => {
      throw constraintOf(error) === 'loan_receipt_of_one_loan' ? receiptUsed(receiptNumber, null) : error
    })
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
