import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { blockStock, narrowScopes, unblockStock, type RecallScope } from '../../src/ledger/block.ts'
import { reserveAll } from '../../src/ledger/reserve.ts'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type Kernel, type Shelf } from '../support/kernel.ts'

let h: Harness
let ledger: Kernel
let lastRecall = 900_000
beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
})
afterAll(() => h.close())
beforeEach(async () => {
  ledger = await kernel(h)
})

/** A recall of the kernel: no document stands behind it. Answers the lots that it blocks and the promises that it broke. */
const recall = async (...scopes: Omit<RecallScope, 'scopeNo'>[]) => {
  const id = String(++lastRecall)
  const outcome = await inTransaction(ledger.ctx, (ctx) =>
    blockStock(ctx, {
      recallId: id,
      recall: `RCL-${id}`,
      scopes: scopes.map((scope, index) => ({ scopeNo: index + 1, ...scope }))
    })
  )
  const blocked = await h.sql<{ warehouseId: number; partId: number; quantity: string }>(
    `select l.warehouse_id as "warehouseId", l.part_id as "partId", trim_scale(l.on_hand)::text as quantity
       from lot_block b join lot l on l.warehouse_id = b.warehouse_id and l.id = b.lot_id where b.recall_id = $1 order by 1, l.id`,
    [id]
  )
  const broken = await h.sql(
    `select warehouse_id as "warehouseId", id::text as id, reserved_for as "reservedFor", trim_scale(quantity - consumed)::text as quantity
       from reservation where broken_by = $1 order by 1, reservation.id`,
    [id]
  )
  return { id, number: `RCL-${id}`, outcome, blocked, broken }
}
const lift = (id: string, scopes?: number[]) =>
  inTransaction(ledger.ctx, (ctx) => unblockStock(ctx, { recallId: id, scopes }))

const figures = async (shelf: Shelf, warehouseId = ledger.warehouse.id) => {
  const [row] = await h.sql(
    `select trim_scale(on_hand)::text as "onHand", trim_scale(reserved)::text as reserved, trim_scale(blocked)::text as blocked
       from balance where warehouse_id = $1 and part_id = $2 and ownership = $3 and condition = $4`,
    [warehouseId, shelf.partId, shelf.ownership, shelf.condition]
  )
  return row
}
const lotOf = (movements: { lotId: string }[]): string => movements[0]?.lotId ?? ''
const verified = async (of: Kernel = ledger) =>
  expect((await verifyLedger(of.ctx, { warehouse: of.warehouse.code })).findings).toEqual([])

describe('a recall (R-REQ-7)', () => {
  test('blocks the lots it is about and no others; what is blocked is on hand, but not available', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00', { on: '2026-09-10' })
    await ledger.receive(shelf, '3', '1.00', { on: '2026-10-10' })

    const { blocked } = await recall({ partId: shelf.partId, receivedTo: '2026-09-30' })

    expect(blocked).toMatchObject([{ warehouseId: ledger.warehouse.id, partId: shelf.partId, quantity: '5' }])
    expect(await figures(shelf)).toEqual({ onHand: '8', reserved: '0', blocked: '5' })
    expect(await ledger.issue(shelf, '3')).toMatchObject([{ quantity: '-3', onHandAfter: '5' }])
    await verified()
  })

  test('stops issues and promises, and says so', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00')
    const { number } = await recall({ partId: shelf.partId })

    const refused = await ledger.refusal(ledger.issue(shelf, '2'))
    expect(refused).toMatchObject({
      code: 'InsufficientStock',
      extra: { lines: [{ wanted: '2', available: '0', blocked: '5' }], recalls: [number] }
    })
    expect(refused.message).toContain(number)
    expect(await reserveAll(ledger.ctx, [{ ...ledger.keyOf(shelf), quantity: '1', reservedFor: 'REQ-1' }])).toEqual({
      short: [{ index: 0, available: '0', blocked: '5' }]
    })
  })

  test('breaks the promises that no longer fit, newest first and whole, and tells', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00', { on: '2026-09-10' })
    await ledger.receive(shelf, '4', '1.00', { on: '2026-10-10' })
    const [first, second, third] = [
      await ledger.reserve(shelf, '3', 'REQ-1'),
      await ledger.reserve(shelf, '2', 'REQ-2'),
      await ledger.reserve(shelf, '4', 'REQ-3')
    ]

    const { id, number, broken, outcome } = await recall({ partId: shelf.partId, receivedTo: '2026-09-30' })

    expect(outcome).toEqual({ blocked: { lots: 1, quantity: '5' }, broken: 2 })

    expect(broken).toEqual([
      { warehouseId: ledger.warehouse.id, id: second, reservedFor: 'REQ-2', quantity: '2' },
      { warehouseId: ledger.warehouse.id, id: third, reservedFor: 'REQ-3', quantity: '4' }
    ])
    expect(await figures(shelf)).toEqual({ onHand: '9', reserved: '3', blocked: '5' })
    expect(
      await h.sql(
        `select subject, warehouse_id as "warehouseId", payload from outbox where event = 'reservation.broken' order by id desc limit 1`
      )
    ).toEqual([
      {
        subject: `reservation:${third}`,
        warehouseId: ledger.warehouse.id,
        payload: { reservation: third, reservedFor: 'REQ-3', quantity: '4', recall: number }
      }
    ])
    const late = await ledger.refusal(ledger.post([ledger.entry(shelf, '-2', { reservationId: second })]))
    expect(late).toMatchObject({ code: 'ReservationDoesNotCover', extra: { recalls: [number] } })
    await ledger.post([ledger.entry(shelf, '-3', { reservationId: first })])
    await verified()
    await lift(id)
    expect(await figures(shelf)).toEqual({ onHand: '6', reserved: '0', blocked: '0' })
    await verified()
  })

  test('lets lines that name a blocked lot take it, whatever else is promised', async () => {
    const shelf = await ledger.shelf()
    const lot = lotOf(await ledger.receive(shelf, '5', '1.00', { on: '2026-09-10' }))
    await ledger.receive(shelf, '4', '1.00', { on: '2026-10-10' })
    await recall({ partId: shelf.partId, receivedTo: '2026-09-30' })
    await ledger.reserve(shelf, '4')

    expect(await ledger.refusal(ledger.post([ledger.entry(shelf, '-6', { lotId: lot })]))).toMatchObject({
      code: 'LotShort'
    })
    await ledger.post([ledger.entry(shelf, '-2', { lotId: lot })])
    expect(await figures(shelf)).toEqual({ onHand: '7', reserved: '4', blocked: '3' })
    await ledger.post([ledger.entry(shelf, '-3', { lotId: lot })])
    expect(await figures(shelf)).toEqual({ onHand: '4', reserved: '4', blocked: '0' })
    await verified()
  })

  test('is over when the last recall of a lot is lifted, and not before; a second run changes nothing', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00', { on: '2026-09-10' })
    const [first, second] = [await recall({ partId: shelf.partId }), await recall({ partId: shelf.partId })]
    expect([first.blocked.length, second.blocked.length]).toEqual([1, 1])

    expect(await lift(first.id)).toEqual({ freed: { lots: 0, quantity: '0' } })
    expect(await figures(shelf)).toMatchObject({ blocked: '5' })
    expect(await lift(second.id)).toEqual({ freed: { lots: 1, quantity: '5' } })
    expect(await lift(second.id)).toEqual({ freed: { lots: 0, quantity: '0' } })
    await ledger.issue(shelf, '5')
    await verified()
  })

  test('is lifted in part: what another of its scopes is about stays blocked', async () => {
    const [shelf, other] = [await ledger.shelf(), await ledger.shelf()]
    await ledger.receive(shelf, '5', '1.00', { on: '2026-09-10' })
    await ledger.receive(shelf, '2', '1.00', { on: '2026-10-10' })
    await ledger.receive(other, '1', '1.00')
    const { id } = await recall(
      { partId: shelf.partId },
      { partId: shelf.partId, receivedTo: '2026-09-30' },
      { partId: other.partId }
    )
    await lift(id, [1])
    expect([await figures(shelf), await figures(other)]).toMatchObject([{ blocked: '5' }, { blocked: '1' }])
    await verified()
    await lift(id, [2, 3])
    expect([await figures(shelf), await figures(other)]).toMatchObject([{ blocked: '0' }, { blocked: '0' }])
    await verified()
  })

  test('blocks what comes in while it runs, and what comes back of issued goods, and promises none of it', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00', { on: '2026-09-10' })
    const issued = await ledger.postSlip([ledger.entry(shelf, '-3')], { kind: 'issue', on: '2026-09-20' })
    await recall({ partId: shelf.partId, receivedTo: '2026-09-30' })

    await ledger.undo(issued, [ledger.entry(shelf, '2', { sourceLine: 1 })], { kind: 'return', on: '2026-11-02' })
    expect(await figures(shelf)).toMatchObject({ onHand: '4', blocked: '4' })
    await ledger.post([ledger.entry(shelf, '6', { receivedOn: '2026-09-15', unitCost: '1.00', reserveFor: 'REQ-9' })])
    await ledger.receive(shelf, '1', '1.00', { on: '2026-11-03' })
    expect(await figures(shelf)).toEqual({ onHand: '11', reserved: '0', blocked: '10' })
    await verified()
  })

  test('of a lot finds what descends from it: returned goods, and goods of other warehouses', async () => {
    const shelf = await ledger.shelf()
    const lot = lotOf(await ledger.receive(shelf, '5', '1.00'))
    await ledger.receive(shelf, '5', '1.00')
    const issued = await ledger.postSlip([ledger.entry(shelf, '-5')], { kind: 'issue' })
    await ledger.undo(issued, [ledger.entry(shelf, '1', { sourceLine: 1 })], { kind: 'return' })
    const elsewhere = await kernel(h)
    await elsewhere.post([
      elsewhere.entry(shelf, '2', {
        unitCost: '1.00',
        carried: {
          costIn: '2.00',
          chargeIn: '0.00',
          chargedUntil: '2026-10-01',
          rateSkipped: '0',
          origin: { warehouseId: ledger.warehouse.id, lotId: lot }
        }
      })
    ])

    const { blocked } = await recall({
      partId: shelf.partId,
      originWarehouseId: ledger.warehouse.id,
      originLotId: lot
    })

    expect(blocked.map(({ warehouseId, quantity }) => [warehouseId, quantity])).toEqual([
      [ledger.warehouse.id, '1'],
      [elsewhere.warehouse.id, '2']
    ])
    expect(await figures(shelf)).toMatchObject({ onHand: '6', blocked: '1' })
    await verified()
    await verified(elsewhere)
  })

  test('of a supplier finds what the receipt of that supplier brought in, wherever it lies now', async () => {
    const [shelf, supplier] = [await ledger.shelf(), await h.make.supplier()]
    const receipt = await ledger.postSlip([ledger.entry(shelf, '5', { unitCost: '1.00' })], { kind: 'receipt' })
    await h.sql('update slip set supplier_id = $1 where warehouse_id = $2 and id = $3', [
      supplier.id,
      ledger.warehouse.id,
      receipt.id
    ])
    await ledger.receive(shelf, '7', '1.00')
    const issued = await ledger.postSlip([ledger.entry(shelf, '-2')], { kind: 'issue' })
    await ledger.undo(issued, [ledger.entry(shelf, '1', { sourceLine: 1 })], { kind: 'return' })

    await recall({ partId: shelf.partId, supplierId: supplier.id })

    expect(await figures(shelf)).toMatchObject({ onHand: '11', blocked: '4' })
    await verified()
  })

  test('that is over is about nothing that is received later, but what comes back is still blocked', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00', { on: '2026-09-10' })
    const issued = await ledger.postSlip([ledger.entry(shelf, '-5')], { kind: 'issue', on: '2026-09-20' })
    const { id } = await recall({ partId: shelf.partId }, { partId: shelf.partId, receivedFrom: '2027-01-01' })
    await narrowScopes(ledger.ctx, { recallId: id, receivedTo: '2026-10-31' })

    await ledger.receive(shelf, '1', '1.00', { on: '2026-11-03' })
    await ledger.undo(issued, [ledger.entry(shelf, '2', { sourceLine: 1 })], { kind: 'return', on: '2026-11-03' })
    expect(await figures(shelf)).toMatchObject({ onHand: '3', blocked: '2' })
    await verified()
  })

  test('refuses the reversal that would take blocked goods out, and names the recall', async () => {
    const shelf = await ledger.shelf()
    const receipt = await ledger.postSlip([ledger.entry(shelf, '5', { unitCost: '1.00' })], { kind: 'receipt' })
    const { number } = await recall({ partId: shelf.partId })
    expect(
      await ledger.refusal(ledger.undo(receipt, [ledger.entry(shelf, '-5', { sourceLine: 1 })], { kind: 'reversal' }))
    ).toMatchObject({ code: 'GoodsBlocked', status: 409, extra: { recalls: [number] } })
    await verified()
  })
})

describe('at the same moment', () => {
  test('goods that arrive while a recall begins are blocked, whichever comes first, also on a shelf nobody saw before', async () => {
    for (let round = 0; round < 12; round++) {
      const [shelf, fresh] = [await ledger.shelf(), await ledger.shelf()]
      await ledger.receive(shelf, '1', '1.00')
      const others = round % 3 === 0 ? [await kernel(h), await kernel(h)] : []
      await Promise.all([
        ledger.receive(shelf, '2', '1.00'),
        ledger.receive(fresh, '3', '1.00'),
        ...others.map((other) => other.receive(fresh, '4', '1.00')),
        recall({ partId: fresh.partId }, { partId: shelf.partId }),
        ledger.receive(shelf, '5', '1.00'),
        ledger.receive(fresh, '6', '1.00')
      ])
      expect(await figures(shelf)).toMatchObject({ onHand: '8', blocked: '8' })
      expect(await figures(fresh)).toMatchObject({ onHand: '9', blocked: '9' })
      for (const other of others) expect(await figures(fresh, other.warehouse.id)).toMatchObject({ blocked: '4' })
    }
    await verified()
  })

  test('issues, promises and a recall leave no piece both blocked and given away', async () => {
    for (let round = 0; round < 8; round++) {
      const shelf = await ledger.shelf()
      await ledger.receive(shelf, '6', '1.00', { on: '2026-09-10' })
      await ledger.receive(shelf, '6', '1.00', { on: '2026-10-10' })
      const outcomes = await Promise.allSettled([
        ...Array.from({ length: 4 }, () => ledger.reserve(shelf, '2')),
        ...Array.from({ length: 3 }, () => ledger.issue(shelf, '2')),
        recall({ partId: shelf.partId, receivedTo: '2026-09-30' }),
        ...Array.from({ length: 4 }, () => ledger.reserve(shelf, '1'))
      ])
      const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []))
      expect(refusals.filter((code) => code !== 'InsufficientStock')).toEqual([])
    }
    await verified()
  })

  test('two recalls and a lifting of overlapping parts queue', async () => {
    const shelves = await Promise.all(Array.from({ length: 4 }, () => ledger.shelf()))
    for (const shelf of shelves) await ledger.receive(shelf, '3', '1.00')
    const scopes = shelves.map(({ partId }) => ({ partId }))
    const first = await recall(...scopes)
    const [, second] = await Promise.all([
      lift(first.id),
      recall(...scopes.toReversed()),
      ledger.issue(shelves[0], '1').catch(() => undefined)
    ])
    await verified()
    await lift(second.id)
    await verified()
    for (const shelf of shelves) expect(await figures(shelf)).toMatchObject({ blocked: '0' })
  })
})
