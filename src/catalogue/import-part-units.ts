import type { EntityManager } from '@mikro-orm/postgresql'
import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import {
  importResult,
  readCsvRows,
  refuseRepeatedKeys,
  sameDecimal,
  type ImportColumn,
  type ImportResult,
  type ImportRow,
  type RowOf,
  type RowOutcome
} from '../platform/csv-import.ts'
import { run, statement } from '../platform/database.ts'
import { PartNumber, PositiveQuantity } from '../platform/schemas.ts'
import { CATALOGUE_DUTIES } from './catalogue.rights.ts'
import { Unit } from './catalogue.schemas.ts'

/** The columns of a file of further units. */
export const PART_UNIT_COLUMNS = {
  number: { schema: PartNumber, headings: ['part', 'part number', '货号', '编号', '物料编码'], required: true },
  unit: { schema: Unit, headings: ['uom', '单位', '换算单位'], required: true },
  factor: { schema: PositiveQuantity, headings: ['换算率', '数量'], required: true }
} as const satisfies Record<string, ImportColumn>
type UnitRow = RowOf<typeof PART_UNIT_COLUMNS>

const LOCK = statement<never>(`lock table part_unit in share row exclusive mode`)

const STORED = statement<{ number: string; unit: string; units: Record<string, string> }>(`
select number, part.unit, coalesce((select json_object_agg(part_unit.unit, part_unit.factor::text) from part_unit where part_unit.part_id = part.id), '{}') as units
  from unnest($1::text[]) as wanted (number)
  join part using (number)`)

const WRITE = statement<never>(`
insert into part_unit (part_id, unit, factor)
select part.id, given.unit, given.factor
  from unnest($1::text[], $2::text[], $3::numeric[]) as given (number, unit, factor)
  join part on part.number = given.number
 order by part.id, given.unit
on conflict (part_id, unit) do update set factor = excluded.factor`)

const BUMP = statement<never>(`update part set version = version + 1 where number = any ($1::text[])`)

/**
 * Imports further units of parts from CSV, one unit a row; units the file does not name stay as they are.
 * @throws Refusal 422 `ImportRefused` with the outcome of every row, and what `readCsvRows` throws
 */
export async function importPartUnits(
  ctx: Context,
  { csv, apply = false }: { csv: string; apply?: boolean }
): Promise<ImportResult> {
  requireDutyEverywhere(ctx, CATALOGUE_DUTIES)
  const rows = await readCsvRows(csv, PART_UNIT_COLUMNS)
  refuseRepeatedKeys(rows, keyOf)
  if (!apply) return importResult(await judge(ctx.em, rows), false)
  return inTransaction(ctx, async (ctx) => {
    await run(ctx.em, LOCK, [])
    const outcomes = await judge(ctx.em, rows)
    const result = importResult(outcomes, true)
    const changed = rows.filter((_, index) => outcomes[index]?.outcome !== 'unchanged').map(({ values }) => values)
    await run(ctx.em, WRITE, [
      changed.map(({ number }) => number),
      changed.map(({ unit }) => unit),
      changed.map(({ factor }) => factor)
    ])
    await run(ctx.em, BUMP, [changed.map(({ number }) => number)])
    await recordAudit(ctx, 'part-units.imported', 'parts', result.counts)
    return result
  })
}

const keyOf = ({ number, unit }: UnitRow): string => (number && unit ? `${number} ${unit}` : '')

async function judge(em: EntityManager, rows: ImportRow<UnitRow>[]): Promise<RowOutcome[]> {
  const stored = new Map(
    (await run(em, STORED, [[...new Set(rows.map(({ values }) => values.number ?? ''))]])).map((part) => [
      part.number,
      part
    ])
  )
  return rows.map(({ line, values, problems }): RowOutcome => {
    const { number, unit, factor } = values
    const key = keyOf(values)
    const part = stored.get(number ?? '')
    const faults = [...problems]
    if (number && part === undefined) faults.push(`the catalogue has no part ${number}`)
    if (part !== undefined && part.unit === unit)
      faults.push(`${unit} is the stock unit of part ${number}, its factor is always 1`)
    if (faults.length > 0) return { line, key, outcome: 'refused', problems: faults }
    const before = part?.units[unit ?? ''] ?? null
    const outcome = before === null ? 'create' : sameDecimal(before, factor ?? null) ? 'unchanged' : 'update'
    return { line, key, outcome, problems: [] }
  })
}
