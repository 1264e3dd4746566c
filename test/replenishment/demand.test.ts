import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemActor } from '../../src/identity/directory.ts'
import { refreshDemand } from '../../src/replenishment/demand.ts'
import { callerFor, openCounter, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let counter: Counter
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())
beforeEach(async () => {
  h.clock.set('2026-11-20T10:00')
  counter = await openCounter(h)
})

const refresh = (options: Parameters<typeof refreshDemand>[1] = {}) => refreshDemand(h.contextOf(systemActor), options)
const demandOf = async (part: { id: number }, at = counter) =>
  Object.fromEntries(
    (
      await h.sql<{ month: string; quantity: string }>(
        `select to_char(month, 'YYYY-MM') as month, trim_scale(quantity)::text as quantity from demand where warehouse_id = $1 and part_id = $2 order by 1`,
        [at.warehouseId, part.id]
      )
    ).map(({ month, quantity }) => [month, quantity])
  )
const issued = (part: { number: string }, quantity: string, more: object = {}) =>
  counter.posted({ kind: 'issue', lines: [{ part: part.number, quantity }], ...more })
const series = async (part: { number: string }, at = counter) =>
  (await at.keeper.get(`/v1/reorder/demand?warehouse=${at.warehouse}&part=${part.number}`)).body

test('demand of a month is what was issued and sold in it, own and consigned (R-ORD-1)', async () => {
  const part = await counter.stocked({ quantity: '50' })
  await counter.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '5', ownership: 'consigned' }] })
  await issued(part, '3')
  await counter.posted({
    kind: 'issue',
    lines: [
      { part: part.number, quantity: '2' },
      { part: part.number, quantity: '1', ownership: 'consigned' }
    ]
  })
  h.clock.set('2026-12-03T10:00')
  await counter.posted({ kind: 'sale', lines: [{ part: part.number, quantity: '4' }] })

  await refresh()

  expect(await demandOf(part)).toEqual({ '2026-11': '6', '2026-12': '4' })
})

test('transfers, loans, scrap, returns to the supplier and opening stock are no demand (R-ORD-1)', async () => {
  const part = await counter.stocked({ quantity: '50' })
  const supplier = await h.make.supplier({ parts: [part.number] })
  for (const body of [
    { kind: 'transfer-out', counterparty: counter.warehouse },
    { kind: 'loan-out' },
    { kind: 'scrap', reason: 'broken' },
    { kind: 'supplier-return', supplier: supplier.code },
    { kind: 'opening', unitCost: '1' }
  ]) {
    const { unitCost, ...slip } = body as { kind: string; unitCost?: string }
    await counter.posted({ ...slip, lines: [{ part: part.number, quantity: '2', ...(unitCost && { unitCost }) }] })
  }

  await refresh()

  expect(await demandOf(part)).toEqual({})
  expect(await series(part)).toMatchObject({ recordedFrom: '2026-11', months: [{ month: '2026-11', quantity: '0' }] })
})

test('what comes back lessens the month in which it was issued, also if the return is written months later (R-IN-3)', async () => {
  const part = await counter.stocked({ quantity: '50' })
  const slip = await issued(part, '8')
  h.clock.set('2027-01-05T10:00')
  await issued(part, '2')
  await refresh()
  expect(await demandOf(part)).toEqual({ '2026-11': '8', '2027-01': '2' })

  const back = await counter.posted({
    kind: 'return',
    reference: slip.number,
    reason: 'not needed',
    lines: [{ part: part.number, quantity: '3', condition: 'nonconforming' }]
  })
  await refresh()
  expect(await demandOf(part)).toEqual({ '2026-11': '5', '2027-01': '2' })

  // Then it turns out that nothing came back.
  await counter.posted({ kind: 'reversal', reference: back.number, reason: 'wrong slip' })
  await refresh()
  expect(await demandOf(part)).toEqual({ '2026-11': '8', '2027-01': '2' })
})

test('a reversed issue was no demand, and a month of which nothing is left has no row (R-STK-2)', async () => {
  const part = await counter.stocked({ quantity: '50' })
  const slip = await issued(part, '8')
  await refresh()
  expect(await demandOf(part)).toEqual({ '2026-11': '8' })
  h.clock.set('2026-12-05T10:00')
  await counter.posted({ kind: 'reversal', reference: slip.number, reason: 'never handed out' })

  expect(await refresh()).toMatchObject({ removed: 1 })

  expect(await demandOf(part)).toEqual({})
})

test('a slip written late counts in the month on its paper', async () => {
  const part = await counter.stocked({ quantity: '50' })
  await issued(part, '1')
  h.clock.set('2026-12-05T10:00')
  await refresh()
  await issued(part, '4', { occurredOn: '2026-11-25' })

  expect(await refresh()).toMatchObject({ full: false })

  expect(await demandOf(part)).toEqual({ '2026-11': '5' })
})

test('before the first movement nothing is known, after it a month without issues is a zero', async () => {
  h.clock.set('2026-09-10T10:00')
  const part = await counter.stocked({ quantity: '50' })
  h.clock.set('2026-11-20T10:00')
  await issued(part, '1')
  await refresh({ since: '2026-09-01T00:00:00Z' })
  h.clock.set('2026-12-05T10:00')

  expect(await series(part)).toEqual({
    warehouse: counter.warehouse,
    part: part.number,
    unit: 'piece',
    recordedFrom: '2026-09',
    replacedBy: null,
    replaces: [],
    months: [
      { month: '2026-09', quantity: '0', own: '0', isComplete: true },
      { month: '2026-10', quantity: '0', own: '0', isComplete: true },
      { month: '2026-11', quantity: '1', own: '1', isComplete: true },
      { month: '2026-12', quantity: '0', own: '0', isComplete: false }
    ]
  })
  expect(await series(await h.make.part())).toMatchObject({ recordedFrom: null, months: [] })
})

test('demand of a part that is replaced one way counts at the end of its chain, times the factors (R-CAT-4)', async () => {
  const [a, b, c] = [await counter.stocked({ quantity: '50' }), await counter.stocked(), await h.make.part()]
  await issued(a, '3')
  await issued(b, '1')
  await refresh()
  const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const replace = (old: { number: string }, successor: { number: string }, more: object) =>
    controller.post(`/v1/parts/${old.number}/supersessions`, { successor: successor.number, ...more })
  expect((await replace(a, b, { factor: '2' })).status).toBe(201)
  expect((await replace(b, c, { factor: '1.5' })).status).toBe(201)
  h.clock.set('2026-12-05T10:00')

  expect(await series(c)).toMatchObject({
    recordedFrom: '2026-11',
    replaces: [
      { part: a.number, factor: '3' },
      { part: b.number, factor: '1.5' }
    ].toSorted((x, y) => (x.part < y.part ? -1 : 1)),
    months: [
      { month: '2026-11', quantity: '10.5', own: '0' },
      { month: '2026-12', quantity: '0' }
    ]
  })
  expect(await series(a)).toMatchObject({
    replacedBy: { part: c.number, factor: '3' },
    months: [{ month: '2026-11', quantity: '3' }, {}]
  })
})

test('parts that replace each other both ways keep their own demand (R-CAT-4)', async () => {
  const [a, b] = [await counter.stocked(), await counter.stocked()]
  await issued(a, '3')
  await refresh()
  const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  await controller.post(`/v1/parts/${a.number}/supersessions`, { successor: b.number, bothWays: true })

  expect(await series(a)).toMatchObject({ replacedBy: null, replaces: [], months: [{ quantity: '3' }] })
  expect(await series(b)).toMatchObject({ replacedBy: null, replaces: [], months: [{ quantity: '0' }] })
})

test('a second run changes nothing, incremental or full', async () => {
  const part = await counter.stocked({ quantity: '50' })
  await issued(part, '3')
  await refresh()
  const rows = () => h.sql('select d.*, d.xmin::text from demand d order by warehouse_id, part_id, month')
  const before = await rows()

  expect(await refresh()).toEqual({ full: false, written: 0, removed: 0 })
  expect(await refresh({ full: true })).toEqual({ full: true, written: 0, removed: 0 })

  expect(await rows()).toEqual(before)
})

test('the first run of a month reads everything and finds what was missed', async () => {
  const part = await counter.stocked({ quantity: '50' })
  await issued(part, '3')
  await refresh()
  await h.sql('update demand set quantity = 1 where warehouse_id = $1', [counter.warehouseId])
  h.clock.set('2026-11-25T10:00')
  await issued(part, '1', { lines: [{ part: (await counter.stocked()).number, quantity: '1' }] })
  await refresh()
  h.clock.set('2027-02-01T01:30')

  expect(await refresh()).toMatchObject({ full: true, written: 1 })

  expect(await demandOf(part)).toEqual({ '2026-11': '3' })
})

test('random weeks of slips come to the same demand incrementally as from the whole ledger', async () => {
  const parts = [await counter.stocked({ quantity: '90' }), await counter.stocked({ quantity: '90' })]
  await refresh()
  const out: any[] = []
  let seed = 7
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below
  for (let step = 0; step < 24; step++) {
    h.clock.advance({ days: 5 })
    const part = parts[random(2)]
    const source = out[random(out.length || 1)]
    if (random(3) > 0 || source === undefined) out.push(await issued(part, String(1 + random(3))))
    else if (random(2) === 0) {
      await counter.posted({ kind: 'reversal', reference: source.number, reason: 'wrong' })
      out.splice(out.indexOf(source), 1)
    } else {
      const [line] = source.lines
      await counter.posted({
        kind: 'return',
        reference: source.number,
        reason: 'back',
        lines: [{ part: line.part, quantity: '1' }]
      })
      out.splice(out.indexOf(source), 1)
    }
    if (random(2) === 0)
      await refreshDemand(h.contextOf(systemActor), {
        since: h.clock
          .now()
          .subtract({ hours: 24 * 12 })
          .toString()
      })
  }
  await refreshDemand(h.contextOf(systemActor), { since: '2026-11-01T00:00:00Z' })

  expect(await refresh({ full: true })).toMatchObject({ written: 0, removed: 0 })
})

test('whoever has no duty in the warehouse reads no demand of it', async () => {
  const part = await counter.stocked()
  const { keeper } = await openCounter(h)

  expect(await keeper.get(`/v1/reorder/demand?warehouse=${counter.warehouse}&part=${part.number}`)).toMatchObject({
    status: 404,
    body: { code: 'NotFound' }
  })
  expect(await counter.keeper.get(`/v1/reorder/demand?warehouse=${counter.warehouse}&part=NONE`)).toMatchObject({
    status: 404
  })
})
