import { Type, type Static } from 'typebox'
import { maySee, requireDuty, requireSight, sightOf, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { requireDaysInOrder } from '../platform/days.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import {
  Day,
  Instant,
  named,
  nullable,
  oneOf,
  pageOf,
  PartNumber,
  Quantity,
  WarehouseCode
} from '../platform/schemas.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { instant } from '../platform/clock.ts'
import { loadSlip, type Difference, type Slip } from './slip.ts'
import { DIFFERENCE_ASPECTS, RESPONSIBLE_PARTIES, SlipNumber } from './slips.schemas.ts'
import { documentNumber } from '../signing/document-number.ts'

/** A slip as a whole differs in its packages (件数); its lines in the rest. */
const Aspect = oneOf([...DIFFERENCE_ASPECTS, 'packages'] as const, 'what differs; packages is said of a whole delivery')
const OfDelivery = 'null where the delivery as a whole differs'
const QualityReportNumber = Type.String({ maxLength: 60, examples: ['HQ-QR-202611-00001'] })
export const QualityReportParams = Type.Object({ number: QualityReportNumber })

export const QualityReportView = named(
  'QualityReport',
  Type.Object({
    number: QualityReportNumber,
    warehouse: WarehouseCode,
    slip: SlipNumber,
    slipReversed: Type.Boolean({ description: 'The receipt was reversed (红字冲销); what it found is void' }),
    line: nullable(Type.Integer({ description: `Line of the slip; ${OfDelivery}` })),
    part: nullable(PartNumber),
    name: nullable(Type.String()),
    nameZh: nullable(Type.String()),
    aspects: Type.Array(Aspect),
    expectedQuantity: nullable(
      Type.String({ ...Quantity, description: 'On the delivery note, in stock units; packages of a whole delivery' })
    ),
    receivedQuantity: Type.String({ ...Quantity, description: 'What arrived, good and faulty; 0 if nothing did' }),
    faultyQuantity: Quantity,
    responsibleParty: nullable(oneOf(RESPONSIBLE_PARTIES, 'Who answers for it (责任方)')),
    description: nullable(Type.String()),
    openedOn: Day,
    openedAt: Instant,
    openedBy: Type.String(),
    settledAt: nullable(Instant),
    settledBy: nullable(Type.String()),
    settlement: nullable(Type.String())
  })
)
export type QualityReportView = Static<typeof QualityReportView>
export const QualityReportPage = pageOf(QualityReportView)

export const QualitySummaryView = named(
  'QualitySummary',
  Type.Object({
    from: Day,
    to: Day,
    reports: Type.Integer(),
    items: Type.Array(
      Type.Object({
        warehouse: WarehouseCode,
        part: nullable(
          Type.String({ ...PartNumber, description: 'Part number (货号); null for packages of whole deliveries' })
        ),
        name: nullable(Type.String()),
        nameZh: nullable(Type.String()),
        responsibleParty: nullable(oneOf(RESPONSIBLE_PARTIES, 'Who answers for it; null while it is not found out')),
        reports: Type.Integer(),
        expectedQuantity: nullable(
          Type.String({ ...Quantity, description: 'Of the delivery notes that say so; null where none does' })
        ),
        receivedQuantity: Quantity,
        faultyQuantity: Quantity,
        settled: Type.Integer()
      })
    )
  })
)

const OPEN = statement<{ number: string }>(`
with counted as (
  insert into document_number (warehouse_id, series, period, last) values ($1, 'QR', date_trunc('month', $3::date::timestamp)::date, cardinality($4::int[]))
  on conflict (warehouse_id, series, period) do update set last = document_number.last + cardinality($4::int[])
  returning last
)
insert into quality_report (warehouse_id, number, slip_id, line_no, part_id, aspects, expected_quantity, received_quantity, faulty_quantity, responsible_party, description, opened_on, opened_at, opened_by)
select $1, ${documentNumber('$13', "'QR'", '$3', 'last - cardinality($4::int[]) + place')},
       $2, line_no, part_id, array(select jsonb_array_elements_text(aspects)), expected, received, faulty, party, description, $3, $11, $12
  from counted, unnest($4::int[], $5::int[], $6::jsonb[], $7::numeric[], $8::numeric[], $9::numeric[], $10::text[], $14::text[])
       with ordinality as found (line_no, part_id, aspects, expected, received, faulty, party, description, place)
returning number`)

interface Found {
  /** null: the delivery as a whole. */
  line: number | null
  partId: number | null
  difference: Difference
}

/** What a receipt has to report: its lines that differ from the delivery note, and its packages if they do (R-IN-2). */
const found = (slip: Slip): Found[] => [
  ...slip.lines.flatMap(({ line, partId, difference }) => (difference === null ? [] : [{ line, partId, difference }])),
  ...packagesFound(slip)
]

function packagesFound({ kind, packagesExpected, packagesReceived }: Slip): Found[] {
  if (kind !== 'receipt' || packagesExpected === null || packagesReceived === null) return []
  if (packagesExpected === packagesReceived) return []
  const difference = {
    aspects: ['packages'],
    responsibleParty: null,
    expectedQuantity: String(packagesExpected),
    receivedQuantity: String(packagesReceived),
    faultyQuantity: null,
    description: null
  }
  return [{ line: null, partId: null, difference }]
}

/** Whether a slip opens quality reports when it is posted. */
export const hasDifferences = (slip: Slip): boolean => found(slip).length > 0

/**
 * Opens a report for every line of a receipt that differs from its delivery note, and one for its packages (R-IN-2). Called in
 * the transaction that posts it, for a slip that `hasDifferences`.
 * @returns the numbers of the reports
 */
export async function openQualityReports(ctx: Context, slip: Slip, warehouse: Warehouse): Promise<string[]> {
  const all = found(slip)
  const reports = await run(ctx, OPEN, [
    warehouse.id,
    slip.id,
    ctx.clock.today(),
    all.map(({ line }) => line),
    all.map(({ partId }) => partId),
    all.map(({ difference }) => JSON.stringify(difference.aspects)),
    all.map(({ difference }) => difference.expectedQuantity),
    all.map(({ difference }) => difference.receivedQuantity),
    all.map(({ difference }) => difference.faultyQuantity ?? '0'),
    all.map(({ difference }) => difference.responsibleParty),
    ctx.clock.now().toString(),
    ctx.actor.personId,
    warehouse.code,
    all.map(({ difference }) => difference.description)
  ])
  return reports.map(({ number }) => number).sort()
}

const IS_REVERSED = `exists (select 1 from slip r where r.warehouse_id = q.warehouse_id and r.source_slip_id = q.slip_id and r.kind = 'reversal' and r.state = 'posted')`

const VIEW = `
select q.number, w.code as warehouse, s.number as slip, ${IS_REVERSED} as "slipReversed", q.line_no as line, part.number as part, part.name, part.name_zh as "nameZh", q.aspects,
       trim_scale(q.expected_quantity)::text as "expectedQuantity", trim_scale(q.received_quantity)::text as "receivedQuantity", trim_scale(q.faulty_quantity)::text as "faultyQuantity",
       q.responsible_party as "responsibleParty", q.description, q.opened_on as "openedOn", q.opened_at as "openedAt", opener.username as "openedBy",
       q.settled_at as "settledAt", settler.username as "settledBy", q.settlement, q.id
  from quality_report q
  join warehouse w on w.id = q.warehouse_id
  join slip s on s.warehouse_id = q.warehouse_id and s.id = q.slip_id
  left join part on part.id = q.part_id
  join person opener on opener.id = q.opened_by
  left join person settler on settler.id = q.settled_by`

type Row = QualityReportView & { id: string }
const ONE = statement<Row>(`${VIEW} where q.warehouse_id = $1 and q.number = $2`)

const view = ({ id: _id, ...row }: Row): QualityReportView => ({
  ...row,
  openedAt: instant(row.openedAt),
  settledAt: row.settledAt === null ? null : instant(row.settledAt)
})

export interface QualityReportQuery {
  warehouse?: string | undefined
  /** Number of the receipt. */
  slip?: string | undefined
  settled?: boolean | undefined
  from?: string | undefined
  to?: string | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

/** Quality reports of the warehouses the actor sees, newest first. */
export async function listQualityReports(
  ctx: Context,
  { warehouse, slip: number, settled, from, to, limit = 50, cursor }: QualityReportQuery
) {
  requireDaysInOrder({ from, to })
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const only = warehouse === undefined ? undefined : await warehouseByCode(ctx, warehouse)
  if (only !== undefined) requireSight(ctx, only)
  const of = number === undefined ? undefined : await loadSlip(ctx, number)
  const after = readCursor(cursor, 1)
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  // Only what was asked for stands in the statement, so that an index serves it.
  const conditions = [
    ...(everywhere
      ? []
      : [`(w.id = any (${value(warehouseIds)}::int[]) or w.region_id = any (${value(regionIds)}::int[]))`]),
    ...(only === undefined ? [] : [`q.warehouse_id = ${value(only.id)}`]),
    ...(of === undefined ? [] : [`q.warehouse_id = ${value(of.warehouse.id)} and q.slip_id = ${value(of.slip.id)}`]),
    ...(settled === undefined ? [] : [`q.settled_at is ${settled ? 'not null' : 'null'}`]),
    ...(from === undefined ? [] : [`q.opened_on >= ${value(from)}`]),
    ...(to === undefined ? [] : [`q.opened_on <= ${value(to)}`]),
    ...(after === null ? [] : [`q.id < ${value(after[0])}`])
  ]
  const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`
  const rows = await run(ctx, statement<Row>(`${VIEW} ${where} order by q.id desc limit ${value(limit + 1)}`), values)
  const page = pageFrom(rows, limit, ({ id }) => [id])
  return { items: page.items.map(view), nextCursor: page.nextCursor }
}

/**
 * The warehouse of a report. A report of a warehouse the actor may not see is refused exactly as one that does not exist.
 * @throws Refusal 404
 */
async function warehouseOfReport(ctx: Context, number: string): Promise<Warehouse> {
  const warehouse = await warehouseByCode(ctx, number.replace(/-QR-\d{6}-\d+$/, '')).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('quality report', number) : error
  })
  if (!maySee(ctx, warehouse)) throw notFound('quality report', number)
  return warehouse
}

/** One quality report. */
export async function readQualityReport(ctx: Context, { number }: { number: string }): Promise<QualityReportView> {
  const warehouse = await warehouseOfReport(ctx, number)
  const [row] = await run(ctx, ONE, [warehouse.id, number])
  if (row === undefined) throw notFound('quality report', number)
  return view(row)
}

const SUMMARY = statement<Static<typeof QualitySummaryView>['items'][number]>(`
select w.code as warehouse, part.number as part, part.name, part.name_zh as "nameZh", q.responsible_party as "responsibleParty", count(*)::int as reports,
       trim_scale(sum(q.expected_quantity))::text as "expectedQuantity", trim_scale(sum(q.received_quantity))::text as "receivedQuantity",
       trim_scale(sum(q.faulty_quantity))::text as "faultyQuantity", count(q.settled_at)::int as settled
  from quality_report q
  join warehouse w on w.id = q.warehouse_id
  left join part on part.id = q.part_id
 where ($1 or w.id = any($2::int[]) or w.region_id = any($3::int[])) and q.opened_on >= $4 and q.opened_on <= $5 and not ${IS_REVERSED}
 group by 1, 2, 3, 4, 5 order by 1, 2, 5`)

/**
 * The semi-monthly quality summary: the 1st–15th, or the 16th to the end of the month (R-IN-4), of the warehouses the actor sees,
 * without what was found on receipts that were reversed.
 */
export async function readQualitySummary(ctx: Context, { period, half }: { period: string; half: 1 | 2 }) {
  const month = Temporal.PlainYearMonth.from(period)
  const from = month.toPlainDate({ day: half === 1 ? 1 : 16 }).toString()
  const to = month.toPlainDate({ day: half === 1 ? 15 : month.daysInMonth }).toString()
  const sight = sightOf(ctx)
  const items = await run(ctx, SUMMARY, [sight.everywhere, sight.warehouseIds, sight.regionIds, from, to])
  return { from, to, reports: items.reduce((sum, { reports }) => sum + reports, 0), items }
}

const SETTLE = statement<{ number: string }>(`
update quality_report set responsible_party = $3, settlement = $4, settled_at = $5, settled_by = $6
 where warehouse_id = $1 and number = $2 and settled_at is null
returning number`)

/**
 * The finance supervisor settles a report: who answers for it and what was agreed. Stock is not touched: whose the faulty goods
 * are was decided when they were posted; a different finding is booked by slips.
 */
export async function settleQualityReport(
  ctx: Context,
  {
    number,
    responsibleParty,
    settlement
  }: { number: string; responsibleParty: (typeof RESPONSIBLE_PARTIES)[number]; settlement: string }
): Promise<QualityReportView> {
  const warehouse = await warehouseOfReport(ctx, number)
  requireDuty(ctx, 'finance-supervisor', warehouse)
  return inTransaction(ctx, async (inner) => {
    const [settled] = await run(inner, SETTLE, [
      warehouse.id,
      number,
      responsibleParty,
      settlement,
      ctx.clock.now().toString(),
      ctx.actor.personId
    ])
    const [row] = await run(inner, ONE, [warehouse.id, number])
    if (row === undefined) throw notFound('quality report', number)
    if (settled === undefined)
      throw new Refusal(
        'QualityReportSettled',
        409,
        `${number} was settled by ${row.settledBy}; a settled report is not changed`
      )
    await recordAudit(inner, 'quality-report.settled', number, { responsibleParty, settlement })
    return view(row)
  })
}

export const SettleBody = named(
  'QualitySettlement',
  Type.Object(
    {
      responsibleParty: oneOf(RESPONSIBLE_PARTIES, 'Who answers for it (责任方)'),
      settlement: Type.String({
        minLength: 1,
        maxLength: 1000,
        pattern: '\\S',
        description: 'What was agreed',
        examples: ['the carrier pays for two pieces']
      })
    },
    {
      additionalProperties: false,
      examples: [{ responsibleParty: 'carrier', settlement: 'the carrier pays for two pieces' }]
    }
  )
)
