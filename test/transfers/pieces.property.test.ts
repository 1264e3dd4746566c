import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cutPieces, freeOf, freeQuantity, shareUpTo, type Sent } from '../../src/transfers/pieces.ts'

const sent = fc.record({
  line: fc.constant(1),
  quantity: fc.bigInt(1n, 5_000n),
  cost: fc.bigInt(0n, 1_000_000n),
  charge: fc.bigInt(-1n, 1_000_000n),
  held: fc.constant([] as { from: bigint; until: bigint }[])
})

test('a share is rounded half away from nothing, and the whole is the whole', () => {
  expect([shareUpTo(1000n, 3n, 1n), shareUpTo(1000n, 3n, 2n), shareUpTo(1000n, 3n, 3n)]).toEqual([333n, 667n, 1000n])
  expect([shareUpTo(1n, 2n, 1n), shareUpTo(-1n, 2n, 1n)]).toEqual([1n, -1n])
})

test('pieces telescope to the cent, whatever is cut, given back and cut anew (R-AGE-7)', () => {
  fc.assert(
    fc.property(
      fc.array(sent, { minLength: 1, maxLength: 3 }),
      fc.array(fc.record({ share: fc.double({ min: 0, max: 1, noNaN: true }), drops: fc.boolean() }), {
        maxLength: 12
      }),
      (lots, steps) => {
        const taken: { of: number; from: bigint; until: bigint; cost: bigint; charge: bigint }[] = []
        const now = (): Sent[] => lots.map((lot, of) => ({ ...lot, held: taken.filter((piece) => piece.of === of) }))
        for (const { share, drops } of steps) {
          if (drops && taken.length > 0) taken.splice(Math.floor(share * (taken.length - 1)), 1)
          const free = now().reduce((sum, lot) => sum + freeQuantity(lot), 0n)
          const wanted = BigInt(Math.floor(Number(free) * share))
          const here = now()
          for (const piece of cutPieces(here, [wanted]).flat()) taken.push({ ...piece, of: here.indexOf(piece.of) })
        }
        const here = now()
        for (const [of, lot] of here.entries()) {
          const whole = [...taken.filter((piece) => piece.of === of), ...freeOf(lot)].toSorted((a, b) =>
            a.from < b.from ? -1 : 1
          )
          // What is held and what is free lie side by side, without a gap.
          expect(whole.reduce((until, piece) => (expect(piece.from).toBe(until), piece.until), 0n)).toBe(lot.quantity)
        }
        const rest = here.reduce((sum, lot) => sum + freeQuantity(lot), 0n)
        const all = [...taken, ...cutPieces(here, [rest]).flat()]
        const total = (member: 'cost' | 'charge', of: readonly { cost: bigint; charge: bigint }[]) =>
          of.reduce((sum, piece) => sum + piece[member], 0n)
        expect([total('cost', all), total('charge', all)]).toEqual([total('cost', lots), total('charge', lots)])
        expect(() => cutPieces(here, [rest + 1n])).toThrow('not free')
      }
    )
  )
})
