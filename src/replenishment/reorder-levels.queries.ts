import { readPart } from '../catalogue/parts.queries.ts'
import { requireSight, sightOf, type Context } from '../identity/actor.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { instant } from '../platform/clock.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import type { ReorderLevelQuery, ReorderLevelView } from './reorder.schemas.ts'

type Keyed = ReorderLevelView & { warehouseId: number; partId: number }

// Along the keys, so that a page costs what is on it. $1 today, $2–$4 what the actor sees, $5 warehouse, $6 region, $7 part or null,
// $8 whether only those that are short or are not, $9 and $10 the row to go on after, $11 how many.
const LIST = `
select w.code as warehouse, part.number as part, part.name, part.name_zh as "nameZh", part.unit, s.warehouse_id as "warehouseId", s.part_id as "partId",
       trim_scale(s.available)::text as available, trim_scale(s.on_order)::text as "onOrder", trim_scale(s.reorder_point)::text as "reorderPoint",
       trim_scale(s.order_up_to)::text as "orderUpTo", s.is_short as "isShort", l.basis, l.nothing_because as "nothingBecause",
       case when l.computed_reorder_point is not null
            then json_build_object('reorderPoint', trim_scale(l.computed_reorder_point)::text, 'orderUpTo', trim_scale(l.computed_order_up_to)::text) end as computed,
       (select json_build_object('kind', p.kind, 'reason', p.reason, 'expiresOn', p.expires_on, 'setBy', person.username)
          from reorder_policy p join person on person.id = p.set_by
         where p.warehouse_id = l.warehouse_id and p.part_id = l.part_id and (p.expires_on is null or p.expires_on >= $1::date)) as policy,
       l.demand_class as "demandClass", l.adi, l.cv2, l.method, l.monthly_mean as "monthlyMean", l.monthly_variance as "monthlyVariance",
       l.lead_time_mean as "leadTimeMean", l.lead_time_variance as "leadTimeVariance", l.distribution, l.achieved,
       case when l.measure is not null then json_build_object('measure', l.measure, 'level', trim_scale(l.level)::text, 'from', l.target_from) end as target,
       case when l.lead_time_days is not null then json_build_object('days', l.lead_time_days, 'from', l.lead_time_from) end as "leadTime",
       trim_scale(l.pack_size)::text as "packSize", to_char(l.series_from, 'YYYY-MM') as "seriesFrom",
       case when l.series_from < l.series_until then to_char(l.series_until - 1, 'YYYY-MM') end as "seriesUntil", l.computed_at as "computedAt"
  from reorder_position s
  join reorder_level l on l.warehouse_id = s.warehouse_id and l.part_id = s.part_id
  join warehouse w on w.id = s.warehouse_id
  join part on part.id = s.part_id
 where ($2 or w.id = any ($3::int[]) or w.region_id = any ($4::int[])) and ($5::int is null or s.warehouse_id = $5) and ($6::int is null or w.region_id = $6)
   and ($7::int is null or s.part_id = $7) and ($8::boolean is null or s.is_short = $8) and (s.warehouse_id, s.part_id) > ($9::int, $10::int)
 order by s.warehouse_id, s.part_id limit $11`
const PAGE = statement<Keyed>(LIST)
const PART_ID = statement<{ id: number }>(`select id from part where number = $1`)

async function filterOf(ctx: Context, { warehouse: code, region, part, short }: ReorderLevelQuery): Promise<unknown[]> {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const warehouse = code === undefined ? undefined : await warehouseByCode(ctx, code)
  if (warehouse !== undefined) requireSight(ctx, warehouse)
  if (part !== undefined) await readPart(ctx, { number: part })
  return [
    ctx.clock.today(),
    everywhere,
    warehouseIds,
    regionIds,
    warehouse?.id ?? null,
    region === undefined ? null : await findRegion(ctx, region),
    part === undefined ? null : ((await run(ctx, PART_ID, [part]))[0]?.id ?? null),
    short ?? null
  ]
}

const viewOf = ({ warehouseId: _warehouseId, partId: _partId, ...row }: Keyed): ReorderLevelView => ({
  ...row,
  computedAt: instant(row.computedAt)
})

/**
 * Levels in force of the warehouses the actor sees, each with what it comes from and how the position stands against it, in the order in
 * which warehouses and parts were entered.
 * @throws Refusal 404
 */
export async function listReorderLevels(
  ctx: Context,
  query: ReorderLevelQuery
): Promise<{ items: ReorderLevelView[]; nextCursor: string | null }> {
  const { limit = 50, cursor } = query
  const after = readCursor(cursor, ['integer', 'integer']) ?? [0, 0]
  const rows = await run(ctx, PAGE, [...(await filterOf(ctx, query)), ...after, limit + 1])
  const page = pageFrom(rows, limit, ({ warehouseId, partId }) => [warehouseId, partId])
  return { items: page.items.map(viewOf), nextCursor: page.nextCursor }
}

type LevelRow = Omit<ReorderLevelView, 'computed' | 'policy' | 'target' | 'leadTime'> & {
  computedReorderPoint: string | null
  computedOrderUpTo: string | null
  reason: string | null
  expiresOn: string | null
  measure: string | null
  serviceLevel: string | null
  targetFrom: string | null
  leadTimeDays: number | null
  leadTimeFrom: string | null
}

/** The same as a file, one level a row. */
export async function reorderLevelStream(ctx: Context, query: ReorderLevelQuery): Promise<AsyncGenerator<LevelRow>> {
  const values = [...(await filterOf(ctx, query)), 0, 0, null]
  return (async function* () {
    for await (const row of rowsOf<Keyed>(ctx, LIST, values)) {
      const { computed, policy, target, leadTime, ...level } = viewOf(row)
      yield {
        ...level,
        computedReorderPoint: computed?.reorderPoint ?? null,
        computedOrderUpTo: computed?.orderUpTo ?? null,
        reason: policy?.reason ?? null,
        expiresOn: policy?.expiresOn ?? null,
        measure: target?.measure ?? null,
        serviceLevel: target?.level ?? null,
        targetFrom: target?.from ?? null,
        leadTimeDays: leadTime?.days ?? null,
        leadTimeFrom: leadTime?.from ?? null
      }
    }
  })()
}

export const REORDER_LEVEL_COLUMNS: CsvColumns<LevelRow> = {
  warehouse: 'warehouse 仓库',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name (zh) 货名',
  unit: 'unit 单位',
  available: 'available 可用数量',
  onOrder: 'on order 在途数量',
  reorderPoint: 'reorder point 订货点',
  orderUpTo: 'order up to 补货上限',
  isShort: 'is short 低于订货点',
  basis: 'basis 依据',
  nothingBecause: 'nothing because 不备货原因',
  computedReorderPoint: 'computed reorder point 计算订货点',
  computedOrderUpTo: 'computed order up to 计算补货上限',
  reason: 'reason of the policy 策略原因',
  expiresOn: 'expires on 有效期至',
  demandClass: 'demand class 需求分类',
  adi: 'ADI 平均需求间隔',
  cv2: 'CV² 变异系数平方',
  method: 'method 预测方法',
  monthlyMean: 'monthly mean 月均需求',
  monthlyVariance: 'monthly variance 月需求方差',
  leadTimeMean: 'lead time mean 提前期需求均值',
  leadTimeVariance: 'lead time variance 提前期需求方差',
  distribution: 'distribution 分布',
  measure: 'measure 服务指标',
  serviceLevel: 'service level 服务水平目标',
  targetFrom: 'target from 目标来源',
  achieved: 'achieved 可达服务水平',
  leadTimeDays: 'lead time in days 提前期(天)',
  leadTimeFrom: 'lead time from 提前期来源',
  packSize: 'pack size 包装数量',
  seriesFrom: 'series from 序列起',
  seriesUntil: 'series until 序列止',
  computedAt: 'computed at 计算时间'
}
