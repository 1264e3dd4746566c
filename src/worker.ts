import { systemActor } from './identity/directory.ts'
import { consumers, jobs } from './jobs.ts'
import { openContext } from './platform/context.ts'
import { openDatabase } from './platform/database.ts'
import { resumeRuns } from './platform/job-runs.ts'
import { dispatchOutbox, releaseOutbox, startRelay, startRequestedJobs } from './platform/outbox.ts'
import type { Job } from './platform/queue.ts'
import { runProcess } from './process.ts'
import type { Service } from './service.ts'

/** Some hundred jobs run at once at most, nearly all of them waiting for receivers; closing a month in many warehouses takes three connections. */
const POOL_SIZE = 12

/** Starts relaying events and taking jobs, and keeps their schedules. Closing lets running jobs finish. */
export async function startWorker({ runtime, log }: Service, closing: AsyncDisposableStack): Promise<void> {
  // Nobody waits for a job: the self-check of a large ledger takes longer than a request may.
  const database = await openDatabase({ ...runtime.database.options, poolSize: POOL_SIZE, statementTimeoutMs: 0 })
  closing.defer(async () => {
    await runtime.queue.close()
    await database.close()
  })
  const { queue } = runtime
  const contextOf = (jobLog: Service['log']) => openContext({ ...runtime, database }, systemActor, jobLog)
  const ctx = contextOf(log)
  const all: Job[] = [...jobs]
  const dispatching = dispatchOutbox([startRequestedJobs(all), ...consumers], queue)
  all.push(dispatching)
  // What the queue was given and may have lost is given to it again; what was handled meanwhile is no longer there.
  const startAnew = async () => {
    await releaseOutbox(ctx)
    await resumeRuns(ctx, { silentSeconds: 0 })
  }
  await queue.work(all, contextOf, startAnew)
  await releaseOutbox(ctx)
  closing.defer(startRelay(ctx, { job: dispatching, queue, log }))
  log.info({ jobs: all.length, queue: queue.backend }, 'worker ready')
}

if (import.meta.main) await runProcess(startWorker)
