import { Migration } from '@mikro-orm/migrations'

/**
 * Loaner units under reversals, counts and recalls, and the receipt that a customer signs (R-LOAN-1, R-LOAN-2). A unit moves only by the slip it
 * waits for, and a reversal ends the waiting: a slip that was written before it can only be cancelled. A reversed count brings back also a unit
 * that was given up, and nothing of a loaner model comes in without a serial number. What a count found missing is no part of the fleet, and
 * what did not come back with a unit is no accessory of it. Which recalls are about a unit is known wherever it is, also with a customer; what
 * comes back blocked and broken is in repair, though nobody can be promised it; and a receipt is of one loan.
 */
export class LoanerEnds extends Migration {
  override up(): void {
    this.addSql(RECALLED)
    this.addSql(FOLLOW)
    this.addSql(FLEET)
    this.addSql(ON_THE_WAY)
    this.addSql(RECEIPT_KEY)
    this.addSql(RECEIPTS)
  }
}

const RECALLED = `
-- Which recalls in force are about a unit, by the lot it lies in, or the one it left last: out on loan or on the way it is as dangerous as before.
create view loaner_recall as
select u.warehouse_id as unit_warehouse_id, u.id as unit_id, u.part_id, s.recall_id, s.recall
  from (select distinct recall_id, recall, part_id from recall_scope where lifted_at is null) s
  join loaner_unit u on u.part_id = s.part_id
 cross join lateral (select u.held_by as warehouse_id, u.lot_id where u.lot_id is not null
                      union all
                     (select m.warehouse_id, m.lot_id
                        from loaner_movement m
                       where u.lot_id is null and m.unit_warehouse_id = u.warehouse_id and m.unit_id = u.id
                       order by m.movement_id desc limit 1)) at
  -- Each lot by its key: left to itself the planner looks through all lots of the model once per unit.
 cross join lateral (select 1 from recalled_lot r where r.recall_id = s.recall_id and r.warehouse_id = at.warehouse_id and r.lot_id = at.lot_id limit 1) about
 where u.state in ('in-service', 'in-repair', 'in-transit');

-- Asked only where a recall is about the model: what is scanned otherwise pays nothing for the view, not even that it is made ready.
create function recalls_of_unit(p_warehouse int, p_unit bigint) returns text[] language plpgsql stable as $$
begin
  return array(select r.recall from loaner_recall r
                where r.part_id = (select part_id from loaner_unit where warehouse_id = p_warehouse and id = p_unit)
                  and r.unit_warehouse_id = p_warehouse and r.unit_id = p_unit order by 1);
end $$;
`

// Runs at the end of the statement that posts or cancels a slip, by the trigger of migration 0023, so a unit, its loan and the ledger change
// together. The slip and the balances are locked by then; units come after them, in the order of their keys. A unit that is not where the slip
// takes it from, or does not wait for the slip, is refused (BC030), and one that a recall blocks is refused as the ledger refuses other goods
// (BC005).
const FOLLOW = `
create or replace function loaner_follow_slip() returns trigger language plpgsql as $$
#variable_conflict use_column
declare
  v_undoes boolean := new.kind = 'reversal';
  v_moved bigint := case when new.kind = 'reversal' then new.source_slip_id else new.id end;
  v_at timestamptz;
  v_person int;
  v record;
  v_fault text;
  v_event text;
  v_model text;
  v_recalls jsonb;
begin
  -- What a count found missing and a reversal brings back is in a new lot of the same descent; a unit that was given up meanwhile is back in service.
  if v_undoes and new.state = 'posted' then
    with found as (
      update loaner_unit u
         set lot_id = m.lot_id, version = u.version + 1, state = case when u.state = 'retired' then 'in-service' else u.state end, out_of_service_on = null
        from movement m join lot l on l.warehouse_id = m.warehouse_id and l.id = m.lot_id
       where m.warehouse_id = new.warehouse_id and m.slip_id = new.id and m.occurred_on = new.occurred_on and m.quantity > 0
         and u.held_by = m.warehouse_id and u.lot_id = l.parent_lot_id
      returning u.warehouse_id, u.id, u.serial
    )
    insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
    select found.warehouse_id, found.id, e.occurred_at, e.person_id, 'found', jsonb_build_object('slip', new.number, 'serial', found.serial)
      from found
     cross join (select occurred_at, person_id from document_event where warehouse_id = new.warehouse_id and document_id = new.id order by id desc limit 1) e;
  end if;
  -- A part may have become a loaner model after a slip of it was written: from then on nothing of it comes in without a serial number.
  if new.state = 'posted' and not exists (select 1 from loaner_move where warehouse_id = new.warehouse_id and slip_id = v_moved) then
    select part.number into v_model
      from slip_line l
      join part on part.id = l.part_id and part.loaner_family is not null
      join movement m on m.warehouse_id = l.warehouse_id and m.slip_id = l.slip_id and m.line_no = l.line_no and m.occurred_on = new.occurred_on and m.quantity > 0
     where l.warehouse_id = new.warehouse_id and l.slip_id = new.id
       and not exists (select 1 from loaner_unit u where u.held_by = m.warehouse_id and u.lot_id = m.lot_id)
     limit 1;
    if v_model is not null then
      raise exception 'part % became a loaner model, and % brings it in without a serial number', v_model, new.number using errcode = 'BC032';
    end if;
  end if;
  if not exists (select 1 from loaner_move where warehouse_id = new.warehouse_id and slip_id = v_moved)
     or (v_undoes and new.state = 'cancelled') then
    return null;
  end if;
  select occurred_at, person_id into v_at, v_person from document_event where warehouse_id = new.warehouse_id and document_id = new.id order by id desc limit 1;

  -- A recall broke the promise of what is in repair, and was lifted while this slip was to scrap it: now it is promised again. Balances before units.
  if new.state = 'cancelled' and new.kind = 'scrap' then
    for v in
      select u.warehouse_id, u.id, u.part_id, u.held_by, u.serial
        from loaner_move mv
        join loaner_unit u on u.warehouse_id = mv.unit_warehouse_id and u.id = mv.unit_id and u.state = 'in-repair'
        join lot l on l.warehouse_id = u.held_by and l.id = u.lot_id and not l.blocked and not l.exhausted
       where mv.warehouse_id = new.warehouse_id and mv.slip_id = new.id and mv.purpose = 'retire'
         and not exists (select 1 from reservation r
                          where r.warehouse_id = u.held_by and r.id = u.repair_reservation_id and r.released_at is null and r.consumed < r.quantity)
    loop
      update loaner_unit set repair_reservation_id = promise.id
        from reserve_goods(array[v.held_by], array[v.part_id], array['own'], array['qualified'], array[1], array['维修 repair S/N ' || v.serial], v_person, v_at) promise
       where warehouse_id = v.warehouse_id and loaner_unit.id = v.id and promise.id is not null;
    end loop;
  end if;

  for v in
    select mv.unit_warehouse_id, mv.unit_id, mv.purpose, mv.loan_id, mv.other_warehouse_id, l.line_no,
           u.serial, u.state, u.lot_id as unit_lot, u.held_by, u.loan_id as unit_loan, u.loan_warehouse_id as unit_loan_warehouse,
           u.pending_slip_id = new.id and u.pending_warehouse_id = new.warehouse_id as waits_for_it
      from loaner_move mv
      join loaner_unit u on u.warehouse_id = mv.unit_warehouse_id and u.id = mv.unit_id
      join slip_line l on l.warehouse_id = new.warehouse_id and l.slip_id = new.id and case when v_undoes then l.source_line else l.line_no end = mv.line_no
     where mv.warehouse_id = new.warehouse_id and mv.slip_id = v_moved
     order by mv.unit_warehouse_id, mv.unit_id
       for no key update of u
  loop
    v_recalls := null;
    if new.state = 'cancelled' then
      update loaner_unit
         set pending = null, pending_slip_id = null, pending_warehouse_id = null, version = version + 1,
             state = case when v.purpose = 'register' then 'withdrawn' else state end
       where warehouse_id = v.unit_warehouse_id and id = v.unit_id and pending_warehouse_id = new.warehouse_id and pending_slip_id = new.id;
      if v.purpose = 'loan-out' then
        update loan set state = 'cancelled', version = version + 1 where warehouse_id = new.warehouse_id and id = v.loan_id;
      elsif v.purpose = 'loan-in' then
        update loan set in_slip_id = null, condition_in = null, outcome = null, grade_in = null, accessories_in = null, damage = null, damage_amount = null, version = version + 1
         where warehouse_id = new.warehouse_id and id = v.loan_id and in_slip_id = new.id;
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
        if v_m.blocked then
          select jsonb_agg(distinct s.recall) into v_recalls
            from lot_block k join recall_scope s on s.recall_id = k.recall_id
           where k.warehouse_id = new.warehouse_id and k.lot_id = v_m.lot_id;
        end if;
        v_fault := case
          when v_m.quantity is null then 'nothing moved'
          when not v_undoes and v.waits_for_it is not true then 'another slip changed where it is, and it does not wait for this one any more'
          when v_m.quantity < 0 and (v.unit_lot is null or v.unit_lot <> v_m.lot_id or v.held_by <> new.warehouse_id) then 'it is not on this shelf any more'
          when v.purpose = 'register' and not v_undoes and v.state <> 'registered' then 'it is registered already'
          when v.purpose in ('loan-in', 'loan-out') and v_m.quantity > 0 and (v.unit_loan is distinct from v.loan_id or v.unit_loan_warehouse <> new.warehouse_id) then 'it is not out on this loan'
          when v.purpose in ('transfer-in', 'transfer-out') and v_m.quantity > 0 and v.state <> 'in-transit' then 'it is not on its way'
          when v.purpose = 'transfer-out' and v_m.quantity > 0 and v_moved <> (
                 select sent.slip_id from loaner_movement sent
                  where sent.unit_warehouse_id = v.unit_warehouse_id and sent.unit_id = v.unit_id and sent.purpose = 'transfer-out' and sent.quantity < 0
                  order by sent.movement_id desc limit 1) then 'it is on its way by a later slip'
          when v.purpose = 'retire' and v_m.quantity > 0 and v.state <> 'retired' then 'it is not retired'
        end;
        -- As the ledger says it of other goods: the slip may be posted once the recall is lifted.
        if v_fault is null and v_m.quantity < 0 and v_m.blocked and not v_undoes and v.purpose in ('loan-out', 'transfer-out') then
          raise exception 'goods are blocked' using errcode = 'BC005', detail = v_recalls::text;
        end if;
        if v_fault is not null then
          raise exception 'unit % cannot move by %: %', v.serial, new.number, v_fault using errcode = 'BC030';
        end if;
        update loaner_unit
           set version = version + 1,
               held_by = case when v_m.quantity > 0 then new.warehouse_id when v.purpose = 'transfer-in' then v.other_warehouse_id else held_by end,
               lot_id = case when v_m.quantity > 0 then v_m.lot_id end,
               condition = case when v_m.quantity > 0 then v_m.condition when v.purpose = 'loan-in' then 'qualified' else condition end,
               loan_warehouse_id = case when v_m.quantity < 0 and v.purpose in ('loan-out', 'loan-in') then new.warehouse_id end,
               loan_id = case when v_m.quantity < 0 and v.purpose in ('loan-out', 'loan-in') then v.loan_id end,
               moving_to = case when v_m.quantity < 0 and v.purpose = 'transfer-out' then v.other_warehouse_id
                                when v_m.quantity < 0 and v.purpose = 'transfer-in' then new.warehouse_id end,
               state = case when v.purpose = 'register' and v_undoes then 'withdrawn'
                            when v.purpose = 'retire' and v_m.quantity < 0 then 'retired'
                            when v.purpose in ('transfer-out', 'transfer-in') and v_m.quantity < 0 then 'in-transit'
                            -- Also if nobody could be promised it, because it came back blocked.
                            when v.purpose = 'loan-in' and v_m.quantity > 0
                             and (select outcome from loan where warehouse_id = new.warehouse_id and id = v.loan_id) = 'needs-repair' then 'in-repair'
                            else 'in-service' end,
               repair_reservation_id = case when v_m.quantity > 0 then v_m.reservation end,
               in_service_on = case when v.purpose = 'register' and not v_undoes then new.occurred_on else in_service_on end,
               out_of_service_on = case when v.purpose = 'retire' and v_m.quantity < 0 then new.occurred_on end,
               grade = case when v.purpose = 'loan-in' and v_m.quantity > 0 then (select grade_in from loan where warehouse_id = new.warehouse_id and id = v.loan_id)
                            when v.purpose = 'loan-in' then (select grade_out from loan where warehouse_id = new.warehouse_id and id = v.loan_id) else grade end,
               -- What did not come back is not lent to the next customer; what a reversal says was never due back belongs to it again.
               accessories = case when v.purpose = 'loan-in' and v_m.quantity > 0 then
                                    (select array(select kept.name from unnest(accessories) with ordinality as kept (name, place)
                                                   where kept.name <> all (l.accessories_out) or kept.name = any (l.accessories_in) order by kept.place)
                                       from loan l where l.warehouse_id = new.warehouse_id and l.id = v.loan_id)
                                  when v.purpose = 'loan-in' then
                                    (select accessories || array(select lost.name from unnest(l.accessories_out) with ordinality as lost (name, place)
                                                                  where lost.name <> all (l.accessories_in) and lost.name <> all (accessories) order by lost.place)
                                       from loan l where l.warehouse_id = new.warehouse_id and l.id = v.loan_id)
                                  else accessories end,
               pending = null,
               pending_warehouse_id = null,
               pending_slip_id = null
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
             'warehouse', (select code from warehouse where id = new.warehouse_id), 'otherWarehouse', (select code from warehouse where id = v.other_warehouse_id),
             'recalls', v_recalls))
      from (values (v.unit_warehouse_id, v.unit_id), (new.warehouse_id, v.loan_id)) as d (warehouse_id, id)
     where d.id is not null;
  end loop;
  return null;
end $$;
`

const FLEET = `
-- Installed base, target and fleet by region and family: what is out or in repair counts; what is retired, missing or not there yet does not.
create or replace view loaner_fleet as
select b.region_id, b.family, b.units as installed, b.counted_on, t.per_mille, ceil(b.units * t.per_mille / 1000)::bigint as target, coalesce(fleet.units, 0) as units,
       greatest(0, ceil(b.units * t.per_mille / 1000)::bigint - coalesce(fleet.units, 0)) as shortfall
  from installed_base b
 cross join lateral (select per_mille from loaner_target where family in (b.family, '*') order by family = '*' limit 1) t
  left join (select w.region_id, part.loaner_family as family, count(*) as units
               from loaner_unit u
               join part on part.id = u.part_id
               join warehouse w on w.id = u.held_by
              where u.state in ('in-service', 'in-repair', 'in-transit')
                and not exists (select 1 from lot where lot.warehouse_id = u.held_by and lot.id = u.lot_id and lot.exhausted)
              group by w.region_id, part.loaner_family) fleet on fleet.region_id = b.region_id and fleet.family = b.family;
`

// Whoever is to take units in lists them.
const ON_THE_WAY = 'create index loaner_unit_on_its_way on loaner_unit (moving_to) where moving_to is not null'

const RECEIPT_KEY = `
-- What is printed once is typed in many ways: in either case, with blanks, in the wide letters of a Chinese keyboard.
create function receipt_key(p_number text) returns text language sql immutable strict parallel safe
  return upper(regexp_replace(normalize(p_number, nfkc), '\\s', '', 'g'));
`

// Loans that were made before may share a receipt, and are left as they are: the first of them has the number.
export const RECEIPTS = `
alter table loan add column shares_receipt boolean not null default false;
update loan l set shares_receipt = true
 where l.state <> 'cancelled'
   and exists (select 1 from loan first
                where first.warehouse_id = l.warehouse_id and receipt_key(first.receipt_number) = receipt_key(l.receipt_number) and first.state <> 'cancelled' and first.id < l.id);
create unique index loan_receipt_of_one_loan on loan (warehouse_id, receipt_key(receipt_number)) where state <> 'cancelled' and not shares_receipt;
`
