import { LRUCache } from 'lru-cache'
import type { EntityManager } from '@mikro-orm/postgresql'
import type { Context, WarehouseRef } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import type { Published } from '../platform/outbox.ts'
import type { WarehouseKind } from './warehouses.entities.ts'

// Every request names a warehouse by its code. The few facts that rights and slips need of it are kept in the process.
//
// A change in this process counts at once; one made by another process counts after CACHE_SECONDS at the latest.
// A code that was written lately is not cached at all until CACHE_SECONDS have passed: the transaction around the write may
// still be open or be rolled back, and what others would cache meanwhile would be wrong.

const CACHE_SECONDS = 10
const CACHED_WAREHOUSES = 20_000

/** What other rooms need of a warehouse. */
export interface Warehouse extends WarehouseRef {
  name: string
  nameZh: string | null
  kind: WarehouseKind
  parentId: number | null
  /** First day on which nothing moves there any more. */
  closedOn: string | null
}

interface Cache {
  known: LRUCache<string, Warehouse>
  /** Codes written lately. */
  unsettled: LRUCache<string, true>
  /** All of them are: a whole file was imported. */
  allUnsettledUntil: number
}

// One cache per database configuration: every unit of work of a runtime shares it, wherever it was forked.
const caches = new WeakMap<object, Cache>()

function cacheOf(config: object): Cache {
  let cache = caches.get(config)
  if (cache === undefined) {
    const ttl = CACHE_SECONDS * 1000
    cache = {
      known: new LRUCache({ max: CACHED_WAREHOUSES, ttl, ttlResolution: 500 }),
      unsettled: new LRUCache({ max: CACHED_WAREHOUSES, ttl }),
      allUnsettledUntil: 0
    }
    caches.set(config, cache)
  }
  return cache
}

const BY_CODE = statement<Warehouse>(`
select id, code, region_id as "regionId", name, name_zh as "nameZh", kind, parent_id as "parentId", closed_on::text as "closedOn"
  from warehouse where code = $1`)

/**
 * A warehouse by its code, whether or not the actor may see it: ask `requireSight` or `requireDuty` next.
 * @throws Refusal 404
 */
export async function warehouseByCode(
  ctx: Pick<Context, 'em' | 'database' | 'pool'>,
  code: string
): Promise<Warehouse> {
  const cache = cacheOf(ctx.database.orm.config)
  const isSettled = !cache.unsettled.has(code) && cache.allUnsettledUntil < performance.now()
  const cached = isSettled ? cache.known.get(code) : undefined
  if (cached !== undefined) return cached
  const [warehouse] = await run(ctx, BY_CODE, [code])
  if (warehouse === undefined) throw notFound('warehouse', code)
  // Asked again: it may have been written while the answer was under way.
  if (isSettled && !cache.unsettled.has(code) && cache.allUnsettledUntil < performance.now())
    cache.known.set(code, warehouse)
  return warehouse
}

/** That a warehouse lies in another region, as who cares for duties follows it. */
export const regionChanged = ({ id: warehouseId }: { id: number }): Published => ({
  subject: `warehouse:${warehouseId}`,
  event: 'warehouse.region-changed',
  warehouseId
})

/** Called by every verb that writes warehouses, before its transaction ends; without codes all are meant. */
export function warehousesChanged(em: EntityManager, codes?: readonly string[]): void {
  const cache = cacheOf(em.config)
  if (codes === undefined) {
    cache.allUnsettledUntil = performance.now() + CACHE_SECONDS * 1000
    cache.known.clear()
    return
  }
  for (const code of codes) {
    cache.unsettled.set(code, true)
    cache.known.delete(code)
  }
}

/**
 * Refuses a warehouse in which nothing moves any more on a day.
 * @throws Refusal 409 `WarehouseClosed`
 */
export function requireOpen(warehouse: Pick<Warehouse, 'code' | 'closedOn'>, on: string): void {
  if (warehouse.closedOn !== null && warehouse.closedOn <= on) {
    throw new Refusal(
      'WarehouseClosed',
      409,
      `warehouse ${warehouse.code} is closed from ${warehouse.closedOn} on; choose an open one, or have it reopened`,
      { extra: { warehouse: warehouse.code, closedOn: warehouse.closedOn } }
    )
  }
}
