import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import type { Harness } from '../support/harness.ts'

/** A warehouse with whom it takes to count it: the keeper and the signers of a counter, and head office. */
export interface Counting extends Counter {
  controller: Caller
  /** Opens a count as the keeper; of all stock unless said otherwise. */
  open(body?: object): Promise<any>
  /** Enters what was counted; whoever does not agree with the ledger is counted again by the operations supervisor, the same. */
  count(number: string, entries: { line?: number; part?: string; counted: string; card?: string }[]): Promise<any>
  lines(number: string, query?: string): Promise<any[]>
  /** Explains and verifies every difference and hands the count in. */
  submit(number: string): Promise<any>
  signCount(number: string): Promise<any>
}

type Answer = { status: number; text: string; body: any }

export const must = (answer: Answer, status: number): any => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
  return answer.body
}

export async function openCounting(h: Harness, { warehouse }: { warehouse?: string } = {}): Promise<Counting> {
  const counter = await openCounter(h, warehouse === undefined ? {} : { warehouse })
  const controller = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'stock-controller', warehouse: counter.warehouse }] })
  )
  const head = counter.signers['department-head']
  const finance = counter.signers['finance-supervisor']
  const counting: Counting = {
    ...counter,
    controller,
    open: async (body = { kind: 'month-end', period: h.clock.today().slice(0, 7) }) =>
      must(await counter.keeper.post(`/v1/warehouses/${counter.warehouse}/counts`, body), 201),
    count: async (number, entries) => {
      const given = entries.map(({ counted, card = counted, ...entry }) => ({ ...entry, counted, card }))
      const first = must(await counter.keeper.post(`/v1/counts/${number}/entries`, { entries: given }), 200)
      const again = given.filter((_, index) => first.results[index].outcome === 'recount-due')
      if (again.length === 0) return first
      return must(
        await counter.signers['operations-supervisor'].post(`/v1/counts/${number}/entries`, { entries: again }),
        200
      )
    },
    lines: async (number, query = 'limit=200') =>
      must(await counter.keeper.get(`/v1/counts/${number}/lines?${query}`), 200).items,
    submit: async (number) => {
      const differing = await counting.lines(number, 'differs=true&limit=200')
      const lines = differing.map(({ line }) => ({ line, cause: 'damage', evidence: 'photograph 7' }))
      if (lines.length > 0) {
        must(await counter.keeper.post(`/v1/counts/${number}/explanations`, { lines }), 200)
        const verified = lines.map(({ line }) => ({ line, accepted: true }))
        must(await finance.post(`/v1/counts/${number}/verifications`, { lines: verified }), 200)
      }
      return must(await counter.keeper.post(`/v1/counts/${number}/submission`), 200)
    },
    signCount: async (number) => {
      const decide = async (caller: Caller, duty: string) =>
        must(await caller.post(`/v1/counts/${number}/signatures`, { duty, decision: 'approve' }), 200)
      await decide(finance, 'finance-supervisor')
      await decide(head, 'department-head')
      return decide(controller, 'stock-controller')
    }
  }
  return counting
}
