// Compares every stored figure with what the movements say. It reads only; a second run finds the same.
// What holds at every commit, and is checked here:
// 1. balance = Σ lots = Σ movements, per warehouse × part × ownership × condition
// 2. nothing is negative; reserved = Σ open reservations, blocked = Σ blocked lots, and together they are ≤ on hand
// 3. cost in = cost out + cost on hand, and charges = charges relieved + charges on hand, per lot, to the cent
// 4. no movement was posted into a period after it was closed
// 5. what came back of a movement is at most what left by it, and all of it came back at exactly what it left with
// 6. the frozen months: each opens with what the one before closed with, moved what the movements of the month say, charged what
//    its lots were charged, and is summed up right in its statement
// 7. every posted slip line moved its whole quantity, and no movement belongs to a slip that is not posted
// 8. a lot is blocked if and only if a recall blocks it, and every lot with something on hand that a scope in force is about is blocked by it
// 9. goods know the lot by which they first came in: it is there, of the same part, no other's descendant, and the same for a lot and what comes back of it
// 10. a line moved what it names: its lot, or goods with the cost, charge and origin that they brought along
// 11. what a recall names and has not lifted is in force in the ledger, and nothing else of it; promises are broken by recalls only, and those
//     made on arrival are of what arrived
// The whole check runs in one repeatable-read snapshot, so that postings meanwhile do not look like faults.
import { IsolationLevel } from '@mikro-orm/postgresql'
import { requireSight, sightOf, type Context } from '../identity/actor.ts'
import { NO_TIME_LIMIT, run, statement } from '../platform/database.ts'
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
          'open reservations ' || trim_scale(coalesce(open, 0)), 'reserved ' || trim_scale(b.reserved) || ', blocked ' || trim_scale(b.blocked) || ' of ' || trim_scale(b.on_hand)
     from balance b
     left join (select warehouse_id, part_id, ownership, condition, sum(quantity - consumed) as open
                  from reservation where released_at is null group by 1, 2, 3, 4) r using (warehouse_id, part_id, ownership, condition)
    where ($1::int is null or b.warehouse_id = $1) and (b.reserved <> coalesce(open, 0) or b.reserved + b.blocked > b.on_hand or b.on_hand < 0)`,
  `select 'cost-in-equals-cost-out-and-on-hand', l.warehouse_id, 'lot ' || l.id,
          'on hand ' || lot_cost(l.unit_cost, l.on_hand, l.cost_residue), 'in − out ' || m.cost
     from lot l
     join (select warehouse_id, lot_id, sum(cost) as cost from movement where $1::int is null or warehouse_id = $1 group by 1, 2) m
       on (m.warehouse_id, m.lot_id) = (l.warehouse_id, l.id)
    where m.cost <> lot_cost(l.unit_cost, l.on_hand, l.cost_residue)`,
  // The charges of the months a lot was on hand: those of closed months as they were frozen, those of open ones on the quantity at
  // the end of each, up to the month before it last moved.
  `select 'charges-equal-relieved-and-on-hand', l.warehouse_id, 'lot ' || l.id,
          'on hand ' || lot_charge(l.unit_cost, l.on_hand, ${rateSum('l.aged_month', 'l.until_month')} - l.rate_skipped, l.charge_residue, l.charge_in),
          'brought in − relieved ' || m.charge || ', charged ' || coalesce(f.charge, 0) + c.charged
     from (select lot.*, coalesce(closed_month, 0) as closed_month, month_index(last_moved_on) - 1 as last_month,
                  greatest(month_index(last_moved_on) - 1, closed_month) as until_month
             from lot
             left join (select warehouse_id, month_index(max(period)) as closed_month from period_statement group by 1) p using (warehouse_id)
            where ($1::int is null or warehouse_id = $1) and unit_cost > 0) l
     join (select warehouse_id, lot_id, sum(charge) as charge from movement where $1::int is null or warehouse_id = $1 group by 1, 2) m
       on (m.warehouse_id, m.lot_id) = (l.warehouse_id, l.id)
     left join (select warehouse_id, lot_id, sum(charge) as charge from depreciation_line where $1::int is null or warehouse_id = $1 group by 1, 2) f
       on (f.warehouse_id, f.lot_id) = (l.warehouse_id, l.id)
     cross join lateral (
       select coalesce(sum(lot_charge(l.unit_cost, q.on_hand, ${rateSum('l.aged_month', 'month')} - l.rate_skipped, l.charge_residue, l.charge_in)
                         - lot_charge(l.unit_cost, q.on_hand, ${rateSum('l.aged_month', 'month - 1')} - l.rate_skipped, l.charge_residue, l.charge_in)), 0) as charged
         from generate_series(greatest(month_index(l.opened_on), l.closed_month + 1), l.last_month) as month
         cross join lateral (select coalesce(sum(quantity), 0) as on_hand from movement
                              where warehouse_id = l.warehouse_id and part_id = l.part_id and lot_id = l.id
                                and occurred_on < make_date(month / 12, month % 12 + 1, 1)) q
        where ${rateSum('l.aged_month', 'month')} <> ${rateSum('l.aged_month', 'month - 1')}) c
    where m.charge + coalesce(f.charge, 0) + c.charged <> lot_charge(l.unit_cost, l.on_hand, ${rateSum('l.aged_month', 'l.until_month')} - l.rate_skipped, l.charge_residue, l.charge_in)`,
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
  `select 'month-opens-with-what-it-closed-with', warehouse_id, to_char(period, 'YYYY-MM') || ' ' || part_number || ' ' || ownership || ' ' || condition,
          'closed with ' || trim_scale(coalesce(b.closing_quantity, 0)) || ' at ' || coalesce(b.closing_cost, 0) || ' less ' || coalesce(b.closing_accumulated, 0),
          'opened with ' || trim_scale(coalesce(a.opening_quantity, 0)) || ' at ' || coalesce(a.opening_cost, 0) || ' less ' || coalesce(a.opening_accumulated, 0)
     from (select * from stock_report_line where $1::int is null or warehouse_id = $1) a
     full join (select r.*, (r.period + interval '1 month')::date as next from stock_report_line r
                  join period_statement p on p.warehouse_id = r.warehouse_id and p.period = (r.period + interval '1 month')::date
                 where $1::int is null or r.warehouse_id = $1) b (warehouse_id, frozen, part_number, ownership, condition, part_id, name, name_zh, specification, unit,
                   opening_quantity, opening_cost, opening_accumulated, in_quantity, in_cost, in_accumulated, out_quantity, out_cost, out_accumulated,
                   adjustment_quantity, adjustment_cost, adjustment_accumulated, charge, closing_quantity, closing_cost, closing_accumulated, period)
       using (warehouse_id, period, part_number, ownership, condition)
    where (coalesce(a.opening_quantity, 0), coalesce(a.opening_cost, 0), coalesce(a.opening_accumulated, 0))
       <> (coalesce(b.closing_quantity, 0), coalesce(b.closing_cost, 0), coalesce(b.closing_accumulated, 0))`,
  `select 'closed-month-moved-what-movements-say', warehouse_id, to_char(period, 'YYYY-MM') || ' part ' || part_id || ' ' || ownership || ' ' || condition,
          'movements ' || trim_scale(sum(m_quantity)) || ' at ' || sum(m_cost) || ' less ' || sum(m_charge),
          'report ' || trim_scale(sum(r_quantity)) || ' at ' || sum(r_cost) || ' less ' || sum(r_charge)
     from (select m.warehouse_id, p.period, m.part_id, m.ownership, m.condition, m.quantity as m_quantity, m.cost as m_cost, m.charge as m_charge,
                  0 as r_quantity, 0 as r_cost, 0 as r_charge
             from movement m
             join period_statement p on p.warehouse_id = m.warehouse_id and p.period = date_trunc('month', m.occurred_on::timestamp)::date
            where $1::int is null or m.warehouse_id = $1
           union all
           select warehouse_id, period, part_id, ownership, condition, 0, 0, 0, in_quantity - out_quantity + adjustment_quantity, in_cost - out_cost + adjustment_cost,
                  in_accumulated - out_accumulated + adjustment_accumulated
             from stock_report_line where $1::int is null or warehouse_id = $1) figures
    group by warehouse_id, period, part_id, ownership, condition
   having sum(m_quantity) <> sum(r_quantity) or sum(m_cost) <> sum(r_cost) or sum(m_charge) <> sum(r_charge)`,
  `select 'statement-sums-up-its-lines', warehouse_id, to_char(period, 'YYYY-MM'),
          'lots ' || sum(l_cost) || ', charge ' || sum(l_charge) || ', accumulated ' || sum(l_accumulated),
          'statement ' || sum(s_cost) || ', charge ' || sum(s_charge) || ', accumulated ' || sum(s_accumulated) || '; report ' || sum(r_cost) || ', charge ' || sum(r_charge) || ', accumulated ' || sum(r_accumulated)
     from (select warehouse_id, period, cost as l_cost, charge as l_charge, accumulated as l_accumulated, 0 as s_cost, 0 as s_charge, 0 as s_accumulated, 0 as r_cost, 0 as r_charge, 0 as r_accumulated
             from depreciation_line where $1::int is null or warehouse_id = $1
           union all
           select warehouse_id, period, 0, 0, 0, cost, charge, accumulated, 0, 0, 0 from period_statement where $1::int is null or warehouse_id = $1
           union all
           select warehouse_id, period, 0, 0, 0, 0, 0, 0, closing_cost, charge, closing_accumulated from stock_report_line where $1::int is null or warehouse_id = $1) figures
    group by warehouse_id, period
   having (sum(l_cost), sum(l_charge), sum(l_accumulated)) <> (sum(s_cost), sum(s_charge), sum(s_accumulated))
       or (sum(l_cost), sum(l_charge), sum(l_accumulated)) <> (sum(r_cost), sum(r_charge), sum(r_accumulated))`,
  `select 'posted-line-moved-its-quantity', l.warehouse_id, s.number || ' line ' || l.line_no,
          'line ' || trim_scale(l.quantity) || ' of a slip ' || s.state, 'moved ' || trim_scale(coalesce(m.quantity, 0))
     from slip_line l
     join slip s on (s.warehouse_id, s.id) = (l.warehouse_id, l.slip_id)
     left join (select warehouse_id, slip_id, line_no, sum(quantity) as quantity from movement where $1::int is null or warehouse_id = $1 group by 1, 2, 3) m
       on (m.warehouse_id, m.slip_id, m.line_no) = (l.warehouse_id, l.slip_id, l.line_no)
    where ($1::int is null or l.warehouse_id = $1)
      and coalesce(m.quantity, 0) <> case when s.state = 'posted' then l.quantity else 0 end`,
  `select 'blocked-equals-blocked-lots', warehouse_id, part_number || ' ' || ownership || ' ' || condition,
          'blocked lots ' || trim_scale(coalesce(held, 0)), 'blocked ' || trim_scale(blocked)
     from balance
     left join (select warehouse_id, part_id, ownership, condition, sum(on_hand) as held
                  from lot where blocked and ($1::int is null or warehouse_id = $1) group by 1, 2, 3, 4) l using (warehouse_id, part_id, ownership, condition)
    where ($1::int is null or warehouse_id = $1) and blocked <> coalesce(held, 0)`,
  `select 'lot-is-blocked-by-a-recall', l.warehouse_id, 'lot ' || l.id, 'blocked by ' || count(k.recall_id) || ' recalls', 'blocked: ' || l.blocked
     from lot l
     left join lot_block k on k.warehouse_id = l.warehouse_id and k.lot_id = l.id
    where ($1::int is null or l.warehouse_id = $1) and (l.blocked or k.recall_id is not null)
    group by l.warehouse_id, l.id, l.blocked
   having l.blocked <> (count(k.recall_id) > 0)`,
  `select 'what-is-recalled-is-blocked', warehouse_id, 'lot ' || lot_id,
          case when r.lot_id is null then 'about no scope in force of recall ' else 'blocked by recall ' end || recall_id,
          case when k.lot_id is null then 'not blocked by it' else 'blocked by it' end
     from (select distinct warehouse_id, lot_id, recall_id from recalled_lot where not exhausted and ($1::int is null or warehouse_id = $1)) r
     full join (select k.* from lot_block k join lot l on l.warehouse_id = k.warehouse_id and l.id = k.lot_id and not l.exhausted
                 where $1::int is null or k.warehouse_id = $1) k using (warehouse_id, lot_id, recall_id)
    where r.lot_id is null or k.lot_id is null`,
  `select 'goods-know-their-first-lot', l.warehouse_id, 'lot ' || l.id,
          case when p.id is not null then 'first lot of the goods it came back of: ' || coalesce(p.origin_warehouse_id, p.warehouse_id) || '/' || coalesce(p.origin_lot_id, p.id)
               else 'a lot of the same part that descends from none' end,
          'first lot ' || coalesce(l.origin_warehouse_id || '/' || l.origin_lot_id, 'itself') || case when l.origin_lot_id is not null and o.id is null then ', which is none' else '' end
     from lot l
     left join lot p on p.warehouse_id = l.warehouse_id and p.id = l.parent_lot_id
     left join lot o on o.warehouse_id = l.origin_warehouse_id and o.id = l.origin_lot_id and o.part_id = l.part_id and o.origin_lot_id is null
    where ($1::int is null or l.warehouse_id = $1)
      and ((l.origin_lot_id is not null and o.id is null)
           or (p.id is not null and (coalesce(p.origin_warehouse_id, p.warehouse_id), coalesce(p.origin_lot_id, p.id)) is distinct from (l.origin_warehouse_id, l.origin_lot_id)))`,
  `select 'line-moved-what-it-names', l.warehouse_id, s.number || ' line ' || l.line_no,
          concat_ws(', ', 'lot ' || l.lot_id, 'brought in ' || l.cost_in || ' less ' || l.charge_in, 'first lot ' || l.origin_warehouse_id || '/' || l.origin_lot_id),
          'lots ' || array_to_string(m.lots, ', ') || ', moved ' || m.cost || ' less ' || m.charge
     from slip_line l
     join slip s on (s.warehouse_id, s.id) = (l.warehouse_id, l.slip_id) and s.state = 'posted'
    cross join lateral (
      select array_agg(m.lot_id order by m.lot_id) as lots, sum(m.cost) as cost, sum(m.charge) as charge,
             bool_and(l.origin_lot_id is null or (lot.origin_warehouse_id, lot.origin_lot_id) is not distinct from (l.origin_warehouse_id, l.origin_lot_id)) as is_of_origin
        from movement m join lot on lot.warehouse_id = m.warehouse_id and lot.id = m.lot_id
       where m.warehouse_id = l.warehouse_id and m.slip_id = l.slip_id and m.line_no = l.line_no and m.occurred_on = s.occurred_on) m
    where ($1::int is null or l.warehouse_id = $1) and (l.lot_id is not null or l.cost_in is not null) and m.lots is not null
      and (l.lot_id <> all (m.lots) or l.cost_in <> m.cost or l.charge_in <> m.charge or not m.is_of_origin)`,
  `select 'recall-is-in-force-as-it-says', r.warehouse_id, r.number || ' line ' || n.line_no,
          case when r.state in ('running', 'closed') and n.lifted_at is null then 'in force' else 'not in force' end,
          case when s.recall_id is null then 'unknown to the ledger' when s.lifted_at is not null then 'lifted in the ledger' else 'in force in the ledger, maybe for other goods' end
     from recall r
     join recall_line n on n.warehouse_id = r.warehouse_id and n.recall_id = r.id
     left join recall_scope s on s.recall_id = r.id and s.scope_no = n.line_no
    where ($1::int is null or r.warehouse_id = $1)
      and ((r.state in ('running', 'closed') and n.lifted_at is null) <> (s.recall_id is not null and s.lifted_at is null)
           or (s.lifted_at is null and (n.part_id, n.received_from, n.received_to, n.supplier_id, n.origin_warehouse_id, n.origin_lot_id)
               is distinct from (s.part_id, s.received_from, s.received_to, s.supplier_id, s.origin_warehouse_id, s.origin_lot_id) and s.recall_id is not null))`,
  `select 'promise-has-its-reason', r.warehouse_id, 'reservation ' || r.id,
          case when l.line_no is not null then 'of line ' || l.line_no || ' of the slip that brought the goods in' else 'broken by a recall' end,
          case when l.line_no is not null then 'of other goods' else 'broken by ' || r.broken_by || ', which is none' end
     from reservation r
     left join slip_line l on l.warehouse_id = r.warehouse_id and l.slip_id = r.slip_id and l.line_no = r.line_no
                          and (l.part_id, l.ownership, l.condition) <> (r.part_id, r.ownership, r.condition)
    where ($1::int is null or r.warehouse_id = $1) and (r.broken_by is not null or r.slip_id is not null)
      and (l.line_no is not null or (r.broken_by is not null and not exists (select 1 from recall_scope s where s.recall_id = r.broken_by)))`
].map((check) =>
  // What was found is named last: else the planner, who expects few lots, compares each of them with every warehouse.
  statement<Finding>(`with finding (check_name, warehouse_id, subject, expected, found) as materialized (${check}) select ${FINDING} from finding
  join warehouse on warehouse.id = finding.warehouse_id order by warehouse.code, subject limit 1000`)
)

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
