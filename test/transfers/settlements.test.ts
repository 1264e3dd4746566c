import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { dispatch, must, openPair, order, receive, reverse, type Pair } from './transferring.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const path = ({ giver, receiver }: Pair, more = '') =>
  `/v1/transfers/settlements?period=2026-11&from=${giver.warehouse}&to=${receiver.warehouse}${more}`
const settled = async (pair: Pair): Promise<any> =>
  must(await pair.giver.signers['finance-supervisor'].get(path(pair)), 200)

test('what came in is owed, damage the giver answers for is not, until its claim is withdrawn (R-AGE-7)', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '10', unitCost: '10.00' })
  const { number } = await order(pair, [{ part: part.number, quantity: '10' }])
  await dispatch(pair, number)
  await receive(pair, number, [{ line: 1, quantity: '4', damaged: '2', responsible: 'giver' }])
  await receive(pair, number, [{ line: 1, quantity: '1', damaged: '1', missing: '1', responsible: 'carrier' }])
  const before = await settled(pair)
  expect(before.pairs[0]).toMatchObject({
    received: '50.00',
    damaged: '30.00',
    missingByCarrier: '10.00',
    missingByGiver: '0.00',
    inTransit: '10.00',
    payable: '60.00'
  })
  must(
    await pair.receiver.signers['finance-supervisor'].post(`/v1/transfers/${number}/claims/1/decision`, {
      decision: 'withdrawn',
      reason: 'it was scratched before'
    }),
    200
  )
  expect((await settled(pair)).pairs[0].payable).toBe('80.00')
})

test('a reversal stands there with the opposite sign, and both directions net out', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '5', unitCost: '10.00' })
  const { number } = await order(pair, [{ part: part.number, quantity: '5' }])
  await dispatch(pair, number)
  const slip = await receive(pair, number, [{ line: 1, quantity: '3' }])
  await reverse(pair.receiver, slip.number)
  await receive(pair, number, [{ line: 1, quantity: '5' }])
  const back: Pair = { giver: pair.receiver, receiver: pair.giver }
  const returned = await order(back, [{ part: part.number, quantity: '2' }])
  await dispatch(back, returned.number)
  await receive(back, returned.number, [{ line: 1, quantity: '2' }])

  const { pairs, nets } = must(
    await pair.giver.signers['finance-supervisor'].get(
      `/v1/transfers/settlements?period=2026-11&warehouse=${pair.giver.warehouse}`
    ),
    200
  )
  const of = (from: string) => pairs.find((each: any) => each.from === from)
  expect(
    of(pair.giver.warehouse).lines.map(({ isReversal, quantity, payable }: any) => [isReversal, quantity, payable])
  ).toEqual(
    expect.arrayContaining([
      [false, '3', '30.00'],
      [true, '-3', '-30.00'],
      [false, '5', '50.00']
    ])
  )
  expect([of(pair.giver.warehouse).payable, of(pair.receiver.warehouse).payable]).toEqual(['50.00', '20.00'])
  expect(nets).toEqual([{ payer: pair.receiver.warehouse, payee: pair.giver.warehouse, amount: '30.00' }])
  const csv = await pair.giver.signers['finance-supervisor'].get(path(pair), { accept: 'text/csv' })
  expect(csv.text.trim().split('\n')).toHaveLength(4)
})

test('settlements are for finance of either department, and of the head office', async () => {
  const pair = await openPair(h)
  expect((await pair.giver.keeper.get(path(pair))).status).toBe(403)
  expect((await pair.receiver.signers['finance-supervisor'].get(path(pair))).status).toBe(200)
  expect((await (await openPair(h)).giver.signers['finance-supervisor'].get(path(pair))).status).toBe(404)
  const all = '/v1/transfers/settlements?period=2026-11'
  expect((await pair.giver.signers['finance-supervisor'].get(all)).status).toBe(403)
  const finance = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
  expect((await finance.get(all)).status).toBe(200)
})
