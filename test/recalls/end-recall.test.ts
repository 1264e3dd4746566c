import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { callerFor, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openRecalling, type Recalling } from './recalling.ts'

let h: Harness
let network: Recalling
let counter: Counter
beforeAll(async () => {
  h = await openHarness()
  network = await openRecalling(h)
  counter = await network.counter()
})
beforeEach(() => h.clock.set('2026-11-20T10:00'))
afterAll(() => h.close())

const blockedOf = async (part: string): Promise<string> => {
  const { items } = must(await counter.keeper.get(`/v1/warehouses/${counter.warehouse}/stock?part=${part}`), 200)
  return items.map(({ blocked }: { blocked: string }) => blocked).join()
}
const code = (answer: { status: number; body: any }) => [answer.status, answer.body.code]
const finish = { reason: 'tested good' }

describe('a lifting', () => {
  test('frees exactly what no other recall holds, with the last of three signatures, and tells for which parts', async () => {
    const part = await h.make.part()
    const receive = (occurredOn: string) =>
      counter.posted({ kind: 'receipt', occurredOn, lines: [{ part: part.number, quantity: '2', unitCost: '1' }] })
    await receive('2026-09-01')
    await receive('2026-10-01')
    await receive('2026-11-01')
    const wide = await network.recallPart(part.number)
    await network.recall({ scopes: [{ part: part.number, receivedTo: '2026-09-30' }] })
    const path = `/v1/recalls/${wide.number}`

    const proposed = must(await network.controller.post(`${path}/lifting`, finish), 200)
    expect(proposed).toMatchObject({
      state: 'running',
      awaiting: ['hq-finance', 'operations-supervisor', 'stock-controller'],
      endings: [{ kind: 'lifting', state: 'awaiting-signatures', lines: [1], reason: 'tested good' }]
    })
    const sign = (by: typeof network.controller, duty: string) =>
      by.post(`${path}/signatures`, { duty, decision: 'approve', contentHash: proposed.endings[0].contentHash })
    expect(code(await sign(network.otherController, 'stock-controller'))).toEqual([422, 'HeadOfficeSignsLast'])
    must(await sign(network.hqFinance, 'hq-finance'), 200)
    expect(code(await sign(network.hqFinance, 'hq-finance'))).toEqual([409, 'AlreadySigned'])
    must(await sign(network.operations, 'operations-supervisor'), 200)
    expect(code(await sign(network.controller, 'stock-controller'))).toEqual([422, 'PreparerMaySign'])
    expect(await blockedOf(part.number)).toBe('6')
    const lifted = must(await sign(network.otherController, 'stock-controller'), 200)

    expect(lifted).toMatchObject({
      state: 'lifted',
      endedBecause: 'tested good',
      lines: [{ liftedAt: '2026-11-20T02:00:00Z' }],
      endings: [{ state: 'in-effect' }],
      progress: { blocked: '0' }
    })
    expect(await blockedOf(part.number)).toBe('2')
    const events = await h.sql(
      `select payload->'partIds' as parts from outbox where event = 'recall.lifted' and payload->>'recall' = $1`,
      [wide.number]
    )
    expect(events).toEqual([{ parts: [part.id] }])
    await counter.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '4' }] })
    expect(await counter.verify()).toMatchObject({ ok: true, findings: [] })
  })

  test('of one line leaves the others blocked; the last line lifts the whole', async () => {
    const one = await counter.stocked({ quantity: '1' })
    const two = await counter.stocked({ quantity: '1' })
    await counter.stocked({ quantity: '1000', unitCost: '10000' })
    const recall = await network.recall({ scopes: [{ parts: [one.number, two.number] }] })
    const path = `/v1/recalls/${recall.number}/lifting`
    must(await network.controller.post(path, { ...finish, lines: [1] }), 200)
    expect(await network.signEnd(recall.number)).toMatchObject({
      state: 'running',
      lines: [{ part: one.number }, { liftedAt: null }]
    })
    expect([await blockedOf(one.number), await blockedOf(two.number)]).toEqual(['0', '1'])
    expect(code(await network.controller.post(path, { ...finish, lines: [1] }))).toEqual([422, 'LineLifted'])
    expect(code(await network.controller.post(path, { ...finish, lines: [7] }))).toEqual([422, 'RecallLineUnknown'])
    must(await network.controller.post(path, finish), 200)
    expect(await network.signEnd(recall.number)).toMatchObject({ state: 'lifted' })
    expect(await blockedOf(two.number)).toBe('0')
    expect(code(await network.controller.post(path, finish))).toEqual([409, 'RecallNotRunning'])
  })

  test('that is refused or dropped frees nothing; another may be proposed', async () => {
    const part = await counter.stocked({ quantity: '1' })
    const recall = await network.recallPart(part.number)
    const path = `/v1/recalls/${recall.number}`
    must(await network.controller.post(`${path}/lifting`, finish), 200)
    expect(code(await network.controller.post(`${path}/lifting`, finish))).toEqual([409, 'EndingProposed'])
    const refuse = { duty: 'hq-finance', decision: 'refuse' }
    expect(code(await network.hqFinance.post(`${path}/signatures`, refuse))).toEqual([422, 'ReasonMissing'])
    const refused = must(await network.hqFinance.post(`${path}/signatures`, { ...refuse, comment: 'no report' }), 200)
    expect(refused.endings).toMatchObject([
      { state: 'refused', refusal: { duty: 'hq-finance', reason: 'no report' }, signatures: [] }
    ])
    must(await network.controller.post(`${path}/lifting`, finish), 200)
    must(await network.otherController.post(`${path}/cancellation`, { reason: 'too early' }), 200)
    expect(await blockedOf(part.number)).toBe('1')
    must(await network.controller.post(`${path}/lifting`, finish), 200)
    expect((await network.signEnd(recall.number)).endings.map(({ state }: { state: string }) => state)).toEqual([
      'refused',
      'cancelled',
      'in-effect'
    ])
  })

  test('is not proposed by another duty, a local stock controller, a machine, or of a version that is no longer', async () => {
    const part = await counter.stocked({ quantity: '1' })
    const recall = await network.recallPart(part.number)
    const path = `/v1/recalls/${recall.number}/lifting`
    for (const caller of [network.hqFinance, network.operations, counter.keeper])
      expect(code(await caller.post(path, finish))).toEqual([403, 'DutyRequired'])
    const grants = [{ duty: 'stock-controller' as const, warehouse: counter.warehouse }]
    expect((await callerFor(h, await h.make.person({ grants })).post(path, finish)).status).toBe(403)
    const key = must(
      await network.controller.post('/v1/api-keys', { name: 'bridge', expiresOn: '2026-12-31', access: 'write' }),
      201
    )
    const machine = await h.api
      .post(path)
      .set('authorization', `Bearer ${key.key ?? key.secret}`)
      .send(finish)
    expect(code(machine)).toEqual([403, 'PersonRequired'])
    expect(code(await network.controller.post(path, finish, { 'if-match': '"99"' }))).toEqual([412, 'VersionStale'])
    expect(await network.controller.post('/v1/recalls/HQ-RCL-202611-99999/lifting', finish)).toMatchObject({
      status: 404
    })
  })

  test('signed by many at once is in effect once', async () => {
    const part = await counter.stocked({ quantity: '1' })
    const recall = await network.recallPart(part.number)
    const path = `/v1/recalls/${recall.number}`
    must(await network.controller.post(`${path}/lifting`, finish), 200)
    const approve = (duty: string) => ({ duty, decision: 'approve' })
    const outcomes = await Promise.all(
      [1, 2, 3].flatMap(() => [
        network.hqFinance.post(`${path}/signatures`, approve('hq-finance')),
        network.operations.post(`${path}/signatures`, approve('operations-supervisor'))
      ])
    )
    expect(outcomes.filter(({ status }) => status === 200)).toHaveLength(2)
    const last = await Promise.all(
      [1, 2, 3].map(() => network.otherController.post(`${path}/signatures`, approve('stock-controller')))
    )
    expect(last.map(({ status }) => status).toSorted()).toEqual([200, 409, 409])
    const [{ count }] = await h.sql<{ count: number }>(
      `select count(*)::int as count from outbox where event = 'recall.lifted' and payload->>'recall' = $1`,
      [recall.number]
    )
    expect(count).toBe(1)
  })
})

describe('a closing', () => {
  test('waits until nothing of it lies blocked; then old goods stay recalled, new ones are free', async () => {
    const part = await counter.stocked({ quantity: '3' })
    const issue = await counter.posted({
      kind: 'issue',
      reference: 'RO-1',
      lines: [{ part: part.number, quantity: '1' }]
    })
    const recall = await network.recallPart(part.number)
    const path = `/v1/recalls/${recall.number}`
    const early = await network.controller.post(`${path}/closing`, { reason: 'done' })
    expect(code(early)).toEqual([409, 'RecalledGoodsRemain'])
    expect(early.body.blocked).toBe('2')
    const { slips } = must(
      await counter.keeper.post(`${path}/return-slips`, { warehouse: counter.warehouse, to: 'scrap' }),
      201
    )
    must(await counter.signAndPost(slips[0]), 200)

    must(await network.controller.post(`${path}/closing`, { reason: 'done' }), 200)
    const closed = await network.signEnd(recall.number)

    expect(closed).toMatchObject({
      state: 'closed',
      endedBecause: 'done',
      lines: [{ receivedTo: '2026-11-20', liftedAt: null }]
    })
    h.clock.set('2026-11-23T10:00')
    await counter.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '5', unitCost: '1' }] })
    expect(await blockedOf(part.number)).toBe('0')
    await counter.posted({
      kind: 'return',
      reference: issue.number,
      reason: 'found late',
      lines: [{ part: part.number, quantity: '1' }]
    })
    expect(await blockedOf(part.number)).toBe('1')
    const late = must(
      await counter.keeper.post(`${path}/return-slips`, { warehouse: counter.warehouse, to: 'supplier' }),
      201
    )
    must(await counter.signAndPost(late.slips[0]), 200)
    expect(await counter.onHand(part.number)).toBe('5')
    expect(code(await network.controller.post(`${path}/closing`, { reason: 'again' }))).toEqual([
      409,
      'RecallNotRunning'
    ])
    expect(await counter.verify()).toMatchObject({ ok: true, findings: [] })
  })

  test('is not in effect if goods came back before the last signature', async () => {
    const part = await counter.stocked({ quantity: '1' })
    const issue = await counter.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    const recall = await network.recallPart(part.number)
    must(await network.controller.post(`/v1/recalls/${recall.number}/closing`, { reason: 'done' }), 200)
    await counter.posted({
      kind: 'return',
      reference: issue.number,
      reason: 'r',
      lines: [{ part: part.number, quantity: '1' }]
    })
    await expect(network.signEnd(recall.number)).rejects.toThrow(/RecalledGoodsRemain/)
    expect(await blockedOf(part.number)).toBe('1')
  })
})

test('no policy lets a recall end without finance of the head office and its stock controller (R-REQ-7)', async () => {
  const admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  const set = (duties: string[]) => admin.put('/v1/signing-policies/recall', { duties })
  expect(code(await set(['department-head', 'operations-supervisor', 'finance-supervisor']))).toEqual([
    422,
    'RecallNeedsHeadOffice'
  ])
  expect((await set(['hq-finance', 'operations-supervisor', 'stock-controller'])).status).toBe(200)
})
