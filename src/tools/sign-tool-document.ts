import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, Refusal } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { noteEvent } from '../signing/document-history.ts'
import { requireSubmittedContent } from '../signing/sign.ts'
import { lockTools, moveTools, requireFree, type CustodyKind, type Destination } from './custody.ts'
import { emptyKits, leaveKits, moveKit } from './kits.ts'
import { requireThere, type From } from './named-tools.ts'
import { holdOpen } from './register-tools.ts'
import { requireTechnician } from './technician.ts'
import {
  hashOf,
  loadToolDocument,
  lockOpenDocument,
  ownerOf,
  readToolDocument,
  requirePersonToSign,
  rolesOf,
  SIGN,
  targetOf,
  type ToolDocument
} from './tool-document.ts'
import type { Role, ToolDocumentKind, ToolDocumentView } from './tools.schemas.ts'

const BECOMES: Record<ToolDocumentKind, CustodyKind> = {
  issue: 'issued',
  return: 'returned',
  'hand-over': 'handed-over',
  transfer: 'transferred'
}

const SETTLE = statement<never>(`
with closed as (
  update tool_document_line set open = false where warehouse_id = $1 and document_id = $2
)
update tool_document set state = $3, taker_id = coalesce(taker_id, $4), settled_by = $5, settled_at = $6, reason = $7, version = version + 1
 where warehouse_id = $1 and id = $2`)
const TOUCH = statement<never>('update tool_document set version = version + 1 where warehouse_id = $1 and id = $2')

/** Ends a document that the caller holds: its tools are free then. */
export const settleDocument = (
  ctx: Context,
  { warehouseId, id }: Pick<ToolDocument, 'warehouseId' | 'id'>,
  {
    state,
    takerId = null,
    reason = null
  }: { state: 'effective' | 'refused' | 'cancelled'; takerId?: number | null; reason?: string | null }
): Promise<unknown> =>
  run(ctx, SETTLE, [warehouseId, id, state, takerId, ctx.actor.personId, ctx.clock.now().toString(), reason])

/**
 * In which role the actor signs a document. A technician signs in person for their own custody; a return and a transfer are taken by a keeper
 * who has the tools in hand and did not give them.
 * @throws Refusal 403 `PersonMustSign`, `DutyRequired`, `NotYoursToSign`, 409 `AlreadySigned`, 422 `GiverTakes`
 */
export function roleToSign(ctx: Context, document: ToolDocument): Role {
  requirePersonToSign(ctx)
  const { personId, username } = ctx.actor
  const { number, kind, giver, taker } = document
  if (document.signatures.some(({ by }) => by === username))
    throw new Refusal('AlreadySigned', 409, `you signed ${number} already; it awaits somebody else`)
  if (kind === 'return' || kind === 'transfer') {
    requireDuty(ctx, 'keeper', targetOf(document) ?? ownerOf(document))
    if (document.giverId === personId)
      throw new Refusal('GiverTakes', 422, `you give the tools of ${number}; another keeper takes them and signs`)
    return 'taker'
  }
  if (document.takerId === personId) return 'taker'
  if (document.giverId === personId) return 'giver'
  throw new Refusal(
    'NotYoursToSign',
    403,
    `${number} is signed by ${kind === 'issue' ? taker : `${giver} and ${taker}`} in person; custody is personal, and nobody signs for somebody else`
  )
}

/** Where the tools of a document are until it takes effect, and where they go to. */
function wayOf(document: ToolDocument, signer: number): { from: From; to: Destination; takerId: number } {
  const { kind, giverId, takerId, toWarehouseId } = document
  const from: From =
    kind === 'return' || kind === 'hand-over'
      ? { place: 'custody', personId: giverId ?? 0, username: document.giver ?? '' }
      : { place: 'shelf' }
  if (kind === 'issue' || kind === 'hand-over')
    return { from, to: { place: 'custody', personId: takerId ?? 0 }, takerId: takerId ?? 0 }
  return {
    from,
    to: { place: 'shelf', ...(toWarehouseId !== null && { warehouseId: toWarehouseId }) },
    takerId: signer
  }
}

/**
 * Signs a document about tools; with the last signature that it needs it takes effect, and the custody journal says so.
 * @throws Refusal those of `roleToSign`, 409 `ToolDocumentSettled`, `ContentChanged`, `SignatureOfOtherContent`, `ToolNotThere`, `ToolHeld`,
 *   `WarehouseClosed`, 422 `NotTechnician`, 404, 412
 */
export function signToolDocument(
  ctx: Context,
  { number, contentHash, ifMatch }: { number: string; contentHash?: string | undefined; ifMatch?: string | undefined }
): Promise<ToolDocumentView> {
  return inTransaction(ctx, async (inner) => {
    const read = await loadToolDocument(inner, number)
    // Held before the document: see the lock order in custody.ts.
    if (read.state === 'awaiting-signatures' && read.taker !== null && read.takerId !== null) {
      roleToSign(inner, read)
      await requireTechnician(inner, { id: read.takerId, username: read.taker }, ownerOf(read))
    }
    const document = await lockOpenDocument(inner, number)
    requireMatch(ifMatch, document.version)
    const role = roleToSign(inner, document)
    const hash = hashOf({ ...document, taker: takerOfContent(document) })
    requireSubmittedContent(
      { number, preparers: [], duties: [], signatures: [], contentHash: document.contentHash },
      { duty: 'keeper', decision: 'approve', contentHash },
      hash
    )
    await run(inner, SIGN, [
      document.warehouseId,
      document.id,
      role,
      inner.actor.personId,
      hash,
      inner.clock.now().toString()
    ]).catch((error: unknown) => {
      throw constraintOf(error)?.startsWith('tool_signature_') === true
        ? new Refusal('AlreadySigned', 409, `${number} was signed a moment ago; read it again`)
        : error
    })
    await noteEvent(inner, document, `tool-${document.kind}-signed`, { document: number, role })
    const signed = new Set([role, ...document.signatures.map((signature) => signature.role)])
    if (rolesOf(document.kind).every((needed) => signed.has(needed))) await takeEffect(inner, document)
    else await run(inner, TOUCH, [document.warehouseId, document.id])
    return readToolDocument(inner, { number })
  })
}

/** Of a return and a transfer nobody is named who takes, when it is drawn up. */
const takerOfContent = ({ kind, taker }: ToolDocument): string | null =>
  kind === 'issue' || kind === 'hand-over' ? taker : null

async function takeEffect(ctx: Context, document: ToolDocument): Promise<void> {
  const { from, to, takerId } = wayOf(document, ctx.actor.personId)
  const owner = ownerOf(document)
  if (document.toWarehouseId !== null) await holdOpen(ctx, [document.toWarehouseId])
  if (from.place === 'custody') await emptyKits(ctx, document.warehouseId, from.personId, document.toolIds)
  if (document.kitId !== null)
    await moveKit(ctx, document.warehouseId, document.kitId, to.place === 'custody' ? to.personId : null)
  const tools = await lockTools(ctx, document.toolIds)
  for (const tool of tools) {
    requireThere(ctx, tool, owner, from)
    requireFree({ ...tool, openDocument: null })
  }
  // Before the tools: they leave the kits of the register that they leave.
  if (document.kind === 'transfer') await leaveKits(ctx, document.toolIds)
  await moveTools(ctx, { tools, to, kind: BECOMES[document.kind], documentId: document.id })
  await settleDocument(ctx, document, { state: 'effective', takerId })
  await noteEvent(ctx, document, `tools-${BECOMES[document.kind]}`, {
    document: document.number,
    giver: document.giver,
    taker: takerId === ctx.actor.personId ? ctx.actor.username : document.taker,
    tools: document.lines.map(({ serial }) => serial)
  })
}
