import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'
import { dispatch, must, openPair, read, receive, type Pair } from '../transfers/transferring.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const settlement = async ({ receiver, giver }: Pair, period: string): Promise<any> =>
  must(
    await receiver.signers['finance-supervisor'].get(
      `/v1/transfers/settlements?period=${period}&from=${giver.warehouse}&to=${receiver.warehouse}`
    ),
    200
  )
const depreciation = async (counter: Pair['giver'], period: string): Promise<string[][]> =>
  must(await counter.keeper.get(`/v1/warehouses/${counter.warehouse}/periods/${period}/depreciation?limit=200`), 200)
    .items.map(({ receivedOn, quantity, cost, charge, accumulatedDepreciation, netBookValue }: any) => [
      receivedOn,
      quantity,
      cost,
      charge,
      accumulatedDepreciation,
      netBookValue
    ])
    .toSorted()
const gist = ({ kind, quantity, cost, accumulatedDepreciation, netBookValue, payable }: any) => [
  kind,
  quantity,
  cost,
  accumulatedDepreciation,
  netBookValue,
  payable
]

// Ten pumps at 25.00, received on February 10: free in February, March and April, then 8 % of 250.00 a month. By the end of October six
// charges were made: 48 % of the cost. One pump is worth 25.00 − 12.00 = 13.00 when it leaves in November.
test(
  'a nine-month-old lot leaves the network, comes in over a month end with one piece lost, and is settled to the cent (R-AGE-6, R-AGE-7)',
  { timeout: 180_000 },
  async () => {
    const pair = await openPair(h)
    const { giver, receiver } = pair
    const { number: part } = await h.make.part({ name: 'pump', nameZh: '水泵' })
    await giver.posted({
      kind: 'opening',
      lines: [{ part, quantity: '10', unitCost: '25.00', receivedOn: '2026-02-10' }]
    })

    // The receiver asks for five of them; the giver's three signatures let them go.
    const { number } = must(
      await receiver.signers['operations-supervisor'].post('/v1/transfers', {
        from: giver.warehouse,
        to: receiver.warehouse,
        lines: [{ part, quantity: '5' }],
        carriage: 'road',
        because: '网络库存调拨'
      })
    )
    const out = await dispatch(pair, number, { carrier: '德邦物流' })
    expect(out.lines[0].movements).toMatchObject([{ quantity: '-5', cost: '-125.00', charge: '-60.00' }])
    must(
      await receiver.keeper.post(`/v1/transfers/${number}/transport`, {
        leg: 'local',
        amount: '35.00',
        carrier: '德邦物流'
      })
    )

    h.clock.set('2026-11-25T10:00')
    await receive(pair, number, [{ line: 1, quantity: '2' }])
    expect(await read(pair, number)).toMatchObject({
      state: 'in-transit',
      value: { inTransit: { cost: '75.00', accumulatedDepreciation: '36.00', netBookValue: '39.00' } }
    })

    // The month ends with three of them on the road: they are in neither stock, and stand in the settlement.
    h.clock.set('2026-12-01T10:00')
    await giver.monthEnd('2026-11')
    await receiver.monthEnd('2026-11')
    expect(await depreciation(giver, '2026-11')).toEqual([['2026-02-10', '5', '125.00', '10.00', '70.00', '55.00']])
    expect(await depreciation(receiver, '2026-11')).toEqual([['2026-02-10', '2', '50.00', '4.00', '28.00', '22.00']])
    const november = await settlement(pair, '2026-11')
    expect(november).toMatchObject({
      pairs: [
        {
          received: '26.00',
          inTransit: '39.00',
          transportOfReceiver: '35.00',
          transportOfGiver: '0.00',
          payable: '26.00'
        }
      ],
      nets: [{ payer: receiver.warehouse, payee: giver.warehouse, amount: '26.00' }]
    })
    expect(november.pairs[0].lines.map(gist)).toEqual([
      ['received', '2', '50.00', '24.00', '26.00', '26.00'],
      ['transport', null, null, null, null, '0.00'],
      ['in-transit', '3', '75.00', '36.00', '39.00', '0.00']
    ])
    expect(november.pairs[0].lines[0]).toMatchObject({ part, name: '水泵', receivedOn: '2026-02-10', ageMonths: 10 })

    // Two more arrive; the last one is gone, and the carrier answers for it.
    h.clock.set('2026-12-02T10:00')
    await receive(pair, number, [{ line: 1, quantity: '2', missing: '1', responsible: 'carrier', note: '箱子破损' }])
    const finished = await read(pair, number)
    expect(finished).toMatchObject({
      state: 'received',
      claims: [{ kind: 'missing', responsible: 'carrier', quantity: '1', value: '13.00', state: 'open' }]
    })
    must(
      await receiver.signers['finance-supervisor'].post(`/v1/transfers/${number}/claims/1/decision`, {
        decision: 'settled',
        reason: '承运人已赔 13.00'
      }),
      200
    )

    h.clock.set('2027-01-01T10:00')
    await giver.monthEnd('2026-12')
    await receiver.monthEnd('2026-12')
    // What came in November goes on; what was on the road in November was nobody's to charge in that month, and goes on in December.
    expect(await depreciation(receiver, '2026-12')).toEqual([
      ['2026-02-10', '2', '50.00', '4.00', '28.00', '22.00'],
      ['2026-02-10', '2', '50.00', '4.00', '32.00', '18.00']
    ])
    const december = await settlement(pair, '2026-12')
    expect(december.pairs[0].lines.map(gist)).toEqual([
      ['received', '2', '50.00', '24.00', '26.00', '26.00'],
      ['missing', '1', '25.00', '12.00', '13.00', '0.00']
    ])
    expect(december).toMatchObject({
      pairs: [{ received: '26.00', missingByCarrier: '13.00', inTransit: '0.00', payable: '26.00' }],
      nets: [{ amount: '26.00' }]
    })
    // Nothing was lost on the way: 26.00 + 26.00 + 13.00 are the 65.00 that left.
    expect((await settlement(pair, '2026-11')).pairs[0].lines.map(gist)).toEqual(november.pairs[0].lines.map(gist))
    expect(await giver.verify()).toMatchObject({ ok: true })
    expect(await receiver.verify()).toMatchObject({ ok: true })
  }
)
