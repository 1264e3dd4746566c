import { Migration } from '@mikro-orm/migrations'

/** What outlets ask for, and from where they get it (R-REQ-1, R-REQ-4). A request is its outlet's: `warehouse_id` leads every key. */
export class Requests extends Migration {
  override up(): void {
    this.addSql(REQUESTS)
    this.addSql(ALLOCATIONS)
    this.addSql(RESTRICTIONS)
  }
}

const REQUESTS = `
create table request (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  -- The warehouse that was asked first, and hands the goods out: the nearest centre above the outlet on that day.
  centre_id int not null references warehouse (id),
  urgency text not null,
  carriage text,
  need_by date not null,
  repair_order text,
  contact text,
  note text,
  accepts_partial boolean not null,
  accepts_substitutes boolean not null,
  state text not null default 'open',
  version int not null default 1,
  -- Of all lines as requested: list price, else standard cost, times quantity.
  value numeric(18,2) not null,
  requested_by int not null references person (id),
  requested_at timestamptz not null,
  ended_at timestamptz,
  constraint request_pkey primary key (warehouse_id, id),
  constraint request_number_unique unique (warehouse_id, number),
  constraint request_of_another check (centre_id <> warehouse_id),
  constraint request_urgency_known check (urgency in ('normal', 'emergency')),
  constraint request_carriage_known check (carriage in ('road', 'express', 'air')),
  constraint request_emergency_names_the_carriage check (urgency = 'normal' or carriage is not null),
  constraint request_state_known check (state in ('open', 'done', 'cancelled')),
  constraint request_ended_says_when check ((state = 'open') = (ended_at is null)),
  constraint request_value_not_negative check (value >= 0)
);
create index request_newest on request (warehouse_id, id desc);
create index request_newest_of_all on request (id desc);
create index request_worklist on request (centre_id, urgency, need_by, id) where state = 'open';
create index request_of_centre on request (centre_id, id desc);

create table request_line (
  warehouse_id int not null,
  request_id bigint not null,
  line_no int not null,
  part_id int not null references part (id),
  -- Stock units of the part, and as it was written.
  quantity numeric(15,3) not null,
  unit text not null,
  unit_quantity numeric(15,3) not null,
  -- Of one stock unit; what the deposit is held by.
  unit_price numeric(18,4) not null,
  note text,
  -- A controlled part waits until an approval covers the line (R-CAT-2); the approval it was drawn from then.
  awaiting_approval boolean not null default false,
  approval_id int references controlled_approval (id),
  cancelled numeric(15,3) not null default 0,
  cancelled_because text,
  -- The last search of the network for it, step by step, whatever came of it.
  search jsonb,
  constraint request_line_pkey primary key (warehouse_id, request_id, line_no),
  constraint request_line_request_fkey foreign key (warehouse_id, request_id) references request (warehouse_id, id),
  constraint request_line_positive check (quantity > 0 and unit_quantity > 0),
  constraint request_line_price_not_negative check (unit_price >= 0),
  constraint request_line_cancelled_within_quantity check (cancelled >= 0 and cancelled <= quantity),
  constraint request_line_cancelled_says_why check (cancelled = 0 or cancelled_because is not null)
);
create index request_line_by_part on request_line (part_id, warehouse_id);
create index request_line_awaiting_approval on request_line (warehouse_id, part_id) where awaiting_approval;
`

const ALLOCATIONS = `
-- Goods that were found for a line, and what became of them. One row is one reservation at a time: where the goods lie first, and after
-- a transfer at the centre. What a transfer brings in parts is split into rows of its own.
create table request_allocation (
  warehouse_id int not null,
  request_id bigint not null,
  line_no int not null,
  allocation_no int not null,
  -- The line's part, or what replaces it; factor of these stand for one of the line's.
  part_id int not null references part (id),
  factor numeric(15,3) not null default 1,
  -- Stock units of part_id. What came to nothing is taken off, so that the rows that are not ended add up to what the line has.
  quantity numeric(15,3) not null,
  -- Of it what posted issue slips handed out.
  issued numeric(15,3) not null default 0,
  step text not null,
  from_warehouse_id int not null references warehouse (id),
  ownership text not null,
  -- In from_warehouse_id; released or used up once the goods left it.
  reservation_id bigint,
  -- Of from_warehouse_id.
  transfer_id bigint,
  -- At the centre, where the goods are handed out.
  centre_reservation_id bigint,
  -- The allocation whose transfer brought it, where that came in parts.
  split_from int,
  -- The backorder it answers.
  backorder_id bigint,
  -- Goods found for a backorder move only after the requester said that they are still needed (R-REQ-3).
  needs_confirmation boolean not null default false,
  confirmed_at timestamptz,
  state text not null,
  -- The last day on which it is kept for the requester; goods on their way have none.
  expires_on date,
  allocated_at timestamptz not null,
  ended_at timestamptz,
  ended_because text,
  -- The search up to this step: who was looked at, what was there, what waits in front, what was taken.
  evidence jsonb not null,
  constraint request_allocation_pkey primary key (warehouse_id, request_id, line_no, allocation_no),
  constraint request_allocation_line_fkey foreign key (warehouse_id, request_id, line_no)
    references request_line (warehouse_id, request_id, line_no),
  constraint request_allocation_positive check (quantity > 0 and factor > 0),
  constraint request_allocation_issued_within_quantity check (issued >= 0 and issued <= quantity),
  constraint request_allocation_step_known check (step in ('centre', 'regional-network', 'head-office', 'other-regions')),
  constraint request_allocation_ownership_known check (ownership in ('own', 'consigned')),
  constraint request_allocation_state_known check (state in ('reserved', 'on-its-way', 'ready', 'issued', 'ended')),
  constraint request_allocation_issued_whole check (state <> 'issued' or issued = quantity),
  constraint request_allocation_ended_without_goods check (state <> 'ended' or issued = 0),
  constraint request_allocation_ended_says_why check ((state = 'ended') = (ended_at is not null) and (state = 'ended') = (ended_because is not null)),
  constraint request_allocation_ready_at_the_centre check (state <> 'ready' or centre_reservation_id is not null)
);
create index request_allocation_by_reservation on request_allocation (from_warehouse_id, reservation_id) where reservation_id is not null;
create index request_allocation_by_centre_reservation on request_allocation (centre_reservation_id) where centre_reservation_id is not null;
create index request_allocation_by_transfer on request_allocation (from_warehouse_id, transfer_id) where transfer_id is not null;
create index request_allocation_expiring on request_allocation (expires_on, warehouse_id) where state in ('reserved', 'ready');
create index request_allocation_live on request_allocation (part_id, from_warehouse_id) where state in ('reserved', 'on-its-way', 'ready');

-- Which lines name a reservation: what was issued of it, and what is written on slips that are not posted.
create index slip_line_by_reservation on slip_line (warehouse_id, reservation_id) where reservation_id is not null;

-- Where every line stands, in its own part's stock units: what is allocated and not yet issued, what was issued, and what nothing covers.
create view request_line_position as
select l.warehouse_id, l.request_id, l.line_no, l.part_id, l.quantity, l.cancelled, l.awaiting_approval, l.unit_price,
       a.allocated, a.issued, greatest(0, l.quantity - l.cancelled - a.allocated - a.issued) as uncovered
  from request_line l
 cross join lateral (select coalesce(sum(round((a.quantity - a.issued) / a.factor, 3)) filter (where a.state <> 'ended'), 0) as allocated,
                            coalesce(sum(round(a.issued / a.factor, 3)) filter (where a.state <> 'ended'), 0) as issued
                       from request_allocation a
                      where a.warehouse_id = l.warehouse_id and a.request_id = l.request_id and a.line_no = l.line_no) a;
`

const RESTRICTIONS = `
-- What may not be requested by whom: a part or a whole category; by one warehouse, those of a region, or all.
create sequence order_restriction_id_seq;
create table order_restriction (
  id int not null default nextval('order_restriction_id_seq'),
  part_id int references part (id),
  category text,
  warehouse_id int references warehouse (id),
  region_id int references region (id),
  reason text not null,
  set_by int not null references person (id),
  set_at timestamptz not null,
  constraint order_restriction_pkey primary key (id),
  constraint order_restriction_said_once unique nulls not distinct (part_id, category, warehouse_id, region_id),
  constraint order_restriction_names_goods check ((part_id is null) <> (category is null)),
  constraint order_restriction_names_one_place check (warehouse_id is null or region_id is null)
);
create index order_restriction_by_category on order_restriction (category) where category is not null;
`
