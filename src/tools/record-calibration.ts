import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, Refusal } from '../platform/errors.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockTools } from './custody.ts'
import { REGISTERING } from './register-tools.ts'
import { ownerOf, readTool, toolBySerial, type Tool } from './tool.ts'
import type { RecordCalibration, ToolView } from './tools.schemas.ts'

const RECORD = statement<{ nextDueOn: string | null }>(`
insert into tool_calibration (warehouse_id, tool_id, entry_no, calibrated_on, certificate, next_due_on, note, recorded_by, recorded_at, before_on, before_due_on)
select t.warehouse_id, t.id, 1 + before.entries, $2::date, $3, coalesce($4::date, ($2::date + make_interval(months => t.calibration_months))::date), $5, $6, $7,
       case when before.entries = 0 then t.calibrated_on end, case when before.entries = 0 then t.calibration_due_on end
  from tool t
 cross join lateral (select count(*)::int as entries from tool_calibration c where c.tool_id = t.id) before
 where t.id = $1
returning next_due_on::text as "nextDueOn"`)

// A certificate that comes late does not take back a later one.
const FOLLOW = statement<never>(`
update tool t set calibrated_on = last.calibrated_on, calibration_due_on = last.next_due_on, version = version + 1
  from (select calibrated_on, next_due_on from tool_calibration where tool_id = $1 and corrected_at is null order by calibrated_on desc limit 1) last
 where t.id = $1 and (t.calibrated_on is null or last.calibrated_on >= t.calibrated_on)`)

/**
 * Records that a tool was calibrated, and when it is due again: the day that is given, else the interval of the tool after the calibration.
 * @throws Refusal 409 `CalibrationRecorded`, `ToolGone`, 422 `FutureDay`, `CalibrationDueEarlier`, `CalibrationDueMissing`, 403, 404
 */
export async function recordCalibration(
  ctx: Context,
  { serial, calibratedOn, certificate, nextDueOn, note }: RecordCalibration & { serial: string }
): Promise<ToolView> {
  const found = await toolBySerial(ctx, serial)
  requireDuty(ctx, REGISTERING, ownerOf(found))
  requireCalibrationDays(ctx, { calibratedOn, nextDueOn })
  return inTransaction(ctx, async (inner) => {
    await lockTools(inner, [found.id])
    const tool = await toolBySerial(inner, serial)
    requireDuty(inner, REGISTERING, ownerOf(tool))
    requireInUse(tool)
    if (nextDueOn === undefined && tool.calibrationMonths === null)
      throw new Refusal(
        'CalibrationDueMissing',
        422,
        `tool ${tool.serial} has no calibration interval; give nextDueOn, or set calibrationMonths by PATCH /v1/tools/{serial} first`,
        { errors: [{ pointer: '/nextDueOn', detail: 'is missing' }] }
      )
    const [recorded] = await run(inner, RECORD, [
      tool.id,
      calibratedOn,
      certificate,
      nextDueOn ?? null,
      note ?? null,
      inner.actor.personId,
      inner.clock.now().toString()
    ]).catch(recordedAlready(tool.serial, calibratedOn))
    await run(inner, FOLLOW, [tool.id])
    await noteEvent(inner, { warehouseId: tool.warehouseId, id: tool.id }, 'tool-calibrated', {
      serial: tool.serial,
      calibratedOn,
      certificate,
      nextDueOn: recorded?.nextDueOn ?? null
    })
    return readTool(inner, { serial })
  })
}

/**
 * Refuses a calibration that is still to come, and one that is due again before it was.
 * @throws Refusal 422 `FutureDay`, `CalibrationDueEarlier`
 */
export function requireCalibrationDays(
  ctx: Context,
  { calibratedOn, nextDueOn }: { calibratedOn: string; nextDueOn?: string | null | undefined }
): void {
  const today = ctx.clock.today()
  if (calibratedOn > today)
    throw new Refusal('FutureDay', 422, `a calibration is of today (${today}) or earlier, not of ${calibratedOn}`, {
      errors: [
        { pointer: '/calibratedOn', detail: 'lies in the future', sent: calibratedOn, accepted: `at most ${today}` }
      ]
    })
  if (nextDueOn != null && nextDueOn <= calibratedOn)
    throw new Refusal('CalibrationDueEarlier', 422, `it is due again after ${calibratedOn}, not on ${nextDueOn}`, {
      errors: [{ pointer: '/nextDueOn', detail: 'is not later', sent: nextDueOn, accepted: `after ${calibratedOn}` }]
    })
}

/** What a second entry of the same day is told. */
export const recordedAlready =
  (serial: string, calibratedOn: string) =>
  (error: unknown): never => {
    throw constraintOf(error) === 'tool_calibration_once_a_day'
      ? new Refusal(
          'CalibrationRecorded',
          409,
          `the calibration of tool ${serial} on ${calibratedOn} is recorded already; if it was entered wrongly, POST /v1/tools/${serial}/calibrations/${calibratedOn}/correction corrects it`
        )
      : error
  }

/** @throws Refusal 409 `ToolGone` */
export function requireInUse({ serial, state }: Pick<Tool, 'serial' | 'state'>): void {
  if (state === 'lost' || state === 'scrapped')
    throw new Refusal('ToolGone', 409, `tool ${serial} is ${state}; what is in use is calibrated`)
}
