import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { IfMatch, tagged } from '../platform/etag.ts'
import { problems, ref } from '../platform/schemas.ts'
import { ReasonBody } from '../slips/slips.schemas.ts'
import { answerRecall } from './answer-recall.ts'
import { cancelRecall } from './cancel-recall.ts'
import { createRecall } from './create-recall.ts'
import { closeRecall, liftRecall } from './propose-ending.ts'
import { listRecallWarehouses, RECALL_WAREHOUSE_COLUMNS, recallWarehouseRows } from './recall-warehouses.ts'
import { readRecall } from './recall.ts'
import {
  listRecalledGoods,
  listRecallEvents,
  listRecallIssues,
  listRecalls,
  RECALL_ISSUE_COLUMNS,
  RECALLED_GOODS_COLUMNS,
  recalledGoodsRows,
  recallIssueRows
} from './recalls.queries.ts'
import {
  CreateRecallBody,
  LiftRecallBody,
  RecallAnswerBody,
  RecalledGoodsPage,
  RecalledGoodsQuery,
  RecallEvents,
  RecallIssuePage,
  RecallIssueQuery,
  RecallPage,
  RecallParams,
  RecallPreview,
  RecallQuery,
  RecallReturnBody,
  RecallReturnResult,
  RecallView,
  RecallWarehouse,
  RecallWarehousePage,
  RecallWarehouseParams,
  RecallWarehouseQuery,
  SignRecallBody
} from './recalls.schemas.ts'
import { returnRecalledGoods } from './return-recalled-goods.ts'
import { signRecall } from './sign-recall.ts'

const tags = ['recalls']
const produces = ['application/json', 'text/csv']
const recalling = 'Duty: stock-controller or administrator everywhere; a person, never a key.'
const everybody = 'For everybody who is signed in; of warehouses and outlets one may see.'
const asFile = 'By `Accept`: JSON in pages, or all of it as `text/csv`.'

/** Recalls: goods are blocked everywhere at once, found, sent back, and freed by signatures. */
export const recallRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/recalls',
    {
      schema: {
        operationId: 'createRecall',
        tags,
        summary: 'Recall parts, lots or what came in at some time (召回)',
        description: `${recalling} Takes effect at once in every warehouse: what it names is not available, not reservable and not issuable by any path, and what comes in or back of it is blocked on arrival. Promises that no longer fit are broken, the newest first, and whoever they were for is told. A recall of very many parts, or of several that are a large share of all stock, waits for a second person (\`awaiting-second-signature\`). \`dryRun\` answers 200 with what it would come to.`,
        body: ref(CreateRecallBody),
        response: { 200: ref(RecallPreview), 201: ref(RecallView), ...problems }
      }
    },
    async (request, reply) => {
      const answer = await createRecall(request.ctx, request.body)
      if ('dryRun' in answer) return reply.code(200).send(answer)
      reply.code(201).header('location', `/v1/recalls/${answer.number}`)
      return tagged(reply, answer)
    }
  )

  app.get(
    '/recalls',
    {
      schema: {
        operationId: 'listRecalls',
        tags,
        summary: 'Recalls, newest first (召回列表)',
        description: 'For everybody who is signed in: whoever handles goods has to know which are recalled.',
        querystring: RecallQuery,
        response: { 200: ref(RecallPage), ...problems }
      }
    },
    (request) => listRecalls(request.ctx, request.query)
  )

  app.get(
    '/recalls/:number',
    {
      schema: {
        operationId: 'readRecall',
        tags,
        summary: 'One recall: what it names, its state, signatures, liftings (召回单)',
        description:
          'For everybody who is signed in. What it came to in the network and how far it is, is shown to stock-controller, hq-finance, operations-supervisor, purchaser and administrator of the head office, or everywhere; null for others.',
        params: RecallParams,
        response: { 200: ref(RecallView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readRecall(request.ctx, request.params))
  )

  app.get(
    '/recalls/:number/history',
    {
      schema: {
        operationId: 'listRecallEvents',
        tags,
        summary: 'What happened to a recall (召回历史)',
        description:
          'For stock-controller, hq-finance, operations-supervisor, purchaser and administrator of the head office, or everywhere.',
        params: RecallParams,
        response: { 200: ref(RecallEvents), ...problems }
      }
    },
    (request) => listRecallEvents(request.ctx, request.params)
  )

  app.get(
    '/recalls/:number/goods',
    {
      schema: {
        operationId: 'listRecalledGoods',
        tags,
        summary: 'Where goods of a recall lie or travel now (召回货品所在)',
        description: `${everybody} By warehouse, part and lot; lots are found wherever they came to be by transfers, returns and reversals. ${asFile}`,
        produces,
        params: RecallParams,
        querystring: RecalledGoodsQuery,
        response: { 200: ref(RecalledGoodsPage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      return wantsCsv(request)
        ? sendCsv(
            reply,
            `${query.number}-goods.csv`,
            RECALLED_GOODS_COLUMNS,
            await recalledGoodsRows(request.ctx, query)
          )
        : listRecalledGoods(request.ctx, query)
    }
  )

  app.get(
    '/recalls/:number/issued',
    {
      schema: {
        operationId: 'listRecallIssues',
        tags,
        summary: 'Where goods of a recall went (召回货品去向)',
        description: `${everybody} Every movement by which they left, by issue, sale, loan, scrap, to a supplier, lost in a count or on the way: to which repair order, outlet or customer, less what came back. Exact by lot. ${asFile}`,
        produces,
        params: RecallParams,
        querystring: RecallIssueQuery,
        response: { 200: ref(RecallIssuePage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      return wantsCsv(request)
        ? sendCsv(reply, `${query.number}-issued.csv`, RECALL_ISSUE_COLUMNS, await recallIssueRows(request.ctx, query))
        : listRecallIssues(request.ctx, query)
    }
  )

  app.get(
    '/recalls/:number/warehouses',
    {
      schema: {
        operationId: 'listRecallWarehouses',
        tags,
        summary: 'Who has to answer a recall, and what they answered (召回进度)',
        description: `${everybody} Where goods of it lay, from where they went to repair orders and customers, and the outlets that got them. ${asFile}`,
        produces,
        params: RecallParams,
        querystring: RecallWarehouseQuery,
        response: { 200: ref(RecallWarehousePage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      return wantsCsv(request)
        ? sendCsv(
            reply,
            `${query.number}-warehouses.csv`,
            RECALL_WAREHOUSE_COLUMNS,
            await recallWarehouseRows(request.ctx, query)
          )
        : listRecallWarehouses(request.ctx, query)
    }
  )

  app.post(
    '/recalls/:number/warehouses/:warehouse/answers',
    {
      schema: {
        operationId: 'answerRecall',
        tags,
        summary: 'Say what was found of recalled goods and sent back (召回回复)',
        description:
          'Duty: keeper, outlet-clerk, department-head or operations-supervisor of the warehouse or outlet; a key may. The last answer holds, all are kept.',
        params: RecallWarehouseParams,
        body: ref(RecallAnswerBody),
        response: { 201: ref(RecallWarehouse), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return answerRecall(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.post(
    '/recalls/:number/return-slips',
    {
      schema: {
        operationId: 'returnRecalledGoods',
        tags,
        summary: 'Write the papers by which recalled goods leave a warehouse (召回退货)',
        description:
          'Duty: keeper of the warehouse. All that lies blocked there and is on no such paper yet: one supplier-return per supplier, a scrap slip, or a transfer to another warehouse, whose out slip is written next as of any transfer. Lines name the very lots; three sign, and posting is the only way in which blocked goods leave.',
        params: RecallParams,
        body: ref(RecallReturnBody),
        response: { 201: ref(RecallReturnResult), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return returnRecalledGoods(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.post(
    '/recalls/:number/lifting',
    {
      schema: {
        operationId: 'liftRecall',
        tags,
        summary: 'Propose that goods of a recall are free again (解除召回)',
        description: `${recalling} Some of its lines, or all that are not lifted yet. In effect with the last of the signatures (POST /v1/recalls/{number}/signatures); what no other recall blocks is available from that moment.`,
        params: RecallParams,
        headers: IfMatch,
        body: ref(LiftRecallBody),
        response: { 200: ref(RecallView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await liftRecall(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/recalls/:number/closing',
    {
      schema: {
        operationId: 'closeRecall',
        tags,
        summary: 'Propose that a recall is done (召回结案)',
        description: `${recalling} Refused while goods of it lie blocked or travel. In effect with the last of the signatures. What came in until that day stays recalled: a piece that still comes back is blocked on arrival; what comes in later is free.`,
        params: RecallParams,
        headers: IfMatch,
        body: ref(ReasonBody),
        response: { 200: ref(RecallView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await closeRecall(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/recalls/:number/signatures',
    {
      schema: {
        operationId: 'signRecall',
        tags,
        summary: 'Sign what awaits signatures of a recall, or refuse it with a reason (签字)',
        description:
          'A large recall that is not in effect yet: hq-finance or operations-supervisor everywhere, not who opened it; it takes effect with that signature. A lifting or closing: hq-finance, operations-supervisor and stock-controller of the head office (by policy `recall`), three different people, none of whom proposed it, the stock controller last. A refusal drops what was proposed.',
        params: RecallParams,
        headers: IfMatch,
        body: ref(SignRecallBody),
        response: { 200: ref(RecallView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await signRecall(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/recalls/:number/cancellation',
    {
      schema: {
        operationId: 'cancelRecall',
        tags,
        summary: 'Drop what awaits signatures of a recall (作废)',
        description: `${recalling} A large recall that is not in effect yet, or a lifting or closing that is proposed. What is in effect is lifted instead.`,
        params: RecallParams,
        headers: IfMatch,
        body: ref(ReasonBody),
        response: { 200: ref(RecallView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await cancelRecall(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )
}
