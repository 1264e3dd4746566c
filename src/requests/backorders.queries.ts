import { readPart } from '../catalogue/parts.queries.ts'
import { maySee, sightOf, type Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import type { BackorderFilter, BackorderSummary, BackorderView } from './backorders.schemas.ts'
import { warehousesById } from './locked-request.ts'

/** A backorder as it is kept. */
export type Backorder = BackorderSummary & { id: string; outletId: number; centreId: number; requestId: string }

const COLUMNS = `
       b.id::text as id, b.warehouse_id as "outletId", b.centre_id as "centreId", b.request_id::text as "requestId",
       b.number, outlet.code as warehouse, centre.code as centre, r.number as request, b.line_no as line, part.number as part, part.name, part.name_zh as "nameZh", part.unit,
       b.urgency, trim_scale(b.quantity)::text as quantity, trim_scale(b.waiting)::text as waiting, b.state, b.version,
       b.registered_at as "registeredAt", b.queued_at as "queuedAt", b.promised_on::text as "promisedOn", b.promise_basis as "promiseBasis", b.promise_document as "expectedReceipt",
       b.answer_due_at as "answerDueAt", b.answered_at as "answeredAt", answerer.username as "answeredBy", b.asked_at as "askedAt",
       case when b.asked_at is not null then (
         select min(a.expires_on)::text from request_allocation a
          where a.warehouse_id = b.warehouse_id and a.request_id = b.request_id and a.line_no = b.line_no and a.backorder_id = b.id
            and a.needs_confirmation and a.confirmed_at is null and a.state in ('reserved', 'ready')) end as "confirmBy",
       b.ended_at as "endedAt", b.ended_because as "endedBecause"`
const FROM = `
  backorder b
  join warehouse outlet on outlet.id = b.warehouse_id
  join warehouse centre on centre.id = b.centre_id
  join request r on r.warehouse_id = b.warehouse_id and r.id = b.request_id
  join part on part.id = b.part_id
  left join person answerer on answerer.id = b.answered_by`
// Whoever sees the outlet that waits, or its centre. $1 to $3 what the actor sees; $8 the instant at which the day is over.
const FILTER = `
       ($1 or outlet.id = any ($2::int[]) or outlet.region_id = any ($3::int[]) or centre.id = any ($2::int[]) or centre.region_id = any ($3::int[]))
   and ($4::text is null or outlet.code = $4) and ($5::text is null or centre.code = $5) and ($6::text is null or part.number = $6)
   and ($7::text is null or b.state = $7) and ($8::timestamptz is null or (b.answer_due_at < $8 and b.answered_at is null and b.ended_at is null))`

const PAGE = statement<Backorder>(`
select ${COLUMNS} from ${FROM} where ${FILTER} and ($9::bigint is null or b.id < $9) order by b.id desc limit $10`)
const ALL = `select ${COLUMNS} from ${FROM} where ${FILTER} order by b.id desc`

const instants = <Row extends BackorderSummary>(row: Row): Row => ({
  ...row,
  registeredAt: instant(row.registeredAt),
  queuedAt: instant(row.queuedAt),
  answerDueAt: instant(row.answerDueAt),
  answeredAt: instantOrNull(row.answeredAt),
  askedAt: instantOrNull(row.askedAt),
  endedAt: instantOrNull(row.endedAt)
})

const summaryOf = ({
  id: _id,
  outletId: _outletId,
  centreId: _centreId,
  requestId: _requestId,
  ...backorder
}: Backorder): BackorderSummary => instants(backorder)

function parametersOf(ctx: Context, { warehouse, centre, part, state, due }: BackorderFilter): unknown[] {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const dayIsOver =
    due === undefined
      ? null
      : Temporal.PlainDate.from(due)
          .add({ days: 1 })
          .toZonedDateTime(ctx.config.BUSINESS_TIME_ZONE)
          .toInstant()
          .toString()
  return [
    everywhere,
    warehouseIds,
    regionIds,
    warehouse ?? null,
    centre ?? null,
    part ?? null,
    state ?? null,
    dayIsOver
  ]
}

/** Backorders of outlets the actor sees, and those that wait at centres the actor sees, newest first. */
export async function listBackorders(
  ctx: Context,
  { limit = 50, cursor, ...filter }: BackorderFilter & { limit?: number | undefined; cursor?: string | undefined }
) {
  const [before] = readCursor(cursor, ['id']) ?? [null]
  const rows = await run(ctx, PAGE, [...parametersOf(ctx, filter), before, limit + 1])
  if (rows.length === 0) await requireKnown(ctx, filter)
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return { items: items.map(summaryOf), nextCursor }
}

/** @throws Refusal 404 */
async function requireKnown(ctx: Context, { warehouse, centre, part }: BackorderFilter): Promise<void> {
  for (const code of [warehouse, centre])
    if (code !== undefined && !maySee(ctx, await warehouseByCode(ctx, code))) throw notFound('warehouse', code)
  if (part !== undefined) await readPart(ctx, { number: part })
}

export const BACKORDER_COLUMNS: CsvColumns<BackorderSummary> = {
  number: 'number 缺货登记单号',
  warehouse: 'outlet 网点',
  centre: 'centre 中心库',
  request: 'request 要货单号',
  line: 'line 行号',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  unit: 'unit 单位',
  urgency: 'urgency 紧急程度',
  quantity: 'quantity 登记数量',
  waiting: 'waiting 尚缺数量',
  state: 'state 状态',
  registeredAt: 'registered at 登记时间',
  queuedAt: 'queued at 排队时间',
  promisedOn: 'promised on 承诺到货日',
  promiseBasis: 'basis 承诺依据',
  expectedReceipt: 'expected receipt 在途单',
  answerDueAt: 'answer due at 应答期限',
  answeredAt: 'answered at 应答时间',
  answeredBy: 'answered by 应答人',
  askedAt: 'asked at 询问时间',
  confirmBy: 'confirm by 确认期限',
  endedAt: 'ended at 结束时间',
  endedBecause: 'ended because 结束原因'
}

/** The same as rows of a file. */
export async function backorderStream(
  ctx: Context,
  filter: BackorderFilter
): Promise<AsyncGenerator<BackorderSummary>> {
  if ((await run(ctx, PAGE, [...parametersOf(ctx, filter), null, 1])).length === 0) await requireKnown(ctx, filter)
  return rows()
  async function* rows(): AsyncGenerator<BackorderSummary> {
    for await (const row of rowsOf<Backorder>(ctx, ALL, parametersOf(ctx, filter))) yield summaryOf(row)
  }
}

const KEY = statement<{ id: string; requestId: string; centreId: number }>(
  `select id::text as id, request_id::text as "requestId", centre_id as "centreId" from backorder where warehouse_id = $1 and number = $2`
)

/** A backorder that the actor may see, and whose it is. */
export interface FoundBackorder {
  id: string
  requestId: string
  outlet: Warehouse
  centre: Warehouse
}

/** @throws Refusal 404 for one that does not exist, or of which the actor sees neither the outlet nor the centre */
export async function findBackorder(ctx: Context, number: string): Promise<FoundBackorder> {
  const outlet = await warehouseByCode(ctx, number.replace(/-BKO-\d{6}-\d+$/, '')).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('backorder', number) : error
  })
  const [key] = await run(ctx, KEY, [outlet.id, number])
  if (key === undefined) throw notFound('backorder', number)
  const centre = (await warehousesById(ctx, [key.centreId])).get(key.centreId)
  if (centre === undefined) throw new Error(`backorder ${number} waits at no warehouse`)
  if (!maySee(ctx, outlet) && !maySee(ctx, centre)) throw notFound('backorder', number)
  return { id: key.id, requestId: key.requestId, outlet, centre }
}

type Goods = BackorderView['goods'][number]
const ONE = statement<Backorder & { inFront: string; goods: Goods[]; history: BackorderView['history'] }>(`
select ${COLUMNS},
       trim_scale(coalesce((select sum(q.waiting) from backorder q
                             where q.part_id = b.part_id and q.centre_id = b.centre_id and q.waiting > 0 and b.waiting > 0 and q.id <> b.id
                               and (q.urgency = b.urgency and (q.queued_at, q.request_id, q.line_no) < (b.queued_at, b.request_id, b.line_no)
                                 or q.urgency = 'emergency' and b.urgency = 'normal')), 0))::text as "inFront",
       coalesce((select json_agg(json_build_object(
                          'part', goods.number, 'from', giver.code, 'quantity', trim_scale(a.quantity)::text, 'state', a.state,
                          'confirmedAt', a.confirmed_at, 'expiresOn', a.expires_on, 'endedBecause', a.ended_because) order by a.allocation_no)
                   from request_allocation a
                   join part goods on goods.id = a.part_id
                   join warehouse giver on giver.id = a.from_warehouse_id
                  where a.warehouse_id = b.warehouse_id and a.request_id = b.request_id and a.line_no = b.line_no and a.backorder_id = b.id), '[]') as goods,
       (select json_agg(json_build_object('at', e.occurred_at, 'by', person.username, 'event', e.event, 'details', e.details) order by e.id)
          from document_event e join person on person.id = e.person_id
         where e.warehouse_id = b.warehouse_id and e.document_id = b.id) as history
  from ${FROM} where b.warehouse_id = $1 and b.id = $2`)

/** One backorder with the goods that were found for it and everything that happened to it. */
export async function readBackorder(ctx: Context, { number }: { number: string }): Promise<BackorderView> {
  return viewOfBackorder(ctx, await findBackorder(ctx, number))
}

export async function viewOfBackorder(
  ctx: Context,
  { outlet, id }: Pick<FoundBackorder, 'outlet' | 'id'>
): Promise<BackorderView> {
  const [row] = await run(ctx, ONE, [outlet.id, id])
  if (row === undefined) throw new Error(`there is no backorder ${id} of ${outlet.code}`)
  const { inFront, goods, history, ...backorder } = row
  return {
    ...summaryOf(backorder),
    inFront,
    goods: goods.map((each) => ({ ...each, confirmedAt: instantOrNull(each.confirmedAt) })),
    history: history.map((each) => ({ ...each, at: instant(each.at) }))
  }
}
