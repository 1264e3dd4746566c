import { Type } from 'typebox'
import type { Context } from '../identity/actor.ts'
import { defineJob } from '../platform/queue.ts'
import { resumeClosingRuns, continueClosingRun } from './close-many.ts'

// Closes what is pending in one run. The rows of the run are the truth; a second job for it finds nothing pending.
export const closePeriods = defineJob({
  name: 'valuation.close-periods',
  lane: 'long',
  payload: Type.Object({ run: Type.String() }),
  run: (ctx: Context, payload) => continueClosingRun(ctx, payload)
})

// A run is resumed if and only if it is not done and nothing in it was settled for a minute: the queue was away when it was
// written, or its worker died. Where a worker is busy with one large warehouse all that time, the two share what is left.
export const resumeClosings = defineJob({
  name: 'valuation.resume-closings',
  lane: 'long',
  schedule: { pattern: '* * * * *' },
  run: (ctx: Context) => resumeClosingRuns(ctx)
})
