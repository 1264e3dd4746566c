import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockTools } from './custody.ts'
import { dayFaults, REGISTERING } from './register-tools.ts'
import { ownerOf, readTool, toolBySerial, type Tool } from './tool.ts'
import type { ToolView, UpdateTool } from './tools.schemas.ts'

const UPDATE = statement<never>(`
update tool set name = $2, name_zh = $3, model = $4, calibration_months = $5, calibration_due_on = $6, note = $7, version = version + 1 where id = $1`)

/**
 * Changes what is written of a tool. What it cost and when it was bought stay; where it is, its documents say. What a document that awaits
 * signatures shows of it, nobody changes under the hands of those who sign.
 * @throws Refusal 409 `ToolHeld`, 422 `DaysWrong`, 403, 404, 412
 */
export async function updateTool(
  ctx: Context,
  { serial, ifMatch, ...change }: UpdateTool & { serial: string; ifMatch?: string | undefined }
): Promise<ToolView> {
  const found = await toolBySerial(ctx, serial)
  requireDuty(ctx, REGISTERING, ownerOf(found))
  return inTransaction(ctx, async (inner) => {
    await lockTools(inner, [found.id])
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
    const { calibrationDueOn = dueBy(tool, calibrationMonths) } = change
    const [fault] =
      change.calibrationDueOn === undefined
        ? []
        : dayFaults(inner, { calibratedOn: tool.calibratedOn, calibrationDueOn })
    if (fault !== undefined)
      throw new Refusal('DaysWrong', 422, `tool ${tool.serial}: ${fault.detail}`, {
        errors: [{ pointer: `/${fault.member}`, detail: fault.detail, sent: calibrationDueOn }]
      })
    await run(inner, UPDATE, [tool.id, name, nameZh, model, calibrationMonths, calibrationDueOn, note])
    await noteEvent(inner, { warehouseId: tool.warehouseId, id: tool.id }, 'tool-changed', {
      serial: tool.serial,
      ...change
    })
    return readTool(inner, { serial })
  })
}

/** The day stays; a tool that had none, and now has an interval, is due as if it had been registered with it. */
function dueBy({ calibrationDueOn, calibratedOn, purchasedOn }: Tool, months: number | null): string | null {
  if (calibrationDueOn !== null || months === null) return calibrationDueOn
  return Temporal.PlainDate.from(calibratedOn ?? purchasedOn)
    .add({ months })
    .toString()
}
