import type { Context } from '../identity/actor.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { requireSigner, requireSubmittedContent, type Signature } from '../signing/sign.ts'
import { giveSignature } from '../signing/signatures.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import {
  handoverHash,
  isKeeperOf,
  lockHandover,
  partiesAwaited,
  partiesOf,
  viewOfHandover,
  type Handover,
  type PartySignature
} from './handover.ts'
import type { HandoverState, HandoverView, SignHandover } from './handovers.schemas.ts'
import { beginEffect, endEffect } from './take-effect.ts'

const SIGN = statement<never>(`
update handover
   set version = version + 1, state = $3::text,
       submitted_at = case when $4::jsonb is null then submitted_at end, submitted_by = case when $4::jsonb is null then submitted_by end,
       content_hash = case when $4::jsonb is null then content_hash end, refusal = $4::jsonb,
       cut_off_at = $5::timestamptz, cut_off_position = $6::bigint, ended_grants = coalesce($7::int[], ended_grants), begun_grant = $8::int
 where warehouse_id = $1 and id = $2`)

/**
 * Signs a handover (R-ORG-3): both keepers in person, the department head and the finance supervisor of the warehouse; four different people. With the
 * last signature it takes effect. A refusal with its reason opens it again.
 * @throws Refusal 403 `KeeperMustSign`, `PersonMustSign`, `DutyRequired`, 409 `HandoverNotAwaitingSignatures`, `PartyAlreadySigned`, `AlreadySigned`, `ContentChanged`,
 * `SignatureOfOtherContent`, 422 `PartyNotAsked`, `KeeperNeverSupervises`, `PreparerMaySign`, `ReasonMissing`, those of `beginEffect`, 404, 412
 */
export function signHandover(
  ctx: Context,
  {
    number,
    party,
    decision,
    comment,
    contentHash,
    ifMatch
  }: SignHandover & { number: string; ifMatch?: string | undefined }
): Promise<HandoverView> {
  return afterDeadlock(() =>
    inTransaction(ctx, async (inner) => {
      const { handover, warehouse } = await lockHandover(inner, number, { mayWrite: () => undefined })
      const onBehalfOf = requireParty(inner, handover, warehouse, party)
      requireMatch(ifMatch, handover.version)
      if (handover.state !== 'awaiting-signatures') {
        throw new Refusal(
          'HandoverNotAwaitingSignatures',
          409,
          `handover ${number} is ${handover.state}; ${handover.state === 'draft' ? 'it is signed when it has been submitted' : 'only submitted handovers are signed'}`
        )
      }
      const awaited = partiesAwaited(handover)
      if (!awaited.includes(party)) {
        throw new Refusal(
          'PartyAlreadySigned',
          409,
          `${number} is already signed as ${party}; awaited: ${awaited.join(', ')}`
        )
      }
      if (decision === 'refuse' && comment === undefined) {
        throw new Refusal('ReasonMissing', 422, 'a refusal says why; who drew it up has to know what to mend', {
          errors: [{ pointer: '/comment', detail: 'is missing' }]
        })
      }
      const hash = await handoverHash(inner, handover, warehouse)
      requireSubmittedContent(
        { ...supervised(handover), contentHash: handover.contentHash },
        { duty: 'keeper', decision, contentHash },
        hash
      )
      const isLast = decision === 'approve' && awaited.length === 1
      const effect = isLast ? await beginEffect(inner, handover, warehouse) : undefined
      const state: HandoverState = decision === 'refuse' ? 'draft' : isLast ? 'completed' : 'awaiting-signatures'
      const refusal = { by: inner.actor.username, party, reason: comment, at: inner.clock.now().toString() }
      await run(inner, SIGN, [
        warehouse.id,
        handover.id,
        state,
        decision === 'refuse' ? JSON.stringify(refusal) : null,
        effect?.at ?? null,
        effect?.position ?? null,
        effect?.endedGrants ?? null,
        effect?.begunGrant ?? null
      ])
      await giveSignature(
        inner,
        { warehouseId: warehouse.id, id: handover.id, number },
        {
          duty: party,
          decision,
          comment,
          personId: inner.actor.personId,
          onBehalfOf,
          hash,
          event: decision === 'refuse' ? 'refused' : 'signed'
        }
      )
      if (effect !== undefined) await endEffect(inner, handover, warehouse, effect)
      return viewOfHandover(inner, number)
    })
  )
}

/**
 * Whether the actor may sign as a party: the keepers as the people they are, for whom nobody stands in; the others by their duty.
 * @returns who is stood in for
 */
function requireParty(
  ctx: Context,
  handover: Handover,
  warehouse: Warehouse,
  party: SignHandover['party']
): number | null {
  if (!partiesOf(handover).includes(party)) {
    throw new Refusal(
      'PartyNotAsked',
      422,
      `${handover.outgoing.username} is absent; ${handover.number} is signed by ${partiesOf(handover).join(', ')}`
    )
  }
  if (party === 'outgoing-keeper' || party === 'incoming-keeper') {
    const { username, id } =
      party === 'outgoing-keeper'
        ? { ...handover.outgoing, id: handover.outgoingId }
        : { ...handover.incoming, id: handover.incomingId }
    if (ctx.actor.personId !== id) {
      throw new Refusal(
        'KeeperMustSign',
        403,
        `${party} of ${handover.number} is ${username}, who signs in person; nobody stands in for a keeper who hands over`
      )
    }
    if (ctx.actor.isMachine) throw new Refusal('PersonMustSign', 403, 'an API key never signs; sign in as a person')
    return null
  }
  if (isKeeperOf(handover, ctx.actor.personId)) {
    throw new Refusal(
      'KeeperNeverSupervises',
      422,
      `you are one of the two keepers of ${handover.number}; somebody else with the duty ${party} signs it`
    )
  }
  return requireSigner(ctx, supervised(handover), { duty: party, warehouse }).onBehalfOf
}

const isSupervising = (signature: PartySignature): signature is PartySignature & Signature =>
  signature.duty === 'department-head' || signature.duty === 'finance-supervisor'

/** A handover as those who supervise sign it: the keepers count as who prepared it. */
const supervised = (handover: Handover) => ({
  number: handover.number,
  preparers: [handover.outgoingId, handover.incomingId],
  duties: ['department-head', 'finance-supervisor'] as const,
  signatures: handover.signatures.filter(isSupervising)
})
