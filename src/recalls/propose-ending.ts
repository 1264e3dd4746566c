import { requireDutyEverywhere, type Context, type Duty } from '../identity/actor.ts'
import { requirePerson } from '../identity/require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, Refusal } from '../platform/errors.ts'
import { dutiesFor } from '../slips/create-slip.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { recallProgress } from './recall-progress.ts'
import { endingHash, lockRecall, openEnding, readRecall, RECALLING_DUTIES, type Recall } from './recall.ts'
import type { EndingKind, LiftRecall, RecallView } from './recalls.schemas.ts'

const DUTIES = statement<{ duties: Duty[] }>(`select ${dutiesFor(`'recall'`)} as duties`)

const PROPOSE = statement<never>(`
with proposed as (
  insert into recall_ending (warehouse_id, recall_id, ending_no, kind, lines, reason, duties, proposed_by, proposed_for, proposed_at, content_hash)
  select $1, $2, coalesce(max(ending_no), 0) + 1, $3::text, $4::int[], $5::text, $6::text[], $7::int, $8::int, $9::timestamptz, $10::text
    from recall_ending where warehouse_id = $1 and recall_id = $2
), bumped as (
  update recall set version = version + 1 where warehouse_id = $1 and id = $2
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $9, $7, $3::text || '-proposed', jsonb_strip_nulls(jsonb_build_object('lines', $4::int[], 'reason', $5::text, 'contentHash', $10::text)))`)

interface Ending {
  number: string
  kind: EndingKind
  lines?: number[] | undefined
  reason: string
  ifMatch?: string | undefined
}

async function propose(ctx: Context, { number, kind, lines, reason, ifMatch }: Ending): Promise<RecallView> {
  const grant = requireDutyEverywhere(ctx, RECALLING_DUTIES)
  requirePerson(ctx)
  return inTransaction(ctx, async (inner) => {
    const { recall, office } = await lockRecall(inner, number, ifMatch)
    const open = openEnding(recall)
    if (open !== undefined)
      throw new Refusal(
        'EndingProposed',
        409,
        `a ${open.kind} of ${number} awaits signatures already; sign it, refuse it, or cancel it first`
      )
    const meant = kind === 'lifting' ? liftable(recall, lines) : null
    if (kind === 'closing') await requireNothingLeft(inner, recall, office)
    const [policy] = await run(inner, DUTIES, [])
    if (policy === undefined) throw new Error('there is no signing policy')
    const ending = { kind, lines: meant, reason, duties: policy.duties, proposedBy: inner.actor.username }
    await run(inner, PROPOSE, [
      office.id,
      recall.id,
      kind,
      meant,
      reason,
      policy.duties,
      inner.actor.personId,
      grant.onBehalfOf,
      inner.clock.now().toString(),
      endingHash(recall, ending)
    ]).catch((error: unknown) => {
      throw constraintOf(error) === 'recall_ending_one_at_a_time'
        ? new Refusal('EndingProposed', 409, `an end of ${number} was proposed a moment ago`)
        : error
    })
    return readRecall(inner, { number })
  })
}

/**
 * Proposes that goods are free again: some lines of a recall, or all that are not lifted yet. In effect with the last of the signatures of three
 * different people, none of whom proposed it (R-SIG-1).
 * @throws Refusal 403, 404, 409 `RecallNotRunning`, `EndingProposed`, 412, 422 `RecallLineUnknown`, `LineLifted`
 */
export const liftRecall = (
  ctx: Context,
  lifting: LiftRecall & { number: string; ifMatch?: string | undefined }
): Promise<RecallView> => propose(ctx, { ...lifting, kind: 'lifting' })

/**
 * Proposes that all is done: nothing of it lies blocked or travels any more. What came in until that day stays recalled for ever, so that a piece which
 * still comes back is blocked on arrival; what comes in later is no longer meant.
 * @throws Refusal 403, 404, 409 `RecallNotRunning`, `EndingProposed`, `RecalledGoodsRemain`, 412
 */
export const closeRecall = (
  ctx: Context,
  closing: { number: string; reason: string; ifMatch?: string | undefined }
): Promise<RecallView> => propose(ctx, { ...closing, kind: 'closing' })

/** The lines a lifting is of; null for all, which also closes what is added to the recall by then: nothing. */
function liftable(recall: Recall, wanted: number[] | undefined): number[] | null {
  if (recall.state !== 'running' && recall.state !== 'closed') throw notRunning(recall)
  const open = recall.lines.filter(({ liftedAt }) => liftedAt === null).map(({ line }) => line)
  if (wanted === undefined) return open.length === recall.lines.length ? null : open
  const unknown = wanted.filter((line) => !recall.lines.some((known) => known.line === line))
  if (unknown.length > 0)
    throw new Refusal('RecallLineUnknown', 422, `${recall.number} has no line ${unknown.slice(0, 5).join(', ')}`, {
      errors: [{ pointer: '/lines', detail: 'is no line of the recall', sent: unknown.slice(0, 50) }]
    })
  const lifted = wanted.filter((line) => !open.includes(line))
  if (lifted.length > 0)
    throw new Refusal(
      'LineLifted',
      422,
      `line ${lifted.slice(0, 5).join(', ')} of ${recall.number} is lifted already`,
      {
        errors: [
          { pointer: '/lines', detail: 'is lifted already', sent: lifted.slice(0, 50), accepted: open.slice(0, 50) }
        ]
      }
    )
  return wanted.toSorted((one, other) => one - other)
}

export const notRunning = ({ number, state }: Pick<Recall, 'number' | 'state'>): Refusal =>
  new Refusal(
    'RecallNotRunning',
    409,
    `recall ${number} is ${state}; ${state === 'awaiting-second-signature' ? 'it takes effect with its second signature' : 'this is possible while it runs'}`
  )

/** @throws Refusal 409 `RecallNotRunning`, `RecalledGoodsRemain` */
export async function requireNothingLeft(ctx: Context, recall: Recall, office: Warehouse): Promise<void> {
  if (recall.state !== 'running') throw notRunning(recall)
  const { blocked, inTransit } = await recallProgress(ctx, { recall, office })
  if (blocked === '0' && inTransit === '0') return
  throw new Refusal(
    'RecalledGoodsRemain',
    409,
    `of ${recall.number} there still lie ${blocked} blocked and ${inTransit} travel; send them back or scrap them by its return slips, or lift the recall`,
    { extra: { blocked, inTransit } }
  )
}
