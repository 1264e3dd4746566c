import { Type, type Static } from 'typebox'
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
  pageOf,
  ref,
  text,
  WarehouseCode
} from '../platform/schemas.ts'
import { ReadContentHash, SignatureView, SigningDuty } from '../signing/signing.schemas.ts'
import { SlipEvent } from '../slips/slips.schemas.ts'
import { ToolSerial } from '../tools/tools.schemas.ts'

export const LOSS_KINDS = ['lost', 'damaged'] as const
export type LossKind = (typeof LOSS_KINDS)[number]
export const LOSS_OUTCOMES = ['lost', 'scrapped', 'repaired'] as const
export type LossOutcome = (typeof LOSS_OUTCOMES)[number]
export const LOSS_STATES = ['reported', 'approved', 'ended', 'refused', 'found', 'withdrawn'] as const
export type LossState = (typeof LOSS_STATES)[number]

const METHODS = ['straight-line', 'declining-balance'] as const
const Method = oneOf(
  METHODS,
  'How value falls: straight-line (年限平均法) or declining-balance (双倍余额递减法), whole years then'
)
const ResidualShare = Type.String({
  pattern: '^0([.][0-9]{1,4})?$',
  description: 'What is left of the value at the end, as a share of it (残值率)',
  examples: ['0.05']
})
const NotNegative = Type.String({
  pattern: '^(0|[1-9][0-9]{0,15})([.][0-9]{1,2})?$',
  description: 'Amount in the business currency, not negative, a decimal string with at most two places',
  examples: ['800.00']
})
export const LossNumber = Type.String({
  maxLength: 60,
  pattern: '^[A-Z0-9][A-Z0-9-]*-TLR-[0-9]{6}-[0-9]{5,}$',
  description: 'Number of a report of loss or damage (工具丢失损坏报告单号)',
  examples: ['HQ-TLR-202611-00001']
})
export const LossParams = Type.Object({ number: LossNumber })

const cause = text(500, 'What happened (原因)', '在客户处维修后遗失')
const reasonReport = Type.String({
  minLength: 20,
  maxLength: 4000,
  pattern: '\\S',
  description: 'Of a fixed asset: how it came about, at length (固定资产情况说明)',
  examples: ['上门维修结束后放在车内，当晚车窗被砸，已报警，回执编号 2026-1120。']
})

export const ReportLossBody = named(
  'ReportToolLoss',
  Type.Object(
    {
      kind: oneOf(LOSS_KINDS, 'Lost or damaged (丢失、损坏)'),
      occurredOn: Type.Optional(
        Type.String({ ...Day, description: 'The day of it, today if left away; the net value is that of this day' })
      ),
      cause,
      normalWear: Type.Optional(
        Type.Boolean({ description: 'Normal wear (正常损耗), which costs nobody anything (R-TOOL-2)' })
      ),
      reasonReport: Type.Optional(reasonReport),
      outcome: Type.Optional(oneOf(['scrapped', 'repaired'], 'Of a damaged tool: what is to become of it (报废、修复)'))
    },
    {
      ...closed,
      examples: [{ kind: 'lost', cause: '在客户处维修后遗失' }]
    }
  )
)
export type ReportLoss = Static<typeof ReportLossBody>

export const AssessLossBody = named(
  'AssessToolLoss',
  Type.Object(
    {
      outcome: Type.Optional(
        oneOf(
          ['scrapped', 'repaired'],
          'Of a damaged tool: what is to become of it; scrapped of one in repair gives the repair up'
        )
      ),
      normalWear: Type.Optional(Type.Boolean({ description: 'Whether it is normal wear (正常损耗)' })),
      compensation: Type.Optional(
        nullable(
          Type.String({
            ...NotNegative,
            description: 'What the technician compensates, at most the net value; null for the net value itself'
          })
        )
      ),
      compensationReason: Type.Optional(
        text(500, 'Why it is less than the net value (减免原因)', '因公外出途中被盗，已报警')
      )
    },
    {
      ...closed,
      minProperties: 1,
      examples: [{ compensation: '500.00', compensationReason: '因公外出途中被盗，已报警' }]
    }
  )
)
export type AssessLoss = Static<typeof AssessLossBody>

export const SignLossBody = named(
  'SignToolLoss',
  Type.Object(
    {
      duty: oneOf(['department-head', 'finance-supervisor'], 'The duty that is signed for'),
      decision: oneOf(['approve', 'refuse'], 'approve or refuse'),
      comment: Type.Optional(text(500, 'A refusal says why')),
      contentHash: Type.Optional(ReadContentHash)
    },
    { ...closed, examples: [{ duty: 'department-head', decision: 'approve' }] }
  )
)
export type SignLoss = Static<typeof SignLossBody>

export const WithdrawLossBody = named(
  'WithdrawToolLoss',
  Type.Object(
    { reason: text(500, 'Why (原因)', '工具在车内找到') },
    { ...closed, examples: [{ reason: '工具在车内找到' }] }
  )
)
export type WithdrawLoss = Static<typeof WithdrawLossBody>

export const LossNoteBody = named(
  'ToolLossNote',
  Type.Object(
    { note: Type.Optional(text(500, 'Remark (备注)', '更换表笔后正常')) },
    { ...closed, examples: [{ note: '更换表笔后正常' }] }
  )
)

export const FoundToolBody = named(
  'FoundTool',
  Type.Object(
    {
      warehouse: Type.Optional(
        Type.String({
          ...WarehouseCode,
          description:
            'If the warehouse of the tool is closed: the open one on whose shelf it goes, of which you are keeper (收回仓库)'
        })
      ),
      note: Type.Optional(text(500, 'Remark (备注)', '在客户仓库找到'))
    },
    { ...closed, examples: [{ note: '在客户仓库找到' }] }
  )
)

export const ToolWorthView = named(
  'ToolWorth',
  Type.Object(
    {
      value: Type.String({ ...Money, description: 'Purchase price (原值)' }),
      method: Method,
      lifeMonths: Type.Integer({ description: 'Months of service (使用月数)' }),
      residualValue: Type.String({ ...Money, description: 'What is left at the end of its life (残值)' }),
      monthsUsed: Type.Integer({
        description: 'Months depreciated: from the month after the purchase up to that of the day, at most the life'
      }),
      accumulated: Type.String({ ...Money, description: 'Depreciated so far (累计折旧)' }),
      netValue: Type.String({ ...Money, description: 'What it is worth on that day (净值)' })
    },
    { description: 'Net value of a tool on a day, with its steps' }
  )
)

const summary = {
  number: LossNumber,
  warehouse: WarehouseCode,
  serial: ToolSerial,
  name: Type.String(),
  nameZh: nullable(Type.String()),
  technician: nullable(
    Type.String({ description: 'Whose custody it was in, by user name; null for a tool on the shelf' })
  ),
  kind: oneOf(LOSS_KINDS, 'Lost or damaged'),
  occurredOn: Day,
  outcome: oneOf(LOSS_OUTCOMES, 'What becomes of the tool'),
  normalWear: Type.Boolean(),
  netValue: Type.String({ ...Money, description: 'Net value on the day of the loss' }),
  compensation: nullable(
    Type.String({
      ...Money,
      description:
        'What the technician compensates; null for others than that technician, the department head and finance'
    })
  ),
  state: oneOf(
    LOSS_STATES,
    'reported: awaits its signatures; approved: is being repaired; ended; refused: the tool is as before; found: turned up after it was lost; withdrawn: taken back by who reported it'
  ),
  reportedBy: Type.String({ description: 'User name' }),
  reportedAt: Instant,
  decidedOn: nullable(Day)
}
export const LossSummary = named('ToolLossSummary', Type.Object(summary))
export type LossSummary = Static<typeof LossSummary>
export const LossPage = pageOf(LossSummary)

export const LossView = named(
  'ToolLoss',
  Type.Object({
    ...summary,
    fixedAsset: Type.Boolean(),
    cause: Type.String(),
    reasonReport: nullable(Type.String()),
    worth: ref(ToolWorthView),
    compensationReason: nullable(
      Type.String({ description: 'Why it is less; null where the compensation is not shown' })
    ),
    repairGivenUp: nullable(
      Type.Object(
        { decidedOn: Day, compensation: nullable(Money) },
        { description: 'What was decided of a repair that turned out not to be possible (维修不成)' }
      )
    ),
    reason: nullable(Type.String({ description: 'Why it was refused or withdrawn' })),
    endedAt: nullable(Instant),
    foundIn: nullable(
      Type.String({
        ...WarehouseCode,
        description: 'Where it was found, if its own warehouse was closed by then (找回后归属仓库)'
      })
    ),
    takenIn: Type.Boolean({ description: 'Whether the tool is in nobody’s custody any more' }),
    booked: nullable(
      Type.Array(
        Type.Object({
          line: Type.Integer(),
          amount: Type.String({ ...Money, description: 'Claimed; negative where it is taken back' }),
          bookedOn: Day
        }),
        { description: 'Lines of the journal; null where the compensation is not shown' }
      )
    ),
    contentHash: Type.String({ description: 'SHA-256 of the RFC 8785 content that signatures bind to' }),
    duties: Type.Array(SigningDuty),
    signatures: Type.Array(ref(SignatureView)),
    awaiting: Type.Array(SigningDuty, { description: 'Duties that have not signed yet' }),
    version: Type.Integer()
  })
)
export type LossView = Static<typeof LossView>

export const LossQuery = Type.Object(
  {
    warehouse: Type.Optional(WarehouseCode),
    technician: Type.Optional(Type.String({ minLength: 1, maxLength: 60, description: 'User name' })),
    serial: Type.Optional(ToolSerial),
    state: Type.Optional(oneOf(LOSS_STATES, 'State (状态)')),
    ...limitAndCursor
  },
  closed
)
export type LossQuery = Static<typeof LossQuery>

export const LossEvents = named('ToolLossEvents', Type.Object({ items: Type.Array(ref(SlipEvent)) }))
export type LossEvents = Static<typeof LossEvents>

const Account = Type.String({ description: 'Account of the general ledger (科目)' })
export const CompensationLine = named(
  'ToolCompensation',
  Type.Object({
    warehouse: WarehouseCode,
    bookedOn: Day,
    loss: LossNumber,
    line: Type.Integer({ description: '1 claims, 2 takes it back because the tool was found' }),
    serial: ToolSerial,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    technician: Type.String({ description: 'User name' }),
    technicianName: Type.String(),
    outcome: oneOf(LOSS_OUTCOMES, 'What became of the tool'),
    netValue: Money,
    amount: Type.String({ ...Money, description: 'Claimed from the technician; negative where it is taken back' }),
    debitAccount: Account,
    debitName: Type.String(),
    creditAccount: Account,
    creditName: Type.String()
  })
)
export type CompensationLine = Static<typeof CompensationLine>
export const CompensationPage = named(
  'ToolCompensationPage',
  Type.Object(
    {
      items: Type.Array(ref(CompensationLine)),
      nextCursor: nullable(Type.String()),
      total: Type.String({ ...Money, description: 'Of all lines of the filter, not only of this page' })
    },
    closed
  )
)
export type CompensationPage = Static<typeof CompensationPage>
export const CompensationQuery = Type.Object(
  {
    period: Type.String({ ...Month, description: 'The month the lines are booked in (期间)' }),
    warehouse: Type.Optional(WarehouseCode),
    ...limitAndCursor
  },
  closed
)
export type CompensationQuery = Static<typeof CompensationQuery>

export const WorthQuery = Type.Object(
  { on: Type.Optional(Type.String({ ...Day, description: 'Day, today if left away' })) },
  closed
)

export const ToolPolicyParams = Type.Object({
  validFrom: Type.String({ ...Day, description: 'Day from which on tools are bought under the policy' })
})
const LIFE = { minimum: 1, maximum: 600, description: 'Months of service (使用月数)' }
export const SetToolPolicyBody = named(
  'SetToolPolicy',
  Type.Object(
    {
      threshold: Type.String({
        ...NotNegative,
        description: 'Tools of this value and above are fixed assets (固定资产标准, R-TOOL-4)'
      }),
      method: Method,
      lifeMonths: Type.Integer(LIFE),
      residualShare: ResidualShare
    },
    {
      ...closed,
      examples: [{ threshold: '5000.00', method: 'straight-line', lifeMonths: 60, residualShare: '0.05' }]
    }
  )
)
export type SetToolPolicy = Static<typeof SetToolPolicyBody>
export const ToolPolicyView = named(
  'ToolPolicy',
  Type.Object({
    validFrom: Day,
    threshold: Money,
    method: Method,
    lifeMonths: Type.Integer(LIFE),
    residualShare: Type.String(),
    state: oneOf(['past', 'in-force', 'scheduled'], 'State today'),
    setBy: Type.String({ description: 'User name' }),
    setAt: Instant
  })
)
export type ToolPolicyView = Static<typeof ToolPolicyView>
export const ToolPolicies = named('ToolPolicies', Type.Object({ items: Type.Array(ref(ToolPolicyView)) }))
