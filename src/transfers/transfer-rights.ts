// A transfer is of two warehouses: who acts for one of them needs to hold nothing in the other.
import {
  covers,
  grantsToday,
  maySee,
  requireDuty,
  requireDutyToRead,
  type Context,
  type Duty,
  type Grant
} from '../identity/actor.ts'
import type { Warehouse } from '../warehouses/directory.ts'

interface Places {
  giver: Place
  receiver: Place
}
type Place = readonly [Warehouse, readonly Duty[]]

/**
 * The grant by which the actor acts, at the giver before the receiver.
 * @throws Refusal 403 `DutyRequired` for a warehouse that is seen, 404 if neither is
 */
export function requireDutyAtEither(ctx: Context, places: Places): Grant {
  const [warehouse, duties] = placeOf(ctx, places)
  return requireDuty(ctx, duties, warehouse)
}

/** The same for what changes nothing. */
export function dutyToReadAtEither(ctx: Context, places: Places): Grant {
  const [warehouse, duties] = placeOf(ctx, places)
  return requireDutyToRead(ctx, duties, warehouse)
}

/** Where a duty is held, else which one is seen. */
function placeOf(ctx: Context, { giver, receiver }: Places): Place {
  const holds = ([warehouse, duties]: Place) =>
    grantsToday(ctx).some((grant) => covers(grant, warehouse) && duties.includes(grant.duty))
  return [giver, receiver].find(holds) ?? [giver, receiver].find(([warehouse]) => maySee(ctx, warehouse)) ?? giver
}
