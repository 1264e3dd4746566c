import { classify, methodFor, type Classification } from './classification.ts'
import { forecastOf, METHODS, type Method } from './forecast.ts'

/** How far forecasts of one series were off, one month ahead. Error = demand − forecast. */
export interface Accuracy {
  /** Months that were forecast. */
  months: number
  demand: number
  sumOfErrors: number
  sumOfAbsoluteErrors: number
  sumOfSquaredErrors: number
  /**
   * Periods in stock (Wallström & Segerstedt 2010): what a stock filled up by the forecasts would have held, summed over the months;
   * above 0 if the forecasts were too high for long. It sees a lasting bias, which months without demand hide from absolute errors.
   */
  periodsInStock: number
  /** Mean absolute change from month to month before the forecast months, the scale of MASE (Hyndman & Koehler 2006); null if nothing changed. */
  naiveError: number | null
  /** Mean demand before the forecast months; null without. */
  meanBefore: number | null
}

/** The accuracy over the last `months` of a series, of which `fitted` says what was forecast of each the month before. */
export function accuracyOf(
  demand: readonly number[],
  fitted: readonly (number | null)[],
  { months }: { months: number }
): Accuracy {
  const from = Math.max(1, demand.length - months)
  const accuracy: Accuracy = {
    months: 0,
    demand: 0,
    sumOfErrors: 0,
    sumOfAbsoluteErrors: 0,
    sumOfSquaredErrors: 0,
    periodsInStock: 0,
    naiveError: null,
    meanBefore: null
  }
  for (let i = from; i < demand.length; i++) {
    const error = (demand[i] ?? 0) - (fitted[i] ?? 0)
    accuracy.months++
    accuracy.demand += demand[i] ?? 0
    accuracy.sumOfErrors += error
    accuracy.sumOfAbsoluteErrors += Math.abs(error)
    accuracy.sumOfSquaredErrors += error * error
    accuracy.periodsInStock -= accuracy.sumOfErrors
  }
  let [changes, sum] = [0, 0]
  for (let i = 0; i < from && i < demand.length; i++) {
    sum += demand[i] ?? 0
    if (i > 0) changes += Math.abs((demand[i] ?? 0) - (demand[i - 1] ?? 0))
  }
  if (changes > 0) accuracy.naiveError = changes / (from - 1)
  if (sum > 0) accuracy.meanBefore = sum / from
  return accuracy
}

/** Months below which the errors of a series say nothing about a method. */
const LEAST_MONTHS = 6

/**
 * The method whose one-month forecasts of the last `months` months were closest, by the root mean squared scaled error (RMSSE, the
 * measure of the M5 competition): the absolute error would choose the forecast nearest to the median, which is 0 for demand that comes in
 * fewer than half of the months. The scale is one for all methods and falls out. Null without demand; the method of the class where
 * fewer than six months could be forecast or no method is closer than it.
 */
export function chooseByBacktest(
  demand: readonly number[],
  { months = 12, classes = classify(demand) }: { months?: number; classes?: Classification } = {}
): Method | null {
  const byClass = methodFor(demand, classes)
  if (byClass === null || Math.min(months, demand.length - 1) < LEAST_MONTHS) return byClass
  const squaredErrorOf = (method: Method) =>
    accuracyOf(demand, forecastOf(method, demand).fitted, { months }).sumOfSquaredErrors
  let best = byClass
  let least = squaredErrorOf(byClass)
  for (const method of METHODS) {
    const error = squaredErrorOf(method)
    if (error < least) [best, least] = [method, error]
  }
  return best
}
