import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import type { RequestKey } from './requests.jobs.ts'

// A request is out of step if and only if one of these holds:
// - posted slips say another issued quantity than an allocation that is ready, or than one of a slip that was reversed in the last days, or its reservation is used up;
// - a return, or the reversal of one, in the last days is not entered in the deposit;
// - a transfer brought something that no allocation has taken up, or is over and an allocation still waits for it;
// - a transfer brought something in the last days that nobody of the request wants any more, and it is still reserved;
// - the reservation of an allocation was released, or that of goods that are to leave was broken by a recall;
// - an approval in force covers a line that waits for one;
// - a line is short of another quantity than its backorder waits for.
const OUT_OF_STEP = statement<RequestKey>(`
with issued as (
  select a.warehouse_id, a.request_id
    from request_allocation a
    join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
   where a.state = 'ready'
     and (exists (select 1 from reservation v where v.warehouse_id = r.centre_id and v.id = a.centre_reservation_id and v.released_at is null
                                               and v.quantity - v.consumed < a.quantity - a.issued)
       or a.issued <> (select coalesce(-sum(l.quantity), 0)
                        from slip_line l join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state = 'posted' and s.kind <> 'reversal'
                       where l.warehouse_id = r.centre_id and l.reservation_id = a.centre_reservation_id
                         and not exists (select 1 from slip v where v.warehouse_id = s.warehouse_id and v.source_slip_id = s.id and v.kind = 'reversal' and v.state = 'posted')))
), reversed as (
  select a.warehouse_id, a.request_id
    from slip v
    join slip_line l on l.warehouse_id = v.warehouse_id and l.slip_id = v.source_slip_id and l.reservation_id is not null
    join request_allocation a on a.centre_reservation_id = l.reservation_id and a.state = 'issued'
   where v.kind = 'reversal' and v.state = 'posted' and v.occurred_on >= $1::date - 40 and v.posted_at >= $2::timestamptz - interval '8 days'
     and a.issued > (select coalesce(-sum(o.quantity), 0)
                       from slip_line o join slip s on s.warehouse_id = o.warehouse_id and s.id = o.slip_id and s.state = 'posted' and s.kind <> 'reversal'
                      where o.warehouse_id = l.warehouse_id and o.reservation_id = a.centre_reservation_id
                        and not exists (select 1 from slip x where x.warehouse_id = s.warehouse_id and x.source_slip_id = s.id and x.kind = 'reversal' and x.state = 'posted'))
), returned as (
  select a.warehouse_id, a.request_id
    from slip v
    left join slip source on source.warehouse_id = v.warehouse_id and source.id = v.source_slip_id
    join slip_line l on l.warehouse_id = v.warehouse_id and l.slip_id in (v.source_slip_id, source.source_slip_id) and l.reservation_id is not null
    join request_allocation a on a.centre_reservation_id = l.reservation_id
    join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
    join deposit_account d on d.warehouse_id = r.warehouse_id and d.opened_at <= r.requested_at
   where v.kind in ('return', 'reversal') and v.state = 'posted' and v.occurred_on >= $1::date - 40 and v.posted_at >= $2::timestamptz - interval '8 days'
     and not exists (select 1 from deposit_entry e
                      where e.warehouse_id = r.warehouse_id and e.reference = r.number
                        and e.because in ('returned by ' || v.number, 'reversed by ' || v.number, 'return reversed by ' || v.number))
), brought as (
  select a.warehouse_id, a.request_id
    from slip s
    join reservation v on v.warehouse_id = s.warehouse_id and v.slip_id = s.id and v.released_at is null and v.quantity > v.consumed
    join request_allocation a on a.from_warehouse_id = s.transfer_warehouse_id and a.transfer_id = s.transfer_id
    join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id and v.reserved_for = r.number || '/' || a.line_no || '.' || a.allocation_no
   where s.state = 'posted' and s.transfer_id is not null and s.occurred_on >= $1::date - 40 and s.posted_at >= $2::timestamptz - interval '8 days'
     and not exists (select 1 from request_allocation taken where taken.centre_reservation_id = v.id)
), moved as (
  select a.warehouse_id, a.request_id
    from request_allocation a
    join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
    join transfer t on t.warehouse_id = a.from_warehouse_id and t.id = a.transfer_id
   where a.state = 'on-its-way'
     and (t.state in ('received', 'called-back', 'cancelled')
          or exists (select 1 from reservation v
                      where v.warehouse_id = r.centre_id and v.reserved_for = r.number || '/' || a.line_no || '.' || coalesce(a.split_from, a.allocation_no)
                        and v.slip_id is not null and v.released_at is null and v.quantity > v.consumed
                        and not exists (select 1 from request_allocation taken where taken.centre_reservation_id = v.id)))
), broken as (
  select a.warehouse_id, a.request_id
    from request_allocation a
    join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
    join reservation v on v.warehouse_id = case when a.centre_reservation_id is not null then r.centre_id else a.from_warehouse_id end
     and v.id = coalesce(a.centre_reservation_id, a.reservation_id)
   where v.released_at is not null
     and (a.state in ('reserved', 'ready')
          -- What left before is judged when it arrives; no more will come.
          or a.state = 'on-its-way' and v.broken_by is not null
             and a.quantity - a.issued > coalesce((select sum(p.in_transit)
                                                     from transfer_line l
                                                     join transfer_line_position p on p.warehouse_id = l.warehouse_id and p.transfer_id = l.transfer_id and p.line_no = l.line_no
                                                    where l.warehouse_id = a.from_warehouse_id and l.transfer_id = a.transfer_id
                                                      and l.reserve_for = r.number || '/' || a.line_no || '.' || a.allocation_no), 0))
), approved as (
  select l.warehouse_id, l.request_id
    from request_line l
   where l.awaiting_approval
     and exists (select 1 from controlled_approval c
                  where c.part_id = l.part_id and c.warehouse_id = l.warehouse_id and c.valid_from <= $1::date and c.valid_to >= $1::date
                    and c.quantity - c.used >= l.quantity - l.cancelled)
), short as (
  select p.warehouse_id, p.request_id
    from request r
    join request_line_position p on p.warehouse_id = r.warehouse_id and p.request_id = r.id
    left join backorder b on b.warehouse_id = p.warehouse_id and b.request_id = p.request_id and b.line_no = p.line_no and b.ended_at is null
   where r.state = 'open' and not p.awaiting_approval and p.uncovered <> coalesce(b.waiting, 0)
), found as (
  select * from issued union select * from reversed union select * from returned union select * from brought union select * from moved union select * from broken union select * from approved union select * from short
)
select r.warehouse_id as "outletId", r.id::text as id
  from found join request r on r.warehouse_id = found.warehouse_id and r.id = found.request_id
 order by r.urgency, r.requested_at, r.id`)

/** Requests whose rows do not say what slips, transfers, reservations and approvals say. */
export const requestsOutOfStep = (ctx: Context): Promise<RequestKey[]> =>
  run(ctx, OUT_OF_STEP, [ctx.clock.today(), ctx.clock.now().toString()])
