import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contentHash as sha256Of } from '../../src/signing/content-hash.ts'
import { callsAs } from '../support/calls.ts'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { must, openHandingOver, type HandingOver } from './handing-over.ts'

let h: Harness
let administrator: MadePerson
beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2026-11-20T10:00')
  administrator = await h.make.person({ grants: [{ duty: 'administrator' }] })
})
afterAll(() => h.close())

const amend = async (at: HandingOver, number: string, body: object, as = at.keeper) =>
  callsAs(h, as.person).patch(`/v1/handovers/${number}`, body)
const codes = (answer: { status: number; body: any }) => [answer.status, answer.body.code]
/** The own keeper duties of somebody that have not ended. */
const dutiesOf = (personId: number) =>
  h.sql<{ warehouse: string | null; validTo: string | null }>(
    `select w.code as warehouse, g.valid_to::text as "validTo" from duty_assignment g left join warehouse w on w.id = g.warehouse_id
      where g.person_id = $1 and g.duty = 'keeper' and g.ended_at is null order by g.id`,
    [personId]
  )

describe('drawing up (R-ORG-3)', () => {
  test('the outgoing keeper draws up, and sees what the ledger holds and what is open', async () => {
    const at = await openHandingOver(h)
    const part = await at.stocked({ quantity: '4', unitCost: '2.50' })
    const { number: slip } = await at.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    const handover = await at.drawUp({ keys: [{ name: '仓库大门', count: 2 }], notes: '三号货架待维修' })

    expect(handover).toMatchObject({
      number: `${at.warehouse}-HOV-202611-00001`,
      warehouse: at.warehouse,
      state: 'draft',
      version: 1,
      outgoing: { username: at.keeper.person.username },
      incoming: { username: at.incoming.person.username },
      absentBecause: null,
      keys: [{ name: '仓库大门', count: 2 }],
      notes: '三号货架待维修',
      count: null,
      snapshot: { balances: 1, cost: '10.00', open: { slip: 1 } },
      parties: ['outgoing-keeper', 'incoming-keeper', 'department-head', 'finance-supervisor'],
      awaiting: [],
      cutOff: null
    })
    const [open] = await h.sql('select kind, reference from handover_open where warehouse_id = $1', [at.warehouseId])
    expect(open).toEqual({ kind: 'slip', reference: slip })
    const [moved] = await h.sql<{ last: string }>(
      'select max(id)::text as last from movement where warehouse_id = $1',
      [at.warehouseId]
    )
    expect(handover.snapshot.position).toBe(moved?.last)
  })

  test('a handover to oneself, to somebody inactive or unknown is refused', async () => {
    const at = await openHandingOver(h)
    const idle = await h.make.person()
    await h.sql('update person set active = false where id = $1', [idle.id])
    const to = (incoming: string) =>
      at.keeper.post(`/v1/warehouses/${at.warehouse}/handovers`, { incoming, because: '调任' })

    expect(codes(await to(at.keeper.person.username))).toEqual([422, 'HandoverToOneself'])
    expect(codes(await to(idle.username))).toEqual([422, 'PersonInactive'])
    expect(codes(await to('nobody-at-all'))).toEqual([404, 'NotFound'])
    expect(codes(await to('system'))).toEqual([404, 'NotFound'])
  })

  test('others than the keeper do not draw up, nor does a foreign keeper', async () => {
    const at = await openHandingOver(h)
    const elsewhere = await openHandingOver(h)
    const body = { incoming: at.incoming.person.username, because: '调任' }
    const path = `/v1/warehouses/${at.warehouse}/handovers`

    expect(codes(await at.technician.post(path, body))).toEqual([403, 'DutyRequired'])
    expect(codes(await elsewhere.keeper.post(path, body))).toEqual([404, 'NotFound'])
    expect(codes(await at.signers['department-head'].post(path, body))).toEqual([403, 'DutyRequired'])
  })

  test('one handover is open per keeper and warehouse', async () => {
    const at = await openHandingOver(h)
    const body = { incoming: at.incoming.person.username, because: '调任' }
    const answers = await Promise.all(
      [1, 2, 3].map(() => at.keeper.post(`/v1/warehouses/${at.warehouse}/handovers`, body))
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409])
    expect(answers.find(({ status }) => status === 409)?.body.code).toBe('HandoverUnderWay')
  })

  test('a keeper of a whole region hands over nothing until the duty is given for the warehouse alone', async () => {
    const at = await openHandingOver(h)
    const { region, code } = await h.make.warehouse()
    const regional = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', region }] }))
    const body = { incoming: at.incoming.person.username, because: '调任' }

    const refused = await regional.post(`/v1/warehouses/${code}/handovers`, body)
    expect(codes(refused)).toEqual([422, 'KeeperOfMore'])
    expect(refused.body.held).toEqual([`region ${region}`])
  })

  test('who stands in for a keeper hands over nothing', async () => {
    const at = await openHandingOver(h)
    const deputy = callerFor(h, await h.make.person())
    must(
      await at.keeper.post('/v1/delegations', {
        to: deputy.person.username,
        duty: 'keeper',
        validTo: '2026-11-30',
        reason: '休假'
      }),
      201
    )
    const body = { incoming: at.incoming.person.username, because: '调任' }
    expect(codes(await deputy.post(`/v1/warehouses/${at.warehouse}/handovers`, body))).toEqual([
      403,
      'KeeperMustHandOver'
    ])
  })
})

describe('signing (R-ORG-3)', () => {
  test('four different people sign; with the last signature the duty moves and the cut-off is on record', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const { number } = await at.drawUp()
    const submitted = await at.submit(number)
    expect(submitted).toMatchObject({
      state: 'awaiting-signatures',
      awaiting: ['outgoing-keeper', 'incoming-keeper', 'department-head', 'finance-supervisor']
    })
    const almost = await at.signAll(number, ['incoming-keeper', 'department-head', 'outgoing-keeper'])
    expect(almost).toMatchObject({ state: 'awaiting-signatures', awaiting: ['finance-supervisor'], cutOff: null })
    expect(await dutiesOf(at.incoming.person.id)).toEqual([])

    const completed = must(await at.signAs('finance-supervisor', number), 200)

    expect(completed).toMatchObject({
      state: 'completed',
      awaiting: [],
      cutOff: { position: submitted.snapshot.position, at: '2026-11-20T02:00:00Z' }
    })
    expect(completed.signatures.map(({ party, signedBy }: any) => [party, signedBy])).toEqual([
      ['incoming-keeper', at.incoming.person.username],
      ['department-head', at.signers['department-head'].person.username],
      ['outgoing-keeper', at.keeper.person.username],
      ['finance-supervisor', at.signers['finance-supervisor'].person.username]
    ])
    expect(await dutiesOf(at.keeper.person.id)).toEqual([])
    expect(await dutiesOf(at.incoming.person.id)).toEqual([{ warehouse: at.warehouse, validTo: null }])
    const history = await h.sql<{ event: string }>(
      `select event from document_event e join handover h on h.warehouse_id = e.warehouse_id and h.id = e.document_id where h.number = $1 order by e.id`,
      [number]
    )
    expect(history.map(({ event }) => event)).toEqual([
      'drawn-up',
      'submitted',
      'signed',
      'signed',
      'signed',
      'signed',
      'handed-over'
    ])
  })

  test('from the last signature on the outgoing keeper can act no more, and the incoming keeper goes on', async () => {
    const at = await openHandingOver(h)
    const part = await at.stocked()
    const { number: slip } = await at.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await at.sign(slip)
    await at.handOver()

    expect(codes(await at.keeper.post(`/v1/slips/${slip}/posting`, { handedTo: '张三' }))).toEqual([404, 'NotFound'])
    must(await at.incoming.post(`/v1/slips/${slip}/posting`, { handedTo: '张三' }), 200)
  })

  test('a keeper is signed for by nobody else, an API key never signs, and no one signs twice', async () => {
    const at = await openHandingOver(h)
    const { number } = await at.drawUp()
    await at.submit(number)
    const sign = (as: HandingOver['keeper'], party: string) =>
      as.post(`/v1/handovers/${number}/signatures`, { party, decision: 'approve' })

    expect(codes(await sign(at.signers['department-head'], 'outgoing-keeper'))).toEqual([403, 'KeeperMustSign'])
    expect(codes(await sign(at.keeper, 'incoming-keeper'))).toEqual([403, 'KeeperMustSign'])
    expect(codes(await sign(at.signers['operations-supervisor'], 'department-head'))).toEqual([403, 'DutyRequired'])
    expect(codes(await sign(at.signers['finance-supervisor'], 'department-head'))).toEqual([403, 'DutyRequired'])
    expect(codes(await sign((await openHandingOver(h)).signers['department-head'], 'department-head'))).toEqual([
      404,
      'NotFound'
    ])
    must(await sign(at.keeper, 'outgoing-keeper'), 200)
    expect(codes(await sign(at.keeper, 'outgoing-keeper'))).toEqual([409, 'PartyAlreadySigned'])
  })

  test('a keeper who also holds a supervising duty does not supervise, and one person supervises once', async () => {
    const at = await openHandingOver(h)
    const both = callerFor(
      h,
      await h.make.person({
        grants: [
          { duty: 'department-head', warehouse: at.warehouse },
          { duty: 'finance-supervisor', warehouse: at.warehouse }
        ]
      })
    )
    const { number } = await at.drawUp({ incoming: both.person.username })
    await at.submit(number)
    const sign = (party: string) => both.post(`/v1/handovers/${number}/signatures`, { party, decision: 'approve' })
    expect(codes(await sign('department-head'))).toEqual([422, 'KeeperNeverSupervises'])

    must(await at.keeper.post(`/v1/handovers/${number}/cancellation`, { reason: '改派' }), 200)
    const again = await at.drawUp()
    await at.submit(again.number)
    const signAgain = (party: string) =>
      both.post(`/v1/handovers/${again.number}/signatures`, { party, decision: 'approve' })
    must(await signAgain('department-head'), 200)
    expect(codes(await signAgain('finance-supervisor'))).toEqual([409, 'AlreadySigned'])
  })

  test('a signer refuses with a reason, which opens the handover again and voids what was signed (R-SIG-2)', async () => {
    const at = await openHandingOver(h)
    const { number } = await at.drawUp()
    await at.submit(number)
    await at.signAll(number, ['outgoing-keeper', 'department-head'])
    const refuse = (body: object) => at.signAs('incoming-keeper', number, { decision: 'refuse', ...body })
    expect(codes(await refuse({}))).toEqual([422, 'ReasonMissing'])

    expect(must(await refuse({ comment: '钥匙少一把' }), 200)).toMatchObject({
      state: 'draft',
      signatures: [],
      contentHash: null,
      refusal: { by: at.incoming.person.username, party: 'incoming-keeper', reason: '钥匙少一把' }
    })
    expect(codes(await at.signAs('outgoing-keeper', number))).toEqual([409, 'HandoverNotAwaitingSignatures'])
    must(await amend(at, number, { keys: [{ name: '仓库大门', count: 1 }] }), 200)
    expect(await at.submit(number)).toMatchObject({ refusal: null })
    expect(await at.signAll(number)).toMatchObject({ state: 'completed' })
  })

  test('what is signed is what was read: a refreshed handover is of another content (R-SIG-2)', async () => {
    const at = await openHandingOver(h)
    const part = await at.stocked()
    const { number } = await at.drawUp()
    const { contentHash } = await at.submit(number)
    await at.signAll(number, ['outgoing-keeper'])
    await at.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })

    const refreshed = must(await at.keeper.post(`/v1/handovers/${number}/snapshot`), 200)

    expect(refreshed).toMatchObject({ state: 'awaiting-signatures', signatures: [], snapshot: { cost: '112.50' } })
    expect(refreshed.contentHash).not.toBe(contentHash)
    expect(codes(await at.signAs('outgoing-keeper', number, { contentHash }))).toEqual([409, 'ContentChanged'])
    must(await at.signAs('outgoing-keeper', number, { contentHash: refreshed.contentHash }), 200)
  })

  test('the hash is SHA-256 of the canonical JSON of what was submitted, which anybody can work out (R-SIG-2)', async () => {
    const at = await openHandingOver(h)
    const part = await at.stocked({ quantity: '4', unitCost: '2.50' })
    const strange = await h.make.part({ number: 'Ünï-"x"\\\u0001/张' })
    await at.posted({ kind: 'receipt', lines: [{ part: strange.number, quantity: '1.5', unitCost: '3.00' }] })
    const { number } = await at.drawUp({ keys: [{ name: '"lines":[]', count: 2 }], notes: '三号\n货架' })
    const submitted = await at.submit(number)
    const line = (of: { number: string }, onHand: string, cost: string) => ({
      part: of.number,
      ownership: 'own',
      condition: 'qualified',
      onHand,
      reserved: '0',
      blocked: '0',
      cost
    })
    const lines = [line(part, '4', '10.00'), line(strange, '1.5', '4.50')]
    expect(submitted.contentHash).toBe(
      sha256Of({
        number,
        warehouse: at.warehouse,
        outgoing: at.keeper.person.username,
        incoming: at.incoming.person.username,
        because: '调任网点主管',
        absentBecause: null,
        position: submitted.snapshot.position,
        keys: [{ name: '"lines":[]', count: 2 }],
        notes: '三号\n货架',
        count: null,
        open: [],
        lines
      })
    )
  })

  test('what was frozen anew is what is there: changed, gone and new balances', async () => {
    const at = await openHandingOver(h)
    const [stays, changes, goes] = [await at.stocked(), await at.stocked(), await at.stocked()]
    const { number } = await at.drawUp()
    await at.posted({ kind: 'issue', lines: [{ part: changes.number, quantity: '3' }] })
    await at.posted({ kind: 'issue', lines: [{ part: goes.number, quantity: '10' }] })
    const comes = await at.stocked({ quantity: '2' })
    await at.submit(number)
    const { items } = must(await at.keeper.get(`/v1/handovers/${number}/balances`), 200)
    expect(
      items.map(({ part, onHand, moved }: { part: string; onHand: string; moved: string }) => [part, onHand, moved])
    ).toEqual(
      [
        [stays.number, '10', '0'],
        [changes.number, '7', '0'],
        [comes.number, '2', '0']
      ].toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))
    )
  })

  test('a balance changed behind the service is found out by the next signature', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const { number } = await at.drawUp()
    await at.submit(number)
    await h.sql('update handover_balance set on_hand = on_hand + 1 where warehouse_id = $1', [at.warehouseId])
    expect(codes(await at.signAs('outgoing-keeper', number))).toEqual([409, 'SignatureOfOtherContent'])
  })

  test('work goes on between submission and cut-off: what moved lies between the two positions', async () => {
    const at = await openHandingOver(h)
    const part = await at.stocked({ quantity: '10' })
    const { number } = await at.drawUp()
    const { snapshot } = await at.submit(number)
    await at.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '3' }] })
    const { cutOff } = await at.signAll(number)

    const [moved] = await h.sql(
      `select sum(quantity)::float8 as quantity from movement where warehouse_id = $1 and id > $2 and id <= $3`,
      [at.warehouseId, snapshot.position, cutOff.position]
    )
    expect(moved).toEqual({ quantity: -3 })
  })
})

describe('absence (R-ORG-3)', () => {
  test('the department head draws up for a keeper who is ill; goods are counted under supervision first', async () => {
    const at = await openHandingOver(h)
    const head = at.signers['department-head']
    const part = await at.stocked({ quantity: '5', unitCost: '2.00' })
    const draw = (body: object) =>
      head.post(`/v1/warehouses/${at.warehouse}/handovers`, {
        outgoing: at.keeper.person.username,
        incoming: at.incoming.person.username,
        because: '离职',
        ...body
      })
    expect(codes(await draw({}))).toEqual([422, 'AbsenceReasonMissing'])
    h.clock.advance({ minutes: 1 })
    const { number, parties } = must(await draw({ absentBecause: '因病住院' }), 201)
    expect(parties).toEqual(['incoming-keeper', 'department-head', 'finance-supervisor'])

    const refused = await head.post(`/v1/handovers/${number}/submission`)
    expect(codes(refused)).toEqual([422, 'SupervisedCountMissing'])
    expect(refused.body).toMatchObject({ total: 1, balances: [{ part: part.number }] })

    const counted = await at.open({ kind: 'cycle', parts: [part.number] })
    await at.count(counted.number, [{ line: 1, counted: '5' }])
    expect(codes(await amend(at, number, { count: counted.number }, head))).toEqual([422, 'CountNotApproved'])
    await at.settle(counted.number)
    expect(must(await amend(at, number, { count: counted.number }, head), 200).count).toMatchObject({
      number: counted.number,
      differences: 0
    })
    await at.submit(number, head)
    expect(codes(await at.signAs('outgoing-keeper', number))).toEqual([422, 'PartyNotAsked'])
    const completed = await at.signAll(number, ['incoming-keeper', 'department-head', 'finance-supervisor'])
    expect(completed).toMatchObject({ state: 'completed', absentBecause: '因病住院' })
    expect(await dutiesOf(at.keeper.person.id)).toEqual([])
    // And now the account can be closed.
    must(await callsAs(h, administrator).patch(`/v1/people/${at.keeper.person.username}`, { active: false }), 200)
  })

  test('a keeper who will not leave neither cancels nor changes what says that they are absent', async () => {
    const at = await openHandingOver(h)
    const head = at.signers['department-head']
    const { number } = await at.drawUp({ outgoing: at.keeper.person.username, absentBecause: '拒绝交接' }, head)
    expect(codes(await at.keeper.post(`/v1/handovers/${number}/cancellation`, { reason: '不走' }))).toEqual([
      403,
      'KeeperAbsent'
    ])
    expect(codes(await amend(at, number, { keys: [] }))).toEqual([403, 'KeeperAbsent'])
    for (const verb of ['snapshot', 'submission'])
      expect(codes(await at.keeper.post(`/v1/handovers/${number}/${verb}`))).toEqual([403, 'KeeperAbsent'])

    must(await amend(at, number, { absentBecause: null }, head), 200)
    must(await amend(at, number, { notes: '回来了' }), 200)
    await at.submit(number)
    expect(await at.signAll(number)).toMatchObject({ state: 'completed' })
  })

  test('a count from before the draft, or of another warehouse, is none of this handover', async () => {
    const at = await openHandingOver(h)
    const part = await at.stocked()
    const early = await at.open({ kind: 'cycle', parts: [part.number] })
    await at.count(early.number, [{ line: 1, counted: '10' }])
    await at.settle(early.number)
    h.clock.advance({ minutes: 1 })
    const { number } = await at.drawUp()
    expect(codes(await amend(at, number, { count: early.number }))).toEqual([422, 'CountBeforeHandover'])
    expect(codes(await amend(at, number, { count: 'HQ-CNT-202611-00099' }))).toEqual([422, 'CountUnknown'])
  })

  test('only the department head says that a keeper is absent', async () => {
    const at = await openHandingOver(h)
    const { number } = await at.drawUp()
    expect(codes(await amend(at, number, { absentBecause: '因病住院' }))).toEqual([403, 'DutyRequired'])
    expect(
      must(await amend(at, number, { absentBecause: '因病住院' }, at.signers['department-head']), 200).parties
    ).not.toContain('outgoing-keeper')
  })
})

describe('what happens between the submission and the last signature (R-ORG-3)', () => {
  const unsigned = async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const { number } = await at.drawUp()
    await at.submit(number)
    await at.signAll(number, ['outgoing-keeper', 'incoming-keeper', 'department-head'])
    return { at, number }
  }

  test('an incoming keeper whose account was closed takes nothing over; nothing is half done', async () => {
    const { at, number } = await unsigned()
    must(await callsAs(h, administrator).patch(`/v1/people/${at.incoming.person.username}`, { active: false }), 200)
    expect(codes(await at.signAs('finance-supervisor', number))).toEqual([422, 'PersonInactive'])
    expect(await dutiesOf(at.keeper.person.id)).toHaveLength(1)
    expect(
      must(await at.signAs('finance-supervisor', number, { decision: 'refuse', comment: '接收人已离职' }), 200).state
    ).toBe('draft')
  })

  test('an outgoing keeper who was given a whole region meanwhile does not lose one warehouse of it', async () => {
    const { at, number } = await unsigned()
    await h.sql(
      `insert into duty_assignment (person_id, duty, region_id, valid_from, assigned_by, assigned_at)
       select $1, 'keeper', region_id, '2026-11-20', 0, now() from warehouse where id = $2`,
      [at.keeper.person.id, at.warehouseId]
    )
    expect(codes(await at.signAs('finance-supervisor', number))).toEqual([422, 'KeeperOfMore'])
  })

  test('the incoming keeper who sees nothing else of the warehouse reads and signs what is taken over', async () => {
    const { at, number } = await unsigned()
    expect((await at.incoming.get(`/v1/warehouses/${at.warehouse}/stock`)).status).toBe(404)
    expect(codes(await at.incoming.post(`/v1/handovers/${number}/snapshot`))).toEqual([404, 'NotFound'])
    expect(must(await at.signAs('finance-supervisor', number), 200).state).toBe('completed')
    expect((await at.incoming.get(`/v1/warehouses/${at.warehouse}/stock`)).status).toBe(200)
  })

  test('a repeated last signature with the same key answers what the first one answered (R-ERR-2)', async () => {
    const { at, number } = await unsigned()
    const sign = () =>
      at.signers['finance-supervisor'].post(
        `/v1/handovers/${number}/signatures`,
        { party: 'finance-supervisor', decision: 'approve' },
        { 'idempotency-key': `last-${number}` }
      )
    const first = must(await sign(), 200)
    expect(must(await sign(), 200)).toEqual(first)
  })
})

test('the duty of a keeper ran out by its date: the department head hands over for whoever is gone (R-ORG-3)', async () => {
  const at = await openHandingOver(h)
  const gone = callerFor(
    h,
    await h.make.person({
      grants: [{ duty: 'keeper', warehouse: at.warehouse, validFrom: '2026-01-01', validTo: '2026-11-19' }]
    })
  )
  const head = at.signers['department-head']
  const { number } = await at.drawUp({ outgoing: gone.person.username, absentBecause: '合同到期' }, head)
  await at.submit(number, head)
  expect(await at.signAll(number, ['incoming-keeper', 'department-head', 'finance-supervisor'])).toMatchObject({
    state: 'completed',
    outgoing: { username: gone.person.username }
  })
  expect(await dutiesOf(at.incoming.person.id)).toHaveLength(1)
})

describe('cancelling and resuming (R-ORG-3)', () => {
  test('a cancelled handover changes nothing, and another one is drawn up', async () => {
    const at = await openHandingOver(h)
    const { number } = await at.drawUp()
    await at.submit(number)
    await at.signAll(number, ['outgoing-keeper', 'incoming-keeper'])
    const elsewhere = await openHandingOver(h)
    expect(codes(await at.technician.post(`/v1/handovers/${number}/cancellation`, { reason: '不再调任' }))).toEqual([
      403,
      'DutyRequired'
    ])
    expect(codes(await elsewhere.keeper.post(`/v1/handovers/${number}/cancellation`, { reason: '不' }))).toEqual([
      404,
      'NotFound'
    ])
    expect(
      must(await at.keeper.post(`/v1/handovers/${number}/cancellation`, { reason: '不再调任' }), 200)
    ).toMatchObject({
      state: 'cancelled',
      cancelledBecause: '不再调任',
      signatures: []
    })
    expect(codes(await at.keeper.post(`/v1/handovers/${number}/submission`))).toEqual([409, 'HandoverNotDraft'])
    expect(codes(await at.keeper.post(`/v1/handovers/${number}/snapshot`))).toEqual([409, 'HandoverNotOpen'])
    expect(await dutiesOf(at.keeper.person.id)).toHaveLength(1)
    expect(await at.handOver()).toMatchObject({ number: `${at.warehouse}-HOV-202611-00002`, state: 'completed' })
  })

  test('what is completed is never changed, not even behind the service', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const { number } = await at.handOver()
    expect(
      codes(await at.signers['department-head'].post(`/v1/handovers/${number}/cancellation`, { reason: '反悔' }))
    ).toEqual([409, 'HandoverNotOpen'])
    await expect(
      h.sql(`update handover set notes = 'x' where warehouse_id = $1`, [at.warehouseId])
    ).rejects.toMatchObject({ code: 'BC042' })
    for (const added of [
      `insert into handover_open select warehouse_id, id, 99, 'slip', 'X', '{}' from handover where warehouse_id = $1`,
      `insert into handover_balance select warehouse_id, id, 1, 'own', 'qualified', 'X', 1, 0, 0, 0 from handover where warehouse_id = $1`
    ])
      await expect(h.sql(added, [at.warehouseId])).rejects.toMatchObject({ code: 'BC042' })
    await expect(h.sql(`delete from handover_balance where warehouse_id = $1`, [at.warehouseId])).rejects.toMatchObject(
      { code: 'BC042' }
    )
  })

  test('a change of an old version is refused with the present one', async () => {
    const at = await openHandingOver(h)
    const { number } = await at.drawUp()
    must(await amend(at, number, { notes: '一' }), 200)
    const stale = await at.keeper.post(`/v1/handovers/${number}/submission`, {}, { 'if-match': '"1"' })
    expect(codes(stale)).toEqual([412, 'VersionStale'])
  })

  test('an API key of the outgoing keeper sees and cancels nothing beyond its own duties and warehouses', async () => {
    const at = await openHandingOver(h)
    const elsewhere = await h.make.warehouse()
    must(
      await callsAs(h, administrator).post(`/v1/people/${at.keeper.person.username}/duties`, {
        duty: 'technician',
        warehouse: elsewhere.code
      }),
      201
    )
    const { number } = await at.drawUp()
    const keyFor = async (limits: object): Promise<string> =>
      must(
        await at.keeper.post('/v1/api-keys', { name: 'scanner', access: 'write', expiresOn: '2027-01-31', ...limits }),
        201
      ).key
    const narrow = await keyFor({ warehouses: [elsewhere.code] })
    const withKey = (key: string) => ({
      read: async () => (await h.api.get(`/v1/handovers/${number}`).set('x-api-key', key)).status,
      list: async () => (await h.api.get('/v1/handovers').set('x-api-key', key)).body.items.length,
      cancel: async () =>
        (await h.api.post(`/v1/handovers/${number}/cancellation`).set('x-api-key', key).send({ reason: '作废' })).status
    })
    const { read, list, cancel } = withKey(narrow)
    expect([await read(), await list(), await cancel()]).toEqual([404, 0, 404])
    const wide = withKey(await keyFor({}))
    expect([await wide.read(), await wide.list(), await wide.cancel()]).toEqual([200, 1, 200])
  })

  test('writes on a handover are for the outgoing keeper and the department head', async () => {
    const at = await openHandingOver(h)
    const elsewhere = await openHandingOver(h)
    const { number } = await at.drawUp()
    for (const verb of ['snapshot', 'submission']) {
      expect(codes(await at.technician.post(`/v1/handovers/${number}/${verb}`))).toEqual([403, 'DutyRequired'])
      expect(codes(await elsewhere.keeper.post(`/v1/handovers/${number}/${verb}`))).toEqual([404, 'NotFound'])
    }
    expect(codes(await amend(at, number, { notes: 'x' }, at.technician))).toEqual([403, 'DutyRequired'])
    expect(codes(await amend(at, number, { notes: 'x' }, elsewhere.keeper))).toEqual([404, 'NotFound'])
  })
})
