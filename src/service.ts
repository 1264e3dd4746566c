import path from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { entities } from './orm.ts'
import { systemActor } from './identity/directory.ts'
import { prepareMonths } from './ledger/movement-partitions.ts'
import { systemClock } from './platform/clock.ts'
import type { Config } from './platform/config.ts'
import { openContext, type Runtime } from './platform/context.ts'
import { migrate, openDatabase } from './platform/database.ts'
import { readOrMake, startEmbeddedPostgres } from './platform/embedded-postgres.ts'
import { migrateQueue, openQueue, type JobQueue } from './platform/queue.ts'
import { databaseFault, dataFolderFault, orSay, queueFault } from './start-fault.ts'
import { randomBytes } from 'node:crypto'

/** What every process of the service stands on: a migrated database, the queue, the clock. */
export interface Service {
  runtime: Runtime & { readonly queue: JobQueue }
  log: FastifyBaseLogger
  /** True on the embedded database, false on a configured DATABASE_URL. */
  isEmbedded: boolean
}

/** The folder of the embedded database and of what is generated once: `.bincard` where the service was started, or DATA_DIR. */
export const dataFolder = ({ DATA_DIR }: Pick<Config, 'DATA_DIR'>): string => path.resolve(DATA_DIR ?? '.bincard')

/** The password of the sample accounts: the one that is configured, else a random one that is kept in the data folder. */
export const samplePassword = async (config: Pick<Config, 'DATA_DIR' | 'SAMPLE_PASSWORD'>): Promise<string> =>
  config.SAMPLE_PASSWORD ??
  (await readOrMake(path.join(dataFolder(config), 'sample-password'), () => randomBytes(9).toString('base64url')))

/**
 * Opens the database (the embedded one without DATABASE_URL), brings its schema up to date and connects to the queue.
 * @param closing what was opened is closed with it, in reverse order, also if a later step fails
 * @param hasTimeLimits for processes that serve others, whom a statement without end would keep waiting; a command line takes its time
 */
export async function openService(
  given: Config,
  log: FastifyBaseLogger,
  closing: AsyncDisposableStack,
  { hasTimeLimits = false }: { hasTimeLimits?: boolean } = {}
): Promise<Service> {
  const { config, databaseUrl } =
    given.DATABASE_URL === undefined
      ? await onEmbedded(given, log, closing)
      : { config: given, databaseUrl: given.DATABASE_URL }
  const database = await openDatabase({
    url: databaseUrl,
    entities,
    poolSize: config.DATABASE_POOL_SIZE,
    statementTimeoutMs: hasTimeLimits ? config.STATEMENT_TIMEOUT_SECONDS * 1_000 : 0,
    log: (message) => log.debug(message)
  })
  closing.defer(() => database.close())
  const applied = await orSay(migrate(database), (cause) => databaseFault(databaseUrl, cause))
  if (applied.length > 0) log.info({ applied }, 'schema brought up to date')
  if (config.REDIS_URL === undefined) await orSay(migrateQueue(database), (cause) => databaseFault(databaseUrl, cause))
  const queue = openQueue({ config, databaseUrl, log })
  closing.defer(() => queue.close())
  await orSay(queue.ping(), (cause) => queueFault(config.REDIS_URL, cause))
  const runtime = { database, queue, config, clock: systemClock(config.BUSINESS_TIME_ZONE) }
  // Known from the start, so that no request has to look for the partition of its month.
  await prepareMonths(openContext(runtime, systemActor, log))
  return {
    runtime,
    log,
    isEmbedded: given.DATABASE_URL === undefined
  }
}

async function onEmbedded(given: Config, log: FastifyBaseLogger, closing: AsyncDisposableStack) {
  const dataDir = dataFolder(given)
  const postgres = await orSay(startEmbeddedPostgres({ dataDir, log }), (cause) => dataFolderFault(dataDir, cause))
  closing.defer(() => postgres.stop())
  const secret =
    given.JWT_SECRET ??
    (await readOrMake(path.join(dataDir, 'jwt-secret'), () => randomBytes(48).toString('base64url')))
  return { config: { ...given, JWT_SECRET: secret }, databaseUrl: postgres.url() }
}
