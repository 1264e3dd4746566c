import type { Context } from './actor.ts'

export const ISSUER = 'bincard'

export interface AccessClaims {
  sub: string
  iss: string
  /** Seconds since 1970 by the service's clock. */
  iat: number
  /** Milliseconds since 1970: `iat` is too coarse to tell a token from the one that replaced it a moment later. */
  at: number
  exp: number
}

/** What an access token of this service says: who, and until when. Rights are looked up, never carried. */
export function accessClaims(
  { clock, config }: Pick<Context, 'clock'> & { config: Pick<Context['config'], 'ACCESS_TOKEN_MINUTES'> },
  personId: number
): AccessClaims {
  const at = clock.now().epochMilliseconds
  const now = Math.floor(at / 1000)
  return { sub: String(personId), iss: ISSUER, iat: now, at, exp: now + config.ACCESS_TOKEN_MINUTES * 60 }
}
