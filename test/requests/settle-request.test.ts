import { afterAll, beforeAll, expect, test } from 'vitest'
import { expireRequestsDaily, sweepRequests } from '../../src/requests/requests.jobs.ts'
import { callerFor } from '../support/counter.ts'
import { openHarness, DEFAULT_TIME, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openNetwork, type Network, type Outlet } from './network.ts'

// What becomes of a request when slips, transfers, recalls, approvals and days go on.

let h: Harness
let network: Network
beforeAll(async () => {
  h = await openHarness()
  network = await openNetwork(h)
})
afterAll(() => h.close())

const eventsOf = (request: any): string[] => request.history.map(({ event }: { event: string }) => event)
const lastEvent = (request: any, name: string) =>
  request.history.findLast(({ event }: { event: string }) => event === name)?.details

/** Written, signed, posted, and everybody has heard of it. */
async function issue(number: string, body: object = {}): Promise<string> {
  const { body: slip } = await network.keeper.post(`/v1/requests/${number}/issue-slip`, body)
  await network.signAndPost(slip.number)
  await relayed(h)
  return slip.number
}

/** Nothing is out of step, and looking for it changes nothing. */
async function isInStep(): Promise<void> {
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 0 })
  await network.verify()
}

async function withDeposit(outlet: Outlet, amount: string) {
  const finance = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'finance-supervisor', warehouse: network.north.code }] })
  )
  await finance.post(`/v1/deposits/${outlet.code}`, { lowLimit: '1.00' })
  await finance.post(`/v1/deposits/${outlet.code}/increases`, { amount, paper: 'BANK-1' })
  return async () => {
    const { balance, held, free } = (await finance.get(`/v1/deposits/${outlet.code}`)).body
    return { balance, held, free }
  }
}

test('issued goods are taken from the deposit once; a reversal gives them back, and the line is planned anew (R-REQ-5, R-STK-2)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part({ standardCost: '10.00' })]
  const deposit = await withDeposit(outlet, '100.00')
  await network.stock(network.north, part, '5')
  const { number } = await outlet.requested([[part, '3']])
  expect(await deposit()).toEqual({ balance: '100.00', held: '30.00', free: '70.00' })
  const slip = await issue(number, { lines: [{ line: 1, quantity: '2' }] })
  expect(await deposit()).toEqual({ balance: '80.00', held: '10.00', free: '70.00' })
  const { body: reversal } = await network.keeper.post(`/v1/slips/${slip}/reversal`, { reason: 'wrong outlet' })
  await network.signAndPost(reversal.number)
  await relayed(h)
  expect(await deposit()).toEqual({ balance: '100.00', held: '30.00', free: '70.00' })
  const again = await outlet.read(number)
  expect(again).toMatchObject({ state: 'open', lines: [{ state: 'ready', issued: '0', ready: '3', backordered: '0' }] })
  expect(lastEvent(again, 'issue-reversed')).toMatchObject({
    slips: [reversal.number],
    lines: [{ line: 1, quantity: '2' }]
  })
  const second = await issue(number)
  expect(await outlet.read(number)).toMatchObject({ state: 'done', lines: [{ issued: '3' }] })
  expect(await deposit()).toEqual({ balance: '70.00', held: '0.00', free: '70.00' })
  // What the outlet sends back is paid back; the request stays done.
  const returned = await network.keeper.post(`/v1/warehouses/${network.north.code}/slips`, {
    kind: 'return',
    reference: second,
    reason: 'not needed',
    lines: [{ sourceLine: 1, part: part.number, quantity: '1' }]
  })
  await network.signAndPost(returned.body.number)
  await relayed(h)
  expect(await deposit()).toEqual({ balance: '80.00', held: '0.00', free: '80.00' })
  expect(await outlet.read(number)).toMatchObject({ state: 'done' })
  await isInStep()
})

test('an issue that is reversed before anybody heard of it came back, too: the line is planned anew and may be cancelled (R-REQ-1, R-STK-2)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part({ standardCost: '10.00' })]
  const deposit = await withDeposit(outlet, '100.00')
  await network.stock(network.north, part, '5')
  const { number } = await outlet.requested([[part, '3']])
  const handOut = async (body: object) => {
    const { number: slip } = (await network.keeper.post(`/v1/requests/${number}/issue-slip`, body)).body
    await network.signAndPost(slip)
    return slip
  }
  const reverse = async (slip: string) => {
    const { body } = await network.keeper.post(`/v1/slips/${slip}/reversal`, { reason: 'wrong outlet' })
    await network.signAndPost(body.number)
    return body.number
  }
  const first = await handOut({ lines: [{ line: 1, quantity: '2' }] })
  const reversal = await reverse(first)
  await relayed(h)
  const again = await outlet.read(number)
  expect(again).toMatchObject({ state: 'open', lines: [{ state: 'ready', issued: '0', ready: '3', backordered: '0' }] })
  expect(lastEvent(again, 'issue-reversed')).toMatchObject({
    slips: [reversal],
    lines: [{ line: 1, quantity: '2' }]
  })
  expect(await deposit()).toEqual({ balance: '100.00', held: '30.00', free: '70.00' })
  await isInStep()
  // Another one of which nobody is ever told.
  await reverse(await handOut({ lines: [{ line: 1, quantity: '1' }] }))
  await h.sql('delete from outbox')
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 1 })
  await handOut({ lines: [{ line: 1, quantity: '1' }] })
  await relayed(h)
  expect(await outlet.read(number)).toMatchObject({ state: 'open', lines: [{ issued: '1', ready: '2' }] })
  expect(await deposit()).toEqual({ balance: '90.00', held: '20.00', free: '70.00' })
  await isInStep()
  // And one that is cancelled before anybody heard.
  await reverse(await handOut({}))
  expect(await outlet.cancel(number)).toMatchObject({ state: 'done', lines: [{ issued: '1', cancelled: '2' }] })
  expect(await network.held(network.north, part)).toEqual({ onHand: '4', available: '4' })
  await relayed(h)
  expect(await deposit()).toEqual({ balance: '90.00', held: '0.00', free: '90.00' })
  await isInStep()
})

test('a return is paid back, and taken again when it is reversed, whether or not anybody was told (R-REQ-5, R-ALR-2)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part({ standardCost: '10.00' })]
  const deposit = await withDeposit(outlet, '100.00')
  await network.stock(network.north, part, '5')
  const { number } = await outlet.requested([[part, '4']])
  const slip = await issue(number)
  const returned = await network.keeper.post(`/v1/warehouses/${network.north.code}/slips`, {
    kind: 'return',
    reference: slip,
    reason: 'not needed',
    lines: [{ sourceLine: 1, part: part.number, quantity: '3' }]
  })
  await network.signAndPost(returned.body.number)
  await h.sql('delete from outbox')
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 1 })
  expect(await deposit()).toEqual({ balance: '90.00', held: '0.00', free: '90.00' })
  const reverse = async (what: string) => {
    const { body } = await network.keeper.post(`/v1/slips/${what}/reversal`, { reason: 'it never came' })
    await network.signAndPost(body.number)
  }
  await reverse(returned.body.number)
  await relayed(h)
  expect(await deposit()).toEqual({ balance: '60.00', held: '0.00', free: '60.00' })
  expect(await outlet.read(number)).toMatchObject({ state: 'done' })
  // Once more, and this time nobody hears of the reversal either.
  const again = await network.keeper.post(`/v1/warehouses/${network.north.code}/slips`, {
    kind: 'return',
    reference: slip,
    reason: 'not needed',
    lines: [{ sourceLine: 1, part: part.number, quantity: '1' }]
  })
  await network.signAndPost(again.body.number)
  await relayed(h)
  expect(await deposit()).toMatchObject({ balance: '70.00' })
  await reverse(again.body.number)
  await h.sql('delete from outbox')
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 1 })
  expect(await deposit()).toMatchObject({ balance: '60.00' })
  await isInStep()
})

test('a deposit that is opened after a request is not held or charged for it (R-REQ-5)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part({ standardCost: '10.00' })]
  await network.stock(network.north, part, '5')
  const { number } = await outlet.requested([[part, '4']])
  h.clock.advance({ minutes: 1 })
  const deposit = await withDeposit(outlet, '100.00')
  await issue(number, { lines: [{ line: 1, quantity: '1' }] })
  await issue(number, { lines: [{ line: 1, quantity: '1' }] })
  expect(await deposit()).toEqual({ balance: '100.00', held: '0.00', free: '100.00' })
  await outlet.cancel(number, { lines: [{ line: 1, quantity: '1' }] })
  await issue(number)
  expect(await deposit()).toEqual({ balance: '100.00', held: '0.00', free: '100.00' })
  await isInStep()
})

test('a clock ends when the goods were handed out, however late that is heard of (R-REQ-2, R-ALR-2)', async () => {
  h.clock.set('2026-11-20T15:00')
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.north, part, '5')
  const { number } = await outlet.requested([[part, '4']])
  const { body: slip } = await network.keeper.post(`/v1/requests/${number}/issue-slip`)
  h.clock.set('2026-11-24T16:00')
  await network.signAndPost(slip.number)
  await h.sql('delete from outbox')
  h.clock.set('2026-11-26T01:00')
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 1 })
  expect((await outlet.read(number)).clocks).toMatchObject([
    { dueOn: '2026-11-24', endedAt: '2026-11-24T08:00:00Z', endedBecause: 'issued', isBreached: false }
  ])
  await isInStep()
  h.clock.set(DEFAULT_TIME)
})

test('a slip that is cancelled or refused leaves what stood on it ready; the requester cancels a slip that is not posted', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.north, part, '5')
  const { number } = await outlet.requested([[part, '3']])
  const write = async () => (await network.keeper.post(`/v1/requests/${number}/issue-slip`)).body
  const first = await write()
  expect((await outlet.read(number)).lines[0].allocations[0].slip).toBe(first.number)
  expect(await write()).toMatchObject({ code: 'NothingReady', slips: [first.number] })
  await network.keeper.post(`/v1/slips/${first.number}/cancellation`, { reason: 'torn' })
  const second = await write()
  await network.sign(second.number)
  const less = await outlet.cancel(number, { lines: [{ line: 1, quantity: '1' }] })
  expect(less.lines[0]).toMatchObject({
    quantity: '3',
    cancelled: '1',
    ready: '2',
    allocations: [{ quantity: '2', slip: null }]
  })
  expect(lastEvent(less, 'cancelled')).toMatchObject({ slips: [second.number] })
  expect((await network.keeper.post(`/v1/slips/${second.number}/posting`)).body).toMatchObject({ status: 409 })
  await issue(number)
  const refused = await outlet.clerk.post(`/v1/requests/${number}/cancellation`, { reason: 'late' })
  expect(refused.body).toMatchObject({ status: 409, code: 'RequestNotCancellable' })
  await isInStep()
})

test('what is issued is not cancelled but returned; what is open of the line is (R-REQ-1)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.north, part, '5')
  const { number } = await outlet.requested([[part, '7']])
  await issue(number, { lines: [{ line: 1, quantity: '2' }] })
  const cancel = (body: object) => outlet.clerk.post(`/v1/requests/${number}/cancellation`, { reason: 'sold', ...body })
  expect((await cancel({ lines: [{ line: 1, quantity: '6' }] })).body).toMatchObject({
    status: 409,
    code: 'AlreadyIssued',
    errors: [{ pointer: '/lines/0/quantity', accepted: 'at most 5' }]
  })
  expect((await cancel({ lines: [{ line: 9 }] })).body).toMatchObject({ status: 422, code: 'LineUnknown' })
  expect(
    (await outlet.clerk.post(`/v1/requests/${number}/cancellation`, { reason: 'x' }, { 'if-match': '"1"' })).status
  ).toBe(412)
  const rest = await outlet.cancel(number)
  expect(rest).toMatchObject({
    state: 'done',
    lines: [{ state: 'issued', issued: '2', cancelled: '5', backordered: '0', backorder: { state: 'cancelled' } }]
  })
  expect(await network.held(network.north, part)).toEqual({ onHand: '3', available: '3' })
  await isInStep()
})

test('what a slip handed out is issued before anybody was told: it is not cancelled (R-STK-4)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.north, part, '2')
  const { number } = await outlet.requested([[part, '2']])
  const { body: slip } = await network.keeper.post(`/v1/requests/${number}/issue-slip`, {
    lines: [{ line: 1, quantity: '1' }]
  })
  await network.signAndPost(slip.number)
  const cancelled = await outlet.cancel(number)
  expect(cancelled).toMatchObject({ state: 'done', lines: [{ issued: '1', cancelled: '1', ready: '0' }] })
  await relayed(h)
  expect(await network.held(network.north, part)).toEqual({ onHand: '1', available: '1' })
  await isInStep()
})

test('whoever gives goods for a request sees it, and a key of the clerk requests like the clerk (R-ORG-2)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.headOffice, part, '2')
  const giver = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: network.headOffice.code }] }))
  const other = await network.outlet(network.south)
  const { body: key } = await outlet.clerk.post('/v1/api-keys', {
    name: 'software',
    access: 'write',
    expiresOn: '2027-01-01'
  })
  const asked = await h.api
    .post('/v1/requests')
    .set({ authorization: `Bearer ${key.key}` })
    .send({
      warehouse: outlet.code,
      urgency: 'normal',
      needBy: '2026-12-31',
      lines: [{ part: part.number, quantity: '1' }]
    })
  expect(asked.status).toBe(201)
  expect((await giver.get(`/v1/requests/${asked.body.number}`)).status).toBe(200)
  expect((await giver.get(`/v1/requests?part=${part.number}`)).body.items).toMatchObject([
    { number: asked.body.number }
  ])
  expect((await other.clerk.get(`/v1/requests?part=${part.number}`)).body.items).toEqual([])
  expect((await giver.post(`/v1/requests/${asked.body.number}/issue-slip`)).status).toBe(404)
})

test('cancelling withdraws a transfer of which nothing left, and orders anew what else it was to bring', async () => {
  const [outlet, one, two] = [await network.outlet(), await h.make.part(), await h.make.part()]
  await network.stock(network.headOffice, one, '4')
  await network.stock(network.headOffice, two, '4')
  const request = await outlet.requested([
    [one, '2'],
    [two, '2']
  ])
  const before = request.lines[0].allocations[0].transfer
  expect(request.lines[1].allocations[0].transfer).toBe(before)
  const less = await outlet.cancel(request.number, { lines: [{ line: 1 }] })
  expect(less.lines).toMatchObject([
    { state: 'cancelled', allocations: [{ state: 'ended' }] },
    { state: 'allocated', allocated: '2', allocations: [{ state: 'ended' }, { state: 'on-its-way' }] }
  ])
  expect(less.lines[1].allocations[1].transfer).not.toBe(before)
  expect((await network.keeper.get(`/v1/transfers/${before}`)).body.state).toBe('cancelled')
  expect(await network.held(network.headOffice, one)).toEqual({ onHand: '4', available: '4' })
  expect(await network.held(network.headOffice, two)).toEqual({ onHand: '4', available: '2' })
  await isInStep()
})

test('a line that waits for some of its goods and loses others finds those again unasked, and is asked about what it waited for (R-REQ-1, R-REQ-3)', async () => {
  const outlet = await network.outlet()
  const aged = { receivedOn: '2026-02-11' }
  const waitingBesides = async () => {
    const [part, beside] = [await h.make.part(), await h.make.part()]
    await network.stock(network.northBranch, part, '1', aged)
    await network.stock(network.northBranch, beside, '1', aged)
    const request = await outlet.requested([
      [part, '2'],
      [beside, '1']
    ])
    expect(request.lines).toMatchObject([{ allocated: '1', backordered: '1' }, { allocated: '1' }])
    return { number: request.number as string, part }
  }
  const lineOf = async (number: string) => {
    const { lines, history } = await outlet.read(number)
    const { allocations, ...line } = lines[0]
    return { ...line, history, live: allocations.filter(({ state }: { state: string }) => state !== 'ended') }
  }
  const backorderOf = async (number: string) =>
    (await outlet.clerk.get(`/v1/backorders?warehouse=${outlet.code}`)).body.items.find(
      ({ request }: { request: string }) => request === number
    )
  const over = async (number: string) => {
    await outlet.cancel(number)
    await relayed(h)
    await isInStep()
  }

  // More came than it waits for, and nobody was told yet: the piece that it had is found first, and the other one answers the backorder.
  const { number: first, part } = await waitingBesides()
  await network.stock(network.north, part, '1')
  await outlet.cancel(first, { lines: [{ line: 2 }] })
  expect(await lineOf(first)).toMatchObject({
    allocated: '2',
    backordered: '0',
    live: [
      { state: 'ready', needsConfirmation: false, from: network.north.code },
      { state: 'reserved', needsConfirmation: true, from: network.northBranch.code }
    ]
  })
  expect(await backorderOf(first)).toMatchObject({ state: 'allocated', quantity: '1', waiting: '0' })
  await over(first)

  // It waits for nothing more: what it was asked about stays, and what it lost is on its way again.
  const { number: second, part: other } = await waitingBesides()
  await network.stock(network.north, other, '1')
  await relayed(h)
  const { number: asked } = await backorderOf(second)
  await outlet.cancel(second, { lines: [{ line: 2 }] })
  expect(await lineOf(second)).toMatchObject({
    allocated: '2',
    live: [
      { state: 'reserved', needsConfirmation: true, from: network.north.code },
      { state: 'on-its-way', needsConfirmation: false, from: network.northBranch.code }
    ]
  })
  expect((await outlet.clerk.post(`/v1/backorders/${asked}/confirmation`, { confirmed: true })).body).toMatchObject({
    state: 'confirmed',
    quantity: '1'
  })
  await over(second)
})

test('what a recall takes while a line waits is found with what it waits for, and the requester is asked about all of it (R-REQ-7, R-REQ-3)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.north, part, '1', { receivedOn: '2026-06-01' })
  const { number } = await outlet.requested([[part, '2']])
  await network.stock(network.headOffice, part, '2', { receivedOn: '2026-10-01' })
  const recall = await network.controller.post('/v1/recalls', {
    title: 'cracked',
    reason: 'cracks',
    scopes: [{ part: part.number, receivedTo: '2026-06-30' }]
  })
  expect(recall.status).toBe(201)
  // Found by looking, before anybody is told that goods came.
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 1 })
  const after = await outlet.read(number)
  expect(after.lines).toMatchObject([
    {
      allocated: '2',
      backordered: '0',
      allocations: [{ state: 'ended' }, { state: 'reserved', quantity: '2', needsConfirmation: true }]
    }
  ])
  const { items } = (await outlet.clerk.get(`/v1/backorders?warehouse=${outlet.code}`)).body
  expect(items).toMatchObject([{ state: 'allocated', quantity: '2', waiting: '0' }])
  await relayed(h)
  await outlet.clerk.post(`/v1/backorders/${items[0].number}/confirmation`, { confirmed: true })
  await network.carry((await outlet.read(number)).lines[0].allocations[1].transfer)
  await issue(number)
  expect(await outlet.read(number)).toMatchObject({ state: 'done', lines: [{ issued: '2' }] })
  await isInStep()
})

test('what comes in parts is ready in parts; what is missing or unusable is found anew, and the requester told (R-REQ-1)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.headOffice, part, '9')
  const { number, lines } = await outlet.requested([[part, '6']])
  const { transfer } = lines[0].allocations[0]
  const out = await network.keeper.post(`/v1/transfers/${transfer}/out-slip`, {})
  await network.signAndPost(out.body.slip.number)
  const receive = async (line: object) => {
    const into = await network.keeper.post(`/v1/transfers/${transfer}/in-slip`, { lines: [{ line: 1, ...line }] })
    await network.signAndPost(into.body.slip.number)
    await relayed(h)
    return outlet.read(number)
  }
  expect((await receive({ quantity: '2' })).lines[0]).toMatchObject({
    ready: '2',
    allocated: '6',
    allocations: [
      { allocation: 1, quantity: '4', state: 'on-its-way' },
      { allocation: 2, quantity: '2', state: 'ready' }
    ]
  })
  const rest = await receive({ quantity: '1', damaged: '1', missing: '2', responsible: 'carrier' })
  expect(rest.lines[0]).toMatchObject({ ready: '3', allocated: '6', backordered: '0' })
  expect(lastEvent(rest, 'allocation-lost')).toMatchObject({ line: 1, quantity: '3', transfer })
  const anew = rest.lines[0].allocations.find(({ state }: { state: string }) => state === 'on-its-way')
  expect(anew).toMatchObject({ quantity: '3', from: network.headOffice.code })
  await network.carry(anew.transfer)
  await issue(number)
  expect(await outlet.read(number)).toMatchObject({ state: 'done', lines: [{ issued: '6' }] })
  await isInStep()
})

test('what is cancelled in transit arrives as stock of the centre, and the next in the queue gets it (R-REQ-3)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.headOffice, part, '2')
  const { number, lines } = await outlet.requested([[part, '2']])
  const { transfer } = lines[0].allocations[0]
  const out = await network.keeper.post(`/v1/transfers/${transfer}/out-slip`, {})
  await network.signAndPost(out.body.slip.number)
  const next = await (await network.outlet()).requested([[part, '1']])
  const cancelled = await outlet.cancel(number)
  expect(lastEvent(cancelled, 'cancelled')).toMatchObject({ inTransit: [{ line: 1, quantity: '2', transfer }] })
  expect(cancelled.state).toBe('cancelled')
  const into = await network.keeper.post(`/v1/transfers/${transfer}/in-slip`, { lines: [{ line: 1, quantity: '2' }] })
  await network.signAndPost(into.body.slip.number)
  await relayed(h)
  expect(await network.held(network.north, part)).toEqual({ onHand: '2', available: '1' })
  expect((await network.keeper.get(`/v1/requests/${next.number}`)).body.lines[0]).toMatchObject({
    backordered: '0',
    allocations: [{ from: network.north.code, needsConfirmation: true, state: 'reserved' }]
  })
  await isInStep()
})

test('an emergency takes what a normal request has reserved, the newest first; the loser is told and keeps its place (R-REQ-4)', async () => {
  const part = await h.make.part()
  await network.stock(network.north, part, '5')
  const [old, young, urgent, late] = [
    await network.outlet(),
    await network.outlet(),
    await network.outlet(),
    await network.outlet()
  ]
  const first = await old.requested([[part, '2']])
  h.clock.advance({ hours: 1 })
  const second = await young.requested([[part, '3']])
  const { body: slip } = await network.keeper.post(`/v1/requests/${first.number}/issue-slip`, {
    lines: [{ line: 1, quantity: '1' }]
  })
  const waiting = await late.requested([[part, '1']])
  const emergency = await urgent.requested([[part, '4']], { urgency: 'emergency', carriage: 'air' })
  // What a slip names is left alone.
  expect(emergency.lines[0]).toMatchObject({
    ready: '3',
    backordered: '1',
    search: [{ step: 'centre', available: '0', waitingInFront: '0', displaced: '3', taken: '3' }, {}, {}, {}]
  })
  await relayed(h)
  const loser = await young.read(second.number)
  expect(loser.lines[0]).toMatchObject({
    state: 'backordered',
    backordered: '3',
    allocations: [{ state: 'ended', endedBecause: `displaced by ${emergency.number}` }]
  })
  expect(eventsOf(loser)).toEqual(['requested', 'allocated', 'displaced', 'backordered'])
  const places = await h.sql<{ request: string }>(
    `select r.number as request from backorder b join request r on r.id = b.request_id where b.part_id = $1 and b.waiting > 0 order by b.urgency, b.queued_at, b.request_id`,
    [part.id]
  )
  expect(places.map(({ request }) => request)).toEqual([emergency.number, second.number, waiting.number])
  expect((await old.read(first.number)).lines[0]).toMatchObject({ ready: '2', allocations: [{ slip: slip.number }] })
  await isInStep()
  h.clock.set(DEFAULT_TIME)
})

test('two arrivals of which nobody heard in between are taken up as what each of them brought (R-STK-4, R-REQ-1)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.northBranch, part, '3', { receivedOn: '2026-02-11' })
  const request = await outlet.requested([[part, '3']])
  const { transfer } = request.lines[0].allocations[0]
  const out = (await network.keeper.post(`/v1/transfers/${transfer}/out-slip`, {})).body
  await network.signAndPost(out.slip.number)
  for (const quantity of ['1', '2']) {
    const into = (await network.keeper.post(`/v1/transfers/${transfer}/in-slip`, { lines: [{ line: 1, quantity }] }))
      .body
    await network.signAndPost(into.slip.number)
  }
  await relayed(h)
  const { lines } = await outlet.read(request.number)
  expect(lines).toMatchObject([{ state: 'ready', allocated: '3', ready: '3', backordered: '0' }])
  expect(
    lines[0].allocations.map(({ quantity, state }: { quantity: string; state: string }) => ({ quantity, state }))
  ).toEqual([
    { quantity: '2', state: 'ready' },
    { quantity: '1', state: 'ready' }
  ])
  await issue(request.number)
  expect(await outlet.read(request.number)).toMatchObject({ state: 'done', lines: [{ issued: '3' }] })
  await isInStep()
})

test('what a cancelled line gives back of an approval is for the next, and one that is entered meanwhile is not missed (R-CAT-2)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part({ controlled: true })]
  await network.stock(network.north, part, '9')
  const approve = () =>
    network.controller.post(`/v1/parts/${part.number}/controlled-approvals`, {
      warehouse: outlet.code,
      quantity: '2',
      reason: 'gas licence shown',
      validTo: '2026-12-31'
    })
  await approve()
  const first = await outlet.requested([[part, '2']])
  const second = await outlet.requested([[part, '2']])
  expect([first, second].map(({ lines: [line] }) => line.state)).toEqual(['ready', 'awaiting-approval'])
  await relayed(h)
  await outlet.cancel(first.number)
  await relayed(h)
  expect((await outlet.read(second.number)).lines[0].state).toBe('ready')
  // The message of the approval was handled before the request was there: the request is looked at by its own.
  const third = await outlet.requested([[part, '2']])
  await approve()
  await h.sql(`delete from outbox where event = 'controlled-part.approved'`)
  await relayed(h)
  expect((await outlet.read(third.number)).lines[0].state).toBe('ready')
  await isInStep()
})

test('a controlled part waits for its approval; the clock starts there, and a cancelled line gives it back (R-CAT-2, R-REQ-2)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part({ controlled: true })]
  await network.stock(network.north, part, '9')
  const request = await outlet.requested([[part, '3']])
  expect(request).toMatchObject({
    lines: [{ state: 'awaiting-approval', allocated: '0', backordered: '0', allocations: [] }],
    clocks: []
  })
  await isInStep()
  h.clock.advance({ hours: 72 })
  const approve = (quantity: string) =>
    network.controller.post(`/v1/parts/${part.number}/controlled-approvals`, {
      warehouse: outlet.code,
      quantity,
      reason: 'gas licence shown',
      validTo: '2026-12-31'
    })
  expect((await approve('2')).status).toBe(201)
  await relayed(h)
  expect((await outlet.read(request.number)).lines[0].state).toBe('awaiting-approval')
  await approve('5')
  await relayed(h)
  const planned = await outlet.read(request.number)
  expect(planned).toMatchObject({
    lines: [{ state: 'ready', ready: '3' }],
    clocks: [{ piece: 'in-stock', startedOn: '2026-11-23', dueOn: '2026-11-25' }]
  })
  expect(eventsOf(planned)).toEqual(['requested', 'awaiting-approval', 'approved', 'allocated'])
  const used = async () =>
    (
      await h.sql<{ used: string }>(
        'select trim_scale(used)::text as used from controlled_approval where part_id = $1 order by id',
        [part.id]
      )
    ).map((row) => row.used)
  expect(await used()).toEqual(['0', '3'])
  expect((await outlet.requested([[part, '2']])).lines[0].state).toBe('ready')
  expect(await used()).toEqual(['2', '3'])
  await outlet.cancel(request.number, { lines: [{ line: 1, quantity: '1' }] })
  expect(await used()).toEqual(['2', '2'])
  await isInStep()
  h.clock.set(DEFAULT_TIME)
})

test('what is not fetched is given up on the day after its last one, once; what is on a slip stays (R-REQ-1)', async () => {
  // Other tests left goods that nobody fetches.
  await h.sql('update request_allocation set expires_on = null')
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.north, part, '5')
  const left = await outlet.requested([[part, '2']])
  const fetched = await outlet.requested([[part, '1']])
  await network.keeper.post(`/v1/requests/${fetched.number}/issue-slip`)
  const waiting = await (await network.outlet()).requested([[part, '4']])
  expect(left.lines[0].allocations[0].expiresOn).toBe('2026-12-10')
  h.clock.set('2026-12-10T09:00:00Z')
  expect(await runJob(h, expireRequestsDaily)).toEqual({ expired: 0 })
  h.clock.set('2026-12-11T00:30:00Z')
  expect(await runJob(h, expireRequestsDaily)).toEqual({ expired: 2 })
  expect(await runJob(h, expireRequestsDaily)).toEqual({ expired: 0 })
  await relayed(h)
  const over = await outlet.read(left.number)
  expect(over).toMatchObject({
    state: 'cancelled',
    lines: [{ cancelled: '2', cancelledBecause: 'not fetched by 2026-12-10' }]
  })
  expect(lastEvent(over, 'expired')).toMatchObject({
    reason: 'not fetched by 2026-12-10',
    lines: [{ line: 1, quantity: '2' }]
  })
  expect((await outlet.read(fetched.number)).lines[0]).toMatchObject({ ready: '1' })
  // Two of its pieces were ready and not fetched either; the other two came free, and it is asked whether it still needs them.
  expect((await network.keeper.get(`/v1/requests/${waiting.number}`)).body.lines[0]).toMatchObject({
    cancelled: '2',
    allocations: [
      { state: 'ended' },
      { state: 'reserved', quantity: '2', needsConfirmation: true, expiresOn: '2026-12-18' }
    ]
  })
  h.clock.set('2026-12-19T00:30:00Z')
  await runJob(h, expireRequestsDaily)
  await relayed(h)
  expect((await network.keeper.get(`/v1/requests/${waiting.number}`)).body).toMatchObject({
    state: 'cancelled',
    lines: [{ cancelledBecause: 'not confirmed by 2026-12-18' }]
  })
  await isInStep()
  h.clock.set(DEFAULT_TIME)
})

test('a recall takes what is reserved or ordered; slips that name it are dropped, and the line is found anew or waits (R-REQ-7)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.north, part, '2')
  await network.stock(network.headOffice, part, '2', { receivedOn: '2026-06-01' })
  await network.stock(network.south, part, '9', { receivedOn: '2026-10-01' })
  const { number } = await outlet.requested([[part, '4']])
  const { body: slip } = await network.keeper.post(`/v1/requests/${number}/issue-slip`)
  const recall = await network.controller.post('/v1/recalls', {
    title: 'cracked',
    reason: 'cracks',
    scopes: [
      { part: part.number, receivedTo: '2026-06-30' },
      { part: part.number, receivedFrom: '2026-11-20' }
    ]
  })
  expect(recall.status).toBe(201)
  await relayed(h)
  const after = await outlet.read(number)
  expect(after.lines[0]).toMatchObject({ allocated: '4', backordered: '0' })
  expect(after.lines[0].allocations).toMatchObject([
    { state: 'ended', endedBecause: `recall ${recall.body.number}` },
    { state: 'ended', endedBecause: `recall ${recall.body.number}` },
    { state: 'on-its-way', from: network.south.code, quantity: '4' }
  ])
  expect((await network.keeper.get(`/v1/slips/${slip.number}`)).body.state).toBe('cancelled')
  expect(eventsOf(after).filter((event) => event === 'allocation-lost')).toHaveLength(2)
  await isInStep()
})

test('what a recall takes of a transfer that has left in part is found anew; what is on the way is judged when it arrives (R-REQ-7)', async () => {
  const [outlet, part] = [await network.outlet(), await h.make.part()]
  await network.stock(network.headOffice, part, '4', { receivedOn: '2026-06-01' })
  await network.stock(network.south, part, '9', { receivedOn: '2026-10-01' })
  const { number, lines } = await outlet.requested([[part, '4']])
  const { transfer, from } = lines[0].allocations[0]
  const out = await network.keeper.post(`/v1/transfers/${transfer}/out-slip`, { lines: [{ line: 1, quantity: '1' }] })
  await network.signAndPost(out.body.slip.number)
  await relayed(h)
  const recall = await network.controller.post('/v1/recalls', {
    title: 'cracked',
    reason: 'cracks',
    scopes: [{ part: part.number, receivedTo: '2026-06-30' }]
  })
  expect(recall.status).toBe(201)
  await relayed(h)
  const allocations = async () =>
    (await outlet.read(number)).lines[0].allocations.map((one: any) => [one.state, one.from, one.quantity])
  expect(await allocations()).toEqual([
    ['on-its-way', from, '1'],
    ['on-its-way', network.south.code, '3']
  ])
  const into = await network.keeper.post(`/v1/transfers/${transfer}/in-slip`, { lines: [{ line: 1, quantity: '1' }] })
  await network.signAndPost(into.body.slip.number)
  await relayed(h)
  expect(await allocations()).toEqual([
    ['ended', from, '1'],
    ['on-its-way', network.south.code, '3'],
    ['on-its-way', network.south.code, '1']
  ])
  expect(await outlet.read(number)).toMatchObject({ lines: [{ allocated: '4', backordered: '0' }] })
  await isInStep()
})

test('what comes for nobody, and what a recall took before it left, are found when nobody was told (R-ALR-2, R-REQ-7)', async () => {
  const [outlet, part, cracked] = [await network.outlet(), await h.make.part(), await h.make.part()]
  await network.stock(network.headOffice, part, '5')
  await network.stock(network.headOffice, cracked, '5', { receivedOn: '2026-06-01' })
  const moved = await outlet.requested([[part, '4']])
  const ordered = await outlet.requested([[cracked, '2']])
  const { transfer } = moved.lines[0].allocations[0]
  const out = await network.keeper.post(`/v1/transfers/${transfer}/out-slip`, {})
  await network.signAndPost(out.body.slip.number)
  await outlet.cancel(moved.number, { lines: [{ line: 1, quantity: '3' }] })
  await outlet.cancel(moved.number)
  const into = await network.keeper.post(`/v1/transfers/${transfer}/in-slip`, { lines: [{ line: 1, quantity: '4' }] })
  await network.signAndPost(into.body.slip.number)
  // Of this one some has left.
  const halfway = await outlet.requested([[cracked, '3']])
  const some = await network.keeper.post(`/v1/transfers/${halfway.lines[0].allocations[0].transfer}/out-slip`, {
    lines: [{ line: 1, quantity: '1' }]
  })
  await network.signAndPost(some.body.slip.number)
  const recall = await network.controller.post('/v1/recalls', {
    title: 'cracked',
    reason: 'cracks',
    scopes: [{ part: cracked.number, receivedTo: '2026-06-30' }]
  })
  expect(recall.status).toBe(201)
  await h.sql('delete from outbox')
  expect(await network.held(network.north, part)).toEqual({ onHand: '4', available: '0' })
  await runJob(h, sweepRequests)
  expect(await network.held(network.north, part)).toEqual({ onHand: '4', available: '4' })
  expect((await outlet.read(ordered.number)).lines).toMatchObject([
    { backordered: '2', allocations: [{ state: 'ended', endedBecause: `recall ${recall.body.number}` }] }
  ])
  expect((await outlet.read(halfway.number)).lines).toMatchObject([
    { backordered: '2', allocations: [{ state: 'on-its-way', quantity: '1' }] }
  ])
  await isInStep()
})

test('what a lost message would have told is found by the sweep, once (R-ALR-2)', async () => {
  const [outlet, part, other] = [await network.outlet(), await h.make.part(), await h.make.part()]
  await network.stock(network.north, part, '5')
  await network.stock(network.headOffice, other, '5')
  const issued = await outlet.requested([[part, '1']])
  const moved = await outlet.requested([[other, '2']])
  const { body: slip } = await network.keeper.post(`/v1/requests/${issued.number}/issue-slip`)
  await network.signAndPost(slip.number)
  const { transfer } = moved.lines[0].allocations[0]
  const out = await network.keeper.post(`/v1/transfers/${transfer}/out-slip`, {})
  await network.signAndPost(out.body.slip.number)
  const into = await network.keeper.post(`/v1/transfers/${transfer}/in-slip`, { lines: [{ line: 1, quantity: '2' }] })
  await network.signAndPost(into.body.slip.number)
  await h.sql('delete from outbox')
  expect((await outlet.read(issued.number)).state).toBe('open')
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 2 })
  expect((await outlet.read(issued.number)).state).toBe('done')
  expect((await outlet.read(moved.number)).lines[0]).toMatchObject({ ready: '2' })
  await isInStep()
})
