// That somebody's duties changed, who stands in for them, or whether they act at all, as others follow it. The room that looks does not go by what an
// event says but by what is stored then, so it names the grant or the person and nothing that nobody else may know. What begins or runs out by its
// day says nothing: whoever cares looks each day.
import type { Context, Duty } from './actor.ts'
import { publish } from '../platform/outbox.ts'

/** A grant that was given, ended or shortened. */
interface ChangedDuty {
  id: number
  personId: number
  username: string
  duty: Duty
  warehouseId: number | null
  regionId: number | null
}

/** Tells of duties, in the transaction that changes them. */
export const publishDuties = (
  ctx: Context,
  event: 'duty.assigned' | 'duty.ended',
  changed: readonly ChangedDuty[]
): Promise<void> =>
  publish(
    ctx,
    changed.map(({ id: dutyId, personId, username, duty, warehouseId, regionId }) => ({
      subject: `person:${personId}`,
      event,
      warehouseId,
      payload: { dutyId, username, duty, regionId }
    }))
  )

/** Tells that somebody can act no more, or again, in the transaction in which it comes about. */
export const publishPerson = (
  ctx: Context,
  event: 'person.activated' | 'person.deactivated' | 'person.locked' | 'person.unlocked',
  { id: personId, username }: { id: number; username: string }
): Promise<void> => publish(ctx, [{ subject: `person:${personId}`, event, payload: { personId, username } }])

/** Tells who stands in for somebody, or no longer does, in the transaction that changes it: the absent person is the subject, by whose duties it goes. */
export const publishDelegation = (
  ctx: Context,
  event: 'delegation.set' | 'delegation.ended',
  { id: delegationId, personId, username, deputy, duty }: ChangedDelegation
): Promise<void> =>
  publish(ctx, [{ subject: `person:${personId}`, event, payload: { delegationId, personId, username, deputy, duty } }])

/** Somebody stands in for a person, in one duty or (null) in all of them. */
interface ChangedDelegation {
  id: number
  personId: number
  username: string
  deputy: string
  duty: Duty | null
}
