import { systemActor } from './identity/directory.ts'
import { jobs } from './jobs.ts'
import { openContext } from './platform/context.ts'
import { openDatabase } from './platform/database.ts'
import { runProcess } from './process.ts'
import type { Service } from './service.ts'

/** Four jobs run at once, and closing a month in many warehouses takes three connections. */
const POOL_SIZE = 8

/** Starts taking jobs and keeps their schedules. Closing lets running jobs finish. */
export async function startWorker({ runtime, log }: Service, closing: AsyncDisposableStack): Promise<void> {
  // Nobody waits for a job: the self-check of a large ledger takes longer than a request may.
  const database = await openDatabase({ ...runtime.database.options, poolSize: POOL_SIZE, statementTimeoutMs: 0 })
  closing.defer(async () => {
    await runtime.queue.close()
    await database.close()
  })
  await runtime.queue.work(jobs, (_job, jobLog) => openContext({ ...runtime, database }, systemActor, jobLog))
  log.info({ jobs: jobs.length, queue: runtime.queue.backend }, 'worker ready')
}

if (import.meta.main) await runProcess(startWorker)
