// Runs of jobs that somebody may ask about, in PostgreSQL: what the queue forgets is known here. A run is begun anew if and only if it
// is not finished and nothing was heard of it for a minute: its job was lost with the queue's store, or its worker died. What only waited
// for a worker all that time is in the queue more than once then, so a run that another worker is at is left to it. Jobs are safe to run
// twice, so a worker that was only slow does no harm.
import { setInterval } from 'node:timers'
import type { Context } from './context.ts'
import { run, statement } from './database.ts'
import type { Job } from './queue.ts'

export const RUN_STATES = ['queued', 'running', 'done', 'dead'] as const
export type RunState = (typeof RUN_STATES)[number]

/** The event that starts a run; its consumer hands it to the queue. */
export const RUN_REQUESTED = 'job.requested'

/** The event that starts each of some rows `r` of `job_run`, written in the statement that queues them. */
const announced = (rows: string, at: string): string => `
  insert into outbox (subject, event, payload, occurred_at)
  select 'job:' || r.id, '${RUN_REQUESTED}', jsonb_strip_nulls(jsonb_build_object('job', r.name, 'run', r.id::text, 'payload', r.payload)), ${at}::timestamptz
    from ${rows} order by r.id`

// Both in one statement, in the transaction of whoever asks.
const REQUEST = statement<{ id: string }>(`
with requested as (
  insert into job_run (name, payload, state, requested_by, requested_at) values ($1, $2::jsonb, 'queued', $3, $4) returning id, name, payload
), published as (${announced('requested r', '$4')}
)
select id::text as id from requested`)

/**
 * Asks for a run of a tracked job. It starts after the commit.
 * @returns its id, for `GET /v1/jobs/{id}`
 */
export async function requestJob(ctx: Context<{ personId: number }>, job: Job, payload?: unknown): Promise<string> {
  const [requested] = await run(ctx, REQUEST, [
    job.name,
    payload === undefined ? null : JSON.stringify(payload),
    ctx.actor.personId,
    ctx.clock.now().toString()
  ])
  if (requested === undefined) throw new Error('a run that is written has an id')
  return requested.id
}

const HEARTBEAT_MS = 15_000
const PROGRESS_MS = 500
/** A worker that was heard of within this is at it: a little more than a heartbeat, and less than it takes the queue to give up a dead one. */
const ALIVE_SECONDS = 20

// A slot that was run to its end is not run again, and neither is a run.
const IS_FREE = `(r.state = 'queued' or (r.state = 'running' and r.seen_at < clock_timestamp() - interval '${ALIVE_SECONDS} seconds'))`
const BEGIN_RUN = statement<{ id: string }>(`
update job_run r set state = 'running', started_at = coalesce(started_at, $2), attempts = attempts + 1, seen_at = clock_timestamp(), problem = null
 where id = $1::bigint and ${IS_FREE} returning id::text as id`)
const BEGIN_SLOT = statement<{ id: string }>(`
insert into job_run as r (name, payload, state, requested_by, requested_at, started_at, attempts, slot)
values ($1, $2::jsonb, 'running', $3, $4, $4, 1, $5)
on conflict (slot) do update set state = 'running', attempts = r.attempts + 1, seen_at = clock_timestamp(), problem = null where ${IS_FREE}
returning id::text as id`)
const SEEN = statement<never>(
  `update job_run set seen_at = clock_timestamp() where id = $1::bigint and state = 'running'`
)
const PROGRESS = statement<never>(
  `update job_run set done = $2, total = coalesce($3, total), seen_at = clock_timestamp() where id = $1::bigint and state = 'running'`
)
const END = statement<never>(`
update job_run set state = 'done', finished_at = $2, result = $3::jsonb, done = coalesce($4, done), total = coalesce($5, total), seen_at = clock_timestamp()
 where id = $1::bigint and state in ('queued', 'running')`)
const FAIL = statement<never>(`
update job_run set state = $2, finished_at = case when $2 = 'dead' then $3::timestamptz end, problem = $4, seen_at = clock_timestamp()
 where id = $1::bigint and state in ('queued', 'running')`)

/** Tells how far a job is, of how much; written down twice a second at most. */
export type Progress = (done: number, total?: number) => Promise<void>

/**
 * Runs a tracked job under its row: `running` with a heartbeat, then `done` with what it answered.
 * @param run the row, where somebody asked for it; else `slot` names the run of a schedule
 * @returns what the job answered; undefined where the run had ended already, or another worker is at it
 */
export async function runTracked<Result>(
  ctx: Context<{ personId: number }>,
  { name, payload, run: given, slot }: { name: string; payload: unknown; run: string | undefined; slot: string },
  work: (progress: Progress) => Promise<Result>
): Promise<{ id: string; result: Result } | undefined> {
  const at = ctx.clock.now().toString()
  const [begun] =
    given === undefined
      ? await run(ctx, BEGIN_SLOT, [
          name,
          payload === undefined ? null : JSON.stringify(payload),
          ctx.actor.personId,
          at,
          slot
        ])
      : await run(ctx, BEGIN_RUN, [given, at])
  if (begun === undefined) return undefined
  const { id } = begun
  let figures: [done: number | null, total: number | null] = [null, null]
  let written = 0
  const progress: Progress = async (done, total) => {
    figures = [done, total ?? figures[1]]
    if (performance.now() - written < PROGRESS_MS) return
    written = performance.now()
    await run(ctx, PROGRESS, [id, ...figures])
  }
  const heartbeat = setInterval(() => void run(ctx, SEEN, [id]).catch(() => undefined), HEARTBEAT_MS)
  try {
    const result = await work(progress)
    await run(ctx, END, [id, ctx.clock.now().toString(), JSON.stringify(result ?? null), ...figures])
    return { id, result }
  } catch (error) {
    throw Object.assign(error as Error, { jobRun: id })
  } finally {
    clearInterval(heartbeat)
  }
}

/** Notes that a run failed, for good or until it is tried again. */
export async function noteFailedRun(
  ctx: Context,
  id: string,
  { isFinal, problem }: { isFinal: boolean; problem: string }
) {
  await run(ctx, FAIL, [id, isFinal ? 'dead' : 'queued', ctx.clock.now().toString(), problem])
}

const DEAD = statement<never>(`
insert into job_run (name, payload, state, requested_by, requested_at, started_at, finished_at, attempts, problem)
values ($1, $2::jsonb, 'dead', 0, $3, $3, $3, $4, $5)`)

/** Writes down a job that failed for good and has no row yet, so that it is seen and can be retried. */
export async function noteDeadRun(
  ctx: Context,
  { name, payload, attempts, problem }: { name: string; payload: unknown; attempts: number; problem: string }
): Promise<void> {
  await run(ctx, DEAD, [
    name,
    payload === undefined ? null : JSON.stringify(payload),
    ctx.clock.now().toString(),
    attempts,
    problem
  ])
}

const MOST_BEGINNINGS = 6
// Published anew in the statement that claims them, so that two sweeps at once do it once. What was begun too often kills its workers.
const RESUME = statement<{ resumed: number; dead: number }>(`
with silent as (
  select id, name, payload, attempts from job_run
   where state in ('queued', 'running')
     and seen_at < clock_timestamp() - make_interval(secs => case when state = 'running' then greatest($2, ${ALIVE_SECONDS}) else $2 end)
   order by id for update skip locked
), noted as (
  update job_run r
     set seen_at = clock_timestamp(), state = case when s.attempts >= ${MOST_BEGINNINGS} then 'dead' else 'queued' end,
         finished_at = case when s.attempts >= ${MOST_BEGINNINGS} then $1::timestamptz end,
         problem = case when s.attempts >= ${MOST_BEGINNINGS} then coalesce(r.problem, 'its worker died each time') else r.problem end
    from silent s where r.id = s.id
  returning r.id, r.state
), published as (${announced(`silent r where r.attempts < ${MOST_BEGINNINGS}`, '$1')}
)
select count(*) filter (where state = 'queued')::int as resumed, count(*) filter (where state = 'dead')::int as dead from noted`)

/** Has runs begun anew of which nothing was heard; `silentSeconds` 0 takes all that no worker is at. */
export async function resumeRuns(ctx: Context, { silentSeconds = 60 }: { silentSeconds?: number } = {}) {
  const [resumed] = await run(ctx, RESUME, [ctx.clock.now().toString(), silentSeconds])
  return resumed ?? { resumed: 0, dead: 0 }
}

const REQUEUE = statement<{ id: string }>(`
with requeued as (
  update job_run set state = 'queued', attempts = 0, finished_at = null, problem = null, seen_at = clock_timestamp(), slot = null
   where id = $1::bigint and state = 'dead' returning id, name, payload
), published as (${announced('requeued r', '$2')}
)
select id::text as id from requeued`)

/** Has a dead run tried again, from its first attempt; false if it is not dead. */
export const requeueRun = async (ctx: Context, id: string): Promise<boolean> =>
  (await run(ctx, REQUEUE, [id, ctx.clock.now().toString()])).length > 0

const PURGE = statement<{ purged: number }>(`
with gone as (delete from job_run where state = 'done' and finished_at < $1 returning 1) select count(*)::int as purged from gone`)

/** Forgets runs that were done before an instant; dead ones stay until somebody has seen to them. */
export const purgeRuns = async (ctx: Context, before: string): Promise<number> =>
  (await run(ctx, PURGE, [before]))[0]?.purged ?? 0
