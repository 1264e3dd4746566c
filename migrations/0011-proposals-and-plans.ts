import { Migration } from '@mikro-orm/migrations'

/** What is proposed where stock is short, and the purchase plans that gather it. `warehouse_id` leads every key, as in the ledger. */
export class ProposalsAndPlans extends Migration {
  override up(): void {
    this.addSql(`
-- A transfer from the network, or an order (R-ORD-2, R-AGE-8). The warehouse is the one that is short.
create table reorder_proposal (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  kind text not null,
  -- What is short, and what is moved or ordered for it: the same, or what replaces it.
  short_part_id int not null references part (id),
  part_id int not null references part (id),
  quantity numeric(15,3) not null,
  from_warehouse_id int references warehouse (id),
  supplier_id int references supplier (id),
  state text not null default 'open',
  version int not null default 1,
  proposed_at timestamptz not null,
  -- How the position stood at that moment.
  available numeric(15,3) not null,
  on_order numeric(15,3) not null,
  reorder_point numeric(15,3) not null,
  order_up_to numeric(15,3) not null,
  -- The search, as proof: who was looked at, what they had, what they need themselves, why they were skipped or taken.
  evidence jsonb not null,
  decided_at timestamptz,
  decided_by int references person (id),
  decided_quantity numeric(15,3),
  decision_reason text,
  rejection text,
  -- The same need is not proposed again before, unless the position recovers meanwhile.
  quiet_until timestamptz,
  withdrawn_because text,
  -- Of a controlled part: the approval that allows it, and what was drawn from it.
  approval_id int references controlled_approval (id),
  -- What it became: on its way from then on.
  expected_receipt_id bigint,
  constraint reorder_proposal_pkey primary key (warehouse_id, id),
  constraint reorder_proposal_number_unique unique (warehouse_id, number),
  constraint reorder_proposal_expected_receipt_fkey foreign key (warehouse_id, expected_receipt_id) references expected_receipt (warehouse_id, id),
  constraint reorder_proposal_kind_known check (kind in ('transfer', 'order')),
  constraint reorder_proposal_state_known check (state in ('open', 'accepted', 'rejected', 'withdrawn')),
  constraint reorder_proposal_says_where_from check ((kind = 'transfer') = (from_warehouse_id is not null) and (kind = 'order' or supplier_id is null)),
  constraint reorder_proposal_from_another check (from_warehouse_id <> warehouse_id),
  constraint reorder_proposal_positive check (quantity > 0 and decided_quantity > 0),
  constraint reorder_proposal_decided_says_when check ((state = 'open') = (decided_at is null)),
  constraint reorder_proposal_accepted_says_how_much check (state <> 'accepted' or decided_quantity is not null),
  constraint reorder_proposal_rejected_says_why check ((state = 'rejected') = (rejection is not null)),
  constraint reorder_proposal_withdrawn_says_why check ((state = 'withdrawn') = (withdrawn_because is not null))
);
-- Of two runs at once, one proposes.
create unique index reorder_proposal_one_per_need on reorder_proposal (warehouse_id, short_part_id, kind, part_id, coalesce(from_warehouse_id, 0))
  where state = 'open' or (state = 'accepted' and expected_receipt_id is null);
create index reorder_proposal_newest on reorder_proposal (id desc);
create index reorder_proposal_open on reorder_proposal (state, warehouse_id, id) where state in ('open', 'accepted');
create index reorder_proposal_from on reorder_proposal (from_warehouse_id, part_id) where from_warehouse_id is not null and state in ('open', 'accepted');
create index reorder_proposal_quiet on reorder_proposal (warehouse_id, short_part_id) where quiet_until is not null;
create index reorder_proposal_by_expected_receipt on reorder_proposal (warehouse_id, expected_receipt_id) where expected_receipt_id is not null;

-- The purchase plan of a month (采购计划). It is the head office's: warehouse_id is the head office, lines say for whom.
create table purchase_plan (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  period date not null,
  state text not null,
  version int not null default 1,
  -- 采购预算; without one nothing is over budget.
  budget numeric(18,2),
  note text,
  over_budget_because text,
  -- The number of the last line that was ever added.
  last_line int not null default 0,
  duties text[] not null,
  -- Everybody who wrote on it; who submitted it stands last.
  preparers int[] not null,
  prepared_at timestamptz not null,
  submitted_at timestamptz,
  -- SHA-256 of what was submitted; signing computes it anew from the rows and compares.
  content_hash text,
  refusal jsonb,
  approved_at timestamptz,
  cancelled_at timestamptz,
  cancelled_because text,
  constraint purchase_plan_pkey primary key (warehouse_id, id),
  constraint purchase_plan_number_unique unique (warehouse_id, number),
  constraint purchase_plan_state_known check (state in ('draft', 'awaiting-signatures', 'approved', 'cancelled')),
  constraint purchase_plan_of_a_month check (period = date_trunc('month', period::timestamp)::date),
  constraint purchase_plan_budget_not_negative check (budget >= 0),
  constraint purchase_plan_approved_says_when check ((state = 'approved') = (approved_at is not null)),
  constraint purchase_plan_cancelled_says_why check ((state = 'cancelled') = (cancelled_because is not null))
);
create index purchase_plan_newest on purchase_plan (warehouse_id, id desc);

create table purchase_plan_budget (
  warehouse_id int not null,
  plan_id bigint not null,
  supplier_id int not null references supplier (id),
  amount numeric(18,2) not null,
  constraint purchase_plan_budget_pkey primary key (warehouse_id, plan_id, supplier_id),
  constraint purchase_plan_budget_plan_fkey foreign key (warehouse_id, plan_id) references purchase_plan (warehouse_id, id),
  constraint purchase_plan_budget_amount_not_negative check (amount >= 0)
);

create table purchase_plan_line (
  warehouse_id int not null,
  plan_id bigint not null,
  line_no int not null,
  for_warehouse_id int not null references warehouse (id),
  proposal_id bigint not null,
  part_id int not null references part (id),
  supplier_id int references supplier (id),
  quantity numeric(15,3) not null,
  unit_price numeric(18,4),
  amount numeric(18,2) generated always as (round(quantity * unit_price, 2)) stored,
  -- Why quantity or supplier are not those that were accepted.
  changed_because text,
  -- While it is true, the proposal is in no other plan.
  active boolean not null default true,
  expected_receipt_id bigint,
  constraint purchase_plan_line_pkey primary key (warehouse_id, plan_id, line_no),
  constraint purchase_plan_line_plan_fkey foreign key (warehouse_id, plan_id) references purchase_plan (warehouse_id, id),
  constraint purchase_plan_line_proposal_fkey foreign key (for_warehouse_id, proposal_id) references reorder_proposal (warehouse_id, id),
  constraint purchase_plan_line_expected_receipt_fkey foreign key (for_warehouse_id, expected_receipt_id) references expected_receipt (warehouse_id, id),
  constraint purchase_plan_line_positive check (quantity > 0 and unit_price >= 0)
);
create unique index purchase_plan_line_one_plan_per_proposal on purchase_plan_line (warehouse_id, for_warehouse_id, proposal_id) where active;
create index purchase_plan_line_by_proposal on purchase_plan_line (for_warehouse_id, proposal_id) where active;

-- Finance reviews, operations confirms, head office approves last (R-ORD-3).
insert into signing_policy values ('purchase-plan', '{hq-finance,operations-supervisor,stock-controller}');
`)
  }
}
