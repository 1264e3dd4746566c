// From a posted slip to the receiver of its webhook. Prints one JSON line per figure, for each backend of the queue.
//
// - `webhook-latency`: signed slips are really posted (the verb, one line each) at RATE a second for SECONDS, in this process; the worker
//   is a process of its own with every consumer and job that the service has. Measured from the commit of the posting, as its caller
//   hears of it, until the receiver has the body. `floor` is the bare POST of the same bodies by undici at the same rate: what HTTP on
//   this machine takes by itself. `doubles` are messages that came more than once, `missing` those that did not come within a minute.
// - `webhook-throughput`: BACKLOG events that wait for one endpoint, sent by one pump, as a share of the bare loop with as many
//   connections; `ratio` is the median of PAIRS pairs, which alternate.
//
// RATE (200), SECONDS (20), BACKLOG (4000) and PAIRS (3) may be set. Redis is measured if `redis-server` is on the PATH.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { pino } from 'pino'
import { Agent } from 'undici'
import type { Context } from '../src/identity/actor.ts'
import { actorOf, systemActor } from '../src/identity/directory.ts'
import { entities } from '../src/orm.ts'
import { systemClock } from '../src/platform/clock.ts'
import { readConfig } from '../src/platform/config.ts'
import { openContext } from '../src/platform/context.ts'
import { migrate, openDatabase } from '../src/platform/database.ts'
import { migrateQueue } from '../src/platform/queue.ts'
import { postSlip } from '../src/slips/post-slip.ts'
import { newSecret } from '../src/webhooks/create-webhook.ts'
import { deliverDue } from '../src/webhooks/deliver.ts'
import { round } from './drive.ts'
import { daysOf, fill, Preparation } from './fill.ts'
import { embedded, freePort } from './server.ts'

const RATE = Number(process.env['RATE'] ?? 200)
const SECONDS = Number(process.env['SECONDS'] ?? 20)
const BACKLOG = Number(process.env['BACKLOG'] ?? 4_000)
const PAIRS = Number(process.env['PAIRS'] ?? 3)
const CONNECTIONS = 16
const JWT_SECRET = 'a secret for the benchmark, long enough'
const print = (figure: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(figure)}\n`)
const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
const figuresOf = (milliseconds: readonly number[]) => ({
  p50Ms: round(quantile(milliseconds, 0.5), 1),
  p99Ms: round(quantile(milliseconds, 0.99), 1),
  maxMs: round(Math.max(...milliseconds), 1)
})

/** A receiver that remembers when it had what. */
async function openReceiver(closing: AsyncDisposableStack) {
  const arrived = new Map<string, number>()
  const bodies: string[] = []
  const seen = { requests: 0, doubles: 0 }
  const ids = new Set<string>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const at = performance.now()
      response.writeHead(204).end()
      seen.requests++
      const body = Buffer.concat(chunks).toString()
      const id = String(request.headers['webhook-id'])
      if (ids.has(id)) seen.doubles++
      ids.add(id)
      if (bodies.length < 1_000) bodies.push(body)
      const { data } = JSON.parse(body) as { data: { slip?: string } }
      if (data.slip !== undefined && !arrived.has(data.slip)) arrived.set(data.slip, at)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/hooks`, arrived, bodies, seen, ids }
}
type Receiver = Awaited<ReturnType<typeof openReceiver>>

/** Calls `work` RATE times a second, whether or not it has answered; answers what each said. */
async function paced<Result>(count: number, work: (index: number) => Promise<Result>): Promise<Result[]> {
  const begun = performance.now()
  const under: Promise<Result>[] = []
  for (let index = 0; index < count; index++) {
    const due = begun + (index * 1000) / RATE
    const wait = due - performance.now()
    if (wait > 1) await sleep(wait)
    under.push(work(index))
  }
  return Promise.all(under)
}

const bareAgent = new Agent({ connections: CONNECTIONS, pipelining: 1 })
async function barePost(url: string, body: string, id: string): Promise<void> {
  const { origin, pathname } = new URL(url)
  const { body: answer } = await bareAgent.request({
    origin,
    path: pathname,
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=utf-8', 'webhook-id': id },
    body
  })
  await answer.dump()
}

const ENDPOINT = `
insert into webhook_endpoint (url, events, secret, created_by, created_at) values ($1, '{slip.posted}', $2, 0, now()) returning id::text as id`

async function openWorker(env: Record<string, string>, closing: AsyncDisposableStack): Promise<void> {
  const worker = spawn(process.execPath, [path.join(import.meta.dirname, '../src/worker.ts')], {
    env: { ...process.env, ...env, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  closing.defer(async () => {
    const ended = once(worker, 'exit')
    worker.kill('SIGTERM')
    await ended
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  worker.on('exit', (code) => reject(new Error(`the worker ended with ${code}`)))
  worker.stdout.on('data', (chunk: Buffer) => {
    if (chunk.includes('worker ready')) resolve()
  })
  await promise
}

async function openRedis(closing: AsyncDisposableStack): Promise<string | undefined> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined
  const port = await freePort()
  const dir = await mkdtemp(path.join(tmpdir(), 'bincard-bench-redis-'))
  closing.defer(() => rm(dir, { recursive: true, force: true }))
  const redis = spawn('redis-server', ['--port', String(port), '--save', '', '--dir', dir], { stdio: 'ignore' })
  closing.defer(async () => {
    const ended = once(redis, 'exit')
    redis.kill()
    await ended
  })
  await sleep(500)
  return `redis://127.0.0.1:${port}`
}

async function latency(
  backend: string,
  env: Record<string, string>,
  { ctx, preparation, sql, today }: { ctx: Context; preparation: Preparation; sql: Client; today: string }
): Promise<void> {
  await using closing = new AsyncDisposableStack()
  const receiver = await openReceiver(closing)
  const { rows } = await sql.query<{ id: string }>(ENDPOINT, [receiver.url, newSecret()])
  closing.defer(async () => {
    await sql.query('delete from webhook_endpoint where id = $1', [rows[0]?.id])
  })
  const count = RATE * SECONDS
  const warmUp = RATE * 2
  const slips = await preparation.approvedSlips(1, { count: count + warmUp, occurredOn: today, lines: 1 })
  await sql.query('delete from outbox')
  await openWorker(env, closing)
  const post = async (index: number) => {
    const { number } = slips[index] ?? { number: '' }
    await postSlip(ctx, { number, handedTo: '李雷' })
    return { number, at: performance.now() }
  }
  await paced(warmUp, post)
  const begun = performance.now()
  const posted = await paced(count, (index) => post(warmUp + index))
  const rate = (count * 1000) / (performance.now() - begun)
  const isMissing = () => posted.filter(({ number }) => !receiver.arrived.has(number)).length
  for (let waited = 0; waited < 600 && isMissing() > 0; waited++) await sleep(100)
  const took = posted.flatMap(({ number, at }) => {
    const arrived = receiver.arrived.get(number)
    return arrived === undefined ? [] : [Math.max(0, arrived - at)]
  })
  const { doubles } = receiver.seen
  const missing = isMissing()
  const floor = await paced(Math.min(count, RATE * 5), async (index) => {
    const sent = performance.now()
    await barePost(receiver.url, receiver.bodies[index % receiver.bodies.length] ?? '{}', `bare-${index}`)
    return performance.now() - sent
  })
  const figures = figuresOf(took)
  const bare = figuresOf(floor)
  print({
    figure: 'webhook-latency',
    backend,
    postedPerSecond: round(rate, 1),
    ...figures,
    floor: bare,
    p50Ratio: round(figures.p50Ms / bare.p50Ms, 1),
    missing,
    doubles
  })
}

const EVENTS = `
with m as (
  insert into webhook_message (type, subject, occurred_at, body)
  select 'slip.posted', 'document:' || n, now(), $2 from generate_series(1, $3::int) n returning id, subject
)
insert into webhook_delivery (endpoint_id, message_id, subject, next_attempt_at) select $1, id, subject, now() - interval '1 second' from m`

async function throughput({ system, sql }: { system: Context; sql: Client }): Promise<void> {
  await using closing = new AsyncDisposableStack()
  const receiver: Receiver = await openReceiver(closing)
  const { rows } = await sql.query<{ id: string }>(ENDPOINT, [receiver.url, newSecret()])
  const endpoint = rows[0]?.id ?? ''
  const body = JSON.stringify({
    type: 'slip.posted',
    timestamp: '2026-11-20T02:00:00Z',
    data: {
      slip: 'W1-OUT-202611-00017',
      kind: 'issue',
      state: 'posted',
      warehouse: 'W1',
      by: 'keeper@w1',
      handedTo: '李雷'
    }
  })
  const perSecond = async (work: () => Promise<unknown>) => {
    const begun = performance.now()
    await work()
    return (BACKLOG * 1000) / (performance.now() - begun)
  }
  const pumped = async () => {
    await sql.query(EVENTS, [endpoint, body, BACKLOG])
    await sql.query('analyze webhook_delivery')
    return perSecond(async () => {
      let delivered = 0
      while (delivered < BACKLOG) delivered += (await deliverDue(system, { endpoint }))?.delivered ?? 0
    })
  }
  const bare = () =>
    perSecond(async () => {
      let next = 0
      const lane = async () => {
        while (next < BACKLOG) await barePost(receiver.url, body, `bare-${next++}`)
      }
      await Promise.all(Array.from({ length: CONNECTIONS }, lane))
    })
  const pairs: { pump: number; floor: number }[] = []
  for (let pair = 0; pair <= PAIRS; pair++) {
    const [pump, floor] = pair % 2 === 0 ? [await pumped(), await bare()] : await reversed(bare, pumped)
    // The first warms up.
    if (pair > 0) pairs.push({ pump, floor })
  }
  const ratios = pairs.map(({ pump, floor }) => pump / floor)
  print({
    figure: 'webhook-throughput',
    eventsPerSecond: round(
      quantile(
        pairs.map(({ pump }) => pump),
        0.5
      ),
      0
    ),
    floorPerSecond: round(
      quantile(
        pairs.map(({ floor }) => floor),
        0.5
      ),
      0
    ),
    ratio: round(quantile(ratios, 0.5), 3),
    ratioRange: [round(Math.min(...ratios), 3), round(Math.max(...ratios), 3)]
  })
  await sql.query('delete from webhook_endpoint where id = $1', [endpoint])
}

async function reversed(first: () => Promise<number>, second: () => Promise<number>): Promise<[number, number]> {
  const one = await first()
  return [await second(), one]
}

{
  await using closing = new AsyncDisposableStack()
  const url = process.env['DATABASE_URL'] ?? (await embedded(closing))
  const config = readConfig({ JWT_SECRET, WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' })
  const clock = systemClock(config.BUSINESS_TIME_ZONE)
  const days = daysOf(clock.today())
  const database = await openDatabase({ url, entities, poolSize: 10 })
  closing.defer(() => database.close())
  await migrate(database)
  await migrateQueue(database)
  const sql = new Client({ connectionString: url })
  await sql.connect()
  closing.defer(() => sql.end())
  await fill(sql, { movements: 20_000, days })
  await sql.query('delete from outbox')
  const preparation = new Preparation(sql)
  const log = pino({ level: 'silent' })
  const runtime = { database, clock, config }
  const ctx = openContext(runtime, await actorOf(runtime, 'keeper@w1'), log)
  const system = openContext(runtime, systemActor, log)
  await throughput({ system, sql })
  const env = { DATABASE_URL: url, JWT_SECRET, WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' }
  await latency('postgresql', env, { ctx, preparation, sql, today: days.today })
  const redis = await openRedis(closing)
  if (redis !== undefined)
    await latency('redis', { ...env, REDIS_URL: redis }, { ctx, preparation, sql, today: days.today })
}
process.exit()
