import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { openTools, type ToolCounter } from '../tools/tools-counter.ts'

let h: Harness
let at: ToolCounter
let finance: Caller
beforeAll(async () => {
  h = await openHarness()
  at = await openTools(h)
  finance = at.signers['finance-supervisor']
})
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}
/** A tool whose loss or damage is decided; answers the report. */
const decided = async (
  what: object,
  { on = at, tool = {} }: { on?: ToolCounter; tool?: object } = {}
): Promise<string> => {
  const [serial = ''] = await on.tools(1, { purchasedOn: '2025-06-15', ...tool })
  await on.issued([serial])
  const { number } = must(
    await on.technician.post(`/v1/tools/${serial}/losses`, { cause: '在客户处维修后遗失', ...what }),
    201
  )
  for (const duty of ['department-head', 'finance-supervisor'] as const)
    must(await on.signers[duty].post(`/v1/tool-losses/${number}/signatures`, { duty, decision: 'approve' }))
  return number
}
const found = async (number: string) => must(await at.keeper.post(`/v1/tool-losses/${number}/found`))
const listed = async (period: string, by = finance, more = '') =>
  must(await by.get(`/v1/tools/compensations?period=${period}${more}`))
const booked = async (period: string) =>
  must(await finance.get(`/v1/journal?period=${period}&warehouse=${at.warehouse}`))
    .items.filter(({ entry }: any) => entry === 'tool-compensation')
    .map(({ role, account, debit, credit }: any) => [role, account, debit, credit])

test('what technicians compensate is in the list of its month and in the journal, and is taken back in the month it is found (R-TOOL-2, R-FIN-2)', async () => {
  h.clock.set('2026-10-15T10:00')
  await at.stocked({ quantity: '10', unitCost: '12.50' })
  // 16 months of sixty: 1280.00 − 1216.00 × 16 ⁄ 60 = 955.73.
  const lost = await decided({ kind: 'lost' })
  // 600.00 − 570.00 × 16 ⁄ 60 = 448.00.
  const repaired = await decided({ kind: 'damaged', outcome: 'repaired' }, { tool: { value: '600.00' } })
  const mistaken = await decided({ kind: 'lost' })
  await decided({ kind: 'damaged', outcome: 'scrapped', normalWear: true })
  await found(mistaken)
  const october = await listed('2026-10')
  expect(october.items.map(({ loss, line, amount }: any) => [loss, line, amount])).toEqual([
    [lost, 1, '955.73'],
    [repaired, 1, '448.00'],
    [mistaken, 1, '955.73'],
    [mistaken, 2, '-955.73']
  ])
  expect(october.total).toBe('1403.73')
  expect(october.items[1]).toMatchObject({
    warehouse: at.warehouse,
    bookedOn: '2026-10-15',
    technician: at.technician.person.username,
    outcome: 'repaired',
    netValue: '448.00',
    debitAccount: '1221.06',
    debitName: '其他应收款—员工赔偿',
    creditAccount: '6602.23',
    creditName: '管理费用—工具修理'
  })
  const inOctober = [
    ['employee-claims', '1221.06', '1403.73', '0.00'],
    ['tool-disposal', '1606.01', '0.00', '955.73'],
    ['tool-repair', '6602.23', '0.00', '448.00']
  ]
  expect(await booked('2026-10')).toEqual(inOctober)

  h.clock.set('2026-11-02T10:00')
  await at.monthEnd('2026-10')
  await found(lost)
  // The closed month stays; what was found is of the day it was found.
  expect(await booked('2026-10')).toEqual(inOctober)
  expect((await listed('2026-10')).total).toBe('1403.73')
  expect(await booked('2026-11')).toEqual([
    ['employee-claims', '1221.06', '0.00', '955.73'],
    ['tool-disposal', '1606.01', '955.73', '0.00']
  ])
  expect(
    must(await finance.get(`/v1/warehouses/${at.warehouse}/periods/2026-10/statement/verification`))
  ).toMatchObject({ ok: true })
  const everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
  for (const period of ['2026-10', '2026-11']) {
    const { totals } = must(await everywhere.get(`/v1/journal?period=${period}`))
    expect(totals.debit).toBe(totals.credit)
  }

  // Not even past the service.
  await expect(
    h.sql(
      `insert into tool_compensation select warehouse_id, loss_id, 2, technician_id, -amount, credited, '2026-10-31', booked_by, booked_at, loss_warehouse_id
         from tool_compensation where line_no = 1 and credited = 'tool-repair'`
    )
  ).rejects.toThrow('period 2026-10 is closed')
  await expect(h.sql('update tool_compensation set amount = 1')).rejects.toThrow('append-only')
})

test('a department books to its own accounts, page by page and as a file', async () => {
  h.clock.set('2027-03-10T10:00')
  must(
    await finance.put(`/v1/journal-accounts/${at.warehouse}`, {
      accounts: [{ role: 'employee-claims', account: '1221.99', name: 'Staff', nameZh: '职工欠款' }]
    })
  )
  const numbers = [await decided({ kind: 'lost' }), await decided({ kind: 'lost' }), await decided({ kind: 'lost' })]
  const first = await listed('2027-03', finance, '&limit=2')
  const second = await listed('2027-03', finance, `&limit=2&cursor=${first.nextCursor}`)
  expect([...first.items, ...second.items].map(({ loss, debitAccount }: any) => [loss, debitAccount])).toEqual(
    numbers.map((number) => [number, '1221.99'])
  )
  expect([first.total, second.total, second.nextCursor]).toEqual([first.total, first.total, null])
  expect(problem(await finance.get('/v1/tools/compensations?period=2027-03&cursor=WyJ4Il0'))).toEqual([
    400,
    'CursorInvalid'
  ])
  const file = await finance.get('/v1/tools/compensations?period=2027-03', { accept: 'text/csv' })
  expect(file.headers['content-disposition']).toContain('tool-compensations-2027-03.csv')
  const rows = file.text.trim().split('\n')
  expect(rows).toHaveLength(4)
  expect(rows[0]).toContain('借方科目 debit')
  expect(rows[1]).toContain('职工欠款')
})

test('it is read by finance and the head of department, of their own warehouses', async () => {
  h.clock.set('2027-04-10T10:00')
  const other = await openTools(h)
  const theirs = await decided({ kind: 'lost' }, { on: other })
  expect((await listed('2027-04')).items).toEqual([])
  expect((await listed('2027-04', other.signers['department-head'])).items).toMatchObject([{ loss: theirs }])
  const everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
  expect((await listed('2027-04', everywhere, `&warehouse=${other.warehouse}`)).items).toMatchObject([{ loss: theirs }])
  expect(problem(await at.technician.get('/v1/tools/compensations?period=2027-04'))).toEqual([403, 'DutyRequired'])
  expect(problem(await at.keeper.get(`/v1/tools/compensations?period=2027-04&warehouse=${at.warehouse}`))).toEqual([
    403,
    'DutyRequired'
  ])
  expect(problem(await finance.get(`/v1/tools/compensations?period=2027-04&warehouse=${other.warehouse}`))).toEqual([
    404,
    'NotFound'
  ])
  expect(problem(await at.keeper.get('/v1/tools/compensations?period=2027-04', { accept: 'text/csv' }))).toEqual([
    403,
    'DutyRequired'
  ])
})

test('a month in which only a compensation is booked is closed in its turn', async () => {
  h.clock.set('2027-05-10T10:00')
  const empty = await openTools(h)
  await decided({ kind: 'lost' }, { on: empty })
  h.clock.set('2027-07-02T10:00')
  const close = (period: string) =>
    empty.signers['finance-supervisor'].post(`/v1/warehouses/${empty.warehouse}/periods/${period}/closing`)
  const early = await close('2027-06')
  expect(early.status).toBe(409)
  expect(JSON.stringify(early.body)).toContain('2027-05 is still open')
  expect(must(await close('2027-05'), 201)).toMatchObject({ period: '2027-05' })
  must(await close('2027-06'), 201)
})
