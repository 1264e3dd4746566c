import type { Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { requireOpen } from '../warehouses/directory.ts'
import { requireDepositKeeper } from './deposit-rights.ts'
import { depositView } from './deposits.queries.ts'
import type { DepositView } from './deposits.schemas.ts'

const OPEN = statement<{ opened: true }>(`
insert into deposit_account (warehouse_id, low_limit, opened_by, opened_at, changed_at) values ($1, $2, $3, $4, $4)
on conflict (warehouse_id) do nothing returning true as opened`)

/**
 * Opens the deposit of an outlet, with nothing in it (R-REQ-5). From then on its requests are held against it.
 * @throws Refusal 403, 404, 409 `DepositAlreadyOpen` or `WarehouseClosed`, 422 `DepositMisplaced`
 */
export async function openDeposit(
  ctx: Context,
  { warehouse: code, lowLimit }: { warehouse: string; lowLimit: string }
): Promise<DepositView> {
  const { outlet, centre } = await requireDepositKeeper(ctx, code)
  if (centre === null) {
    throw new Refusal(
      'DepositMisplaced',
      422,
      `${code} stands under no centre that could hold its deposit; an outlet, branch or regional centre has one`,
      { errors: [{ pointer: '{warehouse}', detail: 'requests from nobody', sent: code }] }
    )
  }
  requireOpen(outlet, ctx.clock.today())
  return inTransaction(ctx, async (inner) => {
    const opened = await run(inner, OPEN, [outlet.id, lowLimit, ctx.actor.personId, ctx.clock.now().toString()])
    if (opened.length === 0)
      throw new Refusal('DepositAlreadyOpen', 409, `${code} has a deposit already; increase it instead`)
    await recordAudit(inner, 'deposit.opened', `deposit:${code}`, { lowLimit })
    return depositView(inner, outlet)
  })
}
