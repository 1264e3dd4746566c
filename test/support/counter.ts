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
  /**
   * The month end, with the clock as it stands: everything is counted and found as the ledger has it, handed in, signed by finance,
   * department and head office, and the month is closed. Answers the closing. The month is over.
   */
  monthEnd(period: string): Promise<any>
  /** The same without the closing; answers the approved count. */
  countMonth(period: string): Promise<any>
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
  let controller: Caller | undefined
  const headOffice = async (): Promise<Caller> =>
    (controller ??= callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller', warehouse: code }] })))
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
    verify: async () => must(await keeper.get(`/v1/ledger/verification?warehouse=${code}`), 200),
    monthEnd: async (period) => {
      await counter.countMonth(period)
      return must(await signers['finance-supervisor'].post(`/v1/warehouses/${code}/periods/${period}/closing`), 201)
    },
    countMonth: async (period) => {
      const { number } = must(await keeper.post(`/v1/warehouses/${code}/counts`, { kind: 'month-end', period }), 201)
      // Past the blindness: whoever counts right finds what the ledger has.
      const lines = await h.sql<{ line: number; counted: string; card: string }>(
        `select line_no as line, trim_scale(b.on_hand)::text as counted, trim_scale(b.on_hand)::text as card
           from stock_count c
           join count_line l on l.warehouse_id = c.warehouse_id and l.count_id = c.id
           join balance b on (b.warehouse_id, b.part_id, b.ownership, b.condition) = (l.warehouse_id, l.part_id, l.ownership, l.condition)
          where c.warehouse_id = $1 and c.number = $2 order by line_no`,
        [id, number]
      )
      for (let from = 0; from < lines.length; from += 1000)
        must(await keeper.post(`/v1/counts/${number}/entries`, { entries: lines.slice(from, from + 1000) }), 200)
      must(await keeper.post(`/v1/counts/${number}/submission`), 200)
      const sign = async (by: Caller, duty: Duty) =>
        must(await by.post(`/v1/counts/${number}/signatures`, { duty, decision: 'approve' }), 200)
      await sign(signers['finance-supervisor'], 'finance-supervisor')
      await sign(signers['department-head'], 'department-head')
      return sign(await headOffice(), 'stock-controller')
    }
  }
  return counter
}
