import { updatePart } from '../catalogue/update-part.ts'
import type { Context } from '../identity/actor.ts'
import { actingAs, actorOf } from '../identity/directory.ts'
import { increaseDeposit } from '../deposits/enter-deposit.ts'
import { openDeposit } from '../deposits/open-deposit.ts'
import { createRequest } from '../requests/create-request.ts'

/** Outlets by the centre that serves them, and what each has deposited. */
const DEPOSITS: Record<string, Record<string, string>> = {
  SZ01: { SZ11: '20000.00', SZ12: '20000.00', DG11: '15000.00', FS11: '15000.00', GZ11: '20000.00', GZ12: '10000.00' },
  SH01: { SH11: '20000.00', SH12: '20000.00', SU11: '15000.00', NJ11: '15000.00', HZ11: '15000.00', NB11: '1500.00' }
}
const LOW_LIMIT = '2000.00'

/** Deposits of the outlets, one of them low; exchange parts; and what two outlets wait for. */
export async function serveOutlets(ctx: Context): Promise<void> {
  const as = async (username: string) => actingAs(ctx, await actorOf(ctx.em, username))
  for (const [centre, outlets] of Object.entries(DEPOSITS)) {
    const finance = await as(`finance-supervisor@${centre.toLowerCase()}`)
    for (const [warehouse, amount] of Object.entries(outlets)) {
      await openDeposit(finance, { warehouse, lowLimit: LOW_LIMIT })
      await increaseDeposit(finance, { warehouse, amount, paper: `YJ-${warehouse}-001`, note: '年度押金' })
    }
  }

  // Worn bottom brackets and rear derailleurs are refurbished; who gets a new one gives the old one back.
  const controller = await as('stock-controller@hq')
  await updatePart(controller, { number: 'BB-9108', change: { exchangeDueDays: 30, oldPartValue: '15.00' } })
  await updatePart(controller, { number: 'RD-2308', change: { exchangeDueDays: 30, oldPartValue: '25.00' } })

  const needBy = Temporal.PlainDate.from(ctx.clock.today()).add({ days: 10 }).toString()
  await createRequest(await as('outlet-clerk@dg11'), {
    warehouse: 'DG11',
    urgency: 'normal',
    needBy,
    repairOrder: 'WX-DG11-0412',
    lines: [
      { part: 'RB-9231', quantity: '1' },
      { part: 'RA-H123', quantity: '1', note: '客户订购' }
    ]
  })
  await createRequest(await as('outlet-clerk@sh11'), {
    warehouse: 'SH11',
    urgency: 'emergency',
    carriage: 'express',
    needBy: ctx.clock.today(),
    repairOrder: 'WX-SH11-0977',
    lines: [{ part: 'FB-9873', quantity: '1' }]
  })
}
