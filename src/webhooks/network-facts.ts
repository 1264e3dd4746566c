// What is told of requests, backorders, transfers, deposits, old parts, recalls and handovers, and to which warehouses besides the one it happened in.
import type { Context } from '../identity/actor.ts'
import { run, statement, type Statement } from '../platform/database.ts'
import type { OutboxEvent } from '../platform/outbox.ts'
import { OF_NETWORK, type NetworkDocument, type WebhookEventType } from './webhook-events.ts'

export interface Fact {
  outboxId: string
  /** Other warehouses that it concerns. */
  also: number[]
  facts: Record<string, unknown>
}

// As `e`: the events, each with the document and the person it names, if any. Several kinds of documents know events of one name: what is
// of another kind drops out by the join.
const EVENTS = `unnest($1::bigint[], $2::int[], $3::bigint[], $4::int[]) as e (outbox_id, warehouse_id, document_id, person_id)`
const BY = `left join person on person.id = e.person_id`

const REQUESTS = statement<Fact>(`
select e.outbox_id::text as "outboxId", array[r.centre_id] as also,
       json_build_object('request', r.number, 'outlet', outlet.code, 'centre', centre.code, 'urgency', r.urgency, 'state', r.state, 'needBy', r.need_by,
         'repairOrder', r.repair_order, 'by', person.username) as facts
  from ${EVENTS}
  join request r on r.warehouse_id = e.warehouse_id and r.id = e.document_id
  join warehouse outlet on outlet.id = r.warehouse_id
  join warehouse centre on centre.id = r.centre_id
  ${BY}`)

const BACKORDERS = statement<Fact>(`
select e.outbox_id::text as "outboxId", array[b.centre_id] as also,
       json_build_object('backorder', b.number, 'request', r.number, 'line', b.line_no, 'outlet', outlet.code, 'centre', centre.code, 'part', part.number,
         'quantity', trim_scale(b.quantity)::text, 'waiting', trim_scale(b.waiting)::text, 'state', b.state, 'promisedOn', b.promised_on, 'by', person.username) as facts
  from ${EVENTS}
  join backorder b on b.warehouse_id = e.warehouse_id and b.id = e.document_id
  join request r on r.warehouse_id = b.warehouse_id and r.id = b.request_id
  join part on part.id = b.part_id
  join warehouse outlet on outlet.id = b.warehouse_id
  join warehouse centre on centre.id = b.centre_id
  ${BY}`)

const TRANSFERS = statement<Fact>(`
select e.outbox_id::text as "outboxId", array_remove(array[t.to_warehouse_id, t.direct_to_warehouse_id], null) as also,
       json_build_object('transfer', t.number, 'from', giver.code, 'to', receiver.code, 'directTo', direct.code, 'state', t.state, 'carriage', t.carriage,
         'reference', t.reference, 'by', person.username) as facts
  from ${EVENTS}
  join transfer t on t.warehouse_id = e.warehouse_id and t.id = e.document_id
  join warehouse giver on giver.id = t.warehouse_id
  join warehouse receiver on receiver.id = t.to_warehouse_id
  left join warehouse direct on direct.id = t.direct_to_warehouse_id
  ${BY}`)

const OLD_PARTS = statement<Fact>(`
select e.outbox_id::text as "outboxId", array_remove(array[o.centre_id], o.warehouse_id) as also,
       json_build_object('oldPart', o.number, 'outlet', outlet.code, 'centre', centre.code, 'part', part.number, 'quantity', trim_scale(o.quantity)::text,
         'dueOn', o.due_on, 'reference', o.reference, 'by', person.username) as facts
  from ${EVENTS}
  join old_part o on o.warehouse_id = e.warehouse_id and o.id = e.document_id
  join part on part.id = o.part_id
  join warehouse outlet on outlet.id = o.warehouse_id
  join warehouse centre on centre.id = o.centre_id
  ${BY}`)

const DEPOSITS = statement<Fact>(`
select e.outbox_id::text as "outboxId", array_remove(array[centre_of(w.id)], null) as also, json_build_object('warehouse', w.code) as facts
  from ${EVENTS} join warehouse w on w.id = e.warehouse_id`)

// A recall is the head office's; it concerns whoever holds goods of it, gave them out or got them.
const RECALLS = statement<Fact>(`
select e.outbox_id::text as "outboxId", array(select c.warehouse_id from recall_warehouse c where c.recall_id = r.id and c.warehouse_id <> r.warehouse_id order by 1) as also,
       json_build_object('recall', r.number, 'title', r.title) as facts
  from ${EVENTS} join recall r on r.warehouse_id = e.warehouse_id and r.id = e.document_id`)

// Who signed last is who did it; what moved up to the position is still the outgoing keeper's.
const HANDOVERS = statement<Fact>(`
select e.outbox_id::text as "outboxId", '{}'::int[] as also,
       json_build_object('handover', h.number, 'warehouse', w.code, 'outgoing', outgoing.username, 'incoming', incoming.username, 'because', h.because,
         'isAbsent', h.absent_because is not null, 'cutOffAt', to_char(h.cut_off_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
         'position', h.cut_off_position::text, 'contentHash', h.content_hash, 'by', person.username) as facts
  from ${EVENTS}
  join handover h on h.warehouse_id = e.warehouse_id and h.id = e.document_id
  join warehouse w on w.id = h.warehouse_id
  join person outgoing on outgoing.id = h.outgoing_id
  join person incoming on incoming.id = h.incoming_id
  ${BY}`)

const FACTS: Record<NetworkDocument, Statement<Fact>> = {
  request: REQUESTS,
  backorder: BACKORDERS,
  transfer: TRANSFERS,
  oldPart: OLD_PARTS,
  deposit: DEPOSITS,
  handover: HANDOVERS,
  recall: RECALLS
}
const DOCUMENTS = Object.keys(FACTS) as NetworkDocument[]

/** Every event that may be told of such a document. */
export const NETWORK_EVENTS = [...new Set(DOCUMENTS.flatMap((document) => Object.keys(OF_NETWORK[document])))]

export interface NetworkFact extends Fact {
  type: WebhookEventType
}

/** What is told of each of these events; those of other documents are left out. */
export async function networkFacts(ctx: Context, events: readonly OutboxEvent[]): Promise<NetworkFact[]> {
  const found: NetworkFact[] = []
  for (const document of DOCUMENTS) {
    const types: Readonly<Record<string, WebhookEventType>> = OF_NETWORK[document]
    const theirs = events.filter(({ event }) => event in types)
    if (theirs.length === 0) continue
    const byId = new Map(theirs.map(({ id, event }) => [id, types[event]]))
    const rows = await run(ctx, FACTS[document], [
      theirs.map(({ id }) => id),
      theirs.map(({ warehouseId }) => warehouseId),
      theirs.map(documentOf),
      theirs.map(({ payload }) => payload['by'] ?? null)
    ])
    for (const row of rows) {
      const type = byId.get(row.outboxId)
      if (type !== undefined) found.push({ ...row, type })
    }
  }
  return found
}

/** The id of a document, by the payload of its history or by the subject of an event beside it. */
const documentOf = ({ payload, subject }: OutboxEvent): unknown =>
  payload['document'] ?? (subject.startsWith('document:') ? subject.slice('document:'.length) : null)

/** What an event tells besides its document. */
export function networkDetails({ event, payload }: OutboxEvent): Record<string, unknown> {
  if (event === 'deposit.changed') return payload
  // The document says it all.
  if (event === 'document.handed-over') return {}
  if (event.startsWith('recall.')) {
    return { parts: payload['parts'], ...(event !== 'recall.started' && { how: event.slice('recall.'.length) }) }
  }
  const { by, ...details } = (payload['details'] ?? {}) as Record<string, unknown>
  // In a history `by` is what took the goods; here it is who did it.
  return { ...details, ...(by !== undefined && { displacedBy: by }) }
}
