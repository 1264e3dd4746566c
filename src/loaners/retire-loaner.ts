import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { writeSlip } from '../slips/create-slip.ts'
import { loanerBySerial, lockLoaner, moveBy, noteOnUnit, readLoaner, requireLoanerState, unitLine } from './loaner.ts'
import type { LoanerView } from './loaners.schemas.ts'

/**
 * Retires a unit by a scrap slip that names its lot (R-OUT-4); it is retired once the slip is signed and posted. What a recall blocks may be
 * scrapped, too.
 * @throws Refusal 409 `LoanerNotAvailable`, 403, 404
 */
export async function retireLoaner(
  ctx: Context,
  { serial, reason }: { serial: string; reason: string }
): Promise<LoanerView> {
  const { unit: found, warehouse } = await loanerBySerial(ctx, serial)
  requireDuty(ctx, 'keeper', warehouse)
  return inTransaction(ctx, async (inner) => {
    const unit = await lockLoaner(inner, found)
    requireLoanerState(unit, ['available', 'in-repair', 'beyond-repair', 'blocked'])
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
