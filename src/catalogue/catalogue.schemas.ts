import { Type, type Static } from 'typebox'
import {
  closed,
  Day,
  Instant,
  limitAndCursor,
  named,
  nullable,
  pageOf,
  PartNumber,
  PositiveQuantity,
  Quantity,
  ref,
  UnitCost,
  WarehouseCode
} from '../platform/schemas.ts'
import { CRITICALITIES } from './catalogue.entities.ts'

export const Name = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^\\S(.*\\S)?$',
  description: 'Name in English or the language of the house',
  examples: ['Brake pad']
})
export const NameZh = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^\\S(.*\\S)?$',
  description: 'Chinese name (中文名称)',
  examples: ['刹车片']
})
export const Unit = Type.String({
  minLength: 1,
  maxLength: 20,
  pattern: '^\\S(.*\\S)?$',
  description: 'Unit (单位)',
  examples: ['piece', '件']
})
export const Specification = Type.String({
  minLength: 1,
  maxLength: 500,
  description: 'Specification (规格)',
  examples: ['220 V, 50 Hz']
})
export const Colour = Type.String({ minLength: 1, maxLength: 60, description: 'Colour (颜色)', examples: ['black'] })
export const Category = Type.String({
  minLength: 1,
  maxLength: 60,
  description: 'Category (类别)',
  examples: ['brakes']
})
export const ListPrice = Type.String({
  pattern: '^(0|[1-9][0-9]{0,15})([.][0-9]{1,2})?$',
  description: 'List price of one stock unit for paid repairs (零售价), a decimal string with at most two places',
  examples: ['59.00']
})
export const Criticality = Type.Enum([...CRITICALITIES], {
  description: 'Criticality class (重要等级): A, B or C',
  examples: ['A']
})
export const LeadTimeDays = Type.Integer({
  minimum: 0,
  maximum: 3650,
  description: 'Lead time in days (采购提前期)',
  examples: [14]
})
export const SupplierCode = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9-]{0,19}$',
  description: 'Supplier code (供应商代码)',
  examples: ['VARSITY0001']
})

export const ExchangeDueDays = Type.Integer({
  minimum: 1,
  maximum: 3650,
  description:
    'An exchange part (换件): the old part (旧件) is due back so many days after the issue. Counts for what is posted from now on; null: nothing is due back',
  examples: [30]
})
export const OldPartValue = Type.String({
  pattern: '^(0|[1-9][0-9]{0,15})([.][0-9]{1,2})?$',
  description:
    'Compensation for one old part that never comes back (旧件赔偿价), a decimal string; the list price, else the standard cost, unless given',
  examples: ['35.00']
})

const UnitFactor = Type.Object(
  {
    unit: Unit,
    factor: Type.String({
      ...PositiveQuantity,
      description: 'Stock units in one such unit (换算率), a decimal string with at most three places',
      examples: ['12']
    })
  },
  closed
)

const partProperties = {
  name: Name,
  nameZh: nullable(NameZh),
  specification: nullable(Specification),
  colour: nullable(Colour),
  category: nullable(Category),
  standardCost: nullable(UnitCost),
  listPrice: nullable(ListPrice),
  criticality: nullable(Criticality),
  leadTimeDays: nullable(LeadTimeDays),
  packSize: nullable(PositiveQuantity),
  controlled: Type.Boolean({ description: 'Controlled part (监控件): ordering or requesting it needs an approval' }),
  active: Type.Boolean({ description: 'false: no longer bought, still issued while there is stock' }),
  exchangeDueDays: nullable(ExchangeDueDays),
  oldPartValue: nullable(OldPartValue),
  serialised: Type.Boolean({
    description: 'Old parts of it come back one by one, each with its serial number (序列号)'
  })
}

export const PartView = named(
  'Part',
  Type.Object(
    {
      number: PartNumber,
      ...partProperties,
      unit: Unit,
      units: Type.Array(UnitFactor, { description: 'Further units and what they hold, e.g. a box of 12' }),
      version: Type.Integer({ description: 'Counts changes; the ETag is made of it' })
    },
    {
      ...closed,
      description: 'A spare part (备件)',
      examples: [
        {
          number: 'CH-0234',
          name: 'Chain',
          nameZh: '链条',
          specification: null,
          colour: 'Silver',
          category: 'Chains',
          standardCost: '8.9866',
          listPrice: '20.24',
          criticality: 'A',
          leadTimeDays: 19,
          packSize: '12.000',
          controlled: false,
          active: true,
          exchangeDueDays: null,
          oldPartValue: null,
          serialised: false,
          unit: 'piece',
          units: [{ unit: 'box', factor: '12.000' }],
          version: 1
        }
      ]
    }
  )
)
export type PartView = Static<typeof PartView>
export const PartPage = pageOf(PartView)

export const CreatePartBody = Type.Object(
  {
    number: PartNumber,
    unit: Type.Optional(Unit),
    ...Type.Partial(Type.Object(partProperties)).properties,
    name: Name
  },
  {
    ...closed,
    examples: [
      {
        number: 'CH-0235',
        name: 'Chain, reinforced',
        nameZh: '加强链条',
        unit: 'piece',
        standardCost: '12.50',
        criticality: 'A'
      }
    ]
  }
)
export type CreatePart = Static<typeof CreatePartBody>

export const UpdatePartBody = Type.Object(Type.Partial(Type.Object(partProperties)).properties, {
  ...closed,
  minProperties: 1,
  description: 'What changes; null empties. Number and stock unit never change.',
  examples: [{ listPrice: '62.00' }]
})
export type UpdatePart = Static<typeof UpdatePartBody>

export const PartParams = Type.Object({ number: PartNumber }, closed)

export const PartQuery = Type.Object(
  {
    q: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description: 'Words that occur anywhere in number, names or specification; all of them, in any case',
        examples: ['刹车', 'brake pad']
      })
    ),
    category: Type.Optional(Category),
    controlled: Type.Optional(Type.Boolean({ description: 'Only controlled parts, or only others' })),
    active: Type.Optional(Type.Boolean({ description: 'Only active parts, or only others' })),
    exchange: Type.Optional(
      Type.Boolean({ description: 'Only exchange parts, whose old part is due back, or only others' })
    ),
    ...limitAndCursor
  },
  closed
)
export type PartQuery = Static<typeof PartQuery>

export const SetPartUnitsBody = Type.Object(
  {
    units: Type.Array(UnitFactor, {
      maxItems: 20,
      description: 'All further units of the part; those left out are removed'
    })
  },
  { ...closed, examples: [{ units: [{ unit: 'box', factor: '12' }] }] }
)

export const SupplierView = named(
  'Supplier',
  Type.Object(
    { code: SupplierCode, name: Name, nameZh: nullable(NameZh), active: Type.Boolean() },
    {
      ...closed,
      description: 'A supplier (供应商)',
      examples: [{ code: 'SUP-001', name: 'Suzhou Brakes', nameZh: '苏州制动器厂', active: true }]
    }
  )
)
export type SupplierView = Static<typeof SupplierView>
export const SupplierPage = pageOf(SupplierView)
export const SupplierParams = Type.Object({ code: SupplierCode }, closed)
export const CreateSupplierBody = Type.Object(
  { code: SupplierCode, name: Name, nameZh: Type.Optional(nullable(NameZh)) },
  { ...closed, examples: [{ code: 'SUP-001', name: 'Suzhou Brakes', nameZh: '苏州制动器厂' }] }
)
export type CreateSupplier = Static<typeof CreateSupplierBody>
export const UpdateSupplierBody = Type.Object(
  {
    name: Type.Optional(Name),
    nameZh: Type.Optional(nullable(NameZh)),
    active: Type.Optional(Type.Boolean({ description: 'false: no part may come from it any more' }))
  },
  { ...closed, minProperties: 1, examples: [{ active: false }] }
)
export type UpdateSupplier = Static<typeof UpdateSupplierBody>
export const SupplierQuery = Type.Object(
  {
    q: Type.Optional(Type.String({ minLength: 1, maxLength: 100, description: 'Occurs in code or names' })),
    active: Type.Optional(Type.Boolean()),
    ...limitAndCursor
  },
  closed
)
export type SupplierQuery = Static<typeof SupplierQuery>

const ValidFrom = Type.String({ ...Day, description: 'First day; today if left away' })
const LastDay = Type.String({ ...Day, description: 'Last day; today if left away' })

export const SupplierAuthorisationView = named(
  'SupplierAuthorisation',
  Type.Object(
    { supplier: SupplierCode, part: PartNumber, partName: Type.String(), validFrom: Day, validTo: nullable(Day) },
    {
      ...closed,
      description: 'A part that may come from this supplier (正规渠道), first and last day',
      examples: [
        { supplier: 'VARSITY0001', part: 'CH-0234', partName: 'Chain', validFrom: '2026-01-01', validTo: null }
      ]
    }
  )
)
export type SupplierAuthorisationView = Static<typeof SupplierAuthorisationView>
export const SupplierAuthorisationPage = pageOf(SupplierAuthorisationView)
export const AuthoriseSupplierBody = Type.Object(
  { part: PartNumber, validFrom: Type.Optional(ValidFrom), validTo: Type.Optional(nullable(Day)) },
  { ...closed, examples: [{ part: 'BC-M005', validFrom: '2026-01-01' }] }
)
export const WithdrawAuthorisationBody = Type.Object(
  { part: PartNumber, validTo: Type.Optional(LastDay) },
  { ...closed, examples: [{ part: 'CH-0234', validTo: '2026-11-30' }] }
)
export const AuthorisationQuery = Type.Object(
  { on: Type.Optional(Type.String({ ...Day, description: 'Only those in force on this day' })), ...limitAndCursor },
  closed
)

export const SupersessionView = named(
  'Supersession',
  Type.Object(
    {
      part: PartNumber,
      successor: PartNumber,
      factor: Quantity,
      bothWays: Type.Boolean(),
      validFrom: Day,
      validTo: nullable(Day)
    },
    {
      ...closed,
      description:
        'A part that another one replaces (替代件): `factor` successors replace one; both ways, the part may replace its successor as well',
      examples: [
        {
          part: 'CH-0234',
          successor: 'CH-0235',
          factor: '1.000',
          bothWays: false,
          validFrom: '2026-01-01',
          validTo: null
        }
      ]
    }
  )
)
export type SupersessionView = Static<typeof SupersessionView>
export const SupersessionList = named(
  'SupersessionList',
  Type.Object({ items: Type.Array(ref(SupersessionView)) }, closed)
)
export const AddSupersessionBody = Type.Object(
  {
    successor: PartNumber,
    factor: Type.Optional(
      Type.String({ ...PositiveQuantity, default: '1', description: 'Successors that replace one of the part' })
    ),
    bothWays: Type.Optional(
      Type.Boolean({ default: false, description: 'The part may replace its successor as well' })
    ),
    validFrom: Type.Optional(ValidFrom)
  },
  { ...closed, examples: [{ successor: 'CH-0235', factor: '1' }] }
)
export const EndSupersessionBody = Type.Object(
  { validTo: Type.Optional(LastDay) },
  { ...closed, examples: [{ validTo: '2026-11-30' }] }
)
export const SupersessionParams = Type.Object({ number: PartNumber, successor: PartNumber }, closed)

export const SuccessorView = named(
  'Successor',
  Type.Object(
    {
      part: PartNumber,
      name: Type.String(),
      successors: Type.String({ description: 'So many of it …', examples: ['2'] }),
      replaced: Type.String({ description: '… replace so many of the part asked for', examples: ['1'] }),
      steps: Type.Integer({ description: 'Supersessions in between' }),
      active: Type.Boolean()
    },
    {
      ...closed,
      description: 'A part that may be taken instead, nearest first',
      examples: [{ part: 'CH-0235', name: 'Chain, reinforced', successors: '1', replaced: '1', steps: 1, active: true }]
    }
  )
)
export const SuccessorList = named('SuccessorList', Type.Object({ items: Type.Array(ref(SuccessorView)) }, closed))

export const ControlledApprovalView = named(
  'ControlledApproval',
  Type.Object(
    {
      id: Type.Integer(),
      part: PartNumber,
      warehouse: WarehouseCode,
      quantity: Quantity,
      used: Quantity,
      reason: Type.String(),
      approvedBy: Type.String({ description: 'User name' }),
      approvedAt: Instant,
      validFrom: Day,
      validTo: Day
    },
    {
      ...closed,
      description: 'Approval to order or request a controlled part (监控件审批)',
      examples: [
        {
          id: 1,
          part: 'FR-M94B-38',
          warehouse: 'SZ01',
          quantity: '3.000',
          used: '0.000',
          reason: 'three machines waiting',
          approvedBy: 'stock-controller@hq',
          approvedAt: '2026-11-21T08:30:00Z',
          validFrom: '2026-11-21',
          validTo: '2026-12-31'
        }
      ]
    }
  )
)
export type ControlledApprovalView = Static<typeof ControlledApprovalView>
export const ControlledApprovalPage = pageOf(ControlledApprovalView)
export const ApproveControlledPartBody = Type.Object(
  {
    warehouse: WarehouseCode,
    quantity: PositiveQuantity,
    reason: Type.String({ minLength: 1, maxLength: 500, description: 'Why it is needed' }),
    validTo: Type.String({ ...Day, description: 'Last day of the approval' })
  },
  {
    ...closed,
    examples: [{ warehouse: 'SZ01', quantity: '3', reason: 'three machines waiting', validTo: '2026-12-31' }]
  }
)
export const ControlledApprovalQuery = Type.Object(
  { part: Type.Optional(PartNumber), warehouse: Type.Optional(WarehouseCode), ...limitAndCursor },
  closed
)
