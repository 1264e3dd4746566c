import { randomBytes } from 'node:crypto'
import jwt from '@fastify/jwt'
import fp from 'fastify-plugin'
import type { EntityManager } from '@mikro-orm/postgresql'
import type { FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { ISSUER, type AccessClaims } from './access-token.ts'
import type { Actor } from './actor.ts'
import { actorOfKey, anonymousActor, directoryOf, listenForChanges, type CachedPerson } from './directory.ts'
import { oidcVerifier } from './oidc.ts'
import { addRateLimits } from './rate-limits.ts'
import { openContext, type Runtime } from '../platform/context.ts'
import { Refusal } from '../platform/errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Needs no credentials; the actor is anonymous. */
    public?: boolean
  }
  interface FastifyInstance {
    /** Who a request speaks for now, by its own credentials: for answers that outlast an instant. @throws Refusal 401 */
    actorAgain(request: FastifyRequest): Promise<Actor>
    /** Who an access token speaks for, where it comes by another way than the header. @throws Refusal 401 */
    actorOfToken(request: FastifyRequest, token: string): Promise<Actor>
  }
}

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: AccessClaims
    user: AccessClaims
  }
}

const DOCUMENTATION = /^\/(docs|openapi\.json)(\/|$)/
const CACHED_TOKENS = 20_000

/**
 * Gives every request its context: who acts is told by an access token, a token of the OpenID Connect issuer or an API key.
 * An own access token whose person is cached is recognised without waiting and without a question to the database.
 */
export const authentication = fp<{ runtime: Runtime }>(
  async (app, { runtime }) => {
    const { clock, config, database } = runtime
    const directory = directoryOf(database.orm.em)
    const issuesTokens = config.JWT_SECRET !== undefined || config.OIDC_ISSUER === undefined
    const verifyOidc = config.OIDC_ISSUER === undefined ? undefined : oidcVerifier(runtime, config.OIDC_ISSUER)

    await app.register(jwt, {
      // Without a configured secret, on the embedded database only, tokens live as long as the process.
      secret: config.JWT_SECRET ?? randomBytes(48).toString('base64url'),
      sign: { algorithm: 'HS256' },
      // Expiry is checked here against the service's clock, also for tokens whose signature is cached.
      verify: {
        algorithms: ['HS256'],
        allowedIss: ISSUER,
        requiredClaims: ['iss', 'sub', 'at', 'exp'],
        ignoreExpiration: true
      }
    })
    // Tokens whose signature was found right. The library's own cache hashes a token each time it is looked up.
    const verified = new LRUCache<string, AccessClaims>({ max: CACHED_TOKENS })
    app.decorate('limits', await addRateLimits(app, runtime))
    app.decorateRequest('ctx', null as never)
    app.decorate('actorAgain', async (request) => recognise(request, credentialsOf(request)))
    app.decorate('actorOfToken', (request, token) => recognise(request, { token, apiKey: undefined }))

    let stopListening: (() => Promise<void>) | undefined
    app.addHook('onReady', async () => {
      stopListening = listenForChanges(runtime, app.log)
    })
    app.addHook('onClose', async () => stopListening?.())

    app.addHook('onRequest', (request, _reply, done) => {
      const enter = (actor: Actor) => {
        request.ctx = openContext(runtime, actor, request.log)
        done()
      }
      // An unknown path needs no credentials to be told that it is unknown.
      if (
        request.routeOptions.config.public === true ||
        request.is404 ||
        DOCUMENTATION.test(request.routeOptions.url ?? '')
      )
        return enter(anonymousActor)
      try {
        const credentials = credentialsOf(request)
        if (credentials.apiKey === undefined && verifyOidc === undefined) {
          const claims = verifyOwn(credentials.token)
          const person = directory.cached(Number(claims.sub))
          if (person !== undefined) return enter(requireCurrent(person, claims))
        }
        recognise(request, credentials).then(enter, done)
      } catch (error) {
        done(error as Error)
      }
    })

    async function recognise(request: FastifyRequest, { token, apiKey }: Credentials): Promise<Actor> {
      const em = database.orm.em.fork() as EntityManager
      if (apiKey !== undefined) return recogniseKey(request, em, apiKey)
      if (verifyOidc !== undefined && !(issuesTokens && isOwn(token))) {
        const username = await verifyOidc(token)
        return requireActive(
          (await directory.personCalled(em, username)) ??
            unknown(
              `the issuer's ${username} is not known here; an administrator creates a person of that user name first`
            )
        )
      }
      const claims = verifyOwn(token)
      return requireCurrent(
        (await directory.person(em, Number(claims.sub))) ?? unknown('the person of this access token does not exist'),
        claims
      )
    }

    async function recogniseKey(request: FastifyRequest, em: EntityManager, apiKey: string): Promise<Actor> {
      const [, id, secret] = /^bck_([0-9a-f]{12})_(.{20,100})$/.exec(apiKey) ?? []
      const key = id === undefined || secret === undefined ? undefined : await directory.key(em, id, secret)
      if (key === undefined) {
        await app.limits.countUnknownKey(request)
        throw new Refusal(
          'ApiKeyInvalid',
          401,
          'this API key is not known; a key looks like bck_<id>_<secret> and is sent as x-api-key'
        )
      }
      if (key.revoked) throw new Refusal('ApiKeyRevoked', 401, 'this API key was revoked; ask for a new one')
      const now = clock.now()
      if (key.expiresAt <= now.epochMilliseconds)
        throw new Refusal('ApiKeyExpired', 401, 'this API key has expired; ask for a new one')
      await app.limits.countKey(request, key)
      const person = await directory.person(em, key.personId)
      requireActive(person ?? unknown('the person of this API key does not exist'))
      await directory.noteUse(em, key, now)
      return actorOfKey(key, person as CachedPerson)
    }

    function verifyOwn(token: string): AccessClaims {
      let claims = verified.get(token)
      try {
        if (claims === undefined) verified.set(token, (claims = app.jwt.verify<AccessClaims>(token)))
      } catch {
        throw new Refusal(
          'TokenInvalid',
          401,
          'the access token is not one of this service; POST /v1/auth/tokens gives one'
        )
      }
      if (claims.exp * 1000 <= clock.now().epochMilliseconds) {
        throw new Refusal(
          'TokenExpired',
          401,
          'the access token has expired; POST /v1/auth/refresh gives a new one for the refresh token'
        )
      }
      return claims
    }

    function isOwn(token: string): boolean {
      try {
        return app.jwt.decode<AccessClaims>(token)?.iss === ISSUER
      } catch {
        return false
      }
    }
  },
  { name: 'authentication' }
)

interface Credentials {
  token: string
  apiKey: string | undefined
}

function credentialsOf({ headers }: FastifyRequest): Credentials {
  const apiKey = headers['x-api-key']
  if (typeof apiKey === 'string' && apiKey !== '') return { token: '', apiKey }
  const [, token] = /^bearer +([^\s]+)$/i.exec(headers.authorization ?? '') ?? []
  if (token === undefined) {
    throw new Refusal(
      'CredentialsRequired',
      401,
      'say who you are: an access token as "Authorization: Bearer …" (POST /v1/auth/tokens gives one) or an API key as "x-api-key: bck_…"'
    )
  }
  return { token, apiKey: token.startsWith('bck_') ? token : undefined }
}

function requireActive({ active, locked, actor, username }: CachedPerson): Actor {
  if (!active)
    throw new Refusal('PersonInactive', 401, `${username} is inactive; an administrator can activate the account`)
  if (locked) throw new Refusal('PersonLocked', 401, `${username} is locked; an administrator can unlock the account`)
  return actor
}

/** The actor of an access token of this service, unless all tokens of its time were withdrawn. */
function requireCurrent(person: CachedPerson, { at }: AccessClaims): Actor {
  const actor = requireActive(person)
  if (at < person.tokensValidFrom)
    throw new Refusal(
      'TokenWithdrawn',
      401,
      'the access token was withdrawn: the password was changed, or a refresh token was used twice; sign in again, or POST /v1/auth/refresh gives a new one to a sign-in that still holds'
    )
  return actor
}

function unknown(detail: string): never {
  throw new Refusal('PersonUnknown', 401, detail)
}
