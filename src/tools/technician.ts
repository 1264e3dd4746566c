// People who give and take tools. Custody is personal: the duty must be their own, standing in for somebody is not enough (R-TOOL-1).
import { grantCovers, type Context, type WarehouseRef } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

export interface Person {
  id: number
  username: string
}

const BY_NAME = statement<Person & { active: boolean }>(
  'select id, username, active from person where username = $1 and id <> 0'
)
// Whoever ends a duty holds the person; so the duty that is read next is still held when this commits.
const HOLD = statement<{ active: boolean }>('select active from person where id = $1 for share')
const IS_TECHNICIAN = statement<{ held: boolean }>(`
select exists (select 1 from duty_assignment a
                where a.person_id = $1 and a.duty = 'technician' and a.ended_at is null and a.valid_from <= $4 and (a.valid_to is null or a.valid_to >= $4)
                  and ${grantCovers('a', '$2', '$3')}) as held`)

const unknown = (username: string, pointer: string): Refusal =>
  new Refusal('PersonUnknown', 422, `there is nobody called ${username}; name a technician by user name`, {
    errors: [{ pointer, detail: 'is not known', sent: username }]
  })

/** Somebody by user name, active or not. @throws Refusal 422 `PersonUnknown` */
export async function personCalled(ctx: Context, username: string, pointer = '/technician'): Promise<Person> {
  const [person] = await run(ctx, BY_NAME, [username])
  if (person === undefined) throw unknown(username, pointer)
  return person
}

/** The actor as somebody who gives or takes. */
export const oneself = ({ actor }: Context): Person => ({ id: actor.personId, username: actor.username })

/**
 * Refuses custody of tools of a warehouse to who is not its technician today, and keeps that so until the commit.
 * @throws Refusal 422 `NotTechnician`
 */
export async function requireTechnician(
  ctx: Context,
  person: Person,
  warehouse: WarehouseRef,
  pointer?: string
): Promise<void> {
  const [held] = await run(ctx, HOLD, [person.id])
  const [duty] = await run(ctx, IS_TECHNICIAN, [person.id, warehouse.id, warehouse.regionId, ctx.clock.today()])
  if (held?.active && duty?.held) return
  throw new Refusal(
    'NotTechnician',
    422,
    `${person.username} is not a technician (维修技术员) of ${warehouse.code} today; tools go into the custody of those who hold that duty themselves`,
    pointer === undefined
      ? {}
      : { errors: [{ pointer, detail: 'does not hold the duty technician there', sent: person.username }] }
  )
}
