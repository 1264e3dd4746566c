import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { reserveAll } from '../../src/ledger/reserve.ts'
import { createTransfer } from '../../src/transfers/open-transfer.ts'
import { dispatchTransfer } from '../../src/transfers/dispatch-transfer.ts'
import type { Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { moved, must, openRecalling, received, sent, type Recalling } from './recalling.ts'

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

const verified = async (...counters: Counter[]) => {
  for (const one of counters) expect(await one.verify()).toMatchObject({ ok: true, findings: [] })
}
const stockOf = async (at: Counter, part: string) =>
  must(await at.keeper.get(`/v1/warehouses/${at.warehouse}/stock?part=${part}`), 200).items.map(
    ({ onHand, blocked, condition }: { onHand: string; blocked: string; condition: string }) => ({
      onHand,
      blocked,
      condition
    })
  )

describe('blocked goods leave by no path, and whoever tries is told which recall holds them (R-REQ-7)', () => {
  const out = (part: string, kind: string, more: object = {}) => ({ kind, ...more, lines: [{ part, quantity: '1' }] })

  test.for([
    ['an issue to a repair order', 'issue', { purpose: 'repair-order' }],
    ['an issue to a technician', 'issue', { purpose: 'technician' }],
    ['an issue to an outlet', 'issue', { purpose: 'outlet' }],
    ['a sale', 'sale', {}],
    ['a transfer out by hand', 'transfer-out', {}],
    ['a return to the supplier by hand', 'supplier-return', {}],
    ['scrap by hand', 'scrap', { reason: 'rust' }],
    ['a loan', 'loan-out', {}],
    ['an adjustment by hand', 'adjustment', { reason: 'lost', lines: undefined }]
  ] as [string, string, object][])('%s', async ([, kind, more]) => {
    const part = await counter.stocked({ quantity: '2' })
    const recall = await network.recallPart(part.number)
    const slip =
      kind === 'adjustment'
        ? { kind, reason: 'lost', lines: [{ part: part.number, quantity: '-1' }] }
        : out(part.number, kind, more)
    const { number } = await counter.slip(slip)

    const refusal = await counter.signAndPost(number)

    expect([refusal.status, refusal.body.code]).toEqual([409, 'InsufficientStock'])
    expect(refusal.body.detail).toContain(recall.number)
    expect(refusal.body.lines).toEqual([{ line: 1, part: part.number, wanted: '1', available: '0', blocked: '2' }])
    expect(await counter.onHand(part.number)).toBe('2')
    await verified(counter)
  })

  test('a slip that was signed before the recall and is posted after it', async () => {
    const part = await counter.stocked({ quantity: '2' })
    const { number } = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await counter.sign(number)
    const recall = await network.recallPart(part.number)

    const refusal = await counter.keeper.post(`/v1/slips/${number}/posting`)

    expect([refusal.status, refusal.body.code]).toEqual([409, 'InsufficientStock'])
    expect(refusal.body.detail).toContain(recall.number)
  })

  test('an emergency release', async () => {
    const part = await counter.stocked({ quantity: '2' })
    const { number } = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await counter.sign(number, ['department-head', 'operations-supervisor'])
    const recall = await network.recallPart(part.number)

    const refusal = await counter.keeper.post(`/v1/slips/${number}/emergency-release`, {
      missingDuty: 'finance-supervisor',
      authorisedBy: 'x',
      reason: 'y',
      handedTo: 'z'
    })

    expect([refusal.status, refusal.body.code]).toEqual([409, 'InsufficientStock'])
    expect(refusal.body.detail).toContain(recall.number)
  })

  test('a promise, and a transfer that would need one', async () => {
    const part = await counter.stocked({ quantity: '2' })
    const other = await network.counter()
    await network.recallPart(part.number)
    const ctx = h.contextOf(counter.keeper.person.actor)

    const wish = {
      warehouseId: counter.warehouseId,
      partId: part.id,
      part: part.number,
      ownership: 'own' as const,
      quantity: '1',
      reservedFor: 'x'
    }
    expect(await reserveAll(ctx, [wish])).toEqual({ short: [{ index: 0, available: '0', blocked: '2' }] })
    await expect(
      createTransfer(ctx, {
        from: counter.warehouse,
        to: other.warehouse,
        lines: [{ part: part.number, quantity: '1' }],
        because: 'x'
      })
    ).rejects.toMatchObject({ code: 'InsufficientStock' })
  })

  test('the reversal of the receipt they came in by, and of the return', async () => {
    const part = await h.make.part()
    const receipt = await counter.posted({
      kind: 'receipt',
      lines: [{ part: part.number, quantity: '2', unitCost: '3' }]
    })
    const recall = await network.recallPart(part.number)
    const reversal = must(await counter.keeper.post(`/v1/slips/${receipt.number}/reversal`, { reason: 'wrong' }), 201)

    const refusal = await counter.signAndPost(reversal.number)

    expect([refusal.status, refusal.body.code]).toEqual([409, 'GoodsBlocked'])
    expect(refusal.body.recalls).toEqual([recall.number])
    expect(await counter.onHand(part.number)).toBe('2')
  })

  test('a promise that is broken takes the slip that names it along, and a transfer that was ordered', async () => {
    const part = await counter.stocked({ quantity: '2' })
    const other = await network.counter()
    const giver = h.contextOf(counter.keeper.person.actor)
    const { number } = await createTransfer(giver, {
      from: counter.warehouse,
      to: other.warehouse,
      lines: [{ part: part.number, quantity: '2' }],
      because: 'x'
    })
    const { slip } = await dispatchTransfer(giver, { number })
    await counter.sign(slip.number)

    const recall = await network.recallPart(part.number)

    const broken = await h.sql(
      `select payload->>'reservedFor' as for from outbox where event = 'reservation.broken' and payload->>'recall' = $1`,
      [recall.number]
    )
    expect(broken).toEqual([{ for: `${number}/1` }])
    const refusal = await counter.keeper.post(`/v1/slips/${slip.number}/posting`)
    expect([refusal.status, refusal.body.code]).toEqual([409, 'ReservationDoesNotCover'])
    expect(refusal.body.detail).toContain(recall.number)
    expect((await network.goods(recall.number)).map(({ brokenReservations }) => brokenReservations)).toEqual([1])
    await verified(counter)
  })

  test('goods that are not meant go on: another lot of the part, and other parts', async () => {
    const part = await h.make.part()
    const receive = (occurredOn: string) =>
      counter.posted({ kind: 'receipt', occurredOn, lines: [{ part: part.number, quantity: '1', unitCost: '1' }] })
    await receive('2026-10-01')
    await receive('2026-11-01')
    const recall = await network.recall({ scopes: [{ part: part.number, receivedTo: '2026-10-31' }] })

    const issue = await counter.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })

    const [lot] = await h.sql<{ day: string }>('select received_on::text as day from lot where id = $1', [
      issue.lines[0].movements[0].lot
    ])
    expect(lot.day).toBe('2026-11-01')
    expect((await network.goods(recall.number)).map(({ receivedOn }) => receivedOn)).toEqual(['2026-10-01'])
    await verified(counter)
  })
})

describe('while a recall runs', () => {
  test('what comes in of it is blocked on arrival, and what comes back of issued goods', async () => {
    const part = await counter.stocked({ quantity: '3' })
    const issue = await counter.posted({
      kind: 'issue',
      reference: 'RO-7',
      lines: [{ part: part.number, quantity: '2' }]
    })
    const recall = await network.recallPart(part.number)

    await counter.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '4', unitCost: '1' }] })
    await counter.posted({
      kind: 'return',
      reference: issue.number,
      reason: 'recalled',
      lines: [{ part: part.number, quantity: '1', condition: 'nonconforming' }]
    })

    expect(await stockOf(counter, part.number)).toEqual([
      { condition: 'nonconforming', onHand: '1', blocked: '1' },
      { condition: 'qualified', onHand: '5', blocked: '5' }
    ])
    expect(await network.issued(recall.number)).toMatchObject([{ issued: '2', returned: '1', quantity: '1' }])
    await verified(counter)
  })

  test('goods on the way to another warehouse are listed between the two, and blocked where they arrive', async () => {
    const part = await counter.stocked({ quantity: '5' })
    const other = await network.counter()
    const { number } = await moved(h, { from: counter, to: other, part: part.number, quantity: '4', arrived: '1' })

    const recall = await network.recallPart(part.number)

    expect(recall.reach).toMatchObject({ onHand: '2', inTransit: '3', warehouses: 2 })
    const goods = await network.goods(recall.number)
    expect(
      goods.map(({ where, warehouse, to, document, quantity, isBlocked }) => [
        where,
        warehouse,
        to,
        document,
        quantity,
        isBlocked
      ])
    ).toEqual(
      [
        ['warehouse', counter.warehouse, null, null, '1', true],
        ['transit', counter.warehouse, other.warehouse, number, '3', false],
        ['warehouse', other.warehouse, null, null, '1', true]
      ].toSorted((a, b) => (String(a[1]) < String(b[1]) ? -1 : String(a[1]) > String(b[1]) ? 1 : 0))
    )
    expect(new Set(goods.map(({ origin }) => origin)).size).toBe(1)
    expect(recall.progress).toMatchObject({ blocked: '2', inTransit: '3', warehouses: 2 })

    await received(h, other, number, { line: 1, quantity: '2', missing: '1', responsible: 'carrier' })

    expect(await stockOf(other, part.number)).toEqual([{ condition: 'qualified', onHand: '3', blocked: '3' }])
    const now = must(await network.controller.get(`/v1/recalls/${recall.number}`), 200)
    expect(now.progress).toMatchObject({ blocked: '4', inTransit: '0' })
    // What went missing on the way is neither here nor there, and is asked for.
    expect(await network.issued(recall.number)).toMatchObject([{ kind: 'transfer-out', issued: '1', quantity: '1' }])
    await verified(counter, other)
  })

  test('goods that are sent direct to an outlet are looked for there, while the papers run through its centre (R-REQ-4)', async () => {
    const part = await counter.stocked({ quantity: '2' })
    const [centre, outlet] = [await network.counter(), await network.counter()]
    const { number } = await createTransfer(h.contextOf(counter.keeper.person.actor), {
      from: counter.warehouse,
      to: centre.warehouse,
      directTo: outlet.warehouse,
      lines: [{ part: part.number, quantity: '2' }],
      because: 'urgent'
    })
    await sent(h, counter, number)

    const recall = await network.recallPart(part.number)

    const path = `/v1/recalls/${recall.number}`
    for (const { keeper } of [centre, outlet])
      expect(must(await keeper.get(`${path}/goods`), 200).items).toMatchObject([
        { where: 'transit', to: outlet.warehouse, document: number, quantity: '2' }
      ])
    expect(must(await outlet.keeper.get(`${path}/warehouses`), 200).items).toMatchObject([
      { warehouse: outlet.warehouse, got: '2', found: null }
    ])
    await received(h, centre, number, { line: 1, quantity: '2' })
    expect(await stockOf(centre, part.number)).toEqual([{ condition: 'qualified', onHand: '2', blocked: '2' }])
  })

  test('a recall of a lot finds what descends from it: transferred, issued, returned', async () => {
    const part = await h.make.part()
    const receive = () =>
      counter.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '4', unitCost: '1' }] })
    const first = await receive()
    await receive()
    const other = await network.counter()
    await moved(h, { from: counter, to: other, part: part.number, quantity: '2' })
    const issue = await other.posted({
      kind: 'issue',
      reference: 'RO-9',
      lines: [{ part: part.number, quantity: '2' }]
    })
    await other.posted({
      kind: 'return',
      reference: issue.number,
      reason: 'unused',
      lines: [{ part: part.number, quantity: '1' }]
    })
    const lot = `${counter.warehouse}/${first.lines[0].movements[0].lot}`
    const [descendant] = await h.sql<{ id: string }>(
      'select id::text as id from lot where warehouse_id = $1 and part_id = $2 and not exhausted',
      [other.warehouseId, part.id]
    )

    // Named by a lot that descends from it, the goods of the same receipt are meant everywhere.
    const recall = await network.recall({ scopes: [{ lots: [`${other.warehouse}/${descendant.id}`] }] })

    expect(recall.lines).toMatchObject([{ lot }])
    const goods = await network.goods(recall.number)
    expect(goods.map(({ quantity }) => quantity).toSorted()).toEqual(['1', '2'])
    expect(goods.every(({ origin }) => origin === lot)).toBe(true)
    expect(await network.issued(recall.number)).toMatchObject([
      {
        warehouse: other.warehouse,
        slip: issue.number,
        reference: 'RO-9',
        issued: '2',
        returned: '1',
        quantity: '1',
        origin: lot
      }
    ])
    expect(await stockOf(counter, part.number)).toEqual([{ condition: 'qualified', onHand: '6', blocked: '2' }])
    await verified(counter, other)
  })

  test('a transfer that is called back comes home blocked', async () => {
    const part = await counter.stocked({ quantity: '2' })
    const other = await network.counter()
    const { number } = await moved(h, { from: counter, to: other, part: part.number, quantity: '2', arrived: '0' })
    const recall = await network.recallPart(part.number)
    const back = must(await counter.keeper.post(`/v1/transfers/${number}/call-back`, { reason: 'recalled' }), 201)
    must(await counter.signAndPost(back.slip.number), 200)

    expect(await stockOf(counter, part.number)).toEqual([{ condition: 'qualified', onHand: '2', blocked: '2' }])
    expect((await network.goods(recall.number)).map(({ where }) => where)).toEqual(['warehouse'])
    await verified(counter, other)
  })

  /** Counts a part, finds so much, and has it signed by everybody. */
  async function counted(
    part: string,
    found: { counted: string; card: string; lots?: object[] },
    meanwhile?: () => Promise<unknown>
  ) {
    const { number } = must(
      await counter.keeper.post(`/v1/warehouses/${counter.warehouse}/counts`, { kind: 'cycle', parts: [part] }),
      201
    )
    await meanwhile?.()
    const entries = [{ line: 1, ...found }]
    must(await counter.keeper.post(`/v1/counts/${number}/entries`, { entries }), 200)
    must(await counter.signers['operations-supervisor'].post(`/v1/counts/${number}/entries`, { entries }), 200)
    const why = [{ line: 1, cause: 'damage', evidence: 'photograph' }]
    must(await counter.keeper.post(`/v1/counts/${number}/explanations`, { lines: why }), 200)
    const finance = counter.signers['finance-supervisor']
    must(await finance.post(`/v1/counts/${number}/verifications`, { lines: [{ line: 1, accepted: true }] }), 200)
    must(await counter.keeper.post(`/v1/counts/${number}/submission`), 200)
    const approve = (duty: string) => ({ duty, decision: 'approve' })
    must(await finance.post(`/v1/counts/${number}/signatures`, approve('finance-supervisor')), 200)
    must(
      await counter.signers['department-head'].post(`/v1/counts/${number}/signatures`, approve('department-head')),
      200
    )
    must(await network.controller.post(`/v1/counts/${number}/signatures`, approve('stock-controller')), 200)
  }

  test('a count goes on, and takes or adds blocked goods as it finds them', async () => {
    const part = await counter.stocked({ quantity: '5' })
    await counted(part.number, { counted: '4', card: '4' }, () => network.recallPart(part.number))

    expect(await stockOf(counter, part.number)).toEqual([{ condition: 'qualified', onHand: '4', blocked: '4' }])
    await verified(counter)
  })

  test.for([true, false])(
    'what a count finds of a recalled lot is blocked with it (counted by lot: %s)',
    async (byLot) => {
      const part = await h.make.part()
      const receive = async (quantity: string) =>
        (await counter.posted({ kind: 'receipt', lines: [{ part: part.number, quantity, unitCost: '1' }] })).lines[0]
          .movements[0].lot
      const [meant, free] = [await receive('5'), await receive('3')]
      await network.recall({ scopes: [{ lots: [`${counter.warehouse}/${meant}`] }] })

      const lots = [
        { lot: free, counted: '3' },
        { lot: meant, counted: '7' }
      ]
      await counted(part.number, { counted: '10', card: '10', ...(byLot && { lots }) })

      expect(await stockOf(counter, part.number)).toEqual([{ condition: 'qualified', onHand: '10', blocked: '7' }])
      await verified(counter)
    }
  )

  test('what leaves and is sent on by papers of the recall is blocked again where it arrives', async () => {
    const part = await counter.stocked({ quantity: '3' })
    const recall = await network.recallPart(part.number)
    const path = `/v1/recalls/${recall.number}/return-slips`
    const paper = must(await counter.keeper.post(path, { warehouse: counter.warehouse, to: 'HQ', carrier: 'SF' }), 201)
    expect(paper).toMatchObject({ slips: [], lots: 1, quantity: '3', left: 0 })
    expect(await counter.keeper.post(path, { warehouse: counter.warehouse, to: 'HQ' })).toMatchObject({
      status: 409,
      body: { code: 'NothingBlockedHere' }
    })

    await sent(h, counter, paper.transfer)
    expect((await network.goods(recall.number)).map(({ where, to }) => [where, to])).toEqual([['transit', 'HQ']])
    await received(h, network.office, paper.transfer, { line: 1, quantity: '3' })

    expect(await stockOf(network.office, part.number)).toEqual([{ condition: 'qualified', onHand: '3', blocked: '3' }])
    expect(await network.issued(recall.number)).toEqual([])
    await verified(counter, network.office)
  })
})
