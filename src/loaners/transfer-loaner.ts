import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { writeSlip } from '../slips/create-slip.ts'
import { requireOpen, warehouseByCode } from '../warehouses/directory.ts'
import { loanerBySerial, lockLoaner, moveBy, noteOnUnit, readLoaner, requireLoanerState, unitLine } from './loaner.ts'
import type { LoanerView } from './loaners.schemas.ts'
import { endLapsedReservation } from './reserve-loaner.ts'

/**
 * Sends a unit to another warehouse by a transfer-out slip that names its lot; once that is posted it is on its way, and the other keeper
 * takes it in.
 * @throws Refusal 422 `SameWarehouse`, 409 `LoanerNotAvailable`, `WarehouseClosed`, 403, 404
 */
export async function transferLoaner(
  ctx: Context,
  { serial, to: code, reason }: { serial: string; to: string; reason: string }
): Promise<LoanerView> {
  const { unit: found, warehouse } = await loanerBySerial(ctx, serial)
  requireDuty(ctx, 'keeper', warehouse)
  const to = await warehouseByCode(ctx, code)
  if (to.id === warehouse.id) {
    throw new Refusal('SameWarehouse', 422, `unit ${found.serial} belongs to ${code} already`, {
      errors: [{ pointer: '/to', detail: 'has it already', sent: code }]
    })
  }
  requireOpen(to, ctx.clock.today())
  return inTransaction(ctx, async (inner) => {
    await endLapsedReservation(inner, found)
    const unit = await lockLoaner(inner, found)
    requireLoanerState(unit, ['available', 'beyond-repair'])
    const slip = await writeSlip(inner, warehouse, {
      kind: 'transfer-out',
      reference: unit.serial,
      counterparty: to.code,
      reason,
      lines: [{ ...unitLine(unit), lot: unit.lot ?? undefined }]
    })
    await moveBy(inner, unit, {
      warehouseId: warehouse.id,
      slipId: slip.id,
      purpose: 'transfer-out',
      otherWarehouseId: to.id
    })
    await noteOnUnit(inner, unit, 'transfer-drawn-up', { slip: slip.number, to: to.code, reason })
    return readLoaner(inner, { serial })
  })
}

interface Left {
  fromId: number
  from: string
  slip: string
  cost: string
  charge: string
  receivedOn: string
  unitCost: string
  chargedUntil: string
  rateSkipped: string
  originWarehouseId: number
  originLotId: string
}

// As it left: the last movement off a shelf, with its lot. It was charged through the month before.
const LEFT = statement<Left>(`
select m.warehouse_id as "fromId", w.code as from, m.number as slip, (-moved.cost)::text as cost, (-moved.charge)::text as charge, lot.received_on::text as "receivedOn",
       lot.unit_cost::text as "unitCost", (date_trunc('month', m.occurred_on::timestamp) - interval '1 month')::date::text as "chargedUntil", lot.rate_skipped::text as "rateSkipped",
       coalesce(lot.origin_warehouse_id, lot.warehouse_id) as "originWarehouseId", coalesce(lot.origin_lot_id, lot.id)::text as "originLotId"
  from loaner_movement m
  join warehouse w on w.id = m.warehouse_id
  join movement moved on moved.warehouse_id = m.warehouse_id and moved.occurred_on = m.occurred_on and moved.id = m.movement_id
  join lot on lot.warehouse_id = m.warehouse_id and lot.id = m.lot_id
 where m.unit_warehouse_id = $1 and m.unit_id = $2 and m.purpose = 'transfer-out' and m.quantity < 0
 order by m.movement_id desc limit 1`)

/**
 * Takes in a unit that another warehouse sent: a transfer-in slip with the cost, charge and age it left with (R-AGE-7).
 * @throws Refusal 409 `LoanerNotAvailable`, `LoanerNotExpected`, those of `draftSlip`, 403, 404
 */
export async function receiveLoaner(ctx: Context, { serial }: { serial: string }): Promise<LoanerView> {
  const { unit: found, warehouse: giver } = await loanerBySerial(ctx, serial)
  if (found.movingTo === null) {
    requireDuty(ctx, 'keeper', giver)
    requireLoanerState(found, ['in-transit'])
  }
  const to = await warehouseByCode(ctx, found.movingTo ?? found.warehouse)
  requireDuty(ctx, 'keeper', to)
  return inTransaction(ctx, async (inner) => {
    const unit = await lockLoaner(inner, found)
    requireLoanerState(unit, ['in-transit'])
    if (unit.pendingSlip !== null) {
      throw new Refusal(
        'LoanerNotAvailable',
        409,
        `unit ${unit.serial} is being taken in by ${unit.pendingSlip}; sign and post that slip`,
        { extra: { serial: unit.serial, state: unit.state, slip: unit.pendingSlip } }
      )
    }
    const [left] = await run(inner, LEFT, [unit.homeId, unit.id])
    if (left === undefined) throw new Error(`${unit.serial} is on its way and never left`)
    const slip = await writeSlip(inner, to, {
      kind: 'transfer-in',
      reference: unit.serial,
      counterparty: left.from,
      note: left.slip,
      lines: [
        {
          ...unitLine(unit),
          unitCost: left.unitCost,
          receivedOn: left.receivedOn,
          costIn: left.cost,
          chargeIn: left.charge,
          chargedUntil: left.chargedUntil,
          rateSkipped: left.rateSkipped,
          origin: { warehouseId: left.originWarehouseId, lotId: left.originLotId }
        }
      ]
    })
    await moveBy(inner, unit, {
      warehouseId: to.id,
      slipId: slip.id,
      purpose: 'transfer-in',
      otherWarehouseId: left.fromId
    })
    await noteOnUnit(inner, unit, 'arrival-drawn-up', { slip: slip.number, from: left.from })
    return readLoaner(inner, { serial })
  })
}
