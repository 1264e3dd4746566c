import { decimal, thousandths } from '../platform/decimal.ts'

/** An amount as an exact integer count of cents. */
export function cents(amount: string): bigint {
  const units = thousandths(amount)
  if (units % 10n !== 0n) throw new Error(`${amount} is not an amount of whole cents`)
  return units / 10n
}

/** Cents as an amount with two places. */
export const money = (units: bigint): string => {
  const [whole, places = ''] = decimal(units, 2).split('.')
  return `${whole}.${places.padEnd(2, '0')}`
}

export const least = (...amounts: [bigint, ...bigint[]]): bigint =>
  amounts.reduce((smallest, amount) => (amount < smallest ? amount : smallest))
