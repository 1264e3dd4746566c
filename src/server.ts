import { buildApp } from './app.ts'
import { runProcess } from './process.ts'
import type { Service } from './service.ts'
import { listenFault, orSay } from './start-fault.ts'

/** Requests that are not answered by then are cut off at shutdown. */
const DRAIN_LIMIT_MS = 8_000

/**
 * Starts the API on PORT. Closing lets requests that were begun finish.
 * @returns its URL as this machine sees it
 */
export async function startServer({ runtime, log }: Service, closing: AsyncDisposableStack): Promise<string> {
  const { HOST: host, PORT: port } = runtime.config
  const app = await buildApp(runtime, { logger: log })
  closing.defer(async () => {
    const cutOff = setTimeout(() => app.server.closeAllConnections(), DRAIN_LIMIT_MS)
    await app.close()
    clearTimeout(cutOff)
  })
  await orSay(app.listen({ host, port, listenTextResolver: (address) => `listening at ${address}` }), (cause) =>
    listenFault(runtime.config, cause)
  )
  const address = app.server.address()
  const heard = typeof address === 'object' && address !== null ? address.port : port
  return `http://${host === '0.0.0.0' || host === '::' ? 'localhost' : host}:${heard}`
}

if (import.meta.main) {
  await runProcess(
    async (service, closing) => {
      await startServer(service, closing)
    },
    { listens: true }
  )
}
