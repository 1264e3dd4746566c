import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IfMatch, tagged } from '../platform/etag.ts'
import { closed, problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { extendLoan } from './extend-loan.ts'
import { forgetCustomer } from './forget-customer.ts'
import { lendLoaner } from './lend-loaner.ts'
import {
  BackFromRepairBody,
  ExtendLoanBody,
  LendLoanerBody,
  LoanerView,
  LoanParams,
  LoanView,
  NoticeAnswerBody,
  RecordCustomerBody,
  RegisteredLoaners,
  RegisterLoanersBody,
  RepairReadyBody,
  ReserveLoanerBody,
  RetireLoanerBody,
  ReturnLoanerBody,
  SendToRepairBody,
  SerialParams,
  TransferLoanerBody,
  UpdateLoanerBody
} from './loaners.schemas.ts'
import { recordCustomer } from './record-customer.ts'
import { answerNotice, reportRepairReady } from './notices.ts'
import { registerLoaners } from './register-loaners.ts'
import { reportLoanerRepaired, sendLoanerToRepair } from './repair-loaner.ts'
import { endLoanerReservation, reserveLoaner } from './reserve-loaner.ts'
import { retireLoaner } from './retire-loaner.ts'
import { returnLoaner } from './return-loaner.ts'
import { receiveLoaner, transferLoaner } from './transfer-loaner.ts'
import { updateLoaner } from './update-loaner.ts'

const tags = ['loaners']
const nothing = Type.Object({}, { ...closed, examples: [{}] })

/** What changes units and loans; what reads them is in `loaners-reads.routes.ts`. */
export const loanerRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/warehouses/:warehouse/loaners',
    {
      schema: {
        operationId: 'registerLoaners',
        tags,
        summary: 'Register loaner units (备用机登记)',
        description:
          'Duty: keeper. Writes a receipt, or opening stock for units that were there before, with a line per unit, at most 500 (more by POST /v1/imports/loaners); they are in service once that slip is signed and posted. Serial numbers are unique in the company, whatever the case of their letters.',
        params: Type.Object({ warehouse: WarehouseCode }),
        body: ref(RegisterLoanersBody),
        response: { 201: ref(RegisteredLoaners), ...problems }
      }
    },
    async (request, reply) => {
      const registered = await registerLoaners(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/slips/${registered.slip}`)
      return registered
    }
  )

  app.patch(
    '/loaners/:serial',
    {
      schema: {
        operationId: 'updateLoaner',
        tags,
        summary: 'Change what is written of a unit (备用机资料)',
        description: 'Duty: keeper of the warehouse it belongs to. Grade, photograph, accessories, remark.',
        params: SerialParams,
        headers: IfMatch,
        body: ref(UpdateLoanerBody),
        response: { 200: ref(LoanerView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await updateLoaner(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/loaners/:serial/loans',
    {
      schema: {
        operationId: 'lendLoaner',
        tags,
        summary: 'Lend a unit (借出备用机)',
        description:
          'Duty: keeper. Against a repair order and the receipt the customer signs, until LOAN_DAYS (30) from today at most. A receipt is of one loan. Writes the loan-out slip, which names the unit’s own lot; the unit is out once it is signed and posted. Name and contact are kept in the loan only and can be erased after the return.',
        params: SerialParams,
        body: ref(LendLoanerBody),
        response: { 201: ref(LoanView), ...problems }
      }
    },
    async (request, reply) => {
      const loan = await lendLoaner(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/loans/${loan.number}`)
      return tagged(reply, loan)
    }
  )

  app.post(
    '/loans/:number/extension',
    {
      schema: {
        operationId: 'extendLoan',
        tags,
        summary: 'Extend a loan (延期归还)',
        description:
          'Duty: keeper up to LOAN_DAYS (30) after the day it was lent; beyond that department-head. To a later day only.',
        params: LoanParams,
        headers: IfMatch,
        body: ref(ExtendLoanBody),
        response: { 200: ref(LoanView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await extendLoan(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/loans/:number/return',
    {
      schema: {
        operationId: 'returnLoaner',
        tags,
        summary: 'Take a unit back (归还备用机)',
        description:
          'Duty: keeper of the warehouse that lent it. Writes the loan-in slip with condition and accessories; the unit is back once it is signed and posted. A unit that was handed in elsewhere is returned here on paper and then transferred.',
        params: LoanParams,
        headers: IfMatch,
        body: ref(ReturnLoanerBody),
        response: { 200: ref(LoanView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await returnLoaner(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/loans/:number/forget-customer',
    {
      schema: {
        operationId: 'forgetCustomer',
        tags,
        summary: 'Erase who the customer was (删除客户信息)',
        description: 'Duty: keeper or department-head. After the return; a second time changes nothing.',
        params: LoanParams,
        body: nothing,
        response: { 200: ref(LoanView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await forgetCustomer(request.ctx, request.params))
  )

  app.post(
    '/loans/:number/customer',
    {
      schema: {
        operationId: 'recordCustomer',
        tags,
        summary: 'Enter the customer anew (补登客户信息)',
        description:
          'Duty: keeper. While the unit is out and nobody is on record: erased after a return that was then reversed, or never entered. The history says that it was done, not who the customer is.',
        params: LoanParams,
        headers: IfMatch,
        body: ref(RecordCustomerBody),
        response: { 200: ref(LoanView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await recordCustomer(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/loans/:number/repair-ready',
    {
      schema: {
        operationId: 'reportRepairReady',
        tags,
        summary: 'Report the repair ready (维修完成通知)',
        description:
          'Duty: keeper, technician or operations-supervisor. The customer is told at once, by the systems that hear the event `loaner.customer-notice`, and again every LOANER_NOTICE_DAYS (3) days, LOANER_NOTICE_REPEATS (3) times; then it is escalated.',
        params: LoanParams,
        body: ref(RepairReadyBody),
        response: { 200: ref(LoanView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(reply, await reportRepairReady(request.ctx, { ...request.params, ...request.body }))
  )

  app.post(
    '/loans/:number/notice-answer',
    {
      schema: {
        operationId: 'answerNotice',
        tags,
        summary: 'Note what the customer answered (客户回复)',
        description: 'Duty: keeper, technician or operations-supervisor. No more notices after it.',
        params: LoanParams,
        body: ref(NoticeAnswerBody),
        response: { 200: ref(LoanView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await answerNotice(request.ctx, { ...request.params, ...request.body }))
  )

  app.post(
    '/loaners/:serial/reservation',
    {
      schema: {
        operationId: 'reserveLoaner',
        tags,
        summary: 'Keep a unit for a coming repair (预留备用机)',
        description:
          'Duty: keeper or operations-supervisor. Until that day it is lent for this repair order only, and the stock network does not offer it.',
        params: SerialParams,
        body: ref(ReserveLoanerBody),
        response: { 200: ref(LoanerView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await reserveLoaner(request.ctx, { ...request.params, ...request.body }))
  )

  app.delete(
    '/loaners/:serial/reservation',
    {
      schema: {
        operationId: 'endLoanerReservation',
        tags,
        summary: 'End a reservation (取消预留)',
        description: 'Duty: keeper or operations-supervisor.',
        params: SerialParams,
        response: { 200: ref(LoanerView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await endLoanerReservation(request.ctx, request.params))
  )

  app.post(
    '/loaners/:serial/repair',
    {
      schema: {
        operationId: 'sendLoanerToRepair',
        tags,
        summary: 'Send a unit to repair (备用机送修)',
        description:
          'Duty: keeper. Nothing moves in the ledger; the piece is promised to the repair. Also what a recall blocks: it stays blocked until that is lifted.',
        params: SerialParams,
        body: ref(SendToRepairBody),
        response: { 200: ref(LoanerView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(reply, await sendLoanerToRepair(request.ctx, { ...request.params, ...request.body }))
  )

  app.post(
    '/loaners/:serial/repair-return',
    {
      schema: {
        operationId: 'reportLoanerRepaired',
        tags,
        summary: 'A unit is back from repair (备用机修复)',
        description: 'Duty: keeper. It can be lent again, unless a recall blocks it: then as soon as that is lifted.',
        params: SerialParams,
        body: ref(BackFromRepairBody),
        response: { 200: ref(LoanerView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(reply, await reportLoanerRepaired(request.ctx, { ...request.params, ...request.body }))
  )

  app.post(
    '/loaners/:serial/retirement',
    {
      schema: {
        operationId: 'retireLoaner',
        tags,
        summary: 'Retire a unit (备用机报废)',
        description:
          'Duty: keeper. Writes a scrap slip that names its lot; it is retired once that is signed and posted. A unit that a count found missing is retired at once; one that a customer lost is returned first, as beyond-repair and with the claim.',
        params: SerialParams,
        body: ref(RetireLoanerBody),
        response: { 200: ref(LoanerView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await retireLoaner(request.ctx, { ...request.params, ...request.body }))
  )

  app.post(
    '/loaners/:serial/transfer',
    {
      schema: {
        operationId: 'transferLoaner',
        tags,
        summary: 'Send a unit to another warehouse (备用机调拨)',
        description:
          'Duty: keeper of the warehouse it belongs to. Writes a transfer-out slip that names its lot; the other warehouse takes it in by `arrival`.',
        params: SerialParams,
        body: ref(TransferLoanerBody),
        response: { 200: ref(LoanerView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await transferLoaner(request.ctx, { ...request.params, ...request.body }))
  )

  app.post(
    '/loaners/:serial/arrival',
    {
      schema: {
        operationId: 'receiveLoaner',
        tags,
        summary: 'Take in a unit that another warehouse sent (备用机调入)',
        description:
          'Duty: keeper of the warehouse it is on its way to. Writes a transfer-in slip with the cost, accumulated depreciation and age it left with.',
        params: SerialParams,
        body: nothing,
        response: { 200: ref(LoanerView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await receiveLoaner(request.ctx, request.params))
  )
}
