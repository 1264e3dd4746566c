import type { Context, Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { requireDutyAtEither } from './transfer-rights.ts'
import { lockTransfer } from './transfer.ts'
import { loadTransfer, readTransfer } from './transfers.queries.ts'
import type { Transport, TransferView } from './transfers.schemas.ts'
import { settle } from './withdraw-transfer.ts'

const ENTERING_DUTIES: readonly Duty[] = ['keeper', 'operations-supervisor', 'finance-supervisor']

const ENTER = statement<never>(`
with entered as (
  insert into transfer_transport (warehouse_id, transfer_id, entry_no, leg, amount, paid_by_warehouse_id, carrier, note, entered_on, entered_at, entered_by)
  select $1, $2, coalesce(max(entry_no), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10 from transfer_transport where warehouse_id = $1 and transfer_id = $2
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $9, $10, 'transport-entered', jsonb_strip_nulls(jsonb_build_object('leg', $3::text, 'amount', $4::text, 'paidBy', $11::text, 'carrier', $6::text)))`)

const ENTERED = statement<{ amount: string; isTooMuch: boolean }>(`
select coalesce(sum(amount), 0)::numeric(18,2)::text as amount, coalesce(sum(amount), 0) + $4::numeric < 0 as "isTooMuch"
  from transfer_transport where warehouse_id = $1 and transfer_id = $2 and leg = $3`)

/**
 * Enters what carriage cost. The receiver pays the local transport; the transport from head office to the giver stays with the giver, and
 * what head office itself gives it also delivers (R-AGE-7).
 * @throws Refusal 409 `TransferCancelled`, 422 `AmountZero`, `ReasonMissing`, `CorrectionTooLarge`, 403, 404, 412
 */
export function enterTransport(
  ctx: Context,
  { number, leg, amount, carrier, note, ifMatch }: Transport & { number: string; ifMatch?: string | undefined }
): Promise<TransferView> {
  return inTransaction(ctx, async (inner) => {
    const { transfer, from, to } = await loadTransfer(inner, number)
    requireDutyAtEither(inner, { giver: [from, ENTERING_DUTIES], receiver: [to, ENTERING_DUTIES] })
    if (!/[1-9]/.test(amount))
      throw new Refusal('AmountZero', 422, 'what cost nothing is not entered', {
        errors: [{ pointer: '/amount', detail: 'is nothing', sent: amount, accepted: 'an amount such as "35.00"' }]
      })
    if (amount.startsWith('-') && note === undefined)
      throw new Refusal('ReasonMissing', 422, 'a correction says why in its note', {
        errors: [{ pointer: '/note', detail: 'is missing' }]
      })
    const held = await lockTransfer(inner, { warehouseId: from.id, id: transfer.id })
    await loadTransfer(inner, number, { ifMatch })
    if (held.state === 'cancelled')
      throw new Refusal('TransferCancelled', 409, `transfer ${number} is cancelled; nothing was carried for it`)
    const [entered] = await run(inner, ENTERED, [from.id, transfer.id, leg, amount])
    if (entered?.isTooMuch)
      throw new Refusal(
        'CorrectionTooLarge',
        422,
        `${entered.amount} is entered for this leg of ${number}; a correction takes back at most that`,
        {
          errors: [
            {
              pointer: '/amount',
              detail: 'takes back more than was entered',
              sent: amount,
              accepted: `at least -${entered.amount}`
            }
          ]
        }
      )
    const payer = leg === 'local' && from.kind !== 'head-office' ? to : from
    await run(inner, ENTER, [
      from.id,
      transfer.id,
      leg,
      amount,
      payer.id,
      carrier ?? null,
      note ?? null,
      inner.clock.today(),
      inner.clock.now().toString(),
      inner.actor.personId,
      payer.code
    ])
    await settle(inner, held)
    return readTransfer(inner, { number })
  })
}
