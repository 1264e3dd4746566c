import { Migration } from '@mikro-orm/migrations'

/** Events that reach other systems: endpoints, what is to be told, to whom, and how each attempt went. */
export class Webhooks extends Migration {
  override up(): void {
    this.addSql(`
create table webhook_endpoint (
  id bigint generated always as identity,
  url text not null,
  description text,
  -- Types of events by name; null for all, also those that are yet to come.
  events text[],
  -- One warehouse, one region, or everywhere when both are null.
  warehouse_id int references warehouse (id),
  region_id int references region (id),
  secret text not null,
  -- The one before the last rotation, which signs beside the new one until then.
  old_secret text,
  old_secret_until timestamptz,
  active boolean not null default true,
  -- Why the service itself switched it off.
  disabled_because text,
  disabled_at timestamptz,
  -- Attempts that failed since the last one that arrived, the first of them, and until when nothing is tried.
  failures int not null default 0,
  failing_since timestamptz,
  rest_until timestamptz,
  created_by int not null references person (id),
  created_at timestamptz not null,
  -- Who is sending to it, by the clock of the database: one at a time.
  lease uuid,
  leased_until timestamptz,
  constraint webhook_endpoint_pkey primary key (id),
  constraint webhook_endpoint_has_one_place check (warehouse_id is null or region_id is null),
  constraint webhook_endpoint_disabled_says_when check ((disabled_because is null) = (disabled_at is null) and (disabled_at is null or not active))
) with (fillfactor = 70);
create index webhook_endpoint_by_warehouse on webhook_endpoint (warehouse_id) where warehouse_id is not null;
create index webhook_endpoint_by_region on webhook_endpoint (region_id) where region_id is not null;
create index webhook_endpoint_everywhere on webhook_endpoint (id) where warehouse_id is null and region_id is null;

-- One per event that some endpoint wants; its body is the same for each of them and at every attempt.
create table webhook_message (
  id bigint generated always as identity,
  -- The row of the outbox it was made of: however often that is handled, there is one message. Null for a test send.
  outbox_id bigint,
  -- What receivers know it by.
  key text not null default 'msg_' || replace(gen_random_uuid()::text, '-', ''),
  type text not null,
  subject text not null,
  warehouse_id int,
  occurred_at timestamptz not null,
  body text not null,
  constraint webhook_message_pkey primary key (id),
  constraint webhook_message_once_per_event unique (outbox_id)
);
create index webhook_message_by_time on webhook_message (occurred_at);

create table webhook_delivery (
  endpoint_id bigint not null references webhook_endpoint (id) on delete cascade,
  message_id bigint not null references webhook_message (id),
  subject text not null,
  state text not null default 'waiting',
  -- Of the present round: sending it anew begins at nothing.
  attempts int not null default 0,
  -- The truth about what is due; the queue only says that it is time to look.
  next_attempt_at timestamptz not null,
  settled_at timestamptz,
  constraint webhook_delivery_pkey primary key (endpoint_id, message_id),
  constraint webhook_delivery_state_known check (state in ('waiting', 'delivered', 'dead')),
  constraint webhook_delivery_settled_says_when check ((state = 'waiting') = (settled_at is null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
create index webhook_delivery_waiting on webhook_delivery (endpoint_id, message_id) include (next_attempt_at, subject) where state = 'waiting';
create index webhook_delivery_due on webhook_delivery (endpoint_id, next_attempt_at) where state = 'waiting';
create index webhook_delivery_in_order on webhook_delivery (endpoint_id, subject, message_id) where state = 'waiting';
create index webhook_delivery_dead on webhook_delivery (endpoint_id, message_id) where state = 'dead';
create index webhook_delivery_settled on webhook_delivery (settled_at) where state <> 'waiting';
create index webhook_delivery_by_message on webhook_delivery (message_id);

create table webhook_attempt (
  id bigint generated always as identity,
  endpoint_id bigint not null,
  message_id bigint not null,
  at timestamptz not null,
  milliseconds int not null,
  status int,
  problem text,
  -- The beginning of the answer.
  response text,
  constraint webhook_attempt_pkey primary key (id),
  constraint webhook_attempt_delivery_fkey foreign key (endpoint_id, message_id) references webhook_delivery (endpoint_id, message_id) on delete cascade
);
create index webhook_attempt_by_delivery on webhook_attempt (endpoint_id, message_id, id);
`)
  }
}
