import type { Context } from '../identity/actor.ts'
import { instant } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'

const NOTE = statement<never>(`
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details) values ($1, $2, $3, $4, $5, $6::jsonb)`)

/** Writes one line of the history of a document, by who acts; it is published with it. Histories are never erased. */
export async function noteEvent(
  ctx: Context,
  { warehouseId, id }: { warehouseId: number; id: string },
  event: string,
  details: Record<string, unknown> | null = null
): Promise<void> {
  await run(ctx, NOTE, [
    warehouseId,
    id,
    ctx.clock.now().toString(),
    ctx.actor.personId,
    event,
    details === null ? null : JSON.stringify(details)
  ])
}

/** One line of the history of a document; `by` is the user name. */
export type DocumentEvent = { at: string; by: string; event: string; details: Record<string, unknown> | null }

const HISTORY = statement<DocumentEvent>(`
select e.occurred_at as at, person.username as by, e.event, e.details
  from document_event e join person on person.id = e.person_id
 where e.warehouse_id = $1 and e.document_id = $2 order by e.id`)

/** Everything that happened to a document, oldest first. Whoever asks has seen to it that the reader may see it. */
export async function historyOf(
  ctx: Context,
  { warehouseId, id }: { warehouseId: number; id: string }
): Promise<DocumentEvent[]> {
  const events = await run(ctx, HISTORY, [warehouseId, id])
  return events.map((event) => ({ ...event, at: instant(event.at) }))
}
