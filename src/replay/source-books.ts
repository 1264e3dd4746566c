import { Lots, type LotFigures } from './lots.ts'
import { monthOf, nextMonth } from './expectation.ts'
import { ledgerDays, type LedgerSource, type Product } from './ledger-folder.ts'

/** What a product came to in a month. Quantities are thousandths. */
export interface ProductMonth extends LotFigures {
  product: Product
  /** Units that came in: those of the source, and the opening balance in its month. */
  in: bigint
  /** Units that could leave: those of the source, less what was short, and what was short before and came in now. */
  out: bigint
  /** Balance of the source at the end of the month, below zero where it says so. */
  balance: bigint
}

export interface MonthBooks {
  month: string
  products: ProductMonth[]
}

interface State {
  product: Product
  lots: Lots
  onHand: bigint
  balance: bigint
  in: bigint
  out: bigint
}

function opened(product: Product): State {
  const { openingBalance: balance, openingDate, openingUnitCost } = product
  const lots = new Lots()
  const onHand = balance > 0n ? balance : 0n
  if (onHand > 0n) lots.receive(monthOf(openingDate), openingUnitCost, onHand)
  return { product, lots, onHand, balance, in: onHand, out: 0n }
}

/**
 * The books of a source month by month, by arithmetic on the source alone: no slip, no database, one month in memory. Goods are
 * there as far as the balance of the source is above zero; what it has handed out below that is owed and leaves when goods come in.
 * @param until the last month; after the last day nothing moves, but lots go on being charged
 */
export async function* sourceBooks(source: LedgerSource, until: string): AsyncGenerator<MonthBooks> {
  const states = new Map([...source.products.values()].map((product) => [product, opened(product)]))
  let month = monthOf([...source.products.values()].map(({ openingDate }) => openingDate).sort()[0] ?? '')
  const endMonth = (): MonthBooks => {
    const products = [...states.values()].map((state) => {
      const { product, balance, lots } = state
      const ended = { product, balance, in: state.in, out: state.out, ...lots.endMonth(month) }
      Object.assign(state, { in: 0n, out: 0n })
      return ended
    })
    const ended = { month, products }
    month = nextMonth(month)
    return ended
  }
  for await (const { day, rows } of ledgerDays(source)) {
    while (month < monthOf(day)) yield endMonth()
    for (const { product, unitCost, unitsIn, unitsOut } of rows) {
      const state = states.get(product)
      if (state === undefined) throw new Error(`${product.part} moves and is no product of the ledger`)
      if (unitsIn > 0n) state.lots.receive(month, unitCost, unitsIn)
      state.balance += unitsIn - unitsOut
      const left = state.balance > 0n ? state.balance : 0n
      const leaves = state.onHand + unitsIn - left
      state.lots.issue(leaves)
      state.onHand = left
      state.in += unitsIn
      state.out += leaves
    }
  }
  while (month <= until) yield endMonth()
}
