import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import { cells, download, sheetsOf } from '../support/downloads.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { closeMonth } from '../support/month-end.ts'

let h: Harness
let closer: MadePerson
let finance: Caller
beforeAll(async () => {
  h = await openHarness()
  closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
  finance = callerFor(h, closer)
})
afterAll(() => h.close())

/** A warehouse with twenty of a part at 10.00, received in May. */
async function stocked(): Promise<{ counter: Counter; part: string }> {
  h.clock.set('2026-05-05T10:00')
  const counter = await openCounter(h)
  const { number: part } = await counter.stocked({ quantity: '20', unitCost: '10' })
  return { counter, part }
}
const read = async (query: string) => {
  const { status, body } = await finance.get(`/v1/material-cost?${query}`)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}
const figures = ({ purpose, reference, slips, lines, quantity, cost, accumulatedDepreciation, netBookValue }: any) => [
  purpose,
  reference,
  slips,
  lines,
  quantity,
  cost,
  accumulatedDepreciation,
  netBookValue
]
const journalled = async (warehouse: string, period: string): Promise<number> => {
  const { body } = await finance.get(`/v1/warehouses/${warehouse}/periods/${period}/journal`)
  return body.items
    .filter(({ role }: any) => role === 'material-cost')
    .reduce(
      (sum: number, { debit, credit }: any) => sum + Number(debit.replace('.', '')) - Number(credit.replace('.', '')),
      0
    )
}

test('what was issued to each repair order, technician and outlet, less what came back (R-FIN-2)', async () => {
  const { counter, part } = await stocked()
  const { number: other } = await counter.stocked({ quantity: '5', unitCost: '3' })
  h.clock.set('2026-09-10T10:00')
  const line = (quantity: string) => ({ part, quantity })
  const first = await counter.posted({
    kind: 'issue',
    reference: 'RO-1',
    lines: [line('4'), { part: other, quantity: '1' }]
  })
  const mistake = await counter.posted({ kind: 'issue', reference: 'RO-1', lines: [line('2')] })
  await counter.posted({ kind: 'issue', purpose: 'outlet', reference: 'GZ11', lines: [line('3')] })
  await counter.posted({ kind: 'issue', purpose: 'technician', reference: 'wang', lines: [line('1')] })
  await counter.posted({ kind: 'sale', reference: 'S-1', lines: [line('1')] })
  await counter.posted({
    kind: 'return',
    reference: first.number,
    reason: 'not needed',
    lines: [line('1')]
  })
  await counter.posted({ kind: 'reversal', reference: mistake.number, reason: 'wrong part' })

  const body = await read(`period=2026-09&warehouse=${counter.warehouse}`)
  // May to July are free; what leaves in September carries the one charge of August.
  expect(body.items.map(figures)).toEqual([
    ['outlet', 'GZ11', 1, 1, '3', '30.00', '2.40', '27.60'],
    ['repair-order', 'RO-1', 4, 5, '4', '33.00', '2.64', '30.36'],
    ['technician', 'wang', 1, 1, '1', '10.00', '0.80', '9.20']
  ])
  expect(figures({ purpose: 0, reference: 0, ...body.totals }).slice(2)).toEqual([6, 7, '8', '73.00', '5.84', '67.16'])
  expect(body).toMatchObject({ state: 'preview', warehouse: counter.warehouse })
  expect(await journalled(counter.warehouse, '2026-09')).toBe(6716)
})

test('what comes back in a later month counts there, under what it had been issued to, and a return may be reversed', async () => {
  const { counter, part } = await stocked()
  h.clock.set('2026-06-10T10:00')
  const issue = await counter.posted({ kind: 'issue', reference: 'RO-7', lines: [{ part, quantity: '5' }] })
  h.clock.set('2026-07-10T10:00')
  const back = await counter.posted({
    kind: 'return',
    reference: issue.number,
    reason: 'not needed',
    lines: [{ part, quantity: '2' }]
  })
  const query = (period: string) => `period=${period}&warehouse=${counter.warehouse}`
  expect((await read(query('2026-06'))).items.map(figures)).toEqual([
    ['repair-order', 'RO-7', 1, 1, '5', '50.00', '0.00', '50.00']
  ])
  expect((await read(query('2026-07'))).items.map(figures)).toEqual([
    ['repair-order', 'RO-7', 1, 1, '-2', '-20.00', '0.00', '-20.00']
  ])
  expect(await journalled(counter.warehouse, '2026-07')).toBe(-2000)
  h.clock.set('2026-08-10T10:00')
  await counter.posted({ kind: 'reversal', reference: back.number, reason: 'it did not come back' })
  const august = await read(query('2026-08'))
  expect(august.items.map(({ reference, quantity }: any) => [reference, quantity])).toEqual([['RO-7', '2']])
  expect(await journalled(counter.warehouse, '2026-08')).toBe(Number(august.totals.netBookValue.replace('.', '')))
})

test('consigned goods cost the department nothing and are not in it (R-STK-6)', async () => {
  h.clock.set('2026-06-10T10:00')
  const counter = await openCounter(h)
  const { number: part } = await counter.stocked({ ownership: 'consigned' })
  await counter.posted({ kind: 'issue', reference: 'RO-1', lines: [{ part, quantity: '1', ownership: 'consigned' }] })
  expect((await read(`period=2026-06&warehouse=${counter.warehouse}`)).items).toEqual([])
})

test('pages, files and several warehouses say the same, and a closed month says so', async () => {
  const opened = [await stocked(), await stocked()]
  h.clock.set('2026-06-10T10:00')
  for (const { counter, part } of opened) {
    for (const reference of ['RO-2', 'RO-1'])
      await counter.posted({ kind: 'issue', reference, lines: [{ part, quantity: '1' }] })
    // A note that names nothing.
    await counter.posted({ kind: 'issue', lines: [{ part, quantity: '1' }] })
  }
  h.clock.set('2026-07-05T10:00')
  const [closed] = opened as [{ counter: Counter; part: string }, { counter: Counter; part: string }]
  for (const period of ['2026-05', '2026-06'])
    await closeMonth(h, closer.actor, { id: closed.counter.warehouseId, code: closed.counter.warehouse }, period)

  const region = `R-${closed.counter.warehouse}`
  const whole = await read(`period=2026-06&region=${region}`)
  expect(whole).toMatchObject({ state: 'closed', region })
  expect(whole.items.map(({ reference, state }: any) => [reference, state])).toEqual([
    [null, 'closed'],
    ['RO-1', 'closed'],
    ['RO-2', 'closed']
  ])
  const seen: unknown[] = []
  let cursor: string | null = null
  do {
    const body: any = await read(`period=2026-06&region=${region}&limit=1${cursor === null ? '' : `&cursor=${cursor}`}`)
    seen.push(...body.items)
    cursor = body.nextCursor
  } while (cursor !== null)
  expect(seen).toEqual(whole.items)

  const csv = await download(h, finance, `/v1/material-cost?period=2026-06&region=${region}`, 'csv')
  expect(cells(csv.text).map((row) => row[4])).toEqual(['', 'RO-1', 'RO-2'])
  const [sheet] = await sheetsOf(
    await download(h, finance, `/v1/material-cost?period=2026-06&region=${region}`, 'xlsx')
  )
  expect(sheet?.rows.at(-1)?.slice(5)).toEqual([3, 3, 3, 30, 0, 30])

  const all = await read('period=2026-06')
  const codes = all.items.map(({ warehouse }: any) => warehouse)
  expect(codes).toEqual(codes.toSorted())
  expect(all.state).toBe('mixed')
})
