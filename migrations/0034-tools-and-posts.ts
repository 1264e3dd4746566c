import { Migration } from '@mikro-orm/migrations'

/**
 * A tool that is found after its warehouse was closed goes to an open one (R-TOOL-2); a calibration that was entered wrongly is corrected, and both
 * entries stay; and nobody is the last keeper of goods and lets them go because somebody else is keeper for some days, or is yet to be (R-ORG-3).
 */
export class ToolsAndPosts extends Migration {
  override up(): void {
    this.addSql(FOUND_ELSEWHERE)
    this.addSql(CALIBRATIONS)
    this.addSql(POSTS)
    this.addSql(MOVES)
  }
}

const FOUND_ELSEWHERE = `
-- Where it was found, if its own warehouse was closed by then; whoever reads the register there reads the report.
alter table tool_loss
  add column found_in_id int references warehouse (id),
  add constraint tool_loss_found_elsewhere check (found_in_id is null or (state = 'found' and found_in_id <> warehouse_id));

alter table custody_entry
  drop constraint custody_entry_changes_owner_from_shelf_only,
  add constraint custody_entry_changes_owner_onto_a_shelf check (from_warehouse_id is null or from_warehouse_id = warehouse_id
    or (to_place = 'shelf' and ((kind = 'transferred' and from_place = 'shelf') or (kind = 'found' and from_place = 'lost'))));

-- A line stands in the books of warehouse_id; its report may be of another warehouse, whose books end with it.
alter table tool_compensation add column loss_warehouse_id int;
alter table tool_compensation disable trigger tool_compensation_append_only;
update tool_compensation set loss_warehouse_id = warehouse_id;
alter table tool_compensation enable trigger tool_compensation_append_only;
alter table tool_compensation
  alter column loss_warehouse_id set not null,
  drop constraint tool_compensation_loss_fkey,
  add constraint tool_compensation_loss_fkey foreign key (loss_warehouse_id, loss_id) references tool_loss (warehouse_id, id),
  add constraint tool_compensation_line_once unique (loss_id, line_no);
`

const CALIBRATIONS = `
-- A correction is an entry of its own, and the one that it corrects says so; what is not corrected holds.
alter table tool_calibration
  add column entry_no int,
  add column corrects int,
  add column corrected_by int references person (id),
  add column corrected_at timestamptz,
  add column corrected_because text,
  -- Of the first entry: what the tool went by until then, as it was registered.
  add column before_on date,
  add column before_due_on date;
update tool_calibration c set entry_no = n.entry_no
  from (select tool_id, calibrated_on, row_number() over (partition by tool_id order by recorded_at, calibrated_on) as entry_no from tool_calibration) n
 where n.tool_id = c.tool_id and n.calibrated_on = c.calibrated_on;
alter table tool_calibration
  alter column entry_no set not null,
  drop constraint tool_calibration_pkey,
  drop constraint tool_calibration_once_a_day,
  add constraint tool_calibration_pkey primary key (warehouse_id, tool_id, entry_no),
  add constraint tool_calibration_in_order unique (tool_id, entry_no),
  add constraint tool_calibration_corrects_an_earlier_one check (corrects < entry_no),
  add constraint tool_calibration_corrected_says_why check ((corrected_at is null) = (corrected_by is null) and (corrected_at is null) = (corrected_because is null));
create unique index tool_calibration_once_a_day on tool_calibration (tool_id, calibrated_on) where corrected_at is null;
`

const POSTS = `
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

-- As before, but another keeper has to be there on each day that the duty would have lasted, not only on the first: one who is keeper for some days
-- goes by themselves. And that holds of a duty that is yet to begin too: the one before may have ended because of it.
drop function posts_left_open(int, int, date);
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
drop function has_other_keeper(int, int, date);

create or replace function require_handed_over(p_person int, p_grant int, p_day date) returns void language plpgsql as $$
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
`

const MOVES = `
-- As before, but a keeper by the region that the warehouse leaves has to be followed for as long as that duty would have lasted, and one who is yet to
-- begin is followed as well.
create or replace function warehouse_move_fault(p_warehouse int, p_from int, p_to int, p_day date) returns table (code text, message text, open jsonb) language plpgsql stable as $$
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
`
