import { oneOf } from '../platform/schemas.ts'

/** What other systems can be told (R-ALR-3). A body is `{ type, timestamp, data }`; `data` looks like the example. */
export const WEBHOOK_EVENTS = {
  'slip.submitted': {
    summary: 'A slip was submitted for its signatures (提交)',
    data: { ...slip('awaiting-signatures'), by: 'keeper@hq' }
  },
  'slip.signed': {
    summary: 'A slip was signed for one duty; isLate after an emergency release (签字、补签)',
    data: { ...slip('approved'), by: 'finance@hq', duty: 'finance-supervisor', isLate: false, contentHash: 'c0ffee…' }
  },
  'slip.refused': {
    summary: 'A signer refused a slip, or the keeper its release (拒签、拒绝发货)',
    data: { ...slip('refused'), by: 'finance@hq', duty: 'finance-supervisor', reason: '数量与维修单不符' }
  },
  'slip.posted': {
    summary: 'A slip took effect: the goods were handed over and the stock moved (过账)',
    data: { ...slip('posted'), by: 'keeper@hq', handedTo: '李雷' }
  },
  'slip.reversed': {
    summary: 'A posted slip was taken back by a reversal slip (红字冲销)',
    data: { ...slip('posted'), by: 'keeper@hq', reversedBy: 'HQ-REV-202611-00001' }
  },
  'slip.released-in-emergency': {
    summary: 'Goods left before the last signature; the stock moved (紧急放行)',
    data: {
      ...slip('posted'),
      by: 'keeper@hq',
      missingDuty: 'finance-supervisor',
      authorisedBy: '王芳',
      reason: '客户停机',
      handedTo: '李雷'
    }
  },
  'stock.below-reorder-point': {
    summary: 'Available and on order together fell to the reorder point (低于再订货点)',
    data: { warehouse: 'HQ', part: 'CH-0234', available: '3', onOrder: '0', reorderPoint: '5' }
  },
  'lot.aged': {
    summary: 'A lot entered its fourth month (超保管期)',
    data: { warehouse: 'HQ', part: 'CH-0234', lot: '4711', receivedOn: '2026-08-03', onHand: '12' }
  },
  'period.closed': {
    summary: 'A month was closed in a warehouse (月结)',
    data: { warehouse: 'HQ', period: '2026-10', sha256: '9f86d081…', charge: '1234.56' }
  },
  'alert.raised': {
    summary: 'An alert was raised (预警产生)',
    data: { alert: '17', kind: 'late-signature', subject: 'HQ-OUT-202611-00017', warehouse: 'HQ' }
  },
  'alert.resolved': {
    summary: 'The cause of an alert is gone (预警解除)',
    data: { alert: '17', kind: 'late-signature', subject: 'HQ-OUT-202611-00017', warehouse: 'HQ' }
  },
  ping: {
    summary: 'Somebody tries an endpoint; it is sent whatever events the endpoint wants (测试)',
    data: { webhook: '3', by: 'admin' }
  }
} as const satisfies Record<string, { summary: string; data: Record<string, unknown> }>

function slip(state: string) {
  return {
    slip: 'HQ-OUT-202611-00017',
    kind: 'issue',
    state,
    warehouse: 'HQ',
    occurredOn: '2026-11-20',
    reference: 'R-2026-0815'
  }
}

export type WebhookEventType = keyof typeof WEBHOOK_EVENTS
export const WEBHOOK_EVENT_TYPES = Object.keys(WEBHOOK_EVENTS) as WebhookEventType[]
/** Those an endpoint may ask for. */
export const WANTED_TYPES = WEBHOOK_EVENT_TYPES.filter((type) => type !== 'ping')

export const WebhookEventName = oneOf(WANTED_TYPES, `Event (事件): ${WANTED_TYPES.join(', ')}`)

/** The events in the history of a document that are told where the document is a slip. */
export const OF_SLIPS: Readonly<Record<string, WebhookEventType>> = {
  'document.submitted': 'slip.submitted',
  'document.signed': 'slip.signed',
  'document.signed-late': 'slip.signed',
  'document.refused': 'slip.refused',
  'document.release-refused': 'slip.refused',
  'document.posted': 'slip.posted',
  'document.reversed': 'slip.reversed',
  'document.released-in-emergency': 'slip.released-in-emergency'
}

/** Events of the outbox that are told as they are. */
export const AS_THEY_ARE: readonly string[] = [
  'stock.below-reorder-point',
  'lot.aged',
  'period.closed',
  'alert.raised',
  'alert.resolved'
] satisfies WebhookEventType[]
