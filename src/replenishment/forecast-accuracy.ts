// How far the forecasts of a warehouse were off lately, by class of demand and method (预测准确率). Each method forecasts every month
// from the months before it alone; the last HORIZON_MONTHS are compared. `chosen` is the method
// that a level would have gone by when the first of them began, and the class is that of the months before.
import { requireSight, type Context } from '../identity/actor.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { accuracyOf, chooseByBacktest, type Accuracy } from './accuracy.ts'
import { classify, DEMAND_CLASSES, type DemandClass } from './classification.ts'
import { positionInputs, seriesOf } from './compute-levels.ts'
import { forecastOf, METHODS, type Method } from './forecast.ts'
import type { AccuracyRow, ForecastAccuracyView } from './reorder.schemas.ts'

export const HORIZON_MONTHS = 12

type Column = Method | 'chosen'
const COLUMNS: readonly Column[] = [...METHODS, 'chosen']

interface Sums {
  series: number
  months: number
  demand: number
  errors: number
  absolute: number
  squared: number
  /** Of the series that have a scale. */
  scaled: number
  scaledSeries: number
  periodsInStock: number
}
const nothing = (): Sums => ({
  series: 0,
  months: 0,
  demand: 0,
  errors: 0,
  absolute: 0,
  squared: 0,
  scaled: 0,
  scaledSeries: 0,
  periodsInStock: 0
})

function add(sums: Sums, of: Accuracy): void {
  sums.series++
  sums.months += of.months
  sums.demand += of.demand
  sums.errors += of.sumOfErrors
  sums.absolute += of.sumOfAbsoluteErrors
  sums.squared += of.sumOfSquaredErrors
  sums.periodsInStock += of.periodsInStock
  if (of.naiveError === null || of.months === 0) return
  sums.scaled += of.sumOfAbsoluteErrors / of.months / of.naiveError
  sums.scaledSeries++
}

/**
 * The accuracy of every method in a warehouse. Parts without demand before the months that are compared are left out and counted.
 * @throws Refusal 404
 */
export async function readForecastAccuracy(
  ctx: Context,
  { warehouse: code }: { warehouse: string }
): Promise<ForecastAccuracyView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  const sums = new Map<DemandClass, Record<Column, Sums>>()
  let leftOut = 0
  for await (const position of positionInputs(ctx, [warehouse.id], { full: true })) {
    const series = seriesOf(position)
    // Nobody knew the class of the months that are compared, or which method would be closest in them.
    const known = series.slice(0, Math.max(0, series.length - HORIZON_MONTHS))
    const classes = classify(known)
    const chosen = chooseByBacktest(known, { classes })
    if (chosen === null) {
      leftOut++
      continue
    }
    const ofClass =
      sums.get(classes.demandClass) ??
      (Object.fromEntries(COLUMNS.map((each) => [each, nothing()])) as Record<Column, Sums>)
    sums.set(classes.demandClass, ofClass)
    for (const method of METHODS) {
      const accuracy = accuracyOf(series, forecastOf(method, series).fitted, { months: HORIZON_MONTHS })
      add(ofClass[method], accuracy)
      if (method === chosen) add(ofClass.chosen, accuracy)
    }
  }
  return {
    warehouse: code,
    months: HORIZON_MONTHS,
    leftOut,
    rows: DEMAND_CLASSES.flatMap((demandClass) => {
      const ofClass = sums.get(demandClass)
      return ofClass === undefined ? [] : COLUMNS.map((method) => rowOf(demandClass, method, ofClass[method]))
    })
  }
}

const rowOf = (demandClass: DemandClass, method: Column, sums: Sums): AccuracyRow => ({
  demandClass,
  method,
  series: sums.series,
  meanAbsoluteError: sums.absolute / sums.months,
  rootMeanSquaredError: Math.sqrt(sums.squared / sums.months),
  meanAbsoluteScaledError: sums.scaledSeries === 0 ? null : sums.scaled / sums.scaledSeries,
  bias: sums.demand === 0 ? null : -sums.errors / sums.demand,
  periodsInStock: sums.periodsInStock / sums.series
})
