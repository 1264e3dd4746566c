import { Type, type Static } from 'typebox'
import {
  Day,
  Instant,
  Money,
  named,
  nullable,
  pageOf,
  PartNumber,
  Quantity,
  ref,
  SignedQuantity,
  UnitCost,
  WarehouseCode
} from '../platform/schemas.ts'
import { CONDITIONS, OWNERSHIPS } from './post.ts'

export const Ownership = Type.Unsafe<(typeof OWNERSHIPS)[number]>({
  type: 'string',
  enum: [...OWNERSHIPS],
  description: 'own, or consigned by head office (总公司寄存商品)'
})
export const Condition = Type.Unsafe<(typeof CONDITIONS)[number]>({
  type: 'string',
  enum: [...CONDITIONS],
  description: 'qualified (合格) or nonconforming (不合格)'
})

/** Ownership and condition as printed papers have them. */
export const OWNERSHIP_ON_PAPER = { own: '自有 own', consigned: '寄存 consigned' } as const
export const CONDITION_ON_PAPER = { qualified: '合格 qualified', nonconforming: '不合格 nonconforming' } as const

const part = { part: PartNumber, name: Type.String(), nameZh: nullable(Type.String()) }
const value = {
  cost: Type.String({ ...Money, description: 'Original cost of what is on hand' }),
  accumulatedDepreciation: Type.String({ ...Money, description: 'Charged up to and including last month' }),
  value: Type.String({ ...Money, description: 'Net book value: cost less accumulated depreciation' })
}
const stock = {
  ...part,
  unit: Type.String({ description: 'Stock unit' }),
  ownership: Ownership,
  condition: Condition,
  onHand: Type.String({ ...Quantity, description: 'Physically there' }),
  reserved: Type.String({ ...Quantity, description: 'Promised' }),
  blocked: Type.String({ ...Quantity, description: 'Held back by a recall (冻结数量, R-REQ-7)' }),
  available: Type.String({ ...Quantity, description: 'On hand less reserved and blocked' }),
  ...value
}

export const StockRow = named('Stock', Type.Object(stock))
export type StockRow = Static<typeof StockRow>
export const StockPage = pageOf(StockRow)

export const NetworkStockRow = named(
  'NetworkStock',
  Type.Object({
    warehouse: WarehouseCode,
    warehouseName: Type.String(),
    warehouseNameZh: nullable(Type.String()),
    region: Type.String(),
    ...stock,
    oldestReceivedOn: nullable(Day)
  })
)
export type NetworkStockRow = Static<typeof NetworkStockRow>
export const NetworkStockPage = pageOf(NetworkStockRow)

export const LedgerRow = named(
  'LedgerEntry',
  Type.Object({
    id: Type.String(),
    occurredOn: Type.String({ ...Day, description: 'Day on the paper' }),
    postedAt: Instant,
    slip: Type.String(),
    kind: Type.String(),
    line: Type.Integer(),
    ...part,
    ownership: Ownership,
    condition: Condition,
    lot: Type.String(),
    reference: nullable(Type.String()),
    quantity: SignedQuantity,
    cost: Money,
    charge: Type.String({ ...Money, description: 'Accumulated depreciation that moved with the goods' }),
    onHandAfter: Type.String({ ...Quantity, description: 'On hand when it was posted' }),
    balance: nullable(
      Type.String({
        ...SignedQuantity,
        description: 'Running balance by day; of one part, ownership and condition. Null in a list of several parts'
      })
    )
  })
)
export type LedgerRow = Static<typeof LedgerRow>
export const LedgerPage = pageOf(LedgerRow)

export const LotView = named(
  'Lot',
  Type.Object({
    lot: Type.String(),
    part: PartNumber,
    ownership: Ownership,
    condition: Condition,
    receivedOn: Type.String({ ...Day, description: 'First received; travels with the goods' }),
    openedOn: Type.String({ ...Day, description: 'In this warehouse since' }),
    ageMonths: Type.Integer({
      description:
        'Which calendar month of its life the lot is in: 1 in the month of receipt, 4 when depreciation begins (库龄, R-AGE-1)'
    }),
    unitCost: UnitCost,
    quantityIn: Quantity,
    onHand: Quantity,
    ...value,
    parentLot: nullable(Type.String({ description: 'The lot these goods left before they came back' })),
    blockedBy: Type.Array(Type.String(), { description: 'The recalls that hold it back (冻结)' })
  })
)
export type LotView = Static<typeof LotView>
export const LotList = named('LotList', Type.Object({ items: Type.Array(ref(LotView)) }))

export const Verification = named(
  'LedgerVerification',
  Type.Object({
    ok: Type.Boolean(),
    checkedAt: Instant,
    findings: Type.Array(
      Type.Object({
        check: Type.String(),
        warehouse: WarehouseCode,
        subject: Type.String(),
        expected: Type.String(),
        found: Type.String()
      })
    )
  })
)
