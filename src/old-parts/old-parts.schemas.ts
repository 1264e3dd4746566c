import { Type, type Static } from 'typebox'
import {
  closed,
  Day,
  Instant,
  limitAndCursor,
  Money,
  named,
  nullable,
  oneOf,
  pageOf,
  PartNumber,
  PositiveQuantity,
  Quantity,
  ref,
  text,
  UnitCost,
  WarehouseCode
} from '../platform/schemas.ts'
import { MAX_LINES, SlipNumber } from '../slips/slips.schemas.ts'

/** Outlet, series, month, running number. */
export const OLD_PART_NUMBER = '^[A-Z0-9][A-Z0-9-]*-OLP-[0-9]{6}-[0-9]{5,}$'
export const OldPartNumber = Type.String({
  pattern: OLD_PART_NUMBER,
  description: 'Number of the old part (旧件单号)',
  examples: ['SZ01-OLP-202611-00001']
})
export const OldPartParams = Type.Object({ number: OldPartNumber })

export const OLD_PART_STATES = ['outstanding', 'returned', 'written-off', 'cancelled'] as const
export type OldPartState = (typeof OLD_PART_STATES)[number]

/** How an old part came back; one of another part, or with another serial, is not taken in. */
export const GRADES = ['repairable', 'scrap', 'incomplete', 'wrong-part'] as const
export type Grade = (typeof GRADES)[number]

const Serial = Type.String({
  minLength: 1,
  maxLength: 60,
  pattern: '^\\S(.*\\S)?$',
  description: 'Serial number of the old part (序列号)'
})

const row = {
  number: OldPartNumber,
  outlet: Type.String({ ...WarehouseCode, description: 'Who owes it (应返网点)' }),
  outletName: Type.String(),
  outletNameZh: nullable(Type.String()),
  centre: Type.String({ ...WarehouseCode, description: 'Who takes it in and decides on compensation' }),
  part: PartNumber,
  name: Type.String(),
  nameZh: nullable(Type.String()),
  unit: Type.String(),
  serialised: Type.Boolean({ description: 'It comes back one by one, each with its serial number' }),
  state: oneOf(
    OLD_PART_STATES,
    'outstanding: something is still due; written-off: the rest was compensated; returned: all came back; cancelled: the new part came back, so nothing is due'
  ),
  quantity: Type.String({ ...Quantity, description: 'Issued of the new part' }),
  cameBack: Type.String({ ...Quantity, description: 'Of these came back or were reversed: nothing is due for them' }),
  returned: Type.String({ ...Quantity, description: 'Old parts that are in, by posted slips' }),
  arriving: Type.String({ ...Quantity, description: 'Old parts on slips that are not posted yet' }),
  writtenOff: Type.String({ ...Quantity, description: 'Compensated, less what turned up afterwards' }),
  outstanding: Type.String({ ...Quantity, description: 'What is still due' }),
  unitValue: Type.String({ ...Money, description: 'Compensation for one that never comes, as it was at the issue' }),
  value: Type.String({ ...Money, description: 'Compensation for what is outstanding' }),
  dueOn: Type.String({ ...Day, description: 'Last day on which it is due back' }),
  overdue: Type.Boolean(),
  daysOverdue: Type.Integer({ description: 'Days since it was due; 0 if it is not overdue' }),
  issueSlip: Type.String({ ...SlipNumber, description: 'Slip by which the new part left' }),
  issueLine: Type.Integer(),
  reference: nullable(Type.String({ description: 'Repair order or request of that slip' })),
  openedAt: Instant
}

export const OldPart = named(
  'OldPart',
  Type.Object(row, { description: 'An old part that is due back for an exchange part (旧件)' })
)
export type OldPart = Static<typeof OldPart>
export const OldPartPage = pageOf(OldPart)

export const WRITE_OFF_STATES = ['proposed', 'approved', 'cancelled'] as const
export const CHARGED_TO = ['deposit', 'claim'] as const

const writeOff = {
  writeOff: Type.Integer({ description: 'Number of the write-off, from 1' }),
  state: oneOf(WRITE_OFF_STATES, 'State'),
  quantity: Quantity,
  reason: Type.String(),
  proposedBy: Type.String({ description: 'User name' }),
  proposedAt: Instant,
  decidedBy: nullable(Type.String({ description: 'User name' })),
  decidedAt: nullable(Instant),
  decidedBecause: nullable(Type.String()),
  amount: nullable(Type.String({ ...Money, description: 'Compensation (赔偿金额)' })),
  chargedTo: nullable(
    oneOf(CHARGED_TO, 'deposit: taken from the deposit of the outlet; claim: it has none, so finance claims it')
  ),
  turnedUp: Type.String({ ...Quantity, description: 'Came back after all; its compensation was given back' }),
  amountLeft: nullable(Type.String({ ...Money, description: 'Compensation less what was given back' }))
}

export const WriteOff = named(
  'OldPartWriteOff',
  Type.Object(writeOff, { description: 'What will not come back, and its compensation (旧件核销)' })
)
export type WriteOff = Static<typeof WriteOff>

export const WriteOffRow = named(
  'OldPartWriteOffRow',
  Type.Object({
    number: OldPartNumber,
    outlet: WarehouseCode,
    centre: WarehouseCode,
    part: PartNumber,
    nameZh: nullable(Type.String()),
    ...writeOff
  })
)
export type WriteOffRow = Static<typeof WriteOffRow>
export const WriteOffPage = pageOf(WriteOffRow)

export const OldPartView = named(
  'OldPartDetails',
  Type.Object(
    {
      ...row,
      returns: Type.Array(
        Type.Object({
          slip: SlipNumber,
          line: Type.Integer(),
          warehouse: WarehouseCode,
          state: Type.String({ description: 'State of the slip; reversed if it was taken back' }),
          quantity: Quantity,
          serial: nullable(Type.String()),
          grade: oneOf(GRADES, 'Condition it came back in'),
          note: nullable(Type.String())
        }),
        { description: 'Slips by which it came back, or will' }
      ),
      writeOffs: Type.Array(ref(WriteOff)),
      history: Type.Array(
        Type.Object({
          at: Instant,
          by: Type.String({ description: 'User name' }),
          event: Type.String(),
          details: nullable(Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }))
        })
      )
    },
    { description: 'An old part with everything that happened to it (旧件)' }
  )
)
export type OldPartView = Static<typeof OldPartView>

const region = Type.Optional(
  Type.String({ minLength: 1, maxLength: 20, description: 'Only outlets of this region, by code' })
)
const outlet = Type.Optional(Type.String({ ...WarehouseCode, description: 'Only what this outlet owes' }))
const centre = Type.Optional(Type.String({ ...WarehouseCode, description: 'Only what this centre takes in' }))

export const OldPartQuery = Type.Object(
  {
    outlet,
    centre,
    region,
    part: Type.Optional(PartNumber),
    state: Type.Optional(oneOf(OLD_PART_STATES, 'Only old parts in this state')),
    overdue: Type.Optional(Type.Boolean({ description: 'Only what is outstanding past its day, or only the rest' })),
    ...limitAndCursor
  },
  closed
)
export type OldPartQuery = Static<typeof OldPartQuery>

export const OutletOldParts = named(
  'OutletOldParts',
  Type.Object(
    {
      outlet: WarehouseCode,
      name: Type.String(),
      nameZh: nullable(Type.String()),
      region: Type.String(),
      oldParts: Type.Integer({ description: 'How many are outstanding' }),
      quantity: Type.String({ ...Quantity, description: 'Pieces that are outstanding' }),
      value: Type.String({ ...Money, description: 'Compensation that would come to' }),
      overdue: Type.Integer({ description: 'How many of them are past their day' }),
      overdueValue: Money,
      oldestDueOn: Day
    },
    { description: 'What an outlet still owes of old parts (旧件未返汇总)' }
  )
)
export type OutletOldParts = Static<typeof OutletOldParts>
export const OutletOldPartsPage = pageOf(OutletOldParts)

export const OldPartSummaryQuery = Type.Object({ centre, region, ...limitAndCursor }, closed)
export type OldPartSummaryQuery = Static<typeof OldPartSummaryQuery>

export const WriteOffQuery = Type.Object(
  {
    outlet,
    centre,
    state: Type.Optional(oneOf(WRITE_OFF_STATES, 'Only write-offs in this state')),
    chargedTo: Type.Optional(oneOf(CHARGED_TO, 'Only those charged so')),
    ...limitAndCursor
  },
  closed
)
export type WriteOffQuery = Static<typeof WriteOffQuery>

/** A return has at most this many lines; a longer delivery is split. */
export const MAX_RETURN_LINES = 200

export const ReturnOldPartsBody = named(
  'OldPartReturn',
  Type.Object(
    {
      warehouse: Type.String({ ...WarehouseCode, description: 'Who takes them in' }),
      from: Type.String({ ...WarehouseCode, description: 'The outlet that owes them' }),
      occurredOn: Type.Optional(
        Type.String({ ...Day, description: 'Day on the paper; today unless given, never in the future' })
      ),
      deliveryNote: Type.Optional(text(100, 'Number of the delivery note (送货单号)')),
      note: Type.Optional(text(1000, 'Remark (备注)')),
      lines: Type.Array(
        Type.Object(
          {
            oldPart: Type.Optional(OldPartNumber),
            part: Type.Optional(
              Type.String({
                ...PartNumber,
                description: 'Instead of `oldPart`: whatever of this part the outlet has owed longest'
              })
            ),
            quantity: Type.Optional(
              Type.String({ ...PositiveQuantity, default: '1', description: 'In stock units; 1 unless given' })
            ),
            serial: Type.Optional(Serial),
            grade: oneOf(
              GRADES,
              'repairable (可修复), scrap (报废), incomplete (缺件): taken in; wrong-part (非应返件): not taken in, it stays due'
            ),
            note: Type.Optional(text(300, 'What was found'))
          },
          closed
        ),
        { minItems: 1, maxItems: MAX_RETURN_LINES }
      )
    },
    {
      ...closed,
      examples: [
        {
          warehouse: 'HQ',
          from: 'SZ01',
          lines: [{ part: 'CH-0234', quantity: '1', grade: 'repairable', note: '链节磨损' }]
        }
      ]
    }
  )
)
export type ReturnOldParts = Static<typeof ReturnOldPartsBody>

export const OldPartReturnView = named(
  'OldPartReturnResult',
  Type.Object({
    slip: nullable(
      Type.String({
        ...SlipNumber,
        description: 'The slip that takes them in once three have signed; null if none was'
      })
    ),
    lines: Type.Array(
      Type.Object({
        oldPart: OldPartNumber,
        part: PartNumber,
        quantity: Quantity,
        serial: nullable(Type.String()),
        grade: oneOf(GRADES, 'Condition it came back in'),
        slipLine: nullable(Type.Integer({ description: 'Its line on the slip; null if it was not taken in' }))
      })
    )
  })
)
export type OldPartReturnView = Static<typeof OldPartReturnView>

export const ProposeWriteOffBody = named(
  'NewOldPartWriteOff',
  Type.Object(
    {
      quantity: Type.Optional(
        Type.String({ ...PositiveQuantity, description: 'All that is outstanding unless given' })
      ),
      reason: text(500, 'Why it will not come back')
    },
    { ...closed, examples: [{ quantity: '1', reason: '网点丢失' }] }
  )
)
export type ProposeWriteOff = Static<typeof ProposeWriteOffBody>

export const ApproveWriteOffBody = named(
  'OldPartWriteOffApproval',
  Type.Object({ comment: Type.Optional(text(500, 'Remark')) }, { ...closed, examples: [{ comment: '同意按押金扣除' }] })
)
export const CancelWriteOffBody = named(
  'OldPartWriteOffCancellation',
  Type.Object({ reason: text(500, 'Why it is not written off') }, { ...closed, examples: [{ reason: '旧件已找到' }] })
)

export const RefurbishOldPartsBody = named(
  'OldPartRefurbishment',
  Type.Object(
    {
      warehouse: Type.String({ ...WarehouseCode, description: 'Where the old parts lie' }),
      reference: text(100, 'The paper that says what it cost: invoice, work order (翻新费用单据)'),
      occurredOn: Type.Optional(
        Type.String({ ...Day, description: 'Day on the paper; today unless given, never in the future' })
      ),
      note: Type.Optional(text(1000, 'Remark (备注)')),
      lines: Type.Array(
        Type.Object(
          {
            part: PartNumber,
            quantity: Type.String({ ...PositiveQuantity, description: 'In stock units' }),
            unitCost: Type.String({
              ...UnitCost,
              description: 'What refurbishing one cost, as the paper says: the cost it comes back to stock at'
            }),
            note: Type.Optional(text(300, 'Remark (备注)'))
          },
          closed
        ),
        { minItems: 1, maxItems: MAX_LINES }
      )
    },
    {
      ...closed,
      examples: [
        { warehouse: 'HQ', reference: 'WO-2026-118', lines: [{ part: 'CH-0234', quantity: '1', unitCost: '3.20' }] }
      ]
    }
  )
)
export type RefurbishOldParts = Static<typeof RefurbishOldPartsBody>
