import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { enter, enteredAlready, lockAccount } from './account.ts'
import type { Charged } from './capture-deposit.ts'
import { cents, least, money } from './cents.ts'

// Captures and compensation are negative, what was returned of them is positive.
const CHARGED = statement<{ charged: string }>(`
select (-coalesce(sum(amount), 0))::text as charged
  from deposit_entry where warehouse_id = $1 and reference = $2 and kind in ('capture', 'compensation', 'return')`)

/**
 * Gives back what was captured or charged for a document: the issue was reversed, the old part came after all. Never more than was
 * taken for it and not returned yet; a second call for the same document and reason changes nothing.
 */
export async function returnToDeposit(
  ctx: Context,
  { outletId, reference, amount, because }: { outletId: number; reference: string; amount: string; because: string }
): Promise<Charged> {
  const account = await lockAccount(ctx, outletId)
  if (account === undefined) return { account: false, amount: '0.00' }
  const entered = await enteredAlready(ctx, { outletId, kind: 'return', reference, because })
  if (entered !== undefined) return { account: true, amount: money(cents(entered)) }
  const [{ charged } = { charged: '0' }] = await run(ctx, CHARGED, [outletId, reference])
  const returned = least(cents(charged), cents(amount))
  if (returned <= 0n) return { account: true, amount: '0.00' }
  await enter(ctx, { outletId, kind: 'return', amount: money(returned), reference, because })
  return { account: true, amount: money(returned) }
}
