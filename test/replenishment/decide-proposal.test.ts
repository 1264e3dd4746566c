import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { inTransaction } from '../../src/platform/context.ts'
import { acceptProposal } from '../../src/replenishment/decide-proposal.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { cells, download } from '../support/downloads.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { gist, openShelf, propose, type Shelf } from './shortage.ts'
import { dispatch, receive, reverse, transferOf } from '../transfers/transferring.ts'

let h: Harness
let here: Shelf
let giver: Shelf
let foreign: Caller
beforeAll(async () => {
  h = await openHarness()
  foreign = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'purchaser', warehouse: (await h.make.warehouse()).code }] })
  )
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  await h.sql('delete from reorder_level')
  here = await openShelf(h)
  giver = await openShelf(h)
})
afterAll(() => h.close())

const accept = (number: string, body: object = {}, as: Caller = here.purchaser, headers = {}) =>
  as.post(`/v1/reorder/proposals/${number}/acceptance`, body, headers)
const reject = (number: string, body: object, as: Caller = here.purchaser) =>
  as.post(`/v1/reorder/proposals/${number}/rejection`, body)

/** One proposal of one part that is short of `quantity`. */
async function ordered({ quantity = '10', ...part }: { quantity?: string; controlled?: boolean } = {}) {
  const made = await h.make.part(part)
  await here.level(made.number, '1', quantity)
  await propose(h)
  const [{ number }] = await here.proposals(`&part=${made.number}`)
  return { part: made.number, number: String(number) }
}

test('who may decide: purchaser, stock controller or operations supervisor of the warehouse that is short', async () => {
  const { number } = await ordered()
  for (const attempt of [
    (as: Caller) => accept(number, {}, as),
    (as: Caller) => reject(number, { rejection: 'budget' }, as)
  ]) {
    expect((await attempt(here.keeper)).status).toBe(403)
    expect((await attempt(foreign)).status).toBe(404)
  }
  expect((await foreign.get(`/v1/reorder/proposals/${number}`)).status).toBe(404)
  const { body: key } = await here.purchaser.post('/v1/api-keys', {
    name: 'erp',
    access: 'write',
    expiresOn: '2027-01-01'
  })
  const machine = await h.api
    .post(`/v1/reorder/proposals/${number}/acceptance`)
    .auth(key.key, { type: 'bearer' })
    .send({})
  expect(machine.body.code).toBe('PersonMustDecide')

  expect(await accept(number, {}, here.signers['operations-supervisor'], { 'if-match': '"7"' })).toMatchObject({
    status: 412
  })
  expect(await accept(number, {}, here.signers['operations-supervisor'])).toMatchObject({
    status: 200,
    body: {
      state: 'accepted',
      decidedBy: here.signers['operations-supervisor'].person.username,
      decidedQuantity: '10',
      expectedReceipt: null,
      plan: null
    }
  })
})

test('another quantity or supplier needs a reason; a supplier is authorised (R-CAT-3)', async () => {
  const { part, number } = await ordered()
  const { code: supplier } = await h.make.supplier({ parts: [part] })
  const { code: stranger } = await h.make.supplier()

  expect(await accept(number, { quantity: '12' })).toMatchObject({
    status: 422,
    body: { code: 'ReasonMissing', errors: [{ pointer: '/reason' }] }
  })
  expect(await accept(number, { supplier: stranger })).toMatchObject({
    status: 422,
    body: { code: 'SupplierNotAuthorised' }
  })
  expect(await accept(number, { supplier: 'NOBODY' })).toMatchObject({ status: 422, body: { code: 'SupplierUnknown' } })
  expect((await accept(number, { quantity: '0', reason: 'x' })).status).toBe(400)
  // Where the choice was open, making it changes nothing.
  expect(await accept(number, { supplier })).toMatchObject({ status: 200, body: { supplier, decidedQuantity: '10' } })
  expect(await accept(number)).toMatchObject({ status: 409, body: { code: 'ProposalNotOpen' } })
})

test('an accepted transfer is on its way, and what the keepers write fulfils it (R-ORD-2)', async () => {
  const { number: part } = await h.make.part()
  await giver.aged(part, '8', '2026-01-10')
  await here.level(part, '2', '5')
  await propose(h)
  const [proposal] = await here.proposals()
  expect(gist(proposal)).toEqual(['transfer', part, '5', giver.warehouse, 'open'])
  // The giver sees what it is asked for, and decides nothing.
  expect((await giver.proposals()).length).toBe(0)
  expect((await giver.keeper.get(`/v1/reorder/proposals?part=${part}`)).body.items).toHaveLength(1)
  expect((await accept(proposal.number, {}, giver.purchaser)).status).toBe(404)
  expect((await accept(proposal.number, { supplier: 'X' })).body.code).toBe('FieldMisplaced')

  const name = `${proposal.number}/1`
  expect(await accept(proposal.number)).toMatchObject({
    status: 200,
    body: { state: 'accepted', expectedReceipt: name, present: { onOrder: '5', isShort: false } }
  })
  expect(await propose(h)).toEqual({ proposed: 0, withdrawn: 0 })

  // On its way it is promised until it has left; then it is neither promised nor there.
  const other = await openShelf(h)
  await other.level(part, '1', '4')
  const transfer = await transferOf(giver, proposal.number)
  await dispatch({ giver, receiver: here }, transfer)
  expect(
    await here.keeper.post(`/v1/warehouses/${here.warehouse}/slips`, {
      kind: 'transfer-in',
      lines: [{ part, quantity: '5', unitCost: '2', receivedOn: '2026-01-10', expectedReceipt: name }]
    })
  ).toMatchObject({ status: 422, body: { code: 'ExpectedReceiptOfTransfer' } })
  await propose(h)
  expect((await other.proposals()).map(gist)).toEqual([
    ['transfer', part, '3', giver.warehouse, 'open'],
    ['order', part, '1', null, 'open']
  ])

  await receive({ giver, receiver: here }, transfer, [{ line: 1, quantity: '5' }])
  expect((await here.keeper.get(`/v1/warehouses/${here.warehouse}/expected-receipts`)).body.items).toMatchObject([
    { expectedReceipt: name, kind: 'transfer', fromWarehouse: giver.warehouse, state: 'received' }
  ])
})

test('what is no longer expected is not sent: its transfer is cancelled, unless the goods have left', async () => {
  const { number: part } = await h.make.part()
  await giver.aged(part, '8', '2026-01-10')
  await here.level(part, '2', '5')
  await propose(h)
  const [proposal] = await here.proposals()
  await accept(proposal.number)
  const transfer = await transferOf(giver, proposal.number)
  const end = (reason: string) =>
    here.purchaser.post(`/v1/warehouses/${here.warehouse}/expected-receipts/${proposal.number}/lines/1/ending`, {
      reason
    })
  expect(await end('不要了')).toMatchObject({ status: 200, body: { state: 'ended', endedBecause: '不要了' } })
  expect((await giver.keeper.get(`/v1/transfers/${transfer}`)).body).toMatchObject({
    state: 'cancelled',
    cancelledBecause: '不要了'
  })
  expect(await end('再来')).toMatchObject({ status: 409, body: { code: 'ExpectedReceiptEnded' } })

  const { number: sent } = await h.make.part()
  await giver.aged(sent, '8', '2026-01-10')
  await here.level(sent, '2', '5')
  await propose(h)
  const [other] = await here.proposals(`&part=${sent}`)
  await accept(other.number)
  const leaving = await transferOf(giver, other.number)
  await dispatch({ giver, receiver: here }, leaving)
  await here.purchaser.post(`/v1/warehouses/${here.warehouse}/expected-receipts/${other.number}/lines/1/ending`, {
    reason: '不要了'
  })
  expect((await giver.keeper.get(`/v1/transfers/${leaving}`)).body.state).toBe('in-transit')
  await receive({ giver, receiver: here }, leaving, [{ line: 1, quantity: '5' }])
})

test('a transfer that left by mistake and came back by a reversal is promised again (R-STK-2)', async () => {
  const { number: part } = await h.make.part()
  const other = await openShelf(h)
  await giver.aged(part, '5', '2026-01-10')
  await here.level(part, '2', '5')
  await propose(h)
  const [proposal] = await here.proposals()
  expect((await accept(proposal.number)).status).toBe(200)
  const { number: mistaken } = await dispatch({ giver, receiver: here }, await transferOf(giver, proposal.number))
  await reverse(giver, mistaken)
  await other.level(part, '1', '4')
  await propose(h)
  expect((await other.proposals()).map(gist)).toEqual([['order', part, '4', null, 'open']])
})

test('a transfer is accepted up to what the giver can still give, also when two ask for more at once', async () => {
  const { number: part } = await h.make.part()
  const other = await openShelf(h)
  await giver.aged(part, '10', '2026-01-10')
  await here.level(part, '1', '3')
  await other.level(part, '1', '3')
  await propose(h)
  const [[mine], [theirs]] = [await here.proposals(), await other.proposals()]

  expect(await accept(mine.number, { quantity: '8', reason: '多要' })).toMatchObject({
    status: 409,
    body: { code: 'GiverShort', spare: '7' }
  })
  const both = await Promise.all([
    accept(mine.number, { quantity: '6', reason: '旺季' }),
    accept(theirs.number, { quantity: '6', reason: '旺季' }, other.purchaser)
  ])
  expect(both.map(({ status }) => status).toSorted()).toEqual([200, 409])

  const { number: sold } = await h.make.part()
  await giver.aged(sold, '4', '2026-01-10')
  await here.level(sold, '1', '4')
  await propose(h)
  const [late] = await here.proposals(`&part=${sold}`)
  await giver.posted({ kind: 'issue', lines: [{ part: sold, quantity: '3' }] })
  expect(await accept(late.number)).toMatchObject({ status: 409, body: { code: 'GiverShort', spare: '1' } })
})

test('two acceptances at once: one counts', async () => {
  const { number } = await ordered()
  const answers = await Promise.all([1, 2, 3].map(() => accept(number)))
  expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409])
})

test('what is accepted while a run looks at it stays accepted, whatever the run was about to withdraw', async () => {
  const { part, number } = await ordered()
  // Its cause is gone: the run would withdraw it.
  await h.sql('delete from reorder_level')
  let run: ReturnType<typeof propose> | undefined
  await inTransaction(h.contextOf(here.purchaser.person.actor), async (inner) => {
    await acceptProposal(inner, { number })
    run = propose(h)
    await expect
      .poll(async () => (await h.sql(`select 1 from pg_locks where not granted and locktype = 'transactionid'`)).length)
      .toBeGreaterThan(0)
  })
  expect(await run).toEqual({ proposed: 0, withdrawn: 0 })
  expect((await here.proposals(`&part=${part}`)).map(({ state, decidedQuantity }) => [state, decidedQuantity])).toEqual(
    [['accepted', '10']]
  )
})

test('a controlled part draws on an approval of the warehouse, and says what to do without one (R-CAT-2)', async () => {
  const { part, number } = await ordered({ controlled: true })
  expect(await accept(number)).toMatchObject({
    status: 422,
    body: {
      code: 'ControlledApprovalMissing',
      detail: expect.stringContaining(`/v1/parts/${part}/controlled-approvals`)
    }
  })
  const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const approve = (quantity: string) =>
    controller.post(`/v1/parts/${part}/controlled-approvals`, {
      warehouse: here.warehouse,
      quantity,
      reason: '批准',
      validTo: '2026-12-31'
    })
  await approve('4')
  expect((await accept(number)).body).toMatchObject({ code: 'ControlledApprovalMissing', left: ['4'] })
  await approve('15')
  expect((await accept(number)).status).toBe(200)
  const used = async () =>
    (await controller.get(`/v1/controlled-approvals?part=${part}`)).body.items.map((row: any) => Number(row.used))
  expect(await used()).toEqual([10, 0])

  // What comes to nothing is given back.
  expect(await reject(number, { rejection: 'budget' })).toMatchObject({ status: 200, body: { state: 'rejected' } })
  expect(await used()).toEqual([0, 0])
})

test('a rejected need is not proposed again until the position recovers or 14 days have passed', async () => {
  const { part, number } = await ordered()
  expect((await reject(number, { rejection: 'lost' })).status).toBe(400)
  expect((await reject(number, { rejection: 'other' })).body.code).toBe('ReasonMissing')
  expect((await reject(number, { rejection: 'other-source', note: 'x' })).body.code).toBe('NotATransfer')
  expect(await reject(number, { rejection: 'not-needed', note: '机型退市' })).toMatchObject({
    status: 200,
    body: { state: 'rejected', rejection: 'not-needed', decisionReason: '机型退市' }
  })
  expect((await reject(number, { rejection: 'budget' })).body.code).toBe('ProposalNotOpen')
  const count = async () => (await here.proposals(`&part=${part}`)).length

  await propose(h)
  h.clock.set('2026-12-04T01:59:59Z')
  await propose(h)
  expect(await count()).toBe(1)
  h.clock.set('2026-12-04T02:00:01Z')
  await propose(h)
  expect(await count()).toBe(2)

  const [, second] = await here.proposals(`&part=${part}`)
  await reject(second.number, { rejection: 'budget' })
  await here.posted({ kind: 'receipt', lines: [{ part, quantity: '5', unitCost: '2' }] })
  await propose(h)
  await here.posted({ kind: 'issue', lines: [{ part, quantity: '5' }] })
  await propose(h)
  expect(await count()).toBe(3)
})

test('who accepts less than was proposed is not asked for the rest again and again', async () => {
  const { part, number } = await ordered()
  await accept(number, { quantity: '1', reason: '预算' })
  const [{ id }] = await h.sql<{ id: string }>(
    `insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, opened_at, opened_by)
     select $1, id, 'purchase', 'HQ-PLN-202611-00001', 1, 1, now(), 0 from part where number = $2 returning id::text as id`,
    [here.warehouseId, part]
  )
  await h.sql('update reorder_proposal set expected_receipt_id = $3 where warehouse_id = $1 and number = $2', [
    here.warehouseId,
    number,
    id
  ])

  await propose(h)
  expect(await here.proposals(`&part=${part}`)).toHaveLength(1)
  h.clock.set('2026-12-05T02:00:00Z')
  await propose(h)
  expect((await here.proposals(`&part=${part}`)).map(gist)).toEqual([
    ['order', part, '10', null, 'accepted'],
    ['order', part, '9', null, 'open']
  ])
})

test('not from this warehouse: it is searched anew at once, without it', async () => {
  const { number: part } = await h.make.part()
  const second = await openShelf(h)
  await giver.aged(part, '4', '2025-01-10')
  await second.aged(part, '3', '2026-01-10')
  await here.level(part, '1', '5')
  await propose(h)
  const first = (await here.proposals()).find(({ fromWarehouse }) => fromWarehouse === giver.warehouse)

  expect(await reject(first.number, { rejection: 'other-source', note: '包装破损' })).toMatchObject({ status: 200 })

  const proposals = await here.proposals()
  expect(proposals.filter(({ state }) => state === 'open').map(gist)).toEqual([
    ['transfer', part, '3', second.warehouse, 'open'],
    ['order', part, '2', null, 'open']
  ])
  const { body } = await here.purchaser.get(`/v1/reorder/proposals/${proposals.at(-1).number}`)
  expect(body.evidence.asked.map((row: any) => [row.warehouse, row.outcome])).toEqual([
    [second.warehouse, 'taken'],
    [giver.warehouse, 'rejected']
  ])
  expect(await propose(h)).toEqual({ proposed: 0, withdrawn: 0 })
})

test('the list by state, kind, part and region, page by page, and as a file', async () => {
  const made = []
  for (let count = 0; count < 3; count++) made.push(await ordered())
  await accept(made[0].number)
  const path = `/v1/reorder/proposals?warehouse=${here.warehouse}`
  const numbers = (body: any) => body.items.map(({ number }: any) => number)

  expect(numbers((await here.keeper.get(`${path}&state=accepted`)).body)).toEqual([made[0].number])
  expect(numbers((await here.keeper.get(`${path}&kind=transfer`)).body)).toEqual([])
  const { body: first } = await here.keeper.get(`${path}&limit=2`)
  const { body: rest } = await here.keeper.get(`${path}&limit=2&cursor=${first.nextCursor}`)
  expect([...numbers(first), ...numbers(rest)]).toEqual(made.map(({ number }) => number).toReversed())
  const region = first.items[0].region
  expect(numbers((await here.keeper.get(`/v1/reorder/proposals?region=${region}`)).body)).toHaveLength(3)
  expect((await here.keeper.get(`/v1/reorder/proposals?region=NOWHERE`)).status).toBe(404)
  expect((await foreign.get(path)).status).toBe(404)
  expect((await here.keeper.get('/v1/reorder/proposals?part=NO-SUCH')).status).toBe(404)

  const file = await download(h, here.keeper, path, 'csv')
  expect(cells(file.text).map(([number]) => number)).toEqual(made.map(({ number }) => number).toReversed())
  expect(file.text.split('\n')[0]).toContain('quantity 建议数量')
})
