import { Type, type TSchema } from 'typebox'
import { Condition, Ownership } from '../ledger/ledger.schemas.ts'
import {
  closed,
  Day,
  Instant,
  limitAndCursor,
  Money,
  Month,
  named,
  nullable,
  oneOf,
  PartNumber,
  ref,
  SignedQuantity,
  Quantity,
  UnitCost,
  WarehouseCode
} from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'
import { PURPOSES } from '../slips/slip-kinds.ts'
import { AGING_GROUPS } from './aging.ts'
import { JOURNAL_ROLES } from './journal-accounts.ts'

const Period = Type.String({ ...Month, description: 'Month (会计期间)', examples: ['2026-10'] })
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 in hex (摘要)' })
const amount = (description: string) => Type.String({ ...Money, description })
const count = (description: string) => Type.Integer({ minimum: 0, description })
const RowState = oneOf(['closed', 'preview'], 'closed: frozen for ever; preview: as it would be now (预览)')

export const PeriodParams = Type.Object({ warehouse: WarehouseCode, period: Period })

const scope = {
  period: Period,
  warehouse: Type.Optional(WarehouseCode),
  region: Type.Optional(
    Type.String({
      ...RegionCode,
      description:
        'Region code (区域代码). By the tree of today: a warehouse that moves to another region is counted there in every month, closed ones too'
    })
  )
}
const part = { part: Type.Optional(PartNumber) }
export const PartPageQuery = Type.Object({ ...part, ...limitAndCursor }, closed)
export const PageQuery = Type.Object({ ...limitAndCursor }, closed)
export const NoQuery = Type.Object({}, closed)
export const ScopedPartPageQuery = Type.Object({ ...scope, ...part, ...limitAndCursor }, closed)
export const ScopedPageQuery = Type.Object({ ...scope, ...limitAndCursor }, closed)

const agingScope = {
  ...scope,
  period: Type.Optional(Type.String({ ...Month, description: 'Month (会计期间); the current one unless given' }))
}
const ownership = {
  ownership: Type.Optional(
    Type.Unsafe<'own' | 'consigned'>({
      ...Ownership,
      description: 'own unless given; consigned goods carry no value here (R-STK-6)'
    })
  )
}
export const AgingQuery = Type.Object(
  {
    ...agingScope,
    ...part,
    ...ownership,
    bucket: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description: 'Name of a class of age in either language, or the month it begins with (库龄段)'
      })
    ),
    entering: Type.Optional(
      Type.Boolean({
        description:
          'true: only what enters its fourth month next month (R-AGE-1), and under the standard policy of three free months is charged from then on'
      })
    ),
    ...limitAndCursor
  },
  closed
)
export const AgingSummaryQuery = Type.Object(
  {
    ...agingScope,
    ...ownership,
    by: Type.Optional(oneOf(AGING_GROUPS, 'What one item is of; all unless given')),
    ...limitAndCursor
  },
  closed
)

const header = {
  period: Period,
  warehouse: nullable(Type.String({ ...WarehouseCode, description: 'The one warehouse that was asked for' })),
  region: nullable(Type.String({ description: 'The region that was asked for' })),
  part: nullable(Type.String({ description: 'The part that was asked for' })),
  state: oneOf(
    ['closed', 'preview', 'mixed'],
    'closed: every warehouse is, and nothing changes any more; preview: none is; mixed: some are, and each row says which'
  ),
  warehouses: Type.Object(
    { closed: count('Closed for the month'), open: count('Not closed for the month') },
    { ...closed, description: 'How many warehouses it is of' }
  ),
  sha256: nullable(
    Type.String({ ...Sha256, description: 'Of the statement; of one warehouse and a closed month only' })
  )
}
const position = {
  position: nullable(
    Type.String({
      pattern: '^[0-9]+$',
      description:
        'The last movement of the month and all before it that this was made from (账簿位置); of several warehouses the latest of theirs. On the first page only'
    })
  )
}

/** A page of a statement. */
const statementPage = <Row extends TSchema & { $id: string }, Totals extends TSchema & { $id: string }>(
  row: Row,
  totals: Totals
) =>
  named(
    `${row.$id}Page`,
    Type.Object(
      {
        ...header,
        fileSha256: nullable(
          Type.String({
            ...Sha256,
            description:
              'Of the same as CSV, where the statement holds it: of one warehouse, a closed month and all parts'
          })
        ),
        ...position,
        totals: nullable(ref(totals)),
        items: Type.Array(ref(row)),
        nextCursor: nullable(Type.String())
      },
      {
        ...closed,
        description: 'Totals and position are those of the whole list and said on its first page; null on the others'
      }
    )
  )

const partOf = { part: PartNumber, name: Type.String(), nameZh: nullable(Type.String()) }
const worth = {
  cost: amount('Original cost (原值)'),
  accumulatedDepreciation: amount('Charged up to and including the month (累计折旧)'),
  netBookValue: amount('Cost less accumulated depreciation (净值)')
}
const inMonth = { warehouse: WarehouseCode, period: Period, state: RowState }
const lot = {
  ...partOf,
  lot: Type.String(),
  condition: Condition,
  receivedOn: Type.String({ ...Day, description: 'First received; travels with the goods' }),
  ageMonths: Type.Integer({
    description:
      '1 in the month of receipt, 4 in the fourth month, which under the standard policy is that of the first charge (库龄)'
  }),
  quantity: Quantity,
  unitCost: UnitCost
}

export const DepreciationRowView = named(
  'Depreciation',
  Type.Object(
    {
      ...inMonth,
      ...lot,
      monthsCharged: count('Charges so far, that of the month among them (已折旧月数)'),
      charge: amount('Charge of the month (本月折旧)'),
      ...worth
    },
    { ...closed, description: 'An own lot on hand at the end of the month (折旧明细)' }
  )
)
const DepreciationTotalsView = named(
  'DepreciationTotals',
  Type.Object({ lots: count('Lots'), charge: amount('Charge of the month (本月折旧)'), ...worth }, closed)
)
export const DepreciationPage = statementPage(DepreciationRowView, DepreciationTotalsView)

const figure = (name: 'opening' | 'in' | 'out' | 'adjustment' | 'closing', nameZh: string) =>
  ({
    [`${name}Quantity`]: Type.String({ ...SignedQuantity, description: `${nameZh}: 数量` }),
    [`${name}Cost`]: amount(`${nameZh}: 原值`),
    [`${name}AccumulatedDepreciation`]: amount(`${nameZh}: 累计折旧`),
    [`${name}NetBookValue`]: amount(`${nameZh}: 净值`)
  }) as Record<
    `${typeof name}${'Quantity' | 'Cost' | 'AccumulatedDepreciation' | 'NetBookValue'}`,
    ReturnType<typeof amount>
  >
const figures = {
  ...figure('opening', '期初'),
  ...figure('in', '本期入库'),
  ...figure('out', '本期出库'),
  ...figure('adjustment', '盘点调整'),
  charge: amount('Depreciation of the month, in the closing accumulated depreciation (本月折旧)'),
  ...figure('closing', '期末')
}
export const StockReportRowView = named(
  'StockReport',
  Type.Object(
    {
      ...inMonth,
      ...partOf,
      specification: nullable(Type.String()),
      unit: Type.String({ description: 'Stock unit' }),
      ownership: Ownership,
      condition: Condition,
      ...figures
    },
    { ...closed, description: 'A balance over the month: opening + in − out + adjustment = closing (进销存)' }
  )
)
const StockReportTotalsView = named(
  'StockReportTotals',
  Type.Object(
    { balances: count('Balances'), ...figures },
    { ...closed, description: 'Quantities of all parts together' }
  )
)
export const StockReportPage = statementPage(StockReportRowView, StockReportTotalsView)

const journalLine = {
  entry: Type.String({
    description:
      '`depreciation`, `transfer-claim` (settled claims for goods that left and never arrived), `tool-compensation` (what technicians compensate for tools), or the kind of slip whose movements are booked together'
  }),
  role: oneOf(JOURNAL_ROLES, 'What the account is for'),
  account: Type.String({ description: 'Account of the general ledger (科目编码)' }),
  name: Type.String({ description: 'Name of the account' }),
  nameZh: nullable(Type.String({ description: '科目名称' })),
  debit: amount('借方'),
  credit: amount('贷方')
}
export const JournalRowView = named(
  'JournalLine',
  Type.Object(
    {
      ...inMonth,
      line: Type.Integer({ minimum: 1, description: 'Place in the journal of the warehouse' }),
      ...journalLine
    },
    { ...closed, description: 'A line of a journal entry of a department; one of debit and credit is 0.00 (凭证分录)' }
  )
)
const JournalTotalsView = named(
  'JournalTotals',
  Type.Object({ lines: count('Lines'), debit: amount('借方合计'), credit: amount('贷方合计, the same') }, closed)
)
export const JournalPage = statementPage(JournalRowView, JournalTotalsView)

export const AgingRowView = named(
  'AgedLot',
  Type.Object(
    {
      ...inMonth,
      ...lot,
      ownership: Ownership,
      bucket: nullable(Type.String({ description: 'Class of age' })),
      bucketZh: nullable(Type.String({ description: '库龄段' })),
      ...worth
    },
    { ...closed, description: 'A lot on hand at the end of the month, with its age (库龄)' }
  )
)
const aged = { lots: count('Lots'), quantity: Quantity, ...worth }
const AgingTotalsView = named('AgingTotals', Type.Object(aged, closed))
export const AgingPage = statementPage(AgingRowView, AgingTotalsView)

const AgedBucketView = named(
  'AgedBucket',
  Type.Object(
    {
      bucket: Type.String(),
      bucketZh: Type.String(),
      fromMonths: Type.Integer(),
      toMonths: nullable(Type.Integer()),
      ...aged
    },
    { ...closed, description: 'A class of age and what lies in it (库龄段)' }
  )
)
export const AgingSummaryPage = named(
  'AgingSummary',
  Type.Object(
    {
      ...header,
      ...position,
      ownership: Ownership,
      by: oneOf(AGING_GROUPS, 'What one item is of'),
      items: Type.Array(
        Type.Object(
          {
            warehouse: nullable(WarehouseCode),
            region: nullable(Type.String()),
            state: oneOf(
              ['closed', 'preview', 'mixed'],
              'Of the warehouses that were summed up; mixed: some are closed'
            ),
            buckets: Type.Array(ref(AgedBucketView))
          },
          closed
        )
      ),
      nextCursor: nullable(Type.String())
    },
    { ...closed, description: 'Classes of age of all, of each region or of each warehouse (库龄汇总)' }
  )
)

const consumed = {
  slips: count('Slips, those among them by which goods came back or were reversed'),
  lines: count('Lines of these slips'),
  quantity: SignedQuantity,
  cost: amount('Original cost (原值)'),
  accumulatedDepreciation: amount('Accumulated depreciation that left with the goods (转出累计折旧)'),
  netBookValue: amount('What the repair is charged; the journal books it as material-cost (净值)')
}
export const MaterialCostRowView = named(
  'MaterialCost',
  Type.Object(
    {
      ...inMonth,
      purpose: oneOf(PURPOSES, 'What the goods were issued for'),
      reference: nullable(Type.String({ description: 'The repair order, technician or outlet (维修单号/网点)' })),
      ...consumed
    },
    {
      ...closed,
      description: 'What was issued to one repair order, technician or outlet, less what came back (材料成本)'
    }
  )
)
const MaterialCostTotalsView = named('MaterialCostTotals', Type.Object(consumed, closed))
export const MaterialCostPage = statementPage(MaterialCostRowView, MaterialCostTotalsView)

export const StatementView = named(
  'PeriodStatement',
  Type.Object(
    {
      format: Type.Literal('bincard-statement/1'),
      state: RowState,
      warehouse: Type.Object(
        { code: WarehouseCode, name: Type.String(), nameZh: nullable(Type.String()), region: Type.String() },
        { ...closed, description: 'With the names of that time' }
      ),
      period: Period,
      position: Type.String({ description: 'The last movement it was made from (账簿位置)' }),
      policies: Type.Array(
        Type.Object(
          {
            effectiveFrom: Month,
            graceMonths: Type.Integer(),
            rate: Type.String({ description: 'A month, of the cost' }),
            chargeCount: Type.Integer()
          },
          closed
        ),
        { description: 'The depreciation policies up to that month (折旧政策)' }
      ),
      count: nullable(Type.String({ description: 'The approved month-end count (月末盘点)' })),
      depreciation: Type.Object(
        {
          ...DepreciationTotalsView.properties,
          sha256: nullable(Type.String({ ...Sha256, description: 'Of the depreciation CSV' }))
        },
        closed
      ),
      stockReport: Type.Object(
        {
          ...StockReportTotalsView.properties,
          sha256: nullable(Type.String({ ...Sha256, description: 'Of the stock report CSV' }))
        },
        closed
      ),
      journal: Type.Array(Type.Object(journalLine, closed)),
      aging: Type.Array(ref(AgedBucketView)),
      materialCost: ref(MaterialCostTotalsView),
      closedBy: nullable(Type.String()),
      closedAt: nullable(Instant),
      previousSha256: nullable(Type.String({ ...Sha256, description: 'Of the statement of the month before' }))
    },
    { ...closed, description: 'The statement of a warehouse and month (月末报表), RFC 8785 JSON' }
  )
)

export const StatementVerificationView = named(
  'StatementVerification',
  Type.Object(
    {
      warehouse: WarehouseCode,
      period: Period,
      sha256: Sha256,
      ok: Type.Boolean(),
      checkedAt: Instant,
      findings: Type.Array(Type.Object({ check: Type.String(), expected: Type.String(), found: Type.String() }, closed))
    },
    { ...closed, description: 'What is wrong with a stored statement; nothing if it is genuine (报表核验)' }
  )
)
