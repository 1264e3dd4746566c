import { Type, type Static } from 'typebox'
import { CRITICALITIES } from '../catalogue/catalogue.entities.ts'
import { Condition, Ownership } from '../ledger/ledger.schemas.ts'
import {
  closed,
  Day,
  Instant,
  Money,
  Month,
  named,
  nullable,
  oneOf,
  PartNumber,
  Quantity,
  ref,
  SignedQuantity,
  text,
  UnitCost,
  WarehouseCode
} from '../platform/schemas.ts'
import { ReadContentHash, SignatureView, SigningDuty } from '../signing/signing.schemas.ts'
import { SLIP_STATES } from '../slips/slip-kinds.ts'

export const COUNT_KINDS = ['month-end', 'cycle'] as const
export const COUNT_STATES = ['counting', 'awaiting-signatures', 'approved', 'cancelled'] as const
export const COUNT_LINE_STATES = ['open', 'recount-due', 'settled', 'set-aside'] as const
/** Why ledger, card and goods do not agree. */
export const VARIANCE_CAUSES = [
  'miscount',
  'unposted-slip',
  'wrong-part',
  'wrong-unit',
  'damage',
  'theft',
  'unknown',
  'found',
  'other'
] as const
export const ENTRY_OUTCOMES = ['settled', 'recount-due', 'refused'] as const

export type CountKind = (typeof COUNT_KINDS)[number]
export type CountState = (typeof COUNT_STATES)[number]
export type CountLineState = (typeof COUNT_LINE_STATES)[number]
export type VarianceCause = (typeof VARIANCE_CAUSES)[number]

/** How many entries or lines one call may carry. */
export const MAX_ENTRIES = 1000

export const COUNT_NUMBER = '^[A-Z0-9][A-Z0-9-]*-CNT-[0-9]{6}-[0-9]{5,}$'
export const CountNumber = Type.String({
  pattern: COUNT_NUMBER,
  description: 'Count number (盘点单号)',
  examples: ['HQ-CNT-202611-00001']
})
export const CountParams = Type.Object({ number: CountNumber })
export const LineNumber = Type.Integer({
  minimum: 1,
  maximum: 2_147_483_647,
  description: 'Line of the count (行号)',
  examples: [1]
})
const LotId = Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'Lot (批次)', examples: ['12'] })
const Counted = Type.String({
  ...Quantity,
  description:
    'What was really there (实盘数量), in stock units: digits 0–9 with at most three places after a point, no sign; 0 is a count'
})
const Card = Type.String({
  ...Quantity,
  description:
    'What the bin card says (卡片数量), in stock units: digits 0–9 with at most three places after a point, no sign'
})

// What is asked.

const scope = {
  criticality: Type.Optional(oneOf(CRITICALITIES, 'Only parts of this class (重要度)')),
  category: Type.Optional(text(100, 'Only parts of this category (类别)')),
  parts: Type.Optional(
    Type.Array(PartNumber, {
      minItems: 1,
      maxItems: MAX_ENTRIES,
      description: 'Only these parts, with goods or without'
    })
  ),
  zeroStock: Type.Optional(
    Type.Literal(true, {
      description: 'Balances with nothing on hand, to confirm that the shelf is empty (零库存确认)'
    })
  ),
  notCountedSince: Type.Optional(
    Type.String({ ...Day, description: 'Only balances that were not really counted on this day or later' })
  )
}

export const OpenCountBody = named(
  'NewCount',
  Type.Object(
    {
      kind: oneOf(COUNT_KINDS, 'month-end: all stock, for a period; cycle: a part of it, by at least one choice below'),
      period: Type.Optional(Type.String({ ...Month, description: 'The month that a month-end count is of' })),
      ...scope,
      note: Type.Optional(text(1000, 'Remark (备注)'))
    },
    {
      ...closed,
      examples: [
        { kind: 'month-end', period: '2026-11' },
        { kind: 'cycle', criticality: 'A' }
      ]
    }
  )
)
export type OpenCount = Static<typeof OpenCountBody>

export const CountEntryBody = named(
  'CountEntry',
  Type.Object(
    {
      line: Type.Optional(LineNumber),
      round: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 1000,
          description:
            'Which round this is (轮次): 1 for the first count of the line; refused where somebody counted it meanwhile'
        })
      ),
      part: Type.Optional(PartNumber),
      ownership: Type.Optional(Ownership),
      condition: Type.Optional(Condition),
      counted: Counted,
      card: Card,
      lots: Type.Optional(
        Type.Array(Type.Object({ lot: LotId, counted: Counted }, closed), {
          minItems: 1,
          maxItems: MAX_ENTRIES,
          description:
            'Lot by lot, where lots are kept apart: every lot that was found; together they are `counted`, and one that is left away was not found'
        })
      )
    },
    {
      ...closed,
      description: 'A line by its number, or by its part; own and qualified unless said otherwise',
      examples: [{ line: 1, counted: '5', card: '5' }]
    }
  )
)
export type CountEntry = Static<typeof CountEntryBody>
export const RecordCountsBody = named(
  'CountEntries',
  Type.Object(
    { entries: Type.Array(ref(CountEntryBody), { minItems: 1, maxItems: MAX_ENTRIES }) },
    { ...closed, examples: [{ entries: [{ line: 1, counted: '5', card: '5' }] }] }
  )
)

export const FoundGoodsBody = named(
  'FoundGoods',
  Type.Object(
    { part: PartNumber, ownership: Type.Optional(Ownership), condition: Type.Optional(Condition) },
    { ...closed, examples: [{ part: 'CH-0234', ownership: 'own', condition: 'qualified' }] }
  )
)
export type FoundGoods = Static<typeof FoundGoodsBody>

const Explanation = named(
  'VarianceExplanation',
  Type.Object(
    {
      line: LineNumber,
      cause: oneOf(
        VARIANCE_CAUSES,
        'Why they do not agree (差异原因). For miscount, wrong-unit and unposted-slip the ledger is not adjusted: the line is counted again by somebody else, after the slip was posted'
      ),
      causeNote: Type.Optional(text(1000, 'The cause in words; needed for other')),
      evidence: text(
        1000,
        'What shows it (依据): a slip, a photograph, a witness',
        'photograph of the shelf, report of the technician'
      ),
      unitCost: Type.Optional(
        Type.String({ ...UnitCost, description: 'Cost of one stock unit of found own goods that no lot knows' })
      ),
      receivedOn: Type.Optional(
        Type.String({ ...Day, description: 'Day the found goods were first received; they keep their age' })
      ),
      costDocument: Type.Optional(text(200, 'The paper that says what they cost (成本依据)', 'invoice 2026-0815'))
    },
    {
      ...closed,
      examples: [{ line: 1, cause: 'damage', evidence: 'photograph of the shelf, report of the technician' }]
    }
  )
)
export type VarianceExplanation = Static<typeof Explanation>
export const ExplainVariancesBody = named(
  'VarianceExplanations',
  Type.Object({ lines: Type.Array(ref(Explanation), { minItems: 1, maxItems: MAX_ENTRIES }) }, closed)
)

const Verification = named(
  'VarianceVerification',
  Type.Object(
    {
      line: LineNumber,
      accepted: Type.Boolean({ description: 'false: the line is counted again' }),
      comment: Type.Optional(text(1000, 'Remark; why, where it is not accepted'))
    },
    { ...closed, examples: [{ line: 1, accepted: true }] }
  )
)
export type VarianceVerification = Static<typeof Verification>
export const VerifyVariancesBody = named(
  'VarianceVerifications',
  Type.Object({ lines: Type.Array(ref(Verification), { minItems: 1, maxItems: MAX_ENTRIES }) }, closed)
)

export const SetAsideBody = named(
  'LinesSetAside',
  Type.Object(
    {
      lines: Type.Array(Type.Object({ line: LineNumber, reason: text(1000, 'Why it cannot be settled now') }, closed), {
        minItems: 1,
        maxItems: MAX_ENTRIES
      })
    },
    { ...closed, examples: [{ lines: [{ line: 1, reason: '货架被封' }] }] }
  )
)

export const SignCountBody = named(
  'CountDecision',
  Type.Object(
    {
      duty: SigningDuty,
      decision: oneOf(['approve', 'refuse'], 'A refusal needs a comment and sends the count back to be mended'),
      comment: Type.Optional(text(1000, 'Reason of a refusal, or a remark')),
      contentHash: Type.Optional(ReadContentHash)
    },
    { ...closed, examples: [{ duty: 'finance-supervisor', decision: 'approve' }] }
  )
)
export const CancelCountBody = named(
  'CountCancellation',
  Type.Object({ reason: text(1000, 'Why', 'the wrong month was chosen') }, closed)
)

// What is answered.

/** What the lines of a count have come to; it says nothing of what the ledger expects. */
const CountProgress = named(
  'CountProgress',
  Type.Object({
    lines: Type.Integer(),
    open: Type.Integer({ description: 'Not counted yet' }),
    recountDue: Type.Integer({ description: 'To be counted again by somebody else (待复盘)' }),
    settled: Type.Integer(),
    setAside: Type.Integer({ description: 'Left to a count that follows' }),
    differences: Type.Integer({ description: 'Settled lines where ledger, card and goods do not agree' }),
    explained: Type.Integer({ description: 'Of these, with a cause' }),
    verified: Type.Integer({ description: 'Of these, verified by the finance supervisor' }),
    toVerify: Type.Integer({ description: 'Settled lines that the finance supervisor has still to verify' }),
    gainValue: Type.String({ ...Money, description: 'Worth of the gains among the settled lines (盘盈金额)' }),
    lossValue: Type.String({ ...Money, description: 'Worth of the losses among the settled lines (盘亏金额)' })
  })
)

export const CountView = named(
  'Count',
  Type.Object({
    number: CountNumber,
    warehouse: WarehouseCode,
    kind: oneOf(COUNT_KINDS, 'Kind of count'),
    kindZh: Type.String({ description: 'Name of the document in Chinese' }),
    state: oneOf(COUNT_STATES, 'State'),
    version: Type.Integer(),
    period: nullable(Month),
    scope: Type.Object(
      { ...scope, followUp: Type.Optional(Type.Literal(true, { description: 'Lines that another count left over' })) },
      { description: 'What a cycle count chose; a month-end count takes all that is on hand' }
    ),
    position: Type.String({
      description:
        'Position in the ledger: movements of the counted balances up to here were posted before it was opened'
    }),
    openedAt: Instant,
    openedBy: Type.String({ description: 'User name' }),
    note: nullable(Type.String()),
    progress: ref(CountProgress),
    submittedAt: nullable(Instant),
    submittedBy: nullable(Type.String({ description: 'User name' })),
    contentHash: nullable(
      Type.String({ description: 'SHA-256 of the RFC 8785 content that signatures bind to, once it is submitted' })
    ),
    duties: Type.Array(SigningDuty, { description: 'Duties that sign it; head office last' }),
    signatures: Type.Array(ref(SignatureView)),
    awaiting: Type.Array(SigningDuty, { description: 'Duties that have not signed yet' }),
    refusal: nullable(
      Type.Object(
        {
          by: Type.String({ description: 'User name' }),
          duty: Type.String(),
          reason: Type.String(),
          at: Instant
        },
        { description: 'Why it was sent back, until it is submitted anew' }
      )
    ),
    approvedAt: nullable(Instant),
    cancelledAt: nullable(Instant),
    cancelledBecause: nullable(Type.String()),
    adjustmentSlip: nullable(Type.String({ description: 'Slip that adjusts the ledger (调整单号)' })),
    adjustmentReversal: nullable(
      Type.Object(
        { number: Type.String(), state: oneOf(SLIP_STATES, 'State of the slip') },
        { description: 'Slip that takes the adjustment back (红字冲销单), also one that is not posted yet' }
      )
    ),
    follows: nullable(Type.String({ description: 'Count whose left-over lines this one counts again' })),
    followedBy: nullable(Type.String({ description: 'Count that counts the left-over lines of this one again' })),
    countedElsewhere: Type.Array(Type.Object({ count: CountNumber, lines: Type.Integer() }), {
      description:
        'Counts that were going on when this month-end count was opened, and how many balances they have that it has not'
    }),
    reportedAt: nullable(Instant),
    reportedBy: nullable(Type.String({ description: 'User name' })),
    reportNote: nullable(Type.String())
  })
)
export type CountView = Static<typeof CountView>

export const CountLineView = named(
  'CountLine',
  Type.Object(
    {
      line: Type.Integer(),
      part: PartNumber,
      name: Type.String(),
      nameZh: nullable(Type.String()),
      specification: nullable(Type.String()),
      colour: nullable(Type.String()),
      unit: Type.String({ description: 'Stock unit' }),
      ownership: Ownership,
      condition: Condition,
      found: Type.Boolean({ description: 'A line for goods that were found while counting (盘盈新增)' }),
      state: oneOf(COUNT_LINE_STATES, 'State'),
      rounds: Type.Integer({ description: 'How often it was counted' }),
      countedBy: nullable(Type.String({ description: 'Who counted it last; somebody else counts it again' })),
      countedAt: nullable(Instant),
      counted: nullable(Counted),
      card: nullable(Card),
      expected: nullable(
        Type.String({ ...Quantity, description: 'What the ledger held when it was counted (账面数量)' })
      ),
      snapshot: nullable(Type.String({ ...Quantity, description: 'What the ledger held when the count was opened' })),
      variance: nullable(Type.String({ ...SignedQuantity, description: 'Counted less expected (盘盈盘亏)' })),
      cardVariance: nullable(Type.String({ ...SignedQuantity, description: 'Counted less bin card (卡物差异)' })),
      varianceValue: nullable(
        Type.String({ ...Money, description: 'Worth of the variance, at the cost of the lots it concerns' })
      ),
      lots: nullable(
        Type.Array(
          Type.Object({ lot: Type.String(), counted: Quantity, expected: Quantity, variance: SignedQuantity }),
          { description: 'Where it was counted lot by lot' }
        )
      ),
      differs: nullable(Type.Boolean({ description: 'Ledger, card and goods do not agree (账卡物不符)' })),
      needsVerification: nullable(
        Type.Boolean({
          description:
            'The finance supervisor verifies it: it differs, it was objected to, its rounds disagree, or another count left it over'
        })
      ),
      entries: nullable(
        Type.Array(
          Type.Object({
            round: Type.Integer(),
            countedBy: Type.String({ description: 'User name' }),
            onBehalfOf: nullable(Type.String({ description: 'User name of whom was stood in for' })),
            countedAt: Instant,
            counted: Counted,
            card: Card,
            expected: Type.String({ ...Quantity, description: 'What the ledger held at that moment' })
          }),
          { description: 'Every round of a settled line (各轮盘点), oldest first; the last one holds' }
        )
      ),
      cause: nullable(oneOf(VARIANCE_CAUSES, 'Why they do not agree (差异原因)')),
      causeNote: nullable(Type.String()),
      evidence: nullable(Type.String()),
      explainedBy: nullable(Type.String({ description: 'User name' })),
      explainedAt: nullable(Instant),
      gainLot: nullable(
        Type.String({
          description: 'The lot that a gain belongs to, whose cost and age it has; kept when it is settled'
        })
      ),
      unitCost: nullable(
        Type.String({ ...UnitCost, description: 'What one of a gain costs: by its paper, or its lot' })
      ),
      receivedOn: nullable(Type.String({ ...Day, description: 'From when on a gain ages: by its paper, or its lot' })),
      costDocument: nullable(Type.String()),
      verifiedBy: nullable(Type.String({ description: 'User name' })),
      verifiedAt: nullable(Instant),
      verificationNote: nullable(Type.String()),
      objection: nullable(
        Type.String({ description: 'Why it is counted again: the finance supervisor said so, or its cause is none' })
      ),
      setAsideBecause: nullable(Type.String()),
      setAsideBy: nullable(Type.String({ description: 'User name' })),
      adjustedLine: nullable(Type.Integer({ description: 'First line of the adjustment slip that is about it' })),
      adjustmentProblem: nullable(
        Type.String({ description: 'Why it could not be adjusted; a count that follows has it again' })
      )
    },
    {
      description: 'A line of a count. While it is not settled it says nothing of what was expected or counted (盲盘).'
    }
  )
)
export type CountLineView = Static<typeof CountLineView>

export const FoundGoodsLine = named(
  'FoundGoodsLine',
  Type.Object(
    {
      number: CountNumber,
      ...CountLineView.properties,
      version: Type.Integer({ description: 'Version of the count with this line' })
    },
    { description: 'The line that was added to a count' }
  )
)
export type FoundGoodsLine = Static<typeof FoundGoodsLine>

const EntryProblem = nullable(
  Type.Unsafe<{ code: string; detail: string }>({
    type: 'object',
    properties: { code: { type: 'string' }, detail: { type: 'string' } },
    required: ['code', 'detail']
  })
)

export const EntryResult = named(
  'CountEntryResult',
  Type.Object({
    line: nullable(Type.Integer()),
    part: nullable(PartNumber),
    outcome: oneOf(ENTRY_OUTCOMES, 'settled, to be counted again by somebody else, or refused'),
    problem: EntryProblem
  })
)
export type EntryResult = Static<typeof EntryResult>
export const RecordCountsResult = named(
  'CountEntriesResult',
  Type.Object(
    {
      number: CountNumber,
      version: Type.Integer(),
      settled: Type.Integer(),
      recountDue: Type.Integer(),
      refused: Type.Integer(),
      results: Type.Array(ref(EntryResult), { description: 'In the order of the entries' })
    },
    { description: 'What became of each entry; one that is refused holds up none of the others' }
  )
)
export type RecordCountsResult = Static<typeof RecordCountsResult>

export const LineResult = named(
  'CountLineResult',
  Type.Object({
    line: Type.Integer(),
    problem: EntryProblem,
    advice: Type.Optional(
      Type.String({ description: 'What is to be done now, where an explained line is counted again instead' })
    )
  })
)
export type LineResult = Static<typeof LineResult>
export const LineResults = named(
  'CountLineResults',
  Type.Object(
    {
      number: CountNumber,
      version: Type.Integer(),
      done: Type.Integer(),
      refused: Type.Integer(),
      results: Type.Array(ref(LineResult), { description: 'In the order of the lines asked for' })
    },
    { description: 'What became of each line; one that is refused holds up none of the others' }
  )
)
export type LineResults = Static<typeof LineResults>
