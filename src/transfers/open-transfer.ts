// Opens a transfer: the goods are promised at the giver, and the document says where they go and for what. Whoever calls it has checked
// the duty and is in a transaction. Locks: balances of the giver (reserving), then the counter of its numbers, which is held until the
// commit; who opens several in one transaction reserves everything first and then opens in the order of the givers' ids.
import { requireParts } from '../catalogue/parts.queries.ts'
import { toStockUnits } from '../catalogue/units.ts'
import { maySee, requireDuty, type Context, type Duty } from '../identity/actor.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { reserveAll } from '../ledger/reserve.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { normalQuantity } from '../platform/decimal.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import { requireOpen, warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { requireDutyAtEither } from './transfer-rights.ts'
import { readTransfer } from './transfers.queries.ts'
import type { Carriage, NewTransfer, TransferView } from './transfers.schemas.ts'
import { documentNumber, nextNumber } from '../signing/document-number.ts'

export interface TransferLine {
  partId: number
  part: string
  ownership: Ownership
  /** Qualified unless given. */
  condition?: Condition | undefined
  /** Stock units, more than zero. */
  quantity: string
  /** The promise at the giver that holds the goods; made here if left away. */
  reservationId?: string | undefined
  /** The lot that is sent, whatever its age, also while a recall blocks it: then nothing is promised. */
  lot?: string | undefined
  /** What the goods are reserved for by the posting of their arrival. */
  reserveFor?: string | undefined
  /** What was on its way to the receiver and arrives by this. Opened here if left away, unless the goods are for somebody already. */
  expectedReceiptId?: string | null | undefined
}

export interface Opening {
  from: Warehouse
  to: Warehouse
  lines: readonly TransferLine[]
  carriage?: Carriage | null | undefined
  /** Where the goods physically go, while the papers run through the receiver. */
  directTo?: Warehouse | null | undefined
  reference?: string | null | undefined
  because: string
}

const OPEN = statement<{ id: string; number: string }>(`
with numbered as (${nextNumber("'TRF'", '$2')}
), created as (
  insert into transfer (warehouse_id, number, to_warehouse_id, direct_to_warehouse_id, carriage, reference, because, ordered_at, ordered_by)
  select $1, ${documentNumber('$3', "'TRF'", '$2')},
         $4, $5, $6, $7, $8, $9::timestamptz, $10
    from numbered
  returning id, number
), said as materialized (
  select l.*, l.place::int as line_no
    from unnest($11::int[], $12::text[], $13::text[], $14::numeric[], $15::bigint[], $16::bigint[], $17::text[], $18::bigint[], $19::boolean[], $20::boolean[]) with ordinality
      as l (part_id, ownership, condition, quantity, reservation_id, lot_id, reserve_for, expected_receipt_id, is_expected, is_reserved_here, place)
), expected as (
  insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, from_warehouse_id, opened_at, opened_by)
  select $4, said.part_id, 'transfer', created.number, said.line_no, said.quantity, $1, $9, $10 from created, said where said.is_expected
  returning id, line_no
), lines as (
  insert into transfer_line (warehouse_id, transfer_id, line_no, part_id, ownership, condition, quantity, reservation_id, lot_id, reserve_for, expected_receipt_id)
  select $1, created.id, line_no, said.part_id, said.ownership, said.condition, said.quantity, said.reservation_id, said.lot_id, said.reserve_for, coalesce(said.expected_receipt_id, expected.id)
    from created cross join said left join expected using (line_no)
), named as (
  update reservation r set reserved_for = created.number || '/' || said.line_no
    from created, said
   where r.warehouse_id = $1 and r.id = said.reservation_id and said.is_reserved_here
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, created.id, $9, $10, 'ordered', jsonb_strip_nulls(jsonb_build_object('to', $21::text, 'reference', $7::text, 'because', $8::text)) from created
)
select id::text as id, number from created`)

/**
 * Opens a transfer for a document of another room, or for a person.
 * @throws Refusal 409 `WarehouseClosed`, `InsufficientStock`, 422 `TransferToItself`
 */
export async function openTransfer(
  ctx: Context,
  { from, to, lines, carriage = null, directTo = null, reference = null, because }: Opening
): Promise<{ id: string; number: string }> {
  if (from.id === to.id)
    throw new Refusal('TransferToItself', 422, `goods of ${from.code} are there already; name another warehouse`, {
      errors: [{ pointer: '/to', detail: 'is the giver itself', sent: to.code }]
    })
  const today = ctx.clock.today()
  for (const place of [from, to, ...(directTo === null ? [] : [directTo])]) requireOpen(place, today)
  const reservations = await promised(ctx, from, lines, reference ?? to.code)
  const [created] = await run(ctx, OPEN, [
    from.id,
    today,
    from.code,
    to.id,
    directTo?.id ?? null,
    carriage,
    reference,
    because,
    ctx.clock.now().toString(),
    ctx.actor.personId,
    lines.map(({ partId }) => partId),
    lines.map(({ ownership }) => ownership),
    lines.map(({ condition }) => condition ?? 'qualified'),
    lines.map(({ quantity }) => quantity),
    reservations,
    lines.map(({ lot }) => lot ?? null),
    lines.map(({ reserveFor }) => reserveFor ?? null),
    lines.map(({ expectedReceiptId }) => expectedReceiptId ?? null),
    // Only good goods that are for nobody yet answer what the receiver is short of.
    lines.map(
      ({ expectedReceiptId, reserveFor, condition, lot }) =>
        expectedReceiptId === undefined &&
        reserveFor === undefined &&
        lot === undefined &&
        (condition ?? 'qualified') === 'qualified'
    ),
    lines.map(({ reservationId }) => reservationId === undefined),
    to.code
  ])
  if (created === undefined) throw new Error('no transfer was written')
  return created
}

/** The promises of the lines, in their order: those they name, and new ones; none for goods of a named lot. */
async function promised(
  ctx: Context,
  from: Warehouse,
  lines: readonly TransferLine[],
  reservedFor: string
): Promise<(string | null)[]> {
  const wanting = lines.filter(({ reservationId, lot }) => reservationId === undefined && lot === undefined)
  const outcome = await reserveAll(
    ctx,
    wanting.map(({ partId, part, ownership, condition, quantity }) => ({
      warehouseId: from.id,
      partId,
      part,
      ownership,
      condition,
      quantity,
      reservedFor
    }))
  )
  if ('short' in outcome) {
    const short = outcome.short.map(({ index, available }) => {
      const want = wanting[index]
      return { part: want?.part ?? '', wanted: want?.quantity ?? '', available }
    })
    const more = short.length - NAMED_OFFENDERS
    throw new Refusal(
      'InsufficientStock',
      409,
      `${from.code} cannot give so much: ${short
        .slice(0, NAMED_OFFENDERS)
        .map(({ part, wanted, available }) => `${part} wants ${wanted}, ${available} available`)
        .join('; ')}${more > 0 ? ` and ${more} more` : ''}`,
      { extra: { lines: short } }
    )
  }
  const made = outcome.ids.values()
  return lines.map((line) => line.reservationId ?? (line.lot === undefined ? (made.next().value ?? null) : null))
}

/** Who orders a transfer at the giver, whose goods they are, and at the receiver; the giver agrees by its three signatures. */
export const GIVING_DUTIES: readonly Duty[] = ['keeper', 'stock-controller', 'operations-supervisor']
export const RECEIVING_DUTIES: readonly Duty[] = ['stock-controller', 'operations-supervisor']

/**
 * Orders a transfer of goods from one warehouse to another; they are reserved at the giver.
 * @throws Refusal those of `openTransfer`, 422 `PartUnknown`, `LoanerModel`, `UnitNotOfPart`, `QuantityNotPositive`, `WarehouseUnknown`, 403, 404
 */
export async function createTransfer(ctx: Context, body: NewTransfer): Promise<TransferView> {
  const { from, to } = await places(ctx, body)
  requireDutyAtEither(ctx, { giver: [from, GIVING_DUTIES], receiver: [to, RECEIVING_DUTIES] })
  const directTo = body.directTo === undefined ? null : await known(ctx, body.directTo, '/directTo')
  if (directTo?.id === from.id)
    throw new Refusal('DirectToGiver', 422, `goods of ${from.code} are there already; leave directTo away`, {
      errors: [{ pointer: '/directTo', detail: 'is the giver itself', sent: directTo.code }]
    })
  const parts = await requireParts(
    ctx,
    body.lines.map(({ part }) => part)
  )
  const loaners = body.lines.flatMap(({ part }, place) =>
    parts.get(part)?.loanerFamily == null
      ? []
      : [{ pointer: `/lines/${place}/part`, detail: 'is a loaner model', sent: part }]
  )
  if (loaners.length > 0)
    throw new Refusal(
      'LoanerModel',
      422,
      `${loaners.map(({ sent }) => sent).join(', ')}: units of a loaner model (备用机) are sent one by one under their serial numbers: POST /v1/loaners/{serial}/transfer`,
      { errors: loaners.slice(0, 20) }
    )
  const lines = body.lines.map(({ part: number, quantity, unit, ownership = 'own', condition }): TransferLine => {
    const part = parts.get(number)
    if (part === undefined) throw new Error(`${number} was required a moment ago`)
    return {
      partId: part.id,
      part: number,
      ownership,
      condition,
      quantity: normalQuantity(toStockUnits(part, quantity, unit ?? part.unit))
    }
  })
  return inTransaction(ctx, async (inner) => {
    const { number } = await openTransfer(inner, {
      from,
      to,
      lines,
      carriage: body.carriage,
      directTo,
      reference: body.reference,
      because: body.because
    })
    return readTransfer(inner, { number })
  })
}

/** Giver and receiver. What the network shows may be asked for by whoever sees the other one; who sees neither is told of neither. */
async function places(
  ctx: Context,
  { from, to }: { from: string; to: string }
): Promise<{ from: Warehouse; to: Warehouse }> {
  const giver = await warehouseByCode(ctx, from).catch(ignoring404)
  const receiver = await warehouseByCode(ctx, to).catch(ignoring404)
  const seen = [giver, receiver].some((place) => place !== undefined && maySee(ctx, place))
  if (giver === undefined || receiver === undefined || !seen) {
    if (seen) throw unknown(giver === undefined ? from : to, giver === undefined ? '/from' : '/to')
    // Answers as for a warehouse that does not exist.
    requireDuty(ctx, GIVING_DUTIES, giver ?? { id: 0, code: from, regionId: 0 })
    throw unknown(to, '/to')
  }
  return { from: giver, to: receiver }
}

const ignoring404 = (error: unknown): undefined => {
  if (error instanceof Refusal && error.status === 404) return undefined
  throw error
}

const unknown = (code: string, pointer: string): Refusal =>
  new Refusal('WarehouseUnknown', 422, `there is no warehouse ${code}`, {
    errors: [{ pointer, detail: 'is unknown', sent: code }]
  })

const known = async (ctx: Context, code: string, pointer: string): Promise<Warehouse> => {
  const warehouse = await warehouseByCode(ctx, code).catch(ignoring404)
  if (warehouse === undefined) throw unknown(code, pointer)
  return warehouse
}
