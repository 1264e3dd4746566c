import { Type, type Static } from 'typebox'
import { RUN_STATES } from '../platform/job-runs.ts'
import { closed, Instant, limitAndCursor, named, nullable, oneOf, pageOf, ref } from '../platform/schemas.ts'

const JobId = Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'Number of the run', examples: ['17'] })
const JobName = Type.String({
  minLength: 1,
  maxLength: 100,
  description: 'Name of the job',
  examples: ['ledger.verify']
})
const State = oneOf(
  RUN_STATES,
  'queued: waits for a worker, at first or after a failed attempt, which problem then says; dead: failed for good'
)

export const JobParams = Type.Object({ id: JobId })

export const JobsQuery = Type.Object(
  {
    state: Type.Optional(State),
    name: Type.Optional(JobName),
    ...limitAndCursor
  },
  closed
)
export type JobsQuery = Static<typeof JobsQuery>

export const JobView = named(
  'Job',
  Type.Object(
    {
      id: JobId,
      name: JobName,
      state: State,
      progress: nullable(
        Type.Object(
          {
            done: Type.Integer({ minimum: 0 }),
            total: nullable(Type.Integer({ minimum: 0, description: 'Null as long as it is not known' }))
          },
          { ...closed, description: 'How far it is; null for jobs that do not say' }
        )
      ),
      attempts: Type.Integer({ minimum: 0, description: 'How often it was begun' }),
      requestedBy: Type.String({ description: 'User name; system for what the service does by itself' }),
      requestedAt: Instant,
      startedAt: nullable(Instant),
      finishedAt: nullable(Instant),
      payload: Type.Unknown({ description: 'What it was given; null for nothing' }),
      result: Type.Unknown({ description: 'What it answered; null as long as it is not done' }),
      problem: nullable(Type.String({ description: 'Why the last attempt failed' }))
    },
    {
      ...closed,
      description: 'A run of a background job (后台任务)',
      examples: [
        {
          id: '17',
          name: 'replenishment.compute-levels',
          state: 'running',
          progress: { done: 120_000, total: 1_000_000 },
          attempts: 1,
          requestedBy: 'controller@hq',
          requestedAt: '2026-11-20T02:00:00Z',
          startedAt: '2026-11-20T02:00:01Z',
          finishedAt: null,
          payload: null,
          result: null,
          problem: null
        }
      ]
    }
  )
)
export type JobView = Static<typeof JobView>
export const JobPage = pageOf(JobView)

export const JobScheduleView = named(
  'JobSchedule',
  Type.Object(
    {
      name: JobName,
      pattern: Type.String({
        description: 'Minute, hour, day, month, weekday in the business time zone',
        examples: ['20 3 * * *']
      }),
      nextAt: nullable(
        Type.String({
          format: 'date-time',
          description: 'Next run; null where the queue does not know the schedule, which a worker then sets again'
        })
      )
    },
    { ...closed, description: 'When a job runs by itself (定时任务)' }
  )
)
export type JobScheduleView = Static<typeof JobScheduleView>
export const JobScheduleList = named(
  'JobScheduleList',
  Type.Object({ items: Type.Array(ref(JobScheduleView)) }, closed)
)
