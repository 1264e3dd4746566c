import type { Context } from '../identity/actor.ts'
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
