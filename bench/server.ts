// Where a benchmark runs that was given no server: one of its own, as durable as in production.
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startEmbeddedPostgres } from '../src/platform/embedded-postgres.ts'

/** The URL of an embedded PostgreSQL in a temporary folder; both are gone when `closing` is disposed. */
export async function embedded(closing: AsyncDisposableStack): Promise<string> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'bincard-bench-'))
  await chmod(dataDir, 0o755)
  closing.defer(() => rm(dataDir, { recursive: true, force: true }))
  const server = await startEmbeddedPostgres({
    dataDir,
    log: {
      info: () => undefined,
      warn: () => undefined,
      error: (_details, message) => process.stderr.write(`${message}\n`)
    }
  })
  closing.defer(() => server.stop())
  return server.url()
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
