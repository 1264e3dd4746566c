// The books of every lot at the end of a month, as SQL: quantity, cost, accumulated depreciation and the charge of that month.
//
// What it uses: value is a function of what is on hand and of the month (`src/ledger/value.ts`). A lot that did not move after
// the month is therefore read off its own row. One that did has, at the end of the month, what it has now, less what the later
// movements took, and accumulated what it has now, less what they relieved and less the runs of the months between. Taken from
// the movements, and not worked out anew for the quantity of that day, it is what was booked, to the cent, also when a slip was
// written late. So the same statement serves a month that is being closed, a preview of any open month, and needs no earlier run.
// What it does not do: read a closed month. Its rows were written once, and those are read.
import { chargesTaken, rateSum } from '../ledger/value.ts'

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
  later as materialized (
    select m.warehouse_id, m.lot_id, sum(m.quantity) as quantity, sum(m.cost) as cost, sum(m.charge) as charge, month_index(max(m.occurred_on)) as last_month
      from movement m
     where m.warehouse_id = any ($1::int[]) and m.occurred_on >= ${FIRST_AFTER}${onlyPart('m', part)}
     group by 1, 2
  ), rate as materialized (
    -- Of all policies in one go: looked up lot by lot, or month by month, it costs more than the books of a small warehouse.
    select aged, least(sum(policy.rate * ${chargesTaken('aged', 'month_index($2::date)')}), 1) as taken,
           least(sum(policy.rate * ${chargesTaken('aged', 'month_index($2::date) - 1')}), 1) as taken_before,
           sum(${chargesTaken('aged', 'month_index($2::date)')})::int as charges
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
           case when l.unit_cost = 0 then 0 else ${charge('l.on_hand', rateSum('l.aged_month', 'later.last_month - 1'))} - later.charge - between_runs.charge end,
           ${charge('held.quantity', 'r.taken')} - ${charge('held.quantity', 'r.taken_before')}
      from later
      join lot l on l.warehouse_id = later.warehouse_id and l.id = later.lot_id
      join rate r on r.aged = greatest(l.aged_month, ${OLDEST})
     cross join lateral (select l.on_hand - later.quantity as quantity) held
     cross join lateral (
       select coalesce(sum(${charge('q.on_hand', rateSum('l.aged_month', 'month'))} - ${charge('q.on_hand', rateSum('l.aged_month', 'month - 1'))}), 0) as charge
         from generate_series(month_index($2::date) + 1, later.last_month - 1) as month
        cross join lateral (select l.on_hand - coalesce(sum(m.quantity), 0) as on_hand
                              from movement m
                             where m.warehouse_id = l.warehouse_id and m.part_id = l.part_id and m.lot_id = l.id
                               and m.occurred_on >= make_date(month / 12, month % 12 + 1, 1)) q
     ) between_runs
     where l.opened_on < ${FIRST_AFTER} and held.quantity > 0
  )`

/** The books of all parts. */
export const LOT_BOOKS = lotBooks()
