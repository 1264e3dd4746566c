import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { openTools, type ToolCounter } from '../tools/tools-counter.ts'

let h: Harness
let everywhere: Caller
beforeAll(async () => {
  h = await openHarness()
  everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
})
beforeEach(() => h.clock.set(DEFAULT_TIME))
afterAll(() => h.close())

const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}
/** A loss that costs 935.47. */
const lost = async (at: ToolCounter): Promise<void> => {
  const [serial = ''] = await at.tools(1, { purchasedOn: '2025-06-15' })
  await at.issued([serial])
  const { number } = must(await at.technician.post(`/v1/tools/${serial}/losses`, { kind: 'lost', cause: '遗失' }), 201)
  for (const duty of ['department-head', 'finance-supervisor'] as const)
    must(await at.signers[duty].post(`/v1/tool-losses/${number}/signatures`, { duty, decision: 'approve' }))
}
const journal = async (by: Caller, at: ToolCounter, period = '2026-11') =>
  must(await by.get(`/v1/warehouses/${at.warehouse}/periods/${period}/journal`))
const entries = ({ items }: any): string[] => [...new Set<string>(items.map(({ entry }: any) => entry))]

test('a compensation is in the journal of a warehouse in which no goods ever moved (R-FIN-2)', async () => {
  const at = await openTools(h)
  await lost(at)
  const { items, totals } = await journal(at.signers['finance-supervisor'], at)
  expect(items.map(({ role, debit, credit }: any) => [role, debit, credit])).toEqual([
    ['employee-claims', '935.47', '0.00'],
    ['tool-disposal', '0.00', '935.47']
  ])
  expect(totals).toEqual({ lines: 2, debit: '935.47', credit: '935.47' })
  const file = await everywhere.get(`/v1/journal?period=2026-11&warehouse=${at.warehouse}`, { accept: 'text/csv' })
  expect(file.text.match(/935\.47/g)).toHaveLength(2)
})

test('the books tell what technicians compensate to who decides and books it, and else to nobody, before and after the close (R-TOOL-2)', async () => {
  const at = await openTools(h)
  await at.stocked({ quantity: '10', unitCost: '12.50' })
  await lost(at)
  const told = [at.signers['finance-supervisor'], at.signers['department-head'], everywhere]
  const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const untold = [at.keeper, at.colleague, at.signers['operations-supervisor'], controller]
  const statement = `/v1/warehouses/${at.warehouse}/periods/2026-11/statement`
  const check = async () => {
    for (const by of told) {
      expect(entries(await journal(by, at))).toContain('tool-compensation')
      expect((await by.get(statement)).text).toContain('935.47')
    }
    const whole = await journal(everywhere, at)
    for (const by of untold) {
      const read = await journal(by, at)
      expect(entries(read)).toEqual(entries(whole).filter((entry) => entry !== 'tool-compensation'))
      expect(read.totals).toEqual({
        lines: whole.totals.lines - 2,
        debit: (Number(whole.totals.debit) - 935.47).toFixed(2),
        credit: (Number(whole.totals.credit) - 935.47).toFixed(2)
      })
      const file = await by.get(`/v1/journal?period=2026-11&warehouse=${at.warehouse}`, { accept: 'text/csv' })
      const { text, body, headers } = await by.get(statement)
      for (const answer of [JSON.stringify(read), file.text, text]) expect(answer).not.toContain('935.47')
      expect(body.journal.map(({ entry }: any) => entry)).not.toContain('tool-compensation')
      // It is not what was frozen, and does not say so.
      expect(headers['etag']).toMatch(/^W\//)
    }
  }
  await check()
  h.clock.set('2026-12-02T10:00')
  const { sha256 } = await at.monthEnd('2026-11')
  await check()
  expect((await everywhere.get(statement)).headers['etag']).toBe(`"${sha256}"`)
  // A month without any is the same for everybody.
  h.clock.set('2027-01-02T10:00')
  const december = await at.monthEnd('2026-12')
  const { headers } = await at.keeper.get(`/v1/warehouses/${at.warehouse}/periods/2026-12/statement`)
  expect(headers['etag']).toBe(`"${december.sha256}"`)
})

test('pages of a journal leave the lines out and go on behind them', async () => {
  const at = await openTools(h)
  await at.stocked({ quantity: '10', unitCost: '12.50' })
  await lost(at)
  const read = async (by: Caller) => {
    const lines: number[] = []
    for (let cursor = ''; ;) {
      const page = must(await by.get(`/v1/journal?period=2026-11&warehouse=${at.warehouse}&limit=1${cursor}`))
      lines.push(...page.items.map(({ line }: any) => line))
      if (page.nextCursor === null) return lines
      cursor = `&cursor=${page.nextCursor}`
    }
  }
  const [whole, some] = [await read(everywhere), await read(at.keeper)]
  expect(whole).toEqual(whole.map((_, index) => index + 1))
  expect(some).toEqual(whole.slice(0, -2))
})
