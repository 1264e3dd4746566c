import { afterAll, beforeAll, expect, test } from 'vitest'
import { contentHash as hashOf } from '../../src/signing/content-hash.ts'
import { callsAs } from '../support/calls.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { named, openTools, type ToolCounter } from './tools-counter.ts'

let h: Harness
let at: ToolCounter
beforeAll(async () => {
  h = await openHarness()
  at = await openTools(h)
})
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const draw = (kind: string, body: object, by: Caller = at.keeper) =>
  by.post(`/v1/warehouses/${at.warehouse}/tool-${kind}s`, body)
const sign = (by: Caller, { number }: { number: string }, body: object = {}, headers = {}) =>
  by.post(`/v1/tool-documents/${number}/signature`, body, headers)
const nameOf = ({ person }: Caller) => person.username

/** A key of a person, for whatever the person may do. */
async function keyOf(person: Caller): Promise<Caller> {
  const { body } = await person.post('/v1/api-keys', { name: 'bridge', expiresOn: '2027-01-01', access: 'write' })
  return callerFor(h, { ...person.person, token: body.key })
}

test('an issue is drawn up by the keeper and takes effect when the technician signs (R-TOOL-1)', async () => {
  const serials = await at.tools(2)
  const drawn = await draw('issue', {
    technician: nameOf(at.technician),
    tools: serials.map((serial) => ({ serial, condition: '完好' })),
    note: '空调班'
  })
  expect(drawn.status).toBe(201)
  expect(drawn.headers['location']).toBe(`/v1/tool-documents/${drawn.body.number}`)
  expect(drawn.body).toMatchObject({
    number: expect.stringMatching(`^${at.warehouse}-TIS-202611-0000[0-9]$`),
    kind: 'issue',
    state: 'awaiting-signatures',
    giver: nameOf(at.keeper),
    taker: nameOf(at.technician),
    awaiting: ['taker'],
    signatures: [{ role: 'giver', by: nameOf(at.keeper), contentHash: drawn.body.contentHash }],
    lines: serials.map((serial, index) => ({ line: index + 1, serial, value: '1280.00', condition: '完好' }))
  })
  expect(await at.tool(serials[0])).toMatchObject({ state: 'shelf', technician: null, document: drawn.body.number })

  const signed = await sign(at.technician, drawn.body, { contentHash: drawn.body.contentHash })
  expect(signed.body).toMatchObject({ state: 'effective', awaiting: [], settledAt: '2026-11-20T02:00:00Z' })
  expect(signed.body.signatures.map(({ role, by, contentHash }: any) => [role, by, contentHash])).toEqual([
    ['giver', nameOf(at.keeper), drawn.body.contentHash],
    ['taker', nameOf(at.technician), drawn.body.contentHash]
  ])
  expect(await at.tool(serials[0])).toMatchObject({
    state: 'custody',
    technician: nameOf(at.technician),
    since: '2026-11-20T02:00:00Z',
    document: null
  })
  expect((await at.technician.get(`/v1/tools/${serials[0]}/history`)).body.custody).toMatchObject([
    { position: 1, kind: 'registered' },
    {
      position: 2,
      kind: 'issued',
      from: 'shelf',
      to: 'custody',
      technician: nameOf(at.technician),
      document: drawn.body.number,
      by: nameOf(at.technician)
    }
  ])
  expect(
    (await at.keeper.get(`/v1/tool-documents/${drawn.body.number}/history`)).body.items.map(({ event }: any) => event)
  ).toEqual(['tool-issue-drawn-up', 'tool-issue-signed', 'tools-issued'])
  const published = await h.sql<{ event: string }>(
    `select event from outbox where subject = 'document:' || (select id from tool_document where number = $1) order by id`,
    [drawn.body.number]
  )
  expect(published.map(({ event }) => event)).toContain('document.tools-issued')
  expect(problem(await sign(at.technician, drawn.body))).toEqual([409, 'ToolDocumentSettled'])
})

test('custody is personal: nobody signs for the technician, no deputy and no key', async () => {
  const serials = await at.tools(1)
  const issue = await at.issue(serials)
  expect((await sign(at.colleague, issue)).status).toBe(404)
  expect(problem(await sign(at.keeper, issue))).toEqual([409, 'AlreadySigned'])
  expect(problem(await sign(at.otherKeeper, issue))).toEqual([403, 'NotYoursToSign'])
  expect(problem(await sign(await keyOf(at.technician), issue))).toEqual([403, 'PersonMustSign'])
  expect(
    problem(
      await draw(
        'issue',
        { technician: nameOf(at.technician), tools: named(await at.tools(1)) },
        await keyOf(at.keeper)
      )
    )
  ).toEqual([403, 'PersonMustSign'])
  const deputy = callerFor(h, await h.make.person())
  await at.technician.post('/v1/delegations', { to: nameOf(deputy), validTo: '2026-12-31', reason: '年假' })
  expect((await sign(deputy, issue)).status).toBe(404)
  // Standing in makes nobody a technician for tools either.
  expect(problem(await draw('issue', { technician: nameOf(deputy), tools: named(await at.tools(1)) }))).toEqual([
    422,
    'NotTechnician'
  ])
  expect((await sign(at.technician, issue)).body.state).toBe('effective')
})

test('tools go to technicians of the warehouse, whoever draws it up, and to nobody twice', async () => {
  const [serial] = await at.tools(1)
  const to = (technician: string, tools: object[] = [{ serial }]) => draw('issue', { technician, tools })
  const elsewhere = await openTools(h)
  expect((await to(nameOf(elsewhere.technician))).body).toMatchObject({
    status: 422,
    code: 'NotTechnician',
    errors: [{ pointer: '/technician', sent: nameOf(elsewhere.technician) }]
  })
  expect(problem(await to('nobody-at-all'))).toEqual([422, 'PersonUnknown'])
  const [{ regionId }] = await h.sql<{ regionId: number }>(
    'select region_id as "regionId" from warehouse where id = $1',
    [at.warehouseId]
  )
  const ofRegion = await h.make.person({ grants: [{ duty: 'technician', region: regionId }] })
  const past = await h.make.person({ grants: [{ duty: 'technician', warehouse: at.warehouse, validTo: '2026-11-19' }] })
  const future = await h.make.person({
    grants: [{ duty: 'technician', warehouse: at.warehouse, validFrom: '2026-11-21' }]
  })
  for (const { username } of [past, future]) expect(problem(await to(username))).toEqual([422, 'NotTechnician'])
  // Who keeps and uses gives to nobody but others.
  const both = callerFor(
    h,
    await h.make.person({
      grants: (['keeper', 'technician'] as const).map((duty) => ({ duty, warehouse: at.warehouse }))
    })
  )
  expect(problem(await draw('issue', { technician: nameOf(both), tools: [{ serial }] }, both))).toEqual([
    422,
    'GiverTakes'
  ])

  expect(problem(await to(nameOf(at.technician), [{ serial: 'NO-SUCH' }]))).toEqual([422, 'ToolUnknown'])
  expect(problem(await to(nameOf(at.technician), [{ serial }, { serial: serial.toLowerCase() }]))).toEqual([
    422,
    'ToolRepeated'
  ])
  expect(problem(await to(nameOf(at.technician), named(await elsewhere.tools(1))))).toEqual([
    422,
    'ToolOfOtherWarehouse'
  ])
  expect(problem(await draw('issue', { technician: nameOf(at.technician) }))).toEqual([422, 'ToolsMissing'])

  const held = await to(ofRegion.username)
  expect((await to(nameOf(at.technician))).body).toMatchObject({
    status: 409,
    code: 'ToolHeld',
    document: held.body.number
  })
  expect((await sign(callerFor(h, ofRegion), held.body)).status).toBe(200)
  expect((await to(nameOf(at.technician))).body).toMatchObject({
    status: 409,
    code: 'ToolNotThere',
    technician: ofRegion.username,
    errors: [{ pointer: '/tools/0/serial' }]
  })
})

test('somebody who is no technician any more does not get what was drawn up for them', async () => {
  const person = await h.make.person({
    grants: [{ duty: 'technician', warehouse: at.warehouse, validTo: '2026-11-20' }]
  })
  const issue = await at.issue(await at.tools(1), callerFor(h, person))
  h.clock.set('2026-11-21T02:00:00Z')
  try {
    expect(problem(await sign(callerFor(h, person), issue))).toEqual([422, 'NotTechnician'])
  } finally {
    h.clock.set('2026-11-20T02:00:00Z')
  }
  await at.keeper.post(`/v1/tool-documents/${issue.number}/cancellation`, { reason: '离岗' })
})

test('a technician returns what is theirs; it is on the shelf when a keeper signs', async () => {
  const serials = await at.tools(2)
  await at.issued(serials)
  const drawn = await draw('return', { tools: named(serials) }, at.technician)
  expect(drawn.body).toMatchObject({
    kind: 'return',
    giver: nameOf(at.technician),
    taker: null,
    awaiting: ['taker'],
    signatures: [{ role: 'giver', by: nameOf(at.technician) }]
  })
  expect(problem(await sign(at.technician, drawn.body))).toEqual([409, 'AlreadySigned'])
  expect(problem(await sign(at.signers['department-head'], drawn.body))).toEqual([403, 'DutyRequired'])
  expect((await sign(at.otherKeeper, drawn.body)).body).toMatchObject({
    state: 'effective',
    taker: nameOf(at.otherKeeper)
  })
  expect(await at.tool(serials[1])).toMatchObject({ state: 'shelf', technician: null })

  // The keeper draws up anybody's, and may sign it too: the tools are in their hands.
  await at.issued(serials)
  expect(
    problem(await draw('return', { technician: nameOf(at.technician), tools: named(serials) }, at.colleague))
  ).toEqual([403, 'DutyRequired'])
  expect(problem(await draw('return', { technician: nameOf(at.colleague), tools: named(serials) }))).toEqual([
    409,
    'ToolNotThere'
  ])
  const byKeeper = await draw('return', { technician: nameOf(at.technician), tools: named([serials[0]]) })
  expect(byKeeper.body.signatures).toEqual([])
  expect((await sign(at.keeper, byKeeper.body)).body.state).toBe('effective')
  expect([(await at.tool(serials[0])).state, (await at.tool(serials[1])).state]).toEqual(['shelf', 'custody'])
})

test('a return to another warehouse is refused; a transfer does that', async () => {
  const elsewhere = await openTools(h)
  const guest = callerFor(
    h,
    await h.make.person({
      grants: [at, elsewhere].map(({ warehouse }) => ({ duty: 'technician' as const, warehouse }))
    })
  )
  const serials = await at.tools(1)
  await at.issued(serials, guest)
  const wrong = await guest.post(`/v1/warehouses/${elsewhere.warehouse}/tool-returns`, { tools: named(serials) })
  expect(wrong.body).toMatchObject({
    status: 422,
    code: 'ToolOfOtherWarehouse',
    detail: expect.stringContaining('tool-transfers'),
    errors: [{ detail: `belongs to ${at.warehouse}` }]
  })
  const byKeeper = await elsewhere.keeper.post(`/v1/warehouses/${elsewhere.warehouse}/tool-returns`, {
    technician: nameOf(guest),
    tools: named(serials)
  })
  expect(byKeeper.body).toMatchObject({
    code: 'ToolOfOtherWarehouse',
    errors: [{ detail: 'belongs to another warehouse' }]
  })
})

test('a hand-over goes from technician to technician, and both sign', async () => {
  const serials = await at.tools(2)
  await at.issued(serials)
  const drawn = await draw('hand-over', { to: nameOf(at.colleague), tools: named(serials) }, at.technician)
  expect(drawn.body).toMatchObject({ number: expect.stringContaining('-THO-'), awaiting: ['taker'] })
  expect((await sign(at.colleague, drawn.body)).body.state).toBe('effective')
  expect(await at.tool(serials[0])).toMatchObject({ state: 'custody', technician: nameOf(at.colleague) })
  expect((await at.technician.get(`/v1/tools/${serials[0]}`)).status).toBe(404)

  // Drawn up by the keeper nobody has signed yet, in whatever order they do.
  const back = await draw('hand-over', { from: nameOf(at.colleague), to: nameOf(at.technician), tools: named(serials) })
  expect(back.body.awaiting).toEqual(['giver', 'taker'])
  expect((await sign(at.technician, back.body)).body).toMatchObject({
    state: 'awaiting-signatures',
    awaiting: ['giver']
  })
  expect((await at.tool(serials[0])).technician).toBe(nameOf(at.colleague))
  expect(problem(await sign(at.technician, back.body))).toEqual([409, 'AlreadySigned'])
  expect(problem(await sign(at.otherKeeper, back.body))).toEqual([403, 'NotYoursToSign'])
  expect((await sign(at.colleague, back.body)).body.state).toBe('effective')
  expect((await at.tool(serials[0])).technician).toBe(nameOf(at.technician))

  expect(problem(await draw('hand-over', { to: nameOf(at.technician), tools: named(serials) }, at.technician))).toEqual(
    [422, 'GiverTakes']
  )
  expect(problem(await draw('hand-over', { to: nameOf(at.technician), tools: named(serials) }, at.colleague))).toEqual([
    409,
    'ToolNotThere'
  ])
  expect(
    problem(
      await draw(
        'hand-over',
        { from: nameOf(at.technician), to: nameOf(at.colleague), tools: named(serials) },
        at.colleague
      )
    )
  ).toEqual([403, 'DutyRequired'])
})

test('a transfer moves tools from the shelf into the register of another warehouse when its keeper signs', async () => {
  const next = await openTools(h)
  const serials = await at.tools(2)
  const drawn = await draw('transfer', { to: next.warehouse, tools: named(serials) })
  expect(drawn.body).toMatchObject({ toWarehouse: next.warehouse, awaiting: ['taker'], taker: null })
  expect((await at.tool(serials[0])).warehouse).toBe(at.warehouse)
  expect((await next.keeper.get(`/v1/tools/${serials[0]}`)).status).toBe(404)
  expect(problem(await sign(at.otherKeeper, drawn.body))).toEqual([404, 'NotFound'])
  expect(problem(await sign(next.signers['department-head'], drawn.body))).toEqual([403, 'DutyRequired'])
  const signed = await sign(next.keeper, drawn.body)
  expect(signed.body).toMatchObject({ state: 'effective', taker: nameOf(next.keeper) })
  expect(await next.tool(serials[0])).toMatchObject({ warehouse: next.warehouse, state: 'shelf' })
  expect((await at.keeper.get(`/v1/tools/${serials[0]}`)).status).toBe(404)
  expect((await next.keeper.get(`/v1/tools/${serials[0]}/history`)).body).toMatchObject({
    custody: [
      { kind: 'registered', warehouse: at.warehouse },
      { kind: 'transferred', fromWarehouse: at.warehouse, warehouse: next.warehouse, document: drawn.body.number }
    ],
    events: [{ event: 'tool-registered' }]
  })
  const [gone, out] = await at.tools(2)
  await at.issued([out])
  expect(problem(await draw('transfer', { to: next.warehouse, tools: named([out]) }))).toEqual([409, 'ToolNotThere'])
  expect(problem(await draw('transfer', { to: at.warehouse, tools: named([gone]) }))).toEqual([422, 'SameWarehouse'])
  expect(problem(await draw('transfer', { to: 'NOWHERE', tools: named([gone]) }))).toEqual([422, 'WarehouseUnknown'])
  const ofBoth = callerFor(
    h,
    await h.make.person({ grants: [at, next].map(({ warehouse }) => ({ duty: 'keeper' as const, warehouse })) })
  )
  const own = await draw('transfer', { to: next.warehouse, tools: named([gone]) }, ofBoth)
  expect(problem(await sign(ofBoth, own.body))).toEqual([409, 'AlreadySigned'])
})

test('whoever would sign refuses with a reason, and who drew it up drops it; the tools are free again', async () => {
  const serials = await at.tools(1)
  const refused = await at.issue(serials)
  const refuse = (by: Caller, body: object) => by.post(`/v1/tool-documents/${refused.number}/refusal`, body)
  expect(problem(await refuse(at.technician, {}))).toEqual([400, 'InvalidInput'])
  expect(problem(await refuse(at.otherKeeper, { reason: 'x' }))).toEqual([403, 'NotYoursToSign'])
  expect((await refuse(at.technician, { reason: '表笔缺失' })).body).toMatchObject({
    state: 'refused',
    reason: '表笔缺失',
    taker: nameOf(at.technician)
  })
  expect(await at.tool(serials[0])).toMatchObject({ state: 'shelf', document: null })

  const dropped = await at.issue(serials)
  const cancel = (by: Caller, body: object, headers = {}) =>
    by.post(`/v1/tool-documents/${dropped.number}/cancellation`, body, headers)
  expect(problem(await cancel(at.technician, { reason: 'x' }))).toEqual([403, 'DutyRequired'])
  expect((await cancel((await openTools(h)).keeper, { reason: 'x' })).status).toBe(404)
  expect(problem(await cancel(at.keeper, { reason: 'x' }, { 'if-match': '"99"' }))).toEqual([412, 'VersionStale'])
  expect((await cancel(at.otherKeeper, { reason: '写错' })).body).toMatchObject({ state: 'cancelled', reason: '写错' })
  await at.issued(serials)
  const own = await draw('return', { tools: named(serials) }, at.technician)
  expect(
    (await at.technician.post(`/v1/tool-documents/${own.body.number}/cancellation`, { reason: '还需使用' })).body.state
  ).toBe('cancelled')
})

test('what is signed is what was read: another content is refused', async () => {
  const serials = await at.tools(1)
  const issue = await at.issue(serials)
  expect(problem(await sign(at.technician, issue, { contentHash: 'a'.repeat(64) }))).toEqual([409, 'ContentChanged'])
  expect(problem(await sign(at.technician, issue, {}, { 'if-match': '"7"' }))).toEqual([412, 'VersionStale'])
  // Behind the service's back.
  await h.sql(`update tool set value = 1 where serial = $1`, [serials[0]])
  expect(problem(await sign(at.technician, issue))).toEqual([409, 'SignatureOfOtherContent'])
  expect((await at.technician.post(`/v1/tool-documents/${issue.number}/refusal`, { reason: 'x' })).status).toBe(200)
})

test('each drawing up is for its duty, and hidden in a foreign warehouse', async () => {
  const [shelved, held] = await at.tools(2)
  await at.issued([held])
  const foreign = await openTools(h)
  const wrong = at.signers['finance-supervisor']
  const bodies = {
    issue: { technician: nameOf(at.technician), tools: named([shelved]) },
    return: { technician: nameOf(at.technician), tools: named([held]) },
    'hand-over': { from: nameOf(at.technician), to: nameOf(at.colleague), tools: named([held]) },
    transfer: { to: foreign.warehouse, tools: named([shelved]) }
  }
  for (const [kind, body] of Object.entries(bodies)) {
    expect(problem(await draw(kind, body, wrong))).toEqual([403, 'DutyRequired'])
    expect(problem(await draw(kind, body, foreign.keeper))).toEqual([404, 'NotFound'])
  }
  for (const kind of ['issue', 'transfer'] as const)
    expect(problem(await draw(kind, bodies[kind], at.technician))).toEqual([403, 'DutyRequired'])
  expect(problem(await wrong.post(`/v1/technicians/${nameOf(at.technician)}/return-all`))).toEqual([
    403,
    'DutyRequired'
  ])
  expect(problem(await foreign.keeper.post(`/v1/technicians/${nameOf(at.technician)}/return-all`))).toEqual([
    404,
    'NotFound'
  ])
  expect((await at.tool(shelved)).document).toBe(null)
})

test('a repeated request draws up one document (R-ERR-2)', async () => {
  const serials = await at.tools(1)
  const once = { 'idempotency-key': 'issue-once' }
  const body = { technician: nameOf(at.technician), tools: named(serials) }
  const [first, second] = [
    await at.keeper.post(`/v1/warehouses/${at.warehouse}/tool-issues`, body, once),
    await at.keeper.post(`/v1/warehouses/${at.warehouse}/tool-issues`, body, once)
  ]
  expect([first.status, second.status, second.body.number]).toEqual([201, 201, first.body.number])
})

test('return everything is one document for each register; what is reported lost or stands on a paper is left out (R-TOOL-3)', async () => {
  const other = await openTools(h)
  const leaving = callerFor(
    h,
    await h.make.person({ grants: [at, other].map(({ warehouse }) => ({ duty: 'technician' as const, warehouse })) })
  )
  const here = await at.tools(4)
  const there = await other.tools(1)
  await at.issued(here, leaving)
  await other.issued(there, leaving)
  await h.sql('update tool set loss_id = 1 where serial = $1', [here[2]])
  const paper = await draw('return', { tools: named([here[3]]) }, leaving)
  const all = `/v1/technicians/${nameOf(leaving)}/return-all`

  // A keeper draws up what stands in their own register.
  const byKeeper = await at.keeper.post(all, { note: '离岗' })
  expect(byKeeper.status).toBe(201)
  expect(byKeeper.body).toMatchObject({
    documents: [
      { kind: 'return', warehouse: at.warehouse, note: '离岗', lines: named(here.slice(0, 2)), signatures: [] }
    ],
    leftOut: [
      { serial: here[2], because: 'loss-reported', document: null },
      { serial: here[3], because: 'on-open-document', document: paper.body.number }
    ]
  })
  await at.keeper.post(`/v1/tool-documents/${byKeeper.body.documents[0].number}/cancellation`, { reason: 'x' })
  // Whoever reads one register is told nothing of another one.
  const head = await other.signers['department-head'].post(all)
  expect(problem(head)).toEqual([403, 'DutyRequired'])
  expect(head.text).toContain(other.warehouse)
  expect(head.text).not.toContain(at.warehouse)
  // The technician all of their own.
  const own = await leaving.post(all)
  expect(own.body.documents.map(({ warehouse, lines }: any) => [warehouse, lines.length]).sort()).toEqual(
    [
      [at.warehouse, 2],
      [other.warehouse, 1]
    ].sort()
  )
  for (const { number, warehouse } of own.body.documents)
    expect((await sign(warehouse === at.warehouse ? at.keeper : other.keeper, { number })).body.state).toBe('effective')
  expect((await sign(at.keeper, paper.body)).body.state).toBe('effective')
  expect(
    (await leaving.get(`/v1/technicians/${nameOf(leaving)}/custody`)).body.tools.map(({ serial }: any) => serial)
  ).toEqual([here[2]])
  expect((await leaving.post(all)).body).toMatchObject({
    status: 409,
    code: 'NothingToReturn',
    leftOut: [{ serial: here[2] }]
  })
  expect(problem(await at.colleague.post(`/v1/technicians/${nameOf(at.colleague)}/return-all`))).toEqual([
    409,
    'NothingToReturn'
  ])
})

test('whose duty has run out returns everything all the same; a key that may only read does not', async () => {
  const person = await h.make.person({
    grants: [{ duty: 'technician', warehouse: at.warehouse, validTo: '2026-11-20' }]
  })
  const leaving = callerFor(h, person)
  const serials = await at.tools(2)
  await at.issued(serials, leaving)
  const all = `/v1/technicians/${nameOf(leaving)}/return-all`
  const { body: key } = await leaving.post('/v1/api-keys', { name: 'reader', expiresOn: '2027-01-01', access: 'read' })
  expect(problem(await callerFor(h, { ...person, token: key.key }).post(all))).toEqual([403, 'ReadOnlyKey'])
  h.clock.set('2026-11-21T02:00:00Z')
  try {
    expect((await leaving.get(`/v1/technicians/${nameOf(leaving)}/custody`)).body.count).toBe(2)
    const { body } = await leaving.post(all, { warehouse: at.warehouse })
    expect(body.documents).toMatchObject([{ warehouse: at.warehouse, lines: named(serials), awaiting: ['taker'] }])
    expect((await sign(at.keeper, body.documents[0])).body.state).toBe('effective')
  } finally {
    h.clock.set('2026-11-20T02:00:00Z')
  }
})

test('who keeps the warehouse and uses tools of it gives them back to another keeper', async () => {
  const grants = (['keeper', 'technician'] as const).map((duty) => ({ duty, warehouse: at.warehouse }))
  const both = callerFor(h, await h.make.person({ grants }))
  const serials = await at.tools(1)
  await at.issued(serials, both)
  const { body } = await draw('return', { technician: nameOf(both), tools: named(serials) })
  expect(problem(await sign(both, body))).toEqual([422, 'GiverTakes'])
  expect((await sign(at.keeper, body)).body.state).toBe('effective')
})

test('the custody statement is data, a file, and a paper in two languages with a place for the signature', async () => {
  const person = await h.make.person({
    name: '李工 <b>',
    grants: [{ duty: 'technician', warehouse: at.warehouse }]
  })
  const holder = callerFor(h, person)
  const serials = await at.tools(2, { value: '6000.50', nameZh: '<i>扭矩扳手</i>' })
  await at.issued(serials, holder)
  const path = `/v1/technicians/${nameOf(holder)}/custody`
  expect((await holder.get(path)).body).toMatchObject({
    technician: nameOf(holder),
    on: '2026-11-20',
    count: 2,
    value: '12001.00',
    tools: serials.map((serial) => ({ serial, fixedAsset: true }))
  })
  expect((await at.keeper.get(path)).body.count).toBe(2)
  expect((await at.colleague.get(path)).status).toBe(404)
  expect((await (await openTools(h)).keeper.get(path)).status).toBe(404)
  expect((await at.keeper.get('/v1/technicians/nobody-at-all/custody')).status).toBe(404)
  const csv = await at.keeper.get(path, { accept: 'text/csv' })
  expect(csv.headers['content-type']).toContain('text/csv')
  expect(csv.text).toContain(serials[1])
  const page = await holder.get(path, { accept: 'text/html' })
  expect(page.headers['content-type']).toContain('text/html')
  expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  for (const words of [
    '工具保管清单',
    'Custody statement',
    '严禁私用',
    'private use',
    '保管人签字',
    '12001.00',
    serials[0],
    '固定资产'
  ])
    expect(page.text).toContain(words)
  expect(page.text).toContain('&#60;i&#62;扭矩扳手')
  expect(page.text).not.toContain('<i>扭矩')
})

test('documents are listed by place, kind, state and person, and printed with who signed', async () => {
  const shop = await openTools(h)
  const serials = await shop.tools(2)
  const issue = await shop.issued(serials)
  const open = (
    await shop.technician.post(`/v1/warehouses/${shop.warehouse}/tool-returns`, { tools: named([serials[0]]) })
  ).body
  const numbers = async (by: Caller, query: string) =>
    (await by.get(`/v1/tool-documents?${query}`)).body.items.map(({ number }: any) => number)
  const here = `warehouse=${shop.warehouse}`
  expect(await numbers(shop.keeper, here)).toEqual([open.number, issue.number])
  expect(await numbers(shop.keeper, `${here}&kind=issue`)).toEqual([issue.number])
  expect(await numbers(shop.keeper, `${here}&state=awaiting-signatures`)).toEqual([open.number])
  expect(await numbers(shop.keeper, `${here}&technician=${nameOf(shop.colleague)}`)).toEqual([])
  expect(await numbers(shop.technician, '')).toEqual([open.number, issue.number])
  expect(await numbers(shop.colleague, '')).toEqual([])
  const { nextCursor } = (await shop.keeper.get(`/v1/tool-documents?${here}&limit=1`)).body
  expect(await numbers(shop.keeper, `${here}&limit=1&cursor=${nextCursor}`)).toEqual([issue.number])
  const csv = await shop.keeper.get(`/v1/tool-documents?${here}`, { accept: 'text/csv' })
  expect(csv.text).toContain(`${issue.number},issue,effective,${shop.warehouse}`)
  const page = await shop.technician.get(`/v1/tool-documents/${issue.number}/paper`)
  for (const words of [
    '工具领用单',
    'Issue of tools',
    '严禁私用',
    issue.number,
    serials[1],
    `${nameOf(shop.keeper)} 2026-11-20`
  ])
    expect(page.text).toContain(words)
  expect((await shop.colleague.get(`/v1/tool-documents/${issue.number}/paper`)).status).toBe(404)
  expect((await callsAs(h, shop.colleague.person).get(`/v1/tool-documents/${issue.number}/history`)).status).toBe(404)
})

test('a kit is issued and returned together, and says what is missing of it', async () => {
  const shop = await openTools(h)
  const [meter, wrench, pump, spare] = await shop.tools(4)
  const kits = `/v1/warehouses/${shop.warehouse}/tool-kits`
  const setKit = (code: string, tools: string[], by: Caller = shop.keeper) =>
    by.put(`${kits}/${code}`, { name: 'AC kit', nameZh: '空调工具箱', tools })
  const kit = await setKit('AC-1', [meter, wrench.toLowerCase(), pump])
  expect(kit.body).toMatchObject({ code: 'AC-1', technician: null, tools: named([meter, wrench, pump]), missing: [] })
  expect((await shop.tool(meter)).kit).toBe('AC-1')
  expect(problem(await setKit('AC-2', [meter]))).toEqual([409, 'ToolInOtherKit'])
  expect(problem(await setKit('AC-2', ['NO-SUCH']))).toEqual([422, 'ToolUnknown'])
  expect((await setKit('AC-2', [spare])).status).toBe(200)

  const drawKit = (kind: string, body: object, by: Caller = shop.keeper) =>
    by.post(`/v1/warehouses/${shop.warehouse}/tool-${kind}s`, body)
  const technician = nameOf(shop.technician)
  await shop.issued([pump], shop.colleague)
  expect((await shop.keeper.get(`${kits}/ac-1`)).body.missing).toMatchObject([
    { serial: pump, technician: nameOf(shop.colleague) }
  ])
  expect((await drawKit('issue', { technician, kit: 'AC-1' })).body).toMatchObject({
    status: 422,
    code: 'KitIncomplete',
    missing: [{ serial: pump, state: 'custody' }]
  })
  const issue = await drawKit('issue', { technician, kit: 'ac-1', withoutMissing: true })
  expect(issue.body).toMatchObject({ kit: 'AC-1', missingOfKit: [pump], lines: named([meter, wrench]) })
  expect(problem(await setKit('AC-1', [meter]))).toEqual([409, 'KitOut'])
  expect((await sign(shop.technician, issue.body)).body.state).toBe('effective')
  expect((await shop.keeper.get(kits)).body.items[0]).toMatchObject({ technician, missing: [{ serial: pump }] })
  expect(problem(await setKit('AC-1', [meter]))).toEqual([409, 'KitOut'])

  // It comes back whole, or says what stays out.
  await shop.returned([pump], shop.colleague)
  const back = await drawKit('return', { kit: 'AC-1', withoutMissing: true }, shop.technician)
  expect(back.body).toMatchObject({ lines: named([meter, wrench]), missingOfKit: [pump] })
  await sign(shop.keeper, back.body)
  expect((await shop.keeper.get(`${kits}/AC-1`)).body).toMatchObject({ technician: null, missing: [] })
  expect((await drawKit('issue', { technician, kit: 'NONE' })).status).toBe(404)
  expect(problem(await drawKit('issue', { technician, kit: 'AC-1', tools: named([meter]) }))).toEqual([
    422,
    'ToolsMissing'
  ])

  // Returned tool by tool it is back too, and is no more with who has one of it later.
  await sign(shop.technician, (await drawKit('issue', { technician, kit: 'AC-1' })).body)
  await shop.returned([meter])
  expect((await shop.keeper.get(`${kits}/AC-1`)).body).toMatchObject({ technician, missing: [{ serial: meter }] })
  const { documents } = (await shop.technician.post(`/v1/technicians/${technician}/return-all`)).body
  await sign(shop.keeper, documents[0])
  await shop.issued([meter])
  expect((await shop.keeper.get(`${kits}/AC-1`)).body).toMatchObject({ technician: null, missing: [{ serial: meter }] })
  await shop.returned([meter])
  expect((await setKit('AC-1', [meter, wrench, pump])).status).toBe(200)

  // What goes to another register leaves its kit; a kit is dissolved, its tools stay.
  const next = await openTools(h)
  const transfer = await drawKit('transfer', { to: next.warehouse, tools: named([spare]) })
  await sign(next.keeper, transfer.body)
  expect((await next.tool(spare)).kit).toBe(null)
  const remove = (code: string, by: Caller) =>
    h.api.delete(`${kits}/${code}`).set('authorization', `Bearer ${by.person.token}`)
  expect((await remove('AC-1', shop.technician)).status).toBe(403)
  expect((await remove('AC-1', next.keeper)).status).toBe(404)
  expect((await remove('AC-1', shop.keeper)).status).toBe(204)
  expect((await shop.keeper.get(kits)).body.items).toEqual([])
  expect((await shop.keeper.get(`${kits}/AC-1`)).status).toBe(404)
  expect((await shop.tool(meter)).kit).toBe(null)
  expect((await shop.technician.get(kits)).status).toBe(404)
})

test('a kit says of a tool that is being repaired what its issue says: it is missing, though it lies where the kit is', async () => {
  const shop = await openTools(h)
  const [meter, wrench] = await shop.tools(2)
  const kit = `/v1/warehouses/${shop.warehouse}/tool-kits/AC-3`
  await shop.keeper.put(kit, { name: 'AC kit', tools: [meter, wrench] })
  const broken = { kind: 'damaged', outcome: 'repaired', cause: '跌落' }
  const { number } = (await shop.keeper.post(`/v1/tools/${meter}/losses`, broken)).body
  const issue = await shop.keeper.post(`/v1/warehouses/${shop.warehouse}/tool-issues`, {
    technician: nameOf(shop.technician),
    kit: 'AC-3'
  })
  expect(issue.body).toMatchObject({ code: 'KitIncomplete', missing: [{ serial: meter, state: 'shelf' }] })
  expect((await shop.keeper.get(kit)).body.missing).toMatchObject([
    { serial: meter, state: 'shelf', lossReported: true }
  ])
  await shop.keeper.post(`/v1/tool-losses/${number}/withdrawal`, { reason: '完好' })
  expect((await shop.keeper.get(kit)).body.missing).toEqual([])
})

test('a kit of which nothing is left is issued by nobody, and says how it is filled', async () => {
  const shop = await openTools(h)
  const [meter] = await shop.tools(1)
  const kits = `/v1/warehouses/${shop.warehouse}/tool-kits`
  await shop.keeper.put(`${kits}/AC-9`, { name: 'AC kit', tools: [meter] })
  const technician = nameOf(shop.technician)
  const issues = `/v1/warehouses/${shop.warehouse}/tool-issues`
  await sign(shop.technician, (await shop.keeper.post(issues, { technician, kit: 'AC-9' })).body)
  await shop.returned([meter])
  await h.api.delete(`${kits}/AC-9`).set('authorization', `Bearer ${shop.keeper.person.token}`)
  const refused = await shop.keeper.post(issues, { technician, kit: 'AC-9', withoutMissing: true })
  expect(problem(refused)).toEqual([409, 'KitEmpty'])
  expect(refused.body.detail).toContain(`${kits}/AC-9`)
})

test('a document keeps saying what was missing of its kit, whatever becomes of the kit', async () => {
  const shop = await openTools(h)
  const [meter, pump, later] = await shop.tools(3)
  const kits = `/v1/warehouses/${shop.warehouse}/tool-kits`
  await shop.keeper.put(`${kits}/AC-8`, { name: 'AC kit', tools: [meter, pump] })
  await shop.issued([pump], shop.colleague)
  const { body: issue } = await shop.keeper.post(`/v1/warehouses/${shop.warehouse}/tool-issues`, {
    technician: nameOf(shop.technician),
    kit: 'AC-8',
    withoutMissing: true
  })
  expect((await sign(shop.technician, issue)).body.missingOfKit).toEqual([pump])
  await shop.returned([meter])
  await shop.keeper.put(`${kits}/AC-8`, { name: 'AC kit', tools: [meter, later] })
  expect((await shop.keeper.get(`/v1/tool-documents/${issue.number}`)).body).toMatchObject({
    missingOfKit: [pump],
    contentHash: issue.contentHash
  })
})

test('a document keeps showing what was signed when a tool is renamed later (R-SIG-2)', async () => {
  const [serial] = await at.tools(1)
  const issue = await at.issued([serial])
  const renamed = await h.api
    .patch(`/v1/tools/${serial}`)
    .auth(at.keeper.person.token, { type: 'bearer' })
    .send({ name: 'Clamp meter', nameZh: '钳形表', model: null })
  expect(renamed.status).toBe(200)
  const { body } = await at.keeper.get(`/v1/tool-documents/${issue.number}`)
  expect(body.lines).toEqual(issue.lines)
  const { number, kind, warehouse, toWarehouse, giver, taker, kit, missingOfKit, note, lines } = body
  expect(hashOf({ number, kind, warehouse, toWarehouse, giver, taker, kit, missingOfKit, note, lines })).toBe(
    body.contentHash
  )
  await at.returned([serial])
})

test('a technician learns of tools that are not their own nothing but that', async () => {
  const shop = await openTools(h)
  const [theirs, shelved] = await shop.tools(2)
  await shop.issued([theirs], shop.colleague)
  const give = (what: object) => shop.technician.post(`/v1/warehouses/${shop.warehouse}/tool-returns`, what)
  for (const serial of [theirs, shelved]) {
    const refused = await give({ tools: named([serial]) })
    expect(problem(refused)).toEqual([409, 'ToolNotThere'])
    expect(refused.body).not.toHaveProperty('state')
    expect(refused.text).not.toContain(nameOf(shop.colleague))
  }
  await shop.keeper.put(`/v1/warehouses/${shop.warehouse}/tool-kits/AC-7`, { name: 'AC kit', tools: [theirs, shelved] })
  const kit = await give({ kit: 'AC-7' })
  expect(kit.body).toMatchObject({ code: 'KitIncomplete', missing: [{ serial: theirs }, { serial: shelved }] })
  expect(kit.text).not.toContain(nameOf(shop.colleague))
})
