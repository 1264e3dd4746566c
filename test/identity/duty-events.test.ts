import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { callsAs, type Caller } from '../support/calls.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let administrator: Caller
beforeAll(async () => {
  h = await openHarness()
  administrator = callsAs(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
beforeEach(() => h.sql('delete from outbox'))
afterAll(() => h.close())

const published = () =>
  h.sql<{ subject: string; event: string; warehouseId: number | null; payload: object }>(
    'select subject, event, warehouse_id as "warehouseId", payload from outbox order by id'
  )

test('a duty that is given, shortened or ended is published with it, and says who and where and no more (R-ORG-2)', async () => {
  const [person, place, region] = [await h.make.person(), await h.make.warehouse(), await h.make.region()]
  const path = `/v1/people/${person.username}/duties`
  const { body: here } = await administrator.post(path, { duty: 'keeper', warehouse: place.code })
  const { body: around } = await administrator.post(path, { duty: 'technician', region: region.code })
  await administrator.post(`${path}/${here.id}/end`, { validTo: '2027-01-31' })
  await administrator.post(`${path}/${here.id}/end`, {})

  const subject = `person:${person.id}`
  const kept = { subject, warehouseId: place.id }
  const payload = { dutyId: here.id, username: person.username, duty: 'keeper', regionId: null }
  expect(await published()).toEqual([
    { ...kept, event: 'duty.assigned', payload },
    {
      subject,
      event: 'duty.assigned',
      warehouseId: null,
      payload: { dutyId: around.id, username: person.username, duty: 'technician', regionId: region.id }
    },
    { ...kept, event: 'duty.ended', payload },
    { ...kept, event: 'duty.ended', payload }
  ])
})

test('so is who can act no more, or again; other changes of a person, and what is refused, are not', async () => {
  const person = await h.make.person()
  const path = `/v1/people/${person.username}`
  await administrator.patch(path, { name: '王芳' })
  await administrator.patch(path, { active: false })
  await administrator.post(`${path}/duties`, { duty: 'keeper' })
  await administrator.patch(path, { active: true })
  await administrator.post(`${path}/lock`, { reason: '账号被盗用' })
  await administrator.post(`${path}/lock`, { reason: '账号被盗用' })
  await administrator.post(`${path}/unlock`)
  const payload = { personId: person.id, username: person.username }
  expect(await published()).toEqual(
    ['person.deactivated', 'person.activated', 'person.locked', 'person.unlocked'].map((event) => ({
      subject: `person:${person.id}`,
      event,
      warehouseId: null,
      payload
    }))
  )
})

test('so is who stands in for somebody: when it is set, shortened and ended, and not when it is refused (R-ORG-2)', async () => {
  const [absent, deputy] = [await h.make.person({ grants: [{ duty: 'keeper' }] }), await h.make.person()]
  const body = { from: absent.username, to: deputy.username, validTo: '2027-01-31', reason: '休假' }
  const { body: set } = await administrator.post('/v1/delegations', { ...body, duty: 'keeper' })
  expect((await administrator.post('/v1/delegations', body)).status).toBe(409)
  await administrator.post(`/v1/delegations/${set.id}/end`, { validTo: '2027-01-15' })
  expect((await callsAs(h, await h.make.person()).post(`/v1/delegations/${set.id}/end`, {})).status).toBe(404)
  await callsAs(h, deputy).post(`/v1/delegations/${set.id}/end`, {})
  expect((await administrator.post(`/v1/delegations/${set.id}/end`, {})).status).toBe(409)
  const { body: all } = await callsAs(h, absent).post('/v1/delegations', { ...body, from: undefined })

  const told = { subject: `person:${absent.id}`, warehouseId: null }
  const payload = (delegationId: number, duty: string | null) => ({
    delegationId,
    personId: absent.id,
    username: absent.username,
    deputy: deputy.username,
    duty
  })
  expect(await published()).toEqual([
    { ...told, event: 'delegation.set', payload: payload(set.id, 'keeper') },
    { ...told, event: 'delegation.ended', payload: payload(set.id, 'keeper') },
    { ...told, event: 'delegation.ended', payload: payload(set.id, 'keeper') },
    { ...told, event: 'delegation.set', payload: payload(all.id, null) }
  ])
})

test('other systems are not told of people', async () => {
  const { body } = await administrator.get('/v1/webhook-events')
  expect(JSON.stringify(body)).not.toMatch(/"(duty|person|delegation)\./)
})
