import { run, statement } from './database.ts'
import type { Context } from './context.ts'
import shipped from './holidays-cn.json' with { type: 'json' }

// Which days people work, as the State Council's yearly notice says (放假安排): a day it names is off or made up for, any other
// Monday to Friday is a working day, any other Saturday or Sunday is off. The notice of a year comes out in the autumn before it and may
// name days of the December before, so a day is looked up in all of them. The shipped ones are those of github NateScarlet/holiday-cn
// (MIT, holidays-cn.LICENSE.txt); an administrator enters later ones.

/** A day that a notice names: off, or a make-up working day (调休). */
export interface NoticeDay {
  date: string
  isOffDay: boolean
  name: string
}

/** The days off and make-up working days of one year. */
export interface Notice {
  year: number
  /** Where it can be read. */
  source: string
  days: readonly NoticeDay[]
}

export interface Calendar {
  isWorkingDay(day: string): boolean
  /** Whether the notice of the day's year is known. In a year without one Monday to Friday count; whoever shows such a day says so. */
  isKnown(day: string): boolean
  /** The n-th working day strictly after `start`; `start` itself for 0. @throws RangeError for less than 0 */
  addWorkingDays(start: string, n: number): string
  /** How many working days d there are with from < d <= to. */
  countWorkingDays(from: string, to: string): number
}

export const shippedNotices: readonly Notice[] = shipped.notices.map(({ year, papers, days }) => ({
  year,
  source: papers.join(' '),
  days
}))

/** @param notices of two for one year the last one holds; of two that name the same day, that of the later year */
export function calendarFrom(notices: readonly Notice[]): Calendar {
  const byYear = new Map(notices.map((notice) => [notice.year, notice]))
  const isOff = new Map<string, boolean>()
  for (const { days } of [...byYear.values()].toSorted((a, b) => a.year - b.year))
    for (const { date, isOffDay } of days) isOff.set(date, isOffDay)

  const isWorking = (day: Temporal.PlainDate) => {
    const named = isOff.get(day.toString())
    return named === undefined ? day.dayOfWeek <= 5 : !named
  }
  return {
    isWorkingDay: (day) => isWorking(Temporal.PlainDate.from(day)),
    isKnown: (day) => byYear.has(Temporal.PlainDate.from(day).year),
    addWorkingDays: (start, n) => {
      if (!Number.isSafeInteger(n) || n < 0) throw new RangeError(`${n} working days cannot be added: 0, 1, 2 … can`)
      let day = Temporal.PlainDate.from(start)
      for (let left = n; left > 0;) {
        day = day.add({ days: 1 })
        if (isWorking(day)) left--
      }
      return day.toString()
    },
    countWorkingDays: (from, to) => {
      const last = Temporal.PlainDate.from(to)
      let count = 0
      for (
        let day = Temporal.PlainDate.from(from).add({ days: 1 });
        Temporal.PlainDate.compare(day, last) <= 0;
        day = day.add({ days: 1 })
      ) {
        if (isWorking(day)) count++
      }
      return count
    }
  }
}

/** By the shipped notices alone. */
export const chineseCalendar: Calendar = calendarFrom(shippedNotices)

const CACHE_MS = 10_000

// One calendar per database: a deadline is worked out for many rows at once, and a notice is entered once a year.
const calendars = new WeakMap<object, { calendar: Calendar; readAt: number }>()
let generation = 0

const ENTERED = statement<Notice>(`select year, source, days from calendar_year order by year`)

/** By the shipped notices and those administrators entered, which go before them. What another process entered counts within seconds. */
export async function calendarOf(ctx: Context): Promise<Calendar> {
  const known = calendars.get(ctx.database)
  if (known !== undefined && performance.now() - known.readAt < CACHE_MS) return known.calendar
  const reading = generation
  const readAt = performance.now()
  const calendar = calendarFrom([...shippedNotices, ...(await run(ctx, ENTERED, []))])
  // What was read while a notice was entered may be the state before.
  if (reading === generation) calendars.set(ctx.database, { calendar, readAt })
  return calendar
}

/** After a notice was entered: this process reads the calendar again. */
export function forgetCalendar(ctx: Context): void {
  generation++
  calendars.delete(ctx.database)
}
