import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { IfMatch, tagged } from '../platform/etag.ts'
import { problems, ref } from '../platform/schemas.ts'
import { answerBackorder } from './answer-backorder.ts'
import { BACKORDER_COLUMNS, backorderStream, listBackorders, readBackorder } from './backorders.queries.ts'
import {
  AnswerBody,
  BackorderPage,
  BackorderParams,
  BackorderQuery,
  BackorderView,
  ConfirmationBody
} from './backorders.schemas.ts'
import { confirmBackorder } from './confirm-backorder.ts'
import { SERVICE_LEVEL_COLUMNS, serviceLevelRows, serviceLevels } from './service-levels.ts'
import { ServiceLevelQuery, ServiceLevels } from './service-levels.schemas.ts'

const tags = ['requests']

/** What outlets wait for, what they are told, and how well they were served. */
export const backorderRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/backorders',
    {
      schema: {
        operationId: 'listBackorders',
        tags,
        summary: 'Backorders, newest first (缺货登记列表)',
        description:
          'Of outlets you see, and those that wait at centres you see. `due` lists what nobody has answered yet although it is due by a day. `Accept: text/csv` answers the whole list as a file.',
        produces: ['application/json', 'text/csv'],
        querystring: BackorderQuery,
        response: { 200: ref(BackorderPage), ...problems }
      }
    },
    async (request, reply) => {
      if (!wantsCsv(request)) return listBackorders(request.ctx, request.query)
      const { limit: _limit, cursor: _cursor, ...filter } = request.query
      return sendCsv(reply, 'backorders.csv', BACKORDER_COLUMNS, await backorderStream(request.ctx, filter))
    }
  )

  app.get(
    '/backorders/:number',
    {
      schema: {
        operationId: 'readBackorder',
        tags,
        summary: 'One backorder with its goods and history (缺货登记单)',
        description:
          'For everyone who sees the outlet or the centre: what it waits for and what stands before it, the day that is promised and what that stands on, what was found for it, and everything that happened.',
        params: BackorderParams,
        response: { 200: ref(BackorderView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readBackorder(request.ctx, request.params))
  )

  app.post(
    '/backorders/:number/answer',
    {
      schema: {
        operationId: 'answerBackorder',
        tags,
        summary: 'Answer a backorder, perhaps with another day (应答)',
        description:
          'Duty: stock-controller, purchaser, operations-supervisor or keeper of the centre. An answer is due within 7 days (`BACKORDER_ANSWER_DAYS`) whatever happened; goods that come answer as well. A day that is promised takes the place of the one before, which stays in the history.',
        params: BackorderParams,
        headers: IfMatch,
        body: ref(AnswerBody),
        response: { 200: ref(BackorderView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await answerBackorder(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/backorders/:number/confirmation',
    {
      schema: {
        operationId: 'confirmBackorder',
        tags,
        summary: 'Say whether goods that came are still needed (确认需求)',
        description:
          'Duty: outlet-clerk or keeper of the outlet; an API key may. Goods that came for a backorder are reserved, and nothing moves before. Confirmed, what lies elsewhere is transferred to the centre and what lies there may be issued. If not, the backorder is cancelled with what it still waits for, and the goods go to the next in the queue. Without an answer for 5 working days (`CONFIRMATION_DAYS`) the goods go to the next as well, and what nobody has yet goes on waiting.',
        params: BackorderParams,
        headers: IfMatch,
        body: ref(ConfirmationBody),
        response: { 200: ref(BackorderView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await confirmBackorder(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.get(
    '/requests/service-levels',
    {
      schema: {
        operationId: 'listServiceLevels',
        tags,
        summary: 'How well outlets were served, by region and month (服务水平)',
        description:
          'Duty: stock-controller, operations-supervisor, hq-finance or department-head, for where it is held: a region, or the outlets of a centre. A line counts once for what was in stock (2 working days) and once for what was not (15): met in the month in which it was issued in time, breached in the month in which it was due, open if neither by the end of the month. `Accept: text/csv` answers the same as a file.',
        produces: ['application/json', 'text/csv'],
        querystring: ServiceLevelQuery,
        response: { 200: ref(ServiceLevels), ...problems }
      }
    },
    async (request, reply) => {
      const levels = await serviceLevels(request.ctx, request.query)
      if (!wantsCsv(request)) return levels
      const fileName = `service-levels-${request.query.month}.csv`
      return sendCsv(reply, fileName, SERVICE_LEVEL_COLUMNS, serviceLevelRows(levels.items))
    }
  )
}
