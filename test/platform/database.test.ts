import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import supertest from 'supertest'
import { expect, test } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { entities } from '../../src/orm.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { readConfig } from '../../src/platform/config.ts'
import { databaseIsAway } from '../../src/platform/error-handler.ts'
import { migrate, openDatabase } from '../../src/platform/database.ts'
import { startEmbeddedPostgres } from '../../src/platform/embedded-postgres.ts'
import { cloneDatabase } from '../support/harness.ts'

const log = pino({ level: 'silent' })

test('a statement beyond the limit is broken off by the server; the schema is brought up to date without one', async () => {
  const { url, drop } = await cloneDatabase()
  const database = await openDatabase({ url, entities, poolSize: 2, statementTimeoutMs: 200 })

  await expect(database.pool.query('select pg_sleep(10)')).rejects.toMatchObject({ code: '57014' })
  expect(await migrate(database)).toEqual([])

  await database.close()
  await drop()
})

test('a statement that takes long on a server that answers is left alone', async () => {
  const { url, drop } = await cloneDatabase()
  const database = await openDatabase({ url, entities, poolSize: 2, hungCheckMs: 50 })

  expect((await database.pool.query('select 1 as one from pg_sleep(1)')).rows).toEqual([{ one: 1 }])

  await database.close()
  await drop()
})

test('what a process holds that is frozen in the middle of a transaction is free again after a while, and the process lives on', async () => {
  const { url, drop } = await cloneDatabase()
  const database = await openDatabase({ url, entities, poolSize: 2, idleTransactionMs: 300 })
  const frozen = await database.pool.connect()
  await frozen.query('begin')
  await frozen.query('lock table outbox in access exclusive mode')

  expect((await database.pool.query('select count(*)::int as events from outbox')).rows).toEqual([{ events: 0 }])
  await expect(frozen.query('commit')).rejects.toThrow('not queryable')

  frozen.release(true)
  await database.close()
  await drop()
})

test(
  'on a database that hangs nobody waits for ever, and all works again when it goes on',
  { timeout: 90_000 },
  async () => {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'bincard-hung-'))
    await chmod(dataDir, 0o755)
    const postgres = await startEmbeddedPostgres({ dataDir, log, unsafeForTests: true })
    const url = postgres.url()
    const config = readConfig({ DATABASE_URL: url, JWT_SECRET: 'a secret that is long enough for anything' })
    const database = await openDatabase({ url, entities, poolSize: 3, hungCheckMs: 200 })
    await migrate(database)
    const app = await buildApp({ database, config, clock: systemClock(config.BUSINESS_TIME_ZONE) }, { logger: log })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const api = supertest.agent(app.server)
    const signIn = () => api.post('/v1/auth/tokens').send({ username: 'nobody@hq', password: 'wrong password' })
    await Promise.all([signIn().expect(401), signIn().expect(401)])
    const { rows } = await database.pool.query<{ pid: number }>(
      'select pid from pg_stat_activity where datname = current_database()'
    )
    const postmaster = Number((await readFile(path.join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0])
    const stopped = [postmaster, ...rows.map(({ pid }) => pid)]
    try {
      for (const pid of stopped) process.kill(pid, 'SIGSTOP')
      const began = performance.now()

      const answers = await Promise.all(Array.from({ length: 6 }, () => signIn()))

      expect(answers.map(({ status, body }) => [status, body.code])).toEqual(
        answers.map(() => [503, 'DatabaseUnavailable'])
      )
      expect(performance.now() - began).toBeLessThan(20_000)
      await expect(database.pool.query('select 1')).rejects.toSatisfy(databaseIsAway)
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT')
    }
    await expect.poll(async () => (await signIn()).status, { timeout: 20_000 }).toBe(401)
    await app.close()
    await database.close()
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
  }
)
