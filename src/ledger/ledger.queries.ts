import { readPart } from '../catalogue/parts.queries.ts'
import { requireSight, sightOf, type Context } from '../identity/actor.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { instant } from '../platform/clock.ts'
import { rowsOf } from '../platform/csv.ts'
import { run, statement } from '../platform/database.ts'
import { requireDaysInOrder } from '../platform/days.ts'
import { Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import type { LedgerRow, LotView, NetworkStockRow, StockRow } from './ledger.schemas.ts'
import type { Condition, Ownership } from './post.ts'
import { chargeOnHand, COST_ON_HAND } from './value.ts'

/**
 * Tells a list that is empty because its part or region does not exist from one that has nothing in it. Asked only about an
 * empty list: whoever finds something pays no second statement.
 * @throws Refusal 404
 */
async function requireKnown(
  ctx: Context,
  { part, region }: { part?: string | undefined; region?: string | undefined }
): Promise<void> {
  if (part !== undefined) await readPart(ctx, { number: part })
  if (region !== undefined) await findRegion(ctx, region)
}

async function visible(ctx: Context, code: string): Promise<Warehouse> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  return warehouse
}

// Net book value of what is on hand: cost less the charges of the months up to the one before `$today`, as an issue today would relieve them.
const VALUE = (today: string) => `
  left join lateral (
    select sum(${COST_ON_HAND}) as cost,
           sum(${chargeOnHand(today)}) as charge
      from lot l
     where l.warehouse_id = b.warehouse_id and l.part_id = b.part_id and l.ownership = b.ownership and l.condition = b.condition and not l.exhausted
  ) v on true`

const STOCK_COLUMNS = `b.part_number as part, part.name, part.name_zh as "nameZh", part.unit, b.ownership, b.condition,
       trim_scale(b.on_hand)::text as "onHand", trim_scale(b.reserved)::text as reserved, trim_scale(b.blocked)::text as blocked,
       trim_scale(b.on_hand - b.reserved - b.blocked)::text as available,
       coalesce(v.cost, 0)::numeric(18,2)::text as cost, coalesce(v.charge, 0)::numeric(18,2)::text as "accumulatedDepreciation",
       (coalesce(v.cost, 0) - coalesce(v.charge, 0))::numeric(18,2)::text as value`

export interface StockQuery {
  warehouse: string
  part?: string | undefined
  ownership?: Ownership | undefined
  condition?: Condition | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

// Two texts, because a plan that serves a single part and a whole warehouse alike serves neither.
export const STOCK_OF_PART = statement<StockRow>(`
select ${STOCK_COLUMNS}
  from balance b join part on part.id = b.part_id ${VALUE('$3')}
 where b.warehouse_id = $1 and b.part_number = $2
 order by b.ownership, b.condition`)

export const STOCK_PAGE = statement<StockRow>(`
select ${STOCK_COLUMNS}
  from (select * from balance
         where warehouse_id = $1 and (part_number, ownership, condition) > ($3, $4, $5)
           and ($6::text is null or ownership = $6) and ($7::text is null or condition = $7)
         order by part_number, ownership, condition limit $8) b
  join part on part.id = b.part_id ${VALUE('$2')}
 order by b.part_number, b.ownership, b.condition`)

/** Stock of a warehouse by part number, ownership and condition (R-STK-1). */
export async function listWarehouseStock(
  ctx: Context,
  { warehouse: code, part, ownership, condition, limit = 50, cursor }: StockQuery
): Promise<{ items: StockRow[]; nextCursor: string | null }> {
  const warehouse = await visible(ctx, code)
  const today = ctx.clock.today()
  if (part !== undefined) {
    const rows = await run(ctx, STOCK_OF_PART, [warehouse.id, part, today])
    if (rows.length === 0) await requireKnown(ctx, { part })
    return {
      items: rows.filter(
        (row) => (ownership ?? row.ownership) === row.ownership && (condition ?? row.condition) === row.condition
      ),
      nextCursor: null
    }
  }
  const after = readCursor(cursor, 3) ?? ['', '', '']
  const rows = await run(ctx, STOCK_PAGE, [
    warehouse.id,
    today,
    ...after,
    ownership ?? null,
    condition ?? null,
    limit + 1
  ])
  return pageFrom(rows, limit, (row) => [row.part, row.ownership, row.condition])
}

export interface NetworkStockQuery {
  part?: string | undefined
  region?: string | undefined
  agedOver?: number | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

type NetworkRow = NetworkStockRow & { warehouseId: number }
// Two texts: a plan that serves one part and all of them alike goes through all to find the one.
const network = (ofPart: string) =>
  statement<NetworkRow>(`
select w.code as warehouse, w.name as "warehouseName", w.name_zh as "warehouseNameZh", region.code as region, b.warehouse_id as "warehouseId", ${STOCK_COLUMNS},
       oldest.received_on as "oldestReceivedOn"
  from balance b
  join warehouse w on w.id = b.warehouse_id
  join region on region.id = w.region_id
  join part on part.id = b.part_id ${VALUE('$4')}
  left join lateral (select min(received_on) as received_on from lot l
                      where l.warehouse_id = b.warehouse_id and l.part_id = b.part_id and l.ownership = b.ownership and l.condition = b.condition and not l.exhausted) oldest on true
 where ($1 or w.id = any($2::int[]) or w.region_id = any($3::int[])) and ${ofPart} and ($6::text is null or region.code = $6)
   and b.on_hand > 0 and (b.part_number, b.warehouse_id, b.ownership, b.condition) > ($7, $8::int, $9, $10)
 order by b.part_number, b.warehouse_id, b.ownership, b.condition limit $11`)
const NETWORK_OF_PART = network('b.part_number = $5')
const NETWORK = network('$5::text is null')

// Own stock past the holding period, of either condition, is shown to every warehouse (R-AGE-6): this one is not scoped to what the actor
// sees.
const AGED_NETWORK = statement<NetworkRow>(`
select w.code as warehouse, w.name as "warehouseName", w.name_zh as "warehouseNameZh", region.code as region, a.warehouse_id as "warehouseId",
       part.number as part, part.name, part.name_zh as "nameZh", part.unit, a.ownership, a.condition,
       trim_scale(a.on_hand)::text as "onHand", trim_scale(b.reserved)::text as reserved, trim_scale(b.blocked)::text as blocked,
       trim_scale(least(a.on_hand, b.on_hand - b.reserved - b.blocked))::text as available,
       a.cost::numeric(18,2)::text as cost, a.charge::numeric(18,2)::text as "accumulatedDepreciation", (a.cost - a.charge)::numeric(18,2)::text as value, a.received_on as "oldestReceivedOn"
  from (select l.warehouse_id, l.part_id, l.ownership, l.condition, sum(l.on_hand) as on_hand, min(l.received_on) as received_on,
               sum(${COST_ON_HAND}) as cost,
               sum(${chargeOnHand('$1')}) as charge
          from lot l
         where not l.exhausted and l.ownership = 'own' and l.aged_from <= date_trunc('month', $1::date::timestamp) - make_interval(months => $2)
         group by 1, 2, 3, 4) a
  join balance b using (warehouse_id, part_id, ownership, condition)
  join warehouse w on w.id = a.warehouse_id
  join region on region.id = w.region_id
  join part on part.id = a.part_id
 where ($3::text is null or part.number = $3) and ($4::text is null or region.code = $4)
   and (part.number, a.warehouse_id, a.ownership, a.condition) > ($5, $6::int, $7, $8)
 order by part.number, a.warehouse_id, a.ownership, a.condition limit $9`)

/**
 * Stock of parts across warehouses: of those the actor sees, or, with `agedOver`, own stock held longer than that many months
 * anywhere in the network (R-AGE-6).
 */
export async function listNetworkStock(
  ctx: Context,
  { part, region, agedOver, limit = 50, cursor }: NetworkStockQuery
): Promise<{ items: NetworkStockRow[]; nextCursor: string | null }> {
  const after = readCursor(cursor, 4) ?? ['', 0, '', '']
  const today = ctx.clock.today()
  const rows =
    agedOver === undefined
      ? await run(
          ctx,
          part === undefined ? NETWORK : NETWORK_OF_PART,
          (({ everywhere, warehouseIds, regionIds }) => [
            everywhere,
            warehouseIds,
            regionIds,
            today,
            part ?? null,
            region ?? null,
            ...after,
            limit + 1
          ])(sightOf(ctx))
        )
      : await run(ctx, AGED_NETWORK, [
          today,
          requireHoldingPeriod(agedOver),
          part ?? null,
          region ?? null,
          ...after,
          limit + 1
        ])
  if (rows.length === 0) await requireKnown(ctx, { part, region })
  const page = pageFrom(rows, limit, (row) => [row.part, row.warehouseId, row.ownership, row.condition])
  return { items: page.items.map(({ warehouseId: _warehouseId, ...row }) => row), nextCursor: page.nextCursor }
}

/** Foreign stock is shown once it is past the holding period, not before. */
function requireHoldingPeriod(months: number): number {
  if (months >= 3) return months
  throw new Refusal(
    'AgeBelowHoldingPeriod',
    422,
    'the network shows stock held for 3 months or longer; ask for agedOver=3 or more',
    { errors: [{ pointer: '?agedOver', detail: 'is below the holding period', sent: months, accepted: '3 or more' }] }
  )
}

export interface LedgerQuery {
  warehouse: string
  part?: string | undefined
  from?: string | undefined
  to?: string | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

const LEDGER_COLUMNS = `m.id::text as id, m.occurred_on as "occurredOn", m.posted_at as "postedAt", s.number as slip, s.kind, m.line_no as line, part.number as part, part.name,
       part.name_zh as "nameZh", m.ownership, m.condition, m.lot_id::text as lot, s.reference, trim_scale(m.quantity)::text as quantity,
       m.cost::text as cost, m.charge::text as charge, trim_scale(m.on_hand_after)::text as "onHandAfter"`

// The running balance is in the order of the days on the paper. What a page opens with is the sum of all before it, so a page
// costs what came before it in the same part; a part's history is short beside a warehouse's.
const LEDGER_OF_PART = statement<LedgerRow>(`
with listed as (
  select m.* from movement m
   where m.warehouse_id = $1 and m.part_id = (select id from part where number = $2)
     and m.occurred_on >= $3::date and m.occurred_on <= $4::date and (m.occurred_on, m.id) > ($5::date, $6::bigint)
   order by m.occurred_on, m.id limit $7
), opening as (
  select m.ownership, m.condition, sum(m.quantity) as quantity
    from movement m
   where m.warehouse_id = $1 and m.part_id = (select id from part where number = $2)
     and (m.occurred_on, m.id) < (select l.occurred_on, l.id from listed l order by l.occurred_on, l.id limit 1)
   group by 1, 2
)
select ${LEDGER_COLUMNS},
       trim_scale(coalesce(o.quantity, 0) + sum(m.quantity) over (partition by m.ownership, m.condition order by m.occurred_on, m.id))::text as balance
  from listed m
  join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
  join part on part.id = m.part_id
  left join opening o on (o.ownership, o.condition) = (m.ownership, m.condition)
 order by m.occurred_on, m.id`)

const LEDGER_OF_WAREHOUSE = statement<LedgerRow>(`
select ${LEDGER_COLUMNS}, null as balance
  from (select * from movement m
         where m.warehouse_id = $1 and m.occurred_on >= $2::date and m.occurred_on <= $3::date and (m.occurred_on, m.id) > ($4::date, $5::bigint)
         order by m.occurred_on, m.id limit $6) m
  join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
  join part on part.id = m.part_id
 order by m.occurred_on, m.id`)

const EARLIEST = '0001-01-01'
const LATEST = '9999-12-31'

const ledgerRow = (row: LedgerRow): LedgerRow => ({ ...row, postedAt: instant(row.postedAt) })

/** The detailed ledger (商品明细账) by day (R-STK-3): of one part with its running balance, or of the whole warehouse. */
export async function listLedger(
  ctx: Context,
  { warehouse: code, part, from = EARLIEST, to = LATEST, limit = 50, cursor }: LedgerQuery
): Promise<{ items: LedgerRow[]; nextCursor: string | null }> {
  const warehouse = await visible(ctx, code)
  requireDaysInOrder({ from, to })
  const after = readCursor(cursor, 2) ?? [EARLIEST, '0']
  const rows =
    part === undefined
      ? await run(ctx, LEDGER_OF_WAREHOUSE, [warehouse.id, from, to, ...after, limit + 1])
      : await run(ctx, LEDGER_OF_PART, [warehouse.id, part, from, to, ...after, limit + 1])
  if (rows.length === 0) await requireKnown(ctx, { part })
  return pageFrom(rows.map(ledgerRow), limit, ({ occurredOn, id }) => [occurredOn, id])
}

const LEDGER_STREAM = `
select ${LEDGER_COLUMNS},
       trim_scale(coalesce(o.quantity, 0) + sum(m.quantity) over (partition by m.part_id, m.ownership, m.condition order by m.occurred_on, m.id))::text as balance
  from movement m
  join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
  join part on part.id = m.part_id
  left join (select part_id, ownership, condition, sum(quantity) as quantity from movement
              where warehouse_id = $1 and occurred_on < $3::date group by 1, 2, 3) o on (o.part_id, o.ownership, o.condition) = (m.part_id, m.ownership, m.condition)
 where m.warehouse_id = $1 and ($2::text is null or part.number = $2) and m.occurred_on >= $3::date and m.occurred_on <= $4::date
 order by part.number, m.ownership, m.condition, m.occurred_on, m.id`

/** The same as a stream, part by part, each with its running balance. */
export async function ledgerStream(
  ctx: Context,
  { warehouse: code, part, from = EARLIEST, to = LATEST }: LedgerQuery
): Promise<AsyncGenerator<LedgerRow>> {
  const warehouse = await visible(ctx, code)
  requireDaysInOrder({ from, to })
  // Asked beforehand: once rows are sent there is no way to answer a problem.
  await requireKnown(ctx, { part })
  return (async function* () {
    for await (const row of rowsOf<LedgerRow>(ctx, LEDGER_STREAM, [warehouse.id, part ?? null, from, to]))
      yield ledgerRow(row)
  })()
}

const LOTS = statement<LotView>(`
select l.id::text as lot, part.number as part, l.ownership, l.condition, l.received_on as "receivedOn", l.opened_on as "openedOn",
       month_index($3::date) - month_index(l.aged_from) + 1 as "ageMonths", l.unit_cost::text as "unitCost", trim_scale(l.quantity_in)::text as "quantityIn", trim_scale(l.on_hand)::text as "onHand",
       ${COST_ON_HAND}::numeric(18,2)::text as cost, c.charge::numeric(18,2)::text as "accumulatedDepreciation",
       (${COST_ON_HAND} - c.charge)::numeric(18,2)::text as value, l.parent_lot_id::text as "parentLot",
       array(select distinct r.recall from lot_block k join recall_scope r on r.recall_id = k.recall_id where k.warehouse_id = l.warehouse_id and k.lot_id = l.id order by 1) as "blockedBy"
  from lot l
  join part on part.id = l.part_id
  cross join lateral (select ${chargeOnHand('$3')} as charge) c
 where l.warehouse_id = $1 and l.part_id = (select id from part where number = $2) and not l.exhausted
 order by l.ownership, l.condition, l.received_on, l.id`)

/** The lots of a part on hand, in the order they will be issued (R-STK-5). */
export async function listLots(
  ctx: Context,
  { warehouse: code, part }: { warehouse: string; part: string }
): Promise<{ items: LotView[] }> {
  const warehouse = await visible(ctx, code)
  const items = await run(ctx, LOTS, [warehouse.id, part, ctx.clock.today()])
  if (items.length === 0) await requireKnown(ctx, { part })
  return { items }
}
