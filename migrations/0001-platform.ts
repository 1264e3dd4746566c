import { Migration } from '@mikro-orm/migrations'

export class Platform extends Migration {
  override up(): void {
    this.addSql(`
create table idempotency_key (
  actor text not null,
  key text not null,
  request_hash text not null,
  claimed_at timestamptz not null,
  status smallint,
  headers jsonb,
  body text,
  constraint idempotency_key_pkey primary key (actor, key)
);
create index idempotency_key_claimed_at on idempotency_key (claimed_at);

create table setting (
  name text not null,
  value jsonb not null,
  constraint setting_pkey primary key (name)
);
`)
  }
}
