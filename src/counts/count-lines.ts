import { requireDuty, type Context, type WarehouseRef } from '../identity/actor.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { ADJUSTS, countersOf, DIFFERS, TO_VERIFY, type LockedCount } from './count.ts'
import type { CountLineState, LineResult, LineResults } from './counts.schemas.ts'

/** What deciding about a line needs. */
export interface LineFacts {
  line: number
  part: string
  ownership: Ownership
  condition: Condition
  state: CountLineState
  differs: boolean
  /** It would change the ledger; where it is false, at most the card is off. */
  isAdjusted: boolean
  /** The finance supervisor verifies it. */
  needsVerification: boolean
  /** Of a settled line; text with sign. */
  variance: string | null
  isByLot: boolean
  cause: string | null
  /** Who counted it in any round, and whom they stood in for. */
  counters: number[]
  /** Who ever explained it, and whom they stood in for. */
  explainers: number[]
  /** A lot of this balance was there when a gain was counted, or had been: it has its cost and age. */
  hasLot: boolean
}

const FACTS = statement<LineFacts>(`
select l.line_no as line, part.number as part, l.ownership, l.condition, l.state, coalesce(${DIFFERS}, false) as differs, coalesce(${ADJUSTS}, false) as "isAdjusted",
       trim_scale(l.counted - l.expected)::text as variance, l.lots is not null as "isByLot", l.cause,
       coalesce(${TO_VERIFY}, false) as "needsVerification", ${countersOf('l')} as counters, l.explainers,
       l.gain_lot is not null as "hasLot"
  from count_line l join part on part.id = l.part_id
 where l.warehouse_id = $1 and l.count_id = $2 and l.line_no = any ($3::int[])`)

/**
 * Decides line by line; one that is refused holds up none of the others.
 * @param decide throws the refusal of a line
 * @returns the lines that may be written, and the results without them being written yet
 */
export async function decideLines<Asked extends { line: number }>(
  ctx: Context,
  { count, warehouseId, asked }: { count: LockedCount; warehouseId: number; asked: readonly Asked[] },
  decide: (line: LineFacts, asked: Asked) => void
): Promise<{ accepted: { asked: Asked; facts: LineFacts }[]; results: LineResult[] }> {
  const facts = new Map(
    (await run(ctx, FACTS, [warehouseId, count.id, asked.map(({ line }) => line)])).map((line) => [line.line, line])
  )
  const accepted = new Map<number, { asked: Asked; facts: LineFacts }>()
  const results = asked.map((given): LineResult => {
    const problem = problemOf(() => {
      const line = facts.get(given.line)
      if (line === undefined) throw lineUnknown(count.number, given.line)
      if (accepted.has(given.line)) throw lineTwice(given.line)
      decide(line, given)
      accepted.set(given.line, { asked: given, facts: line })
    })
    return { line: given.line, problem }
  })
  return { accepted: [...accepted.values()], results }
}

/** The answer of a verb that worked line by line. */
export const lineResults = (number: string, version: number, results: LineResult[]): LineResults => {
  const refused = results.filter(({ problem }) => problem !== null).length
  return { number, version, done: results.length - refused, refused, results }
}

/** What a decision refuses, as an answer about one line. */
export function problemOf(decide: () => void): { code: string; detail: string } | null {
  try {
    decide()
    return null
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { code: error.code, detail: error.message }
  }
}

export const lineUnknown = (number: string, line: number): Refusal =>
  new Refusal('CountLineUnknown', 422, `count ${number} has no line ${line}; its lines are listed at /lines`)

export const lineTwice = (line: number): Refusal =>
  new Refusal('LineTwice', 422, `line ${line} stands twice in this call; the first one holds`)

/** @throws Refusal 409 `LineNotSettled` */
export function requireSettled({ line, part, state }: LineFacts, instead: string): void {
  if (state === 'settled') return
  throw new Refusal('LineNotSettled', 409, `line ${line} (${part}) is ${state}; ${instead}`)
}

/**
 * Whoever decides about a line for finance is a person, and neither counted nor explained it in any round, nor stands in for
 * somebody who did (R-ORG-2).
 * @throws Refusal 422 `VerifierNotIndependent`, 403
 */
export function requireIndependent(
  ctx: Context,
  { line, part, counters, explainers }: LineFacts,
  { warehouse, instead }: { warehouse: WarehouseRef; instead: string }
): void {
  const wrote = new Set([...counters, ...explainers])
  const isFree = (id: number | null) => id === null || !wrote.has(id)
  const { onBehalfOf } = requireDuty(ctx, 'finance-supervisor', warehouse, (grant) => isFree(grant.onBehalfOf))
  if (isFree(ctx.actor.personId) && isFree(onBehalfOf)) return
  throw new Refusal(
    'VerifierNotIndependent',
    422,
    `line ${line} (${part}) was counted or explained by you, or by whom you stand in for; another finance supervisor ${instead}`
  )
}

/** @throws Refusal 403 `PersonMustSign` */
export function requirePerson({ actor }: Context, never: string): void {
  if (actor.isMachine) throw new Refusal('PersonMustSign', 403, `an API key never ${never}; sign in as a person`)
}

/** @throws Refusal 409 `NothingDiffers` */
export function requireDifference({ line, part, differs }: LineFacts): void {
  if (differs) return
  throw new Refusal('NothingDiffers', 409, `on line ${line} (${part}) ledger, card and goods agree; leave it away`)
}

/**
 * Lines `l` that the rows of `given` name, as the end of an update. Line by line by the key: right after a count was opened the
 * planner knows nothing of its lines and would compare each with each.
 */
export const EACH_LINE_OF = (given: string): string => `
    from ${given} g
   cross join lateral (select ctid from count_line where warehouse_id = $1 and count_id = $2 and line_no = g.line offset 0) place
   where l.ctid = place.ctid`

/**
 * The version goes up with every write, and the history says what was done, never what was counted. The first three values
 * are warehouse, count and instant, the fourth who, the fifth and sixth the event and its details.
 */
export const NOTED = (changed: string) => `
versioned as (
  update stock_count set version = version + 1 where warehouse_id = $1 and id = $2 and exists (select 1 from ${changed}) returning version
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, $2, $3::timestamptz, $4::int, $5::text, $6::jsonb from versioned
)`
