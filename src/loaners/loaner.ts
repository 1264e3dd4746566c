// A unit as it is kept, how it is found by its serial number, and how it is shown.
//
// Which slip moves a unit is written in `loaner_move` when the slip is; the trigger `slip_moves_loaners` (migration 0023) follows the slip in
// the transaction in which it takes effect. So `lot_id`, `loan_id` and `moving_to` of a unit always say what the ledger says.
//
// Lock order: balances (by reserving or releasing) before units, units before loans; posting takes them in the same order.
import { noteEvent } from '../signing/document-history.ts'
import { maySee, type Context } from '../identity/actor.ts'
import { instant } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, notFound, Refusal } from '../platform/errors.ts'
import type { Condition } from '../ledger/post.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import type { Grade, LoanerState, LoanerSummary, LoanerView, LoanState } from './loaners.schemas.ts'

/** A unit with all that decisions about it need. */
export interface Loaner {
  /** The warehouse that registered it, which leads its key. */
  homeId: number
  id: string
  serial: string
  partId: number
  model: string
  name: string
  nameZh: string | null
  family: string | null
  state: LoanerState
  warehouse: string
  heldById: number
  regionId: number
  movingTo: string | null
  grade: Grade
  condition: Condition
  photoUrl: string | null
  accessories: string[]
  note: string | null
  lot: string | null
  /** Recalls in force that are about it, wherever it is. */
  recalls: string[]
  pending: string | null
  pendingSlip: string | null
  loan: { number: string; state: LoanState; repairOrder: string; dueOn: string; overdue: boolean } | null
  reservation: { id: string; repairOrder: string; until: string; stockReservation: string } | null
  repairReservation: string | null
  inServiceOn: string | null
  outOfServiceOn: string | null
  registeredAt: string
  version: number
}

const OPEN_RESERVATION = (id: string): string =>
  `exists (select 1 from reservation stock where stock.warehouse_id = u.held_by and stock.id = ${id} and stock.released_at is null and stock.consumed < stock.quantity)`

/** State of a unit `u` with its lot `lot`, and its reservation `kept`, as SQL. */
export const LOANER_STATE = `
  case when u.state in ('registered', 'withdrawn', 'retired', 'in-transit') then u.state
       when u.loan_id is not null then case when u.pending = 'loan-in' then 'being-returned' else 'out' end
       when lot.id is null or lot.exhausted then 'missing'
       when u.pending = 'loan-out' then 'being-lent'
       when u.pending = 'transfer-out' then 'being-sent'
       when u.pending = 'retire' then 'being-retired'
       when u.state = 'in-repair' then 'in-repair'
       when lot.blocked then 'blocked'
       when u.condition = 'nonconforming' then 'beyond-repair'
       when kept.id is not null then 'reserved'
       else 'available' end`

/** Recalls in force that are about a unit by these keys, as SQL; the part tells first whether there can be any. */
export const recallsOf = (warehouse: string, id: string, part: string): string =>
  `case when exists (select 1 from recall_scope s where s.part_id = ${part} and s.lifted_at is null)
        then recalls_of_unit(${warehouse}, ${id}) else '{}' end`

/** Columns of a `Loaner`, from `LOANER_FROM`; `$1` is today. */
export const LOANER_COLUMNS = `
  u.warehouse_id as "homeId", u.id::text as id, u.serial, u.part_id as "partId", part.number as model, part.name, part.name_zh as "nameZh", part.loaner_family as family,
  ${LOANER_STATE} as state, held.code as warehouse, u.held_by as "heldById", held.region_id as "regionId",
  (select code from warehouse where id = u.moving_to) as "movingTo", u.grade, u.condition, u.photo_url as "photoUrl", u.accessories, u.note,
  case when not lot.exhausted then u.lot_id::text end as lot, ${recallsOf('u.warehouse_id', 'u.id', 'u.part_id')} as recalls, u.pending,
  (select number from slip where warehouse_id = u.pending_warehouse_id and id = u.pending_slip_id) as "pendingSlip",
  case when loan.id is not null then json_build_object('number', loan.number, 'state', loan.state, 'repairOrder', loan.repair_order, 'dueOn', loan.due_on,
                                                       'overdue', loan.state = 'out' and loan.due_on < $1::date) end as loan,
  case when kept.id is not null then json_build_object('id', kept.id::text, 'repairOrder', kept.repair_order, 'until', kept.until_on, 'stockReservation', kept.reservation_id::text) end as reservation,
  case when u.repair_reservation_id is not null and ${OPEN_RESERVATION('u.repair_reservation_id')} then u.repair_reservation_id::text end as "repairReservation",
  u.in_service_on::text as "inServiceOn", u.out_of_service_on::text as "outOfServiceOn", u.registered_at as "registeredAt", u.version`

/** Units `u` with their model, place, lot, loan and reservation. */
export const LOANER_FROM = `
  loaner_unit u
  join part on part.id = u.part_id
  join warehouse held on held.id = u.held_by
  left join lot on lot.warehouse_id = u.held_by and lot.id = u.lot_id
  left join lateral (select * from loan l where l.warehouse_id = u.loan_warehouse_id and l.id = u.loan_id
                      union all
                     select l.* from loaner_move mv join loan l on l.warehouse_id = mv.warehouse_id and l.id = mv.loan_id
                      where u.pending = 'loan-out' and mv.warehouse_id = u.pending_warehouse_id and mv.slip_id = u.pending_slip_id limit 1) loan on true
  left join lateral (select * from loaner_reservation r where r.unit_warehouse_id = u.warehouse_id and r.unit_id = u.id and r.ended_at is null
                        and r.until_on >= $1::date and ${OPEN_RESERVATION('r.reservation_id')}) kept on true`

// What is scanned at the counter: one statement, every step of it by a key.
const BY_SERIAL = statement<Loaner & { history: LoanerView['history'] }>(`
select ${LOANER_COLUMNS},
       coalesce((select json_agg(json_build_object('at', e.occurred_at, 'by', e.username, 'event', e.event, 'details', e.details) order by e.id desc)
                   from (select d.id, d.occurred_at, d.event, d.details, person.username
                           from document_event d join person on person.id = d.person_id
                          where d.warehouse_id = u.warehouse_id and d.document_id = u.id order by d.id desc limit 20) e), '[]') as history
  from ${LOANER_FROM}
 where upper(u.serial) = upper($2) and u.state <> 'withdrawn'`)

const LOCKED = statement<Loaner>(`
select ${LOANER_COLUMNS} from ${LOANER_FROM} where u.warehouse_id = $2 and u.id = $3`)
const LOCK = statement<never>('select 1 from loaner_unit where warehouse_id = $1 and id = $2 for no key update')

/**
 * A unit that the actor may see where it is, or where it goes to.
 * @throws Refusal 404
 */
export async function loanerBySerial(
  ctx: Context,
  serial: string
): Promise<{ unit: Loaner; warehouse: Warehouse; history: LoanerView['history'] }> {
  const [found] = await run(ctx, BY_SERIAL, [ctx.clock.today(), serial])
  if (found === undefined) throw notFound('loaner', serial)
  const warehouse = await warehouseByCode(ctx, found.warehouse)
  const seen =
    maySee(ctx, warehouse) || (found.movingTo !== null && maySee(ctx, await warehouseByCode(ctx, found.movingTo)))
  if (!seen) throw notFound('loaner', serial)
  const { history, ...unit } = found
  return { unit, warehouse, history }
}

/** The unit as it is now, locked until the commit: what is decided about it then still holds when it is written. */
export async function lockLoaner(ctx: Context, { homeId, id, serial }: Pick<Loaner, 'homeId' | 'id' | 'serial'>) {
  await run(ctx, LOCK, [homeId, id])
  const [unit] = await run(ctx, LOCKED, [ctx.clock.today(), homeId, id])
  if (unit === undefined) throw notFound('loaner', serial)
  return unit
}

const IN_WORDS: Record<LoanerState, string> = {
  registered: 'is not in service yet; post the slip that brings it in',
  available: 'is on the shelf and free',
  reserved: 'is reserved; end the reservation first',
  'being-lent': 'is being lent; post or cancel the slip',
  out: 'is out on loan; have it returned first',
  'being-returned': 'is being returned; post the slip',
  'in-repair': 'is in repair; report it back first',
  'beyond-repair': 'is nonconforming; it is only retired or sent to another warehouse',
  blocked: 'is blocked; until the recall is lifted it is only repaired or retired',
  'being-sent': 'is about to be sent to another warehouse; cancel that slip first',
  'in-transit': 'is on its way to another warehouse, which takes it in',
  'being-retired': 'is about to be retired; cancel that slip first',
  retired: 'is retired',
  missing: 'was found missing by a count; have the adjustment reversed if that was wrong, else retire it',
  withdrawn: 'never came'
}

/** @throws Refusal 409 `LoanerNotAvailable`, saying what it is instead */
export function requireLoanerState(unit: Loaner, accepted: readonly LoanerState[]): void {
  if (accepted.includes(unit.state)) return
  const by = unit.pendingSlip ?? unit.loan?.number
  throw new Refusal(
    'LoanerNotAvailable',
    409,
    `unit ${unit.serial} ${IN_WORDS[unit.state]}${by == null ? '' : ` (${by})`}${recalledBy(unit)}`,
    {
      extra: {
        serial: unit.serial,
        state: unit.state,
        accepted,
        ...(unit.pendingSlip !== null && { slip: unit.pendingSlip }),
        ...(unit.recalls.length > 0 && { recalls: unit.recalls }),
        ...(unit.loan !== null && { loan: unit.loan.number, dueOn: unit.loan.dueOn })
      }
    }
  )
}

const recalledBy = ({ recalls }: Loaner): string =>
  recalls.length === 0 ? '' : `; recall ${recalls.join(', ')} is about it`

/** What is shown of a unit. */
export function loanerSummary(unit: Loaner): LoanerSummary {
  const { serial, model, name, nameZh, family, state, warehouse, movingTo, grade, condition, photoUrl, accessories } =
    unit
  const { note, lot, recalls, pendingSlip, loan, reservation, inServiceOn, outOfServiceOn, registeredAt, version } =
    unit
  return {
    serial,
    model,
    name,
    nameZh,
    family,
    state,
    warehouse,
    movingTo,
    grade,
    condition,
    photoUrl,
    accessories,
    note,
    lot,
    recalls,
    pendingSlip,
    loan,
    reservation: reservation === null ? null : { repairOrder: reservation.repairOrder, until: reservation.until },
    inServiceOn,
    outOfServiceOn,
    registeredAt: instant(registeredAt),
    version
  }
}

/** A unit by its serial number: where it is, what can be done with it, and what happened last. */
export async function readLoaner(ctx: Context, { serial }: { serial: string }): Promise<LoanerView> {
  const { unit, history } = await loanerBySerial(ctx, serial)
  return { ...loanerSummary(unit), history: history.map((event) => ({ ...event, at: instant(event.at) })) }
}

const MOVE = statement<never>(`
with moving as (
  insert into loaner_move (warehouse_id, slip_id, line_no, unit_warehouse_id, unit_id, purpose, loan_id, other_warehouse_id)
  values ($1, $2, 1, $3, $4, $5, $6, $7)
)
update loaner_unit set pending = $5, pending_warehouse_id = $1, pending_slip_id = $2, version = version + 1
 where warehouse_id = $3 and id = $4`)

/** Notes that the first line of a slip moves a locked unit. */
export const moveBy = async (
  ctx: Context,
  unit: Loaner,
  {
    warehouseId,
    slipId,
    purpose,
    loanId = null,
    otherWarehouseId = null
  }: {
    warehouseId: number
    slipId: string
    purpose: 'loan-out' | 'loan-in' | 'retire' | 'transfer-out' | 'transfer-in'
    loanId?: string | null
    otherWarehouseId?: number | null
  }
): Promise<void> => {
  await run(ctx, MOVE, [warehouseId, slipId, unit.homeId, unit.id, purpose, loanId, otherWarehouseId])
}

/** The history of a unit lies where it was registered. Nothing about customers goes in there: histories are never erased. */
export const noteOnUnit = (
  ctx: Context,
  { homeId, id }: Pick<Loaner, 'homeId' | 'id'>,
  event: string,
  details: Record<string, unknown> | null = null
): Promise<void> => noteEvent(ctx, { warehouseId: homeId, id }, event, details)

/** The line of a slip that moves one unit; its serial number is part of what is signed. */
export const unitLine = ({ model, serial, condition }: Pick<Loaner, 'model' | 'serial' | 'condition'>) =>
  ({ part: model, quantity: '1', condition, isLoanerUnit: true, note: `S/N ${serial}` }) as const

/** What the piece of a unit in repair is promised to. */
export const promisedToRepair = (serial: string): string => `维修 repair S/N ${serial}`

/** What the unique key of serial numbers refuses, in words. */
export const isSerialTaken = (error: unknown): boolean => constraintOf(error) === 'loaner_unit_serial_unique'
