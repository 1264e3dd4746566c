import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { assignDuty } from '../../src/identity/assign-duty.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { entities } from '../../src/orm.ts'
import { openDatabase, type Database } from '../../src/platform/database.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

/** Another process of the service: its own pool, cache and listening connection on the same database. */
async function openNeighbour(
  env: Partial<Harness['runtime']['config']> = {}
): Promise<{ app: FastifyInstance; close(): Promise<void> }> {
  const database: Database = await openDatabase({ url: h.databaseUrl, entities, poolSize: 2 })
  const app = await buildApp(
    { ...h.runtime, config: { ...h.runtime.config, ...env }, database },
    { logger: pino({ level: 'silent' }) }
  )
  return {
    app,
    close: async () => {
      await app.close()
      await database.close()
    }
  }
}

test('who asks is known without a question to the database once it was asked', async () => {
  const person = await h.make.person({ grants: [{ duty: 'administrator' }] })
  const { key } = (
    await h.api.post('/v1/api-keys').auth(person.token, { type: 'bearer' }).send({ name: 'x', expiresOn: '2026-12-01' })
  ).body
  // An unknown query parameter is refused after authentication and before any verb.
  const byToken = () => h.api.get('/v1/people?unknown=1').auth(person.token, { type: 'bearer' }).expect(400)
  const byKey = () => h.api.get('/v1/people?unknown=1').set('x-api-key', key).expect(400)
  await byToken()
  await byKey()

  let questions = 0
  const count = () => questions++
  h.runtime.database.pool.on('acquire', count)
  for (let i = 0; i < 5; i++) {
    await byToken()
    await byKey()
  }
  h.runtime.database.pool.off('acquire', count)

  expect(questions).toBe(0)
})

test('what one process changes, another knows without waiting for its cache to age', async () => {
  const neighbour = await openNeighbour()
  try {
    const person = await h.make.person()
    const seen = async () => {
      const answer = await neighbour.app.inject({ url: '/v1/me', headers: { authorization: `Bearer ${person.token}` } })
      return answer.statusCode === 200
        ? answer.json().grants.map(({ duty }: { duty: string }) => duty)
        : answer.json().code
    }
    // The notices of earlier tests have passed and the neighbour listens.
    await vi.waitFor(async () => expect(await listeners()).toBe(2))
    expect(await seen()).toEqual([])

    await assignDuty(h.contextOf(systemActor), { username: person.username, duty: 'purchaser' })
    await vi.waitFor(async () => expect(await seen()).toEqual(['purchaser']), { timeout: 3_000 })

    // After its connection was cut it listens again.
    await h.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bincard identity' and datname = current_database()`
    )
    await vi.waitFor(async () => expect(await listeners()).toBe(2), { timeout: 5_000 })
    expect(await seen()).toEqual(['purchaser'])
    await assignDuty(h.contextOf(systemActor), { username: person.username, duty: 'hq-finance' })
    await vi.waitFor(async () => expect(await seen()).toEqual(['purchaser', 'hq-finance']), { timeout: 3_000 })
  } finally {
    await neighbour.close()
  }
})

async function listeners(): Promise<number> {
  const rows = await h.sql(
    `select 1 from pg_stat_activity where application_name = 'bincard identity' and datname = current_database() and query = 'listen identity_changed' and state = 'idle'`
  )
  return rows.length
}

test('no password, token or key is ever logged, nor any part of a header that holds one', async () => {
  const lines: string[] = []
  const stream = new Writable({
    write: (chunk, _encoding, next) => {
      lines.push(String(chunk))
      next()
    }
  })
  const app = await buildApp(h.runtime, { logger: pino({ level: 'trace' }, stream) })
  try {
    const person = await h.make.person({ grants: [{ duty: 'administrator' }] })
    const send = async (
      method: 'GET' | 'POST' | 'PUT',
      url: string,
      payload?: object,
      headers: Record<string, string> = {}
    ) => app.inject({ method, url, headers, ...(payload && { payload }) })
    const bearer = { authorization: `Bearer ${person.token}` }
    const tokens = (
      await send('POST', '/v1/auth/tokens', { username: person.username, password: person.password })
    ).json()
    const issued = (
      await send(
        'POST',
        '/v1/api-keys',
        { name: 'x', expiresOn: '2026-12-01' },
        { ...bearer, 'idempotency-key': 'logged-once' }
      )
    ).json()
    await send('POST', '/v1/auth/tokens', { username: person.username, password: 'a wrong password' })
    await send('POST', '/v1/auth/tokens', { username: 1, password: 'a password of the wrong shape' })
    await send('POST', '/v1/auth/refresh', { refreshToken: tokens.refreshToken })
    await send('POST', '/v1/auth/refresh', { refreshToken: tokens.refreshToken })
    await send('GET', '/v1/me', undefined, { 'x-api-key': issued.key })
    await send('GET', '/v1/me', undefined, { authorization: `Bearer ${tokens.accessToken}x` })
    await send('PUT', '/v1/me/password', { currentPassword: person.password, newPassword: 'the next password' }, bearer)
    await send('PUT', `/v1/people/${person.username}/password`, { password: 'a given password' }, bearer)

    const log = lines.join('')
    expect(log).toContain('/v1/auth/tokens')
    expect(log).toContain('a refresh token came a second time')
    for (const secret of [
      person.password,
      person.token,
      tokens.accessToken,
      tokens.refreshToken,
      issued.key,
      issued.key.slice(-43),
      h.runtime.config.JWT_SECRET ?? '',
      'a wrong password',
      'of the wrong shape',
      'the next password',
      'a given password'
    ]) {
      expect(log).not.toContain(secret)
    }
  } finally {
    await app.close()
  }
})

test.skipIf(inject('redisUrl') === null)('with Redis the processes count together', async () => {
  const limited = { REDIS_URL: inject('redisUrl') as string, LOGIN_ATTEMPTS_PER_MINUTE: 2 }
  const processes = [await openNeighbour(limited), await openNeighbour(limited)]
  try {
    const person = await h.make.person()
    // Both live in this process: while one is built the other's event loop stands still, and for a second it may say it is overloaded.
    for (const { app } of processes)
      await vi.waitFor(async () => expect((await app.inject('/v1/me')).statusCode).toBe(401), { timeout: 30_000 })
    const statuses = []
    for (const process of [0, 1, 0, 1]) {
      const answer = await processes[process]?.app.inject({
        method: 'POST',
        url: '/v1/auth/tokens',
        payload: { username: person.username, password: 'a wrong password' }
      })
      statuses.push(answer?.statusCode)
    }
    expect(statuses).toEqual([401, 401, 429, 429])
  } finally {
    for (const process of processes) await process.close()
  }
})

test('a Redis that does not answer keeps nobody from signing in', async () => {
  const lonely = await openNeighbour({ REDIS_URL: 'redis://127.0.0.1:1' })
  try {
    const person = await h.make.person()
    const answer = await lonely.app.inject({
      method: 'POST',
      url: '/v1/auth/tokens',
      payload: { username: person.username, password: person.password }
    })
    expect(answer.statusCode).toBe(200)
  } finally {
    await lonely.close()
  }
})
