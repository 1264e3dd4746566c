import { Migration } from '@mikro-orm/migrations'

/**
 * What is needed to know when to order: demand of past months, policies, the levels in force, and what is on its way.
 * `warehouse_id` leads every key, as in the ledger.
 */
export class Reorder extends Migration {
  override up(): void {
    this.addSql(DEMAND)
    this.addSql(LEVELS)
    this.addSql(ON_ORDER)
  }
}

const DEMAND = `
-- Demand of a part as it was asked for, net of what came back; months with demand only. What is not here from the first movement
-- on was no demand; before it nothing is known.
create table demand (
  warehouse_id int not null references warehouse (id),
  part_id int not null references part (id),
  month date not null,
  quantity numeric(15,3) not null,
  constraint demand_pkey primary key (warehouse_id, part_id, month),
  constraint demand_of_a_month check (month = date_trunc('month', month::timestamp)::date),
  constraint demand_positive check (quantity > 0)
);

-- The day of the first movement: missing is not zero.
create table demand_recorded (
  warehouse_id int not null references warehouse (id),
  part_id int not null references part (id),
  since date not null,
  constraint demand_recorded_pkey primary key (warehouse_id, part_id)
);

-- What was posted since an instant, in the order of the pages: demand of the day is found without reading the month.
create index movement_by_posting on movement using brin (posted_at);
`

const LEVELS = `
-- By criticality class of the part; '*' for parts without one.
create table service_target (
  criticality text not null,
  measure text not null,
  level numeric(6,5) not null,
  constraint service_target_pkey primary key (criticality),
  constraint service_target_criticality_known check (criticality in ('A', 'B', 'C', '*')),
  constraint service_target_measure_known check (measure in ('cycle-service', 'fill-rate')),
  constraint service_target_within_reason check (level > 0 and level < 1)
);
insert into service_target values ('A', 'cycle-service', 0.98), ('B', 'cycle-service', 0.95), ('C', 'cycle-service', 0.90), ('*', 'cycle-service', 0.95);

-- Where a position goes another way than its criticality says (R-ORD-1): fixed levels until a day, or a target, lead time or pack of its own.
create table reorder_policy (
  warehouse_id int not null references warehouse (id),
  part_id int not null references part (id),
  kind text not null,
  minimum numeric(15,3),
  maximum numeric(15,3),
  measure text,
  level numeric(6,5),
  lead_time_days int,
  pack_size numeric(15,3),
  reason text,
  -- The last day on which it is in force.
  expires_on date,
  set_by int not null references person (id),
  set_at timestamptz not null,
  constraint reorder_policy_pkey primary key (warehouse_id, part_id),
  constraint reorder_policy_kind_known check (kind in ('fixed', 'computed')),
  constraint reorder_policy_fixed_says_all check ((kind = 'fixed') = (minimum is not null)
    and (minimum is null) = (maximum is null) and (kind = 'computed' or (reason is not null and expires_on is not null))),
  constraint reorder_policy_in_order check (minimum >= 0 and minimum <= maximum),
  constraint reorder_policy_target_whole check ((measure is null) = (level is null) and level > 0 and level < 1),
  constraint reorder_policy_measure_known check (measure in ('cycle-service', 'fill-rate')),
  constraint reorder_policy_lead_time_positive check (lead_time_days > 0),
  constraint reorder_policy_pack_size_positive check (pack_size > 0)
);

-- The levels in force, and everything that defends them. Statistics are floating point, levels are not.
create table reorder_level (
  warehouse_id int not null references warehouse (id),
  part_id int not null references part (id),
  reorder_point numeric(15,3) not null,
  order_up_to numeric(15,3) not null,
  basis text not null,
  -- Why nothing is kept although something is asked for: the part is replaced or no longer bought.
  nothing_because text,
  -- What the calculation says, also where a fixed policy goes before it.
  computed_reorder_point numeric(15,3),
  computed_order_up_to numeric(15,3),
  demand_class text,
  adi float8,
  cv2 float8,
  method text,
  monthly_mean float8,
  monthly_variance float8,
  lead_time_mean float8,
  lead_time_variance float8,
  distribution text,
  achieved float8,
  measure text,
  level numeric(6,5),
  target_from text,
  lead_time_days int,
  lead_time_from text,
  pack_size numeric(15,3),
  -- The first month of the series and the month after its last.
  series_from date,
  series_until date,
  -- Of all inputs: what has the same is not computed again.
  digest uuid,
  computed_at timestamptz not null,
  constraint reorder_level_pkey primary key (warehouse_id, part_id),
  constraint reorder_level_basis_known check (basis in ('fixed', 'computed')),
  constraint reorder_level_in_order check (reorder_point >= 0 and reorder_point <= order_up_to),
  constraint reorder_level_nothing_because_known check (nothing_because in ('superseded', 'inactive', 'warehouse-closed'))
) with (fillfactor = 70);
create index reorder_level_by_part on reorder_level (part_id, warehouse_id);
`

const ON_ORDER = `
-- What is on its way to a warehouse, whoever sends it. What arrived of it is never stored: posted lines that name it say so.
create sequence expected_receipt_id_seq;
create table expected_receipt (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('expected_receipt_id_seq'),
  part_id int not null references part (id),
  kind text not null,
  -- The paper it stands on, and the line there.
  document text not null,
  line_no int not null,
  quantity numeric(15,3) not null,
  expected_on date,
  supplier_id int references supplier (id),
  from_warehouse_id int references warehouse (id),
  opened_at timestamptz not null,
  opened_by int not null references person (id),
  ended_at timestamptz,
  ended_because text,
  constraint expected_receipt_pkey primary key (warehouse_id, id),
  constraint expected_receipt_line_once unique (warehouse_id, document, line_no),
  constraint expected_receipt_kind_known check (kind in ('purchase', 'transfer')),
  constraint expected_receipt_positive check (quantity > 0),
  constraint expected_receipt_says_where_from check ((kind = 'transfer') = (from_warehouse_id is not null) and (kind = 'purchase' or supplier_id is null)),
  constraint expected_receipt_ended_says_why check ((ended_at is null) = (ended_because is null))
);
create index expected_receipt_open on expected_receipt (warehouse_id, part_id) where ended_at is null;

-- The expected receipt that the line fulfils, perhaps in part. A reversal names the same with the opposite quantity.
alter table slip_line add column expected_receipt_id bigint;
alter table slip_line add constraint slip_line_expected_receipt_fkey
  foreign key (warehouse_id, expected_receipt_id) references expected_receipt (warehouse_id, id);
create index slip_line_by_expected_receipt on slip_line (warehouse_id, expected_receipt_id) where expected_receipt_id is not null;

create view on_order as
select e.warehouse_id, e.part_id, sum(greatest(0, e.quantity - received.quantity)) as quantity
  from expected_receipt e
 cross join lateral (select coalesce(sum(l.quantity), 0) as quantity
                       from slip_line l
                       join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state = 'posted'
                      where l.warehouse_id = e.warehouse_id and l.expected_receipt_id = e.id) received
 where e.ended_at is null
 group by e.warehouse_id, e.part_id;

-- Where every position stands against its level (R-ORD-2). Looked up position by position: asking for a few costs little, and asking
-- for all goes along the keys.
create view reorder_position as
select p.*, p.order_up_to > 0 and p.available + p.on_order <= p.reorder_point as is_short
  from (select l.warehouse_id, l.part_id, stock.quantity as available, ordered.quantity as on_order, l.reorder_point, l.order_up_to
          from reorder_level l
         cross join lateral (select coalesce(sum(b.on_hand - b.reserved), 0) as quantity
                               from balance b
                              where b.warehouse_id = l.warehouse_id and b.part_id = l.part_id and b.condition = 'qualified') stock
         cross join lateral (select coalesce(sum(o.quantity), 0) as quantity
                               from on_order o
                              where o.warehouse_id = l.warehouse_id and o.part_id = l.part_id) ordered) p;
`
