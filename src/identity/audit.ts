import type { Context } from './actor.ts'
import { run, statement } from '../platform/database.ts'

const RECORD = statement<never>(`
insert into audit_event (at, person_id, actor, action, subject, details) values ($1, $2, $3, $4, $5, $6::jsonb)`)

/**
 * Notes who did what to what, in the transaction of the deed itself: either both are there or neither. Never changed afterwards.
 * @param action noun and past participle, `duty.assigned`
 * @param subject kind and human key, `person:keeper@hq`
 * @param details what a reader needs later; never a secret
 */
export async function recordAudit(
  ctx: Context,
  action: string,
  subject: string,
  details: Record<string, unknown> = {}
): Promise<void> {
  await run(ctx.em, RECORD, [
    ctx.clock.now().toString(),
    ctx.actor.personId,
    ctx.actor.key,
    action,
    subject,
    JSON.stringify(details)
  ])
}
