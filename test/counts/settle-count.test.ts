import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { openCounting, type Counting } from '../support/counting.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let c: Counting
let stranger: Caller
beforeAll(async () => {
  h = await openHarness()
  const { code } = await h.make.warehouse()
  stranger = callerFor(
    h,
    await h.make.person({
      grants: (['keeper', 'finance-supervisor', 'department-head'] as const).map((duty) => ({ duty, warehouse: code }))
    })
  )
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  c = await openCounting(h)
})
afterAll(() => h.close())

const problems = (answer: { body: any }) => answer.body.results.map(({ problem }: any) => problem?.code ?? null)

/** A count of three parts: two short of one, the third right; who counted again is the technician. */
async function countedOff(): Promise<string> {
  for (const quantity of ['10', '20', '30']) await c.stocked({ quantity, unitCost: '2.00' })
  const { number } = await c.open()
  const lines = await c.lines(number)
  const expected = await h.sql<{ line: number; snapshot: string }>(
    `select line_no as line, trim_scale(snapshot)::text as snapshot from count_line where warehouse_id = $1`,
    [c.warehouseId]
  )
  await c.count(
    number,
    lines.map(({ line }) => {
      const there = Number(expected.find((row) => row.line === line)?.snapshot)
      return { line, counted: String(line === 3 ? there : there - 1) }
    })
  )
  return number
}

test('each difference has a cause and evidence, is verified, and only then the count is handed in (R-CNT-4)', async () => {
  const number = await countedOff()
  const explain = (lines: object[]) => c.keeper.post(`/v1/counts/${number}/explanations`, { lines })
  const verify = (lines: object[]) =>
    c.signers['finance-supervisor'].post(`/v1/counts/${number}/verifications`, { lines })
  const submit = () => c.keeper.post(`/v1/counts/${number}/submission`)

  expect(await submit()).toMatchObject({ status: 409, body: { code: 'VariancesNotExplained', total: 2 } })
  expect(
    problems(
      await explain([
        { line: 1, cause: 'damage', evidence: '照片 7' },
        { line: 1, cause: 'theft', evidence: '照片 8' },
        { line: 2, cause: 'other', evidence: '照片 9' },
        { line: 3, cause: 'unknown', evidence: '无' },
        { line: 9, cause: 'unknown', evidence: '无' }
      ])
    )
  ).toEqual([null, 'LineTwice', 'CauseNoteMissing', 'NothingDiffers', 'CountLineUnknown'])
  expect(
    problems(await explain([{ line: 2, cause: 'damage', evidence: 'x', unitCost: '1', costDocument: 'y' }]))
  ).toEqual(['CostNotAsked'])
  expect((await explain([{ line: 2, cause: 'damage' }])).status).toBe(400)
  expect(problems(await verify([{ line: 2, accepted: true }]))).toEqual(['VarianceNotExplained'])
  await c.explain(number, [{ line: 2, cause: 'other', causeNote: '漏记' }])
  expect(await submit()).toMatchObject({ status: 409, body: { code: 'VariancesNotVerified', total: 2 } })
  expect(
    problems(
      await verify([
        { line: 1, accepted: true, comment: '已看' },
        { line: 2, accepted: false },
        { line: 3, accepted: true }
      ])
    )
  ).toEqual([null, 'ReasonMissing', 'NothingDiffers'])
  expect(await c.lines(number)).toMatchObject([
    {
      cause: 'damage',
      evidence: '照片 7',
      explainedBy: c.keeper.person.username,
      verifiedBy: c.signers['finance-supervisor'].person.username,
      verificationNote: '已看'
    },
    { cause: 'other', causeNote: '漏记', verifiedBy: null },
    { differs: false }
  ])
  // Another explanation is verified anew.
  await c.explain(number, [{ line: 1, cause: 'theft' }])
  expect(await submit()).toMatchObject({ body: { code: 'VariancesNotVerified', total: 2 } })
  await c.verified(number, [{ line: 1 }, { line: 2 }])
  expect(await submit()).toMatchObject({
    status: 200,
    body: {
      state: 'awaiting-signatures',
      submittedBy: c.keeper.person.username,
      contentHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      awaiting: ['finance-supervisor', 'department-head', 'stock-controller'],
      progress: { differences: 2, explained: 2, verified: 2, gainValue: '0.00', lossValue: '4.00' }
    }
  })
  expect((await submit()).body.code).toBe('CountNotOpen')
  expect((await explain([{ line: 1, cause: 'damage', evidence: 'x' }])).body.code).toBe('CountNotOpen')
  expect((await verify([{ line: 1, accepted: true }])).body.code).toBe('CountNotOpen')
})

test('what the finance supervisor does not accept is blind again and counted again', async () => {
  const number = await countedOff()
  await c.explain(number, [{ line: 1 }, { line: 2 }])
  await c.verified(number, [{ line: 1, accepted: false, comment: '货架后面还有' }, { line: 2 }])

  expect((await c.lines(number))[0]).toMatchObject({
    state: 'recount-due',
    objection: '货架后面还有',
    counted: null,
    expected: null,
    cause: null,
    explainedBy: null
  })
  expect(await c.keeper.post(`/v1/counts/${number}/submission`)).toMatchObject({
    status: 409,
    body: { code: 'LinesNotSettled', total: 1, lines: [{ line: 1, state: 'recount-due' }] }
  })
  // The technician counted last, the keeper before: whoever counted once has seen what was expected.
  for (const again of [c.technician, c.keeper])
    expect((await c.enter(number, [{ line: 1, counted: '1' }], again)).results[0].problem.code).toBe(
      'SamePersonCounted'
    )
  await c.enter(number, [{ line: 1, counted: '1' }], c.signers['operations-supervisor'])
  expect((await c.lines(number))[0]).toMatchObject({
    state: 'settled',
    rounds: 3,
    counted: '1',
    objection: '货架后面还有',
    cause: null
  })
})

test('a card that says something else needs a cause too, and adjusts nothing (R-STK-3)', async () => {
  const part = await c.stocked({ quantity: '5' })
  const { number } = await c.open()
  expect((await c.enter(number, [{ line: 1, counted: '5', card: '4' }])).settled).toBe(1)
  expect(await c.lines(number)).toMatchObject([{ variance: '0', cardVariance: '1', differs: true }])
  expect((await c.keeper.post(`/v1/counts/${number}/submission`)).body.code).toBe('VariancesNotExplained')

  expect(await c.settle(number)).toMatchObject({ state: 'approved', adjustmentSlip: null })
  expect(await c.onHand(part.number)).toBe('5')
})

test('lines that hold up the others are set aside, and a count that follows has them again', async () => {
  const number = await countedOff()
  const setAside = (lines: object[], as = c.signers['finance-supervisor']) =>
    as.post(`/v1/counts/${number}/set-aside`, { lines })
  expect((await setAside([{ line: 1, reason: 'x' }], c.keeper)).status).toBe(403)
  expect((await setAside([{ line: 1, reason: 'x' }], stranger)).status).toBe(404)
  expect(
    problems(
      await setAside([
        { line: 2, reason: '有争议' },
        { line: 7, reason: 'x' }
      ])
    )
  ).toEqual([null, 'CountLineUnknown'])
  expect(problems(await setAside([{ line: 2, reason: '有争议' }]))).toEqual(['LineSetAside'])
  expect((await c.lines(number))[1]).toMatchObject({
    state: 'set-aside',
    setAsideBecause: '有争议',
    expected: null,
    variance: null
  })
  expect((await c.enter(number, [{ line: 2, counted: '1' }])).results[0].problem.code).toBe('LineSetAside')

  const approved = await c.settle(number)

  expect(approved).toMatchObject({ state: 'approved', followedBy: `${c.warehouse}-CNT-202611-00002` })
  const { body: following } = await c.keeper.get(`/v1/counts/${approved.followedBy}`)
  expect(following).toMatchObject({
    kind: 'cycle',
    state: 'counting',
    follows: number,
    scope: { followUp: true },
    progress: { lines: 1, open: 1 }
  })
  expect((await c.lines(approved.followedBy))[0].part).toBe((await c.lines(number))[1].part)
})

test('a count of which everything is set aside is none', async () => {
  await c.stocked()
  const { number } = await c.open()
  await c.signers['finance-supervisor'].post(`/v1/counts/${number}/set-aside`, {
    lines: [{ line: 1, reason: 'later' }]
  })
  expect(await c.keeper.post(`/v1/counts/${number}/submission`)).toMatchObject({
    status: 409,
    body: { code: 'NothingCounted' }
  })
})

test('nobody verifies or signs what they counted or explained, head office signs last, a refusal opens it again', async () => {
  const all = callerFor(
    h,
    await h.make.person({
      grants: (['keeper', 'finance-supervisor', 'department-head', 'stock-controller'] as const).map((duty) => ({
        duty,
        warehouse: c.warehouse
      }))
    })
  )
  await c.stocked({ quantity: '10' })
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '9' }])
  expect(
    problems(
      await all.post(`/v1/counts/${number}/explanations`, { lines: [{ line: 1, cause: 'damage', evidence: 'x' }] })
    )
  ).toEqual([null])
  expect(
    problems(await all.post(`/v1/counts/${number}/verifications`, { lines: [{ line: 1, accepted: true }] }))
  ).toEqual(['VerifierNotIndependent'])
  await c.verified(number, [{ line: 1 }])
  const sign = (as: Caller, duty: string, more: object = {}, headers = {}) =>
    as.post(`/v1/counts/${number}/signatures`, { duty, decision: 'approve', ...more }, headers)
  expect(await sign(c.signers['finance-supervisor'], 'finance-supervisor')).toMatchObject({
    status: 409,
    body: { code: 'CountNotAwaitingSignatures' }
  })
  const { contentHash } = await c.submit(number)

  expect((await sign(all, 'finance-supervisor')).body.code).toBe('PreparerMaySign')
  expect((await sign(c.keeper, 'department-head')).status).toBe(403)
  expect((await sign(stranger, 'finance-supervisor')).status).toBe(404)
  expect((await sign(c.signers['operations-supervisor'], 'operations-supervisor')).body.code).toBe('DutyNotAsked')
  expect(await sign(c.controller, 'stock-controller')).toMatchObject({
    status: 422,
    body: { code: 'HeadOfficeSignsLast', awaiting: ['finance-supervisor', 'department-head'] }
  })
  expect(
    (await sign(c.signers['finance-supervisor'], 'finance-supervisor', { contentHash: '0'.repeat(64) })).body.code
  ).toBe('ContentChanged')
  expect((await sign(c.signers['finance-supervisor'], 'finance-supervisor', {}, { 'if-match': '"1"' })).status).toBe(
    412
  )
  expect(await sign(c.signers['finance-supervisor'], 'finance-supervisor', { contentHash })).toMatchObject({
    status: 200,
    body: {
      signatures: [{ duty: 'finance-supervisor', contentHash }],
      awaiting: ['department-head', 'stock-controller']
    }
  })
  expect((await sign(c.signers['finance-supervisor'], 'finance-supervisor')).body.code).toBe('AlreadySigned')
  expect((await sign(c.signers['department-head'], 'department-head', { decision: 'refuse' })).body.code).toBe(
    'ReasonMissing'
  )
  expect(
    await sign(c.signers['department-head'], 'department-head', { decision: 'refuse', comment: '原因不对' })
  ).toMatchObject({
    status: 200,
    body: {
      state: 'counting',
      signatures: [],
      contentHash: null,
      submittedAt: null,
      refusal: { by: c.signers['department-head'].person.username, duty: 'department-head', reason: '原因不对' }
    }
  })
  expect(await c.settle(number)).toMatchObject({ state: 'approved', refusal: null, awaiting: [] })
  expect(await sign(c.controller, 'stock-controller')).toMatchObject({ status: 409 })
  expect((await c.keeper.post(`/v1/counts/${number}/cancellation`, { reason: 'x' })).body.code).toBe(
    'CountNotCancellable'
  )
})

test('a line changed behind the service’s back is found out before the last signature (R-SIG-2)', async () => {
  await c.stocked({ quantity: '10' })
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '9' }])
  await c.explain(number, [{ line: 1 }])
  await c.verified(number, [{ line: 1 }])
  await c.submit(number)
  await h.sql(`update count_line set counted = 8 where warehouse_id = $1`, [c.warehouseId])

  const { status, body } = await c.signers['finance-supervisor'].post(`/v1/counts/${number}/signatures`, {
    duty: 'finance-supervisor',
    decision: 'approve'
  })
  expect({ status, code: body.code }).toEqual({ status: 409, code: 'SignatureOfOtherContent' })
})

test('who may explain, verify and submit', async () => {
  const number = await countedOff()
  const explanation = { lines: [{ line: 1, cause: 'damage', evidence: 'x' }] }
  const verification = { lines: [{ line: 1, accepted: true }] }
  const post = (as: Caller, verb: string, body: object = {}) => as.post(`/v1/counts/${number}/${verb}`, body)

  expect((await post(c.technician, 'explanations', explanation)).status).toBe(403)
  expect((await post(stranger, 'explanations', explanation)).status).toBe(404)
  expect((await post(c.keeper, 'verifications', verification)).status).toBe(403)
  expect((await post(stranger, 'verifications', verification)).status).toBe(404)
  expect((await post(c.signers['department-head'], 'submission')).status).toBe(403)
  expect((await post(stranger, 'submission')).status).toBe(404)
  expect((await post(c.signers['department-head'], 'explanations', explanation)).body).toMatchObject({
    done: 1,
    refused: 0
  })
})

test('the same signature at the same moment counts once, and the last one adjusts once', async () => {
  const part = await c.stocked({ quantity: '10' })
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '7' }])
  await c.explain(number, [{ line: 1 }])
  await c.verified(number, [{ line: 1 }])
  await c.submit(number)
  for (const duty of ['finance-supervisor', 'department-head'] as const)
    await c.signers[duty].post(`/v1/counts/${number}/signatures`, { duty, decision: 'approve' })

  const answers = await Promise.all(
    [1, 2, 3, 4].map(() =>
      c.controller.post(`/v1/counts/${number}/signatures`, { duty: 'stock-controller', decision: 'approve' })
    )
  )

  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409])
  expect(await c.onHand(part.number)).toBe('7')
  expect(await c.verify()).toMatchObject({ ok: true })
})
