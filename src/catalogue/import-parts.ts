import { Type } from 'typebox'
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
import { PartNumber, PositiveQuantity, UnitCost } from '../platform/schemas.ts'
import { CATALOGUE_DUTIES } from './catalogue.rights.ts'
import { exchangeFaults } from './exchange-part.ts'
import {
  Category,
  Colour,
  Criticality,
  ExchangeDueDays,
  LeadTimeDays,
  ListPrice,
  Name,
  NameZh,
  OldPartValue,
  Specification,
  Unit
} from './catalogue.schemas.ts'

/** The columns of a file of parts (R-CAT-1). */
export const PART_COLUMNS = {
  number: { schema: PartNumber, headings: ['part', 'part number', '货号', '编号', '物料编码'], required: true },
  name: { schema: Name, headings: ['part name', '货名', '名称', '品名'], required: true },
  nameZh: { schema: NameZh, headings: ['name zh', 'chinese name', '中文名称', '中文名'] },
  specification: { schema: Specification, headings: ['spec', '规格', '规格型号'] },
  colour: { schema: Colour, headings: ['color', '颜色'] },
  unit: { schema: Unit, headings: ['uom', '单位', '计量单位'] },
  category: { schema: Category, headings: ['类别', '分类'] },
  standardCost: { schema: UnitCost, headings: ['cost', '标准成本', '成本'] },
  listPrice: { schema: ListPrice, headings: ['price', '零售价', '销售价'] },
  criticality: { schema: Criticality, headings: ['class', '重要等级', '等级'], words: { a: 'A', b: 'B', c: 'C' } },
  leadTimeDays: { schema: LeadTimeDays, headings: ['lead time', '采购提前期', '提前期'] },
  packSize: { schema: PositiveQuantity, headings: ['pack', '包装数量', '装箱数'] },
  controlled: { schema: Type.Boolean({ description: 'true or false (是/否)' }), headings: ['监控件', '监控'] },
  active: { schema: Type.Boolean({ description: 'true or false (是/否)' }), headings: ['启用', '有效'] },
  exchangeDueDays: { schema: ExchangeDueDays, headings: ['exchange due days', '旧件返还天数', '返件天数'] },
  oldPartValue: { schema: OldPartValue, headings: ['old part value', '旧件赔偿价', '旧件价值'] },
  serialised: { schema: Type.Boolean({ description: 'true or false (是/否)' }), headings: ['序列号管理'] }
} as const satisfies Record<string, ImportColumn>
type PartRow = RowOf<typeof PART_COLUMNS>

/** A part as the table holds it. */
interface Stored {
  number: string
  name: string
  nameZh: string | null
  specification: string | null
  colour: string | null
  unit: string
  category: string | null
  standardCost: string | null
  listPrice: string | null
  criticality: string | null
  leadTimeDays: number | null
  packSize: string | null
  controlled: boolean
  active: boolean
  exchangeDueDays: number | null
  oldPartValue: string | null
  serialised: boolean
}

const FRESH: Omit<Stored, 'number' | 'name'> = {
  nameZh: null,
  specification: null,
  colour: null,
  unit: 'piece',
  category: null,
  standardCost: null,
  listPrice: null,
  criticality: null,
  leadTimeDays: null,
  packSize: null,
  controlled: false,
  active: true,
  exchangeDueDays: null,
  oldPartValue: null,
  serialised: false
}

const DECIMALS = new Set<keyof Stored>(['standardCost', 'listPrice', 'packSize', 'oldPartValue'])

// Readers and slips go on; other writers of parts wait, so that what was judged is what is written.
const LOCK = statement<never>(`lock table part in share row exclusive mode`)

const STORED = statement<Stored>(`
select number, name, name_zh as "nameZh", specification, colour, unit, category, standard_cost::text as "standardCost", list_price::text as "listPrice", criticality,
       lead_time_days as "leadTimeDays", pack_size::text as "packSize", controlled, active,
       exchange_due_days as "exchangeDueDays", old_part_value::text as "oldPartValue", serialised
  from unnest($1::text[]) as wanted (number)
  join part using (number)`)

// A number that is there in another case. The map above has those that are there as they are.
const IN_ANOTHER_CASE = statement<{ wanted: string; number: string }>(`
select wanted.number as wanted, part.number
  from unnest($1::text[]) as wanted (number)
  join part on upper(part.number) = upper(wanted.number)
 where part.number <> wanted.number`)

// Right after a large import the planner still believes that the table is small, and would go through all of it for every row.
const NO_NESTED_LOOPS = statement<never>(`set local enable_nestloop = off`)

const GIVEN = `
  from jsonb_to_recordset($1::jsonb) as given (number text, name text, "nameZh" text, specification text, colour text, unit text, category text, "standardCost" numeric,
       "listPrice" numeric, criticality text, "leadTimeDays" int, "packSize" numeric, controlled boolean, active boolean,
       "exchangeDueDays" int, "oldPartValue" numeric, serialised boolean)`

// In the order of the numbers, whatever order the file has: neighbours in the index are written together.
const INSERT = statement<never>(`
insert into part (number, name, name_zh, specification, colour, unit, category, standard_cost, list_price, criticality, lead_time_days, pack_size, controlled, active,
                  exchange_due_days, old_part_value, serialised, exchange_since)
select number, name, "nameZh", specification, colour, unit, category, "standardCost", "listPrice", criticality, "leadTimeDays", "packSize", controlled, active,
       "exchangeDueDays", "oldPartValue", serialised, case when "exchangeDueDays" is not null then $2::timestamptz end
${GIVEN}
 order by number`)

const UPDATE = statement<never>(`
update part
   set name = given.name, name_zh = given."nameZh", specification = given.specification, colour = given.colour, category = given.category, standard_cost = given."standardCost",
       list_price = given."listPrice", criticality = given.criticality, lead_time_days = given."leadTimeDays", pack_size = given."packSize", controlled = given.controlled,
       active = given.active, exchange_due_days = given."exchangeDueDays", old_part_value = given."oldPartValue", serialised = given.serialised,
       exchange_since = case when given."exchangeDueDays" is not null then coalesce(part.exchange_since, $2::timestamptz) end, version = version + 1
${GIVEN}
 where part.number = given.number`)

// Statements planned while the table was small would go on as if it were: new statistics make them be planned again.
const ANALYSE = statement<never>(`analyze part`)

const CHUNK = 10_000

/**
 * Imports parts from CSV. A dry run answers what every row would do; applied, all rows are written or, if one is refused, none.
 * Columns that the file lacks stay as they are, empty cells empty what was there.
 * @throws Refusal 422 `ImportRefused` with the outcome of every row, and what `readCsvRows` throws
 */
export async function importParts(
  ctx: Context,
  { csv, apply = false }: { csv: string; apply?: boolean }
): Promise<ImportResult> {
  requireDutyEverywhere(ctx, CATALOGUE_DUTIES)
  const rows = await readCsvRows(csv, PART_COLUMNS)
  refuseRepeatedKeys(rows, ({ number }) => (number ?? '').toUpperCase())
  if (!apply) return importResult((await judge(ctx.em, rows)).outcomes, false)
  return inTransaction(ctx, async (ctx) => {
    await run(ctx.em, LOCK, [])
    await run(ctx.em, NO_NESTED_LOOPS, [])
    const { outcomes, created, updated } = await judge(ctx.em, rows)
    const result = importResult(outcomes, true)
    const at = ctx.clock.now().toString()
    for (const chunk of chunks(created)) await run(ctx.em, INSERT, [JSON.stringify(chunk), at])
    for (const chunk of chunks(updated)) await run(ctx.em, UPDATE, [JSON.stringify(chunk), at])
    if (created.length + updated.length >= 1_000) await run(ctx.em, ANALYSE, [])
    await recordAudit(ctx, 'parts.imported', 'parts', result.counts)
    return result
  })
}

function* chunks<Row>(rows: Row[]): Generator<Row[]> {
  for (let start = 0; start < rows.length; start += CHUNK) yield rows.slice(start, start + CHUNK)
}

async function judge(
  em: EntityManager,
  rows: ImportRow<PartRow>[]
): Promise<{ outcomes: RowOutcome[]; created: Stored[]; updated: Stored[] }> {
  const stored = new Map<string, Stored>()
  const inAnotherCase = new Map<string, string>()
  for (const chunk of chunks(rows)) {
    for (const part of await run(em, STORED, [chunk.map(({ values }) => values.number ?? '')]))
      stored.set(part.number, part)
    for (const { wanted, number } of await run(em, IN_ANOTHER_CASE, [chunk.map(({ values }) => values.number ?? '')]))
      inAnotherCase.set(wanted, number)
  }
  const created: Stored[] = []
  const updated: Stored[] = []
  const outcomes = rows.map(({ line, values, problems }): RowOutcome => {
    const key = values.number ?? ''
    const before = stored.get(key)
    const after = merged(before ?? { ...FRESH, number: key, name: '' }, values)
    const faults = [...problems]
    if (before !== undefined && after.unit !== before.unit)
      faults.push(
        `the stock unit of part ${key} is ${before.unit} and never changes; leave the unit away or give it as a further unit`
      )
    const other = inAnotherCase.get(key)
    if (other !== undefined)
      faults.push(`part ${other} is there, and numbers differ by more than upper and lower case; write it ${other}`)
    faults.push(...exchangeFaults(key, after).map(({ detail }) => detail))
    if (faults.length > 0) return { line, key, outcome: 'refused', problems: faults }
    if (before === undefined) created.push(after)
    else if (differs(before, after)) updated.push(after)
    else return { line, key, outcome: 'unchanged', problems: [] }
    return { line, key, outcome: before === undefined ? 'create' : 'update', problems: [] }
  })
  return { outcomes, created, updated }
}

/** What was there with what the row says; an empty cell of a member that is never empty says nothing. */
function merged(before: Stored, row: PartRow): Stored {
  const said = Object.entries(row).filter(
    ([member, value]) =>
      value !== undefined &&
      (value !== null ||
        !(member === 'unit' || member === 'controlled' || member === 'active' || member === 'serialised'))
  )
  return { ...before, ...Object.fromEntries(said) }
}

const differs = (before: Stored, after: Stored): boolean =>
  (Object.keys(after) as (keyof Stored)[]).some((member) =>
    DECIMALS.has(member)
      ? !sameDecimal(before[member] as string | null, after[member] as string | null)
      : before[member] !== after[member]
  )
