import { readFile } from 'node:fs/promises'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { score, shown, type Score } from './compare.ts'
import { monthOf } from './expectation.ts'
import type { LedgerSource } from './ledger-folder.ts'
import { integerOf } from './lots.ts'

const File = Type.Object({
  product_keys: Type.Array(Type.Union([Type.Integer(), Type.String()]), { minItems: 1 }),
  months: Type.Array(
    Type.Object({
      month: Type.String({ pattern: '^[0-9]{4}-[0-9]{2}$' }),
      units_on_hand: Type.Number({ minimum: 0 }),
      original_cost_on_hand: Type.String({ pattern: '^[0-9]+([.][0-9]{1,4})?$' }),
      charge: Type.String({ pattern: '^[0-9]+([.][0-9]{1,2})?$' })
    }),
    { minItems: 1 }
  )
})

/** What some products together should come to, month by month. */
export interface ExpectedDepreciation {
  productKeys: string[]
  months: {
    month: string
    /** Thousandths. */
    units: bigint
    /** 10^-4, without rounding. */
    cost: bigint
    /** Cents. */
    charge: bigint
  }[]
}

/** What those products came to: frozen in the statements, and by arithmetic on the source. */
export interface DepreciationFigures {
  month: string
  quantityHeld: bigint
  costHeld: bigint
  chargeTaken: bigint
  cost: bigint
  charge: bigint
  exactCost: bigint
  summedCharge: bigint
}

export interface DepreciationComparison {
  /** Figures (units, cost and charge of each month) that are exactly as expected; in words what neither is nor can be explained. */
  matches: Score
  /** Differences that are cents of rounding and nothing else, each in words: both sides come out by arithmetic on the source. */
  explained: string[]
  /** Months or products that were not played, so that sums say nothing. */
  leftOut: number
}

/**
 * Reads a file of expected sums: `product_keys`, and per month `units_on_hand`, `original_cost_on_hand` and `charge`.
 * @throws Error saying what is not as it must be
 */
export async function readExpectedDepreciation(file: string): Promise<ExpectedDepreciation> {
  const content: unknown = JSON.parse(await readFile(file, 'utf8'))
  if (!Value.Check(File, content)) {
    const [first] = Value.Errors(File, content)
    throw new Error(`${file} ${first?.instancePath ?? ''} ${first?.message ?? 'is not as it must be'}`)
  }
  return {
    productKeys: content.product_keys.map(String),
    months: content.months.map(({ month, units_on_hand: units, original_cost_on_hand: cost, charge }) => ({
      month,
      units: integerOf(String(units), 3),
      cost: integerOf(cost, 4),
      charge: integerOf(charge, 2)
    }))
  }
}

/** @param until the last month that was to be closed */
export function compareDepreciation(
  expected: ExpectedDepreciation,
  { source, until, figures }: { source: LedgerSource; until: string; figures: readonly DepreciationFigures[] }
): DepreciationComparison {
  const result: DepreciationComparison = { matches: score(), explained: [], leftOut: 0 }
  const { matches, explained } = result
  const unplayed = expected.productKeys.filter((key) => !source.products.has(key))
  for (const should of expected.months) {
    const { month } = should
    const is = figures.find((one) => one.month === month)
    if (source.isPartial && (unplayed.length > 0 || is === undefined || isCutOff(source, month))) {
      result.leftOut++
      continue
    }
    if (is === undefined || unplayed.length > 0) {
      matches.of++
      matches.wrong.push(
        is === undefined
          ? `${month}: not in the ledger that was played (up to ${until})`
          : `${month}: ProductKey ${unplayed.join(', ')} is not in the ledger that was played`
      )
      continue
    }
    const compared = [
      {
        what: 'units on hand',
        there: shown(is.quantityHeld),
        wanted: shown(should.units),
        isSame: is.quantityHeld === should.units,
        isRounding: false
      },
      {
        what: 'original cost on hand',
        there: amount(is.costHeld * 100n),
        wanted: amount(should.cost),
        isSame: is.costHeld * 100n === should.cost,
        isRounding: is.costHeld === is.cost && should.cost * 1000n === is.exactCost
      },
      {
        what: 'charge',
        there: amount(is.chargeTaken * 100n),
        wanted: amount(should.charge * 100n),
        isSame: is.chargeTaken === should.charge,
        isRounding: is.chargeTaken === is.charge && should.charge === is.summedCharge
      }
    ]
    for (const { what, there, wanted, isSame, isRounding } of compared) {
      matches.of++
      const words = `${month} ${what}: ${there}, expected ${wanted}`
      if (isSame) matches.right++
      else if (isRounding) explained.push(words)
      else matches.wrong.push(words)
    }
  }
  return result
}

/** Whether the replay stopped within a month. */
const isCutOff = ({ to }: LedgerSource, month: string): boolean =>
  to !== undefined && monthOf(to) === month && Temporal.PlainDate.from(to).day < Temporal.PlainDate.from(to).daysInMonth

/** 10^-4 with two places, or four where there are more. */
function amount(tenThousandths: bigint): string {
  const [whole, places] = [tenThousandths / 10_000n, String(tenThousandths % 10_000n).padStart(4, '0')]
  return `${whole}.${places.replace(/00$/, '')}`
}
