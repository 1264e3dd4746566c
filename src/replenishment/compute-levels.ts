// The levels in force of every position, computed every night (R-ORD-1).
//
// What it does: brings the demand up to the ledger, reads the series of every part and warehouse through a cursor, a few dozen thousand
// positions at a time, computes the level of each in this process, and writes them back in batches.
// Definitions it uses:
// - A position is a part in a warehouse that has a balance, a policy, a level, or demand of a part that it replaces.
// - Its series are the months from the first movement on, or of the part it replaces, up to the last one that is over, at most HISTORY_MONTHS.
// - Lead time: of the policy, else of the part, else DEFAULT_LEAD_TIME_DAYS. Service: of the policy, else of the criticality class.
// - A fixed policy goes before what is computed up to the day it expires, and both are kept. Nothing is kept of a part that is replaced
//   one way or no longer bought, and nothing in a warehouse that is closed.
// What it does not do: propose or raise an alert. It publishes `reorder-levels.computed` if any level was written.
// A second run changes nothing: the database makes a digest of all inputs of a position, and where it is the one stored beside the level
// nothing is read, computed or written. So a run that was killed is gone on with, and a night after a quiet day costs a scan.
import type { Context } from '../identity/actor.ts'
import { rowsOf } from '../platform/csv.ts'
import { run, statement, type Statement } from '../platform/database.ts'
import { publish } from '../platform/outbox.ts'
import { refreshDemand } from './demand.ts'
import { DAYS_PER_MONTH, levelOf } from './reorder-level.ts'
import { replacedParts } from './supersession.ts'

/** How many months of a series are looked at: five years. */
export const HISTORY_MONTHS = 60

/** Part of every digest: a change of the mathematics computes everything anew. */
const FORMULA = '1'

/** About how many positions one statement reads; between two, old rows can be cleaned up. */
const POSITIONS_AT_ONCE = 50_000
const ROWS_AT_ONCE = 2_000

/** What the level of a position is computed from, as the database sends it. */
export interface PositionInputs {
  warehouseId: number
  partId: number
  /** The first month of the series, `2025-03-01`; null where nothing was ever recorded. */
  seriesFrom: string | null
  /** Months without a gap from `seriesFrom` up to before `seriesUntil`. */
  months: number
  /** `days:quantity`, comma between: the months that are no zeros, by the days from the first one to them; null if there is none. */
  demand: string | null
  leadTimeDays: number
  leadTimeFrom: 'policy' | 'part' | 'default'
  packSize: string | null
  measure: 'cycle-service' | 'fill-rate'
  level: string
  targetFrom: 'policy' | 'criticality' | 'default'
  minimum: string | null
  maximum: string | null
  nothingBecause: 'superseded' | 'inactive' | 'warehouse-closed' | null
  digest: string
  /** Of the level that is there. */
  was: string | null
}

// Each `offset 0` keeps the planner from working the same thing out once for every place it is named in.
// $1 today, $2 the default lead time, $3 warehouses, $4 parts or null for all, $5 whether also those that are as they should be. The months are those of the business time zone.
const INPUTS = `
with recursive ${replacedParts('$1::date')}, members as materialized (
  select target_id, array_agg(part_id order by part_id) as parts, array_agg(factor order by part_id) as factors from replaced group by target_id
), position as (
  select warehouse_id, part_id from balance where warehouse_id = any ($3::int[]) and ($4::int[] is null or part_id = any ($4))
   union
  select warehouse_id, part_id from reorder_policy where warehouse_id = any ($3::int[]) and ($4::int[] is null or part_id = any ($4))
   union
  select warehouse_id, part_id from reorder_level where warehouse_id = any ($3::int[]) and ($4::int[] is null or part_id = any ($4))
   union
  select r.warehouse_id, replaced.target_id
    from replaced join demand_recorded r on r.part_id = replaced.part_id
   where r.warehouse_id = any ($3::int[]) and ($4::int[] is null or replaced.target_id = any ($4))
)
select i.warehouse_id as "warehouseId", i.part_id as "partId", i.series_from::text as "seriesFrom", i.months, i.demand,
       i.lead_time_days as "leadTimeDays", i.lead_time_from as "leadTimeFrom", i.pack_size as "packSize", i.measure, i.level, i.target_from as "targetFrom",
       i.minimum, i.maximum, i.nothing_because as "nothingBecause", i.digest::text as digest, l.digest::text as was
  from (
    select p.*, md5(concat_ws('|', '${FORMULA}', p.series_from, p.months, p.demand, p.lead_time_days, p.lead_time_from, 'pack', p.pack_size, p.measure, p.level, p.target_from,
                              'fixed', p.minimum, p.maximum, p.nothing_because))::uuid as digest
      from (
        select position.warehouse_id, position.part_id, series.series_from,
               coalesce(month_index($1::date) - month_index(series.series_from), 0) as months, asked.demand,
               greatest(1, coalesce(policy.lead_time_days, part.lead_time_days, $2::int)) as lead_time_days,
               case when policy.lead_time_days is not null then 'policy' when part.lead_time_days is not null then 'part' else 'default' end as lead_time_from,
               trim_scale(coalesce(policy.pack_size, part.pack_size))::text as pack_size,
               coalesce(policy.measure, target.measure) as measure, trim_scale(coalesce(policy.level, target.level))::text as level,
               case when policy.measure is not null then 'policy' when part.criticality is not null then 'criticality' else 'default' end as target_from,
               case when policy.kind = 'fixed' then trim_scale(policy.minimum)::text end as minimum, case when policy.kind = 'fixed' then trim_scale(policy.maximum)::text end as maximum,
               case when warehouse.closed_on <= $1::date then 'warehouse-closed' when own.part_id is not null then 'superseded' when not part.active then 'inactive' end as nothing_because
          from position
          join part on part.id = position.part_id
          join warehouse on warehouse.id = position.warehouse_id
          join service_target target on target.criticality = coalesce(part.criticality, '*')
          left join reorder_policy policy on policy.warehouse_id = position.warehouse_id and policy.part_id = position.part_id
                                         and (policy.expires_on is null or policy.expires_on >= $1::date)
          left join replaced own on own.part_id = position.part_id
          left join members on members.target_id = position.part_id
         cross join lateral (
           -- Nothing of what was never recorded: greatest would pass over a null.
           select case when min(r.since) is not null then greatest(date_trunc('month', min(r.since)::timestamp), date_trunc('month', $1::date::timestamp) - interval '${HISTORY_MONTHS} months')::date end as series_from
             from demand_recorded r
            where r.warehouse_id = position.warehouse_id and r.part_id = any (position.part_id || members.parts)) series
         cross join lateral (
           -- Along the key where the part has its own demand alone, which is nearly always.
           select case when members.target_id is null
                       then (select string_agg((d.month - series.series_from) || ':' || trim_scale(d.quantity), ',' order by d.month)
                               from demand d
                              where d.warehouse_id = position.warehouse_id and d.part_id = position.part_id
                                and d.month >= series.series_from and d.month < date_trunc('month', $1::date::timestamp)::date)
                       else (select string_agg((d.month - series.series_from) || ':' || trim_scale(d.quantity), ',' order by d.month)
                               from (select month, sum(demand.quantity * member.factor) as quantity
                                       from unnest(position.part_id || members.parts, 1::numeric || members.factors) as member (part_id, factor)
                                       join demand on demand.warehouse_id = position.warehouse_id and demand.part_id = member.part_id
                                      where demand.month >= series.series_from and demand.month < date_trunc('month', $1::date::timestamp)::date
                                      group by month) d)
                  end as demand
           offset 0) asked
      ) p
     offset 0
  ) i
  left join reorder_level l on l.warehouse_id = i.warehouse_id and l.part_id = i.part_id
 where $5 or l.digest is distinct from i.digest`

/** A row of `reorder_level`, column by column. */
interface LevelRow {
  warehouse_id: number
  part_id: number
  reorder_point: string
  order_up_to: string
  basis: 'fixed' | 'computed'
  nothing_because: PositionInputs['nothingBecause']
  computed_reorder_point: string | null
  computed_order_up_to: string | null
  demand_class: string | null
  adi: number | null
  cv2: number | null
  method: string | null
  monthly_mean: number | null
  monthly_variance: number | null
  lead_time_mean: number | null
  lead_time_variance: number | null
  distribution: string | null
  achieved: number | null
  measure: string
  level: string
  target_from: string
  lead_time_days: number
  lead_time_from: string
  pack_size: string | null
  series_from: string | null
  digest: string
  was: string | null
}
const TYPES: Record<keyof LevelRow, string> = {
  warehouse_id: 'int',
  part_id: 'int',
  reorder_point: 'numeric',
  order_up_to: 'numeric',
  basis: 'text',
  nothing_because: 'text',
  computed_reorder_point: 'numeric',
  computed_order_up_to: 'numeric',
  demand_class: 'text',
  adi: 'float8',
  cv2: 'float8',
  method: 'text',
  monthly_mean: 'float8',
  monthly_variance: 'float8',
  lead_time_mean: 'float8',
  lead_time_variance: 'float8',
  distribution: 'text',
  achieved: 'float8',
  measure: 'text',
  level: 'numeric',
  target_from: 'text',
  lead_time_days: 'int',
  lead_time_from: 'text',
  pack_size: 'numeric',
  series_from: 'date',
  digest: 'uuid',
  was: 'uuid'
}
const GIVEN = Object.keys(TYPES) as (keyof LevelRow)[]
const STORED = GIVEN.filter((column) => column !== 'was')

const GIVEN_ROWS = `
with given as materialized (
  select * from unnest(${GIVEN.map((column, place) => `$${place + 3}::${TYPES[column]}[]`).join(', ')}) as e (${GIVEN.join(', ')})
)`
const WRITTEN = [...STORED, 'series_until', 'computed_at']
const ROWS = `insert into reorder_level (${WRITTEN.join(', ')}) select ${STORED.join(', ')}, $1::date, $2::timestamptz from given`
const setTo = (value: (column: string) => string): string =>
  WRITTEN.slice(2)
    .map((column) => `${column} = ${value(column)}`)
    .join(', ')

// What was computed from inputs that somebody has changed since is dropped: the level is no longer the one that was read. Whoever changed
// them computed it anew in the same transaction.
const WRITE = statement<{ written: number }>(`
${GIVEN_ROWS}, dated as (
  select given.*, $1::date as series_until, $2::timestamptz as computed_at from given
), updated as (
  update reorder_level l set ${setTo((column) => `dated.${column}`)}
    from dated
   where l.warehouse_id = dated.warehouse_id and l.part_id = dated.part_id and l.digest is not distinct from dated.was
  returning 1
), inserted as (
  ${ROWS} where was is null
  on conflict (warehouse_id, part_id) do nothing
  returning 1
)
select (select count(*)::int from updated) + (select count(*)::int from inserted) as written`)

// Over whatever the night wrote meanwhile, which had not seen what was changed here.
const WRITE_OVER = statement<never>(`
${GIVEN_ROWS}
${ROWS}
on conflict (warehouse_id, part_id) do update set ${setTo((column) => `excluded.${column}`)}`)

/** The months of a position as `levelOf` takes them, oldest first. From one month’s first day to another’s there are whole months, give or take two days. */
export function seriesOf({ months, demand }: Pick<PositionInputs, 'months' | 'demand'>): number[] {
  const series = Array.from<number>({ length: months }).fill(0)
  if (demand === null) return series
  for (const month of demand.split(',')) {
    const colon = month.indexOf(':')
    series[Math.round(Number(month.slice(0, colon)) / DAYS_PER_MONTH)] = Number(month.slice(colon + 1))
  }
  return series
}

function rowOf(inputs: PositionInputs, level: typeof levelOf = levelOf): LevelRow {
  const { warehouseId, partId, nothingBecause, minimum, maximum } = inputs
  const computed =
    nothingBecause === null
      ? level(seriesOf(inputs), {
          leadTimeDays: inputs.leadTimeDays,
          packSize: inputs.packSize,
          target: { measure: inputs.measure, level: Number(inputs.level) }
        })
      : undefined
  const isFixed = nothingBecause === null && minimum !== null
  return {
    warehouse_id: warehouseId,
    part_id: partId,
    reorder_point: (isFixed ? minimum : computed?.reorderPoint) ?? '0',
    order_up_to: (isFixed ? maximum : computed?.orderUpTo) ?? '0',
    basis: isFixed ? 'fixed' : 'computed',
    nothing_because: nothingBecause,
    computed_reorder_point: computed?.reorderPoint ?? null,
    computed_order_up_to: computed?.orderUpTo ?? null,
    demand_class: computed?.demandClass ?? null,
    adi: computed?.adi ?? null,
    cv2: computed?.cv2 ?? null,
    method: computed?.method ?? null,
    monthly_mean: computed?.monthlyMean ?? null,
    monthly_variance: computed?.monthlyVariance ?? null,
    lead_time_mean: computed?.leadTimeMean ?? null,
    lead_time_variance: computed?.leadTimeVariance ?? null,
    distribution: computed?.distribution ?? null,
    achieved: computed?.achieved ?? null,
    measure: inputs.measure,
    level: inputs.level,
    target_from: inputs.targetFrom,
    lead_time_days: inputs.leadTimeDays,
    lead_time_from: inputs.leadTimeFrom,
    pack_size: inputs.packSize,
    series_from: inputs.seriesFrom,
    digest: inputs.digest,
    was: inputs.was
  }
}

/** Quantities have up to twelve digits; one level with more would stop all that are written with it. */
const TOO_LARGE = 1e12

/** The levels of what was read; a position that cannot be computed is logged and keeps the level it has. */
function rowsComputed(ctx: Context, read: readonly PositionInputs[], level: typeof levelOf): LevelRow[] {
  return read.flatMap((position) => {
    try {
      const row = rowOf(position, level)
      if (!(Number(row.order_up_to) < TOO_LARGE && Number(row.computed_order_up_to) < TOO_LARGE))
        throw new Error(`an order-up-to level of ${row.computed_order_up_to} is larger than any quantity`)
      return [row]
    } catch (error) {
      const { warehouseId, partId } = position
      ctx.log.error({ err: error, warehouseId, partId }, 'the reorder level of a position could not be computed')
      return []
    }
  })
}

const valuesOf = (ctx: Context, rows: readonly LevelRow[]): unknown[] => [
  `${ctx.clock.today().slice(0, 7)}-01`,
  ctx.clock.now().toString(),
  ...GIVEN.map((column) => rows.map((row) => row[column]))
]

async function write(ctx: Context, rows: readonly LevelRow[]): Promise<number> {
  const [done] = await run(ctx, WRITE, valuesOf(ctx, rows))
  return done?.written ?? 0
}

const inputsOf = (
  ctx: Context,
  warehouseIds: readonly number[],
  { partIds = null, full = false }: { partIds?: readonly number[] | null; full?: boolean } = {}
): unknown[] => [ctx.clock.today(), ctx.config.DEFAULT_LEAD_TIME_DAYS, warehouseIds, partIds, full]

const OF_POSITION: Statement<PositionInputs> = { text: INPUTS }

/** Computes the level of one position at once, in the transaction of whoever changed what it depends on. */
export async function computeLevel(
  ctx: Context,
  { warehouseId, partId }: { warehouseId: number; partId: number }
): Promise<void> {
  const read = await run(ctx, OF_POSITION, inputsOf(ctx, [warehouseId], { partIds: [partId] }))
  const rows = read.map((position) => rowOf(position))
  await run(ctx, WRITE_OVER, valuesOf(ctx, rows))
}

const SIZES = statement<{ id: number; balances: number }>(`
select warehouse.id, count(balance.warehouse_id)::int as balances
  from warehouse left join balance on balance.warehouse_id = warehouse.id
 group by warehouse.id order by warehouse.id`)

/** Warehouses that one statement reads together, with the balances in them. */
function* chunksOf(sizes: readonly { id: number; balances: number }[]): Generator<{ ids: number[]; balances: number }> {
  let chunk = { ids: [] as number[], balances: 0 }
  for (const { id, balances } of sizes) {
    if (chunk.ids.length > 0 && chunk.balances + balances > POSITIONS_AT_ONCE) {
      yield chunk
      chunk = { ids: [], balances: 0 }
    }
    chunk.ids.push(id)
    chunk.balances += balances
  }
  if (chunk.ids.length > 0) yield chunk
}

export interface ComputedLevels {
  /** Balances that were gone through. */
  balances: number
  /** Levels that were written; all others were as they should be. */
  written: number
  /** Positions whose level could not be computed, which the log names. */
  failed: number
  demand: { full: boolean; written: number; removed: number }
}

/**
 * Brings demand and levels up to date in every warehouse.
 * @param full computes everything, whether or not something changed
 * @param progress is told how many of how many balances are done
 * @param level what computes one; a benchmark measures what all the rest costs
 */
export async function computeLevels(
  ctx: Context,
  {
    full = false,
    progress = async () => undefined,
    level = levelOf
  }: {
    full?: boolean | undefined
    progress?: (done: number, total?: number) => Promise<void>
    level?: typeof levelOf
  } = {}
): Promise<ComputedLevels> {
  const demand = await refreshDemand(ctx, { full })
  const sizes = await run(ctx, SIZES, [])
  const total = sizes.reduce((sum, { balances }) => sum + balances, 0)
  const done: ComputedLevels = { balances: 0, written: 0, failed: 0, demand }
  await progress(0, total)
  for (const { ids, balances } of chunksOf(sizes)) {
    let within = 0
    for await (const { read, written, failed } of computedIn(ctx, ids, { full, level })) {
      done.written += written
      done.failed += failed
      within += read
      await progress(done.balances + Math.min(within, balances), total)
    }
    done.balances += balances
    await progress(done.balances, total)
  }
  if (done.written > 0) await publish(ctx, [{ subject: 'reorder-levels', event: 'reorder-levels.computed' }])
  return done
}

/**
 * What the levels of warehouses are computed from, through a cursor.
 * @param full also those whose level is as it should be
 */
export const positionInputs = (
  ctx: Context,
  warehouseIds: readonly number[],
  { full }: { full: boolean }
): AsyncGenerator<PositionInputs> =>
  rowsOf<PositionInputs>(ctx, INPUTS, inputsOf(ctx, warehouseIds, { full }), ROWS_AT_ONCE)

interface Batch {
  read: number
  written: number
  failed: number
}

/** While the database writes a batch, the next one is read and computed. */
async function* computedIn(
  ctx: Context,
  warehouseIds: readonly number[],
  { full, level }: { full: boolean; level: typeof levelOf }
): AsyncGenerator<Batch> {
  let writing: Promise<Batch> | undefined
  for await (const read of batchesOf(ctx, warehouseIds, full)) {
    const rows = rowsComputed(ctx, read, level)
    if (writing !== undefined) yield await writing
    writing = write(ctx, rows).then((written) => ({ read: read.length, written, failed: read.length - rows.length }))
    // It is awaited after the next batch is read; until then nobody else would hear of its failure.
    writing.catch(() => undefined)
  }
  if (writing !== undefined) yield await writing
}

async function* batchesOf(
  ctx: Context,
  warehouseIds: readonly number[],
  full: boolean
): AsyncGenerator<PositionInputs[]> {
  let batch: PositionInputs[] = []
  for await (const position of positionInputs(ctx, warehouseIds, { full })) {
    batch.push(position)
    if (batch.length < ROWS_AT_ONCE) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
