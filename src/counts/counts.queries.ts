import { Type, type Static } from 'typebox'
import { requireSight, sightOf, type Context } from '../identity/actor.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { rowsOf } from '../platform/csv.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { Instant, Month, named, nullable, oneOf, pageOf, ref, WarehouseCode } from '../platform/schemas.ts'
import { SigningDuty } from '../signing/signing.schemas.ts'
import { SlipEvent } from '../slips/slips.schemas.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { historyOf } from '../signing/document-history.ts'
import {
  COUNT_KIND_NAMES,
  COUNT_LINE_COLUMNS,
  COUNT_LINE_FROM,
  countLineView,
  DIFFERS,
  loadCount,
  viewOfCount,
  type CountLine
} from './count.ts'
import {
  COUNT_KINDS,
  COUNT_STATES,
  CountLineView,
  CountNumber,
  type CountKind,
  type CountLineState,
  type CountState,
  type CountView
} from './counts.schemas.ts'

/** One count, with how far its lines are. */
export const readCount = (ctx: Context, { number }: { number: string }): Promise<CountView> => viewOfCount(ctx, number)

// Lines

export const CountLinePage = pageOf(CountLineView)

export interface CountLineFilter {
  number: string
  state?: CountLineState | undefined
  /** Settled lines where ledger, card and goods do not agree, or where they do. Of other lines nobody is told. */
  differs?: boolean | undefined
  part?: string | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

const THESE_LINES = `
       l.warehouse_id = $1 and l.count_id = $2 and l.line_no > $3 and ($4::text is null or l.state = $4)
   and ($5::boolean is null or (l.state = 'settled' and (${DIFFERS}) = $5)) and ($6::text is null or l.part_id = (select id from part where number = $6))`
// The page is known before the parts and people of its lines are looked up: a long count costs no more than its page.
const LINE_PAGE = statement<CountLine>(`
select ${COUNT_LINE_COLUMNS}
  from ${COUNT_LINE_FROM}
 where l.warehouse_id = $1 and l.count_id = $2
   and l.line_no = any (array(select l.line_no from count_line l where ${THESE_LINES} order by l.line_no limit $7))
 order by l.line_no`)

const filtersOf = ({ state, differs, part }: CountLineFilter) => [state ?? null, differs ?? null, part ?? null]

/** Lines of a count in the order they are printed, each as far as it may be seen (R-CNT-2). */
export async function listCountLines(ctx: Context, { number, limit = 50, cursor, ...filter }: CountLineFilter) {
  const { count, warehouse } = await loadCount(ctx, number)
  const [after] = readCursor(cursor, 1) ?? [0]
  const values = [warehouse.id, count.id, after, ...filtersOf({ number, ...filter }), limit + 1]
  const rows = await run(ctx, LINE_PAGE, values)
  return pageFrom(rows.map(countLineView), limit, ({ line }) => [line])
}

const LINE = statement<CountLine>(
  `select ${COUNT_LINE_COLUMNS} from ${COUNT_LINE_FROM} where l.warehouse_id = $1 and l.count_id = $2 and l.line_no = $3`
)

/** One line as far as it may be seen (R-CNT-2); undefined if there is none. */
export async function lineOf(
  ctx: Context,
  warehouse: { id: number },
  count: { id: string },
  line: number
): Promise<CountLineView | undefined> {
  const [found] = await run(ctx, LINE, [warehouse.id, count.id, line])
  return found === undefined ? undefined : countLineView(found)
}

/**
 * One line of a count as far as it may be seen (R-CNT-2).
 * @throws Refusal 404
 */
export async function readCountLine(
  ctx: Context,
  { number, line }: { number: string; line: number }
): Promise<CountLineView> {
  const { count, warehouse } = await loadCount(ctx, number)
  const found = await lineOf(ctx, warehouse, count, line)
  if (found === undefined) throw notFound('line', `${line} of ${number}`)
  return found
}

/** A line of a count with the lots to look for at the shelf. */
export type CountSheetLine = CountLineView & {
  /** Lots of a line that is not settled, without quantities; what was counted of each of a settled one. */
  lotsText: string
  /** Which round is asked for next; nothing where none is. A list that is sent back is refused for lines counted meanwhile. */
  round: number | null
}

const OF_THIS_BALANCE = (table: string) =>
  `${table}.warehouse_id = l.warehouse_id and ${table}.part_id = l.part_id and ${table}.ownership = l.ownership and ${table}.condition = l.condition`

// The lots that are on hand, or the last one that moved: that there is none must not tell that none is expected.
const SHEET_LINES = `
select ${COUNT_LINE_COLUMNS},
       case when l.state <> 'settled' then coalesce(
         (select string_agg(lot.id::text, ', ' order by lot.received_on, lot.id) from lot where ${OF_THIS_BALANCE('lot')} and not lot.exhausted),
         (select m.lot_id::text from movement m where ${OF_THIS_BALANCE('m')} order by m.occurred_on desc, m.id desc limit 1)) end as "lotsToCount"
  from ${COUNT_LINE_FROM}
 where ${THESE_LINES}
 order by l.line_no`

/** All lines that a filter leaves, through a cursor of the database: memory stays flat at any length. */
export async function* countLines(
  ctx: Context,
  of: { warehouseId: number; countId: string },
  filter: CountLineFilter
): AsyncGenerator<CountSheetLine> {
  const values = [of.warehouseId, of.countId, 0, ...filtersOf(filter)]
  for await (const { lotsToCount, ...line } of rowsOf<CountLine & { lotsToCount: string | null }>(
    ctx,
    SHEET_LINES,
    values
  )) {
    const view = countLineView(line)
    const counted = view.lots?.map(({ lot, counted: found, expected }) => `${lot}: ${found} / ${expected}`).join(', ')
    const isAsked = view.state === 'open' || view.state === 'recount-due'
    yield { ...view, lotsText: counted ?? lotsToCount ?? '', round: isAsked ? view.rounds + 1 : null }
  }
}

/** The lines of a count as a stream, for a file that can be filled and sent back. */
export async function countLineStream(ctx: Context, filter: CountLineFilter): Promise<AsyncGenerator<CountSheetLine>> {
  const { count, warehouse } = await loadCount(ctx, filter.number)
  return countLines(ctx, { warehouseId: warehouse.id, countId: count.id }, filter)
}

/** Headings of the file of lines. `counted` and `card` of a line that is not settled are empty cells, to be filled. */
export const COUNT_LINE_HEADINGS = {
  line: 'line 行号',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  specification: 'specification 规格',
  colour: 'colour 颜色',
  unit: 'unit 单位',
  ownership: 'ownership 所有权',
  condition: 'condition 质量状态',
  lotsText: 'lots 批次明细',
  state: 'state 状态',
  round: 'round 轮次',
  counted: 'counted 实盘数量',
  card: 'card 卡片数量',
  expected: 'expected 账面数量',
  variance: 'variance 盘盈盘亏',
  cardVariance: 'card variance 卡物差异',
  varianceValue: 'variance value 差异金额',
  cause: 'cause 差异原因',
  causeNote: 'cause note 原因说明',
  evidence: 'evidence 依据',
  countedBy: 'counted by 盘点人',
  countedAt: 'counted at 盘点时间',
  verifiedBy: 'verified by 核实人',
  setAsideBecause: 'set aside because 搁置原因',
  adjustmentProblem: 'adjustment problem 调整障碍'
} as const satisfies Partial<Record<keyof CountSheetLine, string>>

// Counts

export const CountSummary = named(
  'CountSummary',
  Type.Object({
    number: CountNumber,
    warehouse: WarehouseCode,
    kind: oneOf(COUNT_KINDS, 'Kind of count'),
    kindZh: Type.String({ description: 'Name of the document in Chinese' }),
    state: oneOf(COUNT_STATES, 'State'),
    version: Type.Integer(),
    period: nullable(Month),
    openedAt: Instant,
    openedBy: Type.String({ description: 'User name' }),
    note: nullable(Type.String()),
    submittedAt: nullable(Instant),
    awaiting: Type.Array(SigningDuty, { description: 'Duties that have not signed yet' }),
    approvedAt: nullable(Instant),
    cancelledAt: nullable(Instant),
    adjustmentSlip: nullable(Type.String({ description: 'Slip that adjusts the ledger (调整单号)' })),
    follows: nullable(Type.String({ description: 'Count whose left-over lines this one counts again' })),
    reportedAt: nullable(Instant)
  })
)
export type CountSummary = Static<typeof CountSummary>
export const CountSummaryPage = pageOf(CountSummary)

export interface CountFilter {
  period?: string | undefined
  state?: CountState | undefined
  kind?: CountKind | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

type SummaryRow = Omit<CountSummary, 'kindZh'> & { id: string }

const NEWEST_FIRST = 'order by c.id desc'

const listed = (page: string) => `
select c.id::text as id, c.number, w.code as warehouse, c.kind, c.state, c.version, to_char(c.period, 'YYYY-MM') as period, c.opened_at as "openedAt",
       opener.username as "openedBy", c.note, c.submitted_at as "submittedAt", c.approved_at as "approvedAt", c.cancelled_at as "cancelledAt",
       adjustment.number as "adjustmentSlip", followed.number as follows, c.reported_at as "reportedAt",
       case when c.state = 'awaiting-signatures' then array(
              select duty from unnest(c.duties) with ordinality as asked (duty, place)
               where not exists (select 1 from signature g where g.warehouse_id = c.warehouse_id and g.document_id = c.id and g.voided_at is null and g.duty = asked.duty)
               order by place)
            else '{}' end as awaiting
  from (${page}) c
  join warehouse w on w.id = c.warehouse_id
  join person opener on opener.id = c.opened_by
  left join slip adjustment on adjustment.warehouse_id = c.warehouse_id and adjustment.id = c.adjustment_slip_id
  left join stock_count followed on followed.warehouse_id = c.warehouse_id and followed.id = c.follows_count_id
 ${NEWEST_FIRST}`

/** Counts of some warehouses, newest first: of one, of everything, or of each in sight by its own index, and the newest of those. */
async function countsOf(
  ctx: Context,
  { everywhere, warehouseIds, regionIds }: { everywhere: boolean; warehouseIds: number[]; regionIds: number[] },
  { period, state, kind, region, limit = 50, cursor }: CountFilter & { region?: string | undefined }
) {
  const after = readCursor(cursor, 1)
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const isOneWarehouse = !everywhere && warehouseIds.length === 1 && regionIds.length === 0 && region === undefined
  const isEverything = everywhere && region === undefined
  const conditions = [
    ...(isOneWarehouse ? [`c.warehouse_id = ${value(warehouseIds[0])}`] : []),
    ...(isOneWarehouse || isEverything ? [] : ['c.warehouse_id = seen.id']),
    ...(period === undefined ? [] : [`c.period = ${value(`${period}-01`)}::date`]),
    ...(state === undefined ? [] : [`c.state = ${value(state)}`]),
    ...(kind === undefined ? [] : [`c.kind = ${value(kind)}`]),
    ...(after === null ? [] : [`c.id < ${value(after[0])}::bigint`])
  ]
  const rows = value(limit + 1)
  const counts = `select c.* from stock_count c ${conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`} ${NEWEST_FIRST} limit ${rows}`
  const page =
    isOneWarehouse || isEverything
      ? counts
      : `select c.* from warehouse seen cross join lateral (${counts}) c
          where (${value(everywhere)} or seen.id = any (${value(warehouseIds)}::int[]) or seen.region_id = any (${value(regionIds)}::int[]))
            and ${region === undefined ? 'true' : `seen.region_id = (select id from region where code = ${value(region)})`} ${NEWEST_FIRST} limit ${rows}`
  const found = await run(ctx, statement<SummaryRow>(listed(page)), values)
  if (found.length === 0 && region !== undefined) await findRegion(ctx, region)
  const { items, nextCursor } = pageFrom(found, limit, ({ id }) => [id])
  return { items: items.map(({ id: _id, ...row }) => summaryOf(row)), nextCursor }
}

const summaryOf = (row: Omit<SummaryRow, 'id'>): CountSummary => ({
  ...row,
  kindZh: COUNT_KIND_NAMES[row.kind],
  openedAt: instant(row.openedAt),
  submittedAt: instantOrNull(row.submittedAt),
  approvedAt: instantOrNull(row.approvedAt),
  cancelledAt: instantOrNull(row.cancelledAt),
  reportedAt: instantOrNull(row.reportedAt)
})

/** Counts of a warehouse, newest first. */
export async function listCounts(ctx: Context, { warehouse: code, ...filter }: CountFilter & { warehouse: string }) {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  return countsOf(ctx, { everywhere: false, warehouseIds: [warehouse.id], regionIds: [] }, filter)
}

/** Counts of every warehouse the actor sees, newest first. */
export const searchCounts = (ctx: Context, filter: CountFilter & { region?: string | undefined }) =>
  countsOf(ctx, sightOf(ctx), filter)

// History

export const CountEvents = named('CountEvents', Type.Object({ items: Type.Array(ref(SlipEvent)) }))

/** Everything that happened to a count, oldest first. */
export async function listCountEvents(ctx: Context, { number }: { number: string }) {
  const { count, warehouse } = await loadCount(ctx, number)
  return { items: await historyOf(ctx, { warehouseId: warehouse.id, id: count.id }) }
}
