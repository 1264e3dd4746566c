import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { SUPPLIER_DUTIES } from './catalogue.rights.ts'
import type { CreateSupplier, SupplierView } from './catalogue.schemas.ts'

const INSERT = statement<SupplierView>(`
insert into supplier (code, name, name_zh) values ($1, $2, $3)
on conflict (code) do nothing
returning code, name, name_zh as "nameZh", active`)

/**
 * Enters a supplier. It may deliver nothing before it is authorised for parts (R-CAT-3).
 * @throws Refusal 409 `SupplierCodeTaken`
 */
export async function createSupplier(ctx: Context, supplier: CreateSupplier): Promise<SupplierView> {
  requireDutyEverywhere(ctx, SUPPLIER_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const [created] = await run(ctx.em, INSERT, [supplier.code, supplier.name, supplier.nameZh ?? null])
    if (created === undefined)
      throw new Refusal('SupplierCodeTaken', 409, `supplier ${supplier.code} exists already; choose another code`)
    await recordAudit(ctx, 'supplier.created', `supplier:${supplier.code}`, supplier)
    return created
  })
}
