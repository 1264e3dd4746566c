import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed } from '../support/relay.ts'
import { openNetwork, type Network } from './network.ts'

let h: Harness
let network: Network
beforeAll(async () => {
  h = await openHarness()
  network = await openNetwork(h)
})
afterAll(() => h.close())

test('one call answers what happens: what the centre has is ready, and only that is looked for (R-REQ-1)', async () => {
  const part = await h.make.part({ standardCost: '12.50' })
  await network.stock(network.north, part, '5', { receivedOn: '2026-10-03' })
  const outlet = await network.outlet()
  const request = await outlet.requested([[part, '2']])
  expect(request).toMatchObject({
    number: `${outlet.code}-REQ-202611-00001`,
    centre: network.north.code,
    state: 'open',
    value: '25.00',
    deposit: null,
    lines: [
      {
        line: 1,
        state: 'ready',
        quantity: '2',
        allocated: '2',
        ready: '2',
        backordered: '0',
        backorder: null,
        allocations: [
          {
            step: 'centre',
            from: network.north.code,
            quantity: '2',
            state: 'ready',
            receivedOn: '2026-10-03',
            needsConfirmation: false,
            expiresOn: '2026-12-10'
          }
        ],
        search: [{ step: 'centre', available: '5', taken: '2', because: 'covered' }]
      }
    ],
    clocks: [{ line: 1, piece: 'in-stock', dueOn: '2026-11-24', state: 'running' }]
  })
  expect(request.history.map(({ event }: { event: string }) => event)).toEqual(['requested', 'allocated'])
  expect(await network.held(network.north, part)).toEqual({ onHand: '5', available: '3' })
  await network.verify()
})

test('what the centre does not have comes from the network: aged lots of the region first, then what others have beyond their need (R-REQ-1, R-AGE-6)', async () => {
  const part = await h.make.part()
  await network.stock(network.north, part, '1')
  // Past the holding period: received in July; and fresh goods, of which a branch keeps what it needs itself.
  await network.stock(network.northBranch, part, '2', { receivedOn: '2026-07-05' })
  const neighbour = await network.outlet()
  await network.stock({ ...neighbour, regionId: network.north.regionId, region: 'NORTH' }, part, '3', {
    receivedOn: '2026-06-20'
  })
  await network.stock(network.headOffice, part, '10')
  const outlet = await network.outlet()
  const request = await outlet.requested([[part, '8']])
  expect(request.lines[0]).toMatchObject({
    state: 'ready',
    allocated: '8',
    ready: '1',
    allocations: [
      { step: 'centre', from: network.north.code, quantity: '1', state: 'ready', transfer: null },
      { step: 'regional-network', from: neighbour.code, quantity: '3', state: 'on-its-way', receivedOn: '2026-06-20' },
      {
        step: 'regional-network',
        from: network.northBranch.code,
        quantity: '2',
        state: 'on-its-way',
        receivedOn: '2026-07-05'
      },
      { step: 'head-office', from: network.headOffice.code, quantity: '2', state: 'on-its-way', ownership: 'own' }
    ],
    search: [
      { step: 'centre', available: '1', taken: '1', because: 'took-what-was-there' },
      { step: 'regional-network', lookedAt: 2, available: '5', taken: '5' },
      { step: 'head-office', available: '10', taken: '2', because: 'covered' }
    ]
  })
  const transfers = request.lines[0].allocations.flatMap(({ transfer }: { transfer: string | null }) => transfer ?? [])
  expect(transfers).toHaveLength(3)
  for (const transfer of transfers) await network.carry(transfer)
  const ready = await outlet.read(request.number)
  expect(ready.lines[0]).toMatchObject({ state: 'ready', ready: '8', backordered: '0' })
  expect(ready.history.filter(({ event }: { event: string }) => event === 'ready')).toHaveLength(3)
  await network.verify()
})

test('what is ready is issued by a slip like any other, and the request is done (R-OUT-4, R-REQ-2)', async () => {
  const part = await h.make.part({ standardCost: '4.00' })
  await network.stock(network.north, part, '5')
  const outlet = await network.outlet()
  const { number } = await outlet.requested([[part, '3']])
  const slip = await network.keeper.post(`/v1/requests/${number}/issue-slip`, { lines: [{ line: 1, quantity: '1' }] })
  expect(slip).toMatchObject({
    status: 201,
    body: { kind: 'issue', purpose: 'outlet', reference: number, counterparty: outlet.code, lines: [{ quantity: '1' }] }
  })
  expect(
    (await network.keeper.post(`/v1/requests/${number}/issue-slip`, { lines: [{ line: 1, quantity: '3' }] })).body
  ).toMatchObject({
    code: 'NotReady',
    status: 409
  })
  await network.signAndPost(slip.body.number)
  await relayed(h)
  expect((await outlet.read(number)).lines[0]).toMatchObject({
    state: 'ready',
    issued: '1',
    ready: '2',
    allocated: '2'
  })
  const rest = await network.keeper.post(`/v1/requests/${number}/issue-slip`)
  await network.signAndPost(rest.body.number)
  await relayed(h)
  const done = await outlet.read(number)
  expect(done).toMatchObject({
    state: 'done',
    lines: [{ state: 'issued', issued: '3', allocations: [{ state: 'issued', issued: '3' }] }],
    clocks: [{ state: 'ended', endedBecause: 'issued' }]
  })
  expect((await network.keeper.post(`/v1/requests/${number}/issue-slip`)).body.code).toBe('NothingReady')
  expect(await network.held(network.north, part)).toEqual({ onHand: '2', available: '2' })
  await network.verify()
})
