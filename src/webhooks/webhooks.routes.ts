import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { problems, ref } from '../platform/schemas.ts'
import { createWebhook } from './create-webhook.ts'
import { deleteWebhook } from './delete-webhook.ts'
import { pingWebhook, redeliverWebhook, replayWebhook } from './redeliver.ts'
import { rotateWebhookSecret } from './rotate-webhook-secret.ts'
import { updateWebhook } from './update-webhook.ts'
import {
  listWebhookDeliveries,
  listWebhooks,
  readWebhook,
  readWebhookDelivery,
  webhookEventList
} from './webhooks.queries.ts'
import {
  CreatedWebhookView,
  CreateWebhookBody,
  DeliveriesQuery,
  DeliveryParams,
  NothingBody,
  ReplayBody,
  ReplayView,
  RotatedSecretView,
  UpdateWebhookBody,
  WebhookDeliveryPage,
  WebhookDeliveryView,
  WebhookEventList,
  WebhookPage,
  WebhookParams,
  WebhooksQuery,
  WebhookView
} from './webhooks.schemas.ts'

const tags = ['webhooks']
const MANAGERS =
  'Duty: department-head, stock-controller or administrator for its warehouse; stock-controller or administrator for its region, or everywhere.'

/** Other systems that are told what happens (R-ALR-3). */
export const webhookRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/webhook-events',
    {
      schema: {
        operationId: 'listWebhookEvents',
        tags,
        summary: 'The events that are sent, each with an example (事件清单)',
        description:
          'Sent as JSON by POST with the headers of Standard Webhooks: webhook-id (the same at every attempt, so that a repeat can be dropped), webhook-timestamp, webhook-signature. Any 2xx within 15 seconds is a yes. Else it is sent again after 5 s, 30 s, 2, 10, 30 min, 1, 2, 4, 8 and 8 h, and then given up. Events of one slip, alert or warehouse arrive in the order in which they happened: a later one waits for an earlier one. A 410 disables the webhook, and so does nothing having arrived for 72 hours when a delivery is given up; redirects are not followed.',
        response: { 200: ref(WebhookEventList), ...problems }
      }
    },
    () => ({ items: webhookEventList() })
  )

  app.post(
    '/webhooks',
    {
      config: { secretAnswer: true },
      schema: {
        operationId: 'createWebhook',
        tags,
        summary: 'Enter a webhook: a system that is told what happens (登记事件推送)',
        description: `${MANAGERS} A person, no API key. Neither warehouse nor region: everywhere. The secret is in this answer only; whatever is sent is signed with it by Standard Webhooks.`,
        body: CreateWebhookBody,
        response: { 201: ref(CreatedWebhookView), ...problems }
      }
    },
    async (request, reply) => {
      const webhook = await createWebhook(request.ctx, request.body)
      reply.code(201).header('location', `/v1/webhooks/${webhook.id}`)
      return webhook
    }
  )

  app.get(
    '/webhooks',
    {
      schema: {
        operationId: 'listWebhooks',
        tags,
        summary: 'Webhooks of the places you answer for (事件推送列表)',
        description: MANAGERS,
        querystring: WebhooksQuery,
        response: { 200: ref(WebhookPage), ...problems }
      }
    },
    (request) => listWebhooks(request.ctx, request.query)
  )

  app.get(
    '/webhooks/:id',
    {
      schema: {
        operationId: 'readWebhook',
        tags,
        summary: 'A webhook, and how it fares (事件推送)',
        description: `${MANAGERS} Hidden from others.`,
        params: WebhookParams,
        response: { 200: ref(WebhookView), ...problems }
      }
    },
    (request) => readWebhook(request.ctx, request.params)
  )

  app.patch(
    '/webhooks/:id',
    {
      schema: {
        operationId: 'updateWebhook',
        tags,
        summary: 'Change, pause or switch on a webhook (修改、停用、启用)',
        description: `${MANAGERS} A person, no API key. Switched on it gets what was waiting; what happened meanwhile is had by a replay.`,
        params: WebhookParams,
        body: UpdateWebhookBody,
        response: { 200: ref(WebhookView), ...problems }
      }
    },
    (request) => updateWebhook(request.ctx, { ...request.params, ...request.body })
  )

  app.delete(
    '/webhooks/:id',
    {
      schema: {
        operationId: 'deleteWebhook',
        tags,
        summary: 'Delete a webhook with its log (删除)',
        description: `${MANAGERS} A person, no API key.`,
        params: WebhookParams,
        response: { 204: Type.Null({ description: 'Deleted' }), ...problems }
      }
    },
    async (request, reply) => {
      await deleteWebhook(request.ctx, request.params)
      reply.code(204)
      return null
    }
  )

  app.post(
    '/webhooks/:id/secret-rotation',
    {
      config: { secretAnswer: true },
      schema: {
        operationId: 'rotateWebhookSecret',
        tags,
        summary: 'Give a webhook a new secret (轮换密钥)',
        description: `${MANAGERS} A person, no API key. For 24 hours everything carries the signatures of both secrets.`,
        params: WebhookParams,
        body: NothingBody,
        response: { 200: ref(RotatedSecretView), ...problems }
      }
    },
    (request) => rotateWebhookSecret(request.ctx, request.params)
  )

  app.post(
    '/webhooks/:id/ping',
    {
      schema: {
        operationId: 'pingWebhook',
        tags,
        summary: 'Send a test (测试推送)',
        description: `${MANAGERS} It is sent in the background; read the delivery to learn how it went.`,
        params: WebhookParams,
        body: NothingBody,
        response: { 202: ref(WebhookDeliveryView), ...problems }
      }
    },
    async (request, reply) => {
      const delivery = await pingWebhook(request.ctx, request.params)
      reply.code(202).header('location', `/v1/webhooks/${request.params.id}/deliveries/${delivery.id}`)
      return delivery
    }
  )

  app.post(
    '/webhooks/:id/replay',
    {
      schema: {
        operationId: 'replayWebhook',
        tags,
        summary: 'Send again what happened in a span of time (重放)',
        description: `${MANAGERS} All that the webhook wants, in its order and under the same webhook-id, also what it missed while it was off; at most 50,000 events at once, of the last 90 days.`,
        params: WebhookParams,
        body: ReplayBody,
        response: { 202: ref(ReplayView), ...problems }
      }
    },
    async (request, reply) => {
      const replayed = await replayWebhook(request.ctx, { ...request.params, ...request.body })
      reply.code(202)
      return replayed
    }
  )

  app.get(
    '/webhooks/:id/deliveries',
    {
      schema: {
        operationId: 'listWebhookDeliveries',
        tags,
        summary: 'What was sent and what waits, newest first, with its attempts (推送记录、死信)',
        description: `${MANAGERS} state=dead is the dead-letter list. What was delivered is kept for 30 days, what never arrived for 90.`,
        params: WebhookParams,
        querystring: DeliveriesQuery,
        response: { 200: ref(WebhookDeliveryPage), ...problems }
      }
    },
    (request) => listWebhookDeliveries(request.ctx, { ...request.params, ...request.query })
  )

  app.get(
    '/webhooks/:id/deliveries/:delivery',
    {
      schema: {
        operationId: 'readWebhookDelivery',
        tags,
        summary: 'One delivery with what is sent (推送详情)',
        description: MANAGERS,
        params: DeliveryParams,
        response: { 200: ref(WebhookDeliveryView), ...problems }
      }
    },
    (request) => readWebhookDelivery(request.ctx, request.params)
  )

  app.post(
    '/webhooks/:id/deliveries/:delivery/redelivery',
    {
      schema: {
        operationId: 'redeliverWebhook',
        tags,
        summary: 'Send one delivery again, whatever became of it (重新推送)',
        description: MANAGERS,
        params: DeliveryParams,
        body: NothingBody,
        response: { 202: ref(WebhookDeliveryView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(202)
      return redeliverWebhook(request.ctx, request.params)
    }
  )
}
