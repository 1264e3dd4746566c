import type { Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { lockAccount } from './account.ts'
import { requireDepositKeeper } from './deposit-rights.ts'
import { waiverView } from './deposits.queries.ts'
import type { WaiverView } from './deposits.schemas.ts'

const END = statement<never>(`
update deposit_waiver set ended_by = $3, ended_at = $4, ended_because = $5 where warehouse_id = $1 and id = $2`)

/**
 * Ends what is left of a waiver. What requests took of it they keep.
 * @throws Refusal 403, 404, 409 `WaiverEnded`
 */
export async function endDepositWaiver(
  ctx: Context,
  { warehouse: code, waiver: id, reason }: { warehouse: string; waiver: string; reason: string }
): Promise<WaiverView> {
  const { outlet } = await requireDepositKeeper(ctx, code)
  return inTransaction(ctx, async (inner) => {
    if ((await lockAccount(inner, outlet.id)) === undefined) throw notFound('deposit of', code)
    const waiver = await waiverView(inner, outlet.id, id)
    if (waiver.state === 'ended')
      throw new Refusal('WaiverEnded', 409, `${waiver.endedBy} ended waiver ${id} already: ${waiver.endedBecause}`)
    await run(inner, END, [outlet.id, id, ctx.actor.personId, ctx.clock.now().toString(), reason])
    await recordAudit(inner, 'deposit-waiver.ended', `deposit:${code}`, { waiver: id, reason, left: waiver.left })
    return waiverView(inner, outlet.id, id)
  })
}
