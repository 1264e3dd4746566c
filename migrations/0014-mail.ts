import { Migration } from '@mikro-orm/migrations'

/** Mails about alerts: written in the transaction of what they tell, sent by a job. */
export class Mail extends Migration {
  override up(): void {
    this.addSql(`
create table mail (
  id bigint generated always as identity,
  person_id int not null references person (id),
  kind text not null,
  -- What it is of: a day's digest of a person, an event and a person. Never written twice.
  key text not null,
  to_address text not null,
  subject text not null,
  body text not null,
  language text not null,
  state text not null default 'waiting',
  attempts int not null default 0,
  next_attempt_at timestamptz not null,
  problem text,
  written_at timestamptz not null,
  settled_at timestamptz,
  -- Somebody is sending it, by the clock of the database.
  leased_until timestamptz,
  constraint mail_pkey primary key (id),
  constraint mail_written_once unique (key),
  constraint mail_kind_known check (kind in ('digest', 'alert')),
  constraint mail_state_known check (state in ('waiting', 'sent', 'dead')),
  constraint mail_settled_says_when check ((state = 'waiting') = (settled_at is null))
);
create index mail_due on mail (next_attempt_at, id) where state = 'waiting';
create index mail_dead on mail (id desc) where state = 'dead';
create index mail_settled on mail (settled_at) where state <> 'waiting';
create index mail_by_person on mail (person_id, written_at);
`)
  }
}
