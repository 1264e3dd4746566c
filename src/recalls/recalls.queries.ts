import { requireDutyToRead, sightOf, type Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { historyOf } from '../signing/document-history.ts'
import { GONE, IN_TRANSIT, MATCHED, NAMED_BY_RECALL } from './recall-scopes.ts'
import { loadRecall, RECALL_READERS } from './recall.ts'
import type { RecalledGoods, RecallIssue, RecallState, RecallSummary } from './recalls.schemas.ts'

type Paged = { limit?: number | undefined; cursor?: string | undefined }

const LIST = statement<RecallSummary & { id: string }>(`
select r.id::text as id, r.number, w.code as warehouse, r.title, r.reason, r.state, r.version, opener.username as "openedBy", r.opened_at as "openedAt",
       r.started_at as "startedAt", r.ended_at as "endedAt", r.ended_because as "endedBecause", l.lines, l.parts
  from recall r
  join warehouse w on w.id = r.warehouse_id
  join person opener on opener.id = r.opened_by
 cross join lateral (select count(*)::int as lines, (array_agg(distinct part.number order by part.number))[1:20] as parts
                       from recall_line l join part on part.id = l.part_id where l.warehouse_id = r.warehouse_id and l.recall_id = r.id) l
 where ($1::text is null or r.state = $1)
   and ($2::text is null or exists (select 1 from recall_line n join part on part.id = n.part_id where n.warehouse_id = r.warehouse_id and n.recall_id = r.id and part.number = $2))
   and ($3::bigint is null or r.id < $3)
 order by r.id desc limit $4`)

/** Recalls, newest first, for everybody who is signed in. */
export async function listRecalls(
  ctx: Context,
  { state, part, limit = 50, cursor }: Paged & { state?: RecallState | undefined; part?: string | undefined }
) {
  const [before] = readCursor(cursor, ['id']) ?? [null]
  const rows = await run(ctx, LIST, [state ?? null, part ?? null, before, limit + 1])
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return {
    items: items.map(({ id: _id, ...recall }) => ({
      ...recall,
      openedAt: instant(recall.openedAt),
      startedAt: instantOrNull(recall.startedAt),
      endedAt: instantOrNull(recall.endedAt)
    })),
    nextCursor
  }
}

/**
 * Everything that happened to a recall, oldest first, for whoever follows it through the network.
 * @throws Refusal 403, 404
 */
export async function listRecallEvents(ctx: Context, { number }: { number: string }) {
  const { recall, office } = await loadRecall(ctx, number)
  requireDutyToRead(ctx, RECALL_READERS, office)
  return { items: await historyOf(ctx, { warehouseId: office.id, id: recall.id }) }
}

// What lies in a warehouse is shown to whoever sees that one; what is between two, to whoever sees either, or the
// outlet that it is sent to past its centre: that is where it goes.
const GOODS = `
with named as (${NAMED_BY_RECALL} and lifted_at is null), ${MATCHED}, ${IN_TRANSIT}, lying as (
  select 'warehouse' as at, l.warehouse_id, null::int as to_warehouse_id, null::int as direct_to_warehouse_id, null::text as document, l.id as lot_id, l.on_hand as quantity, null::text as serial
    from matched l where not l.exhausted
  union all
  select 'transit', warehouse_id, to_warehouse_id, direct_to_warehouse_id, number, lot_id, quantity, serial from in_transit
), goods as (
select g.at as "where", w.code as warehouse, coalesce(direct.code, receiver.code) as "to", g.document, part.number as part, part.name, part.name_zh as "nameZh",
       case when part.loaner_family is not null then coalesce(g.serial, (select serial from loaner_unit u where u.held_by = l.warehouse_id and u.lot_id = l.id)) end as serial,
       l.id::text as lot, origin.code || '/' || coalesce(l.origin_lot_id, l.id) as origin, l.ownership, l.condition, l.received_on::text as "receivedOn", trim_scale(g.quantity)::text as quantity,
       g.at = 'warehouse' and exists (select 1 from lot_block b where b.warehouse_id = l.warehouse_id and b.lot_id = l.id and b.recall_id = $2) as "isBlocked",
       case when g.at = 'warehouse' then (select count(*)::int from reservation r where r.broken_by = $2 and r.warehouse_id = l.warehouse_id and r.part_id = l.part_id
                                             and r.ownership = l.ownership and r.condition = l.condition) else 0 end as "brokenReservations",
       l.id as lot_id, coalesce(g.document, '') as by_document
  from lying g
  join lot l on l.warehouse_id = g.warehouse_id and l.id = g.lot_id
  join warehouse w on w.id = g.warehouse_id
  join warehouse origin on origin.id = coalesce(l.origin_warehouse_id, l.warehouse_id)
  left join warehouse receiver on receiver.id = g.to_warehouse_id
  left join warehouse direct on direct.id = g.direct_to_warehouse_id
  join part on part.id = l.part_id
 where ($3 or w.id = any ($4::int[]) or w.region_id = any ($5::int[]) or receiver.id = any ($4::int[]) or receiver.region_id = any ($5::int[])
        or direct.id = any ($4::int[]) or direct.region_id = any ($5::int[]))
   and ($6::text is null or w.code = $6 or receiver.code = $6 or direct.code = $6) and ($7::text is null or part.number = $7))`
const GOODS_MEMBERS = `"where", warehouse, "to", document, part, name, "nameZh", serial, lot, origin, ownership, condition, "receivedOn", quantity, "isBlocked", "brokenReservations"`
const GOODS_PAGE = statement<RecalledGoods>(`${GOODS}
select ${GOODS_MEMBERS} from goods
 where $8::text is null or (warehouse, part, lot_id, by_document) > ($8, $9::text, $10::bigint, $11::text)
 order by warehouse, part, lot_id, by_document limit $12`)
const GOODS_ROWS = `${GOODS} select ${GOODS_MEMBERS} from goods order by warehouse, part, lot_id, by_document`

interface GoodsFilter {
  number: string
  warehouse?: string | undefined
  part?: string | undefined
}

const seen = (ctx: Context): unknown[] => {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  return [everywhere, warehouseIds, regionIds]
}

/** Where goods of a recall lie or travel now, by warehouse, part and lot (R-REQ-7). */
export async function listRecalledGoods(
  ctx: Context,
  { number, warehouse, part, limit = 50, cursor }: GoodsFilter & Paged
) {
  const { recall, office } = await loadRecall(ctx, number)
  const after = readCursor(cursor, ['text', 'text', 'id', 'text']) ?? [null, null, null, null]
  const rows = await run(ctx, GOODS_PAGE, [
    office.id,
    recall.id,
    ...seen(ctx),
    warehouse ?? null,
    part ?? null,
    ...after,
    limit + 1
  ])
  return pageFrom(rows, limit, (row) => [row.warehouse, row.part, row.lot, row.document ?? ''])
}

/** All of them, for a file. */
export async function recalledGoodsRows(
  ctx: Context,
  { number, warehouse, part }: GoodsFilter
): Promise<AsyncGenerator<RecalledGoods>> {
  const { recall, office } = await loadRecall(ctx, number)
  return rowsOf(ctx, GOODS_ROWS, [office.id, recall.id, ...seen(ctx), warehouse ?? null, part ?? null])
}

export const RECALLED_GOODS_COLUMNS: CsvColumns<RecalledGoods> = {
  where: 'where 位置',
  warehouse: 'warehouse 仓库',
  to: 'to 调往',
  document: 'transfer 调拨单号',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  serial: 'serial 机身编号',
  lot: 'lot 批次',
  origin: 'origin 原批次',
  ownership: 'ownership 权属',
  condition: 'condition 品质',
  receivedOn: 'received on 入库日期',
  quantity: 'quantity 数量',
  isBlocked: 'blocked 已冻结',
  brokenReservations: 'broken reservations 解除的预留'
}

// Of all lines, also those that were lifted: where the goods went stays true.
const ISSUES = `
with named as (${NAMED_BY_RECALL}), ${MATCHED}, ${GONE}, issues as (
select g.id, w.code as warehouse, g.number as slip, g.line_no as line, g.kind, g.purpose, g.occurred_on::text as "occurredOn", g.reference, g.counterparty, outlet.code as outlet,
       g.handed_to as "handedTo", part.number as part, part.name, part.name_zh as "nameZh",
       case when part.loaner_family is not null
            then (select u.serial from loaner_move mv join loaner_unit u on u.warehouse_id = mv.unit_warehouse_id and u.id = mv.unit_id
                   where mv.warehouse_id = g.warehouse_id and mv.slip_id = g.slip_id and mv.line_no = g.line_no) end as serial,
       l.id::text as lot, origin.code || '/' || coalesce(l.origin_lot_id, l.id) as origin, trim_scale(g.issued)::text as issued, trim_scale(g.returned)::text as returned, trim_scale(g.issued - g.returned)::text as quantity,
       exists (select 1 from recall_answer a where a.recall_id = $2 and a.warehouse_id = coalesce(g.outlet_id, g.warehouse_id)) as "isAnswered"
  from gone g
  join lot l on l.warehouse_id = g.warehouse_id and l.id = g.lot_id
  join warehouse w on w.id = g.warehouse_id
  join warehouse origin on origin.id = coalesce(l.origin_warehouse_id, l.warehouse_id)
  left join warehouse outlet on outlet.id = g.outlet_id
  join part on part.id = l.part_id
 where ($3 or w.id = any ($4::int[]) or w.region_id = any ($5::int[]) or outlet.id = any ($4::int[]) or outlet.region_id = any ($5::int[]))
   and ($6::text is null or w.code = $6 or outlet.code = $6) and ($7::text is null or part.number = $7) and (not $8::boolean or g.issued > g.returned))`
const ISSUE_MEMBERS = `warehouse, slip, line, kind, purpose, "occurredOn", reference, counterparty, outlet, "handedTo", part, name, "nameZh", serial, lot, origin, issued, returned, quantity, "isAnswered"`
const ISSUE_PAGE = statement<RecallIssue & { id: string }>(
  `${ISSUES} select id::text as id, ${ISSUE_MEMBERS} from issues where $9::bigint is null or id < $9 order by issues.id desc limit $10`
)
const ISSUE_ROWS = `${ISSUES} select ${ISSUE_MEMBERS} from issues order by id desc`

interface IssueFilter extends GoodsFilter {
  open?: boolean | undefined
}

/** Where goods of a recall went: every movement by which they left, newest first, less what came back (R-REQ-7). */
export async function listRecallIssues(
  ctx: Context,
  { number, warehouse, part, open, limit = 50, cursor }: IssueFilter & Paged
) {
  const { recall, office } = await loadRecall(ctx, number)
  const [before] = readCursor(cursor, ['id']) ?? [null]
  const rows = await run(ctx, ISSUE_PAGE, [
    office.id,
    recall.id,
    ...seen(ctx),
    warehouse ?? null,
    part ?? null,
    open ?? false,
    before,
    limit + 1
  ])
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return { items: items.map(({ id: _id, ...issue }) => issue), nextCursor }
}

/** All of them, for a file. */
export async function recallIssueRows(
  ctx: Context,
  { number, warehouse, part, open }: IssueFilter
): Promise<AsyncGenerator<RecallIssue>> {
  const { recall, office } = await loadRecall(ctx, number)
  return rowsOf(ctx, ISSUE_ROWS, [office.id, recall.id, ...seen(ctx), warehouse ?? null, part ?? null, open ?? false])
}

export const RECALL_ISSUE_COLUMNS: CsvColumns<RecallIssue> = {
  occurredOn: 'day 日期',
  warehouse: 'warehouse 仓库',
  slip: 'slip 单号',
  line: 'line 行',
  kind: 'kind 单据种类',
  purpose: 'purpose 用途',
  reference: 'reference 维修单号',
  counterparty: 'counterparty 往来单位',
  outlet: 'outlet 网点',
  handedTo: 'handed to 收货人',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  serial: 'serial 机身编号',
  lot: 'lot 批次',
  origin: 'origin 原批次',
  issued: 'issued 发出数量',
  returned: 'returned 退回数量',
  quantity: 'still out 未退数量',
  isAnswered: 'answered 已回复'
}
