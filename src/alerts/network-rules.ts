// What outlets, transfers, deposits, old parts and recalls want somebody to act on. Where two ends have to act, each has an alert of its own.
import type { AlertKind } from './alert-kinds.ts'
import { decimal, NAMED_PART, utc, type AlertRule } from './alert-rule.ts'

// R-REQ-2. The clock of a line runs at the centre that has to serve it, and stands while the requester is waited for. Its last day is
// that on which it is due: soon is that day and the working day before it.
const clockRule = (kind: 'request-clock-soon' | 'request-clock', isDue: string): AlertRule => ({
  kind,
  about: 'document',
  causes: (isSome) => `
select r.centre_id as warehouse_id, r.number || '/' || c.line_no || ' ' || c.piece as subject, r.id as about_id, null::text as duty,
       jsonb_build_object(${NAMED_PART}, 'request', r.number, 'line', c.line_no, 'outlet', outlet.code, 'urgency', r.urgency, 'piece', c.piece,
         'workingDays', c.working_days, 'startedAt', ${utc('c.started_at')}, 'dueOn', c.due_on) as details
  from ${isSome ? 'asked join request r on r.centre_id = asked.warehouse_id and r.id = asked.about_id join request_clock c on c.warehouse_id = r.warehouse_id and c.request_id = r.id' : 'request_clock c join request r on r.warehouse_id = c.warehouse_id and r.id = c.request_id'}
  join request_line l on l.warehouse_id = c.warehouse_id and l.request_id = c.request_id and l.line_no = c.line_no
  join part on part.id = l.part_id
  join warehouse outlet on outlet.id = r.warehouse_id
 where c.ended_at is null and ${isDue}
   and not exists (select from request_clock_pause p
                    where p.warehouse_id = c.warehouse_id and p.request_id = c.request_id and p.line_no = c.line_no and p.piece = c.piece and p.to_at is null)`
})

// R-REQ-3: an answer within so many days whatever happened, by the centre; the day before it is soon.
const answerRule = (kind: 'backorder-answer-soon' | 'backorder-answer-due', isDue: string): AlertRule => ({
  kind,
  about: 'document',
  causes: (isSome) => `
select b.centre_id as warehouse_id, b.number as subject, b.id as about_id, null::text as duty,
       jsonb_build_object(${NAMED_PART}, 'backorder', b.number, 'request', r.number, 'outlet', outlet.code, 'quantity', ${decimal('b.quantity')},
         'registeredAt', ${utc('b.registered_at')}, 'answerDueAt', ${utc('b.answer_due_at')}, 'promisedOn', b.promised_on) as details
  from ${isSome ? 'asked join backorder b on b.centre_id = asked.warehouse_id and b.id = asked.about_id' : 'backorder b'}
  join request r on r.warehouse_id = b.warehouse_id and r.id = b.request_id
  join part on part.id = b.part_id
  join warehouse outlet on outlet.id = b.warehouse_id
 where b.answered_at is null and b.ended_at is null and ${isDue}`
})

// Goods that are kept for a line and soon will not be any more: two working days for the outlet to fetch them or to say that they are needed.
// What a slip is written for is kept.
const reservationExpiring: AlertRule = {
  kind: 'reservation-expiring',
  about: 'document',
  causes: (isSome) => `
select r.warehouse_id, r.number || '/' || a.line_no as subject, r.id as about_id, null::text as duty,
       jsonb_build_object(${NAMED_PART}, 'request', r.number, 'line', a.line_no, 'centre', centre.code, 'quantity', ${decimal('a.quantity')},
         'expiresOn', a.expires_on, 'needsConfirmation', a.needs_confirmation) as details
  from (select a.warehouse_id, a.request_id, a.line_no, min(a.expires_on) as expires_on, sum(round((a.quantity - a.issued) / a.factor, 3)) as quantity,
               bool_or(a.needs_confirmation and a.confirmed_at is null) as needs_confirmation
          from ${isSome ? 'asked join request_allocation a on a.warehouse_id = asked.warehouse_id and a.request_id = asked.about_id' : 'request_allocation a'}
          join request kept on kept.warehouse_id = a.warehouse_id and kept.id = a.request_id
         where a.state in ('reserved', 'ready') and a.expires_on <= $5::date
           and not exists (select from slip_line l join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state not in ('posted', 'cancelled')
                            where l.warehouse_id = kept.centre_id and l.reservation_id = a.centre_reservation_id)
         group by a.warehouse_id, a.request_id, a.line_no) a
  join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
  join request_line l on l.warehouse_id = a.warehouse_id and l.request_id = a.request_id and l.line_no = a.line_no
  join part on part.id = l.part_id
  join warehouse centre on centre.id = r.centre_id`
}

// The receiver looks for the goods, the giver calls them back: both are told.
const transferInTransit: AlertRule = {
  kind: 'transfer-in-transit',
  about: 'document',
  causes: (isSome) => `
select ends.warehouse_id, v.number as subject, v.transfer_id as about_id, null::text as duty,
       jsonb_build_object('transfer', v.number, 'end', ends.name, 'from', giver.code, 'to', receiver.code, 'sentOn', v.sent_on,
         'quantity', ${decimal('v.quantity')}, 'value', v.value::numeric(18,2)::text) as details
  from ${isSome ? 'asked join transfer t on t.id = asked.about_id join transfer_in_transit v on v.warehouse_id = t.warehouse_id and v.transfer_id = t.id' : 'transfer_in_transit v'}
 cross join lateral (values (v.warehouse_id, 'giver'), (v.to_warehouse_id, 'receiver')) as ends (warehouse_id, name)
  join warehouse giver on giver.id = v.warehouse_id
  join warehouse receiver on receiver.id = v.to_warehouse_id
 where v.sent_on + $6::int < $1::date ${isSome ? 'and ends.warehouse_id = asked.warehouse_id' : ''}`
}

// R-REQ-5: the outlet pays in, the finance of its centre asks for it.
const depositLow: AlertRule = {
  kind: 'deposit-low',
  about: 'deposit',
  causes: (isSome) => `
select ends.warehouse_id, w.code as subject, a.warehouse_id::bigint as about_id, null::text as duty,
       jsonb_build_object('outlet', w.code, 'balance', a.balance::text, 'held', a.held::text, 'free', (a.balance - a.held)::text, 'lowLimit', a.low_limit::text) as details
  from ${isSome ? 'asked join deposit_account a on a.warehouse_id = asked.about_id' : 'deposit_account a'}
  join warehouse w on w.id = a.warehouse_id and (w.closed_on is null or w.closed_on > $1::date)
 cross join lateral (values (a.warehouse_id), (centre_of(a.warehouse_id))) as ends (warehouse_id)
 where a.balance - a.held < a.low_limit and ends.warehouse_id is not null ${isSome ? 'and ends.warehouse_id = asked.warehouse_id' : ''}`
}

// R-REQ-6: past the day on which it was due back.
const oldPartOutstanding: AlertRule = {
  kind: 'old-part-outstanding',
  about: 'document',
  causes: (isSome) => `
select o.warehouse_id, o.number as subject, o.id as about_id, null::text as duty,
       jsonb_build_object(${NAMED_PART}, 'oldPart', o.number, 'quantity', ${decimal('v.quantity')}, 'dueOn', o.due_on, 'value', v.value::numeric(18,2)::text, 'reference', o.reference) as details
  from ${isSome ? 'asked join old_part o on o.warehouse_id = asked.warehouse_id and o.id = asked.about_id' : 'old_part o'}
  join old_part_outstanding v on v.warehouse_id = o.warehouse_id and v.id = o.id
  join part on part.id = o.part_id
 where o.settled_at is null and o.due_on < $1::date`
}

// R-REQ-7: goods of a running recall lie here, or a customer of ours has a loaner unit of it, or some were handed out to here and nobody has answered what became of them.
const recall: AlertRule = {
  kind: 'recall',
  about: 'document',
  causes: (isSome) => `
select there.warehouse_id, r.number as subject, r.id as about_id, null::text as duty,
       jsonb_build_object('recall', r.number, 'title', r.title, 'reason', r.reason, 'blocked', ${decimal('there.blocked')}, 'got', ${decimal('there.got')})
         || case when there.lent > 0 then jsonb_build_object('lent', there.lent) else '{}' end as details
  from recall r
 cross join lateral (
   select warehouse_id, sum(blocked) as blocked, sum(got) as got, sum(lent)::int as lent
     from (select b.warehouse_id, l.on_hand as blocked, 0::numeric as got, 0 as lent
             from lot_block b
             join lot l on l.warehouse_id = b.warehouse_id and l.id = b.lot_id and not l.exhausted
            where b.recall_id = r.id
            union all
           select c.warehouse_id, 0, c.got, 0
             from recall_warehouse c
            where c.recall_id = r.id and c.got > 0
              and not exists (select from recall_answer a where a.warehouse_id = c.warehouse_id and a.recall_id = c.recall_id)
            union all
           select u.loan_warehouse_id, 0, 0, 1
             from (select distinct unit_warehouse_id, unit_id from loaner_recall where recall_id = r.id) about
             join loaner_unit u on u.warehouse_id = about.unit_warehouse_id and u.id = about.unit_id and u.loan_id is not null) goods
    group by warehouse_id) there
 where r.state = 'running' ${isSome ? 'and (there.warehouse_id, r.id) in (select warehouse_id, about_id from asked)' : ''}`
}

/** The rules of the network, by kind. */
export const networkRules = {
  'request-clock-soon': clockRule('request-clock-soon', 'c.due_on >= $1::date and c.due_on <= $4::date'),
  'request-clock': clockRule('request-clock', 'c.due_on < $1::date'),
  'backorder-answer-soon': answerRule(
    'backorder-answer-soon',
    `b.answer_due_at > $2::timestamptz and b.answer_due_at <= $2::timestamptz + interval '1 day'`
  ),
  'backorder-answer-due': answerRule('backorder-answer-due', 'b.answer_due_at <= $2::timestamptz'),
  'reservation-expiring': reservationExpiring,
  'transfer-in-transit': transferInTransit,
  'deposit-low': depositLow,
  'old-part-outstanding': oldPartOutstanding,
  recall
} satisfies Partial<Record<AlertKind, AlertRule>>
