import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import type { ServiceTarget, ServiceTargetView } from './reorder.schemas.ts'

const COLUMNS = 'criticality, measure, trim_scale(level)::text as level'
const LIST = statement<ServiceTargetView>(`select ${COLUMNS} from service_target order by criticality`)

/** What service the levels of each criticality class are computed for. */
export const listServiceTargets = (ctx: Context): Promise<ServiceTargetView[]> => run(ctx, LIST, [])

const SET = statement<ServiceTargetView>(`
insert into service_target (criticality, measure, level) values ($1, $2, $3)
on conflict (criticality) do update set measure = excluded.measure, level = excluded.level
returning ${COLUMNS}`)

/**
 * Sets the target of a class; the levels of its parts follow with the next computation.
 * @throws Refusal 403, 422 `ServiceLevelOutOfRange`
 */
export async function setServiceTarget(
  ctx: Context,
  { criticality, measure, level }: ServiceTargetView
): Promise<ServiceTargetView> {
  requireDutyEverywhere(ctx, 'stock-controller')
  requireServiceLevel(level, '/level')
  return inTransaction(ctx, async (inner) => {
    const [set] = await run(inner, SET, [criticality, measure, level])
    if (set === undefined) throw new Error('no target was written')
    await recordAudit(inner, 'service-target.set', `criticality:${criticality}`, { measure, level })
    return set
  })
}

/**
 * No stock however large serves every demand for certain, and none serves nothing.
 * @throws Refusal 422 `ServiceLevelOutOfRange`
 */
export function requireServiceLevel(level: ServiceTarget['level'], pointer: string): void {
  if (Number(level) > 0 && Number(level) < 1) return
  throw new Refusal(
    'ServiceLevelOutOfRange',
    422,
    `a service level lies above 0 and below 1, not at ${level}: ${Number(level) >= 1 ? 'no stock serves every demand for certain; 0.99 is a high target' : 'without stock nothing is served'}`,
    { errors: [{ pointer, detail: 'lies outside', sent: level, accepted: 'above 0 and below 1, such as 0.95' }] }
  )
}

/** The longest lead time that is no slip of the pen: two years. */
const LONGEST_LEAD_TIME_DAYS = 730

/** @throws Refusal 422 `LeadTimeOutOfRange` */
export function requireLeadTime(days: number, pointer: string): void {
  if (days >= 1 && days <= LONGEST_LEAD_TIME_DAYS) return
  throw new Refusal(
    'LeadTimeOutOfRange',
    422,
    `a lead time is 1 to ${LONGEST_LEAD_TIME_DAYS} days, not ${days}${days < 1 ? ': goods that are there on the day they are ordered have one day' : ''}`,
    { errors: [{ pointer, detail: 'lies outside', sent: days, accepted: `1 to ${LONGEST_LEAD_TIME_DAYS}` }] }
  )
}
