import { afterAll, beforeAll, expect, test } from 'vitest'
import { sweepBackorders } from '../../src/requests/backorders.jobs.ts'
import { sweepRequests } from '../../src/requests/requests.jobs.ts'
import { openNetwork, type Network, type Outlet } from '../requests/network.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePart } from '../support/make.ts'
import { relayed, runJob } from '../support/relay.ts'

// A recall in the middle of everything: goods are promised, stand on a signed slip, travel, are counted and waited for when head office finds out that
// they are dangerous. Three days later good ones come in; a week later the old ones turn out to be sound after all (R-REQ-7, R-REQ-1, R-REQ-3).

let h: Harness
let network: Network
let part: MadePart
let first: Outlet
let second: Outlet
let third: Outlet
let fourth: Outlet
let served: Outlet
beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2026-11-20T09:00')
  network = await openNetwork(h)
  part = await h.make.part({ standardCost: '10.00' })
  ;[first, second, third, fourth, served] = [
    await network.outlet(),
    await network.outlet(),
    await network.outlet(),
    await network.outlet(),
    await network.outlet()
  ]
})
afterAll(() => h.close())

const must = (answer: { status: number; text: string; body: any }, status: number) => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
  return answer.body
}
const lineOf = async (outlet: Outlet, number: string) => {
  const { state, lines } = await outlet.read(number)
  const [{ ready, allocated, backordered, issued }] = lines
  return { state, ready, allocated, backordered, issued }
}
const holdings = async () => ({
  north: await network.held(network.north, part),
  southBranch: await network.held(network.southBranch, part)
})

test('a recall in the middle of everything', async () => {
  await network.stock(network.north, part, '7', { receivedOn: '2026-11-10' })
  await network.stock(network.southBranch, part, '3', { receivedOn: '2026-02-01' })

  // One outlet has its goods already.
  const done = await served.requested([[part, '1']], { repairOrder: 'RO-77' })
  const issued = must(await network.keeper.post(`/v1/requests/${done.number}/issue-slip`), 201)
  await network.signAndPost(issued.number, { handedTo: '李师傅' })
  await relayed(h)

  // One has them reserved, one on a slip that three have signed, one partly on the way from another region, one waits.
  const reserved = await first.requested([[part, '2']])
  const signed = await second.requested([[part, '3']])
  const slip = must(await network.keeper.post(`/v1/requests/${signed.number}/issue-slip`), 201)
  await network.sign(slip.number)
  const travelling = await third.requested([[part, '4']])
  const [{ number: transfer }] = await h.sql<{ number: string }>('select number from transfer where reference = $1', [
    travelling.number
  ])
  const out = must(await network.keeper.post(`/v1/transfers/${transfer}/out-slip`, {}), 201)
  await network.signAndPost(out.slip.number)
  const waiting = await fourth.requested([[part, '2']])
  await relayed(h)
  expect(await holdings()).toEqual({
    north: { onHand: '6', available: '0' },
    southBranch: { onHand: '0', available: '0' }
  })
  expect((await lineOf(fourth, waiting.number)).backordered).toBe('2')
  await network.verify()

  // And the shelf is being counted.
  const { number: count } = must(
    await network.keeper.post(`/v1/warehouses/${network.north.code}/counts`, { kind: 'cycle', parts: [part.number] }),
    201
  )

  // Head office recalls what came in until today.
  const recall = must(
    await network.controller.post('/v1/recalls', {
      title: '过热',
      reason: '电容器可能起火',
      scopes: [{ part: part.number, receivedTo: '2026-11-20' }]
    }),
    201
  )
  const path = `/v1/recalls/${recall.number}`
  expect(recall).toMatchObject({
    state: 'running',
    reach: { onHand: '6', inTransit: '3', issued: '1', warehouses: 1 },
    progress: { blocked: '6', inTransit: '3' }
  })
  await network.verify()
  // The slip that was signed is stopped in the same moment, before anybody was told.
  const stopped = await network.keeper.post(`/v1/slips/${slip.number}/posting`, {})
  expect(stopped.status).toBe(409)
  expect(stopped.body.detail).toContain(recall.number)

  // Everybody is told, and everything is planned anew: nothing good is left anywhere, so all of them wait in their order.
  await relayed(h)
  expect(await lineOf(first, reserved.number)).toMatchObject({ state: 'open', ready: '0', backordered: '2' })
  expect(await lineOf(second, signed.number)).toMatchObject({ state: 'open', ready: '0', backordered: '3' })
  expect(await lineOf(third, travelling.number)).toMatchObject({ ready: '0', allocated: '3', backordered: '1' })
  expect((await second.read(signed.number)).history.map(({ event }: { event: string }) => event)).toContain(
    'allocation-lost'
  )
  expect(must(await network.keeper.get(`/v1/slips/${slip.number}`), 200).state).toBe('cancelled')
  await network.verify()

  // The transfer arrives: its goods are blocked on arrival, and whom they were for waits, too.
  const into = must(
    await network.keeper.post(`/v1/transfers/${transfer}/in-slip`, { lines: [{ line: 1, quantity: '3' }] }),
    201
  )
  await network.signAndPost(into.slip.number)
  await relayed(h)
  expect(await network.held(network.north, part)).toEqual({ onHand: '9', available: '0' })
  expect(await lineOf(third, travelling.number)).toMatchObject({ ready: '0', allocated: '0', backordered: '4' })
  await network.verify()

  // The count counts what is there, blocked or not, three pieces that came meanwhile among it.
  must(
    await network.keeper.post(`/v1/counts/${count}/entries`, { entries: [{ line: 1, counted: '9', card: '9' }] }),
    200
  )
  expect(must(await network.keeper.post(`/v1/counts/${count}/submission`), 200).state).toBe('awaiting-signatures')

  // The outlet that has one is found by its slip, and answers.
  expect(must(await network.controller.get(`${path}/issued`), 200).items).toMatchObject([
    {
      outlet: served.code,
      reference: done.number,
      slip: issued.number,
      handedTo: '李师傅',
      quantity: '1',
      isAnswered: false
    }
  ])
  must(await served.clerk.post(`${path}/warehouses/${served.code}/answers`, { found: '1', returned: '0' }), 201)
  expect(must(await network.controller.get(`${path}/issued`), 200).items).toMatchObject([{ isAnswered: true }])

  // After the weekend five good ones come in. The oldest are served: the first outlet, and the second; it confirms and gets them.
  h.clock.set('2026-11-23T09:00')
  await network.stock(network.north, part, '5')
  await relayed(h)
  await runJob(h, sweepBackorders)
  expect(await lineOf(first, reserved.number)).toMatchObject({ allocated: '2', backordered: '0' })
  expect(await lineOf(second, signed.number)).toMatchObject({ allocated: '3', backordered: '0' })
  expect(await lineOf(third, travelling.number)).toMatchObject({ ready: '0', backordered: '4' })
  await confirmed(first, reserved.number)
  const good = must(await network.keeper.post(`/v1/requests/${reserved.number}/issue-slip`), 201)
  const posted = await network.signAndPost(good.number)
  const [lot] = await h.sql<{ day: string }>('select received_on::text as day from lot where id = $1', [
    posted.lines[0].movements[0].lot
  ])
  expect(lot.day).toBe('2026-11-23')
  await relayed(h)
  expect(await lineOf(first, reserved.number)).toMatchObject({ state: 'done', issued: '2' })
  await network.verify()

  // A week later the old ones turn out to be sound. Three sign, and who still waits is served at once.
  h.clock.set('2026-11-27T09:00')
  must(await network.controller.post(`${path}/lifting`, { reason: '复检合格' }), 200)
  expect((await signedEnd(path)).state).toBe('lifted')
  await network.verify()
  await relayed(h)
  expect(await lineOf(third, travelling.number)).toMatchObject({ allocated: '4', backordered: '0' })
  expect(await lineOf(fourth, waiting.number)).toMatchObject({ allocated: '2', backordered: '0' })
  for (const [outlet, number] of [
    [second, signed.number],
    [third, travelling.number],
    [fourth, waiting.number]
  ] as [Outlet, string][]) {
    await confirmed(outlet, number)
    await network.signAndPost(must(await network.keeper.post(`/v1/requests/${number}/issue-slip`), 201).number)
    await relayed(h)
    expect(await lineOf(outlet, number)).toMatchObject({ state: 'done' })
  }
  expect(await network.held(network.north, part)).toEqual({ onHand: '3', available: '3' })
  expect(must(await network.controller.get(`${path}/goods`), 200).items).toEqual([])
  expect(await runJob(h, sweepRequests)).toEqual({ changed: 0 })
  await network.verify()
})

/** The requester confirms what came for it while it waited (R-REQ-3). */
async function confirmed(outlet: Outlet, number: string): Promise<void> {
  const rows = await h.sql<{ number: string }>(
    `select b.number from backorder b join request r on r.warehouse_id = b.warehouse_id and r.id = b.request_id
      where r.number = $1 and b.state = 'allocated'`,
    [number]
  )
  expect(rows).toHaveLength(1)
  must(await outlet.clerk.post(`/v1/backorders/${rows[0]?.number}/confirmation`, { confirmed: true }), 200)
  await relayed(h)
}

async function signedEnd(path: string): Promise<any> {
  const as = async (duty: 'hq-finance' | 'operations-supervisor' | 'stock-controller'): Promise<Caller> =>
    callerFor(h, await h.make.person({ grants: [{ duty }] }))
  let last: any
  for (const duty of ['hq-finance', 'operations-supervisor', 'stock-controller'] as const)
    last = must(await (await as(duty)).post(`${path}/signatures`, { duty, decision: 'approve' }), 200)
  return last
}
