import { grantsToday, requireDuty, requireDutyEverywhere, type Context, type Duty } from '../identity/actor.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { Refusal } from '../platform/errors.ts'
import { warehouseByCode } from '../warehouses/directory.ts'

// An endpoint belongs to a place, not to whoever entered it: those who answer for the place see and change it, today.

/** Who answers for the endpoints of one warehouse. */
export const OF_A_WAREHOUSE: readonly Duty[] = ['administrator', 'stock-controller', 'department-head']
/** Who answers for those of a region and of everywhere; they see the warehouses in it too. */
export const OF_MANY: readonly Duty[] = ['administrator', 'stock-controller']

export interface Place {
  warehouse?: string | undefined
  region?: string | undefined
}

/**
 * The place an endpoint is entered for.
 * @throws Refusal 403, 404, 422 `PlaceAmbiguous`
 */
export async function requirePlace(
  ctx: Context,
  { warehouse: code, region }: Place
): Promise<{ warehouseId: number | null; regionId: number | null }> {
  if (code !== undefined && region !== undefined) {
    throw new Refusal(
      'PlaceAmbiguous',
      422,
      'a webhook is of one warehouse or of one region; leave one of them away, or both for everywhere',
      { errors: [{ pointer: '/region', detail: 'beside /warehouse', sent: region }] }
    )
  }
  if (code !== undefined) {
    const warehouse = await warehouseByCode(ctx, code)
    requireDuty(ctx, OF_A_WAREHOUSE, warehouse)
    return { warehouseId: warehouse.id, regionId: null }
  }
  if (region === undefined) {
    requireDutyEverywhere(ctx, OF_MANY)
    return { warehouseId: null, regionId: null }
  }
  const regionId = await findRegion(ctx, region)
  const holdsItThere = grantsToday(ctx).some(
    (grant) => OF_MANY.includes(grant.duty) && grant.warehouseId === null && grant.regionId === regionId
  )
  if (!holdsItThere || ctx.actor.readOnly) requireDutyEverywhere(ctx, OF_MANY)
  return { warehouseId: null, regionId }
}

/** The endpoints somebody answers for, as a condition on `e` and its warehouse `w` (which may be missing). */
export const manageable = (first: number): string => {
  const [all, regions, everyWarehouse, inRegions, warehouses] = [0, 1, 2, 3, 4].map((n) => `$${first + n}`)
  return `(${all}::boolean or e.region_id = any (${regions}::int[]) or (${everyWarehouse}::boolean and e.warehouse_id is not null)
       or w.region_id = any (${inRegions}::int[]) or e.warehouse_id = any (${warehouses}::int[]))`
}

/** The five parameters of `manageable`. */
export function managing(ctx: Context): [boolean, number[], boolean, number[], number[]] {
  const grants = grantsToday(ctx)
  const many = grants.filter(({ duty, warehouseId }) => OF_MANY.includes(duty) && warehouseId === null)
  const ofWarehouses = grants.filter(({ duty }) => OF_A_WAREHOUSE.includes(duty))
  return [
    many.some(({ regionId }) => regionId === null),
    many.flatMap(({ regionId }) => regionId ?? []),
    ofWarehouses.some(({ warehouseId, regionId }) => warehouseId === null && regionId === null),
    ofWarehouses.flatMap(({ warehouseId, regionId }) => (warehouseId === null ? (regionId ?? []) : [])),
    ofWarehouses.flatMap(({ warehouseId }) => warehouseId ?? [])
  ]
}
