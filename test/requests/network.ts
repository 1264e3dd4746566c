import { expect } from 'vitest'
import type { Duty } from '../../src/identity/actor.ts'
import { callerFor, SIGNERS, type Caller } from '../support/counter.ts'
import type { Harness } from '../support/harness.ts'
import type { MadePart, MadeWarehouse } from '../support/make.ts'
import { relayed } from '../support/relay.ts'

/** A head office, two regions with a centre and a branch each, and people who may do everywhere what their duty says. */
export interface Network {
  headOffice: MadeWarehouse
  north: MadeWarehouse
  northBranch: MadeWarehouse
  south: MadeWarehouse
  southBranch: MadeWarehouse
  keeper: Caller
  controller: Caller
  /** By duty, those who sign slips. */
  signers: ReadonlyMap<string, Caller>
  /** An outlet under a centre or branch, of its own, with a clerk. */
  outlet(parent?: MadeWarehouse): Promise<Outlet>
  /** Goods of a part in a warehouse, received on a day. */
  stock(
    warehouse: MadeWarehouse,
    part: MadePart,
    quantity: string,
    more?: { receivedOn?: string; ownership?: string; unitCost?: string }
  ): Promise<void>
  /** Three people sign a slip, and the keeper posts it. */
  signAndPost(number: string, posting?: object): Promise<any>
  sign(number: string): Promise<void>
  /** What lies in a warehouse: `{ onHand, available }` of own, qualified goods. */
  held(warehouse: MadeWarehouse, part: MadePart, ownership?: string): Promise<{ onHand: string; available: string }>
  /** A transfer that was ordered goes out, is received whole, and everybody hears of it. */
  carry(transfer: string): Promise<void>
  verify(): Promise<void>
}

export interface Outlet {
  code: string
  id: number
  clerk: Caller
  /** Requests so much of parts, one line each; answers the request. */
  requested(lines: [MadePart, string][], more?: object): Promise<any>
  read(number: string): Promise<any>
  cancel(number: string, body?: object): Promise<any>
}

export const NEED_BY = '2026-12-31'

const must = (answer: { status: number; text: string; body: any }, status: number) => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
  return answer.body
}

export async function openNetwork(h: Harness): Promise<Network> {
  const headOffice = await h.make.warehouse({ kind: 'head-office', region: 'HEAD' })
  const centreIn = (region: string) => h.make.warehouse({ kind: 'regional-centre', region, parent: headOffice.code })
  const [north, south] = [await centreIn('NORTH'), await centreIn('SOUTH')]
  const branchOf = (centre: MadeWarehouse) =>
    h.make.warehouse({ kind: 'branch', region: centre.region, parent: centre.code })
  const [northBranch, southBranch] = [await branchOf(north), await branchOf(south)]
  const everywhere = async (duty: Duty) => callerFor(h, await h.make.person({ grants: [{ duty }] }))
  const keeper = await everywhere('keeper')
  const controller = await everywhere('stock-controller')
  const signers = new Map<string, Caller>()
  for (const duty of SIGNERS) signers.set(duty, await everywhere(duty))

  const network: Network = {
    headOffice,
    north,
    northBranch,
    south,
    southBranch,
    keeper,
    controller,
    signers,
    outlet: async (parent = north) => {
      const { code, id } = await h.make.warehouse({ region: parent.region, parent: parent.code })
      const clerk = callerFor(h, await h.make.person({ grants: [{ duty: 'outlet-clerk', warehouse: code }] }))
      return {
        code,
        id,
        clerk,
        requested: async (lines, more = {}) =>
          must(
            await clerk.post('/v1/requests', {
              warehouse: code,
              urgency: 'normal',
              needBy: NEED_BY,
              lines: lines.map(([part, quantity]) => ({ part: part.number, quantity })),
              ...more
            }),
            201
          ),
        read: async (number) => must(await clerk.get(`/v1/requests/${number}`), 200),
        cancel: async (number, body = {}) =>
          must(await clerk.post(`/v1/requests/${number}/cancellation`, { reason: 'no longer needed', ...body }), 200)
      }
    },
    stock: async (warehouse, part, quantity, { receivedOn, ownership = 'own', unitCost = '10.00' } = {}) => {
      const slip = must(
        await keeper.post(`/v1/warehouses/${warehouse.code}/slips`, {
          kind: 'opening',
          lines: [
            {
              part: part.number,
              quantity,
              ownership,
              ...(ownership === 'own' && { unitCost }),
              ...(receivedOn !== undefined && { receivedOn })
            }
          ]
        }),
        201
      )
      await network.signAndPost(slip.number)
    },
    sign: async (number) => {
      for (const [duty, signer] of signers)
        must(await signer.post(`/v1/slips/${number}/signatures`, { duty, decision: 'approve' }), 200)
    },
    signAndPost: async (number, posting = {}) => {
      await network.sign(number)
      return must(await keeper.post(`/v1/slips/${number}/posting`, posting), 200)
    },
    held: async (warehouse, part, ownership = 'own') => {
      const [row] = await h.sql<{ onHand: string; available: string }>(
        `select trim_scale(on_hand)::text as "onHand", trim_scale(on_hand - reserved - blocked)::text as available from balance
          where warehouse_id = $1 and part_id = $2 and ownership = $3 and condition = 'qualified'`,
        [warehouse.id, part.id, ownership]
      )
      return row ?? { onHand: '0', available: '0' }
    },
    carry: async (transfer) => {
      const out = must(await keeper.post(`/v1/transfers/${transfer}/out-slip`, {}), 201)
      await network.signAndPost(out.slip.number)
      const { lines } = must(await keeper.get(`/v1/transfers/${transfer}`), 200)
      const into = must(
        await keeper.post(`/v1/transfers/${transfer}/in-slip`, {
          lines: lines.map(({ line, inTransit }: { line: number; inTransit: string }) => ({
            line,
            quantity: inTransit
          }))
        }),
        201
      )
      await network.signAndPost(into.slip.number)
      await relayed(h)
    },
    verify: async () => {
      expect(must(await controller.get('/v1/ledger/verification'), 200)).toMatchObject({ ok: true, findings: [] })
    }
  }
  return network
}
