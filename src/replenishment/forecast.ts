// Forecasts of intermittent demand, as pure functions. `demand` is a month each, oldest first, numbers from 0, without gaps: a month
// that was not recorded is no zero, and is refused where data comes in. Constants are fixed, so a forecast made at the end of a month
// needs only the months up to it, and `fitted` is what would have been said a month before.

export const METHODS = ['ses', 'croston', 'sba', 'tsb'] as const
export type Method = (typeof METHODS)[number]

export interface Forecast {
  /** Expected demand per month, the same for every month to come. */
  mean: number
  /** For each month what was forecast at the end of the one before; null in the first, of which nothing was known. */
  fitted: (number | null)[]
}

export interface Constants {
  /** Smoothing of sizes, or of demand itself in `ses`. */
  alpha?: number
  /** Smoothing of intervals in `croston` and its corrections; `alpha` if left away. */
  alphaInterval?: number
  /** Smoothing of the probability in `tsb`. */
  beta?: number
}

/** Within the 0.05 to 0.2 that Croston (1972) and Syntetos & Boylan (2005) recommend for intermittent demand. */
export const DEFAULT_ALPHA = 0.1

/**
 * Simple exponential smoothing (Brown 1956): level ← level + α (demand − level). The level starts at the first month, zero or not.
 */
export function ses(demand: readonly number[], { alpha = DEFAULT_ALPHA }: Constants = {}): Forecast {
  requireConstant('alpha', alpha)
  const fitted: (number | null)[] = []
  let level: number | null = null
  for (const month of demand) {
    fitted.push(level)
    level = level === null ? month : level + alpha * (month - level)
  }
  return { mean: level ?? 0, fitted }
}

/**
 * Croston (1972): the sizes of demand and the intervals between months with demand are smoothed apart, in months with demand only;
 * forecast = size ÷ interval. The first size, and the first interval (which number of month had the first demand), start the levels.
 * 0 before the first demand and for a series without any.
 */
export const croston = (demand: readonly number[], constants: Constants = {}): Forecast =>
  crostonTimes(demand, constants, 1)

/**
 * Croston × (1 − α/2), which takes away most of its bias upwards (Syntetos & Boylan 2005). The bias comes of dividing by the smoothed
 * interval, so α is the constant of the intervals.
 */
export const sba = (demand: readonly number[], constants: Constants = {}): Forecast =>
  crostonTimes(demand, constants, 1 - alphaOfIntervals(constants) / 2)

/** Croston × (1 − α/(2 − α)): the correction if demand comes as a Poisson process (Shale, Boylan & Johnston 2006). */
export function sbj(demand: readonly number[], constants: Constants = {}): Forecast {
  const alpha = alphaOfIntervals(constants)
  return crostonTimes(demand, constants, 1 - alpha / (2 - alpha))
}

/**
 * Teunter, Syntetos & Babai (2011): the probability that a month has demand is smoothed every month (β), the size in months with demand
 * (α); forecast = probability × size. So it falls while nothing is asked for, which Croston’s does not. The size starts at the first
 * one. The probability starts at 1 if the first month has demand, else 0 (`first-month`), or at the share of months with demand in the
 * whole series (`share`, which looks ahead: not for backtests), and moves from the second month on.
 */
export function tsb(
  demand: readonly number[],
  {
    alpha = DEFAULT_ALPHA,
    beta = alpha,
    initial = 'first-month'
  }: Constants & { initial?: 'first-month' | 'share' } = {}
): Forecast {
  requireConstant('alpha', alpha)
  requireConstant('beta', beta)
  const fitted: (number | null)[] = []
  let size = 0
  let probability = 0
  if (initial === 'share' && demand.length > 0) {
    for (const month of demand) if (month > 0) probability++
    probability /= demand.length
  } else if ((demand[0] ?? 0) > 0) probability = 1
  let isFirst = true
  for (const month of demand) {
    fitted.push(isFirst ? null : probability * size)
    if (!isFirst) probability += beta * ((month > 0 ? 1 : 0) - probability)
    if (month > 0) size = size === 0 ? month : size + alpha * (month - size)
    isFirst = false
  }
  return { mean: probability * size, fitted }
}

const BY_METHOD = { ses, croston, sba, tsb } as const satisfies Record<Method, unknown>

/** The forecast of a method, with what it would have said of each month. */
export const forecastOf = (method: Method, demand: readonly number[], constants: Constants = {}): Forecast =>
  BY_METHOD[method](demand, constants)

/** Demand per month by a method, with α = β = 0.1 unless told otherwise. */
export const forecastBy = (method: Method, demand: readonly number[], constants: Constants = {}): number =>
  forecastOf(method, demand, constants).mean

function crostonTimes(demand: readonly number[], constants: Constants, factor: number): Forecast {
  const alpha = constants.alpha ?? DEFAULT_ALPHA
  const alphaInterval = alphaOfIntervals(constants)
  requireConstant('alpha', alpha)
  requireConstant('alphaInterval', alphaInterval)
  const fitted: (number | null)[] = []
  let size = 0
  let interval = 0
  let months = 0
  let mean = 0
  for (const month of demand) {
    fitted.push(fitted.length === 0 ? null : mean)
    months++
    if (month <= 0) continue
    size = size === 0 ? month : size + alpha * (month - size)
    interval = interval === 0 ? months : interval + alphaInterval * (months - interval)
    mean = factor * (size / interval)
    months = 0
  }
  return { mean, fitted }
}

const alphaOfIntervals = ({ alpha = DEFAULT_ALPHA, alphaInterval = alpha }: Constants): number => alphaInterval

function requireConstant(name: string, value: number): void {
  if (!(value > 0 && value <= 1)) throw new Error(`${name} is ${value}; a smoothing constant lies above 0 and up to 1`)
}
