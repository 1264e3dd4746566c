/** What time it is and which business day it is. The only thing tests fake. */
export interface Clock {
  now(): Temporal.Instant
  /** The day in the business time zone, `YYYY-MM-DD`. */
  today(): string
}

/** The machine's clock, read in the business time zone (an IANA name such as `Asia/Shanghai`). */
export function systemClock(timeZone: string): Clock {
  // Every request asks several times which day it is; the calendar is asked once a day.
  let today = { day: '', from: 0, until: 0 }
  return {
    // What is answered now and what is read from the database later is the same text.
    now: () => Temporal.Instant.fromEpochMilliseconds(Date.now()),
    today: () => {
      const now = Date.now()
      if (now < today.from || now >= today.until) today = dayAround(now, timeZone)
      return today.day
    }
  }
}

/** The day an instant lies in, and the milliseconds since 1970 at which it begins and ends. */
function dayAround(epochMilliseconds: number, timeZone: string) {
  const start = Temporal.Instant.fromEpochMilliseconds(epochMilliseconds).toZonedDateTimeISO(timeZone).startOfDay()
  return {
    day: start.toPlainDate().toString(),
    from: start.epochMilliseconds,
    until: start.add({ days: 1 }).startOfDay().epochMilliseconds
  }
}

/** An instant as PostgreSQL writes it in a session that speaks UTC, as a row or as JSON, or as Temporal does: as RFC 3339. */
export const instant = (value: string): string => value.replace(' ', 'T').replace(/[+]00(:00)?$/, 'Z')

/** The same of what may not have happened yet. */
export const instantOrNull = (value: string | null): string | null => (value === null ? null : instant(value))
