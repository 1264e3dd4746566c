import { sightOf, type Context } from '../identity/actor.ts'
import { instantOrNull } from '../platform/clock.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { concerned } from './recall-scopes.ts'
import { loadRecall } from './recall.ts'
import type { RecallWarehouse } from './recalls.schemas.ts'

const ROWS = `
select w.code as warehouse, w.name, w.name_zh as "nameZh", region.code as region,
       trim_scale(coalesce(c.held, 0))::text as held, trim_scale(coalesce(c.issued, 0))::text as issued, trim_scale(coalesce(c.got, 0))::text as got,
       (select trim_scale(coalesce(sum(l.on_hand), 0))::text
          from lot_block b join lot l on l.warehouse_id = b.warehouse_id and l.id = b.lot_id where b.warehouse_id = w.id and b.recall_id = $1) as blocked,
       trim_scale(a.found)::text as found, trim_scale(a.returned)::text as returned, a.note, person.username as "answeredBy", a.answered_at as "answeredAt"
  from (${concerned('$1')}) concerned
  join warehouse w on w.id = concerned.warehouse_id
  join region on region.id = w.region_id
  left join recall_warehouse c on c.warehouse_id = w.id and c.recall_id = $1
  left join lateral (select * from recall_answer where warehouse_id = w.id and recall_id = $1 order by id desc limit 1) a on true
  left join person on person.id = a.answered_by`

const PAGE = statement<RecallWarehouse>(`
${ROWS}
 where ($2 or w.id = any ($3::int[]) or w.region_id = any ($4::int[]))
   and ($5::text is null or ($5 = 'answered') = (a.id is not null)) and ($6::text is null or w.code > $6)
 order by w.code limit $7`)
const COUNT = statement<{ total: number; answered: number }>(`
select count(*)::int as total, count(*) filter (where exists (select 1 from recall_answer a where a.warehouse_id = w.id and a.recall_id = $1))::int as answered
  from (${concerned('$1')}) concerned join warehouse w on w.id = concerned.warehouse_id
 where $2 or w.id = any ($3::int[]) or w.region_id = any ($4::int[])`)
const ONE = statement<RecallWarehouse>(`${ROWS} where w.id = $2`)

const shown = (row: RecallWarehouse): RecallWarehouse => ({ ...row, answeredAt: instantOrNull(row.answeredAt) })

/** Who has to answer a recall and what they answered, by code, of the warehouses one may see; with the share that is done. */
export async function listRecallWarehouses(
  ctx: Context,
  {
    number,
    state,
    limit = 50,
    cursor
  }: {
    number: string
    state?: 'open' | 'answered' | undefined
    limit?: number | undefined
    cursor?: string | undefined
  }
) {
  const { recall } = await loadRecall(ctx, number)
  const [after] = readCursor(cursor, ['text']) ?? [null]
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const seen = [recall.id, everywhere, warehouseIds, regionIds]
  const rows = await run(ctx, PAGE, [...seen, state ?? null, after, limit + 1])
  const [counted = { total: 0, answered: 0 }] = await run(ctx, COUNT, seen)
  const { items, nextCursor } = pageFrom(rows, limit, ({ warehouse }) => [warehouse])
  const share = counted.total === 0 ? 1 : Math.round((counted.answered / counted.total) * 10_000) / 10_000
  return { items: items.map(shown), nextCursor, ...counted, share }
}

/** One of them. */
export async function readRecallWarehouse(
  ctx: Context,
  { recall, warehouse }: { recall: { id: string }; warehouse: { id: number; code: string } }
): Promise<RecallWarehouse> {
  const [row] = await run(ctx, ONE, [recall.id, warehouse.id])
  if (row === undefined) throw new Error(`${warehouse.code} answered a moment ago`)
  return shown(row)
}

export const RECALL_WAREHOUSE_COLUMNS: CsvColumns<RecallWarehouse> = {
  warehouse: 'warehouse 仓库',
  name: 'name 英文名',
  nameZh: 'name 名称',
  region: 'region 区域',
  held: 'held 召回时库存',
  issued: 'issued 已发出',
  got: 'received as outlet 网点领用',
  blocked: 'blocked now 现冻结',
  found: 'found 查到',
  returned: 'returned 已退',
  note: 'note 说明',
  answeredBy: 'answered by 回复人',
  answeredAt: 'answered at 回复时间'
}
const ALL_ROWS = `${ROWS}
 where ($2 or w.id = any ($3::int[]) or w.region_id = any ($4::int[])) and ($5::text is null or ($5 = 'answered') = (a.id is not null))
 order by w.code`

/** All of them, for a file. */
export async function recallWarehouseRows(
  ctx: Context,
  { number, state }: { number: string; state?: 'open' | 'answered' | undefined }
): Promise<AsyncGenerator<RecallWarehouse>> {
  const { recall } = await loadRecall(ctx, number)
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  return rowsOf(ctx, ALL_ROWS, [recall.id, everywhere, warehouseIds, regionIds, state ?? null])
}
