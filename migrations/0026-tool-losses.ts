import { Migration } from '@mikro-orm/migrations'

/**
 * What becomes of tools that are lost or damaged (R-TOOL-2, R-TOOL-4), the rounds in which technicians confirm what they hold, and the gate
 * that keeps a technician from leaving with tools (R-TOOL-3). Whoever reported a loss takes the report back while nobody has assessed or
 * signed it: nothing was decided then, and a round that waits for a report waits for another one.
 */
export class ToolLosses extends Migration {
  override up(): void {
    this.addSql(LOSSES)
    this.addSql(ROUNDS)
    this.addSql(GATE)
    this.addSql(PUBLISHED)
    this.addSql(SETTINGS)
  }
}

const LOSSES = `
create table tool_loss (
  -- The owner of the tool when it was reported.
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  tool_id bigint not null references tool (id),
  -- Whose custody it was in; nobody if it lay on the shelf.
  technician_id int references person (id),
  kind text not null,
  occurred_on date not null,
  cause text not null,
  normal_wear boolean not null,
  -- Of fixed assets: how it came about, at length (R-TOOL-4).
  reason_report text,
  outcome text not null,
  -- The net value on that day, with the steps that lead to it.
  value numeric(18,2) not null,
  method text not null,
  life_months int not null,
  residual_value numeric(18,2) not null,
  months_used int not null,
  net_value numeric(18,2) not null,
  compensation numeric(18,2) not null,
  compensation_reason text,
  state text not null default 'reported',
  reported_by int not null references person (id),
  reported_at timestamptz not null,
  decided_on date,
  -- What was decided of a repair that turned out not to be possible: the tool is reported again as one to be scrapped, or still repaired if
  -- that is refused.
  repair_decided_on date,
  repair_compensation numeric(18,2),
  repair_compensation_reason text,
  repair_normal_wear boolean,
  -- Why it was refused or taken back.
  reason text,
  ended_at timestamptz,
  -- Where it was found, if its own warehouse was closed by then; whoever reads the register there reads the report.
  found_in_id int references warehouse (id),
  version int not null default 1,
  constraint tool_loss_pkey primary key (warehouse_id, id),
  constraint tool_loss_number_unique unique (warehouse_id, number),
  constraint tool_loss_kind_known check (kind in ('lost', 'damaged')),
  constraint tool_loss_outcome_known check (outcome in ('lost', 'scrapped', 'repaired')),
  constraint tool_loss_lost_is_lost check ((kind = 'lost') = (outcome = 'lost')),
  constraint tool_loss_lost_is_no_wear check (not (kind = 'lost' and normal_wear)),
  constraint tool_loss_state_known check (state in ('reported', 'approved', 'ended', 'refused', 'found', 'withdrawn')),
  constraint tool_loss_compensation_within_value check (compensation >= (0)::numeric and compensation <= net_value),
  constraint tool_loss_wear_costs_nothing check (not normal_wear or compensation = (0)::numeric),
  constraint tool_loss_nobody_pays_nothing check (technician_id is not null or compensation = (0)::numeric),
  constraint tool_loss_less_says_why check (normal_wear or technician_id is null or compensation = net_value or compensation_reason is not null),
  constraint tool_loss_refused_says_why check (state not in ('refused', 'withdrawn') or reason is not null),
  constraint tool_loss_decided_on_a_day check ((state in ('reported', 'withdrawn')) = (decided_on is null)),
  constraint tool_loss_repair_was_decided check ((repair_decided_on is null) = (repair_compensation is null) and (repair_decided_on is null) = (repair_normal_wear is null) and (repair_decided_on is null or outcome = 'scrapped')),
  constraint tool_loss_found_elsewhere check (found_in_id is null or (state = 'found' and found_in_id <> warehouse_id))
);
create unique index tool_loss_one_open on tool_loss (tool_id) where state in ('reported', 'approved');
create index tool_loss_open on tool_loss (warehouse_id, id) where state in ('reported', 'approved');
create index tool_loss_by_tool on tool_loss (tool_id, id);
create index tool_loss_by_technician on tool_loss (technician_id, id) where technician_id is not null;
create index tool_loss_newest on tool_loss (id desc);

-- What is claimed from technicians, by the day it is booked on. A tool that is found gives a second line of the opposite amount, one that could
-- not be repaired after all a second line of the difference.
create table tool_compensation (
  -- In whose books it stands.
  warehouse_id int not null,
  loss_id bigint not null,
  line_no int not null,
  technician_id int not null references person (id),
  amount numeric(18,2) not null,
  -- What the other side of the entry is: the tool that is gone, or its repair.
  credited text not null,
  booked_on date not null,
  booked_by int not null references person (id),
  booked_at timestamptz not null,
  -- Of the report: it may be of another warehouse, which was closed before the tool was found, and whose books end with it.
  loss_warehouse_id int not null,
  constraint tool_compensation_pkey primary key (warehouse_id, loss_id, line_no),
  constraint tool_compensation_line_once unique (loss_id, line_no),
  constraint tool_compensation_loss_fkey foreign key (loss_warehouse_id, loss_id) references tool_loss (warehouse_id, id),
  constraint tool_compensation_of_something check (amount <> (0)::numeric),
  constraint tool_compensation_first_line_claims check (line_no = 2 or line_no = 1 and amount > (0)::numeric),
  constraint tool_compensation_credited_known check (credited in ('tool-disposal', 'tool-repair'))
);
create index tool_compensation_by_day on tool_compensation (booked_on, warehouse_id, loss_id, line_no);
create index tool_compensation_by_place on tool_compensation (warehouse_id, booked_on);

-- As postings do it: closing takes this lock alone, so a line is either before the close, and in it, or after it, and refused.
create function tool_compensation_stays_open() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(new.warehouse_id, month_index(new.booked_on));
  if exists (select 1 from stock_period
              where warehouse_id = new.warehouse_id and period = date_trunc('month', new.booked_on::timestamp)::date and state = 'closed') then
    raise exception 'period % is closed', to_char(new.booked_on, 'YYYY-MM') using errcode = 'BC001', detail = to_char(new.booked_on, 'YYYY-MM');
  end if;
  return new;
end $$;
create trigger tool_compensation_in_open_month before insert on tool_compensation
  for each row execute function tool_compensation_stays_open();
create function tool_compensation_keep() returns trigger language plpgsql as $$
begin
  raise exception 'tool_compensation is append-only';
end $$;
create trigger tool_compensation_append_only before update or delete or truncate on tool_compensation
  for each statement execute function tool_compensation_keep();
`

const ROUNDS = `
create table custody_round (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  due_on date not null,
  note text,
  state text not null default 'open',
  opened_by int not null references person (id),
  opened_at timestamptz not null,
  closed_by int references person (id),
  closed_at timestamptz,
  -- Why it was closed although not everybody had answered.
  closed_because text,
  version int not null default 1,
  constraint custody_round_pkey primary key (warehouse_id, id),
  constraint custody_round_number_unique unique (warehouse_id, number),
  constraint custody_round_state_known check (state in ('open', 'closed')),
  constraint custody_round_closed_by_somebody check ((state = 'closed') = (closed_at is not null) and (closed_at is null) = (closed_by is null))
);
create unique index custody_round_one_open on custody_round (warehouse_id) where state = 'open';
create index custody_round_newest on custody_round (id desc);

-- A technician of a round. Who answers again answers anew: the last answer holds, the history keeps them all.
create table custody_round_line (
  warehouse_id int not null,
  round_id bigint not null,
  person_id int not null references person (id),
  -- Of the list as it was frozen: what was confirmed.
  content_hash text not null,
  answered_at timestamptz,
  remark text,
  constraint custody_round_line_pkey primary key (warehouse_id, round_id, person_id),
  constraint custody_round_line_round_fkey foreign key (warehouse_id, round_id) references custody_round (warehouse_id, id),
  constraint custody_round_line_hash_is_sha256 check (content_hash ~ '^[0-9a-f]{64}$')
);

-- What each held when the round was opened.
create table custody_round_tool (
  warehouse_id int not null,
  round_id bigint not null,
  tool_id bigint not null references tool (id),
  person_id int not null,
  missing boolean not null default false,
  constraint custody_round_tool_pkey primary key (warehouse_id, round_id, tool_id),
  constraint custody_round_tool_line_fkey foreign key (warehouse_id, round_id, person_id) references custody_round_line (warehouse_id, round_id, person_id)
);
create index custody_round_tool_by_person on custody_round_tool (warehouse_id, round_id, person_id);

-- Where each technician of a round stands: what is missing waits for its report of loss; who holds nothing of the list any more has nothing
-- left to confirm.
create view custody_round_position as
select l.warehouse_id, l.round_id, l.person_id, l.answered_at, l.remark, l.content_hash,
       case when l.answered_at is not null and t.unreported = 0 then 'confirmed'
            when t.held = 0 then 'handed-in'
            when l.answered_at is not null then 'report-awaited'
            else 'awaited' end as state
  from custody_round_line l
  join custody_round r on r.warehouse_id = l.warehouse_id and r.id = l.round_id
 cross join lateral (
   select count(*) filter (where tool.holder_id = f.person_id)::int as held,
          count(*) filter (where f.missing and tool.holder_id is not distinct from f.person_id and not exists (
            select from tool_loss loss where loss.tool_id = f.tool_id and loss.reported_at >= r.opened_at and loss.state not in ('refused', 'withdrawn')))::int as unreported
     from custody_round_tool f
     join tool on tool.id = f.tool_id
    where f.warehouse_id = l.warehouse_id and f.round_id = l.round_id and f.person_id = l.person_id
 ) t;
`

// Held against the row of the person: whoever ends a duty or switches a person off holds it, and whoever gives tools to somebody shares it,
// so neither overlooks the other.
const GATE = `
-- What a technician has in hand: tools, papers that wait for a signature, reports that are not decided.
create function tools_in_hand(p_person int) returns table (warehouse_id int, what text, subject text) language sql stable as $$
  select t.warehouse_id, 'tool', t.serial from tool t where t.holder_id = p_person
  union all
  select d.warehouse_id, 'document', d.number
    from tool_document d
   where d.state = 'awaiting-signatures'
     and ((d.giver_id = p_person and d.kind in ('return', 'hand-over')) or (d.taker_id = p_person and d.kind in ('issue', 'hand-over')))
  union all
  select l.warehouse_id, 'loss-report', l.number from tool_loss l where l.state = 'reported' and l.technician_id = p_person
$$;

create function refuse_leaving_with_tools(p_person int, p_warehouses int[]) returns void language plpgsql as $$
declare
  v_username text := (select username from person where id = p_person);
  v_open jsonb;
  v_words text;
begin
  with open as (
    select h.what, h.subject, w.code, row_number() over (order by w.code, h.what desc, h.subject) as place
      from tools_in_hand(p_person) h join warehouse w on w.id = h.warehouse_id
     where p_warehouses is null or h.warehouse_id = any (p_warehouses)
  )
  select jsonb_agg(jsonb_build_object('warehouse', code, 'what', what, 'subject', subject) order by place),
         string_agg(what || ' ' || subject || ' of ' || code, ', ' order by place) filter (where place <= 5)
           || case when count(*) > 5 then ' and ' || count(*) - 5 || ' more' else '' end
    into v_open, v_words from open;
  if v_open is not null then
    raise exception '% still has in hand: %. Everything is returned first (POST /v1/technicians/%/return-all), what is lost is reported and decided, and papers that wait are signed or cancelled',
      v_username, v_words, v_username
      using errcode = 'BC040', detail = jsonb_build_object('code', 'CustodyOpen', 'open', v_open)::text;
  end if;
end $$;

-- Of the warehouses the duty is for, those in which no other duty of a technician goes on. With the last one somebody leaves the post, and
-- then everything counts, also tools of a warehouse that moved to another region meanwhile.
create function duty_leaves_tools() returns trigger language plpgsql as $$
declare
  -- Duties are held by days of the business calendar, and so is what goes on: see leaving-gate.ts, which says today.
  v_last date := case when new.ended_at is null then new.valid_to
    else coalesce(nullif(current_setting('bincard.today', true), '')::date, (new.ended_at at time zone 'Asia/Shanghai')::date) end;
  v_others int[] := array(
    select other.id from duty_assignment other
     where other.person_id = new.person_id and other.duty = 'technician' and other.id <> new.id and other.ended_at is null
       and other.valid_from <= v_last + 1 and (other.valid_to is null or other.valid_to > v_last));
begin
  perform refuse_leaving_with_tools(new.person_id, case when v_others <> '{}' then array(
    select w.id from warehouse w
     where (new.warehouse_id = w.id or new.region_id = w.region_id or (new.warehouse_id is null and new.region_id is null))
       and not exists (
         select from duty_assignment other
          where other.id = any (v_others)
            and (other.warehouse_id = w.id or other.region_id = w.region_id or (other.warehouse_id is null and other.region_id is null)))) end);
  return new;
end $$;
create trigger technician_leaves_no_tools before update of ended_at, valid_to on duty_assignment
  for each row when (new.duty = 'technician' and ((old.ended_at is null and new.ended_at is not null)
    or (new.valid_to is not null and (old.valid_to is null or new.valid_to < old.valid_to))))
  execute function duty_leaves_tools();

create function person_leaves_tools() returns trigger language plpgsql as $$
begin
  perform refuse_leaving_with_tools(new.id, null);
  return new;
end $$;
create trigger person_leaves_no_tools before update of active on person
  for each row when (old.active and not new.active) execute function person_leaves_tools();
`

const PUBLISHED = `
create function custody_entry_tell() returns trigger language plpgsql as $$
begin
  insert into outbox (subject, event, warehouse_id, payload, occurred_at)
  select 'document:' || tool.id, case when new.to_place = 'custody' then 'tool.issued' when new.to_place = 'lost' then 'tool.lost' else 'tool.returned' end,
         new.warehouse_id,
         jsonb_strip_nulls(jsonb_build_object('warehouse', w.code, 'serial', tool.serial, 'name', tool.name, 'nameZh', tool.name_zh, 'model', tool.model,
           'technician', case when new.to_place = 'custody' then taker.username else giver.username end,
           'handedOverBy', case when new.to_place = 'custody' then giver.username end,
           'document', coalesce((select d.number from tool_document d where d.id = new.document_id and d.warehouse_id = new.warehouse_id),
                                (select l.number from tool_loss l where l.id = new.document_id and l.warehouse_id = new.warehouse_id)))),
         new.at
    from tool
    join warehouse w on w.id = new.warehouse_id
    left join person giver on giver.id = new.from_person_id
    left join person taker on taker.id = new.to_person_id
   where tool.id = new.tool_id;
  return null;
end $$;
create trigger custody_entry_is_told after insert on custody_entry
  for each row when (new.to_place = 'custody' or new.to_place = 'lost' or (new.to_place = 'shelf' and new.from_place = 'custody'))
  execute function custody_entry_tell();
`

const SETTINGS = `
insert into journal_account (department, role, account, name, name_zh) values
  ('*', 'employee-claims', '1221.06', 'Other receivables: compensation by employees', '其他应收款—员工赔偿'),
  ('*', 'tool-disposal', '1606.01', 'Disposal of fixed assets: tools', '固定资产清理—工具'),
  ('*', 'tool-repair', '6602.23', 'Administrative expense: repair of tools', '管理费用—工具修理');
insert into alert_policy (kind, ladder, escalate_after_hours, mail) values
  ('tool-calibration-due', '[["keeper"], ["department-head"]]', 168, 'digest'),
  ('tool-custody-unconfirmed', '[["keeper"], ["department-head"]]', 72, 'digest'),
  ('tool-loss-open', '[["keeper", "department-head", "finance-supervisor"], ["operations-supervisor"]]', 72, 'digest'),
  ('tool-custody-orphaned', '[["keeper", "department-head"], ["stock-controller"]]', 24, 'immediately');
`
