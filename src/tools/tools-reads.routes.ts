import { Readable } from 'node:stream'
import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { csvBody, csvUpload, IMPORT_BODY_LIMIT, ImportQuery } from '../platform/csv-import.ts'
import { sendFile } from '../platform/downloads.ts'
import { tagged } from '../platform/etag.ts'
import { closed, Day, limitAndCursor, oneOf, problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { printCustody, printToolDocument, readCustody, TOOL_PAPER_POLICY } from './custody-statement.ts'
import { importTools, TOOL_COLUMNS } from './import-tools.ts'
import { listToolKits, readToolKit } from './kits.ts'
import { readTool, readToolHistory } from './tool.ts'
import { readToolDocument, readToolDocumentHistory } from './tool-document.ts'
import {
  listToolDocuments,
  listTools,
  TOOL_DOCUMENT_HEADINGS,
  TOOL_HEADINGS,
  toolDocumentStream,
  toolStream
} from './tools.queries.ts'
import {
  CustodyStatement,
  KitList,
  KitParams,
  KitView,
  Technician,
  TechnicianParams,
  TOOL_DOCUMENT_KINDS,
  TOOL_DOCUMENT_STATES,
  TOOL_STATES,
  ToolDocumentHistory,
  ToolDocumentPage,
  ToolDocumentParams,
  ToolDocumentView,
  ToolHistory,
  ToolPage,
  ToolSerialParams,
  ToolView
} from './tools.schemas.ts'

const tags = ['tools']
const csvToo = ['application/json', 'text/csv']
const paper = { description: 'HTML for paper', content: { 'text/html': { schema: Type.String() } } }
const wantsPaper = (request: FastifyRequest): boolean => /\btext\/html\b/.test(request.headers.accept ?? '')

const sendPaper = (reply: FastifyReply, name: string, page: string): FastifyReply =>
  sendFile(
    reply,
    {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': TOOL_PAPER_POLICY,
      'content-disposition': `inline; filename="${name.replaceAll(/[^\w.-]/g, '_')}.html"`
    },
    () => Readable.from([page])
  )

/** What reads the register of tools, the documents that move them, and custody. */
export const toolReadRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/tools',
    {
      schema: {
        operationId: 'listTools',
        tags,
        summary: 'The register of tools (工具台账)',
        description:
          'Of warehouses whose register you read, and what is in your own custody; those registered last first. CSV by `Accept: text/csv`, all of them.',
        produces: csvToo,
        querystring: Type.Object(
          {
            warehouse: Type.Optional(WarehouseCode),
            technician: Type.Optional(Type.String({ ...Technician, description: 'In the custody of' })),
            state: Type.Optional(oneOf(TOOL_STATES, 'State (状态)')),
            calibrationDue: Type.Optional(
              Type.String({ ...Day, description: 'In use, and due for calibration on this day or before' })
            ),
            fixedAsset: Type.Optional(Type.Boolean({ description: 'Fixed assets, or all others (固定资产)' })),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(ToolPage), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(reply, 'tools.csv', TOOL_HEADINGS, toolStream(request.ctx, request.query)) as never
      return listTools(request.ctx, request.query)
    }
  )

  app.get(
    '/tools/:serial',
    {
      schema: {
        operationId: 'readTool',
        tags,
        summary: 'One tool (工具查询)',
        description: 'Where it is and since when, what holds it, when it is due for calibration.',
        params: ToolSerialParams,
        response: { 200: ref(ToolView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readTool(request.ctx, request.params))
  )

  app.get(
    '/tools/:serial/history',
    {
      schema: {
        operationId: 'readToolHistory',
        tags,
        summary: 'The whole life of a tool (工具履历)',
        description: 'Its custody journal over all warehouses, calibrations, changes; the oldest first.',
        params: ToolSerialParams,
        response: { 200: ref(ToolHistory), ...problems }
      }
    },
    (request) => readToolHistory(request.ctx, request.params)
  )

  app.get(
    '/tool-documents',
    {
      schema: {
        operationId: 'listToolDocuments',
        tags,
        summary: 'Issues, returns, hand-overs, transfers of tools (工具单据)',
        description:
          'Of warehouses whose register you read, and those you give or take by; the newest first. CSV by `Accept: text/csv`, all of them.',
        produces: csvToo,
        querystring: Type.Object(
          {
            warehouse: Type.Optional(WarehouseCode),
            kind: Type.Optional(oneOf(TOOL_DOCUMENT_KINDS, 'Kind (类别)')),
            state: Type.Optional(oneOf(TOOL_DOCUMENT_STATES, 'State (状态)')),
            technician: Type.Optional(Type.String({ ...Technician, description: 'Who gives or takes' })),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(ToolDocumentPage), ...problems }
      }
    },
    async (request, reply) => {
      if (!wantsCsv(request)) return listToolDocuments(request.ctx, request.query)
      const rows = toolDocumentStream(request.ctx, request.query)
      return sendCsv(reply, 'tool-documents.csv', TOOL_DOCUMENT_HEADINGS, rows) as never
    }
  )

  app.get(
    '/tool-documents/:number',
    {
      schema: {
        operationId: 'readToolDocument',
        tags,
        summary: 'One document about tools (工具单据)',
        params: ToolDocumentParams,
        response: { 200: ref(ToolDocumentView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readToolDocument(request.ctx, request.params))
  )

  app.get(
    '/tool-documents/:number/history',
    {
      schema: {
        operationId: 'readToolDocumentHistory',
        tags,
        summary: 'What happened to a document about tools (单据历史)',
        description: 'The oldest first.',
        params: ToolDocumentParams,
        response: { 200: ref(ToolDocumentHistory), ...problems }
      }
    },
    (request) => readToolDocumentHistory(request.ctx, request.params)
  )

  app.get(
    '/tool-documents/:number/paper',
    {
      schema: {
        operationId: 'printToolDocument',
        tags,
        summary: 'A document about tools for paper (打印工具单据)',
        description: 'HTML for the printer, Chinese and English, as the document stands, with who signed it.',
        produces: ['text/html'],
        params: ToolDocumentParams,
        response: { 200: paper, ...problems }
      }
    },
    async (request, reply) =>
      sendPaper(reply, request.params.number, await printToolDocument(request.ctx, request.params)) as never
  )

  app.get(
    '/technicians/:username/custody',
    {
      schema: {
        operationId: 'readCustody',
        tags,
        summary: 'What a technician has in custody (保管清单)',
        description:
          'The technician all of it, others what stands in the registers they read. CSV by `Accept: text/csv`; by `Accept: text/html` the statement for paper, Chinese and English, with a place for the signature.',
        produces: [...csvToo, 'text/html'],
        params: TechnicianParams,
        response: { 200: ref(CustodyStatement), ...problems }
      }
    },
    async (request, reply) => {
      const { username } = request.params
      if (wantsCsv(request)) {
        const { tools } = await readCustody(request.ctx, { username })
        return sendCsv(reply, `custody-${username}.csv`, TOOL_HEADINGS, Readable.from(tools)) as never
      }
      if (wantsPaper(request))
        return sendPaper(reply, `custody-${username}`, await printCustody(request.ctx, { username })) as never
      return readCustody(request.ctx, { username })
    }
  )

  app.get(
    '/warehouses/:warehouse/tool-kits',
    {
      schema: {
        operationId: 'listToolKits',
        tags,
        summary: 'Kits of a warehouse (工具箱)',
        description: 'Each with what is missing of it: what is not where the kit is.',
        params: Type.Object({ warehouse: WarehouseCode }),
        response: { 200: ref(KitList), ...problems }
      }
    },
    (request) => listToolKits(request.ctx, request.params)
  )

  app.get(
    '/warehouses/:warehouse/tool-kits/:code',
    {
      schema: {
        operationId: 'readToolKit',
        tags,
        summary: 'One kit (工具箱)',
        params: KitParams,
        response: { 200: ref(KitView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readToolKit(request.ctx, request.params))
  )
}

/** Imports, which take `text/csv`. */
export const toolImportRoutes: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(csvUpload)

  app.post(
    '/imports/tools',
    {
      bodyLimit: IMPORT_BODY_LIMIT,
      schema: {
        operationId: 'importTools',
        tags,
        summary: 'Import tools (导入工具)',
        description: `Duty: keeper or stock-controller of every warehouse in the file. ${csvBody.describe(TOOL_COLUMNS)}`,
        consumes: csvBody.consumes,
        querystring: ImportQuery,
        body: csvBody.body(
          'warehouse,serial,name,nameZh,model,value,purchasedOn,calibrationMonths\nHQ,GJ-2026-00101,Digital multimeter,数字万用表,FL-17B,1280.00,2026-03-02,12\n'
        ),
        response: { ...csvBody.ok, ...problems }
      }
    },
    (request) => importTools(request.ctx, { csv: request.body as string, ...request.query })
  )
}
