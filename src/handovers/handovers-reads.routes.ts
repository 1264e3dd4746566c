import { Readable } from 'node:stream'
import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { sendFile } from '../platform/downloads.ts'
import { tagged } from '../platform/etag.ts'
import { closed, limitAndCursor, oneOf, problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { FORM_POLICY, printHandover } from './handover-form.ts'
import {
  HANDOVER_BALANCE_HEADINGS,
  HANDOVER_HEADINGS,
  HANDOVER_MOVEMENT_HEADINGS,
  HANDOVER_OPEN_HEADINGS,
  HandoverBalancePage,
  handoverBalanceStream,
  HandoverEvents,
  HandoverMovementPage,
  handoverMovementStream,
  HandoverOpenPage,
  handoverOpenStream,
  handoverStream,
  HandoverSummaryPage,
  HandoverWithPapers,
  listHandoverBalances,
  listHandoverEvents,
  listHandoverMovements,
  listHandoverOpen,
  listHandovers,
  readHandover
} from './handovers.queries.ts'
import { HANDOVER_PARTIES, HANDOVER_STATES, HandoverParams, OPEN_KINDS } from './handovers.schemas.ts'
import { KEEPER_HEADINGS, KeeperPeriodPage, keeperStream, listKeepers } from './keepers.queries.ts'

const produces = ['application/json', 'text/csv']
const page = Type.Object(limitAndCursor, closed)

/** Handovers as they are read and printed, and who is and was keeper. What is written stands beside it, in handovers.routes.ts. */
export const handoverReadRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/handovers',
    {
      schema: {
        operationId: 'listHandovers',
        tags: ['handovers'],
        summary: 'Handovers of every warehouse you see, newest first (移交单列表)',
        description: 'Besides those in which you are one of the two keepers. `Accept: text/csv` downloads all of them.',
        produces,
        querystring: Type.Object(
          {
            warehouse: Type.Optional(WarehouseCode),
            state: Type.Optional(oneOf(HANDOVER_STATES, 'State (状态)')),
            person: Type.Optional(
              Type.String({
                minLength: 1,
                maxLength: 60,
                description: 'User name of the outgoing or the incoming keeper (移交人、接收人)',
                examples: ['keeper@hq']
              })
            ),
            awaiting: Type.Optional(oneOf(HANDOVER_PARTIES, 'Submitted, and not signed by this one yet (待签)')),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(HandoverSummaryPage), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(
          reply,
          'handovers.csv',
          HANDOVER_HEADINGS,
          await handoverStream(request.ctx, request.query)
        ) as never
      return listHandovers(request.ctx, request.query)
    }
  )

  app.get(
    '/handovers/:number',
    {
      schema: {
        operationId: 'readHandover',
        tags: ['handovers'],
        summary: 'One handover with its open papers, keys, signatures and cut-off (移交单)',
        description: 'Duty: any in the warehouse; the two keepers see it whatever duties they hold.',
        params: HandoverParams,
        response: { 200: ref(HandoverWithPapers), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readHandover(request.ctx, request.params))
  )

  app.get(
    '/handovers/:number/balances',
    {
      schema: {
        operationId: 'listHandoverBalances',
        tags: ['handovers'],
        summary: 'What is handed over: balances at the snapshot, and what moved since (移交清单)',
        description:
          'onHand is frozen at the position of the snapshot and is what was signed; handedOver adds what moved up to the cut-off, or up to now while there is none. `Accept: text/csv` downloads all of them.',
        produces,
        params: HandoverParams,
        querystring: page,
        response: { 200: ref(HandoverBalancePage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      if (wantsCsv(request))
        return sendCsv(
          reply,
          `${query.number}-balances.csv`,
          HANDOVER_BALANCE_HEADINGS,
          await handoverBalanceStream(request.ctx, query)
        ) as never
      return listHandoverBalances(request.ctx, query)
    }
  )

  app.get(
    '/handovers/:number/open',
    {
      schema: {
        operationId: 'listHandoverOpen',
        tags: ['handovers'],
        summary: 'What was open at the snapshot: slips, counts, transfers, requests, loaners, tools (未结事项)',
        description: '`Accept: text/csv` downloads all of it.',
        produces,
        params: HandoverParams,
        querystring: Type.Object({ kind: Type.Optional(oneOf(OPEN_KINDS, 'What it is')), ...limitAndCursor }, closed),
        response: { 200: ref(HandoverOpenPage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      if (wantsCsv(request))
        return sendCsv(
          reply,
          `${query.number}-open.csv`,
          HANDOVER_OPEN_HEADINGS,
          await handoverOpenStream(request.ctx, query)
        ) as never
      return listHandoverOpen(request.ctx, query)
    }
  )

  app.get(
    '/handovers/:number/movements',
    {
      schema: {
        operationId: 'listHandoverMovements',
        tags: ['handovers'],
        summary: 'What moved between the snapshot and the cut-off (清单后变动)',
        description:
          'In the order of the ledger; up to now while there is no cut-off. `Accept: text/csv` downloads all of it.',
        produces,
        params: HandoverParams,
        querystring: page,
        response: { 200: ref(HandoverMovementPage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      if (wantsCsv(request))
        return sendCsv(
          reply,
          `${query.number}-movements.csv`,
          HANDOVER_MOVEMENT_HEADINGS,
          await handoverMovementStream(request.ctx, query)
        ) as never
      return listHandoverMovements(request.ctx, query)
    }
  )

  app.get(
    '/handovers/:number/history',
    {
      schema: {
        operationId: 'listHandoverEvents',
        tags: ['handovers'],
        summary: 'Everything that happened to a handover (移交历史)',
        params: HandoverParams,
        response: { 200: ref(HandoverEvents), ...problems }
      }
    },
    (request) => listHandoverEvents(request.ctx, request.params)
  )

  app.get(
    '/handovers/:number/form',
    {
      schema: {
        operationId: 'printHandover',
        tags: ['handovers'],
        summary: 'The handover for paper (打印工作移交单)',
        description:
          'A page for A4 paper, Chinese and English: balances, what moved since, open papers, loaners and tools, keys, notes, the cut-off and the boxes of the four who sign.',
        produces: ['text/html'],
        params: HandoverParams,
        response: {
          200: { description: 'HTML for paper', content: { 'text/html': { schema: Type.String() } } },
          ...problems
        }
      }
    },
    async (request, reply) => {
      const pages = await printHandover(request.ctx, request.params)
      const headers = {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': FORM_POLICY,
        'content-disposition': `inline; filename="${request.params.number}.html"`
      }
      return sendFile(reply, headers, () => Readable.from(pages)) as never
    }
  )

  app.get(
    '/warehouses/:warehouse/keepers',
    {
      schema: {
        operationId: 'listKeepers',
        tags: ['handovers'],
        summary: 'Who is and was keeper of a warehouse, and from which cut-off to which (仓管员责任期间)',
        description:
          'Duty: any in the warehouse. The last appointed first; everybody who holds or held the duty in their own right, for the warehouse, its region or everywhere. `Accept: text/csv` downloads all of them.',
        produces,
        params: Type.Object({ warehouse: WarehouseCode }),
        querystring: Type.Object(
          { acting: Type.Optional(Type.Boolean({ description: 'Only who is keeper today' })), ...limitAndCursor },
          closed
        ),
        response: { 200: ref(KeeperPeriodPage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      if (wantsCsv(request))
        return sendCsv(
          reply,
          `${query.warehouse}-keepers.csv`,
          KEEPER_HEADINGS,
          await keeperStream(request.ctx, query)
        ) as never
      return listKeepers(request.ctx, query)
    }
  )
}
