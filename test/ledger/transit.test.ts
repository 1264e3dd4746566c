import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { reserveAll } from '../../src/ledger/reserve.ts'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type Kernel, type Shelf } from '../support/kernel.ts'

let h: Harness
let giver: Kernel
let receiver: Kernel
let shelf: Shelf
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())
beforeEach(async () => {
  giver = await kernel(h)
  receiver = await kernel(h)
  shelf = await giver.shelf()
})

const verified = async () => {
  for (const { ctx, warehouse } of [giver, receiver])
    expect((await verifyLedger(ctx, { warehouse: warehouse.code })).findings).toEqual([])
}
const lotIn = async ({ warehouse }: Kernel, id: string) =>
  (
    await h.sql(
      `select received_on::text as "receivedOn", cost_in::text as cost, charge_in::text as charge, rate_skipped::text as skipped, origin_warehouse_id as "originWarehouse", origin_lot_id as "originLot"
         from lot where warehouse_id = $1 and id = $2`,
      [warehouse.id, id]
    )
  )[0]

test('goods from another warehouse open with just what they left with, and the months between are nobody’s (R-AGE-7)', async () => {
  // Received in February: 8 % are charged from May on; 6 months until October.
  const [{ lotId }] = await giver.receive(shelf, '3', '33.33', { on: '2026-02-10' })
  const [left] = await giver.issue(shelf, '3', { on: '2026-08-05' })
  expect(left).toMatchObject({ quantity: '-3', cost: '-99.99', charge: '-24.00' })
  const carried = {
    chargedUntil: '2026-07-01',
    rateSkipped: '0',
    origin: { warehouseId: giver.warehouse.id, lotId }
  }
  const arrive = (quantity: string, costIn: string, chargeIn: string, on: string) =>
    receiver.post(
      [
        receiver.entry(shelf, quantity, {
          unitCost: '33.33',
          receivedOn: '2026-02-10',
          carried: { ...carried, costIn, chargeIn }
        })
      ],
      { on, kind: 'transfer-in' }
    )
  const [first] = await arrive('1', '33.33', '8.00', '2026-08-20')
  const [second] = await arrive('2', '66.66', '16.00', '2026-10-15')

  expect(await lotIn(receiver, first.lotId)).toEqual({
    receivedOn: '2026-02-10',
    cost: '33.33',
    charge: '8.00',
    skipped: '0.0000',
    originWarehouse: giver.warehouse.id,
    originLot: lotId
  })
  // Away at the ends of August and September: two charges are never made.
  expect(await lotIn(receiver, second.lotId)).toMatchObject({ cost: '66.66', charge: '16.00', skipped: '0.1600' })
  // In November: the first was charged in August, September and October, the second in October.
  expect(await receiver.issue(shelf, '3', { on: '2026-11-10' })).toMatchObject([
    { lotId: first.lotId, cost: '-33.33', charge: '-16.00' },
    { lotId: second.lotId, cost: '-66.66', charge: '-21.33' }
  ])
  await verified()
})

test('goods that come back, go on or are reversed keep the lot by which they first came (R-REQ-7)', async () => {
  const [{ lotId }] = await giver.receive(shelf, '5', '1.00', { on: '2026-10-01' })
  const issued = await giver.postSlip([giver.entry(shelf, '-2')], { kind: 'issue', on: '2026-10-05' })
  const [back] = await giver.undo(issued, [giver.entry(shelf, '2', { sourceLine: 1 })], {
    kind: 'return',
    on: '2026-10-06'
  })
  const origin = { originWarehouse: giver.warehouse.id, originLot: lotId }
  expect(await lotIn(giver, back.lotId)).toMatchObject(origin)
  await giver.post([giver.entry(shelf, '-3')], { on: '2026-10-07' })
  const again = await giver.postSlip([giver.entry(shelf, '-2')], { kind: 'issue', on: '2026-10-08' })
  const [twice] = await giver.undo(again, [giver.entry(shelf, '2', { sourceLine: 1 })], {
    kind: 'reversal',
    on: '2026-10-09'
  })
  expect(await lotIn(giver, twice.lotId)).toMatchObject(origin)
  await verified()
})

test('what arrives for somebody is theirs at once, however many wait for it (R-STK-4)', async () => {
  const arrival = receiver.postSlip(
    [receiver.entry(shelf, '2', { unitCost: '1.00', reserveFor: 'A-REQ-202611-00001/1.1' })],
    {
      kind: 'transfer-in'
    }
  )
  const others = Array.from({ length: 6 }, async () => {
    await arrival
    return reserveAll(receiver.ctx, [{ ...receiver.keyOf(shelf), quantity: '1', reservedFor: 'REQ-9' }])
  })
  expect(await Promise.all(others)).toEqual(
    Array.from({ length: 6 }, () => ({ short: [{ index: 0, available: '0', blocked: '0' }] }))
  )
  const { id } = await arrival
  const [promised] = await h.sql<{ id: string }>(
    `select id, trim_scale(quantity)::text as quantity, slip_id as slip, line_no as line, reserved_by as by from reservation where warehouse_id = $1 and reserved_for = 'A-REQ-202611-00001/1.1'`,
    [receiver.warehouse.id]
  )
  expect(promised).toMatchObject({ quantity: '2', slip: id, line: 1, by: receiver.ctx.actor.personId })
  await receiver.post([receiver.entry(shelf, '-2', { reservationId: promised.id })])
  await verified()
})

test('an arrival that is promised is reversed after the promise was released, and it is said to whom', async () => {
  const arrival = await receiver.postSlip([receiver.entry(shelf, '2', { unitCost: '1.00', reserveFor: 'REQ-7/1.1' })], {
    kind: 'receipt'
  })
  const reversal = () => receiver.undo(arrival, [receiver.entry(shelf, '-2', { sourceLine: 1 })], { kind: 'reversal' })
  const refused = await receiver.refusal(reversal())
  expect(refused).toMatchObject({ code: 'GoodsAlreadyGone', extra: { promisedTo: ['REQ-7/1.1'] } })
  expect(refused.message).toContain('REQ-7/1.1')
  const [{ id }] = await h.sql<{ id: string }>('select id from reservation where warehouse_id = $1', [
    receiver.warehouse.id
  ])
  await receiver.release(id)
  expect(await reversal()).toMatchObject([{ quantity: '-2', onHandAfter: '0' }])
  await verified()
})

test('the reversal of an issue brings goods back, but not the promise that it used up', async () => {
  await giver.receive(shelf, '3', '1.00')
  const reservationId = await giver.reserve(shelf, '2')
  const issued = await giver.postSlip([giver.entry(shelf, '-2', { reservationId })], { kind: 'issue' })
  await giver.undo(issued, [giver.entry(shelf, '2', { sourceLine: 1 })], { kind: 'reversal' })
  expect(await giver.release(reservationId)).toBe('0')
  await giver.issue(shelf, '3')
  await verified()
})
