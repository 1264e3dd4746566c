import { requireWriting, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { requirePerson } from '../identity/require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { auditedUrl } from './create-webhook.ts'
import { readWebhook } from './webhooks.queries.ts'

const DELETE = statement<never>(`delete from webhook_endpoint where id = $1::bigint`)

/**
 * Deletes an endpoint with its log. Whoever may want it back pauses it instead.
 * @throws Refusal 403 `PersonRequired`, `ReadOnlyKey`, 404
 */
export async function deleteWebhook(ctx: Context, { id }: { id: string }): Promise<void> {
  const { url, warehouse, region } = await readWebhook(ctx, { id })
  requireWriting(ctx)
  requirePerson(ctx)
  await inTransaction(ctx, async (inner) => {
    await run(inner, DELETE, [id])
    await recordAudit(inner, 'webhook.deleted', `webhook:${id}`, { url: auditedUrl(url), warehouse, region })
  })
}
