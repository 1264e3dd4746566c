import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { tagged } from '../platform/etag.ts'
import { problems, ref } from '../platform/schemas.ts'
import { SlipView } from '../slips/slips.schemas.ts'
import {
  listOldParts,
  listOldPartWriteOffs,
  listOutletOldParts,
  OLD_PART_COLUMNS,
  oldPartStream,
  OUTLET_OLD_PART_COLUMNS,
  outletOldPartStream,
  readOldPart,
  WRITE_OFF_CSV_COLUMNS,
  writeOffStream
} from './old-parts.queries.ts'
import {
  ApproveWriteOffBody,
  CancelWriteOffBody,
  OldPartPage,
  OldPartParams,
  OldPartQuery,
  OldPartReturnView,
  OldPartSummaryQuery,
  OldPartView,
  OutletOldPartsPage,
  ProposeWriteOffBody,
  RefurbishOldPartsBody,
  ReturnOldPartsBody,
  WriteOffPage,
  WriteOffQuery
} from './old-parts.schemas.ts'
import { refurbishOldParts } from './refurbish-old-parts.ts'
import { returnOldParts } from './return-old-parts.ts'
import { approveOldPartWriteOff, cancelOldPartWriteOff, proposeOldPartWriteOff } from './write-off-old-part.ts'

const tags = ['old-parts']
const CSV = 'CSV by `Accept: text/csv`.'

export const oldPartRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/old-parts',
    {
      schema: {
        operationId: 'listOldParts',
        tags,
        summary: 'Old parts that are due back, longest due first (旧件台账)',
        description: `Those of outlets you see, and those your centre takes in. What is returned is added up from posted slips. ${CSV}`,
        produces: ['application/json', 'text/csv'],
        querystring: OldPartQuery,
        response: { 200: ref(OldPartPage), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(
          reply,
          'old-parts.csv',
          OLD_PART_COLUMNS,
          await oldPartStream(request.ctx, request.query)
        ) as never
      return listOldParts(request.ctx, request.query)
    }
  )

  app.get(
    '/old-parts/summary',
    {
      schema: {
        operationId: 'listOutletOldParts',
        tags,
        summary: 'What each outlet still owes of old parts (旧件未返汇总)',
        description: `How many, their compensation, the oldest day; by outlet. ${CSV}`,
        produces: ['application/json', 'text/csv'],
        querystring: OldPartSummaryQuery,
        response: { 200: ref(OutletOldPartsPage), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(
          reply,
          'old-parts-by-outlet.csv',
          OUTLET_OLD_PART_COLUMNS,
          await outletOldPartStream(request.ctx, request.query)
        ) as never
      return listOutletOldParts(request.ctx, request.query)
    }
  )

  app.get(
    '/old-parts/write-offs',
    {
      schema: {
        operationId: 'listOldPartWriteOffs',
        tags,
        summary: 'Write-offs of old parts, and what is claimed for them (旧件核销清单)',
        description: `Proposed ones wait for the finance supervisor of the centre; \`chargedTo=claim\` are those of outlets without a deposit, which finance claims. ${CSV}`,
        produces: ['application/json', 'text/csv'],
        querystring: WriteOffQuery,
        response: { 200: ref(WriteOffPage), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(
          reply,
          'old-part-write-offs.csv',
          WRITE_OFF_CSV_COLUMNS,
          await writeOffStream(request.ctx, request.query)
        ) as never
      return listOldPartWriteOffs(request.ctx, request.query)
    }
  )

  app.get(
    '/old-parts/:number',
    {
      schema: {
        operationId: 'readOldPart',
        tags,
        summary: 'An old part with its returns, write-offs and history (旧件详情)',
        params: OldPartParams,
        response: { 200: ref(OldPartView), ...problems }
      }
    },
    (request) => readOldPart(request.ctx, request.params)
  )

  app.post(
    '/old-parts/returns',
    {
      schema: {
        operationId: 'returnOldParts',
        tags,
        summary: 'Take old parts back from an outlet (旧件返还)',
        description:
          'Duty: keeper of the warehouse that takes them in: the centre, who issued the new part, or head office. Writes an old-part slip (旧件入库单) into nonconforming own stock at no cost; they are returned when it is signed and posted. A line names the old part, or the part: then what is due longest. Another part or serial (`wrong-part`) is noted and stays due. What was compensated may still come back, and its compensation is given back.',
        body: ref(ReturnOldPartsBody),
        response: { 201: ref(OldPartReturnView), ...problems }
      }
    },
    async (request, reply) => {
      const result = await returnOldParts(request.ctx, request.body)
      reply.code(201)
      if (result.slip !== null) reply.header('location', `/v1/slips/${result.slip}`)
      return result
    }
  )

  app.post(
    '/old-parts/refurbishments',
    {
      schema: {
        operationId: 'refurbishOldParts',
        tags,
        summary: 'Bring refurbished old parts back to qualified stock (旧件翻新入库)',
        description:
          'Duty: keeper. Writes one slip that takes old parts out of the nonconforming stock and brings them in as qualified own goods at the documented unit cost; three signatures, one posting. Their age begins with that day.',
        body: ref(RefurbishOldPartsBody),
        response: { 201: ref(SlipView), ...problems }
      }
    },
    async (request, reply) => {
      const slip = await refurbishOldParts(request.ctx, request.body)
      reply.code(201).header('location', `/v1/slips/${slip.number}`)
      return tagged(reply, slip)
    }
  )

  app.post(
    '/old-parts/:number/write-off',
    {
      schema: {
        operationId: 'proposeOldPartWriteOff',
        tags,
        summary: 'Propose to write off what will not come back (提出旧件核销)',
        description:
          'Duty: keeper or stock-controller of the centre. Takes effect when the finance supervisor of the centre approves it.',
        params: OldPartParams,
        body: ref(ProposeWriteOffBody),
        response: { 201: ref(OldPartView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return proposeOldPartWriteOff(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.post(
    '/old-parts/:number/write-off/approval',
    {
      schema: {
        operationId: 'approveOldPartWriteOff',
        tags,
        summary: 'Approve the proposed write-off; the outlet compensates (批准旧件核销)',
        description:
          'Duty: finance-supervisor of the centre, not who proposed it; never an API key. The compensation is charged to the deposit of the outlet, or listed as a claim where it has none.',
        params: OldPartParams,
        body: ref(ApproveWriteOffBody),
        response: { 200: ref(OldPartView), ...problems }
      }
    },
    (request) => approveOldPartWriteOff(request.ctx, { ...request.params, ...request.body })
  )

  app.post(
    '/old-parts/:number/write-off/cancellation',
    {
      schema: {
        operationId: 'cancelOldPartWriteOff',
        tags,
        summary: 'Drop the proposed write-off (撤销旧件核销)',
        description:
          'Duty: keeper, stock-controller or finance-supervisor of the centre. What is outstanding stays due.',
        params: OldPartParams,
        body: ref(CancelWriteOffBody),
        response: { 200: ref(OldPartView), ...problems }
      }
    },
    (request) => cancelOldPartWriteOff(request.ctx, { ...request.params, ...request.body })
  )
}
