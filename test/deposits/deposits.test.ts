import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { ADDS_UP, openDepositing } from './depositing.ts'

let h: Harness
let hqFinance: Caller
beforeAll(async () => {
  h = await openHarness()
  hqFinance = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
})
afterAll(() => h.close())

const PAYMENT = { amount: '500.00', paper: 'BANK-7' }

test('finance of the centre opens a deposit, enters what is paid in and back, and every entry carries the balance (R-REQ-5)', async () => {
  const { outlet, centre, finance } = await openDepositing(h, { paidIn: null })
  const opened = await finance.post(`/v1/deposits/${outlet.code}`, { lowLimit: '100.00' })
  expect(opened).toMatchObject({
    status: 201,
    body: {
      warehouse: outlet.code,
      centre: centre.code,
      balance: '0.00',
      held: '0.00',
      free: '0.00',
      waivable: '0.00',
      lowLimit: '100.00',
      isLow: true,
      openedBy: finance.person.username
    }
  })
  const increased = await finance.post(`/v1/deposits/${outlet.code}/increases`, { ...PAYMENT, note: '年度押金' })
  expect(increased).toMatchObject({
    status: 201,
    body: {
      entry: 1,
      kind: 'increase',
      amount: '500.00',
      balanceAfter: '500.00',
      paper: 'BANK-7',
      because: '年度押金',
      reference: null
    }
  })
  const decreased = await finance.post(`/v1/deposits/${outlet.code}/decreases`, { amount: '120.5', paper: 'PAY-3' })
  expect(decreased.body).toMatchObject({ entry: 2, kind: 'decrease', amount: '-120.50', balanceAfter: '379.50' })
  expect((await finance.get(`/v1/deposits/${outlet.code}`)).body).toMatchObject({
    balance: '379.50',
    free: '379.50',
    isLow: false
  })
})

test('a deposit is opened once', async () => {
  const { outlet, finance } = await openDepositing(h)
  expect(await finance.post(`/v1/deposits/${outlet.code}`, { lowLimit: '1.00' })).toMatchObject({
    status: 409,
    body: { code: 'DepositAlreadyOpen' }
  })
})

test('who stands under nobody, and who is closed, has no deposit', async () => {
  const top = await h.make.warehouse({ kind: 'head-office' })
  expect(await hqFinance.post(`/v1/deposits/${top.code}`, { lowLimit: '1.00' })).toMatchObject({
    status: 422,
    body: { code: 'DepositMisplaced' }
  })
  const { centre } = await openDepositing(h)
  const closed = await h.make.warehouse({ parent: centre.code, closedOn: '2026-01-01' })
  expect((await hqFinance.post(`/v1/deposits/${closed.code}`, { lowLimit: '1.00' })).body.code).toBe('WarehouseClosed')
})

test('the same paper is entered once; as an increase and as a decrease it is two papers', async () => {
  const { outlet, finance } = await openDepositing(h)
  const path = `/v1/deposits/${outlet.code}`
  expect(await finance.post(`${path}/increases`, { amount: '5.00', paper: 'BANK-1' })).toMatchObject({
    status: 409,
    body: { code: 'PaperAlreadyEntered', errors: [{ pointer: '/paper', sent: 'BANK-1' }] }
  })
  expect((await finance.post(`${path}/decreases`, { amount: '5.00', paper: 'BANK-1' })).status).toBe(201)
  expect(await finance.get(path)).toMatchObject({ body: { balance: '995.00' } })
})

test('the same payment sent by twenty at once is entered once', async () => {
  const { outlet, finance, statement } = await openDepositing(h, { paidIn: '0.00' })
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => finance.post(`/v1/deposits/${outlet.code}/increases`, PAYMENT))
  )
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
  expect(answers.filter(({ body }) => body.code === 'PaperAlreadyEntered')).toHaveLength(19)
  expect(await statement()).toMatchObject({ balance: '500.00', check: ADDS_UP })
})

test('a key that repeats a payment gets the first answer (R-ERR-2)', async () => {
  const { outlet, finance } = await openDepositing(h, { paidIn: '0.00' })
  const key = { 'idempotency-key': 'pay-in-1' }
  const [first, second] = [
    await finance.post(`/v1/deposits/${outlet.code}/increases`, PAYMENT, key),
    await finance.post(`/v1/deposits/${outlet.code}/increases`, PAYMENT, key)
  ]
  expect([first.status, second.status]).toEqual([201, 201])
  expect(second.body).toEqual(first.body)
})

test('nothing is paid back that is not there, and an amount is more than nothing', async () => {
  const { outlet, finance } = await openDepositing(h, { paidIn: '100.00' })
  const back = (amount: string) => finance.post(`/v1/deposits/${outlet.code}/decreases`, { amount, paper: 'PAY-1' })
  expect(await back('100.01')).toMatchObject({
    status: 422,
    body: {
      code: 'DepositShort',
      balance: '100.00',
      held: '0.00',
      free: '100.00',
      errors: [{ pointer: '/amount', accepted: 'at most 100.00' }]
    }
  })
  for (const amount of ['0', '0.00', '-1', '1.001', '1e3']) expect((await back(amount)).status, amount).toBe(400)
  expect((await back('100')).status).toBe(201)
})

test('a limit is set, and the list tells who is below it', async () => {
  const { outlet, centre, finance } = await openDepositing(h, { paidIn: '50.00', lowLimit: '10.00' })
  const list = async (query: string) =>
    (await finance.get(`/v1/deposits?centre=${centre.code}&${query}`)).body.items.map(
      (row: { warehouse: string }) => row.warehouse
    )
  expect(await list('low=true')).toEqual([])
  expect((await finance.put(`/v1/deposits/${outlet.code}/low-limit`, { lowLimit: '60.00' })).body).toMatchObject({
    lowLimit: '60.00',
    isLow: true
  })
  expect(await list('low=true')).toEqual([outlet.code])
  expect(await list('low=false')).toEqual([])
})

describe('who may', () => {
  const writes = (code: string): [string, (by: Caller) => ReturnType<Caller['post']>][] => [
    ['open', (by) => by.post(`/v1/deposits/${code}`, { lowLimit: '1.00' })],
    ['increase', (by) => by.post(`/v1/deposits/${code}/increases`, PAYMENT)],
    ['decrease', (by) => by.post(`/v1/deposits/${code}/decreases`, PAYMENT)],
    ['limit', (by) => by.put(`/v1/deposits/${code}/low-limit`, { lowLimit: '1.00' })],
    ['waive', (by) => by.post(`/v1/deposits/${code}/waivers`, { amount: '1.00', reason: 'x', validTo: '2026-12-01' })],
    ['end a waiver', (by) => by.post(`/v1/deposits/${code}/waivers/1/ending`, { reason: 'x' })]
  ]

  test('the outlet’s own people read its deposit and change nothing of it, its finance included', async () => {
    const { outlet, clerk } = await openDepositing(h)
    const own = callerFor(h, await h.make.person({ grants: [{ duty: 'finance-supervisor', warehouse: outlet.code }] }))
    for (const by of [clerk, own]) {
      for (const [what, write] of writes(outlet.code))
        expect(await write(by), what).toMatchObject({ status: 403, body: { code: 'DutyRequired' } })
      for (const path of ['', '/statement', '/waivers'])
        expect((await by.get(`/v1/deposits/${outlet.code}${path}`)).status).toBe(200)
      expect((await by.get('/v1/deposits')).body.items).toMatchObject([{ warehouse: outlet.code }])
    }
  })

  test('to the people of other centres and outlets the deposit does not exist', async () => {
    const { outlet } = await openDepositing(h)
    const other = await openDepositing(h)
    for (const by of [other.finance, other.clerk]) {
      for (const [what, write] of writes(outlet.code)) expect((await write(by)).status, what).toBe(404)
      for (const path of ['', '/statement', '/waivers'])
        expect((await by.get(`/v1/deposits/${outlet.code}${path}`)).status).toBe(404)
      expect((await by.get('/v1/deposits')).body.items.map((row: any) => row.warehouse)).toEqual([other.outlet.code])
    }
  })

  test('head-office finance keeps every deposit; a key may pay in but waives nothing', async () => {
    const { outlet } = await openDepositing(h)
    const { body } = await hqFinance.post('/v1/api-keys', { name: 'erp', access: 'write', expiresOn: '2027-01-01' })
    const key = callerFor(h, { ...hqFinance.person, token: body.key })
    expect((await key.post(`/v1/deposits/${outlet.code}/increases`, PAYMENT)).status).toBe(201)
    expect(
      await key.post(`/v1/deposits/${outlet.code}/waivers`, { amount: '1.00', reason: 'x', validTo: '2026-12-01' })
    ).toMatchObject({ status: 403, body: { code: 'PersonRequired' } })
  })

  test('an outlet without an account has none to read or change', async () => {
    const { outlet, finance } = await openDepositing(h, { paidIn: null })
    for (const [what, write] of writes(outlet.code).slice(1)) expect((await write(finance)).status, what).toBe(404)
    for (const path of ['', '/statement', '/waivers'])
      expect((await finance.get(`/v1/deposits/${outlet.code}${path}`)).status).toBe(404)
  })
})

test('a statement opens with what was there, lists the days asked for and closes with what was left', async () => {
  const { outlet, finance, statement } = await openDepositing(h, { paidIn: '1000.00' })
  h.clock.set('2026-12-03T00:30')
  await finance.post(`/v1/deposits/${outlet.code}/increases`, { amount: '10.00', paper: 'BANK-2' })
  h.clock.set('2026-12-31T23:59')
  await finance.post(`/v1/deposits/${outlet.code}/decreases`, { amount: '1.25', paper: 'PAY-1' })
  h.clock.set('2027-01-01T00:00')
  await finance.post(`/v1/deposits/${outlet.code}/increases`, { amount: '7.00', paper: 'BANK-3' })

  expect(await statement('?from=2026-12-01&to=2026-12-31')).toMatchObject({
    opening: '1000.00',
    increases: '10.00',
    decreases: '-1.25',
    captures: '0.00',
    returns: '0.00',
    compensation: '0.00',
    closing: '1008.75',
    entries: [
      { entry: 2, amount: '10.00', balanceAfter: '1010.00' },
      { entry: 3, amount: '-1.25', balanceAfter: '1008.75' }
    ],
    nextCursor: null,
    holds: [],
    balance: '1015.75',
    check: ADDS_UP
  })
  expect(await statement('?to=2027-01-01')).toMatchObject({
    from: '2027-01-01',
    opening: '1008.75',
    closing: '1015.75'
  })
  const first = await statement('?from=2026-11-01&limit=3')
  const second = await statement(`?from=2026-11-01&limit=3&cursor=${first.nextCursor}`)
  expect([...first.entries, ...second.entries].map(({ entry }: { entry: number }) => entry)).toEqual([1, 2, 3, 4])
  expect(await finance.get(`/v1/deposits/${outlet.code}/statement?from=2027-02-01&to=2027-01-01`)).toMatchObject({
    status: 422,
    body: { code: 'DaysReversed' }
  })
  expect(await statement('?from=0001-01-01&to=9999-12-31')).toMatchObject({ opening: '0.00', closing: '1015.75' })
  const { text } = await finance.get(`/v1/deposits/${outlet.code}/statement?from=2026-12-01&to=2026-12-31`, {
    accept: 'text/csv'
  })
  expect(
    text
      .split('\n')
      .map((line) => line.trim())
      .slice(0, 3)
  ).toEqual([
    'entry 序号,at 时间,kind 类别,amount 金额,balance after 余额,reference 单据,paper 凭证,because 事由,by 经办人',
    `2,2026-12-02T16:30:00Z,increase,10.00,1010.00,,BANK-2,paid in,${finance.person.username}`,
    `3,2026-12-31T15:59:00Z,decrease,-1.25,1008.75,,PAY-1,paid back,${finance.person.username}`
  ])
  const list = await finance.get('/v1/deposits', { accept: 'text/csv' })
  expect(list.text).toContain(`${outlet.code},${outlet.code},,`)
  h.clock.set('2026-11-20T10:00')
})

test('the database refuses to change the ledger of a deposit, and each change is audited', async () => {
  const { outlet } = await openDepositing(h)
  for (const change of [
    'update deposit_entry set amount = 2 where warehouse_id = $1',
    'delete from deposit_entry where warehouse_id = $1'
  ])
    await expect(h.sql(change, [outlet.id])).rejects.toMatchObject({ code: 'BC017' })
  const audited = await h.sql<{ action: string }>('select action from audit_event where subject = $1 order by id', [
    `deposit:${outlet.code}`
  ])
  expect(audited.map(({ action }) => action)).toEqual(['deposit.opened', 'deposit.increased'])
  const [event] = await h.sql(
    `select event, warehouse_id as "warehouseId", payload from outbox where subject = $1 order by id desc limit 1`,
    [`deposit:${outlet.id}`]
  )
  expect(event).toEqual({
    event: 'deposit.changed',
    warehouseId: outlet.id,
    payload: { entries: 1, balance: '1000.00', held: '0.00', free: '1000.00', lowLimit: '100.00' }
  })
})
