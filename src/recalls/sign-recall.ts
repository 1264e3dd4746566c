import { noteEvent } from '../signing/document-history.ts'
import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { narrowScopes, unblockStock } from '../ledger/block.ts'
import { noteFreedUnits, unitsUnderRecall } from '../loaners/recalled-units.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { publish } from '../platform/outbox.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { othersAwaited, requireSigner, requireSubmittedContent, type Decision } from '../signing/sign.ts'
import { giveSignature } from '../signing/signatures.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { requireNothingLeft } from './propose-ending.ts'
import {
  endingHash,
  lockRecall,
  openEnding,
  readRecall,
  recallHash,
  SECOND_DUTIES,
  type Recall,
  type RecallEnding
} from './recall.ts'
import type { EndingState, RecallState, RecallView, SignRecall } from './recalls.schemas.ts'
import { recallEvent, startRecall } from './start-recall.ts'

type Signing = SignRecall & { number: string; ifMatch?: string | undefined }

/**
 * Signs what awaits signatures of a recall: a large one before it takes effect, by one person of another duty than who opened it; or its lifting or
 * closing, by three different people, the stock controller last. A refusal drops what was proposed; goods that are blocked stay so.
 * @throws Refusal 409 `NothingToSign`, `ContentChanged`, `SignatureOfOtherContent`, `RecalledGoodsRemain`, `AlreadySigned`, `DutyAlreadySigned`, 422 `PreparerMaySign`,
 *   `DutyNotAsked`, `HeadOfficeSignsLast`, `ReasonMissing`, 403, 404, 412
 */
export function signRecall(ctx: Context, { number, ifMatch, ...given }: Signing): Promise<RecallView> {
  return afterDeadlock(() =>
    inTransaction(ctx, async (inner) => {
      const { recall, office } = await lockRecall(inner, number)
      const ending = openEnding(recall)
      if (recall.state === 'awaiting-second-signature') await signOpening(inner, { recall, office }, given, ifMatch)
      else if (ending === undefined) throw nothingToSign(inner, recall, office, given)
      else await signEnding(inner, { recall, office }, ending, given, ifMatch)
      return readRecall(inner, { number })
    })
  )
}

interface Of {
  recall: Recall
  office: Warehouse
}

/** Whoever may not sign is told so, rather than that there is nothing to sign. */
function nothingToSign(ctx: Context, recall: Recall, office: Warehouse, { duty }: Decision): Refusal {
  requireSigner(
    ctx,
    { number: recall.number, preparers: [], duties: [duty], signatures: [] },
    { duty, warehouse: office }
  )
  return new Refusal(
    'NothingToSign',
    409,
    `recall ${recall.number} is ${recall.state}, and nothing of it awaits signatures; propose its lifting or closing first`
  )
}

const SETTLE_OPENING = statement<never>(`
update recall set version = version + 1, state = $3::text, started_at = case when $3::text = 'running' then $4::timestamptz end,
       ended_at = case when $3::text = 'cancelled' then $4::timestamptz end, ended_because = case when $3::text = 'cancelled' then $5::text end
 where warehouse_id = $1 and id = $2`)

async function signOpening(ctx: Context, { recall, office }: Of, given: Decision, ifMatch?: string): Promise<void> {
  const document = {
    number: recall.number,
    preparers: preparers(recall.openedById, recall.openedForId),
    duties: SECOND_DUTIES,
    signatures: recall.signatures
  }
  const signer = requireSigner(ctx, document, { duty: given.duty, warehouse: office })
  requireMatch(ifMatch, recall.version)
  requireDutyEverywhere(ctx, given.duty)
  if (given.decision === 'refuse') requireReason(given)
  const hash = recallHash(recall, office)
  requireSubmittedContent({ ...document, contentHash: recall.contentHash }, given, hash)
  await giveSignature(
    ctx,
    { ...paper(recall, office), of: 'recall' },
    { ...given, ...signer, hash, event: eventOf(given) }
  )
  await run(ctx, SETTLE_OPENING, [
    office.id,
    recall.id,
    given.decision === 'approve' ? 'running' : 'cancelled',
    ctx.clock.now().toString(),
    given.comment ?? null
  ])
  if (given.decision === 'approve') await startRecall(ctx, recall.number)
}

const SETTLE_ENDING = statement<never>(`
with settled as (
  update recall_ending
     set state = $4::text, settled_at = case when $4::text <> 'awaiting-signatures' then $5::timestamptz end,
         refusal = case when $4::text = 'refused' then jsonb_build_object('by', $6::text, 'duty', $7::text, 'reason', $8::text, 'at', $5::timestamptz) end
   where warehouse_id = $1 and id = $3
)
update recall set version = version + 1 where warehouse_id = $1 and id = $2`)

async function signEnding(
  ctx: Context,
  { recall, office }: Of,
  ending: RecallEnding,
  given: Decision,
  ifMatch?: string
): Promise<void> {
  const document = {
    number: `the ${ending.kind} of ${recall.number}`,
    preparers: preparers(ending.proposedById, ending.proposedForId),
    duties: ending.duties,
    signatures: ending.signatures
  }
  const signer = requireSigner(ctx, document, { duty: given.duty, warehouse: office })
  requireMatch(ifMatch, recall.version)
  const others = othersAwaited(document, given)
  const hash = endingHash(recall, ending)
  requireSubmittedContent({ ...document, contentHash: ending.contentHash }, given, hash)
  const state: EndingState =
    given.decision === 'refuse' ? 'refused' : others.length === 0 ? 'in-effect' : 'awaiting-signatures'
  await giveSignature(
    ctx,
    { ...paper(recall, office), signedId: ending.id, of: ending.kind },
    { ...given, ...signer, hash, event: eventOf(given) }
  )
  await run(ctx, SETTLE_ENDING, [
    office.id,
    recall.id,
    ending.id,
    state,
    ctx.clock.now().toString(),
    ctx.actor.username,
    given.duty,
    given.comment ?? null
  ])
  if (state !== 'in-effect') return
  if (ending.kind === 'lifting') await lift(ctx, { recall, office }, ending)
  else await close(ctx, { recall, office }, ending)
}

const paper = ({ id, number }: Recall, office: Warehouse) => ({ warehouseId: office.id, id, number })
const eventOf = ({ decision }: Decision) => (decision === 'refuse' ? ('refused' as const) : ('signed' as const))

const preparers = (by: number, onBehalfOf: number | null): number[] => [
  by,
  ...(onBehalfOf === null ? [] : [onBehalfOf])
]

function requireReason({ comment }: Decision): void {
  if (comment !== undefined) return
  throw new Refusal('ReasonMissing', 422, 'a refusal says why; whoever opened the recall has to know', {
    errors: [{ pointer: '/comment', detail: 'is missing' }]
  })
}

const LIFT = statement<{ state: RecallState }>(`
with lifted as (
  update recall_line set lifted_at = $3::timestamptz
   where warehouse_id = $1 and recall_id = $2 and lifted_at is null and ($4::int[] is null or line_no = any ($4::int[]))
)
update recall r
   set state = case when whole.is_lifted then 'lifted' else state end, ended_at = case when whole.is_lifted then $3::timestamptz else ended_at end,
       ended_because = case when whole.is_lifted then $5::text else ended_because end
  from (select $4::int[] is null or not exists (
          select 1 from recall_line where warehouse_id = $1 and recall_id = $2 and lifted_at is null and line_no <> all ($4::int[])) as is_lifted) whole
 where r.warehouse_id = $1 and r.id = $2
returning r.state`)
/** Frees the goods of the lines: what no other recall blocks is available again from this moment. */
async function lift(ctx: Context, { recall, office }: Of, { lines, reason }: RecallEnding): Promise<void> {
  const at = ctx.clock.now().toString()
  const lifted = recall.lines.filter(({ line, liftedAt }) => liftedAt === null && (lines?.includes(line) ?? true))
  const before = await unitsUnderRecall(ctx, { recallId: recall.id })
  await unblockStock(ctx, { recallId: recall.id, scopes: lifted.map(({ line }) => line) })
  await noteFreedUnits(ctx, { recallId: recall.id, recall: recall.number, before })
  const [settled] = await run(ctx, LIFT, [office.id, recall.id, at, lines, reason])
  if (settled === undefined) throw new Error(`recall ${recall.number} was locked a moment ago`)
  await noteEvent(ctx, { warehouseId: office.id, id: recall.id }, 'lifted', {
    lines: lifted.map(({ line }) => line),
    reason,
    state: settled.state
  })
  await publish(ctx, [recallEvent('recall.lifted', { recall, office }, lifted)])
}

const CLOSE = statement<never>(`
with narrowed as (
  update recall_line
     set received_to = case when received_from > $3::date then received_to else least(received_to, $3::date) end,
         lifted_at = case when received_from > $3::date then $4::timestamptz end
   where warehouse_id = $1 and recall_id = $2 and lifted_at is null
)
update recall set state = 'closed', ended_at = $4, ended_because = $5 where warehouse_id = $1 and id = $2`)

async function close(ctx: Context, { recall, office }: Of, { reason }: RecallEnding): Promise<void> {
  await requireNothingLeft(ctx, recall, office)
  const at = ctx.clock.now().toString()
  const until = ctx.clock.today()
  await narrowScopes(ctx, { recallId: recall.id, receivedTo: until })
  await run(ctx, CLOSE, [office.id, recall.id, until, at, reason])
  await noteEvent(ctx, { warehouseId: office.id, id: recall.id }, 'closed', { reason, until })
  await publish(ctx, [recallEvent('recall.closed', { recall, office }, recall.lines)])
}
