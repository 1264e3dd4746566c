import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callsAs, type Caller } from '../support/calls.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'

let h: Harness
let administrator: Caller
beforeAll(async () => {
  h = await openHarness()
  administrator = callsAs(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
afterAll(() => h.close())

const codes = ({ status, body }: { status: number; body: any }) => [status, body.code]
const lock = ({ username }: { username: string }, by = administrator) =>
  by.post(`/v1/people/${username}/lock`, { reason: '账号被盗用' })
const unlock = ({ username }: { username: string }, by = administrator) => by.post(`/v1/people/${username}/unlock`)
const signIn = ({ username, password }: { username: string; password: string }) =>
  h.api.post('/v1/auth/tokens').send({ username, password })
const keyOf = async (person: MadePerson): Promise<{ id: string; key: string }> =>
  (await callsAs(h, person).post('/v1/api-keys', { name: 'scanner', access: 'write', expiresOn: '2027-01-31' })).body

describe('a stolen account is cut off at once', () => {
  test('password, tokens, refresh tokens and API keys are refused from the next request on; duties go on', async () => {
    const { code } = await h.make.warehouse()
    const person = await h.make.person({ grants: [{ duty: 'keeper', warehouse: code }] })
    const session = (await signIn(person)).body
    const { id, key } = await keyOf(person)

    const locked = await lock(person)

    expect(locked.status).toBe(200)
    expect(locked.body).toMatchObject({
      active: true,
      hasPassword: false,
      lockedAt: '2026-11-20T02:00:00.000Z',
      lockedBecause: '账号被盗用'
    })
    expect(codes(await callsAs(h, person).get('/v1/me'))).toEqual([401, 'PersonLocked'])
    expect(codes(await h.api.get('/v1/me').auth(session.accessToken, { type: 'bearer' }))).toEqual([
      401,
      'PersonLocked'
    ])
    expect(codes(await h.api.post('/v1/auth/refresh').send({ refreshToken: session.refreshToken }))).toEqual([
      401,
      'RefreshTokenInvalid'
    ])
    expect(codes(await signIn(person))).toEqual([401, 'CredentialsWrong'])
    expect(codes(await h.api.get('/v1/me').set('x-api-key', key))).toEqual([401, 'ApiKeyRevoked'])
    expect((await administrator.get(`/v1/people/${person.username}/duties`)).body.items).toMatchObject([
      { duty: 'keeper', warehouse: code, endedAt: null }
    ])
    expect((await administrator.get(`/v1/audit-events?subject=person:${person.username}`)).body.items[0]).toMatchObject(
      { action: 'person.locked', details: { reason: '账号被盗用', revokedKeys: [id] } }
    )
  })

  test('unlocked, it takes neither the old password nor old tokens and keys; a new password opens it', async () => {
    const person = await h.make.person()
    const { key } = await keyOf(person)
    const session = (await signIn(person)).body
    await lock(person)
    h.clock.advance({ seconds: 1 })
    await administrator.put(`/v1/people/${person.username}/password`, { password: 'a password given anew' })
    expect(codes(await signIn({ ...person, password: 'a password given anew' }))).toEqual([401, 'CredentialsWrong'])

    expect((await unlock(person)).body).toMatchObject({ lockedAt: null, lockedBecause: null })

    expect(codes(await signIn(person))).toEqual([401, 'CredentialsWrong'])
    expect(codes(await h.api.get('/v1/me').auth(session.accessToken, { type: 'bearer' }))).toEqual([
      401,
      'TokenWithdrawn'
    ])
    expect(codes(await h.api.get('/v1/me').set('x-api-key', key))).toEqual([401, 'ApiKeyRevoked'])
    expect((await signIn({ ...person, password: 'a password given anew' })).status).toBe(200)
  })

  test('for administrators everywhere in person; twice, unknown and the last administrator are refused', async () => {
    const { code } = await h.make.warehouse()
    const person = await h.make.person()
    const keeper = callsAs(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: code }] }))
    const local = callsAs(h, await h.make.person({ grants: [{ duty: 'administrator', warehouse: code }] }))
    for (const who of [keeper, local]) {
      expect(codes(await lock(person, who))).toEqual([403, 'DutyRequired'])
      expect(codes(await unlock(person, who))).toEqual([403, 'DutyRequired'])
    }
    expect(codes(await lock({ username: 'nobody-here' }))).toEqual([404, 'NotFound'])
    expect(codes(await unlock(person))).toEqual([409, 'PersonNotLocked'])
    await lock(person)
    expect(codes(await lock(person))).toEqual([409, 'PersonLockedAlready'])

    const other = await h.make.person({ grants: [{ duty: 'administrator' }] })
    expect((await lock(other)).status).toBe(200)
    const [{ username }] = await h.sql<{ username: string }>(
      `select username from person join duty_assignment on person_id = person.id
        where duty = 'administrator' and warehouse_id is null and locked_at is null and person.id <> 0`
    )
    expect(codes(await lock({ username }))).toEqual([409, 'LastAdministrator'])
  })
})
