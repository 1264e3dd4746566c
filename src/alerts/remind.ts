import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { calendarOf } from '../platform/working-days.ts'
import { lockAlerts } from './reconcile.ts'

/** Reminders go out from this hour on, in the business time zone. */
const REMIND_FROM_HOUR = 9

// Those that were raised on an earlier day and were not reminded of today; the day an alert is raised on has heard of it.
const REMIND = statement<{ reminded: number }>(`
with reminded as (
  update alert set reminded_on = $1::date, reminders = reminders + 1, is_day_assumed = $4::boolean
   where kind = 'late-signature' and resolved_at is null and (reminded_on is null or reminded_on < $1::date)
     and (raised_at at time zone $3)::date < $1::date
  returning warehouse_id, id, kind, subject
), noted as (
  insert into alert_event (warehouse_id, alert_id, event, at, details)
  select warehouse_id, id, 'reminded', $2, jsonb_build_object('day', $1::date, 'isDayAssumed', $4::boolean) from reminded order by warehouse_id, id
), told as (
  insert into outbox (subject, event, warehouse_id, payload, occurred_at)
  select 'alert:' || r.id, 'alert.reminded', r.warehouse_id,
         jsonb_build_object('alert', r.id::text, 'kind', r.kind, 'subject', r.subject, 'warehouse', w.code, 'isDayAssumed', $4::boolean), $2::timestamptz
    from reminded r join warehouse w on w.id = r.warehouse_id order by r.warehouse_id, r.id
)
select count(*)::int as reminded from reminded`)

/**
 * Reminds of late signatures once on each working day of the Chinese calendar until they are given, acknowledged or not (R-OUT-2). In a year
 * whose notice is not known Monday to Friday are taken for working days, and the reminder says so.
 */
export async function remindOfLateSignatures(ctx: Context): Promise<{ reminded: number }> {
  const now = ctx.clock.now().toZonedDateTimeISO(ctx.config.BUSINESS_TIME_ZONE)
  const today = ctx.clock.today()
  const calendar = await calendarOf(ctx)
  if (now.hour < REMIND_FROM_HOUR || !calendar.isWorkingDay(today)) return { reminded: 0 }
  return inTransaction(ctx, async (inner) => {
    await lockAlerts(inner)
    const values = [today, now.toInstant().toString(), ctx.config.BUSINESS_TIME_ZONE, !calendar.isKnown(today)]
    const [counts] = await run(inner, REMIND, values)
    return counts ?? { reminded: 0 }
  })
}
