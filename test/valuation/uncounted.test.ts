import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCounting } from '../support/counting.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

test('the month end says what was on hand and counted by nobody, and closes all the same (R-FIN-1)', async () => {
  h.clock.set('2026-11-22T10:00')
  const c = await openCounting(h)
  const [counted, elsewhere, later] = [await c.stocked(), await c.stocked(), await c.stocked()]
  const cycle = await c.open({ kind: 'cycle', parts: [elsewhere.number, later.number] })
  const { number } = await c.open()
  await c.count(number, [{ part: counted.number, counted: '10' }])
  await c.settle(number)
  const arrived = await c.stocked()
  const gone = await c.stocked({ quantity: '1' })
  await c.posted({ kind: 'issue', lines: [{ part: gone.number, quantity: '1' }] })
  await c.count(cycle.number, [{ part: elsewhere.number, counted: '10' }])
  const finance = c.signers['finance-supervisor']
  const setAside = await finance.post(`/v1/counts/${cycle.number}/set-aside`, {
    lines: [{ line: cycleLineOf(await c.lines(cycle.number), later.number), reason: '货架被封' }]
  })
  expect(setAside.body).toMatchObject({ done: 1 })

  h.clock.set('2026-12-02T10:00')
  const closing = `/v1/warehouses/${c.warehouse}/periods/2026-11/closing`
  const warnings = async () => (await finance.get(closing)).body.warnings
  const three = [elsewhere, later, arrived].map((part) => `${part.number} own qualified`)
  const [{ detail, documents }] = await warnings()
  expect(documents).toEqual([number])
  expect(detail).toMatch(/^3 balances on hand at the end of 2026-11 /)
  for (const named of three) expect(detail).toContain(named)

  await c.settle(cycle.number)
  expect((await warnings())[0].detail).not.toContain(elsewhere.number)
  expect((await warnings())[0].detail).toMatch(/^2 balances/)
  // Counted when the month was over, which says nothing of its end.
  const december = await c.open({ kind: 'cycle', parts: [arrived.number] })
  await c.count(december.number, [{ line: 1, counted: '10' }])
  await c.settle(december.number)
  expect((await warnings())[0].detail).toMatch(/^2 balances/)

  expect(await finance.post(closing)).toMatchObject({ status: 201, body: { state: 'closed', missing: [] } })
})

test('what a month-end count left over is counted by the count that follows it', async () => {
  h.clock.set('2026-11-28T10:00')
  const c = await openCounting(h)
  const [counted, left] = [await c.stocked(), await c.stocked()]
  const { number } = await c.open()
  await c.count(number, [{ part: counted.number, counted: '10' }])
  const finance = c.signers['finance-supervisor']
  const line = cycleLineOf(await c.lines(number), left.number)
  await finance.post(`/v1/counts/${number}/set-aside`, { lines: [{ line, reason: '货架被封' }] })
  const { followedBy } = await c.settle(number)

  h.clock.set('2026-12-02T10:00')
  const warnings = async () =>
    (await finance.get(`/v1/warehouses/${c.warehouse}/periods/2026-11/closing`)).body.warnings
  expect((await warnings())[0].detail).toContain(`1 balance on hand`)
  await c.count(followedBy, [{ line: 1, counted: '10' }])
  await finance.post(`/v1/counts/${followedBy}/verifications`, { lines: [{ line: 1, accepted: true }] })
  await c.settle(followedBy)
  expect(await warnings()).toEqual([])
})

const cycleLineOf = (lines: { line: number; part: string }[], part: string) =>
  lines.find((line) => line.part === part)?.line ?? 0
