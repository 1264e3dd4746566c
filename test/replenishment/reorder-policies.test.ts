import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Duty } from '../../src/identity/actor.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { computeLevels } from '../../src/replenishment/compute-levels.ts'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let counter: Counter
let purchaser: Caller
beforeAll(async () => {
  h = await openHarness()
  counter = await openCounter(h)
  purchaser = await withDuty('purchaser', counter.warehouse)
})
afterAll(() => h.close())

const withDuty = async (duty: Duty, warehouse?: string): Promise<Caller> =>
  callerFor(h, await h.make.person({ grants: [{ duty, ...(warehouse !== undefined && { warehouse }) }] }))
const path = (part: string, warehouse = counter.warehouse) => `/v1/reorder/policies/${warehouse}/parts/${part}`
const fixed = { kind: 'fixed', minimum: '4', maximum: '10', reason: 'season', expiresOn: '2026-12-31' }
const partWith = async (columns: Record<string, unknown> = {}) => {
  const part = await h.make.part()
  for (const [column, value] of Object.entries(columns))
    await h.sql(`update part set ${column} = $2 where id = $1`, [part.id, value])
  return part
}
const levelOf = async (part: { id: number }) =>
  (
    await h.sql(
      `select trim_scale(reorder_point)::text as point, trim_scale(order_up_to)::text as "upTo", basis, lead_time_days as days, lead_time_from as "daysFrom",
              measure, trim_scale(level)::text as level, target_from as "levelFrom", trim_scale(pack_size)::text as pack
         from reorder_level where warehouse_id = $1 and part_id = $2`,
      [counter.warehouseId, part.id]
    )
  )[0]

test('a fixed policy is in force at once, and answers what it sets (R-ORD-1)', async () => {
  const { number } = await h.make.part()

  const { status, body } = await purchaser.put(path(number), fixed)

  expect({ status, body }).toEqual({
    status: 200,
    body: {
      warehouse: counter.warehouse,
      part: number,
      kind: 'fixed',
      state: 'in-force',
      minimum: '4',
      maximum: '10',
      target: null,
      leadTimeDays: null,
      packSize: null,
      reason: 'season',
      expiresOn: '2026-12-31',
      setBy: purchaser.person.username,
      setAt: '2026-11-20T02:00:00Z',
      level: { reorderPoint: '4', orderUpTo: '10', basis: 'fixed' }
    }
  })
  expect((await counter.keeper.get(path(number))).body).toEqual(body)
})

test('after the day of expiry the computed level is in force again, on that day not yet (R-ORD-1)', async () => {
  const part = await h.make.part()
  h.clock.set('2026-11-20T10:00')
  await purchaser.put(path(part.number), { ...fixed, expiresOn: '2026-11-25' })

  h.clock.set('2026-11-25T01:30')
  await computeLevels(h.contextOf(systemActor))
  expect(await levelOf(part)).toMatchObject({ point: '4', upTo: '10', basis: 'fixed' })

  h.clock.set('2026-11-26T01:30')
  await computeLevels(h.contextOf(systemActor))
  expect(await levelOf(part)).toMatchObject({ point: '0', upTo: '0', basis: 'computed' })
  expect((await purchaser.get(path(part.number))).body).toMatchObject({ state: 'expired' })
})

test('a policy sets target, lead time and pack size of its own; without it the part and its class do (R-ORD-1)', async () => {
  const part = await partWith({ criticality: 'A', lead_time_days: 45, pack_size: '10' })
  await purchaser.put(path(part.number), {
    kind: 'computed',
    target: { measure: 'fill-rate', level: '0.97' },
    leadTimeDays: 12,
    packSize: '5'
  })
  expect(await levelOf(part)).toMatchObject({
    days: 12,
    daysFrom: 'policy',
    measure: 'fill-rate',
    level: '0.97',
    levelFrom: 'policy',
    pack: '5'
  })

  const withdrawn = await purchaser.post(`${path(part.number)}/withdrawal`, { reason: 'as the others' })

  expect(withdrawn).toMatchObject({ status: 200, body: { kind: 'computed', leadTimeDays: 12 } })
  expect(await levelOf(part)).toMatchObject({
    days: 45,
    daysFrom: 'part',
    measure: 'cycle-service',
    level: '0.98',
    levelFrom: 'criticality',
    pack: '10'
  })
  expect(await purchaser.get(path(part.number))).toMatchObject({ status: 404 })
  expect(await purchaser.post(`${path(part.number)}/withdrawal`, { reason: 'again' })).toMatchObject({ status: 404 })
  const bare = await h.make.part()
  await purchaser.put(path(bare.number), { kind: 'computed', packSize: '2' })
  expect(await levelOf(bare)).toMatchObject({ days: 30, daysFrom: 'default', levelFrom: 'default' })
})

test('who sets and withdraws is on record', async () => {
  const { number } = await h.make.part()
  await purchaser.put(path(number), fixed)
  await purchaser.post(`${path(number)}/withdrawal`, { reason: 'season is over' })

  const events = await h.sql('select action, details from audit_event where subject = $1 order by id', [
    `reorder-policy:${counter.warehouse}/${number}`
  ])

  expect(events).toEqual([
    { action: 'reorder-policy.set', details: fixed },
    {
      action: 'reorder-policy.withdrawn',
      details: { reason: 'season is over', policy: expect.objectContaining({ minimum: '4', maximum: '10' }) }
    }
  ])
})

test.for([
  [
    'a minimum above the maximum',
    { ...fixed, minimum: '11' },
    'MaximumNotAboveMinimum',
    'the minimum 11 is above the maximum 10'
  ],
  [
    'a minimum equal to the maximum',
    { ...fixed, minimum: '10' },
    'MaximumNotAboveMinimum',
    'set the minimum one lower'
  ],
  ['no reason', { ...fixed, reason: undefined }, 'PolicyIncomplete', 'missing: reason'],
  ['no day of expiry', { ...fixed, expiresOn: undefined }, 'PolicyIncomplete', 'missing: expiresOn'],
  ['an expiry in the past', { ...fixed, expiresOn: '2026-11-19' }, 'ExpiryInThePast', '2026-11-19 is over'],
  [
    'a target beside minimum and maximum',
    { ...fixed, target: { measure: 'fill-rate', level: '0.9' } },
    'FieldMisplaced',
    'has no target'
  ],
  [
    'a minimum that is to be computed',
    { kind: 'computed', minimum: '4', leadTimeDays: 3 },
    'FieldMisplaced',
    'has no minimum'
  ],
  [
    'a lead time of 0',
    { kind: 'computed', leadTimeDays: 0 },
    'LeadTimeOutOfRange',
    'a lead time is 1 to 730 days, not 0'
  ],
  ['a lead time of 731 days', { kind: 'computed', leadTimeDays: 731 }, 'LeadTimeOutOfRange', '1 to 730'],
  [
    'a service level of 1',
    { kind: 'computed', target: { measure: 'cycle-service', level: '1' } },
    'ServiceLevelOutOfRange',
    '0.99 is a high target'
  ],
  [
    'a service level of 0',
    { kind: 'computed', target: { measure: 'fill-rate', level: '0' } },
    'ServiceLevelOutOfRange',
    'nothing is served'
  ],
  [
    '95 meant as percent',
    { kind: 'computed', target: { measure: 'fill-rate', level: '95' } },
    'ServiceLevelOutOfRange',
    'not at 95'
  ],
  ['nothing of its own', { kind: 'computed' }, 'PolicyEmpty', 'withdraw it'],
  ['packs that do not fit', { ...fixed, packSize: '4' }, 'MaximumNotInPacks', 'the nearest maximum is 8 or 12']
] as const)('%s is refused with what would be right (R-ERR-1)', async ([, body, code, words]) => {
  h.clock.set('2026-11-20T10:00')
  const part = await h.make.part()

  const answer = await purchaser.put(path(part.number), body)

  expect(answer).toMatchObject({ status: 422, body: { code } })
  expect(answer.body.detail).toContain(words)
  expect(await levelOf(part)).toBeUndefined()
})

test('the pack of the part holds for a fixed policy that names none', async () => {
  const part = await partWith({ pack_size: '2.5' })
  expect(await purchaser.put(path(part.number), { ...fixed, minimum: '1', maximum: '3' })).toMatchObject({
    status: 422,
    body: { code: 'MaximumNotInPacks', errors: [{ pointer: '/maximum', accepted: ['3.5'] }] }
  })
  expect(await purchaser.put(path(part.number), { ...fixed, minimum: '1', maximum: '6' })).toMatchObject({
    status: 200
  })
})

test('nothing may be kept: a minimum and maximum of 0', async () => {
  const { number } = await h.make.part()
  expect(await purchaser.put(path(number), { ...fixed, minimum: '0', maximum: '0' })).toMatchObject({
    status: 200,
    body: { level: { reorderPoint: '0', orderUpTo: '0', basis: 'fixed' } }
  })
})

test('parts that are unknown, no longer bought or replaced get no policy; the successor is named (R-CAT-4)', async () => {
  const [old, next] = [await h.make.part(), await h.make.part()]
  await h.sql(
    `insert into supersession (part_id, successor_id, factor, both_ways, valid_from) values ($1, $2, 1, false, '2026-01-01')`,
    [old.id, next.id]
  )
  expect(await purchaser.put(path('NONE'), fixed)).toMatchObject({ status: 404 })
  expect(await purchaser.put(path(old.number), fixed)).toMatchObject({
    status: 422,
    body: { code: 'PartSuperseded', replacedBy: next.number }
  })
  expect(await purchaser.put(path((await h.make.part({ active: false })).number), fixed)).toMatchObject({
    status: 422,
    body: { code: 'PartInactive' }
  })
})

test('nothing is set in a warehouse that is closed', async () => {
  const closed = await h.make.warehouse({ closedOn: '2026-01-01' })
  const theirs = await withDuty('purchaser', closed.code)
  expect(await theirs.put(path((await h.make.part()).number, closed.code), fixed)).toMatchObject({
    status: 409,
    body: { code: 'WarehouseClosed' }
  })
})

test('stock controllers, purchasers and operations supervisors of the warehouse may, nobody else and nobody from elsewhere', async () => {
  const { number } = await h.make.part()
  const other = await openCounter(h)
  for (const caller of [
    await withDuty('stock-controller'),
    await withDuty('purchaser', counter.warehouse),
    counter.signers['operations-supervisor']
  ])
    expect((await caller.put(path(number), fixed)).status).toBe(200)
  for (const caller of [counter.keeper, counter.signers['finance-supervisor']]) {
    expect(await caller.put(path(number), fixed)).toMatchObject({ status: 403, body: { code: 'DutyRequired' } })
    expect(await caller.post(`${path(number)}/withdrawal`, { reason: 'x' })).toMatchObject({ status: 403 })
  }
  const foreign = await withDuty('purchaser', other.warehouse)
  expect(await foreign.put(path(number), fixed)).toMatchObject({ status: 404 })
  expect(await foreign.post(`${path(number)}/withdrawal`, { reason: 'x' })).toMatchObject({ status: 404 })
  expect(await foreign.get(path(number))).toMatchObject({ status: 404 })
})

test('policies are listed by warehouse and part, in pages and as a file, and only of warehouses one sees', async () => {
  const own = await openCounter(h)
  const theirs = await withDuty('purchaser', own.warehouse)
  const parts = [await h.make.part(), await h.make.part(), await h.make.part()].map(({ number }) => number).toSorted()
  for (const part of parts) await theirs.put(path(part, own.warehouse), fixed)

  const first = await theirs.get('/v1/reorder/policies?limit=2')
  const second = await theirs.get(`/v1/reorder/policies?limit=2&cursor=${first.body.nextCursor}`)
  expect([...first.body.items, ...second.body.items].map(({ part }) => part)).toEqual(parts)
  expect(second.body.nextCursor).toBeNull()
  expect((await theirs.get(`/v1/reorder/policies?part=${parts[1]}`)).body.items).toHaveLength(1)
  expect(await theirs.get(`/v1/reorder/policies?warehouse=${counter.warehouse}`)).toMatchObject({ status: 404 })
  const { text } = await theirs.get(`/v1/reorder/policies?warehouse=${own.warehouse}`, { accept: 'text/csv' })
  expect(text.trim().split('\n')).toHaveLength(4)
  expect(text).toContain(`${own.warehouse},${parts[0]},fixed,in-force,4,10`)
})

test('two who set the policy of a position at once leave one of the two, and its level (R-ORD-1)', async () => {
  const part = await h.make.part()
  const set = (maximum: string) => purchaser.put(path(part.number), { ...fixed, maximum })

  const answers = await Promise.all(['11', '12', '13', '14'].map(set))

  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  const { body } = await purchaser.get(path(part.number))
  expect(await levelOf(part)).toMatchObject({ upTo: body.maximum })
})

test('the target of a class is set by head office and holds for its parts from the next computation on', async () => {
  const part = await partWith({ criticality: 'C' })
  await counter.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '1', unitCost: '1' }] })
  const controller = await withDuty('stock-controller')
  const target = '/v1/reorder/service-targets/C'

  expect(await controller.put(target, { measure: 'fill-rate', level: '0.91' })).toMatchObject({
    status: 200,
    body: { criticality: 'C', measure: 'fill-rate', level: '0.91' }
  })
  await computeLevels(h.contextOf(systemActor))

  expect(await levelOf(part)).toMatchObject({ measure: 'fill-rate', level: '0.91', levelFrom: 'criticality' })
  expect((await purchaser.get('/v1/reorder/service-targets')).body.items).toEqual([
    { criticality: '*', measure: 'cycle-service', level: '0.95' },
    { criticality: 'A', measure: 'cycle-service', level: '0.98' },
    { criticality: 'B', measure: 'cycle-service', level: '0.95' },
    { criticality: 'C', measure: 'fill-rate', level: '0.91' }
  ])
  expect(await controller.put(target, { measure: 'fill-rate', level: '1' })).toMatchObject({
    status: 422,
    body: { code: 'ServiceLevelOutOfRange' }
  })
  const local = await withDuty('stock-controller', counter.warehouse)
  expect(await local.put(target, { measure: 'fill-rate', level: '0.9' })).toMatchObject({ status: 403 })
})
