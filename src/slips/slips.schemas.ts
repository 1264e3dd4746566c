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
  SignedQuantity,
  text,
  UnitCost,
  WarehouseCode
} from '../platform/schemas.ts'
import { ReadContentHash, SignatureView, SigningDuty } from '../signing/signing.schemas.ts'
import { PURPOSES, SLIP_KINDS, SLIP_STATES } from './slip-kinds.ts'

/** A slip has at most this many lines; a longer delivery is split. */
export const MAX_LINES = 500

export const DIFFERENCE_ASPECTS = ['name', 'specification', 'colour', 'quantity', 'quality'] as const
export const RESPONSIBLE_PARTIES = ['production', 'carrier', 'own-department'] as const

/** Warehouse code, series, month, running number. */
export const SLIP_NUMBER = '^[A-Z0-9][A-Z0-9-]*-[A-Z]{2,3}-[0-9]{6}-[0-9]{5,}$'
/** A line of a purchase plan or an accepted proposal: document number, line. */
export const EXPECTED_RECEIPT = '^[A-Z0-9][A-Z0-9-]*-[A-Z]{2,3}-[0-9]{6}-[0-9]{5,}/[1-9][0-9]{0,8}$'
export const SlipNumber = Type.String({
  pattern: SLIP_NUMBER,
  description: 'Slip number (单号)',
  examples: ['HQ-OUT-202611-00017']
})
export const SlipParams = Type.Object({ number: SlipNumber })

const Difference = Type.Object(
  {
    aspects: Type.Optional(
      Type.Array(oneOf(DIFFERENCE_ASPECTS, 'what differs from the delivery note'), {
        minItems: 1,
        maxItems: 5,
        description: 'What differs; a difference in quantity is found by itself'
      })
    ),
    responsibleParty: Type.Optional(
      oneOf(RESPONSIBLE_PARTIES, 'Who answers for it (责任方): production, carrier or own department')
    ),
    faultyQuantity: Type.Optional(
      Type.String({ ...PositiveQuantity, description: 'How much of what arrived is faulty, in `unit`' })
    ),
    description: Type.Optional(text(1000, 'What was found'))
  },
  {
    ...closed,
    description: 'Difference from the delivery note; opens a quality report (质量反馈表) when the receipt is posted'
  }
)

export const SlipLineBody = named(
  'NewSlipLine',
  Type.Object(
    {
      part: PartNumber,
      quantity: Type.String({
        ...SignedQuantity,
        description:
          'Quantity that really moves, in `unit`: more than zero; 0 on a receipt if all that the delivery note states is missing; an adjustment takes a minus sign for a loss',
        examples: ['5']
      }),
      unit: Type.Optional(text(20, 'Unit of the quantity: the part’s own or one of its packing units', 'box')),
      unitCost: Type.Optional(UnitCost),
      ownership: Type.Optional(Ownership),
      condition: Type.Optional(Condition),
      expectedQuantity: Type.Optional(
        Type.String({ ...Quantity, description: 'Quantity on the delivery note (送货单数量), in `unit`' })
      ),
      difference: Type.Optional(Difference),
      receivedOn: Type.Optional(
        Type.String({
          ...Day,
          description: 'Day the goods were first received, for opening stock and transfers in: they keep their age'
        })
      ),
      sourceLine: Type.Optional(
        Type.Integer({
          minimum: 1,
          description: 'Line of the slip that these goods left by, for returns; needed if the part stands there twice'
        })
      ),
      reservation: Type.Optional(
        Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'Reservation this line takes from' })
      ),
      expectedReceipt: Type.Optional(
        Type.String({
          pattern: EXPECTED_RECEIPT,
          maxLength: 80,
          description:
            'What was on its way and this line of a receipt fulfils, in whole or in part: document and line (计划行), as GET /v1/warehouses/{warehouse}/expected-receipts names it. What a transfer brings its own slips fulfil',
          examples: ['HQ-PLN-202611-00001/3']
        })
      ),
      note: Type.Optional(text(500, 'Remark (备注)'))
    },
    closed
  )
)

const head = {
  occurredOn: Type.Optional(
    Type.String({ ...Day, description: 'Day on the paper; today unless given, never in the future' })
  ),
  reference: Type.Optional(
    text(
      100,
      'Repair order, technician, outlet, customer’s paper; for returns the slip the goods left by',
      'RO-2026-0815'
    )
  ),
  counterparty: Type.Optional(
    text(200, 'Who delivers or receives (往来单位); a supplier’s code makes it that supplier')
  ),
  supplier: Type.Optional(text(40, 'Supplier code of a receipt; must be authorised for every part (正规渠道)')),
  deliveryNote: Type.Optional(text(100, 'Number of the delivery note (送货单号)')),
  packagesExpected: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 100000, description: 'Packages on the delivery note (件数)' })
  ),
  packagesReceived: Type.Optional(Type.Integer({ minimum: 0, maximum: 100000, description: 'Packages that arrived' })),
  note: Type.Optional(text(1000, 'Remark (备注)')),
  reason: Type.Optional(text(500, 'Why: for returns, scrap, adjustments and reversals')),
  lines: Type.Optional(Type.Array(ref(SlipLineBody), { minItems: 1, maxItems: MAX_LINES }))
}

export const CreateSlipBody = named(
  'NewSlip',
  Type.Object(
    {
      kind: oneOf(SLIP_KINDS, 'Kind of slip'),
      purpose: Type.Optional(oneOf(PURPOSES, 'Of an issue; repair-order unless given')),
      ...head,
      submit: Type.Optional(Type.Boolean({ default: true, description: 'false keeps it as a draft' }))
    },
    {
      ...closed,
      examples: [{ kind: 'issue', reference: 'RO-2026-0815', lines: [{ part: 'CH-0234', quantity: '2' }] }]
    }
  )
)
export type CreateSlip = Static<typeof CreateSlipBody>
export type NewSlipLine = Static<typeof SlipLineBody>

export const AmendSlipBody = named(
  'AmendedSlip',
  Type.Object(
    {
      purpose: Type.Optional(oneOf(PURPOSES, 'Of an issue')),
      ...head,
      submit: Type.Optional(Type.Boolean({ default: true }))
    },
    { ...closed, examples: [{ reference: 'RO-2026-0815', lines: [{ part: 'CH-0234', quantity: '1' }] }] }
  )
)
export type AmendSlip = Static<typeof AmendSlipBody>

const SlipLineView = named(
  'SlipLine',
  Type.Object({
    line: Type.Integer(),
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    specification: nullable(Type.String()),
    colour: nullable(Type.String()),
    direction: oneOf(['in', 'out'], 'Whether the goods come in or leave'),
    quantity: Type.String({ ...Quantity, description: 'In stock units' }),
    unit: Type.String({ description: 'Unit as entered' }),
    unitQuantity: Type.String({ ...Quantity, description: 'In `unit`' }),
    unitCost: nullable(UnitCost),
    ownership: Ownership,
    condition: Condition,
    expectedQuantity: nullable(Quantity),
    receivedOn: nullable(Day),
    sourceLine: nullable(Type.Integer()),
    reservation: nullable(Type.String()),
    lot: nullable(
      Type.String({
        description: 'The lot the line takes from, where a count found that one short or a recall drives it back'
      })
    ),
    reserveFor: nullable(
      Type.String({ description: 'What the goods are reserved for as soon as they have come in (到货即留)' })
    ),
    carried: nullable(
      Type.Object(
        {
          cost: Type.String({ ...Money, description: 'Original cost of the line' }),
          accumulatedDepreciation: Type.String({ ...Money, description: 'Charged before the goods left' }),
          chargedUntil: Type.String({ description: 'The last month that was charged', examples: ['2026-10'] })
        },
        { description: 'What goods from another warehouse left it with (R-AGE-7)' }
      )
    ),
    difference: nullable(Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true })),
    note: nullable(Type.String()),
    expectedReceipt: nullable(
      Type.String({ description: 'What was on its way and the line fulfils: document and line' })
    ),
    movements: Type.Array(
      Type.Object({
        lot: Type.String({ description: 'Lot the goods came from or opened' }),
        quantity: SignedQuantity,
        cost: Money,
        charge: Type.String({ ...Money, description: 'Accumulated depreciation that moved with the goods' }),
        onHandAfter: Quantity
      }),
      { description: 'What was posted; empty before that' }
    )
  })
)

const headView = {
  number: SlipNumber,
  kind: oneOf(SLIP_KINDS, 'Kind of slip'),
  kindZh: Type.String({ description: 'Name of the document in Chinese' }),
  purpose: nullable(oneOf(PURPOSES, 'Of an issue')),
  state: oneOf(SLIP_STATES, 'State'),
  version: Type.Integer(),
  warehouse: WarehouseCode,
  occurredOn: Day,
  reference: nullable(Type.String()),
  counterparty: nullable(Type.String()),
  preparedBy: Type.String({ description: 'User name' }),
  preparedAt: Instant,
  refusal: nullable(
    Type.Object(
      {
        by: Type.String({ description: 'User name' }),
        duty: Type.String({ description: 'Duty of the signer, or keeper for a refused release' }),
        reason: Type.String(),
        at: Instant
      },
      { description: 'Why it was sent back, until it is submitted anew' }
    )
  ),
  postedBy: nullable(Type.String()),
  postedAt: nullable(Instant),
  lateSignature: nullable(
    Type.Object(
      { duty: SigningDuty, dueAt: Instant, overdue: Type.Boolean() },
      { description: 'Signature still due after an emergency release (补签)' }
    )
  )
}

export const SlipView = named(
  'Slip',
  Type.Object({
    ...headView,
    supplier: nullable(Type.String()),
    deliveryNote: nullable(Type.String()),
    packagesExpected: nullable(Type.Integer()),
    packagesReceived: nullable(Type.Integer()),
    note: nullable(Type.String()),
    reason: nullable(Type.String()),
    sourceSlip: nullable(Type.String({ description: 'Slip that this one reverses or returns from' })),
    signedAs: nullable(
      Type.String({ description: 'The document whose signatures cover this slip: the count it adjusts for (盘点单号)' })
    ),
    contentHash: Type.String({ description: 'SHA-256 of the RFC 8785 content that signatures bind to' }),
    lines: Type.Array(ref(SlipLineView)),
    duties: Type.Array(SigningDuty, { description: 'Duties that sign it' }),
    signatures: Type.Array(ref(SignatureView)),
    awaiting: Type.Array(SigningDuty, { description: 'Duties that have not signed yet' }),
    submittedAt: nullable(Instant),
    approvedAt: nullable(Instant),
    handedTo: nullable(Type.String()),
    deliveredBy: nullable(Type.String()),
    releasedBecause: nullable(Type.String()),
    authorisedBy: nullable(Type.String()),
    qualityReports: Type.Array(Type.String({ description: 'Numbers of quality reports it opened' })),
    reversal: nullable(
      Type.Object(
        { number: Type.String(), state: oneOf(SLIP_STATES, 'State of the reversal') },
        { description: 'The slip that reverses this one (红字冲销); in effect once it is posted' }
      )
    ),
    returns: Type.Array(Type.String({ description: 'Slips by which goods of this one came back' }))
  })
)
export type SlipView = Static<typeof SlipView>

export const SlipSummary = named(
  'SlipSummary',
  Type.Object({ ...headView, lineCount: Type.Integer(), awaiting: Type.Array(SigningDuty) })
)
export type SlipSummary = Static<typeof SlipSummary>
export const SlipSummaryPage = pageOf(SlipSummary)

export const SlipEvent = named(
  'SlipEvent',
  Type.Object({
    at: Instant,
    by: Type.String(),
    event: Type.String(),
    details: nullable(Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }))
  })
)

const decision = {
  duty: SigningDuty,
  decision: oneOf(['approve', 'refuse'], 'A refusal needs a comment and sends the slip back to the preparer'),
  comment: Type.Optional(text(1000, 'Reason of a refusal, or a remark'))
}
export const SignSlipBody = named(
  'SlipDecision',
  Type.Object(
    {
      ...decision,
      contentHash: Type.Optional(ReadContentHash)
    },
    { ...closed, examples: [{ duty: 'finance-supervisor', decision: 'approve' }] }
  )
)
export const SignSlipsBody = named(
  'SlipDecisions',
  Type.Object(
    {
      ...decision,
      slips: Type.Array(
        Type.Union([
          SlipNumber,
          Type.Object(
            {
              number: SlipNumber,
              contentHash: ReadContentHash
            },
            closed
          )
        ]),
        { minItems: 1, maxItems: 200, description: 'Numbers, or numbers with the hash of what was read' }
      )
    },
    { ...closed, examples: [{ duty: 'finance-supervisor', decision: 'approve', slips: ['HQ-OUT-202611-00017'] }] }
  )
)
export const SignSlipsResult = named(
  'SlipDecisionsResult',
  Type.Object({
    signed: Type.Integer(),
    refused: Type.Integer({ description: 'Slips that could not be signed' }),
    results: Type.Array(
      Type.Object({
        number: SlipNumber,
        state: nullable(oneOf(SLIP_STATES, 'State after the signature')),
        problem: nullable(
          Type.Unsafe<{ code: string; detail: string }>({
            type: 'object',
            properties: { code: { type: 'string' }, detail: { type: 'string' } },
            required: ['code', 'detail']
          })
        )
      })
    )
  })
)

export const PostSlipBody = named(
  'SlipPosting',
  Type.Object(
    {
      handedTo: Type.Optional(text(200, 'Who took the goods (收货人)')),
      deliveredBy: Type.Optional(text(200, 'Who brought the goods (送货人)'))
    },
    { ...closed, examples: [{ handedTo: '王师傅' }] }
  )
)
export const ReleaseBody = named(
  'EmergencyRelease',
  Type.Object(
    {
      missingDuty: SigningDuty,
      authorisedBy: text(200, 'Who telephoned the permission'),
      reason: text(1000, 'Why it cannot wait'),
      handedTo: text(200, 'Who took the goods (收货人)')
    },
    {
      ...closed,
      examples: [
        {
          missingDuty: 'finance-supervisor',
          authorisedBy: '李敏',
          reason: 'customer waits at the counter',
          handedTo: '王师傅'
        }
      ]
    }
  )
)
export const ReasonBody = named(
  'Reason',
  Type.Object({ reason: text(1000, 'Why', 'the repair order is missing') }, closed)
)
export const ReversalBody = named(
  'SlipReversal',
  Type.Object(
    { reason: text(500, 'Why it is reversed', 'wrong part was taken'), occurredOn: Type.Optional(Day) },
    closed
  )
)
