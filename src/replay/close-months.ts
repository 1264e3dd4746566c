// Ends a month as a warehouse does (R-CNT-1 to R-CNT-4, R-FIN-1): on the first day of the next one, before its first slip, the
// keeper counts every balance blind and submits, three people sign, and finance closes. What is counted is what the source says
// and what is owed, never what the service says: a count that comes out is a proof.
// It cannot meet the owed goods: they are handed out by a slip of the day on which goods come in, so nothing is dated back.
import { listCountLines, readCount } from '../counts/counts.queries.ts'
import { MAX_ENTRIES, type CountEntry, type CountLineView, type EntryResult } from '../counts/counts.schemas.ts'
import { openCount } from '../counts/open-count.ts'
import { recordCounts } from '../counts/record-counts.ts'
import { signCount } from '../counts/sign-count.ts'
import { submitCount } from '../counts/submit-count.ts'
import type { Context } from '../identity/actor.ts'
import { decimal } from '../platform/decimal.ts'
import { closePeriod } from '../valuation/close-period.ts'
import type { Product } from './ledger-folder.ts'

/** Who signs a count, head office last. */
export const COUNT_SIGNERS = ['finance-supervisor', 'department-head', 'stock-controller'] as const

/** The people that end a month. */
export interface MonthEndPeople {
  keeper: Context
  signers: { duty: (typeof COUNT_SIGNERS)[number]; ctx: Context }[]
  /** Counts again what did not come out. */
  recounter: Context
  finance: Context
}

export interface ClosedMonth {
  month: string
  /** Number of the count. */
  count: string
  /** Balances that were counted, all of which came out. */
  lines: number
  countSeconds: number
  closeSeconds: number
}

/** A count that does not come out: the ledger is not what the source says. */
export class CountDiffers extends Error {
  readonly differences: string[]

  constructor(message: string, differences: string[]) {
    super(message)
    this.name = 'CountDiffers'
    this.differences = differences
  }
}

/**
 * Counts and closes a month; the clock stands behind it.
 * @param there what must be on the shelves, in thousandths
 * @throws CountDiffers, and whatever the service refuses
 */
export async function closeMonth(
  people: MonthEndPeople,
  { warehouse, month, there }: { warehouse: string; month: string; there: ReadonlyMap<Product, bigint> }
): Promise<ClosedMonth> {
  const { keeper, signers, finance } = people
  const began = performance.now()
  const { number } = await openCount(keeper, { warehouse, kind: 'month-end', period: month })
  const entries = [...there]
    .filter(([, quantity]) => quantity > 0n)
    .map(([{ part }, quantity]) => entryOf({ part }, decimal(quantity, 3)))
  const refused = (await enter(keeper, number, entries)).filter(({ outcome }) => outcome === 'refused')
  const { lines, settled, differences } = (await readCount(keeper, { number })).progress
  if (refused.length > 0 || settled < lines || differences > 0)
    throw new CountDiffers(
      `the count ${number} of ${month} does not come out`,
      await whatDiffers(people, { number, entries, refused })
    )
  await submitCount(keeper, { number })
  for (const { duty, ctx } of signers) await signCount(ctx, { number, duty, decision: 'approve' })
  const counted = performance.now()
  await closePeriod(finance, { warehouse, period: month })
  return {
    month,
    count: number,
    lines,
    countSeconds: (counted - began) / 1000,
    closeSeconds: (performance.now() - counted) / 1000
  }
}

const entryOf = (of: Pick<CountEntry, 'line' | 'part'>, counted: string): CountEntry => ({
  ...of,
  counted,
  card: counted
})

async function enter(ctx: Context, number: string, entries: CountEntry[]): Promise<EntryResult[]> {
  const results: EntryResult[] = []
  for (let start = 0; start < entries.length; start += MAX_ENTRIES) {
    const some = entries.slice(start, start + MAX_ENTRIES)
    results.push(...(await recordCounts(ctx, { number, entries: some })).results)
  }
  return results
}

/** Only a settled line says what the ledger has. So what nobody expected is counted as nothing, and what is off once more by another. */
async function whatDiffers(
  { keeper, recounter }: MonthEndPeople,
  { number, entries, refused }: { number: string; entries: CountEntry[]; refused: EntryResult[] }
): Promise<string[]> {
  const counted = new Map(entries.map((entry) => [entry.part, entry.counted]))
  const enterAll = async (ctx: Context, state: 'open' | 'recount-due') => {
    const lines = await linesOf(keeper, { number, state })
    await enter(
      ctx,
      number,
      lines.map(({ line, part }) => entryOf({ line }, counted.get(part) ?? '0'))
    )
  }
  await enterAll(keeper, 'open')
  await enterAll(recounter, 'recount-due')
  return [
    ...(await linesOf(keeper, { number, differs: true })).map(
      ({ part, counted: found, expected }) => `${part}: counted ${found}, ${expected} by the ledger`
    ),
    ...refused.map(({ part, problem }) => `${part}: counted ${counted.get(part ?? '')}, ${problem?.detail}`)
  ]
}

async function linesOf(
  ctx: Context,
  of: { number: string; state?: 'open' | 'recount-due'; differs?: boolean }
): Promise<CountLineView[]> {
  const lines: CountLineView[] = []
  let cursor: string | undefined
  do {
    const page = await listCountLines(ctx, { ...of, limit: 200, cursor })
    lines.push(...page.items)
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined)
  return lines
}
