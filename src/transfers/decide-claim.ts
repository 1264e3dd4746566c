import { covers, DUTY_NAMES, grantsToday, type Context, type Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { requireDutyAtEither } from './transfer-rights.ts'
import { lockTransfer } from './transfer.ts'
import { CLAIM_STATE, loadTransfer, readTransfer } from './transfers.queries.ts'
import type { ClaimState, ResponsibleForLoss, TransferView } from './transfers.schemas.ts'
import { settle } from './withdraw-transfer.ts'

const DECIDING_DUTIES: readonly Duty[] = ['finance-supervisor', 'hq-finance']

const CLAIM = statement<{ state: ClaimState; slip: string; responsible: ResponsibleForLoss }>(`
select ${CLAIM_STATE} as state, s.number as slip, c.responsible
  from transfer_claim c
 cross join lateral (select a.slip_warehouse_id, a.slip_id from transfer_arrival a
                      where a.warehouse_id = c.warehouse_id and a.transfer_id = c.transfer_id and a.claim_no = c.claim_no limit 1) claimed
  join slip s on s.warehouse_id = claimed.slip_warehouse_id and s.id = claimed.slip_id
 where c.warehouse_id = $1 and c.transfer_id = $2 and c.claim_no = $3`)

const DECIDE = statement<never>(`
with decided as (
  update transfer_claim set state = $4, decided_at = $5, decided_on = $6, decided_by = $7, decision = $8
   where warehouse_id = $1 and transfer_id = $2 and claim_no = $3
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $5, $7, 'claim-' || $4::text, jsonb_build_object('claim', $3::int, 'reason', $8::text))`)

/**
 * Settles a claim, or withdraws it. What was missing and is withdrawn turned up: it is in transit again, and is received or called back.
 * What the giver answers for stands between the two departments: the giver's finance settles it, for it costs the giver, and the receiver's
 * withdraws it, for the receiver then pays for the goods. Nobody decides it in their own favour.
 * @throws Refusal 409 `ClaimNotOpen`, 403, 404, 412
 */
export function decideClaim(
  ctx: Context,
  {
    number,
    claim,
    decision,
    reason,
    ifMatch
  }: {
    number: string
    claim: number
    decision: 'settled' | 'withdrawn'
    reason: string
    ifMatch?: string | undefined
  }
): Promise<TransferView> {
  return inTransaction(ctx, async (inner) => {
    const { transfer, from, to } = await loadTransfer(inner, number)
    requireDutyAtEither(inner, { giver: [from, DECIDING_DUTIES], receiver: [to, DECIDING_DUTIES] })
    const held = await lockTransfer(inner, { warehouseId: from.id, id: transfer.id })
    await loadTransfer(inner, number, { ifMatch })
    const [found] = await run(inner, CLAIM, [from.id, transfer.id, claim])
    if (found === undefined) throw notFound('claim', `${number}/${claim}`)
    if (found.state !== 'open')
      throw new Refusal(
        'ClaimNotOpen',
        409,
        found.state === 'announced'
          ? `claim ${claim} of ${number} takes effect when ${found.slip} is posted`
          : found.state === 'void'
            ? `claim ${claim} of ${number} ended with its slip ${found.slip}, which was cancelled or reversed`
            : `claim ${claim} of ${number} is ${found.state} already`
      )
    if (found.responsible === 'giver')
      requireDutyOf(inner, decision === 'settled' ? from : to, { number, claim, decision })
    await run(inner, DECIDE, [
      from.id,
      transfer.id,
      claim,
      decision,
      inner.clock.now().toString(),
      inner.clock.today(),
      inner.actor.personId,
      reason
    ])
    await settle(inner, held)
    return readTransfer(inner, { number })
  })
}

/** @throws Refusal 403 `DutyRequired` for finance of the other side */
function requireDutyOf(
  ctx: Context,
  bearer: Warehouse,
  { number, claim, decision }: { number: string; claim: number; decision: 'settled' | 'withdrawn' }
): void {
  if (grantsToday(ctx).some((grant) => covers(grant, bearer) && DECIDING_DUTIES.includes(grant.duty))) return
  throw new Refusal(
    'DutyRequired',
    403,
    `claim ${claim} of ${number} is the giver's to answer for: it is settled by finance of the giver and withdrawn by finance of the receiver; ` +
      `that it is ${decision} needs ${DECIDING_DUTIES.map((duty) => `${duty} (${DUTY_NAMES[duty]})`).join(' or ')} at ${bearer.code}`,
    { extra: { required: DECIDING_DUTIES } }
  )
}
