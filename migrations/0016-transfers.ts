import { Migration } from '@mikro-orm/migrations'

/**
 * Transfers (调拨) as one document over two slips, with goods in transit between (R-AGE-7). A transfer is the giver's: `warehouse_id`
 * leads every key. What was sent, received or is in transit is never stored: posted slips say so, through `transfer_flow`.
 */
export class Transfers extends Migration {
  override up(): void {
    this.addSql(TABLES)
    this.addSql(SLIPS)
    this.addSql(VIEWS)
    this.addSql(FOLLOWING)
  }
}

const TABLES = `
create table transfer (
  -- The giver.
  warehouse_id int not null references warehouse (id),
  id bigint not null default nextval('document_id_seq'),
  number text not null,
  to_warehouse_id int not null references warehouse (id),
  -- Where the goods physically go, while the papers run through the receiver.
  direct_to_warehouse_id int references warehouse (id),
  -- Follows the slips; kept by settle_transfer alone.
  state text not null default 'ordered',
  version int not null default 1,
  carriage text,
  carrier text,
  reference text,
  because text not null,
  ordered_at timestamptz not null,
  ordered_by int not null references person (id),
  -- Nothing more will be sent, although less than ordered was.
  rest_closed_at timestamptz,
  rest_closed_because text,
  cancelled_at timestamptz,
  cancelled_because text,
  constraint transfer_pkey primary key (warehouse_id, id),
  constraint transfer_number_unique unique (warehouse_id, number),
  constraint transfer_to_another check (to_warehouse_id <> warehouse_id),
  constraint transfer_state_known check (state in ('ordered', 'awaiting-dispatch', 'in-transit', 'received', 'called-back', 'cancelled')),
  constraint transfer_carriage_known check (carriage in ('road', 'express', 'air')),
  constraint transfer_rest_closed_says_why check ((rest_closed_at is null) = (rest_closed_because is null)),
  constraint transfer_cancelled_says_why check ((cancelled_at is null) = (cancelled_because is null) and (state = 'cancelled') = (cancelled_at is not null))
);
create index transfer_newest on transfer (id desc);
create index transfer_to on transfer (to_warehouse_id, id desc);
create index transfer_direct_to on transfer (direct_to_warehouse_id, id desc) where direct_to_warehouse_id is not null;
create index transfer_by_reference on transfer (reference) where reference is not null;
create index transfer_unfinished on transfer (state, warehouse_id, id) where state in ('ordered', 'awaiting-dispatch', 'in-transit');

create table transfer_line (
  warehouse_id int not null,
  transfer_id bigint not null,
  line_no int not null,
  part_id int not null references part (id),
  ownership text not null,
  condition text not null,
  quantity numeric(15,3) not null,
  -- Holds the goods at the giver until they leave. Goods of a named lot are not reserved: a recall sends what nobody may promise.
  reservation_id bigint,
  lot_id bigint,
  -- What the goods are for when they arrive: they are reserved for it by the posting.
  reserve_for text,
  -- Of the receiver: what was on its way and arrives by this.
  expected_receipt_id bigint,
  constraint transfer_line_pkey primary key (warehouse_id, transfer_id, line_no),
  constraint transfer_line_transfer_fkey foreign key (warehouse_id, transfer_id) references transfer (warehouse_id, id),
  constraint transfer_line_reservation_fkey foreign key (warehouse_id, reservation_id) references reservation (warehouse_id, id),
  constraint transfer_line_lot_fkey foreign key (warehouse_id, lot_id) references lot (warehouse_id, id),
  constraint transfer_line_positive check (quantity > 0),
  constraint transfer_line_ownership_known check (ownership in ('own', 'consigned')),
  constraint transfer_line_condition_known check (condition in ('qualified', 'nonconforming'))
);
create index transfer_line_by_expected_receipt on transfer_line (expected_receipt_id) where expected_receipt_id is not null;

-- What did not arrive, or arrived damaged, and who answers for it. In effect once the slip that found it is posted.
create table transfer_claim (
  warehouse_id int not null,
  transfer_id bigint not null,
  claim_no int not null,
  line_no int not null,
  kind text not null,
  responsible text not null,
  note text,
  state text not null default 'open',
  opened_at timestamptz not null,
  opened_by int not null references person (id),
  decided_at timestamptz,
  decided_on date,
  decided_by int references person (id),
  decision text,
  constraint transfer_claim_pkey primary key (warehouse_id, transfer_id, claim_no),
  constraint transfer_claim_line_fkey foreign key (warehouse_id, transfer_id, line_no) references transfer_line (warehouse_id, transfer_id, line_no),
  constraint transfer_claim_kind_known check (kind in ('damaged', 'missing')),
  constraint transfer_claim_responsible_known check (responsible in ('carrier', 'giver')),
  constraint transfer_claim_state_known check (state in ('open', 'settled', 'withdrawn')),
  constraint transfer_claim_decided_says_all check (
    (state = 'open') = (decided_at is null) and (decided_at is null) = (decided_by is null) and (decided_at is null) = (decision is null)
    and (decided_at is null) = (decided_on is null))
);

-- What a slip accounts for of what was sent: the piece [from, until) of the goods that one out slip took from one lot, with its share of
-- their value. It holds that piece from the moment the slip is written until the slip is cancelled or reversed.
create table transfer_arrival (
  warehouse_id int not null,
  transfer_id bigint not null,
  arrival_no int not null,
  line_no int not null,
  kind text not null,
  -- The slip that brings it in: the receiver's, or the giver's own where goods are called back.
  slip_warehouse_id int not null,
  slip_id bigint not null,
  slip_line_no int not null,
  -- The slip of the giver by which it left, and the lot.
  out_slip_id bigint not null,
  out_line_no int not null,
  out_lot_id bigint not null,
  from_quantity numeric(15,3) not null,
  until_quantity numeric(15,3) not null,
  cost numeric(18,2) not null,
  charge numeric(18,2) not null,
  claim_no int,
  constraint transfer_arrival_pkey primary key (warehouse_id, transfer_id, arrival_no),
  constraint transfer_arrival_line_fkey foreign key (warehouse_id, transfer_id, line_no) references transfer_line (warehouse_id, transfer_id, line_no),
  constraint transfer_arrival_claim_fkey foreign key (warehouse_id, transfer_id, claim_no) references transfer_claim (warehouse_id, transfer_id, claim_no),
  constraint transfer_arrival_slip_fkey foreign key (slip_warehouse_id, slip_id, slip_line_no) references slip_line (warehouse_id, slip_id, line_no),
  constraint transfer_arrival_out_slip_fkey foreign key (warehouse_id, out_slip_id, out_line_no) references slip_line (warehouse_id, slip_id, line_no),
  constraint transfer_arrival_kind_known check (kind in ('received', 'damaged', 'missing', 'called-back')),
  constraint transfer_arrival_piece_in_order check (from_quantity >= 0 and from_quantity < until_quantity),
  constraint transfer_arrival_claimed_where_not_whole check ((claim_no is not null) = (kind in ('damaged', 'missing')))
);
create index transfer_arrival_by_slip on transfer_arrival (slip_warehouse_id, slip_id);
create index transfer_arrival_by_out_slip on transfer_arrival (warehouse_id, out_slip_id);

-- What the carriage cost, and who pays it (R-AGE-7). A correction is an entry with a minus sign.
create table transfer_transport (
  warehouse_id int not null,
  transfer_id bigint not null,
  entry_no int not null,
  leg text not null,
  amount numeric(18,2) not null,
  paid_by_warehouse_id int not null references warehouse (id),
  carrier text,
  note text,
  entered_on date not null,
  entered_at timestamptz not null,
  entered_by int not null references person (id),
  constraint transfer_transport_pkey primary key (warehouse_id, transfer_id, entry_no),
  constraint transfer_transport_transfer_fkey foreign key (warehouse_id, transfer_id) references transfer (warehouse_id, id),
  constraint transfer_transport_leg_known check (leg in ('local', 'from-head-office')),
  constraint transfer_transport_is_an_amount check (amount <> 0),
  constraint transfer_transport_correction_says_why check (amount > 0 or note is not null)
);
create index transfer_transport_by_day on transfer_transport (entered_on, warehouse_id);
`

const SLIPS = `
-- The transfer that a slip belongs to, and the line of it. A reversal belongs where the slip does that it reverses.
alter table slip add column transfer_warehouse_id int;
alter table slip add column transfer_id bigint;
alter table slip add constraint slip_transfer_is_whole check ((transfer_warehouse_id is null) = (transfer_id is null));
alter table slip add constraint slip_transfer_fkey foreign key (transfer_warehouse_id, transfer_id) references transfer (warehouse_id, id);
create index slip_by_transfer on slip (transfer_warehouse_id, transfer_id, id) where transfer_id is not null;
create index slip_of_transfers_by_day on slip (warehouse_id, occurred_on) where transfer_id is not null;
create index slip_of_transfers_anywhere on slip (occurred_on) where transfer_id is not null;
alter table slip_line add column transfer_line int;
-- Goods that left and did not arrive are a line, too: it moves nothing, and is signed with the rest.
alter table slip_line drop constraint slip_line_moves_something;
alter table slip_line add constraint slip_line_moves_something check (quantity <> 0 or difference is not null or expected_quantity > 0);

create function slip_reversal_joins_transfer() returns trigger language plpgsql as $$
begin
  select s.transfer_warehouse_id, s.transfer_id into new.transfer_warehouse_id, new.transfer_id
    from slip s where s.warehouse_id = new.warehouse_id and s.id = new.source_slip_id;
  return new;
end $$;
create trigger slip_reversal_joins_transfer before insert on slip
  for each row when (new.kind = 'reversal') execute function slip_reversal_joins_transfer();
`

const VIEWS = `
-- Everything that went into transit or came out of it, with the day of its paper: sent and not yet accounted for is what is left when all
-- of a transfer is added up. What is undone stands there once more with the opposite sign.
create view transfer_flow as
select s.transfer_warehouse_id as warehouse_id, s.transfer_id, l.transfer_line as line_no, 'sent' as kind, false as undone,
       s.warehouse_id as slip_warehouse_id, s.id as slip_id, s.occurred_on as day, s.posted_at as at,
       s.id as out_slip_id, m.line_no as out_line_no, m.lot_id as out_lot_id, null::int as claim_no, -m.quantity as quantity, -m.cost as cost, -m.charge as charge
  from slip s
  join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id
  join movement m on m.warehouse_id = s.warehouse_id and m.slip_id = s.id and m.line_no = l.line_no and m.occurred_on = s.occurred_on
 where s.transfer_id is not null and s.kind = 'transfer-out' and s.state = 'posted'
union all
select s.transfer_warehouse_id, s.transfer_id, l.transfer_line, 'sent', true,
       r.warehouse_id, r.id, r.occurred_on, r.posted_at,
       s.id, m.line_no, m.lot_id, null, m.quantity, m.cost, m.charge
  from slip s
  join slip r on r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted'
  join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id
  join movement m on m.warehouse_id = s.warehouse_id and m.slip_id = s.id and m.line_no = l.line_no and m.occurred_on = s.occurred_on
 where s.transfer_id is not null and s.kind = 'transfer-out' and s.state = 'posted'
union all
select a.warehouse_id, a.transfer_id, a.line_no, a.kind, false,
       s.warehouse_id, s.id, s.occurred_on, s.posted_at,
       a.out_slip_id, a.out_line_no, a.out_lot_id, a.claim_no, a.from_quantity - a.until_quantity, -a.cost, -a.charge
  from transfer_arrival a
  join slip s on s.warehouse_id = a.slip_warehouse_id and s.id = a.slip_id and s.state = 'posted'
union all
select a.warehouse_id, a.transfer_id, a.line_no, a.kind, true,
       r.warehouse_id, r.id, r.occurred_on, r.posted_at,
       a.out_slip_id, a.out_line_no, a.out_lot_id, a.claim_no, a.until_quantity - a.from_quantity, a.cost, a.charge
  from transfer_arrival a
  join slip r on r.warehouse_id = a.slip_warehouse_id and r.source_slip_id = a.slip_id and r.kind = 'reversal' and r.state = 'posted'
  left join transfer_claim c on c.warehouse_id = a.warehouse_id and c.transfer_id = a.transfer_id and c.claim_no = a.claim_no
 where not (a.kind = 'missing' and c.state = 'withdrawn')
union all
-- What was missing and turned up is in transit again.
select a.warehouse_id, a.transfer_id, a.line_no, a.kind, true,
       s.warehouse_id, s.id, c.decided_on, c.decided_at,
       a.out_slip_id, a.out_line_no, a.out_lot_id, a.claim_no, a.until_quantity - a.from_quantity, a.cost, a.charge
  from transfer_arrival a
  join transfer_claim c on c.warehouse_id = a.warehouse_id and c.transfer_id = a.transfer_id and c.claim_no = a.claim_no and c.state = 'withdrawn'
  join slip s on s.warehouse_id = a.slip_warehouse_id and s.id = a.slip_id and s.state = 'posted'
 where a.kind = 'missing';

-- Pieces of what was sent that nobody else can account for: their slip is posted, or may be yet.
create view transfer_hold as
select a.*, s.state as slip_state, s.number as slip
  from transfer_arrival a
  join slip s on s.warehouse_id = a.slip_warehouse_id and s.id = a.slip_id and s.state <> 'cancelled'
  left join transfer_claim c on c.warehouse_id = a.warehouse_id and c.transfer_id = a.transfer_id and c.claim_no = a.claim_no
 where not (a.kind = 'missing' and c.state = 'withdrawn' and s.state = 'posted')
   and not exists (select 1 from slip r where r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted');

create view transfer_line_position as
select l.warehouse_id, l.transfer_id, l.line_no, l.part_id, l.ownership, l.condition, l.quantity,
       moved.sent, moved.received, moved.damaged, moved.missing, moved.called_back,
       moved.sent - moved.received - moved.damaged - moved.missing - moved.called_back as in_transit,
       -- Written on out slips that are not posted yet.
       open.quantity as being_sent
  from transfer_line l
 cross join lateral (select coalesce(sum(f.quantity) filter (where f.kind = 'sent'), 0) as sent,
                            coalesce(-sum(f.quantity) filter (where f.kind = 'received'), 0) as received,
                            coalesce(-sum(f.quantity) filter (where f.kind = 'damaged'), 0) as damaged,
                            coalesce(-sum(f.quantity) filter (where f.kind = 'missing'), 0) as missing,
                            coalesce(-sum(f.quantity) filter (where f.kind = 'called-back'), 0) as called_back
                       from transfer_flow f where f.warehouse_id = l.warehouse_id and f.transfer_id = l.transfer_id and f.line_no = l.line_no) moved
 cross join lateral (select coalesce(-sum(o.quantity), 0) as quantity
                       from slip s join slip_line o on o.warehouse_id = s.warehouse_id and o.slip_id = s.id and o.transfer_line = l.line_no
                      where s.transfer_warehouse_id = l.warehouse_id and s.transfer_id = l.transfer_id and s.kind = 'transfer-out'
                        and s.state not in ('posted', 'cancelled')) open;

-- Goods that left and have not arrived: since when, how many stock units, and what they are worth at net book value.
create view transfer_in_transit as
select t.warehouse_id, t.id as transfer_id, t.number, t.to_warehouse_id, way.sent_on, way.quantity, way.value
  from transfer t
 cross join lateral (select min(p.sent_on) filter (where p.quantity > 0) as sent_on, sum(p.quantity) as quantity, sum(p.value) as value
                       from (select min(f.day) filter (where f.kind = 'sent') as sent_on, sum(f.quantity) as quantity, sum(f.cost - f.charge) as value
                               from transfer_flow f where f.warehouse_id = t.warehouse_id and f.transfer_id = t.id group by f.out_slip_id) p) way
 where t.state = 'in-transit';
`

const FOLLOWING = `
-- Where a transfer stands, from its slips; whoever calls it holds the row. What was expected and did not arrive when all is accounted for
-- is expected no longer; if an arrival is undone, it is again.
create function settle_transfer(p_warehouse int, p_transfer bigint, p_person int, p_at timestamptz) returns text language plpgsql as $$
declare
  v_before transfer;
  v_state text;
begin
  select * into strict v_before from transfer where warehouse_id = p_warehouse and id = p_transfer;
  select case when v_before.cancelled_at is not null then 'cancelled'
              when sum(in_transit) > 0 then 'in-transit'
              when sum(sent) = sum(quantity) or (sum(sent) > 0 and v_before.rest_closed_at is not null) then
                case when sum(received + damaged + missing) > 0 then 'received' else 'called-back' end
              when sum(being_sent) > 0 then 'awaiting-dispatch'
              else 'ordered' end
    into v_state
    from transfer_line_position where warehouse_id = p_warehouse and transfer_id = p_transfer;
  update transfer set state = v_state, version = version + 1 where warehouse_id = p_warehouse and id = p_transfer;
  if v_state in ('received', 'called-back', 'cancelled') then
    update expected_receipt e
       set ended_at = p_at, ended_because = 'transfer ' || v_before.number || ': ' || case v_state when 'received' then 'not all arrived' else v_state end
      from transfer_line l
     where l.warehouse_id = p_warehouse and l.transfer_id = p_transfer and e.warehouse_id = v_before.to_warehouse_id and e.id = l.expected_receipt_id
       and e.ended_at is null
       and e.quantity > (select coalesce(sum(a.quantity), 0) from slip_line a join slip s on s.warehouse_id = a.warehouse_id and s.id = a.slip_id and s.state = 'posted'
                          where a.warehouse_id = e.warehouse_id and a.expected_receipt_id = e.id);
  else
    update expected_receipt e set ended_at = null, ended_because = null
      from transfer_line l
     where l.warehouse_id = p_warehouse and l.transfer_id = p_transfer and e.warehouse_id = v_before.to_warehouse_id and e.id = l.expected_receipt_id
       and e.ended_because like 'transfer ' || v_before.number || ': %';
  end if;
  if v_state in ('received', 'called-back') and v_before.state <> v_state then
    insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
    values (p_warehouse, p_transfer, p_at, p_person, 'finished', jsonb_build_object('state', v_state));
  end if;
  return v_state;
end $$;

-- Slips are locked before their transfer, and the transfer before balances: a posting takes it when it updates the slip, before it moves
-- stock. Whoever writes a slip for a transfer holds it, too: no out slip is reversed while somebody writes down that its goods arrived.
create function transfer_hold_for_slip() returns trigger language plpgsql as $$
begin
  perform 1 from transfer where warehouse_id = new.transfer_warehouse_id and id = new.transfer_id for no key update;
  return new;
end $$;
create trigger slip_holds_its_transfer before update of state on slip
  for each row when (new.transfer_id is not null and new.state is distinct from old.state and new.state in ('posted', 'cancelled'))
  execute function transfer_hold_for_slip();

-- What a slip of a transfer does when it takes effect or is dropped.
create function transfer_follow_slip() returns trigger language plpgsql as $$
declare
  v_source slip;
  v_event text;
  v_person int := coalesce(new.posted_by, new.preparers[cardinality(new.preparers)]);
  v_at timestamptz := coalesce(new.posted_at, now());
  v_slip bigint := case when new.kind = 'reversal' then new.source_slip_id else new.id end;
begin
  if new.state = 'posted' then
    if new.kind = 'reversal' then
      select * into strict v_source from slip where warehouse_id = new.warehouse_id and id = new.source_slip_id;
    else
      v_source := new;
    end if;
    if new.kind = 'reversal' and v_source.kind = 'transfer-out' and exists (
      select 1 from transfer_hold where warehouse_id = new.transfer_warehouse_id and out_slip_id = new.source_slip_id) then
      raise exception 'goods of the slip arrived' using errcode = 'BC031', detail = (
        select string_agg(distinct slip, ', ') from transfer_hold where warehouse_id = new.transfer_warehouse_id and out_slip_id = new.source_slip_id);
    end if;
    v_event := case when v_source.kind = 'transfer-out' then 'dispatch' when v_source.warehouse_id = new.transfer_warehouse_id then 'call-back' else 'receipt' end;
    insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
    select new.transfer_warehouse_id, new.transfer_id, v_at, v_person,
           case when new.kind = 'reversal' then v_event || '-reversed'
                else case v_event when 'dispatch' then 'dispatched' when 'call-back' then 'called-back' else 'received' end end,
           jsonb_build_object('slip', new.number, 'lines', (
             select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('line', line_no, 'part', part, 'quantity', trim_scale(quantity)::text,
                                'damaged', trim_scale(nullif(damaged, 0))::text, 'missing', trim_scale(nullif(missing, 0))::text, 'reserveFor', reserve_for)) order by line_no)
               from (select l.line_no, part.number as part, l.reserve_for,
                            abs(coalesce(sum(f.quantity) filter (where f.kind not in ('damaged', 'missing')), 0)) as quantity,
                            abs(coalesce(sum(f.quantity) filter (where f.kind = 'damaged'), 0)) as damaged,
                            abs(coalesce(sum(f.quantity) filter (where f.kind = 'missing'), 0)) as missing
                       from transfer_flow f
                       join transfer_line l on l.warehouse_id = f.warehouse_id and l.transfer_id = f.transfer_id and l.line_no = f.line_no
                       join part on part.id = l.part_id
                      where f.warehouse_id = new.transfer_warehouse_id and f.transfer_id = new.transfer_id and f.slip_warehouse_id = new.warehouse_id and f.slip_id = new.id
                        and f.undone = (new.kind = 'reversal')
                      group by 1, 2, 3) moved));
    if v_event = 'receipt' and new.kind <> 'reversal' then
      insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
      select c.warehouse_id, c.transfer_id, v_at, v_person, 'claimed',
             jsonb_build_object('claim', c.claim_no, 'line', c.line_no, 'kind', c.kind, 'responsible', c.responsible, 'slip', new.number,
                                'quantity', trim_scale(sum(a.until_quantity - a.from_quantity))::text, 'value', sum(a.cost - a.charge)::text)
        from transfer_claim c join transfer_arrival a on a.warehouse_id = c.warehouse_id and a.transfer_id = c.transfer_id and a.claim_no = c.claim_no
       where a.slip_warehouse_id = new.warehouse_id and a.slip_id = v_slip
       group by c.warehouse_id, c.transfer_id, c.claim_no order by c.claim_no;
    end if;
  end if;
  perform settle_transfer(new.transfer_warehouse_id, new.transfer_id, v_person, v_at);
  return null;
end $$;
create trigger slip_moves_its_transfer after update of state on slip
  for each row when (new.transfer_id is not null and new.state is distinct from old.state and new.state in ('posted', 'cancelled'))
  execute function transfer_follow_slip();
`
