import { requireDutyEverywhere, type Context, type Duty } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { publish } from '../platform/outbox.ts'
import { ALERT_KIND_NAMES, ALERT_KINDS, type AlertKind } from './alert-kinds.ts'
import type { AlertPolicyView, SetAlertPolicyBody } from './alerts.schemas.ts'
import { writingAlerts } from './reconcile.ts'

const LIST = statement<Omit<AlertPolicyView, 'kindZh'>>(`
select kind, ladder, escalate_after_hours as "escalateAfterHours", mail, enabled from alert_policy`)

/** The policy of every kind. */
export async function listAlertPolicies(ctx: Context): Promise<AlertPolicyView[]> {
  const byKind = new Map((await run(ctx, LIST, [])).map((policy) => [policy.kind, policy]))
  return ALERT_KINDS.flatMap((kind) => {
    const policy = byKind.get(kind)
    return policy === undefined ? [] : [{ ...policy, kindZh: ALERT_KIND_NAMES[kind] }]
  })
}

export async function readAlertPolicy(ctx: Context, { kind }: { kind: AlertKind }): Promise<AlertPolicyView> {
  const policy = (await listAlertPolicies(ctx)).find((found) => found.kind === kind)
  if (policy === undefined) throw notFound('alert policy', kind)
  return policy
}

const SET = statement<never>(
  `update alert_policy set ladder = $2::jsonb, escalate_after_hours = $3, mail = $4, enabled = $5 where kind = $1`
)

/**
 * Sets who is told of a kind of alert and when. It holds for open alerts at once: who is told is looked up, never copied.
 * @throws Refusal 403, 422 `DutyTwiceInLadder`
 */
export async function setAlertPolicy(
  ctx: Context,
  { kind, ladder, escalateAfterHours, mail, enabled }: SetAlertPolicyBody & { kind: AlertKind }
): Promise<AlertPolicyView> {
  requireDutyEverywhere(ctx, 'administrator')
  requireEachDutyOnce(ladder)
  return writingAlerts(ctx, async (inner) => {
    const before = await readAlertPolicy(inner, { kind })
    await run(inner, SET, [kind, JSON.stringify(ladder), escalateAfterHours, mail, enabled])
    await recordAudit(inner, 'alert-policy.set', `alert-policy:${kind}`, { ladder, escalateAfterHours, mail, enabled })
    // Raising or resolving all of a kind may take long; it follows.
    if (before.enabled !== enabled)
      await publish(inner, [{ subject: `alert-policy:${kind}`, event: 'alert-policy.set', payload: { kind } }])
    return readAlertPolicy(inner, { kind })
  })
}

function requireEachDutyOnce(ladder: Duty[][]): void {
  const told = new Set<Duty>()
  for (const [rung, duties] of ladder.entries()) {
    for (const [place, duty] of duties.entries()) {
      if (told.has(duty)) {
        throw new Refusal('DutyTwiceInLadder', 422, `${duty} is told once; leave it away where it comes again`, {
          errors: [{ pointer: `/ladder/${rung}/${place}`, detail: 'is in the ladder already', sent: duty }]
        })
      }
      told.add(duty)
    }
  }
}
