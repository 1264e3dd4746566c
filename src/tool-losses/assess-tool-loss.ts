import { requireDuty, type Context } from '../identity/actor.ts'
import { requirePerson } from '../identity/require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockLoss, readToolLoss, requireReported, type Loss } from './tool-loss.ts'
import type { AssessLoss, LossView } from './tool-losses.schemas.ts'

// What was signed is another content now.
const ASSESS = statement<never>(`
with voided as (
  update signature set voided_at = $7 where warehouse_id = $1 and document_id = $2 and voided_at is null
)
update tool_loss
   set outcome = $3, normal_wear = $4, compensation = $5, compensation_reason = $6, version = version + 1, state = 'reported', decided_on = null,
       repair_decided_on = case when state = 'approved' then decided_on else repair_decided_on end,
       repair_compensation = case when state = 'approved' then compensation else repair_compensation end,
       repair_normal_wear = case when state = 'approved' then normal_wear else repair_normal_wear end,
       repair_compensation_reason = case when state = 'approved' then compensation_reason else repair_compensation_reason end
 where warehouse_id = $1 and id = $2`)

/**
 * Says what becomes of a reported tool and what the technician compensates: nothing for normal wear, else the net value of the day (R-TOOL-2), or
 * less with a reason. Signatures given before are void, for they were of something else. A tool in repair that cannot be repaired is to be scrapped:
 * the report awaits its signatures again, and what was booked for the repair counts towards the compensation.
 * @throws Refusal 403 without the duty department-head and for an API key, 404, 409 `LossNotOpen`, 412, 422 `OwnLoss`, `RepairGivenUp`, `CompensationAboveValue`,
 *   `CompensationReasonMissing`, `WearCostsNothing`, `NobodyCompensates`, `LossIsNoWear`, `OutcomeOfLoss`
 */
export async function assessToolLoss(
  ctx: Context,
  { number, ifMatch, ...assessment }: AssessLoss & { number: string; ifMatch?: string | undefined }
): Promise<LossView> {
  return inTransaction(ctx, async (inner) => {
    const { loss, warehouse } = await lockLoss(inner, number, ifMatch)
    const { onBehalfOf } = requireDuty(inner, 'department-head', warehouse)
    requirePerson(inner)
    if (loss.technicianId === inner.actor.personId || (onBehalfOf !== null && loss.technicianId === onBehalfOf))
      throw new Refusal('OwnLoss', 422, `nobody says what they compensate themselves; ask another department-head`)
    if (!(loss.state === 'approved' && assessment.outcome === 'scrapped')) requireReported(loss)
    if (loss.repair !== null && assessment.outcome === 'repaired')
      throw new Refusal(
        'RepairGivenUp',
        422,
        `the repair of ${number} was given up; whoever thinks it can be repaired refuses the report, and the repair goes on`,
        { errors: [{ pointer: '/outcome', detail: 'was given up', sent: 'repaired', accepted: ['scrapped'] }] }
      )
    const assessed = assessedAs(loss, assessment)
    await run(inner, ASSESS, [
      warehouse.id,
      loss.id,
      assessed.outcome,
      assessed.normalWear,
      assessed.compensation,
      assessed.compensationReason,
      inner.clock.now().toString()
    ])
    await noteEvent(inner, { warehouseId: warehouse.id, id: loss.id }, 'loss-assessed', { number, ...assessed })
    return readToolLoss(inner, { number })
  })
}

type Assessed = Pick<Loss, 'outcome' | 'normalWear' | 'compensation' | 'compensationReason'>

function assessedAs(loss: Loss, { outcome, normalWear, compensation, compensationReason }: AssessLoss): Assessed {
  const isWear = normalWear ?? loss.normalWear
  if (loss.kind === 'lost' && outcome !== undefined)
    throw new Refusal(
      'OutcomeOfLoss',
      422,
      `${loss.number} is about a tool that was lost; it stays lost until it is found`,
      {
        errors: [{ pointer: '/outcome', detail: 'is of damaged tools only', sent: outcome }]
      }
    )
  if (loss.kind === 'lost' && isWear)
    throw new Refusal('LossIsNoWear', 422, 'normal wear (正常损耗) wears a tool out and does not lose it', {
      errors: [{ pointer: '/normalWear', detail: 'is of damaged tools only', sent: true }]
    })
  const most = isWear || loss.technicianId === null ? '0.00' : loss.netValue
  // What is left away stays as it was said, as long as it still can be; of a repair that is given up it was said for the repair.
  const keeps = compensation === undefined && isWear === loss.normalWear && loss.state === 'reported'
  const wanted = keeps ? loss.compensation : (compensation ?? most)
  requireAtMost(loss, wanted, { isWear })
  const isLess = thousandths(wanted) < thousandths(most)
  const because = compensationReason ?? (keeps ? loss.compensationReason : null)
  if (isLess && because === null)
    throw new Refusal(
      'CompensationReasonMissing',
      422,
      `${wanted} is less than the net value ${loss.netValue}; say why in compensationReason`,
      { errors: [{ pointer: '/compensationReason', detail: 'is missing' }] }
    )
  return {
    outcome: outcome ?? loss.outcome,
    normalWear: isWear,
    compensation: wanted,
    compensationReason: isLess ? because : null
  }
}

function requireAtMost(loss: Loss, wanted: string, { isWear }: { isWear: boolean }): void {
  const sent = { pointer: '/compensation', detail: 'is too much', sent: wanted }
  if (isWear && thousandths(wanted) > 0n)
    throw new Refusal(
      'WearCostsNothing',
      422,
      'normal wear (正常损耗) is compensated by nobody (R-TOOL-2); the amount is 0.00',
      {
        errors: [{ ...sent, accepted: '0.00' }]
      }
    )
  if (loss.technicianId === null && thousandths(wanted) > 0n)
    throw new Refusal(
      'NobodyCompensates',
      422,
      `tool ${loss.serial} was in nobody’s custody, it lay on the shelf of ${loss.warehouse}; the amount is 0.00`,
      { errors: [{ ...sent, accepted: '0.00' }] }
    )
  if (thousandths(wanted) > thousandths(loss.netValue))
    throw new Refusal(
      'CompensationAboveValue',
      422,
      `tool ${loss.serial} was worth ${loss.netValue} on ${loss.occurredOn} (${loss.value} less ${loss.accumulated} for ${loss.monthsUsed} of ${loss.lifeMonths} months); nobody compensates more than that`,
      {
        errors: [{ ...sent, accepted: `at most ${loss.netValue}` }],
        extra: {
          netValue: loss.netValue,
          value: loss.value,
          accumulated: loss.accumulated,
          monthsUsed: loss.monthsUsed
        }
      }
    )
}
