// What a recall holds back (R-REQ-7): blocked goods are on hand, but not available, not reservable and not issuable by any path.
//
// What it does: `blockStock` brings the scopes of a recall into force and blocks every lot they are about in every warehouse, breaking the
// promises that no longer fit; `unblockStock` lets go of what no other recall holds. Both are set-based and belong to the transaction of the
// caller. Definitions it uses:
// - A scope is about a lot if and only if the part is the same and every condition that it names holds: the day on which the goods were first
//   received, the supplier of the receipt by which they came into the company, the lot by which they did. None of them changes when goods are
//   moved, split or come back (view `recalled_lot`). Goods of which no supplier is known are of no supplier.
// - A lot is blocked while some recall blocks it (`lot_block`); `balance.blocked` is what its blocked lots hold.
// - A promise of a loaner unit is of its own lot: it is broken if that is blocked.
// - Of a balance that is too small then, reservations are broken whole, newest first, until the others fit.
// How it holds against postings: the balances of the parts are locked in the order of their keys, and looked at afterwards. A posting that
// holds one comes before, and its lots are seen here; one that waits for it sees the scopes, and blocks what it brings in itself. A balance
// that is being made meanwhile is seen by nobody: therefore whoever makes one shares a lock that is taken here alone, first of all.
// However large it is, it is not broken off by the time limit of requests: goods that are dangerous are not to stay free because they are many.
// What it does not do: decide who may, or what becomes of the goods; or wait for who holds balances in another order (`afterDeadlock`). A second run with the same scopes blocks nothing more.
import type { Context } from '../identity/actor.ts'
import { NO_TIME_LIMIT, run, statement } from '../platform/database.ts'

export interface RecallScope {
  scopeNo: number
  partId: number
  /** First and last day of receipt; null does not narrow. */
  receivedFrom?: string | null | undefined
  receivedTo?: string | null | undefined
  supplierId?: number | null | undefined
  /** The lot by which the goods first came into the company. */
  originWarehouseId?: number | null | undefined
  originLotId?: string | null | undefined
}

/** What lots hold, summed up: a recall may be about hundreds of thousands of them. */
export interface LotSum {
  lots: number
  quantity: string
}

const ALONE = statement<never>(`select pg_advisory_xact_lock(7305015)`)

const ENTER = statement<never>(`
insert into recall_scope (recall_id, scope_no, recall, part_id, received_from, received_to, supplier_id, origin_warehouse_id, origin_lot_id)
select $1, e.scope_no, $2, e.part_id, e.received_from, e.received_to, e.supplier_id, e.origin_warehouse_id, e.origin_lot_id
  from unnest($3::int[], $4::int[], $5::date[], $6::date[], $7::int[], $8::int[], $9::bigint[])
    as e (scope_no, part_id, received_from, received_to, supplier_id, origin_warehouse_id, origin_lot_id)
on conflict do nothing`)

// Also those with nothing on hand: goods may be on their way into them.
const HOLD = statement<never>(`
select count(*)
  from (select 1 from balance b
         where b.part_number in (select part.number from recall_scope s join part on part.id = s.part_id where s.recall_id = $1)
         order by b.warehouse_id, b.part_id, b.ownership, b.condition
           for no key update) held`)

// Balance by balance along the keys, however large the network: `offset 0` keeps the planner to it.
const NAME = statement<LotSum>(`
with named as (
  insert into lot_block (warehouse_id, lot_id, recall_id)
  select distinct r.warehouse_id, r.lot_id, r.recall_id
    from balance b
   cross join lateral (select * from recalled_lot r
                        where r.recall_id = $1 and r.warehouse_id = b.warehouse_id and r.part_id = b.part_id and r.ownership = b.ownership
                          and r.condition = b.condition and not r.exhausted offset 0) r
   where b.on_hand > 0 and b.part_number in (select part.number from recall_scope s join part on part.id = s.part_id where s.recall_id = $1)
  on conflict do nothing
  returning warehouse_id, lot_id
)
select count(*)::int as lots, trim_scale(coalesce(sum(l.on_hand), 0))::text as quantity
  from named join lot l on l.warehouse_id = named.warehouse_id and l.id = named.lot_id`)

// A balance changes once: what is blocked and what was promised never exceed together what is there. The two are put together by grouping: the
// planner knows nothing of what a CTE holds, and would look through all that was broken once per balance.
const BLOCK = statement<{ broken: number }>(`
with blocked as (
  update lot l set blocked = true
    from lot_block k
   where k.recall_id = $1 and l.warehouse_id = k.warehouse_id and l.id = k.lot_id and not l.blocked
  returning l.warehouse_id, l.id, l.part_id, l.ownership, l.condition, l.on_hand
), less as materialized (
  select b.warehouse_id, b.part_id, b.ownership, b.condition, t.quantity, b.reserved + b.blocked + t.quantity - b.on_hand as excess
    from (select warehouse_id, part_id, ownership, condition, sum(on_hand) as quantity from blocked group by 1, 2, 3, 4) t
    join balance b using (warehouse_id, part_id, ownership, condition)
), of_unit as materialized (
  select b.warehouse_id, kept.id
    from blocked b
   cross join lateral (select * from loaner_unit u where u.held_by = b.warehouse_id and u.lot_id = b.id offset 0) u
   cross join lateral (select r.reservation_id as id from loaner_reservation r where r.unit_warehouse_id = u.warehouse_id and r.unit_id = u.id and r.ended_at is null
                        union all
                       select u.repair_reservation_id where u.repair_reservation_id is not null) kept
), broken as (
  update reservation r set released_at = $2, broken_by = $1
    from (select p.warehouse_id, p.id, less.excess, p.quantity - p.consumed as open, of_unit.id is not null as is_of_unit,
                 sum(p.quantity - p.consumed) over (partition by p.warehouse_id, p.part_id, p.ownership, p.condition order by of_unit.id is null, p.id desc) as upto
            from less
            join reservation p using (warehouse_id, part_id, ownership, condition)
            left join of_unit on of_unit.warehouse_id = p.warehouse_id and of_unit.id = p.id
           where (less.excess > 0 or of_unit.id is not null) and p.released_at is null and p.quantity > p.consumed) newest
   where (newest.is_of_unit or newest.upto - newest.open < newest.excess) and r.warehouse_id = newest.warehouse_id and r.id = newest.id
  returning r.warehouse_id, r.id, r.part_id, r.ownership, r.condition, r.reserved_for, r.quantity - r.consumed as quantity
), held as (
  update balance b set blocked = b.blocked + t.quantity, reserved = b.reserved - t.broken
    from (select warehouse_id, part_id, ownership, condition, sum(quantity) as quantity, sum(broken) as broken
            from (select warehouse_id, part_id, ownership, condition, quantity, 0 as broken from less
                   union all
                  select warehouse_id, part_id, ownership, condition, 0, quantity from broken) each
           group by 1, 2, 3, 4) t
   where b.warehouse_id = t.warehouse_id and b.part_id = t.part_id and b.ownership = t.ownership and b.condition = t.condition
), told as (
  insert into outbox (subject, event, warehouse_id, payload, occurred_at)
  select 'reservation:' || id, 'reservation.broken', warehouse_id,
         jsonb_build_object('reservation', id::text, 'reservedFor', reserved_for, 'quantity', trim_scale(quantity)::text, 'recall', $3::text), $2
    from broken order by warehouse_id, id
)
select count(*)::int as broken from broken`)

/**
 * Brings scopes of a recall into force, in every warehouse at once. Whoever calls it is in a transaction, which is best one that holds no
 * stock yet, and has seen to who may.
 * @param recall number of the recall, for refusals
 * @returns what was blocked that this recall did not block before, and how many promises were broken; each of those is published as `reservation.broken`
 */
export async function blockStock(
  ctx: Context,
  { recallId, recall, scopes }: { recallId: string; recall: string; scopes: readonly RecallScope[] }
): Promise<{ blocked: LotSum; broken: number }> {
  await run(ctx, NO_TIME_LIMIT, [])
  await run(ctx, ALONE, [])
  await run(ctx, ENTER, [
    recallId,
    recall,
    scopes.map(({ scopeNo }) => scopeNo),
    scopes.map(({ partId }) => partId),
    scopes.map(({ receivedFrom }) => receivedFrom ?? null),
    scopes.map(({ receivedTo }) => receivedTo ?? null),
    scopes.map(({ supplierId }) => supplierId ?? null),
    scopes.map(({ originWarehouseId }) => originWarehouseId ?? null),
    scopes.map(({ originLotId }) => originLotId ?? null)
  ])
  await run(ctx, HOLD, [recallId])
  const [blocked] = await run(ctx, NAME, [recallId])
  const [outcome] = await run(ctx, BLOCK, [recallId, ctx.clock.now().toString(), recall])
  if (blocked === undefined || outcome === undefined) throw new Error('a sum answers one row')
  return { blocked, broken: outcome.broken }
}

const LIFT = statement<never>(`
update recall_scope set lifted_at = $2 where recall_id = $1 and lifted_at is null and ($3::int[] is null or scope_no = any ($3))`)

const FREE = statement<LotSum>(`
with dropped as (
  delete from lot_block k
   where k.recall_id = $1
     and not exists (select 1 from recalled_lot r where r.recall_id = $1 and r.warehouse_id = k.warehouse_id and r.lot_id = k.lot_id)
  returning k.warehouse_id, k.lot_id
), freed as (
  update lot l set blocked = false
    from dropped d
   where l.warehouse_id = d.warehouse_id and l.id = d.lot_id
     and not exists (select 1 from lot_block other where other.warehouse_id = l.warehouse_id and other.lot_id = l.id and other.recall_id <> $1)
  returning l.warehouse_id, l.part_id, l.ownership, l.condition, l.on_hand
), sums as (
  select warehouse_id, part_id, ownership, condition, sum(on_hand) as quantity from freed group by 1, 2, 3, 4 having sum(on_hand) > 0
), held as (
  update balance b set blocked = b.blocked - t.quantity
    from sums t
   where b.warehouse_id = t.warehouse_id and b.part_id = t.part_id and b.ownership = t.ownership and b.condition = t.condition
)
select count(*)::int as lots, trim_scale(coalesce(sum(on_hand), 0))::text as quantity from freed`)

/**
 * Lets go of what a recall holds, or some of its scopes do; a lot that another scope or recall is about stays blocked. Whoever calls it is in a
 * transaction. A second run changes nothing.
 * @param scopes their numbers; all of them unless given
 * @returns what became free
 */
export async function unblockStock(
  ctx: Context,
  { recallId, scopes }: { recallId: string; scopes?: readonly number[] | undefined }
): Promise<{ freed: LotSum }> {
  await run(ctx, NO_TIME_LIMIT, [])
  await run(ctx, ALONE, [])
  await run(ctx, HOLD, [recallId])
  await run(ctx, LIFT, [recallId, ctx.clock.now().toString(), scopes ?? null])
  const [freed] = await run(ctx, FREE, [recallId])
  if (freed === undefined) throw new Error('a sum answers one row')
  return { freed }
}

const NARROW = statement<never>(`
update recall_scope
   set received_to = case when received_from > $2::date then received_to else least(received_to, $2::date) end,
       lifted_at = case when received_from > $2::date then $3::timestamptz end
 where recall_id = $1 and lifted_at is null`)

/**
 * A recall that is over is about nothing that is received after a day, not before today; what was received until then stays blocked, and
 * so does what of it comes back. A second run changes nothing.
 */
export async function narrowScopes(
  ctx: Context,
  { recallId, receivedTo }: { recallId: string; receivedTo: string }
): Promise<void> {
  await run(ctx, ALONE, [])
  await run(ctx, NARROW, [recallId, receivedTo, ctx.clock.now().toString()])
}
