import type { Context } from './actor.ts'
import { endFamily, refreshTokenHash } from './refresh-tokens.ts'
import { run, statement } from '../platform/database.ts'

const FAMILY = statement<{ family: string }>(`select family from refresh_token where token_hash = $1`)

/** Signs out: ends the sign-in a refresh token belongs to. An unknown token is no news to anybody and is passed over. */
export async function revokeToken(ctx: Context, { refreshToken }: { refreshToken: string }): Promise<void> {
  const [token] = await run(ctx.em, FAMILY, [refreshTokenHash(refreshToken)])
  if (token !== undefined) await endFamily(ctx, token.family)
}
