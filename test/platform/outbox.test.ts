import { Type } from 'typebox'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemActor } from '../../src/identity/directory.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { run, statement } from '../../src/platform/database.ts'
import {
  claimOutbox,
  defineConsumer,
  dispatch,
  dispatchOutbox,
  publish,
  releaseOutbox,
  startRequestedJobs,
  type Consumer,
  type OutboxEvent
} from '../../src/platform/outbox.ts'
import { requestJob, requeueRun } from '../../src/platform/job-runs.ts'
import { defineJob } from '../../src/platform/queue.ts'
import { openCounter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
  await h.sql('create table effect (id bigint generated always as identity, subject text, event text, place int)')
})
afterAll(() => h.close())
beforeEach(() => h.sql('truncate outbox, effect'))

const ctx = () => h.contextOf(systemActor)
const WRITE = statement<never>(
  `insert into effect (subject, event, place) select * from unnest($1::text[], $2::text[], $3::int[])`
)
/** Writes down what it is given, in its order. */
const writer = (events = ['shelf.moved']): Consumer =>
  defineConsumer({
    name: 'test.writer',
    events,
    handle: async (inner, given) => {
      await run(inner, WRITE, [
        given.map(({ subject }) => subject),
        given.map(({ event }) => event),
        given.map(({ payload }) => payload['place'] as number)
      ])
    }
  })
const moved = (subject: string, place: number) => ({ subject, event: 'shelf.moved', payload: { place } })
const effects = async () =>
  (await h.sql<{ subject: string; place: number }>('select subject, place from effect order by id')).map(
    ({ subject, place }) => `${subject}:${place}`
  )
const waiting = async () => (await h.sql<{ count: number }>('select count(*)::int as count from outbox'))[0]?.count

test('an event is there if and only if its deed is', async () => {
  await expect(
    inTransaction(ctx(), async (inner) => {
      await publish(inner, [moved('a', 1)])
      throw new Error('undone')
    })
  ).rejects.toThrow('undone')
  expect(await waiting()).toBe(0)

  await inTransaction(ctx(), (inner) => publish(inner, [moved('a', 1), moved('a', 2)]))
  expect(await waiting()).toBe(2)
  await relayed(h, { only: [writer()] })
  expect([await effects(), await waiting()]).toEqual([['a:1', 'a:2'], 0])
})

test('every event in the history of a slip is published', async () => {
  const counter = await openCounter(h)
  const { number: part } = await h.make.part()
  const { number } = await counter.posted({ kind: 'receipt', lines: [{ part, quantity: '5', unitCost: '1' }] })
  const events = await h.sql<OutboxEvent & { number: string }>(
    `select o.event, slip.number, o.warehouse_id as "warehouseId" from outbox o join slip on slip.id::text = o.payload->>'document' order by o.id`
  )
  expect(events).toEqual(
    ['submitted', 'signed', 'signed', 'signed', 'posted'].map((event) => ({
      event: `document.${event}`,
      number,
      warehouseId: counter.warehouseId
    }))
  )
})

test('a batch that comes twice is handled once', async () => {
  await publish(ctx(), [moved('a', 1), moved('b', 1)])
  const ids = await claimOutbox(ctx())
  await Promise.all([1, 2, 3].map(() => dispatch(ctx(), ids, [writer()])))
  expect([await effects(), await waiting()]).toEqual([['a:1', 'b:1'], 0])
})

test('what was handed to a queue that lost it is handed over again when its lease is over, or at once when that is known', async () => {
  await publish(ctx(), [moved('a', 1)])
  expect(await claimOutbox(ctx(), 200, 0.3)).toHaveLength(1)
  expect(await claimOutbox(ctx())).toEqual([])
  await expect.poll(() => claimOutbox(ctx()), { timeout: 5_000 }).toHaveLength(1)
  expect(await claimOutbox(ctx())).toEqual([])
  await releaseOutbox(ctx())
  expect(await claimOutbox(ctx())).toHaveLength(1)
})

test('a worker that is frozen at its events keeps no other from starting', async () => {
  await publish(ctx(), [moved('a', 1), moved('b', 1)])
  const [first] = await claimOutbox(ctx())
  await inTransaction(ctx(), async (inner) => {
    await run(inner, statement('select from outbox where id = $1 for update'), [first])
    await releaseOutbox(ctx())
    expect(await claimOutbox(ctx())).toHaveLength(1)
  })
  await releaseOutbox(ctx())
  expect(await claimOutbox(ctx())).toHaveLength(2)
})

describe('in order per subject', () => {
  test('a later event is not claimed while an earlier one of its subject is on its way', async () => {
    await publish(ctx(), [moved('a', 1), moved('b', 1)])
    const [first, ...others] = await claimOutbox(ctx(), 1)
    await publish(ctx(), [moved('a', 2)])
    const second = await claimOutbox(ctx())
    expect([others, second.length]).toEqual([[], 1])

    await dispatch(ctx(), second, [writer()])
    expect(await claimOutbox(ctx())).toEqual([])
    await dispatch(ctx(), [first], [writer()])
    await relayed(h, { only: [writer()] })
    expect(await effects()).toEqual(['b:1', 'a:1', 'a:2'])
  })

  test('nor while its lease is over but somebody is still at it', async () => {
    await publish(ctx(), [moved('a', 1), moved('a', 2)])
    await inTransaction(ctx(), async (inner) => {
      await h.runtime.database.pool.query('select 1')
      await run(inner, statement(`select from outbox where payload->>'place' = '1' for update`), [])
      expect(await claimOutbox(ctx())).toEqual([])
    })
    expect(await claimOutbox(ctx())).toHaveLength(2)
  })

  test('many relays and handlers at once handle everything once and in order', async () => {
    const subjects = Array.from({ length: 8 }, (_, i) => `s${i}`)
    const writing = (async () => {
      for (let place = 1; place <= 25; place++)
        await publish(
          ctx(),
          subjects.map((subject) => moved(subject, place))
        )
    })()
    let isWritten = false
    void writing.then(() => (isWritten = true))
    const relay = async () => {
      for (;;) {
        const ids = await claimOutbox(ctx(), 7)
        if (ids.length === 0 && isWritten && (await waiting()) === 0) return
        if (ids.length > 0) await dispatch(ctx(), ids, [writer()])
      }
    }
    await Promise.all([writing, relay(), relay(), relay(), relay()])
    const rows = await h.sql<{ subject: string; places: number[] }>(
      'select subject, array_agg(place order by id) as places from effect group by subject order by subject'
    )
    const all = Array.from({ length: 25 }, (_, i) => i + 1)
    expect(rows).toEqual(subjects.map((subject) => ({ subject, places: all })))
  })
})

describe('what cannot be handled', () => {
  const shaky = (broken: Set<string>): Consumer =>
    defineConsumer({
      name: 'test.shaky',
      events: ['shelf.moved'],
      handle: async (inner, events) => {
        await writer().handle(inner, events)
        const fault = events.find(({ subject }) => broken.has(subject))
        if (fault !== undefined) throw new Error(`${fault.subject} cannot be handled`)
      }
    })
  const due = () => h.sql(`update outbox set leased_until = null where leased_until < 'infinity'`)

  test('holds up its own subject alone, and is handled when it can be', async () => {
    const broken = new Set(['b'])
    await publish(ctx(), [moved('a', 1), moved('b', 1), moved('b', 2), moved('c', 1)])
    await relayed(h, { only: [shaky(broken)] })
    expect(await effects()).toEqual(['a:1', 'c:1'])

    await publish(ctx(), [moved('b', 3)])
    await relayed(h, { only: [shaky(broken)] })
    broken.clear()
    await due()
    await relayed(h, { only: [shaky(broken)] })
    expect(await effects()).toEqual(['a:1', 'c:1', 'b:1', 'b:2', 'b:3'])
  })

  test('holds up no other subject however many events wait behind it', async () => {
    await publish(ctx(), [moved('b', 0)])
    expect(await claimOutbox(ctx(), 3)).toHaveLength(1)
    await publish(ctx(), [...[1, 2, 3, 4].map((place) => moved('b', place)), moved('a', 1)])
    expect(await claimOutbox(ctx(), 3)).toHaveLength(1)
    await h.sql(`update outbox set leased_until = 'infinity' where leased_until is not null`)
    await publish(ctx(), [moved('c', 1)])
    expect(await claimOutbox(ctx(), 3)).toHaveLength(1)
  })

  test('is set aside after the last attempt, listed as dead, and handled when an administrator has it retried', async () => {
    const broken = new Set(['b'])
    await publish(ctx(), [moved('b', 1)])
    for (let attempt = 1; attempt <= 12; attempt++) {
      await due()
      await relayed(h, { only: [shaky(broken)] })
    }
    await due()
    expect(await claimOutbox(ctx())).toEqual([])
    const [dead] = await h.sql<{ id: string; name: string; problem: string }>(
      `select id::text, name, problem from job_run where state = 'dead'`
    )
    expect(dead).toMatchObject({ name: 'platform.dispatch-outbox', problem: 'b cannot be handled' })

    broken.clear()
    expect(await requeueRun(ctx(), dead?.id ?? '')).toBe(true)
    const dispatching = dispatchOutbox([shaky(broken)], { enqueue: async () => undefined })
    const ids = await claimOutbox(ctx())
    const follows = await dispatch(ctx(), ids, [startRequestedJobs([dispatching])])
    for (const { job, payload, run: id } of follows) await runJob(h, job, payload, { run: id })
    expect([await effects(), await waiting()]).toEqual([['b:1'], 0])
  })
})

test('a requested run starts after the commit, tells how far it is and what came of it; begun twice it runs once', async () => {
  const ran: string[] = []
  const counting = defineJob({
    name: 'test.counting',
    isTracked: true,
    payload: Type.Object({ to: Type.Integer() }),
    run: async (_ctx, { to }, progress) => {
      ran.push(`to ${to}`)
      await progress(to, to)
      return { counted: to }
    }
  })
  const id = await inTransaction(ctx(), (inner) => requestJob(inner, counting, { to: 3 }))
  const state = async () =>
    (await h.sql('select state, done::int, total::int, result, attempts from job_run where id = $1', [id]))[0]
  expect(await state()).toMatchObject({ state: 'queued', done: null })

  const ids = await claimOutbox(ctx())
  const [follow] = await dispatch(ctx(), ids, [startRequestedJobs([counting])])
  expect(follow).toEqual({ job: counting, payload: { to: 3 }, run: id })
  await runJob(h, counting, { to: 3 }, { run: id })
  await runJob(h, counting, { to: 3 }, { run: id })

  expect(ran).toEqual(['to 3'])
  expect(await state()).toEqual({ state: 'done', done: 3, total: 3, result: { counted: 3 }, attempts: 1 })
})

test('a run that is in the queue twice, because it waited long, is left to the worker that is at it; one that is not heard of is begun anew', async () => {
  const ran: string[] = []
  const ends = Promise.withResolvers<void>()
  const slow = defineJob({
    name: 'test.slow',
    isTracked: true,
    run: async () => {
      ran.push('begun')
      await ends.promise
    }
  })
  const id = await inTransaction(ctx(), (inner) => requestJob(inner, slow))
  const first = runJob(h, slow, undefined, { run: id })
  await expect.poll(() => ran).toEqual(['begun'])

  await runJob(h, slow, undefined, { run: id })
  expect(ran).toEqual(['begun'])

  await h.sql(`update job_run set seen_at = now() - interval '30 seconds' where id = $1`, [id])
  const second = runJob(h, slow, undefined, { run: id })
  await expect.poll(() => ran).toEqual(['begun', 'begun'])
  ends.resolve()
  await Promise.all([first, second])
  expect(await h.sql('select state, attempts from job_run where id = $1', [id])).toEqual([
    { state: 'done', attempts: 2 }
  ])
})
