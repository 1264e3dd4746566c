import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import type { Condition, Ownership } from './post.ts'

export interface BalanceKey {
  warehouseId: number
  partId: number
  part: string
  ownership: Ownership
  condition: Condition
}

// The update locks the balance and looks again at the locked row: of many callers at once only as many succeed as there is stock for.
const RESERVE = statement<{ id: string }>(`
with held as (
  update balance set reserved = reserved + $5
   where warehouse_id = $1 and part_id = $2 and ownership = $3 and condition = $4 and on_hand - reserved >= $5
  returning 1
)
insert into reservation (warehouse_id, part_id, ownership, condition, quantity, reserved_for, reserved_by, reserved_at)
select $1, $2, $3, $4, $5, $6, $7, $8 from held
returning id`)

const AVAILABLE = statement<{ available: string }>(`
select trim_scale(on_hand - reserved)::text as available from balance
 where warehouse_id = $1 and part_id = $2 and ownership = $3 and condition = $4`)

/**
 * Promises goods: they stay on hand but are no longer available (R-STK-4).
 * @param quantity stock units, more than zero
 * @param reservedFor what it is promised to, e.g. a document number
 * @returns the reservation's id; a slip line that names it may take it
 * @throws Refusal `InsufficientStock`
 */
export async function reserve(
  ctx: Context,
  { key, quantity, reservedFor }: { key: BalanceKey; quantity: string; reservedFor: string }
): Promise<string> {
  const balance = [key.warehouseId, key.partId, key.ownership, key.condition]
  const [reservation] = await run(ctx, RESERVE, [
    ...balance,
    quantity,
    reservedFor,
    ctx.actor.personId,
    ctx.clock.now().toString()
  ])
  if (reservation !== undefined) return reservation.id
  const [held] = await run(ctx, AVAILABLE, balance)
  const available = held?.available ?? '0'
  throw new Refusal('InsufficientStock', 409, `stock is short: ${key.part} wants ${quantity}, ${available} available`, {
    extra: { lines: [{ part: key.part, wanted: quantity, available }] }
  })
}

// The balance is locked before the reservation, as a posting does it.
const RELEASE = statement<{ quantity: string }>(`
with held as materialized (
  select b.* from balance b
   where (b.warehouse_id, b.part_id, b.ownership, b.condition) =
         (select r.warehouse_id, r.part_id, r.ownership, r.condition from reservation r where r.warehouse_id = $1 and r.id = $2)
     for no key update
), released as (
  update reservation r set released_at = $3
    from held
   where r.warehouse_id = $1 and r.id = $2 and r.released_at is null
  returning r.*
), freed as (
  update balance b set reserved = b.reserved - (released.quantity - released.consumed)
    from released
   where (b.warehouse_id, b.part_id, b.ownership, b.condition) = (released.warehouse_id, released.part_id, released.ownership, released.condition)
)
select trim_scale(quantity - consumed)::text as quantity from released`)

/**
 * Takes back a promise; what of it was issued stays issued. A second release changes nothing.
 * @returns the stock units that became available again
 */
export async function releaseReservation(
  ctx: Context,
  { warehouseId, id }: { warehouseId: number; id: string }
): Promise<string> {
  const [released] = await run(ctx, RELEASE, [warehouseId, id, ctx.clock.now().toString()])
  return released?.quantity ?? '0'
}
