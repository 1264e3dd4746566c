import type { EntityManager } from '@mikro-orm/postgresql'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { requireOpen, type Warehouse } from './directory.ts'
import { misplacement } from './tree.ts'
import type { WarehouseKind } from './warehouses.entities.ts'

// The share lock keeps the parent where and what it is until the child hangs under it.
const PARENT = statement<Pick<Warehouse, 'id' | 'code' | 'kind' | 'closedOn'>>(
  `select id, code, kind, closed_on::text as "closedOn" from warehouse where code = $1 for share`
)

/**
 * The id of the parent under which a warehouse of a kind may hang, its row locked; null for the top of the tree.
 * @throws Refusal 409 `WarehouseClosed`, 422 `ParentUnknown`, `WarehouseMisplaced`
 */
export async function requirePlace(
  em: EntityManager,
  { code, kind, parent: parentCode, today }: { code: string; kind: WarehouseKind; parent: string | null; today: string }
): Promise<number | null> {
  const [parent] = parentCode === null ? [] : await run(em, PARENT, [parentCode])
  if (parentCode !== null && parent === undefined) {
    throw new Refusal('ParentUnknown', 422, `there is no warehouse ${parentCode} to hang ${code} under`, {
      errors: [{ pointer: '/parent', detail: 'unknown warehouse', sent: parentCode }]
    })
  }
  const fault = misplacement(code, kind, parent ?? null)
  if (fault !== undefined)
    throw new Refusal('WarehouseMisplaced', 422, fault, {
      errors: [{ pointer: '/parent', detail: fault, sent: parentCode }]
    })
  if (parent !== undefined) requireOpen(parent, today)
  return parent?.id ?? null
}
