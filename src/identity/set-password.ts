import { requireDutyEverywhere, type Context } from './actor.ts'
import { recordAudit } from './audit.ts'
import { identityChanged, SYSTEM_PERSON_ID } from './directory.ts'
import { checkPassword, hashPassword, verifyPassword } from './passwords.ts'
import { endSessions } from './refresh-tokens.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'

const SET = statement<{ id: number }>(
  `update person set password_hash = $2 where username = $1 and id <> ${SYSTEM_PERSON_ID} returning id`
)

/** Gives a person a new password and ends all of their sign-ins. For administrators everywhere, in person. */
export async function setPassword(
  ctx: Context,
  { username, password }: { username: string; password: string }
): Promise<void> {
  requireDutyEverywhere(ctx, 'administrator')
  requirePerson(ctx)
  checkPassword(password)
  await store(ctx, username, password, 'person.password-set')
}

const CURRENT = statement<{ passwordHash: string | null }>(
  `select password_hash as "passwordHash" from person where id = $1 and active`
)

/**
 * Changes one's own password and ends all of one's sign-ins, this one too.
 * @throws Refusal 422 `CredentialsWrong` for a wrong current password, `PasswordTooShort`, `PasswordUnchanged`
 */
export async function changePassword(
  ctx: Context,
  { currentPassword, newPassword }: { currentPassword: string; newPassword: string }
): Promise<void> {
  requirePerson(ctx)
  checkPassword(newPassword)
  const [person] = await run(ctx.em, CURRENT, [ctx.actor.personId])
  if (!(await verifyPassword(currentPassword, person?.passwordHash)))
    throw new Refusal('CredentialsWrong', 422, 'the current password is not right')
  if (currentPassword === newPassword)
    throw new Refusal('PasswordUnchanged', 422, 'the new password is the old one; choose another')
  await store(ctx, ctx.actor.username, newPassword, 'person.password-changed')
}

async function store(ctx: Context, username: string, password: string, action: string): Promise<void> {
  const hash = await hashPassword(password)
  await inTransaction(ctx, async (ctx) => {
    const [person] = await run(ctx.em, SET, [username, hash])
    if (person === undefined) throw notFound('person', username)
    await endSessions(ctx, person.id)
    await recordAudit(ctx, action, `person:${username}`)
    await identityChanged(ctx)
  })
}
