import { Type } from 'typebox'
import type { Context } from '../identity/actor.ts'
import { defineJob } from '../platform/queue.ts'
import { deliverDue, sweepDueDeliveries } from './deliver.ts'
import { purgeDeliveries } from './purge-deliveries.ts'

// The deliveries in PostgreSQL are the truth; the job only says that it is time to look. A second one finds the lease taken or nothing due.
export const deliverWebhooks = defineJob({
  name: 'webhooks.deliver',
  lane: 'deliveries',
  payload: Type.Object({ endpoint: Type.String() }),
  run: (ctx: Context, payload) => deliverDue(ctx, payload)
})

// Finds what became due by time, what a lost job would have sent, and what a killed pump left. Pumps that run are left alone.
export const sweepWebhooks = defineJob({
  name: 'webhooks.sweep',
  schedule: { pattern: '* * * * *', atStart: true },
  run: (ctx: Context) => sweepDueDeliveries(ctx)
})

// What is gone is gone: a second run finds nothing.
export const purgeWebhooks = defineJob({
  name: 'webhooks.purge',
  schedule: { pattern: '40 3 * * *' },
  lane: 'long',
  run: (ctx: Context) => purgeDeliveries(ctx)
})
