import { Migration } from '@mikro-orm/migrations'

/** Documents: numbers, history, signatures, slips, quality reports. `warehouse_id` leads every key, as in the ledger. */
export class Slips extends Migration {
  override up(): void {
    this.addSql(`
create sequence document_id_seq;

create table document_number (
  warehouse_id int not null references warehouse (id),
  series text not null,
  period date not null,
  last int not null,
  constraint document_number_pkey primary key (warehouse_id, series, period)
);

create sequence document_event_id_seq;
create table document_event (
  warehouse_id int not null,
  document_id bigint not null,
  id bigint not null default nextval('document_event_id_seq'),
  occurred_at timestamptz not null,
  person_id int not null references person (id),
  event text not null,
  details jsonb,
  constraint document_event_pkey primary key (warehouse_id, document_id, id)
);

create table signing_policy (
  document_kind text not null,
  duties text[] not null,
  constraint signing_policy_pkey primary key (document_kind),
  constraint signing_policy_three_is_the_floor check (cardinality(duties) >= 3)
);
insert into signing_policy values ('*', '{department-head,operations-supervisor,finance-supervisor}');

create sequence signature_id_seq;
create table signature (
  warehouse_id int not null,
  id bigint not null default nextval('signature_id_seq'),
  document_id bigint not null,
  duty text not null,
  person_id int not null references person (id),
  on_behalf_of int references person (id),
  decision text not null,
  comment text,
  content_hash text not null,
  signed_at timestamptz not null,
  voided_at timestamptz,
  constraint signature_pkey primary key (warehouse_id, id),
  constraint signature_decision_known check (decision in ('approve', 'refuse')),
  constraint signature_refusal_says_why check (decision = 'approve' or comment is not null),
  constraint signature_hash_is_sha256 check (content_hash ~ '^[0-9a-f]{64}$')
);
create unique index signature_one_per_duty on signature (warehouse_id, document_id, duty) where voided_at is null;
create unique index signature_one_per_person on signature (warehouse_id, document_id, person_id) where voided_at is null;
create unique index signature_one_per_principal on signature (warehouse_id, document_id, coalesce(on_behalf_of, person_id)) where voided_at is null;

create table slip (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  kind text not null,
  purpose text,
  state text not null,
  version int not null default 1,
  occurred_on date not null,
  reference text,
  counterparty text,
  supplier_id int references supplier (id),
  delivery_note text,
  packages_expected int,
  packages_received int,
  note text,
  reason text,
  source_slip_id bigint,
  duties text[] not null,
  preparers int[] not null,
  prepared_at timestamptz not null,
  submitted_at timestamptz,
  approved_at timestamptz,
  posted_by int references person (id),
  posted_at timestamptz,
  handed_to text,
  delivered_by text,
  late_duty text,
  late_due_at timestamptz,
  late_settled_at timestamptz,
  released_because text,
  authorised_by text,
  refusal jsonb,
  constraint slip_pkey primary key (warehouse_id, id),
  constraint slip_number_unique unique (warehouse_id, number),
  constraint slip_source_fkey foreign key (warehouse_id, source_slip_id) references slip (warehouse_id, id),
  constraint slip_state_known check (state in ('draft', 'awaiting-signatures', 'approved', 'posted', 'refused', 'cancelled')),
  constraint slip_posted_says_who_and_when check ((state = 'posted') = (posted_at is not null) and (posted_by is null) = (posted_at is null)),
  constraint slip_three_signers_is_the_floor check (cardinality(duties) >= 3)
) with (fillfactor = 70);
create unique index slip_reversed_once on slip (warehouse_id, source_slip_id) where kind = 'reversal' and state not in ('cancelled');
create index slip_by_day on slip (warehouse_id, occurred_on desc, id desc);
create index slip_unfinished on slip (warehouse_id, state, occurred_on desc, id desc) where state not in ('posted', 'cancelled');
create index slip_late on slip (warehouse_id, occurred_on desc, id desc) where late_duty is not null and late_settled_at is null;
-- The same across warehouses, for whoever signs for a region or the whole network.
create index slip_by_day_anywhere on slip (occurred_on desc, id desc, kind);
create index slip_unfinished_anywhere on slip (state, occurred_on desc, id desc) where state not in ('posted', 'cancelled');
create index slip_by_reference on slip (reference, occurred_on desc, id desc) where reference is not null;
create index slip_by_source on slip (warehouse_id, source_slip_id) where source_slip_id is not null;

create table slip_line (
  warehouse_id int not null,
  slip_id bigint not null,
  line_no int not null,
  part_id int not null references part (id),
  quantity numeric(15,3) not null,
  unit text not null,
  unit_quantity numeric(15,3) not null,
  unit_cost numeric(18,4),
  ownership text not null,
  condition text not null,
  expected_quantity numeric(15,3),
  received_on date,
  source_line int,
  reservation_id bigint,
  difference jsonb,
  note text,
  constraint slip_line_pkey primary key (warehouse_id, slip_id, line_no),
  constraint slip_line_slip_fkey foreign key (warehouse_id, slip_id) references slip (warehouse_id, id),
  constraint slip_line_moves_something check (quantity <> 0 or difference is not null),
  constraint slip_line_ownership_known check (ownership in ('own', 'consigned')),
  constraint slip_line_condition_known check (condition in ('qualified', 'nonconforming'))
);
alter table movement add constraint movement_slip_line_fkey
  foreign key (warehouse_id, slip_id, line_no) references slip_line (warehouse_id, slip_id, line_no);

create table quality_report (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  slip_id bigint not null,
  line_no int,
  part_id int references part (id),
  aspects text[] not null,
  expected_quantity numeric(15,3),
  received_quantity numeric(15,3) not null,
  faulty_quantity numeric(15,3) not null default 0,
  responsible_party text,
  description text,
  opened_on date not null,
  opened_at timestamptz not null,
  opened_by int not null references person (id),
  settled_at timestamptz,
  settled_by int references person (id),
  settlement text,
  constraint quality_report_pkey primary key (warehouse_id, id),
  constraint quality_report_number_unique unique (warehouse_id, number),
  constraint quality_report_slip_fkey foreign key (warehouse_id, slip_id) references slip (warehouse_id, id),
  constraint quality_report_line_fkey foreign key (warehouse_id, slip_id, line_no) references slip_line (warehouse_id, slip_id, line_no),
  constraint quality_report_names_line_and_part check ((line_no is null) = (part_id is null)),
  constraint quality_report_party_known check (responsible_party in ('production', 'carrier', 'own-department')),
  constraint quality_report_settled_says_who check ((settled_at is null) = (settled_by is null))
);
create index quality_report_by_day on quality_report (opened_on, warehouse_id);
create index quality_report_by_slip on quality_report (warehouse_id, slip_id);
create index quality_report_newest on quality_report (id desc);
`)
  }
}
