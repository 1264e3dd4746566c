import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { problems, ref } from '../platform/schemas.ts'
import { listMails, retryMail } from './mails.ts'
import { MailPage, MailParams, MailsQuery, MailView, RetryMailBody } from './mails.schemas.ts'

const tags = ['alerts']

/** E-mails about alerts, for whoever keeps the service running. */
export const mailRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/mails',
    {
      schema: {
        operationId: 'listMails',
        tags,
        summary: 'E-mails about alerts, newest first (预警邮件)',
        description:
          'Duty: administrator everywhere. state=dead lists those that were given up. Nothing is written while SMTP_URL is not set.',
        querystring: MailsQuery,
        response: { 200: ref(MailPage), ...problems }
      }
    },
    (request) => listMails(request.ctx, request.query)
  )

  app.post(
    '/mails/:id/retry',
    {
      schema: {
        operationId: 'retryMail',
        tags,
        summary: 'Have a mail that was given up tried again (重发)',
        description: 'Duty: administrator everywhere. It begins at its first attempt.',
        params: MailParams,
        body: RetryMailBody,
        response: { 202: ref(MailView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(202)
      return retryMail(request.ctx, request.params)
    }
  )
}
