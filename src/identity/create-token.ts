import { randomUUID } from 'node:crypto'
import type { Context } from './actor.ts'
import { accessClaims, type AccessClaims } from './access-token.ts'
import { recordAudit } from './audit.ts'
import { actingAs, directoryOf } from './directory.ts'
import type { TokenView } from './identity.schemas.ts'
import { verifyPassword } from './passwords.ts'
import { issueRefreshToken } from './refresh-tokens.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

/** Signs the claims of an access token. */
export type Mint = (claims: AccessClaims) => string

const ACCOUNT = statement<{ id: number; passwordHash: string | null; active: boolean }>(`
select id, password_hash as "passwordHash", active from person where username = $1`)

/**
 * Signs a person in with a password. The answer and the time it takes are the same for an unknown person, a wrong password,
 * an account without a password, an inactive and a locked one.
 * @throws Refusal 401 `CredentialsWrong`, 403 `PasswordSignInDisabled`
 */
export async function createToken(
  ctx: Context,
  { username, password }: { username: string; password: string },
  mint: Mint
): Promise<TokenView> {
  requirePasswordSignIn(ctx)
  const [account] = await run(ctx.em, ACCOUNT, [username.trim().toLowerCase()])
  const isRight = await verifyPassword(password, account?.active ? account.passwordHash : null)
  const person = isRight && account !== undefined ? await directoryOf(ctx.em).person(ctx.em, account.id) : undefined
  if (person === undefined || !person.active || person.locked)
    throw new Refusal('CredentialsWrong', 401, 'user name or password is not right')
  return inTransaction(actingAs(ctx, person.actor), async (ctx) => {
    const refresh = await issueRefreshToken(ctx, person.id, randomUUID())
    await recordAudit(ctx, 'person.signed-in', `person:${person.username}`)
    return tokenView(ctx, person.id, refresh, mint)
  })
}

/** @throws Refusal 403 where people sign in at an OpenID Connect issuer only */
export function requirePasswordSignIn({ config }: Context): void {
  if (config.OIDC_ISSUER !== undefined && config.JWT_SECRET === undefined) {
    throw new Refusal(
      'PasswordSignInDisabled',
      403,
      `nobody signs in with a password here; get a token from ${config.OIDC_ISSUER} and send it as "Authorization: Bearer …"`
    )
  }
}

export const tokenView = (
  ctx: Context,
  personId: number,
  refresh: { refreshToken: string; refreshExpiresIn: number },
  mint: Mint
): TokenView => ({
  accessToken: mint(accessClaims(ctx, personId)),
  tokenType: 'Bearer',
  expiresIn: ctx.config.ACCESS_TOKEN_MINUTES * 60,
  ...refresh
})
