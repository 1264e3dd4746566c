import type { Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { rowsOf } from '../platform/csv.ts'
import { run } from '../platform/database.ts'
import { seen } from './tool-rights.ts'
import { TOOL_COLUMNS, TOOL_FROM, toolView, type Tool } from './tool.ts'
import type { ToolDocumentKind, ToolDocumentState, ToolDocumentSummary, ToolState, ToolView } from './tools.schemas.ts'

export interface ToolFilter {
  warehouse?: string | undefined
  technician?: string | undefined
  state?: ToolState | undefined
  /** In use, and due for calibration on this day or before. */
  calibrationDue?: string | undefined
  fixedAsset?: boolean | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

function toolsOf(
  ctx: Context,
  { warehouse, technician, state, calibrationDue, fixedAsset }: ToolFilter,
  after: string | null,
  rows: number | null
): { text: string; values: unknown[] } {
  const values: unknown[] = [ctx.clock.today()]
  const value = (given: unknown) => `$${values.push(given)}`
  const conditions = [
    seen(ctx, value, ['t.warehouse_id'], (person) => `t.holder_id = ${person}`),
    ...(warehouse === undefined ? [] : [`w.code = ${value(warehouse)}`]),
    ...(technician === undefined
      ? []
      : [`t.holder_id = (select id from person where username = ${value(technician)})`]),
    ...(state === undefined ? [] : [`t.state = ${value(state)}`]),
    ...(calibrationDue === undefined
      ? []
      : [`t.calibration_due_on <= ${value(calibrationDue)}::date and t.state in ('shelf', 'custody')`]),
    ...(fixedAsset === undefined ? [] : [`t.fixed_asset = ${value(fixedAsset)}`]),
    ...(after === null ? [] : [`t.id < ${value(after)}::bigint`])
  ]
  const text = `select ${TOOL_COLUMNS} from ${TOOL_FROM} where ${conditions.join(' and ')} order by t.id desc${rows === null ? '' : ` limit ${value(rows)}`}`
  return { text, values }
}

/** Tools of the registers one reads, and those in one's own custody, the ones registered last first. */
export async function listTools(
  ctx: Context,
  { limit = 50, cursor, ...filter }: ToolFilter
): Promise<{ items: ToolView[]; nextCursor: string | null }> {
  const after = readCursor(cursor, ['id'])
  const { text, values } = toolsOf(ctx, filter, after === null ? null : String(after[0]), limit + 1)
  const { items, nextCursor } = pageFrom(await run<Tool>(ctx, { text }, values), limit, ({ id }) => [id])
  return { items: items.map(toolView), nextCursor }
}

export const TOOL_HEADINGS = {
  serial: '工具编号 serial',
  nameZh: '中文名称 Chinese name',
  name: '名称 name',
  model: '型号 model',
  warehouse: '仓库 warehouse',
  state: '状态 state',
  technician: '保管人 technician',
  technicianName: '姓名 name of technician',
  since: '自 since',
  document: '待签单号 open document',
  kit: '工具箱 kit',
  value: '原值 value',
  purchasedOn: '购置日期 purchased',
  fixedAsset: '固定资产 fixed asset',
  calibratedOn: '检定日期 calibrated',
  calibrationDueOn: '检定到期日 calibration due',
  note: '备注 note'
} as const

/** The same as rows of a file, all of them. */
export async function* toolStream(ctx: Context, filter: ToolFilter): AsyncGenerator<ToolView> {
  const { text, values } = toolsOf(ctx, filter, null, null)
  for await (const tool of rowsOf<Tool>(ctx, text, values)) yield toolView(tool)
}

export interface ToolDocumentFilter {
  warehouse?: string | undefined
  kind?: ToolDocumentKind | undefined
  state?: ToolDocumentState | undefined
  technician?: string | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

type DocumentRow = ToolDocumentSummary & { id: string }

function documentsOf(
  ctx: Context,
  { warehouse, kind, state, technician }: ToolDocumentFilter,
  after: string | null,
  rows: number | null
): { text: string; values: unknown[] } {
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const place = warehouse === undefined ? '' : value(warehouse)
  const party = technician === undefined ? '' : `(select id from person where username = ${value(technician)})`
  const conditions = [
    seen(
      ctx,
      value,
      ['d.warehouse_id', 'd.to_warehouse_id'],
      (person) => `(d.giver_id = ${person} or d.taker_id = ${person})`
    ),
    ...(warehouse === undefined ? [] : [`${place} in (w.code, target.code)`]),
    ...(kind === undefined ? [] : [`d.kind = ${value(kind)}`]),
    ...(state === undefined ? [] : [`d.state = ${value(state)}`]),
    ...(technician === undefined ? [] : [`(d.giver_id = ${party} or d.taker_id = ${party})`]),
    ...(after === null ? [] : [`d.id < ${value(after)}::bigint`])
  ]
  const text = `
select d.id::text as id, d.number, d.kind, d.state, w.code as warehouse, target.code as "toWarehouse", giver.username as giver, taker.username as taker, kit.code as kit,
       lines.tools, lines.value, d.prepared_at as "preparedAt", d.settled_at as "settledAt"
  from tool_document d
  join warehouse w on w.id = d.warehouse_id
  left join warehouse target on target.id = d.to_warehouse_id
  left join person giver on giver.id = d.giver_id
  left join person taker on taker.id = d.taker_id
  left join tool_kit kit on kit.warehouse_id = d.warehouse_id and kit.id = d.kit_id
 cross join lateral (select count(*)::int as tools, coalesce(sum(t.value), 0)::numeric(18,2)::text as value
                       from tool_document_line l join tool t on t.id = l.tool_id where l.warehouse_id = d.warehouse_id and l.document_id = d.id) lines
 where ${conditions.join(' and ')} order by d.id desc${rows === null ? '' : ` limit ${value(rows)}`}`
  return { text, values }
}

const documentSummary = ({ id: _id, ...document }: DocumentRow): ToolDocumentSummary => ({
  ...document,
  preparedAt: instant(document.preparedAt),
  settledAt: instantOrNull(document.settledAt)
})

/** Documents of the registers one reads, and those one gives or takes by, the newest first. */
export async function listToolDocuments(
  ctx: Context,
  { limit = 50, cursor, ...filter }: ToolDocumentFilter
): Promise<{ items: ToolDocumentSummary[]; nextCursor: string | null }> {
  const after = readCursor(cursor, ['id'])
  const { text, values } = documentsOf(ctx, filter, after === null ? null : String(after[0]), limit + 1)
  const { items, nextCursor } = pageFrom(await run<DocumentRow>(ctx, { text }, values), limit, ({ id }) => [id])
  return { items: items.map(documentSummary), nextCursor }
}

export const TOOL_DOCUMENT_HEADINGS = {
  number: '单号 number',
  kind: '类别 kind',
  state: '状态 state',
  warehouse: '仓库 warehouse',
  toWarehouse: '调入仓库 to warehouse',
  giver: '移交人 giver',
  taker: '接收人 taker',
  kit: '工具箱 kit',
  tools: '件数 tools',
  value: '原值合计 value',
  preparedAt: '制单时间 prepared',
  settledAt: '生效时间 settled'
} as const

/** The same as rows of a file, all of them. */
export async function* toolDocumentStream(
  ctx: Context,
  filter: ToolDocumentFilter
): AsyncGenerator<ToolDocumentSummary> {
  const { text, values } = documentsOf(ctx, filter, null, null)
  for await (const document of rowsOf<DocumentRow>(ctx, text, values)) yield documentSummary(document)
}
