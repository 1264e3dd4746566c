import { requireDuty, type Context } from '../identity/actor.ts'
import { releaseReservations } from '../ledger/reserve.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import {
  loanerBySerial,
  lockLoaner,
  noteOnUnit,
  promisedToRepair,
  readLoaner,
  requireLoanerState,
  type Loaner
} from './loaner.ts'
import type { Grade, LoanerState, LoanerView } from './loaners.schemas.ts'
import { endLapsedReservation, promiseUnit, requireSamePlace } from './reserve-loaner.ts'

// A recall that is lifted holds the balances, too, and then promises what is in repair: of the two one looks after the other.
const HOLD_BALANCES = statement<never>(
  `select 1 from balance where warehouse_id = $1 and part_id = $2 order by ownership, condition for no key update`
)

const SEND = statement<never>(`
update loaner_unit set state = 'in-repair', repair_reservation_id = $3, version = version + 1 where warehouse_id = $1 and id = $2`)

/**
 * Sends a unit to repair. It stays in the books of its warehouse: nothing moves, but it is promised to the repair, so that nobody is offered it.
 * What a recall blocks may be repaired, too, and stays blocked until the recall is lifted (R-REQ-7): nobody is offered it anyhow.
 * @throws Refusal 409 `LoanerNotAvailable`, 403, 404
 */
export async function sendLoanerToRepair(
  ctx: Context,
  { serial, reason }: { serial: string; reason: string }
): Promise<LoanerView> {
  const { unit: found, warehouse } = await loanerBySerial(ctx, serial)
  requireDuty(ctx, 'keeper', warehouse)
  requireRepairable(found, ['available', 'blocked'])
  return inTransaction(ctx, async (inner) => {
    await run(inner, HOLD_BALANCES, [found.heldById, found.partId])
    await endLapsedReservation(inner, found)
    const promised = found.state === 'blocked' ? null : await promiseUnit(inner, found, promisedToRepair(found.serial))
    const unit = await lockLoaner(inner, found)
    requireSamePlace(found, unit)
    requireRepairable(unit, [found.state])
    await run(inner, SEND, [unit.homeId, unit.id, promised])
    await noteOnUnit(inner, unit, 'sent-to-repair', { reason })
    return readLoaner(inner, { serial })
  })
}

/** What is nonconforming is beyond repair, whether a recall blocks it or not. */
const requireRepairable = (unit: Loaner, accepted: readonly LoanerState[]): void =>
  requireLoanerState(
    unit.state === 'blocked' && unit.condition === 'nonconforming' ? { ...unit, state: 'beyond-repair' } : unit,
    accepted
  )

const BACK = statement<never>(`
update loaner_unit set state = 'in-service', repair_reservation_id = null, grade = coalesce($3, grade), version = version + 1 where warehouse_id = $1 and id = $2`)

/**
 * A unit is back from repair and can be lent again, unless a recall blocks it: then as soon as that is lifted.
 * @throws Refusal 409 `LoanerNotAvailable`, 403, 404
 */
export async function reportLoanerRepaired(
  ctx: Context,
  { serial, grade, note }: { serial: string; grade?: Grade | undefined; note: string }
): Promise<LoanerView> {
  const { unit: found, warehouse } = await loanerBySerial(ctx, serial)
  requireDuty(ctx, 'keeper', warehouse)
  requireLoanerState(found, ['in-repair'])
  return inTransaction(ctx, async (inner) => {
    await run(inner, HOLD_BALANCES, [found.heldById, found.partId])
    const unit = await lockLoaner(inner, found)
    requireSamePlace(found, unit)
    requireLoanerState(unit, ['in-repair'])
    if (unit.repairReservation !== null)
      await releaseReservations(inner, [{ warehouseId: unit.heldById, id: unit.repairReservation }])
    await run(inner, BACK, [unit.homeId, unit.id, grade ?? null])
    await noteOnUnit(inner, unit, 'repaired', { note, grade: grade ?? unit.grade })
    return readLoaner(inner, { serial })
  })
}
