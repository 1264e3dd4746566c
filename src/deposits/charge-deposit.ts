import type { Context } from '../identity/actor.ts'
import { enterOnce, type Charge, type Charged } from './account.ts'
import { cents } from './cents.ts'

/**
 * Charges compensation against the deposit: an old part that never came (R-REQ-6). What is owed is owed, so it may take the balance
 * below nothing; the low-balance alert says so. A second call for the same document and reason changes nothing.
 */
export const chargeDeposit = (ctx: Context, charge: Charge): Promise<Charged> =>
  enterOnce(ctx, 'compensation', charge, () => cents(charge.amount))
