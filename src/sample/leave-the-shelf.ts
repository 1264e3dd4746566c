import { createPart } from '../catalogue/create-part.ts'
import type { Context } from '../identity/actor.ts'
import { actingAs, actorOf } from '../identity/directory.ts'
import { setInstalledBase } from '../loaners/fleet.ts'
import { lendLoaner } from '../loaners/lend-loaner.ts'
import { registerLoaners } from '../loaners/register-loaners.ts'
import { setLoanerModel } from '../loaners/set-loaner-model.ts'
import { postSlip } from '../slips/post-slip.ts'
import { openHouse } from './some-weeks.ts'

const LOANER_BIKE = 'BK-R50R-52'

/** What leaves the shelf and must come back. */
export async function leaveTheShelf(ctx: Context): Promise<void> {
  await lendBikes(ctx)
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
