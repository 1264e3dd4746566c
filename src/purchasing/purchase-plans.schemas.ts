import { Type, type Static } from 'typebox'
import {
  closed,
  Day,
  Instant,
  limitAndCursor,
  Money,
  Month,
  named,
  nullable,
  oneOf,
  pageOf,
  PartNumber,
  PositiveQuantity,
  Quantity,
  ref,
  UnitCost,
  WarehouseCode
} from '../platform/schemas.ts'
import { ReadContentHash, SignatureView, SigningDuty } from '../signing/signing.schemas.ts'
import { SlipEvent } from '../slips/slips.schemas.ts'
import { ProposalNumber } from '../replenishment/proposals.schemas.ts'

export const PLAN_STATES = ['draft', 'awaiting-signatures', 'approved', 'cancelled'] as const
export type PlanState = (typeof PLAN_STATES)[number]

/** Lines that one call changes, adds or removes. */
const LINES_PER_CALL = 500

const words = (description: string) => Type.String({ minLength: 1, maxLength: 1000, pattern: '\\S', description })
const Amount = Type.String({
  pattern: '^(0|[1-9][0-9]{0,15})([.][0-9]{1,2})?$',
  description: 'Amount in the business currency, at least 0, a decimal string with at most two places',
  examples: ['250000.00']
})
const SupplierCode = Type.String({
  minLength: 1,
  maxLength: 40,
  description: 'Supplier code',
  examples: ['VARSITY0001']
})

export const PlanNumber = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9-]*-PLN-[0-9]{6}-[0-9]{5,}$',
  description: 'Number of a purchase plan (采购计划单号)',
  examples: ['HQ-PLN-202611-00001']
})
export const PlanParams = Type.Object({ number: PlanNumber })

export const PlanQuery = Type.Object(
  {
    period: Type.Optional(Type.String({ ...Month, description: 'Only plans of this month' })),
    state: Type.Optional(oneOf(PLAN_STATES, 'State')),
    ...limitAndCursor
  },
  closed
)
export const PlanLineQuery = Type.Object(
  {
    supplier: Type.Optional(SupplierCode),
    warehouse: Type.Optional(Type.String({ ...WarehouseCode, description: 'Only lines for this warehouse' })),
    part: Type.Optional(PartNumber),
    ...limitAndCursor
  },
  closed
)
export type PlanLineFilter = Omit<Static<typeof PlanLineQuery>, 'limit' | 'cursor'>

const SupplierBudgets = Type.Array(Type.Object({ supplier: SupplierCode, amount: Amount }, closed), {
  maxItems: 500,
  description: 'Budget by supplier (供应商预算); what is left away has none'
})

const head = {
  number: PlanNumber,
  warehouse: Type.String({ ...WarehouseCode, description: 'The head office' }),
  period: Month,
  state: oneOf(PLAN_STATES, 'State'),
  version: Type.Integer(),
  budget: nullable(Type.String({ ...Money, description: 'Of the whole plan (采购预算)' })),
  amount: Type.String({ ...Money, description: 'Of all lines that have a price' }),
  isOverBudget: Type.Boolean({ description: 'As a whole, or for a supplier with a budget of its own' }),
  lines: Type.Integer(),
  note: nullable(Type.String()),
  preparedBy: Type.String({ description: 'User name of who wrote on it last' }),
  preparedAt: Instant,
  submittedAt: nullable(Instant),
  approvedAt: nullable(Instant)
}
export const PlanSummary = named('PurchasePlanSummary', Type.Object(head))
export type PlanSummary = Static<typeof PlanSummary>
export const PlanPage = pageOf(PlanSummary)

export const PlanView = named(
  'PurchasePlan',
  Type.Object({
    ...head,
    overBudgetBecause: nullable(Type.String({ description: 'Why it goes beyond the budget' })),
    suppliers: Type.Array(
      Type.Object({
        supplier: nullable(Type.String()),
        lines: Type.Integer(),
        quantity: Quantity,
        amount: Money,
        budget: nullable(Money),
        isOverBudget: Type.Boolean()
      }),
      { description: 'By supplier; null where none is chosen yet' }
    ),
    withoutSupplier: Type.Integer({ description: 'Lines that need a supplier before it is submitted' }),
    withoutPrice: Type.Integer({ description: 'Lines that need a price before it is submitted' }),
    contentHash: nullable(
      Type.String({ description: 'SHA-256 of the RFC 8785 content that was submitted; signatures bind to it' })
    ),
    duties: Type.Array(SigningDuty),
    signatures: Type.Array(ref(SignatureView)),
    awaiting: Type.Array(SigningDuty),
    refusal: nullable(
      Type.Object(
        { by: Type.String(), duty: Type.String(), reason: Type.String(), at: Instant },
        { description: 'Why it was sent back, until it is submitted anew' }
      )
    ),
    cancelledAt: nullable(Instant),
    cancelledBecause: nullable(Type.String())
  })
)
export type PlanView = Static<typeof PlanView>

export const PlanLineView = named(
  'PurchasePlanLine',
  Type.Object({
    line: Type.Integer(),
    warehouse: Type.String({ ...WarehouseCode, description: 'For whom it is ordered' }),
    region: Type.String(),
    proposal: ProposalNumber,
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    specification: nullable(Type.String()),
    unit: Type.String(),
    isControlled: Type.Boolean(),
    supplier: nullable(Type.String()),
    acceptedQuantity: Type.String({ ...Quantity, description: 'What was accepted of the proposal' }),
    quantity: Type.String({ ...Quantity, description: 'What is ordered, in stock units' }),
    unitPrice: nullable(UnitCost),
    amount: nullable(Money),
    changedBecause: nullable(Type.String()),
    expectedReceipt: nullable(Type.String({ description: 'What a receipt names to fulfil it; once approved' })),
    expectedOn: nullable(Day),
    received: Type.String({ ...Quantity, description: 'Received by posted slips' }),
    outstanding: Type.String({ ...Quantity, description: 'Still on order; 0 once it was ended' })
  })
)
export type PlanLineView = Static<typeof PlanLineView>
export const PlanLinePage = pageOf(PlanLineView)
export const PlanEvents = named('PurchasePlanEvents', Type.Object({ items: Type.Array(ref(SlipEvent)) }))

export const CreatePlanBody = named(
  'NewPurchasePlan',
  Type.Object(
    {
      period: Type.String({ ...Month, description: 'The month it is of: the present one or a later one' }),
      budget: Type.Optional(Amount),
      supplierBudgets: Type.Optional(SupplierBudgets),
      note: Type.Optional(words('Remark (备注)'))
    },
    { ...closed, examples: [{ period: '2026-12', budget: '250000.00', note: '旺季备货' }] }
  )
)
export type CreatePlan = Static<typeof CreatePlanBody>

export const AmendPlanBody = named(
  'AmendedPurchasePlan',
  Type.Object(
    {
      budget: Type.Optional(nullable(Amount)),
      supplierBudgets: Type.Optional(SupplierBudgets),
      note: Type.Optional(nullable(words('Remark (备注)'))),
      gather: Type.Optional(Type.Boolean({ description: 'true adds every accepted order that is in no plan yet' })),
      add: Type.Optional(
        Type.Array(ProposalNumber, {
          minItems: 1,
          maxItems: LINES_PER_CALL,
          description: 'Accepted orders that are in no plan yet'
        })
      ),
      remove: Type.Optional(
        Type.Array(Type.Integer({ minimum: 1 }), {
          minItems: 1,
          maxItems: LINES_PER_CALL,
          description: 'Lines that are taken out; their proposals wait for another plan'
        })
      ),
      change: Type.Optional(
        Type.Array(
          Type.Object(
            {
              line: Type.Integer({ minimum: 1 }),
              quantity: Type.Optional(Type.String({ ...PositiveQuantity })),
              supplier: Type.Optional(SupplierCode),
              unitPrice: Type.Optional(UnitCost),
              reason: Type.Optional(words('Why quantity or supplier are not those that were accepted'))
            },
            closed
          ),
          { minItems: 1, maxItems: LINES_PER_CALL }
        )
      )
    },
    { ...closed, minProperties: 1, examples: [{ change: [{ line: 1, unitPrice: '12.5000' }], note: '旺季备货' }] }
  )
)
export type AmendPlan = Static<typeof AmendPlanBody>

export const SubmitPlanBody = named(
  'PurchasePlanSubmission',
  Type.Object(
    { overBudgetBecause: Type.Optional(words('Why it goes beyond the budget; needed if it does')) },
    { ...closed, examples: [{ overBudgetBecause: '新机型上市' }] }
  )
)
export const SignPlanBody = named(
  'PurchasePlanDecision',
  Type.Object(
    {
      duty: SigningDuty,
      decision: oneOf(['approve', 'refuse'], 'A refusal needs a comment and sends the plan back to be mended'),
      comment: Type.Optional(words('Reason of a refusal, or a remark')),
      contentHash: Type.Optional(ReadContentHash)
    },
    { ...closed, examples: [{ duty: 'hq-finance', decision: 'approve' }] }
  )
)
export type SignPlan = Static<typeof SignPlanBody>
