import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockTools } from './custody.ts'
import { recordedAlready, requireCalibrationDays, requireInUse } from './record-calibration.ts'
import { REGISTERING } from './register-tools.ts'
import { ownerOf, readTool, toolBySerial, type Tool } from './tool.ts'
import type { CorrectCalibration, ToolView } from './tools.schemas.ts'

interface Entry {
  entry: number
  calibratedOn: string
  certificate: string
  nextDueOn: string | null
  note: string | null
}

const RECORDED = statement<Entry>(`
select entry_no as entry, calibrated_on::text as "calibratedOn", certificate, next_due_on::text as "nextDueOn", note
  from tool_calibration where tool_id = $1 and calibrated_on = $2::date and corrected_at is null`)

const CORRECTED = statement<never>(`
update tool_calibration set corrected_by = $3, corrected_at = $4, corrected_because = $5 where tool_id = $1 and entry_no = $2`)

const RECORD_INSTEAD = statement<never>(`
insert into tool_calibration (warehouse_id, tool_id, entry_no, corrects, calibrated_on, certificate, next_due_on, note, recorded_by, recorded_at)
select t.warehouse_id, t.id, 1 + (select max(entry_no) from tool_calibration c where c.tool_id = t.id), $2, $3::date, $4, $5::date, $6, $7, $8
  from tool t where t.id = $1`)

// By the last calibration of those that hold; if none is later, by what the tool was registered with.
const FOLLOW = statement<never>(`
update tool t set calibrated_on = last.calibrated_on, calibration_due_on = last.due_on
  from (select calibrated_on, next_due_on as due_on, true as is_recorded from tool_calibration where tool_id = $1 and corrected_at is null
         union all
        select before_on, before_due_on, false from tool_calibration where tool_id = $1 and entry_no = 1 and before_on is not null
         order by calibrated_on desc, is_recorded desc limit 1) last
 where t.id = $1`)
const TOUCH = statement<never>('update tool set version = version + 1 where id = $1')

/**
 * Corrects a calibration that was entered with a wrong day, certificate or day on which it is due again: the right entry stands beside the wrong
 * one, which says who corrected it and why. If the days change, the tool goes by the last calibration of those that hold, also where its due day
 * was set by hand meanwhile.
 * @param recordedOn the day under which it was entered
 * @throws Refusal 409 `CalibrationRecorded`, `ToolGone`, 422 `FutureDay`, `CalibrationDueEarlier`, `NothingCorrected`, 403, 404, 412
 */
export async function correctCalibration(
  ctx: Context,
  {
    serial,
    recordedOn,
    change: { reason, ...change },
    ifMatch
  }: { serial: string; recordedOn: string; change: CorrectCalibration; ifMatch?: string | undefined }
): Promise<ToolView> {
  const found = await toolBySerial(ctx, serial)
  requireDuty(ctx, REGISTERING, ownerOf(found))
  return inTransaction(ctx, async (inner) => {
    await lockTools(inner, [found.id])
    const tool = await toolBySerial(inner, serial)
    requireDuty(inner, REGISTERING, ownerOf(tool))
    requireMatch(ifMatch, tool.version)
    requireInUse(tool)
    const [wrong] = await run(inner, RECORDED, [tool.id, recordedOn])
    if (wrong === undefined) throw notFound(`calibration of tool ${tool.serial}`, recordedOn)
    const right = rightedBy(tool, wrong, change)
    requireCalibrationDays(inner, right)
    const at = inner.clock.now().toString()
    await run(inner, CORRECTED, [tool.id, wrong.entry, inner.actor.personId, at, reason])
    await run(inner, RECORD_INSTEAD, [
      tool.id,
      wrong.entry,
      right.calibratedOn,
      right.certificate,
      right.nextDueOn,
      right.note,
      inner.actor.personId,
      at
    ]).catch(recordedAlready(tool.serial, right.calibratedOn))
    if (right.calibratedOn !== wrong.calibratedOn || right.nextDueOn !== wrong.nextDueOn)
      await run(inner, FOLLOW, [tool.id])
    await run(inner, TOUCH, [tool.id])
    const { entry: _wrong, ...before } = wrong
    const { entry: _right, ...after } = right
    await noteEvent(inner, { warehouseId: tool.warehouseId, id: tool.id }, 'tool-calibration-corrected', {
      serial: tool.serial,
      reason,
      ...after,
      before
    })
    return readTool(inner, { serial })
  })
}

/** @throws Refusal 422 `NothingCorrected` */
function rightedBy(
  { serial, calibrationMonths }: Tool,
  wrong: Entry,
  change: Omit<CorrectCalibration, 'reason'>
): Entry {
  const { calibratedOn = wrong.calibratedOn, certificate = wrong.certificate, note = wrong.note } = change
  const dueBy = (day: string): string | null =>
    calibrationMonths === null ? null : Temporal.PlainDate.from(day).add({ months: calibrationMonths }).toString()
  const { nextDueOn = wrong.nextDueOn === dueBy(wrong.calibratedOn) ? dueBy(calibratedOn) : wrong.nextDueOn } = change
  const right = { entry: wrong.entry, calibratedOn, certificate, nextDueOn, note }
  const isSame = (Object.keys(right) as (keyof Entry)[]).every((member) => right[member] === wrong[member])
  if (isSame)
    throw new Refusal(
      'NothingCorrected',
      422,
      `the calibration of tool ${serial} on ${wrong.calibratedOn} is entered like that already (certificate ${wrong.certificate}, due again on ${wrong.nextDueOn ?? 'no day'}); give what is to be different`
    )
  return right
}
