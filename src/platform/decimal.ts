/** A quantity as an exact integer count of thousandths. It has at most three places. */
export function thousandths(quantity: string): bigint {
  const [, sign, whole, places = ''] = /^(-?)(\d+)(?:[.](\d{1,3})0*)?$/.exec(quantity) ?? []
  if (whole === undefined) throw new Error(`${quantity} is not a quantity`)
  return BigInt(`${sign}${whole}${places.padEnd(3, '0')}`)
}

/** An integer count of 10^-places as a decimal string without needless zeros. */
export function decimal(units: bigint, places: number): string {
  const digits = (units < 0n ? -units : units).toString().padStart(places + 1, '0')
  const text = `${digits.slice(0, -places)}.${digits.slice(-places)}`.replace(/[.]?0+$/, '')
  return units < 0n ? `-${text}` : text
}

/** The quantity without needless zeros and signs of nothing: `5.000` and `5` are the same. */
export const normalQuantity = (quantity: string): string => decimal(thousandths(quantity), 3)
