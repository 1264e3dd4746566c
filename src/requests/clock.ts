// The clocks of requests (R-REQ-2). A line has one for what was there and one for what was not, each over working days of the Chinese
// calendar. The day on which it starts is day 0: whatever the hour, and whether or not people work on it. While the requester is waited
// for, the clock stands: the working days after the one on which it was asked, up to and with the one of the answer, do not count. It
// ends when the last goods of its piece are issued, or when nothing of its piece is left.
//
// What is kept of a clock (its pauses, the day on which it is due, its end) is what backorders and allocations of the line say:
// `settleClocks` makes it so, and does nothing where it is so already.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { calendarOf, type Calendar } from '../platform/working-days.ts'
import { PIECES, type ClockEnd, type PauseReason, type Piece } from './clock.schemas.ts'

/** Days between which the requester was waited for: of `from` < d <= `to` none counts. */
export interface PausedDays {
  from: string
  to: string
}

const isPaused = (day: string, pauses: readonly PausedDays[]): boolean =>
  pauses.some(({ from, to }) => from < day && day <= to)

/** The day on which so many working days after `start` are over, those in pauses left out. Always a working day. */
export function dueOn(
  start: string,
  workingDays: number,
  pauses: readonly PausedDays[],
  calendar: Pick<Calendar, 'addWorkingDays'>
): string {
  let day = start
  for (let left = workingDays; left > 0;) {
    day = calendar.addWorkingDays(day, 1)
    if (!isPaused(day, pauses)) left--
  }
  return day
}

/** Working days d with start < d <= until, those in pauses left out. */
export function workingDaysUsed(
  start: string,
  until: string,
  pauses: readonly PausedDays[],
  calendar: Pick<Calendar, 'addWorkingDays'>
): number {
  let used = 0
  for (let day = calendar.addWorkingDays(start, 1); day <= until; day = calendar.addWorkingDays(day, 1))
    if (!isPaused(day, pauses)) used++
  return used
}

/** The day of an instant in the business time zone. */
export const dayOf = (ctx: Pick<Context, 'config'>, at: string): string =>
  Temporal.Instant.from(at).toZonedDateTimeISO(ctx.config.BUSINESS_TIME_ZONE).toPlainDate().toString()

/** The years from a day to another for which no notice says which days are worked: Monday to Friday are taken for it. */
export function yearsWithoutNotice(from: string, to: string, calendar: Pick<Calendar, 'isKnown'>): number[] {
  const years: number[] = []
  for (let { year } = Temporal.PlainDate.from(from); year <= Temporal.PlainDate.from(to).year; year++)
    if (!calendar.isKnown(`${year}-01-01`)) years.push(year)
  return years
}

const daysOf = ({ config }: Pick<Context, 'config'>, piece: Piece): number =>
  piece === 'in-stock' ? config.REQUEST_DAYS_IN_STOCK : config.REQUEST_DAYS_BACKORDERED

// A clock that ended runs on if there is something to wait for again: its goods came back, or were taken away by a recall.
const START = statement<never>(`
insert into request_clock (warehouse_id, request_id, line_no, piece, working_days, started_at, due_on)
select $1, $2, p.line_no, p.piece, p.working_days, $6, p.due_on
  from unnest($3::int[], $4::text[], $5::int[], $7::date[]) as p (line_no, piece, working_days, due_on)
 order by p.line_no, p.piece
on conflict (warehouse_id, request_id, line_no, piece) do update set ended_at = null, ended_because = null
  where request_clock.ended_at is not null`)

/**
 * Starts the clocks of lines at the moment the rule says: that of the request, for a controlled part that of its approval (R-CAT-2).
 * One that runs already goes on as it is.
 */
export async function startClocks(
  ctx: Context,
  {
    outletId,
    requestId,
    at,
    pieces
  }: { outletId: number; requestId: string; at: string; pieces: readonly { line: number; piece: Piece }[] }
): Promise<void> {
  if (pieces.length === 0) return
  const calendar = await calendarOf(ctx)
  const start = dayOf(ctx, at)
  const due = Object.fromEntries(PIECES.map((piece) => [piece, dueOn(start, daysOf(ctx, piece), [], calendar)]))
  await run(ctx, START, [
    outletId,
    requestId,
    pieces.map(({ line }) => line),
    pieces.map(({ piece }) => piece),
    pieces.map(({ piece }) => daysOf(ctx, piece)),
    at,
    pieces.map(({ piece }) => due[piece])
  ])
}

/** Goods of allocation `a` that still are to be handed out. */
const LIVE = `a.state in ('reserved', 'on-its-way', 'ready')`

// First what became of the backorders of these lines: goods that came for them are asked for until the requester has said that they
// are still needed, and with the last of them it is over. Rows are locked in key order, after the request that its verbs lock.
// Looked at once per backorder: left to the planner, 500 lines that wait took 25 s instead of 0.13 s.
const SETTLE_BACKORDERS = statement<{ id: string; number: string; line: number; state: string }>(`
with found as materialized (
  select b.id, a.quantity, a.is_live, a.is_issued, a.is_asked
    from backorder b
   cross join lateral (
     select coalesce(sum(round(a.quantity / a.factor, 3)) filter (where a.state <> 'ended'), 0) as quantity,
            coalesce(bool_or(${LIVE}), false) as is_live, coalesce(bool_or(a.issued > 0), false) as is_issued,
            coalesce(bool_or(${LIVE} and a.needs_confirmation and a.confirmed_at is null), false) as is_asked
       from request_allocation a
      where a.warehouse_id = b.warehouse_id and a.request_id = b.request_id and a.line_no = b.line_no and a.backorder_id = b.id) a
   where b.warehouse_id = $1 and b.request_id = $2 and ($3::int[] is null or b.line_no = any ($3)) and b.ended_at is null
), settled as materialized (
  select b.id, case when f.is_live or b.waiting > 0 then b.waiting + f.quantity else b.quantity end as quantity,
         case when f.is_asked then 'allocated' when b.waiting > 0 then 'waiting' when f.is_live then 'confirmed'
              when f.is_issued then 'fulfilled' else 'cancelled' end as state,
         case when f.is_asked then coalesce(b.asked_at, $4) end as asked_at
    from backorder b
    join found f on f.id = b.id
   where b.warehouse_id = $1
), changed as (
  update backorder b
     set quantity = s.quantity, state = s.state, asked_at = s.asked_at, version = version + 1,
         ended_at = case when s.state in ('fulfilled', 'cancelled') then $4::timestamptz end,
         ended_because = case s.state when 'fulfilled' then 'issued' when 'cancelled' then $6::text end
    from settled s
   where b.warehouse_id = $1 and b.id = s.id and (b.quantity, b.state, b.asked_at) is distinct from (s.quantity, s.state, s.asked_at)
  returning b.id, b.number, b.line_no, b.state, b.ended_because
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, id, $4, $5, state, case state when 'cancelled' then jsonb_build_object('reason', ended_because) end
    from changed where state in ('fulfilled', 'cancelled') order by id
)
select id::text as id, number, line_no as line, state from changed order by id`)

// What was found without a backorder for a line that had nothing in stock when it was asked for (an issue of it was reversed) is of what it
// waited for. As SQL over allocation `a` and clock `c`.
const OF_PIECE = `
       (c.piece = 'in-stock') = (a.backorder_id is null and exists (
         select 1 from request_clock i
          where i.warehouse_id = c.warehouse_id and i.request_id = c.request_id and i.line_no = c.line_no and i.piece = 'in-stock'))`

// Then the clocks: what their piece still waits for, and whether that is the requester alone.
const SETTLE_CLOCKS = statement<never>(`
with piece as (
  select c.line_no, c.piece, c.started_at, handed_out.at as handed_out_at, coalesce(a.is_live, false) or (c.piece = 'backordered' and coalesce(b.waiting, 0) > 0) as is_open,
         c.piece = 'backordered' and b.waiting = 0 and b.asked_at is not null as is_asked,
         case when a.is_issued then 'issued' when c.piece = 'in-stock' and b.id is not null then 'backordered' else 'cancelled' end as because
    from request_clock c
    left join backorder b on b.warehouse_id = c.warehouse_id and b.request_id = c.request_id and b.line_no = c.line_no and b.ended_at is null
    left join lateral (select bool_or(${LIVE}) as is_live, bool_or(a.issued > 0) as is_issued
                         from request_allocation a
                        where a.warehouse_id = c.warehouse_id and a.request_id = c.request_id and a.line_no = c.line_no
                          and ${OF_PIECE}) a on true
    left join lateral (select max(s.posted_at) as at
                         from request_allocation a
                         join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
                         join slip_line l on l.warehouse_id = r.centre_id and l.reservation_id = a.centre_reservation_id
                         join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state = 'posted'
                        where $5 and a.warehouse_id = c.warehouse_id and a.request_id = c.request_id and a.line_no = c.line_no and a.issued > 0 and ${OF_PIECE}
                          and not exists (select 1 from slip v where v.warehouse_id = s.warehouse_id and v.source_slip_id = s.id and v.kind = 'reversal' and v.state = 'posted')) handed_out on true
   where c.warehouse_id = $1 and c.request_id = $2 and ($3::int[] is null or c.line_no = any ($3))
), ended as (
  update request_clock c set ended_at = case when p.is_open then null
                                           when p.because = 'issued' then greatest(p.started_at, coalesce(p.handed_out_at, $4::timestamptz)) else $4::timestamptz end,
         ended_because = case when p.is_open then null else p.because end
    from piece p
   where c.warehouse_id = $1 and c.request_id = $2 and c.line_no = p.line_no and c.piece = p.piece and p.is_open = (c.ended_at is not null)
), resumed as (
  update request_clock_pause s set to_at = greatest(s.from_at, $4)
    from piece p
   where s.warehouse_id = $1 and s.request_id = $2 and s.line_no = p.line_no and s.piece = p.piece and s.to_at is null and not (p.is_open and p.is_asked)
)
insert into request_clock_pause (warehouse_id, request_id, line_no, piece, pause_no, from_at, reason)
select $1, $2, p.line_no, p.piece,
       1 + coalesce((select max(s.pause_no) from request_clock_pause s where s.warehouse_id = $1 and s.request_id = $2 and s.line_no = p.line_no and s.piece = p.piece), 0),
       $4, 'confirmation'
  from piece p
 where p.is_open and p.is_asked
   and not exists (select 1 from request_clock_pause s
                    where s.warehouse_id = $1 and s.request_id = $2 and s.line_no = p.line_no and s.piece = p.piece and s.to_at is null)`)

/**
 * Call it after goods of lines were allocated, confirmed, issued, brought back or released, and after the rows that say so are written:
 * backorders that have all they wait for or nothing more to wait for end, clocks pause, go on or end, and are due anew.
 * @param because why a backorder is cancelled that nothing is left of
 * @param endsWithPosting the caller counts what slips handed out: a clock ends when that was, however late it is heard of
 */
export async function settleClocks(
  ctx: Context,
  {
    outletId,
    requestId,
    lines,
    because = 'nothing of it is left',
    endsWithPosting = false
  }: {
    outletId: number
    requestId: string
    lines?: readonly number[] | undefined
    because?: string | undefined
    endsWithPosting?: boolean | undefined
  }
): Promise<void> {
  const at = ctx.clock.now().toString()
  await run(ctx, SETTLE_BACKORDERS, [outletId, requestId, lines ?? null, at, ctx.actor.personId, because])
  await run(ctx, SETTLE_CLOCKS, [outletId, requestId, lines ?? null, at, endsWithPosting])
  await reckon(ctx, await run(ctx, PAUSED, [outletId, requestId, lines ?? null]))
}

/** A clock as it is kept. */
export interface KeptClock {
  outletId: number
  requestId: string
  line: number
  piece: Piece
  workingDays: number
  startedAt: string
  dueOn: string
  endedAt: string | null
  endedBecause: ClockEnd | null
  pauses: { from: string; to: string | null; reason: PauseReason }[]
}

export const CLOCK_COLUMNS = `
       c.warehouse_id as "outletId", c.request_id::text as "requestId", c.line_no as line, c.piece, c.working_days as "workingDays",
       to_json(c.started_at) #>> '{}' as "startedAt", c.due_on::text as "dueOn", to_json(c.ended_at) #>> '{}' as "endedAt", c.ended_because as "endedBecause",
       coalesce((select json_agg(json_build_object('from', s.from_at, 'to', s.to_at, 'reason', s.reason) order by s.pause_no)
                   from request_clock_pause s
                  where s.warehouse_id = c.warehouse_id and s.request_id = c.request_id and s.line_no = c.line_no and s.piece = c.piece), '[]') as pauses`

// Only those that were ever paused: the others are due when they were due at their start.
const PAUSED = statement<KeptClock>(`
select ${CLOCK_COLUMNS}
  from request_clock c
 where c.warehouse_id = $1 and c.request_id = $2 and ($3::int[] is null or c.line_no = any ($3))
   and exists (select 1 from request_clock_pause s
                where s.warehouse_id = c.warehouse_id and s.request_id = c.request_id and s.line_no = c.line_no and s.piece = c.piece)`)

const SET_DUE = statement<{ n: number }>(`
with set_anew as (
  update request_clock c set due_on = d.due_on
    from unnest($1::int[], $2::bigint[], $3::int[], $4::text[], $5::date[]) as d (warehouse_id, request_id, line_no, piece, due_on)
   where c.warehouse_id = d.warehouse_id and c.request_id = d.request_id and c.line_no = d.line_no and c.piece = d.piece and c.due_on <> d.due_on
  returning 1
)
select count(*)::int as n from set_anew`)

/** Keeps the days on which clocks are due, by the pauses that are over: one that stands is due as it was when it was stopped. */
export async function reckon(ctx: Context, clocks: readonly KeptClock[]): Promise<number> {
  const calendar = await calendarOf(ctx)
  const changed = clocks.flatMap((clock) => {
    const due = dueOn(dayOf(ctx, clock.startedAt), clock.workingDays, pausedDays(ctx, clock), calendar)
    return due === clock.dueOn ? [] : [{ ...clock, dueOn: due }]
  })
  if (changed.length === 0) return 0
  const [set] = await run(ctx, SET_DUE, [
    changed.map(({ outletId }) => outletId),
    changed.map(({ requestId }) => requestId),
    changed.map(({ line }) => line),
    changed.map(({ piece }) => piece),
    changed.map(({ dueOn: day }) => day)
  ])
  return set?.n ?? 0
}

/** The days of the pauses of a clock. @param until the day up to which one that is not over has lasted; left out without it */
export const pausedDays = (
  ctx: Pick<Context, 'config'>,
  { pauses }: Pick<KeptClock, 'pauses'>,
  until?: string
): PausedDays[] =>
  pauses.flatMap(({ from, to }) => {
    const end = to === null ? until : dayOf(ctx, to)
    return end === undefined ? [] : [{ from: dayOf(ctx, from), to: end }]
  })
