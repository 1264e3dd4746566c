import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { reserveAll } from '../../src/ledger/reserve.ts'
import { verifySlipPackage } from '../../src/slips/slip-package.ts'
import { callerFor } from '../support/counter.ts'
import { openCounting, type Counting } from '../support/counting.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let c: Counting
beforeAll(async () => {
  h = await openHarness()
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  c = await openCounting(h)
})
afterAll(() => h.close())

const receive = (
  part: string,
  quantity: string,
  unitCost: string | undefined,
  occurredOn?: string,
  more: object = {}
) => c.posted({ kind: 'receipt', occurredOn, lines: [{ part, quantity, unitCost, ...more }] })
const slipOf = async (number: string) => (await c.keeper.get(`/v1/slips/${number}`)).body
const lotsOf = async (part: string): Promise<any[]> =>
  (await c.keeper.get(`/v1/warehouses/${c.warehouse}/lots?part=${part}`)).body.items
/** What the adjustment of a count moved: line by line the lot, quantity and cost. */
const moved = async ({ adjustmentSlip }: { adjustmentSlip: string }): Promise<unknown[]> =>
  (await slipOf(adjustmentSlip)).lines.flatMap(({ part, movements }: any) =>
    movements.map(({ lot, quantity, cost }: any) => [part, lot, quantity, cost])
  )
const verified = async () => expect(await c.verify()).toMatchObject({ ok: true, findings: [] })

test('a loss leaves the oldest lots, a gain has the cost and the age of the oldest one (R-CNT-4, R-STK-5)', async () => {
  const [short, over] = [await h.make.part(), await h.make.part()]
  for (const { number } of [short, over]) {
    await receive(number, '5', '10.00', '2026-10-05')
    await receive(number, '5', '20.00', '2026-11-05')
  }
  const { number } = await c.open()
  await c.count(number, [
    { part: short.number, counted: '3' },
    { part: over.number, counted: '12' }
  ])
  const lots = await lotsOf(short.number)
  const settled = await c.lines(number)
  const approved = await c.settle(number)

  expect(settled.find(({ part }) => part === short.number).varianceValue).toBe('-90.00')
  expect(settled.find(({ part }) => part === over.number).varianceValue).toBe('20.00')
  const slip = await slipOf(approved.adjustmentSlip)
  expect(slip).toMatchObject({
    kind: 'adjustment',
    state: 'posted',
    occurredOn: '2026-11-20',
    reference: number,
    signedAs: number,
    preparedBy: c.keeper.person.username,
    postedBy: c.controller.person.username,
    duties: ['finance-supervisor', 'department-head', 'stock-controller']
  })
  expect(await moved(approved)).toEqual(
    expect.arrayContaining([
      [short.number, lots[0].lot, '-5', '-50.00'],
      [short.number, lots[1].lot, '-2', '-40.00'],
      [over.number, expect.any(String), '2', '20.00']
    ])
  )
  expect((await lotsOf(over.number)).filter(({ onHand }) => onHand === '2')).toMatchObject([
    { receivedOn: '2026-10-05', openedOn: '2026-11-20', unitCost: '10.0000' }
  ])
  expect(await c.lines(number)).toMatchObject([{ adjustedLine: 1 }, { adjustedLine: 2 }])
  await verified()
})

test('counted by lot, a loss leaves that lot whatever its age and a gain is of that lot', async () => {
  const part = await h.make.part()
  await receive(part.number, '5', '10.00', '2026-10-05')
  await receive(part.number, '5', '20.00', '2026-11-05')
  const [old, young] = await lotsOf(part.number)
  const { number } = await c.open()
  await c.count(number, [
    {
      line: 1,
      counted: '11',
      lots: [
        { lot: old.lot, counted: '8' },
        { lot: young.lot, counted: '3' }
      ]
    }
  ])

  const approved = await c.settle(number)

  expect(await moved(approved)).toEqual([
    [part.number, expect.any(String), '3', '30.00'],
    [part.number, young.lot, '-2', '-40.00']
  ])
  expect((await lotsOf(part.number)).map(({ onHand, receivedOn }) => [onHand, receivedOn])).toEqual([
    ['5', '2026-10-05'],
    ['3', '2026-10-05'],
    ['3', '2026-11-05']
  ])
  await verified()
})

test('consigned and nonconforming goods are adjusted as what they are (R-STK-1, R-STK-6)', async () => {
  const lent = await c.stocked({ quantity: '5', ownership: 'consigned' })
  const faulty = await c.stocked({ quantity: '5', unitCost: '8.00', condition: 'nonconforming' })
  const { number } = await c.open()
  await c.count(number, [
    { part: lent.number, ownership: 'consigned', counted: '6' },
    { part: faulty.number, condition: 'nonconforming', counted: '4' }
  ])

  const approved = await c.settle(number)

  expect((await moved(approved)).toSorted()).toEqual(
    [
      [lent.number, expect.any(String), '1', '0.00'],
      [faulty.number, expect.any(String), '-1', '-8.00']
    ].toSorted()
  )
  expect(await c.onHand(lent.number, 'consigned')).toBe('6')
  expect(await c.onHand(faulty.number, 'own', 'nonconforming')).toBe('4')
  await verified()
})

test('found goods that no lot knows have the cost, the age and the charges of their paper', async () => {
  const [found, lent] = [await h.make.part(), await h.make.part()]
  const { number } = await c.open()
  await c.keeper.post(`/v1/counts/${number}/lines`, { part: found.number })
  await c.keeper.post(`/v1/counts/${number}/lines`, { part: lent.number, ownership: 'consigned' })
  await c.count(number, [
    { line: 1, counted: '2' },
    { line: 2, counted: '3' }
  ])
  expect(await c.lines(number)).toMatchObject([{ variance: '2', varianceValue: null }, { varianceValue: '0.00' }])
  const explain = async (line: object) =>
    (await c.explain(number, [{ line: 1, cause: 'found', ...line }])).results[0].problem?.code
  expect(await explain({})).toBe('CostUndocumented')
  expect(await explain({ unitCost: '100' })).toBe('CostUndocumented')
  expect(await explain({ unitCost: '100', costDocument: '发票 77', receivedOn: '2026-12-01' })).toBe('FutureDay')
  expect(await explain({ line: 2, unitCost: '100', costDocument: '发票 77' })).toBe('CostNotAsked')
  expect(await explain({ unitCost: '100', costDocument: '发票 77', receivedOn: '2026-06-10' })).toBeUndefined()
  expect((await c.lines(number))[0]).toMatchObject({
    varianceValue: '200.00',
    unitCost: '100.0000',
    costDocument: '发票 77'
  })

  const approved = await c.settle(number)

  // June is the first month; September and October were charged 8 % each.
  expect((await slipOf(approved.adjustmentSlip)).lines).toMatchObject([
    { part: found.number, receivedOn: '2026-06-10', movements: [{ quantity: '2', cost: '200.00', charge: '32.00' }] },
    { part: lent.number, receivedOn: '2026-11-20', movements: [{ quantity: '3', cost: '0.00', charge: '0.00' }] }
  ])
  await verified()
})

test('what is posted is what was signed: a gain keeps the cost and age it had when it was counted', async () => {
  const part = await h.make.part()
  await receive(part.number, '5', '10.00', '2026-09-05')
  await receive(part.number, '5', '1000.00', '2026-11-05')
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '11' }])
  const [{ lot }] = await lotsOf(part.number)
  const kept = { gainLot: lot, unitCost: '10.0000', receivedOn: '2026-09-05', varianceValue: '10.00' }
  expect(await c.lines(number)).toMatchObject([kept])
  // The lot is gone before it is explained, and stays what it was.
  await c.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '5' }] })

  const approved = await c.settle(number)

  expect(await c.lines(number)).toMatchObject([kept])
  expect(await moved(approved)).toEqual([[part.number, expect.any(String), '1', '10.00']])
  expect((await slipOf(approved.adjustmentSlip)).lines).toMatchObject([{ receivedOn: '2026-09-05' }])
  const { body } = await c.keeper.get(`/v1/slips/${approved.adjustmentSlip}/package`)
  expect(body.signedContent.lines).toMatchObject([{ gainLot: lot, unitCost: '10.0000', receivedOn: '2026-09-05' }])
  await verified()
})

test('what came in after they were found says nothing of found goods: their paper does', async () => {
  const part = await h.make.part()
  const { number } = await c.open()
  await c.keeper.post(`/v1/counts/${number}/lines`, { part: part.number })
  await c.count(number, [{ line: 1, counted: '2' }])
  await receive(part.number, '5', '1000.00', '2026-11-19')
  const explain = async (more: object) =>
    (await c.explain(number, [{ line: 1, cause: 'found', ...more }])).results[0].problem?.code
  expect(await explain({})).toBe('CostUndocumented')
  expect(await explain({ unitCost: '100', costDocument: '发票 77', receivedOn: '2026-06-10' })).toBeUndefined()

  expect(await moved(await c.settle(number))).toEqual([[part.number, expect.any(String), '2', '200.00']])
  expect((await lotsOf(part.number)).map(({ receivedOn, unitCost }) => [receivedOn, unitCost])).toEqual([
    ['2026-06-10', '100.0000'],
    ['2026-11-19', '1000.0000']
  ])
  await verified()
})

test('goods found on a shelf that was empty are of the lot that was there last', async () => {
  const part = await h.make.part()
  await receive(part.number, '5', '10.00', '2026-09-05')
  await receive(part.number, '5', '20.00', '2026-10-05')
  await c.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '10' }] })
  const { number } = await c.open({ kind: 'cycle', zeroStock: true })
  await c.count(number, [{ line: 1, counted: '1' }])

  expect(await moved(await c.settle(number))).toEqual([[part.number, expect.any(String), '1', '20.00']])
  expect(await lotsOf(part.number)).toMatchObject([{ receivedOn: '2026-10-05', unitCost: '20.0000' }])
  await verified()
})

test('goods that are promised cannot be written off: the line is left out and counted again, the others are adjusted', async () => {
  const [promised, free] = [await c.stocked({ quantity: '10' }), await c.stocked({ quantity: '10' })]
  await reserveAll(h.contextOf(c.keeper.person.actor), [
    {
      warehouseId: c.warehouseId,
      partId: promised.id,
      part: promised.number,
      ownership: 'own',
      quantity: '8',
      reservedFor: 'REQ-1'
    }
  ])
  const { number } = await c.open()
  await c.count(number, [
    { part: promised.number, counted: '5' },
    { part: free.number, counted: '9' }
  ])

  const approved = await c.settle(number)

  expect(approved).toMatchObject({ state: 'approved', followedBy: `${c.warehouse}-CNT-202611-00002` })
  expect(await moved(approved)).toEqual([[free.number, expect.any(String), '-1', '-12.50']])
  expect(approved.adjustmentSlip).toBe(`${c.warehouse}-ADJ-202611-00001`)
  expect((await c.lines(number)).find(({ part }) => part === promised.number)).toMatchObject({
    adjustedLine: null,
    adjustmentProblem:
      '5 are missing, and only 2 are not promised to anybody; release reservations before it is counted again'
  })
  expect(await c.lines(approved.followedBy)).toMatchObject([{ part: promised.number, state: 'open' }])
  expect([await c.onHand(promised.number), await c.onHand(free.number)]).toEqual(['10', '9'])
  await verified()
})

test('a month end that is past is adjusted on its last day, below movements of the month after', async () => {
  h.clock.set('2026-11-10T10:00')
  const part = await c.stocked({ quantity: '10', unitCost: '10.00' })
  const late = await h.make.part()
  h.clock.set('2026-12-01T10:00')
  await c.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '4' }] })
  await receive(late.number, '5', '1.00')
  h.clock.set('2026-12-02T10:00')
  const { number } = await c.open({ kind: 'month-end', period: '2026-11' })
  await c.count(number, [
    { part: part.number, counted: '5' },
    { part: late.number, counted: '4' }
  ])
  await c.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '2' }] })

  const approved = await c.settle(number)

  expect((await slipOf(approved.adjustmentSlip)).occurredOn).toBe('2026-11-30')
  expect(approved.adjustmentSlip).toBe(`${c.warehouse}-ADJ-202611-00001`)
  expect(await moved(approved)).toEqual([[part.number, expect.any(String), '-1', '-10.00']])
  // What came in after the month cannot have been lost in it.
  expect((await c.lines(number)).find((line) => line.part === late.number).adjustmentProblem).toContain(
    'were not there on 2026-11-30'
  )
  expect((await c.lines(approved.followedBy)).map((line) => line.part)).toEqual([late.number])
  const [books] = await h.sql<{ november: string; now: string }>(
    `select trim_scale(sum(quantity) filter (where occurred_on < '2026-12-01'))::text as november, trim_scale(sum(quantity))::text as now
       from movement where warehouse_id = $1 and part_id = $2`,
    [c.warehouseId, part.id]
  )
  expect(books).toEqual({ november: '9', now: '3' })
  expect(await c.onHand(part.number)).toBe('3')
  await verified()
})

test('a month that was closed meanwhile is left alone: the adjustment is of today (R-FIN-1)', async () => {
  const part = await c.stocked({ quantity: '10' })
  h.clock.set('2026-12-02T10:00')
  const { number } = await c.open({ kind: 'month-end', period: '2026-11' })
  await c.count(number, [{ part: part.number, counted: '9' }])
  await h.sql(`insert into stock_period values ($1, '2026-11-01', 'closed', $2)`, [
    c.warehouseId,
    '2026-12-02T02:00:00Z'
  ])

  const approved = await c.settle(number)

  expect((await slipOf(approved.adjustmentSlip)).occurredOn).toBe('2026-12-02')
  await verified()
})

test('an adjustment is evidence like any slip: its package holds what was signed and verifies offline', async () => {
  await c.stocked({ quantity: '10' })
  await c.stocked({ quantity: '4' })
  const { number } = await c.open()
  const [first] = await c.lines(number)
  await c.count(number, [
    { line: 1, counted: '3' },
    { line: 2, counted: '2' }
  ])
  const approved = await c.settle(number)
  const { status, body, text } = await c.keeper.get(`/v1/slips/${approved.adjustmentSlip}/package`)

  expect({ status, faults: verifySlipPackage(text) }).toEqual({ status: 200, faults: [] })
  expect(body.signedContent).toMatchObject({
    number,
    kind: 'month-end',
    period: '2026-11',
    lines: [{ line: 1, part: first.part, counted: '3' }, {}]
  })
  expect(body.signatures.map(({ contentHash }: any) => contentHash)).toEqual(Array(3).fill(approved.contentHash))
  const forged = JSON.parse(text)
  forged.signedContent.lines[0].counted = '4'
  expect(verifySlipPackage(JSON.stringify(forged)).join()).toContain('is of another content')
  const swapped = JSON.parse(text)
  swapped.signedContent.number = 'HQ-CNT-202611-00009'
  expect(verifySlipPackage(JSON.stringify(swapped)).join()).toContain('another document')
})

test('an adjustment that was wrong is reversed, and head office signs that as it signed the count', async () => {
  const part = await c.stocked({ quantity: '10' })
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '7' }])
  const { adjustmentSlip } = await c.settle(number)
  const duties = ['department-head', 'operations-supervisor', 'finance-supervisor', 'stock-controller']

  const { body: reversal } = await c.keeper.post(`/v1/slips/${adjustmentSlip}/reversal`, { reason: '找到了' })
  expect(reversal).toMatchObject({ duties, state: 'awaiting-signatures' })
  // Neither amending nor submitting it anew loses head office.
  expect((await c.keeper.put(`/v1/slips/${reversal.number}`, { reason: '全部找到了' })).body).toMatchObject({ duties })
  const [first] = Object.values(c.signers)
  await first.post(`/v1/slips/${reversal.number}/signatures`, {
    duty: 'department-head',
    decision: 'refuse',
    comment: '日期'
  })
  expect((await c.keeper.post(`/v1/slips/${reversal.number}/submission`)).body).toMatchObject({ duties })
  expect((await c.signAndPost(reversal.number)).body.code).toBe('SlipNotApproved')
  expect((await c.keeper.get(`/v1/counts/${number}`)).body.adjustmentReversal).toEqual({
    number: reversal.number,
    state: 'awaiting-signatures'
  })
  await c.controller.post(`/v1/slips/${reversal.number}/signatures`, { duty: 'stock-controller', decision: 'approve' })
  expect((await c.keeper.post(`/v1/slips/${reversal.number}/posting`)).status).toBe(200)

  expect((await c.keeper.get(`/v1/counts/${number}`)).body.adjustmentReversal.state).toBe('posted')

  expect(await c.onHand(part.number)).toBe('10')
  await verified()
})

test('a slip that was not posted is posted, not adjusted: its line is counted again by somebody else, and the error is corrected once', async () => {
  const part = await c.stocked({ quantity: '100' })
  const { body: issue } = await c.keeper.post(`/v1/warehouses/${c.warehouse}/slips`, {
    kind: 'issue',
    lines: [{ part: part.number, quantity: '40' }]
  })
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '60' }])
  const evidence = `${issue.number} 未过账`
  const explained = await c.explain(number, [{ line: 1, cause: 'unposted-slip', evidence }])
  expect(explained).toMatchObject({
    done: 1,
    results: [{ line: 1, problem: null, advice: expect.stringContaining('post the slip') }]
  })
  expect(await c.lines(number)).toMatchObject([
    {
      state: 'recount-due',
      objection: expect.stringContaining('unposted-slip'),
      expected: null,
      counted: null,
      cause: null,
      evidence: null,
      explainedBy: null,
      explainedAt: null
    }
  ])
  expect((await c.keeper.get(`/v1/counts/${number}/history`)).body.items.at(-1)).toMatchObject({
    event: 'explained',
    details: { countedAgain: [{ line: 1, cause: 'unposted-slip', evidence }] }
  })
  expect((await c.signAndPost(issue.number)).status).toBe(200)
  expect((await c.enter(number, [{ line: 1, counted: '60' }], c.technician)).results[0].problem.code).toBe(
    'SamePersonCounted'
  )
  await c.enter(number, [{ line: 1, counted: '60' }], c.signers['operations-supervisor'])

  expect(await c.lines(number)).toMatchObject([{ state: 'settled', variance: '0' }])
  expect(await c.onHand(part.number)).toBe('60')
})

test.each(['miscount', 'wrong-unit'])(
  'for %s the ledger is not adjusted; where only the card is off it is a cause',
  async (cause) => {
    await c.stocked({ quantity: '10' })
    await c.stocked({ quantity: '10' })
    const { number } = await c.open()
    await c.count(number, [
      { line: 1, counted: '9' },
      { line: 2, counted: '10', card: '9' }
    ])
    await c.explain(number, [
      { line: 1, cause },
      { line: 2, cause }
    ])
    expect(await c.lines(number)).toMatchObject([
      { state: 'recount-due', cause: null },
      { state: 'settled', cause }
    ])
  }
)

test('what a slip adjusted by hand after it was counted, or took back, is left out and counted again', async () => {
  const [byHand, reversed, free] = [
    await c.stocked({ quantity: '10' }),
    await c.stocked({ quantity: '10' }),
    await c.stocked({ quantity: '10' })
  ]
  const adjust = (part: { number: string }) =>
    c.posted({ kind: 'adjustment', reason: '盘亏', lines: [{ part: part.number, quantity: '-4' }] })
  const before = await adjust(reversed)
  await adjust(free)
  const { number } = await c.open()
  await c.count(number, [
    { part: byHand.number, counted: '6' },
    { part: reversed.number, counted: '5' },
    { part: free.number, counted: '5' }
  ])
  const after = await adjust(byHand)
  const { body: reversal } = await c.keeper.post(`/v1/slips/${before.number}/reversal`, { reason: '找到了' })
  expect((await c.signAndPost(reversal.number)).status).toBe(200)

  const approved = await c.settle(number)

  expect(await moved(approved)).toEqual([[free.number, expect.any(String), '-1', '-12.50']])
  const problemOf = async (part: { number: string }) =>
    (await c.lines(number)).find((line) => line.part === part.number).adjustmentProblem
  expect(await problemOf(byHand)).toContain(after.number)
  expect(await problemOf(reversed)).toContain(reversal.number)
  expect(await c.lines(approved.followedBy)).toHaveLength(2)
  expect(await c.onHand(byHand.number)).toBe('6')
  await verified()
})

test('a gain that is taken back is not released without head office, however urgent (R-OUT-2)', async () => {
  await c.stocked({ quantity: '10' })
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '12' }])
  const { adjustmentSlip } = await c.settle(number)
  const { body: reversal } = await c.keeper.post(`/v1/slips/${adjustmentSlip}/reversal`, { reason: '数错了' })
  await c.sign(reversal.number)
  expect(
    await c.keeper.post(`/v1/slips/${reversal.number}/emergency-release`, {
      missingDuty: 'stock-controller',
      authorisedBy: 'x',
      reason: '急',
      handedTo: 'x'
    })
  ).toMatchObject({ status: 422, body: { code: 'HeadOfficeMustSign' } })
})

test('no policy lets a count adjust the ledger without finance and head office (R-CNT-4)', async () => {
  const admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  const set = (duties: string[]) => admin.put('/v1/signing-policies/count', { duties })
  for (const duties of [
    ['department-head', 'operations-supervisor', 'finance-supervisor'],
    ['department-head', 'operations-supervisor', 'stock-controller']
  ])
    expect(await set(duties)).toMatchObject({ status: 422, body: { code: 'CountNeedsHeadOffice' } })
  expect((await set(['finance-supervisor', 'department-head', 'stock-controller'])).status).toBe(200)
})

test('more than a balance holds is left out and counted again, and the last signature is not held up', async () => {
  const [full, free] = [await c.stocked({ quantity: '10', unitCost: '0.01' }), await c.stocked({ quantity: '10' })]
  const { number } = await c.open()
  await c.count(number, [
    { part: full.number, counted: '999999999999.999' },
    { part: free.number, counted: '9' }
  ])
  await receive(full.number, '5', '0.01')

  const approved = await c.settle(number)

  expect(await moved(approved)).toEqual([[free.number, expect.any(String), '-1', '-12.50']])
  expect((await c.lines(number)).find(({ part }) => part === full.number).adjustmentProblem).toContain(
    'more than can be kept'
  )
  expect(await c.lines(approved.followedBy)).toMatchObject([{ part: full.number }])
  expect(await c.onHand(full.number)).toBe('15')
})

test('a count of which nothing differs writes no slip and takes no number', async () => {
  await c.stocked({ quantity: '10' })
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '10' }])
  expect(await c.settle(number)).toMatchObject({ state: 'approved', adjustmentSlip: null, followedBy: null })
  const [{ slips }] = await h.sql<{ slips: number }>(
    `select count(*)::int as slips from document_number where warehouse_id = $1 and series = 'ADJ'`,
    [c.warehouseId]
  )
  expect(slips).toBe(0)
  // Its balances are free for the next count.
  await c.open({ kind: 'cycle', notCountedSince: '2026-11-21' })
})

test('what was counted is never edited, deleted or emptied, not even past the service', async () => {
  await c.stocked()
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '10' }])
  for (const statement of ['update count_entry set counted = 1', 'delete from count_entry', 'truncate count_entry'])
    await expect(h.sql(statement)).rejects.toThrow('never edited or deleted')
})
