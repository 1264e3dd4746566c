import { Type } from 'typebox'
import type { Context } from '../identity/actor.ts'
import { defineConsumer } from '../platform/outbox.ts'
import { defineJob } from '../platform/queue.ts'
import { continueClosingRun, resumeClosingRuns, RUN_STARTED } from './close-many.ts'

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

// Puts a worker to a run that was asked for. One that is lost is found by the schedule.
export const startClosings = defineConsumer({
  name: 'valuation.start-closings',
  events: [RUN_STARTED],
  handle: async (_ctx, events) =>
    events.map(({ payload: { run } }) => ({
      job: closePeriods,
      payload: { run: String(run) },
      id: `closing-run-${String(run)}`
    }))
})
