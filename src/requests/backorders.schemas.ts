import { Type, type Static } from 'typebox'
import {
  closed,
  Day,
  Instant,
  limitAndCursor,
  named,
  nullable,
  oneOf,
  pageOf,
  PartNumber,
  Quantity,
  text,
  WarehouseCode
} from '../platform/schemas.ts'
import { URGENCIES } from './backorder.ts'
import { PROMISE_BASES } from './promise.ts'

export const BACKORDER_STATES = ['waiting', 'allocated', 'confirmed', 'fulfilled', 'cancelled'] as const
export type BackorderState = (typeof BACKORDER_STATES)[number]

export const BACKORDER_NUMBER = '^[A-Z0-9][A-Z0-9-]*-BKO-[0-9]{6}-[0-9]{5,}$'
const BackorderNumber = Type.String({
  pattern: BACKORDER_NUMBER,
  description: 'Backorder number (缺货登记单号)',
  examples: ['BJ-CY01-BKO-202611-00001']
})
export const BackorderParams = Type.Object({ number: BackorderNumber })

const State = oneOf(
  BACKORDER_STATES,
  'waiting: nobody has it; allocated: goods are reserved and the requester is asked whether they are still needed; confirmed: they are, and come; fulfilled: issued; cancelled'
)
const Basis = oneOf(
  PROMISE_BASES,
  'What the day stands on: goods on their way to the centre, the lead time of its reorder policy or of the part, the working days that a backorder may take, or what a person said'
)

const backorder = {
  number: BackorderNumber,
  warehouse: Type.String({ ...WarehouseCode, description: 'The outlet that waits (网点)' }),
  centre: Type.String({ ...WarehouseCode, description: 'The centre that was asked (中心库)' }),
  request: Type.String({ description: 'Request number (要货单号)' }),
  line: Type.Integer({ minimum: 1, description: 'Line of the request' }),
  part: PartNumber,
  name: Type.String(),
  nameZh: nullable(Type.String()),
  unit: Type.String(),
  urgency: oneOf(URGENCIES, 'Emergency (抢修) goes first'),
  quantity: Type.String({ ...Quantity, description: 'What it stands for, in stock units (登记数量)' }),
  waiting: Type.String({ ...Quantity, description: 'Of it, what nobody has yet (尚缺数量)' }),
  state: State,
  version: Type.Integer(),
  registeredAt: Instant,
  queuedAt: Type.String({
    ...Instant,
    description: 'Its place in the queue; earlier than its registration where goods that it had were taken'
  }),
  promisedOn: nullable(Type.String({ ...Day, description: 'The promised day (承诺到货日)' })),
  promiseBasis: Basis,
  expectedReceipt: nullable(
    Type.String({ description: 'The goods on their way that the promise stands on, document and line' })
  ),
  answerDueAt: Type.String({ ...Instant, description: 'By then it is answered, whatever happened (应答期限)' }),
  answeredAt: nullable(Type.String({ ...Instant, description: 'The first answer: by a person or by goods that came' })),
  answeredBy: nullable(Type.String({ description: 'User name; system where goods came' })),
  askedAt: nullable(
    Type.String({
      ...Instant,
      description: 'Since when the requester is asked whether the goods are still needed (待确认)'
    })
  ),
  confirmBy: nullable(Type.String({ ...Day, description: 'The last day of that; the goods go to the next after it' })),
  endedAt: nullable(Instant),
  endedBecause: nullable(Type.String())
}
export const BackorderSummary = named('BackorderSummary', Type.Object(backorder))
export type BackorderSummary = Static<typeof BackorderSummary>
export const BackorderPage = pageOf(BackorderSummary)

export const BackorderView = named(
  'Backorder',
  Type.Object({
    ...backorder,
    inFront: Type.String({ ...Quantity, description: 'What older backorders of the centre wait for before it' }),
    goods: Type.Array(
      Type.Object({
        part: Type.String({ ...PartNumber, description: 'The part, or what replaces it' }),
        from: Type.String({ ...WarehouseCode, description: 'Where the goods lie, or came from' }),
        quantity: Quantity,
        state: oneOf(['reserved', 'on-its-way', 'ready', 'issued', 'ended'], 'As of the allocation of the request'),
        confirmedAt: nullable(Instant),
        expiresOn: nullable(Day),
        endedBecause: nullable(Type.String())
      }),
      { description: 'Goods that were found for it, oldest first' }
    ),
    history: Type.Array(
      Type.Object({
        at: Instant,
        by: Type.String({ description: 'User name' }),
        event: Type.String(),
        details: nullable(Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }))
      })
    )
  })
)
export type BackorderView = Static<typeof BackorderView>

const backorderFilter = {
  warehouse: Type.Optional(Type.String({ ...WarehouseCode, description: 'Only of this outlet' })),
  centre: Type.Optional(Type.String({ ...WarehouseCode, description: 'Only of this centre' })),
  part: Type.Optional(PartNumber),
  state: Type.Optional(State),
  due: Type.Optional(
    Type.String({ ...Day, description: 'Only those nobody has answered, whose answer is due on this day or before' })
  )
}
const BackorderFilter = Type.Object(backorderFilter)
export type BackorderFilter = Static<typeof BackorderFilter>
export const BackorderQuery = Type.Object({ ...backorderFilter, ...limitAndCursor })

export const AnswerBody = named(
  'BackorderAnswer',
  Type.Object(
    {
      promisedOn: Type.Optional(
        Type.String({ ...Day, description: 'The day that is promised from now on (承诺到货日)' })
      ),
      text: text(1000, 'What the requester is told (答复)')
    },
    { ...closed, examples: [{ promisedOn: '2026-12-18', text: '厂家已排产，12月中旬到中心库' }] }
  )
)
export type AnswerBody = Static<typeof AnswerBody>

export const ConfirmationBody = named(
  'BackorderConfirmation',
  Type.Object(
    {
      confirmed: Type.Boolean({ description: 'Whether the goods are still needed' }),
      reason: Type.Optional(text(1000, 'Why they are not; needed where they are not'))
    },
    { ...closed, examples: [{ confirmed: true }, { confirmed: false, reason: '用户已退机' }] }
  )
)
export type ConfirmationBody = Static<typeof ConfirmationBody>
