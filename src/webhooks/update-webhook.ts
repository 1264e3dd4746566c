import { requireWriting, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { requirePerson } from '../identity/require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { auditedUrl } from './create-webhook.ts'
import { networksOf, requireDestination, type Resolve } from './destinations.ts'
import { endpointsDue } from './webhook-due.ts'
import { readWebhook } from './webhooks.queries.ts'
import type { UpdateWebhookBody, WebhookView } from './webhooks.schemas.ts'

// Switched on, or sent elsewhere, it begins anew: what kept it off or resting was about what it was.
const UPDATE = statement<never>(`
update webhook_endpoint
   set url = coalesce($2, url), description = case when $3 then $4 else description end, events = case when $5 then $6::text[] else events end,
       active = coalesce($7::boolean, active),
       disabled_because = case when $7 is null then disabled_because end, disabled_at = case when $7 is null then disabled_at end,
       failures = case when $7 or $2 is not null then 0 else failures end,
       failing_since = case when $7 or $2 is not null then null else failing_since end,
       rest_until = case when $7 or $2 is not null then null else rest_until end
 where id = $1::bigint`)

/**
 * Changes where an endpoint is, what it wants, and whether it is on. Switched on it gets what had been waiting; what happened meanwhile
 * is had by a replay.
 * @throws Refusal 403 `PersonRequired`, `ReadOnlyKey`, 404, 422 `DestinationForbidden`
 */
export async function updateWebhook(
  ctx: Context,
  { id, url: given, description, events, active }: { id: string } & UpdateWebhookBody,
  look?: Resolve
): Promise<WebhookView> {
  await readWebhook(ctx, { id })
  requireWriting(ctx)
  requirePerson(ctx)
  const url = given === undefined ? null : await requireDestination(given, networksOf(ctx.config), look)
  return inTransaction(ctx, async (ctx) => {
    await run(ctx, UPDATE, [
      id,
      url,
      description !== undefined,
      description ?? null,
      events !== undefined,
      events ?? null,
      active ?? null
    ])
    await recordAudit(ctx, 'webhook.changed', `webhook:${id}`, {
      ...(url !== null && { url: auditedUrl(url) }),
      ...(events !== undefined && { events }),
      ...(active !== undefined && { active })
    })
    await endpointsDue(ctx, [id])
    return readWebhook(ctx, { id })
  })
}
