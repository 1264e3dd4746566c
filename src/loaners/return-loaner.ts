import { noteEvent } from '../signing/document-history.ts'
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { writeSlip } from '../slips/create-slip.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { loadLoan, lockLoan, readLoan, requireOut, type Loan } from './loan.ts'
import { requireAccessories } from './lend-loaner.ts'
import { moveBy, noteOnUnit, promisedToRepair, requireLoanerState, unitLine } from './loaner.ts'
import type { LoanView, ReturnLoaner } from './loaners.schemas.ts'

const RETURN = statement<never>(`
update loan set in_slip_id = $3, condition_in = $4, outcome = $5, grade_in = $6, accessories_in = $7, damage = $8, damage_amount = $9, version = version + 1
 where warehouse_id = $1 and id = $2`)

// What the unit was worth when it left; the price of a new one if it was in the books for nothing.
const WORTH = statement<{ worth: string }>(`
select coalesce(nullif(-m.cost, 0), part.standard_cost, 0)::numeric(18,2)::text as worth
  from slip s
  join movement m on m.warehouse_id = s.warehouse_id and m.slip_id = s.id and m.occurred_on = s.occurred_on and m.line_no = 1
  join part on part.id = m.part_id
 where s.warehouse_id = $1 and s.number = $2`)

/** @throws Refusal 422 `DamageAboveValue` */
async function requireDamageWithinWorth(
  ctx: Context,
  warehouseId: number,
  { outSlip, unit: { serial } }: Loan,
  amount: string
): Promise<void> {
  const [left] = await run(ctx, WORTH, [warehouseId, outSlip])
  const worth = left?.worth ?? '0.00'
  if (thousandths(amount) <= thousandths(worth)) return
  throw new Refusal(
    'DamageAboveValue',
    422,
    `unit ${serial} left at a cost of ${worth}, and no more is claimed for it; the claim is ${amount}`,
    {
      errors: [
        { pointer: '/damage/amount', detail: 'is more than the unit cost', sent: amount, accepted: `at most ${worth}` }
      ]
    }
  )
}

/**
 * Takes a unit back (R-LOAN-1): a loan-in slip from the loan-out, at the cost it left with, signed and posted like any other. What needs
 * repair comes onto the shelf and is kept back at once; what is beyond repair comes back as nonconforming.
 * @throws Refusal 409 `ReturnElsewhere`, `LoanNotOut`, `LoanerNotAvailable` if it is being returned already, 422 `AccessoryUnknown`, `DamageAboveValue`, 403, 404, 412
 */
export async function returnLoaner(
  ctx: Context,
  {
    number,
    warehouse: handedIn,
    outcome,
    condition,
    grade,
    accessories,
    damage,
    ifMatch
  }: ReturnLoaner & { number: string; ifMatch?: string | undefined }
): Promise<LoanView> {
  const { warehouse } = await loadLoan(ctx, number)
  requireDuty(ctx, 'keeper', warehouse)
  if (handedIn !== undefined && handedIn !== warehouse.code) {
    await warehouseByCode(ctx, handedIn)
    throw new Refusal(
      'ReturnElsewhere',
      409,
      `${number} was lent by ${warehouse.code}, and goods go back where they left: have ${warehouse.code} take the unit back, and transfer it to ${handedIn} by POST /v1/loaners/{serial}/transfer`,
      { errors: [{ pointer: '/warehouse', detail: 'did not lend it', sent: handedIn, accepted: warehouse.code }] }
    )
  }
  return inTransaction(ctx, async (inner) => {
    const { loan, unit } = await lockLoan(inner, number, ifMatch)
    requireOut(loan)
    requireLoanerState(unit, ['out'])
    const back = accessories ?? loan.accessoriesOut
    requireAccessories(back, loan.accessoriesOut)
    if (damage?.amount !== undefined) await requireDamageWithinWorth(inner, warehouse.id, loan, damage.amount)
    const slip = await writeSlip(inner, warehouse, {
      kind: 'loan-in',
      reference: loan.outSlip,
      counterparty: loan.receiptNumber,
      reason: condition,
      lines: [
        {
          ...unitLine({ ...unit, condition: outcome === 'beyond-repair' ? 'nonconforming' : 'qualified' }),
          sourceLine: 1,
          ...(outcome === 'needs-repair' && { reserveFor: promisedToRepair(unit.serial) })
        }
      ]
    })
    await run(inner, RETURN, [
      warehouse.id,
      loan.id,
      slip.id,
      condition,
      outcome,
      grade ?? loan.gradeOut,
      back,
      damage?.description ?? null,
      damage?.amount ?? null
    ])
    await moveBy(inner, unit, { warehouseId: warehouse.id, slipId: slip.id, purpose: 'loan-in', loanId: loan.id })
    const details = { loan: number, slip: slip.number, outcome, damaged: damage !== undefined }
    await noteEvent(inner, { warehouseId: warehouse.id, id: loan.id }, 'return-drawn-up', details)
    await noteOnUnit(inner, unit, 'return-drawn-up', details)
    return readLoan(inner, { number })
  })
}
