// Lots and their depreciation by integer arithmetic alone, to hold the service against: first in, first out (R-STK-5); three
// months free, then 8 % of the original cost a month on what is still there, twelve times (R-AGE-1 to R-AGE-3).

const [GRACE_MONTHS, RATE_PERCENT, CHARGES] = [3, 8n, 12]

interface Lot {
  month: number
  /** Ten-thousandths. */
  unitCost: bigint
  /** Thousandths. */
  quantity: bigint
  /** Sum of the charges of the months, without rounding, in 10^-9. */
  exactCharges: bigint
}

/** What the lots of a product came to at the end of a month; amounts in cents unless said otherwise. */
export interface LotFigures {
  /** Lots that hold something. */
  lots: number
  /** Each lot half up to cents. */
  cost: bigint
  /** Each lot: unit cost × quantity at the end of the month × rates up to the month, half up, less the same up to the month before. */
  charge: bigint
  accumulated: bigint
  /** Without rounding, in ten-thousandths of thousandths: 10^-7. */
  exactCost: bigint
  /** The charge read the other way: the exact charges of a lot are summed and the sum is rounded, also when its quantity changes. */
  summedCharge: bigint
}

export class Lots {
  #held: Lot[] = []

  /** @param unitCost with at most four places */
  receive(month: string, unitCost: string, quantity: bigint): void {
    this.#held.push({ month: indexOf(month), unitCost: integerOf(unitCost, 4), quantity, exactCharges: 0n })
  }

  /** Takes the oldest goods first. */
  issue(quantity: bigint): void {
    let left = quantity
    for (const lot of this.#held) {
      const taken = lot.quantity < left ? lot.quantity : left
      lot.quantity -= taken
      left -= taken
    }
    if (left !== 0n) throw new Error('more left than there was')
    this.#held = this.#held.filter((lot) => lot.quantity > 0n)
  }

  /** Charges a month; to be called for each, in order. */
  endMonth(month: string): LotFigures {
    const figures = { lots: this.#held.length, cost: 0n, charge: 0n, accumulated: 0n, exactCost: 0n, summedCharge: 0n }
    for (const lot of this.#held) {
      const exactCost = lot.unitCost * lot.quantity
      const ofMonth = exactCost * RATE_PERCENT
      const [before, now] = [chargesOf(lot, indexOf(month) - 1), chargesOf(lot, indexOf(month))]
      const accumulated = halfUp(ofMonth * now, 9)
      const summed = lot.exactCharges + ofMonth * (now - before)
      figures.cost += halfUp(exactCost, 7)
      figures.charge += accumulated - halfUp(ofMonth * before, 9)
      figures.accumulated += accumulated
      figures.exactCost += exactCost
      figures.summedCharge += halfUp(summed, 9) - halfUp(lot.exactCharges, 9)
      lot.exactCharges = summed
    }
    return figures
  }
}

/** How many charges a lot has had up to and including a month. */
const chargesOf = ({ month }: Lot, until: number): bigint =>
  BigInt(Math.max(0, Math.min(CHARGES, until - month - GRACE_MONTHS + 1)))

const indexOf = (month: string): number => Number(month.slice(0, 4)) * 12 + Number(month.slice(5, 7))

/** An amount that is not negative, in 10^-places, as cents. */
function halfUp(amount: bigint, places: number): bigint {
  const cent = 10n ** BigInt(places - 2)
  return (amount + cent / 2n) / cent
}

/** A decimal that is not negative as an integer of 10^-places. */
export function integerOf(text: string, places: number): bigint {
  const [, whole, fraction = ''] = /^(\d+)(?:[.](\d+))?$/.exec(text) ?? []
  const digits = fraction.replace(/0+$/, '')
  if (whole === undefined || digits.length > places) throw new Error(`${text} is not a number of ${places} places`)
  return BigInt(`${whole}${digits.padEnd(places, '0')}`)
}
