import { Migration } from '@mikro-orm/migrations'

/**
 * Technicians' tools and test equipment (R-TOOL-1 to R-TOOL-4): a register of their own, beside the ledger of stock. Where a tool is says the
 * last entry of its custody journal, and nothing else moves it.
 */
export class Tools extends Migration {
  override up(): void {
    this.addSql(REGISTER)
    this.addSql(DOCUMENTS)
    this.addSql(JOURNAL)
    this.addSql(KITS_AND_CALIBRATIONS)
  }
}

const REGISTER = `
-- From what value on a tool is a fixed asset (R-TOOL-4), and how its value falls (R-TOOL-2). The row that began last holds.
create table tool_policy (
  valid_from date not null,
  threshold numeric(18,2) not null,
  method text not null,
  life_months int not null,
  residual_share numeric(6,4) not null,
  set_by int not null references person (id),
  set_at timestamptz not null,
  constraint tool_policy_pkey primary key (valid_from),
  constraint tool_policy_threshold_not_negative check (threshold >= (0)::numeric),
  constraint tool_policy_method_known check (method in ('straight-line', 'declining-balance')),
  constraint tool_policy_life_positive check (life_months > 0),
  constraint tool_policy_residual_is_a_share check (residual_share >= (0)::numeric and residual_share < (1)::numeric)
);
insert into tool_policy values ('2000-01-01', 5000, 'straight-line', 60, 0.05, 0, now());

create table tool (
  -- The owner, which leads the key. A transfer changes it, so others refer to the id alone.
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  serial text not null,
  name text not null,
  name_zh text,
  model text,
  -- What it cost when it was bought.
  value numeric(18,2) not null,
  purchased_on date not null,
  fixed_asset boolean not null,
  calibration_months int,
  calibrated_on date,
  calibration_due_on date,
  note text,
  -- Where it is: what the last entry of its journal says, kept by the journal alone. On the shelf of its owner, or in the custody of the holder.
  state text not null default 'shelf',
  holder_id int references person (id),
  moves int not null default 0,
  -- The report of loss or damage about it that is not decided yet, kept by the verbs of loss reports; the tool stays where it is meanwhile.
  loss_id bigint,
  registered_by int not null references person (id),
  registered_at timestamptz not null,
  version int not null default 1,
  constraint tool_pkey primary key (warehouse_id, id),
  constraint tool_id_unique unique (id),
  constraint tool_value_not_negative check (value >= (0)::numeric),
  constraint tool_calibration_months_positive check (calibration_months > 0),
  constraint tool_state_known check (state in ('shelf', 'custody', 'lost', 'scrapped')),
  constraint tool_in_custody_of_somebody check ((state = 'custody') = (holder_id is not null))
) with (fillfactor = 80);
-- In the whole company, in any case.
create unique index tool_serial_unique on tool (upper(serial));
create index tool_by_place on tool (warehouse_id, state, id);
create index tool_by_holder on tool (holder_id, warehouse_id, id) where holder_id is not null;
create index tool_newest on tool (id desc);
create index tool_calibration_due on tool (calibration_due_on, warehouse_id, id) where calibration_due_on is not null and state in ('shelf', 'custody');
`

const DOCUMENTS = `
create table tool_kit (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  code text not null,
  name text not null,
  name_zh text,
  -- Who it was issued to as a whole; nobody while it is on the shelf.
  holder_id int references person (id),
  version int not null default 1,
  constraint tool_kit_pkey primary key (warehouse_id, id)
);
create unique index tool_kit_code_unique on tool_kit (warehouse_id, upper(code));

-- What moves tools once everybody has signed who must: issue and hand-over by giver and taker, a return by the keeper who takes, a transfer
-- by the keepers of both warehouses. warehouse_id is the owner of the tools.
create table tool_document (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  kind text not null,
  state text not null default 'awaiting-signatures',
  giver_id int references person (id),
  -- Who takes; of a return and a transfer only known when a keeper has signed.
  taker_id int references person (id),
  to_warehouse_id int references warehouse (id),
  kit_id bigint,
  -- What of the kit stayed away, as it was when this was drawn up: kits change, papers do not.
  missing_of_kit text[] not null default '{}',
  note text,
  content_hash text not null,
  prepared_by int not null references person (id),
  prepared_at timestamptz not null,
  settled_by int references person (id),
  settled_at timestamptz,
  -- Why it was refused or cancelled.
  reason text,
  version int not null default 1,
  constraint tool_document_pkey primary key (warehouse_id, id),
  constraint tool_document_number_unique unique (warehouse_id, number),
  constraint tool_document_kit_fkey foreign key (warehouse_id, kit_id) references tool_kit (warehouse_id, id),
  constraint tool_document_kind_known check (kind in ('issue', 'return', 'hand-over', 'transfer')),
  constraint tool_document_state_known check (state in ('awaiting-signatures', 'effective', 'refused', 'cancelled')),
  constraint tool_document_settled_says_who check ((state = 'awaiting-signatures') = (settled_at is null) and (settled_by is null) = (settled_at is null)),
  constraint tool_document_ended_says_why check (state not in ('refused', 'cancelled') or reason is not null),
  constraint tool_document_giver_takes_nothing check (giver_id <> taker_id),
  constraint tool_document_transfer_goes_elsewhere check ((kind = 'transfer') = (to_warehouse_id is not null) and to_warehouse_id <> warehouse_id),
  constraint tool_document_hash_is_sha256 check (content_hash ~ '^[0-9a-f]{64}$')
);
create index tool_document_newest on tool_document (id desc);
create index tool_document_by_place on tool_document (warehouse_id, id desc);
create index tool_document_open on tool_document (warehouse_id, id) where state = 'awaiting-signatures';
create index tool_document_by_giver on tool_document (giver_id, id) where giver_id is not null;
create index tool_document_by_taker on tool_document (taker_id, id) where taker_id is not null;

create table tool_document_line (
  warehouse_id int not null,
  document_id bigint not null,
  line_no int not null,
  tool_id bigint not null references tool (id),
  -- As it was called when this was drawn up: that is what was signed, and a tool may be renamed later.
  name text not null,
  name_zh text,
  model text,
  condition text,
  -- Until the document is settled it holds the tool.
  open boolean not null default true,
  constraint tool_document_line_pkey primary key (warehouse_id, document_id, line_no),
  constraint tool_document_line_document_fkey foreign key (warehouse_id, document_id) references tool_document (warehouse_id, id)
);
create unique index tool_document_line_one_open on tool_document_line (tool_id) where open;
create index tool_document_line_by_tool on tool_document_line (tool_id, document_id);

-- Custody is personal: nobody signs for somebody else, and giver and taker are two people (R-TOOL-1).
create table tool_signature (
  warehouse_id int not null,
  document_id bigint not null,
  role text not null,
  person_id int not null references person (id),
  content_hash text not null,
  signed_at timestamptz not null,
  constraint tool_signature_pkey primary key (warehouse_id, document_id, role),
  constraint tool_signature_one_per_person unique (warehouse_id, document_id, person_id),
  constraint tool_signature_document_fkey foreign key (warehouse_id, document_id) references tool_document (warehouse_id, id),
  constraint tool_signature_role_known check (role in ('giver', 'taker')),
  constraint tool_signature_hash_is_sha256 check (content_hash ~ '^[0-9a-f]{64}$')
);
`

// Whoever writes an entry says where the tool is taken from; the trigger holds the tool, and refuses (BC043) an entry that begins elsewhere
// than the last one ended. So a tool is in exactly one place at every position of its journal. It also gives the position.
const JOURNAL = `
create table custody_entry (
  -- The owner once the entry is written: of a transfer the warehouse that takes; of what is found after its own was closed an open one.
  warehouse_id int not null references warehouse (id),
  tool_id bigint not null references tool (id),
  seq int not null,
  kind text not null,
  -- Of the first entry nowhere.
  from_place text,
  from_warehouse_id int references warehouse (id),
  from_person_id int references person (id),
  to_place text not null,
  to_person_id int references person (id),
  -- By what document, of the warehouse that owned the tool then: of this room or a loss report.
  document_id bigint,
  at timestamptz not null,
  person_id int not null references person (id),
  constraint custody_entry_pkey primary key (warehouse_id, tool_id, seq),
  constraint custody_entry_in_order unique (tool_id, seq),
  constraint custody_entry_kind_known check (kind in ('registered', 'issued', 'returned', 'handed-over', 'transferred', 'lost', 'scrapped', 'repaired', 'found')),
  constraint custody_entry_places_known check (from_place in ('shelf', 'custody', 'lost', 'scrapped') and to_place in ('shelf', 'custody', 'lost', 'scrapped')),
  constraint custody_entry_custody_of_somebody check ((to_place = 'custody') = (to_person_id is not null) and (coalesce(from_place, '') = 'custody') = (from_person_id is not null)),
  constraint custody_entry_first_from_nowhere check ((seq = 1) = (from_place is null) and (from_place is null) = (from_warehouse_id is null) and (seq = 1) = (kind = 'registered')),
  constraint custody_entry_changes_owner_onto_a_shelf check (from_warehouse_id is null or from_warehouse_id = warehouse_id
    or (to_place = 'shelf' and ((kind = 'transferred' and from_place = 'shelf') or (kind = 'found' and from_place = 'lost'))))
);
create index custody_entry_by_document on custody_entry (document_id) where document_id is not null;

create function custody_entry_follow() returns trigger language plpgsql as $$
declare
  v_tool tool;
begin
  select * into v_tool from tool where id = new.tool_id for no key update;
  if v_tool.moves > 0 and (v_tool.state, v_tool.warehouse_id, v_tool.holder_id) is distinct from (new.from_place, new.from_warehouse_id, new.from_person_id)
     or v_tool.moves = 0 and new.from_place is not null then
    raise exception 'tool % is not where its entry begins', v_tool.serial using errcode = 'BC043';
  end if;
  new.seq := v_tool.moves + 1;
  update tool set moves = new.seq, state = new.to_place, holder_id = new.to_person_id, warehouse_id = new.warehouse_id, version = version + 1 where id = new.tool_id;
  return new;
end $$;
create trigger custody_entry_moves_tool before insert on custody_entry for each row execute function custody_entry_follow();

create function custody_entry_keep() returns trigger language plpgsql as $$
begin
  raise exception 'custody_entry is append-only';
end $$;
create trigger custody_entry_append_only before update or delete or truncate on custody_entry
  for each statement execute function custody_entry_keep();

create function tool_place_keep() returns trigger language plpgsql as $$
begin
  raise exception 'tool % is moved by an entry of its journal only', old.serial;
end $$;
create trigger tool_moves_by_journal before update on tool for each row
  when (pg_trigger_depth() = 0 and (old.state, old.warehouse_id, old.holder_id, old.moves) is distinct from (new.state, new.warehouse_id, new.holder_id, new.moves))
  execute function tool_place_keep();
`

const KITS_AND_CALIBRATIONS = `
-- A tool is in one kit at most.
create table tool_kit_tool (
  warehouse_id int not null,
  kit_id bigint not null,
  tool_id bigint not null references tool (id),
  constraint tool_kit_tool_pkey primary key (warehouse_id, kit_id, tool_id),
  constraint tool_kit_tool_one_kit unique (tool_id),
  constraint tool_kit_tool_kit_fkey foreign key (warehouse_id, kit_id) references tool_kit (warehouse_id, id) on delete cascade
);

-- A correction is an entry of its own, and the one that it corrects says so; what is not corrected holds.
create table tool_calibration (
  warehouse_id int not null references warehouse (id),
  tool_id bigint not null references tool (id),
  entry_no int not null,
  corrects int,
  calibrated_on date not null,
  certificate text not null,
  next_due_on date,
  note text,
  -- Of the first entry: what the tool went by until then, as it was registered.
  before_on date,
  before_due_on date,
  recorded_by int not null references person (id),
  recorded_at timestamptz not null,
  corrected_by int references person (id),
  corrected_at timestamptz,
  corrected_because text,
  constraint tool_calibration_pkey primary key (warehouse_id, tool_id, entry_no),
  constraint tool_calibration_in_order unique (tool_id, entry_no),
  constraint tool_calibration_due_later check (next_due_on > calibrated_on),
  constraint tool_calibration_corrects_an_earlier_one check (corrects < entry_no),
  constraint tool_calibration_corrected_says_why check ((corrected_at is null) = (corrected_by is null) and (corrected_at is null) = (corrected_because is null))
);
create unique index tool_calibration_once_a_day on tool_calibration (tool_id, calibrated_on) where corrected_at is null;
`
