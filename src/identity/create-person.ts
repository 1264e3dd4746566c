import { requireDutyEverywhere, type Context } from './actor.ts'
import { recordAudit } from './audit.ts'
import { identityChanged } from './directory.ts'
import { personView } from './identity.queries.ts'
import type { PersonView } from './identity.schemas.ts'
import { checkPassword, GIVEN_PASSWORD_MINIMUM, hashPassword } from './passwords.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

export interface CreatePerson {
  username: string
  name: string
  language?: 'zh' | 'en' | undefined
  email?: string | null | undefined
  /** At least eight characters; not offered over HTTP, where it is set by its own operation. */
  password?: string | undefined
  /** Made by `hashPassword`, so that many accounts with one password cost one hash. */
  passwordHash?: string | undefined
}

const CREATE = statement<{ id: number }>(`
insert into person (username, name, language, email, password_hash, created_at, created_by) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (username) do nothing
returning id`)

export const USERNAME_PATTERN = /^[a-z0-9][a-z0-9._@-]{1,59}$/

/**
 * Adds a person without any duty. For administrators everywhere, in person.
 * @throws Refusal 403 `PersonRequired`, 409 `UsernameTaken`, 422 `UsernameMalformed`, `PasswordTooShort`
 */
export async function createPerson(
  ctx: Context,
  { username, name, language = 'zh', email = null, password, passwordHash }: CreatePerson
): Promise<PersonView & { id: number }> {
  requireDutyEverywhere(ctx, 'administrator')
  requirePerson(ctx)
  if (!USERNAME_PATTERN.test(username)) {
    throw new Refusal(
      'UsernameMalformed',
      422,
      `a user name has 2 to 60 lower-case letters, digits, dots, dashes, underscores or @ and begins with a letter or digit; "${username}" does not`
    )
  }
  if (password !== undefined) checkPassword(password, GIVEN_PASSWORD_MINIMUM)
  const hash = passwordHash ?? (password === undefined ? null : await hashPassword(password))
  return inTransaction(ctx, async (ctx) => {
    const [created] = await run(ctx.em, CREATE, [
      username,
      name.trim(),
      language,
      email,
      hash,
      ctx.clock.now().toString(),
      ctx.actor.personId
    ])
    if (created === undefined)
      throw new Refusal('UsernameTaken', 409, `there is already a person called ${username}; choose another user name`)
    await recordAudit(ctx, 'person.created', `person:${username}`, {
      name,
      language,
      email,
      hasPassword: hash !== null,
      lockedAt: null,
      lockedBecause: null
    })
    await identityChanged(ctx)
    return { ...(await personView(ctx, username)), id: created.id }
  })
}
