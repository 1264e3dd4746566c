import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ALERT_KINDS } from '../../src/alerts/alert-kinds.ts'
import { sweepAlertsNightly, turnOfDay, watchLateSignatures } from '../../src/alerts/alerts.jobs.ts'
import { followEvents } from '../../src/alerts/follow-events.ts'
import { sweepAlerts } from '../../src/alerts/reconcile.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { verifyLedgerNightly } from '../../src/ledger/ledger.jobs.ts'
import { callerFor, openCounter, SIGNERS, type Counter } from '../support/counter.ts'
import { openCounting } from '../support/counting.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { kernel } from '../support/kernel.ts'
import { approvedCount } from '../support/month-end.ts'
import { relayed, runJob } from '../support/relay.ts'
import { alertsOf, eventsOf, reconciled, setLevel } from './alerting.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const told = () => relayed(h, { only: [followEvents], runsJobs: false })
const nothing = { raised: 0, updated: 0, resolved: 0 }

/** A warehouse with 10 of a part whose reorder point is 4. */
async function stockedShop(): Promise<{ shop: Counter; part: { id: number; number: string } }> {
  const shop = await openCounter(h)
  const part = await shop.stocked({ quantity: '10' })
  await setLevel(h, shop.warehouseId, part.id, { reorderPoint: '4', orderUpTo: '12' })
  await told()
  return { shop, part }
}
const issue = (shop: Counter, part: string, quantity: string) =>
  shop.posted({ kind: 'issue', lines: [{ part, quantity }] })

describe('reorder point (R-ORD-2, R-ALR-1)', () => {
  test('a posted slip that crosses it raises one alert, further ones bring it up to date, a receipt resolves it, the next crossing opens another', async () => {
    h.clock.set(DEFAULT_TIME)
    const { shop, part } = await stockedShop()
    await issue(shop, part.number, '5')
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toEqual([])

    await issue(shop, part.number, '1')
    await told()
    const [first] = await alertsOf(h, shop.warehouseId)
    expect(first).toMatchObject({
      kind: 'reorder-point',
      subject: part.number,
      state: 'open',
      details: { part: part.number, available: '4', onOrder: '0', reorderPoint: '4', orderUpTo: '12' }
    })

    await issue(shop, part.number, '2.5')
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([{ id: first?.id, details: { available: '1.5' } }])

    await shop.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '3', unitCost: '1' }] })
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([{ id: first?.id, state: 'resolved' }])
    expect(await eventsOf(h, first?.id ?? '')).toEqual(['raised', 'resolved'])

    await issue(shop, part.number, '1')
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([
      { id: first?.id, state: 'resolved' },
      { subject: part.number, state: 'open', details: { available: '3.5' } }
    ])
  })

  test('what is on order covers it, consigned goods count, nonconforming ones do not', async () => {
    const { shop, part } = await stockedShop()
    await issue(shop, part.number, '8')
    await h.sql(
      `insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, opened_at, opened_by) values ($1, $2, 'purchase', 'PLAN-1', 1, 3, now(), 0)`,
      [shop.warehouseId, part.id]
    )
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toEqual([])
    const brought = (ownership: string, condition: string) =>
      shop.posted({
        kind: 'receipt',
        lines: [
          { part: part.number, quantity: '2', ownership, condition, ...(ownership === 'own' && { unitCost: '1' }) }
        ]
      })
    await h.sql(`update expected_receipt set ended_at = now(), ended_because = 'cancelled' where warehouse_id = $1`, [
      shop.warehouseId
    ])
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([{ state: 'open', details: { available: '2' } }])
    await brought('own', 'nonconforming')
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([{ state: 'open', details: { available: '2' } }])
    await brought('consigned', 'qualified')
    await brought('consigned', 'qualified')
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([{ state: 'resolved' }])
  })

  test('a policy that is set is looked at within seconds', async () => {
    const { shop, part } = await stockedShop()
    const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
    const path = `/v1/reorder/policies/${shop.warehouse}/parts/${part.number}`
    const fixed = { kind: 'fixed', minimum: '15', maximum: '20', reason: '检修季备货', expiresOn: '2027-03-31' }
    expect((await controller.put(path, fixed)).status).toBeLessThan(300)
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([
      { state: 'open', details: { available: '10', reorderPoint: '15', orderUpTo: '20' } }
    ])
  })

  test('new levels are looked at everywhere', async () => {
    const { shop, part } = await stockedShop()
    await setLevel(h, shop.warehouseId, part.id, { reorderPoint: '20', orderUpTo: '30' })
    await h.sql(
      `insert into outbox (subject, event, payload, occurred_at) values ('reorder-levels', 'reorder-levels.computed', '{}', now())`
    )
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([
      { state: 'open', details: { available: '10', reorderPoint: '20' } }
    ])
  })

  test('raising it publishes the alert and the shortage, in this order, once', async () => {
    const { shop, part } = await stockedShop()
    await issue(shop, part.number, '7')
    await told()
    const [alert] = await alertsOf(h, shop.warehouseId)
    await issue(shop, part.number, '1')
    const seen: { event: string; payload: unknown }[] = []
    await relayed(h, { only: [followEvents, probe(seen)], runsJobs: false })
    expect(seen).toEqual([])
    await shop.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '9', unitCost: '1' }] })
    await relayed(h, { only: [followEvents, probe(seen)], runsJobs: false })
    await issue(shop, part.number, '8')
    await relayed(h, { only: [followEvents, probe(seen)], runsJobs: false })
    const [, again] = await alertsOf(h, shop.warehouseId)
    const about = { kind: 'reorder-point', subject: part.number, warehouse: shop.warehouse }
    expect(seen).toEqual([
      { event: 'alert.resolved', payload: { alert: alert?.id, ...about } },
      { event: 'alert.raised', payload: { alert: again?.id, ...about } },
      {
        event: 'stock.below-reorder-point',
        payload: { warehouse: shop.warehouse, part: part.number, available: '3', onOrder: '0', reorderPoint: '4' }
      }
    ])
  })
})

const probe = (seen: { event: string; payload: unknown }[]) => ({
  name: 'probe',
  events: ['alert.raised', 'alert.resolved', 'stock.below-reorder-point', 'lot.aged'],
  handle: async (_ctx: unknown, events: readonly { event: string; payload: unknown }[]) => {
    seen.push(...events.map(({ event, payload }) => ({ event, payload })))
  }
})

describe('lots (R-AGE-1, R-AGE-5, R-STK-6)', () => {
  const lots = async (warehouseId: number) =>
    (await alertsOf(h, warehouseId))
      .filter(({ kind }) => kind.startsWith('lot'))
      .map(({ kind, state, details }) => `${kind} ${details.receivedOn} ${state}`)

  test('own lots, also nonconforming ones, are announced in their third month and alerted in their fourth; consigned ones never', async () => {
    h.clock.set('2026-11-20T10:00')
    const k = await kernel(h)
    const own = await k.shelf()
    const faulty = { ...(await k.shelf()), condition: 'nonconforming' as const }
    const consigned = { ...(await k.shelf()), ownership: 'consigned' as const }
    await k.receive(own, '2', '10', { on: '2026-08-31' })
    await k.receive(faulty, '1', '10', { on: '2026-09-01' })
    await k.receive(consigned, '1', null, { on: '2026-08-15' })
    await k.receive(own, '5', '10', { on: '2026-10-01' })
    await k.receive(own, '1', '10', { on: '2026-07-31' })
    await runJob(h, turnOfDay)
    expect(await lots(k.warehouse.id)).toEqual(['lot-aged 2026-08-31 open', 'lot-aging-soon 2026-09-01 open'])

    h.clock.set('2026-12-01T00:05')
    await runJob(h, turnOfDay)
    expect(await lots(k.warehouse.id)).toEqual([
      'lot-aged 2026-08-31 resolved',
      'lot-aging-soon 2026-09-01 resolved',
      'lot-aged 2026-09-01 open',
      'lot-aging-soon 2026-10-01 open'
    ])
  })

  test('what cost nothing, as an old part that came back, has nothing to charge and is no alert', async () => {
    h.clock.set('2026-11-20T10:00')
    const k = await kernel(h)
    const old = { ...(await k.shelf()), condition: 'nonconforming' as const }
    await k.receive(old, '2', '0', { on: '2026-08-31' })
    await k.receive(old, '2', '0', { on: '2026-09-01' })
    await runJob(h, turnOfDay)
    expect(await lots(k.warehouse.id)).toEqual([])
  })

  test('a lot that is used up resolves its alert within seconds, one that comes in old raises it', async () => {
    h.clock.set('2026-11-20T10:00')
    const shop = await openCounter(h)
    const { number: part } = await h.make.part()
    await shop.posted({
      kind: 'transfer-in',
      reference: 'SH-OUT-202611-00001',
      counterparty: 'SH',
      lines: [{ part, quantity: '2', unitCost: '12.50', receivedOn: '2026-08-10' }]
    })
    await told()
    const [aged] = await alertsOf(h, shop.warehouseId, 'lot-aged')
    expect(aged).toMatchObject({
      state: 'open',
      details: { part, onHand: '2', cost: '25.00', receivedOn: '2026-08-10', month: '2026-11', condition: 'qualified' }
    })
    await issue(shop, part, '1')
    await told()
    expect(await alertsOf(h, shop.warehouseId, 'lot-aged')).toMatchObject([
      { id: aged?.id, state: 'open', details: { onHand: '1', cost: '12.50' } }
    ])
    await issue(shop, part, '1')
    await told()
    expect(await alertsOf(h, shop.warehouseId, 'lot-aged')).toMatchObject([{ id: aged?.id, state: 'resolved' }])
  })

  test('the holding period is that of the policy of the month; a lot enters once where it changes (R-AGE-2)', async () => {
    const own = await openHarness()
    try {
      own.clock.set('2026-11-20T10:00')
      const k = await kernel(own)
      const shelf = await k.shelf()
      for (const on of ['2026-08-01', '2026-09-01', '2026-10-01']) await k.receive(shelf, '1', '10', { on })
      await own.sql(`update depreciation_policy set effective_until = '2026-12-01'`)
      await own.sql(
        `insert into depreciation_policy (effective_from, grace_months, rate, charge_count) values ('2026-12-01', 2, 0.08, 12)`
      )
      const enters = async (kind: 'lot-aged' | 'lot-aging-soon') => {
        await reconciled(own, kind)
        return (await alertsOf(own, k.warehouse.id, kind))
          .filter(({ state }) => state === 'open')
          .map(({ details }) => details.receivedOn)
      }
      // December takes two months at once: both are announced in November.
      expect([await enters('lot-aged'), await enters('lot-aging-soon')]).toEqual([
        ['2026-08-01'],
        ['2026-09-01', '2026-10-01']
      ])
      own.clock.set('2026-12-01T08:00')
      expect([await enters('lot-aged'), await enters('lot-aging-soon')]).toEqual([['2026-09-01', '2026-10-01'], []])
      own.clock.set('2027-01-01T08:00')
      expect([await enters('lot-aged'), await enters('lot-aging-soon')]).toEqual([[], []])
    } finally {
      await own.close()
    }
  })
})

test('a late signature is alerted when it is overdue, and the signature resolves it (R-OUT-2)', async () => {
  h.clock.set('2026-11-20T10:00')
  const { shop, part } = await stockedShop()
  const { number } = await shop.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
  await shop.sign(number, SIGNERS.slice(0, 2))
  await shop.keeper.post(`/v1/slips/${number}/emergency-release`, {
    missingDuty: 'finance-supervisor',
    authorisedBy: '王主任 电话',
    reason: '抢修',
    handedTo: '李师傅'
  })
  await told()
  h.clock.advance({ hours: 23, minutes: 59 })
  await runJob(h, watchLateSignatures)
  expect(await alertsOf(h, shop.warehouseId)).toEqual([])
  h.clock.advance({ minutes: 1 })
  await runJob(h, watchLateSignatures)
  const [late] = await alertsOf(h, shop.warehouseId)
  expect(late).toMatchObject({
    kind: 'late-signature',
    subject: number,
    state: 'open',
    details: {
      slip: number,
      slipKind: 'issue',
      missingDuty: 'finance-supervisor',
      dueAt: '2026-11-21T02:00:00Z',
      releasedAt: '2026-11-20T02:00:00Z',
      releasedBy: shop.keeper.person.username,
      authorisedBy: '王主任 电话'
    }
  })
  await shop.sign(number, ['finance-supervisor'])
  await told()
  expect(await alertsOf(h, shop.warehouseId)).toMatchObject([{ id: late?.id, state: 'resolved' }])
})

test('a reversal resolves it as well (R-OUT-2)', async () => {
  h.clock.set('2026-11-20T10:00')
  const { shop, part } = await stockedShop()
  const { number } = await shop.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
  await shop.sign(number, SIGNERS.slice(1))
  const release = { missingDuty: 'department-head', authorisedBy: 'x', reason: 'y', handedTo: 'z' }
  expect((await shop.keeper.post(`/v1/slips/${number}/emergency-release`, release)).status).toBe(200)
  h.clock.advance({ hours: 25 })
  await runJob(h, watchLateSignatures)
  const reversal = await shop.keeper.post(`/v1/slips/${number}/reversal`, { reason: '误放行' })
  expect((await shop.signAndPost(reversal.body.number)).status).toBe(200)
  await told()
  expect(await alertsOf(h, shop.warehouseId)).toMatchObject([{ subject: number, state: 'resolved' }])
})

describe('the month end (R-CNT-1, R-CNT-3, R-FIN-1, R-FIN-2)', () => {
  const states = async (warehouseId: number) =>
    (await alertsOf(h, warehouseId)).map(({ kind, subject, state }) => `${kind} ${subject} ${state}`)

  test('a month is to be counted on its last day, reported and closed by the 5th of the next', async () => {
    h.clock.set('2026-11-20T10:00')
    const shop = await openCounting(h)
    await h.sql(`update warehouse set named_at = '2026-11-02' where id = $1`, [shop.warehouseId])
    const { number: part } = await shop.stocked()
    await told()
    h.clock.set('2026-11-29T23:59')
    await runJob(h, turnOfDay)
    expect(await states(shop.warehouseId)).toEqual([])
    h.clock.set('2026-11-30T00:05')
    await runJob(h, turnOfDay)
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([
      {
        kind: 'count-due',
        subject: '2026-11',
        details: { period: '2026-11', dueOn: '2026-11-30', count: null, countState: null }
      }
    ])

    const { number } = await shop.open({ kind: 'month-end', period: '2026-11' })
    await told()
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([{ details: { count: number, countState: 'counting' } }])
    await shop.count(number, [{ part, counted: '10' }])
    await shop.submit(number)
    await shop.approve(number)
    await told()
    expect(await states(shop.warehouseId)).toEqual(['count-due 2026-11 resolved'])

    h.clock.set('2026-12-05T23:59')
    await runJob(h, turnOfDay)
    expect(await states(shop.warehouseId)).toEqual(['count-due 2026-11 resolved'])
    h.clock.set('2026-12-06T00:05')
    await runJob(h, turnOfDay)
    expect(await states(shop.warehouseId)).toEqual([
      'count-due 2026-11 resolved',
      'count-report-due 2026-11 open',
      'statement-due 2026-11 open'
    ])
    await shop.keeper.post(`/v1/counts/${number}/report`)
    await told()
    expect(await states(shop.warehouseId)).toEqual([
      'count-due 2026-11 resolved',
      'count-report-due 2026-11 resolved',
      'statement-due 2026-11 open'
    ])
    const closing = await shop.signers['finance-supervisor'].post(
      `/v1/warehouses/${shop.warehouse}/periods/2026-11/closing`
    )
    expect(closing.status).toBe(201)
    await told()
    expect((await states(shop.warehouseId)).at(-1)).toBe('statement-due 2026-11 resolved')
  })

  test('reports are asked for from the first month that was counted on, and the last one always', async () => {
    h.clock.set('2026-11-20T10:00')
    const [joined, counted] = [await h.make.warehouse(), await h.make.warehouse()]
    await approvedCount(h, counted.id, '2026-07')
    await runJob(h, turnOfDay)
    expect(await states(joined.id)).toEqual(['count-report-due 2026-10 open'])
    expect(await states(counted.id)).toEqual(
      ['2026-07', '2026-08', '2026-09', '2026-10'].map((month) => `count-report-due ${month} open`)
    )
    h.clock.set('2026-12-05T08:00')
    await runJob(h, turnOfDay)
    expect(await states(joined.id)).toEqual(['count-report-due 2026-10 open'])
    h.clock.set('2026-12-06T08:00')
    await runJob(h, turnOfDay)
    expect(await states(joined.id)).toEqual(['count-report-due 2026-10 resolved', 'count-report-due 2026-11 open'])
  })

  test('a warehouse that holds nothing has nothing to count and to close; one that is behind has an alert for each month', async () => {
    h.clock.set('2026-11-20T10:00')
    const empty = await h.make.warehouse()
    const k = await kernel(h)
    await k.receive(await k.shelf(), '1', '10', { on: '2026-08-15' })
    await approvedCount(h, k.warehouse.id, '2026-09')
    await runJob(h, turnOfDay)
    const monthly = async (id: number) =>
      (await states(id)).filter((state) => /^(count|statement)-due/.test(state)).sort()
    expect(await monthly(empty.id)).toEqual([])
    expect(await monthly(k.warehouse.id)).toEqual([
      'count-due 2026-08 open',
      'count-due 2026-10 open',
      'statement-due 2026-08 open',
      'statement-due 2026-09 open',
      'statement-due 2026-10 open'
    ])
  })
})

test('what the nightly self-check finds is kept and alerted, and resolved when it is found no more', async () => {
  h.clock.set('2026-11-20T10:00')
  const { shop, part } = await stockedShop()
  const change = (by: number) =>
    h.sql('update balance set on_hand = on_hand + $3 where warehouse_id = $1 and part_id = $2', [
      shop.warehouseId,
      part.id,
      by
    ])
  await change(1)
  await runJob(h, verifyLedgerNightly)
  await told()
  const [fault] = await alertsOf(h, shop.warehouseId, 'ledger-fault')
  expect(fault).toMatchObject({
    subject: 'balance-equals-lots-equals-movements',
    state: 'open',
    details: {
      check: 'balance-equals-lots-equals-movements',
      findings: 1,
      first: [{ subject: `${part.number} own qualified`, expected: 'movements 10', found: 'balance 11, lots 10' }]
    }
  })
  // The next night finds the same.
  await runJob(h, verifyLedgerNightly)
  await told()
  expect(await alertsOf(h, shop.warehouseId, 'ledger-fault')).toEqual([fault])
  await change(-1)
  await runJob(h, verifyLedgerNightly)
  await told()
  expect(await alertsOf(h, shop.warehouseId, 'ledger-fault')).toMatchObject([{ id: fault?.id, state: 'resolved' }])
  expect(await h.sql('select * from ledger_finding')).toEqual([])
})

describe('the sweep (R-ALR-2)', () => {
  test('finds what a lost message would have missed, and a second run changes nothing', async () => {
    h.clock.set('2026-11-20T10:00')
    const { shop, part } = await stockedShop()
    await sweepAlerts(h.contextOf(systemActor))
    await issue(shop, part.number, '7')
    await h.sql('delete from outbox')
    expect(await alertsOf(h, shop.warehouseId, 'reorder-point')).toEqual([])

    const first = (await runJob(h, sweepAlertsNightly)) as Record<string, unknown>
    expect(first).toEqual({
      ...Object.fromEntries(ALERT_KINDS.map((kind) => [kind, { ...nothing, missing: 0, extra: 0 }])),
      'reorder-point': { raised: 1, updated: 0, resolved: 0, missing: 0, extra: 0 }
    })
    const before = await h.sql('select * from alert order by id')
    const second = await runJob(h, sweepAlertsNightly)
    expect(second).toEqual(Object.fromEntries(ALERT_KINDS.map((kind) => [kind, { ...nothing, missing: 0, extra: 0 }])))
    expect(await h.sql('select * from alert order by id')).toEqual(before)
  })

  test('every job run twice changes nothing the second time', async () => {
    await runJob(h, turnOfDay)
    await runJob(h, watchLateSignatures)
    const all = () => h.sql('select * from alert order by id')
    const before = await all()
    const events = await h.sql('select count(*) from alert_event')
    await runJob(h, turnOfDay)
    await runJob(h, watchLateSignatures)
    expect(await all()).toEqual(before)
    expect(await h.sql('select count(*) from alert_event')).toEqual(events)
  })

  test('whatever looks at a position at once, one alert is open and it says what is there', async () => {
    h.clock.set('2026-11-20T10:00')
    const { shop, part } = await stockedShop()
    await issue(shop, part.number, '7')
    const asked = { warehouseIds: [shop.warehouseId], ids: [String(part.id)] }
    await Promise.all([
      reconciled(h, 'reorder-point', asked),
      reconciled(h, 'reorder-point'),
      sweepAlerts(h.contextOf(systemActor)),
      reconciled(h, 'reorder-point', asked)
    ])
    expect(await alertsOf(h, shop.warehouseId, 'reorder-point')).toMatchObject([
      { state: 'open', details: { available: '3' } }
    ])
    expect(await reconciled(h, 'reorder-point')).toEqual(nothing)
  })

  test('the history of alerts is never changed', async () => {
    await expect(h.sql(`update alert_event set event = 'resolved'`)).rejects.toThrow(/append-only/)
    await expect(h.sql('truncate alert_event')).rejects.toThrow(/append-only/)
  })
})
