// What a tool is still worth (R-TOOL-2), worked out exactly: amounts are whole cents, shares whole ten-thousandths, and nothing is rounded
// before the end.

/** How tools lose value: the row of `tool_policy` that held when the tool was bought. */
export interface ToolPolicy {
  method: 'straight-line' | 'declining-balance'
  /** Months of service until the residual value is reached. */
  lifeMonths: number
  /** What is left of the value at the end of its life, as a share of it: a decimal string from 0 to 1 with at most four places. */
  residualShare: string
}

/** A net value with the steps that lead to it. Amounts are decimal strings of two places. */
export interface ToolWorth {
  value: string
  method: ToolPolicy['method']
  lifeMonths: number
  residualValue: string
  /** Months that were depreciated, at most the life. */
  monthsUsed: number
  accumulated: string
  netValue: string
}

/** Years at the end of a life in which declining balances are written off evenly, as the double declining balance is taught (双倍余额递减法). */
const EVEN_YEARS = 2
const MONTHS_PER_YEAR = 12

/**
 * The net value of a tool on a day.
 *
 * Months: depreciation begins in the month after the purchase, and the month in which the tool is lost still counts whole (当月增加,下月
 * 起计提;当月减少,当月仍计提: CAS 4, Application Guidance), so a tool that is lost in the month of its purchase is worth its price.
 *
 *     used = min(months from the month of purchase to the month of the day, life)
 *     residual = round(value × residual share, 2)
 *
 * Straight line (年限平均法): `net = value − (value − residual) × used ⁄ life`.
 *
 * Declining balance (双倍余额递减法): each year but the last two writes off 2 ⁄ years of what was left at its beginning, evenly over its months;
 * the last two write off the rest down to the residual value evenly. Never below the residual value, which a large residual share reaches
 * early. A life is whole years then; of two years at most it is a straight line.
 *
 * Net value is rounded half up to cents, once, at the end. It never rises from one month to the next, and is the value in the first month
 * and the residual value from the last one on.
 * @param value purchase price, a decimal string of at most two places
 * @param purchasedOn, @param on days; a day before the purchase counts as the day of it
 */
export function toolWorth(
  { value, purchasedOn }: { value: string; purchasedOn: string },
  { method, lifeMonths, residualShare }: ToolPolicy,
  on: string
): ToolWorth {
  const cents = scaled(value, 2)
  const residual = roundedQuotient(cents * scaled(residualShare, 4), 10_000n)
  const used = Math.min(Math.max(monthOf(on) - monthOf(purchasedOn), 0), lifeMonths)
  const left =
    method === 'straight-line'
      ? roundedQuotient(cents * BigInt(lifeMonths) - (cents - residual) * BigInt(used), BigInt(lifeMonths))
      : declining(cents, residual, lifeMonths / MONTHS_PER_YEAR, used)
  return {
    value: money(cents),
    method,
    lifeMonths,
    residualValue: money(residual),
    monthsUsed: used,
    accumulated: money(cents - left),
    netValue: money(left)
  }
}

/** @param years whole, @param used months. All amounts in cents. */
function declining(cents: bigint, residual: bigint, years: number, used: number): bigint {
  const evenFrom = Math.max(years - EVEN_YEARS, 0)
  const year = Math.min(Math.floor(used / MONTHS_PER_YEAR), evenFrom)
  const months = BigInt(used - year * MONTHS_PER_YEAR)
  // What is left at the beginning of that year is `top ⁄ bottom`: value × ((years − 2) ⁄ years)^year.
  const top = cents * BigInt(Math.max(years - 2, 0)) ** BigInt(year)
  const bottom = BigInt(years) ** BigInt(year)
  const floor = residual * bottom
  const start = top > floor ? top : floor
  if (year === evenFrom) {
    const span = BigInt((years - evenFrom) * MONTHS_PER_YEAR)
    return roundedQuotient(start * span - (start - floor) * months, bottom * span)
  }
  const span = BigInt(years * MONTHS_PER_YEAR)
  const left = roundedQuotient(start * (span - 2n * months), bottom * span)
  return left > residual ? left : residual
}

const monthOf = (day: string): number => {
  const { year, month } = Temporal.PlainDate.from(day)
  return year * MONTHS_PER_YEAR + month
}

/** A decimal string of at most `places` places as a whole count of its last place. */
function scaled(amount: string, places: number): bigint {
  const [whole = '', fraction = ''] = amount.split('.')
  if (!/^\d+$/.test(whole) || !/^\d*$/.test(fraction) || /[1-9]/.test(fraction.slice(places)))
    throw new Error(`${amount} is not a decimal of at most ${places} places`)
  return BigInt(whole + fraction.slice(0, places).padEnd(places, '0'))
}

/** Rounded half up; neither is negative. */
const roundedQuotient = (top: bigint, bottom: bigint): bigint => (2n * top + bottom) / (2n * bottom)

const money = (cents: bigint): string => {
  const digits = cents.toString().padStart(3, '0')
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`
}
