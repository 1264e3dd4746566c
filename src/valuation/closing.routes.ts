import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { problems, ref } from '../platform/schemas.ts'
import { listClosingRuns, readClosingRun, startClosingRun } from './close-many.ts'
import { closePeriod, readClosing } from './close-period.ts'
import {
  ClosePeriodBody,
  ClosingRunPage,
  ClosingRunParams,
  ClosingRunQuery,
  ClosingRunsQuery,
  ClosingRunView,
  ClosingView,
  PeriodParams,
  StartClosingRunBody,
  StartedClosingRun
} from './closing.schemas.ts'

const tags = ['valuation']

/** Closing a month: in one warehouse at once, in many by a job. */
export const closingRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/warehouses/:warehouse/periods/:period/closing',
    {
      schema: {
        operationId: 'closePeriod',
        tags,
        summary: 'Close a month in a warehouse (月结)',
        description:
          'Duty: finance-supervisor there, or hq-finance. Runs the depreciation, freezes stock report and statement, and accepts no movement into the month from then on; nothing reopens it. Refused with the list of what is `missing`; with dryRun the same list is answered and nothing changes.',
        params: PeriodParams,
        body: ClosePeriodBody,
        response: { 200: ref(ClosingView), 201: ref(ClosingView), ...problems }
      }
    },
    async (request, reply) => {
      const closing = await closePeriod(request.ctx, { ...request.params, ...request.body })
      reply.code(request.body.dryRun === true ? 200 : 201)
      return closing
    }
  )

  app.get(
    '/warehouses/:warehouse/periods/:period/closing',
    {
      schema: {
        operationId: 'readClosing',
        tags,
        summary: 'Whether a month is closed, and what is missing (月结检查)',
        description: 'For everyone who sees the warehouse.',
        params: PeriodParams,
        response: { 200: ref(ClosingView), ...problems }
      }
    },
    (request) => readClosing(request.ctx, request.params)
  )

  app.post(
    '/period-closings',
    {
      schema: {
        operationId: 'startClosingRun',
        tags,
        summary: 'Close a month in all warehouses of a region or of the network (批量月结)',
        description:
          'Duty: hq-finance in the region, or everywhere. It runs in the background, in your name, and goes on past warehouses in which something is missing; read its progress by its id. One at a time for the same month and region.',
        body: StartClosingRunBody,
        response: { 202: ref(StartedClosingRun), ...problems }
      }
    },
    async (request, reply) => {
      const started = await startClosingRun(request.ctx, request.body)
      reply.code(202).header('location', `/v1/period-closings/${started.id}`)
      return started
    }
  )

  app.get(
    '/period-closings',
    {
      schema: {
        operationId: 'listClosingRuns',
        tags,
        summary: 'Closings of many warehouses, newest first (批量月结记录)',
        description: 'Those of the regions in which you hold hq-finance, or all of them.',
        querystring: ClosingRunsQuery,
        response: { 200: ref(ClosingRunPage), ...problems }
      }
    },
    (request) => listClosingRuns(request.ctx, request.query)
  )

  app.get(
    '/period-closings/:id',
    {
      schema: {
        operationId: 'readClosingRun',
        tags,
        summary: 'Progress of a closing of many warehouses, and those it could not close (批量月结进度)',
        params: ClosingRunParams,
        querystring: ClosingRunQuery,
        response: { 200: ref(ClosingRunView), ...problems }
      }
    },
    (request) => readClosingRun(request.ctx, { ...request.params, ...request.query })
  )
}
