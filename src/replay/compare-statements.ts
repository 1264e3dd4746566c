import { createHash } from 'node:crypto'
import { decimal, thousandths } from '../platform/decimal.ts'
import { readStatement, type Statement } from '../valuation/statement.ts'
import { stockReportStream, type StockReportRow } from '../valuation/stock-report.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { count, score, shown, type Score } from './compare.ts'
import { compareDepreciation, type DepreciationComparison, type ExpectedDepreciation } from './expected-depreciation.ts'
import { monthOf } from './expectation.ts'
import type { LedgerSource } from './ledger-folder.ts'
import type { Played } from './play-ledger.ts'
import { sourceBooks, type MonthBooks, type ProductMonth } from './source-books.ts'

export interface StatementComparison {
  /** Months that were counted and closed. */
  months: Score
  /** Per product and month: opening = closing before, in and out = those of the source less what was short, closing = source + owed. */
  quantities: Score
  /** Per product and month: cost, charge and accumulated depreciation are those of its lots, to the cent. */
  depreciation: Score
  /** Per month: the statement sums this up, and its text has its hash and that of the one before. */
  statements: Score
  expected: DepreciationComparison | undefined
  /** What the statement of each month says. */
  totals: Map<string, { cost: string; charge: string }>
}

/** The frozen figures of a product and month. */
type Frozen = Pick<
  StockReportRow,
  | 'openingQuantity'
  | 'inQuantity'
  | 'outQuantity'
  | 'adjustmentQuantity'
  | 'closingQuantity'
  | 'closingCost'
  | 'charge'
  | 'closingAccumulatedDepreciation'
>
const NOTHING: Frozen = {
  openingQuantity: '0',
  inQuantity: '0',
  outQuantity: '0',
  adjustmentQuantity: '0',
  closingQuantity: '0',
  closingCost: '0.00',
  charge: '0.00',
  closingAccumulatedDepreciation: '0.00'
}

/**
 * Holds the statements of the closed months against the source, a month in memory at a time.
 * @param until the last month that was to be closed
 */
export async function compareStatements({
  source,
  played,
  until,
  expected
}: {
  source: LedgerSource
  played: Played
  until: string
  expected?: ExpectedDepreciation | undefined
}): Promise<StatementComparison> {
  const result: StatementComparison = {
    months: score(),
    quantities: score(),
    depreciation: score(),
    statements: score(),
    expected: undefined,
    totals: new Map()
  }
  const closed = new Set(played.closed.map(({ month }) => month))
  const figures = []
  let [before, previousSha256]: [ReadonlyMap<string, Frozen>, string | null] = [new Map(), null]
  for await (const books of sourceBooks(source, until)) {
    const { month } = books
    count(result.months, closed.has(month), () => `${month} was not closed`)
    const report = await frozenReport(played, month)
    for (const product of books.products) compareProduct(result, { played, month, product, report, before })
    for (const part of report.keys()) {
      if (!books.products.some(({ product }) => product.part === part))
        count(result.quantities, false, () => `${month}: ${part} is in the stock report and not in the ledger`)
    }
    previousSha256 = await compareStatement(result, { played, books, previousSha256 })
    before = report
    if (expected !== undefined) {
      const keys = new Set(expected.productKeys)
      const those = books.products.filter(({ product }) => keys.has(product.key))
      figures.push({ month, ...sums(those), ...frozenSums(those, report) })
    }
  }
  if (expected !== undefined) result.expected = compareDepreciation(expected, { source, until, figures })
  return result
}

async function frozenReport({ keeper, warehouse: code }: Played, period: string): Promise<Map<string, Frozen>> {
  const warehouse = await warehouseByCode(keeper, code)
  const report = new Map<string, Frozen>()
  for await (const row of stockReportStream(keeper, { warehouse, period, isClosed: true })) {
    // Everything that is played is own and qualified.
    const isOrdinary = row.ownership === 'own' && row.condition === 'qualified'
    report.set(isOrdinary ? row.part : `${row.part} ${row.ownership} ${row.condition}`, row)
  }
  return report
}

function compareProduct(
  { quantities, depreciation }: StatementComparison,
  {
    played,
    month,
    product: books,
    report,
    before
  }: {
    played: Played
    month: string
    product: ProductMonth
    report: ReadonlyMap<string, Frozen>
    before: ReadonlyMap<string, Frozen>
  }
): void {
  const { part, key } = books.product
  const frozen = report.get(part) ?? NOTHING
  const opening = (before.get(part) ?? NOTHING).closingQuantity
  const owed = played.owedSince.get(key)?.findLast(({ day }) => monthOf(day) <= month)?.owed ?? 0n
  const should: Partial<Frozen> = {
    openingQuantity: opening,
    inQuantity: shown(books.in),
    outQuantity: shown(books.out),
    adjustmentQuantity: '0',
    closingQuantity: shown(books.balance + owed)
  }
  const amounts: Partial<Frozen> = {
    closingCost: money(books.cost),
    charge: money(books.charge),
    closingAccumulatedDepreciation: money(books.accumulated)
  }
  for (const [into, figures] of [
    [quantities, should],
    [depreciation, amounts]
  ] as const) {
    const wrong = (Object.keys(figures) as (keyof Frozen)[]).filter((figure) => frozen[figure] !== figures[figure])
    count(
      into,
      wrong.length === 0,
      () =>
        `${part} ${month}: ${wrong.map((figure) => `${figure} ${frozen[figure]} instead of ${figures[figure]}`).join(', ')}`
    )
  }
}

/** @returns the hash of the statement, which the next one names */
async function compareStatement(
  { statements, totals }: StatementComparison,
  {
    played,
    books: { month, products },
    previousSha256
  }: { played: Played; books: MonthBooks; previousSha256: string | null }
): Promise<string | null> {
  const { text, sha256 } = await readStatement(played.keeper, { warehouse: played.warehouse, period: month })
  const content = JSON.parse(text) as Statement
  totals.set(month, { cost: content.depreciation.cost, charge: content.depreciation.charge })
  const { lots, cost, charge, accumulated } = sums(products)
  const should = {
    state: 'closed',
    lots,
    cost: money(cost),
    charge: money(charge),
    accumulatedDepreciation: money(accumulated),
    previousSha256,
    sha256: createHash('sha256').update(text).digest('hex')
  }
  const is = { ...content.depreciation, state: content.state, previousSha256: content.previousSha256, sha256 }
  const wrong = (Object.keys(should) as (keyof typeof should)[]).filter((name) => is[name] !== should[name])
  count(
    statements,
    wrong.length === 0,
    () => `statement of ${month}: ${wrong.map((name) => `${name} ${is[name]} instead of ${should[name]}`).join(', ')}`
  )
  return sha256
}

const FIGURES = ['cost', 'charge', 'accumulated', 'exactCost', 'summedCharge'] as const

const sums = (products: ProductMonth[]) => ({
  lots: products.reduce((sum, { lots }) => sum + lots, 0),
  ...(Object.fromEntries(
    FIGURES.map((figure) => [figure, products.reduce((sum, product) => sum + product[figure], 0n)])
  ) as Record<(typeof FIGURES)[number], bigint>)
})

/** What the frozen report says of some products. */
function frozenSums(products: ProductMonth[], report: ReadonlyMap<string, Frozen>) {
  const rows = products.map(({ product: { part } }) => report.get(part) ?? NOTHING)
  const sum = (of: (row: Frozen) => string) => rows.reduce((total, row) => total + thousandths(of(row)), 0n)
  return {
    quantityHeld: sum(({ closingQuantity }) => closingQuantity),
    costHeld: sum(({ closingCost }) => closingCost) / 10n,
    chargeTaken: sum(({ charge }) => charge) / 10n
  }
}

/** Cents as they are written in a statement. */
export const money = (cents: bigint): string => {
  const [whole, places = ''] = decimal(cents, 2).split('.')
  return `${whole}.${places.padEnd(2, '0')}`
}

/** Whether every statement ties. Months that were never closed prove nothing. */
export const isTied = ({ months, quantities, depreciation, statements, expected }: StatementComparison): boolean =>
  [months, quantities, depreciation, statements].every(({ right, of }) => of > 0 && right === of) &&
  (expected === undefined ||
    (expected.matches.of > 0 && expected.matches.right + expected.explained.length === expected.matches.of))
