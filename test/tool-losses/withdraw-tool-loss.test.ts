import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { followEvents } from '../../src/alerts/follow-events.ts'
import { alertsOf, reconciled } from '../alerts/alerting.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { relayed } from '../support/relay.ts'
import { named, openTools, type ToolCounter } from '../tools/tools-counter.ts'

let h: Harness
let at: ToolCounter
let head: Caller
let finance: Caller
beforeAll(async () => {
  h = await openHarness()
  at = await openTools(h)
  head = at.signers['department-head']
  finance = at.signers['finance-supervisor']
})
beforeEach(() => h.clock.set(DEFAULT_TIME))
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}
const LOST = { kind: 'lost', cause: '在客户处维修后遗失' }
const BROKEN = { kind: 'damaged', cause: '跌落，表头碎裂', outcome: 'repaired' }
/** A tool in the custody of the technician, and the report about it. */
const reported = async (what: object = LOST, by: Caller = at.technician) => {
  const [serial = ''] = await at.tools(1, { purchasedOn: '2025-06-15' })
  await at.issued([serial])
  const { number, version } = must(await by.post(`/v1/tools/${serial}/losses`, what), 201)
  return { serial, number, version }
}
const withdraw = (number: string, by: Caller = at.technician, headers = {}) =>
  by.post(`/v1/tool-losses/${number}/withdrawal`, { reason: '工具在车内找到' }, headers)
const sign = (number: string, by: Caller, duty: string, more: object = {}) =>
  by.post(`/v1/tool-losses/${number}/signatures`, { duty, decision: 'approve', ...more })
const assess = (number: string, what: object) => head.put(`/v1/tool-losses/${number}/assessment`, what)
const read = async (number: string) => must(await head.get(`/v1/tool-losses/${number}`))

test('a report is taken back by who wrote it, with a reason; its tool is free again and nothing is claimed (R-TOOL-2)', async () => {
  const { serial, number, version } = await reported()
  h.clock.set('2026-11-23T09:00')
  const answer = await withdraw(number, at.technician, { 'if-match': `"${version}"` })
  expect(answer.headers['etag']).toBe(`"${version + 1}"`)
  expect(must(answer)).toMatchObject({
    state: 'withdrawn',
    reason: '工具在车内找到',
    endedAt: '2026-11-23T01:00:00Z',
    decidedOn: null,
    awaiting: [],
    booked: [],
    signatures: []
  })
  expect(await at.tool(serial)).toMatchObject({
    state: 'custody',
    technician: at.technician.person.username,
    lossReported: false
  })
  const { items } = must(await at.technician.get(`/v1/tool-losses/${number}/history`))
  expect(items.map(({ event, by, details }: any) => [event, by, details.reason])).toEqual([
    ['loss-reported', at.technician.person.username, undefined],
    ['loss-withdrawn', at.technician.person.username, '工具在车内找到']
  ])
  const { text } = await at.technician.get(`/v1/tool-losses/${number}/paper`)
  for (const words of ['已撤回 withdrawn', '撤回原因 why it was withdrawn', '工具在车内找到'])
    expect(text).toContain(words)
  const listed = must(await head.get(`/v1/tool-losses?warehouse=${at.warehouse}&state=withdrawn`)).items
  expect(listed.map((loss: any) => loss.number)).toContain(number)

  // It is reported anew under another number, or given back.
  const anew = must(await at.technician.post(`/v1/tools/${serial}/losses`, LOST), 201)
  expect(anew.number).not.toBe(number)
  must(await withdraw(anew.number))
  await at.returned([serial])
})

test('a keeper takes back what the keeper reported; a damaged tool that was taken in stays on the shelf', async () => {
  const { serial, number } = await reported(BROKEN, at.keeper)
  must(await at.keeper.post(`/v1/tool-losses/${number}/taken-in`))
  // Whose tool it was did not report it.
  expect(problem(await withdraw(number))).toEqual([403, 'NotYourReport'])
  expect(must(await withdraw(number, at.keeper))).toMatchObject({ state: 'withdrawn', takenIn: true })
  expect(await at.tool(serial)).toMatchObject({ state: 'shelf', technician: null, lossReported: false })
  await at.issued([serial])
})

test('nobody takes back what somebody else reported, whatever their duty; what is not so is refused (R-SIG-3)', async () => {
  const { number } = await reported()
  for (const by of [at.keeper, at.otherKeeper, head, finance]) {
    const { status, body } = await withdraw(number, by)
    expect([status, body.code]).toEqual([403, 'NotYourReport'])
    expect(body.detail).toContain(`was reported by ${at.technician.person.username}`)
  }
  const elsewhere = await openTools(h)
  for (const by of [at.colleague, elsewhere.keeper])
    expect(problem(await withdraw(number, by))).toEqual([404, 'NotFound'])
  expect(problem(await withdraw(`${at.warehouse}-TLR-202611-99999`))).toEqual([404, 'NotFound'])
  expect((await at.technician.post(`/v1/tool-losses/${number}/withdrawal`, {})).status).toBe(400)
  const { key } = must(
    await at.technician.post('/v1/api-keys', { name: 'van', access: 'read', expiresOn: '2026-12-01' }),
    201
  )
  const byKey = await h.api
    .post(`/v1/tool-losses/${number}/withdrawal`)
    .set('x-api-key', key)
    .send({ reason: '工具在车内找到' })
  expect(problem(byKey)).toEqual([403, 'ReadOnlyKey'])
  expect((await read(number)).state).toBe('reported')
})

test('whose duty has run out still takes back what they reported (R-TOOL-2)', async () => {
  const leaving = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'technician', warehouse: at.warehouse, validTo: '2026-11-20' }] })
  )
  const [serial = ''] = await at.tools(1)
  await at.issued([serial], leaving)
  const { number } = must(await leaving.post(`/v1/tools/${serial}/losses`, LOST), 201)
  h.clock.set('2026-11-24T09:00')
  expect(must(await withdraw(number, leaving)).state).toBe('withdrawn')
})

test('it is too late once somebody has signed (R-SIG-2)', async () => {
  const { number } = await reported()
  must(await sign(number, finance, 'finance-supervisor'))
  const { status, body } = await withdraw(number)
  expect([status, body.code, body.signed]).toEqual([
    409,
    'LossTakenUp',
    { by: finance.person.username, at: '2026-11-20T02:00:00Z' }
  ])
  expect(body.detail).toContain(`was signed by ${finance.person.username}`)
  expect(body.detail).toContain('a signer refuses it with the reason')
  // An assessment voids the signature; it was given all the same.
  must(await assess(number, { compensation: null }))
  expect(problem(await withdraw(number))).toEqual([409, 'LossTakenUp'])
  must(await sign(number, head, 'department-head', { decision: 'refuse', comment: '工具在车内找到' }))
  expect(problem(await withdraw(number))).toEqual([409, 'LossNotOpen'])
})

test('it is too late once it is assessed, also when a repair was given up', async () => {
  const { number } = await reported()
  must(await assess(number, { compensation: '500.00', compensationReason: '部分责任' }))
  const { status, body } = await withdraw(number)
  expect([status, body.code, body.assessed]).toEqual([
    409,
    'LossTakenUp',
    { by: head.person.username, at: '2026-11-20T02:00:00Z' }
  ])

  const broken = await reported(BROKEN)
  must(await sign(broken.number, head, 'department-head'))
  must(await sign(broken.number, finance, 'finance-supervisor'))
  expect(problem(await withdraw(broken.number))).toEqual([409, 'LossNotOpen'])
  must(await assess(broken.number, { outcome: 'scrapped' }))
  expect(problem(await withdraw(broken.number))).toEqual([409, 'LossTakenUp'])
})

test('it is taken back once, and as it was read', async () => {
  const { number, version } = await reported(BROKEN, at.keeper)
  must(await at.keeper.post(`/v1/tool-losses/${number}/taken-in`))
  expect(problem(await withdraw(number, at.keeper, { 'if-match': `"${version}"` }))).toEqual([412, 'VersionStale'])
  must(await withdraw(number, at.keeper, { 'if-match': `"${version + 1}"` }))
  const twice = await withdraw(number, at.keeper)
  expect(problem(twice)).toEqual([409, 'LossNotOpen'])
  expect(twice.body.detail).toContain('was withdrawn')
  const lost = await reported()
  must(await withdraw(lost.number))
  const takenIn = await at.keeper.post(`/v1/tool-losses/${lost.number}/taken-in`)
  expect(problem(takenIn)).toEqual([409, 'NothingToTakeIn'])
  expect(takenIn.body.detail).toContain('is withdrawn; a tool that nothing is reported of is returned')
  for (const late of [await sign(number, head, 'department-head'), await assess(number, { compensation: null })])
    expect(problem(late)).toEqual([409, 'LossNotOpen'])
})

test('the alert of an open report ends with it, and the technician may leave (R-ALR-1, R-TOOL-3)', async () => {
  const shop = await openTools(h)
  const [serial = ''] = await shop.tools(1)
  await shop.issued([serial])
  const { number } = must(await shop.technician.post(`/v1/tools/${serial}/losses`, LOST), 201)
  const states = async () => {
    await relayed(h, { only: [followEvents] })
    const alerts = await alertsOf(h, shop.warehouseId, 'tool-loss-open')
    return alerts.filter(({ subject }) => subject === number).map(({ state }) => state)
  }
  expect(await states()).toEqual(['open'])
  must(await withdraw(number, shop.technician))
  expect(await states()).toEqual(['resolved'])
  expect(await reconciled(h, 'tool-loss-open')).toEqual({ raised: 0, updated: 0, resolved: 0 })
  const inHand = () => h.sql<{ what: string }>('select what from tools_in_hand($1)', [shop.technician.person.id])
  expect(await inHand()).toEqual([{ what: 'tool' }])
  await shop.returned([serial])
  expect(await inHand()).toEqual([])
})

test('of whoever signs, takes it back and takes it back again at once, one is first', async () => {
  for (let round = 0; round < 3; round++) {
    const { serial, number } = await reported()
    const [signed, ...back] = await Promise.all([
      sign(number, head, 'department-head'),
      withdraw(number),
      withdraw(number)
    ])
    const isWithdrawn = back.some(({ status }) => status === 200)
    expect(problem(signed)).toEqual(isWithdrawn ? [409, 'LossNotOpen'] : [200, undefined])
    expect(back.map(({ status }) => status).toSorted()).toEqual(isWithdrawn ? [200, 409] : [409, 409])
    expect((await at.tool(serial)).lossReported).toBe(!isWithdrawn)
  }
})

test('a tool whose report was taken back stands in documents again', async () => {
  const { serial, number } = await reported()
  const held = await at.technician.post(`/v1/warehouses/${at.warehouse}/tool-returns`, { tools: named([serial]) })
  expect(problem(held)).toEqual([409, 'ToolHeld'])
  expect(held.body.detail).toContain('or withdrawn by who reported it')
  must(await withdraw(number))
  await at.returned([serial])
  expect(await at.tool(serial)).toMatchObject({ state: 'shelf' })
})
