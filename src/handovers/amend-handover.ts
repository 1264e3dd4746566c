import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockHandover, requireDraft, requireDrawer, viewOfHandover, type Handover } from './handover.ts'
import type { AmendHandover, HandoverView } from './handovers.schemas.ts'
import { requireIncoming } from './keepers.ts'

const COUNT = statement<{ id: string; state: string; isLater: boolean }>(`
select c.id::text as id, c.state, c.opened_at >= h.drawn_up_at as "isLater"
  from stock_count c join handover h on h.warehouse_id = c.warehouse_id and h.id = $2
 where c.warehouse_id = $1 and c.number = $3`)

const AMEND = statement<never>(`
update handover set version = version + 1, incoming_id = $3, because = $4, absent_because = $5, keys = $6::jsonb, notes = $7, count_id = $8
 where warehouse_id = $1 and id = $2`)

/**
 * Changes what was written by hand on a draft, or names the count that was supervised for it. Only the department head says that the
 * outgoing keeper is absent, or no longer is.
 * @throws Refusal 409 `HandoverNotDraft`, 422 `HandoverToOneself`, `PersonInactive`, `CountUnknown`, `CountNotApproved`, `CountBeforeHandover`, 403, 404, 412
 */
export function amendHandover(
  ctx: Context,
  { number, ifMatch, ...change }: AmendHandover & { number: string; ifMatch?: string | undefined }
): Promise<HandoverView> {
  return inTransaction(ctx, async (inner) => {
    const { handover, warehouse } = await lockHandover(inner, number, {
      mayWrite: (place, kept) => {
        requireDrawer(inner, place, kept)
        if (change.absentBecause !== undefined) requireDuty(inner, 'department-head', place)
      },
      ifMatch
    })
    requireDraft(handover)
    if (typeof change.absentBecause === 'string' && inner.actor.personId === handover.outgoingId) {
      throw new Refusal('AbsenceNotAsked', 422, 'who writes on their own handover is not absent', {
        errors: [{ pointer: '/absentBecause', detail: 'is said by another department head' }]
      })
    }
    const incomingId =
      change.incoming === undefined
        ? handover.incomingId
        : await requireIncoming(inner, { username: change.incoming, outgoingId: handover.outgoingId })
    const countId =
      typeof change.count === 'string'
        ? await supervisedCount(inner, warehouse.id, handover, change.count)
        : change.count === null
          ? null
          : handover.countId
    await run(inner, AMEND, [
      warehouse.id,
      handover.id,
      incomingId,
      change.because ?? handover.because,
      change.absentBecause === undefined ? handover.absentBecause : change.absentBecause,
      JSON.stringify(change.keys ?? handover.keys),
      change.notes === undefined ? handover.notes : change.notes,
      countId
    ])
    await noteEvent(inner, { warehouseId: warehouse.id, id: handover.id }, 'amended', change)
    return viewOfHandover(inner, number)
  })
}

async function supervisedCount(
  ctx: Context,
  warehouseId: number,
  { id, number }: Pick<Handover, 'id' | 'number'>,
  count: string
): Promise<string> {
  const [found] = await run(ctx, COUNT, [warehouseId, id, count])
  const refuse = (code: string, detail: string, instead: string) =>
    new Refusal(code, 422, `${count} ${detail}; ${instead}`, { errors: [{ pointer: '/count', detail, sent: count }] })
  if (found === undefined)
    throw refuse('CountUnknown', 'is no count of this warehouse', 'name one that was opened for the handover')
  if (!found.isLater)
    throw refuse(
      'CountBeforeHandover',
      `was opened before ${number} was drawn up`,
      'count anew, with both keepers there'
    )
  if (found.state !== 'approved')
    throw refuse('CountNotApproved', `is ${found.state}`, 'name it when head office has approved it')
  return found.id
}
