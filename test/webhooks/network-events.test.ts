import { afterAll, beforeAll, expect, test } from 'vitest'
import { followOldParts } from '../../src/old-parts/old-parts.jobs.ts'
import { defineConsumer } from '../../src/platform/outbox.ts'
import { followRequests } from '../../src/requests/requests.jobs.ts'
import { tellWebhooks } from '../../src/webhooks/fan-out.ts'
import { OF_NETWORK, WEBHOOK_EVENTS } from '../../src/webhooks/webhook-events.ts'
import { openDepositing } from '../deposits/depositing.ts'
import { openExchanging } from '../old-parts/exchanging.ts'
import { openNetwork, type Network } from '../requests/network.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed } from '../support/relay.ts'

let h: Harness
let network: Network
let admin: Caller
beforeAll(async () => {
  h = await openHarness()
  network = await openNetwork(h)
  admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
afterAll(() => h.close())

/** What is told, without sending it anywhere. */
const telling = defineConsumer({
  ...tellWebhooks,
  handle: async (ctx, events) => {
    await tellWebhooks.handle(ctx, events)
  }
})
const heard = () => relayed(h, { only: [followRequests, followOldParts, telling] })
const must = (answer: { status: number; text: string; body: any }, status: number) => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
  return answer.body
}
const endpointOf = async (place: object): Promise<string> =>
  must(await admin.post('/v1/webhooks', { url: 'https://8.8.8.8/hooks', ...place }), 201).id
/** What an endpoint is sent, in order: the types, or the bodies of one type. */
async function sentTo(endpoint: string): Promise<{ type: string; data: any }[]> {
  const rows = await h.sql<{ body: string }>(
    `select m.body from webhook_delivery d join webhook_message m on m.id = d.message_id where d.endpoint_id = $1 order by m.id`,
    [endpoint]
  )
  return rows.map(({ body }) => JSON.parse(body))
}
const typesTo = async (endpoint: string) => (await sentTo(endpoint)).map(({ type }) => type)

test('an outlet hears of its own request although the goods lie elsewhere, and the giver of its transfer alone (R-ALR-3)', async () => {
  const part = await h.make.part()
  await network.stock(network.headOffice, part, '5')
  const outlet = await network.outlet()
  const [ofOutlet, ofCentre, ofGiver, ofRegion, ofOther, everywhere] = [
    await endpointOf({ warehouse: outlet.code }),
    await endpointOf({ warehouse: network.north.code }),
    await endpointOf({ warehouse: network.headOffice.code }),
    await endpointOf({ region: 'NORTH' }),
    await endpointOf({ warehouse: network.south.code }),
    await endpointOf({})
  ]
  await h.sql('delete from outbox')
  const { number } = await outlet.requested([[part, '2']], { repairOrder: 'WX-1' })
  await heard()

  const told = ['request.created', 'request.line-allocated']
  for (const endpoint of [ofOutlet, ofCentre, ofRegion, everywhere]) expect(await typesTo(endpoint)).toEqual(told)
  for (const endpoint of [ofGiver, ofOther]) expect(await typesTo(endpoint)).toEqual([])
  const [created, allocated] = await sentTo(ofOutlet)
  expect(created?.data).toEqual({
    request: number,
    outlet: outlet.code,
    centre: network.north.code,
    urgency: 'normal',
    state: 'open',
    needBy: '2026-12-31',
    repairOrder: 'WX-1',
    by: outlet.clerk.person.username,
    value: '0.00',
    lines: 1
  })
  expect(allocated?.data).toMatchObject({
    request: number,
    line: 1,
    allocations: [{ part: part.number, quantity: '2', from: network.headOffice.code, step: 'head-office' }]
  })

  const [{ transfer }] = await h.sql<{ transfer: string }>(
    'select number as transfer from transfer order by id desc limit 1'
  )
  const out = must(await network.keeper.post(`/v1/transfers/${transfer}/out-slip`, {}), 201)
  await network.signAndPost(out.slip.number)
  const into = must(
    await network.keeper.post(`/v1/transfers/${transfer}/in-slip`, { lines: [{ line: 1, quantity: '2' }] }),
    201
  )
  await network.signAndPost(into.slip.number)
  await heard()
  const inTransit = async (endpoint: string) =>
    (await typesTo(endpoint)).filter((type) => type.startsWith('transfer') || type === 'request.ready')
  expect(await inTransit(ofGiver)).toEqual(['transfer.dispatched', 'transfer.received'])
  expect(await inTransit(ofCentre)).toEqual(['transfer.dispatched', 'transfer.received', 'request.ready'])
  expect(await inTransit(ofOutlet)).toEqual(['request.ready'])

  const slip = must(await network.keeper.post(`/v1/requests/${number}/issue-slip`, {}), 201)
  await network.signAndPost(slip.number, { handedTo: 'Li' })
  await heard()
  const last = (await sentTo(ofOutlet)).slice(-2)
  expect(last.map(({ type }) => type)).toEqual(['request.issued', 'request.done'])
  expect(last[0]?.data).toMatchObject({ slips: [slip.number], lines: [{ line: 1, part: part.number, quantity: '2' }] })

  // A message that was told to one place is replayed to others that it concerns.
  const late = await endpointOf({ warehouse: network.north.code })
  must(await admin.post(`/v1/webhooks/${late}/replay`, { from: '2026-11-01T00:00:00Z' }), 202)
  expect((await typesTo(late)).filter((type) => type.startsWith('request'))).toEqual(
    (await typesTo(ofOutlet)).filter((type) => type.startsWith('request'))
  )
})

test('an outlet hears what is promised for its backorder, who answered, and that it is not needed any more', async () => {
  const part = await h.make.part()
  const outlet = await network.outlet()
  const endpoint = await endpointOf({ warehouse: outlet.code })
  const { number } = await outlet.requested([[part, '3']])
  const [{ backorder }] = await h.sql<{ backorder: string }>(
    'select number as backorder from backorder order by id desc limit 1'
  )
  must(
    await network.controller.post(`/v1/backorders/${backorder}/answer`, { promisedOn: '2026-12-08', text: '厂家确认' }),
    200
  )
  await outlet.cancel(number)
  await heard()
  const sent = await sentTo(endpoint)
  expect(sent.map(({ type }) => type).filter((type) => type.startsWith('backorder'))).toEqual([
    'backorder.promised',
    'backorder.answered',
    'backorder.promised',
    'backorder.cancelled'
  ])
  expect(sent.find(({ type }) => type === 'backorder.answered')?.data).toMatchObject({
    backorder,
    request: number,
    line: 1,
    outlet: outlet.code,
    centre: network.north.code,
    part: part.number,
    text: '厂家确认'
  })
  expect(sent.map(({ type }) => type)).toContain('request.cancelled')
})

test('an outlet and the finance of its centre hear of every change of its deposit', async () => {
  const at = await openDepositing(h, { paidIn: null })
  const [ofOutlet, ofCentre] = [
    await endpointOf({ warehouse: at.outlet.code, events: ['deposit.changed'] }),
    await endpointOf({ warehouse: at.centre.code })
  ]
  await at.finance.post(`/v1/deposits/${at.outlet.code}`, { lowLimit: '100.00' })
  await at.finance.post(`/v1/deposits/${at.outlet.code}/increases`, { amount: '5.00', paper: 'B-1' })
  await heard()
  for (const endpoint of [ofOutlet, ofCentre])
    expect((await sentTo(endpoint)).at(-1)).toMatchObject({
      type: 'deposit.changed',
      data: { warehouse: at.outlet.code, balance: '5.00', held: '0.00', free: '5.00', lowLimit: '100.00', entries: 1 }
    })
})

test('an outlet hears which old parts are due back, and that they came', async () => {
  const exchanging = await openExchanging(h)
  const endpoint = await endpointOf({ warehouse: exchanging.outlet })
  const part = await exchanging.exchangePart()
  const issued = await exchanging.centre.posted({
    kind: 'issue',
    purpose: 'outlet',
    counterparty: exchanging.outlet,
    reference: 'RO-1',
    lines: [{ part, quantity: '1' }]
  })
  await heard()
  const { number, dueOn } = await exchanging.oldPart(part)
  const { slip } = must(await exchanging.returning([{ oldPart: number, grade: 'repairable' }]), 201)
  must(await exchanging.centre.signAndPost(slip, { deliveredBy: 'Li' }), 200)
  await heard()
  expect(await sentTo(endpoint)).toMatchObject([
    {
      type: 'old-part.due',
      data: { oldPart: number, outlet: exchanging.outlet, part, quantity: '1', dueOn, slip: issued.number }
    },
    { type: 'old-part.returned', data: { oldPart: number, slip } }
  ])
})

test('every warehouse that a recall concerns hears of it, and no other', async () => {
  const part = await h.make.part()
  await network.stock(network.south, part, '1')
  const [ofHolder, ofOther] = [
    await endpointOf({ warehouse: network.south.code, events: ['recall.started', 'recall.ended'] }),
    await endpointOf({ warehouse: network.northBranch.code, events: ['recall.started', 'recall.ended'] })
  ]
  const body = { title: 'cracked', reason: 'leaks', scopes: [{ part: part.number }] }
  const { number } = must(await network.controller.post('/v1/recalls', body), 201)
  await heard()
  expect(await sentTo(ofHolder)).toMatchObject([
    { type: 'recall.started', data: { recall: number, title: 'cracked', parts: [part.number] } }
  ])
  expect(await sentTo(ofOther)).toEqual([])
})

test('whatever is told of the network is described, and every description is told', () => {
  const told = Object.values(OF_NETWORK).flatMap((types) => Object.values(types))
  expect(told.filter((type) => !(type in WEBHOOK_EVENTS))).toEqual([])
  const described = Object.keys(WEBHOOK_EVENTS).filter((type) =>
    /^(request|backorder|transfer|deposit|old-part|recall|handover)[.]/.test(type)
  )
  expect(described.filter((type) => !(told as string[]).includes(type))).toEqual([])
})
