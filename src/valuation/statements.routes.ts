import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import { problems, ref } from '../platform/schemas.ts'
import { wantsXlsx, XLSX } from '../platform/xlsx.ts'
import { agingFilter, agingGroups, type AgingGroup } from './aging.ts'
import {
  AGING_SUMMARY_TABLE,
  POSITION_HEADER,
  reprDigest,
  sendStatement,
  sendWorkbook,
  wantsFile,
  type AgingSummaryRow
} from './statement-files.ts'
import {
  currentMonth,
  headerOf,
  inSnapshot,
  openScope,
  positionOf,
  streamAcross,
  type StatementScope
} from './statement-scope.ts'
import { readStatement, type Statement } from './statement.ts'
import {
  agingListing,
  depreciationListing,
  fileHashOf,
  journalListing,
  materialCostListing,
  readStatementPage,
  stockReportListing,
  type Listing
} from './statements.queries.ts'
import {
  AgingPage,
  AgingQuery,
  AgingSummaryPage,
  AgingSummaryQuery,
  DepreciationPage,
  JournalPage,
  MaterialCostPage,
  NoQuery,
  PageQuery,
  PartPageQuery,
  PeriodParams,
  ScopedPageQuery,
  ScopedPartPageQuery,
  StatementVerificationView,
  StatementView,
  StockReportPage
} from './statements.schemas.ts'
import { verifyStatement } from './verify-statement.ts'

const tags = ['valuation']
const produces = ['application/json', 'text/csv', XLSX]
const formats =
  'By `Accept`: JSON in pages, or the whole as `text/csv` or as a spreadsheet. A month that is not closed answers a preview, marked as such; one that has not begun is refused.'
const readers = 'Everyone with a duty in the warehouse may read it.'
const ofOne = `${formats} Of a closed month the files are the same bytes at every download. ${readers}`
const ofSeveral = `Of the warehouses you see, which are those you have a duty in: one, those of a region as the tree is today, or all. ${formats} Where some warehouses are closed and others are not, the state is \`mixed\` and every row says its own.`

/** A page of a list, or one of its files. */
const listed = <Page extends TSchema & { $id: string }>(page: Page) => ({
  ...ref(page),
  headers: {
    [POSITION_HEADER]: {
      type: 'string',
      description:
        'Of a CSV: the last movement of the month and all before it that it was made from (账簿位置), which pages and spreadsheets say themselves; of several warehouses the latest of theirs. Of a preview as it was when the file was begun'
    },
    'Repr-Digest': {
      type: 'string',
      description: 'Of a CSV whose SHA-256 the statement of a closed month holds: that hash, RFC 9530 (摘要)'
    }
  }
})

interface Exchange {
  request: FastifyRequest
  reply: FastifyReply
}

/** A statement in the format that was asked for. */
async function answered<Row extends { warehouse: string }, Totals>(
  { request, reply }: Exchange,
  scope: StatementScope,
  page: { limit?: number | undefined; cursor?: string | undefined },
  listing: Listing<Row, Totals>
) {
  const { ctx } = request
  if (!wantsFile(request)) return readStatementPage(ctx, scope, page, listing)
  return sendStatement({ request, reply }, scope, listing.table, {
    rows: streamAcross(ctx, scope, listing.source),
    position: await positionOf(ctx, scope),
    sha256: await fileHashOf(ctx, scope, listing)
  }) as never
}

/** The statements of a month (R-FIN-2). */
export const statementRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/warehouses/:warehouse/periods/:period/depreciation',
    {
      schema: {
        operationId: 'readDepreciation',
        tags,
        summary: 'Depreciation of a month by lot (折旧明细)',
        description: `Every own lot on hand at the end of the month, charged or not. ${ofOne}`,
        produces,
        params: PeriodParams,
        querystring: PartPageQuery,
        response: { 200: listed(DepreciationPage), ...problems }
      }
    },
    async (request, reply) => {
      const scope = await openScope(request.ctx, { ...request.params, part: request.query.part }, '{period}')
      return answered({ request, reply }, scope, request.query, depreciationListing(scope))
    }
  )

  app.get(
    '/depreciation',
    {
      schema: {
        operationId: 'listDepreciation',
        tags,
        summary: 'Depreciation of a month across warehouses (折旧明细汇总)',
        description: ofSeveral,
        produces,
        querystring: ScopedPartPageQuery,
        response: { 200: listed(DepreciationPage), ...problems }
      }
    },
    async (request, reply) => {
      const scope = await openScope(request.ctx, request.query)
      return answered({ request, reply }, scope, request.query, depreciationListing(scope))
    }
  )

  app.get(
    '/warehouses/:warehouse/periods/:period/stock-report',
    {
      schema: {
        operationId: 'readStockReport',
        tags,
        summary: 'Stock report of a month: opening, in, out, adjustment, closing (进销存月报)',
        description: `Every balance that was on hand or moved, own and consigned, in quantity and value. ${ofOne}`,
        produces,
        params: PeriodParams,
        querystring: PartPageQuery,
        response: { 200: listed(StockReportPage), ...problems }
      }
    },
    async (request, reply) => {
      const scope = await openScope(request.ctx, { ...request.params, part: request.query.part }, '{period}')
      return answered({ request, reply }, scope, request.query, stockReportListing(scope))
    }
  )

  app.get(
    '/stock-report',
    {
      schema: {
        operationId: 'listStockReport',
        tags,
        summary: 'Stock report of a month across warehouses (进销存月报汇总)',
        description: ofSeveral,
        produces,
        querystring: ScopedPartPageQuery,
        response: { 200: listed(StockReportPage), ...problems }
      }
    },
    async (request, reply) => {
      const scope = await openScope(request.ctx, request.query)
      return answered({ request, reply }, scope, request.query, stockReportListing(scope))
    }
  )

  app.get(
    '/warehouses/:warehouse/periods/:period/journal',
    {
      schema: {
        operationId: 'readJournal',
        tags,
        summary: 'Journal lines of a month for the general ledger (凭证分录)',
        description: `What each kind of slip moved, the depreciation, and what technicians compensate. Debit equals credit. Of a closed month with the accounts of that time. The lines \`tool-compensation\` are shown to finance-supervisor, department-head and hq-finance, and left out of the totals for others. ${ofOne}`,
        produces,
        params: PeriodParams,
        querystring: PageQuery,
        response: { 200: listed(JournalPage), ...problems }
      }
    },
    async (request, reply) => {
      const scope = await openScope(request.ctx, request.params, '{period}')
      return answered({ request, reply }, scope, request.query, journalListing)
    }
  )

  app.get(
    '/journal',
    {
      schema: {
        operationId: 'listJournal',
        tags,
        summary: 'Journal lines of a month by department (凭证分录汇总)',
        description: ofSeveral,
        produces,
        querystring: ScopedPageQuery,
        response: { 200: listed(JournalPage), ...problems }
      }
    },
    async (request, reply) => {
      const scope = await openScope(request.ctx, request.query)
      return answered({ request, reply }, scope, request.query, journalListing)
    }
  )

  app.get(
    '/warehouses/:warehouse/periods/:period/statement',
    {
      schema: {
        operationId: 'readStatement',
        tags,
        summary: 'Statement of a month (月末报表)',
        description:
          'Of a closed month the stored bytes, whose SHA-256 is the ETag and the Repr-Digest (RFC 9530); they are the same for ever. Of an open month a preview, marked as such. By `Accept` also as a workbook with depreciation, journal, stock report, aging and material cost. Everyone with a duty in the warehouse may read it; to whom tool compensations are not shown, a month that has some is answered without these lines of the journal, and so not as the stored bytes.',
        produces: ['application/json', XLSX],
        params: PeriodParams,
        querystring: NoQuery,
        response: {
          200: {
            ...ref(StatementView),
            headers: {
              ETag: {
                type: 'string',
                description: 'SHA-256 of the statement; of a preview it changes with what it says'
              },
              'Repr-Digest': { type: 'string', description: 'SHA-256 of the JSON text, RFC 9530 (摘要)' }
            }
          },
          ...problems
        }
      }
    },
    async (request, reply) => {
      const { text, sha256, isStored } = await readStatement(request.ctx, request.params)
      if (wantsXlsx(request)) {
        const { ctx, params } = request
        const scope = await openScope(ctx, params, '{period}')
        reply.header('etag', `W/"${sha256}-xlsx"`)
        return sendWorkbook(reply, scope, JSON.parse(text) as Statement, {
          depreciation: streamAcross(ctx, scope, depreciationListing(scope).source),
          stockReport: streamAcross(ctx, scope, stockReportListing(scope).source),
          materialCost: streamAcross(ctx, scope, materialCostListing.source)
        }) as never
      }
      reply
        .header('etag', isStored ? `"${sha256}"` : `W/"${sha256}"`)
        .header('repr-digest', reprDigest(sha256))
        .header('content-type', 'application/json; charset=utf-8')
      return reply.send(text as never) as never
    }
  )

  app.get(
    '/warehouses/:warehouse/periods/:period/statement/verification',
    {
      schema: {
        operationId: 'verifyStatement',
        tags,
        summary: 'Verify the statement of a closed month (报表核验)',
        description:
          'Works out anew its hash, those of its files from the frozen rows, its totals, its journal and its classes of age, and holds them, the policies and the count against the ledger and the statement of the month before. It reads every row of the month: for finance-supervisor, hq-finance or stock-controller.',
        params: PeriodParams,
        querystring: NoQuery,
        response: { 200: ref(StatementVerificationView), ...problems }
      }
    },
    (request) => verifyStatement(request.ctx, request.params)
  )

  app.get(
    '/aging',
    {
      schema: {
        operationId: 'listAging',
        tags,
        summary: 'Lots by age (库龄表)',
        description: `Lots on hand at the end of the month with age, class of age and net book value; own goods unless consigned ones are asked for. ${ofSeveral}`,
        produces,
        querystring: AgingQuery,
        response: { 200: listed(AgingPage), ...problems }
      }
    },
    async (request, reply) => {
      const { query, ctx } = request
      const scope = await openScope(ctx, { ...query, period: query.period ?? currentMonth(ctx) })
      const filter = await agingFilter(ctx, scope, query)
      return answered({ request, reply }, scope, query, agingListing(filter))
    }
  )

  app.get(
    '/aging/summary',
    {
      schema: {
        operationId: 'readAgingSummary',
        tags,
        summary: 'Stock by class of age (库龄汇总)',
        description: `Lots, quantity, cost and net book value in each class, of all warehouses, of each region or of each warehouse. ${ofSeveral}`,
        produces,
        querystring: AgingSummaryQuery,
        response: { 200: listed(AgingSummaryPage), ...problems }
      }
    },
    async (request, reply) => {
      const { query, ctx } = request
      const { by = 'all', ownership = 'own' } = query
      const scope = await openScope(ctx, { ...query, period: query.period ?? currentMonth(ctx) })
      const grouped = (page: { limit?: number; cursor?: string | undefined }) =>
        agingGroups(ctx, scope, { by, ownership, ...page })
      if (wantsFile(request))
        return sendStatement({ request, reply }, scope, AGING_SUMMARY_TABLE, {
          rows: flat(scope.period, grouped),
          position: await positionOf(ctx, scope)
        }) as never
      return inSnapshot(ctx, async (snapshot) => ({
        ...headerOf(scope),
        position: query.cursor === undefined ? await positionOf(snapshot, scope) : null,
        ownership,
        by,
        ...(await agingGroups(snapshot, scope, { ...query, by, ownership }))
      }))
    }
  )

  app.get(
    '/material-cost',
    {
      schema: {
        operationId: 'listMaterialCost',
        tags,
        summary: 'After-sales material cost by repair order, technician and outlet (售后材料成本)',
        description: `Own goods issued in the month, less what came back and was reversed, by what they were issued to. The net book value is what the journal books to the role \`material-cost\`. ${ofSeveral}`,
        produces,
        querystring: ScopedPageQuery,
        response: { 200: listed(MaterialCostPage), ...problems }
      }
    },
    async (request, reply) => {
      const scope = await openScope(request.ctx, request.query)
      return answered({ request, reply }, scope, request.query, materialCostListing)
    }
  )
}

const GROUPS_AT_ONCE = 200

/** All groups, one row for each class of age. */
async function* flat(
  period: string,
  grouped: (page: { limit: number; cursor: string | undefined }) => Promise<{
    items: AgingGroup[]
    nextCursor: string | null
  }>
): AsyncGenerator<AgingSummaryRow> {
  let cursor: string | undefined
  do {
    const { items, nextCursor } = await grouped({ limit: GROUPS_AT_ONCE, cursor })
    for (const { buckets, ...group } of items) for (const bucket of buckets) yield { period, ...group, ...bucket }
    cursor = nextCursor ?? undefined
  } while (cursor !== undefined)
}
