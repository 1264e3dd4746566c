// What loaner units want somebody to act on (R-LOAN-2, R-LOAN-3).
import type { AlertKind } from './alert-kinds.ts'
import { utc, type AlertRule } from './alert-rule.ts'

/** Due back within so many days is soon. */
const SOON_DAYS = 3

const loanRule = (kind: 'loaner-due-soon' | 'loaner-overdue', isDue: string): AlertRule => ({
  kind,
  about: 'document',
  causes: (isSome) => `
select l.warehouse_id, l.number as subject, l.id as about_id, null::text as duty,
       jsonb_build_object('loan', l.number, 'serial', u.serial, 'model', part.number, 'name', part.name, 'nameZh', part.name_zh, 'repairOrder', l.repair_order,
         'dueOn', l.due_on, 'extensions', l.extensions) as details
  from ${isSome ? 'asked join loan l on l.warehouse_id = asked.warehouse_id and l.id = asked.about_id' : 'loan l'}
  join loaner_unit u on u.warehouse_id = l.unit_warehouse_id and u.id = l.unit_id
  join part on part.id = u.part_id
 where l.state = 'out' and ${isDue}`,
  ...(kind === 'loaner-overdue' && {
    publishes: { event: 'loaner.overdue', members: ['loan', 'serial', 'model', 'repairOrder', 'dueOn'] }
  })
})

// The customer was told as often as is asked for, and did not answer.
const noticeUnanswered: AlertRule = {
  kind: 'loaner-notice-unanswered',
  about: 'document',
  causes: (isSome) => `
select l.warehouse_id, l.number as subject, l.id as about_id, null::text as duty,
       jsonb_build_object('loan', l.number, 'serial', u.serial, 'repairOrder', l.repair_order, 'receiptNumber', l.receipt_number, 'readyAt', ${utc('l.ready_at')},
         'notices', l.notices) as details
  from ${isSome ? 'asked join loan l on l.warehouse_id = asked.warehouse_id and l.id = asked.about_id' : 'loan l'}
  join loaner_unit u on u.warehouse_id = l.unit_warehouse_id and u.id = l.unit_id
 where l.state = 'out' and l.escalated_at is not null and l.answered_at is null`
}

// Of a region, told at its centre: the regional centre, else the head office if that lies there, else the first warehouse of the region.
const fleetShort: AlertRule = {
  kind: 'loaner-fleet-short',
  about: 'warehouse',
  causes: (isSome) => `
select centre.id as warehouse_id, f.family as subject, null::bigint as about_id, null::text as duty,
       jsonb_build_object('region', region.code, 'family', f.family, 'installed', f.installed, 'target', f.target, 'units', f.units, 'shortfall', f.shortfall) as details
  from loaner_fleet f
  join region on region.id = f.region_id
 cross join lateral (select w.id from warehouse w
                      where w.region_id = f.region_id and (w.closed_on is null or w.closed_on > $1::date)
                      order by w.kind = 'regional-centre' desc, w.kind = 'head-office' desc, w.id limit 1) centre
 where f.shortfall > 0 ${isSome ? 'and centre.id in (select warehouse_id from asked)' : ''}`
}

/** The rules of loaners, by kind. */
export const loanerRules = {
  'loaner-due-soon': loanRule('loaner-due-soon', `l.due_on >= $1::date and l.due_on <= $1::date + ${SOON_DAYS}`),
  'loaner-overdue': loanRule('loaner-overdue', 'l.due_on < $1::date'),
  'loaner-notice-unanswered': noticeUnanswered,
  'loaner-fleet-short': fleetShort
} satisfies Partial<Record<AlertKind, AlertRule>>
