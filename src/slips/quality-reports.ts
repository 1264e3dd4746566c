import { Type, type Static } from 'typebox'
import { requireDuty, requireSight, sightOf, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { Day, Instant, named, nullable, pageOf, PartNumber, Quantity, ref, WarehouseCode } from '../platform/schemas.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { instant } from '../platform/clock.ts'
import { type Slip } from './slip.ts'
import { DIFFERENCE_ASPECTS, RESPONSIBLE_PARTIES, SlipNumber } from './slips.schemas.ts'

const oneOf = <const Values extends readonly string[]>(values: Values, description: string) =>
  Type.Unsafe<Values[number]>({ type: 'string', enum: [...values], description })

export const QualityReportView = named(
  'QualityReport',
  Type.Object({
    number: Type.String({ examples: ['HQ-QR-202611-00001'] }),
    warehouse: WarehouseCode,
    slip: SlipNumber,
    line: Type.Integer(),
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    aspects: Type.Array(oneOf(DIFFERENCE_ASPECTS, 'what differs')),
    expectedQuantity: nullable(Quantity),
    receivedQuantity: Quantity,
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
        part: PartNumber,
        name: Type.String(),
        nameZh: nullable(Type.String()),
        responsibleParty: nullable(oneOf(RESPONSIBLE_PARTIES, 'Who answers for it; null while it is not found out')),
        reports: Type.Integer(),
        expectedQuantity: Quantity,
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
select $1, $13 || '-QR-' || to_char($3::date, 'YYYYMM') || '-' || lpad((last - cardinality($4::int[]) + place)::text, greatest(5, length((last - cardinality($4::int[]) + place)::text)), '0'),
       $2, line_no, part_id, array(select jsonb_array_elements_text(aspects)), expected, received, faulty, party, description, $3, $11, $12
  from counted, unnest($4::int[], $5::int[], $6::jsonb[], $7::numeric[], $8::numeric[], $9::numeric[], $10::text[], $14::text[])
       with ordinality as found (line_no, part_id, aspects, expected, received, faulty, party, description, place)
returning number`)

/** Opens a report for every line of a receipt that differs from its delivery note (R-IN-2). Called in the transaction that posts it. */
export async function openQualityReports(ctx: Context, slip: Slip, warehouse: Warehouse): Promise<string[]> {
  const found = slip.lines.flatMap((line) =>
    line.difference === null ? [] : [{ ...line, difference: line.difference }]
  )
  const reports = await run(ctx.em, OPEN, [
    warehouse.id,
    slip.id,
    ctx.clock.today(),
    found.map(({ line }) => line),
    found.map(({ partId }) => partId),
    found.map(({ difference }) => JSON.stringify(difference.aspects)),
    found.map(({ difference }) => difference.expectedQuantity),
    found.map(({ difference }) => difference.receivedQuantity),
    found.map(({ difference }) => difference.faultyQuantity ?? '0'),
    found.map(({ difference }) => difference.responsibleParty),
    ctx.clock.now().toString(),
    ctx.actor.personId,
    warehouse.code,
    found.map(({ difference }) => difference.description)
  ])
  return reports.map(({ number }) => number).sort()
}

const VIEW = `
select q.number, w.code as warehouse, s.number as slip, q.line_no as line, part.number as part, part.name, part.name_zh as "nameZh", q.aspects,
       trim_scale(q.expected_quantity)::text as "expectedQuantity", trim_scale(q.received_quantity)::text as "receivedQuantity", trim_scale(q.faulty_quantity)::text as "faultyQuantity",
       q.responsible_party as "responsibleParty", q.description, q.opened_on as "openedOn", q.opened_at as "openedAt", opener.username as "openedBy",
       q.settled_at as "settledAt", settler.username as "settledBy", q.settlement, q.id
  from quality_report q
  join warehouse w on w.id = q.warehouse_id
  join slip s on s.warehouse_id = q.warehouse_id and s.id = q.slip_id
  join part on part.id = q.part_id
  join person opener on opener.id = q.opened_by
  left join person settler on settler.id = q.settled_by`

type Row = QualityReportView & { id: string }
const LIST = statement<Row>(`${VIEW}
 where ($1 or w.id = any($2::int[]) or w.region_id = any($3::int[])) and ($4::text is null or w.code = $4) and ($5::boolean is null or (q.settled_at is not null) = $5)
   and ($6::date is null or q.opened_on >= $6) and ($7::date is null or q.opened_on <= $7) and ($8::bigint is null or q.id < $8)
 order by q.id desc limit $9`)
const ONE = statement<Row>(`${VIEW} where q.warehouse_id = $1 and q.number = $2`)

const view = ({ id: _id, ...row }: Row): QualityReportView => ({
  ...row,
  openedAt: instant(row.openedAt),
  settledAt: row.settledAt === null ? null : instant(row.settledAt)
})

export interface QualityReportQuery {
  warehouse?: string | undefined
  settled?: boolean | undefined
  from?: string | undefined
  to?: string | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

/** Quality reports of the warehouses the actor sees, newest first. */
export async function listQualityReports(
  ctx: Context,
  { warehouse, settled, from, to, limit = 50, cursor }: QualityReportQuery
) {
  if (warehouse !== undefined) requireSight(ctx, await warehouseByCode(ctx, warehouse))
  const sight = sightOf(ctx)
  const after = readCursor(cursor, 1)
  const rows = await run(ctx.em, LIST, [
    sight.everywhere,
    sight.warehouseIds,
    sight.regionIds,
    warehouse ?? null,
    settled ?? null,
    from ?? null,
    to ?? null,
    after?.[0] ?? null,
    limit + 1
  ])
  const page = pageFrom(rows, limit, ({ id }) => [id])
  return { items: page.items.map(view), nextCursor: page.nextCursor }
}

const SUMMARY = statement<Static<typeof QualitySummaryView>['items'][number]>(`
select w.code as warehouse, part.number as part, part.name, part.name_zh as "nameZh", q.responsible_party as "responsibleParty", count(*)::int as reports,
       trim_scale(coalesce(sum(q.expected_quantity), 0))::text as "expectedQuantity", trim_scale(sum(q.received_quantity))::text as "receivedQuantity",
       trim_scale(sum(q.faulty_quantity))::text as "faultyQuantity", count(q.settled_at)::int as settled
  from quality_report q
  join warehouse w on w.id = q.warehouse_id
  join part on part.id = q.part_id
 where ($1 or w.id = any($2::int[]) or w.region_id = any($3::int[])) and q.opened_on >= $4 and q.opened_on <= $5
 group by 1, 2, 3, 4, 5 order by 1, 2, 5`)

/** The semi-monthly quality summary: the 1st–15th, or the 16th to the end of the month (R-IN-4), of the warehouses the actor sees. */
export async function readQualitySummary(ctx: Context, { period, half }: { period: string; half: 1 | 2 }) {
  const month = Temporal.PlainYearMonth.from(period)
  const from = month.toPlainDate({ day: half === 1 ? 1 : 16 }).toString()
  const to = month.toPlainDate({ day: half === 1 ? 15 : month.daysInMonth }).toString()
  const sight = sightOf(ctx)
  const items = await run(ctx.em, SUMMARY, [sight.everywhere, sight.warehouseIds, sight.regionIds, from, to])
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
  const code = number.replace(/-QR-\d{6}-\d+$/, '')
  const warehouse = await warehouseByCode(ctx, code).catch(() => {
    throw notFound('quality report', number)
  })
  requireDuty(ctx, 'finance-supervisor', warehouse)
  return inTransaction(ctx, async (inner) => {
    const [settled] = await run(inner.em, SETTLE, [
      warehouse.id,
      number,
      responsibleParty,
      settlement,
      ctx.clock.now().toString(),
      ctx.actor.personId
    ])
    const [row] = await run(inner.em, ONE, [warehouse.id, number])
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
export const QualityReportRef = ref(QualityReportView)
