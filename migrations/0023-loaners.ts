import { Migration } from '@mikro-orm/migrations'

/**
 * Loaner units (R-LOAN-1 to R-LOAN-3): units by serial number, which slip moves which unit, loans, reservations for a coming repair, the
 * installed base and what fleet it asks for. Where a unit is follows the slips that move it, in the transaction in which they take effect.
 */
export class Loaners extends Migration {
  override up(): void {
    this.addSql(TABLES)
    this.addSql(FOLLOW)
    this.addSql(VIEWS)
    this.addSql(SETTINGS)
  }
}

const TABLES = `
-- A loaner model: its units have serial numbers and move by the documents of the room loaners only.
alter table part add column loaner_family text;
create index part_by_loaner_family on part (loaner_family) where loaner_family is not null;

create table loaner_unit (
  -- Who registered it: its history lies there, wherever it is now.
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  serial text not null,
  part_id int not null references part (id),
  grade text not null,
  photo_url text,
  accessories text[] not null default '{}',
  note text,
  state text not null default 'registered',
  -- The warehouse it belongs to now, and its lot there; no lot while it is not on the shelf.
  held_by int not null references warehouse (id),
  lot_id bigint,
  condition text not null default 'qualified',
  -- The slip that will move it when it is posted: at most one.
  pending text,
  pending_warehouse_id int,
  pending_slip_id bigint,
  -- The loan it is out on.
  loan_warehouse_id int,
  loan_id bigint,
  -- Where it is on its way to.
  moving_to int references warehouse (id),
  -- While it is in repair nobody is promised it.
  repair_reservation_id bigint,
  in_service_on date,
  out_of_service_on date,
  registered_by int not null references person (id),
  registered_at timestamptz not null,
  version int not null default 1,
  constraint loaner_unit_pkey primary key (warehouse_id, id),
  constraint loaner_unit_grade_known check (grade in ('A', 'B', 'C')),
  constraint loaner_unit_state_known check (state in ('registered', 'in-service', 'in-repair', 'in-transit', 'retired', 'withdrawn')),
  constraint loaner_unit_condition_known check (condition in ('qualified', 'nonconforming')),
  constraint loaner_unit_lot_fkey foreign key (held_by, lot_id) references lot (warehouse_id, id),
  constraint loaner_unit_pending_is_whole check ((pending is null) = (pending_slip_id is null) and (pending_slip_id is null) = (pending_warehouse_id is null)),
  constraint loaner_unit_loan_is_whole check ((loan_id is null) = (loan_warehouse_id is null)),
  constraint loaner_unit_in_one_place check (num_nonnulls(lot_id, loan_id, moving_to) <= 1),
  constraint loaner_unit_photo_is_https check (photo_url is null or photo_url like 'https://%')
) with (fillfactor = 80);
-- In the whole company, in any case; what never came leaves its number free.
create unique index loaner_unit_serial_unique on loaner_unit (upper(serial)) where state <> 'withdrawn';
create unique index loaner_unit_one_per_lot on loaner_unit (held_by, lot_id) where lot_id is not null;
create index loaner_unit_by_place on loaner_unit (held_by, part_id, serial);
create index loaner_unit_by_model on loaner_unit (part_id, state, held_by);
create index loaner_unit_newest on loaner_unit (id desc);

create table loan (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  unit_warehouse_id int not null,
  unit_id bigint not null,
  state text not null default 'awaiting-release',
  repair_order text not null,
  receipt_number text not null,
  -- As little as possible, and gone when it is asked for.
  customer_name text,
  customer_contact text,
  customer_forgotten_at timestamptz,
  due_on date not null,
  extensions int not null default 0,
  out_slip_id bigint not null,
  lent_on date,
  condition_out text not null,
  grade_out text not null,
  accessories_out text[] not null,
  in_slip_id bigint,
  returned_on date,
  condition_in text,
  outcome text,
  grade_in text,
  accessories_in text[],
  damage text,
  damage_amount numeric(18,2),
  -- When the repair was reported ready, how often the customer was told, and what came of it (R-LOAN-3).
  ready_at timestamptz,
  notices int not null default 0,
  noticed_on date,
  answered_at timestamptz,
  answer text,
  escalated_at timestamptz,
  drawn_up_by int not null references person (id),
  drawn_up_at timestamptz not null,
  version int not null default 1,
  constraint loan_pkey primary key (warehouse_id, id),
  constraint loan_number_unique unique (warehouse_id, number),
  constraint loan_unit_fkey foreign key (unit_warehouse_id, unit_id) references loaner_unit (warehouse_id, id),
  constraint loan_out_slip_fkey foreign key (warehouse_id, out_slip_id) references slip (warehouse_id, id),
  constraint loan_in_slip_fkey foreign key (warehouse_id, in_slip_id) references slip (warehouse_id, id),
  constraint loan_state_known check (state in ('awaiting-release', 'out', 'returned', 'cancelled')),
  constraint loan_outcome_known check (outcome in ('usable', 'needs-repair', 'beyond-repair')),
  constraint loan_grades_known check (grade_out in ('A', 'B', 'C') and grade_in in ('A', 'B', 'C')),
  constraint loan_returned_says_when check ((state = 'returned') = (returned_on is not null)),
  constraint loan_damage_amount_of_damage check (damage_amount is null or (damage is not null and damage_amount >= (0)::numeric))
) with (fillfactor = 80);
create index loan_due on loan (due_on, warehouse_id, id) where state = 'out';
create index loan_by_unit on loan (unit_warehouse_id, unit_id, id);
create index loan_by_repair_order on loan (repair_order, id desc);
create index loan_by_place on loan (warehouse_id, id desc);
create index loan_newest on loan (id desc);
create index loan_to_notice on loan (noticed_on, warehouse_id, id) where state = 'out' and ready_at is not null and answered_at is null and escalated_at is null;
create index loan_escalated on loan (warehouse_id, id) where state = 'out' and escalated_at is not null and answered_at is null;
alter table loaner_unit add constraint loaner_unit_loan_fkey foreign key (loan_warehouse_id, loan_id) references loan (warehouse_id, id);

-- Which line of which slip moves which unit, and what for.
create table loaner_move (
  warehouse_id int not null,
  slip_id bigint not null,
  line_no int not null,
  unit_warehouse_id int not null,
  unit_id bigint not null,
  purpose text not null,
  -- The loan of a loan-out or loan-in, in the same warehouse.
  loan_id bigint,
  -- The other warehouse of a transfer.
  other_warehouse_id int references warehouse (id),
  constraint loaner_move_pkey primary key (warehouse_id, slip_id, line_no),
  constraint loaner_move_slip_line_fkey foreign key (warehouse_id, slip_id, line_no) references slip_line (warehouse_id, slip_id, line_no),
  constraint loaner_move_unit_fkey foreign key (unit_warehouse_id, unit_id) references loaner_unit (warehouse_id, id),
  constraint loaner_move_loan_fkey foreign key (warehouse_id, loan_id) references loan (warehouse_id, id),
  constraint loaner_move_purpose_known check (purpose in ('register', 'loan-out', 'loan-in', 'retire', 'transfer-out', 'transfer-in'))
);
create index loaner_move_by_unit on loaner_move (unit_warehouse_id, unit_id, slip_id);

-- A unit kept for a coming repair. It holds while the ledger's own reservation does.
create table loaner_reservation (
  warehouse_id int not null,
  id bigint not null default nextval('document_id_seq'),
  unit_warehouse_id int not null,
  unit_id bigint not null,
  repair_order text not null,
  until_on date not null,
  reservation_id bigint not null,
  reserved_by int not null references person (id),
  reserved_at timestamptz not null,
  ended_at timestamptz,
  ended_because text,
  constraint loaner_reservation_pkey primary key (warehouse_id, id),
  constraint loaner_reservation_unit_fkey foreign key (unit_warehouse_id, unit_id) references loaner_unit (warehouse_id, id),
  constraint loaner_reservation_stock_fkey foreign key (warehouse_id, reservation_id) references reservation (warehouse_id, id),
  constraint loaner_reservation_ended_says_why check ((ended_at is null) = (ended_because is null))
);
create unique index loaner_reservation_one_per_unit on loaner_reservation (unit_warehouse_id, unit_id) where ended_at is null;
create index loaner_reservation_until on loaner_reservation (until_on, warehouse_id, id) where ended_at is null;

-- Goods of a family in the hands of customers, by region.
create table installed_base (
  region_id int not null references region (id),
  family text not null,
  units bigint not null,
  counted_on date not null,
  set_by int not null references person (id),
  set_at timestamptz not null,
  constraint installed_base_pkey primary key (region_id, family),
  constraint installed_base_units_not_negative check (units >= 0)
);

-- Loaners per thousand installed; '*' where a family has none of its own (R-LOAN-2).
create table loaner_target (
  family text not null,
  per_mille numeric(9,3) not null,
  constraint loaner_target_pkey primary key (family),
  constraint loaner_target_not_negative check (per_mille >= (0)::numeric)
);
insert into loaner_target values ('*', 4);
`

// Runs at the end of the statement that posts or cancels a slip, so a unit, its loan and the ledger change together. The slip and the
// balances are locked by then; units come after them, in the order of their keys. A unit that is not where the slip takes it from is
// refused (BC030): somebody was faster, or wrote to the database by other ways.
const FOLLOW = `
create function loaner_follow_slip() returns trigger language plpgsql as $$
#variable_conflict use_column
declare
  v_undoes boolean := new.kind = 'reversal';
  v_moved bigint := case when new.kind = 'reversal' then new.source_slip_id else new.id end;
  v_at timestamptz;
  v_person int;
  v record;
  v_fault text;
  v_event text;
begin
  -- What a count found missing and a reversal brings back is in a new lot of the same descent.
  if v_undoes and new.state = 'posted' then
    update loaner_unit u set lot_id = m.lot_id, version = u.version + 1
      from movement m join lot l on l.warehouse_id = m.warehouse_id and l.id = m.lot_id
     where m.warehouse_id = new.warehouse_id and m.slip_id = new.id and m.occurred_on = new.occurred_on and m.quantity > 0
       and u.held_by = m.warehouse_id and u.lot_id = l.parent_lot_id;
  end if;
  if not exists (select 1 from loaner_move where warehouse_id = new.warehouse_id and slip_id = v_moved)
     or (v_undoes and new.state = 'cancelled') then
    return null;
  end if;
  select occurred_at, person_id into v_at, v_person from document_event where warehouse_id = new.warehouse_id and document_id = new.id order by id desc limit 1;

  for v in
    select mv.unit_warehouse_id, mv.unit_id, mv.purpose, mv.loan_id, mv.other_warehouse_id, l.line_no,
           u.serial, u.state, u.lot_id as unit_lot, u.held_by, u.loan_id as unit_loan, u.loan_warehouse_id as unit_loan_warehouse
      from loaner_move mv
      join loaner_unit u on u.warehouse_id = mv.unit_warehouse_id and u.id = mv.unit_id
      join slip_line l on l.warehouse_id = new.warehouse_id and l.slip_id = new.id and case when v_undoes then l.source_line else l.line_no end = mv.line_no
     where mv.warehouse_id = new.warehouse_id and mv.slip_id = v_moved
     order by mv.unit_warehouse_id, mv.unit_id
       for no key update of u
  loop
    if new.state = 'cancelled' then
      update loaner_unit
         set pending = null, pending_slip_id = null, pending_warehouse_id = null, version = version + 1,
             state = case when v.purpose = 'register' then 'withdrawn' else state end
       where warehouse_id = v.unit_warehouse_id and id = v.unit_id and pending_warehouse_id = new.warehouse_id and pending_slip_id = new.id;
      if v.purpose = 'loan-out' then
        update loan set state = 'cancelled', version = version + 1 where warehouse_id = new.warehouse_id and id = v.loan_id;
      elsif v.purpose = 'loan-in' then
        update loan set in_slip_id = null, condition_in = null, outcome = null, grade_in = null, accessories_in = null, damage = null, damage_amount = null, version = version + 1
         where warehouse_id = new.warehouse_id and id = v.loan_id;
      end if;
      v_event := case v.purpose when 'register' then 'registration-cancelled' when 'loan-out' then 'loan-cancelled' when 'loan-in' then 'return-cancelled'
                                when 'retire' then 'retirement-cancelled' when 'transfer-out' then 'transfer-cancelled' else 'arrival-cancelled' end;
    else
      declare
        v_m record;
      begin
        select m.quantity, m.lot_id, m.condition, l.blocked, r.id as reservation into v_m
          from movement m
          join lot l on l.warehouse_id = m.warehouse_id and l.id = m.lot_id
          left join reservation r on r.warehouse_id = m.warehouse_id and r.slip_id = m.slip_id and r.line_no = m.line_no and r.released_at is null
         where m.warehouse_id = new.warehouse_id and m.slip_id = new.id and m.line_no = v.line_no and m.occurred_on = new.occurred_on;
        v_fault := case
          when v_m.quantity is null then 'nothing moved'
          when v_m.quantity < 0 and (v.unit_lot is null or v.unit_lot <> v_m.lot_id or v.held_by <> new.warehouse_id) then 'it is not on this shelf any more'
          when v_m.quantity < 0 and v_m.blocked and not v_undoes and v.purpose in ('loan-out', 'transfer-out') then 'it is blocked by a recall'
          when v.purpose = 'register' and not v_undoes and v.state <> 'registered' then 'it is registered already'
          when v.purpose in ('loan-in', 'loan-out') and v_m.quantity > 0 and (v.unit_loan is distinct from v.loan_id or v.unit_loan_warehouse <> new.warehouse_id) then 'it is not out on this loan'
          when v.purpose in ('transfer-in', 'transfer-out') and v_m.quantity > 0 and v.state <> 'in-transit' then 'it is not on its way'
          when v.purpose = 'retire' and v_m.quantity > 0 and v.state <> 'retired' then 'it is not retired'
        end;
        if v_fault is not null then
          raise exception 'unit % cannot move by %: %', v.serial, new.number, v_fault using errcode = 'BC030';
        end if;
        update loaner_unit
           set version = version + 1,
               held_by = case when v_m.quantity > 0 then new.warehouse_id when v.purpose = 'transfer-in' then v.other_warehouse_id else held_by end,
               lot_id = case when v_m.quantity > 0 then v_m.lot_id end,
               condition = case when v_m.quantity > 0 then v_m.condition else condition end,
               loan_warehouse_id = case when v_m.quantity < 0 and v.purpose in ('loan-out', 'loan-in') then new.warehouse_id end,
               loan_id = case when v_m.quantity < 0 and v.purpose in ('loan-out', 'loan-in') then v.loan_id end,
               moving_to = case when v_m.quantity < 0 and v.purpose = 'transfer-out' then v.other_warehouse_id
                                when v_m.quantity < 0 and v.purpose = 'transfer-in' then new.warehouse_id end,
               state = case when v.purpose = 'register' and v_undoes then 'withdrawn'
                            when v.purpose = 'retire' and v_m.quantity < 0 then 'retired'
                            when v.purpose in ('transfer-out', 'transfer-in') and v_m.quantity < 0 then 'in-transit'
                            when v.purpose = 'loan-in' and v_m.quantity > 0 and v_m.reservation is not null then 'in-repair'
                            else 'in-service' end,
               repair_reservation_id = case when v_m.quantity > 0 then v_m.reservation end,
               in_service_on = case when v.purpose = 'register' and not v_undoes then new.occurred_on else in_service_on end,
               out_of_service_on = case when v.purpose = 'retire' and v_m.quantity < 0 then new.occurred_on end,
               grade = case when v.purpose = 'loan-in' and v_m.quantity > 0 then (select grade_in from loan where warehouse_id = new.warehouse_id and id = v.loan_id) else grade end,
               pending = case when pending_warehouse_id = new.warehouse_id and pending_slip_id = new.id then null else pending end,
               pending_warehouse_id = case when pending_warehouse_id = new.warehouse_id and pending_slip_id = new.id then null else pending_warehouse_id end,
               pending_slip_id = case when pending_warehouse_id = new.warehouse_id and pending_slip_id = new.id then null else pending_slip_id end
         where warehouse_id = v.unit_warehouse_id and id = v.unit_id;
        if v.purpose = 'loan-out' and not v_undoes then
          update loan set state = 'out', lent_on = new.occurred_on, version = version + 1 where warehouse_id = new.warehouse_id and id = v.loan_id;
          update loaner_reservation set ended_at = v_at, ended_because = 'lent'
           where unit_warehouse_id = v.unit_warehouse_id and unit_id = v.unit_id and ended_at is null;
        elsif v.purpose = 'loan-out' then
          update loan set state = 'cancelled', version = version + 1 where warehouse_id = new.warehouse_id and id = v.loan_id;
        elsif v.purpose = 'loan-in' and not v_undoes then
          update loan set state = 'returned', returned_on = new.occurred_on, version = version + 1 where warehouse_id = new.warehouse_id and id = v.loan_id;
        elsif v.purpose = 'loan-in' then
          update loan set state = 'out', returned_on = null, in_slip_id = null, condition_in = null, outcome = null, grade_in = null, accessories_in = null,
                          damage = null, damage_amount = null, version = version + 1
           where warehouse_id = new.warehouse_id and id = v.loan_id;
        end if;
      end;
      if v.purpose in ('loan-out', 'loan-in') and not v_undoes then
        insert into outbox (subject, event, warehouse_id, payload, occurred_at)
        select 'document:' || l.id, case v.purpose when 'loan-out' then 'loaner.lent' else 'loaner.returned' end, new.warehouse_id,
               jsonb_strip_nulls(jsonb_build_object('warehouse', w.code, 'loan', l.number, 'serial', v.serial, 'model', part.number, 'repairOrder', l.repair_order,
                 'dueOn', l.due_on, 'outcome', l.outcome, 'slip', new.number)), v_at
          from loan l
          join warehouse w on w.id = l.warehouse_id
          join loaner_unit u on u.warehouse_id = l.unit_warehouse_id and u.id = l.unit_id
          join part on part.id = u.part_id
         where l.warehouse_id = new.warehouse_id and l.id = v.loan_id;
      end if;
      v_event := case v.purpose when 'register' then 'in-service' when 'loan-out' then 'lent' when 'loan-in' then 'returned'
                                when 'retire' then 'retired' when 'transfer-out' then 'sent' else 'arrived' end || case when v_undoes then '-reversed' else '' end;
    end if;

    insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
    select d.warehouse_id, d.id, v_at, v_person, v_event,
           jsonb_strip_nulls(jsonb_build_object('slip', new.number, 'serial', v.serial, 'loan', (select number from loan where warehouse_id = new.warehouse_id and id = v.loan_id),
             'warehouse', (select code from warehouse where id = new.warehouse_id), 'otherWarehouse', (select code from warehouse where id = v.other_warehouse_id)))
      from (values (v.unit_warehouse_id, v.unit_id), (new.warehouse_id, v.loan_id)) as d (warehouse_id, id)
     where d.id is not null;
  end loop;
  return null;
end $$;
create trigger slip_moves_loaners after update of state on slip
  for each row when (old.state is distinct from new.state and new.state in ('posted', 'cancelled')
    and new.kind in ('receipt', 'opening', 'loan-out', 'loan-in', 'scrap', 'transfer-out', 'transfer-in', 'reversal'))
  execute function loaner_follow_slip();
`

const VIEWS = `
-- Every movement of every unit, those of reversals too, in the order of the ledger: the whole life of a unit, over all warehouses.
create view loaner_movement as
select mv.unit_warehouse_id, mv.unit_id, mv.purpose, mv.loan_id, s.warehouse_id, s.id as slip_id, s.number, s.kind, s.occurred_on, s.posted_at, s.posted_by,
       m.id as movement_id, m.lot_id, m.quantity, m.condition
  from loaner_move mv
  join slip s on s.warehouse_id = mv.warehouse_id and s.id = mv.slip_id and s.state = 'posted'
  join movement m on m.warehouse_id = s.warehouse_id and m.occurred_on = s.occurred_on and m.slip_id = s.id and m.line_no = mv.line_no
 union all
select mv.unit_warehouse_id, mv.unit_id, mv.purpose, mv.loan_id, s.warehouse_id, s.id, s.number, s.kind, s.occurred_on, s.posted_at, s.posted_by,
       m.id, m.lot_id, m.quantity, m.condition
  from loaner_move mv
  join slip s on s.warehouse_id = mv.warehouse_id and s.source_slip_id = mv.slip_id and s.kind = 'reversal' and s.state = 'posted'
  join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id and l.source_line = mv.line_no
  join movement m on m.warehouse_id = s.warehouse_id and m.occurred_on = s.occurred_on and m.slip_id = s.id and m.line_no = l.line_no;

-- Installed base, target and fleet by region and family: what is out or in repair counts, what is retired or not there yet does not.
create view loaner_fleet as
select b.region_id, b.family, b.units as installed, b.counted_on, t.per_mille, ceil(b.units * t.per_mille / 1000)::bigint as target, coalesce(fleet.units, 0) as units,
       greatest(0, ceil(b.units * t.per_mille / 1000)::bigint - coalesce(fleet.units, 0)) as shortfall
  from installed_base b
 cross join lateral (select per_mille from loaner_target where family in (b.family, '*') order by family = '*' limit 1) t
  left join (select w.region_id, part.loaner_family as family, count(*) as units
               from loaner_unit u
               join part on part.id = u.part_id
               join warehouse w on w.id = u.held_by
              where u.state in ('in-service', 'in-repair', 'in-transit')
              group by w.region_id, part.loaner_family) fleet on fleet.region_id = b.region_id and fleet.family = b.family;
`

const SETTINGS = `
insert into alert_policy (kind, ladder, escalate_after_hours, mail) values
  ('loaner-due-soon', '[["keeper"]]', null, 'digest'),
  ('loaner-overdue', '[["keeper"], ["department-head"], ["stock-controller"]]', 72, 'digest'),
  ('loaner-notice-unanswered', '[["keeper", "department-head"], ["operations-supervisor"]]', 72, 'immediately'),
  ('loaner-fleet-short', '[["department-head", "stock-controller"]]', null, 'digest');
`
