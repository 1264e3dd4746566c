import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { closed, problems, ref } from '../platform/schemas.ts'
import { assignDuty } from './assign-duty.ts'
import { createPerson } from './create-person.ts'
import { createToken, type Mint } from './create-token.ts'
import { delegateDuties } from './delegate-duties.ts'
import { directoryOf } from './directory.ts'
import { endDelegation } from './end-delegation.ts'
import { endDuty } from './end-duty.ts'
import * as queries from './identity.queries.ts'
import * as schemas from './identity.schemas.ts'
import { issueApiKey } from './issue-api-key.ts'
import { lockAccount, unlockAccount } from './lock-account.ts'
import { refreshToken } from './refresh-token.ts'
import { revokeApiKey } from './revoke-api-key.ts'
import { revokeToken } from './revoke-token.ts'
import { changePassword, setPassword } from './set-password.ts'
import { updatePerson } from './update-person.ts'

const done = Type.Null({ description: 'Done' })

/** Signing in, people, duties, delegation, API keys. */
export const identityRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const mint: Mint = (claims) => app.jwt.sign(claims)

  // A verb forgets inside its transaction; with an Idempotency-Key the commit comes later, and by now it is done.
  app.addHook('onSend', async (request) => {
    const isWrite = request.method !== 'GET' && request.routeOptions.config.public !== true
    // Without a context the caller was refused.
    if (isWrite && request.ctx !== null) directoryOf(request.ctx.em).evict()
  })

  app.post(
    '/auth/tokens',
    {
      config: { public: true },
      schema: {
        operationId: 'createToken',
        tags: ['auth'],
        summary: 'Sign in with user name and password (登录)',
        description:
          'Failed sign-ins are limited per account and address, and per address. Where people sign in at an OpenID Connect issuer only, this is refused; tokens of the issuer are accepted as they are.',
        security: [],
        body: schemas.SignInBody,
        response: { 200: ref(schemas.TokenView), ...problems }
      }
    },
    (request) =>
      app.limits.guardSignIn(request, request.body.username, () => createToken(request.ctx, request.body, mint))
  )

  app.post(
    '/auth/refresh',
    {
      config: { public: true },
      schema: {
        operationId: 'refreshToken',
        tags: ['auth'],
        summary: 'Get a new access token for a refresh token (刷新令牌)',
        description:
          'Each refresh token is good once; the answer holds the next one. A token that comes a second time ends the whole sign-in and withdraws the access tokens of the person.',
        security: [],
        body: schemas.RefreshBody,
        response: { 200: ref(schemas.TokenView), ...problems }
      }
    },
    (request) => refreshToken(request.ctx, request.body, mint)
  )

  app.post(
    '/auth/logout',
    {
      config: { public: true },
      schema: {
        operationId: 'revokeToken',
        tags: ['auth'],
        summary: 'Sign out: end the sign-in of a refresh token (退出登录)',
        security: [],
        body: schemas.RefreshBody,
        response: { 204: done, ...problems }
      }
    },
    async (request, reply) => {
      await revokeToken(request.ctx, request.body)
      reply.code(204)
      return null
    }
  )

  app.get(
    '/me',
    {
      schema: {
        operationId: 'readMe',
        tags: ['auth'],
        summary: 'Who am I, with the duties in force today (本人信息)',
        querystring: Type.Object({}, closed),
        response: { 200: ref(schemas.MeView), ...problems }
      }
    },
    (request) => queries.readMe(request.ctx)
  )

  app.put(
    '/me/password',
    {
      schema: {
        operationId: 'changePassword',
        tags: ['auth'],
        summary: 'Change my password (修改密码)',
        description: 'Ends all sign-ins of the person, this one too: sign in again with the new password.',
        body: schemas.ChangePasswordBody,
        response: { 204: done, ...problems }
      }
    },
    async (request, reply) => {
      await app.limits.guardSignIn(request, request.ctx.actor.username, () => changePassword(request.ctx, request.body))
      reply.code(204)
      return null
    }
  )

  app.post(
    '/people',
    {
      schema: {
        operationId: 'createPerson',
        tags: ['people'],
        summary: 'Add a person (新增人员)',
        description: 'Needs the duty administrator everywhere. The person has neither duty nor password yet.',
        body: schemas.CreatePersonBody,
        response: { 201: ref(schemas.PersonView), ...problems }
      }
    },
    async (request, reply) => {
      const { id: _, ...person } = await createPerson(request.ctx, request.body)
      reply.code(201).header('location', `/v1/people/${encodeURIComponent(person.username)}`)
      return person
    }
  )

  app.get(
    '/people',
    {
      schema: {
        operationId: 'listPeople',
        tags: ['people'],
        summary: 'People, by user name (人员列表)',
        description: 'Needs the duty administrator everywhere.',
        querystring: schemas.PeopleQuery,
        response: { 200: ref(schemas.PersonPage), ...problems }
      }
    },
    (request) => queries.listPeople(request.ctx, request.query)
  )

  app.get(
    '/people/:username',
    {
      schema: {
        operationId: 'readPerson',
        tags: ['people'],
        summary: 'One person (人员信息)',
        description: 'Oneself, or anybody with the duty administrator everywhere.',
        params: schemas.PersonParams,
        response: { 200: ref(schemas.PersonView), ...problems }
      }
    },
    (request) => queries.readPerson(request.ctx, request.params)
  )

  app.patch(
    '/people/:username',
    {
      schema: {
        operationId: 'updatePerson',
        tags: ['people'],
        summary: 'Change name, language, e-mail address or whether the person is active (修改人员)',
        description:
          'Needs the duty administrator everywhere. An inactive person is refused at once, with every token and key. Whoever is keeper of goods or holds tools hands over or returns them first; an account in the wrong hands is locked instead.',
        params: schemas.PersonParams,
        body: schemas.UpdatePersonBody,
        response: { 200: ref(schemas.PersonView), ...problems }
      }
    },
    (request) => updatePerson(request.ctx, { ...request.params, ...request.body })
  )

  app.put(
    '/people/:username/password',
    {
      schema: {
        operationId: 'setPassword',
        tags: ['people'],
        summary: 'Give a person a new password (重设密码)',
        description: 'Needs the duty administrator everywhere. Ends all sign-ins of the person.',
        params: schemas.PersonParams,
        body: schemas.SetPasswordBody,
        response: { 204: done, ...problems }
      }
    },
    async (request, reply) => {
      await setPassword(request.ctx, { ...request.params, ...request.body })
      reply.code(204)
      return null
    }
  )

  app.post(
    '/people/:username/lock',
    {
      schema: {
        operationId: 'lockAccount',
        tags: ['people'],
        summary: 'Cut an account off at once, e.g. a stolen one (锁定账号)',
        description:
          'Needs the duty administrator everywhere. Sign-ins, tokens and API keys are refused from the next request on; the keys are revoked and the password is forgotten. No duty ends, so nothing has to be handed over first, and who stands in for the person goes on; end a delegation that is not to be trusted.',
        params: schemas.PersonParams,
        body: schemas.LockAccountBody,
        response: { 200: ref(schemas.PersonView), ...problems }
      }
    },
    (request) => lockAccount(request.ctx, { ...request.params, ...request.body })
  )

  app.post(
    '/people/:username/unlock',
    {
      schema: {
        operationId: 'unlockAccount',
        tags: ['people'],
        summary: 'Accept a locked account again (解锁账号)',
        description:
          'Needs the duty administrator everywhere. The account has no password and no API keys any more: give it new ones.',
        params: schemas.PersonParams,
        response: { 200: ref(schemas.PersonView), ...problems }
      }
    },
    (request) => unlockAccount(request.ctx, request.params)
  )

  app.post(
    '/people/:username/duties',
    {
      schema: {
        operationId: 'assignDuty',
        tags: ['people'],
        summary: 'Give a person a duty in a warehouse, in a region or everywhere (任命岗位)',
        description: 'Needs the duty administrator everywhere. Days are inclusive.',
        params: schemas.PersonParams,
        body: schemas.AssignDutyBody,
        response: { 201: ref(schemas.DutyView), ...problems }
      }
    },
    async (request, reply) => {
      const duty = await assignDuty(request.ctx, { ...request.params, ...request.body })
      reply.code(201)
      return duty
    }
  )

  app.get(
    '/people/:username/duties',
    {
      schema: {
        operationId: 'listPersonDuties',
        tags: ['people'],
        summary: 'The duties of a person, past and future ones too (人员岗位)',
        description: 'Oneself, or anybody with the duty administrator everywhere.',
        params: schemas.PersonParams,
        querystring: schemas.DutiesQuery,
        response: { 200: ref(schemas.DutyPage), ...problems }
      }
    },
    (request) => queries.listPersonDuties(request.ctx, { ...request.params, ...request.query })
  )

  app.post(
    '/people/:username/duties/:id/end',
    {
      schema: {
        operationId: 'endDuty',
        tags: ['people'],
        summary: 'End a duty at once or on a day (免去岗位)',
        description: 'Needs the duty administrator everywhere. A duty is only ever shortened.',
        params: schemas.DutyParams,
        body: schemas.EndDutyBody,
        response: { 200: ref(schemas.DutyView), ...problems }
      }
    },
    (request) => endDuty(request.ctx, { ...request.params, ...request.body })
  )

  app.get(
    '/warehouses/:warehouse/duties',
    {
      schema: {
        operationId: 'listWarehouseDuties',
        tags: ['people'],
        summary: 'Who holds which duty for a warehouse (仓库岗位)',
        description:
          'Directly, through its region or everywhere; now, or on the day given. For everybody with a duty there.',
        params: schemas.WarehouseDutiesParams,
        querystring: schemas.DutiesQuery,
        response: { 200: ref(schemas.DutyPage), ...problems }
      }
    },
    (request) => queries.listWarehouseDuties(request.ctx, { ...request.params, ...request.query })
  )

  app.post(
    '/delegations',
    {
      schema: {
        operationId: 'delegateDuties',
        tags: ['people'],
        summary: 'Let somebody stand in during leave (岗位代理)',
        description:
          'People delegate what they hold themselves; an administrator does it for others. What was delegated is not delegated further.',
        body: schemas.DelegateBody,
        response: { 201: ref(schemas.DelegationView), ...problems }
      }
    },
    async (request, reply) => {
      const delegation = await delegateDuties(request.ctx, request.body)
      reply.code(201)
      return delegation
    }
  )

  app.get(
    '/delegations',
    {
      schema: {
        operationId: 'listDelegations',
        tags: ['people'],
        summary: 'Delegations from and to oneself (代理列表)',
        description: 'An administrator sees those of everybody.',
        querystring: schemas.DelegationsQuery,
        response: { 200: ref(schemas.DelegationPage), ...problems }
      }
    },
    (request) => queries.listDelegations(request.ctx, request.query)
  )

  app.post(
    '/delegations/:id/end',
    {
      schema: {
        operationId: 'endDelegation',
        tags: ['people'],
        summary: 'End standing in early (结束代理)',
        description: 'By the absent person, by who stands in, or by an administrator.',
        params: schemas.DelegationParams,
        body: schemas.EndDutyBody,
        response: { 200: ref(schemas.DelegationView), ...problems }
      }
    },
    (request) => endDelegation(request.ctx, { ...request.params, ...request.body })
  )

  app.post(
    '/api-keys',
    {
      config: { secretAnswer: true },
      schema: {
        operationId: 'issueApiKey',
        tags: ['people'],
        summary: 'Issue an API key for a machine (签发接口密钥)',
        description:
          'It acts for one person with at most that person’s rights on the day, and never signs. The key is in this answer only.',
        body: schemas.IssueApiKeyBody,
        response: { 201: ref(schemas.IssuedApiKeyView), ...problems }
      }
    },
    async (request, reply) => {
      const key = await issueApiKey(request.ctx, request.body)
      reply.code(201).header('location', `/v1/api-keys/${key.id}`).header('cache-control', 'no-store')
      return key
    }
  )

  app.get(
    '/api-keys',
    {
      schema: {
        operationId: 'listApiKeys',
        tags: ['people'],
        summary: 'My API keys, without their secrets (接口密钥列表)',
        description: 'An administrator sees those of everybody.',
        querystring: schemas.ApiKeysQuery,
        response: { 200: ref(schemas.ApiKeyPage), ...problems }
      }
    },
    (request) => queries.listApiKeys(request.ctx, request.query)
  )

  app.get(
    '/api-keys/:id',
    {
      schema: {
        operationId: 'readApiKey',
        tags: ['people'],
        summary: 'One API key, without its secret (接口密钥)',
        params: schemas.ApiKeyParams,
        response: { 200: ref(schemas.ApiKeyView), ...problems }
      }
    },
    (request) => queries.readApiKey(request.ctx, request.params)
  )

  app.post(
    '/api-keys/:id/revocation',
    {
      schema: {
        operationId: 'revokeApiKey',
        tags: ['people'],
        summary: 'Revoke an API key at once (吊销接口密钥)',
        description: 'By the person it acts for, or by an administrator.',
        params: schemas.ApiKeyParams,
        response: { 200: ref(schemas.ApiKeyView), ...problems }
      }
    },
    (request) => revokeApiKey(request.ctx, request.params)
  )

  app.get(
    '/audit-events',
    {
      schema: {
        operationId: 'listAuditEvents',
        tags: ['people'],
        summary: 'Who did what, the latest first (操作记录)',
        description: 'Needs the duty administrator everywhere.',
        querystring: schemas.AuditQuery,
        response: { 200: ref(schemas.AuditEventPage), ...problems }
      }
    },
    (request) => queries.listAuditEvents(request.ctx, request.query)
  )
}
