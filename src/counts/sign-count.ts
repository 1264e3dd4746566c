import type { Context, Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { othersAwaited, requireSigner, requireSubmittedContent, signingRefusal } from '../signing/sign.ts'
import { adjustStock } from './adjust-stock.ts'
import { countHash, loadCount, lockCount, viewOfCount } from './count.ts'
import type { CountState, CountView } from './counts.schemas.ts'

export interface SignCount {
  number: string
  duty: Duty
  decision: 'approve' | 'refuse'
  comment?: string | undefined
  /** What the signer has read; signing something else is refused. */
  contentHash?: string | undefined
  ifMatch?: string | undefined
}

// Everybody who ever wrote on it, and everybody in whose name that was done; who handed it in stands last. Setting aside and
// verifying is supervision, not writing.
const PREPARERS = statement<{ id: number }>(`
select id from (
  select counted_by as id from count_entry where warehouse_id = $1 and count_id = $2
   union select counted_for from count_entry where warehouse_id = $1 and count_id = $2
   union select unnest(explainers) from count_line where warehouse_id = $1 and count_id = $2
   union select added_by from count_line where warehouse_id = $1 and count_id = $2
   union select $3::int) wrote
 where id is not null
 order by id = $3::int, id`)

const SIGN = statement<{ version: number }>(`
with signed as (
  update stock_count
     set version = version + 1, state = $3::text,
         approved_at = case when $3::text = 'approved' then $4::timestamptz end,
         submitted_at = case when $8::text = 'refuse' then null else submitted_at end,
         content_hash = case when $8::text = 'refuse' then null else content_hash end,
         refusal = case when $8::text = 'refuse' then jsonb_build_object('by', $11::text, 'duty', $5::text, 'reason', $9::text, 'at', $4::timestamptz) end
   where warehouse_id = $1 and id = $2
  returning version
), given as (
  insert into signature (warehouse_id, document_id, duty, person_id, on_behalf_of, decision, comment, content_hash, signed_at, voided_at)
  select $1, $2, $5::text, $6::int, $7::int, $8::text, $9::text, $10::text, $4::timestamptz, case when $8::text = 'refuse' then $4::timestamptz end from signed
), voided as (
  update signature set voided_at = $4::timestamptz where warehouse_id = $1 and document_id = $2 and voided_at is null and $8::text = 'refuse'
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, $2, $4::timestamptz, $6::int, case when $8::text = 'refuse' then 'refused' when $3::text = 'approved' then 'approved' else 'signed' end,
         jsonb_strip_nulls(jsonb_build_object('duty', $5::text, 'comment', $9::text, 'contentHash', $10::text, 'onBehalfOf', (select username from person where id = $7::int))) from signed
)
select version from signed`)

/**
 * Signs a count: finance supervised it (监盘), the department answers for it, head office approves last and so adjusts the ledger
 * (R-CNT-4). A refusal with its reason opens it again. Nobody signs what they counted or explained.
 * @throws Refusal `CountNotAwaitingSignatures`, `HeadOfficeSignsLast`, `PreparerMaySign`, `PersonMustSign`, `AlreadySigned`, `ContentChanged`, `ReasonMissing`, 403, 404, 412
 */
export function signCount(
  ctx: Context,
  { number, duty, decision, comment, contentHash, ifMatch }: SignCount
): Promise<CountView> {
  return inTransaction(ctx, async (inner) => {
    await lockCount(inner, number, { mayWrite: () => undefined })
    const { count, warehouse } = await loadCount(inner, number)
    const preparers = (await run(inner, PREPARERS, [warehouse.id, count.id, count.submittedById])).map(({ id }) => id)
    const document = { ...count, preparers }
    const signer = requireSigner(inner, document, { duty, warehouse })
    requireMatch(ifMatch, count.version)
    if (count.state !== 'awaiting-signatures') {
      throw new Refusal(
        'CountNotAwaitingSignatures',
        409,
        `count ${number} is ${count.state}; ${count.state === 'counting' ? 'it is signed when the keeper has submitted it' : 'only submitted counts are signed'}`
      )
    }
    const given = { duty, decision, comment, contentHash }
    const others = othersAwaited(document, given)
    const hash = await countHash(inner, count, warehouse)
    requireSubmittedContent(document, given, hash)
    const state: CountState =
      decision === 'refuse' ? 'counting' : others.length === 0 ? 'approved' : 'awaiting-signatures'
    await run(inner, SIGN, [
      warehouse.id,
      count.id,
      state,
      inner.clock.now().toString(),
      duty,
      signer.personId,
      signer.onBehalfOf,
      decision,
      comment ?? null,
      hash,
      inner.actor.username
    ]).catch((error: unknown) => {
      throw signingRefusal(error, number)
    })
    if (state === 'approved') {
      await adjustStock(inner, warehouse, count, {
        id: count.id,
        number,
        duties: count.duties,
        preparers,
        submittedAt: count.submittedAt ?? inner.clock.now().toString()
      })
    }
    return viewOfCount(inner, number)
  })
}
