import { followOldParts } from '../../src/old-parts/old-parts.jobs.ts'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import type { Harness } from '../support/harness.ts'
import { relayed } from '../support/relay.ts'

/** A centre that issues exchange parts, an outlet below it that owes the old ones, and those who decide. */
export interface Exchanging {
  centre: Counter
  outlet: string
  outletId: number
  clerk: Caller
  finance: Caller
  /** An exchange part with stock at the centre; its old part is due after 30 days and worth 35.00. */
  exchangePart(options?: Partial<Parameters<Harness['make']['part']>[0]> & { quantity?: string }): Promise<string>
  /** Issues to the outlet; answers the posted slip. The old parts are open afterwards. */
  issued(part: string, quantity?: string, head?: object): Promise<any>
  /** Draws the consequences of what was posted. */
  follow(): Promise<void>
  /** What the outlet owes of a part, the longest due first. */
  owed(part: string, query?: string): Promise<any[]>
  /** The only old part of a part. */
  oldPart(part: string): Promise<any>
  /** Writes the slip by which old parts come back. */
  returning(lines: object[], head?: object): ReturnType<Caller['post']>
  /** Writes, signs and posts it; answers the number of the slip. */
  returned(lines: object[], head?: object): Promise<string>
  deposit(amount: string): Promise<void>
  balance(): Promise<string>
}

export async function openExchanging(h: Harness): Promise<Exchanging> {
  const centre = await openCounter(h)
  await h.sql(`update warehouse set kind = 'regional-centre' where id = $1`, [centre.warehouseId])
  const { code: outlet, id: outletId } = await h.make.warehouse({ parent: centre.warehouse })
  const clerk = callerFor(h, await h.make.person({ grants: [{ duty: 'outlet-clerk', warehouse: outlet }] }))
  const finance = centre.signers['finance-supervisor']
  const must = (answer: { status: number; text: string; body: any }, status: number) => {
    if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
    return answer.body
  }
  const x: Exchanging = {
    centre,
    outlet,
    outletId,
    clerk,
    finance,
    exchangePart: async ({ quantity = '10', ...options } = {}) => {
      const part = await h.make.part({ exchangeDueDays: 30, oldPartValue: '35.00', ...options })
      await centre.posted({ kind: 'receipt', lines: [{ part: part.number, quantity, unitCost: '12.50' }] })
      return part.number
    },
    issued: async (part, quantity = '1', head = {}) => {
      const slip = await centre.posted({
        kind: 'issue',
        purpose: 'outlet',
        counterparty: outlet,
        reference: 'RO-2026-0815',
        lines: [{ part, quantity }],
        ...head
      })
      await x.follow()
      return slip
    },
    follow: async () => {
      await relayed(h, { only: [followOldParts] })
    },
    owed: async (part, query = '') =>
      must(await clerk.get(`/v1/old-parts?outlet=${outlet}&part=${encodeURIComponent(part)}${query}`), 200).items,
    oldPart: async (part) => {
      const [only, another] = await x.owed(part)
      if (only === undefined || another !== undefined) throw new Error(`not exactly one old part of ${part}`)
      return must(await clerk.get(`/v1/old-parts/${only.number}`), 200)
    },
    returning: (lines, head = {}) =>
      centre.keeper.post('/v1/old-parts/returns', { warehouse: centre.warehouse, from: outlet, lines, ...head }),
    returned: async (lines, head) => {
      const { slip } = must(await x.returning(lines, head), 201)
      must(await centre.signAndPost(slip, { deliveredBy: 'Li' }), 200)
      await x.follow()
      return slip
    },
    deposit: async (amount) => {
      must(await finance.post(`/v1/deposits/${outlet}`, { lowLimit: '0' }), 201)
      must(await finance.post(`/v1/deposits/${outlet}/increases`, { amount, paper: 'BANK-1' }), 201)
    },
    balance: async () => must(await clerk.get(`/v1/deposits/${outlet}`), 200).balance
  }
  return x
}
