import { requireWriting, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { requirePerson } from '../identity/require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { newSecret } from './create-webhook.ts'
import { readWebhook } from './webhooks.queries.ts'
import type { RotatedSecretView } from './webhooks.schemas.ts'

/** So long both secrets sign, and the receiver may take up the new one. */
const OVERLAP = { hours: 24 }

const ROTATE = statement<never>(
  `update webhook_endpoint set old_secret = secret, old_secret_until = $3, secret = $2 where id = $1::bigint`
)

/**
 * Gives an endpoint a new secret, which is in this answer only. For a day everything carries the signatures of both; one that was
 * replaced before is at its end.
 * @throws Refusal 403 `PersonRequired`, `ReadOnlyKey`, 404
 */
export async function rotateWebhookSecret(ctx: Context, { id }: { id: string }): Promise<RotatedSecretView> {
  await readWebhook(ctx, { id })
  requireWriting(ctx)
  requirePerson(ctx)
  const secret = newSecret()
  const oldSecretValidUntil = ctx.clock.now().add(OVERLAP).toString()
  await inTransaction(ctx, async (inner) => {
    await run(inner, ROTATE, [id, secret, oldSecretValidUntil])
    await recordAudit(inner, 'webhook.secret-rotated', `webhook:${id}`)
  })
  return { secret, oldSecretValidUntil }
}
