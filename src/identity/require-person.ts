import type { Context } from './actor.ts'
import { Refusal } from '../platform/errors.ts'

/**
 * For what decides who may act: people, duties, standing in, passwords, keys. A key that could do it would outlive its own
 * revocation through whom it appointed. The service itself may: it makes the first administrator and the sample.
 * @throws Refusal 403 `PersonRequired`
 */
export function requirePerson(ctx: Context): void {
  if (ctx.actor.isMachine && ctx.actor.key !== 'system')
    throw new Refusal('PersonRequired', 403, 'an API key may not do this; sign in as the person')
}
