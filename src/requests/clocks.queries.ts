import type { Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { calendarOf, type Calendar } from '../platform/working-days.ts'
import {
  CLOCK_COLUMNS,
  dayOf,
  dueOn,
  pausedDays,
  workingDaysUsed,
  yearsWithoutNotice,
  type KeptClock
} from './clock.ts'
import type { ClockView } from './clock.schemas.ts'

const OF_REQUEST = statement<KeptClock>(`
select ${CLOCK_COLUMNS} from request_clock c where c.warehouse_id = $1 and c.request_id = $2 order by c.line_no, c.piece desc`)

/** The clocks of a request, by line; what was there before what was not. */
export async function clocksOf(
  ctx: Context,
  { outletId, requestId }: { outletId: number; requestId: string }
): Promise<ClockView[]> {
  const clocks = await run(ctx, OF_REQUEST, [outletId, requestId])
  if (clocks.length === 0) return []
  const calendar = await calendarOf(ctx)
  return clocks.map((clock) => clockView(ctx, clock, { calendar, today: ctx.clock.today() }))
}

/** A clock as it stands on a day. */
export function clockView(
  ctx: Pick<Context, 'config'>,
  clock: KeptClock,
  { calendar, today }: { calendar: Calendar; today: string }
): ClockView {
  const { line, piece, workingDays, startedAt, endedAt, endedBecause } = clock
  const startedOn = dayOf(ctx, startedAt)
  const until = endedAt === null ? today : dayOf(ctx, endedAt)
  const pauses = pausedDays(ctx, clock, until)
  const due = dueOn(startedOn, workingDays, pauses, calendar)
  const isPaused = endedAt === null && clock.pauses.some(({ to }) => to === null)
  return {
    line,
    piece,
    workingDays,
    startedAt: instant(startedAt),
    startedOn,
    dueOn: due,
    workingDaysLeft: workingDays - workingDaysUsed(startedOn, until, pauses, calendar),
    state: endedAt !== null ? 'ended' : isPaused ? 'paused' : 'running',
    isBreached: until > due,
    endedAt: instantOrNull(endedAt),
    endedBecause,
    pauses: clock.pauses.map(({ from, to, reason }, place) => {
      const days = pauses[place]
      return {
        from: instant(from),
        to: instantOrNull(to),
        reason,
        workingDays: days === undefined ? 0 : calendar.countWorkingDays(days.from, days.to)
      }
    }),
    unknownYears: yearsWithoutNotice(startedOn, due, calendar)
  }
}
