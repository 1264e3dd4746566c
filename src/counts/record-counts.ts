import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { normalQuantity, thousandths } from '../platform/decimal.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { EACH_LINE_OF, lineTwice, lineUnknown, NOTED, problemOf } from './count-lines.ts'
import { countersOf, lockCount, requireCounting, type LockedCount } from './count.ts'
import type { CountEntry, CountLineState, EntryResult, RecordCountsResult } from './counts.schemas.ts'
import { POSITION } from './open-count.ts'

/** Who counts: the keeper first, any of these again. */
export const COUNTING_DUTIES: readonly Duty[] = ['keeper', 'department-head', 'operations-supervisor', 'technician']

interface Target {
  entry: number
  line: number
  part: string
  ownership: Ownership
  condition: Condition
  state: CountLineState
  rounds: number
  /** Who counted the balance before, and whom they stood in for. */
  counters: number[]
}

// Line by line by a key: right after a count was opened the planner knows nothing of its lines.
const TARGETS = statement<Target>(`
select e.entry, l.line_no as line, part.number as part, l.ownership, l.condition, l.state, l.rounds, ${countersOf('l')} as counters
  from jsonb_to_recordset($3::jsonb) as e (entry int, line int, part text, ownership text, condition text)
 cross join lateral (
   (select * from count_line where warehouse_id = $1 and count_id = $2 and line_no = e.line offset 0)
    union all
   (select c.* from part p
     cross join lateral (
       select * from count_line where warehouse_id = $1 and part_id = p.id and ownership = e.ownership and condition = e.condition and active offset 0) c
     where e.line is null and p.number = e.part and c.count_id = $2 offset 0)) l
 cross join lateral (select number from part where id = l.part_id offset 0) part`)

// In key order, as postings lock them, and one by one by their key. The next statement sees what is on hand while nobody can change it.
const LOCK_BALANCES = statement<never>(`
select 1
  from (select l.part_id, l.ownership, l.condition
          from unnest($3::int[]) as asked (line)
         cross join lateral (select * from count_line where warehouse_id = $1 and count_id = $2 and line_no = asked.line offset 0) l
         order by l.part_id, l.ownership, l.condition offset 0) l
 cross join lateral (
   select 1 from balance b where b.warehouse_id = $1 and b.part_id = l.part_id and b.ownership = l.ownership and b.condition = l.condition for share) held`)

/** Of the lots that entries name, those of the balance of their line. */
const LOTS = statement<{ line: number; known: string[] | null }>(`
select l.line_no as line,
       (select array_agg(lot.id::text) from lot
         where lot.warehouse_id = l.warehouse_id and lot.id = any (e.named::bigint[])
           and lot.part_id = l.part_id and lot.ownership = l.ownership and lot.condition = l.condition) as known
  from jsonb_to_recordset($3::jsonb) as e (line int, named text[])
  cross join lateral (select * from count_line where warehouse_id = $1 and count_id = $2 and line_no = e.line offset 0) l`)

/**
 * The lot that found goods of a balance `l` belong to, as SQL: the oldest on hand, else the one that moved last. The second is
 * looked for only where there is no first.
 */
export const LOT_CONCERNED = `
  left join lateral (
    select lot.unit_cost, lot.received_on, lot.id from lot
     where lot.warehouse_id = l.warehouse_id and lot.part_id = l.part_id and lot.ownership = l.ownership and lot.condition = l.condition and not lot.exhausted
     order by lot.received_on, lot.id limit 1) held on true
  left join lateral (
    select lot.unit_cost, lot.received_on, lot.id
      from (select m.lot_id from movement m
             where held.id is null and m.warehouse_id = l.warehouse_id and m.part_id = l.part_id and m.ownership = l.ownership and m.condition = l.condition
             order by m.occurred_on desc, m.id desc limit 1) last
      join lot on lot.warehouse_id = l.warehouse_id and lot.id = last.lot_id) gone on true`

/**
 * Amounts are kept below this. What was counted and would be worth more is a slip of the pen, and must not stop the other entries;
 * what is lost is written down as that much at most.
 */
const MOST_WORTH = '10000000000000000'

// The balances are locked: what they and their lots hold is what was there at the position that is read here. What the
// tolerance allows is settled, what it does not is counted again by somebody else, and then it holds. A lot that holds something
// and is not named was not found: saying so would tell that it should be there. Whether an entry is too large is judged by
// what was counted alone: judged by its difference, the refusal would tell what is expected (R-CNT-2).
// Every look-up is by a key: right after a count was opened the planner knows nothing of its lines.
const RECORD = statement<{ line: number; outcome: 'settled' | 'recount-due'; version: number }>(`
with given as (
  select * from jsonb_to_recordset($7::jsonb) as e (line int, counted numeric, card numeric, counted_for int, lots jsonb)
), weighed as materialized (
  select g.*, l.part_id, l.ownership, l.condition, l.rounds, b.on_hand as expected, by_lot.figures, coalesce(t.percent, common.percent) as percent, coalesce(t.amount, common.amount) as amount,
         l.must_verify, coalesce(by_lot.lacks, false) as lacks, coalesce(by_lot.differs, false) as lots_differ,
         coalesce(by_lot.worth, case when l.ownership = 'consigned' then 0 else coalesce(held.unit_cost, gone.unit_cost, part.standard_cost, 0) * g.counted end) as worth,
         coalesce(by_lot.gain, greatest(g.counted - b.on_hand, 0)) as gain, coalesce(by_lot.loss, greatest(b.on_hand - g.counted, 0)) as loss,
         case when l.ownership = 'consigned' then 0 else coalesce(held.unit_cost, gone.unit_cost, part.standard_cost, 0) end as unit_value,
         case when by_lot.figures is null and g.counted > b.on_hand then coalesce(held.id, gone.id) end as gain_lot,
         case when by_lot.figures is not null then by_lot.value
              when g.counted < b.on_hand then -coalesce(oldest.value, 0)
              when l.ownership = 'consigned' or g.counted = b.on_hand then 0
              else round(coalesce(held.unit_cost, gone.unit_cost) * (g.counted - b.on_hand), 2) end as value
    from given g
   cross join lateral (select * from count_line where warehouse_id = $1 and count_id = $2 and line_no = g.line offset 0) l
   cross join lateral (
     select on_hand from balance where warehouse_id = $1 and part_id = l.part_id and ownership = l.ownership and condition = l.condition offset 0) b
   cross join lateral (select criticality, standard_cost from part where id = l.part_id offset 0) part
   cross join lateral (select percent, amount from count_tolerance where criticality = '*' offset 0) common
    left join lateral (select percent, amount from count_tolerance where criticality = part.criticality offset 0) t on true
    ${LOT_CONCERNED}
    left join lateral (
      select jsonb_agg(jsonb_build_object('lot', n.id::text, 'counted', trim_scale(n.counted)::text, 'expected', trim_scale(n.on_hand)::text) order by n.received_on, n.id) as figures,
             sum(greatest(n.counted - n.on_hand, 0)) as gain, sum(greatest(n.on_hand - n.counted, 0)) as loss, sum(n.unit_cost * n.counted) as worth,
             sum(round(n.unit_cost * (n.counted - n.on_hand), 2)) as value, bool_or(n.counted <> n.on_hand) as differs, bool_or(n.is_missing) as lacks
        from (select lot.id, lot.received_on, lot.unit_cost, lot.on_hand, named.counted, false as is_missing
                from jsonb_to_recordset(g.lots) as named (lot text, counted numeric)
               cross join lateral (select * from lot where warehouse_id = $1 and id = named.lot::bigint offset 0) lot
               union all
              select lot.id, lot.received_on, lot.unit_cost, lot.on_hand, 0, true
                from lot
               where lot.warehouse_id = l.warehouse_id and lot.part_id = l.part_id and lot.ownership = l.ownership and lot.condition = l.condition and not lot.exhausted
                 and not exists (select 1 from jsonb_to_recordset(g.lots) as named (lot text) where named.lot = lot.id::text)) n) by_lot on g.lots is not null
    left join lateral (
      select sum(round(f.unit_cost * least(f.on_hand, greatest(0, b.on_hand - g.counted - f.before)), 2)) as value
        from (select lot.unit_cost, lot.on_hand, sum(lot.on_hand) over (order by lot.received_on, lot.id) - lot.on_hand as before
                from lot
               where lot.warehouse_id = l.warehouse_id and lot.part_id = l.part_id and lot.ownership = l.ownership and lot.condition = l.condition and not lot.exhausted) f
     ) oldest on g.lots is null and g.counted < b.on_hand
), judged as materialized (
  select w.*, case when rounds = 0 and (lacks or greatest(gain, loss) > expected * percent / 100 or greatest(gain, loss) * unit_value > amount)
                   then 'recount-due' else 'settled' end as outcome,
         must_verify or coalesce(earlier.disagrees, false) as disputed
    from weighed w
    left join lateral (
      select bool_or((e.counted - e.expected, e.card - e.expected) is distinct from (w.counted - w.expected, w.card - w.expected)
                     or coalesce(e.lots @? '$[*] ? (@.counted != @.expected)', false) is distinct from w.lots_differ) as disagrees
        from count_entry e
       where e.warehouse_id = $1 and e.count_id = $2 and e.line_no = w.line) earlier on w.rounds > 0
   where worth < ${MOST_WORTH}
), entered as (
  insert into count_entry (warehouse_id, count_id, line_no, round, counted, card, expected, position, lots, counted_by, counted_for, counted_at)
  select $1, $2, line, rounds + 1, counted, card, expected, ${POSITION}, figures, $4, counted_for, $3::timestamptz from judged order by line
), kept as (
  update count_line l
     set state = g.outcome, rounds = l.rounds + 1, counted_by = $4, counted_for = g.counted_for, counted_at = $3::timestamptz, must_verify = g.disputed,
         counted = case when g.outcome = 'settled' then g.counted end, card = case when g.outcome = 'settled' then g.card end,
         expected = case when g.outcome = 'settled' then g.expected end, lots = case when g.outcome = 'settled' then g.figures end,
         gain_lot = case when g.outcome = 'settled' then g.gain_lot end,
         variance_value = case when g.outcome = 'settled' then case when g.value <= -${MOST_WORTH} then -${MOST_WORTH} + 0.01 else g.value end end${EACH_LINE_OF('judged')}
), ${NOTED('judged')}
select j.line, j.outcome, v.version from judged j cross join versioned v`)

/**
 * Enters what was counted, without knowing what the ledger holds (R-CNT-2). The keeper counts first; where tolerance is
 * exceeded somebody else counts again, and that holds. What is expected is what is on hand at the moment of the entry.
 * @returns what became of each entry; a refused one stops none of the others, and none says a figure
 * @throws Refusal `CountNotOpen`, 403, 404, 412
 */
export function recordCounts(
  ctx: Context,
  { number, entries, ifMatch }: { number: string; entries: readonly CountEntry[]; ifMatch?: string | undefined }
): Promise<RecordCountsResult> {
  return inTransaction(ctx, async (inner) => {
    const { count, warehouse } = await lockCount(inner, number, {
      mayWrite: (place) => requireDuty(inner, COUNTING_DUTIES, place),
      ifMatch
    })
    requireCounting(count)
    const { accepted, results } = await decideEntries(inner, { count, warehouse, entries })
    const lines = [...accepted.keys()]
    await run(inner, LOCK_BALANCES, [warehouse.id, count.id, lines])
    for (const [line, problem] of await lotProblems(inner, { count, warehouse, accepted })) {
      const result = results[accepted.get(line)?.entry ?? 0]
      if (result !== undefined) Object.assign(result, { outcome: 'refused', problem })
      accepted.delete(line)
    }
    const recorded =
      accepted.size === 0
        ? []
        : await run(inner, RECORD, [
            warehouse.id,
            count.id,
            inner.clock.now().toString(),
            inner.actor.personId,
            'counted',
            JSON.stringify({ lines: accepted.size }),
            JSON.stringify(
              [...accepted.values()].map(({ line, counted, card, countedFor, lots }) => ({
                line,
                counted,
                card,
                counted_for: countedFor,
                lots
              }))
            )
          ])
    const outcomes = new Map(recorded.map(({ line, outcome }) => [line, outcome]))
    for (const { line, entry } of accepted.values()) {
      const outcome = outcomes.get(line)
      Object.assign(
        results[entry] ?? {},
        outcome === undefined ? { outcome: 'refused', problem: tooMuch(line) } : { outcome }
      )
    }
    const having = (outcome: EntryResult['outcome']) => results.filter((result) => result.outcome === outcome).length
    return {
      number,
      version: recorded[0]?.version ?? count.version,
      settled: having('settled'),
      recountDue: having('recount-due'),
      refused: having('refused'),
      results
    }
  })
}

const tooMuch = (line: number) => ({
  code: 'NumberTooLarge',
  detail: `so much of line ${line} would be worth more than can be kept; look at what was counted again`
})

interface Accepted {
  entry: number
  line: number
  counted: string
  card: string
  countedFor: number | null
  lots: { lot: string; counted: string }[] | null
}

async function decideEntries(
  ctx: Context,
  { count, warehouse, entries }: { count: LockedCount; warehouse: Warehouse; entries: readonly CountEntry[] }
): Promise<{ accepted: Map<number, Accepted>; results: EntryResult[] }> {
  const targets = new Map(
    (
      await run(ctx, TARGETS, [
        warehouse.id,
        count.id,
        JSON.stringify(
          entries.map(({ line, part, ownership = 'own', condition = 'qualified' }, entry) => ({
            entry,
            line,
            part,
            ownership,
            condition
          }))
        )
      ])
    ).map((target) => [target.entry, target])
  )
  const accepted = new Map<number, Accepted>()
  const mayCount = countersOfNow(ctx, warehouse)
  const results = entries.map((given, entry): EntryResult => {
    const target = targets.get(entry)
    const problem = problemOf(() => {
      if (given.line === undefined && given.part === undefined)
        throw new Refusal('LineMissing', 422, 'say which line was counted: its number, or the part')
      if (target === undefined)
        throw given.line === undefined ? partNotCounted(count, given) : lineUnknown(count.number, given.line)
      requireSameGoods(target, given)
      if (accepted.has(target.line)) throw lineTwice(target.line)
      const countedFor = mayCount(target)
      requireRound(target, given.round)
      const lots = given.lots ?? null
      if (lots !== null) requireSum(target, given.counted, lots)
      accepted.set(target.line, {
        entry,
        line: target.line,
        counted: given.counted,
        card: given.card,
        countedFor,
        lots: lots?.map(({ lot, counted }) => ({ lot, counted: normalQuantity(counted) })) ?? null
      })
    })
    return {
      line: target?.line ?? given.line ?? null,
      part: target?.part ?? given.part ?? null,
      // What is accepted is judged by the statement that writes it.
      outcome: problem === null ? 'settled' : 'refused',
      problem
    }
  })
  return { accepted, results }
}

const partNotCounted = (
  count: LockedCount,
  { part, ownership = 'own', condition = 'qualified' }: CountEntry
): Refusal =>
  new Refusal(
    'CountLineUnknown',
    422,
    `count ${count.number} has no line for ${part} ${ownership} ${condition}; goods that were found are added as a line first`
  )

/** A line number with a part beside it: they must mean the same goods, or one of them was misread. */
function requireSameGoods(target: Target, given: CountEntry): void {
  const isOther =
    (given.part !== undefined && given.part !== target.part) ||
    (given.ownership !== undefined && given.ownership !== target.ownership) ||
    (given.condition !== undefined && given.condition !== target.condition)
  if (!isOther) return
  throw new Refusal(
    'LineIsOfOtherGoods',
    422,
    `line ${target.line} is ${target.part} ${target.ownership} ${target.condition}; say the right line, or leave it away`
  )
}

/**
 * Who may count a line now, and for whom while standing in: the keeper first, then somebody else than whoever counted it in any
 * earlier round, or in the count that left it over (R-ORG-2).
 */
function countersOfNow(ctx: Context, warehouse: Warehouse): (target: Target) => number | null {
  return ({ line, part, state, counters }) => {
    if (state === 'settled') {
      throw new Refusal(
        'LineSettled',
        409,
        `line ${line} (${part}) is settled; it is counted again when the finance supervisor does not accept it`
      )
    }
    if (state === 'set-aside')
      throw new Refusal('LineSetAside', 409, `line ${line} (${part}) is set aside; a count that follows has it again`)
    if (state === 'open' && counters.length === 0) return requireDuty(ctx, 'keeper', warehouse).onBehalfOf
    const earlier = new Set(counters)
    const isFree = (id: number | null) => id === null || !earlier.has(id)
    const { onBehalfOf } = requireDuty(ctx, COUNTING_DUTIES, warehouse, (grant) => isFree(grant.onBehalfOf))
    if (!isFree(ctx.actor.personId) || !isFree(onBehalfOf)) {
      throw new Refusal(
        'SamePersonCounted',
        409,
        `line ${line} (${part}) is counted again by somebody else than who counted it before: another keeper, the department head, the operations supervisor or a technician`
      )
    }
    return onBehalfOf
  }
}

/** Two who send the same list at once: the second one is told, and is not taken for the recount. */
function requireRound({ line, part, rounds }: Target, round: number | undefined): void {
  if (round === undefined || round === rounds + 1) return
  throw new Refusal(
    'OtherRound',
    409,
    `line ${line} (${part}) is at round ${rounds + 1}, not ${round}: somebody has counted it; fetch the lines again and count what is still asked for`
  )
}

function requireSum({ line, part }: Target, counted: string, lots: readonly { lot: string; counted: string }[]): void {
  if (new Set(lots.map(({ lot }) => lot)).size < lots.length)
    throw new Refusal('LotTwice', 422, `a lot stands twice on line ${line} (${part}); say each lot once`)
  const sum = lots.reduce((total, lot) => total + thousandths(lot.counted), 0n)
  if (sum === thousandths(counted)) return
  throw new Refusal(
    'LotsDoNotSum',
    422,
    `the lots of line ${line} (${part}) together are not what was counted; add them up again`
  )
}

/** Whoever counts by lot names lots of these goods; a lot that is left away was not found. */
async function lotProblems(
  ctx: Context,
  { count, warehouse, accepted }: { count: LockedCount; warehouse: Warehouse; accepted: ReadonlyMap<number, Accepted> }
): Promise<[number, { code: string; detail: string }][]> {
  const byLot = [...accepted.values()].filter(({ lots }) => lots !== null)
  if (byLot.length === 0) return []
  const found = await run(ctx, LOTS, [
    warehouse.id,
    count.id,
    JSON.stringify(byLot.map(({ line, lots }) => ({ line, named: lots?.map(({ lot }) => lot) })))
  ])
  return found.flatMap(({ line, known }): [number, { code: string; detail: string }][] => {
    const named = accepted.get(line)?.lots?.map(({ lot }) => lot) ?? []
    const strange = named.filter((lot) => !(known ?? []).includes(lot))
    if (strange.length === 0) return []
    const listed = `${strange.slice(0, NAMED_OFFENDERS).join(', ')}${strange.length > NAMED_OFFENDERS ? ` and ${strange.length - NAMED_OFFENDERS} more` : ''}`
    return [
      [line, { code: 'LotOfOtherGoods', detail: `lot ${listed} is not of the goods of line ${line}; leave it away` }]
    ]
  })
}
