import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { pino } from 'pino'
import { Type } from 'typebox'
import { jobs as allJobs } from '../../src/jobs.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { listJobSchedules } from '../../src/operations/jobs.queries.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { noteDeadRun, noteFailedRun, requestJob, resumeRuns, runTracked } from '../../src/platform/job-runs.ts'
import { claimOutbox, DISPATCH, dispatch, dispatchOutbox, startRequestedJobs } from '../../src/platform/outbox.ts'
import { defineJob, migrateQueue, openQueue, type Job } from '../../src/platform/queue.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let administrator: Caller
let controller: Caller
let keeper: Caller
beforeAll(async () => {
  h = await openHarness()
  await h.make.warehouse({ code: 'HQ', region: 'HOME' })
  administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  keeper = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: 'HQ' }] }))
})
afterAll(() => h.close())
beforeEach(async () => {
  await h.sql('truncate job_run, outbox')
})

let isBroken = false
// By the name of a job that the service has: one that it has not is not tried again.
const NAME = 'ledger.verify'
const counting = defineJob({
  name: NAME,
  isTracked: true,
  payload: Type.Object({ upTo: Type.Integer() }),
  run: async (_ctx, { upTo }, progress) => {
    for (let done = 1; done <= upTo; done++) await progress(done, upTo)
    if (isBroken) throw new Error('the shelf is empty')
    return { counted: upTo }
  }
})

const ask = (by = controller) =>
  inTransaction(h.contextOf(by.person.actor), (ctx) => requestJob(ctx, counting, { upTo: 3 }))

/** What relay and worker do, without a queue in between: hands over what was asked for, and runs it once. */
async function worked({ isLastAttempt = false } = {}): Promise<number> {
  const ctx = h.contextOf(systemActor)
  const follows = await dispatch(ctx, await claimOutbox(ctx), [startRequestedJobs([counting])])
  for (const { job, payload, run } of follows) {
    const { name } = job
    await runTracked(ctx, { name, payload, run, slot: '' }, (progress) => job.run(ctx, payload, progress)).catch(
      (error: Error & { jobRun: string }) =>
        noteFailedRun(ctx, error.jobRun, { isFinal: isLastAttempt, problem: error.message })
    )
  }
  return follows.length
}
const read = async (id: string, by = controller) => (await by.get(`/v1/jobs/${id}`)).body

describe('a background job', () => {
  beforeEach(() => {
    isBroken = false
  })

  test('waits, runs, and tells whoever asked how far it is and what came out', async () => {
    const id = await ask()
    expect(await read(id)).toEqual({
      id,
      name: NAME,
      state: 'queued',
      progress: null,
      attempts: 0,
      requestedBy: controller.person.username,
      requestedAt: '2026-11-20T02:00:00Z',
      startedAt: null,
      finishedAt: null,
      payload: { upTo: 3 },
      result: null,
      problem: null
    })

    // A worker has begun it and was not heard of since.
    await h.sql(
      `update job_run set state = 'running', started_at = $1, seen_at = now() - interval '1 minute', attempts = 1, done = 2, total = 3`,
      ['2026-11-20T02:00:00Z']
    )
    expect(await read(id)).toMatchObject({
      state: 'running',
      progress: { done: 2, total: 3 },
      startedAt: '2026-11-20T02:00:00Z',
      finishedAt: null
    })

    expect(await worked()).toBe(1)
    expect(await read(id)).toMatchObject({
      state: 'done',
      progress: { done: 3, total: 3 },
      finishedAt: '2026-11-20T02:00:00Z',
      result: { counted: 3 }
    })
    // A second hand-over changes nothing (R-ALR-2).
    expect(await worked()).toBe(0)
  })

  test('is begun anew where its worker fell silent, and left alone where one is at it, also when the queue’s store was lost (R-ALR-2)', async () => {
    const [alive, silent, waiting] = [await ask(), await ask(), await ask()]
    await h.sql('truncate outbox')
    await h.sql(
      `update job_run set state = 'running', seen_at = now() - make_interval(secs => case when id = $1::bigint then 5 else 30 end) where id = any ($2::bigint[])`,
      [alive, [alive, silent]]
    )

    expect(await resumeRuns(h.contextOf(systemActor), { silentSeconds: 0 })).toEqual({ resumed: 2, dead: 0 })

    expect(await read(alive)).toMatchObject({ state: 'running' })
    expect(await read(silent)).toMatchObject({ state: 'queued' })
    expect(await worked()).toBe(2)
    expect(await read(waiting)).toMatchObject({ state: 'done' })
  })

  test('is hidden from everybody else but administrators', async () => {
    const id = await ask()
    expect(await read(id, administrator)).toMatchObject({ id })
    for (const other of [
      keeper,
      callerFor(h, await h.make.person({ grants: [{ duty: 'administrator', warehouse: 'HQ' }] }))
    ])
      expect(await read(id, other)).toMatchObject({ status: 404, code: 'NotFound' })
    expect(await read('999999')).toMatchObject({ status: 404, detail: 'there is no job 999999, or you may not see it' })
    expect((await h.api.get(`/v1/jobs/${id}`)).status).toBe(401)
  })

  test('that failed and is tried again says why; one that failed for good is dead', async () => {
    isBroken = true
    const id = await ask()
    await worked()
    expect(await read(id)).toMatchObject({
      state: 'queued',
      attempts: 1,
      problem: 'the shelf is empty',
      finishedAt: null
    })
    await h.sql(`update job_run set state = 'dead', finished_at = now()`)
    expect(await read(id)).toMatchObject({ state: 'dead', problem: 'the shelf is empty', result: null })
  })
})

describe('administrators', () => {
  test('see every run and every dead job, the latest first, page by page', async () => {
    const ctx = h.contextOf(systemActor)
    const first = await ask()
    const second = await ask(keeper)
    await noteDeadRun(ctx, { name: 'test.other', payload: { a: 1 }, attempts: 6, problem: 'no answer' })
    const list = async (query = '') => (await administrator.get(`/v1/jobs${query}`)).body
    const { items } = await list()
    expect(items.map(({ name, state, requestedBy }: any) => [name, state, requestedBy])).toEqual([
      ['test.other', 'dead', 'system'],
      [NAME, 'queued', keeper.person.username],
      [NAME, 'queued', controller.person.username]
    ])
    expect((await list('?state=dead')).items).toMatchObject([
      { name: 'test.other', payload: { a: 1 }, attempts: 6, problem: 'no answer', finishedAt: '2026-11-20T02:00:00Z' }
    ])
    expect((await list('?name=ledger.verify&state=queued')).items.map(({ id }: any) => id)).toEqual([second, first])
    const page = await list('?limit=2')
    expect((await list(`?limit=2&cursor=${page.nextCursor}`)).items.map(({ id }: any) => id)).toEqual([first])
    expect(await list('?state=lost')).toMatchObject({ status: 400 })
    expect(await list('?cursor=x')).toMatchObject({ status: 400, code: 'CursorInvalid' })
  })

  test('have a dead job tried again, and are noted for it', async () => {
    isBroken = true
    const id = await ask()
    await worked({ isLastAttempt: true })
    expect(await read(id)).toMatchObject({ state: 'dead' })
    isBroken = false

    const retry = await administrator.post(`/v1/jobs/${id}/retry`)
    expect([retry.status, retry.headers['location'], retry.body]).toMatchObject([
      202,
      `/v1/jobs/${id}`,
      { id, state: 'queued', attempts: 0, problem: null, finishedAt: null }
    ])
    expect(await worked()).toBe(1)
    expect(await read(id)).toMatchObject({ state: 'done', result: { counted: 3 } })
    expect(
      await h.sql(`select person_id as "personId", action, details from audit_event where subject = $1`, [`job:${id}`])
    ).toEqual([{ personId: administrator.person.id, action: 'job.retried', details: { name: NAME } }])
  })

  test('retry a dead job once, however many ask at once', async () => {
    const id = await ask()
    await h.sql(`truncate outbox`)
    await h.sql(`update job_run set state = 'dead', finished_at = now()`)
    const answers = await Promise.all([1, 2, 3].map(() => administrator.post(`/v1/jobs/${id}/retry`)))
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409])
    expect(await worked()).toBe(1)
  })

  test('do not retry what is not dead, nor what is not there', async () => {
    const id = await ask()
    expect((await administrator.post(`/v1/jobs/${id}/retry`)).body).toMatchObject({
      status: 409,
      code: 'JobNotDead',
      detail: `job ${id} (ledger.verify) is queued; only a dead one is tried again`,
      state: 'queued'
    })
    expect((await administrator.post('/v1/jobs/999999/retry')).status).toBe(404)
    expect((await administrator.post('/v1/jobs/0/retry')).status).toBe(400)
  })

  test('do not retry a job that the service no longer has', async () => {
    const ctx = h.contextOf(systemActor)
    await noteDeadRun(ctx, { name: 'test.gone', payload: undefined, attempts: 6, problem: 'no answer' })
    const { id } = (await administrator.get('/v1/jobs?state=dead')).body.items[0]
    expect((await administrator.post(`/v1/jobs/${id}/retry`)).body).toMatchObject({ status: 409, code: 'JobUnknown' })
    expect(await read(id, administrator)).toMatchObject({ state: 'dead', problem: 'no answer' })
    expect(await h.sql('select 1 from outbox')).toEqual([])
  })

  test('retry events that could not be handled, which a worker knows by the job that handles them (R-ALR-2)', async () => {
    const ctx = h.contextOf(systemActor)
    await noteDeadRun(ctx, { name: DISPATCH, payload: { ids: ['1'] }, attempts: 12, problem: 'no receiver' })
    const { id } = (await administrator.get('/v1/jobs?state=dead')).body.items[0]
    expect((await administrator.post(`/v1/jobs/${id}/retry`)).status).toBe(202)
    // As a worker puts its list together.
    const all: Job[] = []
    const starting = startRequestedJobs(all)
    all.push(dispatchOutbox([starting], { enqueue: async () => undefined }))
    expect(await dispatch(ctx, await claimOutbox(ctx), [starting])).toEqual([
      { job: all[0], payload: { ids: ['1'] }, run: id }
    ])
  })

  test('are the only ones who list or retry; a read-only key of theirs lists', async () => {
    const id = await ask()
    await h.sql(`update job_run set state = 'dead', finished_at = now()`)
    for (const other of [controller, keeper]) {
      expect((await other.get('/v1/jobs')).status).toBe(403)
      expect((await other.get('/v1/job-schedules')).status).toBe(403)
      expect((await other.post(`/v1/jobs/${id}/retry`)).body).toMatchObject({ status: 403, code: 'DutyRequired' })
    }
    expect(await read(id)).toMatchObject({ state: 'dead' })
    const { body } = await administrator.post('/v1/api-keys', {
      name: 'monitor',
      access: 'read',
      expiresOn: '2027-01-01'
    })
    const byKey = (path: string) => h.api.get(path).set('x-api-key', body.key)
    expect((await byKey('/v1/jobs')).status).toBe(200)
    expect((await h.api.post(`/v1/jobs/${id}/retry`).set('x-api-key', body.key)).body).toMatchObject({
      status: 403,
      code: 'ReadOnlyKey'
    })
  })
})

describe('the schedules', () => {
  test('are those of the jobs; what no queue knows has no next run', async () => {
    const { body } = await administrator.get('/v1/job-schedules')
    expect(body.items.map(({ name }: any) => name)).toEqual(
      allJobs.flatMap(({ name, schedule }) => (schedule === undefined ? [] : [name])).toSorted()
    )
    expect(body.items).toContainEqual({ name: 'platform.purge', pattern: '20 3 * * *', nextAt: null })
  })

  test('say when the queue runs them next', async () => {
    const log = pino({ level: 'silent' })
    const daily = defineJob({ name: 'test.daily', schedule: { pattern: '0 6 * * *' }, run: async () => undefined })
    const lost = defineJob({ name: 'test.lost', schedule: { pattern: '0 7 * * *' }, run: async () => undefined })
    await migrateQueue(h.runtime.database)
    const queue = openQueue({ config: h.runtime.config, databaseUrl: h.databaseUrl, log })
    try {
      await queue.work([daily], () => h.contextOf(systemActor))
      const schedules = await listJobSchedules(h.contextOf(systemActor), { jobs: [lost, daily], queue })
      expect(schedules).toEqual([
        { name: 'test.daily', pattern: '0 6 * * *', nextAt: expect.any(String) },
        { name: 'test.lost', pattern: '0 7 * * *', nextAt: null }
      ])
      expect(
        Temporal.Instant.from(schedules[0]?.nextAt ?? '')
          .toZonedDateTimeISO('Asia/Shanghai')
          .toPlainTime()
          .toString()
      ).toBe('06:00:00')
    } finally {
      await queue.close()
    }
  })

  test('are refused with a word of why while the queue is away', async () => {
    const queue = { schedules: () => Promise.reject(new Error('ECONNREFUSED')) } as never
    await expect(listJobSchedules(h.contextOf(systemActor), { jobs: [], queue })).rejects.toMatchObject({
      code: 'QueueUnavailable',
      status: 503
    })
  })
})
