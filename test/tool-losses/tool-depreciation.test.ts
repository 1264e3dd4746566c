import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toolWorth, type ToolPolicy } from '../../src/tool-losses/tool-depreciation.ts'

const STRAIGHT: ToolPolicy = { method: 'straight-line', lifeMonths: 60, residualShare: '0.05' }
const DECLINING: ToolPolicy = { method: 'declining-balance', lifeMonths: 60, residualShare: '0.05' }
const netOn = (value: string, purchasedOn: string, on: string, policy: ToolPolicy = STRAIGHT): string =>
  toolWorth({ value, purchasedOn }, policy, on).netValue

test('a tool is depreciated from the month after its purchase, and the month in which it is lost counts whole (R-TOOL-2)', () => {
  // 1280.00, residual 64.00: 1216.00 ⁄ 60 = 20.2666… a month.
  expect(netOn('1280.00', '2026-03-02', '2026-03-31')).toBe('1280.00')
  expect(netOn('1280.00', '2026-03-02', '2026-04-01')).toBe('1259.73')
  expect(netOn('1280.00', '2026-03-02', '2026-04-30')).toBe('1259.73')
  expect(netOn('1280.00', '2026-03-02', '2026-05-01')).toBe('1239.47')
  expect(netOn('1280.00', '2026-03-31', '2026-05-01')).toBe('1239.47')
  // Twelve months are 243.20 exactly, all sixty 1216.00; then it stays.
  expect(netOn('1280.00', '2026-03-02', '2027-03-01')).toBe('1036.80')
  expect(netOn('1280.00', '2026-03-02', '2031-03-01')).toBe('64.00')
  expect(netOn('1280.00', '2026-03-02', '2040-01-01')).toBe('64.00')
  // A day before the purchase is a slip of the pen and not a value above the price.
  expect(netOn('1280.00', '2026-03-02', '2026-01-01')).toBe('1280.00')
})

test('the steps of a net value are said with it', () => {
  expect(toolWorth({ value: '1280', purchasedOn: '2025-06-15' }, STRAIGHT, '2026-11-20')).toEqual({
    value: '1280.00',
    method: 'straight-line',
    lifeMonths: 60,
    residualValue: '64.00',
    monthsUsed: 17,
    accumulated: '344.53',
    netValue: '935.47'
  })
})

test('double declining balances write off two fifths of what is left each year, and the last two years evenly', () => {
  // The textbook: 100,000 over five years with a residual value of 5,000. 60,000, 36,000, 21,600, then 8,300 twice.
  const onYear = (year: number) => netOn('100000.00', '2020-12-15', `${2020 + year}-12-01`, DECLINING)
  expect([0, 1, 2, 3, 4, 5, 6].map(onYear)).toEqual([
    '100000.00',
    '60000.00',
    '36000.00',
    '21600.00',
    '13300.00',
    '5000.00',
    '5000.00'
  ])
  // Within a year evenly: 40,000 ⁄ 12 = 3,333.33…
  expect(netOn('100000.00', '2020-12-15', '2021-01-31', DECLINING)).toBe('96666.67')
  expect(netOn('100000.00', '2020-12-15', '2024-06-30', DECLINING)).toBe('17450.00')
  // Of two years at most it is a straight line.
  for (const lifeMonths of [12, 24])
    for (let month = 1; month <= 12; month++) {
      const on = `2021-${String(month).padStart(2, '0')}-10`
      expect(netOn('999.99', '2020-12-15', on, { ...DECLINING, lifeMonths })).toBe(
        netOn('999.99', '2020-12-15', on, { ...STRAIGHT, lifeMonths })
      )
    }
})

test('what is no amount is not reckoned with', () => {
  for (const value of ['1.005', '-1', '1e3', '']) expect(() => netOn(value, '2026-01-01', '2026-02-01')).toThrow(value)
  expect(netOn('1.500', '2026-01-01', '2026-01-01')).toBe('1.50')
})

const cents = (amount: string): bigint => BigInt(amount.replace('.', ''))
const amount = fc.bigInt({ min: 0n, max: 10n ** 14n }).map((units) => {
  const digits = units.toString().padStart(3, '0')
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`
})
const share = fc.integer({ min: 0, max: 9999 }).map((units) => `0.${String(units).padStart(4, '0')}`)
const policy: fc.Arbitrary<ToolPolicy> = fc.oneof(
  fc.record({
    method: fc.constant('straight-line' as const),
    lifeMonths: fc.integer({ min: 1, max: 240 }),
    residualShare: share
  }),
  fc.record({
    method: fc.constant('declining-balance' as const),
    lifeMonths: fc.integer({ min: 1, max: 20 }).map((years) => years * 12),
    residualShare: share
  })
)
const purchase = fc
  .integer({ min: 0, max: 3000 })
  .map((days) => Temporal.PlainDate.from('2018-01-01').add({ days }).toString())

test('a net value never rises and never falls below the residual value, begins at the price and ends at the residual value', () => {
  fc.assert(
    fc.property(amount, purchase, policy, (value, purchasedOn, held) => {
      const first = Temporal.PlainDate.from(purchasedOn).toPlainYearMonth()
      let before = cents(value)
      for (let month = 0; month <= held.lifeMonths + 1; month++) {
        const worth = toolWorth(
          { value, purchasedOn },
          held,
          first.add({ months: month }).toPlainDate({ day: 28 }).toString()
        )
        const net = cents(worth.netValue)
        expect(net <= before && net >= cents(worth.residualValue)).toBe(true)
        expect(cents(worth.accumulated) + net).toBe(cents(value))
        const isAsItShould =
          (month > 0 || worth.netValue === worth.value) &&
          (month < held.lifeMonths || worth.netValue === worth.residualValue)
        expect(isAsItShould).toBe(true)
        before = net
      }
    }),
    { numRuns: 200, seed: 20261120 }
  )
})

test('every day of a month has the value of its last day', () => {
  fc.assert(
    fc.property(amount, purchase, policy, fc.integer({ min: 1, max: 2000 }), (value, purchasedOn, held, days) => {
      const on = Temporal.PlainDate.from(purchasedOn).add({ days })
      const worthOn = (day: number) => toolWorth({ value, purchasedOn }, held, on.with({ day }).toString())
      expect(worthOn(1)).toEqual(worthOn(on.daysInMonth))
    }),
    { numRuns: 200, seed: 20261121 }
  )
})

test('a straight line is within half a cent of the exact value, and exact wherever that is whole cents', () => {
  fc.assert(
    fc.property(
      amount,
      share,
      fc.integer({ min: 1, max: 240 }),
      fc.integer({ min: 0, max: 300 }),
      (value, residualShare, life, months) => {
        const on = Temporal.PlainYearMonth.from('2020-01').add({ months }).toPlainDate({ day: 31 }).toString()
        const worth = toolWorth(
          { value, purchasedOn: '2020-01-15' },
          { method: 'straight-line', lifeMonths: life, residualShare },
          on
        )
        const [whole, residual] = [cents(value), cents(worth.residualValue)]
        const exactTimesLife = whole * BigInt(life) - (whole - residual) * BigInt(Math.min(months, life))
        const off = exactTimesLife - cents(worth.netValue) * BigInt(life)
        expect(2n * (off < 0n ? -off : off) <= BigInt(life)).toBe(true)
      }
    ),
    { numRuns: 300, seed: 20261122 }
  )
})
