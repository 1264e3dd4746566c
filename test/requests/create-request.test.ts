import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'
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
