import { maySee, type Context, type Duty } from '../identity/actor.ts'
import type { Carried, Condition, Entry, Movement, Ownership } from '../ledger/post.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { contentHash } from '../signing/content-hash.ts'
import { dutiesAwaited, type Signature } from '../signing/sign.ts'
import { signaturesOf, signatureView } from '../signing/signatures.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { SLIP_KIND_RULES, type Purpose, type SlipKind, type SlipState } from './slip-kinds.ts'
import type { SlipView } from './slips.schemas.ts'

/** What was found when the goods were checked against the delivery note (R-IN-2). */
export interface Difference {
  aspects: string[]
  responsibleParty: 'production' | 'carrier' | 'own-department' | null
  expectedQuantity: string | null
  /** All that arrived, good and faulty. */
  receivedQuantity: string
  faultyQuantity: string | null
  description: string | null
}

/** A line as it is kept: `quantity` in stock units, negative when the goods leave. */
export interface SlipLine {
  line: number
  partId: number
  part: string
  name: string
  nameZh: string | null
  specification: string | null
  colour: string | null
  quantity: string
  unit: string
  unitQuantity: string
  unitCost: string | null
  ownership: Ownership
  condition: Condition
  expectedQuantity: string | null
  receivedOn: string | null
  sourceLine: number | null
  reservation: string | null
  /** The lot it takes from, whatever its age: a count found that one short, or a recall drives it back. */
  lot: string | null
  /** What the goods are reserved for as soon as they have come in. */
  reserveFor: string | null
  /** What goods from another warehouse bring along. */
  carried: Carried | null
  difference: Difference | null
  note: string | null
  /** What was on its way and the line fulfils, perhaps in part: `HQ-PLN-202611-00001/3`. */
  expectedReceipt: string | null
  expectedReceiptId: string | null
}

export interface Slip {
  id: string
  number: string
  kind: SlipKind
  purpose: Purpose | null
  state: SlipState
  version: number
  occurredOn: string
  reference: string | null
  counterparty: string | null
  supplier: string | null
  supplierId: number | null
  deliveryNote: string | null
  packagesExpected: number | null
  packagesReceived: number | null
  note: string | null
  reason: string | null
  source: { id: string; number: string; kind: SlipKind; occurredOn: string } | null
  duties: Duty[]
  preparers: number[]
  preparedBy: string
  preparedAt: string
  /** Why it was last sent back, until it is submitted anew. */
  refusal: { by: string; duty: string; reason: string; at: string } | null
  submittedAt: string | null
  approvedAt: string | null
  postedBy: string | null
  postedById: number | null
  postedAt: string | null
  handedTo: string | null
  deliveredBy: string | null
  lateDuty: Duty | null
  lateDueAt: string | null
  lateSettledAt: string | null
  releasedBecause: string | null
  authorisedBy: string | null
  lines: SlipLine[]
  signatures: Signature[]
  qualityReports: string[]
  /** The reversal of this slip, whatever its state, and the slips by which goods of it came back. */
  reversal: { number: string; state: string } | null
  returns: string[]
  /** The document whose signatures cover it, where it is not signed itself: the count it adjusts for. */
  signedAs: { id: string; number: string } | null
}

// Asked only where a line names one: other slips pay nothing for it.
const EXPECTED_RECEIPT_NAME = `(select e.document || '/' || e.line_no from expected_receipt e where e.warehouse_id = l.warehouse_id and e.id = l.expected_receipt_id)`

// One row, whatever the number of lines: one round trip reads a whole slip.
const SLIP = statement<Slip>(`
select s.id, s.number, s.kind, s.purpose, s.state, s.version, s.occurred_on as "occurredOn", s.reference, s.counterparty,
       case when s.signed_as is not null then json_build_object('id', s.signed_as::text, 'number', s.reference) end as "signedAs", supplier.code as supplier, s.supplier_id as "supplierId", s.delivery_note as "deliveryNote",
       s.packages_expected as "packagesExpected", s.packages_received as "packagesReceived", s.note, s.reason,
       case when source.id is not null then json_build_object('id', source.id::text, 'number', source.number, 'kind', source.kind, 'occurredOn', source.occurred_on) end as source,
       s.duties, s.preparers, preparer.username as "preparedBy", s.refusal, s.prepared_at as "preparedAt", s.submitted_at as "submittedAt", s.approved_at as "approvedAt",
       poster.username as "postedBy", s.posted_by as "postedById", s.posted_at as "postedAt", s.handed_to as "handedTo", s.delivered_by as "deliveredBy",
       s.late_duty as "lateDuty", s.late_due_at as "lateDueAt", s.late_settled_at as "lateSettledAt", s.released_because as "releasedBecause", s.authorised_by as "authorisedBy",
       (select json_agg(json_build_object(
                 'line', l.line_no, 'partId', l.part_id, 'part', part.number, 'name', part.name, 'nameZh', part.name_zh, 'specification', part.specification, 'colour', part.colour,
                 'quantity', trim_scale(l.quantity)::text, 'unit', l.unit, 'unitQuantity', trim_scale(l.unit_quantity)::text, 'unitCost', l.unit_cost::text,
                 'ownership', l.ownership, 'condition', l.condition, 'expectedQuantity', trim_scale(l.expected_quantity)::text, 'receivedOn', l.received_on,
                 'sourceLine', l.source_line, 'reservation', l.reservation_id::text, 'lot', l.lot_id::text, 'reserveFor', l.reserve_for,
                 'carried', case when l.cost_in is not null then json_build_object('costIn', l.cost_in::text, 'chargeIn', l.charge_in::text, 'chargedUntil', l.charged_until,
                   'rateSkipped', trim_scale(coalesce(l.rate_skipped, 0))::text,
                   'origin', case when l.origin_lot_id is not null then json_build_object('warehouseId', l.origin_warehouse_id, 'lotId', l.origin_lot_id::text) end) end,
                 'difference', l.difference, 'note', l.note, 'expectedReceiptId', l.expected_receipt_id::text,
                 'expectedReceipt', case when l.expected_receipt_id is not null then ${EXPECTED_RECEIPT_NAME} end) order by l.line_no)
          from slip_line l join part on part.id = l.part_id
         where l.warehouse_id = s.warehouse_id and l.slip_id = s.id) as lines,
       ${signaturesOf('s.warehouse_id', 'coalesce(s.signed_as, s.id)')} as signatures,
       '{}'::text[] as "qualityReports", null as reversal, '{}'::text[] as returns
  from slip s
  join person preparer on preparer.id = s.preparers[cardinality(s.preparers)]
  left join person poster on poster.id = s.posted_by
  left join supplier on supplier.id = s.supplier_id
  left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
 where s.warehouse_id = $1 and s.number = $2`)

const POSTED = statement<{
  movements: Movement[] | null
  reports: string[] | null
  followers: { number: string; kind: SlipKind; state: string }[] | null
}>(`
select (select json_agg(json_build_object('line', m.line_no, 'lotId', m.lot_id::text, 'quantity', trim_scale(m.quantity)::text, 'cost', m.cost::text,
                                          'charge', m.charge::text, 'onHandAfter', trim_scale(m.on_hand_after)::text) order by m.id)
          from movement m where m.warehouse_id = $1 and m.slip_id = $2 and m.occurred_on = $3) as movements,
       (select array_agg(number order by number) from quality_report where warehouse_id = $1 and slip_id = $2) as reports,
       (select json_agg(json_build_object('number', number, 'kind', kind, 'state', state) order by id)
          from slip where warehouse_id = $1 and source_slip_id = $2 and state <> 'cancelled') as followers`)

/** The warehouse code a document number begins with. */
const warehouseOf = (number: string): string => number.replace(/-[A-Z]{2,3}-\d{6}-\d+$/, '')

/**
 * A slip the actor may see, with its warehouse.
 * @throws Refusal 404 for one that does not exist or lies in a warehouse the actor may not see
 */
export async function loadSlip(ctx: Context, number: string): Promise<{ slip: Slip; warehouse: Warehouse }> {
  const warehouse = await warehouseByCode(ctx, warehouseOf(number)).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('slip', number) : error
  })
  if (!maySee(ctx, warehouse)) throw notFound('slip', number)
  const [slip] = await run(ctx, SLIP, [warehouse.id, number])
  if (slip === undefined) throw notFound('slip', number)
  return { slip, warehouse }
}

/** What signatures bind to (R-SIG-2): everything that was written on the paper, nothing that happens to it later. */
export const slipContent = (slip: Slip, warehouse: { code: string }) => ({
  number: slip.number,
  kind: slip.kind,
  purpose: slip.purpose,
  warehouse: warehouse.code,
  occurredOn: slip.occurredOn,
  reference: slip.reference,
  counterparty: slip.counterparty,
  supplier: slip.supplier,
  deliveryNote: slip.deliveryNote,
  packagesExpected: slip.packagesExpected,
  packagesReceived: slip.packagesReceived,
  note: slip.note,
  reason: slip.reason,
  sourceSlip: slip.source?.number ?? null,
  duties: slip.duties,
  preparedBy: slip.preparedBy,
  lines: slip.lines.map(
    ({
      partId: _partId,
      name: _name,
      nameZh: _nameZh,
      specification: _specification,
      colour: _colour,
      lot,
      reserveFor,
      carried,
      expectedReceipt,
      expectedReceiptId: _expectedReceiptId,
      ...line
    }) => ({
      ...line,
      ...(lot !== null && { lot }),
      ...(reserveFor !== null && { reserveFor }),
      ...(carried !== null && { carried }),
      ...(expectedReceipt !== null && { expectedReceipt })
    })
  )
})

export const slipHash = (slip: Slip, warehouse: { code: string }): string => contentHash(slipContent(slip, warehouse))

/** The lines as the ledger wants them. */
export const entriesOf = (slip: Slip): Entry[] =>
  slip.lines
    .filter(({ quantity }) => quantity !== '0')
    .map((line) => ({
      line: line.line,
      partId: line.partId,
      part: line.part,
      ownership: line.ownership,
      condition: line.condition,
      quantity: line.quantity,
      unitCost: line.unitCost,
      receivedOn: line.receivedOn,
      sourceLine: line.sourceLine,
      reservationId: line.reservation,
      lotId: line.lot,
      reserveFor: line.reserveFor,
      carried: line.carried
    }))

export const sourceOf = (slip: Slip) =>
  slip.source === null ? undefined : { slipId: slip.source.id, day: slip.source.occurredOn }

/** The slip as the API shows it; `movements` are what was posted, `hash` that of its content if it was worked out already. */
export function slipView(
  ctx: Context,
  slip: Slip,
  warehouse: { code: string },
  movements: readonly Movement[] = [],
  hash = slipHash(slip, warehouse)
): SlipView {
  const moved = Map.groupBy(movements, ({ line }) => line)
  return {
    number: slip.number,
    kind: slip.kind,
    kindZh: SLIP_KIND_RULES[slip.kind].nameZh,
    purpose: slip.purpose,
    state: slip.state,
    version: slip.version,
    warehouse: warehouse.code,
    occurredOn: slip.occurredOn,
    reference: slip.reference,
    counterparty: slip.counterparty,
    preparedBy: slip.preparedBy,
    preparedAt: instant(slip.preparedAt),
    refusal: slip.refusal === null ? null : { ...slip.refusal, at: instant(slip.refusal.at) },
    postedBy: slip.postedBy,
    postedAt: instantOrNull(slip.postedAt),
    lateSignature: lateSignature(ctx, slip),
    supplier: slip.supplier,
    deliveryNote: slip.deliveryNote,
    packagesExpected: slip.packagesExpected,
    packagesReceived: slip.packagesReceived,
    note: slip.note,
    reason: slip.reason,
    sourceSlip: slip.source?.number ?? null,
    signedAs: slip.signedAs?.number ?? null,
    contentHash: hash,
    lines: slip.lines.map(({ partId: _partId, expectedReceiptId: _expectedReceiptId, carried, ...line }) => ({
      ...line,
      carried: carried && {
        cost: carried.costIn,
        accumulatedDepreciation: carried.chargeIn,
        chargedUntil: carried.chargedUntil.slice(0, 7)
      },
      direction: line.quantity.startsWith('-') ? ('out' as const) : ('in' as const),
      quantity: line.quantity.replace('-', ''),
      difference: line.difference as Record<string, unknown> | null,
      movements: (moved.get(line.line) ?? []).map(({ lotId, quantity, cost, charge, onHandAfter }) => ({
        lot: lotId,
        quantity,
        cost,
        charge,
        onHandAfter
      }))
    })),
    duties: slip.duties,
    signatures: slip.signatures.map(signatureView),
    awaiting:
      slip.state === 'awaiting-signatures'
        ? dutiesAwaited(slip)
        : slip.lateDuty !== null && slip.lateSettledAt === null
          ? [slip.lateDuty]
          : [],
    submittedAt: instantOrNull(slip.submittedAt),
    approvedAt: instantOrNull(slip.approvedAt),
    handedTo: slip.handedTo,
    deliveredBy: slip.deliveredBy,
    releasedBecause: slip.releasedBecause,
    authorisedBy: slip.authorisedBy,
    qualityReports: slip.qualityReports,
    reversal: slip.reversal === null ? null : { number: slip.reversal.number, state: slip.reversal.state as SlipState },
    returns: slip.returns
  }
}

export function lateSignature(
  ctx: Context,
  { lateDuty, lateDueAt, lateSettledAt }: Pick<Slip, 'lateDuty' | 'lateDueAt' | 'lateSettledAt'>
) {
  if (lateDuty === null || lateDueAt === null || lateSettledAt !== null) return null
  const dueAt = Temporal.Instant.from(instant(lateDueAt))
  return { duty: lateDuty, dueAt: dueAt.toString(), overdue: Temporal.Instant.compare(ctx.clock.now(), dueAt) > 0 }
}

/** One slip, with what it posted. */
export async function readSlip(ctx: Context, { number }: { number: string }): Promise<SlipView> {
  const { slip, warehouse } = await loadSlip(ctx, number)
  return viewOf(ctx, slip, warehouse)
}

/** The view of a slip that was just read, with its movements and reports where it has any. */
export async function viewOf(ctx: Context, slip: Slip, warehouse: Warehouse, hash?: string): Promise<SlipView> {
  if (slip.state !== 'posted') return slipView(ctx, slip, warehouse, [], hash)
  const [posted] = await run(ctx, POSTED, [warehouse.id, slip.id, slip.occurredOn])
  const followers = posted?.followers ?? []
  const followed: Slip = {
    ...slip,
    qualityReports: posted?.reports ?? [],
    reversal: followers.find(({ kind }) => kind === 'reversal') ?? null,
    returns: followers.filter(({ kind }) => kind !== 'reversal').map(({ number }) => number)
  }
  return slipView(ctx, followed, warehouse, posted?.movements ?? [], hash)
}
