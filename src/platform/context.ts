import type { EntityManager } from '@mikro-orm/postgresql'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { Database } from './database.ts'
import type { JobQueue } from './queue.ts'

/** What every verb and query is given: where the data is, what time it is, who asks. */
export interface Context<Actor = unknown> {
  /** The unit of work of this request, or of the transaction it is in. */
  readonly em: EntityManager
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

/** A context with a unit of work of its own, forked when first used: most requests of the hot path still need one, health checks do not. */
export function openContext<Actor>(runtime: Runtime, actor: Actor, log: FastifyBaseLogger): Context<Actor> {
  let em: EntityManager | undefined
  return {
    get em() {
      return (em ??= runtime.database.orm.em.fork() as EntityManager)
    },
    actor,
    clock: runtime.clock,
    config: runtime.config,
    log
  }
}

/** The same context inside another unit of work. */
export const within = <C extends Context>(ctx: C, em: EntityManager): C =>
  Object.create(ctx, { em: { value: em, enumerable: true } }) as C

/** Runs `work` in one transaction: all of it happens or none. Nested calls become savepoints. */
export const inTransaction = <C extends Context, Result>(ctx: C, work: (ctx: C) => Promise<Result>): Promise<Result> =>
  ctx.em.transactional((em) => work(within(ctx, em)))
