import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { reconcileAll } from '../../src/alerts/reconcile.ts'
import { turnOfDay } from '../../src/alerts/alerts.jobs.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { remindOfReadyRepairs } from '../../src/loaners/loaners.jobs.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openLoaners, type LoanerCounter } from './loaners-counter.ts'

let h: Harness
let at: LoanerCounter
beforeAll(async () => {
  h = await openHarness()
  at = await openLoaners(h)
})
beforeEach(() => h.clock.set(DEFAULT_TIME))
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const remind = (day: string) => {
  h.clock.set(`${day}T08:30`)
  return runJob(h, remindOfReadyRepairs)
}
const loanOf = async (number: string) => (await at.keeper.get(`/v1/loans/${number}`)).body
const noticesOf = (loan: string) =>
  h.sql(
    `select payload ->> 'notice' as notice, payload ->> 'of' as of, payload ->> 'escalated' as escalated from outbox
      where event = 'loaner.customer-notice' and payload ->> 'loan' = $1 order by id`,
    [loan]
  )
const alertsOf = (subject: string) =>
  h.sql<{ kind: string; state: string }>(
    `select kind, state from alert where subject = $1 and kind like 'loaner-%' order by id`,
    [subject]
  )

test('the customer is told at once, again every three days, three times, and then it is escalated; a second run tells nobody (R-LOAN-3)', async () => {
  const [serial] = await at.units(1)
  const { number } = await at.lent(serial, { dueOn: '2026-12-18' })
  expect(problem(await at.keeper.post(`/v1/loans/${number}/repair-ready`, { at: '2026-11-21T02:00:00Z' }))).toEqual([
    422,
    'ReadyInFuture'
  ])
  expect(problem(await at.keeper.post(`/v1/loans/${number}/notice-answer`, { answer: 'will-collect' }))).toEqual([
    409,
    'NotReady'
  ])
  const ready = await at.keeper.post(`/v1/loans/${number}/repair-ready`, { at: '2026-11-20T01:00:00Z' })
  expect(ready.body.ready).toMatchObject({ at: '2026-11-20T01:00:00Z', notices: 1, lastNoticeOn: '2026-11-20' })
  expect(problem(await at.keeper.post(`/v1/loans/${number}/repair-ready`))).toEqual([409, 'AlreadyReady'])

  expect(await remind('2026-11-22')).toEqual({ noticed: 0, escalated: 0 })
  expect(await remind('2026-11-23')).toEqual({ noticed: 1, escalated: 0 })
  expect(await remind('2026-11-23')).toEqual({ noticed: 0, escalated: 0 })
  // Nothing ran for some days: what is due is made up for once.
  expect(await remind('2026-11-28')).toEqual({ noticed: 1, escalated: 0 })
  expect(await remind('2026-11-29')).toEqual({ noticed: 0, escalated: 0 })
  expect(await remind('2026-12-01')).toEqual({ noticed: 1, escalated: 0 })
  expect(await remind('2026-12-03')).toEqual({ noticed: 0, escalated: 0 })
  expect(await remind('2026-12-04')).toEqual({ noticed: 0, escalated: 1 })
  expect(await remind('2026-12-20')).toEqual({ noticed: 0, escalated: 0 })
  expect((await loanOf(number)).ready).toMatchObject({ notices: 4, escalatedAt: '2026-12-04T00:30:00Z' })
  expect(await noticesOf(number)).toEqual([
    { notice: '1', of: '4', escalated: 'false' },
    { notice: '2', of: '4', escalated: 'false' },
    { notice: '3', of: '4', escalated: 'false' },
    { notice: '4', of: '4', escalated: 'false' },
    { notice: '4', of: '4', escalated: 'true' }
  ])

  h.clock.set('2026-12-04T09:00')
  await relayed(h)
  expect(await alertsOf(number)).toEqual([{ kind: 'loaner-notice-unanswered', state: 'open' }])
  expect(
    (await at.keeper.post(`/v1/loans/${number}/notice-answer`, { answer: 'will-collect' })).body.ready
  ).toMatchObject({
    answer: 'will-collect',
    answeredAt: expect.any(String)
  })
  await relayed(h)
  expect(await alertsOf(number)).toEqual([{ kind: 'loaner-notice-unanswered', state: 'resolved' }])
})

test('notices stop when the customer answered, and when the unit is back (R-LOAN-3)', async () => {
  const [answered, back] = await at.units(2)
  const one = await at.lent(answered, { dueOn: '2026-12-18' })
  const other = await at.lent(back, { dueOn: '2026-12-18' })
  for (const { number } of [one, other]) await at.keeper.post(`/v1/loans/${number}/repair-ready`)
  await at.keeper.post(`/v1/loans/${one.number}/notice-answer`, { answer: 'needs-longer' })
  await at.returned(other)
  expect(await remind('2026-12-01')).toEqual({ noticed: 0, escalated: 0 })
  expect(problem(await at.keeper.post(`/v1/loans/${other.number}/repair-ready`))).toEqual([409, 'LoanNotOut'])
})

test('a loan due within three days alerts, an overdue one alerts, and both end with an extension or the return (R-LOAN-2)', async () => {
  const [serial] = await at.units(1)
  const { number } = await at.lent(serial, { dueOn: '2026-11-27' })
  const lookOn = async (day: string) => {
    h.clock.set(`${day}T00:05`)
    await runJob(h, turnOfDay)
    return alertsOf(number)
  }
  expect(await lookOn('2026-11-23')).toEqual([])
  expect(await lookOn('2026-11-24')).toEqual([{ kind: 'loaner-due-soon', state: 'open' }])
  expect(await lookOn('2026-11-28')).toEqual([
    { kind: 'loaner-due-soon', state: 'resolved' },
    { kind: 'loaner-overdue', state: 'open' }
  ])
  expect(await lookOn('2026-11-28')).toHaveLength(2)
  expect(
    await h.sql(
      `select payload ->> 'serial' as serial from outbox where event = 'loaner.overdue' and payload ->> 'loan' = $1`,
      [number]
    )
  ).toEqual([{ serial }])
  const [alert] = (await at.keeper.get('/v1/alerts?kind=loaner-overdue')).body.items
  expect(alert).toMatchObject({ subject: number, kind: 'loaner-overdue' })
  expect(alert.links).toContain(`/v1/loaners/${serial}`)

  await at.keeper.post(`/v1/loans/${number}/extension`, { dueOn: '2026-12-10', because: '配件缺货' })
  await relayed(h)
  expect((await alertsOf(number)).map(({ state }) => state)).toEqual(['resolved', 'resolved'])
  h.clock.set('2026-12-11T09:00')
  await reconcileAll(h.contextOf(systemActor), ['loaner-overdue'])
  expect((await alertsOf(number)).at(-1)).toEqual({ kind: 'loaner-overdue', state: 'open' })
  await at.returned({ number })
  await relayed(h)
  expect((await alertsOf(number)).at(-1)).toEqual({ kind: 'loaner-overdue', state: 'resolved' })
})

test('other systems are told when a unit goes out and comes back', async () => {
  const [serial] = await at.units(1)
  const loan = await at.lent(serial)
  await at.returned(loan, { outcome: 'needs-repair' })
  expect(
    await h.sql(
      `select event, payload from outbox where payload ->> 'loan' = $1 and event like 'loaner.%' order by id`,
      [loan.number]
    )
  ).toEqual([
    {
      event: 'loaner.lent',
      payload: {
        warehouse: at.warehouse,
        loan: loan.number,
        serial,
        model: at.model,
        repairOrder: 'RO-2026-0815',
        dueOn: '2026-12-04',
        slip: loan.outSlip
      }
    },
    {
      event: 'loaner.returned',
      payload: expect.objectContaining({ loan: loan.number, outcome: 'needs-repair' })
    }
  ])
})
