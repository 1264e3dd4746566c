// How well outlets were served, by region and month (R-REQ-2, R-REQ-3).
//
// What counts is a clock: a line has one for what was in stock and one for what was not. It is decided once. It is met, and counts in the
// month in which the last of its goods were issued, if that was by the day on which it was due. It is breached, and counts in the month in
// which it was due, if that day passed without; issuing it later changes nothing. It is open in a month if it was started by its end and
// neither decided nor ended by then. One that ended in time without goods being issued (cancelled, or taken for an emergency: then its
// other clock goes on) counts nowhere. A backorder counts in the month in which it was registered.
// Regions are those of the outlets in today's tree.
import { DUTY_NAMES, grantsToday, type Context, type Duty } from '../identity/actor.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { calendarOf } from '../platform/working-days.ts'
import { CLOCK_COLUMNS, dayOf, type KeptClock } from './clock.ts'
import { clockView } from './clocks.queries.ts'
import type { RegionServiceLevel, ServiceLevel, ServiceLevelQuery } from './service-levels.schemas.ts'

/** Who asks how well outlets are served. */
const READING_DUTIES: readonly Duty[] = ['stock-controller', 'operations-supervisor', 'hq-finance', 'department-head']

// $1 to $3 where the duties are held: everywhere, in warehouses (as the outlet or its centre), in regions. $4 the region, $5 and $6 the
// instants between which the month lies.
const OUTLETS = `
  warehouse outlet
  join region on region.id = outlet.region_id
  join request r on r.warehouse_id = outlet.id`
const SEEN = `
       ($1 or outlet.id = any ($2::int[]) or r.centre_id = any ($2::int[]) or outlet.region_id = any ($3::int[]))
   and ($4::text is null or region.code = $4)`

const REQUESTS = statement<{ region: string; requests: number; lines: number }>(`
select region.code as region, count(*)::int as requests, coalesce(sum(n.lines), 0)::int as lines
  from ${OUTLETS}
 cross join lateral (select count(*) as lines from request_line l where l.warehouse_id = r.warehouse_id and l.request_id = r.id) n
 where ${SEEN}
   and r.requested_at >= $5 and r.requested_at < $6
 group by region.code`)

// $7 now.
const BACKORDERS = statement<{ region: string } & RegionServiceLevel['backorders']>(`
select region.code as region, count(*)::int as registered,
       count(*) filter (where b.answered_at <= b.answer_due_at)::int as "answeredInTime",
       count(*) filter (where b.answered_at > b.answer_due_at)::int as "answeredLate",
       count(*) filter (where b.answered_at is null and coalesce(b.ended_at, $7) > b.answer_due_at)::int as unanswered,
       count(*) filter (where b.answered_at is null and b.ended_at is null and b.answer_due_at >= $7)::int as pending,
       count(*) filter (where b.answered_at is null and b.ended_at <= b.answer_due_at)::int as "endedBefore"
  from ${OUTLETS}
  join backorder b on b.warehouse_id = r.warehouse_id and b.request_id = r.id
 where ${SEEN}
   and b.registered_at >= $5 and b.registered_at < $6
 group by region.code`)

// Those that may have been decided in the month, or were open at its end; $7 its first day.
const CLOCKS = `
select region.code as region, ${CLOCK_COLUMNS}
  from ${OUTLETS}
  join request_clock c on c.warehouse_id = r.warehouse_id and c.request_id = r.id
 where ${SEEN}
   and c.started_at < $6 and (c.ended_at is null or c.ended_at >= $5 or c.due_on >= $7::date)`

type Decision = 'met' | 'breached' | 'open'

/** What a clock counts as in a month, from its first to its last day; undefined if it does not. */
export function decisionIn(
  { first, last }: { first: string; last: string },
  { dueOn, endedOn, isIssued, today }: { dueOn: string; endedOn: string | null; isIssued: boolean; today: string }
): Decision | undefined {
  const isIn = (day: string) => first <= day && day <= last
  const until = endedOn ?? today
  if (until > dueOn) {
    if (isIn(dueOn)) return 'breached'
  } else if (endedOn !== null && isIn(endedOn)) return isIssued ? 'met' : undefined
  // Decided or ended later than the month, or not yet.
  const settledOn = until > dueOn ? dueOn : endedOn
  return settledOn === null || settledOn > last ? 'open' : undefined
}

interface Sum extends Omit<ServiceLevel, 'share' | 'meanWorkingDays'> {
  issued: number
  workingDays: number
}

/**
 * The service levels of the regions in which the actor holds the duty, as far as it goes.
 * @throws Refusal 403 `DutyRequired`, 404 for an unknown region, 422 `MonthNotBegun`
 */
export async function serviceLevels(
  ctx: Context,
  { month, region }: ServiceLevelQuery
): Promise<{ items: RegionServiceLevel[] }> {
  const grants = readingGrants(ctx)
  if (region !== undefined) await findRegion(ctx, region)
  const today = ctx.clock.today()
  if (month > today.slice(0, 7))
    throw new Refusal(
      'MonthNotBegun',
      422,
      `${month} has not begun; ask for ${today.slice(0, 7)} or an earlier month`,
      {
        errors: [
          { pointer: '?month', detail: 'has not begun', sent: month, accepted: `${today.slice(0, 7)} or earlier` }
        ]
      }
    )
  const of = Temporal.PlainYearMonth.from(month)
  const [first, last] = [of.toPlainDate({ day: 1 }), of.toPlainDate({ day: of.daysInMonth })]
  const instantOf = (day: Temporal.PlainDate) =>
    day.toZonedDateTime(ctx.config.BUSINESS_TIME_ZONE).toInstant().toString()
  const values = [
    grants.some(({ warehouseId, regionId }) => warehouseId === null && regionId === null),
    grants.flatMap(({ warehouseId }) => warehouseId ?? []),
    grants.flatMap(({ regionId }) => regionId ?? []),
    region ?? null,
    instantOf(first),
    instantOf(last.add({ days: 1 }))
  ]
  const requests = new Map((await run(ctx, REQUESTS, values)).map((row) => [row.region, row]))
  const backorders = new Map(
    (await run(ctx, BACKORDERS, [...values, ctx.clock.now().toString()])).map(({ region: code, ...row }) => [code, row])
  )
  const sums = await clockSums(ctx, values, { first: first.toString(), last: last.toString() })
  const codes = [...new Set([...requests.keys(), ...backorders.keys(), ...sums.keys()])].toSorted()
  return {
    items: codes.map((code) => ({
      month,
      region: code,
      requests: requests.get(code)?.requests ?? 0,
      lines: requests.get(code)?.lines ?? 0,
      inStock: levelOf(sums.get(code)?.['in-stock']),
      backordered: levelOf(sums.get(code)?.backordered),
      backorders: backorders.get(code) ?? {
        registered: 0,
        answeredInTime: 0,
        answeredLate: 0,
        unanswered: 0,
        pending: 0,
        endedBefore: 0
      }
    }))
  }
}

function readingGrants(ctx: Context) {
  const grants = grantsToday(ctx)
  const reading = grants.filter(({ duty }) => READING_DUTIES.includes(duty))
  if (reading.length > 0) return reading
  const held = [...new Set(grants.map(({ duty }) => duty))]
  throw new Refusal(
    'DutyRequired',
    403,
    `this needs the duty ${READING_DUTIES.map((duty) => `${duty} (${DUTY_NAMES[duty]})`).join(' or ')} somewhere; you hold ${held.join(', ') || 'none'}`,
    { extra: { required: READING_DUTIES, held } }
  )
}

const nothing = (): Sum => ({ met: 0, breached: 0, open: 0, pausedWorkingDays: 0, issued: 0, workingDays: 0 })

async function clockSums(
  ctx: Context,
  values: unknown[],
  month: { first: string; last: string }
): Promise<Map<string, Record<KeptClock['piece'], Sum>>> {
  const sums = new Map<string, Record<KeptClock['piece'], Sum>>()
  const calendar = await calendarOf(ctx)
  const today = ctx.clock.today()
  for await (const { region, ...clock } of rowsOf<KeptClock & { region: string }>(ctx, CLOCKS, [
    ...values,
    month.first
  ])) {
    const { dueOn, workingDays, workingDaysLeft, pauses } = clockView(ctx, clock, { calendar, today })
    const decision = decisionIn(month, {
      dueOn,
      endedOn: clock.endedAt === null ? null : dayOf(ctx, clock.endedAt),
      isIssued: clock.endedBecause === 'issued',
      today
    })
    if (decision === undefined) continue
    const ofRegion = sums.get(region) ?? { 'in-stock': nothing(), backordered: nothing() }
    sums.set(region, ofRegion)
    const sum = ofRegion[clock.piece]
    sum[decision]++
    if (decision === 'open') continue
    sum.pausedWorkingDays += pauses.reduce((days, pause) => days + pause.workingDays, 0)
    if (clock.endedBecause !== 'issued') continue
    sum.issued++
    sum.workingDays += workingDays - workingDaysLeft
  }
  return sums
}

const rounded = (value: number, places: number): number => Number(value.toFixed(places))

function levelOf({ issued, workingDays, ...sum }: Sum = nothing()): ServiceLevel {
  const decided = sum.met + sum.breached
  return {
    ...sum,
    share: decided === 0 ? null : rounded(sum.met / decided, 4),
    meanWorkingDays: issued === 0 ? null : rounded(workingDays / issued, 2)
  }
}

type Row = Pick<RegionServiceLevel, 'month' | 'region' | 'requests' | 'lines'> &
  RegionServiceLevel['backorders'] &
  Record<`inStock${Capitalize<keyof ServiceLevel>}` | `backordered${Capitalize<keyof ServiceLevel>}`, number | null>

export const SERVICE_LEVEL_COLUMNS: CsvColumns<Row> = {
  month: 'month 月份',
  region: 'region 区域',
  requests: 'requests 要货单',
  lines: 'lines 行数',
  inStockMet: 'in stock: in time 有货按时',
  inStockBreached: 'in stock: breached 有货超时',
  inStockOpen: 'in stock: open 有货未完成',
  inStockShare: 'in stock: share 有货按时率',
  inStockMeanWorkingDays: 'in stock: mean working days 有货平均工作日',
  inStockPausedWorkingDays: 'in stock: paused 有货暂停工作日',
  backorderedMet: 'backordered: in time 缺货按时',
  backorderedBreached: 'backordered: breached 缺货超时',
  backorderedOpen: 'backordered: open 缺货未完成',
  backorderedShare: 'backordered: share 缺货按时率',
  backorderedMeanWorkingDays: 'backordered: mean working days 缺货平均工作日',
  backorderedPausedWorkingDays: 'backordered: paused 缺货暂停工作日',
  registered: 'backorders 缺货登记',
  answeredInTime: 'answered in time 按时应答',
  answeredLate: 'answered late 逾期应答',
  unanswered: 'unanswered 未应答',
  pending: 'pending 待应答',
  endedBefore: 'ended before 提前结束'
}

/** The same as rows of a file. */
export async function* serviceLevelRows(items: readonly RegionServiceLevel[]): AsyncGenerator<Row> {
  for (const { inStock, backordered, backorders, ...item } of items)
    yield { ...item, ...backorders, ...prefixed('inStock', inStock), ...prefixed('backordered', backordered) }
}

const prefixed = <Prefix extends string>(prefix: Prefix, level: ServiceLevel) =>
  Object.fromEntries(
    Object.entries(level).map(([name, value]) => [`${prefix}${name[0]?.toUpperCase()}${name.slice(1)}`, value])
  ) as Record<`${Prefix}${Capitalize<keyof ServiceLevel>}`, number | null>
