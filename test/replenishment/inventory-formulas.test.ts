import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  abcByAnnualValue,
  baseStockNormal,
  baseStockPoisson,
  economicOrderQuantity,
  gammaLoss,
  gammaQuantile,
  negativeBinomialLoss,
  negativeBinomialQuantile,
  normalLoss,
  normalQuantile,
  oneForOneNegativeBinomial,
  oneForOnePoisson,
  poissonLoss,
  poissonQuantile,
  reorderPointAndQuantity,
  reorderPointCost,
  safetyStock
} from '../../src/replenishment/inventory-formulas.ts'
import published from '../data/forecasts/published-inventory.json' with { type: 'json' }
import quantiles from '../data/forecasts/quantiles.json' with { type: 'json' }
import { expectClose } from './expect-close.ts'

/** An example as it was published, figures by their names there. */
function example(id: string): { input: Record<string, number>; expected: Record<string, number>; tolerance: number } {
  const found = published.cases.find((one) => one.id === id)
  if (found === undefined) throw new Error(`there is no example ${id}`)
  return found as never
}

function expectAll(id: string, actual: Record<string, number>): void {
  const { expected, tolerance } = example(id)
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort())
  for (const [name, value] of Object.entries(expected)) expectClose(actual[name], value, tolerance, `${id} ${name}`)
}

describe('published examples come out', () => {
  test('economic order quantity', () => {
    const { input } = example('eoq-d1')
    const { orderQuantity, cost } = economicOrderQuantity({
      fixedCost: input['fixed_cost'] ?? 0,
      holdingCost: input['holding_cost_per_unit_year'] ?? 0,
      demand: input['demand_per_year'] ?? 0
    })
    expectAll('eoq-d1', { order_quantity: orderQuantity, cost_per_year: cost })
  })

  test('base stock of least cost, normal demand', () => {
    const { input } = example('basestock-normal-d1')
    const { baseStockLevel, cost } = baseStockNormal({
      holdingCost: input['holding_cost'] ?? 0,
      stockoutCost: input['stockout_cost'] ?? 0,
      demandMean: input['demand_mean'] ?? 0,
      demandSd: input['demand_sd'] ?? 0,
      leadTime: input['lead_time'] ?? 0
    })
    expectAll('basestock-normal-d1', { base_stock_level: baseStockLevel, cost })
  })

  test('base stock of least cost, Poisson demand', () => {
    const { input } = example('basestock-poisson-d1')
    const { baseStockLevel, cost } = baseStockPoisson({
      holdingCost: input['holding_cost'] ?? 0,
      stockoutCost: input['stockout_cost'] ?? 0,
      demandMean: input['demand_mean'] ?? 0,
      leadTime: input['lead_time'] ?? 0
    })
    expectAll('basestock-poisson-d1', { base_stock_level: baseStockLevel, cost })
  })

  test('reorder point and order quantity, Poisson demand', () => {
    const { input } = example('rq-poisson-d1')
    const { reorderPoint, orderQuantity, cost } = reorderPointAndQuantity({
      holdingCost: input['holding_cost'] ?? 0,
      stockoutCost: input['stockout_cost_per_unit_time'] ?? 0,
      fixedCost: input['fixed_cost'] ?? 0,
      demandRate: input['demand_rate'] ?? 0,
      leadTime: input['lead_time'] ?? 0
    })
    expectAll('rq-poisson-d1', { r: reorderPoint, Q: orderQuantity, cost })
  })

  test('losses', () => {
    const counts = example('loss-poisson-d1').input
    const { loss, complementaryLoss } = poissonLoss(counts['x'] ?? 0, counts['mean'] ?? 0)
    expectAll('loss-poisson-d1', { loss, complementary_loss: complementaryLoss })
    const bell = example('loss-normal-d1').input
    const both = normalLoss(bell['x'] ?? 0, bell['mean'] ?? 0, bell['sd'] ?? 0)
    expectAll('loss-normal-d1', { loss: both.loss, complementary_loss: both.complementaryLoss })
  })

  test('safety stock', () => {
    const { input } = example('ss-d1')
    const result = safetyStock({
      demandMean: input['d'] ?? 0,
      demandSd: input['sd_d'] ?? 0,
      leadTime: input['lead_time'] ?? 0,
      cycleService: input['csl'] ?? 0
    })
    expectAll('ss-d1', { safety_stock: result.safetyStock, lead_time_demand: result.leadTimeDemand })
  })

  test('ABC by annual value', () => {
    const one = published.cases.find(({ id }) => id === 'abc-d1')
    const items = (one?.input.items ?? []).map((row) => ({
      item: row.item,
      annualVolume: row.annual_volume,
      unitCost: row.unit_cost
    }))
    const classes = Object.fromEntries(abcByAnnualValue(items).map(({ item, valueClass }) => [item, valueClass]))
    expect(classes).toEqual(one?.expected.class)
  })
})

describe('measures computed with R come out', () => {
  const { tolerance } = quantiles

  test.each(quantiles.base_stock_poisson)(
    'base stock $base_stock_S, Poisson of mean $lead_time_demand_mean',
    ({ lead_time_demand_mean: mean, base_stock_S: baseStock, ...expected }) => {
      const { fillRate, backorders, onHand } = oneForOnePoisson(mean, baseStock)
      expectClose(fillRate, expected.fill_rate, tolerance, 'fill rate')
      expectClose(backorders, expected.expected_backorders, tolerance, 'backorders')
      expectClose(onHand, expected.expected_on_hand, tolerance, 'on hand')
    }
  )

  test.each(quantiles.base_stock_negbin)(
    'base stock $S, negative binomial of mean $lead_time_demand_mean',
    ({ lead_time_demand_mean: mean, variance, S, ...expected }) => {
      const { backorders, onHand } = oneForOneNegativeBinomial(mean, variance, S)
      expectClose(backorders, expected.expected_short, tolerance, 'short')
      expectClose(onHand, expected.expected_over, tolerance, 'over')
    }
  )

  test.each(quantiles.safety_stock_normal)(
    'safety stock for $csl, lead time $L ± $sL',
    ({ d, sd, L, sL, csl, ...expected }) => {
      const result = safetyStock({ demandMean: d, demandSd: sd, leadTime: L, leadTimeSd: sL, cycleService: csl })
      expectClose(result.sd, expected.sigma_LTD, tolerance, 'standard deviation')
      expectClose(result.safetyStock, expected.safety_stock, tolerance, 'safety stock')
      expectClose(result.reorderPoint, expected.reorder_point, tolerance, 'reorder point')
    }
  )
})

const cost = fc.double({ min: 0.1, max: 50, noNaN: true })
const mean = fc.double({ min: 0.05, max: 60, noNaN: true })

test('no base stock next to the one of least cost is cheaper, with a lead time or without', () => {
  fc.assert(
    fc.property(cost, cost, mean, fc.integer({ min: 0, max: 6 }), (holdingCost, stockoutCost, demandMean, leadTime) => {
      const costOf = (level: number, { loss, complementaryLoss }: { loss: number; complementaryLoss: number }) =>
        Number.isFinite(level) ? holdingCost * complementaryLoss + stockoutCost * loss : Infinity
      const periods = leadTime + 1
      const counts = baseStockPoisson({ holdingCost, stockoutCost, demandMean, leadTime })
      const bell = baseStockNormal({ holdingCost, stockoutCost, demandMean, demandSd: demandMean / 3, leadTime })
      const sd = (demandMean / 3) * Math.sqrt(periods)
      for (const step of [-1, 1]) {
        const level = counts.baseStockLevel + step
        expect(costOf(level, poissonLoss(level, demandMean * periods))).toBeGreaterThanOrEqual(counts.cost - 1e-9)
        const near = bell.baseStockLevel + (step * sd) / 10
        expect(costOf(near, normalLoss(near, demandMean * periods, sd))).toBeGreaterThan(bell.cost)
      }
    }),
    { numRuns: 60 }
  )
})

test('no reorder point and quantity within reach of those found is cheaper', () => {
  fc.assert(
    fc.property(
      cost,
      cost,
      cost,
      mean,
      fc.double({ min: 0, max: 1.5, noNaN: true }),
      (h, p, k, demandRate, leadTime) => {
        const costs = { holdingCost: h, stockoutCost: p, fixedCost: k, demandRate, leadTime }
        const best = reorderPointAndQuantity(costs)
        expectClose(best.cost, reorderPointCost(best, costs), 1e-9, 'cost')
        for (const point of [-2, -1, 0, 1, 2])
          for (const quantity of [-2, -1, 0, 1, 2]) {
            const other = {
              reorderPoint: best.reorderPoint + point,
              orderQuantity: Math.max(1, best.orderQuantity + quantity)
            }
            expect(reorderPointCost(other, costs)).toBeGreaterThanOrEqual(best.cost - 1e-9)
          }
      }
    ),
    { numRuns: 40 }
  )
})

test('ordering the economic quantity costs as much for ordering as for holding', () => {
  fc.assert(
    fc.property(cost, cost, mean, (fixedCost, holdingCost, demand) => {
      const { orderQuantity, cost: total } = economicOrderQuantity({ fixedCost, holdingCost, demand })
      expectClose((fixedCost * demand) / orderQuantity, total / 2, 1e-9, 'ordering')
      expectClose((holdingCost * orderQuantity) / 2, total / 2, 1e-9, 'holding')
    })
  )
})

test('quantiles and losses by distribution are those of the distributions', () => {
  expect([poissonQuantile(4, 0.95), negativeBinomialQuantile(2, 5, 0.95)]).toEqual([8, 6])
  expectClose(normalQuantile(100, 10, 0.95), 116.448536269515, 1e-9, 'normal')
  expectClose(gammaQuantile(2, 3, 0.95), 5.4212646125044, 1e-9, 'gamma')
  for (const { loss, complementaryLoss } of [negativeBinomialLoss(3.5, 2, 5), gammaLoss(3.5, 2, 3)])
    expectClose(complementaryLoss - loss, 1.5, 1e-9, 'x − mean')
})

test('items of equal value go by their place, and shares by whole items', () => {
  const items = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((item) => ({ item, annualVolume: '0.1', unitCost: '12.3456' }))
  expect(abcByAnnualValue(items).map(({ item, valueClass }) => `${item} ${valueClass}`)).toEqual([
    'a A',
    'b B',
    'c B',
    'd B',
    'e C',
    'f C',
    'g C'
  ])
  expect(abcByAnnualValue([])).toEqual([])
  expect(() => abcByAnnualValue([{ item: 'a', annualVolume: '-1', unitCost: '2' }])).toThrow(
    '-1 is not a decimal from 0'
  )
})

test('costs and times that make no sense are refused', () => {
  expect(() => economicOrderQuantity({ fixedCost: 0, holdingCost: 1, demand: 1 })).toThrow(
    'fixedCost is 0; it must be above 0'
  )
  expect(() => baseStockNormal({ holdingCost: 1, stockoutCost: 1, demandMean: 1, demandSd: 1, leadTime: -1 })).toThrow(
    'leadTime is -1; it must not be below 0'
  )
  expect(() => safetyStock({ demandMean: 1, demandSd: 1, leadTime: 1, cycleService: 1 })).toThrow(
    'the probability is 1; it lies strictly between 0 and 1'
  )
})
