import { afterAll, beforeAll, expect, test } from 'vitest'
import { DUTIES } from '../../src/identity/actor.ts'
import { refreshTokenHash } from '../../src/identity/refresh-tokens.ts'
import { openCounter, SIGNERS, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

// Whoever copies an example out of the documentation wants it to work. Each is sent, byte for byte, to a house in which the things
// it names are there and in the state it needs.

let h: Harness
let hq: Counter
let token: string
/** The issuer of keys, delegations and passwords in the examples. */
let keeper: Counter['keeper']

interface Operation {
  id: string
  method: string
  url: string
  type: string
  example: unknown
}
let operations: Operation[]

const PART = 'BK-M82B-38'

beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2026-11-20T10:00')
  operations = Object.entries(h.app.swagger().paths ?? {}).flatMap(([url, methods]) =>
    Object.entries(
      methods as Record<
        string,
        { operationId: string; requestBody?: { content: Record<string, { example?: unknown }> } }
      >
    ).flatMap(([method, { operationId, requestBody }]) =>
      Object.entries(requestBody?.content ?? {}).map(([type, { example }]) => ({
        id: operationId,
        method,
        url,
        type,
        example
      }))
    )
  )
  hq = await openCounter(h, { warehouse: 'HQ' })
  keeper = hq.keeper
  await h.sql(`update warehouse set kind = 'head-office' where code = 'HQ'`)
  token = (await h.make.person({ grants: DUTIES.map((duty) => ({ duty })) })).token
  await h.make.person({ username: 'deputy@hq' })
})
afterAll(() => h.close())

const issue = { kind: 'issue', lines: [{ part: PART, quantity: '1' }] }
const number = async (body: object = issue) => (await hq.slip(body)).number as string
const by = (who: string, method: 'post' | 'put', path: string, body: object) =>
  h.api[method](path).auth(who, { type: 'bearer' }).send(body)

/** What must be there before an example works; answers the path where it is not that of the document's own examples, and who sends it. */
const BEFORE: Record<string, () => Promise<{ path?: string; token?: string } | void>> = {
  createToken: () => signInAs('keeper@hq'),
  refreshToken: () => refreshTokenOf('bcr_q0d3mXxS1…'),
  revokeToken: () => refreshTokenOf('bcr_q0d3mXxS1…'),
  changePassword: async () => ({ token: (await personWithPassword()).token }),
  updatePerson: async () => ({ path: `/v1/people/${(await h.make.person()).username}` }),
  setPassword: async () => ({ path: `/v1/people/${(await h.make.person()).username}/password` }),
  assignDuty: async () => ({ path: `/v1/people/${(await h.make.person()).username}/duties` }),
  endDuty: async () => {
    const { username } = await h.make.person()
    const { body } = await by(token, 'post', `/v1/people/${username}/duties`, { duty: 'keeper', warehouse: 'HQ' })
    return { path: `/v1/people/${username}/duties/${body.id}/end` }
  },
  delegateDuties: async () => ({ token: keeper.person.token }),
  endDelegation: async () => {
    const { body } = await keeper.post('/v1/delegations', {
      to: (await h.make.person()).username,
      validTo: '2026-12-31',
      reason: 'x'
    })
    return { path: `/v1/delegations/${body.id}/end` }
  },
  issueApiKey: async () => ({ token: keeper.person.token }),
  addSupersession: async () => void (await h.make.part({ number: 'BK-M82B-39' })),
  endSupersession: async () => ({ path: `/v1/parts/${PART}/supersessions/BK-M82B-39/ending` }),
  approveControlledPart: async () => {
    await h.make.part({ number: 'MB-100', controlled: true })
    return { path: '/v1/parts/MB-100/controlled-approvals' }
  },
  moveWarehouse: async () => ({
    path: `/v1/warehouses/${(await h.make.warehouse({ parent: 'HQ', region: 'EAST' })).code}/move`
  }),
  renameWarehouse: async () => ({ path: `/v1/warehouses/${(await h.make.warehouse()).code}/renaming` }),
  closeWarehouse: async () => ({ path: `/v1/warehouses/${(await h.make.warehouse()).code}/closing` }),
  createSlip: async () => ({ token: keeper.person.token }),
  amendSlip: async () => ({ path: `/v1/slips/${await number()}`, token: keeper.person.token }),
  signSlip: async () => ({
    path: `/v1/slips/${await number()}/signatures`,
    token: hq.signers['finance-supervisor'].person.token
  }),
  signSlips: async () => ({ token: hq.signers['finance-supervisor'].person.token }),
  cancelSlip: async () => ({ path: `/v1/slips/${await number()}/cancellation`, token: keeper.person.token }),
  refuseRelease: async () => {
    const slip = await number()
    await hq.sign(slip)
    return { path: `/v1/slips/${slip}/release-refusal`, token: keeper.person.token }
  },
  postSlip: async () => {
    const slip = await number()
    await hq.sign(slip)
    return { path: `/v1/slips/${slip}/posting`, token: keeper.person.token }
  },
  releaseSlipInEmergency: async () => {
    const slip = await number()
    await hq.sign(slip, SIGNERS.slice(0, 2))
    return { path: `/v1/slips/${slip}/emergency-release`, token: keeper.person.token }
  },
  reverseSlip: async () => ({
    path: `/v1/slips/${(await hq.posted(issue)).number}/reversal`,
    token: keeper.person.token
  }),
  settleQualityReport: async () => {
    const { qualityReports } = await hq.posted({
      kind: 'receipt',
      lines: [{ part: PART, quantity: '1', expectedQuantity: '2', unitCost: '1' }]
    })
    return {
      path: `/v1/quality-reports/${qualityReports[0]}/settlement`,
      token: hq.signers['finance-supervisor'].person.token
    }
  },
  setSigningPolicy: async () => ({ path: '/v1/signing-policies/issue' }),
  updateRegion: async () => ({ path: '/v1/regions/EAST' }),
  updateSupplier: async () => ({ path: `/v1/suppliers/${(await h.make.supplier()).code}` }),
  updateWarehouse: async () => ({ path: '/v1/warehouses/HQ' })
}

async function signInAs(username: string): Promise<void> {
  const { password } = await personWithPassword(username)
  expect(password).toBe('correct horse battery staple')
}

async function personWithPassword(username?: string) {
  const password = 'correct horse battery staple'
  const person = await h.make.person(username === undefined ? {} : { username })
  await by(token, 'put', `/v1/people/${encodeURIComponent(person.username)}/password`, { password })
  return { ...person, password }
}

/** A sign-in whose refresh token is the one of the example; only its hash is kept. */
async function refreshTokenOf(text: string): Promise<void> {
  const person = await personWithPassword()
  await h.api.post('/v1/auth/tokens').send({ username: person.username, password: person.password })
  await h.sql('delete from refresh_token where token_hash = $1', [refreshTokenHash(text)])
  await h.sql('update refresh_token set token_hash = $2 where person_id = $1', [person.id, refreshTokenHash(text)])
}

/** In this order, because some examples need what others make. */
const FIRST = [
  'createPart',
  'createRegion',
  'createWarehouse',
  'createSupplier',
  'authoriseSupplier',
  'addSupersession'
]

test('every example of a body is accepted', async () => {
  const order = ({ id }: Operation) => (FIRST.includes(id) ? FIRST.indexOf(id) : id === 'setSigningPolicy' ? 100 : 50)
  const faults: string[] = []
  for (const { id, method, url, type, example } of operations.toSorted((a, b) => order(a) - order(b))) {
    const prepared = (await BEFORE[id]?.()) ?? {}
    const path =
      prepared.path ??
      url.replace('{warehouse}', 'HQ').replace('/parts/{number}', `/parts/${PART}`).replace('{code}', 'SUP-001')
    const apply = url.includes('/imports/') ? '?apply=true' : ''
    const { status, text } = await h.api[method as 'post'](path + apply)
      .auth(prepared.token ?? token, { type: 'bearer' })
      .set('content-type', type)
      .send(typeof example === 'string' ? example : JSON.stringify(example))
    if (status >= 300) faults.push(`${id} ${path}: ${status} ${text.slice(0, 400)}`)
    if (id === 'createPart')
      await hq.posted({ kind: 'receipt', lines: [{ part: PART, quantity: '100', unitCost: '12.50' }] })
  }
  expect(faults).toEqual([])
})
