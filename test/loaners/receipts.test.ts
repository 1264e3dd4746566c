import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { lendLoaner } from '../../src/loaners/lend-loaner.ts'
import { RECEIPTS } from '../../migrations/0029-loaner-ends.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { outcome, tally } from '../support/outcomes.ts'
import { aLoan, openLoaners, type LoanerCounter } from './loaners-counter.ts'

// The receipt that a customer signs, and who the customer is.

let h: Harness
let at: LoanerCounter
beforeAll(async () => {
  h = await openHarness()
  at = await openLoaners(h)
})
beforeEach(() => h.clock.set(DEFAULT_TIME))
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const reversed = async (slip: string) => {
  const { number } = (await at.keeper.post(`/v1/slips/${slip}/reversal`, { reason: 'x' })).body
  expect((await at.signAndPost(number)).status).toBe(200)
}

test('a receipt is of one loan, open or past, however its number is typed; the refusal names the loan that has it (R-LOAN-1)', async () => {
  const [one, two, three] = await at.units(3)
  const lend = (serial: string | undefined, receiptNumber: string) =>
    at.keeper.post(`/v1/loaners/${serial}/loans`, aLoan({ receiptNumber }))
  const first = (await lend(one, 'JT-2026-7')).body
  for (const typed of [' JT-2026-7 ', 'JT-2026-7\t', '\u3000JT-2026-7', 'JT-\u00a02026-7', 'ＪＴ－２０２６－７'])
    expect([typed, ...problem(await lend(two, typed))]).toEqual([typed, 409, 'ReceiptUsed'])
  const refused = await lend(two, 'jt-2026-7')
  expect(refused.body).toMatchObject({
    status: 409,
    code: 'ReceiptUsed',
    detail: expect.stringContaining(first.number),
    loan: first.number,
    errors: [{ pointer: '/receiptNumber', sent: 'jt-2026-7' }]
  })
  expect(await at.unit(two ?? '')).toMatchObject({ state: 'available', pendingSlip: null })
  await at.signAndPost(first.outSlip)
  expect(problem(await lend(two, 'JT-2026-7'))).toEqual([409, 'ReceiptUsed'])
  await at.returned(first)
  expect(problem(await lend(two, 'JT-2026-7'))).toEqual([409, 'ReceiptUsed'])
  // Another warehouse has a block of receipts of its own.
  const other = await openLoaners(h)
  const [theirs] = await other.units(1)
  expect((await other.lend(theirs ?? '', { receiptNumber: 'JT-2026-7' })).receiptNumber).toBe('JT-2026-7')

  const dropped = (await lend(two, 'JT-2026-8')).body
  await at.keeper.post(`/v1/slips/${dropped.outSlip}/cancellation`, { reason: 'x' })
  const again = await at.lent(two ?? '', { receiptNumber: 'JT-2026-8' })
  await reversed(again.outSlip)
  expect((await lend(three, 'JT-2026-8')).status).toBe(201)
})

test('of several units that are lent against one receipt at once one is lent (R-LOAN-1)', async () => {
  const serials = await at.units(6)
  const ctx = h.contextOf(at.keeper.person.actor)
  const outcomes = await Promise.all(
    serials.map((serial) => outcome(lendLoaner(ctx, { serial, ...aLoan({ receiptNumber: 'JT-2026-9' }) })))
  )
  expect(tally(outcomes)).toEqual({ done: 1, ReceiptUsed: 5 })
})

test('loans that shared a receipt before are left as they are, and their receipt is of the first of them (R-LOAN-1)', async () => {
  const [one, two, three] = await at.units(3)
  const first = await at.lent(one ?? '', { receiptNumber: 'JT-OLD' })
  const second = await at.lent(two ?? '', { receiptNumber: 'JT-OLD-2' })
  // As it was before the migration that makes receipts unique, which is then applied.
  await h.sql(`drop index loan_receipt_of_one_loan`)
  await h.sql(`alter table loan drop column shares_receipt`)
  await h.sql(`update loan set receipt_number = 'jt-old' where number = $1`, [second.number])
  await h.sql(RECEIPTS)
  const loans = await h.sql(
    `select number, shares_receipt as shares from loan where upper(receipt_number) = 'JT-OLD' order by id`
  )
  expect(loans).toEqual([
    { number: first.number, shares: false },
    { number: second.number, shares: true }
  ])
  const refused = await at.keeper.post(`/v1/loaners/${three}/loans`, aLoan({ receiptNumber: 'JT-OLD' }))
  expect(refused.body).toMatchObject({ code: 'ReceiptUsed', loan: first.number })
  expect((await at.returned(second)).state).toBe('returned')
})

test('a customer who was erased is entered anew when the return turns out not to have been; the history says so and not who it is (R-LOAN-1)', async () => {
  const [serial] = await at.units(1)
  const loan = await at.lent(serial ?? '')
  const path = `/v1/loans/${loan.number}`
  const enter = (body: object, headers: Record<string, string> = {}, by: Caller = at.keeper) =>
    by.post(`${path}/customer`, body, headers)
  const customer = { customerName: '上官婉儿', customerContact: '137-7777-0000' }
  expect(problem(await enter(customer))).toEqual([409, 'CustomerKnown'])
  const back = await at.returned(loan)
  await at.keeper.post(`${path}/forget-customer`)
  expect(problem(await enter(customer))).toEqual([409, 'LoanNotOut'])
  await reversed(back.inSlip)
  expect((await at.keeper.get(path)).body).toMatchObject({ state: 'out', customer: null })

  expect(problem(await enter({}))).toEqual([400, 'InvalidInput'])
  expect(problem(await enter({ customerName: 'x'.repeat(61) }))).toEqual([400, 'InvalidInput'])
  expect(problem(await enter({ customerName: ' ' }))).toEqual([400, 'InvalidInput'])
  expect(problem(await enter(customer, { 'if-match': '"1"' }))).toEqual([412, 'VersionStale'])
  const grants = [{ duty: 'department-head' as const, warehouse: at.warehouse }]
  const head = callerFor(h, await h.make.person({ grants }))
  expect(problem(await enter(customer, {}, head))).toEqual([403, 'DutyRequired'])
  expect(problem(await enter(customer, {}, (await openLoaners(h)).keeper))).toEqual([404, 'NotFound'])
  const key = { 'idempotency-key': `customer-${serial}` }
  const entered = await enter(customer, key)
  expect(entered.body).toMatchObject({
    customer: { name: '上官婉儿', contact: '137-7777-0000' },
    customerForgottenAt: null
  })
  expect((await enter(customer, key)).body).toEqual(entered.body)
  expect(problem(await enter({ customerName: '别人' }))).toEqual([409, 'CustomerKnown'])
  const { items } = (await at.keeper.get(`${path}/history`)).body
  expect(items.at(-1)).toMatchObject({ event: 'customer-recorded', by: at.keeper.person.username, details: null })

  // Erased once more it stands nowhere.
  await at.returned(loan)
  await at.keeper.post(`${path}/forget-customer`)
  const texts = await h.sql<{ table: string; column: string }>(
    `select c.table_name as "table", c.column_name as "column" from information_schema.columns c
       join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name and t.table_type = 'BASE TABLE'
      where c.table_schema = 'public' and c.data_type in ('text', 'json', 'jsonb')`
  )
  for (const { table, column } of texts)
    expect([
      table,
      column,
      await h.sql(`select 1 from "${table}" where "${column}"::text ~ '上官婉儿|137-7777-0000' limit 1`)
    ]).toEqual([table, column, []])
  expect((await enter(customer, key)).body).toMatchObject({ number: loan.number, customer: null })
})

test('a customer who was never entered is entered while the unit is out (R-LOAN-1)', async () => {
  const [serial] = await at.units(1)
  const { customerName: _name, customerContact: _contact, ...nobody } = aLoan()
  const { number, outSlip } = (await at.keeper.post(`/v1/loaners/${serial}/loans`, nobody)).body
  const enter = () => at.keeper.post(`/v1/loans/${number}/customer`, { customerContact: '136-0000-0000' })
  expect(problem(await enter())).toEqual([409, 'LoanNotOut'])
  await at.signAndPost(outSlip)
  expect((await enter()).body.customer).toEqual({ name: null, contact: '136-0000-0000' })
})
