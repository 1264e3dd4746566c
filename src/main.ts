import { banner } from './banner.ts'
import { runProcess } from './process.ts'
import { startServer } from './server.ts'
import { startWorker } from './worker.ts'

// `npm start`: API and worker in one process.
await runProcess(async (service, closing) => {
  const url = await startServer(service, closing)
  await startWorker(service)
  if (service.isEmbedded) process.stdout.write(banner({ url }))
})
