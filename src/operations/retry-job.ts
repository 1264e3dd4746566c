import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { Refusal } from '../platform/errors.ts'
import { requeueRun } from '../platform/job-runs.ts'
import { readJob } from './jobs.queries.ts'
import type { JobView } from './jobs.schemas.ts'

/**
 * Has a dead run tried again, from its first attempt, by the version of the service that runs now.
 * @throws Refusal 403, 404, 409 `JobNotDead`
 */
export async function retryJob(ctx: Context, { id }: { id: string }): Promise<JobView> {
  requireDutyEverywhere(ctx, 'administrator')
  return inTransaction(ctx, async (ctx) => {
    if (!(await requeueRun(ctx, id))) {
      const { name, state } = await readJob(ctx, { id })
      throw new Refusal('JobNotDead', 409, `job ${id} (${name}) is ${state}; only a dead one is tried again`, {
        extra: { state }
      })
    }
    const job = await readJob(ctx, { id })
    await recordAudit(ctx, 'job.retried', `job:${id}`, { name: job.name })
    return job
  })
}
