import { connect, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { actorOf } from '../../src/identity/directory.ts'
import { instant } from '../../src/platform/clock.ts'
import { openCounter, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { openStream, type OpenStream } from '../support/streams.ts'
import { reconciled, setLevel } from './alerting.ts'

let h: Harness
const opened: OpenStream[] = []
beforeAll(async () => {
  h = await openHarness()
  Object.assign(h.app.alertStreams, { pollMs: 20 })
})
afterEach(async () => {
  for (const stream of opened.splice(0)) stream.close()
  await gone()
  Object.assign(h.app.alertStreams, {
    heartbeatMs: 15_000,
    recheckMs: 15_000,
    most: 1_000,
    mostOfOne: 20,
    stalledMs: 30_000
  })
})
afterAll(() => h.close())

/** Waits until every stream is closed. */
async function gone(): Promise<void> {
  for (let tries = 0; h.app.alertStreams.open > 0 && tries < 200; tries++) await sleep(20)
  expect(h.app.alertStreams.open).toBe(0)
}

async function listen(
  person: Pick<MadePerson, 'token'>,
  path = '/v1/alerts/stream',
  headers = {}
): Promise<OpenStream> {
  const stream = await openStream(h, path, { authorization: `Bearer ${person.token}`, ...headers })
  opened.push(stream)
  return stream
}

/** A warehouse in which `short` runs short and `enough` does not, whenever it is said. */
async function shop(): Promise<Counter & { short(): Promise<void>; enough(): Promise<void>; part: string }> {
  const counter = await openCounter(h)
  const { id, number: part } = await counter.stocked({ quantity: '10' })
  const turn = (reorderPoint: string) => async () => {
    await setLevel(h, counter.warehouseId, id, { reorderPoint, orderUpTo: '30' })
    await reconciled(h, 'reorder-point')
  }
  return { ...counter, part, short: turn('20'), enough: turn('5') }
}

test('an alert is there within seconds, for whoever sees the warehouse, in the language of each (R-ALR-1)', async () => {
  const [at, other] = [await shop(), await shop()]
  const english = await h.make.person({ grants: [{ duty: 'keeper', warehouse: at.warehouse }] })
  await h.sql(`update person set language = 'en' where id = $1`, [english.id])
  await h.sql('notify identity_changed')
  await expect.poll(async () => (await actorOf(h.runtime, english.username)).language).toBe('en')
  const near = await listen(english)
  const strange = await listen(other.keeper.person)
  const everywhere = await listen(await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  expect([near.status, near.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
  // Joined before anything happens.
  await Promise.all([near.any(), strange.any(), everywhere.any()])

  await at.short()
  const raised = await near.next()
  expect(raised).toMatchObject({
    event: 'raised',
    data: {
      event: 'raised',
      at: instant(h.clock.now().toString()),
      by: null,
      details: null,
      alert: {
        warehouse: at.warehouse,
        kind: 'reorder-point',
        kindName: 'Reorder point reached',
        subject: at.part,
        state: 'open'
      }
    }
  })
  expect(await everywhere.next()).toMatchObject({
    id: raised.id,
    event: 'raised',
    data: { alert: { id: raised.data.alert.id, kindName: '低于订货点' } }
  })
  await at.enough()
  expect(await near.next()).toMatchObject({ event: 'resolved', data: { alert: { state: 'resolved' } } })

  // Whoever does not see the warehouse hears of the next thing in its own first.
  await other.short()
  expect(await strange.next()).toMatchObject({ event: 'raised', data: { alert: { warehouse: other.warehouse } } })
})

test('with mine only what the duties of the listener are told of', async () => {
  const at = await shop()
  const purchaser = await listen(
    await h.make.person({
      grants: [{ duty: 'purchaser', region: at.warehouse.length > 0 ? `R-${at.warehouse}` : '' }]
    }),
    '/v1/alerts/stream?mine=true'
  )
  const technician = await listen(
    await h.make.person({ grants: [{ duty: 'technician', warehouse: at.warehouse }] }),
    '/v1/alerts/stream?mine=true'
  )
  await Promise.all([purchaser.any(), technician.any()])
  await at.short()
  expect(await purchaser.next()).toMatchObject({ event: 'raised' })
  Object.assign(h.app.alertStreams, { heartbeatMs: 50 })
  await at.enough()
  expect(await purchaser.next()).toMatchObject({ event: 'resolved' })
  // Nothing but heartbeats: the wait for them was as long as it was set when it began.
  const silence = await Promise.race([technician.next(), sleep(300)])
  expect(silence).toBeUndefined()
})

test('Last-Event-ID goes on after the event that came last, from memory or from the database', async () => {
  const at = await shop()
  const keeper = at.keeper.person
  const first = await listen(keeper)
  await first.any()
  await at.short()
  const raised = await first.next()
  first.close()
  await gone()
  // Nobody listens, so nothing is kept in memory.
  await at.enough()
  await at.short()
  const again = await listen(keeper, '/v1/alerts/stream', { 'last-event-id': raised.id })
  const [resolved, second] = [await again.next(), await again.next()]
  expect([resolved.event, second.event]).toEqual(['resolved', 'raised'])
  // Somebody listens, so this one is read from memory.
  await at.enough()
  const third = await again.next()
  const beside = await listen(keeper, '/v1/alerts/stream', { 'last-event-id': second.id })
  expect(await beside.next()).toEqual(third)
  // An id that was never given out begins with what is new.
  const ahead = await listen(keeper, '/v1/alerts/stream', { 'last-event-id': '999999999' })
  await ahead.any()
  await at.short()
  expect(await ahead.next()).toMatchObject({ event: 'raised' })
  const { status, body } = await at.keeper.get('/v1/alerts/stream', { 'last-event-id': 'x' })
  expect([status, body.code]).toEqual([400, 'InvalidInput'])
})

test('a comment comes where nothing else does', async () => {
  Object.assign(h.app.alertStreams, { heartbeatMs: 30 })
  const stream = await listen((await shop()).keeper.person)
  await stream.any()
  expect([await stream.any(), await stream.any()]).toEqual([{ comment: 'still here' }, { comment: 'still here' }])
})

test('it ends when the token does, and when the person is locked out; duties that end are noticed', async () => {
  Object.assign(h.app.alertStreams, { heartbeatMs: 30, recheckMs: 30 })
  const at = await shop()
  const person = await h.make.person({ grants: [{ duty: 'keeper', warehouse: at.warehouse }] })
  const moved = await listen(person)
  await moved.any()
  await h.sql(`update duty_assignment set ended_at = now(), ended_by = 0 where person_id = $1`, [person.id])
  await h.sql(`notify identity_changed`)
  await expect.poll(async () => (await actorOf(h.runtime, person.username)).grants).toEqual([])
  // Longer than the stream goes on with what it knew.
  await sleep(100)
  await at.short()
  await at.enough()
  expect(await Promise.race([moved.next(), sleep(200)])).toBeUndefined()

  const { body } = await h.api
    .post('/v1/auth/tokens')
    .send({ username: at.keeper.person.username, password: at.keeper.person.password })
  const brief = await listen({ token: body.accessToken as string })
  await brief.any()
  h.clock.advance({ minutes: 61 })
  expect(await brief.next()).toMatchObject({ event: 'end', data: { code: 'TokenExpired' } })
  expect(await brief.any()).toBeUndefined()

  const { person: head } = at.signers['department-head']
  const locked = await listen(head)
  await locked.any()
  await h.sql(`update person set active = false where id = $1`, [head.id])
  await h.sql(`notify identity_changed`)
  expect(await locked.next()).toMatchObject({ event: 'end', data: { code: 'PersonInactive' } })
})

test('there are only so many, in all and of one caller', async () => {
  const at = await shop()
  Object.assign(h.app.alertStreams, { mostOfOne: 1 })
  await listen(at.keeper.person)
  const refused = await at.keeper.get('/v1/alerts/stream')
  expect(refused).toMatchObject({ status: 503, body: { code: 'TooManyStreams' } })
  expect(refused.headers['retry-after']).toBe('30')
  Object.assign(h.app.alertStreams, { most: 1 })
  expect(await at.signers['department-head'].get('/v1/alerts/stream')).toMatchObject({
    status: 503,
    body: { code: 'TooManyStreams' }
  })
  for (const stream of opened.splice(0)) stream.close()
  await gone()
  expect((await listen(at.keeper.person)).status).toBe(200)
})

test('who takes nothing is cut off, and keeps nobody waiting', async () => {
  Object.assign(h.app.alertStreams, { stalledMs: 300 })
  const at = await shop()
  await at.short()
  // A megabyte that is still to come, so that the buffers of the connection are full.
  await h.sql(
    `insert into alert_event (warehouse_id, alert_id, event, at, details)
     select warehouse_id, id, 'reminded', now(), jsonb_build_object('day', repeat('x', 20000)) from alert, generate_series(1, 1500) where warehouse_id = $1`,
    [at.warehouseId]
  )
  const { port } = h.app.server.address() as AddressInfo
  const socket: Socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.pause()
  socket.write(
    `GET /v1/alerts/stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\nAuthorization: Bearer ${at.keeper.person.token}\r\n\r\n`
  )
  for (let tries = 0; h.app.alertStreams.open === 0 && tries < 100; tries++) await sleep(10)
  expect(h.app.alertStreams.open).toBe(1)
  await gone()
  socket.destroy()
})

test('a process that stops says so and ends its streams', async () => {
  const own = await openHarness()
  const person = await own.make.person({ grants: [{ duty: 'stock-controller' }] })
  const stream = await openStream(own, '/v1/alerts/stream', { authorization: `Bearer ${person.token}` })
  await stream.any()
  const closing = own.close()
  expect(await stream.next()).toMatchObject({ event: 'end', data: { code: 'ServiceStopping' } })
  expect(await stream.any()).toBeUndefined()
  await closing
})
