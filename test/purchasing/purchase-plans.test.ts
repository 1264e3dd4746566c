import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Duty } from '../../src/identity/actor.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { cells, download, sheetsOf } from '../support/downloads.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { gist, openShelf, propose, type Shelf } from '../replenishment/shortage.ts'

let h: Harness
let planner: Caller
let finance: Caller
let operations: Caller
let controller: Caller
let a: Shelf
let b: Shelf

beforeAll(async () => {
  h = await openHarness()
  await h.make.warehouse({ code: 'HQ', kind: 'head-office' })
  const everywhere = async (duty: Duty) => callerFor(h, await h.make.person({ grants: [{ duty }] }))
  planner = await everywhere('purchaser')
  finance = await everywhere('hq-finance')
  controller = await everywhere('stock-controller')
  operations = callerFor(h, await h.make.person({ grants: [{ duty: 'operations-supervisor', warehouse: 'HQ' }] }))
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  await h.sql('delete from reorder_level')
  // What earlier tests left waiting is not gathered.
  await h.sql(
    `update reorder_proposal set state = 'withdrawn', withdrawn_because = 'searched-again' where state = 'accepted' and expected_receipt_id is null`
  )
  a = await openShelf(h)
  b = await openShelf(h)
})
afterAll(() => h.close())

interface Ordered {
  part: string
  proposal: string
  shelf: Shelf
}

/** An accepted order of a part that is bought at `cost` from one supplier, unless there is none. */
async function accepted(
  shelf: Shelf,
  quantity: string,
  {
    cost = '2.50',
    supplier,
    controlled = false
  }: { cost?: string | null; supplier?: string; controlled?: boolean } = {}
): Promise<Ordered> {
  const { id, number: part } = await h.make.part({ standardCost: cost, controlled })
  if (supplier !== undefined)
    await h.sql(
      `insert into supplier_authorisation (supplier_id, part_id, valid_from) select id, $2, '2000-01-01' from supplier where code = $1`,
      [supplier, id]
    )
  await shelf.level(part, '1', quantity)
  await propose(h)
  const [{ number }] = await shelf.proposals(`&part=${part}`)
  if (controlled)
    await controller.post(`/v1/parts/${part}/controlled-approvals`, {
      warehouse: shelf.warehouse,
      quantity,
      reason: '批准',
      validTo: '2026-12-31'
    })
  const answer = await shelf.purchaser.post(`/v1/reorder/proposals/${number}/acceptance`)
  if (answer.status !== 200) throw new Error(answer.text)
  return { part, proposal: String(number), shelf }
}

const must = (answer: { status: number; text: string; body: any }, status = 200) => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
  return answer.body
}
const plan = async (body: object = {}) =>
  must(await planner.post('/v1/purchase-plans', { period: '2026-12', ...body }), 201)
const amend = (number: string, body: object, headers = {}) =>
  h.api
    .patch(`/v1/purchase-plans/${number}`)
    .set({ authorization: `Bearer ${planner.person.token}`, ...headers })
    .send(body)
const submit = (number: string, body: object = {}, as: Caller = planner) =>
  as.post(`/v1/purchase-plans/${number}/submission`, body)
const sign = (as: Caller, number: string, duty: Duty, more: object = {}) =>
  as.post(`/v1/purchase-plans/${number}/signatures`, { duty, decision: 'approve', ...more })
const linesOf = async (number: string, query = '') =>
  must(await planner.get(`/v1/purchase-plans/${number}/lines?limit=200${query}`)).items as any[]
async function approved(number: string) {
  must(await submit(number))
  must(await sign(finance, number, 'hq-finance'))
  must(await sign(operations, number, 'operations-supervisor'))
  return must(await sign(controller, number, 'stock-controller'))
}

describe('gathering', () => {
  test('accepted orders of all warehouses are gathered by supplier and part, at standard cost (R-ORD-3)', async () => {
    const [{ code: first }, { code: second }] = [
      await h.make.supplier({ code: 'AAA-FIRST' }),
      await h.make.supplier({ code: 'BBB-SECOND' })
    ]
    const two = await accepted(b, '4', { supplier: second, cost: '10.00' })
    const one = await accepted(a, '10', { supplier: first, cost: '1.2345' })
    const none = await accepted(a, '3', { cost: null })

    const body = await plan({
      budget: '1000.00',
      supplierBudgets: [{ supplier: second, amount: '30.00' }],
      note: '旺季'
    })

    expect(body).toMatchObject({
      number: expect.stringMatching(/^HQ-PLN-202611-\d{5}$/),
      warehouse: 'HQ',
      period: '2026-12',
      state: 'draft',
      budget: '1000.00',
      amount: '52.35',
      isOverBudget: true,
      lines: 3,
      note: '旺季',
      preparedBy: planner.person.username,
      duties: ['hq-finance', 'operations-supervisor', 'stock-controller'],
      withoutSupplier: 1,
      withoutPrice: 1,
      suppliers: [
        { supplier: first, lines: 1, quantity: '10', amount: '12.35', budget: null, isOverBudget: false },
        { supplier: second, lines: 1, quantity: '4', amount: '40.00', budget: '30.00', isOverBudget: true },
        { supplier: null, lines: 1, quantity: '3', amount: '0.00', budget: null, isOverBudget: false }
      ]
    })
    expect(await linesOf(body.number)).toMatchObject([
      {
        line: 1,
        warehouse: a.warehouse,
        proposal: one.proposal,
        part: one.part,
        supplier: first,
        quantity: '10',
        unitPrice: '1.2345',
        amount: '12.35'
      },
      {
        line: 2,
        warehouse: b.warehouse,
        proposal: two.proposal,
        part: two.part,
        supplier: second,
        quantity: '4',
        amount: '40.00'
      },
      {
        line: 3,
        proposal: none.proposal,
        supplier: null,
        unitPrice: null,
        amount: null,
        expectedReceipt: null,
        received: '0',
        outstanding: '0'
      }
    ])
    expect((await a.purchaser.get(`/v1/reorder/proposals/${one.proposal}`)).body.plan).toBe(body.number)
    expect(
      await a.purchaser.post(`/v1/reorder/proposals/${one.proposal}/rejection`, { rejection: 'budget' })
    ).toMatchObject({
      status: 409,
      body: { code: 'ProposalNotOpen', detail: expect.stringContaining(body.number) }
    })
    expect(await planner.post('/v1/purchase-plans', { period: '2026-12' })).toMatchObject({
      status: 409,
      body: { code: 'NothingToPlan' }
    })
  })

  test('two plans at once share no proposal, and their numbers have no gap', async () => {
    await accepted(a, '4')
    await accepted(b, '4')
    const answers = await Promise.all([1, 2, 3].map(() => planner.post('/v1/purchase-plans', { period: '2026-12' })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409, 409])
    const numbers = await h.sql<{ number: string }>('select number from purchase_plan order by id')
    expect(numbers.map(({ number }) => Number(number.slice(-5)))).toEqual(numbers.map((_, place) => place + 1))
  })

  test('of the present month or a later one, with budgets of known suppliers', async () => {
    await accepted(a, '4')
    const refused = async (body: object) =>
      (await planner.post('/v1/purchase-plans', { period: '2026-12', ...body })).body.code
    const { code: supplier } = await h.make.supplier()
    expect(await refused({ period: '2026-10' })).toBe('PeriodInThePast')
    expect(await refused({ supplierBudgets: [{ supplier: 'NOBODY', amount: '1' }] })).toBe('SupplierUnknown')
    expect(
      await refused({
        supplierBudgets: [
          { supplier, amount: '1' },
          { supplier, amount: '2' }
        ]
      })
    ).toBe('SupplierTwice')
    expect((await planner.post('/v1/purchase-plans', { period: '2026-12', budget: '-1' })).status).toBe(400)
    expect((await plan({ period: '2026-11' })).period).toBe('2026-11')
  })
})

describe('a draft', () => {
  test('lines are changed with a reason, removed, and added again; all of a call or nothing', async () => {
    const { code: supplier } = await h.make.supplier()
    const { code: other } = await h.make.supplier()
    const one = await accepted(a, '10', { supplier })
    const two = await accepted(b, '4', { cost: null })
    const { number, version } = await plan()
    const [first, second] = (await linesOf(number)).toSorted((x, y) => x.part.localeCompare(y.part) || 0)
    const [mine, theirs] = first.proposal === one.proposal ? [first, second] : [second, first]
    const code = async (body: object) => (await amend(number, body)).body.code

    expect(await code({ change: [{ line: mine.line, quantity: '8' }] })).toBe('ReasonMissing')
    expect(await code({ change: [{ line: mine.line, supplier: other, reason: 'x' }] })).toBe('SupplierNotAuthorised')
    expect(await code({ change: [{ line: mine.line, supplier: 'NOBODY', reason: 'x' }] })).toBe('SupplierUnknown')
    expect(await code({ change: [{ line: 99, unitPrice: '1' }] })).toBe('PlanLineUnknown')
    expect(
      await code({
        change: [
          { line: 1, unitPrice: '1' },
          { line: 1, unitPrice: '2' }
        ]
      })
    ).toBe('LineTwice')
    expect(await code({ change: [{ line: 1, unitPrice: '1' }], remove: [1] })).toBe('LineTwice')
    expect(await code({ remove: [99] })).toBe('PlanLineUnknown')
    expect(await code({ note: 'changed', add: [mine.proposal] })).toBe('ProposalNotWaiting')
    expect((await amend(number, {})).status).toBe(400)
    expect((await amend(number, { note: 'x' }, { 'if-match': '"9"' })).status).toBe(412)
    expect(must(await planner.get(`/v1/purchase-plans/${number}`))).toMatchObject({ version, note: null, lines: 2 })

    const changed = await amend(number, {
      note: '旺季',
      budget: '100',
      change: [
        { line: mine.line, quantity: '8', reason: '预算' },
        { line: theirs.line, unitPrice: '3' }
      ]
    })
    expect(changed.body).toMatchObject({ version: version + 1, note: '旺季', budget: '100.00', amount: '32.00' })
    expect((await linesOf(number, `&part=${mine.part}`))[0]).toMatchObject({
      quantity: '8',
      acceptedQuantity: '10',
      changedBecause: '预算',
      amount: '20.00'
    })

    const { body: removed } = await amend(number, { remove: [theirs.line], budget: null })
    expect(removed).toMatchObject({ lines: 1, budget: null })
    expect((await amend(number, { add: [two.proposal] })).body.lines).toBe(2)
    expect((await linesOf(number)).map(({ line }) => line)).toEqual([mine.line, 3])
    await amend(number, { remove: [3] })
    expect((await amend(number, { gather: true })).body.lines).toBe(2)
    expect(
      must(await planner.get(`/v1/purchase-plans/${number}/history`)).items.map(({ event }: any) => event)
    ).toEqual(['drafted', ...Array.from({ length: 5 }, () => 'amended')])
  })

  test('of a controlled part no more is ordered than its approval allowed (R-CAT-2)', async () => {
    const { code: supplier } = await h.make.supplier()
    await accepted(a, '10', { supplier, controlled: true })
    const { number } = await plan()
    expect((await amend(number, { change: [{ line: 1, quantity: '11', reason: '多要' }] })).body.code).toBe(
      'ApprovalExceeded'
    )
    expect((await amend(number, { change: [{ line: 1, quantity: '9', reason: '预算' }] })).status).toBe(200)
  })

  test('is submitted when every line has a supplier and a price, and over budget only with a reason', async () => {
    const { code: supplier } = await h.make.supplier()
    const one = await accepted(a, '10', { cost: null })
    const { number } = await plan({ budget: '20.00' })
    expect(await submit(number)).toMatchObject({
      status: 409,
      body: {
        code: 'PlanLinesNotReady',
        total: 1,
        lines: [{ line: 1, part: one.part, warehouse: a.warehouse, lacks: 'supplier' }]
      }
    })
    await h.sql(
      `insert into supplier_authorisation (supplier_id, part_id, valid_from) select supplier.id, part.id, '2000-01-01' from supplier, part where code = $1 and number = $2`,
      [supplier, one.part]
    )
    await amend(number, { change: [{ line: 1, supplier }] })
    expect((await submit(number)).body.lines).toMatchObject([{ lacks: 'price' }])
    await amend(number, { change: [{ line: 1, unitPrice: '3' }] })
    expect(await submit(number)).toMatchObject({
      status: 422,
      body: { code: 'OverBudget', budget: '20.00', amount: '30.00' }
    })
    await h.sql(`update supplier set active = false where code = $1`, [supplier])
    expect((await submit(number, { overBudgetBecause: '新机型' })).body.lines).toMatchObject([
      { lacks: 'authorisation' }
    ])
    await h.sql(`update supplier set active = true where code = $1`, [supplier])

    expect(await submit(number, { overBudgetBecause: '新机型' })).toMatchObject({
      status: 200,
      body: {
        state: 'awaiting-signatures',
        overBudgetBecause: '新机型',
        contentHash: expect.stringMatching(/^[0-9a-f]{64}$/),
        awaiting: ['hq-finance', 'operations-supervisor', 'stock-controller']
      }
    })
    expect((await submit(number)).body.code).toBe('PlanNotDraft')
    expect((await amend(number, { note: 'x' })).body.code).toBe('PlanNotDraft')

    await accepted(b, '2')
    const empty = await plan()
    await amend(empty.number, { remove: [1] })
    expect((await submit(empty.number)).body.code).toBe('PlanEmpty')
  })
})

describe('signatures', () => {
  test('finance reviews, operations confirms, head office approves last, three people, and every line is on its way (R-SIG-1, R-ORD-3)', async () => {
    const { code: supplier } = await h.make.supplier()
    const one = await accepted(a, '10', { supplier })
    await h.sql('update part set lead_time_days = 21 where number = $1', [one.part])
    const two = await accepted(b, '4', { supplier })
    const { number } = await plan()
    expect((await sign(finance, number, 'hq-finance')).body.code).toBe('PlanNotAwaitingSignatures')
    const { contentHash } = must(await submit(number))
    expect((await sign(controller, number, 'stock-controller')).body).toMatchObject({
      code: 'HeadOfficeSignsLast',
      awaiting: ['hq-finance', 'operations-supervisor']
    })
    expect((await sign(finance, number, 'hq-finance', { contentHash: '0'.repeat(64) })).body.code).toBe(
      'ContentChanged'
    )
    expect((await sign(a.signers['operations-supervisor'], number, 'operations-supervisor')).status).toBe(404)
    must(await sign(finance, number, 'hq-finance', { contentHash }))
    expect((await sign(finance, number, 'hq-finance')).body.code).toBe('AlreadySigned')
    must(await sign(operations, number, 'operations-supervisor'))
    expect(must(await sign(controller, number, 'stock-controller'))).toMatchObject({
      state: 'approved',
      approvedAt: '2026-11-20T02:00:00Z',
      awaiting: [],
      signatures: [
        { duty: 'hq-finance', contentHash },
        { duty: 'operations-supervisor', contentHash },
        { duty: 'stock-controller', contentHash }
      ]
    })

    const mine = (await linesOf(number)).find(({ part }) => part === one.part)
    expect(mine).toMatchObject({
      expectedReceipt: `${number}/${mine.line}`,
      expectedOn: '2026-12-11',
      received: '0',
      outstanding: '10'
    })
    expect((await a.keeper.get(`/v1/warehouses/${a.warehouse}/expected-receipts`)).body.items).toMatchObject([
      { document: number, kind: 'purchase', part: one.part, supplier, quantity: '10', outstanding: '10' }
    ])
    expect(await propose(h)).toEqual({ proposed: 0, withdrawn: 0 })

    await a.posted({
      kind: 'receipt',
      supplier,
      lines: [{ part: one.part, quantity: '6', unitCost: '2.5', expectedReceipt: mine.expectedReceipt }]
    })
    expect(await linesOf(number, `&warehouse=${a.warehouse}`)).toMatchObject([{ received: '6', outstanding: '4' }])
    expect(await linesOf(number, `&warehouse=${b.warehouse}&supplier=${supplier}`)).toMatchObject([
      { part: two.part, outstanding: '4' }
    ])
    expect((await planner.get(`/v1/purchase-plans/${number}/lines?supplier=NOBODY`)).status).toBe(404)
    expect(await planner.post(`/v1/purchase-plans/${number}/cancellation`, { reason: 'x' })).toMatchObject({
      status: 409,
      body: { code: 'PlanNotCancellable' }
    })
  })

  test('who wrote on it never signs, and one person signs once', async () => {
    const both = callerFor(
      h,
      await h.make.person({
        grants: [{ duty: 'purchaser' }, { duty: 'hq-finance' }, { duty: 'operations-supervisor' }]
      })
    )
    const { code: supplier } = await h.make.supplier()
    await accepted(a, '10', { supplier })
    const { number } = await plan()
    const { status } = await h.api
      .patch(`/v1/purchase-plans/${number}`)
      .set({ authorization: `Bearer ${both.person.token}` })
      .send({ note: 'mine' })
    expect(status).toBe(200)
    must(await submit(number))
    expect((await sign(both, number, 'hq-finance')).body.code).toBe('PreparerMaySign')

    await accepted(b, '4', { supplier })
    const { number: next } = await plan()
    must(await submit(next))
    must(await sign(both, next, 'hq-finance'))
    expect((await sign(both, next, 'operations-supervisor')).body.code).toBe('AlreadySigned')
  })

  test('a refusal says why and sends it back; what is submitted anew is signed anew (R-SIG-3)', async () => {
    const { code: supplier } = await h.make.supplier()
    await accepted(a, '10', { supplier })
    const { number } = await plan()
    const { contentHash: before } = must(await submit(number))
    must(await sign(finance, number, 'hq-finance'))
    expect((await sign(operations, number, 'operations-supervisor', { decision: 'refuse' })).body.code).toBe(
      'ReasonMissing'
    )
    expect(
      must(await sign(operations, number, 'operations-supervisor', { decision: 'refuse', comment: '太多' }))
    ).toMatchObject({
      state: 'draft',
      signatures: [],
      contentHash: null,
      refusal: { by: operations.person.username, duty: 'operations-supervisor', reason: '太多' }
    })
    await amend(number, { change: [{ line: 1, quantity: '5', reason: '太多' }] })
    const approvedPlan = await approved(number)
    expect(approvedPlan).toMatchObject({ state: 'approved', refusal: null })
    expect(approvedPlan.contentHash).not.toBe(before)

    // Who ordered less than was proposed is not asked for the rest the same night.
    await propose(h)
    expect((await a.proposals()).map(gist)).toMatchObject([['order', expect.anything(), '10', supplier, 'accepted']])
  })

  test('a line changed behind the service’s back is found out before the last signature (R-SIG-2)', async () => {
    const { code: supplier } = await h.make.supplier()
    await accepted(a, '10', { supplier })
    const { number } = await plan()
    must(await submit(number))
    await h.sql(
      'update purchase_plan_line set quantity = 99 where plan_id = (select id from purchase_plan where number = $1)',
      [number]
    )
    expect(await sign(finance, number, 'hq-finance')).toMatchObject({
      status: 409,
      body: { code: 'SignatureOfOtherContent' }
    })
  })

  test('the last signature at the same moment orders once, and no change slips in beside it', async () => {
    const { code: supplier } = await h.make.supplier()
    await accepted(a, '10', { supplier })
    const { number } = await plan()
    must(await submit(number))
    must(await sign(finance, number, 'hq-finance'))
    must(await sign(operations, number, 'operations-supervisor'))

    const [changed, ...answers] = await Promise.all([
      amend(number, { change: [{ line: 1, unitPrice: '9' }] }),
      ...[1, 2, 3].map(() => sign(controller, number, 'stock-controller'))
    ])
    expect(changed.status).toBe(409)
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409])
    const [{ count }] = await h.sql<{ count: number }>(
      'select count(*)::int as count from expected_receipt where document = $1',
      [number]
    )
    expect(count).toBe(1)
  })

  test('a cancelled plan frees its proposals for another one', async () => {
    const { code: supplier } = await h.make.supplier()
    const one = await accepted(a, '10', { supplier })
    const { number } = await plan()
    must(await submit(number))
    must(await sign(finance, number, 'hq-finance'))
    expect(must(await planner.post(`/v1/purchase-plans/${number}/cancellation`, { reason: '重做' }))).toMatchObject({
      state: 'cancelled',
      cancelledBecause: '重做',
      signatures: [],
      lines: 1
    })
    expect((await planner.post(`/v1/purchase-plans/${number}/cancellation`, { reason: 'x' })).body.code).toBe(
      'PlanNotCancellable'
    )
    const again = await plan()
    expect(await linesOf(again.number)).toMatchObject([{ proposal: one.proposal }])
  })

  test('no policy of a plan does without finance and head office', async () => {
    const administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
    const set = (duties: string[]) => administrator.put('/v1/signing-policies/purchase-plan', { duties })
    expect(await set(['department-head', 'operations-supervisor', 'stock-controller'])).toMatchObject({
      status: 422,
      body: { code: 'PlanNeedsHeadOffice' }
    })
    expect((await set(['hq-finance', 'operations-supervisor', 'stock-controller'])).status).toBe(200)
  })
})

describe('reading', () => {
  test('who plans and who may have to sign reads plans, and writes with the duty everywhere', async () => {
    const { code: supplier } = await h.make.supplier()
    await accepted(a, '10', { supplier })
    const { number } = await plan()
    const keeper = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: 'HQ' }] }))
    const local = callerFor(h, await h.make.person({ grants: [{ duty: 'purchaser', warehouse: 'HQ' }] }))
    const path = `/v1/purchase-plans/${number}`
    for (const [as, status] of [
      [keeper, 403],
      [a.purchaser, 404]
    ] as const) {
      for (const read of ['/v1/purchase-plans', path, `${path}/lines`, `${path}/history`])
        expect([read, (await as.get(read)).status]).toEqual([read, status])
      expect((await as.post(`${path}/signatures`, { duty: 'hq-finance', decision: 'approve' })).status).toBe(status)
    }
    for (const as of [keeper, a.purchaser, local]) {
      expect((await as.post('/v1/purchase-plans', { period: '2026-12' })).status).toBe(403)
      expect((await as.post(`${path}/submission`)).status).toBe(403)
      expect((await as.post(`${path}/cancellation`, { reason: 'x' })).status).toBe(403)
      expect(
        (
          await h.api
            .patch(path)
            .set({ authorization: `Bearer ${as.person.token}` })
            .send({ note: 'x' })
        ).status
      ).toBe(403)
    }
    expect((await local.get(path)).status).toBe(200)
    expect((await planner.get('/v1/purchase-plans/HQ-PLN-209901-00001')).status).toBe(404)
    expect((await planner.get('/v1/purchase-plans/NOWHERE-PLN-202611-00001')).status).toBe(404)
    const { items } = must(await operations.get('/v1/purchase-plans?period=2026-12&state=draft&limit=1'))
    expect(items).toMatchObject([{ number, state: 'draft', lines: 1, amount: '25.00' }])
  })

  test('as CSV and as a spreadsheet, with Chinese and English headings', async () => {
    const { code: supplier } = await h.make.supplier()
    const one = await accepted(a, '10', { supplier })
    const two = await accepted(b, '4', { supplier, cost: '3' })
    const { number } = await plan({ budget: '100' })
    const csv = await download(h, planner, `/v1/purchase-plans/${number}`, 'csv')
    expect(csv.headers['content-disposition']).toContain(`${number}.csv`)
    const ordered = [one, two].toSorted((x, y) => (x.part < y.part ? -1 : 1))
    expect(cells(csv.text).map(([, from, part]) => [from, part])).toEqual(ordered.map(({ part }) => [supplier, part]))
    expect(csv.text.split('\n')[0]).toContain('unit price 单价')
    const one_only = await download(h, planner, `/v1/purchase-plans/${number}/lines?part=${one.part}`, 'csv')
    expect(cells(one_only.text)).toHaveLength(1)

    const sheets = await sheetsOf(await download(h, planner, `/v1/purchase-plans/${number}/lines`, 'xlsx'))
    expect(sheets.map(({ name }) => name)).toEqual(['计划明细 Lines', '供应商 Suppliers'])
    const rows = sheets[0]?.rows ?? []
    expect(rows.flat()).toEqual(expect.arrayContaining([`${number} · 2026-12 · 草稿 draft`, 25, 12, 37]))
  })
})
