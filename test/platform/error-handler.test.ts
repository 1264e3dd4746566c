import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import Fastify from 'fastify'
import { errorHandler } from '../../src/platform/error-handler.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'

let h: Harness
let admin: MadePerson
beforeAll(async () => {
  h = await openHarness()
  admin = await h.make.person({ grants: [{ duty: 'administrator' }] })
})
afterAll(() => h.close())

const asAdmin = (method: 'post' | 'put', path: string) => h.api[method](path).auth(admin.token, { type: 'bearer' })

describe('a problem document', () => {
  test('never holds the secret that was sent, not even misspelt, of the wrong type or in broken JSON', async () => {
    const secret = 'Hx7'
    const answers = [
      await h.api.put('/v1/me/password').auth(admin.token, { type: 'bearer' }).send({ newPassword: secret }),
      await asAdmin('put', `/v1/people/${admin.username}/password`).send({ password: secret }),
      await asAdmin('post', '/v1/people').send({ username: 'someone@hq', name: 'Someone', password: secret }),
      await h.api.post('/v1/auth/tokens').send({ username: 'someone@hq', passwort: secret }),
      await h.api.post('/v1/auth/tokens').send({ username: 'someone@hq', password: [secret] }),
      await h.api.post('/v1/auth/tokens').send(JSON.stringify(secret)).type('json'),
      await h.api.post('/v1/auth/tokens').send(`{"username":"a","password":${secret}}`).type('json')
    ]

    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 400))
    for (const { text } of answers) expect(text).not.toContain(secret)
  })

  test('shows a little of what was sent, however much it was', async () => {
    const many = Array.from({ length: 501 }, () => ({ part: 'x'.repeat(30), quantity: '1' }))
    const write = (slip: object) =>
      asAdmin('post', '/v1/warehouses/HQ/slips')
        .send({ kind: 'issue', ...slip })
        .expect(400)
    const { body, text } = await write({ reference: 'R-1', lines: many })

    expect(body.errors).toEqual([
      { pointer: '/lines', detail: expect.any(String), sent: '501 items', accepted: { limit: 500 } }
    ])
    expect((await write({ reference: 'y'.repeat(5_000), lines: [] })).text.length).toBeLessThan(2_000)
    expect(text.length).toBeLessThan(2_000)
  })

  test('tells a parameter of the path from one of the query', async () => {
    const get = (path: string) => h.api.get(path).auth(admin.token, { type: 'bearer' }).expect(400)

    expect((await get('/v1/warehouses/hq/stock')).body.errors[0]).toMatchObject({ pointer: '{warehouse}', sent: 'hq' })
    expect((await get('/v1/warehouses/HQ?x=1')).body).toMatchObject({
      detail: expect.not.stringMatching(/known are *$/),
      errors: [{ pointer: '?x' }]
    })
  })
})

test.for([
  ['GET', 'Connection terminated unexpectedly', /nothing was changed/],
  ['POST', 'Connection terminated unexpectedly', /not known whether .* took effect.*same Idempotency-Key/],
  ['PUT', 'terminating connection due to administrator command', /not known whether .* took effect/],
  ['POST', 'timeout exceeded when trying to connect', /nothing was changed/]
] as const)('of a %s that lost its database (%s) only what is known is said', async ([method, message, said]) => {
  const app = Fastify()
  await app.register(errorHandler)
  app.route({
    method,
    url: '/',
    handler: () => {
      throw new Error(message)
    }
  })

  const { statusCode, body } = await app.inject({ method, url: '/' })
  await app.close()

  expect(statusCode).toBe(503)
  expect(JSON.parse(body)).toMatchObject({ code: 'DatabaseUnavailable', detail: expect.stringMatching(said) })
})
