import type { Context } from '../identity/actor.ts'
import { instant } from '../platform/clock.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { requireDaysInOrder } from '../platform/days.ts'
import { requireDepositSight } from './deposit-rights.ts'
import { depositView } from './deposits.queries.ts'
import type { DepositEntryView, DepositStatementQuery, DepositStatementView } from './deposits.schemas.ts'

export const ENTRY = `
       e.entry_no as entry, e.kind, e.amount::text as amount, e.balance_after::text as "balanceAfter", e.reference, e.paper, e.because, person.username as by, e.occurred_at as at
  from deposit_entry e join person on person.id = e.person_id`

// One snapshot: what the account says, and what its entries and holds add up to.
const ACCOUNT = statement<
  Pick<
    DepositStatementView,
    | 'opening'
    | 'increases'
    | 'decreases'
    | 'captures'
    | 'returns'
    | 'compensation'
    | 'closing'
    | 'balance'
    | 'held'
    | 'free'
    | 'holds'
    | 'check'
  >
>(`
select e.opening::text as opening, e.increases::text as increases, e.decreases::text as decreases, e.captures::text as captures,
       e.returns::text as returns, e.compensation::text as compensation, e.closing::text as closing,
       a.balance::text as balance, a.held::text as held, (a.balance - a.held)::text as free, h.holds,
       json_build_object('entriesEqualBalance', a.balance = e.total and a.entries = e.lines, 'entriesAddUp', e.adds_up, 'holdsEqualHeld', a.held = h.total) as check
  from deposit_account a
 cross join lateral (
   select coalesce(sum(amount) filter (where occurred_at < $2), 0.00) as opening,
          coalesce(sum(amount) filter (where occurred_at < $3), 0.00) as closing,
          coalesce(sum(amount) filter (where kind = 'increase' and occurred_at >= $2 and occurred_at < $3), 0.00) as increases,
          coalesce(sum(amount) filter (where kind = 'decrease' and occurred_at >= $2 and occurred_at < $3), 0.00) as decreases,
          coalesce(sum(amount) filter (where kind = 'capture' and occurred_at >= $2 and occurred_at < $3), 0.00) as captures,
          coalesce(sum(amount) filter (where kind = 'return' and occurred_at >= $2 and occurred_at < $3), 0.00) as returns,
          coalesce(sum(amount) filter (where kind = 'compensation' and occurred_at >= $2 and occurred_at < $3), 0.00) as compensation,
          coalesce(sum(amount), 0) as total, count(*) as lines, coalesce(bool_and(running = balance_after), true) as adds_up
     from (select kind, amount, occurred_at, balance_after, sum(amount) over (order by entry_no) as running
             from deposit_entry where warehouse_id = a.warehouse_id) entry) e
 cross join lateral (
   select coalesce(sum(hold.amount), 0) as total,
          coalesce(json_agg(json_build_object('reference', hold.reference, 'amount', hold.amount::text, 'heldAt', hold.held_at, 'waived',
            coalesce((select sum(u.amount) from deposit_waiver_use u where u.warehouse_id = hold.warehouse_id and u.reference = hold.reference), 0.00)::text)
            order by hold.held_at, hold.reference), '[]') as holds
     from deposit_hold hold where hold.warehouse_id = a.warehouse_id) h
 where a.warehouse_id = $1`)

const ENTRIES = `
select ${ENTRY} where e.warehouse_id = $1 and e.occurred_at >= $2 and e.occurred_at < $3 and e.entry_no > $4 order by e.entry_no limit $5`
const PAGE = statement<DepositEntryView>(ENTRIES)

const entryOf = (row: DepositEntryView): DepositEntryView => ({ ...row, at: instant(row.at) })

async function scopeOf(ctx: Context, { warehouse: code, ...query }: { warehouse: string } & DepositStatementQuery) {
  const { outlet } = await requireDepositSight(ctx, code)
  const today = ctx.clock.today()
  const to = query.to ?? today
  const from = query.from ?? Temporal.PlainDate.from(to).with({ day: 1 }).toString()
  requireDaysInOrder({ from, to })
  // In words that the database reads for any day: an instant of the first or the last of them lies in a year that it writes otherwise.
  const startOf = (day: Temporal.PlainDate) =>
    `${day.toString().replace(/^\+0*/, '')} 00:00 ${ctx.config.BUSINESS_TIME_ZONE}`
  const since = startOf(Temporal.PlainDate.from(from))
  const until = startOf(Temporal.PlainDate.from(to).add({ days: 1 }))
  const { name, nameZh } = await depositView(ctx, outlet)
  return { outlet, name, nameZh, from, to, since, until }
}

/**
 * What became of a deposit between two days: opening + entries = closing, and what is held now. The account is added up anew each time.
 * @throws Refusal 404, 422 `DaysReversed`
 */
export async function readDepositStatement(
  ctx: Context,
  query: { warehouse: string } & DepositStatementQuery
): Promise<DepositStatementView> {
  const { outlet, name, nameZh, from, to, since, until } = await scopeOf(ctx, query)
  const { limit = 50, cursor } = query
  const [account] = await run(ctx, ACCOUNT, [outlet.id, since, until])
  if (account === undefined) throw new Error(`the deposit of ${outlet.code} is gone`)
  const after = readCursor(cursor, ['integer'])?.[0] ?? 0
  const page = pageFrom(await run(ctx, PAGE, [outlet.id, since, until, after, limit + 1]), limit, ({ entry }) => [
    entry
  ])
  return {
    warehouse: outlet.code,
    name,
    nameZh,
    from,
    to,
    ...account,
    entries: page.items.map(entryOf),
    nextCursor: page.nextCursor,
    holds: account.holds.map((hold) => ({ ...hold, heldAt: instant(hold.heldAt) }))
  }
}

/** The entries of the same days as a file. */
export async function depositStatementStream(
  ctx: Context,
  query: { warehouse: string } & DepositStatementQuery
): Promise<AsyncGenerator<DepositEntryView>> {
  const { outlet, since, until } = await scopeOf(ctx, query)
  return (async function* () {
    for await (const row of rowsOf<DepositEntryView>(ctx, ENTRIES, [outlet.id, since, until, 0, null]))
      yield entryOf(row)
  })()
}

export const DEPOSIT_ENTRY_COLUMNS: CsvColumns<DepositEntryView> = {
  entry: 'entry 序号',
  at: 'at 时间',
  kind: 'kind 类别',
  amount: 'amount 金额',
  balanceAfter: 'balance after 余额',
  reference: 'reference 单据',
  paper: 'paper 凭证',
  because: 'because 事由',
  by: 'by 经办人'
}
