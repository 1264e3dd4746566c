import { afterAll, beforeAll, expect, test } from 'vitest'
import { expireRequestsDaily, sweepRequests } from '../../src/requests/requests.jobs.ts'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openNetwork, type Network } from '../requests/network.ts'

// From the question of an outlet to the goods on its counter.

let h: Harness
let network: Network
beforeAll(async () => {
  h = await openHarness()
  network = await openNetwork(h)
})
afterAll(() => h.close())

const eventsOf = (request: any): string[] => request.history.map(({ event }: { event: string }) => event)

test('a normal request: two filters from the centre, a board from another region, a compressor nobody has', async () => {
  h.clock.set('2026-11-20T15:20')
  const [filter, board, compressor] = [
    await h.make.part({ name: 'Filter', nameZh: '滤芯', standardCost: '20.00' }),
    await h.make.part({ name: 'Board', nameZh: '主板', standardCost: '300.00' }),
    await h.make.part({ name: 'Compressor', nameZh: '压缩机', standardCost: '900.00' })
  ]
  await network.stock(network.north, filter, '10', { receivedOn: '2026-09-15' })
  // Five months old: in the stock network, visible to everybody (R-AGE-6).
  await network.stock(network.southBranch, board, '1', { receivedOn: '2026-06-12' })
  const outlet = await network.outlet(network.northBranch)
  const finance = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'finance-supervisor', warehouse: network.north.code }] })
  )
  await finance.post(`/v1/deposits/${outlet.code}`, { lowLimit: '100.00' })
  await finance.post(`/v1/deposits/${outlet.code}/increases`, { amount: '2000.00', paper: '银行回单 7781' })

  // Friday afternoon. One call says what happens.
  const asked = await outlet.requested(
    [
      [filter, '2'],
      [board, '1'],
      [compressor, '1']
    ],
    { needBy: '2026-11-27', repairOrder: 'WO-1120-7' }
  )
  expect(asked.lines).toMatchObject([
    { state: 'ready', allocations: [{ step: 'centre', receivedOn: '2026-09-15' }] },
    {
      state: 'allocated',
      allocations: [
        { step: 'other-regions', from: network.southBranch.code, receivedOn: '2026-06-12', state: 'on-its-way' }
      ],
      search: [
        { step: 'centre', because: 'nothing-there' },
        { step: 'regional-network', because: 'nothing-there' },
        { step: 'head-office', because: 'nothing-there' },
        { step: 'other-regions', because: 'covered' }
      ]
    },
    { state: 'backordered', backorder: { waiting: '1', promiseBasis: 'default', promisedOn: '2026-12-11' } }
  ])
  expect(asked.clocks).toMatchObject([
    { line: 1, piece: 'in-stock', dueOn: '2026-11-24' },
    { line: 2, piece: 'in-stock', dueOn: '2026-11-24' },
    { line: 3, piece: 'backordered', dueOn: '2026-12-11' }
  ])
  expect(asked.deposit).toEqual({ value: '1240.00', held: '1240.00', free: '760.00', waived: '0.00' })

  // Monday: the keeper of the centre hands out the filters; the board comes by two slips of three signatures.
  h.clock.set('2026-11-23T09:30')
  const { body: worklist } = await network.keeper.get(
    `/v1/requests?centre=${network.north.code}&order=worklist&ready=true`
  )
  expect(worklist.items).toMatchObject([
    { number: asked.number, linesReady: 1, linesOnTheirWay: 1, linesBackordered: 1 }
  ])
  const { body: first } = await network.keeper.post(`/v1/requests/${asked.number}/issue-slip`)
  expect(first).toMatchObject({
    purpose: 'outlet',
    reference: asked.number,
    lines: [{ part: filter.number, quantity: '2' }]
  })
  await network.signAndPost(first.number, { handedTo: 'Zhao, driver' })
  await network.carry(asked.lines[1].allocations[0].transfer)
  const monday = await outlet.read(asked.number)
  expect(monday.lines.map(({ state }: { state: string }) => state)).toEqual(['issued', 'ready', 'backordered'])
  expect(monday.deposit).toMatchObject({ value: '1200.00', held: '1200.00' })
  const { body: second } = await network.keeper.post(`/v1/requests/${asked.number}/issue-slip`)
  await network.signAndPost(second.number, { handedTo: 'Zhao, driver' })
  await relayed(h)

  // December: a compressor comes in. The outlet is asked first, says yes, and gets it.
  h.clock.set('2026-12-03T11:00')
  await network.stock(network.north, compressor, '1')
  await relayed(h)
  const came = await outlet.read(asked.number)
  expect(came.lines[2]).toMatchObject({
    state: 'allocated',
    allocations: [{ state: 'reserved', needsConfirmation: true, expiresOn: '2026-12-10' }]
  })
  expect(came.clocks[2]).toMatchObject({ state: 'paused' })
  expect((await network.keeper.post(`/v1/requests/${asked.number}/issue-slip`)).body.code).toBe('NothingReady')
  const confirmed = await outlet.clerk.post(`/v1/backorders/${came.lines[2].backorder.number}/confirmation`, {
    confirmed: true
  })
  expect(confirmed.status).toBe(200)
  const { body: third } = await network.keeper.post(`/v1/requests/${asked.number}/issue-slip`)
  await network.signAndPost(third.number, { handedTo: 'Zhao, driver' })
  await relayed(h)

  const done = await outlet.read(asked.number)
  expect(done).toMatchObject({
    state: 'done',
    deposit: { value: '0.00', held: '0.00', free: '760.00' },
    lines: [{ issued: '2' }, { issued: '1' }, { issued: '1', backorder: { state: 'fulfilled' } }]
  })
  expect(done.clocks.map(({ isBreached, endedBecause }: any) => [isBreached, endedBecause])).toEqual([
    [false, 'issued'],
    [false, 'issued'],
    [false, 'issued']
  ])
  expect(eventsOf(done).filter((event) => event === 'issued')).toHaveLength(3)
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 0 })
  await network.verify()
}, 120_000)

test('an emergency at a Spring Festival: a normal request gives way, the goods fly, and the days off do not count (R-REQ-4, R-REQ-2)', async () => {
  // Thursday 12 February 2026. The festival is from the 15th to the 23rd; Saturday the 14th and Saturday the 28th are worked.
  h.clock.set('2026-02-12T16:40')
  const [part, pump] = [await h.make.part({ standardCost: '50.00' }), await h.make.part({ standardCost: '80.00' })]
  await network.stock(network.north, part, '2', { receivedOn: '2026-01-20' })
  await network.stock(network.headOffice, pump, '1', { receivedOn: '2026-01-20' })
  const [calm, urgent] = [await network.outlet(), await network.outlet()]
  const normal = await calm.requested([[part, '2']], { needBy: '2026-03-06' })
  expect(normal.clocks).toMatchObject([{ piece: 'in-stock', dueOn: '2026-02-14' }])

  h.clock.set('2026-02-13T09:05')
  const emergency = await urgent.requested(
    [
      [part, '1'],
      [pump, '1']
    ],
    { needBy: '2026-02-14', urgency: 'emergency', carriage: 'air', contact: 'Dr Wu, hospital' }
  )
  expect(emergency.lines).toMatchObject([
    { state: 'ready', search: [{ step: 'centre', available: '0', displaced: '1', taken: '1' }] },
    { state: 'allocated', allocations: [{ step: 'head-office', state: 'on-its-way' }] }
  ])
  // Two working days: Saturday the 14th, and Tuesday the 24th after the festival.
  expect(emergency.clocks).toMatchObject([{ dueOn: '2026-02-24' }, { dueOn: '2026-02-24' }])
  const { transfer } = emergency.lines[1].allocations[0]
  expect((await network.keeper.get(`/v1/transfers/${transfer}`)).body).toMatchObject({
    carriage: 'air',
    directTo: urgent.code,
    reference: emergency.number
  })
  await relayed(h)
  const loser = await calm.read(normal.number)
  expect(loser.lines[0]).toMatchObject({ ready: '1', backordered: '1', backorder: { waiting: '1', state: 'waiting' } })
  expect(eventsOf(loser)).toEqual(['requested', 'allocated', 'displaced', 'backordered'])

  await network.carry(transfer)
  const { body: slip } = await network.keeper.post(`/v1/requests/${emergency.number}/issue-slip`)
  expect(slip.lines).toHaveLength(2)
  h.clock.set('2026-02-14T10:00')
  await network.signAndPost(slip.number, { handedTo: 'Wu' })
  await relayed(h)
  expect(await urgent.read(emergency.number)).toMatchObject({
    state: 'done',
    clocks: [{ isBreached: false }, { isBreached: false }]
  })

  // Over the festival nothing of the other's is lost: the days off do not count for what is kept either.
  h.clock.set('2026-02-24T09:00')
  expect(await runJob(h, expireRequestsDaily)).toEqual({ expired: 0 })
  await network.stock(network.north, part, '3')
  await relayed(h)
  expect((await calm.read(normal.number)).lines[0]).toMatchObject({
    ready: '1',
    backordered: '0',
    allocations: [
      { quantity: '1', state: 'ready' },
      { quantity: '1', state: 'reserved', needsConfirmation: true }
    ]
  })
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 0 })
  await network.verify()
}, 120_000)
