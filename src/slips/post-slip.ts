import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import {
  MOVEMENT_COLUMNS,
  postingParameters,
  postingRefusal,
  postMovements,
  type Movement,
  type Posting
} from '../ledger/post.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { dutiesAwaited } from '../signing/sign.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { hasDifferences, openQualityReports } from './quality-reports.ts'
import { closedMeanwhile } from './open-month.ts'
import { sentOnwards } from './draft-slip.ts'
import { entriesOf, loadSlip, slipHash, slipView, sourceOf, type Slip } from './slip.ts'
import type { SlipView } from './slips.schemas.ts'
import { unchangedSince } from './unchanged-since.ts'

// One statement, one round trip, whatever the number of lines: the slip takes effect and the stock moves, or neither. The slip
// is locked before the balances. `version` is the one that was read: what was decided then still holds. Posting a reversal
// settles a late signature of the slip it reverses.
const POST = statement<{ version: number } & (Movement | { [Member in keyof Movement]: null })>(`
with posted as (
  update slip
     set version = version + 1, state = 'posted', posted_by = $5, posted_at = $6, handed_to = $7, delivered_by = $8,
         late_duty = $9, late_due_at = $10, authorised_by = $11, released_because = $12
   where warehouse_id = $1 and id = $2 and version = $3
  returning version, source_slip_id
), reversed as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, source_slip_id, $6, $5, 'reversed', jsonb_build_object('by', $37::text) from posted where $4
), settled as (
  update slip set version = slip.version + 1, late_settled_at = $6
    from posted
   where $4 and slip.warehouse_id = $1 and slip.id = posted.source_slip_id and slip.late_duty is not null and slip.late_settled_at is null
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, $2, $6, $5, case when $9::text is null then 'posted' else 'released-in-emergency' end,
         nullif(jsonb_strip_nulls(jsonb_build_object('handedTo', $7::text, 'deliveredBy', $8::text, 'missingDuty', $9::text, 'authorisedBy', $11::text, 'reason', $12::text)), '{}') from posted
)
select posted.version, ${MOVEMENT_COLUMNS}
  from posted left join lateral ${postMovements(13, 'posted.version')} as moved on true`)

interface Handing {
  /** Of the content, which all signatures are of. */
  hash: string
  handedTo: string | null
  deliveredBy: string | null
  missing?: { duty: Duty; dueAt: string; authorisedBy: string; reason: string }
}

/**
 * Posts an approved slip: the goods are handed over and the stock moves (R-OUT-1). The keeper names who took or brought them.
 * @throws Refusal `SlipNotApproved`, `SignatureOfOtherContent`, `InsufficientStock` and the rest of `post`, 403, 412
 */
export function postSlip(
  ctx: Context,
  {
    number,
    handedTo,
    deliveredBy,
    ifMatch
  }: { number: string; handedTo?: string | undefined; deliveredBy?: string | undefined; ifMatch?: string | undefined }
): Promise<SlipView> {
  return unchangedSince(async () => {
    const { slip, warehouse } = await loadSlip(ctx, number)
    requireDuty(ctx, 'keeper', warehouse)
    requireMatch(ifMatch, slip.version)
    if (slip.state === 'posted')
      throw new Refusal(
        'SlipAlreadyPosted',
        409,
        `slip ${number} was posted by ${slip.postedBy}; nothing is posted twice`
      )
    if (slip.state !== 'approved') {
      const awaited = slip.state === 'awaiting-signatures' ? `; awaited: ${dutiesAwaited(slip).join(', ')}` : ''
      throw new Refusal(
        'SlipNotApproved',
        409,
        `slip ${number} is ${slip.state}; it is posted when all have signed${awaited}`
      )
    }
    const hash = requireSignedContent(slip, warehouse)
    return effect(ctx, slip, warehouse, { hash, handedTo: handedTo ?? null, deliveredBy: deliveredBy ?? null })
  })
}

/**
 * Hands goods out before the last signature, because its signer is absent and it cannot wait (R-OUT-2). The signature is then due
 * within `LATE_SIGNATURE_HOURS`, 24 unless set.
 * @throws Refusal `NotOutbound`, `NotExactlyOneMissing`, `HeadOfficeMustSign`, `DutyNotMissing` and those of `postSlip`
 */
export function releaseSlipInEmergency(
  ctx: Context,
  {
    number,
    missingDuty,
    authorisedBy,
    reason,
    handedTo,
    ifMatch
  }: {
    number: string
    missingDuty: Duty
    authorisedBy: string
    reason: string
    handedTo: string
    ifMatch?: string | undefined
  }
): Promise<SlipView> {
  return unchangedSince(async () => {
    const { slip, warehouse } = await loadSlip(ctx, number)
    requireDuty(ctx, 'keeper', warehouse)
    requireMatch(ifMatch, slip.version)
    if (slip.lines.some(({ quantity }) => !quantity.startsWith('-'))) {
      throw new Refusal(
        'NotOutbound',
        422,
        `only goods that leave can be released in an emergency; ${number} is a ${slip.kind} that brings goods in`
      )
    }
    if (slip.state !== 'awaiting-signatures')
      throw new Refusal(
        'SlipNotAwaitingSignatures',
        409,
        `slip ${number} is ${slip.state}; ${slip.state === 'approved' ? 'post it' : 'only submitted slips are released'}`
      )
    const awaited = dutiesAwaited(slip)
    if (awaited.length !== 1) {
      throw new Refusal(
        'NotExactlyOneMissing',
        422,
        `at most one signature may be missing; ${number} still awaits ${awaited.join(', ')}`,
        { extra: { awaiting: awaited } }
      )
    }
    if (slip.kind === 'reversal' && awaited[0] === 'stock-controller') {
      throw new Refusal(
        'HeadOfficeMustSign',
        422,
        `${number} takes back what head office approved; it waits for the signature of the stock-controller`
      )
    }
    if (awaited[0] !== missingDuty) {
      throw new Refusal('DutyNotMissing', 422, `the missing signature is that of ${awaited[0]}, not ${missingDuty}`, {
        errors: [{ pointer: '/missingDuty', detail: 'is not the missing one', sent: missingDuty, accepted: awaited }]
      })
    }
    const hash = requireSignedContent(slip, warehouse)
    const dueAt = ctx.clock.now().add({ hours: ctx.config.LATE_SIGNATURE_HOURS }).toString()
    return effect(ctx, slip, warehouse, {
      hash,
      handedTo,
      deliveredBy: null,
      missing: { duty: missingDuty, dueAt, authorisedBy, reason }
    })
  })
}

/** Every signature must be of the content that is there now; a row changed behind the service's back is found out here (R-SIG-2). */
function requireSignedContent(slip: Slip, warehouse: Warehouse): string {
  const hash = slipHash(slip, warehouse)
  const other = slip.signatures.find(({ contentHash }) => contentHash !== hash)
  if (other !== undefined) {
    throw new Refusal(
      'SignatureOfOtherContent',
      409,
      `the signature of ${other.username} (${other.duty}) is of another content of ${slip.number}; amend the slip, so that it is signed anew`,
      { extra: { contentHash: hash } }
    )
  }
  return hash
}

function effect(ctx: Context, slip: Slip, warehouse: Warehouse, handing: Handing): Promise<SlipView | undefined> {
  // A quality report has a number of its own, so it takes a transaction; every other slip is posted by one statement.
  return afterDeadlock(() =>
    hasDifferences(slip)
      ? inTransaction(ctx, async (inner) => {
          const view = await moveStock(inner, slip, warehouse, handing)
          return view && { ...view, qualityReports: await openQualityReports(inner, slip, warehouse) }
        })
      : moveStock(ctx, slip, warehouse, handing)
  )
}

/** Goods that another slip accounts for have left for good: raised where the transfer of a slip follows it. */
function goodsArrived(error: unknown, { source }: Slip): Refusal | undefined {
  const { code, detail } = (error ?? {}) as { code?: unknown; detail?: string }
  return code === 'BC031' ? sentOnwards(source?.number ?? '', detail ?? '') : undefined
}

async function moveStock(
  ctx: Context,
  slip: Slip,
  warehouse: Warehouse,
  { hash, handedTo, deliveredBy, missing }: Handing
): Promise<SlipView | undefined> {
  const at = ctx.clock.now().toString()
  const posting: Posting = {
    warehouseId: warehouse.id,
    slipId: slip.id,
    occurredOn: slip.occurredOn,
    postedAt: at,
    entries: entriesOf(slip),
    source: sourceOf(slip)
  }
  const rows = await run(ctx, POST, [
    warehouse.id,
    slip.id,
    slip.version,
    slip.kind === 'reversal',
    ctx.actor.personId,
    at,
    handedTo,
    deliveredBy,
    missing?.duty ?? null,
    missing?.dueAt ?? null,
    missing?.authorisedBy ?? null,
    missing?.reason ?? null,
    ...postingParameters(posting, ctx.actor.personId),
    slip.number
  ]).catch((error: unknown) => {
    const refusal = goodsArrived(error, slip) ?? postingRefusal(error, posting)
    throw refusal instanceof Refusal && refusal.code === 'PeriodClosed' ? closedMeanwhile(slip, 'posted') : refusal
  })
  const [first] = rows
  if (first === undefined) return undefined
  return slipView(
    ctx,
    {
      ...slip,
      version: first.version,
      state: 'posted',
      postedBy: ctx.actor.username,
      postedById: ctx.actor.personId,
      postedAt: at,
      handedTo,
      deliveredBy,
      lateDuty: missing?.duty ?? null,
      lateDueAt: missing?.dueAt ?? null,
      authorisedBy: missing?.authorisedBy ?? null,
      releasedBecause: missing?.reason ?? null
    },
    warehouse,
    rows.filter((row) => row.lotId !== null),
    hash
  )
}
