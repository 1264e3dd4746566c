import type { EntityManager } from '@mikro-orm/postgresql'
import { run, statement } from '../platform/database.ts'
import type { Context } from '../identity/actor.ts'

const ENSURE = statement<{ made: boolean }>(`select ensure_movement_partition($1) as made`)

/** Months known to exist, per database. */
const known = new WeakMap<object, Set<string>>()

/**
 * Makes sure that movements of the month of `day` have their partition. Costs nothing once a month is known.
 * It works in a transaction of its own: call it before a transaction writes slips.
 */
export async function ensureMonth(ctx: Context, day: string): Promise<void> {
  const month = day.slice(0, 7)
  const months = monthsOf(ctx.em)
  if (months.has(month)) return
  await run(ctx.em.fork({ clear: true }), ENSURE, [`${month}-01`])
  months.add(month)
}

function monthsOf(em: EntityManager): Set<string> {
  const connection = em.getConnection()
  const months = known.get(connection) ?? new Set()
  known.set(connection, months)
  return months
}

/** Partitions of this month and the two after it. A second run finds them there. */
export async function prepareMonths(ctx: Context): Promise<void> {
  const today = Temporal.PlainDate.from(ctx.clock.today())
  for (const months of [0, 1, 2]) await ensureMonth(ctx, today.add({ months }).toString())
}
