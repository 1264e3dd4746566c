import { noteEvent } from '../signing/document-history.ts'
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { loadLoan, lockLoan, readLoan } from './loan.ts'
import type { LoanView } from './loaners.schemas.ts'

const FORGET = statement<never>(`
update loan set customer_name = null, customer_contact = null, customer_forgotten_at = $3, version = version + 1 where warehouse_id = $1 and id = $2`)

// Answers that are kept to be given again (R-ERR-2) hold the loan as it was.
const FORGET_ANSWERS = statement<never>(`
update idempotency_key set body = (body::jsonb || jsonb_build_object('customer', null, 'customerForgottenAt', $2::text))::text
 where body like '%"number":"' || $1 || '"%' and body::jsonb ? 'customer'`)

/**
 * Erases who the customer was, once the unit is back. The receipt number stays; name and contact are erased from stored answers, too, and
 * stand nowhere else. A second time changes nothing.
 * @throws Refusal 409 `LoanStillOut`, 403, 404
 */
export async function forgetCustomer(ctx: Context, { number }: { number: string }): Promise<LoanView> {
  const { warehouse } = await loadLoan(ctx, number)
  requireDuty(ctx, ['keeper', 'department-head'], warehouse)
  return inTransaction(ctx, async (inner) => {
    const { loan } = await lockLoan(inner, number)
    if (loan.state === 'out' || loan.state === 'awaiting-release') {
      throw new Refusal(
        'LoanStillOut',
        409,
        `the customer of ${number} is needed until the unit is back; erase name and contact after the return`
      )
    }
    if (loan.customerForgottenAt === null) {
      await run(inner, FORGET, [warehouse.id, loan.id, inner.clock.now().toString()])
      await run(inner, FORGET_ANSWERS, [loan.number, inner.clock.now().toString()])
      await noteEvent(inner, { warehouseId: warehouse.id, id: loan.id }, 'customer-forgotten')
    }
    return readLoan(inner, { number })
  })
}
