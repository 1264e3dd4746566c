import { callerFor, openCounter, type Caller, type Counter } from './counter.ts'
import type { Harness } from './harness.ts'

/** What somebody found at the shelf, line by line: `card` is what was counted unless said otherwise. */
export interface Found {
  line?: number
  part?: string
  ownership?: string
  condition?: string
  counted: string
  card?: string
  lots?: { lot: string; counted: string }[]
}

/** A warehouse that is counted: its counter, and everybody a count needs. */
export interface Counting extends Counter {
  technician: Caller
  /** Head office, which approves last. */
  controller: Caller
  open(body?: object): Promise<any>
  lines(number: string): Promise<any[]>
  /** Enters as somebody, the keeper unless said otherwise; answers the results. */
  enter(number: string, entries: Found[], as?: Caller): Promise<any>
  /** Counts, and counts again by the technician what is off. */
  count(number: string, entries: Found[]): Promise<void>
  explain(number: string, lines: { line: number; [member: string]: unknown }[]): Promise<any>
  verified(number: string, lines: { line: number; accepted?: boolean; comment?: string }[]): Promise<any>
  submit(number: string): Promise<any>
  /** All that sign, head office last. */
  approve(number: string): Promise<any>
  /** Explains and verifies what differs, submits and signs; answers the approved count. */
  settle(number: string): Promise<any>
}

const must = (answer: { status: number; text: string; body: any }, status: number) => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
  return answer.body
}

export async function openCounting(h: Harness): Promise<Counting> {
  const counter = await openCounter(h)
  const { warehouse, keeper, signers } = counter
  const technician = callerFor(h, await h.make.person({ grants: [{ duty: 'technician', warehouse }] }))
  const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const counting: Counting = {
    ...counter,
    technician,
    controller,
    open: async (body = { kind: 'month-end', period: '2026-11' }) =>
      must(await keeper.post(`/v1/warehouses/${warehouse}/counts`, body), 201),
    lines: async (number) => must(await keeper.get(`/v1/counts/${number}/lines?limit=200`), 200).items,
    enter: async (number, entries, as = keeper) =>
      must(
        await as.post(`/v1/counts/${number}/entries`, {
          entries: entries.map((entry) => ({ card: entry.counted, ...entry }))
        }),
        200
      ),
    count: async (number, entries) => {
      const first = await counting.enter(number, entries)
      const due = entries.filter((_, index) => first.results[index].outcome === 'recount-due')
      const again = due.length === 0 ? first : await counting.enter(number, due, technician)
      if (first.refused + again.refused > 0) throw new Error(JSON.stringify([first, again]))
    },
    explain: async (number, lines) =>
      must(
        await keeper.post(`/v1/counts/${number}/explanations`, {
          lines: lines.map((line) => ({ cause: 'unknown', evidence: '复盘记录', ...line }))
        }),
        200
      ),
    verified: async (number, lines) =>
      must(
        await signers['finance-supervisor'].post(`/v1/counts/${number}/verifications`, {
          lines: lines.map((line) => ({ accepted: true, ...line }))
        }),
        200
      ),
    submit: async (number) => must(await keeper.post(`/v1/counts/${number}/submission`), 200),
    approve: async (number) => {
      for (const duty of ['finance-supervisor', 'department-head'] as const)
        must(await signers[duty].post(`/v1/counts/${number}/signatures`, { duty, decision: 'approve' }), 200)
      return must(
        await controller.post(`/v1/counts/${number}/signatures`, { duty: 'stock-controller', decision: 'approve' }),
        200
      )
    },
    settle: async (number) => {
      const lines = (await counting.lines(number)).filter(({ needsVerification }) => needsVerification === true)
      const unexplained = lines.filter(({ differs, cause }) => differs && cause === null)
      if (unexplained.length > 0)
        await counting.explain(
          number,
          unexplained.map(({ line }) => ({ line }))
        )
      if (lines.length > 0)
        await counting.verified(
          number,
          lines.map(({ line }) => ({ line }))
        )
      await counting.submit(number)
      return counting.approve(number)
    }
  }
  return counting
}
