import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { wantsCsv } from '../platform/csv.ts'
import { IfMatch, tagged } from '../platform/etag.ts'
import { problems, ref } from '../platform/schemas.ts'
import { wantsXlsx, XLSX } from '../platform/xlsx.ts'
import { ReasonBody } from '../slips/slips.schemas.ts'
import { amendPurchasePlan } from './amend-purchase-plan.ts'
import { cancelPurchasePlan } from './cancel-purchase-plan.ts'
import { createPurchasePlan } from './create-purchase-plan.ts'
import { sendPurchasePlan } from './purchase-plan-files.ts'
import { readPurchasePlan } from './purchase-plan.ts'
import { listPurchasePlanEvents, listPurchasePlanLines, listPurchasePlans } from './purchase-plans.queries.ts'
import {
  AmendPlanBody,
  CreatePlanBody,
  PlanEvents,
  PlanLinePage,
  PlanLineQuery,
  PlanPage,
  PlanParams,
  PlanQuery,
  PlanView,
  SignPlanBody,
  SubmitPlanBody
} from './purchase-plans.schemas.ts'
import { signPurchasePlan } from './sign-purchase-plan.ts'
import { submitPurchasePlan } from './submit-purchase-plan.ts'

const tags = ['reorder']
const produces = ['application/json', 'text/csv', XLSX]
const readers =
  'For purchaser, stock-controller, hq-finance, operations-supervisor, finance-supervisor and department-head of the head office, or everywhere.'

/** Purchase plans: gathered, budgeted, signed, ordered. */
export const purchasePlanRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/purchase-plans',
    {
      schema: {
        operationId: 'createPurchasePlan',
        tags,
        summary: 'Write the purchase plan of a month (编制采购计划)',
        description:
          'Duty: purchaser or stock-controller everywhere. Gathers all accepted orders of all warehouses that are in no plan yet, by supplier and part, at standard cost.',
        body: ref(CreatePlanBody),
        response: { 201: ref(PlanView), ...problems }
      }
    },
    async (request, reply) => {
      const plan = await createPurchasePlan(request.ctx, request.body)
      reply.code(201).header('location', `/v1/purchase-plans/${plan.number}`)
      return tagged(reply, plan)
    }
  )

  app.get(
    '/purchase-plans',
    {
      schema: {
        operationId: 'listPurchasePlans',
        tags,
        summary: 'Purchase plans, newest first (采购计划列表)',
        description: readers,
        querystring: PlanQuery,
        response: { 200: ref(PlanPage), ...problems }
      }
    },
    (request) => listPurchasePlans(request.ctx, request.query)
  )

  app.get(
    '/purchase-plans/:number',
    {
      schema: {
        operationId: 'readPurchasePlan',
        tags,
        summary: 'One purchase plan with its totals by supplier (采购计划)',
        description: `${readers} By \`Accept\`: JSON, or all its lines as \`text/csv\` or as a spreadsheet.`,
        produces,
        params: PlanParams,
        response: { 200: ref(PlanView), ...problems }
      }
    },
    async (request, reply) => {
      const plan = tagged(reply, await readPurchasePlan(request.ctx, request.params))
      return wantsXlsx(request) || wantsCsv(request) ? sendPurchasePlan({ request, reply }, request.params) : plan
    }
  )

  app.get(
    '/purchase-plans/:number/lines',
    {
      schema: {
        operationId: 'listPurchasePlanLines',
        tags,
        summary: 'Lines of a purchase plan, with what has arrived (采购计划明细)',
        description: `${readers} By \`Accept\`: JSON in pages by line, or all that the filter leaves as \`text/csv\` or as a spreadsheet, by supplier, part and warehouse.`,
        produces,
        params: PlanParams,
        querystring: PlanLineQuery,
        response: { 200: ref(PlanLinePage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      if (!wantsXlsx(request) && !wantsCsv(request)) return listPurchasePlanLines(request.ctx, query)
      const { limit: _limit, cursor: _cursor, ...filter } = query
      return sendPurchasePlan({ request, reply }, filter)
    }
  )

  app.get(
    '/purchase-plans/:number/history',
    {
      schema: {
        operationId: 'listPurchasePlanEvents',
        tags,
        summary: 'What happened to a purchase plan (采购计划历史)',
        description: readers,
        params: PlanParams,
        response: { 200: ref(PlanEvents), ...problems }
      }
    },
    (request) => listPurchasePlanEvents(request.ctx, request.params)
  )

  app.patch(
    '/purchase-plans/:number',
    {
      schema: {
        operationId: 'amendPurchasePlan',
        tags,
        summary: 'Change a purchase plan that is a draft (修改采购计划)',
        description:
          'Duty: purchaser or stock-controller everywhere. Budget, remark, and lines that are added, removed or changed; all of it or nothing. Who orders another quantity, or from another supplier, than was accepted says why.',
        params: PlanParams,
        headers: IfMatch,
        body: ref(AmendPlanBody),
        response: { 200: ref(PlanView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await amendPurchasePlan(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/purchase-plans/:number/submission',
    {
      schema: {
        operationId: 'submitPurchasePlan',
        tags,
        summary: 'Submit a purchase plan for its signatures (提交)',
        description:
          'Duty: purchaser or stock-controller everywhere. Every line has an authorised supplier and a price; who goes beyond the budget says why.',
        params: PlanParams,
        headers: IfMatch,
        body: ref(SubmitPlanBody),
        response: { 200: ref(PlanView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await submitPurchasePlan(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/purchase-plans/:number/signatures',
    {
      schema: {
        operationId: 'signPurchasePlan',
        tags,
        summary: 'Sign a purchase plan, or refuse it with a reason (签字)',
        description:
          'Finance of the head office reviews, operations confirms, the stock controller approves last; three different people, none of whom wrote on it. The last signature orders: every line is on its way to its warehouse from then on.',
        params: PlanParams,
        headers: IfMatch,
        body: ref(SignPlanBody),
        response: { 200: ref(PlanView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await signPurchasePlan(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/purchase-plans/:number/cancellation',
    {
      schema: {
        operationId: 'cancelPurchasePlan',
        tags,
        summary: 'Cancel a purchase plan that is not approved (作废)',
        description:
          'Duty: purchaser or stock-controller everywhere. Its number stays taken; its proposals wait for another plan.',
        params: PlanParams,
        headers: IfMatch,
        body: ref(ReasonBody),
        response: { 200: ref(PlanView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await cancelPurchasePlan(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )
}
