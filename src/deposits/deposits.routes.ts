import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { problems, ref } from '../platform/schemas.ts'
import { DEPOSIT_ENTRY_COLUMNS, depositStatementStream, readDepositStatement } from './deposit-statement.ts'
import { DEPOSIT_COLUMNS, depositStream, listDeposits, listDepositWaivers, readDeposit } from './deposits.queries.ts'
import {
  DepositChangeBody,
  DepositEntryView,
  DepositPage,
  DepositParams,
  DepositQuery,
  DepositStatementQuery,
  DepositStatementView,
  DepositView,
  EndWaiverBody,
  LowLimitBody,
  OpenDepositBody,
  WaiverBody,
  WaiverPage,
  WaiverParams,
  WaiverQuery,
  WaiverView
} from './deposits.schemas.ts'
import { endDepositWaiver } from './end-waiver.ts'
import { decreaseDeposit, increaseDeposit } from './enter-deposit.ts'
import { grantDepositWaiver } from './grant-waiver.ts'
import { openDeposit } from './open-deposit.ts'
import { setDepositLowLimit } from './set-low-limit.ts'

const tags = ['deposits']
const produces = ['application/json', 'text/csv']
const KEEPERS = 'Duty: finance-supervisor of the centre of the outlet, or hq-finance.'

/** What outlets have deposited, what open requests hold of it, and what finance waives. */
export const depositRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/deposits',
    {
      schema: {
        operationId: 'listDeposits',
        tags,
        summary: 'Deposits of outlets (网点押金)',
        description:
          'Of the outlets you see, and of those whose centre you keep the finance of. `Accept: text/csv` answers the whole list as a file.',
        produces,
        querystring: DepositQuery,
        response: { 200: ref(DepositPage), ...problems }
      }
    },
    (request, reply) =>
      wantsCsv(request)
        ? (sendCsv(reply, 'deposits.csv', DEPOSIT_COLUMNS, depositStream(request.ctx, request.query)) as never)
        : listDeposits(request.ctx, request.query)
  )

  app.get(
    '/deposits/:warehouse',
    {
      schema: {
        operationId: 'readDeposit',
        tags,
        summary: 'The deposit of an outlet: balance, held, free (押金余额)',
        description: 'For everyone who sees the outlet, and for those who keep its deposit.',
        params: DepositParams,
        response: { 200: ref(DepositView), ...problems }
      }
    },
    (request) => readDeposit(request.ctx, request.params)
  )

  app.post(
    '/deposits/:warehouse',
    {
      schema: {
        operationId: 'openDeposit',
        tags,
        summary: 'Open the deposit of an outlet (开立押金账户)',
        description: `${KEEPERS} Nothing is in it; from then on the value of open requests is held against it. Without one an outlet is not checked.`,
        params: DepositParams,
        body: ref(OpenDepositBody),
        response: { 201: ref(DepositView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return openDeposit(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.post(
    '/deposits/:warehouse/increases',
    {
      schema: {
        operationId: 'increaseDeposit',
        tags,
        summary: 'Enter what an outlet paid in (增加押金)',
        description: `${KEEPERS} The same paper is entered once.`,
        params: DepositParams,
        body: ref(DepositChangeBody),
        response: { 201: ref(DepositEntryView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return increaseDeposit(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.post(
    '/deposits/:warehouse/decreases',
    {
      schema: {
        operationId: 'decreaseDeposit',
        tags,
        summary: 'Enter what was paid back to an outlet (减少押金)',
        description: `${KEEPERS} At most what is free: open requests keep what they hold. The same paper is entered once.`,
        params: DepositParams,
        body: ref(DepositChangeBody),
        response: { 201: ref(DepositEntryView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return decreaseDeposit(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.get(
    '/deposits/:warehouse/statement',
    {
      schema: {
        operationId: 'readDepositStatement',
        tags,
        summary: 'What became of a deposit between two days (押金对账单)',
        description:
          'For everyone who sees the outlet, and for those who keep its deposit. Opening + entries = closing; this month up to today without days. What is held is said as it is now. `Accept: text/csv` answers all entries of the days as a file.',
        produces,
        params: DepositParams,
        querystring: DepositStatementQuery,
        response: { 200: ref(DepositStatementView), ...problems }
      }
    },
    async (request, reply) => {
      const query = { ...request.params, ...request.query }
      return wantsCsv(request)
        ? (sendCsv(
            reply,
            `deposit-${request.params.warehouse}.csv`,
            DEPOSIT_ENTRY_COLUMNS,
            await depositStatementStream(request.ctx, query)
          ) as never)
        : readDepositStatement(request.ctx, query)
    }
  )

  app.put(
    '/deposits/:warehouse/low-limit',
    {
      schema: {
        operationId: 'setDepositLowLimit',
        tags,
        summary: 'Set below which free deposit an alert is raised (设定押金下限)',
        description: KEEPERS,
        params: DepositParams,
        body: ref(LowLimitBody),
        response: { 200: ref(DepositView), ...problems }
      }
    },
    (request) => setDepositLowLimit(request.ctx, { ...request.params, ...request.body })
  )

  app.get(
    '/deposits/:warehouse/waivers',
    {
      schema: {
        operationId: 'listDepositWaivers',
        tags,
        summary: 'What finance waived for an outlet, newest first (押金豁免)',
        description:
          'For everyone who sees the outlet, and for those who keep its deposit. With the requests that took it.',
        params: DepositParams,
        querystring: WaiverQuery,
        response: { 200: ref(WaiverPage), ...problems }
      }
    },
    (request) => listDepositWaivers(request.ctx, { ...request.params, ...request.query })
  )

  app.post(
    '/deposits/:warehouse/waivers',
    {
      schema: {
        operationId: 'grantDepositWaiver',
        tags,
        summary: 'Let requests go beyond the free deposit (豁免押金)',
        description: `${KEEPERS} A person, no key. A request takes of open waivers what it is worth beyond the free deposit; one for its repair order goes first. It helps no request of who granted it.`,
        params: DepositParams,
        body: ref(WaiverBody),
        response: { 201: ref(WaiverView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return grantDepositWaiver(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.post(
    '/deposits/:warehouse/waivers/:waiver/ending',
    {
      schema: {
        operationId: 'endDepositWaiver',
        tags,
        summary: 'End what is left of a waiver (终止豁免)',
        description: `${KEEPERS} What requests took of it they keep.`,
        params: WaiverParams,
        body: ref(EndWaiverBody),
        response: { 200: ref(WaiverView), ...problems }
      }
    },
    (request) => endDepositWaiver(request.ctx, { ...request.params, ...request.body })
  )
}
