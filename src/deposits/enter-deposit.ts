import type { Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { instant } from '../platform/clock.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, notFound, Refusal } from '../platform/errors.ts'
import { enter, lockAccount } from './account.ts'
import { cents, money } from './cents.ts'
import { requireDepositKeeper } from './deposit-rights.ts'
import { ENTRY } from './deposit-statement.ts'
import type { DepositChangeBody, DepositEntryView } from './deposits.schemas.ts'

const ONE = statement<DepositEntryView>(`select ${ENTRY} where e.warehouse_id = $1 and e.entry_no = $2`)

type Change = { warehouse: string } & DepositChangeBody

/**
 * Enters what an outlet paid in. The same paper is entered once.
 * @throws Refusal 403, 404, 409 `PaperAlreadyEntered`
 */
export const increaseDeposit = (ctx: Context, change: Change): Promise<DepositEntryView> =>
  enterChange(ctx, 'increase', change)

/**
 * Enters what was paid back to an outlet. What open requests hold stays, and there is no paying out of a debt.
 * @throws Refusal 403, 404, 409 `PaperAlreadyEntered`, 422 `DepositShort`
 */
export const decreaseDeposit = (ctx: Context, change: Change): Promise<DepositEntryView> =>
  enterChange(ctx, 'decrease', change)

async function enterChange(
  ctx: Context,
  kind: 'increase' | 'decrease',
  { warehouse: code, amount, paper, note }: Change
): Promise<DepositEntryView> {
  const { outlet } = await requireDepositKeeper(ctx, code)
  return inTransaction(ctx, async (inner) => {
    const account = await lockAccount(inner, outlet.id)
    if (account === undefined) throw notFound('deposit of', code)
    if (kind === 'decrease' && cents(account.free) < cents(amount)) {
      throw new Refusal(
        'DepositShort',
        422,
        `${account.free} of the deposit of ${code} are free (balance ${account.balance}, held by open requests ${account.held}); pay back at most that`,
        {
          errors: [
            {
              pointer: '/amount',
              detail: 'is more than is free',
              sent: amount,
              accepted: cents(account.free) > 0n ? `at most ${account.free}` : 'nothing'
            }
          ],
          extra: { balance: account.balance, held: account.held, free: account.free }
        }
      )
    }
    const signed = money(kind === 'increase' ? cents(amount) : -cents(amount))
    const { entryNo } = await enter(inner, {
      outletId: outlet.id,
      kind,
      amount: signed,
      paper,
      because: note ?? (kind === 'increase' ? 'paid in' : 'paid back')
    }).catch((error: unknown) => {
      if (constraintOf(error) !== 'deposit_entry_paper_entered') throw error
      throw new Refusal(
        'PaperAlreadyEntered',
        409,
        `${paper} was entered for ${code} as ${kind === 'increase' ? 'an increase' : 'a decrease'} already; each paper is entered once`,
        { errors: [{ pointer: '/paper', detail: 'was entered already', sent: paper }] }
      )
    })
    await recordAudit(inner, `deposit.${kind}d`, `deposit:${code}`, { entry: entryNo, amount: signed, paper })
    const [entry] = await run(inner, ONE, [outlet.id, entryNo])
    if (entry === undefined) throw new Error(`no entry ${entryNo} was written`)
    return { ...entry, at: instant(entry.at) }
  })
}
