import { createPart } from '../catalogue/create-part.ts'
import type { Context } from '../identity/actor.ts'
import { actingAs, actorOf } from '../identity/directory.ts'
import { drawUpHandover } from '../handovers/draw-up-handover.ts'
import { signHandover } from '../handovers/sign-handover.ts'
import { submitHandover } from '../handovers/submit-handover.ts'
import { setInstalledBase } from '../loaners/fleet.ts'
import { lendLoaner } from '../loaners/lend-loaner.ts'
import { registerLoaners } from '../loaners/register-loaners.ts'
import { setLoanerModel } from '../loaners/set-loaner-model.ts'
import { postSlip } from '../slips/post-slip.ts'
import { issueTools } from '../tools/issue-tools.ts'
import { setToolKit } from '../tools/kits.ts'
import { openCustodyRound } from '../custody-rounds/open-custody-round.ts'
import { registerTools } from '../tools/register-tools.ts'
import { signToolDocument } from '../tools/sign-tool-document.ts'
import { daysAgo, openHouse } from './some-weeks.ts'

const LOANER_BIKE = 'BK-R50R-52'

/** What leaves the shelf and must come back, and a keeper who leaves the post. */
export async function leaveTheShelf(ctx: Context): Promise<void> {
  await lendBikes(ctx)
  await issueWorkshopTools(ctx)
  await handOverGuangzhou(ctx)
}

/** Bicycles that customers ride while theirs is repaired: three, of which one is out and due back soon. */
async function lendBikes(ctx: Context): Promise<void> {
  const controller = actingAs(ctx, await actorOf(ctx.em, 'stock-controller@hq'))
  await createPart(controller, {
    number: LOANER_BIKE,
    name: 'Road-650 Red, 52',
    nameZh: '650型公路车 红色 52（备用车）',
    colour: 'Red',
    category: 'Road Bikes',
    standardCost: '486.7066',
    listPrice: '782.99'
  })
  await setLoanerModel(controller, { part: LOANER_BIKE, family: 'ROAD-650' })
  await setInstalledBase(controller, { region: 'SOUTH', family: 'ROAD-650', units: 1000, countedOn: ctx.clock.today() })
  const house = openHouse(ctx, 'SZ01')
  const keeper = await house.as('keeper')
  const serials = ['BY-SZ01-0001', 'BY-SZ01-0002', 'BY-SZ01-0003']
  const { slip } = await registerLoaners(keeper, {
    warehouse: 'SZ01',
    kind: 'opening',
    units: serials.map((serial) => ({ serial, model: LOANER_BIKE, grade: 'B', accessories: ['车锁', '前灯'] }))
  })
  const post = async (number: string) => {
    await house.sign(number)
    await postSlip(keeper, { number })
  }
  await post(slip)
  const { outSlip } = await lendLoaner(keeper, {
    serial: 'BY-SZ01-0001',
    repairOrder: 'WX-SZ01-0815',
    receiptNumber: 'JT-SZ01-000815',
    customerName: '陈女士',
    customerContact: '138-0000-0000',
    dueOn: Temporal.PlainDate.from(ctx.clock.today()).add({ days: 2 }).toString(),
    condition: '车况良好，后轮胎有轻微磨损'
  })
  await post(outSlip)
}

/** Tools of the workshop: a kit and a press are with the technician, who is asked to confirm them; one is to be calibrated soon. */
async function issueWorkshopTools(ctx: Context): Promise<void> {
  const house = openHouse(ctx, 'SZ01')
  const keeper = await house.as('keeper')
  const technician = await house.as('technician')
  const tools = [
    ['GJ-SZ01-0001', 'Digital multimeter', '数字万用表', '1280.00', 400],
    ['GJ-SZ01-0002', 'Torque wrench 2–24 N·m', '扭力扳手 2–24 N·m', '860.00', 350],
    ['GJ-SZ01-0003', 'Wheel truing stand', '轮组校正台', '1490.00', 400],
    ['GJ-SZ01-0004', 'Hydraulic press', '液压压力机', '8600.00', 700]
  ] as const
  await registerTools(keeper, {
    warehouse: 'SZ01',
    tools: tools.map(([serial, name, nameZh, value, daysOld]) => ({
      serial,
      name,
      nameZh,
      value,
      purchasedOn: daysAgo(ctx, daysOld),
      ...(name.startsWith('Torque') && { calibrationMonths: 12, calibratedOn: daysAgo(ctx, 350) })
    }))
  })
  await setToolKit(keeper, {
    warehouse: 'SZ01',
    code: 'KIT-SZ01-1',
    name: 'Wheel workshop',
    nameZh: '轮组维修工具箱',
    tools: ['GJ-SZ01-0002', 'GJ-SZ01-0003']
  })
  for (const what of [{ kit: 'KIT-SZ01-1' }, { tools: [{ serial: 'GJ-SZ01-0001' }, { serial: 'GJ-SZ01-0004' }] }]) {
    const { number } = await issueTools(keeper, { warehouse: 'SZ01', technician: 'technician@sz01', ...what })
    await signToolDocument(technician, { number })
  }
  const dueOn = Temporal.PlainDate.from(ctx.clock.today()).add({ days: 7 }).toString()
  await openCustodyRound(keeper, { warehouse: 'SZ01', dueOn, note: '季度工具核对' })
}

/** The keeper of Guangzhou is promoted and hands over to the technician; three of the four have not signed yet. */
async function handOverGuangzhou(ctx: Context): Promise<void> {
  const keeper = await openHouse(ctx, 'GZ01').as('keeper')
  const { number } = await drawUpHandover(keeper, {
    warehouse: 'GZ01',
    incoming: 'technician@gz01',
    because: '调任总公司分管部',
    keys: [
      { name: '仓库大门', count: 2 },
      { name: '贵重件柜', count: 1 }
    ],
    notes: '三号货架层板待更换'
  })
  await submitHandover(keeper, { number })
  await signHandover(keeper, { number, party: 'outgoing-keeper', decision: 'approve' })
}
