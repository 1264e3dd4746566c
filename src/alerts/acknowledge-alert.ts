import { requireDuty, type Context } from '../identity/actor.ts'
import { requirePerson } from '../identity/require-person.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { isNamed } from './addressees.ts'
import { alertById, readAlert } from './alerts.queries.ts'
import type { AlertWithHistory } from './alerts.schemas.ts'
import { instantOrNull } from '../platform/clock.ts'
import type { AlertRow } from './alert-view.ts'
import { writingAlerts } from './reconcile.ts'

const ACKNOWLEDGE = statement<never>(`
with acknowledged as (
  update alert set state = 'acknowledged', acknowledged_by = $3, acknowledged_at = $4, note = $5, updated_at = $4
   where warehouse_id = $1 and id = $2
  returning warehouse_id, id
)
insert into alert_event (warehouse_id, alert_id, event, at, person_id, details)
select warehouse_id, id, 'acknowledged', $4, $3, jsonb_build_object('note', $5::text) from acknowledged`)

/**
 * Takes an alert on: it is not escalated any more, and stays until its cause is gone (R-ALR-1). A person does, not a key: whoever
 * acknowledges answers for it.
 * @throws Refusal 404, 403 `DutyRequired` or `PersonRequired`, 409 `AlertNotOpen`, 503 `AlertsBusy`
 */
export async function acknowledgeAlert(
  ctx: Context,
  { id, note }: { id: string; note: string }
): Promise<AlertWithHistory> {
  // Whoever may not does not wait for those who write alerts.
  await requireAddressee(ctx, id)
  return writingAlerts(ctx, async (inner) => {
    const alert = await requireAddressee(inner, id)
    if (alert.state !== 'open') {
      const acknowledgedAt = instantOrNull(alert.acknowledgedAt)
      throw new Refusal(
        'AlertNotOpen',
        409,
        alert.state === 'resolved'
          ? `alert ${id} is resolved: its cause is gone, and nothing is left to do`
          : `alert ${id} was acknowledged by ${alert.acknowledgedBy} at ${acknowledgedAt}; one person answers for it`,
        { extra: { state: alert.state, acknowledgedBy: alert.acknowledgedBy, acknowledgedAt } }
      )
    }
    await run(inner, ACKNOWLEDGE, [
      alert.warehouseId,
      id,
      inner.actor.personId,
      inner.clock.now().toString(),
      note.trim()
    ])
    return readAlert(inner, { id })
  })
}

async function requireAddressee(ctx: Context, id: string): Promise<AlertRow> {
  const alert = await alertById(ctx, id)
  if (!isNamed(ctx, alert))
    requireDuty(ctx, alert.addressedTo, { id: alert.warehouseId, code: alert.warehouse, regionId: alert.regionId })
  requirePerson(ctx)
  return alert
}
