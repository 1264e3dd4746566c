import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockRound, readCustodyRound, requireOpen } from './custody-round.ts'
import type { RoundView } from './custody-rounds.schemas.ts'

const CLOSE = statement<never>(`
update custody_round set state = 'closed', closed_by = $3, closed_at = $4, version = version + 1 where warehouse_id = $1 and id = $2`)

/**
 * Closes a round in which everybody confirmed, or holds nothing of their list any more.
 * @throws Refusal 403, 404, 409 `RoundClosed`, `RoundUnfinished`, 412
 */
export function closeCustodyRound(
  ctx: Context,
  { number, ifMatch }: { number: string; ifMatch?: string | undefined }
): Promise<RoundView> {
  return inTransaction(ctx, async (inner) => {
    const { round, warehouse } = await lockRound(inner, number, ifMatch)
    requireDuty(inner, ['keeper', 'department-head'], warehouse)
    requireOpen(round)
    const open = round.lines.filter(({ state }) => state === 'awaited' || state === 'report-awaited')
    if (open.length > 0)
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
          )}${open.length > NAMED_OFFENDERS ? ` and ${open.length - NAMED_OFFENDERS} more` : ''}; each confirms in person, or returns everything`,
        { extra: { open: open.map(({ technician, state }) => ({ technician, state })) } }
      )
    await run(inner, CLOSE, [warehouse.id, round.id, inner.actor.personId, inner.clock.now().toString()])
    await noteEvent(inner, { warehouseId: warehouse.id, id: round.id }, 'custody-round-closed', { number })
    return readCustodyRound(inner, { number })
  })
}
