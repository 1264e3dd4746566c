import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { sweepOldPartsNightly } from '../../src/old-parts/old-parts.jobs.ts'
import { callerFor, openCounter } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { runJob } from '../support/relay.ts'
import { openExchanging, type Exchanging } from './exchanging.ts'

let h: Harness
let x: Exchanging
beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  x = await openExchanging(h)
})
afterAll(() => h.close())

const slipOf = async (number: string) => (await x.centre.keeper.get(`/v1/slips/${number}`)).body
const reversed = async (number: string) => {
  const { body } = await x.centre.keeper.post(`/v1/slips/${number}/reversal`, { reason: 'mistaken' })
  const posted = await x.centre.signAndPost(body.number)
  await x.follow()
  return posted
}

describe('old parts come back by a slip with three signatures (R-REQ-6, R-SIG-1)', () => {
  test('into nonconforming own stock at no cost; returned only when it is posted, due again when it is reversed', async () => {
    const part = await x.exchangePart()
    await x.issued(part, '2')
    const { number } = await x.oldPart(part)

    const written = await x.returning([{ oldPart: number, quantity: '2', grade: 'repairable', note: '链节磨损' }])
    expect(written).toMatchObject({
      status: 201,
      headers: { location: `/v1/slips/${x.centre.warehouse}-OLD-202611-00001` },
      body: {
        slip: `${x.centre.warehouse}-OLD-202611-00001`,
        lines: [{ oldPart: number, part, quantity: '2', serial: null, grade: 'repairable', slipLine: 1 }]
      }
    })
    const { slip } = written.body
    expect(await slipOf(slip)).toMatchObject({
      kind: 'old-part-in',
      kindZh: '旧件入库单',
      state: 'awaiting-signatures',
      counterparty: x.outlet,
      lines: [
        {
          part,
          direction: 'in',
          quantity: '2',
          ownership: 'own',
          condition: 'nonconforming',
          unitCost: '0.0000',
          note: `${number}; repairable; 链节磨损`
        }
      ]
    })
    expect(await x.oldPart(part)).toMatchObject({ returned: '0', arriving: '2', outstanding: '2' })
    expect((await x.centre.keeper.post(`/v1/slips/${slip}/posting`, { deliveredBy: 'Li' })).body.code).toBe(
      'SlipNotApproved'
    )

    expect((await x.centre.signAndPost(slip, { deliveredBy: 'Li' })).status).toBe(200)
    // Without waiting for any event: what is returned is added up from posted slips.
    expect(await x.oldPart(part)).toMatchObject({ state: 'returned', returned: '2', arriving: '0', outstanding: '0' })
    await x.follow()
    expect(await x.centre.onHand(part, 'own', 'nonconforming')).toBe('2')
    expect((await slipOf(slip)).lines[0].movements).toMatchObject([{ quantity: '2', cost: '0.00', charge: '0.00' }])

    expect((await reversed(slip)).status).toBe(200)
    const again = await x.oldPart(part)
    expect(again).toMatchObject({
      state: 'outstanding',
      outstanding: '2',
      returns: [{ slip, line: 1, warehouse: x.centre.warehouse, state: 'reversed', quantity: '2', grade: 'repairable' }]
    })
    expect(again.history.map(({ event }: { event: string }) => event)).toEqual([
      'old-part-opened',
      'old-part-returned',
      'old-part-return-reversed'
    ])
    expect(again.history[1]).toMatchObject({
      by: x.centre.keeper.person.username,
      details: { slip, quantity: '2', grades: ['repairable'], part, number }
    })
    expect(await x.centre.verify()).toMatchObject({ ok: true })
  })

  test('by part: what is due longest first, over as many old parts as it takes', async () => {
    const part = await x.exchangePart()
    await x.issued(part, '2')
    h.clock.advance({ hours: 72 })
    await x.issued(part, '3')
    const [first, second] = await x.owed(part)

    const { body } = await x.returning([{ part, quantity: '4', grade: 'scrap' }])
    expect(body.lines).toEqual([
      { oldPart: first.number, part, quantity: '2', serial: null, grade: 'scrap', slipLine: 1 },
      { oldPart: second.number, part, quantity: '2', serial: null, grade: 'scrap', slipLine: 2 }
    ])
    const more = await x.returning([
      { part, quantity: '1', grade: 'incomplete' },
      { part, quantity: '1', grade: 'incomplete' }
    ])
    expect(more).toMatchObject({
      status: 409,
      body: {
        code: 'MoreThanOutstanding',
        errors: [{ pointer: '/lines/1/quantity', sent: '1', accepted: '0' }],
        detail: expect.stringContaining('slips that are not posted yet')
      }
    })
  })

  test('never more than is outstanding, also against slips that are not posted; a cancelled one holds nothing', async () => {
    const part = await x.exchangePart()
    await x.issued(part, '2')
    const { number } = await x.oldPart(part)
    expect(await x.returning([{ oldPart: number, quantity: '3', grade: 'scrap' }])).toMatchObject({
      status: 409,
      body: { code: 'MoreThanOutstanding', errors: [{ pointer: '/lines/0/quantity', accepted: '2' }] }
    })
    const { slip } = (await x.returning([{ oldPart: number, quantity: '2', grade: 'scrap' }])).body
    expect((await x.returning([{ oldPart: number, grade: 'scrap' }])).body.code).toBe('MoreThanOutstanding')
    await x.centre.keeper.post(`/v1/slips/${slip}/cancellation`, { reason: 'other goods' })
    expect((await x.returning([{ oldPart: number, grade: 'scrap' }])).status).toBe(201)
    expect(await x.oldPart(part)).toMatchObject({ arriving: '1', returned: '0' })
  })

  test('of two who bring the last one at once, one does (R-STK-4)', async () => {
    const part = await x.exchangePart()
    await x.issued(part)
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => x.returning([{ part, grade: 'scrap' }])))
    expect(outcomes.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409])
  })

  test('another part is noted and stays due; nothing of it is taken in', async () => {
    const part = await x.exchangePart()
    await x.issued(part)
    const { number } = await x.oldPart(part)
    const answer = await x.returning([
      { oldPart: number, grade: 'wrong-part', serial: 'X-9', note: 'a pump, not a motor' }
    ])
    expect(answer).toMatchObject({
      status: 201,
      body: { slip: null, lines: [{ oldPart: number, grade: 'wrong-part', slipLine: null }] }
    })
    const owed = await x.oldPart(part)
    expect(owed).toMatchObject({ outstanding: '1', arriving: '0', returns: [] })
    expect(owed.history.at(-1)).toMatchObject({
      event: 'old-part-not-accepted',
      by: x.centre.keeper.person.username,
      details: { at: x.centre.warehouse, serial: 'X-9', note: 'a pump, not a motor', quantity: '1' }
    })
  })

  test('what is said twice, not at all or of nobody is refused with its line', async () => {
    const part = await x.exchangePart()
    await x.issued(part)
    const { number } = await x.oldPart(part)
    const other = await openExchanging(h)
    for (const [lines, code, pointer] of [
      [[{ grade: 'scrap' }], 'OldPartOrPart', '/lines/0/oldPart'],
      [[{ oldPart: number, part, grade: 'scrap' }], 'OldPartOrPart', '/lines/0/part'],
      [[{ part: 'NO-SUCH', grade: 'scrap' }], 'OldPartUnknown', '/lines/0/part'],
      [[{ oldPart: `${other.outlet}-OLP-202611-00001`, grade: 'scrap' }], 'OldPartUnknown', '/lines/0/oldPart']
    ] as const)
      expect(await x.returning([...lines])).toMatchObject({ status: 422, body: { code, errors: [{ pointer }] } })
    expect((await x.returning([{ part, grade: 'lost' }])).status).toBe(400)
    expect((await x.returning([{ part, grade: 'scrap' }], { from: 'NOWHERE' })).body.code).toBe('OldPartUnknown')
    expect((await x.returning([{ part, grade: 'scrap' }], { occurredOn: '2026-11-21' })).body.code).toBe('FutureDay')
  })

  test('a repeat with the same Idempotency-Key answers the same and takes in nothing more (R-ERR-2)', async () => {
    const part = await x.exchangePart()
    await x.issued(part, '2')
    const bring = () =>
      x.centre.keeper.post(
        '/v1/old-parts/returns',
        { warehouse: x.centre.warehouse, from: x.outlet, lines: [{ part, grade: 'scrap' }] },
        { 'idempotency-key': 'van-17' }
      )
    const [first, second] = [await bring(), await bring()]
    expect(second.body).toEqual(first.body)
    expect(await x.oldPart(part)).toMatchObject({ arriving: '1' })
  })
})

describe('serial numbers (R-REQ-6)', () => {
  test('each piece has its own, once; a serial that lies here is not returned again', async () => {
    const part = await x.exchangePart({ serialised: true })
    await x.issued(part, '3')
    const refusals = [
      [[{ part, grade: 'scrap' }], 422, 'SerialMissing'],
      [[{ part, quantity: '2', serial: 'A1', grade: 'scrap' }], 422, 'SerialOfOne'],
      [
        [
          { part, serial: 'A1', grade: 'scrap' },
          { part, serial: 'A1', grade: 'scrap' }
        ],
        409,
        'SerialReturnedAlready'
      ]
    ] as const
    for (const [lines, status, code] of refusals)
      expect(await x.returning([...lines])).toMatchObject({ status, body: { code } })

    const { slip, lines } = (await x.returning([{ part, serial: 'A1', grade: 'repairable' }])).body
    expect(lines).toMatchObject([{ serial: 'A1', quantity: '1' }])
    expect(await x.returning([{ part, serial: 'A1', grade: 'scrap' }])).toMatchObject({
      status: 409,
      body: {
        code: 'SerialReturnedAlready',
        detail: expect.stringContaining(slip),
        errors: [{ pointer: '/lines/0/serial' }]
      }
    })
    await x.centre.signAndPost(slip, { deliveredBy: 'Li' })
    expect((await x.returning([{ part, serial: 'A1', grade: 'scrap' }])).body.code).toBe('SerialReturnedAlready')
    expect((await x.returning([{ part, serial: 'A2', grade: 'scrap' }])).status).toBe(201)

    // Refurbished, the unit may go out and come back once more.
    const { body } = await x.centre.keeper.post('/v1/old-parts/refurbishments', {
      warehouse: x.centre.warehouse,
      reference: 'WO-7',
      lines: [{ part, quantity: '1', unitCost: '4.00' }]
    })
    expect((await x.centre.signAndPost(body.number)).status).toBe(200)
    expect((await x.returning([{ part, serial: 'A1', grade: 'scrap' }])).status).toBe(201)
  })

  test('of two who bring the same serial at once, one does', async () => {
    const part = await x.exchangePart({ serialised: true })
    await x.issued(part, '4')
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, () => x.returning([{ part, serial: 'B7', grade: 'scrap' }]))
    )
    expect(outcomes.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409])
  })
})

describe('who takes old parts in', () => {
  test('the keeper of the centre; not another duty there, not the outlet, not a foreign keeper', async () => {
    const part = await x.exchangePart()
    await x.issued(part)
    const body = { warehouse: x.centre.warehouse, from: x.outlet, lines: [{ part, grade: 'scrap' }] }
    expect(await x.finance.post('/v1/old-parts/returns', body)).toMatchObject({
      status: 403,
      body: { code: 'DutyRequired' }
    })
    const foreign = await openCounter(h)
    expect((await foreign.keeper.post('/v1/old-parts/returns', body)).status).toBe(404)
    expect((await x.clerk.post('/v1/old-parts/returns', body)).status).toBe(404)
    // At home the foreign keeper may take in what is owed there, and this is not.
    expect(await foreign.keeper.post('/v1/old-parts/returns', { ...body, warehouse: foreign.warehouse })).toMatchObject(
      { status: 422, body: { code: 'OldPartUnknown' } }
    )
  })

  test('head office takes in what any outlet owes', async () => {
    const part = await x.exchangePart()
    await x.issued(part)
    const office = await openCounter(h)
    await h.sql(`update warehouse set kind = 'head-office' where id = $1`, [office.warehouseId])
    const { status, body } = await office.keeper.post('/v1/old-parts/returns', {
      warehouse: office.warehouse,
      from: x.outlet,
      lines: [{ part, grade: 'scrap' }]
    })
    expect([status, body.slip]).toEqual([201, `${office.warehouse}-OLD-202611-00001`])
  })

  test('such slips are written by their operation and by nothing else, and their lines stay as they are', async () => {
    const part = await x.exchangePart()
    await x.issued(part)
    for (const kind of ['old-part-in', 'refurbishment'])
      expect(
        await x.centre.keeper.post(`/v1/warehouses/${x.centre.warehouse}/slips`, {
          kind,
          lines: [{ part, quantity: '1', condition: 'nonconforming', unitCost: '0' }]
        })
      ).toMatchObject({
        status: 422,
        body: { code: 'SlipNotWrittenByHand', detail: expect.stringContaining('POST /v1/old-parts/') }
      })
    const { slip } = (await x.returning([{ part, grade: 'scrap' }])).body
    expect(
      await x.centre.keeper.put(`/v1/slips/${slip}`, { lines: [{ part, quantity: '5', condition: 'nonconforming' }] })
    ).toMatchObject({ status: 409, body: { code: 'SlipNotAmendable' } })
  })

  test('a signer who refuses it sends it back; submitted again it is the same return (R-SIG-3)', async () => {
    const part = await x.exchangePart()
    await x.issued(part)
    const { slip } = (await x.returning([{ part, grade: 'scrap' }])).body
    await x.finance.post(`/v1/slips/${slip}/signatures`, {
      duty: 'finance-supervisor',
      decision: 'refuse',
      comment: 'no delivery note'
    })
    expect(await x.oldPart(part)).toMatchObject({ arriving: '1' })
    expect((await x.centre.keeper.post(`/v1/slips/${slip}/submission`)).status).toBe(200)
    expect((await x.centre.signAndPost(slip, { deliveredBy: 'Li' })).status).toBe(200)
    expect(await x.oldPart(part)).toMatchObject({ returned: '1', state: 'returned' })
    await runJob(h, sweepOldPartsNightly)
    expect((await x.oldPart(part)).history.at(-1)).toMatchObject({ event: 'old-part-returned' })
  })
})

test('nobody sees old parts of warehouses that are not theirs', async () => {
  const part = await x.exchangePart()
  await x.issued(part)
  const { number } = await x.oldPart(part)
  const stranger = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'finance-supervisor', warehouse: (await h.make.warehouse()).code }] })
  )
  expect((await stranger.get(`/v1/old-parts/${number}`)).status).toBe(404)
  expect((await stranger.get('/v1/old-parts')).body.items).toEqual([])
  expect((await stranger.get(`/v1/old-parts?outlet=${x.outlet}`)).body.items).toEqual([])
  expect((await stranger.get('/v1/old-parts/summary')).body.items).toEqual([])
  expect((await x.centre.keeper.get(`/v1/old-parts/${number}`)).status).toBe(200)
  expect((await x.clerk.get(`/v1/old-parts/${x.outlet}-OLP-202611-09999`)).status).toBe(404)
  expect((await x.clerk.get('/v1/old-parts/NOWHERE-OLP-202611-00001')).status).toBe(404)
})
