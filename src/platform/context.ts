import type { EntityManager } from '@mikro-orm/postgresql'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { Database } from './database.ts'
import type { JobQueue } from './queue.ts'

/** What every verb and query is given: where the data is, what time it is, who asks. */
export interface Context<Actor = unknown> {
  /** The unit of work of this request, or of the transaction it is in. Forked when it is first asked for: many requests need none. */
  readonly em: EntityManager
  readonly database: Database
  /** Where declared statements go straight to; undefined inside a transaction, which has a connection of its own. */
  readonly pool: Database['pool'] | undefined
  readonly actor: Actor
  readonly clock: Clock
  readonly config: Config
  readonly log: FastifyBaseLogger
}

/** What a process holds for as long as it lives. */
export interface Runtime {
  readonly database: Database
  readonly clock: Clock
  readonly config: Config
  /** Where jobs are handed in; a process that only serves HTTP in a test has none. */
  readonly queue?: JobQueue
}

/** A context with a unit of work of its own. */
export function openContext<Actor>(runtime: Runtime, actor: Actor, log: FastifyBaseLogger): Context<Actor> {
  let em: EntityManager | undefined
  return {
    get em() {
      return (em ??= runtime.database.orm.em.fork() as EntityManager)
    },
    database: runtime.database,
    pool: runtime.database.pool,
    actor,
    clock: runtime.clock,
    config: runtime.config,
    log
  }
}

/** The same context inside another unit of work. */
export const within = <C extends Context>(ctx: C, em: EntityManager): C =>
  Object.create(ctx, { em: { value: em, enumerable: true }, pool: { value: undefined, enumerable: true } }) as C

/** Runs `work` in one transaction: all of it happens or none. Nested calls become savepoints. */
export const inTransaction = <C extends Context, Result>(ctx: C, work: (ctx: C) => Promise<Result>): Promise<Result> =>
  ctx.em.transactional((em) => work(within(ctx, em)))
