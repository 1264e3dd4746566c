import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { openTools, type ToolCounter } from '../tools/tools-counter.ts'

let h: Harness
let at: ToolCounter
/** Who is told what is claimed, and who is not though they read the register. */
let told: Caller[]
let untold: Caller[]
beforeAll(async () => {
  h = await openHarness()
  at = await openTools(h)
  const withDuty = async (duty: 'administrator' | 'hq-finance' | 'stock-controller') =>
    callerFor(h, await h.make.person({ grants: [{ duty }] }))
  told = [at.technician, at.signers['department-head'], at.signers['finance-supervisor'], await withDuty('hq-finance')]
  untold = [
    at.keeper,
    at.otherKeeper,
    at.signers['operations-supervisor'],
    await withDuty('stock-controller'),
    await withDuty('administrator')
  ]
})
beforeEach(() => h.clock.set(DEFAULT_TIME))
afterAll(() => h.close())

const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}
const WHY = '只赔修理费'
const act = (by: Caller, number: string, what: string, body: object = {}) =>
  by.post(`/v1/tool-losses/${number}/${what}`, body)
/** A report by the keeper of a repair that was decided and then given up: everything that names an amount is there. */
const givenUp = async (): Promise<{ number: string; serial: string }> => {
  const [serial = ''] = await at.tools(1, { purchasedOn: '2025-06-15' })
  await at.issued([serial])
  const [head, finance] = [at.signers['department-head'], at.signers['finance-supervisor']]
  const report = { kind: 'damaged', cause: '跌落，表头碎裂', outcome: 'repaired' }
  const { number } = must(await at.keeper.post(`/v1/tools/${serial}/losses`, report), 201)
  const assess = (what: object) => head.put(`/v1/tool-losses/${number}/assessment`, what)
  must(await assess({ compensation: '120.57', compensationReason: WHY }))
  must(await act(head, number, 'signatures', { duty: 'department-head', decision: 'approve' }))
  must(await act(finance, number, 'signatures', { duty: 'finance-supervisor', decision: 'approve' }))
  must(await assess({ outcome: 'scrapped', compensation: '433.21', compensationReason: WHY }))
  return { number, serial }
}
const AMOUNTS = ['120.57', '433.21', WHY]

test('what is compensated is shown to the technician, the department head and finance (R-TOOL-2)', async () => {
  const { number } = await givenUp()
  for (const by of told) {
    expect(must(await by.get(`/v1/tool-losses/${number}`))).toMatchObject({
      netValue: '935.47',
      compensation: '433.21',
      compensationReason: WHY,
      repairGivenUp: { decidedOn: '2026-11-20', compensation: '120.57' },
      booked: [{ line: 1, amount: '120.57' }]
    })
    const { items } = must(await by.get(`/v1/tool-losses/${number}/history`))
    expect(items.flatMap(({ details }: any) => details.compensation ?? [])).toEqual(['120.57', '433.21'])
    const { text } = await by.get(`/v1/tool-losses/${number}/paper`)
    for (const words of AMOUNTS) expect(text).toContain(words)
    const file = await by.get(`/v1/tool-losses?technician=${at.technician.person.username}`, { accept: 'text/csv' })
    expect(file.text).toContain('433.21')
  }
})

test('keepers, and whoever else reads the register, get the report without it: list, file, paper, history', async () => {
  const { number } = await givenUp()
  for (const by of untold) {
    const loss = must(await by.get(`/v1/tool-losses/${number}`))
    expect(loss).toMatchObject({
      number,
      outcome: 'scrapped',
      netValue: '935.47',
      compensation: null,
      compensationReason: null,
      repairGivenUp: { decidedOn: '2026-11-20', compensation: null },
      booked: null
    })
    const list = must(await by.get(`/v1/tool-losses?warehouse=${at.warehouse}`)).items
    expect(list.find((one: any) => one.number === number)).toMatchObject({ netValue: '935.47', compensation: null })
    const history = must(await by.get(`/v1/tool-losses/${number}/history`)).items
    expect(history.filter(({ event }: any) => event === 'loss-assessed')).toMatchObject([
      { details: { number, outcome: 'repaired', normalWear: false } },
      { details: { number, outcome: 'scrapped', normalWear: false } }
    ])
    const page = await by.get(`/v1/tool-losses/${number}/paper`)
    // The line stays, so that nobody writes an amount in.
    expect(page.text).toMatch(/赔偿金额<small>compensation<\/small><\/th><td class="n">不显示 not shown/)
    const file = await by.get(`/v1/tool-losses?warehouse=${at.warehouse}`, { accept: 'text/csv' })
    expect(file.text).toContain(number)
    for (const words of AMOUNTS)
      for (const answer of [JSON.stringify([loss, list, history]), page.text, file.text])
        expect(answer).not.toContain(words)
  }
})

test('the answers to what a keeper does say nothing of it either', async () => {
  const [serial = ''] = await at.tools(1, { purchasedOn: '2025-06-15' })
  await at.issued([serial])
  const loss = must(await at.keeper.post(`/v1/tools/${serial}/losses`, { kind: 'lost', cause: '遗失' }), 201)
  expect([loss.compensation, loss.booked]).toEqual([null, null])
  for (const duty of ['department-head', 'finance-supervisor'] as const)
    must(await act(at.signers[duty], loss.number, 'signatures', { duty, decision: 'approve' }))
  const found = must(await act(at.keeper, loss.number, 'found'))
  expect([found.state, found.compensation, found.booked]).toEqual(['found', null, null])
})

test('in a list over several warehouses each report is shown by what one is there', async () => {
  const other = await openTools(h)
  const lost = async (shop: ToolCounter) => {
    const [serial = ''] = await shop.tools(1, { purchasedOn: '2025-06-15' })
    await shop.issued([serial])
    return must(await shop.technician.post(`/v1/tools/${serial}/losses`, { kind: 'lost', cause: '遗失' }), 201).number
  }
  const [here, there] = [await lost(at), await lost(other)]
  const both = callerFor(
    h,
    await h.make.person({
      grants: [
        { duty: 'department-head', warehouse: at.warehouse },
        { duty: 'keeper', warehouse: other.warehouse }
      ]
    })
  )
  const { items } = must(await both.get('/v1/tool-losses'))
  const compensations = Object.fromEntries(items.map(({ number, compensation }: any) => [number, compensation]))
  expect([compensations[here], compensations[there]]).toEqual(['935.47', null])
})
