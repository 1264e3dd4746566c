// Grace, rate and number of the depreciation are a policy with the month from which it holds (R-AGE-2). One policy holds in every
// month: setting one ends the one before at its first month, withdrawing one gives its months back. The past never changes: what
// was posted or closed used the summed rates up to the month before it, so a policy begins in the current month at the earliest.
import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { firstDay } from './depreciation.ts'
import { currentMonth } from './statement-scope.ts'
import type { DepreciationPolicyView, SetDepreciationPolicyBody } from './valuation-settings.schemas.ts'

// Two who set or withdraw at once wait for each other; whoever reads goes on.
const LOCK = statement<never>(`select pg_advisory_xact_lock(7305006)`)

const COLUMNS = `to_char(effective_from, 'YYYY-MM') as "effectiveFrom", to_char(effective_until - 1, 'YYYY-MM') as "effectiveUntil", grace_months as "graceMonths",
       trim_scale(rate)::text as rate, charge_count as "chargeCount",
       case when effective_from > $1::date then 'scheduled' when effective_until <= $1::date then 'past' else 'in-force' end as state`

const LIST = statement<DepreciationPolicyView>(`select ${COLUMNS} from depreciation_policy order by effective_from`)

/** Every policy by the month it begins in; the first one holds since ever. */
export const listDepreciationPolicies = (ctx: Context): Promise<DepreciationPolicyView[]> =>
  run(ctx, LIST, [firstDay(currentMonth(ctx))])

const CUT = statement<never>(`
update depreciation_policy set effective_until = $1::date where effective_from < $1::date and (effective_until is null or effective_until > $1::date)`)

const INSERT = statement<never>(
  `insert into depreciation_policy (effective_from, grace_months, rate, charge_count) values ($1, $2, $3, $4)`
)

/**
 * Sets the policy from a month on, without end (R-AGE-2). No rate of a month before changes.
 * @throws Refusal 422 `PolicyInThePast` or `RateAboveCost`, 409 `PolicyOverlaps`
 */
export async function setDepreciationPolicy(
  ctx: Context,
  { effectiveFrom, graceMonths, rate, chargeCount }: SetDepreciationPolicyBody
): Promise<DepreciationPolicyView> {
  requireDutyEverywhere(ctx, 'hq-finance')
  requireWithinCost(rate, chargeCount)
  return inTransaction(ctx, async (ctx) => {
    await run(ctx, LOCK, [])
    // Not before: the month may have ended while another was waited for.
    const current = currentMonth(ctx)
    if (effectiveFrom < current) {
      throw new Refusal(
        'PolicyInThePast',
        422,
        `a policy begins in the current month ${current} or later; what was charged up to then stays as it is`,
        {
          errors: [
            {
              pointer: '/effectiveFrom',
              detail: 'lies in the past',
              sent: effectiveFrom,
              accepted: `${current} or later`
            }
          ]
        }
      )
    }
    const latest = (await listDepreciationPolicies(ctx)).at(-1)
    if (latest !== undefined && effectiveFrom <= latest.effectiveFrom) {
      throw new Refusal(
        'PolicyOverlaps',
        409,
        latest.state === 'scheduled'
          ? `a policy is set from ${latest.effectiveFrom} on; begin after it, or withdraw it first`
          : `the policy from ${latest.effectiveFrom} on is in force; begin after that month`,
        {
          errors: [
            {
              pointer: '/effectiveFrom',
              detail: 'lies in the time of another policy',
              sent: effectiveFrom,
              accepted: `a month after ${latest.effectiveFrom}`
            }
          ]
        }
      )
    }
    const from = firstDay(effectiveFrom)
    await run(ctx, CUT, [from])
    await run(ctx, INSERT, [from, graceMonths, rate, chargeCount])
    await recordAudit(ctx, 'depreciation-policy.set', `depreciation-policy:${effectiveFrom}`, {
      graceMonths,
      rate,
      chargeCount
    })
    return policyFrom(ctx, effectiveFrom)
  })
}

async function policyFrom(ctx: Context, month: string): Promise<DepreciationPolicyView> {
  const policy = (await listDepreciationPolicies(ctx)).find(({ effectiveFrom }) => effectiveFrom === month)
  if (policy === undefined) throw notFound('depreciation policy', month)
  return policy
}

const REMOVE = statement<{ until: string | null }>(
  `delete from depreciation_policy where effective_from = $1::date returning effective_until::text as until`
)

const RESTORE = statement<never>(
  `update depreciation_policy set effective_until = $2::date where effective_until = $1::date`
)

/**
 * Takes back a policy that has not begun; the one before it holds on as if this one had never been.
 * @returns the policy that holds in its stead
 * @throws Refusal 404, 409 `PolicyInForce`
 */
export async function withdrawDepreciationPolicy(
  ctx: Context,
  { effectiveFrom, reason }: { effectiveFrom: string; reason: string }
): Promise<DepreciationPolicyView> {
  requireDutyEverywhere(ctx, 'hq-finance')
  return inTransaction(ctx, async (ctx) => {
    await run(ctx, LOCK, [])
    const policies = await listDepreciationPolicies(ctx)
    const at = policies.findIndex((policy) => policy.effectiveFrom === effectiveFrom)
    const [policy, before] = [policies[at], policies[at - 1]]
    if (policy === undefined) throw notFound('depreciation policy', effectiveFrom)
    if (policy.state !== 'scheduled' || before === undefined) {
      throw new Refusal(
        'PolicyInForce',
        409,
        `the policy from ${effectiveFrom} on has begun and stays; set another one from a later month on`
      )
    }
    const from = firstDay(effectiveFrom)
    const [removed] = await run(ctx, REMOVE, [from])
    await run(ctx, RESTORE, [from, removed?.until ?? null])
    await recordAudit(ctx, 'depreciation-policy.withdrawn', `depreciation-policy:${effectiveFrom}`, {
      reason,
      graceMonths: policy.graceMonths,
      rate: policy.rate,
      chargeCount: policy.chargeCount
    })
    return policyFrom(ctx, before.effectiveFrom)
  })
}

/** A rate has at most four places. */
const PLACES = 4
const WHOLE = 10n ** BigInt(PLACES)

function requireWithinCost(rate: string, chargeCount: number): void {
  const [whole, places = ''] = rate.split('.')
  const parts = BigInt(`${whole}${places.padEnd(PLACES, '0')}`)
  const most = parts === 0n ? null : WHOLE / parts
  if (parts <= WHOLE && (most === null || BigInt(chargeCount) <= most)) return
  throw new Refusal(
    'RateAboveCost',
    422,
    `rate ${rate} charged ${chargeCount} times is more than the cost itself; rate times chargeCount is at most 1 (R-AGE-2)`,
    {
      errors: [
        parts > WHOLE
          ? { pointer: '/rate', detail: 'is over 100 %', sent: rate, accepted: 'at most 1' }
          : {
              pointer: '/chargeCount',
              detail: `at rate ${rate} that charges more than the cost`,
              sent: chargeCount,
              accepted: `at most ${most}`
            }
      ]
    }
  )
}
