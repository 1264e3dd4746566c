import type { Context } from '../identity/actor.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement, type Scope } from '../platform/database.ts'
import { NAMED_OFFENDERS, notFound, Refusal } from '../platform/errors.ts'
import type { PartQuery, PartView } from './catalogue.schemas.ts'
import type { PartUnits } from './units.ts'

const PART_VIEW = `
       number, name, name_zh as "nameZh", specification, colour, category, standard_cost::text as "standardCost", list_price::text as "listPrice",
       criticality, lead_time_days as "leadTimeDays", pack_size::text as "packSize", controlled, active, exchange_due_days as "exchangeDueDays",
       old_part_value::text as "oldPartValue", serialised, unit, version,
       coalesce((select json_agg(json_build_object('unit', part_unit.unit, 'factor', part_unit.factor::text) order by part_unit.factor, part_unit.unit)
                   from part_unit where part_unit.part_id = part.id), '[]') as units`

const READ_PART = statement<PartView>(`select ${PART_VIEW} from part where number = $1`)

/**
 * One part with its units.
 * @throws Refusal 404
 */
export async function readPart({ em }: Pick<Context, 'em'>, { number }: { number: string }): Promise<PartView> {
  const [part] = await run(em, READ_PART, [number])
  if (part === undefined) throw notFound('part', number)
  return part
}

/** Parts whose number, names or specification hold every word of `q`, by number (R-CAT-1). */
export async function listParts(
  ctx: Context,
  { q, category, controlled, active, exchange, limit = 50, cursor }: PartQuery
) {
  const after = readCursor(cursor, 1)
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const conditions = [
    ...(q === undefined ? [] : searchConditions(q, value)),
    ...(category === undefined ? [] : [`category = ${value(category)}`]),
    ...(controlled === undefined ? [] : [`controlled = ${value(controlled)}`]),
    ...(active === undefined ? [] : [`active = ${value(active)}`]),
    ...(exchange === undefined ? [] : [`(exchange_due_days is not null) = ${value(exchange)}`]),
    ...(after === null ? [] : [`number > ${value(after[0])}`])
  ]
  // Not a declared statement on purpose: a prepared plan would not know how rare the words are, and whether to go by the
  // index of grams or along the numbers until the page is full depends on exactly that.
  const rows = await run<PartView>(
    ctx.em,
    {
      text: `select ${PART_VIEW} from part ${conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`} order by number limit ${value(limit + 1)}`
    },
    values
  )
  return pageFrom(rows, limit, ({ number }) => [number])
}

/** The words of a search as the generated column holds them; case is left to the database, which folded the column. */
export const wordsOf = (q: string): string[] =>
  q
    .normalize('NFKC')
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '')

function searchConditions(q: string, value: (given: unknown) => string): string[] {
  const words = wordsOf(q)
  // A single ASCII letter has no gram: nearly every part has it, and the first page is full soon.
  const hasGrams = words.some((word) => [...word].length > 1 || (word.codePointAt(0) ?? 0) > 127)
  return [
    ...(hasGrams ? [`search_grams(search_text) @> search_grams(lower(${value(words.join(' '))}))`] : []),
    ...words.map((word) => `search_text like lower(${value(`%${word.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`)})`)
  ]
}

/** What other rooms need of a part. */
export interface PartRef extends PartUnits {
  id: number
  name: string
  nameZh: string | null
  specification: string | null
  colour: string | null
  controlled: boolean
  active: boolean
  /** Of one stock unit. */
  standardCost: string | null
  /** Of a loaner model. */
  loanerFamily: string | null
}

const PARTS_BY_NUMBER = statement<PartRef>(`
select id, number, name, name_zh as "nameZh", specification, colour, unit, controlled, active, standard_cost::text as "standardCost", loaner_family as "loanerFamily",
       coalesce((select json_agg(json_build_object('unit', part_unit.unit, 'factor', part_unit.factor::text) order by part_unit.factor, part_unit.unit)
                   from part_unit where part_unit.part_id = part.id), '[]') as units
  from part where number = any ($1::text[])`)

/** Parts by number in one statement, however many; those that do not exist are absent from the map. */
export async function partsByNumber(em: Scope, numbers: readonly string[]): Promise<Map<string, PartRef>> {
  const parts = await run(em, PARTS_BY_NUMBER, [[...new Set(numbers)]])
  return new Map(parts.map((part) => [part.number, part]))
}

/**
 * The same, all of them.
 * @throws Refusal 422 `PartUnknown` naming the first five
 */
export async function requireParts(em: Scope, numbers: readonly string[]): Promise<Map<string, PartRef>> {
  const parts = await partsByNumber(em, numbers)
  const unknown = [...new Set(numbers)].filter((number) => !parts.has(number))
  if (unknown.length > 0) {
    const more = unknown.length - NAMED_OFFENDERS
    throw new Refusal(
      'PartUnknown',
      422,
      `the catalogue has no part ${unknown.slice(0, NAMED_OFFENDERS).join(', ')}${more > 0 ? ` and ${more} more` : ''}; GET /v1/parts?q= finds numbers`,
      { extra: { unknown: unknown.slice(0, 50) } }
    )
  }
  return parts
}
