import type { Duty } from '../../src/identity/actor.ts'
import { actorOf } from '../../src/identity/directory.ts'
import type { Harness } from './harness.ts'
import type { MadePerson } from './make.ts'

export const SIGNERS = ['department-head', 'operations-supervisor', 'finance-supervisor'] as const

/** Somebody at an HTTP client: every call carries their token. */
export interface Caller {
  person: MadePerson
  get(
    path: string,
    headers?: Record<string, string>
  ): Promise<{ status: number; body: any; text: string; headers: Record<string, string> }>
  post(
    path: string,
    body?: object,
    headers?: Record<string, string>
  ): Promise<{ status: number; body: any; text: string; headers: Record<string, string> }>
  put(
    path: string,
    body?: object,
    headers?: Record<string, string>
  ): Promise<{ status: number; body: any; text: string; headers: Record<string, string> }>
}

/** A warehouse with its people: a keeper and the three who sign. */
export interface Counter {
  warehouse: string
  warehouseId: number
  keeper: Caller
  signers: Record<(typeof SIGNERS)[number], Caller>
  /** Submits a slip as the keeper. */
  slip(body: object): Promise<any>
  sign(number: string, duties?: readonly (typeof SIGNERS)[number][]): Promise<void>
  signAndPost(number: string, posting?: object): ReturnType<Caller['post']>
  /** Writes, signs and posts in one go; answers the posted slip. */
  posted(body: object): Promise<any>
  /** A part with stock. */
  stocked(line?: {
    quantity?: string
    unitCost?: string
    ownership?: string
    condition?: string
  }): Promise<{ number: string; id: number }>
  onHand(part: string, ownership?: string, condition?: string): Promise<string>
  verify(): Promise<{ ok: boolean; findings: unknown[] }>
}

export function callerFor(h: Harness, person: MadePerson): Caller {
  const authorised = { authorization: `Bearer ${person.token}` }
  const shape = ({
    status,
    body,
    text,
    headers
  }: {
    status: number
    body: unknown
    text: string
    headers: unknown
  }) => ({ status, body: body as any, text, headers: headers as Record<string, string> })
  return {
    person,
    get: async (path, headers = {}) => shape(await h.api.get(path).set({ ...authorised, ...headers })),
    post: async (path, body = {}, headers = {}) =>
      shape(
        await h.api
          .post(path)
          .set({ ...authorised, ...headers })
          .send(body)
      ),
    put: async (path, body = {}, headers = {}) =>
      shape(
        await h.api
          .put(path)
          .set({ ...authorised, ...headers })
          .send(body)
      )
  }
}

export async function openCounter(
  h: Harness,
  { warehouse, region }: { warehouse?: string; region?: string } = {}
): Promise<Counter> {
  const { code, id } = await h.make.warehouse({
    ...(warehouse !== undefined && { code: warehouse }),
    ...(region !== undefined && { region })
  })
  const callerWith = async (duty: Duty) => callerFor(h, await h.make.person({ grants: [{ duty, warehouse: code }] }))
  const keeper = await callerWith('keeper')
  const signers = {
    'department-head': await callerWith('department-head'),
    'operations-supervisor': await callerWith('operations-supervisor'),
    'finance-supervisor': await callerWith('finance-supervisor')
  }
  return counterWith(h, { code, id }, keeper, signers)
}

/** A warehouse of the sample company with its own people, who sign in with the password of the sample. */
export async function counterOf(h: Harness, code: string, password: string): Promise<Counter> {
  const [{ id }] = await h.sql<{ id: number }>('select id from warehouse where code = $1', [code])
  const callerWith = async (duty: Duty) => {
    const username = `${duty}@${code.toLowerCase()}`
    const { body } = await h.api.post('/v1/auth/tokens').send({ username, password })
    return callerFor(h, { username, password, token: body.accessToken as string, ...(await personOf(h, username)) })
  }
  return counterWith(h, { code, id }, await callerWith('keeper'), {
    'department-head': await callerWith('department-head'),
    'operations-supervisor': await callerWith('operations-supervisor'),
    'finance-supervisor': await callerWith('finance-supervisor')
  })
}

async function personOf(h: Harness, username: string): Promise<Pick<MadePerson, 'id' | 'actor'>> {
  const actor = await actorOf(h.runtime, username)
  return { id: actor.personId, actor }
}

function counterWith(
  h: Harness,
  { code, id }: { code: string; id: number },
  keeper: Caller,
  signers: Counter['signers']
): Counter {
  const must = (answer: { status: number; text: string; body: any }, status: number) => {
    if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
    return answer.body
  }
  const counter: Counter = {
    warehouse: code,
    warehouseId: id,
    keeper,
    signers,
    slip: async (body) => must(await keeper.post(`/v1/warehouses/${code}/slips`, body), 201),
    sign: async (number, duties = SIGNERS) => {
      for (const duty of duties)
        must(await signers[duty].post(`/v1/slips/${number}/signatures`, { duty, decision: 'approve' }), 200)
    },
    signAndPost: async (number, posting = {}) => {
      await counter.sign(number)
      return keeper.post(`/v1/slips/${number}/posting`, posting)
    },
    posted: async (body) => must(await counter.signAndPost((await counter.slip(body)).number), 200),
    stocked: async ({ quantity = '10', unitCost = '12.50', ownership = 'own', condition = 'qualified' } = {}) => {
      const part = await h.make.part()
      await counter.posted({
        kind: 'receipt',
        lines: [{ part: part.number, quantity, ownership, condition, ...(ownership === 'own' && { unitCost }) }]
      })
      return part
    },
    onHand: async (part, ownership = 'own', condition = 'qualified') => {
      const { items } = must(await keeper.get(`/v1/warehouses/${code}/stock?part=${encodeURIComponent(part)}`), 200)
      return (
        items.find(
          (row: { ownership: string; condition: string }) => row.ownership === ownership && row.condition === condition
        )?.onHand ?? '0'
      )
    },
    verify: async () => must(await keeper.get(`/v1/ledger/verification?warehouse=${code}`), 200)
  }
  return counter
}
