// Compares every stored figure with what the movements say. It reads only; a second run finds the same.
// What holds at every commit, and is checked here:
// 1. balance = Σ lots = Σ movements, per warehouse × part × ownership × condition
// 2. nothing is negative; reserved = Σ open reservations ≤ on hand
// 3. cost in = cost out + cost on hand, and charges = charges relieved + charges on hand, per lot, to the cent
// 4. no movement was posted into a period after it was closed
// 5. what came back of a movement is at most what left by it, and all of it came back at exactly what it left with
// 6. every posted slip line moved its whole quantity, and no movement belongs to a slip that is not posted
// The whole check runs in one repeatable-read snapshot, so that postings meanwhile do not look like faults.
import { IsolationLevel } from '@mikro-orm/postgresql'
import { requireSight, sightOf, type Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { rateSum } from './value.ts'
import { warehouseByCode } from '../warehouses/directory.ts'

export interface Finding {
  check: string
  warehouse: string
  subject: string
  expected: string
  found: string
}

const FINDING = `check_name as "check", warehouse.code as warehouse, subject, expected, found`

const CHECKS = [
  `select 'balance-equals-lots-equals-movements' as check_name, warehouse_id,
          part.number || ' ' || ownership || ' ' || condition as subject,
          'movements ' || trim_scale(moved) as expected,
          'balance ' || trim_scale(balance) || ', lots ' || trim_scale(lots) as found
     from (select warehouse_id, part_id, ownership, condition, sum(moved) as moved, sum(balance) as balance, sum(lots) as lots
             from (select warehouse_id, part_id, ownership, condition, quantity as moved, 0 as balance, 0 as lots from movement where $1::int is null or warehouse_id = $1
                   union all
                   select warehouse_id, part_id, ownership, condition, 0, on_hand, 0 from balance where $1::int is null or warehouse_id = $1
                   union all
                   select warehouse_id, part_id, ownership, condition, 0, 0, on_hand from lot where $1::int is null or warehouse_id = $1) figures
            group by 1, 2, 3, 4) sums
     join part on part.id = part_id
    where moved <> balance or moved <> lots`,
  `select 'reserved-equals-open-reservations', b.warehouse_id, part_number || ' ' || b.ownership || ' ' || b.condition,
          'open reservations ' || trim_scale(coalesce(open, 0)), 'reserved ' || trim_scale(b.reserved) || ' of ' || trim_scale(b.on_hand)
     from balance b
     left join (select warehouse_id, part_id, ownership, condition, sum(quantity - consumed) as open
                  from reservation where released_at is null group by 1, 2, 3, 4) r using (warehouse_id, part_id, ownership, condition)
    where ($1::int is null or b.warehouse_id = $1) and (b.reserved <> coalesce(open, 0) or b.reserved > b.on_hand or b.on_hand < 0)`,
  `select 'cost-in-equals-cost-out-and-on-hand', l.warehouse_id, 'lot ' || l.id,
          'on hand ' || lot_cost(l.unit_cost, l.on_hand, l.cost_residue), 'in − out ' || m.cost
     from lot l
     join (select warehouse_id, lot_id, sum(cost) as cost from movement where $1::int is null or warehouse_id = $1 group by 1, 2) m
       on (m.warehouse_id, m.lot_id) = (l.warehouse_id, l.id)
    where m.cost <> lot_cost(l.unit_cost, l.on_hand, l.cost_residue)`,
  // The charges of the months a lot was on hand, on the quantity at the end of each, up to the month before it last moved.
  `select 'charges-equal-relieved-and-on-hand', l.warehouse_id, 'lot ' || l.id,
          'on hand ' || lot_charge(l.unit_cost, l.on_hand, ${rateSum('l.aged_month', 'l.last_month - 1')} - l.rate_skipped, l.charge_residue),
          'brought in − relieved ' || m.charge || ', charged ' || charged
     from (select *, month_index(last_moved_on) as last_month from lot
            where ($1::int is null or warehouse_id = $1) and unit_cost > 0) l
     join (select warehouse_id, lot_id, sum(charge) as charge from movement where $1::int is null or warehouse_id = $1 group by 1, 2) m
       on (m.warehouse_id, m.lot_id) = (l.warehouse_id, l.id)
     cross join lateral (
       select coalesce(sum(lot_charge(l.unit_cost, q.on_hand, ${rateSum('l.aged_month', 'month')} - l.rate_skipped, l.charge_residue)
                         - lot_charge(l.unit_cost, q.on_hand, ${rateSum('l.aged_month', 'month - 1')} - l.rate_skipped, l.charge_residue)), 0) as charged
         from generate_series(month_index(l.opened_on), l.last_month - 1) as month
         cross join lateral (select coalesce(sum(quantity), 0) as on_hand from movement
                              where warehouse_id = l.warehouse_id and part_id = l.part_id and lot_id = l.id
                                and occurred_on < make_date(month / 12, month % 12 + 1, 1)) q
        where ${rateSum('l.aged_month', 'month')} <> ${rateSum('l.aged_month', 'month - 1')}) c
    where m.charge + charged <> lot_charge(l.unit_cost, l.on_hand, ${rateSum('l.aged_month', 'l.last_month - 1')} - l.rate_skipped, l.charge_residue)`,
  `select 'closed-period-never-changes', m.warehouse_id, 'movement ' || m.id,
          'posted before ' || p.closed_at, 'posted at ' || m.posted_at
     from stock_period p
     join movement m on m.warehouse_id = p.warehouse_id and m.occurred_on >= p.period and m.occurred_on < p.period + interval '1 month'
    where p.state = 'closed' and ($1::int is null or p.warehouse_id = $1) and m.posted_at > p.closed_at`,
  `select 'comes-back-at-what-it-left-with', m.warehouse_id, 'movement ' || m.id,
          'left ' || trim_scale(-m.quantity) || ' at ' || -m.cost || ', charged ' || -m.charge,
          'came back ' || trim_scale(r.quantity) || ' at ' || r.cost || ', charged ' || r.charge
     from (select warehouse_id, source_movement_id, sum(quantity_in) as quantity, sum(cost_in) as cost, sum(charge_in) as charge
             from lot where source_movement_id is not null and not undone and ($1::int is null or warehouse_id = $1) group by 1, 2) r
     join movement m on (m.warehouse_id, m.id) = (r.warehouse_id, r.source_movement_id)
    where r.quantity > -m.quantity or r.cost > -m.cost or (r.quantity = -m.quantity and (r.cost <> -m.cost or r.charge <> -m.charge))`,
  `select 'posted-line-moved-its-quantity', l.warehouse_id, s.number || ' line ' || l.line_no,
          'line ' || trim_scale(l.quantity) || ' of a slip ' || s.state, 'moved ' || trim_scale(coalesce(m.quantity, 0))
     from slip_line l
     join slip s on (s.warehouse_id, s.id) = (l.warehouse_id, l.slip_id)
     left join (select warehouse_id, slip_id, line_no, sum(quantity) as quantity from movement where $1::int is null or warehouse_id = $1 group by 1, 2, 3) m
       on (m.warehouse_id, m.slip_id, m.line_no) = (l.warehouse_id, l.slip_id, l.line_no)
    where ($1::int is null or l.warehouse_id = $1)
      and coalesce(m.quantity, 0) <> case when s.state = 'posted' then l.quantity else 0 end`
].map((check) =>
  statement<Finding>(`select ${FINDING} from (${check}) as finding (check_name, warehouse_id, subject, expected, found)
  join warehouse on warehouse.id = finding.warehouse_id order by warehouse.code, subject limit 1000`)
)

// Reading everything takes as long as it takes; requests have a limit.
const NO_TIME_LIMIT = statement<never>('set local statement_timeout = 0')

/**
 * The self-check of the ledger, for one warehouse or for all.
 * @param warehouse code; without it everything, for those who may see everything
 * @returns `ok` and at most 1,000 findings per check
 */
export async function verifyLedger(ctx: Context, { warehouse }: { warehouse?: string | undefined }) {
  const warehouseId = warehouse === undefined ? null : await visibleWarehouseId(ctx, warehouse)
  if (warehouseId === null) requireSightOfEverything(ctx)
  const findings = await ctx.em.fork().transactional(
    async (em) => {
      await run(em, NO_TIME_LIMIT, [])
      const found: Finding[] = []
      for (const check of CHECKS) found.push(...(await run(em, check, [warehouseId])))
      return found
    },
    { isolationLevel: IsolationLevel.REPEATABLE_READ, readOnly: true }
  )
  return { ok: findings.length === 0, checkedAt: ctx.clock.now().toString(), findings }
}

async function visibleWarehouseId(ctx: Context, code: string): Promise<number> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  return warehouse.id
}

function requireSightOfEverything(ctx: Context): void {
  if (!sightOf(ctx).everywhere) {
    throw new Refusal(
      'WarehouseRequired',
      403,
      'only somebody with a duty everywhere may check everything at once; name a warehouse: ?warehouse=CODE'
    )
  }
}
