import { Refusal } from '../platform/errors.ts'
import { SLIP_KIND_RULES, type SlipKind } from './slip-kinds.ts'

/**
 * Refuses a kind of slip that a document of another room writes: by hand it would move goods that the document does not know of.
 * @throws Refusal 422 `SlipNotWrittenByHand`, 409 `SlipNotAmendable` where one is amended
 */
export function refuseByHand(kind: SlipKind, amended?: string): void {
  const { nameZh, writtenBy } = SLIP_KIND_RULES[kind]
  if (writtenBy === undefined) return
  if (amended !== undefined)
    throw new Refusal(
      'SlipNotAmendable',
      409,
      `${amended} is a ${kind} (${nameZh}), whose lines are those of another document; cancel it and write a new one by ${writtenBy}`
    )
  throw new Refusal('SlipNotWrittenByHand', 422, `a ${kind} (${nameZh}) is written by ${writtenBy}`, {
    errors: [{ pointer: '/kind', detail: 'is not written by hand', sent: kind, accepted: writtenBy }]
  })
}
