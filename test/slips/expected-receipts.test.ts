import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let c: Counter
let purchaser: Caller
beforeAll(async () => {
  h = await openHarness()
})
beforeEach(async () => {
  c = await openCounter(h)
  purchaser = callerFor(h, await h.make.person({ grants: [{ duty: 'purchaser', warehouse: c.warehouse }] }))
})
afterAll(() => h.close())

const PLAN = 'HQ-PLN-202611-00001'

/** Something on its way, past every rule; answers how a line names it. */
async function expected({
  part,
  quantity = '10',
  line = 1,
  kind = 'purchase',
  supplier = null,
  at = c.warehouseId
}: {
  part: string
  quantity?: string
  line?: number
  kind?: 'purchase' | 'transfer'
  supplier?: string | null
  at?: number
}): Promise<string> {
  await h.sql(
    `insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, supplier_id, from_warehouse_id, opened_at, opened_by)
     values ($1::int, (select id from part where number = $2), $3::text, $4, $5, $6, (select id from supplier where code = $7), case when $3::text = 'transfer' then $1::int end, now(), 0)`,
    [at, part, kind, PLAN, line, quantity, supplier]
  )
  return `${PLAN}/${line}`
}

const onOrder = async () =>
  (
    await h.sql('select trim_scale(quantity)::text as quantity from on_order where warehouse_id = $1', [c.warehouseId])
  )[0]?.['quantity'] ?? null
const listed = async (query = '') =>
  (await c.keeper.get(`/v1/warehouses/${c.warehouse}/expected-receipts${query}`)).body.items as any[]
const receipt = (part: string, quantity: string, expectedReceipt: string, more: object = {}) => ({
  kind: 'receipt',
  lines: [{ part, quantity, unitCost: '2', expectedReceipt }],
  ...more
})

test('what is ordered arrives in parts, and more than ordered shows as over, never as less than nothing on order', async () => {
  const { number: part } = await h.make.part()
  const name = await expected({ part })
  expect(await listed()).toMatchObject([
    {
      expectedReceipt: name,
      part,
      kind: 'purchase',
      quantity: '10',
      received: '0',
      outstanding: '10',
      over: '0',
      state: 'open',
      slips: []
    }
  ])

  const first = await c.posted(receipt(part, '4', name))
  expect(first.lines).toMatchObject([{ part, quantity: '4', expectedReceipt: name }])
  expect(await onOrder()).toBe('6')
  const { number: second } = await c.slip(receipt(part, '9', name))
  expect(await onOrder()).toBe('6')
  await c.signAndPost(second)

  expect(await onOrder()).toBe('0')
  expect(await listed('?state=received')).toMatchObject([
    { received: '13', outstanding: '0', over: '3', state: 'received', slips: [first.number, second] }
  ])
  expect(await listed('?state=open')).toEqual([])
  expect((await c.keeper.get(`/v1/slips/${first.number}`)).body.lines[0].expectedReceipt).toBe(name)
})

test('a reversed receipt is on its way again (R-STK-2)', async () => {
  const { number: part } = await h.make.part()
  const name = await expected({ part })
  const { number } = await c.posted(receipt(part, '10', name))
  expect(await listed()).toMatchObject([{ state: 'received', outstanding: '0' }])

  const { body: reversal } = await c.keeper.post(`/v1/slips/${number}/reversal`, { reason: '错收' })
  expect(reversal.lines).toMatchObject([{ expectedReceipt: name, direction: 'out' }])
  await c.signAndPost(reversal.number)

  expect(await listed()).toMatchObject([{ state: 'open', received: '0', outstanding: '10' }])
  expect(await onOrder()).toBe('10')
  expect(await c.verify()).toMatchObject({ ok: true })
})

test('a line names what is on its way to its own warehouse, of its part, kind and supplier', async () => {
  const [{ number: part }, { number: other }] = [await h.make.part(), await h.make.part()]
  const [{ code: supplier }, { code: another }] = [
    await h.make.supplier({ parts: [part] }),
    await h.make.supplier({ parts: [part] })
  ]
  const elsewhere = await openCounter(h)
  await expected({ part, line: 7, at: elsewhere.warehouseId })
  const name = await expected({ part, supplier })
  const transfer = await expected({ part, line: 2, kind: 'transfer' })
  const refusal = async (body: object) => {
    const { status, body: problem } = await c.keeper.post(`/v1/warehouses/${c.warehouse}/slips`, body)
    return [status, problem.code, problem.errors?.[0].pointer]
  }
  const at = '/lines/0/expectedReceipt'

  expect(await refusal(receipt(part, '1', `${PLAN}/7`, { supplier }))).toEqual([422, 'ExpectedReceiptUnknown', at])
  expect(await refusal(receipt(other, '1', name))).toEqual([422, 'ExpectedReceiptOfOtherPart', at])
  expect(await refusal(receipt(part, '1', transfer, { supplier }))).toEqual([422, 'ExpectedReceiptOfOtherKind', at])
  expect(await refusal({ ...receipt(part, '1', name), kind: 'transfer-in' })).toEqual([
    422,
    'ExpectedReceiptOfOtherKind',
    at
  ])
  expect(await refusal(receipt(part, '1', name))).toEqual([422, 'ExpectedReceiptOfOtherSupplier', at])
  expect(await refusal(receipt(part, '1', name, { supplier: another }))).toEqual([
    422,
    'ExpectedReceiptOfOtherSupplier',
    at
  ])
  expect(await refusal({ kind: 'issue', lines: [{ part, quantity: '1', expectedReceipt: name }] })).toEqual([
    422,
    'FieldMisplaced',
    at
  ])
  expect(
    await refusal({
      kind: 'receipt',
      supplier,
      lines: [{ part, quantity: '1', condition: 'nonconforming', expectedReceipt: name }]
    })
  ).toEqual([422, 'FieldMisplaced', at])
  expect((await refusal(receipt(part, '1', 'no number')))[0]).toBe(400)
  await c.posted(receipt(part, '1', name, { supplier }))
  await c.posted({
    ...receipt(part, '1', transfer),
    kind: 'transfer-in',
    lines: [{ part, quantity: '1', unitCost: '2', expectedReceipt: transfer }]
  })
  expect((await listed()).map(({ received }) => received)).toEqual(['1', '1'])
})

test('faulty goods are not what was ordered: only the good ones count', async () => {
  const { number: part } = await h.make.part()
  const name = await expected({ part })
  const { lines } = await c.posted({
    kind: 'receipt',
    lines: [
      {
        part,
        quantity: '10',
        unitCost: '2',
        expectedReceipt: name,
        difference: { faultyQuantity: '3', responsibleParty: 'production' }
      }
    ]
  })
  expect(lines.map(({ quantity, condition, expectedReceipt }: any) => [quantity, condition, expectedReceipt])).toEqual([
    ['7', 'qualified', name],
    ['3', 'nonconforming', null]
  ])
  expect(await listed()).toMatchObject([{ received: '7', outstanding: '3' }])
})

test('amending a slip says anew what it fulfils, and its signatures bind to it (R-SIG-2)', async () => {
  const { number: part } = await h.make.part()
  const name = await expected({ part })
  const plain = await c.slip({ kind: 'receipt', lines: [{ part, quantity: '4', unitCost: '2' }] })
  const { body: named } = await c.keeper.put(`/v1/slips/${plain.number}`, {
    lines: [{ part, quantity: '4', unitCost: '2', expectedReceipt: name }]
  })
  expect(named.lines).toMatchObject([{ expectedReceipt: name }])
  expect(named.contentHash).not.toBe(plain.contentHash)
  expect((await c.keeper.get(`/v1/slips/${plain.number}`)).body.contentHash).toBe(named.contentHash)
  const { body: history } = await c.keeper.get(`/v1/slips/${plain.number}/history`)
  expect(history.items.at(-1).details.content.lines[0]).not.toHaveProperty('expectedReceipt')

  const { body: again } = await c.keeper.put(`/v1/slips/${plain.number}`, {
    lines: [{ part, quantity: '4', unitCost: '2' }]
  })
  expect([again.lines[0].expectedReceipt, again.contentHash]).toEqual([null, plain.contentHash])
})

test('somebody ends what will not come, with a reason; then nothing names it any more', async () => {
  const { number: part } = await h.make.part()
  const name = await expected({ part })
  await c.posted(receipt(part, '4', name))
  const end = (as: Caller, line = 1) =>
    as.post(`/v1/warehouses/${c.warehouse}/expected-receipts/${PLAN}/lines/${line}/ending`, { reason: '停产' })
  const foreign = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'purchaser', warehouse: (await h.make.warehouse()).code }] })
  )
  expect((await end(c.keeper)).status).toBe(403)
  expect((await end(foreign)).status).toBe(404)
  expect((await foreign.get(`/v1/warehouses/${c.warehouse}/expected-receipts`)).status).toBe(404)
  expect((await end(purchaser, 9)).status).toBe(404)

  expect(await end(purchaser)).toMatchObject({
    status: 200,
    body: { state: 'ended', received: '4', outstanding: '0', endedBecause: '停产', endedAt: '2026-11-20T02:00:00Z' }
  })
  expect(await end(purchaser)).toMatchObject({ status: 409, body: { code: 'ExpectedReceiptEnded' } })
  expect(await onOrder()).toBeNull()
  expect(await c.keeper.post(`/v1/warehouses/${c.warehouse}/slips`, receipt(part, '1', name))).toMatchObject({
    status: 409,
    body: { code: 'ExpectedReceiptEnded' }
  })
  const whole = await expected({ part, line: 2, quantity: '1' })
  await c.posted(receipt(part, '1', whole))
  expect(await end(purchaser, 2)).toMatchObject({ status: 409, body: { code: 'NothingOutstanding' } })
})

test('the list goes page by page, and tells a part that is none', async () => {
  const parts = []
  for (let line = 1; line <= 3; line++) {
    const { number } = await h.make.part()
    parts.push(number)
    await expected({ part: number, line })
  }
  const path = `/v1/warehouses/${c.warehouse}/expected-receipts`
  const { body: first } = await c.keeper.get(`${path}?limit=2`)
  const { body: rest } = await c.keeper.get(`${path}?limit=2&cursor=${first.nextCursor}`)
  expect([...first.items, ...rest.items].map(({ part }: any) => part)).toEqual(parts.toSorted())
  expect(rest.nextCursor).toBeNull()
  expect((await listed(`?part=${parts[1]}`)).map(({ part }) => part)).toEqual([parts[1]])
  expect((await c.keeper.get(`${path}?part=NO-SUCH`)).status).toBe(404)
})
