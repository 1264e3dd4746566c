import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { writeSlip } from '../slips/create-slip.ts'
import { loanerBySerial, lockLoaner, moveBy, noteOnUnit, readLoaner, requireLoanerState, unitLine } from './loaner.ts'
import type { LoanerView } from './loaners.schemas.ts'
import { endLapsedReservation } from './reserve-loaner.ts'

// Its exhausted lot stays named: if the adjustment is reversed after all, the unit is back in service.
const WRITE_OFF = statement<never>(`
update loaner_unit set state = 'retired', out_of_service_on = $3, version = version + 1 where warehouse_id = $1 and id = $2`)

/**
 * Retires a unit by a scrap slip that names its lot (R-OUT-4); it is retired once the slip is signed and posted. What a recall blocks may be
 * scrapped, too. What a count found missing has left the ledger already: it is retired at once, without a slip.
 * @throws Refusal 409 `LoanerNotAvailable`, 403, 404
 */
export async function retireLoaner(
  ctx: Context,
  { serial, reason }: { serial: string; reason: string }
): Promise<LoanerView> {
  const { unit: found, warehouse } = await loanerBySerial(ctx, serial)
  requireDuty(ctx, 'keeper', warehouse)
  return inTransaction(ctx, async (inner) => {
    await endLapsedReservation(inner, found)
    const unit = await lockLoaner(inner, found)
    requireLoanerState(unit, ['available', 'in-repair', 'beyond-repair', 'blocked', 'missing'])
    if (unit.state === 'missing') {
      await run(inner, WRITE_OFF, [unit.homeId, unit.id, inner.clock.today()])
      await noteOnUnit(inner, unit, 'retired', { reason, missing: true })
      return readLoaner(inner, { serial })
    }
    const slip = await writeSlip(inner, warehouse, {
      kind: 'scrap',
      reference: unit.serial,
      reason,
      lines: [
        {
          ...unitLine(unit),
          lot: unit.lot ?? undefined,
          ...(unit.repairReservation !== null && { reservation: unit.repairReservation })
        }
      ]
    })
    await moveBy(inner, unit, { warehouseId: warehouse.id, slipId: slip.id, purpose: 'retire' })
    await noteOnUnit(inner, unit, 'retirement-drawn-up', { slip: slip.number, reason })
    return readLoaner(inner, { serial })
  })
}
