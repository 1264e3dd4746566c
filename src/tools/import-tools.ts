import { Type } from 'typebox'
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import {
  importResult,
  readCsvRows,
  refuseRepeatedKeys,
  type ImportColumn,
  type ImportResult,
  type RowOf,
  type RowOutcome
} from '../platform/csv-import.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { Day, WarehouseCode } from '../platform/schemas.ts'
import { requireOpen, warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { dayFaults, REGISTERING, takenSerials, writeTools } from './register-tools.ts'
import {
  CalibrationMonths,
  ToolModel,
  ToolName,
  ToolNameZh,
  ToolSerial,
  ToolValue,
  type NewTool
} from './tools.schemas.ts'

/** The columns of a file of tools. */
export const TOOL_COLUMNS = {
  warehouse: { schema: WarehouseCode, headings: ['仓库', '仓库代码'], required: true },
  serial: { schema: ToolSerial, headings: ['serial number', 's/n', 'sn', '工具编号', '编号'], required: true },
  name: { schema: ToolName, headings: ['名称', '工具名称'], required: true },
  nameZh: { schema: ToolNameZh, headings: ['chinese name', '中文名称'] },
  model: { schema: ToolModel, headings: ['型号', '型号规格'] },
  value: { schema: ToolValue, headings: ['cost', '原值', '购入原值', '价值'], required: true },
  purchasedOn: { schema: Type.String({ ...Day }), headings: ['purchased on', '购置日期', '购入日期'], required: true },
  calibrationMonths: { schema: CalibrationMonths, headings: ['calibration months', '检定周期'] },
  calibratedOn: { schema: Type.String({ ...Day }), headings: ['calibrated on', '检定日期', '上次检定日期'] },
  calibrationDueOn: { schema: Type.String({ ...Day }), headings: ['calibration due on', '检定到期日'] },
  note: { schema: Type.String({ maxLength: 500, description: 'Remark of at most 500 characters' }), headings: ['备注'] }
} as const satisfies Record<string, ImportColumn>
type ToolRow = RowOf<typeof TOOL_COLUMNS>

/**
 * Imports tools into the registers of warehouses; they are on the shelf then. A serial number that stands twice in the file, or is registered
 * already, is refused in its row.
 * @throws Refusal 422 `ImportRefused` with the outcome of every row, and what `readCsvRows` throws
 */
export async function importTools(
  ctx: Context,
  { csv, apply = false }: { csv: string; apply?: boolean }
): Promise<ImportResult> {
  const rows = await readCsvRows(csv, TOOL_COLUMNS)
  refuseRepeatedKeys(rows, ({ serial }) => serial?.toUpperCase() ?? '')
  const taken = await takenSerials(
    ctx,
    rows.map(({ values }) => values.serial ?? '')
  )
  const { warehouses, refused } = await warehousesOf(ctx, new Set(rows.flatMap(({ values }) => values.warehouse ?? [])))
  const outcomes = rows.map(({ line, values, problems }): RowOutcome => {
    const foreign = refused.get(values.warehouse ?? '')
    const faults = [
      ...problems,
      ...(foreign === undefined ? [] : [foreign]),
      ...(taken.has(values.serial?.toUpperCase() ?? '')
        ? [`serial number ${values.serial} is registered already`]
        : []),
      // What is no day is not compared with one.
      ...(problems.length === 0 ? dayFaults(ctx, values).map(({ detail }) => detail) : [])
    ]
    return { line, key: values.serial ?? '', outcome: faults.length > 0 ? 'refused' : 'create', problems: faults }
  })
  const result = importResult(outcomes, apply)
  if (!apply) return result
  return inTransaction(ctx, async (inner) => {
    for (const [code, warehouse] of [...warehouses].toSorted(([, a], [, b]) => a.id - b.id))
      await writeTools(
        inner,
        warehouse,
        rows.filter(({ values }) => values.warehouse === code).map(({ values }) => toolOf(values))
      )
    return result
  })
}

const KNOWN = statement<{ code: string }>('select code from warehouse where code = any ($1::text[])')

// A column that holds something else has as many unknown codes as there are rows: they are told apart by one statement.
async function warehousesOf(
  ctx: Context,
  codes: ReadonlySet<string>
): Promise<{ warehouses: Map<string, Warehouse>; refused: Map<string, string> }> {
  const warehouses = new Map<string, Warehouse>()
  const refused = new Map<string, string>()
  const known = new Set((await run(ctx, KNOWN, [[...codes]])).map(({ code }) => code))
  for (const code of codes) {
    try {
      if (!known.has(code)) throw notFound('warehouse', code)
      const warehouse = await warehouseByCode(ctx, code)
      requireDuty(ctx, REGISTERING, warehouse)
      requireOpen(warehouse, ctx.clock.today())
      warehouses.set(code, warehouse)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      refused.set(code, error.message)
    }
  }
  return { warehouses, refused }
}

const toolOf = ({ warehouse: _warehouse, serial, name, value, purchasedOn, ...rest }: ToolRow): NewTool => ({
  serial: serial ?? '',
  name: name ?? '',
  value: value ?? '',
  purchasedOn: purchasedOn ?? '',
  ...(rest.nameZh != null && { nameZh: rest.nameZh }),
  ...(rest.model != null && { model: rest.model }),
  ...(rest.calibrationMonths != null && { calibrationMonths: rest.calibrationMonths }),
  ...(rest.calibratedOn != null && { calibratedOn: rest.calibratedOn }),
  ...(rest.calibrationDueOn != null && { calibrationDueOn: rest.calibrationDueOn }),
  ...(rest.note != null && { note: rest.note })
})
