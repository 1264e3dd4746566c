import { sightOf, type Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { keptCentres, requireDepositSight } from './deposit-rights.ts'
import type { DepositQuery, DepositView, WaiverQuery, WaiverView } from './deposits.schemas.ts'

// $1: today.
const COLUMNS = `
       w.code as warehouse, w.name, w.name_zh as "nameZh", centre.code as centre, a.balance::text as balance, a.held::text as held,
       (a.balance - a.held)::text as free, waiver.left_over::text as waivable, a.low_limit::text as "lowLimit", a.balance - a.held < a.low_limit as "isLow",
       a.opened_at as "openedAt", opener.username as "openedBy", a.changed_at as "changedAt"
  from deposit_account a
  join warehouse w on w.id = a.warehouse_id
  left join warehouse centre on centre.id = centre_of(a.warehouse_id)
  join person opener on opener.id = a.opened_by
 cross join lateral (
   select coalesce(sum(o.amount - coalesce((select sum(u.amount) from deposit_waiver_use u where u.warehouse_id = o.warehouse_id and u.waiver_id = o.id), 0)), 0.00) as left_over
     from deposit_waiver o where o.warehouse_id = a.warehouse_id and o.ended_at is null and o.valid_to >= $1::date) waiver`

const ONE = statement<DepositView>(`select ${COLUMNS} where a.warehouse_id = $2`)

const viewOf = (row: DepositView): DepositView => ({
  ...row,
  openedAt: instant(row.openedAt),
  changedAt: instant(row.changedAt)
})

/** @throws Refusal 404 for an outlet without an account */
export async function depositView(ctx: Context, outlet: Pick<Warehouse, 'id' | 'code'>): Promise<DepositView> {
  const [row] = await run(ctx, ONE, [ctx.clock.today(), outlet.id])
  if (row === undefined) throw notFound('deposit of', outlet.code)
  return viewOf(row)
}

/**
 * The deposit of an outlet, for who sees the outlet and for the finance of its centre.
 * @throws Refusal 404
 */
export const readDeposit = async (ctx: Context, { warehouse: code }: { warehouse: string }): Promise<DepositView> =>
  depositView(ctx, (await requireDepositSight(ctx, code)).outlet)

const LIST = `
select ${COLUMNS}
 where ($2 or w.id = any ($3::int[]) or w.region_id = any ($4::int[]) or centre.id = any ($5::int[]) or centre.region_id = any ($6::int[]))
   and ($7::text is null or w.region_id = (select id from region where code = $7)) and ($8::text is null or centre.code = $8)
   and ($9::boolean is null or $9 = (a.balance - a.held < a.low_limit))
   and ($10::text is null or w.code > $10)
 order by w.code
 limit $11`
const PAGE = statement<DepositView>(LIST)

function filterOf(ctx: Context, { region, centre, low }: DepositQuery): unknown[] {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const kept = keptCentres(ctx)
  return [
    ctx.clock.today(),
    everywhere,
    warehouseIds,
    regionIds,
    kept.warehouseIds,
    kept.regionIds,
    region ?? null,
    centre ?? null,
    low ?? null
  ]
}

/** The deposits one may see, by outlet. */
export async function listDeposits(ctx: Context, query: DepositQuery) {
  const { limit = 50, cursor } = query
  const rows = await run(ctx, PAGE, [...filterOf(ctx, query), readCursor(cursor, ['text'])?.[0] ?? null, limit + 1])
  const { items, nextCursor } = pageFrom(rows, limit, ({ warehouse }) => [warehouse])
  return { items: items.map(viewOf), nextCursor }
}

/** The same as a file. */
export async function* depositStream(ctx: Context, query: DepositQuery): AsyncGenerator<DepositView> {
  for await (const row of rowsOf<DepositView>(ctx, LIST, [...filterOf(ctx, query), null, null])) yield viewOf(row)
}

export const DEPOSIT_COLUMNS: CsvColumns<DepositView> = {
  warehouse: 'warehouse 网点',
  name: 'name 英文名',
  nameZh: 'name (zh) 名称',
  centre: 'centre 中心库',
  balance: 'balance 押金余额',
  held: 'held 占用',
  free: 'free 可用押金',
  waivable: 'waivable 豁免额度',
  lowLimit: 'low limit 押金下限',
  isLow: 'is low 低于下限',
  changedAt: 'changed at 变动时间'
}

// $1: the outlet, $2: today.
const WAIVER = `
select w.id::text as id, outlet.code as warehouse,
       case when w.ended_at is not null then 'ended' when w.amount = used.amount then 'used-up' when w.valid_to < $2::date then 'expired' else 'open' end as state,
       w.amount::text as amount, (w.amount - used.amount)::text as "left", w.reason, w.repair_order as "repairOrder", w.valid_to::text as "validTo",
       granter.username as "grantedBy", w.granted_at as "grantedAt", ender.username as "endedBy", w.ended_at as "endedAt", w.ended_because as "endedBecause", used.uses
  from deposit_waiver w
  join warehouse outlet on outlet.id = w.warehouse_id
  join person granter on granter.id = w.granted_by
  left join person ender on ender.id = w.ended_by
 cross join lateral (
   select coalesce(sum(u.amount), 0) as amount,
          coalesce(json_agg(json_build_object('reference', u.reference, 'amount', u.amount::text, 'at', u.used_at) order by u.used_at, u.reference), '[]') as uses
     from deposit_waiver_use u where u.warehouse_id = w.warehouse_id and u.waiver_id = w.id) used
 where w.warehouse_id = $1`
const ONE_WAIVER = statement<WaiverView>(`${WAIVER} and w.id = $3`)
const WAIVERS = statement<WaiverView>(`
select * from (${WAIVER}) waiver
 where ($3::text is null or state = $3) and ($4::bigint is null or id::bigint < $4)
 order by id::bigint desc limit $5`)

const waiverOf = (row: WaiverView): WaiverView => ({
  ...row,
  grantedAt: instant(row.grantedAt),
  endedAt: instantOrNull(row.endedAt),
  uses: row.uses.map((use) => ({ ...use, at: instant(use.at) }))
})

/** @throws Refusal 404 */
export async function waiverView(ctx: Context, outletId: number, id: string): Promise<WaiverView> {
  const [row] = await run(ctx, ONE_WAIVER, [outletId, ctx.clock.today(), id])
  if (row === undefined) throw notFound('waiver', id)
  return waiverOf(row)
}

/**
 * What finance waived for an outlet, newest first, and which requests took it.
 * @throws Refusal 404
 */
export async function listDepositWaivers(
  ctx: Context,
  { warehouse: code, state, limit = 50, cursor }: { warehouse: string } & WaiverQuery
) {
  const { outlet } = await requireDepositSight(ctx, code)
  await depositView(ctx, outlet)
  const rows = await run(ctx, WAIVERS, [
    outlet.id,
    ctx.clock.today(),
    state ?? null,
    readCursor(cursor, ['id'])?.[0] ?? null,
    limit + 1
  ])
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return { items: items.map(waiverOf), nextCursor }
}
