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

test('a month end does not wait for a count that goes on: it takes the rest and says who has the others', async () => {
  const [a, b, third] = [await c.stocked(), await c.stocked(), await c.stocked()]
  const cycle = await c.open({ kind: 'cycle', parts: [a.number, b.number] })

  const opened = await openMonth('2026-11')
  expect(opened).toMatchObject({
    status: 201,
    body: { progress: { lines: 1 }, countedElsewhere: [{ count: cycle.number, lines: 2 }] }
  })
  expect((await c.lines(opened.body.number)).map(({ part }) => part)).toEqual([third.number])
  expect((await c.keeper.get(`/v1/counts/${cycle.number}`)).body.countedElsewhere).toEqual([])
  // What is chosen by hand is refused as before, and so is a month of which nothing is left.
  expect((await open({ kind: 'cycle', parts: [third.number] })).body.code).toBe('BalanceBeingCounted')
  await c.keeper.post(`/v1/counts/${opened.body.number}/cancellation`, { reason: 'again' })
  const rest = await c.open({ kind: 'cycle', parts: [third.number] })
  expect(await openMonth('2026-11')).toMatchObject({ status: 409, body: { code: 'BalanceBeingCounted' } })
  await c.keeper.post(`/v1/counts/${rest.number}/cancellation`, { reason: 'again' })
  expect((await openMonth('2026-11')).status).toBe(201)
})

test('what was counted is what an approved count counted', async () => {
  const { number: part } = await c.stocked()
  const { number } = await c.open({ kind: 'cycle', parts: [part] })
  await c.count(number, [{ line: 1, counted: '10' }])
  await c.signers['finance-supervisor'].post(`/v1/counts/${number}/cancellation`, { reason: 'begun by mistake' })

  const again = await c.open({ kind: 'cycle', notCountedSince: '2026-11-20' })
  expect((await c.lines(again.number)).map((line) => line.part)).toEqual([part])
})

test('since a day that never was likely nothing is asked for', async () => {
  await c.stocked()
  for (const notCountedSince of ['0001-01-01', '1999-12-31'])
    expect(await open({ kind: 'cycle', notCountedSince })).toMatchObject({ status: 422, body: { code: 'DayTooEarly' } })
  expect((await open({ kind: 'cycle', notCountedSince: '9999-12-31' })).status).toBe(201)
})

test('a part that never was here has a line too, to confirm that there is none', async () => {
  const [never, stocked] = [await h.make.part(), await c.stocked()]
  const { number } = await c.open({ kind: 'cycle', parts: [never.number, stocked.number] })
  const lines = await c.lines(number)
  expect(lines.map(({ part }) => part).sort()).toEqual([never.number, stocked.number].sort())
  await c.count(number, [
    { part: never.number, counted: '0' },
    { part: stocked.number, counted: '10' }
  ])
  const settled = (await c.lines(number)).find(({ part }) => part === never.number)
  expect(settled).toMatchObject({ state: 'settled', found: false, snapshot: '0', variance: '0' })
  const { number: other } = await c.open({ kind: 'cycle', parts: [(await h.make.part()).number] })
  expect(await c.lines(other)).toHaveLength(1)
})

test('goods that were looked for and not found do not stand for a count of what is there', async () => {
  const found = await h.make.part()
  await c.stocked()
  const { number } = await c.open()
  const finance = c.signers['finance-supervisor']
  await finance.post(`/v1/counts/${number}/set-aside`, { lines: [{ line: 1, reason: '货架被封' }] })
  const { line } = (await c.keeper.post(`/v1/counts/${number}/lines`, { part: found.number })).body
  await c.count(number, [{ line, counted: '0' }])
  expect(await c.keeper.post(`/v1/counts/${number}/submission`)).toMatchObject({
    status: 409,
    body: { code: 'NothingCounted' }
  })

  // In an empty warehouse there is nothing else to count.
  const empty = await openCounting(h)
  const { number: none } = await empty.open()
  await empty.keeper.post(`/v1/counts/${none}/lines`, { part: found.number })
  await empty.count(none, [{ line: 1, counted: '0' }])
  expect(await empty.submit(none)).toMatchObject({ state: 'awaiting-signatures' })
})

test('a line that is added answers where it is read and the version that the count has with it', async () => {
  await c.stocked()
  const { number } = await c.open()
  const { number: part } = await h.make.part()
  const added = await c.keeper.post(`/v1/counts/${number}/lines`, { part })
  expect(added).toMatchObject({
    status: 201,
    headers: { etag: '"2"', location: `/v1/counts/${number}/lines/2` },
    body: { number, line: 2, part, found: true, version: 2 }
  })
  const { number: _number, version: _version, ...line } = added.body
  expect(await c.keeper.get(added.headers['location'] ?? '')).toMatchObject({ status: 200, body: line })
  const { number: other } = await h.make.part()
  const further = await c.keeper.post(`/v1/counts/${number}/lines`, { part: other }, { 'if-match': '"2"' })
  expect(further.status).toBe(201)
  expect((await c.keeper.get(`/v1/counts/${number}/lines/9`)).body).toMatchObject({ status: 404, code: 'NotFound' })
})

test('a quantity that is none is told what one looks like', async () => {
  await c.stocked()
  const { number } = await c.open()
  for (const bad of ['1.2345', '五', '-1'])
    for (const entry of [
      { line: 1, counted: bad, card: '1' },
      { line: 1, counted: '1', card: bad }
    ]) {
      const { status, body } = await c.keeper.post(`/v1/counts/${number}/entries`, { entries: [entry] })
      expect(status).toBe(400)
      expect(body.detail).toMatch(/digits 0–9 with at most three places/)
    }
})
