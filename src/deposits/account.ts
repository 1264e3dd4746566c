// The account of an outlet (R-REQ-5) and its ledger. Balance = Σ entries, held = Σ holds; free = balance − held.
//
// Whoever changes an account first locks its row, and only then looks, in a new statement and so in a fresh snapshot: what is decided
// by the free deposit is decided by one after the other. An account is the last thing that is locked before stock is.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { cents, money } from './cents.ts'

/** An account whose row is locked until the transaction ends. */
export interface LockedAccount {
  balance: string
  held: string
  free: string
  lowLimit: string
}

const LOCK = statement<LockedAccount>(`
select balance::text as balance, held::text as held, (balance - held)::text as free, low_limit::text as "lowLimit"
  from deposit_account where warehouse_id = $1 for no key update`)

/** Locks the account of an outlet; undefined if it has none, and then nothing is checked or charged. */
export const lockAccount = async (ctx: Context, outletId: number): Promise<LockedAccount | undefined> =>
  (await run(ctx, LOCK, [outletId]))[0]

export const ENTRY_KINDS = ['increase', 'decrease', 'capture', 'return', 'compensation'] as const
export type EntryKind = (typeof ENTRY_KINDS)[number]

export interface NewEntry {
  outletId: number
  kind: EntryKind
  /** With sign: what it does to the balance. */
  amount: string
  /** Document it is for; of what finance enters it is null. */
  reference?: string | null
  /** Paper that finance enters it from. */
  paper?: string | null
  because: string
}

const ENTER = statement<{ entryNo: number; balance: string; free: string }>(`
with account as (
  update deposit_account set balance = balance + $3::numeric, entries = entries + 1, changed_at = $8
   where warehouse_id = $1 returning entries, balance, balance - held as free
), entry as (
  insert into deposit_entry (warehouse_id, entry_no, kind, amount, balance_after, reference, paper, because, person_id, occurred_at)
  select $1, entries, $2, $3::numeric, balance, $4, $5, $6, $7, $8 from account
)
select entries as "entryNo", balance::text as balance, free::text as free from account`)

/** Writes one entry of a locked account. */
export async function enter(ctx: Context, { outletId, kind, amount, reference, paper, because }: NewEntry) {
  const [entered] = await run(ctx, ENTER, [
    outletId,
    kind,
    amount,
    reference ?? null,
    paper ?? null,
    because,
    ctx.actor.personId,
    ctx.clock.now().toString()
  ])
  if (entered === undefined) throw new Error(`warehouse ${outletId} has no deposit account`)
  return entered
}

const ENTERED = statement<{ amount: string }>(`
select amount::text as amount from deposit_entry where warehouse_id = $1 and kind = $2 and reference = $3 and because = $4`)

/** What was entered for a document for a reason already, with sign; undefined if nothing was. */
const enteredAlready = async (
  ctx: Context,
  { outletId, kind, reference, because }: { outletId: number; kind: EntryKind; reference: string; because: string }
): Promise<string | undefined> => (await run(ctx, ENTERED, [outletId, kind, reference, because]))[0]?.amount

/** What an entry that follows from a document did. */
export interface Charged {
  /** False: the outlet has no deposit account. */
  account: boolean
  /** What was entered, now or by an earlier call for the same reason. */
  amount: string
}

/** What follows from a document, and for what reason. */
export interface Charge {
  outletId: number
  reference: string
  amount: string
  /** What happened, `issued by HQ-OUT-202611-00007`. */
  because: string
}

/**
 * Enters what follows from a document, once: a second call for the same document and reason changes nothing.
 * @param howMuch in cents, asked under the lock of the account; nothing is entered unless it is more than zero
 */
export async function enterOnce(
  ctx: Context,
  kind: 'capture' | 'return' | 'compensation',
  { outletId, reference, because }: Omit<Charge, 'amount'>,
  howMuch: () => bigint | Promise<bigint>
): Promise<Charged> {
  const sign = kind === 'return' ? 1n : -1n
  const account = await lockAccount(ctx, outletId)
  if (account === undefined) return { account: false, amount: '0.00' }
  const entered = await enteredAlready(ctx, { outletId, kind, reference, because })
  if (entered !== undefined) return { account: true, amount: money(sign * cents(entered)) }
  const amount = await howMuch()
  if (amount <= 0n) return { account: true, amount: '0.00' }
  await enter(ctx, { outletId, kind, amount: money(sign * amount), reference, because })
  return { account: true, amount: money(amount) }
}

const HELD = statement<{ amount: string }>(
  `select amount::text as amount from deposit_hold where warehouse_id = $1 and reference = $2`
)

/** What a document holds of a locked account. */
export const heldFor = async (ctx: Context, outletId: number, reference: string): Promise<string> =>
  (await run(ctx, HELD, [outletId, reference]))[0]?.amount ?? '0.00'

// The account takes the difference to what was held before, so that held stays the sum of the holds.
const SET_HOLD = statement<LockedAccount>(`
with before as (
  select coalesce((select amount from deposit_hold where warehouse_id = $1 and reference = $2), 0) as amount
), gone as (
  delete from deposit_hold where warehouse_id = $1 and reference = $2 and $3::numeric = 0
), kept as (
  insert into deposit_hold (warehouse_id, reference, amount, held_at, changed_at)
  select $1, $2, $3::numeric, $4, $4 where $3::numeric > 0
  on conflict (warehouse_id, reference) do update set amount = excluded.amount, changed_at = excluded.changed_at
)
update deposit_account set held = held + $3::numeric - before.amount, changed_at = $4
  from before where warehouse_id = $1
returning balance::text as balance, held::text as held, (balance - held)::text as free, low_limit::text as "lowLimit"`)

/** Sets what a document holds of a locked account; nothing ends the hold. */
export async function setHold(
  ctx: Context,
  outletId: number,
  reference: string,
  amount: string
): Promise<LockedAccount> {
  const [account] = await run(ctx, SET_HOLD, [outletId, reference, amount, ctx.clock.now().toString()])
  if (account === undefined) throw new Error(`warehouse ${outletId} has no deposit account`)
  return account
}
