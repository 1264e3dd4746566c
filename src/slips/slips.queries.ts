import { requireSight, type Context } from '../identity/actor.ts'
import { readCursor, pageFrom } from '../platform/cursor.ts'
import { rowsOf } from '../platform/csv.ts'
import { run, statement } from '../platform/database.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { SLIP_KIND_RULES, type SlipKind, type SlipState } from './slip-kinds.ts'
import { instant } from '../platform/clock.ts'
import { lateSignature, loadSlip, type Slip } from './slip.ts'
import type { SlipSummary } from './slips.schemas.ts'

export interface SlipQuery {
  warehouse: string
  state?: SlipState | undefined
  kind?: SlipKind | undefined
  from?: string | undefined
  to?: string | undefined
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
  | 'postedBy'
  | 'postedAt'
  | 'lateDuty'
  | 'lateDueAt'
  | 'lateSettledAt'
> & {
  lineCount: number
  awaiting: SlipSummary['awaiting']
}

const LIST = statement<Row>(`
select s.id, s.number, s.kind, s.purpose, s.state, s.version, s.occurred_on as "occurredOn", s.reference, s.counterparty,
       preparer.username as "preparedBy", s.prepared_at as "preparedAt", poster.username as "postedBy", s.posted_at as "postedAt",
       s.late_duty as "lateDuty", s.late_due_at as "lateDueAt", s.late_settled_at as "lateSettledAt",
       (select count(*)::int from slip_line l where l.warehouse_id = s.warehouse_id and l.slip_id = s.id) as "lineCount",
       case when s.state = 'awaiting-signatures' then array(
              select duty from unnest(s.duties) with ordinality as asked (duty, place)
               where not exists (select 1 from signature g where g.warehouse_id = s.warehouse_id and g.document_id = s.id and g.voided_at is null and g.duty = asked.duty)
               order by place)
            when s.late_duty is not null and s.late_settled_at is null then array[s.late_duty] else '{}' end as awaiting
  from slip s
  join person preparer on preparer.id = s.preparers[cardinality(s.preparers)]
  left join person poster on poster.id = s.posted_by
 where s.warehouse_id = $1 and ($2::text is null or s.state = $2) and ($3::text is null or s.kind = $3)
   and ($4::date is null or s.occurred_on >= $4) and ($5::date is null or s.occurred_on <= $5) and ($6::text is null or s.reference = $6)
   and ($7::boolean is null or (s.late_duty is not null and s.late_settled_at is null) = $7)
   and ($8::date is null or (s.occurred_on, s.id) < ($8, $9::bigint))
 order by s.occurred_on desc, s.id desc limit $10`)

/** Slips of a warehouse, newest day first. */
export async function listSlips(
  ctx: Context,
  { warehouse: code, state, kind, from, to, reference, lateSignature: isLate, limit = 50, cursor }: SlipQuery
): Promise<{ items: SlipSummary[]; nextCursor: string | null }> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  const after = readCursor(cursor, 2)
  const rows = await run(ctx.em, LIST, [
    warehouse.id,
    state ?? null,
    kind ?? null,
    from ?? null,
    to ?? null,
    reference ?? null,
    isLate ?? null,
    after?.[0] ?? null,
    after?.[1] ?? null,
    limit + 1
  ])
  const page = pageFrom(rows, limit, ({ occurredOn, id }) => [occurredOn, id])
  return {
    items: page.items.map(({ id: _id, lateDuty, lateDueAt, lateSettledAt, ...row }) => ({
      ...row,
      kindZh: SLIP_KIND_RULES[row.kind].nameZh,
      warehouse: warehouse.code,
      preparedAt: instant(row.preparedAt),
      postedAt: row.postedAt === null ? null : instant(row.postedAt),
      lateSignature: lateSignature(ctx, { lateDuty, lateDueAt, lateSettledAt })
    })),
    nextCursor: page.nextCursor
  }
}

const HISTORY = statement<{ at: string; by: string; event: string; details: Record<string, unknown> | null }>(`
select e.occurred_at as at, person.username as by, e.event, e.details
  from document_event e join person on person.id = e.person_id
 where e.warehouse_id = $1 and e.document_id = $2 order by e.id`)

/** Everything that happened to a slip, oldest first. */
export async function listSlipEvents(ctx: Context, { number }: { number: string }) {
  const { slip, warehouse } = await loadSlip(ctx, number)
  const events = await run(ctx.em, HISTORY, [warehouse.id, slip.id])
  return { items: events.map(({ at, ...event }) => ({ at: instant(at), ...event })) }
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
  counterparty: string
  handedTo: string
  line: string
  part: string
  name: string
  nameZh: string
  ownership: string
  condition: string
  lot: string
  quantity: string
  cost: string
  accumulatedDepreciation: string
  netBookValue: string
}

const POSTED_LINES = `
select s.number as slip, s.kind, s.purpose, s.occurred_on as "occurredOn", s.posted_at as "postedAt", s.reference, s.counterparty, s.handed_to as "handedTo",
       m.line_no as line, part.number as part, part.name, part.name_zh as "nameZh", m.ownership, m.condition, m.lot_id as lot,
       trim_scale(m.quantity)::text as quantity, m.cost::text as cost, m.charge::text as "accumulatedDepreciation", (m.cost - m.charge)::text as "netBookValue"
  from movement m
  join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
  join part on part.id = m.part_id
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
  counterparty: 'counterparty 往来单位',
  handedTo: 'handed to 收货人',
  line: 'line 行',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  ownership: 'ownership 所有权',
  condition: 'condition 质量状态',
  lot: 'lot 批次',
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
