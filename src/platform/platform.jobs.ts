import { run, statement } from './database.ts'
import { purgeRuns, resumeRuns } from './job-runs.ts'
import { defineJob } from './queue.ts'

// An idempotency key has had its time if and only if it was claimed more than 24 hours ago (R-ERR-2). Batches keep the
// transactions short. A run of a job is forgotten if and only if it was done more than 90 days ago. What is gone is gone: a second run
// finds nothing.
const PURGE_KEYS = statement<{ purged: number }>(`
with old as (
  select ctid from idempotency_key where claimed_at < $1 limit 10000
), gone as (
  delete from idempotency_key where ctid = any (array(select ctid from old)) and claimed_at < $1 returning 1
)
select count(*)::int as purged from gone`)

export const purge = defineJob({
  name: 'platform.purge',
  schedule: { pattern: '20 3 * * *' },
  run: async (ctx) => {
    const before = ctx.clock.now().subtract({ hours: 24 }).toString()
    let idempotencyKeys = 0
    for (;;) {
      const [batch] = await run(ctx.em, PURGE_KEYS, [before])
      if (batch === undefined || batch.purged === 0) break
      idempotencyKeys += batch.purged
    }
    const jobRuns = await purgeRuns(
      ctx,
      ctx.clock
        .now()
        .subtract({ hours: 90 * 24 })
        .toString()
    )
    return { idempotencyKeys, jobRuns }
  }
})

// Begins anew the runs of which nothing was heard for a minute (src/platform/job-runs.ts says which). A second sweep finds them heard of.
export const resumeJobRuns = defineJob({
  name: 'platform.resume-job-runs',
  schedule: { pattern: '* * * * *' },
  run: (ctx) => resumeRuns(ctx)
})
