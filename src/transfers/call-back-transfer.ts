import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { Refusal } from '../platform/errors.ts'
import { sentLots, writeArrival, type Accounted } from './in-transit.ts'
import { cutPieces, freeQuantity } from './pieces.ts'
import { lockTransfer } from './transfer.ts'
import { loadTransfer } from './transfers.queries.ts'
import type { TransferSlip } from './transfers.schemas.ts'

const CALLING_BACK: readonly Duty[] = ['keeper', 'stock-controller', 'operations-supervisor']

/**
 * Calls back what is in transit and was never received: writes the slip by which it comes in again at the giver, with exactly the lots,
 * cost and depreciation that left, for its three signatures. What a slip of the receiver covers, posted or not, stays with it.
 * @throws Refusal 409 `NothingInTransit`, 422 `BeforeDispatch`, 403, 404, 412
 */
export function callBackTransfer(
  ctx: Context,
  {
    number,
    reason,
    occurredOn,
    ifMatch
  }: { number: string; reason: string; occurredOn?: string | undefined; ifMatch?: string | undefined }
): Promise<TransferSlip> {
  return inTransaction(ctx, async (inner) => {
    const { transfer: found, from, to } = await loadTransfer(inner, number)
    requireDuty(inner, CALLING_BACK, from)
    const transfer = await lockTransfer(inner, { warehouseId: from.id, id: found.id })
    await loadTransfer(inner, number, { ifMatch })
    const sent = await sentLots(inner, transfer)
    const pieces = sent.flatMap((lot): Accounted[] =>
      cutPieces([lot], [freeQuantity(lot)])
        .flat()
        .map((piece) => ({ ...piece, kind: 'called-back', claim: null, note: null }))
    )
    if (pieces.length === 0)
      throw new Refusal(
        'NothingInTransit',
        409,
        sent.length === 0
          ? `nothing of ${number} has left ${from.code}; cancel it by POST /v1/transfers/${number}/cancellation`
          : `nothing of ${number} is on its way that no slip accounts for; what ${to.code} wrote down and did not post is called back once its slip is cancelled`
      )
    return writeArrival(inner, transfer, from, {
      pieces,
      claims: [],
      event: 'call-back-written',
      occurredOn,
      counterparty: to.code,
      reason
    })
  })
}
