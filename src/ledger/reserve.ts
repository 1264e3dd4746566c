// Promises: goods stay on hand but are no longer available (R-STK-4).
//
// What it does: reserves and releases goods of any number of warehouses in one round trip (`reserve_goods`, `release_goods` of migration
// 0015). Definitions it uses:
// - Available is on hand − reserved − blocked.
// - All or nothing: if one wish cannot be met, none is.
// - Balances are locked in the order of their keys, whatever the order of the wishes, and looked at afterwards.
// What it does not do: decide who may have what. A second release changes nothing.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import type { Condition, Ownership } from './post.ts'

export interface BalanceKey {
  warehouseId: number
  partId: number
  part: string
  ownership: Ownership
  condition: Condition
}

/** What is wanted of one balance; the same balance may be named several times. */
export interface Want extends Omit<BalanceKey, 'condition'> {
  /** Qualified unless given: nonconforming goods are never promised as good ones (R-STK-1). */
  condition?: Condition | undefined
  /** Stock units, more than zero. */
  quantity: string
  /** What it is promised to, e.g. a document number. */
  reservedFor: string
}

/** A wish that could not be met, and what the wishes before it left. */
export interface ShortWant {
  index: number
  available: string
  /** What of the balance a recall holds back (R-REQ-7). */
  blocked: string
}

const RESERVE = statement<{ place: number; id: string | null; available: string | null; blocked: string | null }>(`
select place, id::text as id, trim_scale(available)::text as available, trim_scale(blocked)::text as blocked
  from reserve_goods($1::int[], $2::int[], $3::text[], $4::text[], $5::numeric[], $6::text[], $7::int, $8::timestamptz)`)

/**
 * Promises goods of any number of warehouses, all of them or none.
 * @returns the ids of the reservations in the order of the wishes, or which wishes were short. A slip line that names a reservation may
 *   take from it
 */
export async function reserveAll(
  ctx: Context,
  wants: readonly Want[]
): Promise<{ ids: string[] } | { short: ShortWant[] }> {
  if (wants.length === 0) return { ids: [] }
  const rows = await run(ctx, RESERVE, [
    wants.map(({ warehouseId }) => warehouseId),
    wants.map(({ partId }) => partId),
    wants.map(({ ownership }) => ownership),
    wants.map(({ condition }) => condition ?? 'qualified'),
    wants.map(({ quantity }) => quantity),
    wants.map(({ reservedFor }) => reservedFor),
    ctx.actor.personId,
    ctx.clock.now().toString()
  ])
  const short = rows.flatMap(({ place, available, blocked }) =>
    available === null ? [] : [{ index: place - 1, available, blocked: blocked ?? '0' }]
  )
  return short.length > 0 ? { short } : { ids: rows.flatMap(({ id }) => id ?? []) }
}

/** A reservation, by its key. */
export interface ReservationKey {
  warehouseId: number
  id: string
}

interface Released extends ReservationKey {
  /** Stock units that are available again. */
  quantity: string
  /** What is still promised. */
  left: string
}

const RELEASE = statement<Released>(`
select warehouse_id as "warehouseId", id::text as id, trim_scale(quantity)::text as quantity, trim_scale(left_open)::text as left
  from release_goods($1::int[], $2::bigint[], $3::numeric[], $4::timestamptz)`)

const release = (ctx: Context, keys: readonly (ReservationKey & { by?: string })[]): Promise<Released[]> =>
  keys.length === 0
    ? Promise.resolve([])
    : run(ctx, RELEASE, [
        keys.map(({ warehouseId }) => warehouseId),
        keys.map(({ id }) => id),
        keys.map(({ by }) => by ?? null),
        ctx.clock.now().toString()
      ])

/**
 * Takes promises back, of any number of warehouses; what of them was issued stays issued. A second release changes nothing.
 * @returns those that were open, each with the stock units that became available again
 */
export const releaseReservations = (
  ctx: Context,
  reservations: readonly ReservationKey[]
): Promise<(ReservationKey & { quantity: string })[]> => release(ctx, reservations)

/**
 * Takes a part of a promise back, at most what is still open of it; when nothing is left, it is released.
 * @param by stock units, more than zero
 * @returns what became available again, and what is still promised
 */
export async function shrinkReservation(
  ctx: Context,
  { warehouseId, id, by }: ReservationKey & { by: string }
): Promise<{ quantity: string; left: string }> {
  const [shrunk] = await release(ctx, [{ warehouseId, id, by }])
  return shrunk ?? { quantity: '0', left: '0' }
}
