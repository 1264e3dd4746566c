import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import { cells, download, sheetsOf } from '../support/downloads.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { closeMonth } from '../support/month-end.ts'

// Lots of every age in two warehouses of one region; a third one is elsewhere.

let h: Harness
let closer: MadePerson
let finance: Caller
let one: Counter
let two: Counter
let far: Counter
let part: string

const opening = (
  counter: Counter,
  lines: { receivedOn: string; quantity: string; unitCost?: string; ownership?: string }[]
) => counter.posted({ kind: 'opening', lines: lines.map((line) => ({ part, ...line })) })
const read = async (query = '', caller = finance) => {
  const { status, body } = await caller.get(`/v1/aging${query}`)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2026-11-03T10:00')
  closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
  finance = callerFor(h, closer)
  part = (await h.make.part({ number: 'PAD-1' })).number
  one = await openCounter(h, { warehouse: 'AG01', region: 'EAST' })
  two = await openCounter(h, { warehouse: 'AG02', region: 'EAST' })
  far = await openCounter(h, { warehouse: 'AG03' })
  await opening(one, [
    { receivedOn: '2026-11-03', quantity: '1', unitCost: '10' },
    { receivedOn: '2026-09-30', quantity: '2', unitCost: '10' },
    { receivedOn: '2026-08-01', quantity: '3', unitCost: '10' },
    { receivedOn: '2026-01-15', quantity: '4', unitCost: '10' }
  ])
  await opening(one, [{ receivedOn: '2026-09-01', quantity: '7', ownership: 'consigned' }])
  await opening(two, [
    { receivedOn: '2025-10-01', quantity: '5', unitCost: '10' },
    { receivedOn: '2024-06-01', quantity: '6', unitCost: '10' }
  ])
  await opening(far, [{ receivedOn: '2026-09-15', quantity: '8', unitCost: '10' }])
}, 120_000)
afterAll(() => h.close())

test('age is 1 in the month of receipt, and every lot lies in one class of age (R-AGE-1)', async () => {
  const body = await read('?warehouse=AG01')
  expect(body).toMatchObject({ period: '2026-11', state: 'preview', warehouse: 'AG01', fileSha256: null })
  expect(
    body.items.map(({ receivedOn, ageMonths, bucket, bucketZh, quantity }: any) => [
      receivedOn,
      ageMonths,
      bucket,
      bucketZh,
      quantity
    ])
  ).toEqual([
    ['2026-11-03', 1, '0-3 months', '0–3个月', '1'],
    ['2026-09-30', 3, '0-3 months', '0–3个月', '2'],
    ['2026-08-01', 4, '4-6 months', '4–6个月', '3'],
    ['2026-01-15', 11, '7-12 months', '7–12个月', '4']
  ])
  // Eight charges of 8 % up to November on 40.00, one on 30.00.
  expect(body.totals).toEqual({
    lots: 4,
    quantity: '10',
    cost: '100.00',
    accumulatedDepreciation: '28.00',
    netBookValue: '72.00'
  })
})

test('what enters its fourth month next month is what is in its third now (R-AGE-6)', async () => {
  const body = await read('?entering=true')
  expect(body.items.map(({ warehouse, receivedOn }: any) => [warehouse, receivedOn])).toEqual([
    ['AG01', '2026-09-30'],
    ['AG03', '2026-09-15']
  ])
  expect(body.totals).toMatchObject({ lots: 2, quantity: '10' })
  // And nothing of it is in an older class.
  expect((await read('?entering=true&bucket=4-6 months')).items).toEqual([])
})

test('by class of age, named in either language or by its first month; by region; by part', async () => {
  const lots = async (query: string) =>
    (await read(query)).items.map(({ warehouse, ageMonths }: any) => `${warehouse} ${ageMonths}`)
  expect(await lots('?bucket=13-15 months')).toEqual(['AG02 14'])
  expect(await lots(`?bucket=${encodeURIComponent('13–15个月')}`)).toEqual(['AG02 14'])
  expect(await lots('?bucket=16')).toEqual(['AG02 30'])
  expect(await lots('?region=EAST&bucket=0')).toEqual(['AG01 1', 'AG01 3'])
  await h.make.part({ number: 'NOTHING' })
  expect(await lots('?part=NOTHING')).toEqual([])
})

test('consigned goods are listed on request, without value (R-STK-6)', async () => {
  const body = await read('?ownership=consigned')
  expect(body.items).toEqual([
    expect.objectContaining({
      warehouse: 'AG01',
      ownership: 'consigned',
      quantity: '7',
      ageMonths: 3,
      cost: '0.00',
      netBookValue: '0.00'
    })
  ])
  expect(body.totals).toMatchObject({ lots: 1, quantity: '7', cost: '0.00' })
})

test('a page goes on where the one before ended', async () => {
  const seen: string[] = []
  let cursor: string | null = null
  do {
    const body: any = await read(`?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`)
    seen.push(...body.items.map(({ warehouse, receivedOn }: any) => `${warehouse} ${receivedOn}`))
    cursor = body.nextCursor
  } while (cursor !== null)
  const csv = await download(h, finance, '/v1/aging', 'csv')
  expect(seen).toEqual(cells(csv.text).map((row) => `${row[1]} ${row[9]}`))
  expect(seen).toHaveLength(7)
})

describe('summed up', () => {
  const summary = async (query: string) => {
    const { status, body } = await finance.get(`/v1/aging/summary${query}`)
    expect(status, JSON.stringify(body)).toBe(200)
    return body
  }
  const lots = ({ items }: any) =>
    items.map(({ warehouse, region, buckets }: any) => [
      warehouse ?? region,
      ...buckets.map((bucket: any) => `${bucket.lots} × ${bucket.quantity}`)
    ])

  test('for all, for each region, for each warehouse, in every class', async () => {
    expect(lots(await summary(''))).toEqual([[null, '3 × 11', '1 × 3', '1 × 4', '1 × 5', '1 × 6']])
    expect(lots(await summary('?by=region'))).toEqual([
      ['EAST', '2 × 3', '1 × 3', '1 × 4', '1 × 5', '1 × 6'],
      ['R-AG03', '1 × 8', '0 × 0', '0 × 0', '0 × 0', '0 × 0']
    ])
    const first = await summary('?by=warehouse&limit=2')
    expect(lots(first)).toEqual([
      ['AG01', '2 × 3', '1 × 3', '1 × 4', '0 × 0', '0 × 0'],
      ['AG02', '0 × 0', '0 × 0', '0 × 0', '1 × 5', '1 × 6']
    ])
    expect(lots(await summary(`?by=warehouse&limit=2&cursor=${first.nextCursor}`))).toEqual([
      ['AG03', '1 × 8', '0 × 0', '0 × 0', '0 × 0', '0 × 0']
    ])
  })

  test('comes to what the list comes to', async () => {
    const cents = (rows: any[], member: string) =>
      rows.reduce((sum, row) => sum + Number(row[member].replace('.', '')), 0)
    const { totals } = await read()
    const [{ buckets }] = (await summary('')).items
    for (const member of ['cost', 'accumulatedDepreciation', 'netBookValue'])
      expect(cents(buckets, member)).toBe(Number(totals[member].replace('.', '')))
    expect(lots(await summary('?ownership=consigned'))[0][1]).toBe('1 × 7')
  })

  test('is a file with a row for each class', async () => {
    const csv = await download(h, finance, '/v1/aging/summary?by=region', 'csv')
    expect(cells(csv.text).map(([, region, , bucket]) => [region, bucket])).toHaveLength(10)
    const [sheet] = await sheetsOf(await download(h, finance, '/v1/aging/summary?by=region', 'xlsx'))
    expect(sheet?.rows[0]?.[0]).toBe('库龄汇总 Aging summary')
  })

  test('shows only what the caller sees', async () => {
    const east = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller', region: 'EAST' }] }))
    const { body } = await east.get('/v1/aging/summary?by=warehouse')
    expect(body.items.map(({ warehouse }: any) => warehouse)).toEqual(['AG01', 'AG02'])
    expect((await read('', east)).items.some(({ warehouse }: any) => warehouse === 'AG03')).toBe(false)
  })
})

test('a closed month keeps its lots and names, own and consigned, and its statement the classes it was made with', async () => {
  h.clock.set('2026-12-04T10:00')
  await closeMonth(h, closer.actor, { id: one.warehouseId, code: 'AG01' }, '2026-11')
  const own = await read('?period=2026-11&warehouse=AG01')
  const consigned = await read('?period=2026-11&warehouse=AG01&ownership=consigned')
  expect([own.state, own.items.length, consigned.items.length]).toEqual(['closed', 4, 1])
  const statement = await finance.get('/v1/warehouses/AG01/periods/2026-11/statement')
  await h.sql(`update part set name = 'Renamed', name_zh = '改名'`)
  await one.posted({ kind: 'scrap', lines: [{ part, quantity: '5' }] })
  await one.posted({ kind: 'supplier-return', lines: [{ part, quantity: '2', ownership: 'consigned' }] })
  expect(await read('?period=2026-11&warehouse=AG01')).toEqual(own)
  expect(await read('?period=2026-11&warehouse=AG01&ownership=consigned')).toEqual(consigned)

  const buckets = [
    { fromMonths: 0, toMonths: 12, name: 'young', nameZh: '短' },
    { fromMonths: 13, toMonths: null, name: 'old', nameZh: '长' }
  ]
  const closed = '?period=2026-11&warehouse=AG01'
  const files = async () => {
    const hashes: string[] = []
    for (const list of ['/v1/aging', '/v1/aging/summary']) {
      for (const as of ['json', 'csv', 'xlsx'] as const) {
        const { status, sha256 } = await download(h, finance, list + closed, as)
        expect(status).toBe(200)
        hashes.push(sha256)
      }
    }
    return hashes
  }
  const before = await files()
  expect((await finance.put('/v1/aging-buckets', { buckets })).status).toBe(200)
  expect(await files()).toEqual(before)
  expect(await read(closed)).toEqual(own)
  expect(await read(`${closed}&ownership=consigned`)).toEqual(consigned)

  // Every warehouse by its own classes: AG01 is closed, the others are not.
  const all = await read('?period=2026-11')
  expect(all.items.map(({ warehouse, bucket }: any) => `${warehouse} ${bucket}`)).toEqual([
    'AG01 0-3 months',
    'AG01 0-3 months',
    'AG01 4-6 months',
    'AG01 7-12 months',
    'AG02 old',
    'AG02 old',
    'AG03 young'
  ])
  const { body: summary } = await finance.get('/v1/aging/summary?period=2026-11')
  expect(summary.items[0].buckets.map(({ bucket, lots }: any) => [bucket, lots])).toEqual([
    ['0-3 months', 2],
    ['young', 1],
    ['4-6 months', 1],
    ['7-12 months', 1],
    ['13-15 months', 0],
    ['old', 2],
    ['over 15 months', 0]
  ])
  const named = await read('?period=2026-11&bucket=0-3 months')
  expect(named.items.map(({ warehouse, ageMonths }: any) => `${warehouse} ${ageMonths}`)).toEqual(['AG01 1', 'AG01 3'])
  expect(named.totals).toMatchObject({ lots: 2, quantity: '3' })
  expect((await read('?period=2026-11&bucket=old')).totals).toMatchObject({ lots: 2, quantity: '11' })
  const unknown = await finance.get(`/v1/aging${closed}&bucket=old`)
  expect([unknown.status, unknown.body.code]).toEqual([422, 'BucketUnknown'])
  const again = await finance.get('/v1/warehouses/AG01/periods/2026-11/statement')
  expect(again.text).toBe(statement.text)
  expect(again.body.aging.map(({ bucket, lots }: any) => [bucket, lots])).toEqual([
    ['0-3 months', 2],
    ['4-6 months', 1],
    ['7-12 months', 1],
    ['13-15 months', 0],
    ['over 15 months', 0]
  ])
})
