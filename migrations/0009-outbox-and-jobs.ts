import { Migration } from '@mikro-orm/migrations'

/** What follows a commit: the outbox, tracked runs of jobs, and the working days that deadlines are counted in. */
export class OutboxAndJobs extends Migration {
  override up(): void {
    this.addSql(`
-- Something happened, and its consequences are not all drawn yet. A row is written in the transaction of the deed and removed in the
-- transaction of its consequences, so the table is small however much happens.
create table outbox (
  id bigint generated always as identity,
  -- What it is about; events of one subject are handled in the order of their ids.
  subject text not null,
  event text not null,
  warehouse_id int,
  payload jsonb not null,
  occurred_at timestamptz not null,
  -- Handed to the queue, which may lose it: past this instant, by the clock of the database, it is handed over again.
  leased_until timestamptz,
  attempts int not null default 0,
  problem text,
  constraint outbox_pkey primary key (id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
create index outbox_subject on outbox (subject, id);

-- A row is claimed if and only if its lease is over and all earlier rows of its subject are claimed with it: an earlier one that is
-- leased, or locked by whoever is at it, keeps the later ones waiting. Lock, then look: with one claimer at a time, and a snapshot that
-- is newer than the lock. What waits behind a lease is left out before the limit: else enough of it would keep everything else waiting.
-- \`not in\`, because it is looked up in a hash, however large the table was when the plan was made.
create function claim_outbox(p_most int, p_lease interval) returns setof bigint language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock(7305009) then return; end if;
  return query
  with due as materialized (
    select o.id, o.subject from outbox o
     where (o.leased_until is null or o.leased_until < clock_timestamp())
       and o.subject not in (select e.subject from outbox e where e.leased_until >= clock_timestamp())
     order by o.id limit p_most
       for update of o skip locked
  ), taken as (
    select d.id from due d
     where not exists (select 1 from outbox e where e.subject = d.subject and e.id < d.id and e.id not in (select due.id from due))
  ), leased as (
    update outbox o set leased_until = clock_timestamp() + p_lease from taken where o.id = taken.id returning o.id
  )
  select id from leased order by id;
end $$;

-- Every event in the history of a document is published: no verb can forget it. The ids follow the locks of the documents, which
-- the statements that write the history hold.
create function document_event_publish() returns trigger language plpgsql as $$
begin
  insert into outbox (subject, event, warehouse_id, payload, occurred_at)
  select 'document:' || document_id, 'document.' || event, warehouse_id,
         jsonb_strip_nulls(jsonb_build_object('document', document_id::text, 'by', person_id, 'details', details)), occurred_at
    from written order by id;
  return null;
end $$;
create trigger document_event_is_published after insert on document_event
  referencing new table as written for each statement execute function document_event_publish();

-- A run of a job that somebody may ask about, and every run that failed for good. The queue may forget it; this does not.
create table job_run (
  id bigint generated always as identity,
  name text not null,
  payload jsonb,
  state text not null,
  requested_by int not null references person (id),
  requested_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  -- When its worker was last heard of, by the clock of the database.
  seen_at timestamptz not null default now(),
  attempts int not null default 0,
  done bigint,
  total bigint,
  result jsonb,
  problem text,
  -- What the queue calls the slot of a schedule: however often the slot is run, it is one run.
  slot text,
  constraint job_run_pkey primary key (id),
  constraint job_run_slot_taken unique (slot),
  constraint job_run_state_known check (state in ('queued', 'running', 'done', 'dead')),
  constraint job_run_ended_says_when check ((state in ('done', 'dead')) = (finished_at is not null))
);
create index job_run_unfinished on job_run (seen_at) where state in ('queued', 'running');
create index job_run_by_name on job_run (name, id desc);
create index job_run_dead on job_run (id desc) where state = 'dead';

-- Days off and make-up working days of a year as an administrator entered them from the notice (放假安排); they go before those
-- that the service ships.
create table calendar_year (
  year int not null,
  source text not null,
  days jsonb not null,
  set_by int not null references person (id),
  set_at timestamptz not null,
  constraint calendar_year_pkey primary key (year)
);
`)
  }
}
