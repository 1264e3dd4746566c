import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import type { MadeGrant } from '../support/make.ts'
import { named, openTools, type ToolCounter } from './tools-counter.ts'

let h: Harness
let at: ToolCounter
let admin: Caller
beforeAll(async () => {
  h = await openHarness()
  admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  at = await openTools(h)
})
afterAll(() => h.close())

const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}
const technician = async (...grants: Omit<MadeGrant, 'duty'>[]): Promise<Caller> =>
  callerFor(h, await h.make.person({ grants: grants.map((grant) => ({ duty: 'technician' as const, ...grant })) }))
const dutiesOf = async ({ person }: Caller): Promise<number[]> =>
  (await h.sql<{ id: number }>('select id from duty_assignment where person_id = $1 order by id', [person.id])).map(
    ({ id }) => id
  )
/** Ends a duty of somebody, by its place. */
const end = async (whose: Caller, place = 0, body: object = {}) =>
  admin.post(`/v1/people/${whose.person.username}/duties/${(await dutiesOf(whose))[place]}/end`, body)
const deactivate = async ({ person }: Caller) => {
  const { status, body } = await h.api
    .patch(`/v1/people/${person.username}`)
    .auth(admin.person.token, { type: 'bearer' })
    .send({ active: false })
  return { status, body }
}
const shut = ({ status, body }: { status: number; body: any }) => [
  status,
  body.code,
  (body.open ?? []).map(({ what, subject }: any) => `${what} ${subject}`)
]

test('a technician leaves no tools behind: what is in hand is said, and nothing of the duty ends (R-TOOL-3)', async () => {
  const serials = await at.tools(7)
  await at.issued(serials)
  const refused = await end(at.technician)
  expect(shut(refused)).toEqual([409, 'CustodyOpen', serials.toSorted().map((serial) => `tool ${serial}`)])
  const { username } = at.technician.person
  expect(refused.body.detail).toContain(
    `${username} still has in hand: tool ${serials.toSorted()[0]} of ${at.warehouse}`
  )
  expect(refused.body.detail).toContain('and 2 more')
  expect(refused.body.detail).toContain(`POST /v1/technicians/${username}/return-all`)
  // Not on a later day either, and the person is not switched off.
  expect(shut(await end(at.technician, 0, { validTo: '2026-12-31' }))[1]).toBe('CustodyOpen')
  expect(shut(await deactivate(at.technician))[1]).toBe('CustodyOpen')
  expect((await at.technician.get(`/v1/tools/${serials[0]}`)).status).toBe(200)

  await at.returned(serials)
  expect((await end(at.technician)).status).toBe(200)
  expect((await deactivate(at.technician)).status).toBe(200)
})

test('papers that wait and losses that are not decided keep the gate shut (R-TOOL-3)', async () => {
  const [waiting = '', damaged = ''] = await at.tools(2)
  const issue = await at.issue([waiting])
  expect(shut(await end(at.technician))).toEqual([409, 'CustodyOpen', [`document ${issue.number}`]])
  must(await at.keeper.post(`/v1/tool-documents/${issue.number}/cancellation`, { reason: '不再需要' }))

  await at.issued([damaged])
  const loss = must(
    await at.technician.post(`/v1/tools/${damaged}/losses`, { kind: 'damaged', cause: '跌落', outcome: 'repaired' }),
    201
  )
  must(await at.keeper.post(`/v1/tool-losses/${loss.number}/taken-in`))
  // The tool is handed in, what it costs is not decided.
  expect(shut(await end(at.technician))).toEqual([409, 'CustodyOpen', [`loss-report ${loss.number}`]])
  for (const duty of ['department-head', 'finance-supervisor'] as const)
    must(await at.signers[duty].post(`/v1/tool-losses/${loss.number}/signatures`, { duty, decision: 'approve' }))
  // That it is being repaired keeps nobody.
  expect((await end(at.technician)).status).toBe(200)
})

test('a hand-over keeps both in their posts until it is signed', async () => {
  const [serial = ''] = await at.tools(1)
  await at.issued([serial])
  const { number } = must(
    await at.technician.post(`/v1/warehouses/${at.warehouse}/tool-hand-overs`, {
      to: at.colleague.person.username,
      tools: named([serial])
    }),
    201
  )
  expect(shut(await end(at.colleague))).toEqual([409, 'CustodyOpen', [`document ${number}`]])
})

test('another duty of a technician that covers the warehouse holds the gate open, one elsewhere does not', async () => {
  const { code } = await h.make.warehouse()
  const [serial = ''] = await at.tools(1)
  const both = await technician({ warehouse: at.warehouse }, { warehouse: code }, { validTo: '2026-12-10' })
  await at.issued([serial], both)
  // Elsewhere nothing is in hand; here the one for everywhere goes on, which is then the last.
  expect((await end(both, 1)).status).toBe(200)
  expect((await end(both, 0)).status).toBe(200)
  expect(shut(await end(both, 2))).toEqual([409, 'CustodyOpen', [`tool ${serial}`]])
  // A duty of the region covers what lies in it.
  const ofRegion = await technician({ region: `R-${at.warehouse}`.slice(0, 20) })
  const [another = ''] = await at.tools(1)
  await at.issued([another], ofRegion)
  expect(shut(await end(ofRegion))).toEqual([409, 'CustodyOpen', [`tool ${another}`]])
})

test('whoever ends somebody’s other duties, or changes a name, meets no gate', async () => {
  const person = callerFor(
    h,
    await h.make.person({
      grants: [
        { duty: 'keeper', warehouse: at.warehouse },
        { duty: 'technician', warehouse: at.warehouse }
      ]
    })
  )
  const [serial = ''] = await at.tools(1)
  await at.issued([serial], person)
  expect((await end(person, 0)).status).toBe(200)
  expect(
    (
      await h.api
        .patch(`/v1/people/${person.person.username}`)
        .auth(admin.person.token, { type: 'bearer' })
        .send({ name: '李雷' })
    ).status
  ).toBe(200)
})

test('of an issue and a duty that is ended at once, one is refused: nobody is given tools while they leave', async () => {
  for (let round = 0; round < 10; round++) {
    const leaver = await technician({ warehouse: at.warehouse })
    const tools = named(await at.tools(1))
    const ending = end(leaver)
    const issuing = at.keeper.post(`/v1/warehouses/${at.warehouse}/tool-issues`, {
      technician: leaver.person.username,
      tools
    })
    const [ended, issued] = await Promise.all([ending, issuing])
    const outcome = [ended.body.code ?? 'ended', issued.body.code ?? 'issued']
    expect([
      ['CustodyOpen', 'issued'],
      ['ended', 'NotTechnician']
    ]).toContainEqual(outcome)
  }
})

test('what is drawn up and what is held keep the gate shut alike, whichever is seen while it is signed', async () => {
  for (let round = 0; round < 5; round++) {
    const leaver = await technician({ warehouse: at.warehouse })
    const { number } = await at.issue(await at.tools(1), leaver)
    const [signed, ended] = await Promise.all([leaver.post(`/v1/tool-documents/${number}/signature`), end(leaver)])
    expect([signed.status, ended.body.code]).toEqual([200, 'CustodyOpen'])
  }
})

test('whoever leaves before eight in the morning is asked what goes on after today, not after yesterday (R-TOOL-3)', async () => {
  const both = await technician({ warehouse: at.warehouse }, { warehouse: at.warehouse, validTo: '2026-11-21' })
  const [serial = ''] = await at.tools(1)
  await at.issued([serial], both)
  // The 21st has begun in Shanghai, and is the last day of the other duty.
  h.clock.set('2026-11-20T23:00:00Z')
  expect(shut(await end(both))).toEqual([409, 'CustodyOpen', [`tool ${serial}`]])
})

test('with the last duty of a technician everything counts, also what stands in a warehouse that moved to another region (R-TOOL-3)', async () => {
  const region = (await h.make.region()).code
  const shop = await openTools(h, { region })
  const roving = await technician({ region }, { warehouse: at.warehouse })
  const [serial = ''] = await shop.tools(1)
  await shop.issued([serial], roving)
  const next = await h.make.region()
  await h.sql('update warehouse set region_id = $1 where id = $2', [next.id, shop.warehouseId])
  expect((await end(roving, 1)).status).toBe(200)
  expect(shut(await end(roving))).toEqual([409, 'CustodyOpen', [`tool ${serial}`]])
  await shop.keeper.post(`/v1/technicians/${roving.person.username}/return-all`)
  const { items } = must(await shop.keeper.get('/v1/tool-documents?kind=return&state=awaiting-signatures'))
  must(await shop.keeper.post(`/v1/tool-documents/${items[0].number}/signature`))
  expect((await end(roving)).status).toBe(200)
})
