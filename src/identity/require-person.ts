import type { Context } from './actor.ts'
import { Refusal } from '../platform/errors.ts'

/**
 * For what people do about themselves without any duty: passwords, standing in, keys of their own. A key that could do it
 * would outlive its own revocation.
 * @throws Refusal 403 `PersonRequired`
 */
export function requirePerson(ctx: Context): void {
  if (ctx.actor.isMachine) throw new Refusal('PersonRequired', 403, 'an API key may not do this; sign in as the person')
}
