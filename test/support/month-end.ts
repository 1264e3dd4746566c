import type { Actor } from '../../src/identity/actor.ts'
import { closePeriod, type Closing } from '../../src/valuation/close-period.ts'
import type { Harness } from './harness.ts'

/** A month end without the counting: an approved month-end count is a row, written past every rule. */
export async function approvedCount(
  h: Pick<Harness, 'sql'>,
  warehouseId: number,
  period: string,
  state: 'counting' | 'approved' = 'approved'
): Promise<string> {
  const number = `CNT-${warehouseId}-${period}`
  await h.sql(
    `insert into stock_count (warehouse_id, number, kind, state, period, scope, position, opened_at, opened_by, duties, approved_at)
     values ($1, $2, 'month-end', $4, $3::date, '{}', 0, now(), 0, '{finance-supervisor,department-head,stock-controller}', case when $4 = 'approved' then now() end)`,
    [warehouseId, number, `${period}-01`, state]
  )
  return number
}

/** Counts and closes a month. */
export async function closeMonth(
  h: Harness,
  actor: Actor,
  { id, code }: { id: number; code: string },
  period: string
): Promise<Closing> {
  await approvedCount(h, id, period)
  return closePeriod(h.contextOf(actor), { warehouse: code, period })
}

/** The months from one to another, both included: `2026-09`, `2026-10`, … */
export function monthsFrom(first: string, last: string): string[] {
  const months: string[] = []
  for (let month = Temporal.PlainYearMonth.from(first); ; month = month.add({ months: 1 })) {
    if (month.toString() > last) return months
    months.push(month.toString())
  }
}
