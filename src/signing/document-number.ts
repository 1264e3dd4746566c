/**
 * The number of a document as SQL: warehouse, series, month of its day, running number, as in `HQ-OUT-202611-00017`. The running number
 * comes from a row of `document_number`, which is held until the commit, so numbers have no gaps.
 * @param warehouse the code, @param series the series, @param day the day, @param running the running number, all as SQL
 */
export const documentNumber = (warehouse: string, series: string, day: string, running = 'last'): string =>
  `${warehouse} || '-' || ${series} || '-' || to_char(${day}::date, 'YYYYMM') || '-' || lpad((${running})::text, greatest(5, length((${running})::text)), '0')`

/**
 * Draws the next running number of a series of the warehouse `$1`, as a statement that answers `last`. Its row is held until the commit.
 * @param series the series, @param day the day, both as SQL
 */
export const nextNumber = (series: string, day: string): string => `
  insert into document_number (warehouse_id, series, period, last)
  values ($1, ${series}, date_trunc('month', ${day}::date::timestamp)::date, 1)
  on conflict (warehouse_id, series, period) do update set last = document_number.last + 1
  returning last`
