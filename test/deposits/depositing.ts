import { inTransaction } from '../../src/platform/context.ts'
import type { Context } from '../../src/identity/actor.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import type { Harness } from '../support/harness.ts'
import type { MadeWarehouse } from '../support/make.ts'

/** An outlet under a centre, the finance of the centre, and a clerk of the outlet. */
export interface Depositing {
  centre: MadeWarehouse
  outlet: MadeWarehouse
  finance: Caller
  clerk: Caller
  /** Runs what a room above would, in one transaction and in the clerk's name. */
  asRequester<Result>(work: (ctx: Context) => Promise<Result>): Promise<Result>
  statement(query?: string): Promise<any>
}

/** @param paidIn what the deposit is opened with; null for an outlet without one */
export async function openDepositing(
  h: Harness,
  { paidIn = '1000.00', lowLimit = '100.00' }: { paidIn?: string | null; lowLimit?: string } = {}
): Promise<Depositing> {
  const centre = await h.make.warehouse({ kind: 'regional-centre' })
  const outlet = await h.make.warehouse({ region: centre.region, parent: centre.code })
  const finance = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'finance-supervisor', warehouse: centre.code }] })
  )
  const clerk = callerFor(h, await h.make.person({ grants: [{ duty: 'outlet-clerk', warehouse: outlet.code }] }))
  if (paidIn !== null) {
    await finance.post(`/v1/deposits/${outlet.code}`, { lowLimit })
    if (paidIn !== '0.00')
      await finance.post(`/v1/deposits/${outlet.code}/increases`, { amount: paidIn, paper: 'BANK-1' })
  }
  return {
    centre,
    outlet,
    finance,
    clerk,
    asRequester: (work) => inTransaction(h.contextOf(clerk.person.actor), work),
    statement: async (query = '') => (await finance.get(`/v1/deposits/${outlet.code}/statement${query}`)).body
  }
}

/** What a statement says when the account adds up. */
export const ADDS_UP = { entriesEqualBalance: true, entriesAddUp: true, holdsEqualHeld: true }
