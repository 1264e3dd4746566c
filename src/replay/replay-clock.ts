import type { Clock } from '../platform/clock.ts'

/** A clock that stands at six in the evening of the day that is played: its papers are in time. */
export interface ReplayClock extends Clock {
  set(day: string): void
}

export function replayClock(day: string, timeZone: string): ReplayClock {
  const evening = (of: string) =>
    Temporal.PlainDate.from(of).toZonedDateTime({ timeZone, plainTime: '18:00' }).toInstant()
  let [today, now] = [day, evening(day)]
  return {
    now: () => now,
    today: () => today,
    set: (next) => {
      ;[today, now] = [next, evening(next)]
    }
  }
}
