import { Type, type Static } from 'typebox'
import { closed, Day, Instant, limitAndCursor, named, nullable, pageOf, WarehouseCode } from '../platform/schemas.ts'
import { WAREHOUSE_KINDS } from './warehouses.entities.ts'

export const RegionCode = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9-]{0,19}$',
  description: 'Region code (区域代码)',
  examples: ['EAST']
})
export const WarehouseTitle = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^\\S(.*\\S)?$',
  description: 'Name in English or the language of the house',
  examples: ['Shanghai regional centre']
})
export const WarehouseTitleZh = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^\\S(.*\\S)?$',
  description: 'Chinese name (中文名称)',
  examples: ['上海中心库']
})
export const Kind = Type.Enum([...WAREHOUSE_KINDS], {
  description:
    'Kind: head-office (总公司备件中心), regional-centre (中心库), branch (分公司), outlet (服务网点), van (服务车)',
  examples: ['outlet']
})
export const Address = Type.String({
  minLength: 1,
  maxLength: 500,
  description: 'Address (地址)',
  examples: ['上海市嘉定区曹安公路']
})
export const Contact = Type.String({
  minLength: 1,
  maxLength: 100,
  description: 'Whom to ask for (联系人)',
  examples: ['王芳']
})
export const Phone = Type.String({
  minLength: 1,
  maxLength: 40,
  description: 'Telephone (电话)',
  examples: ['+86 21 5990 0000']
})

export const RegionView = named(
  'Region',
  Type.Object(
    { code: RegionCode, name: WarehouseTitle, nameZh: nullable(WarehouseTitleZh) },
    { ...closed, description: 'A region (区域)', examples: [{ code: 'EAST', name: 'East China', nameZh: '华东' }] }
  )
)
export type RegionView = Static<typeof RegionView>
export const RegionPage = pageOf(RegionView)
export const CreateRegionBody = Type.Object(
  { code: RegionCode, name: WarehouseTitle, nameZh: Type.Optional(nullable(WarehouseTitleZh)) },
  { ...closed, examples: [{ code: 'NORTH', name: 'North China', nameZh: '华北' }] }
)
export type CreateRegion = Static<typeof CreateRegionBody>
export const UpdateRegionBody = Type.Object(
  { name: Type.Optional(WarehouseTitle), nameZh: Type.Optional(nullable(WarehouseTitleZh)) },
  { ...closed, minProperties: 1, examples: [{ nameZh: '华东大区' }] }
)
export type UpdateRegion = Static<typeof UpdateRegionBody>
export const RegionParams = Type.Object({ code: RegionCode }, closed)
export const RegionQuery = Type.Object({ ...limitAndCursor }, closed)

const warehouseProperties = {
  code: WarehouseCode,
  name: WarehouseTitle,
  nameZh: nullable(WarehouseTitleZh),
  kind: Kind,
  region: RegionCode,
  parent: nullable(WarehouseCode),
  address: nullable(Address),
  contact: nullable(Contact),
  phone: nullable(Phone),
  closedOn: nullable(Type.String({ ...Day, description: 'First day on which nothing moves there any more' })),
  version: Type.Integer({ description: 'Counts changes; the ETag is made of it' })
}

const example = {
  code: 'SH01',
  name: 'Shanghai regional centre',
  nameZh: '上海中心库',
  kind: 'regional-centre',
  region: 'EAST',
  parent: 'HQ',
  address: '上海市嘉定区曹安公路',
  contact: '王芳',
  phone: '+86 21 5990 0000',
  closedOn: null,
  version: 1
}

export const WarehouseView = named(
  'Warehouse',
  Type.Object(warehouseProperties, { ...closed, description: 'A warehouse (仓库)', examples: [example] })
)
export type WarehouseView = Static<typeof WarehouseView>
export const WarehousePage = pageOf(WarehouseView)

const Relative = Type.Object(
  { code: WarehouseCode, name: WarehouseTitle, nameZh: nullable(WarehouseTitleZh), kind: Kind },
  closed
)
export const WarehouseInTreeView = named(
  'WarehouseInTree',
  Type.Object(
    {
      ...warehouseProperties,
      path: Type.Array(Relative, { description: 'Its parent, the parent of that and so on, from the top of the tree' }),
      children: Type.Array(Relative, {
        description:
          'The open warehouses right below it that the caller may see, by code; at most 200, GET /v1/warehouses?parent= lists all'
      })
    },
    {
      ...closed,
      description: 'A warehouse and its place in the tree (仓库及上下级)',
      examples: [
        {
          ...example,
          path: [{ code: 'HQ', name: 'Head-office parts centre', nameZh: '总公司备件中心', kind: 'head-office' }],
          children: []
        }
      ]
    }
  )
)
export type WarehouseInTreeView = Static<typeof WarehouseInTreeView>

export const WarehouseParams = Type.Object({ warehouse: WarehouseCode }, closed)

const details = {
  address: Type.Optional(nullable(Address)),
  contact: Type.Optional(nullable(Contact)),
  phone: Type.Optional(nullable(Phone))
}
export const CreateWarehouseBody = Type.Object(
  {
    code: WarehouseCode,
    name: WarehouseTitle,
    nameZh: Type.Optional(nullable(WarehouseTitleZh)),
    kind: Kind,
    region: RegionCode,
    parent: Type.Optional(nullable(WarehouseCode)),
    ...details
  },
  {
    ...closed,
    examples: [
      {
        code: 'NJ01',
        name: 'Nanjing regional centre',
        nameZh: '南京中心库',
        kind: 'regional-centre',
        region: 'EAST',
        parent: 'HQ'
      }
    ]
  }
)
export type CreateWarehouse = Static<typeof CreateWarehouseBody>
export const UpdateWarehouseBody = Type.Object(
  { region: Type.Optional(RegionCode), ...details },
  { ...closed, minProperties: 1, description: 'What changes; null empties', examples: [{ contact: '李强' }] }
)
export type UpdateWarehouse = Static<typeof UpdateWarehouseBody>
export const RenameWarehouseBody = Type.Object(
  { name: WarehouseTitle, nameZh: Type.Optional(nullable(WarehouseTitleZh)) },
  { ...closed, examples: [{ name: 'Tianhe east service outlet', nameZh: '广州天河东服务站' }] }
)
export const MoveWarehouseBody = Type.Object(
  { parent: nullable(WarehouseCode) },
  { ...closed, examples: [{ parent: 'SZ01' }] }
)
export const CloseWarehouseBody = Type.Object(
  {
    closedOn: Type.Optional(
      Type.String({ ...Day, description: 'First day on which nothing moves there any more; today if left away' })
    )
  },
  { ...closed, examples: [{ closedOn: '2026-12-31' }] }
)
export const WarehouseQuery = Type.Object(
  {
    region: Type.Optional(RegionCode),
    kind: Type.Optional(Kind),
    parent: Type.Optional(WarehouseCode),
    open: Type.Optional(Type.Boolean({ description: 'Only those open today, or only those closed' })),
    q: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description: 'Occurs in code or names, in any case',
        examples: ['上海']
      })
    ),
    ...limitAndCursor
  },
  closed
)
export type WarehouseQuery = Static<typeof WarehouseQuery>

export const WarehouseNameList = named(
  'WarehouseNameList',
  Type.Object(
    {
      items: Type.Array(
        Type.Object(
          { name: WarehouseTitle, nameZh: nullable(WarehouseTitleZh), fromAt: Instant, toAt: nullable(Instant) },
          closed
        )
      )
    },
    {
      ...closed,
      description: 'The names a warehouse has borne (更名记录), the present one first',
      examples: [
        {
          items: [
            { name: 'Shanghai regional centre', nameZh: '上海中心库', fromAt: '2026-01-01T00:00:00.000Z', toAt: null }
          ]
        }
      ]
    }
  )
)
export type WarehouseNameList = Static<typeof WarehouseNameList>
