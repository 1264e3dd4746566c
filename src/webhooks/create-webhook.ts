import { randomBytes } from 'node:crypto'
import type { Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { requirePerson } from '../identity/require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { networksOf, requireDestination, type Resolve } from './destinations.ts'
import { requirePlace } from './webhook-rights.ts'
import { readWebhook } from './webhooks.queries.ts'
import type { CreatedWebhookView, CreateWebhookBody } from './webhooks.schemas.ts'

/** Every event of a place is sent to each of its endpoints. */
export const MOST_PER_PLACE = 20

// Two that are entered at once for one place wait for each other.
const LOCK = statement<never>(`select pg_advisory_xact_lock(7305013, hashtext($1))`)
const CREATE = statement<{ id: string }>(`
insert into webhook_endpoint (url, description, events, warehouse_id, region_id, secret, created_by, created_at)
select $1, $2, $3::text[], $4::int, $5::int, $6, $7, $8
 where $9::int > (select count(*) from webhook_endpoint where warehouse_id is not distinct from $4::int and region_id is not distinct from $5::int)
returning id::text as id`)

/** A secret of Standard Webhooks: 32 random bytes. */
export const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`

/** What of a URL goes on record: its path or query may be what the receiver knows us by. */
export const auditedUrl = (url: string): string => new URL(url).origin

/**
 * Enters an endpoint: from now on what happens in its place is sent there, signed with the secret of this answer.
 * @throws Refusal 403 `DutyRequired`, `PersonRequired`, 404, 422 `DestinationForbidden`, `PlaceAmbiguous`, `TooManyWebhooks`
 */
export async function createWebhook(
  ctx: Context,
  { url: given, description, events, warehouse, region }: CreateWebhookBody,
  look?: Resolve
): Promise<CreatedWebhookView> {
  const place = await requirePlace(ctx, { warehouse, region })
  requirePerson(ctx)
  const url = await requireDestination(given, networksOf(ctx.config), look)
  const secret = newSecret()
  return inTransaction(ctx, async (ctx) => {
    await run(ctx, LOCK, [`${place.warehouseId} ${place.regionId}`])
    const [created] = await run(ctx, CREATE, [
      url,
      description ?? null,
      events ?? null,
      place.warehouseId,
      place.regionId,
      secret,
      ctx.actor.personId,
      ctx.clock.now().toString(),
      MOST_PER_PLACE
    ])
    if (created === undefined) {
      throw new Refusal(
        'TooManyWebhooks',
        422,
        `there are ${MOST_PER_PLACE} webhooks for that place already, which is the most; delete one first`
      )
    }
    await recordAudit(ctx, 'webhook.created', `webhook:${created.id}`, {
      url: auditedUrl(url),
      events: events ?? null,
      warehouse: warehouse ?? null,
      region: region ?? null
    })
    return { ...(await readWebhook(ctx, created)), secret }
  })
}
