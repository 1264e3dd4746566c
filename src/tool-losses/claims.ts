import type { Context } from '../identity/actor.ts'
import { isOwn, readsClaims } from '../tools/tool-rights.ts'

/**
 * Whether the actor is told what a technician compensates: by a duty for the warehouse, or because it is claimed from them. Keepers report
 * losses and take tools in, for which they need not know what a colleague owes.
 */
export const seesClaim = (ctx: Context, { warehouseId, warehouse, regionId, technicianId }: ClaimPlace): boolean =>
  isOwn(ctx, technicianId) || readsClaims(ctx, { id: warehouseId, code: warehouse, regionId })

interface ClaimPlace {
  warehouseId: number
  warehouse: string
  regionId: number
  technicianId: number | null
}
