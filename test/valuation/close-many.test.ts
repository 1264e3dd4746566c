import { pino } from 'pino'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { directoryOf, systemActor } from '../../src/identity/directory.ts'
import { openContext } from '../../src/platform/context.ts'
import { migrateQueue, openQueue, type JobQueue } from '../../src/platform/queue.ts'
import { buildApp } from '../../src/app.ts'
import { continueClosingRun, resumeClosingRuns, startClosingRun } from '../../src/valuation/close-many.ts'
import { closePeriods, resumeClosings } from '../../src/valuation/valuation.jobs.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { runJob } from '../support/relay.ts'
import { startWorker } from '../../src/worker.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type Kernel } from '../support/kernel.ts'
import type { MadePerson } from '../support/make.ts'
import { approvedCount } from '../support/month-end.ts'
import { redisDatabase } from '../support/redis.ts'

let h: Harness
let finance: Caller
const log = pino({ level: 'silent' })
const PERIOD = '2026-10'

beforeAll(async () => {
  h = await openHarness({ poolSize: 16 })
  finance = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
})
afterAll(() => h.close())
beforeEach(() => h.clock.set('2026-11-20T10:00'))

/** What a job is given: the service itself, nobody's duties. */
const worker = () => openContext(h.runtime, systemActor, log)

/** What the verbs do when they change a person. */
const forgetPeople = () => directoryOf(worker().em).evict()

/** A region with warehouses that hold something; those with a count can be closed. */
async function region(counted: number, uncounted = 0): Promise<{ code: string; warehouses: Kernel['warehouse'][] }> {
  const { code, id } = await h.make.region()
  const warehouses: Kernel['warehouse'][] = []
  for (let place = 0; place < counted + uncounted; place++) {
    const k = await kernel(h)
    await h.sql('update warehouse set region_id = $2 where id = $1', [k.warehouse.id, id])
    await k.receive(await k.shelf(), '5', '10.0000', { on: '2026-10-05', receivedOn: '2026-06-01' })
    if (place < counted) await approvedCount(h, k.warehouse.id, PERIOD)
    warehouses.push(k.warehouse)
  }
  return { code, warehouses }
}

const start = async (code: string, by = finance) => {
  const { status, body } = await by.post('/v1/period-closings', { period: PERIOD, region: code })
  expect({ status, body }).toMatchObject({ status: 202 })
  return body as { id: string; total: number }
}
const progress = async (id: string, query = '') => (await finance.get(`/v1/period-closings/${id}${query}`)).body

const closedOf = (warehouses: { id: number }[]) =>
  h.sql<{ warehouse_id: number; closed_by: number; sha256: string }>(
    'select warehouse_id, closed_by, sha256 from period_statement where warehouse_id = any ($1) order by warehouse_id',
    [warehouses.map(({ id }) => id)]
  )

describe('closing a month in many warehouses', () => {
  test('closes what can be closed, in the name of whoever asked, and lists the rest with what is missing', async () => {
    const { code, warehouses } = await region(5, 3)
    const standing = await h.make.warehouse({ region: code })
    await h.make.warehouse({ region: code, closedOn: '2026-09-15' })
    const { id, total } = await start(code)
    expect(total).toBe(9)
    expect(await progress(id)).toMatchObject({ state: 'queued', total: 9, pending: 9, startedAt: null, warehouses: [] })

    h.clock.advance({ minutes: 1 })
    const settled: string[] = []
    const done = await continueClosingRun(worker(), { run: id, onSettled: (state) => settled.push(state) })

    expect(done).toEqual({ settled: 9 })
    expect(settled.toSorted()).toEqual([...Array<string>(6).fill('closed'), 'refused', 'refused', 'refused'])
    const view = await progress(id)
    expect(view).toEqual({
      id,
      period: PERIOD,
      region: code,
      state: 'done',
      requestedBy: finance.person.username,
      requestedAt: '2026-11-20T02:00:00Z',
      startedAt: '2026-11-20T02:01:00Z',
      finishedAt: '2026-11-20T02:01:00Z',
      total: 9,
      pending: 0,
      closed: 6,
      alreadyClosed: 0,
      refused: 3,
      failed: 0,
      nextCursor: null,
      warehouses: warehouses
        .slice(5)
        .map(({ code: warehouse }) => warehouse)
        .toSorted()
        .map((warehouse) => ({
          warehouse,
          name: warehouse,
          nameZh: null,
          state: 'refused',
          settledAt: '2026-11-20T02:01:00Z',
          missing: [
            {
              kind: 'count-not-approved',
              detail: `the month-end count of ${PERIOD} is not opened; open it with {"kind": "month-end", "period": "${PERIOD}"}`,
              documents: []
            }
          ]
        }))
    })
    const closed = await closedOf([...warehouses, standing])
    expect(closed.map(({ warehouse_id }) => warehouse_id)).toEqual(
      [...warehouses.slice(0, 5), standing].map(({ id: warehouse }) => warehouse)
    )
    expect(new Set(closed.map(({ closed_by }) => closed_by))).toEqual(new Set([finance.person.id]))

    // A page at a time.
    const first = await progress(id, '?limit=2')
    expect(first.warehouses).toEqual(view.warehouses.slice(0, 2))
    expect((await progress(id, `?limit=2&cursor=${first.nextCursor}`)).warehouses).toEqual(view.warehouses.slice(2))
  })

  test('a second turn of a run changes nothing; a second run finds what is closed, and closes what has become closable', async () => {
    const { code, warehouses } = await region(3, 1)
    const first = await start(code)
    await continueClosingRun(worker(), { run: first.id })
    const closed = await closedOf(warehouses)
    const view = await progress(first.id)

    expect(await continueClosingRun(worker(), { run: first.id })).toEqual({ settled: 0 })
    expect(await continueClosingRun(worker(), { run: '999999' })).toEqual({ settled: 0 })
    expect(await progress(first.id)).toEqual(view)

    await approvedCount(h, warehouses[3]?.id ?? 0, PERIOD)
    const second = await start(code)
    await continueClosingRun(worker(), { run: second.id })
    expect(await progress(second.id)).toMatchObject({
      state: 'done',
      total: 4,
      closed: 1,
      alreadyClosed: 3,
      refused: 0
    })
    expect((await closedOf(warehouses)).slice(0, 3)).toEqual(closed)
    const { items } = (await finance.get(`/v1/period-closings?period=${PERIOD}&limit=2`)).body
    expect(items.map((item: { id: string }) => item.id)).toEqual([second.id, first.id])
  })

  test('workers share a run: every warehouse is closed once', async () => {
    const { code, warehouses } = await region(12, 2)
    const { id } = await start(code)

    const shares = await Promise.all([1, 2, 3].map(() => continueClosingRun(worker(), { run: id })))

    expect(shares.reduce((sum, { settled }) => sum + settled, 0)).toBe(14)
    expect(await progress(id)).toMatchObject({ state: 'done', closed: 12, refused: 2, failed: 0, alreadyClosed: 0 })
    expect(await closedOf(warehouses)).toHaveLength(12)
  })

  test('goes on after a crash with what is pending, found by the schedule', async () => {
    const { code, warehouses } = await region(4)
    const { id } = await start(code)
    // The worker died with two warehouses closed.
    await h.sql(
      `update closing_run_warehouse set state = 'closed', settled_at = $3 where run_id = $1 and warehouse_id = any ($2)`,
      [id, warehouses.slice(0, 2).map((warehouse) => warehouse.id), h.clock.now().toString()]
    )

    expect(await resumeClosingRuns(worker())).toEqual({ runs: [], settled: 0 })
    h.clock.advance({ seconds: 61 })
    expect(await resumeClosingRuns(worker())).toEqual({ runs: [id], settled: 2 })
    expect(await resumeClosingRuns(worker())).toEqual({ runs: [], settled: 0 })
    expect(await progress(id)).toMatchObject({ state: 'done', closed: 4, pending: 0 })
    expect(await closedOf(warehouses)).toHaveLength(2)
  })

  test('what fails unforeseen is logged and listed, leaves nothing behind and holds up nobody', async () => {
    const { code, warehouses } = await region(3)
    const broken = warehouses[1]
    await h.sql(
      `create function break_down() returns trigger language plpgsql as $$ begin raise exception 'disk on fire'; end $$`
    )
    await h.sql(
      `create trigger break_down before insert on period_statement for each row when (new.warehouse_id = ${broken?.id}) execute function break_down()`
    )
    const logged: string[] = []
    const watched = pino({ level: 'error' }, { write: (line: string) => void logged.push(line) })
    const { id } = await start(code)

    await continueClosingRun(openContext(h.runtime, systemActor, watched), { run: id })
    await h.sql('drop trigger break_down on period_statement')

    expect(await progress(id)).toMatchObject({
      state: 'done',
      closed: 2,
      failed: 1,
      warehouses: [{ warehouse: broken?.code, state: 'failed', missing: [{ kind: 'failed' }] }]
    })
    expect(JSON.stringify(await progress(id))).not.toContain('disk on fire')
    expect(logged.join()).toContain('disk on fire')
    expect(await h.sql('select 1 from depreciation_line where warehouse_id = $1', [broken?.id])).toEqual([])
    const again = await start(code)
    await continueClosingRun(worker(), { run: again.id })
    expect(await progress(again.id)).toMatchObject({ closed: 1, alreadyClosed: 2 })
  })

  test('one run at a time for a month and region; another month or region may run beside it', async () => {
    const { code } = await region(1)
    const other = await region(1)
    const { id } = await start(code)

    expect(await finance.post('/v1/period-closings', { period: PERIOD, region: code })).toMatchObject({
      status: 409,
      body: { code: 'ClosingRunUnderWay', run: id }
    })
    const beside = await start(other.code)
    const many = await Promise.all(
      Array.from({ length: 5 }, () => finance.post('/v1/period-closings', { period: '2026-08', region: code }))
    )
    expect(many.map(({ status }) => status).sort()).toEqual([202, 409, 409, 409, 409])
    for (const run of [id, beside.id, many.find(({ status }) => status === 202)?.body.id])
      await continueClosingRun(worker(), { run })
    await continueClosingRun(worker(), { run: (await start(code)).id })
  })
})

describe('who may close many', () => {
  const inRegion = (code: string) => h.make.person({ grants: [{ duty: 'hq-finance', region: code }] })

  test('finance of the head office, everywhere or in its region; nobody else', async () => {
    const { code } = await region(1)
    const other = await h.make.region()
    const regional = callerFor(h, await inRegion(code))
    const { id } = await start(code, regional)
    expect((await regional.get(`/v1/period-closings/${id}`)).body).toMatchObject({ id, total: 1 })
    expect((await regional.post('/v1/period-closings', { period: PERIOD })).body.code).toBe('DutyRequired')
    expect((await regional.post('/v1/period-closings', { period: PERIOD, region: other.code })).body.code).toBe(
      'DutyRequired'
    )
    expect((await finance.post('/v1/period-closings', { period: PERIOD, region: 'NOWHERE' })).status).toBe(404)

    for (const duty of ['finance-supervisor', 'stock-controller', 'administrator', 'keeper'] as const) {
      const caller = callerFor(h, await h.make.person({ grants: [{ duty }] }))
      expect((await caller.post('/v1/period-closings', { period: PERIOD, region: code })).body.code).toBe(
        'DutyRequired'
      )
      expect((await caller.get(`/v1/period-closings/${id}`)).status).toBe(404)
      expect((await caller.get('/v1/period-closings')).body).toEqual({ items: [], nextCursor: null })
    }
    const elsewhere = callerFor(h, await inRegion(other.code))
    expect((await elsewhere.get(`/v1/period-closings/${id}`)).status).toBe(404)
    await continueClosingRun(worker(), { run: id })
  })

  test('somebody who lost the duty meanwhile closes nothing, and that is what is listed', async () => {
    const { code, warehouses } = await region(2)
    const person: MadePerson = await inRegion(code)
    const { id } = await start(code, callerFor(h, person))
    h.clock.advance({ days: 1 })
    await h.sql(`update duty_assignment set valid_to = '2026-11-20' where person_id = $1`, [person.id])
    forgetPeople()

    await continueClosingRun(worker(), { run: id })

    const view = await progress(id)
    expect(view).toMatchObject({ state: 'done', closed: 0, refused: 2 })
    expect(view.warehouses[0].missing).toEqual([
      {
        kind: 'duty-required',
        detail: `${person.username}, who asked for this, holds neither finance-supervisor nor hq-finance there any more`,
        documents: []
      }
    ])
    expect(await closedOf(warehouses)).toEqual([])
  })

  test('somebody who was locked out closes nothing', async () => {
    const { code } = await region(1)
    const person = await inRegion(code)
    const { id } = await start(code, callerFor(h, person))
    await h.sql('update person set active = false where id = $1', [person.id])
    forgetPeople()

    await continueClosingRun(worker(), { run: id })

    expect(await progress(id)).toMatchObject({ state: 'done', refused: 1, closed: 0 })
  })

  test('a month that is not over starts no run', async () => {
    const { code } = await h.make.region()
    expect((await finance.post('/v1/period-closings', { period: '2026-11', region: code })).body).toMatchObject({
      status: 409,
      code: 'PeriodNotClosable'
    })
    expect((await finance.post('/v1/period-closings', { period: '1999-12', region: code })).body.code).toBe(
      'PeriodTooEarly'
    )
    expect((await finance.post('/v1/period-closings', { period: '2026-1' })).status).toBe(400)
    await expect(startClosingRun(worker(), { period: PERIOD })).rejects.toMatchObject({ code: 'DutyRequired' })
  })
})

const redisUrl = redisDatabase(3)

describe.for([
  { backend: 'postgresql' as const, isHere: true },
  { backend: 'redis' as const, isHere: redisUrl !== null }
])('through the queue in $backend', ({ backend, isHere }) => {
  let queue: JobQueue
  beforeEach(async () => {
    if (!isHere) return
    if (backend === 'postgresql') await migrateQueue(h.runtime.database)
    else {
      const redis = new Redis(redisUrl ?? '')
      await redis.flushdb()
      redis.disconnect()
    }
    queue = openQueue({
      config: {
        BUSINESS_TIME_ZONE: 'Asia/Shanghai',
        ...(backend === 'redis' && redisUrl !== null && { REDIS_URL: redisUrl })
      },
      databaseUrl: h.databaseUrl,
      log
    })
  })
  afterEach(async () => {
    if (isHere) await queue.close()
  })

  test.runIf(isHere)(
    'a run that is asked for over HTTP is worked off; a second job for it changes nothing',
    async () => {
      const { code, warehouses } = await region(3, 1)
      const runtime = { ...h.runtime, queue }
      await using closing = new AsyncDisposableStack()
      await startWorker({ runtime, log, isEmbedded: false }, closing)
      const app = await buildApp(runtime, { logger: pino({ level: 'silent' }) })
      try {
        const answer = await app.inject({
          method: 'POST',
          url: '/v1/period-closings',
          headers: { authorization: `Bearer ${finance.person.token}`, 'idempotency-key': `close ${code}` },
          payload: { period: PERIOD, region: code }
        })
        expect(answer.statusCode).toBe(202)
        const { id } = answer.json<{ id: string }>()
        expect(answer.headers['location']).toBe(`/v1/period-closings/${id}`)

        await expect.poll(async () => (await progress(id)).state, { timeout: 20_000 }).toBe('done')
        const view = await progress(id)
        expect(view).toMatchObject({ closed: 3, refused: 1 })
        const closed = await closedOf(warehouses)
        await queue.enqueue(closePeriods, { run: id })
        await new Promise((resolve) => setTimeout(resolve, 500))
        expect(await closedOf(warehouses)).toEqual(closed)
        expect(await progress(id)).toEqual(view)
      } finally {
        await app.close()
      }
    }
  )
})

test('with the queue away the run is written all the same, and the schedule takes it (R-ALR-2)', async () => {
  const { code } = await region(1)
  const { status, body } = await finance.post('/v1/period-closings', { period: PERIOD, region: code })
  expect(status).toBe(202)
  h.clock.advance({ minutes: 2 })
  expect(await runJob(h, resumeClosings)).toEqual({ runs: [body.id], settled: 1 })
  expect(await progress(body.id)).toMatchObject({ state: 'done', closed: 1 })
})
