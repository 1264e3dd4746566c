// What is in transit of a transfer, piece by piece, and the slips that account for it. Whoever calls these holds the transfer.
import type { Context } from '../identity/actor.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { writeSlip } from '../slips/create-slip.ts'
import type { RoomLine } from '../slips/draft-slip.ts'
import { readSlip } from '../slips/slip.ts'
import { MAX_LINES } from '../slips/slips.schemas.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { type Piece, type Sent } from './pieces.ts'
import type { Transfer } from './transfer.ts'
import { viewOfTransfer } from './transfers.queries.ts'
import type { ClaimKind, ResponsibleForLoss, TransferSlip } from './transfers.schemas.ts'
import { settle } from './withdraw-transfer.ts'

/** What one out slip took from one lot, with what the lot was. */
export interface SentLot extends Sent {
  partId: number
  part: string
  unit: string
  ownership: Ownership
  condition: Condition
  outSlipId: string
  outSlip: string
  outLine: number
  lotId: string
  /** The day it left, or on which an arrival of it was last undone: nothing of it arrives before. */
  inTransitSince: string
  /** The last day of the month before it left: through that one it was charged. */
  chargedUntil: string
  receivedOn: string
  unitCost: string
  rateSkipped: string
  origin: { warehouseId: number; lotId: string }
  reserveFor: string | null
  expectedReceiptId: string | null
}

type Row = Omit<SentLot, 'quantity' | 'cost' | 'charge' | 'held'> & {
  quantity: string
  cost: string
  charge: string
  held: { from: string; until: string }[]
}

// Oldest dispatch first, and within it the oldest lot: what comes in first is what left first.
const SENT = statement<Row>(`
select l.transfer_line as line, l.part_id as "partId", part.number as part, part.unit, l.ownership, l.condition, s.id::text as "outSlipId", s.number as "outSlip", m.line_no as "outLine", m.lot_id::text as "lotId",
       trim_scale(-m.quantity)::text as quantity, (-m.cost)::text as cost, (-m.charge)::text as charge,
       greatest(s.occurred_on, (select max(f.day) from transfer_flow f where f.warehouse_id = $1 and f.transfer_id = $2 and f.out_slip_id = s.id and f.undone and f.kind <> 'sent')) as "inTransitSince",
       (date_trunc('month', s.occurred_on::timestamp) - interval '1 day')::date as "chargedUntil",
       lot.received_on as "receivedOn", lot.unit_cost::text as "unitCost", trim_scale(lot.rate_skipped)::text as "rateSkipped",
       json_build_object('warehouseId', coalesce(lot.origin_warehouse_id, lot.warehouse_id), 'lotId', coalesce(lot.origin_lot_id, lot.id)::text) as origin,
       t.reserve_for as "reserveFor", (select e.id::text from expected_receipt e where e.warehouse_id = head.to_warehouse_id and e.id = t.expected_receipt_id and e.ended_at is null) as "expectedReceiptId",
       coalesce((select json_agg(json_build_object('from', trim_scale(a.from_quantity)::text, 'until', trim_scale(a.until_quantity)::text))
                   from transfer_hold a where a.warehouse_id = $1 and a.transfer_id = $2 and a.out_slip_id = s.id and a.out_line_no = m.line_no and a.out_lot_id = m.lot_id), '[]') as held
  from slip s
  join transfer head on head.warehouse_id = s.transfer_warehouse_id and head.id = s.transfer_id
  join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id
  join transfer_line t on t.warehouse_id = s.transfer_warehouse_id and t.transfer_id = s.transfer_id and t.line_no = l.transfer_line
  join movement m on m.warehouse_id = s.warehouse_id and m.slip_id = s.id and m.line_no = l.line_no and m.occurred_on = s.occurred_on
  join lot on lot.warehouse_id = m.warehouse_id and lot.id = m.lot_id
  join part on part.id = l.part_id
 where s.transfer_warehouse_id = $1 and s.transfer_id = $2 and s.kind = 'transfer-out' and s.state = 'posted'
   and not exists (select 1 from slip r where r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted')
 order by l.transfer_line, s.id, m.line_no, lot.received_on, lot.id`)

/** Everything that was sent and not taken back, with what accounts for it already. */
export async function sentLots(ctx: Context, { warehouseId, id }: Transfer): Promise<SentLot[]> {
  return (await run(ctx, SENT, [warehouseId, id])).map((row) => ({
    ...row,
    quantity: thousandths(row.quantity),
    cost: cents(row.cost),
    charge: cents(row.charge),
    held: row.held.map(({ from, until }) => ({ from: thousandths(from), until: thousandths(until) }))
  }))
}

const cents = (amount: string): bigint => BigInt(amount.replace('.', ''))
const amountOf = (units: bigint): string => {
  const text = (units < 0n ? -units : units).toString().padStart(3, '0')
  return `${units < 0n ? '-' : ''}${text.slice(0, -2)}.${text.slice(-2)}`
}

/** A piece with what became of it. */
export interface Accounted extends Piece<SentLot> {
  kind: 'received' | 'damaged' | 'missing' | 'called-back'
  /** Of what is damaged or missing: the place of the claim among the new ones. */
  claim: number | null
  note: string | null
}

/** A claim that is written with the slip. */
export interface NewClaim {
  line: number
  kind: ClaimKind
  responsible: ResponsibleForLoss
  note: string | null
}

// A line of the slip is a piece; the transfer is told which is which.
const LINK = statement<never>(`
with linked as (
  update slip set transfer_warehouse_id = $2, transfer_id = $3 where warehouse_id = $1 and id = $4
), lined as (
  update slip_line l set transfer_line = x.transfer_line, expected_receipt_id = x.expected_receipt_id
    from unnest($5::int[], $6::int[], $7::bigint[]) as x (line_no, transfer_line, expected_receipt_id)
   where l.warehouse_id = $1 and l.slip_id = $4 and l.line_no = x.line_no
), before as materialized (
  select coalesce(max(claim_no), 0) as claims, (select coalesce(max(arrival_no), 0) from transfer_arrival where warehouse_id = $2 and transfer_id = $3) as arrivals
    from transfer_claim where warehouse_id = $2 and transfer_id = $3
), claimed as (
  insert into transfer_claim (warehouse_id, transfer_id, claim_no, line_no, kind, responsible, note, opened_at, opened_by)
  select $2, $3, before.claims + x.place, x.line_no, x.kind, x.responsible, x.note, $8, $9
    from before, unnest($10::int[], $11::text[], $12::text[], $13::text[]) with ordinality as x (line_no, kind, responsible, note, place)
), arrived as (
  insert into transfer_arrival (warehouse_id, transfer_id, arrival_no, line_no, kind, slip_warehouse_id, slip_id, slip_line_no,
                                out_slip_id, out_line_no, out_lot_id, from_quantity, until_quantity, cost, charge, claim_no)
  select $2, $3, before.arrivals + x.line_no, x.transfer_line, x.kind, $1, $4, x.line_no, x.out_slip_id, x.out_line_no, x.out_lot_id, x.a, x.b, x.cost, x.charge, before.claims + x.claim
    from before, unnest($5::int[], $6::int[], $14::text[], $15::bigint[], $16::int[], $17::bigint[], $18::numeric[], $19::numeric[], $20::numeric[], $21::numeric[], $22::int[])
           as x (line_no, transfer_line, kind, out_slip_id, out_line_no, out_lot_id, a, b, cost, charge, claim)
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($2, $3, $8, $9, $23, jsonb_build_object('slip', $24::text))`)

const NOTES = { damaged: '运输损坏 damaged', missing: '短少 missing' } as const

/**
 * Writes the slip that brings pieces in, at the receiver or back at the giver: each lot exactly as it left, with its age, its cost and what
 * was charged. What is missing is a line that moves nothing and is signed with the rest.
 * @throws Refusal 422 `TooManyLots`, `BeforeDispatch`, and those of `writeSlip`
 */
export async function writeArrival(
  ctx: Context,
  transfer: Transfer,
  warehouse: Warehouse,
  {
    pieces,
    claims,
    event,
    occurredOn = ctx.clock.today(),
    ...said
  }: {
    pieces: readonly Accounted[]
    claims: readonly NewClaim[]
    event: 'in-slip-written' | 'call-back-written'
    occurredOn?: string | undefined
    counterparty: string
    note?: string | undefined
    reason?: string | undefined
  }
): Promise<TransferSlip> {
  if (pieces.length > MAX_LINES)
    throw new Refusal(
      'TooManyLots',
      422,
      `that is ${pieces.length} pieces of lots, and a slip has at most ${MAX_LINES} lines; write several slips of fewer lines`
    )
  const late = pieces.find(({ of }) => of.inTransitSince > occurredOn)
  if (late !== undefined)
    throw new Refusal(
      'BeforeDispatch',
      422,
      `line ${late.of.line} (${late.of.part}) is in transit since ${late.of.inTransitSince}; date the slip on or after that day`,
      {
        errors: [
          {
            pointer: '/occurredOn',
            detail: 'is before the day the goods left',
            sent: occurredOn,
            accepted: `at least ${late.of.inTransitSince}`
          }
        ]
      }
    )
  const slip = await writeSlip(ctx, warehouse, {
    kind: 'transfer-in',
    occurredOn,
    reference: transfer.number,
    ...said,
    lines: pieces.map(lineOf)
  })
  await run(ctx, LINK, [
    warehouse.id,
    transfer.warehouseId,
    transfer.id,
    slip.id,
    pieces.map((_, index) => index + 1),
    pieces.map(({ of }) => of.line),
    pieces.map(({ of, kind }) => (kind === 'received' && of.condition === 'qualified' ? of.expectedReceiptId : null)),
    ctx.clock.now().toString(),
    ctx.actor.personId,
    claims.map(({ line }) => line),
    claims.map(({ kind }) => kind),
    claims.map(({ responsible }) => responsible),
    claims.map(({ note }) => note),
    pieces.map(({ kind }) => kind),
    pieces.map(({ of }) => of.outSlipId),
    pieces.map(({ of }) => of.outLine),
    pieces.map(({ of }) => of.lotId),
    pieces.map(({ from }) => decimal(from, 3)),
    pieces.map(({ until }) => decimal(until, 3)),
    pieces.map(({ cost }) => amountOf(cost)),
    pieces.map(({ charge }) => amountOf(charge)),
    pieces.map(({ claim }) => (claim === null ? null : claim + 1)),
    event,
    slip.number
  ])
  await settle(ctx, transfer)
  return { slip: await readSlip(ctx, { number: slip.number }), transfer: await viewOfTransfer(ctx, transfer) }
}

function lineOf({ of, kind, from, until, cost, charge, note }: Accounted): RoomLine {
  const quantity = decimal(until - from, 3)
  const isOwn = of.ownership === 'own'
  const said = {
    part: of.part,
    unit: of.unit,
    ownership: of.ownership,
    receivedOn: of.receivedOn,
    ...(isOwn && { unitCost: of.unitCost })
  }
  if (kind === 'missing')
    return {
      ...said,
      quantity: '0',
      missing: quantity,
      condition: of.condition,
      note: noteOf(kind, note)
    }
  return {
    ...said,
    quantity,
    condition: kind === 'damaged' ? 'nonconforming' : of.condition,
    ...(kind === 'received' && of.reserveFor !== null && { reserveFor: of.reserveFor }),
    costIn: amountOf(cost),
    chargeIn: amountOf(charge),
    chargedUntil: of.chargedUntil,
    rateSkipped: of.rateSkipped,
    origin: of.origin,
    ...(kind === 'damaged' ? { note: noteOf(kind, note) } : note !== null && { note })
  }
}

const noteOf = (kind: ClaimKind, note: string | null): string => `${NOTES[kind]}${note === null ? '' : `: ${note}`}`
