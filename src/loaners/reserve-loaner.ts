import { requireDuty, type Context } from '../identity/actor.ts'
import { releaseReservations, reserveAll } from '../ledger/reserve.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { loanerBySerial, lockLoaner, noteOnUnit, readLoaner, requireLoanerState, type Loaner } from './loaner.ts'
import type { LoanerView } from './loaners.schemas.ts'

const RESERVE = statement<never>(`
insert into loaner_reservation (warehouse_id, unit_warehouse_id, unit_id, repair_order, until_on, reservation_id, reserved_by, reserved_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)`)
// What is left of an earlier reservation, run out or broken by a recall, ends with the new one. By a statement of its own: within one, nothing says
// which of two changes of a table comes first.
const SUPERSEDE = statement<never>(`
update loaner_reservation set ended_at = $3, ended_because = 'superseded' where unit_warehouse_id = $1 and unit_id = $2 and ended_at is null`)
const LEFT_OVER = statement<{ warehouseId: number; id: string }>(`
select warehouse_id as "warehouseId", reservation_id::text as id from loaner_reservation where unit_warehouse_id = $1 and unit_id = $2 and ended_at is null`)

/** One piece of the unit's model, promised in the ledger, so that the stock network does not offer it. Balances are locked before units. */
export async function promiseUnit(ctx: Context, unit: Loaner, reservedFor: string): Promise<string> {
  const promised = await reserveAll(ctx, [
    {
      warehouseId: unit.heldById,
      partId: unit.partId,
      part: unit.model,
      ownership: 'own',
      quantity: '1',
      reservedFor
    }
  ])
  const [id] = 'ids' in promised ? promised.ids : []
  if (id !== undefined) return id
  throw new Refusal(
    'LoanerNotAvailable',
    409,
    `every unit of ${unit.model} in ${unit.warehouse} is out, promised or blocked; GET /v1/loaners?model=${unit.model} shows where others are`
  )
}

/**
 * Keeps a unit for a coming repair (R-LOAN-1): until that day it is lent for this repair order only.
 * @throws Refusal 422 `UntilInPast`, `ReservedTooLong`, 409 `LoanerNotAvailable`, 403, 404
 */
export async function reserveLoaner(
  ctx: Context,
  { serial, repairOrder, until }: { serial: string; repairOrder: string; until: string }
): Promise<LoanerView> {
  const { unit: found, warehouse } = await loanerBySerial(ctx, serial)
  requireDuty(ctx, ['keeper', 'operations-supervisor'], warehouse)
  const today = ctx.clock.today()
  const latest = Temporal.PlainDate.from(today).add({ days: ctx.config.LOAN_DAYS }).toString()
  if (until < today || until > latest) {
    throw new Refusal(
      until < today ? 'UntilInPast' : 'ReservedTooLong',
      422,
      `a unit is kept until a day from ${today} to ${latest}, not ${until}`,
      {
        errors: [
          {
            pointer: '/until',
            detail: until < today ? 'is in the past' : 'is too far away',
            sent: until,
            accepted: `${today} to ${latest}`
          }
        ]
      }
    )
  }
  requireLoanerState(found, ['available'])
  return inTransaction(ctx, async (inner) => {
    await releaseReservations(inner, await run(inner, LEFT_OVER, [found.homeId, found.id]))
    const reservation = await promiseUnit(inner, found, repairOrder)
    const unit = await lockLoaner(inner, found)
    requireSamePlace(found, unit)
    requireLoanerState(unit, ['available'])
    await run(inner, SUPERSEDE, [unit.homeId, unit.id, inner.clock.now().toString()])
    await run(inner, RESERVE, [
      unit.heldById,
      unit.homeId,
      unit.id,
      repairOrder,
      until,
      reservation,
      inner.actor.personId,
      inner.clock.now().toString()
    ])
    await noteOnUnit(inner, unit, 'reserved', { repairOrder, until })
    return readLoaner(inner, { serial })
  })
}

/** What was promised in a warehouse is of no use if the unit left it meanwhile. */
export function requireSamePlace(found: Loaner, unit: Loaner): void {
  if (found.heldById === unit.heldById) return
  throw new Refusal('LoanerNotAvailable', 409, `unit ${unit.serial} left ${found.warehouse} at this moment`)
}

const OPEN = statement<{ warehouseId: number; reservation: string }>(`
select warehouse_id as "warehouseId", reservation_id::text as reservation from loaner_reservation where unit_warehouse_id = $1 and unit_id = $2 and ended_at is null`)
const END = statement<{ repairOrder: string }>(`
update loaner_reservation set ended_at = $3, ended_because = $4 where unit_warehouse_id = $1 and unit_id = $2 and ended_at is null
returning repair_order as "repairOrder"`)

/**
 * Ends a reservation by hand; the unit may be lent to anybody.
 * @throws Refusal 409 `NotReserved`, `LoanerNotAvailable` while it is being lent for it, 403, 404
 */
export async function endLoanerReservation(ctx: Context, { serial }: { serial: string }): Promise<LoanerView> {
  const { unit: found, warehouse } = await loanerBySerial(ctx, serial)
  requireDuty(ctx, ['keeper', 'operations-supervisor'], warehouse)
  return inTransaction(ctx, async (inner) => {
    const [open] = await run(inner, OPEN, [found.homeId, found.id])
    if (open === undefined) throw new Refusal('NotReserved', 409, `unit ${found.serial} is not reserved`)
    await releaseReservations(inner, [{ warehouseId: open.warehouseId, id: open.reservation }])
    const unit = await lockLoaner(inner, found)
    if (unit.pending === 'loan-out') requireLoanerState(unit, ['reserved'])
    const [ended] = await run(inner, END, [unit.homeId, unit.id, inner.clock.now().toString(), 'by hand'])
    if (ended !== undefined) await noteOnUnit(inner, unit, 'reservation-ended', { ...ended, because: 'by hand' })
    return readLoaner(inner, { serial })
  })
}

// A unit that is being lent for its reservation keeps it: the slip takes from it.
const EXPIRED = statement<{ warehouseId: number; id: string; reservation: string }>(`
select r.warehouse_id as "warehouseId", r.id::text as id, r.reservation_id::text as reservation
  from loaner_reservation r
  join loaner_unit u on u.warehouse_id = r.unit_warehouse_id and u.id = r.unit_id and u.pending is distinct from 'loan-out'
 where r.ended_at is null and r.until_on < $1::date
 order by r.warehouse_id, r.id limit 500`)
const EXPIRE = statement<{ id: string }>(`
with ended as (
  update loaner_reservation r set ended_at = $3, ended_because = 'expired'
    from unnest($1::int[], $2::bigint[]) as e (warehouse_id, id)
   where r.warehouse_id = e.warehouse_id and r.id = e.id and r.ended_at is null
  returning r.*
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select unit_warehouse_id, unit_id, $3, $4, 'reservation-ended', jsonb_build_object('repairOrder', repair_order, 'because', 'expired') from ended
)
select id::text as id from ended`)

const LAPSED = statement<{ warehouseId: number; id: string; reservation: string }>(`
select r.warehouse_id as "warehouseId", r.id::text as id, r.reservation_id::text as reservation
  from loaner_reservation r
  join loaner_unit u on u.warehouse_id = r.unit_warehouse_id and u.id = r.unit_id and u.pending is distinct from 'loan-out'
 where r.unit_warehouse_id = $2 and r.unit_id = $3 and r.ended_at is null and r.until_on < $1::date`)

/** Ends a reservation of the unit whose last day is past, as the job does at night: whoever comes before it must not find the piece promised. */
export async function endLapsedReservation(ctx: Context, { homeId, id }: Loaner): Promise<void> {
  const lapsed = await run(ctx, LAPSED, [ctx.clock.today(), homeId, id])
  if (lapsed.length > 0) await expire(ctx, lapsed)
}

async function expire(
  ctx: Context,
  due: readonly { warehouseId: number; id: string; reservation: string }[]
): Promise<number> {
  await releaseReservations(
    ctx,
    due.map(({ warehouseId, reservation }) => ({ warehouseId, id: reservation }))
  )
  const ended = await run(ctx, EXPIRE, [
    due.map(({ warehouseId }) => warehouseId),
    due.map(({ id }) => id),
    ctx.clock.now().toString(),
    ctx.actor.personId
  ])
  return ended.length
}

/**
 * Ends reservations whose last day is past. A reservation has run out if and only if its day is before today and its unit is not being
 * lent for it. What ended is not found again, so a second run changes nothing.
 */
export async function expireLoanerReservations(ctx: Context): Promise<{ expired: number }> {
  let expired = 0
  for (;;) {
    const portion = await inTransaction(ctx, async (inner) => {
      const due = await run(inner, EXPIRED, [inner.clock.today()])
      return due.length === 0 ? 0 : expire(inner, due)
    })
    expired += portion
    if (portion === 0) return { expired }
  }
}
