import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IfMatch, tagged } from '../platform/etag.ts'
import { problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { addFoundGoods } from './add-found-goods.ts'
import { cancelCount } from './cancel-count.ts'
import {
  CancelCountBody,
  CountParams,
  CountView,
  ExplainVariancesBody,
  FoundGoodsBody,
  FoundGoodsLine,
  LineResults,
  OpenCountBody,
  RecordCountsBody,
  RecordCountsResult,
  SetAsideBody,
  SignCountBody,
  VerifyVariancesBody
} from './counts.schemas.ts'
import { explainVariances } from './explain-variances.ts'
import { openCount } from './open-count.ts'
import { recordCounts } from './record-counts.ts'
import { setAsideLines } from './set-aside-lines.ts'
import { signCount } from './sign-count.ts'
import { submitCount } from './submit-count.ts'
import { verifyVariances } from './verify-variances.ts'

/** What changes counts; what reads them is in `counts-reads.routes.ts`. */
export const countRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/warehouses/:warehouse/counts',
    {
      schema: {
        operationId: 'openCount',
        tags: ['counts'],
        summary: 'Open a count (开盘)',
        description:
          'Duty: keeper, department-head, finance-supervisor or stock-controller. Month end: all stock of a month that has nearly or really ended. Cycle: what is chosen; several choices narrow each other. Work goes on; no balance is in two counts at once.',
        params: Type.Object({ warehouse: WarehouseCode }),
        body: ref(OpenCountBody),
        response: { 201: ref(CountView), ...problems }
      }
    },
    async (request, reply) => {
      const count = await openCount(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/counts/${count.number}`)
      return tagged(reply, count)
    }
  )

  app.post(
    '/counts/:number/entries',
    {
      schema: {
        operationId: 'recordCounts',
        tags: ['counts'],
        summary: 'Enter what was counted (录入实盘)',
        description:
          'Duty: keeper; a recount by another keeper, the department head, the operations supervisor or a technician. Quantity counted and bin card, blind: the answer says which lines are settled and which somebody else counts again, and no figure. At most 1,000 entries; each is judged on its own.',
        params: CountParams,
        headers: IfMatch,
        body: ref(RecordCountsBody),
        response: { 200: ref(RecordCountsResult), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await recordCounts(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/counts/:number/lines',
    {
      schema: {
        operationId: 'addFoundGoods',
        tags: ['counts'],
        summary: 'Add a line for goods that no line has (盘盈新增)',
        description: 'Duty: keeper or department-head. What was found is then entered like any other line.',
        params: CountParams,
        headers: IfMatch,
        body: ref(FoundGoodsBody),
        response: { 201: ref(FoundGoodsLine), ...problems }
      }
    },
    async (request, reply) => {
      const line = await addFoundGoods(request.ctx, {
        ...request.params,
        ...request.body,
        ifMatch: request.headers['if-match']
      })
      reply.code(201).header('location', `/v1/counts/${request.params.number}/lines/${line.line}`)
      return tagged(reply, line)
    }
  )

  app.post(
    '/counts/:number/explanations',
    {
      schema: {
        operationId: 'explainVariances',
        tags: ['counts'],
        summary: 'Say why ledger, card and goods do not agree (差异说明)',
        description:
          'Duty: keeper, department-head or operations-supervisor. Found own goods that no lot knows need what one costs and the paper that says so.',
        params: CountParams,
        headers: IfMatch,
        body: ref(ExplainVariancesBody),
        response: { 200: ref(LineResults), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await explainVariances(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/counts/:number/verifications',
    {
      schema: {
        operationId: 'verifyVariances',
        tags: ['counts'],
        summary: 'Verify differences line by line (差异核实)',
        description:
          'Duty: finance-supervisor, not of what one ever counted or explained. What is not accepted is counted again by somebody else, also where nothing differs, and is verified whatever is found.',
        params: CountParams,
        headers: IfMatch,
        body: ref(VerifyVariancesBody),
        response: { 200: ref(LineResults), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await verifyVariances(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/counts/:number/set-aside',
    {
      schema: {
        operationId: 'setAsideLines',
        tags: ['counts'],
        summary: 'Leave lines to a count that follows (搁置)',
        description:
          'Duty: finance-supervisor. Lines that cannot be settled or are disputed hold up none of the others; a count of them is opened when this one is approved.',
        params: CountParams,
        headers: IfMatch,
        body: ref(SetAsideBody),
        response: { 200: ref(LineResults), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await setAsideLines(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/counts/:number/submission',
    {
      schema: {
        operationId: 'submitCount',
        tags: ['counts'],
        summary: 'Hand a count in for its signatures (提交盘点)',
        description:
          'Duty: keeper. Every line is settled or set aside, and every difference is explained and verified.',
        params: CountParams,
        headers: IfMatch,
        response: { 200: ref(CountView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(reply, await submitCount(request.ctx, { ...request.params, ifMatch: request.headers['if-match'] }))
  )

  app.post(
    '/counts/:number/signatures',
    {
      schema: {
        operationId: 'signCount',
        tags: ['counts'],
        summary: 'Sign a count, or refuse it with a reason (盘点签字)',
        description:
          'The finance supervisor who supervised it (监盘), the department head, and last head office, whose approval posts the adjustment (盘盈盘亏). Nobody signs what they counted or explained.',
        params: CountParams,
        headers: IfMatch,
        body: ref(SignCountBody),
        response: { 200: ref(CountView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await signCount(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/counts/:number/cancellation',
    {
      schema: {
        operationId: 'cancelCount',
        tags: ['counts'],
        summary: 'Cancel a count that is not approved (作废盘点)',
        description:
          'Duty: finance-supervisor or stock-controller, and until something is counted who opened it. Never who counted in it, nor an API key; a count of what another one left over only by stock-controller.',
        params: CountParams,
        headers: IfMatch,
        body: ref(CancelCountBody),
        response: { 200: ref(CountView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await cancelCount(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )
}
