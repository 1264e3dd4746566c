// What was promised sets off: transfers from where goods lie, and what lies at the centre is ready to be handed out.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { calendarOf } from '../platform/working-days.ts'
import { openTransfer } from '../transfers/open-transfer.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { lockRequest, noteOnRequest, warehousesById, type LockedRequest } from './locked-request.ts'

/** Until when goods are kept for a requester who does not fetch them, and until when one who is asked may answer. */
export async function expiriesFrom(ctx: Context, day: string): Promise<{ fetched: string; confirmed: string }> {
  const calendar = await calendarOf(ctx)
  return {
    fetched: calendar.addWorkingDays(day, ctx.config.RESERVATION_DAYS),
    confirmed: calendar.addWorkingDays(day, ctx.config.CONFIRMATION_DAYS)
  }
}

interface Moving {
  line: number
  no: number
  fromId: number
  partId: number
  part: string
  ownership: 'own' | 'consigned'
  quantity: string
  reservationId: string
  isHere: boolean
}

// What may move: nobody is asked about it, or the answer was yes.
const MOVING = statement<Moving>(`
select a.line_no as line, a.allocation_no as no, a.from_warehouse_id as "fromId", a.part_id as "partId", part.number as part, a.ownership,
       trim_scale(a.quantity - a.issued)::text as quantity, a.reservation_id::text as "reservationId", a.centre_reservation_id is not null as "isHere"
  from request_allocation a
  join part on part.id = a.part_id
 where a.warehouse_id = $1 and a.request_id = $2 and a.state = 'reserved' and (not a.needs_confirmation or a.confirmed_at is not null)
 order by a.from_warehouse_id, a.line_no, a.allocation_no
   for update of a`)

const SET_OFF = statement<never>(`
update request_allocation a set transfer_id = m.transfer_id, state = case when m.transfer_id is null then 'ready' else 'on-its-way' end,
       expires_on = case when m.transfer_id is null then $6::date end
  from unnest($3::int[], $4::int[], $5::bigint[]) as m (line_no, allocation_no, transfer_id)
 where a.warehouse_id = $1 and a.request_id = $2 and a.line_no = m.line_no and a.allocation_no = m.allocation_no`)

/**
 * Sets off what a request has been promised and nobody is asked about: a transfer from each warehouse where goods lie, and what lies at the
 * centre is ready to be handed out. Call it as well when the requester confirmed a backorder; a second call finds nothing to move.
 */
export async function moveAllocations(
  ctx: Context,
  { outlet, requestId, request: held }: { outlet: Warehouse; requestId: string; request?: LockedRequest }
): Promise<void> {
  const request = held ?? (await lockRequest(ctx, outlet.id, requestId))
  const moving = await run(ctx, MOVING, [outlet.id, requestId])
  if (moving.length === 0) return
  const places = await warehousesById(ctx, [request.centreId, ...moving.map(({ fromId }) => fromId)])
  const centre = places.get(request.centreId)
  if (centre === undefined) throw new Error(`centre ${request.centreId} is not known`)
  const transfers = new Map<number, { id: string; number: string }>()
  for (const [fromId, lines] of Map.groupBy(
    moving.filter(({ isHere }) => !isHere),
    (line) => line.fromId
  )) {
    const from = places.get(fromId)
    if (from === undefined) throw new Error(`warehouse ${fromId} is not known`)
    const transfer = await openTransfer(ctx, {
      from,
      to: centre,
      lines: lines.map(({ line, no, partId, part, ownership, quantity, reservationId }) => ({
        partId,
        part,
        ownership,
        quantity,
        reservationId,
        reserveFor: `${request.number}/${line}.${no}`
      })),
      carriage: request.carriage,
      directTo: request.urgency === 'emergency' ? outlet : null,
      reference: request.number,
      because: `request ${request.number} of ${outlet.code}`
    })
    transfers.set(fromId, transfer)
  }
  const { fetched } = await expiriesFrom(ctx, ctx.clock.today())
  await run(ctx, SET_OFF, [
    outlet.id,
    requestId,
    moving.map(({ line }) => line),
    moving.map(({ no }) => no),
    moving.map(({ isHere, fromId }) => (isHere ? null : (transfers.get(fromId)?.id ?? null))),
    fetched
  ])
  const events = [
    ...[...transfers].map(([fromId, { number }]) => ({
      event: 'transfer-ordered',
      details: {
        transfer: number,
        from: places.get(fromId)?.code,
        lines: moving.filter((line) => line.fromId === fromId && !line.isHere).map(({ line }) => line)
      }
    })),
    ...moving
      .filter(({ isHere }) => isHere)
      .map(({ line, part, quantity }) => ({ event: 'ready', details: { line, part, quantity } }))
  ]
  await noteOnRequest(ctx, { outletId: outlet.id, requestId }, events)
}
