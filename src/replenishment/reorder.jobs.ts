import { Type } from 'typebox'
import type { Context } from '../identity/actor.ts'
import { defineJob } from '../platform/queue.ts'
import { computeLevels } from './compute-levels.ts'

// What it computes and why a second run changes nothing: compute-levels.ts. At half past one the day before is posted, and proposals
// find the levels in the morning.
export const computeReorderLevels = defineJob({
  name: 'replenishment.compute-levels',
  schedule: { pattern: '30 1 * * *' },
  // A schedule gives no payload.
  payload: Type.Union([Type.Undefined(), Type.Object({ full: Type.Boolean() })]),
  lane: 'long',
  isTracked: true,
  run: (ctx: Context, payload, progress) => computeLevels(ctx, { full: payload?.full ?? false, progress })
})
