import { maySee, sightOf, type Context } from '../identity/actor.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { readPart } from '../catalogue/parts.queries.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import type { Evidence } from './network-search.ts'
import type { ProposalFilter, ProposalSummary, ProposalView } from './proposals.schemas.ts'

/** A proposal as it is kept. */
export type Proposal = ProposalSummary & {
  id: string
  warehouseId: number
  partId: number
  shortPartId: number
  isActive: boolean
  fromWarehouseId: number | null
  fromRegionId: number | null
  supplierId: number | null
  approvalId: number | null
}

const COLUMNS = `
       p.id::text as id, p.warehouse_id as "warehouseId", p.part_id as "partId", p.short_part_id as "shortPartId", part.active as "isActive",
       p.from_warehouse_id as "fromWarehouseId", giver.region_id as "fromRegionId", p.supplier_id as "supplierId", p.approval_id as "approvalId",
       p.number, w.code as warehouse, region.code as region, p.kind, part.number as part, part.name, part.name_zh as "nameZh", part.unit, part.controlled as "isControlled",
       short.number as "shortPart", trim_scale(p.quantity)::text as quantity, giver.code as "fromWarehouse", supplier.code as supplier, p.state, p.version,
       p.proposed_at as "proposedAt", trim_scale(p.available)::text as available, trim_scale(p.on_order)::text as "onOrder",
       trim_scale(p.reorder_point)::text as "reorderPoint", trim_scale(p.order_up_to)::text as "orderUpTo",
       p.decided_at as "decidedAt", decider.username as "decidedBy", trim_scale(p.decided_quantity)::text as "decidedQuantity", p.decision_reason as "decisionReason",
       p.rejection, p.withdrawn_because as "withdrawnBecause", plan.number as plan,
       case when e.id is not null then e.document || '/' || e.line_no end as "expectedReceipt"`
const FROM = `
  reorder_proposal p
  join warehouse w on w.id = p.warehouse_id
  join region on region.id = w.region_id
  join part on part.id = p.part_id
  join part short on short.id = p.short_part_id
  left join warehouse giver on giver.id = p.from_warehouse_id
  left join supplier on supplier.id = p.supplier_id
  left join person decider on decider.id = p.decided_by
  left join purchase_plan_line line on line.for_warehouse_id = p.warehouse_id and line.proposal_id = p.id and line.active
  left join purchase_plan plan on plan.warehouse_id = line.warehouse_id and plan.id = line.plan_id
  left join expected_receipt e on e.warehouse_id = p.warehouse_id and e.id = p.expected_receipt_id`
// Whoever sees the warehouse that is short, or the one that is to give. $1 to $3 what the actor sees.
const FILTER = `
       ($1 or w.id = any ($2::int[]) or w.region_id = any ($3::int[]) or giver.id = any ($2::int[]) or giver.region_id = any ($3::int[]))
   and ($4::text is null or w.code = $4) and ($5::text is null or region.code = $5) and ($6::text is null or part.number = $6 or short.number = $6)
   and ($7::text is null or p.kind = $7) and ($8::text is null or p.state = $8)`

const PAGE = statement<Proposal>(`
select ${COLUMNS} from ${FROM} where ${FILTER} and ($9::bigint is null or p.id < $9) order by p.id desc limit $10`)
const ALL = `select ${COLUMNS} from ${FROM} where ${FILTER} order by p.id desc`
const ONE = statement<Proposal & { evidence: Evidence; present: ProposalView['present'] }>(`
select ${COLUMNS}, p.evidence,
       (select json_build_object('available', trim_scale(r.available)::text, 'onOrder', trim_scale(r.on_order)::text,
                                 'reorderPoint', trim_scale(r.reorder_point)::text, 'isShort', r.is_short)
          from reorder_position r where r.warehouse_id = p.warehouse_id and r.part_id = p.short_part_id) as present
  from ${FROM} where p.warehouse_id = $1 and p.number = $2`)

const summaryOf = ({
  id: _id,
  warehouseId: _warehouseId,
  partId: _partId,
  shortPartId: _shortPartId,
  isActive: _isActive,
  fromWarehouseId: _fromWarehouseId,
  fromRegionId: _fromRegionId,
  supplierId: _supplierId,
  approvalId: _approvalId,
  ...proposal
}: Proposal): ProposalSummary => ({
  ...proposal,
  proposedAt: instant(proposal.proposedAt),
  decidedAt: instantOrNull(proposal.decidedAt)
})

function parametersOf(ctx: Context, { warehouse, region, part, kind, state }: ProposalFilter): unknown[] {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  return [
    everywhere,
    warehouseIds,
    regionIds,
    warehouse ?? null,
    region ?? null,
    part ?? null,
    kind ?? null,
    state ?? null
  ]
}

/** Proposals of warehouses the actor sees, and those that would take from them, newest first. */
export async function listProposals(
  ctx: Context,
  { limit = 50, cursor, ...filter }: ProposalFilter & { limit?: number | undefined; cursor?: string | undefined }
) {
  const [before] = readCursor(cursor, ['id']) ?? [null]
  const rows = await run(ctx, PAGE, [...parametersOf(ctx, filter), before, limit + 1])
  if (rows.length === 0) await requireKnown(ctx, filter)
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return { items: items.map(summaryOf), nextCursor }
}

/** @throws Refusal 404 */
async function requireKnown(ctx: Context, { warehouse, part, region }: ProposalFilter): Promise<void> {
  if (warehouse !== undefined && !maySee(ctx, await warehouseByCode(ctx, warehouse)))
    throw notFound('warehouse', warehouse)
  if (part !== undefined) await readPart(ctx, { number: part })
  if (region !== undefined) await findRegion(ctx, region)
}

export const PROPOSAL_COLUMNS: CsvColumns<ProposalSummary> = {
  number: 'number 建议单号',
  warehouse: 'warehouse 仓库',
  region: 'region 区域',
  kind: 'kind 类别',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  unit: 'unit 单位',
  isControlled: 'controlled 监控件',
  shortPart: 'short part 缺货货号',
  quantity: 'quantity 建议数量',
  fromWarehouse: 'from 调出仓库',
  supplier: 'supplier 供应商',
  state: 'state 状态',
  proposedAt: 'proposed at 建议时间',
  available: 'available 可用量',
  onOrder: 'on order 在途',
  reorderPoint: 'reorder point 再订货点',
  orderUpTo: 'order-up-to 目标库存',
  decidedAt: 'decided at 处理时间',
  decidedBy: 'decided by 处理人',
  decidedQuantity: 'decided quantity 采纳数量',
  decisionReason: 'reason 原因',
  rejection: 'rejection 拒绝代码',
  withdrawnBecause: 'withdrawn 撤回原因',
  plan: 'plan 采购计划',
  expectedReceipt: 'expected receipt 在途单'
}

/** The same as rows of a file. */
export async function proposalStream(ctx: Context, filter: ProposalFilter): Promise<AsyncGenerator<ProposalSummary>> {
  await requireKnown(ctx, filter)
  return rows()
  async function* rows(): AsyncGenerator<ProposalSummary> {
    for await (const row of rowsOf<Proposal>(ctx, ALL, parametersOf(ctx, filter))) yield summaryOf(row)
  }
}

const warehouseOf = (number: string): string => number.replace(/-PRO-\d{6}-\d+$/, '')

/**
 * A proposal the actor may see, with the warehouse that is short.
 * @throws Refusal 404 for one that does not exist, or of which the actor sees neither side
 */
export async function loadProposal(ctx: Context, number: string) {
  const warehouse: Warehouse | undefined = await warehouseByCode(ctx, warehouseOf(number)).catch((error: unknown) => {
    if (error instanceof Refusal && error.status === 404) return undefined
    throw error
  })
  const [proposal] = warehouse === undefined ? [] : await run(ctx, ONE, [warehouse.id, number])
  if (warehouse === undefined || proposal === undefined || !isVisible(ctx, proposal, warehouse))
    throw notFound('proposal', number)
  return { proposal, warehouse }
}

function isVisible(ctx: Context, { fromWarehouse, fromWarehouseId, fromRegionId }: Proposal, warehouse: Warehouse) {
  if (maySee(ctx, warehouse)) return true
  return (
    fromWarehouse !== null &&
    fromWarehouseId !== null &&
    fromRegionId !== null &&
    maySee(ctx, { id: fromWarehouseId, code: fromWarehouse, regionId: fromRegionId })
  )
}

/** One proposal with the search that led to it, and how its position stands now. */
export async function readProposal(ctx: Context, { number }: { number: string }): Promise<ProposalView> {
  const { proposal } = await loadProposal(ctx, number)
  const { evidence, present, ...row } = proposal
  return { ...summaryOf(row), evidence, present }
}
