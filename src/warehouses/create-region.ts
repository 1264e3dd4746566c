import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { WAREHOUSE_DUTIES } from './tree.ts'
import type { CreateRegion, RegionView } from './warehouses.schemas.ts'

const INSERT = statement<RegionView>(`
insert into region (code, name, name_zh) values ($1, $2, $3)
on conflict (code) do nothing
returning code, name, name_zh as "nameZh"`)

/**
 * Enters a region (R-ORG-1).
 * @throws Refusal 409 `RegionCodeTaken`
 */
export async function createRegion(ctx: Context, region: CreateRegion): Promise<RegionView> {
  requireDutyEverywhere(ctx, WAREHOUSE_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const [created] = await run(ctx.em, INSERT, [region.code, region.name, region.nameZh ?? null])
    if (created === undefined)
      throw new Refusal('RegionCodeTaken', 409, `region ${region.code} exists already; choose another code`)
    await recordAudit(ctx, 'region.created', `region:${region.code}`, region)
    return created
  })
}
