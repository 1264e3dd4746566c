import { Migration } from '@mikro-orm/migrations'

/** What outlets wait for, and how long they have been waiting. `warehouse_id` is the outlet and leads every key, as in the ledger. */
export class Backorders extends Migration {
  override up(): void {
    this.addSql(`
-- What nobody has for a line of a request (缺货登记, R-REQ-1). One at a time per line; what comes is found for it in the order of
-- urgency, queued_at and id, among those of one centre and part.
create table backorder (
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  request_id bigint not null,
  line_no int not null,
  centre_id int not null references warehouse (id),
  part_id int not null references part (id),
  urgency text not null,
  -- All that it stands for, less what was cancelled; and what of it nobody has yet.
  quantity numeric(15,3) not null,
  waiting numeric(15,3) not null,
  state text not null default 'waiting',
  version int not null default 1,
  registered_at timestamptz not null,
  -- Its place in the queue: earlier than its registration if the request had goods that another took.
  queued_at timestamptz not null,
  promised_on date,
  promise_basis text not null,
  -- The expected receipt that the promise stands on, as lines name it.
  promise_document text,
  answer_due_at timestamptz not null,
  -- The first answer, be it a person's or goods; later ones are in the history.
  answered_at timestamptz,
  answered_by int references person (id),
  -- When the requester was asked whether the need is still there, while that is not answered (R-REQ-3).
  asked_at timestamptz,
  ended_at timestamptz,
  ended_because text,
  constraint backorder_pkey primary key (warehouse_id, id),
  constraint backorder_number_unique unique (warehouse_id, number),
  constraint backorder_urgency_known check (urgency in ('normal', 'emergency')),
  constraint backorder_state_known check (state in ('waiting', 'allocated', 'confirmed', 'fulfilled', 'cancelled')),
  constraint backorder_waits_for_no_more_than_it_is check (waiting >= 0 and waiting <= quantity),
  constraint backorder_promise_says_why check (promise_basis in ('expected-receipt', 'reorder-policy', 'lead-time', 'default', 'person')
    and (promise_document is null or promise_basis = 'expected-receipt')),
  constraint backorder_answered_says_who check ((answered_at is null) = (answered_by is null)),
  constraint backorder_ended_says_why check ((state in ('fulfilled', 'cancelled')) = (ended_at is not null) and (ended_at is null) = (ended_because is null)),
  constraint backorder_ended_waits_for_nothing check (ended_at is null or (waiting = 0 and asked_at is null))
);
create unique index backorder_one_per_line on backorder (warehouse_id, request_id, line_no) where ended_at is null;
create index backorder_by_line on backorder (warehouse_id, request_id, line_no);
create index backorder_newest on backorder (id desc);
-- The queue of a centre and part.
create index backorder_queue on backorder (part_id, centre_id, queued_at, id) where waiting > 0;
create index backorder_unanswered on backorder (answer_due_at) where answered_at is null and ended_at is null;

-- How long a line has been waiting (R-REQ-2): one clock for what was there, one for what was not. due_on is kept so that alerts can look
-- at it; it is worked out anew with each pause, and each night by the calendar of the day.
create table request_clock (
  warehouse_id int not null references warehouse (id),
  request_id bigint not null,
  line_no int not null,
  piece text not null,
  working_days int not null,
  started_at timestamptz not null,
  due_on date not null,
  ended_at timestamptz,
  ended_because text,
  constraint request_clock_pkey primary key (warehouse_id, request_id, line_no, piece),
  constraint request_clock_piece_known check (piece in ('in-stock', 'backordered')),
  constraint request_clock_days_positive check (working_days > 0),
  constraint request_clock_ended_says_why check ((ended_at is null) = (ended_because is null)
    and ended_because in ('issued', 'backordered', 'cancelled'))
);
create index request_clock_running on request_clock (due_on) where ended_at is null;
create index request_clock_started on request_clock (started_at);

-- While the requester is waited for, the clock stands.
create table request_clock_pause (
  warehouse_id int not null,
  request_id bigint not null,
  line_no int not null,
  piece text not null,
  pause_no int not null,
  from_at timestamptz not null,
  to_at timestamptz,
  reason text not null,
  constraint request_clock_pause_pkey primary key (warehouse_id, request_id, line_no, piece, pause_no),
  constraint request_clock_pause_clock_fkey foreign key (warehouse_id, request_id, line_no, piece)
    references request_clock (warehouse_id, request_id, line_no, piece),
  constraint request_clock_pause_ends_after_it_begins check (to_at >= from_at)
);
create unique index request_clock_pause_one_at_a_time on request_clock_pause (warehouse_id, request_id, line_no, piece) where to_at is null;
`)
  }
}
