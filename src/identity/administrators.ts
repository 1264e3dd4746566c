import type { Context } from './actor.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

// Two administrators who end each other at the same moment must not both succeed.
const LOCK = statement<never>(`select pg_advisory_xact_lock(7305002)`)

const ADMINISTRATORS = statement<{ username: string }>(`
select person.username
  from duty_assignment
  join person on person.id = duty_assignment.person_id and person.active and person.locked_at is null
 where duty = 'administrator' and warehouse_id is null and region_id is null
   and ended_at is null and valid_from <= $1 and (valid_to is null or valid_to >= $1)
 limit 1`)

/** Whether somebody active is administrator everywhere today; whoever asks next in another transaction waits for this one. */
export async function hasAdministrator(ctx: Context): Promise<boolean> {
  await run(ctx.em, LOCK, [])
  return (await run(ctx.em, ADMINISTRATORS, [ctx.clock.today()])).length > 0
}

/**
 * Called after a change: undoes it if nobody would be left who could appoint anybody.
 * The system itself may, because it can always create a first administrator.
 * @throws Refusal 409 `LastAdministrator`
 */
export async function requireAnotherAdministrator(ctx: Context): Promise<void> {
  if (ctx.actor.key === 'system' || (await hasAdministrator(ctx))) return
  throw new Refusal(
    'LastAdministrator',
    409,
    'this would leave nobody who is administrator (系统管理员) everywhere; appoint another one first'
  )
}
