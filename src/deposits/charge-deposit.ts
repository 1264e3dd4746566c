import type { Context } from '../identity/actor.ts'
import { enter, enteredAlready, lockAccount } from './account.ts'
import type { Charged } from './capture-deposit.ts'
import { cents, money } from './cents.ts'

/**
 * Charges compensation against the deposit: an old part that never came (R-REQ-6). What is owed is owed, so it may take the balance
 * below nothing; the low-balance alert says so. A second call for the same document and reason changes nothing.
 */
export async function chargeDeposit(
  ctx: Context,
  { outletId, reference, amount, because }: { outletId: number; reference: string; amount: string; because: string }
): Promise<Charged> {
  const account = await lockAccount(ctx, outletId)
  if (account === undefined) return { account: false, amount: '0.00' }
  const entered = await enteredAlready(ctx, { outletId, kind: 'compensation', reference, because })
  if (entered !== undefined) return { account: true, amount: money(-cents(entered)) }
  const charged = cents(amount)
  if (charged <= 0n) return { account: true, amount: '0.00' }
  await enter(ctx, { outletId, kind: 'compensation', amount: money(-charged), reference, because })
  return { account: true, amount: money(charged) }
}
