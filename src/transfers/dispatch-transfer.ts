import { requireDuty, type Context } from '../identity/actor.ts'
import { releaseReservations, reserveAll } from '../ledger/reserve.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { writeSlip } from '../slips/create-slip.ts'
import { readSlip } from '../slips/slip.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { lockTransfer, type Transfer } from './transfer.ts'
import { loadTransfer, viewOfTransfer } from './transfers.queries.ts'
import type { OutSlip, TransferSlip } from './transfers.schemas.ts'
import { settle } from './withdraw-transfer.ts'

interface OpenLine {
  line: number
  partId: number
  part: string
  unit: string
  ownership: Ownership
  condition: Condition
  quantity: string
  /** Neither sent nor on a slip that may be posted. */
  open: string
  beingSent: string
  reservation: string | null
  /** What the reservation still holds. */
  promised: string
  lot: string | null
}

const OPEN_LINES = statement<OpenLine>(`
select l.line_no as line, l.part_id as "partId", part.number as part, part.unit, l.ownership, l.condition, trim_scale(l.quantity)::text as quantity,
       trim_scale(p.quantity - p.sent - p.being_sent)::text as open, trim_scale(p.being_sent)::text as "beingSent",
       l.reservation_id::text as reservation, trim_scale(coalesce(r.quantity - r.consumed, 0))::text as promised, l.lot_id::text as lot
  from transfer_line l
  join transfer_line_position p on p.warehouse_id = l.warehouse_id and p.transfer_id = l.transfer_id and p.line_no = l.line_no
  join part on part.id = l.part_id
  left join reservation r on r.warehouse_id = l.warehouse_id and r.id = l.reservation_id and r.released_at is null
 where l.warehouse_id = $1 and l.transfer_id = $2
 order by l.line_no`)

const PROMISE_ANEW = statement<never>(
  `update transfer_line set reservation_id = $4 where warehouse_id = $1 and transfer_id = $2 and line_no = $3`
)

const LINK = statement<never>(`
with linked as (
  update slip set transfer_warehouse_id = $1, transfer_id = $2 where warehouse_id = $1 and id = $3
), lined as (
  update slip_line l set transfer_line = x.transfer_line
    from unnest($4::int[]) with ordinality as x (transfer_line, line_no)
   where l.warehouse_id = $1 and l.slip_id = $3 and l.line_no = x.line_no
), carried as (
  update transfer set carrier = coalesce($5, carrier) where warehouse_id = $1 and id = $2
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $6, $7, 'out-slip-written', jsonb_build_object('slip', $8::text))`)

/**
 * Writes the slip by which goods of a transfer leave the giver, for its three signatures: all that was not sent yet, or less. It takes what
 * the transfer has promised; posting it brings the goods into transit.
 * @throws Refusal 409 `TransferNotOpen`, `NothingToSend`, `MoreThanOrdered`, `PromiseBroken`, `InsufficientStock`, 422 `LineUnknown`, `LineTwice`, 403, 404, 412
 */
export function dispatchTransfer(
  ctx: Context,
  { number, lines, carrier, ifMatch, ...said }: OutSlip & { number: string; ifMatch?: string | undefined }
): Promise<TransferSlip> {
  return inTransaction(ctx, async (inner) => {
    const { transfer: found, from, to } = await loadTransfer(inner, number)
    requireDuty(inner, 'keeper', from)
    const transfer = await lockTransfer(inner, { warehouseId: from.id, id: found.id })
    await loadTransfer(inner, number, { ifMatch })
    if (transfer.state === 'cancelled' || (transfer.isRestClosed && transfer.sent !== '0'))
      throw new Refusal(
        'TransferNotOpen',
        409,
        transfer.state === 'cancelled'
          ? `transfer ${number} is cancelled; order a new one`
          : `what was not sent of ${number} was closed; order a new transfer`
      )
    const open = await run(inner, OPEN_LINES, [from.id, transfer.id])
    const leaving = lines === undefined ? everything(open, number) : chosen(open, lines, number)
    const promises = await promisesFor(inner, transfer, from, leaving)
    const slip = await writeSlip(inner, from, {
      kind: 'transfer-out',
      reference: number,
      counterparty: found.directTo === null ? to.code : `${to.code}（直送 direct to ${found.directTo}）`,
      ...said,
      lines: leaving.map(({ line, leaves, part, unit, ownership, condition, lot }) => ({
        part,
        unit,
        ownership,
        condition,
        quantity: leaves,
        ...(lot === null ? { reservation: promises.get(line) } : { lot })
      }))
    })
    await run(inner, LINK, [
      from.id,
      transfer.id,
      slip.id,
      leaving.map(({ line }) => line),
      carrier ?? null,
      inner.clock.now().toString(),
      inner.actor.personId,
      slip.number
    ])
    await settle(inner, transfer)
    return { slip: await readSlip(inner, { number: slip.number }), transfer: await viewOfTransfer(inner, transfer) }
  })
}

type Leaving = OpenLine & { leaves: string }

function everything(lines: readonly OpenLine[], number: string): Leaving[] {
  const open = lines.filter((line) => line.open !== '0')
  if (open.length > 0) return open.map((line) => ({ ...line, leaves: line.open }))
  throw new Refusal(
    'NothingToSend',
    409,
    `everything of ${number} was sent, or stands on a slip that waits to be posted; cancel that one to write another`
  )
}

const chosen = (open: readonly OpenLine[], lines: NonNullable<OutSlip['lines']>, number: string): Leaving[] =>
  lines.map(({ line, quantity }, position) => {
    const found = open.find((known) => known.line === line)
    const refuse = (code: string, status: number, member: string, detail: string, accepted?: unknown) =>
      new Refusal(code, status, `line ${line}: ${detail}`, {
        errors: [{ pointer: `/lines/${position}/${member}`, detail, sent: { line, quantity }, accepted }]
      })
    if (found === undefined)
      throw refuse(
        'LineUnknown',
        422,
        'line',
        `${number} has no such line`,
        open.map((known) => known.line)
      )
    if (lines.findIndex((other) => other.line === line) !== position)
      throw refuse('LineTwice', 422, 'line', 'stands here twice; put its quantities together')
    if (thousandths(quantity) > thousandths(found.open))
      throw refuse(
        'MoreThanOrdered',
        409,
        'quantity',
        `${found.quantity} ${found.part} were ordered; at most ${found.open} can still be sent, the rest was or stands on a slip that waits`,
        `at most ${found.open}`
      )
    return { ...found, leaves: decimal(thousandths(quantity), 3) }
  })

/**
 * The reservation that each line takes from. One that does not hold enough any more (what it held came back by a reversal, or a recall broke
 * it) is made anew for all that is open of the line.
 */
async function promisesFor(
  ctx: Context,
  transfer: Transfer,
  from: Warehouse,
  leaving: readonly Leaving[]
): Promise<Map<number, string>> {
  const promises = new Map<number, string>()
  const broken: Leaving[] = []
  for (const line of leaving) {
    if (line.lot !== null) continue
    const isHeld = thousandths(line.promised) - thousandths(line.beingSent) >= thousandths(line.leaves)
    if (line.reservation !== null && isHeld) promises.set(line.line, line.reservation)
    else broken.push(line)
  }
  if (broken.length === 0) return promises
  const waiting = broken.find(({ beingSent }) => beingSent !== '0')
  if (waiting !== undefined)
    throw new Refusal(
      'PromiseBroken',
      409,
      `line ${waiting.line} (${waiting.part}): the goods are no longer reserved, and a slip that takes them waits to be posted; cancel that one first`
    )
  await releaseReservations(
    ctx,
    broken.flatMap(({ reservation }) => (reservation === null ? [] : [{ warehouseId: from.id, id: reservation }]))
  )
  const outcome = await reserveAll(
    ctx,
    broken.map(({ line, partId, part, ownership, condition, open }) => ({
      warehouseId: from.id,
      partId,
      part,
      ownership,
      condition,
      quantity: open,
      reservedFor: `${transfer.number}/${line}`
    }))
  )
  if ('short' in outcome) {
    const short = outcome.short.map(({ index, available }) => ({
      line: broken[index]?.line,
      part: broken[index]?.part ?? '',
      wanted: broken[index]?.open ?? '',
      available
    }))
    throw new Refusal(
      'InsufficientStock',
      409,
      `the goods of ${transfer.number} are no longer reserved, and ${from.code} has not enough: ${short.map(({ line, part, wanted, available }) => `line ${line} (${part}) wants ${wanted}, ${available} available`).join('; ')}; cancel the transfer, or close what was not sent`,
      { extra: { lines: short } }
    )
  }
  for (const [index, { line }] of broken.entries()) {
    const id = outcome.ids[index]
    if (id === undefined) throw new Error('a reservation has an id')
    await run(ctx, PROMISE_ANEW, [from.id, transfer.id, line, id])
    promises.set(line, id)
  }
  return promises
}
