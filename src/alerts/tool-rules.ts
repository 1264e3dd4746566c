// What technicians' tools want somebody to act on (R-TOOL-1 to R-TOOL-4).
import { grantCovers } from '../identity/actor.ts'
import type { AlertKind } from './alert-kinds.ts'
import { utc, type AlertRule } from './alert-rule.ts'

/** A calibration is told of so many days ahead. */
const CALIBRATION_DAYS = 30
/** Who has not confirmed is reminded so many days before the round is due. */
const ROUND_DAYS = 3
/** Custody whose duty runs out is told of so many days ahead. */
const LEAVING_DAYS = 7
/** How many tools an alert names. */
const NAMED = 5

const NAMED_TOOL = `'serial', t.serial, 'name', t.name, 'nameZh', t.name_zh`

// Also of tools in somebody's custody: whoever measures with them has to know.
const calibrationDue: AlertRule = {
  kind: 'tool-calibration-due',
  about: 'document',
  causes: (isSome) => `
select t.warehouse_id, t.serial as subject, t.id as about_id, null::text as duty,
       jsonb_build_object(${NAMED_TOOL}, 'dueOn', t.calibration_due_on, 'isOverdue', t.calibration_due_on < $1::date, 'technician', holder.username) as details
  from ${isSome ? 'asked join tool t on t.warehouse_id = asked.warehouse_id and t.id = asked.about_id' : 'tool t'}
  left join person holder on holder.id = t.holder_id
 where t.calibration_due_on <= $1::date + ${CALIBRATION_DAYS} and t.state in ('shelf', 'custody')`
}

// One for a round, told to its technicians too: they are who has to act.
const custodyUnconfirmed: AlertRule = {
  kind: 'tool-custody-unconfirmed',
  about: 'document',
  causes: (isSome) => `
select r.warehouse_id, r.number as subject, r.id as about_id, 'technician'::text as duty,
       jsonb_build_object('round', r.number, 'dueOn', r.due_on, 'isOverdue', r.due_on < $1::date, 'outstanding', count(*)::int,
         'technicians', (array_agg(person.username order by person.username))[1:${NAMED}]) as details
  from ${isSome ? 'asked join custody_round r on r.warehouse_id = asked.warehouse_id and r.id = asked.about_id' : 'custody_round r'}
  join custody_round_position p on p.warehouse_id = r.warehouse_id and p.round_id = r.id and p.state in ('awaited', 'report-awaited')
  join person on person.id = p.person_id
 where r.state = 'open' and r.due_on <= $1::date + ${ROUND_DAYS}
 group by r.warehouse_id, r.id, r.number, r.due_on`
}

// From the report until the tool is out of the register or back on the shelf. What is compensated is nobody's business here: alerts are seen by
// all of a warehouse.
const lossOpen: AlertRule = {
  kind: 'tool-loss-open',
  about: 'document',
  causes: (isSome) => `
select l.warehouse_id, l.number as subject, l.id as about_id, null::text as duty,
       jsonb_build_object('loss', l.number, ${NAMED_TOOL}, 'lossKind', l.kind, 'lossState', l.state, 'technician', technician.username,
         'reportedAt', ${utc('l.reported_at')}) as details
  from ${isSome ? 'asked join tool_loss l on l.warehouse_id = asked.warehouse_id and l.id = asked.about_id' : 'tool_loss l'}
  join tool t on t.id = l.tool_id
  left join person technician on technician.id = l.technician_id
 where l.state in ('reported', 'approved')`
}

/** A duty `g` of a technician `person` that is for the tools of warehouse `w` on a day. */
const isTechnicianOn = (day: string): string => `person.active and exists (
         select from duty_assignment g
          where g.person_id = person.id and g.duty = 'technician' and g.ended_at is null and g.valid_from <= ${day} and (g.valid_to is null or g.valid_to >= ${day})
            and ${grantCovers('g', 'w.id', 'w.region_id')})`

// Whoever holds tools of a warehouse whose technician they are not, or soon will not be: a duty that runs out by its day, or a warehouse that
// moved to another region. Duties that are ended by somebody do not come this far (R-TOOL-3).
const custodyOrphaned: AlertRule = {
  kind: 'tool-custody-orphaned',
  about: 'warehouse',
  causes: (isSome) => `
select w.id as warehouse_id, person.username as subject, null::bigint as about_id, null::text as duty,
       jsonb_build_object('technician', person.username, 'name', person.name, 'tools', h.tools, 'serials', h.serials, 'isOrphaned', not (${isTechnicianOn('$1::date')}),
         'until', (select max(g.valid_to) from duty_assignment g
                    where g.person_id = person.id and g.duty = 'technician' and g.ended_at is null
                      and ${grantCovers('g', 'w.id', 'w.region_id')})) as details
  from (select t.warehouse_id, t.holder_id, count(*)::int as tools, (array_agg(t.serial order by t.serial))[1:${NAMED}] as serials
          from tool t
         where t.holder_id is not null ${isSome ? 'and t.warehouse_id in (select warehouse_id from asked)' : ''}
         group by t.warehouse_id, t.holder_id) h
  join warehouse w on w.id = h.warehouse_id
  join person on person.id = h.holder_id
 where not (${isTechnicianOn('$1::date')}) or not (${isTechnicianOn(`$1::date + ${LEAVING_DAYS}`)})`
}

/** The rules of tools, by kind. */
export const toolRules = {
  'tool-calibration-due': calibrationDue,
  'tool-custody-unconfirmed': custodyUnconfirmed,
  'tool-loss-open': lossOpen,
  'tool-custody-orphaned': custodyOrphaned
} satisfies Partial<Record<AlertKind, AlertRule>>
