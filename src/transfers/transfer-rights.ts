// A transfer is of two warehouses: who acts for one of them needs to hold nothing in the other.
import { covers, grantsToday, maySee, requireDuty, type Context, type Duty, type Grant } from '../identity/actor.ts'
import type { Warehouse } from '../warehouses/directory.ts'

type Place = readonly [Warehouse, readonly Duty[]]

/**
 * The grant by which the actor acts, at the giver before the receiver.
 * @throws Refusal 403 `DutyRequired` for a warehouse that is seen, 404 if neither is
 */
export function requireDutyAtEither(ctx: Context, { giver, receiver }: { giver: Place; receiver: Place }): Grant {
  const holds = ([warehouse, duties]: Place) =>
    grantsToday(ctx).some((grant) => covers(grant, warehouse) && duties.includes(grant.duty))
  const place =
    [giver, receiver].find(holds) ?? [giver, receiver].find(([warehouse]) => maySee(ctx, warehouse)) ?? giver
  return requireDuty(ctx, place[1], place[0])
}
