import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ofOption, search, STEPS, type Step, type Stock, type Want } from '../../src/requests/search.ts'

// Random networks of a few warehouses, two parts that stand for one another, and lines that share them. Quantities in thousandths.

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 300)
const UNIT = 1000n

const units = (max: number) => fc.integer({ min: 0, max }).map((n) => BigInt(n) * UNIT)
const stockIn = (place: number) =>
  fc
    .record({
      step: fc.constantFrom<Step>(...STEPS),
      partId: fc.constantFrom(1, 2),
      ownership: fc.constantFrom('own' as const, 'consigned' as const),
      available: units(9),
      waiting: units(4),
      lots: fc.array(
        fc.record({ receivedOn: fc.constantFrom('2026-01-05', '2026-03-10', '2026-06-30'), quantity: units(5) }),
        {
          maxLength: 3
        }
      ),
      spare: units(9),
      displaceable: units(3)
    })
    .map((stock): Stock => {
      const isNetwork = stock.step === 'regional-network' || stock.step === 'other-regions'
      return {
        ...stock,
        warehouseId: place,
        warehouse: `W${place}`,
        ownership: isNetwork ? 'own' : stock.ownership,
        lots: stock.lots.toSorted((a, b) => (a.receivedOn < b.receivedOn ? -1 : 1)),
        spare: isNetwork ? (stock.spare < stock.available ? stock.spare : stock.available) : stock.available,
        displaceable: stock.step === 'centre' ? stock.displaceable : 0n
      }
    })
const stocks = fc.tuple(...Array.from({ length: 7 }, (_, place) => stockIn(place + 1)))
const wants = fc
  .array(
    fc.record({
      quantity: fc.integer({ min: 1, max: 9 }),
      isWhole: fc.boolean(),
      takesOther: fc.boolean(),
      factor: fc.constantFrom(1n, 2n)
    }),
    {
      minLength: 1,
      maxLength: 4
    }
  )
  .map((lines) =>
    lines.map(({ quantity, isWhole, takesOther, factor }, place): Want => ({
      line: place + 1,
      quantity: BigInt(quantity) * UNIT,
      isWhole,
      options: [
        { partId: 1, part: 'A', factor: UNIT },
        ...(takesOther ? [{ partId: 2, part: 'B', factor: factor * UNIT }] : [])
      ]
    }))
  )

const sum = (values: readonly bigint[]): bigint => values.reduce((all, value) => all + value, 0n)

test('no line gets more than it asks, no warehouse gives more than is there beyond what waits in front (R-REQ-1, R-STK-4)', () => {
  fc.assert(
    fc.property(stocks, wants, (lying, lines) => {
      const found = search(lines, { stocks: lying })
      for (const { line, quantity, isWhole } of lines) {
        const covered = sum(
          found.taken.filter((one) => one.line === line).map((one) => ofOption(one.quantity, one.option))
        )
        const left = found.left.get(line) ?? 0n
        expect(covered + left).toBe(quantity)
        expect(!isWhole || covered === 0n || left === 0n).toBe(true)
      }
      for (const stock of lying) {
        const taken = found.taken.filter((one) => one.stock === stock)
        const displaced = sum(taken.map((one) => one.displaced))
        const given = sum(taken.map((one) => one.quantity)) - displaced
        const free = stock.available > stock.waiting ? stock.available - stock.waiting : 0n
        expect(given <= free).toBe(true)
        expect(displaced <= stock.displaceable).toBe(true)
        const isNetwork = stock.step === 'regional-network' || stock.step === 'other-regions'
        expect(!isNetwork || given <= sum(stock.lots.map(({ quantity }) => quantity)) + stock.spare).toBe(true)
      }
    }),
    { numRuns: RUNS }
  )
})

test('a later step gives only what the steps before it could not, and the evidence adds up to what was taken (R-REQ-1)', () => {
  fc.assert(
    fc.property(stocks, wants, (lying, lines) => {
      const found = search(lines, { stocks: lying })
      for (const { line } of lines) {
        const evidence = found.evidence.get(line) ?? []
        const taken = found.taken.filter((one) => one.line === line)
        for (const one of evidence) {
          const here = taken.filter(({ step, option }) => step === one.step && option.part === one.part)
          expect(Number(one.taken) * 1000).toBe(Number(sum(here.map((each) => each.quantity))))
        }
        // The steps of the part itself come in their order, then those of what stands for it.
        const own = evidence.filter(({ part }) => part === 'A').map(({ step }) => STEPS.indexOf(step))
        expect(own).toEqual(own.toSorted((a, b) => a - b))
        expect(evidence.filter(({ because }) => because === 'covered').length).toBe(found.left.get(line) === 0n ? 1 : 0)
      }
    }),
    { numRuns: RUNS }
  )
})

test('in the network the oldest lots of all warehouses go first, whoever has them (R-AGE-6)', () => {
  fc.assert(
    fc.property(stocks, fc.integer({ min: 1, max: 9 }), (lying, quantity) => {
      const network = lying.map((stock): Stock => ({
        ...stock,
        step: 'regional-network',
        partId: 1,
        ownership: 'own',
        waiting: 0n,
        spare: 0n,
        displaceable: 0n,
        available: sum(stock.lots.map((lot) => lot.quantity))
      }))
      const found = search(
        [
          {
            line: 1,
            quantity: BigInt(quantity) * UNIT,
            isWhole: false,
            options: [{ partId: 1, part: 'A', factor: UNIT }]
          }
        ],
        {
          stocks: network
        }
      )
      const taken = sum(found.taken.map((one) => one.quantity))
      // As many as were taken, off the oldest lots of all.
      const oldest = network
        .flatMap((stock) => stock.lots.map((lot) => ({ ...lot, warehouse: stock.warehouse })))
        .toSorted((a, b) =>
          a.receivedOn === b.receivedOn ? a.warehouse.localeCompare(b.warehouse) : a.receivedOn < b.receivedOn ? -1 : 1
        )
      const wanted = new Map<string, bigint>()
      let open = taken
      for (const lot of oldest) {
        const some = lot.quantity < open ? lot.quantity : open
        open -= some
        if (some > 0n) wanted.set(lot.warehouse, (wanted.get(lot.warehouse) ?? 0n) + some)
      }
      expect(new Map(found.taken.map((one) => [one.stock.warehouse, one.quantity]))).toEqual(wanted)
    }),
    { numRuns: RUNS }
  )
})
