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
  'loaner.lent': {
    summary: 'A loaner unit went out to a customer (备用机借出)',
    data: { ...loan(), dueOn: '2026-12-04', slip: 'HQ-LNO-202611-00001' }
  },
  'loaner.returned': {
    summary: 'A loaner unit came back (备用机归还)',
    data: { ...loan(), dueOn: '2026-12-04', outcome: 'usable', slip: 'HQ-LNI-202612-00001' }
  },
  'loaner.overdue': {
    summary: 'A loaner unit is out past the day it was due back (备用机逾期)',
    data: { ...loan(), dueOn: '2026-12-04' }
  },
  'loaner.customer-notice': {
    summary:
      'The customer is to be told that the repair is ready, for the n-th time; `escalated` when all notices went unanswered. Who the customer is, the loan says (维修完成通知)',
    data: { ...loan(), receiptNumber: 'JT-000815', notice: 1, of: 4, escalated: false }
  },
  'tool.issued': {
    summary:
      'A tool came into the custody of a technician, from the shelf or, with handedOverBy, from another one (工具领用、交接)',
    data: { ...tool(), document: 'HQ-TIS-202611-00001' }
  },
  'tool.returned': {
    summary: 'A tool came back to the shelf from the custody of a technician (工具退还)',
    data: { ...tool(), document: 'HQ-TRT-202612-00001' }
  },
  'tool.lost': {
    summary: 'The loss of a tool was approved; it left the register’s living part (工具丢失)',
    data: { ...tool(), document: 'HQ-TLR-202612-00001' }
  },
  'alert.raised': {
    summary: 'An alert was raised (预警产生)',
    data: { alert: '17', kind: 'late-signature', subject: 'HQ-OUT-202611-00017', warehouse: 'HQ' }
  },
  'alert.resolved': {
    summary: 'The cause of an alert is gone (预警解除)',
    data: { alert: '17', kind: 'late-signature', subject: 'HQ-OUT-202611-00017', warehouse: 'HQ' }
  },
  'request.created': {
    summary: 'An outlet requested parts (请购)',
    data: { ...request(), by: 'outlet-clerk@sz11', value: '960.00', lines: 2 }
  },
  'request.line-allocated': {
    summary: 'Goods were found for a line and are reserved, here or elsewhere (已分配)',
    data: {
      ...request(),
      by: 'outlet-clerk@sz11',
      line: 1,
      allocations: [
        {
          allocation: 1,
          part: 'CH-0234',
          quantity: '2',
          from: 'SZ01',
          step: 'centre',
          ready: true,
          needsConfirmation: false
        }
      ]
    }
  },
  'request.line-displaced': {
    summary: 'Goods of a line were taken for an emergency; it is planned anew (被抢修占用)',
    data: {
      ...request(),
      by: 'outlet-clerk@dg11',
      line: 1,
      part: 'CH-0234',
      quantity: '2',
      displacedBy: 'DG11-REQ-202611-00003'
    }
  },
  'request.line-lost': {
    summary:
      'Goods of a line will not come, by a recall or a transfer that did not bring them; it is planned anew (货源取消)',
    data: { ...request(), by: 'system', line: 1, part: 'CH-0234', quantity: '1', because: 'recall HQ-RCL-202611-00001' }
  },
  'request.line-backordered': {
    summary: 'Nobody has what a line is short of; it is backordered with a promised day (缺货登记)',
    data: {
      ...request(),
      by: 'outlet-clerk@sz11',
      line: 2,
      quantity: '1',
      backorder: 'SZ11-BKO-202611-00002',
      promisedOn: '2026-12-08',
      basis: 'lead-time'
    }
  },
  'request.ready': {
    summary: 'Goods of a line lie at the centre and can be handed out (可提货)',
    data: { ...request(), by: 'keeper@sz01', line: 1, part: 'CH-0234', quantity: '2' }
  },
  'request.issued': {
    summary: 'Goods were handed out to the outlet (已发货)',
    data: {
      ...request(),
      by: 'system',
      slips: ['SZ01-OUT-202611-00031'],
      lines: [{ line: 1, part: 'CH-0234', quantity: '2' }]
    }
  },
  'request.issue-reversed': {
    summary: 'What was handed out was taken back by a reversal; the line is planned anew (发货冲销)',
    data: {
      ...request(),
      by: 'system',
      slips: ['SZ01-REV-202611-00003'],
      lines: [{ line: 1, part: 'CH-0234', quantity: '2' }]
    }
  },
  'request.cancelled': {
    summary: 'Lines were cancelled, in part or whole (取消)',
    data: {
      ...request(),
      by: 'outlet-clerk@sz11',
      reason: '客户自行解决',
      lines: [{ line: 2, part: 'CH-0235', quantity: '1' }]
    }
  },
  'request.expired': {
    summary: 'What was kept for the outlet was not fetched or confirmed in time and is released (预留过期)',
    data: {
      ...request(),
      by: 'system',
      reason: 'not fetched by 2026-12-10',
      lines: [{ line: 1, part: 'CH-0234', quantity: '1' }]
    }
  },
  'request.done': {
    summary: 'Everything that was not cancelled has been issued (完成)',
    data: { ...request('done'), by: 'system' }
  },
  'backorder.promised': {
    summary: 'The day on which a backorder can be met was promised, or promised anew (承诺到货日)',
    data: { ...backorder('waiting'), by: 'stock-controller@hq', because: '厂家确认发货', was: '2026-12-01' }
  },
  'backorder.answered': {
    summary: 'Somebody answered what becomes of a backorder (缺货答复)',
    data: { ...backorder('waiting'), by: 'stock-controller@hq', text: '厂家确认 12 月 8 日到货' }
  },
  'backorder.arrived': {
    summary: 'Goods are there for a backorder; confirm that they are still needed (到货,请确认)',
    data: { ...backorder('allocated'), by: 'keeper@sz01', from: 'SZ01' }
  },
  'backorder.cancelled': {
    summary: 'A backorder is not needed any more (缺货取消)',
    data: { ...backorder('cancelled'), waiting: '0', by: 'outlet-clerk@sz11', reason: '客户已退机' }
  },
  'transfer.dispatched': {
    summary: 'Goods of a transfer left the giver (调拨出库)',
    data: {
      ...transfer('in-transit'),
      by: 'keeper@sh01',
      slip: 'SH01-TRO-202611-00004',
      lines: [{ line: 1, part: 'CH-0234', quantity: '2' }]
    }
  },
  'transfer.received': {
    summary: 'Goods of a transfer arrived, whole or in part (调拨入库)',
    data: {
      ...transfer('received'),
      by: 'keeper@sz01',
      slip: 'SZ01-TRI-202611-00002',
      lines: [{ line: 1, part: 'CH-0234', quantity: '2' }]
    }
  },
  'transfer.called-back': {
    summary: 'What did not arrive went back to the giver (调拨召回)',
    data: {
      ...transfer('called-back'),
      by: 'keeper@sh01',
      slip: 'SH01-TRI-202611-00001',
      lines: [{ line: 1, part: 'CH-0234', quantity: '2' }]
    }
  },
  'deposit.changed': {
    summary: 'The deposit of an outlet, what is held of it or its limit changed (押金变动)',
    data: { warehouse: 'SZ11', balance: '20000.00', held: '960.00', free: '19040.00', lowLimit: '5000.00', entries: 1 }
  },
  'old-part.due': {
    summary: 'An old part is due back for an exchange part that was issued (应交旧件)',
    data: { ...oldPart(), by: 'keeper@sz01', slip: 'SZ01-OUT-202611-00031', line: 1 }
  },
  'old-part.returned': {
    summary: 'An old part came back (旧件交回)',
    data: { ...oldPart(), by: 'keeper@sz01', slip: 'SZ01-OLD-202611-00005' }
  },
  'old-part.written-off': {
    summary: 'An old part will not come back; its compensation is charged (旧件核销)',
    data: { ...oldPart(), by: 'finance-supervisor@sz01', writeOff: 1, amount: '480.00', chargedTo: 'deposit' }
  },
  'recall.started': {
    summary: 'A recall takes effect: its goods are blocked everywhere (召回开始)',
    data: { recall: 'HQ-RCL-202611-00001', title: '压缩机漏电', parts: ['CH-0234'] }
  },
  'recall.ended': {
    summary: 'A recall was lifted, in part or whole, or closed (召回解除、关闭)',
    data: { recall: 'HQ-RCL-202611-00001', title: '压缩机漏电', parts: ['CH-0234'], how: 'lifted' }
  },
  'handover.completed': {
    summary: 'A warehouse was handed over: from the cut-off on the incoming keeper answers for it (工作移交完成)',
    data: {
      handover: 'HQ-HOV-202611-00001',
      warehouse: 'HQ',
      outgoing: 'keeper@hq',
      incoming: 'technician@hq',
      because: '调任网点主管',
      isAbsent: false,
      cutOffAt: '2026-11-20T02:00:00Z',
      position: '1042',
      contentHash: 'c0ffee…',
      by: 'finance-supervisor@hq'
    }
  },
  ping: {
    summary: 'Somebody tries an endpoint; it is sent whatever events the endpoint wants (测试)',
    data: { webhook: '3', by: 'admin' }
  }
} as const satisfies Record<string, { summary: string; data: Record<string, unknown> }>

function loan() {
  return {
    warehouse: 'HQ',
    loan: 'HQ-LON-202611-00001',
    serial: 'BY-2026-00017',
    model: 'WM-LOAN-8',
    repairOrder: 'RO-2026-0815'
  }
}

function tool() {
  return {
    warehouse: 'HQ',
    serial: 'GJ-2026-00031',
    name: 'Digital multimeter',
    nameZh: '数字万用表',
    model: 'FL-17B',
    technician: 'technician@hq'
  }
}

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

function request(state = 'open') {
  return {
    request: 'SZ11-REQ-202611-00007',
    outlet: 'SZ11',
    centre: 'SZ01',
    urgency: 'normal',
    state,
    needBy: '2026-11-25',
    repairOrder: 'WX-2026-0815'
  }
}

function backorder(state: string) {
  return {
    backorder: 'SZ11-BKO-202611-00002',
    request: 'SZ11-REQ-202611-00007',
    line: 2,
    outlet: 'SZ11',
    centre: 'SZ01',
    part: 'CH-0235',
    quantity: '1',
    waiting: '1',
    state,
    promisedOn: '2026-12-08'
  }
}

function transfer(state: string) {
  return {
    transfer: 'SH01-TRF-202611-00004',
    from: 'SH01',
    to: 'SZ01',
    directTo: null,
    state,
    carriage: 'express',
    reference: 'SZ11-REQ-202611-00007'
  }
}

function oldPart() {
  return {
    oldPart: 'SZ11-OLP-202611-00009',
    outlet: 'SZ11',
    centre: 'SZ01',
    part: 'CH-0234',
    quantity: '1',
    dueOn: '2026-12-20',
    reference: 'WX-2026-0815'
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

/** What is told of other documents, by what happened to them. */
export const OF_NETWORK = {
  request: {
    'document.requested': 'request.created',
    'document.allocated': 'request.line-allocated',
    'document.displaced': 'request.line-displaced',
    'document.allocation-lost': 'request.line-lost',
    'document.backordered': 'request.line-backordered',
    'document.ready': 'request.ready',
    'document.issued': 'request.issued',
    'document.issue-reversed': 'request.issue-reversed',
    'document.cancelled': 'request.cancelled',
    'document.expired': 'request.expired',
    'document.done': 'request.done'
  },
  backorder: {
    'document.registered': 'backorder.promised',
    'document.promised': 'backorder.promised',
    'document.answered': 'backorder.answered',
    'document.arrived': 'backorder.arrived',
    'document.cancelled': 'backorder.cancelled'
  },
  transfer: {
    'document.dispatched': 'transfer.dispatched',
    'document.received': 'transfer.received',
    'document.called-back': 'transfer.called-back'
  },
  oldPart: {
    'document.old-part-opened': 'old-part.due',
    'document.old-part-returned': 'old-part.returned',
    'document.write-off-approved': 'old-part.written-off'
  },
  deposit: { 'deposit.changed': 'deposit.changed' },
  handover: { 'document.handed-over': 'handover.completed' },
  recall: { 'recall.started': 'recall.started', 'recall.lifted': 'recall.ended', 'recall.closed': 'recall.ended' }
} as const satisfies Record<string, Record<string, WebhookEventType>>
export type NetworkDocument = keyof typeof OF_NETWORK

/** Events of the outbox that are told as they are. */
export const AS_THEY_ARE: readonly string[] = [
  'stock.below-reorder-point',
  'lot.aged',
  'period.closed',
  'loaner.lent',
  'loaner.returned',
  'loaner.overdue',
  'loaner.customer-notice',
  'tool.issued',
  'tool.returned',
  'tool.lost',
  'alert.raised',
  'alert.resolved'
] satisfies WebhookEventType[]
