import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { problems, ref } from '../platform/schemas.ts'
import { listAgingBuckets, setAgingBuckets } from './aging-buckets.ts'
import { listDepreciationPolicies, setDepreciationPolicy, withdrawDepreciationPolicy } from './depreciation-policies.ts'
import { listJournalAccounts, readJournalAccounts, setJournalAccounts } from './journal-accounts.ts'
import {
  AgingBucketList,
  DepartmentAccountsView,
  DepartmentParams,
  DepreciationPolicyList,
  DepreciationPolicyParams,
  DepreciationPolicyView,
  JournalAccountPage,
  JournalAccountQuery,
  SetAgingBucketsBody,
  SetDepreciationPolicyBody,
  SetJournalAccountsBody,
  WithdrawDepreciationPolicyBody
} from './valuation-settings.schemas.ts'

const tags = ['valuation']

/** What the month end goes by: depreciation policies, classes of age, accounts. */
export const valuationSettingsRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/depreciation-policies',
    {
      schema: {
        operationId: 'listDepreciationPolicies',
        tags,
        summary: 'Depreciation policies by the month they begin in (折旧政策)',
        response: { 200: ref(DepreciationPolicyList), ...problems }
      }
    },
    async (request) => ({ items: await listDepreciationPolicies(request.ctx) })
  )

  app.post(
    '/depreciation-policies',
    {
      schema: {
        operationId: 'setDepreciationPolicy',
        tags,
        summary: 'Set how lots are depreciated from a month on (设定折旧政策)',
        description:
          'Duty: hq-finance everywhere. It holds from the current month or a later one, after every policy that is set; what was charged for months before stays as it is. In a month only the policy of that month charges: a lot whose grace by it is over and whose charges by it are not all taken.',
        body: SetDepreciationPolicyBody,
        response: { 201: ref(DepreciationPolicyView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return setDepreciationPolicy(request.ctx, request.body)
    }
  )

  app.post(
    '/depreciation-policies/:effectiveFrom/withdrawal',
    {
      schema: {
        operationId: 'withdrawDepreciationPolicy',
        tags,
        summary: 'Withdraw a policy that has not begun (撤销折旧政策)',
        description: 'Duty: hq-finance everywhere. Answers the policy that holds in its stead: the one before it.',
        params: DepreciationPolicyParams,
        body: WithdrawDepreciationPolicyBody,
        response: { 200: ref(DepreciationPolicyView), ...problems }
      }
    },
    (request) => withdrawDepreciationPolicy(request.ctx, { ...request.params, ...request.body })
  )

  app.get(
    '/aging-buckets',
    {
      schema: {
        operationId: 'listAgingBuckets',
        tags,
        summary: 'Classes of age, youngest first (库龄段)',
        response: { 200: ref(AgingBucketList), ...problems }
      }
    },
    async (request) => ({ items: await listAgingBuckets(request.ctx) })
  )

  app.put(
    '/aging-buckets',
    {
      schema: {
        operationId: 'setAgingBuckets',
        tags,
        summary: 'Replace the classes of age (设定库龄段)',
        description:
          'Duty: hq-finance everywhere. The first begins with month 0 or 1, each begins one month after the one before ends, the last alone has no end.',
        body: SetAgingBucketsBody,
        response: { 200: ref(AgingBucketList), ...problems }
      }
    },
    async (request) => ({ items: await setAgingBuckets(request.ctx, request.body) })
  )

  app.get(
    '/journal-accounts',
    {
      schema: {
        operationId: 'listJournalAccounts',
        tags,
        summary: 'Accounts of the journal lines as they were set (科目设置)',
        description: 'The default ones (department *) and those of departments you may see.',
        querystring: JournalAccountQuery,
        response: { 200: ref(JournalAccountPage), ...problems }
      }
    },
    (request) => listJournalAccounts(request.ctx, request.query)
  )

  app.get(
    '/journal-accounts/:department',
    {
      schema: {
        operationId: 'readJournalAccounts',
        tags,
        summary: 'The accounts a department books to, its own and the default ones (部门科目)',
        params: DepartmentParams,
        response: { 200: ref(DepartmentAccountsView), ...problems }
      }
    },
    (request) => readJournalAccounts(request.ctx, request.params)
  )

  app.put(
    '/journal-accounts/:department',
    {
      schema: {
        operationId: 'setJournalAccounts',
        tags,
        summary: 'Replace the accounts of a department (设定部门科目)',
        description:
          'Duty: hq-finance, or finance-supervisor for the own warehouse; hq-finance everywhere for the default (department *), which has every role. An empty list gives a warehouse back to the default.',
        params: DepartmentParams,
        body: SetJournalAccountsBody,
        response: { 200: ref(DepartmentAccountsView), ...problems }
      }
    },
    (request) => setJournalAccounts(request.ctx, { ...request.params, ...request.body })
  )
}
