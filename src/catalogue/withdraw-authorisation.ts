import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { SUPPLIER_DUTIES } from './catalogue.rights.ts'
import type { SupplierAuthorisationView } from './catalogue.schemas.ts'
import { requireParts } from './parts.queries.ts'
import { supplierByCode } from './suppliers.queries.ts'

const END = statement<{ validFrom: string; validTo: string }>(`
update supplier_authorisation
   set valid_to = $3
 where supplier_id = $1 and part_id = $2 and valid_from <= $3 and (valid_to is null or valid_to >= $3)
returning valid_from::text as "validFrom", valid_to::text as "validTo"`)

/**
 * Ends the authorisation that is in force on a last day; the day itself is still covered.
 * @throws Refusal 404, 409 `AuthorisationNotInForce`
 */
export async function withdrawAuthorisation(
  ctx: Context,
  { code, part, validTo = ctx.clock.today() }: { code: string; part: string; validTo?: string }
): Promise<SupplierAuthorisationView> {
  requireDutyEverywhere(ctx, SUPPLIER_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const supplier = await supplierByCode(ctx.em, code)
    const { id, name } = [...(await requireParts(ctx.em, [part])).values()][0]
    const [ended] = await run(ctx.em, END, [supplier.id, id, validTo])
    if (ended === undefined)
      throw new Refusal(
        'AuthorisationNotInForce',
        409,
        `supplier ${code} is not authorised for part ${part} on ${validTo}; GET /v1/suppliers/${code}/authorisations lists its days`
      )
    await recordAudit(ctx, 'supplier.authorisation-withdrawn', `supplier:${code}`, { part, validTo })
    return { supplier: code, part, partName: name, ...ended }
  })
}
