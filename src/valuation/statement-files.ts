// Statements as files: the same rows as CSV and as spreadsheets, with Chinese and English headings. Of a closed month every file is
// the same, byte for byte, whenever it is downloaded: nothing in it comes from today.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendCsv, wantsCsv, type CsvColumns } from '../platform/csv.ts'
import { sendXlsx, sheetOf, wantsXlsx, type XlsxColumn, type XlsxSheet } from '../platform/xlsx.ts'
import { AGING_COLUMNS, type AgedBucket, type AgingRow } from './aging.ts'
import { DEPRECIATION_COLUMNS, type DepreciationRow } from './depreciation.ts'
import type { JournalRow } from './journal.ts'
import { MATERIAL_COST_COLUMNS, type MaterialCostRow } from './material-cost.ts'
import { headerOf, type ScopeState, type StatementScope } from './statement-scope.ts'
import type { Statement } from './statement.ts'
import { STOCK_REPORT_COLUMNS, type StockReportRow } from './stock-report.ts'

/** A kind of statement as a file. */
export interface StatementTable<Row extends object> {
  /** In the name of the file. */
  name: string
  /** Of the sheet, in both languages. */
  title: string
  columns: CsvColumns<Row>
}

export const DEPRECIATION_TABLE: StatementTable<DepreciationRow> = {
  name: 'depreciation',
  title: '折旧明细 Depreciation',
  columns: DEPRECIATION_COLUMNS
}
export const STOCK_REPORT_TABLE: StatementTable<StockReportRow> = {
  name: 'stock-report',
  title: '进销存 Stock report',
  columns: STOCK_REPORT_COLUMNS
}
export const JOURNAL_TABLE: StatementTable<JournalRow> = {
  name: 'journal',
  title: '凭证 Journal',
  columns: {
    period: 'period 会计期间',
    warehouse: 'department 部门',
    state: 'state 状态',
    line: 'line 分录号',
    entry: 'entry 业务',
    role: 'role 用途',
    account: 'account 科目编码',
    name: 'account name 科目英文名',
    nameZh: 'account name (zh) 科目名称',
    debit: 'debit 借方',
    credit: 'credit 贷方'
  }
}
export const AGING_TABLE: StatementTable<AgingRow> = { name: 'aging', title: '库龄 Aging', columns: AGING_COLUMNS }
export const MATERIAL_COST_TABLE: StatementTable<MaterialCostRow> = {
  name: 'material-cost',
  title: '材料成本 Material cost',
  columns: MATERIAL_COST_COLUMNS
}
/** A class of age of one group of warehouses. */
export type AgingSummaryRow = AgedBucket & {
  period: string
  region: string | null
  warehouse: string | null
  state: ScopeState
}
export const AGING_SUMMARY_TABLE: StatementTable<AgingSummaryRow> = {
  name: 'aging-summary',
  title: '库龄汇总 Aging summary',
  columns: {
    period: 'period 会计期间',
    region: 'region 区域',
    warehouse: 'warehouse 仓库',
    state: 'state 状态',
    bucket: 'bucket 库龄段(英文)',
    bucketZh: 'bucket (zh) 库龄段',
    fromMonths: 'from months 起(月)',
    toMonths: 'to months 止(月)',
    lots: 'lots 批次数',
    quantity: 'quantity 数量',
    cost: 'cost 原值',
    accumulatedDepreciation: 'accumulated depreciation 累计折旧',
    netBookValue: 'net book value 净值'
  }
}

/** How the members of all these rows are shown; any other one is text. */
function formatOf(member: string): Omit<XlsxColumn, 'heading'> {
  if (member === 'unitCost') return { as: 'unit-cost' }
  if (member === 'receivedOn') return { as: 'day' }
  if (member === 'period') return { as: 'month' }
  if (/^(ageMonths|monthsCharged|line|fromMonths|toMonths)$/.test(member)) return { as: 'integer' }
  if (/^(lots|slips|lines)$/.test(member)) return { as: 'integer', total: true }
  if (/quantity$/i.test(member)) return { as: 'quantity', total: true }
  if (/(cost|accumulatedDepreciation|netBookValue|charge|debit|credit)$/i.test(member))
    return { as: 'money', total: true }
  return {}
}

/** In a sheet a heading has one Chinese and one English line: `opening 期初: cost 原值` → `opening cost 期初原值`. */
const sheetHeading = (heading: string): string =>
  heading.replace(/^(\w+) (\p{sc=Han}+): (.+) (\p{sc=Han}+)$/u, '$1 $3 $2$4')

const sheet = <Row extends object>(
  { title, columns }: StatementTable<Row>,
  above: readonly string[],
  rows: AsyncIterable<Row> | Iterable<Row>
): XlsxSheet =>
  sheetOf<Row>({
    name: title,
    title: above,
    rows,
    columns: Object.fromEntries(
      Object.entries<string | undefined>(columns).map(([member, heading = member]) => [
        member,
        { heading: sheetHeading(heading), ...formatOf(member) }
      ])
    ) as Partial<Record<keyof Row & string, XlsxColumn>>
  })

const STATES: Record<ScopeState, string> = {
  closed: '已结账 closed',
  preview: '预览,未结账 preview, not closed',
  mixed: '部分已结账 mixed'
}

/** The lines above the headings of a sheet. */
function linesAbove(title: string, scope: StatementScope, position: string): string[] {
  const { period, warehouse, region, part, state, warehouses, sha256 } = headerOf(scope)
  const place = warehouse ?? (region === null ? '全部仓库 all warehouses' : `区域 region ${region}`)
  const counts = warehouse === null ? `: ${warehouses.closed} closed, ${warehouses.open} open` : ''
  return [
    title,
    [period, place, ...(part === null ? [] : [`货号 part ${part}`])].join(' · '),
    `${STATES[state]}${counts}`,
    `账簿位置 ledger position ${position}`,
    ...(sha256 === null ? [] : [`报表摘要 statement SHA-256 ${sha256}`])
  ]
}

const fileName = (scope: StatementScope, name: string, ending: string): string => {
  const { period, warehouse, region, state } = headerOf(scope)
  return `${warehouse ?? region ?? 'all'}-${period}-${name}${state === 'closed' ? '' : `-${state}`}.${ending}`
}

/** A SHA-256 in hex as the header of RFC 9530. */
export const reprDigest = (sha256: string): string => `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`

/** What a CSV was made from: its bytes say nothing but rows. */
export const POSITION_HEADER = 'bincard-ledger-position'

/** True if a statement is asked for as a file, and not in pages. */
export const wantsFile = (request: FastifyRequest): boolean => wantsXlsx(request) || wantsCsv(request)

/**
 * Streams a statement as a spreadsheet if that was asked for, else as CSV.
 * @param position that it is made from
 * @param sha256 of the CSV, where it is known
 * @throws Refusal 503 `TooManyDownloads`
 */
export function sendStatement<Row extends object>(
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  scope: StatementScope,
  table: StatementTable<Row>,
  { rows, position, sha256 }: { rows: AsyncIterable<Row>; position: string; sha256?: string | null }
): FastifyReply {
  // Of several warehouses each row says whether it can still change; the file of one is frozen with the columns it has.
  const columns: CsvColumns<Row> =
    scope.warehouse === null && !('state' in table.columns) ? { state: 'state 状态', ...table.columns } : table.columns
  if (wantsXlsx(request)) {
    const sheets = [sheet({ ...table, columns }, linesAbove(table.title, scope, position), rows)]
    return sendXlsx(reply, fileName(scope, table.name, 'xlsx'), sheets)
  }
  return sendCsv(reply, fileName(scope, table.name, 'csv'), columns, rows, {
    [POSITION_HEADER]: position,
    ...(sha256 != null && { 'repr-digest': reprDigest(sha256) })
  })
}

interface Fact {
  item: string
  value: string | null
}

const facts = ({ warehouse, ...said }: Statement, sha256: string | null): Fact[] => [
  { item: '仓库 warehouse', value: warehouse.code },
  { item: '名称 name', value: [warehouse.nameZh, warehouse.name].filter((name) => name !== null).join(' ') },
  { item: '区域 region', value: warehouse.region },
  { item: '会计期间 period', value: said.period },
  { item: '状态 state', value: STATES[said.state] },
  { item: '账簿位置 ledger position', value: said.position },
  { item: '月末盘点 month-end count', value: said.count },
  ...said.policies.map(({ effectiveFrom, graceMonths, rate, chargeCount }) => ({
    item: `折旧政策 depreciation policy from ${effectiveFrom}`,
    value: `${graceMonths} months free, then ${rate} a month, ${chargeCount} times`
  })),
  { item: '原值 cost', value: said.depreciation.cost },
  { item: '本月折旧 charge of the month', value: said.depreciation.charge },
  { item: '累计折旧 accumulated depreciation', value: said.depreciation.accumulatedDepreciation },
  { item: '净值 net book value', value: said.depreciation.netBookValue },
  { item: '材料成本 material cost', value: said.materialCost.netBookValue },
  { item: '结账人 closed by', value: said.closedBy },
  { item: '结账时间 closed at', value: said.closedAt },
  { item: '报表 SHA-256 of the statement', value: sha256 },
  { item: '折旧明细 SHA-256 of the depreciation CSV', value: said.depreciation.sha256 },
  { item: '进销存 SHA-256 of the stock report CSV', value: said.stockReport.sha256 },
  { item: '上期报表 SHA-256 of the statement before', value: said.previousSha256 }
]

/** The whole statement of a warehouse and month as one workbook. */
export function sendWorkbook(
  reply: FastifyReply,
  scope: StatementScope,
  statement: Statement,
  rows: {
    depreciation: AsyncIterable<DepreciationRow>
    stockReport: AsyncIterable<StockReportRow>
    materialCost: AsyncIterable<MaterialCostRow>
  }
): FastifyReply {
  const { warehouse, period, state } = statement
  const above = (title: string) => linesAbove(title, scope, statement.position)
  const journal = statement.journal.map((entry, index) => ({
    warehouse: warehouse.code,
    period,
    state,
    line: index + 1,
    ...entry
  }))
  const aging = statement.aging.map((bucket) => ({
    period,
    region: warehouse.region,
    warehouse: warehouse.code,
    state,
    ...bucket
  }))
  return sendXlsx(reply, fileName(scope, 'statement', 'xlsx'), [
    sheetOf<Fact>({
      name: '报表 Statement',
      title: ['月末报表 Month-end statement'],
      columns: { item: { heading: 'item 项目', width: 42 }, value: { heading: 'value 内容', width: 70 } },
      rows: facts(statement, scope.warehouses[0]?.sha256 ?? null)
    }),
    sheet(DEPRECIATION_TABLE, above(DEPRECIATION_TABLE.title), rows.depreciation),
    sheet<JournalRow>(JOURNAL_TABLE, above(JOURNAL_TABLE.title), journal),
    sheet(STOCK_REPORT_TABLE, above(STOCK_REPORT_TABLE.title), rows.stockReport),
    sheet(AGING_SUMMARY_TABLE, above(AGING_SUMMARY_TABLE.title), aging),
    sheet(MATERIAL_COST_TABLE, above(MATERIAL_COST_TABLE.title), rows.materialCost)
  ])
}
