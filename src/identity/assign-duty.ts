import { DUTY_NAMES, requireDutyEverywhere, type Context, type Duty } from './actor.ts'
import { recordAudit } from './audit.ts'
import { identityChanged } from './directory.ts'
import { publishDuties } from './duty-events.ts'
import { dutyView, findRegion, findWarehouse } from './identity.queries.ts'
import type { DutyView } from './identity.schemas.ts'
import { lockPerson } from './lock-person.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

export interface AssignDuty {
  username: string
  duty: Duty
  /** Code; with neither warehouse nor region the duty is held everywhere. */
  warehouse?: string | undefined
  region?: string | undefined
  /** First day, today if left away. */
  validFrom?: string | undefined
  /** Last day, open-ended if left away. */
  validTo?: string | null | undefined
}

const HELD = statement<{ id: number; validFrom: string; validTo: string | null }>(`
select id, valid_from::text as "validFrom", valid_to::text as "validTo"
  from duty_assignment
 where person_id = $1 and duty = $2 and warehouse_id is not distinct from $3::int and region_id is not distinct from $4::int
   and valid_from <= coalesce($6::date, 'infinity') and coalesce(valid_to, 'infinity') >= $5::date
   and ended_at is null
 limit 1`)

const ASSIGN = statement<{ id: number }>(`
insert into duty_assignment (person_id, duty, warehouse_id, region_id, valid_from, valid_to, assigned_by, assigned_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning id`)

/**
 * Gives a person a duty in a warehouse, in a region or everywhere (R-ORG-2). For administrators everywhere, in person.
 * @throws Refusal 403 `PersonRequired`, 404 unknown person, warehouse or region, 409 `DutyHeldAlready`, 422 `OnePlaceOnly`, `EndBeforeStart`, `PersonInactive`
 */
export async function assignDuty(
  ctx: Context,
  { username, duty, warehouse, region, validFrom, validTo = null }: AssignDuty
): Promise<DutyView> {
  requireDutyEverywhere(ctx, 'administrator')
  requirePerson(ctx)
  const from = validFrom ?? ctx.clock.today()
  if (warehouse !== undefined && region !== undefined)
    throw new Refusal('OnePlaceOnly', 422, 'name a warehouse or a region, not both; neither means everywhere')
  if (validTo !== null && validTo < from)
    throw new Refusal('EndBeforeStart', 422, `the last day ${validTo} lies before the first day ${from}`)
  return inTransaction(ctx, async (ctx) => {
    const person = await lockPerson(ctx, username)
    if (!person.active) throw new Refusal('PersonInactive', 422, `${username} is inactive; activate the person first`)
    const warehouseId = warehouse === undefined ? null : (await findWarehouse(ctx, warehouse)).id
    const regionId = region === undefined ? null : await findRegion(ctx, region)
    const [held] = await run(ctx.em, HELD, [person.id, duty, warehouseId, regionId, from, validTo])
    if (held !== undefined) {
      throw new Refusal(
        'DutyHeldAlready',
        409,
        `${username} is ${duty} (${DUTY_NAMES[duty]}) there from ${held.validFrom}${held.validTo === null ? ' on' : ` to ${held.validTo}`}; choose other days, or end that first`,
        { extra: { dutyId: held.id } }
      )
    }
    const [assigned] = await run(ctx.em, ASSIGN, [
      person.id,
      duty,
      warehouseId,
      regionId,
      from,
      validTo,
      ctx.actor.personId,
      ctx.clock.now().toString()
    ])
    if (assigned === undefined) throw new Error('no duty was written')
    const view = await dutyView(ctx, assigned.id)
    await recordAudit(ctx, 'duty.assigned', `person:${username}`, {
      dutyId: view.id,
      duty,
      warehouse: view.warehouse,
      region: view.region,
      validFrom: from,
      validTo
    })
    await publishDuties(ctx, 'duty.assigned', [
      { id: assigned.id, personId: person.id, username, duty, warehouseId, regionId }
    ])
    await identityChanged(ctx)
    return view
  })
}
