import type { Context } from '../identity/actor.ts'
import { heldFor, lockAccount, setHold } from './account.ts'
import { cents, least, money } from './cents.ts'
import { giveBackWaivers } from './waiver-uses.ts'

/**
 * Sets what a document holds of the deposit to what its open lines are worth now; nothing releases it. A consequence and no new
 * request, so it is never refused: a line that is open again after a reversal holds what it held. What is waived is given back first.
 */
export async function changeHold(
  ctx: Context,
  { outletId, reference, amount }: { outletId: number; reference: string; amount: string }
): Promise<{ account: boolean; free: string; held: string }> {
  const account = await lockAccount(ctx, outletId)
  if (account === undefined) return { account: false, free: '0.00', held: '0.00' }
  const less = cents(await heldFor(ctx, outletId, reference)) - cents(amount)
  if (less === 0n) return { account: true, free: account.free, held: money(cents(amount)) }
  if (less > 0n) await giveBackWaivers(ctx, outletId, reference, money(less))
  const { free } = await setHold(ctx, outletId, reference, amount)
  return { account: true, free, held: money(cents(amount)) }
}

/** Takes `by` off what a document holds, at most all of it. */
export async function reduceHold(
  ctx: Context,
  { outletId, reference, by }: { outletId: number; reference: string; by: string }
): Promise<{ account: boolean; free: string; held: string }> {
  const account = await lockAccount(ctx, outletId)
  if (account === undefined) return { account: false, free: '0.00', held: '0.00' }
  const held = cents(await heldFor(ctx, outletId, reference))
  return changeHold(ctx, { outletId, reference, amount: money(held - least(held, cents(by))) })
}
