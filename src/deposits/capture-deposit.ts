import type { Context } from '../identity/actor.ts'
import { enterOnce, heldFor, setHold, type Charge, type Charged } from './account.ts'
import { cents, least, money } from './cents.ts'

/**
 * Turns part of a hold into a decrease: goods of the request were delivered. Never more than is held; a second call for the same
 * document and reason changes nothing.
 * @param because what happened, `issued by HQ-IS-202611-00007`
 */
export function captureDeposit(ctx: Context, charge: Charge): Promise<Charged> {
  const { outletId, reference, amount } = charge
  return enterOnce(ctx, 'capture', charge, async () => {
    const held = cents(await heldFor(ctx, outletId, reference))
    const captured = least(held, cents(amount))
    if (captured > 0n) await setHold(ctx, outletId, reference, money(held - captured))
    return captured
  })
}
