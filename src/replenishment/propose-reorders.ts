// Proposes what to do where stock is short: transfers from the network first, then orders (R-ORD-2, R-AGE-8).
//
// A position is proposed for if and only if available + on order is at or below its reorder point (view reorder_position), its warehouse is
// open, its part is active, nothing that was proposed for it is still open or accepted without being on its way, and nobody said no to the
// same need in the last REORDER_REPEAT_DAYS. Who accepted less than was proposed said no to the rest.
// An open proposal is withdrawn if and only if its position is no longer short or no longer asked, or the giver can no longer give; then
// all that was proposed for that position is, and it is searched anew.
// What it does not do: change an open proposal, whose figures are those of its day; accept anything; write a slip.
// A second run changes nothing: what it would propose is open already. Two at once wait for each other at SOLE, and the unique index
// reorder_proposal_one_per_need has the last word.
import type { Context } from '../identity/actor.ts'
import { agedLots, holdingMonths } from '../ledger/aged-lots.ts'
import { inTransaction } from '../platform/context.ts'
import { NO_TIME_LIMIT, run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import type { Progress } from '../platform/job-runs.ts'
import { ableToGive, ownNeedOf, promisedBy, PROMISE, reorderPointOf } from './giving.ts'
import {
  searchNetwork,
  type FoundProposal,
  type Here,
  type Need,
  type Option,
  type Stock,
  type Terms
} from './network-search.ts'
import { replacedParts } from './supersession.ts'
import { documentNumber } from '../signing/document-number.ts'

/** A part in a warehouse. */
export interface Position {
  warehouseId: number
  partId: number
}

/** Parts and positions that are searched for in one transaction; what lies of these parts anywhere is in memory at once. */
const PARTS_AT_ONCE = 25
const POSITIONS_AT_ONCE = 1000
const PROPOSALS_AT_ONCE = 500

/**
 * Held by whoever proposes, promises more than was proposed, or takes many proposals into a plan: what is spare is counted and given by
 * one at a time. Taken before any row of a proposal, after those of documents.
 */
export const SOLE = statement<never>(`select pg_advisory_xact_lock(7305011)`)

const IS_PENDING = `(p.state = 'open' or (p.state = 'accepted' and p.expected_receipt_id is null))`

/** Whether all positions are looked at, or those of $3 and $4. Each has texts of its own: a plan that serves both serves neither. */
type Scope = 'all' | 'some'
const ASKED = 'unnest($3::int[], $4::int[]) as asked (warehouse_id, part_id)'
const ofScope = <Row>(text: (scope: Scope) => string) => ({
  all: statement<Row>(text('all')),
  some: statement<Row>(text('some'))
})

// $1 now, $2 today.
const needs = (scope: Scope): string => `
  ${
    scope === 'all'
      ? 'reorder_position r'
      : `${ASKED} cross join lateral (select * from reorder_position here where here.warehouse_id = asked.warehouse_id and here.part_id = asked.part_id) r`
  }
  join warehouse w on w.id = r.warehouse_id and (w.closed_on is null or w.closed_on > $2::date)
  join part on part.id = r.part_id and part.active
 where r.is_short
   and not exists (select 1 from reorder_proposal p where p.warehouse_id = r.warehouse_id and p.short_part_id = r.part_id and ${IS_PENDING})
   and not exists (select 1 from reorder_proposal p where p.warehouse_id = r.warehouse_id and p.short_part_id = r.part_id
                      and p.quiet_until > $1::timestamptz and p.rejection is distinct from 'other-source')`

const SHORT_PARTS = ofScope<{ partId: number; positions: number }>(
  (scope) =>
    `select r.part_id as "partId", count(*)::int as positions from ${needs(scope)} and r.order_up_to > r.available + r.on_order group by 1 order by 1`
)

type NeedRow = Omit<Need, 'available' | 'onOrder' | 'reorderPoint' | 'orderUpTo'> & {
  available: string
  onOrder: string
  reorderPoint: string
  orderUpTo: string
}
const NEEDS_OF_PARTS = ofScope<NeedRow>(
  (scope) => `
select r.warehouse_id as "warehouseId", w.code as warehouse, w.region_id as "regionId", r.part_id as "partId", part.number as part,
       r.available::text as available, r.on_order::text as "onOrder", r.reorder_point::text as "reorderPoint", r.order_up_to::text as "orderUpTo",
       coalesce((select array_agg(q.from_warehouse_id) from reorder_proposal q
                  where q.warehouse_id = r.warehouse_id and q.short_part_id = r.part_id and q.quiet_until > $1::timestamptz and q.rejection = 'other-source'), '{}') as "notFrom"
  from ${needs(scope)} and r.part_id = any (${scope === 'all' ? '$3' : '$5'}::int[]) and r.order_up_to > r.available + r.on_order`
)

// A part with everything that may be taken in its stead, nearest first: forward along any supersession, back along those that go both ways.
const OPTIONS = statement<{
  shortPartId: number
  partId: number
  part: string
  successors: string
  replaced: string
  steps: number
}>(`
with recursive step (from_id, to_id, successors, replaced) as (
  select part_id, successor_id, factor, 1::numeric from supersession where valid_from <= $2 and (valid_to is null or valid_to >= $2)
  union all
  select successor_id, part_id, 1::numeric, factor from supersession where both_ways and valid_from <= $2 and (valid_to is null or valid_to >= $2)
), chain (short_id, part_id, successors, replaced, steps, been) as (
  select id, id, 1::numeric, 1::numeric, 0, array[id] from unnest($1::int[]) as short (id)
  union all
  select chain.short_id, step.to_id, chain.successors * step.successors, chain.replaced * step.replaced, chain.steps + 1, chain.been || step.to_id
    from chain join step on step.from_id = chain.part_id
   where step.to_id <> all (chain.been) and chain.steps < 20
), nearest as (
  select distinct on (short_id, part_id) * from chain order by short_id, part_id, steps, been
)
select n.short_id as "shortPartId", n.part_id as "partId", part.number as part, n.successors::text as successors, n.replaced::text as replaced, n.steps
  from nearest n join part on part.id = n.part_id
 order by n.short_id, n.steps, part.number`)

/** The part that replaces one now, where there is one that is bought. */
const TARGETS = statement<{ partId: number; targetId: number; target: string; factor: string }>(`
with recursive ${replacedParts('$2::date')}
select r.part_id as "partId", r.target_id as "targetId", part.number as target, r.factor::text as factor
  from replaced r join part on part.id = r.target_id and part.active
 where r.part_id = any ($1::int[])`)

const STOCKS = statement<{
  warehouseId: number
  warehouse: string
  regionId: number
  region: string
  partId: number
  part: string
  available: string
  ownNeed: string
  promised: string
  able: string
  lots: { receivedOn: string; quantity: string }[] | null
}>(`
select b.warehouse_id as "warehouseId", w.code as warehouse, w.region_id as "regionId", region.code as region, b.part_id as "partId", b.part_number as part,
       (select sum(q.on_hand - q.reserved - q.blocked) from balance q where q.warehouse_id = b.warehouse_id and q.part_id = b.part_id and q.condition = 'qualified')::text as available,
       ${ownNeedOf('b.warehouse_id', 'b.part_id')}::text as "ownNeed",
       ${promisedBy('b.warehouse_id', 'b.part_id')}::text as promised, ${ableToGive('b.warehouse_id', 'b.part_id', '$2::date')}::text as able,
       (select json_agg(json_build_object('receivedOn', received_on, 'quantity', quantity::text) order by received_on)
          from (select l.received_on, sum(l.on_hand) as quantity from ${agedLots('b.warehouse_id', 'b.part_id', '$2::date')} group by l.received_on) aged) as lots
  from part
  join balance b on b.part_number = part.number and b.ownership = 'own' and b.condition = 'qualified' and b.on_hand > 0
  join warehouse w on w.id = b.warehouse_id and (w.closed_on is null or w.closed_on > $2::date)
  join region on region.id = w.region_id
 where part.id = any ($1::int[])`)

// What is proposed for the part itself and not on its way yet meets its own need. Else that need would take up what is on its way
// for the part that is short, which would be ordered again.
const HERE = statement<{
  warehouseId: number
  partId: number
  available: string
  onOrder: string
  reorderPoint: string
}>(`
select n.warehouse_id as "warehouseId", n.part_id as "partId", stock.quantity::text as available, (ordered.quantity + proposed.quantity)::text as "onOrder",
       ${reorderPointOf('n.warehouse_id', 'n.part_id')}::text as "reorderPoint"
  from unnest($1::int[], $2::int[]) as n (warehouse_id, part_id)
 cross join lateral (select coalesce(sum(b.on_hand - b.reserved - b.blocked), 0) as quantity from balance b
                      where b.warehouse_id = n.warehouse_id and b.part_id = n.part_id and b.condition = 'qualified') stock
 cross join lateral (select coalesce(sum(o.quantity), 0) as quantity from on_order o where o.warehouse_id = n.warehouse_id and o.part_id = n.part_id) ordered
 cross join lateral (select coalesce(sum(coalesce(p.decided_quantity, p.quantity)), 0) as quantity from reorder_proposal p
                      where p.warehouse_id = n.warehouse_id and p.short_part_id = n.part_id and p.part_id = n.part_id and ${IS_PENDING}) proposed`)

const TERMS = statement<{
  warehouseId: number
  partId: number
  part: string
  packSize: string | null
  suppliers: { id: number; code: string }[]
  lastSupplier: number | null
}>(`
select n.warehouse_id as "warehouseId", n.part_id as "partId", part.number as part, coalesce(policy.pack_size, part.pack_size)::text as "packSize",
       authorised.suppliers, last.supplier_id as "lastSupplier"
  from unnest($1::int[], $2::int[]) as n (warehouse_id, part_id)
  join part on part.id = n.part_id
  left join reorder_policy policy on policy.warehouse_id = n.warehouse_id and policy.part_id = n.part_id
 cross join lateral (
   select coalesce(json_agg(json_build_object('id', id, 'code', code) order by code), '[]') as suppliers, count(*) as count
     from (select distinct supplier.id, supplier.code from supplier_authorisation held join supplier on supplier.id = held.supplier_id and supplier.active
            where held.part_id = n.part_id and held.valid_from <= $3 and (held.valid_to is null or held.valid_to >= $3)) s) authorised
  left join lateral (
   select s.supplier_id from movement m join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id and s.kind = 'receipt' and s.supplier_id is not null
    where authorised.count > 1 and m.warehouse_id = n.warehouse_id and m.part_id = n.part_id and m.quantity > 0
    order by m.occurred_on desc, m.id desc limit 1) last on true`)

const HOLDING = statement<{ months: number }>(`select ${holdingMonths('$1::date')} as months`)

// The rows of the counters are held until the commit; only proposals are numbered by them, and only under SOLE.
const PROPOSE = statement<{ id: string }>(`
with proposed as (
  select * from unnest($3::int[], $4::int[], $5::int[], $6::text[], $7::numeric[], $8::int[], $9::int[], $10::numeric[], $11::numeric[], $12::numeric[], $13::numeric[], $14::jsonb[])
    with ordinality as p (warehouse_id, short_part_id, part_id, kind, quantity, from_warehouse_id, supplier_id, available, on_order, reorder_point, order_up_to, evidence, place)
), numbered as (
  insert into document_number (warehouse_id, series, period, last)
  select warehouse_id, 'PRO', date_trunc('month', $2::date::timestamp)::date, count(*) from proposed group by warehouse_id order by warehouse_id
  on conflict (warehouse_id, series, period) do update set last = document_number.last + excluded.last
  returning warehouse_id, last
)
insert into reorder_proposal (warehouse_id, number, kind, short_part_id, part_id, quantity, from_warehouse_id, supplier_id, proposed_at, available, on_order, reorder_point, order_up_to, evidence)
select p.warehouse_id, ${documentNumber('w.code', "'PRO'", '$2', 'p.running')},
       p.kind, p.short_part_id, p.part_id, p.quantity, p.from_warehouse_id, p.supplier_id, $1::timestamptz, p.available, p.on_order, p.reorder_point, p.order_up_to, p.evidence
  from (select p.*, n.last - count(*) over (partition by p.warehouse_id) + row_number() over (partition by p.warehouse_id order by p.place) as running
          from proposed p join numbered n using (warehouse_id)) p
  join warehouse w on w.id = p.warehouse_id
 order by p.place
returning id::text as id`)

// What was promised first is kept first; what is beyond what the giver can give goes, and with it everything for the same need.
const WITHDRAW = ofScope<{ id: string }>(
  (scope) => `
with promised as (
  select p.warehouse_id, p.short_part_id, p.state, p.from_warehouse_id, p.part_id,
         sum(${PROMISE}) over (partition by p.from_warehouse_id, p.part_id order by p.state = 'open', p.id) as upto
    from ${
      scope === 'all'
        ? ''
        : `(select distinct q.from_warehouse_id, q.part_id from ${ASKED}
             join reorder_proposal q on q.warehouse_id = asked.warehouse_id and q.short_part_id = asked.part_id and q.kind = 'transfer' and q.state = 'open') giver
    join `
    }reorder_proposal p ${scope === 'all' ? '' : 'on p.from_warehouse_id = giver.from_warehouse_id and p.part_id = giver.part_id'}
   where p.from_warehouse_id is not null and p.state in ('open', 'accepted')
), beyond as (
  select distinct q.warehouse_id, q.short_part_id from promised q
   where q.state = 'open' and q.upto > ${ableToGive('q.from_warehouse_id', 'q.part_id', '$2::date')}
), gone as (
  select p.warehouse_id, p.id,
         case when w.closed_on <= $2::date or not part.active or not bought.active then 'not-asked' when position.is_short is not true then 'recovered' when beyond.warehouse_id is not null then 'giver-short' end as because
    from ${
      scope === 'all'
        ? 'reorder_proposal p'
        : `${ASKED} join reorder_proposal p on p.warehouse_id = asked.warehouse_id and p.short_part_id = asked.part_id`
    }
    join warehouse w on w.id = p.warehouse_id
    join part on part.id = p.short_part_id
    join part bought on bought.id = p.part_id
    left join lateral (select r.is_short from reorder_position r where r.warehouse_id = p.warehouse_id and r.part_id = p.short_part_id) position on true
    left join beyond on beyond.warehouse_id = p.warehouse_id and beyond.short_part_id = p.short_part_id
   where p.state = 'open'
)
update reorder_proposal p set state = 'withdrawn', version = version + 1, decided_at = $1::timestamptz, withdrawn_because = gone.because
  from gone where gone.because is not null and p.warehouse_id = gone.warehouse_id and p.id = gone.id
   -- Said of the row itself, so that it is asked again of one that was waited for: what somebody accepted meanwhile stays accepted.
   and p.state = 'open'
returning p.id::text as id`
)

// A position that recovered may be proposed for again when it is short once more. Of those whose silence is over nothing is left to lift.
const LIFT_SILENCE = ofScope<never>(
  (scope) => `
update reorder_proposal p set quiet_until = null${scope === 'all' ? '' : ` from ${ASKED}`}
 where p.quiet_until > $1::timestamptz and $2::date is not null${scope === 'all' ? '' : ' and p.warehouse_id = asked.warehouse_id and p.short_part_id = asked.part_id'}
   and not exists (select 1 from reorder_position r where r.warehouse_id = p.warehouse_id and r.part_id = p.short_part_id and r.is_short)`
)

// Asked about every posted slip, and nearly always answered no.
const ANYTHING_TO_DO = statement<{ is: boolean }>(`
select exists (select 1 from ${needs('some')})
    or exists (select 1 from ${ASKED} join reorder_proposal p on p.warehouse_id = asked.warehouse_id and p.short_part_id = asked.part_id and p.state = 'open')
    or exists (select 1 from ${ASKED} join reorder_proposal p on p.warehouse_id = asked.warehouse_id and p.short_part_id = asked.part_id and p.quiet_until > $1::timestamptz) as "is"`)

/** Whether proposing for these positions could do anything; costs no lock. */
export async function isAnythingToPropose(ctx: Context, positions: readonly Position[]): Promise<boolean> {
  const [answer] = await run(ctx, ANYTHING_TO_DO, momentOf(ctx, positions))
  return answer?.is ?? false
}

/** The first parameters of most statements here. */
const momentOf = (ctx: Context, positions: readonly Position[] | undefined): unknown[] => [
  ctx.clock.now().toString(),
  ctx.clock.today(),
  ...(positions === undefined
    ? []
    : [positions.map(({ warehouseId }) => warehouseId), positions.map(({ partId }) => partId)])
]

/**
 * Withdraws what no longer holds and proposes what is needed, for all positions or for some. Part by part in transactions of their own
 * unless it is called within one.
 * @param progress told in parts
 */
export async function proposeReorders(
  ctx: Context,
  { positions, progress }: { positions?: readonly Position[] | undefined; progress?: Progress | undefined } = {}
): Promise<{ proposed: number; withdrawn: number }> {
  const scope = positions === undefined ? 'all' : 'some'
  const moment = momentOf(ctx, positions)
  const { withdrawn, parts } = await inTransaction(ctx, async (inner) => {
    if (positions === undefined) await run(inner, NO_TIME_LIMIT, [])
    await run(inner, SOLE, [])
    const gone = await run(inner, WITHDRAW[scope], moment)
    await run(inner, LIFT_SILENCE[scope], moment)
    return { withdrawn: gone.length, parts: await run(inner, SHORT_PARTS[scope], moment) }
  })
  let proposed = 0
  let done = 0
  while (done < parts.length) {
    const some = portionOf(parts, done)
    proposed += await inTransaction(ctx, async (inner) => {
      await run(inner, SOLE, [])
      return proposeFor(inner, some, { scope, moment })
    })
    done += some.length
    await progress?.(done, parts.length)
  }
  return { proposed, withdrawn }
}

/** The next parts, as many as are looked at in one go; at least one. */
function portionOf(parts: readonly { partId: number; positions: number }[], from: number): number[] {
  let positions = 0
  let until = from
  while (until < parts.length && until - from < PARTS_AT_ONCE && positions < POSITIONS_AT_ONCE)
    positions += parts[until++]?.positions ?? 0
  return parts.slice(from, until).map(({ partId }) => partId)
}

async function proposeFor(
  ctx: Context,
  parts: readonly number[],
  { scope, moment }: { scope: Scope; moment: readonly unknown[] }
): Promise<number> {
  const today = ctx.clock.today()
  const rows = await run(ctx, NEEDS_OF_PARTS[scope], [...moment, parts])
  if (rows.length === 0) return 0
  const short = rows.map((row): Need => ({
    ...row,
    available: thousandths(row.available),
    onOrder: thousandths(row.onOrder),
    reorderPoint: thousandths(row.reorderPoint),
    orderUpTo: thousandths(row.orderUpTo)
  }))
  const options = Map.groupBy(
    (await run(ctx, OPTIONS, [parts, today])).map(({ successors, replaced, ...row }) => ({
      ...row,
      ...ratio(successors, replaced)
    })),
    ({ shortPartId }) => shortPartId
  )
  const optionsOf = (partId: number): readonly Option[] => options.get(partId) ?? []
  const targets = new Map(
    (await run(ctx, TARGETS, [parts, today])).map(({ partId, targetId, target, factor }): [number, Option] => [
      partId,
      { partId: targetId, part: target, steps: 1, ...ratio(factor, '1') }
    ])
  )
  const orderOf = (partId: number): Option => {
    const [itself] = optionsOf(partId)
    const order = targets.get(partId) ?? itself
    if (order === undefined) throw new Error(`part ${partId} stands for itself`)
    return order
  }
  const anyPart = [...new Set([...options.values()].flat().map(({ partId }) => partId))]
  const { stocks, holding } = await stocksOf(ctx, anyPart, today)
  const found = searchNetwork({
    needs: short,
    optionsOf,
    stocks,
    othersHolding: (partId) =>
      optionsOf(partId).reduce((total, option) => total + (holding.get(option.partId) ?? 0), 0),
    hereOf: await hereOf(ctx, short, optionsOf),
    orderOf,
    termsOf: await termsOf(ctx, short, orderOf, today),
    searchedOn: today,
    holdingMonths: (await run(ctx, HOLDING, [today]))[0]?.months ?? 0
  })
  for (let from = 0; from < found.length; from += PROPOSALS_AT_ONCE) {
    const some = found.slice(from, from + PROPOSALS_AT_ONCE)
    await run(ctx, PROPOSE, [moment[0], today, ...columnsOf(some)])
  }
  return found.length
}

const columnsOf = (found: readonly FoundProposal[]): unknown[] => [
  found.map(({ need }) => need.warehouseId),
  found.map(({ need }) => need.partId),
  found.map(({ partId }) => partId),
  found.map(({ kind }) => kind),
  found.map(({ quantity }) => decimal(quantity, 3)),
  found.map(({ fromWarehouseId }) => fromWarehouseId),
  found.map(({ supplierId }) => supplierId),
  found.map(({ need }) => decimal(need.available, 3)),
  found.map(({ need }) => decimal(need.onOrder, 3)),
  found.map(({ need }) => decimal(need.reorderPoint, 3)),
  found.map(({ need }) => decimal(need.orderUpTo, 3)),
  found.map(({ evidence }) => JSON.stringify(evidence))
]

/** Two decimals of any number of places as whole numbers of the same ratio. */
function ratio(successors: string, replaced: string): Pick<Option, 'successors' | 'replaced'> {
  const places = Math.max(...[successors, replaced].map((value) => value.split('.')[1]?.length ?? 0))
  const whole = (value: string): bigint => {
    const [units = '0', fraction = ''] = value.split('.')
    return BigInt(units + fraction.padEnd(places, '0'))
  }
  return { successors: whole(successors), replaced: whole(replaced) }
}

async function stocksOf(
  ctx: Context,
  parts: readonly number[],
  today: string
): Promise<{ stocks: Stock[]; holding: Map<number, number> }> {
  const rows = await run(ctx, STOCKS, [parts, today])
  const stocks: Stock[] = []
  const holding = new Map<number, number>()
  for (const { lots, able, ...row } of rows) {
    if (lots === null) {
      holding.set(row.partId, (holding.get(row.partId) ?? 0) + 1)
      continue
    }
    const promised = thousandths(row.promised)
    let toSkip = promised
    const free = lots.map(({ receivedOn, quantity }) => {
      const skipped = toSkip < thousandths(quantity) ? toSkip : thousandths(quantity)
      toSkip -= skipped
      return { receivedOn, left: thousandths(quantity) - skipped }
    })
    const left = thousandths(able) - promised
    stocks.push({
      ...row,
      available: thousandths(row.available),
      ownNeed: thousandths(row.ownNeed),
      promised,
      left: left > 0n ? left : 0n,
      lots: free,
      aged: lots.reduce((total, { quantity }) => total + thousandths(quantity), 0n)
    })
  }
  return { stocks, holding }
}

const keyOf = (warehouseId: number, partId: number): string => `${warehouseId} ${partId}`

async function hereOf(ctx: Context, short: readonly Need[], optionsOf: (partId: number) => readonly Option[]) {
  const pairs = short.flatMap(({ warehouseId, partId }) =>
    optionsOf(partId)
      .filter(({ steps }) => steps > 0)
      .map((option) => ({ warehouseId, partId: option.partId }))
  )
  const rows =
    pairs.length === 0
      ? []
      : await run(ctx, HERE, [pairs.map(({ warehouseId }) => warehouseId), pairs.map(({ partId }) => partId)])
  const here = new Map(
    rows.map(({ warehouseId, partId, ...row }): [string, Here] => {
      const available = thousandths(row.available)
      const onOrder = thousandths(row.onOrder)
      const reorderPoint = thousandths(row.reorderPoint)
      const left = available + onOrder - reorderPoint
      return [keyOf(warehouseId, partId), { available, onOrder, reorderPoint, left: left > 0n ? left : 0n }]
    })
  )
  return (warehouseId: number, partId: number): Here | undefined => here.get(keyOf(warehouseId, partId))
}

async function termsOf(ctx: Context, short: readonly Need[], orderOf: (partId: number) => Option, today: string) {
  const rows = await run(ctx, TERMS, [
    short.map(({ warehouseId }) => warehouseId),
    short.map(({ partId }) => orderOf(partId).partId),
    today
  ])
  const terms = new Map(
    rows.map(({ warehouseId, packSize, ...row }): [string, Terms] => [
      keyOf(warehouseId, row.partId),
      { ...row, packSize: packSize === null ? null : thousandths(packSize) }
    ])
  )
  return (warehouseId: number, partId: number): Terms => {
    const found = terms.get(keyOf(warehouseId, partId))
    if (found === undefined) throw new Error(`nobody asked how part ${partId} is ordered`)
    return found
  }
}
