import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockTools, requireFree, type HeldTool } from './custody.ts'
import { dayFaults, isFixedAsset, REGISTERING, serialTaken, takenSerials } from './register-tools.ts'
import { ownerOf, readTool, toolBySerial, type Tool } from './tool.ts'
import type { ToolView, UpdateTool } from './tools.schemas.ts'

const UPDATE = statement<never>(`
update tool set name = $2, name_zh = $3, model = $4, calibration_months = $5, calibration_due_on = $6, note = $7, version = version + 1 where id = $1`)
// The threshold is looked up anew only where it matters: of a tool in use, what it was registered as stays.
const CORRECT = statement<never>(`
update tool set serial = $2, value = $3, purchased_on = $4::date, fixed_asset = ${isFixedAsset('$3::numeric', '$4::date')} where id = $1`)

/**
 * Changes what is written of a tool; where it is, its documents say. Serial number, value and day of purchase are corrected until it first leaves
 * the shelf: from then on people answer for what they signed (R-TOOL-2). What a document that awaits signatures shows of it, nobody changes
 * under the hands of those who sign.
 * @throws Refusal 409 `ToolHeld`, `ToolInUse`, `SerialTaken`, 422 `DaysWrong`, 403, 404, 412
 */
export async function updateTool(
  ctx: Context,
  { serial, change, ifMatch }: { serial: string; change: UpdateTool; ifMatch?: string | undefined }
): Promise<ToolView> {
  const found = await toolBySerial(ctx, serial)
  requireDuty(ctx, REGISTERING, ownerOf(found))
  return inTransaction(ctx, async (inner) => {
    const [held] = await lockTools(inner, [found.id])
    if (held === undefined) throw new Error('a tool is never removed')
    const tool = await toolBySerial(inner, serial)
    requireDuty(inner, REGISTERING, ownerOf(tool))
    requireMatch(ifMatch, tool.version)
    const { name = tool.name, nameZh = tool.nameZh, model = tool.model } = change
    const isRenamed = name !== tool.name || nameZh !== tool.nameZh || model !== tool.model
    if (isRenamed && tool.document !== null)
      throw new Refusal(
        'ToolHeld',
        409,
        `tool ${tool.serial} stands on ${tool.document}, which is being signed as it is; have that signed or cancelled before you rename it`,
        { extra: { serial: tool.serial, document: tool.document } }
      )
    const { calibrationMonths = tool.calibrationMonths, note = tool.note } = change
    const { calibrationDueOn = dueBy(tool, { months: calibrationMonths, purchasedOn: change.purchasedOn }) } = change
    const [fault] = dayFaults(inner, {
      purchasedOn: change.purchasedOn,
      ...(change.calibrationDueOn !== undefined && { calibratedOn: tool.calibratedOn, calibrationDueOn })
    })
    if (fault !== undefined)
      throw new Refusal('DaysWrong', 422, `tool ${tool.serial}: ${fault.detail}`, {
        errors: [
          { pointer: `/${fault.member}`, detail: fault.detail, sent: change[fault.member as keyof typeof change] }
        ]
      })
    const corrected = correctionOf(tool, change)
    if (corrected !== null) {
      requireUnused(held)
      if (corrected.serial.toUpperCase() !== tool.serial.toUpperCase()) await requireFreeSerial(inner, corrected.serial)
      await run(inner, CORRECT, [tool.id, corrected.serial, corrected.value, corrected.purchasedOn]).catch(serialTaken)
    }
    await run(inner, UPDATE, [tool.id, name, nameZh, model, calibrationMonths, calibrationDueOn, note])
    await noteEvent(inner, { warehouseId: tool.warehouseId, id: tool.id }, 'tool-changed', {
      serial: tool.serial,
      ...change,
      ...(corrected !== null && {
        before: { serial: tool.serial, value: tool.value, purchasedOn: tool.purchasedOn }
      })
    })
    return readTool(inner, { serial: corrected?.serial ?? serial })
  })
}

/** What identifies and values a tool as it is corrected; null if none of it changes. */
function correctionOf(
  tool: Tool,
  change: UpdateTool
): Required<Pick<UpdateTool, 'serial' | 'value' | 'purchasedOn'>> | null {
  const { serial = tool.serial, value = tool.value, purchasedOn = tool.purchasedOn } = change
  const isSame =
    serial === tool.serial && thousandths(value) === thousandths(tool.value) && purchasedOn === tool.purchasedOn
  return isSame ? null : { serial, value, purchasedOn }
}

function requireUnused(held: HeldTool): void {
  requireFree(held)
  if (held.neverMoved) return
  throw new Refusal(
    'ToolInUse',
    409,
    `tool ${held.serial} has left the shelf on which it was registered, and people answer for it as it is; its serial number, value and day of purchase are corrected before that only`,
    { extra: { serial: held.serial } }
  )
}

/** @throws Refusal 409 `SerialTaken` */
async function requireFreeSerial(ctx: Context, serial: string): Promise<void> {
  if ((await takenSerials(ctx, [serial])).size === 0) return
  const detail = 'is registered already'
  throw new Refusal('SerialTaken', 409, `${serial} ${detail}; a serial number is unique in the company`, {
    errors: [{ pointer: '/serial', detail, sent: serial }]
  })
}

/**
 * The day stays, unless it followed from a day of purchase that is corrected; a tool that had none, and now has an interval, is due as if it
 * had been registered with it.
 */
function dueBy(
  { calibrationDueOn, calibrationMonths, calibratedOn, purchasedOn }: Tool,
  corrected: { months: number | null; purchasedOn: string | undefined }
): string | null {
  const due = (bought: string, months: number | null): string | null =>
    months === null
      ? null
      : Temporal.PlainDate.from(calibratedOn ?? bought)
          .add({ months })
          .toString()
  const followed =
    calibrationDueOn === null ||
    (corrected.purchasedOn !== undefined && calibrationDueOn === due(purchasedOn, calibrationMonths))
  return followed ? due(corrected.purchasedOn ?? purchasedOn, corrected.months) : calibrationDueOn
}
