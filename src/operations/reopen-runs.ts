import type { Job as QueuedJob } from 'bullmq'
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'

// The row of a failed job: the run it worked on, the slot of its schedule, or, for a job that had no row until it was dead, the last one
// that was given the same.
const REOPEN = statement<{ place: number; id: string }>(`
with failed as (
  select f.place,
         (select r.id from job_run r
           where r.state = 'dead'
             and case when f.run is not null then r.id = f.run::bigint
                      else r.slot = f.slot or (r.slot is null and r.name = f.name and r.payload is not distinct from f.payload) end
           order by r.slot is null, r.id desc limit 1) as run_id
    from unnest($1::text[], $2::jsonb[], $3::text[], $4::text[]) with ordinality as f (name, payload, run, slot, place)
), reopened as (
  update job_run set state = 'queued', attempts = 0, finished_at = null, problem = null, seen_at = clock_timestamp(), slot = null
   where state = 'dead' and id = any (array(select run_id from failed))
  returning id
)
select place::int as place, run_id::text as id from failed where run_id is not null order by place`)

/**
 * Before the queue itself tries failed jobs again: their dead runs are queued, and the jobs say which they are. Without it a worker
 * would find the run ended and do nothing.
 */
export async function reopenRuns(ctx: Context, failed: readonly QueuedJob[]): Promise<void> {
  const given = failed.map(({ data }) => data as { payload?: unknown; run?: string })
  const reopened = await run(ctx, REOPEN, [
    failed.map(({ name }) => name),
    given.map(({ payload }) => (payload === undefined ? null : JSON.stringify(payload))),
    given.map((envelope) => envelope.run ?? null),
    failed.map(({ id }) => id ?? null)
  ])
  for (const { place, id } of reopened) await failed[place - 1]?.updateData({ ...given[place - 1], run: id })
}
