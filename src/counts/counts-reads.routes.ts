import { Readable } from 'node:stream'
import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { csvBody, csvUpload, IMPORT_BODY_LIMIT } from '../platform/csv-import.ts'
import { sendFile } from '../platform/downloads.ts'
import { IfMatch, tagged } from '../platform/etag.ts'
import {
  closed,
  Day,
  limitAndCursor,
  Month,
  oneOf,
  PartNumber,
  problems,
  ref,
  WarehouseCode
} from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'
import {
  COUNT_REPORT_COLUMNS,
  CountReportBody,
  CountReportPage,
  countReportStream,
  listCountReports,
  REPORT_STATES,
  sendCountReport
} from './count-reports.ts'
import { printCountSheet, SHEET_POLICY } from './count-sheet.ts'
import {
  CountTolerance,
  CountTolerances,
  listCountTolerances,
  setCountTolerance,
  TOLERANCE_CLASSES,
  ToleranceBody
} from './count-tolerances.ts'
import {
  COUNT_LINE_HEADINGS,
  CountEvents,
  CountLinePage,
  countLineStream,
  CountSummaryPage,
  listCountEvents,
  listCountLines,
  listCounts,
  readCount,
  readCountLine,
  searchCounts
} from './counts.queries.ts'
import {
  COUNT_KINDS,
  COUNT_LINE_STATES,
  COUNT_STATES,
  CountLineView,
  CountParams,
  CountView,
  LineNumber
} from './counts.schemas.ts'
import { COUNT_ENTRY_COLUMNS, CountFileResult, importCounts } from './import-counts.ts'
import { LAST_COUNTED_COLUMNS, LastCountedPage, lastCountedStream, listLastCounted } from './last-counted.ts'

const WarehouseParams = Type.Object({ warehouse: WarehouseCode })
const countFilter = {
  period: Type.Optional(Type.String({ ...Month, description: 'Only month-end counts of this month' })),
  state: Type.Optional(oneOf(COUNT_STATES, 'State')),
  kind: Type.Optional(oneOf(COUNT_KINDS, 'Kind of count')),
  ...limitAndCursor
}
const region = Type.Optional(RegionCode)

/** Counts as they are read, printed and reported. What is written stands beside it, in counts.routes.ts. */
export const countReadRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/warehouses/:warehouse/counts',
    {
      schema: {
        operationId: 'listCounts',
        tags: ['counts'],
        summary: 'Counts of a warehouse, newest first (盘点列表)',
        params: WarehouseParams,
        querystring: Type.Object(countFilter, closed),
        response: { 200: ref(CountSummaryPage), ...problems }
      }
    },
    (request) => listCounts(request.ctx, { ...request.params, ...request.query })
  )

  app.get(
    '/counts',
    {
      schema: {
        operationId: 'searchCounts',
        tags: ['counts'],
        summary: 'Counts of every warehouse you see, newest first (盘点查询)',
        querystring: Type.Object({ ...countFilter, region }, closed),
        response: { 200: ref(CountSummaryPage), ...problems }
      }
    },
    (request) => searchCounts(request.ctx, request.query)
  )

  app.get(
    '/counts/:number',
    {
      schema: {
        operationId: 'readCount',
        tags: ['counts'],
        summary: 'One count, with how far its lines are (盘点单)',
        params: CountParams,
        response: { 200: ref(CountView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readCount(request.ctx, request.params))
  )

  app.get(
    '/counts/:number/lines',
    {
      schema: {
        operationId: 'listCountLines',
        tags: ['counts'],
        summary: 'Lines of a count (盘点明细)',
        description:
          'What is expected, counted and off by is told of a line once it is settled, to everybody; until then these members are null (盲盘). With `Accept: text/csv` all lines are streamed; fill `counted` and `card` in that file and send it to `entries/csv`. Its column `lots` names the lots to look for at the shelf.',
        produces: ['application/json', 'text/csv'],
        params: CountParams,
        querystring: Type.Object(
          {
            state: Type.Optional(oneOf(COUNT_LINE_STATES, 'State of the line')),
            differs: Type.Optional(
              Type.Boolean({
                description:
                  'true: only settled lines where ledger, card and goods do not agree; false: only settled lines where they do'
              })
            ),
            part: Type.Optional(PartNumber),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(CountLinePage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      if (wantsCsv(request))
        return sendCsv(
          reply,
          `${query.number}.csv`,
          COUNT_LINE_HEADINGS,
          await countLineStream(request.ctx, query)
        ) as never
      return listCountLines(request.ctx, query)
    }
  )

  app.get(
    '/counts/:number/lines/:line',
    {
      schema: {
        operationId: 'readCountLine',
        tags: ['counts'],
        summary: 'One line of a count (盘点行)',
        description: 'As in the list: without any figure until it is settled (盲盘).',
        params: Type.Object({ ...CountParams.properties, line: LineNumber }),
        response: { 200: ref(CountLineView), ...problems }
      }
    },
    (request) => readCountLine(request.ctx, request.params)
  )

  app.get(
    '/counts/:number/history',
    {
      schema: {
        operationId: 'listCountEvents',
        tags: ['counts'],
        summary: 'Everything that happened to a count (盘点历史)',
        params: CountParams,
        response: { 200: ref(CountEvents), ...problems }
      }
    },
    (request) => listCountEvents(request.ctx, request.params)
  )

  app.get(
    '/counts/:number/sheet',
    {
      schema: {
        operationId: 'printCountSheet',
        tags: ['counts'],
        summary: 'The count sheet for paper, in three copies (打印盘点表)',
        description:
          'A page for A4 paper: 仓库联, 财务联 and 负责人联, each with all lines. Lines that are not settled have empty boxes to write into; the others their figures.',
        produces: ['text/html'],
        params: CountParams,
        response: {
          200: { description: 'HTML for paper', content: { 'text/html': { schema: Type.String() } } },
          ...problems
        }
      }
    },
    async (request, reply) => {
      const pages = await printCountSheet(request.ctx, request.params)
      const headers = {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': SHEET_POLICY,
        'content-disposition': `inline; filename="${request.params.number}.html"`
      }
      return sendFile(reply, headers, () => Readable.from(pages)) as never
    }
  )

  app.post(
    '/counts/:number/report',
    {
      schema: {
        operationId: 'sendCountReport',
        tags: ['counts'],
        summary: 'Report a submitted count to head office (上报盘点表)',
        description:
          'Duty: keeper, department-head or finance-supervisor. Due on the 5th of the month after; a count that is sent back and submitted anew is reported anew.',
        params: CountParams,
        headers: IfMatch,
        body: ref(CountReportBody),
        response: { 200: ref(CountView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await sendCountReport(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.get(
    '/count-reports',
    {
      schema: {
        operationId: 'listCountReports',
        tags: ['counts'],
        summary: 'How far each warehouse is with the report of its month-end count (盘点上报情况)',
        description: 'Every warehouse you see that was open when the month ended, by code. CSV by `Accept: text/csv`.',
        produces: ['application/json', 'text/csv'],
        querystring: Type.Object(
          {
            period: Month,
            region,
            state: Type.Optional(oneOf(REPORT_STATES, 'Only warehouses that are so far')),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(CountReportPage), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(
          reply,
          `count-reports-${request.query.period}.csv`,
          COUNT_REPORT_COLUMNS,
          await countReportStream(request.ctx, request.query)
        ) as never
      return listCountReports(request.ctx, request.query)
    }
  )

  app.get(
    '/warehouses/:warehouse/last-counted',
    {
      schema: {
        operationId: 'listLastCounted',
        tags: ['counts'],
        summary: 'When each balance was last really counted (最近盘点日)',
        description: 'By part number; null if it never was in a count that was approved. CSV by `Accept: text/csv`.',
        produces: ['application/json', 'text/csv'],
        params: WarehouseParams,
        querystring: Type.Object(
          {
            notSince: Type.Optional(
              Type.String({ ...Day, description: 'Only balances that were not counted on this day or later' })
            ),
            part: Type.Optional(PartNumber),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(LastCountedPage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      if (wantsCsv(request))
        return sendCsv(
          reply,
          `${query.warehouse}-last-counted.csv`,
          LAST_COUNTED_COLUMNS,
          await lastCountedStream(request.ctx, query)
        ) as never
      return listLastCounted(request.ctx, query)
    }
  )

  app.get(
    '/count-tolerances',
    {
      schema: {
        operationId: 'listCountTolerances',
        tags: ['counts'],
        summary: 'How far a count may be off before somebody else counts again (盘点容差)',
        response: { 200: ref(CountTolerances), ...problems }
      }
    },
    async (request) => ({ items: await listCountTolerances(request.ctx) })
  )

  app.put(
    '/count-tolerances/:criticality',
    {
      schema: {
        operationId: 'setCountTolerance',
        tags: ['counts'],
        summary: 'Set the tolerance of a criticality class, or of all others (设定盘点容差)',
        description:
          'Duty: hq-finance or stock-controller everywhere. Both limits hold. `*` is every class without its own.',
        params: Type.Object({ criticality: oneOf(TOLERANCE_CLASSES, 'Criticality class, or * for all others') }),
        body: ref(ToleranceBody),
        response: { 200: ref(CountTolerance), ...problems }
      }
    },
    (request) => setCountTolerance(request.ctx, { ...request.params, ...request.body })
  )
}

/** Counts from a file: a `text/csv` body of up to 50 MiB. */
export const countImportRoutes: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(csvUpload)

  app.post(
    '/counts/:number/entries/csv',
    {
      bodyLimit: IMPORT_BODY_LIMIT,
      schema: {
        operationId: 'importCounts',
        tags: ['counts'],
        summary: 'Enter what was counted from CSV (导入实盘数量)',
        description: `Rows that are right are recorded, wrong ones are listed, and rows without a counted quantity are not counted: zero is a count, blank is not. Columns, in any order, by one of these headings: ${Object.entries(
          COUNT_ENTRY_COLUMNS
        )
          .map(([name, { headings }]) => `\`${name}\`: ${headings.join(', ')}`)
          .join(
            '; '
          )}. Each row says its line or its part; several rows of one line say its lots. The CSV of \`listCountLines\` is such a file. Duty: keeper; a recount by somebody else.`,
        consumes: csvBody.consumes,
        params: CountParams,
        body: csvBody.body('行号,货号,所有权,质量状态,实盘数量,卡片数量\n1,CH-0234,自有,合格,5,5\n'),
        response: { 200: ref(CountFileResult), ...problems }
      }
    },
    async (request, reply) =>
      tagged(reply, await importCounts(request.ctx, { ...request.params, csv: request.body as string }))
  )
}
