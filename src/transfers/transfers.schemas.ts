import { Type, type Static } from 'typebox'
import { Condition, Ownership } from '../ledger/ledger.schemas.ts'
import {
  closed,
  Day,
  Instant,
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
  WarehouseCode
} from '../platform/schemas.ts'
import { SLIP_KINDS, SLIP_STATES } from '../slips/slip-kinds.ts'
import { SlipEvent, SlipNumber, SlipView } from '../slips/slips.schemas.ts'

export const TRANSFER_STATES = [
  'ordered',
  'awaiting-dispatch',
  'in-transit',
  'received',
  'called-back',
  'cancelled'
] as const
export const CARRIAGES = ['road', 'express', 'air'] as const
export const RESPONSIBLE_FOR_LOSS = ['carrier', 'giver'] as const
export const CLAIM_KINDS = ['damaged', 'missing'] as const
/** Announced until its slip is posted, void once that is cancelled or reversed. */
export const CLAIM_STATES = ['announced', 'open', 'settled', 'withdrawn', 'void'] as const
export const TRANSPORT_LEGS = ['local', 'from-head-office'] as const

export type TransferState = (typeof TRANSFER_STATES)[number]
export type Carriage = (typeof CARRIAGES)[number]
export type ResponsibleForLoss = (typeof RESPONSIBLE_FOR_LOSS)[number]
export type ClaimKind = (typeof CLAIM_KINDS)[number]
export type ClaimState = (typeof CLAIM_STATES)[number]
export type TransportLeg = (typeof TRANSPORT_LEGS)[number]

/** As many as a slip has. */
export const MAX_TRANSFER_LINES = 500

export const TransferNumber = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9-]*-TRF-[0-9]{6}-[0-9]{5,}$',
  description: 'Transfer number (调拨单号)',
  examples: ['HQ-TRF-202611-00001']
})
export const TransferParams = Type.Object({ number: TransferNumber })
const LineNumber = Type.Integer({ minimum: 1, maximum: 2147483647, description: 'Line of the transfer' })
export const ClaimParams = Type.Object({
  number: TransferNumber,
  claim: Type.Integer({ minimum: 1, maximum: 2147483647, description: 'Number of the claim within the transfer' })
})

export const NewTransferBody = named(
  'NewTransfer',
  Type.Object(
    {
      from: Type.String({ ...WarehouseCode, description: 'Warehouse that gives (调出仓库)' }),
      to: Type.String({ ...WarehouseCode, description: 'Warehouse that receives (调入仓库)', examples: ['SZ11-V1'] }),
      lines: Type.Array(
        Type.Object(
          {
            part: PartNumber,
            quantity: Type.String({ ...PositiveQuantity, description: 'In `unit`' }),
            unit: Type.Optional(text(20, 'Unit of the quantity: the part’s own or one of its packing units', 'box')),
            ownership: Type.Optional(Ownership),
            condition: Type.Optional(Condition)
          },
          closed
        ),
        { minItems: 1, maxItems: MAX_TRANSFER_LINES }
      ),
      carriage: Type.Optional(oneOf(CARRIAGES, 'How it is carried (运输方式)')),
      directTo: Type.Optional(
        Type.String({
          ...WarehouseCode,
          description: 'Where the goods physically go (直送), while the papers run through the receiver'
        })
      ),
      reference: Type.Optional(text(100, 'Paper it is ordered by', 'REQ-2026-0815')),
      because: text(500, 'Why (调拨原因)', 'aged goods from the network')
    },
    {
      ...closed,
      examples: [
        {
          from: 'HQ',
          to: 'SZ11-V1',
          lines: [{ part: 'CH-0234', quantity: '2' }],
          because: 'aged goods from the network'
        }
      ]
    }
  )
)
export type NewTransfer = Static<typeof NewTransferBody>

export const OutSlipBody = named(
  'TransferOutSlip',
  Type.Object(
    {
      lines: Type.Optional(
        Type.Array(
          Type.Object(
            {
              line: LineNumber,
              quantity: Type.String({ ...PositiveQuantity, description: 'What leaves now, in stock units' })
            },
            closed
          ),
          { minItems: 1, maxItems: MAX_TRANSFER_LINES, description: 'Everything that was not sent yet, unless given' }
        )
      ),
      carrier: Type.Optional(text(200, 'Who carries it (承运人)', '顺丰速运')),
      occurredOn: Type.Optional(Type.String({ ...Day, description: 'Day on the paper; today unless given' })),
      note: Type.Optional(text(1000, 'Remark (备注)'))
    },
    { ...closed, examples: [{ carrier: '顺丰速运' }] }
  )
)
export type OutSlip = Static<typeof OutSlipBody>

export const InSlipBody = named(
  'TransferInSlip',
  Type.Object(
    {
      lines: Type.Array(
        Type.Object(
          {
            line: LineNumber,
            quantity: Type.String({
              ...Quantity,
              description: 'What arrived in the condition it left in, in stock units; 0 if nothing did'
            }),
            damaged: Type.Optional(
              Type.String({
                ...PositiveQuantity,
                description: 'What arrived damaged besides; it becomes nonconforming'
              })
            ),
            missing: Type.Optional(
              Type.String({ ...PositiveQuantity, description: 'What left, is not here and will not come' })
            ),
            responsible: Type.Optional(
              oneOf(RESPONSIBLE_FOR_LOSS, 'Who answers for what is damaged or missing (责任方): carrier or giver')
            ),
            note: Type.Optional(text(400, 'What was found'))
          },
          closed
        ),
        { minItems: 1, maxItems: MAX_TRANSFER_LINES }
      ),
      deliveredBy: Type.Optional(text(200, 'Who brought the goods (送货人)')),
      occurredOn: Type.Optional(Type.String({ ...Day, description: 'Day on the paper; today unless given' })),
      note: Type.Optional(text(1000, 'Remark (备注)'))
    },
    { ...closed, examples: [{ lines: [{ line: 1, quantity: '1', missing: '1', responsible: 'carrier' }] }] }
  )
)
export type InSlip = Static<typeof InSlipBody>

export const CallBackBody = named(
  'TransferCallBack',
  Type.Object(
    {
      reason: text(500, 'Why it is called back', 'the carrier never delivered it'),
      occurredOn: Type.Optional(Type.String({ ...Day, description: 'Day on the paper; today unless given' }))
    },
    closed
  )
)
export const TransferReasonBody = named(
  'TransferReason',
  Type.Object({ reason: text(500, 'Why', 'the goods are needed here') }, closed)
)

export const ClaimDecisionBody = named(
  'TransferClaimDecision',
  Type.Object(
    {
      decision: oneOf(
        ['settled', 'withdrawn'],
        'settled: who is responsible has paid, or it is written off; withdrawn: there is no claim. What was missing and is withdrawn is in transit again'
      ),
      reason: text(1000, 'How it was settled, or why it is withdrawn', 'paid by the carrier, voucher 4711')
    },
    closed
  )
)

export const TransportBody = named(
  'TransferTransport',
  Type.Object(
    {
      leg: oneOf(
        TRANSPORT_LEGS,
        'local: between giver and receiver, paid by the receiver unless head office gives; from-head-office: what once brought the goods to the giver, paid by the giver (R-AGE-7)'
      ),
      amount: Type.String({ ...Money, description: 'What it cost; a correction takes a minus sign and a note' }),
      carrier: Type.Optional(text(200, 'Who carried it (承运人)')),
      note: Type.Optional(text(500, 'Paper, or why it is corrected'))
    },
    { ...closed, examples: [{ leg: 'local', amount: '35.00', carrier: '顺丰速运' }] }
  )
)
export type Transport = Static<typeof TransportBody>

const Value = Type.Object({
  cost: Type.String({ ...Money, description: 'Original cost (原值)' }),
  accumulatedDepreciation: Type.String({ ...Money, description: 'Charged before the goods left (累计折旧)' }),
  netBookValue: Type.String({ ...Money, description: 'Cost less depreciation (净值)' })
})

const head = {
  number: TransferNumber,
  state: oneOf(TRANSFER_STATES, 'Where it stands'),
  version: Type.Integer(),
  from: WarehouseCode,
  to: WarehouseCode,
  directTo: nullable(WarehouseCode),
  carriage: nullable(oneOf(CARRIAGES, 'How it is carried')),
  carrier: nullable(Type.String()),
  reference: nullable(Type.String()),
  because: Type.String(),
  orderedAt: Instant,
  orderedBy: Type.String({ description: 'User name' })
}

export const TransferSummary = named(
  'TransferSummary',
  Type.Object({ ...head, lineCount: Type.Integer(), inTransit: Value, sentOn: nullable(Day) })
)
export type TransferSummary = Static<typeof TransferSummary>
export const TransferPage = pageOf(TransferSummary)

export const TransferClaim = named(
  'TransferClaim',
  Type.Object({
    claim: Type.Integer({ description: 'Number within the transfer' }),
    line: Type.Integer(),
    part: PartNumber,
    kind: oneOf(CLAIM_KINDS, 'What is claimed'),
    responsible: oneOf(RESPONSIBLE_FOR_LOSS, 'Who answers for it'),
    quantity: Quantity,
    value: Type.String({ ...Money, description: 'At net book value' }),
    state: oneOf(
      CLAIM_STATES,
      'announced until the slip that found it is posted; void if that was cancelled or reversed'
    ),
    slip: SlipNumber,
    note: nullable(Type.String()),
    openedAt: Instant,
    openedBy: Type.String(),
    decidedAt: nullable(Instant),
    decidedBy: nullable(Type.String()),
    decision: nullable(Type.String({ description: 'How it was settled, or why withdrawn' }))
  })
)

export const TransferTransport = named(
  'TransferTransportEntry',
  Type.Object({
    entry: Type.Integer(),
    leg: oneOf(TRANSPORT_LEGS, 'Leg'),
    amount: Money,
    paidBy: Type.String({ ...WarehouseCode, description: 'Warehouse whose department pays' }),
    carrier: nullable(Type.String()),
    note: nullable(Type.String()),
    enteredOn: Day,
    enteredBy: Type.String()
  })
)

export const SLIP_ROLES = ['out', 'in', 'call-back', 'reversal'] as const

export const TransferView = named(
  'Transfer',
  Type.Object({
    ...head,
    restClosedBecause: nullable(Type.String({ description: 'Why what was not sent will not be sent' })),
    cancelledBecause: nullable(Type.String()),
    lines: Type.Array(
      Type.Object({
        line: Type.Integer(),
        part: PartNumber,
        name: Type.String(),
        nameZh: nullable(Type.String()),
        unit: Type.String(),
        ownership: Ownership,
        condition: Condition,
        quantity: Type.String({ ...Quantity, description: 'Ordered, in stock units' }),
        beingSent: Type.String({ ...Quantity, description: 'On out slips that are not posted yet' }),
        sent: Quantity,
        received: Type.String({ ...Quantity, description: 'In the condition it left in' }),
        damaged: Quantity,
        missing: Quantity,
        calledBack: Quantity,
        inTransit: Quantity,
        reservation: nullable(Type.String({ description: 'What holds the goods at the giver until they leave' })),
        lot: nullable(Type.String({ description: 'The lot that is sent, where one was named' })),
        reserveFor: nullable(Type.String({ description: 'What the goods are for when they arrive' })),
        expectedReceipt: nullable(
          Type.String({ description: 'What was on its way to the receiver and arrives by this' })
        )
      })
    ),
    slips: Type.Array(
      Type.Object({
        number: SlipNumber,
        warehouse: WarehouseCode,
        role: oneOf(SLIP_ROLES, 'What the slip does for the transfer'),
        kind: oneOf(SLIP_KINDS, 'Kind of slip'),
        state: oneOf(SLIP_STATES, 'State'),
        occurredOn: Day,
        postedAt: nullable(Instant),
        reverses: nullable(Type.String())
      })
    ),
    claims: Type.Array(ref(TransferClaim)),
    transport: Type.Array(ref(TransferTransport)),
    value: Type.Object({
      sent: Value,
      received: Value,
      damaged: Value,
      missing: Value,
      calledBack: Value,
      inTransit: Value
    }),
    history: Type.Array(ref(SlipEvent))
  })
)
export type TransferView = Static<typeof TransferView>

/** A slip of a transfer, with the transfer as it stands then. */
export const TransferSlip = named('TransferSlip', Type.Object({ slip: ref(SlipView), transfer: ref(TransferView) }))
export type TransferSlip = Static<typeof TransferSlip>
