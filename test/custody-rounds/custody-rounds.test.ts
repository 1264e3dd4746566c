import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { openTools, type ToolCounter } from '../tools/tools-counter.ts'

let h: Harness
let at: ToolCounter
let elsewhere: ToolCounter
beforeAll(async () => {
  h = await openHarness()
  elsewhere = await openTools(h)
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  at = await openTools(h)
})
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}
const open = (by: Caller = at.keeper, body: object = { dueOn: '2026-12-04' }) =>
  by.post(`/v1/warehouses/${at.warehouse}/custody-rounds`, body)
const confirm = (number: string, by: Caller, body: object = {}) =>
  by.post(`/v1/custody-rounds/${number}/confirmation`, body)
const close = (number: string, by: Caller = at.keeper) => by.post(`/v1/custody-rounds/${number}/closing`)
const statesOf = async (number: string) =>
  Object.fromEntries(
    must(await at.keeper.get(`/v1/custody-rounds/${number}`)).lines.map(({ technician, state }: any) => [
      technician,
      state
    ])
  )

test('a round freezes what everybody holds, each confirms their own list, and it is closed (R-TOOL-1)', async () => {
  const mine = await at.tools(2)
  const [theirs = '', free = ''] = await at.tools(2)
  await at.issued(mine)
  await at.issued([theirs], at.colleague)
  const { status, body: round, headers } = await open(at.keeper, { dueOn: '2026-12-04', note: '年终核对' })
  expect(status).toBe(201)
  expect(headers['location']).toBe(`/v1/custody-rounds/${round.number}`)
  const [me, colleague] = [at.technician.person.username, at.colleague.person.username]
  expect(round).toMatchObject({
    number: `${at.warehouse}-TCR-202611-00001`,
    state: 'open',
    dueOn: '2026-12-04',
    note: '年终核对',
    openedBy: at.keeper.person.username
  })
  expect(
    round.lines.map(({ technician, state, tools }: any) => [technician, state, tools.map(({ serial }: any) => serial)])
  ).toEqual(
    [
      [me, 'awaited', mine.toSorted()],
      [colleague, 'awaited', [theirs]]
    ].toSorted()
  )
  // What is issued since is in no list of it, and what is on the shelf neither.
  await at.issued([free], at.colleague)

  // A technician reads their own line, and confirms what they have read.
  const own = must(await at.technician.get(`/v1/custody-rounds/${round.number}`)).lines
  expect(own.map(({ technician }: any) => technician)).toEqual([me])
  expect(problem(await confirm(round.number, at.technician, { contentHash: '0'.repeat(64) }))).toEqual([
    409,
    'ContentChanged'
  ])
  expect(must(await confirm(round.number, at.technician, { contentHash: own[0].contentHash })).lines).toMatchObject([
    { technician: me, state: 'confirmed', answeredAt: '2026-11-20T02:00:00Z' }
  ])
  const early = await close(round.number)
  expect(early.body).toMatchObject({ code: 'RoundUnfinished', open: [{ technician: colleague, state: 'awaited' }] })
  expect(early.body.detail).toContain(`${colleague} (has not confirmed)`)
  expect(must(await at.keeper.get(`/v1/custody-rounds?warehouse=${at.warehouse}&state=open`)).items).toMatchObject([
    { number: round.number, technicians: 2, outstanding: 1 }
  ])
  must(await confirm(round.number, at.colleague))
  expect(must(await close(round.number))).toMatchObject({
    state: 'closed',
    closedBy: at.keeper.person.username,
    closedAt: '2026-11-20T02:00:00Z'
  })
  expect(problem(await close(round.number))).toEqual([409, 'RoundClosed'])
  expect(problem(await confirm(round.number, at.technician))).toEqual([409, 'RoundClosed'])
  // The next one can be opened.
  expect(must(await open(at.signers['department-head']), 201).number).toBe(`${at.warehouse}-TCR-202611-00002`)
})

test('who names what is missing has to have its loss reported, and may answer anew (R-TOOL-2)', async () => {
  const [gone = '', there = ''] = await at.tools(2)
  await at.issued([gone, there])
  const { number } = must(await open(), 201)
  const me = at.technician.person.username
  expect(problem(await confirm(number, at.technician, { missing: ['GJ-UNKNOWN'] }))).toEqual([422, 'ToolNotOfList'])
  expect(must(await confirm(number, at.technician, { missing: [gone.toLowerCase()] })).lines[0]).toMatchObject({
    state: 'report-awaited',
    tools: expect.arrayContaining([expect.objectContaining({ serial: gone, missing: true, lossReport: null })])
  })
  expect((await close(number)).body.detail).toContain(`${me} (has to report a loss)`)
  // It was in the car after all.
  must(await confirm(number, at.technician, { remark: '在车里找到' }))
  expect(await statesOf(number)).toEqual({ [me]: 'confirmed' })
  must(await confirm(number, at.technician, { missing: [gone] }))
  const loss = must(await at.technician.post(`/v1/tools/${gone}/losses`, { kind: 'lost', cause: '核对时未找到' }), 201)
  expect(must(await at.keeper.get(`/v1/custody-rounds/${number}`)).lines[0]).toMatchObject({
    state: 'confirmed',
    tools: expect.arrayContaining([expect.objectContaining({ serial: gone, missing: true, lossReport: loss.number })])
  })
  // A report that is refused has to be written anew.
  must(
    await at.signers['finance-supervisor'].post(`/v1/tool-losses/${loss.number}/signatures`, {
      duty: 'finance-supervisor',
      decision: 'refuse',
      comment: '先找一找'
    })
  )
  expect(await statesOf(number)).toEqual({ [me]: 'report-awaited' })
  // So has one that is taken back.
  const again = must(await at.technician.post(`/v1/tools/${gone}/losses`, { kind: 'lost', cause: '仍未找到' }), 201)
  expect(await statesOf(number)).toEqual({ [me]: 'confirmed' })
  must(await at.technician.post(`/v1/tool-losses/${again.number}/withdrawal`, { reason: '日期写错' }))
  expect(must(await at.keeper.get(`/v1/custody-rounds/${number}`)).lines[0]).toMatchObject({
    state: 'report-awaited',
    tools: expect.arrayContaining([expect.objectContaining({ serial: gone, missing: true, lossReport: null })])
  })
  must(await at.technician.post(`/v1/tools/${gone}/losses`, { kind: 'lost', cause: '仍未找到' }), 201)
  must(await close(number))
  expect(must(await open(), 201).lines).toMatchObject([{ technician: me, tools: [{ serial: there }] }])
})

test('who has handed everything in has nothing left to confirm', async () => {
  const [serial = ''] = await at.tools(1)
  await at.issued([serial])
  const { number } = must(await open(), 201)
  await at.returned([serial])
  expect(await statesOf(number)).toEqual({ [at.technician.person.username]: 'handed-in' })
  must(await close(number))
})

test('whose duty has run out still answers for what they hold, and reports what is missing (R-TOOL-2)', async () => {
  const leaving = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'technician', warehouse: at.warehouse, validTo: '2026-11-20' }] })
  )
  const [lost = '', kept = ''] = await at.tools(2)
  await at.issued([lost, kept], leaving)
  const { number } = must(await open(), 201)
  h.clock.set('2026-11-23T02:00:00Z')
  expect(must(await confirm(number, leaving, { missing: [lost] })).lines[0].state).toBe('report-awaited')
  must(await leaving.post(`/v1/tools/${lost}/losses`, { kind: 'lost', cause: '遗失' }), 201)
  expect(must(await leaving.get(`/v1/custody-rounds/${number}`)).lines[0].state).toBe('confirmed')
})

test('a round that is overdue the head of department closes with a reason, and the next one asks again (R-TOOL-1)', async () => {
  await at.issued(await at.tools(1))
  await at.issued(await at.tools(1), at.colleague)
  const { number } = must(await open(), 201)
  must(await confirm(number, at.technician))
  const head = at.signers['department-head']
  const because = (by: Caller) => by.post(`/v1/custody-rounds/${number}/closing`, { reason: '病假三个月' })
  expect(problem(await because(head))).toEqual([409, 'RoundUnfinished'])
  h.clock.set('2026-12-05T02:00:00Z')
  expect(problem(await because(at.keeper))).toEqual([403, 'DutyRequired'])
  const silent = await close(number, head)
  expect(problem(silent)).toEqual([409, 'RoundUnfinished'])
  expect(silent.body.detail).toContain('the head of department may close it with a reason')
  expect(must(await because(head))).toMatchObject({ state: 'closed', closedBecause: '病假三个月' })
  // What keeps somebody away is no matter of the others.
  expect(must(await at.technician.get(`/v1/custody-rounds/${number}`)).closedBecause).toBe(null)
  const [event] = await h.sql<{ details: object }>(
    `select details from document_event where event = 'custody-round-closed' and warehouse_id = $1`,
    [at.warehouseId]
  )
  expect(event?.details).toMatchObject({ because: '病假三个月', unanswered: [at.colleague.person.username] })
  must(await open(at.keeper, { dueOn: '2026-12-20' }), 201)
})

test('nobody confirms for somebody else: not the keeper, not a deputy, not a key', async () => {
  const [serial = ''] = await at.tools(1)
  await at.issued([serial])
  const { number } = must(await open(), 201)
  expect(problem(await confirm(number, at.keeper))).toEqual([403, 'DutyRequired'])
  expect(problem(await confirm(number, elsewhere.technician))).toEqual([404, 'NotFound'])
  // Whoever held nothing is not asked, and does not see the round.
  expect(problem(await confirm(number, at.colleague))).toEqual([404, 'NotFound'])
  const both = callerFor(
    h,
    await h.make.person({
      grants: [
        { duty: 'technician', warehouse: at.warehouse },
        { duty: 'keeper', warehouse: at.warehouse }
      ]
    })
  )
  expect(problem(await confirm(number, both))).toEqual([409, 'NotAsked'])
  const deputy = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: at.warehouse }] }))
  must(
    await at.technician.post('/v1/delegations', {
      to: deputy.person.username,
      validTo: '2026-12-31',
      reason: '年假'
    }),
    201
  )
  expect(problem(await confirm(number, deputy))).toEqual([403, 'CustodyIsPersonal'])
  const { key } = must(
    await at.technician.post('/v1/api-keys', { name: 'van', access: 'write', expiresOn: '2026-12-01' }),
    201
  )
  const byKey = await h.api.post(`/v1/custody-rounds/${number}/confirmation`).set('x-api-key', key).send({})
  expect(problem(byKey)).toEqual([403, 'PersonMustSign'])
})

test('it is opened and closed by the keeper or the head of department, one at a time, with something to confirm and time to do so', async () => {
  expect(problem(await open())).toEqual([409, 'NothingInCustody'])
  await at.issued(await at.tools(1))
  expect(problem(await open(at.keeper, { dueOn: '2026-11-19' }))).toEqual([422, 'DueInThePast'])
  expect(problem(await open(at.keeper, { dueOn: '2027-12-04' }))).toEqual([422, 'DueTooLate'])
  for (const by of [at.technician, at.signers['finance-supervisor']])
    expect(problem(await open(by))).toEqual([403, 'DutyRequired'])
  expect(problem(await open(elsewhere.keeper))).toEqual([404, 'NotFound'])
  const outcomes = await Promise.all([open(), open(at.signers['department-head']), open()])
  expect(outcomes.map(({ status, body }) => (status === 201 ? 201 : body.code)).toSorted()).toEqual([
    201,
    'RoundOpenAlready',
    'RoundOpenAlready'
  ])
  const { number } = outcomes.find(({ status }) => status === 201)?.body ?? {}
  must(await confirm(number, at.technician))
  expect(problem(await close(number, at.technician))).toEqual([403, 'DutyRequired'])
  expect(problem(await close(number, elsewhere.keeper))).toEqual([404, 'NotFound'])
  expect(problem(await at.keeper.post(`/v1/custody-rounds/${number}/closing`, {}, { 'if-match': '"1"' }))).toEqual([
    412,
    'VersionStale'
  ])
  must(await close(number, at.signers['department-head']))
})
