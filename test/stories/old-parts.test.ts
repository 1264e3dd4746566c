import { afterAll, beforeAll, expect, test } from 'vitest'
import { sweepAlertsNightly } from '../../src/alerts/alerts.jobs.ts'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openExchanging, type Exchanging } from '../old-parts/exchanging.ts'

// A motor goes round: an outlet requests three for its repairs, owes the old ones, brings two of them late, pays for the third, finds it in
// the end; the two are rewound and the next repair gets one of them.

let h: Harness
let x: Exchanging
beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2026-09-07T09:00')
  x = await openExchanging(h)
})
afterAll(() => h.close())

const alerts = async () => {
  await runJob(h, sweepAlertsNightly)
  const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const { items } = (await controller.get('/v1/alerts?kind=old-part-outstanding&state=open')).body
  return items.map(({ subject, details }: any) => [subject, details.quantity, details.value])
}

async function requested(part: string, quantity: string, repairOrder: string): Promise<any> {
  const { body } = await x.clerk.post('/v1/requests', {
    warehouse: x.outlet,
    urgency: 'normal',
    needBy: '2026-12-31',
    repairOrder,
    lines: [{ part, quantity }]
  })
  await relayed(h)
  const { body: written } = await x.centre.keeper.post(`/v1/requests/${body.number}/issue-slip`, {})
  const number = written.slip ?? written.number
  expect((await x.centre.signAndPost(number)).status).toBe(200)
  await relayed(h)
  return number
}

test('an exchange part goes round (R-REQ-6)', async () => {
  await x.deposit('1000.00')
  const part = await x.exchangePart({ quantity: '3' })
  const slip = await requested(part, '3', 'RO-2026-0907')
  const owed = await x.oldPart(part)
  expect(owed).toMatchObject({ issueSlip: slip, outstanding: '3', dueOn: '2026-10-07', value: '105.00' })
  const paid = Number(await x.balance())

  h.clock.set('2026-10-07T17:00')
  expect(await alerts()).toEqual([])
  h.clock.set('2026-10-08T09:00')
  expect(await alerts()).toEqual([[owed.number, '3', '105.00']])

  await x.returned([{ part, quantity: '2', grade: 'repairable', note: '绕组烧毁' }])
  expect(await alerts()).toEqual([[owed.number, '1', '35.00']])

  await x.centre.keeper.post(`/v1/old-parts/${owed.number}/write-off`, { reason: '网点说已遗失' })
  expect((await x.finance.post(`/v1/old-parts/${owed.number}/write-off/approval`)).body.state).toBe('written-off')
  expect(await alerts()).toEqual([])
  expect(Number(await x.balance())).toBe(paid - 35)

  const { body } = await x.centre.keeper.post('/v1/old-parts/refurbishments', {
    warehouse: x.centre.warehouse,
    reference: '绕线厂 2026-118',
    lines: [{ part, quantity: '2', unitCost: '6.80' }]
  })
  expect((await x.centre.signAndPost(body.number)).status).toBe(200)
  expect(await x.centre.onHand(part)).toBe('2')

  h.clock.set('2026-10-20T09:00')
  await x.returned([{ oldPart: owed.number, grade: 'scrap' }])
  expect(Number(await x.balance())).toBe(paid)
  expect(await x.oldPart(part)).toMatchObject({ state: 'returned', returned: '3', writtenOff: '0' })

  const second = await requested(part, '1', 'RO-2026-1020')
  const { lines } = (await x.centre.keeper.get(`/v1/slips/${second}`)).body
  expect(lines[0].movements).toMatchObject([{ quantity: '-1', cost: '-6.80' }])
  expect(await x.owed(part, '&state=outstanding')).toMatchObject([{ issueSlip: second, dueOn: '2026-11-19' }])
  expect(await x.centre.verify()).toMatchObject({ ok: true })
})
