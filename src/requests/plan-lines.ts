// Finds goods for lines of a request, promises them, and says what happens next (R-REQ-1).
//
// What it does: looks for what the lines are short of and nothing covers yet, step by step as `search.ts` says; reserves all that was found
// at once; opens transfers for what lies elsewhere; registers the rest as backorders. Goods found for a backorder are reserved, and move
// only after the requester said that they are still needed (R-REQ-3).
// What a line is short of is what was asked for, less what was cancelled, less its allocations that are not ended.
// If others were faster, nothing was reserved, and it is searched anew. A second call finds nothing uncovered and only looks for what waits.
// What it does not do: decide who may ask, or hold the deposit.
import type { Context } from '../identity/actor.ts'
import { successorsOfParts } from '../catalogue/supersessions.queries.ts'
import { reserveAll } from '../ledger/reserve.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, normalQuantity, thousandths } from '../platform/decimal.ts'
import { calendarOf } from '../platform/working-days.ts'
import { openTransfer } from '../transfers/open-transfer.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { allocateToBackorder, registerBackorders } from './backorder.ts'
import { settleClocks, startClocks } from './clock.ts'
import { displace } from './displace.ts'
import { findStocks, type Seeker } from './find-stocks.ts'
import { lockRequest, noteOnRequest, warehousesById, type LockedRequest } from './locked-request.ts'
import { forbiddenTo } from './order-restrictions.ts'
import { ofOption, search, STEPS, type Found, type Option, type Step, type Taken, type Want } from './search.ts'
import type { Held, Stock } from './search.ts'

interface OpenLine {
  line: number
  partId: number
  part: string
  uncovered: string
  backorderId: string | null
  waiting: string | null
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
  const plan = await promised(ctx, request, { outlet, wants: await wantsOf(ctx, request, { outlet, open }) })
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

/**
 * What may stand for parts: where a whole number stands for one, of what is sold and the outlet may request. A controlled part needs a
 * request of its own (R-CAT-2).
 */
async function optionsFor(ctx: Context, outlet: Warehouse, partIds: readonly number[]): Promise<Map<number, Option[]>> {
  const successors = await successorsOfParts(ctx.em, partIds, ctx.clock.today())
  if (successors.size === 0) return new Map()
  const ids = [...new Set([...successors.values()].flatMap((some) => some.map(({ partId }) => partId)))]
  const controlled = new Set((await run(ctx, CONTROLLED, [ids])).map(({ id }) => id))
  const forbidden = await forbiddenTo(ctx, outlet, ids)
  return new Map(
    [...successors].map(([of, some]) => [
      of,
      some
        .filter(
          ({ partId, active, replaced }) =>
            active && replaced === '1' && !controlled.has(partId) && !forbidden.has(partId)
        )
        .map(({ partId, part, successors: factor }) => ({ partId, part, factor: thousandths(normalQuantity(factor)) }))
    ])
  )
}
const CONTROLLED = statement<{ id: number }>(`select id from part where id = any ($1::int[]) and controlled`)

interface Plan extends Found {
  /** In the order of `taken`. */
  reservations: string[]
  /** The number of each allocation, in the same order. */
  numbers: number[]
  /** What replaces it could be had, where the requester did not say that it may be. */
  offers: Map<number, Offer[]>
}

interface Offer {
  part: string
  /** So many of it stand for one. */
  factor: string
  quantity: string
  from: { warehouse: string; step: Step; quantity: string }[]
}

/** So often others may be faster; after that what they took is done without. What is left waits, and the next arrival or the sweep finds it. */
const MOST_ROUNDS = 12
/** So often an emergency passes over what others are at, before it waits for them. */
const ROUNDS_IN_PASSING = 2

/** Searches and reserves, again if others were faster. */
async function promised(
  ctx: Context,
  request: LockedRequest,
  { outlet, wants }: { outlet: Warehouse; wants: readonly Want[] }
): Promise<Plan> {
  const seeker: Seeker = { ...request, requestId: request.id }
  const last = new Map((await run(ctx, LAST, [request.outletId, request.id])).map(({ line, no }) => [line, no]))
  for (let round = 1; ; round++) {
    const found = await searchInSteps(ctx, seeker, wants)
    const lost = found.taken
      .filter(({ displaced }) => displaced > 0n)
      .map(({ stock, displaced }) => ({ partId: stock.partId, ownership: stock.ownership, quantity: displaced }))
    const isFree = lost.length === 0 || (await displace(ctx, request, lost, { waits: round > ROUNDS_IN_PASSING }))
    if (!isFree && round < MOST_ROUNDS) continue
    const reserved = await reserveFound(ctx, request, { found, last, isLast: round >= MOST_ROUNDS })
    if (reserved === undefined) continue
    const short = request.acceptsSubstitutes ? [] : wants.filter(({ line }) => (reserved.left.get(line) ?? 0n) > 0n)
    return { ...reserved, offers: await offersFor(ctx, seeker, { outlet, short, left: reserved.left }) }
  }
}

/**
 * Reserves all that was found.
 * @param isLast does without what others took meanwhile; else undefined is answered, and nothing is reserved
 */
async function reserveFound(
  ctx: Context,
  { number }: LockedRequest,
  { found, last, isLast }: { found: Found; last: ReadonlyMap<number, number>; isLast: boolean }
): Promise<Omit<Plan, 'offers'> | undefined> {
  let { taken } = found
  const left = new Map(found.left)
  for (;;) {
    const numbers = numbersOf(taken, last)
    const reserved = await reserveAll(
      ctx,
      taken.map(({ line, option, stock, quantity }, place) => ({
        warehouseId: stock.warehouseId,
        partId: option.partId,
        part: option.part,
        ownership: stock.ownership,
        quantity: decimal(quantity, 3),
        reservedFor: `${number}/${line}.${numbers[place]}`
      }))
    )
    if ('ids' in reserved) return { ...found, taken, left, reservations: reserved.ids, numbers }
    if (!isLast) return undefined
    const lines = new Set(reserved.short.map(({ index }) => taken[index]?.line))
    for (const { line, quantity, option } of taken)
      if (lines.has(line)) left.set(line, (left.get(line) ?? 0n) + ofOption(quantity, option))
    taken = taken.filter(({ line }) => !lines.has(line))
  }
}

const LAST = statement<{ line: number; no: number }>(`
select line_no as line, max(allocation_no) as no from request_allocation where warehouse_id = $1 and request_id = $2 group by line_no`)

function numbersOf(taken: readonly Taken[], before: ReadonlyMap<number, number>): number[] {
  const last = new Map(before)
  return taken.map(({ line }) => {
    const number = (last.get(line) ?? 0) + 1
    last.set(line, number)
    return number
  })
}

/** Asks the next step only for what the steps before it left over: most requests never leave their centre. */
async function searchInSteps(ctx: Context, seeker: Seeker, wants: readonly Want[]): Promise<Found> {
  const stocks: Stock[] = []
  const held: Held[] = []
  const steps: Step[] = []
  let found = search(wants, { stocks, steps })
  for (const step of STEPS) {
    if (step === 'head-office' && seeker.headOfficeId === null) continue
    const asking = wants.filter(({ line }) => (found.left.get(line) ?? 0n) > 0n)
    if (asking.length === 0) break
    const answer = await findStocks(
      ctx,
      step,
      asking.flatMap(({ options }) => options.map(({ partId }) => partId)),
      seeker
    )
    stocks.push(...answer.stocks)
    held.push(...answer.held)
    steps.push(step)
    found = search(wants, { stocks, held, steps })
  }
  return found
}

/** What could be had instead, for lines that are short of the part itself (R-CAT-4): each as if it alone were asked for. */
async function offersFor(
  ctx: Context,
  seeker: Seeker,
  { outlet, short, left }: { outlet: Warehouse; short: readonly Want[]; left: ReadonlyMap<number, bigint> }
): Promise<Map<number, Offer[]>> {
  const options = await optionsFor(
    ctx,
    outlet,
    short.flatMap(({ options: [itself] }) => itself?.partId ?? [])
  )
  const wants = short.flatMap(({ line, options: [itself] }) =>
    (itself === undefined ? [] : (options.get(itself.partId) ?? [])).map((option) => ({
      line,
      quantity: left.get(line) ?? 0n,
      isWhole: false,
      options: [option],
      option
    }))
  )
  const stocks = new Map<number, Stock[]>()
  const found = (want: (typeof wants)[number]) => search([want], { stocks: stocks.get(want.option.partId) ?? [] })
  for (const step of STEPS) {
    if (step === 'head-office' && seeker.headOfficeId === null) continue
    const asking = wants.filter((want) => (found(want).left.get(want.line) ?? 0n) > 0n)
    if (asking.length === 0) break
    const answer = await findStocks(
      ctx,
      step,
      asking.map(({ option: { partId } }) => partId),
      seeker
    )
    for (const stock of answer.stocks) stocks.set(stock.partId, [...(stocks.get(stock.partId) ?? []), stock])
  }
  const offers = new Map<number, Offer[]>()
  for (const want of wants) {
    const { taken } = found(want)
    if (taken.length === 0) continue
    const offer = {
      part: want.option.part,
      factor: decimal(want.option.factor, 3),
      quantity: decimal(
        taken.reduce((sum, { quantity }) => sum + quantity, 0n),
        3
      ),
      from: taken.map(({ stock, step, quantity }) => ({
        warehouse: stock.warehouse,
        step,
        quantity: decimal(quantity, 3)
      }))
    }
    offers.set(want.line, [...(offers.get(want.line) ?? []), offer])
  }
  return offers
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

/** Until when goods are kept for a requester who does not fetch them, and until when one who is asked may answer. */
export async function expiriesFrom(ctx: Context, day: string): Promise<{ fetched: string; confirmed: string }> {
  const calendar = await calendarOf(ctx)
  return {
    fetched: calendar.addWorkingDays(day, ctx.config.RESERVATION_DAYS),
    confirmed: calendar.addWorkingDays(day, ctx.config.CONFIRMATION_DAYS)
  }
}

async function allocate(
  ctx: Context,
  { outletId, id }: LockedRequest,
  open: readonly OpenLine[],
  plan: Plan
): Promise<Allocation[]> {
  if (plan.taken.length === 0) return []
  const backorderOf = new Map(open.map(({ line, backorderId }) => [line, backorderId]))
  const expiries = await expiriesFrom(ctx, ctx.clock.today())
  const allocations = plan.taken.map((taken, place): Allocation => {
    const isAsked = backorderOf.get(taken.line) != null
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
const evidenceFor = ({ evidence }: Plan, { line, step, option }: Taken) => {
  const steps = evidence.get(line) ?? []
  const place = steps.findIndex((one) => one.step === step && one.part === option.part)
  return steps.slice(0, place + 1)
}

const KEEP = statement<never>(`
update request_line l set search = k.search
  from unnest($3::int[], $4::jsonb[]) as k (line_no, search)
 where l.warehouse_id = $1 and l.request_id = $2 and l.line_no = k.line_no`)

const keepSearches = (ctx: Context, { outletId, id }: LockedRequest, open: readonly OpenLine[], plan: Plan) =>
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
    plan: Plan
    allocations: readonly Allocation[]
    queuedAt: string | undefined
  }
): Promise<void> {
  const key = { outletId: outlet.id, requestId: request.id }
  const backorderOf = new Map(open.map(({ line, backorderId }) => [line, backorderId]))
  const events = eventsOf(allocations)
  await noteOnRequest(ctx, key, events)
  for (const { line, taken, isAsked } of allocations) {
    const backorderId = backorderOf.get(line)
    if (!isAsked || backorderId == null) continue
    const quantity = decimal(ofOption(taken.quantity, taken.option), 3)
    await allocateToBackorder(ctx, { outletId: outlet.id, backorderId, quantity, from: taken.stock.warehouse })
  }
  const short = open.flatMap(({ line, partId, waiting }) => {
    const left = plan.left.get(line) ?? 0n
    const found = allocations
      .filter((allocation) => allocation.line === line && allocation.isAsked)
      .reduce((sum, { taken }) => sum + ofOption(taken.quantity, taken.option), 0n)
    // What a backorder waits for already is registered; only what changed is told anew.
    const known = waiting === null ? null : thousandths(waiting) - found
    return left === 0n || known === left ? [] : [{ line, partId, quantity: decimal(left, 3) }]
  })
  await registerShort(ctx, { request, outlet, short, queuedAt })
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

interface Moving {
  line: number
  no: number
  fromId: number
  partId: number
  part: string
  ownership: 'own' | 'consigned'
  quantity: string
  reservationId: string
  isHere: boolean
}

// What may move: nobody is asked about it, or the answer was yes.
const MOVING = statement<Moving>(`
select a.line_no as line, a.allocation_no as no, a.from_warehouse_id as "fromId", a.part_id as "partId", part.number as part, a.ownership,
       trim_scale(a.quantity - a.issued)::text as quantity, a.reservation_id::text as "reservationId", a.centre_reservation_id is not null as "isHere"
  from request_allocation a
  join part on part.id = a.part_id
 where a.warehouse_id = $1 and a.request_id = $2 and a.state = 'reserved' and (not a.needs_confirmation or a.confirmed_at is not null)
 order by a.from_warehouse_id, a.line_no, a.allocation_no
   for update of a`)

const SET_OFF = statement<never>(`
update request_allocation a set transfer_id = m.transfer_id, state = case when m.transfer_id is null then 'ready' else 'on-its-way' end,
       expires_on = case when m.transfer_id is null then $6::date end
  from unnest($3::int[], $4::int[], $5::bigint[]) as m (line_no, allocation_no, transfer_id)
 where a.warehouse_id = $1 and a.request_id = $2 and a.line_no = m.line_no and a.allocation_no = m.allocation_no`)

/**
 * Sets off what a request has been promised and nobody is asked about: a transfer from each warehouse where goods lie, and what lies at the
 * centre is ready to be handed out. Call it as well when the requester confirmed a backorder; a second call finds nothing to move.
 */
export async function moveAllocations(
  ctx: Context,
  { outlet, requestId, request: held }: { outlet: Warehouse; requestId: string; request?: LockedRequest }
): Promise<void> {
  const request = held ?? (await lockRequest(ctx, outlet.id, requestId))
  const moving = await run(ctx, MOVING, [outlet.id, requestId])
  if (moving.length === 0) return
  const places = await warehousesById(ctx, [request.centreId, ...moving.map(({ fromId }) => fromId)])
  const centre = places.get(request.centreId)
  if (centre === undefined) throw new Error(`centre ${request.centreId} is not known`)
  const transfers = new Map<number, { id: string; number: string }>()
  for (const [fromId, lines] of Map.groupBy(
    moving.filter(({ isHere }) => !isHere),
    (line) => line.fromId
  )) {
    const from = places.get(fromId)
    if (from === undefined) throw new Error(`warehouse ${fromId} is not known`)
    const transfer = await openTransfer(ctx, {
      from,
      to: centre,
      lines: lines.map(({ line, no, partId, part, ownership, quantity, reservationId }) => ({
        partId,
        part,
        ownership,
        quantity,
        reservationId,
        reserveFor: `${request.number}/${line}.${no}`
      })),
      carriage: request.carriage,
      directTo: request.urgency === 'emergency' ? outlet : null,
      reference: request.number,
      because: `request ${request.number} of ${outlet.code}`
    })
    transfers.set(fromId, transfer)
  }
  const { fetched } = await expiriesFrom(ctx, ctx.clock.today())
  await run(ctx, SET_OFF, [
    outlet.id,
    requestId,
    moving.map(({ line }) => line),
    moving.map(({ no }) => no),
    moving.map(({ isHere, fromId }) => (isHere ? null : (transfers.get(fromId)?.id ?? null))),
    fetched
  ])
  const events = [
    ...[...transfers].map(([fromId, { number }]) => ({
      event: 'transfer-ordered',
      details: {
        transfer: number,
        from: places.get(fromId)?.code,
        lines: moving.filter((line) => line.fromId === fromId && !line.isHere).map(({ line }) => line)
      }
    })),
    ...moving
      .filter(({ isHere }) => isHere)
      .map(({ line, part, quantity }) => ({ event: 'ready', details: { line, part, quantity } }))
  ]
  await noteOnRequest(ctx, { outletId: outlet.id, requestId }, events)
}
