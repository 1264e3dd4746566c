import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { sendFile } from '../platform/downloads.ts'
import { IfMatch, tagged } from '../platform/etag.ts'
import { problems, ref } from '../platform/schemas.ts'
import { ToolSerialParams } from '../tools/tools.schemas.ts'
import { assessToolLoss } from './assess-tool-loss.ts'
import { reportToolFound, reportToolRepaired, takeInDamagedTool } from './end-tool-loss.ts'
import { reportToolLoss } from './report-tool-loss.ts'
import { signToolLoss } from './sign-tool-loss.ts'
import { LOSS_FORM_POLICY, printToolLoss } from './tool-loss-form.ts'
import { readToolLoss } from './tool-loss.ts'
import {
  COMPENSATION_HEADINGS,
  compensationStream,
  listToolCompensations,
  listToolLosses,
  listToolLossEvents,
  LOSS_HEADINGS,
  lossStream,
  readToolWorth
} from './tool-losses.queries.ts'
import {
  AssessLossBody,
  CompensationPage,
  CompensationQuery,
  LossEvents,
  FoundToolBody,
  LossNoteBody,
  LossPage,
  LossParams,
  LossQuery,
  LossView,
  ReportLossBody,
  SetToolPolicyBody,
  SignLossBody,
  ToolPolicies,
  ToolPolicyParams,
  ToolPolicyView,
  ToolWorthView,
  WithdrawLossBody,
  WorthQuery
} from './tool-losses.schemas.ts'
import { listToolPolicies, setToolPolicy } from './tool-policies.ts'
import { withdrawToolLoss } from './withdraw-tool-loss.ts'

const tags = ['tools']
const csvToo = ['application/json', 'text/csv']

/** Lost and damaged tools: reports, what is compensated, and the policy by which tools lose value. */
export const toolLossRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/tools/:serial/losses',
    {
      schema: {
        operationId: 'reportToolLoss',
        tags,
        summary: 'Report a tool lost or damaged (工具丢失、损坏报告)',
        description:
          'The technician whose custody it is in, even when the duty has run out, or the keeper. The technician compensates the net value of that day unless it is normal wear (R-TOOL-2); a fixed asset needs reasonReport (R-TOOL-4).',
        params: ToolSerialParams,
        body: ref(ReportLossBody),
        response: { 201: ref(LossView), ...problems }
      }
    },
    async (request, reply) => {
      const loss = await reportToolLoss(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/tool-losses/${loss.number}`)
      return tagged(reply, loss)
    }
  )

  app.get(
    '/tools/:serial/worth',
    {
      schema: {
        operationId: 'readToolWorth',
        tags,
        summary: 'What a tool is worth on a day (工具净值)',
        description: 'With the steps that lead to it, by the policy that held when the tool was bought.',
        params: ToolSerialParams,
        querystring: WorthQuery,
        response: { 200: ref(ToolWorthView), ...problems }
      }
    },
    (request) => readToolWorth(request.ctx, { ...request.params, ...request.query })
  )

  app.get(
    '/tool-losses',
    {
      schema: {
        operationId: 'listToolLosses',
        tags,
        summary: 'Reports of loss and damage (工具丢失损坏报告列表)',
        description:
          'Of registers you read, and about yourself; the newest first. What is compensated is shown to the technician it is claimed from, to department-head, finance-supervisor and hq-finance. CSV by `Accept: text/csv`, all of them.',
        produces: csvToo,
        querystring: LossQuery,
        response: { 200: ref(LossPage), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(reply, 'tool-losses.csv', LOSS_HEADINGS, lossStream(request.ctx, request.query)) as never
      return listToolLosses(request.ctx, request.query)
    }
  )

  app.get(
    '/tool-losses/:number',
    {
      schema: {
        operationId: 'readToolLoss',
        tags,
        summary: 'One report of loss or damage (工具丢失损坏报告)',
        description:
          'What is compensated is shown to the technician it is claimed from, to department-head, finance-supervisor and hq-finance; to all others it is null.',
        params: LossParams,
        response: { 200: ref(LossView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readToolLoss(request.ctx, request.params))
  )

  app.get(
    '/tool-losses/:number/paper',
    {
      schema: {
        operationId: 'printToolLoss',
        tags,
        summary: 'A report for paper (打印工具丢失损坏报告单)',
        description:
          'HTML for the printer, Chinese and English: what happened, the steps of the net value, what is compensated (to whom it is shown), who signed.',
        produces: ['text/html'],
        params: LossParams,
        response: {
          200: { description: 'HTML for paper', content: { 'text/html': { schema: Type.String() } } },
          ...problems
        }
      }
    },
    async (request, reply) => {
      const page = await printToolLoss(request.ctx, request.params)
      return sendFile(
        reply,
        {
          'content-type': 'text/html; charset=utf-8',
          'content-security-policy': LOSS_FORM_POLICY,
          'content-disposition': `inline; filename="${request.params.number}.html"`
        },
        () => Readable.from([page])
      ) as never
    }
  )

  app.get(
    '/tool-losses/:number/history',
    {
      schema: {
        operationId: 'listToolLossEvents',
        tags,
        summary: 'What happened to a report (报告历史)',
        description: 'The oldest first.',
        params: LossParams,
        response: { 200: ref(LossEvents), ...problems }
      }
    },
    (request) => listToolLossEvents(request.ctx, request.params)
  )

  app.put(
    '/tool-losses/:number/assessment',
    {
      schema: {
        operationId: 'assessToolLoss',
        tags,
        summary: 'Say what becomes of the tool and what is compensated (核定赔偿)',
        description:
          'Duty: department-head, in person, not the technician. At most the net value; less with a reason; nothing for normal wear. What is left away stays as it is. Voids signatures. Of a tool in repair: outcome scrapped gives the repair up, and what was booked for it counts towards the rest (维修不成).',
        params: LossParams,
        headers: IfMatch,
        body: ref(AssessLossBody),
        response: { 200: ref(LossView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await assessToolLoss(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/tool-losses/:number/signatures',
    {
      schema: {
        operationId: 'signToolLoss',
        tags,
        summary: 'Approve or refuse a report (审批工具丢失损坏报告)',
        description:
          'Duties: department-head and finance-supervisor, two different people, neither who reported it nor the technician. With the second signature the compensation is booked and the tool leaves the register’s living part, or is repaired.',
        params: LossParams,
        headers: IfMatch,
        body: ref(SignLossBody),
        response: { 200: ref(LossView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await signToolLoss(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/tool-losses/:number/withdrawal',
    {
      schema: {
        operationId: 'withdrawToolLoss',
        tags,
        summary: 'Take a report back (撤回工具丢失损坏报告)',
        description:
          'Whoever reported it, until it is assessed or signed for the first time, and the technician until the tool is taken in; later a signer refuses it. The tool is free again, and the number stays taken.',
        params: LossParams,
        headers: IfMatch,
        body: ref(WithdrawLossBody),
        response: { 200: ref(LossView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await withdrawToolLoss(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  for (const [path, verb, operationId, summary, description] of [
    [
      'taken-in',
      takeInDamagedTool,
      'takeInDamagedTool',
      'Take a damaged tool in from its technician (收回损坏工具)',
      'Duty: keeper, in person, not the technician. It lies on the shelf and is issued to nobody until it is repaired.'
    ],
    [
      'repaired',
      reportToolRepaired,
      'reportToolRepaired',
      'A damaged tool is repaired and on the shelf (修复入库)',
      'Duty: keeper, in person, not the technician. After the report is approved; the tool can be issued again.'
    ]
  ] as const) {
    app.post(
      `/tool-losses/:number/${path}`,
      {
        schema: {
          operationId,
          tags,
          summary,
          description,
          params: LossParams,
          headers: IfMatch,
          body: ref(LossNoteBody),
          response: { 200: ref(LossView), ...problems }
        }
      },
      async (request, reply) =>
        tagged(
          reply,
          await verb(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
        )
    )
  }

  app.post(
    '/tool-losses/:number/found',
    {
      schema: {
        operationId: 'reportToolFound',
        tags,
        summary: 'A lost tool was found (丢失工具找回)',
        description:
          'Duty: keeper, in person, not the technician. The tool is back on the shelf; what was compensated is taken back by a second line of the journal. If its warehouse is closed, a keeper of an open one of the region (or whoever reads the closed one’s register) names that, and the tool and the second line are that warehouse’s (原仓库已关闭时归入所填仓库).',
        params: LossParams,
        headers: IfMatch,
        body: ref(FoundToolBody),
        response: { 200: ref(LossView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await reportToolFound(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.get(
    '/tools/compensations',
    {
      schema: {
        operationId: 'listToolCompensations',
        tags,
        summary: 'What technicians compensate in a month (工具赔偿分录)',
        description:
          'Duty: finance-supervisor, department-head or hq-finance; of the warehouses these are held for. With the accounts of today; the same lines are in the journal of the month. CSV by `Accept: text/csv`, all of them.',
        produces: csvToo,
        querystring: CompensationQuery,
        response: { 200: ref(CompensationPage), ...problems }
      }
    },
    async (request, reply) => {
      if (!wantsCsv(request)) return listToolCompensations(request.ctx, request.query)
      const rows = await compensationStream(request.ctx, request.query)
      return sendCsv(reply, `tool-compensations-${request.query.period}.csv`, COMPENSATION_HEADINGS, rows) as never
    }
  )

  app.get(
    '/tool-policies',
    {
      schema: {
        operationId: 'listToolPolicies',
        tags,
        summary: 'From what value on tools are fixed assets, and how they lose value (工具管理政策)',
        description:
          'By the day they begin on. A tool goes by the policy that held when it was bought. Straight line: value − (value − residual) × months ⁄ life; declining balance: 2 ⁄ years of what is left each year, the last two years evenly. Months from the one after the purchase up to that of the day.',
        response: { 200: ref(ToolPolicies), ...problems }
      }
    },
    (request) => listToolPolicies(request.ctx)
  )

  app.put(
    '/tool-policies/:validFrom',
    {
      schema: {
        operationId: 'setToolPolicy',
        tags,
        summary: 'Set the policy for tools bought from a day on (设定工具管理政策)',
        description: 'Duty: hq-finance, held everywhere. Begins after today: the past never changes.',
        params: ToolPolicyParams,
        body: ref(SetToolPolicyBody),
        response: { 200: ref(ToolPolicyView), ...problems }
      }
    },
    (request) => setToolPolicy(request.ctx, { ...request.params, ...request.body })
  )
}
