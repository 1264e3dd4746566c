/** What time it is and which business day it is. The only thing tests fake. */
export interface Clock {
  now(): Temporal.Instant
  /** The day in the business time zone, `YYYY-MM-DD`. */
  today(): string
}

/** The machine's clock, read in the business time zone (an IANA name such as `Asia/Shanghai`). */
export function systemClock(timeZone: string): Clock {
  return {
    // What is answered now and what is read from the database later is the same text.
    now: () => Temporal.Now.instant().round('millisecond'),
    today: () => Temporal.Now.plainDateISO(timeZone).toString()
  }
}
