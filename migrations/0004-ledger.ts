import { Migration } from '@mikro-orm/migrations'

/** The summed rates as an expression, so that the planner sees through it: called as a function it costs ten times as much. */
const rateSum = (aged: string, until: string): string =>
  `(select coalesce(least(sum(p.rate * greatest(0, least(${until}, p.until_month, ${aged} + p.grace_months + p.charge_count - 1) - greatest(p.from_month, ${aged} + p.grace_months) + 1)), 1), 0) from depreciation_policy p)`

/**
 * The kernel's tables and its one function. Everything that changes stock goes through `post_movements`; the rules are
 * told in `src/ledger/post.ts`, the arithmetic in `src/ledger/value.ts`.
 */
export class Ledger extends Migration {
  override up(): void {
    this.addSql(TABLES)
    this.addSql(GUARDS)
    this.addSql(VALUE)
    this.addSql(POST)
  }
}

const TABLES = `
create table stock_period (
  warehouse_id int not null references warehouse (id),
  period date not null,
  state text not null,
  closed_at timestamptz,
  constraint stock_period_pkey primary key (warehouse_id, period),
  constraint stock_period_state_known check (state in ('open', 'closed')),
  constraint stock_period_is_a_month check (period = date_trunc('month', period::timestamp)::date)
);

create table depreciation_policy (
  effective_from date not null,
  effective_until date,
  grace_months int not null,
  rate numeric(6,4) not null,
  charge_count int not null,
  from_month int not null generated always as ((extract(year from effective_from) * 12 + extract(month from effective_from))::int) stored,
  until_month int generated always as ((extract(year from effective_until) * 12 + extract(month from effective_until))::int - 1) stored,
  constraint depreciation_policy_pkey primary key (effective_from),
  constraint depreciation_policy_never_above_cost check (rate >= 0 and rate * charge_count <= 1),
  constraint depreciation_policy_grace_not_negative check (grace_months >= 0 and charge_count >= 0),
  constraint depreciation_policy_from_a_month check (effective_from = date_trunc('month', effective_from::timestamp)::date)
);
insert into depreciation_policy (effective_from, grace_months, rate, charge_count) values ('0001-01-01', 3, 0.08, 12);

-- The rows that every posting updates: room on the page keeps the updates off the indexes (HOT).
create table balance (
  warehouse_id int not null references warehouse (id),
  part_id int not null,
  ownership text not null,
  condition text not null,
  part_number text not null,
  on_hand numeric(15,3) not null default 0,
  reserved numeric(15,3) not null default 0,
  constraint balance_pkey primary key (warehouse_id, part_id, ownership, condition),
  constraint balance_part_fkey foreign key (part_id, part_number) references part (id, number),
  constraint balance_ownership_known check (ownership in ('own', 'consigned')),
  constraint balance_condition_known check (condition in ('qualified', 'nonconforming')),
  constraint balance_on_hand_not_negative check (on_hand >= 0),
  constraint balance_reserved_within_on_hand check (reserved >= 0 and reserved <= on_hand)
) with (fillfactor = 70);
create unique index balance_by_number on balance (warehouse_id, part_number, ownership, condition);
create index balance_across_warehouses on balance (part_number, warehouse_id, ownership, condition);

create sequence lot_id_seq;
create table lot (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('lot_id_seq'),
  part_id int not null references part (id),
  ownership text not null,
  condition text not null,
  received_on date not null,
  opened_on date not null,
  aged_from date not null,
  aged_month int not null generated always as ((extract(year from aged_from) * 12 + extract(month from aged_from))::int) stored,
  unit_cost numeric(18,4) not null,
  quantity_in numeric(15,3) not null,
  cost_in numeric(18,2) not null,
  charge_in numeric(18,2) not null,
  on_hand numeric(15,3) not null,
  cost_residue numeric(18,2) not null default 0,
  charge_residue numeric(18,2) not null default 0,
  rate_skipped numeric(9,4) not null default 0,
  parent_lot_id bigint,
  source_movement_id bigint,
  last_moved_on date not null,
  exhausted boolean not null default false,
  undone boolean not null default false,
  constraint lot_pkey primary key (warehouse_id, id),
  constraint lot_only_shrinks check (on_hand >= 0 and on_hand <= quantity_in),
  constraint lot_exhausted_is_empty check (exhausted = (on_hand = 0)),
  constraint lot_quantity_positive check (quantity_in > 0),
  constraint lot_cost_not_negative check (unit_cost >= 0),
  constraint lot_consigned_has_no_cost check (ownership = 'own' or unit_cost = 0),
  constraint lot_keeps_its_age check (received_on <= opened_on and aged_from = date_trunc('month', received_on::timestamp)::date)
) with (fillfactor = 70);
create index lot_oldest_first on lot (warehouse_id, part_id, ownership, condition, received_on, id) where not exhausted;
create index lot_by_source on lot (warehouse_id, source_movement_id) where source_movement_id is not null;
create index lot_by_parent on lot (warehouse_id, parent_lot_id) where parent_lot_id is not null;
create index lot_by_age on lot (aged_from, warehouse_id) where not exhausted;

create sequence movement_id_seq;
create table movement (
  warehouse_id int not null,
  id bigint not null default nextval('movement_id_seq'),
  slip_id bigint not null,
  line_no int not null,
  lot_id bigint not null,
  part_id int not null,
  ownership text not null,
  condition text not null,
  quantity numeric(15,3) not null,
  occurred_on date not null,
  posted_at timestamptz not null,
  cost numeric(18,2) not null,
  charge numeric(18,2) not null,
  on_hand_after numeric(15,3) not null,
  constraint movement_pkey primary key (warehouse_id, occurred_on, id),
  constraint movement_lot_fkey foreign key (warehouse_id, lot_id) references lot (warehouse_id, id),
  constraint movement_moves_something check (quantity <> 0),
  constraint movement_cost_follows_quantity check (cost * quantity >= 0),
  constraint movement_on_hand_not_negative check (on_hand_after >= 0)
) partition by range (occurred_on);
create index movement_by_part on movement (warehouse_id, part_id, occurred_on, id);
create index movement_by_slip on movement (warehouse_id, slip_id, line_no);

create sequence reservation_id_seq;
create table reservation (
  warehouse_id int not null,
  id bigint not null default nextval('reservation_id_seq'),
  part_id int not null,
  ownership text not null,
  condition text not null,
  quantity numeric(15,3) not null,
  consumed numeric(15,3) not null default 0,
  reserved_for text not null,
  reserved_by int not null references person (id),
  reserved_at timestamptz not null,
  released_at timestamptz,
  constraint reservation_pkey primary key (warehouse_id, id),
  constraint reservation_balance_fkey foreign key (warehouse_id, part_id, ownership, condition)
    references balance (warehouse_id, part_id, ownership, condition),
  constraint reservation_quantity_positive check (quantity > 0),
  constraint reservation_consumed_within_quantity check (consumed >= 0 and consumed <= quantity)
);
create index reservation_open on reservation (warehouse_id, part_id, ownership, condition) where released_at is null;
`

const GUARDS = `
create function movement_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'movements are never edited or deleted; post a reversal slip' using errcode = 'BC010';
end $$;
create trigger movement_is_append_only before update or delete on movement
  for each row execute function movement_refuse_change();

-- The last line of defence behind post_movements, for whoever writes to the table by other ways.
create function movement_refuse_closed_period() returns trigger language plpgsql as $$
begin
  if exists (select 1 from stock_period
              where warehouse_id = new.warehouse_id
                and period = date_trunc('month', new.occurred_on::timestamp)::date
                and state = 'closed') then
    raise exception 'period % is closed', to_char(new.occurred_on, 'YYYY-MM') using errcode = 'BC001', detail = to_char(new.occurred_on, 'YYYY-MM');
  end if;
  return new;
end $$;
create trigger movement_stays_out_of_closed_periods before insert on movement
  for each row execute function movement_refuse_closed_period();

create function stock_period_refuse_reopening() returns trigger language plpgsql as $$
begin
  if old.state = 'closed' then
    raise exception 'a closed period is never reopened or changed' using errcode = 'BC011';
  end if;
  return new;
end $$;
create trigger stock_period_stays_closed before update or delete on stock_period
  for each row execute function stock_period_refuse_reopening();

-- One partition a month, made before the first slip of the month is written. Built beside the table and attached, so
-- that postings into other months go on meanwhile.
create function ensure_movement_partition(p_month date) returns boolean language plpgsql as $$
declare
  v_from date := date_trunc('month', p_month::timestamp)::date;
  v_until date := (v_from + interval '1 month')::date;
  v_name text := 'movement_' || to_char(v_from, 'YYYY_MM');
begin
  if to_regclass(v_name) is not null then return false; end if;
  perform pg_advisory_xact_lock(7305004);
  -- Read from the table: to_regclass would answer again what it remembers from before the wait.
  if exists (select 1 from pg_class where relname = v_name) then return false; end if;
  execute format('create table %I (like movement including defaults including constraints)', v_name);
  execute format('alter table %I add constraint %I check (occurred_on >= %L and occurred_on < %L)', v_name, v_name || '_month', v_from, v_until);
  execute format('create trigger movement_is_never_emptied before truncate on %I for each statement execute function movement_refuse_change()', v_name);
  execute format('alter table movement attach partition %I for values from (%L) to (%L)', v_name, v_from, v_until);
  execute format('alter table %I drop constraint %I', v_name, v_name || '_month');
  return true;
end $$;
`

const VALUE = `
create function month_index(p_day date) returns int language sql immutable parallel safe
return (extract(year from p_day) * 12 + extract(month from p_day))::int;

-- The summed rates of a lot aged from month p_aged up to and including month p_until: rho of the valuation formula. Months are
-- counted from year 0. Per policy: the charges that fall into its time and between the fourth and the last charged month (R-AGE-1, R-AGE-2).
create function depreciation_rate(p_aged int, p_until int) returns numeric language sql stable parallel safe
return ${rateSum('p_aged', 'p_until')};

create function lot_cost(p_unit_cost numeric, p_quantity numeric, p_residue numeric) returns numeric language sql immutable parallel safe
return case when p_quantity = 0 then 0 else greatest(0, round(p_unit_cost * p_quantity, 2) + p_residue) end;

create function lot_charge(p_unit_cost numeric, p_quantity numeric, p_rate numeric, p_residue numeric) returns numeric language sql immutable parallel safe
return case when p_quantity = 0 then 0 else greatest(0, round(p_unit_cost * p_quantity * p_rate, 2) + p_residue) end;

-- What an issue dated into month p_month relieves from a lot that already moved in a later month p_last (R-AGE-3): the
-- runs of the months between now fall on less, and the difference belongs to this movement. One look at the later
-- movements of the lot serves all months between.
create function late_charge(p_warehouse int, p_part int, p_lot bigint, p_unit_cost numeric, p_aged int, p_skipped numeric, p_residue numeric,
                            p_before numeric, p_taken numeric, p_month int, p_last int) returns numeric language plpgsql stable as $$
begin
  return (
    with later as materialized (
      select m.occurred_on, m.quantity from movement m
       where m.warehouse_id = p_warehouse and m.part_id = p_part and m.lot_id = p_lot
         and m.occurred_on >= make_date(p_month / 12, p_month % 12 + 1, 1)
    ), pending as (
      select month, rate, lag(rate) over (order by month) as rate_before,
             p_before - coalesce((select sum(l.quantity) from later l where l.occurred_on >= make_date(month / 12, month % 12 + 1, 1)), 0) as on_hand
        from (select month, ${rateSum('p_aged', 'month')} - p_skipped as rate from generate_series(p_month - 1, p_last - 1) as month) rates
    )
    select lot_charge(p_unit_cost, p_before, max(rate) filter (where month = p_last - 1), p_residue)
         - lot_charge(p_unit_cost, p_before - p_taken, max(rate) filter (where month = p_last - 1), p_residue)
         - coalesce(sum(
               lot_charge(p_unit_cost, on_hand, rate, p_residue) - lot_charge(p_unit_cost, on_hand, rate_before, p_residue)
             - lot_charge(p_unit_cost, on_hand - p_taken, rate, p_residue) + lot_charge(p_unit_cost, on_hand - p_taken, rate_before, p_residue)) filter (where month >= p_month), 0)
      from pending);
end $$;
`

// One call is one round trip and holds the whole posting. READ COMMITTED gives each statement of the function a fresh
// snapshot: the balances are locked in one statement, the lots are read in the next, so that what is read is what is there.
// Every lot changes only under the lock of its balance. Balances are locked in key order: slips queue, they do not deadlock.
// `offset 0` keeps the planner to one look-up by primary key per line, whatever it believes the size of a table to be; rows
// that are locked already are updated by their place.
// What moves is worked out first, into an array, and written by one statement; only what undoes another slip reads movements,
// so that an ordinary posting opens the one partition it writes to, however many there are.
const POST = `
create type moving as (
  line_no int, lot_id bigint, part_id int, ownership text, condition text, quantity numeric, received_on date, unit_cost numeric,
  cost_residue numeric, charge_residue numeric, rate_skipped numeric, parent_lot_id bigint, source_movement_id bigint,
  cost numeric, charge numeric, on_hand_before numeric
);

create function post_movements(
  p_warehouse int, p_slip bigint, p_occurred_on date, p_posted_at timestamptz,
  p_lines int[], p_parts int[], p_ownerships text[], p_conditions text[], p_quantities numeric[],
  p_unit_costs numeric[], p_received_ons date[],
  p_source_slip bigint, p_source_day date, p_source_lines int[],
  p_reservations bigint[]
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
begin
  -- Closing takes this lock alone: a posting is either before the close, and in it, or after it, and refused.
  perform pg_advisory_xact_lock_shared(p_warehouse, v_month);
  if exists (select 1 from stock_period
              where warehouse_id = p_warehouse and period = date_trunc('month', p_occurred_on::timestamp)::date and state = 'closed') then
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

  if 0 > any (p_quantities) then
    if v_sourced then
      select array_agg(line_no), array_agg(lot_id) into v_undone_lines, v_undone_lots
        from lots_to_undo(p_warehouse, p_source_slip, p_source_day, p_lines, p_source_lines);
    end if;

    with demand as materialized (
      select e.line_no, e.part_id, e.ownership, e.condition, -e.quantity as wanted, coalesce(b.on_hand, 0) as on_hand, coalesce(b.available, 0) as available,
             sum(-e.quantity) over (partition by e.part_id, e.ownership, e.condition order by e.line_no) as upto
        from unnest(p_lines, p_parts, p_ownerships, p_conditions, p_quantities) as e (line_no, part_id, ownership, condition, quantity)
        left join lateral (select b.on_hand, b.on_hand - b.reserved as available from balance b
                            where b.warehouse_id = p_warehouse and b.part_id = e.part_id and b.ownership = e.ownership and b.condition = e.condition offset 0) b on true
       where e.quantity < 0
    ), allocated as materialized (
      select d.*, s.id as lot_id, s.received_on, s.unit_cost, s.rate_skipped, s.cost_residue, s.charge_residue, s.last_moved_on, s.aged_month, s.lot_on_hand,
             least(d.base + d.wanted, s.upto_lot) - greatest(d.base, s.upto_lot - s.lot_on_hand) as taken
        from (select *, case when v_sourced then 0 else upto - wanted end as base from demand) d
        left join lateral (
          select l.*, l.on_hand as lot_on_hand, sum(l.on_hand) over (order by l.received_on, l.id) as upto_lot
            from lot l
           where l.warehouse_id = p_warehouse and l.part_id = d.part_id and l.ownership = d.ownership and l.condition = d.condition and not l.exhausted
             and l.opened_on <= p_occurred_on
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
                                        -late_charge(p_warehouse, q.part_id, q.lot_id, q.unit_cost, q.aged_month, q.rate_skipped, q.charge_residue, q.before, q.taken, v_month, q.last_month)
                                      else lot_charge(q.unit_cost, q.before - q.taken, q.rate, q.charge_residue) - lot_charge(q.unit_cost, q.before, q.rate, q.charge_residue)
                                 end, q.on_hand)::moving) from sequenced q),
           (select jsonb_agg(jsonb_build_object('line', line_no, 'wanted', wanted, 'available', available, 'later', available >= upto) order by line_no)
              from (select line_no, wanted, available, upto from allocated group by 1, 2, 3, 4
                    having available < upto or coalesce(sum(taken) filter (where lot_id is not null), 0) < wanted) short)
      into v_moving, v_offenders;
    if v_offenders is not null then
      raise exception 'stock is short' using errcode = 'BC002', detail = v_offenders::text;
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
         set on_hand = b.on_hand + t.quantity
        from (select part_id, ownership, condition, sum(quantity) as quantity from moving group by 1, 2, 3) t
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
      select array_agg(row(e.line_no, nextval('lot_id_seq'), e.part_id, e.ownership, e.condition, e.quantity, coalesce(e.received_on, p_occurred_on), coalesce(e.unit_cost, 0),
                           0, 0, 0, null, null,
                           lot_cost(coalesce(e.unit_cost, 0), e.quantity, 0),
                           case when coalesce(e.unit_cost, 0) = 0 or e.received_on is null then 0
                                else lot_charge(e.unit_cost, e.quantity, depreciation_rate(month_index(e.received_on), v_month - 1), 0) end, null)::moving)
        into v_moving
        from (select * from unnest(p_lines, p_parts, p_ownerships, p_conditions, p_quantities, p_unit_costs, p_received_ons)
                as e (line_no, part_id, ownership, condition, quantity, unit_cost, received_on)
               where e.quantity > 0 order by e.line_no) e;
    end if;

    return query
    with moving as materialized (select * from unnest(v_moving)),
    opened as (
      insert into lot (warehouse_id, id, part_id, ownership, condition, received_on, opened_on, aged_from, unit_cost, quantity_in, cost_in, charge_in, on_hand,
                       cost_residue, charge_residue, rate_skipped, parent_lot_id, source_movement_id, last_moved_on)
      select p_warehouse, lot_id, part_id, ownership, condition, received_on, p_occurred_on, date_trunc('month', received_on::timestamp)::date, unit_cost, quantity, cost, charge, quantity,
             cost_residue, charge_residue, rate_skipped, parent_lot_id, source_movement_id, p_occurred_on
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
  end if;
end $$;

-- A reversed slip takes back the very lots it opened, and what came back of them since, and of those.
create function lots_to_undo(p_warehouse int, p_source_slip bigint, p_source_day date, p_lines int[], p_source_lines int[])
returns table (line_no int, lot_id bigint) language sql stable as $$
  with recursive undone as (
    select e.line_no, l.id, l.part_id, l.ownership, l.condition
      from unnest(p_lines, p_source_lines) as e (line_no, source_line)
      join movement m on m.warehouse_id = p_warehouse and m.occurred_on = p_source_day and m.slip_id = p_source_slip
                     and m.line_no = e.source_line and m.quantity > 0
      join lot l on l.warehouse_id = m.warehouse_id and l.id = m.lot_id
    union
    select u.line_no, l.id, l.part_id, l.ownership, l.condition
      from undone u
      join lot l on l.warehouse_id = p_warehouse and l.parent_lot_id = u.id
                and (l.part_id, l.ownership, l.condition) = (u.part_id, u.ownership, u.condition)
  )
  select line_no, id from undone
$$;

-- What the source lines took and did not get back yet; what was taken last comes back first. A part of a movement comes back
-- with its share of what is still out, so that all the parts add up to what left, to the cent, in whatever order and however
-- often a return is itself reversed (R-IN-3). The lot keeps its age; months it was not here were not charged, so its rate
-- starts where it stopped.
create function goods_coming_back(
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
           l.unit_cost, l.received_on, l.aged_month,
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
                               depreciation_rate(r.aged_month, p_month - 1) - r.rate_taken, r.lot_id, r.movement_id, r.cost_back, r.charge_back, null)::moving)
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

create function consume_reservations(p_warehouse int, p_reservations bigint[], p_parts int[], p_ownerships text[], p_conditions text[], p_quantities numeric[])
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
  select jsonb_agg(used.reservation_id) into v_offenders
    from used where not exists (select 1 from consumed where consumed.id = used.reservation_id);
  if v_offenders is not null then
    raise exception 'reservation does not cover the line' using errcode = 'BC004', detail = v_offenders::text;
  end if;
end $$;
`
