import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import type { Loss } from './tool-loss.ts'

const BOOK = statement<never>(`
insert into tool_compensation (warehouse_id, loss_id, line_no, technician_id, amount, credited, booked_on, booked_by, booked_at, loss_warehouse_id)
select $1, $2, 1 + count(*), $3, $4, $5, $6, $7, $8, $9 from tool_compensation where loss_warehouse_id = $9 and loss_id = $2`)

/**
 * Books what a technician owes for a tool, or with a minus sign takes it back, on today: it belongs to the day of the decision, and is in the
 * journal of that month. Nothing is booked of nothing. What is taken back of a repair that was given up goes off the account that the repair
 * was booked to.
 * @param warehouseId in whose books: of the report, or where the tool was found after those had ended
 * @throws Refusal 409 `PeriodClosed` if the month was closed while it was decided
 */
export async function bookCompensation(
  ctx: Context,
  {
    warehouseId,
    loss,
    amount
  }: {
    warehouseId: number
    loss: Pick<Loss, 'id' | 'warehouseId' | 'technicianId' | 'outcome' | 'repair'>
    amount: string
  }
): Promise<void> {
  if (thousandths(amount) === 0n || loss.technicianId === null) return
  await run(ctx, BOOK, [
    warehouseId,
    loss.id,
    loss.technicianId,
    amount,
    loss.outcome === 'repaired' || (loss.repair !== null && amount.startsWith('-')) ? 'tool-repair' : 'tool-disposal',
    ctx.clock.today(),
    ctx.actor.personId,
    ctx.clock.now().toString(),
    loss.warehouseId
  ]).catch((error: unknown) => {
    const { code, detail } = error as { code?: unknown; detail?: string }
    throw code === 'BC001'
      ? new Refusal(
          'PeriodClosed',
          409,
          `the period ${detail} was closed a moment ago; decide again, and it is booked today`
        )
      : error
  })
}
