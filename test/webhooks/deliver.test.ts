import type { ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemActor } from '../../src/identity/directory.ts'
import { claimOutbox, dispatch, publish } from '../../src/platform/outbox.ts'
import { openSender } from '../../src/webhooks/agent.ts'
import { createWebhook } from '../../src/webhooks/create-webhook.ts'
import { deliverDue, sweepDueDeliveries } from '../../src/webhooks/deliver.ts'
import { networksOf, type Resolve } from '../../src/webhooks/destinations.ts'
import { tellWebhooks } from '../../src/webhooks/fan-out.ts'
import { purgeDeliveries } from '../../src/webhooks/purge-deliveries.ts'
import { callsAs, type Caller } from '../support/calls.ts'
import { openCounter, type Counter } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { relayed } from '../support/relay.ts'
import { answering, openReceiver, verified, type Receiver } from './receiver.ts'

let h: Harness
let counter: Counter
let person: MadePerson
let admin: Caller
let receiver: Receiver
beforeAll(async () => {
  h = await openHarness({ env: { WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8,::1/128' } })
  person = await h.make.person({ username: 'admin', grants: [{ duty: 'administrator' }] })
  admin = callsAs(h, person)
})
afterAll(() => h.close())
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  receiver = await openReceiver()
  counter = await openCounter(h)
})
afterEach(async () => {
  await receiver.close()
  await h.sql('delete from webhook_endpoint')
  await relayed(h)
})

const entered = async (body: object = {}): Promise<{ id: string; secret: string }> => {
  const answer = await admin.post('/v1/webhooks', { url: receiver.url, warehouse: counter.warehouse, ...body })
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body
}
const state = async (id: string) => (await admin.get(`/v1/webhooks/${id}`)).body
const deliveries = async (id: string, query = '') =>
  (await admin.get(`/v1/webhooks/${id}/deliveries?limit=200${query}`)).body.items
const system = () => h.contextOf(systemActor)
const allowed = () => networksOf(h.runtime.config)
/** Something happens to a subject in the warehouse, by an event that is told as it is. */
const happens = async (subject: string, payload: Record<string, unknown> = {}) => {
  await publish(system(), [{ subject, event: 'lot.aged', warehouseId: counter.warehouseId, payload }])
}
/** Moves the clock to where a retry is due and has it swept. */
const later = async (duration: Temporal.DurationLike) => {
  h.clock.advance(duration)
  await sweepDueDeliveries(system())
  await relayed(h)
}

describe('what is sent (R-ALR-3)', () => {
  test('the life of a slip, in order, each signed by Standard Webhooks', async () => {
    const { secret } = await entered()
    const part = await counter.stocked()
    await relayed(h)
    receiver.received.length = 0

    const { number } = await counter.posted({
      kind: 'issue',
      reference: 'R-1',
      lines: [{ part: part.number, quantity: '1' }]
    })
    const { body: reversal } = await counter.keeper.post(`/v1/slips/${number}/reversal`, { reason: 'wrong part' })
    await counter.signAndPost(reversal.number)
    await relayed(h)

    const ofSlip = receiver.received.filter(({ json }) => json.data['slip'] === number)
    expect(ofSlip.map(({ json }) => [json.type, json.data['by'], json.data['duty'] ?? null])).toEqual([
      ['slip.submitted', counter.keeper.person.username, null],
      ...Object.entries(counter.signers).map(([duty, signer]) => ['slip.signed', signer.person.username, duty]),
      ['slip.posted', counter.keeper.person.username, null],
      ['slip.reversed', counter.keeper.person.username, null]
    ])
    expect(ofSlip.at(-1)?.json).toEqual({
      type: 'slip.reversed',
      timestamp: '2026-11-20T02:00:00Z',
      data: {
        slip: number,
        kind: 'issue',
        state: 'posted',
        warehouse: counter.warehouse,
        occurredOn: '2026-11-20',
        reference: 'R-1',
        by: counter.keeper.person.username,
        reversedBy: reversal.number
      }
    })
    for (const request of receiver.received) {
      expect(verified(secret, request)).toEqual(request.json)
      expect(request.headers['webhook-id']).toMatch(/^msg_[0-9a-f]{32}$/)
    }
    expect(() => verified('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', receiver.received[0])).toThrow('signature')
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(receiver.received.length)
  })

  test('refusals, emergency releases and late signatures tell what they are about', async () => {
    const part = await counter.stocked()
    await entered({ events: ['slip.refused', 'slip.released-in-emergency', 'slip.signed'] })
    const issue = { kind: 'issue', lines: [{ part: part.number, quantity: '1' }] }
    const refused = await counter.slip(issue)
    await counter.signers['department-head'].post(`/v1/slips/${refused.number}/signatures`, {
      duty: 'department-head',
      decision: 'refuse',
      comment: 'no repair order'
    })
    const held = await counter.slip(issue)
    await counter.sign(held.number)
    await counter.keeper.post(`/v1/slips/${held.number}/release-refusal`, { reason: 'papers incomplete' })
    const urgent = await counter.slip(issue)
    await counter.sign(urgent.number, ['department-head', 'operations-supervisor'])
    await counter.keeper.post(`/v1/slips/${urgent.number}/emergency-release`, {
      missingDuty: 'finance-supervisor',
      authorisedBy: '王芳',
      reason: '客户停机',
      handedTo: '李雷'
    })
    await counter.sign(urgent.number, ['finance-supervisor'])
    await relayed(h)

    const told = receiver.received.map(({ json: { type, data } }): Record<string, unknown> => ({ type, ...data }))
    expect(told.filter(({ type }) => type === 'slip.refused')).toMatchObject([
      { slip: refused.number, duty: 'department-head', reason: 'no repair order' },
      { slip: held.number, duty: 'keeper', reason: 'papers incomplete' }
    ])
    expect(told.filter(({ type }) => type === 'slip.released-in-emergency')).toMatchObject([
      {
        slip: urgent.number,
        missingDuty: 'finance-supervisor',
        authorisedBy: '王芳',
        reason: '客户停机',
        handedTo: '李雷'
      }
    ])
    expect(told.filter(({ slip, type }) => slip === urgent.number && type === 'slip.signed')).toMatchObject([
      { isLate: false },
      { isLate: false },
      { isLate: true, duty: 'finance-supervisor' }
    ])
  })

  test('counts are no slips, a closed month and other events are told as they are', async () => {
    await counter.stocked()
    h.clock.set('2026-12-01T10:00')
    await entered()
    await counter.monthEnd('2026-11')
    await happens('lot:1', { warehouse: counter.warehouse, part: 'P', lot: '1' })
    await relayed(h)

    expect(receiver.types().filter((type) => !type.startsWith('slip.') && !type.startsWith('alert.'))).toEqual([
      'period.closed',
      'lot.aged'
    ])
    expect(receiver.received.find(({ json }) => json.type === 'period.closed')?.json.data).toMatchObject({
      warehouse: counter.warehouse,
      period: '2026-11',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/)
    })
  })

  test('only what an endpoint wants, and only of its place', async () => {
    const other = await openCounter(h)
    await h.sql('update warehouse set region_id = (select region_id from warehouse where code = $1) where code = $2', [
      counter.warehouse,
      other.warehouse
    ])
    const [{ region }] = await h.sql<{ region: string }>(
      'select region.code as region from warehouse join region on region.id = region_id where warehouse.code = $1',
      [other.warehouse]
    )
    const stranger = await openCounter(h)
    const everywhere = await openReceiver()
    const regional = await openReceiver()
    await entered({ events: ['slip.posted'] })
    await entered({ url: regional.url, warehouse: undefined, region, events: ['slip.posted'] })
    await entered({ url: everywhere.url, warehouse: undefined, events: ['slip.posted', 'slip.submitted'] })
    for (const at of [counter, other, stranger]) await at.stocked()
    await relayed(h)

    const seen = ({ received }: Receiver) => received.map(({ json }) => [json.type, json.data['warehouse']])
    expect(seen(receiver)).toEqual([['slip.posted', counter.warehouse]])
    expect(seen(regional)).toEqual([
      ['slip.posted', counter.warehouse],
      ['slip.posted', other.warehouse]
    ])
    expect(seen(everywhere)).toHaveLength(6)
    await everywhere.close()
    await regional.close()
  })

  test('a second handling of the same events delivers nothing twice', async () => {
    const { id } = await entered()
    await happens('lot:1')
    await happens('lot:2')
    const ctx = system()
    const rows = await h.sql('select * from outbox order by id')
    await dispatch(ctx, await claimOutbox(ctx), [tellWebhooks])
    for (const row of rows)
      await h.sql(
        `insert into outbox (id, subject, event, warehouse_id, payload, occurred_at) overriding system value values ($1, $2, $3, $4, $5, $6)`,
        [
          row['id'],
          row['subject'],
          row['event'],
          row['warehouse_id'],
          JSON.stringify(row['payload']),
          row['occurred_at']
        ]
      )
    await relayed(h)
    await deliverDue(ctx, { endpoint: id })

    expect(receiver.types()).toEqual(['lot.aged', 'lot.aged'])
    expect(await deliverDue(ctx, { endpoint: id })).toBeUndefined()
  })
})

describe('what goes wrong', () => {
  test('a failure is tried again after a pause, in a log of attempts, under the same webhook-id', async () => {
    const { id, secret } = await entered()
    receiver.answer((response, _request, count) =>
      answering(count === 1 ? 500 : 200, {}, 'said')(response, _request, count)
    )
    await happens('lot:1')
    await relayed(h)
    const [waiting] = await deliveries(id)
    expect(waiting).toMatchObject({ state: 'waiting', attempts: 1, settledAt: null })
    expect(Date.parse(waiting.nextAttemptAt) - Date.parse('2026-11-20T02:00:00Z')).toBeGreaterThanOrEqual(4_500)
    expect(await state(id)).toMatchObject({ waiting: 1, failingSince: '2026-11-20T02:00:00Z' })

    await later({ seconds: 4 })
    expect(receiver.received).toHaveLength(1)
    await later({ seconds: 2 })

    const [delivered] = await deliveries(id)
    expect(delivered).toMatchObject({ state: 'delivered', attempts: 2, nextAttemptAt: null })
    expect(delivered.log).toEqual([
      { at: '2026-11-20T02:00:06Z', milliseconds: expect.any(Number), status: 200, problem: null, response: 'said' },
      {
        at: '2026-11-20T02:00:00Z',
        milliseconds: expect.any(Number),
        status: 500,
        problem: 'the receiver answered 500',
        response: 'said'
      }
    ])
    const [first, second] = receiver.received
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id'])
    expect(second.body).toBe(first.body)
    expect(verified(secret, second)).toEqual(second.json)
    expect(await state(id)).toMatchObject({ waiting: 0, failingSince: null })
  })

  test('after eleven attempts in about a day it is a dead letter, and can be sent again', async () => {
    const { id } = await entered()
    receiver.answer(answering(503))
    await happens('lot:1')
    await relayed(h)
    for (let n = 0; n < 20 && (await deliveries(id, '&state=dead')).length === 0; n++) await later({ hours: 9 })
    const [dead] = await deliveries(id, '&state=dead')
    expect(dead).toMatchObject({ attempts: 11, nextAttemptAt: null })
    expect(receiver.received).toHaveLength(11)
    await later({ hours: 48 })
    expect(receiver.received).toHaveLength(11)

    await admin.patch(`/v1/webhooks/${id}`, { active: true })
    receiver.answer(answering(204))
    const again = await admin.post(`/v1/webhooks/${id}/deliveries/${dead.id}/redelivery`)
    expect([again.status, again.body.state, again.body.attempts]).toEqual([202, 'waiting', 0])
    await relayed(h)
    expect((await admin.get(`/v1/webhooks/${id}/deliveries/${dead.id}`)).body).toMatchObject({
      state: 'delivered',
      attempts: 1,
      body: receiver.received[0].body
    })
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  })

  test('events of one subject wait for each other; those of others do not', async () => {
    await entered()
    receiver.answer((response, { json }) => answering(json.data['n'] === 1 ? 500 : 204)(response, {} as never, 0))
    await happens('lot:1', { n: 1 })
    await happens('lot:1', { n: 2 })
    await happens('lot:2', { n: 3 })
    await relayed(h)
    expect(receiver.received.map(({ json }) => json.data['n']).sort()).toEqual([1, 3])
    receiver.answer(answering(204))
    await later({ seconds: 6 })
    expect(receiver.received.map(({ json }) => json.data['n']).slice(2)).toEqual([1, 2])
  })

  test('a redirect is a failure that says so, and is not followed', async () => {
    const elsewhere = await openReceiver()
    const { id } = await entered()
    receiver.answer(answering(302, { location: elsewhere.url }))
    await happens('lot:1')
    await relayed(h)
    const [{ log }] = await deliveries(id)
    expect(log[0]).toMatchObject({ status: 302, problem: expect.stringContaining('redirects are not followed') })
    expect(log[0].problem).toContain(elsewhere.url)
    expect(elsewhere.received).toEqual([])
    await elsewhere.close()
  })

  test('a 410 disables the endpoint at once, and it says why', async () => {
    const { id } = await entered()
    receiver.answer(answering(410))
    await happens('lot:1')
    await relayed(h)
    expect(await state(id)).toMatchObject({
      state: 'disabled',
      disabledBecause: 'the receiver answered 410: it is gone for good',
      disabledAt: '2026-11-20T02:00:00Z',
      dead: 1
    })
    await happens('lot:2')
    await later({ hours: 30 })
    expect(receiver.received).toHaveLength(1)
    const { body } = await admin.post(`/v1/webhooks/${id}/ping`)
    expect(body).toMatchObject({ code: 'WebhookInactive', detail: expect.stringContaining('410') })
  })

  test('what the old URL still answers says nothing about the new one', async () => {
    const { id } = await entered()
    const elsewhere = await openReceiver()
    receiver.answer(async (response) => {
      await admin.patch(`/v1/webhooks/${id}`, { url: elsewhere.url })
      response.writeHead(410).end()
    })
    await happens('lot:1')
    await relayed(h, { runsJobs: false })
    await deliverDue(system(), { endpoint: id })
    expect(await state(id)).toMatchObject({ state: 'active', failingSince: null, restsUntil: null })
    await happens('lot:2')
    await relayed(h)
    expect(elsewhere.received).toHaveLength(1)
    await elsewhere.close()
  })

  test('a receiver that answers slowly is given up on, whatever trickles', async () => {
    const { id } = await entered()
    const sender = openSender(allowed(), { limits: { connectMs: 500, wholeMs: 400 } })
    const dangling: ServerResponse[] = []
    receiver.answer((response) => void dangling.push(response))
    await happens('lot:1')
    await relayed(h, { runsJobs: false })
    await deliverDue(system(), { endpoint: id }, sender)
    expect((await deliveries(id))[0].log[0]).toMatchObject({ status: null, problem: 'no answer within 0.4 s' })

    // What has a status has arrived or not; the rest of its answer is cut off.
    receiver.answer((response) => {
      response.writeHead(200)
      const trickle = setInterval(() => response.write('.'), 50)
      response.on('close', () => clearInterval(trickle))
    })
    h.clock.advance({ minutes: 1 })
    await deliverDue(system(), { endpoint: id }, sender)
    const [{ state: settled, log }] = await deliveries(id)
    expect([settled, log[0].status]).toEqual(['delivered', 200])
    for (const response of dangling) response.destroy()
    await sender.agent.destroy()
  })

  test('of a huge answer a kilobyte is read and kept', async () => {
    const { id } = await entered()
    let sent = 0
    receiver.answer((response) => {
      response.writeHead(200)
      const more = () => {
        while (!response.destroyed && sent < 200e6) {
          sent += 65_536
          if (!response.write('字'.repeat(21_845) + '\0')) return void response.once('drain', more)
        }
        response.end()
      }
      more()
    })
    await happens('lot:1')
    await relayed(h)
    const [{ log, state: settled }] = await deliveries(id)
    expect(settled).toBe('delivered')
    expect(Buffer.byteLength(log[0].response)).toBeLessThanOrEqual(1_040)
    expect(log[0].response).toMatch(/^字+.*…$/)
    expect(sent).toBeLessThan(50e6)
  })

  test('a receiver that is not there is a failure like any other', async () => {
    const gone = await openReceiver()
    const { id } = await entered({ url: gone.url })
    await gone.close()
    await happens('lot:1')
    await relayed(h)
    expect((await deliveries(id))[0].log[0]).toMatchObject({
      status: null,
      problem: expect.stringContaining('ECONNREFUSED'),
      response: null
    })
  })

  test('a name that is private when it is called gets nothing (DNS rebinding)', async () => {
    const at =
      (address: string): Resolve =>
      () =>
        Promise.resolve([{ address, family: 4 }])
    const port = new URL(receiver.url).port
    const { id } = await createWebhook(
      h.contextOf(person.actor),
      { url: `https://erp.example.com:${port}/hooks`, warehouse: counter.warehouse },
      at('8.8.8.8')
    )
    const sender = openSender([], { look: at('127.0.0.1') })
    await happens('lot:1')
    await relayed(h, { runsJobs: false })
    await deliverDue(system(), { endpoint: id }, sender)
    expect((await deliveries(id))[0].log[0]).toMatchObject({
      status: null,
      problem: '127.0.0.1 is no public address; an operator may allow its network by WEBHOOK_ALLOWED_NETWORKS'
    })
    expect(receiver.received).toEqual([])
    await sender.agent.destroy()
  })

  test('what asks for time by Retry-After is given it, an hour at most', async () => {
    const { id } = await entered()
    receiver.answer(answering(429, { 'retry-after': '600' }))
    await happens('lot:1')
    await relayed(h)
    await happens('lot:2')
    await later({ minutes: 9 })
    expect(receiver.received).toHaveLength(1)
    expect(await state(id)).toMatchObject({ restsUntil: '2026-11-20T02:10:00Z' })
    receiver.answer(answering(503, { 'retry-after': '999999' }))
    await later({ minutes: 2 })
    expect(receiver.received).toHaveLength(3)
    receiver.answer(answering(204))
    await later({ minutes: 61 })
    expect((await deliveries(id, '&state=delivered')).length).toBe(2)
  })

  test('an endpoint that fails in a row rests, the rest of its deliveries keep their attempts, and one try wakes it', async () => {
    const { id } = await entered()
    receiver.answer(answering(500))
    for (let n = 0; n < 40; n++) await happens(`lot:${n}`)
    await relayed(h)
    const tried = receiver.received.length
    // Those that were on their way when the fifth failed.
    expect(tried).toBeGreaterThanOrEqual(5)
    expect(tried).toBeLessThanOrEqual(20)
    expect((await deliveries(id)).filter((one: { attempts: number }) => one.attempts === 0)).toHaveLength(40 - tried)
    await later({ minutes: 6 })
    expect(receiver.received).toHaveLength(tried + 1)
    receiver.answer(answering(204))
    await later({ minutes: 6 })
    expect(await deliveries(id, '&state=delivered')).toHaveLength(40)
    expect(await state(id)).toMatchObject({ restsUntil: null, failingSince: null })
  })

  test('nothing having arrived for 72 hours disables it when a delivery is given up', async () => {
    const { id } = await entered()
    receiver.answer(answering(500))
    await happens('lot:1')
    await relayed(h)
    for (let n = 0; n < 12; n++) await later({ hours: 4 })
    expect((await state(id)).state).toBe('active')
    await happens('lot:2')
    for (let n = 0; n < 30 && (await state(id)).state === 'active'; n++) await later({ hours: 9 })
    expect(await state(id)).toMatchObject({
      state: 'disabled',
      disabledBecause: 'nothing has arrived for 72 hours, and a delivery was given up',
      dead: 2
    })
  })
})

describe('one pump per endpoint', () => {
  test('two pumps at once send everything once', async () => {
    const { id } = await entered()
    for (let n = 0; n < 30; n++) await happens(`lot:${n}`)
    await relayed(h, { runsJobs: false })
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => deliverDue(system(), { endpoint: id })))
    expect(outcomes.filter((one) => one !== undefined)).toEqual([{ delivered: 30, failed: 0 }])
    expect(receiver.received).toHaveLength(30)
  })

  test('the deliveries of a pump that was killed are sent by another when its lease is over', async () => {
    const { id } = await entered()
    await happens('lot:1')
    await relayed(h, { runsJobs: false })
    await h.sql(
      `update webhook_endpoint set lease = gen_random_uuid(), leased_until = clock_timestamp() + interval '1 minute' where id = $1`,
      [id]
    )
    expect(await deliverDue(system(), { endpoint: id })).toBeUndefined()
    expect(await sweepDueDeliveries(system())).toBeUndefined()
    await h.sql(`update webhook_endpoint set leased_until = clock_timestamp() - interval '1 second' where id = $1`, [
      id
    ])
    expect(await sweepDueDeliveries(system())).toEqual({ endpoints: 1 })
    await relayed(h)
    expect(receiver.types()).toEqual(['lot.aged'])
    expect(await sweepDueDeliveries(system())).toBeUndefined()
  })

  test('with every job lost, the sweep finds what is due (R-ALR-2)', async () => {
    await entered()
    await happens('lot:1')
    expect(await relayed(h, { runsJobs: false })).toContain('webhooks.deliver')
    expect(receiver.received).toEqual([])
    await sweepDueDeliveries(system())
    await relayed(h)
    expect(receiver.types()).toEqual(['lot.aged'])
  })

  test('a slow receiver keeps nobody else waiting', async () => {
    const slow = await openReceiver((response) => void setTimeout(() => response.writeHead(204).end(), 1_500))
    const { id: slowly } = await entered({ url: slow.url })
    const { id: quickly } = await entered()
    for (let n = 0; n < 40; n++) await happens(`lot:${n}`)
    await relayed(h, { runsJobs: false })
    const pumping = deliverDue(system(), { endpoint: slowly })
    await deliverDue(system(), { endpoint: quickly })
    expect(receiver.received).toHaveLength(40)
    expect(slow.received.length).toBeLessThan(40)
    await pumping
    await slow.close()
  })

  test('many events are sent at once, those of one subject in their order', async () => {
    const { id } = await entered()
    const events = Array.from({ length: 1_000 }, (_, n) => ({
      subject: `lot:${n % 200}`,
      event: 'lot.aged',
      warehouseId: counter.warehouseId,
      payload: { n }
    }))
    await publish(system(), events)
    await relayed(h, { runsJobs: false })
    expect(await deliverDue(system(), { endpoint: id })).toEqual({ delivered: 1_000, failed: 0 })
    const bySubject = Map.groupBy(receiver.received, ({ json }) => Number(json.data['n']) % 200)
    for (const received of bySubject.values()) {
      const order = received.map(({ json }) => Number(json.data['n']))
      expect(order).toEqual(order.toSorted((a, b) => a - b))
    }
  })
})

describe('by hand', () => {
  test('a ping is sent whatever the endpoint wants', async () => {
    const { id, secret } = await entered({ events: ['period.closed'] })
    const { status, body, headers } = await admin.post(`/v1/webhooks/${id}/ping`)
    expect([status, body.event, body.state, headers['location']]).toEqual([
      202,
      'ping',
      'waiting',
      `/v1/webhooks/${id}/deliveries/${body.id}`
    ])
    await relayed(h)
    expect(verified(secret, receiver.received[0])).toEqual({
      type: 'ping',
      timestamp: '2026-11-20T02:00:00Z',
      data: { webhook: id, by: 'admin' }
    })
    expect((await deliveries(id))[0]).toMatchObject({ state: 'delivered', webhookId: body.webhookId })
  })

  test('for 24 hours after a rotation both secrets sign, then the new one alone', async () => {
    const { id, secret: old } = await entered()
    const { status, body } = await admin.post(`/v1/webhooks/${id}/secret-rotation`)
    expect([status, body.oldSecretValidUntil]).toEqual([200, '2026-11-21T02:00:00Z'])
    expect(await state(id)).toMatchObject({ oldSecretValidUntil: '2026-11-21T02:00:00Z' })
    await happens('lot:1')
    await relayed(h)
    expect(verified(old, receiver.received[0])).toEqual(verified(body.secret, receiver.received[0]))

    h.clock.advance({ hours: 24 })
    await happens('lot:2')
    await relayed(h)
    expect(verified(body.secret, receiver.received[1])).toBeDefined()
    expect(() => verified(old, receiver.received[1])).toThrow('signature')
    expect((await state(id)).oldSecretValidUntil).toBeNull()
  })

  test('a replay sends a span again in its order, also what was missed while the endpoint was off', async () => {
    const { id } = await entered()
    await happens('lot:1', { n: 1 })
    await relayed(h)
    h.clock.advance({ hours: 1 })
    await admin.patch(`/v1/webhooks/${id}`, { active: false })
    await happens('lot:1', { n: 2 })
    await happens('lot:1', { n: 3 })
    await relayed(h)
    await admin.patch(`/v1/webhooks/${id}`, { active: true })
    await relayed(h)
    const numbers = () => receiver.received.map(({ json }) => json.data['n'])
    expect(numbers()).toEqual([1])

    const replay = async (body: object) => (await admin.post(`/v1/webhooks/${id}/replay`, body)).body
    expect(await replay({ from: '2026-11-20T00:00:00Z', onlyFailed: true })).toEqual({ queued: 2 })
    await relayed(h)
    expect(numbers()).toEqual([1, 2, 3])
    expect(await replay({ from: '2026-11-20T00:00:00Z', to: '2026-11-20T02:30:00Z' })).toEqual({ queued: 1 })
    expect(await replay({ from: '2026-11-20T02:30:00Z', events: ['slip.posted'] })).toEqual({ queued: 0 })
    expect(await replay({ from: '2026-11-20T00:00:00Z', onlyFailed: true })).toEqual({ queued: 1 })
    await relayed(h)
    expect(numbers()).toEqual([1, 2, 3, 1])
    expect(receiver.received[3].headers['webhook-id']).toBe(receiver.received[0].headers['webhook-id'])
  })

  test('what arrived is not sent again by a replay of what failed, also when the log has forgotten it', async () => {
    const { id } = await entered()
    await happens('lot:1')
    await relayed(h)
    receiver.answer(answering(410))
    await happens('lot:2')
    await relayed(h)
    await admin.patch(`/v1/webhooks/${id}`, { active: true })
    h.clock.advance({ days: 31 })
    await purgeDeliveries(system())
    expect(await deliveries(id)).toMatchObject([{ state: 'dead' }])
    const replay = async (onlyFailed: boolean) =>
      (await admin.post(`/v1/webhooks/${id}/replay`, { from: '2026-11-20T00:00:00Z', onlyFailed })).body
    expect(await replay(true)).toEqual({ queued: 1 })
    expect(await replay(false)).toEqual({ queued: 2 })
  })

  test('deliveries are listed newest first, page by page, by state and event', async () => {
    const { id } = await entered()
    for (let n = 0; n < 5; n++) await happens(`lot:${n}`)
    await admin.post(`/v1/webhooks/${id}/ping`)
    await relayed(h)
    const first = (await admin.get(`/v1/webhooks/${id}/deliveries?limit=4`)).body
    const second = (await admin.get(`/v1/webhooks/${id}/deliveries?limit=4&cursor=${first.nextCursor}`)).body
    expect([...first.items, ...second.items]).toEqual(await deliveries(id))
    expect(second.nextCursor).toBeNull()
    expect(await deliveries(id, '&event=ping')).toMatchObject([{ event: 'ping', state: 'delivered' }])
    expect(await deliveries(id, '&state=waiting')).toEqual([])
    expect((await admin.get(`/v1/webhooks/${id}/deliveries/999999`)).status).toBe(404)
  })

  test('deliveries are forgotten after 30 days, dead ones after 90, and a second purge finds nothing', async () => {
    const { id } = await entered()
    await happens('lot:1')
    await relayed(h)
    receiver.answer(answering(410))
    await happens('lot:2')
    await relayed(h)
    h.clock.advance({ days: 29 })
    expect((await purgeDeliveries(system())).deliveries).toBe(0)
    h.clock.advance({ days: 2 })
    expect((await purgeDeliveries(system())).deliveries).toBe(1)
    expect(await deliveries(id)).toMatchObject([{ state: 'dead' }])
    h.clock.advance({ days: 60 })
    const gone = await purgeDeliveries(system())
    expect([gone.deliveries, gone.messages >= 2]).toEqual([1, true])
    expect(await purgeDeliveries(system())).toEqual({ deliveries: 0, messages: 0 })
  })
})
