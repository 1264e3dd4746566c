import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal, type FieldProblem } from '../platform/errors.ts'
import { forgetCalendar } from '../platform/working-days.ts'
import { readCalendarYear } from './calendar.queries.ts'
import type { CalendarYearView, SetCalendarYearBody } from './calendar.schemas.ts'

const SET = statement<never>(`
insert into calendar_year (year, source, days, set_by, set_at) values ($1, $2, $3::jsonb, $4, $5)
on conflict (year) do update set source = excluded.source, days = excluded.days, set_by = excluded.set_by, set_at = excluded.set_at`)

/**
 * Enters the notice of a year, or enters it anew; it goes before the shipped one, as a notice is sometimes amended during its year.
 * Weekends off and make-up days from Monday to Friday are taken as they are: both stand in notices (2020-02-03).
 * @throws Refusal 403, 422 `DayOutsideYear` or `DayRepeated`
 */
export async function setCalendarYear(
  ctx: Context,
  { year, source, days }: { year: number } & SetCalendarYearBody
): Promise<CalendarYearView> {
  requireDutyEverywhere(ctx, 'administrator')
  requireDaysOfNotice(year, days)
  const sorted = days.toSorted((a, b) => a.date.localeCompare(b.date))
  const view = await inTransaction(ctx, async (ctx) => {
    await run(ctx, SET, [year, source.trim(), JSON.stringify(sorted), ctx.actor.personId, ctx.clock.now().toString()])
    await recordAudit(ctx, 'calendar-year.set', `calendar-year:${year}`, { source, days: sorted })
    return readCalendarYear(ctx, { year })
  })
  forgetCalendar(ctx)
  return view
}

function requireDaysOfNotice(year: number, days: SetCalendarYearBody['days']): void {
  const [first, last] = [`${year - 1}-12-01`, `${year + 1}-01-31`]
  const outside: FieldProblem[] = []
  const repeated: FieldProblem[] = []
  const seen = new Set<string>()
  for (const [index, { date }] of days.entries()) {
    const pointer = `/days/${index}/date`
    if (date < first || date > last)
      outside.push({
        pointer,
        detail: `is no day of the notice of ${year}`,
        sent: date,
        accepted: `${first} to ${last}`
      })
    if (seen.has(date)) repeated.push({ pointer, detail: 'is given twice', sent: date })
    seen.add(date)
  }
  if (outside[0] !== undefined) {
    throw new Refusal(
      'DayOutsideYear',
      422,
      `${String(outside[0].sent)} is no day of the notice of ${year}; it names days from ${first} to ${last}`,
      { errors: outside.slice(0, 20) }
    )
  }
  if (repeated[0] !== undefined) {
    throw new Refusal('DayRepeated', 422, `${String(repeated[0].sent)} is given twice; a day is off or worked`, {
      errors: repeated.slice(0, 20)
    })
  }
}
