// A report of loss or damage (R-TOOL-2, R-TOOL-4) as it is kept and shown. Whoever changes one holds its row first, then the tool.
import type { Context, Duty } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { contentHash } from '../signing/content-hash.ts'
import { dutiesAwaited, type Signature } from '../signing/sign.ts'
import { signatureView, signaturesOf } from '../signing/signatures.ts'
import { howRepairEnds } from '../tools/custody.ts'
import { isOwn, readsRegister } from '../tools/tool-rights.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { seesClaim, whereFound } from './claims.ts'
import type { ToolWorth } from './tool-depreciation.ts'
import type { LossState, LossSummary, LossView } from './tool-losses.schemas.ts'

/** Who approves a loss: two different people, neither who reported it nor the technician. */
export const LOSS_DUTIES = ['department-head', 'finance-supervisor'] as const satisfies Duty[]

/** A report as lists read it, with what says to whom its compensation is shown. */
export interface LossRow extends LossSummary {
  id: string
  warehouseId: number
  regionId: number
  technicianId: number | null
  /** The open warehouse in whose register it is since, if its own was closed when it was found. */
  foundIn: string | null
  foundInId: number | null
  foundInRegionId: number | null
  compensation: string
}

export interface Loss extends LossRow, ToolWorth {
  toolId: string
  fixedAsset: boolean
  holderId: number | null
  cause: string
  reasonReport: string | null
  compensationReason: string | null
  reportedById: number
  /** What was decided of a repair that was given up since. */
  repair: { decidedOn: string; compensation: string } | null
  reason: string | null
  endedAt: string | null
  booked: NonNullable<LossView['booked']>
  signatures: Signature[]
  version: number
}

/** Columns of a list of losses, from `LOSS_FROM`. */
export const LOSS_SUMMARY = `
  l.id::text as id, l.number, w.code as warehouse, t.serial, t.name, t.name_zh as "nameZh", technician.username as technician, l.technician_id as "technicianId",
  w.id as "warehouseId", w.region_id as "regionId", l.kind, l.occurred_on::text as "occurredOn",
  found_in.code as "foundIn", found_in.id as "foundInId", found_in.region_id as "foundInRegionId",
  l.outcome, l.normal_wear as "normalWear", l.net_value::text as "netValue", l.compensation::text as compensation, l.state, reporter.username as "reportedBy",
  l.reported_at as "reportedAt", l.decided_on::text as "decidedOn"`

/** Losses `l` with tool, place and people. */
export const LOSS_FROM = `
  tool_loss l
  join tool t on t.id = l.tool_id
  join warehouse w on w.id = l.warehouse_id
  join person reporter on reporter.id = l.reported_by
  left join warehouse found_in on found_in.id = l.found_in_id
  left join person technician on technician.id = l.technician_id`

const LOSS = statement<Loss>(`
select ${LOSS_SUMMARY}, l.tool_id::text as "toolId", t.fixed_asset as "fixedAsset", t.holder_id as "holderId", l.cause,
       l.reason_report as "reasonReport", l.value::text as value, l.method, l.life_months as "lifeMonths", l.residual_value::text as "residualValue",
       l.months_used as "monthsUsed", (l.value - l.net_value)::text as accumulated, l.compensation_reason as "compensationReason", l.reported_by as "reportedById",
       case when l.repair_decided_on is not null then json_build_object('decidedOn', l.repair_decided_on, 'compensation', l.repair_compensation::text) end as repair,
       l.reason, l.ended_at as "endedAt", l.version,
       coalesce((select json_agg(json_build_object('line', c.line_no, 'amount', c.amount::text, 'bookedOn', c.booked_on) order by c.line_no)
                   from tool_compensation c where c.loss_warehouse_id = l.warehouse_id and c.loss_id = l.id), '[]') as booked,
       ${signaturesOf('l.warehouse_id', 'l.id')} as signatures
  from ${LOSS_FROM}
 where l.warehouse_id = $1 and l.number = $2`)

const LOCK = statement<never>('select 1 from tool_loss where warehouse_id = $1 and number = $2 for no key update')

/** Who sees a report besides those who do anyway. */
type AlsoSees = (loss: Loss, warehouse: Warehouse) => boolean

/** Whether the actor reads the register that the tool of a report came into when it was found. */
const readsWhereFound = (ctx: Context, loss: Loss): boolean => {
  const found = whereFound(loss)
  return found !== null && readsRegister(ctx, found)
}

/**
 * A report the actor may see: who reads the register of its warehouse or the one in which the tool was found, and the technician it is about.
 * @throws Refusal 404
 */
export async function loadLoss(
  ctx: Context,
  number: string,
  alsoSees: AlsoSees = () => false
): Promise<{ loss: Loss; warehouse: Warehouse }> {
  const warehouse = await warehouseByCode(ctx, number.replace(/-TLR-\d{6}-\d+$/, '')).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('loss report', number) : error
  })
  const [loss] = await run(ctx, LOSS, [warehouse.id, number])
  if (
    loss === undefined ||
    !(
      readsRegister(ctx, warehouse) ||
      isOwn(ctx, loss.technicianId) ||
      readsWhereFound(ctx, loss) ||
      alsoSees(loss, warehouse)
    )
  )
    throw notFound('loss report', number)
  return { loss, warehouse }
}

/**
 * The report as it is now, held until the commit.
 * @throws Refusal 404, 412
 */
export async function lockLoss(
  ctx: Context,
  number: string,
  ifMatch?: string,
  alsoSees?: AlsoSees
): Promise<{ loss: Loss; warehouse: Warehouse }> {
  const { warehouse } = await loadLoss(ctx, number, alsoSees)
  await run(ctx, LOCK, [warehouse.id, number])
  const { loss } = await loadLoss(ctx, number, alsoSees)
  requireMatch(ifMatch, loss.version)
  return { loss, warehouse }
}

const IN_WORDS: Record<LossState, string> = {
  reported: 'awaits its signatures',
  approved: 'is approved, and the tool is being repaired',
  ended: 'has ended',
  refused: 'was refused',
  found: 'has ended, the tool was found',
  withdrawn: 'was withdrawn'
}

/** @throws Refusal 409 `LossNotOpen` */
export function requireReported({ number, state, decidedOn }: Loss): void {
  if (state === 'reported') return
  const then = state === 'approved' ? howRepairEnds(number) : 'report what happened since anew'
  throw new Refusal(
    'LossNotOpen',
    409,
    `${number} ${IN_WORDS[state]}${decidedOn === null ? '' : ` (decided on ${decidedOn})`}; this is done before it is decided, so ${then}`,
    { extra: { state } }
  )
}

/** What signatures bind to (R-SIG-2): what happened to which tool, what it was worth by which steps, and what is compensated. */
export const lossHash = (loss: Loss): string =>
  contentHash({
    document: loss.number,
    serial: loss.serial,
    technician: loss.technician,
    kind: loss.kind,
    occurredOn: loss.occurredOn,
    cause: loss.cause,
    normalWear: loss.normalWear,
    reasonReport: loss.reasonReport,
    outcome: loss.outcome,
    worth: worthOf(loss),
    compensation: loss.compensation,
    compensationReason: loss.compensationReason,
    ...(loss.repair !== null && { repairGivenUp: loss.repair }),
    reportedBy: loss.reportedBy
  })

const worthOf = ({ value, method, lifeMonths, residualValue, monthsUsed, accumulated, netValue }: Loss) => ({
  value,
  method,
  lifeMonths,
  residualValue,
  monthsUsed,
  accumulated,
  netValue
})

/** What a list shows of a report to the actor. */
export const lossSummary = (ctx: Context, loss: LossRow): LossSummary => ({
  number: loss.number,
  warehouse: loss.warehouse,
  serial: loss.serial,
  name: loss.name,
  nameZh: loss.nameZh,
  technician: loss.technician,
  kind: loss.kind,
  occurredOn: loss.occurredOn,
  outcome: loss.outcome,
  normalWear: loss.normalWear,
  netValue: loss.netValue,
  compensation: seesClaim(ctx, loss) ? loss.compensation : null,
  state: loss.state,
  reportedBy: loss.reportedBy,
  reportedAt: instant(loss.reportedAt),
  decidedOn: loss.decidedOn
})

/** A report as it is shown to the actor. */
const lossView = (ctx: Context, loss: Loss, isClaimShown = seesClaim(ctx, loss)): LossView => ({
  ...lossSummary(ctx, loss),
  fixedAsset: loss.fixedAsset,
  cause: loss.cause,
  reasonReport: loss.reasonReport,
  worth: worthOf(loss),
  compensationReason: isClaimShown ? loss.compensationReason : null,
  repairGivenUp: loss.repair && { ...loss.repair, ...(!isClaimShown && { compensation: null }) },
  reason: loss.reason,
  endedAt: instantOrNull(loss.endedAt),
  foundIn: loss.foundIn,
  takenIn: loss.holderId === null || loss.holderId !== loss.technicianId,
  booked: isClaimShown ? loss.booked : null,
  contentHash: lossHash(loss),
  duties: [...LOSS_DUTIES],
  signatures: loss.signatures.map(signatureView),
  awaiting: loss.state === 'reported' ? dutiesAwaited({ duties: LOSS_DUTIES, signatures: loss.signatures }) : [],
  version: loss.version
})

/** One report. */
export const readToolLoss = async (ctx: Context, { number }: { number: string }): Promise<LossView> =>
  lossView(ctx, (await loadLoss(ctx, number)).loss)

const LET_GO = statement<never>('update tool set loss_id = $2, version = version + 1 where id = $1')

/** Says that a report holds a tool, or that none does any more. */
export const holdForLoss = (ctx: Context, toolId: string, lossId: string | null): Promise<unknown> =>
  run(ctx, LET_GO, [toolId, lossId])
