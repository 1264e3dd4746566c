import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPerson } from '../../src/identity/create-person.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { openHarness, type Harness } from '../support/harness.ts'

/** An OpenID Connect issuer with one key. */
interface Issuer {
  url: string
  requests: string[]
  isDown: boolean
  token(claims: JWTPayload, headers?: { kid?: string }): Promise<string>
  close(): void
}

async function openIssuer(): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'first', alg: 'RS256', use: 'sig' }
  const issuer: Issuer = {
    url: '',
    requests: [],
    isDown: false,
    token: (claims, { kid = 'first' } = {}) =>
      new SignJWT({ iss: issuer.url, aud: 'warehouse', ...claims })
        .setProtectedHeader({ alg: 'RS256', kid })
        .sign(privateKey),
    close: () => server.close()
  }
  const server: Server = createServer((request, response) => {
    issuer.requests.push(request.url ?? '')
    if (issuer.isDown) return response.writeHead(503).end()
    response.setHeader('content-type', 'application/json')
    if (request.url === '/.well-known/openid-configuration')
      return response.end(JSON.stringify({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }))
    if (request.url === '/keys') return response.end(JSON.stringify({ keys: [jwk] }))
    return response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  issuer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return issuer
}

let issuer: Issuer
let h: Harness
beforeAll(async () => {
  issuer = await openIssuer()
  h = await openHarness({ env: { OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: 'warehouse', JWT_SECRET: '' } })
  await createPerson(h.contextOf(systemActor), { username: 'wang.fang', name: '王芳' })
})
afterAll(async () => {
  await h.close()
  issuer.close()
})

const me = (token: string) => h.api.get('/v1/me').auth(token, { type: 'bearer' })
const seconds = (time: string) => Math.floor(Date.parse(time) / 1000)
const exp = seconds('2026-11-20T03:00:00Z')

test('an issuer that does not answer is said to be away, and asked again next time', async () => {
  issuer.isDown = true
  const token = await issuer.token({ preferred_username: 'wang.fang', exp })
  const away = await me(token)
  expect([away.status, away.body.code]).toEqual([503, 'IssuerUnavailable'])

  // What could not be its token is refused without asking it.
  const before = issuer.requests.length
  for (const garbage of [
    'garbage',
    'a.b.c',
    await issuer.token({ sub: 'wang.fang', exp, iss: 'https://issuer.example' })
  ]) {
    const refused = await me(garbage)
    expect([refused.status, refused.body.code]).toEqual([401, 'TokenInvalid'])
  }
  expect(issuer.requests.length).toBe(before)

  issuer.isDown = false
  expect((await me(token)).status).toBe(200)
})

test('a token of the issuer acts for the person of its preferred_username, else of its sub', async () => {
  expect((await me(await issuer.token({ preferred_username: 'Wang.Fang', sub: 'f3b1', exp }))).body).toMatchObject({
    username: 'wang.fang',
    credential: 'token'
  })
  expect((await me(await issuer.token({ sub: 'wang.fang', exp }))).status).toBe(200)

  const before = issuer.requests.length
  for (let i = 0; i < 3; i++) await me(await issuer.token({ sub: 'wang.fang', exp }))
  expect(issuer.requests.length).toBe(before)
})

test('a token for another audience, of another issuer, expired, without expiry, unknown or by another key is refused', async () => {
  const stranger = await openIssuer()
  const { privateKey } = await generateKeyPair('RS256')
  try {
    const codes = []
    for (const token of [
      await issuer.token({ sub: 'wang.fang', exp, aud: 'another-service' }),
      await issuer.token({ sub: 'wang.fang', exp, iss: 'https://issuer.example' }),
      await stranger.token({ sub: 'wang.fang', exp }),
      await issuer.token({ sub: 'wang.fang', exp: seconds('2026-11-20T01:59:59Z') }),
      await issuer.token({ sub: 'wang.fang' }),
      await issuer.token({ sub: 'nobody-at-all', exp }),
      await issuer.token({ exp }),
      await issuer.token({ sub: 'wang.fang', exp }, { kid: 'second' }),
      await new SignJWT({ iss: issuer.url, aud: 'warehouse', sub: 'wang.fang', exp })
        .setProtectedHeader({ alg: 'RS256', kid: 'first' })
        .sign(privateKey),
      await new SignJWT({ iss: 'bincard', sub: '1', exp })
        .setProtectedHeader({ alg: 'HS256' })
        .sign(new TextEncoder().encode('a secret for tests that is long enough'))
    ]) {
      const { status, body } = await me(token)
      codes.push([status, body.code])
    }
    expect(codes).toEqual([
      [401, 'TokenInvalid'],
      [401, 'TokenInvalid'],
      [401, 'TokenInvalid'],
      [401, 'TokenExpired'],
      [401, 'TokenInvalid'],
      [401, 'PersonUnknown'],
      [401, 'TokenInvalid'],
      [401, 'TokenInvalid'],
      [401, 'TokenInvalid'],
      [401, 'TokenInvalid']
    ])
  } finally {
    stranger.close()
  }
})

test('a cached token still ends by the clock', async () => {
  const token = await issuer.token({ sub: 'wang.fang', exp })
  expect((await me(token)).status).toBe(200)
  try {
    h.clock.advance({ hours: 1 })
    expect((await me(token)).body.code).toBe('TokenExpired')
  } finally {
    h.clock.advance({ hours: -1 })
  }
})

test('where there is only the issuer, a password is refused with where to go', async () => {
  const answer = await h.api.post('/v1/auth/tokens').send({ username: 'wang.fang', password: 'whatever it is' })

  expect([answer.status, answer.body.code]).toEqual([403, 'PasswordSignInDisabled'])
  expect(answer.body.detail).toContain(issuer.url)
})

test('beside a secret of its own the service accepts both', async () => {
  const both = await openHarness({ env: { OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: 'warehouse' } })
  try {
    const person = await both.make.person()
    const { body } = await both.api
      .post('/v1/auth/tokens')
      .send({ username: person.username, password: person.password })
    expect((await both.api.get('/v1/me').auth(body.accessToken, { type: 'bearer' })).body.username).toBe(
      person.username
    )
    const foreign = await issuer.token({ preferred_username: person.username, exp })
    expect((await both.api.get('/v1/me').auth(foreign, { type: 'bearer' })).body.username).toBe(person.username)
  } finally {
    await both.close()
  }
})
