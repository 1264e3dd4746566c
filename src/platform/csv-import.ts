import { TextDecoder } from 'node:util'
import { Readable } from 'node:stream'
import { parse, CsvError } from 'csv-parse'
import fp from 'fastify-plugin'
import { Type, type Static, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Refusal } from './errors.ts'
import { closed, named, ref } from './schemas.ts'

/** 50 MiB: 100,000 parts with long names are about 20. */
export const IMPORT_BODY_LIMIT = 50 * 1024 * 1024
export const IMPORT_ROWS = 200_000

/** One column of an import. A cell is text until `schema` says otherwise: integer and boolean cells are converted before they are checked. */
export interface ImportColumn<Schema extends TSchema = TSchema> {
  /** What a cell must be. Its description is what a refused row is told. */
  schema: Schema
  /** Headings accepted besides the column's own name, in any case, e.g. `货号`. */
  headings: readonly string[]
  /** The heading must be there and its cells filled. */
  required?: boolean
  /** Words accepted for a value, e.g. `{ 网点: 'outlet' }`; in any case. */
  words?: Readonly<Record<string, unknown>>
}

/**
 * What a row says: a value, null for an empty cell, absent when the file has no such column.
 * An import leaves absent columns as they are and clears what is empty.
 */
export type RowOf<Columns extends Record<string, ImportColumn>> = {
  [Name in keyof Columns]?: Static<Columns[Name]['schema']> | null
}

export interface ImportRow<Values> {
  /** Line in the file, the heading being line 1. */
  line: number
  values: Values
  problems: string[]
}

export const IMPORT_OUTCOMES = ['create', 'update', 'unchanged', 'refused'] as const
export type ImportOutcome = (typeof IMPORT_OUTCOMES)[number]

/** What happens, or would happen, to one row. */
export interface RowOutcome {
  line: number
  key: string
  outcome: ImportOutcome
  problems: string[]
}

export interface ImportResult {
  applied: boolean
  counts: Record<ImportOutcome, number>
  rows: RowOutcome[]
}

export const ImportResultView = named(
  'ImportResult',
  Type.Object(
    {
      applied: Type.Boolean({ description: 'false for a dry run (试运行): nothing was changed' }),
      counts: Type.Object(
        { create: Type.Integer(), update: Type.Integer(), unchanged: Type.Integer(), refused: Type.Integer() },
        closed
      ),
      rows: Type.Array(
        Type.Object(
          {
            line: Type.Integer({ description: 'Line in the file, the heading being line 1', examples: [2] }),
            key: Type.String({ description: 'Number or code the row is about', examples: ['CH-0234'] }),
            outcome: Type.Enum([...IMPORT_OUTCOMES]),
            problems: Type.Array(Type.String(), {
              description: 'Why a row is refused',
              examples: [['unit must be: Unit of the stock (单位)']]
            })
          },
          closed
        )
      )
    },
    { ...closed, description: 'Outcome of every row of an import (导入结果)' }
  )
)

/** Query string of every import. */
export const ImportQuery = Type.Object(
  {
    apply: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'false: dry run, nothing is changed. true: all rows or, if one is refused, none'
      })
    )
  },
  closed
)

/** The parts of a route schema that every import shares. */
export const csvBody = {
  consumes: ['text/csv'],
  /** @param example a short file that is accepted */
  body: (example: string) => ({
    content: {
      'text/csv': {
        schema: Type.String({
          description: 'UTF-8 CSV with a heading line, with or without byte-order mark',
          examples: [example]
        })
      }
    }
  }),
  ok: { 200: ref(ImportResultView) },
  /** What the description of the operation says of the file. */
  describe: (columns: Record<string, ImportColumn>): string =>
    `A dry run unless \`apply=true\`; applied, all rows are written or, if one is refused, none (422 with the outcome of every row). Columns, in any order, by one of these headings: ${Object.entries(
      columns
    )
      .map(
        ([name, { headings, required }]) =>
          `\`${name}\`${required === true ? ' (required)' : ''}${headings.length > 0 ? `: ${headings.join(', ')}` : ''}`
      )
      .join('; ')}. Columns left out stay as they are; an empty cell empties what was there.`
}

/** Lets the routes registered beside it take `text/csv` of up to 50 MiB as text, and nothing else. Other charsets than UTF-8 are refused. */
export const csvUpload = fp(
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('text/csv', { parseAs: 'buffer', bodyLimit: IMPORT_BODY_LIMIT }, (request, body, done) => {
      try {
        requireUtf8(request.headers['content-type'] ?? '')
        done(null, textOf(body as Buffer))
      } catch (error) {
        done(error as Error)
      }
    })
  },
  { name: 'csv-upload' }
)

/**
 * Refuses a file that says itself that it is something else than UTF-8.
 * @throws Refusal 415 `CharsetNotSupported`
 */
function requireUtf8(contentType: string): void {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(contentType)?.[1]
  if (charset === undefined || /^(utf-?8|us-ascii)$/i.test(charset)) return
  throw new Refusal(
    'CharsetNotSupported',
    415,
    `the file is said to be ${charset}; save it as "CSV UTF-8" and send it as text/csv; charset=utf-8`
  )
}

/**
 * Bytes of a CSV file as text, without byte-order mark.
 * @throws Refusal 400 `NotUtf8`
 */
export function textOf(bytes: Buffer): string {
  const hint =
    (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff) ? 'it is UTF-16' : undefined
  try {
    if (hint === undefined) return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // told below, with what it looks like
  }
  throw new Refusal(
    'NotUtf8',
    400,
    `the file is not UTF-8: ${hint ?? (looksLikeGbk(bytes) ? 'it looks like GBK (GB 18030), which Excel writes in China' : 'it holds bytes that no UTF-8 text has')}; save it as "CSV UTF-8" and send it again`
  )
}

function looksLikeGbk(bytes: Buffer): boolean {
  try {
    return /\p{Script=Han}/u.test(new TextDecoder('gb18030', { fatal: true }).decode(bytes))
  } catch {
    return false
  }
}

const headingKey = (heading: string): string =>
  heading
    .normalize('NFKC')
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_-]+/g, '')

const SEPARATORS: Record<string, string> = {
  ';': 'semicolons',
  '\t': 'tabs',
  '|': 'vertical bars',
  '，': 'full-width commas (，)',
  '；': 'full-width semicolons (；)'
}

const TRUTH: Record<string, boolean> = {
  true: true,
  yes: true,
  y: true,
  1: true,
  是: true,
  false: false,
  no: false,
  n: false,
  0: false,
  否: false
}

/**
 * Reads a CSV file against its columns. What is wrong with one row is noted in that row; only what is wrong with the
 * file as a whole is thrown.
 * @throws Refusal 422 `CsvMalformed`, `CsvEmpty`, `CsvSeparator`, `CsvHeadings` or `TooManyRows`
 */
export async function readCsvRows<Columns extends Record<string, ImportColumn>>(
  text: string,
  columns: Columns,
  { maxRows = IMPORT_ROWS }: { maxRows?: number } = {}
): Promise<ImportRow<RowOf<Columns>>[]> {
  let cells: ReturnType<typeof cellsOf> | undefined
  const rows: ImportRow<RowOf<Columns>>[] = []
  try {
    const parser = Readable.from(chunksOf(text)).pipe(
      parse({ relaxColumnCount: true, skipEmptyLines: true, bom: true, info: true })
    )
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      if (cells === undefined) {
        cells = cellsOf(record, columns)
        continue
      }
      if (rows.length >= maxRows)
        throw new Refusal('TooManyRows', 422, `the file has more than the ${maxRows} rows one import takes; split it`)
      rows.push({ line: info.lines, ...rowOf(record, cells) })
    }
  } catch (error) {
    if (error instanceof CsvError)
      throw new Refusal(
        'CsvMalformed',
        422,
        `line ${String((error as { lines?: number }).lines ?? '?')} is not CSV: ${error.message}`
      )
    throw error
  }
  if (cells === undefined)
    throw new Refusal(
      'CsvEmpty',
      422,
      `the file is empty; its first line names the columns: ${Object.keys(columns).join(', ')}`
    )
  if (rows.length === 0) throw new Refusal('CsvEmpty', 422, 'the file has headings but no rows')
  return rows
}

// One large string would be parsed in one go, without giving other requests their turn.
function* chunksOf(text: string, size = 64 * 1024): Generator<string> {
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + size, text.length)
    // A character beyond the basic plane is two units, which stay together.
    if (end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end++
    yield text.slice(start, end)
    start = end
  }
}

interface Cell {
  name: string
  column: ImportColumn
  check: (value: unknown) => boolean
  words: Map<string, unknown>
  type: string | undefined
}

function cellsOf(headings: string[], columns: Record<string, ImportColumn>): Cell[] {
  const known = new Map<string, string>()
  for (const [name, column] of Object.entries(columns))
    for (const heading of [name, ...column.headings]) known.set(headingKey(heading), name)
  const accepted = Object.entries(columns).map(
    ([name, column]) => `${name}${column.headings.length > 0 ? ` (${column.headings.join(', ')})` : ''}`
  )
  const refuse = (what: string): never => {
    throw new Refusal('CsvHeadings', 422, `${what}; known are ${accepted.join('; ')}`, {
      extra: { accepted: Object.fromEntries(Object.entries(columns).map(([name, { headings: also }]) => [name, also])) }
    })
  }
  const separator = headings.length === 1 ? /[;\t|，；]/.exec(headings[0] ?? '')?.[0] : undefined
  if (separator !== undefined && !known.has(headingKey(headings[0] ?? '')))
    throw new Refusal(
      'CsvSeparator',
      422,
      `the columns are separated by ${SEPARATORS[separator] ?? separator}; this takes commas: save the file as "CSV UTF-8 (comma delimited)" and send it again`
    )
  const names = headings.map(
    (heading) => known.get(headingKey(heading)) ?? refuse(`the heading "${heading}" is not known`)
  )
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) refuse(`two headings mean ${twice}`)
  const missing = Object.entries(columns)
    .filter(([name, { required }]) => required === true && !names.includes(name))
    .map(([name]) => name)
  if (missing.length > 0) refuse(`the column ${missing.join(', ')} is missing`)
  return names.map((name) => {
    const column = columns[name]
    const compiled = Compile(column.schema)
    return {
      name,
      column,
      check: (value) => compiled.Check(value),
      words: new Map(Object.entries(column.words ?? {}).map(([word, value]) => [word.toLowerCase(), value])),
      type: (column.schema as { type?: string }).type
    }
  })
}

function rowOf<Values>(record: string[], cells: Cell[]): { values: Values; problems: string[] } {
  const values: Record<string, unknown> = {}
  const problems: string[] = []
  if (record.length !== cells.length) problems.push(`the row has ${record.length} cells, the heading ${cells.length}`)
  for (const [index, cell] of cells.entries()) {
    const text = (record[index] ?? '').trim()
    const value = text === '' ? null : converted(text, cell)
    values[cell.name] = value
    if (value === null ? cell.column.required === true : !cell.check(value)) {
      const { description, examples } = cell.column.schema as { description?: string; examples?: unknown[] }
      const wanted = `${description ?? 'another value'}${examples === undefined ? '' : `, e.g. ${examples.join(' or ')}`}`
      problems.push(
        value === null
          ? `${cell.name} is empty; it must be: ${wanted}`
          : `${cell.name} is ${JSON.stringify(text.slice(0, 80))}; it must be: ${wanted}`
      )
    }
  }
  return { values: values as Values, problems }
}

function converted(text: string, { words, type }: Cell): unknown {
  const word = words.get(text.toLowerCase())
  if (word !== undefined) return word
  if (type === 'boolean') return TRUTH[text.toLowerCase()] ?? text
  if (type === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : text
  return text
}

/** Notes a problem in every row after the first that has the same key: one row, one thing. */
export function refuseRepeatedKeys<Values>(rows: ImportRow<Values>[], keyOf: (values: Values) => string): void {
  const lines = new Map<string, number>()
  for (const { line, values, problems } of rows) {
    const key = keyOf(values)
    if (key === '') continue
    const first = lines.get(key)
    if (first === undefined) lines.set(key, line)
    else problems.push(`line ${first} is about ${key} already`)
  }
}

/** Counts the outcomes of a file, and refuses the whole of it if it was to be applied and one row is refused. */
export function importResult(rows: RowOutcome[], apply: boolean): ImportResult {
  const counts = { create: 0, update: 0, unchanged: 0, refused: 0 }
  for (const { outcome } of rows) counts[outcome]++
  if (apply && counts.refused > 0) {
    const first = rows.find(({ outcome }) => outcome === 'refused')
    throw new Refusal(
      'ImportRefused',
      422,
      `${counts.refused} of ${rows.length} rows are refused, so nothing was imported; the first is line ${first?.line}: ${first?.problems[0]}`,
      {
        extra: { applied: false, counts, rows }
      }
    )
  }
  return { applied: apply, counts, rows }
}

/** Two decimal strings, or nothings, that mean the same number. */
export const sameDecimal = (a: string | null, b: string | null): boolean =>
  a === b || (a !== null && b !== null && plain(a) === plain(b))

const plain = (decimal: string): string => (decimal.includes('.') ? decimal.replace(/[.]?0+$/, '') : decimal)
