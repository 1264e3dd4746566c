import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { enterOnce, type Charge, type Charged } from './account.ts'
import { cents, least } from './cents.ts'

// Captures and compensation are negative, what was returned of them is positive.
const CHARGED = statement<{ charged: string }>(`
select (-coalesce(sum(amount), 0))::text as charged
  from deposit_entry where warehouse_id = $1 and reference = $2 and kind in ('capture', 'compensation', 'return')`)

/**
 * Gives back what was captured or charged for a document: the issue was reversed, the old part came after all. Never more than was
 * taken for it and not returned yet; a second call for the same document and reason changes nothing.
 */
export const returnToDeposit = (ctx: Context, charge: Charge): Promise<Charged> =>
  enterOnce(ctx, 'return', charge, async () => {
    const [{ charged } = { charged: '0' }] = await run(ctx, CHARGED, [charge.outletId, charge.reference])
    return least(cents(charged), cents(charge.amount))
  })
