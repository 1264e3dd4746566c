import { Type, type Static } from 'typebox'
import {
  closed,
  Instant,
  limitAndCursor,
  named,
  nullable,
  pageOf,
  PartNumber,
  WarehouseCode
} from '../platform/schemas.ts'

const Category = Type.String({ minLength: 1, maxLength: 60, pattern: '\\S', description: 'Category of parts (类别)' })
const RegionCode = Type.String({ minLength: 1, maxLength: 20, description: 'Region code' })
const Reason = Type.String({
  minLength: 1,
  maxLength: 500,
  pattern: '\\S',
  description: 'Why; outlets are told (原因)'
})

export const OrderRestriction = named(
  'OrderRestriction',
  Type.Object({
    id: Type.Integer(),
    part: nullable(PartNumber),
    category: nullable(Category),
    warehouse: nullable(Type.String({ ...WarehouseCode, description: 'Whom it hits; null with region null: all' })),
    region: nullable(RegionCode),
    reason: Reason,
    setBy: Type.String({ description: 'User name' }),
    setAt: Instant
  })
)
export type OrderRestriction = Static<typeof OrderRestriction>
export const OrderRestrictionPage = pageOf(OrderRestriction)

export const OrderRestrictionQuery = Type.Object(
  {
    part: Type.Optional(Type.String({ ...PartNumber, description: 'Only those that hit this part' })),
    warehouse: Type.Optional(Type.String({ ...WarehouseCode, description: 'Only those that hit this warehouse' })),
    ...limitAndCursor
  },
  closed
)
export const OrderRestrictionParams = Type.Object({
  id: Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'Id of the restriction' })
})

export const SetOrderRestrictionBody = named(
  'SetOrderRestriction',
  Type.Object(
    {
      part: Type.Optional(PartNumber),
      category: Type.Optional(Category),
      warehouse: Type.Optional(Type.String({ ...WarehouseCode, description: 'Only for this warehouse' })),
      region: Type.Optional(RegionCode),
      reason: Reason
    },
    { ...closed, examples: [{ category: '制冷剂', reason: '仅限有资质的网点，请联系总公司分管部' }] }
  )
)
export type SetOrderRestriction = Static<typeof SetOrderRestrictionBody>
