import { afterAll, beforeAll, expect, test } from 'vitest'
import { runJob } from '../support/relay.ts'
import { purgeExpiredRefreshTokens } from '../../src/identity/identity.jobs.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const signIn = (username: string, password: string) => h.api.post('/v1/auth/tokens').send({ username, password })
const refresh = (refreshToken: string) => h.api.post('/v1/auth/refresh').send({ refreshToken })
const me = (token: string) => h.api.get('/v1/me').auth(token, { type: 'bearer' })

test('a person signs in and is told the duties of today (R-ORG-2)', async () => {
  const keeper = await h.make.person({
    grants: [
      { duty: 'keeper', validFrom: '2026-01-01' },
      { duty: 'technician', validTo: '2026-10-31' }
    ]
  })

  const answer = await signIn(keeper.username.toUpperCase(), keeper.password)

  expect(answer.status).toBe(200)
  expect(answer.body).toEqual({
    accessToken: expect.any(String),
    tokenType: 'Bearer',
    expiresIn: 3600,
    refreshToken: expect.stringMatching(/^bcr_/),
    refreshExpiresIn: 30 * 86_400
  })
  expect((await me(answer.body.accessToken)).body).toEqual({
    username: keeper.username,
    name: keeper.username,
    language: 'zh',
    credential: 'token',
    access: 'write',
    grants: [
      { duty: 'keeper', warehouse: null, region: null, validFrom: '2026-01-01', validTo: null, onBehalfOf: null }
    ]
  })
})

test('wrong password, unknown person, inactive person and the system account are refused alike', async () => {
  const person = await h.make.person()
  const inactive = await h.make.person()
  await h.sql('update person set active = false where id = $1', [inactive.id])

  const answers = [
    await signIn(person.username, 'not the password'),
    await signIn('nobody-at-all', person.password),
    await signIn(inactive.username, inactive.password),
    await signIn('system', person.password)
  ]

  expect(answers.map(({ status, body }) => ({ status, code: body.code, detail: body.detail }))).toEqual(
    Array.from({ length: 4 }, () => ({
      status: 401,
      code: 'CredentialsWrong',
      detail: 'user name or password is not right'
    }))
  )
})

test('a refresh token is good once; a second use ends the whole sign-in', async () => {
  const person = await h.make.person()
  const first = (await signIn(person.username, person.password)).body

  const second = await refresh(first.refreshToken)
  expect(second.status).toBe(200)
  expect(second.body.refreshToken).not.toBe(first.refreshToken)

  const again = await refresh(first.refreshToken)
  expect({ status: again.status, code: again.body.code }).toEqual({ status: 401, code: 'RefreshTokenInvalid' })
  // The thief and the owner are both out.
  expect((await refresh(second.body.refreshToken)).status).toBe(401)
  const reused = await h.sql(
    `select person_id from audit_event where action = 'person.refresh-token-reused' and subject = $1`,
    [`person:${person.username}`]
  )
  expect(reused).toEqual([{ person_id: person.id }])
})

test('a refresh token used twice withdraws the access tokens that were given for it; other sign-ins get a new one', async () => {
  const person = await h.make.person()
  const elsewhere = (await signIn(person.username, person.password)).body
  const { refreshToken } = (await signIn(person.username, person.password)).body
  const stolen = (await refresh(refreshToken)).body
  const status = async (token: string) => (await h.api.get('/v1/me').auth(token, { type: 'bearer' })).status
  expect(await status(stolen.accessToken)).toBe(200)

  h.clock.advance({ milliseconds: 1 })
  expect((await refresh(refreshToken)).status).toBe(401)

  expect([await status(stolen.accessToken), await status(elsewhere.accessToken)]).toEqual([401, 401])
  expect((await refresh(stolen.refreshToken)).status).toBe(401)
  expect(await status((await refresh(elsewhere.refreshToken)).body.accessToken)).toBe(200)
})

test('whoever was deactivated signs in anew afterwards', async () => {
  const administrator = await h.make.person({ grants: [{ duty: 'administrator' }] })
  const person = await h.make.person()
  const { accessToken } = (await signIn(person.username, person.password)).body
  h.clock.advance({ milliseconds: 1 })
  for (const active of [false, true])
    await h.api.patch(`/v1/people/${person.username}`).auth(administrator.token, { type: 'bearer' }).send({ active })

  expect((await h.api.get('/v1/me').auth(accessToken, { type: 'bearer' })).body.code).toBe('TokenWithdrawn')
})

test('of two refreshes with one token at once one succeeds', async () => {
  const person = await h.make.person()
  const { refreshToken } = (await signIn(person.username, person.password)).body

  const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(refreshToken)))

  expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 401, 401, 401, 401])
})

test('signing out ends the sign-in, and only that one', async () => {
  const person = await h.make.person()
  const here = (await signIn(person.username, person.password)).body
  const elsewhere = (await signIn(person.username, person.password)).body

  expect((await h.api.post('/v1/auth/logout').send({ refreshToken: here.refreshToken })).status).toBe(204)

  expect((await refresh(here.refreshToken)).status).toBe(401)
  expect((await refresh(elsewhere.refreshToken)).status).toBe(200)
  expect((await h.api.post('/v1/auth/logout').send({ refreshToken: 'bcr_unknown' })).status).toBe(204)
})

test('access and refresh tokens end by the clock', async () => {
  const person = await h.make.person()
  const { accessToken, refreshToken } = (await signIn(person.username, person.password)).body
  try {
    h.clock.advance({ minutes: 59 })
    expect((await me(accessToken)).status).toBe(200)
    h.clock.advance({ minutes: 1 })
    expect((await me(accessToken)).body.code).toBe('TokenExpired')
    h.clock.advance({ days: 29 })
    const next = await refresh(refreshToken)
    expect(next.status).toBe(200)
    expect((await me(next.body.accessToken)).status).toBe(200)
    h.clock.advance({ days: 31 })
    expect((await refresh(next.body.refreshToken)).status).toBe(401)
  } finally {
    h.clock.set(DEFAULT_TIME)
  }
})

test('a token that was changed, unsigned, of another issuer or no token at all is refused', async () => {
  const { token } = await h.make.person()
  const [header, payload = '', signature] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

  const codes = []
  for (const forged of [
    `${header}.${encode({ ...claims, sub: '1' })}.${signature}`,
    `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`,
    h.app.jwt.sign({ ...claims, iss: 'somebody-else' }),
    'rubbish'
  ]) {
    codes.push((await me(forged)).body.code)
  }
  expect(codes).toEqual(['TokenInvalid', 'TokenInvalid', 'TokenInvalid', 'TokenInvalid'])
})

test('without credentials the answer says what is accepted; what is public needs none', async () => {
  const answer = await h.api.get('/v1/me')

  expect(answer.status).toBe(401)
  expect(answer.headers['www-authenticate']).toBe('Bearer')
  expect(answer.body).toMatchObject({
    code: 'CredentialsRequired',
    detail: expect.stringMatching(/Authorization: Bearer .* API key/)
  })
  const open = await Promise.all(
    ['/health', '/ready', '/docs/', '/openapi.json', '/v1/no-such-thing'].map(
      async (path) => (await h.api.get(path)).status
    )
  )
  expect(open).toEqual([200, 200, 200, 200, 404])
})

test('a deactivated person is refused at the next request, with every token', async () => {
  const administrator = await h.make.person({ grants: [{ duty: 'administrator' }] })
  const person = await h.make.person()
  const { accessToken, refreshToken } = (await signIn(person.username, person.password)).body
  expect((await me(accessToken)).status).toBe(200)

  const update = await h.api
    .patch(`/v1/people/${person.username}`)
    .auth(administrator.token, { type: 'bearer' })
    .send({ active: false })

  expect(update.body).toMatchObject({ username: person.username, active: false })
  expect((await me(accessToken)).body.code).toBe('PersonInactive')
  expect((await refresh(refreshToken)).status).toBe(401)
})

test('people change their own password; every sign-in ends, with its access token', async () => {
  const person = await h.make.person()
  const { accessToken, refreshToken } = (await signIn(person.username, person.password)).body
  const status = async (token: string) => (await h.api.get('/v1/me').auth(token, { type: 'bearer' })).status
  const change = (currentPassword: string, newPassword: string) =>
    h.api.put('/v1/me/password').auth(accessToken, { type: 'bearer' }).send({ currentPassword, newPassword })

  expect((await change('not the password', 'a better password')).body.code).toBe('CredentialsWrong')
  expect((await change(person.password, 'short')).status).toBe(400)
  expect((await change(person.password, person.password)).body.code).toBe('PasswordUnchanged')
  h.clock.advance({ milliseconds: 1 })
  expect((await change(person.password, 'a better password')).status).toBe(204)

  expect(await status(accessToken)).toBe(401)
  expect((await change('a better password', 'another password')).body.code).toBe('TokenWithdrawn')
  expect((await refresh(refreshToken)).status).toBe(401)
  expect((await signIn(person.username, person.password)).status).toBe(401)
  expect(await status((await signIn(person.username, 'a better password')).body.accessToken)).toBe(200)
})

test('expired refresh tokens are purged a day later; a second run finds none', async () => {
  const person = await h.make.person()
  await signIn(person.username, person.password)
  const purge = () => runJob(h, purgeExpiredRefreshTokens)
  const tokens = () => h.sql('select 1 from refresh_token where person_id = $1', [person.id])
  try {
    h.clock.advance({ days: 30, hours: 23 })
    await purge()
    expect(await tokens()).toHaveLength(1)
    h.clock.advance({ hours: 2 })
    await purge()
    expect(await tokens()).toHaveLength(0)
    expect(await purge()).toEqual({ purged: 0 })
  } finally {
    h.clock.set(DEFAULT_TIME)
  }
})
