import { requireDuty, requireWriting, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { documentNumber, nextNumber } from '../signing/document-number.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockTools, requireFree, type HeldTool } from '../tools/custody.ts'
import { isOwn } from '../tools/tool-rights.ts'
import { ownerOf, toolBySerial } from '../tools/tool.ts'
import { toolWorth, type ToolWorth } from './tool-depreciation.ts'
import { holdForLoss, readToolLoss } from './tool-loss.ts'
import type { LossOutcome, LossView, ReportLoss } from './tool-losses.schemas.ts'
import { toolPolicyOf } from './tool-policies.ts'

const SINCE = statement<{ since: string }>(`
select (e.at at time zone $2)::date::text as since from tool t join custody_entry e on e.tool_id = t.id and e.seq = t.moves where t.id = $1`)

const WRITE = statement<{ id: string; number: string }>(`
with numbered as (${nextNumber(`'TLR'`, '$8')})
insert into tool_loss (warehouse_id, number, tool_id, technician_id, kind, occurred_on, cause, normal_wear, reason_report, outcome,
                       value, method, life_months, residual_value, months_used, net_value, compensation, reported_by, reported_at)
select $1, ${documentNumber('warehouse.code', `'TLR'`, '$8')}, $2, $3, $4, $5, $6, $7, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
  from numbered, warehouse where warehouse.id = $1
returning id::text as id, number`)

/**
 * Reports that a tool was lost or damaged (R-TOOL-2): the technician whose custody it is in, even when the duty has run out meanwhile, or the
 * keeper. The report says what the tool was
 * worth on that day, which is what the technician compensates unless it is normal wear; until it is decided, the tool is in no other
 * document. Wear and damage of fixed assets want a report of the reason (R-TOOL-4).
 * @throws Refusal 404, 403, 409 `ToolHeld`, `ToolOutOfUse`, 422 `FutureDay`, `LossBeforeCustody`, `OutcomeMissing`, `LossIsNoWear`, `ReasonReportMissing`
 */
export async function reportToolLoss(
  ctx: Context,
  { serial, ...report }: ReportLoss & { serial: string }
): Promise<LossView> {
  const found = await toolBySerial(ctx, serial)
  if (isOwn(ctx, found.holderId)) requireWriting(ctx)
  else requireDuty(ctx, 'keeper', ownerOf(found))
  const outcome = outcomeOf(report)
  return inTransaction(ctx, async (inner) => {
    const [tool] = await lockTools(inner, [found.id])
    // Nobody reports what came into other hands meanwhile.
    if (tool?.holderId !== found.holderId || tool.warehouseId !== found.warehouseId)
      throw new Refusal('ToolMoved', 409, `tool ${found.serial} was moved a moment ago; read it again`)
    requireFree(tool)
    if (tool.state !== 'shelf' && tool.state !== 'custody')
      throw new Refusal(
        'ToolOutOfUse',
        409,
        `tool ${tool.serial} is ${tool.state} already; GET /v1/tools/${encodeURIComponent(tool.serial)} says since when`
      )
    if (tool.fixedAsset && report.reasonReport === undefined)
      throw new Refusal(
        'ReasonReportMissing',
        422,
        `tool ${tool.serial} is a fixed asset (固定资产): its loss, damage or wear needs a report of the reason at length, besides the cause (R-TOOL-4)`,
        { errors: [{ pointer: '/reasonReport', detail: 'is missing' }] }
      )
    const occurredOn = await requireDay(inner, tool, report.occurredOn ?? inner.clock.today())
    const worth = toolWorth(tool, await toolPolicyOf(inner, tool.purchasedOn), occurredOn)
    const { id, number } = await write(inner, tool, { ...report, outcome, occurredOn, worth })
    await holdForLoss(inner, tool.id, id)
    await noteEvent(inner, { warehouseId: tool.warehouseId, id }, 'loss-reported', {
      number,
      serial: tool.serial,
      technician: tool.holder,
      kind: report.kind,
      cause: report.cause
    })
    return readToolLoss(inner, { number })
  })
}

/** @throws Refusal 422 `OutcomeMissing`, `LossIsNoWear` */
function outcomeOf({ kind, outcome, normalWear }: ReportLoss): LossOutcome {
  if (kind === 'damaged') {
    if (outcome !== undefined) return outcome
    throw new Refusal('OutcomeMissing', 422, 'of a damaged tool say what is to become of it: scrapped or repaired', {
      errors: [{ pointer: '/outcome', detail: 'is missing', accepted: ['scrapped', 'repaired'] }]
    })
  }
  if (outcome !== undefined)
    throw new Refusal('OutcomeOfLoss', 422, 'what is lost is lost; leave outcome away, or report it as damaged', {
      errors: [{ pointer: '/outcome', detail: 'is of damaged tools only', sent: outcome }]
    })
  if (normalWear === true)
    throw new Refusal(
      'LossIsNoWear',
      422,
      'normal wear (正常损耗) wears a tool out and does not lose it; leave it away',
      {
        errors: [{ pointer: '/normalWear', detail: 'is of damaged tools only', sent: true }]
      }
    )
  return 'lost'
}

/** @throws Refusal 422 `FutureDay`, `LossBeforeCustody` */
async function requireDay(ctx: Context, tool: HeldTool, on: string): Promise<string> {
  const today = ctx.clock.today()
  const problem = (accepted: string) => ({
    errors: [{ pointer: '/occurredOn', detail: 'cannot be', sent: on, accepted }]
  })
  if (on > today)
    throw new Refusal(
      'FutureDay',
      422,
      `what is reported happened today (${today}) or before`,
      problem(`at most ${today}`)
    )
  const [{ since } = { since: today }] = await run(ctx, SINCE, [tool.id, ctx.config.BUSINESS_TIME_ZONE])
  if (on < since)
    throw new Refusal(
      'LossBeforeCustody',
      422,
      `tool ${tool.serial} has been ${tool.holder === null ? 'on the shelf' : `with ${tool.holder}`} since ${since} only; give the day it happened, ${since} or later`,
      problem(`${since} or later`)
    )
  return on
}

async function write(
  ctx: Context,
  tool: HeldTool,
  { worth, ...report }: Omit<ReportLoss, 'outcome'> & { outcome: LossOutcome; occurredOn: string; worth: ToolWorth }
): Promise<{ id: string; number: string }> {
  const normalWear = report.normalWear ?? false
  const [written] = await run(ctx, WRITE, [
    tool.warehouseId,
    tool.id,
    tool.holderId,
    report.kind,
    report.occurredOn,
    report.cause,
    normalWear,
    ctx.clock.today(),
    report.reasonReport ?? null,
    report.outcome,
    worth.value,
    worth.method,
    worth.lifeMonths,
    worth.residualValue,
    worth.monthsUsed,
    worth.netValue,
    normalWear || tool.holderId === null ? '0.00' : worth.netValue,
    ctx.actor.personId,
    ctx.clock.now().toString()
  ])
  if (written === undefined) throw new Error('a report of loss is written by one statement')
  return written
}
