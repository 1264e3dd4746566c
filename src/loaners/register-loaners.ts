import { requireDuty, type Context } from '../identity/actor.ts'
import { partsByNumber, type PartRef } from '../catalogue/parts.queries.ts'
import { refuseRepeatedSerials, refuseTakenSerials } from '../catalogue/serial-numbers.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, Refusal, type FieldProblem } from '../platform/errors.ts'
import { writeSlip } from '../slips/create-slip.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { isSerialTaken } from './loaner.ts'
import type { RegisterLoaners } from './loaners.schemas.ts'

export type NewUnit = RegisterLoaners['units'][number]

const TAKEN = statement<{ serial: string; warehouse: string }>(`
select u.serial, w.code as warehouse
  from unnest($1::text[]) as wanted (serial)
  join loaner_unit u on upper(u.serial) = wanted.serial and u.state <> 'withdrawn'
  join warehouse w on w.id = u.held_by`)

/** Which of these serial numbers the company has already, in capitals, with the spelling and the place of the unit. */
export async function takenSerials(
  ctx: Context,
  serials: readonly string[]
): Promise<Map<string, { serial: string; warehouse: string }>> {
  const found = await run(ctx, TAKEN, [[...new Set(serials.map((serial) => serial.toUpperCase()))]])
  return new Map(found.map((unit) => [unit.serial.toUpperCase(), unit]))
}

// In the order of the serial numbers: two that register the same ones wait for each other instead of blocking each other.
const REGISTER = statement<never>(`
with given as (
  select * from unnest($3::int[], $4::text[], $5::int[], $6::text[], $7::text[], $8::jsonb[], $9::text[])
    as g (line_no, serial, part_id, grade, photo_url, accessories, note)
), registered as (
  insert into loaner_unit (warehouse_id, serial, part_id, grade, photo_url, accessories, note, held_by, pending, pending_warehouse_id, pending_slip_id, registered_by, registered_at)
  select $1, serial, part_id, grade, photo_url, array(select jsonb_array_elements_text(accessories)), note, $1, 'register', $1, $2, $10, $11
    from given order by upper(serial)
  returning id, serial
), moving as (
  insert into loaner_move (warehouse_id, slip_id, line_no, unit_warehouse_id, unit_id, purpose)
  select $1, $2, g.line_no, $1, r.id, 'register' from registered r join given g on g.serial = r.serial
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select $1, id, $11, $10, 'registered', jsonb_build_object('slip', $12::text) from registered`)

/**
 * Registers units by a slip with a line for each (R-LOAN-1): a receipt if they arrive, opening stock if they were there. They are in
 * service once the slip is posted; if it is cancelled they never came, and their numbers are free.
 * @throws Refusal `SerialRepeated`, `NotLoanerModel`, 409 `SerialTaken`, those of `draftSlip`, 403
 */
export async function registerLoaners(
  ctx: Context,
  { warehouse: code, ...said }: RegisterLoaners & { warehouse: string }
): Promise<{ slip: string; units: string[] }> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, 'keeper', warehouse)
  const serials = said.units.map(({ serial }) => serial)
  refuseRepeatedSerials({ list: 'units', one: 'unit', serials })
  const parts = await requireModels(ctx, said.units)
  refuseTakenSerials({ list: 'units', serials }, await takenSerials(ctx, serials))
  return inTransaction(ctx, async (inner) => {
    const slip = await writeUnits(inner, warehouse, parts, said)
    return { slip, units: serials }
  })
}

/**
 * Writes the slip of checked units and the units. Whoever calls it has checked the duty and is in a transaction.
 * @returns the number of the slip
 */
export async function writeUnits(
  ctx: Context,
  warehouse: Warehouse,
  parts: ReadonlyMap<string, PartRef>,
  { kind, units, supplier, deliveryNote, occurredOn }: RegisterLoaners
): Promise<string> {
  const slip = await writeSlip(ctx, warehouse, {
    kind,
    supplier,
    deliveryNote,
    occurredOn,
    note: '备用机登记 loaner units',
    lines: units.map(({ serial, model, unitCost, receivedOn }) => ({
      part: model,
      quantity: '1',
      isLoanerUnit: true,
      note: `S/N ${serial}`,
      ...(unitCost !== undefined && { unitCost }),
      ...(receivedOn !== undefined && { receivedOn })
    }))
  }).catch((error: unknown) => {
    throw error instanceof Refusal ? atUnits(error) : error
  })
  await run(ctx, REGISTER, [
    warehouse.id,
    slip.id,
    units.map((_, index) => index + 1),
    units.map(({ serial }) => serial),
    units.map(({ model }) => parts.get(model)?.id),
    units.map(({ grade }) => grade ?? 'A'),
    units.map(({ photoUrl }) => photoUrl ?? null),
    units.map(({ accessories }) => JSON.stringify(accessories ?? [])),
    units.map(({ note }) => note ?? null),
    ctx.actor.personId,
    ctx.clock.now().toString(),
    slip.number
  ]).catch((error: unknown) => {
    throw isSerialTaken(error)
      ? new Refusal(
          'SerialTaken',
          409,
          'one of these serial numbers was registered at the same moment; GET /v1/loaners/{serial} shows it'
        )
      : error
  })
  return slip.number
}

/** What a slip says of its lines, said of the units that they are written for. */
const atUnits = ({ code, status, message, errors, extra }: Refusal): Refusal =>
  new Refusal(code, status, message, {
    errors: errors.map((problem) => ({
      ...problem,
      pointer: problem.pointer.replace(/^\/lines\/(\d+)\/part$/, '/units/$1/model').replace(/^\/lines\//, '/units/')
    })),
    extra
  })

async function requireModels(ctx: Context, units: readonly NewUnit[]): Promise<Map<string, PartRef>> {
  const parts = await partsByNumber(
    ctx,
    units.map(({ model }) => model)
  )
  const errors = units.flatMap(({ model }, index): FieldProblem[] => {
    const fault = modelFault(parts.get(model))
    return fault === null ? [] : [{ pointer: `/units/${index}/model`, detail: fault, sent: model }]
  })
  if (errors.length === 0) return parts
  throw new Refusal(
    'NotLoanerModel',
    422,
    `${[...new Set(errors.map(({ sent }) => String(sent)))].slice(0, NAMED_OFFENDERS).join(', ')}: ${errors[0]?.detail}; PUT /v1/loaner-models/{part} makes a part a loaner model`,
    { errors: errors.slice(0, 20) }
  )
}

/** What keeps a part from being the model of a unit; null if nothing does. */
export function modelFault(part: PartRef | undefined): string | null {
  if (part === undefined) return 'is not in the catalogue'
  return part.loanerFamily === null ? 'is no loaner model' : null
}
