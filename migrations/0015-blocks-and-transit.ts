import { Migration } from '@mikro-orm/migrations'

/** The summed rates as an expression, as in migration 0006. */
const rateSum = (aged: string, until: string): string =>
  `(select coalesce(least(sum(p.rate * greatest(0, least(${until}, p.until_month, ${aged} + p.grace_months + p.charge_count - 1) - greatest(p.from_month, ${aged} + p.grace_months) + 1)), max(p.rate * p.charge_count) filter (where p.from_month <= ${until})), 0) from depreciation_policy p)`

/**
 * Goods that a recall blocks, goods that arrive with what they left with, and promises over many warehouses at once. The rules are
 * told in `src/ledger/block.ts`, `src/ledger/post.ts` and `src/ledger/reserve.ts`.
 */
export class BlocksAndTransit extends Migration {
  override up(): void {
    this.addSql(TABLES)
    this.addSql(RESERVE)
    this.addSql(BLOCK)
    this.addSql(POST)
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
) returns table (place int, id bigint, available numeric, blocked numeric)
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
  select e.place::int, null::bigint, greatest(0, coalesce(b.available, 0) - (e.upto - e.quantity)), coalesce(b.blocked, 0)
    from (select w.*, sum(w.quantity) over (partition by w.warehouse_id, w.part_id, w.ownership, w.condition order by w.place) as upto
            from unnest(p_warehouses, p_parts, p_ownerships, p_conditions, p_quantities)
              with ordinality as w (warehouse_id, part_id, ownership, condition, quantity, place)) e
    left join lateral (select b.blocked, b.on_hand - b.reserved - b.blocked as available from balance b
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
  return query select e.place::int, e.id, null::numeric, null::numeric from unnest(v_ids) with ordinality as e (id, place) order by e.place;
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

// A lot that a scope in force is about is blocked by whoever opens it, under the lock of its balance; whoever starts a recall locks the
// balances of its parts first. Either sees the other, but for a balance that neither could see before: who makes one shares a lock that
// starting and ending a recall takes alone.
const BLOCK = `
create function balance_waits_for_recalls() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(7305015);
  return null;
end $$;
create trigger balance_is_made_beside_no_recall after insert on balance
  for each row execute function balance_waits_for_recalls();

-- Who delivered the goods by which a lot was opened, if that was a receipt.
create function lot_supplier(p_warehouse int, p_lot bigint) returns int language sql stable as $$
  select s.supplier_id
    from lot l
    join movement m on m.warehouse_id = l.warehouse_id and m.part_id = l.part_id and m.occurred_on = l.opened_on and m.lot_id = l.id and m.quantity > 0
    join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
   where l.warehouse_id = p_warehouse and l.id = p_lot
   limit 1
$$;

-- The lots of a warehouse, all or some, that scopes in force are about, each with the recalls.
create view recalled_lot as
select l.warehouse_id, l.id as lot_id, l.part_id, l.ownership, l.condition, l.exhausted, s.recall_id, s.scope_no
  from recall_scope s
  join lot l on l.part_id = s.part_id
            and (s.received_from is null or l.received_on >= s.received_from)
            and (s.received_to is null or l.received_on <= s.received_to)
            and (s.origin_lot_id is null
                 or (coalesce(l.origin_warehouse_id, l.warehouse_id) = s.origin_warehouse_id and coalesce(l.origin_lot_id, l.id) = s.origin_lot_id))
            and (s.supplier_id is null
                 or s.supplier_id = lot_supplier(coalesce(l.origin_warehouse_id, l.warehouse_id), coalesce(l.origin_lot_id, l.id)))
 where s.lifted_at is null;

create function recalls_that_block(p_warehouse int, p_parts int[], p_lots bigint[]) returns text[] language sql stable as $$
  select array(select distinct s.recall
                 from lot l
                 join lot_block k on k.warehouse_id = l.warehouse_id and k.lot_id = l.id
                 join recall_scope s on s.recall_id = k.recall_id
                where l.warehouse_id = p_warehouse and l.part_id = any (p_parts) and l.blocked and not l.exhausted and (p_lots is null or l.id = any (p_lots))
                order by 1)
$$;

create function block_arrivals(p_warehouse int, p_lots bigint[]) returns void language plpgsql as $$
begin
  insert into lot_block (warehouse_id, lot_id, recall_id)
  select distinct r.warehouse_id, r.lot_id, r.recall_id from recalled_lot r where r.warehouse_id = p_warehouse and r.lot_id = any (p_lots);
  if not found then return; end if;
  with blocked as (
    update lot l set blocked = true
     where l.warehouse_id = p_warehouse and l.id in (select k.lot_id from lot_block k where k.warehouse_id = p_warehouse and k.lot_id = any (p_lots))
    returning l.part_id, l.ownership, l.condition, l.on_hand
  )
  update balance b set blocked = b.blocked + t.quantity
    from (select part_id, ownership, condition, sum(on_hand) as quantity from blocked group by 1, 2, 3) t
   where b.warehouse_id = p_warehouse and b.part_id = t.part_id and b.ownership = t.ownership and b.condition = t.condition;
end $$;

-- Under the lock of the posting: nobody else can have the goods before those they are for.
create function reserve_arrivals(p_warehouse int, p_slip bigint, p_at timestamptz, p_person int, p_lines int[], p_purposes text[], p_moving moving[])
returns void language plpgsql as $$
begin
  with arrived as (
    select m.line_no, m.part_id, m.ownership, m.condition, e.purpose, sum(m.quantity) as quantity
      from unnest(p_lines, p_purposes) as e (line_no, purpose)
      join unnest(p_moving) m on m.line_no = e.line_no
      join lot l on l.warehouse_id = p_warehouse and l.id = m.lot_id and not l.blocked
     where e.purpose is not null
     group by 1, 2, 3, 4, 5
  ), promised as (
    insert into reservation (warehouse_id, part_id, ownership, condition, quantity, reserved_for, reserved_by, reserved_at, slip_id, line_no)
    select p_warehouse, part_id, ownership, condition, quantity, purpose, p_person, p_at, p_slip, line_no from arrived order by line_no
  )
  update balance b set reserved = b.reserved + t.quantity
    from (select part_id, ownership, condition, sum(quantity) as quantity from arrived group by 1, 2, 3) t
   where b.warehouse_id = p_warehouse and b.part_id = t.part_id and b.ownership = t.ownership and b.condition = t.condition;
end $$;
`

// The functions of migrations 0004 and 0006. A lot that is blocked is passed over unless a line names it; goods may bring along what they
// left with, and be promised at once. The parameters for that are null in an ordinary posting, which then pays nothing for them.
const POST = `
drop function post_movements(int, bigint, date, timestamptz, int[], int[], text[], text[], numeric[], numeric[], date[], bigint, date, int[], bigint[], bigint[]);
alter type moving add attribute origin_warehouse_id int, add attribute origin_lot_id bigint, add attribute blocked boolean;

create function post_movements(
  p_warehouse int, p_slip bigint, p_occurred_on date, p_posted_at timestamptz,
  p_lines int[], p_parts int[], p_ownerships text[], p_conditions text[], p_quantities numeric[],
  p_unit_costs numeric[], p_received_ons date[],
  p_source_slip bigint, p_source_day date, p_source_lines int[],
  p_reservations bigint[], p_lots bigint[],
  p_reserve_fors text[], p_costs_in numeric[], p_charges_in numeric[], p_charged_untils date[], p_rates_skipped numeric[],
  p_origin_warehouses int[], p_origin_lots bigint[], p_person int
) returns table (line_no int, lot_id bigint, quantity numeric, cost numeric, charge numeric, on_hand_after numeric)
language plpgsql
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  v_month int := month_index(p_occurred_on);
  v_sourced boolean := p_source_slip is not null;
  v_moving moving[];
  v_undone_lines int[];
  v_undone_lots bigint[];
  v_offenders jsonb;
  v_recalls text[];
begin
  -- Closing takes this lock alone: a posting is either before the close, and in it, or after it, and refused.
  perform pg_advisory_xact_lock_shared(p_warehouse, v_month);
  if exists (select 1 from stock_period
              where warehouse_id = p_warehouse and period >= date_trunc('month', p_occurred_on::timestamp)::date and state = 'closed') then
    raise exception 'period is closed' using errcode = 'BC001', detail = to_char(p_occurred_on, 'YYYY-MM');
  end if;

  if 0 < any (p_quantities) then
    insert into balance (warehouse_id, part_id, ownership, condition, part_number)
    select distinct p_warehouse, e.part_id, e.ownership, e.condition, part.number
      from unnest(p_parts, p_ownerships, p_conditions, p_quantities) as e (part_id, ownership, condition, quantity)
      join part on part.id = e.part_id
     where e.quantity > 0
     order by e.part_id, e.ownership, e.condition
    on conflict do nothing;
  end if;

  -- Goods may come back to another condition than they left: then every balance of the part is held.
  if v_sourced then
    perform 1 from balance b
      where b.warehouse_id = p_warehouse and b.part_id = any (p_parts)
      order by b.part_id, b.ownership, b.condition
      for no key update;
  else
    perform 1
      from (select distinct part_id, ownership, condition from unnest(p_parts, p_ownerships, p_conditions) as e (part_id, ownership, condition)
             order by part_id, ownership, condition) e
     cross join lateral (select 1 from balance b
                          where b.warehouse_id = p_warehouse and b.part_id = e.part_id and b.ownership = e.ownership and b.condition = e.condition
                            for no key update) held;
  end if;

  if p_reservations is not null then
    perform consume_reservations(p_warehouse, p_reservations, p_parts, p_ownerships, p_conditions, p_quantities);
  end if;

  if p_lots is not null and exists (
    select 1 from unnest(p_parts, p_ownerships, p_conditions, p_quantities, p_lots) as e (part_id, ownership, condition, quantity, named_lot)
     where e.quantity < 0 group by e.part_id, e.ownership, e.condition having count(e.named_lot) not in (0, count(*))
  ) then
    raise exception 'the lines of a balance either all name their lots or none does';
  end if;

  if 0 > any (p_quantities) then
    if v_sourced then
      select array_agg(line_no), array_agg(lot_id) into v_undone_lines, v_undone_lots
        from lots_to_undo(p_warehouse, p_source_slip, p_source_day, p_lines, p_source_lines);
      if exists (select 1 from lot l where l.warehouse_id = p_warehouse and l.id = any (v_undone_lots) and l.blocked and not l.exhausted) then
        v_recalls := recalls_that_block(p_warehouse, p_parts, v_undone_lots);
        raise exception 'goods are blocked' using errcode = 'BC005', detail = to_jsonb(v_recalls)::text;
      end if;
    end if;

    with demand as materialized (
      select e.line_no, e.part_id, e.ownership, e.condition, e.named_lot, -e.quantity as wanted, coalesce(b.on_hand, 0) as on_hand, coalesce(b.available, 0) as available, coalesce(b.blocked, 0) as blocked,
             coalesce(named.blocked, false) as of_blocked,
             coalesce(sum(-e.quantity) filter (where named.blocked is not true) over (partition by e.part_id, e.ownership, e.condition order by e.line_no), 0) as upto,
             sum(-e.quantity) over (partition by e.part_id, e.ownership, e.condition, e.named_lot order by e.line_no) as upto_named
        from unnest(p_lines, p_parts, p_ownerships, p_conditions, p_quantities, p_lots) as e (line_no, part_id, ownership, condition, quantity, named_lot)
        left join lateral (select b.on_hand, b.blocked, b.on_hand - b.reserved - b.blocked as available from balance b
                            where b.warehouse_id = p_warehouse and b.part_id = e.part_id and b.ownership = e.ownership and b.condition = e.condition offset 0) b on true
        left join lateral (select l.blocked from lot l where p_lots is not null and l.warehouse_id = p_warehouse and l.id = e.named_lot offset 0) named on true
       where e.quantity < 0
    ), allocated as materialized (
      select d.*, s.id as lot_id, s.received_on, s.unit_cost, s.rate_skipped, s.cost_residue, s.charge_residue, s.charge_in, s.last_moved_on, s.aged_month, s.lot_on_hand, s.blocked as lot_blocked,
             least(d.base + d.wanted, s.upto_lot) - greatest(d.base, s.upto_lot - s.lot_on_hand) as taken
        from (select *, case when v_sourced then 0 else upto_named - wanted end as base from demand) d
        left join lateral (
          select l.*, l.on_hand as lot_on_hand, sum(l.on_hand) over (order by l.received_on, l.id) as upto_lot
            from lot l
           where l.warehouse_id = p_warehouse and l.part_id = d.part_id and l.ownership = d.ownership and l.condition = d.condition and not l.exhausted
             and l.opened_on <= p_occurred_on and (d.named_lot is null or l.id = d.named_lot) and (not l.blocked or d.named_lot is not null)
             and (not v_sourced or l.id in (select u.lot_id from unnest(v_undone_lines, v_undone_lots) as u (line_no, lot_id) where u.line_no = d.line_no))
        ) s on s.upto_lot > d.base and s.upto_lot - s.lot_on_hand < d.base + d.wanted
    ), sequenced as (
      select a.*, a.lot_on_hand - sum(a.taken) over (partition by a.lot_id order by a.line_no) + a.taken as before,
             case when a.unit_cost = 0 then 0 else ${rateSum('a.aged_month', 'v_month - 1')} - a.rate_skipped end as rate,
             -- Of a lot that moved in a later month: if no charge falls between, late is as good as in time.
             case when a.last_month > v_month then ${rateSum('a.aged_month', 'a.last_month - 1')} - a.rate_skipped end as last_rate
        from (select *, case when last_moved_on > p_occurred_on then month_index(last_moved_on) else v_month end as last_month from allocated) a
       where a.lot_id is not null
    )
    select (select array_agg(row(q.line_no, q.lot_id, q.part_id, q.ownership, q.condition, -q.taken, q.received_on, q.unit_cost,
                                 null, null, null, null, null,
                                 lot_cost(q.unit_cost, q.before - q.taken, q.cost_residue) - lot_cost(q.unit_cost, q.before, q.cost_residue),
                                 case when q.unit_cost = 0 then 0
                                      when q.last_month > v_month and q.rate <> q.last_rate then
                                        -late_charge(p_warehouse, q.part_id, q.lot_id, q.unit_cost, q.aged_month, q.rate_skipped, q.charge_residue, q.charge_in, q.before, q.taken, v_month, q.last_month)
                                      else lot_charge(q.unit_cost, q.before - q.taken, q.rate, q.charge_residue, q.charge_in) - lot_charge(q.unit_cost, q.before, q.rate, q.charge_residue, q.charge_in)
                                 end, q.on_hand, null, null, q.lot_blocked)::moving) from sequenced q),
           (select jsonb_agg(jsonb_build_object('line', line_no, 'wanted', wanted, 'available', available, 'blocked', blocked, 'later', available >= upto) order by line_no)
              from (select line_no, wanted, available, blocked, upto from allocated group by 1, 2, 3, 4, 5, of_blocked
                    having (not of_blocked and available < upto) or coalesce(sum(taken) filter (where lot_id is not null), 0) < wanted) short)
      into v_moving, v_offenders;
    if v_offenders is not null then
      raise exception 'stock is short' using errcode = 'BC002', detail = jsonb_build_object(
        'lines', v_offenders,
        'recalls', recalls_that_block(p_warehouse, p_parts, null),
        'promised', (select jsonb_agg(distinct r.reserved_for) from reservation r
                      where r.warehouse_id = p_warehouse and r.slip_id = p_source_slip and r.released_at is null and r.consumed < r.quantity))::text;
    end if;
    -- A return that is reversed never came back: its line may be returned again.
    if v_sourced then
      update lot set undone = true
       where warehouse_id = p_warehouse
         and id in (select m.lot_id from movement m
                     where m.warehouse_id = p_warehouse and m.occurred_on = p_source_day and m.slip_id = p_source_slip and m.quantity > 0);
    end if;

    return query
    with moving as materialized (select * from unnest(v_moving)),
    moved_lot as (
      update lot l
         set on_hand = l.on_hand + t.quantity, exhausted = l.on_hand + t.quantity = 0, last_moved_on = greatest(l.last_moved_on, p_occurred_on)
        from (select lot_id, sum(quantity) as quantity from moving group by lot_id) t
       cross join lateral (select ctid from lot where warehouse_id = p_warehouse and id = t.lot_id offset 0) place
       where l.ctid = place.ctid
    ), moved_balance as (
      update balance b
         set on_hand = b.on_hand + t.quantity, blocked = b.blocked + t.blocked
        from (select part_id, ownership, condition, sum(quantity) as quantity, coalesce(sum(quantity) filter (where blocked), 0) as blocked from moving group by 1, 2, 3) t
       cross join lateral (select ctid from balance
                            where warehouse_id = p_warehouse and part_id = t.part_id and ownership = t.ownership and condition = t.condition offset 0) place
       where b.ctid = place.ctid
    )
    insert into movement as m (warehouse_id, slip_id, line_no, lot_id, part_id, ownership, condition, quantity, occurred_on, posted_at, cost, charge, on_hand_after)
    select p_warehouse, p_slip, v.line_no, v.lot_id, v.part_id, v.ownership, v.condition, v.quantity, p_occurred_on, p_posted_at, v.cost, v.charge,
           v.on_hand_before + sum(v.quantity) over (partition by v.part_id, v.ownership, v.condition order by v.line_no, v.received_on, v.lot_id)
      from moving v
     order by v.line_no, v.received_on, v.lot_id
    returning m.line_no, m.lot_id, m.quantity, m.cost, m.charge, m.on_hand_after;
  end if;

  if 0 < any (p_quantities) then
    if v_sourced then
      v_moving := goods_coming_back(p_warehouse, v_month, p_source_slip, p_source_day, p_lines, p_parts, p_ownerships, p_conditions, p_quantities, p_source_lines);
    else
      select array_agg(row(e.line_no, nextval('lot_id_seq'), e.part_id, e.ownership, e.condition, e.quantity, e.received, e.unit_cost,
                           coalesce(e.cost_in - round(e.unit_cost * e.quantity, 2), 0),
                           case when e.rate_taken is null then 0 else e.charge_in - round(e.unit_cost * e.quantity * e.rate_taken, 2) end,
                           case when e.rate_taken is null then 0 else depreciation_rate(month_index(e.received), v_month - 1) - e.rate_taken end, null, null,
                           coalesce(e.cost_in, lot_cost(e.unit_cost, e.quantity, 0)),
                           case when e.unit_cost = 0 then 0
                                when e.rate_taken is not null then e.charge_in
                                when e.received_on is null then 0
                                else lot_charge(e.unit_cost, e.quantity, depreciation_rate(month_index(e.received_on), v_month - 1), 0) end, null,
                           e.origin_warehouse_id, e.origin_lot_id, null)::moving)
        into v_moving
        from (select e.line_no, e.part_id, e.ownership, e.condition, e.quantity, coalesce(e.unit_cost, 0) as unit_cost, e.received_on, coalesce(e.received_on, p_occurred_on) as received,
                     e.cost_in, e.charge_in, e.origin_warehouse_id, e.origin_lot_id,
                     -- Of goods that were charged elsewhere: what they were charged there. The months between were nobody's.
                     case when e.charged_until is not null and e.unit_cost > 0
                          then depreciation_rate(month_index(coalesce(e.received_on, p_occurred_on)), month_index(e.charged_until)) - coalesce(e.rate_skipped, 0) end as rate_taken
                from unnest(p_lines, p_parts, p_ownerships, p_conditions, p_quantities, p_unit_costs, p_received_ons,
                            p_costs_in, p_charges_in, p_charged_untils, p_rates_skipped, p_origin_warehouses, p_origin_lots)
                  as e (line_no, part_id, ownership, condition, quantity, unit_cost, received_on, cost_in, charge_in, charged_until, rate_skipped, origin_warehouse_id, origin_lot_id)
               where e.quantity > 0 order by e.line_no) e;
    end if;

    return query
    with moving as materialized (select * from unnest(v_moving)),
    opened as (
      insert into lot (warehouse_id, id, part_id, ownership, condition, received_on, opened_on, aged_from, unit_cost, quantity_in, cost_in, charge_in, on_hand,
                       cost_residue, charge_residue, rate_skipped, parent_lot_id, source_movement_id, last_moved_on, origin_warehouse_id, origin_lot_id)
      select p_warehouse, lot_id, part_id, ownership, condition, received_on, p_occurred_on, date_trunc('month', received_on::timestamp)::date, unit_cost, quantity, cost, charge, quantity,
             cost_residue, charge_residue, rate_skipped, parent_lot_id, source_movement_id, p_occurred_on, origin_warehouse_id, origin_lot_id
        from moving
    ), moved_balance as (
      update balance b
         set on_hand = b.on_hand + t.quantity
        from (select part_id, ownership, condition, sum(quantity) as quantity from moving group by 1, 2, 3) t
       cross join lateral (select ctid from balance
                            where warehouse_id = p_warehouse and part_id = t.part_id and ownership = t.ownership and condition = t.condition offset 0) place
       where b.ctid = place.ctid
    )
    insert into movement as m (warehouse_id, slip_id, line_no, lot_id, part_id, ownership, condition, quantity, occurred_on, posted_at, cost, charge, on_hand_after)
    select p_warehouse, p_slip, v.line_no, v.lot_id, v.part_id, v.ownership, v.condition, v.quantity, p_occurred_on, p_posted_at, v.cost, v.charge,
           b.on_hand + sum(v.quantity) over (partition by v.part_id, v.ownership, v.condition order by v.line_no, v.lot_id)
      from moving v
     cross join lateral (select on_hand from balance
                          where warehouse_id = p_warehouse and part_id = v.part_id and ownership = v.ownership and condition = v.condition offset 0) b
     order by v.line_no, v.lot_id
    returning m.line_no, m.lot_id, m.quantity, m.cost, m.charge, m.on_hand_after;

    -- What a running recall is about never becomes available, and nobody is promised it.
    if exists (select 1 from recall_scope s where s.lifted_at is null and s.part_id = any (p_parts)) then
      perform block_arrivals(p_warehouse, array(select m.lot_id from unnest(v_moving) m));
    end if;
    if p_reserve_fors is not null then
      perform reserve_arrivals(p_warehouse, p_slip, p_posted_at, p_person, p_lines, p_reserve_fors, v_moving);
    end if;
  end if;
end $$;

create or replace function goods_coming_back(
  p_warehouse int, p_month int, p_source_slip bigint, p_source_day date,
  p_lines int[], p_parts int[], p_ownerships text[], p_conditions text[], p_quantities numeric[], p_source_lines int[]
) returns moving[] language plpgsql as $$
#variable_conflict use_column
declare
  v_moving moving[];
  v_offenders jsonb;
begin
  with entry as materialized (
    select e.*, sum(e.quantity) over (partition by e.source_line order by e.line_no) - e.quantity as base
      from unnest(p_lines, p_parts, p_ownerships, p_conditions, p_quantities, p_source_lines)
        as e (line_no, part_id, ownership, condition, quantity, source_line)
     where e.quantity > 0
  ), gone as (
    select e.line_no, e.part_id, e.ownership, e.condition, e.base, e.quantity as wanted,
           m.id as movement_id, m.lot_id, -m.quantity - back.quantity as out, -m.cost - back.cost as cost, -m.charge - back.charge as charge,
           l.unit_cost, l.received_on, l.aged_month, coalesce(l.origin_warehouse_id, l.warehouse_id) as origin_warehouse_id, coalesce(l.origin_lot_id, l.id) as origin_lot_id,
           depreciation_rate(l.aged_month, month_index(m.occurred_on) - 1) - l.rate_skipped as rate_taken,
           sum(-m.quantity - back.quantity) over (partition by e.line_no order by m.id desc) as upto
      from entry e
      join movement m on m.warehouse_id = p_warehouse and m.occurred_on = p_source_day and m.slip_id = p_source_slip
                     and m.line_no = e.source_line and m.quantity < 0 and m.part_id = e.part_id and m.ownership = e.ownership
      join lot l on l.warehouse_id = p_warehouse and l.id = m.lot_id
      cross join lateral (select coalesce(sum(r.quantity_in), 0) as quantity, coalesce(sum(r.cost_in), 0) as cost, coalesce(sum(r.charge_in), 0) as charge
                            from lot r
                           where r.warehouse_id = p_warehouse and r.source_movement_id = m.id and not r.undone) back
  ), spread as (
    select g.*, least(g.base + g.wanted, g.upto) - greatest(g.base, g.upto - g.out) as taken, greatest(g.base - (g.upto - g.out), 0) as prior
      from gone g
     where g.out > 0 and g.upto > g.base and g.upto - g.out < g.base + g.wanted
  ), returned as materialized (
    select s.*,
           round(s.cost * (s.prior + s.taken) / s.out, 2) - round(s.cost * s.prior / s.out, 2) as cost_back,
           round(s.charge * (s.prior + s.taken) / s.out, 2) - round(s.charge * s.prior / s.out, 2) as charge_back
      from spread s
  )
  select (select array_agg(row(r.line_no, nextval('lot_id_seq'), r.part_id, r.ownership, r.condition, r.taken, r.received_on, r.unit_cost,
                               r.cost_back - round(r.unit_cost * r.taken, 2), r.charge_back - round(r.unit_cost * r.taken * r.rate_taken, 2),
                               depreciation_rate(r.aged_month, p_month - 1) - r.rate_taken, r.lot_id, r.movement_id, r.cost_back, r.charge_back, null,
                               r.origin_warehouse_id, r.origin_lot_id, null)::moving)
            from (select * from returned order by line_no, movement_id) r),
         (select jsonb_agg(jsonb_build_object('line', e.line_no, 'wanted', e.quantity, 'returnable', coalesce(r.taken, 0)) order by e.line_no)
            from entry e
            left join (select line_no, sum(taken) as taken from returned group by line_no) r on r.line_no = e.line_no
           where coalesce(r.taken, 0) <> e.quantity)
    into v_moving, v_offenders;
  if v_offenders is not null then
    raise exception 'more comes back than left' using errcode = 'BC003', detail = v_offenders::text;
  end if;
  return v_moving;
end $$;

create or replace function consume_reservations(p_warehouse int, p_reservations bigint[], p_parts int[], p_ownerships text[], p_conditions text[], p_quantities numeric[])
returns void language plpgsql as $$
#variable_conflict use_column
declare
  v_offenders jsonb;
begin
  with used as materialized (
    select e.reservation_id, e.part_id, e.ownership, e.condition, -sum(e.quantity) as quantity
      from unnest(p_reservations, p_parts, p_ownerships, p_conditions, p_quantities)
        as e (reservation_id, part_id, ownership, condition, quantity)
     where e.reservation_id is not null
     group by 1, 2, 3, 4
  ), consumed as (
    update reservation r set consumed = r.consumed + used.quantity
      from used
     where r.warehouse_id = p_warehouse and r.id = used.reservation_id and r.released_at is null
       and (r.part_id, r.ownership, r.condition) = (used.part_id, used.ownership, used.condition)
       and used.quantity > 0 and r.consumed + used.quantity <= r.quantity
    returning r.id, r.part_id, r.ownership, r.condition, used.quantity
  ), freed as (
    update balance b set reserved = b.reserved - c.quantity
      from (select part_id, ownership, condition, sum(quantity) as quantity from consumed group by 1, 2, 3) c
     where b.warehouse_id = p_warehouse and (b.part_id, b.ownership, b.condition) = (c.part_id, c.ownership, c.condition)
  )
  select jsonb_agg(jsonb_build_object('reservation', used.reservation_id::text,
           'recall', (select min(s.recall) from reservation r join recall_scope s on s.recall_id = r.broken_by
                       where r.warehouse_id = p_warehouse and r.id = used.reservation_id))) into v_offenders
    from used where not exists (select 1 from consumed where consumed.id = used.reservation_id);
  if v_offenders is not null then
    raise exception 'reservation does not cover the line' using errcode = 'BC004', detail = v_offenders::text;
  end if;
end $$;
`
