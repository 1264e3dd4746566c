import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { buildApp } from '../../src/app.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { readConfig } from '../../src/platform/config.ts'
import { defineJob, migrateQueue, openQueue, type JobQueue } from '../../src/platform/queue.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { redisDatabase } from '../support/redis.ts'

const log = pino({ level: 'silent' })
const HERE = { host: 'bincard.test', origin: 'http://bincard.test' }
const redisUrl = redisDatabase(4)

let h: Harness
let administrator: MadePerson
let keeper: MadePerson
beforeAll(async () => {
  h = await openHarness()
  await h.make.warehouse({ code: 'HQ', region: 'HOME' })
  administrator = await h.make.person({ grants: [{ duty: 'administrator' }] })
  keeper = await h.make.person({ grants: [{ duty: 'keeper', warehouse: 'HQ' }] })
  await migrateQueue(h.runtime.database)
})
afterAll(() => h.close())

interface Opened {
  app: FastifyInstance
  queue: JobQueue
  close(): Promise<void>
}

/** Building an app holds the process up, which its measure of load must have forgotten. */
async function settled(app: FastifyInstance): Promise<FastifyInstance> {
  await vi.waitFor(async () => expect((await app.inject('/board/sign-in')).statusCode).toBe(200), { timeout: 15_000 })
  return app
}

/** The service with a queue, behind a proxy. */
async function open(isOnRedis = false): Promise<Opened> {
  const config = readConfig({
    JWT_SECRET: h.runtime.config.JWT_SECRET,
    LOGIN_ATTEMPTS_PER_MINUTE: '2',
    TRUST_PROXY: 'true',
    DATABASE_URL: h.databaseUrl
  })
  const queue = openQueue({
    config: { ...config, ...(isOnRedis && redisUrl !== null && { REDIS_URL: redisUrl }) },
    databaseUrl: h.databaseUrl,
    log
  })
  await Promise.all(queue.queues.map((each) => each.waitUntilReady()))
  const app = await settled(await buildApp({ ...h.runtime, config, queue }, { logger: log }))
  return {
    app,
    queue,
    close: async () => {
      await app.close()
      await queue.close()
    }
  }
}

const signIn = (app: FastifyInstance, form: Record<string, string>, headers: Record<string, string> = HERE) =>
  app.inject({
    method: 'POST',
    url: '/board/sign-in',
    headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams(form).toString()
  })
const cookieOf = (answer: { headers: Record<string, unknown> }) =>
  String(answer.headers['set-cookie']).split(';')[0] ?? ''

describe('signing in at the job board (任务看板)', () => {
  let at: Opened
  beforeAll(async () => {
    at = await open()
  })
  afterAll(() => at.close())
  const get = (url: string, cookie?: string) =>
    at.app.inject({ method: 'GET', url, headers: { ...HERE, ...(cookie !== undefined && { cookie }) } })

  test('is asked for on every page, and nothing is told before', async () => {
    for (const url of ['/board', '/board/', '/board/queue/bincard', '/board/job-schedulers']) {
      const answer = await get(url)
      expect([url, answer.statusCode, answer.headers['content-type']]).toEqual([url, 401, 'text/html; charset=utf-8'])
      expect(answer.body).toContain('action="/board/sign-in"')
      expect(answer.body).not.toContain('__UI_CONFIG__')
    }
    for (const url of ['/board/api/queues', '/board/static/images/logo.svg', '/board/api/queues/bincard/1/logs']) {
      const answer = await get(url)
      expect([url, answer.statusCode, answer.json().code]).toEqual([url, 401, 'CredentialsRequired'])
    }
    expect((await get('/board/sign-in')).statusCode).toBe(200)
    for (const form of [{}, { username: 'admin' }, { username: 'a', password: 'b', more: 'c' }])
      expect((await signIn(at.app, form as never)).statusCode).toBe(400)
  })

  test('gives an administrator a cookie for the board alone, and leaves no refresh token behind', async () => {
    const { username, password } = administrator
    const answer = await signIn(at.app, { username, password })
    expect([answer.statusCode, answer.headers['location']]).toEqual([303, '/board/'])
    expect(String(answer.headers['set-cookie']).split('; ').slice(1)).toEqual([
      'Max-Age=3600',
      'Path=/board',
      'HttpOnly',
      'SameSite=Strict'
    ])
    const board = await get('/board/', cookieOf(answer))
    expect([board.statusCode, board.body.includes('__UI_CONFIG__')]).toEqual([200, true])
    expect((await get('/board/api/queues', cookieOf(answer))).json().queues.map(({ name }: any) => name)).toEqual([
      'bincard',
      'bincard-long',
      'bincard-deliveries'
    ])
    expect((await get('/board/static/images/logo.svg', cookieOf(answer))).statusCode).toBe(200)
    // It opens nothing else.
    expect((await get('/v1/me', cookieOf(answer))).statusCode).toBe(401)
    expect(
      await h.sql(`select revoked_at is not null as revoked from refresh_token where person_id = $1`, [
        administrator.id
      ])
    ).toEqual([{ revoked: true }])
    expect(
      await h.sql(`select action from audit_event where person_id = $1 and subject = $2`, [
        administrator.id,
        `person:${username}`
      ])
    ).toEqual([{ action: 'person.signed-in' }])
  })

  test('behind https the cookie is sent over https alone', async () => {
    const { username, password } = administrator
    const answer = await signIn(at.app, { username, password }, { ...HERE, 'x-forwarded-proto': 'https' })
    expect(String(answer.headers['set-cookie'])).toContain('; Secure')
    // A proxy that does not say so is seen through: the browser does.
    const told = await signIn(at.app, { username, password }, { host: HERE.host, origin: `https://${HERE.host}` })
    expect(String(told.headers['set-cookie'])).toContain('; Secure')
  })

  test('says no more than elsewhere to a wrong password, and counts it', async () => {
    const { username, password } = await h.make.person({ grants: [{ duty: 'administrator' }] })
    const wrong = { username, password: 'x<script>' }
    const first = await signIn(at.app, wrong)
    expect([first.statusCode, first.headers['set-cookie']]).toEqual([401, undefined])
    expect(first.body).toContain('user name or password is not right')
    expect(first.body).not.toContain('<script>')
    await signIn(at.app, wrong)
    const third = await signIn(at.app, { username, password })
    expect([third.statusCode, Number(third.headers['retry-after']) > 0]).toEqual([429, true])
    expect(third.body).toContain('too many failed sign-ins')
  })

  test('is refused to everybody who is not administrator everywhere', async () => {
    const region = await h.make.person({ grants: [{ duty: 'administrator', region: 'HOME' }] })
    for (const { username, password, token } of [keeper, region]) {
      const answer = await signIn(at.app, { username, password })
      expect([answer.statusCode, answer.headers['set-cookie']]).toEqual([403, undefined])
      expect(answer.body).toContain('this needs the duty administrator (系统管理员) everywhere')
      // A token of theirs in the cookie helps as little.
      expect((await get('/board/', `bincard_board=${token}`)).statusCode).toBe(403)
      const api = await get('/board/api/queues', `bincard_board=${token}`)
      expect([api.statusCode, api.json().code]).toEqual([403, 'DutyRequired'])
    }
  })

  test('ends with the duty, the account and the hour', async () => {
    const person = await h.make.person({ grants: [{ duty: 'administrator' }] })
    const cookie = cookieOf(await signIn(at.app, { username: person.username, password: person.password }))
    expect((await get('/board/api/queues', cookie)).statusCode).toBe(200)
    h.clock.advance({ minutes: 61 })
    const late = await get('/board/', cookie)
    expect([late.statusCode, late.body.includes('the access token has expired')]).toEqual([401, true])
    h.clock.advance({ minutes: -61 })
    await h.sql('update duty_assignment set ended_at = now(), ended_by = 0 where person_id = $1', [person.id])
    await h.sql(`select pg_notify('identity_changed', '')`)
    await expect.poll(async () => (await get('/board/api/queues', cookie)).statusCode).toBe(403)
    await h.sql('update person set active = false where id = $1', [person.id])
    await h.sql(`select pg_notify('identity_changed', '')`)
    await expect.poll(async () => (await get('/board/api/queues', cookie)).statusCode).toBe(401)
    for (const forged of ['forged', '%E0%A4%A', 'bck_0123456789ab_x', `"${administrator.token}x"`])
      expect((await get('/board/api/queues', `bincard_board=${forged}`)).json()).toMatchObject({ status: 401 })
  })

  test('an API key opens nothing', async () => {
    const answer = await at.app.inject({
      method: 'POST',
      url: '/v1/api-keys',
      headers: { authorization: `Bearer ${administrator.token}` },
      payload: { name: 'robot', expiresOn: '2027-01-01' }
    })
    expect(answer.statusCode).toBe(201)
    expect((await get('/board/api/queues', `bincard_board=${answer.json().key}`)).statusCode).toBe(401)
    const asHeader = await at.app.inject({ url: '/board/api/queues', headers: { 'x-api-key': answer.json().key } })
    expect(asHeader.statusCode).toBe(401)
  })

  test('signing out takes the cookie back', async () => {
    const cookie = `bincard_board=${administrator.token}`
    expect((await get('/board/sign-out', cookie)).body).toContain(administrator.username)
    const answer = await at.app.inject({ method: 'POST', url: '/board/sign-out', headers: { ...HERE, cookie } })
    expect([answer.statusCode, answer.headers['location']]).toEqual([303, '/board/sign-in'])
    expect(String(answer.headers['set-cookie'])).toContain('bincard_board=; ')
  })

  test('only a page of the board itself writes', async () => {
    const cookie = `bincard_board=${administrator.token}`
    const pause = (headers: Record<string, string>) =>
      at.app.inject({ method: 'PUT', url: '/board/api/queues/bincard/pause', headers: { cookie, ...headers } })
    const foreign: Record<string, string>[] = [
      { host: 'bincard.test' },
      { host: 'bincard.test', origin: 'https://evil.test' },
      { host: 'bincard.test', origin: 'http://bincard.test:8080' },
      { host: 'bincard.test', origin: 'null' },
      { ...HERE, 'sec-fetch-site': 'cross-site' },
      { ...HERE, 'sec-fetch-site': 'same-site' }
    ]
    for (const headers of foreign) {
      const answer = await pause(headers)
      expect([headers, answer.statusCode, answer.json().code]).toEqual([headers, 403, 'OriginForeign'])
    }
    expect((await signIn(at.app, administrator as never, { host: 'bincard.test' })).statusCode).toBe(403)
    expect(await at.queue.queues[0]?.isPaused()).toBe(false)
    expect((await pause(HERE)).statusCode).toBe(200)
    expect(await at.queue.queues[0]?.isPaused()).toBe(true)
    await at.queue.queues[0]?.resume()
    expect(
      await h.sql(`select person_id as "personId", action, details from audit_event where subject = 'queue:bincard'`)
    ).toEqual([
      {
        personId: administrator.id,
        action: 'queue.changed',
        details: { method: 'PUT', path: '/api/queues/bincard/pause' }
      }
    ])
  })

  test('lets nothing run but its own files, and stands in no frame', async () => {
    const { headers } = await get('/board/', `bincard_board=${administrator.token}`)
    expect(headers['content-security-policy']).toContain(`default-src 'none'; script-src 'self';`)
    expect(headers['content-security-policy']).toContain(`frame-ancestors 'none'`)
    expect([headers['referrer-policy'], headers['cache-control'], headers['x-content-type-options']]).toEqual([
      'same-origin',
      'no-store',
      'nosniff'
    ])
    // Other requests carry none of it.
    const other = await get('/v1/calendar/working-days')
    expect(other.headers).not.toHaveProperty('content-security-policy')
  })

  test('is no part of the API, and not there without a queue', async () => {
    expect(Object.keys(at.app.swagger().paths ?? {}).filter((path) => path.startsWith('/board'))).toEqual([])
    expect((await h.api.get('/board')).status).toBe(404)
  })

  test('where people sign in at an issuer only, takes its token instead of a password', async () => {
    const config = { ...h.runtime.config, JWT_SECRET: undefined as never, OIDC_ISSUER: 'https://issuer.test' }
    const app = await settled(await buildApp({ ...h.runtime, config, queue: at.queue }, { logger: log }))
    try {
      const page = await app.inject({ url: '/board' })
      expect([page.body.includes('name="token"'), page.body.includes('name="password"')]).toEqual([true, false])
      const { username, password } = administrator
      expect((await signIn(app, { username, password })).body).toContain('nobody signs in with a password here')
      expect((await signIn(app, { token: 'not one of the issuer' })).statusCode).toBe(401)
    } finally {
      await app.close()
    }
  })
})

describe.for([
  { backend: 'postgresql' as const, isHere: true },
  { backend: 'redis' as const, isHere: redisUrl !== null }
])('the job board on $backend', ({ backend, isHere }) => {
  let at: Opened
  let isBroken = false
  const ran: string[] = []
  beforeAll(async () => {
    if (isHere) at = await open(backend === 'redis')
    for (const queue of isHere ? at.queue.queues : []) await queue.obliterate({ force: true })
  })
  afterAll(async () => {
    if (isHere) await at.close()
    if (redisUrl === null) return
    const redis = new Redis(redisUrl)
    await redis.flushdb()
    redis.disconnect()
  })

  const work = async (name: string) => {
    ran.push(name)
    if (isBroken) throw new Error('the shelf is empty')
  }
  const payload = Type.Object({ part: Type.String() })
  const short = defineJob({ name: 'test.short', payload, run: () => work('short') })
  const long = defineJob({ name: 'test.long', lane: 'long', isTracked: true, payload, run: () => work('long') })
  const daily = defineJob({ name: 'test.daily', schedule: { pattern: '0 6 * * *' }, run: async () => undefined })

  const cookie = () => `bincard_board=${administrator.token}`
  const get = async (url: string) =>
    (await at.app.inject({ url: `/board/api${url}`, headers: { ...HERE, cookie: cookie() } })).json()
  const put = (url: string) =>
    at.app.inject({ method: 'PUT', url: `/board/api${url}`, headers: { ...HERE, cookie: cookie() } })

  test.runIf(isHere)('shows the queue of every lane with its jobs and schedules', async () => {
    await at.queue.enqueue(short, { part: 'CH-0234' })
    await at.queue.enqueue(long, { part: 'CH-0235' }, { delayMs: 60_000 })

    const { queues } = await get('/queues?activeQueue=bincard&status=latest&page=1')
    expect(queues.map(({ name, counts }: any) => [name, counts.waiting, counts.delayed])).toEqual([
      ['bincard', 1, 0],
      ['bincard-long', 0, 1],
      ['bincard-deliveries', 0, 0]
    ])
    expect(queues[0].jobs).toMatchObject([{ name: 'test.short', data: { payload: { part: 'CH-0234' } } }])
    await at.queue.work([short, long, daily], () => h.contextOf(systemActor))
    await expect.poll(() => ran, { timeout: 15_000 }).toEqual(['short'])
    expect(JSON.stringify(await get('/job-schedulers'))).toContain('test.daily')
    expect(await get('/redis/stats')).toMatchObject({ version: expect.any(String) })
    expect(at.queue.backend).toBe(backend)
  })

  test.runIf(isHere)('tries a dead job again, and its run is done (R-ALR-2)', async () => {
    ran.length = 0
    isBroken = true
    await h.sql('truncate job_run, outbox')
    for (const job of [short, long]) {
      const queue = at.queue.queues[job.lane === 'long' ? 1 : 0]
      // One attempt, so that the test need not wait for the others.
      await queue?.add(job.name, { payload: { part: 'CH-0234' } }, { attempts: 1, removeOnComplete: true })
    }
    // One that somebody asked for.
    const [asked] = await h.sql<{ id: string }>(
      `insert into job_run (name, state, requested_by, requested_at) values ('test.asked', 'queued', 0, now()) returning id::text as id`
    )
    await at.queue.queues[0]?.add('test.short', { payload: { part: 'CH-0235' }, run: asked?.id }, { attempts: 1 })
    const runs = () => h.sql<{ name: string; state: string }>('select name, state from job_run order by name')
    await expect.poll(runs, { timeout: 15_000 }).toEqual([
      { name: 'test.asked', state: 'dead' },
      { name: 'test.long', state: 'dead' },
      { name: 'test.short', state: 'dead' }
    ])

    isBroken = false
    const [failed] = (await get('/queues?activeQueue=bincard-long&status=failed&page=1')).queues[1].jobs
    expect(failed).toMatchObject({ name: 'test.long', failedReason: 'the shelf is empty' })
    expect((await put(`/queues/bincard-long/${failed.id}/retry`)).statusCode).toBe(204)
    expect((await put('/queues/bincard/retry/failed')).json()).toEqual({ retried: 2, skipped: 0 })

    await expect.poll(runs, { timeout: 15_000 }).toEqual([
      { name: 'test.asked', state: 'done' },
      { name: 'test.long', state: 'done' },
      { name: 'test.short', state: 'done' }
    ])
    expect(ran.toSorted()).toEqual(['long', 'long', 'short', 'short', 'short', 'short'])
  })
})
