import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { defineConsumer, type OutboxEvent } from '../platform/outbox.ts'
import { isAlertKind, type AlertKind } from './alert-kinds.ts'
import { lockAlerts, reconcile } from './reconcile.ts'

/** Goods moved: parts may have crossed their reorder points, lots may be empty or new. */
const MOVES = ['document.posted', 'document.released-in-emergency']
/** A late signature may be settled. */
const SETTLES = ['document.signed-late', 'document.reversed']
/** A count, or the report of it, is further or further back. */
const COUNTS = ['opened', 'submitted', 'refused', 'approved', 'reported', 'cancelled'].map(
  (event) => `document.${event}`
)

/** Something is on order or no longer, or a level was set: the parts of a warehouse. */
const POSITIONS = ['reorder-position.changed']

const PARTS_MOVED = statement<{ warehouseId: number; id: string }>(`
select distinct l.warehouse_id as "warehouseId", l.part_id::text as id
  from unnest($1::int[], $2::bigint[]) as d (warehouse_id, id)
  join slip_line l on l.warehouse_id = d.warehouse_id and l.slip_id = d.id`)
// By the day of the slip, so that only the movements of its month are looked through.
const LOTS_MOVED = statement<{ warehouseId: number; id: string }>(`
select distinct m.warehouse_id as "warehouseId", m.lot_id::text as id
  from unnest($1::int[], $2::bigint[]) as d (warehouse_id, id)
  join slip s on s.warehouse_id = d.warehouse_id and s.id = d.id
  join movement m on m.warehouse_id = s.warehouse_id and m.slip_id = s.id and m.occurred_on = s.occurred_on`)
const COUNTED = statement<{ warehouseId: number }>(`
select distinct c.warehouse_id as "warehouseId"
  from unnest($1::int[], $2::bigint[]) as d (warehouse_id, id)
  join stock_count c on c.warehouse_id = d.warehouse_id and c.id = d.id`)

/**
 * Looks at what events are about as soon as they are committed: only at those parts, lots, slips and warehouses, all of a batch at once.
 * What time alone brings about, and what a lost message would miss, is found by the jobs.
 */
export const followEvents = defineConsumer({
  name: 'alerts.follow-events',
  events: [
    ...POSITIONS,
    ...MOVES,
    ...SETTLES,
    ...COUNTS,
    'period.closed',
    'reorder-levels.computed',
    'ledger.verified',
    'alert-policy.set'
  ],
  handle: async (ctx: Context, events) => {
    const of = (names: readonly string[]) => events.filter(({ event }) => names.includes(event))
    await lockAlerts(ctx)

    const moved = documentsOf(of(MOVES))
    const parts = moved.length === 0 ? [] : await run(ctx, PARTS_MOVED, arraysOf(moved))
    await reconcileThese(ctx, ['reorder-point'], [...parts, ...positionsOf(of(POSITIONS))])
    const lots = moved.length === 0 ? [] : await run(ctx, LOTS_MOVED, arraysOf(moved))
    await reconcileThese(ctx, ['lot-aging-soon', 'lot-aged'], lots)
    await reconcileThese(ctx, ['late-signature'], documentsOf(of(SETTLES)))
    const documents = documentsOf(of(COUNTS))
    const counted = documents.length === 0 ? [] : await run(ctx, COUNTED, arraysOf(documents))
    await reconcileThese(ctx, ['count-due', 'count-report-due'], counted)

    const closed = of(['period.closed']).flatMap(({ warehouseId }) => (warehouseId === null ? [] : [{ warehouseId }]))
    await reconcileThese(ctx, ['count-due', 'count-report-due', 'statement-due'], closed)

    const whole = new Set<AlertKind>()
    if (of(['reorder-levels.computed']).length > 0) whole.add('reorder-point')
    if (of(['ledger.verified']).length > 0) whole.add('ledger-fault')
    for (const { payload } of of(['alert-policy.set'])) if (isAlertKind(payload['kind'])) whole.add(payload['kind'])
    for (const kind of whole) await reconcile(ctx, kind)
  }
})

interface Named {
  warehouseId: number
  id?: string
}

const documentsOf = (events: readonly OutboxEvent[]): { warehouseId: number; id: string }[] =>
  events.flatMap(({ warehouseId, payload }) =>
    warehouseId === null ? [] : [{ warehouseId, id: String(payload['document']) }]
  )

const positionsOf = (events: readonly OutboxEvent[]): { warehouseId: number; id: string }[] =>
  events.flatMap(({ warehouseId, payload }) =>
    warehouseId === null ? [] : (payload['parts'] as number[]).map((part) => ({ warehouseId, id: String(part) }))
  )

const arraysOf = (named: readonly { warehouseId: number; id: string }[]) => [
  named.map(({ warehouseId }) => warehouseId),
  named.map(({ id }) => id)
]

async function reconcileThese(ctx: Context, kinds: readonly AlertKind[], named: readonly Named[]): Promise<void> {
  if (named.length === 0) return
  const ids = named.flatMap(({ id }) => id ?? [])
  const asked = { warehouseIds: named.map(({ warehouseId }) => warehouseId), ...(ids.length > 0 && { ids }) }
  for (const kind of kinds) await reconcile(ctx, kind, asked)
}
