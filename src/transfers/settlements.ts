// What departments owe each other for transfers of a month, at net book value (R-AGE-7).
//
// Definitions:
// - A line belongs to the month of its paper at the receiver: what came in, whole or damaged, is owed to the giver at what it was worth
//   when it left, cost less accumulated depreciation. Damaged goods for which the giver answers are not owed; if that claim is withdrawn,
//   they are owed in the month of the withdrawal.
// - What is missing is not owed: the carrier or the giver bears it, as its claim says. What was called back is not owed either.
// - A reversal stands in its own month with the opposite sign.
// - In transit at the end of the month is what left by papers of that day or earlier and is not accounted for by papers of that day or
//   earlier. So for all pairs and any month: what was sent by then = received + damaged + missing + called back + in transit, to the cent.
// - Carriage is listed with who pays it, and owed between departments only as they agree: each pays its carrier.
// Nothing of it is stored: it is read off posted slips, whose values never change.
import { Type, type Static } from 'typebox'
import { requireDutyEverywhere, requireDutyToRead, type Context, type Duty } from '../identity/actor.ts'
import { Ownership } from '../ledger/ledger.schemas.ts'
import { rowsOf } from '../platform/csv.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import {
  Day,
  Money,
  Month,
  named,
  nullable,
  oneOf,
  PartNumber,
  ref,
  SignedQuantity,
  WarehouseCode
} from '../platform/schemas.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { dutyToReadAtEither } from './transfer-rights.ts'
import { RESPONSIBLE_FOR_LOSS, TransferNumber } from './transfers.schemas.ts'

const FINANCE: readonly Duty[] = ['finance-supervisor', 'hq-finance']

export const SETTLEMENT_KINDS = [
  'received',
  'damaged',
  'missing',
  'called-back',
  'claim-withdrawn',
  'transport',
  'in-transit'
] as const

const SettlementLine = named(
  'TransferSettlementLine',
  Type.Object({
    kind: oneOf(SETTLEMENT_KINDS, 'What became of the goods; transport is what carriage cost'),
    isReversal: Type.Boolean({ description: 'It takes back an earlier one, with the opposite sign' }),
    transfer: TransferNumber,
    slip: nullable(Type.String({ description: 'Slip it stands on; the out slip of what is in transit' })),
    on: Day,
    from: WarehouseCode,
    to: WarehouseCode,
    part: nullable(PartNumber),
    name: nullable(Type.String()),
    ownership: nullable(Ownership),
    receivedOn: nullable(Type.String({ ...Day, description: 'Day the lot was first received' })),
    ageMonths: nullable(Type.Integer({ description: 'Age of the lot on that day: 1 in the month of receipt (库龄)' })),
    quantity: nullable(SignedQuantity),
    cost: nullable(Money),
    accumulatedDepreciation: nullable(Money),
    netBookValue: nullable(Money),
    payable: Type.String({ ...Money, description: 'What the receiver owes the giver for it' }),
    responsible: nullable(oneOf(RESPONSIBLE_FOR_LOSS, 'Who answers for what is damaged or missing')),
    claim: nullable(Type.String({ description: 'State of the claim today' })),
    amount: nullable(Type.String({ ...Money, description: 'Of carriage' })),
    paidBy: nullable(Type.String({ ...WarehouseCode, description: 'Warehouse whose department pays the carriage' }))
  })
)
export type SettlementLine = Static<typeof SettlementLine>

const SettlementPair = named(
  'TransferSettlementPair',
  Type.Object({
    from: WarehouseCode,
    to: WarehouseCode,
    received: Type.String({ ...Money, description: 'At net book value, as all of these' }),
    damaged: Money,
    missingByCarrier: Money,
    missingByGiver: Money,
    calledBack: Money,
    inTransit: Type.String({ ...Money, description: 'At the end of the month' }),
    transportOfReceiver: Money,
    transportOfGiver: Money,
    payable: Type.String({ ...Money, description: 'What the receiver owes the giver' }),
    lines: Type.Array(ref(SettlementLine))
  })
)
export const SettlementView = named(
  'TransferSettlement',
  Type.Object({
    period: Month,
    pairs: Type.Array(ref(SettlementPair)),
    nets: Type.Array(
      Type.Object({
        payer: WarehouseCode,
        payee: WarehouseCode,
        amount: Type.String({ ...Money, description: 'Both directions against each other; 0 if they are even' })
      }),
      { description: 'What is left to pay between each two departments' }
    )
  })
)
export type SettlementView = Static<typeof SettlementView>

export interface SettlementQuery {
  period: string
  warehouse?: string | undefined
  from?: string | undefined
  to?: string | undefined
}

/** Beyond this a month is asked for by warehouse or pair, or as a file. */
const MAX_LINES = 10_000

// A transfer matters if anything of it happened in the month or later, or it is still under way.
const LINES = `
with chosen as materialized (
  select t.*, giver.code as giver, receiver.code as receiver
    from transfer t join warehouse giver on giver.id = t.warehouse_id join warehouse receiver on receiver.id = t.to_warehouse_id
   where ($3::int is null or t.warehouse_id = $3) and ($4::int is null or t.to_warehouse_id = $4) and ($5::int is null or $5 in (t.warehouse_id, t.to_warehouse_id))
     and (t.state = 'in-transit'
          or exists (select 1 from slip s where s.transfer_warehouse_id = t.warehouse_id and s.transfer_id = t.id and s.occurred_on >= $1::date)
          or exists (select 1 from transfer_claim c where c.warehouse_id = t.warehouse_id and c.transfer_id = t.id and c.decided_on >= $1::date)
          or exists (select 1 from transfer_transport e where e.warehouse_id = t.warehouse_id and e.transfer_id = t.id and e.entered_on >= $1::date))
), flow as materialized (
  select t.giver, t.receiver, t.number, f.*
    from chosen t cross join lateral (select * from transfer_flow f where f.warehouse_id = t.warehouse_id and f.transfer_id = t.id and f.day <= $2::date) f
), goods as (
  select f.kind, f.undone, f.number, s.number as slip, f.day, f.giver, f.receiver, f.warehouse_id, f.transfer_id, f.out_lot_id, f.claim_no,
         -sum(f.quantity) as quantity, -sum(f.cost) as cost, -sum(f.charge) as charge
    from flow f join slip s on s.warehouse_id = f.slip_warehouse_id and s.id = f.slip_id
   where f.kind <> 'sent' and f.day >= $1::date
   group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
  union all
  select 'in-transit', false, f.number, s.number, min(f.day) filter (where f.kind = 'sent'), f.giver, f.receiver, f.warehouse_id, f.transfer_id, f.out_lot_id, null,
         sum(f.quantity), sum(f.cost), sum(f.charge)
    from flow f join slip s on s.warehouse_id = f.warehouse_id and s.id = f.out_slip_id
   group by f.number, s.number, f.giver, f.receiver, f.warehouse_id, f.transfer_id, f.out_slip_id, f.out_lot_id
  having sum(f.quantity) <> 0
), said as (
  select g.giver, g.receiver, g.number, g.day, g.kind, g.undone, g.slip, part.number as part, coalesce(part.name_zh, part.name) as name, lot.ownership, lot.received_on,
         month_index(g.day) - lot.aged_month + 1 as age, g.quantity, g.cost, g.charge, c.responsible, c.state as claim,
         case when g.kind = 'received' then g.cost - g.charge
              when g.kind = 'damaged' and (c.responsible = 'carrier' or (g.undone and c.state = 'withdrawn')) then g.cost - g.charge
              else 0 end as payable, null::numeric as amount, null as payer
    from goods g
    join lot on lot.warehouse_id = g.warehouse_id and lot.id = g.out_lot_id
    join part on part.id = lot.part_id
    left join transfer_claim c on c.warehouse_id = g.warehouse_id and c.transfer_id = g.transfer_id and c.claim_no = g.claim_no
  union all
  select t.giver, t.receiver, t.number, c.decided_on, 'claim-withdrawn', false, s.number, part.number, coalesce(part.name_zh, part.name), l.ownership, null, null,
         null, null, null, c.responsible, c.state, sum(a.cost - a.charge), null, null
    from chosen t
    join transfer_claim c on c.warehouse_id = t.warehouse_id and c.transfer_id = t.id and c.kind = 'damaged' and c.responsible = 'giver' and c.state = 'withdrawn'
     and c.decided_on >= $1::date and c.decided_on <= $2::date
    join transfer_line l on l.warehouse_id = c.warehouse_id and l.transfer_id = c.transfer_id and l.line_no = c.line_no
    join part on part.id = l.part_id
    join transfer_arrival a on a.warehouse_id = c.warehouse_id and a.transfer_id = c.transfer_id and a.claim_no = c.claim_no
    join slip s on s.warehouse_id = a.slip_warehouse_id and s.id = a.slip_id
   group by t.giver, t.receiver, t.number, c.claim_no, c.decided_on, s.number, part.number, part.name_zh, part.name, l.ownership, c.responsible, c.state
  union all
  select t.giver, t.receiver, t.number, e.entered_on, 'transport', e.amount < 0, null, null, null, null, null, null,
         null, null, null, null, null, 0, e.amount, payer.code
    from chosen t
    join transfer_transport e on e.warehouse_id = t.warehouse_id and e.transfer_id = t.id and e.entered_on >= $1::date and e.entered_on <= $2::date
    join warehouse payer on payer.id = e.paid_by_warehouse_id
)
select kind, undone as "isReversal", number as transfer, slip, day as "on", giver as "from", receiver as "to", part, name, ownership, received_on as "receivedOn", age as "ageMonths",
       trim_scale(quantity)::text as quantity, cost::numeric(18,2)::text as cost, charge::numeric(18,2)::text as "accumulatedDepreciation", (cost - charge)::numeric(18,2)::text as "netBookValue",
       payable::numeric(18,2)::text as payable, responsible, claim, amount::text as amount, payer as "paidBy"
  from said
 order by giver collate "C", receiver collate "C", kind = 'in-transit', kind = 'transport', day, number, slip, part, received_on,
          array_position(array['received', 'damaged', 'missing', 'called-back', 'claim-withdrawn', 'transport', 'in-transit'], kind), undone`

const LIMITED = statement<SettlementLine>(`${LINES} limit ${MAX_LINES + 1}`)

/** @throws Refusal 403 `DutyRequired`, 404 */
async function valuesOf(ctx: Context, { period, warehouse, from, to }: SettlementQuery): Promise<unknown[]> {
  const placeOf = async (code: string | undefined) => (code === undefined ? null : warehouseByCode(ctx, code))
  const [place, giver, receiver] = [await placeOf(warehouse), await placeOf(from), await placeOf(to)]
  if (place !== null) requireDutyToRead(ctx, FINANCE, place)
  else if (giver !== null && receiver !== null)
    dutyToReadAtEither(ctx, { giver: [giver, FINANCE], receiver: [receiver, FINANCE] })
  else if (giver !== null || receiver !== null) {
    const one = giver ?? receiver
    if (one !== null) requireDutyToRead(ctx, FINANCE, one)
  } else requireDutyEverywhere(ctx, 'hq-finance')
  const first = Temporal.PlainYearMonth.from(period).toPlainDate({ day: 1 })
  const last = first.add({ months: 1 }).subtract({ days: 1 })
  return [first.toString(), last.toString(), giver?.id ?? null, receiver?.id ?? null, place?.id ?? null]
}

/**
 * The settlement of a month: per pair of departments what came in, what is missing, damaged or called back, carriage, what is in transit at
 * its end, and what is owed.
 * @throws Refusal 422 `SettlementTooLong`, 403, 404
 */
export async function settleTransfers(ctx: Context, query: SettlementQuery): Promise<SettlementView> {
  const lines = await run(ctx, LIMITED, await valuesOf(ctx, query))
  if (lines.length > MAX_LINES)
    throw new Refusal(
      'SettlementTooLong',
      422,
      `the settlement of ${query.period} has more than ${MAX_LINES} lines; ask for one warehouse or one pair, or for a file by Accept: text/csv`
    )
  const pairs = [...Map.groupBy(lines, ({ from, to }) => `${from} ${to}`).values()].map(pairOf)
  return { period: query.period, pairs, nets: netsOf(pairs) }
}

const cents = (amount: string): bigint => BigInt(amount.replace('.', ''))
const amountOf = (units: bigint): string => {
  const text = (units < 0n ? -units : units).toString().padStart(3, '0')
  return `${units < 0n ? '-' : ''}${text.slice(0, -2)}.${text.slice(-2)}`
}

type Pair = SettlementView['pairs'][number]

function pairOf(lines: SettlementLine[]): Pair {
  const [first] = lines
  if (first === undefined) throw new Error('a pair has lines')
  const { from, to } = first
  const sum = (
    isIn: (line: SettlementLine) => boolean,
    member: 'netBookValue' | 'payable' | 'amount' = 'netBookValue'
  ): string => amountOf(lines.reduce((total, line) => (isIn(line) ? total + cents(line[member] ?? '0.00') : total), 0n))
  const isOf = (kind: SettlementLine['kind']) => (line: SettlementLine) => line.kind === kind
  return {
    from,
    to,
    received: sum(isOf('received')),
    damaged: sum(isOf('damaged')),
    missingByCarrier: sum((line) => line.kind === 'missing' && line.responsible === 'carrier'),
    missingByGiver: sum((line) => line.kind === 'missing' && line.responsible === 'giver'),
    calledBack: sum(isOf('called-back')),
    inTransit: sum(isOf('in-transit')),
    transportOfReceiver: sum((line) => line.paidBy === to, 'amount'),
    transportOfGiver: sum((line) => line.paidBy === from, 'amount'),
    payable: sum(() => true, 'payable'),
    lines
  }
}

/** Both directions of each two departments against each other. */
function netsOf(pairs: readonly Pair[]): SettlementView['nets'] {
  const between = Map.groupBy(pairs, ({ from, to }) => [from, to].toSorted().join(' '))
  return [...between.values()].map((both) => {
    const [{ from, to } = { from: '', to: '' }] = both
    const owed = both.reduce((sum, pair) => sum + (pair.to === to ? cents(pair.payable) : -cents(pair.payable)), 0n)
    return owed < 0n
      ? { payer: from, payee: to, amount: amountOf(-owed) }
      : { payer: to, payee: from, amount: amountOf(owed) }
  })
}

export const SETTLEMENT_COLUMNS = {
  from: 'from 调出仓库',
  to: 'to 调入仓库',
  kind: 'kind 类别',
  isReversal: 'reversal 冲销',
  transfer: 'transfer 调拨单号',
  slip: 'slip 单号',
  on: 'on 日期',
  part: 'part 货号',
  name: 'name 货名',
  ownership: 'ownership 所有权',
  receivedOn: 'received on 首次入库日',
  ageMonths: 'age in months 库龄(月)',
  quantity: 'quantity 数量',
  cost: 'cost 原值',
  accumulatedDepreciation: 'accumulated depreciation 累计折旧',
  netBookValue: 'net book value 净值',
  payable: 'payable 应付调出方',
  responsible: 'responsible 责任方',
  claim: 'claim 索赔状态',
  amount: 'transport 运费',
  paidBy: 'transport paid by 运费承担仓库'
} as const satisfies Record<keyof SettlementLine, string>

/** All lines of a month, as a file. */
export async function settlementStream(ctx: Context, query: SettlementQuery): Promise<AsyncIterable<SettlementLine>> {
  return rowsOf<SettlementLine>(ctx, LINES, await valuesOf(ctx, query))
}
