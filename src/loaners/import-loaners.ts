import { Type } from 'typebox'
import { requireDuty, type Context } from '../identity/actor.ts'
import { partsByNumber, type PartRef } from '../catalogue/parts.queries.ts'
import { inTransaction } from '../platform/context.ts'
import {
  importResult,
  readCsvRows,
  refuseRepeatedKeys,
  type ImportColumn,
  type ImportResult,
  type ImportRow,
  type RowOf,
  type RowOutcome
} from '../platform/csv-import.ts'
import { Refusal } from '../platform/errors.ts'
import { Day, oneOf, PartNumber, UnitCost, WarehouseCode } from '../platform/schemas.ts'
import { MAX_LINES } from '../slips/slips.schemas.ts'
import { requireOpen, warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { GRADES, PhotoUrl, SerialNumber } from './loaners.schemas.ts'
import { modelFault, takenSerials, writeUnits, type NewUnit } from './register-loaners.ts'

/** The columns of a file of units that are there already. */
export const LOANER_COLUMNS = {
  warehouse: { schema: WarehouseCode, headings: ['仓库', '仓库代码'], required: true },
  serial: { schema: SerialNumber, headings: ['serial number', 's/n', 'sn', '机身编号', '序列号'], required: true },
  model: { schema: PartNumber, headings: ['part', 'part number', '机型', '货号'], required: true },
  grade: { schema: oneOf(GRADES, 'Grade (成色): A, B or C'), headings: ['成色', '等级'] },
  accessories: {
    schema: Type.String({ maxLength: 500, description: 'Accessories, separated by semicolons' }),
    headings: ['附件']
  },
  photoUrl: { schema: PhotoUrl, headings: ['photo', '照片'] },
  note: {
    schema: Type.String({ maxLength: 500, description: 'Remark of at most 500 characters' }),
    headings: ['备注']
  },
  unitCost: { schema: UnitCost, headings: ['cost', '单价', '成本'] },
  receivedOn: { schema: Type.String({ ...Day }), headings: ['入库日期', '购入日期'] }
} as const satisfies Record<string, ImportColumn>
type LoanerRow = RowOf<typeof LOANER_COLUMNS>

/**
 * Imports units that were there before the service was: applied, those of each warehouse become opening slips of at most 500 lines, which
 * await their three signatures. A serial number that stands twice in the file, or is registered already, is refused in its row.
 * @throws Refusal 422 `ImportRefused` with the outcome of every row, and what `readCsvRows` throws
 */
export async function importLoaners(
  ctx: Context,
  { csv, apply = false }: { csv: string; apply?: boolean }
): Promise<ImportResult & { slips: string[] }> {
  const rows = await readCsvRows(csv, LOANER_COLUMNS)
  refuseRepeatedKeys(rows, ({ serial }) => serial?.toUpperCase() ?? '')
  const { outcomes, warehouses, parts } = await judge(ctx, rows)
  if (!apply) return { ...importResult(outcomes, false), slips: [] }
  const result = importResult(outcomes, true)
  return inTransaction(ctx, async (inner) => {
    const slips: string[] = []
    for (const [code, warehouse] of warehouses) {
      const units = rows.filter(({ values }) => values.warehouse === code).map(({ values }) => unitOf(values))
      for (let start = 0; start < units.length; start += MAX_LINES)
        slips.push(
          await writeUnits(inner, warehouse, parts, { kind: 'opening', units: units.slice(start, start + MAX_LINES) })
        )
    }
    return { ...result, slips }
  })
}

const accessoriesOf = (cell: string | null | undefined): string[] => [
  ...new Set(
    (cell ?? '')
      .split(/[;；]/)
      .map((accessory) => accessory.trim())
      .filter((accessory) => accessory !== '')
  )
]

const unitOf = ({ serial, model, grade, accessories, photoUrl, note, unitCost, receivedOn }: LoanerRow): NewUnit => ({
  serial: serial ?? '',
  model: model ?? '',
  accessories: accessoriesOf(accessories),
  ...(grade != null && { grade }),
  ...(photoUrl != null && { photoUrl }),
  ...(note != null && { note }),
  ...(unitCost != null && { unitCost }),
  ...(receivedOn != null && { receivedOn })
})

async function judge(
  ctx: Context,
  rows: ImportRow<LoanerRow>[]
): Promise<{ outcomes: RowOutcome[]; warehouses: Map<string, Warehouse>; parts: Map<string, PartRef> }> {
  const today = ctx.clock.today()
  const parts = await partsByNumber(
    ctx,
    rows.map(({ values }) => values.model ?? '')
  )
  const taken = await takenSerials(
    ctx,
    rows.map(({ values }) => values.serial ?? '')
  )
  const warehouses = new Map<string, Warehouse>()
  const refused = new Map<string, string>()
  for (const code of new Set(rows.map(({ values }) => values.warehouse ?? ''))) {
    try {
      const warehouse = await warehouseByCode(ctx, code)
      requireDuty(ctx, ['keeper', 'stock-controller'], warehouse)
      requireOpen(warehouse, today)
      warehouses.set(code, warehouse)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      refused.set(code, error.message)
    }
  }
  const outcomes = rows.map(({ line, values, problems }): RowOutcome => {
    const faults = [...problems]
    const foreign = refused.get(values.warehouse ?? '')
    if (foreign !== undefined) faults.push(foreign)
    const part = parts.get(values.model ?? '')
    const fault = values.model == null ? null : modelFault(part)
    if (fault !== null) faults.push(`${values.model} ${fault}`)
    if (part != null && part.standardCost === null && values.unitCost == null)
      faults.push('the model has no standard cost, so the row needs a unitCost')
    if (taken.has(values.serial?.toUpperCase() ?? ''))
      faults.push(`serial number ${values.serial} is registered already`)
    if (values.receivedOn != null && values.receivedOn > today)
      faults.push(`receivedOn is ${values.receivedOn}; a unit was received on ${today} or earlier`)
    if (values.receivedOn != null && values.receivedOn < '2000-01-01')
      faults.push(`receivedOn is ${values.receivedOn}; check the year`)
    if (accessoriesOf(values.accessories).some((accessory) => accessory.length > 60))
      faults.push('an accessory has at most 60 characters; separate several by semicolons')
    return {
      line,
      key: values.serial ?? '',
      outcome: faults.length > 0 ? 'refused' : 'create',
      problems: faults
    }
  })
  return { outcomes, warehouses, parts }
}
