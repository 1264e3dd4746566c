import { requireDutyEverywhere, type Context } from './actor.ts'
import { recordAudit } from './audit.ts'
import { identityChanged } from './directory.ts'
import { readApiKey } from './identity.queries.ts'
import type { ApiKeyView } from './identity.schemas.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

const REVOKE = statement<{ id: string }>(`
update api_key set revoked_at = $2, revoked_by = $3 where id = $1 and revoked_at is null returning id`)

/**
 * Revokes a key: it is refused from the next request on. By the person it acts for, or by an administrator.
 * @throws Refusal 404 also for a foreign key, 409 `ApiKeyRevoked`
 */
export async function revokeApiKey(ctx: Context, { id }: { id: string }): Promise<ApiKeyView> {
  return inTransaction(ctx, async (ctx) => {
    const { person, name } = await readApiKey(ctx, { id })
    if (person === ctx.actor.username) requirePerson(ctx)
    else requireDutyEverywhere(ctx, 'administrator')
    const [revoked] = await run(ctx.em, REVOKE, [id, ctx.clock.now().toString(), ctx.actor.personId])
    if (revoked === undefined) throw new Refusal('ApiKeyRevoked', 409, `key ${id} was revoked already`)
    await recordAudit(ctx, 'api-key.revoked', `api-key:${id}`, { name, person })
    await identityChanged(ctx)
    return readApiKey(ctx, { id })
  })
}
