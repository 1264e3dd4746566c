import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { reserveAll } from '../../src/ledger/reserve.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { callerFor, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openRecalling, type Recalling } from './recalling.ts'

let h: Harness
let network: Recalling
let counter: Counter
beforeAll(async () => {
  h = await openHarness()
  network = await openRecalling(h)
  counter = await network.counter()
})
beforeEach(() => h.clock.set('2026-11-20T10:00'))
afterAll(() => h.close())

const body = (part: string, more: object = {}) => ({ title: 'cracked', reason: 'leaks', scopes: [{ part, ...more }] })

describe('a recall of a part (R-REQ-7)', () => {
  test('blocks it in every warehouse in the transaction of the call, and says where it lies', async () => {
    const part = await counter.stocked({ quantity: '10' })
    const second = await network.counter()
    await second.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '3', unitCost: '2' }] })
    await second.posted({
      kind: 'receipt',
      lines: [{ part: part.number, quantity: '1', ownership: 'consigned', condition: 'nonconforming' }]
    })

    const recall = await network.recallPart(part.number)

    expect(recall).toMatchObject({
      state: 'running',
      warehouse: 'HQ',
      lines: [{ line: 1, part: part.number, receivedFrom: null, lot: null, liftedAt: null }],
      reach: {
        parts: 1,
        warehouses: 2,
        lots: 3,
        onHand: '14',
        inTransit: '0',
        issued: '0',
        value: '131.00',
        share: null,
        needsSecondSignature: false
      },
      progress: { blocked: '14', inTransit: '0', warehouses: 2, answered: 0 }
    })
    const goods = await network.goods(recall.number)
    expect(
      goods.map(({ warehouse, quantity, ownership, condition, isBlocked }) => ({
        warehouse,
        quantity,
        ownership,
        condition,
        isBlocked
      }))
    ).toEqual(
      [
        { warehouse: counter.warehouse, quantity: '10', ownership: 'own', condition: 'qualified', isBlocked: true },
        { warehouse: second.warehouse, quantity: '3', ownership: 'own', condition: 'qualified', isBlocked: true },
        {
          warehouse: second.warehouse,
          quantity: '1',
          ownership: 'consigned',
          condition: 'nonconforming',
          isBlocked: true
        }
      ].toSorted((a, b) => (a.warehouse < b.warehouse ? -1 : 1))
    )
    const stock = must(
      await counter.keeper.get(`/v1/warehouses/${counter.warehouse}/stock?part=${part.number}`),
      200
    ).items
    expect(stock).toMatchObject([{ onHand: '10', available: '0', blocked: '10' }])
    expect(await counter.verify()).toMatchObject({ ok: true, findings: [] })
  })

  test('is told to other rooms with its parts, and in its history', async () => {
    const part = await counter.stocked()
    const recall = await network.recallPart(part.number)

    const events = await h.sql(
      `select event, payload from outbox where event = 'recall.started' and payload->>'recall' = $1`,
      [recall.number]
    )
    expect(events).toEqual([
      {
        event: 'recall.started',
        payload: { recall: recall.number, title: 'cracked', parts: [part.number], partIds: [part.id] }
      }
    ])
    const { items } = must(await network.controller.get(`/v1/recalls/${recall.number}/history`), 200)
    expect(items.map(({ event }: { event: string }) => event)).toEqual(['opened', 'started'])
    expect(items[1].details).toEqual({ warehouses: 1, lots: 1, quantity: '10', brokenReservations: 0 })
  })

  test('is narrowed by the days of receipt, by supplier and by lot; every condition holds', async () => {
    const part = await h.make.part()
    const supplier = await h.make.supplier({ parts: [part.number] })
    const receive = async (occurredOn: string, more: object = {}) =>
      counter.posted({
        kind: 'receipt',
        occurredOn,
        ...more,
        lines: [{ part: part.number, quantity: '1', unitCost: '1' }]
      })
    await receive('2026-09-01', { supplier: supplier.code })
    const middle = await receive('2026-10-01', { supplier: supplier.code })
    await receive('2026-11-01')
    const days = async (scope: object) => {
      const recall = await network.recall({ scopes: [{ part: part.number, ...scope }] })
      const goods = await network.goods(recall.number)
      return goods.map(({ receivedOn }) => receivedOn)
    }

    expect(await days({ receivedFrom: '2026-10-01' })).toEqual(['2026-10-01', '2026-11-01'])
    expect(await days({ receivedTo: '2026-10-01' })).toEqual(['2026-09-01', '2026-10-01'])
    expect(await days({ supplier: supplier.code.toLowerCase() })).toEqual(['2026-09-01', '2026-10-01'])
    expect(await days({ supplier: supplier.code, receivedFrom: '2026-09-02' })).toEqual(['2026-10-01'])
    const lot = `${counter.warehouse}/${middle.lines[0].movements[0].lot}`
    expect(await days({ lots: [lot] })).toEqual(['2026-10-01'])
    const byLotAlone = await network.recall({ scopes: [{ lots: [lot] }] })
    expect(byLotAlone.lines).toMatchObject([{ part: part.number, lot }])
    expect(await counter.verify()).toMatchObject({ ok: true })
  })

  test('follows each of many lots of a part in one warehouse to where it went, less what came back, and none between them that is not meant', async () => {
    const part = await h.make.part()
    const came = async (day: string) => {
      h.clock.set(`2026-11-${day}T10:00`)
      const lines = ['10', '20'].map((quantity) => ({ part: part.number, quantity, unitCost: '1' }))
      await counter.posted({ kind: 'receipt', lines })
    }
    const went = (quantity: string, reference: string) =>
      counter.posted({
        kind: 'issue',
        purpose: 'repair-order',
        reference,
        lines: [{ part: part.number, quantity }]
      })
    await came('02')
    await went('15', 'RO-1')
    await came('04')
    await came('06')
    const across = await went('50', 'RO-2')
    const takenBack = await went('5', 'RO-3')
    await counter.posted({
      kind: 'return',
      reference: across.number,
      reason: 'too many',
      lines: [{ part: part.number, quantity: '4' }]
    })
    const reversal = must(await counter.keeper.post(`/v1/slips/${takenBack.number}/reversal`, { reason: 'x' }), 201)
    must(await counter.signAndPost(reversal.number), 200)
    const lots = await h.sql<{ name: string }>(
      `select $2 || '/' || id as name from lot where part_id = $1 and parent_lot_id is null order by id`,
      [part.id, counter.warehouse]
    )
    const names = lots.map(({ name }) => name)
    expect(names.length).toBeGreaterThanOrEqual(6)

    const wentOf = async (scopes: object[]) => {
      const { number, reach } = await network.recall({ scopes })
      const issued = await network.issued(number)
      return {
        issued: reach.issued,
        went: issued.map(({ reference, origin, quantity }) => [reference, names.indexOf(origin), quantity]).toReversed()
      }
    }
    const all = [
      ['RO-1', 0, '10'],
      ['RO-1', 1, '5'],
      ['RO-2', 1, '15'],
      ['RO-2', 2, '10'],
      ['RO-2', 3, '20'],
      ['RO-2', 4, '1'],
      ['RO-3', 4, '0']
    ]
    expect(await wentOf([{ part: part.number }])).toEqual({ issued: '61', went: all })
    // The first and the last of the lots, and whatever lies between them in time.
    expect(await wentOf([{ lots: [names[0], names[4]] }])).toEqual({
      issued: '11',
      went: all.filter(([, lot]) => lot === 0 || lot === 4)
    })
    expect(await wentOf([{ part: part.number, receivedTo: '2026-11-02' }, { lots: [names[3]] }])).toEqual({
      issued: '50',
      went: all.filter(([, lot]) => [0, 1, 3].includes(Number(lot)))
    })
  })

  test('that only says what it would come to blocks nothing', async () => {
    const part = await counter.stocked({ quantity: '4' })
    const preview = must(await network.controller.post('/v1/recalls', { ...body(part.number), dryRun: true }), 200)
    expect(preview).toMatchObject({ dryRun: true, promises: 0, reach: { onHand: '4', warehouses: 1 } })
    expect(await h.sql('select 1 from recall_scope where part_id = $1', [part.id])).toEqual([])
  })

  test('of goods that were all issued runs, because they have to be found', async () => {
    const part = await counter.stocked({ quantity: '2' })
    await counter.posted({ kind: 'issue', reference: 'RO-1', lines: [{ part: part.number, quantity: '2' }] })
    const recall = await network.recallPart(part.number)
    expect(recall.reach).toMatchObject({ onHand: '0', issued: '2' })
    expect(await network.goods(recall.number)).toEqual([])
  })

  test('sent twice with one key is one recall', async () => {
    const part = await counter.stocked()
    const send = () =>
      network.controller.post('/v1/recalls', body(part.number), { 'idempotency-key': `recall-${part.number}` })
    expect((await send()).body.number).toBe((await send()).body.number)
  })
})

describe('is refused', () => {
  test('of nothing: neither stock nor past issues match, and it says what was looked for (R-ERR-1)', async () => {
    const never = await h.make.part()
    const refusal = await network.controller.post('/v1/recalls', body(never.number, { receivedTo: '2026-01-01' }))
    expect(refusal).toMatchObject({
      status: 422,
      body: { code: 'RecallOfNothing', lookedFor: [`${never.number}, received to 2026-01-01`] }
    })
    const part = await counter.stocked()
    expect(await network.controller.post('/v1/recalls', body(part.number, { receivedTo: '2020-01-01' }))).toMatchObject(
      {
        status: 422,
        body: { code: 'RecallOfNothing' }
      }
    )
  })

  test('for a part, lot, supplier that there is not, and days in the wrong order, with the scope it is about', async () => {
    const part = await counter.stocked()
    const other = await counter.stocked()
    const [lot] = await h.sql<{ id: string }>('select id::text as id from lot where part_id = $1', [other.id])
    const attempt = async (scope: object) => {
      const { status, body: problem } = await network.controller.post('/v1/recalls', {
        title: 't',
        reason: 'r',
        scopes: [{ part: part.number }, scope]
      })
      return [status, problem.code, problem.errors?.[0]?.pointer]
    }
    expect(await attempt({ part: 'NO-SUCH' })).toEqual([422, 'PartUnknown', '/scopes/1'])
    expect(await attempt({ lots: [`${counter.warehouse}/999999999`] })).toEqual([422, 'LotUnknown', '/scopes/1/lots/0'])
    expect(await attempt({ part: part.number, lots: [`${counter.warehouse}/${lot.id}`] })).toEqual([
      422,
      'LotOfOtherPart',
      '/scopes/1/lots/0'
    ])
    expect(await attempt({ part: part.number, supplier: 'NO-ONE' })).toEqual([
      422,
      'SupplierUnknown',
      '/scopes/1/supplier'
    ])
    expect(await attempt({ part: part.number, receivedFrom: '2026-02-01', receivedTo: '2026-01-01' })).toEqual([
      422,
      'DaysOutOfOrder',
      '/scopes/1/receivedTo'
    ])
    expect(await attempt({ receivedFrom: '2026-02-01' })).toEqual([422, 'ScopeEmpty', '/scopes/1'])
    expect(await h.sql('select 1 from recall_scope where part_id = $1', [part.id])).toEqual([])
  })

  test('by a machine, by another duty, and by a stock controller of one warehouse alone', async () => {
    const part = await counter.stocked()
    const expiresOn = '2026-12-31'
    const key = must(await network.controller.post('/v1/api-keys', { name: 'bridge', expiresOn, access: 'write' }), 201)
    const machine = await h.api
      .post('/v1/recalls')
      .set('authorization', `Bearer ${key.key ?? key.secret}`)
      .send(body(part.number))
    expect([machine.status, machine.body.code]).toEqual([403, 'PersonRequired'])
    for (const caller of [counter.keeper, network.hqFinance, network.operations])
      expect(await caller.post('/v1/recalls', body(part.number))).toMatchObject({
        status: 403,
        body: { code: 'DutyRequired' }
      })
    const local = callerFor(
      h,
      await h.make.person({ grants: [{ duty: 'stock-controller', warehouse: counter.warehouse }] })
    )
    expect(await local.post('/v1/recalls', body(part.number))).toMatchObject({ status: 403 })
    expect(await h.sql('select 1 from recall_scope where part_id = $1', [part.id])).toEqual([])
  })

  test('while there is no head office it could belong to', async () => {
    const part = await counter.stocked()
    await h.sql(`update warehouse set kind = 'regional-centre' where code = 'HQ'`)
    try {
      expect(await network.controller.post('/v1/recalls', body(part.number))).toMatchObject({
        status: 409,
        body: { code: 'HeadOfficeMissing' }
      })
    } finally {
      await h.sql(`update warehouse set kind = 'head-office' where code = 'HQ'`)
    }
  })
})

describe('a recall of nearly everything', () => {
  const large = async () => {
    const parts = [await counter.stocked({ unitCost: '90000' }), await counter.stocked({ unitCost: '90000' })]
    const recall = await network.recall({ scopes: [{ parts: parts.map(({ number }) => number) }] })
    return { parts, recall, path: `/v1/recalls/${recall.number}` }
  }
  const approve = { duty: 'hq-finance', decision: 'approve' }

  test('waits for a second person, and blocks nothing before', async () => {
    const { parts, recall, path } = await large()
    expect(recall).toMatchObject({
      state: 'awaiting-second-signature',
      reach: { needsSecondSignature: true },
      awaiting: ['hq-finance', 'operations-supervisor'],
      startedAt: null,
      progress: null
    })
    expect(recall.reach.share).toBeGreaterThan(0.2)
    expect(await h.sql('select 1 from recall_scope where part_id = any ($1)', [parts.map(({ id }) => id)])).toEqual([])
    expect((await network.goods(recall.number)).map(({ isBlocked }) => isBlocked)).toEqual([false, false])

    const signed = must(
      await network.hqFinance.post(`${path}/signatures`, { ...approve, contentHash: recall.contentHash }),
      200
    )
    expect(signed).toMatchObject({
      state: 'running',
      signatures: [{ duty: 'hq-finance', decision: 'approve' }],
      awaiting: [],
      progress: { blocked: '20' }
    })
    expect((await network.goods(recall.number)).map(({ isBlocked }) => isBlocked)).toEqual([true, true])
    expect(await counter.verify()).toMatchObject({ ok: true, findings: [] })
    const again = await network.operations.post(`${path}/signatures`, {
      duty: 'operations-supervisor',
      decision: 'approve'
    })
    expect([again.status, again.body.code]).toEqual([409, 'NothingToSign'])
    must(await network.controller.post(`${path}/lifting`, { reason: 'over' }), 200)
    await network.signEnd(recall.number)
  })

  test('is not signed by who opened it, for another duty, of another content, by a machine or for one warehouse alone', async () => {
    const both = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }, { duty: 'hq-finance' }] }))
    const parts = [await counter.stocked({ unitCost: '90000' }), await counter.stocked({ unitCost: '90000' })]
    const recall = must(
      await both.post('/v1/recalls', {
        title: 't',
        reason: 'r',
        scopes: [{ parts: parts.map(({ number }) => number) }]
      }),
      201
    )
    const path = `/v1/recalls/${recall.number}/signatures`
    expect(await both.post(path, approve)).toMatchObject({ status: 422, body: { code: 'PreparerMaySign' } })
    expect(await network.otherController.post(path, { ...approve, duty: 'stock-controller' })).toMatchObject({
      status: 422,
      body: { code: 'DutyNotAsked' }
    })
    expect(await network.hqFinance.post(path, { ...approve, contentHash: 'a'.repeat(64) })).toMatchObject({
      status: 409,
      body: { code: 'ContentChanged' }
    })
    expect(await network.hqFinance.post(path, { ...approve, decision: 'refuse' })).toMatchObject({
      status: 422,
      body: { code: 'ReasonMissing' }
    })
    const local = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance', warehouse: 'HQ' }] }))
    expect(await local.post(path, approve)).toMatchObject({ status: 403 })
    expect(
      await counter.signers['operations-supervisor'].post(path, { ...approve, duty: 'operations-supervisor' })
    ).toMatchObject({ status: 404 })
    await h.sql(`update recall set reason = 'other' where number = $1`, [recall.number])
    expect(await network.hqFinance.post(path, approve)).toMatchObject({
      status: 409,
      body: { code: 'SignatureOfOtherContent' }
    })
  })

  test('is dropped by a refusal with its reason, or by whoever may open one', async () => {
    const refused = await large()
    const answer = must(
      await network.operations.post(`${refused.path}/signatures`, {
        duty: 'operations-supervisor',
        decision: 'refuse',
        comment: 'one supplier would do'
      }),
      200
    )
    expect(answer).toMatchObject({ state: 'cancelled', endedBecause: 'one supplier would do' })
    const dropped = await large()
    expect(await network.hqFinance.post(`${dropped.path}/cancellation`, { reason: 'x' })).toMatchObject({ status: 403 })
    must(await network.otherController.post(`${dropped.path}/cancellation`, { reason: 'typed wrong' }), 200)
    expect(await network.hqFinance.post(`${dropped.path}/signatures`, approve)).toMatchObject({
      status: 409,
      body: { code: 'NothingToSign' }
    })
    expect(await network.otherController.post(`${dropped.path}/cancellation`, { reason: 'again' })).toMatchObject({
      status: 409,
      body: { code: 'NothingToCancel' }
    })
  })

  test('is one of more parts than the setting allows, whatever they are worth', async () => {
    const parts: string[] = []
    for (let n = 0; n < 51; n++) parts.push((await h.make.part()).number)
    await counter.posted({ kind: 'receipt', lines: [{ part: parts[0], quantity: '1', unitCost: '0.01' }] })
    const recall = await network.recall({ scopes: [{ parts }] })
    expect(recall).toMatchObject({ state: 'awaiting-second-signature', reach: { parts: 51, share: 0 } })
  })
})

describe('a recall that meets others', () => {
  test('is begun again where it and a promise over several warehouses wait for each other (R-REQ-7)', async () => {
    const part = await counter.stocked({ quantity: '2' })
    const second = await network.counter()
    await second.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '2', unitCost: '2' }] })
    const ctx = h.contextOf(counter.keeper.person.actor)
    const wish = (at: Counter) => [
      {
        warehouseId: at.warehouseId,
        partId: part.id,
        part: part.number,
        ownership: 'own' as const,
        quantity: '1',
        reservedFor: 'REQ-1'
      }
    ]
    const waiting = async () => {
      const [row] = await h.sql<{ count: number }>(
        `select count(*)::int as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
      )
      return row.count > 0
    }

    let recalled: ReturnType<typeof network.recallPart> | undefined
    const [promised] = await Promise.allSettled([
      inTransaction(ctx, async (inner) => {
        await reserveAll(inner, wish(second))
        // It holds the first warehouse by now and waits for the second.
        recalled = network.recallPart(part.number)
        while (!(await waiting())) await new Promise((resolve) => setTimeout(resolve, 20))
        return reserveAll(inner, wish(counter))
      })
    ])

    // A slow machine may break the promise off instead, which had waited less long.
    expect(promised.status === 'rejected' ? promised.reason : { code: '40P01' }).toMatchObject({ code: '40P01' })
    expect(await recalled).toMatchObject({ state: 'running', progress: { blocked: '4' } })
    expect(
      await h.sql(`select sum(reserved)::int as reserved from balance where part_number = $1`, [part.number])
    ).toEqual([{ reserved: 0 }])
  })
})
