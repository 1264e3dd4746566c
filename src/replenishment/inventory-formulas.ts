import {
  gamma,
  negativeBinomial,
  normal,
  poisson,
  standardNormalDensity,
  standardNormalQuantile,
  type Distribution
} from './distribution.ts'

// Formulas of inventory control as textbooks have them, notation and defaults after Snyder & Shen, Fundamentals of Supply Chain Theory
// (2nd ed. 2019). Times and rates share one unit of time, which the caller chooses.

export interface Loss {
  /** E(X − x)⁺: what demand exceeds x by on average. */
  loss: number
  /** E(x − X)⁺: what x exceeds demand by on average. */
  complementaryLoss: number
}

const lossOf = (distribution: Distribution, x: number): Loss => {
  const loss = distribution.loss(x)
  return { loss, complementaryLoss: Math.max(0, x - distribution.mean + loss) }
}

export const poissonQuantile = (mean: number, probability: number): number => poisson(mean).quantile(probability)
export const poissonLoss = (x: number, mean: number): Loss => lossOf(poisson(mean), x)
export const negativeBinomialQuantile = (mean: number, variance: number, probability: number): number =>
  negativeBinomial(mean, variance).quantile(probability)
export const negativeBinomialLoss = (x: number, mean: number, variance: number): Loss =>
  lossOf(negativeBinomial(mean, variance), x)
export const normalQuantile = (mean: number, sd: number, probability: number): number =>
  normal(mean, sd).quantile(probability)
export const normalLoss = (x: number, mean: number, sd: number): Loss => lossOf(normal(mean, sd), x)
export const gammaQuantile = (mean: number, variance: number, probability: number): number =>
  gamma(mean, variance).quantile(probability)
export const gammaLoss = (x: number, mean: number, variance: number): Loss => lossOf(gamma(mean, variance), x)

/** Economic order quantity √(2 K λ ÷ h) and its cost √(2 K λ h), without the purchases (Harris 1913). */
export function economicOrderQuantity({
  fixedCost,
  holdingCost,
  demand
}: {
  /** K, per order. */
  fixedCost: number
  /** h, per unit and time. */
  holdingCost: number
  /** λ, per time. */
  demand: number
}): { orderQuantity: number; cost: number } {
  requirePositive({ fixedCost, holdingCost, demand })
  return {
    orderQuantity: Math.sqrt((2 * fixedCost * demand) / holdingCost),
    cost: Math.sqrt(2 * fixedCost * demand * holdingCost)
  }
}

interface CostOfStock {
  /** h, per unit and period. */
  holdingCost: number
  /** p, per unit short and period. */
  stockoutCost: number
}

/** What a base-stock level costs per period: h E(S − D)⁺ + p E(D − S)⁺, D the demand of lead time and review period. */
const costOf = (distribution: Distribution, level: number, { holdingCost, stockoutCost }: CostOfStock): number => {
  const { loss, complementaryLoss } = lossOf(distribution, level)
  return holdingCost * complementaryLoss + stockoutCost * loss
}

/**
 * The base-stock level of least cost when reviewed every period and demand of a period is normal: the p ÷ (p + h) quantile of the demand
 * of lead time + 1 periods. Without a lead time it is the newsvendor’s.
 */
export function baseStockNormal({
  demandMean,
  demandSd,
  leadTime = 0,
  ...costs
}: CostOfStock & {
  demandMean: number
  demandSd: number
  /** Periods, from 0. */
  leadTime?: number
}): { baseStockLevel: number; cost: number } {
  requirePositive({ ...costs, demandSd })
  requireNotNegative({ leadTime })
  const { holdingCost, stockoutCost } = costs
  const sd = demandSd * Math.sqrt(leadTime + 1)
  const z = standardNormalQuantile(stockoutCost / (stockoutCost + holdingCost))
  return {
    baseStockLevel: demandMean * (leadTime + 1) + z * sd,
    cost: (holdingCost + stockoutCost) * standardNormalDensity(z) * sd
  }
}

/** The same for Poisson demand: the smallest level whose probability of being enough is at least p ÷ (p + h). */
export function baseStockPoisson({
  demandMean,
  leadTime = 0,
  ...costs
}: CostOfStock & { demandMean: number; leadTime?: number }): { baseStockLevel: number; cost: number } {
  requirePositive({ ...costs, demandMean })
  requireNotNegative({ leadTime })
  const demand = poisson(demandMean * (leadTime + 1))
  const baseStockLevel = demand.quantile(costs.stockoutCost / (costs.stockoutCost + costs.holdingCost))
  return { baseStockLevel, cost: costOf(demand, baseStockLevel, costs) }
}

/** Cost per time of ordering Q whenever the position falls to r: (K λ + Σ g(y), y = r + 1 … r + Q) ÷ Q, Poisson demand. */
export function reorderPointCost(
  { reorderPoint, orderQuantity }: { reorderPoint: number; orderQuantity: number },
  { fixedCost, demandRate, leadTime, ...costs }: ReorderPointCosts
): number {
  const demand = poisson(demandRate * leadTime)
  let sum = fixedCost * demandRate
  for (let y = reorderPoint + 1; y <= reorderPoint + orderQuantity; y++) sum += costOf(demand, y, costs)
  return sum / orderQuantity
}

export interface ReorderPointCosts extends CostOfStock {
  /** K, per order. */
  fixedCost: number
  /** λ, per time. */
  demandRate: number
  /** In the same time. */
  leadTime: number
}

/**
 * The reorder point r and order quantity Q of least cost for Poisson demand and continuous review (Federgruen & Zheng 1992). g(y), what a
 * position of y costs, has one valley. Q grows by the cheaper of its two neighbours as long as that one costs less than the average.
 */
export function reorderPointAndQuantity(given: ReorderPointCosts): {
  reorderPoint: number
  orderQuantity: number
  cost: number
} {
  const { fixedCost, demandRate, leadTime, ...costs } = given
  requirePositive({ ...costs, fixedCost, demandRate })
  requireNotNegative({ leadTime })
  const demand = poisson(demandRate * leadTime)
  const g = (y: number) => costOf(demand, y, costs)
  const lowest = demand.quantile(costs.stockoutCost / (costs.stockoutCost + costs.holdingCost))
  let [reorderPoint, orderQuantity] = [lowest - 1, 1]
  let sum = fixedCost * demandRate + g(lowest)
  for (;;) {
    const [below, above] = [g(reorderPoint), g(reorderPoint + orderQuantity + 1)]
    if (Math.min(below, above) >= sum / orderQuantity) return { reorderPoint, orderQuantity, cost: sum / orderQuantity }
    if (below <= above) {
      sum += below
      reorderPoint--
    } else sum += above
    orderQuantity++
  }
}

/**
 * Safety stock z √(L σ² + d² σ_L²) and reorder point d L + safety stock, for demand of mean d and standard deviation σ per period and a
 * lead time of mean L and standard deviation σ_L periods, both normal and independent.
 */
export function safetyStock({
  demandMean,
  demandSd,
  leadTime,
  leadTimeSd = 0,
  cycleService
}: {
  demandMean: number
  demandSd: number
  leadTime: number
  leadTimeSd?: number
  cycleService: number
}): { leadTimeDemand: number; sd: number; safetyStock: number; reorderPoint: number } {
  requireNotNegative({ demandMean, demandSd, leadTime, leadTimeSd })
  const leadTimeDemand = demandMean * leadTime
  const sd = Math.sqrt(leadTime * demandSd ** 2 + demandMean ** 2 * leadTimeSd ** 2)
  const stock = standardNormalQuantile(cycleService) * sd
  return { leadTimeDemand, sd, safetyStock: stock, reorderPoint: leadTimeDemand + stock }
}

export interface OneForOne {
  /** Share of demand met from stock: P(X ≤ S − 1), exact if demands come one by one. */
  fillRate: number
  /** E(X − S)⁺. */
  backorders: number
  /** E(S − X)⁺. */
  onHand: number
}

/** What a base stock of S, replaced one for one, gives, if this is the demand of a lead time. */
export function oneForOne(leadTimeDemand: Distribution, baseStock: number): OneForOne {
  const { loss, complementaryLoss } = lossOf(leadTimeDemand, baseStock)
  return { fillRate: leadTimeDemand.cdf(baseStock - 1), backorders: loss, onHand: complementaryLoss }
}

export const oneForOnePoisson = (mean: number, baseStock: number): OneForOne => oneForOne(poisson(mean), baseStock)
export const oneForOneNegativeBinomial = (mean: number, variance: number, baseStock: number): OneForOne =>
  oneForOne(negativeBinomial(mean, variance), baseStock)

export type ValueClass = 'A' | 'B' | 'C'

/**
 * ABC by annual value: annual volume × unit cost, both decimals, so that equal values are equal. The first 20 % of the items are A, the
 * next 30 % B, the rest C, in whole items to the nearest; items of one value go by their place in the list.
 */
export function abcByAnnualValue<Item extends string>(
  items: readonly { item: Item; annualVolume: string | number; unitCost: string | number }[],
  { shareA = 0.2, shareB = 0.3 }: { shareA?: number; shareB?: number } = {}
): { item: Item; annualValue: number; valueClass: ValueClass }[] {
  const ranked = items
    .map(({ item, annualVolume, unitCost }) => ({ item, value: millionths(annualVolume) * millionths(unitCost) }))
    .sort((a, b) => (a.value < b.value ? 1 : a.value > b.value ? -1 : 0))
  const endOfA = Math.round(ranked.length * shareA)
  const endOfB = Math.round(ranked.length * (shareA + shareB))
  return ranked.map(({ item, value }, rank) => ({
    item,
    annualValue: Number(value) / 1e12,
    valueClass: rank < endOfA ? 'A' : rank < endOfB ? 'B' : 'C'
  }))
}

function millionths(decimal: string | number): bigint {
  const [, whole, places = ''] = /^(\d+)(?:[.](\d{1,6}))?$/.exec(String(decimal)) ?? []
  if (whole === undefined) throw new Error(`${decimal} is not a decimal from 0 with at most six places`)
  return BigInt(whole + places.padEnd(6, '0'))
}

function requirePositive(values: Record<string, number>): void {
  for (const [name, value] of Object.entries(values))
    if (!(value > 0 && value < Infinity)) throw new Error(`${name} is ${value}; it must be above 0`)
}

function requireNotNegative(values: Record<string, number>): void {
  for (const [name, value] of Object.entries(values))
    if (!(value >= 0 && value < Infinity)) throw new Error(`${name} is ${value}; it must not be below 0`)
}
