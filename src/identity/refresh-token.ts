import type { Context } from './actor.ts'
import { recordAudit } from './audit.ts'
import { requirePasswordSignIn, tokenView, type Mint } from './create-token.ts'
import { actingAs, directoryOf, identityChanged } from './directory.ts'
import type { TokenView } from './identity.schemas.ts'
import { endFamily, issueRefreshToken, refreshTokenHash, refuseAccessTokens } from './refresh-tokens.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

// The update is the judge: of two requests with the same token one finds it unused.
const USE = statement<{ personId: number; family: string }>(`
update refresh_token set used_at = $2 where token_hash = $1 and used_at is null and revoked_at is null and expires_at > $2
returning person_id as "personId", family`)

const SPENT = statement<{ personId: number; family: string }>(`
select person_id as "personId", family from refresh_token where token_hash = $1 and used_at is not null and revoked_at is null`)

/**
 * Gives a new access token and the next refresh token. A refresh token that was used before ends the sign-in it belongs to,
 * and the access tokens of the person.
 * @throws Refusal 401 `RefreshTokenInvalid`
 */
export async function refreshToken(
  ctx: Context,
  { refreshToken: token }: { refreshToken: string },
  mint: Mint
): Promise<TokenView> {
  requirePasswordSignIn(ctx)
  const view = await inTransaction(ctx, async (ctx) => {
    const hash = refreshTokenHash(token)
    const [used] = await run(ctx.em, USE, [hash, ctx.clock.now().toString()])
    const [spent] = used === undefined ? await run(ctx.em, SPENT, [hash]) : []
    const found = used ?? spent
    const person = found === undefined ? undefined : await directoryOf(ctx.em).person(ctx.em, found.personId)
    if (used !== undefined && person?.active && !person.locked)
      return tokenView(ctx, person.id, await issueRefreshToken(ctx, person.id, used.family), mint)
    if (found !== undefined && person !== undefined) {
      await endFamily(ctx, found.family)
      if (spent !== undefined) {
        // Which access token is whose nobody can tell. Other sign-ins get a new one for their refresh token.
        await refuseAccessTokens(ctx, person.id)
        await identityChanged(ctx)
        ctx.log.warn({ personId: person.id }, 'a refresh token came a second time; its sign-in was ended')
        await recordAudit(actingAs(ctx, person.actor), 'person.refresh-token-reused', `person:${person.username}`)
      }
    }
    return undefined
  })
  // Only now, so that the end of the family is not undone with the refusal.
  if (view === undefined)
    throw new Refusal(
      'RefreshTokenInvalid',
      401,
      'this refresh token is unknown, used, revoked or expired; sign in again'
    )
  return view
}
