import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendCsv, wantsCsv } from '../platform/csv.ts'
import { IfMatch, tagged } from '../platform/etag.ts'
import { problems, ref } from '../platform/schemas.ts'
import { acceptProposal, rejectProposal } from './decide-proposal.ts'
import { listProposals, PROPOSAL_COLUMNS, proposalStream, readProposal } from './proposals.queries.ts'
import {
  AcceptProposalBody,
  ProposalPage,
  ProposalParams,
  ProposalQuery,
  ProposalView,
  RejectProposalBody
} from './proposals.schemas.ts'
import { RequestedJob } from './reorder.schemas.ts'
import { requestProposals } from './request-proposals.ts'

const tags = ['reorder']

/** What is proposed where stock is short, and what people decide. */
export const proposalRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/reorder/proposals',
    {
      schema: {
        operationId: 'listProposals',
        tags,
        summary: 'Proposals where stock is short, newest first (补货建议)',
        description:
          'Of warehouses you see, and transfers that would take from them. `Accept: text/csv` answers the whole list as a file.',
        produces: ['application/json', 'text/csv'],
        querystring: ProposalQuery,
        response: { 200: ref(ProposalPage), ...problems }
      }
    },
    async (request, reply) => {
      if (!wantsCsv(request)) return listProposals(request.ctx, request.query)
      const { limit: _limit, cursor: _cursor, ...filter } = request.query
      return sendCsv(reply, 'reorder-proposals.csv', PROPOSAL_COLUMNS, await proposalStream(request.ctx, filter))
    }
  )

  app.get(
    '/reorder/proposals/:number',
    {
      schema: {
        operationId: 'readProposal',
        tags,
        summary: 'One proposal with the search as proof (补货建议)',
        description:
          'Who was looked at before anything is ordered, what they had, what they need themselves, and why they were taken from or not. Beside it how the position stands now.',
        params: ProposalParams,
        response: { 200: ref(ProposalView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readProposal(request.ctx, request.params))
  )

  app.post(
    '/reorder/proposals/:number/acceptance',
    {
      schema: {
        operationId: 'acceptProposal',
        tags,
        summary: 'Accept a proposal, as it is or changed with a reason (采纳)',
        description:
          'Duty: purchaser, stock-controller or operations-supervisor of the warehouse that is short. A transfer counts as on order from then on; the keeper of the giving warehouse writes the transfer-out with the number of the proposal as its reference. An order waits for the next purchase plan. A controlled part (监控件) draws on an approval.',
        params: ProposalParams,
        headers: IfMatch,
        body: ref(AcceptProposalBody),
        response: { 200: ref(ProposalView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await acceptProposal(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/reorder/proposals/:number/rejection',
    {
      schema: {
        operationId: 'rejectProposal',
        tags,
        summary: 'Reject a proposal with a coded reason (拒绝)',
        description:
          'Duty: purchaser, stock-controller or operations-supervisor of the warehouse that is short. The same need is not proposed again for 14 days (`REORDER_REPEAT_DAYS`) unless the position recovers meanwhile; with other-source it is searched anew at once, without that giver.',
        params: ProposalParams,
        headers: IfMatch,
        body: ref(RejectProposalBody),
        response: { 200: ref(ProposalView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await rejectProposal(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/reorder/proposals/computation',
    {
      schema: {
        operationId: 'requestProposals',
        tags,
        summary: 'Look at every position now (生成补货建议)',
        description:
          'Duty: purchaser or stock-controller everywhere. Runs in the background; follow it by GET /v1/jobs/{id}. Posted slips are looked at within seconds and everything once a night anyway.',
        response: { 202: ref(RequestedJob), ...problems }
      }
    },
    async (request, reply) => {
      const requested = await requestProposals(request.ctx)
      reply.code(202).header('location', `/v1/jobs/${requested.job}`)
      return requested
    }
  )
}
