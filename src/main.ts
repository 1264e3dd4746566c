import { banner } from './banner.ts'
import { hasAdministrator } from './identity/administrators.ts'
import { systemActor } from './identity/directory.ts'
import { inTransaction, openContext } from './platform/context.ts'
import { runProcess } from './process.ts'
import { openSample } from './sample/load-sample.ts'
import { startServer } from './server.ts'
import { samplePassword, type Service } from './service.ts'
import { startWorker } from './worker.ts'

// `npm start`: API and worker in one process. An empty embedded database is filled with the sample company first; a configured
// one never is.
await runProcess(start, { listens: true })

async function start(service: Service, closing: AsyncDisposableStack): Promise<void> {
  const { runtime, log, isEmbedded } = service
  const sample = isEmbedded
    ? await openSample(runtime, { password: () => samplePassword(runtime.config), log })
    : undefined
  // Closed in reverse order: the last requests may still hand in jobs.
  await startWorker(service, closing)
  const url = await startServer(service, closing)
  const ctx = openContext(runtime, systemActor, log)
  const isWithoutAdministrator = !(await inTransaction(ctx, hasAdministrator))
  process.stdout.write(banner({ url, sample, isWithoutAdministrator }))
}
