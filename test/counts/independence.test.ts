import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Duty } from '../../src/identity/actor.ts'
import { callsAs } from '../support/calls.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openCounting, type Counting } from '../support/counting.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'

// Nobody makes a loss vanish alone: what somebody has seen is never entered by them as if it were counted blind (R-CNT-2), and
// nobody supervises what they did themselves, in whatever round and whomever they stand in for (R-ORG-2).

let h: Harness
let c: Counting
let finance: Caller
let operations: Caller
beforeAll(async () => {
  h = await openHarness()
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  c = await openCounting(h)
  finance = c.signers['finance-supervisor']
  operations = c.signers['operations-supervisor']
})
afterAll(() => h.close())

const someone = async (...duties: Duty[]): Promise<Caller> =>
  callerFor(h, await h.make.person({ grants: duties.map((duty) => ({ duty, warehouse: c.warehouse })) }))
const problems = (answer: { body: any }) => answer.body.results.map(({ problem }: any) => problem?.code ?? null)
const codeOf = ({ status, body }: { status: number; body: any }) => [status, body.code]
const verify = (number: string, lines: object[], as = finance) =>
  as.post(`/v1/counts/${number}/verifications`, { lines })
const setAside = (number: string, line: number, as = finance) =>
  as.post(`/v1/counts/${number}/set-aside`, { lines: [{ line, reason: '货架被封' }] })
const cancel = (number: string, as: Caller) => as.post(`/v1/counts/${number}/cancellation`, { reason: '重新盘点' })
const standIn = async (absent: Caller, deputy: Caller) => {
  const { status } = await absent.post('/v1/delegations', {
    to: deputy.person.username,
    validTo: '2026-12-31',
    reason: '年假'
  })
  expect(status).toBe(201)
}
const outcomeOf = async (number: string, counted: string, as: Caller) => {
  const { outcome, problem } = (await c.enter(number, [{ line: 1, counted }], as)).results[0]
  return problem?.code ?? outcome
}

/** A line of ten of which nine were counted, by the keeper and then by the technician. */
async function shortOfOne(): Promise<string> {
  await c.stocked({ quantity: '10' })
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '9' }])
  return number
}

async function scannerOf({
  person
}: Caller): Promise<(path: string, body: object) => Promise<{ status: number; body: any }>> {
  const administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  const { body } = await administrator.post('/v1/api-keys', {
    name: 'scanner',
    person: person.username,
    access: 'write',
    expiresOn: '2027-11-20'
  })
  return async (path, sent) => h.api.post(path).set('x-api-key', body.key).send(sent)
}

describe('cancelling a count', () => {
  test('is for whoever opened it until something is counted, and then for finance and head office', async () => {
    const number = await shortOfOne()
    expect(codeOf(await cancel(number, c.keeper))).toEqual([403, 'DutyRequired'])
    expect(await cancel(number, finance)).toMatchObject({ status: 200, body: { state: 'cancelled' } })

    const untouched = await c.open()
    expect(await cancel(untouched.number, c.keeper)).toMatchObject({ status: 200, body: { state: 'cancelled' } })
  })

  test('is not for who counted in it, nor for who stands in for them or for whom they stand in', async () => {
    await c.stocked({ quantity: '10' })
    const { number } = await c.open()
    const both = await someone('keeper', 'finance-supervisor')
    await c.enter(number, [{ line: 1, counted: '9' }], both)
    expect(codeOf(await cancel(number, both))).toEqual([422, 'CancellerNotIndependent'])
    const deputy = await someone()
    await standIn(both, deputy)
    expect(codeOf(await cancel(number, deputy))).toEqual([422, 'CancellerNotIndependent'])
    await standIn(finance, both)
    expect(codeOf(await cancel(number, both))).toEqual([422, 'CancellerNotIndependent'])
    expect((await cancel(number, c.controller)).status).toBe(200)
  })

  test('and setting aside is never for a machine', async () => {
    const number = await shortOfOne()
    const scan = await scannerOf(finance)
    expect(codeOf(await scan(`/v1/counts/${number}/cancellation`, { reason: 'x' }))).toEqual([403, 'PersonMustSign'])
    const line = { lines: [{ line: 1, reason: 'x' }] }
    expect(codeOf(await scan(`/v1/counts/${number}/set-aside`, line))).toEqual([403, 'PersonMustSign'])
    expect((await c.lines(number))[0]).toMatchObject({ state: 'settled' })
  })
})

describe('a line that is not accepted', () => {
  test('is counted by none of those who counted it before, and is verified although it agrees now', async () => {
    const number = await shortOfOne()
    await c.explain(number, [{ line: 1 }])
    expect(problems(await verify(number, [{ line: 1, accepted: false, comment: '再看一遍' }]))).toEqual([null])

    expect(await outcomeOf(number, '10', c.keeper)).toBe('SamePersonCounted')
    expect(await outcomeOf(number, '10', c.technician)).toBe('SamePersonCounted')
    expect(await outcomeOf(number, '10', operations)).toBe('settled')

    expect((await c.lines(number))[0]).toMatchObject({
      differs: false,
      needsVerification: true,
      objection: '再看一遍',
      entries: [
        { round: 1, countedBy: c.keeper.person.username, onBehalfOf: null, counted: '9', card: '9', expected: '10' },
        { round: 2, countedBy: c.technician.person.username, counted: '9' },
        { round: 3, countedBy: operations.person.username, counted: '10' }
      ]
    })
    expect((await c.keeper.get(`/v1/counts/${number}`)).body.progress).toMatchObject({ differences: 0, toVerify: 1 })
    expect(await c.keeper.post(`/v1/counts/${number}/submission`)).toMatchObject({
      status: 409,
      body: { code: 'VariancesNotVerified', total: 1 }
    })
    expect(problems(await verify(number, [{ line: 1, accepted: true }]))).toEqual([null])
    expect((await c.lines(number))[0]).toMatchObject({ objection: '再看一遍', verifiedBy: finance.person.username })
    expect((await c.submit(number)).progress.toVerify).toBe(0)
  })

  test('may be one that agrees: finance has it counted again before the count is handed in', async () => {
    await c.stocked({ quantity: '10' })
    const { number } = await c.open()
    await c.enter(number, [{ line: 1, counted: '10' }])
    expect(problems(await verify(number, [{ line: 1, accepted: true }]))).toEqual(['NothingDiffers'])
    expect(problems(await verify(number, [{ line: 1, accepted: false }]))).toEqual(['ReasonMissing'])
    expect(problems(await verify(number, [{ line: 1, accepted: false, comment: '抽查' }]))).toEqual([null])
    expect((await c.lines(number))[0]).toMatchObject({ state: 'recount-due', counted: null, entries: null })
    expect(await outcomeOf(number, '10', c.keeper)).toBe('SamePersonCounted')
    expect(await outcomeOf(number, '10', c.technician)).toBe('settled')
    expect(await c.settle(number)).toMatchObject({ state: 'approved' })
  })
})

test('a line whose rounds disagree is verified, one whose rounds agree after a movement is not disputed', async () => {
  const [changed, moved] = [await c.stocked({ quantity: '10' }), await c.stocked({ quantity: '10' })]
  const { number } = await c.open()
  const enter = (part: { number: string }, counted: string, as: Caller) =>
    c.enter(number, [{ part: part.number, counted }], as)
  await enter(changed, '9', c.keeper)
  await enter(changed, '10', c.technician)
  await enter(moved, '9', c.keeper)
  await c.posted({ kind: 'issue', lines: [{ part: moved.number, quantity: '4' }] })
  await enter(moved, '5', c.technician)

  const lines = await c.lines(number)
  expect(lines.find(({ part }) => part === changed.number)).toMatchObject({ differs: false, needsVerification: true })
  expect(lines.find(({ part }) => part === moved.number)).toMatchObject({ differs: true, variance: '-1' })
  expect(
    await h.sql(`select must_verify as disputed from count_line where warehouse_id = $1 and part_id = $2`, [
      c.warehouseId,
      moved.id
    ])
  ).toEqual([{ disputed: false }])
})

test('what is signed has every round', async () => {
  await c.stocked({ quantity: '10' })
  const { number } = await c.open()
  await c.count(number, [{ line: 1, counted: '9' }])
  const { adjustmentSlip } = await c.settle(number)
  const { body } = await c.keeper.get(`/v1/slips/${adjustmentSlip}/package`)
  expect(body.signedContent.lines[0].rounds).toEqual([
    { by: c.keeper.person.username, at: expect.any(String), counted: '9', card: '9', expected: '10' },
    { by: c.technician.person.username, at: expect.any(String), counted: '9', card: '9', expected: '10' }
  ])
})

test('a line that was set aside is counted by others in the count that follows, verified, and dropped by head office only', async () => {
  await c.stocked({ quantity: '10' })
  await c.stocked({ quantity: '5' })
  const { number } = await c.open()
  const [first, second] = await h.sql<{ onHand: string }>(
    'select trim_scale(snapshot)::text as "onHand" from count_line where warehouse_id = $1 order by line_no',
    [c.warehouseId]
  )
  await c.count(number, [
    { line: 1, counted: '1' },
    { line: 2, counted: second?.onHand ?? '' }
  ])
  expect(problems(await setAside(number, 1))).toEqual([null])
  const { followedBy } = await c.settle(number)
  const there = first?.onHand ?? ''

  expect(await outcomeOf(followedBy, there, c.keeper)).toBe('SamePersonCounted')
  expect(await outcomeOf(followedBy, there, c.technician)).toBe('SamePersonCounted')
  for (const caller of [c.keeper, finance])
    expect(codeOf(await cancel(followedBy, caller))).toEqual([403, 'DutyRequired'])
  expect(await outcomeOf(followedBy, there, operations)).toBe('settled')
  expect((await c.lines(followedBy))[0]).toMatchObject({ differs: false, needsVerification: true })
  expect(codeOf(await c.keeper.post(`/v1/counts/${followedBy}/submission`))).toEqual([409, 'VariancesNotVerified'])
  expect(problems(await verify(followedBy, [{ line: 1, accepted: true }]))).toEqual([null])
  await c.submit(followedBy)
  expect((await cancel(followedBy, c.controller)).status).toBe(200)
})

describe('whoever counted or explained a line in any round', () => {
  test('neither verifies it nor sets it aside, also standing in for finance', async () => {
    await c.stocked({ quantity: '10' })
    const { number } = await c.open()
    const both = await someone('keeper', 'finance-supervisor')
    await c.enter(number, [{ line: 1, counted: '9' }], both)
    expect(problems(await setAside(number, 1, both))).toEqual(['VerifierNotIndependent'])
    await c.enter(number, [{ line: 1, counted: '9' }], c.technician)
    await c.explain(number, [{ line: 1 }])
    // The technician counted last.
    expect(problems(await verify(number, [{ line: 1, accepted: true }], both))).toEqual(['VerifierNotIndependent'])
    await standIn(finance, c.keeper)
    expect(problems(await setAside(number, 1, c.keeper))).toEqual(['VerifierNotIndependent'])
    expect(problems(await verify(number, [{ line: 1, accepted: true }]))).toEqual([null])
  })

  test('does not sign it, although somebody else explained it after them', async () => {
    const number = await shortOfOne()
    const explainer = await someone('department-head', 'finance-supervisor')
    const explanation = { lines: [{ line: 1, cause: 'theft', evidence: '监控' }] }
    expect(problems(await explainer.post(`/v1/counts/${number}/explanations`, explanation))).toEqual([null])
    await c.explain(number, [{ line: 1, cause: 'damage' }])
    expect(problems(await verify(number, [{ line: 1, accepted: true }], explainer))).toEqual(['VerifierNotIndependent'])
    await c.verified(number, [{ line: 1 }])
    await c.submit(number)
    const signing = { duty: 'department-head', decision: 'approve' }
    expect(codeOf(await explainer.post(`/v1/counts/${number}/signatures`, signing))).toEqual([422, 'PreparerMaySign'])
  })
})

describe('no answer depends on what is expected', () => {
  test('an entry is too large by what was counted, whatever the ledger holds', async () => {
    await c.stocked({ quantity: '900', unitCost: '10000000000000' })
    const { number } = await c.open()
    // The difference alone could be kept.
    expect(await outcomeOf(number, '1001', c.keeper)).toBe('NumberTooLarge')
    expect(await outcomeOf(number, '899', c.keeper)).toBe('recount-due')
  })

  test('a lot that is left away was not found; nothing says that it should be there', async () => {
    const part = await c.stocked({ quantity: '5', unitCost: '10' })
    await c.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '6', unitCost: '20' }] })
    const lots = await h.sql<{ lot: string }>(
      'select id::text as lot from lot where warehouse_id = $1 and part_id = $2 order by id',
      [c.warehouseId, part.id]
    )
    const [old = '', young = ''] = lots.map(({ lot }) => lot)
    const { number } = await c.open()
    await h.sql(`update count_tolerance set percent = 100, amount = 1000000 where criticality = '*'`)
    try {
      const { results } = await c.enter(number, [{ line: 1, counted: '5', lots: [{ lot: old, counted: '5' }] }])
      // Also where the difference is within tolerance.
      expect(results).toEqual([{ line: 1, part: part.number, outcome: 'recount-due', problem: null }])
    } finally {
      await h.sql(`update count_tolerance set percent = 0, amount = 0`)
    }
    await c.enter(number, [{ line: 1, counted: '5', lots: [{ lot: old, counted: '5' }] }], c.technician)
    expect((await c.lines(number))[0]).toMatchObject({
      variance: '-6',
      varianceValue: '-120.00',
      lots: [
        { lot: old, counted: '5', expected: '5' },
        { lot: young, counted: '0', expected: '6' }
      ]
    })
  })
})

describe('of two who send the same list at once', () => {
  test('the second is told, and is not taken for the recount', async () => {
    await c.stocked({ quantity: '10' })
    const { number } = await c.open()
    const other = await someone('keeper')
    const entry = { line: 1, round: 1, counted: '9', card: '9' }
    const answers = await Promise.all(
      [c.keeper, other].map((as) => as.post(`/v1/counts/${number}/entries`, { entries: [entry] }))
    )
    expect(answers.flatMap(problems).toSorted()).toEqual(['OtherRound', null])
    expect((await c.lines(number))[0]).toMatchObject({ state: 'recount-due', rounds: 1 })
    expect(
      problems(await c.technician.post(`/v1/counts/${number}/entries`, { entries: [{ ...entry, round: 2 }] }))
    ).toEqual([null])
  })

  test('as the file of lines, which says the round', async () => {
    await c.stocked({ quantity: '10' })
    const { number } = await c.open()
    const other = await someone('keeper')
    const { text } = await c.keeper.get(`/v1/counts/${number}/lines`, { accept: 'text/csv' })
    const [heading = '', row = ''] = text.trim().split('\n')
    const names = heading.replace('\uFEFF', '').split(',')
    const cells = row.split(',')
    expect(cells[names.indexOf('round 轮次')]).toBe('1')
    for (const name of ['counted 实盘数量', 'card 卡片数量']) cells[names.indexOf(name)] = '9'
    const send = async ({ person }: Caller, lines: string[]) =>
      (await callsAs(h, person).upload(`/v1/counts/${number}/entries/csv`, `${lines.join('\n')}\n`)).body.rows[0]
    const filled = [heading, cells.join(',')]
    expect(await send(c.keeper, filled)).toMatchObject({ outcome: 'recount-due' })
    expect(await send(other, filled)).toMatchObject({
      outcome: 'refused',
      problems: [expect.stringContaining('is at round 2, not 1')]
    })
    expect(await send(c.technician, ['行号,轮次,实盘数量,卡片数量', '1,2,9,9'])).toMatchObject({ outcome: 'settled' })
  })
})
