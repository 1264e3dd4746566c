import { expect, test } from 'vitest'
import { ALERT_KIND_NAMES, ALERT_KINDS, type AlertDetails, type AlertKind } from '../../src/alerts/alert-kinds.ts'
import { alertKindName, alertText, reminderText } from '../../src/alerts/alert-texts.ts'

const LOT = {
  part: 'CH/0234',
  name: 'Drive belt',
  nameZh: '传动带',
  unit: 'piece',
  lot: '71',
  condition: 'qualified',
  receivedOn: '2026-08-10',
  month: '2026-11',
  onHand: '2.5',
  cost: '31.25'
} as const
const PART = { part: 'CH/0234', name: 'Drive belt', nameZh: '传动带', unit: 'piece' } as const
const CLOCK = {
  ...PART,
  request: 'SZ11-REQ-202611-00007',
  line: 2,
  outlet: 'SZ11',
  urgency: 'normal',
  piece: 'in-stock',
  workingDays: 2,
  startedAt: '2026-11-18T02:00:00Z',
  dueOn: '2026-11-20'
} as const
const BACKORDER = {
  ...PART,
  backorder: 'SZ11-BKO-202611-00002',
  request: 'SZ11-REQ-202611-00007',
  outlet: 'SZ11',
  quantity: '3',
  registeredAt: '2026-11-13T02:00:00Z',
  answerDueAt: '2026-11-20T02:00:00Z',
  promisedOn: '2026-12-08'
} as const
const LOAN = {
  loan: 'HQ-LON-202611-00001',
  serial: 'BY-17',
  model: 'WM-LOAN-8',
  name: 'Washing machine',
  nameZh: '洗衣机',
  repairOrder: 'RO-815',
  dueOn: '2026-12-04',
  extensions: 0
}
const EXAMPLES: { [Kind in AlertKind]: AlertDetails[Kind] } = {
  'reorder-point': {
    part: 'CH/0234',
    name: 'Drive belt',
    nameZh: null,
    unit: 'piece',
    available: '3',
    onOrder: '0.5',
    reorderPoint: '4',
    orderUpTo: '12'
  },
  'lot-aging-soon': { ...LOT, month: '2026-12' },
  'lot-aged': LOT,
  'late-signature': {
    slip: 'HQ-OUT-202611-00017',
    slipKind: 'issue',
    missingDuty: 'finance-supervisor',
    dueAt: '2026-11-21T02:00:00Z',
    releasedAt: '2026-11-20T02:00:00Z',
    releasedBy: 'keeper@hq',
    authorisedBy: null
  },
  'count-due': { period: '2026-11', dueOn: '2026-11-30', count: null, countState: null },
  'count-report-due': {
    period: '2026-11',
    dueOn: '2026-12-05',
    count: 'HQ-CNT-202611-00001',
    countState: 'counting'
  },
  'statement-due': { period: '2026-11', dueOn: '2026-12-05' },
  'ledger-fault': { check: 'balance-equals-lots-equals-movements', findings: 1, first: [] },
  'request-clock-soon': CLOCK,
  'request-clock': { ...CLOCK, urgency: 'emergency', piece: 'backordered', workingDays: 15 },
  'backorder-answer-soon': BACKORDER,
  'backorder-answer-due': { ...BACKORDER, promisedOn: null },
  'reservation-expiring': {
    ...PART,
    request: 'SZ11-REQ-202611-00007',
    line: 1,
    centre: 'SZ01',
    quantity: '2',
    expiresOn: '2026-11-23',
    needsConfirmation: true
  },
  'transfer-in-transit': {
    transfer: 'SH01-TRF-202611-00004',
    end: 'receiver',
    from: 'SH01',
    to: 'HQ',
    sentOn: '2026-11-10',
    quantity: '5',
    value: '48.00'
  },
  'deposit-low': { outlet: 'SZ11', balance: '900.00', held: '500.00', free: '400.00', lowLimit: '1000.00' },
  'old-part-outstanding': {
    ...PART,
    oldPart: 'SZ11-OLP-202611-00009',
    quantity: '1',
    dueOn: '2026-11-19',
    value: '480.00',
    reference: null
  },
  recall: { recall: 'HQ-RCL-202611-00001', title: 'Cracked hinge', reason: 'breaks', blocked: '4', got: '0' },
  'loaner-due-soon': LOAN,
  'loaner-overdue': { ...LOAN, extensions: 1 },
  'loaner-notice-unanswered': {
    loan: 'HQ-LON-202611-00001',
    serial: 'BY-17',
    repairOrder: 'RO-815',
    receiptNumber: 'JT-7',
    readyAt: '2026-11-20T02:00:00Z',
    notices: 4
  },
  'loaner-fleet-short': { region: 'SZ', family: 'WM-8', installed: 120000, target: 480, units: 470, shortfall: 10 },
  'handover-open': {
    handover: 'HQ-HOV-202611-00001',
    state: 'awaiting-signatures',
    outgoing: 'keeper@hq',
    incoming: 'technician@hq',
    drawnUpOn: '2026-11-16'
  },
  'handover-signer': {
    handover: 'HQ-HOV-202611-00001',
    state: 'awaiting-signatures',
    party: 'incoming-keeper',
    signer: 'technician@hq',
    outgoing: 'keeper@hq',
    incoming: 'technician@hq'
  },
  'keeper-missing': {
    from: '2026-11-23',
    isMissing: false,
    keeper: 'keeper@hq',
    until: '2026-11-22',
    handover: null,
    toldInstead: null
  },
  'tool-calibration-due': {
    serial: 'GJ-31',
    name: 'Multimeter',
    nameZh: '万用表',
    dueOn: '2026-12-01',
    isOverdue: false,
    technician: 'technician@hq'
  },
  'tool-custody-unconfirmed': {
    round: 'HQ-TCR-202611-00001',
    dueOn: '2026-11-20',
    isOverdue: false,
    outstanding: 2,
    technicians: ['li', 'technician@hq']
  },
  'tool-loss-open': {
    loss: 'HQ-TLR-202611-00001',
    serial: 'GJ-31',
    name: 'Multimeter',
    nameZh: '万用表',
    lossKind: 'lost',
    lossState: 'reported',
    technician: 'technician@hq',
    reportedAt: '2026-11-20T02:00:00Z'
  },
  'tool-custody-orphaned': {
    technician: 'technician@hq',
    name: '李雷',
    tools: 2,
    serials: ['GJ-31', 'GJ-32'],
    isOrphaned: false,
    until: '2026-11-25'
  }
}
const PLACE = { warehouse: 'HQ', timeZone: 'Asia/Shanghai' }
const text = <Kind extends AlertKind>(
  kind: Kind,
  language: 'zh' | 'en',
  details: AlertDetails[Kind] = EXAMPLES[kind]
) => alertText({ kind, details }, PLACE, language)

test('every kind says what is the matter, in both languages', () => {
  expect(
    Object.fromEntries(ALERT_KINDS.map((kind) => [kind, [text(kind, 'zh').title, text(kind, 'en').title]]))
  ).toEqual({
    'reorder-point': [
      'HQ 仓库 CH/0234 Drive belt:可用 3,在途 0.5,已到订货点 4',
      'CH/0234 Drive belt in HQ: 3 available and 0.5 on order have reached the reorder point 4'
    ],
    'lot-aging-soon': [
      '批次 71(CH/0234 传动带,结存 2.5,原值 31.25)将于 2026-12 进入第四个月',
      'Lot 71 (CH/0234 Drive belt, 2.5 on hand, cost 31.25) enters its fourth month in 2026-12'
    ],
    'lot-aged': [
      '批次 71(CH/0234 传动带,结存 2.5,原值 31.25)已进入第四个月',
      'Lot 71 (CH/0234 Drive belt, 2.5 on hand, cost 31.25) is in its fourth month'
    ],
    'late-signature': [
      'HQ-OUT-202611-00017 紧急放行后缺财务主管补签,应于 2026-11-21 10:00 前完成(放行人 keeper@hq)',
      'HQ-OUT-202611-00017 was released in an emergency by keeper@hq; the signature of the finance-supervisor was due by 2026-11-21 10:00'
    ],
    'count-due': [
      'HQ 仓库 2026-11 月末盘点未批准(应于 2026-11-30 完成,尚未开始)',
      'The month-end count of 2026-11 in HQ is not approved (due on 2026-11-30; not opened)'
    ],
    'count-report-due': [
      'HQ 仓库 2026-11 盘点表未在 2026-12-05 前报总公司分管部',
      'HQ did not send the count report of 2026-11 to the HQ stock controller by 2026-12-05'
    ],
    'statement-due': ['HQ 仓库 2026-11 未在 2026-12-05 前月结', '2026-11 of HQ was not closed by 2026-12-05'],
    'ledger-fault': [
      'HQ 仓库账务自检不符:balance-equals-lots-equals-movements,1 处',
      'The self-check of the ledger of HQ found 1 fault: balance-equals-lots-equals-movements'
    ],
    'request-clock-soon': [
      '请购 SZ11-REQ-202611-00007 第 2 行(SZ11,CH/0234 传动带,有货时限 2 个工作日)应于 2026-11-20 前发货',
      'Line 2 of request SZ11-REQ-202611-00007 of SZ11 (CH/0234 Drive belt, in-stock, 2 working days) is due by 2026-11-20'
    ],
    'request-clock': [
      '抢修请购 SZ11-REQ-202611-00007 第 2 行(SZ11,CH/0234 传动带,缺货时限 15 个工作日)应于 2026-11-20 前发货,已逾期',
      'Line 2 of emergency request SZ11-REQ-202611-00007 of SZ11 (CH/0234 Drive belt, backordered, 15 working days) was due by 2026-11-20'
    ],
    'backorder-answer-soon': [
      '缺货登记 SZ11-BKO-202611-00002(SZ11,CH/0234 传动带 3 piece)应于 2026-11-20 10:00 前答复',
      'Backorder SZ11-BKO-202611-00002 of SZ11 (3 piece of CH/0234 Drive belt) wants an answer by 2026-11-20 10:00'
    ],
    'backorder-answer-due': [
      '缺货登记 SZ11-BKO-202611-00002(SZ11,CH/0234 传动带 3 piece)未在 2026-11-20 10:00 前答复',
      'Backorder SZ11-BKO-202611-00002 of SZ11 (3 piece of CH/0234 Drive belt) was not answered by 2026-11-20 10:00'
    ],
    'reservation-expiring': [
      'SZ11-REQ-202611-00007 第 1 行 CH/0234 传动带 2 piece:为贵网点预留至 2026-11-23',
      '2 piece of CH/0234 Drive belt are kept for line 1 of SZ11-REQ-202611-00007 until 2026-11-23'
    ],
    'transfer-in-transit': [
      '调拨 SH01-TRF-202611-00004(SH01 → HQ)自 2026-11-10 起在途未到:数量 5,净值 48.00',
      'Transfer SH01-TRF-202611-00004 from SH01 to HQ has been in transit since 2026-11-10: 5 units, net book value 48.00'
    ],
    'deposit-low': [
      'SZ11 可用押金 400.00,低于下限 1000.00(余额 900.00,占用 500.00)',
      'The free deposit of SZ11 is 400.00, below 1000.00 (balance 900.00, held 500.00)'
    ],
    'old-part-outstanding': [
      '旧件 SZ11-OLP-202611-00009(CH/0234 传动带,1 piece)应于 2026-11-19 前交回,价值 480.00',
      'Old part SZ11-OLP-202611-00009 (1 piece of CH/0234 Drive belt, worth 480.00) was due back by 2026-11-19'
    ],
    recall: [
      '召回 HQ-RCL-202611-00001「Cracked hinge」:HQ 冻结结存 4,已领未答复 0',
      'Recall HQ-RCL-202611-00001 (Cracked hinge): 4 lie blocked in HQ, 0 were issued to it and are not answered for'
    ],
    'loaner-due-soon': [
      '备用机 WM-LOAN-8 BY-17 应于 2026-12-04 归还(借用单 HQ-LON-202611-00001,维修单 RO-815)',
      'Loaner WM-LOAN-8 BY-17 is due back on 2026-12-04 (loan HQ-LON-202611-00001, repair order RO-815)'
    ],
    'loaner-overdue': [
      '备用机 WM-LOAN-8 BY-17 已逾期,应于 2026-12-04 归还(借用单 HQ-LON-202611-00001,维修单 RO-815)',
      'Loaner WM-LOAN-8 BY-17 was due back on 2026-12-04 (loan HQ-LON-202611-00001, repair order RO-815)'
    ],
    'loaner-notice-unanswered': [
      '维修单 RO-815 已修好,通知客户 4 次无答复(借用单 HQ-LON-202611-00001)',
      'Repair order RO-815 is ready, and 4 notices to the customer were not answered (loan HQ-LON-202611-00001)'
    ],
    'loaner-fleet-short': [
      '区域 SZ 系列 WM-8:保有量 120000,备用机应配 480 台,实有 470 台,缺 10 台',
      'Region SZ, family WM-8: 470 loaners of 480 for an installed base of 120000, 10 missing'
    ],
    'handover-open': [
      '工作移交单 HQ-HOV-202611-00001(keeper@hq → technician@hq)自 2026-11-16 起未完成,待签字',
      'Handover HQ-HOV-202611-00001 from keeper@hq to technician@hq was drawn up on 2026-11-16 and awaits signatures'
    ],
    'handover-signer': [
      '工作移交单 HQ-HOV-202611-00001(keeper@hq → technician@hq)待接收人 technician@hq 签字',
      'Handover HQ-HOV-202611-00001 from keeper@hq to technician@hq awaits the signature of technician@hq as incoming-keeper'
    ],
    'keeper-missing': [
      'HQ 仓库自 2026-11-23 起无仓管员(现任 keeper@hq,至 2026-11-22)',
      'From 2026-11-23 on nobody is keeper of HQ, where goods lie (now keeper@hq, until 2026-11-22)'
    ],
    'tool-calibration-due': [
      '工具 GJ-31 万用表 应于 2026-12-01 前检定,保管人 technician@hq',
      'Tool GJ-31 Multimeter, with technician@hq, is due for calibration on 2026-12-01'
    ],
    'tool-custody-unconfirmed': [
      '工具核对 HQ-TCR-202611-00001 应于 2026-11-20 前完成,2 人未确认:li、technician@hq',
      'Custody round HQ-TCR-202611-00001, due on 2026-11-20, waits for li, technician@hq'
    ],
    'tool-loss-open': [
      '工具 GJ-31 万用表 丢失(HQ-TLR-202611-00001,保管人 technician@hq)待审批',
      'Tool GJ-31 Multimeter was lost (HQ-TLR-202611-00001, with technician@hq) and awaits its signatures'
    ],
    'tool-custody-orphaned': [
      '李雷(technician@hq)保管 HQ 工具 2 件(GJ-31、GJ-32),即将不再是该仓库的维修技术员(任期至 2026-11-25)',
      'technician@hq has 2 tools of HQ (GJ-31, GJ-32) and will soon not be its technician (until 2026-11-25)'
    ]
  })
})

test('of a tool in repair it is said that the repair may be given up, too', () => {
  const inRepair = { ...EXAMPLES['tool-loss-open'], lossKind: 'damaged', lossState: 'approved' } as const
  expect(text('tool-loss-open', 'zh', inRepair).whatToDo).toBe('修好后登记入库;修不成的,售后服务部负责人改为核定报废')
  expect(text('tool-loss-open', 'en', inRepair).whatToDo).toBe(
    'Enter it as repaired once it is back on the shelf; if it cannot be repaired, the department head assesses it as scrapped'
  )
})

test('every kind says what to do in one sentence, in both languages, and where to read of it', () => {
  for (const kind of ALERT_KINDS) {
    const [zh, en] = [text(kind, 'zh'), text(kind, 'en')]
    expect(zh.kindName).toBe(ALERT_KIND_NAMES[kind])
    expect(alertKindName(kind, 'en')).toBe(en.kindName)
    expect(zh.whatToDo).toMatch(/[一-龥]/)
    expect(en.whatToDo).toMatch(/^[A-Z][ -~]+$/)
    expect(en.title).not.toMatch(/undefined|null|[一-龥]/)
    expect(zh.title).not.toMatch(/undefined|null/)
    expect(zh.links).toEqual(en.links)
    expect(zh.links.length).toBeGreaterThan(0)
  }
  expect(text('lot-aged', 'en').links).toEqual(['/v1/warehouses/HQ/lots?part=CH%2F0234', '/v1/stock?part=CH%2F0234'])
})

test('what to do about a count goes by how far it is', () => {
  const count = { period: '2026-11', dueOn: '2026-11-30', count: 'HQ-CNT-202611-00001' }
  const whatToDo = (countState: string) => text('count-due', 'en', { ...count, countState }).whatToDo
  expect([text('count-due', 'en').whatToDo, whatToDo('counting'), whatToDo('awaiting-signatures')]).toEqual([
    'Open the count, count everything and submit it',
    'Finish counting and submit it',
    'Have finance, the department head and head office sign it'
  ])
  expect(text('count-due', 'zh', { ...count, countState: 'counting' }).title).toContain('HQ-CNT-202611-00001 盘点中')
  expect(text('count-due', 'en', { ...count, countState: 'counting' }).links).toEqual([
    '/v1/counts/HQ-CNT-202611-00001'
  ])
})

test('what to do goes by what is waited for and by who is told', () => {
  expect(text('request-clock', 'en').whatToDo).toContain('find it elsewhere')
  expect(text('request-clock-soon', 'en').whatToDo).toContain('Write the issue slip')
  expect(text('reservation-expiring', 'en').whatToDo).toContain('confirm or decline')
  const fetched = { ...EXAMPLES['reservation-expiring'], needsConfirmation: false }
  expect(text('reservation-expiring', 'en', fetched).whatToDo).toContain('Have SZ01 hand them out')
  expect(text('transfer-in-transit', 'en').whatToDo).toContain('Receive what has arrived')
  const given = { ...EXAMPLES['transfer-in-transit'], end: 'giver' } as const
  expect(text('transfer-in-transit', 'en', given).whatToDo).toContain('called back')
  expect(text('recall', 'en', { ...EXAMPLES.recall, got: '2' }).whatToDo).toContain('answer the recall')
  const lent = text('recall', 'en', { ...EXAMPLES.recall, lent: 2 })
  expect(lent.title).toContain('customers have 2 loaner units of it')
  expect(lent.whatToDo).toContain('tell the customers')
  expect(text('recall', 'zh', { ...EXAMPLES.recall, lent: 2 }).title).toContain('客户手中备用机 2 台')
})

test('a reminder says so if the working days of its year are not known', () => {
  const reminded = { reminders: 2, remindedOn: '2027-01-04', isDayAssumed: true }
  expect(reminderText(reminded, 'en')).toBe(
    'Reminded 2 times, last on 2027-01-04 (the notice of working days of 2027 is not known here; Monday to Friday are taken for working days)'
  )
  expect(reminderText(reminded, 'zh')).toBe(
    '已提醒 2 次,最近一次 2027-01-04(2027 年放假安排未录入,暂按周一至周五为工作日)'
  )
  expect(reminderText({ reminders: 1, remindedOn: '2026-11-23', isDayAssumed: false }, 'en')).toBe(
    'Reminded once, last on 2026-11-23'
  )
  expect(reminderText({ reminders: 0, remindedOn: null, isDayAssumed: false }, 'zh')).toBeNull()
})
