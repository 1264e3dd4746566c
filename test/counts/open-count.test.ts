import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { openCounting, type Counting } from '../support/counting.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let c: Counting
let stranger: Caller
beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
  stranger = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'keeper', warehouse: (await h.make.warehouse()).code }] })
  )
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  c = await openCounting(h)
})
afterAll(() => h.close())

const counts = () => `/v1/warehouses/${c.warehouse}/counts`
const open = (body: object, as: Caller = c.keeper) => as.post(counts(), body)

test('a month-end count takes all stock, and shows nothing of it (R-CNT-1, R-CNT-2)', async () => {
  const owned = await c.stocked({ quantity: '7.125' })
  const faulty = await c.stocked({ quantity: '7.125', condition: 'nonconforming' })
  const lent = await c.stocked({ quantity: '7.125', ownership: 'consigned' })
  const gone = await c.stocked({ quantity: '2' })
  await c.posted({ kind: 'issue', lines: [{ part: gone.number, quantity: '2' }] })

  const opened = await open({ kind: 'month-end', period: '2026-11', note: '月末' })

  expect(opened).toMatchObject({
    status: 201,
    headers: { etag: '"1"', location: `/v1/counts/${c.warehouse}-CNT-202611-00001` },
    body: {
      number: `${c.warehouse}-CNT-202611-00001`,
      kind: 'month-end',
      kindZh: '月末盘点表',
      state: 'counting',
      period: '2026-11',
      scope: {},
      openedBy: c.keeper.person.username,
      note: '月末',
      progress: { lines: 3, open: 3, settled: 0, gainValue: '0.00' }
    }
  })
  const lines = await c.lines(opened.body.number)
  expect(lines.map(({ part }) => part).sort()).toEqual([owned, faulty, lent].map(({ number }) => number).sort())
  expect(lines[0]).toMatchObject({ state: 'open', found: false, snapshot: null, expected: null, variance: null })
  expect(opened.text + JSON.stringify(lines)).not.toContain('7.125')
})

test('a month is counted from ten days before its end on, once, and in order', async () => {
  await c.stocked()
  h.clock.set('2026-11-19T10:00')
  expect(await open({ kind: 'month-end', period: '2026-11' })).toMatchObject({
    status: 422,
    body: { code: 'CountTooEarly', detail: expect.stringContaining('from 2026-11-20 on') }
  })
  expect((await open({ kind: 'month-end', period: '2026-12' })).body.code).toBe('CountTooEarly')

  h.clock.set('2026-12-02T10:00')
  const { body: november } = await open({ kind: 'month-end', period: '2026-11' })
  expect(await open({ kind: 'month-end', period: '2026-11' })).toMatchObject({
    status: 409,
    body: { code: 'MonthEndAlreadyCounted', count: november.number }
  })
  expect(november.number).toBe(`${c.warehouse}-CNT-202612-00001`)
  await c.count(november.number, [{ line: 1, counted: '10' }])
  await c.settle(november.number)

  expect(await open({ kind: 'month-end', period: '2026-10' })).toMatchObject({
    status: 409,
    body: { code: 'LaterMonthCounted' }
  })
  await h.sql(`insert into stock_period values ($1, '2026-11-01', 'closed', now())`, [c.warehouseId])
  expect(await open({ kind: 'month-end', period: '2026-09' })).toMatchObject({
    status: 409,
    body: { code: 'PeriodClosed' }
  })
})

test('what a count is of is said plainly', async () => {
  for (const [body, code] of [
    [{ kind: 'month-end' }, 'PeriodMissing'],
    [{ kind: 'month-end', period: '2026-11', zeroStock: true }, 'ScopeNotAsked'],
    [{ kind: 'cycle' }, 'ScopeMissing'],
    [{ kind: 'cycle', period: '2026-11', zeroStock: true }, 'PeriodNotAsked'],
    [{ kind: 'cycle', criticality: 'A' }, 'NothingToCount'],
    [{ kind: 'cycle', parts: ['NO-SUCH-PART'] }, 'PartUnknown']
  ] as const)
    expect(await open(body)).toMatchObject({ status: 422, body: { code } })
  expect((await open({ kind: 'cycle', zeroStock: false })).status).toBe(400)
  expect((await open({ kind: 'monthly', period: '2026-11' })).status).toBe(400)
  expect(await c.lines((await open({ kind: 'month-end', period: '2026-11' })).body.number)).toEqual([])
})

test('a cycle count takes a class, a category, chosen parts, empty shelves or what was not counted for long (R-CNT-5)', async () => {
  const [first, second, empty] = [await c.stocked(), await c.stocked(), await c.stocked({ quantity: '1' })]
  await c.posted({ kind: 'issue', lines: [{ part: empty.number, quantity: '1' }] })
  await h.sql(`update part set criticality = 'A', category = 'pumps' where id = $1`, [first.id])
  const partsOf = async (body: object): Promise<string[]> => {
    const { number } = await c.open({ kind: 'cycle', ...body })
    const parts = (await c.lines(number)).map(({ part }) => part)
    await c.keeper.post(`/v1/counts/${number}/cancellation`, { reason: 'enough' })
    return parts.sort()
  }

  expect(await partsOf({ criticality: 'A' })).toEqual([first.number])
  expect(await partsOf({ category: 'pumps' })).toEqual([first.number])
  expect(await partsOf({ parts: [second.number, empty.number] })).toEqual([second.number, empty.number].sort())
  expect(await partsOf({ zeroStock: true })).toEqual([empty.number])
  expect(await partsOf({ notCountedSince: '2026-11-01' })).toEqual([first.number, second.number].sort())
  const { number } = await c.open({ kind: 'cycle', parts: [first.number] })
  await c.count(number, [{ line: 1, counted: '10' }])
  await c.settle(number)
  expect(await partsOf({ notCountedSince: '2026-11-20' })).toEqual([second.number])
  expect(await partsOf({ notCountedSince: '2026-11-21' })).toEqual([first.number, second.number].sort())
})

test('several counts are open at once, never two of the same balance', async () => {
  const [a, b] = [await c.stocked(), await c.stocked()]
  const first = await c.open({ kind: 'cycle', parts: [a.number] })
  await c.open({ kind: 'cycle', parts: [b.number] })

  expect(await open({ kind: 'cycle', notCountedSince: '2026-11-01' })).toMatchObject({
    status: 409,
    body: {
      code: 'BalanceBeingCounted',
      balances: expect.arrayContaining([
        { part: a.number, ownership: 'own', condition: 'qualified', count: first.number }
      ])
    }
  })
  const found = await c.keeper.post(`/v1/counts/${first.number}/lines`, { part: b.number })
  expect(found).toMatchObject({ status: 409, body: { code: 'BalanceBeingCounted' } })
  // A refused count takes no number.
  await c.keeper.post(`/v1/counts/${first.number}/cancellation`, { reason: 'again' })
  expect((await c.open({ kind: 'cycle', parts: [a.number] })).number).toMatch(/00003$/)
})

test('of many who open the same count at once, one does', async () => {
  await Promise.all([c.stocked(), c.stocked(), c.stocked()])

  const answers = await Promise.all([1, 2, 3, 4].map(() => open({ kind: 'month-end', period: '2026-11' })))
  const cycles = await openCounting(h)
  const { number: part } = await cycles.stocked()
  const others = await Promise.all(
    [1, 2, 3, 4].map(() =>
      cycles.keeper.post(`/v1/warehouses/${cycles.warehouse}/counts`, { kind: 'cycle', parts: [part] })
    )
  )

  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409])
  expect(others.map(({ status, body }) => (status === 201 ? 201 : body.code)).sort()).toEqual([
    201,
    'BalanceBeingCounted',
    'BalanceBeingCounted',
    'BalanceBeingCounted'
  ])
})

test('the snapshot is what the movements up to the position come to, whatever is posted meanwhile', async () => {
  const parts = await Promise.all(Array.from({ length: 4 }, () => c.stocked({ quantity: '50' })))
  const issues = await Promise.all(
    Array.from({ length: 12 }, () =>
      c.slip({ kind: 'issue', lines: parts.map(({ number }) => ({ part: number, quantity: '1' })) })
    )
  )
  for (const { number } of issues) await c.sign(number)

  const [, count] = await Promise.all([
    Promise.all(issues.map(({ number }) => c.keeper.post(`/v1/slips/${number}/posting`))),
    new Promise((resolve) => setTimeout(resolve, 20)).then(() => c.open())
  ])

  const rows = await h.sql<{ snapshot: string; moved: string }>(
    `select trim_scale(l.snapshot)::text as snapshot, trim_scale((select sum(m.quantity) from movement m
        where m.warehouse_id = l.warehouse_id and m.part_id = l.part_id and m.id <= c.position))::text as moved
       from count_line l join stock_count c on c.warehouse_id = l.warehouse_id and c.id = l.count_id where c.number = $1`,
    [count.number]
  )
  expect(rows).toHaveLength(4)
  for (const { snapshot, moved } of rows) expect(snapshot).toBe(moved)
})

test('who may open and cancel', async () => {
  await c.stocked()
  expect(await open({ kind: 'month-end', period: '2026-11' }, c.technician)).toMatchObject({
    status: 403,
    body: { code: 'DutyRequired' }
  })
  expect((await open({ kind: 'month-end', period: '2026-11' }, stranger)).status).toBe(404)
  const { number } = await c.open()
  const cancel = (as: Caller) => as.post(`/v1/counts/${number}/cancellation`, { reason: 'wrong month' })

  expect((await cancel(c.technician)).status).toBe(403)
  expect((await cancel(c.signers['department-head'])).status).toBe(403)
  expect((await cancel(stranger)).status).toBe(404)
  expect((await c.keeper.post('/v1/counts/HQ-CNT-202611-99999/cancellation', { reason: 'x' })).status).toBe(404)
  expect(
    await c.keeper.post(`/v1/counts/${number}/cancellation`, { reason: 'x' }, { 'if-match': '"9"' })
  ).toMatchObject({
    status: 412
  })
  expect(await cancel(c.keeper)).toMatchObject({
    status: 200,
    body: { state: 'cancelled', version: 2, cancelledBecause: 'wrong month' }
  })
  expect(await cancel(c.signers['finance-supervisor'])).toMatchObject({
    status: 409,
    body: { code: 'CountNotCancellable' }
  })
  expect((await c.enter(number, [{ line: 1, counted: '1' }]).catch(String)).toString()).toContain('CountNotOpen')
})
