import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { problems, ref } from '../platform/schemas.ts'
import { readDemand } from './demand.ts'
import { readForecastAccuracy } from './forecast-accuracy.ts'
import { listReorderLevels, REORDER_LEVEL_COLUMNS, reorderLevelStream } from './reorder-levels.queries.ts'
import {
  listReorderPolicies,
  readReorderPolicy,
  REORDER_POLICY_COLUMNS,
  reorderPolicyStream,
  setReorderPolicy,
  withdrawReorderPolicy
} from './reorder-policies.ts'
import {
  ComputeLevelsBody,
  DemandQuery,
  DemandSeriesView,
  ForecastAccuracyQuery,
  ForecastAccuracyView,
  ForecastBody,
  ForecastView,
  ReorderLevelPage,
  ReorderLevelQuery,
  ReorderPolicyPage,
  ReorderPolicyParams,
  ReorderPolicyQuery,
  ReorderPolicyView,
  RequestedJob,
  ServiceTargetList,
  ServiceTargetParams,
  ServiceTargetView,
  SetReorderPolicyBody,
  SetServiceTargetBody,
  WithdrawReorderPolicyBody
} from './reorder.schemas.ts'
import { requestLevels } from './request-levels.ts'
import { listServiceTargets, setServiceTarget } from './service-targets.ts'
import { tryForecast } from './try-forecast.ts'

const tags = ['reorder']
const produces = ['application/json', 'text/csv']
const MAY_SET = 'Duty: stock-controller, purchaser or operations-supervisor for the warehouse.'

/** When to order and how much: policies, demand, forecasts and the levels in force (R-ORD-1). */
export const reorderRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/reorder/policies',
    {
      schema: {
        operationId: 'listReorderPolicies',
        tags,
        summary: 'Reorder policies of the warehouses you see (订货策略列表)',
        description:
          'Expired ones are among them until they are replaced or withdrawn. `Accept: text/csv` answers the whole list as a file.',
        produces,
        querystring: ReorderPolicyQuery,
        response: { 200: ref(ReorderPolicyPage), ...problems }
      }
    },
    async (request, reply) =>
      wantsCsv(request)
        ? (sendCsv(
            reply,
            'reorder-policies.csv',
            REORDER_POLICY_COLUMNS,
            await reorderPolicyStream(request.ctx, request.query)
          ) as never)
        : listReorderPolicies(request.ctx, request.query)
  )

  app.get(
    '/reorder/policies/:warehouse/parts/:part',
    {
      schema: {
        operationId: 'readReorderPolicy',
        tags,
        summary: 'The reorder policy of a part in a warehouse (订货策略)',
        params: ReorderPolicyParams,
        response: { 200: ref(ReorderPolicyView), ...problems }
      }
    },
    (request) => readReorderPolicy(request.ctx, request.params)
  )

  app.put(
    '/reorder/policies/:warehouse/parts/:part',
    {
      schema: {
        operationId: 'setReorderPolicy',
        tags,
        summary: 'Set how much of a part a warehouse keeps (设定订货策略)',
        description: `${MAY_SET} Fixed: minimum and maximum with a reason and a last day, after which the computed level is in force again. Computed: with a target, lead time or pack size of its own. It replaces the policy that is there, and the level is in force at once.`,
        params: ReorderPolicyParams,
        body: SetReorderPolicyBody,
        response: { 200: ref(ReorderPolicyView), ...problems }
      }
    },
    (request) => setReorderPolicy(request.ctx, { ...request.params, ...request.body })
  )

  app.post(
    '/reorder/policies/:warehouse/parts/:part/withdrawal',
    {
      schema: {
        operationId: 'withdrawReorderPolicy',
        tags,
        summary: 'Withdraw a reorder policy (撤销订货策略)',
        description: `${MAY_SET} The position goes by demand and the catalogue again, at once. Answers the policy as it was.`,
        params: ReorderPolicyParams,
        body: WithdrawReorderPolicyBody,
        response: { 200: ref(ReorderPolicyView), ...problems }
      }
    },
    (request) => withdrawReorderPolicy(request.ctx, { ...request.params, ...request.body })
  )

  app.get(
    '/reorder/service-targets',
    {
      schema: {
        operationId: 'listServiceTargets',
        tags,
        summary: 'Service targets by criticality class (服务水平目标)',
        response: { 200: ref(ServiceTargetList), ...problems }
      }
    },
    async (request) => ({ items: await listServiceTargets(request.ctx) })
  )

  app.put(
    '/reorder/service-targets/:criticality',
    {
      schema: {
        operationId: 'setServiceTarget',
        tags,
        summary: 'Set the service target of a criticality class (设定服务水平目标)',
        description: 'Duty: stock-controller everywhere. Levels follow with the next computation.',
        params: ServiceTargetParams,
        body: SetServiceTargetBody,
        response: { 200: ref(ServiceTargetView), ...problems }
      }
    },
    (request) => setServiceTarget(request.ctx, { ...request.params, ...request.body })
  )

  app.post(
    '/reorder/computations',
    {
      schema: {
        operationId: 'computeReorderLevels',
        tags,
        summary: 'Compute demand and levels now (计算订货点)',
        description:
          'Duty: stock-controller everywhere. It is done every night; what nothing changed for is not computed again. Answers the job, whose progress `GET /v1/jobs/{id}` shows.',
        body: ComputeLevelsBody,
        response: { 202: ref(RequestedJob), ...problems }
      }
    },
    async (request, reply) => {
      const job = await requestLevels(request.ctx, request.body)
      reply.code(202).header('location', `/v1/jobs/${job}`)
      return { job }
    }
  )

  app.get(
    '/reorder/levels',
    {
      schema: {
        operationId: 'listReorderLevels',
        tags,
        summary: 'Levels in force, and what each comes from (订货点列表)',
        description:
          'Of the warehouses you see, by warehouse and part in the order in which they were entered. With what defends each figure: class of demand, method, forecast, distribution, lead time and target with their sources, what it achieves, and how the position stands against it. `Accept: text/csv` answers the whole list as a file.',
        produces,
        querystring: ReorderLevelQuery,
        response: { 200: ref(ReorderLevelPage), ...problems }
      }
    },
    async (request, reply) =>
      wantsCsv(request)
        ? (sendCsv(
            reply,
            'reorder-levels.csv',
            REORDER_LEVEL_COLUMNS,
            await reorderLevelStream(request.ctx, request.query)
          ) as never)
        : listReorderLevels(request.ctx, request.query)
  )

  app.get(
    '/reorder/demand',
    {
      schema: {
        operationId: 'readDemand',
        tags,
        summary: 'Demand of a part in a warehouse by month (月需求)',
        description:
          'Issues and sales net of returns and reversals, in the month in which the goods were issued; transfers and adjustments are no demand. As the last computation left it. Demand of parts that it replaces one way is counted in, times the factor; parts that replace each other both ways stay apart.',
        querystring: DemandQuery,
        response: { 200: ref(DemandSeriesView), ...problems }
      }
    },
    (request) => readDemand(request.ctx, request.query)
  )

  app.get(
    '/reorder/forecast-accuracy',
    {
      schema: {
        operationId: 'readForecastAccuracy',
        tags,
        summary: 'How far forecasts of a warehouse were off (预测准确率)',
        description:
          'Every method forecasts each of the last twelve months from the months before it; by class of demand.',
        querystring: ForecastAccuracyQuery,
        response: { 200: ref(ForecastAccuracyView), ...problems }
      }
    },
    (request) => readForecastAccuracy(request.ctx, request.query)
  )

  app.post(
    '/reorder/forecasts',
    {
      schema: {
        operationId: 'tryForecast',
        tags,
        summary: 'Forecast and level of any series (预测试算)',
        description: 'Through the same functions as every level. Nothing is stored. Every signed-in person may ask.',
        body: ForecastBody,
        response: { 200: ref(ForecastView), ...problems }
      }
    },
    async (request) => tryForecast(request.body)
  )
}
