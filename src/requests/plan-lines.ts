// Finds goods for lines of a request, promises them, and says what happens next (R-REQ-1).
//
// What it does: looks for what the lines are short of and nothing covers yet, step by step as `search.ts` says; reserves all that was found
// at once; opens transfers for what lies elsewhere; registers the rest as backorders. Goods found for a backorder are reserved, and move
// only after the requester said that they are still needed (R-REQ-3). A line that waits for some of its goods may lose others that it had:
// those that are found again move at once, and what is not found waits with the rest.
// What a line is short of is what was asked for, less what was cancelled, less its allocations that are not ended.
// If others were faster, nothing was reserved, and it is searched anew. A second call finds nothing uncovered and only looks for what waits.
// What it does not do: decide who may ask, or hold the deposit.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { allocateToBackorder, registerBackorders } from './backorder.ts'
import { settleClocks, startClocks } from './clock.ts'
import { lockRequest, noteOnRequest, type LockedRequest } from './locked-request.ts'
import { expiriesFrom, moveAllocations } from './move-allocations.ts'
import { optionsFor, promiseGoods, type Promised } from './promise-goods.ts'
import { ofOption, type Option, type Taken, type Want } from './search.ts'

interface OpenLine {
  line: number
  partId: number
  part: string
  uncovered: string
  backorderId: string | null
  waiting: string | null
  /** What it had, never waited for, and lost: of what is uncovered beyond what waits. */
  lost: string
  /** The number of its last allocation. */
  last: number
  /** When its clock began, if it has one. */
  startedAt: string | null
  /** Of it nothing was there when it was asked for: what is found now, too, is what was waited for. */
  wasBackordered: boolean
}

// Lines that wait for an approval are planned when they have it (R-CAT-2).
const OPEN_LINES = statement<OpenLine>(`
select p.line_no as line, p.part_id as "partId", part.number as part, trim_scale(p.uncovered)::text as uncovered, b.id::text as "backorderId", b.waiting::text as waiting,
       greatest(0, least(p.uncovered - b.waiting,
                         p.quantity - p.cancelled - b.quantity
                         - (select coalesce(sum(round(a.quantity / a.factor, 3)), 0) from request_allocation a
                             where a.warehouse_id = p.warehouse_id and a.request_id = p.request_id and a.line_no = p.line_no
                               and a.state <> 'ended' and a.backorder_id is distinct from b.id)))::text as lost,
       coalesce((select max(a.allocation_no) from request_allocation a
                  where a.warehouse_id = p.warehouse_id and a.request_id = p.request_id and a.line_no = p.line_no), 0) as last,
       (select to_json(min(c.started_at)) #>> '{}' from request_clock c
         where c.warehouse_id = p.warehouse_id and c.request_id = p.request_id and c.line_no = p.line_no) as "startedAt",
       coalesce((select bool_and(c.piece = 'backordered') from request_clock c
                  where c.warehouse_id = p.warehouse_id and c.request_id = p.request_id and c.line_no = p.line_no), false) as "wasBackordered"
  from request_line_position p
  join part on part.id = p.part_id
  left join backorder b on b.warehouse_id = p.warehouse_id and b.request_id = p.request_id and b.line_no = p.line_no and b.ended_at is null
 where p.warehouse_id = $1 and p.request_id = $2 and p.uncovered > 0 and not p.awaiting_approval
   and ($3::int[] is null or p.line_no = any ($3)) and ($4::int[] is null or p.part_id = any ($4))
 order by p.line_no`)

/** What became of the lines that were planned. */
export interface Planned {
  /** Line numbers that got goods now. */
  allocated: number[]
  /** Line numbers that still wait. */
  waiting: number[]
}

/**
 * Plans whatever quantity of these lines nothing covers, in the transaction of the caller.
 * @param onlyParts lines that ask for these parts
 * @param queuedAt the place in the queue of what is not found, if not now; clocks that are not running start there
 */
export async function planLines(
  ctx: Context,
  {
    outlet,
    requestId,
    lines,
    onlyParts,
    queuedAt
  }: {
    outlet: Warehouse
    requestId: string
    lines?: readonly number[] | undefined
    onlyParts?: readonly number[] | undefined
    queuedAt?: string | undefined
  }
): Promise<Planned> {
  const request = await lockRequest(ctx, outlet.id, requestId)
  if (request.state !== 'open') return { allocated: [], waiting: [] }
  const open = await run(ctx, OPEN_LINES, [outlet.id, requestId, lines ?? null, onlyParts ?? null])
  if (open.length === 0) return { allocated: [], waiting: [] }
  const plan = await promiseGoods(ctx, request, { outlet, wants: await wantsOf(ctx, request, { outlet, open }) })
  const allocations = await allocate(ctx, request, open, plan)
  await keepSearches(ctx, request, open, plan)
  await tell(ctx, { request, outlet, open, plan, allocations, queuedAt })
  return {
    allocated: [...new Set(allocations.map(({ line }) => line))],
    waiting: open.filter(({ line }) => (plan.left.get(line) ?? 0n) > 0n).map(({ line }) => line)
  }
}

async function wantsOf(
  ctx: Context,
  { acceptsPartial, acceptsSubstitutes }: LockedRequest,
  { outlet, open }: { outlet: Warehouse; open: readonly OpenLine[] }
): Promise<Want[]> {
  const substitutes = acceptsSubstitutes
    ? await optionsFor(
        ctx,
        outlet,
        open.map(({ partId }) => partId)
      )
    : new Map<number, Option[]>()
  return open.map(({ line, partId, part, uncovered }) => ({
    line,
    quantity: thousandths(uncovered),
    isWhole: !acceptsPartial,
    options: [{ partId, part, factor: 1000n }, ...(substitutes.get(partId) ?? [])]
  }))
}

interface Allocation {
  line: number
  no: number
  taken: Taken
  reservationId: string
  isAsked: boolean
  state: 'reserved' | 'ready'
}

const ALLOCATE = statement<never>(`
insert into request_allocation (warehouse_id, request_id, line_no, allocation_no, part_id, factor, quantity, step, from_warehouse_id, ownership,
                                reservation_id, centre_reservation_id, backorder_id, needs_confirmation, state, expires_on, allocated_at, evidence)
select $1, $2, a.line_no, a.allocation_no, a.part_id, a.factor, a.quantity, a.step, a.from_id, a.ownership, a.reservation_id,
       case when a.step = 'centre' then a.reservation_id end, a.backorder_id, a.backorder_id is not null, a.state, a.expires_on, $3, a.evidence
  from unnest($4::int[], $5::int[], $6::int[], $7::numeric[], $8::numeric[], $9::text[], $10::int[], $11::text[], $12::bigint[], $13::bigint[], $14::text[], $15::date[], $16::jsonb[])
    as a (line_no, allocation_no, part_id, factor, quantity, step, from_id, ownership, reservation_id, backorder_id, state, expires_on, evidence)`)

async function allocate(
  ctx: Context,
  { outletId, id }: LockedRequest,
  open: readonly OpenLine[],
  plan: Promised
): Promise<Allocation[]> {
  if (plan.taken.length === 0) return []
  const backorderOf = new Map(open.map(({ line, backorderId }) => [line, backorderId]))
  const expiries = await expiriesFrom(ctx, ctx.clock.today())
  const lost = new Map(open.map((line) => [line.line, thousandths(line.lost)]))
  const allocations = plan.taken.map((taken, place): Allocation => {
    // What is found in the place of what a line lost comes as that would have come.
    const [again, found] = [lost.get(taken.line) ?? 0n, ofOption(taken.quantity, taken.option)]
    const isAsked = backorderOf.get(taken.line) != null && found > again
    if (!isAsked) lost.set(taken.line, again - found)
    const isHere = taken.step === 'centre' && !isAsked
    return {
      line: taken.line,
      no: plan.numbers[place] ?? 0,
      taken,
      reservationId: plan.reservations[place] ?? '',
      isAsked,
      state: isHere ? 'ready' : 'reserved'
    }
  })
  await run(ctx, ALLOCATE, [
    outletId,
    id,
    ctx.clock.now().toString(),
    allocations.map(({ line }) => line),
    allocations.map(({ no }) => no),
    allocations.map(({ taken }) => taken.option.partId),
    allocations.map(({ taken }) => decimal(taken.option.factor, 3)),
    allocations.map(({ taken }) => decimal(taken.quantity, 3)),
    allocations.map(({ taken }) => taken.step),
    allocations.map(({ taken }) => taken.stock.warehouseId),
    allocations.map(({ taken }) => taken.stock.ownership),
    allocations.map(({ reservationId }) => reservationId),
    allocations.map(({ line, isAsked }) => (isAsked ? backorderOf.get(line) : null)),
    allocations.map(({ state }) => state),
    allocations.map(({ isAsked }) => (isAsked ? expiries.confirmed : expiries.fetched)),
    allocations.map(({ taken }) => JSON.stringify(evidenceFor(plan, taken)))
  ])
  return allocations
}

/** The search up to the step that answered: why those before it were passed over. */
const evidenceFor = ({ evidence }: Promised, { line, step, option }: Taken) => {
  const steps = evidence.get(line) ?? []
  const place = steps.findIndex((one) => one.step === step && one.part === option.part)
  return steps.slice(0, place + 1)
}

const KEEP = statement<never>(`
update request_line l set search = k.search
  from unnest($3::int[], $4::jsonb[]) as k (line_no, search)
 where l.warehouse_id = $1 and l.request_id = $2 and l.line_no = k.line_no`)

const keepSearches = (ctx: Context, { outletId, id }: LockedRequest, open: readonly OpenLine[], plan: Promised) =>
  run(ctx, KEEP, [
    outletId,
    id,
    open.map(({ line }) => line),
    open.map(({ line }) =>
      JSON.stringify({
        searchedAt: ctx.clock.now().toString(),
        steps: plan.evidence.get(line) ?? [],
        offers: plan.offers.get(line) ?? []
      })
    )
  ])

/** Transfers, backorders, clocks and history of what was found and what was not. */
async function tell(
  ctx: Context,
  {
    request,
    outlet,
    open,
    plan,
    allocations,
    queuedAt
  }: {
    request: LockedRequest
    outlet: Warehouse
    open: readonly OpenLine[]
    plan: Promised
    allocations: readonly Allocation[]
    queuedAt: string | undefined
  }
): Promise<void> {
  const key = { outletId: outlet.id, requestId: request.id }
  const backorderOf = new Map(open.map(({ line, backorderId }) => [line, backorderId]))
  const events = eventsOf(allocations)
  await noteOnRequest(ctx, key, events)
  const found = new Map<number, bigint>()
  for (const { line, taken, isAsked } of allocations)
    if (isAsked) found.set(line, (found.get(line) ?? 0n) + ofOption(taken.quantity, taken.option))
  const short = open.flatMap(({ line, partId, waiting }) => {
    const waits = (plan.left.get(line) ?? 0n) + (found.get(line) ?? 0n)
    // What a backorder waits for already is registered; only what changed is told anew.
    return waits === thousandths(waiting ?? '0') ? [] : [{ line, partId, quantity: decimal(waits, 3) }]
  })
  // A backorder waits for all that is found for it before any of that is taken off it.
  await registerShort(ctx, { request, outlet, short, queuedAt })
  for (const { line, taken, isAsked } of allocations) {
    const backorderId = backorderOf.get(line)
    if (!isAsked || backorderId == null) continue
    const quantity = decimal(ofOption(taken.quantity, taken.option), 3)
    await allocateToBackorder(ctx, { outletId: outlet.id, backorderId, quantity, from: taken.stock.warehouse })
  }
  await moveAllocations(ctx, { outlet, requestId: request.id, request })
  const at = queuedAt ?? request.requestedAt
  for (const [startedAt, lines] of Map.groupBy(
    open.filter(({ line }) => allocations.some((allocation) => allocation.line === line && !allocation.isAsked)),
    (line) => line.startedAt ?? at
  )) {
    await startClocks(ctx, {
      ...key,
      at: startedAt,
      pieces: lines.map(({ line, wasBackordered }) => ({ line, piece: wasBackordered ? 'backordered' : 'in-stock' }))
    })
  }
  await settleClocks(ctx, { ...key, lines: open.map(({ line }) => line) })
}

async function registerShort(
  ctx: Context,
  {
    request,
    outlet,
    short,
    queuedAt
  }: {
    request: LockedRequest
    outlet: Warehouse
    short: readonly { line: number; partId: number; quantity: string }[]
    queuedAt: string | undefined
  }
): Promise<void> {
  if (short.length === 0) return
  const registered = await registerBackorders(ctx, {
    outlet,
    requestId: request.id,
    requestNumber: request.number,
    urgency: request.urgency,
    centre: { id: request.centreId },
    queuedAt: queuedAt ?? request.requestedAt,
    lines: short
  })
  await noteOnRequest(
    ctx,
    { outletId: outlet.id, requestId: request.id },
    registered.map(({ line, number, quantity, promisedOn, basis }) => ({
      event: 'backordered',
      details: { line, backorder: number, quantity, promisedOn, basis }
    }))
  )
}

const eventsOf = (allocations: readonly Allocation[]) =>
  [...Map.groupBy(allocations, ({ line }) => line)].map(([line, some]) => ({
    event: 'allocated',
    details: {
      line,
      allocations: some.map(({ no, taken, state, isAsked }) => ({
        allocation: no,
        part: taken.option.part,
        quantity: decimal(taken.quantity, 3),
        from: taken.stock.warehouse,
        step: taken.step,
        ready: state === 'ready',
        needsConfirmation: isAsked
      }))
    }
  }))
