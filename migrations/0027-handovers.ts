import { Migration } from '@mikro-orm/migrations'

/**
 * Handover of a warehouse from keeper to keeper (工作移交, R-ORG-3): the document with what it froze, the instant from which the outgoing
 * keeper can act no more, and the gate that keeps a keeper from leaving goods to nobody.
 */
export class Handovers extends Migration {
  override up(): void {
    this.addSql(DOCUMENTS)
    this.addSql(CUT_OFF)
    this.addSql(LOCK)
    this.addSql(GATE)
  }
}

const DOCUMENTS = `
create table handover (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  state text not null default 'draft',
  version int not null default 1,
  outgoing_id int not null references person (id),
  incoming_id int not null references person (id),
  because text not null,
  -- Why the outgoing keeper does not sign: gone, or ill. The department head drew it up then.
  absent_because text,
  drawn_up_by int not null references person (id),
  drawn_up_at timestamptz not null,
  -- [{"name": "仓库大门", "count": 2, "note": "…"}]
  keys jsonb not null default '[]',
  notes text,
  -- A supervised count that was opened after the draft and is approved.
  count_id bigint,
  -- Movements of the balances with an id up to here are in the snapshot, later ones are not.
  snapshot_position bigint not null default 0,
  snapshot_at timestamptz not null,
  submitted_by int references person (id),
  submitted_at timestamptz,
  -- SHA-256 of what was submitted; signing computes it anew from the rows and compares.
  content_hash text,
  refusal jsonb,
  -- Movements up to here are the outgoing keeper's, later ones the incoming keeper's.
  cut_off_position bigint,
  cut_off_at timestamptz,
  -- The grants of the outgoing keeper that it ended, and the one with which the incoming keeper began; null if it was held already.
  ended_grants int[] not null default '{}',
  begun_grant int references duty_assignment (id),
  cancelled_by int references person (id),
  cancelled_at timestamptz,
  cancelled_because text,
  constraint handover_pkey primary key (warehouse_id, id),
  constraint handover_number_unique unique (warehouse_id, number),
  constraint handover_count_fkey foreign key (warehouse_id, count_id) references stock_count (warehouse_id, id),
  constraint handover_to_oneself check (outgoing_id <> incoming_id),
  constraint handover_state_known check (state in ('draft', 'awaiting-signatures', 'completed', 'cancelled')),
  constraint handover_submitted_has_content check (state not in ('awaiting-signatures', 'completed') or (submitted_at is not null and submitted_by is not null and content_hash is not null)),
  constraint handover_completed_has_a_cut_off check ((state = 'completed') = (cut_off_at is not null) and (cut_off_at is null) = (cut_off_position is null)),
  constraint handover_cancelled_says_why check ((state = 'cancelled') = (cancelled_at is not null) and (cancelled_at is null) = (cancelled_because is null))
);
create unique index handover_one_open_per_keeper on handover (warehouse_id, outgoing_id) where state in ('draft', 'awaiting-signatures');
create index handover_newest_of_all on handover (id desc);
create index handover_by_state on handover (state, warehouse_id);
create index handover_by_outgoing on handover (outgoing_id, warehouse_id);
create index handover_by_incoming on handover (incoming_id, warehouse_id);

-- What the ledger held at the position of the snapshot.
create table handover_balance (
  warehouse_id int not null,
  handover_id bigint not null,
  -- Copied from the balance, which refers to it.
  part_id int not null,
  ownership text not null,
  condition text not null,
  part_number text not null,
  on_hand numeric(15,3) not null,
  reserved numeric(15,3) not null,
  blocked numeric(15,3) not null,
  -- Of what is on hand, at the cost of its lots.
  cost numeric(18,2) not null,
  constraint handover_balance_pkey primary key (warehouse_id, handover_id, part_id, ownership, condition),
  constraint handover_balance_handover_fkey foreign key (warehouse_id, handover_id) references handover (warehouse_id, id)
);

-- Papers and things that were open then: what the incoming keeper takes over.
create table handover_open (
  warehouse_id int not null,
  handover_id bigint not null,
  line_no int not null,
  kind text not null,
  -- The number of the paper, or the serial of the unit or tool.
  reference text not null,
  details jsonb not null,
  constraint handover_open_pkey primary key (warehouse_id, handover_id, line_no),
  constraint handover_open_handover_fkey foreign key (warehouse_id, handover_id) references handover (warehouse_id, id),
  constraint handover_open_kind_known check (kind in ('slip', 'late-signature', 'count', 'transfer', 'request', 'loan', 'loaner-reserved', 'tool', 'tool-document'))
);

-- What took effect, or was dropped, is never written again.
create function handover_refuse_change() returns trigger language plpgsql as $$
begin
  if old.state in ('completed', 'cancelled') then
    raise exception 'a handover that is % is never changed', old.state using errcode = 'BC042';
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger handover_is_final before update or delete on handover for each row execute function handover_refuse_change();

-- A statement at a time: a warehouse has a hundred thousand balances, and they are frozen anew while postings wait.
create function handover_refuse_change_of_lines() returns trigger language plpgsql as $$
begin
  if exists (select 1 from (select distinct warehouse_id, handover_id from was) w join handover h on h.warehouse_id = w.warehouse_id and h.id = w.handover_id
              where h.state in ('completed', 'cancelled')) then
    raise exception 'what a handover froze is never changed' using errcode = 'BC042';
  end if;
  return null;
end $$;
create trigger handover_balance_stays after update on handover_balance referencing old table as was
  for each statement execute function handover_refuse_change_of_lines();
create trigger handover_balance_is_kept after delete on handover_balance referencing old table as was
  for each statement execute function handover_refuse_change_of_lines();
-- Nothing is added to it either.
create trigger handover_balance_is_closed after insert on handover_balance referencing new table as was
  for each statement execute function handover_refuse_change_of_lines();
create trigger handover_open_is_closed after insert on handover_open referencing new table as was
  for each statement execute function handover_refuse_change_of_lines();
create trigger handover_open_stays after update on handover_open referencing old table as was
  for each statement execute function handover_refuse_change_of_lines();
create trigger handover_open_is_kept after delete on handover_open referencing old table as was
  for each statement execute function handover_refuse_change_of_lines();
`

const CUT_OFF = `
-- Since when somebody is no longer keeper of a warehouse because it was handed over: the outgoing keeper, and who stood in for them.
create table keeper_cut_off (
  warehouse_id int not null references warehouse (id),
  person_id int not null references person (id),
  handover_id bigint not null,
  cut_off_at timestamptz not null,
  -- The same as a day of the business calendar, in which duties are held.
  cut_off_on date not null,
  constraint keeper_cut_off_pkey primary key (warehouse_id, person_id),
  constraint keeper_cut_off_handover_fkey foreign key (warehouse_id, handover_id) references handover (warehouse_id, id)
);

-- Duties are cached by each process for some seconds, and a write may wait for a lock. So whoever writes in a warehouse shares a lock that
-- the last signature of a handover takes alone: what began before is waited for and lies before the cut-off, what comes later sees it here
-- and is refused. It looks back half a minute, three times what a cache may be old; from then on the service itself refuses.
-- Slips are the keeper's alone; of another paper it is not known by which duty it was written, so any duty there will do. Whoever never was keeper,
-- nor stood in for anybody, cannot be cut off and takes no lock for it: head office writes papers of thousands of warehouses at once.
create function require_acting_keeper(p_warehouse int, p_person int, p_at timestamptz, p_keepers_alone boolean) returns void language plpgsql as $$
declare
  v_cut keeper_cut_off;
begin
  if not p_keepers_alone and not exists (select 1 from duty_assignment where person_id = p_person and duty = 'keeper')
     and not exists (select 1 from delegation where to_person_id = p_person)
  then
    return;
  end if;
  perform pg_advisory_xact_lock_shared(7305027, p_warehouse);
  select * into v_cut from keeper_cut_off where warehouse_id = p_warehouse and person_id = p_person and p_at < cut_off_at + interval '30 seconds';
  if not found then return; end if;
  if not exists (
    select 1
      from duty_assignment g join warehouse w on w.id = p_warehouse
     where (g.duty = 'keeper' or not p_keepers_alone) and g.ended_at is null and (g.valid_to is null or g.valid_to >= v_cut.cut_off_on)
       and case when g.warehouse_id is not null then g.warehouse_id = w.id when g.region_id is not null then g.region_id = w.region_id else true end
       and (g.person_id = p_person or exists (
             select 1 from delegation d where d.from_person_id = g.person_id and d.to_person_id = p_person and d.ended_at is null
                and (d.duty is null or d.duty = g.duty) and d.valid_to >= v_cut.cut_off_on)))
  then
    raise exception 'you are no longer keeper of %: it was handed over by % at %; the incoming keeper goes on', (select code from warehouse where id = p_warehouse),
      (select number from handover where warehouse_id = p_warehouse and id = v_cut.handover_id), to_char(v_cut.cut_off_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
      using errcode = 'BC041';
  end if;
end $$;

create function slip_requires_acting_keeper() returns trigger language plpgsql as $$
begin
  perform require_acting_keeper(new.warehouse_id, coalesce(new.posted_by, new.preparers[cardinality(new.preparers)]), coalesce(new.posted_at, new.prepared_at), true);
  return new;
end $$;
create trigger slip_by_an_acting_keeper before insert on slip for each row execute function slip_requires_acting_keeper();
-- Before the posting takes its balances and draws its movements: so the position that a cut-off reads is exact.
create trigger slip_posted_by_an_acting_keeper before update of state on slip
  for each row when (new.state = 'posted' and old.state <> 'posted') execute function slip_requires_acting_keeper();

create function document_event_requires_acting_keeper() returns trigger language plpgsql as $$
begin
  perform require_acting_keeper(new.warehouse_id, new.person_id, new.occurred_at, false);
  return null;
end $$;
-- The person 0 is the service itself: jobs write in many warehouses at once and are nobody's duty.
create trigger document_event_by_who_may_act after insert on document_event
  for each row when (new.person_id <> 0) execute function document_event_requires_acting_keeper();
`

// Who is keeper of goods cannot be deactivated before they are handed over; an account in the wrong hands cannot wait for that.
const LOCK = `
alter table person
  -- Since when every sign-in, token and key of the person is refused. Duties go on: what was theirs to answer for still is.
  add column locked_at timestamptz,
  add column locked_because text,
  add constraint person_locked_says_why check ((locked_at is null) = (locked_because is null));
`

const GATE = `
-- Today in the business calendar, as the service says it within its transaction.
create function business_today() returns date language sql stable as $$
  select coalesce(nullif(current_setting('bincard.today', true), '')::date, (now() at time zone 'Asia/Shanghai')::date)
$$;

-- Whether a warehouse has somebody of their own right who is keeper of it on a day and can act, besides one person.
create function has_other_keeper(p_warehouse int, p_person int, p_day date) returns boolean language sql stable as $$
  select exists (
    select 1
      from (select g.* from duty_assignment g where g.duty = 'keeper' and g.warehouse_id = p_warehouse
             union all
            select g.* from duty_assignment g join warehouse w on w.region_id = g.region_id where g.duty = 'keeper' and w.id = p_warehouse
             union all
            select g.* from duty_assignment g where g.duty = 'keeper' and g.warehouse_id is null and g.region_id is null) g
      join person on person.id = g.person_id and person.active and person.locked_at is null
     where g.person_id <> p_person and g.ended_at is null and g.valid_from <= p_day and (g.valid_to is null or g.valid_to >= p_day))
$$;

-- Whether somebody wrote or posted slips, counted or ordered transfers in a warehouse since then.
create function acted_as_keeper(p_warehouse int, p_person int, p_since timestamptz) returns boolean language sql stable as $$
  select exists (select 1 from slip where warehouse_id = p_warehouse and p_person = any (preparers) and prepared_at >= p_since)
      or exists (select 1 from slip where warehouse_id = p_warehouse and posted_by = p_person and posted_at >= p_since)
      or exists (select 1 from stock_count where warehouse_id = p_warehouse and opened_by = p_person and opened_at >= p_since)
      or exists (select 1 from count_entry where warehouse_id = p_warehouse and counted_by = p_person and counted_at >= p_since)
      or exists (select 1 from transfer where warehouse_id = p_warehouse and ordered_by = p_person and ordered_at >= p_since)
$$;

-- The warehouses that a keeper would leave without handing them over: goods or tools are kept there, units are lent or slips are open, no other duty of the same person
-- goes on there, no completed handover ended this one, and it is no duty that was given by mistake, which is one that was never used
-- while another keeper is there.
-- p_grant: the duty that ends; null if the person leaves altogether. p_day: the first day without it.
create function posts_left_open(p_person int, p_grant int, p_day date) returns table (warehouse text, stock boolean, slips int, loans int, tools int, handover text) language sql stable as $$
  select w.code, s.has_stock, s.slips, s.loans, s.tools,
         (select number from handover where warehouse_id = w.id and outgoing_id = p_person and state in ('draft', 'awaiting-signatures'))
    from warehouse w
   cross join lateral (
     select exists (select 1 from balance where warehouse_id = w.id and on_hand > 0) as has_stock,
            (select count(*)::int from slip where warehouse_id = w.id and state in ('draft', 'awaiting-signatures', 'approved', 'refused')) as slips,
            (select count(*)::int from loan where warehouse_id = w.id and state = 'out') as loans,
            (select count(*)::int from tool where warehouse_id = w.id and state in ('shelf', 'custody')) as tools
      where exists (select 1 from duty_assignment g
                     where g.person_id = p_person and g.duty = 'keeper' and g.ended_at is null and (p_grant is null or g.id = p_grant)
                       and g.valid_from <= business_today() and (g.valid_to is null or g.valid_to >= business_today())
                       and case when g.warehouse_id is not null then g.warehouse_id = w.id when g.region_id is not null then g.region_id = w.region_id else true end
                       and not exists (select 1 from handover h where h.warehouse_id = w.id and h.state = 'completed' and g.id = any (h.ended_grants))
                       and not (has_other_keeper(w.id, p_person, p_day) and not acted_as_keeper(w.id, p_person, greatest(
                             (g.valid_from - 1)::timestamptz,
                             (select max(cut_off_at) from handover h where h.warehouse_id = w.id and h.outgoing_id = p_person and h.state = 'completed')))))
        and not (p_grant is not null and exists (
              select 1 from duty_assignment kept
               where kept.person_id = p_person and kept.duty = 'keeper' and kept.id <> p_grant and kept.ended_at is null
                 and kept.valid_from <= p_day and (kept.valid_to is null or kept.valid_to >= p_day)
                 and case when kept.warehouse_id is not null then kept.warehouse_id = w.id when kept.region_id is not null then kept.region_id = w.region_id else true end))
   ) s
   where s.has_stock or s.slips > 0 or s.loans > 0 or s.tools > 0
   order by w.code
$$;

create function require_handed_over(p_person int, p_grant int, p_day date) returns void language plpgsql as $$
declare
  v_open jsonb;
  v_names text;
  v_count int;
begin
  -- Two keepers who leave at once queue: the second sees that nobody would be left.
  perform pg_advisory_xact_lock(7305028);
  select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('warehouse', warehouse, 'hasStock', stock, 'openSlips', slips, 'loansOut', loans, 'tools', tools, 'handover', handover)) order by warehouse)
           filter (where nth <= 100),
         string_agg(warehouse, ', ' order by warehouse) filter (where nth <= 5), count(*)
    into v_open, v_names, v_count
    from (select *, row_number() over (order by warehouse) as nth from posts_left_open(p_person, p_grant, p_day)) o;
  if v_open is null then return; end if;
  raise exception '% is keeper of %, where goods or tools are kept, units are lent or slips are open; draw up a handover of each warehouse and have it signed, which ends the duty; one that was never used ends once another keeper is appointed',
    (select username from person where id = p_person), v_names || case when v_count > 5 then ' and ' || v_count - 5 || ' more' else '' end
    using errcode = 'BC040', detail = jsonb_build_object('code', 'HandoverMissing', 'open', v_open)::text;
end $$;

create function duty_assignment_requires_handover() returns trigger language plpgsql as $$
begin
  perform require_handed_over(old.person_id, old.id, case when new.ended_at is not null then business_today() else new.valid_to + 1 end);
  return new;
end $$;
create trigger duty_assignment_keeper_hands_over before update of ended_at, valid_to on duty_assignment
  for each row when (old.duty = 'keeper' and old.ended_at is null and (new.ended_at is not null or new.valid_to < coalesce(old.valid_to, 'infinity')))
  execute function duty_assignment_requires_handover();

-- A duty for a region does not follow a warehouse into another one.
create function warehouse_keeps_a_keeper() returns trigger language plpgsql as $$
begin
  if not exists (select 1 from balance where warehouse_id = new.id and on_hand > 0) then return null; end if;
  perform pg_advisory_xact_lock(7305028);
  if has_other_keeper(new.id, 0, business_today())
     or not exists (select 1 from duty_assignment g join person on person.id = g.person_id and person.active
                     where g.duty = 'keeper' and g.region_id = old.region_id and g.ended_at is null
                       and g.valid_from <= business_today() and (g.valid_to is null or g.valid_to >= business_today()))
  then
    return null;
  end if;
  raise exception 'goods lie in % and nobody would be keeper of it in region %: its keepers are keepers of region %; appoint a keeper of the warehouse itself, or of the new region, first',
    new.code, (select code from region where id = new.region_id), (select code from region where id = old.region_id)
    using errcode = 'BC040', detail = jsonb_build_object('code', 'KeeperMissing', 'open', jsonb_build_array(jsonb_build_object('warehouse', new.code)))::text;
end $$;
create trigger warehouse_moves_with_a_keeper after update of region_id on warehouse
  for each row when (old.region_id <> new.region_id) execute function warehouse_keeps_a_keeper();

create function person_requires_handover() returns trigger language plpgsql as $$
begin
  perform require_handed_over(old.id, null, business_today());
  return new;
end $$;
create trigger person_keeper_hands_over before update of active on person
  for each row when (old.active and not new.active) execute function person_requires_handover();
`
