import { afterAll, beforeAll, expect, test } from 'vitest'
import { pino } from 'pino'
import { actorOf, systemActor } from '../../src/identity/directory.ts'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { listWarehouseStock } from '../../src/ledger/ledger.queries.ts'
import { loadSample, openSample } from '../../src/sample/load-sample.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
const log = pino({ level: 'silent' })
const PASSWORD = 'four words for everyone'

beforeAll(async () => {
  h = await openHarness()
  await loadSample(h.runtime, { password: PASSWORD, log })
}, 60_000)
afterAll(() => h.close())

test('the sample is loaded once, and the ledger is right after it', async () => {
  expect(await loadSample(h.runtime, { password: PASSWORD, log })).toBe(false)
  expect(await verifyLedger(h.contextOf(systemActor), {})).toMatchObject({ ok: true, findings: [] })
})

test('it is a network of eighteen warehouses with people for every duty', async () => {
  expect(await h.sql('select kind, count(*)::int from warehouse group by 1 order by 1')).toEqual([
    { kind: 'branch', count: 1 },
    { kind: 'head-office', count: 1 },
    { kind: 'outlet', count: 12 },
    { kind: 'regional-centre', count: 2 },
    { kind: 'van', count: 2 }
  ])
  expect(await h.sql(`select count(distinct duty)::int as duties from duty_assignment`)).toEqual([{ duties: 10 }])
  expect(
    await h.sql(`
      select code from warehouse
       where (select count(*) from person
               where username = any (array[${['keeper', 'department-head', 'operations-supervisor', 'finance-supervisor'].map((duty) => `'${duty}@' || lower(code)`).join(', ')}])) <> 4`)
  ).toEqual([])
})

test('everybody signs in with the one password', async () => {
  for (const username of [
    'keeper@hq',
    'finance-supervisor@sz01',
    'outlet-clerk@hz11',
    'technician@sz11-v1',
    'purchaser@hq',
    'admin'
  ]) {
    expect((await h.api.post('/v1/auth/tokens').send({ username, password: PASSWORD })).status).toBe(200)
  }
})

test('there is stock of every sort, old lots among it, and every sort of open paper', async () => {
  const { items } = await listWarehouseStock(h.contextOf(await actorOf(h.runtime, 'keeper@hq')), {
    warehouse: 'HQ',
    limit: 200
  })
  expect(items.length).toBeGreaterThan(150)
  expect(
    await h.sql('select ownership, condition from balance where on_hand > 0 group by 1, 2 order by 1, 2')
  ).toHaveLength(4)
  expect(
    await h.sql(`select count(*) > 20 as several from lot where not exhausted and received_on < '2026-08-01'`)
  ).toEqual([{ several: true }])
  expect(await h.sql('select distinct state from slip order by 1')).toEqual(
    ['awaiting-signatures', 'draft', 'posted', 'refused'].map((state) => ({ state }))
  )
  expect(await h.sql('select late_duty from slip where late_duty is not null')).toEqual([
    { late_duty: 'finance-supervisor' }
  ])
  expect(await h.sql('select count(*)::int as reports from quality_report')).toEqual([{ reports: 3 }])
})

test('a later start with another SAMPLE_PASSWORD makes that one right, and keeps the password somebody chose', async () => {
  await h.sql(`update person set password_hash = null where username = 'technician@nb11'`)

  expect(await openSample(h.runtime, { password: async () => 'five other words for all', log })).toEqual({
    password: 'five other words for all'
  })

  const signIn = async (username: string, password: string) =>
    (await h.api.post('/v1/auth/tokens').send({ username, password })).status
  expect([
    await signIn('keeper@sh01', 'five other words for all'),
    await signIn('keeper@sh01', PASSWORD),
    await signIn('technician@nb11', 'five other words for all')
  ]).toEqual([200, 401, 401])
})

test('a loaner is out, tools are in custody and wait to be confirmed, and a keeper is about to hand over', async () => {
  expect(await h.sql(`select state, count(*)::int from loan group by 1`)).toEqual([{ state: 'out', count: 1 }])
  expect(
    await h.sql(`select t.serial, p.username, t.fixed_asset from tool t join person p on p.id = t.holder_id order by 1`)
  ).toEqual(
    ['GJ-SZ01-0001', 'GJ-SZ01-0002', 'GJ-SZ01-0003', 'GJ-SZ01-0004'].map((serial) => ({
      serial,
      username: 'technician@sz01',
      fixed_asset: serial === 'GJ-SZ01-0004'
    }))
  )
  expect(await h.sql('select state from custody_round')).toEqual([{ state: 'open' }])
  expect(await h.sql('select w.code, h.state from handover h join warehouse w on w.id = h.warehouse_id')).toEqual([
    { code: 'GZ01', state: 'awaiting-signatures' }
  ])
})
