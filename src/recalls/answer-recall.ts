import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { normalQuantity } from '../platform/decimal.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { loadRecall } from './recall.ts'
import type { RecallAnswer, RecallWarehouse } from './recalls.schemas.ts'
import { readRecallWarehouse } from './recall-warehouses.ts'

/** Who answers for a warehouse; a key may, as an outlet's own software does. */
export const ANSWERING_DUTIES: readonly Duty[] = ['keeper', 'outlet-clerk', 'department-head', 'operations-supervisor']

// The recall is locked in share: it does not end while somebody answers it, and its history keeps its order.
const ANSWER = statement<never>(`
with answered as (
  insert into recall_answer (warehouse_id, recall_id, found, returned, note, answered_by, answered_at)
  values ($3, $2, $4, $5, $6, $7, $8)
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $8, $7, 'answered', jsonb_strip_nulls(jsonb_build_object('warehouse', $9::text, 'found', $4::text, 'returned', $5::text, 'note', $6::text)))`)
const HOLD = statement<{ state: string }>(`select state from recall where warehouse_id = $1 and id = $2 for share`)

/**
 * A warehouse or outlet says what it found of recalled goods and what it sent back. Who answers again corrects: the last answer holds, and all are
 * kept. Also who was not asked may answer.
 * @throws Refusal 403, 404, 409 `RecallNotRunning`
 */
export async function answerRecall(
  ctx: Context,
  { number, warehouse: code, found, returned, note }: RecallAnswer & { number: string; warehouse: string }
): Promise<RecallWarehouse> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, ANSWERING_DUTIES, warehouse)
  return inTransaction(ctx, async (inner) => {
    const { recall, office } = await loadRecall(inner, number)
    const [held] = await run(inner, HOLD, [office.id, recall.id])
    if (held?.state !== 'running')
      throw new Refusal(
        'RecallNotRunning',
        409,
        `recall ${number} is ${held?.state ?? recall.state}; it is answered while it runs`
      )
    await run(inner, ANSWER, [
      office.id,
      recall.id,
      warehouse.id,
      normalQuantity(found),
      normalQuantity(returned),
      note ?? null,
      inner.actor.personId,
      inner.clock.now().toString(),
      code
    ])
    return readRecallWarehouse(inner, { recall, warehouse })
  })
}
