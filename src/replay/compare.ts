import { ledgerStream } from '../ledger/ledger.queries.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { monthOf, shortageKey, type Expectation } from './expectation.ts'
import { csvRecords, type LedgerSource } from './ledger-folder.ts'
import type { Played } from './play-ledger.ts'

/** So many of so many, and the first few that were not. */
export interface Score {
  right: number
  of: number
  /** In words, at most `NAMED`. */
  wrong: string[]
}

export interface Comparison {
  /** Refused postings that the source explains: its balance went below zero by this issue, and exactly so much was there. */
  refusals: Score
  /** Shortages of the source that the service did not refuse. */
  unrefused: string[]
  /** Ledger on hand = balance of the source + owed, for every product and month end. */
  equation: Score
  /** Month-end balances of the expected file, for products that never go negative. */
  matches: Score | undefined
  /** The same for products that do, where nothing was owed. */
  negativeMatches: Score | undefined
  /** Differences of those products: expected − ledger = −owed. */
  differences: Score | undefined
  /** Rows of the expected file for products or months that were left out of a partial replay. */
  leftOut: number
}

const NAMED = 20

export const score = (): Score => ({ right: 0, of: 0, wrong: [] })
export function count(into: Score, isRight: boolean, what: () => string): void {
  into.of++
  if (isRight) into.right++
  else if (into.wrong.length < NAMED) into.wrong.push(what())
}

const EXPECTED_HEADINGS = ['ProductKey', 'month', 'UnitsBalance']

/**
 * Reads a file of expected month-end balances once through, before hours are spent on what it is compared with.
 * @returns its last month
 * @throws Error if it cannot be read, lacks a column, has no rows or a balance that is no number
 */
export async function checkExpected(file: string): Promise<string> {
  let last = ''
  for await (const { month = '', UnitsBalance: balance = '' } of csvRecords(file, EXPECTED_HEADINGS)) {
    if (month > last) last = month
    thousandths(balance)
  }
  if (last === '') throw new Error(`${file} has no rows to compare with`)
  return last
}

/** Compares what was played with the source and, if there is one, with a file of expected month-end balances. */
export async function compare({
  source,
  expectation,
  played,
  expectFile
}: {
  source: LedgerSource
  expectation: Expectation
  played: Played
  expectFile?: string | undefined
}): Promise<Comparison> {
  const { months } = expectation
  const ledger = await ledgerMonthEnds(played, source, months)
  const owed = owedAtMonthEnds(played, source, months)
  const result: Comparison = {
    ...compareRefusals(expectation, played),
    equation: score(),
    matches: undefined,
    negativeMatches: undefined,
    differences: undefined,
    leftOut: 0
  }
  for (const { key, part } of source.products.values()) {
    for (const [index, month] of months.entries()) {
      const [there, should, missing] = [
        ledger.get(key)?.[index] ?? 0n,
        expectation.monthEnds.get(key)?.[index] ?? 0n,
        owed.get(key)?.[index] ?? 0n
      ]
      count(
        result.equation,
        there === should + missing,
        () => `${part} ${month}: ledger ${shown(there)}, source ${shown(should)}, owed ${shown(missing)}`
      )
    }
  }
  if (expectFile === undefined) return result
  // After the last day nothing moves: what was there then is there at the end of every later month.
  const monthIndex = (month: string): number =>
    !source.isPartial && month > (months.at(-1) ?? '') ? months.length - 1 : months.indexOf(month)
  const [matches, negativeMatches, differences] = [score(), score(), score()]
  for await (const { ProductKey: key = '', month = '', UnitsBalance: balance = '' } of csvRecords(
    expectFile,
    EXPECTED_HEADINGS
  )) {
    const product = source.products.get(key)
    const index = monthIndex(month)
    if (product === undefined || index < 0) {
      if (source.isPartial) result.leftOut++
      else
        count(
          matches,
          false,
          () => `ProductKey ${key} ${month}: expected ${balance}, not in the ledger that was played`
        )
      continue
    }
    const [expected, there, missing] = [
      thousandths(balance),
      ledger.get(key)?.[index] ?? 0n,
      owed.get(key)?.[index] ?? 0n
    ]
    const words = () => `${product.part} ${month}: expected ${balance}, ledger ${shown(there)}, owed ${shown(missing)}`
    if (!expectation.negative.has(key)) count(matches, expected === there, words)
    else if (missing === 0n) count(negativeMatches, expected === there, words)
    else count(differences, expected - there === -missing, words)
  }
  return { ...result, matches, negativeMatches, differences }
}

/** Whether the service refused exactly the shortages of the source, with exactly what was there. */
function compareRefusals({ shortages }: Expectation, { refusals }: Played): Pick<Comparison, 'refusals' | 'unrefused'> {
  const explained = score()
  const seen = new Set<string>()
  for (const { product, day, slip, wanted, available } of refusals) {
    const key = shortageKey(product, day)
    const shortage = shortages.get(key)
    const isRight =
      shortage !== undefined && !seen.has(key) && shortage.wanted === wanted && shortage.available === available
    count(
      explained,
      isRight,
      () =>
        `${slip} ${product.part}: wanted ${shown(wanted)}, ${shown(available)} there; by the source ${shortage === undefined ? 'there was enough' : `${shown(shortage.available)} of ${shown(shortage.wanted)}`}`
    )
    seen.add(key)
  }
  return { refusals: explained, unrefused: [...shortages.keys()].filter((key) => !seen.has(key)) }
}

/** The running balance of the detailed ledger at the end of each month, as its own query tells it. */
async function ledgerMonthEnds(
  { keeper, warehouse }: Played,
  { products }: LedgerSource,
  months: string[]
): Promise<Map<string, bigint[]>> {
  const keyOf = new Map([...products.values()].map(({ part, key }) => [part, key]))
  const changes = new Map<string, { day: string; value: bigint }[]>()
  for await (const { part, occurredOn, balance } of await ledgerStream(keeper, { warehouse })) {
    const key = keyOf.get(part) ?? ''
    const history = changes.get(key) ?? []
    // The last movement of a month says how the month ended.
    if (history.length > 0 && monthOf(history.at(-1)?.day ?? '') === monthOf(occurredOn)) history.pop()
    history.push({ day: occurredOn, value: thousandths(balance ?? '') })
    changes.set(key, history)
  }
  return new Map([...changes].map(([key, history]) => [key, atMonthEnds(history, months)]))
}

const owedAtMonthEnds = ({ owedSince }: Played, { products }: LedgerSource, months: string[]): Map<string, bigint[]> =>
  new Map(
    [...products.keys()].map((key) => [
      key,
      atMonthEnds(
        (owedSince.get(key) ?? []).map(({ day, owed }) => ({ day, value: owed })),
        months
      )
    ])
  )

/** The value after the last change up to the end of each month; 0 before the first. */
function atMonthEnds(changes: { day: string; value: bigint }[], months: string[]): bigint[] {
  let [next, value] = [0, 0n]
  return months.map((month) => {
    for (let change = changes[next]; change !== undefined && monthOf(change.day) <= month; change = changes[++next])
      value = change.value
    return value
  })
}

export const shown = (quantity: bigint): string => decimal(quantity, 3)

/** Whether everything is as it must be. An expected file of which nothing was compared proves nothing. */
export const isRight = ({
  refusals,
  unrefused,
  equation,
  matches,
  negativeMatches,
  differences
}: Comparison): boolean =>
  unrefused.length === 0 &&
  (matches === undefined || [matches, negativeMatches, differences].some((one) => (one?.of ?? 0) > 0)) &&
  [refusals, equation, matches, negativeMatches, differences].every((one) => one === undefined || one.right === one.of)
