import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockRound, readCustodyRound, requireOpen } from './custody-round.ts'
import type { CloseRound, RoundView } from './custody-rounds.schemas.ts'

const CLOSE = statement<never>(`
update custody_round set state = 'closed', closed_by = $3, closed_at = $4, closed_because = $5, version = version + 1 where warehouse_id = $1 and id = $2`)

/**
 * Closes a round in which everybody confirmed, or holds nothing of their list any more. Whoever is away for long does not keep all others
 * from the next round: one that is overdue the head of department closes all the same, and the history says why and who had not answered.
 * @throws Refusal 403, 404, 409 `RoundClosed`, `RoundUnfinished`, 412
 */
export function closeCustodyRound(
  ctx: Context,
  { number, reason, ifMatch }: CloseRound & { number: string; ifMatch?: string | undefined }
): Promise<RoundView> {
  return inTransaction(ctx, async (inner) => {
    const { round, warehouse } = await lockRound(inner, number, ifMatch)
    requireDuty(inner, ['keeper', 'department-head'], warehouse)
    requireOpen(round)
    const open = round.lines.filter(({ state }) => state === 'awaited' || state === 'report-awaited')
    const isOverdue = round.dueOn < inner.clock.today()
    if (open.length > 0 && isOverdue && reason !== undefined) requireDuty(inner, 'department-head', warehouse)
    else if (open.length > 0)
      throw new Refusal(
        'RoundUnfinished',
        409,
        `${number} waits for ${open
          .slice(0, NAMED_OFFENDERS)
          .map(
            ({ technician, state }) =>
              `${technician} (${state === 'awaited' ? 'has not confirmed' : 'has to report a loss'})`
          )
          .join(
            ', '
          )}${open.length > NAMED_OFFENDERS ? ` and ${open.length - NAMED_OFFENDERS} more` : ''}; each confirms in person, or returns everything${isOverdue ? '; it is overdue, so the head of department may close it with a reason' : ''}`,
        { extra: { open: open.map(({ technician, state }) => ({ technician, state })) } }
      )
    const because = open.length > 0 ? (reason ?? null) : null
    await run(inner, CLOSE, [warehouse.id, round.id, inner.actor.personId, inner.clock.now().toString(), because])
    await noteEvent(inner, { warehouseId: warehouse.id, id: round.id }, 'custody-round-closed', {
      number,
      ...(because !== null && { because, unanswered: open.map(({ technician }) => technician) })
    })
    return readCustodyRound(inner, { number })
  })
}
