// The books of every lot at the end of a month, as SQL: quantity, cost, accumulated depreciation and the charge of that month.
//
// What it uses: value is a function of what is on hand and of the month (`src/ledger/value.ts`). A lot that did not move after
// the month is therefore read off its own row. One that did has, at the end of the month, what it has now, less what the later
// movements took, and accumulated what it has now, less what they relieved and less the runs of the months between. Taken from
// the movements, and not worked out anew for the quantity of that day, it is what was booked, to the cent, also when a slip was
// written late. So the same statement serves a month that is being closed, a preview of any open month, and needs no earlier run.
// What it does not do: read a closed month. Its rows were written once, and those are read.
import { chargesTaken, rateCap, rateSum } from '../ledger/value.ts'

/** No goods are older: slips refuse earlier days. */
const OLDEST = "month_index('2000-01-01')"

const charge = (quantity: string, rate: string): string =>
  `lot_charge(l.unit_cost, ${quantity}, ${rate} - l.rate_skipped, l.charge_residue, l.charge_in)`

/** The first day after the month. */
export const FIRST_AFTER = `($2::date + interval '1 month')::date`

// Goods that came back were not charged while they were away: those charges are not counted.
const COLUMNS = `l.warehouse_id, l.id as lot_id, l.part_id, l.ownership, l.condition, l.received_on, l.unit_cost,
           case when l.rate_skipped = 0 or r.taken = 0 then r.charges else round(r.charges * (r.taken - l.rate_skipped) / r.taken)::int end as months_charged`

/** Said where rows are read, so that a part of a large warehouse is found by its index. */
export const onlyPart = (row: string, part: string | undefined): string =>
  part === undefined ? '' : ` and (${part}::int is null or ${row}.part_id = ${part}::int)`

/**
 * Common table expressions that end in `book`: one row per lot, own or consigned, that was on hand at the end of the month.
 * `$1` is the ids of the warehouses, `$2` the first day of the month.
 * @param part a parameter that is the id of the only part that is asked for, or null
 */
export const lotBooks = (part?: string): string => `
  later_month as materialized (
    select m.warehouse_id, m.lot_id, month_index(m.occurred_on) as month, sum(m.quantity) as quantity, sum(m.cost) as cost, sum(m.charge) as charge
      from movement m
     where m.warehouse_id = any ($1::int[]) and m.occurred_on >= ${FIRST_AFTER}${onlyPart('m', part)}
     group by 1, 2, 3
  ), later as materialized (
    select warehouse_id, lot_id, sum(quantity) as quantity, sum(cost) as cost, sum(charge) as charge, min(month) as first_month, max(month) as last_month
      from later_month group by 1, 2
  ), run_since as materialized (
    -- Between two months in which it moved a lot stays as it is, and its charges telescope.
    select l.warehouse_id, l.id as lot_id,
           sum(${charge('s.on_hand', rateSum('l.aged_month', 's.until_month - 1'))} - ${charge('s.on_hand', rateSum('l.aged_month', 's.from_month - 1'))}) as charge
      from (select m.warehouse_id, m.lot_id, m.month as from_month, lead(m.month) over months as until_month,
                   lot.on_hand - later.quantity + sum(m.quantity) over months as on_hand
              from later_month m
              join later on later.warehouse_id = m.warehouse_id and later.lot_id = m.lot_id
              join lot on lot.warehouse_id = m.warehouse_id and lot.id = m.lot_id
             where later.first_month < later.last_month
            window months as (partition by m.warehouse_id, m.lot_id order by m.month)) s
      join lot l on l.warehouse_id = s.warehouse_id and l.id = s.lot_id
     where s.until_month is not null
     group by 1, 2
  ), rate as materialized (
    -- Of all policies in one go: looked up lot by lot, or month by month, it costs more than the books of a small warehouse.
    select aged, least(sum(policy.rate * ${chargesTaken('aged', 'month_index($2::date)')}), ${rateCap('month_index($2::date)')}) as taken,
           least(sum(policy.rate * ${chargesTaken('aged', 'month_index($2::date) - 1')}), ${rateCap('month_index($2::date) - 1')}) as taken_before,
           coalesce(least(sum(${chargesTaken('aged', 'month_index($2::date)')}) filter (where policy.rate > 0),
                          max(policy.charge_count) filter (where policy.rate > 0 and policy.from_month <= month_index($2::date))), 0)::int as charges
      from generate_series(${OLDEST}, month_index($2::date)) as aged cross join depreciation_policy policy
     group by aged
  ), book as (
    -- Fenced by offset 0, or the planner works every amount out twice.
    select warehouse_id, lot_id, part_id, ownership, condition, received_on, unit_cost, months_charged, quantity, cost, accumulated, accumulated - charged_before as charge
      from (select ${COLUMNS}, l.on_hand as quantity, lot_cost(l.unit_cost, l.on_hand, l.cost_residue) as cost,
                   ${charge('l.on_hand', 'r.taken')} as accumulated, ${charge('l.on_hand', 'r.taken_before')} as charged_before
              from lot l
              join rate r on r.aged = greatest(l.aged_month, ${OLDEST})
             where l.warehouse_id = any ($1::int[]) and not l.exhausted and l.last_moved_on < ${FIRST_AFTER}${onlyPart('l', part)}
            offset 0) unmoved
    union all
    select ${COLUMNS}, held.quantity, lot_cost(l.unit_cost, l.on_hand, l.cost_residue) - later.cost,
           case when l.unit_cost = 0 then 0
                else ${charge('l.on_hand', rateSum('l.aged_month', 'later.last_month - 1'))} - later.charge - coalesce(run_since.charge, 0)
                   - (${charge('held.quantity', rateSum('l.aged_month', 'later.first_month - 1'))} - ${charge('held.quantity', 'r.taken')}) end,
           ${charge('held.quantity', 'r.taken')} - ${charge('held.quantity', 'r.taken_before')}
      from later
      join lot l on l.warehouse_id = later.warehouse_id and l.id = later.lot_id
      join rate r on r.aged = greatest(l.aged_month, ${OLDEST})
      left join run_since on run_since.warehouse_id = l.warehouse_id and run_since.lot_id = l.id
     cross join lateral (select l.on_hand - later.quantity as quantity) held
     where l.opened_on < ${FIRST_AFTER} and held.quantity > 0
  )`

/** The books of all parts. */
export const LOT_BOOKS = lotBooks()
