import { Type, type Static } from 'typebox'
import {
  closed,
  Day,
  Instant,
  limitAndCursor,
  Month,
  named,
  nullable,
  oneOf,
  pageOf,
  PartNumber,
  PositiveQuantity,
  Quantity,
  ref,
  WarehouseCode
} from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'
import { DEMAND_CLASSES } from './classification.ts'
import { METHODS } from './forecast.ts'
import { SERVICE_MEASURES } from './reorder-level.ts'

/** The criticality classes of the catalogue, and `*` for parts without one. */
export const TARGET_CLASSES = ['*', 'A', 'B', 'C'] as const

const Measure = oneOf(
  SERVICE_MEASURES,
  'cycle-service: how likely stock lasts until what was ordered arrives (周期服务水平); fill-rate: the share of demand met from stock (满足率)'
)
// What lies outside 0 to 1 is a matter of sense, not of shape: the verbs say what would be right.
const ServiceLevel = Type.String({
  pattern: '^(0|[1-9][0-9]{0,2})([.][0-9]{1,5})?$',
  description: 'Above 0 and below 1, a decimal string with at most five places',
  examples: ['0.95']
})
export const ServiceTarget = Type.Object({ measure: Measure, level: ServiceLevel }, closed)
export type ServiceTarget = Static<typeof ServiceTarget>
const LeadTimeDays = Type.Integer({
  minimum: 0,
  maximum: 100_000,
  description: 'Days from the order to the receipt (提前期), 1 to 730',
  examples: [21]
})

export const ServiceTargetView = named(
  'ServiceTarget',
  Type.Object(
    {
      criticality: oneOf(TARGET_CLASSES, 'Criticality class, or * for parts without one'),
      measure: Measure,
      level: ServiceLevel
    },
    {
      ...closed,
      description: 'What service the levels of a criticality class are computed for (服务水平目标)',
      examples: [{ criticality: 'A', measure: 'cycle-service', level: '0.98' }]
    }
  )
)
export type ServiceTargetView = Static<typeof ServiceTargetView>
export const ServiceTargetList = named(
  'ServiceTargetList',
  Type.Object({ items: Type.Array(ref(ServiceTargetView)) }, closed)
)
export const ServiceTargetParams = Type.Object({
  criticality: oneOf(TARGET_CLASSES, 'Criticality class, or * for parts without one')
})
export const SetServiceTargetBody = Type.Object(ServiceTarget.properties, {
  ...closed,
  examples: [{ measure: 'fill-rate', level: '0.96' }]
})

export const POLICY_KINDS = ['fixed', 'computed'] as const
const PolicyKind = oneOf(
  POLICY_KINDS,
  'fixed: minimum and maximum as they are set, until the day of expiry (固定上下限); computed: from demand, with a target, lead time or pack size of its own (按需求计算)'
)
const Reason = Type.String({ minLength: 1, maxLength: 500, pattern: '\\S', examples: ['检修季备货'] })

export const ReorderPolicyParams = Type.Object({ warehouse: WarehouseCode, part: PartNumber })
export const SetReorderPolicyBody = Type.Object(
  {
    kind: PolicyKind,
    minimum: Type.Optional(
      Type.String({
        ...Quantity,
        description: 'Of a fixed policy: order when available and on order have fallen to it'
      })
    ),
    maximum: Type.Optional(
      Type.String({ ...Quantity, description: 'Of a fixed policy: order up to it; whole packs above the minimum' })
    ),
    target: Type.Optional(ServiceTarget),
    leadTimeDays: Type.Optional(LeadTimeDays),
    packSize: Type.Optional(PositiveQuantity),
    reason: Type.Optional(Reason),
    expiresOn: Type.Optional(
      Type.String({ ...Day, description: 'Last day on which it is in force; a fixed one has one' })
    )
  },
  {
    ...closed,
    examples: [{ kind: 'fixed', minimum: '4', maximum: '10', reason: '检修季备货', expiresOn: '2027-03-31' }]
  }
)
export type SetReorderPolicyBody = Static<typeof SetReorderPolicyBody>
export const WithdrawReorderPolicyBody = Type.Object(
  { reason: Reason },
  { ...closed, examples: [{ reason: '检修季结束' }] }
)

const BASES = ['fixed', 'computed'] as const
const LevelInForce = {
  reorderPoint: Quantity,
  orderUpTo: Quantity,
  basis: oneOf(BASES, 'Set by a fixed policy, or computed')
}
export const ReorderPolicyView = named(
  'ReorderPolicy',
  Type.Object(
    {
      warehouse: WarehouseCode,
      part: PartNumber,
      kind: PolicyKind,
      state: oneOf(['in-force', 'expired'], 'An expired one is kept until it is replaced or withdrawn'),
      minimum: nullable(Quantity),
      maximum: nullable(Quantity),
      target: nullable(ServiceTarget),
      leadTimeDays: nullable(Type.Integer()),
      packSize: nullable(Quantity),
      reason: nullable(Type.String()),
      expiresOn: nullable(Day),
      setBy: Type.String(),
      setAt: Instant,
      level: nullable(Type.Object(LevelInForce, { ...closed, description: 'The level in force of the position' }))
    },
    { ...closed, description: 'How the level of a part in a warehouse is set (订货策略)' }
  )
)
export type ReorderPolicyView = Static<typeof ReorderPolicyView>
export const ReorderPolicyPage = pageOf(ReorderPolicyView)
export const ReorderPolicyQuery = Type.Object(
  { warehouse: Type.Optional(WarehouseCode), part: Type.Optional(PartNumber), ...limitAndCursor },
  closed
)
export type ReorderPolicyQuery = Static<typeof ReorderPolicyQuery>

const DemandClass = oneOf(DEMAND_CLASSES, 'Class of demand by ADI and CV² (需求分类)')
const MethodName = oneOf(METHODS, 'Forecast method (预测方法)')
const statistic = (description: string) => Type.Number({ description })
const DISTRIBUTIONS = ['none', 'poisson', 'negative-binomial', 'empirical'] as const

export const ReorderLevelView = named(
  'ReorderLevel',
  Type.Object(
    {
      warehouse: WarehouseCode,
      part: PartNumber,
      name: Type.String(),
      nameZh: nullable(Type.String()),
      unit: Type.String(),
      available: Type.String({ description: 'Qualified, own and consigned, on hand less reserved and blocked' }),
      onOrder: Quantity,
      ...LevelInForce,
      isShort: Type.Boolean({ description: 'Available and on order have fallen to the reorder point (R-ORD-2)' }),
      nothingBecause: nullable(
        oneOf(['superseded', 'inactive', 'warehouse-closed'], 'Why nothing is kept, whatever was asked for')
      ),
      computed: nullable(
        Type.Object(
          { reorderPoint: Quantity, orderUpTo: Quantity },
          { ...closed, description: 'What the calculation says, also where a fixed policy goes before it' }
        )
      ),
      policy: nullable(
        Type.Object(
          { kind: PolicyKind, reason: nullable(Type.String()), expiresOn: nullable(Day), setBy: Type.String() },
          { ...closed, description: 'The policy in force, if there is one' }
        )
      ),
      demandClass: nullable(DemandClass),
      adi: nullable(statistic('Mean interval between months with demand')),
      cv2: nullable(statistic('Squared coefficient of variation of the sizes')),
      method: nullable(MethodName),
      monthlyMean: nullable(statistic('Forecast of a month')),
      monthlyVariance: nullable(statistic('Of the demand of a month')),
      leadTimeMean: nullable(statistic('Demand expected in the lead time')),
      leadTimeVariance: nullable(statistic('Of the demand in the lead time')),
      distribution: nullable(oneOf(DISTRIBUTIONS, 'Of the demand in the lead time')),
      achieved: nullable(statistic('Service at the computed reorder point, by the distribution')),
      target: nullable(
        Type.Object(
          { ...ServiceTarget.properties, from: oneOf(['policy', 'criticality', 'default'], 'Where it comes from') },
          closed
        )
      ),
      leadTime: nullable(
        Type.Object({ days: Type.Integer(), from: oneOf(['policy', 'part', 'default'], 'Where it comes from') }, closed)
      ),
      packSize: nullable(Quantity),
      seriesFrom: nullable(
        Type.String({ ...Month, description: 'First month of the series; null if nothing was ever recorded' })
      ),
      seriesUntil: nullable(Type.String({ ...Month, description: 'Last month of the series' })),
      computedAt: Instant
    },
    { ...closed, description: 'The level in force of a part in a warehouse, and what it comes from (订货点)' }
  )
)
export type ReorderLevelView = Static<typeof ReorderLevelView>
export const ReorderLevelPage = pageOf(ReorderLevelView)
export const ReorderLevelQuery = Type.Object(
  {
    warehouse: Type.Optional(WarehouseCode),
    region: Type.Optional(RegionCode),
    part: Type.Optional(PartNumber),
    short: Type.Optional(
      Type.Boolean({
        description: 'Only positions that have fallen to their reorder point, or only those that have not'
      })
    ),
    ...limitAndCursor
  },
  closed
)
export type ReorderLevelQuery = Static<typeof ReorderLevelQuery>

export const DemandQuery = Type.Object({ warehouse: WarehouseCode, part: PartNumber }, closed)
export const DemandSeriesView = named(
  'DemandSeries',
  Type.Object(
    {
      warehouse: WarehouseCode,
      part: PartNumber,
      unit: Type.String(),
      recordedFrom: nullable(
        Type.String({
          ...Month,
          description: 'Month of the first movement; before it nothing is known, which is not zero'
        })
      ),
      replacedBy: nullable(
        Type.Object(
          { part: PartNumber, factor: Quantity },
          { ...closed, description: 'What it is replaced by one way today: its demand counts there, times the factor' }
        )
      ),
      replaces: Type.Array(
        Type.Object(
          { part: PartNumber, factor: Quantity },
          { ...closed, description: 'A part whose demand counts here, times the factor' }
        )
      ),
      months: Type.Array(
        Type.Object(
          {
            month: Month,
            quantity: Type.String({
              ...Quantity,
              description: 'Demand that the level goes by: own and of the parts it replaces'
            }),
            own: Type.String({ ...Quantity, description: 'Of the part itself' }),
            isComplete: Type.Boolean({ description: 'False in the current month, which no forecast takes' })
          },
          closed
        )
      )
    },
    { ...closed, description: 'Demand by month: issues and sales, net of returns and reversals (月需求)' }
  )
)
export type DemandSeriesView = Static<typeof DemandSeriesView>

export const ComputeLevelsBody = Type.Object(
  {
    full: Type.Optional(
      Type.Boolean({ default: false, description: 'Everything, whether or not something it depends on has changed' })
    )
  },
  { ...closed, examples: [{ full: false }] }
)
export const RequestedJob = named(
  'RequestedJob',
  Type.Object(
    { job: Type.String({ description: 'Its progress: GET /v1/jobs/{id}' }) },
    { ...closed, description: 'A job that was asked for (后台任务)', examples: [{ job: '17' }] }
  )
)

/** As many months as anybody has. */
const MAX_MONTHS = 600
export const ForecastBody = Type.Object(
  {
    demand: Type.Array(nullable(Quantity), {
      minItems: 1,
      maxItems: MAX_MONTHS,
      description:
        'Demand by month, oldest first. A month of which nothing is known is null, and refused: it is no zero'
    }),
    method: Type.Optional(MethodName),
    choose: Type.Optional(
      oneOf(
        ['class', 'backtest'],
        'How the method is chosen if it is not given: by the class of demand, or by which was closest lately'
      )
    ),
    leadTimeDays: LeadTimeDays,
    target: ServiceTarget,
    packSize: Type.Optional(PositiveQuantity)
  },
  {
    ...closed,
    examples: [
      {
        demand: ['0', '3', '0', '0', '1', '0', '4', '0', '0', '2', '0', '0'],
        leadTimeDays: 30,
        target: { measure: 'cycle-service', level: '0.95' },
        packSize: '1'
      }
    ]
  }
)
export type ForecastBody = Static<typeof ForecastBody>
export const ForecastView = named(
  'Forecast',
  Type.Object(
    {
      ...LevelInForce,
      basis: oneOf(['computed'], 'Nobody set it'),
      demandClass: DemandClass,
      adi: nullable(statistic('Mean interval between months with demand')),
      cv2: nullable(statistic('Squared coefficient of variation of the sizes')),
      method: nullable(MethodName),
      monthlyMean: statistic('Forecast of a month'),
      monthlyVariance: statistic('Of the demand of a month'),
      leadTimeMean: statistic('Demand expected in the lead time'),
      leadTimeVariance: statistic('Of the demand in the lead time'),
      distribution: oneOf(DISTRIBUTIONS, 'Of the demand in the lead time'),
      achieved: statistic('Service at the reorder point, by the distribution'),
      forecasts: Type.Object(
        Object.fromEntries(METHODS.map((method) => [method, Type.Number()])) as Record<
          (typeof METHODS)[number],
          ReturnType<typeof Type.Number>
        >,
        { ...closed, description: 'Demand of a month by every method' }
      )
    },
    { ...closed, description: 'Forecast and level of a series that was sent (预测试算)' }
  )
)
export type ForecastView = Static<typeof ForecastView>

export const ForecastAccuracyQuery = Type.Object({ warehouse: WarehouseCode }, closed)
const AccuracyRow = Type.Object(
  {
    demandClass: DemandClass,
    method: oneOf(
      [...METHODS, 'chosen'],
      'Forecast method; chosen: the one that each level would have gone by before these months'
    ),
    series: Type.Integer({ description: 'Parts of the class' }),
    meanAbsoluteError: statistic('MAE: mean distance of a month from its forecast'),
    rootMeanSquaredError: statistic('RMSE'),
    meanAbsoluteScaledError: nullable(
      statistic(
        'MASE: the absolute error against that of saying each month what the one before was; null where nothing ever changed'
      )
    ),
    bias: nullable(
      statistic(
        '(Forecast − demand) ÷ demand, all months together: above 0 if too much was forecast; null without demand'
      )
    ),
    periodsInStock: statistic('PIS, mean of the parts: above 0 if a stock filled up by the forecasts would have grown')
  },
  closed
)
export type AccuracyRow = Static<typeof AccuracyRow>
export const ForecastAccuracyView = named(
  'ForecastAccuracy',
  Type.Object(
    {
      warehouse: WarehouseCode,
      months: Type.Integer({
        description: 'How many of the last months are compared, each with its forecast of the month before'
      }),
      leftOut: Type.Integer({ description: 'Parts without demand before these months' }),
      rows: Type.Array(AccuracyRow)
    },
    { ...closed, description: 'How far forecasts were off lately, by class of demand and method (预测准确率)' }
  )
)
export type ForecastAccuracyView = Static<typeof ForecastAccuracyView>
