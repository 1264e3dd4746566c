import { Migration } from '@mikro-orm/migrations'

/** Alerts, what happened to them, who is told of which, and what the self-check of the ledger found. */
export class Alerts extends Migration {
  override up(): void {
    this.addSql(POLICIES)
    this.addSql(ALERTS)
    this.addSql(FINDINGS)
    this.addSql(ON_ORDER)
  }
}

const POLICIES = `
-- Who is told of a kind, and when others are. Whoever writes alerts locks this table against each other, not against readers: what is
-- looked at then is what the writer before has committed, and the ids of alert_event come in the order of commits.
create table alert_policy (
  kind text not null,
  -- Rungs of duties: the holders of the first are told at once, those of the next when nobody has acknowledged in time.
  ladder jsonb not null,
  -- Hours from one rung to the next; never if null.
  escalate_after_hours int,
  mail text not null,
  enabled boolean not null default true,
  constraint alert_policy_pkey primary key (kind),
  constraint alert_policy_somebody_is_told check (jsonb_typeof(ladder) = 'array' and jsonb_array_length(ladder) > 0),
  constraint alert_policy_escalates_later check (escalate_after_hours > 0),
  constraint alert_policy_mail_known check (mail in ('immediately', 'digest', 'none'))
);
insert into alert_policy (kind, ladder, escalate_after_hours, mail) values
  ('reorder-point', '[["keeper", "purchaser"], ["department-head"], ["stock-controller"]]', 72, 'digest'),
  ('lot-aging-soon', '[["keeper", "department-head"]]', null, 'digest'),
  ('lot-aged', '[["keeper", "department-head"], ["stock-controller"]]', 168, 'digest'),
  ('late-signature', '[["keeper"], ["department-head", "finance-supervisor"], ["stock-controller"]]', 24, 'immediately'),
  ('count-due', '[["keeper", "department-head", "finance-supervisor"], ["stock-controller"]]', 48, 'immediately'),
  ('count-report-due', '[["keeper", "department-head"], ["stock-controller"]]', 24, 'digest'),
  ('statement-due', '[["finance-supervisor"], ["hq-finance"]]', 24, 'immediately'),
  ('ledger-fault', '[["administrator"], ["hq-finance", "stock-controller"]]', 12, 'immediately');

-- The duties of the rungs up to a level, and the duty that the cause itself names.
create function alert_duties(p_ladder jsonb, p_level int, p_duty text) returns text[] language sql immutable parallel safe
return array(
  select duty
    from (select duty.value as duty, rung.place
            from jsonb_array_elements(p_ladder) with ordinality as rung (value, place)
           cross join jsonb_array_elements_text(rung.value) as duty (value)
           where rung.place <= p_level + 1
           union all
          select p_duty, 0 where p_duty is not null) told
   group by duty order by min(place), duty);

-- Who holds which duty where and from when to when, by themselves or in somebody's stead.
create view duty_holder as
select own.person_id, own.duty, own.warehouse_id, own.region_id, own.valid_from, own.valid_to, null::int as on_behalf_of
  from duty_assignment own
  join person on person.id = own.person_id and person.active
 where own.ended_at is null
 union all
select delegation.to_person_id, own.duty, own.warehouse_id, own.region_id,
       greatest(own.valid_from, delegation.valid_from), least(own.valid_to, delegation.valid_to), delegation.from_person_id
  from delegation
  join person deputy on deputy.id = delegation.to_person_id and deputy.active
  join person absent on absent.id = delegation.from_person_id and absent.active
  join duty_assignment own on own.person_id = delegation.from_person_id and (delegation.duty is null or own.duty = delegation.duty)
 where delegation.ended_at is null and own.ended_at is null;
`

const ALERTS = `
create sequence alert_id_seq;
create table alert (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('alert_id_seq'),
  kind text not null,
  -- What it is about, as people name it: part number, lot, slip, month, check.
  subject text not null,
  -- The part, lot or slip of that name; null where it is none of these.
  about_id bigint,
  -- A duty that is told beside those of the policy, because the cause names it.
  duty text,
  details jsonb not null,
  state text not null default 'open',
  level int not null default 0,
  raised_at timestamptz not null,
  updated_at timestamptz not null,
  escalated_at timestamptz,
  acknowledged_by int references person (id),
  acknowledged_at timestamptz,
  note text,
  -- The working day of the last reminder, how many there were, and whether the year of that day has no notice of working days.
  reminded_on date,
  reminders int not null default 0,
  is_day_assumed boolean not null default false,
  resolved_at timestamptz,
  constraint alert_pkey primary key (warehouse_id, id),
  constraint alert_kind_known foreign key (kind) references alert_policy (kind),
  constraint alert_state_known check (state in ('open', 'acknowledged', 'resolved')),
  constraint alert_resolved_says_when check ((state = 'resolved') = (resolved_at is not null)),
  constraint alert_acknowledged_says_who check ((acknowledged_by is null) = (acknowledged_at is null) and (state <> 'acknowledged' or acknowledged_by is not null))
) with (fillfactor = 80);
-- One open alert per subject (R-ALR-1).
create unique index alert_one_per_subject on alert (warehouse_id, kind, subject) where resolved_at is null;
create index alert_unresolved_by_kind on alert (kind, warehouse_id, about_id) where resolved_at is null;
create index alert_newest on alert (id desc);
create index alert_newest_unresolved on alert (id desc) where resolved_at is null;

-- Everything that happened to an alert. The stream goes by the ids.
create sequence alert_event_id_seq;
create table alert_event (
  warehouse_id int not null,
  alert_id bigint not null,
  id bigint not null default nextval('alert_event_id_seq'),
  event text not null,
  at timestamptz not null,
  -- By the clock of the database.
  noted_at timestamptz not null default clock_timestamp(),
  -- Null: the service itself.
  person_id int references person (id),
  details jsonb,
  constraint alert_event_pkey primary key (warehouse_id, alert_id, id),
  constraint alert_event_alert_fkey foreign key (warehouse_id, alert_id) references alert (warehouse_id, id),
  constraint alert_event_known check (event in ('raised', 'acknowledged', 'escalated', 'reminded', 'resolved'))
);
create index alert_event_stream on alert_event (id);

create function alert_event_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the history of an alert is append-only' using errcode = 'BC014';
end $$;
create trigger alert_event_is_append_only before update or delete on alert_event
  for each row execute function alert_event_refuse_change();
create trigger alert_event_is_never_emptied before truncate on alert_event
  for each statement execute function alert_event_refuse_change();
`

const FINDINGS = `
-- What the last nightly self-check of the ledger found; replaced at each.
create table ledger_finding (
  warehouse_id int not null references warehouse (id),
  check_name text not null,
  subject text not null,
  expected text not null,
  found text not null,
  found_at timestamptz not null
);
create index ledger_finding_by_check on ledger_finding (warehouse_id, check_name);
`

const ON_ORDER = `
-- What is put on order or taken off changes where a position stands, whoever does it: no verb can forget to say so.
create function expected_receipt_publish() returns trigger language plpgsql as $$
begin
  insert into outbox (subject, event, warehouse_id, payload, occurred_at)
  select 'positions:' || warehouse_id, 'reorder-position.changed', warehouse_id, jsonb_build_object('parts', jsonb_agg(distinct part_id)), max(coalesce(ended_at, opened_at))
    from written group by warehouse_id order by warehouse_id;
  return null;
end $$;
create trigger expected_receipt_is_published after insert on expected_receipt
  referencing new table as written for each statement execute function expected_receipt_publish();
create trigger expected_receipt_change_is_published after update on expected_receipt
  referencing new table as written for each statement execute function expected_receipt_publish();
`
