import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { openTools, type ToolCounter } from '../tools/tools-counter.ts'

let h: Harness
let at: ToolCounter
/** Keeper and technician of the same warehouse. */
let both: Caller
beforeAll(async () => {
  h = await openHarness()
  at = await openTools(h)
  both = callerFor(
    h,
    await h.make.person({
      grants: [
        { duty: 'keeper', warehouse: at.warehouse },
        { duty: 'technician', warehouse: at.warehouse }
      ]
    })
  )
})
afterAll(() => h.close())

const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}
const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const act = (by: Caller, number: string, what: string, body: object = {}) =>
  by.post(`/v1/tool-losses/${number}/${what}`, body)
const approve = async (number: string) => {
  for (const duty of ['department-head', 'finance-supervisor'] as const)
    must(await act(at.signers[duty], number, 'signatures', { duty, decision: 'approve' }))
}
const assess = async (number: string, what: object) =>
  must(await at.signers['department-head'].put(`/v1/tool-losses/${number}/assessment`, what))
const BROKEN = { kind: 'damaged', outcome: 'repaired', cause: '跌落' }
const reported = async (of: Caller, what: object): Promise<{ number: string; serial: string }> => {
  const [serial = ''] = await at.tools(1, { purchasedOn: '2025-06-15' })
  await at.issued([serial], of)
  const { number } = must(await of.post(`/v1/tools/${serial}/losses`, what), 201)
  return { number, serial }
}
const bookedOf = (number: string) =>
  h.sql(
    `select c.line_no as line, c.amount, c.credited from tool_compensation c join tool_loss l on l.id = c.loss_id where l.number = $1 order by 1`,
    [number]
  )

test('a keeper who uses tools neither finds nor takes in nor repairs their own: another keeper does (R-TOOL-1, R-TOOL-2)', async () => {
  const lost = await reported(both, { kind: 'lost', cause: '遗失' })
  await approve(lost.number)
  const own = await act(both, lost.number, 'found')
  expect(problem(own)).toEqual([422, 'OwnLoss'])
  expect(own.body.detail).toContain('another keeper')
  expect(await bookedOf(lost.number)).toHaveLength(1)
  expect(must(await act(at.keeper, lost.number, 'found')).state).toBe('found')

  const { number, serial } = await reported(both, BROKEN)
  expect(problem(await act(both, number, 'taken-in'))).toEqual([422, 'OwnLoss'])
  await approve(number)
  expect(problem(await act(both, number, 'repaired'))).toEqual([422, 'OwnLoss'])
  expect(await at.tool(serial)).toMatchObject({ state: 'custody', technician: both.person.username })
  expect(must(await act(at.keeper, number, 'repaired')).state).toBe('ended')
})

test('whoever stands in for a keeper does not do it for them either (R-ORG-2)', async () => {
  const { number } = await reported(both, { kind: 'lost', cause: '遗失' })
  await approve(number)
  const deputy = callerFor(h, await h.make.person({ grants: [{ duty: 'technician', warehouse: at.warehouse }] }))
  must(
    await both.post('/v1/delegations', {
      to: deputy.person.username,
      duty: 'keeper',
      validTo: '2026-11-30',
      reason: '年假'
    }),
    201
  )
  expect(problem(await act(deputy, number, 'found'))).toEqual([422, 'OwnLoss'])
})

test('a key lets nobody go free of a tool: a person has it in hand', async () => {
  const { body } = await at.keeper.post('/v1/api-keys', { name: 'bridge', expiresOn: '2027-01-01', access: 'write' })
  const key = callerFor(h, { ...at.keeper.person, token: body.key })
  const { number } = await reported(at.technician, BROKEN)
  expect(problem(await act(key, number, 'taken-in'))).toEqual([403, 'PersonRequired'])
  await approve(number)
  expect(problem(await act(key, number, 'repaired'))).toEqual([403, 'PersonRequired'])
  const lost = await reported(at.technician, { kind: 'lost', cause: '遗失' })
  await approve(lost.number)
  expect(problem(await act(key, lost.number, 'found'))).toEqual([403, 'PersonRequired'])
})

test('a technician whose damaged tool was taken in does not take the report back: the damage stays theirs until it is decided (R-TOOL-2)', async () => {
  const { number, serial } = await reported(at.technician, BROKEN)
  must(await act(at.keeper, number, 'taken-in'))
  const late = await act(at.technician, number, 'withdrawal', { reason: '没有损坏' })
  expect(problem(late)).toEqual([409, 'LossTakenUp'])
  expect(late.body).toMatchObject({ takenIn: { by: at.keeper.person.username } })
  expect(await at.tool(serial)).toMatchObject({ state: 'shelf', lossReported: true })
  // What is not so, a signer refuses.
  must(
    await act(at.signers['department-head'], number, 'signatures', {
      duty: 'department-head',
      decision: 'refuse',
      comment: '完好'
    })
  )
  expect(await at.tool(serial)).toMatchObject({ state: 'shelf', lossReported: false })
})

test('what a repair cost that was given up is taken back off the account of repairs (R-FIN-2)', async () => {
  const { number } = await reported(at.technician, BROKEN)
  await assess(number, { compensation: '120.50', compensationReason: '只赔修理费' })
  await approve(number)
  await assess(number, { outcome: 'scrapped', normalWear: true })
  await approve(number)
  expect(await bookedOf(number)).toEqual([
    { line: 1, amount: '120.50', credited: 'tool-repair' },
    { line: 2, amount: '-120.50', credited: 'tool-repair' }
  ])
})

test('a repair that goes on because giving it up was refused is signed by who decided it, also on paper (R-SIG-2)', async () => {
  const { number } = await reported(at.technician, BROKEN)
  await assess(number, { compensation: '120.50', compensationReason: '只赔修理费' })
  await approve(number)
  const decided = must(await at.signers['department-head'].get(`/v1/tool-losses/${number}`))
  await assess(number, { outcome: 'scrapped' })
  const head = { duty: 'department-head', decision: 'approve' }
  must(await act(at.signers['department-head'], number, 'signatures', head))
  const refusal = { duty: 'finance-supervisor', decision: 'refuse', comment: '换一家再修' }
  const { contentHash, signatures, awaiting } = must(
    await act(at.signers['finance-supervisor'], number, 'signatures', refusal)
  )
  expect({ contentHash, signatures, awaiting }).toEqual({
    contentHash: decided.contentHash,
    signatures: decided.signatures,
    awaiting: []
  })
  const { text } = await at.keeper.get(`/v1/tool-losses/${number}/paper`)
  expect(text).toContain(`department head<p>${at.signers['department-head'].person.username} 2026-11-20`)
  // And once more to the end.
  await assess(number, { outcome: 'scrapped' })
  await approve(number)
  expect((await bookedOf(number)).map(({ line }) => line)).toEqual([1, 2])
})
