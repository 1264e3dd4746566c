import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { croston, forecastBy, forecastOf, METHODS, sba, sbj, ses, tsb } from '../../src/replenishment/forecast.ts'
import carparts from '../data/forecasts/croston-carparts.json' with { type: 'json' }
import published from '../data/forecasts/published-forecasts.json' with { type: 'json' }
import { expectClose } from './expect-close.ts'

describe.each(carparts.cases)('the forecasts of part $part are those of R (R-ORD-1)', ({ demand, expected }) => {
  test.each([
    ['croston_a005', () => croston(demand, { alpha: 0.05 }).mean],
    ['croston_a010', () => croston(demand, { alpha: 0.1 }).mean],
    ['croston_a020', () => croston(demand, { alpha: 0.2 }).mean],
    ['croston_a050', () => croston(demand, { alpha: 0.5 }).mean],
    ['sba_a010', () => sba(demand, { alpha: 0.1 }).mean],
    ['sba_a020', () => sba(demand, { alpha: 0.2 }).mean],
    ['sbj_a010', () => sbj(demand, { alpha: 0.1 }).mean],
    ['tsb_naive_d010_p010', () => tsb(demand, { alpha: 0.1, beta: 0.1 }).mean],
    ['tsb_naive_d010_p005', () => tsb(demand, { alpha: 0.1, beta: 0.05 }).mean],
    ['tsb_mean_d010_p010', () => tsb(demand, { alpha: 0.1, beta: 0.1, initial: 'share' }).mean],
    ['ses_a010', () => ses(demand, { alpha: 0.1 }).mean]
  ] as const)('%s', (name, forecast) => expectClose(forecast(), expected[name], carparts.tolerance, name))

  test('what Croston would have said of each month', () => {
    const { fitted } = croston(demand, { alpha: 0.1 })
    expect(fitted.map((month) => month === null)).toEqual(expected.croston_fitted_a010.map((month) => month === null))
    for (const [month, value] of expected.croston_fitted_a010.entries())
      if (value !== null) expectClose(fitted[month], value, carparts.tolerance, `month ${month + 1}`)
  })
})

test.each(published.cases)('the forecast published as $id comes out', (one) => {
  const demand =
    typeof one.series === 'string' ? published.series[one.series as keyof typeof published.series].values : one.series
  const forecast =
    one.method === 'sba'
      ? sba(demand, { alpha: one.alpha_size, alphaInterval: one.alpha_interval })
      : croston(demand, { alpha: one.alpha })
  expectClose(forecast.mean, one.expected, one.tolerance, one.id)
})

const months = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 500 })), { minLength: 1, maxLength: 60 })

test('what was said of a month is the forecast of the months before it, by every method', () => {
  fc.assert(
    fc.property(months, fc.constantFrom(...METHODS), (demand, method) => {
      const { fitted } = forecastOf(method, demand)
      expect(fitted).toEqual(
        demand.map((_, month) => (month === 0 ? null : forecastBy(method, demand.slice(0, month))))
      )
    })
  )
})

test('twice the demand is twice the forecast, and a forecast lies between the least and the most that was wanted', () => {
  fc.assert(
    fc.property(months, fc.constantFrom(...METHODS), fc.integer({ min: 2, max: 50 }), (demand, method, factor) => {
      const mean = forecastBy(method, demand)
      expectClose(
        forecastBy(
          method,
          demand.map((month) => month * factor)
        ),
        mean * factor,
        1e-9,
        method
      )
      expect(mean).toBeGreaterThanOrEqual(0)
      expect(mean).toBeLessThanOrEqual(Math.max(...demand) * (1 + 1e-12))
    })
  )
})

test('demand that never changes is forecast as it is; SBA takes half of alpha away', () => {
  const steady = Array.from({ length: 24 }, () => 4)
  expect(METHODS.map((method) => forecastBy(method, steady, { alpha: 0.2 }))).toEqual([4, 4, 4 * 0.9, 4])
})

test('no demand is a forecast of nothing, and so is no month at all', () => {
  for (const method of METHODS) {
    expect(forecastOf(method, [0, 0, 0])).toEqual({ mean: 0, fitted: [null, 0, 0] })
    expect(forecastOf(method, [])).toEqual({ mean: 0, fitted: [] })
  }
})

test('months without demand lower the forecasts of SES and TSB, and leave those of Croston and SBA alone', () => {
  const before = [2, 0, 3, 0, 2]
  const quiet = [...before, 0, 0, 0, 0]
  const change = METHODS.map((method) => Math.sign(forecastBy(method, quiet) - forecastBy(method, before)))
  expect(Object.fromEntries(METHODS.map((method, i) => [method, change[i]]))).toEqual({
    ses: -1,
    croston: 0,
    sba: 0,
    tsb: -1
  })
})

test('a smoothing constant of 0 or above 1 is refused', () => {
  expect(() => ses([1], { alpha: 0 })).toThrow('alpha is 0; a smoothing constant lies above 0 and up to 1')
  expect(() => croston([1], { alpha: 0.1, alphaInterval: 1.5 })).toThrow('alphaInterval is 1.5')
  expect(() => tsb([1], { alpha: 0.1, beta: Number.NaN })).toThrow('beta is NaN')
})
