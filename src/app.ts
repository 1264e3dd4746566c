import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import helmet from '@fastify/helmet'
import { authentication } from './identity/authentication.ts'
import { identityRoutes } from './identity/identity.routes.ts'
import { alertStreamRoutes, alertStreams } from './alerts/alert-stream.routes.ts'
import { alertRoutes } from './alerts/alerts.routes.ts'
import { mailRoutes } from './alerts/mails.routes.ts'
import { catalogueRoutes } from './catalogue/catalogue.routes.ts'
import { catalogueImportRoutes } from './catalogue/import.routes.ts'
import { downloads } from './platform/downloads.ts'
import { clientErrorHandler, errorHandler, frameworkErrors } from './platform/error-handler.ts'
import { health } from './platform/health.ts'
import { idempotency } from './platform/idempotency.ts'
import { answeredRequestIds, requestIds } from './platform/log.ts'
import { openapi } from './platform/openapi.ts'
import { requests } from './platform/requests.ts'
import { oldPartRoutes } from './old-parts/old-parts.routes.ts'
import { countRoutes } from './counts/counts.routes.ts'
import { countImportRoutes, countReadRoutes } from './counts/counts-reads.routes.ts'
import { depositRoutes } from './deposits/deposits.routes.ts'
import type { Runtime } from './platform/context.ts'
import { handoverReadRoutes } from './handovers/handovers-reads.routes.ts'
import { handoverRoutes } from './handovers/handovers.routes.ts'
import { ledgerRoutes } from './ledger/ledger.routes.ts'
import { loanerImportRoutes, loanerReadRoutes } from './loaners/loaners-reads.routes.ts'
import { loanerRoutes } from './loaners/loaners.routes.ts'
import { jobs } from './jobs.ts'
import { boardRoutes } from './operations/board.routes.ts'
import { calendarRoutes } from './operations/calendar.routes.ts'
import { jobRoutes } from './operations/jobs.routes.ts'
import { backorderRoutes } from './requests/backorders.routes.ts'
import { toolImportRoutes, toolReadRoutes } from './tools/tools-reads.routes.ts'
import { toolRoutes } from './tools/tools.routes.ts'
import { custodyRoundRoutes } from './custody-rounds/custody-rounds.routes.ts'
import { toolLossRoutes } from './tool-losses/tool-losses.routes.ts'
import { transferRoutes } from './transfers/transfers.routes.ts'
import { expectedReceiptRoutes } from './slips/expected-receipts.routes.ts'
import { recallRoutes } from './recalls/recalls.routes.ts'
import { reorderRoutes } from './replenishment/reorder.routes.ts'
import { openingStockRoutes, slipRoutes } from './slips/slips.routes.ts'
import { requestRoutes } from './requests/requests.routes.ts'
import { proposalRoutes } from './replenishment/proposals.routes.ts'
import { purchasePlanRoutes } from './purchasing/purchase-plans.routes.ts'
import { closingRoutes } from './valuation/closing.routes.ts'
import { statementRoutes } from './valuation/statements.routes.ts'
import { valuationSettingsRoutes } from './valuation/valuation-settings.routes.ts'
import { warehouseImportRoutes } from './warehouses/import.routes.ts'
import { warehouseRoutes } from './warehouses/warehouses.routes.ts'
import { webhookRoutes } from './webhooks/webhooks.routes.ts'
import packageJson from '../package.json' with { type: 'json' }

/** 2 MiB: a slip of 500 lines is about 150 kB; imports have their own, larger limit. */
const BODY_LIMIT = 2 * 1024 * 1024

const tags = [
  { name: 'auth', description: 'Signing in, tokens (登录)' },
  { name: 'people', description: 'People, duties, delegation, API keys (人员与岗位)' },
  { name: 'catalogue', description: 'Parts, units, suppliers, supersession (货品目录)' },
  { name: 'warehouses', description: 'The warehouse tree and regions (仓库)' },
  { name: 'slips', description: 'In and out slips with three signatures (出入库单)' },
  { name: 'stock', description: 'Balances, ledger, verification (库存与明细账)' },
  { name: 'counts', description: 'Counting the stock (盘点)' },
  { name: 'recalls', description: 'Recalls: blocked everywhere at once, found, sent back, freed (召回)' },
  { name: 'loaners', description: 'Loaner units and their loans (备用机)' },
  { name: 'tools', description: 'Technicians’ tools: register, custody, calibration, losses (检测维修工具)' },
  { name: 'transfers', description: 'Goods from warehouse to warehouse, in transit, settled (调拨)' },
  { name: 'handovers', description: 'Warehouses handed over from keeper to keeper (工作移交)' },
  { name: 'quality', description: 'Quality reports (质量反馈表)' },
  { name: 'deposits', description: 'Deposits of outlets, waivers (网点押金)' },
  { name: 'old-parts', description: 'Old parts that are due back: returns, write-offs, refurbishment (旧件)' },
  {
    name: 'requests',
    description: 'Requests of outlets, allocation over the network, backorders, service levels (要货与缺货登记)'
  },
  { name: 'valuation', description: 'Aging, depreciation, month end, statements (库龄、折旧与月结)' },
  { name: 'reorder', description: 'Demand, reorder levels, proposals, purchase plans (补货与采购计划)' },
  { name: 'calendar', description: 'Working days of the Chinese calendar (工作日)' },
  { name: 'jobs', description: 'Background jobs: progress, retries, schedules (后台任务)' },
  { name: 'webhooks', description: 'Other systems that are told what happens (事件推送)' },
  { name: 'alerts', description: 'What wants somebody to act, and who is told (预警)' },
  { name: 'service', description: 'Health of the process (服务状态)' }
]

/** The API without its port: every plugin and every room's routes, listed by hand. */
export async function buildApp(runtime: Runtime, { logger }: { logger: FastifyBaseLogger }): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: logger,
    bodyLimit: BODY_LIMIT,
    trustProxy: runtime.config.TRUST_PROXY,
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler,
    frameworkErrors,
    ...requestIds
  }).withTypeProvider<TypeBoxTypeProvider>()

  await app.register(errorHandler)
  await app.register(requests)
  await app.register(answeredRequestIds)
  // What browsers need to know of answers that are data; the rest is about pages and costs every request its share.
  await app.register(helmet, {
    contentSecurityPolicy: false,
    crossOriginOpenerPolicy: false,
    crossOriginResourcePolicy: false,
    originAgentCluster: false,
    dnsPrefetchControl: false,
    ieNoOpen: false,
    permittedCrossDomainPolicies: false,
    xssFilter: false
  })
  await app.register(openapi, { version: packageJson.version, tags })
  await app.register(health, { runtime, version: packageJson.version })
  await app.register(downloads, { connections: runtime.database.options.poolSize })
  await app.register(idempotency, { actorKey: (request) => request.ctx?.actor.key || undefined })
  await app.register(authentication, { runtime })
  await app.register(identityRoutes, { prefix: '/v1' })
  await app.register(catalogueRoutes, { prefix: '/v1' })
  await app.register(catalogueImportRoutes, { prefix: '/v1' })
  await app.register(warehouseRoutes, { prefix: '/v1' })
  await app.register(warehouseImportRoutes, { prefix: '/v1' })
  await app.register(calendarRoutes, { prefix: '/v1' })
  await app.register(jobRoutes, { prefix: '/v1', runtime, jobs })
  if (runtime.queue !== undefined) await app.register(boardRoutes, { runtime, queue: runtime.queue })
  await app.register(ledgerRoutes, { prefix: '/v1' })
  await app.register(slipRoutes, { prefix: '/v1' })
  await app.register(openingStockRoutes, { prefix: '/v1' })
  await app.register(expectedReceiptRoutes, { prefix: '/v1' })
  await app.register(transferRoutes, { prefix: '/v1' })
  await app.register(backorderRoutes, { prefix: '/v1' })
  await app.register(countRoutes, { prefix: '/v1' })
  await app.register(countReadRoutes, { prefix: '/v1' })
  await app.register(countImportRoutes, { prefix: '/v1' })
  await app.register(depositRoutes, { prefix: '/v1' })
  await app.register(oldPartRoutes, { prefix: '/v1' })
  await app.register(requestRoutes, { prefix: '/v1' })
  await app.register(loanerReadRoutes, { prefix: '/v1' })
  await app.register(loanerRoutes, { prefix: '/v1' })
  await app.register(loanerImportRoutes, { prefix: '/v1' })
  await app.register(toolLossRoutes, { prefix: '/v1' })
  await app.register(custodyRoundRoutes, { prefix: '/v1' })
  await app.register(handoverRoutes, { prefix: '/v1' })
  await app.register(handoverReadRoutes, { prefix: '/v1' })
  await app.register(toolReadRoutes, { prefix: '/v1' })
  await app.register(toolRoutes, { prefix: '/v1' })
  await app.register(toolImportRoutes, { prefix: '/v1' })
  await app.register(proposalRoutes, { prefix: '/v1' })
  await app.register(purchasePlanRoutes, { prefix: '/v1' })
  await app.register(closingRoutes, { prefix: '/v1' })
  await app.register(valuationSettingsRoutes, { prefix: '/v1' })
  await app.register(statementRoutes, { prefix: '/v1' })
  await app.register(recallRoutes, { prefix: '/v1' })
  await app.register(reorderRoutes, { prefix: '/v1' })
  await app.register(mailRoutes, { prefix: '/v1' })
  await app.register(webhookRoutes, { prefix: '/v1' })
  await app.register(alertRoutes, { prefix: '/v1' })
  await app.register(alertStreams)
  await app.register(alertStreamRoutes, { prefix: '/v1', runtime })
  await app.ready()
  return app
}
