// A tool as it is found by its serial number and shown.
import { run, statement } from '../platform/database.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { notFound } from '../platform/errors.ts'
import type { Context, WarehouseRef } from '../identity/actor.ts'
import { seesTool } from './tool-rights.ts'
import type { ToolHistory, ToolState, ToolView } from './tools.schemas.ts'

/** A tool with its owner and holder. */
export interface Tool extends Omit<ToolView, 'since'> {
  id: string
  warehouseId: number
  regionId: number
  holderId: number | null
  since: string | null
  state: ToolState
}

/** Columns of a `Tool`, from `TOOL_FROM`; `$1` is today. */
export const TOOL_COLUMNS = `
  t.id::text as id, t.warehouse_id as "warehouseId", w.region_id as "regionId", t.holder_id as "holderId",
  t.serial, t.name, t.name_zh as "nameZh", t.model, w.code as warehouse, t.state, holder.username as technician, holder.name as "technicianName",
  (select e.at from custody_entry e where e.tool_id = t.id and e.seq = t.moves) as since, d.number as document, t.loss_id is not null as "lossReported",
  kit.code as kit, t.value::text as value, t.purchased_on::text as "purchasedOn", t.fixed_asset as "fixedAsset", t.calibration_months as "calibrationMonths",
  t.calibrated_on::text as "calibratedOn", t.calibration_due_on::text as "calibrationDueOn",
  t.state in ('shelf', 'custody') and coalesce(t.calibration_due_on < $1::date, false) as "calibrationOverdue", t.note, t.registered_at as "registeredAt", t.version`

/** Tools `t` with owner `w`, holder, the open document and the kit. */
export const TOOL_FROM = `
  tool t
  join warehouse w on w.id = t.warehouse_id
  left join person holder on holder.id = t.holder_id
  left join tool_document_line l on l.tool_id = t.id and l.open
  left join tool_document d on d.warehouse_id = l.warehouse_id and d.id = l.document_id
  left join tool_kit_tool k on k.tool_id = t.id
  left join tool_kit kit on kit.warehouse_id = k.warehouse_id and kit.id = k.kit_id`

const BY_SERIAL = statement<Tool>(`select ${TOOL_COLUMNS} from ${TOOL_FROM} where upper(t.serial) = upper($2)`)
const BY_IDS = statement<Tool>(`select ${TOOL_COLUMNS} from ${TOOL_FROM} where t.id = any ($2::bigint[]) order by t.id`)

/** The warehouse that owns a tool, for rights. */
export const ownerOf = ({ warehouseId, warehouse, regionId }: Tool): WarehouseRef => ({
  id: warehouseId,
  code: warehouse,
  regionId
})

/**
 * A tool that the actor may see: by the register, or because it is in their own custody.
 * @throws Refusal 404
 */
export async function toolBySerial(ctx: Context, serial: string): Promise<Tool> {
  const [tool] = await run(ctx, BY_SERIAL, [ctx.clock.today(), serial])
  if (tool === undefined || !seesTool(ctx, ownerOf(tool), tool.holderId)) throw notFound('tool', serial)
  return tool
}

/** Tools by their ids, as they are shown. */
export const toolsByIds = async (ctx: Context, ids: readonly string[]): Promise<ToolView[]> =>
  (await run(ctx, BY_IDS, [ctx.clock.today(), ids])).map(toolView)

export function toolView({
  id: _id,
  warehouseId: _warehouse,
  regionId: _region,
  holderId: _holder,
  ...tool
}: Tool): ToolView {
  return { ...tool, since: instantOrNull(tool.since), registeredAt: instant(tool.registeredAt) }
}

/** One tool: where it is, since when, what holds it. */
export const readTool = async (ctx: Context, { serial }: { serial: string }): Promise<ToolView> =>
  toolView(await toolBySerial(ctx, serial))

const ENTRIES = statement<ToolHistory['custody'][number]>(`
select e.seq as position, e.kind, e.from_place as "from", before.code as "fromWarehouse", giver.username as "fromTechnician", e.to_place as "to", w.code as warehouse,
       taker.username as technician, coalesce(d.number, loss.number) as document, e.at, person.username as by
  from custody_entry e
  join warehouse w on w.id = e.warehouse_id
  join person on person.id = e.person_id
  left join warehouse before on before.id = e.from_warehouse_id
  left join person giver on giver.id = e.from_person_id
  left join person taker on taker.id = e.to_person_id
  left join tool_document d on d.warehouse_id = coalesce(e.from_warehouse_id, e.warehouse_id) and d.id = e.document_id
  left join tool_loss loss on loss.warehouse_id = coalesce(e.from_warehouse_id, e.warehouse_id) and loss.id = e.document_id
 where e.tool_id = $1 order by e.seq`)
const CALIBRATIONS = statement<ToolHistory['calibrations'][number]>(`
select c.entry_no as entry, c.corrects, c.calibrated_on::text as "calibratedOn", c.certificate, c.next_due_on::text as "nextDueOn", c.note,
       person.username as "recordedBy", c.recorded_at as "recordedAt",
       case when c.corrected_at is not null then json_build_object('by', corrector.username, 'at', c.corrected_at, 'because', c.corrected_because) end as corrected
  from tool_calibration c
  join person on person.id = c.recorded_by
  left join person corrector on corrector.id = c.corrected_by
 where c.tool_id = $1 order by c.calibrated_on, c.entry_no`)
// Events lie with the warehouse that owned the tool then.
const EVENTS = statement<ToolHistory['events'][number]>(`
select e.occurred_at as at, person.username as by, e.event, e.details
  from document_event e join person on person.id = e.person_id
 where e.document_id = $1 and e.warehouse_id in (select warehouse_id from custody_entry where tool_id = $1) order by e.id`)

/** The whole life of a tool: where it was and by what document, its calibrations, what was written of it. */
export async function readToolHistory(ctx: Context, { serial }: { serial: string }): Promise<ToolHistory> {
  const { id } = await toolBySerial(ctx, serial)
  const [custody, calibrations, events] = await Promise.all([
    run(ctx, ENTRIES, [id]),
    run(ctx, CALIBRATIONS, [id]),
    run(ctx, EVENTS, [id])
  ])
  return {
    custody: custody.map((entry) => ({ ...entry, at: instant(entry.at) })),
    calibrations: calibrations.map((one) => ({
      ...one,
      recordedAt: instant(one.recordedAt),
      corrected: one.corrected && { ...one.corrected, at: instant(one.corrected.at) }
    })),
    events: events.map((event) => ({ ...event, at: instant(event.at) }))
  }
}
