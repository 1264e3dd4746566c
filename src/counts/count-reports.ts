import { Type, type Static } from 'typebox'
import { requireDuty, sightOf, type Context } from '../identity/actor.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { instant } from '../platform/clock.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { rowsOf } from '../platform/csv.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { closed, Day, Instant, Month, named, nullable, oneOf, pageOf, WarehouseCode } from '../platform/schemas.ts'
import { lockCount, viewOfCount } from './count.ts'
import { COUNT_STATES, CountNumber, type CountView } from './counts.schemas.ts'

/** The copy of the count sheet is with the HQ stock controller by this day of the month after (R-CNT-3). */
export const REPORT_DUE_DAY = 5

export const REPORT_STATES = ['not-opened', 'counting', 'counted', 'sent', 'overdue'] as const
export type ReportState = (typeof REPORT_STATES)[number]

export const CountReport = named(
  'CountReport',
  Type.Object(
    {
      warehouse: WarehouseCode,
      warehouseName: Type.String(),
      warehouseNameZh: nullable(Type.String()),
      region: Type.String(),
      period: Month,
      state: oneOf(
        REPORT_STATES,
        'not-opened: no month-end count yet; counting; counted: submitted, the report not sent; sent; overdue: not sent by the day it was due, however far the count is'
      ),
      dueOn: Type.String({ ...Day, description: 'The 5th of the month after the period' }),
      count: nullable(CountNumber),
      countState: nullable(oneOf(COUNT_STATES, 'State of that count')),
      sentAt: nullable(Instant),
      sentBy: nullable(Type.String({ description: 'User name' })),
      late: Type.Boolean({ description: 'It was sent, and after the day it was due' }),
      note: nullable(Type.String())
    },
    { description: 'How far a warehouse is with the report of its month-end count (盘点上报)' }
  )
)
export type CountReport = Static<typeof CountReport>
export const CountReportPage = pageOf(CountReport)

export interface ReportFilter {
  period: string
  region?: string | undefined
  state?: ReportState | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

/** The day by which the report of a month is sent. */
export const reportDueOn = (period: string): string =>
  Temporal.PlainYearMonth.from(period).add({ months: 1 }).toPlainDate({ day: REPORT_DUE_DAY }).toString()

// A report counts as sent if and only if it was sent after the count was last submitted: a count that was sent back and counted
// again is reported again, and so is one whose lines changed, be it within the same instant.
export const HAS_REPORTED = `c.state in ('awaiting-signatures', 'approved') and c.reported_at >= c.submitted_at and c.reported_hash = c.content_hash`

/**
 * Whether warehouse `w` reports its count of a month: it was there and open when the month ended. Somebody wrote it down by then, or
 * something moved: what was there before the service knew of it is brought in with the day it came.
 */
export const reportsOf = (month: string, timeZone: string): string => {
  const next = `(${month} + interval '1 month')::date`
  return `(w.closed_on is null or w.closed_on >= ${next}) and (
         least(w.named_at, (select min(from_at) from warehouse_name where warehouse_id = w.id)) < ${next}::timestamp at time zone ${timeZone}
         or exists (select 1 from movement moved where moved.warehouse_id = w.id and moved.occurred_on < ${next}))`
}

/** Joins as `c` the month-end count of a warehouse and month, if there is one. */
export const monthEndCount = (warehouse: string, month: string): string =>
  `left join stock_count c on c.warehouse_id = ${warehouse} and c.period = ${month} and c.kind = 'month-end' and c.state <> 'cancelled'`

const reports = `
select * from (
  select w.code as warehouse, w.name as "warehouseName", w.name_zh as "warehouseNameZh", region.code as region, $1 as period, $3::date as "dueOn",
         case when ${HAS_REPORTED} then 'sent'
              when $4::date > $3::date then 'overdue'
              when c.id is null then 'not-opened'
              when c.state = 'counting' then 'counting'
              else 'counted' end as state,
         c.number as count, c.state as "countState",
         case when ${HAS_REPORTED} then c.reported_at end as "sentAt", case when ${HAS_REPORTED} then sender.username end as "sentBy",
         coalesce(${HAS_REPORTED} and (c.reported_at at time zone $11)::date > $3::date, false) as late,
         case when ${HAS_REPORTED} then c.report_note end as note
    from warehouse w
    join region on region.id = w.region_id
    ${monthEndCount('w.id', '$2::date')}
    left join person sender on sender.id = c.reported_by
   where ${reportsOf('$2::date', '$11')}
     and ($5 or w.id = any ($6::int[]) or w.region_id = any ($7::int[]))
     and ($8::text is null or region.code = $8) and w.code > $10
) r
 where ($9::text is null or r.state = $9)
 order by r.warehouse`
const PAGE = statement<CountReport>(`${reports} limit $12`)

function valuesOf(ctx: Context, { period, region, state }: ReportFilter, after: string | number = '') {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  return [
    period,
    `${period}-01`,
    reportDueOn(period),
    ctx.clock.today(),
    everywhere,
    warehouseIds,
    regionIds,
    region ?? null,
    state ?? null,
    after,
    ctx.config.BUSINESS_TIME_ZONE
  ]
}

const sentAtOf = (row: CountReport): CountReport => ({
  ...row,
  sentAt: row.sentAt === null ? null : instant(row.sentAt)
})

function requireBegun(ctx: Context, period: string): void {
  const thisMonth = ctx.clock.today().slice(0, 7)
  if (period <= thisMonth) return
  throw new Refusal('PeriodNotBegun', 422, `${period} has not begun; ask for ${thisMonth} or a month before it`, {
    errors: [{ pointer: '?period', detail: 'has not begun', sent: period, accepted: `${thisMonth} or earlier` }]
  })
}

/**
 * The reports of a month, one for every warehouse in sight that was there and open when the month ended, by warehouse code.
 * @throws Refusal 404 for a region that does not exist, 422 `PeriodNotBegun`
 */
export async function listCountReports(ctx: Context, { limit = 50, cursor, ...filter }: ReportFilter) {
  requireBegun(ctx, filter.period)
  const [after] = readCursor(cursor, 1) ?? ['']
  const rows = await run(ctx, PAGE, [...valuesOf(ctx, filter, after), limit + 1])
  if (rows.length === 0 && filter.region !== undefined) await findRegion(ctx, filter.region)
  return pageFrom(rows.map(sentAtOf), limit, ({ warehouse }) => [warehouse])
}

/** The same as a stream of all. */
export async function countReportStream(ctx: Context, filter: ReportFilter): Promise<AsyncGenerator<CountReport>> {
  requireBegun(ctx, filter.period)
  if (filter.region !== undefined) await findRegion(ctx, filter.region)
  return (async function* () {
    for await (const row of rowsOf<CountReport>(ctx, reports, valuesOf(ctx, filter))) yield sentAtOf(row)
  })()
}

export const COUNT_REPORT_COLUMNS: Partial<Record<keyof CountReport, string>> = {
  warehouse: 'warehouse 仓库',
  warehouseName: 'name 英文名',
  warehouseNameZh: 'name 仓库名',
  region: 'region 区域',
  period: 'period 期间',
  state: 'state 状态',
  dueOn: 'due on 应报日期',
  count: 'count 盘点单号',
  countState: 'count state 盘点状态',
  sentAt: 'sent at 上报时间',
  sentBy: 'sent by 上报人',
  late: 'late 迟报',
  note: 'note 备注'
}

export const CountReportBody = named(
  'NewCountReport',
  Type.Object(
    {
      note: Type.Optional(Type.String({ minLength: 1, maxLength: 1000, pattern: '\\S', description: 'Remark (备注)' }))
    },
    { ...closed, examples: [{ note: '盘点表已寄出' }] }
  )
)

const SEND = statement<{ version: number }>(`
with sent as (
  update stock_count set reported_at = $3, reported_by = $4, report_note = $5, reported_hash = content_hash, version = version + 1
   where warehouse_id = $1 and id = $2 and (reported_at is null or reported_at < submitted_at or reported_hash is distinct from content_hash)
  returning version
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, $2, $3, $4, 'reported', case when $5::text is null then null else jsonb_build_object('note', $5::text) end from sent
)
select version from sent`)

/**
 * Sends the report of a count to the HQ stock controller (R-CNT-3): once per submission. A count that was sent back and
 * submitted anew is reported anew.
 * @throws Refusal 409 `CountNotSubmitted` or `CountReportSent`
 */
export async function sendCountReport(
  ctx: Context,
  { number, note, ifMatch }: { number: string; note?: string | undefined; ifMatch?: string | undefined }
): Promise<CountView> {
  return inTransaction(ctx, async (inner) => {
    const { count, warehouse } = await lockCount(inner, number, {
      mayWrite: (place) => requireDuty(inner, ['keeper', 'department-head', 'finance-supervisor'], place),
      ifMatch
    })
    if (count.state === 'counting' || count.state === 'cancelled')
      throw new Refusal(
        'CountNotSubmitted',
        409,
        `count ${number} is ${count.state}; the report is sent when the count is submitted`
      )
    const values = [warehouse.id, count.id, inner.clock.now().toString(), inner.actor.personId, note ?? null]
    const [sent] = await run(inner, SEND, values)
    const view = await viewOfCount(inner, number)
    if (sent !== undefined) return view
    throw new Refusal(
      'CountReportSent',
      409,
      `the report of count ${number} was sent at ${view.reportedAt} by ${view.reportedBy}; it is sent once`,
      { extra: { sentAt: view.reportedAt, sentBy: view.reportedBy } }
    )
  })
}
