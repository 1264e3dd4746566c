import { systemActor } from '../../src/identity/directory.ts'
import { proposeReorders } from '../../src/replenishment/propose-reorders.ts'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import type { Harness } from '../support/harness.ts'

/** A warehouse whose positions can be made short, with somebody who decides there. */
export interface Shelf extends Counter {
  purchaser: Caller
  /** Says what is kept of a part here, past the computation. */
  level(part: string, reorderPoint: string, orderUpTo: string): Promise<void>
  /** Stock with an age. */
  aged(part: string, quantity: string, receivedOn: string): Promise<void>
  /** Its proposals, oldest first. */
  proposals(query?: string): Promise<any[]>
}

export async function openShelf(h: Harness, { region }: { region?: string } = {}): Promise<Shelf> {
  const counter = await openCounter(h, region === undefined ? {} : { region })
  const { warehouse, warehouseId } = counter
  const purchaser = callerFor(h, await h.make.person({ grants: [{ duty: 'purchaser', warehouse }] }))
  return {
    ...counter,
    purchaser,
    level: async (part, reorderPoint, orderUpTo) => {
      await h.sql(
        `insert into reorder_level (warehouse_id, part_id, reorder_point, order_up_to, basis, computed_at)
         select $1, id, $3, $4, 'computed', now() from part where number = $2
         on conflict (warehouse_id, part_id) do update set reorder_point = excluded.reorder_point, order_up_to = excluded.order_up_to`,
        [warehouseId, part, reorderPoint, orderUpTo]
      )
    },
    aged: async (part, quantity, receivedOn) => {
      await counter.posted({ kind: 'opening', lines: [{ part, quantity, unitCost: '2', receivedOn }] })
    },
    proposals: async (query = '') => {
      const { body } = await purchaser.get(`/v1/reorder/proposals?warehouse=${warehouse}&limit=200${query}`)
      return body.items.toReversed()
    }
  }
}

/** A run over all positions. */
export const propose = (h: Harness) => proposeReorders(h.contextOf(systemActor))

/** What of a proposal says what to do. */
export const gist = ({ kind, part, quantity, fromWarehouse, supplier, state }: any) =>
  [kind, part, quantity, fromWarehouse ?? supplier, state] as const
