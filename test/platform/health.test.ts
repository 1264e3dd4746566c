import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import supertest from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { entities } from '../../src/orm.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { readConfig } from '../../src/platform/config.ts'
import { openContext } from '../../src/platform/context.ts'
import { migrate, openDatabase } from '../../src/platform/database.ts'
import { startEmbeddedPostgres } from '../../src/platform/embedded-postgres.ts'
import { defineJob, migrateQueue, openQueue } from '../../src/platform/queue.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const signIn = (api: Harness['api']) =>
  api.post('/v1/auth/tokens').send({ username: 'nobody@hq', password: 'wrong password' })

test('health and readiness need no credentials', async () => {
  expect((await h.api.get('/health').expect(200)).body).toEqual({
    status: 'ok',
    version: expect.any(String),
    uptimeSeconds: expect.any(Number)
  })
  expect((await h.api.get('/ready').expect(200)).body).toEqual({
    status: 'ready',
    database: 'ready',
    queue: 'not-used'
  })
})

test('a request id that looks like one is kept, any other replaced', async () => {
  expect((await h.api.get('/health').set('x-request-id', 'proxy-17:a')).headers['x-request-id']).toBe('proxy-17:a')
  expect((await h.api.get('/health').set('x-request-id', 'x'.repeat(200))).headers['x-request-id']).toMatch(
    /^[0-9a-f-]{36}$/
  )
})

test('connections that the database cuts are replaced; at worst one request is told to come again', async () => {
  await signIn(h.api).expect(401)
  await h.sql(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()'
  )

  const answers = [await signIn(h.api), await signIn(h.api)]

  expect([401, 503]).toContain(answers[0]?.status)
  expect(answers[1]?.status).toBe(401)
})

test(
  'while the database is away requests are told so and the process lives; when it is back requests and jobs work again',
  { timeout: 90_000 },
  async () => {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'bincard-away-'))
    await chmod(dataDir, 0o755)
    const log = pino({ level: 'silent' })
    let postgres = await startEmbeddedPostgres({ dataDir, log, unsafeForTests: true })
    const url = postgres.url()
    const config = readConfig({ DATABASE_URL: url, JWT_SECRET: 'a secret that is long enough for anything' })
    const database = await openDatabase({ url, entities, poolSize: 3 })
    await migrate(database)
    await migrateQueue(database)
    const queue = openQueue({ config, databaseUrl: url, log })
    const ran: string[] = []
    const job = defineJob({
      name: 'test.after-the-outage',
      run: async () => {
        ran.push('done')
      }
    })
    const runtime = { database, config, queue, clock: systemClock(config.BUSINESS_TIME_ZONE) }
    await queue.work([job], () => openContext(runtime, systemActor, log))
    const app = await buildApp(runtime, { logger: log })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const api = supertest.agent(app.server)
    try {
      expect((await api.get('/ready')).body).toEqual({ status: 'ready', database: 'ready', queue: 'ready' })
      await signIn(api).expect(401)

      await postgres.stop()

      expect((await api.get('/health')).status).toBe(200)
      expect((await api.get('/ready').expect(503)).body).toMatchObject({
        code: 'NotReady',
        detail: 'the database and the queue do not answer',
        database: 'away',
        queue: 'away'
      })
      const refused = await signIn(api).expect(503)
      expect(refused.headers).toMatchObject({
        'content-type': expect.stringContaining('application/problem+json'),
        'retry-after': '5'
      })
      expect(refused.body).toMatchObject({ type: 'urn:bincard:problem:database-unavailable', status: 503 })

      postgres = await startEmbeddedPostgres({ dataDir, log, unsafeForTests: true })
      expect(postgres.url()).toBe(url)

      await expect
        .poll(async () => (await api.get('/ready')).body, { timeout: 20_000 })
        .toEqual({ status: 'ready', database: 'ready', queue: 'ready' })
      await signIn(api).expect(401)
      await queue.enqueue(job)
      await expect.poll(() => ran, { timeout: 30_000 }).toEqual(['done'])
    } finally {
      await app.close()
      await queue.close()
      await database.close()
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
    }
  }
)
