import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Runtime } from '../platform/context.ts'
import type { Job } from '../platform/queue.ts'
import { problems, ref } from '../platform/schemas.ts'
import { listJobs, listJobSchedules, readJob } from './jobs.queries.ts'
import { JobPage, JobParams, JobScheduleList, JobsQuery, JobView } from './jobs.schemas.ts'
import { retryJob } from './retry-job.ts'

const tags = ['jobs']

/** What the service does in the background, as people see it. */
export const jobRoutes: FastifyPluginAsyncTypebox<{ runtime: Runtime; jobs: readonly Job[] }> = async (
  app,
  { runtime, jobs }
) => {
  app.get(
    '/jobs',
    {
      schema: {
        operationId: 'listJobs',
        tags,
        summary: 'Runs of background jobs, the latest first (后台任务列表)',
        description:
          'Duty: administrator everywhere. Runs that tell how far they are, and every run that failed for good (state dead), with the problem of its last attempt.',
        querystring: JobsQuery,
        response: { 200: ref(JobPage), ...problems }
      }
    },
    (request) => listJobs(request.ctx, request.query)
  )

  app.get(
    '/jobs/:id',
    {
      schema: {
        operationId: 'readJob',
        tags,
        summary: 'How far a background job is (任务进度)',
        description: 'For whoever asked for the run, and for administrators everywhere.',
        params: JobParams,
        response: { 200: ref(JobView), ...problems }
      }
    },
    (request) => readJob(request.ctx, request.params)
  )

  app.post(
    '/jobs/:id/retry',
    {
      schema: {
        operationId: 'retryJob',
        tags,
        summary: 'Try a dead job again (重试任务)',
        description: 'Duty: administrator everywhere. Jobs change nothing when they run twice.',
        params: JobParams,
        response: { 202: ref(JobView), ...problems }
      }
    },
    async (request, reply) => {
      const job = await retryJob(request.ctx, request.params, jobs)
      reply.code(202).header('location', `/v1/jobs/${job.id}`)
      return job
    }
  )

  app.get(
    '/job-schedules',
    {
      schema: {
        operationId: 'listJobSchedules',
        tags,
        summary: 'Jobs that run by themselves, and when (定时任务)',
        description: 'Duty: administrator everywhere.',
        response: { 200: ref(JobScheduleList), ...problems }
      }
    },
    async (request) => ({ items: await listJobSchedules(request.ctx, { jobs, queue: runtime.queue }) })
  )
}
