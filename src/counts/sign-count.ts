import type { Context, Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { othersAwaited, requireSigner, requireSubmittedContent } from '../signing/sign.ts'
import { giveSignature } from '../signing/signatures.ts'
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

const SIGN = statement<never>(`
update stock_count
   set version = version + 1, state = $3::text,
       approved_at = case when $3::text = 'approved' then $4::timestamptz end,
       submitted_at = case when $5::text = 'refuse' then null else submitted_at end,
       content_hash = case when $5::text = 'refuse' then null else content_hash end,
       refusal = case when $5::text = 'refuse' then jsonb_build_object('by', $6::text, 'duty', $7::text, 'reason', $8::text, 'at', $4::timestamptz) end
 where warehouse_id = $1 and id = $2`)

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
      decision,
      inner.actor.username,
      duty,
      comment ?? null
    ])
    const event = decision === 'refuse' ? 'refused' : state === 'approved' ? 'approved' : 'signed'
    await giveSignature(
      inner,
      { warehouseId: warehouse.id, id: count.id, number },
      { ...given, ...signer, hash, event }
    )
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
