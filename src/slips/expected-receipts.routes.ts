import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { listExpectedReceipts } from './expected-receipts.ts'
import { ExpectedReceiptPage, ExpectedReceiptQuery } from './expected-receipts.schemas.ts'

const tags = ['reorder']

/** What is on its way to a warehouse. Ending it is a matter of transfers, too: transfers.routes.ts. */
export const expectedReceiptRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/warehouses/:warehouse/expected-receipts',
    {
      schema: {
        operationId: 'listExpectedReceipts',
        tags,
        summary: 'What is on its way to a warehouse (在途)',
        description:
          'For everyone who sees the warehouse: lines of approved purchase plans and accepted transfers, by part number. A line of a receipt names one as its `expectedReceipt`, also in parts, and the slips of a transfer do so by themselves; what comes beyond shows as `over`.',
        params: Type.Object({ warehouse: WarehouseCode }),
        querystring: ExpectedReceiptQuery,
        response: { 200: ref(ExpectedReceiptPage), ...problems }
      }
    },
    (request) => listExpectedReceipts(request.ctx, { ...request.params, ...request.query })
  )
}
