import { findRegion } from '../identity/identity.queries.ts'
import { maySee, sightOf, type Context, type WarehouseRef } from '../identity/actor.ts'
import { readPart } from '../catalogue/parts.queries.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { clocksOf } from './clocks.queries.ts'
import type {
  AllocationView,
  LineView,
  RequestFilter,
  RequestSummary,
  RequestView,
  SearchStep
} from './requests.schemas.ts'

/** The warehouse code a request number begins with. */
const warehouseOf = (number: string): string => number.replace(/-REQ-\d{6}-\d+$/, '')

const FIND = statement<{ id: string; centre: string; givers: WarehouseRef[] }>(`
select r.id::text as id, centre.code as centre,
       coalesce((select json_agg(distinct jsonb_build_object('id', giver.id, 'code', giver.code, 'regionId', giver.region_id))
                   from request_allocation a join warehouse giver on giver.id = a.from_warehouse_id
                  where a.warehouse_id = r.warehouse_id and a.request_id = r.id), '[]') as givers
  from request r join warehouse centre on centre.id = r.centre_id
 where r.warehouse_id = $1 and r.number = $2`)

/**
 * Where a request is: visible to its outlet, its centre and whoever gives goods for it.
 * @throws Refusal 404
 */
export async function findRequest(
  ctx: Context,
  number: string
): Promise<{ id: string; outlet: Warehouse; centre: Warehouse }> {
  const outlet = await warehouseByCode(ctx, warehouseOf(number)).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('request', number) : error
  })
  const [found] = await run(ctx, FIND, [outlet.id, number])
  if (found === undefined) throw notFound('request', number)
  const centre = await warehouseByCode(ctx, found.centre)
  if (![outlet, centre, ...found.givers].some((warehouse) => maySee(ctx, warehouse))) throw notFound('request', number)
  return { id: found.id, outlet, centre }
}

interface AllocationRow extends Omit<AllocationView, 'evidence' | 'receivedOn'> {
  line: number
  evidence: SearchStep[]
}
interface LineRow extends Omit<
  LineView,
  'state' | 'ready' | 'allocations' | 'search' | 'searchedAt' | 'substitutes' | 'requestedAs'
> {
  unitQuantity: string
  writtenUnit: string
  awaitingApproval: boolean
  search: { searchedAt: string; steps: SearchStep[]; offers: LineView['substitutes'] } | null
}
type Row = Omit<RequestView, 'lines' | 'clocks'> & {
  lines: LineRow[]
  allocations: AllocationRow[]
}

const HEAD = `
       r.number, outlet.code as warehouse, outlet.name as "warehouseName", centre.code as centre, region.code as region, r.urgency, r.carriage,
       r.need_by::text as "needBy", r.repair_order as "repairOrder", r.state, r.version, r.value::text as value, requester.username as "requestedBy",
       r.requested_at as "requestedAt", r.ended_at as "endedAt"`
const PLACES = `
  request r
  join warehouse outlet on outlet.id = r.warehouse_id
  join warehouse centre on centre.id = r.centre_id
  join region on region.id = outlet.region_id
  join person requester on requester.id = r.requested_by`

/** The slip that is written for allocation `a` of request `r` and not posted, as SQL. */
export const OPEN_SLIP = `
  (select s.number from slip_line l join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id
    where l.warehouse_id = r.centre_id and l.reservation_id = a.centre_reservation_id and s.state not in ('posted', 'cancelled')
    order by s.id limit 1)`

const ONE = statement<Row>(`
select ${HEAD}, r.contact, r.note, r.accepts_partial as partial, r.accepts_substitutes as substitutes,
       (select json_build_object('value', (select coalesce(sum(round((p.quantity - p.cancelled - p.issued) * p.unit_price, 2)), 0)::numeric(18,2)::text from request_line_position p
                                            where p.warehouse_id = r.warehouse_id and p.request_id = r.id),
                                 'held', coalesce(hold.amount, 0)::numeric(18,2)::text, 'free', (account.balance - account.held)::text,
                                 'waived', (select coalesce(sum(u.amount), 0)::numeric(18,2)::text from deposit_waiver_use u where u.warehouse_id = r.warehouse_id and u.reference = r.number))
          from deposit_account account
          left join deposit_hold hold on hold.warehouse_id = account.warehouse_id and hold.reference = r.number
         where account.warehouse_id = r.warehouse_id) as deposit,
       (select json_agg(json_build_object(
                 'line', l.line_no, 'part', part.number, 'name', part.name, 'nameZh', part.name_zh, 'unit', part.unit, 'quantity', trim_scale(l.quantity)::text,
                 'unitQuantity', trim_scale(l.unit_quantity)::text, 'writtenUnit', l.unit, 'unitPrice', l.unit_price::text, 'note', l.note,
                 'allocated', trim_scale(p.allocated)::text, 'issued', trim_scale(p.issued)::text, 'backordered', trim_scale(p.uncovered)::text,
                 'cancelled', trim_scale(l.cancelled)::text, 'cancelledBecause', l.cancelled_because, 'awaitingApproval', l.awaiting_approval, 'search', l.search,
                 'backorder', (select json_build_object('number', b.number, 'state', b.state, 'quantity', trim_scale(b.quantity)::text, 'waiting', trim_scale(b.waiting)::text,
                                                        'promisedOn', b.promised_on, 'promiseBasis', b.promise_basis, 'answerDueAt', b.answer_due_at)
                                 from backorder b where b.warehouse_id = l.warehouse_id and b.request_id = l.request_id and b.line_no = l.line_no
                                order by b.id desc limit 1)) order by l.line_no)
          from request_line l
          join request_line_position p on p.warehouse_id = l.warehouse_id and p.request_id = l.request_id and p.line_no = l.line_no
          join part on part.id = l.part_id
         where l.warehouse_id = r.warehouse_id and l.request_id = r.id) as lines,
       coalesce((select json_agg(json_build_object(
                 'line', a.line_no, 'allocation', a.allocation_no, 'part', part.number, 'quantity', trim_scale(a.quantity)::text, 'issued', trim_scale(a.issued)::text,
                 'step', a.step, 'from', giver.code, 'ownership', a.ownership, 'state', a.state, 'transfer', t.number, 'slip', ${OPEN_SLIP},
                 'backorder', b.number, 'needsConfirmation', a.needs_confirmation and a.confirmed_at is null and a.state = 'reserved', 'confirmedAt', a.confirmed_at, 'expiresOn', a.expires_on,
                 'allocatedAt', a.allocated_at, 'endedAt', a.ended_at, 'endedBecause', a.ended_because, 'evidence', a.evidence) order by a.line_no, a.allocation_no)
          from request_allocation a
          join part on part.id = a.part_id
          join warehouse giver on giver.id = a.from_warehouse_id
          left join transfer t on t.warehouse_id = a.from_warehouse_id and t.id = a.transfer_id
          left join backorder b on b.warehouse_id = a.warehouse_id and b.id = a.backorder_id
         where a.warehouse_id = r.warehouse_id and a.request_id = r.id), '[]') as allocations,
       coalesce((select json_agg(json_build_object('at', e.occurred_at, 'by', person.username, 'event', e.event, 'details', e.details) order by e.id)
          from document_event e join person on person.id = e.person_id
         where e.warehouse_id = r.warehouse_id and e.document_id = r.id), '[]') as history
  from ${PLACES}
 where r.warehouse_id = $1 and r.id = $2`)

/**
 * A request as it stands: per line where its goods come from and why the warehouses before were passed over, or until when it waits.
 * @throws Refusal 404
 */
export async function readRequest(ctx: Context, { number }: { number: string }): Promise<RequestView> {
  const { id, outlet } = await findRequest(ctx, number)
  return viewOfRequest(ctx, outlet, id)
}

/** The same of one that the caller has found. */
export async function viewOfRequest(ctx: Context, outlet: Warehouse, id: string): Promise<RequestView> {
  const [row] = await run(ctx, ONE, [outlet.id, id])
  if (row === undefined) throw new Error(`request ${id} of ${outlet.code} vanished`)
  const { allocations, ...request } = row
  return {
    ...request,
    requestedAt: instant(request.requestedAt),
    endedAt: instantOrNull(request.endedAt),
    lines: request.lines.map((line) =>
      lineView(
        line,
        allocations.filter((allocation) => allocation.line === line.line)
      )
    ),
    clocks: await clocksOf(ctx, { outletId: outlet.id, requestId: id }),
    history: request.history.map((event) => ({ ...event, at: instant(event.at) }))
  }
}

function lineView(row: LineRow, allocations: readonly AllocationRow[]): LineView {
  const { unitQuantity, writtenUnit, awaitingApproval, search, backorder, ...line } = row
  const ready = allocations
    .filter(({ state }) => state === 'ready')
    .reduce((sum, { quantity, issued }) => sum + thousandths(quantity) - thousandths(issued), 0n)
  return {
    ...line,
    requestedAs: `${unitQuantity} ${writtenUnit}`,
    state: stateOf(row, ready),
    // What waits for an approval is not looked for yet.
    backordered: awaitingApproval ? '0' : line.backordered,
    ready: decimal(ready, 3),
    backorder: backorder === null ? null : { ...backorder, answerDueAt: instant(backorder.answerDueAt) },
    allocations: allocations.map(({ line: _line, ...allocation }) => ({
      ...allocation,
      receivedOn: receivedOnOf(allocation),
      confirmedAt: instantOrNull(allocation.confirmedAt),
      allocatedAt: instant(allocation.allocatedAt),
      endedAt: instantOrNull(allocation.endedAt)
    })),
    search: search?.steps ?? [],
    searchedAt: instantOrNull(search?.searchedAt ?? null),
    substitutes: search?.offers ?? []
  }
}

const receivedOnOf = ({ evidence, step, part, from, ownership }: Omit<AllocationRow, 'line'>): string | null =>
  evidence
    .find((one) => one.step === step && one.part === part)
    ?.from.find((one) => one.warehouse === from && one.ownership === ownership)?.receivedOn ?? null

function stateOf(
  { awaitingApproval, backordered, allocated, issued, cancelled }: LineRow,
  ready: bigint
): LineView['state'] {
  if (awaitingApproval) return 'awaiting-approval'
  if (ready > 0n) return 'ready'
  if (allocated !== '0') return 'allocated'
  if (backordered !== '0') return 'backordered'
  if (issued !== '0') return 'issued'
  return cancelled === '0' ? 'backordered' : 'cancelled'
}

// What a line has of each kind: one look at its allocations.
const COUNTS = `
 cross join lateral (
   select count(*)::int as lines, count(*) filter (where a.is_ready)::int as "linesReady", count(*) filter (where a.is_moving)::int as "linesOnTheirWay",
          count(*) filter (where p.uncovered > 0 and not p.awaiting_approval)::int as "linesBackordered", count(*) filter (where p.awaiting_approval)::int as "linesAwaitingApproval",
          count(*) filter (where p.issued > 0 and p.issued + p.cancelled >= p.quantity)::int as "linesIssued"
     from request_line_position p
    cross join lateral (select coalesce(bool_or(a.state = 'ready'), false) as is_ready, coalesce(bool_or(a.state = 'on-its-way'), false) as is_moving
                          from request_allocation a
                         where a.warehouse_id = p.warehouse_id and a.request_id = p.request_id and a.line_no = p.line_no) a
    where p.warehouse_id = r."outletId" and p.request_id = r.id::bigint) counted
 cross join lateral (select min(c.due_on)::text as "dueOn" from request_clock c where c.warehouse_id = r."outletId" and c.request_id = r.id::bigint and c.ended_at is null) clock`
// Whoever sees the outlet, the centre, or a warehouse that gives goods for it; looked up from those warehouses, so that an outlet's list is
// as long as what it asked for. $2 and $3 what the actor sees.
const SEEN = `
       (r.warehouse_id, r.id) in (
         with visible as materialized (select id from warehouse where id = any ($2::int[]) or region_id = any ($3::int[]))
         select seen.warehouse_id, seen.id from request seen where seen.warehouse_id in (select id from visible)
         union
         select seen.warehouse_id, seen.id from request seen where seen.centre_id in (select id from visible)
         union
         select a.warehouse_id, a.request_id from request_allocation a where a.reservation_id is not null and a.from_warehouse_id in (select id from visible))`
const EVERYWHERE = `($2::int[] is not null and $3::int[] is not null)`
const FILTER = `
       $1::boolean is not null
   and ($4::text is null or outlet.code = $4) and ($5::text is null or centre.code = $5) and ($6::text is null or region.code = $6)
   and ($7::text is null or r.state = $7) and ($8::text is null or r.urgency = $8) and ($9::text is null or r.repair_order = $9)
   and ($10::text is null or exists (select 1 from request_line l join part on part.id = l.part_id
                                      where l.warehouse_id = r.warehouse_id and l.request_id = r.id and part.number = $10))
   and (not coalesce($11::boolean, false) or exists (select 1 from request_allocation a where a.warehouse_id = r.warehouse_id and a.request_id = r.id and a.state = 'ready'))`
type ListRow = RequestSummary & { id: string; rank: number; outletId: number }
// The page is cut first; only its rows are looked at further.
const listOf = (sight: string, page = ''): string => `
select r.*, counted.*, clock.*
  from (select r.id::text as id, r.warehouse_id as "outletId", case r.urgency when 'emergency' then 0 else 1 end as rank, ${HEAD}
          from ${PLACES}
         where ${FILTER} and ${sight} ${page}) r ${COUNTS}`
const BY_ID = 'order by r.id::bigint desc'
const BY_NEED = 'order by r.rank, r."needBy", r.id::bigint'
const statementsOf = (sight: string) => ({
  text: listOf(sight),
  newest: statement<ListRow>(
    `${listOf(sight, 'and ($12::bigint is null or r.id < $12) order by r.id desc limit $13')} ${BY_ID}`
  ),
  worklist: statement<ListRow>(
    `${listOf(
      sight,
      `and ($12::int is null or (case r.urgency when 'emergency' then 0 else 1 end, r.need_by, r.id) > ($12, $14::date, $15::bigint))
       order by case r.urgency when 'emergency' then 0 else 1 end, r.need_by, r.id limit $13`
    )} ${BY_NEED}`
  )
})
const OF_ALL = statementsOf(EVERYWHERE)
const OF_SEEN = statementsOf(SEEN)
/** Who sees everything is not asked what. */
const listFor = (ctx: Context) => (sightOf(ctx).everywhere ? OF_ALL : OF_SEEN)

function parametersOf(ctx: Context, given: RequestFilter): unknown[] {
  const { warehouse, centre, region, state, urgency, repairOrder, part, ready } = given
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  return [
    everywhere,
    warehouseIds,
    regionIds,
    warehouse ?? null,
    centre ?? null,
    region ?? null,
    state ?? null,
    urgency ?? null,
    repairOrder ?? null,
    part ?? null,
    ready ?? null
  ]
}

const summaryOf = ({ id: _id, rank: _rank, outletId: _outletId, ...request }: ListRow): RequestSummary => ({
  ...request,
  requestedAt: instant(request.requestedAt),
  endedAt: instantOrNull(request.endedAt)
})

/** Requests one may see, newest first, or as the keeper works them off: emergencies first, then by the day on which they are needed. */
export async function listRequests(
  ctx: Context,
  {
    limit = 50,
    cursor,
    order = 'newest',
    ...given
  }: RequestFilter & {
    limit?: number | undefined
    cursor?: string | undefined
    order?: 'newest' | 'worklist' | undefined
  }
) {
  const values = parametersOf(ctx, given)
  const after = readCursor(cursor, order === 'newest' ? ['id'] : ['integer', 'text', 'id'])
  const rows =
    order === 'newest'
      ? await run(ctx, listFor(ctx).newest, [...values, after?.[0] ?? null, limit + 1])
      : await run(ctx, listFor(ctx).worklist, [
          ...values,
          after?.[0] ?? null,
          limit + 1,
          after?.[1] ?? null,
          after?.[2] ?? null
        ])
  if (rows.length === 0) await requireKnown(ctx, given)
  const page = pageFrom(rows, limit, ({ id, rank, needBy }) => (order === 'newest' ? [id] : [rank, needBy, id]))
  return { items: page.items.map(summaryOf), nextCursor: page.nextCursor }
}

/** @throws Refusal 404 */
async function requireKnown(ctx: Context, { warehouse, centre, region, part }: RequestFilter): Promise<void> {
  for (const code of [warehouse, centre])
    if (code !== undefined && !maySee(ctx, await warehouseByCode(ctx, code))) throw notFound('warehouse', code)
  if (region !== undefined) await findRegion(ctx, region)
  if (part !== undefined) await readPart(ctx, { number: part })
}

export const REQUEST_COLUMNS: CsvColumns<RequestSummary> = {
  number: 'number 要货单号',
  warehouse: 'outlet 网点',
  warehouseName: 'outlet name 网点名称',
  region: 'region 区域',
  centre: 'centre 中心库',
  urgency: 'urgency 紧急程度',
  carriage: 'carriage 运输方式',
  needBy: 'need by 需用日期',
  repairOrder: 'repair order 维修单号',
  state: 'state 状态',
  value: 'value 金额',
  requestedBy: 'requested by 要货人',
  requestedAt: 'requested at 要货时间',
  dueOn: 'due on 到期日',
  lines: 'lines 行数',
  linesReady: 'ready 可发行数',
  linesOnTheirWay: 'on their way 在途行数',
  linesBackordered: 'backordered 缺货行数',
  linesAwaitingApproval: 'awaiting approval 待审批行数',
  linesIssued: 'issued 已发行数'
}

/** The whole list for a file, in the order of the worklist or newest first. */
export async function requestStream(
  ctx: Context,
  { order = 'newest', ...given }: RequestFilter & { order?: 'newest' | 'worklist' | undefined }
): Promise<AsyncIterable<RequestSummary>> {
  await requireKnown(ctx, given)
  const text = `${listFor(ctx).text} ${order === 'newest' ? BY_ID : BY_NEED}`
  return (async function* () {
    for await (const row of rowsOf<ListRow>(ctx, text, parametersOf(ctx, given))) yield summaryOf(row)
  })()
}
