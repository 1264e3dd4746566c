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
  'ledger-fault',
  'request-clock-soon',
  'request-clock',
  'backorder-answer-soon',
  'backorder-answer-due',
  'reservation-expiring',
  'transfer-in-transit',
  'deposit-low',
  'old-part-outstanding',
  'recall',
  'loaner-due-soon',
  'loaner-overdue',
  'loaner-notice-unanswered',
  'loaner-fleet-short',
  'handover-open',
  'handover-signer',
  'keeper-missing',
  'tool-calibration-due',
  'tool-custody-unconfirmed',
  'tool-loss-open',
  'tool-custody-orphaned'
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
  'ledger-fault': '账务自检异常',
  'request-clock-soon': '请购即将到期',
  'request-clock': '请购逾期',
  'backorder-answer-soon': '缺货即将逾期未答复',
  'backorder-answer-due': '缺货逾期未答复',
  'reservation-expiring': '预留即将过期',
  'transfer-in-transit': '调拨在途超期',
  'deposit-low': '押金不足',
  'old-part-outstanding': '旧件逾期未交回',
  recall: '召回',
  'loaner-due-soon': '备用机即将到期',
  'loaner-overdue': '备用机逾期未还',
  'loaner-notice-unanswered': '取机通知无人答复',
  'loaner-fleet-short': '备用机配备不足',
  'handover-open': '工作移交未完成',
  'handover-signer': '工作移交待接任、签字',
  'keeper-missing': '仓库无在岗仓管员',
  'tool-calibration-due': '工具检定到期',
  'tool-custody-unconfirmed': '工具核对未确认',
  'tool-loss-open': '工具丢失损坏未结',
  'tool-custody-orphaned': '工具保管人离岗'
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
  'request-clock-soon': ClockDetails
  'request-clock': ClockDetails
  'backorder-answer-soon': BackorderDetails
  'backorder-answer-due': BackorderDetails
  'reservation-expiring': PartDetails & {
    request: string
    line: number
    centre: string
    quantity: string
    expiresOn: string
    /** Goods that came for a backorder, and nobody has said whether they are still needed. */
    needsConfirmation: boolean
  }
  'transfer-in-transit': {
    transfer: string
    /** Which end of it the warehouse is. */
    end: 'giver' | 'receiver'
    from: string
    to: string
    sentOn: string
    quantity: string
    value: string
  }
  'deposit-low': { outlet: string; balance: string; held: string; free: string; lowLimit: string }
  'old-part-outstanding': PartDetails & {
    oldPart: string
    quantity: string
    dueOn: string
    value: string
    reference: string | null
  }
  recall: {
    recall: string
    title: string
    reason: string
    /** Stock units that lie here and are blocked. */
    blocked: string
    /** What the warehouse was issued, and has not answered for. */
    got: string
    /** Loaner units of it that customers of the warehouse have; absent if none. */
    lent?: number
  }
  'loaner-due-soon': LoanDetails
  'loaner-overdue': LoanDetails
  'loaner-notice-unanswered': {
    loan: string
    serial: string
    repairOrder: string
    receiptNumber: string
    readyAt: string
    notices: number
  }
  'loaner-fleet-short': {
    region: string
    family: string
    installed: number
    target: number
    units: number
    shortfall: number
  }
  'handover-open': {
    handover: string
    state: 'draft' | 'awaiting-signatures'
    outgoing: string
    incoming: string
    drawnUpOn: string
  }
  'handover-signer': {
    handover: string
    /** A draft only tells the incoming keeper that it names them. */
    state: 'draft' | 'awaiting-signatures'
    /** As whom somebody is to sign. */
    party: 'outgoing-keeper' | 'incoming-keeper' | 'department-head' | 'finance-supervisor'
    /** The keeper who signs in person; null for a duty. */
    signer: string | null
    outgoing: string
    incoming: string
  }
  'keeper-missing': {
    /** The first day on which nobody is keeper. */
    from: string
    /** Whether that day has come. */
    isMissing: boolean
    /** Who is or was keeper last, and until which day; null if that was not to end and the person is inactive. */
    keeper: string
    until: string | null
    /** A handover that is under way. */
    handover: string | null
    /** Who is told because nobody holds the duties that are told first. */
    toldInstead: Duty | null
  }
  'tool-calibration-due': ToolDetails & { dueOn: string; isOverdue: boolean; technician: string | null }
  'tool-custody-unconfirmed': {
    round: string
    dueOn: string
    isOverdue: boolean
    /** How many have not confirmed, or have a loss to report. */
    outstanding: number
    /** The first of them. */
    technicians: string[]
  }
  'tool-loss-open': ToolDetails & {
    loss: string
    lossKind: 'lost' | 'damaged'
    lossState: 'reported' | 'approved'
    technician: string | null
    reportedAt: string
  }
  'tool-custody-orphaned': {
    technician: string
    name: string
    tools: number
    /** The first of them. */
    serials: string[]
    /** Whether that person is no technician there today; else soon. */
    isOrphaned: boolean
    /** The last day of the duty that is or was for them; null if there was none, or none with an end. */
    until: string | null
  }
}

interface ToolDetails {
  serial: string
  name: string
  nameZh: string | null
}

interface PartDetails {
  part: string
  name: string
  nameZh: string | null
  unit: string
}

interface ClockDetails extends PartDetails {
  request: string
  line: number
  outlet: string
  urgency: 'normal' | 'emergency'
  piece: 'in-stock' | 'backordered'
  workingDays: number
  startedAt: string
  dueOn: string
}

interface BackorderDetails extends PartDetails {
  backorder: string
  request: string
  outlet: string
  quantity: string
  registeredAt: string
  answerDueAt: string
  promisedOn: string | null
}

interface LoanDetails {
  loan: string
  serial: string
  model: string
  name: string
  nameZh: string | null
  repairOrder: string
  dueOn: string
  extensions: number
}

interface LotDetails extends PartDetails {
  lot: string
  condition: 'qualified' | 'nonconforming'
  receivedOn: string
  /** The month in which the lot enters its fourth month. */
  month: string
  onHand: string
  cost: string
}

export const isAlertKind = (kind: unknown): kind is AlertKind => (ALERT_KINDS as readonly unknown[]).includes(kind)
