import { pino } from 'pino'
import { Redis } from 'ioredis'
import { Type } from 'typebox'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { jobs as allJobs } from '../../src/jobs.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { openContext } from '../../src/platform/context.ts'
import { defineJob, migrateQueue, openQueue, type Job, type JobQueue } from '../../src/platform/queue.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { redisDatabase } from '../support/redis.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
  if (redisUrl !== null) await wipe(redisUrl)
})
afterAll(() => h.close())

async function wipe(url: string): Promise<void> {
  const redis = new Redis(url)
  await redis.flushdb()
  redis.disconnect()
}

const redisUrl = redisDatabase(1)
const log = pino({ level: 'silent' })

describe.for([
  { backend: 'postgresql' as const, isHere: true },
  { backend: 'redis' as const, isHere: redisUrl !== null }
])('the queue in $backend', ({ backend, isHere }) => {
  let queue: JobQueue
  const ran: unknown[] = []
  const heard = defineJob({
    name: 'test.heard',
    payload: Type.Object({ word: Type.String() }),
    run: async (ctx, payload) => {
      ran.push([ctx.actor.username, payload.word])
    }
  })
  const open = (more: { schedulesCheckedMs?: number } = {}) =>
    openQueue({
      ...more,
      config: {
        BUSINESS_TIME_ZONE: 'Asia/Shanghai',
        ...(backend === 'redis' && redisUrl !== null && { REDIS_URL: redisUrl })
      },
      databaseUrl: h.databaseUrl,
      log
    })
  const work = (jobs: Job[]) => queue.work(jobs, () => openContext(h.runtime, systemActor, log))

  beforeEach(() => {
    ran.length = 0
    if (isHere) queue = open()
  })
  afterEach(async () => {
    if (isHere) await queue.close()
  })

  test.runIf(isHere)('runs a job with its payload under the system actor', async () => {
    await work([heard])
    await queue.enqueue(heard, { word: '配件' })

    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([['system', '配件']])
    expect(queue.backend).toBe(backend)
    await queue.ping()
  })

  test.runIf(isHere)('a job that waits under an id is there once', async () => {
    await queue.enqueue(heard, { word: 'once' }, { id: 'alert-7' })
    await queue.enqueue(heard, { word: 'twice' }, { id: 'alert-7' })
    await work([heard])

    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([['system', 'once']])
  })

  test.runIf(isHere)('refuses a payload or an id that could not work', async () => {
    await expect(queue.enqueue(heard, { words: 1 })).rejects.toThrow('the payload of job test.heard is wrong')
    await expect(queue.enqueue(heard, { word: 'x' }, { id: '17' })).rejects.toThrow('"17" cannot be the id of a job')
    await expect(queue.enqueue(heard, { word: 'x' }, { id: 'alert:7' })).rejects.toThrow('cannot be the id of a job')
  })

  test.runIf(isHere)('a failed job is tried again', async () => {
    let attempts = 0
    const shaky = defineJob({
      name: 'test.shaky',
      run: async () => {
        if (++attempts < 2) throw new Error('not yet')
        ran.push('done')
      }
    })
    await work([shaky])
    await queue.enqueue(shaky)

    await expect.poll(() => ran, { timeout: 15_000 }).toEqual(['done'])
  })

  test.runIf(isHere)(
    'schedules are set once however often a worker starts, in the business time zone, and unknown ones removed',
    async () => {
      const daily = defineJob({ name: 'test.daily', schedule: { pattern: '0 6 * * *' }, run: async () => undefined })
      const dropped = defineJob({
        name: 'test.dropped',
        schedule: { pattern: '0 7 * * *' },
        run: async () => undefined
      })
      await work([daily, dropped])
      await queue.close()
      queue = open()
      await work([daily])

      const schedules = await queue.schedules()

      expect(schedules.map(({ name, pattern }) => ({ name, pattern }))).toEqual([
        { name: 'test.daily', pattern: '0 6 * * *' }
      ])
      expect(
        Temporal.Instant.from(schedules[0]?.nextAt ?? '')
          .toZonedDateTimeISO('Asia/Shanghai')
          .toPlainTime()
          .toString()
      ).toBe('06:00:00')
    }
  )

  test.runIf(isHere)('with the store wiped, the next start has every schedule again (R-ALR-2)', async () => {
    await work(allJobs)
    await queue.close()
    if (backend === 'redis') {
      await wipe(redisUrl ?? '')
    } else {
      await h.sql('truncate bullmq.scheduler, bullmq.job cascade')
    }
    queue = open()
    await work(allJobs)

    expect((await queue.schedules()).map(({ name }) => name).sort()).toEqual(
      allJobs
        .filter(({ schedule }) => schedule)
        .map(({ name }) => name)
        .sort()
    )
  })

  test.runIf(isHere)(
    'while workers are replaced, one of the old version leaves alone what only the new one has a schedule for',
    async () => {
      const daily = defineJob({ name: 'test.daily', schedule: { pattern: '0 6 * * *' }, run: async () => undefined })
      const added = defineJob({ name: 'test.added', schedule: { pattern: '0 7 * * *' }, run: async () => undefined })
      await queue.close()
      const old = open({ schedulesCheckedMs: 50 })
      queue = open()
      try {
        await old.work([daily], () => openContext(h.runtime, systemActor, log))
        await work([daily, added])

        // The old worker looks for what is missing, and finds nothing to do, many times over.
        await new Promise((resolve) => setTimeout(resolve, 1000))

        expect((await queue.schedules()).map(({ name }) => name).sort()).toEqual(['test.added', 'test.daily'])
      } finally {
        await old.close()
      }
    }
  )

  test.runIf(isHere)(
    'with the store wiped under a running worker, it has every schedule again and still takes jobs',
    async () => {
      await queue.close()
      queue = open({ schedulesCheckedMs: 200 })
      await work([...allJobs, heard])
      const names = (await queue.schedules()).map(({ name }) => name)

      if (backend === 'redis') await wipe(redisUrl ?? '')
      else await h.sql('truncate bullmq.scheduler, bullmq.job cascade')

      expect(names.length).toBeGreaterThan(0)
      await expect
        .poll(async () => (await queue.schedules()).map(({ name }) => name), { timeout: 10_000 })
        .toEqual(names)
      await queue.enqueue(heard, { word: 'after' })
      await expect.poll(() => ran, { timeout: 15_000 }).toEqual([['system', 'after']])
    }
  )

  test.runIf(isHere)('a tracked job is run also where the store was made anew and counts from the start', async () => {
    const tracked = defineJob({ name: 'test.tracked', isTracked: true, run: async () => void ran.push('ran') })
    for (const times of [1, 2]) {
      await queue.close()
      if (backend === 'redis') await wipe(redisUrl ?? '')
      else {
        await h.sql('drop schema bullmq cascade')
        await migrateQueue(h.runtime.database)
      }
      queue = open()
      await work([tracked])
      await queue.enqueue(tracked)
      await expect.poll(() => ran, { timeout: 10_000 }).toHaveLength(times)
    }
  })

  test.runIf(isHere)(
    'a run whose payload an older version wrote and this one does not understand is dead and says why',
    async () => {
      const [run] = await h.sql<{ id: string }>(
        `insert into job_run (name, payload, state, requested_by, requested_at) values ('test.heard', '{"words":1}', 'queued', 0, now()) returning id::text`
      )
      await work([heard])
      await queue.enqueue(heard, { words: 1 }, { run: run?.id ?? '' })
      const read = async () => (await h.sql('select state, problem from job_run where id = $1', [run?.id]))[0]
      await expect
        .poll(read, { timeout: 10_000 })
        .toEqual({ state: 'dead', problem: expect.stringContaining('payload of job test.heard is wrong') })
    }
  )

  test.runIf(isHere)('what fell due while no worker ran is run at the next start', async () => {
    const often = defineJob({
      name: 'test.often',
      schedule: { pattern: '*/3 * * * * *' },
      isTracked: true,
      run: async () => void ran.push('ran')
    })
    const slots = async () =>
      (
        await h.sql<{ at: string }>(
          `select split_part(slot, ':', 3) as at from job_run where name = 'test.often' order by id`
        )
      ).map(({ at }) => Number(at))
    await h.sql(`delete from job_run where name = 'test.often'`)
    await work([often])
    await queue.close()
    const ranBefore = (await slots()).length
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    const startedAt = Date.now()
    queue = open()
    await work([often])
    await expect.poll(slots, { timeout: 10_000 }).not.toHaveLength(ranBefore)
    expect((await slots())[ranBefore]).toBeLessThan(startedAt)
  })

  test.runIf(isHere)('closing waits for the job that runs', async () => {
    const slow = defineJob({
      name: 'test.slow',
      run: async () => {
        ran.push('begun')
        await new Promise((resolve) => setTimeout(resolve, 500))
        ran.push('ended')
      }
    })
    await work([slow])
    await queue.enqueue(slow)
    await expect.poll(() => ran, { timeout: 10_000 }).toContain('begun')

    await queue.close()

    expect(ran).toEqual(['begun', 'ended'])
  })
})
