import { Migration } from '@mikro-orm/migrations'

/**
 * A warehouse changes hands by a handover only, also when it is moved to another region (R-ORG-3), and alerts that name people: whoever is to sign
 * a handover may hold no duty where it is (R-ALR-1).
 */
export class DutyChanges extends Migration {
  override up(): void {
    this.addSql(TAKEN_OVER)
    this.addSql(LEAVING)
    this.addSql(MOVES)
    this.addSql(NAMED)
  }
}

const TAKEN_OVER = `
-- Whether somebody took a warehouse over, wrote or posted slips or papers of tools, counted or ordered transfers there since then: who took it over
-- answers for it before they first write anything.
create or replace function acted_as_keeper(p_warehouse int, p_person int, p_since timestamptz) returns boolean language sql stable as $$
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
`

const LEAVING = `
-- As before, but the post counts as used by what was done in it under an earlier grant and by who stood in, another duty of the same person goes
-- on there only if it lasts as long as the one that ends, and that other one does not end either before it has begun.
create or replace function posts_left_open(p_person int, p_grant int, p_day date) returns table (warehouse text, stock boolean, slips int, loans int, tools int, handover text) language sql stable as $$
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
                       and (g.valid_to is null or g.valid_to >= business_today())
                       -- One that is yet to begin goes on with the post where the duty of today was shortened because of it.
                       and (g.valid_from <= business_today() or exists (
                             select 1 from duty_assignment now
                              where now.person_id = p_person and now.duty = 'keeper' and now.id <> g.id and now.ended_at is null
                                and now.valid_from <= business_today() and now.valid_to >= business_today() and now.valid_to >= g.valid_from - 1
                                and case when now.warehouse_id is not null then now.warehouse_id = w.id when now.region_id is not null then now.region_id = w.region_id else true end))
                       and case when g.warehouse_id is not null then g.warehouse_id = w.id when g.region_id is not null then g.region_id = w.region_id else true end
                       and not exists (select 1 from handover h where h.warehouse_id = w.id and h.state = 'completed' and g.id = any (h.ended_grants))
                       and not (has_other_keeper(w.id, p_person, greatest(p_day, g.valid_from)) and not used_as_keeper(w.id, p_person, g.valid_from)))
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
`

const MOVES = `
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

-- What keeps a warehouse from changing regions on a day: something is kept or open there, as when a duty ends, and
-- * nobody would be keeper of it, or
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
  if v_kept is null or not exists (select 1 from keeper_grants(p_warehouse, p_from, p_day) g where g.region_id = p_from) then return; end if;

  if not exists (select 1 from keeper_grants(p_warehouse, p_to, p_day) g join person on person.id = g.person_id and person.locked_at is null) then
    return query select 'KeeperMissing',
      format('%s would have no keeper in region %s: its keepers are keepers of region %s, and %s; give its keeper the duty for the warehouse itself first, and move it then',
             v_code, v_to, v_from, v_reason),
      jsonb_build_array(v_kept);
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
create or replace function warehouse_keeps_a_keeper() returns trigger language plpgsql as $$
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
`

const NAMED = `
-- Who is told besides the duties, because the cause names them: they see the alert whether or not they hold a duty in the warehouse.
alter table alert add column people int[] not null default '{}';
create index alert_by_people on alert using gin (people) where people <> '{}';

insert into alert_policy (kind, ladder, escalate_after_hours, mail) values
  ('handover-signer', '[["department-head"], ["stock-controller"]]', 72, 'immediately');
`
