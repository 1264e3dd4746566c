import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from './directory.ts'

const HEAD_OFFICE = statement<{ code: string }>(`
select code from warehouse where kind = 'head-office' and (closed_on is null or closed_on > $1::date) order by id limit 1`)

/** The top of the tree (R-ORG-1), which documents of the whole network belong to; none before it was created. */
export async function headOffice(ctx: Context): Promise<Warehouse | undefined> {
  const [found] = await run(ctx, HEAD_OFFICE, [ctx.clock.today()])
  return found && warehouseByCode(ctx, found.code)
}

/**
 * The same for whoever cannot do without.
 * @param what what belongs to it, in the plural
 * @throws Refusal 409 `HeadOfficeMissing`
 */
export async function requireHeadOffice(ctx: Context, what: string): Promise<Warehouse> {
  const office = await headOffice(ctx)
  if (office !== undefined) return office
  throw new Refusal(
    'HeadOfficeMissing',
    409,
    `${what} belong to the head office, and there is no open warehouse of kind head-office; create it first`
  )
}
