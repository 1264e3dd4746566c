import type { Context } from '../identity/actor.ts'
import { enterOnce, type Charge, type Charged } from './account.ts'
import { cents } from './cents.ts'

/**
 * Takes again what was given back for a document: the return that it was given back for was reversed. What is owed is owed, so it is not
 * bound by a hold and may take the balance below nothing; the low-balance alert says so. A second call for the same document and reason
 * changes nothing.
 */
export const captureAgain = (ctx: Context, charge: Charge): Promise<Charged> =>
  enterOnce(ctx, 'capture', charge, () => cents(charge.amount))
