import { systemActor } from '../../src/identity/directory.ts'
import { inTransaction } from '../../src/platform/context.ts'
import type { AlertKind } from '../../src/alerts/alert-kinds.ts'
import { lockAlerts, reconcile, type Asked } from '../../src/alerts/reconcile.ts'
import type { Harness } from '../support/harness.ts'

/** The level of a part in a warehouse as the nightly computation leaves it, written past it. */
export const setLevel = (
  h: Pick<Harness, 'sql'>,
  warehouseId: number,
  partId: number,
  { reorderPoint, orderUpTo }: { reorderPoint: string; orderUpTo: string }
) =>
  h.sql(
    `insert into reorder_level (warehouse_id, part_id, reorder_point, order_up_to, basis, computed_at) values ($1, $2, $3, $4, 'computed', now())
     on conflict (warehouse_id, part_id) do update set reorder_point = excluded.reorder_point, order_up_to = excluded.order_up_to`,
    [warehouseId, partId, reorderPoint, orderUpTo]
  )

/** Reconciles one kind, as a job does. */
export const reconciled = (h: Harness, kind: AlertKind, asked?: Asked) =>
  inTransaction(h.contextOf(systemActor), async (ctx) => {
    await lockAlerts(ctx)
    return reconcile(ctx, kind, asked)
  })

export interface AlertRow {
  id: string
  kind: string
  subject: string
  state: string
  level: number
  details: any
}

/** Every alert of a warehouse, oldest first. */
export const alertsOf = (h: Pick<Harness, 'sql'>, warehouseId: number, kind?: AlertKind): Promise<AlertRow[]> =>
  h.sql<AlertRow>(
    `select id, kind, subject, state, level, details from alert where warehouse_id = $1 and ($2::text is null or kind = $2) order by id`,
    [warehouseId, kind ?? null]
  )

export const eventsOf = async (h: Pick<Harness, 'sql'>, alert: string): Promise<string[]> =>
  (await h.sql<{ event: string }>(`select event from alert_event where alert_id = $1 order by id`, [alert])).map(
    ({ event }) => event
  )
