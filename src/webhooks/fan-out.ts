import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { defineConsumer, type Follow, type OutboxEvent } from '../platform/outbox.ts'
import { NETWORK_EVENTS, networkDetails, networkFacts } from './network-facts.ts'
import { AS_THEY_ARE, OF_SLIPS, type WebhookEventType } from './webhook-events.ts'
import { WEBHOOK_DUE } from './webhook-due.ts'
import { deliverWebhooks } from './webhooks.jobs.ts'

const SOMEBODY_LISTENS = statement<{ listens: boolean }>(`select exists (select 1 from webhook_endpoint) as listens`)

interface SlipFacts {
  outboxId: string
  slip: string
  kind: string
  state: string
  warehouse: string
  occurredOn: string
  reference: string | null
  by: string
}

// Counts have a history of the same kind; they are in no slip and drop out here.
const SLIPS = statement<SlipFacts>(`
select e.outbox_id::text as "outboxId", s.number as slip, s.kind, s.state, w.code as warehouse, s.occurred_on::text as "occurredOn", s.reference, person.username as by
  from unnest($1::bigint[], $2::int[], $3::bigint[], $4::int[]) as e (outbox_id, warehouse_id, document_id, person_id)
  join slip s on s.warehouse_id = e.warehouse_id and s.id = e.document_id
  join warehouse w on w.id = s.warehouse_id
  join person on person.id = e.person_id`)

/** Whether an endpoint `e` wants a message `m` by its type. */
const WANTS_TYPE = `(e.events is null or m.type = any (e.events))`
/** Whether an endpoint `e` wants a message `m` that happened in a warehouse of region `w` and concerns others. */
export const WANTS = `${WANTS_TYPE}
   and ((e.warehouse_id is null and e.region_id is null) or e.warehouse_id = m.warehouse_id or e.region_id = w.region_id
        or e.warehouse_id = any (m.also_warehouse_ids)
        or (e.region_id is not null and exists (select from warehouse also where also.id = any (m.also_warehouse_ids) and also.region_id = e.region_id)))`

// One message per event that somebody wants, be the endpoint switched off: it can be replayed then. One delivery per endpoint that is
// on. The unique keys make a second handling of the same events write nothing: only messages that are new are delivered. The endpoints
// of a warehouse, of its region and of everywhere are found by an index each, however many other warehouses have theirs.
const FAN_OUT = statement<{ endpoint: string }>(`
with m as materialized (
  select * from unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::text[], $8::text[]) with ordinality
         as m (outbox_id, type, subject, warehouse_id, occurred_at, body, also, place)
), concerned as materialized (
  select distinct m.place, m.type, w.id as warehouse_id, w.region_id
    from m
   cross join lateral unnest(array_append(m.also::int[], m.warehouse_id)) as of (id)
    join warehouse w on w.id = of.id
), wanted as materialized (
  select c.place, e.id, e.active
    from concerned c
   cross join lateral (
     select e.id, e.active from webhook_endpoint e where e.warehouse_id = c.warehouse_id and (e.events is null or c.type = any (e.events))
      union all
     select e.id, e.active from webhook_endpoint e where e.region_id = c.region_id and (e.events is null or c.type = any (e.events))
   ) e
   union
  select m.place, e.id, e.active from m join webhook_endpoint e on e.warehouse_id is null and e.region_id is null and ${WANTS_TYPE}
), written as (
  insert into webhook_message (outbox_id, type, subject, warehouse_id, also_warehouse_ids, occurred_at, body)
  select outbox_id, type, subject, warehouse_id, also::int[], occurred_at, body from m
   where place in (select place from wanted)
   order by place
  on conflict (outbox_id) do nothing
  returning id, outbox_id, subject
), delivered as (
  insert into webhook_delivery (endpoint_id, message_id, subject, next_attempt_at)
  select wanted.id, written.id, written.subject, $7
    from written
    join m on m.outbox_id = written.outbox_id
    join wanted on wanted.place = m.place and wanted.active
  on conflict do nothing
  returning endpoint_id
)
select distinct endpoint_id::text as endpoint from delivered`)

interface Told {
  event: OutboxEvent
  type: WebhookEventType
  data: Record<string, unknown>
  /** Other warehouses that it concerns. */
  also: readonly number[]
}

/** What a slip's event tells besides the slip itself. */
function detailsOf({ event, payload }: OutboxEvent): Record<string, unknown> {
  const details = (payload['details'] ?? {}) as Record<string, unknown>
  if (event === 'document.reversed') return { reversedBy: details['by'] }
  if (event === 'document.signed' || event === 'document.signed-late')
    return { ...details, isLate: event === 'document.signed-late' }
  if (event === 'document.refused') {
    const { comment: reason, ...rest } = details
    return { ...rest, reason }
  }
  if (event === 'document.release-refused') return { duty: 'keeper', ...details }
  return details
}

async function told(ctx: Context, events: readonly OutboxEvent[]): Promise<Told[]> {
  const ofDocuments = events.filter(({ event }) => event in OF_SLIPS)
  const slips = new Map(
    ofDocuments.length === 0
      ? []
      : (
          await run(ctx, SLIPS, [
            ofDocuments.map(({ id }) => id),
            ofDocuments.map(({ warehouseId }) => warehouseId),
            ofDocuments.map(({ payload }) => payload['document']),
            ofDocuments.map(({ payload }) => payload['by'])
          ])
        ).map(({ outboxId, ...facts }) => [outboxId, facts])
  )
  const network = new Map((await networkFacts(ctx, events)).map((fact) => [fact.outboxId, fact]))
  return events.flatMap((event): Told[] => {
    const of = network.get(event.id)
    if (of !== undefined)
      return [{ event, type: of.type, data: { ...of.facts, ...networkDetails(event) }, also: of.also }]
    if (AS_THEY_ARE.includes(event.event))
      return [{ event, type: event.event as WebhookEventType, data: event.payload, also: [] }]
    const type = OF_SLIPS[event.event]
    const slip = slips.get(event.id)
    return type === undefined || slip === undefined
      ? []
      : [{ event, type, data: { ...slip, ...detailsOf(event) }, also: [] }]
  })
}

/**
 * Makes messages and deliveries of what happened; the pump of each endpoint sends them. A slip is described as it is when that is
 * done, moments after the event.
 */
export const tellWebhooks = defineConsumer({
  name: 'webhooks.tell',
  events: [...new Set([...Object.keys(OF_SLIPS), ...NETWORK_EVENTS, ...AS_THEY_ARE, WEBHOOK_DUE])],
  handle: async (ctx: Context, events) => {
    const due = events.flatMap(({ event, payload }) => (event === WEBHOOK_DUE ? [payload] : []))
    const follows: Follow[] = due.map(({ endpoint, delayMs }) => ({
      job: deliverWebhooks,
      payload: { endpoint: String(endpoint) },
      ...(typeof delayMs === 'number' && { delayMs })
    }))
    const happened = events.filter(({ event }) => event !== WEBHOOK_DUE)
    if (happened.length === 0) return follows
    const [{ listens } = { listens: false }] = await run(ctx, SOMEBODY_LISTENS, [])
    if (!listens) return follows
    const messages = await told(ctx, happened)
    const endpoints = await run(ctx, FAN_OUT, [
      messages.map(({ event }) => event.id),
      messages.map(({ type }) => type),
      messages.map(({ event }) => event.subject),
      messages.map(({ event }) => event.warehouseId),
      messages.map(({ event }) => event.occurredAt),
      messages.map(({ event, type, data }) => JSON.stringify({ type, timestamp: event.occurredAt, data })),
      ctx.clock.now().toString(),
      messages.map(({ also }) => `{${also.join(',')}}`)
    ])
    return [...follows, ...endpoints.map(({ endpoint }) => ({ job: deliverWebhooks, payload: { endpoint } }))]
  }
})
