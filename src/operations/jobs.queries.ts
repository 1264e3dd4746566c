import type { Context } from '../identity/actor.ts'
import { isAdministrator, requireAdministratorToRead } from '../identity/identity.queries.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import type { Job, JobQueue } from '../platform/queue.ts'
import type { JobScheduleView, JobsQuery, JobView } from './jobs.schemas.ts'

type Row = Omit<JobView, 'progress'> & { requesterId: number; done: number | null; total: number | null }

const RUN = `
select r.id::text as id, r.name, r.state, r.done::float8 as done, r.total::float8 as total, r.attempts, r.requested_by as "requesterId",
       person.username as "requestedBy", r.requested_at::text as "requestedAt", r.started_at::text as "startedAt",
       r.finished_at::text as "finishedAt", r.payload, r.result, r.problem
  from job_run r
  join person on person.id = r.requested_by`

const ONE = statement<Row>(`${RUN} where r.id = $1::bigint`)
const PAGE = statement<Row>(`${RUN}
 where ($1::text is null or r.state = $1) and ($2::text is null or r.name = $2) and ($3::bigint is null or r.id < $3)
 order by r.id desc limit $4`)

const viewOf = (row: Row): JobView => ({
  id: row.id,
  name: row.name,
  state: row.state,
  progress: row.done === null ? null : { done: row.done, total: row.total },
  attempts: row.attempts,
  requestedBy: row.requestedBy,
  requestedAt: instant(row.requestedAt),
  startedAt: instantOrNull(row.startedAt),
  finishedAt: instantOrNull(row.finishedAt),
  payload: row.payload,
  result: row.result,
  problem: row.problem
})

/**
 * How far a run is, for whoever asked for it and for administrators.
 * @throws Refusal 404, also for a run of somebody else
 */
export async function readJob(ctx: Context, { id }: { id: string }): Promise<JobView> {
  const [row] = await run(ctx, ONE, [id])
  if (row === undefined || (row.requesterId !== ctx.actor.personId && !isAdministrator(ctx))) throw notFound('job', id)
  return viewOf(row)
}

/** Runs that people or schedules began and that are tracked, and every run that failed for good; the latest first. */
export async function listJobs(ctx: Context, { state, name, limit = 50, cursor }: JobsQuery) {
  requireAdministratorToRead(ctx)
  const [before = null] = readCursor(cursor, ['id']) ?? []
  const rows = await run(ctx, PAGE, [state ?? null, name ?? null, before, limit + 1])
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return { items: items.map(viewOf), nextCursor }
}

/**
 * The jobs that run by themselves, and when the queue will run them next.
 * @throws Refusal 503 `QueueUnavailable`
 */
export async function listJobSchedules(
  ctx: Context,
  { jobs, queue }: { jobs: readonly Job[]; queue: JobQueue | undefined }
): Promise<JobScheduleView[]> {
  requireAdministratorToRead(ctx)
  const known = new Map<string, string | undefined>()
  if (queue !== undefined) {
    const schedules = await queue.schedules().catch((cause: unknown) => {
      ctx.log.warn({ err: cause }, 'the queue does not answer')
      throw new Refusal(
        'QueueUnavailable',
        503,
        'the queue does not answer at the moment, try again in a few seconds',
        {
          retryAfterSeconds: 5
        }
      )
    })
    for (const { name, nextAt } of schedules) known.set(name, nextAt)
  }
  return jobs
    .flatMap(({ name, schedule }) =>
      schedule === undefined ? [] : [{ name, pattern: schedule.pattern, nextAt: known.get(name) ?? null }]
    )
    .toSorted((a, b) => a.name.localeCompare(b.name))
}
