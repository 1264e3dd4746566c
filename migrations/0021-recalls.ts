import { Migration } from '@mikro-orm/migrations'

/**
 * Recalls (召回). A recall is a document of the head office: warehouse_id is the head office. What it names is kept here; what is in force, and
 * which lots it blocks, is the ledger's (`recall_scope`, `lot_block`).
 */
export class Recalls extends Migration {
  override up(): void {
    this.addSql(`
create table recall (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  title text not null,
  reason text not null,
  state text not null,
  version int not null default 1,
  opened_by int not null references person (id),
  -- Who was stood in for.
  opened_for int references person (id),
  opened_at timestamptz not null,
  -- What it came to when it was opened: warehouses, lots, quantities, value and its share of the network's stock.
  reach jsonb not null,
  -- SHA-256 of what it names and why; the second signature of a large one is of it.
  content_hash text not null,
  started_at timestamptz,
  ended_at timestamptz,
  ended_because text,
  constraint recall_pkey primary key (warehouse_id, id),
  constraint recall_number_unique unique (warehouse_id, number),
  constraint recall_state_known check (state in ('awaiting-second-signature', 'running', 'lifted', 'closed', 'cancelled')),
  constraint recall_running_says_since_when check (state in ('awaiting-second-signature', 'cancelled') or started_at is not null),
  constraint recall_ended_says_when_and_why check ((state in ('lifted', 'closed', 'cancelled')) = (ended_at is not null) and (ended_at is null) = (ended_because is null))
);
create index recall_newest on recall (id desc);
create index recall_live on recall (warehouse_id, id) where state = 'running';

-- What a recall names, one part each: all of it, or what came in between two days, of one supplier, or from one first lot.
create table recall_line (
  warehouse_id int not null,
  recall_id bigint not null,
  line_no int not null,
  part_id int not null references part (id),
  received_from date,
  received_to date,
  supplier_id int references supplier (id),
  -- The lot by which the goods first came into the company.
  origin_warehouse_id int references warehouse (id),
  origin_lot_id bigint,
  lifted_at timestamptz,
  constraint recall_line_pkey primary key (warehouse_id, recall_id, line_no),
  constraint recall_line_recall_fkey foreign key (warehouse_id, recall_id) references recall (warehouse_id, id),
  constraint recall_line_days_in_order check (received_from <= received_to),
  constraint recall_line_names_a_lot_whole check ((origin_warehouse_id is null) = (origin_lot_id is null))
);

-- Who has to answer a recall: where its goods lay when it began, from where they had gone, and to which outlets. warehouse_id is theirs.
create table recall_warehouse (
  warehouse_id int not null references warehouse (id),
  recall_id bigint not null,
  held numeric(15,3) not null default 0,
  issued numeric(15,3) not null default 0,
  got numeric(15,3) not null default 0,
  constraint recall_warehouse_pkey primary key (warehouse_id, recall_id),
  constraint recall_warehouse_quantities_not_negative check (held >= 0 and issued >= 0 and got >= 0)
);
create index recall_warehouse_by_recall on recall_warehouse (recall_id, warehouse_id);

-- What they answered. Append-only: the last one holds.
create sequence recall_answer_id_seq;
create table recall_answer (
  warehouse_id int not null references warehouse (id),
  recall_id bigint not null,
  id bigint not null default nextval('recall_answer_id_seq'),
  found numeric(15,3) not null,
  returned numeric(15,3) not null,
  note text,
  answered_by int not null references person (id),
  answered_at timestamptz not null,
  constraint recall_answer_pkey primary key (warehouse_id, recall_id, id),
  constraint recall_answer_quantities_not_negative check (found >= 0 and returned >= 0)
);
create index recall_answer_by_recall on recall_answer (recall_id, warehouse_id, id desc);

-- The end of a recall, in part or whole, as a document that is signed: a lifting frees goods, a closing says that all is done.
create table recall_ending (
  warehouse_id int not null,
  id bigint not null default nextval('document_id_seq'),
  recall_id bigint not null,
  ending_no int not null,
  kind text not null,
  -- The lines that are lifted; null for all.
  lines int[],
  reason text not null,
  state text not null default 'awaiting-signatures',
  duties text[] not null,
  proposed_by int not null references person (id),
  -- Who was stood in for.
  proposed_for int references person (id),
  proposed_at timestamptz not null,
  -- SHA-256 of what was proposed; signing computes it anew from the rows and compares.
  content_hash text not null,
  refusal jsonb,
  settled_at timestamptz,
  constraint recall_ending_pkey primary key (warehouse_id, id),
  constraint recall_ending_recall_fkey foreign key (warehouse_id, recall_id) references recall (warehouse_id, id),
  constraint recall_ending_number_unique unique (warehouse_id, recall_id, ending_no),
  constraint recall_ending_kind_known check (kind in ('lifting', 'closing')),
  constraint recall_ending_state_known check (state in ('awaiting-signatures', 'in-effect', 'refused', 'cancelled')),
  constraint recall_ending_settled_says_when check ((state = 'awaiting-signatures') = (settled_at is null)),
  constraint recall_ending_three_signers_is_the_floor check (cardinality(duties) >= 3)
);
create unique index recall_ending_one_at_a_time on recall_ending (warehouse_id, recall_id) where state = 'awaiting-signatures';

-- Promises that a recall broke.
create index reservation_broken on reservation (broken_by, warehouse_id, id) where broken_by is not null;
-- Every lot of a part wherever it is, also those of which nothing is left: a recall asks where they went.
create index lot_by_part on lot (part_id, warehouse_id);

insert into signing_policy values ('recall', '{hq-finance,operations-supervisor,stock-controller}');

create function recall_answer_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'what was answered is never edited or deleted; answer again' using errcode = 'BC021';
end $$;
create trigger recall_answer_is_append_only before update or delete on recall_answer
  for each row execute function recall_answer_refuse_change();
create trigger recall_answer_is_never_emptied before truncate on recall_answer
  for each statement execute function recall_answer_refuse_change();
`)
  }
}
