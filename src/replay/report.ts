import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { stringify } from 'csv-stringify'
import { shown, type Comparison, type Score } from './compare.ts'
import type { Expectation } from './expectation.ts'
import type { Played, RefusedPosting } from './play-ledger.ts'

const sum = (quantities: Iterable<bigint>): bigint => [...quantities].reduce((total, quantity) => total + quantity, 0n)

/** What became of the refused postings, a line per product. */
export function refusalLines({ refusals }: Played): string[] {
  const products = Map.groupBy(refusals, ({ product }) => product)
  return [...products].map(([{ part, key }, of]) => {
    const missing = sum(of.map(({ wanted, available }) => wanted - available))
    const owed = sum(of.map((one) => one.owed))
    const days = of.length === 1 ? `on ${of[0]?.day}` : `${of.length} times, ${of[0]?.day} to ${of.at(-1)?.day}`
    return `  ${part} (ProductKey ${key}): short ${days}; ${shown(missing)} refused, ${shown(missing - owed)} handed out later, ${shown(owed)} still owed`
  })
}

/** The lines that say what came out. */
export function reportLines(
  expectation: Expectation,
  { refusals, refusedSlips }: Played,
  comparison: Comparison
): string[] {
  const { matches, negativeMatches, differences, equation, unrefused, leftOut } = comparison
  const [missing, owed] = [
    sum(refusals.map(({ wanted, available }) => wanted - available)),
    sum(refusals.map((one) => one.owed))
  ]
  const stillShort = new Set(refusals.filter((one) => one.owed > 0n).map(({ product }) => product)).size
  const lines = [
    `refused postings: ${refusals.length} lines of ${refusedSlips} slips, of ${new Set(refusals.map(({ product }) => product)).size} products (the source goes below zero for ${expectation.negative.size})`,
    `refused postings explained by the source going below zero: ${ofAll(comparison.refusals)}; shortages of the source that were not refused: ${unrefused.length}`,
    `refused quantity: ${shown(missing)}; handed out later: ${shown(missing - owed)}; still owed at the end: ${shown(owed)} of ${stillShort} products`,
    `ledger = balance of the source + owed: ${ofAll(equation)} month ends of all products`
  ]
  if (matches !== undefined && negativeMatches !== undefined && differences !== undefined) {
    lines.push(
      `${ofAll(matches)} month-end balances match (products that never go negative)`,
      `${ofAll(negativeMatches)} month-end balances match (products that go negative, at month ends where nothing is owed)`,
      `${ofAll(differences)} differences explained by refused postings (expected − ledger = −owed)`
    )
    if (leftOut > 0) lines.push(`${leftOut} expected balances are of products or months that were not played`)
  }
  const faults = [comparison.refusals, equation, matches, negativeMatches, differences].flatMap(
    (one) => one?.wrong ?? []
  )
  return [
    ...lines,
    ...faults.map((fault) => `  WRONG: ${fault}`),
    ...unrefused.slice(0, 20).map((key) => `  NOT REFUSED: product and day ${key}`)
  ]
}

const ofAll = ({ right, of }: Score): string => `${right} of ${of}`

/** Every refused posting as CSV: what was wanted and there, when the rest was handed out, what is still owed. */
export async function writeRefusals(file: string, refusals: RefusedPosting[]): Promise<void> {
  const rows = refusals.map(({ product, day, slip, wanted, available, later, owed }) => ({
    ProductKey: product.key,
    part: product.part,
    day,
    slip,
    wanted: shown(wanted),
    available: shown(available),
    refused: shown(wanted - available),
    handedOutLater: later.map((one) => `${one.day} ${shown(one.quantity)} ${one.slip}`).join('; '),
    stillOwed: shown(owed)
  }))
  await pipeline(Readable.from(rows), stringify({ header: true }), createWriteStream(file))
}
