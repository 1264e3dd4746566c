import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { dispatch, must, openPair, order, quantitiesOf, read, receive, reverse, type Pair } from './transferring.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const reserved = async ({ giver }: Pair, partId: number) => {
  const [row] = await h.sql<{ reserved: string }>(
    `select trim_scale(reserved)::text as reserved from balance where warehouse_id = $1 and part_id = $2 and ownership = 'own' and condition = 'qualified'`,
    [giver.warehouseId, partId]
  )
  return row?.reserved
}
const lotsOf = (warehouseId: number, partId: number) =>
  h.sql(
    `select condition, received_on as "receivedOn", unit_cost::text as "unitCost", trim_scale(on_hand)::text as "onHand", cost_in::text as cost, charge_in::text as charge
       from lot where warehouse_id = $1 and part_id = $2 order by id`,
    [warehouseId, partId]
  )

test('goods leave the giver by a signed slip, are in transit, and come in at the receiver as they left (R-AGE-7, R-SIG-1)', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '5', unitCost: '10.00' })
  const ordered = await order(pair, [{ part: part.number, quantity: '4' }], { carriage: 'road', reference: 'RQ-7' })
  expect(ordered).toMatchObject({ state: 'ordered', from: pair.giver.warehouse, to: pair.receiver.warehouse })
  expect(await reserved(pair, part.id)).toBe('4')

  const { slip, transfer } = must(
    await pair.giver.keeper.post(`/v1/transfers/${ordered.number}/out-slip`, { carrier: '顺丰速运' })
  )
  expect(transfer).toMatchObject({ state: 'awaiting-dispatch', carrier: '顺丰速运' })
  expect(slip).toMatchObject({ kind: 'transfer-out', reference: ordered.number, state: 'awaiting-signatures' })
  must(await pair.giver.signAndPost(slip.number), 200)
  expect(await read(pair, ordered.number)).toMatchObject({
    state: 'in-transit',
    value: { sent: { netBookValue: '40.00' }, inTransit: { netBookValue: '40.00' }, received: { netBookValue: '0.00' } }
  })
  expect(await pair.giver.onHand(part.number)).toBe('1')

  await receive(pair, ordered.number, [{ line: 1, quantity: '4' }])
  const received = await read(pair, ordered.number)
  expect(received.state).toBe('received')
  expect(quantitiesOf(received)).toEqual({
    sent: '4',
    received: '4',
    damaged: '0',
    missing: '0',
    calledBack: '0',
    inTransit: '0'
  })
  expect(received.history.map(({ event }: { event: string }) => event)).toEqual([
    'ordered',
    'out-slip-written',
    'dispatched',
    'in-slip-written',
    'received',
    'finished'
  ])
  expect(await lotsOf(pair.receiver.warehouseId, part.id)).toEqual([
    {
      condition: 'qualified',
      receivedOn: '2026-11-20',
      unitCost: '10.0000',
      onHand: '4',
      cost: '40.00',
      charge: '0.00'
    }
  ])
  expect(await pair.giver.verify()).toMatchObject({ ok: true })
  expect(await pair.receiver.verify()).toMatchObject({ ok: true })
})

test('what was sent is received in parts, damaged goods as nonconforming, missing ones as a claim', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '3', unitCost: '3.3333' })
  const { number } = await order(pair, [{ part: part.number, quantity: '3' }])
  await dispatch(pair, number)
  await receive(pair, number, [{ line: 1, quantity: '1' }])
  const slip = await receive(pair, number, [
    { line: 1, quantity: '0', damaged: '1', missing: '1', responsible: 'carrier', note: 'box was open' }
  ])
  expect(slip.lines.map(({ quantity, condition, note }: any) => ({ quantity, condition, note }))).toEqual([
    { quantity: '1', condition: 'nonconforming', note: '运输损坏 damaged: box was open' },
    { quantity: '0', condition: 'qualified', note: '短少 missing: box was open' }
  ])
  const transfer = await read(pair, number)
  expect(transfer).toMatchObject({
    state: 'received',
    value: {
      sent: { cost: '10.00' },
      received: { cost: '3.33' },
      damaged: { cost: '3.34' },
      missing: { cost: '3.33' },
      inTransit: { cost: '0.00' }
    },
    claims: [
      { claim: 1, kind: 'damaged', responsible: 'carrier', quantity: '1', value: '3.34', state: 'open' },
      { claim: 2, kind: 'missing', responsible: 'carrier', quantity: '1', value: '3.33', state: 'open' }
    ]
  })
  expect(await pair.receiver.verify()).toMatchObject({ ok: true })
})

test('more than was sent is not received, nor twice, whatever state the other slip is in', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '5' })
  const { number } = await order(pair, [{ part: part.number, quantity: '5' }])
  const path = `/v1/transfers/${number}/in-slip`
  const lines = (quantity: string) => ({ lines: [{ line: 1, quantity }] })
  expect(await pair.receiver.keeper.post(path, lines('1'))).toMatchObject({
    status: 409,
    body: { code: 'NothingInTransit' }
  })
  await dispatch(pair, number)
  expect(await pair.receiver.keeper.post(path, lines('6'))).toMatchObject({
    status: 409,
    body: { code: 'MoreThanSent', open: '5' }
  })
  const { slip } = must(await pair.receiver.keeper.post(path, lines('3')))
  expect(await pair.receiver.keeper.post(path, lines('3'))).toMatchObject({
    status: 409,
    body: { code: 'MoreThanSent', sent: '5', open: '2' }
  })
  must(await pair.receiver.keeper.post(`/v1/slips/${slip.number}/cancellation`, { reason: 'counted again' }), 200)
  await receive(pair, number, [{ line: 1, quantity: '5' }])
  expect(await pair.receiver.keeper.post(path, lines('1'))).toMatchObject({
    status: 409,
    body: { code: 'MoreThanSent', open: '0' }
  })
  for (const [body, code] of [
    [{ lines: [{ line: 2, quantity: '1' }] }, 'LineUnknown'],
    [{ lines: [{ line: 1, quantity: '0' }] }, 'QuantityNotPositive'],
    [
      {
        lines: [
          { line: 1, quantity: '1' },
          { line: 1, quantity: '1' }
        ]
      },
      'MoreThanSent'
    ]
  ] as const)
    expect((await pair.receiver.keeper.post(path, body)).body.code).toBe(code)
})

test('who is responsible for what is missing is said', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '2' })
  const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
  await dispatch(pair, number)
  expect(
    await pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, {
      lines: [{ line: 1, quantity: '1', missing: '1' }]
    })
  ).toMatchObject({ status: 422, body: { code: 'ResponsibleMissing' } })
})

test('a reversed arrival is in transit again, to the cent; a reversed dispatch never left (R-STK-2)', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '3', unitCost: '3.3333' })
  const { number } = await order(pair, [{ part: part.number, quantity: '3' }])
  const out = await dispatch(pair, number)
  const first = await receive(pair, number, [{ line: 1, quantity: '1' }])
  await receive(pair, number, [{ line: 1, quantity: '1' }])

  const refused = await pair.giver.keeper.post(`/v1/slips/${out.number}/reversal`, { reason: 'wrong part' })
  expect(refused).toMatchObject({ status: 409, body: { code: 'GoodsArrived' } })

  expect((await reverse(pair.receiver, first.number)).status).toBe(200)
  expect(await read(pair, number)).toMatchObject({ state: 'in-transit', value: { inTransit: { cost: '6.66' } } })
  await receive(pair, number, [{ line: 1, quantity: '2' }])
  expect(await read(pair, number)).toMatchObject({ state: 'received', value: { received: { cost: '10.00' } } })

  const second = await order(pair, [{ part: (await pair.giver.stocked({ quantity: '2' })).number, quantity: '2' }])
  const gone = await dispatch(pair, second.number)
  expect((await reverse(pair.giver, gone.number)).status).toBe(200)
  expect(await read(pair, second.number)).toMatchObject({ state: 'ordered', value: { inTransit: { cost: '0.00' } } })
  await dispatch(pair, second.number)
  expect(await read(pair, second.number)).toMatchObject({ state: 'in-transit' })
  expect(await pair.giver.verify()).toMatchObject({ ok: true })
})

test('a dispatch is not reversed behind an arrival that was written meanwhile', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '2' })
  const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
  const out = await dispatch(pair, number)
  const { number: reversal } = must(
    await pair.giver.keeper.post(`/v1/slips/${out.number}/reversal`, { reason: 'wrong part' })
  )
  must(await pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, { lines: [{ line: 1, quantity: '1' }] }))
  expect(await pair.giver.signAndPost(reversal)).toMatchObject({ status: 409, body: { code: 'GoodsArrived' } })
  expect(quantitiesOf(await read(pair, number))).toMatchObject({ sent: '2', inTransit: '2' })
})

test('less than ordered is sent, the rest later, or it is closed', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '5' })
  const { number } = await order(pair, [{ part: part.number, quantity: '5' }])
  const closing = { reason: 'needed here' }
  expect(await pair.giver.keeper.post(`/v1/transfers/${number}/closing`, closing)).toMatchObject({
    status: 409,
    body: { code: 'NothingSent' }
  })
  await dispatch(pair, number, { lines: [{ line: 1, quantity: '2' }] })
  await receive(pair, number, [{ line: 1, quantity: '2' }])
  expect((await read(pair, number)).state).toBe('ordered')
  expect(
    await pair.giver.keeper.post(`/v1/transfers/${number}/out-slip`, { lines: [{ line: 1, quantity: '4' }] })
  ).toMatchObject({ status: 409, body: { code: 'MoreThanOrdered' } })
  const { slip } = must(
    await pair.giver.keeper.post(`/v1/transfers/${number}/out-slip`, { lines: [{ line: 1, quantity: '1' }] })
  )
  expect((await read(pair, number)).state).toBe('awaiting-dispatch')
  const closed = must(await pair.giver.keeper.post(`/v1/transfers/${number}/closing`, closing), 200)
  expect(closed).toMatchObject({ state: 'received', restClosedBecause: 'needed here' })
  expect(must(await pair.giver.keeper.get(`/v1/slips/${slip.number}`), 200).state).toBe('cancelled')
  expect(await reserved(pair, part.id)).toBe('0')
  expect(await pair.giver.keeper.post(`/v1/transfers/${number}/out-slip`)).toMatchObject({
    status: 409,
    body: { code: 'TransferNotOpen' }
  })
  expect(await pair.giver.keeper.post(`/v1/transfers/${number}/closing`, closing)).toMatchObject({
    status: 409,
    body: { code: 'NothingToClose' }
  })
})

test('a transfer is cancelled before anything left, with its slip; after that it is not', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '5' })
  const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
  const { slip } = must(await pair.giver.keeper.post(`/v1/transfers/${number}/out-slip`))
  const cancel = (of: string) =>
    pair.receiver.signers['operations-supervisor'].post(`/v1/transfers/${of}/cancellation`, { reason: 'no need' })
  expect(must(await cancel(number), 200)).toMatchObject({ state: 'cancelled', cancelledBecause: 'no need' })
  expect(must(await pair.giver.keeper.get(`/v1/slips/${slip.number}`), 200).state).toBe('cancelled')
  expect(await reserved(pair, part.id)).toBe('0')
  expect(await cancel(number)).toMatchObject({ status: 409, body: { code: 'TransferNotCancellable' } })

  const other = await order(pair, [{ part: part.number, quantity: '2' }])
  await dispatch(pair, other.number)
  expect(await cancel(other.number)).toMatchObject({ status: 409, body: { code: 'TransferNotCancellable' } })
})

test('what never arrived is called back with exactly the value it left with; what the receiver wrote down stays with it', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '3', unitCost: '3.3333' })
  const { number } = await order(pair, [{ part: part.number, quantity: '3' }])
  await dispatch(pair, number)
  const { slip: inSlip } = must(
    await pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, { lines: [{ line: 1, quantity: '1' }] })
  )
  const { slip } = must(
    await pair.giver.keeper.post(`/v1/transfers/${number}/call-back`, { reason: 'the carrier is gone' })
  )
  expect(slip).toMatchObject({ kind: 'transfer-in', warehouse: pair.giver.warehouse, lines: [{ quantity: '2' }] })
  expect(await pair.giver.keeper.post(`/v1/transfers/${number}/call-back`, { reason: 'once more' })).toMatchObject({
    status: 409,
    body: { code: 'NothingInTransit' }
  })
  expect(
    await pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, { lines: [{ line: 1, quantity: '1' }] })
  ).toMatchObject({ status: 409, body: { code: 'MoreThanSent' } })
  must(await pair.giver.signAndPost(slip.number), 200)
  must(await pair.receiver.signAndPost(inSlip.number), 200)
  expect(await read(pair, number)).toMatchObject({
    state: 'received',
    value: { received: { cost: '3.33' }, calledBack: { cost: '6.67' }, inTransit: { cost: '0.00' } }
  })

  const other = await order(pair, [{ part: part.number, quantity: '2' }])
  await dispatch(pair, other.number)
  const back = must(await pair.giver.keeper.post(`/v1/transfers/${other.number}/call-back`, { reason: 'too late' }))
  must(await pair.giver.signAndPost(back.slip.number), 200)
  expect((await read(pair, other.number)).state).toBe('called-back')
  expect(await pair.giver.verify()).toMatchObject({ ok: true })
})

test('a claim is settled or withdrawn by finance; what was missing and turned up is received after all', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '4' })
  const { number } = await order(pair, [{ part: part.number, quantity: '4' }])
  await dispatch(pair, number)
  const { slip } = must(
    await pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, {
      lines: [{ line: 1, quantity: '2', damaged: '1', missing: '1', responsible: 'giver' }]
    })
  )
  const finance = pair.giver.signers['finance-supervisor']
  const decide = (claim: number, decision: string, by = finance) =>
    by.post(`/v1/transfers/${number}/claims/${claim}/decision`, { decision, reason: 'see voucher 4711' })
  expect(await decide(1, 'settled')).toMatchObject({ status: 409, body: { code: 'ClaimNotOpen' } })
  must(await pair.receiver.signAndPost(slip.number), 200)
  expect(await decide(1, 'settled', pair.giver.keeper)).toMatchObject({ status: 403, body: { code: 'DutyRequired' } })
  expect(must(await decide(1, 'settled'), 200).claims[0]).toMatchObject({
    state: 'settled',
    decision: 'see voucher 4711'
  })
  expect(await decide(1, 'withdrawn')).toMatchObject({ status: 409, body: { code: 'ClaimNotOpen' } })
  expect(await decide(9, 'withdrawn')).toMatchObject({ status: 404 })
  const claimant = pair.receiver.signers['finance-supervisor']
  expect(await decide(2, 'withdrawn')).toMatchObject({ status: 403, body: { code: 'DutyRequired' } })
  expect(await decide(2, 'settled', claimant)).toMatchObject({ status: 403, body: { code: 'DutyRequired' } })
  expect(must(await decide(2, 'withdrawn', claimant), 200)).toMatchObject({ state: 'in-transit' })
  await receive(pair, number, [{ line: 1, quantity: '1' }])
  expect(quantitiesOf(await read(pair, number))).toEqual({
    sent: '4',
    received: '3',
    damaged: '1',
    missing: '0',
    calledBack: '0',
    inTransit: '0'
  })
})

test('carriage is paid by the receiver, but not that from head office (R-AGE-7)', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '2' })
  const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
  const enter = (body: object) => pair.receiver.keeper.post(`/v1/transfers/${number}/transport`, body)
  must(await enter({ leg: 'local', amount: '35.00', carrier: '顺丰速运' }))
  must(await enter({ leg: 'from-head-office', amount: '12.50' }))
  expect(await enter({ leg: 'local', amount: '-5.00' })).toMatchObject({ status: 422, body: { code: 'ReasonMissing' } })
  expect(await enter({ leg: 'local', amount: '0.00' })).toMatchObject({ status: 422, body: { code: 'AmountZero' } })
  expect(await enter({ leg: 'local', amount: '-35.01', note: 'rebate' })).toMatchObject({
    status: 422,
    body: { code: 'CorrectionTooLarge', errors: [{ accepted: 'at least -35.00' }] }
  })
  const { transport } = must(await enter({ leg: 'local', amount: '-5.00', note: 'rebate' }))
  expect(transport.map(({ amount, paidBy }: any) => [amount, paidBy])).toEqual([
    ['35.00', pair.receiver.warehouse],
    ['12.50', pair.giver.warehouse],
    ['-5.00', pair.receiver.warehouse]
  ])

  const office = await openPair(h)
  // Before anything asks for it: warehouses are remembered.
  await h.sql(`update warehouse set kind = 'head-office' where id = $1`, [office.giver.warehouseId])
  const delivered = await order(office, [{ part: (await office.giver.stocked()).number, quantity: '1' }])
  const answer = must(
    await office.receiver.keeper.post(`/v1/transfers/${delivered.number}/transport`, { leg: 'local', amount: '35.00' })
  )
  expect(answer.transport).toMatchObject([{ paidBy: office.giver.warehouse }])
})

test('slips of a transfer are neither written by hand nor amended', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '2' })
  const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
  for (const [counter, kind] of [
    [pair.giver, 'transfer-out'],
    [pair.receiver, 'transfer-in']
  ] as const)
    expect(
      await counter.keeper.post(`/v1/warehouses/${counter.warehouse}/slips`, {
        kind,
        reference: number,
        lines: [{ part: part.number, quantity: '1', ...(kind === 'transfer-in' && { unitCost: '1.00' }) }]
      })
    ).toMatchObject({ status: 422, body: { code: 'SlipOfTransfer' } })
  const { slip } = must(await pair.giver.keeper.post(`/v1/transfers/${number}/out-slip`))
  expect(
    await pair.giver.keeper.put(`/v1/slips/${slip.number}`, { lines: [{ part: part.number, quantity: '1' }] })
  ).toMatchObject({ status: 409, body: { code: 'SlipNotAmendable' } })
})

test('an arrival is dated on or after the day the goods left', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '2' })
  const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
  await dispatch(pair, number)
  const lines = [{ line: 1, quantity: '1' }]
  expect(
    await pair.receiver.keeper.post(`/v1/transfers/${number}/in-slip`, { lines, occurredOn: '2026-11-19' })
  ).toMatchObject({ status: 422, body: { code: 'BeforeDispatch' } })
})

test('who holds no duty at either end, or not the right one, moves nothing', async () => {
  const pair = await openPair(h)
  const stranger = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '4' })
  const body = {
    from: pair.giver.warehouse,
    to: pair.receiver.warehouse,
    lines: [{ part: part.number, quantity: '1' }],
    because: 'why not'
  }
  const outsider = stranger.giver.keeper
  expect(await outsider.post('/v1/transfers', body)).toMatchObject({ status: 404 })
  expect(await pair.receiver.keeper.post('/v1/transfers', body)).toMatchObject({ status: 403 })
  expect((await pair.receiver.signers['operations-supervisor'].post('/v1/transfers', body)).status).toBe(201)
  expect(await pair.giver.keeper.post('/v1/transfers', { ...body, to: 'NOWHERE' })).toMatchObject({
    status: 422,
    body: { code: 'WarehouseUnknown' }
  })
  expect(await pair.giver.keeper.post('/v1/transfers', { ...body, to: body.from })).toMatchObject({
    status: 422,
    body: { code: 'TransferToItself' }
  })
  expect(await pair.giver.keeper.post('/v1/transfers', { ...body, directTo: body.from })).toMatchObject({
    status: 422,
    body: { code: 'DirectToGiver' }
  })
  expect(
    await pair.giver.keeper.post('/v1/transfers', { ...body, lines: [{ part: part.number, quantity: '9' }] })
  ).toMatchObject({ status: 409, body: { code: 'InsufficientStock', lines: [{ wanted: '9', available: '3' }] } })

  const { number } = await order(pair, [{ part: part.number, quantity: '1' }])
  const reason = { reason: 'why not' }
  const clerk = callerFor(
    h,
    await h.make.person({
      grants: [
        { duty: 'technician', warehouse: pair.giver.warehouse },
        { duty: 'technician', warehouse: pair.receiver.warehouse }
      ]
    })
  )
  for (const [path, said] of [
    ['', undefined],
    ['/note', undefined],
    ['/out-slip', {}],
    ['/in-slip', { lines: [{ line: 1, quantity: '1' }] }],
    ['/call-back', reason],
    ['/cancellation', reason],
    ['/closing', reason],
    ['/claims/1/decision', { decision: 'settled', ...reason }],
    ['/transport', { leg: 'local', amount: '1.00' }]
  ] as const) {
    const url = `/v1/transfers/${number}${path}`
    expect((await (said === undefined ? outsider.get(url) : outsider.post(url, said))).status, url).toBe(404)
    expect((await (said === undefined ? clerk.get(url) : clerk.post(url, said))).status, url).toBe(
      said === undefined ? 200 : 403
    )
  }
  expect((await outsider.get('/v1/transfers')).body.items).toEqual([])
})

test('a stale If-Match is refused', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '2' })
  const { number } = await order(pair, [{ part: part.number, quantity: '2' }])
  const stale = { 'if-match': '"77"' }
  for (const [path, said] of [
    ['/out-slip', {}],
    ['/cancellation', { reason: 'no need' }]
  ] as const)
    expect(await pair.giver.keeper.post(`/v1/transfers/${number}${path}`, said, stale)).toMatchObject({ status: 412 })
})

test('lists, files and the note for paper', async () => {
  const pair = await openPair(h)
  const part = await pair.giver.stocked({ quantity: '6' })
  const first = await order(pair, [{ part: part.number, quantity: '1' }], { reference: 'RQ-LIST' })
  const second = await order(pair, [{ part: part.number, quantity: '2' }])
  await dispatch(pair, second.number)
  const list = async (query: string) =>
    must(await pair.receiver.keeper.get(`/v1/transfers?${query}`), 200).items.map(({ number }: any) => number)
  expect(await list('')).toEqual([second.number, first.number])
  expect(await list('state=in-transit')).toEqual([second.number])
  expect(await list('reference=RQ-LIST')).toEqual([first.number])
  expect(await list(`from=${pair.giver.warehouse}&to=${pair.receiver.warehouse}&limit=1`)).toEqual([second.number])
  expect(await list(`warehouse=${pair.receiver.warehouse}`)).toEqual([second.number, first.number])
  const csv = await pair.giver.keeper.get('/v1/transfers', { accept: 'text/csv' })
  expect(csv.text.split('\n').filter((row) => row.includes('-TRF-'))).toHaveLength(2)
  const note = await pair.giver.keeper.get(`/v1/transfers/${second.number}/note`)
  expect(note).toMatchObject({ status: 200 })
  expect(note.headers['content-security-policy']).toContain("default-src 'none'")
  expect(note.text).toContain(second.number)
})
