import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyBaseLogger } from 'fastify'
import { ConfigurationFault, readConfig, type Config } from './platform/config.ts'
import { openLog } from './platform/log.ts'
import { requireAddress } from './require-address.ts'
import { openService, type Service } from './service.ts'

/** After this a process that still drains is cut off: HTTP has 8 s, running jobs 8 s, the embedded database 10 s. */
const SHUTDOWN_LIMIT_MS = 30_000

/** How long a start that is under way is waited for at shutdown: initdb takes about a second. */
const START_GRACE_MS = 5_000

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
const SAME_SIGNAL_MS = 1_000

/**
 * The life of a process: configuration, database, `start`, and at SIGTERM, SIGINT or a failure nobody caught everything
 * closed in reverse order. Exits 0 after a signal, 1 after a failure; a second signal cuts the draining short.
 * @param start opens what this process is for, and defers its closing
 * @param listens whether that is the API: an address on which it cannot listen is said before anything is opened
 */
export async function runProcess(
  start: (service: Service, closing: AsyncDisposableStack) => Promise<void>,
  { listens = false }: { listens?: boolean } = {}
): Promise<void> {
  const config = configOrExit()
  if (listens) await requireAddress(config).catch(sayAndExit)
  const log = await openLog(config)
  const closing = new AsyncDisposableStack()
  const starting = openService(config, log, closing, { hasTimeLimits: true }).then((service) => start(service, closing))
  const { close } = closeWithGrace(
    { delay: SHUTDOWN_LIMIT_MS, logger: log, skip: [...SIGNALS] },
    async ({ signal, err }) => {
      if (err !== undefined) log.fatal({ err }, 'unexpected failure; shutting down')
      else if (signal !== undefined) log.info({ signal }, 'shutting down')
      // A database that is just being started could not be stopped yet.
      await Promise.race([starting.catch(() => undefined), sleep(START_GRACE_MS, undefined, { ref: false })])
      await closing.disposeAsync()
      log.info('everything is closed')
    }
  )
  onSignal(log, () => close())
  try {
    await starting
  } catch (error) {
    log.fatal({ err: error }, 'the service did not start')
    sayFault(error)
    await closing.disposeAsync().catch((err: unknown) => log.error({ err }, 'closing failed'))
    process.exit(1)
  }
}

const sayFault = (error: unknown): boolean =>
  process.stderr.write(`\nbincard did not start: ${(error as Error).message}\n`)

function sayAndExit(error: unknown): never {
  sayFault(error)
  process.exit(1)
}

/**
 * The first signal shuts down, one that comes later cuts the draining short. A terminal, npm and a supervisor often pass on
 * the same signal, so that it arrives twice at once; that counts as one.
 */
function onSignal(log: FastifyBaseLogger, shutDown: () => void): void {
  let first: number | undefined
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (first === undefined) {
        first = performance.now()
        log.info({ signal }, 'shutting down')
        shutDown()
      } else if (performance.now() - first > SAME_SIGNAL_MS) {
        log.error({ signal }, 'cut off by a second signal')
        process.exit(1)
      }
    })
  }
}

/** The configuration; a wrong one is a message for a person, not a stack. */
export function configOrExit(): Config {
  try {
    return readConfig()
  } catch (error) {
    if (!(error instanceof ConfigurationFault)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}
