import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { holds } from './addressees.ts'
import { lockAlerts } from './reconcile.ts'

// An alert goes to the next rung if and only if nobody has acknowledged it within the hours of its policy since it was raised or last
// escalated; or at once, if nobody holds any duty that it was addressed to and nobody it names can act. It goes up by one rung a run, so a second run at the same
// moment changes nothing but where rungs are empty.
const ESCALATE = statement<{ kind: string; escalated: number }>(`
with rung as materialized (
  select a.*, p.escalate_after_hours as hours,
         exists (select from duty_holder h where ${holds('h', '$2::date')})
           or exists (select from person where person.id = any (a.people) and person.active and person.locked_at is null) as is_held
    from (select distinct warehouse_id, kind, level, duty, people from alert where state = 'open') a
    join alert_policy p on p.kind = a.kind and p.enabled and a.level + 1 < jsonb_array_length(p.ladder)
    join warehouse w on w.id = a.warehouse_id
), due as (
  select a.warehouse_id, a.id
    from rung
    join alert a on a.warehouse_id = rung.warehouse_id and a.kind = rung.kind and a.level = rung.level and a.duty is not distinct from rung.duty and a.people = rung.people
   where a.state = 'open' and (not rung.is_held or coalesce(a.escalated_at, a.raised_at) + make_interval(hours => rung.hours) <= $1::timestamptz)
), escalated as (
  update alert a set level = level + 1, escalated_at = $1, updated_at = $1
    from due where a.warehouse_id = due.warehouse_id and a.id = due.id
  returning a.warehouse_id, a.id, a.kind, a.subject, a.level
), noted as (
  insert into alert_event (warehouse_id, alert_id, event, at, details)
  select e.warehouse_id, e.id, 'escalated', $1, jsonb_build_object('level', e.level, 'duties', p.ladder -> e.level)
    from escalated e join alert_policy p on p.kind = e.kind order by e.warehouse_id, e.id
), told as (
  insert into outbox (subject, event, warehouse_id, payload, occurred_at)
  select 'alert:' || e.id, 'alert.escalated', e.warehouse_id,
         jsonb_build_object('alert', e.id::text, 'kind', e.kind, 'subject', e.subject, 'warehouse', w.code, 'level', e.level), $1
    from escalated e join warehouse w on w.id = e.warehouse_id order by e.warehouse_id, e.id
)
select kind, count(*)::int as escalated from escalated group by kind order by kind`)

/**
 * Tells the next duty of alerts that nobody acknowledged in time. Acknowledged ones stay where they are.
 * @returns how many, by kind
 */
export const escalateAlerts = (ctx: Context): Promise<Record<string, number>> =>
  inTransaction(ctx, async (inner) => {
    await lockAlerts(inner)
    const rows = await run(inner, ESCALATE, [inner.clock.now().toString(), inner.clock.today()])
    return Object.fromEntries(rows.map(({ kind, escalated }) => [kind, escalated]))
  })
