import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemActor } from '../../src/identity/directory.ts'
import { computeLevels } from '../../src/replenishment/compute-levels.ts'
import { levelOf } from '../../src/replenishment/reorder-level.ts'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let counter: Counter
let everywhere: Caller
/** Asked for every month, below its reorder point; and two that nobody asked for. */
let wanted: { id: number; number: string }
const SERIES = [2, 3, 0, 2, 4, 2, 3, 0, 2, 3, 2, 1, 2, 3]

beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2025-09-10T10:00')
  counter = await openCounter(h)
  everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
  wanted = await counter.stocked({ quantity: '30' })
  await counter.stocked()
  await counter.stocked()
  for (const [place, quantity] of SERIES.entries()) {
    if (place > 0) h.clock.advance({ months: 1 })
    if (quantity > 0)
      await counter.posted({ kind: 'issue', lines: [{ part: wanted.number, quantity: String(quantity) }] })
  }
  h.clock.set('2026-11-20T10:00')
  await h.sql(
    `insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, opened_at, opened_by)
     values ($1, $2, 'purchase', 'HQ-PLN-202611-00001', 1, 1, now(), 0)`,
    [counter.warehouseId, wanted.id]
  )
  await computeLevels(h.contextOf(systemActor), { full: true })
})
afterAll(() => h.close())

const target = { measure: 'cycle-service', level: '0.95' } as const
const levels = (query: string, by = counter.keeper) => by.get(`/v1/reorder/levels?${query}`)

test('a level says everything that it comes from, and where the position stands (R-ORD-1, R-ORD-2)', async () => {
  const level = levelOf(SERIES, { leadTimeDays: 30, packSize: null, target: { ...target, level: 0.95 } })

  const { body } = await levels(`warehouse=${counter.warehouse}&part=${wanted.number}`)

  expect(body).toEqual({
    items: [
      {
        warehouse: counter.warehouse,
        part: wanted.number,
        name: `part ${wanted.number}`,
        nameZh: null,
        unit: 'piece',
        available: '1',
        onOrder: '1',
        reorderPoint: level.reorderPoint,
        orderUpTo: level.orderUpTo,
        basis: 'computed',
        isShort: true,
        nothingBecause: null,
        computed: { reorderPoint: level.reorderPoint, orderUpTo: level.orderUpTo },
        policy: null,
        demandClass: level.demandClass,
        adi: level.adi,
        cv2: level.cv2,
        method: level.method,
        monthlyMean: level.monthlyMean,
        monthlyVariance: level.monthlyVariance,
        leadTimeMean: level.leadTimeMean,
        leadTimeVariance: level.leadTimeVariance,
        distribution: level.distribution,
        achieved: level.achieved,
        target: { ...target, from: 'default' },
        leadTime: { days: 30, from: 'default' },
        packSize: null,
        seriesFrom: '2025-09',
        seriesUntil: '2026-10',
        computedAt: '2026-11-20T02:00:00Z'
      }
    ],
    nextCursor: null
  })
  expect(Number(level.reorderPoint)).toBeGreaterThanOrEqual(2)
})

test('a fixed policy is shown beside what the calculation says', async () => {
  const purchaser = callerFor(h, await h.make.person({ grants: [{ duty: 'purchaser', warehouse: counter.warehouse }] }))
  const policy = `/v1/reorder/policies/${counter.warehouse}/parts/${wanted.number}`
  await purchaser.put(policy, {
    kind: 'fixed',
    minimum: '0',
    maximum: '1',
    reason: 'sold out',
    expiresOn: '2026-12-31'
  })

  const [level] = (await levels(`part=${wanted.number}`)).body.items

  expect(level).toMatchObject({
    reorderPoint: '0',
    orderUpTo: '1',
    basis: 'fixed',
    isShort: false,
    policy: { kind: 'fixed', reason: 'sold out', expiresOn: '2026-12-31', setBy: purchaser.person.username }
  })
  expect(Number(level.computed.reorderPoint)).toBeGreaterThan(0)
  await purchaser.post(`${policy}/withdrawal`, { reason: 'again' })
})

test('levels come in pages, as a file, and only those that are short if asked (R-ORD-2)', async () => {
  const first = await levels(`warehouse=${counter.warehouse}&limit=2`)
  const second = await levels(`warehouse=${counter.warehouse}&limit=2&cursor=${first.body.nextCursor}`)
  const parts = [...first.body.items, ...second.body.items].map(({ part }) => part)
  expect(new Set(parts).size).toBe(3)
  expect(second.body.nextCursor).toBeNull()

  expect((await levels('short=true')).body.items.map(({ part }: { part: string }) => part)).toEqual([wanted.number])
  expect((await levels('short=false')).body.items).toHaveLength(2)

  const { text, headers } = await counter.keeper.get('/v1/reorder/levels?short=true', { accept: 'text/csv' })
  expect(headers['content-type']).toContain('text/csv')
  const lines = text.trim().split('\n')
  expect(lines).toHaveLength(2)
  expect(lines[0]).toContain('reorder point 订货点')
  expect(lines[1]).toMatch(new RegExp(`^${counter.warehouse},${wanted.number},`))
})

test('one sees the levels of one’s own warehouses, by region too', async () => {
  const { keeper } = await openCounter(h)
  expect((await levels('', keeper)).body.items).toEqual([])
  expect(await levels(`warehouse=${counter.warehouse}`, keeper)).toMatchObject({ status: 404 })
  expect((await levels(`region=R-${counter.warehouse}`, everywhere)).body.items).toHaveLength(3)
  expect(await levels('region=NOWHERE', everywhere)).toMatchObject({ status: 404 })
  expect(await levels('part=NOTHING', everywhere)).toMatchObject({ status: 404 })
})

test('the accuracy of a warehouse compares each method on the last twelve months, by class', async () => {
  const { status, body } = await counter.keeper.get(`/v1/reorder/forecast-accuracy?warehouse=${counter.warehouse}`)

  expect(status).toBe(200)
  expect(body).toMatchObject({ warehouse: counter.warehouse, months: 12, leftOut: 2 })
  expect(body.rows.map(({ method }: { method: string }) => method)).toEqual(['ses', 'croston', 'sba', 'tsb', 'chosen'])
  expect(body.rows).toEqual(
    body.rows.map(() =>
      expect.objectContaining({ series: 1, meanAbsoluteError: expect.any(Number), bias: expect.any(Number) })
    )
  )
  const by = Object.fromEntries(body.rows.map((row: { method: string }) => [row.method, row]))
  // Of two months before the twelve: too few to compare methods, so the one of their class is taken.
  expect({ ...by.chosen, method: 'croston', demandClass: 'smooth' }).toEqual(by.croston)
})

test('any series is forecast and given a level by the functions that every level comes from (R-ORD-1)', async () => {
  const options = { leadTimeDays: 45, target: { measure: 'fill-rate', level: '0.97' }, packSize: '5' } as const

  const { status, body } = await counter.keeper.post('/v1/reorder/forecasts', {
    demand: SERIES.map(String),
    ...options
  })

  expect(status).toBe(200)
  expect(body).toMatchObject({
    ...levelOf(SERIES, { ...options, target: { measure: 'fill-rate', level: 0.97 } }),
    basis: 'computed',
    forecasts: {
      ses: expect.any(Number),
      croston: expect.any(Number),
      sba: expect.any(Number),
      tsb: expect.any(Number)
    }
  })
  expect(
    (await counter.keeper.post('/v1/reorder/forecasts', { demand: ['1', '2'], method: 'ses', ...options })).body.method
  ).toBe('ses')
})

test('a series with gaps is refused, because missing is not zero, and so are lead time 0 and service level 1', async () => {
  const body = { demand: ['1', null, '0'], leadTimeDays: 30, target }
  const post = (more: object) => counter.keeper.post('/v1/reorder/forecasts', { ...body, ...more })
  expect(await post({})).toMatchObject({
    status: 422,
    body: { code: 'DemandHasGaps', errors: [{ pointer: '/demand/1', sent: null }] }
  })
  expect(await post({ demand: ['1'], leadTimeDays: 0 })).toMatchObject({
    status: 422,
    body: { code: 'LeadTimeOutOfRange' }
  })
  expect(await post({ demand: ['1'], target: { ...target, level: '1.0' } })).toMatchObject({
    status: 422,
    body: { code: 'ServiceLevelOutOfRange' }
  })
  expect(await post({ demand: ['-1'] })).toMatchObject({ status: 400 })
  expect(await post({ demand: [] })).toMatchObject({ status: 400 })
})
