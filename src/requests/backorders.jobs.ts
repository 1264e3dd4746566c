import { Type } from 'typebox'
import type { Context } from '../identity/actor.ts'
import { defineConsumer } from '../platform/outbox.ts'
import { defineJob } from '../platform/queue.ts'
import { reckonClocks } from './reckon-clocks.ts'
import { partsConcerned, partsServable, partsWaitedFor, serveBackorders } from './serve-backorders.ts'

// The parts are what somebody waits for; a second job for them finds nothing more to give.
export const serveBackordersOf = defineJob({
  name: 'requests.serve-backorders',
  payload: Type.Object({ parts: Type.Array(Type.Integer()) }),
  run: async (ctx: Context, payload) => ({ served: await serveBackorders(ctx, payload) })
})

// Everything that is waited for and lies somewhere, whatever was or was not told: what has passed its holding period meanwhile and is in
// the network now, and what a lost message would miss.
export const sweepBackorders = defineJob({
  name: 'requests.sweep-backorders',
  lane: 'long',
  schedule: { pattern: '*/30 * * * *', atStart: true },
  run: async (ctx: Context) => ({ served: await serveBackorders(ctx, { parts: await partsServable(ctx) }) })
})

// Days on which clocks are due change with the notices of days off alone; before alerts look at them.
export const reckonClocksNightly = defineJob({
  name: 'requests.reckon-clocks',
  schedule: { pattern: '1 0 * * *' },
  run: async (ctx: Context) => ({ changed: await reckonClocks(ctx) })
})

/** Goods came in, or what held them let go. */
const FREES = [
  'document.posted',
  'document.released-in-emergency',
  'document.cancelled',
  'document.reduced',
  'document.expired',
  'document.ended-without-goods',
  'document.displaced',
  'document.called-back',
  'document.rest-closed'
]

// Each in a transaction of its own, so a job does the work: here is only looked whether anybody waits for what came.
export const serveWaiting = defineConsumer({
  name: 'requests.serve-waiting',
  events: [...FREES, 'recall.lifted', 'reorder-levels.computed'],
  handle: async (ctx: Context, events) => {
    const documents = events.flatMap(({ event, warehouseId, payload }) =>
      FREES.includes(event) && warehouseId !== null ? [{ warehouseId, id: String(payload['document']) }] : []
    )
    const lifted = events.flatMap(({ event, payload }) =>
      event === 'recall.lifted' ? (payload['partIds'] as number[]) : []
    )
    const came = documents.length === 0 ? [] : await partsConcerned(ctx, documents)
    const parts = came.length + lifted.length === 0 ? [] : await partsWaitedFor(ctx, [...came, ...lifted])
    return [
      ...(parts.length > 0 ? [{ job: serveBackordersOf, payload: { parts } }] : []),
      ...(events.some(({ event }) => event === 'reorder-levels.computed') ? [{ job: sweepBackorders }] : [])
    ]
  }
})
