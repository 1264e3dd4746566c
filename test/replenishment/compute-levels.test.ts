import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { systemActor } from '../../src/identity/directory.ts'
import { computeLevels } from '../../src/replenishment/compute-levels.ts'
import { levelOf } from '../../src/replenishment/reorder-level.ts'
import { computeReorderLevels } from '../../src/replenishment/reorder.jobs.ts'
import { callerFor, openCounter, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'

let h: Harness
let counter: Counter
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())
beforeEach(async () => {
  h.clock.set('2026-11-20T10:00')
  counter = await openCounter(h)
})

const compute = (options: Parameters<typeof computeLevels>[1] = {}) => computeLevels(h.contextOf(systemActor), options)
const levelAt = async (part: { id: number }, warehouseId = counter.warehouseId) =>
  (
    await h.sql<Record<string, any>>(
      `select trim_scale(reorder_point)::text as point, trim_scale(order_up_to)::text as "upTo", basis, nothing_because as nothing,
              trim_scale(computed_reorder_point)::text as "computedPoint", demand_class as class, method, monthly_mean as mean, achieved, lead_time_days as days,
              to_char(series_from, 'YYYY-MM') as "from", to_char(series_until, 'YYYY-MM') as until, digest::text as digest
         from reorder_level where warehouse_id = $1 and part_id = $2`,
      [warehouseId, part.id]
    )
  )[0]
const issued = (part: { number: string }, quantity: string, more: object = {}) =>
  counter.posted({ kind: 'issue', lines: [{ part: part.number, quantity }], ...more })
const everyLevel = () => h.sql('select l.*, l.xmin::text from reorder_level l order by warehouse_id, part_id')

/** A part that was asked for month by month; the clock stands in the month after the last. */
async function askedFor(series: readonly number[], from = '2025-01-10T10:00') {
  h.clock.set(from)
  const part = await counter.stocked({ quantity: '500' })
  for (const [place, quantity] of series.entries()) {
    if (place > 0) h.clock.advance({ months: 1 })
    if (quantity > 0) await issued(part, String(quantity))
  }
  h.clock.advance({ months: 1 })
  return part
}

test('the level of a position is that of its series, lead time, pack and target (R-ORD-1)', async () => {
  const series = [0, 3, 0, 0, 1, 0, 4, 0, 0, 2, 0, 1]
  const part = await askedFor(series)
  await h.sql(`update part set criticality = 'A', lead_time_days = 20, pack_size = 5 where id = $1`, [part.id])

  await compute({ full: true })

  const expected = levelOf(series, {
    leadTimeDays: 20,
    packSize: '5',
    target: { measure: 'cycle-service', level: 0.98 }
  })
  expect(await levelAt(part)).toMatchObject({
    point: expected.reorderPoint,
    upTo: expected.orderUpTo,
    computedPoint: expected.reorderPoint,
    basis: 'computed',
    nothing: null,
    class: expected.demandClass,
    method: expected.method,
    mean: expected.monthlyMean,
    achieved: expected.achieved,
    days: 20,
    from: '2025-01',
    until: '2026-01'
  })
  expect(Number(expected.reorderPoint)).toBeGreaterThan(0)
})

test('the month that is not over is no part of the series', async () => {
  const part = await askedFor([1, 1, 1, 1, 1, 1])
  await issued(part, '90')
  await compute({ full: true })
  expect(await levelAt(part)).toMatchObject({ mean: 1, until: '2025-07' })
})

test('a series is looked at for five years at most', async () => {
  const part = await askedFor([40], '2020-03-10T10:00')
  h.clock.set('2025-08-10T10:00')
  await compute({ full: true })
  expect(await levelAt(part)).toMatchObject({ class: 'none', point: '0', upTo: '0', from: '2020-08', until: '2025-08' })
})

test('the demand of a replaced part is kept at its successor, also where that was never in stock; the part itself gets 0 up to 0 (R-CAT-4)', async () => {
  const series = [2, 3, 2, 4, 2, 3, 2, 3]
  const old = await askedFor(series)
  const next = await h.make.part()
  await h.sql(
    `insert into supersession (part_id, successor_id, factor, both_ways, valid_from) values ($1, $2, 2, false, '2025-06-01')`,
    [old.id, next.id]
  )

  await compute({ full: true })

  const expected = levelOf(
    series.map((quantity) => quantity * 2),
    { leadTimeDays: 30, packSize: null, target: { measure: 'cycle-service', level: 0.95 } }
  )
  expect(await levelAt(next)).toMatchObject({ point: expected.reorderPoint, upTo: expected.orderUpTo, nothing: null })
  expect(await levelAt(old)).toMatchObject({ point: '0', upTo: '0', nothing: 'superseded', computedPoint: null })

  // The supersession ends: each has its own again.
  await h.sql('delete from supersession where part_id = $1', [old.id])
  await compute()
  expect(await levelAt(next)).toMatchObject({ point: '0', upTo: '0', class: 'none', from: null })
  expect(Number((await levelAt(old))?.['point'])).toBeGreaterThan(0)
})

test('nothing is kept of a part that is no longer bought, nor in a warehouse that is closed', async () => {
  const part = await askedFor([2, 3, 2, 4, 2, 3])
  await h.sql('update part set active = false where id = $1', [part.id])
  await compute()
  expect(await levelAt(part)).toMatchObject({ point: '0', upTo: '0', nothing: 'inactive' })
  await h.sql('update part set active = true where id = $1', [part.id])
  await h.sql('update warehouse set closed_on = $2 where id = $1', [counter.warehouseId, h.clock.today()])
  await compute()
  expect(await levelAt(part)).toMatchObject({ point: '0', upTo: '0', nothing: 'warehouse-closed' })
})

test('a second run changes nothing, and neither does one that computes everything anew but for the time (R-ALR-2)', async () => {
  await askedFor([2, 3, 2, 4, 2, 3])
  await compute({ full: true })
  const before = await everyLevel()
  await relayed(h, { only: [] })

  expect(await compute()).toMatchObject({ written: 0, failed: 0, demand: { written: 0, removed: 0 } })
  expect(await everyLevel()).toEqual(before)
  expect(await h.sql(`select event from outbox where event = 'reorder-levels.computed'`)).toEqual([])

  const again = await compute({ full: true })
  expect(again.written).toBe(before.length)
  const plain = (rows: Record<string, unknown>[]) => rows.map(({ xmin: _xmin, computed_at: _at, ...row }) => row)
  expect(plain(await everyLevel())).toEqual(plain(before))
})

test('after a quiet day only what changed is computed, and that levels were is published', async () => {
  const [one, other] = [await askedFor([2, 3, 2, 4, 2, 3]), await counter.stocked({ quantity: '90' })]
  await compute({ full: true })
  const before = await levelAt(other)
  await relayed(h, { only: [] })
  await issued(one, '30', { occurredOn: h.clock.today().slice(0, 8) + '01' })
  // Of the month that is not over: nothing changes yet.
  expect(await compute()).toMatchObject({ written: 0 })
  h.clock.advance({ months: 1 })
  await compute()
  const afterMonth = await levelAt(other)
  await h.sql('update part set lead_time_days = 90 where id = $1', [one.id])

  expect(await compute()).toMatchObject({ written: 1 })

  expect(await levelAt(one)).toMatchObject({ days: 90 })
  expect(await levelAt(other)).toEqual(afterMonth)
  expect(before?.['until']).not.toBe(afterMonth?.['until'])
  expect((await h.sql(`select 1 from outbox where event = 'reorder-levels.computed'`)).length).toBeGreaterThan(0)
})

test('a run that is killed in the middle is finished by the next, which computes only what is left', async () => {
  const part = await askedFor([2, 3, 2, 4, 2, 3])
  const many = await openCounter(h)
  await h.sql(
    `with made as (insert into part (number, name) select 'KILLED-' || i, 'part ' || i from generate_series(1, 5000) as i returning id, number)
     insert into balance (warehouse_id, part_id, ownership, condition, part_number) select $1, id, 'own', 'qualified', number from made`,
    [many.warehouseId]
  )
  await h.sql(`update reorder_level set digest = null where warehouse_id = $1`, [counter.warehouseId])
  let seen = 0
  const killed = compute({
    progress: async (done) => {
      seen = done
      if (done > 2_000) throw new Error('killed')
    }
  })
  await expect(killed).rejects.toThrow('killed')
  const written = async () =>
    Number(
      (
        await h.sql<{ n: string }>('select count(*) as n from reorder_level where warehouse_id = $1', [
          many.warehouseId
        ])
      )[0]?.n
    )
  const done = await written()
  expect(done).toBeGreaterThan(0)
  expect(done).toBeLessThan(5000)
  expect(seen).toBeGreaterThan(2_000)

  const { written: rest } = await compute()

  expect(await written()).toBe(5000)
  expect(rest).toBeLessThan(5000)
  expect(await levelAt(part)).toBeDefined()
  await h.sql('delete from balance where warehouse_id = $1', [many.warehouseId])
  await h.sql('delete from reorder_level where warehouse_id = $1', [many.warehouseId])
})

test('two runs at once write each level once, the same', async () => {
  const part = await askedFor([2, 3, 2, 4, 2, 3])
  await Promise.all([compute(), compute(), compute({ full: true })])
  const level = await levelAt(part)
  expect(await compute()).toMatchObject({ written: 0 })
  expect(await levelAt(part)).toEqual(level)
})

test('a policy that is set while the night reads and writes is not overwritten (R-ORD-1)', async () => {
  const part = await askedFor([2, 3, 2, 4, 2, 3])
  await compute()
  await h.sql('update part set lead_time_days = 60 where id = $1', [part.id])
  const purchaser = callerFor(h, await h.make.person({ grants: [{ duty: 'purchaser', warehouse: counter.warehouse }] }))
  let isSet = false
  // Between the reading and the writing of the night.
  const query = h.runtime.database.pool.query.bind(h.runtime.database.pool)
  const spy = vi.spyOn(h.runtime.database.pool, 'query').mockImplementation((async (...args: any[]) => {
    if (!isSet && String(args[0]).includes('insert into reorder_level')) {
      isSet = true
      await purchaser.put(`/v1/reorder/policies/${counter.warehouse}/parts/${part.number}`, {
        kind: 'fixed',
        minimum: '50',
        maximum: '60',
        reason: 'season',
        expiresOn: '2030-12-31'
      })
    }
    return (query as any)(...args)
  }) as never)

  await compute()
  spy.mockRestore()

  expect(isSet).toBe(true)
  expect(await levelAt(part)).toMatchObject({ point: '50', upTo: '60', basis: 'fixed' })
})

test('a position that cannot be computed is counted and logged, and stops no other', async () => {
  const [bad, good] = [await askedFor([2, 3, 2, 4, 2, 3]), await counter.stocked()]
  // Past every rule: a pack of no size.
  await h.sql(
    `insert into reorder_policy (warehouse_id, part_id, kind, lead_time_days, pack_size, set_by, set_at) values ($1, $2, 'computed', 30, 'NaN', 0, now())`,
    [counter.warehouseId, bad.id]
  )

  const { failed } = await compute()

  expect(failed).toBe(1)
  expect(await levelAt(good)).toBeDefined()
  await h.sql('delete from reorder_policy where part_id = $1', [bad.id])
})

test('nor does one whose level is larger than any quantity: a barcode that was typed as a pack size', async () => {
  const [bad, good] = [await askedFor([2, 3, 2, 4, 2, 3]), await counter.stocked()]
  await h.sql('update part set pack_size = 999999999999 where id = $1', [bad.id])

  const { failed } = await compute({ full: true })

  expect(failed).toBe(1)
  expect(await levelAt(good)).toBeDefined()
  await h.sql('update part set pack_size = null where id = $1', [bad.id])
})

test('whoever controls the stock everywhere has levels computed at once, and sees how far it is', async () => {
  const part = await askedFor([2, 3, 2, 4, 2, 3])
  const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))

  const asked = await controller.post('/v1/reorder/computations', { full: true })
  expect(asked).toMatchObject({ status: 202, headers: { location: `/v1/jobs/${asked.body.job}` } })
  expect(await relayed(h, { only: [] })).toContain('replenishment.compute-levels')

  expect(await levelAt(part)).toBeDefined()
  const { body } = await controller.get(`/v1/jobs/${asked.body.job}`)
  expect(body).toMatchObject({ state: 'done' })
  const local = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'stock-controller', warehouse: counter.warehouse }] })
  )
  expect(await local.post('/v1/reorder/computations', {})).toMatchObject({
    status: 403,
    body: { code: 'DutyRequired' }
  })
  expect(await counter.keeper.post('/v1/reorder/computations', {})).toMatchObject({ status: 403 })
})

test('the job of the night takes no payload, tells its progress by balances, and a second one changes nothing', async () => {
  await askedFor([2, 3, 2, 4, 2, 3])
  await runJob(h, computeReorderLevels)
  const before = await everyLevel()

  expect(await runJob(h, computeReorderLevels)).toMatchObject({ written: 0 })

  expect(await everyLevel()).toEqual(before)
  const [run] = await h.sql<{ done: string; total: string }>(
    `select done, total from job_run where name = 'replenishment.compute-levels' order by id desc limit 1`
  )
  const [{ balances }] = await h.sql<{ balances: string }>('select count(*) as balances from balance')
  expect(run).toEqual({ done: balances, total: balances })
})
