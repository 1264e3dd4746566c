import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { sweepAlertsNightly, turnOfDay, watchBackorders } from '../../src/alerts/alerts.jobs.ts'
import { reckonClocksNightly, sweepBackorders } from '../../src/requests/backorders.jobs.ts'
import { expireRequestsDaily } from '../../src/requests/requests.jobs.ts'
import { openNetwork, type Network, type Outlet } from '../requests/network.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePart } from '../support/make.ts'
import { relayed, runJob } from '../support/relay.ts'

// What outlets wait for over the long holidays of 2026, told day by day. The clock moves, and the jobs run when their schedules say.

let h: Harness
let network: Network
let part: MadePart
beforeAll(async () => {
  h = await openHarness()
  network = await openNetwork(h)
})
beforeEach(async () => {
  part = await h.make.part({ name: 'inverter board', nameZh: '变频板' })
})
afterAll(() => h.close())

/** Lives until a moment: what is scheduled for each night and hour before it, in order. */
async function live(until: string): Promise<void> {
  const end = Temporal.PlainDateTime.from(until)
  for (
    let day = Temporal.PlainDate.from(h.clock.today());
    Temporal.PlainDate.compare(day, end) <= 0;
    day = day.add({ days: 1 })
  ) {
    for (const [time, ...jobs] of [
      ['00:01', reckonClocksNightly],
      ['00:05', turnOfDay],
      ['00:10', expireRequestsDaily],
      ['05:00', sweepAlertsNightly],
      ['09:10', watchBackorders],
      ['12:00', sweepBackorders]
    ] as const) {
      const at = day.toPlainDateTime(Temporal.PlainTime.from(time))
      const now = h.clock.now().toZonedDateTimeISO('Asia/Shanghai').toPlainDateTime()
      if (Temporal.PlainDateTime.compare(at, now) <= 0 || Temporal.PlainDateTime.compare(at, end) > 0) continue
      h.clock.set(at.toString())
      for (const job of jobs) await runJob(h, job)
      await relayed(h)
    }
  }
  h.clock.set(until)
}

/** An outlet asks for what nobody has; answers the numbers of request and backorder. */
async function waits(outlet: Outlet, quantity: string) {
  const { number, lines } = await outlet.requested([[part, quantity]])
  await relayed(h)
  return { request: String(number), backorder: String(lines[0].backorder.number) }
}
const backorder = async (number: string): Promise<any> =>
  (await network.controller.get(`/v1/backorders/${number}`)).body
const clockOf = async (outlet: Outlet, request: string, piece = 'backordered'): Promise<any> =>
  (await outlet.read(request)).clocks.find((clock: { piece: string }) => clock.piece === piece)
const says = async (outlet: Outlet, number: string, body: object): Promise<number> => {
  const { status } = await outlet.clerk.post(`/v1/backorders/${number}/confirmation`, body)
  await relayed(h)
  return status
}
const answers = (number: string, body: object) => network.controller.post(`/v1/backorders/${number}/answer`, body)
/** Open alerts of a centre about a request or backorder. */
const alerts = async (about: string): Promise<string[]> =>
  (await network.controller.get(`/v1/alerts?warehouse=${network.north.code}&limit=200`)).body.items
    .filter((alert: any) => alert.state !== 'resolved' && alert.subject.startsWith(about))
    .map(({ kind }: { kind: string }) => kind)
const issued = async (request: string) => {
  const { body } = await network.keeper.post(`/v1/requests/${request}/issue-slip`, {})
  await network.signAndPost(body.number)
  await relayed(h)
}

test('what an outlet no longer needs goes to the next who waits, across National Day 2026 (R-REQ-1, R-REQ-2, R-REQ-3)', async () => {
  const [first, second] = [await network.outlet(), await network.outlet()]

  // Monday before the holidays: two outlets ask, one after the other. 1 to 7 October are off, Saturday the 10th is worked.
  h.clock.set('2026-09-28T16:00')
  const one = await waits(first, '2')
  expect(await backorder(one.backorder)).toMatchObject({ promisedOn: '2026-10-23', promiseBasis: 'default' })
  h.clock.set('2026-09-29T09:00')
  const two = await waits(second, '1')
  expect(await clockOf(second, two.request)).toMatchObject({ dueOn: '2026-10-26', workingDaysLeft: 15 })

  // The purchaser promises, and after the holidays promises anew.
  h.clock.set('2026-09-30T11:00')
  await answers(one.backorder, { promisedOn: '2026-10-20', text: '厂家节后发货' })
  h.clock.set('2026-10-12T09:00')
  const { body: promised } = await answers(one.backorder, { promisedOn: '2026-10-14', text: '提前到货' })
  expect(promised).toMatchObject({ promisedOn: '2026-10-14', answeredAt: '2026-09-30T03:00:00Z' })
  expect(
    promised.history
      .filter(({ event }: { event: string }) => event === 'promised')
      .map(({ details }: any) => [details.was, details.promisedOn, details.because])
  ).toEqual([
    ['2026-10-23', '2026-10-20', '厂家节后发货'],
    ['2026-10-20', '2026-10-14', '提前到货']
  ])

  // Two pieces come. The first is asked at once, and its clock stands; the second goes on waiting.
  h.clock.set('2026-10-13T15:00')
  await network.stock(network.north, part, '2')
  await relayed(h)
  expect(await backorder(one.backorder)).toMatchObject({ state: 'allocated', confirmBy: '2026-10-20' })
  expect((await first.read(one.request)).history.at(-1)).toMatchObject({ event: 'arrived' })
  expect(await clockOf(first, one.request)).toMatchObject({ state: 'paused', dueOn: '2026-10-23' })
  await live('2026-10-16T10:00')
  expect(await clockOf(first, one.request)).toMatchObject({ state: 'paused', dueOn: '2026-10-28' })
  expect(await backorder(two.backorder)).toMatchObject({ state: 'waiting', inFront: '0' })

  // On Friday it says that the customer gave the machine back. The second is asked within the same minute.
  expect(await says(first, one.backorder, { confirmed: false, reason: '用户已退机' })).toBe(200)
  expect(await backorder(one.backorder)).toMatchObject({ state: 'cancelled', endedBecause: '用户已退机' })
  expect(await first.read(one.request)).toMatchObject({ state: 'cancelled' })
  expect(await backorder(two.backorder)).toMatchObject({ state: 'allocated', askedAt: '2026-10-16T02:00:00Z' })
  const told = (await second.read(two.request)).history.at(-1)
  expect(told).toMatchObject({ event: 'arrived', details: { backorder: two.backorder, quantity: '1' } })

  // It says yes on Monday; one working day does not count.
  await live('2026-10-19T09:30')
  expect(await says(second, two.backorder, { confirmed: true })).toBe(200)
  expect(await clockOf(second, two.request)).toMatchObject({
    state: 'running',
    dueOn: '2026-10-27',
    workingDaysLeft: 6,
    pauses: [{ from: '2026-10-16T02:00:00Z', to: '2026-10-19T01:30:00Z', reason: 'confirmation', workingDays: 1 }]
  })
  h.clock.set('2026-10-20T10:00')
  await issued(two.request)
  expect(await backorder(two.backorder)).toMatchObject({ state: 'fulfilled' })
  expect(await clockOf(second, two.request)).toMatchObject({ endedBecause: 'issued', isBreached: false })
  expect(await second.read(two.request)).toMatchObject({ state: 'done' })
  expect(await network.held(network.north, part)).toEqual({ onHand: '1', available: '1' })
  await network.verify()
})

test('who says nothing loses the goods to the next, and what was not there goes on waiting', async () => {
  const [silent, next] = [await network.outlet(), await network.outlet()]
  h.clock.set('2026-11-02T10:00')
  const one = await waits(silent, '3')
  h.clock.set('2026-11-02T11:00')
  const two = await waits(next, '2')
  await network.stock(network.north, part, '2')
  await relayed(h)
  // Five working days, to Monday the 9th.
  expect(await backorder(one.backorder)).toMatchObject({ state: 'allocated', waiting: '1', confirmBy: '2026-11-09' })
  await live('2026-11-09T18:00')
  expect(await backorder(two.backorder)).toMatchObject({ state: 'waiting' })
  await live('2026-11-10T08:00')
  expect(await silent.read(one.request)).toMatchObject({
    state: 'open',
    lines: [{ cancelled: '2', cancelledBecause: 'not confirmed by 2026-11-09' }]
  })
  // For the one piece it still waits for it stands first: that is offered to it, the other to the next.
  expect([await backorder(one.backorder), await backorder(two.backorder)]).toMatchObject([
    { state: 'allocated', quantity: '1', waiting: '0', confirmBy: '2026-11-17' },
    { state: 'allocated', quantity: '2', waiting: '1' }
  ])
  expect(await network.held(network.north, part)).toEqual({ onHand: '2', available: '0' })
})

test('an answer is due seven days later to the minute, holidays or not, and whoever is late hears of it (R-REQ-3, R-ALR-1)', async () => {
  const outlet = await network.outlet()
  h.clock.set('2026-09-25T09:10')
  const { backorder: number } = await waits(outlet, '1')
  expect(await backorder(number)).toMatchObject({ answerDueAt: '2026-10-02T01:10:00Z' })
  await live('2026-10-01T09:00')
  expect(await alerts(number)).toEqual([])
  await live('2026-10-01T09:30')
  expect(await alerts(number)).toEqual(['backorder-answer-soon'])
  h.clock.set('2026-10-02T09:09')
  await runJob(h, watchBackorders)
  expect(await alerts(number)).toEqual(['backorder-answer-soon'])
  h.clock.set('2026-10-02T09:10')
  await runJob(h, watchBackorders)
  expect(await alerts(number)).toEqual(['backorder-answer-due'])
  await answers(number, { text: '厂家放假,8日答复' })
  await relayed(h)
  expect(await alerts(number)).toEqual([])
  const levels = await network.controller.get('/v1/requests/service-levels?month=2026-09')
  expect(levels.body.items.find(({ region }: { region: string }) => region === 'NORTH').backorders).toMatchObject({
    registered: 3,
    answeredInTime: 2,
    answeredLate: 1,
    unanswered: 0
  })
})

test('the clock over Spring Festival 2026: it stands while the outlet is asked, warns before it is over, and says when it is (R-REQ-2, R-ALR-1)', async () => {
  const outlet = await network.outlet()
  // Fifteen working days from Monday: up to Saturday the 14th, which is worked, ten; the festival is off until the 23rd.
  h.clock.set('2026-02-02T10:00')
  const { request, backorder: number } = await waits(outlet, '1')
  await answers(number, { text: '节前到货' })
  expect(await clockOf(outlet, request)).toMatchObject({ startedOn: '2026-02-02', dueOn: '2026-02-28' })

  await live('2026-02-12T15:00')
  await network.stock(network.north, part, '1')
  await relayed(h)
  expect(await backorder(number)).toMatchObject({ state: 'allocated', confirmBy: '2026-02-26' })
  // Asked before the festival, answered after it: 13, 14, 24 and 25 February do not count.
  await live('2026-02-25T16:00')
  expect(await alerts(request)).toEqual([])
  expect(await clockOf(outlet, request)).toMatchObject({ state: 'paused', workingDaysLeft: 7, isBreached: false })
  expect(await says(outlet, number, { confirmed: true })).toBe(200)
  expect(await clockOf(outlet, request)).toMatchObject({
    state: 'running',
    dueOn: '2026-03-05',
    workingDaysLeft: 7,
    pauses: [{ workingDays: 4 }]
  })

  // Nobody issues it. On the working day before and on the day itself somebody is warned; the day after it is over.
  const heard: Record<string, string[]> = {}
  for (const day of ['2026-03-03', '2026-03-04', '2026-03-05', '2026-03-06']) {
    await live(`${day}T08:00`)
    heard[day] = await alerts(request)
  }
  expect(heard).toEqual({
    '2026-03-03': [],
    '2026-03-04': ['request-clock-soon'],
    '2026-03-05': ['request-clock-soon'],
    '2026-03-06': ['request-clock']
  })
  expect(await clockOf(outlet, request)).toMatchObject({ state: 'running', isBreached: true, workingDaysLeft: -1 })
  await issued(request)
  expect(await alerts(request)).toEqual([])
  expect(await clockOf(outlet, request)).toMatchObject({ state: 'ended', endedBecause: 'issued', isBreached: true })
  const { body } = await network.controller.get('/v1/requests/service-levels?month=2026-03')
  expect(body.items).toMatchObject([
    { region: 'NORTH', backordered: { met: 0, breached: 1, meanWorkingDays: 16, pausedWorkingDays: 4 } }
  ])
})
