import { consumers, jobs } from '../../src/jobs.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { runTracked } from '../../src/platform/job-runs.ts'
import { claimOutbox, dispatch, startRequestedJobs, type Consumer, type Follow } from '../../src/platform/outbox.ts'
import type { Job } from '../../src/platform/queue.ts'
import type { Harness } from './harness.ts'

/** Calls a job as a worker does; a tracked one under its row. Answers what the job answers. */
export async function runJob(
  h: Pick<Harness, 'contextOf'>,
  job: Job,
  payload?: unknown,
  { run }: { run?: string | undefined } = {}
): Promise<unknown> {
  const ctx = h.contextOf(systemActor)
  if (job.isTracked !== true && run === undefined) return job.run(ctx, payload, async () => undefined)
  const slot = `test-${Temporal.Now.instant().epochNanoseconds}`
  const ended = await runTracked(ctx, { name: job.name, payload, run, slot }, (progress) =>
    job.run(ctx, payload, progress)
  )
  return ended?.result
}

/**
 * Relays the outbox without a queue until nothing is left, and runs the jobs that follow, at once.
 * @param only these consumers instead of all that the service has
 * @returns the names of the jobs that followed
 */
export async function relayed(
  h: Pick<Harness, 'contextOf'>,
  { only = consumers, runsJobs = true }: { only?: readonly Consumer[]; runsJobs?: boolean } = {}
): Promise<string[]> {
  const ctx = h.contextOf(systemActor)
  const followed: string[] = []
  for (;;) {
    const ids = await claimOutbox(ctx)
    if (ids.length === 0) return followed
    const follows: Follow[] = await dispatch(ctx, ids, [startRequestedJobs(jobs), ...only])
    for (const { job, payload, run } of follows) {
      followed.push(job.name)
      if (runsJobs) await runJob(h, job, payload, { run })
    }
  }
}
