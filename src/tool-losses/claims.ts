import type { Context, WarehouseRef } from '../identity/actor.ts'
import { isOwn, readsClaims } from '../tools/tool-rights.ts'

/**
 * Whether the actor is told what a technician compensates: by a duty for the warehouse, or for the one in whose books it is taken back, or because
 * it is claimed from them. Keepers report losses and take tools in, for which they need not know what a colleague owes.
 */
export function seesClaim(ctx: Context, loss: ClaimPlace): boolean {
  const { warehouseId, warehouse, regionId, technicianId } = loss
  const found = whereFound(loss)
  return (
    isOwn(ctx, technicianId) ||
    readsClaims(ctx, { id: warehouseId, code: warehouse, regionId }) ||
    (found !== null && readsClaims(ctx, found))
  )
}

/** The open warehouse in which the tool of a report was found, if its own was closed by then. */
export const whereFound = ({ foundIn, foundInId, foundInRegionId }: FoundPlace): WarehouseRef | null =>
  foundIn === null || foundInId === null || foundInRegionId === null
    ? null
    : { id: foundInId, code: foundIn, regionId: foundInRegionId }

interface FoundPlace {
  foundIn: string | null
  foundInId: number | null
  foundInRegionId: number | null
}

interface ClaimPlace extends FoundPlace {
  warehouseId: number
  warehouse: string
  regionId: number
  technicianId: number | null
}
