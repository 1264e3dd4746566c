import { afterAll, beforeAll, expect, test } from 'vitest'
import { pino } from 'pino'
import { listCountLines, readCount, searchCounts } from '../../src/counts/counts.queries.ts'
import { listCountReports } from '../../src/counts/count-reports.ts'
import { actorOf, systemActor } from '../../src/identity/directory.ts'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { loadSample } from '../../src/sample/load-sample.ts'
import { closePeriod, readClosing } from '../../src/valuation/close-period.ts'
import { openHarness, type Harness } from '../support/harness.ts'

const log = pino({ level: 'silent' })
const PASSWORD = 'four words for everyone'
const load = (h: Harness) => loadSample(h.runtime, { password: PASSWORD, log })

/** Which months each warehouse has closed, and what the one that has not still lacks. */
async function monthEnds(h: Harness) {
  const closed = await h.sql<{ months: string; warehouses: number }>(`
    select months, count(*)::int as warehouses
      from (select string_agg(to_char(period, 'YYYY-MM'), ' ' order by period) as months from period_statement group by warehouse_id) each
     group by 1`)
  const finance = h.contextOf(await actorOf(h.runtime, 'finance-supervisor@nb11'))
  const period = closed[0]?.months.slice(-7) ?? ''
  const { missing } = await readClosing(finance, { warehouse: 'NB11', period })
  const { ok } = await verifyLedger(h.contextOf(systemActor), {})
  return { closed, missing: missing.map(({ kind }) => kind), ok }
}

// The last days of months, the day the reports are due, the days after New Year; the first of a month is below.
test.for([
  ['2026-10-31', '2026-09'],
  ['2026-11-05', '2026-09 2026-10'],
  ['2027-01-02', '2026-11 2026-12'],
  ['2027-02-28', '2027-01']
])('loaded on %s, the months %s are counted and closed', { timeout: 120_000 }, async ([day = '', months = '']) => {
  const h = await openHarness()
  h.clock.set(`${day}T09:30`)

  expect(await load(h)).toBe(true)

  const missing = months.includes(' ') ? ['previous-period-open', 'count-not-approved'] : ['count-not-approved']
  expect(await monthEnds(h)).toEqual({ closed: [{ months, warehouses: 17 }], missing, ok: true })
  await h.close()
})

let h: Harness
beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2026-12-01T00:10')
  await h.sql(`
    create function broken_off() returns trigger language plpgsql as $$ begin raise exception 'broken off'; end $$;
    create trigger broken_off before insert on period_statement for each row
      when (new.warehouse_id > 9 and new.period = '2026-11-01') execute function broken_off()`)
}, 120_000)
afterAll(() => h.close())

test('month ends that were broken off are gone on with, and counted once', { timeout: 120_000 }, async () => {
  await expect(load(h)).rejects.toThrow('broken off')
  await h.sql('drop trigger broken_off on period_statement')

  expect([await load(h), await load(h)]).toEqual([false, false])

  expect(await monthEnds(h)).toEqual({
    closed: [{ months: '2026-10 2026-11', warehouses: 17 }],
    missing: ['previous-period-open', 'count-not-approved'],
    ok: true
  })
  expect(await h.sql(`select kind, state, count(*)::int from stock_count group by 1, 2 order by 1`)).toEqual([
    { kind: 'cycle', state: 'counting', count: 1 },
    { kind: 'month-end', state: 'approved', count: 34 }
  ])
})

test('the month ends show what there is to see: two differences with their slip, a part by lot, a count under way, depreciation', async () => {
  const ctx = h.contextOf(await actorOf(h.runtime, 'stock-controller@hq'))
  const { items } = await searchCounts(ctx, { region: 'SOUTH', limit: 200 })
  const [count] = items.filter(({ warehouse, period }) => warehouse === 'SZ01' && period === '2026-11')
  expect(count).toMatchObject({ state: 'approved', adjustmentSlip: 'SZ01-ADJ-202611-00001' })

  const differing = await listCountLines(ctx, { number: count?.number ?? '', differs: true })
  expect(differing.items.map(({ part, variance, verifiedBy }) => [part, variance, verifiedBy])).toEqual([
    ['PB-6109', '-1', 'finance-supervisor@sz01'],
    ['SD-2342', '2', 'finance-supervisor@sz01']
  ])
  const byLot = await listCountLines(ctx, { number: count?.number ?? '', part: 'FB-9873' })
  expect(byLot.items[0]?.lots).toHaveLength(2)

  const [cycle] = items.filter(({ kind }) => kind === 'cycle')
  const underWay = await readCount(ctx, { number: cycle?.number ?? '' })
  expect(underWay).toMatchObject({ warehouse: 'SZ01', state: 'counting', progress: { recountDue: 1 } })
  expect(underWay.progress.open).toBeGreaterThan(5)
  expect(underWay.progress.settled).toBeGreaterThan(5)

  const reports = await listCountReports(ctx, { period: '2026-11', limit: 200 })
  expect(
    reports.items.filter(({ state }) => state !== 'sent').map(({ warehouse, state }) => [warehouse, state])
  ).toEqual([['NB11', 'not-opened']])
  expect(
    await h.sql(
      `select count(*) filter (where charge > 0) > 20 as charged, count(*) filter (where accumulated > charge) > 20 as earlier from period_statement`
    )
  ).toEqual([{ charged: true, earlier: true }])
})

test('the warehouse that is left is told that it has not counted', async () => {
  const finance = h.contextOf(await actorOf(h.runtime, 'finance-supervisor@nb11'))
  await expect(closePeriod(finance, { warehouse: 'NB11', period: '2026-10' })).rejects.toMatchObject({
    code: 'PeriodNotClosable',
    extra: { missing: [{ kind: 'count-not-approved' }] }
  })
})
