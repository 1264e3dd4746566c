import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { closed, Day, limitAndCursor, PartNumber, problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'
import { ledgerStream, listLedger, listLots, listNetworkStock, listWarehouseStock } from './ledger.queries.ts'
import {
  Condition,
  LedgerPage,
  LotList,
  NetworkStockPage,
  Ownership,
  StockPage,
  Verification
} from './ledger.schemas.ts'
import { verifyLedger } from './verify-ledger.ts'

const WarehouseParams = Type.Object({ warehouse: WarehouseCode })

const LEDGER_COLUMNS = {
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  ownership: 'ownership 所有权',
  condition: 'condition 质量状态',
  occurredOn: 'date 日期',
  slip: 'slip 单号',
  kind: 'kind 类别',
  line: 'line 行',
  reference: 'reference 关联单号',
  lot: 'lot 批次',
  quantity: 'quantity 数量',
  cost: 'cost 成本',
  charge: 'accumulated depreciation 累计折旧',
  balance: 'balance 结存',
  postedAt: 'posted at 过账时间'
}

export const ledgerRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/warehouses/:warehouse/stock',
    {
      schema: {
        operationId: 'listWarehouseStock',
        tags: ['stock'],
        summary: 'Stock of a warehouse (库存)',
        description: 'Balances by part number, ownership and condition, with what they cost and are worth.',
        params: WarehouseParams,
        querystring: Type.Object(
          {
            part: Type.Optional(PartNumber),
            ownership: Type.Optional(Ownership),
            condition: Type.Optional(Condition),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(StockPage), ...problems }
      }
    },
    (request) => listWarehouseStock(request.ctx, { ...request.params, ...request.query })
  )

  app.get(
    '/stock',
    {
      schema: {
        operationId: 'listNetworkStock',
        tags: ['stock'],
        summary: 'Stock of parts across warehouses (区域存货网络)',
        description:
          'What is on hand in the warehouses you see. With agedOver: own stock held for at least that many months in any warehouse of the network.',
        querystring: Type.Object(
          {
            part: Type.Optional(PartNumber),
            region: Type.Optional(RegionCode),
            agedOver: Type.Optional(Type.Integer({ minimum: 0, maximum: 600, description: 'Months held' })),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(NetworkStockPage), ...problems }
      }
    },
    (request) => listNetworkStock(request.ctx, request.query)
  )

  app.get(
    '/warehouses/:warehouse/lots',
    {
      schema: {
        operationId: 'listLots',
        tags: ['stock'],
        summary: 'Lots of a part on hand, oldest first (批次)',
        params: WarehouseParams,
        querystring: Type.Object({ part: PartNumber }, closed),
        response: { 200: ref(LotList), ...problems }
      }
    },
    (request) => listLots(request.ctx, { ...request.params, ...request.query })
  )

  app.get(
    '/warehouses/:warehouse/ledger',
    {
      schema: {
        operationId: 'listLedger',
        tags: ['stock'],
        summary: 'Detailed ledger: movements with running balance (商品明细账)',
        description:
          'By day on the paper. `balance` is given for one part only: say which by `part`, else it is null. With `Accept: text/csv` the whole answer is streamed, part by part, each with its running balance.',
        produces: ['application/json', 'text/csv'],
        params: WarehouseParams,
        querystring: Type.Object(
          { part: Type.Optional(PartNumber), from: Type.Optional(Day), to: Type.Optional(Day), ...limitAndCursor },
          closed
        ),
        response: { 200: ref(LedgerPage), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      if (wantsCsv(request))
        return sendCsv(
          reply,
          `${query.warehouse}-ledger.csv`,
          LEDGER_COLUMNS,
          await ledgerStream(request.ctx, query)
        ) as never
      return listLedger(request.ctx, query)
    }
  )

  app.get(
    '/ledger/verification',
    {
      schema: {
        operationId: 'verifyLedger',
        tags: ['stock'],
        summary: 'Self-check of the ledger (账目自检)',
        description:
          'Compares balances, lots, reservations and values with the movements. Without a warehouse everything is checked, for those who see everything.',
        querystring: Type.Object({ warehouse: Type.Optional(WarehouseCode) }, closed),
        response: { 200: ref(Verification), ...problems }
      }
    },
    (request) => verifyLedger(request.ctx, request.query)
  )
}
