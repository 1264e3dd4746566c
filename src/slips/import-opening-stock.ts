import { Type } from 'typebox'
import { requireDuty, type Context } from '../identity/actor.ts'
import { partsByNumber } from '../catalogue/parts.queries.ts'
import { toStockUnits } from '../catalogue/units.ts'
import { ensureMonth } from '../ledger/movement-partitions.ts'
import { CONDITIONS, OWNERSHIPS } from '../ledger/post.ts'
import { inTransaction } from '../platform/context.ts'
import {
  importResult,
  readCsvRows,
  type ImportColumn,
  type ImportResult,
  type ImportRow,
  type RowOf,
  type RowOutcome
} from '../platform/csv-import.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { Day, PartNumber, PositiveQuantity, UnitCost, WarehouseCode } from '../platform/schemas.ts'
import { requireOpen, warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { insertSlip, periodClosed } from './create-slip.ts'
import { draftSlip } from './draft-slip.ts'
import { MAX_LINES, type NewSlipLine } from './slips.schemas.ts'

/** The columns of a file of opening stock. */
export const OPENING_STOCK_COLUMNS = {
  warehouse: { schema: WarehouseCode, headings: ['仓库', '仓库代码'], required: true },
  part: { schema: PartNumber, headings: ['number', 'part number', '货号', '物料编码'], required: true },
  quantity: { schema: PositiveQuantity, headings: ['qty', '数量', '库存数量'], required: true },
  unit: { schema: Type.String({ maxLength: 20, description: 'a unit of the part' }), headings: ['uom', '单位'] },
  unitCost: { schema: UnitCost, headings: ['cost', 'unit cost', '单价', '成本'] },
  ownership: {
    schema: Type.Unsafe<(typeof OWNERSHIPS)[number]>({
      type: 'string',
      enum: [...OWNERSHIPS],
      description: 'own or consigned (自有/寄存)'
    }),
    headings: ['所有权'],
    words: { 自有: 'own', 寄存: 'consigned' }
  },
  condition: {
    schema: Type.Unsafe<(typeof CONDITIONS)[number]>({
      type: 'string',
      enum: [...CONDITIONS],
      description: 'qualified or nonconforming (合格/不合格)'
    }),
    headings: ['质量状态'],
    words: { 合格: 'qualified', 不合格: 'nonconforming' }
  },
  receivedOn: {
    schema: Type.String({
      ...Day,
      pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$',
      description: 'the day the goods were first received, e.g. 2026-07-14'
    }),
    headings: ['received', 'received on', '入库日期']
  }
} as const satisfies Record<string, ImportColumn>
type OpeningRow = RowOf<typeof OPENING_STOCK_COLUMNS>

const OPENED = statement<{ warehouse: string; part: string; slip: string }>(`
select distinct w.code as warehouse, part.number as part, s.number as slip
  from slip s
  join warehouse w on w.id = s.warehouse_id
  join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id
  join part on part.id = l.part_id
 where s.kind = 'opening' and s.state <> 'cancelled' and w.code = any ($1::text[])
   and not exists (select 1 from slip r where r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted')`)

const CLOSED = statement<{ code: string }>(`
select distinct w.code from stock_period p join warehouse w on w.id = p.warehouse_id
 where w.code = any ($1::text[]) and p.period >= date_trunc('month', $2::date::timestamp)::date and p.state = 'closed'`)

/**
 * Imports the stock a warehouse starts with. It enters as slips like everything else: applied, the rows of each warehouse become
 * opening slips of at most 500 lines, which await their three signatures. A part that already has opening stock in a warehouse
 * is refused, so that the same file never counts twice.
 * @param occurredOn the day of the slips; today unless given
 */
export async function importOpeningStock(
  ctx: Context,
  { csv, apply = false, occurredOn }: { csv: string; apply?: boolean; occurredOn?: string | undefined }
): Promise<ImportResult & { slips: string[] }> {
  const rows = await readCsvRows(csv, OPENING_STOCK_COLUMNS)
  const day = occurredOn ?? ctx.clock.today()
  const { outcomes, warehouses } = await judge(ctx, rows, day)
  if (!apply) return { ...importResult(outcomes, false), slips: [] }
  const result = importResult(outcomes, true)
  await ensureMonth(ctx, day)
  return inTransaction(ctx, async (inner) => {
    const slips: string[] = []
    for (const [code, warehouse] of warehouses) {
      const lines = rows.filter(({ values }) => values.warehouse === code).map(({ values }) => lineOf(values))
      for (let start = 0; start < lines.length; start += MAX_LINES) {
        const draft = await draftSlip(inner, warehouse, 'opening', {
          occurredOn: day,
          lines: lines.slice(start, start + MAX_LINES),
          note: 'opening stock (期初库存)'
        })
        slips.push((await insertSlip(inner, warehouse, draft, { submit: true })).number)
      }
    }
    return { ...result, slips }
  })
}

const lineOf = ({ part, quantity, unit, unitCost, ownership, condition, receivedOn }: OpeningRow): NewSlipLine => ({
  part: part ?? '',
  quantity: quantity ?? '',
  ...(unit != null && { unit }),
  ...(unitCost != null && { unitCost }),
  ...(ownership != null && { ownership }),
  ...(condition != null && { condition }),
  ...(receivedOn != null && { receivedOn })
})

async function judge(
  ctx: Context,
  rows: ImportRow<OpeningRow>[],
  day: string
): Promise<{ outcomes: RowOutcome[]; warehouses: Map<string, Warehouse> }> {
  const codes = [...new Set(rows.map(({ values }) => values.warehouse ?? ''))]
  const parts = await partsByNumber(
    ctx.em,
    rows.map(({ values }) => values.part ?? '')
  )
  const opened = new Map(
    (await run(ctx, OPENED, [codes])).map(({ warehouse, part, slip }) => [`${warehouse} ${part}`, slip])
  )
  const closed = new Set((await run(ctx, CLOSED, [codes, day])).map(({ code }) => code))
  const warehouses = new Map<string, Warehouse>()
  const refusedWarehouses = new Map<string, string>()
  for (const code of codes) {
    try {
      const warehouse = await warehouseByCode(ctx, code)
      requireDuty(ctx, ['keeper', 'stock-controller'], warehouse)
      requireOpen(warehouse, day)
      if (closed.has(code)) throw periodClosed(day)
      warehouses.set(code, warehouse)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      refusedWarehouses.set(code, error.message)
    }
  }
  const outcomes = rows.map(({ line, values, problems }): RowOutcome => {
    const key = `${values.warehouse ?? ''} ${values.part ?? ''}`
    const faults = [...problems]
    const part = parts.get(values.part ?? '')
    const foreign = refusedWarehouses.get(values.warehouse ?? '')
    if (foreign !== undefined) faults.push(foreign)
    if (part === undefined && values.part != null) faults.push(`the catalogue has no part ${values.part}`)
    const slip = opened.get(key)
    if (slip !== undefined)
      faults.push(
        `${values.part} has opening stock in ${values.warehouse} already, by slip ${slip}; reverse or cancel that first`
      )
    if (values.receivedOn != null && values.receivedOn > day)
      faults.push(`receivedOn is ${values.receivedOn}; goods were received on ${day} or earlier`)
    if (part !== undefined && faults.length === 0) faults.push(...lineFaults(part, values))
    return { line, key, outcome: faults.length > 0 ? 'refused' : 'create', problems: faults }
  })
  return { outcomes, warehouses }
}

function lineFaults(
  part: Parameters<typeof toStockUnits>[0] & { standardCost: string | null },
  { quantity, unit, unitCost, ownership }: OpeningRow
): string[] {
  const faults: string[] = []
  try {
    toStockUnits(part, quantity ?? '', unit ?? part.unit)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    faults.push(error.message)
  }
  if (ownership !== 'consigned' && unitCost == null && part.standardCost === null)
    faults.push('the part has no standard cost, so the row needs a unitCost')
  if (ownership === 'consigned' && unitCost != null && /[1-9]/.test(unitCost))
    faults.push('consigned goods carry no cost; leave the unitCost empty')
  return faults
}
