// Loaner units at size. Prints one JSON line per figure.
//
// - `scan-by-serial`: what is scanned at the counter (state, place, loan, reservation, last events) of units drawn at random, through the verb,
//   by the look-up of one row by its key through the same pool, interleaved. `ratio` is how many such look-ups a scan takes, the median over
//   pairs of rounds. `shelf` are units on the shelf, `out` those on loan, `unknown` numbers that nobody has.
// - `overdue-sweep`: the rule `loaner-overdue` over all loans, which raises an alert for each that is overdue, by a floor that writes the same
//   rows (alert, history, outbox) from a table that holds them ready. `overdue-again` is a second run, which changes nothing.
//
// UNITS (1000000), LOANS (200000) and SCANS (400) may be set smaller. With DATABASE_URL the database it names is used, and must be empty; else
// an embedded one in a folder of its own.
import { Client } from 'pg'
import { pino } from 'pino'
import { reconcileAll } from '../src/alerts/reconcile.ts'
import { systemActor } from '../src/identity/directory.ts'
import { readLoaner } from '../src/loaners/loaner.ts'
import { entities } from '../src/orm.ts'
import { systemClock } from '../src/platform/clock.ts'
import { readConfig } from '../src/platform/config.ts'
import { openContext } from '../src/platform/context.ts'
import type { Context } from '../src/identity/actor.ts'
import { migrate, openDatabase, run, statement } from '../src/platform/database.ts'
import { Refusal } from '../src/platform/errors.ts'
import { embedded } from './server.ts'

const UNITS = Number(process.env['UNITS'] ?? 1_000_000)
const LOANS = Math.min(UNITS, Number(process.env['LOANS'] ?? 200_000))
const SCANS = Number(process.env['SCANS'] ?? 400)
const ROUNDS = 8
const WAREHOUSES = 4_000
const MODELS = 40
const config = readConfig({ JWT_SECRET: 'a secret for the benchmark, long enough' })
const clock = systemClock(config.BUSINESS_TIME_ZONE)
const TODAY = `'${clock.today()}'::date`

const round = (value: number, places = 2): number => Number(value.toFixed(places))
const print = (figure: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(figure)}\n`)
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
const percentile = (values: number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? 0

// One slip brought all units of a warehouse in, another took those out that are on loan. One loan in ten is overdue.
const FILL = [
  `select ensure_movement_partition(${TODAY})`,
  `insert into region (code, name) values ('R1', 'Region 1')`,
  `insert into warehouse (code, name, kind, region_id) select 'W' || lpad(i::text, 5, '0'), 'Warehouse ' || i, 'outlet', 1 from generate_series(1, ${WAREHOUSES}) as i order by i`,
  `insert into part (number, name, unit, standard_cost, loaner_family) select 'WM-' || lpad(i::text, 3, '0'), 'Washing machine ' || i, 'piece', 1000, 'F-' || i % 8 from generate_series(1, ${MODELS}) as i`,
  `insert into slip (warehouse_id, number, kind, state, occurred_on, duties, preparers, prepared_at, posted_by, posted_at)
   select w.id, w.code || '-' || k.kind, k.kind, 'posted', ${TODAY}, '{department-head,operations-supervisor,finance-supervisor}', '{0}', now(), 0, now()
     from warehouse w cross join (values ('opening'), ('loan-out')) as k (kind) order by 1`,
  `create temp table bench_unit as
   select i as n, 1 + i % ${WAREHOUSES} as warehouse_id, 1 + i % ${MODELS} as part_id, i <= ${LOANS} as is_out from generate_series(1, ${UNITS}) as i`,
  `insert into balance (warehouse_id, part_id, ownership, condition, part_number, on_hand)
   select b.warehouse_id, b.part_id, 'own', 'qualified', part.number, count(*) filter (where not b.is_out) from bench_unit b join part on part.id = b.part_id group by 1, 2, 5 order by 1, 2`,
  `insert into lot (warehouse_id, id, part_id, ownership, condition, received_on, opened_on, aged_from, unit_cost, quantity_in, cost_in, charge_in, on_hand, last_moved_on, exhausted)
   select warehouse_id, n, part_id, 'own', 'qualified', ${TODAY}, ${TODAY}, date_trunc('month', ${TODAY}::timestamp)::date, 1000, 1, 1000, 0, case when is_out then 0 else 1 end, ${TODAY}, is_out
     from bench_unit`,
  `insert into loaner_unit (warehouse_id, id, serial, part_id, grade, accessories, state, held_by, lot_id, in_service_on, registered_by, registered_at)
   select warehouse_id, 1000000 + n, 'BY-' || lpad(n::text, 9, '0'), part_id, 'A', '{power cord}', 'in-service', warehouse_id, case when not is_out then n end, ${TODAY} - 400, 0, now() from bench_unit`,
  `insert into loan (warehouse_id, id, number, unit_warehouse_id, unit_id, state, repair_order, receipt_number, due_on, out_slip_id, lent_on, condition_out, grade_out, accessories_out, drawn_up_by, drawn_up_at)
   select b.warehouse_id, 100000000 + n, w.code || '-LON-202611-' || lpad(n::text, 9, '0'), b.warehouse_id, 1000000 + n, 'out', 'RO-' || n, 'JT-' || n,
          ${TODAY} + case when n % 10 = 0 then -1 - n % 30 else 4 + n % 20 end, s.id, ${TODAY} - 20, 'fine', 'A', '{power cord}', 0, now()
     from bench_unit b join warehouse w on w.id = b.warehouse_id join slip s on s.warehouse_id = b.warehouse_id and s.kind = 'loan-out' where b.is_out`,
  `update loaner_unit u set loan_warehouse_id = u.warehouse_id, loan_id = u.id - 1000000 + 100000000 where u.id <= 1000000 + ${LOANS}`,
  `insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
   select warehouse_id, 1000000 + n, now(), 0, e.event, '{"slip": "X"}' from bench_unit cross join (values ('registered'), ('in-service'), ('lent')) as e (event)`,
  // The history of alerts is never emptied, except between the rounds here.
  'alter table alert_event disable trigger alert_event_is_never_emptied',
  'truncate outbox'
]

const ONE_ROW = statement<{ serial: string }>(
  'select serial, state, grade, version from loaner_unit where warehouse_id = $1 and id = $2'
)

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}

async function scans(
  ctx: Context,
  kind: 'shelf' | 'out' | 'unknown',
  serialAt: (place: number) => number
): Promise<void> {
  const ratios: number[] = []
  const all: number[] = []
  const floors: number[] = []
  for (let turn = 0; turn <= ROUNDS; turn++) {
    const times: number[] = []
    const floor: number[] = []
    for (let place = 0; place < SCANS; place++) {
      const n = serialAt(turn * SCANS + place)
      const serial = kind === 'unknown' ? `XX-${n}` : `by-${String(n).padStart(9, '0')}`
      times.push(
        await timed(() =>
          readLoaner(ctx, { serial }).catch((error: unknown) => {
            if (!(error instanceof Refusal)) throw error
          })
        )
      )
      floor.push(await timed(() => run(ctx, ONE_ROW, [1 + (n % WAREHOUSES), 1_000_000 + n])))
    }
    // The first round warms both.
    if (turn === 0) continue
    ratios.push(median(times) / median(floor))
    all.push(...times)
    floors.push(...floor)
  }
  print({
    figure: 'scan-by-serial',
    of: kind,
    units: UNITS,
    ratio: round(median(ratios)),
    p50Ms: round(percentile(all, 0.5), 3),
    p99Ms: round(percentile(all, 0.99), 3),
    floorP50Ms: round(percentile(floors, 0.5), 3),
    floorP99Ms: round(percentile(floors, 0.99), 3)
  })
}

// The same rows by the plainest way: an alert, its history and its two messages.
const FLOOR = `
with raised as (
  insert into alert (warehouse_id, kind, subject, about_id, details, raised_at, updated_at)
  select warehouse_id, 'loaner-overdue', subject, about_id, details, now(), now() from bench_alert order by warehouse_id, about_id
  returning warehouse_id, id, subject, details
), noted as (
  insert into alert_event (warehouse_id, alert_id, event, at) select warehouse_id, id, 'raised', now() from raised
)
insert into outbox (subject, event, warehouse_id, payload, occurred_at)
select 'alert:' || id, e.event, warehouse_id, details, now() from raised cross join (values ('alert.raised'), ('loaner.overdue')) as e (event)`

async function sweep(ctx: Context, sql: Client): Promise<void> {
  const seconds: number[] = []
  const floors: number[] = []
  let raised = 0
  const clear = 'truncate alert, alert_event, outbox'
  for (let turn = 0; turn < 3; turn++) {
    await sql.query(clear)
    let result: Awaited<ReturnType<typeof reconcileAll>> | undefined
    seconds.push(
      (await timed(async () => {
        result = await reconcileAll(ctx, ['loaner-overdue'])
      })) / 1000
    )
    raised = Object.values(result ?? {}).reduce((sum: number, one) => sum + (one?.raised ?? 0), 0)
    if (turn === 0)
      await sql.query('create temp table bench_alert as select warehouse_id, subject, about_id, details from alert')
    await sql.query(clear)
    floors.push((await timed(() => sql.query(FLOOR))) / 1000)
  }
  print({
    figure: 'overdue-sweep',
    loans: LOANS,
    raised,
    ratio: round(median(seconds.map((one, turn) => one / (floors[turn] ?? 1)))),
    seconds: seconds.map((one) => round(one)),
    floorSeconds: floors.map((one) => round(one))
  })
  await sql.query(clear)
  await reconcileAll(ctx, ['loaner-overdue'])
  await sql.query('analyze alert')
  let again: unknown
  const second = await timed(async () => {
    again = await reconcileAll(ctx, ['loaner-overdue'])
  })
  print({ figure: 'overdue-again', loans: LOANS, seconds: round(second / 1000), result: again })
}

async function main(): Promise<void> {
  await using closing = new AsyncDisposableStack()
  const url = process.env['DATABASE_URL'] ?? (await embedded(closing))
  const database = await openDatabase({ url, entities, poolSize: 4 })
  closing.defer(() => database.close())
  await migrate(database)
  const sql = new Client({ connectionString: url })
  await sql.connect()
  closing.defer(() => sql.end())
  for (const text of FILL) await sql.query(text)
  await sql.query('vacuum analyze')
  const ctx = openContext({ database, clock, config }, systemActor, pino({ level: 'silent' }))
  const scattered = (from: number, to: number) => (place: number) =>
    from + Math.floor((((place + 1) * 0.618_033_988_75) % 1) * (to - from))
  await scans(ctx, 'shelf', scattered(LOANS + 1, UNITS))
  await scans(ctx, 'out', scattered(1, LOANS))
  await scans(ctx, 'unknown', scattered(1, UNITS))
  await sweep(ctx, sql)
}

await main()
