import { Type, type Static } from 'typebox'
import {
  closed,
  Day,
  Instant,
  limitAndCursor,
  Money,
  named,
  nullable,
  oneOf,
  pageOf,
  ref,
  text,
  WarehouseCode
} from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'
import { ENTRY_KINDS } from './account.ts'

/** Within numeric(18,2), with room for sums. */
const amount = (description: string, example: string) =>
  Type.String({
    pattern: '^(?!0+([.]0+)?$)(0|[1-9][0-9]{0,11})([.][0-9]{1,2})?$',
    description: `${description}; more than zero, a decimal string with at most two places`,
    examples: [example]
  })
const LowLimit = Type.String({
  pattern: '^(0|[1-9][0-9]{0,11})([.][0-9]{1,2})?$',
  description: 'Free deposit below this raises an alert (押金下限)',
  examples: ['5000.00']
})

export const DepositParams = Type.Object({ warehouse: WarehouseCode })
export const DepositQuery = Type.Object(
  {
    region: Type.Optional(RegionCode),
    centre: Type.Optional(WarehouseCode),
    low: Type.Optional(Type.Boolean({ description: 'Only those below their limit, or only those that are not' })),
    ...limitAndCursor
  },
  closed
)
export type DepositQuery = Static<typeof DepositQuery>

export const DepositView = named(
  'Deposit',
  Type.Object(
    {
      warehouse: WarehouseCode,
      name: Type.String(),
      nameZh: nullable(Type.String()),
      centre: nullable(Type.String({ description: 'The warehouse whose finance keeps it' })),
      balance: Type.String({ ...Money, description: 'Sum of all entries (押金余额)' }),
      held: Type.String({ ...Money, description: 'What open requests hold of it (占用)' }),
      free: Type.String({
        ...Money,
        description:
          'Balance less held (可用押金): what may still be requested for. Below zero after a waiver or compensation'
      }),
      waivable: Type.String({ ...Money, description: 'What is left of waivers that are open today (豁免额度)' }),
      lowLimit: LowLimit,
      isLow: Type.Boolean({ description: 'Free deposit is below the limit' }),
      openedAt: Instant,
      openedBy: Type.String(),
      changedAt: Instant
    },
    { ...closed, description: 'The deposit of an outlet (网点押金)' }
  )
)
export type DepositView = Static<typeof DepositView>
export const DepositPage = pageOf(DepositView)

export const OpenDepositBody = named(
  'NewDeposit',
  Type.Object({ lowLimit: LowLimit }, { ...closed, examples: [{ lowLimit: '5000.00' }] })
)
export const LowLimitBody = named(
  'DepositLowLimit',
  Type.Object({ lowLimit: LowLimit }, { ...closed, examples: [{ lowLimit: '8000.00' }] })
)

export const DepositChangeBody = named(
  'NewDepositEntry',
  Type.Object(
    {
      amount: amount('Amount', '20000.00'),
      paper: text(100, 'Number of the paper it is entered from; the same one is entered once', 'BANK-2026-1120'),
      note: Type.Optional(text(500, 'What it is for', '年度押金'))
    },
    { ...closed, examples: [{ amount: '20000.00', paper: 'BANK-2026-1120', note: '年度押金' }] }
  )
)
export type DepositChangeBody = Static<typeof DepositChangeBody>

export const DepositEntryView = named(
  'DepositEntry',
  Type.Object(
    {
      entry: Type.Integer({ description: 'Number within the account, without gaps' }),
      kind: oneOf(
        ENTRY_KINDS,
        'increase (增加) and decrease (减少) by finance; capture (扣款): goods of a request were delivered; return (退回): what was taken is given back; compensation (赔偿): an old part never came'
      ),
      amount: Type.String({ ...Money, description: 'With sign: what it did to the balance' }),
      balanceAfter: Type.String({ ...Money }),
      reference: nullable(Type.String({ description: 'The document it follows from: a request, an old part' })),
      paper: nullable(Type.String({ description: 'The paper finance entered it from' })),
      because: Type.String(),
      by: Type.String(),
      at: Instant
    },
    { ...closed, description: 'One line of the ledger of a deposit (押金明细)' }
  )
)
export type DepositEntryView = Static<typeof DepositEntryView>

export const DepositStatementQuery = Type.Object(
  {
    from: Type.Optional(
      Type.String({ ...Day, description: 'First day; the first of this month without it', examples: ['2026-11-01'] })
    ),
    to: Type.Optional(Type.String({ ...Day, description: 'Last day; today without it', examples: ['2026-11-30'] })),
    ...limitAndCursor
  },
  closed
)
export type DepositStatementQuery = Static<typeof DepositStatementQuery>

const total = (description: string) => Type.String({ ...Money, description })
export const DepositStatementView = named(
  'DepositStatement',
  Type.Object(
    {
      warehouse: WarehouseCode,
      name: Type.String(),
      nameZh: nullable(Type.String()),
      from: Day,
      to: Day,
      opening: total('Balance before the first day (期初余额)'),
      increases: total('增加'),
      decreases: total('减少'),
      captures: total('Delivered to the outlet (扣款)'),
      returns: total('退回'),
      compensation: total('赔偿'),
      closing: total('Balance after the last day (期末余额)'),
      entries: Type.Array(ref(DepositEntryView)),
      nextCursor: nullable(Type.String()),
      holds: Type.Array(
        Type.Object(
          {
            reference: Type.String({ description: 'The request that holds it' }),
            amount: Type.String({ ...Money }),
            waived: Type.String({ ...Money, description: 'What finance waived of it' }),
            heldAt: Instant
          },
          closed
        ),
        { description: 'What is held now, oldest first' }
      ),
      balance: total('Balance now'),
      held: total('Held now'),
      free: total('Free now'),
      check: Type.Object(
        {
          entriesEqualBalance: Type.Boolean(),
          entriesAddUp: Type.Boolean({
            description: 'Each balance after an entry is the one before it and its amount'
          }),
          holdsEqualHeld: Type.Boolean()
        },
        { ...closed, description: 'The account is added up anew whenever it is read' }
      )
    },
    { ...closed, description: 'What became of a deposit between two days (押金对账单)' }
  )
)
export type DepositStatementView = Static<typeof DepositStatementView>

export const WaiverBody = named(
  'NewDepositWaiver',
  Type.Object(
    {
      amount: amount('How far requests may go beyond the free deposit, in all', '3000.00'),
      reason: text(500, 'Why', '春节前抢修'),
      validTo: Type.String({ ...Day, description: 'Last day on which requests may use it', examples: ['2026-12-31'] }),
      repairOrder: Type.Optional(text(100, 'Only for requests for this repair order', 'WX-2026-0815'))
    },
    { ...closed, examples: [{ amount: '3000.00', reason: '春节前抢修', validTo: '2026-12-31' }] }
  )
)
export type WaiverBody = Static<typeof WaiverBody>
export const WaiverParams = Type.Object({
  warehouse: WarehouseCode,
  waiver: Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'Id of the waiver', examples: ['1'] })
})
export const EndWaiverBody = named(
  'DepositWaiverEnding',
  Type.Object({ reason: text(500, 'Why', 'paid in') }, { ...closed, examples: [{ reason: 'paid in' }] })
)

export const WAIVER_STATES = ['open', 'used-up', 'expired', 'ended'] as const
export const WaiverView = named(
  'DepositWaiver',
  Type.Object(
    {
      id: Type.String(),
      warehouse: WarehouseCode,
      state: oneOf(WAIVER_STATES, 'Only an open one helps a request'),
      amount: Type.String({ ...Money }),
      left: Type.String({ ...Money, description: 'What no request has taken' }),
      reason: Type.String(),
      repairOrder: nullable(Type.String()),
      validTo: Day,
      grantedBy: Type.String(),
      grantedAt: Instant,
      endedBy: nullable(Type.String()),
      endedAt: nullable(Instant),
      endedBecause: nullable(Type.String()),
      uses: Type.Array(
        Type.Object(
          {
            reference: Type.String({ description: 'The request that took it' }),
            amount: Type.String({ ...Money }),
            at: Instant
          },
          closed
        )
      )
    },
    { ...closed, description: 'Leave of finance to request beyond the free deposit (押金豁免)' }
  )
)
export type WaiverView = Static<typeof WaiverView>
export const WaiverPage = pageOf(WaiverView)
export const WaiverQuery = Type.Object(
  { state: Type.Optional(oneOf(WAIVER_STATES, 'Only of this state')), ...limitAndCursor },
  closed
)
export type WaiverQuery = Static<typeof WaiverQuery>
