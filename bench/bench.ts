// npm run bench [-- NAME …] [-- --quick] — how fast the service is, as ratios measured in one run.
//
// Standard output has one JSON line per figure, standard error a table at the end. How to read a line:
// - `ratio` is the result: operations per second of the service by those of its *ceiling*, the median over pairs of slices
//   that alternate on the same machine; `ratioRange` are the worst and the best pair. The ceiling (`bench/ceiling.ts`) is a
//   bare Fastify with one prepared statement that writes or reads the same rows, driven by the same client.
// - `p99Ratio` is the service's p99 latency by the ceiling's. Absolute figures are context: they are of this machine, on which
//   client, service, ceiling and PostgreSQL share the processors.
// - `growth`: `ratio` compares the service with itself, a large ledger by a small one, or late slips by normal ones.
// - `round-trips`: how often the service waits for PostgreSQL per request, counted by a proxy between them.
// - `ledger-verified`: the self-check of the ledger, after filling and after everything that was posted.
//
// - what `catalogue-search`, `month-end`, `reorder`, `webhooks`, `network` and `loaners` print is told at the heads of their files.
//
// Names: post-slip slip-life stock-lookup stock-page round-trips growth catalogue-search month-end reorder webhooks network loaners; all of them if none is given.
// --quick: the large ledger has 200,000 movements instead of 2,000,000, the month end a tenth of its lots and warehouses, the night a tenth of its balances, the network a tenth of its warehouses. --slices N (6), --seconds N: about how long a slice takes (1.5).
// --cpu-prof DIR: the service writes CPU profiles there.
// With BENCH_DATABASE_URL databases are made and dropped on that server (its account needs CREATEDB); else an embedded one is
// started in a temporary folder, as durable as in production.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { SignJWT } from 'jose'
import { Client as PgClient } from 'pg'
import { pino } from 'pino'
import { accessClaims } from '../src/identity/access-token.ts'
import { systemActor } from '../src/identity/directory.ts'
import { verifyLedger } from '../src/ledger/verify-ledger.ts'
import { entities } from '../src/orm.ts'
import { systemClock } from '../src/platform/clock.ts'
import { readConfig } from '../src/platform/config.ts'
import { openContext } from '../src/platform/context.ts'
import { migrate, openDatabase } from '../src/platform/database.ts'
import type { CeilingPosting } from './ceiling.ts'
import { startCountingProxy } from './counting-proxy.ts'
import { Client, compare, round, slice, type Call, type Comparison, type Side } from './drive.ts'
import { daysOf, DUTIES, fill, PEOPLE, Preparation, WAREHOUSES, type PreparedSlip } from './fill.ts'
import { embedded, freePort } from './server.ts'

const { values: options, positionals: chosen } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    slices: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '1.5' },
    'cpu-prof': { type: 'string' }
  }
})

const SMALL_LEDGER = 20_000
const LARGE_LEDGER = options.quick ? 200_000 : 2_000_000
const POOL_SIZE = 10
const PAGE = 200
const MANY_LINES = 500
const JWT_SECRET = 'a secret for the benchmark, long enough'
const HERE = import.meta.dirname
const config = readConfig({ JWT_SECRET })
const clock = systemClock(config.BUSINESS_TIME_ZONE)
const days = daysOf(clock.today())

/** The service's warehouse, and the ceiling's: the same stock in the same tables. */
const [SERVICE_WAREHOUSE, CEILING_WAREHOUSE] = [1, 2]
const WAREHOUSE = WAREHOUSES[0]

interface Place {
  /** Of a database that is migrated and filled. */
  url: string
  sql: PgClient
  preparation: Preparation
}

type Person = keyof typeof PEOPLE
interface Service {
  port: number
  place: Place
}

const figures: { figure: string; ratio: string; detail: string }[] = []
const print = (figure: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(figure)}\n`)
const say = (text: string) => process.stderr.write(`${text}\n`)

/** Databases on one server, and what runs on them. */
class Bench {
  readonly #admin: PgClient
  readonly #serverUrl: string
  readonly #closing: AsyncDisposableStack
  readonly #tokens = new Map<Person, string>()
  #made = 0

  private constructor(admin: PgClient, serverUrl: string, closing: AsyncDisposableStack) {
    this.#admin = admin
    this.#serverUrl = serverUrl
    this.#closing = closing
  }

  static async open(closing: AsyncDisposableStack): Promise<Bench> {
    const url = process.env['BENCH_DATABASE_URL'] ?? (await embedded(closing))
    const bench = new Bench(await connected(url, closing), url, closing)
    const { rows } = await bench.#admin.query<{ settings: object }>(
      `select json_object_agg(name, setting) as settings from pg_settings where name in ('server_version', 'fsync', 'synchronous_commit', 'shared_buffers')`
    )
    print({
      figure: 'setting',
      node: process.version,
      ...rows[0]?.settings,
      poolSize: POOL_SIZE,
      slices: Number(options.slices)
    })
    for (const person of Object.keys(PEOPLE) as Person[]) bench.#tokens.set(person, await tokenOf(person))
    return bench
  }

  token(person: Person): string {
    return this.#tokens.get(person) ?? ''
  }

  /** An empty database that is dropped in the end. */
  async database(): Promise<string> {
    const name = `bincard_bench_${process.pid}_${++this.#made}`
    await this.#admin.query(`create database ${name}`)
    this.#closing.defer(() => this.#admin.query(`drop database ${name} with (force)`).then(() => undefined))
    const url = new URL(this.#serverUrl)
    url.pathname = `/${name}`
    return url.href
  }

  /** A database with a ledger in it. */
  async ledger(movements: number): Promise<Place> {
    const begun = performance.now()
    const url = await this.database()
    const database = await openDatabase({ url, entities, poolSize: 2 })
    await migrate(database)
    await database.close()
    const sql = await connected(url, this.#closing)
    const filled = await fill(sql, { movements, days })
    await sql.query('checkpoint').catch(() => undefined)
    print({ figure: 'filled', movements: filled, seconds: round((performance.now() - begun) / 1000, 1) })
    return { url, sql, preparation: new Preparation(sql) }
  }

  service(place: Place, url = place.url): Promise<Service> {
    const profiling = options['cpu-prof'] === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options['cpu-prof']}`]
    return this.#process([...profiling, path.join(HERE, '../src/server.ts')], url).then((port) => ({ port, place }))
  }

  ceiling(place: Place): Promise<number> {
    return this.#process([path.join(HERE, 'ceiling.ts')], place.url)
  }

  client(port: number, clients: number): Client {
    const client = new Client(port, clients)
    this.#closing.defer(() => client.close())
    return client
  }

  /** A process that listens; its log goes where nobody reads it. */
  async #process(args: string[], databaseUrl: string): Promise<number> {
    const port = await freePort()
    const child = spawn(process.execPath, args, {
      env: {
        PATH: process.env['PATH'],
        NODE_ENV: 'production',
        HOST: '127.0.0.1',
        PORT: String(port),
        DATABASE_URL: databaseUrl,
        DATABASE_POOL_SIZE: String(POOL_SIZE),
        JWT_SECRET
      },
      stdio: ['ignore', 'ignore', 'inherit']
    })
    const gone = once(child, 'exit')
    this.#closing.defer(async () => {
      child.kill('SIGTERM')
      await gone
    })
    for (let attempt = 0; attempt < 600; attempt++) {
      if (child.exitCode !== null) throw new Error(`${args.at(-1)} did not start`)
      if (await answers(port)) return port
      await sleep(50)
    }
    throw new Error(`${args.at(-1)} does not answer`)
  }
}

async function connected(connectionString: string, closing: AsyncDisposableStack): Promise<PgClient> {
  const client = new PgClient({ connectionString, options: '-c TimeZone=UTC' })
  client.on('error', () => undefined)
  await client.connect()
  closing.defer(() => client.end())
  return client
}

const tokenOf = (person: Person): Promise<string> =>
  new SignJWT({
    ...accessClaims({ clock: systemClock('Asia/Shanghai'), config: { ACCESS_TOKEN_MINUTES: 1440 } }, PEOPLE[person])
  })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(JWT_SECRET))

async function answers(port: number): Promise<boolean> {
  const client = new Client(port, 1)
  try {
    await client.call({ method: 'GET', path: '/ready' })
    return true
  } catch {
    return false
  } finally {
    client.close()
  }
}

/** How the slices of a figure are cut: as many operations as take about the wished time. */
async function measured(a: Side, b: Side, clients: number): Promise<Comparison> {
  await b(50 * clients)
  const { operationsPerSecond } = await b(50 * clients)
  const operations = Math.max(30 * clients, Math.round((operationsPerSecond * Number(options.seconds)) / 1.5))
  return compare(a, b, { slices: Number(options.slices), operations, warmUp: Math.max(operations, 400) })
}

function report(
  figure: string,
  details: Record<string, unknown>,
  { a, b, ratio, ratioRange, p99Ratio }: Comparison,
  [aName, bName]: [string, string] = ['service', 'ceiling']
): void {
  print({
    figure,
    ...details,
    [`${aName}PerSecond`]: a.operationsPerSecond,
    [`${bName}PerSecond`]: b.operationsPerSecond,
    ratio,
    ratioRange,
    [aName]: { p50Ms: a.p50Ms, p99Ms: a.p99Ms },
    [bName]: { p50Ms: b.p50Ms, p99Ms: b.p99Ms },
    p99Ratio
  })
  figures.push({
    figure: [figure, ...Object.values(details)].join(' '),
    ratio: ratio.toFixed(3),
    detail: `${a.operationsPerSecond} : ${b.operationsPerSecond} /s, p50 ${a.p50Ms} : ${b.p50Ms} ms, p99 ${a.p99Ms} : ${b.p99Ms} ms (${p99Ratio} ×)`
  })
}

// What one operation of each figure is, for the service and for the ceiling.

const posting = (bench: Bench, { number }: Pick<PreparedSlip, 'number'>): Call => ({
  method: 'POST',
  path: `/v1/slips/${number}/posting`,
  token: bench.token('keeper'),
  body: { handedTo: '王师傅' }
})

const ceilingPosting = ({ id, warehouseId, occurredOn, lines }: PreparedSlip): Call => ({
  method: 'POST',
  path: '/posting',
  body: {
    warehouseId,
    slipId: id,
    personId: PEOPLE.keeper,
    at: clock.now().toString(),
    handedTo: '王师傅',
    occurredOn,
    lines: lines.map(({ line }) => line),
    parts: lines.map(({ partId }) => partId),
    lots: lines.map(({ lotId }) => lotId),
    quantities: lines.map(() => '-1'),
    costs: lines.map(({ cost }) => `-${cost}`)
  } satisfies CeilingPosting
})

const creation = (bench: Bench, parts: readonly string[]): Call => ({
  method: 'POST',
  path: `/v1/warehouses/${WAREHOUSE}/slips`,
  token: bench.token('keeper'),
  body: { kind: 'issue', reference: 'RO-2026-0815', lines: parts.map((part) => ({ part, quantity: '1' })) }
})

const signature = (bench: Bench, number: string, duty: (typeof DUTIES)[number]): Call => ({
  method: 'POST',
  path: `/v1/slips/${number}/signatures`,
  token: bench.token(duty),
  body: { duty, decision: 'approve' }
})

const numberOf = (answer: string): string => (JSON.parse(answer) as { number: string }).number

const posts = (bench: Bench, { port, place }: Service, clients: number, occurredOn = days.today): Side => {
  const client = bench.client(port, clients)
  return async (count) =>
    slice(clients, await place.preparation.approvedSlips(SERVICE_WAREHOUSE, { count, occurredOn }), (slip) =>
      client.call(posting(bench, slip))
    )
}

const ceilingPosts = (bench: Bench, place: Place, port: number, clients: number): Side => {
  const client = bench.client(port, clients)
  return async (count) =>
    slice(
      clients,
      await place.preparation.approvedSlips(CEILING_WAREHOUSE, { count, occurredOn: days.today }),
      (slip) => client.call(ceilingPosting(slip))
    )
}

async function partsOf({ preparation }: Place, count: number, each: number): Promise<string[][]> {
  const picked: string[][] = []
  while (picked.length < count) picked.push((await preparation.parts(SERVICE_WAREHOUSE, each)).map(({ part }) => part))
  return picked
}

const lives = (bench: Bench, { port, place }: Service, clients: number): Side => {
  const client = bench.client(port, clients)
  return async (count) =>
    slice(clients, await partsOf(place, count, 5), async (parts) => {
      const number = numberOf(await client.call(creation(bench, parts)))
      for (const duty of DUTIES) await client.call(signature(bench, number, duty))
      await client.call(posting(bench, { number }))
    })
}

const creations = (bench: Bench, { port, place }: Service, clients: number): Side => {
  const client = bench.client(port, clients)
  return async (count) => slice(clients, await partsOf(place, count, 5), (parts) => client.call(creation(bench, parts)))
}

const lookups = (bench: Bench, { port, place }: Service, clients: number): Side => {
  const client = bench.client(port, clients)
  return async (count) =>
    slice(clients, (await partsOf(place, count, 1)).flat(), (part) =>
      client.call({
        method: 'GET',
        path: `/v1/warehouses/${WAREHOUSE}/stock?part=${part}`,
        token: bench.token('keeper')
      })
    )
}

const pages = (bench: Bench, { port }: Service, clients: number): Side => {
  const client = bench.client(port, clients)
  return (count) =>
    slice(clients, Array.from({ length: count }), () =>
      client.call({
        method: 'GET',
        path: `/v1/warehouses/${WAREHOUSE}/stock?limit=${PAGE}`,
        token: bench.token('keeper')
      })
    )
}

const ceilingReads = (
  bench: Bench,
  place: Place,
  port: number,
  clients: number,
  pathOf: (part: string) => string
): Side => {
  const client = bench.client(port, clients)
  return async (count) =>
    slice(clients, (await partsOf(place, count, 1)).flat(), (part) =>
      client.call({ method: 'GET', path: pathOf(part) })
    )
}

async function verified(place: Place, when: string): Promise<void> {
  const database = await openDatabase({ url: place.url, entities, poolSize: 2 })
  const ctx = openContext({ database, clock, config }, systemActor, pino({ level: 'silent' }))
  // The ceiling's warehouse is out of balance once the ceiling, which knows no rules, has posted there.
  const { ok, findings } = await verifyLedger(ctx, when === 'filled' ? {} : { warehouse: WAREHOUSE })
  await database.close()
  print({ figure: 'ledger-verified', when, ok, ...(!ok && { findings: findings.slice(0, 5) }) })
  if (!ok) throw new Error('the ledger is not right; what was measured on it is worth nothing')
}

async function againstCeiling(bench: Bench, names: ReadonlySet<string>): Promise<void> {
  const place = await bench.ledger(SMALL_LEDGER)
  await verified(place, 'filled')
  const service = await bench.service(place)
  const ceiling = await bench.ceiling(place)
  for (const clients of [1, 8]) {
    const cases: [string, Side, Side][] = [
      [
        'stock-lookup',
        lookups(bench, service, clients),
        ceilingReads(
          bench,
          place,
          ceiling,
          clients,
          (part) => `/stock?warehouseId=${CEILING_WAREHOUSE}&part=${part}&today=${days.today}`
        )
      ],
      [
        'stock-page',
        pages(bench, service, clients),
        ceilingReads(
          bench,
          place,
          ceiling,
          clients,
          () => `/stock-page?warehouseId=${CEILING_WAREHOUSE}&today=${days.today}&after=&limit=${PAGE}`
        )
      ],
      ['post-slip', posts(bench, service, clients), ceilingPosts(bench, place, ceiling, clients)],
      ['slip-life', lives(bench, service, clients), ceilingPosts(bench, place, ceiling, clients)]
    ]
    for (const [name, a, b] of cases) {
      if (names.has(name)) report(name, { clients }, await measured(a, b, clients))
    }
  }
  await verified(place, 'after posting')
}

async function roundTrips(bench: Bench): Promise<void> {
  const place = await bench.ledger(SMALL_LEDGER)
  const proxy = await startCountingProxy(place.url, 'bincard')
  const service = await bench.service(place, proxy.url)
  const client = bench.client(service.port, 1)
  const counted: Record<string, number>[] = []
  // The first round fills the caches of people, warehouses and months, which ordinary requests find filled.
  for (const lines of [5, 5, MANY_LINES]) {
    const [parts = []] = await partsOf(place, 1, lines)
    let number = ''
    const create = await proxy.during(async () => (number = numberOf(await client.call(creation(bench, parts)))))
    const signatures: number[] = []
    for (const duty of DUTIES) signatures.push(await proxy.during(() => client.call(signature(bench, number, duty))))
    const post = await proxy.during(() => client.call(posting(bench, { number })))
    counted.push({
      lines,
      create,
      sign: Math.max(...signatures),
      post,
      life: create + post + signatures.reduce((sum, one) => sum + one, 0)
    })
  }
  proxy.close()
  const [, few = {}, many = {}] = counted
  for (const step of ['create', 'sign', 'post', 'life']) {
    const equal = few[step] === many[step]
    print({ figure: 'round-trips', step, fiveLines: few[step], fiveHundredLines: many[step], equal })
    figures.push({
      figure: `round-trips ${step}`,
      ratio: equal ? 'equal' : 'DIFFER',
      detail: `5 lines: ${few[step]}, 500 lines: ${many[step]}`
    })
  }
}

async function growth(bench: Bench): Promise<void> {
  const [small, large] = [await bench.ledger(SMALL_LEDGER), await bench.ledger(LARGE_LEDGER)]
  const [onSmall, onLarge] = [await bench.service(small), await bench.service(large)]
  const clients = 8
  const cases: [string, (service: Service) => Side][] = [
    ['stock-lookup', (service) => lookups(bench, service, clients)],
    ['stock-page', (service) => pages(bench, service, clients)],
    ['create-slip', (service) => creations(bench, service, clients)],
    ['post-slip', (service) => posts(bench, service, clients)],
    ['post-late-slip', (service) => posts(bench, service, clients, days.lastMonth)]
  ]
  const movements = [LARGE_LEDGER, SMALL_LEDGER]
  for (const [of, side] of cases)
    report('growth', { of, movements: movements.join(':') }, await measured(side(onLarge), side(onSmall), clients), [
      'large',
      'small'
    ])
  for (const [service, size] of [
    [onSmall, SMALL_LEDGER],
    [onLarge, LARGE_LEDGER]
  ] as const) {
    const comparison = await measured(
      posts(bench, service, clients, days.lastMonth),
      posts(bench, service, clients),
      clients
    )
    report('growth', { of: 'late:normal', movements: size }, comparison, ['late', 'normal'])
  }
  await verified(small, 'after posting')
}

/** A figure that is a script of its own, on an empty database. */
async function script(bench: Bench, name: string, env: NodeJS.ProcessEnv = {}): Promise<void> {
  const child = spawn(process.execPath, [path.join(HERE, `${name}.ts`)], {
    env: { ...env, ...process.env, DATABASE_URL: await bench.database() },
    stdio: ['ignore', 'inherit', 'inherit']
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${name} failed`)
}

const CEILING_FIGURES = ['post-slip', 'slip-life', 'stock-lookup', 'stock-page']
const ALL = [
  ...CEILING_FIGURES,
  'round-trips',
  'growth',
  'catalogue-search',
  'month-end',
  'reorder',
  'webhooks',
  'network',
  'loaners'
]

/** After a signal everything is closed first; what is being measured meanwhile fails, which nobody needs to hear of. */
let stopping: Promise<void> | undefined

async function main(): Promise<void> {
  const unknown = chosen.filter((name) => !ALL.includes(name))
  if (unknown.length > 0) throw new Error(`there is no figure ${unknown.join(', ')}; choose from ${ALL.join(', ')}`)
  const names = new Set(chosen.length === 0 ? ALL : chosen)
  await using closing = new AsyncDisposableStack()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopping ??= closing.disposeAsync().finally(() => process.exit(1))
    })
  }
  const bench = await Bench.open(closing)
  if (CEILING_FIGURES.some((name) => names.has(name))) await againstCeiling(bench, names)
  if (names.has('round-trips')) await roundTrips(bench)
  if (names.has('growth')) await growth(bench)
  if (names.has('catalogue-search')) await script(bench, 'catalogue-search')
  if (names.has('month-end'))
    await script(bench, 'month-end', options.quick ? { LOTS: '100000', WAREHOUSES: '400' } : {})
  if (names.has('reorder')) await script(bench, 'reorder', options.quick ? { WAREHOUSES: '400' } : {})
  if (names.has('webhooks')) await script(bench, 'webhooks', options.quick ? { SECONDS: '5' } : {})
  if (names.has('loaners')) await script(bench, 'loaners', options.quick ? { UNITS: '100000', LOANS: '20000' } : {})
  if (names.has('network')) await script(bench, 'network', options.quick ? { NETWORK: '400', REQUESTS: '40' } : {})
  const width = Math.max(0, ...figures.map(({ figure }) => figure.length))
  for (const { figure, ratio, detail } of figures) say(`${figure.padEnd(width)}  ${ratio.padStart(7)}  ${detail}`)
}

await main().catch(async (error: unknown) => {
  await stopping
  throw error
})
