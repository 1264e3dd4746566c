import { Migration } from '@mikro-orm/migrations'

/** Counts (盘点). `warehouse_id` leads every key, as in the ledger. */
export class Counts extends Migration {
  override up(): void {
    this.addSql(`
-- How far a count may be off before somebody else counts again: both limits hold. By criticality class; '*' for every class without its own.
create table count_tolerance (
  criticality text not null,
  percent numeric(6,3) not null,
  amount numeric(18,2) not null,
  constraint count_tolerance_pkey primary key (criticality),
  constraint count_tolerance_within_reason check (percent >= 0 and percent <= 100 and amount >= 0)
);
insert into count_tolerance values ('*', 0, 0);

create table stock_count (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  kind text not null,
  state text not null,
  version int not null default 1,
  -- The month that a month-end count is of; a cycle count has none.
  period date,
  -- What a cycle count chose: {"criticality": "A"}, {"category": "x"}, {"parts": [...]}, {"zeroStock": true}.
  scope jsonb not null,
  -- Movements of the counted balances with an id up to here are in the snapshot, later ones are not.
  position bigint not null,
  opened_at timestamptz not null,
  opened_by int not null references person (id),
  duties text[] not null,
  note text,
  submitted_at timestamptz,
  submitted_by int references person (id),
  refusal jsonb,
  approved_at timestamptz,
  cancelled_at timestamptz,
  cancelled_because text,
  cancelled_by int references person (id),
  -- SHA-256 of what was submitted; signing computes it anew from the lines and compares.
  content_hash text,
  -- The slip that adjusts the ledger, posted with the approval; none where everything agreed.
  adjustment_slip_id bigint,
  -- The count whose lines were set aside or could not be adjusted, and which this one counts again.
  follows_count_id bigint,
  -- The counts that had balances when this one was opened, which it therefore has not: [{"count": "…", "lines": 3}].
  counted_elsewhere jsonb,
  reported_at timestamptz,
  reported_by int references person (id),
  report_note text,
  -- What was reported: the content hash of that moment.
  reported_hash text,
  constraint stock_count_pkey primary key (warehouse_id, id),
  constraint stock_count_number_unique unique (warehouse_id, number),
  constraint stock_count_kind_known check (kind in ('month-end', 'cycle')),
  constraint stock_count_state_known check (state in ('counting', 'awaiting-signatures', 'approved', 'cancelled')),
  constraint stock_count_month_end_has_a_month check ((kind = 'month-end') = (period is not null)),
  constraint stock_count_approved_says_when check ((state = 'approved') = (approved_at is not null)),
  constraint stock_count_adjustment_fkey foreign key (warehouse_id, adjustment_slip_id) references slip (warehouse_id, id),
  constraint stock_count_follows_fkey foreign key (warehouse_id, follows_count_id) references stock_count (warehouse_id, id)
);
create unique index stock_count_one_month_end on stock_count (warehouse_id, period) where kind = 'month-end' and state <> 'cancelled';
create index stock_count_by_state on stock_count (state, warehouse_id);
create index stock_count_newest_of_all on stock_count (id desc);
create index stock_count_by_period on stock_count (period, warehouse_id) where period is not null;
create index stock_count_following on stock_count (warehouse_id, follows_count_id) where follows_count_id is not null;

create table count_line (
  warehouse_id int not null,
  count_id bigint not null,
  line_no int not null,
  part_id int not null references part (id),
  ownership text not null,
  condition text not null,
  -- On hand in the ledger at the position of the count; null for goods that no balance knew and the counter found.
  snapshot numeric(15,3),
  state text not null default 'open',
  -- The entry that holds, copied from count_entry when the line is settled.
  counted numeric(15,3),
  card numeric(15,3),
  expected numeric(15,3),
  -- How often it was counted, and who counted it last, for whom, when.
  rounds int not null default 0,
  counted_by int references person (id),
  counted_for int references person (id),
  counted_at timestamptz,
  -- Per lot where the counter counted lots: [{"lot": "12", "counted": "5", "expected": "6"}], decimals as text.
  lots jsonb,
  -- The lot that a gain belongs to, found when the line was settled: what becomes of the lot later changes neither its cost nor its age.
  gain_lot bigint,
  -- Of the variance, at the cost of the lots it concerns.
  variance_value numeric(18,2),
  cause text,
  cause_note text,
  evidence text,
  explained_by int references person (id),
  explained_for int references person (id),
  explained_at timestamptz,
  -- Everybody who ever explained it, and for whom; an explanation that was taken back still has its author.
  explainers int[] not null default '{}',
  -- What found goods are worth, and the paper that says so.
  unit_cost numeric(18,4),
  received_on date,
  cost_document text,
  verified_by int references person (id),
  verified_at timestamptz,
  verification_note text,
  -- Verified also where nothing differs: it was objected to, its rounds disagree, or another count left it over.
  must_verify boolean not null default false,
  -- Who counted the balance in the counts that this one follows, and for whom: they do not count it again.
  counted_before int[] not null default '{}',
  -- Why the finance supervisor had it counted again.
  objection text,
  set_aside_because text,
  set_aside_by int references person (id),
  added_by int references person (id),
  -- The first line of the adjustment slip that is about it, or why it could not be adjusted.
  adjusted_line_no int,
  adjustment_problem text,
  -- While it is true, no other count may have the same balance.
  active boolean not null default true,
  constraint count_line_pkey primary key (warehouse_id, count_id, line_no),
  constraint count_line_count_fkey foreign key (warehouse_id, count_id) references stock_count (warehouse_id, id),
  constraint count_line_ownership_known check (ownership in ('own', 'consigned')),
  constraint count_line_condition_known check (condition in ('qualified', 'nonconforming')),
  constraint count_line_state_known check (state in ('open', 'recount-due', 'settled', 'set-aside')),
  constraint count_line_settled_was_counted check (state <> 'settled' or (counted is not null and card is not null and expected is not null)),
  constraint count_line_counted_not_negative check (counted >= 0 and card >= 0)
);
-- No second index begins with the count: right after a count was opened the planner could not tell it from the primary key.
create unique index count_line_one_count_per_balance on count_line (warehouse_id, part_id, ownership, condition) where active;
create index count_line_last_counted on count_line (warehouse_id, part_id, ownership, condition, counted_at desc) where state = 'settled';

-- What was entered, by whom, and what the ledger held at that moment. Append-only: a recount is another entry.
create sequence count_entry_id_seq;
create table count_entry (
  warehouse_id int not null,
  id bigint not null default nextval('count_entry_id_seq'),
  count_id bigint not null,
  line_no int not null,
  round int not null,
  counted numeric(15,3) not null,
  card numeric(15,3) not null,
  expected numeric(15,3) not null,
  -- Movements of the balance with an id up to here are in the expected quantity.
  position bigint not null,
  lots jsonb,
  counted_by int not null references person (id),
  -- Who was stood in for.
  counted_for int references person (id),
  counted_at timestamptz not null,
  constraint count_entry_pkey primary key (warehouse_id, id),
  constraint count_entry_line_fkey foreign key (warehouse_id, count_id, line_no) references count_line (warehouse_id, count_id, line_no),
  constraint count_entry_quantities_not_negative check (counted >= 0 and card >= 0 and expected >= 0)
);
create index count_entry_by_line on count_entry (warehouse_id, count_id, line_no, id);
-- Supervised by finance (监盘), owned by the department, approved by head office (R-CNT-4).
insert into signing_policy values ('count', '{finance-supervisor,department-head,stock-controller}');

create function count_entry_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'what was counted is never edited or deleted; count again' using errcode = 'BC012';
end $$;
create trigger count_entry_is_append_only before update or delete on count_entry
  for each row execute function count_entry_refuse_change();
create trigger count_entry_is_never_emptied before truncate on count_entry
  for each statement execute function count_entry_refuse_change();
`)
  }
}
