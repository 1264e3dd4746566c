import { describe, expect, test } from 'vitest'
import { accuracyOf, chooseByBacktest } from '../../src/replenishment/accuracy.ts'
import { classify, methodFor } from '../../src/replenishment/classification.ts'
import { forecastOf, METHODS } from '../../src/replenishment/forecast.ts'

test('errors are those of the last months, scaled by what changed before them', () => {
  // Forecasts 2, 2, 3 of demands 3, 0, 3; before them 1, 3, 2.
  expect(accuracyOf([1, 3, 2, 3, 0, 3], [null, 1, 2, 2, 2, 3], { months: 3 })).toEqual({
    months: 3,
    demand: 6,
    sumOfErrors: -1,
    sumOfAbsoluteErrors: 3,
    sumOfSquaredErrors: 5,
    // The stock is one short after the first month, one over after the second and the third.
    periodsInStock: 1,
    naiveError: 1.5,
    meanBefore: 2
  })
})

test('of the first month nothing was forecast; where nothing changed before, there is no scale', () => {
  expect(accuracyOf([4, 4], [null, 4], { months: 12 })).toMatchObject({ months: 1, naiveError: null, meanBefore: 4 })
  expect(accuracyOf([0, 0, 1], [null, 0, 0], { months: 1 })).toMatchObject({ naiveError: null, meanBefore: null })
  expect(accuracyOf([], [], { months: 12 })).toMatchObject({ months: 0, demand: 0 })
})

describe('the method that was closest of late', () => {
  const zeros = (count: number) => Array.from({ length: count }, () => 0)

  test('is the one with the least squared error over the last months', () => {
    const demand = [5, 0, 3, 4, 0, 0, 6, 0, 2, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
    const errors = METHODS.map(
      (method) => accuracyOf(demand, forecastOf(method, demand).fitted, { months: 12 }).sumOfSquaredErrors
    )
    expect(chooseByBacktest(demand)).toBe(METHODS[errors.indexOf(Math.min(...errors))])
  })

  test('is not Croston’s where demand has stopped', () => {
    const stopped = [4, 5, 4, 6, 5, 4, 5, 5, 4, 6, 5, 4, ...zeros(12)]
    expect(['ses', 'tsb']).toContain(chooseByBacktest(stopped))
  })

  test('is that of the class while too few months are recorded, or none is closer', () => {
    const few = [3, 0, 2, 4, 0]
    expect(chooseByBacktest(few)).toBe(methodFor(few, classify(few)))
    expect(chooseByBacktest(Array.from({ length: 24 }, () => 4))).toBe('croston')
  })

  test('is none without demand', () => expect(chooseByBacktest(zeros(24))).toBeNull())
})
