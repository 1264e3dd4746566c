import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IfMatch, tagged } from '../platform/etag.ts'
import { problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { closeCustodyRound } from './close-custody-round.ts'
import { confirmCustody } from './confirm-custody.ts'
import { listCustodyRounds, readCustodyRound } from './custody-round.ts'
import {
  CloseRoundBody,
  ConfirmCustodyBody,
  OpenRoundBody,
  RoundPage,
  RoundParams,
  RoundQuery,
  RoundView
} from './custody-rounds.schemas.ts'
import { openCustodyRound } from './open-custody-round.ts'

const tags = ['tools']

/** Rounds in which technicians confirm what they hold. */
export const custodyRoundRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/warehouses/:warehouse/custody-rounds',
    {
      schema: {
        operationId: 'openCustodyRound',
        tags,
        summary: 'Ask technicians to confirm what they hold (发起工具核对)',
        description:
          'Duty: keeper or department-head. Freezes the list of everybody who holds tools of this register. One round at a time.',
        params: Type.Object({ warehouse: WarehouseCode }),
        body: ref(OpenRoundBody),
        response: { 201: ref(RoundView), ...problems }
      }
    },
    async (request, reply) => {
      const round = await openCustodyRound(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/custody-rounds/${round.number}`)
      return tagged(reply, round)
    }
  )

  app.get(
    '/custody-rounds',
    {
      schema: {
        operationId: 'listCustodyRounds',
        tags,
        summary: 'Custody rounds (工具核对列表)',
        description: 'Of registers you read, and those that ask you; the newest first.',
        querystring: RoundQuery,
        response: { 200: ref(RoundPage), ...problems }
      }
    },
    (request) => listCustodyRounds(request.ctx, request.query)
  )

  app.get(
    '/custody-rounds/:number',
    {
      schema: {
        operationId: 'readCustodyRound',
        tags,
        summary: 'One custody round (工具核对单)',
        description: 'Everybody’s list and answer; a technician sees their own.',
        params: RoundParams,
        response: { 200: ref(RoundView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readCustodyRound(request.ctx, request.params))
  )

  app.post(
    '/custody-rounds/:number/confirmation',
    {
      schema: {
        operationId: 'confirmCustody',
        tags,
        summary: 'Confirm one’s own list, or say what is missing (确认保管工具)',
        description:
          'Whoever is asked, in person and for oneself, even when the duty technician has run out. Of what is missing a loss is reported (POST /v1/tools/{serial}/losses); until then the line stays open.',
        params: RoundParams,
        headers: IfMatch,
        body: ref(ConfirmCustodyBody),
        response: { 200: ref(RoundView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await confirmCustody(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/custody-rounds/:number/closing',
    {
      schema: {
        operationId: 'closeCustodyRound',
        tags,
        summary: 'Close a custody round (结束工具核对)',
        description:
          'Duty: keeper or department-head. Once everybody confirmed or holds nothing of the list any more. A round that is overdue the head of department closes all the same, with the reason.',
        params: RoundParams,
        headers: IfMatch,
        body: ref(CloseRoundBody),
        response: { 200: ref(RoundView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await closeCustodyRound(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )
}
