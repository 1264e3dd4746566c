import { maySee, requireDuty, requireDutyEverywhere, sightOf, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { readPart } from '../catalogue/parts.queries.ts'
import { instant } from '../platform/clock.ts'
import { inTransaction } from '../platform/context.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import type { OrderRestriction, SetOrderRestriction } from './order-restrictions.schemas.ts'

// What outlets may not request: a part or a whole category, by one warehouse, by those of a region, or by all. What is not restricted may
// be requested. Requests that stand are left alone.

const VIEW = `
select o.id, part.number as part, o.category, warehouse.code as warehouse, region.code as region, o.reason, person.username as "setBy", o.set_at as "setAt"
  from order_restriction o
  left join part on part.id = o.part_id
  left join warehouse on warehouse.id = o.warehouse_id
  left join region on region.id = o.region_id
  join person on person.id = o.set_by`

const ONE = statement<OrderRestriction>(`${VIEW} where o.id = $1`)
const LIST = statement<OrderRestriction>(`${VIEW}
 where ($1::text is null or part.number = $1 or o.category = (select p.category from part p where p.number = $1))
   and ($2::text is null or o.warehouse_id is null and o.region_id is null or warehouse.code = $2
        or region.id = (select w.region_id from warehouse w where w.code = $2))
   and ($3::int is null or o.id < $3)
   and (o.warehouse_id is null or $5 or warehouse.id = any ($6::int[]) or warehouse.region_id = any ($7::int[]))
 order by o.id desc limit $4`)

const viewOf = (row: OrderRestriction): OrderRestriction => ({ ...row, setAt: instant(row.setAt) })

/**
 * Restrictions in force, newest first; for a part and for a warehouse with those that hit it by category, region or altogether. Those of a
 * single warehouse are for who sees it.
 */
export async function listOrderRestrictions(
  ctx: Context,
  {
    part,
    warehouse,
    limit = 50,
    cursor
  }: {
    part?: string | undefined
    warehouse?: string | undefined
    limit?: number | undefined
    cursor?: string | undefined
  }
) {
  const [before] = readCursor(cursor, ['integer']) ?? [null]
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const rows = await run(ctx, LIST, [
    part ?? null,
    warehouse ?? null,
    before,
    limit + 1,
    everywhere,
    warehouseIds,
    regionIds
  ])
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return { items: items.map(viewOf), nextCursor }
}

const SET = statement<{ id: number }>(`
insert into order_restriction (part_id, category, warehouse_id, region_id, reason, set_by, set_at) values ($1, $2, $3, $4, $5, $6, $7)
on conflict on constraint order_restriction_said_once do update set reason = excluded.reason, set_by = excluded.set_by, set_at = excluded.set_at
returning id`)

/**
 * Says that a part or a category may not be requested, or says anew why.
 * @throws Refusal 422 `GoodsMissing`, `PlaceAmbiguous`, 403 without the duty stock-controller for all whom it hits, 404
 */
export async function setOrderRestriction(
  ctx: Context,
  { part, category, warehouse, region, reason }: SetOrderRestriction
): Promise<OrderRestriction> {
  if ((part === undefined) === (category === undefined))
    throw new Refusal('GoodsMissing', 422, 'a restriction is of a part or of a category: name one of the two', {
      errors: [{ pointer: '/part', detail: 'part or category, one of the two' }]
    })
  if (warehouse !== undefined && region !== undefined)
    throw new Refusal(
      'PlaceAmbiguous',
      422,
      'a restriction is for one warehouse, for a region or for all: name at most one of the two',
      { errors: [{ pointer: '/region', detail: 'beside warehouse', sent: region }] }
    )
  const place = warehouse === undefined ? null : await warehouseByCode(ctx, warehouse)
  if (place === null) requireDutyEverywhere(ctx, 'stock-controller')
  else requireDuty(ctx, 'stock-controller', place)
  const partId = part === undefined ? null : await partIdOf(ctx, part)
  const regionId = region === undefined ? null : await findRegion(ctx, region)
  return inTransaction(ctx, async (inner) => {
    const [set] = await run(inner, SET, [
      partId,
      category ?? null,
      place?.id ?? null,
      regionId,
      reason,
      inner.actor.personId,
      inner.clock.now().toString()
    ])
    if (set === undefined) throw new Error('no restriction was written')
    await recordAudit(inner, 'order-restriction.set', `order-restriction:${set.id}`, {
      part: part ?? null,
      category: category ?? null,
      warehouse: warehouse ?? null,
      region: region ?? null,
      reason
    })
    const [row] = await run(inner, ONE, [set.id])
    if (row === undefined) throw new Error(`restriction ${set.id} vanished inside its transaction`)
    return viewOf(row)
  })
}

const PART_ID = statement<{ id: number }>(`select id from part where number = $1`)

async function partIdOf(ctx: Context, number: string): Promise<number> {
  await readPart(ctx, { number })
  const [part] = await run(ctx, PART_ID, [number])
  if (part === undefined) throw notFound('part', number)
  return part.id
}

const REMOVE = statement<never>(`delete from order_restriction where id = $1`)

/**
 * Lifts a restriction.
 * @throws Refusal 403, 404
 */
export async function removeOrderRestriction(ctx: Context, { id }: { id: number }): Promise<void> {
  await inTransaction(ctx, async (inner) => {
    const [row] = await run(inner, ONE, [id])
    if (row === undefined) throw notFound('order restriction', String(id))
    if (row.warehouse === null) requireDutyEverywhere(inner, 'stock-controller')
    else {
      const warehouse = await warehouseByCode(inner, row.warehouse)
      if (!maySee(inner, warehouse)) throw notFound('order restriction', String(id))
      requireDuty(inner, 'stock-controller', warehouse)
    }
    await run(inner, REMOVE, [id])
    await recordAudit(inner, 'order-restriction.removed', `order-restriction:${id}`, { ...viewOf(row) })
  })
}

const FORBIDDEN = statement<{ partId: number; reason: string }>(`
select distinct on (part.id) part.id as "partId", o.reason
  from part
  join order_restriction o on o.part_id = part.id or o.category = part.category
 where part.id = any ($1::int[]) and (o.warehouse_id = $2 or o.region_id = $3 or o.warehouse_id is null and o.region_id is null)
 order by part.id, o.part_id nulls last, o.id`)

/** Of these parts those that an outlet may not have, and why. */
export const forbiddenTo = async (
  ctx: Context,
  outlet: Pick<Warehouse, 'id' | 'regionId'>,
  partIds: readonly number[]
): Promise<Map<number, string>> =>
  new Map(
    (await run(ctx, FORBIDDEN, [partIds, outlet.id, outlet.regionId])).map(({ partId, reason }) => [partId, reason])
  )

/**
 * Refuses parts that an outlet may not request.
 * @throws Refusal 422 `PartNotForOutlet`
 */
export async function requireOrderable(
  ctx: Context,
  outlet: Warehouse,
  lines: readonly { line: number; partId: number; part: string }[]
): Promise<void> {
  const reasons = await forbiddenTo(
    ctx,
    outlet,
    lines.map(({ partId }) => partId)
  )
  if (reasons.size === 0) return
  const hit = lines.filter(({ partId }) => reasons.has(partId))
  throw new Refusal(
    'PartNotForOutlet',
    422,
    `${outlet.code} may not request ${hit.map(({ part, partId }) => `${part} (${reasons.get(partId)})`).join(', ')}; leave it away, or ask the stock controller`,
    {
      errors: hit.map(({ line, part, partId }) => ({
        pointer: `/lines/${line - 1}/part`,
        detail: `may not be requested: ${reasons.get(partId)}`,
        sent: part
      }))
    }
  )
}
