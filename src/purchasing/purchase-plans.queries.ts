import { readPart } from '../catalogue/parts.queries.ts'
import { readSupplier } from '../catalogue/suppliers.queries.ts'
import { requireDutyToRead, type Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { headOffice } from '../warehouses/head-office.ts'
import { historyOf } from '../signing/document-history.ts'
import { IS_OVER, loadPlan, PLAN_READERS, PLAN_TOTALS } from './purchase-plan.ts'
import type { PlanLineFilter, PlanLineView, PlanState, PlanSummary } from './purchase-plans.schemas.ts'

type SummaryRow = PlanSummary & { id: string }
const PAGE = statement<SummaryRow>(`
select p.id::text as id, p.number, w.code as warehouse, to_char(p.period, 'YYYY-MM') as period, p.state, p.version, p.budget::text as budget, t.amount::text as amount,
       ${IS_OVER} as "isOverBudget", t.lines, p.note, preparer.username as "preparedBy", p.prepared_at as "preparedAt", p.submitted_at as "submittedAt", p.approved_at as "approvedAt"
  from (select * from purchase_plan
         where warehouse_id = $1 and ($2::date is null or period = $2::date) and ($3::text is null or state = $3) and ($4::bigint is null or id < $4)
         order by id desc limit $5) p
  join warehouse w on w.id = p.warehouse_id
  join person preparer on preparer.id = p.preparers[cardinality(p.preparers)] ${PLAN_TOTALS}
 order by p.id desc`)

/**
 * Purchase plans, newest first, for whoever has to do with them in the head office.
 * @throws Refusal 403, 404
 */
export async function listPurchasePlans(
  ctx: Context,
  {
    period,
    state,
    limit = 50,
    cursor
  }: {
    period?: string | undefined
    state?: PlanState | undefined
    limit?: number | undefined
    cursor?: string | undefined
  }
) {
  const office = await headOffice(ctx)
  if (office === undefined) return { items: [], nextCursor: null }
  requireDutyToRead(ctx, PLAN_READERS, office)
  const [before] = readCursor(cursor, ['id']) ?? [null]
  const rows = await run(ctx, PAGE, [
    office.id,
    period === undefined ? null : `${period}-01`,
    state ?? null,
    before,
    limit + 1
  ])
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return {
    items: items.map(({ id: _id, ...plan }) => ({
      ...plan,
      preparedAt: instant(plan.preparedAt),
      submittedAt: instantOrNull(plan.submittedAt),
      approvedAt: instantOrNull(plan.approvedAt)
    })),
    nextCursor
  }
}

const LINES = `
select l.line_no as line, w.code as warehouse, region.code as region, r.number as proposal, part.number as part, part.name, part.name_zh as "nameZh", part.specification, part.unit,
       part.controlled as "isControlled", supplier.code as supplier, trim_scale(r.decided_quantity)::text as "acceptedQuantity", trim_scale(l.quantity)::text as quantity,
       l.unit_price::text as "unitPrice", l.amount::text as amount, l.changed_because as "changedBecause",
       case when e.id is not null then e.document || '/' || e.line_no end as "expectedReceipt", e.expected_on as "expectedOn",
       trim_scale(arrived.quantity)::text as received,
       trim_scale(case when e.id is null or e.ended_at is not null then 0 else greatest(0, e.quantity - arrived.quantity) end)::text as outstanding
  from purchase_plan_line l
  join warehouse w on w.id = l.for_warehouse_id
  join region on region.id = w.region_id
  join reorder_proposal r on r.warehouse_id = l.for_warehouse_id and r.id = l.proposal_id
  join part on part.id = l.part_id
  left join supplier on supplier.id = l.supplier_id
  left join expected_receipt e on e.warehouse_id = l.for_warehouse_id and e.id = l.expected_receipt_id
 cross join lateral (select coalesce(sum(m.quantity), 0) as quantity
                       from slip_line m join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id and s.state = 'posted'
                      where m.warehouse_id = e.warehouse_id and m.expected_receipt_id = e.id) arrived
 where l.warehouse_id = $1 and l.plan_id = $2
   and ($3::text is null or supplier.code = $3) and ($4::text is null or w.code = $4) and ($5::text is null or part.number = $5)`
const LINE_PAGE = statement<PlanLineView>(`${LINES} and l.line_no > $6 order by l.line_no limit $7`)
const ALL_LINES = `${LINES} order by supplier.code nulls last, part.number, w.code, l.line_no`

const filterOf = ({ supplier, warehouse, part }: PlanLineFilter) => [supplier ?? null, warehouse ?? null, part ?? null]

/** Lines of a plan by number, with what has arrived of them. */
export async function listPurchasePlanLines(
  ctx: Context,
  {
    number,
    limit = 50,
    cursor,
    ...filter
  }: PlanLineFilter & { number: string; limit?: number | undefined; cursor?: string | undefined }
) {
  const { plan, warehouse } = await loadPlan(ctx, number)
  const [after] = readCursor(cursor, ['integer']) ?? [0]
  const rows = await run(ctx, LINE_PAGE, [warehouse.id, plan.id, ...filterOf(filter), after, limit + 1])
  if (rows.length === 0) await requireKnown(ctx, filter)
  return pageFrom(rows, limit, ({ line }) => [line])
}

/** @throws Refusal 404 */
async function requireKnown(ctx: Context, { supplier, warehouse, part }: PlanLineFilter): Promise<void> {
  if (supplier !== undefined) await readSupplier(ctx, { code: supplier })
  if (warehouse !== undefined) await warehouseByCode(ctx, warehouse)
  if (part !== undefined) await readPart(ctx, { number: part })
}

export const PLAN_LINE_COLUMNS: CsvColumns<PlanLineView> = {
  line: 'line 行',
  supplier: 'supplier 供应商',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  specification: 'specification 规格',
  unit: 'unit 单位',
  warehouse: 'warehouse 仓库',
  region: 'region 区域',
  proposal: 'proposal 建议单号',
  acceptedQuantity: 'accepted quantity 采纳数量',
  quantity: 'quantity 计划数量',
  unitPrice: 'unit price 单价',
  amount: 'amount 金额',
  changedBecause: 'changed because 变更原因',
  isControlled: 'controlled 监控件',
  expectedReceipt: 'expected receipt 在途单',
  expectedOn: 'expected on 预计到货',
  received: 'received quantity 已到数量',
  outstanding: 'outstanding quantity 未到数量'
}

/** All lines that a filter leaves, by supplier, part and warehouse: as a purchaser orders them. */
export const planLineRows = (
  ctx: Context,
  of: { warehouseId: number; planId: string },
  filter: PlanLineFilter
): AsyncGenerator<PlanLineView> =>
  rowsOf<PlanLineView>(ctx, ALL_LINES, [of.warehouseId, of.planId, ...filterOf(filter)])

/** Everything that happened to a plan, oldest first. */
export async function listPurchasePlanEvents(ctx: Context, { number }: { number: string }) {
  const { plan, warehouse } = await loadPlan(ctx, number)
  return { items: await historyOf(ctx, { warehouseId: warehouse.id, id: plan.id }) }
}
