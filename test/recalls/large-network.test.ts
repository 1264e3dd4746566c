import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openRecalling, type Recalling } from './recalling.ts'

// A network of the reference size (R-ORG-1), filled past the verbs: three lots of two parts in each warehouse, some promised.

const WAREHOUSES = 4000

let h: Harness
let network: Recalling
let parts: string[]
beforeAll(async () => {
  h = await openHarness()
  network = await openRecalling(h)
  const made = [await h.make.part(), await h.make.part()]
  parts = made.map(({ number }) => number)
  // The slips that brought the goods in: the self-check of the ledger asks for them.
  await h.sql(`select ensure_movement_partition('2026-10-01')`)
  await h.sql(
    `with placed as (
       insert into warehouse (code, name, kind, region_id, parent_id, named_at)
       select 'N' || lpad(n::text, 5, '0'), 'N' || n, 'outlet', r.id, $2, '2000-01-01' from generate_series(1, $1) n, region r where r.code = 'HOME'
       returning id
     ), bought as (select id, number from part where number = any ($3)),
     shelves as (
       insert into balance (warehouse_id, part_id, ownership, condition, part_number, on_hand, reserved)
       select placed.id, bought.id, 'own', 'qualified', bought.number, 6, 2 from placed, bought
       returning warehouse_id, part_id, part_number
     ), promised as (
       insert into reservation (warehouse_id, part_id, ownership, condition, quantity, reserved_for, reserved_by, reserved_at)
       select warehouse_id, part_id, 'own', 'qualified', 2, 'someone', 0, now() from shelves
     ), written as (
       insert into slip (warehouse_id, number, kind, state, occurred_on, duties, preparers, prepared_at, posted_by, posted_at)
       select placed.id, 'N' || placed.id || '-OPN-202610-00001', 'opening', 'posted', '2026-10-05', '{a,b,c}', '{0}', now(), 0, now() from placed
       returning warehouse_id, id
     ), lines as (
       insert into slip_line (warehouse_id, slip_id, line_no, part_id, quantity, unit, unit_quantity, unit_cost, ownership, condition)
       select written.warehouse_id, written.id, row_number() over (partition by written.id order by shelves.part_id, n), shelves.part_id, n, 'piece', n, 1, 'own', 'qualified'
         from written join shelves using (warehouse_id), generate_series(1, 3) n
       returning warehouse_id, slip_id, line_no, part_id, quantity
     ), opened as (
       insert into lot (warehouse_id, part_id, ownership, condition, received_on, opened_on, aged_from, unit_cost, quantity_in, cost_in, charge_in, on_hand, last_moved_on)
       select warehouse_id, part_id, 'own', 'qualified', make_date(2026, 7 + quantity::int, 5), '2026-10-05', make_date(2026, 7 + quantity::int, 1), 1, quantity, quantity, 0, quantity, '2026-10-05' from lines
       returning warehouse_id, id, part_id, quantity_in
     )
     insert into movement (warehouse_id, slip_id, line_no, lot_id, part_id, ownership, condition, quantity, occurred_on, posted_at, cost, charge, on_hand_after)
     select o.warehouse_id, l.slip_id, l.line_no, o.id, o.part_id, 'own', 'qualified', o.quantity_in, '2026-10-05', now(), o.quantity_in, 0,
            sum(o.quantity_in) over (partition by o.warehouse_id, o.part_id order by l.line_no)
       from opened o join lines l on l.warehouse_id = o.warehouse_id and l.part_id = o.part_id and l.quantity = o.quantity_in`,
    [WAREHOUSES, network.office.warehouseId, parts]
  )
  await h.sql('analyze')
}, 120_000)
afterAll(() => h.close())

test('one call blocks in 4,000 warehouses, lists them, and one lifting frees them (R-REQ-7)', async () => {
  const begun = performance.now()
  const recall = await network.recall({ scopes: [{ part: parts[0], receivedFrom: '2026-09-01' }] })
  const blockedMs = performance.now() - begun

  expect(recall).toMatchObject({
    state: 'running',
    reach: { warehouses: WAREHOUSES, lots: 2 * WAREHOUSES, onHand: String(5 * WAREHOUSES) },
    progress: { blocked: String(5 * WAREHOUSES), warehouses: WAREHOUSES, answered: 0 }
  })
  // One of six is not meant, so a promise of two does not fit any more.
  const [shelves] = await h.sql(
    `select count(*)::int as count, sum(blocked)::int as blocked, sum(reserved)::int as reserved from balance where part_number = $1`,
    [parts[0]]
  )
  expect(shelves).toEqual({ count: WAREHOUSES, blocked: 5 * WAREHOUSES, reserved: 0 })
  const [broken] = await h.sql(`select count(*)::int as count from outbox where event = 'reservation.broken'`)
  expect(broken).toEqual({ count: WAREHOUSES })
  const [untouched] = await h.sql(
    `select sum(blocked)::int as blocked, sum(reserved)::int as reserved from balance where part_number = $1`,
    [parts[1]]
  )
  expect(untouched).toEqual({ blocked: 0, reserved: 2 * WAREHOUSES })

  const path = `/v1/recalls/${recall.number}`
  const listed = performance.now()
  const file = await network.controller.get(`${path}/goods`, { accept: 'text/csv' })
  expect(file.text.trim().split('\n')).toHaveLength(2 * WAREHOUSES + 1)
  expect((await network.goods(recall.number, 'limit=200')).length).toBe(200)
  expect(must(await network.controller.get(`${path}/warehouses`), 200)).toMatchObject({ total: WAREHOUSES, share: 0 })
  const listedMs = performance.now() - listed

  const lifting = performance.now()
  must(await network.controller.post(`${path}/lifting`, { reason: 'good' }), 200)
  expect(await network.signEnd(recall.number)).toMatchObject({ state: 'lifted', progress: { blocked: '0' } })
  const liftedMs = performance.now() - lifting
  expect(await h.sql('select 1 from balance where blocked > 0')).toEqual([])
  expect(must(await network.controller.get('/v1/ledger/verification'), 200)).toMatchObject({ ok: true, findings: [] })
  if (process.env['TEST_LOG'] !== undefined) console.info({ blockedMs, listedMs, liftedMs })
}, 120_000)
