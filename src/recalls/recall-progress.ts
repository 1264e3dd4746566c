import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { concerned, IN_TRANSIT, MATCHED, NAMED_BY_RECALL } from './recall-scopes.ts'
import type { RecallView } from './recalls.schemas.ts'

const PROGRESS = statement<{ blocked: string; inTransit: string; warehouses: number; answered: number }>(`
with named as (${NAMED_BY_RECALL} and lifted_at is null), ${MATCHED}, ${IN_TRANSIT}
select (select trim_scale(coalesce(sum(l.on_hand), 0))::text
          from lot_block b join lot l on l.warehouse_id = b.warehouse_id and l.id = b.lot_id and not l.exhausted
         where b.recall_id = $2) as blocked,
       (select trim_scale(coalesce(sum(quantity), 0))::text from in_transit) as "inTransit",
       count(*)::int as warehouses,
       count(*) filter (where exists (select 1 from recall_answer a where a.warehouse_id = c.warehouse_id and a.recall_id = $2))::int as answered
  from (${concerned('$2')}) c`)

/** How far a recall is: what still lies blocked, what is between two warehouses, and how many have answered. */
export async function recallProgress(
  ctx: Context,
  { recall, office }: { recall: { id: string }; office: { id: number } }
): Promise<NonNullable<RecallView['progress']>> {
  const [progress] = await run(ctx, PROGRESS, [office.id, recall.id])
  if (progress === undefined) throw new Error('a count answers one row')
  return progress
}
