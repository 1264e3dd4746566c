import { Migration } from '@mikro-orm/migrations'

/**
 * Handover of a warehouse from keeper to keeper (工作移交, R-ORG-3): the document with what it froze, the instant from which the outgoing
 * keeper can act no more, and the gates that keep a keeper from leaving goods to nobody: a warehouse changes hands by a handover only, also
 * when it is moved to another region. In which region it was when is kept: a keeper by a region answers for it while it was there (R-ORG-1).
 */
export class Handovers extends Migration {
  override up(): void {
    this.addSql(DOCUMENTS)
    this.addSql(CUT_OFF)
    this.addSql(LOCK)
    this.addSql(REGIONS)
    this.addSql(KEEPERS)
    this.addSql(GATE)
    this.addSql(MOVES)
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

const REGIONS = `
-- Today in the business calendar, as the service says it within its transaction.
create function business_today() returns date language sql stable as $$
  select coalesce(nullif(current_setting('bincard.today', true), '')::date, (now() at time zone 'Asia/Shanghai')::date)
$$;

-- In which region a warehouse was when, also after it was moved.
create table warehouse_in_region (
  warehouse_id int not null references warehouse (id),
  id bigint generated always as identity,
  region_id int not null references region (id),
  -- The day of a move belongs to both. The first region has no beginning, the present one no end.
  from_on date,
  to_on date,
  constraint warehouse_in_region_pkey primary key (warehouse_id, id),
  constraint warehouse_in_region_in_order check (from_on <= to_on)
);
create unique index warehouse_in_region_present on warehouse_in_region (warehouse_id) where to_on is null;
insert into warehouse_in_region (warehouse_id, region_id) select id, region_id from warehouse;

create function warehouse_notes_region() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    update warehouse_in_region set to_on = greatest(from_on, business_today()) where warehouse_id = new.id and to_on is null;
  end if;
  insert into warehouse_in_region (warehouse_id, region_id, from_on)
  select new.id, new.region_id, max(to_on) from warehouse_in_region where warehouse_id = new.id;
  return null;
end $$;
create trigger warehouse_notes_first_region after insert on warehouse for each row execute function warehouse_notes_region();
create trigger warehouse_notes_next_region after update of region_id on warehouse
  for each row when (new.region_id <> old.region_id) execute function warehouse_notes_region();
`

const KEEPERS = `
-- Whether somebody took a warehouse over, wrote or posted slips or papers of tools, counted or ordered transfers there since then: who took it over
-- answers for it before they first write anything.
create function acted_as_keeper(p_warehouse int, p_person int, p_since timestamptz) returns boolean language sql stable as $$
  select exists (select 1 from handover where warehouse_id = p_warehouse and incoming_id = p_person and state = 'completed' and cut_off_at > p_since)
      or exists (select 1 from slip where warehouse_id = p_warehouse and p_person = any (preparers) and prepared_at >= p_since)
      or exists (select 1 from slip where warehouse_id = p_warehouse and posted_by = p_person and posted_at >= p_since)
      or exists (select 1 from stock_count where warehouse_id = p_warehouse and opened_by = p_person and opened_at >= p_since)
      or exists (select 1 from count_entry where warehouse_id = p_warehouse and counted_by = p_person and counted_at >= p_since)
      or exists (select 1 from transfer where warehouse_id = p_warehouse and ordered_by = p_person and ordered_at >= p_since)
      or exists (select 1 from tool where warehouse_id = p_warehouse and registered_by = p_person and registered_at >= p_since)
      -- As who gives tools out or takes them in, not as the technician who has them.
      or exists (select 1 from tool_document where warehouse_id = p_warehouse and prepared_by = p_person and prepared_at >= p_since
                    and case kind when 'issue' then taker_id <> p_person when 'return' then giver_id <> p_person when 'transfer' then true end)
      or exists (select 1 from tool_document where taker_id = p_person and settled_by = p_person and settled_at >= p_since
                    and case kind when 'return' then warehouse_id = p_warehouse when 'transfer' then to_warehouse_id = p_warehouse end)
$$;

-- Whether somebody's post of keeper was used in a warehouse, by themselves or by who stood in for them, since they took up the duty that they hold from a
-- day on, and since they last handed the warehouse over. Given the duty anew for another place without a day between, they are in the same post: else
-- two grants one after the other would make an old keeper one who never acted.
create function used_as_keeper(p_warehouse int, p_person int, p_from date) returns boolean language sql stable as $$
  with recursive held (day) as (
    select p_from
     union
    select g.valid_from
      from held
      join duty_assignment g on g.person_id = p_person and g.duty = 'keeper' and g.valid_from < held.day
       -- In no time zone is it a later day than the next one of UTC.
       and coalesce(least(g.valid_to, (g.ended_at at time zone 'UTC')::date + 1), 'infinity') >= held.day - 1
  ), since (at) as materialized (
    select greatest((min(day) - 1)::timestamptz,
             (select max(cut_off_at) from handover where warehouse_id = p_warehouse and outgoing_id = p_person and state = 'completed'))
      from held
  )
  select acted_as_keeper(p_warehouse, p_person, since.at)
      or exists (select 1 from delegation d
                  where d.from_person_id = p_person and (d.duty is null or d.duty = 'keeper') and d.valid_to >= since.at::date
                    -- Who is keeper there as well acts by that.
                    and not exists (select 1 from duty_assignment own join warehouse w on w.id = p_warehouse
                                     where own.person_id = d.to_person_id and own.duty = 'keeper'
                                       and case when own.warehouse_id is not null then own.warehouse_id = w.id when own.region_id is not null then own.region_id = w.region_id else true end)
                    and acted_as_keeper(p_warehouse, d.to_person_id, greatest(since.at, d.delegated_at)))
    from since
$$;

-- The first day of a stretch on which nobody would be keeper of a warehouse in their own right and could act, if it lies in a region; null if
-- somebody is on each day. A stretch without p_until has no end.
-- p_person is left out: altogether, or with p_grant only by that duty.
create function keeper_missing_from(p_warehouse int, p_region int, p_from date, p_until date, p_person int, p_grant int) returns date language sql stable as $$
  with other as materialized (
    select g.valid_from, g.valid_to
      from (select * from duty_assignment where duty = 'keeper' and warehouse_id = p_warehouse
             union all
            select * from duty_assignment where duty = 'keeper' and region_id = p_region
             union all
            select * from duty_assignment where duty = 'keeper' and warehouse_id is null and region_id is null) g
      join person on person.id = g.person_id and person.active and person.locked_at is null
     where g.ended_at is null and (g.valid_to is null or g.valid_to >= p_from)
       and case when p_grant is not null then g.id <> p_grant else g.person_id is distinct from p_person end
  )
  -- It can only be the first one, or one after somebody's last.
  select min(day)
    from (select p_from as day
           union all
          select valid_to + 1 from other where p_until is null or valid_to < p_until) ahead
   where not exists (select from other where valid_from <= day and (valid_to is null or valid_to >= day))
$$;

-- The grants by which people are keepers of a warehouse in their own right on a day, if it lies in a region. Locked people are among them: they
-- cannot act, and what is theirs to answer for still is.
create function keeper_grants(p_warehouse int, p_region int, p_day date) returns setof duty_assignment language sql stable as $$
  select g.*
    from (select * from duty_assignment where duty = 'keeper' and warehouse_id = p_warehouse
           union all
          select * from duty_assignment where duty = 'keeper' and region_id = p_region
           union all
          select * from duty_assignment where duty = 'keeper' and warehouse_id is null and region_id is null) g
    join person on person.id = g.person_id and person.active
   where g.ended_at is null and g.valid_from <= p_day and (g.valid_to is null or g.valid_to >= p_day)
$$;
`

const GATE = `
-- The warehouses that a keeper would leave without handing them over: goods or tools are kept there, units are lent or slips are open, no other duty of
-- the same person goes on there for as long as this one would, no completed handover ended this one, and it is no duty that was given by mistake. That is
-- one that was never used, be it under an earlier grant or by who stood in, while another keeper is there on each day that it would have lasted, not only on
-- the first: one who is keeper for some days goes by themselves. A duty that is yet to begin counts too: the one before may have ended because of it.
-- p_grant: the duty that ends; null if the person leaves altogether. p_day: the first day without it.
create function posts_left_open(p_person int, p_grant int, p_day date)
  returns table (warehouse text, stock boolean, slips int, loans int, tools int, handover text, missing_from date) language sql stable as $$
  select w.code, s.has_stock, s.slips, s.loans, s.tools,
         (select number from handover where warehouse_id = w.id and outgoing_id = p_person and state in ('draft', 'awaiting-signatures')), s.missing_from
    from warehouse w
   cross join lateral (
     select exists (select 1 from balance where warehouse_id = w.id and on_hand > 0) as has_stock,
            (select count(*)::int from slip where warehouse_id = w.id and state in ('draft', 'awaiting-signatures', 'approved', 'refused')) as slips,
            (select count(*)::int from loan where warehouse_id = w.id and state = 'out') as loans,
            (select count(*)::int from tool where warehouse_id = w.id and state in ('shelf', 'custody')) as tools,
            min(post.missing_from) as missing_from
       from (select lack.missing_from
               from duty_assignment g
              cross join lateral (select keeper_missing_from(w.id, w.region_id, greatest(p_day, g.valid_from), g.valid_to, p_person, p_grant) as missing_from) lack
              where g.person_id = p_person and g.duty = 'keeper' and g.ended_at is null and (p_grant is null or g.id = p_grant)
                and (g.valid_to is null or g.valid_to >= business_today())
                and case when g.warehouse_id is not null then g.warehouse_id = w.id when g.region_id is not null then g.region_id = w.region_id else true end
                and not exists (select 1 from handover h where h.warehouse_id = w.id and h.state = 'completed' and g.id = any (h.ended_grants))
                and (lack.missing_from is not null
                     -- One that is yet to begin goes on with the post where the duty of today was shortened because of it.
                     or ((g.valid_from <= business_today() or exists (
                            select 1 from duty_assignment now
                             where now.person_id = p_person and now.duty = 'keeper' and now.id <> g.id and now.ended_at is null
                               and now.valid_from <= business_today() and now.valid_to >= business_today() and now.valid_to >= g.valid_from - 1
                               and case when now.warehouse_id is not null then now.warehouse_id = w.id when now.region_id is not null then now.region_id = w.region_id else true end))
                         and used_as_keeper(w.id, p_person, g.valid_from)))) post
     having count(*) > 0
        and not (p_grant is not null and exists (
              select 1 from duty_assignment kept
               where kept.person_id = p_person and kept.duty = 'keeper' and kept.id <> p_grant and kept.ended_at is null
                 and kept.valid_from <= greatest(p_day, (select valid_from from duty_assignment where id = p_grant))
                 and (kept.valid_to is null or (kept.valid_to >= p_day and kept.valid_to >= (select valid_to from duty_assignment where id = p_grant)))
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
  v_missing date;
  v_username text := (select username from person where id = p_person);
  v_begins date := (select valid_from from duty_assignment where id = p_grant and valid_from > business_today());
  v_reason constant text := 'where goods or tools are kept, units are lent or slips are open';
begin
  -- Two keepers who leave at once queue: the second sees that nobody would be left.
  perform pg_advisory_xact_lock(7305028);
  select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('warehouse', warehouse, 'hasStock', stock, 'openSlips', slips, 'loansOut', loans, 'tools', tools,
           'withoutKeeperFrom', missing_from, 'handover', handover)) order by warehouse)
           filter (where nth <= 100),
         string_agg(warehouse, ', ' order by warehouse) filter (where nth <= 5), count(*), min(missing_from)
    into v_open, v_names, v_count, v_missing
    from (select *, row_number() over (order by warehouse) as nth from posts_left_open(p_person, p_grant, p_day)) o;
  if v_open is null then return; end if;
  v_names := v_names || case when v_count > 5 then ' and ' || v_count - 5 || ' more' else '' end;
  if v_begins is not null and v_missing is not null then
    raise exception '% is to be keeper of % from % on, %, and nobody else would be on %; appoint another keeper for as long as that duty lasts, and it ends then',
      v_username, v_names, v_begins, v_reason, v_missing
      using errcode = 'BC040', detail = jsonb_build_object('code', 'HandoverMissing', 'open', v_open)::text;
  end if;
  raise exception '% is keeper of %, %; draw up a handover of each warehouse and have it signed, which ends the duty; one that was never used ends once another keeper is appointed for as long as it lasts',
    v_username, v_names, v_reason
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

create function person_requires_handover() returns trigger language plpgsql as $$
begin
  perform require_handed_over(old.id, null, business_today());
  return new;
end $$;
create trigger person_keeper_hands_over before update of active on person
  for each row when (old.active and not new.active) execute function person_requires_handover();
`

const MOVES = `
-- What keeps a warehouse from changing regions on a day: something is kept or open there, as when a duty ends, and
-- * on some day that a duty for the region it leaves would have lasted, be it one that is yet to begin, nobody would be keeper of it, or
-- * a keeper by the region it leaves would not be keeper any more, or not for as long. Such a keeper is left behind all the same if they never used the duty there, or
--   not since they handed the warehouse over, and somebody who is keeper before the move is so after it: then nothing changes hands.
-- No rows: it may be moved. The code and text are those of the refusal.
create function warehouse_move_fault(p_warehouse int, p_from int, p_to int, p_day date) returns table (code text, message text, open jsonb) language plpgsql stable as $$
declare
  v_code text;
  v_from text;
  v_to text;
  v_kept jsonb;
  v_stay int[];
  v_left text[];
  v_missing date;
  v_reason constant text := 'goods or tools are kept there, units are lent or slips are open';
begin
  select jsonb_build_object('warehouse', w.code, 'hasStock', k.has_stock, 'openSlips', k.slips, 'loansOut', k.loans, 'tools', k.tools),
         w.code, (select r.code from region r where r.id = p_from), (select r.code from region r where r.id = p_to)
    into v_kept, v_code, v_from, v_to
    from warehouse w
   cross join lateral (
     select exists (select 1 from balance b where b.warehouse_id = w.id and b.on_hand > 0) as has_stock,
            (select count(*) from slip s where s.warehouse_id = w.id and s.state in ('draft', 'awaiting-signatures', 'approved', 'refused')) as slips,
            (select count(*) from loan l where l.warehouse_id = w.id and l.state = 'out') as loans,
            (select count(*) from tool t where t.warehouse_id = w.id and t.state in ('shelf', 'custody')) as tools) k
   where w.id = p_warehouse and (k.has_stock or k.slips > 0 or k.loans > 0 or k.tools > 0);
  if v_kept is null then return; end if;

  select min(keeper_missing_from(p_warehouse, p_to, greatest(p_day, g.valid_from), g.valid_to, null, null)) into v_missing
    from duty_assignment g
    join person on person.id = g.person_id and person.active
   where g.duty = 'keeper' and g.region_id = p_from and g.ended_at is null and (g.valid_to is null or g.valid_to >= p_day);
  if v_missing is not null then
    return query select 'KeeperMissing',
      format('%s would have no keeper in region %s%s: its keepers are keepers of region %s, and %s; give its keeper the duty for the warehouse itself first, and move it then',
             v_code, v_to, case when v_missing > p_day then format(' from %s on', v_missing) end, v_from, v_reason),
      jsonb_build_array(v_kept || case when v_missing > p_day then jsonb_build_object('withoutKeeperFrom', v_missing) else '{}' end);
    return;
  end if;

  v_stay := array(select g.person_id from keeper_grants(p_warehouse, p_to, p_day) g);
  select array_agg(distinct person.username order by person.username) into v_left
    from keeper_grants(p_warehouse, p_from, p_day) g
    join person on person.id = g.person_id
   where g.region_id = p_from
     and not exists (select 1 from keeper_grants(p_warehouse, p_to, p_day) kept
                      where kept.person_id = g.person_id and (kept.valid_to is null or kept.valid_to >= g.valid_to))
     and (used_as_keeper(p_warehouse, g.person_id, g.valid_from)
          or not exists (select 1 from keeper_grants(p_warehouse, p_from, p_day) other join person goes_on on goes_on.id = other.person_id and goes_on.locked_at is null
                          where other.person_id = any (v_stay)));
  if v_left is null then return; end if;
  return query select 'HandoverMissing',
    format('%s is keeper of %s by region %s and would not stay so in region %s, and %s; give %s the duty for the warehouse itself, without an earlier end, and move it then; whoever is to leave it hands it over by a handover of %s',
           array_to_string(v_left[1:5], ', ') || case when cardinality(v_left) > 5 then format(' and %s more', cardinality(v_left) - 5) else '' end,
           v_code, v_from, v_to, v_reason, case when cardinality(v_left) = 1 then 'the keeper' else 'each of them' end, v_code),
    (select jsonb_agg(jsonb_strip_nulls(v_kept || jsonb_build_object('keeper', l.username, 'handover',
              (select h.number from handover h join person on person.id = h.outgoing_id and person.username = l.username
                where h.warehouse_id = p_warehouse and h.state in ('draft', 'awaiting-signatures')))) order by l.username)
       from unnest(v_left[1:100]) as l (username));
end $$;

-- A duty for a region does not follow a warehouse into another one.
create function warehouse_keeps_a_keeper() returns trigger language plpgsql as $$
declare
  v_fault record;
begin
  -- Whoever ends a duty or takes a warehouse over at this moment is waited for, and looked at afterwards.
  perform pg_advisory_xact_lock(7305028);
  select * into v_fault from warehouse_move_fault(new.id, old.region_id, new.region_id, business_today());
  if found then
    raise exception '%', v_fault.message using errcode = 'BC040', detail = jsonb_build_object('code', v_fault.code, 'open', v_fault.open)::text;
  end if;
  return null;
end $$;
create trigger warehouse_moves_with_a_keeper after update of region_id on warehouse
  for each row when (old.region_id <> new.region_id) execute function warehouse_keeps_a_keeper();
`
