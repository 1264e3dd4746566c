import type { EntityManager } from '@mikro-orm/postgresql'
import { sightOf, type Context } from '../identity/actor.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import type { ControlledApprovalView } from './catalogue.schemas.ts'

const VIEW = `
select approval.id, part.number as part, warehouse.code as warehouse, approval.quantity::text as quantity, approval.used::text as used, reason,
       person.username as "approvedBy", to_char(approved_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "approvedAt",
       approval.valid_from::text as "validFrom", approval.valid_to::text as "validTo"
  from controlled_approval approval
  join part on part.id = approval.part_id
  join warehouse on warehouse.id = approval.warehouse_id
  join person on person.id = approval.approved_by`

const BY_ID = statement<ControlledApprovalView>(`${VIEW} where approval.id = $1`)

export async function controlledApprovalById(em: EntityManager, id: number): Promise<ControlledApprovalView> {
  const [approval] = await run(em, BY_ID, [id])
  if (approval === undefined) throw new Error(`controlled approval ${id} vanished inside its transaction`)
  return approval
}

const LIST = statement<ControlledApprovalView>(`${VIEW}
 where ($1::text is null or part.number = $1)
   and ($2::text is null or warehouse.code = $2)
   and ($3 or warehouse.id = any ($4::int[]) or warehouse.region_id = any ($5::int[]))
   and ($6::int is null or approval.id < $6)
 order by approval.id desc
 limit $7`)

/** Approvals for warehouses the actor may see, newest first. */
export async function listControlledApprovals(
  ctx: Context,
  { part, warehouse, limit = 50, cursor }: { part?: string; warehouse?: string; limit?: number; cursor?: string }
) {
  const after = readCursor(cursor, 1)
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const rows = await run(ctx.em, LIST, [
    part ?? null,
    warehouse ?? null,
    everywhere,
    warehouseIds,
    regionIds,
    after?.[0] ?? null,
    limit + 1
  ])
  return pageFrom(rows, limit, ({ id }) => [id])
}

const IN_FORCE = statement<{ id: number; left: string; validTo: string }>(`
select id, (quantity - used)::text as left, valid_to::text as "validTo"
  from controlled_approval
 where part_id = $1 and warehouse_id = $2 and valid_from <= $3 and valid_to >= $3 and used < quantity
 order by valid_to, id`)

/** Approvals under which a warehouse may still order or request a controlled part on a day, the first to end first; empty: none (R-CAT-2). */
export const controlledApprovalFor = (
  em: EntityManager,
  partId: number,
  warehouseId: number,
  on: string
): Promise<{ id: number; left: string; validTo: string }[]> => run(em, IN_FORCE, [partId, warehouseId, on])
