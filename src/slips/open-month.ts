// Whether the month of a slip is still open in its warehouse. What it uses: a month is closed if and only if it or a later one is.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import type { Slip } from './slip.ts'

/** A condition on a row of `slip`, for the statement that writes it; $1 is the warehouse. */
export const MONTH_IS_OPEN = `not exists (
       select 1 from stock_period where warehouse_id = $1 and period >= date_trunc('month', occurred_on::timestamp)::date and state = 'closed')`

const CLOSED = statement<{ closed: boolean }>(
  `select true as closed from stock_period where warehouse_id = $1 and period >= date_trunc('month', $2::date::timestamp)::date and state = 'closed' limit 1`
)

/** Whether the month of a day is closed in a warehouse. */
export async function isMonthClosed(ctx: Context, warehouseId: number, day: string): Promise<boolean> {
  return (await run(ctx, CLOSED, [warehouseId, day])).length > 0
}

/** What is left to do with a slip whose month was closed before `done`. Its number holds the month, so that it is not dated anew. */
export const closedMeanwhile = (
  { number, occurredOn }: Pick<Slip, 'number' | 'occurredOn'>,
  done: 'submitted' | 'signed' | 'posted'
): Refusal =>
  new Refusal(
    'PeriodClosed',
    409,
    `the period ${occurredOn.slice(0, 7)} was closed before ${number} was ${done}; cancel it and write a new one dated into an open period`
  )

/**
 * Says why a write under `MONTH_IS_OPEN` found no row, if that is why.
 * @throws Refusal 409 `PeriodClosed`
 */
export async function refuseClosedMonth(
  ctx: Context,
  { id }: { id: number },
  slip: Slip,
  done: 'submitted' | 'signed'
): Promise<void> {
  if (await isMonthClosed(ctx, id, slip.occurredOn)) throw closedMeanwhile(slip, done)
}
