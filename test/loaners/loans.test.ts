import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { aLoan, LOAN, openLoaners, serialOf, type LoanerCounter } from './loaners-counter.ts'

let h: Harness
let at: LoanerCounter
beforeAll(async () => {
  h = await openHarness()
  at = await openLoaners(h)
})
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]

test('a unit is lent against a repair order and a receipt, and comes back to stock with its condition on record both ways (R-LOAN-1)', async () => {
  h.clock.set(DEFAULT_TIME)
  const [serial] = await at.units(1, { grade: 'A' })
  expect(await at.unit(serial.toLowerCase())).toMatchObject({
    serial,
    state: 'available',
    warehouse: at.warehouse,
    grade: 'A',
    lot: expect.any(String),
    loan: null
  })

  const drawn = await at.lend(serial, { receiptNumber: LOAN.receiptNumber })
  expect(drawn).toMatchObject({ state: 'awaiting-release', serial, dueOn: '2026-12-04', lentOn: null })
  expect(await at.unit(serial)).toMatchObject({ state: 'being-lent', pendingSlip: drawn.outSlip })
  const slip = await at.keeper.get(`/v1/slips/${drawn.outSlip}`)
  expect(slip.body).toMatchObject({
    kind: 'loan-out',
    reference: LOAN.repairOrder,
    counterparty: LOAN.receiptNumber,
    lines: [{ part: at.model, quantity: '1', note: `S/N ${serial}`, lot: expect.any(String) }]
  })
  expect(JSON.stringify(slip.body)).not.toContain('陈女士')

  expect((await at.signAndPost(drawn.outSlip, { handedTo: 'JT-000815' })).status).toBe(200)
  expect(await at.unit(serial)).toMatchObject({
    state: 'out',
    lot: null,
    pendingSlip: null,
    loan: { number: drawn.number, state: 'out', repairOrder: LOAN.repairOrder, dueOn: '2026-12-04', overdue: false }
  })
  expect(await at.onHand(at.model)).toBe('0')

  h.clock.set('2026-12-05T10:00')
  expect(await at.unit(serial)).toMatchObject({ loan: { overdue: true } })
  const back = await at.returned(drawn, {
    condition: '面板有划痕',
    grade: 'B',
    accessories: ['power cord'],
    damage: { description: '软管丢失', amount: '80.00' }
  })
  expect(back).toMatchObject({
    state: 'returned',
    lentOn: '2026-11-20',
    returnedOn: '2026-12-05',
    conditionOut: '完好',
    conditionIn: '面板有划痕',
    gradeOut: 'A',
    gradeIn: 'B',
    accessoriesOut: ['power cord', 'hose'],
    accessoriesMissing: ['hose'],
    damage: { description: '软管丢失', amount: '80.00' },
    overdue: false
  })
  expect(await at.unit(serial)).toMatchObject({ state: 'available', grade: 'B', loan: null, lot: expect.any(String) })
  expect(await at.onHand(at.model)).toBe('1')
  expect(await at.verify()).toMatchObject({ ok: true })
  h.clock.set(DEFAULT_TIME)
})

test('a unit that is out, being lent, retired, in repair or not in service is not lent, and the refusal says what it is', async () => {
  const [out, lending, repair, retired] = await at.units(4)
  await at.lent(out)
  await at.lend(lending)
  await at.keeper.post(`/v1/loaners/${repair}/repair`, { reason: '电机异响' })
  await at.keeper.post(`/v1/loaners/${retired}/retirement`, { reason: '超过使用年限' })
  const registered = serialOf()
  await at.keeper.post(`/v1/warehouses/${at.warehouse}/loaners`, {
    kind: 'opening',
    units: [{ serial: registered, model: at.model }]
  })
  const refused = async (serial: string) => {
    const { status, body } = await at.keeper.post(`/v1/loaners/${serial}/loans`, LOAN)
    return [status, body.code, body.state]
  }
  expect(await refused(out)).toEqual([409, 'LoanerNotAvailable', 'out'])
  expect(await refused(lending)).toEqual([409, 'LoanerNotAvailable', 'being-lent'])
  expect(await refused(repair)).toEqual([409, 'LoanerNotAvailable', 'in-repair'])
  expect(await refused(retired)).toEqual([409, 'LoanerNotAvailable', 'being-retired'])
  expect(await refused(registered)).toEqual([409, 'LoanerNotAvailable', 'registered'])
  await at.settle(retired)
  expect(await refused(retired)).toEqual([409, 'LoanerNotAvailable', 'retired'])
  expect(problem(await at.keeper.post('/v1/loaners/NO-SUCH-UNIT/loans', LOAN))).toEqual([404, 'NotFound'])
})

test('a unit is due back today or later, for so many days at most; the refusal says until when', async () => {
  const [serial] = await at.units(1)
  const lend = (loan: object) => at.keeper.post(`/v1/loaners/${serial}/loans`, aLoan(loan))
  expect(problem(await lend({ dueOn: '2026-11-19' }))).toEqual([422, 'DueInPast'])
  expect((await lend({ dueOn: '2026-12-21' })).body).toMatchObject({
    code: 'LoanTooLong',
    errors: [{ pointer: '/dueOn', accepted: 'at most 2026-12-20' }]
  })
  expect(problem(await lend({ accessories: ['remote'] }))).toEqual([422, 'AccessoryUnknown'])
  expect((await lend({ dueOn: '2026-11-20' })).status).toBe(201)
})

test('a keeper extends within the days he lends for, the department head beyond; never to an earlier day', async () => {
  const [serial] = await at.units(1)
  const loan = await at.lent(serial)
  const extend = (by: LoanerCounter['keeper'], dueOn: string) =>
    by.post(`/v1/loans/${loan.number}/extension`, { dueOn, because: '配件缺货' })
  expect((await extend(at.keeper, '2026-12-20')).body).toMatchObject({ dueOn: '2026-12-20', extensions: 1 })
  expect(problem(await extend(at.keeper, '2026-12-21'))).toEqual([403, 'DutyRequired'])
  expect(problem(await extend(at.signers['finance-supervisor'], '2026-12-20'))).toEqual([403, 'DutyRequired'])
  expect((await extend(at.signers['department-head'], '2027-01-15')).body).toMatchObject({ dueOn: '2027-01-15' })
  expect(problem(await extend(at.keeper, '2026-12-10'))).toEqual([422, 'NotLater'])
  expect(problem(await extend(at.keeper, '2026-11-01'))).toEqual([422, 'DueInPast'])
  const { body } = await at.keeper.get(`/v1/loans/${loan.number}/history`)
  expect(body.items.map(({ event }: { event: string }) => event)).toEqual([
    'loan-drawn-up',
    'lent',
    'extended',
    'extended'
  ])
  await at.returned(loan)
  expect(problem(await extend(at.keeper, '2027-01-20'))).toEqual([409, 'LoanNotOut'])
})

test('a unit that is handed in elsewhere is returned where it was lent and then transferred: the refusal says so', async () => {
  const [serial] = await at.units(1)
  const loan = await at.lent(serial)
  const other = await openLoaners(h)
  const refused = await at.keeper.post(`/v1/loans/${loan.number}/return`, {
    warehouse: other.warehouse,
    outcome: 'usable',
    condition: '完好'
  })
  expect(problem(refused)).toEqual([409, 'ReturnElsewhere'])
  const nowhere = { warehouse: 'NOWHERE', outcome: 'usable', condition: '完好' }
  expect(problem(await at.keeper.post(`/v1/loans/${loan.number}/return`, nowhere))).toEqual([404, 'NotFound'])
  expect(refused.body.detail).toContain('transfer')
  expect(
    problem(await other.keeper.post(`/v1/loans/${loan.number}/return`, { outcome: 'usable', condition: '完好' }))
  ).toEqual([404, 'NotFound'])
  expect((await at.returned(loan, { warehouse: at.warehouse })).state).toBe('returned')
})

test('what comes back to be repaired is kept back at once; what is beyond repair is nonconforming and only retired', async () => {
  const [broken, ruined] = await at.units(2)
  await at.returned(await at.lent(broken), { outcome: 'needs-repair', condition: '电机异响' })
  expect(await at.unit(broken)).toMatchObject({ state: 'in-repair', condition: 'qualified' })
  const [stock] = await h.sql<{ free: string }>(
    'select (on_hand - reserved)::int::text as free from balance b join part on part.id = b.part_id where b.warehouse_id = $1 and part.number = $2 and condition = $3',
    [at.warehouseId, at.model, 'qualified']
  )
  expect(
    (await at.keeper.post(`/v1/loaners/${broken}/repair-return`, { note: '已更换电机', grade: 'C' })).body
  ).toMatchObject({ state: 'available', grade: 'C' })
  const [later] = await h.sql<{ free: string }>(
    'select (on_hand - reserved)::int::text as free from balance b join part on part.id = b.part_id where b.warehouse_id = $1 and part.number = $2 and condition = $3',
    [at.warehouseId, at.model, 'qualified']
  )
  expect(Number(later.free) - Number(stock.free)).toBe(1)

  await at.returned(await at.lent(ruined), { outcome: 'beyond-repair', condition: '进水' })
  expect(await at.unit(ruined)).toMatchObject({ state: 'beyond-repair', condition: 'nonconforming' })
  expect(problem(await at.keeper.post(`/v1/loaners/${ruined}/loans`, LOAN))).toEqual([409, 'LoanerNotAvailable'])
  await at.keeper.post(`/v1/loaners/${ruined}/retirement`, { reason: '进水' })
  await at.settle(ruined)
  expect(await at.unit(ruined)).toMatchObject({ state: 'retired', lot: null, outOfServiceOn: '2026-11-20' })
  expect(await at.verify()).toMatchObject({ ok: true })
})

test('who the customer was is erased after the return, and stands in no history', async () => {
  const [serial] = await at.units(1)
  const loan = await at.lent(serial)
  expect(loan.customer).toEqual({ name: '陈女士', contact: '138-0000-0000' })
  expect(problem(await at.keeper.post(`/v1/loans/${loan.number}/forget-customer`))).toEqual([409, 'LoanStillOut'])
  await at.returned(loan)
  const forgotten = await at.keeper.post(`/v1/loans/${loan.number}/forget-customer`)
  expect(forgotten.body).toMatchObject({ customer: null, customerForgottenAt: expect.any(String) })
  expect((await at.keeper.post(`/v1/loans/${loan.number}/forget-customer`)).body).toEqual(forgotten.body)
  const left = await h.sql(
    `select 1 from loan where number = $1 and customer_name || customer_contact is not null
      union all select 1 from document_event where details::text ~ '陈女士|138-0000'
      union all select 1 from audit_event where details::text ~ '陈女士|138-0000'
      union all select 1 from outbox where payload::text ~ '陈女士|138-0000'`,
    [loan.number]
  )
  expect(left).toEqual([])
})

test('a loan whose slip is cancelled never took effect, and the unit is free; a reversed one brings it back', async () => {
  const [serial] = await at.units(1)
  const drawn = await at.lend(serial)
  await at.keeper.post(`/v1/slips/${drawn.outSlip}/cancellation`, { reason: '客户不借了' })
  expect((await at.keeper.get(`/v1/loans/${drawn.number}`)).body.state).toBe('cancelled')
  expect(await at.unit(serial)).toMatchObject({ state: 'available', pendingSlip: null })

  const loan = await at.lent(serial)
  const { body: reversal } = await at.keeper.post(`/v1/slips/${loan.outSlip}/reversal`, { reason: '借错机' })
  await at.signAndPost(reversal.number)
  expect((await at.keeper.get(`/v1/loans/${loan.number}`)).body.state).toBe('cancelled')
  expect(await at.unit(serial)).toMatchObject({ state: 'available', loan: null })

  const third = await at.lent(serial)
  const back = await at.returned(third)
  const { body: undone } = await at.keeper.post(`/v1/slips/${back.inSlip}/reversal`, { reason: '未归还' })
  await at.signAndPost(undone.number)
  expect(await at.unit(serial)).toMatchObject({ state: 'out', loan: { number: third.number } })
  expect((await at.keeper.get(`/v1/loans/${third.number}`)).body).toMatchObject({ state: 'out', returnedOn: null })
  expect((await at.returned(third)).state).toBe('returned')
  expect(await at.verify()).toMatchObject({ ok: true })
})

test('units move by their own documents only: a slip by hand, also an amended one, is refused', async () => {
  const [serial] = await at.units(1)
  const by = (body: object) => at.keeper.post(`/v1/warehouses/${at.warehouse}/slips`, body)
  const lines = [{ part: at.model, quantity: '1' }]
  for (const kind of ['issue', 'sale', 'receipt', 'scrap', 'loan-out', 'opening'])
    expect(problem(await by({ kind, lines }))).toEqual([422, 'LoanerModel'])
  const { outSlip } = await at.lend(serial)
  const amended = await h.api
    .put(`/v1/slips/${outSlip}`)
    .auth(at.keeper.person.token, { type: 'bearer' })
    .send({ reference: 'X', lines })
  expect(problem(amended)).toEqual([409, 'SlipNotAmendable'])
})

test('the wrong duty is refused, and another warehouse does not see the unit', async () => {
  const [serial] = await at.units(1)
  const loan = await at.lent(serial)
  const [other] = await at.units(1)
  const technician = callerFor(h, await h.make.person({ grants: [{ duty: 'outlet-clerk', warehouse: at.warehouse }] }))
  const stranger = (await openLoaners(h)).keeper
  const writes: [string, object][] = [
    [`/v1/warehouses/${at.warehouse}/loaners`, { kind: 'opening', units: [{ serial: serialOf(), model: at.model }] }],
    [`/v1/loaners/${other}/loans`, LOAN],
    [`/v1/loans/${loan.number}/extension`, { dueOn: '2026-12-10', because: 'x' }],
    [`/v1/loans/${loan.number}/return`, { outcome: 'usable', condition: 'x' }],
    [`/v1/loans/${loan.number}/forget-customer`, {}],
    [`/v1/loans/${loan.number}/customer`, { customerName: 'x' }],
    [`/v1/loans/${loan.number}/repair-ready`, {}],
    [`/v1/loans/${loan.number}/notice-answer`, { answer: 'declines' }],
    [`/v1/loaners/${other}/reservation`, { repairOrder: 'RO-1', until: '2026-12-01' }],
    [`/v1/loaners/${other}/repair`, { reason: 'x' }],
    [`/v1/loaners/${other}/repair-return`, { note: 'x' }],
    [`/v1/loaners/${other}/retirement`, { reason: 'x' }],
    [`/v1/loaners/${other}/transfer`, { to: at.warehouse, reason: 'x' }],
    [`/v1/loaners/${other}/arrival`, {}]
  ]
  for (const [path, body] of writes) {
    expect([path, ...problem(await technician.post(path, body))]).toEqual([path, 403, 'DutyRequired'])
    expect([path, ...problem(await stranger.post(path, body))]).toEqual([path, 404, 'NotFound'])
  }
  expect((await stranger.get(`/v1/loaners/${serial}`)).status).toBe(404)
  expect((await stranger.get(`/v1/loans/${loan.number}`)).status).toBe(404)
  expect((await stranger.get('/v1/loans')).body.items).toEqual([])
})

test('the same Idempotency-Key lends once', async () => {
  const [serial] = await at.units(1)
  const key = { 'idempotency-key': `lend-${serial}` }
  const loan = aLoan()
  const first = await at.keeper.post(`/v1/loaners/${serial}/loans`, loan, key)
  const second = await at.keeper.post(`/v1/loaners/${serial}/loans`, loan, key)
  expect([first.status, second.status]).toEqual([201, 201])
  expect(second.body).toEqual(first.body)
})

test('the receipt for the customer is a page for paper in two copies, in both languages, that runs nothing', async () => {
  const [serial] = await at.units(1)
  const loan = await at.lent(serial, { customerName: '<b>陈</b>' })
  const page = await at.keeper.get(`/v1/loans/${loan.number}/receipt`)
  expect(page.status).toBe(200)
  expect(page.headers['content-type']).toContain('text/html')
  expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  for (const word of ['客户联', 'warehouse copy', serial, loan.number, '&#60;b&#62;陈', 'due back', '2026-12-04'])
    expect(page.text).toContain(word)
})
