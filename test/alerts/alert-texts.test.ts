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
  'ledger-fault': { check: 'balance-equals-lots-equals-movements', findings: 1, first: [] }
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
    ]
  })
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
