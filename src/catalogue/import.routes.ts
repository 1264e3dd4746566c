import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { csvBody, csvUpload, IMPORT_BODY_LIMIT, ImportQuery } from '../platform/csv-import.ts'
import { problems } from '../platform/schemas.ts'
import { importPartUnits, PART_UNIT_COLUMNS } from './import-part-units.ts'
import { importParts, PART_COLUMNS } from './import-parts.ts'

/** CSV imports of the catalogue: `text/csv` bodies of up to 50 MiB. */
export const catalogueImportRoutes: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(csvUpload)

  app.post(
    '/imports/parts',
    {
      bodyLimit: IMPORT_BODY_LIMIT,
      schema: {
        operationId: 'importParts',
        tags: ['catalogue'],
        summary: 'Import parts from CSV (导入货品)',
        description: csvBody.describe(PART_COLUMNS),
        consumes: csvBody.consumes,
        querystring: ImportQuery,
        body: csvBody.body('number,name,nameZh,unit\nCH-0236,Chain link,链条节,piece\n'),
        response: { ...csvBody.ok, ...problems }
      }
    },
    (request) => importParts(request.ctx, { csv: request.body as string, ...request.query })
  )

  app.post(
    '/imports/part-units',
    {
      bodyLimit: IMPORT_BODY_LIMIT,
      schema: {
        operationId: 'importPartUnits',
        tags: ['catalogue'],
        summary: 'Import further units of parts from CSV (导入换算单位)',
        description: csvBody.describe(PART_UNIT_COLUMNS),
        consumes: csvBody.consumes,
        querystring: ImportQuery,
        body: csvBody.body('number,unit,factor\nCH-0234,carton,48\n'),
        response: { ...csvBody.ok, ...problems }
      }
    },
    (request) => importPartUnits(request.ctx, { csv: request.body as string, ...request.query })
  )
}
