// Goods in transit are cut into pieces: what one out slip took from one lot is the stretch [0, sent), and every arrival accounts for a
// piece of it. The value of a piece is a difference of f(x) = round(value · x / sent, 2), so the pieces telescope: however often arrivals
// are cancelled, reversed and written anew, all pieces together are worth to the cent what was sent (R-AGE-7). Pure, in whole numbers:
// quantities in thousandths, amounts in cents.

/** What one out slip took from one lot. */
export interface Sent {
  /** Of the transfer. */
  line: number
  quantity: bigint
  cost: bigint
  charge: bigint
  /** Pieces that are accounted for already, in no order; they do not overlap. */
  held: readonly { from: bigint; until: bigint }[]
}

/** A piece of it, with its share of the value. */
export interface Piece<Of extends Sent> {
  of: Of
  from: bigint
  until: bigint
  cost: bigint
  charge: bigint
}

/** `value · x / sent`, rounded half away from zero. */
export function shareUpTo(value: bigint, sent: bigint, x: bigint): bigint {
  const [size, sign] = value < 0n ? [-value, -1n] : [value, 1n]
  return (sign * (2n * size * x + sent)) / (2n * sent)
}

/** The free stretches of what was sent, lowest first. */
export function freeOf({ quantity, held }: Sent): { from: bigint; until: bigint }[] {
  const free: { from: bigint; until: bigint }[] = []
  let from = 0n
  for (const taken of held.toSorted((a, b) => (a.from < b.from ? -1 : 1))) {
    if (taken.from > from) free.push({ from, until: taken.from })
    if (taken.until > from) from = taken.until
  }
  if (from < quantity) free.push({ from, until: quantity })
  return free
}

export const freeQuantity = (sent: Sent): bigint =>
  freeOf(sent).reduce((sum, { from, until }) => sum + (until - from), 0n)

/**
 * Cuts quantities one after the other from the lowest free stretches, in the order of what was sent; `wanted` says how much of each.
 * @returns for each of `wanted` its pieces
 * @throws Error if there is not so much
 */
export function cutPieces<Of extends Sent>(sent: readonly Of[], wanted: readonly bigint[]): Piece<Of>[][] {
  const free = sent.flatMap((of) => freeOf(of).map((stretch) => ({ of, ...stretch })))
  let place = 0
  return wanted.map((quantity) => {
    const pieces: Piece<Of>[] = []
    for (let open = quantity; open > 0n;) {
      const stretch = free[place]
      if (stretch === undefined) throw new Error(`${quantity} thousandths are not free`)
      const { of, from } = stretch
      const until = from + open < stretch.until ? from + open : stretch.until
      const share = (value: bigint) => shareUpTo(value, of.quantity, until) - shareUpTo(value, of.quantity, from)
      pieces.push({ of, from, until, cost: share(of.cost), charge: share(of.charge) })
      open -= until - from
      stretch.from = until
      if (stretch.from === stretch.until) place++
    }
    return pieces
  })
}
