import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { etagOf, IfMatch } from '../platform/etag.ts'
import { problems, ref } from '../platform/schemas.ts'
import { closeWarehouse } from './close-warehouse.ts'
import { createRegion } from './create-region.ts'
import { createWarehouse } from './create-warehouse.ts'
import { moveWarehouse } from './move-warehouse.ts'
import { renameWarehouse } from './rename-warehouse.ts'
import { reopenWarehouse } from './reopen-warehouse.ts'
import { updateRegion } from './update-region.ts'
import { updateWarehouse } from './update-warehouse.ts'
import { listRegions, listWarehouseNames, listWarehouses, readWarehouse } from './warehouses.queries.ts'
import {
  CloseWarehouseBody,
  CreateRegionBody,
  CreateWarehouseBody,
  MoveWarehouseBody,
  RegionPage,
  RegionParams,
  RegionQuery,
  RegionView,
  RenameWarehouseBody,
  UpdateRegionBody,
  UpdateWarehouseBody,
  WarehouseInTreeView,
  WarehouseNameList,
  WarehousePage,
  WarehouseParams,
  WarehouseQuery,
  WarehouseView
} from './warehouses.schemas.ts'

const tags = ['warehouses']
const byWhom = 'By the stock controller or an administrator.'

/** Regions and the tree of warehouses (R-ORG-1). */
export const warehouseRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const withETag = <View extends { version: number }>(reply: FastifyReply, view: View): View => {
    reply.header('etag', etagOf(view.version))
    return view
  }

  app.post(
    '/regions',
    {
      schema: {
        operationId: 'createRegion',
        tags,
        summary: 'Enter a region (新增区域)',
        description: byWhom,
        body: CreateRegionBody,
        response: { 201: ref(RegionView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return createRegion(request.ctx, request.body)
    }
  )

  app.get(
    '/regions',
    {
      schema: {
        operationId: 'listRegions',
        tags,
        summary: 'List regions (区域列表)',
        querystring: RegionQuery,
        response: { 200: ref(RegionPage), ...problems }
      }
    },
    (request) => listRegions(request.ctx, request.query)
  )

  app.patch(
    '/regions/:code',
    {
      schema: {
        operationId: 'updateRegion',
        tags,
        summary: 'Change a region (修改区域)',
        description: byWhom,
        params: RegionParams,
        body: UpdateRegionBody,
        response: { 200: ref(RegionView), ...problems }
      }
    },
    (request) => updateRegion(request.ctx, { ...request.params, change: request.body })
  )

  app.post(
    '/warehouses',
    {
      schema: {
        operationId: 'createWarehouse',
        tags,
        summary: 'Hang a new warehouse into the tree (新增仓库)',
        description: `${byWhom} A regional centre hangs under the head office, a branch under a centre, an outlet under a branch or a centre, a van under any of them. There is one head office, the top of the tree.`,
        body: CreateWarehouseBody,
        response: { 201: ref(WarehouseView), ...problems }
      }
    },
    async (request, reply) => {
      const warehouse = await createWarehouse(request.ctx, request.body)
      reply.code(201).header('location', `/v1/warehouses/${warehouse.code}`)
      return withETag(reply, warehouse)
    }
  )

  app.get(
    '/warehouses',
    {
      schema: {
        operationId: 'listWarehouses',
        tags,
        summary: 'List the warehouses you may see (仓库列表)',
        querystring: WarehouseQuery,
        response: { 200: ref(WarehousePage), ...problems }
      }
    },
    (request) => listWarehouses(request.ctx, request.query)
  )

  app.get(
    '/warehouses/:warehouse',
    {
      schema: {
        operationId: 'readWarehouse',
        tags,
        summary: 'Read a warehouse and its place in the tree (查看仓库)',
        params: WarehouseParams,
        response: { 200: ref(WarehouseInTreeView), ...problems }
      }
    },
    async (request, reply) => withETag(reply, await readWarehouse(request.ctx, request.params))
  )

  app.patch(
    '/warehouses/:warehouse',
    {
      schema: {
        operationId: 'updateWarehouse',
        tags,
        summary: 'Change region, address or contact of a warehouse (修改仓库)',
        description: `${byWhom} Duties for a region cover it from then on by its new region, so it moves only with its keepers while goods or tools are kept there, units are lent or slips are open: 409 names whose duty for the old region would end there without a handover (工作移交). With If-Match only if nobody changed it meanwhile (412).`,
        params: WarehouseParams,
        headers: IfMatch,
        body: UpdateWarehouseBody,
        response: { 200: ref(WarehouseView), ...problems }
      }
    },
    async (request, reply) =>
      withETag(
        reply,
        await updateWarehouse(request.ctx, {
          ...request.params,
          ifMatch: request.headers['if-match'],
          change: request.body
        })
      )
  )

  app.post(
    '/warehouses/:warehouse/renaming',
    {
      schema: {
        operationId: 'renameWarehouse',
        tags,
        summary: 'Give a warehouse another name (仓库更名)',
        description: `${byWhom} The old name is kept.`,
        params: WarehouseParams,
        headers: IfMatch,
        body: RenameWarehouseBody,
        response: { 200: ref(WarehouseView), ...problems }
      }
    },
    async (request, reply) =>
      withETag(
        reply,
        await renameWarehouse(request.ctx, { ...request.params, ifMatch: request.headers['if-match'], ...request.body })
      )
  )

  app.get(
    '/warehouses/:warehouse/names',
    {
      schema: {
        operationId: 'listWarehouseNames',
        tags,
        summary: 'Names a warehouse has borne (更名记录)',
        params: WarehouseParams,
        response: { 200: ref(WarehouseNameList), ...problems }
      }
    },
    (request) => listWarehouseNames(request.ctx, request.params)
  )

  app.post(
    '/warehouses/:warehouse/move',
    {
      schema: {
        operationId: 'moveWarehouse',
        tags,
        summary: 'Hang a warehouse under another parent (调整上级)',
        description: byWhom,
        params: WarehouseParams,
        headers: IfMatch,
        body: MoveWarehouseBody,
        response: { 200: ref(WarehouseView), ...problems }
      }
    },
    async (request, reply) =>
      withETag(
        reply,
        await moveWarehouse(request.ctx, { ...request.params, ifMatch: request.headers['if-match'], ...request.body })
      )
  )

  app.post(
    '/warehouses/:warehouse/closing',
    {
      schema: {
        operationId: 'closeWarehouse',
        tags,
        summary: 'Close a warehouse from a day on (关闭仓库)',
        description: `${byWhom} What hangs below it must be closed or moved first, its stock moved out and its slips finished.`,
        params: WarehouseParams,
        headers: IfMatch,
        body: CloseWarehouseBody,
        response: { 200: ref(WarehouseView), ...problems }
      }
    },
    async (request, reply) =>
      withETag(
        reply,
        await closeWarehouse(request.ctx, { ...request.params, ifMatch: request.headers['if-match'], ...request.body })
      )
  )

  app.post(
    '/warehouses/:warehouse/reopening',
    {
      schema: {
        operationId: 'reopenWarehouse',
        tags,
        summary: 'Open a closed warehouse again, or call off its closing (重新启用仓库)',
        description: `${byWhom} What it hangs under must be open.`,
        params: WarehouseParams,
        headers: IfMatch,
        response: { 200: ref(WarehouseView), ...problems }
      }
    },
    async (request, reply) =>
      withETag(reply, await reopenWarehouse(request.ctx, { ...request.params, ifMatch: request.headers['if-match'] }))
  )
}
