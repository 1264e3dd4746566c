// From what value on tools are fixed assets, and how they lose value (R-TOOL-2, R-TOOL-4). A tool goes by the policy that held on the day it was
// bought, for all its life, so no policy ever changes what a tool was worth.
import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { instant } from '../platform/clock.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import type { ToolPolicy } from './tool-depreciation.ts'
import type { SetToolPolicy, ToolPolicyView } from './tool-losses.schemas.ts'

// One that begins before every policy goes by the first.
const OF_DAY = statement<ToolPolicy>(`
select method, life_months as "lifeMonths", residual_share::text as "residualShare"
  from tool_policy
 order by valid_from <= $1::date desc, case when valid_from <= $1::date then $1::date - valid_from else valid_from - $1::date end
 limit 1`)

/** The policy a tool goes by that was bought on a day. */
export async function toolPolicyOf(ctx: Context, purchasedOn: string): Promise<ToolPolicy> {
  const [policy] = await run(ctx, OF_DAY, [purchasedOn])
  if (policy === undefined) throw new Error('the service is never without a policy of tools')
  return policy
}

const LIST = statement<ToolPolicyView>(`
select p.valid_from::text as "validFrom", p.threshold::text as threshold, p.method, p.life_months as "lifeMonths", p.residual_share::text as "residualShare",
       case when p.valid_from > $1::date then 'scheduled'
            when p.valid_from = (select max(valid_from) from tool_policy where valid_from <= $1::date) then 'in-force' else 'past' end as state,
       person.username as "setBy", p.set_at as "setAt"
  from tool_policy p join person on person.id = p.set_by
 order by p.valid_from`)

/** Every policy by the day it begins on. */
export const listToolPolicies = async (ctx: Context): Promise<{ items: ToolPolicyView[] }> => ({
  items: (await run(ctx, LIST, [ctx.clock.today()])).map((policy) => ({ ...policy, setAt: instant(policy.setAt) }))
})

const SET = statement<never>(`
insert into tool_policy (valid_from, threshold, method, life_months, residual_share, set_by, set_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (valid_from) do update
   set threshold = excluded.threshold, method = excluded.method, life_months = excluded.life_months, residual_share = excluded.residual_share,
       set_by = excluded.set_by, set_at = excluded.set_at`)

/**
 * Sets the policy for tools that are bought from a day on. The past never changes: it begins after today, and one that has not begun is
 * replaced.
 * @throws Refusal 403, 422 `PolicyInThePast`, `LifeNotWholeYears`
 */
export async function setToolPolicy(
  ctx: Context,
  { validFrom, threshold, method, lifeMonths, residualShare }: SetToolPolicy & { validFrom: string }
): Promise<ToolPolicyView> {
  requireDutyEverywhere(ctx, 'hq-finance')
  const today = ctx.clock.today()
  if (validFrom <= today) {
    throw new Refusal(
      'PolicyInThePast',
      422,
      `tools bought up to today (${today}) go by the policy that holds; a new one begins tomorrow or later`,
      {
        errors: [
          { pointer: '{validFrom}', detail: 'is not in the future', sent: validFrom, accepted: `after ${today}` }
        ]
      }
    )
  }
  if (method === 'declining-balance' && lifeMonths % 12 !== 0) {
    throw new Refusal(
      'LifeNotWholeYears',
      422,
      `declining balances are reckoned by whole years; give a life of ${lifeMonths < 12 ? '' : `${lifeMonths - (lifeMonths % 12)} or `}${lifeMonths - (lifeMonths % 12) + 12} months, or straight-line`,
      { errors: [{ pointer: '/lifeMonths', detail: 'is no multiple of 12', sent: lifeMonths }] }
    )
  }
  return inTransaction(ctx, async (inner) => {
    await run(inner, SET, [
      validFrom,
      threshold,
      method,
      lifeMonths,
      residualShare,
      inner.actor.personId,
      inner.clock.now().toString()
    ])
    await recordAudit(inner, 'tool-policy.set', `tool-policy:${validFrom}`, {
      threshold,
      method,
      lifeMonths,
      residualShare
    })
    const set = (await listToolPolicies(inner)).items.find((policy) => policy.validFrom === validFrom)
    if (set === undefined) throw new Error(`the policy from ${validFrom} on was set a moment ago`)
    return set
  })
}
