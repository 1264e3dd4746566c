// Who may leave and who may take over. A duty that is held for a region or everywhere cannot be ended for one warehouse: such a keeper is first
// given the warehouse by itself, and the wider duty is ended, which the leaving gate lets pass because the person goes on there.
import { DUTY_NAMES, grantCovers, type Context, type WarehouseRef } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'

const PERSON = statement<{ id: number; active: boolean; locked: boolean }>(
  'select id, active, locked_at is not null as locked from person where username = $1 and id <> 0'
)

/** @throws Refusal 404 */
export async function personCalled(
  ctx: Context,
  username: string
): Promise<{ id: number; active: boolean; locked: boolean }> {
  const [person] = await run(ctx, PERSON, [username])
  if (person === undefined) throw notFound('person', username)
  return person
}

/**
 * Who can take a warehouse over from somebody.
 * @throws Refusal 404, 422 `HandoverToOneself`, `PersonInactive`, `PersonLocked`
 */
export async function requireIncoming(
  ctx: Context,
  { username, outgoingId }: { username: string; outgoingId: number }
): Promise<number> {
  const person = await personCalled(ctx, username)
  if (person.id === outgoingId) {
    throw new Refusal('HandoverToOneself', 422, `${username} is the outgoing keeper; name somebody else to take over`, {
      errors: [{ pointer: '/incoming', detail: 'is the outgoing keeper', sent: username }]
    })
  }
  if (!person.active) {
    throw new Refusal('PersonInactive', 422, `${username} is inactive and takes nothing over; name somebody who acts`, {
      errors: [{ pointer: '/incoming', detail: 'is inactive', sent: username }]
    })
  }
  if (person.locked) {
    throw new Refusal(
      'PersonLocked',
      422,
      `the account of ${username} is locked and takes nothing over; name somebody else, or have it unlocked`,
      { errors: [{ pointer: '/incoming', detail: 'is locked', sent: username }] }
    )
  }
  return person.id
}

const GRANTS = statement<{ ids: number[]; wider: string[]; hasBegun: boolean }>(`
select coalesce(array_agg(g.id order by g.id) filter (where g.warehouse_id = $2 and (g.valid_to is null or g.valid_to >= $4::date)), '{}') as ids,
       coalesce(array_agg(distinct coalesce('region ' || region.code, 'everywhere'))
                  filter (where g.warehouse_id is null and (g.valid_to is null or g.valid_to >= $4::date)), '{}') as wider,
       coalesce(bool_or(g.warehouse_id = $2 and g.valid_from <= $4::date), false) as "hasBegun"
  from duty_assignment g left join region on region.id = g.region_id
 where g.person_id = $1 and g.duty = 'keeper' and g.ended_at is null
   and ${grantCovers('g', '$2', '$3')}`)

/**
 * The own grants by which somebody is keeper of a warehouse and of nothing more, also those that begin later; none where the last one ran out.
 * @throws Refusal 422 `NotKeeperThere`, `KeeperOfMore`
 */
export async function grantsToEnd(
  ctx: Context,
  warehouse: WarehouseRef,
  { id, username }: { id: number; username: string }
): Promise<number[]> {
  const [held] = await run(ctx, GRANTS, [id, warehouse.id, warehouse.regionId, ctx.clock.today()])
  if (held === undefined) throw new Error('an aggregate answers one row')
  const { ids, wider, hasBegun } = held
  if (wider.length > 0) {
    throw new Refusal(
      'KeeperOfMore',
      422,
      `${username} is keeper (${DUTY_NAMES.keeper}) of ${wider.join(' and ')}, which does not end for ${warehouse.code} alone; an administrator gives the duty for each warehouse by itself and ends the wider one, then hand over`,
      { extra: { held: wider } }
    )
  }
  if (!hasBegun) {
    throw new Refusal(
      'NotKeeperThere',
      422,
      `${username} is not keeper (${DUTY_NAMES.keeper}) of ${warehouse.code} in person, so there is nothing to hand over; name who is`
    )
  }
  return ids
}
