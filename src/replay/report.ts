import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { stringify } from 'csv-stringify'
import type { StatementComparison } from './compare-statements.ts'
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

/** The lines that say whether the statements of the closed months tie. */
export function statementLines(
  { closed, countFault }: Played,
  { months, quantities, depreciation, statements, expected }: StatementComparison
): string[] {
  const lines = [
    `${ofAll(months)} months counted and closed; ${closed.reduce((total, { lines: of }) => total + of, 0)} balances counted by what the source says and what is owed, ${countFault === undefined ? 'all of them as in the ledger' : `until ${countFault.differences.length} differed`}`,
    `${ofAll(quantities)} stock report rows tie (opening = closing before; in and out = the source, less what was short; closing = balance of the source + owed)`,
    `${ofAll(depreciation)} stock report rows have the cost, charge and accumulated depreciation of the lots of the source, to the cent`,
    `${ofAll(statements)} statements sum them up, each with its hash and that of the one before`
  ]
  if (expected !== undefined) {
    const { matches, explained, leftOut } = expected
    lines.push(
      `expected depreciation: ${ofAll(matches)} figures match (units, original cost and charge of each month); ${explained.length} differ by rounding only`
    )
    if (explained.length > 0) {
      lines.push(
        '  Where goods leave a lot, here the charges of what is left are rounded as a whole (R-AGE-3), there the sum of its exact charges;',
        '  cost is rounded by lot here and not at all there. By arithmetic on the source either side comes out to the cent:',
        ...explained.map((difference) => `  ${difference}`)
      )
    }
    if (leftOut > 0) lines.push(`${leftOut} expected months are of products or days that were not played`)
  }
  const faults = [months, quantities, depreciation, statements, expected?.matches].flatMap((one) => one?.wrong ?? [])
  return [
    ...lines,
    ...(countFault === undefined ? [] : [`  WRONG: ${countFault.message}; from there on no month was closed`]),
    ...(countFault?.differences ?? []).slice(0, 20).map((difference) => `  WRONG: ${difference}`),
    ...faults.map((fault) => `  WRONG: ${fault}`)
  ]
}

/** How long each month took, and what it was charged. */
export function monthLines({ closed }: Played, { totals }: StatementComparison): string[] {
  const took = (seconds: number[]): string => {
    const [least, most] = [Math.min(...seconds), Math.max(...seconds)]
    return `${seconds.reduce((total, one) => total + one, 0).toFixed(1)} s (${least.toFixed(2)} to ${most.toFixed(2)} s a month)`
  }
  if (closed.length === 0) return []
  return [
    ...closed.map(
      ({ month, lines, countSeconds, closeSeconds }) =>
        `  ${month}: ${lines} balances counted in ${countSeconds.toFixed(2)} s, closed in ${closeSeconds.toFixed(2)} s; cost ${totals.get(month)?.cost}, charge ${totals.get(month)?.charge}`
    ),
    `counting took ${took(closed.map(({ countSeconds }) => countSeconds))}, closing ${took(closed.map(({ closeSeconds }) => closeSeconds))}`
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
