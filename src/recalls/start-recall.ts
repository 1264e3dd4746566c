import type { Context } from '../identity/actor.ts'
import { blockStock } from '../ledger/block.ts'
import { noteRecalledUnits } from '../loaners/recalled-units.ts'
import { run, statement } from '../platform/database.ts'
import { publish } from '../platform/outbox.ts'
import { GONE, IN_TRANSIT, MATCHED, NAMED_BY_RECALL } from './recall-scopes.ts'
import { loadRecall } from './recall.ts'

// Who has to answer: where goods of it lie or are expected, from where they went to repair orders and customers, and the outlets that got them or
// are sent them past their centre. Looked at
// after the goods were blocked, in a new statement, so that nothing slipped away between.
const CONCERN = statement<never>(`
with named as (${NAMED_BY_RECALL} and lifted_at is null), ${MATCHED}, ${IN_TRANSIT}, ${GONE}
insert into recall_warehouse (warehouse_id, recall_id, held, issued, got)
select warehouse_id, $2, sum(held), sum(issued), sum(got)
  from (select warehouse_id, on_hand as held, 0::numeric as issued, 0::numeric as got from matched where not exhausted
        union all select to_warehouse_id, 0, 0, 0 from in_transit
        union all select direct_to_warehouse_id, 0, 0, quantity from in_transit where direct_to_warehouse_id is not null
        union all select warehouse_id, 0, issued - returned, 0 from gone where outlet_id is null and kind in ('issue', 'sale', 'loan-out') and issued > returned
        union all select outlet_id, 0, 0, issued - returned from gone where outlet_id is not null and issued > returned) concerned
 group by warehouse_id
on conflict do nothing`)

const NOTE = statement<never>(`
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select $1, $2, $3, $4, 'started', jsonb_build_object('warehouses', $5::int, 'lots', $6::int, 'quantity', $7::text, 'brokenReservations', $8::int)`)

const BLOCKED = statement<{ warehouses: number; lots: number; quantity: string }>(`
select count(distinct b.warehouse_id)::int as warehouses, count(*)::int as lots, trim_scale(coalesce(sum(l.on_hand), 0))::text as quantity
  from lot_block b join lot l on l.warehouse_id = b.warehouse_id and l.id = b.lot_id and not l.exhausted where b.recall_id = $1`)

/**
 * Blocks what a recall names, in every warehouse, and notes who has to answer. Whoever calls it is in a transaction and has seen to the
 * signatures.
 */
export async function startRecall(ctx: Context, number: string): Promise<void> {
  const { recall, office } = await loadRecall(ctx, number)
  const { broken } = await blockStock(ctx, {
    recallId: recall.id,
    recall: number,
    scopes: recall.lines.map(
      ({ line, partId, receivedFrom, receivedTo, supplierId, originWarehouseId, originLotId }) => ({
        scopeNo: line,
        partId,
        receivedFrom,
        receivedTo,
        supplierId,
        originWarehouseId,
        originLotId
      })
    )
  })
  await noteRecalledUnits(ctx, { recallId: recall.id, recall: number })
  await run(ctx, CONCERN, [office.id, recall.id])
  const [blocked] = await run(ctx, BLOCKED, [recall.id])
  if (blocked === undefined) throw new Error('a sum answers one row')
  await run(ctx, NOTE, [
    office.id,
    recall.id,
    ctx.clock.now().toString(),
    ctx.actor.personId,
    blocked.warehouses,
    blocked.lots,
    blocked.quantity,
    broken
  ])
  await publish(ctx, [recallEvent('recall.started', { recall, office }, recall.lines)])
}

/** What the rooms of requests are told: for which parts there is less, or again more. */
export const recallEvent = (
  event: 'recall.started' | 'recall.lifted' | 'recall.closed',
  { recall, office }: { recall: { id: string; number: string; title: string }; office: { id: number } },
  lines: readonly { partId: number; part: string }[]
) => ({
  subject: `document:${recall.id}`,
  event,
  warehouseId: office.id,
  payload: {
    recall: recall.number,
    title: recall.title,
    parts: [...new Set(lines.map(({ part }) => part))],
    partIds: [...new Set(lines.map(({ partId }) => partId))]
  }
})
