import { Type, type Static } from 'typebox'
import type { Context } from '../identity/actor.ts'
import { CONDITIONS, OWNERSHIPS } from '../ledger/post.ts'
import { readCsvRows, sameDecimal, type ImportColumn, type ImportRow, type RowOf } from '../platform/csv-import.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { named, nullable, oneOf, PartNumber, Quantity } from '../platform/schemas.ts'
import { loadCount } from './count.ts'
import { COUNT_LINE_HEADINGS } from './counts.queries.ts'
import { CountNumber, ENTRY_OUTCOMES, MAX_ENTRIES, type CountEntry } from './counts.schemas.ts'
import { recordCounts } from './record-counts.ts'

/** What the list of lines says beside the figures: it comes back with the file, and is not read. */
const BESIDE = Object.fromEntries(
  Object.entries(COUNT_LINE_HEADINGS)
    .filter(([name]) => !['line', 'part', 'ownership', 'condition', 'counted', 'card', 'round'].includes(name))
    .map(([name, heading]) => [name, { schema: Type.String(), headings: [heading] }])
) as Record<string, ImportColumn>

/** The columns of a file of counts: those to fill, and all others of the list of lines, so that the list itself can be filled and sent back. */
export const COUNT_ENTRY_COLUMNS = {
  line: {
    schema: Type.Integer({ minimum: 1, maximum: 2147483647, description: 'a line number of the count' }),
    headings: ['行号', COUNT_LINE_HEADINGS.line]
  },
  part: { schema: PartNumber, headings: ['number', 'part number', '货号', '物料编码', COUNT_LINE_HEADINGS.part] },
  ownership: {
    schema: Type.Unsafe<(typeof OWNERSHIPS)[number]>({
      type: 'string',
      enum: [...OWNERSHIPS],
      description: 'own or consigned (自有/寄存)'
    }),
    headings: ['所有权', COUNT_LINE_HEADINGS.ownership],
    words: { 自有: 'own', 寄存: 'consigned' }
  },
  condition: {
    schema: Type.Unsafe<(typeof CONDITIONS)[number]>({
      type: 'string',
      enum: [...CONDITIONS],
      description: 'qualified or nonconforming (合格/不合格)'
    }),
    headings: ['质量状态', COUNT_LINE_HEADINGS.condition],
    words: { 合格: 'qualified', 不合格: 'nonconforming' }
  },
  lot: {
    schema: Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'a lot of the balance; one row per lot' }),
    headings: ['批次']
  },
  round: {
    schema: Type.Integer({ minimum: 1, maximum: 1000, description: 'the round of the line, 1 for the first count' }),
    headings: ['轮次', COUNT_LINE_HEADINGS.round]
  },
  counted: { schema: Quantity, headings: ['实盘数量', '实盘', COUNT_LINE_HEADINGS.counted] },
  card: { schema: Quantity, headings: ['卡片数量', '卡片', COUNT_LINE_HEADINGS.card] }
} as const satisfies Record<string, ImportColumn>

type EntryRow = ImportRow<RowOf<typeof COUNT_ENTRY_COLUMNS>>

export const COUNT_ROW_OUTCOMES = [...ENTRY_OUTCOMES, 'unchanged', 'blank'] as const
type Outcome = (typeof COUNT_ROW_OUTCOMES)[number]

const CountFileRow = Type.Object({
  row: Type.Integer({ description: 'Line in the file, the heading being line 1', examples: [2] }),
  line: nullable(Type.Integer({ description: 'Line of the count (行号)' })),
  part: nullable(Type.String({ description: 'Part number (货号)' })),
  outcome: oneOf(
    COUNT_ROW_OUTCOMES,
    'settled; recount-due: to be counted again by somebody else; refused; unchanged: was settled with these figures; blank: not counted'
  ),
  problems: Type.Array(Type.String(), { description: 'Why a row is refused' })
})
type CountFileRow = Static<typeof CountFileRow>

export const CountFileResult = named(
  'CountFileResult',
  Type.Object(
    {
      number: CountNumber,
      version: Type.Integer(),
      settled: Type.Integer(),
      recountDue: Type.Integer(),
      refused: Type.Integer(),
      unchanged: Type.Integer({ description: 'Rows of lines that were settled with the same figures' }),
      blank: Type.Integer({ description: 'Rows without a counted quantity: not counted; zero is written as 0' }),
      rows: Type.Array(CountFileRow)
    },
    { description: 'What became of each row of a file; one that is refused holds up none of the others' }
  )
)
export type CountFileResult = Static<typeof CountFileResult>

const SETTLED_LINES = statement<{ line: number; counted: string; card: string }>(`
select line_no as line, counted::text as counted, card::text as card
  from count_line where warehouse_id = $1 and count_id = $2 and line_no = any ($3::int[]) and state = 'settled'`)

// A part that begins like a formula leaves with an apostrophe before it, so that no spreadsheet runs it.
const withoutGuard = (part: string): string => part.replace(/^'(?=[=+@-])/, '')

type Tell = (
  row: EntryRow,
  outcome: Outcome,
  problems?: string[],
  known?: { line: number | null; part: string | null }
) => void

/**
 * Records what a file says was counted. Rows that are right are recorded, wrong ones are listed, blank ones are not counted.
 * The file of `listCountLines` can be filled and sent: lines that it shows settled are left as they are.
 * @throws Refusal 403, 409 `CountNotOpen`, 422 for what is wrong with the file as a whole
 */
export async function importCounts(
  ctx: Context,
  { number, csv }: { number: string; csv: string }
): Promise<CountFileResult> {
  const { count, warehouse } = await loadCount(ctx, number)
  const rows = (await readCsvRows(csv, { ...COUNT_ENTRY_COLUMNS, ...BESIDE })) as EntryRow[]
  const numbers = rows.flatMap(({ values, problems }) => (problems.length > 0 ? [] : (values.line ?? [])))
  const settled = new Map(
    (await run(ctx, SETTLED_LINES, [warehouse.id, count.id, [...new Set(numbers)]])).map((line) => [line.line, line])
  )

  const outcomes = new Map<EntryRow, CountFileRow>()
  const tell: Tell = (row, outcome, problems = [], known) => {
    const { line, part } = row.values
    outcomes.set(row, {
      row: row.line,
      line: known?.line ?? (Number.isInteger(line) ? (line ?? null) : null),
      part: known?.part ?? part ?? null,
      outcome,
      problems
    })
  }
  const entries = entriesOf(rows, settled, tell)

  let version = count.version
  // Also a file without an entry is sent on once: whether the actor may count is for the verb to say.
  for (let start = 0; start === 0 || start < entries.length; start += MAX_ENTRIES) {
    const chunk = entries.slice(start, start + MAX_ENTRIES)
    const answer = await recordCounts(ctx, { number, entries: chunk.map(({ entry }) => entry) }).catch(
      (error: unknown) => {
        // What was recorded before stays recorded and is told; the rest is refused for what stopped it.
        if (start === 0 || !(error instanceof Refusal)) throw error
        for (const { rows: unsent } of entries.slice(start))
          for (const row of unsent) tell(row, 'refused', [error.message])
        return undefined
      }
    )
    if (answer === undefined) break
    version = answer.version
    for (const [index, { line, part, outcome, problem }] of answer.results.entries())
      for (const row of chunk[index]?.rows ?? [])
        tell(row, outcome, problem === null ? [] : [problem.detail], { line, part })
  }
  const told = rows.map((row) => outcomes.get(row)).filter((row) => row !== undefined)
  const having = (outcome: Outcome) => told.filter((row) => row.outcome === outcome).length
  return {
    number,
    version,
    settled: having('settled'),
    recountDue: having('recount-due'),
    refused: having('refused'),
    unchanged: having('unchanged'),
    blank: having('blank'),
    rows: told
  }
}

/** An entry and the rows of the file that it is made of: several where lots are counted one by one. */
interface FileEntry {
  rows: EntryRow[]
  entry: CountEntry
}

function entriesOf(
  rows: EntryRow[],
  settled: ReadonlyMap<number, { counted: string; card: string }>,
  tell: Tell
): FileEntry[] {
  const groups = new Map<string, EntryRow[]>()
  for (const row of rows) {
    const { line, part, ownership, condition, counted, card, lot } = row.values
    const before = line == null ? undefined : settled.get(line)
    if (row.problems.length > 0) tell(row, 'refused', row.problems)
    else if (counted == null) tell(row, 'blank')
    else if (line == null && part == null)
      tell(row, 'refused', ['line and part are empty; say which line of the count it is, or which part'])
    else if (
      before !== undefined &&
      lot == null &&
      sameDecimal(before.counted, counted) &&
      sameDecimal(before.card, card ?? null)
    )
      tell(row, 'unchanged')
    else {
      const goods = String(line ?? JSON.stringify([part, ownership ?? 'own', condition ?? 'qualified']))
      const group = groups.get(goods) ?? []
      const [first] = group
      if (first !== undefined && (lot == null || first.values.lot == null))
        tell(row, 'refused', [`line ${first.line} of the file is about it already`])
      else if (first === undefined) groups.set(goods, [row])
      else group.push(row)
    }
  }
  return [...groups.values()].flatMap((group) => {
    const made = entryOf(group)
    if (typeof made !== 'string') return [{ rows: group, entry: made }]
    for (const row of group) tell(row, 'refused', [made])
    return []
  })
}

/** The largest quantity, in thousandths. */
const MOST = 999_999_999_999_999n

/** The entry that rows of one line make, or what is wrong with them. */
function entryOf(rows: EntryRow[]): CountEntry | string {
  const [first] = rows
  if (first === undefined) throw new Error('an entry has rows')
  const { line, part, ownership, condition, round } = first.values
  const cards = rows.flatMap(({ values }) => values.card ?? [])
  const [card] = cards
  if (card === undefined) return 'card is empty; it must be what the bin card says; write 0 where it says 0'
  if (cards.some((other) => !sameDecimal(other, card)))
    return 'the rows of one line say different cards; the bin card is of the whole line'
  if (rows.some(({ values }) => (values.round ?? null) !== (round ?? null)))
    return 'the rows of one line say different rounds; a line is counted once per round'
  const total = rows.reduce((sum, { values }) => sum + thousandths(values.counted ?? '0'), 0n)
  if (total > MOST) return `together the lots are ${decimal(total, 3)}; at most ${decimal(MOST, 3)} can be counted`
  const lots = rows.flatMap(({ values: { lot, counted } }) =>
    lot == null || counted == null ? [] : [{ lot, counted }]
  )
  return {
    ...(line != null && { line }),
    ...(round != null && { round }),
    ...(part != null && { part: withoutGuard(part) }),
    ...(ownership != null && { ownership }),
    ...(condition != null && { condition }),
    counted: decimal(total, 3),
    card,
    ...(lots.length > 0 && { lots })
  }
}
