import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { csvBody, csvUpload, IMPORT_BODY_LIMIT, ImportQuery } from '../platform/csv-import.ts'
import { problems } from '../platform/schemas.ts'
import { importWarehouses, WAREHOUSE_COLUMNS } from './import-warehouses.ts'

/** CSV import of warehouses: a `text/csv` body of up to 50 MiB. */
export const warehouseImportRoutes: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(csvUpload)

  app.post(
    '/imports/warehouses',
    {
      bodyLimit: IMPORT_BODY_LIMIT,
      schema: {
        operationId: 'importWarehouses',
        tags: ['warehouses'],
        summary: 'Import warehouses from CSV (导入仓库)',
        description: `${csvBody.describe(WAREHOUSE_COLUMNS)} A row that would take a warehouse with goods or open papers to another region than its keepers’ is refused (R-ORG-3).`,
        consumes: csvBody.consumes,
        querystring: ImportQuery,
        body: csvBody.body(
          'code,name,nameZh,kind,region,parent\nSH13,Hongkou service outlet,上海虹口服务站,outlet,EAST,SH01\n'
        ),
        response: { ...csvBody.ok, ...problems }
      }
    },
    (request) => importWarehouses(request.ctx, { csv: request.body as string, ...request.query })
  )
}
