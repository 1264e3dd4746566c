import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { sweepRequests } from '../../src/requests/requests.jobs.ts'
import { NEED_BY, openNetwork, type Network } from './network.ts'

// Many at once for a few pieces: nothing is promised twice, and everybody hears what happens.

let h: Harness
let network: Network
beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
  network = await openNetwork(h)
})
afterAll(() => h.close())

const fail = (): never => {
  throw new Error('no outlet')
}

const promised = async (part: { id: number }) => {
  const [row] = await h.sql<{ there: string; promised: string; reserved: string }>(
    `select (select coalesce(sum(on_hand), 0)::text from balance where part_id = $1) as there,
            (select coalesce(sum(quantity - issued), 0)::text from request_allocation where part_id = $1 and state in ('reserved', 'on-its-way', 'ready')) as promised,
            (select coalesce(sum(reserved), 0)::text from balance where part_id = $1) as reserved`,
    [part.id]
  )
  return { there: Number(row?.there), promised: Number(row?.promised), reserved: Number(row?.reserved) }
}

test('of 200 requests at once for the last piece one gets it, and 199 wait (R-STK-4, R-REQ-1)', async () => {
  const part = await h.make.part()
  await network.stock(network.north, part, '1')
  const outlets = await Promise.all(Array.from({ length: 8 }, () => network.outlet()))
  const ask = async (place: number): Promise<any> => {
    const { code, clerk } = outlets[place % outlets.length] ?? fail()
    const lines = [{ part: part.number, quantity: '1' }]
    for (;;) {
      const { status, body } = await clerk.post('/v1/requests', {
        warehouse: code,
        urgency: 'normal',
        needBy: NEED_BY,
        lines
      })
      // A busy machine may keep so many waiting for a connection too long: nothing was changed then, and it is sent again.
      if (status !== 503) return body
    }
  }
  const answers = await Promise.all(Array.from({ length: 200 }, (_, place) => ask(place)))
  const states = Map.groupBy(answers, ({ lines }) => lines[0].state)
  expect([states.get('ready')?.length, states.get('backordered')?.length]).toEqual([1, 199])
  expect(await promised(part)).toEqual({ there: 1, promised: 1, reserved: 1 })
  expect(await h.sql('select 1 from backorder where part_id = $1 and waiting = 1', [part.id])).toHaveLength(199)
  await network.verify()
}, 120_000)

test('requests at once that name the same parts in different orders, twice each, promise each piece once', async () => {
  const parts = [await h.make.part(), await h.make.part(), await h.make.part()]
  for (const part of parts) {
    await network.stock(network.north, part, '7')
    await network.stock(network.headOffice, part, '6')
    await network.stock(network.southBranch, part, '4', { receivedOn: '2026-02-01' })
  }
  const outlets = await Promise.all(Array.from({ length: 6 }, () => network.outlet()))
  const answers = await Promise.all(
    Array.from({ length: 18 }, (_, place) => {
      const order = place % 2 === 0 ? parts : parts.toReversed()
      return outlets[place % outlets.length]?.requested([...order, ...order].map((part) => [part, '1']))
    })
  )
  for (const part of parts) {
    const lines = answers.flatMap((answer) => answer.lines).filter((line) => line.part === part.number)
    expect(lines.filter(({ allocated }) => allocated === '1')).toHaveLength(17)
    expect(await promised(part)).toEqual({ there: 17, promised: 17, reserved: 17 })
  }
  await network.verify()
}, 120_000)

test('cancelling races with posting: either the goods are issued, or they are free again (R-STK-4)', async () => {
  const part = await h.make.part()
  await network.stock(network.north, part, '8')
  const outlet = await network.outlet()
  const pairs = []
  for (let count = 0; count < 8; count++) {
    const { number } = await outlet.requested([[part, '1']])
    const { body: slip } = await network.keeper.post(`/v1/requests/${number}/issue-slip`)
    await network.sign(slip.number)
    pairs.push({ number, slip: slip.number })
  }
  const outcomes = await Promise.all(
    pairs.map(async ({ number, slip }) => {
      const [posted, cancelled] = await Promise.all([
        network.keeper.post(`/v1/slips/${slip}/posting`),
        outlet.clerk.post(`/v1/requests/${number}/cancellation`, { reason: 'raced' })
      ])
      return { number, posted: posted.status, cancelled: cancelled.status }
    })
  )
  await relayed(h)
  for (const { number, posted, cancelled } of outcomes) {
    const { state, lines } = await outlet.read(number)
    // Who was second is told so.
    expect([posted, cancelled].filter((status) => status === 200).length).toBeGreaterThan(0)
    expect([state, lines[0].issued]).toEqual(posted === 200 ? ['done', '1'] : ['cancelled', '0'])
  }
  const issued = outcomes.filter(({ posted }) => posted === 200).length
  expect(await network.held(network.north, part)).toEqual({ onHand: String(8 - issued), available: String(8 - issued) })
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 0 })
  await network.verify()
}, 120_000)

test('emergencies at once displace each piece of a normal request once (R-REQ-4)', async () => {
  const part = await h.make.part()
  await network.stock(network.north, part, '6')
  const losers = await Promise.all(Array.from({ length: 3 }, () => network.outlet()))
  const taken = []
  for (const outlet of losers) taken.push(await outlet.requested([[part, '2']]))
  const urgent = await Promise.all(Array.from({ length: 9 }, () => network.outlet()))
  const answers = await Promise.all([
    ...urgent.map((outlet) =>
      outlet.requested([[part, '1']], { urgency: 'emergency', carriage: 'road', needBy: NEED_BY })
    ),
    losers[0]?.cancel(taken[0].number)
  ])
  await relayed(h)
  const ready = answers.slice(0, 9).filter(({ lines }) => lines[0].state === 'ready')
  const { there, promised: given, reserved } = await promised(part)
  expect([there, given]).toEqual([6, reserved])
  expect(ready.length).toBeGreaterThanOrEqual(4)
  expect(given).toBe(6)
  const left = await Promise.all(taken.slice(1).map(({ number }, place) => losers[place + 1]?.read(number)))
  expect(left.every(({ lines }) => lines[0].allocated === '0' && lines[0].backordered === '2')).toBe(true)
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 0 })
  await network.verify()
}, 120_000)
