import { dispatchTransfer } from '../../src/transfers/dispatch-transfer.ts'
import { createTransfer } from '../../src/transfers/open-transfer.ts'
import { receiveTransfer } from '../../src/transfers/receive-transfer.ts'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import type { Harness } from '../support/harness.ts'

/** A network with whom it takes to recall: head office, who opens recalls there, and who signs their second signature and their end. */
export interface Recalling {
  /** Head office as a warehouse with a counter of its own. */
  office: Counter
  controller: Caller
  /** Another stock controller: who proposed an end does not sign it. */
  otherController: Caller
  hqFinance: Caller
  operations: Caller
  /** A counter below head office. */
  counter(): Promise<Counter>
  recall(body: object): Promise<any>
  /** Of a part as a whole. */
  recallPart(part: string): Promise<any>
  /** Signs the proposed lifting or closing for all three duties. */
  signEnd(number: string): Promise<any>
  goods(number: string, query?: string): Promise<any[]>
  issued(number: string, query?: string): Promise<any[]>
}

export const must = (answer: { status: number; text: string; body: any }, status: number): any => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
  return answer.body
}

export async function openRecalling(h: Harness): Promise<Recalling> {
  const office = await openCounter(h, { warehouse: 'HQ', region: 'HOME' })
  await h.sql(`update warehouse set kind = 'head-office' where code = 'HQ'`)
  const everywhere = async (duty: 'stock-controller' | 'hq-finance' | 'operations-supervisor') =>
    callerFor(h, await h.make.person({ grants: [{ duty }] }))
  const controller = await everywhere('stock-controller')
  const recalling: Recalling = {
    office,
    controller,
    otherController: await everywhere('stock-controller'),
    hqFinance: await everywhere('hq-finance'),
    operations: await everywhere('operations-supervisor'),
    counter: async () => {
      const counter = await openCounter(h)
      await h.sql(`update warehouse set parent_id = $1 where id = $2`, [office.warehouseId, counter.warehouseId])
      return counter
    },
    recall: async (body) =>
      must(await controller.post('/v1/recalls', { title: 'cracked', reason: 'leaks', ...body }), 201),
    recallPart: (part) => recalling.recall({ scopes: [{ part }] }),
    signEnd: async (number) => {
      const path = `/v1/recalls/${number}/signatures`
      must(await recalling.hqFinance.post(path, { duty: 'hq-finance', decision: 'approve' }), 200)
      must(await recalling.operations.post(path, { duty: 'operations-supervisor', decision: 'approve' }), 200)
      return must(await recalling.otherController.post(path, { duty: 'stock-controller', decision: 'approve' }), 200)
    },
    goods: async (number, query = '') => must(await controller.get(`/v1/recalls/${number}/goods?${query}`), 200).items,
    issued: async (number, query = '') => must(await controller.get(`/v1/recalls/${number}/issued?${query}`), 200).items
  }
  return recalling
}

/** Moves goods of a part from one warehouse to another: out of the first, and as much of it into the second as is said, all unless given. */
export async function moved(
  h: Harness,
  {
    from,
    to,
    part,
    quantity,
    arrived = quantity
  }: { from: Counter; to: Counter; part: string; quantity: string; arrived?: string }
): Promise<{ number: string }> {
  const giver = h.contextOf(from.keeper.person.actor)
  const { number } = await createTransfer(giver, {
    from: from.warehouse,
    to: to.warehouse,
    lines: [{ part, quantity }],
    because: 'test'
  })
  await sent(h, from, number)
  if (arrived !== '0') await received(h, to, number, { line: 1, quantity: arrived })
  return { number }
}

/** Writes, signs and posts the out slip of a transfer. */
export async function sent(h: Harness, from: Counter, number: string): Promise<any> {
  const { slip } = await dispatchTransfer(h.contextOf(from.keeper.person.actor), { number })
  return must(await from.signAndPost(slip.number), 200)
}

/** Writes, signs and posts an in slip of a transfer. */
export async function received(
  h: Harness,
  to: Counter,
  number: string,
  line: { line: number; quantity: string; missing?: string; responsible?: 'carrier' | 'giver' }
): Promise<any> {
  const { slip } = await receiveTransfer(h.contextOf(to.keeper.person.actor), { number, lines: [line] })
  return must(await to.signAndPost(slip.number), 200)
}
