import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { GONE, IN_TRANSIT, lineParameters, linesFrom, MATCHED, type RecallLine } from './recall-scopes.ts'
import type { RecallReach } from './recalls.schemas.ts'

type Counted = Omit<RecallReach, 'parts' | 'share' | 'needsSecondSignature'> & { promises: number }
const REACH = statement<Counted>(`
with named as (select * from ${linesFrom(1)}), ${MATCHED}, ${IN_TRANSIT}, ${GONE},
held as materialized (select * from matched where not exhausted)
select count(distinct warehouse_id)::int as warehouses, count(*)::int as lots, trim_scale(coalesce(sum(on_hand), 0))::text as "onHand",
       coalesce(sum(lot_cost(unit_cost, on_hand, cost_residue)), 0)::numeric(18,2)::text as value,
       (select trim_scale(coalesce(sum(quantity), 0))::text from in_transit) as "inTransit",
       (select trim_scale(coalesce(sum(issued - returned), 0))::text from gone) as issued,
       (select count(*)::int from reservation r
         where r.released_at is null and r.consumed < r.quantity
           and (r.warehouse_id, r.part_id, r.ownership, r.condition) in (select warehouse_id, part_id, ownership, condition from held)) as promises
  from held`)

const NETWORK_VALUE = statement<{ value: string }>(
  `select coalesce(sum(lot_cost(unit_cost, on_hand, cost_residue)), 0)::text as value from lot where not exhausted`
)

/**
 * What a recall of these lines would come to now, and whether a second person has to sign it first: if it names more than
 * RECALL_SECOND_SIGNATURE_PARTS parts, or several that together are more than RECALL_SECOND_SIGNATURE_SHARE of the cost of all stock of the network.
 * One part alone never waits: safety first. Narrow conditions do not help a recall past it, because it is what lies there that counts.
 */
export async function reachOf(
  ctx: Context,
  lines: readonly RecallLine[]
): Promise<{ reach: RecallReach; promises: number }> {
  const [counted] = await run(ctx, REACH, lineParameters(lines))
  if (counted === undefined) throw new Error('a sum answers one row')
  const { promises, ...reach } = counted
  const parts = new Set(lines.map(({ partId }) => partId)).size
  const share = parts > 1 ? await shareOfNetwork(ctx, reach.value) : null
  const needsSecondSignature =
    parts > ctx.config.RECALL_SECOND_SIGNATURE_PARTS || (share ?? 0) > ctx.config.RECALL_SECOND_SIGNATURE_SHARE
  return { reach: { parts, ...reach, share, needsSecondSignature }, promises }
}

async function shareOfNetwork(ctx: Context, value: string): Promise<number> {
  const [network] = await run(ctx, NETWORK_VALUE, [])
  const all = Number(network?.value ?? 0)
  // A share of nothing: what carries no cost is judged by the number of its parts.
  return all === 0 ? 0 : Math.round((Number(value) / all) * 10_000) / 10_000
}
