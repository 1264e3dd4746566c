import type { Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { requirePerson } from '../identity/require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { lockAccount } from './account.ts'
import { requireDepositKeeper } from './deposit-rights.ts'
import { waiverView } from './deposits.queries.ts'
import type { WaiverBody, WaiverView } from './deposits.schemas.ts'

const GRANT = statement<{ id: string }>(`
insert into deposit_waiver (warehouse_id, amount, reason, repair_order, valid_to, granted_by, granted_at)
values ($1, $2, $3, $4, $5, $6, $7) returning id::text as id`)

/**
 * Lets requests of an outlet go beyond its free deposit, up to an amount and a day (R-REQ-5). It helps no request of who granted it.
 * @throws Refusal 403 (also `PersonRequired`), 404, 422 `WaiverOver`
 */
export async function grantDepositWaiver(
  ctx: Context,
  { warehouse: code, amount, reason, validTo, repairOrder }: { warehouse: string } & WaiverBody
): Promise<WaiverView> {
  const { outlet } = await requireDepositKeeper(ctx, code)
  requirePerson(ctx)
  const today = ctx.clock.today()
  if (validTo < today) {
    throw new Refusal('WaiverOver', 422, `${validTo} is over; a waiver holds today (${today}) at least`, {
      errors: [{ pointer: '/validTo', detail: 'lies in the past', sent: validTo, accepted: `${today} or later` }]
    })
  }
  return inTransaction(ctx, async (inner) => {
    if ((await lockAccount(inner, outlet.id)) === undefined) throw notFound('deposit of', code)
    const [granted] = await run(inner, GRANT, [
      outlet.id,
      amount,
      reason,
      repairOrder ?? null,
      validTo,
      ctx.actor.personId,
      ctx.clock.now().toString()
    ])
    if (granted === undefined) throw new Error('no waiver was written')
    await recordAudit(inner, 'deposit-waiver.granted', `deposit:${code}`, {
      waiver: granted.id,
      amount,
      reason,
      validTo,
      repairOrder
    })
    return waiverView(inner, outlet.id, granted.id)
  })
}
