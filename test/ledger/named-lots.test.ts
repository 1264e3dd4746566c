import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type Kernel } from '../support/kernel.ts'

let h: Harness
let k: Kernel
beforeAll(async () => {
  h = await openHarness()
  k = await kernel(h)
})
afterAll(() => h.close())

test('a line that names a lot takes that one, whatever its age', async () => {
  const shelf = await k.shelf()
  const [old] = await k.receive(shelf, '5', '10.00', { on: '2026-09-01' })
  const [young] = await k.receive(shelf, '5', '20.00', { on: '2026-10-01' })

  const moved = await k.post([k.entry(shelf, '-2', { lotId: young?.lotId })])

  expect(moved).toEqual([
    { line: 1, lotId: young?.lotId, quantity: '-2', cost: '-40.00', charge: '0.00', onHandAfter: '8' }
  ])
  expect((await k.issue(shelf, '6')).map(({ lotId, quantity }) => [lotId, quantity])).toEqual([
    [old?.lotId, '-5'],
    [young?.lotId, '-1']
  ])
})

test('two lines may take from two lots of a balance, and from one lot together what it holds', async () => {
  const shelf = await k.shelf()
  const [first] = await k.receive(shelf, '5', '10.00', { on: '2026-09-01' })
  const [second] = await k.receive(shelf, '5', '20.00', { on: '2026-10-01' })

  const moved = await k.post([
    k.entry(shelf, '-1', { line: 1, lotId: second?.lotId }),
    k.entry(shelf, '-2', { line: 2, lotId: first?.lotId }),
    k.entry(shelf, '-4', { line: 3, lotId: second?.lotId })
  ])

  expect(moved.map(({ line, lotId, quantity }) => [line, lotId, quantity])).toEqual([
    [1, second?.lotId, '-1'],
    [2, first?.lotId, '-2'],
    [3, second?.lotId, '-4']
  ])
})

test('a lot that does not hold so much is refused, and nothing moves', async () => {
  const shelf = await k.shelf()
  const [lot] = await k.receive(shelf, '5', '10.00')
  await k.receive(shelf, '5', '10.00')

  const refusal = await k.refusal(k.post([k.entry(shelf, '-6', { lotId: lot?.lotId })]))

  expect(refusal.code).toBe('LotShort')
  expect(await k.onHand(shelf)).toBe('10')
})

test('a closed month closes every month before it (R-FIN-1)', async () => {
  const shelf = await k.shelf()
  const other = await kernel(h)
  await h.sql(`insert into stock_period values ($1, '2026-09-01', 'closed', now())`, [other.warehouse.id])

  const refusal = await k.refusal(other.receive(shelf, '1', '1.00', { on: '2026-07-31' }))

  expect(refusal.code).toBe('PeriodClosed')
})
