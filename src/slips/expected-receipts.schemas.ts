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
  WarehouseCode
} from '../platform/schemas.ts'

export const EXPECTED_RECEIPT_STATES = ['open', 'received', 'ended'] as const
export type ExpectedReceiptState = (typeof EXPECTED_RECEIPT_STATES)[number]

/** The paper that says that something is on its way: a purchase plan, or the proposal of a transfer. */
const DocumentNumber = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9-]*-[A-Z]{2,3}-[0-9]{6}-[0-9]{5,}$',
  description: 'Purchase plan or proposal (计划单号)',
  examples: ['HQ-PLN-202611-00001']
})

export const ExpectedReceiptParams = Type.Object({
  warehouse: WarehouseCode,
  document: DocumentNumber,
  line: Type.Integer({ minimum: 1, maximum: 999_999_999, description: 'Line of the document (行)', examples: [1] })
})

export const ExpectedReceiptQuery = Type.Object(
  {
    part: Type.Optional(PartNumber),
    state: Type.Optional(oneOf(EXPECTED_RECEIPT_STATES, 'Still outstanding, arrived in full, or ended by somebody')),
    ...limitAndCursor
  },
  closed
)

export const ExpectedReceiptView = named(
  'ExpectedReceipt',
  Type.Object({
    expectedReceipt: Type.String({
      description: 'What a line of a slip names to fulfil it: document and line',
      examples: ['HQ-PLN-202611-00001/3']
    }),
    document: DocumentNumber,
    line: Type.Integer(),
    kind: oneOf(['purchase', 'transfer'], 'It arrives by a receipt from a supplier, or by a transfer in'),
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    unit: Type.String(),
    quantity: Type.String({ ...Quantity, description: 'What was ordered or promised, in stock units' }),
    received: Type.String({ ...Quantity, description: 'What posted slips brought of it, reversals taken off' }),
    outstanding: Type.String({ ...Quantity, description: 'What counts as on order (在途)' }),
    over: Type.String({ ...Quantity, description: 'What was delivered beyond it (超交)' }),
    expectedOn: nullable(Day),
    supplier: nullable(Type.String()),
    fromWarehouse: nullable(Type.String()),
    state: oneOf(EXPECTED_RECEIPT_STATES, 'State'),
    openedAt: Instant,
    openedBy: Type.String({ description: 'User name' }),
    endedAt: nullable(Instant),
    endedBecause: nullable(Type.String()),
    slips: Type.Array(Type.String({ description: 'Posted slips that name it' }))
  })
)
export type ExpectedReceiptView = Static<typeof ExpectedReceiptView>
export const ExpectedReceiptPage = pageOf(ExpectedReceiptView)
