import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { IfMatch, tagged } from '../platform/etag.ts'
import { problems, ref } from '../platform/schemas.ts'
import { SlipView } from '../slips/slips.schemas.ts'
import { cancelRequest } from './cancel-request.ts'
import { changeNeedBy } from './change-need-by.ts'
import { createRequest } from './create-request.ts'
import { listOrderRestrictions, removeOrderRestriction, setOrderRestriction } from './order-restrictions.ts'
import {
  OrderRestriction,
  OrderRestrictionPage,
  OrderRestrictionParams,
  OrderRestrictionQuery,
  SetOrderRestrictionBody
} from './order-restrictions.schemas.ts'
import { listRequests, readRequest, REQUEST_COLUMNS, requestStream } from './requests.queries.ts'
import {
  CancelRequestBody,
  IssueSlipBody,
  NeedByBody,
  NewRequest,
  RequestPage,
  RequestParams,
  RequestQuery,
  RequestView
} from './requests.schemas.ts'
import { writeIssueSlip } from './write-issue-slip.ts'

const tags = ['requests']

/** What outlets ask for, and what its centre does about it. */
export const requestRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/requests',
    {
      schema: {
        operationId: 'createRequest',
        tags,
        summary: 'Request parts for an outlet (要货)',
        description:
          'Duty: outlet-clerk or keeper of the outlet; an API key may. The answer says per line what happens next: from which warehouse it comes and why the ones before were passed over (centre, regional network with the oldest lots first, head office, other regions), or until when it waits. What is found is reserved. The value is held of the deposit. A controlled part (监控件) waits for an approval unless one covers it. An emergency (抢修) names the carriage and may take what normal requests have reserved.',
        body: ref(NewRequest),
        response: { 201: ref(RequestView), ...problems }
      }
    },
    async (request, reply) => {
      const created = await createRequest(request.ctx, request.body)
      reply.code(201).header('location', `/v1/requests/${created.number}`)
      return tagged(reply, created)
    }
  )

  app.get(
    '/requests',
    {
      schema: {
        operationId: 'listRequests',
        tags,
        summary: 'Requests, newest first or as they are worked off (要货单)',
        description:
          'Of outlets you see, of centres you see, and those that warehouses you see give goods for. `order=worklist`: emergencies first, then by the day on which it is needed. `Accept: text/csv` answers the whole list as a file.',
        produces: ['application/json', 'text/csv'],
        querystring: RequestQuery,
        response: { 200: ref(RequestPage), ...problems }
      }
    },
    async (request, reply) => {
      if (!wantsCsv(request)) return listRequests(request.ctx, request.query)
      const { limit: _limit, cursor: _cursor, ...filter } = request.query
      return sendCsv(reply, 'requests.csv', REQUEST_COLUMNS, await requestStream(request.ctx, filter))
    }
  )

  app.get(
    '/requests/:number',
    {
      schema: {
        operationId: 'readRequest',
        tags,
        summary: 'One request: what happens to each line, its clocks and its history (要货单)',
        description:
          'Visible to the outlet, its centre and the warehouses that give goods for it. Per line its allocations with the search as proof, its backorder, what could be had instead; per clock its day, its pauses and whether it is breached.',
        params: RequestParams,
        response: { 200: ref(RequestView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readRequest(request.ctx, request.params))
  )

  app.post(
    '/requests/:number/cancellation',
    {
      schema: {
        operationId: 'cancelRequest',
        tags,
        summary: 'Cancel a request, or lines of it, whole or in part (取消要货)',
        description:
          'Duty: outlet-clerk or keeper of the outlet; an API key may. What is reserved goes back at once, a transfer of which nothing left is withdrawn, an issue slip that is not posted is cancelled. What is in transit arrives at the centre as its own stock. What was issued is refused: return it.',
        params: RequestParams,
        headers: IfMatch,
        body: ref(CancelRequestBody),
        response: { 200: ref(RequestView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await cancelRequest(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/requests/:number/need-by',
    {
      schema: {
        operationId: 'changeNeedBy',
        tags,
        summary: 'Say that a request is needed on another day (变更需用日期)',
        description: 'Duty: outlet-clerk or keeper of the outlet; an API key may. What it has stays as it is.',
        params: RequestParams,
        headers: IfMatch,
        body: ref(NeedByBody),
        response: { 200: ref(RequestView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await changeNeedBy(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/requests/:number/issue-slip',
    {
      schema: {
        operationId: 'writeIssueSlip',
        tags,
        summary: 'Write the issue slip for what is ready (开出库单)',
        description:
          'Duty: keeper of the centre. An issue slip of the centre, purpose outlet, with the number of the request as its reference; its lines take what is reserved. It is signed by three people and posted as any slip. What waits for a confirmation is not on it. At most 500 lines: call it again for more.',
        params: RequestParams,
        body: ref(IssueSlipBody),
        response: { 201: ref(SlipView), ...problems }
      }
    },
    async (request, reply) => {
      const slip = await writeIssueSlip(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/slips/${slip.number}`)
      return tagged(reply, slip)
    }
  )

  app.get(
    '/order-restrictions',
    {
      schema: {
        operationId: 'listOrderRestrictions',
        tags,
        summary: 'What may not be requested by whom, newest first (要货限制)',
        description: 'For everybody who is signed in: an outlet sees beforehand what it may not request.',
        querystring: OrderRestrictionQuery,
        response: { 200: ref(OrderRestrictionPage), ...problems }
      }
    },
    (request) => listOrderRestrictions(request.ctx, request.query)
  )

  app.put(
    '/order-restrictions',
    {
      schema: {
        operationId: 'setOrderRestriction',
        tags,
        summary: 'Say that a part or category may not be requested (设置要货限制)',
        description:
          'Duty: stock-controller of the warehouse, or everywhere for a region or for all. Of a part or of a category. The same goods and place again: the reason is replaced. Requests that stand are left alone.',
        body: ref(SetOrderRestrictionBody),
        response: { 200: ref(OrderRestriction), ...problems }
      }
    },
    (request) => setOrderRestriction(request.ctx, request.body)
  )

  app.delete(
    '/order-restrictions/:id',
    {
      schema: {
        operationId: 'removeOrderRestriction',
        tags,
        summary: 'Lift a restriction (解除要货限制)',
        description: 'Duty: stock-controller of the warehouse, or everywhere for a region or for all.',
        params: OrderRestrictionParams,
        response: { 204: Type.Null({ description: 'Lifted' }), ...problems }
      }
    },
    async (request, reply) => {
      await removeOrderRestriction(request.ctx, request.params)
      reply.code(204)
      return null
    }
  )
}
