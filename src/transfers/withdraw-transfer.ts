// Nothing is moved that has not left yet: a transfer is cancelled whole, or what was not sent of it is closed.
import type { Context } from '../identity/actor.ts'
import { releaseReservations } from '../ledger/reserve.ts'
import { afterDeadlock, Overtaken } from '../platform/after-deadlock.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { GIVING_DUTIES, RECEIVING_DUTIES } from './open-transfer.ts'
import { requireDutyAtEither } from './transfer-rights.ts'
import { lockTransfer, type Transfer } from './transfer.ts'
import { loadTransfer, readTransfer } from './transfers.queries.ts'
import type { TransferView } from './transfers.schemas.ts'

const HOLD_SLIPS = statement<{ id: string }>(`
select id::text as id from slip
 where transfer_warehouse_id = $1 and transfer_id = $2 and warehouse_id = $1 and kind = 'transfer-out' and state not in ('posted', 'cancelled')
 order by id for no key update`)

const OPEN_SLIPS = statement<{ id: string; number: string }>(`
select id::text as id, number from slip
 where transfer_warehouse_id = $1 and transfer_id = $2 and warehouse_id = $1 and kind = 'transfer-out' and state not in ('posted', 'cancelled')`)

const CANCEL_SLIPS = statement<never>(`
with cancelled as (
  update slip set state = 'cancelled', version = version + 1, approved_at = null
   where warehouse_id = $1 and id = any ($2::bigint[])
  returning id
), voided as (
  update signature g set voided_at = $3 from cancelled where g.warehouse_id = $1 and g.document_id = cancelled.id and g.voided_at is null
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select $1, id, $3, $4, 'cancelled', jsonb_build_object('reason', $5::text) from cancelled`)

const CANCEL = statement<never>(`
with cancelled as (
  update transfer set state = 'cancelled', cancelled_at = $3, cancelled_because = $4 where warehouse_id = $1 and id = $2
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $3, $5, 'cancelled', jsonb_build_object('reason', $4::text))`)

const CLOSE_REST = statement<never>(`
with closed as (
  update transfer set rest_closed_at = $3, rest_closed_because = $4 where warehouse_id = $1 and id = $2
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $3, $5, 'rest-closed', jsonb_build_object('reason', $4::text))`)

const SETTLE = statement<{ state: string }>(`select settle_transfer($1, $2, $3, $4) as state`)

const RESERVATIONS = statement<{ id: string }>(
  `select distinct reservation_id::text as id from transfer_line where warehouse_id = $1 and transfer_id = $2 and reservation_id is not null`
)

/**
 * Cancels a transfer of which nothing has left: its open slip is dropped, its goods are available again. Whoever calls it has checked the
 * duty, is in a transaction, and holds no balance of the giver yet: a posting takes the transfer before balances.
 * @returns false if goods have left already, or it is cancelled; then nothing is changed
 * @throws Overtaken if a slip was written for it at the same moment
 */
export async function withdrawTransfer(
  ctx: Context,
  { warehouseId, id, because }: { warehouseId: number; id: string; because: string }
): Promise<boolean> {
  const transfer = await lockWithSlips(ctx, { warehouseId, id })
  if (transfer.state === 'cancelled' || transfer.sent !== '0') return false
  await dropSlips(ctx, transfer, because)
  await run(ctx, CANCEL, [warehouseId, id, ctx.clock.now().toString(), because, ctx.actor.personId])
  await settle(ctx, { warehouseId, id })
  await release(ctx, { warehouseId, id })
  return true
}

/** Works out anew where a transfer stands; whoever calls it holds it. */
export const settle = (ctx: Context, { warehouseId, id }: { warehouseId: number; id: string }) =>
  run(ctx, SETTLE, [warehouseId, id, ctx.actor.personId, ctx.clock.now().toString()])

async function release(ctx: Context, { warehouseId, id }: { warehouseId: number; id: string }): Promise<void> {
  const reservations = await run(ctx, RESERVATIONS, [warehouseId, id])
  await releaseReservations(
    ctx,
    reservations.map((reservation) => ({ warehouseId, id: reservation.id }))
  )
}

/**
 * The transfer, held together with its open out slips. Slips are locked first, as their posting locks them; one that was written in
 * between is not waited for.
 * @throws Overtaken if there is one
 */
export async function lockWithSlips(ctx: Context, key: { warehouseId: number; id: string }): Promise<Transfer> {
  const values = [key.warehouseId, key.id]
  const held = new Set((await run(ctx, HOLD_SLIPS, values)).map(({ id }) => id))
  const transfer = await lockTransfer(ctx, key)
  const open = await run(ctx, OPEN_SLIPS, values)
  if (open.every(({ id }) => held.has(id))) return transfer
  throw new Overtaken(`a slip of ${transfer.number} was written at the same moment`)
}

async function dropSlips(ctx: Context, { warehouseId, id, number }: Transfer, because: string): Promise<void> {
  const open = await run(ctx, OPEN_SLIPS, [warehouseId, id])
  if (open.length === 0) return
  await run(ctx, CANCEL_SLIPS, [
    warehouseId,
    open.map((slip) => slip.id),
    ctx.clock.now().toString(),
    ctx.actor.personId,
    `${number}: ${because}`
  ])
}

interface Ending {
  number: string
  reason: string
  ifMatch?: string | undefined
}

/**
 * Cancels a transfer before anything left: what was promised is available again, slips that are not posted are dropped.
 * @throws Refusal 409 `TransferNotCancellable`, 403, 404, 412
 */
export function cancelTransfer(ctx: Context, { number, reason, ifMatch }: Ending): Promise<TransferView> {
  return afterDeadlock(() =>
    inTransaction(ctx, async (inner) => {
      const { transfer, from, to } = await loadTransfer(inner, number, { ifMatch })
      requireDutyAtEither(inner, { giver: [from, GIVING_DUTIES], receiver: [to, RECEIVING_DUTIES] })
      const isWithdrawn = await withdrawTransfer(inner, { warehouseId: from.id, id: transfer.id, because: reason })
      if (!isWithdrawn)
        throw new Refusal(
          'TransferNotCancellable',
          409,
          transfer.state === 'cancelled'
            ? `transfer ${number} is cancelled already`
            : `goods of ${number} have left ${from.code}; what is in transit is received or called back (POST /v1/transfers/${number}/call-back), what was not sent is closed (POST /v1/transfers/${number}/closing)`
        )
      return readTransfer(inner, { number })
    })
  )
}

/**
 * Says that what was not sent of a transfer will not be sent: its promises are taken back, slips that are not posted are dropped.
 * @throws Refusal 409 `NothingSent`, `NothingToClose`, 403, 404, 412
 */
export function closeTransfer(ctx: Context, { number, reason, ifMatch }: Ending): Promise<TransferView> {
  return afterDeadlock(() =>
    inTransaction(ctx, async (inner) => {
      const { transfer: seen, from, to } = await loadTransfer(inner, number, { ifMatch })
      requireDutyAtEither(inner, { giver: [from, GIVING_DUTIES], receiver: [to, RECEIVING_DUTIES] })
      const key = { warehouseId: from.id, id: seen.id }
      const transfer = await lockWithSlips(inner, key)
      if (transfer.sent === '0')
        throw new Refusal(
          'NothingSent',
          409,
          transfer.state === 'cancelled'
            ? `transfer ${number} is cancelled`
            : `nothing of ${number} was sent; cancel it by POST /v1/transfers/${number}/cancellation`
        )
      if (transfer.sent === transfer.quantity || transfer.isRestClosed)
        throw new Refusal('NothingToClose', 409, `nothing of ${number} waits to be sent`)
      await dropSlips(inner, transfer, reason)
      await run(inner, CLOSE_REST, [from.id, seen.id, inner.clock.now().toString(), reason, inner.actor.personId])
      await settle(inner, key)
      await release(inner, key)
      return readTransfer(inner, { number })
    })
  )
}
