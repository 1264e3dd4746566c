import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { Client } from 'pg'
import { pino } from 'pino'
import supertest from 'supertest'
import { inject } from 'vitest'
import { buildApp } from '../../src/app.ts'
import type { Actor, Context } from '../../src/identity/actor.ts'
import { entities } from '../../src/orm.ts'
import { readConfig } from '../../src/platform/config.ts'
import { openContext, type Runtime } from '../../src/platform/context.ts'
import { openDatabase } from '../../src/platform/database.ts'
import { testClock, type TestClock } from './clock.ts'
import { watched } from './contract.ts'
import { makers, type Makers } from './make.ts'

/** The whole service on a database of its own: the real app, real PostgreSQL, a clock that tests move. */
export interface Harness {
  app: FastifyInstance
  /** HTTP against the listening app. */
  api: ReturnType<typeof supertest.agent>
  clock: TestClock
  runtime: Runtime
  databaseUrl: string
  make: Makers
  /** Rows of a raw statement, past every rule. */
  sql<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>
  /** What a verb is called with when no HTTP is in between. */
  contextOf(actor: Actor): Context
  /** Closes everything and drops the database. */
  close(): Promise<void>
}

/** 10:00 in Shanghai on a Friday. */
export const DEFAULT_TIME = '2026-11-20T02:00:00Z'

/**
 * Opens the service for one test file: `const h = await openHarness()` in `beforeAll`, `await h.close()` in `afterAll`.
 * @param env further variables of the configuration
 */
export async function openHarness({
  env = {},
  poolSize = 6
}: { env?: NodeJS.ProcessEnv; poolSize?: number } = {}): Promise<Harness> {
  const { url: databaseUrl, drop } = await cloneDatabase()
  const config = readConfig({
    JWT_SECRET: 'a secret for tests that is long enough',
    LOG_LEVEL: 'silent',
    LOGIN_ATTEMPTS_PER_MINUTE: '1000',
    ...env,
    DATABASE_URL: databaseUrl
  })
  const logger: FastifyBaseLogger = pino({ level: process.env['TEST_LOG'] ?? 'silent' })
  const clock = testClock(DEFAULT_TIME, config.BUSINESS_TIME_ZONE)
  const database = await openDatabase({ url: databaseUrl, entities, poolSize })
  const runtime: Runtime = { database, clock, config }
  const app = await watched(() => buildApp(runtime, { logger }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo

  const sql: Harness['sql'] = async <Row>(text: string, values: readonly unknown[] = []) =>
    (await database.pool.query(text, [...values])).rows as Row[]
  const contextOf = (actor: Actor): Context => openContext(runtime, actor, logger)
  return {
    app,
    api: supertest.agent(`http://127.0.0.1:${port}`),
    clock,
    runtime,
    databaseUrl,
    make: makers({ runtime, clock, sql, contextOf }),
    sql,
    contextOf,
    close: async () => {
      await app.close()
      await database.close()
      await drop()
    }
  }
}

/** PostgreSQL refuses to copy while one of its own workers happens to look at the template (55006); it is gone a moment later. */
async function copied(copy: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await copy()
      return
    } catch (error) {
      if ((error as { code?: string }).code !== '55006' || attempt === 5) throw error
    }
  }
}

/** A fresh copy of the migrated template, for tests that need a database but not the app. */
export async function cloneDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const serverUrl = inject('serverUrl')
  const name = `bincard_${randomBytes(6).toString('hex')}`
  await copied(() => onServer(serverUrl, `create database ${name} template ${inject('template')} strategy file_copy`))
  return {
    url: Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href,
    drop: () => onServer(serverUrl, `drop database if exists ${name} with (force)`)
  }
}

async function onServer(connectionString: string, text: string): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}
