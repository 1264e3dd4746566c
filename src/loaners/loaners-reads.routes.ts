import { Readable } from 'node:stream'
import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { csvBody, csvUpload, IMPORT_BODY_LIMIT, ImportQuery, ImportResultView } from '../platform/csv-import.ts'
import { sendFile } from '../platform/downloads.ts'
import { tagged } from '../platform/etag.ts'
import {
  closed,
  Day,
  limitAndCursor,
  named,
  oneOf,
  PartNumber,
  problems,
  ref,
  WarehouseCode
} from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'
import {
  importInstalledBase,
  INSTALLED_BASE_COLUMNS,
  listInstalledBase,
  listLoanerTargets,
  readLoanerFleet,
  readLoanerUtilisation,
  setInstalledBase,
  setLoanerTarget
} from './fleet.ts'
import { importLoaners, LOANER_COLUMNS } from './import-loaners.ts'
import { printLoanReceipt, RECEIPT_POLICY } from './loan-receipt.ts'
import { readLoan } from './loan.ts'
import { readLoaner } from './loaner.ts'
import {
  listLoaners,
  listLoans,
  LOAN_HEADINGS,
  LOANER_HEADINGS,
  loanerStream,
  loanStream,
  readLoanerHistory,
  readLoanHistory
} from './loaners.queries.ts'
import {
  Family,
  InstalledBase,
  InstalledBaseList,
  LOAN_STATES,
  LOANER_STATES,
  LoanerEventView,
  LoanerFleet,
  LoanerHistory,
  LoanerModels,
  LoanerPage,
  LoanerTargets,
  LoanerUtilisation,
  LoanerView,
  LoanPage,
  LoanParams,
  LoanView,
  SerialNumber,
  SerialParams,
  SetLoanerModelBody,
  SetLoanerTargetBody
} from './loaners.schemas.ts'
import { listLoanerModels, setLoanerModel } from './set-loaner-model.ts'

const tags = ['loaners']
const csvToo = ['application/json', 'text/csv']
const FamilyParam = Type.String({
  pattern: '^([*]|[^\\s*](.{0,58}\\S)?)$',
  description: 'Family, or * for all without a target of their own',
  examples: ['WM-8']
})

const LoanHistory = named('LoanHistory', Type.Object({ items: Type.Array(ref(LoanerEventView)) }))
const LoanerImportResult = named(
  'LoanerImportResult',
  Type.Object({
    ...ImportResultView.properties,
    slips: Type.Array(Type.String(), { description: 'The opening slips that bring the units in; empty for a dry run' })
  })
)

/** What reads units and loans, and the settings of the fleet. */
export const loanerReadRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/loaners',
    {
      schema: {
        operationId: 'listLoaners',
        tags,
        summary: 'Loaner units (备用机台账)',
        description:
          'Units that belong to warehouses you see, or are on their way there, those registered last first. CSV by `Accept: text/csv`, all of them.',
        produces: csvToo,
        querystring: Type.Object(
          {
            warehouse: Type.Optional(WarehouseCode),
            model: Type.Optional(PartNumber),
            family: Type.Optional(Family),
            state: Type.Optional(oneOf(LOANER_STATES, 'State (状态)')),
            dueBefore: Type.Optional(Type.String({ ...Day, description: 'Out, and due back before this day' })),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(LoanerPage), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(reply, 'loaners.csv', LOANER_HEADINGS, loanerStream(request.ctx, request.query)) as never
      return listLoaners(request.ctx, request.query)
    }
  )

  app.get(
    '/loaners/:serial',
    {
      schema: {
        operationId: 'readLoaner',
        tags,
        summary: 'Scan a unit (扫码查询)',
        description: 'Where it is, what can be done with it, whom it is lent for, and what happened last.',
        params: SerialParams,
        response: { 200: ref(LoanerView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readLoaner(request.ctx, request.params))
  )

  app.get(
    '/loaners/:serial/history',
    {
      schema: {
        operationId: 'readLoanerHistory',
        tags,
        summary: 'The whole life of a unit (备用机履历)',
        description: 'Over all warehouses: events, movements in the ledger, loans; the oldest first.',
        params: SerialParams,
        response: { 200: ref(LoanerHistory), ...problems }
      }
    },
    (request) => readLoanerHistory(request.ctx, request.params)
  )

  app.get(
    '/loans',
    {
      schema: {
        operationId: 'listLoans',
        tags,
        summary: 'Loans (借用单列表)',
        description:
          'Of warehouses you see, the newest first. CSV by `Accept: text/csv`, all of them, without customers.',
        produces: csvToo,
        querystring: Type.Object(
          {
            warehouse: Type.Optional(WarehouseCode),
            state: Type.Optional(oneOf(LOAN_STATES, 'State (状态)')),
            serial: Type.Optional(SerialNumber),
            repairOrder: Type.Optional(Type.String({ minLength: 1, maxLength: 60, description: 'Repair order' })),
            dueBefore: Type.Optional(Type.String({ ...Day, description: 'Out, and due back before this day' })),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(LoanPage), ...problems }
      }
    },
    async (request, reply) => {
      if (wantsCsv(request))
        return sendCsv(reply, 'loans.csv', LOAN_HEADINGS, loanStream(request.ctx, request.query)) as never
      return listLoans(request.ctx, request.query)
    }
  )

  app.get(
    '/loans/:number',
    {
      schema: {
        operationId: 'readLoan',
        tags,
        summary: 'One loan (借用单)',
        params: LoanParams,
        response: { 200: ref(LoanView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readLoan(request.ctx, request.params))
  )

  app.get(
    '/loans/:number/history',
    {
      schema: {
        operationId: 'readLoanHistory',
        tags,
        summary: 'What happened to a loan (借用单历史)',
        description: 'The oldest first. Nothing about the customer.',
        params: LoanParams,
        response: { 200: ref(LoanHistory), ...problems }
      }
    },
    (request) => readLoanHistory(request.ctx, request.params)
  )

  app.get(
    '/loans/:number/receipt',
    {
      schema: {
        operationId: 'printLoanReceipt',
        tags,
        summary: 'The receipt for the customer (打印借用单)',
        description: 'HTML for the printer: a copy for the customer and one for the warehouse.',
        produces: ['text/html'],
        params: LoanParams,
        response: {
          200: { description: 'HTML for paper', content: { 'text/html': { schema: Type.String() } } },
          ...problems
        }
      }
    },
    async (request, reply) => {
      const page = await printLoanReceipt(request.ctx, request.params)
      const headers = {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': RECEIPT_POLICY,
        'content-disposition': `inline; filename="${request.params.number}.html"`
      }
      return sendFile(reply, headers, () => Readable.from([page])) as never
    }
  )

  app.get(
    '/loaner-models',
    {
      schema: {
        operationId: 'listLoanerModels',
        tags,
        summary: 'Loaner models (备用机型)',
        response: { 200: ref(LoanerModels), ...problems }
      }
    },
    (request) => listLoanerModels(request.ctx)
  )

  app.put(
    '/loaner-models/:part',
    {
      schema: {
        operationId: 'setLoanerModel',
        tags,
        summary: 'Make a part a loaner model (设为备用机型)',
        description:
          'Duty: stock-controller or administrator everywhere. While nothing of the part is in stock; from then on its units move under their serial numbers only.',
        params: Type.Object({ part: PartNumber }),
        body: ref(SetLoanerModelBody),
        response: { 200: ref(LoanerModels), ...problems }
      }
    },
    (request) => setLoanerModel(request.ctx, { ...request.params, ...request.body })
  )

  app.get(
    '/loaners/fleet',
    {
      schema: {
        operationId: 'readLoanerFleet',
        tags,
        summary: 'The fleet against its target (备用机配备)',
        description:
          'By region and family: installed base, target (4 per mille unless set), units, what is missing, and which model to acquire.',
        querystring: Type.Object({ region: Type.Optional(RegionCode), family: Type.Optional(Family) }, closed),
        response: { 200: ref(LoanerFleet), ...problems }
      }
    },
    (request) => readLoanerFleet(request.ctx, request.query)
  )

  app.get(
    '/loaners/utilisation',
    {
      schema: {
        operationId: 'readLoanerUtilisation',
        tags,
        summary: 'How much the fleet is used (备用机利用率)',
        description:
          'Per model: unit-days on loan by unit-days in service, both days included, days to come not. CSV by `Accept: text/csv`.',
        produces: csvToo,
        querystring: Type.Object(
          {
            from: Type.String({ ...Day, description: 'First day', examples: ['2026-11-01'] }),
            to: Type.String({ ...Day, description: 'Last day', examples: ['2026-11-30'] }),
            region: Type.Optional(RegionCode)
          },
          closed
        ),
        response: { 200: ref(LoanerUtilisation), ...problems }
      }
    },
    async (request, reply) => {
      const report = await readLoanerUtilisation(request.ctx, request.query)
      if (!wantsCsv(request)) return report
      return sendCsv(
        reply,
        `loaner-utilisation-${report.from}-${report.to}.csv`,
        {
          model: '货号 model',
          name: '货名 name',
          family: '系列 family',
          units: '台数 units',
          loans: '借出次数 loans',
          daysOwned: '在册天数 days owned',
          daysOut: '借出天数 days out',
          utilisation: '利用率% utilisation',
          overdue: '逾期 overdue'
        },
        Readable.from(report.items)
      ) as never
    }
  )

  app.get(
    '/installed-base',
    {
      schema: {
        operationId: 'listInstalledBase',
        tags,
        summary: 'Goods in the hands of customers (保有量)',
        querystring: Type.Object({ region: Type.Optional(RegionCode) }, closed),
        response: { 200: ref(InstalledBaseList), ...problems }
      }
    },
    (request) => listInstalledBase(request.ctx, request.query)
  )

  app.put(
    '/installed-base',
    {
      schema: {
        operationId: 'setInstalledBase',
        tags,
        summary: 'Set the installed base of a region (设置保有量)',
        description: 'Duty: stock-controller or administrator everywhere.',
        body: ref(InstalledBase),
        response: { 200: ref(InstalledBaseList), ...problems }
      }
    },
    (request) => setInstalledBase(request.ctx, request.body)
  )

  app.get(
    '/loaner-targets',
    {
      schema: {
        operationId: 'listLoanerTargets',
        tags,
        summary: 'Targets of the fleet (备用机配备标准)',
        response: { 200: ref(LoanerTargets), ...problems }
      }
    },
    (request) => listLoanerTargets(request.ctx)
  )

  app.put(
    '/loaner-targets/:family',
    {
      schema: {
        operationId: 'setLoanerTarget',
        tags,
        summary: 'Set the target of a family (设置配备标准)',
        description: 'Duty: stock-controller or administrator everywhere. Loaners per thousand installed.',
        params: Type.Object({ family: FamilyParam }),
        body: ref(SetLoanerTargetBody),
        response: { 200: ref(LoanerTargets), ...problems }
      }
    },
    (request) => setLoanerTarget(request.ctx, { ...request.params, ...request.body })
  )
}

/** Imports, which take `text/csv`. */
export const loanerImportRoutes: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(csvUpload)

  app.post(
    '/imports/loaners',
    {
      bodyLimit: IMPORT_BODY_LIMIT,
      schema: {
        operationId: 'importLoaners',
        tags,
        summary: 'Import units that are there already (导入备用机)',
        description: `Duty: keeper or stock-controller of every warehouse in the file. Units become opening slips, which await their signatures. ${csvBody.describe(LOANER_COLUMNS)}`,
        consumes: csvBody.consumes,
        querystring: ImportQuery,
        body: csvBody.body(
          'warehouse,serial,model,grade,accessories,unitCost,receivedOn\nHQ,BY-2026-00101,WM-LOAN-8,A,power cord;inlet hose,1280.00,2026-03-01\n'
        ),
        response: { 200: ref(LoanerImportResult), ...problems }
      }
    },
    (request) => importLoaners(request.ctx, { csv: request.body as string, ...request.query })
  )

  app.post(
    '/imports/installed-base',
    {
      bodyLimit: IMPORT_BODY_LIMIT,
      schema: {
        operationId: 'importInstalledBase',
        tags,
        summary: 'Import the installed base (导入保有量)',
        description: `Duty: stock-controller or administrator everywhere. ${csvBody.describe(INSTALLED_BASE_COLUMNS)}`,
        consumes: csvBody.consumes,
        querystring: ImportQuery,
        body: csvBody.body('region,family,units,countedOn\nSOUTH,WM-8,120000,2026-10-31\n'),
        response: { ...csvBody.ok, ...problems }
      }
    },
    (request) => importInstalledBase(request.ctx, { csv: request.body as string, ...request.query })
  )
}
