import { LockMode } from '@mikro-orm/postgresql'
import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { notFound } from '../platform/errors.ts'
import { Supplier } from './catalogue.entities.ts'
import { SUPPLIER_DUTIES } from './catalogue.rights.ts'
import type { SupplierView, UpdateSupplier } from './catalogue.schemas.ts'
import { readSupplier } from './suppliers.queries.ts'

/**
 * Changes a supplier; with `active: false` nothing may come from it any more.
 * @throws Refusal 404
 */
export async function updateSupplier(
  ctx: Context,
  { code, change }: { code: string; change: UpdateSupplier }
): Promise<SupplierView> {
  requireDutyEverywhere(ctx, SUPPLIER_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const supplier = await ctx.em.findOne(Supplier, { code }, { lockMode: LockMode.PESSIMISTIC_WRITE })
    if (supplier === null) throw notFound('supplier', code)
    ctx.em.assign(supplier, change)
    await ctx.em.flush()
    await recordAudit(ctx, 'supplier.updated', `supplier:${code}`, change)
    return readSupplier(ctx, { code })
  })
}
