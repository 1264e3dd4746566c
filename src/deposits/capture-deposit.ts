import type { Context } from '../identity/actor.ts'
import { enter, enteredAlready, heldFor, lockAccount, setHold } from './account.ts'
import { cents, least, money } from './cents.ts'

/** What an entry that follows from a document did. */
export interface Charged {
  /** False: the outlet has no deposit account. */
  account: boolean
  /** What was entered, now or by an earlier call for the same reason. */
  amount: string
}

/**
 * Turns part of a hold into a decrease: goods of the request were delivered. Never more than is held; a second call for the same
 * document and reason changes nothing.
 * @param because what happened, `issued by HQ-IS-202611-00007`
 */
export async function captureDeposit(
  ctx: Context,
  { outletId, reference, amount, because }: { outletId: number; reference: string; amount: string; because: string }
): Promise<Charged> {
  const account = await lockAccount(ctx, outletId)
  if (account === undefined) return { account: false, amount: '0.00' }
  const entered = await enteredAlready(ctx, { outletId, kind: 'capture', reference, because })
  if (entered !== undefined) return { account: true, amount: money(-cents(entered)) }
  const held = cents(await heldFor(ctx, outletId, reference))
  const captured = least(held, cents(amount))
  if (captured <= 0n) return { account: true, amount: '0.00' }
  await setHold(ctx, outletId, reference, money(held - captured))
  await enter(ctx, { outletId, kind: 'capture', amount: money(-captured), reference, because })
  return { account: true, amount: money(captured) }
}
