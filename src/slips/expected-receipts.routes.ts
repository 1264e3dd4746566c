import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { endExpectedReceipt, listExpectedReceipts } from './expected-receipts.ts'
import {
  ExpectedReceiptPage,
  ExpectedReceiptParams,
  ExpectedReceiptQuery,
  ExpectedReceiptView
} from './expected-receipts.schemas.ts'
import { ReasonBody } from './slips.schemas.ts'

const tags = ['reorder']

/** What is on its way to a warehouse. */
export const expectedReceiptRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/warehouses/:warehouse/expected-receipts',
    {
      schema: {
        operationId: 'listExpectedReceipts',
        tags,
        summary: 'What is on its way to a warehouse (在途)',
        description:
          'For everyone who sees the warehouse: lines of approved purchase plans and accepted transfers, by part number. A line of a receipt or transfer in names one as its `expectedReceipt`, also in parts; what it brings beyond shows as `over`.',
        params: Type.Object({ warehouse: WarehouseCode }),
        querystring: ExpectedReceiptQuery,
        response: { 200: ref(ExpectedReceiptPage), ...problems }
      }
    },
    (request) => listExpectedReceipts(request.ctx, { ...request.params, ...request.query })
  )

  app.post(
    '/warehouses/:warehouse/expected-receipts/:document/lines/:line/ending',
    {
      schema: {
        operationId: 'endExpectedReceipt',
        tags,
        summary: 'Say that the rest will not come (结束在途)',
        description:
          'Duty: purchaser, stock-controller or operations-supervisor. What is outstanding no longer counts as on order; what has arrived stays.',
        params: ExpectedReceiptParams,
        body: ref(ReasonBody),
        response: { 200: ref(ExpectedReceiptView), ...problems }
      }
    },
    (request) => endExpectedReceipt(request.ctx, { ...request.params, ...request.body })
  )
}
