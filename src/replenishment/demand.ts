// Monthly demand per part and warehouse, from the ledger.
//
// What it does: brings `demand` up to what the movements say, cell by cell (warehouse, part, month), set-based.
// Definitions it uses:
// - Demand is what was issued or sold, own and consigned, less what came back of it and less reversals of either. Transfers, adjustments,
//   loans, scrap, returns to suppliers and opening stock are none: nobody at the counter asked for them.
// - It belongs to the month in which the goods were issued. What comes back later lessens that month, not the one in which it came.
// - A month whose goods all came back has no row. Before the first movement of a part in a warehouse nothing is recorded, which is not
//   the same as nothing asked for (`demand_recorded`); after it a month without a row is a zero.
// - The current month is written like any other. It is not complete, so no forecast takes it.
// What it does not do: join the demand of a replaced part to its successor. That depends on the day and is done where levels are computed.
// A second run finds every cell as it should be and writes nothing: cells are computed anew from all their movements, never added to.
import { requireSight, type Context } from '../identity/actor.ts'
import { instant } from '../platform/clock.ts'
import { inTransaction } from '../platform/context.ts'
import { NO_TIME_LIMIT, run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import type { DemandSeriesView } from './reorder.schemas.ts'
import { replacedParts } from './supersession.ts'

// The day on which the goods of a movement were issued; null if it is no demand. A return is of an issue or a sale, a reversal of any
// slip but a reversal, so two steps lead back to it.
const ISSUED_ON = `case when s.kind in ('issue', 'sale') then s.occurred_on
                        when s.kind in ('return', 'reversal') and source.kind in ('issue', 'sale') then source.occurred_on
                        when s.kind = 'reversal' and source.kind = 'return' then origin.occurred_on end`
const WITH_SLIPS = `
      join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
      left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
      left join slip origin on origin.warehouse_id = source.warehouse_id and origin.id = source.source_slip_id`

interface Refreshed {
  written: number
  removed: number
  /** Of the newest movement that was looked at. */
  postedThrough: string | null
}

/**
 * The statement: `not in`, because it is always looked up in a hash; how many rows a CTE has, the planner does not know. The least of all
 * months is asked for once more, because the planner then leaves out the partitions before it.
 * @param seen the movements that may have changed something
 * @param moved all movements of the cells that are computed anew: those of a touched part from `since` on. Nothing that belongs to a month
 *   is dated before it
 * @param since the month from which the cells of a touched part are computed anew
 */
const refresh = ({ seen, moved, since }: { seen: string; moved: string; since: string }): string => `
with seen as materialized (${seen}), touched as materialized (
  select m.warehouse_id, m.part_id, ${since} as since
    from seen m ${WITH_SLIPS}
   where ${ISSUED_ON} is not null
   group by m.warehouse_id, m.part_id
), fresh as materialized (
  select m.warehouse_id, m.part_id, date_trunc('month', issued.day::timestamp)::date as month, -sum(m.quantity) as quantity
    from (${moved}) m ${WITH_SLIPS}
   cross join lateral (select ${ISSUED_ON} as day) issued
   where issued.day >= m.since
   group by 1, 2, 3
  having -sum(m.quantity) > 0
), removed as (
  delete from demand d using touched t
   where d.warehouse_id = t.warehouse_id and d.part_id = t.part_id and d.month >= t.since
     and (d.warehouse_id, d.part_id, d.month) not in (select warehouse_id, part_id, month from fresh)
  returning 1
), written as (
  insert into demand (warehouse_id, part_id, month, quantity) select warehouse_id, part_id, month, quantity from fresh
  on conflict (warehouse_id, part_id, month) do update set quantity = excluded.quantity where demand.quantity <> excluded.quantity
  returning 1
), recorded as (
  insert into demand_recorded (warehouse_id, part_id, since) select warehouse_id, part_id, min(occurred_on) from seen group by 1, 2
  on conflict (warehouse_id, part_id) do update set since = excluded.since where demand_recorded.since > excluded.since
  returning 1
)
select (select count(*)::int from written) + (select count(*)::int from recorded) as written, (select count(*)::int from removed) as removed,
       (select max(posted_at) from seen) as "postedThrough"`

const SEEN = 'select m.warehouse_id, m.part_id, m.slip_id, m.quantity, m.occurred_on, m.posted_at from movement m'
const EVER = `'0001-01-01'::date`
const OF_WAREHOUSE = statement<Refreshed>(
  refresh({
    seen: `${SEEN} where m.warehouse_id = $1`,
    moved: `select seen.*, ${EVER} as since from seen`,
    since: EVER
  })
)
const SINCE = statement<Refreshed>(
  refresh({
    seen: `${SEEN} where m.posted_at >= $1::timestamptz`,
    moved: `select m.warehouse_id, m.part_id, m.slip_id, m.quantity, t.since
              from touched t
              join movement m on m.warehouse_id = t.warehouse_id and m.part_id = t.part_id and m.occurred_on >= t.since
             where m.occurred_on >= (select min(since) from touched)`,
    since: `date_trunc('month', min(${ISSUED_ON})::timestamp)::date`
  })
)

const WAREHOUSES = statement<{ id: number }>(`select id from warehouse order by id`)

// Two refreshes at once would compute from different snapshots; the later writer must be the later reader.
const LOCK = statement<never>(`select pg_advisory_xact_lock(7305010)`)

interface Note {
  /** Instant of the newest movement that is in the demand. */
  postedThrough: string
  /** The month in which everything was last read. */
  fullIn: string
}
const READ_NOTE = statement<{ value: Note }>(`select value from setting where name = 'demand'`)
const WRITE_NOTE = statement<never>(
  `insert into setting (name, value) values ('demand', $1::jsonb) on conflict (name) do update set value = excluded.value`
)

/** What was posted in so long a time before is read again: a transaction that was open then has ended since. */
const OVERLAP = { hours: 24 }

/**
 * Brings the demand up to the ledger, with what was posted since the last time. The first run of a month reads everything, and would
 * find what another had missed.
 * @param full reads everything
 * @param since reads what was posted from this instant on
 * @returns how many rows of demand were written and removed
 */
export async function refreshDemand(
  ctx: Context,
  { full = false, since }: { full?: boolean | undefined; since?: string | undefined } = {}
): Promise<{ full: boolean; written: number; removed: number }> {
  const [noted] = await run(ctx, READ_NOTE, [])
  const month = ctx.clock.today().slice(0, 7)
  const isFull = full || (since === undefined && noted?.value.fullIn !== month)
  const from = since ?? (noted === undefined ? undefined : lookedAgain(ctx, noted.value))
  const results = isFull || from === undefined ? await ofEveryWarehouse(ctx) : [await refreshed(ctx, SINCE, from)]
  const through = results
    .flatMap(({ postedThrough }) => postedThrough ?? [])
    .concat(noted?.value.postedThrough ?? [])
    .toSorted(Temporal.Instant.compare)
    .at(-1)
  if (through !== undefined) {
    const note: Note = { postedThrough: through, fullIn: isFull ? month : (noted?.value.fullIn ?? month) }
    await run(ctx, WRITE_NOTE, [JSON.stringify(note)])
  }
  return {
    full: isFull,
    written: results.reduce((sum, { written }) => sum + written, 0),
    removed: results.reduce((sum, { removed }) => sum + removed, 0)
  }
}

/** From when on postings are read again; a clock that was set back does not hide what was posted since. */
function lookedAgain(ctx: Context, { postedThrough }: Note): string {
  const [from = ctx.clock.now()] = [Temporal.Instant.from(postedThrough), ctx.clock.now()].toSorted(
    Temporal.Instant.compare
  )
  return from.subtract(OVERLAP).toString()
}

/** One transaction a warehouse, so that memory and locks stay small. */
async function ofEveryWarehouse(ctx: Context): Promise<Refreshed[]> {
  const results: Refreshed[] = []
  for (const { id } of await run(ctx, WAREHOUSES, [])) results.push(await refreshed(ctx, OF_WAREHOUSE, id))
  return results
}

const refreshed = (ctx: Context, text: typeof SINCE, value: unknown): Promise<Refreshed> =>
  inTransaction(ctx, async (inner) => {
    await run(inner, NO_TIME_LIMIT, [])
    await run(inner, LOCK, [])
    const [done] = await run(inner, text, [value])
    if (done === undefined) throw new Error('a count is always one row')
    return { ...done, postedThrough: done.postedThrough === null ? null : instant(done.postedThrough) }
  })

// $1 warehouse, $2 part, $3 today. Months without demand are zeros from the first movement on, also of a part that is replaced.
const SERIES = statement<Omit<DemandSeriesView, 'warehouse' | 'part'>>(`
with recursive ${replacedParts('$3::date')}, member as materialized (
  select $2::int as part_id, 1::numeric as factor
   union all
  select part_id, factor from replaced where target_id = $2
), asked as (
  select d.month, sum(d.quantity * member.factor) as quantity, sum(d.quantity) filter (where d.part_id = $2) as own
    from member join demand d on d.warehouse_id = $1 and d.part_id = member.part_id
   group by d.month
), recorded as (
  select date_trunc('month', min(r.since)::timestamp)::date as since
    from member join demand_recorded r on r.warehouse_id = $1 and r.part_id = member.part_id
)
select part.unit, to_char(recorded.since, 'YYYY-MM') as "recordedFrom",
       (select json_build_object('part', target.number, 'factor', trim_scale(replaced.factor)::text)
          from replaced join part target on target.id = replaced.target_id where replaced.part_id = $2) as "replacedBy",
       coalesce((select json_agg(json_build_object('part', old.number, 'factor', trim_scale(replaced.factor)::text) order by old.number)
                   from replaced join part old on old.id = replaced.part_id where replaced.target_id = $2), '[]') as replaces,
       coalesce((select json_agg(json_build_object('month', to_char(m.month, 'YYYY-MM'), 'quantity', trim_scale(round(coalesce(asked.quantity, 0), 3))::text,
                                                   'own', trim_scale(coalesce(asked.own, 0))::text, 'isComplete', m.month < date_trunc('month', $3::date::timestamp)) order by m.month)
                   from generate_series(recorded.since::timestamp, date_trunc('month', $3::date::timestamp), interval '1 month') as m (month)
                   left join asked on asked.month = m.month), '[]') as months
  from part cross join recorded
 where part.id = $2`)

const PART_ID = statement<{ id: number }>(`select id from part where number = $1`)

/**
 * The demand of a part in a warehouse by month, as levels are computed from it: with that of the parts it replaces.
 * @throws Refusal 404
 */
export async function readDemand(
  ctx: Context,
  { warehouse: code, part }: { warehouse: string; part: string }
): Promise<DemandSeriesView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  const [known] = await run(ctx, PART_ID, [part])
  if (known === undefined) throw notFound('part', part)
  const [series] = await run(ctx, SERIES, [warehouse.id, known.id, ctx.clock.today()])
  if (series === undefined) throw new Error(`part ${part} was there a moment ago`)
  return { warehouse: code, part, ...series }
}
