import { systemActor } from './identity/directory.ts'
import { jobs } from './jobs.ts'
import { openContext } from './platform/context.ts'
import { runProcess } from './process.ts'
import type { Service } from './service.ts'

/** Starts taking jobs and keeps their schedules. The queue lets running jobs finish when the service closes it. */
export async function startWorker({ runtime, log }: Service): Promise<void> {
  await runtime.queue.work(jobs, (_job, jobLog) => openContext(runtime, systemActor, jobLog))
  log.info({ jobs: jobs.length, queue: runtime.queue.backend }, 'worker ready')
}

if (import.meta.main) await runProcess(startWorker)
