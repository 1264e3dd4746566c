import { Type, type Static } from 'typebox'
import { Ownership } from '../ledger/ledger.schemas.ts'
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
  PartNumber,
  PositiveQuantity,
  Quantity,
  ref,
  text,
  UnitCost,
  WarehouseCode
} from '../platform/schemas.ts'
import { SlipEvent } from '../slips/slips.schemas.ts'
import { URGENCIES } from './backorder.ts'
import { BACKORDER_STATES } from './backorders.schemas.ts'
import { ClockView } from './clock.schemas.ts'
import { PROMISE_BASES } from './promise.ts'
import { STEPS } from './search.ts'

export const CARRIAGES = ['road', 'express', 'air'] as const
export const REQUEST_STATES = ['open', 'done', 'cancelled'] as const
export const ALLOCATION_STATES = ['reserved', 'on-its-way', 'ready', 'issued', 'ended'] as const

/** A request has at most this many lines, as a slip has. */
export const MAX_LINES = 500

export const REQUEST_NUMBER = '^[A-Z0-9][A-Z0-9-]*-REQ-[0-9]{6}-[0-9]{5,}$'
export const RequestNumber = Type.String({
  pattern: REQUEST_NUMBER,
  description: 'Request number (要货单号)',
  examples: ['SZ11-REQ-202611-00001']
})
export const RequestParams = Type.Object({ number: RequestNumber })

const Urgency = oneOf(URGENCIES, 'normal, or emergency (抢修), which goes first and names the carriage (R-REQ-4)')
const Carriage = oneOf(CARRIAGES, 'How the goods come (运输方式): road 公路, express 快递, air 空运')
const Outlet = Type.String({ ...WarehouseCode, description: 'The outlet that requests (网点)', examples: ['SZ11'] })
const LineNumber = Type.Integer({ minimum: 1, maximum: MAX_LINES, description: 'Line of the request (行号)' })

export const NewRequest = named(
  'NewOutletRequest',
  Type.Object(
    {
      warehouse: Outlet,
      urgency: Urgency,
      carriage: Type.Optional(Carriage),
      needBy: Type.String({ ...Day, description: 'The day on which it is needed, today or later (需用日期)' }),
      repairOrder: Type.Optional(text(60, 'Repair order (维修单号)', 'WO-20261120-017')),
      contact: Type.Optional(text(200, 'Who is called about it (联系人)')),
      partial: Type.Optional(
        Type.Boolean({
          default: true,
          description: 'false: a line that cannot be met whole waits whole (允许部分发货)'
        })
      ),
      substitutes: Type.Optional(
        Type.Boolean({ default: false, description: 'true: what replaces a part may be sent instead (接受替代件)' })
      ),
      lines: Type.Array(
        Type.Object(
          {
            part: PartNumber,
            quantity: PositiveQuantity,
            unit: Type.Optional(text(20, 'A unit of the part; its stock unit unless given')),
            note: Type.Optional(text(500, 'Remark'))
          },
          closed
        ),
        { minItems: 1, maxItems: MAX_LINES }
      ),
      note: Type.Optional(text(1000, 'Remark (备注)'))
    },
    {
      ...closed,
      examples: [
        {
          warehouse: 'SZ11',
          urgency: 'normal',
          needBy: '2026-12-01',
          repairOrder: 'WO-20261120-017',
          lines: [{ part: 'CH-0234', quantity: '2' }]
        }
      ]
    }
  )
)
export type NewRequest = Static<typeof NewRequest>

const SearchStep = named(
  'RequestSearchStep',
  Type.Object({
    step: oneOf(STEPS, 'centre 中心库, regional-network 区域网络, head-office 总公司, other-regions 其他区域'),
    part: Type.String({
      ...PartNumber,
      description: 'The part that was looked for: the one of the line, or what replaces it'
    }),
    lookedAt: Type.Integer({ description: 'Warehouses that hold any of it' }),
    available: Type.String({ ...Quantity, description: 'What was there and not reserved' }),
    waitingInFront: Type.String({ ...Quantity, description: 'Of it, what older backorders wait for' }),
    taken: Quantity,
    displaced: Type.Optional(
      Type.String({ ...Quantity, description: 'Of it, what normal requests lost to this emergency' })
    ),
    from: Type.Array(
      Type.Object({
        warehouse: WarehouseCode,
        ownership: Ownership,
        quantity: Quantity,
        receivedOn: nullable(
          Type.String({ ...Day, description: 'Since when the oldest of it is in stock (库龄起算日)' })
        )
      })
    ),
    because: oneOf(
      ['covered', 'took-what-was-there', 'nothing-there', 'waited-for', 'kept-for-own-need', 'not-whole'],
      'Why the search ended here, or went on: waited-for: older backorders wait for it; kept-for-own-need: it is neither past the holding period nor beyond what the warehouse needs itself; not-whole: the requester takes no part of the line'
    )
  })
)
export type SearchStep = Static<typeof SearchStep>

const AllocationView = named(
  'RequestAllocation',
  Type.Object({
    allocation: Type.Integer({ minimum: 1 }),
    part: Type.String({ ...PartNumber, description: 'The part of the line, or what replaces it' }),
    quantity: Type.String({ ...Quantity, description: 'Stock units of that part' }),
    issued: Type.String({ ...Quantity, description: 'Of it, what was handed out (已发)' }),
    step: oneOf(STEPS, 'Which step of the search answered'),
    from: Type.String({ ...WarehouseCode, description: 'Where it was found (调出仓库)' }),
    ownership: Ownership,
    receivedOn: nullable(Type.String({ ...Day, description: 'Since when the oldest of it is in stock' })),
    state: oneOf(
      ALLOCATION_STATES,
      'reserved: promised, waits for the confirmation of the requester; on-its-way: by transfer to the centre; ready: at the centre, may be issued; issued; ended: see endedBecause'
    ),
    transfer: nullable(Type.String({ description: 'Number of the transfer that brings it to the centre (调拨单号)' })),
    slip: nullable(Type.String({ description: 'The issue slip that is written for it and not posted (出库单号)' })),
    backorder: nullable(Type.String({ description: 'The backorder that it answers' })),
    needsConfirmation: Type.Boolean({
      description: 'It came for a backorder: it moves once the requester confirms it (待确认)'
    }),
    confirmedAt: nullable(Instant),
    expiresOn: nullable(
      Type.String({ ...Day, description: 'The last day on which it is kept for the requester (保留期限)' })
    ),
    allocatedAt: Instant,
    endedAt: nullable(Instant),
    endedBecause: nullable(Type.String()),
    evidence: Type.Array(ref(SearchStep), {
      description: 'The search up to the step that answered: why those before it were passed over'
    })
  })
)
export type AllocationView = Static<typeof AllocationView>

const LineView = named(
  'RequestLine',
  Type.Object({
    line: LineNumber,
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    unit: Type.String({ description: 'Stock unit, of all quantities' }),
    quantity: Type.String({ ...Quantity, description: 'Requested (要货数量)' }),
    requestedAs: Type.String({ description: 'As it was written', examples: ['2 box'] }),
    unitPrice: UnitCost,
    note: nullable(Type.String()),
    state: oneOf(
      ['awaiting-approval', 'allocated', 'ready', 'backordered', 'issued', 'cancelled'],
      'What the line waits for: an approval of the controlled part (待审批), goods on their way or a confirmation, to be fetched, goods that nobody has (缺货), or nothing more'
    ),
    allocated: Type.String({ ...Quantity, description: 'Promised and not yet issued, in this part (已分配)' }),
    ready: Type.String({ ...Quantity, description: 'Of it, what lies at the centre and may be issued (可发)' }),
    issued: Type.String({ ...Quantity, description: 'Handed out (已发)' }),
    backordered: Type.String({ ...Quantity, description: 'What nobody has (缺货数量)' }),
    cancelled: Type.String({ ...Quantity, description: 'No longer wanted, or given up (已取消)' }),
    cancelledBecause: nullable(Type.String()),
    allocations: Type.Array(ref(AllocationView)),
    backorder: nullable(
      Type.Object({
        number: Type.String({ description: 'Backorder number (缺货登记单号)' }),
        state: oneOf(BACKORDER_STATES, 'State of the backorder'),
        quantity: Quantity,
        waiting: Quantity,
        promisedOn: nullable(Type.String({ ...Day, description: 'The promised day (承诺到货日)' })),
        promiseBasis: oneOf(PROMISE_BASES, 'What the day stands on'),
        answerDueAt: Instant
      })
    ),
    search: Type.Array(ref(SearchStep), { description: 'The last search, step by step, whatever came of it' }),
    searchedAt: nullable(Instant),
    substitutes: Type.Array(
      Type.Object({
        part: PartNumber,
        factor: Type.String({ ...Quantity, description: 'So many of it stand for one' }),
        quantity: Quantity,
        from: Type.Array(Type.Object({ warehouse: WarehouseCode, step: oneOf(STEPS, 'Step'), quantity: Quantity }))
      }),
      { description: 'What could be had instead; request it with substitutes: true (替代件, R-CAT-4)' }
    )
  })
)
export type LineView = Static<typeof LineView>

const head = {
  number: RequestNumber,
  warehouse: Outlet,
  warehouseName: Type.String(),
  centre: Type.String({ ...WarehouseCode, description: 'Who hands the goods out (中心库)' }),
  region: Type.String({ description: 'Region of the outlet' }),
  urgency: Urgency,
  carriage: nullable(Carriage),
  needBy: Day,
  repairOrder: nullable(Type.String()),
  state: oneOf(REQUEST_STATES, 'open: something of it is still to come; done: all that was not cancelled is issued'),
  version: Type.Integer(),
  value: Type.String({ ...Money, description: 'Of all lines, by list price, else standard cost (金额)' }),
  requestedBy: Type.String({ description: 'User name' }),
  requestedAt: Instant,
  endedAt: nullable(Instant)
}
export const RequestSummary = named(
  'OutletRequestSummary',
  Type.Object({
    ...head,
    lines: Type.Integer(),
    linesReady: Type.Integer({ description: 'Lines of which something may be issued now (可发行数)' }),
    linesOnTheirWay: Type.Integer({ description: 'Lines of which something comes by transfer' }),
    linesBackordered: Type.Integer({ description: 'Lines of which something is backordered' }),
    linesAwaitingApproval: Type.Integer(),
    linesIssued: Type.Integer({ description: 'Lines that are issued whole' }),
    dueOn: nullable(Type.String({ ...Day, description: 'The first day on which a running clock is due' }))
  })
)
export type RequestSummary = Static<typeof RequestSummary>
export const RequestPage = pageOf(RequestSummary)

export const RequestView = named(
  'OutletRequest',
  Type.Object({
    ...head,
    contact: nullable(Type.String()),
    note: nullable(Type.String()),
    partial: Type.Boolean(),
    substitutes: Type.Boolean(),
    deposit: nullable(
      Type.Object(
        {
          value: Type.String({ ...Money, description: 'What the open lines are worth' }),
          held: Type.String({ ...Money, description: 'What is held of the deposit for it (占用)' }),
          free: Type.String({ ...Money, description: 'What of the deposit is free now (可用押金)' }),
          waived: Type.String({ ...Money, description: 'Of the hold, what finance waived (豁免)' })
        },
        { description: 'null: the outlet has no deposit account, nothing is checked (R-REQ-5)' }
      )
    ),
    lines: Type.Array(ref(LineView)),
    clocks: Type.Array(ref(ClockView)),
    history: Type.Array(ref(SlipEvent), { description: 'What happened, oldest first' })
  })
)
export type RequestView = Static<typeof RequestView>

const filter = {
  warehouse: Type.Optional(Type.String({ ...WarehouseCode, description: 'Only of this outlet' })),
  centre: Type.Optional(Type.String({ ...WarehouseCode, description: 'Only what this centre answers' })),
  region: Type.Optional(Type.String({ minLength: 1, maxLength: 20, description: 'Only of outlets of this region' })),
  state: Type.Optional(oneOf(REQUEST_STATES, 'State')),
  urgency: Type.Optional(Urgency),
  part: Type.Optional(PartNumber),
  repairOrder: Type.Optional(text(60, 'Repair order')),
  ready: Type.Optional(Type.Boolean({ description: 'true: only what may be issued now' }))
}
const Filter = Type.Object(filter, closed)
export type RequestFilter = Static<typeof Filter>
export const RequestQuery = Type.Object(
  {
    ...filter,
    order: Type.Optional(
      oneOf(['newest', 'worklist'], 'worklist: emergencies first, then by the day on which it is needed (作业顺序)')
    ),
    ...limitAndCursor
  },
  closed
)

export const CancelRequestBody = named(
  'CancelOutletRequest',
  Type.Object(
    {
      reason: text(500, 'Why (取消原因)'),
      lines: Type.Optional(
        Type.Array(
          Type.Object(
            {
              line: LineNumber,
              quantity: Type.Optional(
                Type.String({ ...PositiveQuantity, description: 'Stock units; all that is not issued unless given' })
              )
            },
            closed
          ),
          { minItems: 1, maxItems: MAX_LINES, description: 'All lines unless given' }
        )
      )
    },
    { ...closed, examples: [{ reason: '客户取消维修' }] }
  )
)
export type CancelRequest = Static<typeof CancelRequestBody>

export const IssueSlipBody = named(
  'RequestIssueSlip',
  Type.Object(
    {
      lines: Type.Optional(
        Type.Array(
          Type.Object(
            {
              line: LineNumber,
              quantity: Type.Optional(
                Type.String({
                  ...PositiveQuantity,
                  description: 'Stock units of the part that is handed out; all that is ready unless given'
                })
              )
            },
            closed
          ),
          { minItems: 1, maxItems: MAX_LINES, description: 'All that is ready unless given' }
        )
      ),
      note: Type.Optional(text(1000, 'Remark on the slip'))
    },
    { ...closed, examples: [{}] }
  )
)
export type IssueSlip = Static<typeof IssueSlipBody>

export const NeedByBody = named(
  'RequestNeedBy',
  Type.Object(
    {
      needBy: Type.String({ ...Day, description: 'The day on which it is needed now, today or later' }),
      reason: text(500, 'Why it changed')
    },
    { ...closed, examples: [{ needBy: '2026-12-10', reason: '客户推迟取车' }] }
  )
)
export type ChangeNeedBy = Static<typeof NeedByBody>
