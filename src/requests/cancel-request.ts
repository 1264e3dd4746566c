import { giveBackToControlledApproval } from '../catalogue/draw-on-controlled-approval.ts'
import { changeHold } from '../deposits/change-hold.ts'
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal, type FieldProblem } from '../platform/errors.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { reduceBackorders } from './backorder.ts'
import { settleClocks } from './clock.ts'
import { REQUESTING_DUTIES } from './create-request.ts'
import { letGo, liveAllocations, openInLine, type Gone, type LiveAllocation } from './let-go.ts'
import {
  lockRequest,
  noteOnRequest,
  openValue,
  settleState,
  warehousesById,
  type LockedRequest
} from './locked-request.ts'
import { planLines } from './plan-lines.ts'
import { findRequest, viewOfRequest } from './requests.queries.ts'
import { settleRequest } from './settle-request.ts'
import type { CancelRequest, RequestView } from './requests.schemas.ts'

interface Position {
  line: number
  part: string
  quantity: string
  cancelled: string
  issued: string
  uncovered: string
  approvalId: number | null
}

const POSITIONS = statement<Position>(`
select p.line_no as line, part.number as part, trim_scale(p.quantity)::text as quantity, trim_scale(p.cancelled)::text as cancelled, trim_scale(p.issued)::text as issued,
       trim_scale(p.uncovered)::text as uncovered, l.approval_id as "approvalId"
  from request_line_position p
  join request_line l on l.warehouse_id = p.warehouse_id and l.request_id = p.request_id and l.line_no = p.line_no
  join part on part.id = p.part_id
 where p.warehouse_id = $1 and p.request_id = $2 order by p.line_no`)

const CANCEL = statement<never>(`
update request_line l
   set cancelled = l.cancelled + c.quantity, cancelled_because = $5, awaiting_approval = l.awaiting_approval and l.cancelled + c.quantity < l.quantity
  from unnest($3::int[], $4::numeric[]) as c (line_no, quantity)
 where l.warehouse_id = $1 and l.request_id = $2 and l.line_no = c.line_no`)

/** So much of a line, in its own part, that is no longer wanted. */
export interface CancelledLine {
  line: number
  quantity: bigint
}

/**
 * Cancels lines of a request, whole or in part, by the outlet. What is reserved goes back, transfers of which nothing left are withdrawn, a
 * slip that is written and not posted is cancelled, and what else stood on it is ready again. What is in transit already arrives at the
 * centre as its own stock. What was issued is returned.
 * @throws Refusal 409 `RequestNotCancellable`, `AlreadyIssued`, 422 `LineUnknown`, 403, 404, 412
 */
export async function cancelRequest(
  ctx: Context,
  { number, reason, lines, ifMatch }: CancelRequest & { number: string; ifMatch?: string | undefined }
): Promise<RequestView> {
  const { id, outlet } = await findRequest(ctx, number)
  requireDuty(ctx, REQUESTING_DUTIES, outlet)
  return afterDeadlock(() =>
    inTransaction(ctx, async (inner) => {
      requireMatch(ifMatch, (await lockRequest(inner, outlet.id, id)).version)
      // What a slip has handed out meanwhile is issued, whether or not anybody was told.
      await settleRequest(inner, { outlet, requestId: id })
      const request = await lockRequest(inner, outlet.id, id)
      if (request.state !== 'open')
        throw new Refusal(
          'RequestNotCancellable',
          409,
          request.state === 'done'
            ? `all of ${number} is issued; what the outlet does not need is returned to ${request.centre} by a return slip`
            : `request ${number} is cancelled already`
        )
      const positions = await run(inner, POSITIONS, [outlet.id, id])
      await cancelLines(inner, request, requireLines(request, positions, lines), reason)
      return viewOfRequest(inner, outlet, id)
    })
  )
}

const openOf = ({ quantity, cancelled, issued }: Position): bigint =>
  thousandths(quantity) - thousandths(cancelled) - thousandths(issued)

/** What is to be cancelled of which lines; all that is open unless said. */
function requireLines(
  { number, centre }: LockedRequest,
  positions: readonly Position[],
  lines: CancelRequest['lines']
): CancelledLine[] {
  if (lines === undefined)
    return positions.filter((line) => openOf(line) > 0n).map((line) => ({ line: line.line, quantity: openOf(line) }))
  const wanted = new Map<number, CancelledLine>()
  const wrong: FieldProblem[] = []
  const unknown: FieldProblem[] = []
  for (const [place, { line, quantity }] of lines.entries()) {
    const position = positions.find((one) => one.line === line)
    if (position === undefined) {
      unknown.push({ pointer: `/lines/${place}/line`, detail: `${number} has no such line`, sent: line })
      continue
    }
    const before = wanted.get(line)?.quantity ?? 0n
    const asked = quantity === undefined ? openOf(position) - before : thousandths(quantity)
    wanted.set(line, { line, quantity: before + asked })
    if (asked <= 0n || before + asked > openOf(position))
      wrong.push({
        pointer: `/lines/${place}/quantity`,
        detail: `line ${line} (${position.part}): ${position.issued} of ${position.quantity} are issued, ${position.cancelled} cancelled`,
        sent: quantity,
        accepted: `at most ${decimal(openOf(position), 3)}`
      })
  }
  if (unknown.length > 0)
    throw new Refusal('LineUnknown', 422, unknown.map(({ detail, sent }) => `${detail}: ${String(sent)}`).join('; '), {
      errors: unknown
    })
  if (wrong.length > 0)
    throw new Refusal(
      'AlreadyIssued',
      409,
      `more would be cancelled than is open: ${wrong.map(({ detail }) => detail).join('; ')}. What was issued is returned to ${centre} by a return slip`,
      { errors: wrong }
    )
  return [...wanted.values()]
}

interface Which {
  /** What expired does not give up its place in the queue. */
  event?: 'cancelled' | 'expired'
  /** Which allocations may be taken for it. */
  only?: (allocation: LiveAllocation) => boolean
}

/**
 * Cancels so much of lines of a request that is held, whoever decided it: the requester, or the day until which goods were kept.
 * Backorders go first, then what nobody confirmed, what lies ready, and last what is on its way.
 */
export async function cancelLines(
  ctx: Context,
  request: LockedRequest,
  wanted: readonly CancelledLine[],
  reason: string,
  { event = 'cancelled', only = () => true }: Which = {}
): Promise<void> {
  if (wanted.length === 0) return
  const { outletId, id, centreId, number } = request
  const key = { outletId, requestId: id }
  const lines = wanted.map(({ line }) => line)
  const positions = new Map((await run(ctx, POSITIONS, [outletId, id])).map((line) => [line.line, line]))
  const live = await liveAllocations(ctx, outletId, id, lines)
  const gone: Gone[] = []
  const adrift: Gone[] = []
  const waiting: { line: number; quantity: string }[] = []
  for (const { line, quantity } of wanted) {
    let left = quantity
    const take = (most: bigint): bigint => {
      const taken = most < left ? most : left
      left -= taken
      return taken
    }
    const fromQueue = take(event === 'expired' ? 0n : thousandths(positions.get(line)?.uncovered ?? '0'))
    if (fromQueue > 0n) waiting.push({ line, quantity: decimal(fromQueue, 3) })
    for (const allocation of live.filter((one) => one.line === line && only(one))) {
      if (left === 0n) break
      const covers = openInLine(allocation)
      const taken = take(covers)
      // Where several stand for one, what is left over by rounding is nothing.
      const isAll = covers - taken <= (allocation.factor === '1.000' ? 0n : 1n)
      const share = isAll
        ? thousandths(allocation.quantity) - thousandths(allocation.issued)
        : (taken * thousandths(allocation.factor)) / 1000n
      ;(allocation.hasLeft ? adrift : gone).push({ allocation, quantity: decimal(share, 3) })
    }
  }
  await run(ctx, CANCEL, [
    outletId,
    id,
    wanted.map(({ line }) => line),
    wanted.map(({ quantity }) => decimal(quantity, 3)),
    reason
  ])
  const because = `request ${number}: ${reason}`
  const dropped = await letGo(ctx, { ...key, centreId, because }, gone)
  await letDrift(ctx, { ...key, because }, adrift)
  await reduceBackorders(ctx, { outletId, requestId: id, lines: waiting, because: reason })
  await noteOnRequest(ctx, key, [
    {
      event,
      details: {
        reason,
        lines: wanted.map(({ line, quantity }) => ({
          line,
          part: positions.get(line)?.part,
          quantity: decimal(quantity, 3)
        })),
        ...(dropped.slips.length > 0 && { slips: dropped.slips }),
        ...(dropped.transfers.length > 0 && { transfers: dropped.transfers }),
        ...(adrift.length > 0 && {
          inTransit: adrift.map(({ allocation, quantity }) => ({
            line: allocation.line,
            quantity,
            transfer: allocation.transfer
          }))
        })
      }
    }
  ])
  await giveBackApprovals(ctx, wanted, positions)
  await settleClocks(ctx, { ...key, lines, because: reason })
  await changeHold(ctx, { outletId, reference: number, amount: await openValue(ctx, outletId, id) })
  await settleState(ctx, request)
  if (dropped.affected.length > 0) await planAgain(ctx, request, dropped.affected)
}

/** What is in transit arrives as stock of the centre: nothing is promised on its arrival any more. */
async function letDrift(
  ctx: Context,
  { outletId, requestId, because }: { outletId: number; requestId: string; because: string },
  adrift: readonly Gone[]
): Promise<void> {
  await run(ctx, DRIFT, [
    outletId,
    requestId,
    adrift.map(({ allocation }) => allocation.line),
    adrift.map(({ allocation }) => allocation.no),
    adrift.map(({ quantity }) => quantity),
    ctx.clock.now().toString(),
    because
  ])
}

const DRIFT = statement<never>(`
update request_allocation a
   set quantity = case when a.quantity > e.gone then a.quantity - e.gone else a.quantity end,
       state = case when a.quantity > e.gone then a.state else 'ended' end,
       ended_at = case when a.quantity <= e.gone then $6::timestamptz end,
       ended_because = case when a.quantity <= e.gone then $7::text end
  from unnest($3::int[], $4::int[], $5::numeric[]) as e (line_no, allocation_no, gone)
 where a.warehouse_id = $1 and a.request_id = $2 and a.line_no = e.line_no and a.allocation_no = e.allocation_no`)

async function giveBackApprovals(
  ctx: Context,
  wanted: readonly CancelledLine[],
  positions: ReadonlyMap<number, Position>
): Promise<void> {
  for (const { line, quantity } of wanted) {
    const approvalId = positions.get(line)?.approvalId ?? null
    if (approvalId !== null) await giveBackToControlledApproval(ctx.em, approvalId, decimal(quantity, 3))
  }
}

async function planAgain(ctx: Context, { outletId, outlet, id }: LockedRequest, lines: number[]): Promise<void> {
  const places = await warehousesById(ctx, [outletId])
  const place = places.get(outletId)
  if (place === undefined) throw new Error(`outlet ${outlet} is not known`)
  await planLines(ctx, { outlet: place, requestId: id, lines })
}
