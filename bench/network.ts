// Requests in a network of the reference size: 46 centres, 836 branches, the rest outlets, 2,000 parts. Prints one JSON line per figure.
//
// - `filled`: how much there is. A part lies in some thousand warehouses; lots have ages from none to two years.
// - `request`: a request of one line, answered by the verb and over HTTP: `found` says where the goods are, and so how far the search has to
//   go: at the centre; at a branch of its region; in another region; nowhere, although hundreds of warehouses hold some that they do not
//   give (the worst case). `mixed` is five lines, one or two of each. The floor is the look-up of a single balance by its key, prepared, on
//   the same pool, interleaved; `ratio` is the median of the verb by the median of the floor.
// - `requests-at-once`: eight clients over HTTP, mixed requests.
// - `where-is-this-part`: `GET /v1/stock?part=`, the first page and all pages.
// - `network-growth`: the medians in the whole network by those in a tenth of it, with a tenth of the centres, measured alike.
//
// Server, client and PostgreSQL share the processors, and the client the process of the server.
// NETWORK (4000 warehouses), PARTS_PER_BRANCH (1200), PARTS_PER_OUTLET (350) and REQUESTS (200 of each) may be set smaller; SMALL (a tenth of
// NETWORK) is what growth is measured from. Two databases are made and dropped on the server of DATABASE_URL; else on an embedded one in a folder of its own.
import { Client as PgClient } from 'pg'
import { pino } from 'pino'
import { SignJWT } from 'jose'
import type { AddressInfo } from 'node:net'
import { buildApp } from '../src/app.ts'
import { accessClaims } from '../src/identity/access-token.ts'
import type { Context } from '../src/identity/actor.ts'
import { actorOf } from '../src/identity/directory.ts'
import { entities } from '../src/orm.ts'
import { systemClock } from '../src/platform/clock.ts'
import { readConfig } from '../src/platform/config.ts'
import { openContext } from '../src/platform/context.ts'
import { migrate, openDatabase, run, statement } from '../src/platform/database.ts'
import { createRequest } from '../src/requests/create-request.ts'
import type { NewRequest } from '../src/requests/requests.schemas.ts'
import { Client, slice } from './drive.ts'
import { embedded } from './server.ts'

const NETWORK = Number(process.env['NETWORK'] ?? 4_000)
const SMALL = Number(process.env['SMALL'] ?? Math.round(NETWORK / 10))
const PARTS_PER_BRANCH = Number(process.env['PARTS_PER_BRANCH'] ?? 1_200)
const PARTS_PER_OUTLET = Number(process.env['PARTS_PER_OUTLET'] ?? 350)
const REQUESTS = Number(process.env['REQUESTS'] ?? 200)
const PARTS = 2_000
const CLIENTS = 8
const JWT_SECRET = 'a secret for the benchmark, long enough'
const config = readConfig({ JWT_SECRET, RATE_LIMIT_PER_MINUTE: '1000000' })
const clock = systemClock(config.BUSINESS_TIME_ZONE)
const logger = pino({ level: 'warn' })
const TODAY = `'${clock.today()}'::date`
const CLERK = { id: 1, username: 'clerk' }

const round = (value: number, places = 2): number => Number(value.toFixed(places))
const print = (figure: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(figure)}\n`)
const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0
const median = (values: readonly number[]): number => quantile(values, 0.5)

/** Where a part is, by the last digit of its id. */
const FOUND = ['centre', 'region', 'other-region', 'nowhere'] as const
type Found = (typeof FOUND)[number]
const digitsOf: Record<Found, readonly number[]> = {
  centre: [0, 1, 2, 3, 4, 5],
  region: [6, 7],
  'other-region': [8],
  nowhere: [9]
}
const KIND = `(case when p % 10 <= 5 then 'centre' when p % 10 <= 7 then 'region' when p % 10 = 8 then 'other-region' else 'nowhere' end)`

interface Shape {
  warehouses: number
  centres: number
  branches: number
}
const shapeOf = (warehouses: number): Shape => ({
  warehouses,
  centres: Math.max(2, Math.round((46 * warehouses) / 4_000)),
  branches: Math.round((836 * warehouses) / 4_000)
})

const FIRST_CENTRE = 2
const firstBranch = ({ centres }: Shape): number => FIRST_CENTRE + centres
const firstOutlet = (shape: Shape): number => firstBranch(shape) + shape.branches
// Head office 1, then centres, branches, outlets. Lots are made first; balances are their sums.
const fillOf = (shape: Shape): string[] => {
  const [branch, outlet] = [firstBranch(shape), firstOutlet(shape)]
  const aged = (from: number, until: number) =>
    `(${TODAY} - make_interval(months => ${from} + (w * 31 + p * 7) % ${until - from + 1}))::date`
  const slots = (first: number, last: number, parts: number) =>
    `generate_series(${first}, ${last}) as w cross join lateral (select (1 + (i::bigint * 79 + w * 31) % ${PARTS})::int as p from generate_series(1, ${parts}) as i) slot`
  return [
    `insert into region (id, code, name) select i, 'R' || i, 'Region ' || i from generate_series(1, ${shape.centres}) as i`,
    `insert into warehouse (id, code, name, kind, region_id, parent_id)
     select w, 'W' || lpad(w::text, 5, '0'), 'Warehouse ' || w,
            case when w = 1 then 'head-office' when w < ${branch} then 'regional-centre' when w < ${outlet} then 'branch' else 'outlet' end,
            case when w = 1 then 1 when w < ${branch} then w - 1 else 1 + w % ${shape.centres} end,
            case when w = 1 then null when w < ${branch} then 1 else 2 + w % ${shape.centres} end
       from generate_series(1, ${shape.warehouses}) as w order by w`,
    `insert into part (id, number, name, unit, standard_cost, lead_time_days)
     select p, 'P-' || lpad(p::text, 5, '0'), 'Brake pad ' || p, 'piece', 10 + p % 90, 14 from generate_series(1, ${PARTS}) as p`,
    `insert into person (id, username, name) values (${CLERK.id}, '${CLERK.username}', 'Clerk') on conflict (id) do update set username = excluded.username`,
    `insert into duty_assignment (person_id, duty, valid_from, assigned_by, assigned_at)
     select ${CLERK.id}, duty, '2000-01-01', 0, now() from unnest(array['outlet-clerk', 'stock-controller']) as duty`,
    `insert into deposit_account (warehouse_id, low_limit, opened_by, opened_at, changed_at) select w, 0, 0, now(), now() from generate_series(${outlet}, ${shape.warehouses}) as w`,
    `insert into deposit_entry (warehouse_id, entry_no, kind, amount, balance_after, paper, because, person_id, occurred_at)
     select w, 1, 'increase', 1000000000, 1000000000, 'BENCH', 'bench', 0, now() from generate_series(${outlet}, ${shape.warehouses}) as w`,
    `update deposit_account set balance = 1000000000, entries = 1`,
    `create temp table bench_lot as
     select w, p, (${TODAY} - 20)::date as received_on, 1000000::numeric as quantity
       from generate_series(1, ${branch - 1}) as w cross join generate_series(1, ${PARTS}) as p where ${KIND} = 'centre'
      union all
     select w, p, ${aged(4, 24)}, 1000000 from ${slots(branch, outlet - 1, PARTS_PER_BRANCH)} where ${KIND} = 'region'
      union all
     select w, p, ${aged(4, 24)}, 1000000 from ${slots(branch, outlet - 1, PARTS_PER_BRANCH)}
      where ${KIND} = 'other-region' and w % ${shape.centres} = p / 10 % ${shape.centres}
      union all
     select w, p, ${aged(0, 24)}, 1 + (w + p) % 5 from ${slots(branch, outlet - 1, PARTS_PER_BRANCH)} where ${KIND} = 'centre'
      union all
     select w, p, ${aged(0, 2)}, 2 from ${slots(branch, outlet - 1, PARTS_PER_BRANCH)}
      union all
     select w, p, case when ${KIND} in ('centre', 'region') then ${aged(0, 24)} else ${aged(0, 2)} end, 1 + (w + p) % 4
       from ${slots(outlet, shape.warehouses, PARTS_PER_OUTLET)}`,
    `insert into balance (warehouse_id, part_id, ownership, condition, part_number, on_hand)
     select b.w, b.p, 'own', 'qualified', part.number, b.quantity
       from (select w, p, sum(quantity) as quantity from bench_lot group by 1, 2
              union all
             select w, p, 0 from generate_series(${FIRST_CENTRE}, ${branch - 1}) as w cross join generate_series(1, ${PARTS}) as p where ${KIND} <> 'centre') b
       join part on part.id = b.p order by 1, 2`,
    `insert into lot (warehouse_id, part_id, ownership, condition, received_on, opened_on, aged_from, unit_cost, quantity_in, cost_in, charge_in, on_hand, last_moved_on)
     select w, p, 'own', 'qualified', received_on, received_on, date_trunc('month', received_on::timestamp)::date, 10, quantity, 10 * quantity, 0, quantity, received_on
       from bench_lot order by w, p, received_on`,
    `insert into reorder_level (warehouse_id, part_id, reorder_point, order_up_to, basis, computed_at)
     select warehouse_id, part_id, 10, 20, 'fixed', now() from balance where warehouse_id < ${outlet}`,
    `drop table bench_lot`,
    `vacuum analyze`,
    `checkpoint`
  ]
}

const LOOKUP = statement<{ available: string }>(`
select trim_scale(on_hand - reserved - blocked)::text as available from balance
 where warehouse_id = $1 and part_id = $2 and ownership = 'own' and condition = 'qualified'`)

interface Place {
  shape: Shape
  ctx: Context
  client: Client
  token: string
}

/** The same choices in every run. */
let seed = 1
const random = (below: number): number => {
  seed = (Math.imul(seed, 48_271) >>> 0) % 2_147_483_647
  return seed % below
}

const partNumber = (id: number): string => `P-${String(id).padStart(5, '0')}`

/** A request of one line, or of five, of an outlet that the goods are as far from as is said. */
function requestOf({ shape }: Place, found: Found | 'mixed'): NewRequest {
  const outlet = firstOutlet(shape) + random(shape.warehouses - firstOutlet(shape) + 1)
  const kinds: Found[] = found === 'mixed' ? ['centre', 'centre', 'region', 'other-region', 'nowhere'] : [found]
  const lines = kinds.map((kind) => {
    for (;;) {
      const digits = digitsOf[kind]
      const part = 10 * random(PARTS / 10) + (digits[random(digits.length)] ?? 0)
      if (part === 0) continue
      // Elsewhere is a region of its own for each part.
      if (kind === 'other-region' && Math.floor(part / 10) % shape.centres === outlet % shape.centres) continue
      return { part: partNumber(part), quantity: '1' }
    }
  })
  return {
    warehouse: `W${String(outlet).padStart(5, '0')}`,
    urgency: 'normal',
    needBy: clock.today(),
    lines
  }
}

async function floorOf({ ctx, shape }: Place, times: number): Promise<number[]> {
  const { latencies } = await slice(1, Array.from({ length: times }), () =>
    run(ctx, LOOKUP, [1 + random(shape.warehouses), 1 + random(PARTS)])
  )
  return latencies
}

interface Answered {
  found: Found | 'mixed'
  verb: number
}

async function requests(place: Place, found: Found | 'mixed'): Promise<Answered> {
  const { ctx, client, token, shape } = place
  const overHttp = (body: NewRequest) => client.call({ method: 'POST', path: '/v1/requests', token, body })
  const seen = { verb: [] as number[], http: [] as number[], floor: [] as number[] }
  const portion = Math.max(1, Math.round(REQUESTS / 4))
  const some = () => Array.from({ length: portion }, () => requestOf(place, found))
  await slice(1, some(), (request) => createRequest(ctx, request))
  await slice(1, some(), overHttp)
  for (let round4 = 0; round4 < 4; round4++) {
    seen.floor.push(...(await floorOf(place, portion * 5)))
    seen.verb.push(...(await slice(1, some(), (request) => createRequest(ctx, request))).latencies)
    seen.http.push(...(await slice(1, some(), overHttp)).latencies)
  }
  print({
    figure: 'request',
    found,
    warehouses: shape.warehouses,
    requests: seen.verb.length,
    ratio: round(median(seen.verb) / median(seen.floor), 1),
    verbP50Ms: round(median(seen.verb)),
    verbP99Ms: round(quantile(seen.verb, 0.99)),
    httpP50Ms: round(median(seen.http)),
    httpP99Ms: round(quantile(seen.http, 0.99)),
    lookupP50Ms: round(median(seen.floor), 3)
  })
  return { found, verb: median(seen.verb) }
}

async function atOnce(place: Place): Promise<void> {
  const { client, token, shape } = place
  const { operationsPerSecond, latencies } = await slice(
    CLIENTS,
    Array.from({ length: REQUESTS * 2 }, () => requestOf(place, 'mixed')),
    (body) => client.call({ method: 'POST', path: '/v1/requests', token, body })
  )
  print({
    figure: 'requests-at-once',
    warehouses: shape.warehouses,
    clients: CLIENTS,
    lines: 5,
    perSecond: round(operationsPerSecond, 1),
    p50Ms: round(median(latencies)),
    p99Ms: round(quantile(latencies, 0.99))
  })
}

async function whereIs(place: Place): Promise<number> {
  const { client, token, shape } = place
  const pages: number[] = []
  const whole: number[] = []
  let rows = 0
  for (let n = 0; n < Math.max(5, REQUESTS / 10); n++) {
    const part = partNumber(1 + random(PARTS))
    const begun = performance.now()
    let cursor: string | null = null
    rows = 0
    do {
      const at = performance.now()
      const page = JSON.parse(
        await client.call({
          method: 'GET',
          path: `/v1/stock?part=${part}&limit=200${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
          token
        })
      ) as { items: unknown[]; nextCursor: string | null }
      pages.push(performance.now() - at)
      rows += page.items.length
      cursor = page.nextCursor
    } while (cursor !== null)
    whole.push(performance.now() - begun)
  }
  print({
    figure: 'where-is-this-part',
    warehouses: shape.warehouses,
    rows,
    pageOf200P50Ms: round(median(pages)),
    pageOf200P99Ms: round(quantile(pages, 0.99)),
    allPagesP50Ms: round(median(whole)),
    lookups: round(median(pages) / median(await floorOf(place, 200)), 1)
  })
  return median(pages)
}

async function measure(url: string, warehouses: number): Promise<Map<string, number>> {
  await using closing = new AsyncDisposableStack()
  const shape = shapeOf(warehouses)
  const database = await openDatabase({ url, entities, poolSize: 10 })
  closing.defer(() => database.close())
  await migrate(database)
  const sql = new PgClient({ connectionString: url })
  await sql.connect()
  closing.defer(() => sql.end())
  const begun = performance.now()
  for (const text of fillOf(shape)) await sql.query(text)
  const { rows } = await sql.query(
    `select (select count(*) from balance)::int as balances, (select count(*) from lot)::int as lots, (select count(*) from balance where part_number = 'P-00009' and on_hand > 0)::int as "warehousesOfAPart"`
  )
  print({ figure: 'filled', ...shape, parts: PARTS, ...rows[0], seconds: round((performance.now() - begun) / 1000, 1) })
  const runtime = { database, clock, config }
  const app = await buildApp(runtime, { logger })
  closing.defer(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const client = new Client((app.server.address() as AddressInfo).port, CLIENTS)
  closing.defer(() => client.close())
  const token = await new SignJWT({ ...accessClaims({ clock, config: { ACCESS_TOKEN_MINUTES: 1_440 } }, CLERK.id) })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(JWT_SECRET))
  const place: Place = {
    shape,
    ctx: openContext(runtime, await actorOf(runtime, CLERK.username), logger),
    client,
    token
  }
  const medians = new Map<string, number>()
  for (const found of [...FOUND, 'mixed'] as const) medians.set(found, (await requests(place, found)).verb)
  await atOnce(place)
  medians.set('where-is-this-part', await whereIs(place))
  return medians
}

await using closing = new AsyncDisposableStack()
const server = process.env['DATABASE_URL'] ?? (await embedded(closing))
const admin = new PgClient({ connectionString: server })
await admin.connect()
closing.defer(() => admin.end())
const medians: Map<string, number>[] = []
for (const warehouses of [SMALL, NETWORK]) {
  const name = `bincard_network_${process.pid}_${warehouses}`
  await admin.query(`create database ${name}`)
  try {
    medians.push(await measure(Object.assign(new URL(server), { pathname: `/${name}` }).href, warehouses))
  } finally {
    await admin.query(`drop database ${name} with (force)`)
  }
}
for (const [what, ms] of medians[1] ?? [])
  print({
    figure: 'network-growth',
    what,
    from: SMALL,
    to: NETWORK,
    ratio: round(ms / (medians[0]?.get(what) ?? Number.NaN))
  })
