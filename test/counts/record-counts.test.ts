import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { inTransaction } from '../../src/platform/context.ts'
import { postSlip } from '../../src/slips/post-slip.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openCounting, type Counting } from '../support/counting.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let c: Counting
beforeAll(async () => {
  h = await openHarness({ poolSize: 16 })
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  c = await openCounting(h)
})
afterAll(() => h.close())

const here = (duty: 'keeper' | 'technician') => async (): Promise<Caller> =>
  callerFor(h, await h.make.person({ grants: [{ duty, warehouse: c.warehouse }] }))
const anotherKeeper = here('keeper')

/** Every entry of the warehouse beside what the ledger had moved up to its position. */
const entries = () =>
  h.sql<{ expected: string; moved: string }>(
    `select e.expected, coalesce((select sum(m.quantity) from movement m
        where m.warehouse_id = e.warehouse_id and m.part_id = l.part_id and m.ownership = l.ownership and m.condition = l.condition and m.id <= e.position), 0.000) as moved
       from count_entry e join count_line l on l.warehouse_id = e.warehouse_id and l.count_id = e.count_id and l.line_no = e.line_no
      where e.warehouse_id = $1`,
    [c.warehouseId]
  )

test('work goes on: what is expected is the snapshot and the movements up to the moment of the entry (R-CNT-1)', async () => {
  const part = await c.stocked({ quantity: '10' })
  const { number } = await c.open()
  await c.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '3' }] })

  expect(await c.enter(number, [{ part: part.number, counted: '7' }])).toEqual({
    number,
    version: 2,
    settled: 1,
    recountDue: 0,
    refused: 0,
    results: [{ line: 1, part: part.number, outcome: 'settled', problem: null }]
  })
  await c.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '2' }] })
  expect(await c.lines(number)).toMatchObject([
    { snapshot: '10', expected: '7', counted: '7', card: '7', variance: '0', varianceValue: '0.00', differs: false }
  ])
  // What moved after the line was counted is nobody's variance.
  const { adjustmentSlip, state } = await c.settle(number)
  expect({ adjustmentSlip, state }).toEqual({ adjustmentSlip: null, state: 'approved' })
  expect(await c.onHand(part.number)).toBe('5')
})

test('however much is posted and counted at once, every entry expects exactly what had moved', async () => {
  const parts = await Promise.all(Array.from({ length: 6 }, () => c.stocked({ quantity: '60' })))
  const shuffled = (some: typeof parts) => some.toSorted(() => Math.random() - 0.5)
  const slips: { number: string }[] = []
  for (let slip = 0; slip < 18; slip++) {
    const lines = shuffled(parts).map(({ number }) => ({ part: number, quantity: '1' }))
    slips.push(
      await c.slip(
        slip % 3 === 0
          ? { kind: 'receipt', lines: lines.map((line) => ({ ...line, unitCost: '1' })) }
          : { kind: 'issue', lines }
      )
    )
  }
  for (const { number } of slips) await c.sign(number)
  const { number } = await c.open()
  const recounter = await anotherKeeper()

  const post = async (some: typeof slips) => {
    for (const slip of some) await c.keeper.post(`/v1/slips/${slip.number}/posting`)
  }
  const count = async (as: Caller) => {
    for (let round = 0; round < 3; round++)
      await as.post(`/v1/counts/${number}/entries`, {
        entries: shuffled(parts).map((part) => ({ part: part.number, counted: '1', card: '1' }))
      })
  }
  await Promise.all([
    post(slips.slice(0, 6)),
    post(slips.slice(6, 12)),
    post(slips.slice(12)),
    count(c.keeper),
    count(recounter),
    count(c.technician)
  ])

  const made = await entries()
  // Each part was counted by two of them, and by nobody a third time.
  expect(made).toHaveLength(12)
  for (const { expected, moved } of made) expect(expected).toBe(moved)
  expect(await c.verify()).toMatchObject({ ok: true })
})

test('who counts or opens a count waits for a posting that is under way', async () => {
  const part = await c.stocked({ quantity: '10' })
  const issue = async () => {
    const { number } = await c.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await c.sign(number)
    return number
  }
  /** Posts, begins something else, and commits only a while later. */
  const whilePosting = async <Result>(begin: () => Promise<Result>): Promise<Result> => {
    const number = await issue()
    let begun: Promise<Result> | undefined
    await inTransaction(h.contextOf(c.keeper.person.actor), async (inner) => {
      await postSlip(inner, { number })
      begun = begin()
      await setTimeout(300)
    })
    if (begun === undefined) throw new Error('nothing was begun')
    return begun
  }

  const { number } = await whilePosting(() => c.open())
  expect(await whilePosting(() => c.enter(number, [{ line: 1, counted: '8' }]))).toMatchObject({ settled: 1 })
  expect(await c.lines(number)).toMatchObject([{ snapshot: '9', expected: '8', variance: '0' }])
  for (const { expected, moved } of await entries()) expect(expected).toBe(moved)
})

test('of two counters at one line at once, one entry wins and the other is told so', async () => {
  const part = await c.stocked({ quantity: '10' })
  const { number } = await c.open()
  const other = await anotherKeeper()

  const answers = await Promise.all([c.keeper, other].map((as) => c.enter(number, [{ line: 1, counted: '10' }], as)))

  const outcomes = answers.map(({ results }) => results[0])
  expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['refused', 'settled'])
  expect(outcomes.find(({ outcome }) => outcome === 'refused').problem).toEqual({
    code: 'LineSettled',
    detail: `line 1 (${part.number}) is settled; it is counted again when the finance supervisor does not accept it`
  })
  expect(await entries()).toHaveLength(1)
})

test('what is off is counted again by somebody else, who is not told by how much (R-CNT-2)', async () => {
  const part = await c.stocked({ quantity: '17.125' })
  const { number } = await c.open()

  const first = await c.enter(number, [{ line: 1, counted: '16.5' }])
  expect(first).toMatchObject({ settled: 0, recountDue: 1, results: [{ outcome: 'recount-due', problem: null }] })
  const blind = await c.lines(number)
  expect(blind).toMatchObject([
    {
      state: 'recount-due',
      rounds: 1,
      countedBy: c.keeper.person.username,
      counted: null,
      expected: null,
      variance: null
    }
  ])
  const again = await c.enter(number, [{ line: 1, counted: '16.5' }])
  expect(again.results[0]).toMatchObject({ outcome: 'refused', problem: { code: 'SamePersonCounted' } })
  const { text: history } = await c.keeper.get(`/v1/counts/${number}/history`)
  const { text: header } = await c.keeper.get(`/v1/counts/${number}`)
  const said = JSON.stringify([first, blind, again]) + history + header
  for (const figure of ['17.125', '0.625', '16.5']) expect(said).not.toContain(figure)

  await c.enter(number, [{ part: part.number, counted: '16.5', card: '17' }], c.technician)
  expect(await c.lines(number)).toMatchObject([
    {
      state: 'settled',
      rounds: 2,
      countedBy: c.technician.person.username,
      counted: '16.5',
      card: '17',
      expected: '17.125',
      variance: '-0.625',
      cardVariance: '-0.5',
      varianceValue: '-7.81'
    }
  ])
})

test('who stands in for the first counter does not count again', async () => {
  await c.stocked()
  const { number } = await c.open()
  const deputy = callerFor(h, await h.make.person({ grants: [{ duty: 'technician', warehouse: c.warehouse }] }))
  const { status } = await c.keeper.post('/v1/delegations', {
    to: deputy.person.username,
    validTo: '2026-12-31',
    reason: '年假'
  })
  expect(status).toBe(201)
  // As a technician the deputy acts for nobody.
  await c.enter(number, [{ line: 1, counted: '9' }])
  expect((await c.enter(number, [{ line: 1, counted: '9' }], deputy)).results[0].outcome).toBe('settled')

  const second = await openCounting(h)
  await second.stocked()
  const count = await second.open()
  const standIn = callerFor(h, await h.make.person())
  await second.keeper.post('/v1/delegations', { to: standIn.person.username, validTo: '2026-12-31', reason: '年假' })
  await second.enter(count.number, [{ line: 1, counted: '9' }], standIn)
  expect((await second.enter(count.number, [{ line: 1, counted: '9' }])).results[0].problem.code).toBe(
    'SamePersonCounted'
  )
})

test('tolerance in percent and in money decides which lines are counted again', async () => {
  const cheap = await c.stocked({ quantity: '100', unitCost: '0.10' })
  const dear = await c.stocked({ quantity: '100', unitCost: '50' })
  const classed = await c.stocked({ quantity: '100', unitCost: '0.10' })
  await h.sql(`update part set criticality = 'A' where id = $1`, [classed.id])
  await h.sql(`update count_tolerance set percent = 2, amount = 10 where criticality = '*'`)
  await h.sql(`insert into count_tolerance values ('A', 0, 0)`)
  try {
    const { number } = await c.open()
    const { results } = await c.enter(number, [
      { part: cheap.number, counted: '98' },
      { part: dear.number, counted: '99' },
      { part: classed.number, counted: '99' }
    ])
    expect(results.map(({ outcome }: { outcome: string }) => outcome)).toEqual([
      'settled',
      'recount-due',
      'recount-due'
    ])
  } finally {
    await h.sql(`delete from count_tolerance where criticality = 'A'`)
    await h.sql(`update count_tolerance set percent = 0, amount = 0`)
  }
})

test('zero is a count; a quantity with four decimals or in words is none', async () => {
  const part = await c.stocked()
  await c.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '10' }] })
  const { number } = await c.open({ kind: 'cycle', zeroStock: true })
  for (const counted of ['1.2345', 'seven', '-1', '', null, 5])
    expect(
      await c.keeper.post(`/v1/counts/${number}/entries`, { entries: [{ line: 1, counted, card: '0' }] })
    ).toMatchObject({ status: 400 })
  expect((await c.keeper.post(`/v1/counts/${number}/entries`, { entries: [{ line: 1, counted: '0' }] })).status).toBe(
    400
  )

  expect(await c.enter(number, [{ line: 1, counted: '0.000', card: '0' }])).toMatchObject({ settled: 1 })
})

test('one bad entry stops none of the others', async () => {
  const [a, b] = [await c.stocked({ quantity: '3' }), await c.stocked({ quantity: '4' })]
  const elsewhere = await openCounting(h)
  const foreign = await elsewhere.stocked()
  await elsewhere.open()
  const { number } = await c.open()
  const lineOf = async (part: string) => (await c.lines(number)).find((line) => line.part === part).line

  const answer = await c.enter(number, [
    { line: 99, counted: '1' },
    { part: foreign.number, counted: '10' },
    { counted: '1' },
    { line: await lineOf(a.number), part: b.number, counted: '3' },
    { part: a.number, condition: 'nonconforming', counted: '3' },
    { part: a.number, counted: '3' },
    { part: a.number, counted: '3' },
    { part: b.number, counted: '4' }
  ])

  expect(answer).toMatchObject({ settled: 2, recountDue: 0, refused: 6 })
  expect(answer.results.map(({ problem, outcome }: any) => problem?.code ?? outcome)).toEqual([
    'CountLineUnknown',
    'CountLineUnknown',
    'LineMissing',
    'LineIsOfOtherGoods',
    'CountLineUnknown',
    'settled',
    'LineTwice',
    'settled'
  ])
})

test('a slip of the pen that is worth more than can be kept stops none of the others', async () => {
  const [dear, other] = [await c.stocked({ unitCost: '900000' }), await c.stocked()]
  const { number } = await c.open()
  const answer = await c.enter(number, [
    { part: dear.number, counted: '999999999999' },
    { part: other.number, counted: '10' }
  ])
  expect(answer.results).toMatchObject([
    { outcome: 'refused', problem: { code: 'NumberTooLarge' } },
    { outcome: 'settled' }
  ])
})

test('lot by lot: each lot has its difference, and no lot is of other goods', async () => {
  const part = await c.stocked({ quantity: '5', unitCost: '10' })
  await c.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '6', unitCost: '20' }] })
  const other = await c.stocked({ quantity: '1' })
  const lotsOf = async ({ number }: { number: string }): Promise<string[]> =>
    (await c.keeper.get(`/v1/warehouses/${c.warehouse}/lots?part=${number}`)).body.items.map(({ lot }: any) => lot)
  const [old = '', young = ''] = await lotsOf(part)
  const [strange = ''] = await lotsOf(other)
  const { number } = await c.open({ kind: 'cycle', parts: [part.number] })
  const enter = async (counted: string, lots: { lot: string; counted: string }[], as = c.keeper) =>
    (await c.enter(number, [{ line: 1, counted, lots }], as)).results[0]

  expect(
    (
      await enter('11', [
        { lot: old, counted: '5' },
        { lot: young, counted: '5' }
      ])
    ).problem.code
  ).toBe('LotsDoNotSum')
  expect(
    (
      await enter('10', [
        { lot: old, counted: '5' },
        { lot: old, counted: '5' }
      ])
    ).problem.code
  ).toBe('LotTwice')
  expect(
    (
      await enter('11', [
        { lot: old, counted: '5' },
        { lot: young, counted: '6' },
        { lot: strange, counted: '0' }
      ])
    ).problem.code
  ).toBe('LotOfOtherGoods')
  expect(
    await enter('11', [
      { lot: old, counted: '6' },
      { lot: young, counted: '5' }
    ])
  ).toMatchObject({
    outcome: 'recount-due'
  })
  await enter(
    '11',
    [
      { lot: young, counted: '5' },
      { lot: old, counted: '6.000' }
    ],
    c.technician
  )
  // Nothing is missing as a whole, and yet the lots are not what they should be.
  expect(await c.lines(number)).toMatchObject([
    {
      variance: '0',
      differs: true,
      varianceValue: '-10.00',
      lots: [
        { lot: old, counted: '6', expected: '5', variance: '1' },
        { lot: young, counted: '5', expected: '6', variance: '-1' }
      ]
    }
  ])
})

test('goods that no line has are a line too', async () => {
  await c.stocked()
  const unknown = await h.make.part()
  const { number } = await c.open()
  const add = (body: object, as = c.keeper) => as.post(`/v1/counts/${number}/lines`, body)

  expect(await add({ part: unknown.number })).toMatchObject({
    status: 201,
    body: { line: 2, part: unknown.number, found: true, state: 'open', expected: null }
  })
  expect(await add({ part: unknown.number })).toMatchObject({
    status: 409,
    body: { code: 'LineAlreadyThere', line: 2 }
  })
  expect(await add({ part: unknown.number, condition: 'nonconforming' })).toMatchObject({
    status: 201,
    body: { line: 3 }
  })
  expect(await add({ part: 'NO-SUCH-PART' })).toMatchObject({ status: 422, body: { code: 'PartUnknown' } })
  expect((await add({ part: unknown.number }, c.technician)).status).toBe(403)
  // Goods that come in on a slip before they are counted are expected.
  await c.posted({ kind: 'receipt', lines: [{ part: unknown.number, quantity: '4', unitCost: '1' }] })
  expect(await c.enter(number, [{ line: 2, counted: '4' }])).toMatchObject({ settled: 1 })
  expect((await c.lines(number))[1]).toMatchObject({ expected: '4', variance: '0', found: true, snapshot: null })
  expect(await c.verify()).toMatchObject({ ok: true })
})

test('who may count', async () => {
  await c.stocked()
  const { number } = await c.open()
  const entry = { entries: [{ line: 1, counted: '10', card: '10' }] }
  const enter = (as: Caller) => as.post(`/v1/counts/${number}/entries`, entry)
  const stranger = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'keeper', warehouse: (await h.make.warehouse()).code }] })
  )

  expect(await enter(c.signers['finance-supervisor'])).toMatchObject({ status: 403, body: { code: 'DutyRequired' } })
  expect((await enter(stranger)).status).toBe(404)
  // A technician counts again, but not first.
  expect((await enter(c.technician)).body.results[0].problem.code).toBe('DutyRequired')
  expect(await c.keeper.post(`/v1/counts/${number}/entries`, entry, { 'if-match': '"7"' })).toMatchObject({
    status: 412
  })
  expect((await enter(await anotherKeeper())).body.settled).toBe(1)
  await c.submit(number)
  expect(await enter(c.keeper)).toMatchObject({
    status: 409,
    body: { code: 'CountNotOpen', detail: expect.stringContaining('a signer may refuse it') }
  })
})

test('a machine counts as the person it acts for, and signs nothing', async () => {
  await c.stocked()
  const { number } = await c.open()
  const administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  const keyOf = async ({ person }: Caller): Promise<string> =>
    (
      await administrator.post('/v1/api-keys', {
        name: 'scanner',
        person: person.username,
        access: 'write',
        expiresOn: '2027-11-20'
      })
    ).body.key
  const scan = async (key: string, path: string, body: object) => h.api.post(path).set('x-api-key', key).send(body)

  const counted = await scan(await keyOf(c.keeper), `/v1/counts/${number}/entries`, {
    entries: [{ line: 1, counted: '10', card: '10' }]
  })
  expect(counted.body).toMatchObject({ settled: 1 })
  await c.submit(number)
  const signed = await scan(await keyOf(c.signers['finance-supervisor']), `/v1/counts/${number}/signatures`, {
    duty: 'finance-supervisor',
    decision: 'approve'
  })
  expect(signed).toMatchObject({ status: 403, body: { code: 'PersonMustSign' } })
})
