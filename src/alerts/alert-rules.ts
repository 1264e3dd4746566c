// What is worth an alert (R-ALR-1). A rule is one query of the causes that are true now; reconcile.ts makes the open alerts equal to
// them. Rules only look, and no room knows of them. Another kind is an entry here, in alert-kinds.ts and in alert-texts.ts, and a row
// of alert_policy.
import { HAS_REPORTED, monthEndCount, reportsOf, REPORT_DUE_DAY } from '../counts/count-reports.ts'
import { heldBefore } from '../ledger/open-months.ts'
import type { AlertKind } from './alert-kinds.ts'
import { decimal, NAMED_PART, utc, type AlertRule } from './alert-rule.ts'
import { handoverRules } from './handover-rules.ts'
import { loanerRules } from './loaner-rules.ts'
import { networkRules } from './network-rules.ts'
import { toolRules } from './tool-rules.ts'

// R-ORD-2. The point is crossed by what is available and on order together, so an order that is placed covers it.
const reorderPoint: AlertRule = {
  kind: 'reorder-point',
  about: 'part',
  causes: (isSome) => `
select p.warehouse_id, part.number as subject, p.part_id::bigint as about_id, null::text as duty,
       jsonb_build_object(${NAMED_PART}, 'available', ${decimal('p.available')}, 'onOrder', ${decimal('p.on_order')},
         'reorderPoint', ${decimal('p.reorder_point')}, 'orderUpTo', ${decimal('p.order_up_to')}) as details
  from ${isSome ? 'asked join reorder_position p on p.warehouse_id = asked.warehouse_id and p.part_id = asked.about_id' : 'reorder_position p'}
  join part on part.id = p.part_id
  join warehouse w on w.id = p.warehouse_id and (w.closed_on is null or w.closed_on > $1::date)
 where p.is_short`,
  publishes: {
    event: 'stock.below-reorder-point',
    members: ['part', 'available', 'onOrder', 'reorderPoint']
  }
}

const month = (offset: number): string =>
  `(date_trunc('month', $1::date::timestamp) + interval '${offset} month')::date`

/** The youngest first day of age whose holding period is over in a month, by the policy that holds then (R-AGE-1, R-AGE-2). */
const agedBy = (offset: number): string => `
       (select (${month(offset)} - make_interval(months => grace_months))::date from depreciation_policy
         where effective_from <= ${month(offset)} and (effective_until is null or effective_until > ${month(offset)}))`

// Own goods on hand, nonconforming ones too (R-AGE-5), never consigned ones (R-STK-6), nor what cost nothing, as old parts that came back:
// there is nothing to charge. Those whose holding period is over in one month and was not in the one before. So a lot enters once also where
// the policy changes between the two.
const lotRule = (kind: 'lot-aging-soon' | 'lot-aged', enters: 0 | 1): AlertRule => ({
  kind,
  about: 'lot',
  causes: (isSome) => `
select l.warehouse_id, l.id::text as subject, l.id as about_id, null::text as duty,
       jsonb_build_object(${NAMED_PART}, 'lot', l.id::text, 'condition', l.condition, 'receivedOn', l.received_on, 'month', to_char(${month(enters)}, 'YYYY-MM'),
         'onHand', ${decimal('l.on_hand')}, 'cost', lot_cost(l.unit_cost, l.on_hand, l.cost_residue)::numeric(18,2)::text) as details
  from ${isSome ? 'asked join lot l on l.warehouse_id = asked.warehouse_id and l.id = asked.about_id' : 'lot l'}
  join part on part.id = l.part_id
 where l.ownership = 'own' and not l.exhausted and l.aged_from > ${agedBy(enters - 1)} and l.aged_from <= ${agedBy(enters)}
   and lot_cost(l.unit_cost, l.on_hand, l.cost_residue) > 0`,
  ...(kind === 'lot-aged' && {
    publishes: { event: 'lot.aged', members: ['part', 'lot', 'receivedOn', 'onHand'] }
  })
})

// R-OUT-2: settled by the signature, or by a reversal.
const lateSignature: AlertRule = {
  kind: 'late-signature',
  about: 'document',
  causes: (isSome) => `
select s.warehouse_id, s.number as subject, s.id as about_id, s.late_duty as duty,
       jsonb_build_object('slip', s.number, 'slipKind', s.kind, 'missingDuty', s.late_duty, 'dueAt', ${utc('s.late_due_at')},
         'releasedAt', ${utc('s.posted_at')}, 'releasedBy', releaser.username, 'authorisedBy', s.authorised_by) as details
  from ${isSome ? 'asked join slip s on s.warehouse_id = asked.warehouse_id and s.id = asked.about_id' : 'slip s'}
  join person releaser on releaser.id = s.posted_by
 where s.late_duty is not null and s.late_settled_at is null and s.late_due_at <= $2::timestamptz`
}

const NEXT = `(m.month + interval '1 month')::date`

/**
 * As `m (warehouse_id, month)`: the months up to `last` that are still to be counted and closed (R-FIN-1): after the last closed one, and
 * something was held at the end of it or moved in it.
 */
const monthsToClose = (isSome: boolean, last: string): string => `
       (select w.id as warehouse_id, turn.day::date as month
          from ${isSome ? 'asked join warehouse w on w.id = asked.warehouse_id' : 'warehouse w'}
         cross join lateral (select coalesce((select (max(period) + interval '1 month')::date from stock_period where warehouse_id = w.id and state = 'closed'),
                                             (select date_trunc('month', min(occurred_on)::timestamp)::date from movement where warehouse_id = w.id)) as month) first
         cross join generate_series(first.month::timestamp, ${last}::timestamp, interval '1 month') as turn (day)) m`
const HELD_OR_MOVED = `(${heldBefore(NEXT, 'm.warehouse_id')}
        or exists (select 1 from movement where warehouse_id = m.warehouse_id and occurred_on >= m.month and occurred_on < ${NEXT}))`
const PERIOD = `to_char(m.month, 'YYYY-MM')`

// Due on the last day of the month, and until it is approved (R-CNT-1, R-FIN-1).
const countDue: AlertRule = {
  kind: 'count-due',
  about: 'warehouse',
  causes: (isSome) => `
select m.warehouse_id, ${PERIOD} as subject, null::bigint as about_id, null::text as duty,
       jsonb_build_object('period', ${PERIOD}, 'dueOn', ${NEXT} - 1, 'count', c.number, 'countState', c.state) as details
  from ${monthsToClose(isSome, `(date_trunc('month', ($1::date + 1)::timestamp) - interval '1 month')`)}
  ${monthEndCount('m.warehouse_id', 'm.month')}
 where c.state is distinct from 'approved' and ${HELD_OR_MOVED}`
}

/** A report that was not sent for so many months is asked for no more by alerts; the list of reports still says so. */
const REPORTS_LOOKED_BACK = 12
const LAST_DUE = `(date_trunc('month', ($1::date - ${REPORT_DUE_DAY})::timestamp) - interval '1 month')::date`

// R-CNT-3, by the words of the list of reports: the last report that was due, and earlier ones back to the first month that was ever
// counted there. A warehouse that joins is not asked for the years before.
const countReportDue: AlertRule = {
  kind: 'count-report-due',
  about: 'warehouse',
  causes: (isSome) => `
select w.id as warehouse_id, ${PERIOD} as subject, null::bigint as about_id, null::text as duty,
       jsonb_build_object('period', ${PERIOD}, 'dueOn', ${NEXT} + ${REPORT_DUE_DAY - 1}, 'count', c.number, 'countState', c.state) as details
  from ${isSome ? 'asked join warehouse w on w.id = asked.warehouse_id' : 'warehouse w'}
 cross join lateral (select turn.day::date as month
                       from generate_series(${month(-REPORTS_LOOKED_BACK)}::timestamp, ${month(-1)}::timestamp, interval '1 month') as turn (day)) m
  ${monthEndCount('w.id', 'm.month')}
 where ${NEXT} + ${REPORT_DUE_DAY - 1} < $1::date and ${reportsOf('m.month', '$3')} and not coalesce(${HAS_REPORTED}, false)
   and (m.month = ${LAST_DUE} or exists (select from stock_count begun where begun.warehouse_id = w.id and begun.kind = 'month-end' and begun.state <> 'cancelled' and begun.period <= m.month))`
}

/** Statements are due by this day of the month after (R-FIN-2). */
const STATEMENT_DUE_DAY = 5

const statementDue: AlertRule = {
  kind: 'statement-due',
  about: 'warehouse',
  causes: (isSome) => `
select m.warehouse_id, ${PERIOD} as subject, null::bigint as about_id, null::text as duty,
       jsonb_build_object('period', ${PERIOD}, 'dueOn', ${NEXT} + ${STATEMENT_DUE_DAY - 1}) as details
  from ${monthsToClose(isSome, month(-1))}
 where ${NEXT} + ${STATEMENT_DUE_DAY - 1} < $1::date and ${HELD_OR_MOVED}`
}

const ledgerFault: AlertRule = {
  kind: 'ledger-fault',
  about: 'warehouse',
  causes: (isSome) => `
select f.warehouse_id, f.check_name as subject, null::bigint as about_id, null::text as duty,
       jsonb_build_object('check', f.check_name, 'findings', count(*)::int,
         'first', jsonb_agg(jsonb_build_object('subject', f.subject, 'expected', f.expected, 'found', f.found) order by f.place) filter (where f.place <= 5)) as details
  from (select ledger_finding.*, row_number() over (partition by warehouse_id, check_name order by subject, expected, found) as place from ledger_finding) f
  ${isSome ? 'where f.warehouse_id in (select warehouse_id from asked)' : ''}
 group by f.warehouse_id, f.check_name`
}

/** Every rule, by kind. */
export const ALERT_RULES: Record<AlertKind, AlertRule> = {
  'reorder-point': reorderPoint,
  'lot-aging-soon': lotRule('lot-aging-soon', 1),
  'lot-aged': lotRule('lot-aged', 0),
  'late-signature': lateSignature,
  'count-due': countDue,
  'count-report-due': countReportDue,
  'statement-due': statementDue,
  'ledger-fault': ledgerFault,
  ...networkRules,
  ...loanerRules,
  ...handoverRules,
  ...toolRules
}
