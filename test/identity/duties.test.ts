import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { requireDuty, type WarehouseRef } from '../../src/identity/actor.ts'
import { actorOf } from '../../src/identity/directory.ts'
import { findWarehouse } from '../../src/identity/identity.queries.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { makePlaces } from './places.ts'

let h: Harness
let administrator: MadePerson
const places: Record<string, WarehouseRef> = {}
beforeAll(async () => {
  h = await openHarness()
  await makePlaces(h)
  administrator = await h.make.person({ grants: [{ duty: 'administrator' }] })
  for (const code of ['SH01', 'SH02', 'GZ01'])
    places[code] = await findWarehouse(h.contextOf(administrator.actor), code)
})
afterAll(() => h.close())
afterEach(() => h.clock.set(DEFAULT_TIME))

const as = (person: MadePerson, path: string, body: object) =>
  h.api.post(path).auth(person.token, { type: 'bearer' }).send(body)
const assign = (person: MadePerson, body: object) => as(administrator, `/v1/people/${person.username}/duties`, body)
const end = (person: MadePerson, id: number, body: object = {}) =>
  as(administrator, `/v1/people/${person.username}/duties/${id}/end`, body)

/** Where the person may act as keeper today. */
async function keeps({ username }: MadePerson): Promise<string[]> {
  const ctx = h.contextOf(await actorOf(h.runtime, username))
  return Object.values(places).flatMap((warehouse) => {
    try {
      requireDuty(ctx, 'keeper', warehouse)
      return [warehouse.code]
    } catch {
      return []
    }
  })
}

describe('duties (R-ORG-2)', () => {
  test('a duty is held in a warehouse, in a region or everywhere', async () => {
    const [local, regional, general] = [await h.make.person(), await h.make.person(), await h.make.person()]

    const assigned = await assign(local, { duty: 'keeper', warehouse: 'SH01' })
    expect(assigned.status).toBe(201)
    expect(assigned.body).toEqual({
      id: expect.any(Number),
      username: local.username,
      name: local.username,
      duty: 'keeper',
      warehouse: 'SH01',
      region: null,
      validFrom: '2026-11-20',
      validTo: null,
      endedAt: null,
      assignedBy: administrator.username
    })
    await assign(regional, { duty: 'keeper', region: 'EAST' })
    await assign(general, { duty: 'keeper' })

    expect([await keeps(local), await keeps(regional), await keeps(general)]).toEqual([
      ['SH01'],
      ['SH01', 'SH02'],
      ['SH01', 'SH02', 'GZ01']
    ])
  })

  test('a duty counts from its first to its last day', async () => {
    const person = await h.make.person()
    await assign(person, { duty: 'keeper', warehouse: 'SH01', validFrom: '2026-11-21', validTo: '2026-11-22' })

    const days = []
    for (const day of ['2026-11-20', '2026-11-21', '2026-11-22', '2026-11-23']) {
      h.clock.set(`${day}T12:00`)
      days.push(await keeps(person))
    }
    expect(days).toEqual([[], ['SH01'], ['SH01'], []])
  })

  test('an ended duty can no longer act, from that moment or from the day after its last', async () => {
    const person = await h.make.person()
    const atOnce = (await assign(person, { duty: 'keeper', warehouse: 'SH01' })).body
    const later = (await assign(person, { duty: 'keeper', warehouse: 'SH02', validFrom: '2026-11-01' })).body

    expect((await end(person, atOnce.id)).body).toMatchObject({
      id: atOnce.id,
      validFrom: '2026-11-20',
      validTo: null,
      endedAt: '2026-11-20T02:00:00.000Z'
    })
    expect((await end(person, later.id, { validTo: '2026-11-20' })).body).toMatchObject({
      validTo: '2026-11-20',
      endedAt: null
    })

    expect(await keeps(person)).toEqual(['SH02'])
    h.clock.advance({ days: 1 })
    expect(await keeps(person)).toEqual([])
    expect((await end(person, atOnce.id)).body.code).toBe('DutyEnded')
  })

  test('what was ended at once today was held today, and is not held now', async () => {
    const person = await h.make.person()
    const { id } = (await assign(person, { duty: 'keeper', warehouse: 'SH02', validTo: '2026-12-31' })).body
    await end(person, id)
    const held = async (on?: string) => {
      const { body } = await h.api
        .get('/v1/warehouses/SH02/duties')
        .query({ limit: 200, ...(on !== undefined && { on }) })
        .auth(administrator.token, { type: 'bearer' })
      return body.items.some((item: { id: number }) => item.id === id)
    }
    const ofPerson = async (on: string) =>
      (
        await h.api
          .get(`/v1/people/${person.username}/duties`)
          .query({ on })
          .auth(administrator.token, { type: 'bearer' })
      ).body.items.length

    expect([await held(), await held('2026-11-20'), await held('2026-11-21')]).toEqual([false, true, false])
    expect([await ofPerson('2026-11-20'), await ofPerson('2026-11-21')]).toEqual([1, 0])
    expect((await assign(person, { duty: 'keeper', warehouse: 'SH02' })).status).toBe(201)
  })

  test('a duty that has not begun is taken back once, and not shortened to before it begins', async () => {
    const person = await h.make.person()
    const { id } = (await assign(person, { duty: 'keeper', warehouse: 'SH01', validFrom: '2026-12-01' })).body

    expect((await end(person, id, { validTo: '2026-11-30' })).body.code).toBe('EndBeforeStart')
    expect((await end(person, id)).body).toMatchObject({
      validFrom: '2026-12-01',
      validTo: null,
      endedAt: '2026-11-20T02:00:00.000Z'
    })
    expect((await end(person, id)).body.code).toBe('DutyEnded')
    h.clock.set('2026-12-01T12:00')
    expect(await keeps(person)).toEqual([])
  })

  test('what was ended under an Idempotency-Key is ended at the next request', async () => {
    const person = await h.make.person({ grants: [{ duty: 'administrator' }] })
    const list = () => h.api.get('/v1/people').auth(person.token, { type: 'bearer' })
    const [duty] = (await h.api.get(`/v1/people/${person.username}/duties`).auth(person.token, { type: 'bearer' })).body
      .items
    const once = () => end(person, duty.id).set('idempotency-key', `end-${person.username}`)
    expect((await list()).status).toBe(200)

    const first = await once()
    expect((await list()).status).toBe(403)
    expect((await once()).body).toEqual(first.body)
  })

  test('a duty is only ever shortened, never in the past', async () => {
    const person = await h.make.person()
    const { id } = (await assign(person, { duty: 'keeper', warehouse: 'SH01', validTo: '2026-12-31' })).body

    expect((await end(person, id, { validTo: '2027-01-31' })).body.code).toBe('EndOnlyEarlier')
    expect((await end(person, id, { validTo: '2026-11-18' })).body.code).toBe('EndInThePast')
    expect((await end(await h.make.person(), id)).status).toBe(404)
  })

  test('the same duty in the same place is not held twice at a time, also when two ask at once', async () => {
    const person = await h.make.person()
    const keeper = { duty: 'keeper', warehouse: 'SH01' }

    const answers = await Promise.all([1, 2, 3].map(() => assign(person, keeper)))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409, 409])
    expect((await assign(person, { ...keeper, validFrom: '2027-01-01' })).body.code).toBe('DutyHeldAlready')
    expect((await assign(person, { ...keeper, warehouse: 'SH02' })).status).toBe(201)
    expect((await assign(person, { ...keeper, duty: 'technician' })).status).toBe(201)
    const [first] = (await h.api.get(`/v1/people/${person.username}/duties`).auth(person.token, { type: 'bearer' }))
      .body.items
    await end(person, first.id)
    expect((await assign(person, keeper)).status).toBe(201)
  })

  test('wrong places and days are refused with what would be right', async () => {
    const person = await h.make.person()
    const codes = []
    for (const body of [
      { duty: 'keeper', warehouse: 'NOWHERE' },
      { duty: 'keeper', region: 'NOWHERE' },
      { duty: 'keeper', warehouse: 'SH01', region: 'EAST' },
      { duty: 'keeper', validFrom: '2026-12-02', validTo: '2026-12-01' },
      { duty: 'janitor' },
      { duty: 'keeper', validFrom: '2026-02-30' }
    ]) {
      const answer = await assign(person, body)
      codes.push([answer.status, answer.body.code])
    }
    expect(codes).toEqual([
      [404, 'NotFound'],
      [404, 'NotFound'],
      [422, 'OnePlaceOnly'],
      [422, 'EndBeforeStart'],
      [400, 'InvalidInput'],
      [400, 'InvalidInput']
    ])
  })

  test('the duties of a warehouse are told to whoever sees it; for others it does not exist', async () => {
    const keeper = await h.make.person({ grants: [{ duty: 'keeper', warehouse: 'GZ01' }] })
    const head = await h.make.person({ grants: [{ duty: 'department-head', region: 'SOUTH' }] })
    const past = await h.make.person({ grants: [{ duty: 'keeper', warehouse: 'GZ01', validTo: '2026-10-31' }] })
    const foreign = await h.make.person({ grants: [{ duty: 'keeper', warehouse: 'SH01' }] })
    const list = (person: MadePerson, query: object = {}) =>
      h.api
        .get('/v1/warehouses/GZ01/duties')
        .query({ limit: 200, ...query })
        .auth(person.token, { type: 'bearer' })
    const holders = ({ body }: { body: { items: { username: string }[] } }) =>
      body.items.map(({ username }) => username)

    expect(holders(await list(keeper))).toEqual(
      expect.arrayContaining([administrator.username, keeper.username, head.username])
    )
    expect(holders(await list(keeper))).not.toContain(past.username)
    expect(holders(await list(head, { on: '2026-10-31' }))).toContain(past.username)
    const answer = await list(foreign)
    expect([answer.status, answer.body.code]).toEqual([404, 'NotFound'])
    expect(
      (await h.api.get('/v1/warehouses/NOWHERE/duties').auth(keeper.token, { type: 'bearer' })).body
    ).toMatchObject({ status: 404, code: 'NotFound' })
  })
})

describe('delegation (R-ORG-2)', () => {
  const delegate = (by: MadePerson, body: object) =>
    as(by, '/v1/delegations', { validTo: '2026-11-30', reason: '年假', ...body })
  const keeperOf = (warehouse: string) => h.make.person({ grants: [{ duty: 'keeper', warehouse }] })

  test('a keeper on leave is stood in for, from the first to the last day', async () => {
    const [keeper, deputy] = [await keeperOf('SH01'), await h.make.person()]

    const made = await delegate(keeper, { to: deputy.username, validFrom: '2026-11-21', validTo: '2026-11-22' })
    expect(made.status).toBe(201)
    expect(made.body).toEqual({
      id: expect.any(Number),
      from: keeper.username,
      to: deputy.username,
      duty: null,
      validFrom: '2026-11-21',
      validTo: '2026-11-22',
      endedAt: null,
      reason: '年假',
      delegatedBy: keeper.username
    })

    const days = []
    for (const day of ['2026-11-20', '2026-11-21', '2026-11-22', '2026-11-23']) {
      h.clock.set(`${day}T12:00`)
      days.push(await keeps(deputy))
    }
    expect(days).toEqual([[], ['SH01'], ['SH01'], []])
    h.clock.set('2026-11-21T12:00')
    const me = await h.api.get('/v1/me').auth(deputy.token, { type: 'bearer' })
    expect(me.body.grants).toEqual([
      {
        duty: 'keeper',
        warehouse: 'SH01',
        region: null,
        validFrom: '2026-11-21',
        validTo: '2026-11-22',
        onBehalfOf: keeper.username
      }
    ])
    expect(requireDuty(h.contextOf(await actorOf(h.runtime, deputy.username)), 'keeper', places['SH01'])).toMatchObject(
      { onBehalfOf: keeper.id }
    )
  })

  test('an own duty is named before a delegated one', async () => {
    const [keeper, deputy] = [await keeperOf('SH01'), await keeperOf('SH01')]
    await delegate(keeper, { to: deputy.username })

    expect(requireDuty(h.contextOf(await actorOf(h.runtime, deputy.username)), 'keeper', places['SH01'])).toMatchObject(
      { onBehalfOf: null }
    )
  })

  test('one duty of several may be delegated', async () => {
    const absent = await h.make.person({
      grants: [
        { duty: 'keeper', warehouse: 'SH01' },
        { duty: 'technician', warehouse: 'SH01' }
      ]
    })
    const deputy = await h.make.person()
    await delegate(absent, { to: deputy.username, duty: 'technician' })

    expect((await actorOf(h.runtime, deputy.username)).grants).toMatchObject([
      { duty: 'technician', onBehalfOf: absent.id }
    ])
  })

  test('what was delegated is not delegated further, to oneself, twice or without being held', async () => {
    const [keeper, deputy, third] = [await keeperOf('SH01'), await h.make.person(), await h.make.person()]
    expect((await delegate(keeper, { to: deputy.username })).status).toBe(201)

    const refused = [
      await delegate(deputy, { to: third.username }),
      await delegate(keeper, { to: keeper.username }),
      await delegate(keeper, { to: deputy.username, duty: 'keeper', validFrom: '2026-11-25' }),
      await delegate(keeper, { to: third.username, duty: 'purchaser' }),
      await delegate(keeper, { to: third.username, validFrom: '2026-12-02', validTo: '2026-12-01' }),
      await delegate(keeper, { to: third.username, validFrom: '2026-11-19' }),
      await delegate(keeper, { to: 'nobody-at-all' })
    ]
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual([
      [422, 'DutyNotHeld'],
      [422, 'DelegationToOneself'],
      [409, 'DelegationOverlaps'],
      [422, 'DutyNotHeld'],
      [422, 'EndBeforeStart'],
      [422, 'StartInThePast'],
      [404, 'NotFound']
    ])
    expect(
      (await delegate(keeper, { to: deputy.username, validFrom: '2026-12-01', validTo: '2026-12-05' })).status
    ).toBe(201)
    // A chain gives nothing either: the third would stand in for a deputy who holds nothing in person.
    expect(await keeps(third)).toEqual([])
  })

  test('somebody stands in for at most a year, beginning within a year', async () => {
    const [keeper, deputy] = [await keeperOf('SH01'), await h.make.person()]
    const refused = [
      await delegate(keeper, { to: deputy.username, validTo: '2099-12-31' }),
      await delegate(keeper, { to: deputy.username, validTo: '2027-11-21' }),
      await delegate(keeper, { to: deputy.username, validFrom: '2099-01-01', validTo: '2099-01-31' })
    ]

    expect(refused.map(({ status, body }) => [status, body.code])).toEqual([
      [422, 'DelegationTooLong'],
      [422, 'DelegationTooLong'],
      [422, 'StartTooFar']
    ])
    expect((await delegate(keeper, { to: deputy.username, validTo: '2027-11-20' })).status).toBe(201)
  })

  test('of two equal delegations at once one is made, and two people who stand in for each other do not block', async () => {
    const [one, other] = [await keeperOf('SH01'), await keeperOf('SH02')]

    const answers = await Promise.all([
      delegate(one, { to: other.username }),
      delegate(one, { to: other.username }),
      delegate(other, { to: one.username })
    ])

    expect(
      answers
        .slice(0, 2)
        .map(({ status }) => status)
        .toSorted()
    ).toEqual([201, 409])
    expect(answers[2]?.status).toBe(201)
    expect([await keeps(one), await keeps(other)]).toEqual([
      ['SH01', 'SH02'],
      ['SH01', 'SH02']
    ])
  })

  test('standing in ends with the duty, with the absent person’s account, or when either says so', async () => {
    const [first, second, third] = [await keeperOf('SH01'), await keeperOf('SH02'), await keeperOf('GZ01')]
    const deputy = await h.make.person()
    const made = []
    for (const absent of [first, second, third]) made.push((await delegate(absent, { to: deputy.username })).body.id)
    expect(await keeps(deputy)).toEqual(['SH01', 'SH02', 'GZ01'])

    const [duty] = (await h.api.get(`/v1/people/${first.username}/duties`).auth(first.token, { type: 'bearer' })).body
      .items
    await end(first, duty.id)
    expect(await keeps(deputy)).toEqual(['SH02', 'GZ01'])
    await h.api
      .patch(`/v1/people/${second.username}`)
      .auth(administrator.token, { type: 'bearer' })
      .send({ active: false })
    expect(await keeps(deputy)).toEqual(['GZ01'])
    const ended = await as(third, `/v1/delegations/${made[2]}/end`, {})
    expect(ended.body).toMatchObject({ id: made[2], validTo: '2026-11-30', endedAt: '2026-11-20T02:00:00.000Z' })
    expect(await keeps(deputy)).toEqual([])
    expect((await as(deputy, `/v1/delegations/${made[2]}/end`, {})).body.code).toBe('DelegationEnded')
  })

  test('others neither see nor end a delegation; an administrator makes, sees and ends it', async () => {
    const [keeper, deputy, stranger] = [await keeperOf('SH01'), await h.make.person(), await keeperOf('SH01')]
    const made = await delegate(administrator, { from: keeper.username, to: deputy.username })
    expect(made.body).toMatchObject({ from: keeper.username, delegatedBy: administrator.username })
    const list = async (person: MadePerson) =>
      (await h.api.get('/v1/delegations').query({ person: keeper.username }).auth(person.token, { type: 'bearer' }))
        .body.items

    expect(await list(stranger)).toEqual([])
    expect(await list(deputy)).toEqual([made.body])
    expect((await as(stranger, `/v1/delegations/${made.body.id}/end`, {})).status).toBe(404)
    expect(
      (await as(administrator, `/v1/delegations/${made.body.id}/end`, { validTo: '2026-11-25' })).body
    ).toMatchObject({ validTo: '2026-11-25' })
    expect(await list(administrator)).toMatchObject([{ validTo: '2026-11-25' }])
  })
})
