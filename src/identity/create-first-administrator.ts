import type { Context } from './actor.ts'
import { hasAdministrator } from './administrators.ts'
import { assignDuty } from './assign-duty.ts'
import { createPerson } from './create-person.ts'
import { actingAs, systemActor } from './directory.ts'
import type { PersonView } from './identity.schemas.ts'
import { inTransaction } from '../platform/context.ts'
import { Refusal } from '../platform/errors.ts'

/**
 * Creates the person who can appoint all others, from the command line. Whoever can reach the database may call it, whatever the actor.
 * @throws Refusal 409 `AdministratorExists`
 */
export function createFirstAdministrator(
  ctx: Context,
  { username, password, name = username }: { username: string; password: string; name?: string | undefined }
): Promise<PersonView & { id: number }> {
  return inTransaction(actingAs(ctx, systemActor), async (ctx) => {
    if (await hasAdministrator(ctx))
      throw new Refusal(
        'AdministratorExists',
        409,
        'there is already an administrator; ask them to appoint another one'
      )
    const person = await createPerson(ctx, { username, name, password })
    await assignDuty(ctx, { username, duty: 'administrator' })
    return person
  })
}
