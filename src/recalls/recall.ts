import { requireDutyToRead, type Context, type Duty } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { contentHash } from '../signing/content-hash.ts'
import { dutiesAwaited, type Signature } from '../signing/sign.ts'
import { signaturesOf, signatureView } from '../signing/signatures.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { recallProgress } from './recall-progress.ts'
import type { EndingKind, EndingState, RecallReach, RecallState, RecallView } from './recalls.schemas.ts'

/** Who opens recalls and proposes their end, everywhere. */
export const RECALLING_DUTIES: readonly Duty[] = ['stock-controller', 'administrator']
/** Who signs a large recall besides whoever opened it: somebody who answers for something else. */
export const SECOND_DUTIES: readonly Duty[] = ['hq-finance', 'operations-supervisor']
/** Who follows a recall through the whole network, in the head office or everywhere. */
export const RECALL_READERS: readonly Duty[] = [
  'stock-controller',
  'hq-finance',
  'operations-supervisor',
  'purchaser',
  'administrator'
]

export interface RecallEnding {
  id: string
  kind: EndingKind
  state: EndingState
  lines: number[] | null
  reason: string
  duties: Duty[]
  proposedById: number
  proposedForId: number | null
  proposedBy: string
  proposedAt: string
  contentHash: string
  refusal: { by: string; duty: string; reason: string; at: string } | null
  settledAt: string | null
  signatures: Signature[]
}

export interface Recall {
  id: string
  number: string
  title: string
  reason: string
  state: RecallState
  version: number
  openedById: number
  openedForId: number | null
  openedBy: string
  openedAt: string
  startedAt: string | null
  endedAt: string | null
  endedBecause: string | null
  reach: RecallReach
  contentHash: string
  signatures: Signature[]
  lines: {
    line: number
    partId: number
    part: string
    name: string
    nameZh: string | null
    receivedFrom: string | null
    receivedTo: string | null
    supplier: string | null
    supplierId: number | null
    originWarehouseId: number | null
    originLotId: string | null
    lot: string | null
    liftedAt: string | null
  }[]
  endings: RecallEnding[]
}

const RECALL = statement<Recall>(`
select r.id::text as id, r.number, r.title, r.reason, r.state, r.version, r.opened_by as "openedById", r.opened_for as "openedForId", opener.username as "openedBy", r.opened_at as "openedAt",
       r.started_at as "startedAt", r.ended_at as "endedAt", r.ended_because as "endedBecause", r.reach, r.content_hash as "contentHash", ${signaturesOf('r.warehouse_id', 'r.id')} as signatures,
       (select json_agg(json_build_object(
                 'line', l.line_no, 'partId', l.part_id, 'part', part.number, 'name', part.name, 'nameZh', part.name_zh, 'receivedFrom', l.received_from, 'receivedTo', l.received_to,
                 'supplier', supplier.code, 'supplierId', l.supplier_id, 'originWarehouseId', l.origin_warehouse_id, 'originLotId', l.origin_lot_id::text,
                 'lot', origin.code || '/' || l.origin_lot_id, 'liftedAt', l.lifted_at) order by l.line_no)
          from recall_line l
          join part on part.id = l.part_id
          left join supplier on supplier.id = l.supplier_id
          left join warehouse origin on origin.id = l.origin_warehouse_id
         where l.warehouse_id = r.warehouse_id and l.recall_id = r.id) as lines,
       coalesce((select json_agg(json_build_object(
                 'id', e.id::text, 'kind', e.kind, 'state', e.state, 'lines', e.lines, 'reason', e.reason, 'duties', e.duties, 'proposedById', e.proposed_by, 'proposedForId', e.proposed_for,
                 'proposedBy', proposer.username, 'proposedAt', e.proposed_at, 'contentHash', e.content_hash, 'refusal', e.refusal, 'settledAt', e.settled_at,
                 'signatures', ${signaturesOf('e.warehouse_id', 'e.id')}) order by e.ending_no)
          from recall_ending e join person proposer on proposer.id = e.proposed_by
         where e.warehouse_id = r.warehouse_id and e.recall_id = r.id), '[]') as endings
  from recall r join person opener on opener.id = r.opened_by
 where r.warehouse_id = $1 and r.number = $2`)

const warehouseOf = (number: string): string => number.replace(/-RCL-\d{6}-\d+$/, '')

/**
 * A recall, with the head office it belongs to. What it names is no secret from anybody who is signed in: whoever handles the goods has to
 * know. Where goods of it lie and went is shown by what one may see.
 * @throws Refusal 404
 */
export async function loadRecall(ctx: Context, number: string): Promise<{ recall: Recall; office: Warehouse }> {
  const unknown = () => notFound('recall', number)
  const office = await warehouseByCode(ctx, warehouseOf(number)).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? unknown() : error
  })
  const [recall] = await run(ctx, RECALL, [office.id, number])
  if (recall === undefined) throw unknown()
  return { recall, office }
}

/** Whether the actor follows recalls through the whole network. */
export function mayFollow(ctx: Context, office: Warehouse): boolean {
  try {
    requireDutyToRead(ctx, RECALL_READERS, office)
    return true
  } catch (error) {
    if (error instanceof Refusal) return false
    throw error
  }
}

const LOCK = statement<never>(`select 1 from recall where warehouse_id = $1 and number = $2 for no key update`)

/**
 * Takes a recall for the rest of the transaction: whoever signs, ends or sends back goods of it waits here.
 * @throws Refusal 404, 412 `VersionStale`
 */
export async function lockRecall(
  ctx: Context,
  number: string,
  ifMatch?: string
): Promise<{ recall: Recall; office: Warehouse }> {
  const { office } = await loadRecall(ctx, number)
  await run(ctx, LOCK, [office.id, number])
  const { recall } = await loadRecall(ctx, number)
  requireMatch(ifMatch, recall.version)
  return { recall, office }
}

/** The lifting or closing that awaits signatures, if there is one. */
export const openEnding = ({ endings }: Pick<Recall, 'endings'>): RecallEnding | undefined =>
  endings.find(({ state }) => state === 'awaiting-signatures')

/** What the second signature of a recall binds to (R-SIG-2). */
export const recallHash = (
  recall: Pick<Recall, 'number' | 'title' | 'reason' | 'openedBy'> & {
    lines: readonly Pick<Recall['lines'][number], 'part' | 'receivedFrom' | 'receivedTo' | 'supplier' | 'lot'>[]
  },
  office: { code: string }
): string =>
  contentHash({
    number: recall.number,
    warehouse: office.code,
    title: recall.title,
    reason: recall.reason,
    openedBy: recall.openedBy,
    lines: recall.lines.map(({ part, receivedFrom, receivedTo, supplier, lot }, place) => ({
      line: place + 1,
      part,
      receivedFrom,
      receivedTo,
      supplier,
      lot
    }))
  })

/** What signatures of a lifting or closing bind to: which goods, why, and who proposed it. */
export const endingHash = (
  recall: Pick<Recall, 'number' | 'lines' | 'contentHash'>,
  ending: Pick<RecallEnding, 'kind' | 'lines' | 'reason' | 'duties' | 'proposedBy'>
): string =>
  contentHash({
    recall: recall.number,
    recallHash: recall.contentHash,
    kind: ending.kind,
    lines: ending.lines,
    reason: ending.reason,
    duties: ending.duties,
    proposedBy: ending.proposedBy
  })

/** One recall as it is now; what concerns the whole network is left away for whoever does not follow it there. */
export async function recallView(ctx: Context, recall: Recall, office: Warehouse): Promise<RecallView> {
  const follows = mayFollow(ctx, office)
  const ending = openEnding(recall)
  return {
    number: recall.number,
    warehouse: office.code,
    title: recall.title,
    reason: recall.reason,
    state: recall.state,
    version: recall.version,
    openedBy: recall.openedBy,
    openedAt: instant(recall.openedAt),
    startedAt: instantOrNull(recall.startedAt),
    endedAt: instantOrNull(recall.endedAt),
    endedBecause: recall.endedBecause,
    lines: recall.lines.map(({ line, part, name, nameZh, receivedFrom, receivedTo, supplier, lot, liftedAt }) => ({
      line,
      part,
      name,
      nameZh,
      receivedFrom,
      receivedTo,
      supplier,
      lot,
      liftedAt: instantOrNull(liftedAt)
    })),
    reach: follows ? recall.reach : null,
    contentHash: recall.contentHash,
    signatures: recall.signatures.map(signatureView),
    awaiting:
      recall.state === 'awaiting-second-signature'
        ? [...SECOND_DUTIES]
        : ending === undefined
          ? []
          : dutiesAwaited(ending),
    endings: recall.endings.map((one) => ({
      kind: one.kind,
      state: one.state,
      lines: one.lines ?? recall.lines.map(({ line }) => line),
      reason: one.reason,
      proposedBy: one.proposedBy,
      proposedAt: instant(one.proposedAt),
      contentHash: one.contentHash,
      duties: one.duties,
      signatures: one.signatures.map(signatureView),
      awaiting: one.state === 'awaiting-signatures' ? dutiesAwaited(one) : [],
      refusal: one.refusal === null ? null : { ...one.refusal, at: instant(one.refusal.at) },
      settledAt: instantOrNull(one.settledAt)
    })),
    progress: follows && recall.startedAt !== null ? await recallProgress(ctx, { recall, office }) : null
  }
}

/** One recall, as an answer. */
export async function readRecall(ctx: Context, { number }: { number: string }): Promise<RecallView> {
  const { recall, office } = await loadRecall(ctx, number)
  return recallView(ctx, recall, office)
}
