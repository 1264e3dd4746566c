import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRecalling } from '../recalls/recalling.ts'
import { NEED_BY, openNetwork } from '../requests/network.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { openLoaners } from './loaners-counter.ts'

// What other rooms make of loaner models: papers that could never be carried out are not begun.

let h: Harness
beforeAll(async () => {
  h = await openHarness()
  h.clock.set(DEFAULT_TIME)
})
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]

test('a loaner model is neither requested nor transferred by quantity: its units have serial numbers', async () => {
  const network = await openNetwork(h)
  const outlet = await network.outlet()
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  const requested = await outlet.clerk.post('/v1/requests', {
    warehouse: outlet.code,
    urgency: 'normal',
    needBy: NEED_BY,
    lines: [{ part: at.model, quantity: '1' }]
  })
  expect(problem(requested)).toEqual([422, 'LoanerModel'])
  expect(requested.body.errors).toMatchObject([{ pointer: '/lines/0/part', sent: at.model }])
  const sent = await at.keeper.post('/v1/transfers', {
    from: at.warehouse,
    to: network.north.code,
    carriage: 'road',
    because: 'x',
    lines: [{ part: at.model, quantity: '1', condition: 'qualified' }]
  })
  expect(problem(sent)).toEqual([422, 'LoanerModel'])
  expect((await at.unit(serial)).state).toBe('available')
})

test('a recall of a loaner model and of a part sends the part back; the units are retired one by one (R-REQ-7)', async () => {
  const network = await openRecalling(h)
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  const part = await at.stocked({ quantity: '3' })
  // So that it is a small recall, which one signature starts.
  await at.stocked({ quantity: '1000', unitCost: '1000' })
  const { number, state } = await network.recall({ scopes: [{ part: at.model }, { part: part.number }] })
  expect(state).toBe('running')
  expect((await at.unit(serial)).state).toBe('blocked')
  const back = (to: string) => at.keeper.post(`/v1/recalls/${number}/return-slips`, { warehouse: at.warehouse, to })
  const scrapped = await back('scrap')
  expect([scrapped.status, scrapped.body.lots, scrapped.body.quantity]).toEqual([201, 1, '3'])
  const rest = await back('scrap')
  expect(problem(rest)).toEqual([409, 'NothingBlockedHere'])
  expect(rest.body.detail).toContain('/v1/loaners/{serial}/retirement')
  await at.keeper.post(`/v1/loaners/${serial}/retirement`, { reason: number })
  await at.settle(serial)
  expect((await at.unit(serial)).state).toBe('retired')
  expect(await at.verify()).toMatchObject({ ok: true })
})
