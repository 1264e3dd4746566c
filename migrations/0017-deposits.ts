import { Migration } from '@mikro-orm/migrations'

/**
 * Deposits of outlets (R-REQ-5): one account per outlet, a ledger that only grows, what open requests hold of it, and what finance
 * waives. An account is changed under the lock of its row alone.
 */
export class Deposits extends Migration {
  override up(): void {
    this.addSql(CENTRE)
    this.addSql(ACCOUNTS)
    this.addSql(WAIVERS)
  }
}

const CENTRE = `
-- Who answers the requests of a warehouse and keeps its deposit: the nearest regional centre above it, else the head office above it; null at the top.
create function centre_of(p_warehouse int) returns int language sql stable as $$
  with recursive above (id, kind, height) as (
    select parent.id, parent.kind, 1
      from warehouse child join warehouse parent on parent.id = child.parent_id where child.id = p_warehouse
    union all
    select parent.id, parent.kind, above.height + 1
      from above join warehouse child on child.id = above.id join warehouse parent on parent.id = child.parent_id where above.height < 20
  )
  select id from above where kind in ('regional-centre', 'head-office') order by kind = 'head-office', height limit 1
$$;
`

const ACCOUNTS = `
create table deposit_account (
  warehouse_id int not null references warehouse (id),
  -- The sum of the entries.
  balance numeric(18,2) not null default 0,
  -- The sum of the holds.
  held numeric(18,2) not null default 0,
  -- Free deposit below this raises an alert.
  low_limit numeric(18,2) not null,
  -- How many entries there are: the number of the last one.
  entries int not null default 0,
  opened_by int not null references person (id),
  opened_at timestamptz not null,
  changed_at timestamptz not null,
  constraint deposit_account_pkey primary key (warehouse_id),
  constraint deposit_account_held_not_negative check (held >= 0),
  constraint deposit_account_low_limit_not_negative check (low_limit >= 0)
);

create table deposit_entry (
  warehouse_id int not null references deposit_account (warehouse_id),
  entry_no int not null,
  kind text not null,
  -- With sign.
  amount numeric(18,2) not null,
  balance_after numeric(18,2) not null,
  -- The document it is for: a request, an old part.
  reference text,
  -- The paper that finance enters it from.
  paper text,
  because text not null,
  person_id int not null references person (id),
  occurred_at timestamptz not null,
  constraint deposit_entry_pkey primary key (warehouse_id, entry_no),
  constraint deposit_entry_kind_known check (kind in ('increase', 'decrease', 'capture', 'return', 'compensation')),
  constraint deposit_entry_sign_of_its_kind check (case when kind in ('increase', 'return') then amount > 0 else amount < 0 end),
  constraint deposit_entry_says_for_what check (case when kind in ('increase', 'decrease') then paper is not null else reference is not null end),
  -- Finance never pays out what is not there. What was delivered under a waiver, and compensation for what was lost, may leave a debt.
  constraint deposit_entry_never_pays_out_a_debt check (kind <> 'decrease' or balance_after >= 0)
);
create index deposit_entry_by_day on deposit_entry (warehouse_id, occurred_at, entry_no);
create index deposit_entry_by_reference on deposit_entry (warehouse_id, reference) where reference is not null;
-- What follows from a document is entered once, however often its event is handled.
create unique index deposit_entry_follows_once on deposit_entry (warehouse_id, kind, reference, because) where reference is not null;
create unique index deposit_entry_paper_entered on deposit_entry (warehouse_id, kind, paper) where paper is not null;

create function deposit_entry_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger of a deposit is never edited or deleted; enter the opposite' using errcode = 'BC017';
end $$;
create trigger deposit_entry_is_append_only before update or delete on deposit_entry
  for each row execute function deposit_entry_refuse_change();
create trigger deposit_entry_is_never_emptied before truncate on deposit_entry
  for each statement execute function deposit_entry_refuse_change();

create table deposit_hold (
  warehouse_id int not null references deposit_account (warehouse_id),
  reference text not null,
  amount numeric(18,2) not null,
  held_at timestamptz not null,
  changed_at timestamptz not null,
  constraint deposit_hold_pkey primary key (warehouse_id, reference),
  constraint deposit_hold_of_something check (amount > 0)
);

-- Whatever changes an account is published: no verb can forget it.
create function deposit_account_publish() returns trigger language plpgsql as $$
begin
  insert into outbox (subject, event, warehouse_id, payload, occurred_at)
  select 'deposit:' || warehouse_id, 'deposit.changed', warehouse_id,
         jsonb_build_object('entries', entries, 'balance', balance::text, 'held', held::text, 'free', (balance - held)::text, 'lowLimit', low_limit::text), changed_at
    from written order by warehouse_id;
  return null;
end $$;
create trigger deposit_account_is_published after insert on deposit_account
  referencing new table as written for each statement execute function deposit_account_publish();
create trigger deposit_account_change_is_published after update on deposit_account
  referencing new table as written for each statement execute function deposit_account_publish();
`

const WAIVERS = `
create sequence deposit_waiver_id_seq;
create table deposit_waiver (
  warehouse_id int not null references deposit_account (warehouse_id),
  id bigint not null default nextval('deposit_waiver_id_seq'),
  amount numeric(18,2) not null,
  reason text not null,
  -- Null: for whatever is requested.
  repair_order text,
  valid_to date not null,
  granted_by int not null references person (id),
  granted_at timestamptz not null,
  ended_by int references person (id),
  ended_at timestamptz,
  ended_because text,
  constraint deposit_waiver_pkey primary key (warehouse_id, id),
  constraint deposit_waiver_of_something check (amount > 0),
  constraint deposit_waiver_end_says_who_and_why check ((ended_at is null) = (ended_by is null) and (ended_at is null) = (ended_because is null))
);
create index deposit_waiver_open on deposit_waiver (warehouse_id, valid_to) where ended_at is null;

-- What of a waiver which request took; given back when the request holds less.
create table deposit_waiver_use (
  warehouse_id int not null,
  waiver_id bigint not null,
  reference text not null,
  amount numeric(18,2) not null,
  used_at timestamptz not null,
  constraint deposit_waiver_use_pkey primary key (warehouse_id, waiver_id, reference),
  constraint deposit_waiver_use_of_something check (amount > 0),
  constraint deposit_waiver_use_of_a_waiver foreign key (warehouse_id, waiver_id) references deposit_waiver (warehouse_id, id)
);
create index deposit_waiver_use_by_reference on deposit_waiver_use (warehouse_id, reference);
`
