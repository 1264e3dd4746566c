import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IfMatch, tagged } from '../platform/etag.ts'
import { problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { amendHandover } from './amend-handover.ts'
import { cancelHandover } from './cancel-handover.ts'
import { drawUpHandover } from './draw-up-handover.ts'
import {
  AmendHandoverBody,
  CancelHandoverBody,
  DrawUpHandoverBody,
  HandoverParams,
  HandoverView,
  SignHandoverBody
} from './handovers.schemas.ts'
import { refreshHandover } from './refresh-handover.ts'
import { signHandover } from './sign-handover.ts'
import { submitHandover } from './submit-handover.ts'

/** What changes handovers; what reads them is in `handovers-reads.routes.ts`. */
export const handoverRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/warehouses/:warehouse/handovers',
    {
      schema: {
        operationId: 'drawUpHandover',
        tags: ['handovers'],
        summary: 'Draw up the handover of a warehouse from keeper to keeper (工作移交)',
        description:
          'Duty: keeper, for oneself; or department-head where the outgoing keeper is gone or ill, with the reason in absentBecause. Until it is completed the outgoing keeper stays keeper; work goes on.',
        params: Type.Object({ warehouse: WarehouseCode }),
        body: ref(DrawUpHandoverBody),
        response: { 201: ref(HandoverView), ...problems }
      }
    },
    async (request, reply) => {
      const handover = await drawUpHandover(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/handovers/${handover.number}`)
      return tagged(reply, handover)
    }
  )

  app.patch(
    '/handovers/:number',
    {
      schema: {
        operationId: 'amendHandover',
        tags: ['handovers'],
        summary: 'Change a draft: keys, notes, the incoming keeper, the supervised count (修改移交单)',
        description:
          'Duty: the outgoing keeper, or department-head, who alone says that the outgoing keeper is absent. A null takes a member away.',
        params: HandoverParams,
        headers: IfMatch,
        body: ref(AmendHandoverBody),
        response: { 200: ref(HandoverView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await amendHandover(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/handovers/:number/snapshot',
    {
      schema: {
        operationId: 'refreshHandover',
        tags: ['handovers'],
        summary: 'Freeze balances and open papers anew (刷新移交清单)',
        description:
          'Duty: the outgoing keeper, or department-head. So a handover that was interrupted goes on. Signatures that were given are void.',
        params: HandoverParams,
        headers: IfMatch,
        response: { 200: ref(HandoverView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(reply, await refreshHandover(request.ctx, { ...request.params, ifMatch: request.headers['if-match'] }))
  )

  app.post(
    '/handovers/:number/submission',
    {
      schema: {
        operationId: 'submitHandover',
        tags: ['handovers'],
        summary: 'Hand a handover in for its signatures (提交移交单)',
        description:
          'Duty: the outgoing keeper, or department-head. Balances and open papers are frozen as they are now. Where the outgoing keeper is absent, all goods were counted first.',
        params: HandoverParams,
        headers: IfMatch,
        response: { 200: ref(HandoverView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(reply, await submitHandover(request.ctx, { ...request.params, ifMatch: request.headers['if-match'] }))
  )

  app.post(
    '/handovers/:number/signatures',
    {
      schema: {
        operationId: 'signHandover',
        tags: ['handovers'],
        summary: 'Sign a handover, or refuse it (签署移交单)',
        description:
          'The two keepers in person; duty department-head and finance-supervisor for the others. Four different people. The last signature moves the duty: from that instant the outgoing keeper can act no more.',
        params: HandoverParams,
        headers: IfMatch,
        body: ref(SignHandoverBody),
        response: { 200: ref(HandoverView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await signHandover(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/handovers/:number/cancellation',
    {
      schema: {
        operationId: 'cancelHandover',
        tags: ['handovers'],
        summary: 'Drop a handover that has not taken effect (取消移交)',
        description: 'Duty: the outgoing keeper, or department-head. The outgoing keeper stays keeper.',
        params: HandoverParams,
        headers: IfMatch,
        body: ref(CancelHandoverBody),
        response: { 200: ref(HandoverView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await cancelHandover(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )
}
