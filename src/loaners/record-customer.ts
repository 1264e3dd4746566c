import { noteEvent } from '../signing/document-history.ts'
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { loadLoan, lockLoan, readLoan, requireOut } from './loan.ts'
import type { LoanView, RecordCustomer } from './loaners.schemas.ts'

const RECORD = statement<never>(`
update loan set customer_name = $3, customer_contact = $4, customer_forgotten_at = null, version = version + 1 where warehouse_id = $1 and id = $2`)

/**
 * Enters anew who has a unit that is out (R-LOAN-1): the customer was erased after a return that was reversed, or never entered. The history
 * says that it was done and by whom, never who the customer is. What is known is not overwritten.
 * @throws Refusal 409 `LoanNotOut`, `CustomerKnown`, 403, 404, 412
 */
export async function recordCustomer(
  ctx: Context,
  { number, customerName, customerContact, ifMatch }: RecordCustomer & { number: string; ifMatch?: string | undefined }
): Promise<LoanView> {
  const { warehouse } = await loadLoan(ctx, number)
  requireDuty(ctx, 'keeper', warehouse)
  return inTransaction(ctx, async (inner) => {
    const { loan } = await lockLoan(inner, number, ifMatch)
    requireOut(loan)
    if (loan.customerName !== null || loan.customerContact !== null) {
      throw new Refusal(
        'CustomerKnown',
        409,
        `the customer of ${number} is on record; a customer is entered anew only after having been erased`
      )
    }
    await run(inner, RECORD, [warehouse.id, loan.id, customerName ?? null, customerContact ?? null])
    await noteEvent(inner, { warehouseId: warehouse.id, id: loan.id }, 'customer-recorded')
    return readLoan(inner, { number })
  })
}
