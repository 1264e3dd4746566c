import { Migration } from '@mikro-orm/migrations'

/**
 * Old parts (R-REQ-6): which parts are exchange parts, what of them is due back and by whom, what came back by which slip line, and what
 * was written off. What came back is never stored: it is added up from posted slip lines.
 */
export class OldParts extends Migration {
  override up(): void {
    this.addSql(EXCHANGE_PARTS)
    this.addSql(OLD_PARTS)
    this.addSql(POSITION)
    this.addSql(REFURBISHMENT)
  }
}

const EXCHANGE_PARTS = `
alter table part
  -- An exchange part: the old one is due back so many days after the issue.
  add column exchange_due_days int,
  -- Compensation for one that never comes back; list price, else standard cost, unless given.
  add column old_part_value numeric(18,2),
  -- Its old parts come back by serial number, one by one.
  add column serialised boolean not null default false,
  -- Since when it is one: what was posted before owes nothing.
  add column exchange_since timestamptz,
  add constraint part_exchange_due_days_not_positive check (exchange_due_days > 0),
  add constraint part_old_part_value_negative check (old_part_value >= (0)::numeric),
  add constraint part_old_part_of_exchange_part check (exchange_due_days is not null or (old_part_value is null and not serialised)),
  add constraint part_exchange_says_since_when check ((exchange_due_days is null) = (exchange_since is null));
`

const OLD_PARTS = `
-- What one line of a posted slip made due back. warehouse_id is who owes it: the outlet that the goods were issued to, else the warehouse that issued them.
create table old_part (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  -- Who takes it in and whose finance decides on compensation.
  centre_id int not null references warehouse (id),
  part_id int not null references part (id),
  quantity numeric(15,3) not null,
  -- Compensation for one, as it was when the goods were issued.
  unit_value numeric(18,2) not null,
  serialised boolean not null,
  -- The line by which the new part left.
  issued_by int not null references warehouse (id),
  slip_id bigint not null,
  line_no int not null,
  -- The repair order or request of that slip.
  reference text,
  opened_at timestamptz not null,
  due_on date not null,
  -- When nothing was found outstanding any more. Where lists begin to look, not the truth: that is old_part_position.
  settled_at timestamptz,
  constraint old_part_pkey primary key (warehouse_id, id),
  constraint old_part_number_unique unique (warehouse_id, number),
  constraint old_part_once_per_slip_line unique (issued_by, slip_id, line_no),
  constraint old_part_slip_line_fkey foreign key (issued_by, slip_id, line_no) references slip_line (warehouse_id, slip_id, line_no),
  constraint old_part_quantity_positive check (quantity > 0),
  constraint old_part_unit_value_not_negative check (unit_value >= 0)
);
create index old_part_by_due_day on old_part (due_on, id);
create index old_part_unsettled on old_part (due_on, id) where settled_at is null;
create index old_part_of_outlet on old_part (warehouse_id, due_on, id);

-- The line of a slip by which an old part comes back, or came back when the slip is posted.
create table old_part_return (
  warehouse_id int not null,
  slip_id bigint not null,
  line_no int not null,
  outlet_id int not null,
  old_part_id bigint not null,
  quantity numeric(15,3) not null,
  serial text,
  grade text not null,
  note text,
  constraint old_part_return_pkey primary key (warehouse_id, slip_id, line_no),
  constraint old_part_return_slip_line_fkey foreign key (warehouse_id, slip_id, line_no) references slip_line (warehouse_id, slip_id, line_no),
  constraint old_part_return_old_part_fkey foreign key (outlet_id, old_part_id) references old_part (warehouse_id, id),
  constraint old_part_return_quantity_positive check (quantity > 0),
  constraint old_part_return_serial_of_one check (serial is null or quantity = 1),
  constraint old_part_return_grade_known check (grade in ('repairable', 'scrap', 'incomplete'))
);
create index old_part_return_by_old_part on old_part_return (outlet_id, old_part_id);
create index old_part_return_by_serial on old_part_return (serial) where serial is not null;

-- What will not come back: proposed by the warehouse, decided by its finance.
create table old_part_write_off (
  warehouse_id int not null,
  old_part_id bigint not null,
  write_off_no int not null,
  quantity numeric(15,3) not null,
  reason text not null,
  state text not null,
  proposed_by int not null references person (id),
  -- Who was stood in for.
  proposed_for int references person (id),
  proposed_at timestamptz not null,
  decided_by int references person (id),
  decided_at timestamptz,
  decided_because text,
  -- Compensation, and what it was charged to: the deposit of the outlet, or a claim where it has none.
  amount numeric(18,2),
  charged_to text,
  -- What turned up afterwards, whose compensation was given back.
  turned_up numeric(15,3) not null default 0,
  -- How often that changed: what the ledger of the deposit tells one change from another by.
  changes int not null default 0,
  constraint old_part_write_off_pkey primary key (warehouse_id, old_part_id, write_off_no),
  constraint old_part_write_off_old_part_fkey foreign key (warehouse_id, old_part_id) references old_part (warehouse_id, id),
  constraint old_part_write_off_state_known check (state in ('proposed', 'approved', 'cancelled')),
  constraint old_part_write_off_quantity_positive check (quantity > 0),
  constraint old_part_write_off_turned_up_within check (turned_up >= 0 and turned_up <= quantity and (turned_up = 0 or state = 'approved')),
  constraint old_part_write_off_decided_says_who check ((state = 'proposed') = (decided_by is null) and (decided_by is null) = (decided_at is null)),
  constraint old_part_write_off_by_two_people check (state <> 'approved' or decided_by <> proposed_by),
  constraint old_part_write_off_approved_says_what check ((state = 'approved') = (amount is not null) and (amount is null) = (charged_to is null)),
  constraint old_part_write_off_charged_to_known check (charged_to in ('deposit', 'claim'))
);
create unique index old_part_write_off_one_proposed on old_part_write_off (warehouse_id, old_part_id) where state = 'proposed';
create index old_part_write_off_by_day on old_part_write_off (decided_at desc, warehouse_id, old_part_id, write_off_no) where state = 'approved';
`

// Reversed as a whole or not at all; a reversal is never reversed.
const standing = (slip: string): string =>
  `${slip}.state = 'posted' and not exists (select 1 from slip undone where undone.warehouse_id = ${slip}.warehouse_id and undone.source_slip_id = ${slip}.id and undone.kind = 'reversal' and undone.state = 'posted')`

const POSITION = `
-- Where each old part stands, added up from posted slips: came_back is what came back of the new part, so that nothing is due for it; returned the
-- old ones that are in; arriving those on slips that are not posted yet; written_off what was compensated and did not turn up.
create view old_part_position as
select o.warehouse_id, o.id, o.number, o.centre_id, o.part_id, o.quantity, o.unit_value, o.serialised, o.issued_by, o.slip_id, o.line_no, o.reference, o.opened_at,
       o.due_on, o.settled_at, came_back.quantity as came_back, back.returned, back.arriving, written.off as written_off, written.gross as compensated,
       written.proposed as write_off_proposed, greatest(0, o.quantity - came_back.quantity - back.returned - written.off) as outstanding
  from old_part o
 cross join lateral (
   select least(o.quantity, coalesce(sum(case when r.kind = 'reversal' then o.quantity else l.quantity end), 0)) as quantity
     from slip r
     left join slip_line l on r.kind = 'return' and l.warehouse_id = r.warehouse_id and l.slip_id = r.id and l.source_line = o.line_no
    where r.warehouse_id = o.issued_by and r.source_slip_id = o.slip_id and r.kind in ('return', 'reversal') and ${standing('r')}) came_back
 cross join lateral (
   select coalesce(sum(b.quantity) filter (where ${standing('s')}), 0) as returned,
          coalesce(sum(b.quantity) filter (where s.state not in ('posted', 'cancelled')), 0) as arriving
     from old_part_return b
     join slip s on s.warehouse_id = b.warehouse_id and s.id = b.slip_id
    where b.outlet_id = o.warehouse_id and b.old_part_id = o.id) back
 cross join lateral (
   select coalesce(sum(w.quantity - w.turned_up) filter (where w.state = 'approved'), 0) as off,
          coalesce(sum(w.quantity) filter (where w.state = 'approved'), 0) as gross,
          coalesce(sum(w.quantity) filter (where w.state = 'proposed'), 0) as proposed
     from old_part_write_off w
    where w.warehouse_id = o.warehouse_id and w.old_part_id = o.id) written;

-- What is outstanding, with the compensation it would come to.
create view old_part_outstanding as
select warehouse_id, id, number, part_id, outstanding as quantity, due_on, round(unit_value * outstanding, 2) as value
  from old_part_position
 where settled_at is null and outstanding > 0;
`

const REFURBISHMENT = `
-- A slip that names its lots may take blocked ones, because a count and a recall must; a refurbishment must not. At the end of the statement
-- that posts it the balances are held, so that a recall is either seen here or finds the goods gone.
create function refurbishment_refuse_blocked() returns trigger language plpgsql as $$
declare
  v_recalls text[];
begin
  select array_agg(distinct c.recall order by c.recall) into v_recalls
    from slip_line l
    join lot on lot.warehouse_id = l.warehouse_id and lot.id = l.lot_id and lot.blocked
    join lot_block k on k.warehouse_id = lot.warehouse_id and k.lot_id = lot.id
    join recall_scope c on c.recall_id = k.recall_id
   where l.warehouse_id = new.warehouse_id and l.slip_id = new.id;
  if v_recalls is not null then
    raise exception 'goods are blocked' using errcode = 'BC005', detail = to_jsonb(v_recalls)::text;
  end if;
  return null;
end $$;
create trigger refurbishment_takes_no_blocked_goods after update of state on slip
  for each row when (new.kind = 'refurbishment' and new.state = 'posted' and old.state <> 'posted') execute function refurbishment_refuse_blocked();

insert into journal_account (department, role, account, name, name_zh) values
  ('*', 'refurbishment', '5001.06', 'Production cost: refurbished spare parts', '生产成本—旧件翻新');
`
