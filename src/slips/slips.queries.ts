import { requireSight, sightOf, type Context, type Duty } from '../identity/actor.ts'
import { requireDaysInOrder } from '../platform/days.ts'
import { readCursor, pageFrom } from '../platform/cursor.ts'
import { rowsOf } from '../platform/csv.ts'
import { run, statement } from '../platform/database.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { SLIP_KIND_RULES, type SlipKind, type SlipState } from './slip-kinds.ts'
import { instant } from '../platform/clock.ts'
import { historyOf } from '../signing/document-history.ts'
import { lateSignature, loadSlip, type Slip } from './slip.ts'
import type { SlipSummary } from './slips.schemas.ts'

export interface SlipFilter {
  state?: SlipState | undefined
  kind?: SlipKind | undefined
  from?: string | undefined
  to?: string | undefined
  /** A duty that has yet to sign, in time or late. */
  awaiting?: Duty | undefined
  reference?: string | undefined
  lateSignature?: boolean | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

type Row = Pick<
  Slip,
  | 'id'
  | 'number'
  | 'kind'
  | 'purpose'
  | 'state'
  | 'version'
  | 'occurredOn'
  | 'reference'
  | 'counterparty'
  | 'preparedBy'
  | 'preparedAt'
  | 'refusal'
  | 'postedBy'
  | 'postedAt'
  | 'lateDuty'
  | 'lateDueAt'
  | 'lateSettledAt'
> & {
  warehouse: string
  lineCount: number
  awaiting: SlipSummary['awaiting']
}

const isMissing = (duty: string) =>
  `not exists (select 1 from signature g where g.warehouse_id = s.warehouse_id and g.document_id = s.id and g.voided_at is null and g.duty = ${duty})`
const IS_LATE = 's.late_duty is not null and s.late_settled_at is null'
const IS_UNFINISHED = `s.state not in ('posted', 'cancelled')`

const NEWEST_FIRST = 'order by s.occurred_on desc, s.id desc'

/** What is told of each slip of a page, once the page is known. */
const listed = (page: string) => `
select s.id, w.code as warehouse, s.number, s.kind, s.purpose, s.state, s.version, s.occurred_on as "occurredOn", s.reference, s.counterparty,
       preparer.username as "preparedBy", s.prepared_at as "preparedAt", s.refusal, poster.username as "postedBy", s.posted_at as "postedAt",
       s.late_duty as "lateDuty", s.late_due_at as "lateDueAt", s.late_settled_at as "lateSettledAt",
       (select count(*)::int from slip_line l where l.warehouse_id = s.warehouse_id and l.slip_id = s.id) as "lineCount",
       case when s.state = 'awaiting-signatures' then array(
              select duty from unnest(s.duties) with ordinality as asked (duty, place) where ${isMissing('asked.duty')} order by place)
            when ${IS_LATE} then array[s.late_duty] else '{}' end as awaiting
  from (${page}) s
  join warehouse w on w.id = s.warehouse_id
  join person preparer on preparer.id = s.preparers[cardinality(s.preparers)]
  left join person poster on poster.id = s.posted_by
 ${NEWEST_FIRST}`

/**
 * Slips of some warehouses, newest day first. Only what was asked for stands in the statement, so that an index serves it: one
 * warehouse by its days, everything by the days of all; some warehouses each by its own, and the newest of those.
 */
async function slipsOf(
  ctx: Context,
  sight: { everywhere: boolean; warehouseIds: number[]; regionIds: number[] },
  { state, kind, from, to, awaiting, reference, lateSignature: isLate, limit = 50, cursor }: SlipFilter
): Promise<{ items: SlipSummary[]; nextCursor: string | null }> {
  requireDaysInOrder({ from, to })
  const after = readCursor(cursor, 2)
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const { everywhere, warehouseIds, regionIds } = sight
  const isOneWarehouse = !everywhere && warehouseIds.length === 1 && regionIds.length === 0
  const conditions = [
    ...(isOneWarehouse
      ? [`s.warehouse_id = ${value(warehouseIds[0])}`]
      : everywhere
        ? []
        : ['s.warehouse_id = seen.id']),
    // The second condition says nothing new; the partial index of unfinished slips is used where it stands.
    ...(state === undefined ? [] : [`s.state = ${value(state)}`]),
    ...(state === undefined || state === 'posted' || state === 'cancelled' ? [] : [IS_UNFINISHED]),
    ...(kind === undefined ? [] : [`s.kind = ${value(kind)}`]),
    ...(from === undefined ? [] : [`s.occurred_on >= ${value(from)}`]),
    ...(to === undefined ? [] : [`s.occurred_on <= ${value(to)}`]),
    ...(reference === undefined ? [] : [`s.reference = ${value(reference)}`]),
    ...(isLate === undefined ? [] : [isLate ? IS_LATE : `not (${IS_LATE})`]),
    ...(after === null ? [] : [`(s.occurred_on, s.id) < (${value(after[0])}, ${value(after[1])}::bigint)`])
  ]
  const rows = value(limit + 1)
  const select = (...more: string[]) => {
    const all = [...conditions, ...more]
    return `select s.* from slip s ${all.length === 0 ? '' : `where ${all.join(' and ')}`} ${NEWEST_FIRST} limit ${rows}`
  }
  const signed = awaiting === undefined ? '' : value(awaiting)
  // Two lists, because each has an index of its own: what awaits its signatures, and what was released without one.
  const slips =
    awaiting === undefined
      ? select()
      : `select * from ((${select(`s.state = 'awaiting-signatures'`, IS_UNFINISHED, `${signed} = any (s.duties)`, isMissing(signed))})
            union all (${select(IS_LATE, `s.late_duty = ${signed}`)})) s ${NEWEST_FIRST} limit ${rows}`
  const page =
    everywhere || isOneWarehouse
      ? slips
      : `select s.* from warehouse seen cross join lateral (${slips}) s
          where seen.id = any (${value(warehouseIds)}::int[]) or seen.region_id = any (${value(regionIds)}::int[]) ${NEWEST_FIRST} limit ${rows}`

  const found = await run(ctx, statement<Row>(listed(page)), values)
  const { items, nextCursor } = pageFrom(found, limit, ({ occurredOn, id }) => [occurredOn, id])
  return {
    items: items.map(({ id: _id, lateDuty, lateDueAt, lateSettledAt, ...row }) => ({
      ...row,
      kindZh: SLIP_KIND_RULES[row.kind].nameZh,
      preparedAt: instant(row.preparedAt),
      postedAt: row.postedAt === null ? null : instant(row.postedAt),
      lateSignature: lateSignature(ctx, { lateDuty, lateDueAt, lateSettledAt })
    })),
    nextCursor
  }
}

/** Slips of a warehouse, newest day first. */
export async function listSlips(ctx: Context, { warehouse: code, ...filter }: SlipFilter & { warehouse: string }) {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  return slipsOf(ctx, { everywhere: false, warehouseIds: [warehouse.id], regionIds: [] }, filter)
}

/** Slips of every warehouse the actor sees, newest day first: what a signer of a region has before them. */
export const searchSlips = (ctx: Context, filter: SlipFilter) => slipsOf(ctx, sightOf(ctx), filter)

/** Everything that happened to a slip, oldest first. */
export async function listSlipEvents(ctx: Context, { number }: { number: string }) {
  const { slip, warehouse } = await loadSlip(ctx, number)
  return { items: await historyOf(ctx, { warehouseId: warehouse.id, id: slip.id }) }
}

/** One line and lot of a posted slip, as finance costs it (R-OUT-5). */
export interface PostedLine {
  slip: string
  kind: string
  kindZh: string
  purpose: string
  occurredOn: string
  postedAt: string
  reference: string
  sourceSlip: string
  reason: string
  counterparty: string
  supplier: string
  deliveryNote: string
  deliveredBy: string
  handedTo: string
  lateSignature: string
  line: string
  part: string
  name: string
  nameZh: string
  ownership: string
  condition: string
  lot: string
  direction: string
  quantity: string
  cost: string
  accumulatedDepreciation: string
  netBookValue: string
}

const POSTED_LINES = `
select s.number as slip, s.kind, s.purpose, s.occurred_on as "occurredOn", s.posted_at as "postedAt", s.reference, source.number as "sourceSlip", s.reason,
       s.counterparty, supplier.code as supplier, s.delivery_note as "deliveryNote", s.delivered_by as "deliveredBy", s.handed_to as "handedTo",
       case when s.late_settled_at is null then s.late_duty end as "lateSignature",
       m.line_no as line, part.number as part, part.name, part.name_zh as "nameZh", m.ownership, m.condition, m.lot_id as lot,
       case when m.quantity > 0 then 'in' else 'out' end as direction, trim_scale(m.quantity)::text as quantity, m.cost::text as cost, m.charge::text as "accumulatedDepreciation", (m.cost - m.charge)::text as "netBookValue"
  from movement m
  join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
  join part on part.id = m.part_id
  left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
  left join supplier on supplier.id = s.supplier_id
 where m.warehouse_id = $1 and m.occurred_on >= $2::date and m.occurred_on < $2::date + interval '1 month'
 order by m.occurred_on, s.id, m.line_no, m.id`

export const POSTED_LINE_COLUMNS: Record<keyof PostedLine, string> = {
  slip: 'slip 单号',
  kind: 'kind 类别',
  kindZh: 'document 单据',
  purpose: 'purpose 用途',
  occurredOn: 'date 日期',
  postedAt: 'posted at 过账时间',
  reference: 'reference 关联单号',
  sourceSlip: 'source slip 原单号',
  reason: 'reason 原因',
  counterparty: 'counterparty 往来单位',
  supplier: 'supplier 供应商',
  deliveryNote: 'delivery note 送货单号',
  deliveredBy: 'delivered by 送货人',
  handedTo: 'handed to 收货人',
  lateSignature: 'late signature due 待补签',
  line: 'line 行',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  ownership: 'ownership 所有权',
  condition: 'condition 质量状态',
  lot: 'lot 批次',
  direction: 'direction 方向',
  quantity: 'quantity 数量',
  cost: 'cost 成本',
  accumulatedDepreciation: 'accumulated depreciation 累计折旧',
  netBookValue: 'net book value 净值'
}

/** The posted slips of a warehouse and month, one row per line and lot, streamed. */
export async function postedLines(
  ctx: Context,
  { warehouse: code, period }: { warehouse: string; period: string }
): Promise<AsyncGenerator<PostedLine>> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  return named()

  async function* named(): AsyncGenerator<PostedLine> {
    for await (const row of rowsOf<PostedLine>(ctx, POSTED_LINES, [warehouse.id, `${period}-01`])) {
      yield { ...row, kindZh: SLIP_KIND_RULES[row.kind as SlipKind].nameZh, postedAt: instant(row.postedAt) }
    }
  }
}
