import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTVerifyGetKey } from 'jose'
import { LRUCache } from 'lru-cache'
import { Refusal } from '../platform/errors.ts'
import type { Runtime } from '../platform/context.ts'

// Tokens of an OpenID Connect issuer. Keys come from its JWKS; who it is, is told by `preferred_username`, else `sub`.

/** The audience a token must carry where OIDC_AUDIENCE is not set: a token made for another service is never good here. */
const DEFAULT_AUDIENCE = 'bincard'

/** Asymmetric only: with a shared secret the issuer's public key could be misused as one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

const DISCOVERY_LIMIT_MS = 5_000
const CACHED_TOKENS = 20_000
/** A token is checked again after this time, so that a key which the issuer withdrew does not stay good. */
const CACHED_FOR_MS = 300_000

interface Verified {
  username: string
  /** Milliseconds since 1970. */
  notBefore: number
  expiresAt: number
}

/** Answers the user name a token of the issuer stands for. */
export type VerifyOidcToken = (token: string) => Promise<string>

export function oidcVerifier({ clock, config }: Pick<Runtime, 'clock' | 'config'>, issuer: string): VerifyOidcToken {
  const verified = new LRUCache<string, Verified>({ max: CACHED_TOKENS, ttl: CACHED_FOR_MS })
  let keys: Promise<JWTVerifyGetKey> | undefined

  const getKeys = (): Promise<JWTVerifyGetKey> => {
    const discovery = (keys ??= discover(issuer))
    // A failed attempt is not remembered: the issuer may be back for the next request.
    discovery.catch(() => {
      if (keys === discovery) keys = undefined
    })
    return discovery
  }

  return async (token) => {
    const now = clock.now().epochMilliseconds
    const known = verified.get(token)
    if (known !== undefined && known.notBefore <= now && now < known.expiresAt) return known.username
    requireTokenOf(issuer, token)
    try {
      const { payload } = await jwtVerify(token, await getKeys(), {
        issuer,
        audience: config.OIDC_AUDIENCE ?? DEFAULT_AUDIENCE,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp'],
        currentDate: new Date(now)
      })
      const name = payload['preferred_username'] ?? payload.sub
      if (typeof name !== 'string' || name === '')
        throw new Refusal('TokenInvalid', 401, 'the token names nobody: it has neither preferred_username nor sub')
      const username = name.toLowerCase()
      verified.set(token, { username, notBefore: (payload.nbf ?? 0) * 1000, expiresAt: (payload.exp ?? 0) * 1000 })
      return username
    } catch (error) {
      throw refusalOf(error)
    }
  }
}

/**
 * Refuses what cannot be a token of the issuer, whoever signed it, without asking the issuer: garbage is refused all the same
 * while it is away.
 * @throws Refusal 401 `TokenInvalid`
 */
function requireTokenOf(issuer: string, token: string): void {
  let isJwt = true
  let said: unknown
  try {
    isJwt = ALGORITHMS.includes(decodeProtectedHeader(token).alg ?? '')
    said = decodeJwt(token).iss
  } catch {
    isJwt = false
  }
  if (isJwt && said === issuer) return
  throw new Refusal(
    'TokenInvalid',
    401,
    `the access token is not one of ${issuer}${isJwt ? ': its claim iss is not right' : ''}; get one there`
  )
}

async function discover(issuer: string): Promise<JWTVerifyGetKey> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const response = await fetch(url, {
    signal: AbortSignal.timeout(DISCOVERY_LIMIT_MS),
    headers: { accept: 'application/json' }
  })
  if (!response.ok) throw new Error(`${url} answers ${response.status}`)
  const document = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown }
  if (document.issuer !== issuer)
    throw new Error(`${url} speaks for the issuer ${JSON.stringify(document.issuer)}, not for ${issuer}`)
  if (typeof document.jwks_uri !== 'string') throw new Error(`${url} names no jwks_uri`)
  return createRemoteJWKSet(new URL(document.jwks_uri), { timeoutDuration: DISCOVERY_LIMIT_MS })
}

function refusalOf(error: unknown): unknown {
  if (error instanceof Refusal) return error
  if (error instanceof errors.JWTExpired)
    return new Refusal('TokenExpired', 401, 'the access token has expired; get a new one from the issuer')
  if (error instanceof errors.JWTClaimValidationFailed)
    return new Refusal(
      'TokenInvalid',
      401,
      `the access token is not for this service: its claim ${error.claim} is not right`
    )
  // What jose fails with when the issuer does not answer as it should is a JOSEError too.
  const isTheToken =
    error instanceof errors.JOSEError &&
    !(error instanceof errors.JWKSTimeout) &&
    !(error instanceof errors.JWKSInvalid) &&
    error.code !== 'ERR_JOSE_GENERIC'
  if (isTheToken)
    return new Refusal('TokenInvalid', 401, 'the access token is not one of the issuer; get a new one there')
  return Object.assign(
    new Refusal('IssuerUnavailable', 503, 'the OpenID Connect issuer does not answer; try again in a few seconds', {
      retryAfterSeconds: 5
    }),
    { cause: error }
  )
}
