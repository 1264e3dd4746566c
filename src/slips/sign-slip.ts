import type { Context, Duty } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { dutiesAwaited, requireSigner, signingRefusal, type Signature } from '../signing/sign.ts'
import { MONTH_IS_OPEN, refuseClosedMonth } from './open-month.ts'
import { loadSlip, readSlip, slipHash, viewOf } from './slip.ts'
import type { SlipState } from './slip-kinds.ts'
import type { SlipView } from './slips.schemas.ts'
import { unchangedSince } from './unchanged-since.ts'

export interface SignSlip {
  number: string
  duty: Duty
  decision: 'approve' | 'refuse'
  comment?: string | undefined
  /** What the signer has read; signing something else is refused. */
  contentHash?: string | undefined
  ifMatch?: string | undefined
}

// The signature and what it does to the slip are one statement on the version that was read: the hash that is stored is the
// hash of the content that is there. A late signature settles; a refusal voids what was signed so far. Once its month is closed a
// slip is only refused: nothing that is approved then is ever posted.
const SIGN = statement<{ version: number }>(`
with signed as (
  update slip
     set version = version + 1, state = $4,
         approved_at = case when $4 = 'approved' then $5::timestamptz else approved_at end,
         late_settled_at = case when state = 'posted' then $5::timestamptz end,
         refusal = case when $9 = 'refuse' then jsonb_build_object('by', $12::text, 'duty', $6::text, 'reason', $10::text, 'at', $5::timestamptz) end
   where warehouse_id = $1 and id = $2 and version = $3 and (state = 'posted' or $9 = 'refuse' or ${MONTH_IS_OPEN})
  returning version
), given as (
  insert into signature (warehouse_id, document_id, duty, person_id, on_behalf_of, decision, comment, content_hash, signed_at, voided_at)
  select $1, $2, $6, $7, $8, $9, $10, $11, $5, case when $9 = 'refuse' then $5::timestamptz end from signed
), voided as (
  update signature set voided_at = $5 from signed where warehouse_id = $1 and document_id = $2 and voided_at is null and $9 = 'refuse'
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, $2, $5, $7, case when $9 = 'refuse' then 'refused' when $4 = 'posted' then 'signed-late' else 'signed' end,
         jsonb_strip_nulls(jsonb_build_object('duty', $6::text, 'comment', $10::text, 'contentHash', $11::text, 'onBehalfOf', (select username from person where id = $8))) from signed
)
select version from signed`)

/**
 * Signs a slip for one duty; the last signature approves it (R-SIG-1, R-SIG-2). A refusal with its reason sends it back to the
 * preparer (R-SIG-3). After an emergency release it is the late signature (补签).
 * @throws Refusal `SlipNotAwaitingSignatures`, `PeriodClosed`, `PreparerMaySign`, `AlreadySigned`, `DutyAlreadySigned`, `ContentChanged`, `ReasonMissing`, 403, 412
 */
export function signSlip(
  ctx: Context,
  { number, duty, decision, comment, contentHash, ifMatch }: SignSlip
): Promise<SlipView> {
  return unchangedSince(async () => {
    const { slip, warehouse } = await loadSlip(ctx, number)
    const isLate = slip.state === 'posted' && slip.lateDuty === duty && slip.lateSettledAt === null
    const signer = requireSigner(ctx, slip, {
      duty,
      warehouse,
      barred:
        isLate && slip.postedById !== null
          ? {
              personId: slip.postedById,
              because: `whoever released ${number} does not give the signature that was missing`
            }
          : undefined
    })
    requireMatch(ifMatch, slip.version)
    if (slip.state !== 'awaiting-signatures' && !isLate) {
      throw new Refusal(
        'SlipNotAwaitingSignatures',
        409,
        `slip ${number} is ${slip.state}; only submitted slips are signed`
      )
    }
    if (decision === 'refuse' && comment === undefined) {
      throw new Refusal('ReasonMissing', 422, 'a refusal says why; the preparer has to know what to mend', {
        errors: [{ pointer: '/comment', detail: 'is missing' }]
      })
    }
    if (decision === 'refuse' && isLate) {
      throw new Refusal(
        'GoodsAreGone',
        409,
        `the goods of ${number} have left; if they should not have, have the slip reversed, which settles the late signature`
      )
    }
    const hash = slipHash(slip, warehouse)
    if (contentHash !== undefined && contentHash !== hash) {
      throw new Refusal(
        'ContentChanged',
        409,
        `slip ${number} has changed since you read it; read it again before you sign`,
        { extra: { contentHash: hash } }
      )
    }
    const at = ctx.clock.now().toString()
    const signature: Signature = {
      duty,
      personId: signer.personId,
      username: ctx.actor.username,
      onBehalfOf: null,
      onBehalfOfId: null,
      decision,
      comment: comment ?? null,
      contentHash: hash,
      signedAt: at
    }
    const signatures = decision === 'refuse' ? [] : [...slip.signatures, signature]
    const state: SlipState = isLate
      ? 'posted'
      : decision === 'refuse'
        ? 'refused'
        : dutiesAwaited({ ...slip, signatures }).length === 0
          ? 'approved'
          : 'awaiting-signatures'
    const [signed] = await run(ctx, SIGN, [
      warehouse.id,
      slip.id,
      slip.version,
      state,
      at,
      duty,
      signer.personId,
      signer.onBehalfOf,
      decision,
      comment ?? null,
      hash,
      ctx.actor.username
    ]).catch((error: unknown) => {
      throw signingRefusal(error, number)
    })
    if (signed === undefined) {
      if (!isLate && decision === 'approve') await refuseClosedMonth(ctx, warehouse, slip, 'signed')
      return undefined
    }
    // Standing in for somebody is rare enough to read the name again.
    if (signer.onBehalfOf !== null) return readSlip(ctx, { number })
    return viewOf(
      ctx,
      {
        ...slip,
        ...signed,
        state,
        signatures,
        refusal: decision === 'refuse' ? { by: ctx.actor.username, duty, reason: comment ?? '', at } : null,
        approvedAt: state === 'approved' ? at : slip.approvedAt,
        lateSettledAt: isLate ? at : slip.lateSettledAt
      },
      warehouse,
      hash
    )
  })
}

/** One signer, many slips: each is signed on its own, and one that cannot be signed holds up none of the others. */
export async function signSlips(
  ctx: Context,
  {
    slips,
    ...decision
  }: Omit<SignSlip, 'number' | 'contentHash' | 'ifMatch'> & {
    slips: (string | { number: string; contentHash: string })[]
  }
) {
  const results: { number: string; state: SlipState | null; problem: { code: string; detail: string } | null }[] = []
  // With an Idempotency-Key all of it is one transaction: in the order of their numbers, two signers wait for each other instead of blocking each other.
  const chosen = slips.map((slip) => (typeof slip === 'string' ? { number: slip } : slip))
  for (const { number, ...read } of chosen.toSorted((a, b) => (a.number < b.number ? -1 : 1))) {
    try {
      const { state } = await signSlip(ctx, { number, ...read, ...decision })
      results.push({ number, state, problem: null })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      results.push({ number, state: null, problem: { code: error.code, detail: error.message } })
    }
  }
  const signed = results.filter(({ problem }) => problem === null).length
  return {
    signed,
    refused: results.length - signed,
    results: results.sort(
      (a, b) =>
        chosen.findIndex(({ number }) => number === a.number) - chosen.findIndex(({ number }) => number === b.number)
    )
  }
}
