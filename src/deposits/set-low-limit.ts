import type { Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { requireDepositKeeper } from './deposit-rights.ts'
import { depositView } from './deposits.queries.ts'
import type { DepositView } from './deposits.schemas.ts'

const SET = statement<{ set: true }>(
  `update deposit_account set low_limit = $2, changed_at = $3 where warehouse_id = $1 returning true as set`
)

/**
 * Sets below which free deposit an alert is raised.
 * @throws Refusal 403, 404
 */
export async function setDepositLowLimit(
  ctx: Context,
  { warehouse: code, lowLimit }: { warehouse: string; lowLimit: string }
): Promise<DepositView> {
  const { outlet } = await requireDepositKeeper(ctx, code)
  return inTransaction(ctx, async (inner) => {
    const set = await run(inner, SET, [outlet.id, lowLimit, ctx.clock.now().toString()])
    if (set.length === 0) throw notFound('deposit of', code)
    await recordAudit(inner, 'deposit.low-limit-set', `deposit:${code}`, { lowLimit })
    return depositView(inner, outlet)
  })
}
