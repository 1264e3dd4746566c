import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel } from '../support/kernel.ts'
import { acts, playerOf } from '../support/random-months.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const day = fc.constantFrom(
  '2026-08-03',
  '2026-08-31',
  '2026-09-01',
  '2026-09-17',
  '2026-10-30',
  '2026-11-02',
  '2026-11-20'
)
const age = fc.constantFrom('2024-05-05', '2025-09-30', '2026-03-01', '2026-05-31', '2026-06-01', '2026-08-03')
const { transfer: _transfer, ...ofOneWarehouse } = acts(day, age)
const act = fc.oneof(...Object.values(ofOneWarehouse))

/**
 * Any random months of receipts, issues, late slips, returns, reversals, adjustments, promises and recalls, refused or not, keep every invariant of
 * the ledger to the cent (R-STK-4, R-STK-5, R-AGE-3), and on hand is what the accepted ones add up to. `PROPERTY_RUNS` says how many.
 */
test(
  'any months of receipts, issues, late slips, returns, reversals, adjustments, promises and recalls keep the books (R-STK-4, R-REQ-7)',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 8, maxLength: 25 }), async (months) => {
        const ledger = await kernel(h)
        const player = playerOf(h, ledger, [await ledger.shelf(), await ledger.shelf(), await ledger.shelf()])
        for (const each of months) await player.play(each)
        const check = await verifyLedger(ledger.ctx, { warehouse: ledger.warehouse.code })
        expect(check.findings).toEqual([])
        expect(await player.wrongBalances()).toEqual([])
      }),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 25), endOnFailure: true }
    )
  }
)
