import { decimal, thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'

/** What conversion needs to know of a part. */
export interface PartUnits {
  number: string
  /** The stock unit. */
  unit: string
  /** Further units; `factor` is how many stock units one holds. */
  units: readonly { unit: string; factor: string }[]
}

const LARGEST = 999_999_999_999_999n

/**
 * A quantity given in any unit of the part, in stock units. Exact: integers in thousandths throughout.
 * @param quantity decimal string with at most three places
 * @returns decimal string with at most three places
 * @throws Refusal 422 `UnitNotOfPart` for a unit the part does not have, `QuantityNotExact` if the result had a fourth place, `QuantityTooLarge`
 */
export function toStockUnits(part: PartUnits, quantity: string, unit: string): string {
  if (unit === part.unit) return quantity
  const factor = part.units.find((known) => known.unit === unit)?.factor
  if (factor === undefined) {
    const accepted = [part.unit, ...part.units.map((known) => known.unit)]
    throw new Refusal(
      'UnitNotOfPart',
      422,
      `part ${part.number} is not kept in "${unit}"; its units are ${accepted.join(', ')}`,
      { extra: { part: part.number, unit, accepted } }
    )
  }
  const millionths = thousandths(quantity) * thousandths(factor)
  if (millionths % 1000n !== 0n) {
    throw new Refusal(
      'QuantityNotExact',
      422,
      `${quantity} ${unit} of part ${part.number} is ${decimal(millionths, 6)} ${part.unit}, which has more than three places; give a quantity that comes out even`,
      { extra: { part: part.number, quantity, unit } }
    )
  }
  const result = millionths / 1000n
  if (result > LARGEST || result < -LARGEST) {
    throw new Refusal(
      'QuantityTooLarge',
      422,
      `${quantity} ${unit} of part ${part.number} is ${decimal(result, 3)} ${part.unit}; the most is ${decimal(LARGEST, 3)}`,
      { extra: { part: part.number, quantity, unit } }
    )
  }
  return decimal(result, 3)
}
