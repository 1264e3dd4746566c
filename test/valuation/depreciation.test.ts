import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { depreciationRows } from '../../src/valuation/depreciation.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type Kernel, type Shelf } from '../support/kernel.ts'
import type { MadePerson } from '../support/make.ts'
import { closeMonth, monthsFrom } from '../support/month-end.ts'

let h: Harness
let closer: MadePerson
beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2028-06-15T10:00')
  closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
})
afterAll(() => h.close())

const close = (k: Kernel, period: string) => closeMonth(h, closer.actor, k.warehouse, period)

/** The frozen rows of a month, or with `preview` what an open one would freeze. */
const rowsOf = (k: Kernel, period: string, { preview = false } = {}) =>
  depreciationRows(k.ctx, { warehouse: k.warehouse, period, isClosed: !preview }, {})

/** One lot from its receipt to its end, and what each month charges it from the first charged one on. */
interface Life {
  title: string
  unitCost: string
  quantity: string
  receivedOn: string
  issues?: { on: string; quantity: string }[]
  /** The month in which the service begins, if the lot is older: it is then taken over as opening stock. */
  serviceStart?: string
  through: string
  firstCharge: string
  charges: string[]
  total: string
}

const twelve = (charge: string): string[] => Array.from({ length: 12 }, () => charge)

const LIVES: Life[] = [
  {
    title: 'a quantity that does not change',
    unitCost: '25.0000',
    quantity: '10',
    receivedOn: '2025-03-10',
    through: '2026-07',
    firstCharge: '2025-06',
    charges: twelve('20.00'),
    total: '240.00'
  },
  {
    title: 'received on the last day of August: free in August, September and October',
    unitCost: '7.7700',
    quantity: '13',
    receivedOn: '2025-08-31',
    through: '2026-12',
    firstCharge: '2025-11',
    charges: ['8.08', '8.08', '8.08', '8.08', '8.08', '8.08', '8.09', '8.08', '8.08', '8.08', '8.08', '8.08'],
    total: '96.97'
  },
  {
    title: 'a part issued on the last day of a month, unit cost of four decimals',
    unitCost: '1.2114',
    quantity: '40',
    receivedOn: '2025-05-06',
    issues: [{ on: '2025-09-30', quantity: '13' }],
    through: '2026-09',
    firstCharge: '2025-08',
    charges: ['3.88', '2.61', '2.62', '2.62', '2.61', '2.62', '2.62', '2.61', '2.62', '2.62', '2.61', '2.62'],
    total: '32.66'
  },
  {
    title: 'all of it issued on the last day of the third month',
    unitCost: '60.0000',
    quantity: '2',
    receivedOn: '2025-01-31',
    issues: [{ on: '2025-03-31', quantity: '2' }],
    through: '2026-05',
    firstCharge: '2025-04',
    charges: twelve('0.00'),
    total: '0.00'
  },
  {
    title: 'free months across a leap February',
    unitCost: '9.9900',
    quantity: '5',
    receivedOn: '2023-12-31',
    through: '2025-04',
    firstCharge: '2024-03',
    charges: ['4.00', '3.99', '4.00', '3.99', '4.00', '4.00', '3.99', '4.00', '3.99', '4.00', '4.00', '3.99'],
    total: '47.95'
  },
  {
    title: 'received before the service began, still in its free months',
    unitCost: '18.0000',
    quantity: '6',
    receivedOn: '2025-08-20',
    serviceStart: '2025-10',
    through: '2026-12',
    firstCharge: '2025-11',
    charges: twelve('8.64'),
    total: '103.68'
  },
  // 0.08 × 3 × 33.3333 = 7.999992 a month; nine charges before the service are taken: 71.999928 → 72.00, 79.99992 → 80.00 …
  {
    title: 'received before the service began, nine charges taken as opening depreciation',
    unitCost: '33.3333',
    quantity: '3',
    receivedOn: '2025-01-15',
    serviceStart: '2026-01',
    through: '2026-06',
    firstCharge: '2026-01',
    charges: ['8.00', '8.00', '8.00'],
    total: '24.00'
  },
  {
    title: 'received before the service began, all twelve charges taken',
    unitCost: '10.0000',
    quantity: '1.5',
    receivedOn: '2024-01-01',
    serviceStart: '2026-01',
    through: '2026-03',
    firstCharge: '2026-01',
    charges: [],
    total: '0.00'
  },
  // 0.08 × 0.0625 = 0.005: the first charge is half a cent, which rounds up, and only every second one is more than nothing.
  {
    title: 'charges of half a cent',
    unitCost: '0.5000',
    quantity: '0.125',
    receivedOn: '2025-10-31',
    through: '2027-02',
    firstCharge: '2026-01',
    charges: ['0.01', '0.00', '0.01', '0.00', '0.01', '0.00', '0.01', '0.00', '0.01', '0.00', '0.01', '0.00'],
    total: '0.06'
  },
  {
    title: 'all of it issued in the middle of its charged months',
    unitCost: '12.5000',
    quantity: '4',
    receivedOn: '2025-02-28',
    issues: [
      { on: '2025-06-01', quantity: '1' },
      { on: '2025-08-31', quantity: '3' }
    ],
    through: '2025-10',
    firstCharge: '2025-05',
    charges: ['4.00', '3.00', '3.00'],
    total: '10.00'
  }
]

const cents = (amount: string): bigint => BigInt(amount.replace('.', ''))
const monthOf = (day: string): string => day.slice(0, 7)

describe('the life of a lot, every month closed (R-AGE-1, R-AGE-2, R-AGE-3)', () => {
  test.for(LIVES)('$title', async (life) => {
    const { unitCost, quantity, receivedOn, issues = [], serviceStart, through, firstCharge, charges, total } = life
    const k = await kernel(h)
    const shelf = await k.shelf()
    const start = serviceStart ?? monthOf(receivedOn)
    await k.receive(shelf, quantity, unitCost, serviceStart ? { on: `${start}-01`, receivedOn } : { on: receivedOn })

    const months = monthsFrom(start, through)
    const charged: Record<string, string> = {}
    for (const month of months) {
      for (const issue of issues.filter(({ on }) => monthOf(on) === month))
        await k.issue(shelf, issue.quantity, { on: issue.on })
      await close(k, month)
      charged[month] = (await rowsOf(k, month))[0]?.charge ?? '0.00'
    }

    const expected = Object.fromEntries(months.map((month) => [month, '0.00']))
    for (const [index, month] of monthsFrom(firstCharge, through).entries()) expected[month] = charges[index] ?? '0.00'
    expect(charged).toEqual(expected)
    expect(Object.values(charged).reduce((sum, charge) => sum + cents(charge), 0n)).toBe(cents(total))
    expect((await verifyLedger(k.ctx, { warehouse: k.warehouse.code })).findings).toEqual([])
  })
})

// The rule once more, in whole numbers and without the database: months are counted, money is in cents, quantities in
// thousandths, unit costs and rates in ten-thousandths.

interface Policy {
  from: number
  grace: number
  rate: bigint
  count: number
}
const STANDARD: Policy = { from: 0, grace: 3, rate: 800n, count: 12 }

const index = (month: string): number => Number(month.slice(0, 4)) * 12 + Number(month.slice(5, 7))

/** Summed rates month by month: what each month of the lot's life adds under the policy in force in it, at most the whole. */
function ratesUntil(policies: Policy[], aged: number, until: number): bigint {
  let rates = 0n
  for (let month = aged; month <= until; month++) {
    const policy = policies.findLast(({ from }) => from <= month)
    const number = month - aged - (policy?.grace ?? 0)
    if (policy !== undefined && number >= 0 && number < policy.count) rates += policy.rate
  }
  return rates > 10_000n ? 10_000n : rates
}

/** Half up; only for amounts that are not negative. */
const rounded = (value: bigint, unit: bigint): bigint => (value + unit / 2n) / unit
const costOf = (unitCost: bigint, quantity: bigint): bigint => rounded(unitCost * quantity, 100_000n)
const chargeOf = (unitCost: bigint, quantity: bigint, rates: bigint): bigint =>
  rounded(unitCost * quantity * rates, 1_000_000_000n)

const decimal = (value: bigint, places: number): string => {
  const digits = String(value).padStart(places + 1, '0')
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`
}

interface ModelLot {
  unitCost: bigint
  left: bigint
  receivedOn: string
  order: number
}

/** What the frozen rows of a month must say of these lots. */
const expectedRows = (lots: ModelLot[], month: string, policies = [STANDARD]) =>
  lots
    .filter(({ left }) => left > 0n)
    .map(({ unitCost, left, receivedOn }) => {
      const aged = index(receivedOn)
      const accumulated = chargeOf(unitCost, left, ratesUntil(policies, aged, index(month)))
      const before = chargeOf(unitCost, left, ratesUntil(policies, aged, index(month) - 1))
      const cost = costOf(unitCost, left)
      return {
        receivedOn,
        ageMonths: index(month) - aged + 1,
        quantity: left,
        cost: decimal(cost, 2),
        charge: decimal(accumulated - before, 2),
        accumulatedDepreciation: decimal(accumulated, 2),
        netBookValue:
          (cost - accumulated < 0n ? '-' : '') +
          decimal(cost - accumulated < 0n ? accumulated - cost : cost - accumulated, 2)
      }
    })

const thousandths = (quantity: string): bigint => {
  const [whole = '', part = ''] = quantity.split('.')
  return BigInt(whole + part.padEnd(3, '0'))
}

const frozenRows = async (k: Kernel, shelf: Shelf, month: string, given: { preview?: boolean } = {}) =>
  (await rowsOf(k, month, given))
    .filter(({ part }) => part === shelf.part)
    .map(({ receivedOn, ageMonths, quantity, cost, charge, accumulatedDepreciation, netBookValue }) => ({
      receivedOn,
      ageMonths,
      quantity: thousandths(quantity),
      cost,
      charge,
      accumulatedDepreciation,
      netBookValue
    }))

const FIRST = '2026-01'
const MONTHS = monthsFrom(FIRST, '2027-06')
const dayOf = fc
  .tuple(fc.nat(MONTHS.length - 1), fc.constantFrom('01', '15', '28'))
  .map(([month, day]) => `${MONTHS[month]}-${day}`)
const lifeOfPart = fc.record({
  receipts: fc.array(
    fc.record({
      on: dayOf,
      /** Months the goods are older than their receipt here. */
      older: fc.constantFrom(0, 0, 0, 1, 2, 3, 7, 14, 15, 40),
      unitCost: fc.bigInt({ min: 0n, max: 99_999_999n }),
      quantity: fc.bigInt({ min: 1n, max: 999_999n })
    }),
    { minLength: 1, maxLength: 3 }
  ),
  issues: fc.array(fc.record({ on: dayOf, quantity: fc.bigInt({ min: 1n, max: 500_000n }) }), { maxLength: 6 })
})

/** Goods come in and leave, oldest first, and every month is closed: the frozen rows are those of the rule, to the cent. */
test(
  'any lots, of whatever cost, quantity, age and issues, are charged by the rule (R-AGE-1, R-AGE-2, R-AGE-3, R-STK-5)',
  { timeout: 180_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(lifeOfPart, { minLength: 1, maxLength: 3 }), async (lives) => {
        const k = await kernel(h)
        const parts = await Promise.all(
          lives.map(async (life) => ({ ...life, shelf: await k.shelf(), lots: [] as ModelLot[] }))
        )
        let order = 0
        const months = MONTHS.slice(
          Math.min(...lives.flatMap(({ receipts }) => receipts.map(({ on }) => MONTHS.indexOf(monthOf(on)))))
        )
        for (const month of months) {
          for (const { shelf, lots, receipts, issues } of parts) {
            const events = [
              ...receipts.map((receipt) => ({ ...receipt, kind: 'receive' as const })),
              ...issues.map((issue) => ({ ...issue, kind: 'issue' as const }))
            ]
              .filter(({ on }) => monthOf(on) === month)
              .toSorted((a, b) => a.on.localeCompare(b.on))
            for (const event of events) {
              if (event.kind === 'receive') {
                const { on, older, unitCost, quantity } = event
                const receivedOn = Temporal.PlainDate.from(on).subtract({ months: older }).toString()
                await k.receive(shelf, decimal(quantity, 3), decimal(unitCost, 4), { on, receivedOn })
                lots.push({ unitCost, left: quantity, receivedOn, order: ++order })
              } else {
                const there = lots.reduce((sum, { left }) => sum + left, 0n)
                let wanted = event.quantity < there ? event.quantity : there
                if (wanted === 0n) continue
                await k.issue(shelf, decimal(wanted, 3), { on: event.on })
                for (const lot of lots.toSorted(
                  (a, b) => a.receivedOn.localeCompare(b.receivedOn) || a.order - b.order
                )) {
                  const taken = wanted < lot.left ? wanted : lot.left
                  lot.left -= taken
                  wanted -= taken
                }
              }
            }
          }
          await close(k, month)
          for (const { shelf, lots } of parts)
            expect(await frozenRows(k, shelf, month)).toEqual(expectedRows(lots, month))
        }
        // What a lot on hand was charged never exceeds 96 % of its cost.
        for (const { lots } of parts)
          for (const { unitCost, left } of lots)
            expect(chargeOf(unitCost, left, ratesUntil([STANDARD], 0, 1_000))).toBe(chargeOf(unitCost, left, 9_600n))
        expect((await verifyLedger(k.ctx, { warehouse: k.warehouse.code })).findings).toEqual([])
      }),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 15), endOnFailure: true }
    )
  }
)

/** Charges that were frozen for a lot, by month. */
async function chargesOf(k: Kernel, part: string, months: string[]): Promise<string[]> {
  const charges: string[] = []
  for (const month of months) charges.push((await rowsOf(k, month)).find((row) => row.part === part)?.charge ?? '-')
  return charges
}

test('a lot nobody touches is charged 96 % of its cost and not a cent more, in months 4 to 15', async () => {
  const k = await kernel(h)
  const shelf = await k.shelf()
  await k.receive(shelf, '0.777', '123.4567', { on: '2026-01-31' })
  const months = monthsFrom('2026-01', '2027-06')
  for (const month of months) await close(k, month)

  const charges = await chargesOf(k, shelf.part, months)

  const charged = charges.map((charge) => charge !== '0.00')
  expect(charged).toEqual(months.map((_, place) => place >= 3 && place < 15))
  // 123.4567 × 0.777 = 95.9258559, of which 96 % are 92.08882…
  expect(charges.reduce((sum, charge) => sum + cents(charge), 0n)).toBe(9209n)
  const [last] = await rowsOf(k, '2027-06')
  expect(last).toMatchObject({
    cost: '95.93',
    accumulatedDepreciation: '92.09',
    netBookValue: '3.84',
    monthsCharged: 12,
    ageMonths: 18
  })
})

test('consigned goods are in no depreciation, own nonconforming goods are charged like all others (R-STK-6, R-AGE-5)', async () => {
  const k = await kernel(h)
  const good = await k.shelf()
  const faulty: Shelf = { ...good, condition: 'nonconforming' }
  const consigned: Shelf = { ...good, ownership: 'consigned' }
  await k.receive(good, '1', '100.0000', { on: '2026-01-05' })
  await k.receive(faulty, '2', '100.0000', { on: '2026-01-05' })
  await k.receive(consigned, '3', null, { on: '2026-01-05' })
  for (const month of monthsFrom('2026-01', '2026-04')) await close(k, month)

  const rows = await rowsOf(k, '2026-04')

  expect(rows.map(({ condition, quantity, charge }) => [condition, quantity, charge])).toEqual([
    ['nonconforming', '2', '16.00'],
    ['qualified', '1', '8.00']
  ])
})

test('the preview of an open month is what closing it freezes', async () => {
  const k = await kernel(h)
  const shelf = await k.shelf()
  await k.receive(shelf, '7.5', '19.9999', { on: '2026-01-05' })
  await k.issue(shelf, '2.25', { on: '2026-05-31' })
  for (const month of monthsFrom('2026-01', '2026-05')) {
    const preview = await rowsOf(k, month, { preview: true })
    await close(k, month)
    expect(await rowsOf(k, month)).toEqual(preview.map((row) => ({ ...row, state: 'closed' })))
  }
})

test('what came back was not charged while it was away, and its later charges are the rule again (R-IN-3)', async () => {
  const k = await kernel(h)
  const shelf = await k.shelf()
  await k.receive(shelf, '10', '10.0000', { on: '2026-01-05' })
  for (const month of monthsFrom('2026-01', '2026-04')) await close(k, month)
  const issue = await k.postSlip([k.entry(shelf, '-4')], { on: '2026-05-10' })
  for (const month of monthsFrom('2026-05', '2026-06')) await close(k, month)
  await k.undo(issue, [k.entry(shelf, '4', { sourceLine: 1 })], { on: '2026-07-02' })
  for (const month of monthsFrom('2026-07', '2027-06')) await close(k, month)

  const byLot = async (month: string) =>
    (await rowsOf(k, month)).map(({ quantity, monthsCharged, charge, accumulatedDepreciation, ageMonths }) => [
      quantity,
      ageMonths,
      monthsCharged,
      charge,
      accumulatedDepreciation
    ])

  expect(await byLot('2026-07')).toEqual([
    ['6', 7, 4, '4.80', '19.20'],
    ['4', 7, 2, '3.20', '6.40']
  ])
  // Two of its twelve charges fell into the months it was away, and are not made up for.
  expect(await byLot('2027-04')).toEqual([
    ['6', 16, 12, '0.00', '57.60'],
    ['4', 16, 10, '0.00', '32.00']
  ])
  expect((await verifyLedger(k.ctx, { warehouse: k.warehouse.code })).findings).toEqual([])
})

test('a change of policy moves later months only, and no frozen one (R-AGE-2)', async () => {
  const changed = await openHarness()
  try {
    changed.clock.set('2028-06-15T10:00')
    const finance = await changed.make.person({ grants: [{ duty: 'hq-finance' }] })
    const k = await kernel(changed)
    const shelf = await k.shelf()
    const young = await k.shelf()
    await k.receive(shelf, '3', '33.3333', { on: '2026-01-05' })
    await k.receive(young, '3', '33.3333', { on: '2026-07-05' })
    const lots: ModelLot[] = [{ unitCost: 333_333n, left: 3_000n, receivedOn: '2026-01-05', order: 1 }]
    const youngLots: ModelLot[] = [{ unitCost: 333_333n, left: 3_000n, receivedOn: '2026-07-05', order: 2 }]
    const closeHere = (month: string) => closeMonth(changed, finance.actor, k.warehouse, month)
    for (const month of monthsFrom('2026-01', '2026-06')) await closeHere(month)
    const frozen = () =>
      changed.sql(
        `select period, content, sha256, (select string_agg(d::text, '' order by d::text) from depreciation_line d where d.warehouse_id = s.warehouse_id and d.period = s.period) as lines
           from period_statement s where warehouse_id = $1 and period <= '2026-06-01' order by period`,
        [k.warehouse.id]
      )
    const before = await frozen()

    await changed.sql(
      `update depreciation_policy set effective_until = '2026-08-01' where effective_from = '0001-01-01'`
    )
    await changed.sql(
      `insert into depreciation_policy (effective_from, grace_months, rate, charge_count) values ('2026-08-01', 1, 0.05, 20)`
    )

    const policies = [STANDARD, { from: index('2026-08'), grace: 1, rate: 500n, count: 20 }]
    const months = monthsFrom('2026-07', '2028-05')
    for (const month of months) {
      await closeHere(month)
      expect(await frozenRows(k, shelf, month)).toEqual(expectedRows(lots, month, policies))
      expect(await frozenRows(k, young, month)).toEqual(expectedRows(youngLots, month, policies))
    }
    // The fourth to sixth month at 8 %, then 5 % up to the 21st month of its life: 32 % + 70 %, of which the last takes what is left.
    const charges = await chargesOf(k, shelf.part, monthsFrom('2026-03', '2027-10'))
    expect(charges.slice(0, 6)).toEqual(['0.00', '8.00', '8.00', '8.00', '8.00', '5.00'])
    expect(charges.slice(-2)).toEqual(['3.00', '0.00'])
    expect(await frozen()).toEqual(before)
  } finally {
    await changed.close()
  }
})

test('a policy with a longer grace charges no finished lot again: 4 % remain (R-AGE-2)', async () => {
  const changed = await openHarness()
  try {
    changed.clock.set('2028-06-15T10:00')
    const k = await kernel(changed)
    const [finished, half] = [await k.shelf(), await k.shelf()]
    await k.receive(finished, '1', '1000', { on: '2025-10-05' })
    await k.receive(half, '1', '1000', { on: '2026-08-05' })
    await changed.sql(
      `update depreciation_policy set effective_until = '2027-02-01' where effective_from = '0001-01-01'`
    )
    await changed.sql(
      `insert into depreciation_policy (effective_from, grace_months, rate, charge_count) values ('2027-02-01', 6, 0.08, 12)`
    )

    const at = async (period: string) =>
      (await depreciationRows(k.ctx, { warehouse: k.warehouse, period, isClosed: false }, {})).map(
        ({ charge, accumulatedDepreciation, monthsCharged }) => [charge, accumulatedDepreciation, monthsCharged]
      )

    expect(await at('2027-01')).toEqual([
      ['0.00', '960.00', 12],
      ['80.00', '240.00', 3]
    ])
    // The other one had three charges of twelve, and gets the nine that are left.
    expect(await at('2027-10')).toEqual([
      ['0.00', '960.00', 12],
      ['80.00', '960.00', 12]
    ])
    expect(await at('2028-05')).toEqual([
      ['0.00', '960.00', 12],
      ['0.00', '960.00', 12]
    ])
  } finally {
    await changed.close()
  }
})

test('months in which a policy charges nothing are not counted as charged', async () => {
  const changed = await openHarness()
  try {
    changed.clock.set('2028-06-15T10:00')
    const k = await kernel(changed)
    await k.receive(await k.shelf(), '1', '1000', { on: '2026-01-05' })
    await changed.sql(
      `update depreciation_policy set effective_until = '2026-06-01' where effective_from = '0001-01-01'`
    )
    await changed.sql(
      `insert into depreciation_policy (effective_from, grace_months, rate, charge_count) values ('2026-06-01', 0, 0, 240)`
    )

    const [row] = await depreciationRows(k.ctx, { warehouse: k.warehouse, period: '2027-03', isClosed: false }, {})

    expect([row?.charge, row?.accumulatedDepreciation, row?.monthsCharged]).toEqual(['0.00', '160.00', 2])
  } finally {
    await changed.close()
  }
})
