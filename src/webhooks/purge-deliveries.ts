import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'

export const KEPT_DAYS = { delivered: 30, dead: 90 }

// With its attempts. Batches keep the transactions short.
const PURGE = statement<{ purged: number }>(`
with old as (
  select endpoint_id, message_id from webhook_delivery
   where (state = 'delivered' and settled_at < $1) or (state <> 'waiting' and settled_at < $2) or (state = 'waiting' and next_attempt_at < $2)
   limit 5000
), gone as (
  delete from webhook_delivery d using old where (d.endpoint_id, d.message_id) = (old.endpoint_id, old.message_id) returning 1
)
select count(*)::int as purged from gone`)
const PURGE_MESSAGES = statement<{ purged: number }>(`
with old as (
  select id from webhook_message m
   where occurred_at < $1 and not exists (select 1 from webhook_delivery d where d.message_id = m.id)
   limit 5000
), gone as (
  delete from webhook_message m using old where m.id = old.id returning 1
)
select count(*)::int as purged from gone`)

/** Forgets deliveries after 30 days, those that never arrived after 90, and messages that nobody can have replayed any more. */
export async function purgeDeliveries(ctx: Context): Promise<{ deliveries: number; messages: number }> {
  const before = (days: number) =>
    ctx.clock
      .now()
      .subtract({ hours: 24 * days })
      .toString()
  const all = async (batch: () => Promise<{ purged: number }[]>) => {
    let total = 0
    for (;;) {
      const [{ purged } = { purged: 0 }] = await batch()
      if (purged === 0) return total
      total += purged
    }
  }
  return {
    deliveries: await all(() => run(ctx, PURGE, [before(KEPT_DAYS.delivered), before(KEPT_DAYS.dead)])),
    messages: await all(() => run(ctx, PURGE_MESSAGES, [before(KEPT_DAYS.dead)]))
  }
}
