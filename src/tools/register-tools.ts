import { requireDuty, type Context } from '../identity/actor.ts'
import { refuseRepeatedSerials, refuseTakenSerials } from '../catalogue/serial-numbers.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, Refusal, type FieldProblem } from '../platform/errors.ts'
import { requireOpen, warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { moveTools } from './custody.ts'
import { toolsByIds } from './tool.ts'
import type { NewTool, ToolView } from './tools.schemas.ts'

/** Who keeps the register of a warehouse. */
export const REGISTERING = ['keeper', 'stock-controller'] as const

/** Bought before, it would be written off long since; the year is mistyped. */
const EARLIEST = '1980-01-01'

const TAKEN = statement<{ serial: string }>(`
select t.serial from unnest($1::text[]) as wanted (serial) join tool t on upper(t.serial) = wanted.serial`)

/** Which of these serial numbers the company has already, in capitals. */
export async function takenSerials(ctx: Context, serials: readonly string[]): Promise<Set<string>> {
  const found = await run(ctx, TAKEN, [[...new Set(serials.map((serial) => serial.toUpperCase()))]])
  return new Set(found.map(({ serial }) => serial.toUpperCase()))
}

/** Whether a tool is a fixed asset: by the threshold that held when it was bought, or else the first there was (R-TOOL-4). */
export const isFixedAsset = (value: string, purchasedOn: string): string =>
  `${value} >= (select threshold from tool_policy p order by p.valid_from <= ${purchasedOn} desc, abs(p.valid_from - ${purchasedOn}) limit 1)`

// In the order of the serial numbers: two that register the same ones wait for each other instead of blocking each other.
const REGISTER = statement<{ id: string }>(`
insert into tool (warehouse_id, serial, name, name_zh, model, value, purchased_on, fixed_asset, calibration_months, calibrated_on, calibration_due_on, note, registered_by, registered_at)
select $1, g.serial, g.name, g.name_zh, g.model, g.value, g.purchased_on,
       ${isFixedAsset('g.value', 'g.purchased_on')},
       g.calibration_months, g.calibrated_on,
       coalesce(g.calibration_due_on, (coalesce(g.calibrated_on, g.purchased_on) + make_interval(months => g.calibration_months))::date), g.note, $2, $3
  from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::numeric[], $9::date[], $10::int[], $11::date[], $12::date[], $13::text[])
    as g (serial, name, name_zh, model, value, purchased_on, calibration_months, calibrated_on, calibration_due_on, note)
 order by upper(g.serial)
returning id::text as id`)
const NOTE = statement<never>(`
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select t.warehouse_id, t.id, $2, $3, 'tool-registered', jsonb_build_object('serial', t.serial, 'value', t.value::text, 'fixedAsset', t.fixed_asset)
  from tool t where t.id = any ($1::bigint[]) order by t.id`)

// Whoever closes the warehouse waits for this one, and then finds the tools.
const HOLD_OPEN = statement<{ code: string; closedOn: string | null }>(
  `select code, closed_on::text as "closedOn" from warehouse where id = any ($1::int[]) order by id for key share`
)

/**
 * Refuses closed warehouses, and keeps the open ones open until the commit.
 * @throws Refusal 409 `WarehouseClosed`
 */
export async function holdOpen(ctx: Context, warehouseIds: readonly number[]): Promise<void> {
  for (const warehouse of await run(ctx, HOLD_OPEN, [warehouseIds])) requireOpen(warehouse, ctx.clock.today())
}

/** What is wrong with the days of a tool, as the member and why. */
export function dayFaults(
  ctx: Context,
  {
    purchasedOn,
    calibratedOn,
    calibrationDueOn
  }: Partial<Record<'purchasedOn' | 'calibratedOn' | 'calibrationDueOn', string | null | undefined>>
): { member: string; detail: string }[] {
  const today = ctx.clock.today()
  const faults: { member: string; detail: string }[] = []
  if (purchasedOn != null && purchasedOn > today)
    faults.push({
      member: 'purchasedOn',
      detail: `purchasedOn is ${purchasedOn}; a tool was bought on ${today} or earlier`
    })
  if (purchasedOn != null && purchasedOn < EARLIEST)
    faults.push({ member: 'purchasedOn', detail: `purchasedOn is ${purchasedOn}; check the year` })
  if (calibratedOn != null && calibratedOn > today)
    faults.push({
      member: 'calibratedOn',
      detail: `calibratedOn is ${calibratedOn}; it was calibrated on ${today} or earlier`
    })
  if (calibrationDueOn != null && calibratedOn != null && calibrationDueOn <= calibratedOn)
    faults.push({
      member: 'calibrationDueOn',
      detail: `calibrationDueOn is ${calibrationDueOn}; it is due again after it was calibrated on ${calibratedOn}`
    })
  return faults
}

/**
 * Registers tools on the shelf of a warehouse (R-TOOL-1). Whether one is a fixed asset follows from its value and the threshold that held
 * when it was bought (R-TOOL-4).
 * @throws Refusal 409 `SerialTaken`, `WarehouseClosed`, 422 `SerialRepeated`, `DaysWrong`, 403, 404
 */
export async function registerTools(
  ctx: Context,
  { warehouse: code, tools }: { warehouse: string; tools: readonly NewTool[] }
): Promise<{ tools: ToolView[] }> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, REGISTERING, warehouse)
  const serials = tools.map(({ serial }) => serial)
  refuseRepeatedSerials({ list: 'tools', one: 'tool', serials })
  refuseDays(ctx, tools)
  refuseTakenSerials({ list: 'tools', serials }, await takenSerials(ctx, serials))
  return inTransaction(ctx, async (inner) => ({
    tools: await toolsByIds(inner, await writeTools(inner, warehouse, tools))
  }))
}

/** @throws Refusal 409 `SerialTaken`, or the error that it is given */
export function serialTaken(error: unknown): never {
  throw constraintOf(error) === 'tool_serial_unique'
    ? new Refusal(
        'SerialTaken',
        409,
        'one of these serial numbers was registered at the same moment; GET /v1/tools/{serial} shows it'
      )
    : error
}

/** Writes checked tools. Whoever calls it has checked the duty and is in a transaction. */
export async function writeTools(ctx: Context, warehouse: Warehouse, tools: readonly NewTool[]): Promise<string[]> {
  await holdOpen(ctx, [warehouse.id])
  const registered = await run(ctx, REGISTER, [
    warehouse.id,
    ctx.actor.personId,
    ctx.clock.now().toString(),
    tools.map(({ serial }) => serial),
    tools.map(({ name }) => name),
    tools.map(({ nameZh }) => nameZh ?? null),
    tools.map(({ model }) => model ?? null),
    tools.map(({ value }) => value),
    tools.map(({ purchasedOn }) => purchasedOn),
    tools.map(({ calibrationMonths }) => calibrationMonths ?? null),
    tools.map(({ calibratedOn }) => calibratedOn ?? null),
    tools.map(({ calibrationDueOn }) => calibrationDueOn ?? null),
    tools.map(({ note }) => note ?? null)
  ]).catch(serialTaken)
  await moveTools(ctx, { tools: registered, to: { place: 'shelf' }, kind: 'registered' })
  const ids = registered.map(({ id }) => id)
  await run(ctx, NOTE, [ids, ctx.clock.now().toString(), ctx.actor.personId])
  return ids
}

function refuseDays(ctx: Context, tools: readonly NewTool[]): void {
  const errors = tools.flatMap((tool, index) =>
    dayFaults(ctx, tool).map(({ member, detail }): FieldProblem => ({ pointer: `/tools/${index}/${member}`, detail }))
  )
  if (errors.length > 0)
    throw new Refusal(
      'DaysWrong',
      422,
      `tool ${tools[Number(errors[0]?.pointer.split('/')[2])]?.serial}: ${errors[0]?.detail}`,
      {
        errors: errors.slice(0, 20)
      }
    )
}
