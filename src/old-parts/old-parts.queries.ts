import { sightOf, type Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { historyOf } from '../signing/document-history.ts'
import { findOldPart } from './old-part.ts'
import type {
  OldPart,
  OldPartQuery,
  OldPartSummaryQuery,
  OldPartView,
  OutletOldParts,
  WriteOff,
  WriteOffQuery,
  WriteOffRow
} from './old-parts.schemas.ts'

const STATE = `case when p.outstanding > 0 then 'outstanding' when p.written_off > 0 then 'written-off' when p.returned > 0 then 'returned' else 'cancelled' end`
const IS_OVERDUE = (today: string) => `p.outstanding > 0 and p.due_on < ${today}::date`

type Row = OldPart & { id: string }

/** @param today a parameter, the business day */
const columns = (today: string): string => `
       p.id::text as id, p.number, outlet.code as outlet, outlet.name as "outletName", outlet.name_zh as "outletNameZh", centre.code as centre, part.number as part, part.name,
       part.name_zh as "nameZh", part.unit, p.serialised, ${STATE} as state, trim_scale(p.quantity)::text as quantity, trim_scale(p.came_back)::text as "cameBack",
       trim_scale(p.returned)::text as returned, trim_scale(p.arriving)::text as arriving, trim_scale(p.written_off)::text as "writtenOff",
       trim_scale(p.outstanding)::text as outstanding, p.unit_value::text as "unitValue", round(p.unit_value * p.outstanding, 2)::text as value, p.due_on::text as "dueOn",
       ${IS_OVERDUE(today)} as overdue, case when ${IS_OVERDUE(today)} then ${today}::date - p.due_on else 0 end as "daysOverdue",
       issue.number as "issueSlip", p.line_no as "issueLine", p.reference, p.opened_at as "openedAt"`
const FROM = `
  from old_part_position p
  join warehouse outlet on outlet.id = p.warehouse_id
  join warehouse centre on centre.id = p.centre_id
  join part on part.id = p.part_id
  join slip issue on issue.warehouse_id = p.issued_by and issue.id = p.slip_id`

const viewOf = ({ id: _id, ...row }: Row): OldPart => ({ ...row, openedAt: instant(row.openedAt) })

/** Who sees the outlet that owes it, or the centre that takes it in. */
const inSight = (ctx: Context, value: (given: unknown) => string): string[] => {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  if (everywhere) return []
  const [warehouses, regions] = [value(warehouseIds), value(regionIds)]
  return [
    `(outlet.id = any (${warehouses}::int[]) or outlet.region_id = any (${regions}::int[]) or centre.id = any (${warehouses}::int[]) or centre.region_id = any (${regions}::int[]))`
  ]
}

const whereOf = (conditions: readonly string[]): string =>
  conditions.length === 0 ? '' : `\n where ${conditions.join('\n   and ')}`

const DUE_ORDER = ['text', 'id'] as const

// Not a declared statement on purpose: which index to go by depends on which filters are given.
async function listing(ctx: Context, { outlet, centre, region, part, state, overdue, limit, cursor }: OldPartQuery) {
  const after = readCursor(cursor, DUE_ORDER)
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const today = value(ctx.clock.today())
  const conditions = [
    ...inSight(ctx, value),
    ...(outlet === undefined ? [] : [`outlet.code = ${value(outlet)}`]),
    ...(centre === undefined ? [] : [`centre.code = ${value(centre)}`]),
    ...(region === undefined ? [] : [`outlet.region_id = ${value(await findRegion(ctx, region))}`]),
    ...(part === undefined ? [] : [`p.part_id = (select id from part where number = ${value(part)})`]),
    // What was settled is not looked at where only what is open is asked for; the state has the last word.
    ...(state === undefined
      ? []
      : [...(state === 'outstanding' ? ['p.settled_at is null'] : []), `${STATE} = ${value(state)}`]),
    ...(overdue === undefined
      ? []
      : [...(overdue ? ['p.settled_at is null'] : []), `(${IS_OVERDUE(today)}) = ${value(overdue)}`]),
    ...(after === null ? [] : [`(p.due_on, p.id) > (${value(after[0])}::date, ${value(after[1])}::bigint)`])
  ]
  const text = `select ${columns(today)}${FROM}${whereOf(conditions)}\n order by p.due_on, p.id`
  return { text: limit === undefined ? text : `${text} limit ${value(limit)}`, values }
}

/** Old parts that one may see, the longest due first. */
export async function listOldParts(ctx: Context, { limit = 50, ...query }: OldPartQuery) {
  const { text, values } = await listing(ctx, { ...query, limit: limit + 1 })
  const { items, nextCursor } = pageFrom(await run<Row>(ctx, { text }, values), limit, ({ dueOn, id }) => [dueOn, id])
  return { items: items.map(viewOf), nextCursor }
}

/** The same as a file, all of them. */
export async function oldPartStream(ctx: Context, { limit: _limit, cursor: _cursor, ...query }: OldPartQuery) {
  const { text, values } = await listing(ctx, query)
  return (async function* () {
    for await (const row of rowsOf<Row>(ctx, text, values)) yield viewOf(row)
  })()
}

export const OLD_PART_COLUMNS: CsvColumns<OldPart> = {
  number: 'number 旧件单号',
  outlet: 'outlet 网点',
  outletNameZh: 'outlet (zh) 网点名称',
  centre: 'centre 中心库',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name (zh) 货名',
  unit: 'unit 单位',
  state: 'state 状态',
  quantity: 'issued 发出数量',
  cameBack: 'new part came back 新件退回',
  returned: 'returned 已返旧件',
  arriving: 'arriving 在途单据',
  writtenOff: 'written off 已核销',
  outstanding: 'outstanding 未返数量',
  unitValue: 'unit value 赔偿单价',
  value: 'value 未返金额',
  dueOn: 'due on 应返日期',
  daysOverdue: 'days overdue 逾期天数',
  issueSlip: 'issue slip 出库单号',
  reference: 'reference 维修单号/申请单号',
  openedAt: 'opened at 登记时间'
}

const ONE = statement<Row>(`select ${columns('$3')}${FROM}\n where p.warehouse_id = $1 and p.id = $2`)

const RETURNS = statement<OldPartView['returns'][number]>(`
select s.number as slip, b.line_no as line, w.code as warehouse,
       case when exists (select 1 from slip r where r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted')
            then 'reversed' else s.state end as state,
       trim_scale(b.quantity)::text as quantity, b.serial, b.grade, b.note
  from old_part_return b
  join slip s on s.warehouse_id = b.warehouse_id and s.id = b.slip_id
  join warehouse w on w.id = b.warehouse_id
 where b.outlet_id = $1 and b.old_part_id = $2
 order by s.id, b.line_no`)

const WRITE_OFF_COLUMNS = `
       w.write_off_no as "writeOff", w.state, trim_scale(w.quantity)::text as quantity, w.reason, proposer.username as "proposedBy", w.proposed_at as "proposedAt",
       decider.username as "decidedBy", w.decided_at as "decidedAt", w.decided_because as "decidedBecause", w.amount::text as amount, w.charged_to as "chargedTo",
       trim_scale(w.turned_up)::text as "turnedUp", (w.amount - round(o.unit_value * w.turned_up, 2))::text as "amountLeft"`
const WRITE_OFF_FROM = `
  from old_part_write_off w
  join old_part o on o.warehouse_id = w.warehouse_id and o.id = w.old_part_id
  join person proposer on proposer.id = w.proposed_by
  left join person decider on decider.id = w.decided_by`

const WRITE_OFFS = statement<WriteOff>(
  `select ${WRITE_OFF_COLUMNS}${WRITE_OFF_FROM} where w.warehouse_id = $1 and w.old_part_id = $2 order by w.write_off_no`
)

const writeOffOf = <Some extends WriteOff>(row: Some): Some => ({
  ...row,
  proposedAt: instant(row.proposedAt),
  decidedAt: instantOrNull(row.decidedAt)
})

/**
 * One old part with its returns, write-offs and history.
 * @throws Refusal 404
 */
export async function readOldPart(ctx: Context, { number }: { number: string }): Promise<OldPartView> {
  const { outlet, id } = await findOldPart(ctx, number)
  const [row] = await run(ctx, ONE, [outlet.id, id, ctx.clock.today()])
  if (row === undefined) throw notFound('old part', number)
  return {
    ...viewOf(row),
    returns: await run(ctx, RETURNS, [outlet.id, id]),
    writeOffs: (await run(ctx, WRITE_OFFS, [outlet.id, id])).map(writeOffOf),
    history: await historyOf(ctx, { warehouseId: outlet.id, id })
  }
}

async function summing(ctx: Context, { centre, region, limit, cursor }: OldPartSummaryQuery) {
  const after = readCursor(cursor, ['text'])
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const today = value(ctx.clock.today())
  const conditions = [
    'p.settled_at is null',
    'p.outstanding > 0',
    ...inSight(ctx, value),
    ...(centre === undefined ? [] : [`centre.code = ${value(centre)}`]),
    ...(region === undefined ? [] : [`outlet.region_id = ${value(await findRegion(ctx, region))}`]),
    ...(after === null ? [] : [`outlet.code > ${value(after[0])}`])
  ]
  const text = `
select outlet.code as outlet, outlet.name, outlet.name_zh as "nameZh", region.code as region, count(*)::int as "oldParts", trim_scale(sum(p.outstanding))::text as quantity,
       sum(round(p.unit_value * p.outstanding, 2))::text as value, (count(*) filter (where p.due_on < ${today}::date))::int as overdue,
       coalesce(sum(round(p.unit_value * p.outstanding, 2)) filter (where p.due_on < ${today}::date), 0)::numeric(18,2)::text as "overdueValue", min(p.due_on)::text as "oldestDueOn"
  from old_part_position p
  join warehouse outlet on outlet.id = p.warehouse_id
  join warehouse centre on centre.id = p.centre_id
  join region on region.id = outlet.region_id${whereOf(conditions)}
 group by outlet.id, region.code
 order by outlet.code`
  return { text: limit === undefined ? text : `${text} limit ${value(limit)}`, values }
}

/** What each outlet that one may see still owes, by its code. */
export async function listOutletOldParts(ctx: Context, { limit = 50, ...query }: OldPartSummaryQuery) {
  const { text, values } = await summing(ctx, { ...query, limit: limit + 1 })
  return pageFrom(await run<OutletOldParts>(ctx, { text }, values), limit, ({ outlet }) => [outlet])
}

/** The same as a file. */
export async function outletOldPartStream(
  ctx: Context,
  { limit: _limit, cursor: _cursor, ...query }: OldPartSummaryQuery
) {
  const { text, values } = await summing(ctx, query)
  return rowsOf<OutletOldParts>(ctx, text, values)
}

export const OUTLET_OLD_PART_COLUMNS: CsvColumns<OutletOldParts> = {
  outlet: 'outlet 网点',
  name: 'name 英文名',
  nameZh: 'name (zh) 名称',
  region: 'region 大区',
  oldParts: 'old parts 未返单数',
  quantity: 'quantity 未返数量',
  value: 'value 未返金额',
  overdue: 'overdue 逾期单数',
  overdueValue: 'overdue value 逾期金额',
  oldestDueOn: 'oldest due on 最早应返日期'
}

type WriteOffEntry = WriteOffRow & { outletId: number; oldPartId: string }

async function writeOffListing(ctx: Context, { outlet, centre, state, chargedTo, limit, cursor }: WriteOffQuery) {
  const after = readCursor(cursor, ['integer', 'id', 'integer'])
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const conditions = [
    ...inSight(ctx, value),
    ...(outlet === undefined ? [] : [`outlet.code = ${value(outlet)}`]),
    ...(centre === undefined ? [] : [`centre.code = ${value(centre)}`]),
    ...(state === undefined ? [] : [`w.state = ${value(state)}`]),
    ...(chargedTo === undefined ? [] : [`w.charged_to = ${value(chargedTo)}`]),
    ...(after === null
      ? []
      : [
          `(w.warehouse_id, w.old_part_id, w.write_off_no) > (${value(after[0])}::int, ${value(after[1])}::bigint, ${value(after[2])}::int)`
        ])
  ]
  const text = `
select w.warehouse_id as "outletId", w.old_part_id::text as "oldPartId", o.number, outlet.code as outlet, centre.code as centre, part.number as part, part.name_zh as "nameZh", ${WRITE_OFF_COLUMNS}
${WRITE_OFF_FROM}
  join warehouse outlet on outlet.id = o.warehouse_id
  join warehouse centre on centre.id = o.centre_id
  join part on part.id = o.part_id${whereOf(conditions)}
 order by w.warehouse_id, w.old_part_id, w.write_off_no`
  return { text: limit === undefined ? text : `${text} limit ${value(limit)}`, values }
}

const entryOf = ({ outletId: _outletId, oldPartId: _oldPartId, ...row }: WriteOffEntry): WriteOffRow => writeOffOf(row)

/** Write-offs that one may see, by outlet and old part: what finance decides on, and what it claims. */
export async function listOldPartWriteOffs(ctx: Context, { limit = 50, ...query }: WriteOffQuery) {
  const { text, values } = await writeOffListing(ctx, { ...query, limit: limit + 1 })
  const { items, nextCursor } = pageFrom(
    await run<WriteOffEntry>(ctx, { text }, values),
    limit,
    ({ outletId, oldPartId, writeOff }) => [outletId, oldPartId, writeOff]
  )
  return { items: items.map(entryOf), nextCursor }
}

/** The same as a file. */
export async function writeOffStream(ctx: Context, { limit: _limit, cursor: _cursor, ...query }: WriteOffQuery) {
  const { text, values } = await writeOffListing(ctx, query)
  return (async function* () {
    for await (const row of rowsOf<WriteOffEntry>(ctx, text, values)) yield entryOf(row)
  })()
}

export const WRITE_OFF_CSV_COLUMNS: CsvColumns<WriteOffRow> = {
  number: 'number 旧件单号',
  writeOff: 'write-off 核销序号',
  outlet: 'outlet 网点',
  centre: 'centre 中心库',
  part: 'part 货号',
  nameZh: 'name (zh) 货名',
  state: 'state 状态',
  quantity: 'quantity 数量',
  reason: 'reason 原因',
  proposedBy: 'proposed by 提出人',
  proposedAt: 'proposed at 提出时间',
  decidedBy: 'decided by 审批人',
  decidedAt: 'decided at 审批时间',
  amount: 'amount 赔偿金额',
  chargedTo: 'charged to 扣款方式',
  turnedUp: 'turned up 后补返数量',
  amountLeft: 'amount left 净赔偿金额'
}
