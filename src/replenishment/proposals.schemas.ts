import { Type, type Static } from 'typebox'
import {
  closed,
  Instant,
  limitAndCursor,
  named,
  nullable,
  oneOf,
  pageOf,
  PartNumber,
  PositiveQuantity,
  Quantity,
  SignedQuantity,
  WarehouseCode
} from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'

export const PROPOSAL_KINDS = ['transfer', 'order'] as const
export type ProposalKind = (typeof PROPOSAL_KINDS)[number]
export const PROPOSAL_STATES = ['open', 'accepted', 'rejected', 'withdrawn'] as const
export type ProposalState = (typeof PROPOSAL_STATES)[number]
export const REJECTIONS = [
  'not-needed',
  'already-ordered',
  'wrong-level',
  'superseded',
  'budget',
  'other-source',
  'other'
] as const
export type Rejection = (typeof REJECTIONS)[number]

export const ProposalNumber = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9-]*-PRO-[0-9]{6}-[0-9]{5,}$',
  description: 'Number of a proposal (建议单号)',
  examples: ['SZ01-PRO-202611-00001']
})
export const ProposalParams = Type.Object({ number: ProposalNumber })

const filter = {
  warehouse: Type.Optional(Type.String({ ...WarehouseCode, description: 'Only of this warehouse that is short' })),
  region: Type.Optional(Type.Unsafe<string>({ ...RegionCode, description: 'Only of warehouses in this region' })),
  part: Type.Optional(PartNumber),
  kind: Type.Optional(oneOf(PROPOSAL_KINDS, 'Transfer from another warehouse, or order')),
  state: Type.Optional(oneOf(PROPOSAL_STATES, 'State'))
}
export const ProposalQuery = Type.Object({ ...filter, ...limitAndCursor }, closed)
export type ProposalFilter = Omit<Static<typeof ProposalQuery>, 'limit' | 'cursor'>

const proposal = {
  number: ProposalNumber,
  warehouse: Type.String({ ...WarehouseCode, description: 'The warehouse that is short' }),
  region: Type.String(),
  kind: oneOf(PROPOSAL_KINDS, 'Transfer from another warehouse (调拨), or order (采购)'),
  part: Type.String({ ...PartNumber, description: 'What is to be moved or ordered' }),
  name: Type.String(),
  nameZh: nullable(Type.String()),
  unit: Type.String(),
  isControlled: Type.Boolean({ description: 'A controlled part (监控件): accepting draws on an approval' }),
  shortPart: Type.String({ ...PartNumber, description: 'What is short: another part where one replaces it' }),
  quantity: Type.String({ ...Quantity, description: 'As it was proposed, in stock units' }),
  fromWarehouse: nullable(Type.String({ description: 'Who gives it (调出仓库), of a transfer' })),
  supplier: nullable(Type.String({ description: 'Of an order; null while the choice is open' })),
  state: oneOf(PROPOSAL_STATES, 'State'),
  version: Type.Integer(),
  proposedAt: Instant,
  available: Type.String({ ...SignedQuantity, description: 'Of the position when it was proposed (可用量)' }),
  onOrder: Type.String({ ...Quantity, description: 'On order then (在途)' }),
  reorderPoint: Type.String({ ...Quantity, description: 'Reorder point then (再订货点)' }),
  orderUpTo: Type.String({ ...Quantity, description: 'Order-up-to level then (目标库存)' }),
  decidedAt: nullable(Instant),
  decidedBy: nullable(Type.String({ description: 'User name; null where it was withdrawn by itself' })),
  decidedQuantity: nullable(Type.String({ ...Quantity, description: 'What was accepted' })),
  decisionReason: nullable(Type.String()),
  rejection: nullable(oneOf(REJECTIONS, 'Why it was rejected')),
  withdrawnBecause: nullable(
    oneOf(
      ['recovered', 'giver-short', 'not-asked', 'searched-again'],
      'The position is no longer short, the giver can no longer give, nothing is kept there any more, or it was searched anew'
    )
  ),
  plan: nullable(Type.String({ description: 'The purchase plan it is in (采购计划)' })),
  expectedReceipt: nullable(Type.String({ description: 'What it became on its way: document and line' }))
}
export const ProposalSummary = named('ReorderProposalSummary', Type.Object(proposal))
export type ProposalSummary = Static<typeof ProposalSummary>
export const ProposalPage = pageOf(ProposalSummary)

const EvidenceView = Type.Object(
  {
    searchedOn: Type.String({ format: 'date' }),
    holdingMonths: Type.Integer({
      description: 'Months that stock is kept free of charge; older stock is in the network'
    }),
    need: Type.String({ ...Quantity, description: 'Up to the order-up-to level' }),
    fromSubstitutesHere: Type.String({
      ...Quantity,
      description: 'Taken off: what replaces it lies here or is on its way'
    }),
    fromNetwork: Type.String({ ...Quantity, description: 'Met by transfers' }),
    toOrder: Type.String({ ...Quantity, description: 'The shortfall, in whole packs, of what is ordered' }),
    substitutesHere: Type.Array(
      Type.Object({
        part: PartNumber,
        available: SignedQuantity,
        onOrder: Quantity,
        ownNeed: Quantity,
        counted: Quantity
      })
    ),
    asked: Type.Array(
      Type.Object({
        warehouse: WarehouseCode,
        region: Type.String(),
        sameRegion: Type.Boolean(),
        part: PartNumber,
        oldestReceivedOn: Type.String({ format: 'date' }),
        aged: Type.String({ ...Quantity, description: 'Own and qualified, past the holding period' }),
        available: SignedQuantity,
        ownNeed: Type.String({ ...Quantity, description: 'What it keeps: its own order-up-to level' }),
        promised: Type.String({ ...Quantity, description: 'To others by earlier proposals' }),
        spare: Type.String({ ...Quantity, description: 'What it could give when its turn came' }),
        taken: Quantity,
        outcome: oneOf(
          ['taken', 'needs-it-itself', 'promised', 'rejected', 'covered-before'],
          'Why it was taken from, or not'
        )
      }),
      { description: 'Warehouses with stock past the holding period, those taken first' }
    ),
    notListed: Type.Integer({ description: 'Asked beyond those listed' }),
    othersHolding: Type.Integer({ description: 'Warehouses that hold it, but nothing past the holding period' }),
    packSize: nullable(Quantity),
    supplier: Type.Unsafe<{ chosen: string | null; because: string; authorised: string[] } | null>(
      Type.Union([
        Type.Object({
          chosen: nullable(Type.String()),
          because: oneOf(
            ['only-one', 'delivered-last', 'to-choose', 'none-authorised'],
            'The only authorised one, the one that delivered last, or nobody yet'
          ),
          authorised: Type.Array(Type.String())
        }),
        Type.Null()
      ])
    )
  },
  { description: 'The search before anything is ordered, as proof (R-AGE-8)' }
)
export const ProposalView = named(
  'ReorderProposal',
  Type.Object({
    ...proposal,
    evidence: EvidenceView,
    present: Type.Unsafe<{ available: string; onOrder: string; reorderPoint: string; isShort: boolean } | null>(
      Type.Union(
        [
          Type.Object({
            available: SignedQuantity,
            onOrder: Quantity,
            reorderPoint: Quantity,
            isShort: Type.Boolean()
          }),
          Type.Null()
        ],
        { description: 'How the position stands now; null without a level' }
      )
    )
  })
)
export type ProposalView = Static<typeof ProposalView>

const reason = (description: string) => Type.String({ minLength: 1, maxLength: 1000, pattern: '\\S', description })

export const AcceptProposalBody = named(
  'ProposalAcceptance',
  Type.Object(
    {
      quantity: Type.Optional(
        Type.String({ ...PositiveQuantity, description: 'Another quantity than proposed; needs a reason' })
      ),
      supplier: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 40,
          description: 'Of an order: the supplier, where the choice is open; another one than proposed needs a reason'
        })
      ),
      reason: Type.Optional(reason('Why quantity or supplier are changed'))
    },
    { ...closed, examples: [{ quantity: '20', reason: '旺季前备货' }] }
  )
)
export type AcceptProposal = Static<typeof AcceptProposalBody>

export const RejectProposalBody = named(
  'ProposalRejection',
  Type.Object(
    {
      rejection: oneOf(
        REJECTIONS,
        'Why: the need is denied, or with other-source (only of a transfer) the need is there, but not from this warehouse'
      ),
      note: Type.Optional(reason('In words; needed with other and other-source'))
    },
    { ...closed, examples: [{ rejection: 'not-needed', note: '该机型已退市' }] }
  )
)
export type RejectProposal = Static<typeof RejectProposalBody>
