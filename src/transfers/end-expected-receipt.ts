import { requireDuty, type Context } from '../identity/actor.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { ENDING_DUTIES, endExpectedReceipt as endReceipt } from '../slips/expected-receipts.ts'
import type { ExpectedReceiptView } from '../slips/expected-receipts.schemas.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { lockWithSlips, withdrawTransfer } from './withdraw-transfer.ts'

const TRANSFER = statement<{ warehouseId: number; id: string; isAll: boolean }>(`
select l.warehouse_id as "warehouseId", l.transfer_id::text as id,
       not exists (select 1 from transfer_line other left join expected_receipt o on o.warehouse_id = e.warehouse_id and o.id = other.expected_receipt_id
                    where other.warehouse_id = l.warehouse_id and other.transfer_id = l.transfer_id and other.line_no <> l.line_no and o.ended_at is null) as "isAll"
  from expected_receipt e
  join transfer_line l on l.expected_receipt_id = e.id
  join transfer t on t.warehouse_id = l.warehouse_id and t.id = l.transfer_id and t.to_warehouse_id = e.warehouse_id
 where e.warehouse_id = $1 and e.document = $2 and e.line_no = $3`)

/**
 * Says that what is still outstanding will not come. The transfer that was to bring it is cancelled if nothing of it has left, and nothing
 * else of it is still wanted.
 * @throws Refusal those of ending it
 */
export async function endExpectedReceipt(
  ctx: Context,
  ending: { warehouse: string; document: string; line: number; reason: string }
): Promise<ExpectedReceiptView> {
  const { warehouse: code, document, line, reason } = ending
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, ENDING_DUTIES, warehouse)
  return afterDeadlock(() =>
    inTransaction(ctx, async (inner) => {
      const [transfer] = await run(inner, TRANSFER, [warehouse.id, document, line])
      // The transfer before what is expected, as its slips take them.
      if (transfer !== undefined) await lockWithSlips(inner, transfer)
      const ended = await endReceipt(inner, ending)
      if (transfer?.isAll) await withdrawTransfer(inner, { ...transfer, because: reason })
      return ended
    })
  )
}
