// Which months of a warehouse can still be counted and closed, as SQL; $1 is the warehouse.

/** Whether a lot lay there at the end of the day before `day`. */
export const heldBefore = (day: string, warehouse = '$1'): string =>
  `(exists (select 1 from lot where warehouse_id = ${warehouse} and not exhausted and opened_on < ${day})
         or exists (select 1 from lot where warehouse_id = ${warehouse} and exhausted and opened_on < ${day} and last_moved_on >= ${day}))`

/** The first month after the last closed one in which anything was held or moved, or a technician’s compensation is booked, `2026-10`; null if none was. */
export const FIRST_OPEN_MONTH = `(
  select to_char(case when ${heldBefore('open_from')} then open_from
                      else least((select min(occurred_on) from movement where warehouse_id = $1 and occurred_on >= open_from),
                                 (select min(booked_on) from tool_compensation where warehouse_id = $1 and booked_on >= open_from)) end, 'YYYY-MM')
    from (select coalesce((max(period) + interval '1 month')::date, '0001-01-01') as open_from from stock_period where warehouse_id = $1 and state = 'closed') closed)`
