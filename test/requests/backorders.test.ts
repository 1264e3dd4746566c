import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Duty } from '../../src/identity/actor.ts'
import { reckonClocksNightly, sweepBackorders } from '../../src/requests/backorders.jobs.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePart } from '../support/make.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openNetwork, type Network, type Outlet } from './network.ts'

let h: Harness
let network: Network
let part: MadePart
beforeAll(async () => {
  h = await openHarness()
  network = await openNetwork(h)
})
beforeEach(async () => {
  h.clock.set('2026-11-20T10:00')
  part = await h.make.part()
})
afterAll(() => h.close())

const withDuty = async (duty: Duty, warehouse: string): Promise<Caller> =>
  callerFor(h, await h.make.person({ grants: [{ duty, warehouse }] }))

/** Requests what nobody has; answers the number of its backorder. */
async function backordered(outlet: Outlet, quantity = '5', more: object = {}): Promise<string> {
  const { lines } = await outlet.requested([[part, quantity]], more)
  return String(lines[0].backorder.number)
}
const read = async (number: string, as: Caller = network.controller) => (await as.get(`/v1/backorders/${number}`)).body
/** So much comes to a centre, and everybody hears of it. */
async function arrives(quantity: string, at = network.north, of = part): Promise<void> {
  await network.stock(at, of, quantity)
  await relayed(h)
}
const confirm = (number: string, as: Caller, body: object = { confirmed: true }) =>
  as.post(`/v1/backorders/${number}/confirmation`, body)
const events = ({ history }: { history: { event: string }[] }) => history.map(({ event }) => event)

describe('registration', () => {
  test('what nobody has waits with a promised day and the paper it stands on (R-REQ-1)', async () => {
    await h.sql(
      `insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, expected_on, opened_at, opened_by)
       values ($1, $2, 'purchase', 'HQ-PLN-202611-00001', $2, 10, '2026-11-27', now(), 0)`,
      [network.north.id, part.id]
    )
    const outlet = await network.outlet()
    const first = await backordered(outlet, '8')
    const second = await backordered(await network.outlet(), '5')
    expect(first).toBe(`${outlet.code}-BKO-202611-00001`)
    expect(await read(first, outlet.clerk)).toMatchObject({
      warehouse: outlet.code,
      centre: network.north.code,
      part: part.number,
      quantity: '8',
      waiting: '8',
      state: 'waiting',
      promisedOn: '2026-11-27',
      promiseBasis: 'expected-receipt',
      expectedReceipt: `HQ-PLN-202611-00001/${part.id}`,
      answerDueAt: '2026-11-27T02:00:00Z',
      answeredAt: null,
      inFront: '0',
      goods: []
    })
    // Two of the ten are left for the second, and it wants five.
    expect(await read(second)).toMatchObject({ promisedOn: '2026-12-11', promiseBasis: 'default', inFront: '8' })
    // An emergency stands before both.
    const urgent = await backordered(await network.outlet(), '1', { urgency: 'emergency', carriage: 'air' })
    expect(await read(urgent)).toMatchObject({ inFront: '0', promisedOn: '2026-11-27', urgency: 'emergency' })
    expect(await read(second)).toMatchObject({ inFront: '9' })
  })

  test('a lead time of the reorder policy goes before that of the part', async () => {
    await h.sql('update part set lead_time_days = 20 where id = $1', [part.id])
    expect(await read(await backordered(await network.outlet()))).toMatchObject({
      promisedOn: '2026-12-14',
      promiseBasis: 'lead-time'
    })
    await h.sql(
      `insert into reorder_policy (warehouse_id, part_id, kind, lead_time_days, set_by, set_at) values ($1, $2, 'computed', 7, 0, now())`,
      [network.north.id, part.id]
    )
    expect(await read(await backordered(await network.outlet()))).toMatchObject({
      promisedOn: '2026-12-01',
      promiseBasis: 'reorder-policy'
    })
  })
})

describe('lists', () => {
  test('the outlet and the centre see it, another outlet and another centre do not', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet)
    const keeperOf = async (code: string) => withDuty('keeper', code)
    for (const [who, status] of [
      [outlet.clerk, 200],
      [await keeperOf(network.north.code), 200],
      [(await network.outlet()).clerk, 404],
      [await keeperOf(network.south.code), 404]
    ] as const) {
      expect((await who.get(`/v1/backorders/${number}`)).status).toBe(status)
      const { body } = await who.get(`/v1/backorders?part=${part.number}`)
      expect(body.items.map((item: any) => item.number)).toEqual(status === 200 ? [number] : [])
    }
    expect((await outlet.clerk.get('/v1/backorders/NO-SUCH-BKO-202611-00001')).status).toBe(404)
    expect((await outlet.clerk.get(`/v1/backorders/${outlet.code}-BKO-202611-99999`)).status).toBe(404)
  })

  test('by outlet, centre, part, state and the day on which an answer is due; page by page, and as a file', async () => {
    const [one, other] = [await network.outlet(), await network.outlet(network.south)]
    const [a, b] = [await backordered(one), await backordered(other)]
    h.clock.set('2026-11-21T10:00')
    const c = await backordered(one, '1')
    const listed = async (query: string) =>
      (await network.controller.get(`/v1/backorders?part=${part.number}${query}`)).body
    const numbers = async (query: string) => (await listed(query)).items.map((item: any) => item.number)
    expect(await numbers('')).toEqual([c, b, a])
    expect(await numbers(`&warehouse=${one.code}`)).toEqual([c, a])
    expect(await numbers(`&centre=${network.south.code}`)).toEqual([b])
    expect(await numbers('&state=allocated')).toEqual([])
    expect(await numbers('&due=2026-11-26')).toEqual([])
    expect(await numbers('&due=2026-11-27')).toEqual([b, a])
    expect(await numbers('&due=2026-11-28')).toEqual([c, b, a])
    const first = await listed('&limit=2')
    expect(first.items.map((item: any) => item.number)).toEqual([c, b])
    expect((await listed(`&limit=2&cursor=${first.nextCursor}`)).items.map((item: any) => item.number)).toEqual([a])
    expect((await network.controller.get('/v1/backorders?part=NO-SUCH')).status).toBe(404)
    expect((await network.controller.get('/v1/backorders?warehouse=NO-SUCH')).status).toBe(404)

    const { text } = await network.controller.get(`/v1/backorders?part=${part.number}`, { accept: 'text/csv' })
    const [heading, ...rows] = text.trim().split('\n')
    expect(heading).toContain('缺货登记单号')
    expect(rows.map((row) => row.split(',')[0])).toEqual([c, b, a])
  })
})

describe('an answer', () => {
  const answer = (number: string, as: Caller, body: object, headers = {}) =>
    as.post(`/v1/backorders/${number}/answer`, body, headers)

  test('by somebody of the centre, and a day that is promised anew keeps the one before (R-REQ-3)', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet)
    const purchaser = await withDuty('purchaser', network.north.code)
    h.clock.set('2026-11-23T09:00')
    expect(await answer(number, purchaser, { text: '厂家排产中' })).toMatchObject({
      status: 200,
      body: { promisedOn: '2026-12-11', promiseBasis: 'default', answeredAt: '2026-11-23T01:00:00Z' }
    })
    h.clock.set('2026-11-24T09:00')
    const keeper = await withDuty('keeper', network.north.code)
    const { body, headers } = await answer(number, keeper, { promisedOn: '2026-12-04', text: '12月初到' })
    // The first answer is the answer.
    expect(body).toMatchObject({
      promisedOn: '2026-12-04',
      promiseBasis: 'person',
      answeredAt: '2026-11-23T01:00:00Z',
      answeredBy: purchaser.person.username
    })
    expect(headers['etag']).toBe(`"${body.version}"`)
    expect(body.history.slice(1)).toMatchObject([
      { event: 'answered', by: purchaser.person.username, details: { text: '厂家排产中' } },
      { event: 'answered', by: keeper.person.username },
      {
        event: 'promised',
        details: { promisedOn: '2026-12-04', was: '2026-12-11', wasBasis: 'default', because: '12月初到' }
      }
    ])
    const { history } = await outlet.read(body.request)
    expect(history.at(-1)).toMatchObject({
      event: 'backorder-answered',
      details: { line: 1, backorder: number, promisedOn: '2026-12-04', text: '12月初到' }
    })
    expect(await answer(number, keeper, { text: 'again' }, { 'if-match': '"1"' })).toMatchObject({
      status: 412,
      body: { code: 'VersionStale' }
    })
  })

  test('a day that is over is no promise; without the duty, or of another centre, nobody answers', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet)
    const body = { text: 'soon' }
    expect(await answer(number, network.controller, { ...body, promisedOn: '2026-11-19' })).toMatchObject({
      status: 422,
      body: { code: 'PromisePast', errors: [{ pointer: '/promisedOn' }] }
    })
    expect((await answer(number, network.controller, { ...body, promisedOn: '2026-11-20' })).status).toBe(200)
    expect((await answer(number, network.controller, {})).status).toBe(400)
    const technician = await withDuty('technician', network.north.code)
    expect(await answer(number, technician, body)).toMatchObject({ status: 403, body: { code: 'DutyRequired' } })
    expect((await answer(number, await withDuty('keeper', network.south.code), body)).status).toBe(404)
    expect([403, 404]).toContain((await answer(number, outlet.clerk, body)).status)
  })

  test('what has ended is not answered any more', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet)
    await outlet.cancel((await read(number)).request)
    expect(await answer(number, network.controller, { text: 'x' })).toMatchObject({
      status: 409,
      body: { code: 'BackorderEnded', state: 'cancelled' }
    })
  })
})

describe('an arrival', () => {
  test('serves the oldest first, emergencies before all, and tells the requester at once (R-REQ-3)', async () => {
    const outlets = [await network.outlet(), await network.outlet(), await network.outlet(), await network.outlet()]
    const numbers: string[] = []
    for (const [place, outlet] of outlets.entries()) {
      h.clock.set(`2026-11-20T1${place}:00`)
      numbers.push(await backordered(outlet, '2', place === 3 ? { urgency: 'emergency', carriage: 'express' } : {}))
    }
    await arrives('5')
    const found = await Promise.all(numbers.map((number) => read(number)))
    expect(found.map(({ state, waiting }) => [state, waiting])).toEqual([
      ['allocated', '0'],
      ['allocated', '1'],
      ['waiting', '2'],
      ['allocated', '0']
    ])
    expect(found[0]).toMatchObject({
      answeredBy: 'system',
      confirmBy: '2026-11-27',
      goods: [{ quantity: '2', state: 'reserved' }]
    })
    expect(events(found[0])).toEqual(['registered', 'arrived'])
    const request = await outlets[0]?.read(found[0].request)
    expect(events(request)).toContain('arrived')
    expect(request.clocks).toMatchObject([{ piece: 'backordered', state: 'paused' }])
    expect(await network.held(network.north, part)).toEqual({ onHand: '5', available: '0' })
    await network.verify()

    // Nothing more is there: a second look changes nothing.
    expect(await runJob(h, sweepBackorders)).toEqual({ served: 0 })
    expect(await Promise.all(numbers.map((number) => read(number)))).toEqual(found)
  })

  test('what a lost message would miss is found by the sweep', async () => {
    const number = await backordered(await network.outlet())
    await network.stock(network.north, part, '9')
    await h.sql('delete from outbox')
    expect(await relayed(h)).toEqual([])
    expect(await read(number)).toMatchObject({ state: 'waiting' })
    expect(await runJob(h, sweepBackorders)).toEqual({ served: 1 })
    expect(await read(number)).toMatchObject({ state: 'allocated', waiting: '0' })
    expect(await runJob(h, sweepBackorders)).toEqual({ served: 0 })
  })

  test('of what replaces the part counts for who takes substitutes (R-CAT-4)', async () => {
    const successor = await h.make.part()
    const takes = await backordered(await network.outlet(), '2', { substitutes: true })
    const takesNot = await backordered(await network.outlet(), '2')
    await h.sql(
      `insert into supersession (part_id, successor_id, factor, valid_from) values ($1, $2, 1, '2026-01-01')`,
      [part.id, successor.id]
    )
    await arrives('4', network.north, successor)
    expect(await read(takes)).toMatchObject({ state: 'allocated', goods: [{ part: successor.number, quantity: '2' }] })
    expect(await read(takesNot)).toMatchObject({ state: 'waiting', goods: [] })
  })

  test('a newcomer takes nothing that older ones wait for', async () => {
    const first = await backordered(await network.outlet(), '5')
    await network.stock(network.north, part, '3')
    // Nobody was served yet: the message is still under way.
    const second = await backordered(await network.outlet(), '1')
    await relayed(h)
    expect(await read(first)).toMatchObject({ state: 'allocated', waiting: '2' })
    expect(await read(second)).toMatchObject({ state: 'waiting', inFront: '2' })
  })
})

describe('a confirmation', () => {
  test('lets goods at the centre be issued, and not before; issued it is fulfilled (R-REQ-3)', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet, '2')
    await arrives('2')
    const { request } = await read(number)
    const issue = () => network.keeper.post(`/v1/requests/${request}/issue-slip`, {})
    expect(await issue()).toMatchObject({ status: 409, body: { code: 'NothingReady' } })

    expect(await confirm(number, outlet.clerk)).toMatchObject({
      status: 200,
      body: { state: 'confirmed', askedAt: null, goods: [{ state: 'ready' }] }
    })
    expect((await outlet.read(request)).clocks).toMatchObject([
      { state: 'running', pauses: [{ reason: 'confirmation' }] }
    ])
    const { status, body: slip } = await issue()
    expect(status).toBe(201)
    await network.signAndPost(slip.number)
    await relayed(h)
    expect(await read(number)).toMatchObject({
      state: 'fulfilled',
      endedBecause: 'issued',
      goods: [{ state: 'issued' }]
    })
    expect((await outlet.read(request)).clocks).toMatchObject([
      { state: 'ended', endedBecause: 'issued', isBreached: false }
    ])
    expect(await confirm(number, outlet.clerk)).toMatchObject({
      status: 409,
      body: { code: 'BackorderEnded', state: 'fulfilled' }
    })
    await network.verify()
  })

  test('opens the transfer of goods that lie elsewhere, and not before', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet, '2')
    await arrives('3', network.headOffice)
    expect(await read(number)).toMatchObject({
      state: 'allocated',
      goods: [{ from: network.headOffice.code, state: 'reserved' }]
    })
    const transfers = async () =>
      h.sql('select state from transfer where reference = $1', [(await read(number)).request])
    expect(await transfers()).toEqual([])
    expect(await network.held(network.headOffice, part)).toEqual({ onHand: '3', available: '1' })
    await confirm(number, outlet.clerk)
    expect(await transfers()).toEqual([{ state: 'ordered' }])
    expect(await read(number)).toMatchObject({ state: 'confirmed', goods: [{ state: 'on-its-way' }] })
  })

  test('that says no cancels it, and the next in the queue gets the goods', async () => {
    const [first, second] = [await network.outlet(), await network.outlet()]
    const [number, next] = [await backordered(first, '5'), await backordered(second, '2')]
    await arrives('3')
    expect(await read(number)).toMatchObject({ state: 'allocated', waiting: '2' })

    expect(await confirm(number, first.clerk, { confirmed: false })).toMatchObject({
      status: 422,
      body: { code: 'ReasonMissing', errors: [{ pointer: '/reason' }] }
    })
    const { status, body } = await confirm(number, first.clerk, { confirmed: false, reason: '用户已退机' })
    expect([status, body.state, body.endedBecause]).toEqual([200, 'cancelled', '用户已退机'])
    expect(events(body)).toEqual(['registered', 'arrived', 'declined', 'reduced', 'cancelled'])
    expect(await first.read(body.request)).toMatchObject({ state: 'cancelled', lines: [{ cancelled: '5' }] })
    await relayed(h)
    expect(await read(next)).toMatchObject({ state: 'allocated', waiting: '0' })
    expect(await confirm(number, first.clerk)).toMatchObject({
      status: 409,
      body: { code: 'BackorderEnded', state: 'cancelled', because: '用户已退机' }
    })
    await network.verify()
  })

  test('of nothing, or twice, says what is the case', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet, '2')
    expect(await confirm(number, outlet.clerk)).toMatchObject({
      status: 409,
      body: { code: 'NothingToConfirm', state: 'waiting', detail: expect.stringContaining('waits for 2') }
    })
    await arrives('2')
    await confirm(number, outlet.clerk)
    expect(await confirm(number, outlet.clerk)).toMatchObject({
      status: 409,
      body: { code: 'NothingToConfirm', state: 'confirmed', detail: expect.stringContaining('confirmed already') }
    })
    expect(await confirm(number, outlet.clerk, { confirmed: false, reason: 'x' })).toMatchObject({ status: 409 })
  })

  test('what comes later is asked for again; what was confirmed stays when the rest is not needed', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet, '5')
    await arrives('2')
    await confirm(number, outlet.clerk)
    await arrives('3')
    expect(await read(number)).toMatchObject({ state: 'allocated', waiting: '0' })
    const { body } = await confirm(number, outlet.clerk, { confirmed: false, reason: 'two are enough' })
    expect(body).toMatchObject({ state: 'confirmed', quantity: '2', endedAt: null })
    expect(await outlet.read(body.request)).toMatchObject({ state: 'open', lines: [{ cancelled: '3', ready: '2' }] })
    expect(await network.held(network.north, part)).toEqual({ onHand: '5', available: '3' })
  })

  test('is for the outlet to give: by its clerk or keeper, a key of theirs too, and nobody else', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet, '1')
    await arrives('1')
    expect(await confirm(number, await withDuty('technician', outlet.code))).toMatchObject({
      status: 403,
      body: { code: 'DutyRequired' }
    })
    expect((await confirm(number, (await network.outlet()).clerk)).status).toBe(404)
    expect([403, 404]).toContain((await confirm(number, await withDuty('keeper', network.north.code))).status)
    const { body: key } = await outlet.clerk.post('/v1/api-keys', {
      name: 'bridge',
      access: 'write',
      expiresOn: '2027-01-01'
    })
    const { status } = await h.api
      .post(`/v1/backorders/${number}/confirmation`)
      .set('authorization', `Bearer ${key.key}`)
      .send({ confirmed: true })
    expect(status).toBe(200)
  })

  test('that names an old version is refused', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet, '1')
    await arrives('1')
    const { status } = await outlet.clerk.post(
      `/v1/backorders/${number}/confirmation`,
      { confirmed: true },
      { 'if-match': '"1"' }
    )
    expect(status).toBe(412)
  })
})

describe('clocks of a line', () => {
  const clocksOf = async (outlet: Outlet, number: string) => (await outlet.read(number)).clocks

  test('there is one for what was there and one for what was not; each ends with its own goods (R-REQ-2)', async () => {
    await network.stock(network.north, part, '3')
    const outlet = await network.outlet()
    const { number, lines } = await outlet.requested([[part, '5']])
    expect(await clocksOf(outlet, number)).toMatchObject([
      { piece: 'in-stock', workingDays: 2, dueOn: '2026-11-24', state: 'running' },
      { piece: 'backordered', workingDays: 15, dueOn: '2026-12-11', state: 'running' }
    ])
    h.clock.set('2026-11-23T10:00')
    const { body: slip } = await network.keeper.post(`/v1/requests/${number}/issue-slip`, {})
    await network.signAndPost(slip.number)
    await relayed(h)
    expect(await clocksOf(outlet, number)).toMatchObject([
      {
        piece: 'in-stock',
        state: 'ended',
        endedBecause: 'issued',
        endedAt: '2026-11-23T02:00:00Z',
        workingDaysLeft: 1
      },
      { piece: 'backordered', state: 'running', workingDaysLeft: 14 }
    ])
    await outlet.cancel(number)
    expect(await clocksOf(outlet, number)).toMatchObject([
      { endedBecause: 'issued' },
      { endedBecause: 'cancelled', isBreached: false }
    ])
    expect(await read(lines[0].backorder.number)).toMatchObject({ state: 'cancelled' })
  })

  test('what an emergency takes waits from the moment of its request, at the place of it (R-REQ-4)', async () => {
    await network.stock(network.north, part, '2')
    const [loser, other, urgent] = [await network.outlet(), await network.outlet(), await network.outlet()]
    const { number } = await loser.requested([[part, '2']])
    h.clock.set('2026-11-23T10:00')
    const waiting = await backordered(other, '2')
    await urgent.requested([[part, '2']], { urgency: 'emergency', carriage: 'express' })
    await relayed(h)
    expect(await clocksOf(loser, number)).toMatchObject([
      { piece: 'in-stock', state: 'ended', endedBecause: 'backordered', isBreached: false },
      { piece: 'backordered', state: 'running', startedOn: '2026-11-20', dueOn: '2026-12-11' }
    ])
    const [{ number: lost }] = (await loser.clerk.get('/v1/backorders')).body.items
    expect(await read(lost)).toMatchObject({
      registeredAt: '2026-11-23T02:00:00Z',
      queuedAt: '2026-11-20T02:00:00Z',
      answerDueAt: '2026-11-30T02:00:00Z',
      inFront: '0'
    })
    expect(await read(waiting)).toMatchObject({ inFront: '2' })
  })

  test('what was issued for a backorder and reversed is timed as what was waited for', async () => {
    const outlet = await network.outlet()
    const number = await backordered(outlet, '1')
    await arrives('1')
    await confirm(number, outlet.clerk)
    const { request } = await read(number)
    const { body: written } = await network.keeper.post(`/v1/requests/${request}/issue-slip`, {})
    h.clock.set('2026-11-30T10:00')
    await network.signAndPost(written.number)
    await relayed(h)
    const { body: reversal } = await network.keeper.post(`/v1/slips/${written.number}/reversal`, { reason: '错发' })
    await network.signAndPost(reversal.number)
    await relayed(h)
    expect(await outlet.read(request)).toMatchObject({ state: 'open', lines: [{ ready: '1', backordered: '0' }] })
    expect(await clocksOf(outlet, request)).toMatchObject([
      { piece: 'backordered', state: 'running', dueOn: '2026-12-11', isBreached: false }
    ])
  })
})

test('what a transfer or a recall lets go is for who waits', async () => {
  const number = await backordered(await network.outlet(), '1')
  await network.stock(network.headOffice, part, '1')
  await h.sql('delete from outbox')
  const { body: transfer } = await network.controller.post('/v1/transfers', {
    from: network.headOffice.code,
    to: network.south.code,
    lines: [{ part: part.number, quantity: '1' }],
    because: '调拨'
  })
  await relayed(h)
  expect(await read(number)).toMatchObject({ state: 'waiting' })
  await network.controller.post(`/v1/transfers/${transfer.number}/cancellation`, { reason: '不调了' })
  await relayed(h)
  expect(await read(number)).toMatchObject({ state: 'allocated', goods: [{ from: network.headOffice.code }] })

  const other = await h.make.part()
  const { lines } = await (await network.outlet()).requested([[other, '1']])
  await network.stock(network.north, other, '1')
  await h.sql('delete from outbox')
  await h.sql(
    `insert into outbox (subject, event, warehouse_id, payload, occurred_at) values ('document:0', 'recall.lifted', $1, $2, now())`,
    [
      network.headOffice.id,
      JSON.stringify({ recall: 'HQ-RCL-202611-00001', parts: [other.number], partIds: [other.id] })
    ]
  )
  await relayed(h)
  expect(await read(lines[0].backorder.number)).toMatchObject({ state: 'allocated' })
})

test('a notice that is entered moves the days on which clocks are due, once', async () => {
  const outlet = await network.outlet()
  h.clock.set('2026-12-25T10:00')
  const { number } = await outlet.requested([[part, '1']])
  const clock = async () => (await outlet.read(number)).clocks[0]
  const stored = async () =>
    (
      await h.sql(
        `select due_on::text as due from request_clock c join request r on r.id = c.request_id where r.number = $1`,
        [number]
      )
    )[0]?.['due']
  const before = await clock()
  expect(before.dueOn).toBe(await stored())
  const administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  const { status } = await administrator.put('/v1/calendar/years/2027', {
    source: 'https://example.org/2027',
    days: [{ date: '2027-01-04', isOffDay: true, name: '元旦' }]
  })
  expect(status).toBe(200)
  const after = await clock()
  expect(after.dueOn > before.dueOn).toBe(true)
  expect(after.unknownYears).toEqual([])
  expect(await stored()).toBe(before.dueOn)
  await runJob(h, reckonClocksNightly)
  expect(await stored()).toBe(after.dueOn)
  expect(await runJob(h, reckonClocksNightly)).toEqual({ changed: 0 })
})
