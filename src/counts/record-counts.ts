import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { normalQuantity, thousandths } from '../platform/decimal.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { EACH_LINE_OF, lineTwice, lineUnknown, NOTED, problemOf } from './count-lines.ts'
import { lockCount, requireCounting, type LockedCount } from './count.ts'
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
  countedBy: number | null
  countedFor: number | null
}

// Line by line by a key: right after a count was opened the planner knows nothing of its lines.
const TARGETS = statement<Target>(`
select e.entry, l.line_no as line, part.number as part, l.ownership, l.condition, l.state, l.counted_by as "countedBy", l.counted_for as "countedFor"
  from jsonb_to_recordset($3::jsonb) as e (entry int, line int, part text, ownership text, condition text)
 cross join lateral (
   (select * from count_line where warehouse_id = $1 and count_id = $2 and line_no = e.line offset 0)
    union all
   (select c.* from part p
     cross join lateral (
       select * from count_line where warehouse_id = $1 and part_id = p.id and ownership = e.ownership and condition = e.condition and active offset 0) c
     where e.line is null and p.number = e.part and c.count_id = $2 offset 0)) l
  join part on part.id = l.part_id`)

// In key order, as postings lock them. The next statement sees what is on hand while nobody can change it.
const LOCK_BALANCES = statement<never>(`
select 1 from count_line l
  join balance b on b.warehouse_id = l.warehouse_id and b.part_id = l.part_id and b.ownership = l.ownership and b.condition = l.condition
 where l.warehouse_id = $1 and l.count_id = $2 and l.line_no = any ($3::int[])
 order by b.part_id, b.ownership, b.condition
   for share of b`)

/** Lots of the balances of some lines that hold something. */
const LOTS = statement<{ line: number; lots: string[] | null; known: string[] | null }>(`
select l.line_no as line,
       (select array_agg(lot.id::text order by lot.received_on, lot.id) from lot
         where lot.warehouse_id = l.warehouse_id and lot.part_id = l.part_id and lot.ownership = l.ownership and lot.condition = l.condition and not lot.exhausted) as lots,
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

/** Amounts are kept below this. What would be worth more is a slip of the pen, and must not stop the other entries. */
const MOST_WORTH = '10000000000000000'

// The balances are locked: what they and their lots hold is what was there at the position that is read here. What the
// tolerance allows is settled, what it does not is counted again by somebody else, and then it holds.
const RECORD = statement<{ line: number; outcome: 'settled' | 'recount-due'; version: number }>(`
with given as (
  select * from jsonb_to_recordset($7::jsonb) as e (line int, counted numeric, card numeric, counted_for int, lots jsonb)
), weighed as materialized (
  select g.*, l.part_id, l.ownership, l.condition, l.rounds, b.on_hand as expected, by_lot.figures, coalesce(t.percent, common.percent) as percent, coalesce(t.amount, common.amount) as amount,
         coalesce(by_lot.gain, greatest(g.counted - b.on_hand, 0)) as gain, coalesce(by_lot.loss, greatest(b.on_hand - g.counted, 0)) as loss,
         case when l.ownership = 'consigned' then 0 else coalesce(held.unit_cost, gone.unit_cost, part.standard_cost, 0) end as unit_value,
         case when by_lot.figures is not null then by_lot.value
              when g.counted < b.on_hand then -coalesce(oldest.value, 0)
              when l.ownership = 'consigned' or g.counted = b.on_hand then 0
              else round(coalesce(held.unit_cost, gone.unit_cost) * (g.counted - b.on_hand), 2) end as value
    from given g
   cross join lateral (select * from count_line where warehouse_id = $1 and count_id = $2 and line_no = g.line offset 0) l
    join balance b on b.warehouse_id = l.warehouse_id and b.part_id = l.part_id and b.ownership = l.ownership and b.condition = l.condition
    join part on part.id = l.part_id
    join count_tolerance common on common.criticality = '*'
    left join count_tolerance t on t.criticality = part.criticality
    ${LOT_CONCERNED}
    left join lateral (
      select jsonb_agg(jsonb_build_object('lot', n.lot, 'counted', trim_scale(n.counted)::text, 'expected', trim_scale(lot.on_hand)::text) order by lot.received_on, lot.id) as figures,
             sum(greatest(n.counted - lot.on_hand, 0)) as gain, sum(greatest(lot.on_hand - n.counted, 0)) as loss,
             sum(round(lot.unit_cost * (n.counted - lot.on_hand), 2)) as value
        from jsonb_to_recordset(g.lots) as n (lot text, counted numeric)
        join lot on lot.warehouse_id = $1 and lot.id = n.lot::bigint) by_lot on g.lots is not null
    left join lateral (
      select sum(round(f.unit_cost * least(f.on_hand, greatest(0, b.on_hand - g.counted - f.before)), 2)) as value
        from (select lot.unit_cost, lot.on_hand, sum(lot.on_hand) over (order by lot.received_on, lot.id) - lot.on_hand as before
                from lot
               where lot.warehouse_id = l.warehouse_id and lot.part_id = l.part_id and lot.ownership = l.ownership and lot.condition = l.condition and not lot.exhausted) f
     ) oldest on g.lots is null and g.counted < b.on_hand
), judged as materialized (
  select *, case when rounds = 0 and (greatest(gain, loss) > expected * percent / 100 or greatest(gain, loss) * unit_value > amount)
                 then 'recount-due' else 'settled' end as outcome
    from weighed
   where abs(coalesce(value, 0)) < ${MOST_WORTH} and greatest(gain, loss) * unit_value < ${MOST_WORTH}
), entered as (
  insert into count_entry (warehouse_id, count_id, line_no, round, counted, card, expected, position, lots, counted_by, counted_for, counted_at)
  select $1, $2, line, rounds + 1, counted, card, expected, ${POSITION}, figures, $4, counted_for, $3::timestamptz from judged order by line
), kept as (
  update count_line l
     set state = g.outcome, rounds = l.rounds + 1, counted_by = $4, counted_for = g.counted_for, counted_at = $3::timestamptz, objection = null,
         counted = case when g.outcome = 'settled' then g.counted end, card = case when g.outcome = 'settled' then g.card end,
         expected = case when g.outcome = 'settled' then g.expected end, lots = case when g.outcome = 'settled' then g.figures end,
         variance_value = case when g.outcome = 'settled' then g.value end${EACH_LINE_OF('judged')}
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
  const mayCount = counters(ctx, warehouse)
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

/** Who may count a line now, and for whom while standing in: the keeper first, then somebody else than who counted last (R-ORG-2). */
function counters(ctx: Context, warehouse: Warehouse): (target: Target) => number | null {
  return ({ line, part, state, countedBy, countedFor }) => {
    if (state === 'settled') {
      throw new Refusal(
        'LineSettled',
        409,
        `line ${line} (${part}) is settled; it is counted again when the finance supervisor does not accept it`
      )
    }
    if (state === 'set-aside')
      throw new Refusal('LineSetAside', 409, `line ${line} (${part}) is set aside; a count that follows has it again`)
    if (state === 'open') return requireDuty(ctx, 'keeper', warehouse).onBehalfOf
    const earlier = new Set([countedBy, countedFor])
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

/** Whoever counts by lot counts every lot that holds something; which lots these are is no secret, what they hold is. */
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
  return found.flatMap(({ line, lots, known }): [number, { code: string; detail: string }][] => {
    const named = accepted.get(line)?.lots?.map(({ lot }) => lot) ?? []
    const strange = named.filter((lot) => !(known ?? []).includes(lot))
    const missing = (lots ?? []).filter((lot) => !named.includes(lot))
    const listed = (some: string[]) =>
      `${some.slice(0, NAMED_OFFENDERS).join(', ')}${some.length > NAMED_OFFENDERS ? ` and ${some.length - NAMED_OFFENDERS} more` : ''}`
    if (strange.length > 0)
      return [
        [
          line,
          {
            code: 'LotOfOtherGoods',
            detail: `lot ${listed(strange)} is not of the goods of line ${line}; leave it away`
          }
        ]
      ]
    if (missing.length > 0)
      return [
        [
          line,
          {
            code: 'LotsMissing',
            detail: `line ${line} lacks lot ${listed(missing)}; count every lot of it, or the line as a whole`
          }
        ]
      ]
    return []
  })
}
