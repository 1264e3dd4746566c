import type { Clock } from '../../src/platform/clock.ts'

/** A clock that stands until a test moves it. */
export interface TestClock extends Clock {
  /** Local time in the business time zone (`2026-11-20T10:00`), or an instant that ends in `Z`. */
  set(time: string): void
  /** Moves on by calendar units of the business time zone: `{ days: 1 }`, `{ months: 3 }`, `{ hours: 25 }`. */
  advance(duration: Temporal.DurationLike): void
}

export function testClock(start: string, timeZone: string): TestClock {
  let now = Temporal.Instant.from(start).toZonedDateTimeISO(timeZone)
  return {
    now: () => now.toInstant(),
    today: () => now.toPlainDate().toString(),
    set: (time) => {
      now = time.endsWith('Z')
        ? Temporal.Instant.from(time).toZonedDateTimeISO(timeZone)
        : Temporal.PlainDateTime.from(time).toZonedDateTime(timeZone)
    },
    advance: (duration) => {
      now = now.add(duration)
    }
  }
}
