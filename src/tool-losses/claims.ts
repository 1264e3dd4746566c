import { covers, grantsToday, type Context, type Duty } from '../identity/actor.ts'
import { isOwn } from '../tools/tool-rights.ts'

/** Who reads what is claimed from people: who decides it and who books it. */
export const CLAIM_READERS: readonly Duty[] = ['finance-supervisor', 'department-head', 'hq-finance']

/**
 * Whether the actor is told what a technician compensates: by a duty for the warehouse, or because it is claimed from them. Keepers report
 * losses and take tools in, for which they need not know what a colleague owes.
 */
export const seesClaim = (ctx: Context, { warehouseId, warehouse, regionId, technicianId }: ClaimPlace): boolean =>
  isOwn(ctx, technicianId) ||
  grantsToday(ctx).some(
    (grant) => CLAIM_READERS.includes(grant.duty) && covers(grant, { id: warehouseId, code: warehouse, regionId })
  )

interface ClaimPlace {
  warehouseId: number
  warehouse: string
  regionId: number
  technicianId: number | null
}
