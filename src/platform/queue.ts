import { randomUUID } from 'node:crypto'
import {
  Queue,
  Worker,
  runMigrations,
  withBackend,
  createPostgresBackend,
  UnrecoverableError,
  type Job as QueuedJob,
  type JobSchedulerJson,
  type Processor
} from 'bullmq'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import type { FastifyBaseLogger } from 'fastify'
import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import type { Config } from './config.ts'
import type { Context } from './context.ts'
import type { Database } from './database.ts'
import { noteDeadRun, noteFailedRun, runTracked, type Progress } from './job-runs.ts'

// BullMQ queues, in Redis if REDIS_URL is set, else in the schema `bullmq` of the same PostgreSQL: one per lane.
// The queue's store may be lost at any time: schedules are written at each start and looked after while a worker runs, and
// what must not be lost is a row in PostgreSQL that a scheduled job sweeps (R-ALR-2). Every job is therefore safe to run twice.

/** Each lane has a queue and workers of its own, so that neither long jobs nor receivers that answer slowly keep the others waiting. */
export const LANES = ['short', 'long', 'deliveries'] as const
export type Lane = (typeof LANES)[number]

/** Jobs that one process runs at once, and the name of the queue. */
const LANE: Record<Lane, { queue: string; concurrency: number }> = {
  short: { queue: 'bincard', concurrency: 4 },
  long: { queue: 'bincard-long', concurrency: 2 },
  deliveries: { queue: 'bincard-deliveries', concurrency: 100 }
}

/** A thin edge over a verb, like a route. */
export interface Job<Payload extends TSchema = TSchema> {
  /** `room.verb-noun`, stable: waiting jobs and schedules go by it. */
  name: string
  /** Cron pattern (minute hour day month weekday) in the business time zone; `atStart` runs it whenever a worker starts, too. */
  schedule?: { pattern: string; atStart?: boolean }
  /** What `enqueue` must give; a job without it takes none. */
  payload?: Payload
  /** `short` if left away. */
  lane?: Lane
  /** Its runs are rows of `job_run`: people can see how far it is, and a run is not lost with the queue's store. */
  isTracked?: boolean
  // The actor is identity's; the platform only hands it through, and the verb that is called says what it needs.
  // oxlint-disable-next-line typescript/no-explicit-any
  run(ctx: Context<any>, payload: Static<Payload>, progress: Progress): Promise<unknown>
}

/** Declares a job; `src/jobs.ts` lists it. */
export const defineJob = <Payload extends TSchema>(job: Job<Payload>): Job => job

export interface EnqueueOptions {
  /** While a job of this id is known to the queue, a second one is dropped. No `:`, not a whole number. */
  id?: string
  delayMs?: number
  /** The row of `job_run` that it works on. */
  run?: string
}

/** What a job is run in; the actor is recorded as whoever asked for a run of a schedule. */
type JobContext = Context<{ personId: number }>

export interface JobQueue {
  readonly backend: 'redis' | 'postgresql'
  /** BullMQ's own queues, for whoever shows them. */
  readonly queues: readonly Queue[]
  /** Hands a job to the workers. Fails when the queue is away: work that must follow a commit is an `outbox` row instead. */
  enqueue(job: Job, payload?: unknown, options?: EnqueueOptions): Promise<void>
  /**
   * Starts taking jobs in this process and sets the schedules: those of unknown jobs are removed.
   * @param onStoreLost called when the store turns out to have lost what it held
   */
  work(
    jobs: readonly Job[],
    contextOf: (log: FastifyBaseLogger) => JobContext,
    onStoreLost?: () => Promise<unknown>
  ): Promise<void>
  /** The schedules in force, by name. */
  schedules(): Promise<{ name: string; pattern: string | undefined; nextAt: string | undefined }[]>
  /** Resolves if the queue's store answers within two seconds. */
  ping(): Promise<void>
  /** Takes no more jobs, waits for the running ones at most `limitMs`; what is cut off is run again by another worker. */
  close(limitMs?: number): Promise<void>
}

const SCHEMA = 'bullmq'
const PING_LIMIT_MS = 2_000
/** How long a worker goes on without schedules, at most, after the queue's store lost its data. */
const SCHEDULES_CHECKED_MS = 3 * 60_000

const JOB_OPTIONS = {
  attempts: 6,
  backoff: { type: 'exponential', delay: 1_000, jitter: 0.5 },
  // What was done is known by what it did. Never `{ count }`: on PostgreSQL two workers that trim by count at once deadlock.
  removeOnComplete: true,
  removeOnFail: { age: 14 * 24 * 3_600 }
} as const
/** The runs of schedules are few, and the board shows the last of them. */
const SCHEDULED_OPTIONS = { ...JOB_OPTIONS, removeOnComplete: { age: 24 * 3_600 } } as const

/** Brings BullMQ's own schema in PostgreSQL up to date; processes that start together wait for each other. */
export async function migrateQueue(database: Database): Promise<void> {
  const connection = await database.pool.connect()
  try {
    await runMigrations(connection, SCHEMA)
  } finally {
    connection.release()
  }
}

/** Connects to the queue. Jobs can be handed in; they run in processes that call `work`. */
export function openQueue({
  config,
  databaseUrl,
  log,
  schedulesCheckedMs = SCHEDULES_CHECKED_MS
}: {
  config: Pick<Config, 'REDIS_URL' | 'BUSINESS_TIME_ZONE'>
  databaseUrl: string
  log: FastifyBaseLogger
  schedulesCheckedMs?: number
}): JobQueue {
  const store = config.REDIS_URL === undefined ? inPostgres(databaseUrl) : inRedis(config.REDIS_URL)
  const complaint = complainer(store.backend, log, () => isClosing)
  let lastError: Error | undefined
  const complain = (error: Error) => {
    lastError = error
    complaint(error)
  }
  store.onError(complain)
  const queues = Object.fromEntries(LANES.map((lane) => [lane, store.openQueue(LANE[lane].queue)])) as Record<
    Lane,
    Queue
  >
  const all = Object.values(queues)
  for (const queue of all) queue.on('error', complain)
  const queueOf = ({ lane = 'short' }: Job): Queue => queues[lane]
  const workers: Worker[] = []
  let isClosing = false
  let checking: NodeJS.Timeout | undefined

  return {
    backend: store.backend,
    queues: all,

    enqueue: async (job, payload, { id, delayMs, run } = {}) => {
      if (id !== undefined && (id.includes(':') || /^[0-9]+$/.test(id)))
        throw new Error(`"${id}" cannot be the id of a job: it has a ":" or is a whole number`)
      // What was asked for long ago is judged by the worker, which can say of its row that it is dead.
      if (run === undefined) checkPayload(job, payload)
      // A tracked job that is not asked for by a row is known by its id, and a store that was made anew counts from 1 again.
      const jobId = id ?? (job.isTracked === true && run === undefined ? randomUUID() : undefined)
      await queueOf(job).add(job.name, envelope(payload, run), {
        ...(jobId !== undefined && { jobId }),
        ...(delayMs !== undefined && { delay: delayMs })
      })
    },

    work: async (jobs, contextOf, onStoreLost = async () => undefined) => {
      const byName = new Map(jobs.map((job) => [job.name, job]))
      if (byName.size !== jobs.length) throw new Error('two jobs have the same name')
      const process: Processor = async ({ name, data, id = '', attemptsMade }) => {
        const job = byName.get(name)
        // Put there by a newer version of the service during a rolling update: its workers get it at one of the next attempts.
        if (job === undefined) throw new Error(`there is no job ${name} here`)
        const jobLog = log.child({ job: name, jobId: id, attempt: attemptsMade + 1 })
        const { payload, run } = data as Envelope
        try {
          checkPayload(job, payload)
        } catch (error) {
          throw new UnrecoverableError((error as Error).message)
        }
        const started = performance.now()
        const ctx = contextOf(jobLog)
        const result =
          job.isTracked === true || run !== undefined
            ? await runTracked(ctx, { name, payload, run, slot: id }, (progress) => job.run(ctx, payload, progress))
            : await job.run(ctx, payload, NOBODY_WATCHES)
        const milliseconds = Math.round(performance.now() - started)
        jobLog[result === undefined ? 'debug' : 'info']({ milliseconds, result }, 'job done')
      }
      const failed = async (job: QueuedJob | undefined, err: Error) => {
        const isFinal =
          job === undefined || job.attemptsMade >= (job.opts.attempts ?? 1) || err instanceof UnrecoverableError
        const noted = { err, job: job?.name, jobId: job?.id, attempt: job?.attemptsMade }
        log[isFinal ? 'error' : 'warn'](noted, isFinal ? 'job failed for good' : 'job failed; it is tried again')
        if (job === undefined) return
        // What ran under a row says which; a run that was never begun is known by its envelope.
        const { payload, run = (err as { jobRun?: string }).jobRun } = job.data as Envelope
        const ctx = contextOf(log)
        if (run !== undefined) await noteFailedRun(ctx, run, { isFinal, problem: err.message })
        else if (isFinal)
          await noteDeadRun(ctx, { name: job.name, payload, attempts: job.attemptsMade, problem: err.message })
      }
      for (const lane of LANES) {
        const worker = store.openWorker(LANE[lane].queue, LANE[lane].concurrency, process)
        worker.on('error', complain)
        worker.on('failed', (job, err) => {
          failed(job, err).catch((fault: unknown) =>
            log.error({ err: fault }, 'a failed job could not be written down')
          )
        })
        workers.push(worker)
      }
      await Promise.all(workers.map((worker) => worker.waitUntilReady()))
      const set = async (options?: { onlyMissing?: boolean }) => {
        const written: string[] = []
        for (const lane of LANES) {
          const theirs = jobs.filter((job) => (job.lane ?? 'short') === lane)
          written.push(...(await setSchedules(queues[lane], theirs, config.BUSINESS_TIME_ZONE, options)))
        }
        return written
      }
      await set()
      for (const job of jobs.filter(({ schedule }) => schedule?.atStart === true))
        await queueOf(job).add(job.name, envelope(undefined), { jobId: `at-start-${job.name}` })
      let isChecking = false
      const check = async () => {
        if (isClosing || isChecking) return
        isChecking = true
        try {
          const restored = await set({ onlyMissing: true })
          if (restored.length > 0) {
            log.warn({ restored }, 'the queue had lost its schedules; they are set again')
            await onStoreLost()
          }
        } catch (error) {
          complain(error as Error)
          // The store may be gone with all that it was made of; the next check sets the schedules.
          await store.restore().catch(complain)
        } finally {
          isChecking = false
        }
      }
      store.onReady(() => void check())
      checking = setInterval(() => void check(), schedulesCheckedMs).unref()
    },

    schedules: async () =>
      (await Promise.all(all.map((queue) => queue.getJobSchedulers())))
        .flat()
        .map(({ key, pattern, next }) => ({
          name: key,
          pattern,
          nextAt: next === undefined ? undefined : new Date(next).toISOString()
        }))
        .toSorted((a, b) => a.name.localeCompare(b.name)),

    ping: () =>
      // Each lane has a connection of its own, and one that failed to open at the start stays closed.
      within(PING_LIMIT_MS, Promise.all(all.map((queue) => queue.getWaitingCount()))).catch((cause: unknown) => {
        // Why it is not there says more than how long it was waited for.
        throw lastError ?? cause
      }),

    close: async (limitMs = 8_000) => {
      isClosing = true
      clearInterval(checking)
      await Promise.all(workers.map((worker) => within(limitMs, worker.close()).catch(() => worker.close(true))))
      await Promise.all(all.map((queue) => within(PING_LIMIT_MS, queue.close()).catch(() => undefined)))
      await store.close()
    }
  }
}

const NOBODY_WATCHES: Progress = async () => undefined

interface Store {
  backend: JobQueue['backend']
  openQueue(name: string): Queue
  openWorker(name: string, concurrency: number, processor: Processor): Worker
  onError(listener: (error: Error) => void): void
  /** Makes what the store needs to hold anything. */
  restore(): Promise<void>
  /** Called whenever the store can be reached again. */
  onReady(listener: () => void): void
  close(): Promise<void>
}

// Both backends answer the same classes; only the type of their connection differs.
function inPostgres(connectionString: string): Store {
  const bound = withBackend(createPostgresBackend)
  const connection = (max: number) => ({
    connectionString,
    schema: SCHEMA,
    max,
    connectionTimeoutMillis: 5_000,
    application_name: 'bincard-queue'
  })
  return {
    backend: 'postgresql',
    openQueue: (name) =>
      new bound.Queue(name, { connection: connection(2), defaultJobOptions: JOB_OPTIONS }) as unknown as Queue,
    openWorker: (name, concurrency, processor) =>
      new bound.Worker(name, processor, { connection: connection(3), concurrency }) as unknown as Worker,
    restore: async () => {
      const client = new Client({ connectionString, connectionTimeoutMillis: 5_000 })
      try {
        await client.connect()
        await runMigrations(client, SCHEMA)
      } finally {
        await client.end()
      }
    },
    onError: () => undefined,
    onReady: () => undefined,
    close: async () => undefined
  }
}

function inRedis(url: string): Store {
  // A request that cannot be queued fails soon; a worker waits for Redis as long as it takes.
  const asking = new Redis(url, { maxRetriesPerRequest: 1, connectTimeout: 5_000 })
  const waiting = new Redis(url, { maxRetriesPerRequest: null })
  return {
    backend: 'redis',
    openQueue: (name) => new Queue(name, { connection: asking, defaultJobOptions: JOB_OPTIONS }),
    openWorker: (name, concurrency, processor) => new Worker(name, processor, { connection: waiting, concurrency }),
    restore: async () => undefined,
    onError: (listener) => {
      asking.on('error', listener)
      waiting.on('error', listener)
    },
    onReady: (listener) => {
      asking.on('ready', listener)
    },
    close: async () => {
      asking.disconnect()
      waiting.disconnect()
    }
  }
}

/**
 * Makes the schedules in the store those of `jobs`. Writing one again drops its job that is due and waits for a worker, so where one is
 * due, because none ran at its time, it is left to be done.
 * @param onlyMissing leaves all alone that are there, also those that this version does not know: a newer one may have set them, while
 *   workers are replaced one after the other
 * @returns the names of those that were written
 */
async function setSchedules(
  queue: Queue,
  jobs: readonly Job[],
  tz: string,
  { onlyMissing = false }: { onlyMissing?: boolean } = {}
): Promise<string[]> {
  const known = new Map((await queue.getJobSchedulers()).map((scheduler) => [scheduler.key, scheduler]))
  const isDue = async ({ key, next = Number.POSITIVE_INFINITY }: JobSchedulerJson) =>
    next <= Date.now() && (await queue.getJob(`repeat:${key}:${next}`)) !== undefined
  const written: string[] = []
  for (const { name, schedule } of jobs) {
    if (schedule === undefined) continue
    const there = known.get(name)
    const isLeft =
      there !== undefined &&
      (onlyMissing || (there.pattern === schedule.pattern && there.tz === tz && (await isDue(there))))
    if (isLeft) continue
    await queue.upsertJobScheduler(
      name,
      { pattern: schedule.pattern, tz },
      { name, data: envelope(undefined), opts: SCHEDULED_OPTIONS }
    )
    written.push(name)
  }
  if (onlyMissing) return written
  const scheduled = new Set(jobs.filter(({ schedule }) => schedule !== undefined).map(({ name }) => name))
  for (const { key } of await queue.getJobSchedulers()) {
    if (!scheduled.has(key)) await queue.removeJobScheduler(key)
  }
  return written
}

/** What BullMQ carries: always an object, as one of its backends reads `null` back as `{}`. */
interface Envelope {
  payload?: unknown
  run?: string
}
const envelope = (payload: unknown, run?: string): Envelope => ({
  ...(payload !== undefined && { payload }),
  ...(run !== undefined && { run })
})

/** @throws Error that names the member that is wrong */
export function checkPayload(job: Job, payload: unknown): void {
  if (job.payload === undefined) {
    if (payload !== undefined) throw new Error(`job ${job.name} takes no payload`)
    return
  }
  const [fault] = Value.Errors(job.payload, payload)
  if (fault !== undefined)
    throw new Error(`the payload of job ${job.name} is wrong at "${fault.instancePath}": ${fault.message}`)
}

/** A store that is away complains many times a second; it is logged once in ten. */
function complainer(backend: string, log: FastifyBaseLogger, isClosing: () => boolean): (error: Error) => void {
  let last = Number.NEGATIVE_INFINITY
  return (err) => {
    if (isClosing() || performance.now() - last < 10_000) return
    last = performance.now()
    log.warn({ err, backend }, 'the queue does not answer')
  }
}

/** Rejects if `work` takes longer. The work itself goes on. */
async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds)
  try {
    await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}
