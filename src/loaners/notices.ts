import { noteEvent } from '../signing/document-history.ts'
// The ready notice (R-LOAN-3): when the repair is reported ready, the customer is told at once, and again every LOANER_NOTICE_DAYS days, up to
// LOANER_NOTICE_REPEATS times; after as many days more without an answer it is escalated. It stops when the customer answered or brought
// the unit back, also while the slip of its return is being signed. Telling is done by other systems: each notice is an event, which names the loan and never the customer.
//
// A loan is due a notice if and only if it is out, is not being returned, was reported ready, is neither answered nor escalated, and was last noticed that many days
// ago. A notice moves that day to today, so a second run on the same day tells nobody twice; a day on which nothing ran is made up for once.
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { loadLoan, lockLoan, readLoan, requireOut } from './loan.ts'
import type { LoanView } from './loaners.schemas.ts'

/** Writes notices `told (warehouse_id, id, number, notices, escalated)` into the histories and the outbox; `at` and `by` are parameters. */
const tell = (at: string, by: string, most: string): string => `
noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select warehouse_id, id, ${at}, ${by}, case when escalated then 'notice-escalated' else 'customer-notice' end, jsonb_build_object('notice', notices, 'of', ${most}::int)
    from told
), published as (
  insert into outbox (subject, event, warehouse_id, payload, occurred_at)
  select 'document:' || told.id, 'loaner.customer-notice', told.warehouse_id,
         jsonb_build_object('warehouse', w.code, 'loan', l.number, 'serial', u.serial, 'model', part.number, 'repairOrder', l.repair_order,
           'receiptNumber', l.receipt_number, 'notice', told.notices, 'of', ${most}::int, 'escalated', told.escalated), ${at}
    from told
    join loan l on l.warehouse_id = told.warehouse_id and l.id = told.id
    join warehouse w on w.id = l.warehouse_id
    join loaner_unit u on u.warehouse_id = l.unit_warehouse_id and u.id = l.unit_id
    join part on part.id = u.part_id
   order by told.warehouse_id, told.id
)`

const READY = statement<{ id: string }>(`
with told as (
  update loan set ready_at = $3, notices = 1, noticed_on = $4, version = version + 1
   where warehouse_id = $1 and id = $2
  returning warehouse_id, id, notices, false as escalated
), ${tell('$5', '$6', '$7')}
select id::text as id from told`)

/**
 * The goods that the unit stands in for are repaired: the customer is told (R-LOAN-3).
 * @throws Refusal 409 `LoanNotOut`, `AlreadyReady`, 422 `ReadyInFuture`, 403, 404
 */
export async function reportRepairReady(
  ctx: Context,
  { number, at }: { number: string; at?: string | undefined }
): Promise<LoanView> {
  const { warehouse } = await loadLoan(ctx, number)
  requireDuty(ctx, ['keeper', 'technician', 'operations-supervisor'], warehouse)
  const now = ctx.clock.now()
  const readyAt = at === undefined ? now : instantGiven(at)
  if (Temporal.Instant.compare(readyAt, now) > 0) {
    throw new Refusal('ReadyInFuture', 422, `a repair that is ready was finished by now (${now.toString()})`, {
      errors: [{ pointer: '/at', detail: 'lies in the future', sent: at, accepted: `at most ${now.toString()}` }]
    })
  }
  return inTransaction(ctx, async (inner) => {
    const { loan } = await lockLoan(inner, number)
    requireOut(loan)
    if (loan.readyAt !== null) {
      throw new Refusal(
        'AlreadyReady',
        409,
        `the repair of ${number} was reported ready already; the customer was told ${loan.notices} ${loan.notices === 1 ? 'time' : 'times'}, last on ${loan.noticedOn}`
      )
    }
    await noteEvent(inner, { warehouseId: warehouse.id, id: loan.id }, 'repair-ready', { at: readyAt.toString() })
    await run(inner, READY, [
      warehouse.id,
      loan.id,
      readyAt.toString(),
      inner.clock.today(),
      now.toString(),
      inner.actor.personId,
      1 + inner.config.LOANER_NOTICE_REPEATS
    ])
    return readLoan(inner, { number })
  })
}

/** @throws Refusal 400 for more digits of a second than an instant has */
function instantGiven(at: string): Temporal.Instant {
  try {
    return Temporal.Instant.from(at)
  } catch {
    throw new Refusal('InvalidInput', 400, `/at is no instant: ${at}; a second has at most nine decimals`, {
      errors: [{ pointer: '/at', detail: 'is no instant', sent: at, accepted: '2026-11-21T08:30:00Z' }]
    })
  }
}

const ANSWER = statement<never>(`
update loan set answer = $3, answered_at = $4, version = version + 1 where warehouse_id = $1 and id = $2`)

/**
 * The customer answered: no more notices. Whoever answers again corrects what was noted.
 * @throws Refusal 409 `LoanNotOut`, `NotReady`, 403, 404
 */
export async function answerNotice(
  ctx: Context,
  { number, answer }: { number: string; answer: string }
): Promise<LoanView> {
  const { warehouse } = await loadLoan(ctx, number)
  requireDuty(ctx, ['keeper', 'technician', 'operations-supervisor'], warehouse)
  return inTransaction(ctx, async (inner) => {
    const { loan } = await lockLoan(inner, number)
    requireOut(loan)
    if (loan.readyAt === null) {
      throw new Refusal('NotReady', 409, `nobody told the customer of ${number} yet: the repair is not reported ready`)
    }
    await run(inner, ANSWER, [warehouse.id, loan.id, answer, inner.clock.now().toString()])
    await noteEvent(inner, { warehouseId: warehouse.id, id: loan.id }, 'notice-answered', { answer })
    return readLoan(inner, { number })
  })
}

// In the order of the keys, and past what somebody is at: that one is told by the next run.
const REMIND = statement<{ noticed: number; escalated: number }>(`
with due as (
  select warehouse_id, id, notices > $2 as escalated
    from loan
   where state = 'out' and in_slip_id is null and ready_at is not null and answered_at is null and escalated_at is null and noticed_on <= $1::date - $3::int
   order by warehouse_id, id
     for no key update skip locked
), told as (
  update loan l
     set notices = l.notices + case when due.escalated then 0 else 1 end, noticed_on = $1, escalated_at = case when due.escalated then $4::timestamptz end,
         version = l.version + 1
    from due
   where l.warehouse_id = due.warehouse_id and l.id = due.id
  returning l.warehouse_id, l.id, l.notices, due.escalated
), ${tell('$4', '$5', '($2 + 1)')}
select count(*) filter (where not escalated)::int as noticed, count(*) filter (where escalated)::int as escalated from told`)

/** Repeats and escalates the notices that are due; see the head of the file. */
export async function remindCustomers(ctx: Context): Promise<{ noticed: number; escalated: number }> {
  const [told] = await run(ctx, REMIND, [
    ctx.clock.today(),
    ctx.config.LOANER_NOTICE_REPEATS,
    ctx.config.LOANER_NOTICE_DAYS,
    ctx.clock.now().toString(),
    ctx.actor.personId
  ])
  return told ?? { noticed: 0, escalated: 0 }
}
