import { ledgerDays, type LedgerSource, type Product } from './ledger-folder.ts'

/** A day on which more of a product left than there was. */
export interface Shortage {
  product: Product
  day: string
  wanted: bigint
  available: bigint
}

/** What must come out, by arithmetic on the source alone: no slip, no database. */
export interface Expectation {
  days: number
  rows: number
  /** From the month of the first opening to that of the last movement. */
  months: string[]
  /** Balance of the source at the end of each of `months`, by product key. */
  monthEnds: Map<string, bigint[]>
  /** By `shortageKey`. */
  shortages: Map<string, Shortage>
  /** Keys of the products whose balance is below zero at the end of some day. */
  negative: Set<string>
}

export const shortageKey = (product: Product, day: string): string => `${product.key} ${day}`

/**
 * Reads a ledger once through. With goods that come in counted first, an issue is short if and only if the balance at the end
 * of its day is below zero; what was there for it is what is left of the day before and of what came in.
 */
export async function expectationOf(source: LedgerSource): Promise<Expectation> {
  const opened = [...source.products.values()].map(({ openingDate }) => openingDate).sort()
  const months = [monthOf(opened[0] ?? '')]
  const balances = new Map([...source.products.values()].map(({ key, openingBalance }) => [key, openingBalance]))
  const monthEnds = new Map([...source.products.keys()].map((key): [string, bigint[]] => [key, []]))
  const expectation: Expectation = { days: 0, rows: 0, months, monthEnds, shortages: new Map(), negative: new Set() }
  const endMonth = () => {
    for (const [key, balance] of balances) monthEnds.get(key)?.push(balance)
  }
  for await (const { day, rows } of ledgerDays(source)) {
    while ((months.at(-1) ?? '') < monthOf(day)) {
      endMonth()
      months.push(nextMonth(months.at(-1) ?? ''))
    }
    expectation.days++
    for (const { product, unitsIn, unitsOut } of rows) {
      expectation.rows++
      const there = (balances.get(product.key) ?? 0n) + unitsIn
      const balance = there - unitsOut
      balances.set(product.key, balance)
      if (balance >= 0n) continue
      expectation.negative.add(product.key)
      if (unitsOut > 0n) {
        expectation.shortages.set(shortageKey(product, day), {
          product,
          day,
          wanted: unitsOut,
          available: there > 0n ? there : 0n
        })
      }
    }
  }
  endMonth()
  return expectation
}

/** Balance of the source at the end of a month, also after the last one: nothing moves then. */
export function monthEndBalance({ months, monthEnds }: Expectation, { key }: Product, month: string): bigint {
  const index = month > (months.at(-1) ?? '') ? months.length - 1 : months.indexOf(month)
  return monthEnds.get(key)?.[index] ?? 0n
}

/** The month after one. */
export const nextMonth = (month: string): string => Temporal.PlainYearMonth.from(month).add({ months: 1 }).toString()

export const monthOf = (day: string): string => day.slice(0, 7)
