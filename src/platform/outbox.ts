// What must follow a commit. An event is a row that is written in the transaction of the deed; consumers draw its consequences in the
// transaction that removes the row. So in PostgreSQL everything follows exactly once, whatever becomes of the queue: a job is only the
// message that rows are waiting, and one that is lost or comes twice changes nothing.
//
// The relay leases rows and hands their ids to the queue. What it does not do: wait. A row whose job was lost is leased again when its
// lease is over, or at once when the store of the queue is known to have lost everything. Events of one subject are handled in the order
// in which they were written: none is leased before those ahead of it are gone (claim_outbox), and a batch is locked in order.
import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import type { FastifyBaseLogger } from 'fastify'
import { instant } from './clock.ts'
import { inTransaction, type Context } from './context.ts'
import { run, statement, type Scope } from './database.ts'
import { noteDeadRun, RUN_REQUESTED } from './job-runs.ts'
import { defineJob, type Job, type JobQueue } from './queue.ts'

/** Something that happened, and whose consequences are not all drawn yet. */
export interface OutboxEvent {
  id: string
  /** What it is about, `document:17`; events of one subject are handled in order. */
  subject: string
  /** Noun and past participle, `period.closed`. */
  event: string
  warehouseId: number | null
  payload: Record<string, unknown>
  occurredAt: string
}

export interface Published {
  subject: string
  event: string
  warehouseId?: number | null
  payload?: Record<string, unknown>
}

/** A job that is handed to the queue when the consequences are committed. If it gets lost, a sweep of its room finds the work. */
export interface Follow {
  job: Job
  payload?: unknown
  /** While a job of this id is known to the queue, a second one is dropped. */
  id?: string
  delayMs?: number
  /** The row of `job_run` that it works on. */
  run?: string
}

/** Draws consequences of events. */
export interface Consumer {
  name: string
  /** The events it wants, by name. */
  events: readonly string[]
  /**
   * Runs in the transaction that removes the rows, on a batch of them: what it writes happens exactly once. Those of one subject come
   * in the order in which they happened.
   */
  // The actor is identity's; the platform only hands it through.
  // oxlint-disable-next-line typescript/no-explicit-any
  handle(ctx: Context<any>, events: readonly OutboxEvent[]): Promise<readonly Follow[] | void>
}

/** Declares a consumer; `src/jobs.ts` lists it. */
export const defineConsumer = (consumer: Consumer): Consumer => consumer

const PUBLISH = statement<never>(`
insert into outbox (subject, event, warehouse_id, payload, occurred_at)
select e.subject, e.event, e.warehouse_id, e.payload, $5
  from unnest($1::text[], $2::text[], $3::int[], $4::jsonb[]) with ordinality as e (subject, event, warehouse_id, payload, place) order by place`)

/** Writes events in the transaction of the deed; what happens to documents is published by their history itself. */
export async function publish(ctx: Context, events: readonly Published[]): Promise<void> {
  if (events.length === 0) return
  await run(ctx, PUBLISH, [
    events.map(({ subject }) => subject),
    events.map(({ event }) => event),
    events.map(({ warehouseId }) => warehouseId ?? null),
    events.map(({ payload }) => JSON.stringify(payload ?? {})),
    ctx.clock.now().toString()
  ])
}

// Waits for whoever is at the same rows, and then finds them gone. Locked in the order of ids, two batches never block each other.
const TAKE = statement<OutboxEvent & { attempts: number }>(`
select id::text as id, subject, event, warehouse_id as "warehouseId", payload, occurred_at as "occurredAt", attempts
  from outbox o where id = any ($1::bigint[]) order by o.id for update`)
const REMOVE = statement<never>(`delete from outbox where id = any ($1::bigint[])`)
const FAILED = statement<{ attempts: number }>(`
update outbox set attempts = attempts + 1, problem = $2, leased_until = clock_timestamp() + make_interval(secs => least(300, 2 ^ attempts))
 where id = any ($1::bigint[]) returning attempts`)
// Neither relayed again nor overtaken by later ones of its subject, until an administrator has it tried again.
const SET_ASIDE = statement<never>(`update outbox set leased_until = 'infinity' where id = any ($1::bigint[])`)

/** A row that failed so often waits for a person: about half an hour. */
const MOST_ATTEMPTS = 12

/**
 * Draws the consequences of a batch of events: all of them in one transaction, or if that fails subject by subject, so that one that
 * cannot be handled holds up no other. What fails is tried again with growing pauses.
 * @returns what to hand to the queue
 */
export async function dispatch(
  ctx: Context,
  ids: readonly string[],
  consumers: readonly Consumer[]
): Promise<Follow[]> {
  try {
    return await handled(ctx, ids, consumers)
  } catch (error) {
    const rows = await run(ctx, BY_SUBJECT, [ids])
    if (rows.length <= 1) return setBack(ctx, ids, error)
    ctx.log.warn({ err: error, events: ids.length }, 'a batch of events failed; its subjects are handled one by one')
    const follows: Follow[] = []
    for (const { ids: some } of rows) {
      follows.push(...(await handled(ctx, some, consumers).catch((fault: unknown) => setBack(ctx, some, fault))))
    }
    return follows
  }
}

const BY_SUBJECT = statement<{ ids: string[] }>(`
select array_agg(id::text order by id) as ids from outbox where id = any ($1::bigint[]) group by subject order by min(id)`)

function handled(ctx: Context, ids: readonly string[], consumers: readonly Consumer[]): Promise<Follow[]> {
  return inTransaction(ctx, async (inner) => {
    const events = (await run(inner, TAKE, [ids])).map(({ attempts: _attempts, ...event }) => ({
      ...event,
      occurredAt: instant(event.occurredAt)
    }))
    const follows: Follow[] = []
    for (const { events: wanted, handle } of consumers) {
      const theirs = events.filter(({ event }) => wanted.includes(event))
      if (theirs.length > 0) follows.push(...((await handle(inner, theirs)) ?? []))
    }
    if (events.length > 0) await run(inner, REMOVE, [events.map(({ id }) => id)])
    return follows
  })
}

async function setBack(ctx: Context, ids: readonly string[], error: unknown): Promise<never[]> {
  const problem = error instanceof Error ? error.message : String(error)
  const [{ attempts } = { attempts: 0 }] = await run(ctx, FAILED, [ids, problem])
  const isFinal = attempts >= MOST_ATTEMPTS
  ctx.log[isFinal ? 'error' : 'warn'](
    { err: error, events: ids, attempts },
    isFinal ? 'events could not be handled; they wait for an administrator' : 'events failed; they are handled again'
  )
  if (!isFinal) return []
  await inTransaction(ctx, async (inner) => {
    await run(inner, SET_ASIDE, [ids])
    await noteDeadRun(inner, { name: DISPATCH, payload: { ids }, attempts, problem })
  })
  return []
}

export const DISPATCH = 'platform.dispatch-outbox'

/** The job that a relayed batch becomes. A second one of the same batch finds no rows. */
export const dispatchOutbox = (consumers: readonly Consumer[], queue: Pick<JobQueue, 'enqueue'>): Job =>
  defineJob({
    name: DISPATCH,
    payload: Type.Object({ ids: Type.Array(Type.String()) }),
    run: async (ctx, { ids }) => {
      const follows = await dispatch(ctx, ids, consumers)
      for (const { job, payload, ...options } of follows) {
        await queue
          .enqueue(job, payload, options)
          .catch((err: unknown) => ctx.log.warn({ err, job: job.name }, 'the queue is away; a sweep finds the work'))
      }
    }
  })

/** Hands runs that somebody asked for to the queue. The list may still grow: the job that handles events is one of it. */
export const startRequestedJobs = (jobs: readonly Job[]): Consumer =>
  defineConsumer({
    name: 'platform.start-requested-jobs',
    events: [RUN_REQUESTED],
    handle: async (_ctx, events) =>
      events.flatMap(({ payload: { job: name, run: id, payload } }) => {
        const job = jobs.find((each) => each.name === name)
        if (job === undefined) throw new Error(`there is no job ${String(name)} here`)
        return { job, ...(payload !== undefined && { payload }), run: String(id) }
      })
  })

const CLAIM = statement<{ id: string }>(
  `select id::text as id from claim_outbox($1, make_interval(secs => $2)) as claimed (id)`
)
// Not those that somebody is at, however long: a worker that is frozen in the middle of its work keeps no other from starting.
const RELEASE = statement<never>(`
update outbox set leased_until = null
 where id = any (array(select id from outbox where leased_until < 'infinity' order by id for update skip locked))`)

/** At most so many rows become one job. */
const BATCH = 200
/** A row whose job was lost is handed over again after this. Longer than any batch takes. */
const LEASE_SECONDS = 60
const IDLE_MS = 100
const AWAY_MS = 1_000

/** What the relay and its tests claim rows by. */
export const claimOutbox = async (scope: Scope, most = BATCH, leaseSeconds = LEASE_SECONDS): Promise<string[]> =>
  (await run(scope, CLAIM, [most, leaseSeconds])).map(({ id }) => id)

/** Has everything relayed again that is not handled: the store of the queue lost its jobs. */
export const releaseOutbox = (scope: Scope): Promise<never[]> => run(scope, RELEASE, [])

/**
 * Relays the outbox to the queue until it is stopped. Any number of processes may do it at once: one claims at a time.
 * @param job what a batch becomes
 * @returns what stops it, when the batch that is being handed over is
 */
export function startRelay(
  ctx: Context,
  { job, queue, log }: { job: Job; queue: Pick<JobQueue, 'enqueue'>; log: FastifyBaseLogger }
): () => Promise<void> {
  const stopping = new AbortController()
  let away = false
  const relay = async (): Promise<number> => {
    const ids = await claimOutbox(ctx)
    if (ids.length > 0) await queue.enqueue(job, { ids })
    return ids.length
  }
  const loop = async () => {
    while (!stopping.signal.aborted) {
      try {
        const relayed = await relay()
        if (away) log.info('the relay of events goes on')
        away = false
        if (relayed === BATCH) continue
      } catch (err) {
        if (!away) log.warn({ err }, 'events cannot be relayed; trying again')
        away = true
      }
      await sleep(away ? AWAY_MS : IDLE_MS, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const running = loop()
  return async () => {
    stopping.abort()
    await running
  }
}
