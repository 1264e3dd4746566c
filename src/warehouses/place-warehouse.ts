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

// Entered or reopened once in the life of a house; all other writers of warehouses wait, so that two at once do not both
// find none.
const LOCK_ALL = statement<never>(`lock table warehouse in share row exclusive mode`)

const OTHER_HEAD_OFFICE = statement<{ code: string }>(`
select code from warehouse where kind = 'head-office' and code <> $1 and (closed_on is null or closed_on > $2) limit 1`)

/**
 * Refuses a second open head office (R-ORG-1): there is one tree. Called before any row is locked.
 * @throws Refusal 409 `HeadOfficeExists`
 */
export async function requireOnlyHeadOffice(
  em: EntityManager,
  { code, today }: { code: string; today: string }
): Promise<void> {
  await run(em, LOCK_ALL, [])
  const [other] = await run(em, OTHER_HEAD_OFFICE, [code, today])
  if (other === undefined) return
  throw new Refusal(
    'HeadOfficeExists',
    409,
    `${other.code} is the head office, and there is one; enter ${code} as another kind under it, or close ${other.code} first`,
    { extra: { headOffice: other.code } }
  )
}

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
