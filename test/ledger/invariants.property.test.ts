import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Entry } from '../../src/ledger/post.ts'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { Refusal } from '../../src/platform/errors.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type PostedSlip, type Shelf } from '../support/kernel.ts'

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
const shelf = fc.integer({ min: 0, max: 2 })
const quantity = fc.integer({ min: 1, max: 9_000 }).map((thousandths) => String(thousandths / 1000))
const unitCost = fc.integer({ min: 0, max: 999_999 }).map((units) => (units / 10_000).toFixed(4))
const pick = fc.nat()

const act = fc.oneof(
  fc.record({ kind: fc.constant('receive' as const), shelf, quantity, unitCost, day, age: fc.option(age) }),
  fc.record({
    kind: fc.constant('issue' as const),
    lines: fc.array(fc.record({ shelf, quantity }), { minLength: 1, maxLength: 3 }),
    day
  }),
  fc.record({ kind: fc.constant('return' as const), pick, share: fc.constantFrom(1, 2, 3), day }),
  fc.record({ kind: fc.constant('reverse' as const), pick, day })
)

/**
 * Any random months of receipts, issues, late slips, returns and reversals, refused or not, keep every invariant of the ledger
 * to the cent (R-STK-4, R-STK-5, R-AGE-3), and on hand is what the accepted ones add up to.
 */
test(
  'any months of receipts, issues, late slips, returns and reversals keep the books',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 8, maxLength: 25 }), async (acts) => {
        const ledger = await kernel(h)
        const shelves: Shelf[] = [await ledger.shelf(), await ledger.shelf(), await ledger.shelf()]
        const expected = [0n, 0n, 0n]
        const posted: { slip: PostedSlip; entries: Entry[] }[] = []
        const thousandths = (value: string): bigint => BigInt(Math.round(Number(value) * 1000))
        const book = (entries: readonly Entry[]) => {
          for (const entry of entries)
            expected[shelves.findIndex(({ partId }) => partId === entry.partId)] += thousandths(entry.quantity)
        }
        const attempt = async (entries: Entry[], write: () => Promise<PostedSlip>) => {
          try {
            posted.push({ slip: await write(), entries })
            book(entries)
          } catch (error) {
            if (!(error instanceof Refusal)) throw error
            // What is refused has left nothing behind; its slip stays unposted.
          }
        }
        for (const step of acts) {
          if (step.kind === 'receive') {
            const receivedOn = step.age !== null && step.age <= step.day ? step.age : undefined
            const entries = [ledger.entry(shelves[step.shelf], step.quantity, { unitCost: step.unitCost, receivedOn })]
            await attempt(entries, () => ledger.postSlip(entries, { on: step.day }))
          } else if (step.kind === 'issue') {
            const entries = step.lines.map((line, index) =>
              ledger.entry(shelves[line.shelf], `-${line.quantity}`, { line: index + 1 })
            )
            await attempt(entries, () => ledger.postSlip(entries, { on: step.day }))
          } else {
            const source = posted[posted.length === 0 ? 0 : step.pick % posted.length]
            if (source === undefined || source.slip.on > step.day) continue
            const isIssue = source.entries[0].quantity.startsWith('-')
            if (step.kind === 'return' && !isIssue) continue
            const entries = source.entries.map((entry) => {
              const whole = entry.quantity.startsWith('-') ? entry.quantity.slice(1) : `-${entry.quantity}`
              const part =
                step.kind === 'return' ? (Math.ceil((Number(whole) * 1000) / step.share) / 1000).toString() : whole
              return { ...entry, quantity: part, unitCost: null, receivedOn: null, sourceLine: entry.line }
            })
            await attempt(entries, () => ledger.undoSlip(source.slip, entries, { on: step.day }))
          }
        }
        const check = await verifyLedger(ledger.ctx, { warehouse: ledger.warehouse.code })
        expect(check.findings).toEqual([])
        for (const [index, place] of shelves.entries())
          expect(thousandths(await ledger.onHand(place))).toBe(expected[index])
      }),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 25), endOnFailure: true }
    )
  }
)
