import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { IfMatch, tagged } from '../platform/etag.ts'
import { closed, limitAndCursor, Month, oneOf, problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { ExpectedReceiptParams, ExpectedReceiptView } from '../slips/expected-receipts.schemas.ts'
import { ReasonBody } from '../slips/slips.schemas.ts'
import { callBackTransfer } from './call-back-transfer.ts'
import { decideClaim } from './decide-claim.ts'
import { dispatchTransfer } from './dispatch-transfer.ts'
import { endExpectedReceipt } from './end-expected-receipt.ts'
import { enterTransport } from './enter-transport.ts'
import { createTransfer } from './open-transfer.ts'
import { receiveTransfer } from './receive-transfer.ts'
import { SETTLEMENT_COLUMNS, SettlementView, settlementStream, settleTransfers } from './settlements.ts'
import { NOTE_POLICY, printTransferNote } from './transfer-note.ts'
import { listTransfers, readTransfer, TRANSFER_COLUMNS, transferStream } from './transfers.queries.ts'
import {
  CallBackBody,
  ClaimDecisionBody,
  ClaimParams,
  InSlipBody,
  NewTransferBody,
  OutSlipBody,
  TRANSFER_STATES,
  TransferPage,
  TransferParams,
  TransferReasonBody,
  TransferSlip,
  TransferView,
  TransportBody
} from './transfers.schemas.ts'
import { cancelTransfer, closeTransfer } from './withdraw-transfer.ts'

const tags = ['transfers']

/** Transfers (调拨): from the order over goods in transit to the settlement. */
export const transferRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/transfers',
    {
      schema: {
        operationId: 'createTransfer',
        tags,
        summary: 'Order a transfer between two warehouses (开调拨单)',
        description:
          'Duty: keeper, stock-controller or operations-supervisor at the giver; stock-controller or operations-supervisor at the receiver. The goods are reserved at the giver, which agrees by the three signatures of its out slip.',
        body: ref(NewTransferBody),
        response: { 201: ref(TransferView), ...problems }
      }
    },
    async (request, reply) => {
      const transfer = await createTransfer(request.ctx, request.body)
      reply.code(201).header('location', `/v1/transfers/${transfer.number}`)
      return tagged(reply, transfer)
    }
  )

  app.get(
    '/transfers',
    {
      schema: {
        operationId: 'listTransfers',
        tags,
        summary: 'Transfers, newest first (调拨单列表)',
        description:
          'Those of which you see the giver, the receiver, or where the goods go straight to. CSV by `Accept: text/csv`.',
        produces: ['application/json', 'text/csv'],
        querystring: Type.Object(
          {
            from: Type.Optional(Type.String({ ...WarehouseCode, description: 'Giver' })),
            to: Type.Optional(Type.String({ ...WarehouseCode, description: 'Receiver' })),
            warehouse: Type.Optional(Type.String({ ...WarehouseCode, description: 'Either of them' })),
            state: Type.Optional(oneOf(TRANSFER_STATES, 'State')),
            reference: Type.Optional(
              Type.String({ minLength: 1, maxLength: 100, description: 'Paper it is ordered by' })
            ),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(TransferPage), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(
          reply,
          'transfers.csv',
          TRANSFER_COLUMNS,
          await transferStream(request.ctx, request.query)
        ) as never
      return listTransfers(request.ctx, request.query)
    }
  )

  app.get(
    '/transfers/settlements',
    {
      schema: {
        operationId: 'settleTransfers',
        tags,
        summary: 'What departments owe each other for transfers of a month (调拨结算表)',
        description:
          'Duty: finance-supervisor or hq-finance of the warehouse, or of either of a pair; without any, hq-finance everywhere. At net book value, by the month of the paper at the receiver; what is in transit at its end stands there with its value. CSV of all lines by `Accept: text/csv`.',
        produces: ['application/json', 'text/csv'],
        querystring: Type.Object(
          {
            period: Month,
            warehouse: Type.Optional(Type.String({ ...WarehouseCode, description: 'Giver or receiver' })),
            from: Type.Optional(Type.String({ ...WarehouseCode, description: 'Giver' })),
            to: Type.Optional(Type.String({ ...WarehouseCode, description: 'Receiver' }))
          },
          closed
        ),
        response: { 200: ref(SettlementView), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(
          reply,
          `transfer-settlement-${request.query.period}.csv`,
          SETTLEMENT_COLUMNS,
          await settlementStream(request.ctx, request.query)
        ) as never
      return settleTransfers(request.ctx, request.query)
    }
  )

  app.get(
    '/transfers/:number',
    {
      schema: {
        operationId: 'readTransfer',
        tags,
        summary: 'One transfer with its slips, claims, value and history (调拨单)',
        params: TransferParams,
        response: { 200: ref(TransferView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readTransfer(request.ctx, request.params))
  )

  app.get(
    '/transfers/:number/note',
    {
      schema: {
        operationId: 'printTransferNote',
        tags,
        summary: 'The transfer note for paper (打印调拨单)',
        description: 'A page for A4 paper, which goes with the goods.',
        produces: ['text/html'],
        params: TransferParams,
        response: {
          200: { description: 'HTML for paper', content: { 'text/html': { schema: Type.String() } } },
          ...problems
        }
      }
    },
    async (request, reply) => {
      const note = await printTransferNote(request.ctx, request.params)
      reply.headers({
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': NOTE_POLICY,
        'content-disposition': `inline; filename="${request.params.number}.html"`
      })
      return reply.send(note) as never
    }
  )

  app.post(
    '/transfers/:number/out-slip',
    {
      schema: {
        operationId: 'dispatchTransfer',
        tags,
        summary: 'Write the slip by which the goods leave (调拨出库)',
        description:
          'Duty: keeper at the giver. Everything that was not sent yet, or less. The transfer-out slip takes what the transfer has promised, and is signed and posted like any slip; then the goods are in transit.',
        params: TransferParams,
        headers: IfMatch,
        body: ref(OutSlipBody),
        response: { 201: ref(TransferSlip), ...problems }
      }
    },
    async (request, reply) => {
      const written = await dispatchTransfer(request.ctx, {
        ...request.params,
        ...request.body,
        ifMatch: request.headers['if-match']
      })
      reply.code(201).header('location', `/v1/slips/${written.slip.number}`)
      return written
    }
  )

  app.post(
    '/transfers/:number/in-slip',
    {
      schema: {
        operationId: 'receiveTransfer',
        tags,
        summary: 'Write the slip by which the goods come in (调拨入库)',
        description:
          'Duty: keeper at the receiver. Whole or in part; what is damaged comes in as nonconforming, what is missing moves nothing, and both open a claim against the carrier or the giver when the slip is posted. Each lot keeps its age, cost and depreciation. A line of a slip that is not posted yet is not received by another one.',
        params: TransferParams,
        headers: IfMatch,
        body: ref(InSlipBody),
        response: { 201: ref(TransferSlip), ...problems }
      }
    },
    async (request, reply) => {
      const written = await receiveTransfer(request.ctx, {
        ...request.params,
        ...request.body,
        ifMatch: request.headers['if-match']
      })
      reply.code(201).header('location', `/v1/slips/${written.slip.number}`)
      return written
    }
  )

  app.post(
    '/transfers/:number/call-back',
    {
      schema: {
        operationId: 'callBackTransfer',
        tags,
        summary: 'Call back what is in transit (召回在途)',
        description:
          'Duty: keeper, stock-controller or operations-supervisor at the giver. Writes the transfer-in slip by which what no slip of the receiver accounts for comes in again at the giver, with exactly the value it left with.',
        params: TransferParams,
        headers: IfMatch,
        body: ref(CallBackBody),
        response: { 201: ref(TransferSlip), ...problems }
      }
    },
    async (request, reply) => {
      const written = await callBackTransfer(request.ctx, {
        ...request.params,
        ...request.body,
        ifMatch: request.headers['if-match']
      })
      reply.code(201).header('location', `/v1/slips/${written.slip.number}`)
      return written
    }
  )

  app.post(
    '/transfers/:number/cancellation',
    {
      schema: {
        operationId: 'cancelTransfer',
        tags,
        summary: 'Cancel a transfer of which nothing has left (作废调拨单)',
        description:
          'Duty: keeper, stock-controller or operations-supervisor at the giver; stock-controller or operations-supervisor at the receiver. Its goods are available again; its slip that is not posted is cancelled.',
        params: TransferParams,
        headers: IfMatch,
        body: ref(TransferReasonBody),
        response: { 200: ref(TransferView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await cancelTransfer(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/transfers/:number/closing',
    {
      schema: {
        operationId: 'closeTransfer',
        tags,
        summary: 'Say that what was not sent will not be sent (结束未发部分)',
        description:
          'Duty: keeper, stock-controller or operations-supervisor at the giver; stock-controller or operations-supervisor at the receiver.',
        params: TransferParams,
        headers: IfMatch,
        body: ref(TransferReasonBody),
        response: { 200: ref(TransferView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await closeTransfer(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/transfers/:number/claims/:claim/decision',
    {
      schema: {
        operationId: 'decideTransferClaim',
        tags,
        summary: 'Settle a claim for damaged or missing goods, or withdraw it (索赔处理)',
        description:
          'Duty: finance-supervisor or hq-finance at the giver or the receiver. What the giver answers for is settled by the finance of the giver and withdrawn by that of the receiver. What was missing and is settled leaves the goods in transit in the journal of the giver; what was missing and is withdrawn turned up: it is in transit again.',
        params: ClaimParams,
        headers: IfMatch,
        body: ref(ClaimDecisionBody),
        response: { 200: ref(TransferView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await decideClaim(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/transfers/:number/transport',
    {
      schema: {
        operationId: 'enterTransferTransport',
        tags,
        summary: 'Enter what carriage cost (登记运费)',
        description:
          'Duty: keeper, operations-supervisor or finance-supervisor at the giver or the receiver. The answer says who pays: the receiver the local transport, the giver that from head office; head office delivers what it gives.',
        params: TransferParams,
        headers: IfMatch,
        body: ref(TransportBody),
        response: { 201: ref(TransferView), ...problems }
      }
    },
    async (request, reply) => {
      const transfer = await enterTransport(request.ctx, {
        ...request.params,
        ...request.body,
        ifMatch: request.headers['if-match']
      })
      reply.code(201)
      return tagged(reply, transfer)
    }
  )

  app.post(
    '/warehouses/:warehouse/expected-receipts/:document/lines/:line/ending',
    {
      schema: {
        operationId: 'endExpectedReceipt',
        tags: ['reorder'],
        summary: 'Say that the rest will not come (结束在途)',
        description:
          'Duty: purchaser, stock-controller or operations-supervisor. What is outstanding no longer counts as on order; what has arrived stays. A transfer of which nothing has left is cancelled.',
        params: ExpectedReceiptParams,
        body: ref(ReasonBody),
        response: { 200: ref(ExpectedReceiptView), ...problems }
      }
    },
    (request) => endExpectedReceipt(request.ctx, { ...request.params, ...request.body })
  )
}
