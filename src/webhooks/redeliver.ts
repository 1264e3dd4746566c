// Sending again, by hand. A message keeps its webhook-id for ever: a receiver that has had it can tell.
import { requireWriting, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { WANTS } from './fan-out.ts'
import { KEPT_DAYS } from './purge-deliveries.ts'
import { endpointsDue } from './webhook-due.ts'
import { deliveryView, readWebhook } from './webhooks.queries.ts'
import type { ReplayBody, WebhookDeliveryView, WebhookView } from './webhooks.schemas.ts'

/**
 * An endpoint that can be sent to.
 * @throws Refusal 403 `ReadOnlyKey`, 404, 409 `WebhookInactive`
 */
async function requireActive(ctx: Context, id: string): Promise<WebhookView> {
  const webhook = await readWebhook(ctx, { id })
  requireWriting(ctx)
  if (webhook.state !== 'active') {
    throw new Refusal(
      'WebhookInactive',
      409,
      `webhook ${id} is ${webhook.state}${webhook.disabledBecause === null ? '' : ` (${webhook.disabledBecause})`}; switch it on first`
    )
  }
  return webhook
}

const ANEW = `state = 'waiting', attempts = 0, next_attempt_at = excluded.next_attempt_at, settled_at = null`

const REDELIVER = statement<{ message: string }>(`
update webhook_delivery set state = 'waiting', attempts = 0, next_attempt_at = $3, settled_at = null
 where endpoint_id = $1::bigint and message_id = $2::bigint returning message_id::text as message`)
// Whoever asks by hand does not wait until a resting endpoint has rested.
const WAKE = statement<never>(`update webhook_endpoint set rest_until = null where id = $1::bigint`)

/**
 * Sends one delivery again, whatever became of it, from its first attempt.
 * @throws Refusal 403 `ReadOnlyKey`, 404, 409 `WebhookInactive`
 */
export async function redeliverWebhook(
  ctx: Context,
  { id, delivery }: { id: string; delivery: string }
): Promise<WebhookDeliveryView> {
  await requireActive(ctx, id)
  return inTransaction(ctx, async (ctx) => {
    const [found] = await run(ctx, REDELIVER, [id, delivery, ctx.clock.now().toString()])
    if (found === undefined) throw notFound('delivery', delivery)
    await run(ctx, WAKE, [id])
    await endpointsDue(ctx, [id])
    return deliveryView(ctx, { id, delivery })
  })
}

/** More is asked for in several times. */
export const MOST_REPLAYED = 50_000

// One statement: what is there of the endpoint's events and place, whether it was ever sent there or not. The log forgets what arrived
// before the messages themselves go, so of those ($8 and earlier) only what it still has is known not to have arrived.
const REPLAY = statement<{ queued: number }>(`
with replayed as (
  insert into webhook_delivery (endpoint_id, message_id, subject, next_attempt_at)
  select e.id, m.id, m.subject, $6
    from webhook_endpoint e
    join webhook_message m on m.occurred_at >= $2 and m.occurred_at < $3 and m.type <> 'ping'
    left join warehouse w on w.id = m.warehouse_id
   where e.id = $1::bigint and ${WANTS} and ($4::text[] is null or m.type = any ($4))
     and (not $5 or coalesce((select d.state <> 'delivered' from webhook_delivery d where d.endpoint_id = e.id and d.message_id = m.id), m.occurred_at > $8))
   order by m.id limit $7
  on conflict (endpoint_id, message_id) do update set ${ANEW}
  returning 1
)
select count(*)::int as queued from replayed`)

/**
 * Sends again what happened in a span of time, in its order: all that the endpoint wants, also what it missed while it was off.
 * @throws Refusal 400, 403 `ReadOnlyKey`, 404, 409 `WebhookInactive`, 422 `InstantsReversed`, `ReplayTooLarge`
 */
export async function replayWebhook(
  ctx: Context,
  { id, from, to, events, onlyFailed = false }: { id: string } & ReplayBody
): Promise<{ queued: number }> {
  await requireActive(ctx, id)
  const since = instantOf(from, '/from')
  const until = to === undefined ? ctx.clock.now().add({ seconds: 1 }) : instantOf(to, '/to')
  if (Temporal.Instant.compare(since, until) >= 0) {
    throw new Refusal(
      'InstantsReversed',
      422,
      `from ${from} is not before ${until.toString()}; the earlier comes first`,
      {
        errors: [{ pointer: '/from', detail: 'is not before the end', sent: from }]
      }
    )
  }
  return inTransaction(ctx, async (ctx) => {
    const [{ queued } = { queued: 0 }] = await run(ctx, REPLAY, [
      id,
      since.toString(),
      until.toString(),
      events ?? null,
      onlyFailed,
      ctx.clock.now().toString(),
      MOST_REPLAYED + 1,
      ctx.clock
        .now()
        .subtract({ hours: 24 * KEPT_DAYS.delivered })
        .toString()
    ])
    if (queued > MOST_REPLAYED) {
      throw new Refusal(
        'ReplayTooLarge',
        422,
        `that is more than ${MOST_REPLAYED} events; replay a shorter span, and the next one after it`
      )
    }
    await run(ctx, WAKE, [id])
    await recordAudit(ctx, 'webhook.replayed', `webhook:${id}`, { from, to: to ?? null, onlyFailed, queued })
    await endpointsDue(ctx, [id])
    return { queued }
  })
}

/** An instant that the database can hold. */
function instantOf(text: string, pointer: string): Temporal.Instant {
  try {
    const found = Temporal.Instant.from(text)
    if (found.epochMilliseconds > Date.UTC(1970, 0) && found.epochMilliseconds < Date.UTC(9999, 0)) return found
  } catch {
    // Falls through: it has the form of an instant and is none.
  }
  throw new Refusal('InvalidInput', 400, `${pointer} must be an instant such as 2026-11-19T00:00:00Z`, {
    errors: [{ pointer, detail: 'must be an instant of the years 1970 to 9998', sent: text }]
  })
}

const PING = statement<{ message: string }>(`
with sent as (
  insert into webhook_message (type, subject, warehouse_id, occurred_at, body)
  select 'ping', 'webhook:' || e.id, e.warehouse_id, $2, $3 from webhook_endpoint e where e.id = $1::bigint returning id, subject
)
insert into webhook_delivery (endpoint_id, message_id, subject, next_attempt_at) select $1::bigint, id, subject, $2 from sent
returning message_id::text as message`)

/**
 * Sends a test, whatever events the endpoint wants. Read how it went by the delivery that is answered.
 * @throws Refusal 403 `ReadOnlyKey`, 404, 409 `WebhookInactive`
 */
export async function pingWebhook(ctx: Context, { id }: { id: string }): Promise<WebhookDeliveryView> {
  await requireActive(ctx, id)
  return inTransaction(ctx, async (ctx) => {
    const timestamp = ctx.clock.now().toString()
    const body = JSON.stringify({ type: 'ping', timestamp, data: { webhook: id, by: ctx.actor.username } })
    const [sent] = await run(ctx, PING, [id, timestamp, body])
    if (sent === undefined) throw notFound('webhook', id)
    await run(ctx, WAKE, [id])
    await endpointsDue(ctx, [id])
    return deliveryView(ctx, { id, delivery: sent.message })
  })
}
