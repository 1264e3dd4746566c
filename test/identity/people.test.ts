import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Duty } from '../../src/identity/actor.ts'
import { DUTIES } from '../../src/identity/actor.ts'
import { createFirstAdministrator } from '../../src/identity/create-first-administrator.ts'
import { createPerson } from '../../src/identity/create-person.ts'
import { actorOf, anonymousActor, systemActor } from '../../src/identity/directory.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { makePlaces } from './places.ts'

let h: Harness
let administrator: MadePerson
beforeAll(async () => {
  h = await openHarness()
  await makePlaces(h)
})
afterAll(() => h.close())

const as = (person: MadePerson, method: 'get' | 'post' | 'patch' | 'put', path: string, body?: object) => {
  const request = h.api[method](path).auth(person.token, { type: 'bearer' })
  return body === undefined ? request : request.send(body)
}

test('the first administrator is created once, from an empty house, and recorded as done by the system', async () => {
  const ctx = h.contextOf(anonymousActor)

  await createFirstAdministrator(ctx, { username: 'admin', password: 'first password' })

  await expect(createFirstAdministrator(ctx, { username: 'admin2', password: 'first password' })).rejects.toMatchObject(
    { code: 'AdministratorExists', status: 409 }
  )
  expect((await actorOf(h.runtime, 'admin')).grants).toMatchObject([
    { duty: 'administrator', warehouseId: null, regionId: null, validTo: null }
  ])
  expect(await h.sql('select person_id, actor, action, subject from audit_event order by id')).toEqual([
    { person_id: 0, actor: 'system', action: 'person.created', subject: 'person:admin' },
    { person_id: 0, actor: 'system', action: 'duty.assigned', subject: 'person:admin' }
  ])
  const answer = await h.api.post('/v1/auth/tokens').send({ username: 'admin', password: 'first password' })
  administrator = {
    id: 0,
    username: 'admin',
    password: 'first password',
    token: answer.body.accessToken,
    actor: await actorOf(h.runtime, 'admin')
  }
})

test('the last administrator can neither be deactivated nor lose the duty', async () => {
  const [duty] = (await as(administrator, 'get', '/v1/people/admin/duties')).body.items

  expect((await as(administrator, 'patch', '/v1/people/admin', { active: false })).body.code).toBe('LastAdministrator')
  expect((await as(administrator, 'post', `/v1/people/admin/duties/${duty.id}/end`, {})).body.code).toBe(
    'LastAdministrator'
  )
  // Nothing was half-done.
  expect((await as(administrator, 'get', '/v1/people/admin')).body).toMatchObject({ active: true })
})

test('of two administrators who end each other at once one remains', async () => {
  const [one, other] = [
    await h.make.person({ grants: [{ duty: 'administrator' }] }),
    await h.make.person({ grants: [{ duty: 'administrator' }] })
  ]
  await h.sql(
    `update duty_assignment set ended_by = 0, ended_at = now() where person_id = (select id from person where username = 'admin')`
  )

  const answers = await Promise.all([
    as(one, 'patch', `/v1/people/${other.username}`, { active: false }),
    as(other, 'patch', `/v1/people/${one.username}`, { active: false })
  ])

  // Either the second waits and finds itself the last, or it comes so late that it is refused at the door.
  expect(answers.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1)
  expect(await h.sql('select 1 from person where active and id = any ($1)', [[one.id, other.id]])).toHaveLength(1)
  await h.sql(
    `update duty_assignment set ended_by = null, ended_at = null where person_id = (select id from person where username = 'admin')`
  )
  await h.sql('update person set active = false where id = any ($1)', [[one.id, other.id]])
})

test('an administrator adds, reads and changes people; each step is recorded', async () => {
  const created = await as(administrator, 'post', '/v1/people', {
    username: 'wang.fang',
    name: '王芳',
    email: 'wang.fang@example.com'
  })

  expect(created.status).toBe(201)
  expect(created.headers['location']).toBe('/v1/people/wang.fang')
  expect(created.body).toEqual({
    username: 'wang.fang',
    name: '王芳',
    language: 'zh',
    email: 'wang.fang@example.com',
    active: true,
    hasPassword: false,
    lockedAt: null,
    lockedBecause: null,
    createdAt: '2026-11-20T02:00:00.000Z'
  })

  expect((await as(administrator, 'put', '/v1/people/wang.fang/password', { password: 'given password' })).status).toBe(
    204
  )
  expect(
    (await as(administrator, 'patch', '/v1/people/wang.fang', { name: '王芳芳', language: 'en', email: null })).body
  ).toEqual({ ...created.body, name: '王芳芳', language: 'en', email: null, hasPassword: true })
  expect((await h.api.post('/v1/auth/tokens').send({ username: 'wang.fang', password: 'given password' })).status).toBe(
    200
  )

  const events = await as(administrator, 'get', '/v1/audit-events?subject=person:wang.fang')
  expect(events.body.items.map(({ action, person }: { action: string; person: string }) => [action, person])).toEqual([
    ['person.signed-in', 'wang.fang'],
    ['person.updated', 'admin'],
    ['person.password-set', 'admin'],
    ['person.created', 'admin']
  ])
})

test('a user name is taken once and well formed', async () => {
  expect((await as(administrator, 'post', '/v1/people', { username: 'admin', name: 'X' })).body).toMatchObject({
    status: 409,
    code: 'UsernameTaken'
  })
  for (const username of ['x', 'Keeper', '-keeper', 'keeper hq', 'system\n', 'k'.repeat(61)]) {
    expect((await as(administrator, 'post', '/v1/people', { username, name: 'X' })).body).toMatchObject({
      status: 400,
      code: 'InvalidInput'
    })
  }
  await expect(createPerson(h.contextOf(systemActor), { username: 'Keeper', name: 'X' })).rejects.toMatchObject({
    code: 'UsernameMalformed'
  })
  const [first, second] = await Promise.all(
    [1, 2].map(() => as(administrator, 'post', '/v1/people', { username: 'twice', name: 'X' }))
  )
  expect([first?.status, second?.status].toSorted()).toEqual([201, 409])
})

test('people are listed by user name, searched in Chinese and English, page by page', async () => {
  for (const [username, name] of [
    ['list-a', '李一'],
    ['list-b', '李二'],
    ['list-c', 'Li San']
  ] as const) {
    await createPerson(h.contextOf(systemActor), { username, name })
  }
  const list = async (query: object) => {
    const { body } = await h.api.get('/v1/people').query(query).auth(administrator.token, { type: 'bearer' })
    return { names: body.items.map(({ username }: { username: string }) => username), next: body.nextCursor }
  }

  expect((await list({ search: '李' })).names).toEqual(['list-a', 'list-b'])
  expect((await list({ search: 'LIST-' })).names).toEqual(['list-a', 'list-b', 'list-c'])
  expect((await list({ search: '%' })).names).toEqual([])
  const page = await list({ search: 'list-', limit: 2 })
  expect(page.names).toEqual(['list-a', 'list-b'])
  expect(await list({ search: 'list-', limit: 2, cursor: page.next })).toEqual({ names: ['list-c'], next: null })
  expect((await list({ search: 'system' })).names).toEqual([])
  const wrong = await h.api.get('/v1/people').query({ cursor: 'rubbish' }).auth(administrator.token, { type: 'bearer' })
  expect(wrong.body.code).toBe('CursorInvalid')
})

test('the system account is nobody to be changed', async () => {
  for (const answer of [
    await as(administrator, 'get', '/v1/people/system'),
    await as(administrator, 'patch', '/v1/people/system', { active: true }),
    await as(administrator, 'put', '/v1/people/system/password', { password: 'a new password' }),
    await as(administrator, 'post', '/v1/people/system/duties', { duty: 'keeper' })
  ]) {
    expect(answer.status).toBe(404)
  }
})

test('the audit trail cannot be changed or emptied', async () => {
  for (const text of [`update audit_event set action = 'x'`, 'delete from audit_event', 'truncate audit_event']) {
    await expect(h.sql(text)).rejects.toThrow(/append-only/)
  }
})

test('a refusal after the deed leaves neither deed nor record', async () => {
  const before = await h.sql('select count(*) from audit_event')
  expect((await as(administrator, 'patch', '/v1/people/admin', { active: false, name: 'Gone' })).status).toBe(409)
  expect(await h.sql('select count(*) from audit_event')).toEqual(before)
})

const DUTIES_BELOW: (readonly [Duty, object])[] = [
  ...DUTIES.filter((duty) => duty !== 'administrator').map((duty) => [duty, {}] as const),
  // Administrator of one warehouse or one region is not administrator everywhere.
  ['administrator', { warehouse: 'SH01' }],
  ['administrator', { region: 'EAST' }]
]

test.each(DUTIES_BELOW)('%s %o may do nothing of an administrator', async (duty, place) => {
  const person = await h.make.person({ grants: [{ duty, ...place }] })
  const other = await h.make.person({ grants: [{ duty: 'keeper' }] })

  const answers = [
    await as(person, 'post', '/v1/people', { username: `by-${person.username}`, name: 'X' }),
    await as(person, 'get', '/v1/people'),
    await as(person, 'get', `/v1/people/${other.username}`),
    await as(person, 'patch', `/v1/people/${other.username}`, { active: false }),
    await as(person, 'patch', `/v1/people/${person.username}`, { name: 'X' }),
    await as(person, 'put', `/v1/people/${other.username}/password`, { password: 'a new password' }),
    await as(person, 'post', `/v1/people/${person.username}/duties`, { duty: 'administrator' }),
    await as(person, 'get', `/v1/people/${other.username}/duties`),
    await as(person, 'post', `/v1/people/${other.username}/duties/1/end`, {}),
    await as(person, 'post', '/v1/delegations', {
      from: other.username,
      to: person.username,
      validTo: '2026-12-01',
      reason: 'x'
    }),
    await as(person, 'post', '/v1/api-keys', { person: other.username, name: 'x', expiresOn: '2026-12-01' }),
    await as(person, 'get', '/v1/audit-events')
  ]
  expect(answers.map(({ status, body }) => [status, body.code])).toEqual(answers.map(() => [403, 'DutyRequired']))
})
