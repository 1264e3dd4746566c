import type { Context } from './actor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'

const LOCK = statement<{ id: number; username: string; active: boolean }>(`
select id, username, active from person where username = $1 and id <> 0 for no key update`)

/**
 * Locks a person until the end of the transaction: two requests about the duties of one person queue, so that neither
 * overlooks what the other adds.
 * @throws Refusal 404
 */
export async function lockPerson(
  ctx: Context,
  username: string
): Promise<{ id: number; username: string; active: boolean }> {
  const [person] = await run(ctx.em, LOCK, [username])
  if (person === undefined) throw notFound('person', username)
  return person
}
