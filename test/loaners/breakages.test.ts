import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { blockStock } from '../../src/ledger/block.ts'
import { expireReservations, remindOfReadyRepairs } from '../../src/loaners/loaners.jobs.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openCounting, type Found } from '../support/counting.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { runJob } from '../support/relay.ts'
import { LOAN, openLoaners, serialOf, type LoanerCounter } from './loaners-counter.ts'

// What went wrong when somebody tried to break it.

let h: Harness
let administrator: Caller
beforeAll(async () => {
  h = await openHarness()
  administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
beforeEach(() => h.clock.set(DEFAULT_TIME))
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const partId = async (at: LoanerCounter): Promise<number> => {
  const [{ id }] = await h.sql<{ id: number }>('select id from part where number = $1', [at.model])
  return id
}

test('a warehouse whose units are lent or on their way is not closed: nobody could take them back or in (R-LOAN-1)', async () => {
  const at = await openLoaners(h)
  const other = await openLoaners(h, { model: at.model })
  const [lent, sent] = await at.units(2)
  const loan = await at.lent(lent)
  await at.keeper.post(`/v1/loaners/${sent}/transfer`, { to: other.warehouse, reason: 'x' })
  h.clock.set('2026-11-21T10:00')
  const close = (warehouse: string) => administrator.post(`/v1/warehouses/${warehouse}/closing`, {})
  expect((await close(other.warehouse)).body).toMatchObject({ code: 'WarehouseHasLoaners', serials: [sent] })
  await at.settle(sent)
  expect((await close(other.warehouse)).body).toMatchObject({ code: 'WarehouseHasLoaners', serials: [sent] })
  h.clock.set('2026-11-22T10:00')
  const refused = await close(at.warehouse)
  expect(refused.body).toMatchObject({ code: 'WarehouseHasLoaners', serials: [lent, sent].toSorted() })
  expect(refused.body.detail).toContain(lent)
  await other.keeper.post(`/v1/loaners/${sent}/arrival`)
  await other.settle(sent)
  await at.returned(loan)
  await at.keeper.post(`/v1/loaners/${lent}/retirement`, { reason: 'x' })
  await at.settle(lent)
  h.clock.set('2026-11-23T10:00')
  expect((await close(at.warehouse)).status).toBe(200)
})

test('a customer who is forgotten is forgotten by stored answers, too: a repeated request says who it was no more', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  const key = { 'idempotency-key': `forget-${serial}` }
  const said = { ...LOAN, customerName: '欧阳震华', customerContact: '139-1234-5678' }
  const { body: loan } = await at.keeper.post(`/v1/loaners/${serial}/loans`, said, key)
  await at.signAndPost(loan.outSlip)
  await at.returned(loan)
  await at.keeper.post(`/v1/loans/${loan.number}/forget-customer`)
  const again = await at.keeper.post(`/v1/loaners/${serial}/loans`, said, key)
  expect(again.status).toBe(201)
  expect(again.body).toMatchObject({ number: loan.number, customer: null, customerForgottenAt: expect.any(String) })
  const texts = await h.sql<{ table: string; column: string }>(
    `select c.table_name as "table", c.column_name as "column" from information_schema.columns c
       join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name and t.table_type = 'BASE TABLE'
      where c.table_schema = 'public' and c.data_type in ('text', 'json', 'jsonb')`
  )
  for (const { table, column } of texts)
    expect([
      table,
      column,
      await h.sql(`select 1 from "${table}" where "${column}"::text ~ '欧阳震华|139-1234-5678' limit 1`)
    ]).toEqual([table, column, []])
})

test('a unit moves by the slip it waits for only: an arrival that was written before the sending was reversed is cancelled, not posted', async () => {
  const giver = await openLoaners(h)
  const taker = await openLoaners(h, { model: giver.model })
  const third = await openLoaners(h, { model: giver.model })
  const [serial] = await giver.units(1)
  await giver.keeper.post(`/v1/loaners/${serial}/transfer`, { to: taker.warehouse, reason: 'x' })
  const { pendingSlip: sending } = await giver.unit(serial)
  await giver.signAndPost(sending)
  await taker.keeper.post(`/v1/loaners/${serial}/arrival`)
  const { pendingSlip: stale } = await taker.unit(serial)
  const { number } = (await giver.keeper.post(`/v1/slips/${sending}/reversal`, { reason: 'x' })).body
  await giver.signAndPost(number)
  expect(await giver.unit(serial)).toMatchObject({ state: 'available', pendingSlip: null })
  await giver.keeper.post(`/v1/loaners/${serial}/transfer`, { to: third.warehouse, reason: 'x' })
  await giver.settle(serial)
  const refused = await taker.signAndPost(stale)
  expect(problem(refused)).toEqual([409, 'UnitElsewhere'])
  expect(refused.body.detail).toContain('does not wait for this one any more')
  expect(await third.unit(serial)).toMatchObject({ state: 'in-transit', movingTo: third.warehouse })
  await taker.keeper.post(`/v1/slips/${stale}/cancellation`, { reason: 'x' })
  await third.keeper.post(`/v1/loaners/${serial}/arrival`)
  await third.settle(serial)
  expect(await third.unit(serial)).toMatchObject({ state: 'available', warehouse: third.warehouse })
  for (const at of [giver, taker, third]) expect(await at.verify()).toMatchObject({ ok: true })
})

test('a sending is reversed only while the unit is on its way by it, not while it is on a later one', async () => {
  const giver = await openLoaners(h)
  const taker = await openLoaners(h, { model: giver.model })
  const third = await openLoaners(h, { model: giver.model })
  const [serial] = await giver.units(1)
  const send = async (from: LoanerCounter, to: LoanerCounter) => {
    await from.keeper.post(`/v1/loaners/${serial}/transfer`, { to: to.warehouse, reason: 'x' })
    const { pendingSlip } = await from.unit(serial)
    await from.settle(serial)
    return pendingSlip as string
  }
  const arrive = async (at: LoanerCounter) => {
    await at.keeper.post(`/v1/loaners/${serial}/arrival`)
    await at.settle(serial)
  }
  const reverse = async (slip: string) => {
    const { number } = (await giver.keeper.post(`/v1/slips/${slip}/reversal`, { reason: 'x' })).body
    const answer = await giver.signAndPost(number)
    if (answer.status !== 200) await giver.keeper.post(`/v1/slips/${number}/cancellation`, { reason: 'x' })
    return problem(answer)
  }
  const first = await send(giver, taker)
  await arrive(taker)
  await send(taker, third)
  expect(await reverse(first)).toEqual([409, 'UnitElsewhere'])
  expect(await third.unit(serial)).toMatchObject({ state: 'in-transit', movingTo: third.warehouse })
  expect(await giver.onHand(giver.model)).toBe('0')
  await arrive(third)
  await send(third, giver)
  await arrive(giver)
  const last = await send(giver, taker)
  expect(await reverse(first)).toEqual([409, 'UnitElsewhere'])
  expect(await reverse(last)).toEqual([200, undefined])
  expect(await giver.unit(serial)).toMatchObject({ state: 'available', warehouse: giver.warehouse })
  for (const at of [giver, taker, third]) expect(await at.verify()).toMatchObject({ ok: true })
})

test('a loan that was drawn up before what brought the unit in, or gave it out, was reversed is cancelled, not posted', async () => {
  const at = await openLoaners(h)
  const serial = serialOf()
  const { slip } = (
    await at.keeper.post(`/v1/warehouses/${at.warehouse}/loaners`, {
      kind: 'opening',
      units: [{ serial, model: at.model }]
    })
  ).body
  await at.signAndPost(slip)
  const drawn = await at.lend(serial)
  const { number } = (await at.keeper.post(`/v1/slips/${slip}/reversal`, { reason: 'x' })).body
  expect((await at.signAndPost(number)).status).toBe(200)
  expect((await at.signAndPost(drawn.outSlip)).status).toBe(409)
  await at.keeper.post(`/v1/slips/${drawn.outSlip}/cancellation`, { reason: 'x' })
  expect((await at.keeper.get(`/v1/loans/${drawn.number}`)).body.state).toBe('cancelled')

  const [unit] = await at.units(1)
  const loan = await at.lent(unit)
  const { inSlip } = (await at.keeper.post(`/v1/loans/${loan.number}/return`, { outcome: 'usable', condition: '完好' }))
    .body
  const { number: undoing } = (await at.keeper.post(`/v1/slips/${loan.outSlip}/reversal`, { reason: 'x' })).body
  expect((await at.signAndPost(undoing)).status).toBe(200)
  expect((await at.signAndPost(inSlip)).status).toBe(409)
  const next = await at.lent(unit)
  await at.keeper.post(`/v1/slips/${inSlip}/cancellation`, { reason: 'x' })
  expect(await at.unit(unit)).toMatchObject({ state: 'out', loan: { number: next.number } })
  expect((await at.returned(next)).state).toBe('returned')
  expect(await at.verify()).toMatchObject({ ok: true })
})

test('a reservation whose day is past is in nobody’s way, also before the job of the night ran (R-LOAN-1)', async () => {
  const at = await openLoaners(h)
  const other = await openLoaners(h, { model: at.model })
  const until = { repairOrder: 'RO-1', until: '2026-11-21' }
  const late = async (work: (serial: string) => Promise<unknown>) => {
    h.clock.set(DEFAULT_TIME)
    const [serial] = await at.units(1)
    await at.keeper.post(`/v1/loaners/${serial}/reservation`, until)
    h.clock.set('2026-11-22T00:01')
    expect(await at.unit(serial)).toMatchObject({ state: 'available', reservation: null })
    await work(serial)
    return serial
  }
  await late(async (serial) => {
    expect(await at.lent(serial, { repairOrder: 'RO-2' })).toMatchObject({ state: 'out' })
  })
  await late(async (serial) => {
    expect((await at.keeper.post(`/v1/loaners/${serial}/repair`, { reason: 'x' })).body.state).toBe('in-repair')
  })
  await late(async (serial) => {
    const again = { repairOrder: 'RO-2', until: '2026-11-25' }
    expect(await at.keeper.post(`/v1/loaners/${serial}/reservation`, again)).toMatchObject({
      status: 200,
      body: { state: 'reserved', reservation: again }
    })
  })
  await late(async (serial) => {
    await at.keeper.post(`/v1/loaners/${serial}/transfer`, { to: other.warehouse, reason: 'x' })
    await at.settle(serial)
    expect((await other.unit(serial)).state).toBe('in-transit')
  })
  await late(async (serial) => {
    await at.keeper.post(`/v1/loaners/${serial}/retirement`, { reason: 'x' })
    await at.settle(serial)
    expect((await at.unit(serial)).state).toBe('retired')
  })
  expect(await runJob(h, expireReservations)).toEqual({ expired: 0 })
  expect(await at.verify()).toMatchObject({ ok: true })
})

test('a reservation whose day passes while its slip is being signed holds until that is posted or cancelled', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  await at.keeper.post(`/v1/loaners/${serial}/reservation`, { repairOrder: LOAN.repairOrder, until: '2026-11-21' })
  const { outSlip } = await at.lend(serial)
  h.clock.set('2026-11-23T08:00')
  expect(await runJob(h, expireReservations)).toEqual({ expired: 0 })
  expect((await at.signAndPost(outSlip)).status).toBe(200)
  expect((await at.unit(serial)).state).toBe('out')
})

test('what a customer is charged is not more than the unit cost; the refusal says how much that is', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1, { unitCost: '750.50' })
  const loan = await at.lent(serial)
  const back = (amount: string) =>
    at.keeper.post(`/v1/loans/${loan.number}/return`, {
      outcome: 'beyond-repair',
      condition: '进水',
      damage: { description: '进水', amount }
    })
  const refused = await back('750.51')
  expect(problem(refused)).toEqual([422, 'DamageAboveValue'])
  expect(refused.body).toMatchObject({ errors: [{ pointer: '/damage/amount', accepted: 'at most 750.50' }] })
  expect((await back('750.50')).body).toMatchObject({ damage: { amount: '750.50' } })
})

test('a customer who brought the unit is not called any more while the return is being signed; again if it is cancelled (R-LOAN-3)', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  const loan = await at.lent(serial)
  await at.keeper.post(`/v1/loans/${loan.number}/repair-ready`)
  const { inSlip } = (await at.keeper.post(`/v1/loans/${loan.number}/return`, { outcome: 'usable', condition: '完好' }))
    .body
  h.clock.set('2026-11-23T08:30')
  expect(await runJob(h, remindOfReadyRepairs)).toMatchObject({ noticed: 0, escalated: 0 })
  await at.keeper.post(`/v1/slips/${inSlip}/cancellation`, { reason: 'x' })
  expect(await runJob(h, remindOfReadyRepairs)).toMatchObject({ noticed: 1, escalated: 0 })
  expect(await runJob(h, remindOfReadyRepairs)).toMatchObject({ noticed: 0, escalated: 0 })
})

test('an instant with more digits than a clock has is refused, not answered by a fault', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  const loan = await at.lent(serial)
  const ready = await at.keeper.post(`/v1/loans/${loan.number}/repair-ready`, { at: '2026-11-20T01:00:00.1234567890Z' })
  expect(problem(ready)).toEqual([400, 'InvalidInput'])
})

test('a recall breaks the promise of the unit it blocks, not that of another (R-REQ-7)', async () => {
  const recalled = async (at: LoanerCounter, recallId: string) =>
    inTransaction(h.contextOf(at.keeper.person.actor), async (inner) =>
      blockStock(inner, {
        recallId,
        recall: 'HQ-RCL-202611-00019',
        scopes: [{ scopeNo: 1, partId: await partId(at), receivedFrom: '2026-01-01', receivedTo: '2026-04-01' }]
      })
    )
  const at = await openLoaners(h)
  const [old] = await at.units(1, { receivedOn: '2026-03-01' })
  const [young] = await at.units(1, { receivedOn: '2026-09-01' })
  for (const [serial, repairOrder] of [
    [old, 'RO-1'],
    [young, LOAN.repairOrder]
  ])
    await at.keeper.post(`/v1/loaners/${serial}/reservation`, { repairOrder, until: '2026-11-28' })
  expect(await recalled(at, '990001')).toMatchObject({ broken: 1 })
  expect((await at.unit(old)).state).toBe('blocked')
  expect(await at.unit(young)).toMatchObject({ state: 'reserved', reservation: { repairOrder: LOAN.repairOrder } })
  expect((await at.lent(young)).state).toBe('out')

  // One of two is promised, to a repair: what is left is free.
  const shop = await openLoaners(h)
  const [broken] = await shop.units(1, { receivedOn: '2026-03-01' })
  const [free] = await shop.units(1, { receivedOn: '2026-09-01' })
  await shop.keeper.post(`/v1/loaners/${broken}/repair`, { reason: 'x' })
  expect(await recalled(shop, '990002')).toMatchObject({ broken: 1 })
  expect((await shop.lent(free)).state).toBe('out')
  await shop.keeper.post(`/v1/loaners/${broken}/retirement`, { reason: 'x' })
  await shop.settle(broken)
  expect((await shop.unit(broken)).state).toBe('retired')
  expect([await at.verify(), await shop.verify()]).toMatchObject([{ ok: true }, { ok: true }])
})

test('of a model that is counted without lots no unit is guessed missing: it is counted again lot by lot; what is found more is registered first (R-CNT-4)', async () => {
  const c = await openCounting(h)
  const model = (await h.make.part({ standardCost: '1000.0000' })).number
  await h.sql('update part set loaner_family = $1 where number = $1', [model])
  const register = async (count: number) => {
    const units = Array.from({ length: count }, () => ({ serial: serialOf(), model }))
    const { slip } = (await c.keeper.post(`/v1/warehouses/${c.warehouse}/loaners`, { kind: 'opening', units })).body
    expect((await c.signAndPost(slip)).status).toBe(200)
    return units.map(({ serial }) => serial)
  }
  const unit = async (serial: string) => (await c.keeper.get(`/v1/loaners/${serial}`)).body
  const following = async (number: string) => {
    const [row] = await h.sql<{ number: string }>(
      `select f.number from stock_count f join stock_count c on c.warehouse_id = f.warehouse_id and c.id = f.follows_count_id where c.number = $1`,
      [number]
    )
    return row.number
  }
  // A count that follows another is counted by others.
  const countAgain = async (number: string, entry: Found) => {
    for (const again of [1, 2]) {
      const other = callerFor(h, await h.make.person({ grants: [{ duty: 'technician', warehouse: c.warehouse }] }))
      const { results } = await c.enter(number, [entry], other)
      if (results[0].outcome === 'settled') return
      expect([again, results[0].outcome]).toEqual([1, 'recount-due'])
    }
  }
  const [older, lost] = await register(2)
  const [{ number: first }, { lot }] = [await c.open(), await unit(older)]
  await c.count(first, [{ part: model, counted: '1' }])
  expect((await c.settle(first)).adjustmentSlip).toBeNull()
  expect([(await unit(older)).state, (await unit(lost)).state]).toEqual(['available', 'available'])
  expect((await c.lines(first))[0]).toMatchObject({ adjustmentProblem: expect.stringContaining('lot by lot') })

  const second = await following(first)
  await countAgain(second, { part: model, counted: '1', lots: [{ lot, counted: '1' }] })
  const { adjustmentSlip } = await c.settle(second)
  expect([(await unit(older)).state, (await unit(lost)).state]).toEqual(['available', 'missing'])

  // Given up, and found after all: the reversal brings it back into service.
  await c.keeper.post(`/v1/loaners/${lost}/retirement`, { reason: '盘亏' })
  expect((await unit(lost)).state).toBe('retired')
  const { number: undoing } = (await c.keeper.post(`/v1/slips/${adjustmentSlip}/reversal`, { reason: '找到了' })).body
  await c.sign(undoing)
  await c.controller.post(`/v1/slips/${undoing}/signatures`, { duty: 'stock-controller', decision: 'approve' })
  expect((await c.keeper.post(`/v1/slips/${undoing}/posting`)).status).toBe(200)
  expect(await unit(lost)).toMatchObject({ state: 'available', outOfServiceOn: null, lot: expect.any(String) })
  expect((await unit(lost)).history[0]).toMatchObject({ event: 'found', details: { slip: undoing } })

  // One more than there are units, then registered.
  h.clock.set('2026-11-21T10:00')
  const { number: third } = await c.open({ kind: 'cycle', parts: [model] })
  await c.count(third, [{ part: model, counted: '3' }])
  expect((await c.settle(third)).adjustmentSlip).toBeNull()
  const [extra] = await register(1)
  const fourth = await following(third)
  await countAgain(fourth, { part: model, counted: '3' })
  await c.settle(fourth)
  expect((await unit(extra)).state).toBe('available')

  // None at all is there.
  h.clock.set('2026-11-22T10:00')
  const { number: last } = await c.open({ kind: 'cycle', parts: [model] })
  await c.count(last, [{ part: model, counted: '0', lots: [{ lot, counted: '0' }] }])
  await c.settle(last)
  expect([(await unit(older)).state, (await unit(lost)).state, (await unit(extra)).state]).toEqual([
    'missing',
    'missing',
    'missing'
  ])
  expect(await c.verify()).toMatchObject({ ok: true })
})

test('what a count found missing is not in the fleet any more (R-LOAN-2)', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(2)
  const [{ region }] = await h.sql<{ region: string }>(
    'select r.code as region from warehouse w join region r on r.id = w.region_id where w.code = $1',
    [at.warehouse]
  )
  await administrator.put('/v1/installed-base', { region, family: at.family, units: 500, countedOn: '2026-10-31' })
  const fleet = async () => (await administrator.get(`/v1/loaners/fleet?region=${region}`)).body.items
  expect(await fleet()).toMatchObject([{ target: 2, units: 2, shortfall: 0 }])
  await h.sql('update lot set on_hand = 0, exhausted = true where warehouse_id = $1 and id = $2', [
    at.warehouseId,
    (await at.unit(serial)).lot
  ])
  expect(await fleet()).toMatchObject([{ target: 2, units: 1, shortfall: 1 }])
})

test('a part does not become a loaner model while a transfer or a count has it, and what was written before brings in no piece without a number', async () => {
  const at = await openLoaners(h)
  const part = await at.stocked({ quantity: '1' })
  const issued = await at.posted({ kind: 'issue', reference: 'RO-1', lines: [{ part: part.number, quantity: '1' }] })
  const make = () => administrator.put(`/v1/loaner-models/${part.number}`, { family: 'FM' })
  const { number: counting } = (
    await at.keeper.post(`/v1/warehouses/${at.warehouse}/counts`, { kind: 'cycle', parts: [part.number] })
  ).body
  expect((await make()).body).toMatchObject({ code: 'PartInStock', detail: expect.stringContaining(counting) })
  await at.keeper.post(`/v1/counts/${counting}/cancellation`, { reason: 'x' })
  // Written at the moment in which the part becomes a model.
  const receipt = await at.slip({ kind: 'receipt', lines: [{ part: part.number, quantity: '1', unitCost: '5' }] })
  const refused = await make()
  expect(refused.body).toMatchObject({ code: 'PartInStock', detail: expect.stringContaining(receipt.number) })
  await h.sql(`update part set loaner_family = 'FM' where number = $1`, [part.number])
  expect(problem(await at.signAndPost(receipt.number))).toEqual([409, 'LoanerModel'])
  const { number } = (await at.keeper.post(`/v1/slips/${issued.number}/reversal`, { reason: 'x' })).body
  const undone = await at.signAndPost(number)
  expect(problem(undone)).toEqual([409, 'LoanerModel'])
  expect(undone.body.detail).toContain('/loaners')
  expect(await at.onHand(part.number)).toBe('0')
})

test('what did not come back is no accessory any more, and a return that is reversed leaves the unit as it was lent (R-LOAN-1)', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1, { grade: 'A' })
  const loan = await at.lent(serial)
  const ruined = await at.returned(loan, { outcome: 'beyond-repair', grade: 'C', accessories: ['hose'] })
  expect(await at.unit(serial)).toMatchObject({ state: 'beyond-repair', grade: 'C', accessories: ['hose'] })
  const { number } = (await at.keeper.post(`/v1/slips/${ruined.inSlip}/reversal`, { reason: 'x' })).body
  expect((await at.signAndPost(number)).status).toBe(200)
  const out = await at.unit(serial)
  expect(out).toMatchObject({ state: 'out', grade: 'A', condition: 'qualified' })
  expect(out.accessories.toSorted()).toEqual(['hose', 'power cord'])
  await at.returned(loan, { accessories: ['power cord'] })
  expect(await at.unit(serial)).toMatchObject({ state: 'available', grade: 'A', accessories: ['power cord'] })
  expect((await at.lend(serial)).accessoriesOut).toEqual(['power cord'])
})

test('whatever state a unit is in, the list of that state has it', async () => {
  const at = await openLoaners(h)
  const other = await openLoaners(h, { model: at.model })
  const [free, kept, lending, out, returning, repair, ruined, sending, sent, retiring, retired] = await at.units(11)
  const post = (path: string, body: object) => at.keeper.post(path, body)
  await post(`/v1/loaners/${kept}/reservation`, { repairOrder: 'RO-1', until: '2026-11-28' })
  await at.lend(lending)
  await at.lent(out)
  const back = await at.lent(returning)
  await post(`/v1/loans/${back.number}/return`, { outcome: 'usable', condition: '完好' })
  await post(`/v1/loaners/${repair}/repair`, { reason: 'x' })
  await at.returned(await at.lent(ruined), { outcome: 'beyond-repair' })
  for (const serial of [sending, sent])
    await post(`/v1/loaners/${serial}/transfer`, { to: other.warehouse, reason: 'x' })
  await at.settle(sent)
  for (const serial of [retiring, retired]) await post(`/v1/loaners/${serial}/retirement`, { reason: 'x' })
  await at.settle(retired)
  const registered = serialOf()
  await post(`/v1/warehouses/${at.warehouse}/loaners`, {
    kind: 'opening',
    units: [{ serial: registered, model: at.model }]
  })
  const expected = {
    available: free,
    reserved: kept,
    'being-lent': lending,
    out,
    'being-returned': returning,
    'in-repair': repair,
    'beyond-repair': ruined,
    'being-sent': sending,
    'in-transit': sent,
    'being-retired': retiring,
    retired,
    registered
  }
  for (const [state, serial] of Object.entries(expected)) {
    const { body } = await at.keeper.get(`/v1/loaners?state=${state}`)
    expect([state, ...body.items.map((unit: { serial: string }) => unit.serial)]).toEqual([state, serial])
  }
})

test('the receipt of a loan that never took effect says that it is void', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  const { number, outSlip } = await at.lend(serial)
  const receipt = async () => (await at.keeper.get(`/v1/loans/${number}/receipt`)).text
  expect(await receipt()).not.toContain('作废')
  await at.keeper.post(`/v1/slips/${outSlip}/cancellation`, { reason: 'x' })
  expect(await receipt()).toContain('（已作废）')
  expect(await receipt()).toContain('(void)')
})

test('what is wrong with a unit that is registered is said of that unit', async () => {
  const at = await openLoaners(h)
  const refused = await at.keeper.post(`/v1/warehouses/${at.warehouse}/loaners`, {
    kind: 'receipt',
    units: [
      { serial: serialOf(), model: at.model },
      { serial: serialOf(), model: at.model, receivedOn: '2026-01-01' }
    ]
  })
  expect(refused.body).toMatchObject({ code: 'FieldMisplaced', errors: [{ pointer: '/units/1/receivedOn' }] })
})

test('units that are on their way are listed where they go to', async () => {
  const giver = await openLoaners(h)
  const taker = await openLoaners(h, { model: giver.model })
  const [serial] = await giver.units(1)
  const listed = async (by: Caller, query = '') =>
    (await by.get(`/v1/loaners?limit=10${query}`)).body.items.map((unit: { serial: string }) => unit.serial)
  expect(await listed(taker.keeper)).toEqual([])
  await giver.keeper.post(`/v1/loaners/${serial}/transfer`, { to: taker.warehouse, reason: 'x' })
  await giver.settle(serial)
  expect(await listed(taker.keeper, '&state=in-transit')).toEqual([serial])
  expect(await listed(administrator, `&warehouse=${taker.warehouse}`)).toEqual([serial])
  expect(await listed(giver.keeper)).toEqual([serial])
})

test('a loan that begins and ends on the first day of a report is one of its loans', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  await at.returned(await at.lent(serial))
  const used = async (from: string) =>
    (await at.keeper.get(`/v1/loaners/utilisation?from=${from}&to=2026-11-20`)).body.items
  expect(await used('2026-11-19')).toMatchObject([{ loans: 1, daysOut: 0 }])
  expect(await used('2026-11-20')).toMatchObject([{ loans: 1, daysOut: 0 }])
})

test('a superseded model is not proposed for the fleet (R-LOAN-2)', async () => {
  const at = await openLoaners(h)
  const successor = (await h.make.part({ standardCost: '1000.0000' })).number
  await h.sql('update part set loaner_family = $1 where number = $2', [at.family, successor])
  await at.units(1)
  const [{ region }] = await h.sql<{ region: string }>(
    'select r.code as region from warehouse w join region r on r.id = w.region_id where w.code = $1',
    [at.warehouse]
  )
  await administrator.put('/v1/installed-base', { region, family: at.family, units: 1000, countedOn: '2026-10-31' })
  const fleet = async () => (await administrator.get(`/v1/loaners/fleet?region=${region}`)).body.items
  expect(await fleet()).toMatchObject([{ shortfall: 3, proposal: { model: at.model, units: 3 } }])
  await h.sql(
    `insert into supersession (part_id, successor_id, factor, both_ways, valid_from)
     select old.id, new.id, 1, false, '2026-11-01' from part old, part new where old.number = $1 and new.number = $2`,
    [at.model, successor]
  )
  expect(await fleet()).toMatchObject([{ shortfall: 3, proposal: { model: successor, units: 3 } }])
})
