import { run, statement } from '../platform/database.ts'
import type { Context } from '../identity/actor.ts'

const ENSURE = statement<{ made: boolean }>(`select ensure_movement_partition($1) as made`)

/** Months known to be there, committed, per database. */
const known = new WeakMap<object, Set<string>>()

/**
 * Makes sure that movements of the month of `day` have their partition. Costs nothing once a month is known.
 *
 * It stays on the connection of the context: a burst of requests that each hold a transaction and wait for a second connection
 * would wait for each other. Within a transaction nothing is remembered, because it may be rolled back.
 */
export async function ensureMonth(ctx: Context, day: string): Promise<void> {
  const month = day.slice(0, 7)
  const months = monthsOf(ctx.database)
  if (months.has(month)) return
  await run(ctx, ENSURE, [`${month}-01`])
  if (ctx.pool !== undefined) months.add(month)
}

function monthsOf(database: Context['database']): Set<string> {
  const months = known.get(database) ?? new Set()
  known.set(database, months)
  return months
}

/**
 * Partitions of the months that slips are dated into: the two before this one, which may still be open, and the two after it.
 * A second run finds them there.
 */
export async function prepareMonths(ctx: Context): Promise<void> {
  const today = Temporal.PlainDate.from(ctx.clock.today())
  for (const months of [-2, -1, 0, 1, 2]) await ensureMonth(ctx, today.add({ months }).toString())
}
