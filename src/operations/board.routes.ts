import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { actingAs } from '../identity/directory.ts'
import { requireDutyEverywhere, type Actor } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { createToken } from '../identity/create-token.ts'
import { revokeToken } from '../identity/revoke-token.ts'
import { openContext, type Runtime } from '../platform/context.ts'
import { databaseIsAway } from '../platform/error-handler.ts'
import { problemOf, Refusal } from '../platform/errors.ts'
import type { JobQueue } from '../platform/queue.ts'
import { closed } from '../platform/schemas.ts'
import { BOARD, refusedPage, signInPage, signOutPage } from './board-pages.ts'
import { reopenRuns } from './reopen-runs.ts'

// The queues as BullMQ sees them, for administrators. Everything about it lies in a scope of its own: other requests pass none of its
// hooks. Whoever signs in here gets an access token in a cookie that is sent to the board and to nothing else; each request asks
// again who that is and whether they are administrator everywhere.

const COOKIE = 'bincard_board'

/** The board's own files and nothing else; it styles with attributes, and shows no picture of another server. */
const CONTENT_SECURITY_POLICY = [
  `default-src 'none'`,
  `script-src 'self'`,
  `style-src 'self' 'unsafe-inline'`,
  `img-src 'self' data:`,
  `font-src 'self'`,
  `connect-src 'self'`,
  `form-action 'self'`,
  `base-uri 'self'`,
  `frame-ancestors 'none'`
].join('; ')

const SignIn = Type.Union([
  Type.Object({ username: Type.String({ maxLength: 60 }), password: Type.String({ maxLength: 200 }) }, closed),
  Type.Object({ token: Type.String({ maxLength: 8000 }) }, closed)
])

/** Shown beside each queue. */
const DESCRIPTIONS: Record<string, string> = {
  bincard: 'short jobs (短任务)',
  'bincard-long': 'long jobs (长任务)',
  'bincard-deliveries': 'webhooks and mail (推送与邮件)'
}

/** The job board at `/board` (任务看板). */
export const boardRoutes: FastifyPluginAsyncTypebox<{ runtime: Runtime; queue: JobQueue }> = async (
  app,
  { runtime, queue }
) => {
  const { config } = runtime
  const takesToken = config.OIDC_ISSUER !== undefined && config.JWT_SECRET === undefined

  await app.register(cookie)
  await app.register(formbody, { bodyLimit: 16 * 1024 })
  // Who calls is told by the cookie, below.
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, public: true }
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'content-security-policy': CONTENT_SECURITY_POLICY,
      // Without it browsers do not say where a form comes from.
      'referrer-policy': 'same-origin',
      'cache-control': 'no-store'
    })
    if (isWrite(request) && !comesFromHere(request)) {
      return refuse(
        request,
        reply,
        new Refusal('OriginForeign', 403, 'the board is written to from its own pages; programs use /v1/jobs')
      )
    }
  })

  /** The administrator of the cookie; undefined once whoever it is was answered. */
  async function administratorOf(request: FastifyRequest, reply: FastifyReply): Promise<Actor | undefined> {
    const token = request.cookies[COOKIE]
    try {
      if (token === undefined) throw new Refusal('CredentialsRequired', 401, 'sign in at /board')
      const actor = await app.actorOfToken(request, token)
      request.ctx = openContext(runtime, actor, request.log)
      requireDutyEverywhere(request.ctx, 'administrator')
      return actor
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      if (error.status === 401) reply.clearCookie(COOKIE, { path: BOARD })
      refuse(request, reply, error, token !== undefined)
      return undefined
    }
  }

  function refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refusal, tellsWhy = true): FastifyReply {
    reply.code(refusal.status)
    if (refusal.retryAfterSeconds !== undefined) reply.header('retry-after', refusal.retryAfterSeconds)
    const { url = '' } = request.routeOptions
    if (url.startsWith(`${BOARD}/api/`) || url.startsWith(`${BOARD}/static/`)) {
      return reply
        .type('application/problem+json; charset=utf-8')
        .send(JSON.stringify(problemOf(refusal, request.url.split('?', 1)[0] ?? '')))
    }
    reply.type('text/html; charset=utf-8')
    const { username } = request.ctx.actor
    const problem = refusal.message
    return reply.send(
      username === ''
        ? signInPage({ takesToken, problem: tellsWhy ? problem : undefined })
        : refusedPage({ username, problem })
    )
  }

  app.get(`${BOARD}/sign-in`, { schema: { hide: true } }, (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(signInPage({ takesToken }))
  )

  app.post(`${BOARD}/sign-in`, { schema: { hide: true, body: SignIn } }, async (request, reply) => {
    try {
      const { token, seconds } = await signIn(request)
      requireDutyEverywhere(request.ctx, 'administrator')
      reply.setCookie(COOKIE, token, {
        path: BOARD,
        httpOnly: true,
        sameSite: 'strict',
        // The browser knows of https also where the proxy in between does not say so.
        secure: request.protocol === 'https' || request.headers.origin?.startsWith('https:') === true,
        ...(seconds !== undefined && { maxAge: seconds })
      })
      return reply.redirect(`${BOARD}/`, 303)
    } catch (error) {
      if (error instanceof Refusal) return refuse(request, reply, error)
      throw error
    }
  })

  /** With a password as anywhere else; where that is not done here, with a token of the issuer. */
  async function signIn(
    request: FastifyRequest<{ Body: unknown }>
  ): Promise<{ token: string; seconds: number | undefined }> {
    const body = request.body as { username: string; password: string } | { token: string }
    if ('token' in body) {
      request.ctx = actingAs(request.ctx, await app.actorOfToken(request, body.token))
      await recordAudit(request.ctx, 'person.signed-in', `person:${request.ctx.actor.username}`, { at: 'board' })
      return { token: body.token, seconds: undefined }
    }
    const { accessToken, refreshToken, expiresIn } = await app.limits.guardSignIn(request, body.username, () =>
      createToken(request.ctx, body, (claims) => app.jwt.sign(claims))
    )
    request.ctx = actingAs(request.ctx, await app.actorOfToken(request, accessToken))
    // The board signs in anew when the hour is over; nobody keeps this one.
    await revokeToken(request.ctx, { refreshToken })
    return { token: accessToken, seconds: expiresIn }
  }

  app.post(`${BOARD}/sign-out`, { schema: { hide: true } }, (_request, reply) =>
    reply.clearCookie(COOKIE, { path: BOARD }).redirect(`${BOARD}/sign-in`, 303)
  )

  await app.register(async (board) => {
    board.addHook('onRequest', async (request, reply) => {
      if ((await administratorOf(request, reply)) === undefined) return reply
    })
    board.addHook('preHandler', async (request) => {
      if (!isWrite(request)) return
      const { queueName, jobId, queueStatus } = request.params as Record<string, string | undefined>
      const path = request.url.slice(BOARD.length)
      await recordAudit(request.ctx, 'queue.changed', `queue:${queueName ?? '*'}`, { method: request.method, path })
      const { url = '' } = request.routeOptions
      const of = queue.queues.find(({ name }) => name === queueName)
      if (of === undefined) return
      if (url.endsWith('/:jobId/retry')) {
        const job = jobId === undefined ? undefined : await of.getJob(jobId)
        if (job !== undefined && (await job.getState()) === 'failed') await reopenRuns(request.ctx, [job])
      } else if (url.endsWith('/retry/:queueStatus') && queueStatus === 'failed') {
        await reopenRuns(
          request.ctx,
          (await of.getJobs(['failed'])).filter((job) => job !== undefined)
        )
      }
    })

    board.get(`${BOARD}/sign-out`, { schema: { hide: true } }, (request, reply) =>
      reply.type('text/html; charset=utf-8').send(signOutPage(request.ctx.actor))
    )

    const adapter = new FastifyAdapter()
    createBullBoard({
      queues: queue.queues.map((shown) => new BullMQAdapter(shown, { description: DESCRIPTIONS[shown.name] ?? '' })),
      serverAdapter: adapter,
      options: {
        uiConfig: {
          boardTitle: 'bincard',
          hideDocsLink: true,
          miscLinks: [{ text: '退出登录 Sign out', url: `${BOARD}/sign-out` }]
        }
      }
    })
    adapter.setBasePath(BOARD).setErrorHandler((error) => {
      const refusal = refusalOf(error)
      if (refusal.status >= 500) app.log.error({ err: error }, 'the job board failed')
      // The library's types name some codes; it sends any.
      return { status: refusal.status as 500, body: problemOf(refusal, BOARD) }
    })
    await board.register(adapter.registerPlugin(), { prefix: BOARD })
  })
}

const isWrite = ({ method }: FastifyRequest): boolean => method !== 'GET' && method !== 'HEAD'

/** Whether a page of this very origin sent the request; the cookie's SameSite already keeps other sites out. */
function comesFromHere({ headers, host }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin'
  const { origin } = headers
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host
}

function refusalOf(error: Error): Refusal {
  if (error instanceof Refusal) return error
  const { statusCode = 500 } = error as { statusCode?: number }
  if (statusCode < 500) return new Refusal('BadRequest', statusCode, error.message)
  return databaseIsAway(error) || error.name === 'MaxRetriesPerRequestError'
    ? new Refusal('QueueUnavailable', 503, 'the queue does not answer at the moment, try again in a few seconds')
    : new Refusal('InternalError', 500, 'something went wrong here; the log has the details')
}
