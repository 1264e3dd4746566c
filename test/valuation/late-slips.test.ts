import { afterAll, beforeAll, expect, test } from 'vitest'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { depreciationRows } from '../../src/valuation/depreciation.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type Kernel } from '../support/kernel.ts'
import type { MadePerson } from '../support/make.ts'
import { closeMonth, monthsFrom } from '../support/month-end.ts'

let h: Harness
let closer: MadePerson
beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2028-06-15T10:00')
  closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
})
afterAll(() => h.close())

const MONTHS = monthsFrom('2026-01', '2026-06')

/** Closes January to June 2026 and answers what was frozen per month: quantity, charge, accumulated. */
async function closedBooks(k: Kernel): Promise<Record<string, string[]>> {
  const books: Record<string, string[]> = {}
  for (const period of MONTHS) {
    await closeMonth(h, closer.actor, k.warehouse, period)
    const rows = await depreciationRows(k.ctx, { warehouse: k.warehouse, period, isClosed: true })
    books[period] = rows.map(
      ({ quantity, charge, accumulatedDepreciation }) => `${quantity}: ${charge}, ${accumulatedDepreciation}`
    )
  }
  return books
}

// Two pieces of January; one leaves in May, then comes paper of March for the other. April charges one piece, not two.

test('a month closes also where a late slip took a cent more than had been charged (R-AGE-3)', async () => {
  const k = await kernel(h)
  const shelf = await k.shelf()
  // 8 % of one piece is half a cent, which is a cent; of two pieces it is a cent as well.
  await k.receive(shelf, '2', '0.0625', { on: '2026-01-05' })
  const [may] = await k.issue(shelf, '1', { on: '2026-05-10' })
  const [march] = await k.issue(shelf, '1', { on: '2026-03-10' })

  const books = await closedBooks(k)

  expect([may.charge, march.charge]).toEqual(['0.00', '-0.01'])
  expect(books).toEqual({
    '2026-01': ['2: 0.00, 0.00'],
    '2026-02': ['2: 0.00, 0.00'],
    '2026-03': ['1: 0.00, -0.01'],
    '2026-04': ['1: 0.01, 0.00'],
    '2026-05': [],
    '2026-06': []
  })
  expect((await verifyLedger(k.ctx, { warehouse: k.warehouse.code })).findings).toEqual([])
})

test('what a late slip took with a cent less than nothing comes back with just that cent (R-IN-3)', async () => {
  const k = await kernel(h)
  const shelf = await k.shelf()
  // 8 % of one piece is 0.3 cents, which is nothing; of two pieces it is a cent, and the one of May took it.
  await k.receive(shelf, '2', '0.0375', { on: '2026-01-05' })
  const [may] = await k.issue(shelf, '1', { on: '2026-05-10' })
  const late = await k.postSlip([k.entry(shelf, '-1')], { on: '2026-03-10', kind: 'issue' })
  const [back] = await k.undo(late, [k.entry(shelf, '1', { sourceLine: 1 })], { on: '2026-05-20', kind: 'return' })

  const books = await closedBooks(k)

  expect([may.charge, late.movements[0].charge, back.charge]).toEqual(['-0.01', '0.01', '-0.01'])
  // It was away when April charged, and is charged 0.3 cents in May and in June: a cent by June.
  expect(books).toEqual({
    '2026-01': ['2: 0.00, 0.00'],
    '2026-02': ['2: 0.00, 0.00'],
    '2026-03': ['1: 0.00, 0.01'],
    '2026-04': ['1: 0.00, 0.01'],
    '2026-05': ['1: 0.00, -0.01'],
    '2026-06': ['1: 0.01, 0.00']
  })
  expect((await verifyLedger(k.ctx, { warehouse: k.warehouse.code })).findings).toEqual([])
})
