// The nightly computation of reorder levels at size. Prints one JSON line per figure.
//
// - `demand-full`, `demand-incremental`: the demand of warehouses with a ledger, from all movements, and from those of the last day.
// - `levels-first`: every level for the first time, by the same run with nothing in the place of the mathematics: the same series through
//   the same cursor, the same rows written by the same statement. With the memory of the process at each quarter.
// - `levels-again`: the night in which a month has begun, so that every series is a month longer and every level is computed and
//   overwritten, by the same floor.
// - `levels-unchanged`: a second run, which finds every digest as it should be. `levels-some`: the same after one balance in a hundred
//   was given another lead time.
// - `mathematics`: what one level costs by itself, in this process.
//
// Demand is of all classes: of ten parts one moves every month, two most months, four now and then, two seldom and much at once, one never.
//
// WAREHOUSES (4000), PARTS_PER_WAREHOUSE (250), MONTHS (36), LEDGER_WAREHOUSES (200) and PAIRS (2) may be set smaller. With DATABASE_URL
// the database it names is used, and must be empty; else an embedded one in a folder of its own.
import { Client } from 'pg'
import { pino } from 'pino'
import { systemActor } from '../src/identity/directory.ts'
import { entities } from '../src/orm.ts'
import { readConfig } from '../src/platform/config.ts'
import { openContext } from '../src/platform/context.ts'
import type { Context } from '../src/identity/actor.ts'
import { migrate, openDatabase } from '../src/platform/database.ts'
import { systemClock } from '../src/platform/clock.ts'
import { computeLevels, positionInputs, seriesOf, type ComputedLevels } from '../src/replenishment/compute-levels.ts'
import { refreshDemand } from '../src/replenishment/demand.ts'
import { levelOf, type Level } from '../src/replenishment/reorder-level.ts'
import { embedded } from './server.ts'

const WAREHOUSES = Number(process.env['WAREHOUSES'] ?? 4_000)
const PARTS_PER_WAREHOUSE = Number(process.env['PARTS_PER_WAREHOUSE'] ?? 250)
const MONTHS = Number(process.env['MONTHS'] ?? 36)
const LEDGER_WAREHOUSES = Math.min(WAREHOUSES, Number(process.env['LEDGER_WAREHOUSES'] ?? 200))
const PAIRS = Number(process.env['PAIRS'] ?? 2)
const PARTS = 20_000
const BALANCES = WAREHOUSES * PARTS_PER_WAREHOUSE
const config = readConfig({ JWT_SECRET: 'a secret for the benchmark, long enough' })
const clock = systemClock(config.BUSINESS_TIME_ZONE)
const THIS_MONTH = `'${clock.today().slice(0, 7)}-01'::date`
const FIRST_MONTH = `(${THIS_MONTH} - interval '${MONTHS} months')::date`

const round = (value: number, places = 2): number => Number(value.toFixed(places))
const print = (figure: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(figure)}\n`)
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
async function timed<Result>(work: () => Promise<Result>): Promise<{ seconds: number; result: Result }> {
  const begun = performance.now()
  const result = await work()
  return { seconds: (performance.now() - begun) / 1000, result }
}

/** From 0 to 1, the same at every run, of three numbers. */
const chance = (a: string, b: string, c: string): string =>
  `((hashint8((${a})::bigint * 1000003 + (${b})::bigint * 7919 + (${c})::bigint)::bigint & 2147483647) / 2147483648.0)`
const SOLD = `
  select b.warehouse_id, b.part_id, m.month::date as month,
         ceil(kind.size * -ln(1 - ${chance('b.warehouse_id', 'b.part_id', 'm.place * 2 + 1')}))::int as quantity
    from bench_balance b
   cross join lateral (select (array[0.95, 0.7, 0.7, 0.25, 0.25, 0.2, 0.2, 0.08, 0.08, 0])[1 + b.part_id % 10] as often,
                              (array[6, 4, 3, 2, 2, 1, 3, 20, 9, 0])[1 + b.part_id % 10] as size) kind
   cross join generate_series(${FIRST_MONTH}::timestamp, ${THIS_MONTH} - interval '1 month', interval '1 month') with ordinality as m (month, place)
   where ${chance('b.warehouse_id', 'b.part_id', 'm.place * 2')} < kind.often`
const FILL = [
  `insert into region (code, name) values ('R1', 'Region 1')`,
  `insert into warehouse (code, name, kind, region_id) select 'W' || lpad(i::text, 5, '0'), 'Warehouse ' || i, 'outlet', 1 from generate_series(1, ${WAREHOUSES}) as i order by i`,
  `insert into part (number, name, unit, standard_cost, criticality, lead_time_days, pack_size)
   select 'P-' || lpad(i::text, 5, '0'), 'Brake pad ' || i, 'piece', 10 + i % 90, (array['A', 'B', 'C', null])[1 + i % 4], (array[7, 21, 45, null])[1 + (i / 4) % 4], (array[1, null, 5, null])[1 + (i / 16) % 4]
     from generate_series(1, ${PARTS}) as i`,
  `create temp table bench_balance as
   select w.id as warehouse_id, (1 + (i::bigint * 79 + w.id * 31) % ${PARTS})::int as part_id from warehouse w cross join generate_series(1, ${PARTS_PER_WAREHOUSE}) as i`,
  `insert into balance (warehouse_id, part_id, ownership, condition, part_number, on_hand)
   select b.warehouse_id, b.part_id, 'own', 'qualified', part.number, case when b.warehouse_id <= ${LEDGER_WAREHOUSES} then 100000 else 10 end
     from bench_balance b join part on part.id = b.part_id order by 1, 2`,
  `create temp table bench_sold as select * from (${SOLD}) s where quantity > 0 order by 1, 2, 3`,
  `insert into demand select * from bench_sold where warehouse_id > ${LEDGER_WAREHOUSES}`,
  `insert into demand_recorded select warehouse_id, part_id, ${FIRST_MONTH} from bench_balance where warehouse_id > ${LEDGER_WAREHOUSES}`
]
// A slip per warehouse and month, and an opening slip before them.
const LEDGER = [
  `insert into slip (warehouse_id, number, kind, state, occurred_on, duties, preparers, prepared_at, posted_by, posted_at)
   select w.id, w.code || '-' || to_char(m, 'YYYYMM'), case when m = ${FIRST_MONTH} - 1 then 'opening' else 'issue' end, 'posted', m::date, '{department-head,operations-supervisor,finance-supervisor}', '{0}', m, 0, m
     from warehouse w
    cross join (select ${FIRST_MONTH} - 1 as m union all select generate_series(${FIRST_MONTH}::timestamp, ${THIS_MONTH} - interval '1 month', interval '1 month')::date) months
    where w.id <= ${LEDGER_WAREHOUSES}`,
  `create temp table bench_line as
   select s.warehouse_id, s.id as slip_id, s.occurred_on, row_number() over (partition by s.warehouse_id, s.id order by l.part_id)::int as line_no, l.part_id, l.quantity
     from slip s
     join (select warehouse_id, part_id, ${FIRST_MONTH} - 1 as day, 200000 as quantity from bench_balance
            union all
           select warehouse_id, part_id, month, -quantity from bench_sold) l on l.warehouse_id = s.warehouse_id and l.day = s.occurred_on`,
  `insert into slip_line (warehouse_id, slip_id, line_no, part_id, quantity, unit, unit_quantity, ownership, condition)
   select warehouse_id, slip_id, line_no, part_id, quantity, 'piece', abs(quantity), 'own', 'qualified' from bench_line`,
  `insert into lot (warehouse_id, part_id, ownership, condition, received_on, opened_on, aged_from, unit_cost, quantity_in, cost_in, charge_in, on_hand, last_moved_on)
   select warehouse_id, part_id, 'own', 'qualified', ${FIRST_MONTH} - 1, ${FIRST_MONTH} - 1, date_trunc('month', (${FIRST_MONTH} - 1)::timestamp)::date, 0, 200000, 0, 0, 100000, ${THIS_MONTH}
     from bench_balance where warehouse_id <= ${LEDGER_WAREHOUSES}`,
  `insert into movement (warehouse_id, slip_id, line_no, lot_id, part_id, ownership, condition, quantity, occurred_on, posted_at, cost, charge, on_hand_after)
   select b.warehouse_id, b.slip_id, b.line_no, lot.id, b.part_id, 'own', 'qualified', b.quantity, b.occurred_on, b.occurred_on + interval '4 hours', 0, 0, 1
     from bench_line b join lot on lot.warehouse_id = b.warehouse_id and lot.part_id = b.part_id order by b.occurred_on, b.warehouse_id, b.line_no`
]

async function fill(sql: Client): Promise<void> {
  const { seconds } = await timed(async () => {
    for (const text of FILL) await sql.query(text)
    for (let month = -1; month <= MONTHS; month++)
      await sql.query(`select ensure_movement_partition((${FIRST_MONTH} + make_interval(months => $1))::date)`, [month])
    for (const text of LEDGER) await sql.query(text)
    await sql.query('drop table bench_line, bench_sold, bench_balance')
    await sql.query('vacuum analyze')
    await sql.query('checkpoint')
  })
  const { rows } = await sql.query(
    `select (select count(*) from balance)::int as balances, (select count(*) from demand)::int as "monthsWithDemand", (select count(*) from movement)::int as movements`
  )
  print({ figure: 'filled', ...rows[0], warehouses: WAREHOUSES, months: MONTHS, seconds: round(seconds, 1) })
}

async function demandFromLedger(ctx: Context, sql: Client): Promise<void> {
  const { rows } = await sql.query<{ n: number }>('select count(*)::int as n from movement')
  const movements = rows[0]?.n ?? 0
  const full = await timed(() => refreshDemand(ctx, { full: true }))
  print({
    figure: 'demand-full',
    movements,
    seconds: round(full.seconds, 1),
    movementsPerSecond: round(movements / full.seconds, 0),
    ...full.result
  })
  const incremental = await timed(() => refreshDemand(ctx))
  print({ figure: 'demand-incremental', seconds: round(incremental.seconds), ...incremental.result })
}

const NOTHING: Level = {
  reorderPoint: '1',
  orderUpTo: '2',
  demandClass: 'lumpy',
  adi: 1.5,
  cv2: 0.75,
  method: 'sba',
  monthlyMean: 1.23456789,
  monthlyVariance: 2.3456789,
  leadTimeMean: 1.23456789,
  leadTimeVariance: 2.3456789,
  distribution: 'negative-binomial',
  achieved: 0.956789
}

interface Run {
  seconds: number
  result: ComputedLevels
  residentMiB: number[]
}

/** A computation, with the memory of this process at each quarter. */
async function measured(
  ctx: Context,
  { full = false, level = levelOf }: { full?: boolean; level?: typeof levelOf } = {}
) {
  const residentMiB: number[] = []
  const taken = await timed(() =>
    computeLevels(ctx, {
      full,
      level,
      progress: async (done, total = 0) => {
        while (residentMiB.length < 4 && done >= ((residentMiB.length + 1) * total) / 4)
          residentMiB.push(round(process.memoryUsage.rss() / 2 ** 20, 0))
      }
    })
  )
  return { ...taken, residentMiB } satisfies Run
}

/** As often as `PAIRS` says, once with and once without the mathematics, from the same state. */
async function paired(
  figure: string,
  { sql, ctx, prepare }: { sql: Client; ctx: Context; prepare: string }
): Promise<void> {
  const runs: Run[] = []
  const floors: Run[] = []
  for (let pair = 0; pair < PAIRS; pair++) {
    for (const [into, level] of [
      [floors, () => NOTHING],
      [runs, levelOf]
    ] as const) {
      await sql.query(prepare)
      await sql.query('vacuum analyze reorder_level')
      await sql.query('checkpoint')
      into.push(await measured(ctx, { level }))
    }
  }
  const seconds = median(runs.map((run) => run.seconds))
  print({
    figure,
    balances: BALANCES,
    ratio: round(median(runs.map((run, pair) => run.seconds / (floors[pair]?.seconds ?? 1)))),
    levelsPerSecond: round(BALANCES / seconds, 0),
    seconds: runs.map((run) => round(run.seconds, 1)),
    floorSeconds: floors.map((run) => round(run.seconds, 1)),
    residentMiBAtQuarters: runs.at(-1)?.residentMiB,
    written: runs.map(({ result }) => result.written),
    failed: runs.map(({ result }) => result.failed)
  })
}

/** The mathematics alone, on the series of some warehouses. */
async function mathematics(ctx: Context): Promise<void> {
  const positions = []
  const ids = Array.from({ length: Math.min(80, WAREHOUSES) }, (_, place) => place + 1)
  for await (const position of positionInputs(ctx, ids, { full: true })) positions.push(position)
  const series = positions.map((position) => seriesOf(position))
  const begun = performance.now()
  for (const [place, { leadTimeDays, packSize, measure, level }] of positions.entries())
    levelOf(series[place] ?? [], { leadTimeDays, packSize, target: { measure, level: Number(level) } })
  const microseconds = ((performance.now() - begun) * 1000) / positions.length
  print({ figure: 'mathematics', levels: positions.length, microsecondsPerLevel: round(microseconds, 1) })
}

async function main(): Promise<void> {
  await using closing = new AsyncDisposableStack()
  const url = process.env['DATABASE_URL'] ?? (await embedded(closing))
  const database = await openDatabase({ url, entities, poolSize: 6 })
  closing.defer(() => database.close())
  await migrate(database)
  const sql = new Client({ connectionString: url })
  await sql.connect()
  closing.defer(() => sql.end())
  await fill(sql)
  const ctx = openContext({ database, clock, config }, systemActor, pino({ level: 'silent' }))
  await demandFromLedger(ctx, sql)
  await sql.query('vacuum analyze demand')
  await mathematics(ctx)
  await paired('levels-first', { sql, ctx, prepare: 'truncate reorder_level' })
  await paired('levels-again', { sql, ctx, prepare: 'update reorder_level set digest = gen_random_uuid()' })
  const second = await measured(ctx)
  print({
    figure: 'levels-unchanged',
    balances: BALANCES,
    seconds: round(second.seconds, 1),
    balancesPerSecond: round(BALANCES / second.seconds, 0),
    written: second.result.written
  })
  await sql.query('update part set lead_time_days = 33 where id % 100 = 7')
  const some = await measured(ctx)
  print({ figure: 'levels-some', balances: BALANCES, seconds: round(some.seconds, 1), written: some.result.written })
}

await main()
