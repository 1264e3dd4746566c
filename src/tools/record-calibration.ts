import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, Refusal } from '../platform/errors.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockTools } from './custody.ts'
import { REGISTERING } from './register-tools.ts'
import { ownerOf, readTool, toolBySerial } from './tool.ts'
import type { RecordCalibration, ToolView } from './tools.schemas.ts'

const RECORD = statement<{ nextDueOn: string | null }>(`
insert into tool_calibration (warehouse_id, tool_id, calibrated_on, certificate, next_due_on, note, recorded_by, recorded_at)
select t.warehouse_id, t.id, $2::date, $3, coalesce($4::date, ($2::date + make_interval(months => t.calibration_months))::date), $5, $6, $7
  from tool t where t.id = $1
returning next_due_on::text as "nextDueOn"`)

// A certificate that comes late does not take back a later one.
const FOLLOW = statement<never>(`
update tool t set calibrated_on = last.calibrated_on, calibration_due_on = last.next_due_on, version = version + 1
  from (select calibrated_on, next_due_on from tool_calibration where tool_id = $1 order by calibrated_on desc limit 1) last
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
  const today = ctx.clock.today()
  if (calibratedOn > today)
    throw new Refusal('FutureDay', 422, `a calibration is of today (${today}) or earlier, not of ${calibratedOn}`, {
      errors: [
        { pointer: '/calibratedOn', detail: 'lies in the future', sent: calibratedOn, accepted: `at most ${today}` }
      ]
    })
  if (nextDueOn !== undefined && nextDueOn <= calibratedOn)
    throw new Refusal('CalibrationDueEarlier', 422, `it is due again after ${calibratedOn}, not on ${nextDueOn}`, {
      errors: [{ pointer: '/nextDueOn', detail: 'is not later', sent: nextDueOn, accepted: `after ${calibratedOn}` }]
    })
  return inTransaction(ctx, async (inner) => {
    await lockTools(inner, [found.id])
    const tool = await toolBySerial(inner, serial)
    requireDuty(inner, REGISTERING, ownerOf(tool))
    if (tool.state === 'lost' || tool.state === 'scrapped')
      throw new Refusal('ToolGone', 409, `tool ${tool.serial} is ${tool.state}; what is in use is calibrated`)
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
    ]).catch((error: unknown) => {
      throw constraintOf(error) === 'tool_calibration_once_a_day' || constraintOf(error) === 'tool_calibration_pkey'
        ? new Refusal(
            'CalibrationRecorded',
            409,
            `the calibration of tool ${tool.serial} on ${calibratedOn} is recorded already`
          )
        : error
    })
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
