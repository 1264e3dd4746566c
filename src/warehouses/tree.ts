import type { Duty } from '../identity/actor.ts'
import type { WarehouseKind } from './warehouses.entities.ts'

/** Who keeps regions and warehouses, everywhere. */
export const WAREHOUSE_DUTIES = ['stock-controller', 'administrator'] as const satisfies Duty[]

/** What a warehouse may hang under (R-ORG-1): one tree, whose top is the head office. */
export const PARENT_KINDS: Record<WarehouseKind, readonly WarehouseKind[]> = {
  'head-office': [],
  'regional-centre': ['head-office'],
  branch: ['regional-centre'],
  outlet: ['branch', 'regional-centre'],
  van: ['outlet', 'branch', 'regional-centre', 'head-office']
}

/**
 * What is wrong with hanging one under the other; undefined if nothing is. A parent always stands on a higher level than its
 * child, so a tree in which this holds everywhere has no circles.
 * @param parent null for the top of the tree
 */
export function misplacement(
  code: string,
  kind: WarehouseKind,
  parent: { code: string; kind: WarehouseKind } | null
): string | undefined {
  const accepted = PARENT_KINDS[kind]
  if (parent === null)
    return accepted.length === 0
      ? undefined
      : `${named(kind)} hangs under ${accepted.join(', ')}; name its parent: only the head office has none`
  if (parent.code === code) return `warehouse ${code} cannot hang under itself`
  if (accepted.includes(parent.kind)) return undefined
  return `${parent.code} is ${named(parent.kind)}; ${named(kind)} may hang under ${accepted.join(', ') || 'nothing, it is the top of the tree'}`
}

const named = (kind: WarehouseKind): string => `${kind === 'outlet' ? 'an' : 'a'} ${kind}`
