import type { Duty } from '../identity/actor.ts'

/** The kinds of R-ALR-1 whose rooms exist, in the order in which lists of kinds name them. */
export const ALERT_KINDS = [
  'reorder-point',
  'lot-aging-soon',
  'lot-aged',
  'late-signature',
  'count-due',
  'count-report-due',
  'statement-due',
  'ledger-fault'
] as const
export type AlertKind = (typeof ALERT_KINDS)[number]

export const ALERT_KIND_NAMES: Record<AlertKind, string> = {
  'reorder-point': '低于订货点',
  'lot-aging-soon': '批次下月进入第四个月',
  'lot-aged': '批次进入第四个月',
  'late-signature': '补签逾期',
  'count-due': '月末盘点未完成',
  'count-report-due': '盘点表未上报',
  'statement-due': '月结未完成',
  'ledger-fault': '账务自检异常'
}

export const ALERT_STATES = ['open', 'acknowledged', 'resolved'] as const
export type AlertState = (typeof ALERT_STATES)[number]

export const ALERT_EVENTS = ['raised', 'acknowledged', 'escalated', 'reminded', 'resolved'] as const
export type AlertEventName = (typeof ALERT_EVENTS)[number]

/** What each kind says about its cause. Quantities and amounts are decimal strings. */
export interface AlertDetails {
  'reorder-point': {
    part: string
    name: string
    nameZh: string | null
    unit: string
    available: string
    onOrder: string
    reorderPoint: string
    orderUpTo: string
  }
  'lot-aging-soon': LotDetails
  'lot-aged': LotDetails
  'late-signature': {
    slip: string
    slipKind: string
    missingDuty: Duty
    dueAt: string
    releasedAt: string
    releasedBy: string
    authorisedBy: string | null
  }
  'count-due': { period: string; dueOn: string; count: string | null; countState: string | null }
  'count-report-due': { period: string; dueOn: string; count: string | null; countState: string | null }
  'statement-due': { period: string; dueOn: string }
  'ledger-fault': {
    check: string
    findings: number
    first: { subject: string; expected: string; found: string }[]
  }
}

interface LotDetails {
  part: string
  name: string
  nameZh: string | null
  unit: string
  lot: string
  condition: 'qualified' | 'nonconforming'
  receivedOn: string
  /** The month in which the lot enters its fourth month. */
  month: string
  onHand: string
  cost: string
}

export const isAlertKind = (kind: unknown): kind is AlertKind => (ALERT_KINDS as readonly unknown[]).includes(kind)
