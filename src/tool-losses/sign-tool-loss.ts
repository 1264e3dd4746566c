import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { dutiesAwaited, requireSigner, requireSubmittedContent } from '../signing/sign.ts'
import { giveSignature } from '../signing/signatures.ts'
import { lockTools, moveTools } from '../tools/custody.ts'
import { bookCompensation } from './book-compensation.ts'
import {
  holdForLoss,
  loadLoss,
  LOSS_DUTIES,
  lockLoss,
  lossHash,
  readToolLoss,
  requireReported,
  type Loss
} from './tool-loss.ts'
import type { LossState, LossView, SignLoss } from './tool-losses.schemas.ts'

// A repair that goes on because giving it up was refused is as it was decided.
const REPAIR_ON = statement<never>(`
update tool_loss
   set version = version + 1, state = 'approved', outcome = 'repaired', normal_wear = repair_normal_wear, compensation = repair_compensation,
       compensation_reason = repair_compensation_reason, decided_on = repair_decided_on,
       repair_decided_on = null, repair_compensation = null, repair_compensation_reason = null, repair_normal_wear = null
 where warehouse_id = $1 and id = $2`)

// With the signatures by which it was decided: the last ones of that content.
const SIGNED_AS_BEFORE = statement<never>(`
update signature set voided_at = null
 where warehouse_id = $1 and id in (select distinct on (duty) id from signature
                                     where warehouse_id = $1 and document_id = $2 and decision = 'approve' and content_hash = $3 order by duty, id desc)`)

const DECIDE = statement<never>(`
update tool_loss
   set version = version + 1, state = $3::text, decided_on = case when $3::text <> 'reported' then $5::date end, reason = $6::text,
       ended_at = case when $3::text in ('ended', 'refused') then $4::timestamptz end
 where warehouse_id = $1 and id = $2`)

/**
 * Signs a report of loss: the head of department and the finance supervisor, two different people, neither who reported it nor the technician it is
 * about. The second signature decides: the compensation is booked on that day, a lost or scrapped tool leaves the living part of the
 * register, one that is to be repaired is held until it is back. A refusal says why, and the tool is as before: if a repair was to be given
 * up, it goes on.
 * @throws Refusal 409 `LossNotOpen`, `ContentChanged`, `SignatureOfOtherContent`, `AlreadySigned`, `DutyAlreadySigned`, 422 `PreparerMaySign`, `SignerBarred`,
 *   `DutyNotAsked`, `ReasonMissing`, 403, 404, 412
 */
export function signToolLoss(
  ctx: Context,
  { number, duty, decision, comment, contentHash, ifMatch }: SignLoss & { number: string; ifMatch?: string | undefined }
): Promise<LossView> {
  return inTransaction(ctx, async (inner) => {
    const { loss, warehouse } = await lockLoss(inner, number)
    const hash = lossHash(loss)
    const document = {
      number,
      preparers: [loss.reportedById],
      duties: LOSS_DUTIES,
      signatures: loss.signatures,
      contentHash: hash
    }
    const signer = requireSigner(inner, document, {
      duty,
      warehouse,
      ...(loss.technicianId !== null && {
        barred: {
          personId: loss.technicianId,
          because: `${number} is about ${loss.technician ?? ''}, who never signs it`
        }
      })
    })
    requireMatch(ifMatch, loss.version)
    requireReported(loss)
    if (decision === 'refuse' && comment === undefined)
      throw new Refusal('ReasonMissing', 422, 'a refusal says why; whoever reported it has to know', {
        errors: [{ pointer: '/comment', detail: 'is missing' }]
      })
    requireSubmittedContent(document, { duty, decision, comment, contentHash }, hash)
    const awaited = dutiesAwaited(document).filter((other) => other !== duty)
    const state = stateAfter(loss, decision, awaited.length)
    await giveSignature(
      inner,
      { warehouseId: warehouse.id, id: loss.id, number },
      {
        duty,
        decision,
        comment,
        ...signer,
        hash,
        event: decision === 'refuse' ? 'refused' : state === 'reported' ? 'signed' : 'approved'
      }
    )
    if (decision === 'refuse' && loss.repair !== null) {
      await run(inner, REPAIR_ON, [warehouse.id, loss.id])
      const { loss: repair } = await loadLoss(inner, number)
      await run(inner, SIGNED_AS_BEFORE, [warehouse.id, loss.id, lossHash(repair)])
      return readToolLoss(inner, { number })
    }
    await run(inner, DECIDE, [
      warehouse.id,
      loss.id,
      state,
      inner.clock.now().toString(),
      inner.clock.today(),
      decision === 'refuse' ? comment : null
    ])
    if (state !== 'reported') await settle(inner, loss, { warehouseId: warehouse.id, state })
    return readToolLoss(inner, { number })
  })
}

const stateAfter = ({ outcome }: Loss, decision: SignLoss['decision'], awaited: number): LossState => {
  if (decision === 'refuse') return 'refused'
  if (awaited > 0) return 'reported'
  return outcome === 'repaired' ? 'approved' : 'ended'
}

async function settle(
  ctx: Context,
  loss: Loss,
  { warehouseId, state }: { warehouseId: number; state: LossState }
): Promise<void> {
  const [tool] = await lockTools(ctx, [loss.toolId])
  if (tool === undefined) throw new Error(`tool ${loss.serial} is never deleted`)
  // Until it is repaired it is held.
  if (state !== 'approved') await holdForLoss(ctx, tool.id, null)
  if (state === 'refused') return
  // What was booked for a repair that was given up counts towards it.
  const due = thousandths(loss.compensation) - thousandths(loss.repair?.compensation ?? '0')
  await bookCompensation(ctx, { warehouseId, loss, amount: decimal(due, 3) })
  if (loss.outcome !== 'repaired')
    await moveTools(ctx, { tools: [tool], to: { place: loss.outcome }, kind: loss.outcome, documentId: loss.id })
}
