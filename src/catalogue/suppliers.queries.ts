import type { EntityManager } from '@mikro-orm/postgresql'
import type { Context } from '../identity/actor.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement, type Scope } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import type { SupplierAuthorisationView, SupplierQuery, SupplierView } from './catalogue.schemas.ts'

const BY_CODE = statement<SupplierView & { id: number }>(
  `select id, code, name, name_zh as "nameZh", active from supplier where code = $1`
)

/**
 * A supplier with its id.
 * @throws Refusal 404
 */
export async function supplierByCode(em: EntityManager, code: string): Promise<SupplierView & { id: number }> {
  const [supplier] = await run(em, BY_CODE, [code])
  if (supplier === undefined) throw notFound('supplier', code)
  return supplier
}

export async function readSupplier(ctx: Pick<Context, 'em'>, { code }: { code: string }): Promise<SupplierView> {
  const { id: _, ...supplier } = await supplierByCode(ctx.em, code)
  return supplier
}

const LIST = statement<SupplierView>(`
select code, name, name_zh as "nameZh", active
  from supplier
 where ($1::text is null or strpos(lower(code || chr(10) || name || chr(10) || coalesce(name_zh, '')), lower($1)) > 0)
   and ($2::boolean is null or active = $2)
   and ($3::text is null or code > $3)
 order by code
 limit $4`)

/** Suppliers by code. */
export async function listSuppliers(ctx: Context, { q, active, limit = 50, cursor }: SupplierQuery) {
  const after = readCursor(cursor, 1)
  const rows = await run(ctx.em, LIST, [q ?? null, active ?? null, after?.[0] ?? null, limit + 1])
  return pageFrom(rows, limit, ({ code }) => [code])
}

const AUTHORISATIONS = statement<SupplierAuthorisationView>(`
select supplier.code as supplier, part.number as part, part.name as "partName", held.valid_from::text as "validFrom", held.valid_to::text as "validTo"
  from supplier_authorisation held
  join supplier on supplier.id = held.supplier_id
  join part on part.id = held.part_id
 where supplier.code = $1
   and ($2::date is null or held.valid_from <= $2 and (held.valid_to is null or held.valid_to >= $2))
   and ($3::text is null or (part.number, held.valid_from) > ($3, $4::date))
 order by part.number, held.valid_from
 limit $5`)

/** What a supplier may deliver, by part number (R-CAT-3). */
export async function listSupplierAuthorisations(
  ctx: Context,
  { code, on, limit = 50, cursor }: { code: string; on?: string; limit?: number; cursor?: string }
) {
  await supplierByCode(ctx.em, code)
  const after = readCursor(cursor, 2)
  const rows = await run(ctx.em, AUTHORISATIONS, [code, on ?? null, after?.[0] ?? null, after?.[1] ?? null, limit + 1])
  return pageFrom(rows, limit, ({ part, validFrom }) => [part, validFrom])
}

const AUTHORISED = statement<{ partId: number }>(`
select distinct held.part_id as "partId"
  from supplier_authorisation held
  join supplier on supplier.id = held.supplier_id and supplier.active
 where held.supplier_id = $1 and held.part_id = any ($2::int[])
   and held.valid_from <= $3 and (held.valid_to is null or held.valid_to >= $3)`)

/** Which of the parts the supplier may deliver on that day; none if the supplier is not active (R-CAT-3). */
export async function supplierAuthorised(
  em: Scope,
  supplierId: number,
  partIds: readonly number[],
  on: string
): Promise<Set<number>> {
  const rows = await run(em, AUTHORISED, [supplierId, partIds, on])
  return new Set(rows.map(({ partId }) => partId))
}
