import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness({ env: { LOGIN_ATTEMPTS_PER_MINUTE: '3' } })
})
afterAll(() => h.close())

const signIn = (username: string, password: string) => h.api.post('/v1/auth/tokens').send({ username, password })

test('failed sign-ins are limited per account; right ones are not counted and others not touched', async () => {
  const [person, other] = [await h.make.person(), await h.make.person()]
  for (let i = 0; i < 4; i++) expect((await signIn(person.username, person.password)).status).toBe(200)

  const statuses = []
  for (let i = 0; i < 4; i++) statuses.push((await signIn(person.username, 'not the password')).status)
  expect(statuses).toEqual([401, 401, 401, 429])

  const right = await signIn(person.username.toUpperCase(), person.password)
  expect(right.status).toBe(429)
  expect(Number(right.headers['retry-after'])).toBeGreaterThan(0)
  expect(right.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(right.body).toMatchObject({ code: 'TooManySignIns', type: 'urn:bincard:problem:too-many-sign-ins' })
  expect((await signIn(other.username, other.password)).status).toBe(200)
})

test('a burst of guesses at once gets no further than the limit', async () => {
  const person = await h.make.person()

  const answers = await Promise.all(Array.from({ length: 12 }, () => signIn(person.username, 'not the password')))

  expect(answers.filter(({ status }) => status === 401)).toHaveLength(3)
  expect(answers.filter(({ status }) => status === 429)).toHaveLength(9)
})

test('one address fails for at most ten accounts’ worth; another address is not touched', async () => {
  const own = await openHarness({ env: { LOGIN_ATTEMPTS_PER_MINUTE: '3', TRUST_PROXY: 'true' } })
  try {
    const person = await own.make.person()
    // Passwords that are hashed together may overload a busy machine, which counts for nothing: asked again.
    const from = async (address: string, username: string, password = 'not the password') => {
      for (;;) {
        const answer = await own.api
          .post('/v1/auth/tokens')
          .set('x-forwarded-for', address)
          .send({ username, password })
        if (answer.status !== 503) return answer
      }
    }
    const statuses: number[] = []
    for (let first = 0; first < 40; first += 8)
      statuses.push(
        ...(await Promise.all(
          Array.from({ length: 8 }, async (_, i) => (await from('203.0.113.7', `guessed-${first + i}`)).status)
        ))
      )
    expect([
      statuses.filter((status) => status === 401).length,
      statuses.filter((status) => status === 429).length
    ]).toEqual([30, 10])

    const refused = await from('203.0.113.7', person.username, person.password)
    expect([refused.status, refused.body.code]).toEqual([429, 'TooManySignIns'])
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect((await from('203.0.113.8', person.username, person.password)).status).toBe(200)
  } finally {
    await own.close()
  }
})

test('unknown API keys are limited per address; a right one from there goes on', async () => {
  const person = await h.make.person()
  const { key } = (
    await h.api.post('/v1/api-keys').auth(person.token, { type: 'bearer' }).send({ name: 'x', expiresOn: '2026-12-01' })
  ).body
  const send = (sent: string) => h.api.get('/v1/me').set('x-api-key', sent)

  const statuses = []
  for (let i = 0; i < 32; i++)
    statuses.push((await send(`bck_${String(i).padStart(12, '0')}_${'x'.repeat(43)}`)).status)
  expect(statuses).toEqual([...Array.from({ length: 30 }, () => 401), 429, 429])
  expect((await send('nonsense')).body).toMatchObject({
    code: 'TooManyUnknownKeys',
    detail: expect.stringContaining('more than 30 unknown API keys')
  })
  expect((await send(key)).status).toBe(200)
})

test('guessing the current password is limited as well', async () => {
  const person = await h.make.person()
  const guess = () =>
    h.api
      .put('/v1/me/password')
      .auth(person.token, { type: 'bearer' })
      .send({ currentPassword: 'a guess', newPassword: 'a new password' })

  const statuses = []
  for (let i = 0; i < 4; i++) statuses.push((await guess()).status)
  expect(statuses).toEqual([422, 422, 422, 429])
})

test('each API key has its own limit; people with tokens have none', async () => {
  const person = await h.make.person()
  const issue = async (rateLimitPerMinute: number) =>
    (
      await h.api
        .post('/v1/api-keys')
        .auth(person.token, { type: 'bearer' })
        .send({ name: 'x', expiresOn: '2026-12-01', rateLimitPerMinute })
    ).body.key
  const [slow, fast] = [await issue(2), await issue(10)]
  const statuses = async (key: string) => {
    const seen = []
    for (let i = 0; i < 4; i++) seen.push((await h.api.get('/v1/me').set('x-api-key', key)).status)
    return seen
  }

  expect(await statuses(slow)).toEqual([200, 200, 429, 429])
  expect(await statuses(fast)).toEqual([200, 200, 200, 200])
  const refused = await h.api.get('/v1/me').set('x-api-key', slow)
  expect(refused.body).toMatchObject({
    code: 'TooManyRequests',
    detail: expect.stringContaining('2 requests a minute')
  })
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
  for (let i = 0; i < 20; i++)
    expect((await h.api.get('/v1/me').auth(person.token, { type: 'bearer' })).status).toBe(200)
})
