import { afterAll, beforeAll, expect, test } from 'vitest'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { makePlaces } from './places.ts'

let h: Harness
let administrator: MadePerson
beforeAll(async () => {
  h = await openHarness()
  await makePlaces(h)
  administrator = await h.make.person({ grants: [{ duty: 'administrator' }] })
})
afterAll(() => h.close())

const issue = (by: MadePerson, body: object) =>
  h.api
    .post('/v1/api-keys')
    .auth(by.token, { type: 'bearer' })
    .send({ name: 'ERP bridge', expiresOn: '2027-11-20', ...body })
const me = (key: string) => h.api.get('/v1/me').set('x-api-key', key)
const revoke = (by: MadePerson, id: string) =>
  h.api.post(`/v1/api-keys/${id}/revocation`).auth(by.token, { type: 'bearer' }).send({})

test('a key is shown once, acts for its person and is found again without its secret', async () => {
  const clerk = await h.make.person({ grants: [{ duty: 'outlet-clerk', warehouse: 'SH01' }] })

  const issued = await issue(administrator, { person: clerk.username, access: 'write' })

  expect(issued.status).toBe(201)
  expect(issued.body).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{12}$/),
    name: 'ERP bridge',
    person: clerk.username,
    access: 'write',
    duties: null,
    warehouses: null,
    rateLimitPerMinute: null,
    issuedBy: administrator.username,
    issuedAt: '2026-11-20T02:00:00.000Z',
    // The whole of 20 November 2027 in Shanghai.
    expiresAt: '2027-11-20T16:00:00.000Z',
    revokedAt: null,
    lastUsedAt: null,
    key: expect.stringMatching(/^bck_[0-9a-f]{12}_.{43}$/)
  })
  const { key, id, ...shown } = issued.body
  const grant = {
    duty: 'outlet-clerk',
    warehouse: 'SH01',
    region: null,
    validFrom: '2000-01-01',
    validTo: null,
    onBehalfOf: null
  }
  expect((await me(key)).body).toMatchObject({
    username: clerk.username,
    credential: 'api-key',
    access: 'write',
    grants: [grant]
  })
  expect((await h.api.get('/v1/me').auth(key, { type: 'bearer' })).status).toBe(200)

  const list = await h.api
    .get('/v1/api-keys')
    .query({ person: clerk.username })
    .auth(administrator.token, { type: 'bearer' })
  expect(list.body.items).toEqual([{ id, ...shown, lastUsedAt: '2026-11-20T02:00:00.000Z' }])
  const everything = JSON.stringify([
    list.body,
    await h.sql('select * from api_key'),
    await h.sql('select * from audit_event')
  ])
  expect(everything).not.toContain(key.slice(-43))
})

test('a key has at most the duties, warehouses and access that were named', async () => {
  const head = await h.make.person({
    grants: [{ duty: 'department-head', region: 'EAST' }, { duty: 'purchaser' }, { duty: 'keeper', warehouse: 'GZ01' }]
  })
  const grantsOf = async (body: object) =>
    (await me((await issue(head, body)).body.key)).body.grants.map(
      ({ duty, warehouse, region }: Record<string, string>) => [duty, warehouse, region]
    )

  expect(await grantsOf({ duties: ['department-head'] })).toEqual([['department-head', null, 'EAST']])
  expect(await grantsOf({ warehouses: ['SH02'] })).toEqual([
    ['department-head', 'SH02', null],
    ['purchaser', 'SH02', null]
  ])
  expect(await grantsOf({ warehouses: ['GZ01'], duties: ['keeper'] })).toEqual([['keeper', 'GZ01', null]])
  expect((await issue(head, { warehouses: ['NOWHERE'] })).status).toBe(404)
})

test('a key for duties or warehouses that its person does not hold is refused: it would do nothing', async () => {
  const keeper = await h.make.person({
    grants: [
      { duty: 'keeper', warehouse: 'GZ01' },
      { duty: 'technician', warehouse: 'SH01', validFrom: '2026-12-01' },
      { duty: 'outlet-clerk', warehouse: 'SH02', validTo: '2026-11-19' }
    ]
  })
  const refused = [
    await issue(keeper, { duties: ['keeper', 'administrator'] }),
    await issue(keeper, { duties: ['outlet-clerk'] }),
    await issue(keeper, { duties: ['keeper'], warehouses: ['SH01'] }),
    await issue(keeper, { warehouses: ['GZ01', 'SH02'] }),
    await issue(keeper, { duties: ['keeper'], warehouses: ['GZ01', 'SH01'] })
  ]
  expect(refused.map(({ status, body }) => [status, body.code])).toEqual([
    [422, 'DutyNotHeld'],
    [422, 'DutyNotHeld'],
    [422, 'DutyNotHeld'],
    [422, 'WarehouseNotHeld'],
    [422, 'WarehouseNotHeld']
  ])
  expect(refused[0]?.body.errors).toEqual([
    {
      pointer: '/duties',
      detail: 'is not held by the person',
      sent: 'administrator',
      accepted: ['keeper', 'technician']
    }
  ])
  // What begins later is held later.
  expect((await issue(keeper, { duties: ['technician'], warehouses: ['SH01'] })).status).toBe(201)
})

test('a read key changes nothing', async () => {
  const { key } = (await issue(administrator, { access: 'read' })).body

  expect((await h.api.get('/v1/people').set('x-api-key', key)).status).toBe(200)
  const write = await h.api.post('/v1/people').set('x-api-key', key).send({ username: 'by-a-key', name: 'X' })
  expect({ status: write.status, code: write.body.code }).toEqual({ status: 403, code: 'ReadOnlyKey' })
})

test('a key decides nothing about who may act, even an administrator’s: whoever stole it would outlive its revocation', async () => {
  const { key } = (await issue(administrator, { access: 'write' })).body
  const person = await h.make.person({ grants: [{ duty: 'keeper', warehouse: 'SH01' }] })
  const [duty] = await h.sql<{ id: number }>('select id from duty_assignment where person_id = $1', [person.id])

  const refused = [
    await h.api.post('/v1/people').set('x-api-key', key).send({ username: 'by-a-machine', name: 'X' }),
    await h.api.patch(`/v1/people/${person.username}`).set('x-api-key', key).send({ active: false }),
    await h.api.post(`/v1/people/${person.username}/duties`).set('x-api-key', key).send({ duty: 'administrator' }),
    await h.api.post(`/v1/people/${person.username}/duties/${duty?.id}/end`).set('x-api-key', key).send({}),
    await h.api
      .post('/v1/delegations')
      .set('x-api-key', key)
      .send({ from: person.username, to: administrator.username, validTo: '2026-12-01', reason: 'x' }),
    await h.api.post('/v1/api-keys').set('x-api-key', key).send({ name: 'child', expiresOn: '2027-01-01' }),
    await h.api
      .put(`/v1/people/${person.username}/password`)
      .set('x-api-key', key)
      .send({ password: 'a new password' }),
    await h.api
      .put('/v1/me/password')
      .set('x-api-key', key)
      .send({ currentPassword: person.password, newPassword: 'a new password' }),
    await h.api
      .post('/v1/delegations')
      .set('x-api-key', key)
      .send({ to: person.username, validTo: '2026-12-01', reason: 'x' })
  ]
  expect(refused.map(({ status, body }) => [status, body.code])).toEqual(refused.map(() => [403, 'PersonRequired']))
})

test('a revoked key is refused at the next request', async () => {
  const { key, id } = (await issue(administrator, {})).body
  expect((await me(key)).status).toBe(200)

  const revoked = await revoke(administrator, id)

  expect(revoked.body).toMatchObject({ id, revokedAt: '2026-11-20T02:00:00.000Z' })
  expect((await me(key)).body.code).toBe('ApiKeyRevoked')
  expect((await revoke(administrator, id)).body.code).toBe('ApiKeyRevoked')
})

test('a key ends with its last day, at most two years ahead', async () => {
  const { key } = (await issue(administrator, { expiresOn: '2026-11-21' })).body
  try {
    h.clock.set('2026-11-21T23:59:59')
    expect((await me(key)).status).toBe(200)
    h.clock.set('2026-11-22T00:00:00')
    expect((await me(key)).body.code).toBe('ApiKeyExpired')
  } finally {
    h.clock.set(DEFAULT_TIME)
  }
  expect((await issue(administrator, { expiresOn: '2028-11-20' })).status).toBe(201)
  expect((await issue(administrator, { expiresOn: '2028-11-21' })).body.code).toBe('ExpiryTooFar')
  expect((await issue(administrator, { expiresOn: '2026-11-19' })).body.code).toBe('ExpiryInThePast')
})

test('unknown keys, wrong secrets and malformed keys are refused alike', async () => {
  const { key } = (await issue(administrator, {})).body
  const wrong = `${key.slice(0, -4)}AAAA`

  const codes = await Promise.all(
    [wrong, `bck_000000000000_${'x'.repeat(43)}`, 'bck_1', 'nonsense'].map(async (sent) => (await me(sent)).body.code)
  )
  expect(codes).toEqual(Array.from({ length: 4 }, () => 'ApiKeyInvalid'))
})

test('people see and revoke their own keys only', async () => {
  const [one, other] = [await h.make.person(), await h.make.person()]
  const { id } = (await issue(one, {})).body

  expect((await h.api.get('/v1/api-keys').auth(other.token, { type: 'bearer' })).body.items).toEqual([])
  expect((await h.api.get(`/v1/api-keys/${id}`).auth(other.token, { type: 'bearer' })).status).toBe(404)
  expect((await revoke(other, id)).status).toBe(404)
  expect((await issue(other, { person: one.username })).body.code).toBe('DutyRequired')
  expect((await revoke(one, id)).status).toBe(200)
})

test('a key of a deactivated person is refused', async () => {
  const person = await h.make.person()
  const { key } = (await issue(person, {})).body
  await h.api
    .patch(`/v1/people/${person.username}`)
    .auth(administrator.token, { type: 'bearer' })
    .send({ active: false })

  expect((await me(key)).body.code).toBe('PersonInactive')
})

test('a repeat of issuing with the same Idempotency-Key shows no secret and makes no second key', async () => {
  const person = await h.make.person()
  const once = () => issue(person, { name: 'once' }).set('idempotency-key', 'issue-once')

  expect((await once()).status).toBe(201)
  const repeat = await once()

  expect({ status: repeat.status, code: repeat.body.code }).toEqual({ status: 409, code: 'SecretShownOnce' })
  expect(await h.sql('select name from api_key where person_id = $1', [person.id])).toEqual([{ name: 'once' }])
  expect(JSON.stringify(await h.sql(`select * from idempotency_key where key = 'issue-once'`))).not.toContain('bck_')
})
