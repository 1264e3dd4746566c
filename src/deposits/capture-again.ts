import type { Context } from '../identity/actor.ts'
import { enter, enteredAlready, lockAccount } from './account.ts'
import type { Charged } from './capture-deposit.ts'
import { cents, money } from './cents.ts'

/**
 * Takes again what was given back for a document: the return that it was given back for was reversed. What is owed is owed, so it is not
 * bound by a hold and may take the balance below nothing; the low-balance alert says so. A second call for the same document and reason
 * changes nothing.
 */
export async function captureAgain(
  ctx: Context,
  { outletId, reference, amount, because }: { outletId: number; reference: string; amount: string; because: string }
): Promise<Charged> {
  const account = await lockAccount(ctx, outletId)
  if (account === undefined) return { account: false, amount: '0.00' }
  const entered = await enteredAlready(ctx, { outletId, kind: 'capture', reference, because })
  if (entered !== undefined) return { account: true, amount: money(-cents(entered)) }
  const captured = cents(amount)
  if (captured <= 0n) return { account: true, amount: '0.00' }
  await enter(ctx, { outletId, kind: 'capture', amount: money(-captured), reference, because })
  return { account: true, amount: money(captured) }
}
