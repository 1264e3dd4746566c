import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { requestJob } from '../platform/job-runs.ts'
import { proposeReordersNightly } from './proposals.jobs.ts'

/**
 * Has all positions looked at now, in the background.
 * @returns the run, for `GET /v1/jobs/{id}`
 */
export async function requestProposals(ctx: Context): Promise<{ job: string }> {
  requireDutyEverywhere(ctx, ['purchaser', 'stock-controller'])
  return { job: await inTransaction(ctx, (inner) => requestJob(inner, proposeReordersNightly)) }
}
