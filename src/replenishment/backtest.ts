import { accuracyOf, chooseByBacktest, type Accuracy } from './accuracy.ts'
import { classify, DEMAND_CLASSES, methodFor, type DemandClass } from './classification.ts'
import type { DemandFile, DemandSeries } from './demand-file.ts'
import { forecastBy, forecastOf, METHODS } from './forecast.ts'
import { DAYS_PER_MONTH, levelOf, type LevelOptions, type ServiceTarget } from './reorder-level.ts'

// What the forecasts and reorder levels would have been worth in the last months of recorded demand.
//
// Accuracy: at the end of each month the next one is forecast from the months before it alone (rolling origin).
// Service: at the start of each month the level is computed from the months before it, and stock that has fallen to the reorder point is
// filled up. Demand is spread evenly over its month; what cannot be met waits. The months are warmed up to: the stock starts a while before
// them, at the order-up-to level, so that it is not measured full.
// Classes are those of the months before the test, since nobody knows the class of what is to come.

export const CANDIDATES = [...METHODS, 'by-class', 'by-backtest'] as const
/** A method for every series; or chosen for each by its class or by backtest. */
export type Candidate = (typeof CANDIDATES)[number]

export interface BacktestOptions {
  /** How many of the last months of the file are tested. */
  months: number
  leadTimeDays: number
  target: ServiceTarget
  onProgress?: (done: number, total: number) => void
}

export interface AccuracyRow {
  candidate: Candidate
  demandClass: DemandClass | 'all'
  series: number
  seriesMonths: number
  mae: number
  rmse: number
  /** Mean over series of MAE ÷ the mean absolute change from month to month before; null if no series changed. */
  mase: number | null
  /** (forecast − demand) ÷ demand, all months together; null if nothing was wanted. */
  bias: number | null
  /** Mean over series of periods in stock ÷ mean demand before; null where there was none. */
  scaledPeriodsInStock: number | null
}

export interface ServiceRow {
  candidate: Candidate
  demandClass: DemandClass | 'all'
  series: number
  /** What the levels said they would achieve, on average. */
  promised: number | null
  /** Share of months from which demand until the order of the month after would have come was covered by the reorder point; null if too few months are left. */
  covered: number | null
  /** Share of deliveries before which stock lasted, and how many; null without any. */
  cycleService: number | null
  deliveries: number
  /** Share of demand met from stock; null without demand. */
  fillRate: number | null
  /** Mean units on hand per series. */
  onHand: number
  /** That ÷ mean demand per month; null without demand. */
  monthsOfStock: number | null
}

export interface Backtest {
  months: { from: string; to: string; count: number }
  parts: number
  /** Parts of which no month of the test, or none before it, is recorded. */
  leftOut: number
  options: { leadTimeDays: number; reviewDays: number; target: ServiceTarget; warmUpMonths: number }
  classes: Record<DemandClass, number>
  accuracy: AccuracyRow[]
  service: ServiceRow[]
  /** Levels that were computed, and microseconds each. */
  levels: { count: number; microseconds: number }
  seconds: number
}

/** Months without which a level is not worth testing. */
const LEAST_BEFORE = 12

export function backtest({ months, series }: DemandFile, options: BacktestOptions): Backtest {
  const began = performance.now()
  const first = months.length - options.months
  if (first < 1)
    throw new Error(
      `the file has ${months.length} months; to test the last ${options.months} of them, at least ${options.months + 1} are needed`
    )
  const levels = { count: 0, microseconds: 0 }
  const classes = Object.fromEntries(DEMAND_CLASSES.map((one) => [one, 0])) as Record<DemandClass, number>
  const accuracy = new Map<string, AccuracySum>()
  const service = new Map<string, ServiceSum>()
  let leftOut = 0
  for (const [index, one] of series.entries()) {
    options.onProgress?.(index, series.length)
    const before = first - one.from
    const tested = one.demand.length - before
    if (before < 1 || tested < 1) {
      leftOut++
      continue
    }
    const { demandClass } = classify(one.demand.slice(0, before))
    classes[demandClass]++
    for (const candidate of CANDIDATES) {
      const errors = accuracyOf(one.demand, fittedOf(candidate, one.demand, before), { months: tested })
      const played = before < LEAST_BEFORE ? undefined : play(one, candidate, before, options, levels)
      for (const group of [demandClass, 'all'] as const) {
        const key = `${candidate} ${group}`
        addAccuracy(entryOf(accuracy, key, newAccuracySum), errors)
        if (played !== undefined) addService(entryOf(service, key, newServiceSum), played)
      }
    }
  }
  options.onProgress?.(series.length, series.length)
  const rows = (['all', ...DEMAND_CLASSES] as const).flatMap((demandClass) =>
    CANDIDATES.map((candidate) => ({ candidate, demandClass, key: `${candidate} ${demandClass}` }))
  )
  return {
    months: { from: months[first] ?? '', to: months.at(-1) ?? '', count: options.months },
    parts: series.length,
    leftOut,
    options: {
      leadTimeDays: options.leadTimeDays,
      reviewDays: DAYS_PER_MONTH,
      target: options.target,
      warmUpMonths: warmUpOf(first, options.months)
    },
    classes,
    accuracy: rows.flatMap(({ key, ...row }) => {
      const sum = accuracy.get(key)
      return sum === undefined ? [] : [{ ...row, ...accuracyRow(sum) }]
    }),
    service: rows.flatMap(({ key, ...row }) => {
      const sum = service.get(key)
      return sum === undefined ? [] : [{ ...row, ...serviceRow(sum) }]
    }),
    levels: {
      count: levels.count,
      microseconds: levels.count === 0 ? 0 : levels.microseconds / levels.count
    },
    seconds: (performance.now() - began) / 1000
  }
}

/** What was forecast of each month from `before` on. The methods look back only, so their fitted values are forecasts of their day. */
function fittedOf(candidate: Candidate, demand: readonly number[], before: number): (number | null)[] {
  if (candidate !== 'by-class' && candidate !== 'by-backtest') return forecastOf(candidate, demand).fitted
  return demand.map((_, month) => {
    if (month < before) return null
    const known = demand.slice(0, month)
    const method = candidate === 'by-backtest' ? chooseByBacktest(known) : methodFor(known, classify(known))
    return method === null ? 0 : forecastBy(method, known)
  })
}

const levelOptions = (candidate: Candidate): Pick<LevelOptions, 'method' | 'choose'> =>
  candidate === 'by-class'
    ? { choose: 'class' }
    : candidate === 'by-backtest'
      ? { choose: 'backtest' }
      : { method: candidate }

interface Play {
  promised: number
  covered: number
  coverable: number
  deliveries: number
  goodDeliveries: number
  demand: number
  met: number
  onHand: number
  months: number
}

/** Months that the stock is played before it is measured, as many as leave enough to compute a level from. */
const warmUpOf = (before: number, months: number): number => Math.max(0, Math.min(months, before - LEAST_BEFORE))

const nothingPlayed = (): Play => ({
  promised: 0,
  covered: 0,
  coverable: 0,
  deliveries: 0,
  goodDeliveries: 0,
  demand: 0,
  met: 0,
  onHand: 0,
  months: 0
})

/** Plays the stock of one part through the months of the test. */
function play(
  { demand }: DemandSeries,
  candidate: Candidate,
  before: number,
  { months, leadTimeDays, target }: BacktestOptions,
  levels: { count: number; microseconds: number }
): Play {
  const leadTime = leadTimeDays / DAYS_PER_MONTH
  const result = nothingPlayed()
  // On hand less what waits, and what is on its way: when, counted in months, and how much.
  let net: number | undefined
  let onTheWay: { at: number; quantity: number }[] = []
  for (let month = before - warmUpOf(before, months); month < demand.length; month++) {
    const isMeasured = month >= before
    const known = demand.slice(0, month)
    const started = performance.now()
    const level = levelOf(known, {
      leadTimeDays,
      packSize: null,
      target,
      reviewDays: DAYS_PER_MONTH,
      ...levelOptions(candidate)
    })
    levels.microseconds += (performance.now() - started) * 1000
    levels.count++
    const reorderPoint = Number(level.reorderPoint)
    const orderUpTo = Number(level.orderUpTo)
    net ??= orderUpTo
    const position: number = onTheWay.reduce((sum, { quantity }) => sum + quantity, net)
    if (position <= reorderPoint && orderUpTo > position)
      onTheWay.push({ at: month + leadTime, quantity: orderUpTo - position })

    if (isMeasured) {
      const until = demandUntil(demand, month, leadTime + 1)
      if (until !== undefined) {
        result.promised += level.achieved
        result.coverable++
        if (until <= reorderPoint + 1e-9) result.covered++
      }
    }
    const wanted = demand[month] ?? 0
    let now = month
    const goOn = (to: number) => {
      const asked = wanted * (to - now)
      const stock = Math.max(0, net ?? 0)
      const met = Math.min(stock, asked)
      net = (net ?? 0) - asked
      if (isMeasured) {
        result.demand += asked
        result.met += met
        result.onHand += (to - now) * (stock - met / 2)
      }
      now = to
    }
    for (const { at, quantity } of onTheWay.filter((one) => one.at < month + 1)) {
      goOn(at)
      if (isMeasured) {
        result.deliveries++
        if (net >= -1e-9) result.goodDeliveries++
      }
      net += quantity
    }
    onTheWay = onTheWay.filter((one) => one.at >= month + 1)
    goOn(month + 1)
    if (isMeasured) result.months++
  }
  return result
}

/** Demand of so many months from the start of one on, spread evenly over its last; undefined if they are not all recorded. */
function demandUntil(demand: readonly number[], month: number, months: number): number | undefined {
  const end = month + months
  if (end > demand.length + 0.05) return undefined
  let sum = 0
  for (let i = month; i < end; i++) sum += (demand[i] ?? 0) * Math.min(1, end - i)
  return sum
}

interface AccuracySum {
  series: number
  months: number
  demand: number
  errors: number
  absoluteErrors: number
  squaredErrors: number
  scaled: { sum: number; series: number }
  periodsInStock: { sum: number; series: number }
}

const newAccuracySum = (): AccuracySum => ({
  series: 0,
  months: 0,
  demand: 0,
  errors: 0,
  absoluteErrors: 0,
  squaredErrors: 0,
  scaled: { sum: 0, series: 0 },
  periodsInStock: { sum: 0, series: 0 }
})

function addAccuracy(sum: AccuracySum, one: Accuracy): void {
  sum.series++
  sum.months += one.months
  sum.demand += one.demand
  sum.errors += one.sumOfErrors
  sum.absoluteErrors += one.sumOfAbsoluteErrors
  sum.squaredErrors += one.sumOfSquaredErrors
  if (one.naiveError !== null) {
    sum.scaled.sum += one.sumOfAbsoluteErrors / one.months / one.naiveError
    sum.scaled.series++
  }
  if (one.meanBefore !== null) {
    sum.periodsInStock.sum += one.periodsInStock / one.meanBefore
    sum.periodsInStock.series++
  }
}

const accuracyRow = (sum: AccuracySum): Omit<AccuracyRow, 'candidate' | 'demandClass'> => ({
  series: sum.series,
  seriesMonths: sum.months,
  mae: sum.absoluteErrors / sum.months,
  rmse: Math.sqrt(sum.squaredErrors / sum.months),
  mase: ratio(sum.scaled.sum, sum.scaled.series),
  bias: ratio(0 - sum.errors, sum.demand),
  scaledPeriodsInStock: ratio(sum.periodsInStock.sum, sum.periodsInStock.series)
})

type ServiceSum = Play & { series: number }

const newServiceSum = (): ServiceSum => ({ series: 0, ...nothingPlayed() })

function addService(sum: ServiceSum, one: Play): void {
  sum.series++
  for (const key of Object.keys(one) as (keyof Play)[]) sum[key] += one[key]
}

const serviceRow = (sum: ServiceSum): Omit<ServiceRow, 'candidate' | 'demandClass'> => ({
  series: sum.series,
  promised: ratio(sum.promised, sum.coverable),
  covered: ratio(sum.covered, sum.coverable),
  cycleService: ratio(sum.goodDeliveries, sum.deliveries),
  deliveries: sum.deliveries,
  fillRate: ratio(sum.met, sum.demand),
  onHand: sum.onHand / sum.months,
  monthsOfStock: ratio(sum.onHand, sum.demand)
})

const ratio = (part: number, whole: number): number | null => (whole > 0 ? part / whole : null)

function entryOf<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}
