import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { requirePerson } from '../identity/require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { lockRecall, openEnding, readRecall, RECALLING_DUTIES } from './recall.ts'
import type { RecallView } from './recalls.schemas.ts'

const CANCEL_OPENING = statement<never>(`
with cancelled as (
  update recall set version = version + 1, state = 'cancelled', ended_at = $3::timestamptz, ended_because = $5 where warehouse_id = $1 and id = $2
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $3, $4, 'cancelled', jsonb_build_object('reason', $5::text))`)

const CANCEL_ENDING = statement<never>(`
with cancelled as (
  update recall_ending set state = 'cancelled', settled_at = $3::timestamptz where warehouse_id = $1 and id = $6
), voided as (
  update signature set voided_at = $3 where warehouse_id = $1 and document_id = $6 and voided_at is null
), bumped as (
  update recall set version = version + 1 where warehouse_id = $1 and id = $2
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $3, $4, $7::text || '-cancelled', jsonb_build_object('reason', $5::text))`)

/**
 * Drops what awaits signatures: a large recall that is not in effect yet, or a proposed lifting or closing. What is in effect is lifted instead.
 * @throws Refusal 403, 404, 409 `NothingToCancel`, 412
 */
export function cancelRecall(
  ctx: Context,
  { number, reason, ifMatch }: { number: string; reason: string; ifMatch?: string | undefined }
): Promise<RecallView> {
  requireDutyEverywhere(ctx, RECALLING_DUTIES)
  requirePerson(ctx)
  return inTransaction(ctx, async (inner) => {
    const { recall, office } = await lockRecall(inner, number, ifMatch)
    const ending = openEnding(recall)
    const noted = [office.id, recall.id, inner.clock.now().toString(), inner.actor.personId, reason]
    if (recall.state === 'awaiting-second-signature') await run(inner, CANCEL_OPENING, noted)
    else if (ending !== undefined) await run(inner, CANCEL_ENDING, [...noted, ending.id, ending.kind])
    else
      throw new Refusal(
        'NothingToCancel',
        409,
        `recall ${number} is ${recall.state}, and nothing of it awaits signatures; goods are freed by POST /v1/recalls/${number}/lifting`
      )
    return readRecall(inner, { number })
  })
}
