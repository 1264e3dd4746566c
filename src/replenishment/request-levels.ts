import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { requestJob } from '../platform/job-runs.ts'
import { computeReorderLevels } from './reorder.jobs.ts'

/**
 * Asks for a computation of all levels before its night.
 * @returns the id of the job
 * @throws Refusal 403
 */
export async function requestLevels(ctx: Context, { full = false }: { full?: boolean | undefined }): Promise<string> {
  requireDutyEverywhere(ctx, 'stock-controller')
  return inTransaction(ctx, async (inner) => {
    const job = await requestJob(inner, computeReorderLevels, { full })
    await recordAudit(inner, 'reorder-levels.requested', `job:${job}`, { full })
    return job
  })
}
