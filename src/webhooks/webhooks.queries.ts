import type { Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { manageable, managing } from './webhook-rights.ts'
import { WEBHOOK_EVENT_TYPES, WEBHOOK_EVENTS } from './webhook-events.ts'
import type { WebhookDelivery, WebhookDeliveryView, WebhookEventView, WebhookView } from './webhooks.schemas.ts'

/** The events an endpoint may want, each with what is sent. */
export const webhookEventList = (): WebhookEventView[] =>
  WEBHOOK_EVENT_TYPES.map((event) => ({
    event,
    summary: WEBHOOK_EVENTS[event].summary,
    example: { type: event, timestamp: '2026-11-20T02:00:00Z', data: WEBHOOK_EVENTS[event].data }
  }))

const countOf = (state: string) =>
  `(select count(*)::int from (select 1 from webhook_delivery d where d.endpoint_id = e.id and d.state = '${state}' limit 1000) counted)`
const STATE = `case when e.active then 'active' when e.disabled_at is not null then 'disabled' else 'paused' end`
const VIEW = `
select e.id::text as id, e.url, e.description, e.events, w.code as warehouse, region.code as region, ${STATE} as state,
       e.disabled_because as "disabledBecause", e.disabled_at as "disabledAt", e.failing_since as "failingSince",
       case when e.rest_until > $1 then e.rest_until end as "restsUntil", ${countOf('waiting')} as waiting, ${countOf('dead')} as dead,
       case when e.old_secret_until > $1 then e.old_secret_until end as "oldSecretValidUntil", person.username as "createdBy", e.created_at as "createdAt"
  from webhook_endpoint e
  join person on person.id = e.created_by
  left join warehouse w on w.id = e.warehouse_id
  left join region on region.id = e.region_id
 where ${manageable(2)}`
const READ = statement<WebhookView>(`${VIEW} and e.id = $7::bigint`)
const LIST = statement<WebhookView>(`${VIEW}
   and ($7::text is null or w.code = $7) and ($8::text is null or ${STATE} = $8) and ($9::bigint is null or e.id > $9::bigint)
 order by e.id limit $10`)

const shown = (row: WebhookView): WebhookView => ({
  ...row,
  disabledAt: instantOrNull(row.disabledAt),
  failingSince: instantOrNull(row.failingSince),
  restsUntil: instantOrNull(row.restsUntil),
  oldSecretValidUntil: instantOrNull(row.oldSecretValidUntil),
  createdAt: instant(row.createdAt)
})

/**
 * An endpoint of a place one answers for.
 * @throws Refusal 404
 */
export async function readWebhook(ctx: Context, { id }: { id: string }): Promise<WebhookView> {
  const [found] = await run(ctx, READ, [ctx.clock.now().toString(), ...managing(ctx), id])
  if (found === undefined) throw notFound('webhook', id)
  return shown(found)
}

/** The endpoints of the places one answers for, as they were entered. */
export async function listWebhooks(
  ctx: Context,
  {
    warehouse,
    state,
    limit = 50,
    cursor
  }: {
    warehouse?: string | undefined
    state?: WebhookView['state'] | undefined
    limit?: number
    cursor?: string | undefined
  }
) {
  const [after = null] = readCursor(cursor, ['id']) ?? []
  const rows = await run(ctx, LIST, [
    ctx.clock.now().toString(),
    ...managing(ctx),
    warehouse ?? null,
    state ?? null,
    after,
    limit + 1
  ])
  return pageFrom(rows.map(shown), limit, ({ id }) => [id])
}

const DELIVERY = `
select d.message_id::text as id, m.key as "webhookId", m.type as event, m.occurred_at as "occurredAt", d.state, d.attempts,
       case when d.state = 'waiting' then d.next_attempt_at end as "nextAttemptAt", d.settled_at as "settledAt",
       coalesce((select json_agg(json_build_object('at', a.at, 'milliseconds', a.milliseconds, 'status', a.status, 'problem', a.problem, 'response', a.response) order by a.id desc)
                   from (select * from webhook_attempt a where a.endpoint_id = d.endpoint_id and a.message_id = d.message_id order by a.id desc limit 20) a), '[]') as log`
const DELIVERIES = statement<WebhookDelivery>(`${DELIVERY}
  from webhook_delivery d join webhook_message m on m.id = d.message_id
 where d.endpoint_id = $1::bigint and ($2::text is null or d.state = $2) and ($3::text is null or m.type = $3)
   and ($4::bigint is null or d.message_id < $4::bigint)
 order by d.message_id desc limit $5`)
const ONE = statement<WebhookDeliveryView>(`${DELIVERY}, m.body
  from webhook_delivery d join webhook_message m on m.id = d.message_id
 where d.endpoint_id = $1::bigint and d.message_id = $2::bigint`)

const dated = <Row extends WebhookDelivery>(row: Row): Row => ({
  ...row,
  occurredAt: instant(row.occurredAt),
  nextAttemptAt: instantOrNull(row.nextAttemptAt),
  settledAt: instantOrNull(row.settledAt),
  log: row.log.map((attempt) => ({ ...attempt, at: instant(attempt.at) }))
})

/**
 * What was sent to an endpoint and what waits, newest first, with its attempts.
 * @throws Refusal 404
 */
export async function listWebhookDeliveries(
  ctx: Context,
  {
    id,
    state,
    event,
    limit = 50,
    cursor
  }: {
    id: string
    state?: WebhookDelivery['state'] | undefined
    event?: WebhookDelivery['event'] | undefined
    limit?: number
    cursor?: string | undefined
  }
) {
  await readWebhook(ctx, { id })
  const [after = null] = readCursor(cursor, ['id']) ?? []
  const rows = await run(ctx, DELIVERIES, [id, state ?? null, event ?? null, after, limit + 1])
  return pageFrom(rows.map(dated), limit, (row) => [row.id])
}

/** @throws Refusal 404 */
export async function readWebhookDelivery(
  ctx: Context,
  { id, delivery }: { id: string; delivery: string }
): Promise<WebhookDeliveryView> {
  await readWebhook(ctx, { id })
  return deliveryView(ctx, { id, delivery })
}

/** @throws Refusal 404 */
export async function deliveryView(
  ctx: Context,
  { id, delivery }: { id: string; delivery: string }
): Promise<WebhookDeliveryView> {
  const [found] = await run(ctx, ONE, [id, delivery])
  if (found === undefined) throw notFound('delivery', delivery)
  return dated(found)
}
