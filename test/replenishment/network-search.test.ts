import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { searchNetwork, type Need, type Option, type Stock } from '../../src/replenishment/network-search.ts'

const whole = (units: number): bigint => BigInt(units) * 1000n
const PART = 1
const itself: Option = { partId: PART, part: 'P', successors: 1n, replaced: 1n, steps: 0 }

const needAt = (
  warehouseId: number,
  { orderUpTo = 10, available = 0, regionId = 1, notFrom = [] as number[] } = {}
): Need => ({
  warehouseId,
  warehouse: `N${warehouseId}`,
  regionId,
  partId: PART,
  part: 'P',
  available: whole(available),
  onOrder: 0n,
  reorderPoint: whole(orderUpTo),
  orderUpTo: whole(orderUpTo),
  notFrom
})

const stockAt = (
  warehouseId: number,
  lots: [receivedOn: string, units: number][],
  { regionId = 1, spare, partId = PART }: { regionId?: number; spare?: number; partId?: number } = {}
): Stock => {
  const aged = lots.reduce((total, [, units]) => total + units, 0)
  return {
    warehouseId,
    warehouse: `G${warehouseId}`,
    regionId,
    region: `R${regionId}`,
    partId,
    part: `P${partId}`,
    available: whole(aged),
    ownNeed: 0n,
    promised: 0n,
    left: whole(spare ?? aged),
    lots: lots.map(([receivedOn, units]) => ({ receivedOn, left: whole(units) })),
    aged: whole(aged)
  }
}

const search = (
  needs: Need[],
  stocks: Stock[],
  { packSize = null, options = [itself] }: { packSize?: bigint | null; options?: Option[] } = {}
) =>
  searchNetwork({
    needs,
    stocks,
    optionsOf: () => options,
    othersHolding: () => 0,
    hereOf: () => undefined,
    orderOf: () => itself,
    termsOf: (_warehouseId, partId) => ({ partId, part: 'P', packSize, suppliers: [], lastSupplier: null }),
    searchedOn: '2026-11-20',
    holdingMonths: 3
  })
const gist = ({ need, kind, quantity, fromWarehouseId }: ReturnType<typeof search>[number]) => [
  need.warehouseId,
  kind,
  fromWarehouseId,
  Number(quantity) / 1000
]

describe('the search before anything is ordered (R-AGE-8)', () => {
  test('what is furthest below its point is served first', () => {
    const found = search([needAt(1, { available: 5 }), needAt(2, { available: 1 })], [stockAt(9, [['2026-01-01', 9]])])
    expect(found.map(gist)).toEqual([
      [2, 'transfer', 9, 9],
      [1, 'order', null, 5]
    ])
  })

  test('lots of several warehouses are taken in the order of their age, and a warehouse is asked once', () => {
    const found = search(
      [needAt(1)],
      [
        stockAt(8, [
          ['2026-01-01', 3],
          ['2026-05-01', 9]
        ]),
        stockAt(9, [['2026-03-01', 4]])
      ]
    )
    expect(found.map(gist)).toEqual([
      [1, 'transfer', 8, 6],
      [1, 'transfer', 9, 4]
    ])
    expect(found[0]?.evidence.asked.map(({ taken }) => taken)).toEqual(['6', '4'])
  })

  test('a substitute stands for more or less than one, in whole units where the need is whole (R-CAT-4)', () => {
    const twoForThree: Option = { partId: 2, part: 'P2', successors: 2n, replaced: 3n, steps: 1 }
    const found = search([needAt(1)], [stockAt(9, [['2026-01-01', 50]], { partId: 2 })], {
      options: [itself, twoForThree]
    })
    expect(found.map(gist)).toEqual([[1, 'transfer', 9, 7]])
  })

  test('what is counted in pieces is moved and ordered in pieces, also beside a substitute that stands for a fraction', () => {
    const threeForOne: Option = { partId: 2, part: 'P2', successors: 3n, replaced: 1n, steps: 1 }
    const found = search(
      [needAt(1)],
      [stockAt(8, [['2026-01-01', 5]], { partId: 2 }), stockAt(9, [['2026-02-01', 4]])],
      { options: [itself, threeForOne] }
    )
    expect(found.map(gist)).toEqual([
      [1, 'transfer', 8, 5],
      [1, 'transfer', 9, 4],
      [1, 'order', null, 5]
    ])
    const little = search(
      [needAt(1, { orderUpTo: 2 })],
      [stockAt(8, [['2026-01-01', 1]], { partId: 2 }), stockAt(9, [['2026-02-01', 9]])],
      { options: [itself, threeForOne] }
    )
    expect(little.map(gist)).toEqual([
      [1, 'transfer', 8, 1],
      [1, 'transfer', 9, 2]
    ])
  })

  test('whatever lies where: nobody gives more than is spare, no lot twice, and what is missing is ordered in whole packs', () => {
    const stock = fc.record({
      warehouseId: fc.integer({ min: 100, max: 130 }),
      regionId: fc.integer({ min: 1, max: 3 }),
      lots: fc.array(
        fc.tuple(fc.constantFrom('2025-01-01', '2025-06-01', '2026-02-01'), fc.integer({ min: 0, max: 20 })),
        {
          maxLength: 4
        }
      ),
      spare: fc.integer({ min: 0, max: 30 })
    })
    const need = fc.record({
      warehouseId: fc.integer({ min: 1, max: 20 }),
      regionId: fc.integer({ min: 1, max: 3 }),
      orderUpTo: fc.integer({ min: 1, max: 40 })
    })
    fc.assert(
      fc.property(
        fc.uniqueArray(stock, { selector: ({ warehouseId }) => warehouseId, maxLength: 8 }),
        fc.uniqueArray(need, { selector: ({ warehouseId }) => warehouseId, maxLength: 8 }),
        fc.integer({ min: 1, max: 7 }),
        (stocks, needs, pack) => {
          const before = stocks.map((of) => stockAt(of.warehouseId, of.lots.toSorted(), of))
          const spare = new Map(
            before.map(({ warehouseId, left, aged }) => [warehouseId, left < aged ? left : aged] as const)
          )
          const found = search(
            needs.map(({ warehouseId, ...of }) => needAt(warehouseId, of)),
            before,
            { packSize: whole(pack) }
          )
          const transfers = found.filter(({ kind }) => kind === 'transfer')
          for (const [giver, most] of spare) {
            const given = transfers.filter(({ fromWarehouseId }) => fromWarehouseId === giver)
            expect(given.reduce((total, { quantity }) => total + quantity, 0n) <= most).toBe(true)
          }
          const isAnythingSpare = [...spare].some(
            ([giver, most]) =>
              most >
              transfers
                .filter(({ fromWarehouseId }) => fromWarehouseId === giver)
                .reduce((total, { quantity }) => total + quantity, 0n)
          )
          for (const { warehouseId, orderUpTo } of needs) {
            const mine = found.filter((proposal) => proposal.need.warehouseId === warehouseId)
            const moved = mine
              .filter(({ kind }) => kind === 'transfer')
              .reduce((total, { quantity }) => total + quantity, 0n)
            const ordered = mine.filter(({ kind }) => kind === 'order')
            const missing = whole(orderUpTo) - moved
            expect(missing >= 0n).toBe(true)
            // Nothing is ordered while something is spare anywhere.
            expect(isAnythingSpare && ordered.length > 0).toBe(false)
            expect(ordered.map(({ quantity }) => quantity)).toEqual(
              missing === 0n ? [] : [((missing + whole(pack) - 1n) / whole(pack)) * whole(pack)]
            )
          }
        }
      )
    )
  })
})
