import { Type, type Static } from 'typebox'
import { DUTIES } from '../identity/actor.ts'
import { Condition, Ownership } from '../ledger/ledger.schemas.ts'
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
  Quantity,
  ref,
  text,
  WarehouseCode
} from '../platform/schemas.ts'
import { ReadContentHash, SignatureView, SigningDuty } from '../signing/signing.schemas.ts'
import { PURPOSES, SLIP_KINDS } from '../slips/slip-kinds.ts'

export const RECALL_STATES = ['awaiting-second-signature', 'running', 'lifted', 'closed', 'cancelled'] as const
export type RecallState = (typeof RECALL_STATES)[number]
export const ENDING_KINDS = ['lifting', 'closing'] as const
export type EndingKind = (typeof ENDING_KINDS)[number]
export const ENDING_STATES = ['awaiting-signatures', 'in-effect', 'refused', 'cancelled'] as const
export type EndingState = (typeof ENDING_STATES)[number]

/** A recall names at most so many parts and lots: more is a mistake, or wants two recalls. */
export const MOST_LINES = 2000

export const RecallNumber = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9-]*-RCL-[0-9]{6}-[0-9]{5,}$',
  description: 'Number of the recall (召回单号)',
  examples: ['HQ-RCL-202611-00001']
})
export const RecallParams = Type.Object({ number: RecallNumber })
export const RecallWarehouseParams = Type.Object({ number: RecallNumber, warehouse: WarehouseCode })

const LotName = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9-]{0,19}/[1-9][0-9]{0,17}$',
  description: 'A lot: warehouse and number, as slips and lists of stock name it',
  examples: ['HQ/4711']
})

const Scope = named(
  'RecallScope',
  Type.Object(
    {
      part: Type.Optional(PartNumber),
      parts: Type.Optional(
        Type.Array(PartNumber, {
          minItems: 1,
          maxItems: MOST_LINES,
          description: 'Several parts, each under the same conditions'
        })
      ),
      lots: Type.Optional(
        Type.Array(LotName, {
          minItems: 1,
          maxItems: MOST_LINES,
          description:
            'Only goods of these lots, wherever they are by now: what was transferred, came back or was split is found by the lot by which it first came in'
        })
      ),
      receivedFrom: Type.Optional(
        Type.String({ ...Day, description: 'Only goods first received on this day or later; transfers keep the day' })
      ),
      receivedTo: Type.Optional(
        Type.String({ ...Day, description: 'Only goods first received on this day or before' })
      ),
      supplier: Type.Optional(text(40, 'Only goods that first came in from this supplier'))
    },
    {
      ...closed,
      description:
        'What is recalled: `part`, `parts` or `lots`, narrowed by what else is given; all conditions hold together'
    }
  )
)

export const CreateRecallBody = named(
  'NewRecall',
  Type.Object(
    {
      title: text(200, 'What it is about, in a line'),
      reason: text(1000, 'What is wrong with the goods, and what is to be done with them'),
      scopes: Type.Array(ref(Scope), { minItems: 1, maxItems: 200 }),
      dryRun: Type.Optional(
        Type.Boolean({ default: false, description: 'true only says what it would come to; nothing is blocked' })
      )
    },
    {
      ...closed,
      examples: [
        {
          title: '压缩机漏氟',
          reason: '焊缝不良，停止使用并退回',
          scopes: [{ part: 'HJ-1213', receivedFrom: '2026-01-01', receivedTo: '2026-11-30' }]
        }
      ]
    }
  )
)
export type CreateRecall = Static<typeof CreateRecallBody>
export type RecallScopeInput = CreateRecall['scopes'][number]

export const RecallReach = named(
  'RecallReach',
  Type.Object(
    {
      parts: Type.Integer({ description: 'Parts that are named' }),
      warehouses: Type.Integer({ description: 'Warehouses in which goods of it lie' }),
      lots: Type.Integer({ description: 'Lots that hold goods' }),
      onHand: Type.String({ ...Quantity, description: 'What lies in all warehouses (库存)' }),
      inTransit: Type.String({ ...Quantity, description: 'What is between two warehouses (在途)' }),
      issued: Type.String({ ...Quantity, description: 'What left and did not come back (已发出)' }),
      value: Type.String({ ...Money, description: 'Cost of what lies in all warehouses' }),
      share: nullable(
        Type.Number({
          description: 'Of the cost of all stock of the network; only worked out if several parts are named'
        })
      ),
      needsSecondSignature: Type.Boolean({
        description: 'Whether a second person signs before it takes effect, because it reaches so far'
      })
    },
    { description: 'What a recall came to at the moment it was opened' }
  )
)
export type RecallReach = Static<typeof RecallReach>

export const RecallPreview = named(
  'RecallPreview',
  Type.Object({
    dryRun: Type.Literal(true),
    reach: ref(RecallReach),
    promises: Type.Integer({
      description: 'Open reservations of balances in which goods of it lie; those that no longer fit are broken'
    })
  })
)

const LineView = named(
  'RecallLine',
  Type.Object({
    line: Type.Integer(),
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    receivedFrom: nullable(Day),
    receivedTo: nullable(Day),
    supplier: nullable(Type.String()),
    lot: nullable(Type.String({ description: 'The lot by which the goods first came in' })),
    liftedAt: nullable(Instant)
  })
)

const EndingView = named(
  'RecallEnding',
  Type.Object({
    kind: oneOf(
      ENDING_KINDS,
      'lifting (解除) frees goods; closing (结案) says that nothing of it lies blocked any more'
    ),
    state: oneOf(ENDING_STATES, 'State'),
    lines: Type.Array(Type.Integer(), { description: 'The lines that are lifted; all of a closing' }),
    reason: Type.String(),
    proposedBy: Type.String({ description: 'User name' }),
    proposedAt: Instant,
    contentHash: Type.String({ description: 'SHA-256 of what signatures bind to' }),
    duties: Type.Array(SigningDuty),
    signatures: Type.Array(ref(SignatureView)),
    awaiting: Type.Array(SigningDuty),
    refusal: nullable(
      Type.Object(
        { by: Type.String(), duty: Type.String(), reason: Type.String(), at: Instant },
        { description: 'Why it was refused' }
      )
    ),
    settledAt: nullable(Instant)
  })
)

const head = {
  number: RecallNumber,
  warehouse: WarehouseCode,
  title: Type.String(),
  reason: Type.String(),
  state: oneOf(RECALL_STATES, 'State'),
  version: Type.Integer(),
  openedBy: Type.String({ description: 'User name' }),
  openedAt: Instant,
  startedAt: nullable(Instant),
  endedAt: nullable(Instant),
  endedBecause: nullable(Type.String())
}

export const RecallView = named(
  'Recall',
  Type.Object({
    ...head,
    lines: Type.Array(ref(LineView)),
    reach: nullable(ref(RecallReach)),
    contentHash: Type.String({
      description: 'SHA-256 of what it names and why; the second signature of a large one is of it'
    }),
    signatures: Type.Array(ref(SignatureView), { description: 'The second signature of a large one' }),
    awaiting: Type.Array(SigningDuty, {
      description: 'Who signs next: of a large recall one of them, of its end each of them'
    }),
    endings: Type.Array(ref(EndingView), { description: 'Liftings and closings, oldest first' }),
    progress: nullable(
      Type.Object(
        {
          blocked: Type.String({ ...Quantity, description: 'What lies blocked now' }),
          inTransit: Type.String({ ...Quantity, description: 'What is between two warehouses now' }),
          warehouses: Type.Integer({ description: 'Warehouses that have to answer' }),
          answered: Type.Integer({ description: 'Of these, those that did' })
        },
        { description: 'For head office' }
      )
    )
  })
)
export type RecallView = Static<typeof RecallView>

export const RecallSummary = named(
  'RecallSummary',
  Type.Object({ ...head, parts: Type.Array(PartNumber, { description: 'The first twenty' }), lines: Type.Integer() })
)
export type RecallSummary = Static<typeof RecallSummary>
export const RecallPage = pageOf(RecallSummary)
export const RecallQuery = Type.Object(
  {
    state: Type.Optional(oneOf(RECALL_STATES, 'State')),
    part: Type.Optional(PartNumber),
    ...limitAndCursor
  },
  closed
)

export const RecallEvents = named(
  'RecallHistory',
  Type.Object({
    items: Type.Array(
      Type.Object({
        at: Instant,
        by: Type.String(),
        event: Type.String(),
        details: nullable(Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }))
      })
    )
  })
)

export const RecalledGoods = named(
  'RecalledGoods',
  Type.Object({
    where: oneOf(['warehouse', 'transit'], 'Whether they lie in a warehouse or are on the way to one'),
    warehouse: Type.String({ description: 'Where they lie, or who sent them' }),
    to: nullable(Type.String({ description: 'Whom they are on the way to' })),
    document: nullable(
      Type.String({
        description: 'The transfer they are on the way by, or the slip that sent a loaner unit (调拨单号)'
      })
    ),
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    serial: nullable(Type.String({ description: 'Serial number of a loaner unit (备用机机身编号)' })),
    lot: Type.String({ description: 'The lot; of goods in transit the one they left' }),
    origin: Type.String({ description: 'The lot by which they first came in' }),
    ownership: Ownership,
    condition: Condition,
    receivedOn: Day,
    quantity: Quantity,
    isBlocked: Type.Boolean({
      description:
        'False before a large recall has its second signature, and of goods in transit, which are blocked on arrival'
    }),
    brokenReservations: Type.Integer({
      description: 'Promises of this part, ownership and condition here that the recall broke'
    })
  })
)
export type RecalledGoods = Static<typeof RecalledGoods>
export const RecalledGoodsPage = pageOf(RecalledGoods)
export const RecalledGoodsQuery = Type.Object(
  { warehouse: Type.Optional(WarehouseCode), part: Type.Optional(PartNumber), ...limitAndCursor },
  closed
)

export const RecallIssue = named(
  'RecallIssue',
  Type.Object({
    warehouse: Type.String({ description: 'Where they left' }),
    slip: Type.String(),
    line: Type.Integer(),
    kind: oneOf(SLIP_KINDS, 'Kind of slip'),
    purpose: nullable(oneOf(PURPOSES, 'Of an issue')),
    occurredOn: Day,
    reference: nullable(Type.String({ description: 'Repair order, request, customer’s paper' })),
    counterparty: nullable(Type.String({ description: 'Outlet, customer, supplier' })),
    outlet: nullable(Type.String({ description: 'The outlet they were issued to' })),
    handedTo: nullable(Type.String()),
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    serial: nullable(
      Type.String({ description: 'Serial number of a loaner unit that is out on loan (备用机机身编号)' })
    ),
    lot: Type.String(),
    origin: Type.String({ description: 'The lot by which they first came in' }),
    issued: Type.String({ ...Quantity, description: 'What left' }),
    returned: Type.String({ ...Quantity, description: 'What of it came back, by returns and reversals' }),
    quantity: Type.String({ ...Quantity, description: 'What is still out' }),
    isAnswered: Type.Boolean({ description: 'Whether the outlet, else the warehouse they left, answered the recall' })
  })
)
export type RecallIssue = Static<typeof RecallIssue>
export const RecallIssuePage = pageOf(RecallIssue)
export const RecallIssueQuery = Type.Object(
  {
    warehouse: Type.Optional(
      Type.String({ ...WarehouseCode, description: 'Only what left this warehouse or went to this outlet' })
    ),
    part: Type.Optional(PartNumber),
    open: Type.Optional(Type.Boolean({ description: 'true leaves away what came back whole' })),
    ...limitAndCursor
  },
  closed
)

export const RecallWarehouse = named(
  'RecallWarehouse',
  Type.Object({
    warehouse: WarehouseCode,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    region: Type.String(),
    held: Type.String({ ...Quantity, description: 'What lay there when the recall began' }),
    issued: Type.String({
      ...Quantity,
      description: 'What had gone from there to repair orders, customers, suppliers'
    }),
    got: Type.String({ ...Quantity, description: 'What had been issued to it as an outlet' }),
    blocked: Type.String({ ...Quantity, description: 'What lies blocked there now' }),
    found: nullable(Type.String({ ...Quantity, description: 'What it found, as it last answered' })),
    returned: nullable(Type.String({ ...Quantity, description: 'What it sent back, as it last answered' })),
    note: nullable(Type.String()),
    answeredBy: nullable(Type.String({ description: 'User name' })),
    answeredAt: nullable(Instant)
  })
)
export type RecallWarehouse = Static<typeof RecallWarehouse>
export const RecallWarehousePage = named(
  'RecallWarehousePage',
  Type.Object(
    {
      items: Type.Array(ref(RecallWarehouse)),
      nextCursor: nullable(Type.String()),
      total: Type.Integer({ description: 'Warehouses that have to answer and that you may see' }),
      answered: Type.Integer(),
      share: Type.Number({ description: 'Answered of total; 1 if nobody has to' })
    },
    closed
  )
)
export const RecallWarehouseQuery = Type.Object(
  {
    state: Type.Optional(oneOf(['open', 'answered'], 'Only those that did not answer yet, or that did')),
    ...limitAndCursor
  },
  closed
)

export const RecallAnswerBody = named(
  'RecallAnswer',
  Type.Object(
    {
      found: Type.String({ ...Quantity, description: 'How much of it was found: on the shelf, in vans, at customers' }),
      returned: Type.String({ ...Quantity, description: 'How much of it was sent or brought back' }),
      note: Type.Optional(text(1000, 'What became of the rest'))
    },
    { ...closed, examples: [{ found: '2', returned: '2', note: '其余一件已装机，约用户上门更换' }] }
  )
)
export type RecallAnswer = Static<typeof RecallAnswerBody>

export const RecallReturnBody = named(
  'RecallReturn',
  Type.Object(
    {
      warehouse: WarehouseCode,
      to: Type.String({
        pattern: '^(supplier|scrap|[A-Z0-9][A-Z0-9-]{0,19})$',
        description:
          '`supplier` (退供应商), `scrap` (报废), or the code of the warehouse they are sent to, as a rule head office',
        examples: ['supplier']
      }),
      supplier: Type.Optional(text(40, 'Supplier they go back to; the one they came from unless given')),
      carrier: Type.Optional(text(200, 'Who carries them')),
      note: Type.Optional(text(1000, 'Remark (备注)'))
    },
    { ...closed, examples: [{ warehouse: 'HQ', to: 'supplier' }] }
  )
)
export type RecallReturn = Static<typeof RecallReturnBody>

export const RecallReturnResult = named(
  'RecallReturnResult',
  Type.Object({
    slips: Type.Array(Type.String(), {
      description: 'Slips that were written; each is signed by three and posted like any other'
    }),
    transfer: nullable(Type.String({ description: 'The transfer, where goods are sent to another warehouse' })),
    lots: Type.Integer(),
    quantity: Quantity,
    left: Type.Integer({ description: 'Lots that did not fit any more; call again' })
  })
)
export type RecallReturnResult = Static<typeof RecallReturnResult>

export const LiftRecallBody = named(
  'RecallLifting',
  Type.Object(
    {
      lines: Type.Optional(
        Type.Array(Type.Integer({ minimum: 1 }), {
          minItems: 1,
          maxItems: MOST_LINES,
          uniqueItems: true,
          description: 'The lines that are lifted; all that are not lifted yet unless given'
        })
      ),
      reason: text(1000, 'Why the goods may be used again')
    },
    { ...closed, examples: [{ reason: '复检合格' }] }
  )
)
export type LiftRecall = Static<typeof LiftRecallBody>

export const SignRecallBody = named(
  'RecallDecision',
  Type.Object(
    {
      duty: oneOf(DUTIES, 'The duty that is signed for'),
      decision: oneOf(['approve', 'refuse'], 'A refusal needs a comment; what was proposed is dropped'),
      comment: Type.Optional(text(1000, 'Reason of a refusal, or a remark')),
      contentHash: Type.Optional(ReadContentHash)
    },
    { ...closed, examples: [{ duty: 'hq-finance', decision: 'approve' }] }
  )
)
export type SignRecall = Static<typeof SignRecallBody>
