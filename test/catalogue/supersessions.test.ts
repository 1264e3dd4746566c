import { afterAll, beforeAll, expect, test } from 'vitest'
import { callsAs, type Caller } from '../support/calls.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let controller: Caller
let keeper: Caller
beforeAll(async () => {
  h = await openHarness()
  controller = callsAs(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  keeper = callsAs(h, await h.make.person({ grants: [{ duty: 'keeper' }] }))
})
afterAll(() => h.close())

const parts = async (count: number) =>
  Promise.all(Array.from({ length: count }, async () => (await h.make.part()).number)) as Promise<
    [string, string, string, string]
  >
const add = (part: string, successor: string, more: object = {}) =>
  controller.post(`/v1/parts/${part}/supersessions`, { successor, ...more })
const successors = async (number: string) =>
  (await keeper.get(`/v1/parts/${number}/successors`)).body.items.map((row: Record<string, unknown>) => ({
    part: row['part'],
    successors: row['successors'],
    replaced: row['replaced'],
    steps: row['steps']
  }))

test('chains are followed and their factors multiplied, both ways where said (R-CAT-4)', async () => {
  const [a, b, c, d] = await parts(4)
  const added = await add(a, b, { factor: '2' })
  expect([added.status, added.body]).toEqual([
    201,
    { part: a, successor: b, factor: '2.000', bothWays: false, validFrom: '2026-11-20', validTo: null }
  ])
  await add(b, c, { factor: '3', bothWays: true })
  await add(c, d, { factor: '0.5' })

  expect(await successors(a)).toEqual([
    { part: b, successors: '2', replaced: '1', steps: 1 },
    { part: c, successors: '6', replaced: '1', steps: 2 },
    { part: d, successors: '3', replaced: '1', steps: 3 }
  ])
  expect(await successors(c)).toEqual(
    [
      { part: b, successors: '1', replaced: '3', steps: 1 },
      { part: d, successors: '0.5', replaced: '1', steps: 1 }
    ].sort((x, y) => (x.part < y.part ? -1 : 1))
  )
  expect(await successors(d)).toEqual([])
  expect(
    (await keeper.get(`/v1/parts/${b}/supersessions`)).body.items
      .map(({ part, successor }: Record<string, string>) => [part, successor])
      .sort()
  ).toEqual(
    [
      [a, b],
      [b, c]
    ].sort()
  )
})

test('a circle is refused, however long, and so is a second supersession of the same parts', async () => {
  const [a, b, c, d] = await parts(4)
  await add(a, b)
  await add(b, c)
  const refused = [
    await add(c, a),
    await add(b, a),
    await add(a, a),
    await add(a, b),
    await add(a, c, { bothWays: true })
  ]
  expect(refused.map(({ status, body }) => [status, body.code])).toEqual([
    [422, 'SupersessionCircular'],
    [422, 'SupersessionCircular'],
    [422, 'SupersessionOfItself'],
    [422, 'SupersessionCircular'],
    [422, 'SupersessionCircular']
  ])
  expect(refused[0]?.body.path).toEqual([a, b, c])
  expect((await add(a, c)).status).toBe(201)
  await add(c, d, { bothWays: true })
  expect((await add(d, a)).body.code).toBe('SupersessionCircular')
  expect((await add(d, c)).body.code).toBe('SupersessionCircular')
})

test('two that would close a circle together cannot both be added', async () => {
  const [a, b] = await parts(2)
  const outcomes = await Promise.all([add(a, b), add(b, a), add(a, b), add(b, a)])
  expect(outcomes.map(({ status }) => status).sort()).toEqual([201, 422, 422, 422])
})

test('a supersession ends on a day and may be stated anew after it', async () => {
  const [a, b] = await parts(2)
  await add(a, b, { validFrom: '2026-11-01' })
  const ended = await controller.post(`/v1/parts/${a}/supersessions/${b}/ending`, { validTo: '2026-11-19' })
  expect([ended.status, ended.body.validTo]).toEqual([200, '2026-11-19'])
  expect(await successors(a)).toEqual([])
  expect((await controller.post(`/v1/parts/${a}/supersessions/${b}/ending`)).body.code).toBe('SupersessionNotInForce')
  expect((await add(b, a)).status).toBe(201)
})

test('supersession is kept by the stock controller or an administrator', async () => {
  const [a, b] = await parts(2)
  await add(a, b)
  const refused = [
    await keeper.post(`/v1/parts/${b}/supersessions`, { successor: a }),
    await keeper.post(`/v1/parts/${a}/supersessions/${b}/ending`)
  ]
  expect(refused.map(({ status, body }) => [status, body.code])).toEqual(refused.map(() => [403, 'DutyRequired']))
  expect((await add('NO-SUCH', b)).status).toBe(404)
  expect((await add(a, 'NO-SUCH')).body.code).toBe('PartUnknown')
})
