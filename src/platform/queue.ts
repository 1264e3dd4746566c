import {
  Queue,
  Worker,
  runMigrations,
  withBackend,
  createPostgresBackend,
  UnrecoverableError,
  type Processor
} from 'bullmq'
import { Redis } from 'ioredis'
import type { FastifyBaseLogger } from 'fastify'
import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import type { Config } from './config.ts'
import type { Context } from './context.ts'
import type { Database } from './database.ts'

// One BullMQ queue for the whole service, in Redis if REDIS_URL is set, else in the schema `bullmq` of the same PostgreSQL.
// The queue's store may be lost at any time: schedules are written at each start and looked after while a worker runs, and
// what must not be lost is a row in PostgreSQL that a scheduled job sweeps (R-ALR-2). Every job is therefore safe to run twice.

/** A thin edge over a verb, like a route. */
export interface Job<Payload extends TSchema = TSchema> {
  /** `room.verb-noun`, stable: waiting jobs and schedules go by it. */
  name: string
  /** Cron pattern (minute hour day month weekday) in the business time zone. */
  schedule?: { pattern: string }
  /** What `enqueue` must give; a job without it takes none. */
  payload?: Payload
  // The actor is identity's; the platform only hands it through, and the verb that is called says what it needs.
  // oxlint-disable-next-line typescript/no-explicit-any
  run(ctx: Context<any>, payload: Static<Payload>): Promise<unknown>
}

/** Declares a job; `src/jobs.ts` lists it. */
export const defineJob = <Payload extends TSchema>(job: Job<Payload>): Job => job

export interface EnqueueOptions {
  /** While a job of this id is known to the queue, a second one is dropped. No `:`, not a whole number. */
  id?: string
  delayMs?: number
}

export interface JobQueue {
  readonly backend: 'redis' | 'postgresql'
  /** Hands a job to the workers. Fails when the queue is away: work that must follow a commit is an `outbox` row instead. */
  enqueue(job: Job, payload?: unknown, options?: EnqueueOptions): Promise<void>
  /** Starts taking jobs in this process and sets the schedules: those of unknown jobs are removed. */
  work(jobs: readonly Job[], contextOf: (job: Job, log: FastifyBaseLogger) => Context): Promise<void>
  /** The schedules in force, by name. */
  schedules(): Promise<{ name: string; pattern: string | undefined; nextAt: string | undefined }[]>
  /** Resolves if the queue's store answers within two seconds. */
  ping(): Promise<void>
  /** Takes no more jobs, waits for the running ones at most `limitMs`; what is cut off is run again by another worker. */
  close(limitMs?: number): Promise<void>
}

export const QUEUE_NAME = 'bincard'
const SCHEMA = 'bullmq'
const PING_LIMIT_MS = 2_000
/** How long a worker goes on without schedules, at most, after the queue's store lost its data. */
const SCHEDULES_CHECKED_MS = 3 * 60_000
const CONCURRENCY = 4

const JOB_OPTIONS = {
  attempts: 6,
  backoff: { type: 'exponential', delay: 1_000, jitter: 0.5 },
  // Never `{ count }`: on PostgreSQL two workers that trim by count at once deadlock.
  removeOnComplete: { age: 3_600 },
  removeOnFail: { age: 14 * 24 * 3_600 }
} as const

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
  const { queue } = store
  queue.on('error', complain)
  let worker: Worker | undefined
  let isClosing = false
  let checking: NodeJS.Timeout | undefined

  return {
    backend: store.backend,

    enqueue: async (job, payload, { id, delayMs } = {}) => {
      if (id !== undefined && (id.includes(':') || /^[0-9]+$/.test(id)))
        throw new Error(`"${id}" cannot be the id of a job: it has a ":" or is a whole number`)
      checkPayload(job, payload)
      await queue.add(job.name, envelope(payload), {
        ...(id !== undefined && { jobId: id }),
        ...(delayMs !== undefined && { delay: delayMs })
      })
    },

    work: async (jobs, contextOf) => {
      const byName = new Map(jobs.map((job) => [job.name, job]))
      if (byName.size !== jobs.length) throw new Error('two jobs have the same name')
      worker = store.openWorker(async ({ name, data, id, attemptsMade }) => {
        const job = byName.get(name)
        // Put there by a newer version of the service during a rolling update: its workers get it at one of the next attempts.
        if (job === undefined) throw new Error(`there is no job ${name} here`)
        const jobLog = log.child({ job: name, jobId: id, attempt: attemptsMade + 1 })
        const { payload } = data as Envelope
        try {
          checkPayload(job, payload)
        } catch (error) {
          throw new UnrecoverableError((error as Error).message)
        }
        const started = performance.now()
        const result = await job.run(contextOf(job, jobLog), payload)
        jobLog.info({ milliseconds: Math.round(performance.now() - started), result }, 'job done')
      })
      worker.on('error', complain)
      worker.on('failed', (job, err) => {
        const isFinal =
          job === undefined || job.attemptsMade >= (job.opts.attempts ?? 1) || err instanceof UnrecoverableError
        log[isFinal ? 'error' : 'warn'](
          { err, job: job?.name, jobId: job?.id, attempt: job?.attemptsMade },
          isFinal ? 'job failed for good' : 'job failed; it is tried again'
        )
      })
      await worker.waitUntilReady()
      await setSchedules(queue, jobs, config.BUSINESS_TIME_ZONE)
      let isChecking = false
      const check = async () => {
        if (isClosing || isChecking) return
        isChecking = true
        try {
          const restored = await setSchedules(queue, jobs, config.BUSINESS_TIME_ZONE, { onlyMissing: true })
          if (restored.length > 0) log.warn({ restored }, 'the queue had lost its schedules; they are set again')
        } catch (error) {
          complain(error as Error)
        } finally {
          isChecking = false
        }
      }
      store.onReady(() => void check())
      checking = setInterval(() => void check(), schedulesCheckedMs).unref()
    },

    schedules: async () =>
      (await queue.getJobSchedulers())
        .map(({ key, pattern, next }) => ({
          name: key,
          pattern,
          nextAt: next === undefined ? undefined : new Date(next).toISOString()
        }))
        .toSorted((a, b) => a.name.localeCompare(b.name)),

    ping: () =>
      within(PING_LIMIT_MS, queue.getWaitingCount()).catch((cause: unknown) => {
        // Why it is not there says more than how long it was waited for.
        throw lastError ?? cause
      }),

    close: async (limitMs = 8_000) => {
      isClosing = true
      clearInterval(checking)
      if (worker !== undefined) await within(limitMs, worker.close()).catch(() => worker?.close(true))
      await within(PING_LIMIT_MS, queue.close()).catch(() => undefined)
      await store.close()
    }
  }
}

interface Store {
  backend: JobQueue['backend']
  queue: Queue
  openWorker(processor: Processor): Worker
  onError(listener: (error: Error) => void): void
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
    queue: new bound.Queue(QUEUE_NAME, {
      connection: connection(2),
      defaultJobOptions: JOB_OPTIONS
    }) as unknown as Queue,
    openWorker: (processor) =>
      new bound.Worker(QUEUE_NAME, processor, {
        connection: connection(3),
        concurrency: CONCURRENCY
      }) as unknown as Worker,
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
    queue: new Queue(QUEUE_NAME, { connection: asking, defaultJobOptions: JOB_OPTIONS }),
    openWorker: (processor) => new Worker(QUEUE_NAME, processor, { connection: waiting, concurrency: CONCURRENCY }),
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
 * Makes the schedules in the store those of `jobs`.
 * @param onlyMissing leaves those alone that are there: writing one again drops its job that is due and waits for a worker
 * @returns the names of those that were written
 */
async function setSchedules(
  queue: Queue,
  jobs: readonly Job[],
  tz: string,
  { onlyMissing = false }: { onlyMissing?: boolean } = {}
): Promise<string[]> {
  const known = new Set(onlyMissing ? (await queue.getJobSchedulers()).map(({ key }) => key) : [])
  const written: string[] = []
  for (const { name, schedule } of jobs) {
    if (schedule === undefined || known.has(name)) continue
    await queue.upsertJobScheduler(
      name,
      { pattern: schedule.pattern, tz },
      { name, data: envelope(undefined), opts: JOB_OPTIONS }
    )
    written.push(name)
  }
  const scheduled = new Set(jobs.filter(({ schedule }) => schedule !== undefined).map(({ name }) => name))
  for (const { key } of await queue.getJobSchedulers()) {
    if (!scheduled.has(key)) await queue.removeJobScheduler(key)
  }
  return written
}

/** What BullMQ carries: always an object, as one of its backends reads `null` back as `{}`. */
interface Envelope {
  payload?: unknown
}
const envelope = (payload: unknown): Envelope => (payload === undefined ? {} : { payload })

function checkPayload(job: Job, payload: unknown): void {
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
