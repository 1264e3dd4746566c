import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { refuseByHand, refuseLinesOfDocument, refuseTransferByHand } from './by-hand.ts'
import { draftParameters, dutiesForSlip, LINE_COLUMNS, linesFrom, periodClosed } from './create-slip.ts'
import { draftSlip } from './draft-slip.ts'
import { isMonthClosed, MONTH_IS_OPEN, refuseClosedMonth } from './open-month.ts'
import { loadSlip, slipContent, slipView } from './slip.ts'
import type { SlipState } from './slip-kinds.ts'
import type { AmendSlip, SlipView } from './slips.schemas.ts'
import { unchangedSince } from './unchanged-since.ts'

const AMENDABLE: readonly SlipState[] = ['draft', 'awaiting-signatures', 'approved', 'refused']

// The lines are replaced as a whole. Old ones go in the statement that finds the slip unchanged; the new ones are numbered
// from 1 again, which the deletion, done by the same statement, would collide with: they are updated where they exist.
const AMEND = statement<{ version: number; preparers: number[]; duties: Duty[] }>(`
with amended as (
  update slip
     set version = version + 1, state = $4, purpose = $5, occurred_on = $6::date, reference = $7, counterparty = $8, supplier_id = $9, delivery_note = $10,
         packages_expected = $11, packages_received = $12, note = $13, reason = $14, source_slip_id = $15,
         preparers = array_remove(preparers, $16::int) || $16::int, approved_at = null, refusal = null, duties = ${dutiesForSlip('slip.kind', 'slip.source_slip_id')},
         submitted_at = case when $4 = 'draft' then null else $17::timestamptz end
   where warehouse_id = $1 and id = $2 and version = $3
     and not exists (select 1 from stock_period where warehouse_id = $1 and period >= date_trunc('month', $6::date::timestamp)::date and state = 'closed')
  returning version, preparers, duties
), voided as (
  update signature set voided_at = $17 from amended where warehouse_id = $1 and document_id = $2 and voided_at is null
  returning signature.id
), written as (
  insert into slip_line (warehouse_id, slip_id, ${LINE_COLUMNS})
  select $1, $2, line.* from amended, ${linesFrom(18)} as line
  on conflict (warehouse_id, slip_id, line_no) do update
     set (${LINE_COLUMNS.replace('line_no, ', '')}) = row(${LINE_COLUMNS.replace('line_no, ', '')
       .split(', ')
       .map((column) => `excluded.${column}`)
       .join(', ')})
), dropped as (
  delete from slip_line using amended where warehouse_id = $1 and slip_id = $2 and line_no > cardinality($18::int[])
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, $2, $17, $16, 'amended', jsonb_build_object('version', version, 'signaturesVoided', (select count(*) from voided), 'content', $41::jsonb) from amended
)
select version, preparers, duties from amended`)

/**
 * Rewrites a slip that is not posted. What it said before stays in its history; signatures given so far are void, and it awaits
 * new ones (R-SIG-2), of the duties that sign such slips now. The number, the kind and what a reversal reverses stay.
 * @param ifMatch ETag of the version that was read
 * @throws Refusal those of `createSlip`, 412 `VersionStale`, 409 `SlipNotAmendable`
 */
export function amendSlip(
  ctx: Context,
  { number, ifMatch, ...input }: AmendSlip & { number: string; ifMatch?: string | undefined }
): Promise<SlipView> {
  return unchangedSince(async () => {
    const { slip, warehouse } = await loadSlip(ctx, number)
    requireDuty(ctx, 'keeper', warehouse)
    requireMatch(ifMatch, slip.version)
    refuseByHand(slip.kind, number)
    refuseTransferByHand(slip.kind, slip.reference, number)
    refuseTransferByHand(slip.kind, input.reference)
    if (!AMENDABLE.includes(slip.state)) {
      throw new Refusal(
        'SlipNotAmendable',
        409,
        `slip ${number} is ${slip.state}; ${slip.state === 'posted' ? 'reverse it and write a new one' : 'write a new one'}`
      )
    }
    refuseLinesOfDocument(slip)
    if (slip.kind === 'reversal' && input.reference !== undefined && input.reference !== slip.source?.number) {
      throw new Refusal(
        'ReversalOfAnother',
        422,
        `${number} reverses ${slip.source?.number}; cancel it and reverse ${input.reference} by a slip of its own`,
        { errors: [{ pointer: '/reference', detail: 'is another slip than the one reversed', sent: input.reference }] }
      )
    }
    if (input.submit === false && slip.state !== 'draft') {
      throw new Refusal('NotADraft', 422, `slip ${number} is ${slip.state} already; only a draft can be kept as one`, {
        errors: [{ pointer: '/submit', detail: 'is only possible while it is a draft', sent: false, accepted: true }]
      })
    }
    const said = slip.kind === 'reversal' ? { ...input, reference: slip.source?.number } : input
    const draft = await draftSlip(ctx, warehouse, slip.kind, said, slip.id)
    if (draft.occurredOn.slice(0, 7) !== slip.occurredOn.slice(0, 7)) {
      throw new Refusal(
        'MonthOfNumberDiffers',
        422,
        `slip ${number} is numbered in ${slip.occurredOn.slice(0, 7)}; to date it into another month, cancel it and write a new one`,
        {
          errors: [{ pointer: '/occurredOn', detail: 'lies in another month than the number', sent: draft.occurredOn }]
        }
      )
    }
    const state = input.submit === false && slip.state === 'draft' ? 'draft' : 'awaiting-signatures'
    const at = ctx.clock.now().toString()
    const { supplier, source, ...content } = draft
    const [amended] = await run(ctx, AMEND, [
      warehouse.id,
      slip.id,
      slip.version,
      state,
      draft.purpose,
      draft.occurredOn,
      ...draftParameters(draft, { personId: ctx.actor.personId, at }),
      JSON.stringify(slipContent(slip, warehouse))
    ])
    if (amended === undefined) {
      if (await isMonthClosed(ctx, warehouse.id, draft.occurredOn)) throw periodClosed(draft.occurredOn)
      return undefined
    }
    return slipView(
      ctx,
      {
        ...slip,
        ...content,
        ...amended,
        state,
        supplier: supplier?.code ?? null,
        supplierId: supplier?.id ?? null,
        source,
        preparedBy: ctx.actor.username,
        signatures: [],
        refusal: null,
        approvedAt: null,
        submittedAt: state === 'draft' ? null : at
      },
      warehouse
    )
  })
}

const SUBMIT = statement<{ version: number; duties: Duty[] }>(`
with submitted as (
  update slip set version = version + 1, state = 'awaiting-signatures', submitted_at = $4, refusal = null, duties = ${dutiesForSlip('slip.kind', 'slip.source_slip_id')}
   where warehouse_id = $1 and id = $2 and version = $3 and ${MONTH_IS_OPEN}
  returning version, duties
), voided as (
  update signature set voided_at = $4 from submitted where warehouse_id = $1 and document_id = $2 and voided_at is null
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event) select $1, $2, $4, $5, 'submitted' from submitted
)
select version, duties from submitted`)

/**
 * Submits a draft, or a refused slip once more as it stands, for its signatures.
 * @throws Refusal 403, 404, 409 `SlipNotSubmittable` or `PeriodClosed`, 412 `VersionStale`
 */
export function submitSlip(
  ctx: Context,
  { number, ifMatch }: { number: string; ifMatch?: string | undefined }
): Promise<SlipView> {
  return unchangedSince(async () => {
    const { slip, warehouse } = await loadSlip(ctx, number)
    requireDuty(ctx, 'keeper', warehouse)
    requireMatch(ifMatch, slip.version)
    if (slip.state !== 'draft' && slip.state !== 'refused')
      throw new Refusal(
        'SlipNotSubmittable',
        409,
        `slip ${number} is ${slip.state}; only drafts and refused slips are submitted`
      )
    const at = ctx.clock.now().toString()
    const [submitted] = await run(ctx, SUBMIT, [warehouse.id, slip.id, slip.version, at, ctx.actor.personId])
    if (submitted === undefined) {
      await refuseClosedMonth(ctx, warehouse, slip, 'submitted')
      return undefined
    }
    return slipView(
      ctx,
      { ...slip, ...submitted, state: 'awaiting-signatures', submittedAt: at, signatures: [], refusal: null },
      warehouse
    )
  })
}
