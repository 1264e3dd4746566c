import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { instant } from '../platform/clock.ts'
import { signingRefusal, type Decision, type Signature } from './sign.ts'

/**
 * The signatures of a document that count, in the order in which they were given, as SQL: a JSON array of `Signature`.
 * @param warehouse the owner of the document, @param document its id, both as SQL
 */
export const signaturesOf = (warehouse: string, document: string): string => `
       coalesce((select json_agg(json_build_object(
                 'duty', g.duty, 'personId', g.person_id, 'username', signer.username, 'onBehalfOf', absent.username, 'onBehalfOfId', g.on_behalf_of, 'decision', g.decision,
                 'comment', g.comment, 'contentHash', g.content_hash, 'signedAt', g.signed_at) order by g.id)
          from signature g join person signer on signer.id = g.person_id left join person absent on absent.id = g.on_behalf_of
         where g.warehouse_id = ${warehouse} and g.document_id = ${document} and g.voided_at is null), '[]')`

/** A signature as it is shown. */
export const signatureView = ({ duty, username, onBehalfOf, decision, comment, contentHash, signedAt }: Signature) => ({
  duty,
  signedBy: username,
  onBehalfOf,
  decision,
  comment,
  contentHash,
  signedAt: instant(signedAt)
})

const GIVE = statement<never>(`
with given as (
  insert into signature (warehouse_id, document_id, duty, person_id, on_behalf_of, decision, comment, content_hash, signed_at, voided_at)
  values ($1, $3, $4::text, $5::int, $6::int, $7::text, $8::text, $9::text, $10::timestamptz, case when $7::text = 'refuse' then $10::timestamptz end)
), voided as (
  update signature set voided_at = $10::timestamptz where warehouse_id = $1 and document_id = $3 and voided_at is null and $7::text = 'refuse'
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $10::timestamptz, $5::int, $11,
        jsonb_strip_nulls(jsonb_build_object('of', $12::text, 'duty', $4::text, 'comment', $8::text, 'contentHash', $9::text, 'onBehalfOf', (select username from person where id = $6::int))))`)

/**
 * Writes the signature of somebody whom `requireSigner` let through, and the line of history that says so; a refusal voids what was signed
 * so far. In the transaction of the caller, who has locked the document. Slips are signed by a statement of their own.
 * @param id of the document; `signedId` of the part of it that is signed, where that has signatures of its own, with `of` what it is
 * @throws Refusal 409 `AlreadySigned`, `DutyAlreadySigned`
 */
export async function giveSignature(
  ctx: Context,
  {
    warehouseId,
    id,
    number,
    signedId = id,
    of
  }: { warehouseId: number; id: string; number: string; signedId?: string; of?: string },
  {
    duty,
    decision,
    comment,
    personId,
    onBehalfOf,
    hash,
    event
  }: Omit<Decision, 'duty'> & {
    /** A duty, or what else somebody signs as: the keepers who hand over sign as the people they are. */
    duty: string
    personId: number
    onBehalfOf: number | null
    hash: string
    event: 'signed' | 'approved' | 'refused'
  }
): Promise<void> {
  await run(ctx, GIVE, [
    warehouseId,
    id,
    signedId,
    duty,
    personId,
    onBehalfOf,
    decision,
    comment ?? null,
    hash,
    ctx.clock.now().toString(),
    event,
    of ?? null
  ]).catch((error: unknown) => {
    throw signingRefusal(error, number)
  })
}
