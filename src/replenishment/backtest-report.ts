import { DEMAND_CLASSES } from './classification.ts'
import type { Backtest } from './backtest.ts'

/** A backtest as lines to read. */
export function backtestLines(result: Backtest): string[] {
  const { months, parts, leftOut, options, classes, accuracy, service, levels, seconds } = result
  const { measure, level } = options.target
  return [
    `${parts} parts, tested on ${months.count} months, ${months.from} to ${months.to}; classes by the months before: ${DEMAND_CLASSES.map((one) => `${classes[one]} ${one}`).join(', ')}${leftOut === 0 ? '' : `; ${leftOut} parts without a month in or before the test left out`}`,
    '',
    'Accuracy of forecasts one month ahead (bias: forecast − demand, of demand; sPIS: periods in stock by mean demand, above 0 if too high)',
    ...table(
      ['class', 'method', 'series', 'MAE', 'RMSE', 'MASE', 'bias', 'sPIS'],
      accuracy.map((row) => [
        row.demandClass,
        row.candidate,
        String(row.series),
        row.mae.toFixed(4),
        row.rmse.toFixed(4),
        fixed(row.mase, 4),
        percent(row.bias),
        fixed(row.scaledPeriodsInStock, 2)
      ])
    ),
    '',
    `Service with reorder levels for ${measure} ${percent(level)}, lead time ${options.leadTimeDays} days, reviewed monthly, ${options.warmUpMonths} months of warm-up`,
    '(covered: months in which the reorder point covered demand until the next order could come; cycles: deliveries before which stock lasted)',
    ...table(
      [
        'class',
        'method',
        'series',
        'promised',
        'covered',
        'cycles',
        'deliveries',
        'fill rate',
        'on hand',
        'months of stock'
      ],
      service.map((row) => [
        row.demandClass,
        row.candidate,
        String(row.series),
        percent(row.promised),
        percent(row.covered),
        percent(row.cycleService),
        String(row.deliveries),
        percent(row.fillRate),
        row.onHand.toFixed(3),
        fixed(row.monthsOfStock, 2)
      ])
    ),
    '',
    `${levels.count} levels at ${levels.microseconds.toFixed(1)} µs each; ${seconds.toFixed(1)} s in all`
  ]
}

const fixed = (value: number | null, places: number): string => (value === null ? '-' : value.toFixed(places))
const percent = (share: number | null): string => (share === null ? '-' : `${(share * 100).toFixed(1)} %`)

/** Columns side by side, words to the left and figures to the right; a blank line between classes. */
function table(headings: string[], rows: string[][]): string[] {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: string[]) =>
    cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')
  return [
    line(headings),
    ...rows.flatMap((row, i) => [...(i > 0 && row[0] !== rows[i - 1]?.[0] ? [''] : []), line(row)])
  ]
}
