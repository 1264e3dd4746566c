import type { Context } from './actor.ts'

export const ISSUER = 'bincard'

export interface AccessClaims {
  sub: string
  iss: string
  /** Seconds since 1970 by the service's clock. */
  iat: number
  exp: number
}

/** What an access token of this service says: who, and until when. Rights are looked up, never carried. */
export function accessClaims({ clock, config }: Pick<Context, 'clock' | 'config'>, personId: number): AccessClaims {
  const now = Math.floor(clock.now().epochMilliseconds / 1000)
  return { sub: String(personId), iss: ISSUER, iat: now, exp: now + config.ACCESS_TOKEN_MINUTES * 60 }
}
