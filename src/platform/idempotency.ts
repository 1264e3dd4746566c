import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import fp from 'fastify-plugin'
import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { inTransaction, type Context } from './context.ts'
import { run, statement } from './database.ts'
import { problemOf, Refusal } from './errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The answer holds a secret that is shown once: a repeat is refused instead of answered, and nothing of it is stored. */
    secretAnswer?: boolean
  }
}

interface Stored {
  requestHash: string
  status: number | null
  headers: Record<string, string> | null
  body: string | null
}

// The unique key makes a second request with the same key wait for the first one's transaction: it then finds the
// answer, or, if the first was rolled back, takes its place. A key older than 24 hours is as good as new (R-ERR-2).
const CLAIM = statement<{ claimed: boolean }>(`
insert into idempotency_key (actor, key, request_hash, claimed_at)
values ($1, $2, $3, $4)
on conflict (actor, key) do update
   set request_hash = excluded.request_hash, claimed_at = excluded.claimed_at, status = null, headers = null, body = null
 where idempotency_key.claimed_at < excluded.claimed_at - interval '24 hours'
returning true as claimed`)

const STORED = statement<Stored>(`
select request_hash as "requestHash", status, headers, body from idempotency_key where actor = $1 and key = $2`)

const ANSWER = statement<never>(`
update idempotency_key set status = $3, headers = $4::jsonb, body = $5 where actor = $1 and key = $2`)

const KEPT_HEADERS = ['etag', 'location', 'content-type'] as const

/**
 * Every POST may carry an Idempotency-Key (R-ERR-2). The key and the answer are stored in the transaction of the effect:
 * either both are there or neither. A refusal undoes the effect and is stored on its own.
 * Requests without an actor (signing in) ignore the header.
 */
export const idempotency = fp<{ actorKey: (request: FastifyRequest) => string | undefined }>(
  async (app, { actorKey }) => {
    app.addHook('onRoute', (route) => {
      const methods = [route.method].flat()
      if (!methods.includes('POST')) return
      const handler = route.handler
      const secretAnswer = route.config?.secretAnswer === true
      route.handler = function (request, reply) {
        const key = request.headers['idempotency-key']
        const actor = key === undefined ? undefined : actorKey(request)
        if (key === undefined || actor === undefined) return handler.call(this, request, reply)
        return answerOnce(request, reply, handler.bind(this), { actor, key: String(key), secretAnswer })
      }
    })
  },
  { name: 'idempotency' }
)

async function answerOnce(
  request: FastifyRequest,
  reply: FastifyReply,
  handler: OmitThisParameter<RouteHandlerMethod>,
  { actor, key, secretAnswer }: { actor: string; key: string; secretAnswer: boolean }
) {
  if (key.length > 200 || key.trim() === '') {
    throw new Refusal('IdempotencyKeyInvalid', 400, 'an Idempotency-Key has 1 to 200 characters, such as a UUID')
  }
  const ctx: Context = request.ctx
  const requestHash = createHash('sha256')
    .update(`${request.method} ${request.url}\n${canonicalize(request.body ?? null)}`)
    .digest('hex')
  const now = ctx.clock.now().toString()
  try {
    const answer = await inTransaction(ctx, async (inner) => {
      const [claim] = await run(inner.em, CLAIM, [actor, key, requestHash, now])
      if (claim === undefined) {
        const [stored] = await run(inner.em, STORED, [actor, key])
        if (stored === undefined)
          throw new Refusal('IdempotencyKeyBusy', 409, 'this Idempotency-Key is being cleared; send the request again')
        return { stored, body: null }
      }
      request.ctx = inner as typeof request.ctx
      const payload: unknown = await handler(request, reply)
      const body = payload === undefined || payload === null ? null : reply.serialize(payload)
      const headers = Object.fromEntries(
        KEPT_HEADERS.flatMap((name) => (reply.hasHeader(name) ? [[name, String(reply.getHeader(name))]] : []))
      )
      await run(inner.em, ANSWER, [actor, key, reply.statusCode, JSON.stringify(headers), secretAnswer ? null : body])
      return { stored: undefined, body: typeof body === 'string' ? body : null }
    })
    if (answer.stored !== undefined) return replay(reply, answer.stored, requestHash, secretAnswer)
    return send(reply, answer.body)
  } catch (error) {
    if (error instanceof Refusal && isKept(error))
      await keepRefusal(ctx, error, request, { actor, key, requestHash, now })
    throw error
  } finally {
    request.ctx = ctx as typeof request.ctx
  }
}

const isKept = ({ status, code }: Refusal): boolean =>
  status >= 400 && status < 500 && status !== 401 && status !== 429 && !code.startsWith('Idempotency')

function send(reply: FastifyReply, body: string | null) {
  if (body === null) return reply.send()
  if (!reply.hasHeader('content-type')) reply.type('application/json; charset=utf-8')
  return reply.send(body)
}

function replay(reply: FastifyReply, stored: Stored, requestHash: string, secretAnswer: boolean) {
  if (stored.requestHash !== requestHash) {
    throw new Refusal(
      'IdempotencyKeyReused',
      422,
      'this Idempotency-Key was used for another request within the last 24 hours; use a new key for a new request'
    )
  }
  if (secretAnswer && stored.status !== null && stored.status < 300) {
    throw new Refusal(
      'SecretShownOnce',
      409,
      'this request was carried out and its secret shown once; make a new one if the answer was lost'
    )
  }
  reply.code(stored.status ?? 200).header('idempotent-replayed', 'true')
  for (const [name, value] of Object.entries(stored.headers ?? {})) reply.header(name, value)
  return send(reply, stored.body)
}

async function keepRefusal(
  ctx: Context,
  refusal: Refusal,
  request: FastifyRequest,
  { actor, key, requestHash, now }: { actor: string; key: string; requestHash: string; now: string }
) {
  const problem = JSON.stringify(problemOf(refusal, request.url.split('?', 1)[0] ?? request.url))
  await ctx.em.fork().transactional(async (em) => {
    const [claim] = await run(em, CLAIM, [actor, key, requestHash, now])
    if (claim === undefined) return
    await run(em, ANSWER, [
      actor,
      key,
      refusal.status,
      JSON.stringify({ 'content-type': 'application/problem+json; charset=utf-8' }),
      problem
    ])
  })
}
