import { Type, type Static } from 'typebox'
import {
  closed,
  Day,
  Instant,
  Money,
  named,
  nullable,
  oneOf,
  pageOf,
  PartNumber,
  ref,
  text,
  UnitCost,
  WarehouseCode
} from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'

export const GRADES = ['A', 'B', 'C'] as const
export type Grade = (typeof GRADES)[number]

/** Where a unit is and what can be done with it, as the ledger and its documents say. */
export const LOANER_STATES = [
  'registered',
  'available',
  'reserved',
  'being-lent',
  'out',
  'being-returned',
  'in-repair',
  'beyond-repair',
  'blocked',
  'being-sent',
  'in-transit',
  'being-retired',
  'retired',
  'missing',
  'withdrawn'
] as const
export type LoanerState = (typeof LOANER_STATES)[number]

export const LOAN_STATES = ['awaiting-release', 'out', 'returned', 'cancelled'] as const
export type LoanState = (typeof LOAN_STATES)[number]

/** What comes back can be lent again, is repaired first, or is only good for scrap. */
export const OUTCOMES = ['usable', 'needs-repair', 'beyond-repair'] as const
export type Outcome = (typeof OUTCOMES)[number]

export const NOTICE_ANSWERS = ['will-collect', 'needs-longer', 'declines'] as const

/** No slashes and no blanks: a serial number stands in paths and on labels. */
export const SerialNumber = Type.String({
  // Two words stand in the same place of a path.
  pattern: '^(?!(fleet|utilisation)$)[A-Za-z0-9][A-Za-z0-9._-]{0,59}$',
  description: 'Serial number (机身编号), unique in the company whatever the case of its letters',
  examples: ['BY-2026-00017']
})
export const Family = Type.String({
  pattern: '^[^\\s*](.{0,58}\\S)?$',
  description: 'Family of loaner models (机型系列) that stand in for each other',
  examples: ['WM-8']
})
export const PhotoUrl = Type.String({
  pattern: '^https://[^\\s/?#]+[^\\s]*$',
  maxLength: 500,
  description: 'Where the photograph is kept (照片), an https URL; it is kept as a reference and never fetched',
  examples: ['https://photos.example.com/by-2026-00017.jpg']
})
export const Accessories = Type.Array(text(60, 'Accessory', 'power cord'), {
  maxItems: 30,
  uniqueItems: true,
  description: 'Accessories (附件)',
  examples: [['power cord', 'inlet hose']]
})
const Customer = {
  customerName: Type.Optional(text(60, 'Customer (客户姓名); can be erased after the return')),
  customerContact: Type.Optional(text(60, 'How the customer is reached (联系方式); can be erased after the return'))
}
const GradeField = oneOf(GRADES, 'Grade (成色): A as new, B used, C worn')
const RepairOrder = text(60, 'Repair order (维修单号)', 'RO-2026-0815')

export const SerialParams = Type.Object({ serial: SerialNumber })
export const LOAN_NUMBER = '^[A-Z0-9][A-Z0-9-]*-LON-[0-9]{6}-[0-9]{5,}$'
export const LoanNumber = Type.String({
  pattern: LOAN_NUMBER,
  description: 'Loan number (借用单号)',
  examples: ['HQ-LON-202611-00001']
})
export const LoanParams = Type.Object({ number: LoanNumber })

/** A slip has at most 500 lines, and every unit is a line. */
const MAX_UNITS = 500

export const RegisterLoanersBody = named(
  'NewLoaners',
  Type.Object(
    {
      kind: oneOf(['receipt', 'opening'], 'receipt: they arrive; opening: they were there before the service was'),
      supplier: Type.Optional(text(40, 'Supplier code of a receipt; must be authorised for every model (正规渠道)')),
      deliveryNote: Type.Optional(text(100, 'Number of the delivery note (送货单号)')),
      occurredOn: Type.Optional(Type.String({ ...Day, description: 'Day on the slip; today unless given' })),
      units: Type.Array(
        Type.Object(
          {
            serial: SerialNumber,
            model: Type.String({ ...PartNumber, description: 'Part number of the model', examples: ['WM-LOAN-8'] }),
            grade: Type.Optional(oneOf(GRADES, 'Grade (成色); A unless given')),
            photoUrl: Type.Optional(PhotoUrl),
            accessories: Type.Optional(Accessories),
            note: Type.Optional(text(500, 'Remark (备注)')),
            unitCost: Type.Optional(UnitCost),
            receivedOn: Type.Optional(
              Type.String({ ...Day, description: 'Day it was first received, for opening stock: it keeps its age' })
            )
          },
          closed
        ),
        { minItems: 1, maxItems: MAX_UNITS, description: 'One line of the slip per unit' }
      )
    },
    {
      ...closed,
      examples: [
        {
          kind: 'opening',
          units: [{ serial: 'BY-2026-00017', model: 'WM-LOAN-8', grade: 'A', accessories: ['power cord'] }]
        }
      ]
    }
  )
)
export type RegisterLoaners = Static<typeof RegisterLoanersBody>
export const RegisteredLoaners = named(
  'RegisteredLoaners',
  Type.Object({
    slip: Type.String({ description: 'The slip that brings them in; they are in service when it is posted' }),
    units: Type.Array(SerialNumber)
  })
)

export const UpdateLoanerBody = named(
  'LoanerChange',
  Type.Object(
    {
      grade: Type.Optional(GradeField),
      photoUrl: Type.Optional(nullable(PhotoUrl)),
      accessories: Type.Optional(Accessories),
      note: Type.Optional(nullable(text(500, 'Remark (备注)')))
    },
    { ...closed, minProperties: 1, examples: [{ grade: 'B' }] }
  )
)

export const LendLoanerBody = named(
  'NewLoan',
  Type.Object(
    {
      repairOrder: RepairOrder,
      receiptNumber: text(60, 'Number of the receipt the customer signs (客户借条编号)', 'JT-000815'),
      ...Customer,
      dueOn: Type.String({ ...Day, description: 'Day it is due back (应还日期)', examples: ['2026-12-04'] }),
      condition: text(500, 'Condition as it leaves (借出状况)', '外观完好，无划痕'),
      accessories: Type.Optional(
        Type.Array(text(60, 'Accessory'), { maxItems: 30, uniqueItems: true, description: 'Accessories that go along' })
      )
    },
    {
      ...closed,
      examples: [
        {
          repairOrder: 'RO-2026-0815',
          receiptNumber: 'JT-000815',
          customerName: '陈女士',
          dueOn: '2026-12-04',
          condition: '外观完好，无划痕',
          accessories: ['power cord']
        }
      ]
    }
  )
)
export type LendLoaner = Static<typeof LendLoanerBody>

export const RecordCustomerBody = named(
  'LoanCustomer',
  Type.Object(Customer, {
    ...closed,
    minProperties: 1,
    examples: [{ customerName: '陈女士', customerContact: '138-0000-0000' }]
  })
)
export type RecordCustomer = Static<typeof RecordCustomerBody>

export const ExtendLoanBody = named(
  'LoanExtension',
  Type.Object(
    {
      dueOn: Type.String({ ...Day, description: 'New day it is due back' }),
      because: text(500, 'Why (延期原因)', '配件缺货')
    },
    { ...closed, examples: [{ dueOn: '2026-12-18', because: '配件缺货' }] }
  )
)

export const ReturnLoanerBody = named(
  'LoanReturn',
  Type.Object(
    {
      warehouse: Type.Optional(
        Type.String({ ...WarehouseCode, description: 'Where the unit was handed in; only where it was lent' })
      ),
      outcome: oneOf(
        OUTCOMES,
        'usable: can be lent again; needs-repair: is kept back for repair; beyond-repair: comes back as nonconforming and is only retired'
      ),
      condition: text(500, 'Condition as it came back (归还状况)', '面板有划痕'),
      grade: Type.Optional(oneOf(GRADES, 'Grade now; unchanged unless given')),
      accessories: Type.Optional(
        Type.Array(text(60, 'Accessory'), {
          maxItems: 30,
          uniqueItems: true,
          description: 'Accessories that came back'
        })
      ),
      damage: Type.Optional(
        Type.Object(
          {
            description: text(500, 'What the customer damaged or lost', '遥控器丢失'),
            amount: Type.Optional(Type.String({ ...Money, pattern: '^(0|[1-9][0-9]{0,15})([.][0-9]{1,2})?$' }))
          },
          { ...closed, description: 'Claim against the customer (损坏赔偿)' }
        )
      )
    },
    { ...closed, examples: [{ outcome: 'usable', condition: '完好', accessories: ['power cord'] }] }
  )
)
export type ReturnLoaner = Static<typeof ReturnLoanerBody>

export const RepairReadyBody = named(
  'RepairReady',
  Type.Object(
    {
      at: Type.Optional(
        Type.String({ ...Instant, description: 'When the repair was finished; now unless given, never in the future' })
      )
    },
    { ...closed, examples: [{}] }
  )
)
export const NoticeAnswerBody = named(
  'NoticeAnswer',
  Type.Object(
    {
      answer: oneOf(
        NOTICE_ANSWERS,
        'will-collect: comes for the goods; needs-longer: later; declines: wants them no more'
      )
    },
    { ...closed, examples: [{ answer: 'will-collect' }] }
  )
)

export const ReserveLoanerBody = named(
  'LoanerReservation',
  Type.Object(
    {
      repairOrder: RepairOrder,
      until: Type.String({ ...Day, description: 'Last day it is kept for the repair', examples: ['2026-12-01'] })
    },
    { ...closed, examples: [{ repairOrder: 'RO-2026-0816', until: '2026-12-01' }] }
  )
)

export const SendToRepairBody = named(
  'LoanerRepair',
  Type.Object({ reason: text(500, 'What is wrong', '电机异响') }, { ...closed, examples: [{ reason: '电机异响' }] })
)
export const BackFromRepairBody = named(
  'LoanerRepaired',
  Type.Object(
    {
      grade: Type.Optional(oneOf(GRADES, 'Grade now; unchanged unless given')),
      note: text(500, 'What was done', '已更换电机')
    },
    { ...closed, examples: [{ note: '已更换电机' }] }
  )
)
export const RetireLoanerBody = named(
  'LoanerRetirement',
  Type.Object(
    { reason: text(500, 'Why (报废原因)', '超过使用年限') },
    { ...closed, examples: [{ reason: '超过使用年限' }] }
  )
)
export const TransferLoanerBody = named(
  'LoanerTransfer',
  Type.Object(
    {
      to: Type.String({ ...WarehouseCode, description: 'Warehouse it goes to' }),
      reason: text(500, 'Why', '支援旺季')
    },
    { ...closed, examples: [{ to: 'SZ01', reason: '支援旺季' }] }
  )
)

const LoanerEvent = Type.Object({
  at: Instant,
  by: Type.String({ description: 'User name' }),
  event: Type.String(),
  details: nullable(Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }))
})

const loanerView = {
  serial: SerialNumber,
  model: PartNumber,
  name: Type.String(),
  nameZh: nullable(Type.String()),
  family: nullable(Type.String()),
  state: oneOf(LOANER_STATES, 'State (状态)'),
  warehouse: Type.String({ ...WarehouseCode, description: 'Warehouse it belongs to' }),
  movingTo: nullable(Type.String({ description: 'Warehouse it is on its way to' })),
  grade: GradeField,
  condition: oneOf(['qualified', 'nonconforming'], 'As which it lies in the ledger'),
  photoUrl: nullable(Type.String()),
  accessories: Type.Array(Type.String()),
  note: nullable(Type.String()),
  lot: nullable(Type.String({ description: 'Its lot in the ledger while it is on the shelf' })),
  recalls: Type.Array(Type.String(), {
    description:
      'Recalls in force that are about it (召回), wherever it is: blocked on the shelf, or on its way or in the hands of a customer'
  }),
  pendingSlip: nullable(Type.String({ description: 'The slip that moves it once it is posted' })),
  loan: nullable(
    Type.Object(
      {
        number: LoanNumber,
        state: oneOf(LOAN_STATES, 'State of the loan'),
        repairOrder: Type.String(),
        dueOn: Day,
        overdue: Type.Boolean()
      },
      { description: 'The loan it is out on, or is being lent by' }
    )
  ),
  reservation: nullable(Type.Object({ repairOrder: Type.String(), until: Day })),
  inServiceOn: nullable(Day),
  outOfServiceOn: nullable(Day),
  registeredAt: Instant,
  version: Type.Integer()
}
export const LoanerSummary = named('LoanerSummary', Type.Object(loanerView))
export type LoanerSummary = Static<typeof LoanerSummary>
export const LoanerPage = pageOf(LoanerSummary)
export const LoanerView = named(
  'Loaner',
  Type.Object({
    ...loanerView,
    history: Type.Array(LoanerEvent, { description: 'What happened to it last, newest first, at most twenty' })
  })
)
export type LoanerView = Static<typeof LoanerView>
export const LoanerEventView = named('LoanerEvent', LoanerEvent)
export const LoanerHistory = named(
  'LoanerHistory',
  Type.Object({
    events: Type.Array(ref(LoanerEventView)),
    movements: Type.Array(
      Type.Object({
        slip: Type.String(),
        kind: Type.String(),
        warehouse: WarehouseCode,
        occurredOn: Day,
        direction: oneOf(['in', 'out'], 'Onto the shelf, or off it'),
        lot: Type.String(),
        movement: Type.String({ description: 'Position in the ledger' })
      })
    ),
    loans: Type.Array(
      Type.Object({
        number: LoanNumber,
        warehouse: WarehouseCode,
        state: oneOf(LOAN_STATES, 'State of the loan'),
        repairOrder: Type.String(),
        lentOn: nullable(Day),
        dueOn: Day,
        returnedOn: nullable(Day),
        outcome: nullable(oneOf(OUTCOMES, 'How it came back'))
      })
    )
  })
)
export type LoanerHistory = Static<typeof LoanerHistory>

export const LoanView = named(
  'Loan',
  Type.Object({
    number: LoanNumber,
    state: oneOf(LOAN_STATES, 'State (状态)'),
    warehouse: WarehouseCode,
    serial: SerialNumber,
    model: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    family: nullable(Type.String()),
    recalls: Type.Array(Type.String(), {
      description: 'Recalls in force that are about the unit while the customer has it (客户手中的召回机)'
    }),
    repairOrder: Type.String(),
    receiptNumber: Type.String(),
    customer: nullable(
      Type.Object(
        { name: nullable(Type.String()), contact: nullable(Type.String()) },
        { description: 'Null once it was erased' }
      )
    ),
    customerForgottenAt: nullable(Instant),
    dueOn: Day,
    overdue: Type.Boolean({ description: 'Out, and due before today' }),
    extensions: Type.Integer({ description: 'How often it was extended' }),
    outSlip: Type.String(),
    lentOn: nullable(Day),
    conditionOut: Type.String(),
    gradeOut: GradeField,
    accessoriesOut: Type.Array(Type.String()),
    inSlip: nullable(Type.String()),
    returnedOn: nullable(Day),
    outcome: nullable(oneOf(OUTCOMES, 'How it came back')),
    conditionIn: nullable(Type.String()),
    gradeIn: nullable(GradeField),
    accessoriesIn: nullable(Type.Array(Type.String())),
    accessoriesMissing: Type.Array(Type.String(), { description: 'Went along and did not come back' }),
    damage: nullable(Type.Object({ description: Type.String(), amount: nullable(Money) })),
    ready: nullable(
      Type.Object(
        {
          at: Instant,
          notices: Type.Integer({ description: 'How often the customer was told' }),
          lastNoticeOn: nullable(Day),
          answer: nullable(oneOf(NOTICE_ANSWERS, 'What the customer said')),
          answeredAt: nullable(Instant),
          escalatedAt: nullable(Instant)
        },
        { description: 'Since the repair was reported ready (R-LOAN-3)' }
      )
    ),
    drawnUpBy: Type.String({ description: 'User name' }),
    drawnUpAt: Instant,
    version: Type.Integer()
  })
)
export type LoanView = Static<typeof LoanView>
export const LoanPage = pageOf(LoanView)

export const LoanerModel = named(
  'LoanerModel',
  Type.Object({
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    family: Family,
    units: Type.Integer({ description: 'Units in the company that are neither retired nor withdrawn' })
  })
)
export type LoanerModel = Static<typeof LoanerModel>
export const LoanerModels = named('LoanerModels', Type.Object({ items: Type.Array(ref(LoanerModel)) }))
export const SetLoanerModelBody = named(
  'LoanerModelSetting',
  Type.Object(
    { family: nullable(Family) },
    { ...closed, description: 'null: no longer a loaner model', examples: [{ family: 'WM-8' }] }
  )
)

export const InstalledBase = named(
  'InstalledBase',
  Type.Object(
    {
      region: RegionCode,
      family: Family,
      units: Type.Integer({
        minimum: 0,
        maximum: 1_000_000_000,
        description: 'Goods in the hands of customers (保有量)'
      }),
      countedOn: Type.String({ ...Day, description: 'Day the figure is of' })
    },
    { ...closed, examples: [{ region: 'SOUTH', family: 'WM-8', units: 120000, countedOn: '2026-10-31' }] }
  )
)
export type InstalledBase = Static<typeof InstalledBase>
export const InstalledBaseList = named('InstalledBaseList', Type.Object({ items: Type.Array(ref(InstalledBase)) }))

export const LoanerTarget = named(
  'LoanerTarget',
  Type.Object({
    family: Type.String({ description: 'Family, or * for those without a target of their own' }),
    perMille: Type.String({ description: 'Loaners per thousand installed', examples: ['4'] })
  })
)
export const LoanerTargets = named('LoanerTargets', Type.Object({ items: Type.Array(ref(LoanerTarget)) }))
export const SetLoanerTargetBody = named(
  'LoanerTargetSetting',
  Type.Object(
    {
      perMille: nullable(
        Type.String({
          pattern: '^(0|[1-9][0-9]{0,2})([.][0-9]{1,3})?$',
          description: 'Loaners per thousand installed; null leaves a family to the common target',
          examples: ['4']
        })
      )
    },
    { ...closed, examples: [{ perMille: '4' }] }
  )
)

export const LoanerFleetLine = named(
  'LoanerFleetLine',
  Type.Object({
    region: RegionCode,
    family: Type.String(),
    installed: Type.Integer({ description: 'Installed base (保有量)' }),
    countedOn: Day,
    perMille: Type.String(),
    target: Type.Integer({ description: 'Installed × target, rounded up (应配)' }),
    units: Type.Integer({ description: 'In service, out, in repair or on the way (实有)' }),
    shortfall: Type.Integer({ description: 'Units that are missing (缺口)' }),
    proposal: nullable(
      Type.Object(
        { model: PartNumber, units: Type.Integer() },
        { description: 'What to acquire: the model of the family that came into use last' }
      )
    )
  })
)
export type LoanerFleetLine = Static<typeof LoanerFleetLine>
export const LoanerFleet = named('LoanerFleet', Type.Object({ items: Type.Array(ref(LoanerFleetLine)) }))

export const LoanerUse = named(
  'LoanerUse',
  Type.Object({
    model: PartNumber,
    name: Type.String(),
    family: nullable(Type.String()),
    units: Type.Integer({ description: 'Units that were owned in the time' }),
    loans: Type.Integer({ description: 'Loans that were out in the time' }),
    daysOwned: Type.Integer({ description: 'Unit-days in service' }),
    daysOut: Type.Integer({ description: 'Unit-days on loan' }),
    utilisation: Type.String({ description: 'Days out by days owned, in per cent with one place', examples: ['62.5'] }),
    overdue: Type.Integer({ description: 'Loans that were out past their day at the end of the time' })
  })
)
export type LoanerUse = Static<typeof LoanerUse>
export const LoanerUtilisation = named(
  'LoanerUtilisation',
  Type.Object({ from: Day, to: Day, items: Type.Array(ref(LoanerUse)) })
)
export type LoanerUtilisation = Static<typeof LoanerUtilisation>
