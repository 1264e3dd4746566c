import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openRecalling, type Recalling } from '../recalls/recalling.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { relayed } from '../support/relay.ts'
import { aLoan, openLoaners, type LoanerCounter } from './loaners-counter.ts'

// A recall of a loaner model, over its life: on the shelf, in repair, with a customer, on the way.

let h: Harness
let network: Recalling
beforeAll(async () => {
  h = await openHarness()
  network = await openRecalling(h)
})
beforeEach(() => h.clock.set(DEFAULT_TIME))
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const lifted = async (number: string, lines?: number[]) => {
  const proposed = await network.controller.post(`/v1/recalls/${number}/lifting`, {
    reason: '已返工合格',
    ...(lines !== undefined && { lines })
  })
  expect(proposed.status).toBe(200)
  return network.signEnd(number)
}
const eventsOf = async (at: LoanerCounter, serial: string): Promise<any[]> =>
  (await at.keeper.get(`/v1/loaners/${serial}/history`)).body.events
const free = async (at: LoanerCounter) => {
  const [row] = await h.sql<{ free: number }>(
    'select (on_hand - reserved - blocked)::int as free from balance where warehouse_id = $1 and part_number = $2',
    [at.warehouseId, at.model]
  )
  return row.free
}

test('a recall ends the promise of the unit it blocks: the history says which recall and who, and whoever reserved it is named in the event (R-REQ-7)', async () => {
  const at = await openLoaners(h)
  const [kept, lending, other] = await at.units(3)
  for (const serial of [kept, lending])
    await at.keeper.post(`/v1/loaners/${serial}/reservation`, { repairOrder: 'RO-1', until: '2026-11-28' })
  const drawn = await at.lend(lending ?? '', { repairOrder: 'RO-1' })
  const { number } = await network.recallPart(at.model)
  for (const serial of [kept, lending]) {
    expect((await eventsOf(at, serial ?? '')).slice(-2)).toEqual([
      expect.objectContaining({
        event: 'recalled',
        by: network.controller.person.username,
        at: '2026-11-20T02:00:00Z',
        details: { recall: number }
      }),
      expect.objectContaining({
        event: 'reservation-ended',
        by: network.controller.person.username,
        details: {
          repairOrder: 'RO-1',
          because: 'recalled',
          recall: number,
          reservedBy: at.keeper.person.username
        }
      })
    ])
  }
  expect((await eventsOf(at, other ?? '')).at(-1)).toMatchObject({ event: 'recalled', details: { recall: number } })
  const told = await h.sql(
    `select payload -> 'details' ->> 'reservedBy' as "reservedBy" from outbox
      where event = 'document.reservation-ended' and payload -> 'details' ->> 'recall' = $1`,
    [number]
  )
  expect(told).toEqual([{ reservedBy: at.keeper.person.username }, { reservedBy: at.keeper.person.username }])
  expect(await at.unit(kept ?? '')).toMatchObject({ state: 'blocked', reservation: null, recalls: [number] })
  expect(problem(await at.signAndPost(drawn.outSlip))).toEqual([409, 'ReservationDoesNotCover'])
  await at.keeper.post(`/v1/slips/${drawn.outSlip}/cancellation`, { reason: '召回' })
  expect(await at.unit(lending ?? '')).toMatchObject({ state: 'blocked', reservation: null })
  // What is over does not come back with the goods.
  await lifted(number)
  expect(await at.unit(kept ?? '')).toMatchObject({ state: 'available', reservation: null, recalls: [] })
  expect((await at.lent(kept ?? '', { repairOrder: 'RO-2' })).state).toBe('out')
  expect(await at.verify()).toMatchObject({ ok: true })
})

test('a blocked unit is neither lent, reserved nor sent away, by refusals that name the recall; it may be repaired, and is lent again once the recall is lifted (R-REQ-7)', async () => {
  const at = await openLoaners(h)
  const elsewhere = await openLoaners(h, { model: at.model })
  const [serial] = await at.units(1)
  const { number } = await network.recallPart(at.model)
  const post = (path: string, body: object) => at.keeper.post(`/v1/loaners/${serial}/${path}`, body)
  const refused = [
    await post('loans', aLoan()),
    await post('reservation', { repairOrder: 'RO-1', until: '2026-11-28' }),
    await post('transfer', { to: elsewhere.warehouse, reason: 'x' })
  ]
  for (const answer of refused) {
    expect(problem(answer)).toEqual([409, 'LoanerNotAvailable'])
    expect(answer.body).toMatchObject({ state: 'blocked', recalls: [number], detail: expect.stringContaining(number) })
  }
  expect((await post('repair', { reason: '召回返工' })).body).toMatchObject({ state: 'in-repair', recalls: [number] })
  const lending = await post('loans', aLoan())
  expect(lending.body).toMatchObject({ state: 'in-repair', detail: expect.stringContaining(number) })
  expect((await post('repair-return', { note: '已更换密封圈' })).body).toMatchObject({ state: 'blocked' })
  expect(await free(at)).toBe(0)
  await lifted(number)
  expect(await at.unit(serial ?? '')).toMatchObject({ state: 'available', recalls: [] })
  expect((await eventsOf(at, serial ?? '')).slice(-4).map(({ event, details }) => [event, details.recall])).toEqual([
    ['recalled', number],
    ['sent-to-repair', undefined],
    ['repaired', undefined],
    ['recall-lifted', number]
  ])
  const loan = await at.lent(serial ?? '')
  expect(loan).toMatchObject({ state: 'out', recalls: [] })
  expect(await at.verify()).toMatchObject({ ok: true })
})

test('units that are in repair when a recall is lifted are promised to their repair again, whichever came first (R-REQ-7)', async () => {
  const at = await openLoaners(h)
  const [before, during, retiring] = await at.units(3)
  const repair = (serial = '') => at.keeper.post(`/v1/loaners/${serial}/repair`, { reason: 'x' })
  await repair(before)
  const { number } = await network.recallPart(at.model)
  await repair(during)
  await repair(retiring)
  await at.keeper.post(`/v1/loaners/${retiring}/retirement`, { reason: 'x' })
  await lifted(number)
  for (const serial of [before, during])
    expect(await at.unit(serial ?? '')).toMatchObject({ state: 'in-repair', recalls: [] })
  // What is being retired is taken by its slip.
  expect(await free(at)).toBe(1)
  await at.settle(retiring ?? '')
  expect(await free(at)).toBe(0)
  for (const serial of [before, during]) await at.keeper.post(`/v1/loaners/${serial}/repair-return`, { note: 'x' })
  expect(await free(at)).toBe(2)
  for (const serial of [before, during]) expect((await at.lent(serial ?? '')).state).toBe('out')
  expect(await at.verify()).toMatchObject({ ok: true })
})

test('a unit in repair that was to be scrapped when its recall was lifted is promised to its repair again once it is not (R-REQ-7)', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(2)
  await at.keeper.post(`/v1/loaners/${serial}/repair`, { reason: 'x' })
  const { number } = await network.recallPart(at.model)
  const { body } = await at.keeper.post(`/v1/loaners/${serial}/retirement`, { reason: 'x' })
  await lifted(number)
  expect(await free(at)).toBe(2)
  expect((await at.keeper.post(`/v1/slips/${body.pendingSlip}/cancellation`, { reason: '可修' })).status).toBe(200)
  expect(await at.unit(serial ?? '')).toMatchObject({ state: 'in-repair', pendingSlip: null })
  expect(await free(at)).toBe(1)
  await at.keeper.post(`/v1/loaners/${serial}/repair-return`, { note: 'x' })
  expect(await free(at)).toBe(2)
  expect((await at.lent(serial ?? '')).state).toBe('out')
  expect(await at.verify()).toMatchObject({ ok: true })
})

test('what was written before a recall opened is posted once it is lifted; the refusal until then names the recall (R-REQ-7)', async () => {
  const at = await openLoaners(h)
  const elsewhere = await openLoaners(h, { model: at.model })
  const [lending, sending] = await at.units(2)
  const loan = await at.lend(lending ?? '')
  await at.keeper.post(`/v1/loaners/${sending}/transfer`, { to: elsewhere.warehouse, reason: 'x' })
  const { pendingSlip } = await at.unit(sending ?? '')
  const { number } = await network.recallPart(at.model)
  for (const slip of [loan.outSlip, pendingSlip]) {
    const refused = await at.signAndPost(slip)
    expect(problem(refused)).toEqual([409, 'GoodsBlocked'])
    expect(refused.body.recalls).toEqual([number])
  }
  await lifted(number)
  for (const slip of [loan.outSlip, pendingSlip])
    expect((await at.keeper.post(`/v1/slips/${slip}/posting`)).status).toBe(200)
  expect([(await at.unit(lending ?? '')).state, (await at.unit(sending ?? '')).state]).toEqual(['out', 'in-transit'])
})

test('what is nonconforming is beyond repair also if a recall blocks it; it is retired (R-REQ-7)', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  await at.returned(await at.lent(serial ?? ''), { outcome: 'beyond-repair' })
  const { number } = await network.recallPart(at.model)
  const refused = await at.keeper.post(`/v1/loaners/${serial}/repair`, { reason: 'x' })
  expect(problem(refused)).toEqual([409, 'LoanerNotAvailable'])
  expect(refused.body.detail).toContain('nonconforming')
  await at.keeper.post(`/v1/loaners/${serial}/retirement`, { reason: number })
  await at.settle(serial ?? '')
  expect((await eventsOf(at, serial ?? '')).at(-1)).toMatchObject({ event: 'retired', details: { recalls: [number] } })
})

test('a unit that is out when a recall opens stays out; unit, loan, alert and recall say that the customer has it, and it is blocked when it is back (R-REQ-7, R-LOAN-1)', async () => {
  const at = await openLoaners(h)
  const [serial, broken] = await at.units(2)
  const loan = await at.lent(serial ?? '')
  const second = await at.lent(broken ?? '')
  const { number } = await network.recallPart(at.model)
  expect(await at.unit(serial ?? '')).toMatchObject({ state: 'out', recalls: [number] })
  expect((await at.keeper.get(`/v1/loans/${loan.number}`)).body).toMatchObject({ state: 'out', recalls: [number] })
  const listed = (await at.keeper.get('/v1/loans?state=out')).body.items
  expect(listed.map(({ recalls }: { recalls: string[] }) => recalls)).toEqual([[number], [number]])
  expect((await at.keeper.get('/v1/loans', { accept: 'text/csv' })).text).toContain(number)
  const history = (await at.keeper.get(`/v1/loans/${loan.number}/history`)).body.items
  expect(history.at(-1)).toMatchObject({ event: 'recalled', details: { recall: number, serial } })
  expect((await eventsOf(at, serial ?? '')).at(-1)).toMatchObject({
    event: 'recalled',
    details: { recall: number, loan: loan.number }
  })
  expect(await network.issued(number)).toMatchObject([
    { kind: 'loan-out', serial: broken, quantity: '1' },
    { kind: 'loan-out', serial, quantity: '1', reference: loan.repairOrder, counterparty: loan.receiptNumber }
  ])
  const alert = async () => {
    await relayed(h)
    return (await at.keeper.get('/v1/alerts?kind=recall&state=open')).body.items.map(({ details }: any) => details)
  }
  expect(await alert()).toMatchObject([{ recall: number, blocked: '0', lent: 2 }])

  expect(
    (await at.keeper.post(`/v1/loans/${loan.number}/extension`, { dueOn: '2026-12-10', because: 'x' })).status
  ).toBe(200)
  expect((await at.returned(loan)).state).toBe('returned')
  expect(await at.unit(serial ?? '')).toMatchObject({ state: 'blocked', recalls: [number] })
  expect((await eventsOf(at, serial ?? '')).at(-1)).toMatchObject({ event: 'returned', details: { recalls: [number] } })
  // What comes back broken is in repair, though the ledger promises nobody what is blocked.
  await at.returned(second, { outcome: 'needs-repair' })
  expect(await at.unit(broken ?? '')).toMatchObject({ state: 'in-repair', recalls: [number] })
  const [still] = await alert()
  expect(still).toMatchObject({ blocked: '2' })
  expect(still.lent).toBeUndefined()

  await lifted(number)
  expect(await alert()).toEqual([])
  expect(await at.unit(serial ?? '')).toMatchObject({ state: 'available' })
  expect(await at.unit(broken ?? '')).toMatchObject({ state: 'in-repair' })
  expect(await free(at)).toBe(1)
  await at.keeper.post(`/v1/loaners/${broken}/repair-return`, { note: 'x' })
  for (const unit of [serial, broken]) expect((await at.lent(unit ?? '')).state).toBe('out')
  expect(await at.verify()).toMatchObject({ ok: true })
})

test('a customer who has a unit of a recall that is lifted has none any more, and its loan says so (R-REQ-7)', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  const loan = await at.lent(serial ?? '')
  const one = await network.recallPart(at.model)
  const two = await network.recall({ scopes: [{ part: at.model, receivedFrom: '2026-01-01' }] })
  expect((await at.unit(serial ?? '')).recalls).toEqual([one.number, two.number])
  await lifted(one.number)
  expect((await at.unit(serial ?? '')).recalls).toEqual([two.number])
  expect((await eventsOf(at, serial ?? '')).at(-1)).toMatchObject({
    event: 'recall-lifted',
    details: { recall: one.number, stillRecalledBy: [two.number] }
  })
  await lifted(two.number)
  const history = (await at.keeper.get(`/v1/loans/${loan.number}/history`)).body.items
  expect(history.map(({ event }: { event: string }) => event).slice(-4)).toEqual([
    'recalled',
    'recalled',
    'recall-lifted',
    'recall-lifted'
  ])
  await at.returned(loan)
  expect((await at.unit(serial ?? '')).state).toBe('available')
})

test('of a recall in lines, lifting one frees its units alone (R-REQ-7)', async () => {
  const at = await openLoaners(h)
  const [old] = await at.units(1, { receivedOn: '2026-03-01' })
  const [young] = await at.units(1, { receivedOn: '2026-09-01' })
  const { number } = await network.recall({
    scopes: [
      { part: at.model, receivedTo: '2026-06-30' },
      { part: at.model, receivedFrom: '2026-07-01' }
    ]
  })
  await lifted(number, [2])
  expect(await at.unit(young ?? '')).toMatchObject({ state: 'available', recalls: [] })
  expect(await at.unit(old ?? '')).toMatchObject({ state: 'blocked', recalls: [number] })
  expect((await eventsOf(at, young ?? '')).at(-1).event).toBe('recall-lifted')
  expect((await eventsOf(at, old ?? '')).at(-1).event).toBe('recalled')
})

test('a unit that two lines of a recall are about is recalled once, and free with the last of them (R-REQ-7)', async () => {
  const at = await openLoaners(h)
  const [named, other] = await at.units(2)
  const lot = `${at.warehouse}/${(await at.unit(named ?? '')).lot}`
  const { number } = await network.recall({ scopes: [{ lots: [lot] }, { part: at.model }] })
  expect((await at.unit(named ?? '')).recalls).toEqual([number])
  await lifted(number, [2])
  expect(await at.unit(named ?? '')).toMatchObject({ state: 'blocked', recalls: [number] })
  expect(await at.unit(other ?? '')).toMatchObject({ state: 'available', recalls: [] })
  await lifted(number)
  expect(await at.unit(named ?? '')).toMatchObject({ state: 'available', recalls: [] })
  for (const serial of [named, other])
    expect((await eventsOf(at, serial ?? '')).map(({ event }) => event).slice(-2)).toEqual([
      'recalled',
      'recall-lifted'
    ])
})

test('a unit on its way when a recall opens is listed as travelling, not as gone, keeps the recall open, and is blocked where it arrives (R-REQ-7)', async () => {
  const giver = await openLoaners(h)
  const taker = await openLoaners(h, { model: giver.model })
  const [serial] = await giver.units(1)
  await giver.keeper.post(`/v1/loaners/${serial}/transfer`, { to: taker.warehouse, reason: 'x' })
  const { pendingSlip } = await giver.unit(serial ?? '')
  await giver.settle(serial ?? '')
  const recall = await network.recallPart(giver.model)
  expect(await taker.unit(serial ?? '')).toMatchObject({ state: 'in-transit', recalls: [recall.number] })
  expect(await network.goods(recall.number)).toMatchObject([
    { where: 'transit', serial, warehouse: giver.warehouse, to: taker.warehouse, document: pendingSlip, quantity: '1' }
  ])
  expect(await network.issued(recall.number)).toEqual([])
  const closing = await network.controller.post(`/v1/recalls/${recall.number}/closing`, { reason: 'x' })
  expect(closing.body).toMatchObject({ code: 'RecalledGoodsRemain', inTransit: '1' })
  await taker.keeper.post(`/v1/loaners/${serial}/arrival`)
  await taker.settle(serial ?? '')
  expect(await taker.unit(serial ?? '')).toMatchObject({ state: 'blocked', recalls: [recall.number] })
  expect(await network.goods(recall.number)).toMatchObject([
    { where: 'warehouse', serial, warehouse: taker.warehouse, isBlocked: true }
  ])
  expect(await network.issued(recall.number)).toEqual([])
  for (const at of [giver, taker]) expect(await at.verify()).toMatchObject({ ok: true })
})
