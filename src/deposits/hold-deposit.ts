import type { Context } from '../identity/actor.ts'
import { Refusal } from '../platform/errors.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { heldFor, lockAccount, setHold } from './account.ts'
import { cents, money } from './cents.ts'
import { takeWaivers, waiversFor, type WaiverUse } from './waiver-uses.ts'

export interface HeldDeposit {
  /** False: the outlet has no deposit account, so nothing was checked or held. */
  account: boolean
  /** What the outlet may still request for, after this hold; below zero where finance waived. */
  free: string
  /** What this document holds now. */
  held: string
  /** What of it finance waived, and by which waivers. */
  waived: string
  waivers: WaiverUse[]
}

/**
 * Holds part of an outlet's deposit for a request, in the transaction of the request (R-REQ-5). What is beyond the free deposit
 * must be covered by open waivers of somebody other than who asks; debts of before need no waiver anew.
 * @param reference the document that holds; a hold it has already is raised to `amount`
 * @param amount what its open lines are worth
 * @throws Refusal 422 `DepositExceeded`
 */
export async function holdDeposit(
  ctx: Context,
  {
    outlet,
    reference,
    amount,
    repairOrder = null
  }: { outlet: Pick<Warehouse, 'id' | 'code'>; reference: string; amount: string; repairOrder?: string | null }
): Promise<HeldDeposit> {
  const account = await lockAccount(ctx, outlet.id)
  if (account === undefined) return { account: false, free: '0.00', held: '0.00', waived: '0.00', waivers: [] }
  const more = cents(amount) - cents(await heldFor(ctx, outlet.id, reference))
  const free = cents(account.free)
  const short = more - (free > 0n ? free : 0n)
  const waivers = short > 0n ? await waiversFor(ctx, { outletId: outlet.id, repairOrder, short }) : []
  const waived = waivers.reduce((sum, use) => sum + cents(use.amount), 0n)
  if (short > waived) {
    throw new Refusal(
      'DepositExceeded',
      422,
      `the request is worth ${money(more)}, and ${money(free)} of the deposit of ${outlet.code} are free${waived > 0n ? `, ${money(waived)} more are waived` : ''}: ` +
        `${money(short - waived)} are missing; request less, pay in, or have finance (finance-supervisor of the centre, hq-finance) waive it (R-REQ-5)`,
      {
        extra: {
          warehouse: outlet.code,
          value: money(more),
          free: account.free,
          waivable: money(waived),
          shortfall: money(short - waived)
        }
      }
    )
  }
  if (waivers.length > 0) await takeWaivers(ctx, outlet.id, reference, waivers)
  const after = more === 0n ? account : await setHold(ctx, outlet.id, reference, amount)
  return { account: true, free: after.free, held: money(cents(amount)), waived: money(waived), waivers }
}
