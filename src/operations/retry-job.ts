import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { Refusal } from '../platform/errors.ts'
import { requeueRun } from '../platform/job-runs.ts'
import { DISPATCH } from '../platform/outbox.ts'
import type { Job } from '../platform/queue.ts'
import { readJob } from './jobs.queries.ts'
import type { JobView } from './jobs.schemas.ts'

/**
 * Has a dead run tried again, from its first attempt, by the version of the service that runs now.
 * @param jobs those that this version of the service has
 * @throws Refusal 403, 404, 409 `JobNotDead` or `JobUnknown`
 */
export async function retryJob(
  ctx: Context,
  { id }: { id: string },
  jobs: readonly Pick<Job, 'name'>[]
): Promise<JobView> {
  requireDutyEverywhere(ctx, 'administrator')
  return inTransaction(ctx, async (ctx) => {
    if (!(await requeueRun(ctx, id))) {
      const { name, state } = await readJob(ctx, { id })
      throw new Refusal('JobNotDead', 409, `job ${id} (${name}) is ${state}; only a dead one is tried again`, {
        extra: { state }
      })
    }
    const job = await readJob(ctx, { id })
    if (job.name !== DISPATCH && !jobs.some(({ name }) => name === job.name)) {
      throw new Refusal(
        'JobUnknown',
        409,
        `there is no job ${job.name} in this version of the service; what an older one left undone is not tried again`
      )
    }
    await recordAudit(ctx, 'job.retried', `job:${id}`, { name: job.name })
    return job
  })
}
