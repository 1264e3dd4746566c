import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { forecastBy } from '../../src/replenishment/forecast.ts'
import { gamma, negativeBinomial, poisson } from '../../src/replenishment/distribution.ts'
import { levelOf, serviceAt, type LevelOptions } from '../../src/replenishment/reorder-level.ts'
import { expectClose } from './expect-close.ts'

const cycleService = (level: number) => ({ measure: 'cycle-service', level }) as const
const fillRate = (level: number) => ({ measure: 'fill-rate', level }) as const
const options = (of: Partial<LevelOptions> = {}): LevelOptions => ({
  leadTimeDays: 60.875,
  packSize: null,
  target: cycleService(0.95),
  ...of
})

const STEADY = [2, 1, 3, 0, 2, 4, 1, 2, 3, 1, 0, 2, 3, 5, 2, 1]
const CLUSTERED = [0, 3, 0, 9, 1, 0, 14, 2, 0, 5, 0, 1, 7, 0, 3, 0, 0, 11, 2, 4]
const REGULAR = Array.from({ length: 24 }, (_, i) => 10 + (i % 2))

describe('the reorder point comes from the demand of the lead time (R-ORD-1)', () => {
  test('Poisson', () => {
    const level = levelOf(STEADY, options({ method: 'ses' }))
    const mean = 2 * forecastBy('ses', STEADY)
    const demand = poisson(mean)
    expect(level).toEqual({
      reorderPoint: String(demand.quantile(0.95)),
      orderUpTo: String(demand.quantile(0.95) + Math.ceil(mean / 2)),
      demandClass: 'smooth',
      adi: 16 / 14,
      cv2: level.cv2,
      method: 'ses',
      monthlyMean: mean / 2,
      monthlyVariance: mean / 2,
      leadTimeMean: mean,
      leadTimeVariance: mean,
      distribution: 'poisson',
      achieved: demand.cdf(demand.quantile(0.95))
    })
  })

  test('negative binomial, with the ratio of variance to mean that the months have', () => {
    const level = levelOf(CLUSTERED, options({ method: 'sba' }))
    const mean = 2 * forecastBy('sba', CLUSTERED)
    const sample = CLUSTERED.reduce((sum, month) => sum + month, 0) / CLUSTERED.length
    const variance = CLUSTERED.reduce((sum, month) => sum + (month - sample) ** 2, 0) / (CLUSTERED.length - 1)
    expect(level.distribution).toBe('negative-binomial')
    expectClose(level.leadTimeMean, mean, 1e-12, 'mean')
    expectClose(level.leadTimeVariance, (mean * variance) / sample, 1e-12, 'variance')
    expect(level.reorderPoint).toBe(String(negativeBinomial(mean, (mean * variance) / sample).quantile(0.95)))
  })

  test('empirical, where demand is as regular as none of the others', () => {
    const level = levelOf(REGULAR, options({ leadTimeDays: 30.4375, method: 'ses' }))
    expect(level).toMatchObject({ reorderPoint: '11', orderUpTo: '22', distribution: 'empirical', achieved: 1 })
  })

  test('empirical, in thousandths, where demand comes in fractions of a unit', () => {
    const level = levelOf([0.5, 1.25, 0, 0.75, 0.5, 1, 0.25, 0.5], options({ leadTimeDays: 30.4375, method: 'ses' }))
    expect(level).toMatchObject({ distribution: 'empirical' })
    expect(Number(level.reorderPoint) % 0.25).toBe(0)
    expect(Number(level.orderUpTo)).toBeCloseTo(
      Number(level.reorderPoint) + Math.ceil(level.monthlyMean * 1000) / 1000,
      6
    )
  })

  test('none without demand: nothing is kept', () =>
    expect(levelOf([0, 0, 0], options())).toEqual({
      reorderPoint: '0',
      orderUpTo: '0',
      demandClass: 'none',
      adi: null,
      cv2: null,
      method: null,
      monthlyMean: 0,
      monthlyVariance: 0,
      leadTimeMean: 0,
      leadTimeVariance: 0,
      distribution: 'none',
      achieved: 1
    }))

  test('a part wanted once in years is ordered when the last is gone', () => {
    const once = [...Array.from({ length: 30 }, () => 0), 1, ...Array.from({ length: 10 }, () => 0)]
    expect(levelOf(once, options({ leadTimeDays: 14 }))).toMatchObject({ reorderPoint: '0', orderUpTo: '1' })
  })

  test('a part that would be asked for less than once in five years is not kept, and what that achieves is said', () => {
    const zeros = (count: number) => Array.from({ length: count }, () => 0)
    const gone = [2, 3, 0, 2, 1, 3, ...zeros(48)]
    const level = levelOf(gone, options({ method: 'ses' }))
    expect(level).toMatchObject({ reorderPoint: '0', orderUpTo: '0', method: 'ses' })
    expect(level.monthlyMean).toBeGreaterThan(0)
    expect(level.achieved).toBeGreaterThan(0.9)
    expect(levelOf(gone, options({ method: 'ses', target: fillRate(0.95) }))).toMatchObject({
      orderUpTo: '0',
      achieved: 0
    })
    expect(levelOf([...gone, 1], options({ method: 'ses' })).orderUpTo).not.toBe('0')
  })

  test('large demand is no different', () => {
    const demand = STEADY.map((month) => month * 40_000)
    const level = levelOf(demand, options({ method: 'ses' }))
    expect(level.distribution).toBe('negative-binomial')
    expect(Number(level.reorderPoint)).toBe(
      Math.ceil(gamma(level.leadTimeMean, level.leadTimeVariance).quantile(0.95) - 0.5)
    )
  })
})

describe('the days between reviews', () => {
  test('belong to the time that stock must last', () => {
    const level = levelOf(STEADY, options({ leadTimeDays: 30.4375, reviewDays: 30.4375, method: 'ses' }))
    expect(level).toEqual(levelOf(STEADY, options({ leadTimeDays: 60.875, method: 'ses' })))
  })

  test('longer than a month make an order longer', () => {
    const orderOf = (reviewDays: number) => {
      const { reorderPoint, orderUpTo, monthlyMean } = levelOf(STEADY, options({ reviewDays, method: 'ses' }))
      return [Number(orderUpTo) - Number(reorderPoint), monthlyMean]
    }
    const [[month, mean = 0], [quarter]] = [orderOf(30.4375), orderOf(91.3125)]
    expect([month, quarter]).toEqual([Math.ceil(mean), Math.ceil(3 * mean)])
  })
})

describe('an order comes in whole packs', () => {
  const orderOf = (packSize: string | null, demand = STEADY) => {
    const { reorderPoint, orderUpTo } = levelOf(demand, options({ packSize, method: 'ses' }))
    return Math.round((Number(orderUpTo) - Number(reorderPoint)) * 1000) / 1000
  }

  test('of a month’s demand and a pack at least', () => {
    expect([null, '1', '2', '12', '2.5', '0.3'].map((packSize) => orderOf(packSize))).toEqual([3, 3, 4, 12, 2.5, 2.1])
    expect([null, '5'].map((packSize) => orderOf(packSize, CLUSTERED))).toEqual([3, 5])
  })

  test('and is a unit at least', () => expect(orderOf(null, [0, 0, 0, 0, 0, 0, 0, 1])).toBe(1))
})

describe('a fill rate', () => {
  test('is reached by the smallest reorder point that meets so much of demand from stock', () => {
    const level = levelOf(CLUSTERED, options({ target: fillRate(0.98), packSize: '10', method: 'sba' }))
    const demand = negativeBinomial(level.leadTimeMean, level.leadTimeVariance)
    const point = Number(level.reorderPoint)
    expectClose(level.achieved, 1 - (demand.loss(point) - demand.loss(point + 10)) / 10, 1e-12, 'achieved')
    expect(level.achieved).toBeGreaterThanOrEqual(0.98)
    expect(serviceAt(demand, fillRate(0.98), point - 1, 10)).toBeLessThan(0.98)
  })

  test('needs less the more is ordered at a time', () => {
    const points = ['1', '20', '100'].map((packSize) =>
      Number(levelOf(CLUSTERED, options({ target: fillRate(0.95), packSize, method: 'sba' })).reorderPoint)
    )
    expect(points).toEqual([...points].sort((a, b) => b - a))
    expect(new Set(points).size).toBe(3)
  })
})

const series = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 20 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 5000 }).map((thousandths) => thousandths / 1000) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 100_000 }) }
  ),
  { maxLength: 60 }
)
const anyOptions = fc.record({
  leadTimeDays: fc.integer({ min: 1, max: 400 }),
  packSize: fc.constantFrom(null, '1', '2.5', '100', '0.001'),
  target: fc.record({
    measure: fc.constantFrom('cycle-service' as const, 'fill-rate' as const),
    level: fc.constantFrom(0.5, 0.9, 0.95, 0.98, 0.999)
  }),
  reviewDays: fc.constantFrom(0, 7, 31),
  choose: fc.constantFrom('class' as const, 'backtest' as const)
})

test('whatever the series, the target is reached, in decimals of three places and whole packs', () => {
  fc.assert(
    fc.property(series, anyOptions, (demand, given) => {
      const level = levelOf(demand, given)
      expect(level.reorderPoint).toMatch(/^\d+([.]\d{1,3})?$/)
      expect(level.orderUpTo).toMatch(/^\d+([.]\d{1,3})?$/)
      if (level.orderUpTo === '0') return
      expect(level.achieved).toBeGreaterThanOrEqual(given.target.level - 1e-9)
      expect(level.achieved).toBeLessThanOrEqual(1 + 1e-9)
      const pack = Number(given.packSize ?? '0.001')
      const packs = (Number(level.orderUpTo) - Number(level.reorderPoint)) / pack
      expect(Math.abs(packs - Math.round(packs))).toBeLessThan(1e-3)
      expect(packs).toBeGreaterThan(0)
      expect(levelOf(demand, given)).toEqual(level)
    })
  )
})

test('more service never lowers the reorder point', () => {
  fc.assert(
    fc.property(series, anyOptions, (demand, given) => {
      const points = [0.5, 0.8, 0.95, 0.99, 0.9995].map((level) =>
        Number(levelOf(demand, { ...given, target: { ...given.target, level } }).reorderPoint)
      )
      expect(points).toEqual([...points].sort((a, b) => a - b))
    })
  )
})

test('what is no option is refused, and so is what is no demand', () => {
  const level = (of: Partial<LevelOptions>) => () => levelOf(STEADY, options(of))
  expect(level({ leadTimeDays: 0 })).toThrow('the lead time is 0 days; it is a day or more')
  expect(level({ target: cycleService(1) })).toThrow('the service level is 1; it lies strictly between 0 and 1')
  expect(level({ target: fillRate(0) })).toThrow('the service level is 0')
  expect(level({ packSize: '0' })).toThrow('the pack size is 0; it is a decimal above 0 with at most three places')
  expect(level({ packSize: '1.2345' })).toThrow('the pack size is 1.2345')
  expect(level({ reviewDays: -1 })).toThrow('a review every -1 days')
  expect(() => levelOf([1, Number.NaN], options())).toThrow('the demand of a month is NaN; it is a number from 0')
})
