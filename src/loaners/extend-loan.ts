import { noteEvent } from '../signing/document-history.ts'
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { keepersLimit, requireDueDay } from './lend-loaner.ts'
import { loadLoan, lockLoan, readLoan, requireOut } from './loan.ts'
import { noteOnUnit, requireLoanerState } from './loaner.ts'
import type { LoanView } from './loaners.schemas.ts'

const EXTEND = statement<never>(`
update loan set due_on = $3, extensions = extensions + 1, version = version + 1 where warehouse_id = $1 and id = $2`)

/**
 * Moves the day a unit is due back. A keeper extends to `LOAN_DAYS` after the day it was lent; beyond that it is for the department head.
 * @throws Refusal `DueInPast`, `NotLater`, 409 `LoanNotOut`, `LoanerNotAvailable` while its return is being signed, 403, 404, 412
 */
export async function extendLoan(
  ctx: Context,
  { number, dueOn, because, ifMatch }: { number: string; dueOn: string; because: string; ifMatch?: string | undefined }
): Promise<LoanView> {
  const { warehouse } = await loadLoan(ctx, number)
  requireDuty(ctx, ['keeper', 'department-head'], warehouse)
  requireDueDay(ctx, dueOn)
  return inTransaction(ctx, async (inner) => {
    const { loan, unit } = await lockLoan(inner, number, ifMatch)
    requireOut(loan)
    requireLoanerState(unit, ['out'])
    const limit = keepersLimit(inner, loan.lentOn ?? inner.clock.today())
    if (dueOn > limit) requireDuty(inner, 'department-head', warehouse)
    if (dueOn <= loan.dueOn) {
      throw new Refusal('NotLater', 422, `${number} is due on ${loan.dueOn} already; an extension is to a later day`, {
        errors: [{ pointer: '/dueOn', detail: 'is not later', sent: dueOn, accepted: `after ${loan.dueOn}` }]
      })
    }
    await run(inner, EXTEND, [warehouse.id, loan.id, dueOn])
    const details = { loan: number, from: loan.dueOn, to: dueOn, because }
    await noteEvent(inner, { warehouseId: warehouse.id, id: loan.id }, 'extended', details)
    await noteOnUnit(inner, unit, 'extended', details)
    return readLoan(inner, { number })
  })
}
