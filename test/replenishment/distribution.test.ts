import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  countsOf,
  distributionOf,
  gamma,
  momentsOf,
  negativeBinomial,
  normal,
  poisson,
  standardNormalLoss,
  standardNormalQuantile,
  sumOfMonths,
  type Distribution
} from '../../src/replenishment/distribution.ts'
import quantiles from '../data/forecasts/quantiles.json' with { type: 'json' }
import { expectClose } from './expect-close.ts'

const { tolerance } = quantiles

describe('quantiles are those of R', () => {
  test.each(quantiles.normal)('normal, $csl', ({ csl, z, standard_loss_G }) => {
    expectClose(standardNormalQuantile(csl), z, tolerance, 'z')
    expectClose(standardNormalLoss(z), standard_loss_G, tolerance, 'G(z)')
  })

  test.each(quantiles.poisson)('Poisson of mean $mean, $csl', ({ mean, csl, quantile, ...expected }) => {
    const counts = poisson(mean)
    expect(counts.quantile(csl)).toBe(quantile)
    expectClose(counts.cdf(quantile), expected.cdf_at_quantile, tolerance, 'P(X ≤ quantile)')
    expectClose(counts.cdf(quantile - 1), expected.cdf_below, tolerance, 'P(X < quantile)')
  })

  test.each(quantiles.negative_binomial)(
    'negative binomial of mean $mean and variance $variance, $csl',
    ({ mean, variance, csl, quantile, ...expected }) => {
      const counts = negativeBinomial(mean, variance)
      expect(counts.quantile(csl)).toBe(quantile)
      expectClose(counts.cdf(quantile), expected.cdf_at_quantile, tolerance, 'P(X ≤ quantile)')
      expectClose(counts.cdf(quantile - 1), expected.cdf_below, tolerance, 'P(X < quantile)')
      expectClose(counts.pmf(0), expected.pmf0, tolerance, 'P(X = 0)')
    }
  )

  test.each(quantiles.gamma)('gamma of mean $mean and variance $variance, $csl', ({ mean, variance, csl, quantile }) =>
    expectClose(gamma(mean, variance).quantile(csl), quantile, tolerance, 'quantile')
  )
})

// Held against scipy 1: poisson.ppf and nbinom.ppf.
test.each([
  ['Poisson', 1e6, undefined, 0.999, 1_003_092],
  ['Poisson', 700, undefined, 0.999, 783],
  ['negative binomial', 1e5, 5e6, 0.999, 107_051]
])('%s of mean %d is exact far from 0', (_, mean, variance, csl, quantile) => {
  const counts = variance === undefined ? poisson(mean) : negativeBinomial(mean, variance)
  expect(counts.quantile(csl)).toBe(quantile)
})

const mean = fc.double({ min: 0.01, max: 400, noNaN: true })
const excess = fc.double({ min: 0.01, max: 40, noNaN: true })
const level = fc.double({ min: 0.01, max: 0.9999, noNaN: true })
const counts = fc.oneof(
  mean.map((m) => poisson(m)),
  fc.tuple(mean, excess).map(([m, e]) => negativeBinomial(m, m * (1 + e)))
)
const months = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60 })), { minLength: 2, maxLength: 48 })
const sums = fc
  .tuple(months, fc.double({ min: 0.1, max: 6, noNaN: true }), fc.boolean())
  .map(([demand, length, inLumps]) => sumOfMonths(demand, length, inLumps))

test('a quantile is the smallest whole number that reaches its probability', () => {
  fc.assert(
    fc.property(fc.oneof(counts, sums), level, (distribution: Distribution, probability) => {
      const x = distribution.quantile(probability)
      expect(distribution.cdf(x)).toBeGreaterThanOrEqual(probability - 1e-9)
      expect(distribution.cdf(x - 1)).toBeLessThan(probability + 1e-9)
    })
  )
})

test('probabilities add up, and so does what a stock is short of: E(X − x)⁺ falls by P(X > x) a unit', () => {
  fc.assert(
    fc.property(fc.oneof(counts, sums), fc.integer({ min: 0, max: 600 }), (distribution: Distribution, x) => {
      expectClose(distribution.loss(0), distribution.mean, 1e-9, 'loss at 0')
      expectClose(distribution.loss(x) - distribution.loss(x + 1), 1 - distribution.cdf(x), 1e-8, `loss at ${x}`)
      expectClose(
        distribution.loss(x + 0.25),
        0.75 * distribution.loss(x) + 0.25 * distribution.loss(x + 1),
        1e-8,
        'loss between units'
      )
    })
  )
})

test('probabilities of counts sum up to the distribution function', () => {
  fc.assert(
    fc.property(mean, excess, fc.integer({ min: 0, max: 300 }), (m, e, x) => {
      for (const distribution of [poisson(m), negativeBinomial(m, m * (1 + e))]) {
        let sum = 0
        for (let y = 0; y <= x; y++) sum += distribution.pmf(y)
        expectClose(distribution.cdf(x), sum, 1e-9, `P(X ≤ ${x})`)
      }
    }),
    { numRuns: 50 }
  )
})

test('losses of continuous distributions are the integrals of their tails', () => {
  for (const distribution of [gamma(20, 50), gamma(3, 12), normal(100, 15)]) {
    const [from, to, steps] = [distribution.mean, distribution.mean + 40 * Math.sqrt(distribution.variance), 40_000]
    const width = (to - from) / steps
    let integral = 0
    for (let i = 0; i < steps; i++) integral += (1 - distribution.cdf(from + (i + 0.5) * width)) * width
    expectClose(distribution.loss(from), integral, 1e-5, 'loss at the mean')
    expectClose(distribution.cdf(distribution.quantile(0.97)), 0.97, 1e-9, 'quantile')
  }
})

test('a gamma distribution of tiny shape has a quantile too', () => {
  // Its median is some 10^-300.
  expect(gamma(0.11, 13.3).quantile(0.5)).toBe(0)
  expectClose(gamma(0.11, 13.3).quantile(0.9999), 173.83144975, 1e-9, 'quantile')
})

test('no demand is short of nothing', () => {
  expect([poisson(0).quantile(0.99), poisson(0).cdf(0), poisson(0).loss(0), poisson(0).loss(3)]).toEqual([0, 1, 0, 0])
})

test('large counts are taken as continuous, which is off by a unit or two', () => {
  for (const [average, sd] of [
    [20, 210],
    [80, 400],
    [900, 300],
    [4500, 400],
    [40_000, 1500]
  ] as const) {
    const [exact, limit] = [negativeBinomial(average, sd * sd), countsOf(average, sd * sd)]
    for (const probability of [0.5, 0.9, 0.95, 0.98])
      expect(Math.abs(limit.quantile(probability) - exact.quantile(probability))).toBeLessThanOrEqual(2)
    expectClose(limit.loss(average + sd), exact.loss(average + sd), 0.002, 'loss')
  }
})

describe('which distribution the months may have come from (R-ORD-1)', () => {
  const kindOf = (demand: number[]) => distributionOf(demand, momentsOf(demand))

  test('Poisson where the variance is about the mean', () =>
    expect(kindOf([2, 1, 3, 0, 2, 4, 1, 2, 3, 1, 0, 2, 3, 5, 2, 1])).toBe('poisson'))

  test('negative binomial where it is larger', () =>
    expect(kindOf([0, 3, 0, 9, 1, 0, 14, 2, 0, 5, 0, 1, 7, 0, 3, 0, 0, 11, 2, 4])).toBe('negative-binomial'))

  test('empirical where demand is too regular, of another shape or in fractions of a unit', () => {
    expect(kindOf(Array.from({ length: 24 }, (_, i) => 10 + (i % 2)))).toBe('empirical')
    expect(kindOf(Array.from({ length: 36 }, (_, i) => (i % 2 === 0 ? 50 : 0)))).toBe('empirical')
    expect(kindOf([0.5, 1.25, 0, 0.75])).toBe('empirical')
  })

  test('none without demand, Poisson for a single month', () => {
    expect(kindOf([0, 0])).toBe('none')
    expect(kindOf([])).toBe('none')
    expect(kindOf([3])).toBe('poisson')
  })

  test('a test at five percent takes Poisson demand for what it is nearly always', () => {
    let state = 1
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
    const kinds = Array.from({ length: 400 }, () =>
      kindOf(Array.from({ length: 36 }, () => poisson(3).quantile(Math.max(1e-9, random()))))
    )
    const share = kinds.filter((kind) => kind === 'poisson').length / kinds.length
    expect(share).toBeGreaterThan(0.92)
    expect(share).toBeLessThan(0.98)
  })
})

describe('sums of recorded months', () => {
  const demand = [0, 0, 4, 1, 0, 2, 0, 7]

  test('of one month are the months themselves', () => {
    const month = sumOfMonths(demand, 1, true)
    expect([0, 1, 2, 3, 4, 7].map((x) => month.cdf(x))).toEqual([4, 5, 6, 6, 7, 8].map((count) => count / 8))
    expect(month.quantile(0.9)).toBe(7)
  })

  test('of two are every pair, equally likely', () => {
    const pairs = demand.flatMap((a) => demand.map((b) => a + b))
    const two = sumOfMonths(demand, 2, true)
    for (let x = 0; x <= 14; x++)
      expectClose(two.cdf(x), pairs.filter((sum) => sum <= x).length / pairs.length, 1e-12, `P(X ≤ ${x})`)
  })

  test('have the mean and variance of so many months, shares of a month among them', () => {
    const { mean: m, variance } = momentsOf(demand)
    const population = (variance * (demand.length - 1)) / demand.length
    expectClose(sumOfMonths(demand, 3, true).variance, 3 * population, 1e-9, 'variance of three')
    expectClose(sumOfMonths(demand, 2.5, true).mean, 2.5 * m, 1e-9, 'mean of two and a half')
    expectClose(
      sumOfMonths(demand, 0.5, true).variance,
      0.5 * population + 0.25 * m * m,
      1e-9,
      'half a month of demand in lumps comes or does not'
    )
    const steady = [40, 50, 45, 60, 55]
    expectClose(sumOfMonths(steady, 0.25, false).mean, 12.5, 1e-9, 'a quarter of a month of steady demand')
  })

  test('lie on the grid of the quantities, however fine it is', () => {
    expect(sumOfMonths([0, 0.5, 1.5], 2, true).quantile(0.999)).toBe(3)
    expectClose(sumOfMonths([12.345, 0.001, 98.765], 5, true).mean, 185.185, 1e-9, 'mean on a coarser grid')
    expect(sumOfMonths([0, 500_000, 1_000_000], 3, true).quantile(0.999)).toBe(3_000_000)
  })

  test('of many months are as good as gamma, and certain if every month is the same', () => {
    const many = gamma(43.75, 25 * momentsOf(demand).variance)
    expectClose(sumOfMonths(demand, 25, true).quantile(0.95), many.quantile(0.95), 1e-9, 'quantile')
    const same = sumOfMonths([4, 4, 4], 25, false)
    expect([same.quantile(0.99), same.cdf(99), same.cdf(100), same.loss(90)]).toEqual([100, 0, 1, 10])
  })
})

test('what is no distribution is refused', () => {
  expect(() => poisson(-1)).toThrow('the mean is -1; it must be a number from 0')
  expect(() => negativeBinomial(2, 2)).toThrow('the variance 2 is not above the mean 2')
  expect(() => gamma(2, 0)).toThrow('the variance is 0; it must be a number above 0')
  expect(() => poisson(2).quantile(1)).toThrow('the probability is 1; it lies strictly between 0 and 1')
  expect(() => momentsOf([1, -2])).toThrow('the demand of a month is -2; it is a number from 0')
})
