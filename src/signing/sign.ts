import { requireDuty, type Context, type Duty, type WarehouseRef } from '../identity/actor.ts'
import { constraintOf, Refusal } from '../platform/errors.ts'

/** A signature that counts. */
export interface Signature {
  duty: Duty
  personId: number
  username: string
  /** Who was stood in for. */
  onBehalfOf: string | null
  onBehalfOfId: number | null
  decision: 'approve' | 'refuse'
  comment: string | null
  contentHash: string
  signedAt: string
}

/** What signing needs to know of a document. */
export interface Signable {
  number: string
  /** Everybody who wrote on it. */
  preparers: readonly number[]
  /** The duties that must sign; three at least. */
  duties: readonly Duty[]
  signatures: readonly Signature[]
}

/** The duties that have not signed yet, in the order of the policy. */
export const dutiesAwaited = ({ duties, signatures }: Pick<Signable, 'duties' | 'signatures'>): Duty[] =>
  duties.filter((duty) => !signatures.some((signature) => signature.duty === duty))

/**
 * Whether the actor may sign a document for a duty now: holds the duty there, is a person, did not prepare the document,
 * has not signed it for another duty, and the duty is still awaited (R-SIG-1). Whoever is stood in for counts like the signer:
 * neither a preparer nor somebody whose authority was used already signs through a deputy, and no act counts twice (R-ORG-2).
 * @param barred further people who may not sign this one, with the reason
 * @returns who signs, and for whom while standing in
 */
export function requireSigner(
  ctx: Context,
  document: Signable,
  {
    duty,
    warehouse,
    barred
  }: { duty: Duty; warehouse: WarehouseRef; barred?: { personId: number; because: string } | undefined }
) {
  const { personId } = ctx.actor
  const spent = new Map(
    document.signatures.flatMap((signature) =>
      [signature.personId, signature.onBehalfOfId ?? signature.personId].map((id) => [id, signature] as const)
    )
  )
  const isFree = (id: number): boolean => !document.preparers.includes(id) && !spent.has(id) && id !== barred?.personId
  const grant = requireDuty(ctx, duty, warehouse, ({ onBehalfOf }) => isFree(onBehalfOf ?? personId))
  if (ctx.actor.isMachine) throw new Refusal('PersonMustSign', 403, 'an API key never signs; sign in as a person')
  if (!document.duties.includes(duty)) {
    throw new Refusal(
      'DutyNotAsked',
      422,
      `${document.number} is not signed by ${duty}; it is signed by ${document.duties.join(', ')}`
    )
  }
  for (const id of new Set([personId, grant.onBehalfOf ?? personId])) {
    const who = id === personId ? 'you' : 'whom you stand in for'
    if (document.preparers.includes(id)) {
      throw new Refusal(
        'PreparerMaySign',
        422,
        `the person who prepared ${document.number}, ${who}, never signs it; ask somebody else with the duty ${duty}`
      )
    }
    if (id === barred?.personId)
      throw new Refusal('SignerBarred', 422, `${barred.because}; ask somebody else with the duty ${duty}`)
    const earlier = spent.get(id)
    if (earlier !== undefined) {
      throw new Refusal(
        'AlreadySigned',
        409,
        `${document.number} is signed as ${earlier.duty} by ${id === personId ? 'you, or on your behalf' : 'the person you stand in for, or on their behalf'}; ${document.duties.length === 2 ? 'two' : 'three'} different people sign, so somebody else signs as ${duty}`
      )
    }
  }
  if (!dutiesAwaited(document).includes(duty)) {
    throw new Refusal(
      'DutyAlreadySigned',
      409,
      `${document.number} is already signed as ${duty}; awaited: ${dutiesAwaited(document).join(', ') || 'nobody'}`
    )
  }
  return { personId, onBehalfOf: grant.onBehalfOf }
}

/** What the unique keys of `signature` forbid, when two signatures arrive at once; any other error is handed back as it is. */
export function signingRefusal(error: unknown, number: string): unknown {
  switch (constraintOf(error)) {
    case 'signature_one_per_person':
    case 'signature_one_per_principal':
      return new Refusal('AlreadySigned', 409, `you signed ${number} a moment ago; one person signs once`)
    case 'signature_one_per_duty':
      return new Refusal('DutyAlreadySigned', 409, `${number} was signed for this duty a moment ago`)
    default:
      return error
  }
}

/** What somebody says who signs. */
export interface Decision {
  duty: Duty
  decision: 'approve' | 'refuse'
  comment?: string | undefined
  /** What the signer has read. */
  contentHash?: string | undefined
}

/**
 * For documents on which head office has the last word: the duties that are awaited besides the one that signs.
 * @throws Refusal 422 `HeadOfficeSignsLast`, `ReasonMissing`
 */
export function othersAwaited(document: Signable, { duty, decision, comment }: Decision): Duty[] {
  const others = dutiesAwaited(document).filter((awaited) => awaited !== duty)
  if (duty === 'stock-controller' && decision === 'approve' && others.length > 0) {
    throw new Refusal(
      'HeadOfficeSignsLast',
      422,
      `head office approves what the others have signed; ${document.number} still awaits ${others.join(', ')}`,
      { extra: { awaiting: others } }
    )
  }
  if (decision === 'refuse' && comment === undefined) {
    throw new Refusal('ReasonMissing', 422, 'a refusal says why; the preparer has to know what to mend', {
      errors: [{ pointer: '/comment', detail: 'is missing' }]
    })
  }
  return others
}

/**
 * For documents whose lines stand still while they await signatures: what is signed is what the signer has read, and what was submitted.
 * Another content was written behind the service's back, and can only be refused (R-SIG-2).
 * @param hash of the content as it is now
 * @throws Refusal 409 `ContentChanged`, `SignatureOfOtherContent`
 */
export function requireSubmittedContent(
  { number, contentHash: submitted, signatures }: Signable & { contentHash: string | null },
  { decision, contentHash: read }: Decision,
  hash: string
): void {
  if (read !== undefined && read !== hash) {
    throw new Refusal('ContentChanged', 409, `${number} has changed since you read it; read it again before you sign`, {
      extra: { contentHash: hash }
    })
  }
  if (
    decision === 'approve' &&
    [submitted, ...signatures.map(({ contentHash }) => contentHash)].some((one) => one !== hash)
  ) {
    throw new Refusal(
      'SignatureOfOtherContent',
      409,
      `the lines of ${number} are not those that were submitted; refuse it, so that it is checked and submitted anew`,
      { extra: { contentHash: hash } }
    )
  }
}
