import { Client } from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { callerFor } from '../support/counter.ts'
import { cells, download } from '../support/downloads.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePart } from '../support/make.ts'
import { relayed } from '../support/relay.ts'
import { NEED_BY, openNetwork, type Network } from './network.ts'

// What may be requested, by whom, and what a requester may choose.

let h: Harness
let network: Network
beforeAll(async () => {
  h = await openHarness()
  network = await openNetwork(h)
})
afterAll(() => h.close())

const body = (warehouse: string, part: string, more: object = {}) => ({
  warehouse,
  urgency: 'normal',
  needBy: NEED_BY,
  lines: [{ part, quantity: '1' }],
  ...more
})

test('only the clerk or keeper of the outlet requests for it, and nobody else knows of it (R-ORG-2)', async () => {
  const part = await h.make.part()
  const [outlet, other] = [await network.outlet(), await network.outlet()]
  const technician = callerFor(h, await h.make.person({ grants: [{ duty: 'technician', warehouse: outlet.code }] }))
  expect((await technician.post('/v1/requests', body(outlet.code, part.number))).body).toMatchObject({
    status: 403,
    code: 'DutyRequired'
  })
  expect((await other.clerk.post('/v1/requests', body(outlet.code, part.number))).status).toBe(404)
  const { number } = await outlet.requested([[part, '1']])
  expect((await other.clerk.get(`/v1/requests/${number}`)).status).toBe(404)
  expect((await other.clerk.post(`/v1/requests/${number}/cancellation`, { reason: 'x' })).status).toBe(404)
  expect((await technician.post(`/v1/requests/${number}/cancellation`, { reason: 'x' })).body.code).toBe('DutyRequired')
  expect((await technician.post(`/v1/requests/${number}/need-by`, { needBy: NEED_BY, reason: 'x' })).body.code).toBe(
    'DutyRequired'
  )
  expect((await other.clerk.post(`/v1/requests/${number}/need-by`, { needBy: NEED_BY, reason: 'x' })).status).toBe(404)
  expect((await outlet.clerk.post(`/v1/requests/${number}/issue-slip`)).body.code).toBe('NotFound')
  expect((await other.clerk.post(`/v1/requests/${number}/issue-slip`)).status).toBe(404)
})

test('what is wrong is refused with the line it is about, and nothing is half-done (R-ERR-1)', async () => {
  const outlet = await network.outlet()
  const [part, gone] = [await h.make.part({ units: { box: '12' } }), await h.make.part({ active: false })]
  const refused = async (more: object) =>
    (await outlet.clerk.post('/v1/requests', body(outlet.code, part.number, more))).body
  expect(await refused({ needBy: '2026-11-19' })).toMatchObject({
    status: 422,
    code: 'NeedByPast',
    errors: [{ pointer: '/needBy', accepted: '2026-11-20 or later' }]
  })
  expect(await refused({ urgency: 'emergency' })).toMatchObject({
    code: 'CarriageMissing',
    errors: [{ pointer: '/carriage' }]
  })
  expect(
    await refused({
      lines: [
        { part: part.number, quantity: '1' },
        { part: 'NO-SUCH', quantity: '1' }
      ]
    })
  ).toMatchObject({
    code: 'PartUnknown',
    errors: [{ pointer: '/lines/1/part', sent: 'NO-SUCH' }]
  })
  expect(await refused({ lines: [{ part: gone.number, quantity: '1' }] })).toMatchObject({
    code: 'PartInactive',
    errors: [{ pointer: '/lines/0/part' }]
  })
  expect(await refused({ lines: [{ part: part.number, quantity: '0' }] })).toMatchObject({ status: 400 })
  expect(await refused({ lines: [{ part: part.number, quantity: '1', unit: 'pallet' }] })).toMatchObject({
    code: 'UnitNotOfPart',
    errors: [{ pointer: '/lines/0/unit' }]
  })
  expect(
    await refused({ lines: Array.from({ length: 501 }, () => ({ part: part.number, quantity: '1' })) })
  ).toMatchObject({ status: 400 })
  const closed = await h.make.warehouse({ parent: network.north.code, region: 'NORTH', closedOn: '2026-11-01' })
  const keeper = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: closed.code }] }))
  expect((await keeper.post('/v1/requests', body(closed.code, part.number))).body.code).toBe('WarehouseClosed')
  expect((await network.keeper.post('/v1/requests', body(network.headOffice.code, part.number))).body.code).toBe(
    'CentreMissing'
  )
  expect(await h.sql('select 1 from request where warehouse_id = $1', [outlet.id])).toEqual([])
  const boxed = await outlet.requested([[part, '2']], { lines: [{ part: part.number, quantity: '2', unit: 'box' }] })
  expect(boxed.lines[0]).toMatchObject({ quantity: '24', requestedAs: '2 box' })
})

test('a regional centre requests of the head office, an outlet under a branch of its regional centre (R-REQ-1)', async () => {
  const part = await h.make.part()
  const centre = await network.keeper.post('/v1/requests', body(network.north.code, part.number))
  expect(centre.body).toMatchObject({
    centre: network.headOffice.code,
    lines: [{ search: [{ step: 'centre' }, { step: 'regional-network' }, { step: 'other-regions' }] }]
  })
  const outlet = await network.outlet(network.northBranch)
  expect(await outlet.requested([[part, '1']])).toMatchObject({ centre: network.north.code })
})

test('a part or category may be kept from outlets, by the stock controller (R-REQ-1)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part({ category: 'gas' })]
  const restriction = { category: 'gas', region: 'NORTH', reason: 'no licence for gas' }
  expect((await network.keeper.put('/v1/order-restrictions', restriction)).body.code).toBe('DutyRequired')
  const local = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'stock-controller', warehouse: network.south.code }] })
  )
  expect(
    (await local.put('/v1/order-restrictions', { part: part.number, warehouse: outlet.code, reason: 'x' })).status
  ).toBe(404)
  expect((await local.put('/v1/order-restrictions', restriction)).body.code).toBe('DutyRequired')
  const set = await network.controller.put('/v1/order-restrictions', restriction)
  expect(set).toMatchObject({ status: 200, body: { category: 'gas', part: null, warehouse: null, region: 'NORTH' } })
  expect(
    (await network.controller.put('/v1/order-restrictions', { ...restriction, reason: 'still' })).body
  ).toMatchObject({
    id: set.body.id,
    reason: 'still'
  })
  expect((await network.controller.put('/v1/order-restrictions', { reason: 'x' })).body.code).toBe('GoodsMissing')
  expect(
    (
      await network.controller.put('/v1/order-restrictions', {
        part: part.number,
        warehouse: outlet.code,
        region: 'NORTH',
        reason: 'x'
      })
    ).body.code
  ).toBe('PlaceAmbiguous')
  expect(
    (await outlet.clerk.get(`/v1/order-restrictions?part=${part.number}&warehouse=${outlet.code}`)).body.items
  ).toMatchObject([{ category: 'gas', reason: 'still' }])
  expect((await outlet.clerk.post('/v1/requests', body(outlet.code, part.number))).body).toMatchObject({
    status: 422,
    code: 'PartNotForOutlet',
    errors: [{ pointer: '/lines/0/part', detail: 'may not be requested: still' }]
  })
  const southern = await network.outlet(network.south)
  expect((await southern.requested([[part, '1']])).state).toBe('open')
  const lift = (by: typeof local) =>
    h.api.delete(`/v1/order-restrictions/${set.body.id}`).auth(by.person.token, { type: 'bearer' })
  expect((await lift(local)).status).toBe(403)
  expect((await lift(network.controller)).status).toBe(204)
  expect((await lift(network.controller)).status).toBe(404)
  expect((await outlet.requested([[part, '1']])).state).toBe('open')
})

test('a line that may not be met in part waits whole, and leaves what is there to others (R-REQ-1)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.north, part, '3')
  const whole = await outlet.requested(
    [
      [part, '5'],
      [part, '3']
    ],
    { partial: false }
  )
  expect(whole.lines).toMatchObject([
    {
      state: 'backordered',
      allocated: '0',
      backordered: '5',
      search: [{ because: 'not-whole' }, {}, {}, {}],
      backorder: { waiting: '5' }
    },
    { state: 'ready', allocated: '3', ready: '3' }
  ])
  const partly = await (await network.outlet()).requested([[part, '1']])
  // Three of its five pieces would be another line's; what waits in front is not there for who comes later.
  expect(partly.lines[0]).toMatchObject({ state: 'backordered' })
})

test('lines that name the same part share what is there; nobody who comes later goes before a backorder (R-REQ-3)', async () => {
  const part = await h.make.part()
  await network.stock(network.north, part, '3')
  const [first, second] = [await network.outlet(), await network.outlet()]
  const twice = await first.requested([
    [part, '2'],
    [part, '2']
  ])
  expect(twice.lines).toMatchObject([
    { allocated: '2', backordered: '0' },
    { allocated: '1', backordered: '1', state: 'ready', backorder: { waiting: '1', state: 'waiting' } }
  ])
  // Nobody has heard of these goods yet: one waits for a piece of them.
  await network.stock(network.north, part, '2')
  const later = await second.requested([[part, '2']])
  expect(later.lines[0]).toMatchObject({
    allocated: '1',
    backordered: '1',
    search: [{ step: 'centre', available: '2', waitingInFront: '1', taken: '1' }, {}, {}, {}]
  })
})

test('consigned goods are taken after own ones, at the centre and the head office (R-STK-6)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.north, part, '2')
  await network.stock(network.north, part, '2', { ownership: 'consigned' })
  await network.stock(network.northBranch, part, '5', { ownership: 'consigned', receivedOn: '2026-01-05' })
  await network.stock(network.headOffice, part, '9', { ownership: 'consigned' })
  expect((await outlet.requested([[part, '5']])).lines[0].allocations).toMatchObject([
    { from: network.north.code, ownership: 'own', quantity: '2' },
    { from: network.north.code, ownership: 'consigned', quantity: '2' },
    { from: network.headOffice.code, ownership: 'consigned', quantity: '1' }
  ])
})

test('what others keep for their own need is not given; beyond it, and what is aged, is (R-AGE-6, R-AGE-8)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.southBranch, part, '6')
  await h.sql(
    `insert into reorder_level (warehouse_id, part_id, reorder_point, order_up_to, basis, computed_at) values ($1, $2, 2, 4, 'computed', now())`,
    [network.southBranch.id, part.id]
  )
  const van = await h.make.warehouse({ kind: 'van', region: 'NORTH', parent: network.north.code })
  await network.stock(van, part, '5', { receivedOn: '2026-01-05' })
  const request = await outlet.requested([[part, '5']])
  expect(request.lines[0]).toMatchObject({
    allocated: '2',
    backordered: '3',
    allocations: [{ step: 'other-regions', from: network.southBranch.code, quantity: '2' }],
    search: [
      {},
      { step: 'regional-network', lookedAt: 0 },
      {},
      { step: 'other-regions', lookedAt: 1, available: '6', taken: '2' }
    ],
    backorder: { state: 'waiting', waiting: '3', promiseBasis: 'default' }
  })
})

test('what replaces a part is offered, or sent where the requester takes it; old parts are used up first (R-CAT-4)', async () => {
  const [outlet, old, fresh] = [await network.outlet(), await h.make.part(), await h.make.part()]
  await h.sql(
    `insert into supersession (part_id, successor_id, factor, both_ways, valid_from) values ($1, $2, 2, false, '2026-01-01')`,
    [old.id, fresh.id]
  )
  await network.stock(network.north, old, '1')
  await network.stock(network.north, fresh, '5')
  const offered = await outlet.requested([[old, '2']])
  expect(offered.lines[0]).toMatchObject({
    allocated: '1',
    backordered: '1',
    substitutes: [
      {
        part: fresh.number,
        factor: '2',
        quantity: '2',
        from: [{ warehouse: network.north.code, step: 'centre', quantity: '2' }]
      }
    ]
  })
  const refused = await outlet.clerk.post('/v1/requests', body(outlet.code, old.number))
  expect(refused.body).toMatchObject({
    status: 422,
    code: 'PartSuperseded',
    errors: [{ pointer: '/lines/0/part', accepted: [fresh.number] }]
  })
  await outlet.cancel(offered.number)
  const taken = await outlet.requested([[old, '2']], { substitutes: true })
  expect(taken.lines[0]).toMatchObject({
    allocated: '2',
    backordered: '0',
    allocations: [
      { part: old.number, quantity: '1' },
      { part: fresh.number, quantity: '2', state: 'ready' }
    ]
  })
  const slip = await network.keeper.post(`/v1/requests/${taken.number}/issue-slip`)
  expect(slip.body.lines).toMatchObject([
    { part: old.number, quantity: '1' },
    { part: fresh.number, quantity: '2' }
  ])
})

test('of what replaces a part only what is sold and the outlet may request is sent or offered (R-CAT-4)', async () => {
  const outlet = await network.outlet()
  const [old, ended, kept, sold] = [await h.make.part(), await h.make.part(), await h.make.part(), await h.make.part()]
  for (const one of [ended, kept, sold]) {
    await h.sql(
      `insert into supersession (part_id, successor_id, factor, both_ways, valid_from) values ($1, $2, 1, true, '2026-01-01')`,
      [old.id, one.id]
    )
    await network.stock(network.north, one, '5')
  }
  await h.sql('update part set active = false where id = $1', [ended.id])
  await network.controller.put('/v1/order-restrictions', { part: kept.number, reason: 'branches only' })
  const offered = await outlet.requested([[old, '1']])
  expect(offered.lines[0].substitutes.map(({ part }: { part: string }) => part)).toEqual([sold.number])
  const taken = await outlet.requested([[old, '1']], { substitutes: true })
  expect(taken.lines[0].allocations).toMatchObject([{ part: sold.number, state: 'ready' }])
})

test('forty lines with what replaces them are looked for with as many statements as four', async () => {
  const outlet = await network.outlet()
  const chains: [MadePart, string][] = []
  for (let n = 0; n < 40; n++) {
    const [old, next, last] = [await h.make.part(), await h.make.part(), await h.make.part()]
    await h.sql(
      `insert into supersession (part_id, successor_id, factor, both_ways, valid_from) values ($1, $2, 1, true, '2026-01-01'), ($2, $3, 1, true, '2026-01-01')`,
      [old.id, next.id, last.id]
    )
    chains.push([old, '1'])
  }
  const query = vi.spyOn(Client.prototype, 'query')
  const statementsFor = async (lines: [MadePart, string][], more: object) => {
    query.mockClear()
    await outlet.requested(lines, more)
    return query.mock.calls.length
  }
  for (const more of [{}, { substitutes: true }]) {
    // The first one fills what is remembered: calendars, warehouses, people.
    await statementsFor(chains.slice(0, 4), more)
    expect(await statementsFor(chains, more)).toBe(await statementsFor(chains.slice(0, 4), more))
  }
  query.mockRestore()
})

test('five hundred lines that nobody has are registered in seconds, not in half a minute', async () => {
  const outlet = await network.outlet()
  const lines: [MadePart, string][] = []
  for (let n = 0; n < 500; n++) lines.push([await h.make.part(), '1'])
  const begun = performance.now()
  const asked = await outlet.requested(lines)
  expect(performance.now() - begun).toBeLessThan(10_000)
  expect(asked.lines.filter(({ state }: { state: string }) => state === 'backordered')).toHaveLength(500)
}, 60_000)

test('what stands for a part is taken and given back in whole numbers, and nothing is left over by rounding (R-CAT-4, R-REQ-4)', async () => {
  const [outlet, urgent] = [await network.outlet(), await network.outlet()]
  const [old, fresh] = [await h.make.part(), await h.make.part()]
  await h.sql(
    `insert into supersession (part_id, successor_id, factor, both_ways, valid_from) values ($1, $2, 3, false, '2026-01-01')`,
    [old.id, fresh.id]
  )
  await network.stock(network.north, fresh, '6')
  const asked = await outlet.requested([[old, '2']], { substitutes: true })
  expect(asked.lines[0]).toMatchObject({ ready: '6', allocations: [{ part: fresh.number, quantity: '6' }] })
  // An emergency takes one of six: two lines' worth become one, and the other two pieces are free.
  await urgent.requested([[fresh, '1']], { urgency: 'emergency', carriage: 'road' })
  await relayed(h)
  expect((await outlet.read(asked.number)).lines[0]).toMatchObject({ ready: '3', allocated: '1', backordered: '1' })
  expect(await network.held(network.north, fresh)).toEqual({ onHand: '6', available: '2' })
  // One of three is handed out; the rest is cancelled whole.
  const { body: slip } = await network.keeper.post(`/v1/requests/${asked.number}/issue-slip`, {
    lines: [{ line: 1, quantity: '1' }]
  })
  await network.signAndPost(slip.number)
  const ended = await outlet.cancel(asked.number)
  expect(ended).toMatchObject({
    state: 'done',
    lines: [{ issued: '0.333', cancelled: '1.667', ready: '0', allocations: [{ quantity: '1', state: 'issued' }] }]
  })
  expect(await network.held(network.north, fresh)).toEqual({ onHand: '5', available: '4' })
  await network.verify()
})

test('an outlet, or a centre, with an open request is not closed: goods would be kept for nobody (R-ORG-1)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  const administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  const { number } = await outlet.requested([[part, '1']])
  const close = () => administrator.post(`/v1/warehouses/${outlet.code}/closing`)
  expect((await close()).body).toMatchObject({ status: 409, code: 'WarehouseHasRequests', requests: [number] })
  await outlet.cancel(number)
  expect((await close()).status).toBe(200)
})

test('a repeat with the same key answers what the first answered, and reserves once (R-ERR-2)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.north, part, '5')
  const key = { 'idempotency-key': 'outlet-software-0001' }
  const ask = () =>
    outlet.clerk.post(
      '/v1/requests',
      body(outlet.code, part.number, { lines: [{ part: part.number, quantity: '2' }] }),
      key
    )
  const [first, again] = [await ask(), await ask()]
  expect([first.status, again.status]).toEqual([201, 201])
  expect(again.body).toEqual(first.body)
  expect(await network.held(network.north, part)).toEqual({ onHand: '5', available: '3' })
})

test('a request worth more than the free deposit is refused whole; cancelling gives the hold back (R-REQ-5)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part({ standardCost: '100.00' })]
  await network.stock(network.north, part, '9')
  const finance = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'finance-supervisor', warehouse: network.north.code }] })
  )
  await finance.post(`/v1/deposits/${outlet.code}`, { lowLimit: '10.00' })
  await finance.post(`/v1/deposits/${outlet.code}/increases`, { amount: '350.00', paper: 'BANK-1' })
  const beyond = await outlet.clerk.post(
    '/v1/requests',
    body(outlet.code, part.number, { lines: [{ part: part.number, quantity: '4' }] })
  )
  expect(beyond.body).toMatchObject({ status: 422, code: 'DepositExceeded', shortfall: '50.00' })
  expect(await network.held(network.north, part)).toEqual({ onHand: '9', available: '9' })
  const request = await outlet.requested([[part, '3']])
  expect(request.deposit).toEqual({ value: '300.00', held: '300.00', free: '50.00', waived: '0.00' })
  const less = await outlet.cancel(request.number, { lines: [{ line: 1, quantity: '1' }] })
  expect(less.deposit).toEqual({ value: '200.00', held: '200.00', free: '150.00', waived: '0.00' })
})

test('the keeper works off emergencies first, then by the day on which it is needed, also as a file (R-REQ-4)', async () => {
  const centre = await h.make.warehouse({ kind: 'regional-centre', region: 'WEST', parent: network.headOffice.code })
  const part = await h.make.part()
  await network.stock(centre, part, '9')
  const outlet = await network.outlet(centre)
  const late = await outlet.requested([[part, '1']], { needBy: '2026-12-30' })
  const soon = await outlet.requested([[part, '1']], { needBy: '2026-12-01', repairOrder: 'WO-77' })
  const urgent = await outlet.requested([[part, '1']], {
    needBy: '2026-12-31',
    urgency: 'emergency',
    carriage: 'express'
  })
  const numbers = ({ body: { items } }: { body: any }) => items.map(({ number }: { number: string }) => number)
  const list = (query: string) => network.keeper.get(`/v1/requests?centre=${centre.code}${query}`)
  expect(numbers(await list('&order=worklist'))).toEqual([urgent.number, soon.number, late.number])
  expect(numbers(await list(''))).toEqual([urgent.number, soon.number, late.number])
  const page = await list('&order=worklist&limit=2')
  expect(numbers(await list(`&order=worklist&limit=2&cursor=${page.body.nextCursor}`))).toEqual([late.number])
  expect(numbers(await list('&repairOrder=WO-77&state=open&ready=true'))).toEqual([soon.number])
  expect(numbers(await list('&urgency=emergency'))).toEqual([urgent.number])
  expect(numbers(await outlet.clerk.get(`/v1/requests?warehouse=${outlet.code}&part=${part.number}`))).toHaveLength(3)
  expect(numbers(await (await network.outlet()).clerk.get('/v1/requests'))).toEqual([])
  const moved = await outlet.clerk.post(`/v1/requests/${late.number}/need-by`, {
    needBy: '2026-11-25',
    reason: 'the customer waits'
  })
  expect(moved.body).toMatchObject({ needBy: '2026-11-25' })
  expect(
    (await outlet.clerk.post(`/v1/requests/${late.number}/need-by`, { needBy: '2026-11-19', reason: 'x' })).body.code
  ).toBe('NeedByPast')
  expect(
    (
      await outlet.clerk.post(
        `/v1/requests/${late.number}/need-by`,
        { needBy: '2026-12-19', reason: 'x' },
        { 'if-match': '"1"' }
      )
    ).status
  ).toBe(412)
  const file = await download(h, network.keeper, `/v1/requests?centre=${centre.code}&order=worklist`, 'csv')
  expect(cells(file.text).map(([number]) => number)).toEqual([urgent.number, late.number, soon.number])
})
