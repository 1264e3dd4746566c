import { Refusal } from '../platform/errors.ts'
import { forecastBy, METHODS, type Method } from './forecast.ts'
import { levelOf } from './reorder-level.ts'
import type { ForecastBody, ForecastView } from './reorder.schemas.ts'
import { requireLeadTime, requireServiceLevel } from './service-targets.ts'

/**
 * What a series would be forecast at and kept of, through the same functions as every level. Nothing is stored.
 * @throws Refusal 422 `DemandHasGaps`, `LeadTimeOutOfRange`, `ServiceLevelOutOfRange`
 */
export function tryForecast({ demand, leadTimeDays, target, packSize, method, choose }: ForecastBody): ForecastView {
  requireLeadTime(leadTimeDays, '/leadTimeDays')
  requireServiceLevel(target.level, '/target/level')
  const series = requireComplete(demand)
  const level = levelOf(series, {
    leadTimeDays,
    packSize: packSize ?? null,
    target: { measure: target.measure, level: Number(target.level) },
    ...(method !== undefined && { method }),
    ...(choose !== undefined && { choose })
  })
  return {
    basis: 'computed',
    ...level,
    forecasts: Object.fromEntries(METHODS.map((each) => [each, forecastBy(each, series)])) as Record<Method, number>
  }
}

/** Missing is not zero: a month that nobody recorded would count as one in which nothing was asked for. */
function requireComplete(demand: ForecastBody['demand']): number[] {
  const missing = demand.flatMap((month, place) => (month === null ? [place] : []))
  if (missing.length > 0) {
    throw new Refusal(
      'DemandHasGaps',
      422,
      `nothing is known of month ${missing
        .slice(0, 5)
        .map((place) => place + 1)
        .join(
          ', '
        )}${missing.length > 5 ? ` and ${missing.length - 5} more` : ''}; send "0" where nothing was asked for, or only the months since demand was recorded`,
      {
        errors: missing
          .slice(0, 20)
          .map((place) => ({ pointer: `/demand/${place}`, detail: 'is missing', sent: null, accepted: 'a quantity' }))
      }
    )
  }
  return demand.map(Number)
}
