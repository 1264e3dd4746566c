import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import { ensureMonth } from '../ledger/movement-partitions.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { refuseByHand, refuseTransferByHand } from './by-hand.ts'
import { draftSlip, type RoomLine, type SlipDraft } from './draft-slip.ts'
import { SLIP_KIND_RULES, type SlipKind } from './slip-kinds.ts'
import { loadSlip, slipView, type Slip, type SlipLine } from './slip.ts'
import type { AmendSlip, CreateSlip, SlipView } from './slips.schemas.ts'
import { documentNumber } from '../signing/document-number.ts'

/** What a draft says, who says it and when, in the order in which both statements that write it take it. */
export const draftParameters = (draft: SlipDraft, { personId, at }: { personId: number; at: string }): unknown[] => [
  draft.reference,
  draft.counterparty,
  draft.supplier?.id ?? null,
  draft.deliveryNote,
  draft.packagesExpected,
  draft.packagesReceived,
  draft.note,
  draft.reason,
  draft.source?.id ?? null,
  personId,
  at,
  ...lineParameters(draft.lines)
]

/** The columns of `slip_line` as arrays, for `unnest`. */
export const lineParameters = (lines: readonly SlipLine[]): unknown[] => [
  lines.map(({ line }) => line),
  lines.map(({ partId }) => partId),
  lines.map(({ quantity }) => quantity),
  lines.map(({ unit }) => unit),
  lines.map(({ unitQuantity }) => unitQuantity),
  lines.map(({ unitCost }) => unitCost),
  lines.map(({ ownership }) => ownership),
  lines.map(({ condition }) => condition),
  lines.map(({ expectedQuantity }) => expectedQuantity),
  lines.map(({ receivedOn }) => receivedOn),
  lines.map(({ sourceLine }) => sourceLine),
  lines.map(({ reservation }) => reservation),
  lines.map(({ lot }) => lot),
  lines.map(({ reserveFor }) => reserveFor),
  lines.map(({ carried }) => carried?.costIn ?? null),
  lines.map(({ carried }) => carried?.chargeIn ?? null),
  lines.map(({ carried }) => carried?.chargedUntil ?? null),
  lines.map(({ carried }) => carried?.rateSkipped ?? null),
  lines.map(({ carried }) => carried?.origin?.warehouseId ?? null),
  lines.map(({ carried }) => carried?.origin?.lotId ?? null),
  lines.map(({ difference }) => (difference === null ? null : JSON.stringify(difference))),
  lines.map(({ note }) => note),
  lines.map(({ expectedReceiptId }) => expectedReceiptId)
]

export const LINE_COLUMNS =
  'line_no, part_id, quantity, unit, unit_quantity, unit_cost, ownership, condition, expected_quantity, received_on, source_line, reservation_id, lot_id, reserve_for, cost_in, charge_in, charged_until, rate_skipped, origin_warehouse_id, origin_lot_id, difference, note, expected_receipt_id'
/** Which duties sign a slip of a kind now, as SQL: the kind's own policy or the common one. */
export const dutiesFor = (kind: string): string =>
  `(select duties from signing_policy where document_kind in (${kind}, '*') order by document_kind desc limit 1)`

/**
 * The same of a slip that refers to another one in the warehouse $1: what a count adjusted, head office approved, and so head
 * office signs, too, when it is taken back (R-CNT-4).
 * @param source the id of that slip, or null
 */
export const dutiesForSlip = (kind: string, source: string): string =>
  `(select case when 'stock-controller' = any (policy.duties)
                  or not exists (select 1 from slip adjusted where adjusted.warehouse_id = $1 and adjusted.id = ${source} and adjusted.signed_as is not null)
                then policy.duties else policy.duties || 'stock-controller'::text end
      from (select ${dutiesFor(kind)} as duties offset 0) policy)`

export const linesFrom = (first: number): string => {
  const types = [
    'int',
    'int',
    'numeric',
    'text',
    'numeric',
    'numeric',
    'text',
    'text',
    'numeric',
    'date',
    'int',
    'bigint',
    'bigint',
    'text',
    'numeric',
    'numeric',
    'date',
    'numeric',
    'int',
    'bigint',
    'jsonb',
    'text',
    'bigint'
  ]
  return `unnest(${types.map((type, index) => `$${first + index}::${type}[]`).join(', ')})`
}

// One statement, because it runs for every slip at the counter: the number, the slip, its lines and its history. The row of
// the counter is locked until the commit, which makes numbers gapless and lets slips of one kind and month queue; nothing
// else waits. A draft into a closed period inserts nothing.
const CREATE = statement<{ id: string; number: string; duties: Duty[] }>(`
with numbered as (
  insert into document_number (warehouse_id, series, period, last)
  select $1, $2, date_trunc('month', $3::date::timestamp)::date, 1
   where not exists (select 1 from stock_period where warehouse_id = $1 and period >= date_trunc('month', $3::date::timestamp)::date and state = 'closed')
  on conflict (warehouse_id, series, period) do update set last = document_number.last + 1
  returning last
), created as (
  insert into slip (warehouse_id, number, kind, purpose, state, occurred_on, reference, counterparty, supplier_id, delivery_note,
                    packages_expected, packages_received, note, reason, source_slip_id, duties, preparers, prepared_at, submitted_at)
  select $1, ${documentNumber('$4', '$2', '$3')},
         $5, $6, $7, $3::date, $8, $9, $10, $11, $12, $13, $14, $15, $16,
         ${dutiesForSlip('$5', '$16::bigint')},
         array[$17::int], $18::timestamptz, case when $7 = 'draft' then null else $18::timestamptz end
    from numbered
  returning id, number, duties
), lines as (
  insert into slip_line (warehouse_id, slip_id, ${LINE_COLUMNS})
  select $1, created.id, line.* from created, ${linesFrom(19)} as line
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event)
  select $1, created.id, $18, $17, case when $7 = 'draft' then 'drafted' else 'submitted' end from created
)
select id, number, duties from created`)

/**
 * Writes a slip and, unless told otherwise, submits it for its signatures.
 * @throws Refusal those of `draftSlip` and `refuseByHand`, `PeriodClosed`, `AlreadyReversed`, 403 without the duty keeper there
 */
export async function createSlip(
  ctx: Context,
  { warehouse: code, ...input }: CreateSlip & { warehouse: string }
): Promise<SlipView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, 'keeper', warehouse)
  refuseByHand(input.kind)
  refuseTransferByHand(input.kind, input.reference)
  const draft = await draftSlip(ctx, warehouse, input.kind, input)
  return slipView(ctx, await insertSlip(ctx, warehouse, draft, { submit: input.submit ?? true }), warehouse)
}

/** A slip that a document of another room writes; its lines may say what no request by HTTP can. */
export interface RoomSlip extends Omit<AmendSlip, 'lines'> {
  kind: SlipKind
  lines: RoomLine[]
}

/**
 * Writes a slip for a document of another room and, unless told otherwise, submits it for its three signatures. The actor is its preparer;
 * whoever calls it has checked the duty, and is in a transaction if the document changes as well.
 * @throws Refusal those of `draftSlip`, `PeriodClosed`
 */
export async function writeSlip(
  ctx: Context,
  warehouse: Warehouse,
  { kind, submit = true, ...said }: RoomSlip
): Promise<Slip> {
  return insertSlip(ctx, warehouse, await draftSlip(ctx, warehouse, kind, said), { submit })
}

/** Writes a checked draft. Whoever calls it has checked the duty. */
export async function insertSlip(
  ctx: Context,
  warehouse: Warehouse,
  draft: SlipDraft,
  { submit }: { submit: boolean }
): Promise<Slip> {
  await ensureMonth(ctx, draft.occurredOn)
  const at = ctx.clock.now().toString()
  const state = submit ? 'awaiting-signatures' : 'draft'
  const { supplier, source, ...said } = draft
  const [created] = await run(ctx, CREATE, [
    warehouse.id,
    SLIP_KIND_RULES[draft.kind].series,
    draft.occurredOn,
    warehouse.code,
    draft.kind,
    draft.purpose,
    state,
    ...draftParameters(draft, { personId: ctx.actor.personId, at })
  ]).catch((error: unknown) => {
    throw isSecondReversal(error)
      ? new Refusal('AlreadyReversed', 409, `${source?.number} has a reversal already; a slip is reversed once`)
      : error
  })
  if (created === undefined) throw periodClosed(draft.occurredOn)
  return {
    ...said,
    ...created,
    state,
    version: 1,
    supplier: supplier?.code ?? null,
    supplierId: supplier?.id ?? null,
    source,
    preparers: [ctx.actor.personId],
    preparedBy: ctx.actor.username,
    preparedAt: at,
    submittedAt: submit ? at : null,
    approvedAt: null,
    postedBy: null,
    postedAt: null,
    handedTo: null,
    deliveredBy: null,
    lateDuty: null,
    lateDueAt: null,
    lateSettledAt: null,
    releasedBecause: null,
    authorisedBy: null,
    refusal: null,
    postedById: null,
    reversal: null,
    returns: [],
    signedAs: null,
    signatures: [],
    qualityReports: []
  }
}

export const periodClosed = (day: string): Refusal =>
  new Refusal(
    'PeriodClosed',
    409,
    `the period ${day.slice(0, 7)} is closed for this warehouse; date the slip into an open period`,
    {
      errors: [{ pointer: '/occurredOn', detail: 'lies in a closed period', sent: day }]
    }
  )

const isSecondReversal = (error: unknown): boolean => constraintOf(error) === 'slip_reversed_once'

/** Reverses a posted slip by a slip of its own (红字冲销), which is signed and posted like any other (R-STK-2). */
export async function reverseSlip(
  ctx: Context,
  { number, reason, occurredOn }: { number: string; reason: string; occurredOn?: string | undefined }
): Promise<SlipView> {
  const { warehouse } = await loadSlip(ctx, number)
  return createSlip(ctx, {
    warehouse: warehouse.code,
    kind: 'reversal',
    reference: number,
    reason,
    ...(occurredOn !== undefined && { occurredOn })
  })
}
