import { noteEvent } from '../signing/document-history.ts'
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { lockBackorder, type LockedBackorder } from './answer-backorder.ts'
import { findBackorder, viewOfBackorder, type FoundBackorder } from './backorders.queries.ts'
import type { BackorderView, ConfirmationBody } from './backorders.schemas.ts'
import { cancelLines } from './cancel-request.ts'
import { settleClocks } from './clock.ts'
import { REQUESTING_DUTIES } from './create-request.ts'
import { noteOnRequest, type LockedRequest } from './locked-request.ts'
import { moveAllocations } from './move-allocations.ts'

// What the requester was asked about, in the part of the line.
const ASKED = statement<{ quantity: string }>(`
select trim_scale(coalesce(sum(round((a.quantity - a.issued) / a.factor, 3)), 0))::text as quantity
  from request_allocation a
 where a.warehouse_id = $1 and a.request_id = $2 and a.line_no = $3 and a.backorder_id = $4 and a.state in ('reserved', 'ready')
   and a.needs_confirmation and a.confirmed_at is null`)

const CONFIRM = statement<never>(`
update request_allocation
   set confirmed_at = $5
 where warehouse_id = $1 and request_id = $2 and line_no = $3 and backorder_id = $4 and state in ('reserved', 'ready') and needs_confirmation and confirmed_at is null`)

/**
 * The outlet says whether goods that came for a backorder are still needed (R-REQ-3). If they are, they move: transfers are opened for
 * what lies elsewhere, and the keeper of the centre may issue what lies there. If not, what was found and what still is waited for is
 * cancelled, and the goods go to the next in the queue. What was confirmed before stays. By whoever may request there, also an API key.
 * @throws Refusal 403, 404, 409 `BackorderEnded` or `NothingToConfirm`, 412, 422 `ReasonMissing`
 */
export async function confirmBackorder(
  ctx: Context,
  { number, confirmed, reason, ifMatch }: ConfirmationBody & { number: string; ifMatch?: string | undefined }
): Promise<BackorderView> {
  const found = await findBackorder(ctx, number)
  requireDuty(ctx, REQUESTING_DUTIES, found.outlet)
  if (!confirmed && reason === undefined)
    throw new Refusal('ReasonMissing', 422, 'say why the goods are no longer needed', {
      errors: [{ pointer: '/reason', detail: 'is needed where confirmed is false' }]
    })
  return afterDeadlock(() =>
    inTransaction(ctx, async (inner) => {
      const { backorder, request } = await lockBackorder(inner, found, ifMatch)
      const quantity = await askedOf(inner, found, backorder)
      await (confirmed
        ? confirm(inner, { found, backorder, request, quantity })
        : decline(inner, { found, backorder, request, quantity, reason: reason ?? '' }))
      return viewOfBackorder(inner, found)
    })
  )
}

async function askedOf(
  ctx: Context,
  { outlet, requestId, id }: FoundBackorder,
  { line, number, state, waiting }: LockedBackorder
): Promise<string> {
  const [asked] = await run(ctx, ASKED, [outlet.id, requestId, line, id])
  if (asked !== undefined && thousandths(asked.quantity) > 0n) return asked.quantity
  throw new Refusal(
    'NothingToConfirm',
    409,
    state === 'confirmed'
      ? `backorder ${number} is confirmed already; cancel the line of its request if the goods are no longer needed`
      : `no goods have come for backorder ${number}, which waits for ${waiting}; cancel the line of its request if they are no longer needed`,
    { extra: { state } }
  )
}

interface Answered {
  found: FoundBackorder
  backorder: LockedBackorder
  request: LockedRequest
  quantity: string
}

async function confirm(ctx: Context, { found, backorder, request, quantity }: Answered): Promise<void> {
  const { outlet, requestId, id } = found
  await run(ctx, CONFIRM, [outlet.id, requestId, backorder.line, id, ctx.clock.now().toString()])
  await note(ctx, found, backorder, { event: 'confirmed', details: { quantity } })
  await moveAllocations(ctx, { outlet, requestId, request })
  await settleClocks(ctx, { outletId: outlet.id, requestId, lines: [backorder.line] })
}

async function decline(
  ctx: Context,
  { found, backorder, request, quantity, reason }: Answered & { reason: string }
): Promise<void> {
  await note(ctx, found, backorder, { event: 'declined', details: { quantity, waiting: backorder.waiting, reason } })
  const all = thousandths(quantity) + thousandths(backorder.waiting)
  // What was confirmed moves already: it is ready, or on its way.
  await cancelLines(ctx, request, [{ line: backorder.line, quantity: all }], reason, {
    only: ({ backorderId, state }) => backorderId === found.id && state === 'reserved'
  })
}

async function note(
  ctx: Context,
  { outlet, requestId, id }: FoundBackorder,
  { line, number }: LockedBackorder,
  { event, details }: { event: 'confirmed' | 'declined'; details: Record<string, unknown> }
): Promise<void> {
  await noteEvent(ctx, { warehouseId: outlet.id, id }, event, details)
  await noteOnRequest(ctx, { outletId: outlet.id, requestId }, [
    { event: `backorder-${event}`, details: { line, backorder: number, ...details } }
  ])
}
