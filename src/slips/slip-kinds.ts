import type { Condition } from '../ledger/post.ts'

export const SLIP_KINDS = [
  'receipt',
  'return',
  'issue',
  'sale',
  'transfer-out',
  'transfer-in',
  'supplier-return',
  'scrap',
  'loan-out',
  'loan-in',
  'adjustment',
  'opening',
  'old-part-in',
  'refurbishment',
  'reversal'
] as const
export type SlipKind = (typeof SLIP_KINDS)[number]

export const PURPOSES = ['repair-order', 'technician', 'outlet'] as const
export type Purpose = (typeof PURPOSES)[number]

export const SLIP_STATES = ['draft', 'awaiting-signatures', 'approved', 'posted', 'refused', 'cancelled'] as const
export type SlipState = (typeof SLIP_STATES)[number]

export interface KindRules {
  nameZh: string
  /** The middle of the slip number: `HQ-OUT-202611-00017`. */
  series: string
  direction: 'in' | 'out' | 'either'
  /** What the goods may be; nonconforming goods are never issued as qualified (R-STK-1). */
  conditions: readonly Condition[]
  /** The slip names the posted slip that its goods left by, and they come back at the cost they left with (R-IN-3). */
  returnsFrom?: readonly SlipKind[]
  /** Lines may say on which day the goods were first received: they come with an age (R-AGE-7). */
  carriesAge?: boolean
  /** The operation by which such slips are written, where they are not written by hand. */
  writtenBy?: string
}

const ANY: readonly Condition[] = ['qualified', 'nonconforming']
const GOOD: readonly Condition[] = ['qualified']

/** What each kind of slip is and may move (R-IN-*, R-OUT-4). */
export const SLIP_KIND_RULES: Record<SlipKind, KindRules> = {
  receipt: { nameZh: '入库单', series: 'IN', direction: 'in', conditions: ANY },
  return: { nameZh: '退货入库单', series: 'RET', direction: 'in', conditions: ANY, returnsFrom: ['issue', 'sale'] },
  issue: { nameZh: '出库单', series: 'OUT', direction: 'out', conditions: GOOD },
  sale: { nameZh: '销售出库单', series: 'SAL', direction: 'out', conditions: GOOD },
  'transfer-out': { nameZh: '调拨出库单', series: 'TRO', direction: 'out', conditions: ANY },
  'transfer-in': { nameZh: '调拨入库单', series: 'TRI', direction: 'in', conditions: ANY, carriesAge: true },
  'supplier-return': { nameZh: '退供应商出库单', series: 'SUP', direction: 'out', conditions: ANY },
  scrap: { nameZh: '报废出库单', series: 'SCR', direction: 'out', conditions: ANY },
  'loan-out': { nameZh: '借出单', series: 'LNO', direction: 'out', conditions: GOOD },
  'loan-in': { nameZh: '借用归还单', series: 'LNI', direction: 'in', conditions: ANY, returnsFrom: ['loan-out'] },
  adjustment: { nameZh: '盘盈盘亏调整单', series: 'ADJ', direction: 'either', conditions: ANY },
  opening: { nameZh: '期初入库单', series: 'OPN', direction: 'in', conditions: ANY, carriesAge: true },
  'old-part-in': {
    nameZh: '旧件入库单',
    series: 'OLD',
    direction: 'in',
    conditions: ['nonconforming'],
    writtenBy: 'POST /v1/old-parts/returns'
  },
  refurbishment: {
    nameZh: '翻新入库单',
    series: 'RFB',
    direction: 'either',
    conditions: ANY,
    writtenBy: 'POST /v1/old-parts/refurbishments'
  },
  reversal: { nameZh: '红字冲销单', series: 'REV', direction: 'either', conditions: ANY }
}
