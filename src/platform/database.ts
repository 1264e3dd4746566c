import { createHash } from 'node:crypto'
import { MikroORM, type Options } from '@mikro-orm/postgresql'
import { Migrator } from '@mikro-orm/migrations'
import { CompiledQuery } from 'kysely'
import { Client, type Pool } from 'pg'
import type { EntityManager } from '@mikro-orm/postgresql'
import { migrations } from '../../migrations/index.ts'

/** One SQL text that is prepared once per connection and run by name afterwards. `Row` is what one of its rows looks like. */
export interface Statement<Row> {
  readonly text: string
  readonly row?: Row
}

const statementNames = new Map<string, string>()

/** Declares a statement of the hot path. Its text is sent and planned once per connection. */
export function statement<Row>(text: string): Statement<Row> {
  statementNames.set(text, `s_${createHash('sha1').update(text).digest('hex').slice(0, 16)}`)
  return { text }
}

/**
 * The ORM inlines its parameters and never prepares. This client gives every declared statement its name, whoever
 * sends it: a prepared read costs about two thirds of an inlined one.
 */
class NamingClient extends Client {
  // The base class has one overload per calling style; the arguments only pass through.
  override query(...args: unknown[]): never {
    const [first, values] = args
    const text = typeof first === 'string' ? first : (first as { text?: string } | null)?.text
    // A cursor submits itself, unnamed.
    const isCursor = typeof (first as { submit?: unknown } | null)?.submit === 'function'
    const name = text === undefined || isCursor ? undefined : statementNames.get(text)
    const submit = super.query as (...args: unknown[]) => never
    if (name === undefined) return submit.apply(this, args)
    if (typeof first === 'string') return submit.call(this, { name, text, values }, ...args.slice(2))
    return submit.call(this, { ...(first as object), name }, ...args.slice(1))
  }
}

export interface DatabaseOptions {
  url: string
  entities: NonNullable<Options['entities']>
  poolSize: number
  /** Extra `SET`s of every connection, as in libpq's `options`; tests use it, production does not. */
  pgOptions?: string
  /** What the ORM has to say: applied migrations, broken connections. */
  log?: (message: string) => void
  /** How long the server works on one statement before it breaks it off with SQLSTATE 57014; without limit if left away. */
  statementTimeoutMs?: number
  /** Only for tests: how long a transaction may wait for its process. */
  idleTransactionMs?: number
  /** Only for tests: how often `cutHung` looks. */
  hungCheckMs?: number
}

const CONNECTION_LIMIT_MS = 5_000
const HUNG_CHECK_MS = 5_000
/**
 * A process that is frozen in the middle of a transaction (stopped, cut off from the network) would hold its locks against all others
 * for as long as its connection stands. Shorter than a lease of the outbox; longer than a download waits for whoever reads it.
 */
const IDLE_TRANSACTION_MS = 45_000

/** The pool of each configuration, for statements that are in no transaction. */
const pools = new WeakMap<object, Pool>()

export interface Database {
  orm: MikroORM
  pool: Pool
  /** What it was opened with. */
  readonly options: DatabaseOptions
  close(): Promise<void>
}

/** Connects to PostgreSQL. Nothing is queried yet. */
export async function openDatabase(given: DatabaseOptions): Promise<Database> {
  const { url, entities, poolSize, pgOptions, log = () => undefined, statementTimeoutMs = 0, hungCheckMs } = given
  const { idleTransactionMs = IDLE_TRANSACTION_MS } = given
  let pool: Pool | undefined
  const options: Options = {
    clientUrl: url,
    entities,
    pool: { min: 0, max: poolSize, idleTimeoutMillis: 30_000 },
    extensions: [Migrator],
    // The business time zone is applied by the service; the session always speaks UTC.
    driverOptions: {
      Client: NamingClient,
      options: ['-c TimeZone=UTC', pgOptions ?? ''].join(' ').trim(),
      connectionTimeoutMillis: CONNECTION_LIMIT_MS,
      ...(statementTimeoutMs > 0 && { statement_timeout: statementTimeoutMs }),
      idle_in_transaction_session_timeout: idleTransactionMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      application_name: 'bincard',
      onPoolCreated: (created: Pool) => {
        pool = created
      }
    },
    migrations: {
      migrationsList: migrations,
      tableName: 'migration',
      transactional: true,
      allOrNothing: true,
      snapshot: false
    },
    discovery: { warnWhenNoEntities: false },
    logger: log,
    colors: false,
    allowGlobalContext: false
  }
  const orm = await MikroORM.init(options)
  // The driver makes its pool when it is first asked for a client.
  orm.em.getKysely()
  if (pool === undefined) throw new Error('the driver created no connection pool')
  pools.set(orm.config, pool)
  const stopWatching = cutHung(pool, { url, log, everyMs: hungCheckMs ?? HUNG_CHECK_MS })
  return {
    orm,
    pool,
    options: given,
    close: async () => {
      stopWatching()
      await orm.close(true)
      // The query builder ends its pool only if it has sent something itself.
      if (pool?.ended === false) await pool.end()
    }
  }
}

/**
 * A server that hangs (stopped, its disk or network gone) keeps its connections open, answers nothing and breaks nothing off.
 * Whoever waits for it is told so: a connection whose query was the same at three looks in a row makes us ask on a new one, and if
 * that is not answered either, every connection that was waiting is cut. A server that answers may take as long as its own limit
 * says. Nothing is measured per query: a timer for each would be part of every request.
 */
function cutHung(pool: Pool, { url, log, everyMs }: { url: string; log: (message: string) => void; everyMs: number }) {
  const LOOKS = 3
  const clients = new Map<Client, { query: unknown; looks: number }>()
  pool.on('connect', (client) => clients.set(client as unknown as Client, { query: null, looks: 0 }))
  pool.on('remove', (client) => clients.delete(client as unknown as Client))
  let isAsking = false
  const look = async () => {
    for (const [client, seen] of clients) {
      // The driver knows what it waits for, and tells nobody else.
      const { _activeQuery: query } = client as unknown as { _activeQuery: unknown }
      seen.looks = query === null || query !== seen.query ? 0 : seen.looks + 1
      seen.query = query
    }
    const isWaiting = () => [...clients].filter(([, { query, looks }]) => query !== null && looks >= LOOKS - 1)
    if (isAsking || isWaiting().length === 0) return
    isAsking = true
    const answers = await serverAnswers(url).finally(() => (isAsking = false))
    if (answers) return
    log('the database does not answer; connections that wait for it are cut')
    for (const [client] of isWaiting()) {
      const { connection } = client as unknown as { connection: { stream: { destroy(error: Error): void } } }
      connection.stream.destroy(new Error('Connection terminated: the database does not answer'))
    }
  }
  const timer = setInterval(() => void look(), everyMs).unref()
  return () => clearInterval(timer)
}

/** Whether the server says anything at all to a newcomer, be it no. */
async function serverAnswers(connectionString: string): Promise<boolean> {
  const client = new Client({
    connectionString,
    connectionTimeoutMillis: CONNECTION_LIMIT_MS,
    application_name: 'bincard-watch'
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    client.end().catch(() => undefined)
    return true
  } catch (error) {
    client.end().catch(() => undefined)
    // A SQLSTATE: too many connections, starting up.
    return /^[0-9A-Z]{5}$/.test(String((error as { code?: unknown }).code))
  }
}

/** Brings the schema up to date, however long that takes; two processes that start together wait for each other. */
export async function migrate({ options }: Database): Promise<string[]> {
  // On connections of its own, which have no time limit.
  const database = await openDatabase({ ...options, entities: [], poolSize: 2, statementTimeoutMs: 0 })
  try {
    return await migrateOn(database)
  } finally {
    await database.close()
  }
}

async function migrateOn(database: Database): Promise<string[]> {
  const connection = await database.pool.connect()
  try {
    await connection.query('select pg_advisory_lock(7305001)')
    const applied = await database.orm.migrator.up()
    return applied.map((migration) => migration.name)
  } finally {
    await connection.query('select pg_advisory_unlock(7305001)').catch(() => undefined)
    connection.release()
  }
}

/** Where a statement runs: a unit of work, or a context, which has one and knows the pool. */
export type Scope = EntityManager | { readonly em: EntityManager; readonly pool: Pool | undefined }

/** Requests have a limit; a transaction that reads or freezes everything takes as long as it takes. */
export const NO_TIME_LIMIT = statement<never>('set local statement_timeout = 0')

/**
 * Runs a declared statement, inside the transaction of `scope` if it has one.
 * Values go out as `pg` sends them: decimals as strings, arrays as arrays, jsonb as JSON text.
 */
export async function run<Row>(scope: Scope, { text }: Statement<Row>, values: readonly unknown[]): Promise<Row[]> {
  // Outside a transaction the pool is asked directly: the query builder's way to it costs as much again as the statement
  // itself does in this process, and so does a unit of work that nothing else needs.
  const pool = 'pool' in scope ? scope.pool : poolOf(scope)
  if (pool !== undefined) return (await pool.query<Row & object>(text, [...values])).rows
  const em = 'pool' in scope ? scope.em : scope
  return (await em.getKysely().executeQuery<Row>(CompiledQuery.raw(text, [...values]))).rows
}

const poolOf = (em: EntityManager): Pool | undefined =>
  em.getTransactionContext() === undefined ? pools.get(em.config) : undefined
