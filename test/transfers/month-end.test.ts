import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { dispatch, must, openPair, order, read, receive, reverse, type Pair } from './transferring.ts'

// Goods that leave in one month and arrive in another, as finance and an auditor look at them.

let h: Harness
let pair: Pair
beforeAll(async () => {
  h = await openHarness()
})
beforeEach(async () => {
  h.clock.set('2026-10-28T10:00')
  pair = await openPair(h)
})
afterAll(() => h.close())

const cents = (amount: string) => Number(amount.replace('.', ''))
const financeOf = (side: keyof Pair) => pair[side].signers['finance-supervisor']
const journal = async (side: keyof Pair, period: string): Promise<any[]> =>
  must(await financeOf(side).get(`/v1/warehouses/${pair[side].warehouse}/periods/${period}/journal`), 200).items
/** What a journal books to a role in an entry, debit positive, in cents. */
const booked = async (side: keyof Pair, period: string, role: string, entry?: string): Promise<number> =>
  (await journal(side, period))
    .filter((line) => line.role === role && (entry === undefined || line.entry === entry))
    .reduce((sum, { debit, credit }) => sum + cents(debit) - cents(credit), 0)
/** What both have on goods in transit after some months. */
const onTheWay = async (...periods: string[]): Promise<number> => {
  let sum = 0
  for (const period of periods)
    for (const side of ['giver', 'receiver'] as const) sum += await booked(side, period, 'goods-in-transit')
  return sum
}
const settled = async (period: string): Promise<any> =>
  must(
    await financeOf('giver').get(
      `/v1/transfers/settlements?period=${period}&from=${pair.giver.warehouse}&to=${pair.receiver.warehouse}`
    ),
    200
  ).pairs[0]
const report = async (side: keyof Pair, period: string): Promise<any[]> =>
  must(await financeOf(side).get(`/v1/warehouses/${pair[side].warehouse}/periods/${period}/stock-report`), 200).items
const decide = async (number: string, claim: number, decision: string) =>
  must(
    await financeOf('giver').post(`/v1/transfers/${number}/claims/${claim}/decision`, {
      decision,
      reason: '见凭证 4711'
    }),
    200
  )
const verified = async (side: keyof Pair, period: string) => {
  const { ok, findings } = must(
    await financeOf(side).get(`/v1/warehouses/${pair[side].warehouse}/periods/${period}/statement/verification`),
    200
  )
  return ok ? 'ok' : findings
}

test('what is missing leaves the goods in transit when its claim is settled: to the carrier, or to the loss of the giver (R-AGE-7, R-FIN-2)', async () => {
  const part = await pair.giver.stocked({ quantity: '7', unitCost: '3.3333' })
  const { number } = await order(pair, [{ part: part.number, quantity: '6' }])
  await dispatch(pair, number)
  await receive(pair, number, [{ line: 1, quantity: '2', missing: '1', responsible: 'carrier' }])
  await receive(pair, number, [{ line: 1, quantity: '2', missing: '1', responsible: 'giver' }])
  const { value, claims } = await read(pair, number)
  const missing = cents(value.missing.netBookValue)
  expect(await onTheWay('2026-10')).toBe(missing)
  await pair.giver.countMonth('2026-10')

  h.clock.set('2026-11-04T10:00')
  must(await financeOf('giver').post(`/v1/warehouses/${pair.giver.warehouse}/periods/2026-10/closing`), 201)
  await decide(number, 1, 'settled')
  await decide(number, 2, 'settled')
  expect(await onTheWay('2026-10')).toBe(missing)
  expect(await onTheWay('2026-10', '2026-11')).toBe(0)
  const [carrier, giver] = claims.map(({ value: of }: any) => of)
  const lines = (await journal('giver', '2026-11')).filter(({ entry }) => entry === 'transfer-claim')
  expect(lines.map(({ role, account, debit, credit }) => [role, account, debit, credit])).toEqual([
    ['carrier-claims', '1221.05', carrier, '0.00'],
    ['count-loss', '6602.22', giver, '0.00'],
    ['goods-in-transit', '1402.01', '0.00', value.missing.netBookValue]
  ])
  const everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
  const { totals } = must(await everywhere.get('/v1/journal?period=2026-11'), 200)
  expect(totals.debit).toBe(totals.credit)
})

test('a reversal takes back what a settled claim booked, in the month it is posted (R-STK-2)', async () => {
  const part = await pair.giver.stocked({ quantity: '3', unitCost: '10.00' })
  const { number } = await order(pair, [{ part: part.number, quantity: '3' }])
  await dispatch(pair, number)
  const slip = await receive(pair, number, [{ line: 1, quantity: '1', missing: '2', responsible: 'carrier' }])
  await decide(number, 1, 'settled')
  expect(await onTheWay('2026-10')).toBe(0)
  await pair.giver.countMonth('2026-10')
  await pair.receiver.countMonth('2026-10')

  h.clock.set('2026-11-04T10:00')
  must(await financeOf('giver').post(`/v1/warehouses/${pair.giver.warehouse}/periods/2026-10/closing`), 201)
  expect((await reverse(pair.receiver, slip.number)).status).toBe(200)
  expect(await onTheWay('2026-10', '2026-11')).toBe(3000)
  expect((await settled('2026-11')).inTransit).toBe('30.00')
  expect(await booked('giver', '2026-11', 'carrier-claims', 'transfer-claim')).toBe(-2000)
  expect(await verified('giver', '2026-10')).toBe('ok')
})

test('a slip that brings nothing, for all of it is missing, is posted, and reversed when it was wrong', async () => {
  const part = await pair.giver.stocked({ quantity: '2', unitCost: '10.00' })
  const consigned = await pair.giver.stocked({ quantity: '2.5', ownership: 'consigned' })
  const { number } = await order(pair, [
    { part: part.number, quantity: '2' },
    { part: consigned.number, quantity: '2.5', ownership: 'consigned' }
  ])
  await dispatch(pair, number)
  const slip = await receive(pair, number, [
    { line: 1, quantity: '0', missing: '2', responsible: 'carrier' },
    { line: 2, quantity: '0', missing: '2.5', responsible: 'carrier' }
  ])
  expect((await read(pair, number)).state).toBe('received')
  const reversal = await reverse(pair.receiver, slip.number)
  expect(reversal.status, reversal.text).toBe(200)
  expect(await read(pair, number)).toMatchObject({
    state: 'in-transit',
    value: { inTransit: { netBookValue: '20.00' } }
  })
  await receive(pair, number, [
    { line: 1, quantity: '2' },
    { line: 2, quantity: '1.001', missing: '1.499', responsible: 'giver' }
  ])
  await decide(number, 3, 'settled')
  expect(await booked('giver', '2026-10', 'count-loss')).toBe(0)
  expect(await pair.receiver.onHand(consigned.number, 'consigned')).toBe('1.001')
  expect(await settled('2026-10')).toMatchObject({ received: '20.00', inTransit: '0.00', payable: '20.00' })
})

test('an aged lot over two month ends: nothing is lost or created on either side, to the cent (R-AGE-3, R-AGE-7, R-FIN-1)', async () => {
  h.clock.set('2026-10-05T10:00')
  const part = await h.make.part()
  await pair.giver.posted({
    kind: 'transfer-in',
    reference: 'SH-OUT-202603-00001',
    counterparty: 'SH',
    lines: [{ part: part.number, quantity: '12.345', unitCost: '7.7777', receivedOn: '2026-03-10' }]
  })
  const consigned = await pair.giver.stocked({ quantity: '3.5', ownership: 'consigned' })
  h.clock.set('2026-11-02T10:00')
  await pair.giver.monthEnd('2026-10')
  h.clock.set('2026-11-20T10:00')
  const { number } = await order(pair, [
    { part: part.number, quantity: '7.123' },
    { part: consigned.number, quantity: '2.5', ownership: 'consigned' }
  ])
  await dispatch(pair, number)
  const { value } = await read(pair, number)
  const sent = cents(value.sent.netBookValue)
  expect(cents(value.sent.cost)).toBeGreaterThan(sent)
  expect(await settled('2026-11')).toMatchObject({ inTransit: value.sent.netBookValue, payable: '0.00' })

  // What left in November may be on its way when November is closed, and not when December is.
  h.clock.set('2026-12-02T10:00')
  await pair.giver.monthEnd('2026-11')
  await receive(pair, number, [
    { line: 1, quantity: '3.001' },
    { line: 2, quantity: '0.5' }
  ])
  h.clock.set('2026-12-29T10:00')
  await receive(pair, number, [{ line: 1, quantity: '2.12', damaged: '1.001', responsible: 'carrier' }])
  h.clock.set('2027-01-02T10:00')
  await pair.giver.countMonth('2026-12')
  await pair.receiver.countMonth('2026-12')
  const close = (side: keyof Pair) =>
    financeOf(side).post(`/v1/warehouses/${pair[side].warehouse}/periods/2026-12/closing`)
  for (const side of ['giver', 'receiver'] as const)
    expect((await close(side)).body.missing.map(({ kind }: any) => kind)).toEqual(['goods-in-transit'])
  // The slip of the last pieces is dated into December, for they came then.
  await receive(
    pair,
    number,
    [
      { line: 1, quantity: '1.001' },
      { line: 2, quantity: '2' }
    ],
    { occurredOn: '2026-12-31' }
  )
  for (const side of ['giver', 'receiver'] as const) expect((await close(side)).status).toBe(201)

  const december = await settled('2026-12')
  expect(cents(december.received) + cents(december.damaged)).toBe(sent)
  expect([december.inTransit, cents(december.payable)]).toEqual(['0.00', sent])
  expect(await onTheWay('2026-11', '2026-12')).toBe(0)
  const gone = (await report('giver', '2026-11')).find((row) => row.part === part.number)
  const come = (await report('receiver', '2026-12')).filter((row) => row.part === part.number)
  const sum = (of: string) => come.reduce((total, row) => total + cents(row[of]), 0)
  expect([sum('inCost'), sum('inAccumulatedDepreciation'), sum('inNetBookValue')]).toEqual(
    ['outCost', 'outAccumulatedDepreciation', 'outNetBookValue'].map((of) => cents(gone[of]))
  )
  for (const side of ['giver', 'receiver'] as const)
    for (const period of side === 'giver' ? ['2026-10', '2026-11', '2026-12'] : ['2026-12']) {
      for (const row of await report(side, period))
        for (const [of, unit] of [
          ['Quantity', 1000],
          ['NetBookValue', 100],
          ['Cost', 100]
        ] as const) {
          const [opening, came, left, adjusted, closing, charged] = [
            row[`opening${of}`],
            row[`in${of}`],
            row[`out${of}`],
            row[`adjustment${of}`],
            row[`closing${of}`],
            of === 'NetBookValue' ? row.charge : '0'
          ].map((figure) => Math.round(Number(figure) * unit)) as [number, number, number, number, number, number]
          expect(opening + came - left + adjusted - charged).toBe(closing)
        }
      expect(await verified(side, period)).toBe('ok')
    }
  expect(await pair.receiver.onHand(consigned.number, 'consigned')).toBe('2.5')
  for (const side of ['giver', 'receiver'] as const) expect(await pair[side].verify()).toMatchObject({ ok: true })
})

test('goods released in an emergency are in transit at once; the late signature holds up the month of the giver alone (R-OUT-2, R-FIN-1)', async () => {
  const part = await pair.giver.stocked({ quantity: '2', unitCost: '10.00' })
  const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
  const { slip } = must(await pair.giver.keeper.post(`/v1/transfers/${number}/out-slip`))
  await pair.giver.sign(slip.number, ['department-head', 'operations-supervisor'])
  must(
    await pair.giver.keeper.post(`/v1/slips/${slip.number}/emergency-release`, {
      missingDuty: 'finance-supervisor',
      authorisedBy: 'Chen',
      reason: 'a machine stands still',
      handedTo: 'Zhao'
    }),
    200
  )
  expect((await read(pair, number)).state).toBe('in-transit')
  await receive(pair, number, [{ line: 1, quantity: '2' }])
  await pair.receiver.countMonth('2026-10')
  await pair.giver.countMonth('2026-10')
  h.clock.set('2026-11-02T10:00')
  const close = (side: keyof Pair) =>
    financeOf(side).post(`/v1/warehouses/${pair[side].warehouse}/periods/2026-10/closing`)
  expect((await close('giver')).body.missing.map(({ kind }: any) => kind)).toEqual(['late-signature-open'])
  expect((await close('receiver')).status).toBe(201)
  await pair.giver.sign(slip.number, ['finance-supervisor'])
  expect((await close('giver')).status).toBe(201)
})

test('a refused slip holds its goods until it is cancelled, and another is written, at both ends (R-SIG-3)', async () => {
  const part = await pair.giver.stocked({ quantity: '2', unitCost: '10.00' })
  const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
  const refuse = async (side: keyof Pair, slip: string) =>
    must(
      await financeOf(side).post(`/v1/slips/${slip}/signatures`, {
        duty: 'finance-supervisor',
        decision: 'refuse',
        comment: '数量不符'
      }),
      200
    )
  const cancel = async (side: keyof Pair, slip: string) =>
    must(await pair[side].keeper.post(`/v1/slips/${slip}/cancellation`, { reason: '重开' }), 200)
  const out = must(await pair.giver.keeper.post(`/v1/transfers/${number}/out-slip`)).slip.number
  await refuse('giver', out)
  expect(await pair.giver.keeper.post(`/v1/transfers/${number}/out-slip`)).toMatchObject({
    status: 409,
    body: { code: 'NothingToSend' }
  })
  await cancel('giver', out)
  expect((await read(pair, number)).state).toBe('ordered')
  await dispatch(pair, number)
  const lines = [{ line: 1, quantity: '1', missing: '1', responsible: 'carrier' }]
  const into = must(await pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, { lines })).slip.number
  await refuse('receiver', into)
  expect(await pair.giver.keeper.post(`/v1/transfers/${number}/call-back`, { reason: '久未到货' })).toMatchObject({
    status: 409,
    body: { code: 'NothingInTransit' }
  })
  await cancel('receiver', into)
  expect((await read(pair, number)).claims[0].state).toBe('void')
  const back = must(await pair.giver.keeper.post(`/v1/transfers/${number}/call-back`, { reason: '久未到货' })).slip
  must(await pair.giver.signAndPost(back.number), 200)
  expect((await reverse(pair.giver, back.number)).status).toBe(200)
  expect(await read(pair, number)).toMatchObject({
    state: 'in-transit',
    value: { inTransit: { netBookValue: '20.00' } }
  })
  await receive(pair, number, [{ line: 1, quantity: '2' }])
  expect(await onTheWay('2026-10')).toBe(0)
  expect(await settled('2026-10')).toMatchObject({ calledBack: '0.00', received: '20.00', payable: '20.00' })
})

test('what is called back a month later comes in as it left, and the month it was on its way charges nobody (R-AGE-3, R-AGE-7)', async () => {
  h.clock.set('2026-10-05T10:00')
  const part = await h.make.part()
  await pair.giver.posted({
    kind: 'transfer-in',
    reference: 'SH-OUT-202603-00001',
    counterparty: 'SH',
    lines: [{ part: part.number, quantity: '3', unitCost: '3.3333', receivedOn: '2026-03-10' }]
  })
  h.clock.set('2026-11-02T10:00')
  await pair.giver.monthEnd('2026-10')
  const { number } = await order(pair, [{ part: part.number, quantity: '3' }])
  await dispatch(pair, number, { lines: [{ line: 1, quantity: '1.5' }] })
  await dispatch(pair, number)
  h.clock.set('2026-12-02T10:00')
  await pair.giver.monthEnd('2026-11')
  const { slip } = must(await pair.giver.keeper.post(`/v1/transfers/${number}/call-back`, { reason: '久未到货' }))
  must(await pair.giver.signAndPost(slip.number), 200)
  h.clock.set('2027-01-02T10:00')
  await pair.giver.monthEnd('2026-12')
  const [november, december] = [await report('giver', '2026-11'), await report('giver', '2026-12')].map((rows) =>
    rows.find((row) => row.part === part.number)
  )
  expect([november.outCost, november.outAccumulatedDepreciation, november.charge]).toEqual([
    december.inCost,
    december.inAccumulatedDepreciation,
    '0.00'
  ])
  expect(december).toMatchObject({ closingQuantity: '3', closingCost: '10.00' })
  expect(await onTheWay('2026-11', '2026-12')).toBe(0)
  for (const period of ['2026-10', '2026-11', '2026-12']) expect(await verified('giver', period)).toBe('ok')
  expect(await pair.giver.verify()).toMatchObject({ ok: true })
})

test('a late paper is dated into the month it is of while that is open, and settled there (R-FIN-1)', async () => {
  const part = await pair.giver.stocked({ quantity: '4', unitCost: '10.00' })
  const { number } = await order(pair, [{ part: part.number, quantity: '4' }])
  h.clock.set('2026-11-03T10:00')
  await dispatch(pair, number, { occurredOn: '2026-10-30' })
  await receive(pair, number, [{ line: 1, quantity: '1', missing: '1', responsible: 'carrier' }], {
    occurredOn: '2026-10-31'
  })
  expect(await settled('2026-10')).toMatchObject({ received: '10.00', missingByCarrier: '10.00', inTransit: '20.00' })
  await pair.giver.monthEnd('2026-10')
  await pair.receiver.monthEnd('2026-10')
  for (const [side, path, body] of [
    ['receiver', 'in-slip', { lines: [{ line: 1, quantity: '2' }] }],
    ['giver', 'call-back', { reason: '久未到货' }]
  ] as const)
    expect(
      await pair[side].keeper.post(`/v1/transfers/${number}/${path}`, { ...body, occurredOn: '2026-10-31' })
    ).toMatchObject({ status: 409, body: { code: 'PeriodClosed' } })
  // What turned up is in transit since the day it was said to have, not since it left.
  await decide(number, 1, 'withdrawn')
  expect(await settled('2026-11')).toMatchObject({ missingByCarrier: '-10.00', inTransit: '30.00' })
  await receive(pair, number, [{ line: 1, quantity: '3' }])
  expect(await settled('2026-11')).toMatchObject({ received: '30.00', inTransit: '0.00', payable: '30.00' })
  expect(await onTheWay('2026-10', '2026-11')).toBe(0)
})

test('a claim that is settled in a month in which the giver holds nothing is in the statement of that month (R-FIN-1)', async () => {
  const part = await pair.giver.stocked({ quantity: '2', unitCost: '10.00' })
  const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
  await dispatch(pair, number)
  await receive(pair, number, [{ line: 1, quantity: '1', missing: '1', responsible: 'giver' }])
  h.clock.set('2026-11-02T10:00')
  await pair.giver.monthEnd('2026-10')
  await decide(number, 1, 'settled')
  h.clock.set('2026-12-05T10:00')
  await pair.giver.stocked()
  h.clock.set('2027-01-02T10:00')
  await pair.giver.monthEnd('2026-12')
  expect(await booked('giver', '2026-11', 'count-loss', 'transfer-claim')).toBe(1000)
  expect(await onTheWay('2026-10', '2026-11')).toBe(0)
  for (const period of ['2026-10', '2026-11', '2026-12']) expect(await verified('giver', period)).toBe('ok')
})
