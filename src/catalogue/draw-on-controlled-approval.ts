import type { EntityManager } from '@mikro-orm/postgresql'
import { run, statement } from '../platform/database.ts'

// One conditional update: of two that want the last of it, one waits, sees what is left and draws nothing.
const DRAW = statement<{ left: string }>(`
update controlled_approval
   set used = used + $2
 where id = $1 and used + $2 <= quantity and valid_from <= $3 and valid_to >= $3
returning (quantity - used)::text as left`)

/**
 * Takes a quantity, in stock units, from an approval, in the transaction of the order or request it allows (R-CAT-2).
 * @returns what is left of it; undefined if it does not cover the quantity on that day, and then nothing was taken
 */
export async function drawOnControlledApproval(
  em: EntityManager,
  id: number,
  quantity: string,
  on: string
): Promise<string | undefined> {
  const [drawn] = await run(em, DRAW, [id, quantity, on])
  return drawn?.left
}

const GIVE_BACK = statement<never>(`update controlled_approval set used = used - $2 where id = $1`)

/** Gives back what was drawn for an order or request that came to nothing, in the transaction that drops it. */
export async function giveBackToControlledApproval(em: EntityManager, id: number, quantity: string): Promise<void> {
  await run(em, GIVE_BACK, [id, quantity])
}
