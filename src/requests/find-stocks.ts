import type { Context } from '../identity/actor.ts'
import { agedLots } from '../ledger/aged-lots.ts'
import { run, statement } from '../platform/database.ts'
import { thousandths } from '../platform/decimal.ts'
import type { Ownership } from '../ledger/post.ts'
import type { Held, Step, Stock } from './search.ts'

/** For whom is searched: the place in the queue decides what waits in front. */
export interface Seeker {
  outletId: number
  requestId: string
  urgency: 'normal' | 'emergency'
  requestedAt: string
  centreId: number
  /** Of the centre. */
  regionId: number
  headOfficeId: number | null
}

interface Row {
  warehouseId: number
  warehouse: string
  partId: number
  ownership: Ownership
  available: string
  waiting: string
  lots: { receivedOn: string; quantity: string }[] | null
  spare: string
  displaceable: string
}

/** What waits for the part of balance `b` in front of the seeker: older backorders of its urgency, and all of a higher one. */
const waitingFor = (centre: string): string => `
  (select coalesce(sum(o.waiting), 0) as quantity
     from backorder o
    where o.part_id = b.part_id and o.waiting > 0 and ${centre} and o.request_id <> $3
      and (o.urgency = $4 and (o.queued_at, o.request_id) < ($5::timestamptz, $3::bigint) or o.urgency = 'emergency' and $4 = 'normal'))`

/** Goods of normal requests at a centre that no slip names yet: an emergency may take them (R-REQ-4). As SQL over `a` and `r`. */
export const displaceable = (joined = ''): string => `
  request_allocation a
  join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id and r.urgency = 'normal' and r.state = 'open'
  ${joined}
 where a.centre_reservation_id is not null and a.state in ('reserved', 'ready')
   and not exists (select 1 from slip_line l join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state not in ('posted', 'cancelled')
                    where l.warehouse_id = r.centre_id and l.reservation_id = a.centre_reservation_id)`

// One warehouse: rows of the primary key. $7: whether it is asked for the whole network, as the head office is.
const AT_ONE = statement<Row>(`
select b.warehouse_id as "warehouseId", w.code as warehouse, b.part_id as "partId", b.ownership,
       greatest(0, b.on_hand - b.reserved - b.blocked)::text as available, waiting.quantity::text as waiting,
       case when oldest.received_on is not null then json_build_array(json_build_object('receivedOn', oldest.received_on, 'quantity', oldest.on_hand::text)) end as lots,
       greatest(0, b.on_hand - b.reserved - b.blocked)::text as spare, displaceable.quantity::text as displaceable
  from unnest($2::int[]) as wanted (part_id)
  join balance b on b.warehouse_id = $1 and b.part_id = wanted.part_id and b.condition = 'qualified'
  join warehouse w on w.id = b.warehouse_id and (w.closed_on is null or w.closed_on > $6::date)
 cross join lateral ${waitingFor('(o.centre_id = $1 or $7)')} waiting
  left join lateral (select l.received_on, l.on_hand from lot l
                      where l.warehouse_id = b.warehouse_id and l.part_id = b.part_id and l.ownership = b.ownership and l.condition = b.condition
                        and not l.exhausted and not l.blocked
                      order by l.received_on, l.id limit 1) oldest on true
 cross join lateral (select case when $4 = 'emergency' and not $7 then coalesce((
         select sum(a.quantity - a.issued) from ${displaceable()} and r.centre_id = $1 and a.part_id = b.part_id and a.ownership = b.ownership), 0)
       else 0 end as quantity) displaceable
 order by b.part_id, b.ownership desc`)

// Many warehouses: along the index of a part's balances, and only those that hold any. $1 the region of the centre, $7 who is asked elsewhere.
// What is past the holding period may be had from anybody but a van; beyond its own need from regional centres and branches.
const network = (region: string) =>
  statement<Row & { isGiving: boolean }>(`
with held as materialized (
  select b.warehouse_id, w.code, w.kind, b.part_id, b.on_hand - b.reserved - b.blocked as available
    from unnest($2::int[]) as wanted (part_id)
    join part on part.id = wanted.part_id
    join balance b on b.part_number = part.number and b.ownership = 'own' and b.condition = 'qualified' and b.on_hand - b.reserved - b.blocked > 0
    join warehouse w on w.id = b.warehouse_id and w.kind <> 'van' and ${region} and w.id <> all ($7::int[]) and (w.closed_on is null or w.closed_on > $6::date)
), looked as (
  select b.*, aged.lots, greatest(0, b.available - coalesce(level.order_up_to, 0)) as beyond_need,
         b.kind in ('regional-centre', 'branch') as is_keeping
    from held b
    left join reorder_level level on level.warehouse_id = b.warehouse_id and level.part_id = b.part_id
    left join lateral (select json_agg(json_build_object('receivedOn', l.received_on, 'quantity', l.on_hand::text) order by l.received_on, l.id) as lots
                         from ${agedLots('b.warehouse_id', 'b.part_id', '$6::date')}) aged on true
)
select b.warehouse_id as "warehouseId", b.code as warehouse, b.part_id as "partId", 'own' as ownership, b.available::text as available,
       waiting.quantity::text as waiting, b.lots, case when b.is_keeping then b.beyond_need else 0 end::text as spare, '0' as displaceable, true as "isGiving"
  from looked b
 cross join lateral ${waitingFor('o.centre_id = b.warehouse_id')} waiting
 where b.lots is not null or (b.is_keeping and b.beyond_need > 0)
 union all
select count(*)::int, '', part_id, 'own', sum(available)::text, '0', null, '0', '0', false from held group by part_id
 order by 3, 10, 2`)
const IN_REGION = network('w.region_id = $1')
const IN_OTHER_REGIONS = network('w.region_id <> $1')

/** What one step of the search finds of parts. */
export async function findStocks(
  ctx: Context,
  step: Step,
  partIds: readonly number[],
  seeker: Seeker
): Promise<{ stocks: Stock[]; held: Held[] }> {
  const { centreId, regionId, headOfficeId } = seeker
  const common = [[...new Set(partIds)], seeker.requestId, seeker.urgency, seeker.requestedAt, ctx.clock.today()]
  const stockOf = (row: Row): Stock => ({
    step,
    warehouseId: row.warehouseId,
    warehouse: row.warehouse,
    partId: row.partId,
    ownership: row.ownership,
    available: thousandths(row.available),
    waiting: thousandths(row.waiting),
    lots: (row.lots ?? []).map(({ receivedOn, quantity }) => ({ receivedOn, quantity: thousandths(quantity) })),
    spare: thousandths(row.spare),
    displaceable: thousandths(row.displaceable)
  })
  if (step === 'centre' || step === 'head-office') {
    const place = step === 'centre' ? centreId : headOfficeId
    if (place === null) return { stocks: [], held: [] }
    const rows = await run(ctx, AT_ONE, [place, ...common, step === 'head-office'])
    return { stocks: rows.map(stockOf), held: [] }
  }
  // The outlet itself is asked by nobody: what lies there is its own already.
  const elsewhere = [centreId, seeker.outletId, ...(headOfficeId === null ? [] : [headOfficeId])]
  const rows = await run(ctx, step === 'regional-network' ? IN_REGION : IN_OTHER_REGIONS, [
    regionId,
    ...common,
    elsewhere
  ])
  return {
    stocks: rows.filter(({ isGiving }) => isGiving).map(stockOf),
    held: rows
      .filter(({ isGiving }) => !isGiving)
      .map(({ partId, warehouseId, available }) => ({
        step,
        partId,
        warehouses: warehouseId,
        available: thousandths(available)
      }))
  }
}
