import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AlertKind } from '../../src/alerts/alert-kinds.ts'
import { turnOfDay, watchBackorders } from '../../src/alerts/alerts.jobs.ts'
import { followEvents } from '../../src/alerts/follow-events.ts'
import { sweepAlerts } from '../../src/alerts/reconcile.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { followOldParts } from '../../src/old-parts/old-parts.jobs.ts'
import { serveWaiting } from '../../src/requests/backorders.jobs.ts'
import { followRequests } from '../../src/requests/requests.jobs.ts'
import { openDepositing } from '../deposits/depositing.ts'
import { openExchanging } from '../old-parts/exchanging.ts'
import { openNetwork, type Network } from '../requests/network.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { alertsOf, reconciled } from './alerting.ts'

let h: Harness
let network: Network
beforeAll(async () => {
  h = await openHarness()
  network = await openNetwork(h)
})
// A Friday.
beforeEach(() => h.clock.set('2026-11-20T10:00'))
afterAll(() => h.close())

/** Draws the consequences of what happened: what requests and old parts make of it, then the alerts. */
const heard = () => relayed(h, { only: [followRequests, serveWaiting, followOldParts, followEvents] })
const NOTHING = { raised: 0, updated: 0, resolved: 0 }
const must = (answer: { status: number; text: string; body: any }, status: number) => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
  return answer.body
}
/** The alerts of one kind about a subject in a warehouse, as `state`, oldest first. */
const statesOf = async (warehouseId: number, kind: AlertKind, subject: string): Promise<string[]> =>
  (await alertsOf(h, warehouseId, kind))
    .filter((alert) => alert.subject === subject || alert.subject.startsWith(`${subject}/`))
    .map(({ state }) => state)
const detailsOf = async (warehouseId: number, kind: AlertKind, subject: string) =>
  (await alertsOf(h, warehouseId, kind)).findLast((alert) => alert.subject.startsWith(subject))?.details

describe('the clock of a request (R-REQ-2, R-ALR-1)', () => {
  test('alerts its centre on the working day before it is due, again when it is over, and is quiet once the goods are issued', async () => {
    const part = await h.make.part()
    await network.stock(network.north, part, '5')
    const outlet = await network.outlet()
    const { number } = await outlet.requested([[part, '2']])
    const states = async () => [
      await statesOf(network.north.id, 'request-clock-soon', number),
      await statesOf(network.north.id, 'request-clock', number)
    ]
    // Two working days after Friday are Tuesday; on the weekend the next working day is Monday.
    await runJob(h, turnOfDay)
    expect(await states()).toEqual([[], []])
    h.clock.set('2026-11-22T10:00')
    await runJob(h, turnOfDay)
    expect(await states()).toEqual([[], []])
    h.clock.set('2026-11-23T00:05')
    await runJob(h, turnOfDay)
    expect(await states()).toEqual([['open'], []])
    expect(await detailsOf(network.north.id, 'request-clock-soon', number)).toMatchObject({
      request: number,
      line: 1,
      part: part.number,
      outlet: outlet.code,
      urgency: 'normal',
      piece: 'in-stock',
      workingDays: 2,
      startedAt: '2026-11-20T02:00:00Z',
      dueOn: '2026-11-24'
    })
    h.clock.set('2026-11-24T23:55')
    expect(await reconciled(h, 'request-clock')).toEqual(NOTHING)
    h.clock.set('2026-11-25T00:05')
    await runJob(h, turnOfDay)
    expect(await states()).toEqual([['resolved'], ['open']])
    expect(await reconciled(h, 'request-clock')).toEqual(NOTHING)

    const slip = must(await network.keeper.post(`/v1/requests/${number}/issue-slip`, {}), 201)
    await network.signAndPost(slip.number, { handedTo: 'Li' })
    await heard()
    expect(await states()).toEqual([['resolved'], ['resolved']])
  })

  test('stands while the requester is waited for, and does not alert', async () => {
    const part = await h.make.part()
    await network.stock(network.north, part, '5')
    const outlet = await network.outlet()
    const { number } = await outlet.requested([[part, '1']])
    await h.sql(
      `insert into request_clock_pause (warehouse_id, request_id, line_no, piece, pause_no, from_at, reason)
       select c.warehouse_id, c.request_id, c.line_no, c.piece, 9, now(), 'asked' from request_clock c join request r on r.id = c.request_id where r.number = $1`,
      [number]
    )
    h.clock.set('2026-11-30T10:00')
    await reconciled(h, 'request-clock')
    expect(await statesOf(network.north.id, 'request-clock', number)).toEqual([])
  })
})

test('a backorder alerts its centre a day before the seven days are over and when they are, until somebody answers (R-REQ-3)', async () => {
  const part = await h.make.part()
  const outlet = await network.outlet()
  const { number } = await outlet.requested([[part, '3']])
  const [{ backorder }] = await h.sql<{ backorder: string }>(
    'select b.number as backorder from backorder b join request r on r.id = b.request_id where r.number = $1',
    [number]
  )
  const states = async () => [
    await statesOf(network.north.id, 'backorder-answer-soon', backorder),
    await statesOf(network.north.id, 'backorder-answer-due', backorder)
  ]
  h.clock.set('2026-11-26T09:59')
  await runJob(h, watchBackorders)
  expect(await states()).toEqual([[], []])
  h.clock.set('2026-11-26T10:00')
  await runJob(h, watchBackorders)
  expect(await states()).toEqual([['open'], []])
  expect(await detailsOf(network.north.id, 'backorder-answer-soon', backorder)).toMatchObject({
    backorder,
    request: number,
    outlet: outlet.code,
    quantity: '3',
    answerDueAt: '2026-11-27T02:00:00Z'
  })
  h.clock.set('2026-11-27T10:00')
  await runJob(h, watchBackorders)
  expect(await states()).toEqual([['resolved'], ['open']])
  must(await network.controller.post(`/v1/backorders/${backorder}/answer`, { text: '厂家确认 12 月 8 日到货' }), 200)
  await heard()
  expect(await states()).toEqual([['resolved'], ['resolved']])
})

test('goods that are kept for an outlet alert it two working days before they are not, until they are cancelled', async () => {
  const part = await h.make.part()
  await network.stock(network.north, part, '5')
  const outlet = await network.outlet()
  const { number } = await outlet.requested([[part, '2']])
  const [{ expiresOn }] = await h.sql<{ expiresOn: string }>(
    'select a.expires_on::text as "expiresOn" from request_allocation a join request r on r.id = a.request_id where r.number = $1',
    [number]
  )
  // 14 working days after Friday 20 November.
  expect(expiresOn).toBe('2026-12-10')
  h.clock.set('2026-12-07T10:00')
  await runJob(h, turnOfDay)
  expect(await statesOf(outlet.id, 'reservation-expiring', number)).toEqual([])
  h.clock.set('2026-12-08T00:05')
  await runJob(h, turnOfDay)
  expect(await statesOf(outlet.id, 'reservation-expiring', number)).toEqual(['open'])
  expect(await detailsOf(outlet.id, 'reservation-expiring', number)).toMatchObject({
    request: number,
    line: 1,
    centre: network.north.code,
    quantity: '2',
    expiresOn,
    needsConfirmation: false
  })
  expect((await outlet.clerk.get('/v1/alerts?mine=true&kind=reservation-expiring')).body.items).toHaveLength(1)
  await outlet.cancel(number)
  await heard()
  expect(await statesOf(outlet.id, 'reservation-expiring', number)).toEqual(['resolved'])
})

test('a transfer that is in transit for more than seven days alerts both ends until it has arrived', async () => {
  const part = await h.make.part()
  await network.stock(network.south, part, '5', { unitCost: '10.00' })
  const { number } = must(
    await network.keeper.post('/v1/transfers', {
      from: network.south.code,
      to: network.north.code,
      lines: [{ part: part.number, quantity: '4' }],
      because: 'aged goods'
    }),
    201
  )
  const out = must(await network.keeper.post(`/v1/transfers/${number}/out-slip`, {}), 201)
  await network.signAndPost(out.slip.number)
  const states = async () => [
    await statesOf(network.south.id, 'transfer-in-transit', number),
    await statesOf(network.north.id, 'transfer-in-transit', number)
  ]
  h.clock.set('2026-11-27T10:00')
  await runJob(h, turnOfDay)
  expect(await states()).toEqual([[], []])
  h.clock.set('2026-11-28T00:05')
  await runJob(h, turnOfDay)
  expect(await states()).toEqual([['open'], ['open']])
  expect(await detailsOf(network.north.id, 'transfer-in-transit', number)).toEqual({
    transfer: number,
    end: 'receiver',
    from: network.south.code,
    to: network.north.code,
    sentOn: '2026-11-20',
    quantity: '4',
    value: '40.00'
  })
  const into = must(
    await network.keeper.post(`/v1/transfers/${number}/in-slip`, { lines: [{ line: 1, quantity: '4' }] }),
    201
  )
  await network.signAndPost(into.slip.number)
  await heard()
  expect(await states()).toEqual([['resolved'], ['resolved']])
})

test('a deposit below its limit alerts the outlet and the finance of its centre at once, until it is paid in (R-REQ-5)', async () => {
  const at = await openDepositing(h, { paidIn: '90.00', lowLimit: '100.00' })
  await heard()
  const states = async () => [
    await statesOf(at.outlet.id, 'deposit-low', at.outlet.code),
    await statesOf(at.centre.id, 'deposit-low', at.outlet.code)
  ]
  expect(await states()).toEqual([['open'], ['open']])
  expect(await detailsOf(at.centre.id, 'deposit-low', at.outlet.code)).toEqual({
    outlet: at.outlet.code,
    balance: '90.00',
    held: '0.00',
    free: '90.00',
    lowLimit: '100.00'
  })
  for (const by of [at.finance, at.clerk])
    expect((await by.get('/v1/alerts?mine=true&kind=deposit-low')).body.items).toHaveLength(1)
  await at.finance.post(`/v1/deposits/${at.outlet.code}/increases`, { amount: '10.00', paper: 'BANK-2' })
  await heard()
  expect(await states()).toEqual([['resolved'], ['resolved']])
})

test('an old part alerts the outlet that owes it the day after it was due, until it is back (R-REQ-6)', async () => {
  const exchanging = await openExchanging(h)
  const part = await exchanging.exchangePart()
  await exchanging.issued(part)
  const { number, dueOn } = await exchanging.oldPart(part)
  const states = () => statesOf(exchanging.outletId, 'old-part-outstanding', number)
  h.clock.set(`${dueOn}T10:00`)
  await runJob(h, turnOfDay)
  expect(await states()).toEqual([])
  h.clock.advance({ days: 1 })
  await runJob(h, turnOfDay)
  expect(await states()).toEqual(['open'])
  expect(await detailsOf(exchanging.outletId, 'old-part-outstanding', number)).toMatchObject({
    oldPart: number,
    part,
    quantity: '1',
    dueOn,
    value: '35.00',
    reference: 'RO-2026-0815'
  })
  const { slip } = must(await exchanging.returning([{ oldPart: number, grade: 'repairable' }]), 201)
  must(await exchanging.centre.signAndPost(slip, { deliveredBy: 'Li' }), 200)
  await heard()
  expect(await states()).toEqual(['resolved'])
})

test('a recall alerts every warehouse where goods of it lie, and every outlet that got some, until it answers (R-REQ-7)', async () => {
  const part = await h.make.part()
  await network.stock(network.north, part, '5')
  await network.stock(network.south, part, '1')
  const outlet = await network.outlet()
  const { number: request } = await outlet.requested([[part, '2']])
  const slip = must(await network.keeper.post(`/v1/requests/${request}/issue-slip`, {}), 201)
  await network.signAndPost(slip.number, { handedTo: 'Li' })
  await heard()

  const body = { title: 'cracked', reason: 'leaks', scopes: [{ part: part.number }] }
  const { number } = must(await network.controller.post('/v1/recalls', body), 201)
  await heard()
  const states = async () => [
    await statesOf(network.north.id, 'recall', number),
    await statesOf(network.south.id, 'recall', number),
    await statesOf(outlet.id, 'recall', number),
    await statesOf(network.southBranch.id, 'recall', number)
  ]
  expect(await states()).toEqual([['open'], ['open'], ['open'], []])
  expect(await detailsOf(network.north.id, 'recall', number)).toEqual({
    recall: number,
    title: 'cracked',
    reason: 'leaks',
    blocked: '3',
    got: '0'
  })
  expect(await detailsOf(outlet.id, 'recall', number)).toMatchObject({ blocked: '0', got: '2' })
  must(
    await outlet.clerk.post(`/v1/recalls/${number}/warehouses/${outlet.code}/answers`, { found: '2', returned: '0' }),
    201
  )
  await heard()
  expect(await states()).toEqual([['open'], ['open'], ['resolved'], []])
})

test('the sweep finds what no message told, and a second one changes nothing (R-ALR-2)', async () => {
  const at = await openDepositing(h, { paidIn: '1.00', lowLimit: '100.00' })
  await h.sql('delete from outbox')
  const first = await sweepAlerts(h.contextOf(systemActor))
  expect(first['deposit-low']).toMatchObject({ raised: 2, missing: 0, extra: 0 })
  expect(await statesOf(at.outlet.id, 'deposit-low', at.outlet.code)).toEqual(['open'])
  const second = Object.values(await sweepAlerts(h.contextOf(systemActor)))
  expect(new Set(second.map((swept) => JSON.stringify(swept)))).toEqual(
    new Set([JSON.stringify({ ...NOTHING, missing: 0, extra: 0 })])
  )
})
