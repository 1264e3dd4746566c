import { requireDutyEverywhere, type Context } from './actor.ts'
import { requireAnotherAdministrator } from './administrators.ts'
import { recordAudit } from './audit.ts'
import { identityChanged } from './directory.ts'
import { publishPerson } from './duty-events.ts'
import { personView } from './identity.queries.ts'
import type { PersonView } from './identity.schemas.ts'
import { throughLeavingGate } from './leaving-gate.ts'
import { endSessions } from './refresh-tokens.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'

export interface UpdatePerson {
  username: string
  name?: string | undefined
  language?: 'zh' | 'en' | undefined
  email?: string | null | undefined
  active?: boolean | undefined
}

const UPDATE = statement<{ id: number }>(`
update person
   set name = coalesce($2, name), language = coalesce($3, language), email = case when $4::boolean then $5 else email end, active = coalesce($6, active)
 where username = $1 and id <> 0
returning id`)

/**
 * Changes name, language, e-mail address, or whether the person may act at all. An inactive person is refused from the next
 * request on, with every token and key. For administrators everywhere, in person.
 * @throws Refusal 403 `PersonRequired`, 409 `LastAdministrator`, or what the leaving gate says (R-ORG-3, R-TOOL-3)
 */
export async function updatePerson(
  ctx: Context,
  { username, name, language, email, active }: UpdatePerson
): Promise<PersonView> {
  requireDutyEverywhere(ctx, 'administrator')
  requirePerson(ctx)
  return inTransaction(ctx, async (ctx) => {
    const [person] = await throughLeavingGate(ctx, () =>
      run(ctx.em, UPDATE, [
        username,
        name?.trim() ?? null,
        language ?? null,
        email !== undefined,
        email ?? null,
        active ?? null
      ])
    )
    if (person === undefined) throw notFound('person', username)
    if (active === false) {
      await requireAnotherAdministrator(ctx)
      await endSessions(ctx, person.id)
    }
    await recordAudit(ctx, active === false ? 'person.deactivated' : 'person.updated', `person:${username}`, {
      name,
      language,
      email,
      active
    })
    if (active !== undefined)
      await publishPerson(ctx, active ? 'person.activated' : 'person.deactivated', { id: person.id, username })
    await identityChanged(ctx)
    return personView(ctx, username)
  })
}
