// The month end at size. Prints one JSON line per figure.
//
// - `depreciation-run`: what the run of one warehouse with a million lots takes, by a bare `insert … select` of the same rows into a
//   table of the same shape: once from rows that lie as the ledger holds them (`received`), once from rows that lie in key order
//   already (`sorted`), which no run finds. Pairs alternate in transactions that are rolled back; `ratio` is the median of the pairs.
// - `closing-run`: the background job that closes a network of 4,000 warehouses with 250 lots each, by the bare insert of the same
//   rows, one transaction a warehouse, over one connection.
// - `statement-csv`: the statement of a million lots downloaded over HTTP, by PostgreSQL writing the same rows as text for itself
//   on the same machine, with the memory of the serving process at each quarter of the file.
//
// LOTS (1000000), WAREHOUSES (4000), LOTS_PER_WAREHOUSE (250) and PAIRS (3) may be set smaller. With DATABASE_URL the database it names
// is used, and must be empty; else an embedded one in a folder of its own.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { pino } from 'pino'
import { SignJWT } from 'jose'
import { accessClaims } from '../src/identity/access-token.ts'
import { actorOf, systemActor } from '../src/identity/directory.ts'
import { entities } from '../src/orm.ts'
import { readConfig } from '../src/platform/config.ts'
import { openContext } from '../src/platform/context.ts'
import type { Context } from '../src/identity/actor.ts'
import { migrate, openDatabase } from '../src/platform/database.ts'
import { systemClock } from '../src/platform/clock.ts'
import { verifyLedger } from '../src/ledger/verify-ledger.ts'
import { continueClosingRun, startClosingRun } from '../src/valuation/close-many.ts'
import { closePeriod } from '../src/valuation/close-period.ts'
import { runInto } from '../src/valuation/depreciation.ts'
import { embedded, freePort } from './server.ts'

const LOTS = Number(process.env['LOTS'] ?? 1_000_000)
const WAREHOUSES = Number(process.env['WAREHOUSES'] ?? 4_000)
const LOTS_PER_WAREHOUSE = Number(process.env['LOTS_PER_WAREHOUSE'] ?? 250)
const PAIRS = Number(process.env['PAIRS'] ?? 3)
const PARTS = 20_000
const JWT_SECRET = 'a secret for the benchmark, long enough'
const config = readConfig({ JWT_SECRET })
const clock = systemClock(config.BUSINESS_TIME_ZONE)
/** The month before this one: the last that can be closed. */
const PERIOD = Temporal.PlainDate.from(clock.today()).toPlainYearMonth().subtract({ months: 1 }).toString()
const BIG = 1

const round = (value: number, places = 2): number => Number(value.toFixed(places))
const print = (figure: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(figure)}\n`)
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return (performance.now() - begun) / 1000
}

// One opening slip a warehouse, dated into the month; the goods were received over the eighteen months before, so that two thirds of
// the lots are charged.
const FILL = [
  `insert into region (code, name) values ('R1', 'Region 1')`,
  `insert into warehouse (code, name, kind, region_id) select 'W' || lpad(i::text, 5, '0'), 'Warehouse ' || i, 'outlet', 1 from generate_series(0, $1::int) as i order by i`,
  `insert into part (number, name, name_zh, specification, unit, standard_cost)
   select 'P-' || lpad(i::text, 5, '0'), 'Brake pad ' || i, '刹车片 ' || i, 'DN' || i, 'piece', 10 + i % 90 from generate_series(1, ${PARTS}) as i`,
  `insert into person (id, username, name, created_by) overriding system value values (1, 'finance@bench', 'finance', 0)`,
  `insert into duty_assignment (person_id, duty, valid_from, assigned_by, assigned_at) values (1, 'hq-finance', '2000-01-01', 0, now())`
]
const FIRST_DAY = `'${PERIOD}-01'::date`
const LEDGER = [
  `insert into slip (warehouse_id, number, kind, state, occurred_on, duties, preparers, prepared_at, posted_by, posted_at)
   select id, code || '-OPN-' || to_char(${FIRST_DAY}, 'YYYYMM') || '-00001', 'opening', 'posted', ${FIRST_DAY}, '{department-head,operations-supervisor,finance-supervisor}', '{1}', now(), 1, now() from warehouse`,
  `create temp table bench_lot as
   select nextval('lot_id_seq') as id, nextval('movement_id_seq') as movement_id, w.id as warehouse_id, s.id as slip_id, i as line_no,
          (1 + (i::bigint * 7919 + w.id) % ${PARTS})::int as part_id, (${FIRST_DAY} - 540 + (i * 37) % 540)::date as received_on,
          (500 + (i::bigint * 104729 + w.id) % 19000) / 100.0 as unit_cost, 1 + i % 20 as quantity
     from warehouse w join slip s on s.warehouse_id = w.id
    cross join lateral generate_series(1, case when w.id = ${BIG} then ${LOTS} else ${LOTS_PER_WAREHOUSE} end) as i`,
  `insert into slip_line (warehouse_id, slip_id, line_no, part_id, quantity, unit, unit_quantity, unit_cost, ownership, condition, received_on)
   select warehouse_id, slip_id, line_no, part_id, quantity, 'piece', quantity, unit_cost, 'own', 'qualified', received_on from bench_lot`,
  `insert into balance (warehouse_id, part_id, ownership, condition, part_number, on_hand)
   select l.warehouse_id, l.part_id, 'own', 'qualified', part.number, sum(l.quantity) from bench_lot l join part on part.id = l.part_id group by l.warehouse_id, l.part_id, part.number`,
  `insert into lot (warehouse_id, id, part_id, ownership, condition, received_on, opened_on, aged_from, unit_cost, quantity_in, cost_in, charge_in, on_hand, last_moved_on)
   select l.warehouse_id, l.id, l.part_id, 'own', 'qualified', l.received_on, ${FIRST_DAY}, date_trunc('month', l.received_on::timestamp)::date, l.unit_cost, l.quantity, lot_cost(l.unit_cost, l.quantity, 0),
          lot_charge(l.unit_cost, l.quantity, r.rate, 0), l.quantity, ${FIRST_DAY}
     from bench_lot l
     join (select aged, depreciation_rate(aged, month_index(${FIRST_DAY}) - 1) as rate from generate_series(month_index(${FIRST_DAY}) - 30, month_index(${FIRST_DAY})) as aged) r on r.aged = month_index(l.received_on)`,
  `insert into movement (warehouse_id, id, slip_id, line_no, lot_id, part_id, ownership, condition, quantity, occurred_on, posted_at, cost, charge, on_hand_after)
   select l.warehouse_id, l.movement_id, l.slip_id, l.line_no, l.id, l.part_id, 'own', 'qualified', l.quantity, ${FIRST_DAY}, now(), lot.cost_in, lot.charge_in,
          sum(l.quantity) over (partition by l.warehouse_id, l.part_id order by l.line_no)
     from bench_lot l join lot on lot.warehouse_id = l.warehouse_id and lot.id = l.id`,
  `insert into stock_count (warehouse_id, number, kind, state, period, scope, position, opened_at, opened_by, duties, approved_at)
   select id, code || '-CNT-' || to_char(${FIRST_DAY}, 'YYYYMM') || '-00001', 'month-end', 'approved', ${FIRST_DAY}, '{}', 0, now(), 1, '{department-head,finance-supervisor,stock-controller}', now() from warehouse`
]

async function fill(sql: Client): Promise<void> {
  const taken = await seconds(async () => {
    const first = `${PERIOD}-01`
    for (const text of FILL) await sql.query(text, text.includes('$1') ? [WAREHOUSES] : [])
    await sql.query('select ensure_movement_partition($1)', [first])
    for (const text of LEDGER) await sql.query(text)
    await sql.query('drop table bench_lot')
    await sql.query('vacuum analyze')
    await sql.query('checkpoint')
  })
  print({
    figure: 'filled',
    lots: LOTS + WAREHOUSES * LOTS_PER_WAREHOUSE,
    warehouses: WAREHOUSES + 1,
    seconds: round(taken, 1)
  })
}

/**
 * `floor_line` takes the rows as bare as can be: the same columns, checks and key, no frozen months around. `staged_received` holds them
 * as the ledger holds the lots, `staged_sorted` in the order of the key.
 */
async function stage(sql: Client): Promise<void> {
  await sql.query(
    `create table floor_line (like depreciation_line including defaults including constraints) partition by range (period)`
  )
  await sql.query(`alter table floor_line add primary key (warehouse_id, period, part_id, lot_id)`)
  await sql.query(`create table floor_line_only partition of floor_line default`)
  await sql.query(`create table staged_sorted (like depreciation_line)`)
  const { rows } = await sql.query<{ ids: number[] }>('select array_agg(id) as ids from warehouse')
  await sql.query(runInto('staged_sorted'), [rows[0]?.ids, `${PERIOD}-01`])
  await sql.query(`create table staged_received as select * from staged_sorted order by lot_id`)
  for (const table of ['staged_received', 'staged_sorted']) {
    await sql.query(`create index on ${table} (warehouse_id)`)
    await sql.query(`vacuum analyze ${table}`)
  }
  await sql.query('checkpoint')
}

/** What a statement takes inside a transaction that leaves nothing behind. */
async function rolledBack(sql: Client, text: string, values: unknown[]): Promise<number> {
  await sql.query('begin')
  const taken = await seconds(() => sql.query(text, values))
  await sql.query('rollback')
  await sql.query('checkpoint')
  return taken
}

const BARE = (from: string): string => `insert into floor_line select * from ${from} where warehouse_id = $1`

async function depreciationRun(sql: Client): Promise<void> {
  await sql.query('select ensure_statement_partitions($1)', [`${PERIOD}-01`])
  const taken = { run: [] as number[], received: [] as number[], sorted: [] as number[] }
  for (let pair = 0; pair <= PAIRS; pair++) {
    const [run, received, sorted] = [
      await rolledBack(sql, runInto('depreciation_line'), [[BIG], `${PERIOD}-01`]),
      await rolledBack(sql, BARE('staged_received'), [BIG]),
      await rolledBack(sql, BARE('staged_sorted'), [BIG])
    ]
    // The first warms the pages up.
    if (pair === 0) continue
    taken.run.push(run)
    taken.received.push(received)
    taken.sorted.push(sorted)
  }
  const by = (floor: number[]) => round(median(taken.run.map((run, pair) => run / (floor[pair] ?? 1))))
  print({
    figure: 'depreciation-run',
    lots: LOTS,
    ratio: by(taken.received),
    ratioToSorted: by(taken.sorted),
    runSeconds: taken.run.map((value) => round(value)),
    floorSeconds: taken.received.map((value) => round(value)),
    sortedFloorSeconds: taken.sorted.map((value) => round(value))
  })
}

async function closeTheBig(ctx: Context): Promise<void> {
  const taken = await seconds(() => closePeriod(ctx, { warehouse: 'W00000', period: PERIOD }))
  print({ figure: 'close-one', lots: LOTS, seconds: round(taken, 1) })
}

async function closingRun(ctx: Context, sql: Client): Promise<void> {
  const floor = await seconds(async () => {
    for (let id = BIG + 1; id <= BIG + WAREHOUSES; id++)
      await sql.query({ name: 'floor', text: BARE('staged_received'), values: [id] })
  })
  const { id } = await startClosingRun(ctx, { period: PERIOD })
  const taken = await seconds(() => continueClosingRun(ctx, { run: id }))
  const { rows } = await sql.query(
    `select state, count(*)::int as warehouses from closing_run_warehouse where run_id = $1 group by 1 order by 1`,
    [id]
  )
  print({
    figure: 'closing-run',
    warehouses: WAREHOUSES,
    lotsPerWarehouse: LOTS_PER_WAREHOUSE,
    ratio: round(taken / floor),
    seconds: round(taken, 1),
    floorSeconds: round(floor, 1),
    millisecondsPerWarehouse: round((taken * 1000) / WAREHOUSES),
    outcome: rows
  })
}

async function statementCsv(sql: Client, url: string): Promise<void> {
  const port = await freePort()
  const child = spawn(process.execPath, [path.join(import.meta.dirname, '../src/server.ts')], {
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: String(port),
      DATABASE_URL: url,
      JWT_SECRET
    },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  const gone = once(child, 'exit')
  try {
    await answering(port)
    const headers = { authorization: `Bearer ${await token()}`, accept: 'text/csv' }
    const resident = async () =>
      Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
    let [bytes, lines] = [0, 0]
    const memory: number[] = []
    const taken = await seconds(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/warehouses/W00000/periods/${PERIOD}/depreciation`, {
        headers
      })
      if (answer.status !== 200 || answer.body === null) throw new Error(`${answer.status}: ${await answer.text()}`)
      for await (const chunk of answer.body) {
        bytes += chunk.length
        for (const byte of chunk) if (byte === 10) lines++
        if (lines >= ((memory.length + 1) * LOTS) / 4 && memory.length < 4) memory.push(round(await resident(), 0))
      }
    })
    const copied = await seconds(() =>
      sql.query(
        `select sum(length(line.text)) from (select d::text as text from depreciation_line d where warehouse_id = ${BIG} and period = '${PERIOD}-01' order by part_id, lot_id offset 0) line`
      )
    )
    print({
      figure: 'statement-csv',
      lines: lines - 1,
      megabytes: round(bytes / 1e6, 1),
      ratio: round(taken / copied),
      seconds: round(taken, 1),
      floorSeconds: round(copied, 1),
      residentMiBAtQuarters: memory
    })
  } finally {
    child.kill('SIGTERM')
    await gone
  }
}

const token = () =>
  new SignJWT({ ...accessClaims({ clock, config: { ACCESS_TOKEN_MINUTES: 1440 } }, 1) })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(JWT_SECRET))

async function answering(port: number): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const answers = await fetch(`http://127.0.0.1:${port}/health`).then(
      ({ ok }) => ok,
      () => false
    )
    if (answers) return
    await sleep(50)
  }
  throw new Error('the service does not answer')
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
  await stage(sql)
  await depreciationRun(sql)
  const runtime = { database, clock, config }
  const ctx = openContext(runtime, await actorOf(runtime, 'finance@bench'), pino({ level: 'silent' }))
  await closeTheBig(ctx)
  await statementCsv(sql, url)
  await closingRun(ctx, sql)
  const system = openContext(runtime, systemActor, pino({ level: 'silent' }))
  const { ok, findings } = await verifyLedger(system, {})
  print({ figure: 'ledger-verified', ok, findings: findings.slice(0, 5) })
}

await main()
