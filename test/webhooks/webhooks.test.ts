import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WEBHOOK_EVENT_TYPES, WANTED_TYPES } from '../../src/webhooks/webhook-events.ts'
import { callsAs, type Caller } from '../support/calls.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadeWarehouse } from '../support/make.ts'

let h: Harness
let admin: Caller
let adminToken: string
let place: MadeWarehouse
const URL = 'https://8.8.8.8/hooks'

beforeAll(async () => {
  h = await openHarness({ env: { WEBHOOK_ALLOWED_NETWORKS: '10.20.0.0/16' } })
  const person = await h.make.person({ username: 'admin', grants: [{ duty: 'administrator' }] })
  adminToken = person.token
  admin = callsAs(h, person)
  place = await h.make.warehouse()
})
afterAll(() => h.close())

const entered = async (body: object = {}, by: Caller = admin) => {
  const { status, body: webhook, text } = await by.post('/v1/webhooks', { url: URL, ...body })
  if (status !== 201) throw new Error(text)
  return webhook
}

test('a webhook is entered, and its secret shown once', async () => {
  const { status, body, headers } = await admin.post('/v1/webhooks', {
    url: 'https://8.8.8.8/hooks?from=bincard',
    description: 'ERP 接口',
    events: ['slip.posted', 'slip.reversed'],
    warehouse: place.code
  })

  expect([status, headers['location']]).toEqual([201, `/v1/webhooks/${body.id}`])
  const { secret, ...shown } = body
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  expect(shown).toEqual({
    id: expect.any(String),
    url: 'https://8.8.8.8/hooks?from=bincard',
    description: 'ERP 接口',
    events: ['slip.posted', 'slip.reversed'],
    warehouse: place.code,
    region: null,
    state: 'active',
    disabledBecause: null,
    disabledAt: null,
    failingSince: null,
    restsUntil: null,
    waiting: 0,
    dead: 0,
    oldSecretValidUntil: null,
    createdBy: 'admin',
    createdAt: '2026-11-20T02:00:00Z'
  })
  expect((await admin.get(`/v1/webhooks/${body.id}`)).body).toEqual(shown)
  expect((await admin.get(`/v1/webhooks?warehouse=${place.code}`)).body).toEqual({ items: [shown], nextCursor: null })
})

test('a repeat of entering it under the same key never shows the secret again (R-ERR-2)', async () => {
  const send = () => admin.post('/v1/webhooks', { url: URL }).set('idempotency-key', 'once')
  expect((await send()).status).toBe(201)
  expect((await send()).body.code).toBe('SecretShownOnce')
  const [{ kept }] = await h.sql<{ kept: string | null }>(`select body as kept from idempotency_key where key = 'once'`)
  expect(kept).toBeNull()
})

test('what cannot be entered is told what would be right (R-ERR-1)', async () => {
  const refused = async (body: object) => {
    const { status, body: problem } = await admin.post('/v1/webhooks', { url: URL, ...body })
    return [status, problem.code, problem.errors?.[0]?.pointer]
  }
  expect(await refused({ url: 'https://10.1.2.3/hooks' })).toEqual([422, 'DestinationForbidden', '/url'])
  expect(await refused({ url: 'http://8.8.8.8/hooks' })).toEqual([422, 'DestinationForbidden', '/url'])
  expect(await refused({ url: 'https://localhost/hooks' })).toEqual([422, 'DestinationForbidden', '/url'])
  expect(await refused({ url: 'gopher://8.8.8.8/' })).toEqual([400, 'InvalidInput', '/url'])
  expect(await refused({ url: 'https://[::1/' })).toEqual([422, 'DestinationForbidden', '/url'])
  expect(await refused({ warehouse: place.code, region: place.region })).toEqual([422, 'PlaceAmbiguous', '/region'])
  expect(await refused({ warehouse: 'NOWHERE' })).toEqual([404, 'NotFound', undefined])
  expect(await refused({ region: 'NOWHERE' })).toEqual([404, 'NotFound', undefined])
  expect(await refused({ events: [] })).toEqual([400, 'InvalidInput', '/events'])
  expect((await entered({ url: 'http://10.20.3.4:8080/hooks' })).url).toBe('http://10.20.3.4:8080/hooks')
})

test('an unknown event is refused with the list of those there are (R-ERR-1)', async () => {
  const { status, body } = await admin.post('/v1/webhooks', { url: URL, events: ['slip.signed', 'slip.eaten'] })
  expect([status, body.errors[0]]).toMatchObject([400, { pointer: '/events/1', sent: 'slip.eaten' }])
  for (const event of WANTED_TYPES) expect(JSON.stringify(body)).toContain(event)
})

test('a place has at most twenty webhooks', async () => {
  const { code: warehouse } = await h.make.warehouse()
  for (let n = 0; n < 20; n++) await entered({ warehouse })
  expect((await admin.post('/v1/webhooks', { url: URL, warehouse })).body.code).toBe('TooManyWebhooks')
})

test('the list of events has an example of each', async () => {
  const nobody = callsAs(h, await h.make.person())
  const { body } = await nobody.get('/v1/webhook-events')
  expect(body.items.map(({ event }: { event: string }) => event)).toEqual(WEBHOOK_EVENT_TYPES)
  expect(body.items[0]).toMatchObject({
    event: 'slip.submitted',
    example: { type: 'slip.submitted', data: { slip: 'HQ-OUT-202611-00017', by: 'keeper@hq' } }
  })
})

test('it is changed, paused, switched on and deleted, and all of that is on record without its path', async () => {
  const { id } = await entered({ description: 'first', url: 'https://8.8.8.8/hooks/tokenoftheirs' })

  const changed = await admin.patch(`/v1/webhooks/${id}`, { events: ['period.closed'], description: null })
  expect(changed.body).toMatchObject({ events: ['period.closed'], description: null, state: 'active' })
  expect((await admin.patch(`/v1/webhooks/${id}`, { active: false })).body.state).toBe('paused')
  expect((await admin.get('/v1/webhooks?state=paused')).body.items.map((w: { id: string }) => w.id)).toEqual([id])
  expect((await admin.patch(`/v1/webhooks/${id}`, { active: true, events: null })).body).toMatchObject({
    state: 'active',
    events: null
  })
  expect((await admin.patch(`/v1/webhooks/${id}`, { url: 'https://10.0.0.1/' })).body.code).toBe('DestinationForbidden')
  expect((await admin.patch(`/v1/webhooks/${id}`, {})).status).toBe(400)
  const { status } = await h.api.delete(`/v1/webhooks/${id}`).auth(adminToken, { type: 'bearer' })
  expect(status).toBe(204)
  expect((await admin.get(`/v1/webhooks/${id}`)).status).toBe(404)

  const events = await h.sql<{ action: string; details: object }>(
    'select action, details from audit_event where subject = $1 order by id',
    [`webhook:${id}`]
  )
  expect(events.map(({ action }) => action)).toEqual([
    'webhook.created',
    'webhook.changed',
    'webhook.changed',
    'webhook.changed',
    'webhook.deleted'
  ])
  expect(JSON.stringify(events)).not.toContain('tokenoftheirs')
})

describe('who answers for it', () => {
  const places = async () => {
    const here = await h.make.warehouse()
    const sibling = await h.make.warehouse({ region: here.region })
    const people = {
      head: { duty: 'department-head', warehouse: here.code },
      regional: { duty: 'stock-controller', region: here.region },
      keeper: { duty: 'keeper', warehouse: here.code },
      elsewhere: { duty: 'department-head', warehouse: place.code },
      otherRegion: { duty: 'administrator', region: place.region }
    } as const
    const callers = {} as Record<keyof typeof people, Caller>
    for (const [name, grant] of Object.entries(people))
      callers[name as keyof typeof people] = callsAs(h, await h.make.person({ grants: [grant] }))
    return { here, sibling, ...callers }
  }

  test('the department head of a warehouse, the controller of its region, an administrator; nobody else sees it', async () => {
    const { here, sibling, head, regional, keeper, elsewhere, otherRegion } = await places()
    const ofHere = await entered({ warehouse: here.code }, head)
    const ofSibling = await entered({ warehouse: sibling.code }, regional)
    const ofRegion = await entered({ region: here.region }, regional)
    const ofAll = await entered({})
    const seenBy = async (who: Caller) => {
      const { items } = (await who.get('/v1/webhooks?limit=200')).body
      const ids = items.map(({ id }: { id: string }) => id)
      const read: string[] = []
      for (const { id } of [ofHere, ofSibling, ofRegion, ofAll])
        if ((await who.get(`/v1/webhooks/${id}`)).status === 200) read.push(id)
      expect(ids.filter((id: string) => [ofHere, ofSibling, ofRegion, ofAll].some((one) => one.id === id))).toEqual(
        read
      )
      return read
    }
    expect(await seenBy(head)).toEqual([ofHere.id])
    expect(await seenBy(regional)).toEqual([ofHere.id, ofSibling.id, ofRegion.id])
    expect(await seenBy(admin)).toEqual([ofHere.id, ofSibling.id, ofRegion.id, ofAll.id])
    for (const who of [keeper, elsewhere, otherRegion]) expect(await seenBy(who)).toEqual([])
  })

  test('every verb is refused to the wrong duty and for a foreign warehouse', async () => {
    const { here, head, keeper, elsewhere } = await places()
    const { id } = await entered({ warehouse: here.code }, head)
    const [{ id: message }] = await h.sql<{ id: string }>(
      `with m as (insert into webhook_message (type, subject, occurred_at, body) values ('ping', 'x', now(), '{}') returning id)
       insert into webhook_delivery (endpoint_id, message_id, subject, next_attempt_at) select $1, id, 'x', now() from m returning message_id::text as id`,
      [id]
    )
    for (const who of [keeper, elsewhere]) {
      const statuses = [
        (await who.get(`/v1/webhooks/${id}`)).status,
        (await who.patch(`/v1/webhooks/${id}`, { active: false })).status,
        (await who.post(`/v1/webhooks/${id}/secret-rotation`)).status,
        (await who.post(`/v1/webhooks/${id}/ping`)).status,
        (await who.post(`/v1/webhooks/${id}/replay`, { from: '2026-11-01T00:00:00Z' })).status,
        (await who.get(`/v1/webhooks/${id}/deliveries`)).status,
        (await who.get(`/v1/webhooks/${id}/deliveries/${message}`)).status,
        (await who.post(`/v1/webhooks/${id}/deliveries/${message}/redelivery`)).status
      ]
      expect(statuses).toEqual(Array.from({ length: 8 }, () => 404))
    }
    const enteredBy = async (who: Caller, body: object) =>
      (await who.post('/v1/webhooks', { url: URL, ...body })).status
    expect(await enteredBy(keeper, { warehouse: here.code })).toBe(403)
    expect(await enteredBy(elsewhere, { warehouse: here.code })).toBe(404)
    expect(await enteredBy(head, { region: here.region })).toBe(403)
    expect(await enteredBy(head, {})).toBe(403)
  })

  test('an API key reads, pings and replays, and neither enters nor changes a webhook nor gets a secret', async () => {
    const { here, head } = await places()
    const { id } = await entered({ warehouse: here.code }, head)
    const keyed = async (access: string) => {
      const { body } = await head.post('/v1/api-keys', { name: 'bridge', access, expiresOn: '2027-01-01' })
      const key = body.key as string
      return async (method: 'get' | 'post' | 'patch' | 'delete', path: string, sent?: object) => {
        const { status, body: answer } = await h.api[method](path).set('x-api-key', key).send(sent)
        return answer.code ?? status
      }
    }
    const writing = await keyed('write')
    expect([
      await writing('get', `/v1/webhooks/${id}`),
      await writing('post', `/v1/webhooks/${id}/ping`),
      await writing('post', `/v1/webhooks/${id}/replay`, { from: '2026-11-01T00:00:00Z' }),
      await writing('post', '/v1/webhooks', { url: URL, warehouse: here.code }),
      await writing('patch', `/v1/webhooks/${id}`, { active: false }),
      await writing('post', `/v1/webhooks/${id}/secret-rotation`),
      await writing('delete', `/v1/webhooks/${id}`)
    ]).toEqual([200, 202, 202, 'PersonRequired', 'PersonRequired', 'PersonRequired', 'PersonRequired'])
    const reading = await keyed('read')
    expect([
      await reading('get', `/v1/webhooks/${id}/deliveries`),
      await reading('post', `/v1/webhooks/${id}/ping`),
      await reading('post', `/v1/webhooks/${id}/replay`, { from: '2026-11-01T00:00:00Z' }),
      await reading('delete', `/v1/webhooks/${id}`)
    ]).toEqual([200, 'ReadOnlyKey', 'ReadOnlyKey', 'ReadOnlyKey'])
  })
})

test('a replay of a span that is none, or too much, is refused', async () => {
  const { id } = await entered()
  const replayed = async (body: object) => {
    const { status, body: answer } = await admin.post(`/v1/webhooks/${id}/replay`, body)
    return [status, answer.code ?? answer.queued]
  }
  expect(await replayed({ from: '2026-11-19T00:00:00Z', to: '2026-11-18T00:00:00Z' })).toEqual([
    422,
    'InstantsReversed'
  ])
  expect(await replayed({ from: '0000-01-01T00:00:00Z' })).toEqual([400, 'InvalidInput'])
  expect(await replayed({ from: 'yesterday' })).toEqual([400, 'InvalidInput'])
  expect(await replayed({ from: '2026-11-19T00:00:00+08:00' })).toEqual([202, 0])
  await h.sql(
    `insert into webhook_message (type, subject, occurred_at, body) select 'slip.posted', 's' || n, '2026-11-19T12:00:00Z', '{}' from generate_series(1, 50001) n`
  )
  expect(await replayed({ from: '2026-11-19T00:00:00Z' })).toEqual([422, 'ReplayTooLarge'])
  expect(await replayed({ from: '2026-11-19T13:00:00Z' })).toEqual([202, 0])
  await h.sql(`delete from webhook_message where type = 'slip.posted'`)
})
