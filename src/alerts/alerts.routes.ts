import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { problems, ref } from '../platform/schemas.ts'
import { acknowledgeAlert } from './acknowledge-alert.ts'
import { listAlertPolicies, readAlertPolicy, setAlertPolicy } from './alert-policies.ts'
import { ALERT_CSV, alertRows, listAlerts, readAlert, readAlertSummary } from './alerts.queries.ts'
import {
  AcknowledgeAlertBody,
  AlertPage,
  AlertParams,
  AlertPolicyList,
  AlertPolicyParams,
  AlertPolicyView,
  AlertQuery,
  AlertSummary,
  AlertSummaryQuery,
  AlertWithHistory,
  SetAlertPolicyBody
} from './alerts.schemas.ts'

const tags = ['alerts']

/** Alerts as people read and take them on, and who is told of which. */
export const alertRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/alerts',
    {
      schema: {
        operationId: 'listAlerts',
        tags,
        summary: 'Alerts of the warehouses you see, newest first (预警列表)',
        description:
          'What is the matter and what to do is said in your language. Those that name you are among them wherever they are, also where you hold no duty yet. With mine=true only what you are told of by your duties of today, in somebody’s stead too, or by name. With Accept: text/csv all of them as a file.',
        produces: ['application/json', 'text/csv'],
        querystring: AlertQuery,
        response: { 200: ref(AlertPage), ...problems }
      }
    },
    async (request, reply) =>
      wantsCsv(request)
        ? (sendCsv(reply, 'alerts.csv', ALERT_CSV, await alertRows(request.ctx, request.query)) as never)
        : listAlerts(request.ctx, request.query)
  )

  app.get(
    '/alerts/summary',
    {
      schema: {
        operationId: 'readAlertSummary',
        tags,
        summary: 'How many alerts there are, by kind and state (预警汇总)',
        querystring: AlertSummaryQuery,
        response: { 200: ref(AlertSummary), ...problems }
      }
    },
    (request) => readAlertSummary(request.ctx, request.query)
  )

  app.get(
    '/alerts/:id',
    {
      schema: {
        operationId: 'readAlert',
        tags,
        summary: 'One alert with all that happened to it (预警详情)',
        params: AlertParams,
        response: { 200: ref(AlertWithHistory), ...problems }
      }
    },
    (request) => readAlert(request.ctx, request.params)
  )

  app.post(
    '/alerts/:id/acknowledgement',
    {
      schema: {
        operationId: 'acknowledgeAlert',
        tags,
        summary: 'Take an alert on (确认预警)',
        description:
          'Duty: one of those it is addressed to; or who it names. It is not escalated any more, and resolves itself when its cause is gone. Once; not by an API key.',
        params: AlertParams,
        body: ref(AcknowledgeAlertBody),
        response: { 200: ref(AlertWithHistory), ...problems }
      }
    },
    (request) => acknowledgeAlert(request.ctx, { ...request.params, ...request.body })
  )

  app.get(
    '/alert-policies',
    {
      schema: {
        operationId: 'listAlertPolicies',
        tags,
        summary: 'Who is told of which kind of alert (预警规则)',
        response: { 200: ref(AlertPolicyList), ...problems }
      }
    },
    async (request) => ({ items: await listAlertPolicies(request.ctx) })
  )

  app.get(
    '/alert-policies/:kind',
    {
      schema: {
        operationId: 'readAlertPolicy',
        tags,
        summary: 'Who is told of a kind of alert (单项预警规则)',
        params: AlertPolicyParams,
        response: { 200: ref(AlertPolicyView), ...problems }
      }
    },
    (request) => readAlertPolicy(request.ctx, request.params)
  )

  app.put(
    '/alert-policies/:kind',
    {
      schema: {
        operationId: 'setAlertPolicy',
        tags,
        summary: 'Set who is told of a kind of alert, and when others are (设定预警规则)',
        description:
          'Duty: administrator everywhere. It holds for open alerts at once. A late signature is told to the holders of the missing duty whatever the ladder says. A kind that is not enabled is not raised, and what is open of it is resolved; events that go with it, such as lot.aged, are not published either.',
        params: AlertPolicyParams,
        body: ref(SetAlertPolicyBody),
        response: { 200: ref(AlertPolicyView), ...problems }
      }
    },
    (request) => setAlertPolicy(request.ctx, { ...request.params, ...request.body })
  )
}
