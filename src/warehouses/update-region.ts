import { LockMode } from '@mikro-orm/postgresql'
import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { notFound } from '../platform/errors.ts'
import { WAREHOUSE_DUTIES } from './tree.ts'
import { Region } from './warehouses.entities.ts'
import type { RegionView, UpdateRegion } from './warehouses.schemas.ts'

/**
 * Gives a region another name.
 * @throws Refusal 404
 */
export async function updateRegion(
  ctx: Context,
  { code, change }: { code: string; change: UpdateRegion }
): Promise<RegionView> {
  requireDutyEverywhere(ctx, WAREHOUSE_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const region = await ctx.em.findOne(Region, { code }, { lockMode: LockMode.PESSIMISTIC_WRITE })
    if (region === null) throw notFound('region', code)
    ctx.em.assign(region, change)
    await ctx.em.flush()
    await recordAudit(ctx, 'region.updated', `region:${code}`, change)
    return { code, name: region.name, nameZh: region.nameZh ?? null }
  })
}
