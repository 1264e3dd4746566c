import { actingAs, actorOf } from '../identity/directory.ts'
import type { Context, Duty } from '../identity/actor.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { createSlip } from '../slips/create-slip.ts'
import { postSlip, releaseSlipInEmergency } from '../slips/post-slip.ts'
import { signSlip } from '../slips/sign-slip.ts'
import type { CreateSlip, NewSlipLine, SlipView } from '../slips/slips.schemas.ts'

/** The opening slips are dated so many days before the sample is loaded. */
export const OPENED_DAYS_AGO = 40

export const daysAgo = (ctx: Context, days: number): string =>
  Temporal.PlainDate.from(ctx.clock.today()).subtract({ days }).toString()

export interface StockRow {
  warehouse: string
  part: string
  quantity: string
  ownership: Ownership
  condition: Condition
  /** Days between the first receipt of the goods and the opening slip. */
  daysHeld: string
}

const SIGNERS = ['department-head', 'operations-supervisor', 'finance-supervisor'] as const

/** The people of one warehouse at work. */
interface House {
  as(duty: Duty): Promise<Context>
  /** Written and submitted by the keeper, or by another keeper here. */
  write(slip: CreateSlip): Promise<SlipView>
  sign(number: string, duties?: readonly Duty[]): Promise<void>
  /** Written, signed by three and posted. */
  post(slip: CreateSlip, posting?: { handedTo?: string; deliveredBy?: string }): Promise<SlipView>
}

export function openHouse(ctx: Context, code: string): House {
  const as = async (duty: Duty) => actingAs(ctx, await actorOf(ctx.em, `${duty}@${code.toLowerCase()}`))
  const write: House['write'] = async (slip) => createSlip(await as('keeper'), { warehouse: code, ...slip })
  const sign: House['sign'] = async (number, duties = SIGNERS) => {
    for (const duty of duties) await signSlip(await as(duty), { number, duty, decision: 'approve' })
  }
  return {
    as,
    write,
    sign,
    post: async (slip, posting = {}) => {
      const { number } = await write(slip)
      await sign(number)
      return postSlip(await as('keeper'), { number, ...posting })
    }
  }
}

/** Opening stock and what happened since: receipts, issues, transfers, and papers on which something is still to be done. */
export async function playSomeWeeks(ctx: Context, stock: StockRow[]): Promise<void> {
  const stockOf = Map.groupBy(stock, ({ warehouse }) => warehouse)
  for (const [warehouse, rows] of stockOf) await openStock(ctx, warehouse, rows)
  for (const [warehouse, rows] of stockOf) await issueDaily(ctx, warehouse, rows)
  await receiveGoods(ctx)
  await moveGoods(ctx)
  await leavePapersOpen(ctx)
}

async function openStock(ctx: Context, warehouse: string, rows: StockRow[]): Promise<void> {
  await openHouse(ctx, warehouse).post({
    kind: 'opening',
    occurredOn: daysAgo(ctx, OPENED_DAYS_AGO),
    note: '期初库存',
    lines: rows.map(({ part, quantity, ownership, condition, daysHeld }) => ({
      part,
      quantity,
      ownership,
      condition,
      receivedOn: daysAgo(ctx, OPENED_DAYS_AGO + Number(daysHeld))
    }))
  })
}

/** Of the parts a warehouse has enough of, three at a time go to repairs, technicians and customers, every few days. */
async function issueDaily(ctx: Context, warehouse: string, rows: StockRow[]): Promise<void> {
  const house = openHouse(ctx, warehouse)
  const plenty = rows.filter(
    ({ quantity, ownership, condition }) => Number(quantity) >= 4 && ownership === 'own' && condition === 'qualified'
  )
  const slips = Math.min(rows.length > 100 ? 9 : 4, Math.floor(plenty.length / 3))
  for (let turn = 0; turn < slips; turn++) {
    const day = daysAgo(ctx, OPENED_DAYS_AGO - 2 - Math.floor((turn * (OPENED_DAYS_AGO - 4)) / slips))
    const lines = [0, 1, 2].map((place): NewSlipLine => ({
      part: plenty[(turn * 3 + place) % plenty.length]?.part ?? '',
      quantity: String(1 + ((turn + place) % 2))
    }))
    const paper = `${warehouse}-${day.slice(2).replaceAll('-', '')}-${turn + 1}`
    const slip: CreateSlip =
      turn % 4 === 3
        ? {
            kind: 'sale',
            occurredOn: day,
            counterparty: '门店零售客户',
            reference: `SO-${paper}`,
            lines: lines.slice(0, 1)
          }
        : {
            kind: 'issue',
            purpose: turn % 4 === 2 ? 'technician' : 'repair-order',
            occurredOn: day,
            reference: turn % 4 === 2 ? `technician@${warehouse.toLowerCase()}` : `RO-${paper}`,
            lines
          }
    await house.post(slip, { handedTo: slip.kind === 'sale' ? '客户本人' : '维修技术员' })
  }
}

/** From authorised suppliers: as the delivery note says, short, and damaged on the way. */
async function receiveGoods(ctx: Context): Promise<void> {
  const hq = openHouse(ctx, 'HQ')
  await hq.post(
    {
      kind: 'receipt',
      occurredOn: daysAgo(ctx, 18),
      supplier: 'VARSITY0001',
      deliveryNote: 'VS-20871',
      packagesExpected: 5,
      packagesReceived: 5,
      lines: [{ part: 'CH-0234', quantity: '5', unit: 'box', expectedQuantity: '5', unitCost: '8.9866' }]
    },
    { deliveredBy: '德邦物流 李师傅' }
  )
  const pedals = await hq.post(
    {
      kind: 'receipt',
      occurredOn: daysAgo(ctx, 9),
      counterparty: '总公司生产部',
      deliveryNote: 'SC-1107',
      packagesExpected: 4,
      packagesReceived: 4,
      lines: [
        {
          part: 'CS-4759',
          quantity: '38',
          expectedQuantity: '40',
          difference: { responsibleParty: 'production', description: '箱内少两件' }
        },
        {
          part: 'FK-5136',
          quantity: '20',
          expectedQuantity: '20',
          difference: {
            aspects: ['quality'],
            responsibleParty: 'carrier',
            faultyQuantity: '3',
            description: '外箱破损，叉腿划伤'
          }
        }
      ]
    },
    { deliveredBy: '厂车 赵师傅' }
  )
  await hq.post({
    kind: 'receipt',
    occurredOn: daysAgo(ctx, 4),
    counterparty: '总公司生产部',
    deliveryNote: 'SC-1121',
    note: `补发 ${pedals.number} 短少`,
    lines: [{ part: 'CS-4759', quantity: '2', expectedQuantity: '2' }]
  })
  const sh01 = openHouse(ctx, 'SH01')
  await sh01.post({
    kind: 'receipt',
    occurredOn: daysAgo(ctx, 12),
    counterparty: '总公司备件中心',
    deliveryNote: 'HQ-DB-0331',
    lines: [
      {
        part: 'TT-M928',
        quantity: '3',
        unit: 'carton',
        expectedQuantity: '3',
        difference: {
          aspects: ['quality'],
          responsibleParty: 'own-department',
          faultyQuantity: '2',
          description: '卸货时被叉车压坏'
        }
      }
    ]
  })
}

/** A transfer that arrived with the age of its goods, one on the way, a return, a reversal, scrap. */
async function moveGoods(ctx: Context): Promise<void> {
  const [hq, sz01, sh01] = [openHouse(ctx, 'HQ'), openHouse(ctx, 'SZ01'), openHouse(ctx, 'SH01')]
  const out = await hq.post(
    {
      kind: 'transfer-out',
      occurredOn: daysAgo(ctx, 14),
      counterparty: 'SZ01',
      reference: 'DB-SZ01-07',
      lines: [
        { part: 'FB-9873', quantity: '10' },
        { part: 'RB-9231', quantity: '10' }
      ]
    },
    { handedTo: '厂车 赵师傅' }
  )
  await sz01.post(
    {
      kind: 'transfer-in',
      occurredOn: daysAgo(ctx, 13),
      counterparty: 'HQ',
      reference: out.number,
      lines: out.lines.map(({ part, quantity }) => ({
        part,
        quantity,
        unitCost: '47.2860',
        receivedOn: daysAgo(ctx, OPENED_DAYS_AGO)
      }))
    },
    { deliveredBy: '厂车 赵师傅' }
  )
  await hq.post(
    {
      kind: 'transfer-out',
      occurredOn: daysAgo(ctx, 1),
      counterparty: 'SH01',
      reference: 'DB-SH01-09',
      lines: [{ part: 'CH-0234', quantity: '2', unit: 'box' }]
    },
    { handedTo: '德邦物流 李师傅' }
  )

  const issue = await sz01.post(
    {
      kind: 'issue',
      occurredOn: daysAgo(ctx, 8),
      reference: 'RO-SZ01-0907',
      lines: [{ part: 'FB-9873', quantity: '2' }]
    },
    { handedTo: '维修技术员' }
  )
  await sz01.post({
    kind: 'return',
    occurredOn: daysAgo(ctx, 7),
    reference: issue.number,
    reason: '实际只换了一只',
    lines: [{ part: 'FB-9873', quantity: '1' }]
  })

  const wrong = await sh01.post({
    kind: 'receipt',
    occurredOn: daysAgo(ctx, 6),
    counterparty: '总公司备件中心',
    deliveryNote: 'HQ-DB-0340',
    lines: [{ part: 'LO-C100', quantity: '12' }]
  })
  await sh01.post({
    kind: 'reversal',
    occurredOn: daysAgo(ctx, 5),
    reference: wrong.number,
    reason: '误收，货为其他网点的'
  })
  await hq.post({
    kind: 'scrap',
    occurredOn: daysAgo(ctx, 3),
    reason: '老化开裂，无法使用',
    lines: [{ part: 'TI-M823', quantity: '2', condition: 'nonconforming' }]
  })
}

/** What the people find on their desks: nothing signed, two of three signed, a late signature due, one sent back, a draft. */
async function leavePapersOpen(ctx: Context): Promise<void> {
  const [hq, sz01, sh01] = [openHouse(ctx, 'HQ'), openHouse(ctx, 'SZ01'), openHouse(ctx, 'SH01')]
  await hq.write({
    kind: 'issue',
    purpose: 'outlet',
    reference: 'SU11',
    counterparty: '苏州园区服务站',
    lines: [
      { part: 'CH-0234', quantity: '1', unit: 'box' },
      { part: 'TI-R628', quantity: '2', unit: 'carton' }
    ]
  })

  const half = await sh01.write({
    kind: 'issue',
    reference: 'RO-SH01-1121',
    lines: [{ part: 'CS-6583', quantity: '1' }]
  })
  await sh01.sign(half.number, ['department-head', 'operations-supervisor'])

  const urgent = await sz01.write({
    kind: 'issue',
    reference: 'RO-SZ01-1188',
    note: '抢修',
    lines: [{ part: 'RB-9231', quantity: '1' }]
  })
  await sz01.sign(urgent.number, ['department-head', 'operations-supervisor'])
  await releaseSlipInEmergency(await sz01.as('keeper'), {
    number: urgent.number,
    missingDuty: 'finance-supervisor',
    authorisedBy: '财务主管电话同意',
    reason: '客户现场等件，财务主管出差',
    handedTo: '维修技术员'
  })

  const refused = await sh01.write({
    kind: 'scrap',
    reason: '外观不良',
    lines: [{ part: 'FB-9873', quantity: '2', condition: 'nonconforming' }]
  })
  await signSlip(await sh01.as('finance-supervisor'), {
    number: refused.number,
    duty: 'finance-supervisor',
    decision: 'refuse',
    comment: '未附质量反馈表，请补齐后再报'
  })

  await hq.write({
    kind: 'receipt',
    counterparty: '总公司生产部',
    deliveryNote: 'SC-1130',
    lines: [{ part: 'BB-9108', quantity: '30' }],
    submit: false
  })
}
