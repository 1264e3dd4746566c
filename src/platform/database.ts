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
    const name = text === undefined ? undefined : statementNames.get(text)
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
}

/** The pool of each configuration, for statements that are in no transaction. */
const pools = new WeakMap<object, Pool>()

export interface Database {
  orm: MikroORM
  pool: Pool
  close(): Promise<void>
}

/** Connects to PostgreSQL. Nothing is queried yet. */
export async function openDatabase({
  url,
  entities,
  poolSize,
  pgOptions,
  log = () => undefined
}: DatabaseOptions): Promise<Database> {
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
      connectionTimeoutMillis: 5_000,
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
  return { orm, pool, close: () => orm.close(true) }
}

/** Brings the schema up to date; two processes that start together wait for each other. */
export async function migrate(database: Database): Promise<string[]> {
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

/**
 * Runs a declared statement, inside the transaction of `em` if it has one.
 * Values go out as `pg` sends them: decimals as strings, arrays as arrays, jsonb as JSON text.
 */
export async function run<Row>(
  em: EntityManager,
  { text }: Statement<Row>,
  values: readonly unknown[]
): Promise<Row[]> {
  // Outside a transaction the pool is asked directly: the query builder's way to it costs as much again as the statement
  // itself does in this process.
  const pool = em.getTransactionContext() === undefined ? pools.get(em.config) : undefined
  const { rows } =
    pool === undefined
      ? await em.getKysely().executeQuery<Row>(CompiledQuery.raw(text, [...values]))
      : await pool.query<Row & object>(text, [...values])
  return rows
}
