import { Migration } from '@mikro-orm/migrations'

/** The summed rates as an expression, so that the planner sees through it: called as a function it costs ten times as much. */
const rateSum = (aged: string, until: string): string =>
  `(select coalesce(least(sum(p.rate * greatest(0, least(${until}, p.until_month, ${aged} + p.grace_months + p.charge_count - 1) - greatest(p.from_month, ${aged} + p.grace_months) + 1)), max(p.rate * p.charge_count) filter (where p.from_month <= ${until})), 0) from depreciation_policy p)`

/**
 * A posting may name the lot that a line takes from (a count finds that one short), and a warehouse that closed a month is
 * closed for all months before it, also for those in which nothing ever moved.
 */
export class NamedLots extends Migration {
  override up(): void {
    this.addSql(TABLES)
    this.addSql(GUARDS)
    this.addSql(VALUE)
    this.addSql(POST)
  }
}

const TABLES = `
alter table slip_line add column lot_id bigint;
alter table slip_line add constraint slip_line_lot_fkey foreign key (warehouse_id, lot_id) references lot (warehouse_id, id);
-- The document whose signatures cover the slip, where it is not signed itself: the adjustment of a count (R-CNT-4).
alter table slip add column signed_as bigint;
`

const GUARDS = `
create or replace function movement_refuse_closed_period() returns trigger language plpgsql as $$
begin
  if exists (select 1 from stock_period
              where warehouse_id = new.warehouse_id
                and period >= date_trunc('month', new.occurred_on::timestamp)::date
                and state = 'closed') then
    raise exception 'period % is closed', to_char(new.occurred_on, 'YYYY-MM') using errcode = 'BC001', detail = to_char(new.occurred_on, 'YYYY-MM');
  end if;
  return new;
end $$;
`

// The functions of migration 0004 with one more parameter, what the lot brought in. A slip written late may relieve some cents less than
// nothing (the cents it places on itself); when its goods come back, their lot begins with just these, and not with nothing.
const VALUE = `
drop function post_movements(int, bigint, date, timestamptz, int[], int[], text[], text[], numeric[], numeric[], date[], bigint, date, int[], bigint[]);
drop function late_charge(int, int, bigint, numeric, int, numeric, numeric, numeric, numeric, int, int);
drop function lot_charge(numeric, numeric, numeric, numeric);

-- Policies that follow each other never charge more than the longest of them does in all.
create or replace function depreciation_rate(p_aged int, p_until int) returns numeric language sql stable parallel safe
return ${rateSum('p_aged', 'p_until')};

create function lot_charge(p_unit_cost numeric, p_quantity numeric, p_rate numeric, p_residue numeric, p_charge_in numeric default 0) returns numeric language sql immutable parallel safe
return case when p_quantity = 0 then 0 else greatest(least(p_charge_in, 0), round(p_unit_cost * p_quantity * p_rate, 2) + p_residue) end;

create function late_charge(p_warehouse int, p_part int, p_lot bigint, p_unit_cost numeric, p_aged int, p_skipped numeric, p_residue numeric, p_charge_in numeric,
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
    select lot_charge(p_unit_cost, p_before, max(rate) filter (where month = p_last - 1), p_residue, p_charge_in)
         - lot_charge(p_unit_cost, p_before - p_taken, max(rate) filter (where month = p_last - 1), p_residue, p_charge_in)
         - coalesce(sum(
               lot_charge(p_unit_cost, on_hand, rate, p_residue, p_charge_in) - lot_charge(p_unit_cost, on_hand, rate_before, p_residue, p_charge_in)
             - lot_charge(p_unit_cost, on_hand - p_taken, rate, p_residue, p_charge_in) + lot_charge(p_unit_cost, on_hand - p_taken, rate_before, p_residue, p_charge_in)) filter (where month >= p_month), 0)
      from pending);
end $$;
`

// The function of migration 0004 with one more parameter: the lot that an outgoing line names, which is then taken whatever
// its age. Within one posting the lines of a balance either all name their lots or none does.
const POST = `
create function post_movements(
  p_warehouse int, p_slip bigint, p_occurred_on date, p_posted_at timestamptz,
  p_lines int[], p_parts int[], p_ownerships text[], p_conditions text[], p_quantities numeric[],
  p_unit_costs numeric[], p_received_ons date[],
  p_source_slip bigint, p_source_day date, p_source_lines int[],
  p_reservations bigint[], p_lots bigint[]
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
    end if;

    with demand as materialized (
      select e.line_no, e.part_id, e.ownership, e.condition, e.named_lot, -e.quantity as wanted, coalesce(b.on_hand, 0) as on_hand, coalesce(b.available, 0) as available,
             sum(-e.quantity) over (partition by e.part_id, e.ownership, e.condition order by e.line_no) as upto,
             sum(-e.quantity) over (partition by e.part_id, e.ownership, e.condition, e.named_lot order by e.line_no) as upto_named
        from unnest(p_lines, p_parts, p_ownerships, p_conditions, p_quantities, p_lots) as e (line_no, part_id, ownership, condition, quantity, named_lot)
        left join lateral (select b.on_hand, b.on_hand - b.reserved as available from balance b
                            where b.warehouse_id = p_warehouse and b.part_id = e.part_id and b.ownership = e.ownership and b.condition = e.condition offset 0) b on true
       where e.quantity < 0
    ), allocated as materialized (
      select d.*, s.id as lot_id, s.received_on, s.unit_cost, s.rate_skipped, s.cost_residue, s.charge_residue, s.charge_in, s.last_moved_on, s.aged_month, s.lot_on_hand,
             least(d.base + d.wanted, s.upto_lot) - greatest(d.base, s.upto_lot - s.lot_on_hand) as taken
        from (select *, case when v_sourced then 0 else upto_named - wanted end as base from demand) d
        left join lateral (
          select l.*, l.on_hand as lot_on_hand, sum(l.on_hand) over (order by l.received_on, l.id) as upto_lot
            from lot l
           where l.warehouse_id = p_warehouse and l.part_id = d.part_id and l.ownership = d.ownership and l.condition = d.condition and not l.exhausted
             and l.opened_on <= p_occurred_on and (d.named_lot is null or l.id = d.named_lot)
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
`
