import type { Context } from '../identity/actor.ts'
import { instant } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { requireDaysInOrder } from '../platform/days.ts'
import { Refusal } from '../platform/errors.ts'
import { calendarOf, shippedNotices, type NoticeDay } from '../platform/working-days.ts'
import {
  FIRST_YEAR,
  LAST_YEAR,
  type CalendarYearView,
  type WorkingDaysQuery,
  type WorkingDaysView
} from './calendar.schemas.ts'

const ENTERED = statement<{ source: string; days: NoticeDay[]; setBy: string; setAt: string }>(`
select source, days, person.username as "setBy", set_at::text as "setAt"
  from calendar_year
  join person on person.id = set_by
 where year = $1`)

/** The days a year's notice names: as entered, else as shipped, else none. */
export async function readCalendarYear(ctx: Context, { year }: { year: number }): Promise<CalendarYearView> {
  const [entered] = await run(ctx, ENTERED, [year])
  if (entered !== undefined)
    return { year, isKnown: true, origin: 'entered', ...entered, setAt: instant(entered.setAt) }
  const shipped = shippedNotices.find((notice) => notice.year === year)
  return {
    year,
    isKnown: shipped !== undefined,
    origin: shipped === undefined ? null : 'shipped',
    source: shipped?.source ?? null,
    days: [...(shipped?.days ?? [])],
    setBy: null,
    setAt: null
  }
}

/**
 * How many working days lie between two days, or which day is the n-th after one (R-REQ-2).
 * @throws Refusal 422 `QuestionsMixed`, `DaysReversed` or `OutsideCalendar`
 */
export async function countWorkingDays(
  ctx: Context,
  { from, to, start, add }: WorkingDaysQuery
): Promise<WorkingDaysView> {
  const counts = from !== undefined || to !== undefined
  if (counts && (start !== undefined || add !== undefined)) {
    throw new Refusal(
      'QuestionsMixed',
      422,
      'ask how many working days there are with from and to, or which day it will be with start and add'
    )
  }
  for (const [name, day] of Object.entries({ from, to, start })) requireInCalendar(name, day)
  const today = ctx.clock.today()
  const calendar = await calendarOf(ctx)
  const first = (counts ? from : start) ?? today
  let last = to ?? today
  let workingDays = add ?? 1
  if (counts) {
    requireDaysInOrder({ from: first, to: last })
    workingDays = calendar.countWorkingDays(first, last)
  } else {
    last = calendar.addWorkingDays(first, workingDays)
  }
  const unknownYears: number[] = []
  for (let { year } = Temporal.PlainDate.from(first); year <= Temporal.PlainDate.from(last).year; year++)
    if (!calendar.isKnown(`${year}-01-01`)) unknownYears.push(year)
  return { from: first, to: last, workingDays, unknownYears }
}

function requireInCalendar(name: string, day: string | undefined): void {
  if (day === undefined || (day >= `${FIRST_YEAR}-01-01` && day <= `${LAST_YEAR}-12-31`)) return
  const accepted = `a day of ${FIRST_YEAR} to ${LAST_YEAR}`
  throw new Refusal('OutsideCalendar', 422, `${name} ${day} lies outside of the calendar; give ${accepted}`, {
    errors: [{ pointer: `?${name}`, detail: 'lies outside of the calendar', sent: day, accepted }]
  })
}
