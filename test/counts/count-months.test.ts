import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openCounting, type Counting } from '../support/counting.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let c: Counting
beforeAll(async () => {
  h = await openHarness()
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  c = await openCounting(h)
})
afterAll(() => h.close())

const open = (body: object) => c.keeper.post(`/v1/warehouses/${c.warehouse}/counts`, body)
const openMonth = (period: string) => open({ kind: 'month-end', period })

test('a month is counted from the first one on in which something was there, up to this one', async () => {
  for (const period of ['0001-01', '1990-01', '2026-10']) {
    expect(await openMonth(period)).toMatchObject({
      status: 422,
      body: {
        code: 'PeriodBeforeStock',
        detail: expect.stringContaining('2026-11'),
        errors: [{ pointer: '/period', sent: period, accepted: '2026-11 or later' }]
      }
    })
  }
  expect((await openMonth('9999-12')).body.code).toBe('CountTooEarly')

  await c.stocked()
  h.clock.set('2027-01-05T10:00')
  expect((await openMonth('2026-10')).body).toMatchObject({
    code: 'PeriodBeforeStock',
    detail: expect.stringContaining('is 2026-11')
  })
  const november = (await openMonth('2026-11')).body.number
  await c.count(november, [{ line: 1, counted: '10' }])
  await c.settle(november)
  await h.sql(`insert into stock_period values ($1, '2026-11-01', 'closed', now())`, [c.warehouseId])
  expect((await openMonth('2026-11')).body.code).toBe('PeriodClosed')
  // Nothing moved in it, and yet something lay there.
  expect((await openMonth('2026-12')).status).toBe(201)
})

test('found goods were received neither before anything could have been nor after today', async () => {
  const part = await h.make.part()
  await c.stocked()
  const { number } = await c.open()
  const { line } = (await c.keeper.post(`/v1/counts/${number}/lines`, { part: part.number })).body
  await c.count(number, [{ line, counted: '2' }])
  const paper = { line, cause: 'found', unitCost: '3', costDocument: 'invoice 7' }
  const problemOf = async (receivedOn: string) =>
    (await c.explain(number, [{ ...paper, receivedOn }])).results[0].problem?.code
  expect(await problemOf('1999-12-31')).toBe('DayTooEarly')
  expect(await problemOf('0001-01-01')).toBe('DayTooEarly')
  expect(await problemOf('2026-11-21')).toBe('FutureDay')
  expect(await problemOf('2000-01-01')).toBeUndefined()
})
