import { requireDutyEverywhere, type Context } from './actor.ts'
import { requireAnotherAdministrator } from './administrators.ts'
import { recordAudit } from './audit.ts'
import { identityChanged } from './directory.ts'
import { publishPerson } from './duty-events.ts'
import { personView } from './identity.queries.ts'
import type { PersonView } from './identity.schemas.ts'
import { lockPerson } from './lock-person.ts'
import { endSessions } from './refresh-tokens.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

// Whoever has the password has it still when the account is unlocked.
const LOCK = statement<{ id: number }>(`
update person set locked_at = $2, locked_because = $3, password_hash = null where id = $1 and locked_at is null returning id`)

// A thief may have issued them.
const REVOKE_KEYS = statement<{ id: string }>(`
update api_key set revoked_at = $2, revoked_by = $3 where person_id = $1 and revoked_at is null returning id`)

const UNLOCK = statement<{ id: number }>(`
update person set locked_at = null, locked_because = null where id = $1 and locked_at is not null returning id`)

/**
 * Cuts an account off at once, e.g. one that was stolen: sign-ins, access tokens, tokens of the issuer and API keys are refused from the next request on,
 * the keys for good, and the password is forgotten. It ends no duty, so no handover and no return of tools has to come first (R-ORG-3, R-TOOL-3):
 * what the person answers for stays theirs. Who stands in for them goes on. For administrators everywhere, in person.
 * @throws Refusal 404, 403 `PersonRequired`, 409 `PersonLockedAlready`, `LastAdministrator`
 */
export async function lockAccount(
  ctx: Context,
  { username, reason }: { username: string; reason: string }
): Promise<PersonView> {
  requireDutyEverywhere(ctx, 'administrator')
  requirePerson(ctx)
  return inTransaction(ctx, async (ctx) => {
    const person = await lockPerson(ctx, username)
    const now = ctx.clock.now().toString()
    const [locked] = await run(ctx.em, LOCK, [person.id, now, reason])
    if (locked === undefined)
      throw new Refusal('PersonLockedAlready', 409, `${username} is locked already; nothing of the account is accepted`)
    const keys = await run(ctx.em, REVOKE_KEYS, [person.id, now, ctx.actor.personId])
    await endSessions(ctx, person.id)
    await requireAnotherAdministrator(ctx)
    await recordAudit(ctx, 'person.locked', `person:${username}`, { reason, revokedKeys: keys.map(({ id }) => id) })
    await publishPerson(ctx, 'person.locked', { id: person.id, username })
    await identityChanged(ctx)
    return personView(ctx, username)
  })
}

/**
 * Accepts an account again that was locked. It has neither password nor API keys: give it new ones. For administrators everywhere, in person.
 * @throws Refusal 404, 403 `PersonRequired`, 409 `PersonNotLocked`
 */
export async function unlockAccount(ctx: Context, { username }: { username: string }): Promise<PersonView> {
  requireDutyEverywhere(ctx, 'administrator')
  requirePerson(ctx)
  return inTransaction(ctx, async (ctx) => {
    const person = await lockPerson(ctx, username)
    const [unlocked] = await run(ctx.em, UNLOCK, [person.id])
    if (unlocked === undefined) throw new Refusal('PersonNotLocked', 409, `${username} is not locked`)
    await recordAudit(ctx, 'person.unlocked', `person:${username}`)
    await publishPerson(ctx, 'person.unlocked', { id: person.id, username })
    await identityChanged(ctx)
    return personView(ctx, username)
  })
}
