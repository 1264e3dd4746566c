import { randomBytes } from 'node:crypto'
import type { Context } from './actor.ts'
import { hashSecret } from './directory.ts'
import { run, statement } from '../platform/database.ts'

// A refresh token is good once. Each use gives the next one of the same family; a token that comes a second time
// was copied by somebody, and nobody can tell which of the two is the thief, so the whole family ends.

export interface RefreshToken {
  refreshToken: string
  /** Seconds. */
  refreshExpiresIn: number
}

const PREFIX = 'bcr_'

export const refreshTokenHash = (token: string): string => hashSecret(token).toString('hex')

const ISSUE = statement<never>(`
insert into refresh_token (token_hash, person_id, family, issued_at, expires_at) values ($1, $2, $3, $4, $5)`)

export async function issueRefreshToken(ctx: Context, personId: number, family: string): Promise<RefreshToken> {
  const refreshToken = PREFIX + randomBytes(32).toString('base64url')
  const now = ctx.clock.now()
  const refreshExpiresIn = ctx.config.REFRESH_TOKEN_DAYS * 86_400
  await run(ctx.em, ISSUE, [
    refreshTokenHash(refreshToken),
    personId,
    family,
    now.toString(),
    now.add({ seconds: refreshExpiresIn }).toString()
  ])
  return { refreshToken, refreshExpiresIn }
}

const END_SESSIONS = statement<never>(
  `update refresh_token set revoked_at = $2 where person_id = $1 and revoked_at is null`
)

/** Ends every sign-in of a person: refresh tokens and access tokens. The caller tells `identityChanged`. */
export async function endSessions(ctx: Context, personId: number): Promise<void> {
  await run(ctx.em, END_SESSIONS, [personId, ctx.clock.now().toString()])
  await refuseAccessTokens(ctx, personId)
}

const REFUSE_OLDER = statement<never>(`update person set tokens_valid_from = $2 where id = $1`)

/** Refuses the access tokens a person was given until now. The caller tells `identityChanged`. */
export async function refuseAccessTokens(ctx: Context, personId: number): Promise<void> {
  await run(ctx.em, REFUSE_OLDER, [personId, ctx.clock.now().toString()])
}

const END_FAMILY = statement<never>(`update refresh_token set revoked_at = $2 where family = $1 and revoked_at is null`)

/** Revokes one sign-in with everything that was rotated from it. */
export async function endFamily(ctx: Context, family: string): Promise<void> {
  await run(ctx.em, END_FAMILY, [family, ctx.clock.now().toString()])
}

const PURGE = statement<{ purged: string }>(`
with gone as (delete from refresh_token where expires_at < $1 returning 1)
select count(*)::text as purged from gone`)

/** Deletes refresh tokens that expired a day ago or earlier. @returns how many */
export async function purgeRefreshTokens(ctx: Context): Promise<number> {
  const [row] = await run(ctx.em, PURGE, [ctx.clock.now().subtract({ hours: 24 }).toString()])
  return Number(row?.purged ?? 0)
}
