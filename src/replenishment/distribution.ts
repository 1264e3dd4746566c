import jStat from 'jstat'

// Distributions of demand: how likely a quantity is, up to which quantity demand stays with a probability, and how much of it a stock is
// short of on average. Counts are summed term by term from the smaller tail, each term from the one before by their ratio, so nothing
// cancels and nothing overflows.

export interface Distribution {
  readonly mean: number
  readonly variance: number
  /** P(X ≤ x). */
  cdf(x: number): number
  /** The smallest x with P(X ≤ x) ≥ probability, which lies strictly between 0 and 1. */
  quantile(probability: number): number
  /** E(X − x)⁺: how much of the demand a stock of x is short of. E(x − X)⁺ is x − mean + loss(x). */
  loss(x: number): number
}

/** A term that changes a sum of probabilities by less than this does not change it. */
const NEGLIGIBLE = 1e-18
/** Probabilities are sums of rounded terms; one that equals the level but for that reaches it, as in R. */
const REACHED = 1 - 64 * Number.EPSILON
/** A probability of 0 from which terms cannot be built up any more. */
const LOST = 1e-250
/** Counts up to which a walk from 0 is the shortest way. */
const NEAR = 64

/** P(X = x) of a count, and the ratio of one term to the next. */
interface Terms {
  mean: number
  variance: number
  /** P(X = 0). */
  zero: number
  /** P(X = x) for x > 0, without a walk from 0. */
  term(x: number): number
  /** P(X = x + 1) ÷ P(X = x). */
  ratio(x: number): number
}

class Counts implements Distribution {
  readonly mean: number
  readonly variance: number
  readonly #terms: Terms

  constructor(terms: Terms) {
    this.mean = terms.mean
    this.variance = terms.variance
    this.#terms = terms
  }

  pmf(x: number): number {
    const terms = this.#terms
    if (x < 0 || !Number.isInteger(x)) return 0
    if (x > NEAR || terms.zero < LOST) return x === 0 ? terms.zero : terms.term(x)
    let term = terms.zero
    for (let y = 0; y < x; y++) term *= terms.ratio(y)
    return term
  }

  cdf(x: number): number {
    const terms = this.#terms
    let y = Math.floor(x)
    if (y < 0) return 0
    if (this.#isNearerToZero(y)) return this.ascending()(y)
    const isLow = y < this.mean
    if (!isLow) y++
    let sum = 0
    for (let term = this.pmf(y); term > sum * NEGLIGIBLE;) {
      sum += term
      if (isLow) {
        if (--y < 0) break
        term /= terms.ratio(y)
      } else term *= terms.ratio(y++)
    }
    return isLow ? sum : 1 - sum
  }

  /** Whether a walk from 0 is shorter than one through a long tail, of some forty times the ratio of variance to mean. */
  #isNearerToZero(x: number): boolean {
    const spread = this.variance / this.mean
    return spread > 8 && x < 40 * spread && this.#terms.zero >= LOST
  }

  /** P(X ≤ x) for one x after the other, each at least as large as the one before: one walk from 0 for all of them. */
  ascending(): (x: number) => number {
    const { ratio, zero } = this.#terms
    if (zero < LOST) return (x) => this.cdf(x)
    let [y, term, sum] = [0, zero, zero]
    return (x) => {
      if (x < 0) return 0
      while (y < x) {
        term *= ratio(y++)
        sum += term
      }
      return sum
    }
  }

  quantile(probability: number): number {
    requireProbability(probability)
    const { ratio, zero } = this.#terms
    const reached = probability * REACHED
    // From 0 where that is near; else from where a normal distribution has it.
    let x = 0
    if (zero < LOST || this.mean > NEAR)
      x = Math.max(0, Math.floor(this.mean + jStat.normal.inv(probability, 0, 1) * Math.sqrt(this.variance)))
    let term = this.pmf(x)
    let sum = x === 0 ? term : this.cdf(x)
    if (sum < reached)
      while (sum < reached) {
        term *= ratio(x++)
        sum += term
        // Nothing is left to add: the rest of the tail is lost in rounding.
        if (term === 0) break
      }
    else
      while (x > 0 && sum - term >= reached) {
        sum -= term
        term /= ratio(--x)
      }
    return x
  }

  loss(x: number): number {
    const { ratio } = this.#terms
    if (x <= 0) return this.mean - x
    let sum = 0
    if (this.#isNearerToZero(x)) {
      let term = this.#terms.zero
      for (let y = 0; y < x; term *= ratio(y++)) sum += term * (x - y)
      return this.mean - x + sum
    }
    if (x >= this.mean) {
      let y = Math.floor(x) + 1
      for (let term = this.pmf(y); term > 0 && term * (y - x) > sum * NEGLIGIBLE; term *= ratio(y++))
        sum += term * (y - x)
      return sum
    }
    let y = Math.ceil(x) - 1
    for (let term = this.pmf(y); term > 0 && term * (x - y) > sum * NEGLIGIBLE; term /= ratio(y)) {
      sum += term * (x - y)
      if (--y < 0) break
    }
    return this.mean - x + sum
  }
}

/** Poisson: independent single demands. A mean of 0 is no demand at all. */
export function poisson(mean: number): Distribution & { pmf(x: number): number } {
  requirePositive('mean', mean, 0)
  return new Counts({
    mean,
    variance: mean,
    zero: Math.exp(-mean),
    term: (x) => poissonTerm(x, mean),
    ratio: (x) => mean / (x + 1)
  })
}

/**
 * Negative binomial with a variance above the mean: size r = mean² ÷ (variance − mean), probability p = mean ÷ variance,
 * P(X = x) = C(x + r − 1, x) pʳ (1 − p)ˣ. It is what comes of Poisson orders of logarithmic size, and of a Poisson rate that varies by a
 * gamma distribution.
 */
export function negativeBinomial(mean: number, variance: number): Distribution & { pmf(x: number): number } {
  requirePositive('mean', mean)
  if (!(variance > mean && variance < Infinity))
    throw new Error(`the variance ${variance} is not above the mean ${mean}; a negative binomial distribution needs it`)
  const excess = variance - mean
  const size = (mean * mean) / excess
  const [p, q] = [mean / variance, excess / variance]
  return new Counts({
    mean,
    variance,
    zero: Math.exp(-size * Math.log1p(excess / mean)),
    term: (x) => {
      const n = x + size
      const exponent =
        stirlingError(n) - stirlingError(size) - stirlingError(x) - deviance(size, n * p) - deviance(x, n * q)
      return (size / n) * Math.exp(exponent) * Math.sqrt(n / (2 * Math.PI * size * x))
    },
    ratio: (x) => (q * (x + size)) / (x + 1)
  })
}

/** Gamma with shape mean² ÷ variance and scale variance ÷ mean: the continuous counterpart of the negative binomial. */
export function gamma(mean: number, variance: number): Distribution {
  requirePositive('mean', mean)
  requirePositive('variance', variance)
  const shape = (mean * mean) / variance
  const scale = variance / mean
  return {
    mean,
    variance,
    cdf: (x) => (x <= 0 ? 0 : jStat.lowRegGamma(shape, x / scale)),
    quantile: (probability) => {
      requireProbability(probability)
      const x = jStat.gamma.inv(probability, shape, scale)
      // With a tiny shape nearly all lies closer to 0 than a number can, where jStat finds no number at all.
      return Number.isNaN(x) ? 0 : x
    },
    // mean P(k + 1 beyond) − x P(k beyond), in which the two probabilities differ by one Poisson term.
    loss: (x) =>
      x <= 0 ? mean - x : (mean - x) * (1 - jStat.lowRegGamma(shape, x / scale)) + mean * poissonTerm(shape, x / scale)
  }
}

export function normal(mean: number, sd: number): Distribution {
  requirePositive('standard deviation', sd)
  return {
    mean,
    variance: sd * sd,
    cdf: (x) => standardNormalTail((mean - x) / sd),
    quantile: (probability) => {
      requireProbability(probability)
      return mean + sd * jStat.normal.inv(probability, 0, 1)
    },
    loss: (x) => sd * standardNormalLoss((x - mean) / sd)
  }
}

/** Standard normal quantile z(p). */
export function standardNormalQuantile(probability: number): number {
  requireProbability(probability)
  return jStat.normal.inv(probability, 0, 1)
}
export const standardNormalDensity = (z: number): number => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)
/** G(z) = φ(z) − z (1 − Φ(z)). */
export const standardNormalLoss = (z: number): number => standardNormalDensity(z) - z * standardNormalTail(z)
/** 1 − Φ(z). */
const standardNormalTail = (z: number): number => jStat.erfc(z / Math.SQRT2) / 2

// Loader, “Fast and accurate computation of binomial probabilities” (2000): the terms of Stirling’s formula apart, so that large counts
// lose no digits.

const HALF_LOG_TWO_PI = Math.log(2 * Math.PI) / 2

/** meanˣ e⁻ᵐᵉᵃⁿ ÷ Γ(x + 1), x > 0 and not always whole. */
const poissonTerm = (x: number, mean: number): number =>
  Math.exp(-stirlingError(x) - deviance(x, mean)) / Math.sqrt(2 * Math.PI * x)

/** log Γ(n + 1) less Stirling’s formula for it, n > 0. */
function stirlingError(n: number): number {
  if (n > 15) {
    const square = 1 / (n * n)
    return (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188)))) / n
  }
  return jStat.gammaln(n + 1) - (n + 0.5) * Math.log(n) + n - HALF_LOG_TWO_PI
}

/** x log(x ÷ mean) + mean − x, by its series where the two are close. */
function deviance(x: number, mean: number): number {
  const distance = x - mean
  if (Math.abs(distance) >= 0.1 * (x + mean)) return x * Math.log(x / mean) - distance
  const v = distance / (x + mean)
  let sum = distance * v
  let term = 2 * x * v
  for (let odd = 3; odd < 1000; odd += 2) {
    term *= v * v
    const next = sum + term / odd
    if (next === sum) break
    sum = next
  }
  return sum
}

export type DemandDistribution = 'none' | 'poisson' | 'negative-binomial' | 'empirical'

export interface SeriesMoments {
  mean: number
  /** Sample variance (n − 1); with a single month, that of a Poisson distribution. */
  variance: number
  isWhole: boolean
}

/** @throws Error for a month that is no number from 0 */
export function momentsOf(demand: readonly number[]): SeriesMoments {
  let sum = 0
  let isWhole = true
  for (const month of demand) {
    if (!(month >= 0 && month < Infinity)) throw new Error(`the demand of a month is ${month}; it is a number from 0`)
    sum += month
    if (!Number.isInteger(month)) isWhole = false
  }
  const mean = demand.length === 0 ? 0 : sum / demand.length
  let squares = 0
  for (const month of demand) squares += (month - mean) ** 2
  return { mean, variance: demand.length < 2 ? mean : squares / (demand.length - 1), isWhole }
}

/**
 * Which distribution the months of a series may have come from.
 *
 * - `poisson` if the index of dispersion does not speak against it: (n − 1) variance ÷ mean lies within the 2.5 % and 97.5 % points of
 *   χ² with n − 1 degrees of freedom (Fisher 1950; Cochran 1954).
 * - `negative-binomial` if it is too large for that and Kolmogorov and Smirnov’s distance between the months and the distribution of
 *   the same mean and variance is at most 1.36 ÷ √n, their point of 5 %, as Syntetos, Babai & Altay (2012) test demand of spare parts.
 *   With estimated parameters and counts the test rejects less than one in twenty.
 * - `empirical` otherwise: demand too regular, in fractions of a unit, or of another shape.
 */
export function distributionOf(
  demand: readonly number[],
  { mean, variance, isWhole }: SeriesMoments
): DemandDistribution {
  if (!(mean > 0)) return 'none'
  if (!isWhole) return 'empirical'
  if (demand.length < 2) return 'poisson'
  const freedom = demand.length - 1
  const dispersion = (freedom * variance) / mean
  const [low, high] = dispersionLimits(freedom)
  if (dispersion < low) return 'empirical'
  if (dispersion <= high) return 'poisson'
  const isFitting = isWithin(1.36 / Math.sqrt(demand.length), countsOf(mean, variance), demand)
  return isFitting ? 'negative-binomial' : 'empirical'
}

const LIMITS = new Map<number, readonly [number, number]>()

// Finding a point of χ² takes longer than all the rest of a level, and series have one of few lengths.
function dispersionLimits(freedom: number): readonly [number, number] {
  let limits = LIMITS.get(freedom)
  if (limits === undefined) {
    limits = [jStat.chisquare.inv(0.025, freedom), jStat.chisquare.inv(0.975, freedom)]
    if (LIMITS.size < 1000) LIMITS.set(freedom, limits)
  }
  return limits
}

/**
 * Whether Kolmogorov and Smirnov’s distance, the largest between what share of the months lies up to a quantity and what share should,
 * is at most `limit`.
 */
function isWithin(limit: number, distribution: Distribution, demand: readonly number[]): boolean {
  const sorted = Float64Array.from(demand).sort()
  const cdf = distribution instanceof Counts ? distribution.ascending() : (x: number) => distribution.cdf(x)
  let below = 0
  for (let i = 0; i < sorted.length; i++) {
    const month = sorted[i] ?? 0
    if (month === sorted[i + 1]) continue
    // Both are steps: between two quantities that are apart the distribution goes on rising.
    if (Math.abs(below - cdf(month - 1)) > limit) return false
    below = (i + 1) / sorted.length
    if (Math.abs(below - cdf(month)) > limit) return false
  }
  return true
}

/** Standard deviation from which counts are taken as continuous: walking through them takes time, and a unit is nothing there. */
const CONTINUOUS_FROM = 200
/** Shape of a gamma distribution above which it takes long, and is as good as normal from `NORMAL_FROM` on. */
const BELL_SHAPED_FROM = 1000
const NORMAL_FROM = 2000

/**
 * Counts with this mean and variance: Poisson or negative binomial, where they are large gamma or normal with the correction for
 * continuity, P(X ≤ x) = G(x + ½), which is off by a unit or two in the tail.
 */
export function countsOf(mean: number, variance: number): Distribution {
  const sd = Math.sqrt(variance)
  const isBellShaped = (mean * mean) / variance > BELL_SHAPED_FROM
  if (sd <= (isBellShaped ? NORMAL_FROM : CONTINUOUS_FROM))
    return variance > mean ? negativeBinomial(mean, variance) : poisson(mean)
  const limit = isBellShaped ? normal(mean, sd) : gamma(mean, variance)
  return {
    mean,
    variance,
    cdf: (x) => (x < 0 ? 0 : limit.cdf(Math.floor(x) + 0.5)),
    quantile: (probability) => Math.max(0, Math.ceil(limit.quantile(probability) - 0.5)),
    loss: (x) => limit.loss(x)
  }
}

/** Cells of the grid on which sums of months are computed. */
const CELLS = 2048
/** Months from which the sum is as good as one of a gamma distribution, by the central limit theorem. */
const MANY_MONTHS = 24

/**
 * The sum of `months` months drawn from those of the series: the bootstrap of Willemain, Smart & Schwarz (2004) with infinitely many
 * draws, computed by convolution, so that it is the same every time and has no noise. Months are drawn one by one; a trend or a season
 * is not kept.
 *
 * A share f of a month takes a month’s demand with probability f if demand comes in lumps (`inLumps`), as one event on some day; else it is
 * f mean + √f (demand − mean), at least 0, which has the mean and the variance of that share of a demand spread over the month.
 *
 * Quantities lie on a grid of their greatest common divisor, or of 2,048 cells where that would be finer; what lies between two points
 * of it is shared out between both.
 */
export function sumOfMonths(demand: readonly number[], months: number, inLumps: boolean): Distribution {
  const { mean, variance } = momentsOf(demand)
  if (months > MANY_MONTHS) return variance > 0 ? gamma(mean * months, variance * months) : certain(mean * months)
  const whole = Math.floor(months)
  const share = months - whole
  const largest = thousandths(demand.reduce((most, month) => Math.max(most, month), 0))
  let step = demand.reduce((divisor, month) => greatestCommonDivisor(divisor, thousandths(month)), 0)
  if (step === 0) step = 1
  const draws = whole + (share > 0 ? 1 : 0)
  step *= Math.max(1, Math.ceil((largest * draws) / step / CELLS))
  const probabilities = new Map<number, number>()
  for (const month of demand) probabilities.set(month, (probabilities.get(month) ?? 0) + 1 / demand.length)

  const cells = (Math.floor(largest / step + 1e-9) + 2) * draws + 1
  let sum = new Float64Array(cells)
  let next = new Float64Array(cells)
  sum[0] = 1
  let reach = 0
  const add = (drawn: Iterable<readonly [quantity: number, probability: number]>) => {
    next.fill(0)
    let furthest = 0
    for (const [quantity, probability] of drawn) {
      // Between two cells: to both, so that the mean stays.
      const place = (quantity * 1000) / step
      const offset = Math.floor(place + 1e-9)
      const above = Math.max(0, place - offset)
      furthest = Math.max(furthest, above > 1e-9 ? offset + 1 : offset)
      const here = probability * (1 - above)
      for (let i = 0; i <= reach; i++) next[i + offset] = (next[i + offset] ?? 0) + (sum[i] ?? 0) * here
      if (above <= 1e-9) continue
      const there = probability * above
      for (let i = 0; i <= reach; i++) next[i + offset + 1] = (next[i + offset + 1] ?? 0) + (sum[i] ?? 0) * there
    }
    reach += furthest
    const swapped = sum
    sum = next
    next = swapped
  }
  for (let i = 0; i < whole; i++) add(probabilities)
  if (share > 0)
    add(
      inLumps
        ? [[0, 1 - share], ...[...probabilities].map(([quantity, p]) => [quantity, p * share] as const)]
        : [...probabilities].map(
            ([quantity, p]) => [Math.max(0, share * mean + Math.sqrt(share) * (quantity - mean)), p] as const
          )
    )
  return onGrid(sum.subarray(0, reach + 1), step / 1000)
}

const certain = (quantity: number): Distribution => ({
  mean: quantity,
  variance: 0,
  cdf: (x) => (x >= quantity - 1e-9 ? 1 : 0),
  quantile: () => quantity,
  loss: (x) => Math.max(0, quantity - x)
})

/** A distribution with these probabilities of 0, step, 2 step, …; between them nothing. */
function onGrid(probabilities: Float64Array, step: number): Distribution {
  const cumulated = new Float64Array(probabilities.length)
  let [sum, mean, squares] = [0, 0, 0]
  for (const [i, probability] of probabilities.entries()) {
    sum += probability
    cumulated[i] = sum
    mean += probability * i * step
    squares += probability * (i * step) ** 2
  }
  const last = probabilities.length - 1
  let losses: Float64Array | undefined
  return {
    mean,
    variance: Math.max(0, squares - mean * mean),
    cdf: (x) => (x < 0 ? 0 : (cumulated[Math.min(last, Math.floor(x / step + 1e-9))] ?? 1)),
    quantile: (probability) => {
      requireProbability(probability)
      let [low, high] = [0, last]
      while (low < high) {
        const middle = (low + high) >> 1
        if ((cumulated[middle] ?? 1) >= probability * REACHED - 1e-12) high = middle
        else low = middle + 1
      }
      return low * step
    },
    loss: (x) => {
      if (x <= 0) return mean - x
      losses ??= lossesOf(cumulated, step)
      const place = x / step
      const below = Math.floor(place)
      if (below >= last) return 0
      const here = losses[below] ?? 0
      return here + (place - below) * ((losses[below + 1] ?? 0) - here)
    }
  }
}

/** E(X − x)⁺ at every point of the grid; between two points it is a straight line. */
function lossesOf(cumulated: Float64Array, step: number): Float64Array {
  const losses = new Float64Array(cumulated.length)
  for (let i = cumulated.length - 2; i >= 0; i--)
    losses[i] = (losses[i + 1] ?? 0) + Math.max(0, 1 - (cumulated[i] ?? 1)) * step
  return losses
}

const thousandths = (quantity: number): number => Math.round(quantity * 1000)

function greatestCommonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b]
  return a
}

function requireProbability(probability: number): void {
  if (!(probability > 0 && probability < 1))
    throw new Error(`the probability is ${probability}; it lies strictly between 0 and 1`)
}

function requirePositive(what: string, value: number, least = Number.MIN_VALUE): void {
  if (!(value >= least && value < Infinity))
    throw new Error(`the ${what} is ${value}; it must be a number ${least === 0 ? 'from' : 'above'} 0`)
}
