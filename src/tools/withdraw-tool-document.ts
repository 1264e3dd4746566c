import { covers, grantsToday, requireDuty, requireWriting, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { requireMatch } from '../platform/etag.ts'
import { noteEvent } from '../signing/document-history.ts'
import { roleToSign, settleDocument } from './sign-tool-document.ts'
import { lockOpenDocument, ownerOf, readToolDocument } from './tool-document.ts'
import type { ToolDocumentView } from './tools.schemas.ts'

interface Withdrawal {
  number: string
  reason: string
  ifMatch?: string | undefined
}

/**
 * Refuses a document instead of signing it, with the reason; its tools stay where they are, and are free again.
 * @throws Refusal those of `roleToSign`, 409 `ToolDocumentSettled`, 404, 412
 */
export function refuseToolDocument(ctx: Context, { number, reason, ifMatch }: Withdrawal): Promise<ToolDocumentView> {
  return inTransaction(ctx, async (inner) => {
    const document = await lockOpenDocument(inner, number)
    requireMatch(ifMatch, document.version)
    const role = roleToSign(inner, document)
    await settleDocument(inner, document, { state: 'refused', reason })
    await noteEvent(inner, document, `tool-${document.kind}-refused`, { document: number, role, reason })
    return readToolDocument(inner, { number })
  })
}

/**
 * Drops a document that never took effect: who drew it up may, and every keeper of the warehouse that owns the tools.
 * @throws Refusal 409 `ToolDocumentSettled`, 403 `DutyRequired`, `ReadOnlyKey`, 404, 412
 */
export function cancelToolDocument(ctx: Context, { number, reason, ifMatch }: Withdrawal): Promise<ToolDocumentView> {
  return inTransaction(ctx, async (inner) => {
    const document = await lockOpenDocument(inner, number)
    requireMatch(ifMatch, document.version)
    const owner = ownerOf(document)
    const isKeeper = grantsToday(inner).some((grant) => grant.duty === 'keeper' && covers(grant, owner))
    if (isKeeper || document.preparedBy !== inner.actor.username) requireDuty(inner, 'keeper', owner)
    else requireWriting(inner)
    await settleDocument(inner, document, { state: 'cancelled', reason })
    await noteEvent(inner, document, `tool-${document.kind}-cancelled`, { document: number, reason })
    return readToolDocument(inner, { number })
  })
}
