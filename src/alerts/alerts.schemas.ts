import { Type, type Static } from 'typebox'
import { DutyName } from '../identity/identity.schemas.ts'
import {
  closed,
  Day,
  Instant,
  limitAndCursor,
  named,
  nullable,
  oneOf,
  pageOf,
  ref,
  WarehouseCode
} from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'
import { ALERT_EVENTS, ALERT_KINDS, ALERT_STATES } from './alert-kinds.ts'

export const AlertKind = oneOf(ALERT_KINDS, 'Kind of alert (预警类别)')
const AlertState = oneOf(ALERT_STATES, 'open; acknowledged by somebody; resolved: its cause is gone')
export const AlertId = Type.String({
  pattern: '^[1-9][0-9]{0,17}$',
  description: 'Number of the alert',
  examples: ['17']
})
export const AlertParams = Type.Object({ id: AlertId })

const members = {
  id: AlertId,
  warehouse: WarehouseCode,
  warehouseName: Type.String(),
  warehouseNameZh: nullable(Type.String()),
  region: RegionCode,
  kind: AlertKind,
  kindName: Type.String({ description: 'Name of the kind in your language' }),
  kindZh: Type.String({ description: 'Name of the kind in Chinese' }),
  subject: Type.String({
    description: 'What it is about: part number, lot, document or line of one, outlet, month or check'
  }),
  title: Type.String({ description: 'What is the matter, in your language' }),
  whatToDo: Type.String({ description: 'What to do, in your language' }),
  links: Type.Array(Type.String(), { description: 'Where the API tells more of it' }),
  state: AlertState,
  level: Type.Integer({ description: 'How often it was escalated to a next duty' }),
  addressedTo: Type.Array(ref(DutyName), { description: 'Duties whose holders are told' }),
  addressedToPeople: Type.Array(Type.String(), {
    description: 'User names of those who are told besides, because the cause names them (点名通知)'
  }),
  details: Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    additionalProperties: true,
    description: 'The figures of the cause, brought up to date in place; they differ by kind'
  }),
  raisedAt: Instant,
  updatedAt: Instant,
  escalatedAt: nullable(Instant),
  acknowledgedAt: nullable(Instant),
  acknowledgedBy: nullable(Type.String({ description: 'User name' })),
  note: nullable(Type.String()),
  remindedOn: nullable(Day),
  reminder: nullable(Type.String({ description: 'How often and when there was a reminder, in your language' })),
  resolvedAt: nullable(Instant)
}

export const AlertView = named(
  'Alert',
  Type.Object(members, { description: 'Something that wants somebody to act (预警)' })
)
export type AlertView = Static<typeof AlertView>
export const AlertPage = pageOf(AlertView)

const AlertEventView = Type.Object({
  at: Instant,
  event: oneOf(ALERT_EVENTS, 'What happened'),
  by: nullable(Type.String({ description: 'User name; null if the service did it' })),
  details: nullable(Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }))
})

export const AlertWithHistory = named(
  'AlertWithHistory',
  Type.Object(
    { ...members, history: Type.Array(AlertEventView, { description: 'Oldest first' }) },
    { description: 'An alert and all that happened to it (预警及其经过)' }
  )
)
export type AlertWithHistory = Static<typeof AlertWithHistory>

const filter = {
  warehouse: Type.Optional(WarehouseCode),
  region: Type.Optional(RegionCode),
  mine: Type.Optional(
    Type.Boolean({ description: 'Only those you are told of, by your duties of today or because they name you' })
  )
}
export const AlertQuery = Type.Object(
  { ...filter, kind: Type.Optional(AlertKind), state: Type.Optional(AlertState), ...limitAndCursor },
  closed
)
export type AlertQuery = Static<typeof AlertQuery>

export const AlertSummaryQuery = Type.Object(filter, closed)
export type AlertSummaryQuery = Static<typeof AlertSummaryQuery>

const count = (description: string) => Type.Integer({ description })
export const AlertSummary = named(
  'AlertSummary',
  Type.Object(
    {
      items: Type.Array(
        Type.Object({
          kind: AlertKind,
          kindName: Type.String(),
          kindZh: Type.String(),
          open: count('Acknowledged by nobody yet'),
          acknowledged: count('Acknowledged, and the cause is still there'),
          escalated: count('Of both, those that were escalated'),
          resolved: count('The cause is gone')
        }),
        { description: 'Every kind, also those without an alert' }
      )
    },
    { description: 'How many alerts there are, by kind and state (预警汇总)' }
  )
)
export type AlertSummary = Static<typeof AlertSummary>

export const AcknowledgeAlertBody = named(
  'AlertAcknowledgement',
  Type.Object(
    {
      note: Type.String({
        minLength: 1,
        maxLength: 1000,
        pattern: '\\S',
        description: 'What is being done about it',
        examples: ['已从上海仓调拨,周五到货']
      })
    },
    { ...closed, examples: [{ note: '已从上海仓调拨,周五到货' }] }
  )
)

export const AlertStreamQuery = Type.Object({ mine: filter.mine }, closed)
export const AlertStreamHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      pattern: '^(0|[1-9][0-9]{0,17})$',
      description: 'Id of the last event you have; those after it come first',
      examples: ['204']
    })
  )
})

const Ladder = Type.Array(Type.Array(ref(DutyName), { minItems: 1, maxItems: 10 }), {
  minItems: 1,
  maxItems: 5,
  description:
    'Rungs of duties: holders of the first are told at once, those of each next one when nobody acknowledged in time'
})
const policyMembers = {
  ladder: Ladder,
  escalateAfterHours: nullable(
    Type.Integer({ minimum: 1, maximum: 8760, description: 'Hours from one rung to the next; null: never' })
  ),
  mail: oneOf(['immediately', 'digest', 'none'], 'By e-mail at once, in the digest of the day, or not'),
  enabled: Type.Boolean({ description: 'false: none are raised, and those that are open are resolved' })
}
export const AlertPolicyView = named(
  'AlertPolicy',
  Type.Object(
    { kind: AlertKind, kindZh: Type.String({ description: 'Name of the kind in Chinese' }), ...policyMembers },
    { description: 'Who is told of a kind of alert, and when others are (预警规则)' }
  )
)
export type AlertPolicyView = Static<typeof AlertPolicyView>
export const AlertPolicyList = named('AlertPolicyList', Type.Object({ items: Type.Array(ref(AlertPolicyView)) }))
export const AlertPolicyParams = Type.Object({
  kind: Type.Unsafe<(typeof ALERT_KINDS)[number]>({ ...AlertKind, examples: ['late-signature'] })
})
export const SetAlertPolicyBody = named(
  'SetAlertPolicy',
  Type.Object(policyMembers, {
    ...closed,
    examples: [
      {
        ladder: [['keeper'], ['department-head', 'finance-supervisor'], ['stock-controller']],
        escalateAfterHours: 24,
        mail: 'immediately',
        enabled: true
      }
    ]
  })
)
export type SetAlertPolicyBody = Static<typeof SetAlertPolicyBody>
