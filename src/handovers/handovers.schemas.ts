import { Type, type Static } from 'typebox'
import { CountNumber } from '../counts/counts.schemas.ts'
import { closed, Instant, Money, named, nullable, oneOf, ref, text, WarehouseCode } from '../platform/schemas.ts'
import { ReadContentHash } from '../signing/signing.schemas.ts'

export const HANDOVER_STATES = ['draft', 'awaiting-signatures', 'completed', 'cancelled'] as const
export type HandoverState = (typeof HANDOVER_STATES)[number]

/** Who signs a handover (R-ORG-3): the two keepers in person, and two who supervise. */
export const HANDOVER_PARTIES = ['outgoing-keeper', 'incoming-keeper', 'department-head', 'finance-supervisor'] as const
export type HandoverParty = (typeof HANDOVER_PARTIES)[number]

/** What is taken over besides the balances. */
export const OPEN_KINDS = [
  'slip',
  'late-signature',
  'count',
  'transfer',
  'request',
  'loan',
  'loaner-reserved',
  'tool',
  'tool-document'
] as const
export type OpenKind = (typeof OPEN_KINDS)[number]

export const HANDOVER_NUMBER = '^[A-Z0-9][A-Z0-9-]*-HOV-[0-9]{6}-[0-9]{5,}$'
export const HandoverNumber = Type.String({
  pattern: HANDOVER_NUMBER,
  description: 'Handover number (工作移交单号)',
  examples: ['HQ-HOV-202611-00001']
})
export const HandoverParams = Type.Object({ number: HandoverNumber })

const Username = (description: string, example: string) =>
  Type.String({ minLength: 1, maxLength: 60, description, examples: [example] })

export const HandoverKey = named(
  'HandoverKey',
  Type.Object(
    {
      name: text(100, 'What it opens, or what else is handed over by hand (钥匙、印章等)', '仓库大门'),
      count: Type.Integer({ minimum: 1, maximum: 10_000, description: 'How many (数量)', examples: [2] }),
      note: Type.Optional(text(500, 'Remark (备注)'))
    },
    { ...closed, examples: [{ name: '仓库大门', count: 2 }] }
  )
)
export type HandoverKey = Static<typeof HandoverKey>

const written = {
  because: text(500, 'Why the post changes hands (移交原因)', '调任网点主管'),
  keys: Type.Array(ref(HandoverKey), { maxItems: 200, description: 'Keys and what else is counted by hand (钥匙)' }),
  notes: text(4000, 'What the incoming keeper has to know (移交说明)', '三号货架待维修'),
  absentBecause: text(500, 'Why the outgoing keeper cannot sign (缺席原因): gone, ill', '因病住院')
}

// What is asked.

export const DrawUpHandoverBody = named(
  'NewHandover',
  Type.Object(
    {
      outgoing: Type.Optional(
        Username('User name of the outgoing keeper (移交人); whoever asks, if left away', 'keeper@hq')
      ),
      incoming: Username('User name of the incoming keeper (接收人)', 'technician@hq'),
      because: written.because,
      absentBecause: Type.Optional(written.absentBecause),
      keys: Type.Optional(written.keys),
      notes: Type.Optional(written.notes)
    },
    {
      ...closed,
      examples: [{ incoming: 'technician@hq', because: '调任网点主管', keys: [{ name: '仓库大门', count: 2 }] }]
    }
  )
)
export type DrawUpHandover = Static<typeof DrawUpHandoverBody>

export const AmendHandoverBody = named(
  'HandoverAmendment',
  Type.Object(
    {
      incoming: Type.Optional(Username('User name of the incoming keeper (接收人)', 'technician@hq')),
      because: Type.Optional(written.because),
      absentBecause: Type.Optional(nullable(written.absentBecause)),
      keys: Type.Optional(written.keys),
      notes: Type.Optional(nullable(written.notes)),
      count: Type.Optional(
        nullable(
          Type.String({
            ...CountNumber,
            description: 'An approved count of the warehouse that was opened after the draft (监盘)'
          })
        )
      )
    },
    { ...closed, minProperties: 1, examples: [{ notes: '三号货架待维修' }] }
  )
)
export type AmendHandover = Static<typeof AmendHandoverBody>

export const SignHandoverBody = named(
  'NewHandoverSignature',
  Type.Object(
    {
      party: oneOf(HANDOVER_PARTIES, 'As whom (签署身份)'),
      decision: oneOf(['approve', 'refuse'], 'A refusal says why and opens the handover again'),
      comment: Type.Optional(text(1000, 'Needed for a refusal', '钥匙少一把')),
      contentHash: Type.Optional(ReadContentHash)
    },
    { ...closed, examples: [{ party: 'department-head', decision: 'approve' }] }
  )
)
export type SignHandover = Static<typeof SignHandoverBody>

export const CancelHandoverBody = named(
  'HandoverCancellation',
  Type.Object({ reason: text(500, 'Why (取消原因)', '不再调任') }, { ...closed, examples: [{ reason: '不再调任' }] })
)

// What is answered.

const HandoverPerson = named(
  'HandoverPerson',
  Type.Object({ username: Type.String(), name: Type.String() }, { description: 'Somebody with user name and name' })
)

export const HandoverSignature = named(
  'HandoverSignature',
  Type.Object({
    party: oneOf(HANDOVER_PARTIES, 'As whom'),
    signedBy: Type.String({ description: 'User name' }),
    onBehalfOf: nullable(Type.String({ description: 'Who was stood in for; nobody stands in for the keepers' })),
    comment: nullable(Type.String()),
    contentHash: Type.String({ description: 'SHA-256 of the content at the moment of signing' }),
    signedAt: Instant
  })
)

const Position = Type.String({
  pattern: '^[0-9]+$',
  description: 'Position of the ledger: the last movement that lies before (账面位置)',
  examples: ['1042']
})

export const HandoverView = named(
  'Handover',
  Type.Object(
    {
      number: HandoverNumber,
      warehouse: WarehouseCode,
      state: oneOf(HANDOVER_STATES, 'State (状态)'),
      version: Type.Integer(),
      outgoing: ref(HandoverPerson),
      incoming: ref(HandoverPerson),
      because: Type.String(),
      absentBecause: nullable(Type.String()),
      drawnUpBy: Type.String({ description: 'User name' }),
      drawnUpAt: Instant,
      keys: Type.Array(ref(HandoverKey)),
      notes: nullable(Type.String()),
      count: nullable(
        Type.Object(
          {
            number: CountNumber,
            differences: Type.Integer({ description: 'Lines on which ledger, card and goods did not agree' }),
            gainValue: Money,
            lossValue: Money,
            adjustmentSlip: nullable(Type.String({ description: 'The slip that made the ledger agree' }))
          },
          { description: 'The supervised count (监盘)' }
        )
      ),
      snapshot: Type.Object(
        {
          position: Position,
          at: Instant,
          balances: Type.Integer({ description: 'Balances with something on hand' }),
          cost: Money,
          open: Type.Record(Type.String(), Type.Integer(), {
            description: 'How many papers, loaners and tools are open, by kind'
          })
        },
        { description: 'What was frozen (移交清单): balances by position of the ledger, and what was open' }
      ),
      submittedBy: nullable(Type.String()),
      submittedAt: nullable(Instant),
      contentHash: nullable(Type.String({ description: 'SHA-256 of what was submitted' })),
      parties: Type.Array(oneOf(HANDOVER_PARTIES, 'Party'), { description: 'Who signs it' }),
      signatures: Type.Array(ref(HandoverSignature)),
      awaiting: Type.Array(oneOf(HANDOVER_PARTIES, 'Party'), { description: 'Who has not signed yet' }),
      refusal: nullable(Type.Object({ by: Type.String(), party: Type.String(), reason: Type.String(), at: Instant })),
      cutOff: nullable(
        Type.Object(
          { position: Position, at: Instant },
          {
            description:
              'The instant from which the incoming keeper answers for the stock (责任划分); movements up to the position are the outgoing keeper’s'
          }
        )
      ),
      cancelledAt: nullable(Instant),
      cancelledBecause: nullable(Type.String())
    },
    { ...closed, description: 'Handover of a warehouse from keeper to keeper (工作移交单)' }
  )
)
export type HandoverView = Static<typeof HandoverView>
