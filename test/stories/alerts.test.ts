import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  escalateUnacknowledged,
  sweepAlertsNightly,
  turnOfDay,
  watchLateSignatures
} from '../../src/alerts/alerts.jobs.ts'
import { callerFor, openCounter, SIGNERS, type Caller, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'

// Months in which people hear of what wants them to act, on the days on which they should. The clock moves, and the jobs run when
// their schedules say.

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

/** Lives until a moment: every schedule of alerts that comes before it, in order. Answers each evening what `ask` says, by day. */
async function live<Told>(
  until: string,
  ask: () => Promise<Told> = async () => undefined as never
): Promise<Record<string, Told>> {
  const told: Record<string, Told> = {}
  const end = Temporal.PlainDateTime.from(until)
  for (
    let day = Temporal.PlainDate.from(h.clock.today());
    Temporal.PlainDate.compare(day, end) <= 0;
    day = day.add({ days: 1 })
  ) {
    for (const [time, ...jobs] of [
      ['00:05', turnOfDay, watchLateSignatures],
      ['05:00', sweepAlertsNightly],
      ['09:00', watchLateSignatures],
      ['10:20', watchLateSignatures, escalateUnacknowledged]
    ] as const) {
      const at = day.toPlainDateTime(Temporal.PlainTime.from(time))
      const now = h.clock.now().toZonedDateTimeISO('Asia/Shanghai').toPlainDateTime()
      if (Temporal.PlainDateTime.compare(at, now) <= 0 || Temporal.PlainDateTime.compare(at, end) > 0) continue
      h.clock.set(at.toString())
      for (const job of jobs) await runJob(h, job)
      await relayed(h)
    }
    told[day.toString()] = await ask()
  }
  h.clock.set(until)
  return told
}

/** What somebody is told of that is not resolved, one kind after the other. */
const hears = async (by: Caller, kinds: RegExp): Promise<string[]> =>
  (await by.get('/v1/alerts?mine=true&limit=200')).body.items
    .filter(({ kind, state }: { kind: string; state: string }) => kinds.test(kind) && state !== 'resolved')
    .map(({ kind, subject }: { kind: string; subject: string }) => `${kind} ${subject}`)

/** The days on which something is another than the day before. */
function changes<Told>(told: Record<string, Told>): Record<string, Told> {
  let before = 'nothing yet'
  return Object.fromEntries(
    Object.entries(told).filter(([, value]) => {
      const text = JSON.stringify(value)
      const isOther = text !== before
      before = text
      return isOther
    })
  )
}

const LOTS = /^lot-/

test('a lot ages from its receipt to the fourth month, and the right people hear of it on the right days (R-AGE-1, R-AGE-6, R-ALR-1)', async () => {
  h.clock.set('2026-08-10T10:00')
  const shop = await openCounter(h)
  const headOffice = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const { number: part } = await shop.stocked({ quantity: '6', unitCost: '20' })
  await shop.stocked({ quantity: '1', ownership: 'consigned' })
  const [{ lot }] = await h.sql<{ lot: string }>(
    `select id as lot from lot where warehouse_id = $1 and ownership = 'own'`,
    [shop.warehouseId]
  )
  h.clock.set('2026-09-28T10:00')
  const told = await live('2026-12-02T18:00', async () => ({
    keeper: await hears(shop.keeper, LOTS),
    head: await hears(shop.signers['department-head'], LOTS),
    finance: await hears(shop.signers['finance-supervisor'], LOTS),
    headOffice: await hears(headOffice, LOTS)
  }))
  const nobody = { keeper: [], head: [], finance: [], headOffice: [] }
  const soon = [`lot-aging-soon ${lot}`]
  const aged = [`lot-aged ${lot}`]
  expect(changes(told)).toEqual({
    '2026-09-28': nobody,
    // August, September and October are free; October is the last of them.
    '2026-10-01': { ...nobody, keeper: soon, head: soon },
    '2026-11-01': { ...nobody, keeper: aged, head: aged },
    // Nobody acknowledged it for a week.
    '2026-11-08': { ...nobody, keeper: aged, head: aged, headOffice: aged },
    '2026-12-01': nobody
  })
  const { items } = (await headOffice.get(`/v1/alerts?warehouse=${shop.warehouse}&kind=lot-aged`)).body
  expect(items).toMatchObject([
    { subject: lot, details: { part, onHand: '6', cost: '120.00' }, raisedAt: '2026-10-31T16:05:00Z', level: 1 }
  ])
})

/** Goods that left without the signature of the finance supervisor; answers the number of the slip. */
async function released(shop: Counter, part: string): Promise<string> {
  const { number } = await shop.slip({ kind: 'issue', lines: [{ part, quantity: '1' }] })
  await shop.sign(number, SIGNERS.slice(0, 2))
  const { status } = await shop.keeper.post(`/v1/slips/${number}/emergency-release`, {
    missingDuty: 'finance-supervisor',
    authorisedBy: '王主任 电话',
    reason: '抢修',
    handedTo: '李师傅'
  })
  expect(status).toBe(200)
  return number
}

/** What happened to the alert of a slip, by local time. */
const historyOf = async (by: Caller, slip: string): Promise<string[]> => {
  const { items } = (await by.get('/v1/alerts?limit=200&kind=late-signature')).body
  const { id } = items.find(({ subject }: { subject: string }) => subject === slip)
  const { history } = (await by.get(`/v1/alerts/${id}`)).body
  return history.map(
    ({ at, event }: { at: string; event: string }) =>
      `${Temporal.Instant.from(at).toZonedDateTimeISO('Asia/Shanghai').toPlainDateTime().toString({ smallestUnit: 'minute' })} ${event}`
  )
}

test('a late signature is reminded of each working day until it is given, over the National Day holidays and their make-up day (R-OUT-2)', async () => {
  h.clock.set('2026-09-30T10:00')
  const shop = await openCounter(h)
  const { number: part } = await shop.stocked()
  const slip = await released(shop, part)
  const told = await live('2026-10-12T11:00', () => hears(shop.signers['finance-supervisor'], /late/))
  expect(changes(told)).toEqual({ '2026-09-30': [], '2026-10-01': [`late-signature ${slip}`] })
  await shop.sign(slip, ['finance-supervisor'])
  await relayed(h)
  await live('2026-10-14T18:00')
  expect(await historyOf(shop.keeper, slip)).toEqual([
    '2026-10-01T10:20 raised',
    '2026-10-02T10:20 escalated',
    '2026-10-03T10:20 escalated',
    // The 1st to the 7th are off; Saturday the 10th is worked for them; the 11th is a Sunday.
    '2026-10-08T09:00 reminded',
    '2026-10-09T09:00 reminded',
    '2026-10-10T09:00 reminded',
    '2026-10-12T09:00 reminded',
    '2026-10-12T11:00 resolved'
  ])
})

test('in a year without a notice Monday to Friday are taken for working days, and the reminder says so', async () => {
  h.clock.set('2026-12-31T10:00')
  const shop = await openCounter(h)
  const { number: part } = await shop.stocked()
  const slip = await released(shop, part)
  const head = shop.signers['department-head']
  await live('2027-01-05T12:00')
  expect((await historyOf(head, slip)).filter((line) => line.endsWith('reminded'))).toEqual([
    '2027-01-04T09:00 reminded',
    '2027-01-05T09:00 reminded'
  ])
  const { items } = (await head.get('/v1/alerts?kind=late-signature&state=open')).body
  expect(items).toMatchObject([
    {
      subject: slip,
      remindedOn: '2027-01-05',
      reminder: '已提醒 2 次,最近一次 2027-01-05(2027 年放假安排未录入,暂按周一至周五为工作日)'
    }
  ])

  // Once the notice is entered, days are known; this one is worked for another.
  const administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  const entered = await administrator.put('/v1/calendar/years/2027', {
    source: 'https://www.gov.cn/',
    days: [
      { date: '2027-01-06', isOffDay: true, name: '元旦' },
      { date: '2027-01-09', isOffDay: false, name: '元旦' }
    ]
  })
  expect(entered.status).toBe(200)
  await live('2027-01-09T12:00')
  expect((await historyOf(head, slip)).filter((line) => line.endsWith('reminded')).slice(2)).toEqual([
    '2027-01-07T09:00 reminded',
    '2027-01-08T09:00 reminded',
    '2027-01-09T09:00 reminded'
  ])
  expect((await head.get('/v1/alerts?kind=late-signature&state=open')).body.items[0].reminder).toBe(
    '已提醒 5 次,最近一次 2027-01-09'
  )
})

test('a part runs short, is covered and runs short again; a message that is lost is made up for in the night (R-ORD-2, R-ALR-2)', async () => {
  h.clock.set('2027-02-01T10:00')
  const shop = await openCounter(h)
  const { id, number: part } = await shop.stocked({ quantity: '10' })
  await h.sql(
    `insert into reorder_level (warehouse_id, part_id, reorder_point, order_up_to, basis, computed_at) values ($1, $2, 4, 12, 'computed', now())`,
    [shop.warehouseId, id]
  )
  const issued = (quantity: string) => shop.posted({ kind: 'issue', lines: [{ part, quantity }] })
  const short = () => hears(shop.keeper, /^reorder/)

  await issued('7')
  await relayed(h)
  expect(await short()).toEqual([`reorder-point ${part}`])
  await shop.posted({ kind: 'receipt', lines: [{ part, quantity: '9', unitCost: '1' }] })
  await relayed(h)
  expect(await short()).toEqual([])

  await issued('9')
  await h.sql('delete from outbox')
  await relayed(h)
  expect(await short()).toEqual([])
  await live('2027-02-02T05:30')
  expect(await short()).toEqual([`reorder-point ${part}`])
})
