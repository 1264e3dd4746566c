// A transfer as verbs decide on it, held until the end of their transaction.
//
// Locks: slips before transfers, as a posting takes them (its trigger settles the transfer); a transfer before the counters of slips and
// before balances. So verbs that write slips for a transfer come one after the other, and what they read of its pieces stays true.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import type { TransferState } from './transfers.schemas.ts'

export interface Transfer {
  warehouseId: number
  id: string
  number: string
  state: TransferState
  version: number
  toWarehouseId: number
  isRestClosed: boolean
  /** Of all lines together. */
  quantity: string
  sent: string
}

const LOCK = statement<never>(`select 1 from transfer where warehouse_id = $1 and id = $2 for no key update`)
// A statement of its own, and so in a fresh snapshot: it sees what was waited for.
const READ = statement<Transfer>(`
select t.warehouse_id as "warehouseId", t.id::text as id, t.number, t.state, t.version, t.to_warehouse_id as "toWarehouseId", t.rest_closed_at is not null as "isRestClosed",
       trim_scale(position.quantity)::text as quantity, trim_scale(position.sent)::text as sent
  from transfer t
 cross join lateral (select sum(p.quantity) as quantity, sum(p.sent) as sent from transfer_line_position p
                      where p.warehouse_id = t.warehouse_id and p.transfer_id = t.id) position
 where t.warehouse_id = $1 and t.id = $2`)

/** The transfer, held: what is sent, received or called back meanwhile waits. */
export async function lockTransfer(
  ctx: Context,
  { warehouseId, id }: { warehouseId: number; id: string }
): Promise<Transfer> {
  await run(ctx, LOCK, [warehouseId, id])
  const [transfer] = await run(ctx, READ, [warehouseId, id])
  if (transfer === undefined) throw new Error(`there is no transfer ${id}`)
  return transfer
}
