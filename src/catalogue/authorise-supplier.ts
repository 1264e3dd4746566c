import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { SUPPLIER_DUTIES } from './catalogue.rights.ts'
import type { SupplierAuthorisationView } from './catalogue.schemas.ts'
import { requireParts } from './parts.queries.ts'

// The lock on the supplier makes two authorisations of it wait for each other, so that their days cannot overlap.
const LOCK = statement<{ id: number }>(`select id from supplier where code = $1 for update`)

const INSERT = statement<{ validFrom: string; validTo: string | null }>(`
insert into supplier_authorisation (supplier_id, part_id, valid_from, valid_to)
select $1, $2, $3, $4
 where not exists (
   select from supplier_authorisation held
    where held.supplier_id = $1 and held.part_id = $2
      and daterange(held.valid_from, held.valid_to, '[]') && daterange($3, $4, '[]'))
returning valid_from::text as "validFrom", valid_to::text as "validTo"`)

/**
 * Lets a part come from a supplier, from a first to a last day (R-CAT-3).
 * @throws Refusal 404, 409 `AuthorisationOverlaps`, 422 `PartUnknown` or `DaysReversed`
 */
export async function authoriseSupplier(
  ctx: Context,
  {
    code,
    part,
    validFrom = ctx.clock.today(),
    validTo = null
  }: { code: string; part: string; validFrom?: string; validTo?: string | null }
): Promise<SupplierAuthorisationView> {
  requireDutyEverywhere(ctx, SUPPLIER_DUTIES)
  if (validTo !== null && validTo < validFrom)
    throw new Refusal('DaysReversed', 422, `validTo ${validTo} is before validFrom ${validFrom}`)
  return inTransaction(ctx, async (ctx) => {
    const [supplier] = await run(ctx.em, LOCK, [code])
    if (supplier === undefined) throw notFound('supplier', code)
    const { id, name } = [...(await requireParts(ctx.em, [part])).values()][0]
    const [authorised] = await run(ctx.em, INSERT, [supplier.id, id, validFrom, validTo])
    if (authorised === undefined) {
      throw new Refusal(
        'AuthorisationOverlaps',
        409,
        `supplier ${code} is authorised for part ${part} on some of these days already; withdraw that first or choose other days`
      )
    }
    await recordAudit(ctx, 'supplier.authorised', `supplier:${code}`, { part, validFrom, validTo })
    return { supplier: code, part, partName: name, ...authorised }
  })
}
