import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'
import { dispatch, must, openPair, order, quantitiesOf, read } from './transferring.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const statuses = (answers: readonly { status: number }[]) => answers.map(({ status }) => status).toSorted()

test('of many who receive the last piece at once, one does', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '3' })
  const { number } = await order(pair, [{ part: part.number, quantity: '3' }])
  await dispatch(pair, number)
  const receive = () =>
    pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, { lines: [{ line: 1, quantity: '2' }] })
  expect(statuses(await Promise.all([receive(), receive(), receive(), receive()]))).toEqual([201, 409, 409, 409])
})

test('what is received and called back at once is accounted for once', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '4' })
  const { number } = await order(pair, [{ part: part.number, quantity: '4' }])
  await dispatch(pair, number)
  const answers = await Promise.all([
    pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, { lines: [{ line: 1, quantity: '4' }] }),
    pair.giver.keeper.post(`/v1/transfers/${number}/call-back`, { reason: 'too late' }),
    pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, { lines: [{ line: 1, quantity: '1' }] })
  ])
  for (const { status, body } of answers) {
    if (status !== 201) continue
    const counter = body.slip.warehouse === pair.giver.warehouse ? pair.giver : pair.receiver
    must(await counter.signAndPost(body.slip.number), 200)
  }
  const { sent, received, calledBack, inTransit } = quantitiesOf(await read(pair, number))
  expect(Number(received) + Number(calledBack) + Number(inTransit)).toBe(Number(sent))
  expect(Number(inTransit)).toBeGreaterThanOrEqual(0)
})

test('a transfer is cancelled or sent, not both, however many try at once', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '6' })
  for (const round of [1, 2, 3]) {
    const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
    const { slip } = must(await pair.giver.keeper.post(`/v1/transfers/${number}/out-slip`))
    await pair.giver.sign(slip.number)
    const cancel = () => pair.giver.keeper.post(`/v1/transfers/${number}/cancellation`, { reason: 'no need' })
    const [posting, ...cancellations] = await Promise.all([
      pair.giver.keeper.post(`/v1/slips/${slip.number}/posting`),
      cancel(),
      cancel()
    ])
    const { state } = await read(pair, number)
    expect([posting.status, state, statuses(cancellations)], `round ${round}`).toEqual(
      posting.status === 200 ? [200, 'in-transit', [409, 409]] : [409, 'cancelled', [200, 409]]
    )
  }
  expect(await pair.giver.verify()).toMatchObject({ ok: true })
})

test('a dispatch that is reversed while its goods are received is one or the other', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '6' })
  for (const round of [1, 2, 3]) {
    const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
    const out = await dispatch(pair, number)
    const { number: reversal } = must(
      await pair.giver.keeper.post(`/v1/slips/${out.number}/reversal`, { reason: 'wrong part' })
    )
    await pair.giver.sign(reversal)
    const [back, arrived] = await Promise.all([
      pair.giver.keeper.post(`/v1/slips/${reversal}/posting`),
      pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, { lines: [{ line: 1, quantity: '2' }] })
    ])
    expect([back.status, arrived.status].toSorted(), `round ${round}`).toEqual(
      back.status === 200 ? [200, 409] : [201, 409]
    )
  }
})
