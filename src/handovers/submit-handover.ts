import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { handoverHash, loadHandover, lockHandover, requireDraft, viewOfHandover, type Handover } from './handover.ts'
import type { HandoverView } from './handovers.schemas.ts'
import { grantsToEnd, requireIncoming } from './keepers.ts'
import { takeSnapshot } from './take-snapshot.ts'

const SUBMIT = statement<never>(`
with submitted as (
  update handover set version = version + 1, state = 'awaiting-signatures', submitted_at = $3, submitted_by = $4, content_hash = $5::text, refusal = null
   where warehouse_id = $1 and id = $2
  returning snapshot_position
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select $1, $2, $3, $4, 'submitted', jsonb_build_object('contentHash', $5::text, 'position', snapshot_position::text) from submitted`)

// Goods that came in after the count were taken in by somebody who is there.
const UNCOUNTED = statement<{ part: string; ownership: string; condition: string; total: number }>(`
select b.part_number as part, b.ownership, b.condition, count(*) over ()::int as total
  from handover_balance b
  left join stock_count c on c.warehouse_id = b.warehouse_id and c.id = $3
 where b.warehouse_id = $1 and b.handover_id = $2
   and (c.id is null or (
     not exists (select 1 from count_line l where l.warehouse_id = b.warehouse_id and l.count_id = c.id and l.part_id = b.part_id
                    and l.ownership = b.ownership and l.condition = b.condition)
     and exists (select 1 from movement m where m.warehouse_id = b.warehouse_id and m.part_id = b.part_id and m.ownership = b.ownership
                    and m.condition = b.condition and m.id <= c.position)))
 order by b.part_number, b.ownership, b.condition limit ${NAMED_OFFENDERS}`)

/**
 * Hands a handover in for its signatures: the ledger and what is open are frozen as they are now, and what is signed is that content. Where
 * the outgoing keeper is absent all goods were counted under supervision first, because nobody else can say what is there.
 * @throws Refusal 409 `HandoverNotDraft`, 422 `SupervisedCountMissing`, `PersonInactive`, `NotKeeperThere`, `KeeperOfMore`, 403, 404, 412
 */
export function submitHandover(
  ctx: Context,
  { number, ifMatch }: { number: string; ifMatch?: string | undefined }
): Promise<HandoverView> {
  return inTransaction(ctx, async (inner) => {
    const { handover, warehouse } = await lockHandover(inner, number, { ifMatch })
    requireDraft(handover)
    await requireIncoming(inner, { username: handover.incoming.username, outgoingId: handover.outgoingId })
    await grantsToEnd(inner, warehouse, { id: handover.outgoingId, username: handover.outgoing.username })
    await takeSnapshot(inner, warehouse, handover)
    if (handover.absentBecause !== null) await requireCounted(inner, warehouse, handover)
    const { handover: frozen } = await loadHandover(inner, number)
    const hash = await handoverHash(inner, frozen, warehouse)
    await run(inner, SUBMIT, [warehouse.id, handover.id, inner.clock.now().toString(), inner.actor.personId, hash])
    return viewOfHandover(inner, number)
  })
}

async function requireCounted(ctx: Context, warehouse: Warehouse, handover: Handover): Promise<void> {
  const uncounted = await run(ctx, UNCOUNTED, [warehouse.id, handover.id, handover.countId])
  const total = uncounted[0]?.total ?? 0
  if (total === 0) return
  const named = uncounted.map(({ part, ownership, condition }) => `${part} ${ownership} ${condition}`).join('; ')
  throw new Refusal(
    'SupervisedCountMissing',
    422,
    `${handover.outgoing.username} is absent, so all goods of ${warehouse.code} are counted under supervision before they are handed over; not counted: ${named}${total > uncounted.length ? ` and ${total - uncounted.length} more` : ''}. Open a count, have it approved and name it in the handover`,
    { extra: { total, balances: uncounted.map(({ part, ownership, condition }) => ({ part, ownership, condition })) } }
  )
}
