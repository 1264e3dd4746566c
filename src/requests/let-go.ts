// Takes allocations of a request back that are not issued: what is reserved becomes available, transfers of which nothing left are
// withdrawn, slips that are written and not posted are cancelled. Whoever calls it holds the request.
import type { Context } from '../identity/actor.ts'
import { releaseReservations, shrinkReservation } from '../ledger/reserve.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { withdrawTransfer } from '../transfers/withdraw-transfer.ts'
import { Overtaken } from '../platform/after-deadlock.ts'

export interface LiveAllocation {
  line: number
  no: number
  partId: number
  part: string
  factor: string
  quantity: string
  issued: string
  state: 'reserved' | 'on-its-way' | 'ready'
  fromId: number
  from: string
  reservationId: string | null
  transferId: string | null
  transfer: string | null
  /** Of what it waits for, what has left the giver or waits there to leave. */
  hasLeft: boolean
  centreReservationId: string | null
  backorderId: string | null
}

// Those of backorders last: what was found first is kept longest, and what nobody confirmed is given up first.
const LIVE = statement<LiveAllocation>(`
select a.line_no as line, a.allocation_no as no, a.part_id as "partId", part.number as part, a.factor::text as factor, trim_scale(a.quantity)::text as quantity,
       trim_scale(a.issued)::text as issued, a.state, a.from_warehouse_id as "fromId", giver.code as "from", a.reservation_id::text as "reservationId",
       a.transfer_id::text as "transferId", t.number as transfer,
       a.state = 'on-its-way' and exists (select 1 from transfer_line_position p where p.warehouse_id = a.from_warehouse_id and p.transfer_id = a.transfer_id and p.sent > 0) as "hasLeft",
       a.centre_reservation_id::text as "centreReservationId", a.backorder_id::text as "backorderId"
  from request_allocation a
  join part on part.id = a.part_id
  join warehouse giver on giver.id = a.from_warehouse_id
  left join transfer t on t.warehouse_id = a.from_warehouse_id and t.id = a.transfer_id
 where a.warehouse_id = $1 and a.request_id = $2 and a.state in ('reserved', 'on-its-way', 'ready') and ($3::int[] is null or a.line_no = any ($3))
 order by a.line_no, array_position(array['reserved', 'ready', 'on-its-way'], a.state), a.allocation_no desc
   for update of a`)

/** What a request still has coming, held; first what is given up first. */
export const liveAllocations = (
  ctx: Context,
  outletId: number,
  requestId: string,
  lines?: readonly number[]
): Promise<LiveAllocation[]> => run(ctx, LIVE, [outletId, requestId, lines ?? null])

const END = statement<never>(`
update request_allocation a
   set quantity = case when a.quantity - e.gone > 0 then a.quantity - e.gone else a.quantity end,
       state = case when a.quantity - e.gone > a.issued then a.state when a.issued > 0 then 'issued' else 'ended' end,
       ended_at = case when a.quantity - e.gone <= a.issued and a.issued = 0 then $6::timestamptz end,
       ended_because = case when a.quantity - e.gone <= a.issued and a.issued = 0 then $7::text end
  from unnest($3::int[], $4::int[], $5::numeric[]) as e (line_no, allocation_no, gone)
 where a.warehouse_id = $1 and a.request_id = $2 and a.line_no = e.line_no and a.allocation_no = e.allocation_no`)

export interface Gone {
  allocation: LiveAllocation
  /** Stock units of its part. */
  quantity: string
}

/** Writes that so much of allocations came to nothing; their reservations are not touched. */
export const endAllocations = async (
  ctx: Context,
  { outletId, requestId, because }: { outletId: number; requestId: string; because: string },
  gone: readonly { line: number; no: number; quantity: string }[]
): Promise<void> => {
  const sums = [...Map.groupBy(gone, ({ line, no }) => `${line}.${no}`).values()].map((some) => ({
    line: some[0]?.line,
    no: some[0]?.no,
    quantity: decimal(
      some.reduce((sum, { quantity }) => sum + thousandths(quantity), 0n),
      3
    )
  }))
  if (sums.length === 0) return
  await run(ctx, END, [
    outletId,
    requestId,
    sums.map(({ line }) => line),
    sums.map(({ no }) => no),
    sums.map(({ quantity }) => quantity),
    ctx.clock.now().toString(),
    because
  ])
}

const DROP_SLIPS = statement<{ number: string }>(`
with named as (
  select s.id, s.number from slip s
   where s.warehouse_id = $1 and s.state not in ('posted', 'cancelled')
     and exists (select 1 from slip_line l where l.warehouse_id = s.warehouse_id and l.slip_id = s.id and l.reservation_id = any ($2::bigint[]))
   order by s.id for no key update
), cancelled as (
  update slip s set state = 'cancelled', version = version + 1, approved_at = null from named where s.warehouse_id = $1 and s.id = named.id
  returning s.id, s.number
), voided as (
  update signature g set voided_at = $3 from cancelled where g.warehouse_id = $1 and g.document_id = cancelled.id and g.voided_at is null
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, id, $3, $4, 'cancelled', jsonb_build_object('reason', $5::text) from cancelled order by id
)
select number from cancelled order by number`)

/**
 * Cancels the slips of a centre that name these reservations and are not posted. What else stood on them is ready again.
 * @returns their numbers
 */
export async function dropSlips(
  ctx: Context,
  { centreId, reservations, because }: { centreId: number; reservations: readonly string[]; because: string }
): Promise<string[]> {
  if (reservations.length === 0) return []
  const dropped = await run(ctx, DROP_SLIPS, [
    centreId,
    reservations,
    ctx.clock.now().toString(),
    ctx.actor.personId,
    because
  ])
  return dropped.map(({ number }) => number)
}

const ON_TRANSFERS = statement<{ line: number; no: number; transferId: string; fromId: number; quantity: string }>(`
select a.line_no as line, a.allocation_no as no, a.transfer_id::text as "transferId", a.from_warehouse_id as "fromId", trim_scale(a.quantity - a.issued)::text as quantity
  from request_allocation a
 where a.warehouse_id = $1 and a.request_id = $2 and a.state = 'on-its-way' and a.transfer_id = any ($3::bigint[])
   for update of a`)

const HANDED_OUT = statement<{ id: string }>(`
select v.id::text as id
  from unnest($1::int[], $2::bigint[], $3::numeric[]) as e (warehouse_id, id, open)
  join reservation v on v.warehouse_id = e.warehouse_id and v.id = e.id and v.released_at is null and v.quantity - v.consumed < e.open`)

/**
 * Does not give up what a slip took that was posted a moment ago and is not counted yet: the transaction is done again, and counts it. Asked after the slips that are not posted are
 * held: no other one can take from the reservations.
 * @throws Overtaken
 */
async function overtakenByHandingOut(ctx: Context, centreId: number, gone: readonly Gone[]): Promise<void> {
  const held = gone.flatMap(({ allocation }) => {
    const key = reservationOf(allocation, centreId)
    return key === null
      ? []
      : [{ ...key, open: decimal(thousandths(allocation.quantity) - thousandths(allocation.issued), 3) }]
  })
  const taken = await run(ctx, HANDED_OUT, [
    held.map(({ warehouseId }) => warehouseId),
    held.map(({ id }) => id),
    held.map(({ open }) => open)
  ])
  if (taken.length === 0) return
  throw new Overtaken('goods were handed out by a slip at the same moment')
}

/** What letting go did besides. */
export interface LetGo {
  slips: string[]
  transfers: string[]
  /** Lines that lost goods because the transfer of another line was withdrawn: they are planned anew. */
  affected: number[]
}

/**
 * Gives up so much of allocations, none of which has left its giver.
 * @throws Overtaken if goods are handed out or leave at the same moment
 * @returns the slips and transfers that were dropped with it, and whose other lines must be planned anew
 */
export async function letGo(
  ctx: Context,
  {
    outletId,
    requestId,
    centreId,
    because
  }: { outletId: number; requestId: string; centreId: number; because: string },
  gone: readonly Gone[]
): Promise<LetGo> {
  if (gone.length === 0) return { slips: [], transfers: [], affected: [] }
  const slips = await dropSlips(ctx, {
    centreId,
    reservations: gone.flatMap(({ allocation }) => allocation.centreReservationId ?? []),
    because
  })
  await overtakenByHandingOut(ctx, centreId, gone)
  const { transfers, lost } = await withdrawOf(ctx, { outletId, requestId, because }, gone)
  const whole: { warehouseId: number; id: string }[] = []
  for (const { allocation, quantity } of gone) {
    const key = reservationOf(allocation, centreId)
    if (key === null) continue
    const isAll = thousandths(quantity) >= thousandths(allocation.quantity) - thousandths(allocation.issued)
    if (isAll) whole.push(key)
    else await shrinkReservation(ctx, { ...key, by: quantity })
  }
  await releaseReservations(ctx, whole)
  await endAllocations(ctx, { outletId, requestId, because }, [
    ...gone.map(({ allocation, quantity }) => ({ line: allocation.line, no: allocation.no, quantity })),
    ...lost
  ])
  return { slips, transfers, affected: [...new Set(lost.map(({ line }) => line))] }
}

/** Where it is promised now; a transfer takes back what it holds itself. */
function reservationOf(
  { state, fromId, reservationId, centreReservationId }: LiveAllocation,
  centreId: number
): { warehouseId: number; id: string } | null {
  if (state === 'on-its-way') return null
  if (centreReservationId !== null) return { warehouseId: centreId, id: centreReservationId }
  return reservationId === null ? null : { warehouseId: fromId, id: reservationId }
}

/** A transfer is withdrawn whole; what else it was to bring is lost with it. */
async function withdrawOf(
  ctx: Context,
  { outletId, requestId, because }: { outletId: number; requestId: string; because: string },
  gone: readonly Gone[]
): Promise<{ transfers: string[]; lost: { line: number; no: number; quantity: string }[] }> {
  const going = new Map(
    gone.flatMap(({ allocation }) =>
      allocation.state === 'on-its-way' && allocation.transferId !== null
        ? [[allocation.transferId, allocation] as const]
        : []
    )
  )
  if (going.size === 0) return { transfers: [], lost: [] }
  const transfers: string[] = []
  for (const [id, { fromId, transfer }] of [...going].toSorted(([, a], [, b]) => a.fromId - b.fromId)) {
    const isWithdrawn = await withdrawTransfer(ctx, { warehouseId: fromId, id, because })
    if (!isWithdrawn) throw new Overtaken(`goods of transfer ${transfer} are leaving at the same moment`)
    if (transfer !== null) transfers.push(transfer)
  }
  const all = await run(ctx, ON_TRANSFERS, [outletId, requestId, [...going.keys()]])
  const lost = all.flatMap(({ line, no, quantity }) => {
    const given = gone.find(({ allocation }) => allocation.line === line && allocation.no === no)
    const rest = thousandths(quantity) - thousandths(given?.quantity ?? '0')
    return rest > 0n ? [{ line, no, quantity: decimal(rest, 3) }] : []
  })
  return { transfers, lost }
}

/** What is not issued of an allocation, in the part of its line, rounded as the position of the line is. */
export const openInLine = ({ quantity, issued, factor }: LiveAllocation): bigint => {
  const divisor = thousandths(factor)
  return ((thousandths(quantity) - thousandths(issued)) * 2000n + divisor) / (2n * divisor)
}
