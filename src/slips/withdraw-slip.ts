import { requireDuty, type Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { loadSlip, slipView } from './slip.ts'
import type { SlipState } from './slip-kinds.ts'
import type { SlipView } from './slips.schemas.ts'
import { unchangedSince } from './unchanged-since.ts'

const WITHDRAW = statement<{ version: number }>(`
with withdrawn as (
  update slip set version = version + 1, state = $4, approved_at = null,
         refusal = case when $4 = 'refused' then jsonb_build_object('by', $9::text, 'duty', 'keeper', 'reason', $8::text, 'at', $5::timestamptz) end
   where warehouse_id = $1 and id = $2 and version = $3
  returning version
), voided as (
  update signature set voided_at = $5 from withdrawn where warehouse_id = $1 and document_id = $2 and voided_at is null
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, $2, $5, $6, $7, jsonb_build_object('reason', $8::text) from withdrawn
)
select version from withdrawn`)

interface Withdrawal {
  number: string
  reason: string
  ifMatch?: string | undefined
}

/** Drops a slip that never took effect. Its number stays taken, so that the series has no gap. */
export const cancelSlip = (ctx: Context, withdrawal: Withdrawal): Promise<SlipView> =>
  withdraw(ctx, withdrawal, {
    from: ['draft', 'awaiting-signatures', 'approved', 'refused'],
    to: 'cancelled',
    event: 'cancelled',
    code: 'SlipNotCancellable'
  })

/**
 * The keeper refuses to hand goods out because the papers are incomplete (R-OUT-3). The slip goes back to its preparer with
 * the reason, and the finance supervisor finds it among the refused ones.
 */
export const refuseRelease = (ctx: Context, withdrawal: Withdrawal): Promise<SlipView> =>
  withdraw(ctx, withdrawal, {
    from: ['approved', 'awaiting-signatures'],
    to: 'refused',
    event: 'release-refused',
    code: 'SlipNotReleasable'
  })

function withdraw(
  ctx: Context,
  { number, reason, ifMatch }: Withdrawal,
  { from, to, event, code }: { from: SlipState[]; to: SlipState; event: string; code: string }
): Promise<SlipView> {
  return unchangedSince(async () => {
    const { slip, warehouse } = await loadSlip(ctx, number)
    requireDuty(ctx, 'keeper', warehouse)
    requireMatch(ifMatch, slip.version)
    if (!from.includes(slip.state)) {
      throw new Refusal(
        code,
        409,
        `slip ${number} is ${slip.state}; this is possible while it is ${from.join(' or ')}${slip.state === 'posted' ? '. A posted slip is reversed' : ''}`
      )
    }
    if (to === 'refused' && slip.lines.some(({ quantity }) => !quantity.startsWith('-'))) {
      throw new Refusal(
        'NotOutbound',
        422,
        `only goods that leave are released; ${number} is a ${slip.kind} that brings goods in. Cancel or amend it`
      )
    }
    const at = ctx.clock.now().toString()
    const [withdrawn] = await run(ctx, WITHDRAW, [
      warehouse.id,
      slip.id,
      slip.version,
      to,
      at,
      ctx.actor.personId,
      event,
      reason,
      ctx.actor.username
    ])
    const refusal = to === 'refused' ? { by: ctx.actor.username, duty: 'keeper', reason, at } : null
    return (
      withdrawn &&
      slipView(ctx, { ...slip, ...withdrawn, state: to, signatures: [], approvedAt: null, refusal }, warehouse)
    )
  })
}
