import { afterAll, beforeAll, expect, test } from 'vitest'
import { sweepBackorders } from '../../src/requests/backorders.jobs.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openNetwork, type Network, type Outlet } from './network.ts'

let h: Harness
let network: Network
beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
  network = await openNetwork(h)
})
afterAll(() => h.close())

interface Waiting {
  outlet: Outlet
  request: string
  backorder: string
}

/** So many outlets that wait for two pieces each of one part. */
async function queue(outlets: number) {
  const part = await h.make.part()
  const waiting: Waiting[] = []
  for (let place = 0; place < outlets; place++) {
    h.clock.advance({ minutes: 1 })
    const outlet = await network.outlet()
    const { number, lines } = await outlet.requested([[part, '2']])
    waiting.push({ outlet, request: number, backorder: lines[0].backorder.number })
  }
  return { part, waiting }
}

/** What is promised to backorders, and what of the balance is reserved; they must be one. */
const promised = async (part: { id: number }) =>
  (
    await h.sql<Record<string, string>>(
      `select (select trim_scale(coalesce(sum(a.quantity - a.issued), 0))::text from request_allocation a where a.part_id = $1 and a.state in ('reserved', 'ready', 'on-its-way')) as allocated,
              (select trim_scale(coalesce(sum(b.reserved), 0))::text from balance b where b.part_id = $1) as reserved,
              (select trim_scale(coalesce(sum(b.on_hand), 0))::text from balance b where b.part_id = $1) as "onHand",
              (select trim_scale(coalesce(sum(b.waiting), 0))::text from backorder b where b.part_id = $1) as waiting,
              (select trim_scale(coalesce(sum(p.uncovered), 0))::text from request_line_position p where p.part_id = $1) as uncovered`,
      [part.id]
    )
  )[0]

test('two arrivals and a cancellation at once give no piece twice, and nobody who waits is forgotten', async () => {
  for (let round = 0; round < 4; round++) {
    const { part, waiting } = await queue(4)
    const [first] = waiting
    await Promise.all([
      network.stock(network.north, part, '3').then(() => relayed(h)),
      network.stock(network.headOffice, part, '2').then(() => relayed(h)),
      first?.outlet.clerk.post(`/v1/requests/${first.request}/cancellation`, { reason: 'no longer needed' }),
      runJob(h, sweepBackorders)
    ])
    await relayed(h)
    await runJob(h, sweepBackorders)
    // Five pieces for the three that are left, who want six.
    expect(await promised(part)).toEqual({ allocated: '5', reserved: '5', onHand: '5', waiting: '1', uncovered: '1' })
    expect(
      await h.sql('select state from backorder where part_id = $1 order by queued_at, id', [part.id])
    ).toMatchObject([{ state: 'cancelled' }, { state: 'allocated' }, { state: 'allocated' }, { state: 'allocated' }])
  }
  await network.verify()
})

test('yes and no at once: one of them is the answer', async () => {
  const { part, waiting } = await queue(2)
  const [first] = waiting
  if (first === undefined) throw new Error('nobody waits')
  await network.stock(network.north, part, '2')
  await relayed(h)
  const answers = await Promise.all(
    [{ confirmed: true }, { confirmed: false, reason: 'too late' }, { confirmed: true }].map((body) =>
      first.outlet.clerk.post(`/v1/backorders/${first.backorder}/confirmation`, body)
    )
  )
  expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409])
  await relayed(h)
  expect(await promised(part)).toMatchObject({ allocated: '2', reserved: '2' })
})

test('two services of one queue at once serve everybody once', async () => {
  const { part } = await queue(6)
  await network.stock(network.north, part, '7')
  await Promise.all([runJob(h, sweepBackorders), runJob(h, sweepBackorders), relayed(h)])
  expect(await promised(part)).toEqual({ allocated: '7', reserved: '7', onHand: '7', waiting: '5', uncovered: '5' })
  expect(
    await h.sql(
      `select count(*)::int as n from document_event e join backorder b on b.id = e.document_id where b.part_id = $1 and e.event = 'arrived'`,
      [part.id]
    )
  ).toEqual([{ n: 4 }])
  expect(await runJob(h, sweepBackorders)).toEqual({ served: 0 })
})
