import { Migration } from '@mikro-orm/migrations'

/**
 * Goods that a recall blocks, goods that arrive with what they left with, and promises over many warehouses at once. The rules are
 * told in `src/ledger/block.ts`, `src/ledger/post.ts` and `src/ledger/reserve.ts`.
 */
export class BlocksAndTransit extends Migration {
  override up(): void {
    this.addSql(TABLES)
    this.addSql(RESERVE)
    this.addSql(VIEWS)
  }
}

const TABLES = `
alter table balance add column blocked numeric(15,3) not null default 0;
alter table balance drop constraint balance_reserved_within_on_hand;
alter table balance add constraint balance_reserved_not_negative check (reserved >= 0);
alter table balance add constraint balance_blocked_not_negative check (blocked >= 0);
alter table balance add constraint balance_promised_and_blocked_within_on_hand check (reserved + blocked <= on_hand);

-- The lot by which the goods first came into the company, where that is another one.
alter table lot add column blocked boolean not null default false;
alter table lot add column origin_warehouse_id int;
alter table lot add column origin_lot_id bigint;
alter table lot add constraint lot_origin_is_whole check ((origin_warehouse_id is null) = (origin_lot_id is null));
create index lot_by_origin on lot (origin_warehouse_id, origin_lot_id) where origin_lot_id is not null;

-- What a running recall is about: every lot of the part that was received in the time, from the supplier, or descends from the lot.
create table recall_scope (
  recall_id bigint not null,
  scope_no int not null,
  -- The number of the recall, for refusals.
  recall text not null,
  part_id int not null references part (id),
  received_from date,
  received_to date,
  supplier_id int references supplier (id),
  origin_warehouse_id int,
  origin_lot_id bigint,
  lifted_at timestamptz,
  constraint recall_scope_pkey primary key (recall_id, scope_no),
  constraint recall_scope_origin_is_whole check ((origin_warehouse_id is null) = (origin_lot_id is null)),
  constraint recall_scope_days_in_order check (received_from <= received_to)
);
create index recall_scope_in_force on recall_scope (part_id) where lifted_at is null;

-- Which recalls block a lot; it is free again when the last of them lets go.
create table lot_block (
  warehouse_id int not null,
  lot_id bigint not null,
  recall_id bigint not null,
  constraint lot_block_pkey primary key (warehouse_id, lot_id, recall_id),
  constraint lot_block_lot_fkey foreign key (warehouse_id, lot_id) references lot (warehouse_id, id)
);
create index lot_block_by_recall on lot_block (recall_id, warehouse_id);

-- The arrival that was reserved at once, and the recall that broke the promise.
alter table reservation add column slip_id bigint;
alter table reservation add column line_no int;
alter table reservation add column broken_by bigint;
alter table reservation add constraint reservation_arrival_fkey foreign key (warehouse_id, slip_id, line_no)
  references slip_line (warehouse_id, slip_id, line_no);
alter table reservation add constraint reservation_broken_is_released check (broken_by is null or released_at is not null);
create index reservation_by_purpose on reservation (warehouse_id, reserved_for);
create index reservation_by_arrival on reservation (warehouse_id, slip_id) where slip_id is not null;

-- What a line that brings goods in from another warehouse carries: cost and accumulated depreciation as they left, the month through
-- which they were charged, the rates that were never charged before, and the lot by which they first came.
alter table slip_line add column reserve_for text;
alter table slip_line add column cost_in numeric(18,2);
alter table slip_line add column charge_in numeric(18,2);
alter table slip_line add column charged_until date;
alter table slip_line add column rate_skipped numeric(9,4);
alter table slip_line add column origin_warehouse_id int;
alter table slip_line add column origin_lot_id bigint;
alter table slip_line add constraint slip_line_origin_is_whole check ((origin_warehouse_id is null) = (origin_lot_id is null));
alter table slip_line add constraint slip_line_value_is_whole check ((cost_in is null) = (charge_in is null) and (cost_in is null) = (charged_until is null));
`

// First the balances are locked, in key order, whatever the order of the wishes: callers queue, they do not deadlock. Then, in a new
// statement and so in a fresh snapshot, it is seen what is there.
const RESERVE = `
create function reserve_goods(
  p_warehouses int[], p_parts int[], p_ownerships text[], p_conditions text[], p_quantities numeric[], p_purposes text[], p_person int, p_at timestamptz
) returns table (place int, id bigint, available numeric)
language plpgsql
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  v_ids bigint[];
begin
  perform 1
    from (select distinct warehouse_id, part_id, ownership, condition
            from unnest(p_warehouses, p_parts, p_ownerships, p_conditions) as e (warehouse_id, part_id, ownership, condition)
           order by warehouse_id, part_id, ownership, condition) e
   cross join lateral (select 1 from balance b
                        where b.warehouse_id = e.warehouse_id and b.part_id = e.part_id and b.ownership = e.ownership and b.condition = e.condition
                          for no key update) held;

  return query
  select e.place::int, null::bigint, greatest(0, coalesce(b.available, 0) - (e.upto - e.quantity))
    from (select w.*, sum(w.quantity) over (partition by w.warehouse_id, w.part_id, w.ownership, w.condition order by w.place) as upto
            from unnest(p_warehouses, p_parts, p_ownerships, p_conditions, p_quantities)
              with ordinality as w (warehouse_id, part_id, ownership, condition, quantity, place)) e
    left join lateral (select b.on_hand - b.reserved - b.blocked as available from balance b
                        where b.warehouse_id = e.warehouse_id and b.part_id = e.part_id and b.ownership = e.ownership and b.condition = e.condition offset 0) b on true
   where e.upto > coalesce(b.available, 0)
   order by e.place;
  if found then return; end if;

  v_ids := array(select nextval('reservation_id_seq') from generate_series(1, cardinality(p_warehouses)));
  update balance b set reserved = b.reserved + t.quantity
    from (select warehouse_id, part_id, ownership, condition, sum(quantity) as quantity
            from unnest(p_warehouses, p_parts, p_ownerships, p_conditions, p_quantities) as e (warehouse_id, part_id, ownership, condition, quantity)
           group by 1, 2, 3, 4) t
   cross join lateral (select ctid from balance
                        where warehouse_id = t.warehouse_id and part_id = t.part_id and ownership = t.ownership and condition = t.condition offset 0) held
   where b.ctid = held.ctid;
  insert into reservation (warehouse_id, id, part_id, ownership, condition, quantity, reserved_for, reserved_by, reserved_at)
  select e.warehouse_id, e.id, e.part_id, e.ownership, e.condition, e.quantity, e.purpose, p_person, p_at
    from unnest(p_warehouses, v_ids, p_parts, p_ownerships, p_conditions, p_quantities, p_purposes)
      as e (warehouse_id, id, part_id, ownership, condition, quantity, purpose);
  return query select e.place::int, e.id, null::numeric from unnest(v_ids) with ordinality as e (id, place) order by e.place;
end $$;

-- Of each reservation at most so much as is open; without a quantity all of it. What is released does not open again.
create function release_goods(p_warehouses int[], p_ids bigint[], p_quantities numeric[], p_at timestamptz)
returns table (warehouse_id int, id bigint, quantity numeric, left_open numeric)
language plpgsql
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
  perform 1
    from (select distinct r.warehouse_id, r.part_id, r.ownership, r.condition
            from unnest(p_warehouses, p_ids) as e (warehouse_id, id)
            join reservation r on r.warehouse_id = e.warehouse_id and r.id = e.id
           order by r.warehouse_id, r.part_id, r.ownership, r.condition) e
   cross join lateral (select 1 from balance b
                        where b.warehouse_id = e.warehouse_id and b.part_id = e.part_id and b.ownership = e.ownership and b.condition = e.condition
                          for no key update) held;

  return query
  with freed as materialized (
    select r.warehouse_id, r.id, r.part_id, r.ownership, r.condition, r.quantity - r.consumed as open,
           least(r.quantity - r.consumed, coalesce(e.quantity, r.quantity - r.consumed)) as freed
      from (select warehouse_id, id, case when bool_or(quantity is null) then null else sum(quantity) end as quantity
              from unnest(p_warehouses, p_ids, p_quantities) as e (warehouse_id, id, quantity) group by 1, 2) e
      join reservation r on r.warehouse_id = e.warehouse_id and r.id = e.id
     where r.released_at is null
  ), released as (
    update reservation r
       set quantity = case when f.freed < f.open then r.quantity - f.freed else r.quantity end,
           released_at = case when f.freed < f.open then null else p_at end
      from freed f
     where r.warehouse_id = f.warehouse_id and r.id = f.id
  ), returned as (
    update balance b set reserved = b.reserved - f.quantity
      from (select warehouse_id, part_id, ownership, condition, sum(freed) as quantity from freed group by 1, 2, 3, 4) f
     where b.warehouse_id = f.warehouse_id and b.part_id = f.part_id and b.ownership = f.ownership and b.condition = f.condition
  )
  select f.warehouse_id, f.id, f.freed, f.open - f.freed from freed f;
end $$;
`

// As in migration 0010; what is blocked is not available.
const VIEWS = `
create or replace view reorder_position as
select p.*, p.order_up_to > 0 and p.available + p.on_order <= p.reorder_point as is_short
  from (select l.warehouse_id, l.part_id, stock.quantity as available, ordered.quantity as on_order, l.reorder_point, l.order_up_to
          from reorder_level l
         cross join lateral (select coalesce(sum(b.on_hand - b.reserved - b.blocked), 0) as quantity
                               from balance b
                              where b.warehouse_id = l.warehouse_id and b.part_id = l.part_id and b.condition = 'qualified') stock
         cross join lateral (select coalesce(sum(o.quantity), 0) as quantity
                               from on_order o
                              where o.warehouse_id = l.warehouse_id and o.part_id = l.part_id) ordered) p;
`
