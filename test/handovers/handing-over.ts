import { openCounting, type Counting } from '../support/counting.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import type { Harness } from '../support/harness.ts'

/** A warehouse that changes hands: its people, who takes over, and the steps of a handover. */
export interface HandingOver extends Counting {
  /** Takes over; holds nothing there before. */
  incoming: Caller
  drawUp(body?: object, as?: Caller): Promise<any>
  submit(number: string, as?: Caller): Promise<any>
  /** Signs as the four, or those of them that are named. */
  signAll(number: string, parties?: readonly Party[]): Promise<any>
  signAs(party: Party, number: string, body?: object): ReturnType<Caller['post']>
  /** Draws up, submits and signs; answers the completed handover. */
  handOver(body?: object): Promise<any>
}

export const PARTIES = ['outgoing-keeper', 'incoming-keeper', 'department-head', 'finance-supervisor'] as const
export type Party = (typeof PARTIES)[number]

export const must = (answer: { status: number; text: string; body: any }, status: number) => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
  return answer.body
}

export async function openHandingOver(h: Harness): Promise<HandingOver> {
  const counting = await openCounting(h)
  const { warehouse, keeper, signers } = counting
  const incoming = callerFor(h, await h.make.person())
  const people: Record<Party, Caller> = {
    'outgoing-keeper': keeper,
    'incoming-keeper': incoming,
    'department-head': signers['department-head'],
    'finance-supervisor': signers['finance-supervisor']
  }
  const at: HandingOver = {
    ...counting,
    incoming,
    drawUp: async (body = {}, as = keeper) =>
      must(
        await as.post(`/v1/warehouses/${warehouse}/handovers`, {
          incoming: incoming.person.username,
          because: '调任网点主管',
          ...body
        }),
        201
      ),
    submit: async (number, as = keeper) => must(await as.post(`/v1/handovers/${number}/submission`), 200),
    signAs: (party, number, body = {}) =>
      people[party].post(`/v1/handovers/${number}/signatures`, { party, decision: 'approve', ...body }),
    signAll: async (number, parties = PARTIES) => {
      let last
      for (const party of parties) last = must(await at.signAs(party, number), 200)
      return last
    },
    handOver: async (body = {}) => {
      const { number } = await at.drawUp(body)
      await at.submit(number)
      return at.signAll(number)
    }
  }
  return at
}
