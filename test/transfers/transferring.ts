import { openCounter, type Counter } from '../support/counter.ts'
import type { Harness } from '../support/harness.ts'

export interface Pair {
  giver: Counter
  receiver: Counter
}

/** Two warehouses with their people. */
export const openPair = async (h: Harness): Promise<Pair> => ({
  giver: await openCounter(h),
  receiver: await openCounter(h)
})

export const must = (answer: { status: number; text: string; body: any }, status = 201): any => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
  return answer.body
}

/** Orders a transfer in the name of the giver’s keeper. */
export const order = async (
  { giver, receiver }: Pair,
  lines: { part: string; quantity: string; ownership?: string; condition?: string }[],
  more: object = {}
): Promise<any> =>
  must(
    await giver.keeper.post('/v1/transfers', {
      from: giver.warehouse,
      to: receiver.warehouse,
      lines,
      because: 'aged goods from the network',
      ...more
    })
  )

/** Writes the out slip and has it signed and posted. */
export async function dispatch({ giver }: Pair, number: string, body: object = {}): Promise<any> {
  const { slip } = must(await giver.keeper.post(`/v1/transfers/${number}/out-slip`, body))
  return must(await giver.signAndPost(slip.number), 200)
}

/** Writes the in slip and has it signed and posted. */
export async function receive({ receiver }: Pair, number: string, lines: object[], more: object = {}): Promise<any> {
  const { slip } = must(await receiver.keeper.post(`/v1/transfers/${number}/in-slip`, { lines, ...more }))
  return must(await receiver.signAndPost(slip.number), 200)
}

export const reverse = async (counter: Counter, number: string): Promise<any> => {
  const { number: reversal } = must(
    await counter.keeper.post(`/v1/slips/${number}/reversal`, { reason: 'written by mistake' })
  )
  return counter.signAndPost(reversal)
}

export const read = async ({ giver }: Pair, number: string): Promise<any> =>
  must(await giver.keeper.get(`/v1/transfers/${number}`), 200)

/** A line of a transfer without what does not change. */
export const quantitiesOf = (transfer: any, line = 1): Record<string, string> => {
  const { sent, received, damaged, missing, calledBack, inTransit } = transfer.lines[line - 1]
  return { sent, received, damaged, missing, calledBack, inTransit }
}

/** The number of the transfer that an accepted proposal, or another paper, became. */
export const transferOf = async (counter: Counter, reference: string): Promise<string> =>
  must(await counter.keeper.get(`/v1/transfers?reference=${reference}`), 200).items[0].number
