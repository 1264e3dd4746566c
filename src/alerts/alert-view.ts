import type { Context, Duty } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { DUTIES_TOLD } from './addressees.ts'
import { ALERT_KIND_NAMES, type AlertDetails, type AlertKind, type AlertState } from './alert-kinds.ts'
import { alertText, reminderText, type Language } from './alert-texts.ts'
import type { AlertView } from './alerts.schemas.ts'

export interface AlertRow {
  id: string
  warehouseId: number
  warehouse: string
  warehouseName: string
  warehouseNameZh: string | null
  regionId: number
  region: string
  kind: AlertKind
  subject: string
  state: AlertState
  level: number
  addressedTo: Duty[]
  /** Ids of those whom it names, and their user names. */
  people: number[]
  addressedToPeople: string[]
  details: AlertDetails[AlertKind]
  raisedAt: string
  updatedAt: string
  escalatedAt: string | null
  acknowledgedAt: string | null
  acknowledgedBy: string | null
  note: string | null
  remindedOn: string | null
  reminders: number
  isDayAssumed: boolean
  resolvedAt: string | null
}

export const ALERT_COLUMNS = `a.id::text as id, a.warehouse_id as "warehouseId", w.code as warehouse, w.name as "warehouseName", w.name_zh as "warehouseNameZh",
       w.region_id as "regionId", region.code as region, a.kind, a.subject, a.state, a.level, ${DUTIES_TOLD} as "addressedTo", a.people,
       array(select named.username from person named where named.id = any (a.people) order by 1) as "addressedToPeople", a.details,
       a.raised_at as "raisedAt", a.updated_at as "updatedAt", a.escalated_at as "escalatedAt", a.acknowledged_at as "acknowledgedAt",
       acknowledger.username as "acknowledgedBy", a.note, a.reminded_on::text as "remindedOn", a.reminders, a.is_day_assumed as "isDayAssumed", a.resolved_at as "resolvedAt"`

/** Of alert `a` its warehouse `w`, policy `p` and who acknowledged it. */
export const alertJoins = `join warehouse w on w.id = a.warehouse_id
  join region on region.id = w.region_id
  join alert_policy p on p.kind = a.kind
  left join person acknowledger on acknowledger.id = a.acknowledged_by`

/** An alert as it leaves the room, in a language. */
export function alertView(ctx: Pick<Context, 'config'>, row: AlertRow, language: Language): AlertView {
  const { warehouseId: _warehouse, regionId: _region, people: _people, reminders, isDayAssumed, details, ...rest } = row
  const place = { warehouse: row.warehouse, timeZone: ctx.config.BUSINESS_TIME_ZONE }
  return {
    ...rest,
    ...alertText({ kind: row.kind, details }, place, language),
    kindZh: ALERT_KIND_NAMES[row.kind],
    details: details as unknown as Record<string, unknown>,
    raisedAt: instant(row.raisedAt),
    updatedAt: instant(row.updatedAt),
    escalatedAt: instantOrNull(row.escalatedAt),
    acknowledgedAt: instantOrNull(row.acknowledgedAt),
    reminder: reminderText({ reminders, remindedOn: row.remindedOn, isDayAssumed }, language),
    resolvedAt: instantOrNull(row.resolvedAt)
  }
}
